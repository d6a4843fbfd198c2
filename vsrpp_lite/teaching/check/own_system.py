"""Exercises of `add_your_own_system`."""

from typing import Any

from torch import Tensor

from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.matcher import System
from vsrpp_lite.settings import Sizes
from vsrpp_lite.teaching.verdict import exercise, tensor


@exercise
def exercise1(two_largest: Tensor, features: Tensor) -> str:
    """The mean of the two largest values of each column of features (R, D)."""
    ordered = features.sort(dim=0, descending=True).values
    tensor(
        two_largest,
        ordered[:2].mean(0),
        {
            "That is the sum of the two. Take the mean.": ordered[:2].sum(0),
            "That is the largest alone.": ordered[0],
            "That is the mean of all regions.": features.mean(0),
        },
    )
    return "Weights of 1/2 for the first two ranks, and 0 for the others, do the same."


@exercise
def exercise2(system: System) -> str:
    """A system that learns to pool regions, and takes the mean of words."""
    assert isinstance(system, System), "The answer is a system, such as PicturesOnly()."
    matcher = system.build(Vocabulary.build(["a dog sees a cat"]), 6, Sizes(embed=8, word=4, caption=4, layers=1))
    encoders: list[Any] = [matcher.images, matcher.texts]
    pools = [encoder.pooled.pool for encoder in encoders]
    assert pools[1] is None, "Its words are still pooled by learned weights. Give `texts` the pooling `mean`."
    assert pools[0] is not None, "Its regions are pooled by a mean. Leave them as they are in GPO."
    return "Only the pictures learn to pool."
