"""Prepare `flickr8k`: 8,000 photographs with five captions each (Hodosh, Young and Hockenmaier 2013).

With --from, a data folder that is made already is checked and copied, or linked where the disk allows it. Without it,
the script downloads the pictures and captions (1.1 GB) and says how to make regions of them. The data are for research
and teaching.

    python data_scripts/flickr8k.py OUT [--from DATA_FOLDER]
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import check_fit, open_split
from vsrpp_lite.extras import extra
from vsrpp_lite.files import link_or_copy, new_folder
from vsrpp_lite.user_errors import errors_in_a_line

URL = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
ARCHIVES = ("Flickr8k_Dataset.zip", "Flickr8k_text.zip")
ELSEWHERE = "the Kaggle data set awsaf49/flickr-dataset, or jxie/flickr8k on the Hugging Face hub"
NEXT = """Make regions of them with a detector and a backbone of your choice, such as:

    make data-photographs NAME={name} FROM={folder} CAPTIONS={folder}/Flickr8k.token.txt \\
      LISTS="{folder}/Flickr_8k.trainImages.txt {folder}/Flickr_8k.devImages.txt {folder}/Flickr_8k.testImages.txt"
"""


def copy(source: Path, out: Path) -> None:
    """Check a data folder, and copy it to `out`. Files on the same disk are linked, and take no room.

    Raises:
        DataError: a file of the folder is not as it should be.
        FileExistsError: `out` exists already.
    """
    verify(source)
    check_fit([open_split(source, split) for split in ("train", "dev", "test")])
    with new_folder(out) as draft:
        shutil.copytree(source, draft, copy_function=link_or_copy, dirs_exist_ok=True)


def download(folder: Path) -> None:
    """Download and unpack the pictures and the captions into a folder.

    Raises:
        OSError: the host cannot be reached.
    """
    with extra("fetch"):
        import pooch

    for name in ARCHIVES:
        pooch.retrieve(
            f"{URL}/{name}", known_hash=None, fname=name, path=folder / "downloads",
            processor=pooch.Unzip(extract_dir=folder.resolve()), progressbar=True,
        )  # fmt: skip
    shutil.rmtree(folder / "downloads")


def main(
    out: Annotated[Path, typer.Argument(help="The data folder to write, such as data/flickr8k.")],
    source: Annotated[
        Path | None, typer.Option("--from", exists=True, file_okay=False, help="A data folder that is made already.")
    ] = None,
) -> None:
    """Copy a data folder of Flickr8k, or download its pictures and captions."""
    pictures = out.with_name(f"{out.name}-pictures")
    if source:
        with errors_in_a_line():
            copy(source, out)
        typer.echo(f"{out}: written")
        return
    try:
        download(pictures)
        typer.echo(f"{pictures}: pictures and captions.\n\n{NEXT.format(name=out.name, folder=pictures)}")
    except Exception as error:  # of pooch, requests and urllib3, which have no common class
        get = (
            f"get pictures and captions from {ELSEWHERE} into {pictures}. {NEXT.format(name=out.name, folder=pictures)}"
        )
        typer.echo(f"error: the download from {URL} failed ({error}). Instead, {get}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
