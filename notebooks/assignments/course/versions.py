"""The two versions of an assignment: the instructor's, with solutions and hidden tests, and the student's without."""

import json
import sys
from pathlib import Path
from shutil import copy

import jupytext
import nbformat
from nbformat import NotebookNode
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions, ComputeChecksums, LockCells

from vsrpp_lite.data.manifest import sha256

HERE = Path(__file__).resolve().parents[1]
"""The folder of the assignments."""
sys.path.append(str(HERE))  # for unit.py, which the notebooks import
SOURCES = HERE.parent / "src" / "assignments"
RELEASE = HERE / "release"
LOCKED = {"grade": False, "locked": True, "schema_version": 3, "solution": False, "task": False}


class NoReleaseError(Exception):
    """There is no student version yet, or it cannot be written."""


def names() -> list[str]:
    """Return the names of the assignments, in the order of the course."""
    return [path.stem for path in sorted(SOURCES.glob("*.py"))]


def source(name: str, draw: int) -> NotebookNode:
    """Return the instructor's notebook for one draw, with solutions and hidden tests.

    The id of a cell is its nbgrader name. A cell without a name gets one and is locked. So the id identifies every cell
    of the student version. `metadata.absent` lists the functions of the package that no answer may use, and
    `metadata.rubrics` the levels of each answer that a person must read.

    Raises:
        ValueError: two cells have the same name, or a cell has metadata that nbgrader does not accept.
    """
    notebook = jupytext.read(SOURCES / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = f"draw: int = {draw}  # which pictures"
        cell.metadata.setdefault("nbgrader", {**LOCKED, "grade_id": f"{name.split('_')[0]}-{number:02}"})
        cell.id = cell.metadata.nbgrader["grade_id"]
    ours = notebook.metadata.get("vsrpp_lite", {})
    notebook.metadata = {
        "kernelspec": notebook.metadata.kernelspec,
        "absent": ours.get("absent", []),
        "rubrics": ours.get("rubrics", {}),
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    MetadataValidator().validate_nb(notebook)
    return notebook


def student_version(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without solutions and hidden tests. nbgrader's preprocessors lock its cells and add checksums."""
    release = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for step in (ClearSolutions, ClearHiddenTests, LockCells, ComputeChecksums):
        release, _ = step().preprocess(release, {})
    release.metadata = {"kernelspec": notebook.metadata.kernelspec}
    for cell in release.cells:
        cell.source = cell.source.rstrip()
        cell.metadata = {
            key: cell.metadata[key] for key in ("nbgrader", "deletable", "editable") if key in cell.metadata
        }
        if "checksum" in cell.metadata.nbgrader:  # the checksum of the stripped source
            ComputeChecksums().preprocess_cell(cell, {}, 0)
    return release


def build(draw: int) -> None:
    """Write the student version into release/, and the instructor's notebooks beside it.

    Raises:
        NoReleaseError: someone has worked in the student version.
    """
    record = RELEASE / "release.json"
    before = json.loads(record.read_text())["sha256"] if record.exists() else {}
    if edited := [name for name in before if (RELEASE / name).exists() and sha256(RELEASE / name) != before[name]]:
        raise NoReleaseError(f"{RELEASE}: someone has worked in {', '.join(edited)}; move that away first")
    RELEASE.mkdir(exist_ok=True)
    record.unlink(missing_ok=True)  # a build that is killed leaves no record, and the next one begins anew
    for name in names():
        notebook = source(name, draw)
        nbformat.write(notebook, RELEASE.parent / f"{name}.ipynb")
        nbformat.write(student_version(notebook), RELEASE / f"{name}.ipynb")
    copy(HERE / "unit.py", RELEASE)
    written = {f"{name}.ipynb": sha256(RELEASE / f"{name}.ipynb") for name in names()}
    record.write_text(json.dumps({"draw": draw, "sha256": written}, indent=2) + "\n")


def release_draw() -> int:
    """Return the draw of the last `build`.

    Raises:
        NoReleaseError: there is no student version yet.
    """
    if not (RELEASE / "release.json").exists():
        raise NoReleaseError("there is no student version yet: run `make assignments` first")
    draw: int = json.loads((RELEASE / "release.json").read_text())["draw"]
    return draw
