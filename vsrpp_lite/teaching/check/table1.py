"""Exercises of `table1_structure`."""

from collections.abc import Iterable
from math import ceil

import pandas as pd

from vsrpp_lite.teaching.verdict import exercise, number


@exercise
def exercise1(rows: Iterable[str], seeds: float, measured: pd.DataFrame) -> str:
    """The two rows of the published table that differ least, and the seeds a side that tell them apart; sigma is 5."""
    sums = measured.set_index("row")["rsum_paper"].sort_values()
    gaps = sums.diff()
    above = gaps.idxmin()
    pair = {above, sums.index[sums.index.get_loc(above) - 1]}
    assert set(rows) == pair, f"Those are not the two. Sort the published sums: the least step is {gaps.min():.1f}."
    needed = 2 * (1.96 * 5 / gaps.min()) ** 2
    mistakes = {
        "A difference of two means has the variances of both: there is a factor 2 under the root.": needed / 2,
        "The error falls with the square root of the number of seeds: square the ratio.": needed**0.5,
    }
    number(seeds, ceil(needed), mistakes, within=1.5)
    return "Nobody trains so often. The paper's table cannot tell these two rows apart."


@exercise
def exercise2(gained: float, measured: pd.DataFrame, after_the_fact: pd.DataFrame) -> str:
    """The rsum that joint training has added to the sum after the fact."""
    together = measured.set_index("row").loc["Fusion-similarity", "rsum"]
    afterwards = after_the_fact["rsum"]
    mistakes = {
        "Turn the difference round: what does joint training *add*?": afterwards["S_G + 2 S_L"] - together,
        "That is the gain over S_G alone. Compare with the sum.": together - afterwards["S_G"],
    }
    number(gained, together - afterwards["S_G + 2 S_L"], mistakes, within=0.1)
    return "The two differ in the caption loss, too, so this is not the worth of joint training alone."


@exercise
def exercise3(with_one_seed: int, with_all: int) -> str:
    """How many claims are decided (not inconclusive) with one seed, and with all seeds that you have."""
    for count in (with_one_seed, with_all):
        assert isinstance(count, int) and 0 <= count <= 5, f"There are five claims, and {count!r} is no count."
    return (
        "An interval from one seed knows nothing of other seeds, so it is too narrow: believe the verdicts of several."
    )
