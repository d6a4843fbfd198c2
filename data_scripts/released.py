"""Prepare `f30k` or `coco` from SCAN's released features, or from features of your own.

The files `{split}_ims.npy`, `{split}_ids.txt` and `{split}_caps.txt` of train, dev and test come from Kaggle, where
SCAN's author has published them, or from a folder or an archive. If there is a testall, it is read in place of test: in
COCO's release, test is only the first 1,000 of 5,000 images. The script writes a data folder that holds each image once
(released dev and test splits hold it five times), in float16, with the sha256 of every file. With Karpathy's json
(`dataset_flickr30k.json`, `dataset_coco.json`), it takes the first five captions of each image from the json and does
not need `{split}_caps.txt`.

The script fetches and converts one split after the other, and then removes the download, so that the disk holds one of
the large arrays at a time. With --keep, it removes no download and leaves all of them in OUT.downloads. The converted
splits stay in OUT.parts until all splits are there. If a call was interrupted, the next call goes on from these splits.

    python data_scripts/released.py OUT [--from kaggle|FOLDER|ARCHIVE] [--karpathy FILE] [--keep]
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from caption_files import SPLIT_NAMES
from sources import Source, find, open_source
from workplace import workplace

from vsrpp_lite.data.arrays import read_rows
from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.lines import read_ids
from vsrpp_lite.data.manifest import read_manifest
from vsrpp_lite.data.precomp import check_fit, open_split
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.files import scratch
from vsrpp_lite.user_errors import errors_in_a_line

BLOCK = 64  # number of images that are converted at a time
RELEASED = {
    "f30k": {"train": 29_000, "dev": 1_014, "test": 1_000},
    "coco": {"train": 113_287, "dev": 5_000, "test": 5_000},
}
"""Numbers of images of the released splits (Karpathy and Fei-Fei 2015)."""
FIRST = {
    ("f30k", "train"): "Two young guys with shaggy hair look at their hands while hanging out in the yard",
    ("f30k", "dev"): "A group of people stand in the back of a truck filled with cotton",
    ("f30k", "test"): "The man with pierced ears is wearing glasses and an orange hat",
}
"""The first caption of a split, where it is known: Flickr30K's, in the order of its names."""


def halved(dataset: Dataset, path: Path) -> Path:
    """Write the features (I, R, F), one row per image, as float16 to `path`.

    Raises:
        DataError: a feature is too large for float16.
    """
    source = dataset.folder / f"{dataset.split}_ims.npy"
    header = {"descr": "<f2", "fortran_order": False, "shape": (len(dataset), *dataset.features.shape[1:])}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(dataset), BLOCK):
            rows = dataset.rows[start : start + BLOCK]
            # rows of one image stand together, so a block of rows holds few others
            block = read_rows(source, rows.min(), rows.max() + 1)[rows - rows.min()]
            if (largest := np.abs(block).max()) > np.finfo(np.float16).max:
                image = start + int(np.abs(block).max((1, 2)).argmax())
                raise DataError(
                    f"{source}: image {image} has a feature of {largest:g}; expected at most "
                    f"{np.finfo(np.float16).max:g}, which float16 can hold"
                )
            block.astype(np.float16).tofile(file)
    return path


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
                SPLIT_NAMES[image["split"]],
                [" ".join(sentence["raw"].split()) for sentence in image["sentences"][:5]],
            )
            for image in images
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{karpathy}: not a Karpathy json ({error!r}); expected images with sentences") from error
    for image, (_, said) in known.items():
        if len(said) < 5 or not all(said):
            raise DataError(f"{karpathy}: image {image} has the sentences {said}; expected five that are not empty")
    return known


def captioned(folder: Path, split: str, known: dict[int, tuple[str, list[str]]]) -> None:
    """Write the captions of one split from Karpathy's json, in the order of its ids.

    Raises:
        DataError: an id is not in Karpathy's json or is in another split of it.
    """
    path = folder / f"{split}_ids.txt"
    ids = read_ids(path).tolist()
    times, turn, captions = Counter(ids), Counter(), []
    for line, image in enumerate(ids, 1):
        where, said = known.get(image, ("nowhere", []))
        if where != split.removesuffix("all"):
            raise DataError(f"{path.resolve()}: line {line}, image {image} is in {where} of Karpathy's json")
        # with one row per caption, each row takes the next sentence; with one row per image, it takes all sentences
        captions += said if times[image] == 1 else said[turn[image] : turn[image] + 1]
        turn[image] += 1
    (folder / f"{split}_caps.txt").write_text("".join(f"{line}\n" for line in captions), encoding="utf-8")


def convert(source: Source, paths: dict[str, str], split: str, part: Path, known: dict | None, made: str) -> None:
    """Fetch the files of one split, and write them as the data folder `part`, each image once, in float16.

    Args:
        paths: the path in the source of each kind of file.
        split: the name of the split in the source.
        made: what `part` shall say of where it comes from; see `made_of`.

    Raises:
        DataError: a file is not as it should be; see `precomp.open_split`.
    """
    with scratch(part.parent) as drafts:
        for kind, path in paths.items():
            (drafts / f"{split}_{kind}").symlink_to(source.fetch(path).resolve())
        if known:
            captioned(drafts, split, known)
        dataset = open_split(drafts, split)
        raw = with_features(dataset, halved(dataset, drafts / "halved.npy"))
        write_dataset(part, name=part.name, source=made, splits={part.name: raw})


def made_of(source: Source, located: dict[str, tuple[str, dict[str, str]]], known: dict | None) -> dict[str, str]:
    """Return what each split is made of: the state of each of its files, and a hash of the captions of a json."""
    captions = hashlib.sha256(repr(known).encode()).hexdigest()
    return {
        split: json.dumps([captions, *(source.state(path) for path in paths.values())])
        for split, (_, paths) in located.items()
    }


def with_features(dataset: Dataset, features: Path) -> RawSplit:
    """Return a split with other features, one row per image. A data folder written from it gets a link to the file."""
    by_image = np.argsort(dataset.caption_to_image, kind="stable")
    ends = np.cumsum(np.bincount(dataset.caption_to_image))
    return RawSplit(
        features=features,
        captions=[[dataset.captions[k] for k in group] for group in np.split(by_image, ends[:-1])],
        image_ids=dataset.image_ids.tolist(),
        counts=None if dataset.mask.all() else dataset.mask.sum(1),
        boxes=dataset.boxes,
    )


def locate(source: Source, out: Path, known: dict | None) -> dict[str, tuple[str, dict[str, str]]]:
    """Return, for each split, its name in the source and the path there of each kind of file.

    Raises:
        DataError: the source lacks a file, or has several of one name.
    """
    hint = next((name for name in RELEASED if name in out.name.lower()), out.name.lower())
    located = {}
    for split in ("train", "dev", "test"):
        name = "testall" if split == "test" and find(source, "testall_ims.npy", hint) else split
        needed = ("ims.npy", "ids.txt") if known else ("ims.npy", "ids.txt", "caps.txt")
        paths = {kind: find(source, f"{name}_{kind}", hint) for kind in (*needed, "masks.npy", "boxes.npy")}
        for kind in needed:
            if paths[kind] is None:
                some = ", ".join(sorted(source.paths)[:12]) or "no file"
                raise DataError(f"{name}_{kind}: missing in {source}; expected this file, found {some}")
        located[split] = (name, {kind: path for kind, path in paths.items() if path is not None})
    return located


def is_done(part: Path, made: str) -> bool:
    """Tell whether an earlier call has converted a split, and from the same files."""
    return (part / "manifest.json").exists() and read_manifest(part)["source"] == made


def check_disk(
    source: Source, located: dict[str, tuple[str, dict[str, str]]], done: Collection[str], parts: Path, *, keep: bool
) -> str:
    """Return what will be read and written, in a line.

    Args:
        done: the splits that are converted already.
        keep: whether all downloads stay, and not one at a time.

    Raises:
        OSError: the disk has too little room for what is still to be fetched and written.
    """
    arrays = {split: paths["ims.npy"] for split, (_, paths) in located.items()}
    sizes = {split: source.paths[path] for split, path in arrays.items()}
    waiting = {split: size for split, size in sizes.items() if split not in done}
    at_once = sum(waiting.values()) if keep else max(waiting.values(), default=0)
    fetched = at_once if source.writes else 0
    # float16 takes half the room of float32, and repeated rows are left out
    needed = fetched + sum(size // (1 if _is_half(source, arrays[split]) else 2) for split, size in waiting.items())
    free = shutil.disk_usage(parts).free
    line = (
        f"{source}: {sum(sizes.values()) / 1e9:.1f} GB of features, of which {sum(waiting.values()) / 1e9:.1f} are "
        f"still to be converted; at most {needed / 1e9:.1f} GB are written, and {free / 1e9:.1f} are free"
    )
    if needed > free:
        raise OSError(f"{line}: expected a larger disk")
    return line


def _is_half(source: Source, path: str) -> bool:
    """Tell whether an array that lies on this disk is in float16 already. What is still to be fetched is in float32."""
    if source.writes:
        return False
    try:
        return np.load(source.fetch(path), mmap_mode="r").dtype == np.float16
    except (ValueError, EOFError):  # the conversion refuses it, and says why
        return False


def compared(out: Path, splits: dict[str, RawSplit]) -> list[str]:
    """Return what differs from the release, as far as it is known: numbers of images, first captions."""
    name = next((name for name in RELEASED if name in out.name.lower()), None)
    remarks = []
    for split, raw in splits.items() if name else ():
        if (found := len(raw.image_ids)) != (expected := RELEASED[name][split]):
            remarks.append(f"{split} has {found:,} images; the release has {expected:,}")
        first = FIRST.get((name, split))
        if first and _words(raw.captions[0][0]) != _words(first):
            remarks.append(f"{split} begins {raw.captions[0][0][:60]!r}; the release begins {first[:60]!r}")
    return remarks


def _words(caption: str) -> list[str]:
    return re.findall(r"\w+", caption.lower())


def prepare(given: str | Path, out: Path, karpathy: Path | None = None, *, keep: bool = False) -> list[str]:
    """Convert all three splits of a source into the data folder `out`, whole or not at all.

    Args:
        given: "kaggle", or the path of a folder or archive.
        keep: leave the downloads in OUT.downloads.

    Returns:
        A summary: the size of each split, and what differs from the release.

    Raises:
        DataError: a file is missing or is not as it should be; see `precomp.open_split`.
        OSError: the disk has too little room.
        FileExistsError: `out` exists already, or another process is making it.
    """
    known = sentences(karpathy) if karpathy else None
    with workplace(out) as parts:
        downloads = out.with_name(f"{out.name}.downloads") if keep else parts / "downloads"
        source = open_source(str(given), downloads)
        located = locate(source, out, known)
        made = made_of(source, located, known)
        done = {split for split in located if is_done(parts / split, made[split])}
        typer.echo(check_disk(source, located, done, parts, keep=keep))
        for split, (name, paths) in located.items():
            if split not in done:
                shutil.rmtree(parts / split, ignore_errors=True)
                convert(source, paths, name, parts / split, known, made[split])
            if not keep:
                source.drop(paths["ims.npy"])
        datasets = {split: open_split(parts / split, split) for split in located}
        check_fit(list(datasets.values()))
        splits = {
            split: with_features(dataset, parts / split / f"{split}_ims.npy") for split, dataset in datasets.items()
        }
        captions = f"captions of {karpathy.name}" if karpathy else "its captions"
        write_dataset(out, name=out.name, source=f"{source}, {captions}", splits=splits)
    counts = {split: (len(raw.image_ids), sum(map(len, raw.captions))) for split, raw in splits.items()}
    sizes = [f"{split}: {images:,} images, {texts:,} captions" for split, (images, texts) in counts.items()]
    return sizes + compared(out, splits)


def main(
    out: Annotated[Path, typer.Argument(help="The data folder to write, such as data/f30k.")],
    source: Annotated[str, typer.Option("--from", help="kaggle, a *_precomp folder, or an archive of one.")] = "kaggle",
    karpathy: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Karpathy's JSON file, for its captions.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep what was downloaded or unpacked.")] = False,
) -> None:
    """Convert released or your own region features into the one format."""
    with errors_in_a_line():
        for line in prepare(source, out, karpathy, keep=keep):
            typer.echo(line)
    typer.echo(f"{out}: written")


if __name__ == "__main__":
    typer.run(main)
