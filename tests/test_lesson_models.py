"""The models that the package carries for readers who do not want to train: the right ones, whole, and left alone."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL
from filelock import FileLock
from typer.testing import CliRunner

from vsrpp_lite.__main__ import app
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.files import home, recorded_folder
from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.sealed_folder import DamagedError
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.teaching import lesson_models
from vsrpp_lite.teaching.lesson_models import CARRIED, SAMPLE, lesson_runs, models_folder
from vsrpp_lite.training import grid
from vsrpp_lite.training.identity import identity
from vsrpp_lite.training.metrics import ranks, recalls
from vsrpp_lite.training.models import load_run
from vsrpp_lite.training.ranking import all_scores
from vsrpp_lite.training.run_folder import CONFIG, run_folder
from vsrpp_lite.training.runs import RESULTS_VERSION, Run

SHORT = Training(epochs=1, batch_size=20, learning_rate=0.01, min_count=1)
every_model = pytest.mark.parametrize(("name", "run"), lesson_runs().items(), ids=list(lesson_runs()))


@every_model
def test_a_carried_model_has_the_settings_that_the_lessons_have_now(name, run):
    config = json.loads((models_folder() / name / CONFIG).read_text())
    settings = {"system": identity(run.system), "sizes": vars(run.settings.sizes), "seed": 0}
    settings |= {"training": vars(run.settings.training), "version": RESULTS_VERSION}
    settings |= {"data_name": "scenes", "preset": "lite"}
    assert {key: config[key] for key in settings} == json.loads(json.dumps(settings))


def test_the_carried_models_are_rows_of_the_recorded_table_4_and_one_more():
    recorded = pd.read_csv(recorded_folder() / "scenes-lite" / "runs.csv").query("table == 'table4' and seed == 0")
    rows = {"VSE++": "vsepp", "SCAN": "scan", "GVSE-style": "gvse", "VSRN": "vsrn", "VSR++": "vsrpp"}
    seals = {name: json.loads((models_folder() / name / "checksums.json").read_text()) for name in rows.values()}
    digests = {name: seal["owner"] for name, seal in seals.items()}
    assert {rows[row]: digest for row, digest in zip(recorded["row"], recorded["digest"]) if row in rows} == digests
    of_table = TABLE4.runs(data="scenes", preset="lite", seed=0)
    assert {name: lesson_runs()[name] for name in rows.values()} == {rows[row]: of_table[row] for row in rows}
    assert {path.name for path in models_folder().iterdir()} == {*lesson_runs(), SAMPLE}


@every_model
def test_a_carried_model_is_whole_and_finds_captions_of_pictures_that_it_never_saw(name, run, scenes_folder):
    """By chance, a picture of I has one of its five captions at the top once in I times."""
    files = run_folder(models_folder() / name)
    assert {path.name for path in files.folder.iterdir()} == {*CARRIED, "checksums.json"}
    files.check(CARRIED)
    matcher, test = load_run(files), open_split(scenes_folder, "test")
    found = recalls(*ranks(all_scores(matcher, test, matcher.similarity), test.caption_to_image), test.caption_to_image)
    assert found["i2t_r1"] > 10 * 100 / len(test)


@pytest.fixture
def two_runs(toy, monkeypatch):
    """Two runs of seconds in place of the lessons', and an empty folder in place of notebooks/."""
    runs = {
        name: Run(system=system, data=str(toy), sizes=SMALL, training=SHORT)
        for name, system in {"vsepp": VSEpp(), "vsrpp": VSRpp()}.items()
    }
    monkeypatch.setattr(lesson_models, "lesson_runs", lambda: runs)
    monkeypatch.setattr(lesson_models, "notebooks_folder", lambda: home() / "notebooks")
    (home() / "notebooks").mkdir()
    return runs


def put_away():
    """Let runs/ be as on a reader's machine: empty."""
    (home() / "runs").rename(home() / "trained")


@pytest.fixture
def carried(two_runs):
    """The two models in notebooks/models, and no runs."""
    assert [path.name for path in lesson_models.record_lesson_models()] == list(two_runs)
    put_away()
    return two_runs


def test_a_model_that_was_recorded_and_taken_is_a_finished_run_with_the_same_numbers(carried, monkeypatch):
    assert not any(run.done for run in carried.values())
    places = lesson_models.take_lesson_models()
    assert places == [run.folder for run in carried.values()]
    found = [run.fit().recalls for run in carried.values()]
    assert [len(run.fit().history) for run in carried.values()] == [1, 1]
    assert len(list(grid.train(carried.values(), fresh=True))) == 2  # on one thread, as they were recorded
    assert [run.fit().recalls for run in carried.values()] == found  # so the first were not trained


def test_regions_that_another_processor_rounds_otherwise_take_the_models_all_the_same(carried, toy):
    features = np.load(toy / "dev_ims.npy")
    digests = [run.digest for run in carried.values()]
    np.save(toy / "dev_ims.npy", features + np.float32(1e-3) * np.sign(features))
    (toy / "manifest.json").unlink()
    for name, run in carried.items():
        carried[name] = replace(run)  # digest and folder are kept once they are known
    assert [run.digest for run in carried.values()] != digests
    lesson_models.take_lesson_models()
    assert all(run.done for run in carried.values())
    assert all(run.fit().matcher() for run in carried.values())


def test_other_regions_are_refused_and_nothing_is_taken(carried, toy):
    np.save(toy / "dev_ims.npy", -np.load(toy / "dev_ims.npy"))
    (toy / "manifest.json").unlink()
    with pytest.raises(DataError, match="its regions are other ones"):
        lesson_models.take_lesson_models()
    assert not any(run.folder.exists() for run in carried.values())


def test_models_of_other_settings_are_refused(carried):
    carried["vsepp"] = replace(carried["vsepp"], seed=1)
    with pytest.raises(ValueError, match="its model was trained with seed = 0; the lessons have 1 now"):
        lesson_models.take_lesson_models()


def test_a_run_that_is_trained_is_left_alone_and_one_that_was_begun_is_replaced(carried):
    mine, begun = carried.values()
    mine.fit()
    mine.files.write_text("note.txt", "mine")
    begun.folder.mkdir(parents=True)
    (begun.folder / ".lock").touch()  # what an interrupted training leaves
    begun.files.write_text("history.jsonl", "")
    assert not begun.done
    lesson_models.take_lesson_models()
    assert mine.files.has("note.txt")
    assert begun.done and len(begun.fit().history) == 1


def test_a_run_that_is_being_trained_is_waited_for(carried):
    first = next(iter(carried.values()))
    first.folder.mkdir(parents=True)
    lock = FileLock(first.folder / ".lock")
    with lock:
        child = os.fork()
        if not child:
            try:
                lesson_models.take_lesson_models()
            finally:
                os._exit(0)  # this process must not go on with the tests
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        assert not first.done
    assert os.waitpid(child, 0) == (child, 0)
    assert first.done


def test_recording_again_replaces_what_was_carried(two_runs):
    lesson_models.record_lesson_models()
    two_runs.pop("vsepp")
    kept = lesson_models.record_lesson_models()
    assert sorted((home() / "notebooks" / "models").iterdir()) == sorted([*kept, home() / "notebooks/models" / SAMPLE])


def test_a_damaged_run_is_not_recorded_and_what_was_carried_stays(two_runs):
    lesson_models.record_lesson_models()
    before = sorted((home() / "notebooks").rglob("*"))
    best = two_runs["vsrpp"].folder / "best.pt"
    best.write_bytes(best.read_bytes()[:-1] + b"!")
    with pytest.raises(DamagedError, match=r"best.pt"):
        lesson_models.record_lesson_models()
    assert sorted((home() / "notebooks").rglob("*")) == before


@pytest.mark.slow
def test_the_command_takes_all_models_for_pictures_that_are_drawn_here():
    found = CliRunner().invoke(app, ["lesson-models"])
    assert found.exit_code == 0, found.output
    runs = lesson_runs()
    assert [Path(line) for line in found.stdout.split()] == [run.folder for run in runs.values()]
    assert all(run.done for run in runs.values())
