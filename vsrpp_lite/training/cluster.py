"""Run a grid on an engine that exists already, through joblib's backends: dask.distributed or Ray (extra `cluster`).

All machines see one `VSRPP_HOME`, on a shared disk. A run is one task of one worker, and its folder keeps its last
epoch. So a worker that dies loses at most an epoch: the engine gives its run to another worker, which resumes it. If
the scheduler dies, the command ends with an error, and the same command trains what is missing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import joblib

from vsrpp_lite.extras import extra


@contextmanager
def engine(scheduler: str, *, ray: bool) -> Iterator[int | None]:
    """Run grids on the workers of a dask scheduler, or on Ray, and yield the number of workers.

    If neither is asked for, grids run on this machine, and the function yields None.

    Raises:
        ValueError: both are asked for; or no scheduler answers, or no Ray cluster is running here; or the workers are
            not fit for it; see `dask_workers`.
    """
    if scheduler and ray:
        raise ValueError(f"a dask scheduler, {scheduler}, and Ray are both asked for; expected one of them")
    if scheduler:
        with dask_workers(scheduler) as count:
            yield count
    elif ray:
        with ray_workers() as count:
            yield count
    else:
        yield None


@contextmanager
def dask_workers(scheduler: str) -> Iterator[int]:
    """Run grids on the workers of a dask scheduler, such as tcp://host:8786, and give the number of its workers.

    Raises:
        ImportError: dask.distributed is not installed.
        ValueError: no scheduler answers at this address; or it has no worker; or a worker has several threads, which
            would share one random generator.
    """
    with extra("cluster"):
        from distributed import Client
    try:
        connected = Client(scheduler)
    except OSError as error:
        raise ValueError(f"{scheduler}: no dask scheduler answers there: {error}") from error
    with connected as client:
        threads = {name: worker["nthreads"] for name, worker in client.scheduler_info(n_workers=-1)["workers"].items()}
        if not threads:
            raise ValueError(f"{scheduler} has no workers; expected at least one")
        for name, count in threads.items():
            if count != 1:
                raise ValueError(f"worker {name} has {count} threads; expected 1: start it with --nthreads 1")
        with joblib.parallel_config("dask"):
            yield len(threads)


@contextmanager
def ray_workers() -> Iterator[int]:
    """Run grids on the Ray cluster that this machine belongs to, and give the number of its CPUs.

    Raises:
        ImportError: Ray is not installed.
        ValueError: no Ray cluster is running here.
    """
    with extra("cluster"):
        import ray
        from ray.util.joblib import register_ray
    try:
        ray.init(address="auto", log_to_driver=False)
    except ConnectionError as error:
        raise ValueError(f"no Ray cluster is running on this machine: {error}") from error
    try:
        register_ray()
        with joblib.parallel_config("ray"):
            yield int(ray.cluster_resources()["CPU"])
    finally:
        ray.shutdown()
