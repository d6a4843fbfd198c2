"""Grids of runs: make runs from axes, train them through joblib, and show their progress in one bar.

A finished run is not trained again, an unfinished run is resumed, and a run that another process is training comes
last. So you may start the same grid in several terminals, each on its own GPU, and they share the work.
"""

import logging
import os
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from sysconfig import get_path
from typing import Any, NamedTuple

import joblib
import torch
from filelock import Timeout
from tqdm.auto import tqdm

from vsrpp_lite.files import home, remove_dead_drafts
from vsrpp_lite.sealed_folder import DamagedError
from vsrpp_lite.training.run_folder import HISTORY, RESULT
from vsrpp_lite.training.runs import Result, Run
from vsrpp_lite.workers import parallel

log = logging.getLogger(__name__)


def expand(run: Run, axes: Mapping[str, Sequence[Any]]) -> list[Run]:
    """Return a run for every combination of the axes. A name with a dot is a field of the system, sizes or training.

    Names without a dot are applied first, whatever their order, so that no later change of the whole system, sizes or
    training overwrites one of its fields.

    >>> from vsrpp_lite import Run, VSRpp
    >>> len(expand(Run(system=VSRpp()), {"system.mu": [0.5, 1.0, 2.0], "seed": range(3)}))
    9

    Raises:
        ValueError: an axis is no field, or its values are not a list.
    """
    for name, given in axes.items():
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ValueError(f"the values of {name!r} are {given!r}; expected a list")
    runs = []
    for values in product(*axes.values()):
        changed = run
        for name, value in sorted(zip(axes, values, strict=True), key=lambda axis: "." in axis[0]):
            part, dot, leaf = name.partition(".")
            try:
                if dot:
                    whole = getattr(changed if part == "system" else changed.settings, part)
                    value = replace(whole, **{leaf: value})
                changed = replace(changed, **{part: value})
            except (AttributeError, TypeError) as error:
                raise ValueError(f"{name!r} is no field of a run, its system, sizes or training") from error
        runs.append(changed)
    return runs


class GridError(RuntimeError):
    """Some runs of a grid failed, and all others are trained. `failures` has the error of each failed run, as text."""

    def __init__(self, failures: Mapping[Run, str]):
        self.failures = dict(failures)
        lines = [f"{run.folder.name}, seed {run.seed}: {text}" for run, text in failures.items()]
        count = "1 run" if len(lines) == 1 else f"{len(lines)} runs"
        super().__init__("\n".join([f"{count} failed, all others are done:", *lines]))

    def __reduce__(self) -> tuple[type["GridError"], tuple[dict[Run, str]]]:
        """Let a process hand the error to another one, which makes it again from its failures."""
        return GridError, (self.failures,)


class Outcome(NamedTuple):
    """What a worker reports about its run.

    It has the run's number and not the run. A class of a notebook is sent by value, and would come back with fields
    whose missing defaults are no longer `dataclasses.MISSING`: it could not be subclassed any more.
    """

    number: int
    """The position of the run in the list of runs to train."""
    finished: bool
    """False if another process is training the run, or if the run failed."""
    failure: str | None = None
    trace: str = ""
    """The traceback of the failure."""


def train(
    runs: Iterable[Run],
    jobs: int | None = None,
    *,
    folds: Mapping[Run, int] | None = None,
    fresh: bool = False,
    blind: bool = False,
) -> Iterator[Result]:
    """Train the runs that are not done, and yield every result as soon as it is there, in no particular order.

    Nothing is trained before you ask for results: `list(grid.train(runs))`. A run that fails does not stop others.

    Args:
        jobs: number of processes at a time; by default one per core or, with a GPU, one. All of them use the first GPU
            that CUDA_VISIBLE_DEVICES names. Each has one thread, so that numbers do not depend on `jobs`. An outer
            `joblib.parallel_config(...)` may choose another backend, such as dask. It must use processes, since threads
            would share a random generator.
        folds: number of parts in which each run's test split is ranked, also if it is trained already; else it is 1.
        fresh: train every run from the start, whatever is kept of it.
        blind: whether to leave the test splits alone, neither checked nor ranked.

    Raises:
        GridError: some runs failed; it is raised after all others are trained. Their tracebacks are logged as debug.
        FileNotFoundError, DataError: the data of a run are not there or not as they should be; nothing is trained.
        ValueError: `jobs` is below 1.
    """
    folds = folds or {}
    ready: list[Run] = []
    missing: list[Run] = []
    for run in dict.fromkeys(runs):
        done = run.done and not fresh and (blind or Result(run).ranked(folds=folds.get(run, 1)))
        (ready if done else missing).append(run)
    for run in ready:
        remove_dead_drafts(run.folder)
        yield Result(run)
    if not missing:
        return
    pool = parallel(_jobs(jobs, missing), return_as="generator_unordered", pre_dispatch="n_jobs")
    failures: dict[Run, str] = {}
    since = time.time() if fresh else 0.0
    options = {"where": str(home()), "blind": blind, "since": since}

    def work(numbers: Iterable[int], *, wait: bool) -> Iterator[Outcome]:
        tasks = ((number, missing[number], folds.get(missing[number], 1)) for number in numbers)
        return pool(joblib.delayed(_fit)(*task, wait=wait, **options) for task in tasks)

    with _bar(missing, since=since):
        elsewhere: list[int] = []
        for numbers, wait in ((range(len(missing)), False), (elsewhere, True)):
            for outcome in work(numbers, wait=wait):
                run = missing[outcome.number]
                if outcome.finished:
                    yield Result(run)
                elif outcome.failure:
                    log.debug("%s: %s", run.folder.name, outcome.trace)
                    failures[run] = outcome.failure
                else:
                    elsewhere.append(outcome.number)
    if failures:
        raise GridError(failures)


Ranking = tuple[Result, tuple[Result, ...], int]
"""Arguments of `Result.rank`: a result, the partners whose scores are averaged with its own, and the folds."""


def rank(asked: Iterable[Ranking], jobs: int | None = None) -> None:
    """Rank the test splits that are not ranked yet, each with its partners and its number of folds."""
    missing = [task for task in dict.fromkeys(asked) if not task[0].ranked(*task[1:])]
    if not missing:
        return
    pool = parallel(_jobs(jobs, missing), return_as="generator_unordered")
    work = pool(joblib.delayed(_rank)(*task, str(home())) for task in missing)
    for _ in tqdm(work, total=len(missing), desc="ranking test splits", unit="model"):
        pass


def _jobs(jobs: int | None, tasks: Sequence[Any]) -> int:
    one_each = 1 if torch.accelerator.is_available() else joblib.cpu_count(only_physical_cores=False)
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}; expected at least 1")
    return min(jobs or one_each, len(tasks))


def _rank(result: Result, partners: Sequence[Result], folds: int, where: str) -> None:
    with _one_thread(where):
        result.rank(partners, folds)


def _fit(number: int, run: Run, folds: int, *, where: str, wait: bool, since: float, blind: bool) -> Outcome:
    """Train a run in a worker, and rank its test split unless `blind`.

    Args:
        where: home.
        since: what was trained before this time is not kept; 0.0 keeps everything.
    """
    with _one_thread(where):
        try:
            if wait and since:
                run.fit(bar=False, blind=blind)  # wait for the other process, which may be training afresh, too
            fresh = bool(since) and not _written(run.folder / RESULT, since)
            result = run.fit(wait=wait, fresh=fresh, blind=blind, bar=False)
            if not blind:
                result.rank(folds=folds)
        except Timeout:
            return Outcome(number, finished=False)
        except Exception as error:
            told = f"{type(error).__name__}: {error} ({_place(error)})"
            return Outcome(number, finished=False, failure=told, trace=traceback.format_exc())
    return Outcome(number, finished=True)


def _place(error: Exception) -> str:
    """Return file and line of the last call outside of libraries, which is where a user can look."""
    frames = traceback.extract_tb(error.__traceback__)
    libraries = ("site-packages", get_path("stdlib"))
    own = [frame for frame in frames if not any(part in frame.filename for part in libraries)] or frames
    return f"{own[-1].filename}, line {own[-1].lineno}"


@contextmanager
def _one_thread(where: str) -> Iterator[None]:
    """Use one thread, so that numbers do not depend on the number of jobs, and `where` as home."""
    # the worker may have started with another home
    threads, before = torch.get_num_threads(), os.environ.get("VSRPP_HOME")
    torch.set_num_threads(1)
    os.environ["VSRPP_HOME"] = where
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("VSRPP_HOME")
        if before is not None:
            os.environ["VSRPP_HOME"] = before


def _epochs_done(run: Run, since: float) -> int:
    """Return how many epochs of a run the bar shows. Of a damaged folder it shows none: a worker names the damage.

    Files from before `since` do not count, since a worker will delete them to train afresh.
    """
    try:
        if _written(run.folder / RESULT, since):
            return run.settings.training.epochs  # patience may have ended the run early
        return len(Result(run).history) if _written(run.folder / HISTORY, since) else 0
    except (DamagedError, OSError):  # or a worker is deleting the folder, or another machine replaces a file on NFS
        return 0


def _written(path: Path, since: float) -> bool:
    """Tell whether a file is there that was written at this time or later. A worker may delete it at any moment."""
    try:
        return path.stat().st_mtime >= since
    except FileNotFoundError:
        return False


@contextmanager
def _bar(runs: list[Run], since: float) -> Iterator[None]:
    """Show a bar over all epochs of all runs. It reads the run folders, so it works with any backend."""
    stop = threading.Event()
    epochs = sum(run.settings.training.epochs for run in runs)
    begun = sum(_epochs_done(run, since) for run in runs)
    with tqdm(total=epochs, initial=begun, unit="epoch", desc=f"0 of {len(runs)} runs", smoothing=0.05) as bar:

        def watch() -> None:
            while not stop.wait(1):
                show()

        def show() -> None:
            bar.update(sum(_epochs_done(run, since) for run in runs) - bar.n)
            done = sum(_written(run.folder / RESULT, since) for run in runs)
            bar.set_description(f"{done} of {len(runs)} runs", refresh=False)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            show()
