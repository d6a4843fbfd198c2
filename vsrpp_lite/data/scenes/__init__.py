"""The embedded data set: drawn scenes with captions, in the format that `data.precomp` reads.

The same seed gives the same scenes, pictures, boxes and captions. On one kind of processor it gives the same bytes.
Another kind rounds sums otherwise, so that some features differ in their last bits. (The projection of `regions`
also needs the signs of eigenvectors. OpenBLAS and MKL, with which NumPy comes, gave the same signs wherever we tried.
Another library might not, and a model that was trained elsewhere could then not read the features.) The modules divide
the work:

plans      chooses which things and relations a scene has, and makes pairs of scenes that differ in one detail
world      defines a scene (a place, a light, things, relations) and gives every thing its position
draw       draws the picture of a scene
regions    finds regions in a picture and describes them by vectors, as a detector would
captions   writes five sentences about a scene, as five annotators would
example    makes one complete example from a seed, a split and an index
"""

from pathlib import Path

import joblib
import numpy as np
from filelock import FileLock
from tqdm.auto import tqdm

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import read_manifest
from vsrpp_lite.data.scenes.example import Drawn, make_example
from vsrpp_lite.data.scenes.origin import source
from vsrpp_lite.data.write import RawSplit, fill_dataset
from vsrpp_lite.files import new_folder, remove_dead_drafts
from vsrpp_lite.workers import parallel

__all__ = ["SIZES", "Drawn", "ensure", "make_example", "write"]

SIZES = {
    "tiny": {"train": 200, "dev": 40, "test": 100},
    "f30k": {"train": 2000, "dev": 200, "test": 1000},
    "coco": {"train": 2000, "dev": 200, "test": 5000},
    "exam": {"test": 1000},
    "tuning": {"train": 2000, "dev": 1000},
}
"""Number of images per split, for each size. The test splits of f30k and coco are as large as those of the paper's two
data sets. The size exam is for a model that was trained on another draw. The size tuning is for the draw on which
settings are tuned, so it has no test split."""


def ensure(folder: Path, *, seed: int, size: str) -> Path:
    """Return the folder, and draw the data set first if the folder does not exist.

    Several processes may call this at the same time: one draws, and the others wait for it.

    Raises:
        DataError: the folder holds a data set of another seed, size or version.
        FileExistsError: the folder exists and is no data set.
    """
    remove_dead_drafts(folder.parent)
    manifest = folder / "manifest.json"
    if not manifest.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not manifest.exists():
                write(folder, seed=seed, size=size)
    found, expected = read_manifest(folder).get("source"), source(seed, size)
    if found != expected:
        raise DataError(f"{manifest}: source is {found!r}; expected {expected!r}. Move the folder away to draw it anew")
    return folder


def write(folder: Path, *, seed: int, size: str) -> Path:
    """Draw a whole data set on all cores, in the format that `data.precomp` describes; return its folder.

    Raises:
        FileExistsError: `folder` exists already, or another process is drawing it.
    """
    with new_folder(folder) as draft:
        splits: dict[str, RawSplit] = {}
        first_id = 0
        with tqdm(total=sum(SIZES[size].values()), desc=f"drawing {folder.name}", unit="picture") as bar:
            for split, count in SIZES[size].items():
                splits[split] = _draw_split(seed, split, count, first_id, draft / "images", bar)
                first_id += count
        fill_dataset(draft, name="scenes", source=source(seed, size), splits=splits)
    return folder


def _draw_split(seed: int, split: str, count: int, first_id: int, pictures: Path, bar: tqdm) -> RawSplit:
    (pictures / split).mkdir(parents=True)

    def draw(chunk: range) -> list[tuple[np.ndarray, np.ndarray, int, list[str]]]:
        made = []
        for index in chunk:
            example = make_example(seed, split, index)
            example.picture.save(pictures / split / f"{first_id + index}.jpg", quality=92)
            made.append((example.features, example.boxes, example.count, example.captions))
        return made

    chunks = [range(start, min(start + 50, count)) for start in range(0, count, 50)]
    examples = []
    for made in parallel(-1, return_as="generator")(joblib.delayed(draw)(chunk) for chunk in chunks):
        examples += made
        bar.update(len(made))
    features, boxes, counts, captions = zip(*examples, strict=True)
    return RawSplit(
        features=np.stack(features).astype(np.float16),
        boxes=np.stack(boxes),
        counts=np.array(counts),
        captions=list(captions),
        image_ids=list(range(first_id, first_id + count)),
    )
