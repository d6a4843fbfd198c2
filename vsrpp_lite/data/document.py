"""Read JSON files that a stranger may have written, or that may be damaged."""

import json
from pathlib import Path
from typing import Any

from vsrpp_lite.data.errors import DataError, check_plain_file

LARGEST_BYTES = 10_000_000
"""Bytes of the largest file that is read. Manifests, configurations and vocabularies are smaller."""


def read_json(path: Path, expected: str) -> Any:
    """Return the content of a JSON file.

    Args:
        expected: what the file should be, for the message.

    Raises:
        DataError: there is no such plain file, it is too large, or it is not JSON in UTF-8.
    """
    check_plain_file(path, expected)
    if path.stat().st_size > LARGEST_BYTES:
        raise DataError(f"{path}: larger than {LARGEST_BYTES} bytes; expected {expected}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: found {type(error).__name__}: {str(error)[:80]}; expected {expected}") from error
