"""Exercises of `07_reading_the_tables`."""

from math import sqrt

from vsrpp_lite.teaching.verdict import exercise, number


@exercise
def exercise1(steps: int) -> str:
    """How many of the nine steps leave the band of a spread of 2.5."""
    mistakes = {
        "Four lie beyond 1.96 · 2.5. A difference of two models spreads by √2 more than one model does.": 4,
        "That is the number for VSRN's spread.": 1,
    }
    number(steps, 2, mistakes)
    return "The band is 1.96 · √2 · 2.5 = 6.93."


@exercise
def exercise2(chance: float) -> str:
    """The probability that at least one of nine steps leaves its 95 % band though none is real."""
    mistakes = {
        "The chances of nine do not add up, since two steps may leave their bands together.": 0.45,
        "That is the chance that all nine stay inside.": 0.95**9,
        "That is the chance of one.": 0.05,
        "Give the probability as a number from 0 to 1, without per cent.": 37.0,
        "Give the probability as a number from 0 to 1, and not in per cent.": 100 * (1 - 0.95**9),
    }
    number(chance, 1 - 0.95**9, mistakes)
    return "Even if no step is real, more than one table in three has a step that leaves its band by chance."


@exercise
def exercise3(two_cells: float, fusion: float) -> str:
    """The smallest gain that two cells with four seeds each, and two settings of fusion, can show; sigma is 5.4."""
    mistakes = {
        "That is the band for one seed on each side of the comparison.": 1.96 * sqrt(2) * 5.4,
        "Both sides vary: the variances of the two means add up.": 1.96 * 5.4 / 2,
    }
    number(two_cells, 1.96 * sqrt(2 / 4) * 5.4, mistakes, within=0.06)
    number(
        fusion,
        1.96 * 5.4,
        {"A part with two settings has four runs on each side. Fusion has four settings.": 1.96 * sqrt(2 / 4) * 5.4},
        within=0.06,
    )
    return "One claim that is well supported is worth more than five that are not."
