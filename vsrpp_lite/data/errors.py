"""`DataError`, which all checks of data folders raise, and the check that a path is a plain file."""

import stat
from pathlib import Path


class DataError(ValueError):
    """A data folder is not as it should be. The message names the file, the place, what is there and what should be."""


def check_plain_file(path: Path, expected: str) -> None:
    """Refuse a path that cannot be read to its end, such as a folder, a pipe or a device.

    Args:
        expected: what the file should be, for the message.

    Raises:
        DataError: there is no such file, it is not a plain file, or it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataError(f"{path}: missing; expected {expected}") from None
    except (OSError, ValueError) as error:  # ValueError: no file of this system can have such a name
        raise DataError(f"{path}: cannot be opened ({error}); expected {expected}") from error
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: found a folder; expected {expected}")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: found a pipe, a socket or a device; expected {expected}")
