"""Tables and claims as files: results/tables/<name>.csv and .md, and results/claims.csv."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from vsrpp_lite.files import atomic, write_text
from vsrpp_lite.paper.tables import Table, beside, results_folder
from vsrpp_lite.training.evaluate import holm


def write(table: Table, *, data: str, preset: str, seeds: Sequence[int]) -> str:
    """Write a table's two files and its lines of claims.csv; returns the Markdown."""
    measured = table.measure(data=data, preset=preset, seeds=seeds)
    judged = table.judge(data=data, preset=preset, seeds=seeds)
    folder = results_folder(data)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    with atomic(folder / "tables" / f"{table.name}.csv") as draft:
        measured.round(3).to_csv(draft, index=False)
    if len(judged):
        claims = _merge_claims(folder / "claims.csv", judged.assign(preset=preset, seeds=len(seeds)))
        judged = claims[claims["table"] == table.name]
    markdown = in_markdown(table, measured, judged)
    write_text(folder / "tables" / f"{table.name}.md", markdown)
    return markdown


def _merge_claims(path: Path, claims: pd.DataFrame) -> pd.DataFrame:
    """Replace a table's lines of claims.csv. Lines of another preset are dropped, and all verdicts adjusted anew."""
    with FileLock(path.with_name(".claims.lock")):  # table notebooks run side by side
        kept = [claims.round({"difference": 3, "lo": 3, "hi": 3})]
        if path.exists():
            stored = pd.read_csv(path)
            same = (stored["table"] != claims["table"].iloc[0]) & (stored["preset"] == claims["preset"].iloc[0])
            kept.append(stored[same])
        merged = adjusted(pd.concat(kept).sort_values("table", kind="stable", ignore_index=True))
        with atomic(path) as draft:
            merged.to_csv(draft, index=False)
    return merged


def adjusted(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims with the column `verdict_holm`: the verdicts that are left when all claims are judged together.

    At 95 % each, one verdict in twenty would be wrong if no row differed from another. Holm's method bounds the chance
    that *any* of them is wrong by 5 %; what does not pass it becomes inconclusive.
    """
    certain = pd.Series(holm(claims["p"].tolist()), index=claims.index) < 0.05
    return claims.assign(verdict_holm=claims["verdict"].where(certain, "inconclusive"))


def in_markdown(table: Table, measured: pd.DataFrame, judged: pd.DataFrame) -> str:
    """A measured table and its judged claims as Markdown."""
    first = measured.iloc[0]
    seeds = f"{first['seeds']} seed" if first["seeds"] == 1 else f"{first['seeds']} seeds"
    name = table.name.replace("table", "Table ")
    lines = [
        f"### {name} on `{Path(first['data']).name}`, preset `{first['preset']}`, {seeds}",
        "",
        "Measured ± half of the 95 % interval (published). Text retrieval (i2t), image retrieval (t2i).",
    ]
    if first["seeds"] == 1:
        lines.append("One seed: the intervals speak of the test images alone, not of training.")
    lines += ["", beside(measured).to_markdown(index=False, disable_numparse=True), ""]
    lines += [f"- *{row}*: {note}." for row, note in table.notes.items()]
    if len(judged):
        shown = judged[["claim", "metric", "difference", "lo", "hi", "verdict", "verdict_holm"]]
        lines += ["", shown.round(1).to_markdown(index=False), ""]
        lines.append("verdict: by the interval of the claim alone. verdict_holm: with all claims judged together.")
    return "\n".join([*lines, ""])
