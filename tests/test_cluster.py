"""A grid on the workers of a cluster gives the digits of this machine, and outlives workers and schedulers."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SMALL

from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.training import grid
from vsrpp_lite.training.cluster import engine
from vsrpp_lite.training.grid import expand
from vsrpp_lite.training.runs import Result, Run

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.filterwarnings("ignore"),  # dask's own
]


EPOCHS = [3, 20, 20, 20, 20, 60]
"""The first run is done soon, and the last ones take long: something is done, and much is not, when a worker ends."""


def three_workers():
    return distributed.LocalCluster(n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None)


@pytest.fixture(scope="module")
def cluster():
    with three_workers() as found:
        yield found


@pytest.fixture
def runs(toy):
    """Six small trainings of several epochs."""
    training = Training(epochs=3, batch_size=20, learning_rate=0.01, min_count=1)
    first = Run(system=VSEpp(), data=str(toy), sizes=SMALL, training=training)
    return expand(first, {"system": [VSEpp(), VSRN()], "seed": range(3)})


def trained(runs, scheduler):
    """Train on a cluster, and return the rsum of every run on dev, epoch by epoch, and on test."""
    with engine(scheduler, ray=False) as workers:
        results = list(grid.train(runs, workers))
    return {
        run: (Result(run).history["dev.rsum"].tolist(), Result(run).recalls["rsum"]) for run in (r.run for r in results)
    }


def test_a_cluster_gives_the_digits_of_this_machine(runs, cluster, tmp_path, monkeypatch):
    on_cluster = trained(runs, cluster.scheduler_address)
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path / "another"))
    here = {result.run: (result.history["dev.rsum"].tolist(), result.recalls["rsum"]) for result in grid.train(runs, 2)}
    assert on_cluster == here
    assert len(here) == 6


def begun(runs):
    """Wait until one run is done and another has trained an epoch. Return the date of each finished run's result."""
    while not all(run.done for run in runs):
        done = [run for run in runs if run.done]
        if done and any((run.folder / "last.pt").exists() and not run.done for run in runs):
            return {run: (run.folder / "result.json").stat().st_mtime_ns for run in done}
        time.sleep(0.01)
    raise AssertionError("all runs were done before anybody looked")


def test_a_killed_worker_loses_no_run_and_trains_none_twice(runs, cluster):
    runs = [replace(run, training=replace(run.settings.training, epochs=epochs)) for run, epochs in zip(runs, EPOCHS)]
    killed, done = [], {}

    def kill():
        done.update(begun(runs))
        with distributed.Client(cluster) as client:
            pids = client.run(os.getpid)
        killed.append(next(iter(pids.values())))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    found = trained(runs, cluster.scheduler_address)
    killer.join()
    assert killed and done and len(found) == 6
    assert [len(found[run][0]) for run in runs] == EPOCHS  # each epoch once
    assert all((run.folder / "result.json").stat().st_mtime_ns == date for run, date in done.items())


def test_another_scheduler_goes_on_where_the_last_one_stopped(runs):
    runs = [replace(run, training=replace(run.settings.training, epochs=epochs)) for run, epochs in zip(runs, EPOCHS)]
    done, cluster = {}, three_workers()

    def stop():
        done.update(begun(runs))
        cluster.close()

    stopper = threading.Thread(target=stop, daemon=True)
    stopper.start()
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever dask makes of it
        trained(runs, cluster.scheduler_address)
    stopper.join()
    with three_workers() as second:
        found = trained(runs, second.scheduler_address)
    assert done and len(found) == 6
    assert all((run.folder / "result.json").stat().st_mtime_ns == date for run, date in done.items())


def test_workers_with_threads_are_refused():
    """Threads would share torch's random generator, so the numbers would depend on who works beside whom."""
    refused = pytest.raises(ValueError, match=r"worker .* has 2 threads; expected 1")
    shared = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with shared, refused, engine(shared.scheduler_address, ray=False):
        pass
    with pytest.raises(ValueError, match="are both asked for"), engine("tcp://localhost:1", ray=True):
        pass


def test_a_scheduler_without_workers_is_refused():
    empty = distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None)
    refused = pytest.raises(ValueError, match="has no workers; expected at least one")
    with empty, refused, engine(empty.scheduler_address, ray=False):
        pass


RAY_GRID = """
from conftest import SMALL
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.cluster import engine
from vsrpp_lite.training.runs import Run

training = Training(epochs=3, batch_size=20, learning_rate=0.01, min_count=1)
runs = [Run(system=VSEpp(), data="toy", sizes=SMALL, training=training, seed=seed) for seed in range(3)]
with engine("", ray=True) as workers:
    print(workers, sorted((result.run.seed, result.recalls["rsum"]) for result in grid.train(runs, workers)))
"""


def test_ray_gives_the_digits_of_this_machine(toy, home):
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    tests = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    command = str(Path(sys.executable).with_name("ray"))
    started = [command, "start", "--head", "--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats"]
    head = subprocess.run(started, capture_output=True, text=True, env=environment, timeout=900, check=False)
    if head.returncode:
        pytest.skip(f"Ray does not start on this machine: {head.stderr[-300:]}")
    try:
        asked = [sys.executable, "-c", RAY_GRID]
        done = subprocess.run(asked, capture_output=True, text=True, env=environment, timeout=900, check=False)
    finally:
        subprocess.run([command, "stop"], check=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    training = Training(epochs=3, batch_size=20, learning_rate=0.01, min_count=1)
    again = [Run(system=VSEpp(), data="toy", sizes=SMALL, training=training, seed=seed) for seed in range(3)]
    for run in again:
        shutil.rmtree(run.folder)
    here = sorted((result.run.seed, result.recalls["rsum"]) for result in grid.train(again, 1))  # one thread, as there
    assert done.stdout.splitlines()[-1] == f"2 {here}"
