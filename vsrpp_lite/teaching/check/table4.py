"""Exercises of `table4_flickr30k`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import sqrt

from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.paper.published import SEED_SPREAD
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.teaching.verdict import exercise, number
from vsrpp_lite.training.runs import Result


@exercise
def exercise1(pairs: Iterable[Iterable[str]]) -> str:
    """The pairs of neighbours in the published order that differ by less than two runs of VSRN usually do."""
    names = {row: row.removesuffix("-style") for row in TABLE4.rows}  # SCO and GVSE are names, too
    sums = sorted((TABLE4.published_metrics(row)["rsum"], name) for row, name in names.items())
    usual = sqrt(2) * SEED_SPREAD["VSRN"]
    close = {frozenset((a, b)) for (low, a), (high, b) in pairwise(sums) if high - low < usual}
    found = {frozenset(names.get(row, row) for row in pair) for pair in pairs}
    assert all(pair <= {*names.values()} for pair in found), f"The rows are {', '.join(TABLE4.rows)}."
    assert found == close, f"You found {len(found)} pairs, and there are {len(close)}: sort the published sums."
    return "These steps are smaller than what another seed changes."


@exercise
def exercise2(pair: Sequence[VSRpp]) -> str:
    """Two systems that have everything in common but the branch: attention, or one vector on each side."""
    assert len(pair) == 2 and all(isinstance(system, VSRpp) for system in pair), (
        "Two rows of this table differ in more than attention: SCAN has another sentence GRU than VSE++. "
        "Choose two settings of `VSRpp`."
    )
    assert {system.fusion for system in pair} == {"local", "global"}, "One of them scores with S_L, the other with S_G."
    assert replace(pair[0], fusion=pair[1].fusion) == pair[1], "They differ in another part, too."
    return "The clean ablation trains both: they differ in the branch, and in no other part."


@exercise
def exercise3(average: float, results: dict[str, Result]) -> str:
    """The rsum of the average of VSR++ and SCAN, seed 0."""
    both = float(results["VSR++"].contributions([results["SCAN"]]).mean(0)[-1])
    alone = [results[name].recalls["rsum"] for name in ("VSR++", "SCAN")]
    number(
        average,
        both,
        {"That is the mean of two recalls. Average the *scores*, and then rank.": sum(alone) / 2},
        within=0.1,
    )
    return f"VSR++ alone has {alone[0]:.1f}."
