"""The commands of the package: `vsrpp-lite ...`, or `python -m vsrpp_lite ...`."""

import logging
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vsrpp_lite.data import scenes
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import split_files, verify
from vsrpp_lite.data.precomp import check_fit, name_of_test, open_split
from vsrpp_lite.files import DRAFTS, home, new_folder, notebooks_folder, recorded_folder, write_text
from vsrpp_lite.settings import PAPER, PRESETS
from vsrpp_lite.user_errors import errors_in_a_line

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
# mypy wants the members of an enumeration as literals; here they come from the tables that define them
Size = StrEnum("Size", list(scenes.SIZES))  # type: ignore[misc]
JOBS = "Trainings that run at a time; by default one per core, or one if there is a GPU."
PresetName = StrEnum("PresetName", [*PRESETS, PAPER])  # type: ignore[misc]


@app.callback()
def about() -> None:
    """VSR++ and six systems for image-text matching: to teach, reproduce and extend them."""


@app.command("scenes")
def draw(
    out: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed that the data set is drawn from.")] = 0,
    size: Annotated[Size, typer.Option(help="f30k has 1,000 test images, coco 5,000, tiny 100.")] = Size["f30k"],
) -> None:
    """Draw the embedded data set: its pictures, regions and captions."""
    with errors_in_a_line():
        scenes.write(out, seed=seed, size=size.value)


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="A data folder.")]) -> None:
    """Open every split of a data folder, and say what it holds or what is wrong with it."""
    with errors_in_a_line():
        if not folder.is_dir():
            raise DataError(f"{folder}: expected a data folder")
        verify(folder)
        found = {path.name.rpartition("_")[0] for path in split_files(folder)}
        names = sorted(found, key=lambda name: (name != "train", name))  # the others are compared with train
        if not names:
            raise DataError(f"{folder}: no split; expected files such as train_ims.npy")
        splits = [open_split(folder, name) for name in names]
        check_fit(splits)
        for split in splits:
            counts = f"{len(split)} images, {len(split.captions)} captions"
            typer.echo(f"{split.split}: {counts}, features {split.features.shape[1:]}")
        if missing := [name for name in ("train", "dev", name_of_test(folder)) if name not in names]:
            typer.echo(f"no split {' and no split '.join(missing)}, which a training needs")


@app.command("import")
def import_released(
    checkpoint: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A .pth.tar of VSE++, SCAN or VSRN.")],
    vocabulary: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Its words: a .json or .pkl file.")],
    data: Annotated[str, typer.Option(help="The data set to test it on: a name in data/, or a folder.")] = "f30k",
) -> None:
    """Make a run folder of a checkpoint that the authors of VSE++, SCAN or VSRN have published, and test it."""
    from vsrpp_lite.paper.released import import_checkpoint

    with errors_in_a_line():
        result = import_checkpoint(checkpoint, vocabulary, data)
        recalls = "  ".join(f"{name} {value:.1f}" for name, value in result.recalls.items())
        typer.echo(f"{result.run}\n{result.run.folder}\n{recalls}")


@app.command()
def reproduce(
    data: Annotated[str, typer.Option(help="scenes, a folder in data/, or any data folder.")] = "scenes",
    preset: Annotated[PresetName, typer.Option(help="Size of the models and of their training.")] = PresetName["lite"],
    seeds: Annotated[int, typer.Option(min=1, help="Number of trainings per row.")] = 3,
    tables: Annotated[str, typer.Option(help="Numbers of tables, separated by spaces.")] = "1 2 3 4",
    jobs: Annotated[int | None, typer.Option(min=1, help=JOBS)] = None,
    factorial: Annotated[bool, typer.Option(help="Also train every combination of Table 1's parts.")] = False,
    fresh: Annotated[bool, typer.Option(help="Train every run again, whatever is kept of it.")] = False,
    cluster: Annotated[str, typer.Option(help="Train on the workers of this dask scheduler: tcp://host:8786.")] = "",
    ray: Annotated[bool, typer.Option(help="Train on the Ray cluster that this machine belongs to.")] = False,
) -> None:
    """Make the paper's tables again, beside the published numbers."""
    from vsrpp_lite.paper.four_tables import TABLES
    from vsrpp_lite.paper.reproduce import reproduce_tables
    from vsrpp_lite.training.cluster import engine

    known = {table.name.removeprefix("table"): table for table in TABLES}
    if not tables.split() or set(tables.split()) - known.keys():
        raise typer.BadParameter(f"tables is {tables!r}; expected numbers of {' '.join(known)}, separated by spaces")
    chosen = [known[number] for number in tables.split()]
    with errors_in_a_line(), engine(cluster, ray=ray) as workers:
        reproduce_tables(
            chosen,
            data=data,
            preset=preset.value,
            seeds=seeds,
            jobs=min(workers, jobs or workers) if workers else jobs,
            factorial=factorial,
            fresh=fresh,
        )


@app.command()
def tune(
    preset: Annotated[str, typer.Argument(help="The preset whose study to run, such as lite.")],
    rows: Annotated[str, typer.Option(help="Rows to tune, separated by commas; by default all.")] = "",
    jobs: Annotated[int | None, typer.Option(min=1, help=JOBS)] = None,
) -> None:
    """Try the same settings for every system on a draw that no table uses, judged by its dev split alone."""
    from vsrpp_lite.paper.study import ROWS, STUDIES, tune

    if preset not in STUDIES:
        raise typer.BadParameter(f"preset is {preset!r}; expected one of {', '.join(STUDIES)}")
    chosen = [row.strip() for row in rows.split(",")] if rows else list(ROWS)
    if set(chosen) - ROWS.keys():
        raise typer.BadParameter(f"rows is {rows!r}; expected some of {', '.join(ROWS)}, separated by commas")
    with errors_in_a_line():
        typer.echo(tune(STUDIES[preset], {row: ROWS[row] for row in chosen}, jobs))


@app.command()
def record(data: Annotated[str, typer.Option(help="The data set whose tables to keep.")] = "scenes") -> None:
    """Copy the tables of results/ to notebooks/recorded, from which RESULTS.md and the notebooks take them."""
    from vsrpp_lite.paper.record import record as copied

    with errors_in_a_line():
        typer.echo(copied(data))


@app.command("verify-recorded")
def verify_recorded(
    row: Annotated[str, typer.Argument(help="A row of a recorded table, such as VSR++.")],
    recorded: Annotated[str, typer.Option(help="A folder in notebooks/recorded.")] = "scenes-lite",
    table: Annotated[str, typer.Option(help="The table, such as table4; by default the first with this row.")] = "",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train a recorded row again from the start, on one thread as it was, and compare every rank."""
    import torch

    from vsrpp_lite.paper.recorded_runs import verify

    torch.set_num_threads(1)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the recorded rows were trained on CPUs, and a GPU rounds otherwise
    with errors_in_a_line():
        typer.echo(verify(recorded_folder() / recorded, table=table, row=row, seed=seed))


@app.command()
def search(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run, or its name in runs/; or an exported model.")],
    sentence: Annotated[str, typer.Argument(help="The sentence whose pictures to find.")] = "",
    image: Annotated[
        Path | None, typer.Option(help="A picture of the data folder, or a .npy file of regions: find its captions.")
    ] = None,
    data: Annotated[str, typer.Option(help="The data to search; by default those of the run.")] = "",
    split: Annotated[str, typer.Option(help="The split to search.")] = "test",
    count: Annotated[int, typer.Option(min=1, help="Number of answers.")] = 5,
    candidates: Annotated[
        int | None, typer.Option(min=1, help="Entries that the full similarity looks at; by default all.")
    ] = None,
) -> None:
    """Find the pictures of a sentence, or the captions of a picture; with --candidates, in two stages."""
    from vsrpp_lite.data.document import read_json
    from vsrpp_lite.data.named import data_folder
    from vsrpp_lite.data.text import check_sentence, tokenize
    from vsrpp_lite.search import Index, regions_of
    from vsrpp_lite.training.models import load
    from vsrpp_lite.training.run_folder import CONFIG

    if bool(sentence) == bool(image):
        raise typer.BadParameter("expected a sentence, or --image, and not both")
    with errors_in_a_line():
        folder = run if run.is_dir() else home() / "runs" / run
        matcher = load(folder)
        known = read_json(folder / CONFIG, "the data of the run")
        if not (data or "data_name" in known):
            raise DataError(f"{folder / CONFIG}: names no data; give the data to search with --data")
        searched = data_folder(data) if data else data_folder(known["data_name"], tiny=known.get("preset") == "smoke")
        dataset = open_split(searched, name_of_test(searched) if split == "test" else split)
        if dataset.feature_size != known["feature_size"]:
            expected = f"expected {known['feature_size']}, which the model reads"
            raise DataError(f"{searched} has regions of {dataset.feature_size} numbers; {expected}")
        if not image:
            check_sentence(sentence)  # before the split is encoded, which can take minutes
        query = regions_of(image, dataset) if image else sentence
        index = Index(matcher, dataset, of="captions" if image else "images")
        unknown = [word for word in tokenize(sentence) if matcher.tokenizer.unknown in matcher.tokenizer.encode(word)]
        if unknown:
            typer.echo(f"the model does not know {', '.join(unknown)}", err=True)
        for place, found in enumerate(index.search(query, count, candidates=candidates or len(index)), start=1):
            picture = None if image else dataset.picture(found.position)
            typer.echo(f"{place:3}  {found.score:6.3f}  {picture or found.name}")


@app.command()
def report() -> None:
    """Write RESULTS.md, and the table in README.md, from the recorded tables."""
    from vsrpp_lite.paper.report import pages

    with errors_in_a_line():
        for path, text in pages().items():
            write_text(path, text)
            typer.echo(path)


@app.command()
def inventory() -> None:
    """Print the questions of the concept inventory without the answers, to make a form of them."""
    from vsrpp_lite.teaching.quiz import form

    with errors_in_a_line():
        typer.echo(form(), nl=False)


@app.command()
def try_it() -> None:
    """Write the data of the site's page "Try it" to notebooks/recorded: scores of the tuned VSR++ on drawn scenes."""
    from vsrpp_lite.paper.tuned import tuned
    from vsrpp_lite.show.try_it import fragment
    from vsrpp_lite.systems.vsrpp import VSRpp

    path = recorded_folder() / "try_it.html"
    run = tuned(VSRpp(), data="scenes", preset="lite", seed=0)
    assert isinstance(run.system, VSRpp)  # not every system has a local similarity; this one's is tuned
    with errors_in_a_line():
        write_text(path, fragment(run.fit(), run.system.local))
        typer.echo(path)


@app.command()
def notebooks(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
) -> None:
    """Copy the notebooks, and what they read, to a new folder."""
    with errors_in_a_line(), new_folder(folder) as draft:
        # a checkout also holds their sources, the course with its solutions, and the site
        left_out = shutil.ignore_patterns("src", "assignments", "api", "_*", ".ipynb_checkpoints", f"{DRAFTS}*")
        shutil.copytree(notebooks_folder(), draft, ignore=left_out, dirs_exist_ok=True)
    typer.echo(f"{folder}: begin with 00_start_here.ipynb")


@app.command()
def lesson_models() -> None:
    """Put the trained models of the lessons, which the package carries, into runs/. Then no lesson trains them."""
    from vsrpp_lite.teaching.lesson_models import take_lesson_models

    with errors_in_a_line():
        for folder in take_lesson_models():
            typer.echo(folder)


@app.command()
def record_lesson_models() -> None:
    """Train the models of the lessons, unless runs/ has them, and keep them in notebooks/models."""
    from vsrpp_lite.teaching.lesson_models import record_lesson_models as recorded

    with errors_in_a_line():
        for folder in recorded():
            typer.echo(folder)


def main() -> None:
    """Run a command; this is the console script."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("papermill").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells of each kind of processor that this one is not
    app(prog_name="vsrpp-lite" if not sys.argv[0].endswith("__main__.py") else "python -m vsrpp_lite")


if __name__ == "__main__":
    main()
