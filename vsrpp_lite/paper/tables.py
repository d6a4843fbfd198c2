"""A table: a system to train for each row, our numbers beside the published ones, and a verdict for each claim.

To add a table of your own, make a `Table` and, if you like, a notebook that shows it; you need not change other code.
The paper's four tables are in `four_tables`.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vsrpp_lite.data.named import canonical
from vsrpp_lite.files import home
from vsrpp_lite.matcher import System
from vsrpp_lite.paper.published import Recalls, metrics_of
from vsrpp_lite.paper.tuned import tuned
from vsrpp_lite.training.grid import Ranking
from vsrpp_lite.training.metrics import METRICS, named, ranks, recalls
from vsrpp_lite.training.runs import Result, Run
from vsrpp_lite.training.significance import interval, p_value, seed_variance


class Claim(NamedTuple):
    """The claim that one row beats another in a metric: a key of `COMPARED`, such as rsum."""

    claim: str
    better: str
    worse: str
    metric: str = "rsum"


COMPARED = dict(zip(METRICS, np.eye(len(METRICS), dtype=int), strict=True)) | {
    "rsum": np.array([1, 1, 1, 1, 1, 1, 0, 0]),
    "i2t": np.array([1, 1, 1, 0, 0, 0, 0, 0]),
    "t2i": np.array([0, 0, 0, 1, 1, 1, 0, 0]),
    "i2t - t2i": np.array([1, 1, 1, -1, -1, -1, 0, 0]),
}
"""Each metric of claims, as a weighted sum of `METRICS` in their order. i2t and t2i are sums of three recalls, and
"i2t - t2i" is the lead of text retrieval."""


TAKEN = ("times", "claims", "runs", "truth")
"""Names that tables cannot have, since results/ and notebooks/recorded/ have other files of these names."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table: its rows, their published numbers, and claims about them.

    Methods that need runs take `data`, the name of a data set, `preset`, and one seed or several. `measure` and
    `verdicts` train the runs that are not done, and the others need runs that are.

    Raises:
        ValueError: the name is no file name, there are no rows or no folds, or a claim or an average is about a row or
            a metric that does not exist.
    """

    name: str
    """Name of its files, results/tables/<name>.csv and .md."""
    rows: Mapping[str, System]
    """System that is trained for each row."""
    notebook: str | Path | None = None
    """Notebook that shows the table: a name in notebooks/, or a path."""
    published: Recalls = field(default_factory=dict)
    """Published recalls of the rows that have some."""
    claims: Sequence[Claim] = ()
    """Claims that the published numbers support."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a reader must know about a row before comparing it with another row."""
    averaged: Sequence[str] = ()
    """Rows for which we show single models and an average of two, since some published numbers are such averages."""
    folds: int = 1
    """Number of parts of the test split, each ranked by itself; COCO 1K is the mean of five parts of 1,000 images."""
    second_data: bool = False
    """Whether the table uses a second data set: scenes-coco beside scenes, coco beside f30k, mine-coco beside mine."""
    further: Mapping[str, System] = field(default_factory=dict)
    """Systems that the notebook shows beside the table, trained with the first seed."""
    slides: Sequence[str] = ()
    """Further notebooks that run when the table is made, with the parameters `data` and `preset`."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w. -]+", self.name) or self.name in TAKEN:
            expected = f"letters, digits, spaces, dots or dashes, and another name than {', '.join(TAKEN)}"
            raise ValueError(f"the table's name is {self.name!r}; expected {expected}")
        if not self.rows:
            raise ValueError(f"{self.name} has no rows; expected one at least")
        if self.folds < 1:
            raise ValueError(f"{self.name}: folds is {self.folds}; expected at least 1")
        named = [*self.averaged, *(row for claim in self.claims for row in (claim.better, claim.worse))]
        for row in named:
            if row not in self.rows:
                raise ValueError(f"{self.name}: there is no row {row!r}; expected one of {', '.join(self.rows)}")
        for claim in self.claims:
            if claim.metric not in COMPARED:
                known = ", ".join(COMPARED)
                raise ValueError(f"{self.name}: a claim is about {claim.metric!r}; expected one of {known}")

    def data(self, data: str) -> str:
        """Return the name of the data set that this table uses when the other tables use `data`."""
        if not self.second_data:
            return data
        return "coco" if data == "f30k" else f"{data}-coco"

    def runs(self, rows: Mapping[str, System] | None = None, *, data: str, preset: str, seed: int) -> dict[str, Run]:
        """Return the runs of one seed, by row: the table's own rows, or other `rows` on its data, by tuned recipes.

        Raises:
            ValueError: two rows are the same run. A tuned recipe may give a row the choice in which it differed.
        """
        shared: dict[str, Any] = {"data": self.data(data), "preset": preset, "seed": seed}
        runs = {row: tuned(system, **shared) for row, system in (self.rows if rows is None else rows).items()}
        seen: dict[Run, str] = {}
        for row, run in runs.items():
            if run in seen:
                raise ValueError(
                    f"{self.name}: the rows {seen[run]!r} and {row!r} are the same run by the tuned recipe, {run!r}; "
                    "expected rows that still differ then"
                )
            seen[run] = row
        return runs

    def rankings(self, *, data: str, preset: str, seeds: Sequence[int]) -> list[Ranking]:
        """Return the rankings that the table needs beyond each run's own.

        They are averages of the first two seeds and, for a table with folds, rankings of the whole test split.
        """
        first = {row: Result(run) for row, run in self.runs(data=data, preset=preset, seed=seeds[0]).items()}
        asked: list[Ranking] = []
        if len(seeds) > 1:
            second = self.runs(data=data, preset=preset, seed=seeds[1])
            asked += [(first[row], (Result(second[row]),), self.folds) for row in self.averaged]
        if self.folds > 1:
            asked += [(result, (), 1) for result in first.values()]
        return asked

    def published_metrics(self, row: str) -> dict[str, float]:
        """Return the eight published metrics of a row. The dictionary is empty if there are none."""
        return metrics_of(self.published[row]) if row in self.published else {}

    def measure(
        self, rows: Mapping[str, System] | None = None, *, data: str, preset: str, seeds: Sequence[int]
    ) -> pd.DataFrame:
        """Return one line per row, with each metric's mean over seeds, its 95 % interval, and the published value.

        `rows` are other systems to measure on the table's data. A table with folds has more columns, `<metric>_5k`,
        for the first seed's model on the whole test split; they are empty until `grid.rank` has ranked it.
        """
        records = []
        by_seed = [self.runs(rows, data=data, preset=preset, seed=seed) for seed in seeds]
        for row in by_seed[0]:
            of_row = [runs[row] for runs in by_seed]
            record: dict[str, Any] = {"row": row, "data": self.data(data), "preset": preset, "seeds": len(seeds)}
            paper = self.published_metrics(row) if rows is None else {}
            for metric, mean, low, high in zip(METRICS, *interval(samples(of_row, self.folds)), strict=True):
                record |= {
                    metric: mean,
                    f"{metric}_lo": low,
                    f"{metric}_hi": high,
                    f"{metric}_paper": paper.get(metric),
                }
            if self.folds > 1:
                first = Result(of_row[0])
                unknown = np.full((3, len(METRICS)), np.nan)
                whole = interval(first.contributions()[None]) if first.ranked(folds=1) else unknown
                for metric, mean, low, high in zip(METRICS, *whole, strict=True):
                    record |= {f"{metric}_5k": mean, f"{metric}_5k_lo": low, f"{metric}_5k_hi": high}
            records.append(record)
        return pd.DataFrame(records)

    def verdicts(self, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
        """Return one line per claim: the paired difference of its rows, the interval, the p-value and the verdict.

        The p-value is the larger of two: by the claim's variance over seeds, and by that of all rows; see `compare`.
        """
        by_seed = [self.runs(data=data, preset=preset, seed=seed) for seed in seeds]
        sampled = {row: samples([runs[row] for runs in by_seed], self.folds) for row in self.rows}
        records = []
        for claim in self.claims:
            found = compare(sampled[claim.better], sampled[claim.worse], claim.metric, rows=list(sampled.values()))
            claimed = claim._asdict()
            records.append({"claim": claimed.pop("claim"), "table": self.name} | claimed | found)
        return pd.DataFrame(records)

    def averages(self, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
        """Return our single models, the average of the first two seeds, and the published numbers, for each row."""
        records = []
        for row in self.averaged:
            pair = [Result(self.runs(data=data, preset=preset, seed=seed)[row]) for seed in seeds[:2]]
            for result in pair:
                single = named(result.contributions(folds=self.folds))
                records.append(_model(row, f"single, seed {result.run.seed}", single))
            if len(pair) == 2:
                both = named(pair[0].contributions(pair[1:], self.folds))
                records.append(_model(row, "ensemble of both", both))
            records.append(_model(row, self.notes.get(row, "published"), self.published_metrics(row)))
        return pd.DataFrame(records)


def _model(row: str, model: str, metrics: dict[str, float]) -> dict[str, Any]:
    return {"row": row, "model": model} | metrics


def samples(runs: Iterable[Run], folds: int = 1) -> np.ndarray:
    """Return what each test image adds to each metric, (S, I, M). There is one run for each of S seeds."""
    return np.stack([run.fit().contributions(folds=folds) for run in runs])


def compare(
    better: np.ndarray, worse: np.ndarray, metric: str = "rsum", *, rows: Sequence[np.ndarray] = (), averaged: int = 1
) -> dict[str, float | str]:
    """Return the paired difference of two `samples`, its 95 % interval, its p-value and its verdict.

    Args:
        rows: samples of all rows of the table. With two or three seeds, the variance over seeds is sometimes far too
            small by chance. So the p-value also tries the one that these rows have on average (`significance.p_value`).
        averaged: the number of rows of which `better` is the mean. `worse` is the mean of as many other rows.

    Raises:
        ValueError: the samples are not (S, I, M), seeds, images and metrics, such as `samples` returns; or `COMPARED`
            has no such metric.
    """
    if metric not in COMPARED:
        raise ValueError(f"metric is {metric!r}; expected one of {', '.join(COMPARED)}")
    if better.ndim != 3 or better.shape != worse.shape:
        told = (
            f"found samples {better.shape} and {worse.shape}; expected two of the same shape (seeds, images, metrics)"
        )
        raise ValueError(f"{told}. Of single runs, take result.contributions()[None]")
    weights = COMPARED[metric][:, None]
    difference = (better - worse) @ weights
    mean, low, high = (float(x[0]) for x in interval(difference))
    usual = None
    if rows and len(difference) > 1:
        of_row = seed_variance([row @ weights for row in rows])
        usual = of_row._replace(variance=2 * of_row.variance / averaged)  # variances of independent means add up
    return {
        "difference": mean,
        "lo": low,
        "hi": high,
        "p": float(p_value(difference, usual)[0]),
        "verdict": verdict(low, high),
    }


def verdict(low: float, high: float) -> str:
    """Return `reproduced` if the interval lies above zero, `not reproduced` if below, else `inconclusive`."""
    if low > 0:
        return "reproduced"
    if high < 0:
        return "not reproduced"
    return "inconclusive"


def ordering(published: Recalls) -> list[Claim]:
    """Return the published order by rsum as claims: each row beats the next, and the best row beats all others."""
    rows = sorted(published, key=lambda row: -metrics_of(published[row])["rsum"])
    against_all = [(rows[0], row) for row in rows[2:]]
    return [Claim(f"{better} beats {worse}", better, worse) for better, worse in [*pairwise(rows), *against_all]]


def rescored(result: Result, scores: np.ndarray) -> dict[str, float]:
    """Return the recalls of another score matrix over the test split of a result."""
    caption_to_image = result.run.dataset("test").caption_to_image
    return recalls(*ranks(scores, caption_to_image), caption_to_image)


def beside(table: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return the table in a form to read: each cell is `measured ± half the interval (published)`."""

    def cell(row: pd.Series, metric: str) -> str:
        mean, high, paper = row[metric], row[f"{metric}_hi"], row[f"{metric}_paper"]
        ours = f"{mean:.1f} ± {high - mean:.1f}"
        return ours if pd.isna(paper) else f"{ours} ({paper:.1f})"

    cells = {metric: table.apply(cell, axis=1, metric=metric) for metric in metrics}
    return pd.DataFrame({"row": table["row"], **cells})


def results_folder(data: str) -> Path:
    """Return results/ for the embedded data, and results/<data>/ for other data.

    Two folders outside of data/ can have the same name, so theirs is followed by six digits of a hash of the path.
    """
    if data == "scenes":
        return home() / "results"
    folder = Path(canonical(data))
    digits = f"-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}" if folder.is_absolute() else ""
    return home() / "results" / f"{folder.name}{digits}"
