"""`make record`: copy the tables of results/ to notebooks/recorded, with the ranks and the facts behind them."""

import json
import shutil
from pathlib import Path

import pandas as pd

from vsrpp_lite.data.named import canonical
from vsrpp_lite.files import recorded_folder, scratch, write_text
from vsrpp_lite.paper import recorded_runs
from vsrpp_lite.paper.beyond_recall import DRAWN, record_truth
from vsrpp_lite.paper.tables import results_folder
from vsrpp_lite.training.provenance import provenance


def record(data: str) -> Path:
    """Copy the tables and claims of results/ to notebooks/recorded/<data>-<preset>, and return that folder.

    It also gets facts.json, which has the provenance, what `recorded_runs` keeps of every run, and for drawn scenes
    what `beyond_recall` found.

    Raises:
        FileNotFoundError: there are no tables of these data.
        ValueError: the tables are of several presets, none of them is one whose runs are recorded, or there is a
            recorded table that results/ does not have.
    """
    data = canonical(data)
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
    names, known = {path.name for path in tables}, {f"{table.name}.csv" for table in recorded_runs.RECORDED}
    if not names & known:
        told = f"{source / 'tables'}: found {', '.join(sorted(presets))}"
        raise ValueError(f"{told}; expected one of {', '.join(sorted(known))}, whose runs can be recorded")
    before = {path.name for path in target.glob("table*.csv")} | {name for name in known if (target / name).exists()}
    if missing := before - names:
        told = f"{source / 'tables'}: has no {', '.join(sorted(missing))}, which {target} has"
        raise ValueError(f"{told}; expected all of its tables, since they share claims.csv and runs.csv")
    target.mkdir(parents=True, exist_ok=True)
    with scratch(target) as draft:  # a run that is missing must be found before anything is replaced
        for path in [*tables, source / "claims.csv"]:
            shutil.copyfile(path, draft / path.name)
        write_text(draft / "facts.json", json.dumps(provenance(), indent=2) + "\n")
        recorded_runs.record_rows(draft, data=data)
        if data in DRAWN and (path := draft / "table4.csv").exists():
            record_truth(draft, data=data, preset=preset, seeds=range(pd.read_csv(path)["seeds"].iloc[0]))
        for path in sorted(draft.glob("[!.]*")):
            path.replace(target / path.name)
    return target
