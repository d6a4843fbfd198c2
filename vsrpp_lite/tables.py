"""Our numbers beside the paper's, and a verdict for each claim, decided by its paired interval alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vsrpp_lite.data import home
from vsrpp_lite.evaluate import METRICS, ensemble, interval, ranks, recalls
from vsrpp_lite.matcher import System
from vsrpp_lite.paper import CLAIMS, ENSEMBLES, published
from vsrpp_lite.runs import Result, Run
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp

ROWS: dict[int, dict[str, System]] = {
    1: {
        "Global": VSRN(),
        "Local": SCAN(direction="t2i", pooling="mean"),
        "Fusion-loss": VSRpp(fusion="loss"),
        "Fusion-similarity": VSRpp(caption_loss=False),
        "VSR++ (GRU)": VSRpp(bidirectional=False),
        "VSR++ (full)": VSRpp(),
    },
}
"""What we train for each row of each table."""


def runs(table: int, *, data: str, preset: str, seed: int) -> dict[str, Run]:
    """The runs of one seed, by row."""
    return {row: Run(system=system, data=data, preset=preset, seed=seed) for row, system in ROWS[table].items()}


def samples(table: int, row: str, *, data: str, preset: str, seeds: Sequence[int]) -> np.ndarray:
    """(S, I, M): what each test image adds to each metric, for each seed."""
    chosen = (runs(table, data=data, preset=preset, seed=seed)[row] for seed in seeds)
    return np.stack([run.fit().contributions for run in chosen])


def reproduce(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """One row a row of the paper: each metric's mean over seeds, its 95 % interval, and the published figure."""
    records = []
    for row in ROWS[table]:
        estimate = interval(samples(table, row, data=data, preset=preset, seeds=seeds))
        paper = published(table, row)
        record = {"row": row, "data": data, "preset": preset, "seeds": len(seeds)}
        for metric, mean, low, high in zip(METRICS, *estimate, strict=True):
            record |= {metric: mean, f"{metric}_lo": low, f"{metric}_hi": high, f"{metric}_paper": paper[metric]}
        records.append(record)
    return pd.DataFrame(records)


def judge(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """The paper's claims about this table: the paired difference of two rows, its interval, the verdict."""
    records = []
    for claim in CLAIMS:
        if claim.table != table:
            continue
        better, worse = (
            samples(table, row, data=data, preset=preset, seeds=seeds) for row in (claim.better, claim.worse)
        )
        mean, low, high = (x[METRICS.index(claim.metric)] for x in interval(better - worse))
        records.append(claim._asdict() | {"difference": mean, "lo": low, "hi": high, "verdict": verdict(low, high)})
    return pd.DataFrame(records)


def verdict(low: float, high: float) -> str:
    """`reproduced` if the whole interval is above zero, `not reproduced` if it is below, else `inconclusive`."""
    return "reproduced" if low > 0 else "not reproduced" if high < 0 else "inconclusive"


def ensembles(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """The rows that the paper quotes from averages of two models: ours single, and our first two seeds averaged."""
    records = []
    for row, note in ENSEMBLES[table].items():
        pair = [runs(table, data=data, preset=preset, seed=seed)[row].fit() for seed in seeds[:2]]
        records += [{"row": row, "model": f"single, seed {result.run.seed}"} | result.recalls for result in pair]
        if len(pair) == 2:
            records.append(
                {"row": row, "model": "ensemble of both"} | rescored(pair[0], ensemble([r.scores() for r in pair]))
            )
        records.append({"row": row, "model": note} | published(table, row))
    return pd.DataFrame(records)


def rescored(result: Result, scores: np.ndarray) -> dict[str, float]:
    """The recalls of another score matrix over the same test split."""
    where = result.run.dataset("test").caption_to_image
    return recalls(*ranks(scores, where), where)


def beside(table: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """The table for reading: `measured ± half the interval (published)` in each cell."""

    def cell(row: pd.Series, metric: str) -> str:
        return f"{row[metric]:.1f} ± {row[f'{metric}_hi'] - row[metric]:.1f} ({row[f'{metric}_paper']:.1f})"

    cells = {metric: table.apply(cell, axis=1, metric=metric) for metric in metrics}
    return pd.DataFrame({"row": table["row"], **cells})


def results_folder(data: str) -> Path:
    """results/ for the embedded data, results/<data>/ for any other."""
    return home() / "results" if data == "scenes" else home() / "results" / Path(data).name


def write(table: int, *, data: str, preset: str, seeds: Sequence[int]) -> str:
    """Write table<n>.csv and .md and its lines of claims.csv; returns the Markdown."""
    settings = {"data": data, "preset": preset, "seeds": seeds}
    measured, claims = reproduce(table, **settings), judge(table, **settings)
    folder = results_folder(data)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    measured.round(3).to_csv(folder / "tables" / f"table{table}.csv", index=False)

    path = folder / "claims.csv"
    others = pd.read_csv(path).query("table != @table") if path.exists() else claims.iloc[:0]
    pd.concat([others, claims.round(3)] if len(others) else [claims.round(3)]).sort_values("table").to_csv(
        path, index=False
    )

    markdown = "\n".join(
        [
            f"### Table {table} on `{Path(data).name}`, preset `{preset}`, {len(seeds)} seed{'s' * (len(seeds) > 1)}",
            "",
            "Measured ± half of the 95 % interval (published). Text retrieval (i2t), image retrieval (t2i).",
            *["One seed: the intervals speak of the test images alone, not of training."][len(seeds) - 1 :],
            "",
            beside(measured).to_markdown(index=False, disable_numparse=True),
            "",
            *(f"- *{row}* is {note}; ours is one model." for row, note in ENSEMBLES[table].items()),
            "",
            claims.drop(columns="table").round(1).to_markdown(index=False),
            "",
        ]
    )
    (folder / "tables" / f"table{table}.md").write_text(markdown, encoding="utf-8")
    return markdown
