"""Tables of points: for the instructor, for Canvas and Moodle, and the leaderboard of the capstone."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from feedback import plain
from graded import Graded
from marks import safe


def write(results: Sequence[Graded], folder: Path) -> pd.DataFrame:
    """Write grades.csv, summary.csv, canvas.csv, moodle.csv and the leaderboard. Return the summary, by student."""
    rows = [
        {"student": result.student, "assignment": result.assignment, **vars(row)}
        for result in results
        for row in result.rows
    ]
    grades = pd.DataFrame(rows, columns=["student", "assignment", "question", "points", "max", "status", "remark"])
    _csv(grades, folder / "grades.csv")
    sums = grades.pivot_table(index="student", columns="assignment", values="points", aggfunc="sum")
    sums = sums.reindex(sorted({result.student for result in results}))
    most = grades.drop_duplicates(["assignment", "question"]).groupby("assignment")["max"].sum()
    summary = sums.copy()
    summary["points"], summary["of"] = sums.sum(axis=1), most.sum()  # of all that at least one student handed in
    waiting = grades[grades["status"] == "to be read"].groupby("student")["max"].sum()
    summary["to be read"] = waiting.reindex(summary.index, fill_value=0.0)
    _csv(summary.reset_index(), folder / "summary.csv")
    _canvas(sums, most, folder / "canvas.csv")
    _csv(sums.rename_axis("username").reset_index(), folder / "moodle.csv")
    _leaderboard(results, folder)
    return summary.map(lambda number: "" if pd.isna(number) else f"{number:g}")


def _csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table in which no cell is a formula."""
    table.map(lambda value: safe(value) if isinstance(value, str) else value).to_csv(path, index=False)


def _canvas(sums: pd.DataFrame, most: pd.Series, path: Path) -> None:
    """Write the table that Canvas imports: its five columns that identify a student, and a row of possible points."""
    table = sums.reset_index(names="Student")
    for place, name in enumerate(("ID", "SIS User ID", "SIS Login ID", "Section"), start=1):
        table.insert(place, name, table["Student"] if name == "SIS Login ID" else "")
    possible = pd.DataFrame([{"Student": "    Points Possible", **most.to_dict()}], columns=table.columns)
    _csv(pd.concat([possible, table]), path)


def _leaderboard(results: Sequence[Graded], folder: Path) -> None:
    """Write leaderboard.csv and .md: every capstone with a score, and the similarities that it should beat."""
    scored = [(result.student, result.score) for result in results if result.score]
    if not scored:
        return
    rows = [{"name": name, **score["own"]} for name, score in scored]
    rows += [{"name": f"*{name}*", **row} for name, row in scored[0][1]["rivals"].items()]
    table = (
        pd.DataFrame(rows, columns=["name", "rsum", "difference", "lo", "hi"])
        .sort_values("rsum", ascending=False, kind="stable")
        .reset_index(drop=True)
    )
    table.insert(0, "place", range(1, len(table) + 1))
    _csv(table, folder / "leaderboard.csv")
    text = (
        "# Design your own similarity\n\nThe rsum on the hidden draw, as the mean over folds of 100 pictures. The "
        "lines in italics are what there was to beat. The difference is that to VSR++'s own similarity, with its 95 % "
        "interval over pictures.\n\n"
    )
    table["name"] = table["name"].map(plain)
    (folder / "leaderboard.md").write_text(
        text + table.to_markdown(index=False, floatfmt=".1f") + "\n", encoding="utf-8"
    )
