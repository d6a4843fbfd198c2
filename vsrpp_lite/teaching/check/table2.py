"""Exercises of `table2_mu`."""

from math import isclose

from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.teaching.verdict import exercise, number
from vsrpp_lite.training.runs import Result


@exercise
def exercise1(seeds: float) -> str:
    """How many seeds each row needs to tell 489.1 from 490.5, if one seed's standard deviation is 5."""
    needed = 2 * (1.96 * 5 / 1.4) ** 2
    mistakes = {
        "A difference of two means has the variances of both: there is a factor 2.": needed / 2,
        "The error falls with the square root of the number of seeds: square the ratio.": (2 * needed) ** 0.5 / 2,
    }
    number(seeds, needed, mistakes, within=1.5)
    return (
        "With so many seeds, every second experiment of this kind finds the difference. With twice as many seeds, "
        "four experiments in five find it."
    )


@exercise
def exercise2(narrow: VSRpp) -> str:
    """VSR++ with mu = 2 and a margin that is ten times smaller."""
    assert isinstance(narrow, VSRpp), "The answer is a system: VSRpp(...)."
    assert narrow.mu == 2.0, "Leave mu at 2, so that the margin alone changes."
    assert narrow == VSRpp(mu=2.0, margin=narrow.margin), "It differs from the row of mu = 2 in more than the margin."
    number(
        narrow.margin,
        0.02,
        {"That is the margin relative to S, and S is three times as wide. The hinge takes alpha.": 0.02 / 3},
        within=1e-6,
    )
    return "Train it with `TABLE2.runs`, and compare it with the row of mu = 2."


@exercise
def exercise3(stretch: float, full: Result) -> str:
    """By which factor mu is larger if both scores are divided by their standard deviations."""
    system = full.run.system
    assert isinstance(system, VSRpp), "`full` is the result of a VSR++."
    parts = full.scores(lambda _: cosine), full.scores(lambda _: system.local)
    ratio = float(parts[1].std() / parts[0].std())
    assert not isclose(float(stretch), 1 / ratio, rel_tol=1e-2) or isclose(ratio, 1, rel_tol=1e-2), (
        "It is the other way round: S_G + mu S_L is the old sum if the new mu is mu times sd(S_L) / sd(S_G)."
    )
    number(stretch, ratio, within=0.02)
    return "The curve is the old one on another axis. A mu without the scales of its two scores says little."
