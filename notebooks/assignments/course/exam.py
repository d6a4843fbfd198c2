"""The exam of one notebook. The student's cells run in a box; the tests of the course run here, and judge its answers.

A test is a cell of the instructor's notebook. The names that it uses and that the course has not defined are the
student's: a value is fetched from the box, and a function becomes an `Answer`, which sends its arguments to the box and
returns what comes back. When all tests of an answer are done, the right one takes its place, here and in the box. So a
question that builds on an earlier one is judged by itself.
"""

import ast
import builtins
import re
import shutil
import symtable
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import absent
import numpy as np
import torch
from graded import Graded, Row
from nbformat import NotebookNode
from nbgrader.utils import determine_grade, is_grade, is_solution
from sandbox import AnswerError, EndedError, Limits, Sandbox
from torch import Tensor, nn
from versions import HERE

FUNCTION = re.compile(r"^def (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Course:
    """What all submissions of one assignment share."""

    key: NotebookNode
    """The notebook with the tests to ask: the instructor's or, for a student's own look, the student version."""
    release: NotebookNode
    seen: tuple[Path, ...]
    """The data and the model of the course, which the box may read."""
    hidden: int
    """Draw of the pictures that score the capstone."""
    walled: bool
    """Whether the box is a sandbox."""
    limits: Limits


class Answer:
    """A function of the student, which runs in the box."""

    def __init__(self, exam: "Exam", name: str):
        self.exam, self.name = exam, name

    def __call__(self, *arguments: Any) -> Any:
        """Call the student's function.

        Raises:
            AnswerError: it raised an error.
            AssertionError: it changed an argument in place. A module in training mode may change its buffers.
        """
        self.exam.arguments = arguments
        reply = self.exam.box.request("call", self.name, *arguments)
        after = reply.get("arguments")
        for number, (argument, then) in enumerate(zip(arguments, after if isinstance(after, list) else []), start=1):
            if isinstance(argument, nn.Module) and isinstance(then, dict):
                for name, buffer in argument.named_buffers():
                    if isinstance(value := then.get(name), Tensor) and value.shape == buffer.shape:
                        buffer.copy_(value)
            elif isinstance(argument, Tensor | np.ndarray) and not _same(argument, then):
                raise AssertionError(f"your answer changes its argument number {number} in place: use a new tensor")
        return reply.get("value")


def _same(before: Tensor | np.ndarray, after: Any) -> bool:
    return type(after) is type(before) and before.shape == after.shape and bool((before == after).all())


class Exam:
    """One notebook, cell by cell: the box runs the student's, this process the course's."""

    def __init__(self, notebook: NotebookNode, course: Course, folder: Path, graded: Graded):
        self.notebook, self.course, self.graded = notebook, course, graded
        self.keys = {cell.id: cell for cell in course.key.cells}
        self.released = {cell.id: cell.source for cell in course.release.cells}
        self.solved = course.key is not course.release
        written = [cell.source for cell in notebook.cells if is_solution(cell) or cell.id not in self.keys]
        self.space: dict[str, Any] = {"__name__": "__main__", "written": written, "hidden_draw": course.hidden}
        ours = [cell.source for cell in course.key.cells if cell.cell_type == "code" and not is_solution(cell)]
        self.ours = set(dir(builtins)).union(*(_names(source)[1] for source in ours))
        """Names that a cell of the course defines. The student is not asked for these, even if that cell has failed."""
        self.arguments: Sequence[Any] = ()
        self.answer: NotebookNode | None = None
        """The answer whose questions are being asked."""
        self.open = False
        """Whether that answer was left as it was handed out."""
        self.replaced: set[str] = set()
        absent.copy(folder, course.key.metadata.get("absent", ()))
        for path in (Path(__file__).with_name("box.py"), Path(__file__).with_name("wire.py"), HERE / "unit.py"):
            shutil.copy(path, folder)
        self.box = Sandbox(folder, course.seen, course.limits, walled=course.walled)
        self.box.right, self.box.find = self._right, self._module

    def hold(self) -> None:
        """Run all cells, and put a row for each question into `graded`."""
        try:
            for cell in self.notebook.cells:
                if is_solution(cell) and cell.cell_type == "code":
                    self._replace()
                    self.answer = cell
                if is_grade(cell):
                    self.graded.rows.append(self._row(cell))
                elif cell.cell_type == "code":
                    self._run(cell)
        finally:
            self.box.close()
        if self.box.ended:
            self.graded.remarks.append(self.box.ended)
        if self.solved:
            self.graded.score = self.space.get("leaderboard")

    def _run(self, cell: NotebookNode) -> None:
        """Run a cell that is no test: in the box and, if it is the course's, here too."""
        ours = cell.id in self.keys and not is_solution(cell)
        if ours:
            exec(compile(cell.source, cell.id, "exec"), self.space)
        self.open = False
        try:
            # a preparation of the course may be slow on a slow machine
            self.box.request("run", cell.source, seconds=self.course.limits.seconds if ours else None)
        except AnswerError as error:
            self.open = error.name == "NotImplementedError" and is_solution(cell)
            if not self.open:
                self.graded.remarks.append(f"`{cell.id}` stopped: {message(error.name, str(error))}")
        except EndedError:
            pass  # each question that follows says so

    def _row(self, cell: NotebookNode) -> Row:
        """Return the points of a question: those of a test, or none yet if a person must read the answer."""
        most = float(cell.metadata.nbgrader["points"])
        if is_solution(cell):
            self.graded.answers[cell.id] = cell.source
            points, _ = determine_grade(cell)
            return Row(cell.id, 0.0, most, "to be read" if points is None else "not answered")
        if not ast.parse(cell.source).body:
            return Row(cell.id, 0.0, most, "hidden", "this is asked when it is graded")
        try:
            points, remark = self._ask(cell.source, most)
        except EndedError as error:
            return Row(cell.id, 0.0, most, "not reached", str(error))
        except AnswerError as error:
            if error.name == "NotImplementedError" or (self.open and error.name == "NameError"):
                return Row(cell.id, 0.0, most, "not answered")
            return Row(cell.id, 0.0, most, "failed", message(error.name, str(error)))
        except Exception as error:
            return Row(cell.id, 0.0, most, "failed", message(type(error).__name__, str(error)))
        finally:
            with suppress(AnswerError, EndedError):  # the visible part, whose names later cells of the student may use
                self.box.request("run", self.released[cell.id])
        status = "passed" if points == most else "in part" if points else "failed"
        return Row(cell.id, points, most, status, remark)

    def _ask(self, source: str, most: float) -> tuple[float, str]:
        """Run a test. Return its points and a remark: all, unless the test ends with `(points, remark)`.

        Raises:
            AssertionError: the answer is wrong. Other errors tell that it could not be judged.
        """
        test, (used, _) = ast.parse(source), _names(source)
        theirs = sorted(used - self.ours - set(self.space))
        missing: dict[str, AnswerError] = {}
        try:
            for name in theirs:
                try:
                    reply = self.box.request("get", name)
                except AnswerError as error:
                    missing[name] = error  # for now: what stands before its first use runs, since later tests need it
                else:
                    self.space[name] = Answer(self, name) if "function" in reply else reply.get("value")
            *body, last = test.body or [ast.Pass()]
            value = None
            if isinstance(last, ast.Expr) and isinstance(last.value, ast.Tuple):
                exec(compile(ast.Module(body, []), "test", "exec"), self.space)
                value = eval(compile(ast.Expression(last.value), "test", "eval"), self.space)
            else:
                exec(compile(test, "test", "exec"), self.space)
        except NameError as error:
            raise missing.get(error.name, error) from None
        finally:
            for name in theirs:
                self.space.pop(name, None)
        points, remark = value or (most, "")
        return float(min(max(points, 0.0), most)), str(remark)

    def _replace(self) -> None:
        """Put the right functions in the place of the last answer's, here and, if a later answer uses them, there."""
        if self.answer is None or not self.solved:
            return
        source = self.keys[self.answer.id].source
        functions = FUNCTION.findall(source)
        if functions:
            exec(compile(source, self.answer.id, "exec"), self.space)
        cells = list(self.keys.values())
        place = cells.index(self.keys[self.answer.id])
        later = " ".join(cell.source for cell in cells[place + 1 :] if is_solution(cell))
        used = [name for name in functions if re.search(rf"\b{name}\b", later)]
        self.replaced |= set(used)
        with suppress(EndedError):
            self.box.request("replace", *used)

    def _right(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """Return what a right function gives, for an answer that builds on it."""
        if name not in self.replaced:
            raise ValueError(f"{name} is not to be asked")
        with torch.no_grad():
            return self.space[name](*arguments, **keywords)

    def _module(self, where: Any) -> nn.Module:
        """Return the module that the box means: one of its matcher, or an argument of the present call."""
        found = self.space["matcher"].get_submodule(where) if isinstance(where, str) else self.arguments[where]
        if not isinstance(found, nn.Module):
            raise ValueError(f"{where} is no module")
        return found


def _names(source: str) -> tuple[set[str], set[str]]:
    """Return the global names that a cell uses, and those that it defines."""
    top = symtable.symtable(source, "cell", "exec")
    used, scopes = set(), [top]
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        used |= {name.get_name() for name in scope.get_symbols() if scope is top or name.is_global()}
    defined = {name.get_name() for name in top.get_symbols() if name.is_assigned() or name.is_imported()}
    return used - defined, defined


def message(name: str, says: str) -> str:
    """Return what an error says, in one line, without the lines of the hidden test."""
    says = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", says)).strip()[:500]
    match name:
        case "AssertionError":
            return says or "a test failed"
        case "TookTooLong" | "KeyboardInterrupt":
            return "took too long and was interrupted: is there a loop that does not end?"
        case "RuntimeError" if says.startswith("write this one yourself"):
            return says
    return f"{name}: {says}"
