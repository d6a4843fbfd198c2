"""Read text files with one caption or one id per line. They may hold anything, so each line is checked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vsrpp_lite.data.errors import DataError, check_plain_file
from vsrpp_lite.data.text import has_word

LONGEST = 10_000
"""Number of bytes of the longest line that is read. Captions are much shorter."""

MARKS = {b"\xff\xfe": "UTF-16 or UTF-32", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
"""Byte order marks: the bytes with which files in other encodings begin."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line, without spaces and line breaks at its ends.

    Raises:
        DataError: there is no such plain file, or a line is not UTF-8 or too long.
    """
    check_plain_file(path, "a UTF-8 text file")
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if number == 1:
                for mark, encoding in MARKS.items():
                    if line.startswith(mark):
                        raise DataError(f"{path}: begins as {encoding} does; expected UTF-8")
                line = line.removeprefix(b"\xef\xbb\xbf")  # a mark that some editors put before UTF-8
            if len(line) > LONGEST:
                raise DataError(f"{path}: line {number} is longer than {LONGEST} bytes; expected one caption per line")
            if b"\0" in line:
                raise DataError(f"{path}: line {number} holds a zero byte, as UTF-16 and UTF-32 do; expected UTF-8")
            try:
                yield number, line.decode("utf-8").strip(" \r\n")
            except UnicodeDecodeError as error:
                wrong = line[error.start]
                raise DataError(f"{path}: line {number} is not UTF-8 (byte {error.start}: {wrong:#x})") from error


def read_captions(path: Path) -> list[str]:
    """Return the captions of a file.

    Raises:
        DataError: the file is not one that `read_lines` can read, it is empty, or a line is no caption.
    """
    captions = []
    for number, line in read_lines(path):
        line = line.strip()
        if not line:
            raise DataError(f"{path}: line {number} is empty; expected a caption")
        if line[:2] in ("b'", 'b"'):
            raise DataError(
                f"{path}: line {number} begins {line[:12]!r}: bytes were written as text; expected the decoded caption"
            )
        if not has_word(line):
            raise DataError(f"{path}: line {number} is {line[:40]!r}, without a word; expected a caption")
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
    for number, line in read_lines(path):
        try:
            ids.append(np.int64(int(line)))
        except (ValueError, OverflowError):
            raise DataError(f"{path}: line {number} is {line[:40]!r}; expected an integer of 64 bits") from None
    return np.array(ids, dtype=np.int64)
