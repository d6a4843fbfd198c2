"""`vsrpp-lite tune`: the same search for good settings, with the same budget, for every system.

A study draws N settings at random, and trains every system with each of them and with the preset's own setting. Each
system's best settings, its finalists, are trained with further seeds. Its winner is the finalist with the highest
mean rsum on the *dev* split over all seeds. Nothing here opens a test split. All systems share the draws, and each
ignores the settings that it does not have.

The space and the number of random draws were committed before the first run of a study. The preset's own setting became
a candidate, and two finalists took the place of four, while the study of `lite` ran; RESULTS.md says what this changed.
`results/tuning/` gets one line for each run as soon as it is trained; `tuned` has the winners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock
from scipy.stats import qmc

from vsrpp_lite.files import atomic, home
from vsrpp_lite.matcher import System
from vsrpp_lite.paper.four_tables import SYSTEMS, TABLE1, TABLE2
from vsrpp_lite.paper.tuned import Recipe, recipe
from vsrpp_lite.settings import PRESETS
from vsrpp_lite.training import grid
from vsrpp_lite.training.grid import GridError
from vsrpp_lite.training.metrics import best_epoch
from vsrpp_lite.training.runs import Result, Run

ROWS: dict[str, System] = {
    **SYSTEMS,
    **{row: system for row, system in TABLE1.rows.items() if system not in SYSTEMS.values()},
    **{row: TABLE2.rows[row] for row in ("mu = 0.5", "mu = 3.0")},
}
"""The systems that can be tuned: the seven, the rows of Table 1 that are none of them, and both ends of Table 2."""


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
    """Number of random draws, which are trained with seed 0, as is the preset's own setting."""
    finalists: int
    """Number of a system's draws that are trained with the other seeds."""
    seeds: int
    rates: tuple[float, float]
    """Ends of the log-uniform range of the learning rate."""
    training: Mapping[str, Sequence[Any]]
    """Equally probable values of other entries of the training."""
    choices: Mapping[str, Sequence[Any]]
    """Equally probable values of choices of the systems; `temperature` is a factor of each system's own."""
    shorter: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the training in which the study trains for less long than the preset. The winners do not have them."""

    def settings(self) -> list[Draw]:
        """Return the draws, and the preset's own setting as the last candidate.

        The draws are a Latin hypercube with a fixed seed: random, but evenly spread on every axis.
        """
        lists = {**self.training, **self.choices}
        points = qmc.LatinHypercube(1 + len(lists), rng=np.random.default_rng(0)).random(self.draws)
        low, high = np.log10(self.rates)
        drawn = []
        for rate, *others in points:
            values = {name: options[int(x * len(options))] for (name, options), x in zip(lists.items(), others)}
            training = {name: values[name] for name in self.training}
            training["learning_rate"] = float(f"{10 ** (low + (high - low) * rate):.2g}")
            drawn.append(Draw({name: values[name] for name in self.choices}, training))
        preset = PRESETS[self.preset].training
        own = {name: getattr(preset, name) for name in [*self.training, "learning_rate"]}
        return [*drawn, Draw({name: PUBLISHED[name] for name in self.choices}, own)]

    def run(self, system: System, number: int, seed: int) -> Run:
        """Return the run of a system with a draw."""
        found = recipe(self.preset, system, *self.settings()[number])
        training = replace(found.training, **self.shorter)
        return Run(system=found.system, training=training, data=self.data, preset=self.preset, seed=seed)


PUBLISHED = {"margin": 0.2, "temperature": 1.0, "norm": "features"}
"""The choices of the papers. The temperature is a factor."""

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
        finalists=2,
        seeds=2,
        rates=(1e-3, 2.5e-2),
        training={"warmup_epochs": (0, 1, 2), "rise_steps": (0, 50, 150), "decay_every": (1, 2, 3)},
        choices=CHOICES,
    ),
    "long": Study(
        preset="long",
        data="scenes-tuning",
        draws=3,
        finalists=1,
        seeds=1,
        rates=(1e-3, 1e-2),
        training={"warmup_epochs": (1, 2), "rise_steps": (0, 150)},
        choices={"margin": (0.2, 0.3), "norm": ("features", "scaled")},
        shorter={"epochs": 8, "decay_every": 5},
    ),
    "real": Study(
        preset="real",
        data="flickr8k",
        draws=6,
        finalists=1,
        seeds=1,
        rates=(5e-4, 1e-2),
        training={"warmup_epochs": (1, 2), "rise_steps": (0, 500)},
        choices=CHOICES,
        shorter={"epochs": 3, "decay_every": 2},
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
    lines = pd.DataFrame()
    failures: dict[Run, str] = {}
    chosen = [(row, number) for number in range(len(study.settings())) for row in rows]
    for seed in range(study.seeds):
        if lines.empty and failures:  # every draw of the first seed failed, so there are no finalists
            break
        if seed == 1:
            chosen = finalists(study, lines)
        runs: dict[Run, list[tuple[str, int]]] = {}  # two draws are one run if they differ in what the system ignores
        for row, number in chosen:
            runs.setdefault(study.run(rows[row], number, seed), []).append((row, number))
        try:
            for result in grid.train(runs, jobs, blind=True):
                found = [line(study, row, number, result) for row, number in runs[result.run]]
                lines = pd.concat([lines, pd.DataFrame(found)])
                with FileLock(path.with_name(f".{path.stem}.lock")):  # another process may tune other rows
                    others = pd.read_csv(path).query("row not in @rows") if path.exists() else pd.DataFrame()
                    ordered = lines.sort_values(["seed", "draw"], kind="stable")
                    with atomic(path) as draft:
                        pd.concat([others, ordered]).to_csv(draft, index=False)
        except GridError as error:
            failures |= error.failures
    if failures:
        raise GridError(failures)
    return path


def finalists(study: Study, lines: pd.DataFrame) -> list[tuple[str, int]]:
    """Return row and draw of every system's best draws with seed 0; of equal ones, the first."""
    ordered = lines[lines["seed"] == 0].sort_values(["dev_rsum", "draw"], ascending=[False, True])
    best = ordered.groupby("row", sort=False).head(study.finalists)
    return list(zip(best["row"], best["draw"].tolist()))


def line(study: Study, row: str, number: int, result: Result) -> dict[str, Any]:
    """Return what is kept of a run: row, draw and seed, the settings, the best rsum on dev, its epoch, the seconds."""
    draw, dev = study.settings()[number], result.history["dev.rsum"].tolist()
    shown = {**draw.training, **draw.choices}
    best = {"dev_rsum": round(max(dev), 2), "best_epoch": best_epoch(dev), "epochs": len(dev)}
    return {"row": row, "draw": number, "seed": result.run.seed, **shown, **best, "seconds": result.record["seconds"]}


def means(lines: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Return the mean rsum on dev of each row and draw that has all its seeds."""
    grouped = lines.groupby(["row", "draw"], sort=False)
    found = grouped.agg(dev_rsum=("dev_rsum", "mean"), count=("seed", "nunique"))
    return found[found["count"] == seeds].drop(columns="count").reset_index()


def best_draws(lines: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Return each row's best draw with its mean rsum on dev; of equal draws, the first."""
    found = means(lines, seeds)
    return found.loc[found.groupby("row", sort=False)["dev_rsum"].idxmax()]


def winners(study: Study, lines: pd.DataFrame, rows: Mapping[str, System] = ROWS) -> dict[str, Recipe]:
    """Return the recipe of the best draw of each of these rows that the lines have."""
    settings, best = study.settings(), best_draws(lines, study.seeds).set_index("row")["draw"]
    return {row: recipe(study.preset, rows[row], *settings[best[row]]) for row in best.index if row in rows}


def authors(lines: pd.DataFrame) -> pd.DataFrame:
    """Return what the authors of each system could claim if they tuned only their own system.

    Such authors would train all other systems with the best settings of their own system. There is one line for each
    system, computed from the draws with the first seed. It has the system's best draw. It has the system's rank among
    all systems, and its lead over the best other system, if all systems are trained with this draw. It also has the
    rank and the lead if each system is trained with its own best draw.
    """
    table = lines[lines["seed"] == 0].pivot(index="draw", columns="row", values="dev_rsum")
    best = table.max()
    records = []
    for row in table:
        draw = table[row].idxmax()
        alike, others = table.loc[draw], best.drop(row)
        records.append(
            {"system": row, "best setting": draw}
            | {"rank by its own setting": int((alike > alike[row]).sum()) + 1}
            | {"lead by its own setting": alike[row] - alike.drop(row).max()}
            | {"rank, all tuned": int((best > best[row]).sum()) + 1, "lead, all tuned": best[row] - others.max()}
        )
    return pd.DataFrame(records).sort_values("rank, all tuned", kind="stable", ignore_index=True)
