"""The files that students handed in: which there are, under which names, and what can be read of them.

A student chooses the names and the contents, so nothing here follows a link, opens a device, or reads without a limit.
"""

import hashlib
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

LARGEST = 20 * 2**20
"""Most bytes of a notebook."""
MOST = 100
"""Most files of a student that are looked at."""


@dataclass(frozen=True)
class HandedIn:
    """One notebook of one student, or what a student handed in instead of one."""

    student: str
    """Name of the student's folder, in letters that every file and every screen can show."""
    assignment: str
    """Name of the assignment; "other files" if none of these files is a notebook of the course."""
    path: Path
    remarks: tuple[str, ...] = ()
    """Why it is not graded; empty if it is a file to grade."""


def collect(folder: Path, assignments: list[str]) -> list[HandedIn]:
    """Return what was handed in: <student>/<assignment>.ipynb, or nbgrader's <student>/<assignment>/<same>.ipynb."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            found += _of_student(Path(entry.path), assignments)
        elif entry.is_symlink():
            says = "the student's folder is a link to another place: it was not graded"
            found.append(HandedIn(shown(entry.name), "other files", Path(entry.path), (says,)))
    return found


def _of_student(folder: Path, assignments: list[str]) -> list[HandedIn]:
    student, found, others = shown(folder.name), {}, []
    try:
        listed = list(os.scandir(folder))
    except OSError as error:
        says = f"the folder cannot be read ({error.strerror}): it was not graded"
        return [HandedIn(student, "other files", folder, (says,))]
    entries = sorted(listed, key=lambda entry: (Path(entry.name).stem not in assignments, entry.name))
    for entry in entries[:MOST]:
        name, path = entry.name.removesuffix(".ipynb"), Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            path = path / f"{name}.ipynb"  # as nbgrader collects them, with a time stamp beside the notebook
        elif name == entry.name:
            name = ""
        if name in assignments and os.path.lexists(path):
            first = found.setdefault(name, HandedIn(student, name, path)).path
            if first != path:
                told = f"{shown(str(first.relative_to(folder)))} is graded, and this one is not"
                others.append(f"{shown(entry.name)}: {name} was handed in twice: {told}")
        elif not entry.name.startswith("."):
            others.append(f"{shown(entry.name)} is no assignment of this course: it was not graded")
    if len(entries) > MOST:
        others.append(f"there are {len(entries)} files: {MOST} of them were looked at")
    if others:
        found["other files"] = HandedIn(student, "other files", folder, tuple(others))
    return list(found.values())


def read(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        ValueError: the file is a link, no regular file, too large, or not a notebook.
    """
    name = shown(path.name)
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise ValueError(f"{name} is a link to another file: hand in the notebook itself")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{name} is not a regular file")
    if found.st_size > LARGEST:
        raise ValueError(
            f"{name} has {found.st_size / 2**20:.0f} MiB; at most {LARGEST // 2**20} are read. Clear its outputs"
        )
    # whoever exchanges the file for a link or a pipe just now has no gain
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        content = file.read(LARGEST)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old formats have no cell ids
            notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
            for cell in notebook.cells:
                cell.source, cell.cell_type, cell.metadata.get("nbgrader")
                cell.source = "".join(cell.source).encode(errors="replace").decode()
    except Exception as error:
        raise ValueError(f"{name} cannot be read as a notebook ({type(error).__name__})") from error
    return notebook


def shown(name: str) -> str:
    """Return a name without bytes that are no text and without line ends; other names stay as they are.

    >>> shown("Ada Lovelace"), shown("a\\nb")
    ('Ada Lovelace', 'a\\\\nb')
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def file_name(name: str) -> str:
    """Return a name for a file or folder that every file system can hold. Different names stay different.

    >>> file_name("Ada Lovelace"), file_name("..")
    ('Ada Lovelace', '%2E%2E')
    """
    safe = "".join(letter if letter.isalnum() or letter in " ._-@+,=" else quote(letter, safe="") for letter in name)
    if set(safe) <= {"."} or safe[0] in "- ":
        safe = f"%{ord(safe[0]):02X}{safe[1:].replace('.', '%2E')}"
    if len(safe.encode()) > 120:
        safe = safe.encode()[:100].decode(errors="ignore") + "-" + hashlib.sha256(name.encode()).hexdigest()[:12]
    return safe
