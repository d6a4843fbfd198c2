"""The contract that all systems share: two encoders, a similarity, the similarities that a hinge trains.

Letters, everywhere the same: I images, T texts, R regions, W words, D embedding size, F region feature size,
B batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vsrpp_lite.data import Batch, Dataset, pad
from vsrpp_lite.text import Vocabulary

if TYPE_CHECKING:
    from vsrpp_lite.train import Training


class Encoded(NamedTuple):
    """What both encoders of every system return, one row an image or a text."""

    pooled: Float[Tensor, "B D"]
    """One vector for the whole, of unit length."""
    fragments: Float[Tensor, "B N D"]
    """Its regions or words, of unit length (but for `VSRN(faithful=True)`), real ones first, missing ones zero."""
    mask: Bool[Tensor, "B N"]
    """True where a fragment exists."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Encoded":
        """The same function of all three, such as `lambda x: x[:8]`."""
        return Encoded(*map(function, self))


Similarity = Callable[[Encoded, Encoded], Float[Tensor, "I T"]]


Pairs = tuple[Encoded, Encoded]
"""Images and their texts, row for row."""

Contrast = Callable[[Pairs, Pairs, Bool[Tensor, "B N"], float], Float[Tensor, ""]]
"""A loss of B pairs against all N of the batch (fewer, where several processes share it), the mean over B:
`(pairs, all pairs, true where pair n shows another image, how often the learning rate has fallen to a tenth)`."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large a system is built; what it computes is not touched."""

    embed: int
    """D, of regions, words, images and sentences."""
    word: int
    """Word embedding, in both the sentence encoder and the caption decoder."""
    caption: int
    """Hidden state of the caption decoder."""
    layers: int
    """Of graph reasoning."""


class Matcher(nn.Module):
    """Two encoders and how their outputs are compared. The only module that the trainer knows.

    Args:
        images: `(regions (B, R, F), mask (B, R)) -> Encoded`.
        texts: `(tokens (B, W), mask (B, W)) -> Encoded`.
        similarity: scores a pair when searching.
        hinged: the similarities under a ranking loss, by name; `similarity` alone, if not given.
        margin: alpha of the hinge.
        contrasted: further losses of a pair against the others of its batch, by name; see `Contrast`.
        added: losses that need no other pair, by name: `(images, batch) -> loss`, the mean over the batch.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        images: nn.Module,
        texts: nn.Module,
        similarity: Similarity,
        *,
        margin: float,
        hinged: Mapping[str, Similarity] | None = None,
        contrasted: Mapping[str, Contrast] | None = None,
        added: Mapping[str, nn.Module] | None = None,
    ):
        super().__init__()
        self.vocabulary = vocabulary
        self.images = images
        self.texts = texts
        self.similarity = similarity
        self.hinged = dict(hinged or {"ranking": similarity})
        self.margin = margin
        self.contrasted = dict(contrasted or {})
        self.added = nn.ModuleDict(added or {})

    def forward(self, batch: Batch) -> tuple[Encoded, Encoded, dict[str, Tensor]]:
        """Encode a batch of pairs, and take the losses that need no other pair."""
        images = self.images(batch.regions, batch.region_mask)
        texts = self.texts(batch.tokens, batch.token_mask)
        return images, texts, {name: loss(images, batch) for name, loss in self.added.items()}

    def encode(self, dataset: Dataset) -> tuple[Encoded, Encoded]:
        """All I images and all T captions of a split, each encoded once."""
        return self.encode_images(dataset), self.encode_texts(dataset.captions)

    def encode_images(self, dataset: Dataset, block: int = 256) -> Encoded:
        """The images of a split, without gradient, in evaluation mode, `block` at a time."""
        positions = np.arange(len(dataset))
        blocks = [positions[k : k + block] for k in range(0, len(positions), block)]
        return self._encode(self.images, (dataset.regions(block, self.device) for block in blocks))

    def encode_texts(self, captions: list[str], block: int = 1024) -> Encoded:
        """Captions as text, without gradient, in evaluation mode, `block` at a time."""
        tokens = self.vocabulary.encode_all(captions)
        width = max(map(len, tokens))
        blocks = (pad(tokens[k : k + block], width) for k in range(0, len(tokens), block))
        return self._encode(self.texts, ((ids.to(self.device), mask.to(self.device)) for ids, mask in blocks))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @torch.no_grad()
    def _encode(self, encoder: nn.Module, blocks: Any) -> Encoded:
        was_training = self.training
        self.eval()
        try:
            return Encoded(*map(torch.cat, zip(*(encoder(*block) for block in blocks), strict=True)))
        finally:
            self.train(was_training)


class System(Protocol):
    """A paper: a frozen dataclass of its choices that builds its matcher in a few lines."""

    published: ClassVar[Sizes]
    """The sizes of the paper."""
    recipe: ClassVar["Training"]
    """How the paper, or its released code, trains it on Flickr30K."""

    def build(self, vocabulary: Vocabulary, feature_size: int, sizes: Sizes) -> Matcher:
        """A new matcher with random weights, drawn from torch's generator."""
        ...
