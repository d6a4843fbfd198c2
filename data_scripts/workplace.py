"""What the scripts of this folder share: a place where long work is kept."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vsrpp_lite.files import refuse_existing


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """Yield the folder OUT.parts, which belongs to this process alone, and remove it when the work is done.

    If the work fails or its process is killed, the folder stays, so that the next call goes on there.

    Raises:
        FileExistsError: `out` exists already, or another process is at work there.
    """
    parts = out.with_name(f"{out.name}.parts")
    try:
        refuse_existing(out)
        parts.mkdir(parents=True, exist_ok=True)
        with FileLock(parts / ".lock", timeout=0):
            yield parts
    except FileExistsError:
        if (out / "manifest.json").exists():  # a process that was killed at its very end has left its parts
            shutil.rmtree(parts, ignore_errors=True)
        raise
    except Timeout:
        raise FileExistsError(f"{parts}: another process is at work there; nothing was written") from None
    shutil.rmtree(parts, ignore_errors=True)  # a second call may clean up at the same moment
