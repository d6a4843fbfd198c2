"""Processes that work for this one, and that end when it ends."""

import os
import threading
import time
from typing import Any

import joblib


def parallel(jobs: int, **options: Any) -> joblib.Parallel:
    """Return `joblib.Parallel`, whose workers end when this process is gone. A process that is killed cannot end them.

    An outer `joblib.parallel_config(...)` may choose another backend, such as dask, which ends its workers itself.

    Args:
        jobs: number of processes at a time; -1 is one for each core.
        options: other arguments of `joblib.Parallel`.
    """
    return joblib.Parallel(jobs, initializer=_leave_with, initargs=(os.getpid(),), **options)


def _leave_with(parent: int) -> None:
    """End this worker when the process that started it is gone, and at once if it has gone before this call."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="leave", daemon=True).start()
