"""A page on which to read the written answers one after another, each question below its rubric and a model answer."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from feedback import plain
from graded import Graded
from marks import written
from nbformat import NotebookNode


def write(results: Iterable[Graded], keys: Mapping[str, NotebookNode], path: Path) -> None:
    """Write the page: for each question its points, what full marks look like, the rubric, and all answers."""
    answers = defaultdict(list)
    for result in results:
        for row in result.rows:
            if row.question in result.answers and row.status != "not answered":
                given = "" if row.status == "to be read" else f" ({row.points:g} points)"
                answers[result.assignment, row.question].append((result.student, given, result.answers[row.question]))
    text = ["# Written answers", "", "Marks go into marks.csv; the next `make grade` adds them up."]
    for name, key in keys.items():
        for cell in written(key):
            model = "\n".join(line for line in cell.source.splitlines() if not line.startswith("###"))
            text += ["", f"## {name}, {cell.id}: {cell.metadata.nbgrader['points']} points", "", "*The rubric:*", ""]
            text += [f"- {line}" for line in key.metadata.rubrics[cell.id]]
            text += ["", "*Full marks:*", "", _quoted(model)]
            for student, given, answer in answers[name, cell.id]:
                text += ["", f"### {plain(student)}{given}", "", _quoted(answer)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


def _quoted(text: str) -> str:
    """Return the text as a block of code, so that nothing in an answer is taken for a part of the page."""
    return "\n".join(f"    {line}".rstrip() for line in text.strip().splitlines())
