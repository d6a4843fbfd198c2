"""Exercises of `11_searching_a_million`."""

from collections.abc import Callable, Sequence

import numpy as np

from vsrpp_lite.teaching.verdict import asked, exercise, number
from vsrpp_lite.two_stage import two_stage


@exercise
def exercise1(candidates: float) -> str:
    """The K for which both stages cost the same."""
    per_candidate = 1 + 2 * 36 * 12
    mistakes = {
        "Each word meets each region twice: once for the affinity, and once for what it attends to.": (
            1e6 / (1 + 36 * 12)
        ),
        "D cancels on both sides.": 1e6 / (1024 * per_candidate),
    }
    number(candidates, 1e6 / per_candidate, mistakes, within=2)
    return "Up to about a thousand candidates, the second stage costs less than the first."


@exercise
def exercise2(search: Callable[[np.ndarray, np.ndarray, np.ndarray, int], Sequence[int]]) -> str:
    """A function of (query, vectors, centres, nprobe) that returns the positions of the ten nearest, the best first."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centres, query = vectors[:20], vectors[57]
    group = (vectors @ centres.T).argmax(1)
    opened = np.argsort(-(centres @ query))
    for nprobe in (20, 5, 1):
        found = [int(k) for k in asked(search, query, vectors, centres, nprobe)]
        members = np.flatnonzero(np.isin(group, opened[:nprobe]))
        expected = members[np.argsort(-(vectors[members] @ query))[:10]].tolist()
        outside = set(found) - set(members.tolist())
        assert not outside, (
            f"With {nprobe} open groups, position {min(outside)} cannot be found: its group is closed. "
            "Or are these positions within the open groups? Turn them into positions in `vectors`."
        )
        assert found != expected[::-1], "The order is the worst first. The largest inner product comes first."
        assert found == expected, f"With {nprobe} open groups expected {expected[:3]}..., found {found[:3]}..."
    return "With all groups open the search is exact, and with few it looks at few vectors."


@exercise
def exercise3(share: Callable[[np.ndarray, np.ndarray, np.ndarray, int], float]) -> str:
    """A function of (first scores, whole scores, right pictures, K): R@1 of two stages, in per cent."""
    rng = np.random.default_rng(0)
    whole, own = rng.normal(size=(30, 60)), np.repeat(np.arange(30), 2)
    whole[own, np.arange(60)] += 2.0
    first = whole + 1.5 * rng.normal(size=whole.shape)
    for count in (30, 3):
        number(
            asked(share, first, whole, own, count),
            100 * (two_stage(first, whole, count) == own).mean(),
            {
                "Give per cent.": (two_stage(first, whole, count) == own).mean(),
                "The second stage does not choose here: among the candidates, the best by the whole score wins.": (
                    100 * (first.argmax(0) == own).mean()
                ),
                "Every picture is a candidate here. Only the K best pictures of the first stage may be candidates.": (
                    100 * (whole.argmax(0) == own).mean()
                ),
            },
            within=0.01,
        )
    return "Now give it the first stages of two models."
