"""Prepare a data set of your own: from a folder of pictures and a file of captions to the one format.

    python data_scripts/photographs.py OUT --from FOLDER --captions FILE [--lists FILE ...] [--detector grid]
        [--features microsoft/resnet-50] [--regions 36] [--tolerate 1]

`caption_files` says which files of captions are read. A list, such as `Flickr_8k.trainImages.txt`, can name the split
of a picture. If no list names it, the script takes the split from the file of captions. If that file has no split
either, a hash of the picture's name decides.

A region is a box of the detector, or of a fixed grid, with features of a backbone averaged over it; see `regions`. All
models named here have the licence Apache-2.0, and are fetched from the Hugging Face hub at their first use:

    on a laptop      grid and microsoft/resnet-50 (100 MB), the default: 0.1 s a picture on one core;
                     hustvl/yolos-tiny (26 MB) for boxes of things adds 0.4 s
    with a GPU       PekingU/rtdetr_r50vd (170 MB) and facebook/dinov2-base (350 MB)

(Seconds were measured with random weights of the same shapes, since they do not depend on the weights.)

The work is kept in blocks in OUT.parts. A call that was interrupted goes on after its last block, with the same bytes.
"""

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Annotated, Any

import numpy as np
import regions as rg
import torch
import typer
from caption_files import read_caption_file, read_lists
from matched import SPLITS, Photograph, check_splits, match
from picture_files import PictureError, read_picture, thumbnail
from PIL import Image
from tqdm.auto import tqdm
from workplace import workplace

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.write import RawSplit, fill_dataset
from vsrpp_lite.files import atomic, new_folder, scratch, write_text
from vsrpp_lite.user_errors import errors_in_a_line

BLOCK = 16  # pictures that are read, encoded and kept at a time
LARGEST_SIDE = 1333  # pixels: detectors look at no more, and a block of huge pictures would fill the memory


def encode(
    photographs: Sequence[Photograph], detector: rg.Detector, backbone: rg.Backbone, regions: int, parts: Path
) -> None:
    """Write the regions of each block of pictures into `parts`, and a small copy of each picture.

    Blocks that are there are not made again. The name of a picture that cannot be read is written with the reason.
    """
    starts = range(0, len(photographs), BLOCK)
    for start in tqdm(starts, desc=f"blocks of {BLOCK} pictures", unit="block"):
        block = parts / f"{start:08d}.npz"
        if block.exists():
            continue
        pictures, ids, unreadable = [], [], []
        with scratch(parts) as drafts:  # one for the block: it looks through the folder in which it lies
            for photograph in photographs[start : start + BLOCK]:
                try:
                    picture = read_picture(photograph.path)
                except PictureError as error:
                    unreadable.append(f"{photograph.name}: {error}")
                    continue
                picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), reducing_gap=3)
                name = f"{photograph.id}.jpg"
                thumbnail(picture).save(drafts / name, quality=85)
                (drafts / name).replace(parts / "images" / photograph.split / name)
                pictures.append(picture)
                ids.append(photograph.id)
        arrays = _encoded(pictures, detector, backbone, regions) if pictures else {}
        with atomic(block) as draft, draft.open("wb") as file:
            np.savez(file, ids=np.array(ids, dtype=np.int64), unreadable=np.array(unreadable, dtype=str), **arrays)


def _encoded(
    pictures: Sequence[Image.Image], detector: rg.Detector, backbone: rg.Backbone, regions: int
) -> dict[str, np.ndarray]:
    """Return features (B, R, F) in float16, boxes (B, R, 4) and numbers of regions (B,) of some pictures."""
    boxes, counts = rg.chosen_boxes(detector(pictures), regions)
    maps = backbone(pictures).float()
    features = rg.region_features(maps, torch.from_numpy(boxes)).cpu().numpy()
    features[np.arange(regions) >= counts[:, None]] = 0
    if not np.abs(features).max() <= np.finfo(np.float16).max:
        raise DataError(
            f"a feature is {np.abs(features).max():g}; expected at most {np.finfo(np.float16).max:g}, which float16 "
            "can hold. Choose another backbone"
        )
    return {"features": features.astype(np.float16), "boxes": boxes, "counts": counts}


def collect(photographs: Sequence[Photograph], parts: Path) -> tuple[dict[str, RawSplit], list[str]]:
    """Read all blocks, write the features of each split into one file, and return the splits.

    Returns:
        the splits, and the names of the pictures that could not be read, with the reasons.

    Raises:
        DataError: a split would be empty.
    """
    by_id = {photograph.id: photograph for photograph in photographs}
    rows: dict[str, list[tuple[int, np.ndarray, int]]] = {split: [] for split in SPLITS}
    unreadable: list[str] = []
    for path in sorted(parts.glob("*.npz")):
        with np.load(path) as block:  # it reads an array when it is asked for, so the features are not read here
            unreadable += block["unreadable"].tolist()
            if len(block["ids"]):
                for found in zip(block["ids"].tolist(), block["boxes"], block["counts"].tolist(), strict=True):
                    rows[by_id[found[0]].split].append(found)
    for split, found in rows.items():
        if not found:
            raise DataError(f"no picture is in {split}; expected some in each of {', '.join(SPLITS)}")
    columns = {split: tuple(zip(*found, strict=True)) for split, found in rows.items()}
    features = _join_features({split: ids for split, (ids, _, _) in columns.items()}, parts)
    splits = {
        split: RawSplit(
            features=features[split],
            captions=[by_id[k].captions for k in ids],
            image_ids=list(ids),
            counts=np.array(counts),
            boxes=np.stack(boxes),
        )
        for split, (ids, boxes, counts) in columns.items()
    }
    return splits, unreadable


def _join_features(ids: Mapping[str, Sequence[int]], parts: Path) -> dict[str, Path]:
    """Write the features of each split into one file, since they may be larger than the memory. Return the files."""
    paths = {split: parts / f"{split}.npy" for split in ids}
    row = {image: (split, k) for split, images in ids.items() for k, image in enumerate(images)}
    arrays: dict[str, np.memmap] = {}
    for path in sorted(parts.glob("*.npz")):
        with np.load(path) as block:
            if not len(block["ids"]):
                continue
            for image, features in zip(block["ids"].tolist(), block["features"], strict=True):
                split, k = row[image]
                if split not in arrays:
                    shape = (len(ids[split]), *features.shape)
                    arrays[split] = np.lib.format.open_memmap(paths[split], "w+", np.float16, shape)
                arrays[split][k] = features
    for array in arrays.values():
        array.flush()
    return paths


def _continue(parts: Path, settings: dict[str, Any]) -> None:
    """Write down the settings of this job, or check that an earlier call began the job with the same settings.

    Raises:
        DataError: it was begun with other settings.
    """
    told, said = parts / "settings.json", json.dumps(settings, indent=2)
    if told.exists() and told.read_text(encoding="utf-8") != said:
        raise DataError(f"{told}: the work was begun with other settings or pictures; remove {parts} to begin anew")
    write_text(told, said)
    for split in SPLITS:
        (parts / "images" / split).mkdir(parents=True, exist_ok=True)


def _told(model: str) -> str:
    """Return the name of a model for others, who have no use for a path of this disk."""
    return Path(model).name if Path(model).exists() else model


def prepare(
    out: Path,
    folder: Path,
    captions: Path,
    lists: Sequence[Path] = (),
    *,
    detector: str = "grid",
    features: str = "microsoft/resnet-50",
    regions: int = 36,
    tolerate: float = 1.0,
) -> str:
    """Make the data folder `out`, whole or not at all, and return the report.

    Raises:
        DataError: captions, lists or pictures are not as they should be, or too many pictures are left out.
        FileExistsError: `out` exists already, or another process is making it.
    """
    photographs, report = match(folder, read_caption_file(captions), read_lists(lists))
    report.check(len(photographs), tolerate)
    check_splits(photographs, report)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = {
        "detector": detector,
        "features": features,
        "regions": regions,
        "pictures": [[photograph.name, photograph.split, photograph.path.stat().st_size] for photograph in photographs],
    }
    with workplace(out) as parts:
        models = rg.open_detector(detector, device), rg.open_backbone(features, device)  # before a typo is noted
        _continue(parts, settings)
        encode(photographs, *models, regions, parts)
        splits, report.unreadable = collect(photographs, parts)
        report.check(len(photographs), tolerate)
        readable = {(split, number) for split, raw in splits.items() for number in raw.image_ids}
        used = [photograph for photograph in photographs if (photograph.split, photograph.id) in readable]
        found = "" if detector == "grid" else f"boxes of {_told(detector)}, the surest first, and then "
        source = (
            f"{len(used)} pictures of {folder.name} with the captions of {captions.name}. At most {regions} "
            f"regions: {found}a grid; features of {_told(features)}, averaged over each box"
        )
        with new_folder(out) as draft:
            fill_dataset(draft, name=out.name, source=source, splits=splits)
            copytree(parts / "images", draft / "images")
            with (draft / "pictures.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("id", "split", "name"), *((p.id, p.split, p.name) for p in used)])
            (draft / "report.txt").write_text(report.text(), encoding="utf-8")
    return report.text()


def main(
    out: Annotated[Path, typer.Argument(help="The data folder to write, such as data/mine.")],
    folder: Annotated[Path, typer.Option("--from", exists=True, file_okay=False, help="The folder of pictures.")],
    captions: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The file of captions.")],
    lists: Annotated[list[Path], typer.Option(exists=True, dir_okay=False, help="Lists of a split's pictures.")] = [],  # noqa: B006
    detector: Annotated[str, typer.Option(help="grid, a model of transformers, or a file.onnx.")] = "grid",
    features: Annotated[str, typer.Option(help="A model of transformers, or a file.onnx.")] = "microsoft/resnet-50",
    regions: Annotated[int, typer.Option(min=1, help="The largest number of regions of a picture.")] = 36,
    tolerate: Annotated[float, typer.Option(min=0, max=100, help="Percentage that may be left out.")] = 1.0,
) -> None:
    """Turn a folder of pictures and a file of captions into a data set."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    options = {"detector": detector, "features": features, "regions": regions, "tolerate": tolerate}
    with errors_in_a_line():
        typer.echo(prepare(out, folder, captions, lists, **options))
    typer.echo(f"{out}: written")


if __name__ == "__main__":
    typer.run(main)
