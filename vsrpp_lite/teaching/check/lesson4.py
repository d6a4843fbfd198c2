"""Exercises of `04_fusion`."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from vsrpp_lite.global_alignment import hinge
from vsrpp_lite.teaching.verdict import asked, exercise, number
from vsrpp_lite.training.metrics import ranks, recalls

LEAD = (
    "The right sentence of picture 2 leads by 0.4 in S_G. Each unit of mu adds 0.5 to the right sentence and "
    "0.55 to the wrong one. After how many units is the lead gone?"
)


@exercise
def exercise1(least: float, most: float) -> str:
    """The bounds of mu between which all three pictures of the hand example find their sentences."""
    number(least, 0.25, {"Picture 0 is wrong without S_L: solve its inequality for mu.": 0.0}, within=1e-6)
    number(most, 8, {LEAD: 0.4}, within=1e-6)
    return "The range is broad, like the broad top of the curve."


@exercise
def exercise2(choose: Callable[[np.ndarray, np.ndarray, np.ndarray, Sequence[float]], float]) -> str:
    """A function of (S_G, S_L, caption_to_image, mus) that returns the mu with the best rsum."""
    rng = np.random.default_rng(8)  # here, R@1 and the recalls of one direction choose another mu than rsum
    where = np.repeat(np.arange(20), 2)  # two captions for each picture
    parts = [0.5 * np.eye(20)[:, where] + rng.normal(size=(20, 40)) * noise for noise in (0.3, 0.2)]
    mus = np.arange(0, 4.25, 0.25)
    for both in (parts, parts[::-1]):
        sums = [recalls(*ranks(both[0] + mu * both[1], where), where)["rsum"] for mu in mus]
        found = float(asked(choose, *both, where, mus))
        assert found in mus, "Return one of the given values of mu."
        best = max(sums)
        assert sums[list(mus).index(found)] == best, (
            f"mu = {found:g} has rsum {sums[list(mus).index(found)]:.1f}, and the best one has {best:.1f}. "
            "Is it S_G + mu S_L, do you use `caption_to_image`, and do you take the largest rsum, which is the sum of "
            "all six recalls?"
        )
    return "Now call it with the scores of the dev split, and only then look at test."


@exercise
def exercise3(g: Tensor, local: Tensor) -> str:
    """Two 2 x 2 matrices. For one picture, the hinge of the sum is 0 and the sum of hinges is not; margin 0.2, mu 1."""
    g, local = (torch.as_tensor(part, dtype=torch.float32) for part in (g, local))
    assert g.shape == local.shape == (2, 2), "The answer is two matrices, 2 x 2 each."
    own, wrong = torch.arange(2), ~torch.eye(2, dtype=torch.bool)
    of_g, of_local = (hinge(part, own, wrong, margin=0.2, hardest=True) for part in (g, local))
    apart = of_g + of_local  # for each picture
    together, too_easy = (hinge(g + local, own, wrong, margin=margin, hardest=True) for margin in (0.4, 0.2))
    assert bool((apart > 1e-6).any()), "Both hinges are 0 here. One of the two parts must err."
    found, almost = (bool(((apart > 1e-6) & (of_sum <= 1e-6)).any()) for of_sum in (together, too_easy))
    assert found or not almost, "The left side has the margin (1 + mu) alpha = 0.4, and its hinge is not 0 with that."
    assert found, (
        "For a picture whose parts have a hinge, the hinge of the sum is not 0. Make the part that is right surer."
    )
    return "One part errs, and the other one is so sure that the sum is right."
