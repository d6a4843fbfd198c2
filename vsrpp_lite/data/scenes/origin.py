"""What the manifest of a drawn data set says of its origin: the version of the generator, the seed and the size."""

import re

VERSION = 1
"""Version of the generator. Raise it by hand whenever the same seed no longer draws the same bytes on one machine."""


def source(seed: int, size: str) -> str:
    """Return the origin of a data set that this version of the generator draws."""
    return f"vsrpp_lite.scenes, version {VERSION}, seed {seed}, size {size}"


def seed_of(text: str) -> int | None:
    """Return the seed that stands in an origin; None if another version of the generator, or something else, wrote it.

    >>> seed_of(source(7, "tiny"))
    7
    """
    found = re.fullmatch(rf"vsrpp_lite\.scenes, version {VERSION}, seed (\d+), size \w+", text)
    return int(found[1]) if found else None
