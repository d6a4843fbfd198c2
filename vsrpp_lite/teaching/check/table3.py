"""Exercises of `table3_coco`."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vsrpp_lite.teaching.verdict import exercise, number
from vsrpp_lite.training.runs import Result


@exercise
def exercise1(chance: float) -> str:
    """The probability of finding the right picture among 5,000, if it is 0.5 among 1,000 and all is independent."""
    mistakes = {
        "Five times as many candidates do not divide the chance by five: all five contests must be won.": 0.1,
        "Give a probability from 0 to 1.": 3.125,
        "The first thousand count, too: there are five contests, not four.": 0.5**4,
    }
    number(chance, 0.5**5, mistakes, within=2e-3)
    return "The table shows far more than that. So the contests are not independent: an easy query wins all of them."


@exercise
def exercise2(folds: Sequence[float], result: Result) -> str:
    """The rsum of each of the five folds."""
    by_image = result.contributions(folds=5)
    expected = by_image.reshape(5, -1, by_image.shape[1]).mean(1)[:, -1]
    found = np.asarray(folds, dtype=float)
    assert found.shape == (5,), f"There are five folds, and {found.size} numbers."
    assert np.allclose(found, expected, atol=0.05), (
        f"Expected {expected.round(1)}, found {found.round(1)}: a fold is a fifth of the pictures, in the order of the "
        "file, and rsum is the last column."
    )
    return f"The best fold and the worst one differ by {np.ptp(expected):.1f}."


@exercise
def exercise3(same: bool, measured: pd.DataFrame) -> str:
    """Whether both protocols put the rows into the same order."""
    assert isinstance(same, bool | np.bool_), "Answer True or False."
    orders = [measured.sort_values(name, ascending=False)["row"].tolist() for name in ("rsum", "rsum_5k")]
    assert bool(same) == (orders[0] == orders[1]), f"Compare the two orders again: {orders[0]} and {orders[1]}."
    return "Either may happen. Two recalls are two points of two curves of ranks, and curves can cross."
