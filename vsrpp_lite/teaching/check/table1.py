"""Exercises of `table1_structure`."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

import pandas as pd

from vsrpp_lite.teaching.verdict import exercise, number


@exercise
def exercise1(rows: Iterable[str], seeds: float, measured: pd.DataFrame) -> str:
    """The two published rows that differ least, and how many seeds each needs to tell them apart; sigma is 5."""
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
def exercise2(gained: float, trained_as_a_sum: Mapping[str, float], after_the_fact: pd.DataFrame) -> str:
    """By how much rsum the system that was trained as a sum leads the sum after the fact, with the same seed."""
    together = trained_as_a_sum["rsum"]
    afterwards = after_the_fact["rsum"]
    mistakes = {
        "Turn the difference round: by how much is the first *ahead*?": afterwards["S_G + 2 S_L"] - together,
        "That is the gain over S_G alone. Compare with the sum.": together - afterwards["S_G"],
    }
    number(gained, together - afterwards["S_G + 2 S_L"], mistakes, within=0.1)
    return "The two also differ in caption loss and recipe, so this is not the worth of joint training alone."


@exercise
def exercise3(changed: Sequence[str], one: pd.DataFrame, two: pd.DataFrame) -> str:
    """The claims whose verdict with one seed differs from that with two, and both frames of verdicts by claim."""
    for count, verdicts in (("one", one), ("two", two)):
        assert isinstance(verdicts, pd.DataFrame), f"The verdicts with {count} seed(s) are a frame of TABLE1.verdicts."
        assert verdicts.index.name == "claim", "Set the column `claim` as the index of both frames."
    assert not one["hi"].equals(two["hi"]), "Both frames have the same intervals. Use range(1) and range(2) as seeds."
    expected = set(one.index[one["verdict"] != two["verdict"]])
    missing, extra = expected - set(changed), set(changed) - expected
    assert not missing, f"This claim has another verdict, too: {min(missing)}."
    assert not extra, f"This claim has the same verdict both times: {min(extra)}."
    return "An interval of one seed knows nothing of other seeds, so it is too narrow: believe the verdicts of several."
