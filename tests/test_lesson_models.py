"""The models that the package carries for readers who do not want to train: the right ones, whole, and left alone."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import SMALL
from typer.testing import CliRunner

from vsrpp_lite.__main__ import app
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.files import home, recorded_folder
from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.teaching import lesson_models
from vsrpp_lite.teaching.lesson_models import CARRIED, lesson_runs, models_folder, take_lesson_models
from vsrpp_lite.training.metrics import ranks, recalls
from vsrpp_lite.training.models import identity, load_run
from vsrpp_lite.training.ranking import all_scores
from vsrpp_lite.training.run_folder import CONFIG, run_folder
from vsrpp_lite.training.runs import RESULTS_VERSION, Run

MODELS = sorted(models_folder().iterdir())
DIGEST = ("system", "sizes", "training", "seed", "data", "version")
SHORT = Training(epochs=1, batch_size=20, learning_rate=0.01, min_count=1)

every_model = pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])


def config_of(model):
    return json.loads((model / CONFIG).read_text())


@every_model
def test_the_name_of_a_carried_model_ends_in_the_digest_of_its_settings(model):
    """So a lesson whose settings, data or code have changed since does not find it, and trains."""
    content = {name: config_of(model)[name] for name in DIGEST}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
    assert model.name.split("-")[-1] == digest


def test_the_carried_models_are_those_that_the_lessons_would_train_now():
    def settings(system, sizes, training):
        return json.dumps([system, sizes, training, 0, RESULTS_VERSION], sort_keys=True)

    wanted = {settings(identity(run.system), *map(vars, run.settings)) for run in lesson_runs()}
    carried = [config_of(model) for model in MODELS]
    assert {settings(one["system"], one["sizes"], one["training"]) for one in carried} == wanted
    assert {(one["seed"], one["version"], one["data_name"], one["preset"]) for one in carried} == {
        (0, RESULTS_VERSION, "scenes", "lite")
    }


def test_lesson_6_and_the_recorded_table_have_the_same_runs():
    recorded = pd.read_csv(recorded_folder() / "scenes-lite" / "runs.csv")
    rows = ["VSE++", "SCAN", "GVSE-style", "VSRN", "VSR++"]
    first = recorded[(recorded["table"] == "table4") & (recorded["seed"] == 0)].set_index("row")["digest"]
    assert set(first[rows]) < {model.name.split("-")[-1] for model in MODELS}
    of_table = TABLE4.runs(data="scenes", preset="lite", seed=0)
    assert {repr(of_table[row]) for row in rows} < set(map(repr, lesson_runs()))


@every_model
def test_a_carried_model_is_whole_and_finds_captions_of_pictures_that_it_never_saw(model, scenes_folder):
    """By chance, a picture of I has one of its five captions at the top once in I times."""
    files = run_folder(model)
    assert sorted(files.names) == sorted(CARRIED)
    assert {path.name for path in model.iterdir()} == {*CARRIED, "checksums.json"}
    files.check(CARRIED)
    matcher, test = load_run(files), open_split(scenes_folder, "test")
    found = recalls(*ranks(all_scores(matcher, test, matcher.similarity), test.caption_to_image), test.caption_to_image)
    assert found["i2t_r1"] > 10 * 100 / len(test)


@pytest.fixture
def two_runs(toy, monkeypatch):
    """Two runs of seconds in place of the lessons', and an empty folder in place of notebooks/models."""
    runs = [Run(system=system, data=str(toy), sizes=SMALL, training=SHORT) for system in (VSEpp(), VSRpp())]
    monkeypatch.setattr(lesson_models, "lesson_runs", lambda: runs)
    monkeypatch.setattr(lesson_models, "models_folder", lambda: home() / "models")
    return runs


def test_a_model_that_was_recorded_and_taken_is_a_finished_run_with_the_same_numbers(two_runs, monkeypatch):
    kept = lesson_models.record_lesson_models()
    assert [path.name for path in kept] == [run.folder.name for run in two_runs]
    trained = [run.fit().recalls for run in two_runs]
    (home() / "runs").rename(home() / "trained-here")
    assert not any(run.done for run in two_runs)
    places = take_lesson_models()
    assert sorted(places) == sorted(run.folder for run in two_runs)
    for name in ("build", "_train"):
        monkeypatch.delattr(Run, name)  # so nothing can be trained
    assert [run.fit().recalls for run in two_runs] == trained
    assert [len(run.fit().history) for run in two_runs] == [1, 1]


def test_a_taken_model_can_be_trained_again(two_runs):
    lesson_models.record_lesson_models()
    before = two_runs[0].fit().recalls
    (home() / "runs").rename(home() / "trained-here")
    take_lesson_models()
    assert two_runs[0].fit(fresh=True).recalls == before


def test_a_run_that_is_there_already_is_left_alone(two_runs):
    lesson_models.record_lesson_models()
    files = two_runs[0].files
    files.write_text("note.txt", "mine")
    take_lesson_models()
    assert files.has("note.txt")


def test_recording_again_replaces_what_was_carried(two_runs):
    lesson_models.record_lesson_models()
    (old,) = (path for path in (home() / "models").iterdir() if path.name.startswith("vsepp"))
    two_runs[0] = replace(two_runs[0], seed=1)
    kept = lesson_models.record_lesson_models()
    assert not old.exists()
    assert sorted((home() / "models").iterdir()) == sorted(kept)


def test_the_command_says_where_the_models_are():
    found = CliRunner().invoke(app, ["lesson-models"])
    assert found.exit_code == 0
    places = [Path(line) for line in found.output.split()]
    assert sorted(places) == sorted(home() / "runs" / model.name for model in MODELS)
    best = torch.load(places[0] / "best.pt", weights_only=True)
    assert all(weights.isfinite().all() for weights in best.values())
