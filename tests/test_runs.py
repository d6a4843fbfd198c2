"""Runs: equal settings share a folder, everything that matters has its own, nothing is trained twice."""

import errno
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL, toy_split
from filelock import Timeout

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import fingerprint
from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.data.write import write_dataset
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.settings import PRESETS, Sizes, Training, cast
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid, identity, run_folder
from vsrpp_lite.training import runs as module
from vsrpp_lite.training import train as machine
from vsrpp_lite.training.grid import GridError, expand, train
from vsrpp_lite.training.metrics import METRICS
from vsrpp_lite.training.models import load
from vsrpp_lite.training.provenance import provenance
from vsrpp_lite.training.run_folder import HISTORY, LAST, RESULT
from vsrpp_lite.training.runs import Result, Run

pytestmark = pytest.mark.slow

original = VSRpp
SHORT = Training(epochs=3, batch_size=20, learning_rate=0.01)


@pytest.fixture
def run(toy):
    return Run(system=VSRpp(), data=str(toy), sizes=SMALL, training=SHORT)


def test_repr_rebuilds_the_run(run):
    names = {"Run": Run, "VSRpp": VSRpp, "Sizes": Sizes, "Training": Training}
    again = eval(repr(run), names)
    assert again == run
    assert again.digest == run.digest


def test_an_integer_mu_is_the_same_run(run):
    assert replace(run, system=VSRpp(mu=2)).digest == replace(run, system=VSRpp(mu=2.0)).digest


def test_everything_that_matters_changes_the_digest(run, toy):
    others = [
        replace(run, seed=1),
        replace(run, system=VSRpp(mu=1.0)),
        replace(run, system=VSRN()),
        replace(run, sizes=replace(SMALL, embed=8)),
        replace(run, training=replace(SHORT, learning_rate=0.02)),
        replace(run, training=replace(SHORT, precision="bf16-mixed")),
    ]
    assert len({run.digest, *(other.digest for other in others)}) == 7


def write_at(path, content, *, second):
    """Write a file with a date of its own: two writes within one tick of the kernel's clock have the same date."""
    path.write_bytes(content)
    os.utime(path, (second, second))


def test_the_digest_follows_the_content_of_the_data(run, toy):
    """What the manifest says does not count, nor does a README; an array that is replaced or added does."""
    before, boxes = run.digest, toy / "dev_boxes.npy"
    (toy / "README.md").write_text("read me")
    (toy / "manifest.json").unlink()
    assert replace(run).digest == before
    first = boxes.read_bytes()
    write_at(boxes, first[:-1] + bytes([first[-1] ^ 1]), second=1)
    other = replace(run).digest
    assert other != before
    boxes.unlink()
    assert replace(run).digest not in (before, other)
    write_at(boxes, first, second=2)
    assert replace(run).digest == before


def test_a_large_array_is_read_to_its_end(toy):
    large = np.zeros((200, 5, 600), dtype=np.float32)  # 2.4 MB
    np.save(toy / "train_ims.npy", large)
    before = fingerprint(toy)
    large[-1, -1, -1] = 1
    np.save(toy / "train_ims.npy", large)
    assert fingerprint(toy) != before


def test_two_classes_of_one_name_never_share_a_folder(run):
    @dataclass(frozen=True, kw_only=True)
    class VSRpp(original):
        pass

    assert replace(run, system=VSRpp()).digest != run.digest
    first = replace(run, system=VSRpp()).digest
    VSRpp.version = 2
    assert replace(run, system=VSRpp()).digest != first


def test_an_edited_build_of_a_notebooks_class_is_another_system(run):
    def defined(body):
        names = {"System": original, "dataclass": dataclass, "__name__": "__main__"}
        exec(f"@dataclass(frozen=True)\nclass Mine(System):\n    def build(self, *args):\n        {body}\n", names)
        return replace(run, system=names["Mine"]()).digest

    assert defined("return super().build(*args)") == defined("return super().build(*args)  # a comment")
    assert defined("return super().build(*args)") != defined("matcher = super().build(*args); return matcher")
    # Python writes `x in {"a", "b"}` as a frozenset, whose order differs from process to process
    assert identity._constant(frozenset({"b", "a"})) == b"frozenset 'a' 'b'"


def test_the_version_of_results_is_part_of_the_digest(run, monkeypatch):
    before = run.digest
    monkeypatch.setattr(module, "RESULTS_VERSION", module.RESULTS_VERSION + 1)
    assert replace(run).digest != before


def test_the_paper_preset_is_what_each_paper_published():
    sizes = {system: Run(system=system, preset="paper").settings.sizes.embed for system in (VSRpp(), SCAN(), SAEM())}
    assert sizes == {VSRpp(): 2048, SCAN(): 1024, SAEM(): 256}
    recipes = {system: Run(system=system, preset="paper").settings.training for system in (VSRpp(), SCAN(), SAEM())}
    assert recipes[VSRpp()] == Training(epochs=30, batch_size=128, learning_rate=2e-4, decay_every=10)
    assert recipes[SCAN()] == Training(epochs=30, batch_size=128, learning_rate=2e-4, decay_every=15)
    assert recipes[SAEM()] == Training(epochs=30, batch_size=64, learning_rate=1e-4, decay_every=10)


def test_another_system_or_preset_brings_its_own_sizes_and_rate():
    run = Run(system=VSRpp())
    (saem,) = expand(run, {"system": [SAEM()]})
    assert saem.settings == replace(run, system=SAEM()).settings == Run(system=SAEM()).settings != run.settings
    for axes in ({"system": [SAEM()], "training.epochs": [30]}, {"training.epochs": [30], "system": [SAEM()]}):
        (long,) = expand(run, axes)  # in either order
        assert long.settings.training == replace(saem.settings.training, epochs=30)
    paper = replace(run, preset="paper")
    assert paper.settings == Run(system=VSRpp(), preset="paper").settings
    assert replace(paper, system=SCAN()).settings.sizes.embed == 1024
    given = Run(system=VSRpp(), sizes=SMALL)  # what was given stays
    assert replace(given, system=SAEM()).settings.sizes == SMALL


def test_a_training_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="epochs is 0; expected at least 1"):
        Training(epochs=0)
    for field, value, expected in (
        ("epochs", 2.9, "a whole number"),
        ("clip", -1, "a number above zero"),
        ("learning_rate", 0, "a number above zero"),
        ("learning_rate", float("nan"), "a finite number"),
        ("precision", "16-mixed", "one of 32-true, bf16-mixed"),
        ("batch_size", 1, "at least 2"),
        ("warmup_epochs", -1, "at least 0"),
        ("min_count", 0, "at least 1"),
    ):
        with pytest.raises(ValueError, match=f"{field} is .*{value}.*; expected {expected}"):
            replace(Training(epochs=1), **{field: value})
    with pytest.raises(ValueError, match="layers is -1; expected at least 0"):
        replace(SMALL, layers=-1)
    with pytest.raises(ValueError, match="seed is 'one'; expected a whole number"):
        Run(system=VSRpp(), seed="one")
    with pytest.raises(ValueError, match="seed is -1; expected at least 0"):
        Run(system=VSRpp(), seed=-1)
    assert Training(epochs=np.int64(2)) == Training(epochs=2)  # and can be written as JSON


def test_an_error_in_the_test_split_is_found_before_the_training(run, toy):
    features = np.load(toy / "test_ims.npy")
    np.save(toy / "test_ims.npy", features[:, :, :-1])
    with pytest.raises(DataError, match=r"test_ims\.npy has 11 numbers a region; expected 12, as train_ims\.npy has"):
        run.fit()
    assert not run.files.has(HISTORY)


def test_where_there_is_a_testall_that_is_the_test(run, toy):
    """COCO's release: `test` holds the first 1,000 images of `testall`."""
    for kind in ("ims.npy", "caps.txt", "ids.txt", "masks.npy", "boxes.npy"):
        (toy / f"test_{kind}").rename(toy / f"testall_{kind}")
        shutil.copy(toy / f"dev_{kind}", toy / f"test_{kind}")
    assert len(run.dataset("test")) == 20
    assert len(run.dataset("dev")) == 12


def test_without_the_program_git_the_commit_is_unknown(monkeypatch):
    """As in a container that has a copy of the checkout, and no git."""
    monkeypatch.setenv("PATH", "")
    assert provenance()["commit"] is None


def test_whenever_forgetting_is_interrupted_the_run_can_be_used_or_trained_again(toy, monkeypatch):
    """Every deletion, and every entry in checksums.json, is a moment at which a user may stop the process.

    The partner has ranked the average of both, and these ranks go, too.
    """
    run = Run(system=VSEpp(), data=str(toy), sizes=SMALL, training=Training(epochs=1, batch_size=20))
    partner = replace(run, seed=1)
    result, other = run.fit(accelerator="cpu"), partner.fit(accelerator="cpu")
    expected, together = result.recalls, other.rank([result])["images"]
    assert result.scores() is not None
    folders = [run.folder, partner.folder]
    whole = [shutil.copytree(folder, folder.with_name(f"whole {folder.name}")) for folder in folders]
    unlink, replaced = Path.unlink, Path.replace
    for moment in range(100):
        left = moment

        def wait(path):
            nonlocal left
            left -= path.parent in folders and not path.name.startswith(".")
            if left < 0:
                raise KeyboardInterrupt

        def stopped_unlink(path, missing_ok=False):
            wait(path)
            unlink(path, missing_ok=missing_ok)

        def stopped_replace(path, target):
            wait(target)
            replaced(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", stopped_unlink)
            patched.setattr(Path, "replace", stopped_replace)
            try:
                run_folder.forget(run.files)
                break
            except KeyboardInterrupt:
                pass
        assert run.done or not (run.folder / LAST).exists()  # no training goes on where another one had ended
        again = run.fit(accelerator="cpu")
        assert again.recalls == expected
        assert np.array_equal(other.rank([again])["images"], together)
        for folder, copy in zip(folders, whole, strict=True):
            shutil.rmtree(folder)
            shutil.copytree(copy, folder)
    assert moment >= 3 * 8  # the files of a run and the ranks of both, each deleted between two entries
    assert {path.name for path in run.folder.iterdir()} <= {".lock", ".checksums.lock"}


def test_the_bar_of_a_fresh_grid_counts_only_what_is_new(toy):
    run = Run(system=VSEpp(), data=str(toy), sizes=SMALL, training=Training(epochs=2, batch_size=20))
    run.fit(accelerator="cpu")
    written = (run.folder / RESULT).stat().st_mtime
    assert [grid._epochs_done(run, since) for since in (0.0, written, written + 1)] == [2, 2, 0]


def test_the_bar_outlives_a_file_that_another_machine_replaces_on_a_shared_disk(toy, monkeypatch):
    def stale(path, since):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(grid, "_written", stale)
    assert grid._epochs_done(Run(system=VSEpp(), data=str(toy), sizes=SMALL), since=0.0) == 0


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset is 'large'; expected one of smoke, lite, long, real, paper"):
        Run(system=VSRpp(), preset="large")


def test_a_choice_from_an_array_of_numpy_is_the_declared_one():
    chosen = VSRpp(direction=np.array(["t2i", "i2t"])[0], norm=np.str_("scaled"))
    assert repr(chosen) == repr(VSRpp(norm="scaled"))
    assert cast("bidirectional", np.array([False])[0], bool) is False
    assert eval(repr(Run(system=chosen, data=np.str_("toy"))), vars(module) | {"VSRpp": VSRpp}).data == "toy"


def test_other_presets_keep_the_published_proportions_of_learning_rates():
    common = PRESETS["lite"].training
    assert Run(system=VSRpp()).settings.training == Run(system=SCAN()).settings.training == common
    assert Run(system=SAEM()).settings.training == replace(common, learning_rate=common.learning_rate / 2)


def test_a_data_set_is_found_by_path_or_by_name_or_asked_for(toy):
    assert Run(system=VSRpp(), data=str(toy)).digest == Run(system=VSRpp(), data="toy").digest
    with pytest.raises(FileNotFoundError, match=r"no data set 'f31k': neither f31k nor .*data/f31k is a folder"):
        _ = Run(system=VSRpp(), data="f31k").folder


def test_a_run_leaves_what_it_says_and_is_never_trained_twice(run, monkeypatch):
    result = run.fit()
    assert {path.name for path in run.folder.iterdir()} >= {
        "config.json",
        "history.jsonl",
        "best.pt",
        "last.pt",
        "result.json",
    }
    assert set(result.recalls) == set(METRICS)
    assert result.contributions().mean(0) == pytest.approx([result.recalls[metric] for metric in METRICS])
    assert list(result.history.index) == [1, 2, 3]
    assert eval(json.loads((run.folder / "config.json").read_text())["run"], vars(module) | {"VSRpp": VSRpp}) == run
    monkeypatch.setattr(machine, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert run.fit().recalls == result.recalls


def test_a_model_that_still_learns_has_no_results(run, monkeypatch):
    """If it had results, the package would keep what it found half-way, and use it as the final result."""
    one_epoch = replace(run, training=replace(SHORT, epochs=1)).fit()
    with monkeypatch.context() as patch:
        patch.setattr(machine, "log", Interrupts())
        with pytest.raises(KeyboardInterrupt):
            run.fit()
    half_way = Result(run)
    assert len(Result(run).history) == 1
    for ask in (half_way.contributions, half_way.scores, lambda: one_epoch.contributions([half_way])):
        with pytest.raises(FileNotFoundError, match="not trained to its end"):
            ask()
    assert not list(run.folder.glob("*.np[yz]"))


class Interrupts:
    """A log whose reader stops the training at the second line that it reads."""

    def __init__(self):
        self.lines = 0

    def info(self, *_):
        self.lines += 1
        if self.lines == 2:
            raise KeyboardInterrupt

    warning = info


def test_the_kept_matcher_scores_as_the_result_says(run):
    from vsrpp_lite.training.metrics import ranks, recalls
    from vsrpp_lite.training.ranking import evaluate

    result = run.fit()
    assert evaluate(result.matcher(), run.dataset("test")) == result.recalls
    where = run.dataset("test").caption_to_image
    assert recalls(*ranks(result.scores(), where), where) == result.recalls
    assert (run.folder / "scores-own.npz").exists()
    chosen = [result.scores(choose=lambda _, factor=factor: lambda a, b: factor * cosine(a, b)) for factor in (1, 2)]
    np.testing.assert_array_equal(chosen[1], 2 * chosen[0])  # the second is not the first, which nothing keeps


def test_a_run_that_another_process_trains_is_left_for_last(run):
    """Two terminals on one grid: here the first run is locked for a while, and the second is done first."""
    from filelock import FileLock

    grid = expand(run, {"seed": range(2)})
    grid[0].folder.mkdir(parents=True)
    lock = FileLock(grid[0].folder / ".lock")
    lock.acquire()
    results = train(grid, jobs=2)
    assert next(results).run == grid[1]
    assert not grid[0].done
    lock.release()
    assert next(results).run == grid[0]


def test_a_run_that_is_finished_elsewhere_meanwhile_comes_once(run):
    grid = expand(run, {"seed": range(3)})
    grid[0].fit()
    results = train(grid, jobs=1)
    seeds = [next(results).run.seed]
    grid[1].fit()  # in another terminal
    assert sorted([*seeds, *(result.run.seed for result in results)]) == [0, 1, 2]


def test_training_leaves_the_callers_generator_alone(run):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run.fit()
    assert torch.equal(torch.rand(1), expected)


def test_a_run_killed_outright_resumes_to_the_same_numbers(run, tmp_path, monkeypatch):
    """A real process, a real SIGKILL, as soon as the first epoch is on disk."""
    long = replace(run, training=replace(SHORT, epochs=30))
    program = f"import torch; torch.set_num_threads(1); from vsrpp_lite import *; {long!r}.fit()"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program], stderr=subprocess.DEVNULL)
    while grid._epochs_done(long, since=0.0) < 2 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not long.done
    assert len(Result(long).history) >= 2
    interrupted = next(train([long], jobs=1))
    history, recalls = interrupted.history, interrupted.recalls
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path / "elsewhere"))
    undisturbed = next(train([long], jobs=1))
    assert undisturbed.run.folder.is_relative_to(tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(undisturbed.history, history)
    assert undisturbed.recalls == recalls


def test_axes_multiply_and_reach_into_the_system(run):
    found = expand(run, {"system.mu": [0.5, 1.0], "training.batch_size": [10, 20], "seed": range(3)})
    assert len(set(found)) == 12
    assert found[0] == replace(run, system=VSRpp(mu=0.5), training=replace(SHORT, batch_size=10), seed=0)
    for axis in ("system.nu", "sed", "optimizer.lr"):
        with pytest.raises(ValueError, match=f"'{axis}' is no field of a run, its system, sizes or training"):
            expand(run, {axis: [1.0]})
    with pytest.raises(ValueError, match="the values of 'data' are 'scenes'; expected a list"):
        expand(run, {"data": "scenes"})


def test_a_grid_trains_what_is_missing_and_yields_all(run, capsys):
    grid = expand(run, {"seed": range(3)})
    done = grid[1].fit().recalls
    before = (grid[1].folder / "result.json").stat().st_mtime_ns
    results = list(train(grid, jobs=2))
    assert {result.run.seed for result in results} == {0, 1, 2}
    assert all(isinstance(result, Result) for result in results)
    assert next(r for r in results if r.run.seed == 1).recalls == done
    assert (grid[1].folder / "result.json").stat().st_mtime_ns == before
    assert "2 of 2 runs" in capsys.readouterr().err


def test_a_grid_ranks_a_trained_run_in_the_folds_that_are_asked_for(run):
    run.fit()
    (result,) = train([run], folds={run: 4})
    assert result.ranked(folds=4) and not result.ranked()


def test_a_partner_on_other_data_is_refused(run, toy, tmp_path):
    other = shutil.copytree(toy, tmp_path / "other")
    partner = replace(run, data=str(other), seed=1).fit()
    with pytest.raises(ValueError, match=r"a partner is trained on .*other; expected .*toy"):
        run.fit().rank([partner])


def test_a_grid_goes_on_when_a_run_fails_and_names_it_at_the_end(run):
    grid = expand(run, {"training.batch_size": [20, 1000, 10]})  # the split has 180 captions
    results = train(grid, jobs=1)
    assert {next(results).run, next(results).run} == {grid[0], grid[2]}
    with pytest.raises(GridError, match="1 run failed, all others are done") as failed:
        next(results)
    assert list(failed.value.failures) == [grid[1]]
    assert "180 captions, batch size 1000" in str(failed.value)
    assert "dataset.py, line " in str(failed.value)  # where it happened


def test_the_place_of_an_error_is_outside_of_libraries():
    with pytest.raises(FileNotFoundError) as missing:
        Path("nowhere").read_text()
    assert re.fullmatch(r".*test_runs\.py, line \d+", grid._place(missing.value))


def test_what_cannot_be_trained_again_is_not_deleted_first(run, toy):
    """Otherwise, each of the two calls would fail only after it had deleted the result of hours of training."""
    folder = run.fit().run.folder
    kept = {path.name: path.read_bytes() for path in folder.glob("*")}
    with pytest.raises(ValueError, match=r"accelerator is 'cuda' and devices is 1: .*CUDA"):
        run.fit(fresh=True, accelerator="cuda")
    (toy / "test_caps.txt").write_text("one caption for twenty images\n")
    with pytest.raises(DataError, match=r"test_caps\.txt"):
        run.fit(fresh=True)
    assert {path.name: path.read_bytes() for path in folder.glob("*")} == kept


def test_the_errors_of_a_grid_may_come_from_another_process(run):
    failed = pickle.loads(pickle.dumps(GridError({run: "it failed"})))
    assert failed.failures == {run: "it failed"} and "seed 0: it failed" in str(failed)


def test_the_traceback_of_a_failed_run_is_logged_as_debug(run, caplog):
    """It comes from the worker, whose own log nobody reads."""
    caplog.set_level("DEBUG", logger="vsrpp_lite")
    grid = [replace(run, training=replace(SHORT, batch_size=size)) for size in (1000, 1001)]
    with pytest.raises(GridError):
        list(train(grid, jobs=2))
    assert caplog.text.count("Traceback (most recent call last)") == 2


def test_fit_shows_a_bar_when_asked_and_can_be_silenced(run, capsys):
    run.fit(bar=False)
    assert capsys.readouterr().err == ""
    replace(run, seed=1).fit()  # by default on a terminal alone
    assert capsys.readouterr().err == ""
    replace(run, seed=2).fit(bar=True)
    shown = capsys.readouterr().err
    assert "3/3" in shown and "rsum=" in shown and "caption" in shown and "<" in shown  # the time left


def test_the_result_says_what_made_it(run, monkeypatch):
    monkeypatch.setattr(module, "time", SimpleNamespace(time=iter([100.0, 107.5]).__next__))
    record = run.fit().record
    assert record["versions"].keys() >= {"vsrpp_lite", "torch", "numpy", "python"}
    assert record["seconds"] == 7.5
    assert "commit" in record


@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_another_grid_has_trained_afresh_is_not_trained_afresh_again(run, monkeypatch, elsewhere):
    """The first call finds the lock held. The second waits. Only what the other process trained meanwhile is kept."""
    run.fit()
    asked = []

    def fit(run, *, wait=True, fresh=False, **_):
        asked.append((wait, fresh))
        if not wait:
            raise Timeout("the lock")
        if elsewhere:
            now = time.time()  # `touch` would set the kernel's clock, which is some milliseconds behind
            os.utime(run.folder / RESULT, (now, now))
        return Result(run)

    monkeypatch.setattr(Run, "fit", fit)
    assert [result.run for result in train([run], jobs=1, fresh=True)] == [run]
    assert asked == [(False, True), (True, False), (True, not elsewhere)]


def test_a_run_that_is_named_twice_comes_once(run):
    short = replace(run, system=VSEpp(), training=replace(SHORT, epochs=1))
    assert [result.run for result in train([short, replace(short)], jobs=1)] == [short]


def test_a_notebooks_class_comes_out_of_a_grid_as_it_was(run):
    """Workers get it by value; sent back, its fields would have lost `MISSING`, and subclasses their defaults."""
    names = {"VSEpp": VSEpp, "dataclass": dataclass, "__name__": "__main__"}
    head = "@dataclass(frozen=True, kw_only=True)\nclass"
    exec(f"{head} Mine(VSEpp):\n    own: float = 1.0\n", names)
    results = list(train(expand(replace(run, system=names["Mine"]()), {"seed": range(2)}), jobs=2))
    assert {type(result.run.system) for result in results} == {names["Mine"]}
    exec(f"{head} Child(Mine):\n    pass\n", names)
    assert names["Child"]().own == 1.0


def test_a_tokenizer_of_another_kind_is_found_again_by_its_system(run, tmp_path):
    class Shouted(Vocabulary):
        def encode(self, caption):
            return super().encode(caption.removesuffix("!"))

    @dataclass(frozen=True, kw_only=True)
    class Mine(VSEpp):
        def tokenizer(self, captions, min_count):
            return Shouted.build(captions, min_count)

        def saved_tokenizer(self, folder):
            return Shouted(super().saved_tokenizer(folder).words)

    result = replace(run, system=Mine()).fit()
    for matcher in (result.matcher(), load(result.export(tmp_path / "exported"), Mine)):
        assert type(matcher.tokenizer) is Shouted


def test_data_that_were_made_anew_are_trained_on_although_the_run_has_seen_the_old_ones(run, toy):
    old = run.fit().run.folder
    shutil.rmtree(toy)
    splits = {"train": toy_split(60, 4), "dev": toy_split(12, 5, 100), "test": toy_split(20, 6, 200)}
    write_dataset(toy, name="toy", source="tests", splits=splits)
    assert run.fit().run.folder != old
    assert replace(run).folder == run.folder  # what a run says that has never seen the old ones


def test_a_grid_trains_on_data_that_were_made_anew_and_an_old_result_is_not_ranked_on_them(run, toy):
    """The digest of a run that has seen the old data would give their result, and rank the new test split under it."""
    old, seen = replace(run).fit(), replace(run)
    assert seen.folder == old.run.folder
    captions = (toy / "test_caps.txt").read_text().splitlines()
    (toy / "test_caps.txt").write_text("\n".join(captions[::-1]) + "\n")
    with pytest.raises(DataError, match=r"are not those that .* was trained on"):
        old.rank()
    with pytest.raises(DataError, match=r"are not those that .* was trained on"):
        old.scores()
    (found,) = train([seen], jobs=1)
    assert found.run.folder != old.run.folder and found.run.folder == replace(run).folder


def test_a_finished_run_is_read_where_nothing_can_be_written(run, monkeypatch):
    """As on another user's disk: nothing is locked, and what is not there yet is computed and not kept."""
    done = run.fit()

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    for call in ("mkdir", "touch", "write_text"):
        monkeypatch.setattr(f"pathlib.Path.{call}", refused)
    monkeypatch.setattr("vsrpp_lite.training.runs.FileLock", refused)
    again = replace(run).fit()
    assert again.recalls["rsum"] > 0
    assert again.scores().shape == (20, 60)
    assert len(again.history) == 3
    assert not list(done.run.folder.glob("*.npz"))
