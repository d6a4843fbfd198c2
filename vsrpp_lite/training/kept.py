"""The folder of a run: the names of its files, whether the run is done, and arrays that are kept once computed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from vsrpp_lite.files import atomic

CONFIG = "config.json"
"""Says what was trained. An exported model has a file of the same name."""
HISTORY, BEST, LAST = "history.jsonl", "best.pt", "last.pt"
"""Written after every epoch: a line of text per epoch, the best weights, and the state to resume from."""
RESULT = "result.json"
"""Written last. If it exists, the run is done."""


def check_done(folder: Path) -> None:
    """Refuse the folder of a run that is not trained to its end.

    Raises:
        FileNotFoundError: the folder holds no result.json.
    """
    if not (folder / RESULT).exists():
        raise FileNotFoundError(f"{folder}: not trained to its end; call fit() of the run first")


def keep(path: Path, compute: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file. If the file does not exist, compute the arrays and write it.

    In a folder that cannot be written to, such as another user's, they are computed each time.
    """
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    arrays = dict(compute())
    with suppress(OSError), atomic(path) as draft:
        np.savez(draft, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for an option
    return arrays
