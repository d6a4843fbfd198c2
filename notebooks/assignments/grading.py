"""Grade one submission: read it, repair it, run it in a process of its own, and count its points."""

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
"""Type of the output in which the capstone's hidden test reports a score for the leaderboard."""


@dataclass(frozen=True)
class Row:
    """One question of one submission."""

    question: str
    points: float
    max: float
    status: str
    """One of: passed, failed, not answered, not reached, to be read, read, not graded."""
    remark: str = ""


@dataclass
class Graded:
    """One graded submission: its questions, and remarks for the student."""

    student: str
    assignment: str
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """Text of each written answer."""
    score: dict | None = None
    """Rows of the leaderboard for a capstone and its rivals; None if there is no score."""

    @property
    def points(self) -> float:
        """Return the sum of points over all questions graded so far."""
        return sum(row.points for row in self.rows)

    @property
    def out_of(self) -> float:
        """Return the most points that the submission could get."""
        return sum(row.max for row in self.rows)


def grade_one(path: Path, key: NotebookNode | None, release: NotebookNode | None, **limits: float) -> Graded:
    """Grade `<student>/<assignment>.ipynb`. A file that is not a notebook of the course gets no points and a reason."""
    # keep any other ending, or the file's feedback would replace that of the notebook with the same stem
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
    except Exception as error:  # no file may stop the grading of the others
        if not isinstance(error, ValueError):
            log.exception("%s: not graded", path)
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        graded.remarks.append(f"not graded: {reason}")
        worth = {cell.id: float(cell.metadata.nbgrader["points"]) for cell in key.cells if is_grade(cell)}
        graded.rows = [Row(name, 0.0, most, "not graded", reason) for name, most in worth.items()]
    return graded


def _count(done: NotebookNode, stopped: str, graded: Graded) -> None:
    """Fill `graded` from the executed notebook: a row per question, errors outside tests, the capstone's score."""
    open_answer = False
    for cell in done.cells:
        error = _error(cell)
        if is_grade(cell):
            graded.rows.append(_row(cell, stopped, open_answer))
            if is_solution(cell):
                graded.answers[cell.id] = cell.source
            scores = SCORE in cell.source  # a test of the course, not a student's cell
            for output in cell.get("outputs", []) if scores else []:
                found = output.get("data", {}).get(SCORE, {})
                graded.score = found if {"own", "rivals"} <= found.keys() else graded.score
        elif is_solution(cell):
            open_answer = error is not None and error.ename == "NotImplementedError"
        if error and not is_grade(cell) and error.ename != "NotImplementedError":
            graded.remarks.append(f"`{cell.id}` stopped: {_message(error)}")


def _read(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        ValueError: the file is not a notebook.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats have no cell ids
            notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
            for cell in notebook.cells:
                cell.source, cell.cell_type, cell.metadata.get("nbgrader")
    except Exception as error:
        raise ValueError(f"{path.name} cannot be read as a notebook ({type(error).__name__})") from error
    return notebook


def _run(
    notebook: NotebookNode, *, seconds: float, cell_seconds: float, memory: float, hidden: int
) -> tuple[NotebookNode, str]:
    """Run a notebook. Return it as far as it ran, and the reason if it was stopped."""
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
            "CUDA_VISIBLE_DEVICES": "",  # a GPU maps more address space than the limit allows
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
    """End the worker and all processes that it started. All have its TMPDIR, even if they have other parents."""
    while family := [process for process in psutil.process_iter() if _environment(process).get("TMPDIR") == folder]:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family)


def _environment(process: psutil.Process) -> dict[str, str]:
    """Return the environment of a process. It is empty if the process has ended or belongs to another user."""
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except psutil.Error:
        return {}


def _row(cell: NotebookNode, stopped: str, open_answer: bool) -> Row:
    """Return the points of a graded cell by nbgrader's rule, except that a cell which never ran gets no points."""
    most = float(cell.metadata.nbgrader["points"])
    if is_solution(cell):
        points, _ = determine_grade(cell)
        return Row(cell.id, 0.0, most, "to be read" if points is None else "not answered")
    if cell.execution_count is None:
        return Row(cell.id, 0.0, most, "not reached", stopped or "an earlier cell ended the run")
    error = _error(cell)
    # nbgrader would count a warning on stderr as a failure; we do not
    points, _ = determine_grade(NotebookNode(cell | {"outputs": [error] if error else []}))
    if points:
        return Row(cell.id, points, most, "passed")
    if error.ename == "NotImplementedError" or (open_answer and error.ename == "NameError"):
        return Row(cell.id, 0.0, most, "not answered")
    return Row(cell.id, 0.0, most, "failed", _message(error))


def _error(cell: NotebookNode) -> NotebookNode | None:
    """Return the error that ended a cell, or None."""
    return next((output for output in cell.get("outputs", []) if output.output_type == "error"), None)


def _message(error: NotebookNode) -> str:
    """Return the message of an error in one line, without the lines of the hidden test."""
    says = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", error.evalue)).strip()[:500]
    match error.ename:
        case "AssertionError":
            return says or "a test failed"
        case "CellTimeoutError" | "KeyboardInterrupt":
            return "took too long and was interrupted: is there a loop that does not end?"
        case _:
            return f"{error.ename}: {says}"
