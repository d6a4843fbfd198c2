"""The manifest of a data folder, checksums of its files, and a fingerprint of its content.

manifest.json      name, source, sizes, and the sha256 of every array and text file; written last
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from pathlib import Path

from vsrpp_lite.data.document import read_json
from vsrpp_lite.data.errors import DataError, check_plain_file
from vsrpp_lite.files import home, remove_dead_drafts, write_text

KINDS = ("ims.npy", "caps.txt", "ids.txt", "masks.npy", "boxes.npy")
"""Kinds of the files of a split. Each file is named `{split}_{kind}`."""


def read_manifest(folder: Path) -> dict:
    """Read the manifest of a folder that has one.

    Raises:
        DataError: the manifest is not an object with the sha256 of files of this folder.
    """
    path = folder / "manifest.json"
    expected = "an object with the sha256 of files, or no such file"
    content = read_json(path, expected)
    try:
        stored = dict(content["sha256"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: found {error!r}; expected {expected}") from error
    for name, checksum in stored.items():
        if name in ("", ".", "..") or Path(name).name != name:
            raise DataError(f"{path}: names {name!r}; expected files of this folder")
        if not isinstance(checksum, str) or not re.fullmatch("[0-9a-f]{64}", checksum):
            raise DataError(f"{path}: the sha256 of {name} is {str(checksum)[:70]!r}; expected 64 hex digits")
    return content


def verify(folder: str | Path) -> None:
    """Compare every file with the manifest, if there is one.

    `open_split` does not do this, since it would have to read all files each time.

    Raises:
        DataError: a file is missing, is not the one that was written, or is not named in the manifest.
    """
    folder = Path(folder)
    if not os.path.lexists(folder / "manifest.json"):
        return
    stored = read_manifest(folder)["sha256"]
    for name, expected in stored.items():
        path = folder / name
        check_plain_file(path, f"a file with the sha256 {expected}")
        if (found := sha256(path)) != expected:
            raise DataError(f"{path}: found sha256 {found}; expected {expected}, as manifest.json has it")
    for path in split_files(folder):
        if path.name not in stored:
            raise DataError(f"{path}: not named in manifest.json; expected its sha256 there, or no such file")


def split_files(folder: Path) -> list[Path]:
    """Return the array and text files of all splits in a folder, in the order of their names."""
    found = []
    for path in sorted(folder.iterdir()):
        split, _, kind = path.name.rpartition("_")
        if split and kind in KINDS and not split.startswith("."):  # a Mac leaves ._train_ims.npy beside a copied file
            found.append(path)
    return found


def sha256(path: Path) -> str:
    """Return the checksum of a file's content, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folder: str | Path) -> str:
    """Return a sha256 over the content of every array and text file of all splits; it is part of a run's digest.

    It does not rely on the manifest, and other files in the folder do not change it. A file of the same size and time
    as before is not read again: its checksum is kept in data/.checksums under the home of the package.
    """
    remove_dead_drafts(home() / "data" / ".checksums")
    contents = [[path.name, _remembered_sha256(path)] for path in split_files(Path(folder).resolve())]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def _remembered_sha256(path: Path) -> str:
    """Return the checksum of a file. The file is read only if its size, times or place changed since the last call."""
    check_plain_file(path, "a file of a split")
    stat = path.stat()
    state = f"{path} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
    kept = home() / "data" / ".checksums" / hashlib.sha256(os.fsencode(state)).hexdigest()
    with suppress(DataError, ValueError, OSError):  # it is not there, or it is damaged: see what the file holds now
        check_plain_file(kept, "a checksum")
        found, seal = kept.read_text(encoding="ascii").split()
        if seal == _seal(state, found):
            return found
    found = sha256(path)
    with suppress(OSError):  # where we cannot write to home, the file will be read again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, f"{found} {_seal(state, found)}")
    return found


def _seal(state: str, checksum: str) -> str:
    """Return what stands beside a kept checksum, so that a damaged one, or one of another file, is not believed."""
    return hashlib.sha256(os.fsencode(f"{state} {checksum}")).hexdigest()
