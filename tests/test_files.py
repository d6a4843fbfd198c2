"""Files are whole or absent, whatever happens to the process that writes them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vsrpp_lite import files
from vsrpp_lite.files import DRAFTS, atomic, new_folder, scratch, write_text

ROOT = Path(__file__).resolve().parent.parent


def drafts(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(DRAFTS)]


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


def test_the_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (Path(), tmp_path):
        with pytest.raises(FileExistsError, match="is the working directory; expected another folder"):
            _fill(name, "here")
    assert not list(tmp_path.iterdir())


def test_a_link_and_a_mount_point_are_refused_before_any_work(tmp_path, monkeypatch):
    """No folder can be moved to such a place, and a user would learn it after hours of conversion."""
    (tmp_path / "big").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "big")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "link", tmp_path / "nowhere", Path("/proc")):
        with pytest.raises(FileExistsError, match="is a link or a mount point"), files.new_folder(path):
            raise AssertionError("the work has begun")
    assert not list((tmp_path / "big").iterdir())


def test_an_empty_variable_means_the_default_home(monkeypatch):
    monkeypatch.setenv("VSRPP_HOME", "")
    assert files.home() == Path(files.__file__).parent.parent


def test_a_relative_home_is_refused_since_it_would_be_another_place_in_another_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VSRPP_HOME", "work")
    with pytest.raises(ValueError, match=f"VSRPP_HOME is 'work'; expected an absolute path, such as '{tmp_path}/work'"):
        files.home()


@pytest.mark.parametrize(("given", "used"), [("work", ROOT / "work"), ("/a b/c", Path("/a b/c")), ("", ROOT)])
def test_make_turns_a_relative_home_into_an_absolute_one(given, used):
    command = ["make", "--dry-run", "--always-make", "data-multi30k", f"VSRPP_HOME={given}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f'"{used}/data/multi30k"' in shown


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
