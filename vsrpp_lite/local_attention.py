"""Lesson 3. Local attention: every word attends to regions (or every region to words), for all pairs at once.

This is SCAN (Lee et al., ECCV 2018, eqs. 1-8) and VSR++'s S_L. With s the cosines of the regions and words of a pair,

    a     = softmax_context( temperature * norm_query( leaky(s) ) )     the attention
    c_q   = sum_k a_qk context_k                                        the attended vector of query q
    rho_q = cos(query_q, c_q)            S_L = pool_q rho_q

For "t2i" the queries are words and the context is regions; for "i2t" the queries are regions and the context is words.
Attended vectors for each query of every *pair* would be (I, T, W, D) numbers. We never build them, since both parts of
the cosine are known without them:

    query . c   = sum_k a_k s_k                      the cosines again
    |c|^2       = a^T G a,   G = context context^T   (R, R) per image, or (W, W) per text

Captions of one length form a rectangle, so we pack words by length and compute with no padding. A missing region is a
zero vector, which adds nothing to s, to G or to a norm. It takes a share of the softmax, but this only makes c shorter,
and the cosine does not depend on the length of c.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import leaky_relu

from vsrpp_lite.matcher import Encoded

Direction = Literal["t2i", "i2t"]
Pooling = Literal["mean", "lse", "max", "sum"]
TINY = 1e-24
"""Smallest number under a square root: at zero, the gradient of a square root is infinite."""

REGIONS, WORDS = 1, 2
"""Axes of a block of affinities, (I, R, W, T)."""


def cross_attention(
    images: Encoded,
    texts: Encoded,
    *,
    direction: Direction = "t2i",
    pooling: Pooling = "mean",
    temperature: float = 9.0,
    lse: float = 6.0,
) -> Float[Tensor, "I T"]:
    """Return S_L of every image and every text.

    Fragments are unit vectors. Real ones come first, and missing regions are zero.

    Args:
        direction: in "t2i" words ask regions; in "i2t" regions ask words.
        pooling: how the queries' cosines become one: mean (AVG), log-sum-exp with factor `lse` (LSE), max or sum.
        temperature: the number that multiplies cosines before the softmax, SCAN's lambda_1: 9 for t2i, 4 for i2t. A
            larger one makes the attention sharper. SCAN's paper calls it the inversed temperature. `InfoNCE` divides by
            what it calls temperature, as CLIP does.
        lse: factor of log-sum-exp pooling.

    Raises:
        ValueError: there is no such direction or pooling.
    """
    _check_direction(direction)
    lengths, order = texts.mask.sum(1).sort(stable=True)
    found, counts = lengths.unique_consecutive(return_counts=True)
    groups = zip(found.tolist(), order.split(counts.tolist()), strict=True)
    # the texts become the last axis, along which memory is contiguous
    packed = [texts.fragments[same, :length].transpose(0, 1) for length, same in groups]
    affinities = _affinities(images.fragments, packed)
    if direction == "t2i":
        grams = [images.fragments @ images.fragments.transpose(1, 2)] * len(packed)  # the same G for all lengths
    else:
        grams = [torch.einsum("wtd,vtd->twv", words, words) for words in packed]
    scores = [
        _pool(_query_cosines(affinity, gram, direction, temperature), images.mask, direction, pooling, lse)
        for affinity, gram in zip(affinities, grams, strict=True)
    ]
    return torch.cat(scores, 1)[:, order.argsort()]


def _check_direction(direction: str) -> None:
    if direction not in get_args(Direction):
        raise ValueError(f"direction is {direction!r}; expected t2i or i2t")


def _affinities(
    regions: Float[Tensor, "I R D"], packed: list[Float[Tensor, "_ _ D"]]
) -> tuple[Float[Tensor, "I R _ _"], ...]:
    """Return s, the cosine of every region and every word: *one* product, cut into a block (I, R, W, T) per length."""
    every = regions.flatten(0, 1) @ torch.cat([words.flatten(0, 1) for words in packed]).T
    blocks = every.view(*regions.shape[:2], -1).split([words.shape[:2].numel() for words in packed], 2)
    return tuple(block.unflatten(2, words.shape[:2]) for block, words in zip(blocks, packed, strict=True))


def _query_cosines(
    affinity: Float[Tensor, "I R W T"], gram: Float[Tensor, "_ N N"], direction: Direction, temperature: float
) -> Float[Tensor, "I Q T"]:
    """Return r, the cosine of each query and its attended vector. `gram` is G of the regions or of the words."""
    weights = _attention(affinity, direction, temperature)
    if direction == "t2i":
        context, weighted = REGIONS, torch.bmm(gram, weights.flatten(2)).view_as(weights)
    else:
        context, weighted = WORDS, torch.einsum("twv,irvt->irwt", gram, weights)
    squared_length = (weights * weighted).sum(context)
    return (weights * affinity).sum(context) * squared_length.clamp(min=TINY).rsqrt()


def _attention(
    affinity: Float[Tensor, "I R W T"], direction: Direction, temperature: float
) -> Float[Tensor, "I R W T"]:
    """Return a: the cosines, clipped and normalised over the queries, then a softmax over the context.

    Released code clips with a slope of 0.1, where the paper has a ReLU.
    """
    clipped = leaky_relu(affinity, 0.1)
    query, context = (WORDS, REGIONS) if direction == "t2i" else (REGIONS, WORDS)
    # .norm() would be slower, since this axis is not the last
    length = (clipped * clipped).sum(query, keepdim=True).clamp(min=TINY).sqrt() + 1e-8
    return (clipped * (temperature / length)).softmax(context)


def _pool(
    cosines: Float[Tensor, "I Q T"], mask: Bool[Tensor, "I R"], direction: Direction, pooling: Pooling, lse: float
) -> Float[Tensor, "I T"]:
    """Return S_L of each pair from its queries' cosines. Missing regions do not count as queries."""
    if direction == "t2i":
        mask = mask.new_ones(1, cosines.shape[1])
    present = mask[:, :, None]
    match pooling:
        case "mean":
            return (cosines * present).sum(1) / present.sum(1)
        case "sum":
            return (cosines * present).sum(1)
        case "max":
            return cosines.masked_fill(~present, -torch.inf).amax(1)
        case "lse":
            return (lse * cosines).masked_fill(~present, -torch.inf).logsumexp(1) / lse
    raise ValueError(f"pooling is {pooling!r}; expected mean, lse, max or sum")


def attention_map(
    regions: Float[Tensor, "R D"],
    words: Float[Tensor, "W D"],
    *,
    direction: Direction = "t2i",
    temperature: float = 9.0,
) -> Float[Tensor, "W R"]:
    """Return the attention of one pair. Each row sums to one for t2i, and each column for i2t.

    Raises:
        ValueError: there is no such direction.
    """
    _check_direction(direction)
    return _attention((regions @ words.T)[None, :, :, None], direction, temperature)[0, :, :, 0].T
