"""The runs behind recorded tables: what each row was, and the rank of every test image and caption.

notebooks/recorded/<data>-<preset>/runs.csv has one line per row and seed; ranks.npz has the ranks by digest of the run.
`make verify-recorded ROW="VSR++"` trains such a row again and compares every rank.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vsrpp_lite.files import atomic
from vsrpp_lite.paper.ablation import FACTORIAL
from vsrpp_lite.paper.four_tables import TABLES
from vsrpp_lite.paper.tables import Table
from vsrpp_lite.training.metrics import best_epoch, contributions, recalls
from vsrpp_lite.training.runs import Result, Run

RUNS, RANKS = "runs.csv", "ranks.npz"
RECORDED = (*TABLES, FACTORIAL)
"""The tables whose runs are recorded: the paper's, and the clean ablation."""


def record_rows(folder: Path, *, data: str) -> None:
    """Write runs.csv and ranks.npz of the tables in `folder`, whose runs are trained.

    Raises:
        FileNotFoundError: a run of a table is not trained to its end.
    """
    lines: list[dict[str, Any]] = []
    ranks: dict[str, np.ndarray] = {}
    for table in RECORDED:
        path = folder / f"{table.name}.csv"
        if not path.exists():
            continue
        preset, seeds = pd.read_csv(path).iloc[0][["preset", "seeds"]]
        for seed in range(seeds):
            for row, run in table.runs(data=data, preset=preset, seed=seed).items():
                result = Result(run)
                found = result.rank(folds=table.folds)
                ranks |= {f"{run.digest}-{side}": found[side].astype(np.int32) for side in ("images", "texts")}
                ranks["caption_to_image-" + run.data_folder.name] = found["caption_to_image"].astype(np.int32)
                made = {key: result.record[key] for key in ("seconds", "commit")}
                dev = result.history["dev.rsum"].tolist()
                lines.append(
                    {"table": table.name, "row": row, "seed": seed, "digest": run.digest, "data": run.data_folder.name}
                    | {
                        "rsum": round(recalls(*found.values())["rsum"], 2),
                        "epochs": len(dev),
                        "best_epoch": best_epoch(dev),
                    }
                    | made
                    | {"torch": result.record["versions"]["torch"], "run": repr(run)}
                )
    with atomic(folder / RUNS) as draft:
        pd.DataFrame(lines).to_csv(draft, index=False)
    with atomic(folder / RANKS) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **ranks)  # type: ignore[arg-type]  # its stub takes any keyword for an option


def recorded_samples(folder: Path, table: str, row: str) -> np.ndarray:
    """Return what each test image adds to each metric, (S, I, M), from the recorded ranks of a row's S seeds.

    Raises:
        ValueError: there is no such row.
    """
    lines = pd.read_csv(folder / RUNS)
    of_table = lines[lines["table"] == table]
    of_row = of_table[of_table["row"] == row].sort_values("seed")
    if of_row.empty:
        known = ", ".join(of_table["row"].unique())
        raise ValueError(f"{folder / RUNS}: no row {row!r} in {table}; expected one of {known}")
    with np.load(folder / RANKS) as kept:
        where = kept[f"caption_to_image-{of_row['data'].iloc[0]}"].astype(int)
        sides = [[kept[f"{digest}-{side}"].astype(int) for side in ("images", "texts")] for digest in of_row["digest"]]
    return np.stack([contributions(images, texts, where) for images, texts in sides])


def run_of(folder: Path, table: str, row: str, seed: int) -> tuple[pd.Series, Table, Run]:
    """Return the recorded line of a row, its table, and the run that the package would train for it now.

    Raises:
        FileNotFoundError: the folder has no record of runs.
        ValueError: there is no such line, or its settings have changed since.
    """
    if not (folder / RUNS).exists():
        known = ", ".join(sorted(path.parent.name for path in folder.parent.glob(f"*/{RUNS}")))
        raise FileNotFoundError(f"{folder / RUNS}: missing; the sets with a record of runs are {known}")
    lines = pd.read_csv(folder / RUNS)
    # an empty name takes the first table that has the row
    asked = ({"table": table} if table else {}) | {"row": row, "seed": seed}
    for column, wanted in asked.items():
        found = lines[lines[column] == wanted]
        if found.empty:
            known = ", ".join(map(str, lines[column].unique()))
            raise ValueError(f"{folder / RUNS}: no {column} {wanted!r}; expected one of {known}")
        lines = found
    line = lines.iloc[0]
    data, preset = folder.name.rsplit("-", 1)
    (of_table,) = (known for known in RECORDED if known.name == line["table"])
    run = of_table.runs(data=data, preset=preset, seed=seed)[row]
    if repr(run) != line["run"]:
        raise ValueError(f"{row}: the record has {line['run']}; the package would now train {run!r}")
    return line, of_table, run


def verify(folder: Path, *, table: str, row: str, seed: int) -> str:
    """Train a recorded row again from the start, compare every rank with the recorded one, and say what was found.

    Raises:
        ValueError: there is no such row, or it is another one now (see `run_of`); or the test split is another one.
    """
    line, of_table, run = run_of(folder, table, row, seed)
    with np.load(folder / RANKS) as kept:
        recorded = kept[f"caption_to_image-{line['data']}"]
    if not np.array_equal(recorded, run.dataset("test").caption_to_image):
        raise ValueError(
            f"{run.data_folder}: its test split is another one than that of {folder / RANKS}; expected "
            f"{recorded.max() + 1} images with {len(recorded)} captions in the recorded order"
        )
    found = run.fit(fresh=True).rank(folds=of_table.folds)
    with np.load(folder / RANKS) as kept:
        ranks = {side: kept[f"{line['digest']}-{side}"] for side in ("images", "texts")}
    moved = {side: int((ranks[side] != found[side]).sum()) for side in ranks}
    now = recalls(*found.values())["rsum"]
    counts = ", ".join(f"{count} of {len(ranks[side])} {side}" for side, count in moved.items())
    told = (
        f"{line['table']}, {row}, seed {seed}: rsum {line['rsum']:.2f} recorded, {now:.2f} now; ranks moved: {counts}"
    )
    if not any(moved.values()):
        return f"{told}. Every rank is the recorded one."
    if run.digest != line["digest"]:
        digests = f"The digest was {line['digest']} and is {run.digest}"
        told = f"{told}. {digests}, so the data have other bytes, or the package has another version of results"
    advice = "Another kind of processor rounds differently, and training makes the differences larger"
    return f"{told}. {advice}. Compare the change of rsum with the interval of this row in the table."


def seconds(folder: Path) -> float:
    """Return at least how many seconds the trainings took: each run counts once, from its last start."""
    return float(pd.read_csv(folder / RUNS).drop_duplicates("digest")["seconds"].sum())
