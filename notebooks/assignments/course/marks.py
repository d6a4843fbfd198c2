"""The teacher's marks: points for written answers, other points than a test gave, and deductions for a late file.

They stand in marks.csv, one line each. Grading reads the file and adds a line for each written answer that waits to be
read. It never removes or changes a line that has points or a remark.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from graded import Graded, Row
from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

from vsrpp_lite.files import write_text

COLUMNS = ["student", "assignment", "question", "points", "max", "remark"]
LATE = "late"
"""Name of the question of a deduction."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
"""A spreadsheet may take a cell that begins with one of these for a program."""
Marks = dict[tuple[str, str, str], tuple[float | None, str]]
"""Points, which may be still to come, and a remark for each (student, assignment, question)."""


def safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    >>> safe("=HYPERLINK(1)"), safe("Ada")
    ("'=HYPERLINK(1)", 'Ada')
    """
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def read(path: Path, keys: Mapping[str, NotebookNode]) -> Marks:
    """Return the marks. Lines without points and remark are skipped, and a missing file gives no marks.

    Raises:
        ValueError: a line is not a mark of this course. The message names the line and the fault.
    """
    if not path.exists():
        return {}
    marks: Marks = {}
    most, machine = _most(keys), {(name, cell.id) for name, key in keys.items() for cell in key.cells if _tested(cell)}
    for place, row in _lines(path):
        question = (row["assignment"], row["question"])
        late = question[1] == LATE and question[0] in keys
        if question not in most and not late:
            raise ValueError(f"{place}: {' '.join(question)} is no question of this course")
        key = (row["student"].removeprefix("'"), *question)
        if key in marks:
            raise ValueError(f"{place}: {' '.join(key)} has a mark already")
        remark = row["remark"].removeprefix("'")
        if not (given := row["points"].strip()):
            if remark:
                marks[key] = None, remark
            continue
        low, high = (-sum(worth(keys[question[0]]).values()), 0.0) if late else (0.0, most[question])
        try:
            points = float(given)
        except ValueError:
            points = float("nan")
        if not low <= points <= high:
            raise ValueError(f"{place}: expected points from {low:g} to {high:g}, found {given!r}")
        if not remark and (late or question in machine):
            raise ValueError(f"{place}: expected a reason in the column remark, since these points are a machine's")
        marks[key] = points, remark
    return marks


def _lines(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Return the place and the cells of each line, by column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # some spreadsheets write a byte order mark
            table = csv.DictReader(file)
            names, lines = table.fieldnames or [], [(f"{path}, line {table.line_num}", row) for row in table]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: {error}; expected comma-separated values in UTF-8") from error
    if {*COLUMNS} != {*names}:
        raise ValueError(f"{path}: expected columns {','.join(COLUMNS)}; found {','.join(names)}")
    for place, row in lines:
        if None in row or None in row.values():
            raise ValueError(f"{place}: expected {len(names)} cells, as the header has; found more or fewer")
    return lines


def enter(marks: Marks, results: Sequence[Graded]) -> list[str]:
    """Put the marks into the results. Return whose marks fit no submission, such as those of a misspelt student."""
    for result in results:
        of = {question: mark for (*who, question), mark in marks.items() if who == [result.student, result.assignment]}
        for number, row in enumerate(result.rows):
            points, remark = of.get(row.question, (None, ""))
            if points is not None:
                result.rows[number] = replace(row, points=points, status="by hand", remark=remark)
        points, remark = of.get(LATE, (None, ""))
        if points is not None:
            result.rows.append(Row(LATE, points, 0.0, "by hand", remark))
    handed_in = {(result.student, result.assignment) for result in results}
    return sorted({f"{student}, {assignment}" for student, assignment, _ in marks} - {", ".join(x) for x in handed_in})


def write(path: Path, marks: Marks, results: Iterable[Graded], keys: Mapping[str, NotebookNode]) -> None:
    """Write all marks, and a line without points for each written answer that waits to be read."""
    most = _most(keys)
    lines = {}
    for key, (points, remark) in marks.items():
        given = "" if points is None else f"{points:g}"
        lines[key] = [safe(key[0]), *key[1:], given, f"{most.get(key[1:], 0.0):g}", safe(remark)]
    for result in results:
        for row in result.rows:
            if row.status == "to be read":
                key = (result.student, result.assignment, row.question)
                lines.setdefault(key, [safe(key[0]), *key[1:], "", f"{row.max:g}", ""])
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *(lines[key] for key in sorted(lines, key=lambda key: (*key[1:], key[0])))])
    write_text(path, text.getvalue())


def written(key: NotebookNode) -> list[NotebookNode]:
    """Return the answer cells of a notebook that a person must read."""
    return [cell for cell in key.cells if is_grade(cell) and is_solution(cell)]


def _tested(cell: NotebookNode) -> bool:
    return is_grade(cell) and not is_solution(cell)


def worth(key: NotebookNode) -> dict[str, float]:
    """Return the most points for each question of an assignment."""
    return {cell.id: float(cell.metadata.nbgrader["points"]) for cell in key.cells if is_grade(cell)}


def _most(keys: Mapping[str, NotebookNode]) -> dict[tuple[str, str], float]:
    """Return the most points for each question, by assignment and question."""
    return {(name, question): most for name, key in keys.items() for question, most in worth(key).items()}
