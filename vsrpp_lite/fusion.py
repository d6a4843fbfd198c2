"""Lesson 4. Fusion: the similarity of VSR++ is a global one plus mu times a local one.

    S(I, T) = S_G(I, T) + mu S_L(I, T)            one hinge on S: *fusion of similarities*
    L       = hinge(S_G) + hinge(S_L)             two hinges on shared encoders: *fusion at the loss*

With a fixed margin alpha, mu has two effects. It weighs the local part. It also shrinks the margin relative to S to
alpha / (1 + mu), since S lies in [-(1 + mu), 1 + mu]. To separate the two effects, let the margin grow with 1 + mu:
`VSRpp(mu=mu, margin=0.2 * (1 + mu) / 3)` has the effective margin of mu = 2 at every mu.
"""

from jaxtyping import Float
from torch import Tensor

from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import Encoded, Similarity


def fusion(
    images: Encoded,
    texts: Encoded,
    *,
    mu: float | Float[Tensor, ""],
    local: Similarity = cross_attention,
) -> Float[Tensor, "I T"]:
    """Return S = S_G + mu S_L. S_G is the cosine of the pooled vectors, S_L is `local`, and mu may be learned."""
    return cosine(images, texts) + mu * local(images, texts)
