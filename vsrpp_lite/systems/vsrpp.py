"""VSR++: Improving Visual Semantic Reasoning for Fine-Grained Image-Text Matching (ICPR 2020).

    images, V*   as in VSRN           texts   Bi-GRU: sentence (B, D) and words (B, W, D)
    S = S_G + mu S_L                  S_G = cosine of the pooled vectors, S_L = words attending to V*
    L = hinge(S) + caption loss of V*

Published recalls at 1, 5, 10, of text then of image retrieval: Flickr30K 72.6 92.7 97.2 56.3 82.7 89.0; MS-COCO 1K
76.6 95.2 98.2 63.4 90.6 95.7.

We know the paper by its slides and its abstract. They do not say the following, which we surmise: words attend to
regions, not regions to words; normalisation and temperature are SCAN's; word cosines are averaged; S_L uses V*, and
both parts share one D; the hinge counts the hardest negatives of the fused S, with the margin 0.2; each row is one
model.

We read two rows of its ablation as `fusion="loss"`, with a hinge on S_G, a hinge on S_L, and scores from S_G; and as
`caption_loss=False`. Its rows for one branch alone are systems of other papers. Our `fusion="global"` and
`fusion="local"` are the same model with one branch.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.fusion import fusion
from vsrpp_lite.global_alignment import Hinge, SentenceGRU, cosine
from vsrpp_lite.local_attention import Direction, Pooling, attention_map, cross_attention
from vsrpp_lite.matcher import Loss, Matcher, Similarity, System
from vsrpp_lite.settings import Sizes, Training, check_at_least
from vsrpp_lite.systems.encoders import GraphRegions, Norm


@dataclass(frozen=True, kw_only=True)
class VSRpp(System):
    """Fusion of global and local alignment, with graph reasoning and a caption loss.

    Raises:
        ValueError: a choice is not one of those that its type names, is negative, or does not go with another one.
    """

    mu: float = 2.0
    """Weight of the local similarity."""
    bidirectional: bool = True
    """Whether GRUs read words in both directions ("full" in the paper) or in one ("GRU")."""
    caption_loss: bool = True
    """Whether to train the caption decoder of lesson 5 beside the ranking loss."""
    fusion: Literal["similarity", "loss", "global", "local"] = "similarity"
    """What is fused: the similarities are added, or their losses, or one branch is kept alone."""
    direction: Direction = "t2i"
    pooling: Pooling = "mean"
    temperature: float = 9.0
    """Sharpness of the attention; see `cross_attention`. SCAN has 9 for t2i and 4 for i2t: set both together."""
    margin: float = 0.2
    norm: Norm = "features"
    """How V* is normalised; see `encoders.Norm`."""

    published_sizes: ClassVar[Sizes] = Sizes(embed=2048, word=300, caption=512, layers=4)
    published_training: ClassVar[Training] = Training(epochs=30)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 0, "mu", "temperature", "margin")
        if self.direction == "i2t" and self.norm == "regions":
            found = 'direction is "i2t" and norm is "regions"'
            raise ValueError(f"{found}; expected another norm, since regions that ask must be unit vectors")

    @property
    def local(self) -> Similarity:
        """Return S_L as this system computes it."""
        return partial(cross_attention, direction=self.direction, pooling=self.pooling, temperature=self.temperature)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        similarity: Similarity = cosine
        if self.fusion == "similarity":
            similarity = partial(fusion, mu=self.mu, local=self.local)
        elif self.fusion == "local":
            similarity = self.local
        losses: dict[str, Loss] = {"ranking": Hinge(similarity, self.margin)}
        if self.fusion == "loss":
            losses = {"global": Hinge(cosine, self.margin), "local": Hinge(self.local, self.margin)}
        if self.caption_loss:
            losses["caption"] = CaptionDecoder(len(tokenizer), sizes.word, sizes.embed, sizes.caption)
        images = GraphRegions(feature_size, sizes.embed, sizes.layers, norm=self.norm, gru=self.fusion != "local")
        texts = SentenceGRU(len(tokenizer), sizes.word, sizes.embed, bidirectional=self.bidirectional)
        return Matcher(
            tokenizer,
            images,
            texts,
            similarity,
            losses,
            attention=partial(attention_map, direction=self.direction, temperature=self.temperature),
        )
