"""Files for instructors and students: tables of points, one feedback file per submission, the leaderboard."""

from pathlib import Path
from shutil import rmtree

import pandas as pd
from grading import Graded


def write(results: list[Graded], out: Path) -> pd.DataFrame:
    """Write grades.csv, summary.csv, the leaderboard and feedback/ into `out`. Return the summary, by student."""
    rmtree(out / "feedback", ignore_errors=True)
    for result in results:
        path = out / "feedback" / result.student / f"{result.assignment}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(letter(result), encoding="utf-8")
    rows = [
        {"student": result.student, "assignment": result.assignment, **vars(row)}
        for result in results
        for row in result.rows
    ]
    columns = ["student", "assignment", "question", "points", "max", "status", "remark"]
    grades = pd.DataFrame(rows, columns=columns)
    grades.to_csv(out / "grades.csv", index=False)
    summary = grades.pivot_table(index="student", columns="assignment", values="points", aggfunc="sum")
    summary = summary.reindex(sorted({result.student for result in results}))
    handed_in = grades.drop_duplicates(["assignment", "question"])  # the questions that at least one student handed in
    summary["points"], summary["of"] = summary.sum(axis=1), handed_in["max"].sum()
    waiting = grades[grades["status"] == "to be read"].groupby("student")["max"].sum()
    summary["to be read"] = waiting.reindex(summary.index, fill_value=0.0)
    summary.to_csv(out / "summary.csv")
    leaderboard(results, out)
    return summary.map(lambda number: "" if pd.isna(number) else f"{number:g}")


def letter(result: Graded) -> str:
    """Return the feedback on one submission, in Markdown: its points, why points were lost, and what was repaired."""
    lines = [f"# {result.assignment}: {result.student}", "", f"**{result.points:g} of {result.out_of:g} points.**", ""]
    if any(row.status == "to be read" for row in result.rows):
        lines += ["A written answer waits to be read; its points are not in this sum yet.", ""]
    if result.rows:
        lines += ["| question | points | status | remark |", "|---|---|---|---|"]
        lines += [
            f"| {row.question} | {row.points:g} of {row.max:g} | {row.status} | {_plain(row.remark)} |"
            for row in result.rows
        ]
    if result.remarks:
        lines += ["", "## About the file", "", *(f"- {_plain(line)}" for line in result.remarks)]
    return "\n".join(lines) + "\n"


def leaderboard(results: list[Graded], out: Path) -> None:
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
    table.index = pd.RangeIndex(1, len(table) + 1, name="place")
    table.to_csv(out / "leaderboard.csv")
    text = (
        "# Design your own similarity\n\nrsum on the hidden draw; in italics, what there was to beat. The difference "
        "is that to VSR++'s own similarity, with its 95 % interval over pictures.\n\n"
    )
    (out / "leaderboard.md").write_text(text + table.to_markdown(floatfmt=".1f") + "\n", encoding="utf-8")


def _plain(text: str) -> str:
    """Return the text without characters that would break a table."""
    return text.replace("|", "\\|").replace("\n", " ")
