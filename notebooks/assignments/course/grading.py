"""Grade a folder of submissions: each in a process of its own, some at a time."""

import io
import logging
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path

import handed_in
import joblib
import marks
from exam import Course, Exam
from graded import Graded, Row
from handed_in import HandedIn
from nbformat import NotebookNode
from repair import repair
from sandbox import adopt_orphans

from vsrpp_lite.files import home, scratch

log = logging.getLogger("course")
PATIENCE = 60
"""Seconds that an examiner has beyond those of its submission."""
EXAMINERS = multiprocessing.get_context("forkserver")
EXAMINERS.set_forkserver_preload(["torch", "nbgrader.utils", "vsrpp_lite"])  # so that each starts in an instant


def grade(entries: Sequence[HandedIn], courses: dict[str, Course], jobs: int) -> list[Graded]:
    """Grade all submissions, `jobs` at a time; 0 is one per core. The results have the order of the submissions."""

    def one(entry: HandedIn) -> Graded:
        result = _graded(entry, courses)
        log.info("%s, %s: %g of %g points", result.student, result.assignment, result.points, result.out_of)
        return result

    with ThreadPoolExecutor(jobs or joblib.cpu_count(only_physical_cores=False)) as pool:
        return list(pool.map(one, entries))


def _graded(entry: HandedIn, courses: dict[str, Course]) -> Graded:
    """Grade one submission in a process of its own. If this process ends or hangs, the submission gets no points."""
    graded = Graded(entry.student, entry.assignment, remarks=list(entry.remarks))
    if entry.remarks:
        return graded
    course = courses[entry.assignment]
    receives, sends = EXAMINERS.Pipe(duplex=False)
    process = EXAMINERS.Process(target=_examine, args=(entry, course, str(home()), sends))
    process.start()
    sends.close()
    try:
        if receives.poll(course.limits.seconds + PATIENCE):
            return receives.recv()
        reason = "it could not be judged in time"
    except EOFError:
        reason = "the process that judged it came to an end"
    finally:
        process.kill()
        process.join()
    _not_graded(graded, reason, course.key)
    return graded


def _examine(entry: HandedIn, course: Course, where: str, sends: Connection) -> None:
    adopt_orphans()
    os.environ["VSRPP_HOME"] = where  # the server that forks keeps the environment of its first use
    sends.send(examine(entry, course))


def examine(entry: HandedIn, course: Course) -> Graded:
    """Grade one submission. One that cannot be graded gets no points and a reason."""
    graded = Graded(entry.student, entry.assignment)
    try:
        notebook, repairs = repair(handed_in.read(entry.path), course.release, course.key)
        graded.remarks += [f"`{name}`: {line}" if name else line for name, lines in repairs.items() for line in lines]
        most = int(course.limits.memory * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))  # what a submission sends must not fill the memory here
        with scratch(Path(tempfile.gettempdir())) as folder, redirect_stdout(io.StringIO()):
            Exam(notebook, course, folder / "box", graded).hold()
    except Exception as error:  # no submission may stop the grading of the others
        known = isinstance(error, ValueError | OSError)
        if not known:
            log.exception("%s, %s: not graded", entry.student, entry.assignment)
        _not_graded(graded, str(error) if known else f"{type(error).__name__}: {error}", course.key)
    return graded


def _not_graded(graded: Graded, reason: str, key: NotebookNode) -> None:
    """Note that a submission gets no points, and why."""
    graded.remarks.append(f"not graded: {reason}")
    graded.rows = [Row(name, 0.0, most, "not graded", reason) for name, most in marks.worth(key).items()]
