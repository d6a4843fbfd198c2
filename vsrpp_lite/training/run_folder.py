"""The folder of a run: whether the run is done, its checkpoints, and arrays that are kept. It has these files:

checksums.json                    the digest of the run, and the sha256 of every other file
config.json, vocabulary.json      what was trained, and the tokenizer (or the folder word_pieces)
history.jsonl, best.pt, last.pt   the epochs, the best weights, and the state to resume from
result.json                       written last; if it exists, the run is done
test-ranks-*.npz, scores-own.npz  ranks and scores of the test split, computed at their first use
"""

import errno
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import fingerprint
from vsrpp_lite.files import DRAFTS, remove_dead_drafts
from vsrpp_lite.sealed_folder import LOCK, DamagedError, SealedFolder

CONFIG = "config.json"
"""Says what was trained. An exported model has a file of the same name."""
HISTORY, BEST, LAST = "history.jsonl", "best.pt", "last.pt"
"""Written after every epoch: a line of text per epoch, the best weights, and the state to resume from."""
RESULT = "result.json"
"""Written last. If it exists, the run is done."""


def run_folder(folder: Path, digest: str | None = None) -> SealedFolder:
    """Return the sealed folder of a run.

    Args:
        digest: the digest of the run; None reads the folder of any run.
    """
    again = f"To train this run again, delete {folder}, or use --fresh or fit(fresh=True)"
    remedy = f"Nothing was changed. If it is an .npz file, delete it alone: it is computed again. {again}"
    return SealedFolder(folder, digest, remedy)


def check_done(files: SealedFolder, data: Path | None = None) -> None:
    """Refuse the folder of a run that is not trained to its end.

    Args:
        data: the data folder, if something is to be computed from it. It must hold what the run was trained on.

    Raises:
        FileNotFoundError: the folder holds no result.json.
        DataError: the data have changed since the training.
    """
    if not files.has(RESULT):
        raise FileNotFoundError(f"{files.folder}: not trained to its end; call fit() of the run first")
    if data and files.read_json(CONFIG)["data"] != fingerprint(data):
        raise DataError(f"{data}: its files are not those that {files.folder} was trained on; train a new run on them")


def of_ranks(folds: int, partners: Sequence[SealedFolder]) -> str:
    """Return the name of the file of the ranks in so many folds, averaged with the scores of these partners."""
    return "-".join(["test-ranks", str(folds), *(str(partner.owner) for partner in partners)]) + ".npz"


class _RetrainedError(Exception):
    """The weights are other ones than at the beginning of a computation."""


def keep(
    files: SealedFolder,
    name: str,
    compute: Callable[[], Mapping[str, np.ndarray]],
    partners: Sequence[SealedFolder] = (),
) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file. If it does not exist, compute them, and write it.

    In a folder that cannot be written to, such as another user's, they are computed each time. If another process
    trains the run or a partner afresh meanwhile, nothing is written, since the arrays are of weights that are gone.

    Args:
        partners: the folders of other runs, whose best weights are computed with, too.

    Raises:
        DamagedError: the file is not the one that was written.
    """
    if (files.folder / name).exists():
        remove_dead_drafts(files.folder)
        with files.open(name) as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    weights = [of.checksum(BEST) for of in (files, *partners)]
    arrays = dict(compute())
    try:
        with suppress(_RetrainedError), files.write(name) as draft:
            np.savez(draft, **arrays)  # type: ignore[arg-type]  # its stub takes any keyword for an option
            if [of.checksum(BEST) for of in (files, *partners)] != weights:
                raise _RetrainedError
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return arrays


def forget(files: SealedFolder) -> None:
    """Delete what was kept of a run: its files except the locks, and the ranks that others made with it.

    A process that is killed meanwhile leaves the finished run, or a run that has no state to resume from. So ranks and
    scores, which the next training would make wrong, go first, and then the state, and the file that says "done".
    """
    for path in files.folder.parent.glob(f"*/test-ranks-*-{files.owner}*.npz"):
        run_folder(path.parent).remove(path.name)
    with suppress(DamagedError):  # nothing in such a folder can be read, in whatever order it is deleted
        for name in sorted(files.names, key=lambda name: (not name.endswith(".npz"), name != LAST, name != RESULT)):
            files.remove(name)
    remove_dead_drafts(files.folder)
    for path in files.folder.iterdir():
        if path.name.startswith(DRAFTS):
            continue  # another process writes ranks or scores in it, and will find that the weights are gone
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in (".lock", LOCK):
            path.unlink()


def save_checkpoint(state: dict[str, Any], draft: Path) -> None:
    """Write tensors and plain values with `torch.save`."""
    try:
        torch.save(state, draft)
    except RuntimeError as error:  # torch's own writer tells of a full disk in this way
        raise OSError(errno.EIO, f"torch could not write it ({error})") from error


def load_checkpoint(file: BinaryIO) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU. It reads tensors and plain values alone, so no code can run."""
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
