"""SCAN: Stacked Cross Attention for Image-Text Matching (Lee et al., ECCV 2018).

    v_r = l2norm(W_f x_r + b)                   (B, R, D)   regions, each projected by itself
    t_w = l2norm(mean of both GRU directions)   (B, W, D)   words
    S = cross attention, pooled                 L = hinge(S)

There are four variants, in `VARIANTS`: words ask regions (t2i) or regions ask words (i2t), and the cosines of those who
ask are pooled by mean (AVG) or log-sum-exp (LSE).
Published recalls at 1, 5, 10, of text then of image retrieval (the average of *two* models, t2i AVG and i2t LSE):
Flickr30K 67.4 90.3 95.8 48.6 77.7 85.2; MS-COCO 1K 72.7 94.8 98.4 58.8 88.4 94.8. The model t2i AVG alone: Flickr30K
61.8 87.5 93.7 45.8 74.4 83.0.

Released code clips with a slope of 0.1 where the paper has a ReLU, and counts `<start>` and `<end>` as words. We do the
same, since all published numbers come from this code.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.global_alignment import Hinge, SentenceGRU
from vsrpp_lite.local_attention import Direction, Pooling, attention_map, cross_attention
from vsrpp_lite.matcher import Matcher, System
from vsrpp_lite.settings import Sizes, Training, check_at_least
from vsrpp_lite.systems.encoders import PlainRegions


@dataclass(frozen=True, kw_only=True)
class SCAN(System):
    """Local alignment: cross attention between regions and words."""

    direction: Direction = "t2i"
    pooling: Pooling = "mean"
    temperature: float = 9.0
    """Sharpness of the attention; see `cross_attention`. The paper has 9 for t2i and 4 for i2t: set both together."""
    lse: float = 6.0
    """Factor of log-sum-exp pooling: 6 for t2i; for i2t 5 on Flickr30K and 20 on COCO."""
    margin: float = 0.2

    published_sizes: ClassVar[Sizes] = Sizes(embed=1024, word=300, caption=0, layers=0)
    published_training: ClassVar[Training] = Training(epochs=30, decay_every=15)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self, 0, "temperature", "margin")
        if self.lse <= 0:  # log-sum-exp divides by it
            raise ValueError(f"lse is {self.lse:g}; expected a number above zero")

    def build(self, tokenizer: Tokenizer, feature_size: int, sizes: Sizes) -> Matcher:
        similarity = partial(
            cross_attention,
            direction=self.direction,
            temperature=self.temperature,
            pooling=self.pooling,
            lse=self.lse,
        )
        return Matcher(
            tokenizer,
            images=PlainRegions(feature_size, sizes.embed),
            texts=SentenceGRU(len(tokenizer), sizes.word, sizes.embed, bidirectional=True),
            similarity=similarity,
            losses={"ranking": Hinge(similarity, self.margin)},
            attention=partial(attention_map, direction=self.direction, temperature=self.temperature),
        )


VARIANTS = {
    "t2i LSE": SCAN(pooling="lse"),
    "t2i AVG": SCAN(),
    "i2t LSE": SCAN(direction="i2t", pooling="lse", temperature=4.0, lse=5.0),
    "i2t AVG": SCAN(direction="i2t", temperature=4.0),
}
"""The four published variants, as trained on Flickr30K. The second and the third form the published ensemble."""
