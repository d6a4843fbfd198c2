"""VSE++: Improving Visual-Semantic Embeddings with Hard Negatives (Faghri et al., BMVC 2018).

    v = l2norm( W mean(X) + b )      (B, D)   X (B, R, F): the mean region stands for the picture
    t = l2norm( GRU(words) )         (B, D)   its state at <end>
    S = v . t                                 L = hinge(S), hardest negatives

Published, text then image retrieval at 1, 5, 10, as VSR++'s slides print them: Flickr30K 52.9 79.1 87.2 39.6 69.6 79.5;
MS-COCO 1K 64.6 89.1 95.7 52.0 83.1 92.0. Other sources print higher R@5 for the same models.

The published picture is one vector of a fine-tuned ResNet152, not a mean of regions: on detected regions the same
objective is reported at Flickr30K R@1 of 62.2 and 45.7. VSE0 is this system trained with
`Training(warmup_epochs=epochs)`, hinges summed throughout (its release also leaves pictures unnormalised); order
embeddings are `measure="order"` (published with a margin of 0.05).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.global_alignment import Hinge, SentenceGRU, cosine
from vsrpp_lite.matcher import Encoded, Matcher, System
from vsrpp_lite.settings import Sizes, Training
from vsrpp_lite.systems.encoders import PlainRegions


def order(images: Encoded, texts: Encoded) -> Float[Tensor, "I T"]:
    """S = -| max(0, t - v) | of absolute values: nothing is lost where the picture holds all that the text says."""
    return -(texts.pooled.abs() - images.pooled.abs()[:, None]).clamp(min=0).norm(dim=2)


@dataclass(frozen=True, kw_only=True)
class VSEpp(System):
    """Global alignment of a picture without structure and a sentence."""

    measure: Literal["cosine", "order"] = "cosine"
    margin: float = 0.2

    published: ClassVar[Sizes] = Sizes(embed=1024, word=300, caption=0, layers=0)
    recipe: ClassVar[Training] = Training(epochs=30, decay_every=15)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        similarity = cosine if self.measure == "cosine" else order
        return Matcher(
            tokenizer,
            images=PlainRegions(feature_size, sizes.embed),
            texts=SentenceGRU(len(tokenizer), sizes.word, sizes.embed, bidirectional=False),
            similarity=similarity,
            losses={"ranking": Hinge(similarity, self.margin)},
        )
