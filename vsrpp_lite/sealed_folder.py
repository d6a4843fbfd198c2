"""A sealed folder knows the checksum of each of its files, and refuses a file that is damaged or that is not its own.

It holds checksums.json, which names the owner of the folder and the sha256 of every file. A file's checksum is written
before the file is moved into the folder. So a process that is killed at any moment leaves a folder that can be read:
during the move, the old and the new content are both accepted.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from filelock import FileLock

from vsrpp_lite.data.document import read_json
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import sha256
from vsrpp_lite.files import atomic, new_folder, write_text

CHECKSUMS, LOCK = "checksums.json", ".checksums.lock"


class DamagedError(ValueError):
    """A kept file is not the one that was written."""


@dataclass(frozen=True)
class SealedFolder:
    """A folder that writes a checksum with each file, and compares it at each reading.

    Args:
        folder: the folder. It need not exist before the first file is written.
        owner: what the folder belongs to, such as the digest of a run. None reads the folder of any owner.
        remedy: the end of every error message: what to do about a damaged file.
    """

    folder: Path
    owner: str | None = None
    remedy: str = ""

    @contextmanager
    def write(self, name: str) -> Iterator[Path]:
        """Yield the path of a draft to write. It becomes the file `name`, which readers see whole or not at all.

        Raises:
            DamagedError: checksums.json is damaged or belongs to another owner.
            OSError: the disk is full, or the folder cannot be written to; the message names the file.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with atomic(path) as draft:
                yield draft
                checksum = sha256(draft)
                # held until the file is moved and entered, so that the entries of two writers follow their moves
                stack.enter_context(FileLock(self.folder / LOCK))
                # keep all checksums that were accepted before: after a kill, the file may still have an older one
                self._enter(name, [checksum, *self._files().get(name, [None])])
            self._enter(name, [checksum])

    def write_text(self, name: str, content: str) -> None:
        """Write a UTF-8 text file."""
        with self.write(name) as draft:
            draft.write_text(content, encoding="utf-8", newline="\n")

    def let_others_read(self, draft: Path) -> None:
        """Give a draft the permissions of the file that was written before it, since safetensors keeps others out.

        Raises:
            FileNotFoundError: no file was written before it.
        """
        shutil.copymode(self.folder / CHECKSUMS, draft)

    def remove(self, name: str) -> None:
        """Delete a file, if there is one. A process that is killed meanwhile leaves the file or no file, never damage.

        If checksums.json is damaged, no file of the folder can be read, and the file is deleted all the same.
        """
        with FileLock(self.folder / LOCK):
            try:
                known = self._files()
            except DamagedError:
                known = {}
            if name in known:
                self._enter(name, [*known[name], None])
            (self.folder / name).unlink(missing_ok=True)
            if name in known:
                self._enter(name, [])

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open a file whose content has been compared with its checksum.

        Raises:
            FileNotFoundError: the file has not been written yet.
            DamagedError: the file is not the one that was written. The message says what was found and expected.
        """
        path = self.folder / name
        if not self.has(name):
            raise FileNotFoundError(f"{path}: missing")
        if not path.is_file():  # to open a pipe would wait for ever
            raise self._damaged(name, "no plain file", self._files().get(name, []))
        for _ in range(2):  # another process may replace the file between our two looks
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
                expected = self._files().get(name, [])
                if found in expected:
                    file.seek(0)
                    yield file
                    return
        raise self._damaged(name, f"sha256 {found}", expected)

    def read_json(self, name: str) -> Any:
        """Return the content of a JSON file; see `open`."""
        with self.open(name) as file:
            return json.load(file)

    def checksum(self, name: str) -> str | None:
        """Return the sha256 that a file was written with, or None if there is no such file."""
        return self._files().get(name, [None])[0]

    def has(self, name: str) -> bool:
        """Tell whether a file was written. Its content is not looked at.

        Raises:
            DamagedError: the file was written, but it is no longer there.
        """
        if (self.folder / name).exists():
            return True
        checksums = self._files().get(name, [None])
        if None not in checksums and not (self.folder / name).exists():  # another process may have just written it
            raise self._damaged(name, "no such file", checksums)
        return (self.folder / name).exists()

    def check(self, names: Iterable[str]) -> None:
        """Compare files with their checksums; see `open`."""
        for name in names:
            with self.open(name):
                pass

    @property
    def names(self) -> list[str]:
        """Return the names of all files that were written, in alphabetical order.

        Raises:
            DamagedError: checksums.json is damaged or belongs to another owner.
        """
        return sorted(self._files())

    def _damaged(self, name: str, found: str, expected: list[str | None]) -> DamagedError:
        if expected:
            wanted = f"sha256 {expected[0]}"
        elif (self.folder / CHECKSUMS).exists():
            wanted = "no such file: checksums.json does not name it"
        else:
            wanted = "its sha256 in checksums.json, which is missing"
        return self._refused(name, found, wanted)

    def _files(self) -> dict[str, list[str | None]]:
        """Return the accepted checksums of each file, the newest first.

        A file has one checksum. While the file is being replaced, the checksums of its earlier contents are accepted
        too. None stands for an absent file.
        """
        return self._read()[1]

    def _read(self) -> tuple[str | None, dict[str, list[str | None]]]:
        """Return the owner in checksums.json, or this one's if there is no such file yet, and `_files`."""
        path, expected = self.folder / CHECKSUMS, "an owner, and the sha256 of files"
        if not os.path.lexists(path):
            return self.owner, {}
        try:
            content = read_json(path, expected)
            owner, files = content["owner"], {name: list(entries) for name, entries in content["files"].items()}
        except DataError as error:
            raise DamagedError(f"{error}. {self.remedy}".rstrip()) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise self._refused(CHECKSUMS, repr(error), expected) from error
        if self.owner is not None and owner != self.owner:
            raise self._refused(CHECKSUMS, f"the owner {owner!r}", repr(self.owner))
        return owner, files

    def _refused(self, name: str, found: str, expected: str) -> DamagedError:
        return DamagedError(f"{self.folder / name}: found {found}; expected {expected}. {self.remedy}".rstrip())

    def _enter(self, name: str, checksums: list[str | None]) -> None:
        """Write the checksums of one file into checksums.json, or no line if there are none. Call it under the lock."""
        owner, files = self._read()
        entries = {name: accepted for name, accepted in sorted((files | {name: checksums}).items()) if accepted}
        write_text(self.folder / CHECKSUMS, json.dumps({"owner": owner, "files": entries}, indent=1) + "\n")


@contextmanager
def new_sealed_folder(path: Path) -> Iterator[SealedFolder]:
    """Yield the draft of a new sealed folder, which is then moved to `path`; see `files.new_folder`.

    Nobody writes into it later, so it has no lock.
    """
    with new_folder(path) as draft:
        yield SealedFolder(draft)
        (draft / LOCK).unlink(missing_ok=True)
