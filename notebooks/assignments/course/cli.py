"""The commands of the course: build the student version, grade submissions, and look at one's own before handing it in.

python notebooks/assignments/course build --draw 2026
python notebooks/assignments/course grade SUBMISSIONS --hidden 531
python notebooks/assignments/course check FILE
"""

import json
import secrets
from datetime import datetime
from pathlib import Path
from typing import Annotated

import feedback
import grading
import handed_in
import marks
import nbformat
import pandas as pd
import reading
import sandbox
import tables
import typer
import unit
import versions
import walls
from exam import Course

from vsrpp_lite.files import home, new_folder

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
UNSAFE = typer.Option("--unsafe", help="Grade without a sandbox: a submission can then do all that you can.")


@app.command()
def build(
    draw: Annotated[int, typer.Option(min=0, help="Seed of the pictures, and so of the answers.")] = 2026,
) -> None:
    """Write the student version into release/, and the instructor's notebooks beside it."""
    try:
        versions.build(draw)
    except versions.NoReleaseError as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{len(versions.names())} assignments for draw {draw}: {versions.RELEASE}")


@app.command()
def grade(
    submissions: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="The folder of <student>/<assignment>.ipynb.")
    ],
    hidden: Annotated[int, typer.Option(min=0, help="Draw that scores the capstone. Keep it to yourself.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the results; by default results/course.")] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Submissions at a time; 0 is one per core.")] = 0,
    seconds: Annotated[int, typer.Option(min=1, help="Limit for each submission, from first cell to last.")] = 180,
    cell_seconds: Annotated[int, typer.Option(min=1, help="Limit for each cell; later cells still run.")] = 20,
    memory: Annotated[float, typer.Option(help="Limit for all processes of a submission, in GiB.")] = 6.0,
    unsafe: Annotated[bool, UNSAFE] = False,
) -> None:
    """Grade a folder of submissions: write points, feedback, the leaderboard, and the answers to read by hand."""
    if not unsafe and (why := walls.missing()):
        raise typer.BadParameter(f"{why}. Or use UNSAFE=1, and trust every submission")
    out = out or home() / "results" / "course"
    try:
        draw = versions.release_draw()
        keys = {name: versions.source(name, draw) for name in versions.names()}
        given = marks.read(out / "marks.csv", keys)
    except (ValueError, versions.NoReleaseError) as error:
        raise typer.BadParameter(str(error)) from error
    if hidden in (draw, unit.practice_seed(draw)):
        raise typer.BadParameter(f"--hidden is {hidden}, which students know; expected another number")
    entries = handed_in.collect(submissions, versions.names())
    if not entries:
        raise typer.BadParameter(f"{submissions}: expected <student>/<assignment>.ipynb, found no such file")
    unit.unseen_split(hidden)
    limits = sandbox.Limits(seconds, cell_seconds, memory)
    seen = _prepared(draw)
    courses = {
        name: Course(key, versions.student_version(key), seen, hidden, not unsafe, limits) for name, key in keys.items()
    }
    results = grading.grade(entries, courses, jobs)
    for unknown in marks.enter(given, results):
        typer.echo(
            f"{out / 'marks.csv'}: {unknown}: nothing of this name was handed in, so its marks do nothing", err=True
        )
    place = out / f"{datetime.now():%Y-%m-%d-%H%M%S}-{secrets.token_hex(2)}"
    with new_folder(place) as folder:
        table = tables.write(results, folder)
        feedback.write(results, folder / "feedback")
        reading.write(results, keys, folder / "by_hand.md")
        (folder / "draws.json").write_text(json.dumps({"draw": draw, "hidden": hidden}) + "\n")
    link = out / f".latest-{secrets.token_hex(4)}"
    link.symlink_to(place.name)
    link.replace(out / "latest")  # the earlier results stay where they were
    pd.options.display.width = 160
    typer.echo(f"{table.to_string()}\n\n{place}")
    try:  # the file is read again, since the teacher may have written into it meanwhile
        marks.write(out / "marks.csv", marks.read(out / "marks.csv", keys), results, keys)
    except ValueError as error:
        typer.echo(f"error: {error}. All results are written; marks.csv stays as it is", err=True)
        raise typer.Exit(1) from error


def _prepared(draw: int) -> tuple[Path, ...]:
    """Draw the pictures and train the model of a course, the first time. Return the folders that a box may read."""
    run = unit.course_run(draw)
    run.fit()
    return run.data_folder, run.folder, unit.practice_split(draw).folder


@app.command()
def check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="<assignment>.ipynb of a student")],
    unsafe: Annotated[bool, UNSAFE] = False,
) -> None:
    """Say whether a notebook is whole, which answers are empty, and which of the tests that students see it passes."""
    if not unsafe and (why := walls.missing()):
        raise typer.BadParameter(f"{why}. Or use UNSAFE=1, and trust the notebook")
    path = versions.RELEASE / file.name
    if file.stem not in versions.names() or not path.exists():
        expected = ", ".join(f"{name}.ipynb" for name in versions.names())
        raise typer.BadParameter(f"{file.name} is no assignment of {versions.RELEASE}; expected one of {expected}")
    release, draw = nbformat.read(path, as_version=4), versions.release_draw()
    release.metadata["absent"] = versions.source(file.stem, draw).metadata["absent"]  # as when it is graded
    course = Course(release, release, _prepared(draw), hidden=0, walled=not unsafe, limits=sandbox.Limits())
    entry = handed_in.HandedIn(file.resolve().parent.name, file.stem, file)
    (result,) = grading.grade([entry], {file.stem: course}, 1)
    typer.echo(feedback.look(result))
