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
    explicit map         ids = captions, distinct ids = rows  caption j belongs to the image with id ids[j], and row i
                                                              to the i-th different id of the file, not to the id i
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vsrpp_lite.data.arrays import first_unequal_row, open_array
from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.lines import read_captions, read_ids


def open_split(folder: str | Path, split: str) -> Dataset:
    """Open one split of a `*_precomp` folder and check its files.

    Raises:
        DataError: a file is missing, is truncated, has a wrong type, rank or count, or holds NaN, infinity, an empty
            caption, a caption that is not UTF-8, or a caption that is a Python bytes literal (`b'...'`).
    """
    folder = Path(folder)
    features = open_array(folder / f"{split}_ims.npy", ("float16", "float32"), 3)
    captions = read_captions(folder / f"{split}_caps.txt")
    ids = read_ids(folder / f"{split}_ids.txt")
    rows, caption_to_image = _layout(folder, split, features, len(captions), ids)

    mask = np.ones(features.shape[:2], dtype=bool)
    path = folder / f"{split}_masks.npy"
    if os.path.lexists(path):  # a link to nothing is refused; no masks would mean that all regions exist
        mask = np.asarray(open_array(path, ("bool",), 2, shape=features.shape[:2]))
        wrong = np.flatnonzero(~mask[:, 0] | (mask[:, 1:] & ~mask[:, :-1]).any(1))
        if len(wrong):
            row = wrong[0]
            raise DataError(f"{path}: row {row} is {mask[row].astype(int)}; expected ones, at least one, then zeros")
    boxes = None
    path = folder / f"{split}_boxes.npy"
    if os.path.lexists(path):
        boxes = open_array(path, ("float16", "float32", "float64"), 3, shape=(*features.shape[:2], 4))
        _check_boxes(path, boxes, mask)
        boxes = boxes[rows]
    if len(ids) == len(features) == len(captions):
        _check_repeated(folder, split, ids, rows[caption_to_image])
    first_captions = np.unique(caption_to_image, return_index=True)[1]
    image_ids = ids[rows if len(ids) == len(features) else first_captions]
    return Dataset(folder, split, features, rows, mask[rows], boxes, image_ids, captions, caption_to_image)


def name_of_test(folder: Path) -> str:
    """Return the name of the test split: testall where there is one, since COCO's `test` is a fifth of it."""
    return "testall" if os.path.lexists(folder / "testall_ims.npy") else "test"


def check_fit(splits: Sequence[Dataset]) -> None:
    """Check that splits of one folder fit each other.

    Raises:
        DataError: a split has regions of another size than the first.
    """
    first, *others = splits
    for other in others:
        if other.feature_size != first.feature_size:
            raise DataError(
                f"{other.folder}: {other.split}_ims.npy has {other.feature_size} numbers a region; expected "
                f"{first.feature_size}, as {first.split}_ims.npy has"
            )


def _check_boxes(path: Path, boxes: np.ndarray, mask: np.ndarray) -> None:
    """Raise DataError for a box outside of the picture, or one whose corners are not left, top, right, bottom."""
    outside = np.flatnonzero((boxes < 0).any((1, 2)) | (boxes > 1).any((1, 2)))
    if len(outside):
        raise DataError(f"{path}: row {outside[0]} leaves [0, 1]; expected relative corners, not pixels")
    turned = np.argwhere(((boxes[..., 0] > boxes[..., 2]) | (boxes[..., 1] > boxes[..., 3])) & mask)
    if len(turned):
        row, region = turned[0]
        corners = ", ".join(f"{x:.2f}" for x in boxes[row, region])
        raise DataError(
            f"{path}: row {row}, region {region} is {corners}; expected left, top, right, bottom, not turned round and "
            "not x, y, width, height"
        )


def _check_repeated(folder: Path, split: str, ids: np.ndarray, first: np.ndarray) -> None:
    """Raise DataError where rows that give one image's id differ. `first[row]` is the first row with the same id."""
    for path in (folder / f"{split}_{kind}" for kind in ("ims.npy", "masks.npy", "boxes.npy")):
        row = first_unequal_row(path, first) if path.exists() else None
        if row is not None:
            raise DataError(
                f"{path}: row {row} differs from row {first[row]}, yet {split}_ids.txt gives both the id {ids[row]}; "
                "expected one image's rows repeated"
            )


def _layout(
    folder: Path, split: str, features: np.ndarray, captions: int, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row of each image, and the position of each caption's image."""
    rows = len(features)
    image, distinct = pd.factorize(ids)  # numbers the ids in the order of the file
    if rows == len(ids) == captions:
        return np.unique(image, return_index=True)[1], image
    if rows == len(ids) and captions % rows == 0:
        if len(distinct) < rows:
            twice = int(ids[np.bincount(image)[image] > 1][0])
            raise DataError(f"{folder}/{split}_ids.txt: the id {twice} stands twice; expected {rows} different ids")
        return np.arange(rows), np.repeat(np.arange(rows), captions // rows)
    if len(ids) == captions and len(distinct) == rows:
        return np.arange(rows), image
    raise DataError(
        f"{folder}: {split}_ims.npy has {rows} rows, {split}_ids.txt {len(ids)} lines ({len(distinct)} different), "
        f"{split}_caps.txt {captions} lines; expected as many ids as rows and a multiple of it as captions, or as many "
        "ids as captions and as many different ids as rows"
    )
