"""The feedback on one submission: its points, why points were lost, and what was repaired."""

from collections.abc import Iterable
from pathlib import Path

from graded import Graded
from handed_in import file_name


def write(results: Iterable[Graded], folder: Path) -> None:
    """Write <student>/<assignment>.md for each submission."""
    for result in results:
        path = folder / file_name(result.student) / f"{file_name(result.assignment)}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(letter(result), encoding="utf-8")


def letter(result: Graded) -> str:
    """Return the feedback on one submission, in Markdown."""
    lines = [f"# {result.assignment}: {plain(result.student)}", ""]
    if result.rows:
        lines += [f"**{result.points:g} of {result.out_of:g} points.**", ""]
    if any(row.status == "to be read" for row in result.rows):
        lines += ["A written answer waits to be read; its points are not in this sum yet.", ""]
    if result.rows:
        lines += ["| question | points | status | remark |", "|---|---|---|---|"]
        lines += [
            f"| {row.question} | {row.points:g} of {row.max:g} | {row.status} | {plain(row.remark)} |"
            for row in result.rows
        ]
    if result.remarks:
        lines += ["", "## About the file", "", *(f"- {plain(line)}" for line in result.remarks)]
    return "\n".join(lines) + "\n"


def look(result: Graded) -> str:
    """Return what the visible tests say of a notebook before it is graded, in Markdown. It has no points yet."""
    told = {"hidden": "its tests are hidden", "passed": "passes the tests that you see", "failed": "fails a test"}
    lines = [f"# {result.assignment}, before it is graded", "", "| question | so far | remark |", "|---|---|---|"]
    for row in result.rows:
        remark = "" if row.status == "hidden" else plain(row.remark)
        lines.append(f"| {row.question} | {told.get(row.status, row.status)} | {remark} |")
    if result.remarks:
        lines += ["", "## About the file", "", *(f"- {plain(line)}" for line in result.remarks)]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Return the text without characters that would break a table or begin a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
