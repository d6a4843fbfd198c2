"""Written answers: a page on which to read them one after another, and a table for the marks of the reader."""

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from grading import Graded
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

COLUMNS = ["student", "assignment", "question", "points", "max", "remark"]
Marks = dict[tuple[str, str, str], tuple[float, str]]
"""Points and a remark for each (student, assignment, question)."""


def read(path: Path, keys: dict[str, NotebookNode]) -> Marks:
    """Return the marks in by_hand.csv. Lines without points are skipped, and a missing file gives no marks.

    Raises:
        ValueError: a line is not a mark of a written answer of this course. The message names the line and the fault.
    """
    if not path.exists():
        return {}
    most, marks = _most(keys), {}
    with path.open(encoding="utf-8-sig", newline="") as file:  # some spreadsheets write a byte order mark
        table = csv.DictReader(file)
        if not {*COLUMNS} <= {*(table.fieldnames or [])}:
            raise ValueError(f"{path}: expected columns {','.join(COLUMNS)}; found {','.join(table.fieldnames or [])}")
        for row in table:
            question, place = (row["assignment"], row["question"]), f"{path}, line {table.line_num}"
            if question not in most:
                raise ValueError(f"{place}: {' '.join(question)} is no written answer of this course")
            if (key := (row["student"], *question)) in marks:
                raise ValueError(f"{place}: {' '.join(key)} has a mark already")
            if given := (row["points"] or "").strip():
                try:
                    points = float(given)
                except ValueError:
                    points = -1.0
                if not 0 <= points <= most[question]:
                    raise ValueError(f"{place}: expected points from 0 to {most[question]:g}, found {given!r}")
                marks[key] = points, row["remark"] or ""
    return marks


def enter(marks: Marks, results: list[Graded]) -> None:
    """Put the marks into the results."""
    for result in results:
        for number, row in enumerate(result.rows):
            mark = marks.get((result.student, result.assignment, row.question))
            if mark and row.status == "to be read":
                result.rows[number] = replace(row, points=mark[0], status="read", remark=mark[1])


def write(marks: Marks, results: list[Graded], keys: dict[str, NotebookNode], out: Path) -> None:
    """Write by_hand.md, with the model answer and all answers per question, and by_hand.csv, with one line per mark."""
    answers = defaultdict(list)
    most = _most(keys)
    lines = {key: [*key, f"{points:g}", f"{most[key[1:]]:g}", remark] for key, (points, remark) in marks.items()}
    for result in results:
        for row in result.rows:
            if row.status in ("to be read", "read"):
                key = (result.student, result.assignment, row.question)
                given = f"{row.points:g}" if row.status == "read" else ""
                lines[key] = [*key, given, f"{row.max:g}", row.remark]
                answers[key[1:]].append((result.student, given, result.answers[row.question]))
    with (out / "by_hand.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *sorted(lines.values(), key=lambda line: (*line[1:3], line[0]))])

    text = ["# Written answers", "", "Marks go into by_hand.csv; the next `make grade` adds them up."]
    for name, key in keys.items():
        for cell in _written(key):
            model = "\n".join(line for line in cell.source.splitlines() if not line.startswith("###"))
            text += ["", f"## {name}, {cell.id}: {cell.metadata.nbgrader['points']} points", "", "*Full marks:*", ""]
            text += [_quoted(model)]
            for student, given, answer in answers[name, cell.id]:
                marked = f" ({given} points)" if given else ""
                text += ["", f"### {student}{marked}", "", _quoted(answer)]
    (out / "by_hand.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def _most(keys: dict[str, NotebookNode]) -> dict[tuple[str, str], float]:
    """Return the most points for each written answer, by assignment and question."""
    return {(name, cell.id): cell.metadata.nbgrader["points"] for name in keys for cell in _written(keys[name])}


def _written(key: NotebookNode) -> list[NotebookNode]:
    """Return the answer cells of a notebook that a person must read."""
    return [cell for cell in key.cells if is_grade(cell) and is_solution(cell)]


def _quoted(text: str) -> str:
    """Return the text as a quotation, so that a heading in an answer is not a heading of the page."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())
