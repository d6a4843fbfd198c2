"""`vsrpp-lite tune`: the same search for good settings, with the same budget, for every system.

A study draws N settings at random, and trains every system with each of them and with several seeds. A system's winner
is the draw with the highest rsum on the *dev* split, averaged over its seeds. Nothing here opens a test split. All
systems share the draws, and each ignores the settings that it does not have.

The space, the number of draws and this rule were committed before the first run of a study. `results/tuning/` gets one
line per run as soon as it is trained; `tuned` has the winners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import qmc

from vsrpp_lite.files import atomic, home
from vsrpp_lite.matcher import System
from vsrpp_lite.paper.four_tables import SYSTEMS, TABLE1
from vsrpp_lite.paper.tuned import Recipe, recipe
from vsrpp_lite.training import grid
from vsrpp_lite.training.runs import Result, Run

ROWS: dict[str, System] = SYSTEMS | {
    row: system for row, system in TABLE1.rows.items() if system not in SYSTEMS.values()
}
"""The systems that are tuned: the seven, and the rows of Table 1 that are none of them."""


class Draw(NamedTuple):
    """Settings to try: choices of the system, and entries of its training."""

    choices: Mapping[str, Any]
    training: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A space of settings, and how many of them to try."""

    preset: str
    """The preset that the study tunes."""
    data: str
    """The data set whose train and dev splits it uses."""
    draws: int
    seeds: int
    rates: tuple[float, float]
    """Ends of the log-uniform range of the learning rate."""
    training: Mapping[str, Sequence[Any]]
    """Equally probable values of other entries of the training."""
    choices: Mapping[str, Sequence[Any]]
    """Equally probable values of choices of the systems; `temperature` is a factor of each system's own."""

    def settings(self) -> list[Draw]:
        """Return the draws. They are a Latin hypercube with a fixed seed: random, but evenly spread on every axis."""
        lists = {**self.training, **self.choices}
        points = qmc.LatinHypercube(1 + len(lists), rng=np.random.default_rng(0)).random(self.draws)
        low, high = np.log10(self.rates)
        drawn = []
        for rate, *others in points:
            values = {name: options[int(x * len(options))] for (name, options), x in zip(lists.items(), others)}
            training = {name: values[name] for name in self.training}
            training["learning_rate"] = float(f"{10 ** (low + (high - low) * rate):.2g}")
            drawn.append(Draw({name: values[name] for name in self.choices}, training))
        return drawn

    def runs(self, rows: Mapping[str, System]) -> dict[tuple[str, int, int], Run]:
        """Return all runs by row, number of the draw, and seed; those of one draw follow each other."""
        recipes = {
            (row, number): recipe(self.preset, system, *draw)
            for number, draw in enumerate(self.settings())
            for row, system in rows.items()
        }
        return {
            (row, number, seed): Run(
                system=found.system, training=found.training, data=self.data, preset=self.preset, seed=seed
            )
            for seed in range(self.seeds)
            for (row, number), found in recipes.items()
        }


CHOICES = {
    "margin": (0.1, 0.2, 0.3),
    "temperature": (0.5, 1.0, 2.0),
    "norm": ("features", "regions", "scaled"),
}

STUDIES = {
    "lite": Study(
        preset="lite",
        data="scenes-tuning",
        draws=12,
        seeds=2,
        rates=(1e-3, 2.5e-2),
        training={"warmup_epochs": (0, 1, 2), "rise_steps": (0, 50, 150), "decay_every": (1, 2, 3)},
        choices=CHOICES,
    ),
}
"""The study of each preset that is tuned."""


def tune(study: Study, rows: Mapping[str, System] = ROWS, jobs: int | None = None) -> Path:
    """Train all runs of a study that are not trained yet, and write results/tuning/<preset>.csv after each of them.

    Raises:
        GridError: some runs failed, such as those whose gradient was not finite; all others are trained and written.
    """
    path = home() / "results" / "tuning" / f"{study.preset}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = study.runs(rows)
    results: dict[Run, Result] = {}
    for result in grid.train(runs.values(), jobs, blind=True):
        results[result.run] = result
        found = {key: results[run] for key, run in runs.items() if run in results}
        with atomic(path) as draft:
            measured(study, found).to_csv(draft, index=False)
    return path


def measured(study: Study, results: Mapping[tuple[str, int, int], Result]) -> pd.DataFrame:
    """Return one line per run: row, draw and seed, the settings, the best rsum on dev, its epoch, and the seconds."""
    settings = study.settings()
    records = []
    for (row, number, seed), result in results.items():
        draw, dev = settings[number], result.history["dev.rsum"]
        shown = {**draw.training, **draw.choices}
        best = {"dev_rsum": round(dev.max(), 2), "best_epoch": int(dev.idxmax()) + 1, "epochs": len(dev)}
        records.append({"row": row, "draw": number, "seed": seed, **shown, **best, "seconds": result.record["seconds"]})
    return pd.DataFrame(records)


def means(lines: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Return the mean rsum on dev of each row and draw that has all its seeds."""
    grouped = lines.groupby(["row", "draw"], sort=False)
    found = grouped.agg(
        learning_rate=("learning_rate", "first"), dev_rsum=("dev_rsum", "mean"), count=("seed", "nunique")
    )
    return found[found["count"] == seeds].drop(columns="count").reset_index()


def winners(study: Study, lines: pd.DataFrame) -> dict[str, Recipe]:
    """Return the recipe of each row's best draw; of equal draws, the first."""
    settings = study.settings()
    found = means(lines, study.seeds)
    best = found.loc[found.groupby("row", sort=False)["dev_rsum"].idxmax()]
    return {row: recipe(study.preset, ROWS[row], *settings[draw]) for row, draw in zip(best["row"], best["draw"])}
