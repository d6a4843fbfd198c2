"""Compare a submission with its release, cell by cell: restore locked cells, and keep what the student wrote."""

from collections import defaultdict

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from nbgrader.utils import is_grade, is_solution


class NotThisAssignment(ValueError):
    """No cell of the release is in the submission."""


def repair(
    submission: NotebookNode, release: NotebookNode, key: NotebookNode
) -> tuple[NotebookNode, dict[str, list[str]]]:
    """Return the notebook to run, and remarks on what was repaired, by the name of a cell; "" is the whole notebook.

    The notebook has the cells of `key` (the release with its hidden tests) in their order, and each answer cell has the
    student's text. A student's own cells follow the cell that they followed in the submission. A cell is known by its
    nbgrader name or, if the name was lost, by its id. Nothing is guessed: if an answer has copies, all of them run in
    the student's order, and an answer that is missing stays empty.

    Raises:
        NotThisAssignment: no cell of the release is in the submission.
    """
    released = {cell.id: cell for cell in release.cells}
    followers: dict[str, list[NotebookNode]] = defaultdict(list)
    claims: dict[str, list[NotebookNode]] = defaultdict(list)
    remarks: dict[str, list[str]] = defaultdict(list)
    place = ""
    for cell in submission.cells:
        name = _name(cell, released)
        if name:
            claims[name].append(cell)
            if len(claims[name]) == 1:
                place = name
                continue
        if name is None or is_solution(released[name]):
            followers[place].append(cell)
    if not claims:
        raise NotThisAssignment(f"not one of the {len(released)} cells of this assignment is in it")
    order = [name for name in released if name in claims]
    if list(claims) != order:
        remarks[""].append("cells were moved: the order of the release was restored")

    cells = [_own(cell) for cell in followers[""]]
    for cell in key.cells:
        name = cell.id
        found = claims[name]
        whole = NotebookNode(cell | {"metadata": released[name].metadata})
        if is_solution(cell):
            whole.source = released[name].source if not found else found[0].source
            remarks[name] += _answer_remarks(found, released[name])
        else:
            remarks[name] += _locked_remarks(found, released[name])
        cells += [whole, *map(_own, followers[name])]
    notebook = NotebookNode(key | {"cells": cells})
    return notebook, {name: lines for name, lines in remarks.items() if lines}


def _name(cell: NotebookNode, released: dict[str, NotebookNode]) -> str | None:
    """Return the name of the cell of the release that this cell is, or None."""
    named = cell.metadata.get("nbgrader", {})
    for name in (named.get("grade_id") if isinstance(named, dict) else None, cell.get("id")):
        if isinstance(name, str) and name in released:
            return name
    return None


def _answer_remarks(found: list[NotebookNode], released: NotebookNode) -> list[str]:
    if not found:
        return ["this answer cell was deleted: it counts as empty"]
    said = []
    if found[0].cell_type != released.cell_type:
        said.append(f"this answer had become a {found[0].cell_type} cell: it was run as {released.cell_type} again")
    if "nbgrader" not in found[0].metadata:
        said.append("this answer had lost its name: it was known by its cell id")
    if len(found) > 1:
        said.append(f"this answer cell is there {len(found)} times: all were run, in your order")
    return said


def _locked_remarks(found: list[NotebookNode], released: NotebookNode) -> list[str]:
    what = "test" if is_grade(released) else "locked"
    if not found:
        return [f"this {what} cell was deleted: it was put back"]
    if any(cell.source.rstrip() != released.source.rstrip() for cell in found):
        return [f"this {what} cell was changed: its own text was put back"]
    return []


def _own(cell: NotebookNode) -> NotebookNode:
    """Return a student's own cell without its metadata. A cell that is neither code nor text becomes text."""
    return new_code_cell(cell.source) if cell.cell_type == "code" else new_markdown_cell(cell.source)
