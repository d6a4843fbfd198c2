"""The contract that all systems share: two encoders, a similarity, and the losses that train them.

Letters, everywhere the same: I images, T texts, R regions, W words, D embedding size, F region feature size,
B pairs of this process, N pairs of the whole batch.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsrpp_lite.data.dataset import Batch, Dataset, pad
from vsrpp_lite.data.text import Tokenizer, Vocabulary, load_tokenizer
from vsrpp_lite.settings import Sizes, Training, check_at_least, check_fields


class Encoded(NamedTuple):
    """What both encoders of every system return, one row for each image or text."""

    pooled: Float[Tensor, "B D"]
    """One vector for the whole, of unit length."""
    fragments: Float[Tensor, "B N D"]
    """Its regions or words, of unit length (but for `VSRN(faithful=True)`), real ones first, missing ones zero."""
    mask: Bool[Tensor, "B N"]
    """True where a fragment exists."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Encoded":
        """The same function applied to all three, such as `lambda x: x[:8]`."""
        return Encoded(*map(function, self))


Similarity = Callable[[Encoded, Encoded], Float[Tensor, "I T"]]
"""Scores every image against every text. A module with parameters of its own is trained with the rest."""

AttentionOfPair = Callable[[Float[Tensor, "R D"], Float[Tensor, "W D"]], Float[Tensor, "W R"]]
"""Weights between the regions and the words of one pair, to look at."""

Gather = Callable[[Tensor], Tensor]
"""Joins the rows of all processes."""


def alone(x: Tensor) -> Tensor:
    """The `Gather` of a single process: nothing is to be joined."""
    return x


class Progress(NamedTuple):
    """How far training is."""

    epoch: int = 0
    """The number of epochs that are behind."""
    warming_up: bool = False
    """True in the first epochs, while hinges are summed over all negatives; see `Training.warmup_epochs`."""
    decays: float = 0.0
    """How often the learning rate has fallen to a tenth, with fractions: epoch / `Training.decay_every`."""


START = Progress()
"""The first epoch, without summed hinges."""


class Comparison(NamedTuple):
    """All that a loss may need: B pairs of this process, row for row, and all N pairs of the batch.

    A single process holds all pairs, so that B = N and `all_images` is `images`.
    """

    images: Encoded
    texts: Encoded
    all_images: Encoded
    all_texts: Encoded
    image_ids: Int[Tensor, " B"]
    all_image_ids: Int[Tensor, " N"]
    positives: Int[Tensor, " B"]
    """Which of the N pairs each of the B is."""
    batch: Batch
    progress: Progress

    @property
    def negatives(self) -> Bool[Tensor, "B N"]:
        """True where pair n shows another image. Another caption of the same image is no negative."""
        return self.image_ids[:, None] != self.all_image_ids

    def scores(self, similarity: Similarity) -> tuple[Float[Tensor, "B N"], Float[Tensor, "N B"]]:
        """Own images against all texts, and all images against own texts; one matrix, where one process has all."""
        rows = similarity(self.images, self.all_texts)
        columns = rows if self.all_images is self.images else similarity(self.all_images, self.texts)
        return rows, columns


class Loss(nn.Module):
    """One term of what training minimises: a `Comparison` to a scalar, the mean over its B pairs.

    Parameters of a loss are trained with the encoders, on one process and on several.
    """

    weight: float = 1.0
    """How much the loss counts in the sum. It is logged without this factor."""
    plateau: float | None = None
    """The value at which the loss rests when all similarities are equal and nothing is learned, where there is one."""
    half_precision: bool = False
    """Whether mixed precision may be used inside. Not for ranking losses: rounded similarities would tie."""

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        raise NotImplementedError


class Matcher(nn.Module):
    """Two encoders, how their outputs are compared, and what trains them. The only module that the trainer knows.

    Args:
        tokenizer: captions to token ids; it is kept beside the weights.
        images: `(regions (B, R, F), mask (B, R)) -> Encoded`.
        texts: `(tokens (B, W), mask (B, W)) -> Encoded`.
        similarity: scores images against texts when the model is used.
        losses: what training minimises, by name: the sum of all.
        attention: how the regions and words of one pair attend to each other, for systems that can show it.

    Raises:
        ValueError: there is no loss, so that nothing would be learned.
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
        self.tokenizer = tokenizer
        self.images = images
        self.texts = texts
        self.similarity = similarity
        self.losses = nn.ModuleDict(losses)
        self.attention = attention

    def forward(self, batch: Batch, progress: Progress = START, gather: Gather = alone) -> dict[str, Float[Tensor, ""]]:
        """Encode a batch of pairs and take every loss, by name.

        All that has parameters runs in here, so that a wrapper for many processes sees all gradients.
        """
        images, texts = (encoded.map(_full_precision) for encoded in self.encode_batch(batch))
        all_images = images if gather is alone else images.map(gather)
        all_texts = texts if gather is alone else texts.map(gather)
        comparison = Comparison(
            images, texts, all_images, all_texts, batch.image_ids, gather(batch.image_ids), batch.positives,
            batch, progress,
        )  # fmt: skip
        kind = batch.regions.device.type
        mixed = torch.is_autocast_enabled(kind)
        losses = {}
        for name, loss in self.terms.items():
            with torch.autocast(kind, enabled=mixed and loss.half_precision):
                losses[name] = loss(comparison)
        return losses

    def total(self, losses: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """The sum that is minimised: each loss times its weight."""
        weighted = [self.terms[name].weight * loss for name, loss in losses.items()]
        return functools.reduce(torch.add, weighted)

    @property
    def terms(self) -> dict[str, Loss]:
        """`losses` as a plain dictionary: nn.ModuleDict does not know that its modules are of the type `Loss`."""
        return {name: cast(Loss, loss) for name, loss in self.losses.items()}

    def encode_batch(self, batch: Batch) -> tuple[Encoded, Encoded]:
        """The images and the texts of a batch of pairs, row for row."""
        return self.images(batch.regions, batch.region_mask), self.texts(batch.tokens, batch.token_mask)

    def encode(self, dataset: Dataset) -> tuple[Encoded, Encoded]:
        """All I images and all T captions of a split, each encoded once."""
        return self.encode_images(dataset), self.encode_texts(dataset.captions)

    def encode_images(self, dataset: Dataset, block: int = 256) -> Encoded:
        """The images of a split, without gradient, in evaluation mode, `block` at a time."""
        positions = np.arange(len(dataset))
        blocks = [positions[k : k + block] for k in range(0, len(positions), block)]
        return self._encode(self.images, (dataset.regions(block, self.device) for block in blocks))

    def encode_texts(self, captions: str | list[str], block: int = 1024) -> Encoded:
        """Captions, or a single one, without gradient, in evaluation mode, `block` at a time."""
        tokens = self.tokenizer.encode_all([captions] if isinstance(captions, str) else captions)
        width = max(map(len, tokens))
        blocks = (pad(tokens[k : k + block], width) for k in range(0, len(tokens), block))
        return self._encode(self.texts, ((ids.to(self.device), mask.to(self.device)) for ids, mask in blocks))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @torch.no_grad()
    def _encode(self, encoder: nn.Module, blocks: Iterable[tuple[Tensor, Tensor]]) -> Encoded:
        with evaluating(self):
            encoded = [encoder(*block) for block in blocks]
        return Encoded(
            pooled=torch.cat([part.pooled for part in encoded]),
            fragments=torch.cat([part.fragments for part in encoded]),
            mask=torch.cat([part.mask for part in encoded]),
        )


def _full_precision(x: Tensor) -> Tensor:
    """Encodings are compared in full precision, also where mixed precision made them."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


@contextmanager
def evaluating(matcher: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards the mode of before."""
    was_training = matcher.training
    matcher.eval()
    try:
        yield
    finally:
        matcher.train(was_training)


@dataclass(frozen=True, kw_only=True)
class System:
    """A paper: a frozen dataclass of its choices that builds its matcher in a few lines. Subclass it for your own.

    Every choice is cast to its declared type, and numbers must not be negative.

    Raises:
        ValueError: a choice has a value that its type does not have, or a negative one.
    """

    published: ClassVar[Sizes] = Sizes(embed=1024, word=300, caption=0, layers=0)
    """The sizes of the paper."""
    recipe: ClassVar[Training] = Training(epochs=30)
    """How the paper, or its released code, trains the system on Flickr30K."""
    version: ClassVar[int] = 1
    """Raise it when the code of the system changes its results, so that earlier runs are not taken for its own."""

    def __post_init__(self) -> None:
        check_fields(self)
        numbers = [field.name for field in fields(self) if isinstance(getattr(self, field.name), (int, float))]
        check_at_least(self, 0, *numbers)

    def tokenizer(self, captions: Iterable[str], min_count: int) -> Tokenizer:
        """How captions become token ids: by the words of the training captions, unless a system says otherwise."""
        return Vocabulary.build(captions, min_count)

    def saved_tokenizer(self, folder: Path) -> Tokenizer:
        """The tokenizer that was saved beside the weights; a system with a kind of its own reads it here."""
        return load_tokenizer(folder)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        """A new matcher with random weights, drawn from torch's generator. `feature_size` is F."""
        raise NotImplementedError
