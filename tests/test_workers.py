"""Workers end when the process that started them is gone, even where it was killed."""

import subprocess
import sys

import psutil
import pytest

PARENT = """
import signal
import joblib
from vsrpp_lite.workers import parallel

def work(number):
    print("begun", flush=True)
    signal.pause()

parallel(2)(joblib.delayed(work)(number) for number in range(2))
"""


@pytest.mark.slow
def test_workers_of_a_killed_process_leave(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, "parent.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        said = [parent.stdout.readline() for _ in range(2)]
        workers = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert said == ["begun\n"] * 2 and len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=120)[1] == []


@pytest.mark.xdist_group("workers")
def test_a_group_of_tests_stays_on_one_worker(request):
    """pytest-xdist writes the group behind the test's name, and sends tests with one group to one worker."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("these tests run without pytest-xdist's --dist loadgroup")
    assert request.node.nodeid.endswith("@workers")
