"""Write a data folder: write a draft, check it, and move the whole folder to its path."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vsrpp_lite.data.arrays import open_array
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import sha256, split_files
from vsrpp_lite.data.precomp import check_fit, open_split
from vsrpp_lite.files import link_or_copy, new_folder


@dataclass(frozen=True, kw_only=True)
class RawSplit:
    """The arrays and captions of one split, for `write_dataset`."""

    features: np.ndarray | Path
    """(I, R, F) region features, float16 or float32, or the path of an .npy file that holds them. The data
    folder gets a hard link to the file if it is on the same disk, so that features of 20 GB take no room twice. So do
    not write into that file later: the data set would change with it."""
    captions: list[list[str]]
    """Captions of each image: one or more."""
    image_ids: list[int]
    """Ids of the images: I different integers."""
    counts: np.ndarray | None = None
    """(I,) number of real regions among the R of each image; by default, all R are real."""
    boxes: np.ndarray | None = None
    """(I, R, 4) relative corners."""


def write_dataset(
    folder: str | Path, *, name: str, source: str, splits: Mapping[str, RawSplit], images: Path | None = None
) -> Path:
    """Write a data folder. A draft is written, checked and then moved, so that the folder is complete or absent.

    Args:
        images: a folder of pictures, `{split}/{id}.jpg`, which is copied into the data folder.

    Raises:
        FileExistsError: `folder` exists already, or another process is writing it; it is not changed.
        DataError: there is no split, `open_split` refuses the draft, the splits do not fit each other, a caption has a
            line break, an image has no list of captions, two images have one id, or a count of regions is not a whole
            number from 1 to R.
    """
    folder = Path(folder)
    with new_folder(folder) as draft:
        try:
            fill_dataset(draft, name=name, source=source, splits=splits)
        except DataError as error:  # the draft will be gone, so name the folder that it was meant to become
            raise DataError(str(error).replace(str(draft), str(folder))) from error
        if images:
            shutil.copytree(images, draft / "images")
    return folder


def fill_dataset(draft: Path, *, name: str, source: str, splits: Mapping[str, RawSplit]) -> None:
    """Write arrays, captions, ids and the manifest into the draft of a data folder, and check it.

    Raises:
        DataError: see `write_dataset`.
    """
    if not splits:
        raise DataError("there is no split to write; expected at least one")
    for split, raw in splits.items():
        _write_split(draft, split, raw)
    opened = {split: open_split(draft, split) for split in splits}
    check_fit(list(opened.values()))
    shapes = {split: dataset.features.shape for split, dataset in opened.items()}
    manifest = {
        "name": name,
        "source": source,
        "splits": {
            split: dict(zip(("images", "regions", "features"), shapes[split], strict=True))
            | {"captions": sum(map(len, raw.captions))}
            for split, raw in splits.items()
        },
        "sha256": {path.name: sha256(path) for path in split_files(draft)},
    }
    (draft / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _write_split(folder: Path, split: str, raw: RawSplit) -> None:
    if len(raw.image_ids) != len(raw.captions):
        raise DataError(f"{split}: found {len(raw.image_ids)} ids and captions of {len(raw.captions)} images")
    if twice := [image_id for image_id, count in Counter(raw.image_ids).items() if count > 1]:
        raise DataError(f"{split}: the id {twice[0]} stands for several images; expected another id for each")
    for image_id, texts in zip(raw.image_ids, raw.captions, strict=True):
        if isinstance(texts, str) or not texts:
            raise DataError(f"{split}, image {image_id}: its captions are {texts!r}; expected a list, one at least")
        for caption in texts:
            if not isinstance(caption, str):
                raise DataError(f"{split}, image {image_id}: the caption {caption!r} is no text")
            if caption and caption.splitlines() != [caption]:
                raise DataError(
                    f"{split}, image {image_id}: {caption[:40]!r} has a line break; expected one line for each caption"
                )
    captions = [caption for image in raw.captions for caption in image]
    ids = raw.image_ids
    if len({len(image) for image in raw.captions}) > 1:  # they have different numbers of captions: use the explicit map
        ids = [i for i, image in zip(ids, raw.captions, strict=True) for _ in image]
    if isinstance(raw.features, Path):
        link_or_copy(raw.features, folder / f"{split}_ims.npy")
    else:
        np.save(folder / f"{split}_ims.npy", raw.features)
    for kind, lines in (("caps", captions), ("ids", ids)):
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{split}_{kind}.txt").write_text(text, encoding="utf-8", newline="\n")
    if raw.counts is not None:
        regions = open_array(folder / f"{split}_ims.npy", ("float16", "float32"), 3).shape[1]
        counts = np.asarray(raw.counts)
        if counts.shape != (len(raw.image_ids),):
            raise DataError(f"{split}: counts has shape {counts.shape}; expected one number for each of the images")
        wrong = np.flatnonzero((counts < 1) | (counts > regions) | (counts % 1 != 0))
        if len(wrong):
            found = f"image {raw.image_ids[wrong[0]]} has {counts[wrong[0]]} regions"
            raise DataError(f"{split}: {found}; expected a whole number from 1 to {regions}")
        np.save(folder / f"{split}_masks.npy", np.arange(regions) < counts[:, None])
    if raw.boxes is not None:
        np.save(folder / f"{split}_boxes.npy", np.asarray(raw.boxes, dtype=np.float32))
