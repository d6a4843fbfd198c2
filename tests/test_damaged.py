"""Files of a run that are damaged, exchanged or taken away: each is refused by name, and none is used in silence."""

import errno
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SMALL, toy_split

from vsrpp_lite.data.write import write_dataset
from vsrpp_lite.sealed_folder import DamagedError, SealedFolder
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.training import train as machine
from vsrpp_lite.training.grid import GridError, train
from vsrpp_lite.training.models import load
from vsrpp_lite.training.run_folder import forget, keep
from vsrpp_lite.training.runs import Result, Run


def test_a_sealed_folder_gives_what_was_written_into_it(tmp_path):
    files = SealedFolder(tmp_path / "mine", "me", "Write it again")
    files.write_text("a.txt", "one")
    files.write_text("words/b.txt", "two")
    files.write_text("a.txt", "three")
    with files.open("a.txt") as file:
        assert file.read() == b"three"
    assert files.names == ["a.txt", "words/b.txt"]
    content = json.loads((tmp_path / "mine" / "checksums.json").read_text())
    assert content["owner"] == "me"
    assert len(content["files"]["a.txt"]) == 1  # that of the content before is forgotten
    with pytest.raises(FileNotFoundError, match=r"c\.txt: missing"), files.open("c.txt"):
        pass


def test_a_file_can_be_read_whenever_its_writer_is_killed(tmp_path, monkeypatch):
    """Between the checksum and the move both contents are right: here the move fails, and the old one is read."""
    files = SealedFolder(tmp_path, "me")
    files.write_text("a.txt", "old")
    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "replace", interrupted(type(tmp_path).replace, "a.txt"))
        with pytest.raises(KeyboardInterrupt):
            files.write_text("a.txt", "new")
    with files.open("a.txt") as file:
        assert file.read() == b"old"
    (tmp_path / "a.txt").write_text("new")  # as if the move had been done
    with files.open("a.txt") as file:
        assert file.read() == b"new"
    (tmp_path / "a.txt").write_text("other")
    with pytest.raises(DamagedError, match=r"a\.txt: found sha256 [0-9a-f]{64}; expected sha256 [0-9a-f]{64}"):
        files.check(["a.txt"])


def test_a_writer_that_is_killed_twice_in_a_row_leaves_the_old_file_readable(tmp_path, monkeypatch):
    files = SealedFolder(tmp_path, "me")
    files.write_text("a.txt", "old")
    for content in ("new", "newer"):
        with monkeypatch.context() as patch:
            patch.setattr(type(tmp_path), "replace", interrupted(type(tmp_path).replace, "a.txt"))
            with pytest.raises(KeyboardInterrupt):
                files.write_text("a.txt", content)
    with files.open("a.txt") as file:
        assert file.read() == b"old"
    files.write_text("a.txt", "newest")
    (tmp_path / "a.txt").write_text("old")  # what was accepted during the moves is not accepted any more
    with pytest.raises(DamagedError, match=r"a\.txt: found sha256"):
        files.check(["a.txt"])


def interrupted(replace_file, name):
    def moved(path, target):
        if target.name == name:
            raise KeyboardInterrupt
        return replace_file(path, target)

    return moved


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a finished run, one that was interrupted after two epochs, and another system's finished run."""
    home = tmp_path_factory.mktemp("home")
    splits = {"train": toy_split(60, 1), "dev": toy_split(12, 2, 100), "test": toy_split(20, 3, 200)}
    folder = write_dataset(home / "data" / "toy", name="toy", source="tests", splits=splits)
    training = Training(epochs=3, batch_size=60, learning_rate=0.01)
    done = Run(system=VSEpp(), data=str(folder), sizes=SMALL, training=training)
    other, begun = replace(done, seed=1), replace(done, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSRPP_HOME", str(home))
        for run in (done, other):
            result = run.fit(accelerator="cpu")
            result.rank()
            result.scores()
        evaluate, calls = machine.evaluate, []

        def stops_in_the_third(*args):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return evaluate(*args)

        patch.setattr(machine, "evaluate", stops_in_the_third)
        with pytest.raises(KeyboardInterrupt):
            begun.fit(accelerator="cpu")
    return home, done, other, begun


@pytest.fixture
def kept(made, tmp_path, monkeypatch):
    """The three runs, in a copy of that home which a test may damage."""
    home, done, other, begun = made
    copy = shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("VSRPP_HOME", str(copy))
    runs = {"done": done, "other": other, "begun": begun}
    return {name: replace(run, data=str(copy / "data" / "toy")) for name, run in runs.items()}


def flipped(content, _):
    return content[:20] + bytes([content[20] ^ 1]) + content[21:]


DAMAGE = {
    "a flipped bit": flipped,
    "cut in half": lambda content, _: content[: len(content) // 2],
    "empty": lambda content, _: b"",
    "longer": lambda content, _: content + b"\0",
    "another run's": lambda _, other: other,
    "taken away": None,
}
USES = {
    "config.json": lambda run: Result(run).matcher(),
    "vocabulary.json": lambda run: Result(run).matcher(),
    "best.pt": lambda run: Result(run).matcher(),
    "history.jsonl": lambda run: Result(run).history,
    "result.json": lambda run: Result(run).record,
    "test-ranks-1.npz": lambda run: Result(run).recalls,
    "scores-own.npz": lambda run: Result(run).scores(),
    "last.pt": lambda run: run.fit(accelerator="cpu"),
    "checksums.json": lambda run: Result(run).recalls,
}
ANOTHER_RUNS_IS_THE_SAME = {"vocabulary.json", "result.json"}  # equal captions; equal seconds, now and then
MAY_BE_TAKEN_AWAY = {"test-ranks-1.npz", "scores-own.npz"}  # they are computed again, from the weights
CASES = [
    (name, damage)
    for name in USES
    for damage in DAMAGE
    if not (damage == "another run's" and name in ANOTHER_RUNS_IS_THE_SAME)
    and not (damage == "taken away" and name in MAY_BE_TAKEN_AWAY)
]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_a_damaged_file_of_a_run_is_refused_by_name_and_nothing_is_changed(kept, name, damage):
    run = kept["begun" if name == "last.pt" else "done"]
    path = run.folder / name
    if DAMAGE[damage] is None:
        path.unlink()
    else:
        path.write_bytes(DAMAGE[damage](path.read_bytes(), (kept["other"].folder / name).read_bytes()))
    before = {file.name: file.read_bytes() for file in run.folder.iterdir()}
    with pytest.raises(DamagedError, match=r": found .*; expected .*fit\(fresh=True\)") as error:
        USES[name](run)
    assert name in str(error.value)
    assert {file.name: file.read_bytes() for file in run.folder.iterdir()} == before


def test_a_permuted_vocabulary_is_refused(kept):
    path = kept["done"].folder / "vocabulary.json"
    words = json.loads(path.read_text())
    path.write_text(json.dumps([*words[:4], *reversed(words[4:])]))
    with pytest.raises(DamagedError, match=r"vocabulary\.json: found sha256"):
        Result(kept["done"]).matcher()
    with pytest.raises(DamagedError, match=r"vocabulary\.json: found sha256"):
        load(kept["done"].folder)


def test_the_whole_folder_of_another_run_is_refused(kept):
    done, other = kept["done"], kept["other"]
    shutil.rmtree(done.folder)
    shutil.copytree(other.folder, done.folder)
    owners = f"found the owner '{other.digest}'; expected '{done.digest}'"
    with pytest.raises(DamagedError, match=rf"checksums\.json: {owners}"):
        _ = Result(done).recalls


def test_a_pipe_in_the_place_of_a_file_is_never_opened(kept):
    path = kept["done"].folder / "best.pt"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DamagedError, match=r"best\.pt: found no plain file"):
        Result(kept["done"]).matcher()


def test_fresh_trains_again_and_forgets_what_others_ranked_with_it(kept):
    done, other = kept["done"], kept["other"]
    recalls = Result(done).recalls
    Result(other).rank([Result(done)])
    assert list(other.folder.glob(f"test-ranks-1-{done.digest}.npz"))
    (done.folder / "best.pt").write_bytes(b"nonsense")
    (done.folder / "a folder").mkdir()
    with pytest.raises(DamagedError):
        Result(done).matcher()
    assert done.fit(accelerator="cpu", fresh=True).recalls == recalls
    assert not (done.folder / "a folder").exists()
    assert not list(other.folder.glob(f"test-ranks-1-{done.digest}.npz"))


@pytest.mark.parametrize("whose", ["its own", "its partner's"])
def test_ranks_of_weights_that_are_trained_afresh_meanwhile_are_not_kept(tmp_path, whose):
    files, partner = SealedFolder(tmp_path / "mine", "me"), SealedFolder(tmp_path / "other", "other")
    for one in (files, partner):
        one.write_text("best.pt", "old weights")

    def compute():
        (files if whose == "its own" else partner).write_text("best.pt", "new weights")  # as another process does
        return {"ranks": np.array([1])}

    assert keep(files, "ranks.npz", compute, [partner])["ranks"].tolist() == [1]
    assert not files.has("ranks.npz")
    keep(files, "ranks.npz", lambda: {"ranks": np.array([2])}, [partner])
    assert files.has("ranks.npz")


def test_ranks_that_are_being_written_while_the_run_is_trained_afresh_are_given_up(tmp_path, monkeypatch):
    files = SealedFolder(tmp_path / "mine", "me")
    files.write_text("best.pt", "old weights")
    savez = np.savez

    def slowly(draft, **arrays):
        savez(draft, **arrays)
        forget(files)  # another process begins a fresh training
        assert draft.exists()
        files.write_text("best.pt", "new weights")

    monkeypatch.setattr(np, "savez", slowly)
    assert keep(files, "ranks.npz", lambda: {"ranks": np.array([1])})["ranks"].tolist() == [1]
    assert files.names == ["best.pt"]


@pytest.mark.parametrize("name", ["history.jsonl", "best.pt", "vocabulary.json"])
def test_a_training_is_not_resumed_over_a_damaged_file(kept, name):
    """It would write the first two anew, and nobody would learn of the damage."""
    path = kept["begun"].folder / name
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(DamagedError, match=f"{name}: found sha256"):
        kept["begun"].fit(accelerator="cpu")
    assert path.read_bytes().endswith(b"\n\n" if name == "history.jsonl" else b"\n")


def test_a_damaged_history_tells_no_number_of_epochs(kept):
    history = kept["begun"].folder / "history.jsonl"
    assert len(Result(kept["begun"]).history) == len(history.read_text().splitlines())
    history.write_text(history.read_text() * 2)
    with pytest.raises(DamagedError, match=r"history\.jsonl: found sha256"):
        _ = Result(kept["begun"]).history


def test_a_grid_names_the_damaged_run_and_finishes_the_others(kept):
    (kept["begun"].folder / "last.pt").write_bytes(b"nonsense")
    third = replace(kept["done"], seed=3)
    with pytest.raises(GridError, match=r"1 run failed, all others are done:\n.*DamagedError: .*last\.pt: found"):
        list(train([kept["begun"], third], jobs=1))
    assert third.done
    (result,) = train([kept["begun"]], jobs=1, fresh=True)
    assert result.recalls


def test_what_an_export_holds_is_checked_too(kept, tmp_path):
    folder = Result(kept["done"]).export(tmp_path / "model")
    (folder / "README.md").write_text("# my own card\n")
    before = load(folder).state_dict()
    assert all(torch.equal(before[name], x) for name, x in Result(kept["done"]).matcher().state_dict().items())
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # one bit of one weight
    with pytest.raises(DamagedError, match=r"model\.safetensors: found sha256 .*Export the model again"):
        load(folder)
    (folder / "checksums.json").unlink()  # as of a model that a stranger wrote
    assert load(folder)


def test_where_nothing_can_be_written_results_are_computed_and_where_the_disk_is_full_that_is_said(kept, monkeypatch):
    result = Result(kept["done"])
    expected = result.scores()
    (result.run.folder / "scores-own.npz").unlink()
    for code, refused in ((errno.EROFS, False), (errno.EACCES, False), (errno.ENOSPC, True)):

        def fails(*_, code=code, **__):
            raise OSError(code, "the disk says no")

        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", fails)
            if refused:
                with pytest.raises(OSError, match=r"the disk says no, while it was written: .*scores-own\.npz"):
                    result.scores()
            else:
                assert np.array_equal(result.scores(), expected)
