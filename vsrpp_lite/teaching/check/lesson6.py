"""Exercises of `06_visual_analysis`."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from vsrpp_lite.teaching.verdict import exercise, number


def _queries(found: Sequence[int], right: pd.Series, what: str) -> None:
    assert not isinstance(found, pd.Series | pd.DataFrame) or not len(found), (
        "Give the numbers of the queries, which are the index of the table."
    )
    given, expected = {int(query) for query in found}, {int(query) for query in right.index[right]}
    assert not given - expected, f"Query {min(given - expected)} is not {what}."
    assert not expected - given, f"{len(expected - given)} queries are missing, such as {min(expected - given)}."


@exercise
def exercise1(close_calls: Sequence[int], text_ranks: pd.DataFrame) -> str:
    """All queries on which VSR++ is right and VSRN stands at place 2."""
    right = (text_ranks["VSR++"] == 1) & (text_ranks["VSRN"] == 2)
    _queries(close_calls, right, "one on which VSR++ is first and VSRN second")
    gained = int(((text_ranks["VSR++"] == 1) & (text_ranks["VSRN"] > 1)).sum())
    return f"These are {len(close_calls)} of the {gained} queries that VSR++ brings to the first place."


@exercise
def exercise2(middling: Sequence[int], text_ranks: pd.DataFrame, fates: Callable[[int], pd.Series]) -> str:
    """Two or more queries whose picture VSR++ ranks at places 5 to 20, though each noun attends to its thing."""
    places = text_ranks["VSR++"].loc[list(middling)]
    assert places.index.nunique() >= 2, "Choose at least two different sentences."
    wrong = places[~places.between(5, 20)]
    assert wrong.empty, f"Query {wrong.index[0]} stands at place {wrong.iloc[0]}, which is not middling: take 5 to 20."
    for query in places.index:
        told = fates(int(query))
        assert len(told), f"Query {query} has no noun whose thing we know."
        other = told[told.str.contains("not ")]
        assert other.empty, f"In query {query}, {other.index[0]!r} is {other.iloc[0][2:]}. Ask `fates` for each query."
    return "Now look at each of them with `show.attention`."


@exercise
def exercise3(rank: int, text_ranks: pd.DataFrame, other: np.ndarray) -> str:
    """The worst rank that another seed of VSR++ gives to a query which this seed ranks first."""
    assert not np.array_equal(other, text_ranks["VSR++"]), "These are the ranks of the same seed. Take another one."
    assert not np.array_equal(other, text_ranks["VSRN"]), "These are the ranks of VSRN. Take another seed of VSR++."
    worst = int(np.asarray(other)[text_ranks["VSR++"] == 1].max())
    number(
        rank,
        worst,
        {
            "Ranks begin at 1, and this one seems to begin at 0.": worst - 1,
            "Look only at the queries that the first seed ranks first.": int(np.max(other)),
        },
    )
    return f"Chance alone moves a query from place 1 to place {worst}. Which gains over VSRN are larger than that?"
