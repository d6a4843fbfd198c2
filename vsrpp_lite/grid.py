"""Many runs: axes to runs, runs through joblib, one bar that tells how far they are.

A finished run is read and not trained, an unfinished one resumes, and a run that another process is training is left
for last. So the same grid may be started in several terminals, each on a GPU of its own, and they divide the work.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import Any

import joblib
import torch
from filelock import Timeout
from tqdm.auto import tqdm

from vsrpp_lite.data import home
from vsrpp_lite.results import Result
from vsrpp_lite.runs import Run


def expand(run: Run, axes: Mapping[str, Sequence[Any]]) -> list[Run]:
    """Every combination of the axes; a dot reaches into the system, the sizes or the training.

    Whole fields are changed first, whatever the order: a rate given to every system is not the rate of the first.

    >>> len(expand(Run(system=VSRpp()), {"system.mu": [0.5, 1.0, 2.0], "seed": range(3)}))  # doctest: +SKIP
    9
    """
    runs = []
    for values in product(*axes.values()):
        changed = run
        for name, value in sorted(zip(axes, values, strict=True), key=lambda axis: "." in axis[0]):
            part, dot, leaf = name.partition(".")
            if dot:
                whole = getattr(changed if part == "system" else changed.settings, part)
                value = replace(whole, **{leaf: value})
            changed = replace(changed, **{part: value})
        runs.append(changed)
    return runs


def train(runs: Iterable[Run], jobs: int | None = None) -> Iterator[Result]:
    """Train what is missing and yield every result as soon as it is there, in no particular order.

    Args:
        jobs: processes at a time, each with one thread, so that numbers do not depend on it; None, one a core
            or, with a GPU, one. An outer `joblib.parallel_config(...)` chooses another backend, such as dask: of
            processes, since the threads of one would share a random generator.
    """
    done, missing = [], []
    for run in dict.fromkeys(runs):
        (done if run.done else missing).append(run)
    yield from map(Result, done)
    if not missing:
        return
    parallel = joblib.Parallel(n_jobs=_jobs(jobs, missing), return_as="generator_unordered", pre_dispatch="n_jobs")
    with _progress(missing):
        place, elsewhere = str(home()), []
        for run, finished in parallel(joblib.delayed(_fit)(run, place, wait=False) for run in missing):
            if finished:
                yield Result(run)
            else:
                elsewhere.append(run)
        for run, _ in parallel(joblib.delayed(_fit)(run, place, wait=True) for run in elsewhere):
            yield Result(run)


def search(asked: Iterable[tuple[Result, Sequence[Result], int]], jobs: int | None = None) -> None:
    """Rank test splits that were not ranked before, each with the given partners in the given number of folds."""
    missing = [task for task in dict.fromkeys(asked) if not task[0].ranks_file(*task[1:]).exists()]
    if not missing:
        return
    parallel = joblib.Parallel(n_jobs=_jobs(jobs, missing), return_as="generator_unordered")
    work = parallel(joblib.delayed(_search)(*task, str(home())) for task in missing)
    for _ in tqdm(work, total=len(missing), desc="averages and wider searches", unit="search"):
        pass


def _jobs(jobs: int | None, tasks: Sequence) -> int:
    one_each = 1 if torch.accelerator.is_available() else joblib.cpu_count(only_physical_cores=False)
    return min(jobs or one_each, len(tasks))


def _search(result: Result, partners: Sequence[Result], folds: int, place: str) -> None:
    with _one_thread(place):
        result.search(partners, folds)


@contextmanager
def _one_thread(place: str) -> Iterator[None]:
    """One thread, so that numbers do not depend on how many jobs there are."""
    # a worker may have started when home was elsewhere
    threads, before = torch.get_num_threads(), os.environ.get("VSRPP_HOME")
    torch.set_num_threads(1)
    os.environ["VSRPP_HOME"] = place
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("VSRPP_HOME")
        if before is not None:
            os.environ["VSRPP_HOME"] = before


def _fit(run: Run, place: str, *, wait: bool) -> tuple[Run, bool]:
    """Train; whether it is done now, or, without `wait`, another process is at it."""
    with _one_thread(place):
        try:
            run.fit(wait=wait)
        except Timeout:
            return run, False
    return run, True


@contextmanager
def _progress(runs: list[Run]) -> Iterator[None]:
    """A bar over all epochs of all runs, with the time left, read from the run folders: any backend will do."""
    stop = threading.Event()
    epochs = sum(run.settings.training.epochs for run in runs)
    begun = sum(run.epochs_done for run in runs)
    with tqdm(total=epochs, initial=begun, unit="epoch", desc=f"0 of {len(runs)} runs", smoothing=0.05) as bar:

        def watch() -> None:
            while not stop.wait(1):
                show()

        def show() -> None:
            bar.update(sum(run.epochs_done for run in runs) - bar.n)
            bar.set_description(f"{sum(run.done for run in runs)} of {len(runs)} runs", refresh=False)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            show()
