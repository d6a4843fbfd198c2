"""Files of tables and claims: results/tables/<name>.csv and .md, and results/claims.csv."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from vsrpp_lite.files import atomic, recorded_folder, write_text
from vsrpp_lite.paper.tables import Table, beside, results_folder
from vsrpp_lite.training.significance import holm

log = logging.getLogger(__name__)


def write(table: Table, *, data: str, preset: str, seeds: Sequence[int]) -> str:
    """Write a table's two files and its lines of claims.csv. Return the Markdown.

    The verdicts by Holm's method are about all claims that are written at that time, so write your tables once more at
    the end, as `reproduce_tables` does.
    """
    measured = table.measure(data=data, preset=preset, seeds=seeds)
    verdicts = table.verdicts(data=data, preset=preset, seeds=seeds)
    folder = results_folder(data)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    with atomic(folder / "tables" / f"{table.name}.csv") as draft:
        measured.round(3).to_csv(draft, index=False)
    path = folder / "claims.csv"
    if len(verdicts) or path.exists():  # a table that has lost its claims must lose the written ones, too
        _merge_claims(path, table.name, preset, verdicts.assign(preset=preset, seeds=len(seeds)))
        verdicts = claims_of(table, data)
    markdown = in_markdown(table, measured, verdicts, data)
    write_text(folder / "tables" / f"{table.name}.md", markdown)
    return markdown


def claims_of(table: Table, data: str) -> pd.DataFrame:
    """Return a table's lines of claims.csv, as `write` left them.

    Raises:
        FileNotFoundError: no table with claims is written.
    """
    claims = _read_claims(results_folder(data) / "claims.csv")
    return claims[claims["table"] == table.name]


def _read_claims(path: Path) -> pd.DataFrame:
    """Return a claims.csv in which names stay texts, though a table may be called 2026 or NA."""
    names = dict.fromkeys(("table", "claim", "better", "worse"), str)
    return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])


def _merge_claims(path: Path, table: str, preset: str, claims: pd.DataFrame) -> None:
    """Replace a table's lines of claims.csv, drop lines of other presets, and adjust all verdicts again."""
    with FileLock(path.with_name(".claims.lock")):  # the notebooks of several tables run at the same time
        kept = [claims.round({"difference": 3, "lo": 3, "hi": 3})] if len(claims) else []
        if path.exists():
            stored = _read_claims(path)
            others = stored[stored["table"] != table]
            same = others["preset"] == preset
            if not same.all():
                log.info("%s: drops %d claims of another preset; write their tables again", path, (~same).sum())
            kept.append(others[same])
        merged = adjusted(pd.concat(kept).sort_values("table", kind="stable", ignore_index=True))
        with atomic(path) as draft:
            merged.to_csv(draft, index=False)


def adjusted(claims: pd.DataFrame) -> pd.DataFrame:
    """Return the claims with another column, `verdict_holm`: the verdicts of all claims together.

    At 95 % each, one verdict in twenty would be wrong if no row differed from another. Holm's method bounds the chance
    that *any* verdict is wrong by 5 %, as far as the p-values are right; `tests/false_verdicts.py` simulates how far
    they are. A verdict that does not pass becomes inconclusive.
    """
    certain = pd.Series(holm(claims["p"].tolist()), index=claims.index) < 0.05
    return claims.assign(verdict_holm=claims["verdict"].where(certain, "inconclusive"))


def in_markdown(table: Table, measured: pd.DataFrame, verdicts: pd.DataFrame, data: str) -> str:
    """Return a measured table and the verdicts on its claims, in Markdown.

    `data` is the name of the other tables' data set.
    """
    used, preset, count = measured.iloc[0][["data", "preset", "seeds"]]
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    name = re.sub(r"^table(\d+)$", r"Table \1", table.name)
    lines = [
        f"### {name} on `{Path(used).name}`, preset `{preset}`, {seeds}",
        "",
        "Measured ± half of the 95 % interval (published). Text retrieval (i2t), image retrieval (t2i).",
    ]
    if count == 1:
        lines.append("There is one seed, so the intervals tell of the test images alone, not of training.")
    lines += ["", beside(measured).to_markdown(index=False, disable_numparse=True), ""]
    lines += [f"- *{row}*: {note}." for row, note in table.notes.items()]
    if len(verdicts):
        if preset in SHORT:
            lines += ["", f"**{SHORT[preset]}.** {LONG}"]
        lines += ["", shown_claims(verdicts, data).round(1).to_markdown(index=False), ""]
        lines.append("Here, verdict judges each claim by its own interval; verdict_holm judges all claims together.")
    return "\n".join([*lines, ""])


def shown_claims(verdicts: pd.DataFrame, data: str) -> pd.DataFrame:
    """Return the columns of `claims_of` that a reader wants and, beside a short training, the verdict of a long one."""
    shown = verdicts[["claim", "metric", "difference", "lo", "hi", "verdict", "verdict_holm"]]
    return shown.assign(verdict_long=beside_long(verdicts, data)) if verdicts["preset"].iloc[0] in SHORT else shown


SHORT = {"smoke": "This training takes only seconds, so its numbers mean nothing", "lite": "This is a short training"}
"""Presets that stop before a system has converged, and what their tables say of it."""
LONG = (
    "verdict_long is the recorded verdict, by Holm's method, of trainings that went on until dev stopped improving. "
    "With one seed, the verdict is about the test images alone, and a training with another seed may reverse it."
)


def beside_long(verdicts: pd.DataFrame, data: str) -> list[str]:
    """Return the recorded verdict of preset `long` for each of these claims with its seeds, or "not recorded"."""
    path = recorded_folder() / f"{Path(data).name}-long" / "claims.csv"
    if not path.exists():
        return ["not recorded"] * len(verdicts)
    recorded = _read_claims(path).set_index(["table", "claim"])
    told = recorded["verdict_holm"] + [f" ({count:.0f} seed{'s' * (count > 1)})" for count in recorded["seeds"]]
    in_long = told.to_dict()
    return [in_long.get(name, "not recorded") for name in zip(verdicts["table"], verdicts["claim"])]
