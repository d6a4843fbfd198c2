"""Arrays that a run keeps once they were computed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from vsrpp_lite.files import atomic


def keep(path: Path, compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file, which is written now if it is not there.

    In a folder that cannot be written to, such as another user's, they are computed each time.
    """
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    arrays = dict(compute())
    with suppress(OSError), atomic(path) as draft:
        np.savez(draft, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for an option
    return arrays
