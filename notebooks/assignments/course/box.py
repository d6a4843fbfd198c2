"""The box: a process in which a student's cells run, and which answers the grader's calls.

box.py FD GIB

It holds nothing that is secret, and what it says is no verdict: the grader asks for values and judges them itself. So a
program that changes this one can only give other answers, and lose points.
"""

import os
import pickle
import resource
import signal
import sys
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import wire
from IPython.core.interactiveshell import InteractiveShell
from torch import Tensor, nn

FILES, FILE_BYTES = 256, 2**28


class TookTooLong(KeyboardInterrupt):
    """The time of a cell or of a call is over."""


class Box:
    """The student's cells, and the functions that they define."""

    def __init__(self, connection: Connection):
        self.connection = connection
        InteractiveShell.history_manager_class = None  # no history is kept
        self.shell = InteractiveShell.instance(colors="NoColor")

    def run(self, source: str) -> Any:
        """Run a cell."""
        done = self.shell.run_cell(source, store_history=False)
        error = done.error_before_exec or done.error_in_exec
        return failure(error) if error is not None else {"value": None}

    def get(self, name: str) -> Any:
        """Return the value of a name, or say that it is a function."""
        if name not in self.shell.user_ns:
            raise NameError(f"name {name!r} is not defined")
        value = self.shell.user_ns[name]
        return {"function": True} if callable(value) and not isinstance(value, nn.Module) else {"value": value}

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the student, and return its value and its arguments as they are afterwards."""
        self.arguments = arguments
        value = self.shell.user_ns[name](*arguments)
        return {"value": value, "arguments": [_state(argument) for argument in arguments]}

    def replace(self, *names: str) -> Any:
        """Let these names call the right functions from here on. They are computed by the grader, not here."""
        for name in names:
            self.shell.user_ns[name] = partial(self.ask, name)
        return {"value": None}

    def ask(self, name: str, /, *arguments: Any, **keywords: Any) -> Any:
        """Return the value that the right function gives."""
        question = {"ask": name, "arguments": list(arguments), "keywords": keywords}
        self.connection.send_bytes(wire.dumps(question, self.whereabouts()))
        value, error = pickle.loads(self.connection.recv_bytes())
        if error:
            raise ValueError(error)
        return value

    def whereabouts(self) -> wire.Whereabouts:
        """Return where the grader finds each module: in its own matcher, or among the arguments of this call."""
        matcher = self.shell.user_ns.get("matcher")
        paths = matcher.named_modules() if isinstance(matcher, nn.Module) else ()
        found = wire.Whereabouts({id(module): path for path, module in paths})
        for number, argument in enumerate(getattr(self, "arguments", ())):
            found[id(argument)] = number
        return found


def _state(argument: Any) -> Any:
    """Return what a call may have changed: an array, or the buffers of a module."""
    if isinstance(argument, Tensor | np.ndarray):
        return argument
    return dict(argument.named_buffers()) if isinstance(argument, nn.Module) else None


def failure(error: BaseException) -> dict[str, Any]:
    """Return an error as two texts."""
    try:
        return {"error": type(error).__name__, "says": str(error)[:2000]}
    except Exception:  # the student's own class of errors may fail to say anything
        return {"error": "Exception", "says": ""}


def _too_long(*_: Any) -> None:
    raise TookTooLong


def main(fd: int, gib: float) -> None:
    """Answer calls until the grader goes."""
    memory = int(gib * 2**30)
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    os.nice(10)  # a program that multiplies must not keep the grader from ending it
    with suppress(OSError):  # only Linux has this: where memory is short, the kernel ends a box before its grader
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.set_inheritable(fd, False)
    connection = Connection(fd)
    box = Box(connection)
    signal.signal(signal.SIGALRM, _too_long)
    connection.send_bytes(wire.dumps({"value": None}))  # it is ready
    while True:
        seconds, action, arguments = pickle.loads(connection.recv_bytes())  # the grader's words can be trusted
        try:
            # the alarm rings again, in case that an answer catches every error
            signal.setitimer(signal.ITIMER_REAL, seconds, 2.0)
            try:
                reply = getattr(box, action)(*arguments)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            message = wire.dumps(reply)
            if len(message) > wire.LONGEST:
                raise ValueError(f"the value has more than {wire.LONGEST} bytes")
        except BaseException as error:  # whatever a student's function raises
            message = wire.dumps(failure(error))
        connection.send_bytes(message)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
