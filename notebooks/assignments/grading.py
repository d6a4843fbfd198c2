"""One submission to its points: read, repair, run apart from all others, and count."""

import logging
import os
import re
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode
from nbgrader.utils import determine_grade, is_grade, is_solution
from repair import repair

log = logging.getLogger("course")
HERE = Path(__file__).resolve().parent
SCORE = "application/vnd.vsrpp.score+json"
"""Under this type the capstone's hidden test shows what the leaderboard is made of."""


@dataclass(frozen=True)
class Row:
    """One question of one submission."""

    question: str
    points: float
    max: float
    status: str
    """passed, failed, not answered, not reached, to be read, read, or not graded."""
    remark: str = ""


@dataclass
class Graded:
    """One submission: its questions, and what the student should know beside them."""

    student: str
    assignment: str
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """The text of each written answer."""
    score: dict | None = None
    """Of a capstone that could be scored: its own row of the leaderboard, and its rivals'."""

    @property
    def points(self) -> float:
        """Of all questions graded so far."""
        return sum(row.points for row in self.rows)

    @property
    def out_of(self) -> float:
        """What they could have been."""
        return sum(row.max for row in self.rows)


def grade_one(path: Path, key: NotebookNode | None, release: NotebookNode | None, **limits: float) -> Graded:
    """Grade `<student>/<assignment>.ipynb`; what is no notebook of the course gets no points and a reason."""
    # another ending stays, or a file would take the feedback of the notebook beside it
    name = path.stem if path.suffix == ".ipynb" else path.name
    graded = Graded(student=path.parent.name, assignment=name)
    if key is None or path.suffix != ".ipynb":
        graded.remarks.append(f"{path.name} is no assignment of this course: it was not graded")
        return graded
    try:
        notebook, repairs = repair(_read(path), release, key)
        graded.remarks += [f"`{name}`: {line}" if name else line for name, lines in repairs.items() for line in lines]
        done, stopped = _run(notebook, **limits)
        if stopped:
            graded.remarks.append(stopped)
        _count(done, stopped, graded)
    except Exception as error:  # whatever is in the file, the others are graded too
        if not isinstance(error, ValueError):
            log.exception("%s: not graded", path)
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        graded.remarks.append(f"not graded: {reason}")
        worth = {cell.id: float(cell.metadata.nbgrader["points"]) for cell in key.cells if is_grade(cell)}
        graded.rows = [Row(name, 0.0, most, "not graded", reason) for name, most in worth.items()]
    return graded


def _count(done: NotebookNode, stopped: str, graded: Graded) -> None:
    """From the notebook that was run: a row a question, what broke beside the tests, the capstone's score."""
    open_answer = False
    for cell in done.cells:
        error = _error(cell)
        if is_grade(cell):
            graded.rows.append(_row(cell, stopped, open_answer))
            if is_solution(cell):
                graded.answers[cell.id] = cell.source
            scores = SCORE in cell.source  # the course's own test, and no student's cell
            for output in cell.get("outputs", []) if scores else []:
                found = output.get("data", {}).get(SCORE, {})
                graded.score = found if {"own", "rivals"} <= found.keys() else graded.score
        elif is_solution(cell):
            open_answer = error is not None and error.ename == "NotImplementedError"
        if error and not is_grade(cell) and error.ename != "NotImplementedError":
            graded.remarks.append(f"`{cell.id}` stopped: {_message(error)}")


def _read(path: Path) -> NotebookNode:
    """A notebook, or a ValueError that says why it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an old format, without cell ids
            notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
            for cell in notebook.cells:
                cell.source, cell.cell_type, cell.metadata.get("nbgrader")
    except Exception as error:
        raise ValueError(f"{path.name} cannot be read as a notebook ({type(error).__name__})") from error
    return notebook


def _run(
    notebook: NotebookNode, *, seconds: float, cell_seconds: float, memory: float, hidden: int
) -> tuple[NotebookNode, str]:
    """The notebook as far as it came, and why it came no further, if so."""
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        path = Path(folder) / "submission.ipynb"
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)
        paths = os.pathsep.join([str(HERE), str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
        private = {
            "IPYTHONDIR": folder,
            "JUPYTER_DATA_DIR": folder,
            "TMPDIR": folder,
            "COURSE_HIDDEN_DRAW": str(hidden),
            "CUDA_VISIBLE_DEVICES": "",  # a GPU maps more address space than the limit of memory allows
        }
        worker = subprocess.Popen(
            [sys.executable, HERE / "worker.py", path, str(cell_seconds), str(seconds), str(memory)],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **private},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stopped = ""
        try:
            worker.wait(seconds)
        except subprocess.TimeoutExpired:
            stopped = f"stopped after {seconds:g} seconds: is there a loop that does not end?"
        finally:
            _end(folder)
            worker.wait()
        done = nbformat.read(path, as_version=4)
    if not stopped and worker.returncode:
        stopped = "the process that ran it came to an end of its own: out of memory, or told to exit"
    if not stopped and "stopped" in done.metadata:
        stopped = (
            f"Python came to an end before the notebook did (limit of memory: {memory:g} GiB; exit() also ends it)"
        )
    return done, stopped


def _end(folder: str) -> None:
    """The worker and all that it started, which may have left its family: known by the environment they were given."""
    while family := [process for process in psutil.process_iter() if _environment(process).get("TMPDIR") == folder]:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family)


def _environment(process: psutil.Process) -> dict[str, str]:
    """Of a process of one's own that still runs; else nothing."""
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except psutil.Error:
        return {}


def _row(cell: NotebookNode, stopped: str, open_answer: bool) -> Row:
    """Points of a graded cell: nbgrader's rule, but a cell that never ran has passed nothing."""
    most = float(cell.metadata.nbgrader["points"])
    if is_solution(cell):
        points, _ = determine_grade(cell)
        return Row(cell.id, 0.0, most, "to be read" if points is None else "not answered")
    if cell.execution_count is None:
        return Row(cell.id, 0.0, most, "not reached", stopped or "an earlier cell ended the run")
    error = _error(cell)
    # a warning on stderr is no failure, which nbgrader would make of it
    points, _ = determine_grade(NotebookNode(cell | {"outputs": [error] if error else []}))
    if points:
        return Row(cell.id, points, most, "passed")
    if error.ename == "NotImplementedError" or (open_answer and error.ename == "NameError"):
        return Row(cell.id, 0.0, most, "not answered")
    return Row(cell.id, 0.0, most, "failed", _message(error))


def _error(cell: NotebookNode) -> NotebookNode | None:
    """The error that a cell ended with, if it did."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def _message(error: NotebookNode) -> str:
    """What an error says, in one line, without the lines of the hidden test around it."""
    says = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", error.evalue)).strip()[:500]
    match error.ename:
        case "AssertionError":
            return says or "a test failed"
        case "CellTimeoutError" | "KeyboardInterrupt":
            return "took too long and was interrupted: is there a loop that does not end?"
        case _:
            return f"{error.ename}: {says}"
