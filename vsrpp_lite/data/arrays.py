"""Read arrays that a stranger may have written. This executes nothing in them and maps nothing before it is checked.

`open_array` compares the header of an .npy file with the size of the file before it maps the numbers, so that a false
header costs neither memory nor time.
"""

import math
import os
import tokenize
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vsrpp_lite.data.errors import DataError, check_plain_file

LARGEST_NUMBER = 1e5
"""Larger numbers are refused. A graph layer multiplies three regions and adds up over thousands of features, and its
normalisation squares the result: with numbers of a million, this leaves float32. No number of float16 is larger."""

UNREADABLE = (
    ValueError, TypeError, SyntaxError, IndexError, RecursionError, MemoryError, OverflowError, tokenize.TokenError,
)  # fmt: skip
"""The errors that NumPy can raise when it reads a broken header."""


def open_array(path: Path, dtypes: tuple[str, ...], rank: int, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Map the numbers of an .npy file, which can be read and not written.

    If the map could be written without changing the file, the operating system would reserve as much memory for it as
    the file is large: 31 GB for COCO.

    Args:
        dtypes: the names of the types that are allowed, such as float16.
        rank: the number of axes.
        shape: the shape that another file of the split asks for, if there is one.

    Raises:
        DataError: the path is no plain file, the file is no whole .npy file, its numbers have another type, byte order,
            rank or shape, or some of them are not finite.
    """
    check_plain_file(path, f"an array of {' or '.join(dtypes)}")
    with path.open("rb") as file:
        found, fortran, dtype = _header(path, file)
        begin, stat = file.tell(), os.fstat(file.fileno())
    if dtype.hasobject or dtype.name not in dtypes:
        raise DataError(f"{path}: found {dtype}; expected {' or '.join(dtypes)}")
    if not dtype.isnative:
        raise DataError(f"{path}: found {dtype.str}, the byte order of other processors; expected {dtype.name}")
    if len(found) != rank or 0 in found:
        raise DataError(f"{path}: found shape {found}; expected {rank} axes, none empty")
    expected = math.prod(found) * dtype.itemsize
    if stat.st_size - begin != expected:
        held = stat.st_size - begin
        raise DataError(f"{path}: not a whole .npy file of numbers: {held} bytes; expected {expected} for {found}")
    if shape and found != shape:
        features = f"{path.name.rpartition('_')[0]}_ims.npy"
        raise DataError(f"{path}: found shape {found}; expected {shape}, as {features} has")
    if dtype.kind == "f":
        row = _first_bad_row(path, _state(stat))
        if row is not None:
            raise DataError(
                f"{path}: row {row} holds NaN, infinity or a number above {LARGEST_NUMBER:g}; expected smaller numbers"
            )
    if fortran:  # the file holds the transposed array
        array = np.memmap(path, dtype, mode="r", offset=begin, shape=found[::-1]).view(np.ndarray).T
    else:
        array = np.memmap(path, dtype, mode="r", offset=begin, shape=found).view(np.ndarray)
    if dtype.kind == "b" and (wrong := array.view(np.uint8) > 1).any():
        row = np.argwhere(wrong)[0][0]
        raise DataError(f"{path}: row {row} holds a byte that is neither 0 nor 1; expected bool")
    return array


def _state(stat: os.stat_result) -> tuple[int, ...]:
    """Return numbers that change whenever the file changes.

    Whoever replaces a file can copy the old size and modification time, but not the inode and the time of the change.
    """
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return the shape, the order and the type that an .npy file claims to have."""
    magic = file.read(6)
    if magic[:4] == b"PK\x03\x04":
        raise DataError(f"{path}: found a zip archive, as .npz and torch files are; not a whole .npy file of numbers")
    if magic != b"\x93NUMPY":
        raise DataError(f"{path}: begins with {magic!r}; not a whole .npy file of numbers")
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            header = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"version {version} of the format")
    except UNREADABLE as error:
        raise DataError(f"{path}: not a whole .npy file of numbers ({str(error)[:80]})") from error
    shape, fortran, dtype = header
    if any(length < 0 for length in shape):
        raise DataError(f"{path}: found shape {shape}; expected lengths of at least 1")
    return shape, fortran, dtype


@lru_cache(maxsize=64)
def _first_bad_row(path: Path, _changed: tuple[int, ...]) -> int | None:
    """Return the first row with NaN, infinity or a number that is too large. A large file takes seconds: cached."""
    step = _rows_at_a_time(path)
    for start in range(0, len(np.load(path, mmap_mode="r", allow_pickle=False)), step):
        block = read_rows(path, start, start + step)
        good = np.isfinite(block)
        if block.itemsize > 2:  # float16 cannot hold a number that is too large
            good &= np.abs(block) < LARGEST_NUMBER
        of_row = good.all(axis=tuple(range(1, block.ndim)))
        if not of_row.all():
            return start + int(of_row.argmin())
    return None


def first_unequal_row(path: Path, first: np.ndarray) -> int | None:
    """Return the first row that differs from the row that it should repeat, `first[row]`; None if all are equal."""
    return _first_unequal_row(path, _state(path.stat()), tuple(first.tolist()))


@lru_cache(maxsize=64)
def _first_unequal_row(path: Path, _changed: tuple[int, ...], first: tuple[int, ...]) -> int | None:
    """Return what `first_unequal_row` does. A large file takes seconds: cached."""
    step = _rows_at_a_time(path)
    for start in range(0, len(first), step):
        block, repeats = read_rows(path, start, start + step), np.array(first[start : start + step])
        expected = block[np.maximum(repeats - start, 0)]
        for row in np.flatnonzero(repeats < start):  # rows of one image stand together, so these are few
            expected[row] = read_rows(path, repeats[row], repeats[row] + 1)[0]
        equal = (block == expected).all(axis=tuple(range(1, block.ndim)))
        if not equal.all():
            return start + int(equal.argmin())
    return None


def _rows_at_a_time(path: Path) -> int:
    """Return how many rows have about eight million numbers."""
    return max(1, 2**23 // np.load(path, mmap_mode="r", allow_pickle=False)[0].size)


def read_rows(path: Path, start: int, stop: int) -> np.ndarray:
    """Read some rows of an array that `open_array` has checked, (stop - start, ...) or fewer at its end.

    The pages of a memory map stay in the memory of a process when they are read. To go once through an array of
    30 GB, this is the way.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = _header(path, file)
        if fortran:
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False)[start:stop])
        stop = max(start, min(stop, shape[0]))
        size = math.prod(shape[1:])
        file.seek(start * size * dtype.itemsize, os.SEEK_CUR)
        return np.fromfile(file, dtype, (stop - start) * size).reshape(stop - start, *shape[1:])
