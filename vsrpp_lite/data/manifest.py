"""The manifest of a data folder, checksums of its files, and a fingerprint of its content.

manifest.json      name, source, sizes, and the sha256 of every array and text file; written last
"""

import hashlib
import json
from pathlib import Path

from vsrpp_lite.files import home, write_text

KINDS = ("ims.npy", "caps.txt", "ids.txt", "masks.npy", "boxes.npy")
"""Kinds of the files of a split. Each file is named `{split}_{kind}`."""


class DataError(ValueError):
    """A data folder is not as it should be. The message says which file, where, what it holds and what it should."""


def read_manifest(folder: Path) -> dict:
    """Read the manifest of a folder that has one.

    Raises:
        DataError: the manifest is not an object with the sha256 of files.
    """
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["sha256"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected an object with the sha256 of files, or no such file ({error!r})") from error
    return content


def verify(folder: str | Path) -> None:
    """Compare every file with the manifest, if there is one.

    `open_split` does not do this, since it would have to read all files each time.

    Raises:
        DataError: a file is missing, or is not the one that was written.
    """
    folder = Path(folder)
    stored = read_manifest(folder)["sha256"] if (folder / "manifest.json").exists() else {}
    for name, expected in stored.items():
        path = folder / name
        if not path.exists():
            raise DataError(f"{path}: missing; expected sha256 {expected}")
        if (found := sha256(path)) != expected:
            raise DataError(f"{path}: found sha256 {found}; expected {expected}, as manifest.json has it")


def sha256(path: Path) -> str:
    """Return the checksum of a file's content, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folder: str | Path) -> str:
    """Return a sha256 over the content of every array and text file of all splits; it is part of a run's digest.

    It does not rely on the manifest, and other files in the folder do not change it. A file of the same size and time
    as before is not read again: its checksum is kept in data/.checksums under the home of the package.
    """
    contents = []
    for path in sorted(Path(folder).resolve().iterdir()):
        split, _, kind = path.name.rpartition("_")
        if split and kind in KINDS:
            contents.append([path.name, _remembered_sha256(path)])
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()


def _remembered_sha256(path: Path) -> str:
    stat = path.stat()
    state = f"{path} {stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
    kept = home() / "data" / ".checksums" / hashlib.sha256(state.encode()).hexdigest()
    try:
        return kept.read_text(encoding="ascii")
    except OSError:
        found = sha256(path)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, found)
    except OSError:  # we cannot write to home, so the file will be read again next time
        pass
    return found
