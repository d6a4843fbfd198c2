"""python -m vsrpp_lite ...: the commands behind the Makefile."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vsrpp_lite import scenes
from vsrpp_lite.data import home
from vsrpp_lite.precomp import SPLITS, DataError, open_split, verify
from vsrpp_lite.reproduce import NOTEBOOKS, reproduce_tables
from vsrpp_lite.runs import PRESETS

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
Size = StrEnum("Size", list(scenes.SIZES))
PresetName = StrEnum("PresetName", list(PRESETS))


@app.command("scenes")
def draw(
    out: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    seed: Annotated[int, typer.Option(help="Which draw of the data set.")] = 0,
    size: Annotated[Size, typer.Option(help="f30k tests on 1,000 images, coco on 5,000, tiny on 100.")] = Size.f30k,
) -> None:
    """Draw the embedded data set: pictures, regions, captions."""
    scenes.write(out, seed=seed, size=size.value)


@app.command()
def check(folder: Path) -> None:
    """Open every split of a data folder and say what is in it, or what is wrong with it."""
    try:
        verify(folder)
        whole_coco = (folder / "testall_ims.npy").exists()
        for split in ("train", "dev", "testall") if whole_coco else SPLITS:
            found = open_split(folder, split)
            typer.echo(
                f"{split}: {len(found)} images, {len(found.captions)} captions, features {found.features.shape[1:]}"
            )
    except DataError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def reproduce(
    data: Annotated[str, typer.Option(help="scenes, a folder of data/, or any data folder.")] = "scenes",
    preset: Annotated[PresetName, typer.Option(help="How large.")] = PresetName.lite,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of every row.")] = 3,
    tables: Annotated[str, typer.Option(help="Numbers, separated by spaces.")] = " ".join(map(str, NOTEBOOKS)),
    jobs: Annotated[
        str, typer.Option(help="Trainings at a time; auto: one a core, or one where there is a GPU.")
    ] = "auto",
    factorial: Annotated[bool, typer.Option(help="Also train every combination of Table 1's parts.")] = False,
) -> None:
    """Regenerate the paper's tables beside the published numbers."""
    known = {str(number): number for number in NOTEBOOKS}
    if not tables.split() or set(tables.split()) - known.keys():
        raise typer.BadParameter(f"tables is {tables!r}; expected numbers of {' '.join(known)}, separated by spaces")
    numbers = [known[number] for number in tables.split()]
    if jobs != "auto" and not (jobs.isdigit() and int(jobs)):
        raise typer.BadParameter(f"jobs is {jobs!r}; expected a number or auto")
    count = None if jobs == "auto" else int(jobs)
    folder = Path(data).resolve()
    if data != "scenes" and folder.is_dir():  # notebooks run in a folder of their own
        data = folder.name if folder.parent == (home() / "data").resolve() else str(folder)
    settings = {"data": data, "preset": preset.value, "seeds": seeds, "numbers": numbers}
    try:
        reproduce_tables(**settings, jobs=count, factorial=factorial)
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("papermill").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    app(prog_name="python -m vsrpp_lite")
