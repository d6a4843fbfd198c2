"""Processes that work for this one, and that end when it ends."""

import os
import threading
import time
import warnings
from typing import Any

import joblib
from joblib.parallel import BACKENDS, get_active_backend

# loky starts a worker anew if its memory has grown by 300 MB since its first task, as it does where a large system
# follows a small one. Nothing is lost; a worker that the system kills raises TerminatedWorkerError.
warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)


def parallel(jobs: int, **options: Any) -> joblib.Parallel:
    """Return `joblib.Parallel`, whose workers end when this process is gone. A process that is killed cannot end them.

    An outer `joblib.parallel_config(...)` may choose another backend, such as dask or Ray, which ends its own workers.

    Args:
        jobs: number of processes at a time; -1 is one for each core.
        options: other arguments of `joblib.Parallel`.
    """
    backend = get_active_backend()[0]
    if isinstance(backend, BACKENDS["loky"]):  # others have workers that this process did not start
        options |= {"initializer": _leave_with, "initargs": (os.getpid(),)}
    if not backend.supports_return_generator:  # Ray's gives all results at the end
        options["return_as"] = "list"
    return joblib.Parallel(jobs, **options)


def _leave_with(parent: int) -> None:
    """End this worker when the process that started it is gone, and at once if it has gone before this call."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="leave", daemon=True).start()
