"""The course: build the student version of the assignments, and grade submissions.

python notebooks/assignments/course.py build --draw 2026
python notebooks/assignments/course.py grade SUBMISSIONS        SUBMISSIONS/<student>/<assignment>.ipynb
"""

import hashlib
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy
from typing import Annotated

import by_hand
import feedback
import joblib
import jupytext
import nbformat
import pandas as pd
import typer
import unit
from grading import Graded, grade_one
from nbformat import NotebookNode
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions, ComputeChecksums, LockCells

from vsrpp_lite.files import home

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "src" / "assignments"
RELEASE = HERE / "release"
LOCKED = {"grade": False, "locked": True, "schema_version": 3, "solution": False, "task": False}

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
log = logging.getLogger("course")


def names() -> list[str]:
    """Return the names of the assignments, in the order of the course."""
    return [path.stem for path in sorted(SOURCES.glob("*.py"))]


def source(name: str, draw: int) -> NotebookNode:
    """Return the instructor's notebook for one draw, with solutions and hidden tests.

    The id of a cell is its nbgrader name. A cell without a name gets one and is locked. So the id identifies every cell
    of the student version.

    Raises:
        ValueError: two cells have the same name, or a cell has metadata that nbgrader does not accept.
    """
    notebook = jupytext.read(SOURCES / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = f"draw: int = {draw}  # which pictures"
        cell.metadata.setdefault("nbgrader", {**LOCKED, "grade_id": f"{name.split('_')[0]}-{number:02}"})
        cell.id = cell.metadata.nbgrader["grade_id"]
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    MetadataValidator().validate_nb(notebook)
    return notebook


def student_version(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without solutions and hidden tests. nbgrader's preprocessors lock its cells and add checksums."""
    release = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for step in (ClearSolutions, ClearHiddenTests, LockCells, ComputeChecksums):
        release, _ = step().preprocess(release, {})
    for cell in release.cells:
        cell.source = cell.source.rstrip()
        cell.metadata = {
            key: cell.metadata[key] for key in ("nbgrader", "deletable", "editable") if key in cell.metadata
        }
        if "checksum" in cell.metadata.nbgrader:  # the checksum of the stripped source
            ComputeChecksums().preprocess_cell(cell, {}, 0)
    return release


@app.command()
def build(draw: Annotated[int, typer.Option(help="Seed of the pictures, and so of the answers.")] = 2026) -> None:
    """Write the student version into release/, and the instructor's notebooks beside this file."""
    record = RELEASE / "release.json"
    before = json.loads(record.read_text())["sha256"] if record.exists() else {}
    if edited := [name for name in before if (RELEASE / name).exists() and _sha256(RELEASE / name) != before[name]]:
        raise typer.BadParameter(f"{RELEASE}: someone has worked in {', '.join(edited)}; move that away first")
    RELEASE.mkdir(exist_ok=True)
    for name in names():
        notebook = source(name, draw)
        nbformat.write(notebook, HERE / f"{name}.ipynb")
        nbformat.write(student_version(notebook), RELEASE / f"{name}.ipynb")
    copy(HERE / "unit.py", RELEASE)
    written = {f"{name}.ipynb": _sha256(RELEASE / f"{name}.ipynb") for name in names()}
    record.write_text(json.dumps({"draw": draw, "sha256": written}, indent=2) + "\n")
    typer.echo(f"{len(names())} assignments for draw {draw}: {RELEASE}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def release_draw() -> int:
    """Return the draw of the last `build`.

    Raises:
        typer.BadParameter: there is no student version yet.
    """
    if not (RELEASE / "release.json").exists():
        raise typer.BadParameter("there is no student version yet: run `make assignments` first")
    return json.loads((RELEASE / "release.json").read_text())["draw"]


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="<student>/<assignment>.ipynb")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default results/course.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Draw that scores the capstone; else the release's + 1.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Submissions at a time; 0 is one per core.")] = 0,
    seconds: Annotated[int, typer.Option(min=1, help="Limit for each submission, from first cell to last.")] = 180,
    cell_seconds: Annotated[int, typer.Option(min=1, help="Limit for each cell; later cells still run.")] = 20,
    memory: Annotated[float, typer.Option(help="Limit for each submission's address space, in GiB.")] = 6.0,
) -> None:
    """Grade a folder of submissions: write points, feedback, the leaderboard, and the answers to read by hand."""
    draw = release_draw()
    hidden = draw + 1 if hidden is None else hidden
    out = out or home() / "results" / "course"
    keys = {name: source(name, draw) for name in names()}
    releases = {name: student_version(key) for name, key in keys.items()}
    try:
        marks = by_hand.read(out / "by_hand.csv", keys)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    # every file in a student's folder is a submission and gets feedback, whatever its name is
    paths = sorted(path for path in submissions.glob("*/*") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise typer.BadParameter(f"{submissions}: expected <student>/<assignment>.ipynb, found no such file")
    unit.trained(draw), unit.hidden_split(hidden)  # make them before any submission runs
    limits = {"seconds": seconds, "cell_seconds": cell_seconds, "memory": memory, "hidden": hidden}

    def graded(path: Path) -> Graded:
        result = grade_one(path, keys.get(path.stem), releases.get(path.stem), **limits)
        log.info("%s, %s: %g of %g points", result.student, result.assignment, result.points, result.out_of)
        return result

    with ThreadPoolExecutor(jobs or joblib.cpu_count(only_physical_cores=False)) as pool:
        results = list(pool.map(graded, paths))
    by_hand.enter(marks, results)
    table = feedback.write(results, out)
    by_hand.write(marks, results, keys, out)
    pd.options.display.width = 160
    typer.echo(f"{table.to_string()}\n\n{out}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    app(prog_name="course.py")
