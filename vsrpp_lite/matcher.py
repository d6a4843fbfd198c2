"""The contract that all systems share: two encoders, a similarity, and the losses that train them.

Shapes have these letters: I images, T texts, R regions, W words, K fragments (regions or words), D embedding size, F
region feature size, B pairs of this process, N pairs of the whole batch. A module that gives one of them another
meaning, as `sco` does with its K concepts, says so.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsrpp_lite.data.dataset import Batch, Dataset, pad
from vsrpp_lite.data.text import Tokenizer, Vocabulary, load_tokenizer
from vsrpp_lite.settings import Sizes, Training, check_fields


class Encoded(NamedTuple):
    """What both encoders of every system return. It has one row for each image or text."""

    pooled: Float[Tensor, "B D"]
    """One vector of unit length for the whole image or text."""
    fragments: Float[Tensor, "B K D"]
    """Its regions or words, of unit length (except with `norm="regions"`). Missing ones are zero and come last."""
    mask: Bool[Tensor, "B K"]
    """True where a fragment exists."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Encoded":
        """Apply the same function to all three tensors, such as `lambda x: x[:8]`."""
        return Encoded(*map(function, self))


Similarity = Callable[[Encoded, Encoded], Float[Tensor, "I T"]]
"""It scores every image against every text. If it is a module with parameters, they are trained with the rest."""

AttentionOfPair = Callable[[Float[Tensor, "R D"], Float[Tensor, "W D"]], Float[Tensor, "W R"]]
"""It returns the attention between the regions and the words of one pair, for figures."""

Gather = Callable[[Tensor], Tensor]
"""It joins the rows of all processes."""


def alone(x: Tensor) -> Tensor:
    """Return `x` itself: the `Gather` of a single process, which has nothing to join."""
    return x


class Progress(NamedTuple):
    """How far training is."""

    epoch: int = 0
    """Number of epochs that are finished."""
    warming_up: bool = False
    """True in the first epochs, in which hinges are summed over all negatives; see `Training.warmup_epochs`."""
    decays: float = 0.0
    """epoch / `Training.decay_every`. Its whole part counts how many times the learning rate has fallen to a tenth."""


START = Progress()
"""The default for calls outside of a training: epoch 0, and hinges count the hardest negative alone."""


class Comparison(NamedTuple):
    """All that a loss may need: the B pairs of this process and all N pairs of the batch, one pair per row.

    A single process holds all pairs, so that B = N and `all_images` holds the same numbers as `images`.
    """

    images: Encoded
    texts: Encoded
    all_images: Encoded
    all_texts: Encoded
    image_positions: Int[Tensor, " B"]
    all_image_positions: Int[Tensor, " N"]
    positives: Int[Tensor, " B"]
    """Position of each of the B pairs among the N pairs."""
    batch: Batch
    progress: Progress

    @property
    def negatives(self) -> Bool[Tensor, "B N"]:
        """Return true where pair n shows another image. Another caption of the same image is not a negative."""
        return self.image_positions[:, None] != self.all_image_positions

    def scores(self, similarity: Similarity) -> tuple[Float[Tensor, "B N"], Float[Tensor, "N B"]]:
        """Score this process's images against all texts, and all images against this process's texts."""
        rows = similarity(self.images, self.all_texts)
        single = len(self.image_positions) == len(self.all_image_positions)  # both are one matrix, then
        columns = rows if single else similarity(self.all_images, self.texts)
        return rows, columns


class Loss(nn.Module):
    """One term of what training minimises. It maps a `Comparison` to a scalar, the mean over its B pairs.

    The parameters of a loss are trained with the encoders, on one process and on several.
    """

    weight: float = 1.0
    """Factor of the loss in the sum. The loss is logged without this factor."""
    plateau: float | None = None
    """Value of the loss when all similarities are equal and nothing is learned; None if there is no such value."""
    half_precision: bool = False
    """Whether the loss may use mixed precision. Ranking losses must not, since rounded similarities would tie."""

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        raise NotImplementedError(f"{type(self).__name__} has no forward(comparison), which returns the loss")


IMAGES, TEXTS = 256, 1024
"""Number of images, and of captions, that `Matcher.encode` gives to an encoder at a time."""


class Matcher(nn.Module):
    """Two encoders, the similarity of their outputs, and their losses. The trainer knows no other module.

    Args:
        tokenizer: turns captions into token ids; it is saved beside the weights.
        images: `(regions (B, R, F), mask (B, R)) -> Encoded`.
        texts: `(tokens (B, W), mask (B, W)) -> Encoded`.
        similarity: scores images against texts when the model is used.
        losses: the losses by name; training minimises their weighted sum.
        attention: returns how the regions and words of one pair attend to each other, if the system can show it.

    Raises:
        ValueError: there is no loss, so nothing would be learned; or a loss is no `Loss`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        images: nn.Module,
        texts: nn.Module,
        similarity: Similarity,
        losses: Mapping[str, Loss],
        *,
        attention: AttentionOfPair | None = None,
    ):
        super().__init__()
        if not losses:
            raise ValueError("losses is empty; expected at least one loss, or nothing would be trained")
        for name, loss in losses.items():
            if not isinstance(loss, Loss):
                raise ValueError(f"the loss {name!r} is a {type(loss).__name__}; expected a subclass of Loss")
        self.tokenizer = tokenizer
        self.images = images
        self.texts = texts
        self.similarity = similarity
        self.losses = nn.ModuleDict(losses)
        self.attention = attention

    def forward(self, batch: Batch, progress: Progress = START, gather: Gather = alone) -> dict[str, Float[Tensor, ""]]:
        """Encode a batch of pairs and return every loss, by name.

        Everything with parameters runs inside this call, so that a wrapper for many processes sees all gradients.

        Raises:
            ValueError: a loss is no scalar.
        """
        images, texts = (encoded.map(_full_precision) for encoded in self.encode_batch(batch))
        comparison = Comparison(
            images, texts, images.map(gather), texts.map(gather), batch.image_positions, gather(batch.image_positions),
            batch.positives, batch, progress,
        )  # fmt: skip
        kind = batch.regions.device.type
        mixed = torch.is_autocast_enabled(kind)
        losses = {}
        for name, loss in self.terms.items():
            with torch.autocast(kind, enabled=mixed and loss.half_precision):
                losses[name] = loss(comparison)
            if not isinstance(losses[name], Tensor) or losses[name].ndim:
                raise ValueError(
                    f"the loss {name!r} is {losses[name]!r}; expected a scalar tensor, the mean over pairs"
                )
        return losses

    def total(self, losses: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the sum that training minimises: each loss times its weight."""
        weighted = [self.terms[name].weight * loss for name, loss in losses.items()]
        return functools.reduce(torch.add, weighted)

    @property
    def terms(self) -> dict[str, Loss]:
        """Return `losses` as a plain dictionary. To the type checker, nn.ModuleDict holds modules, not losses."""
        return {name: cast(Loss, loss) for name, loss in self.losses.items()}

    def encode_batch(self, batch: Batch) -> tuple[Encoded, Encoded]:
        """Encode the images and the texts of a batch of pairs; row k of both is pair k.

        Raises:
            ValueError: an encoder returns something else than `Encoded`.
        """
        both = self.images(batch.regions, batch.region_mask), self.texts(batch.tokens, batch.token_mask)
        for encoder, encoded in zip((self.images, self.texts), both, strict=True):
            if not isinstance(encoded, Encoded):
                raise ValueError(f"{type(encoder).__name__} returns a {type(encoded).__name__}; expected an Encoded")
        return both

    def encode(self, dataset: Dataset) -> tuple[Encoded, Encoded]:
        """Encode all I images and all T captions of a split, each of them once."""
        return self.encode_images(dataset), self.encode_texts(dataset.captions)

    def encode_images(self, dataset: Dataset) -> Encoded:
        """Encode the images of a split, a few hundred at a time, in evaluation mode and without gradients.

        Raises:
            ValueError: there is no image.
        """
        if not len(dataset):
            raise ValueError("found no image to encode; expected at least one")
        positions = np.arange(len(dataset))
        blocks = (positions[k : k + IMAGES] for k in range(0, len(positions), IMAGES))
        return self._encode(self.images, (dataset.regions(block, self.device) for block in blocks))

    def encode_texts(self, captions: str | list[str]) -> Encoded:
        """Encode captions, or a single one, a thousand at a time, in evaluation mode and without gradients.

        Raises:
            ValueError: there is no caption.
        """
        tokens = self.tokenizer.encode_all([captions] if isinstance(captions, str) else captions)
        if not tokens:
            raise ValueError("found no caption to encode; expected at least one")
        width = max(map(len, tokens))
        blocks = (pad(tokens[k : k + TEXTS], width) for k in range(0, len(tokens), TEXTS))
        return self._encode(self.texts, ((ids.to(self.device), mask.to(self.device)) for ids, mask in blocks))

    @property
    def device(self) -> torch.device:
        """Return the device that holds the parameters."""
        return next(self.parameters()).device

    @torch.no_grad()
    def _encode(self, encoder: nn.Module, blocks: Iterable[tuple[Tensor, Tensor]]) -> Encoded:
        with evaluating(self):
            encoded = [encoder(*block) for block in blocks]
        return Encoded(*map(torch.cat, zip(*encoded, strict=True)))


def _full_precision(x: Tensor) -> Tensor:
    """Return `x` in full precision, in which encodings are compared even if mixed precision made them."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


@contextmanager
def evaluating(matcher: nn.Module) -> Iterator[None]:
    """Put the matcher into evaluation mode, and afterwards each of its parts back into the mode that it had before."""
    was_training = {part: part.training for part in matcher.modules()}
    matcher.eval()
    try:
        yield
    finally:
        for part, training in was_training.items():
            part.training = training


@dataclass(frozen=True, kw_only=True)
class System:
    """The system of a paper: a frozen dataclass of its choices, which builds a matcher. Subclass it for your own.

    Every choice is cast to its declared type.

    Raises:
        ValueError: a choice does not have its declared type.
    """

    published_sizes: ClassVar[Sizes] = Sizes(embed=1024, word=300, caption=0, layers=0)
    """The sizes of the paper."""
    published_training: ClassVar[Training] = Training(epochs=30)
    """The training of the paper, or of its released code, on Flickr30K, with one epoch of warm-up, which is ours. If
    its learning rate is not that of `Training`, the learning rates of the presets change in proportion."""
    version: ClassVar[int] = 1
    """Version of the code. Raise it when a change of the code changes results, so that earlier runs are not reused."""

    def __post_init__(self) -> None:
        check_fields(self)

    def tokenizer(self, captions: Iterable[str], min_count: int) -> Tokenizer:
        """Return a tokenizer made from training captions: their vocabulary, unless the system overrides this."""
        return Vocabulary.build(captions, min_count)

    def saved_tokenizer(self, folder: Path) -> Tokenizer:
        """Return the tokenizer that was saved beside the weights.

        Override this if `tokenizer` returns a class that `load_tokenizer` does not know.
        """
        return load_tokenizer(folder)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        """Build a new matcher. Its random weights come from torch's generator. `feature_size` is F."""
        raise NotImplementedError(f"{type(self).__name__} has no build(tokenizer, feature_size, sizes)")
