"""Where the files of a release come from: a folder, a zip or tar archive, or SCAN's public data set on Kaggle.

Each source has `paths`, the paths and sizes of its files, and gives one file at a time: `fetch` makes a file available
on this disk, and `drop` removes what fetching it has written. So even a release that is larger than the disk can be
converted, file by file.
"""

import hashlib
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Protocol

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.extras import extra
from vsrpp_lite.files import atomic

KAGGLE = "kuanghueilee/scan-features"
"""SCAN's author has published the features there since 2023. kagglehub needs no account for a public data set."""


BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
"""What zipfile and tarfile raise for a damaged archive, or for one that was not downloaded to its end."""


class Source(Protocol):
    paths: dict[str, int]
    """Path inside the source of each file, and its size in bytes."""
    writes: bool
    """Whether `fetch` writes files to this disk."""

    def __str__(self) -> str:
        """Return what a data folder says of where it comes from."""

    def state(self, path: str) -> str:
        """Return a text that changes whenever the file changes. The content of the file is not read."""

    def fetch(self, path: str) -> Path:
        """Return the path of a file on this disk. It is downloaded or unpacked where that is necessary."""

    def drop(self, path: str) -> None:
        """Remove what `fetch` has written for a file."""


class Folder:
    """Files that are on this disk already."""

    writes = False

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths = {
            path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()
        }

    def __str__(self) -> str:
        return self.folder.name

    def state(self, path: str) -> str:
        return _state(self.folder / path)

    def fetch(self, path: str) -> Path:
        return self.folder / path

    def drop(self, path: str) -> None:
        """The file is the user's."""


class Archive:
    """A zip or tar archive, of which one file at a time is unpacked into a folder. Links and devices are not read."""

    writes = True

    def __init__(self, archive: Path, folder: Path):
        self.archive = archive
        # each state of each archive has a folder of its own, so that no file of another one is taken for a part of it
        self.folder = folder / hashlib.sha256(_state(archive).encode()).hexdigest()[:12]
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as opened:
                    members = [member for member in opened.infolist() if not member.is_dir()]
                    self.paths = {member.filename: member.file_size for member in members}
            elif tarfile.is_tarfile(archive):
                with tarfile.open(archive) as opened:
                    self.paths = {member.name: member.size for member in opened if member.isfile()}
            else:
                raise DataError(f"{archive}: neither a zip nor a tar archive; expected one of these, or a folder")
        except BROKEN as error:
            raise DataError(f"{archive}: its files cannot be listed ({error}); expected a whole archive") from error

    def __str__(self) -> str:
        return self.archive.name

    def state(self, path: str) -> str:
        return f"{path} in {_state(self.archive)}"

    def fetch(self, path: str) -> Path:
        target = self.folder / Path(path).name  # the name alone: a path in an archive may lead anywhere
        if target.exists():
            return target
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with atomic(target) as draft, draft.open("wb") as file:
                if zipfile.is_zipfile(self.archive):
                    with zipfile.ZipFile(self.archive) as opened, opened.open(path) as member:
                        shutil.copyfileobj(member, file, 2**20)
                else:
                    with tarfile.open(self.archive) as opened:
                        shutil.copyfileobj(opened.extractfile(path), file, 2**20)
        except BROKEN as error:
            raise DataError(f"{self.archive}: {path} cannot be unpacked ({error}); expected a whole archive") from error
        return target

    def drop(self, path: str) -> None:
        (self.folder / Path(path).name).unlink(missing_ok=True)


class Kaggle:
    """A public data set of Kaggle. kagglehub downloads one file, and resumes a download that was interrupted."""

    writes = True

    def __init__(self, handle: str, folder: Path):
        self.handle, self.folder = handle, folder
        os.environ["KAGGLEHUB_CACHE"] = str(folder)  # on the disk that is looked at, and not in the home of the user
        self.paths = _listing(handle)

    def __str__(self) -> str:
        return f"kaggle.com/datasets/{self.handle}"

    def state(self, path: str) -> str:
        return f"{path} of {self.paths[path]} bytes in {self.handle}"

    def fetch(self, path: str) -> Path:
        import kagglehub

        try:
            return Path(kagglehub.dataset_download(self.handle, path=path))
        except Exception as error:  # of requests, of the SDK, and kagglehub's own
            raise DataError(
                f"kaggle.com/datasets/{self.handle}: {path} could not be fetched ({error}); call again to go on, or "
                "give a copy of the release with FROM="
            ) from error

    def drop(self, path: str) -> None:
        for found in self.folder.rglob(Path(path).name):
            found.unlink()
        for mark in self.folder.rglob(f"{Path(path).name}.complete"):  # else kagglehub would still believe in the file
            mark.unlink()


def _state(path: Path) -> str:
    stat = path.stat()
    return f"{path.resolve()} of {stat.st_size} bytes, changed at {stat.st_mtime_ns}"


def _listing(handle: str) -> dict[str, int]:
    """Ask Kaggle for the files of a data set. kagglehub itself does not list, so this asks the client that it uses."""
    with extra("fetch"):
        from kagglehub.clients import build_kaggle_client
        from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

    request, paths = ApiListDatasetFilesRequest(), {}
    request.owner_slug, request.dataset_slug = handle.split("/")
    request.page_size = 200
    try:
        with build_kaggle_client() as client:
            while True:
                page = client.datasets.dataset_api_client.list_dataset_files(request)
                paths |= {file.name: file.total_bytes for file in page.dataset_files}
                if not page.next_page_token:
                    return paths
                request.page_token = page.next_page_token
    except Exception as error:  # of requests, and of the SDK
        raise DataError(
            f"kaggle.com/datasets/{handle}: its files could not be listed ({error}); expected a connection to Kaggle, "
            "or a copy of the release with FROM="
        ) from error


def open_source(given: str, folder: Path) -> Source:
    """Return the source that a user has named.

    Args:
        given: the path of a folder or of an archive, or "kaggle".
        folder: a folder for what must be downloaded or unpacked.

    Raises:
        DataError: there is no such path, it is no archive, or Kaggle cannot be reached.
    """
    if given == "kaggle":
        return Kaggle(KAGGLE, folder)
    path = Path(given)
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise DataError(f"{path}: missing; expected a folder, a zip or tar archive, or the word kaggle")
    return Archive(path, folder)


def find(source: Source, name: str, hint: str) -> str | None:
    """Return the path of the file with this name, or None if the source has none.

    Args:
        hint: a word that tells two files of one name apart, such as f30k or coco. It stands in the path of one of them.

    Raises:
        DataError: several files have this name, and the hint does not tell which is meant.
    """
    found = [path for path in source.paths if Path(path).name == name]
    if len(found) > 1:
        found = [path for path in found if hint in path.lower()] or found
    if len(found) > 1:
        raise DataError(
            f"{name}: found {', '.join(sorted(found))}; expected one file of this name with {hint} in its path"
        )
    return found[0] if found else None
