"""`make reproduce-tables`: train what is missing as one grid, write tables seed by seed, run the notebooks."""

import logging
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import joblib
import papermill

from vsrpp_lite import grid, tables
from vsrpp_lite.ablation import FACTORIAL, RESCALED
from vsrpp_lite.data import home
from vsrpp_lite.systems.scan import VARIANTS

log = logging.getLogger(__name__)

NOTEBOOKS = {1: "table1_structure", 2: "table2_mu", 3: "table3_coco", 4: "table4_flickr30k"}
SLIDES = "06_visual_analysis"


def reproduce_tables(
    *, data: str, preset: str, seeds: int, numbers: Sequence[int], jobs: int | None, factorial: bool = False
) -> None:
    """Everything from nothing: runs, tables, claims, figures, executed notebooks. What is there already is not redone.

    Seeds are trained one after the other, and tables are written after each: stop whenever you like. What notebooks
    show beside the tables is trained last.

    Raises:
        DataError: a table's data are not as they should be.
        ValueError: a test split does not divide into the table's folds.
        FileNotFoundError: they are not there, or the package was installed without its notebooks.
    """
    settings = {"data": data, "preset": preset}
    for number in numbers:  # before hours of training, not after
        known_parameters(NOTEBOOKS[number])
        _look_at_data(number, **settings)
    by_seed = [
        [run for number in numbers for run in tables.runs(number, seed=seed, **settings).values()]
        for seed in range(seeds)
    ]
    more = {2: (RESCALED, 1), 4: (VARIANTS, 1)} | ({1: (FACTORIAL, seeds)} if factorial else {})
    beyond = [
        run
        for number, (rows, count) in more.items()
        if number in numbers
        for seed in range(count)
        for run in tables.runs(number, rows, seed=seed, **settings).values()
    ]
    finished, complete = set(), 0
    for result in grid.train(chain(*by_seed, beyond), jobs):
        finished.add(result.run)
        while complete < seeds and finished.issuperset(by_seed[complete]):
            complete += 1
            for number in numbers:
                markdown = tables.write(number, seeds=range(complete), **settings)
                log.info("after %d of %d seeds\n\n%s", complete, seeds, markdown)
    grid.search(chain(*(tables.searches(number, seeds=range(seeds), **settings) for number in numbers)), jobs)
    notebooks = {NOTEBOOKS[number]: settings | {"seeds": seeds} for number in numbers}
    if 1 in numbers:
        notebooks[NOTEBOOKS[1]]["factorial"] = factorial
    if 4 in numbers:
        notebooks[SLIDES] = settings
    joblib.Parallel(n_jobs=2)(joblib.delayed(_execute)(str(home()), *notebook) for notebook in notebooks.items())


def _look_at_data(number: int, **settings: str) -> None:
    """Raise what would be raised later; name folds that are not the paper's."""
    try:
        _, _, test = next(iter(tables.runs(number, seed=0, **settings).values())).splits()
    except FileNotFoundError as error:
        if number == 3:
            raise FileNotFoundError(f"{error} (Table 3 wants a second data set; leave it out: 1 2 4)") from error
        raise
    size = len(test) // tables.FOLDS[number]
    if tables.FOLDS[number] > 1 and size != 1000 and settings["preset"] != "smoke":
        log.warning("table %d: %s has folds of %d images; the paper's have 1,000", number, test.folder, size)


def _execute(place: str, name: str, parameters: dict) -> None:
    os.environ["VSRPP_HOME"] = place  # a worker may have started when home was elsewhere
    execute(name, parameters)


def known_parameters(name: str) -> tuple[Path, dict]:
    """The file of a notebook of this checkout, and its papermill parameters.

    Raises:
        FileNotFoundError: the package was installed without its notebooks.
    """
    source = Path(__file__).resolve().parent.parent / "notebooks" / f"{name}.ipynb"
    if not source.exists():
        raise FileNotFoundError(f"{source}: missing; tables are reproduced from a checkout of the repository")
    return source, papermill.inspect_notebook(source)


def execute(name: str, parameters: dict) -> Path:
    """Run notebooks/<name>.ipynb with these parameters through papermill, into results/notebooks/.

    Raises:
        ValueError: the notebook has no such parameter. (Papermill would only warn, and run with the default.)
    """
    source, known = known_parameters(name)
    if unknown := parameters.keys() - known.keys():
        raise ValueError(f"{source}: no parameter {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    target = tables.results_folder(parameters["data"]) / "notebooks" / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    papermill.execute_notebook(
        source,
        target,
        parameters,
        cwd=source.parent,
        progress_bar=False,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    return target
