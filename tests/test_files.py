"""Files are whole or absent, whatever happens to the process that writes them."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vsrpp_lite.files import DRAFTS, atomic, new_folder, scratch, write_text


def drafts(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith((DRAFTS, ".new-"))]


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt):
        _write(path, "half of the n", KeyboardInterrupt())
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert not drafts(tmp_path)


def test_what_a_killed_process_left_is_removed_by_the_next_call_and_what_a_living_one_holds_is_not(tmp_path):
    program = f"""if True:
        import time
        from pathlib import Path
        from vsrpp_lite.files import scratch
        with scratch(Path({str(tmp_path)!r})) as folder:
            (folder / "gigabytes").write_text("of drafts")
            print("ready", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        (held,) = drafts(tmp_path)
        write_text(tmp_path / "a.txt", "a")
        assert drafts(tmp_path) == [held]  # it is alive
        process.kill()
    write_text(tmp_path / "b.txt", "b")
    assert not drafts(tmp_path)


def test_drafts_within_drafts_are_left_alone(tmp_path):
    with scratch(tmp_path) as outer, scratch(tmp_path) as inner:
        assert outer.exists() and inner.exists()
    assert not drafts(tmp_path)


def test_of_two_that_make_one_folder_the_first_makes_it_and_the_second_says_so(tmp_path):
    target = tmp_path / "made"
    with new_folder(target) as draft:
        (draft / "a.txt").write_text("the first")
        with pytest.raises(FileExistsError, match="made: another process is writing it"):
            _fill(target, "the second")
        assert not target.exists()
    with pytest.raises(FileExistsError, match="made exists; nothing was written"):
        _fill(target, "the third")
    assert (target / "a.txt").read_text() == "the first"
    assert not drafts(tmp_path)


def test_a_folder_that_somebody_else_made_meanwhile_is_left_as_it_is(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(FileExistsError, match="was written by another process meanwhile"):
        _fill(target, "late", lambda: _fill_by_hand(target))
    assert (target / "a.txt").read_text() == "early"
    assert not drafts(tmp_path)


def test_an_error_that_tells_of_another_file_keeps_its_name(tmp_path):
    missing = tmp_path / "missing.jpg"
    with pytest.raises(FileNotFoundError) as error:
        _fill(tmp_path / "made", "a", missing.read_bytes)
    assert error.value.filename == str(missing)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / f"{DRAFTS}1" / "made" / "a.txt"))
    with pytest.raises(OSError, match=r"No space left on device, while it was written: .*/made'"):
        _fill(tmp_path / "made", "a", lambda: _raise(full))


def test_a_scratch_folder_that_gets_its_other_name_just_now_is_no_error(tmp_path, monkeypatch):
    seen = tmp_path / ".new-1"  # it was there when the folder was listed
    listed = type(tmp_path).glob
    monkeypatch.setattr(
        type(tmp_path), "glob", lambda path, pattern: [seen] if pattern == ".new-*" else listed(path, pattern)
    )
    write_text(tmp_path / "file.txt", "a")
    assert (tmp_path / "file.txt").read_text() == "a"


def _raise(error):
    raise error


def _fill_by_hand(target):
    target.mkdir()
    (target / "a.txt").write_text("early")


def _fill(target, content, meanwhile=lambda: None):
    with new_folder(target) as draft:
        (draft / "a.txt").write_text(content)
        meanwhile()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"while it was written: .*file\.txt"):
            write_text(tmp_path / "file.txt", "a")
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_named_with_what_was_being_written(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match=r"No space left on device, while it was written: .*file\.txt") as error:
        _write(tmp_path / "file.txt", "half", full)
    assert error.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def _write(path, content, failure):
    with atomic(path) as draft:
        draft.write_text(content)
        raise failure


@pytest.mark.slow
def test_workers_leave_when_their_parent_is_killed(toy, tmp_path):
    """A grid of two long trainings in two workers; the parent is killed, and both are gone within seconds."""
    program = f"""if True:
        import vsrpp_lite as vl
        from vsrpp_lite.training.grid import expand, train
        training = vl.Training(epochs=100_000, batch_size=20, min_count=1)
        sizes = vl.Sizes(embed=16, word=8, caption=8, layers=1)
        run = vl.Run(system=vl.VSEpp(), data={str(toy)!r}, sizes=sizes, training=training)
        list(train(expand(run, {{"seed": [0, 1]}}), jobs=2))
    """
    environment = os.environ | {"VSRPP_HOME": str(tmp_path / "home")}
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, env=environment)
    runs = tmp_path / "home" / "runs"
    deadline = time.monotonic() + 120
    while len(list(runs.glob("*/last.pt"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    workers = [pid for pid in _children(process.pid) if "LokyProcess" in _command(pid)]
    assert len(workers) == 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any("LokyProcess" in _command(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in workers if "LokyProcess" in _command(pid)]


def _children(parent):
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split("\n")
    pairs = [line.split() for line in found if line.strip()]
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
