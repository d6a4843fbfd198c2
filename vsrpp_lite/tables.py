"""Our numbers beside the paper's, and a verdict for each claim, decided by its paired interval alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from vsrpp_lite.data import atomic, home
from vsrpp_lite.evaluate import METRICS, interval, ranks, recalls
from vsrpp_lite.matcher import System
from vsrpp_lite.paper import CLAIMS, NOTES, published
from vsrpp_lite.results import Result
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp

MUS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
SYSTEMS: dict[str, System] = {
    "VSE++": VSEpp(),
    "SCO-style": SCO(),
    "SCAN": SCAN(),
    "GVSE-style": GVSE(),
    "SAEM": SAEM(),
    "VSRN": VSRN(),
    "VSR++": VSRpp(),
}
ROWS: dict[int, dict[str, System]] = {
    1: {
        "Global": VSRN(),
        "Local": SCAN(),
        "Fusion-loss": VSRpp(fusion="loss"),
        "Fusion-similarity": VSRpp(caption_loss=False),
        "VSR++ (GRU)": VSRpp(bidirectional=False),
        "VSR++ (full)": VSRpp(),
    },
    2: {f"mu = {mu}": VSRpp(mu=mu) for mu in MUS},
    3: SYSTEMS,
    4: SYSTEMS,
}
"""What we train for each row of each table."""

FOLDS = {1: 1, 2: 1, 3: 5, 4: 1}
"""Parts of the test split that are searched one by one: COCO 1K is the mean of five of 1,000 images."""


def data_of(table: int, data: str) -> str:
    """Table 3 is about a second data set: scenes-coco for scenes, coco for f30k, mine-coco for mine."""
    if table != 3:
        return data
    return "coco" if data == "f30k" else f"{data}-coco"


def runs(table: int, rows: dict[str, System] | None = None, *, data: str, preset: str, seed: int) -> dict[str, Run]:
    """The runs of one seed, by row: the table's own rows, or others on its data."""
    where = {"data": data_of(table, data), "preset": preset, "seed": seed, "folds": FOLDS[table]}
    return {row: Run(system=system, **where) for row, system in (rows or ROWS[table]).items()}


def ensembled(table: int) -> list[str]:
    """Rows whose published numbers, or rivals', are averages of two models: ours are shown as both."""
    return list({1: NOTES[1], 2: ()}.get(table, ROWS[table]))


def searches(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> list[tuple[Result, tuple, int]]:
    """What a table asks of finished runs beyond their own test: the first two seeds averaged; COCO's 5,000 at once."""
    first, *second = (runs(table, data=data, preset=preset, seed=seed) for seed in seeds[:2])
    asked = [(Result(first[row]), (Result(other[row]),), FOLDS[table]) for row in ensembled(table) for other in second]
    if FOLDS[table] > 1:
        asked += [(Result(run), (), 1) for run in first.values()]
    return asked


def samples(runs: Iterable[Run]) -> np.ndarray:
    """(S, I, M): what each test image adds to each metric, for each run, one a seed."""
    return np.stack([run.fit().contributions() for run in runs])


def reproduce(
    table: int, rows: dict[str, System] | None = None, *, data: str, preset: str, seeds: Sequence[int]
) -> pd.DataFrame:
    """One row a row of the paper: each metric's mean over seeds, its 95 % interval, and the published figure.

    With `rows`, other systems on the table's data, which the paper has no figures for. Table 3 has a second group of
    columns, `<metric>_5k`: all 5,000 images searched at once, by the first seed's model; empty until that was done.
    """
    records = []
    for row in rows or ROWS[table]:
        of_row = [runs(table, rows, data=data, preset=preset, seed=seed)[row] for seed in seeds]
        paper = {} if rows else published(table, row)
        record = {"row": row, "data": data_of(table, data), "preset": preset, "seeds": len(seeds)}
        for metric, mean, low, high in zip(METRICS, *interval(samples(of_row)), strict=True):
            record |= {metric: mean, f"{metric}_lo": low, f"{metric}_hi": high, f"{metric}_paper": paper.get(metric)}
        if FOLDS[table] > 1:
            first = Result(of_row[0])
            known = first.ranks_file(folds=1).exists()
            whole = interval(first.contributions(folds=1)[None]) if known else np.full((3, len(METRICS)), np.nan)
            for metric, mean, low, high in zip(METRICS, *whole, strict=True):
                record |= {f"{metric}_5k": mean, f"{metric}_5k_lo": low, f"{metric}_5k_hi": high}
        records.append(record)
    return pd.DataFrame(records)


def judge(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """The paper's claims about this table: the paired difference of two rows, its interval, the verdict."""
    by_seed = [runs(table, data=data, preset=preset, seed=seed) for seed in seeds]
    sampled = {row: samples(runs[row] for runs in by_seed) for row in ROWS[table]}
    records = []
    for claim in CLAIMS:
        if claim.table == table:
            records.append(claim._asdict() | compare(sampled[claim.better], sampled[claim.worse], claim.metric))
    return pd.DataFrame(records)


def compare(better: np.ndarray, worse: np.ndarray, metric: str = "rsum") -> dict[str, float | str]:
    """The paired difference of two `samples`, its 95 % interval and the verdict that this gives."""
    mean, low, high = (float(x[0]) for x in interval(((better - worse) @ WEIGHTS[metric])[:, :, None]))
    return {"difference": mean, "lo": low, "hi": high, "verdict": verdict(low, high)}


WEIGHTS = {
    "rsum": np.array([1, 1, 1, 1, 1, 1, 0, 0]),
    "i2t": np.array([1, 1, 1, 0, 0, 0, 0, 0]),
    "t2i": np.array([0, 0, 0, 1, 1, 1, 0, 0]),
    "i2t - t2i": np.array([1, 1, 1, -1, -1, -1, 0, 0]),
}
"""What a claim compares, from the metrics in their order."""


def verdict(low: float, high: float) -> str:
    """`reproduced` if the whole interval is above zero, `not reproduced` if it is below, else `inconclusive`."""
    return "reproduced" if low > 0 else "not reproduced" if high < 0 else "inconclusive"


def ensembles(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """Our single models, the average of the first two seeds, and the published figures, which may be either."""
    records = []
    for row in ensembled(table):
        pair = [Result(runs(table, data=data, preset=preset, seed=seed)[row]) for seed in seeds[:2]]
        records += [{"row": row, "model": f"single, seed {result.run.seed}"} | result.recalls for result in pair]
        if len(pair) == 2:
            both = pair[0].contributions(pair[1:]).mean(0)
            records.append({"row": row, "model": "ensemble of both"} | dict(zip(METRICS, both, strict=True)))
        records.append({"row": row, "model": NOTES[table].get(row, "published")} | published(table, row))
    return pd.DataFrame(records)


def rescored(result: Result, scores: np.ndarray) -> dict[str, float]:
    """The recalls of another score matrix over the same test split."""
    where = result.run.dataset("test").caption_to_image
    return recalls(*ranks(scores, where), where)


def beside(table: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """The table for reading: `measured ± half the interval (published)` in each cell."""

    def cell(row: pd.Series, metric: str) -> str:
        paper = row[f"{metric}_paper"]
        ours = f"{row[metric]:.1f} ± {row[f'{metric}_hi'] - row[metric]:.1f}"
        return ours if pd.isna(paper) else f"{ours} ({paper:.1f})"

    cells = {metric: table.apply(cell, axis=1, metric=metric) for metric in metrics}
    return pd.DataFrame({"row": table["row"], **cells})


def results_folder(data: str) -> Path:
    """results/ for the embedded data, results/<data>/ for any other."""
    return home() / "results" if data == "scenes" else home() / "results" / Path(data).name


def _preset_of(folder: Path, table: int) -> str | None:
    """What the stored table was trained with: claims of two presets do not stand in one file."""
    path = folder / "tables" / f"table{table}.csv"
    return pd.read_csv(path)["preset"][0] if path.exists() else None


def write(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> str:
    """Write table<n>.csv and .md and its lines of claims.csv; returns the Markdown."""
    settings = {"data": data, "preset": preset, "seeds": seeds}
    measured, claims = reproduce(table, **settings), judge(table, **settings)
    folder = results_folder(data)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    with atomic(folder / "tables" / f"table{table}.csv") as draft:
        measured.round(3).to_csv(draft, index=False)

    path = folder / "claims.csv"
    with FileLock(folder / ".claims.lock"):  # table notebooks run side by side
        kept = [claims.round(3)]
        if path.exists():
            others = pd.read_csv(path).query("table != @table")
            kept += [lines for number, lines in others.groupby("table") if _preset_of(folder, number) in (preset, None)]
        with atomic(path) as draft:
            pd.concat(kept).sort_values("table", kind="stable").to_csv(draft, index=False)

    name = Path(data_of(table, data)).name
    markdown = "\n".join(
        [
            f"### Table {table} on `{name}`, preset `{preset}`, {len(seeds)} seed{'s' * (len(seeds) > 1)}",
            "",
            "Measured ± half of the 95 % interval (published). Text retrieval (i2t), image retrieval (t2i).",
            *["One seed: the intervals speak of the test images alone, not of training."][len(seeds) - 1 :],
            "",
            beside(measured).to_markdown(index=False, disable_numparse=True),
            "",
            *(f"- *{row}*: {note}." for row, note in NOTES[table].items()),
            "",
            claims.drop(columns="table").round(1).to_markdown(index=False),
            "",
        ]
    )
    (folder / "tables" / f"table{table}.md").write_text(markdown, encoding="utf-8")
    return markdown
