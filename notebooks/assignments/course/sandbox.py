"""A box and its limits: a pipe to it, and a watcher that ends it when it takes too much or when the grader is gone."""

import ctypes
import os
import pickle
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import psutil
import walls
import wire

from vsrpp_lite.files import home

PROCESSES = 64
GRACE = 5.0
"""Seconds that a box has to interrupt itself, before it is ended."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use, all its processes together."""

    seconds: float = 180
    """From the first cell to the last."""
    cell_seconds: float = 20
    """For a cell, or for a call of a function. What comes later still runs."""
    memory: float = 6.0
    """GiB."""


ENDED = "Python came to an end before the notebook did: exit() ends it, and so may a lack of memory"


class EndedError(Exception):
    """The box is gone. The message says why."""


class AnswerError(Exception):
    """A cell or a function of the student raised an error, whose class is `name`."""

    def __init__(self, name: str, says: str):
        super().__init__(says)
        self.name = name


class Sandbox:
    """A box, and the pipe to it.

    Args:
        folder: holds box.py, wire.py, unit.py and the box's copy of the package.
        seen: files and folders outside that the box can read.
        walled: whether there is a sandbox; else the box runs as a plain process.
    """

    def __init__(self, folder: Path, seen: Sequence[Path], limits: Limits, *, walled: bool):
        self.limits, self.walled = limits, walled
        self.others = set(psutil.Process().children(recursive=True))
        self.ended = ""
        """Why the box is gone; empty if it is there."""
        self.why = ""
        self.scratch = folder / "tmp"
        self.right: Callable[[str, Sequence[Any], Mapping[str, Any]], Any] | None = None
        self.find: Callable[[Any], Any] | None = None
        ours, theirs = socket.socketpair()
        inside = Path("/box") if walled else folder
        temporary = "/tmp" if walled else str(self.scratch)
        if not walled:
            self.scratch.mkdir()
        environment = {
            "PATH": f"{walls.PYTHON.parent}:/usr/bin:/bin",
            "HOME": f"{temporary}/home" if walled else temporary,
            "TMPDIR": temporary,
            "USER": "student",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(inside),
            "PYTHONDONTWRITEBYTECODE": "1",
            "VSRPP_HOME": str(home()),
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "agg",
            "CUDA_VISIBLE_DEVICES": "",  # a GPU maps more address space than the limit allows
        }
        program = [str(walls.PYTHON), str(inside / "box.py"), str(theirs.fileno()), str(limits.memory)]
        self.process = subprocess.Popen(
            [*(walls.around(folder, seen) if walled else []), *program],
            env=environment,
            cwd=None if walled else self.scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.pipe = Connection(ours.detach())
        self.end = self.until = time.monotonic() + limits.seconds
        threading.Thread(target=self._watch, daemon=True).start()
        self._reply()

    def _watch(self) -> None:
        """End the box when a limit is passed, or when the grader is gone."""
        while self.process.poll() is None:
            time.sleep(0.05)
            grader = parent_process()
            if grader is not None and not grader.is_alive():
                self.close()
                os._exit(1)
            family, now = self._family(), time.monotonic()
            if now > self.end:
                self._stop(f"stopped after {self.limits.seconds:g} seconds: is there a loop that does not end?")
            elif now > self.until:
                self._stop(f"a cell could not be interrupted after {self.limits.cell_seconds:g} seconds")
            elif len(family) > PROCESSES:  # before their memory is added up, which takes time: they may still multiply
                self._stop(f"more than {PROCESSES} processes")
            elif _takes_more(family, self.limits.memory * 2**30):
                self._stop(f"more than {self.limits.memory:g} GiB of memory")

    def _stop(self, why: str) -> None:
        self.why = self.why or why
        self._kill()

    def _family(self) -> list[psutil.Process]:
        """Return the processes of the box.

        Without walls, a process may leave its parents. Then this process has adopted it: see `adopt_orphans`.
        """
        if self.walled:
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(self.process.pid).children(recursive=True)
            return []
        family = set(psutil.Process().children(recursive=True)) - self.others
        return [process for process in family if _is_alive(process)]

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()  # with walls, the kernel kills all that is inside
        if not self.walled:
            while family := self._family():
                for process in family:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                psutil.wait_procs(family)

    def close(self) -> None:
        """End the box and all its processes."""
        self._kill()
        self.process.wait()
        self.pipe.close()

    def request(self, action: str, *arguments: Any, seconds: float | None = None) -> dict[str, Any]:
        """Let the box do something, and return what it says.

        Args:
            action: a method of `box.Box`.
            seconds: the time that it may take; by default that of a cell.

        Raises:
            AnswerError: the student's program raised an error, or said something that cannot be read.
            EndedError: the box is gone.
        """
        if self.ended:
            raise EndedError(self.ended)
        seconds = self.limits.cell_seconds if seconds is None else seconds
        self.until = time.monotonic() + seconds + GRACE
        try:
            self.pipe.send_bytes(pickle.dumps((seconds, action, arguments)))
        except OSError:
            self._gone()
        reply = self._reply()
        self.until = self.end
        if "error" in reply:
            raise AnswerError(str(reply["error"])[:100], str(reply.get("says", ""))[:2000])
        return reply

    def _reply(self) -> dict[str, Any]:
        """Return the next message. If the box asks for the value of a right function, it gets it."""
        while True:
            try:
                message = self.pipe.recv_bytes(wire.LONGEST)
                reply = wire.loads(message, self.find)
                if not isinstance(reply, dict):
                    raise wire.GarbledError("no message")
                if "ask" not in reply:
                    return reply
                self.pipe.send_bytes(pickle.dumps(self._answer(reply)))
            except wire.GarbledError as error:
                raise AnswerError("ValueError", f"the answer cannot be read: {error}") from None
            except (EOFError, OSError):
                self._gone()

    def _answer(self, question: dict[str, Any]) -> tuple[Any, str]:
        """Return the value that a right function gives, or the text of its error."""
        assert self.right is not None
        try:
            return self.right(question["ask"], question["arguments"], question["keywords"]), ""
        except Exception as error:
            return None, f"{type(error).__name__}: {error}"

    def _gone(self) -> NoReturn:
        """Note why the box is gone.

        Raises:
            EndedError: always.
        """
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        self._kill()
        self.ended = self.why or ENDED
        raise EndedError(self.ended) from None


def _takes_more(family: Iterable[psutil.Process], most: float) -> bool:
    """Tell whether processes hold more than `most` bytes together, of what they have in common a share each.

    To add up the shares takes the kernel milliseconds. So we look first at an upper bound that it knows, in which
    everything in common counts for each process.
    """
    return all(sum(_memory(process, kind) for process in family) > most for kind in ("rss", "pss"))


def _memory(process: psutil.Process, kind: str) -> int:
    """Return the bytes of a process; 0 if it has gone."""
    try:
        return getattr(process.memory_full_info() if kind == "pss" else process.memory_info(), kind)
    except (psutil.Error, AttributeError):
        return 0


def _is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs: one that has ended stays visible until its parent looks."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def adopt_orphans() -> None:
    """Make this process the parent of every process below it that loses its own parent. Only Linux can do so."""
    with suppress(AttributeError):  # other systems have no prctl
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
