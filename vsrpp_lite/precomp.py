"""The one on-disk format: a `*_precomp` folder. Read it, check all that can be wrong with it, write it.

    {split}_ims.npy    (rows, R, F)  float16 or float32   region features, memory-mapped
    {split}_caps.txt   one caption a line, UTF-8
    {split}_ids.txt    one integer a line: the image's id
    {split}_masks.npy  (rows, R)     bool     optional: true where a region exists (the first so many)
    {split}_boxes.npy  (rows, R, 4)  float    optional: left, top, right, bottom in [0, 1]
    images/{split}/    optional: the pictures, named {id}.jpg
    manifest.json      optional: name, source, sizes and sha256 of every array and text file; written last

The splits are train, dev and test; where there is a testall, as COCO's release has, runs test on that.
SCAN, VSRN, SGRAF and their descendants read the first three files. Three layouts of rows are understood:

    one row an image    rows = ids,  captions = k x rows     row i owns captions k i ... k i + k - 1
    one row a caption   rows = ids = captions                equal ids are one image, its features repeated
    explicit map        ids = captions, distinct ids = rows  caption j belongs to the image with id j
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from vsrpp_lite.data import Dataset

SPLITS = ("train", "dev", "test")


class DataError(ValueError):
    """A data folder that is not as it should be; says which file, where, what was found, what was expected."""


def open_split(folder: str | Path, split: str) -> Dataset:
    """Open one split of a `*_precomp` folder and check everything that can be wrong with it.

    Raises:
        DataError: a file is missing, truncated, of a wrong type, rank or count, holds NaN or infinity, an
            empty caption, one that is not UTF-8, or one that is a Python bytes literal (`b'...'`).
    """
    folder = Path(folder)
    features = _load_array(folder / f"{split}_ims.npy", ("float16", "float32"), 3)
    captions = _read_captions(folder / f"{split}_caps.txt")
    ids = read_ids(folder / f"{split}_ids.txt")
    rows, caption_to_image = _layout(folder, split, features, len(captions), ids)

    mask = np.ones(features.shape[:2], dtype=bool)
    path = folder / f"{split}_masks.npy"
    if path.exists():
        mask = np.asarray(_load_array(path, ("bool",), 2, features.shape[:2]))
        for row in np.flatnonzero(~mask[:, 0] | (mask[:, 1:] & ~mask[:, :-1]).any(1))[:1]:
            raise DataError(f"{path}: row {row} is {mask[row].astype(int)}; expected ones, at least one, then zeros")
    boxes = None
    path = folder / f"{split}_boxes.npy"
    if path.exists():
        boxes = _load_array(path, ("float16", "float32", "float64"), 3, (*features.shape[:2], 4))
        for row in np.flatnonzero((boxes < 0).any((1, 2)) | (boxes > 1).any((1, 2)))[:1]:
            raise DataError(f"{path}: row {row} leaves [0, 1]; expected relative corners, not pixels")
        boxes = boxes[rows]
    first_captions = np.unique(caption_to_image, return_index=True)[1]
    image_ids = ids[rows if len(ids) == len(features) else first_captions]
    return Dataset(folder, split, features, rows, mask[rows], boxes, image_ids, captions, caption_to_image)


def _layout(
    folder: Path, split: str, features: np.ndarray, captions: int, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which row holds each image, and which image each caption belongs to."""
    rows = len(features)
    distinct, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    by_appearance = np.argsort(np.argsort(first))  # np.unique sorts by id; images keep the order of the file
    if rows == len(ids) == captions:
        where = np.sort(first)
        image = by_appearance[inverse]
        for row in range(rows):
            same = where[image[row]]
            if same != row and not np.array_equal(features[row, 0], features[same, 0]):
                raise DataError(
                    f"{folder}/{split}_ims.npy: row {row} differs from row {same}, yet {split}_ids.txt gives both the "
                    f"id {ids[row]}; expected one image's features repeated"
                )
        return where, image
    if rows == len(ids) and captions % rows == 0:
        if len(distinct) < rows:
            twice = int(ids[np.bincount(inverse)[inverse] > 1][0])
            raise DataError(f"{folder}/{split}_ids.txt: the id {twice} stands twice; expected {rows} different ids")
        return np.arange(rows), np.repeat(np.arange(rows), captions // rows)
    if len(ids) == captions and len(distinct) == rows:
        return np.arange(rows), by_appearance[inverse]
    raise DataError(
        f"{folder}: {split}_ims.npy has {rows} rows, {split}_ids.txt {len(ids)} lines ({len(distinct)} different), "
        f"{split}_caps.txt {captions} lines; expected as many ids as rows and a multiple of it as captions, or as many "
        "ids as captions and as many different ids as rows"
    )


def _load_array(path: Path, dtypes: tuple[str, ...], rank: int, shape: tuple[int, ...] | None = None) -> np.ndarray:
    if not path.exists():
        raise DataError(f"{path}: missing; expected an array of {' or '.join(dtypes)}")
    try:
        # copy-on-write, so that torch may wrap it; the file itself is never written
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: not a whole .npy file of numbers ({error})") from error
    if array.dtype.name not in dtypes:
        raise DataError(f"{path}: found {array.dtype}; expected {' or '.join(dtypes)}")
    if array.ndim != rank or 0 in array.shape:
        raise DataError(f"{path}: found shape {array.shape}; expected {rank} axes, none empty")
    if shape and array.shape != shape:
        raise DataError(
            f"{path}: found shape {array.shape}; expected {shape}, as {path.name.split('_')[0]}_ims.npy has"
        )
    if array.dtype.kind == "f":
        stat = path.stat()
        row = _first_bad_row(path, stat.st_size, stat.st_mtime_ns)
        if row is not None:
            raise DataError(f"{path}: row {row} holds NaN or infinity; expected finite numbers")
    return array


@lru_cache(maxsize=64)
def _first_bad_row(path: Path, _size: int, _mtime: int) -> int | None:
    """Position of the first row with a NaN or infinity. Remembered: a large file takes seconds."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    step = max(1, 2**24 // max(1, array[0].size))
    for start in range(0, len(array), step):
        block = array[start : start + step]
        bad = ~np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
        if bad.any():
            return start + int(bad.argmax())
    return None


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    if not path.exists():
        raise DataError(f"{path}: missing; expected a UTF-8 text file")
    content = path.read_bytes()
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            yield number, line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}: line {number} is not UTF-8 (byte {error.start}: {line[error.start]:#x})"
            ) from error


def _read_captions(path: Path) -> list[str]:
    captions = []
    for number, line in _read_lines(path):
        if not line:
            raise DataError(f"{path}: line {number} is empty; expected a caption")
        if line[:2] in ("b'", 'b"'):
            raise DataError(
                f"{path}: line {number} begins {line[:12]!r}: bytes were written as text; expected the decoded caption"
            )
        captions.append(line)
    if not captions:
        raise DataError(f"{path}: empty; expected one caption a line")
    return captions


def read_ids(path: Path) -> np.ndarray:
    """(rows,) the ids of a file, one a line.

    Raises:
        DataError: the file is missing, or a line is no integer.
    """
    ids = []
    for number, line in _read_lines(path):
        try:
            ids.append(np.int64(int(line)))
        except (ValueError, OverflowError):
            raise DataError(f"{path}: line {number} is {line[:40]!r}; expected an integer of 64 bits") from None
    return np.array(ids, dtype=np.int64)


def fingerprint(folder: str | Path) -> str:
    """What a run's digest knows of its data: sha256 of the manifest, else of texts, array headers and sizes."""
    folder = Path(folder)
    if (folder / "manifest.json").exists():
        return hashlib.sha256(json.dumps(read_manifest(folder)["sha256"], sort_keys=True).encode()).hexdigest()
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.txt"), *folder.glob("*.npy")]):
        with path.open("rb") as file:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
            digest.update(file.read() if path.suffix == ".txt" else file.read(2**20))
    return digest.hexdigest()


def read_manifest(folder: Path) -> dict:
    """The manifest of a folder that has one; raises DataError if it is not one of ours."""
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["sha256"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected an object with the sha256 of files, or no such file ({error!r})") from error
    return content


def verify(folder: str | Path) -> None:
    """Compare every file with the manifest, where there is one. Opening does not: it would read all of it each time.

    Raises:
        DataError: a file is missing, or is not the one that was written.
    """
    folder = Path(folder)
    stored = read_manifest(folder)["sha256"] if (folder / "manifest.json").exists() else {}
    for name, expected in stored.items():
        path = folder / name
        if not path.exists():
            raise DataError(f"{path}: missing; expected sha256 {expected}")
        if (found := _sha256(path)) != expected:
            raise DataError(f"{path}: found sha256 {found}; expected {expected}, as manifest.json has it")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class RawSplit:
    """One split before it is written."""

    features: np.ndarray
    """(I, R, F) float16 or float32."""
    captions: list[list[str]]
    """The captions of each image; any number of them."""
    image_ids: list[int]
    """I different integers."""
    counts: np.ndarray | None = None
    """(I,) how many of the R rows are real regions; all, if not given."""
    boxes: np.ndarray | None = None
    """(I, R, 4) relative corners."""


def write_dataset(
    folder: str | Path, *, name: str, source: str, splits: Mapping[str, RawSplit], images: Path | None = None
) -> Path:
    """Write a data folder: beside its place first, checked, then moved there whole, so that it is complete or absent.

    Args:
        images: a folder of pictures, `{split}/{id}.jpg`, to be moved in.

    Raises:
        FileExistsError: `folder` exists already; it is left as it was.
        DataError: what was to be written would not open.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists; nothing was written")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        draft = Path(scratch) / folder.name
        draft.mkdir()
        for split, raw in splits.items():
            _write_split(draft, split, raw)
        if images:
            shutil.move(images, draft / "images")
        files = sorted(path for path in draft.iterdir() if path.is_file())
        manifest = {
            "name": name,
            "source": source,
            "splits": {
                split: dict(zip(("images", "regions", "features"), raw.features.shape, strict=True))
                | {"captions": sum(map(len, raw.captions))}
                for split, raw in splits.items()
            },
            "sha256": {path.name: _sha256(path) for path in files},
        }
        for split in splits:
            open_split(draft, split)
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        draft.rename(folder)
    return folder


def _write_split(folder: Path, split: str, raw: RawSplit) -> None:
    captions = [caption for image in raw.captions for caption in image]
    ids = raw.image_ids
    if len({len(image) for image in raw.captions}) > 1:  # ragged: the explicit map
        ids = [i for i, image in zip(ids, raw.captions, strict=True) for _ in image]
    np.save(folder / f"{split}_ims.npy", raw.features)
    for kind, lines in (("caps", captions), ("ids", ids)):
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{split}_{kind}.txt").write_text(text, encoding="utf-8", newline="\n")
    if raw.counts is not None:
        np.save(folder / f"{split}_masks.npy", np.arange(raw.features.shape[1]) < raw.counts[:, None])
    if raw.boxes is not None:
        np.save(folder / f"{split}_boxes.npy", raw.boxes.astype(np.float32))
