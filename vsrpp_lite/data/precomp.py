"""The format on disk, a `*_precomp` folder, and the functions that read and check it.

    {split}_ims.npy    (rows, R, F)  float16 or float32   region features, memory-mapped
    {split}_caps.txt   one caption per line, UTF-8
    {split}_ids.txt    one integer per line: the image's id
    {split}_masks.npy  (rows, R)     bool     optional: true where a region exists (true before false)
    {split}_boxes.npy  (rows, R, 4)  float    optional: left, top, right, bottom in [0, 1]
    images/{split}/    optional: the pictures, named {id}.jpg
    manifest.json      optional: name, source, sizes and sha256 of every array and text file; written last

The splits are train, dev and test. If there is a testall, as in COCO's release, runs test on testall.
SCAN, VSRN, SGRAF and their descendants read the first three files. There are three layouts of rows:

    one row per image    rows = ids,  captions = k x rows     row i owns captions k i ... k i + k - 1
    one row per caption  rows = ids = captions                equal ids are one image, its features repeated
    explicit map         ids = captions, distinct ids = rows  caption j belongs to the image with id ids[j]
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.manifest import DataError

SPLITS = ("train", "dev", "test")


def open_split(folder: str | Path, split: str) -> Dataset:
    """Open one split of a `*_precomp` folder and check its files.

    Raises:
        DataError: a file is missing, is truncated, has a wrong type, rank or count, or holds NaN, infinity, an empty
            caption, a caption that is not UTF-8, or a caption that is a Python bytes literal (`b'...'`).
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
        wrong = np.flatnonzero(~mask[:, 0] | (mask[:, 1:] & ~mask[:, :-1]).any(1))
        if len(wrong):
            row = wrong[0]
            raise DataError(f"{path}: row {row} is {mask[row].astype(int)}; expected ones, at least one, then zeros")
    boxes = None
    path = folder / f"{split}_boxes.npy"
    if path.exists():
        boxes = _load_array(path, ("float16", "float32", "float64"), 3, (*features.shape[:2], 4))
        outside = np.flatnonzero((boxes < 0).any((1, 2)) | (boxes > 1).any((1, 2)))
        if len(outside):
            raise DataError(f"{path}: row {outside[0]} leaves [0, 1]; expected relative corners, not pixels")
        boxes = boxes[rows]
    first_captions = np.unique(caption_to_image, return_index=True)[1]
    image_ids = ids[rows if len(ids) == len(features) else first_captions]
    return Dataset(folder, split, features, rows, mask[rows], boxes, image_ids, captions, caption_to_image)


def _layout(
    folder: Path, split: str, features: np.ndarray, captions: int, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each image, and the position of each caption's image."""
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
        # torch warns of arrays that are read-only; copy-on-write never changes the file
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
    """Return the position of the first row with NaN or infinity. It is cached, since a large file takes seconds."""
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
        raise DataError(f"{path}: empty; expected one caption per line")
    return captions


def read_ids(path: Path) -> np.ndarray:
    """Return the ids (rows,) in a file that has one id per line.

    Raises:
        DataError: the file is missing, or a line is not an integer.
    """
    ids = []
    for number, line in _read_lines(path):
        try:
            ids.append(np.int64(int(line)))
        except (ValueError, OverflowError):
            raise DataError(f"{path}: line {number} is {line[:40]!r}; expected an integer of 64 bits") from None
    return np.array(ids, dtype=np.int64)
