"""Where the files of the package lie, and how it writes them: a reader sees a whole file or none."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


def home() -> Path:
    """Return the folder of data/, runs/ and results/: $VSRPP_HOME, else this checkout, else the working directory.

    Raises:
        ValueError: $VSRPP_HOME is a relative path, which notebooks in another folder would take for another place.
    """
    given = os.environ.get("VSRPP_HOME")
    if given and not Path(given).is_absolute():
        raise ValueError(f"VSRPP_HOME is {given!r}; expected an absolute path, such as {str(Path(given).resolve())!r}")
    checkout = Path(__file__).resolve().parent.parent
    default = checkout if (checkout / "pyproject.toml").exists() else Path.cwd()
    return Path(given or default).resolve()


def notebooks_folder() -> Path:
    """Return the folder of this checkout's notebooks, or of those that the installed package carries."""
    package = Path(__file__).resolve().parent
    carried = package / "notebooks"  # a checkout has none; beside an installed package, `notebooks` may be anybody's
    return carried if carried.is_dir() else package.parent / "notebooks"


def recorded_folder() -> Path:
    """Return the folder of the recorded results, notebooks/recorded."""
    return notebooks_folder() / "recorded"


DRAFTS = ".draft-"
"""The beginning of the name of every scratch folder. The rest is random: process numbers would not be unique, since two
containers that share a disk may both run as process 1."""


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield a new folder for drafts, on the same disk as what they will become. It is removed at the end.

    A process that is killed leaves its folder behind, and the next call of any process removes that folder. A process
    that is alive holds a lock on its folder, so that no other process removes it.
    """
    remove_dead_drafts(parent)
    folder, lock = _locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _locked_folder(parent: Path) -> tuple[Path, FileLock]:
    """Make a scratch folder and lock it.

    Before the lock, the folder looks like that of a dead process. If another process removes it in that instant, which
    costs nothing yet, this one makes another folder.
    """
    while True:
        folder = parent / f"{DRAFTS}{secrets.token_hex(6)}"
        folder.mkdir()
        lock = FileLock(folder / ".lock")
        with suppress(FileNotFoundError):  # the folder was removed before the lock
            lock.acquire()
            if (folder / ".lock").exists():
                return folder, lock
            lock.release()  # it was removed during the lock


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty draft of a folder, and then move it to `path`. So the folder is complete or absent.

    Raises:
        FileExistsError: there is such a folder, and it is not empty; or it is the working directory; or another process
            is writing it. It is not changed.
        OSError: the disk is full, or the parent folder cannot be written to; the message names `path`.
    """
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named(path), scratch(path.parent) as drafts:
        if any((others / path.name).exists() for others in path.parent.glob(f"{DRAFTS}*")):
            raise FileExistsError(f"{path}: another process is writing it; nothing was written")
        draft = drafts / path.name
        draft.mkdir()
        yield draft
        try:
            draft.rename(path)  # an empty folder is replaced, and no other
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise FileExistsError(f"{path} was written by another process meanwhile; it was not changed") from error
            raise


def refuse_existing(path: Path) -> None:
    """Refuse the path of a new folder if something is there.

    The process that made it may have been killed just afterwards. So what dead processes left beside it is removed.

    Raises:
        FileExistsError: there is such a path, and it is not an empty folder; or it is the working directory, a link, or
            a mount point, which no folder can replace.
    """
    if path.resolve() == Path.cwd():  # the shell would stay in the empty folder that the new one replaces
        raise FileExistsError(f"{path} is the working directory; expected another folder. Nothing was written")
    if path.is_symlink() or path.is_mount():
        raise FileExistsError(f"{path} is a link or a mount point; expected another path. Nothing was written")
    remove_dead_drafts(path.parent)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists; nothing was written")


def remove_dead_drafts(parent: Path) -> None:
    """Remove the scratch folders of processes that are dead.

    `scratch` and `refuse_existing` call this before anything is written. Call it yourself where a function returns
    early because its result exists already.
    """
    for folder in parent.glob(f"{DRAFTS}*"):
        try:
            with FileLock(folder / ".lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # somebody works in it, or it is not ours to remove
            continue


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield the path of a draft to write, and then replace `path` by it: readers see the old file or the new one.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; the message names `path`.
    """
    with _named(path), scratch(path.parent) as folder:
        yield folder / path.name
        (folder / path.name).replace(path)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Make a hard link to a file, or copy it where the disk has no links, or is another one."""
    try:
        os.link(os.path.realpath(source), target)  # of a relative link, its target
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the path that is being written into the message of an error of the disk.

    An error that tells of another file, such as one that is being copied, stays as it is.
    """
    try:
        yield
    except FileExistsError:
        raise  # it tells of the path already
    except OSError as error:
        parts = Path(str(error.filename)).parts
        if error.errno is None or (error.filename is not None and not any(part.startswith(DRAFTS) for part in parts)):
            raise
        raise OSError(error.errno, f"{error.strerror or error}, while it was written", str(path)) from error


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file; see `atomic`."""
    with atomic(path) as draft:
        draft.write_text(content, encoding="utf-8", newline="\n")
