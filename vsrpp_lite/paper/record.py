"""`make record`: copy the tables of results/ to notebooks/recorded, with the ranks and the facts behind them."""

import json
import shutil
from pathlib import Path

import pandas as pd

from vsrpp_lite.files import recorded_folder, write_text
from vsrpp_lite.paper.beyond_recall import DRAWN, record_truth
from vsrpp_lite.paper.recorded_runs import record_rows
from vsrpp_lite.paper.tables import results_folder
from vsrpp_lite.training.provenance import provenance


def record(data: str) -> Path:
    """Copy the tables and claims of results/ to notebooks/recorded/<data>-<preset>, and return that folder.

    It also gets facts.json, which has the provenance, what `recorded_runs` keeps of every run, and for drawn scenes
    what `beyond_recall` found.

    Raises:
        FileNotFoundError: there are no tables of these data.
        ValueError: the tables are of several presets.
    """
    source = results_folder(data)
    tables = sorted((source / "tables").glob("*.csv"))
    presets = {path.name: table["preset"].iloc[0] for path in tables if "preset" in (table := pd.read_csv(path))}
    if not presets:
        raise FileNotFoundError(f"{source / 'tables'}: no tables; run `make reproduce-tables` first")
    if len({*presets.values()}) > 1:
        told = ", ".join(f"{name} is of {preset}" for name, preset in presets.items())
        raise ValueError(f"{source / 'tables'}: {told}; expected one preset. Make them again with one")
    preset = next(iter(presets.values()))
    target = recorded_folder() / f"{Path(data).name}-{preset}"
    target.mkdir(parents=True, exist_ok=True)
    for path in [*tables, source / "claims.csv"]:
        shutil.copyfile(path, target / path.name)
    write_text(target / "facts.json", json.dumps(provenance(), indent=2) + "\n")
    record_rows(target, data=data)
    if data in DRAWN and (target / "table4.csv").exists():
        record_truth(target, data=data, preset=preset, seeds=range(pd.read_csv(target / "table4.csv")["seeds"].iloc[0]))
    return target
