"""Exercises of `09_what_recall_cannot_see`."""

from collections.abc import Sequence

import numpy as np

from vsrpp_lite.data.scenes.facts import read
from vsrpp_lite.data.scenes.probes import Probe, in_one_half, middles
from vsrpp_lite.data.scenes.truth import holds
from vsrpp_lite.data.scenes.world import WIDTH, Scene
from vsrpp_lite.teaching.verdict import exercise, number

SMALL, BIG = {"small", "little", "tiny"}, {"big", "large", "huge"}


@exercise
def exercise1(a: float, b: float, c: float) -> str:
    """AP@R of the three queries."""
    number(a, 1, within=1e-6)
    number(
        b,
        1 / 4,
        {
            "At place 2, one of two answers is right: the precision is one half. The sum is divided by R = 2.": 1 / 2,
            "R is 2, so place 3 does not count.": (1 / 2 + 2 / 3) / 2,
            "There are two slips: the precision at place 2 is one half, and the sum is divided by R = 2.": 1,
        },
        within=1e-6,
    )
    number(
        c,
        1 / 2,
        {
            "The second right answer stands at place 9, outside of the first R = 2.": (1 + 2 / 9) / 2,
            "Divide by R = 2, the number of right answers, and not by the number of those that were found.": 1,
        },
        within=1e-6,
    )
    return "R@1 is 1, 0 and 1, so it cannot tell the first from the third."


@exercise
def exercise2(sentence: str, right: np.ndarray, scenes: Sequence[Scene]) -> str:
    """Your sentence, and for each test picture whether the sentence is true of it."""
    facts = read(sentence)
    expected = np.array([holds(facts, scene) for scene in scenes])
    found = np.asarray(right)
    assert found.shape == expected.shape and found.dtype == bool, "Give one truth value for each picture."
    assert (found == expected).all(), f"{(found != expected).sum()} of {len(expected)} truth values are wrong."
    assert expected.any(), "Your sentence is true of no test picture. Ask for something less rare."
    return f"It is true of {expected.sum()} of {len(expected)} pictures. Recall would count at most one of them."


@exercise
def exercise3(mine: Sequence[Probe], scenes: Sequence[Scene]) -> str:
    """Minimal pairs that exchange a word for small and a word for big."""
    assert len(mine), "There are no pairs in it."
    for pair in mine:
        words = list(zip(pair.right.split(), pair.wrong.split(), strict=False))
        changed = [(one, other) for one, other in words if one != other]
        assert len(changed) == 1 and len(pair.right.split()) == len(pair.wrong.split()), (
            f"{pair.wrong!r} differs from {pair.right!r} in more than one word: it is no minimal pair."
        )
        assert any(changed[0][0] in one and changed[0][1] in other for one, other in ((SMALL, BIG), (BIG, SMALL))), (
            f"{changed[0][0]!r} became {changed[0][1]!r}. Exchange small and big."
        )
        scene = scenes[pair.image]
        assert holds(read(pair.right), scene), (
            f"{pair.right!r} is not true of its picture. Put the true caption into `right`, the false one into `wrong`."
        )
        assert not holds(read(pair.wrong), scene), (
            f"{pair.wrong!r} is true of picture {pair.image}, since another thing there fits it. Leave such pairs out."
        )
    return f"All {len(mine)} pairs are minimal, and each wrong half is false."


@exercise
def exercise4(one_half: np.ndarray, pairs: Sequence[Probe], scenes: Sequence[Scene]) -> str:
    """For each pair of "left and right": whether both things stand in one half of the picture."""
    sides = [pair for pair in pairs if pair.kind == "left and right"]
    found = np.asarray(one_half)
    assert found.shape == (len(sides),), f"There are {len(sides)} such pairs, and {found.size} answers."
    for given, pair in zip(found, sides):
        subject, other = middles(pair, scenes[pair.image])
        assert bool(given) == in_one_half(pair, scenes[pair.image]), (
            f"In picture {pair.image} the things of {pair.right!r} stand at x = {subject:.0f} and {other:.0f}; "
            f"the middle is {WIDTH // 2}."
        )
    return f"{int(found.sum())} of {len(sides)} pairs have both things in one half of the picture."
