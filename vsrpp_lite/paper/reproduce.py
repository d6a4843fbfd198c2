"""`make reproduce-tables`: train all missing runs as one grid, write the tables after each seed, run the notebooks."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import papermill
from traitlets.config import Config

from vsrpp_lite.data.named import canonical
from vsrpp_lite.extras import extra
from vsrpp_lite.files import atomic, home, notebooks_folder, scratch
from vsrpp_lite.matcher import System
from vsrpp_lite.paper.ablation import FACTORIAL
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.table_files import write
from vsrpp_lite.paper.tables import Table, results_folder
from vsrpp_lite.training import grid
from vsrpp_lite.training.ranking import fold_of_text
from vsrpp_lite.training.runs import Run
from vsrpp_lite.workers import parallel

log = logging.getLogger(__name__)


def reproduce_tables(
    tables: Sequence[Table],
    *,
    data: str,
    preset: str,
    seeds: int,
    jobs: int | None = None,
    factorial: bool = False,
    fresh: bool = False,
) -> None:
    """Make runs, tables, claims, figures and executed notebooks. Runs that are finished already are not trained again.

    Seeds are trained one after the other, and the tables are written after each seed, so you can stop at any time.
    Systems that notebooks show beside the tables are trained last.

    Args:
        tables: the paper's tables, from `four_tables`, or your own.
        seeds: number of trainings per row.
        jobs: number of trainings at a time; by default one per core or, with a GPU, one.
        factorial: also train every combination of Table 1's parts; see `ablation`.
        fresh: train every run again, whatever is kept of it.

    Raises:
        DataError: a table's data are not as they should be.
        ValueError: there are no seeds, a test split does not divide into the table's folds, a notebook has other
            parameters, or `factorial` is asked without Table 1.
        FileNotFoundError: data or notebooks are missing.
        GridError: some of the runs failed; all others are trained.
        DamagedError: a kept file is not the one that was written.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}; expected at least 1")
    if factorial and TABLE1 not in tables:
        found = ", ".join(table.name for table in tables)
        raise ValueError(f"factorial is the ablation of Table 1; found {found}, expected table1 among them")
    data = canonical(data)
    settings = {"data": data, "preset": preset}
    seconds: dict[str, float] = {}
    notebooks = _notebooks(tables, settings, seeds, factorial)
    with _timed(seconds, "drawing and looking at the data"):  # find errors before hours of training
        for notebook, parameters in notebooks.items():
            check_parameters(notebook, parameters)
        for table in tables:
            _look_at_data(table, **settings)
    with _timed(seconds, "training, and ranking each model's test split"):
        _train(tables, settings, seeds, jobs, factorial=factorial, fresh=fresh)
    with _timed(seconds, "averages of two models, and whole test splits"):
        grid.rank(chain(*(table.rankings(seeds=range(seeds), **settings) for table in tables)), jobs)
    with _timed(seconds, "tables"):
        for table in tables:
            write(table, seeds=range(seeds), **settings)  # once more: now whole test splits are ranked too
    with _timed(seconds, "notebooks"):
        executed = _run_notebooks(notebooks)
    _tell(tables, data, executed, seconds)


def _train(
    tables: Sequence[Table],
    settings: dict[str, str],
    seeds: int,
    jobs: int | None,
    *,
    factorial: bool,
    fresh: bool,
) -> None:
    """Train all runs of the tables, and write the tables each time that a seed is complete."""
    by_seed = [_with_folds(tables, [table.rows for table in tables], seed, settings) for seed in range(seeds)]
    beyond = _with_folds(tables, [table.further for table in tables], 0, settings)
    if factorial:
        for seed in range(seeds):
            beyond |= _with_folds([FACTORIAL], [FACTORIAL.rows], seed, settings)
    folds = {run: count for part in (*by_seed, beyond) for run, count in part.items()}
    finished, complete = set(), 0
    for result in grid.train(chain(*by_seed, beyond), jobs, folds=folds, fresh=fresh):
        finished.add(result.run)
        while complete < seeds and finished.issuperset(by_seed[complete]):
            complete += 1
            for table in tables:
                markdown = write(table, seeds=range(complete), **settings)
                log.info("after %d of %d seeds\n\n%s", complete, seeds, markdown)


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    began = time.time()
    yield
    seconds[part] = time.time() - began


def _tell(tables: Sequence[Table], data: str, executed: Sequence[Path], seconds: Mapping[str, float]) -> None:
    """Log where everything is and how long each part took, and keep the latter as results/tables/times.csv."""
    folder = results_folder(data)
    with atomic(folder / "tables" / "times.csv") as draft:
        pd.DataFrame({"part": seconds.keys(), "seconds": seconds.values()}).round(1).to_csv(draft, index=False)
    of_tables = [folder / "tables" / f"{table.name}.{kind}" for table in tables for kind in ("csv", "md")]
    claims = [folder / "claims.csv"] if any(table.claims for table in tables) else []
    for path in [*of_tables, *claims, *executed]:
        log.info("%s", path)
    for part, taken in seconds.items():
        log.info("%s %s", timedelta(seconds=round(taken)), part)
    log.info("%s in all", timedelta(seconds=round(sum(seconds.values()))))


def _with_folds(
    tables: Sequence[Table], rows: Sequence[Mapping[str, System]], seed: int, settings: Mapping[str, str]
) -> dict[Run, int]:
    """Return the runs of these rows of these tables, each with its number of folds."""
    return {
        run: table.folds
        for table, of_table in zip(tables, rows, strict=True)
        for run in table.runs(of_table, seed=seed, **settings).values()
    }


def _look_at_data(table: Table, *, data: str, preset: str) -> None:
    """Open the data of a table, so that errors show early. Warn if the folds have another size than the paper's."""
    try:
        _, _, test = next(iter(table.runs(data=data, preset=preset, seed=0).values())).splits()
    except FileNotFoundError as error:
        if table.second_data:
            remedy = 'if you have none, leave this table out, such as by TABLES="1 2 4"'
            second = f"{table.name} needs a second data set, {table.data(data)}; {remedy}"
            raise FileNotFoundError(f"{error} ({second})") from error
        raise
    fold_of_text(len(test), test.caption_to_image, table.folds)
    size = len(test) // table.folds
    if table.folds > 1 and size != 1000 and preset != "smoke":
        log.warning("%s: %s has folds of %d images; the paper's have 1,000", table.name, test.folder, size)


def _notebooks(
    tables: Sequence[Table], settings: dict[str, str], seeds: int, factorial: bool
) -> dict[str | Path, dict[str, Any]]:
    """Return the notebooks of the tables, each with the parameters that it is run with."""
    notebooks: dict[str | Path, dict[str, Any]] = {}
    for table in tables:
        if table.notebook:
            notebooks[table.notebook] = settings | {"seeds": seeds}
        for slides in table.slides:
            notebooks[slides] = dict(settings)
    if TABLE1 in tables:
        notebooks[str(TABLE1.notebook)]["factorial"] = factorial
    return notebooks


def _run_notebooks(notebooks: Mapping[str | Path, dict[str, Any]]) -> list[Path]:
    """Run notebooks, two at a time, and return the executed copies."""
    with joblib.parallel_config("loky"):  # on this machine, even where a cluster trained the runs
        return parallel(2)(joblib.delayed(_execute)(str(home()), *notebook) for notebook in notebooks.items())


def _execute(where: str, notebook: str | Path, parameters: dict[str, Any]) -> Path:
    """Run a notebook in a worker, and return the executed copy. `where` is home."""
    os.environ["VSRPP_HOME"] = where  # a worker may have started when home was elsewhere
    os.environ["OMP_NUM_THREADS"] = "1"  # two kernels run side by side, and threads that wait for each other are slow
    return execute(notebook, parameters)


def check_parameters(notebook: str | Path, parameters: Mapping[str, Any]) -> Path:
    """Return the file of a notebook, given by path or by name in notebooks/, if it has these papermill parameters.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: the notebook has no such parameter. (Papermill would only warn and use the default.)
        ImportError: there is no kernel to run notebooks with.
    """
    with extra("notebooks"):
        import ipykernel  # noqa: F401
    named = notebooks_folder() / f"{notebook}.ipynb"
    source = Path(notebook) if Path(notebook).suffix == ".ipynb" else named
    if not source.exists():
        raise FileNotFoundError(f"{source}: missing; expected the notebook of a table")
    known = papermill.inspect_notebook(source)
    if unknown := parameters.keys() - known.keys():
        raise ValueError(f"{source}: no parameter {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    return source


def execute(notebook: str | Path, parameters: dict[str, Any]) -> Path:
    """Run a notebook with these parameters through papermill. Return the executed copy, in results/notebooks/.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `check_parameters`.
    """
    source = check_parameters(notebook, parameters)
    target = results_folder(parameters["data"]) / "notebooks" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch(target.parent) as folder:  # for Jupyter's file about the kernel, which a killed process would leave
        papermill.execute_notebook(
            source,
            target,
            parameters,
            cwd=source.parent,
            progress_bar=False,
            kernel_name="python3",
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            config=Config({"KernelManager": {"connection_file": str(folder / "kernel.json")}}),
        )
    return target
