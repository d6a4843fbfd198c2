"""A command that is killed comes to the same end when it is called again: some kinds of tests/kills.py."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_killed_commands_come_to_the_same_end_and_leave_nothing():
    script = Path(__file__).with_name("kills.py")  # a process of its own, since it forks
    command = [sys.executable, script, "12", "--only", "trainings converted fetched photographs scores"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == ["all", "12", "12", "12", "0"]
