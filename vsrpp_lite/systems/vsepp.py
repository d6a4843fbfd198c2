"""VSE++: Improving Visual-Semantic Embeddings with Hard Negatives (Faghri et al., BMVC 2018).

    v = l2norm( W mean(X) + b )      (B, D)   X (B, R, F): regions, of which we take the mean
    t = l2norm( GRU(words) )         (B, D)   state of the GRU at <end>
    S = v . t                                 L = hinge(S), hardest negatives

Published recalls at 1, 5, 10, of text then of image retrieval (as VSR++'s slides print them): Flickr30K 52.9 79.1 87.2
39.6 69.6 79.5; MS-COCO 1K 64.6 89.1 95.7 52.0 83.1 92.0. Other sources print higher R@5 for the same models.

The paper encodes a picture as one vector of a fine-tuned ResNet152, not as a mean of regions. On detected regions, the
same objective is reported at Flickr30K R@1 of 62.2 and 45.7. With `Training(warmup_epochs=epochs)`, which sums hinges
in all epochs, this system is VSE0 (whose release also leaves pictures unnormalised). With `measure="order"`,
`margin=0.05` and summed hinges in all epochs it is order embeddings, which the release trains at a rate of 0.001.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.global_alignment import Hinge, SentenceGRU, cosine
from vsrpp_lite.matcher import Encoded, Matcher, System
from vsrpp_lite.settings import Sizes, Training
from vsrpp_lite.systems.encoders import PlainRegions


def order(images: Encoded, texts: Encoded) -> Float[Tensor, "I T"]:
    """Return S = -|max(0, t - v)|, of absolute values. S is highest, 0, if v is at least t in every dimension."""
    sentences = texts.pooled.abs()
    # image by image, since (I, T, D) numbers at once would fill the memory
    return -torch.stack([(sentences - image).clamp(min=0).norm(dim=1) for image in images.pooled.abs()])


@dataclass(frozen=True, kw_only=True)
class VSEpp(System):
    """Global alignment of a sentence with the mean of a picture's regions."""

    measure: Literal["cosine", "order"] = "cosine"
    margin: float = 0.2

    published_sizes: ClassVar[Sizes] = Sizes(embed=1024, word=300, caption=0, layers=0)
    published_training: ClassVar[Training] = Training(epochs=30, decay_every=15)

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        similarity = cosine if self.measure == "cosine" else order
        return Matcher(
            tokenizer,
            images=PlainRegions(feature_size, sizes.embed),
            texts=SentenceGRU(len(tokenizer), sizes.word, sizes.embed, bidirectional=False),
            similarity=similarity,
            losses={"ranking": Hinge(similarity, self.margin)},
        )
