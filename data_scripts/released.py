"""Prepare `f30k` or `coco` from a released `*_precomp` folder (SCAN's, VSRN's), or from features of your own.

The script reads `{split}_ims.npy`, `{split}_ids.txt` and `{split}_caps.txt` of train, dev and test. If there is a
testall, it reads testall in place of test: in COCO's release, test is only the first 1,000 of 5,000 images. It writes a
data folder that holds each image once (released dev and test splits hold it five times), in float16, with the sha256 of
every file. With Karpathy's json (`dataset_flickr30k.json`, `dataset_coco.json`), it takes the first five captions of
each image from the json and does not need `{split}_caps.txt`. It downloads nothing, since the hosts of these files no
longer exist.

    python data_scripts/released.py OUT --from DIR [--karpathy FILE]
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.lines import read_ids
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.files import refuse_existing, scratch

BLOCK = 256  # number of images that are converted at a time
KARPATHY = {"train": "train", "restval": "train", "val": "dev", "test": "test"}


def halved(dataset: Dataset, path: Path) -> np.ndarray:
    """Write the features (I, R, F), one row per image, as float16 to `path`. Return them as a memory map.

    Raises:
        DataError: a feature is too large for float16.
    """
    features = np.lib.format.open_memmap(path, "w+", np.float16, (len(dataset), *dataset.features.shape[1:]))
    for start in range(0, len(dataset), BLOCK):
        block = dataset.features[dataset.rows[start : start + BLOCK]]
        if (largest := np.abs(block).max()) > np.finfo(np.float16).max:
            image = start + int(np.abs(block).max((1, 2)).argmax())
            raise DataError(
                f"{dataset.folder}/{dataset.split}_ims.npy: image {image} has a feature of {largest:g}; expected at "
                f"most {np.finfo(np.float16).max:g}, which float16 can hold"
            )
        features[start : start + BLOCK] = block
    return features


def sentences(karpathy: Path) -> dict[int, tuple[str, list[str]]]:
    """Return the split and the first five sentences of every image in Karpathy's json, by its id.

    The id is COCO's if there is one, as in the released files; else it is Karpathy's.

    Raises:
        DataError: the file is not a Karpathy json, or an image has fewer than five sentences or an empty one.
    """
    try:
        images = json.loads(karpathy.read_text(encoding="utf-8"))["images"]
        known = {
            image.get("cocoid", image["imgid"]): (
                KARPATHY[image["split"]],
                [" ".join(sentence["raw"].split()) for sentence in image["sentences"][:5]],
            )
            for image in images
        }
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{karpathy}: not a Karpathy json ({error!r}); expected images with sentences") from error
    for image, (_, said) in known.items():
        if len(said) < 5 or not all(said):
            raise DataError(f"{karpathy}: image {image} has the sentences {said}; expected five that are not empty")
    return known


def captioned(source: Path, split: str, known: dict[int, tuple[str, list[str]]], scratch: Path) -> Path:
    """Put links to the features and ids of one split into `scratch`, and the captions from `known`. Return `scratch`.

    Raises:
        DataError: the features are missing, or an id is not in Karpathy's json or is in another split of it.
    """
    for kind in ("ims.npy", "ids.txt", "masks.npy", "boxes.npy"):
        if (source / f"{split}_{kind}").exists():
            (scratch / f"{split}_{kind}").symlink_to((source / f"{split}_{kind}").resolve())
    if not (source / f"{split}_ims.npy").exists():
        raise DataError(f"{source}/{split}_ims.npy: missing; expected an array of float16 or float32")
    ids = read_ids(source / f"{split}_ids.txt").tolist()
    times, turn, captions = Counter(ids), Counter(), []
    for line, image in enumerate(ids, 1):
        where, said = known.get(image, ("nowhere", []))
        if where != split.removesuffix("all"):
            raise DataError(f"{source}/{split}_ids.txt: line {line}, image {image} is in {where} of Karpathy's json")
        # with one row per caption, each row takes the next sentence; with one row per image, it takes all sentences
        captions += said if times[image] == 1 else said[turn[image] : turn[image] + 1]
        turn[image] += 1
    (scratch / f"{split}_caps.txt").write_text("".join(f"{line}\n" for line in captions), encoding="utf-8")
    return scratch


def prepare(source: Path, out: Path, karpathy: Path | None = None) -> Path:
    """Convert all three splits of `source` into the data folder `out`, whole or not at all.

    Raises:
        DataError: a file is missing or is not as it should be; see `precomp.open_split`.
        FileExistsError: `out` exists already.
    """
    refuse_existing(out)
    known = sentences(karpathy) if karpathy else None
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch(out.parent) as drafts:
        splits = {}
        for split in ("train", "dev", "test"):
            name = "testall" if split == "test" and (source / "testall_ims.npy").exists() else split
            dataset = open_split(captioned(source, name, known, drafts) if known else source, name)
            by_image = np.argsort(dataset.caption_to_image, kind="stable")
            ends = np.cumsum(np.bincount(dataset.caption_to_image))
            splits[split] = RawSplit(
                features=halved(dataset, drafts / f"{split}-halved.npy"),
                captions=[[dataset.captions[k] for k in group] for group in np.split(by_image, ends[:-1])],
                image_ids=dataset.image_ids.tolist(),
                counts=None if dataset.mask.all() else dataset.mask.sum(1),
                boxes=dataset.boxes,
            )
        captions = f"captions of {karpathy.name}" if karpathy else "its captions"
        return write_dataset(out, name=out.name, source=f"{source.name}, {captions}", splits=splits)


def main(
    out: Annotated[Path, typer.Argument(help="The data folder to write, such as data/f30k.")],
    source: Annotated[Path, typer.Option("--from", exists=True, file_okay=False, help="The *_precomp folder.")],
    karpathy: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Take captions from here.")] = None,
) -> None:
    """Convert released or your own region features into the one format."""
    try:
        typer.echo(f"{prepare(source, out, karpathy)}: written")
    except (DataError, FileExistsError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
