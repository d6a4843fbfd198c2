"""Every system is tuned alike: the same settings, the same budget, the same rule, and dev alone."""

from dataclasses import replace
from itertools import product

import pandas as pd
import pytest
from typer.testing import CliRunner

from vsrpp_lite.__main__ import app
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper import study as module
from vsrpp_lite.paper import tuned as recipes
from vsrpp_lite.paper.ablation import FACTORIAL
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.study import ROWS, STUDIES, Study, authors, finalists, line, means, tune, winners
from vsrpp_lite.paper.tuned import TUNED, Recipe, recipe, tuned
from vsrpp_lite.settings import PRESETS, Training
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.scan import SCAN, VARIANTS
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import runs as running
from vsrpp_lite.training.grid import GridError
from vsrpp_lite.training.runs import Result, Run

SMALL = Study(
    preset="smoke",
    data="toy",
    draws=3,
    finalists=2,
    seeds=2,
    rates=(1e-3, 1e-2),
    training={"warmup_epochs": (0, 1), "decay_every": (1, 2)},
    choices={"margin": (0.1, 0.2, 0.3), "temperature": (0.5, 2.0)},
)
PAIR = {"VSE++": VSEpp(), "SCAN": SCAN()}
SCAN_LINES = [
    ("SCAN", 0, 0, 30.0),
    ("SCAN", 1, 0, 50.0),
    ("SCAN", 2, 0, 40.0),
    ("SCAN", 1, 1, 20.0),
    ("SCAN", 2, 1, 40.0),
]
VSEPP_LINES = [
    ("VSE++", 0, 0, 10.0),
    ("VSE++", 1, 0, 10.0),
    ("VSE++", 2, 0, 9.0),
    ("VSE++", 0, 1, 8.0),
    ("VSE++", 1, 1, 9.0),
]
LINES = pd.DataFrame([*SCAN_LINES, *VSEPP_LINES], columns=["row", "draw", "seed", "dev_rsum"])


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_the_draws_are_fixed_and_spread_over_the_whole_space(study):
    """A Latin hypercube: of twelve draws, four have each of three margins, and each twelfth of the rates has one."""
    *drawn, own = study.settings()
    assert [*drawn, own] == study.settings()
    assert len(drawn) == study.draws
    known = study.run(VSEpp(), study.draws, seed=0)
    assert replace(known.training, **study.shorter) == replace(PRESETS[study.preset].training, **study.shorter)
    assert known.system == VSEpp()  # the preset's own setting is a candidate, too
    for name, options in study.choices.items():
        values = [draw.choices[name] for draw in drawn]
        assert {values.count(option) for option in options} <= {
            study.draws // len(options),
            study.draws // len(options) + 1,
        }
    low, high = study.rates
    rates = sorted(draw.training["learning_rate"] for draw in drawn)
    edges = [low * (high / low) ** (k / study.draws) for k in range(study.draws + 1)]
    assert all(a * 0.97 <= rate <= b * 1.03 for a, rate, b in zip(edges, rates, edges[1:]))  # rates have two digits


def test_every_system_gets_the_same_settings_and_ignores_those_that_it_does_not_have():
    for number, draw in enumerate(SMALL.settings()):
        vsepp, scan = (SMALL.run(system, number, seed=0) for system in PAIR.values())
        assert vsepp.training == scan.training == replace(PRESETS["smoke"].training, **draw.training)
        assert vsepp.system == VSEpp(margin=draw.choices["margin"])
        assert scan.system == SCAN(margin=draw.choices["margin"], temperature=9 * draw.choices["temperature"])
    assert set(ROWS) >= {"VSE++", "SCO-style", "SCAN", "GVSE-style", "SAEM", "VSRN", "VSR++", "Fusion-loss"}
    assert len(set(ROWS.values())) == len(ROWS)


def test_the_best_draws_of_each_system_get_a_second_seed():
    """SCAN: 50, 40, 30 are draws 1, 2, 0. VSE++: 10, 10, 9, and of equal draws the first comes first."""
    assert sorted(finalists(SMALL, LINES)) == [("SCAN", 1), ("SCAN", 2), ("VSE++", 0), ("VSE++", 1)]


def test_draws_that_a_system_cannot_tell_apart_are_one_run_and_keep_a_line_each(toy):
    """VSE++ has no temperature, so a study of temperatures alone trains it once."""
    study = replace(SMALL, draws=3, seeds=1, rates=(1e-3, 1e-3), training={}, choices={"temperature": (0.5, 2.0)})
    lines = pd.read_csv(tune(study, {"VSE++": VSEpp()}, jobs=1))
    assert lines["draw"].tolist() == list(range(len(study.settings())))


def test_the_winner_has_the_highest_mean_of_all_its_seeds():
    """SCAN: (50 + 20) / 2 = 35 and (40 + 40) / 2 = 40. A draw with a single seed cannot win, be it the best."""
    assert means(LINES, 2).to_numpy().tolist() == [
        ["SCAN", 1, 35.0],
        ["SCAN", 2, 40.0],
        ["VSE++", 0, 9.0],
        ["VSE++", 1, 9.5],
    ]
    settings = SMALL.settings()
    assert winners(SMALL, LINES) == {
        "SCAN": recipe("smoke", SCAN(), *settings[2]),
        "VSE++": recipe("smoke", VSEpp(), *settings[1]),
    }
    of_ones_own = LINES.replace({"row": {"SCAN": "mine"}})  # the study of a system that the package does not know
    assert winners(SMALL, of_ones_own, {"mine": VSRN()}) == {"mine": recipe("smoke", VSRN(), *settings[2])}


def test_who_tunes_his_own_system_alone_claims_more():
    """SCAN is best with draw 1: it has 50, and VSE++ has 10. VSE++ is best with draw 0: it has 10, and SCAN has 30.

    So SCAN leads with both draws. Without draw 1, SCAN is best with draw 2. It leads by 40 - 9 = 31 if both systems are
    trained with draw 2, and by 40 - 10 = 30 if each of them is trained with its own best draw.
    """
    found = authors(LINES).set_index("system")
    assert found.loc["SCAN"].tolist() == [1, 1, 40.0, 1, 40.0]
    assert found.loc["VSE++"].tolist() == [0, 2, -20.0, 2, -40.0]
    fewer = authors(LINES[LINES["draw"] != 1]).set_index("system")
    assert fewer.loc["SCAN"].tolist() == [2, 1, 31.0, 1, 30.0]


@pytest.mark.slow
def test_a_study_trains_what_it_says_writes_every_run_and_opens_no_test_split(toy, home, monkeypatch):
    opened, original = [], running.open_split
    monkeypatch.setattr(running, "open_split", lambda folder, split: opened.append(split) or original(folder, split))
    path = tune(SMALL, PAIR, jobs=1)
    assert set(opened) == {"train", "dev"}
    lines = pd.read_csv(path)
    assert path == home / "results" / "tuning" / "smoke.csv"
    assert lines.groupby("row")["seed"].value_counts().unstack().to_numpy().tolist() == [[4, 2], [4, 2]]
    first = Result(SMALL.run(SCAN(), 1, seed=0))
    (kept,) = lines.query("row == 'SCAN' and draw == 1 and seed == 0").to_dict("records")
    assert kept == pytest.approx(line(SMALL, "SCAN", 1, first))
    assert kept["dev_rsum"] == pytest.approx(first.history["dev.rsum"].max(), abs=0.01)
    before = path.read_bytes()
    tune(SMALL, {"VSE++": VSEpp()}, jobs=1)  # the other rows' lines stay
    assert sorted(path.read_bytes().splitlines()) == sorted(before.splitlines())


@pytest.mark.slow
def test_a_draw_that_fails_loses_and_the_study_goes_on(toy, monkeypatch):
    original = Run.fit

    def fit(run, **options):
        if run.system.margin == SMALL.settings()[0].choices["margin"]:
            raise FloatingPointError("gradient not finite")
        return original(run, **options)

    monkeypatch.setattr(Run, "fit", fit)
    with pytest.raises(GridError, match="gradient not finite"):
        tune(SMALL, PAIR, jobs=1)
    lines = pd.read_csv(module.home() / "results" / "tuning" / "smoke.csv")
    assert 0 not in lines["draw"].tolist()
    assert set(winners(SMALL, lines)) == {"VSE++", "SCAN"}


def test_if_every_draw_fails_the_study_says_why(toy, monkeypatch):
    monkeypatch.setattr(Run, "fit", lambda *_, **__: (_ for _ in ()).throw(FloatingPointError("gradient not finite")))
    with pytest.raises(GridError, match="gradient not finite"):
        tune(SMALL, PAIR, jobs=1)


def test_an_unknown_preset_or_row_is_refused():
    for arguments, told in (
        (["paper"], "preset is 'paper'"),
        (["lite", "--rows", "VSRN, BERT"], "rows is"),
        (["lite", "--rows", ","], "rows is"),
    ):
        found = CliRunner().invoke(app, ["tune", *arguments])
        assert found.exit_code == 2 and told in found.output


@pytest.fixture
def known(monkeypatch):
    """Recipes of three systems: a rate for each, and VSR++ and SCAN with another margin and temperature."""
    training = Training(epochs=3)
    found = {
        VSRpp(): Recipe(VSRpp(margin=0.3, temperature=18.0, norm="scaled"), replace(training, learning_rate=0.01)),
        VSRpp(fusion="loss"): Recipe(VSRpp(fusion="loss"), replace(training, learning_rate=0.02)),
        SCAN(): Recipe(SCAN(margin=0.1, temperature=18.0), replace(training, learning_rate=0.03)),
    }
    monkeypatch.setattr(recipes, "TUNED", {"lite": found})


def test_a_tuned_system_is_trained_by_its_own_recipe(known):
    run = tuned(VSRpp(), data="mine", seed=4)
    assert run == Run(
        system=VSRpp(margin=0.3, temperature=18.0, norm="scaled"),
        data="mine",
        seed=4,
        training=Training(epochs=3, learning_rate=0.01),
    )
    assert tuned(VSRpp(fusion="loss")).training.learning_rate == 0.02


def test_a_system_that_was_not_tuned_takes_the_most_similar_ones_recipe_in_proportion(known):
    """mu = 0.5 with half of the published margin, 0.1 of 0.2, gets half of the tuned margin: 0.15 of 0.3."""
    run = tuned(VSRpp(mu=0.5, margin=0.1))
    assert run.system == VSRpp(mu=0.5, margin=0.15, temperature=18.0, norm="scaled")
    assert run.training.learning_rate == 0.01
    assert tuned(VSRpp(norm="regions")).system.norm == "regions"  # what was chosen stays
    assert tuned(VSRpp(fusion="loss", mu=1.0)).training.learning_rate == 0.02
    assert tuned(VARIANTS["i2t AVG"]).system == replace(VARIANTS["i2t AVG"], margin=0.1, temperature=8.0)


@pytest.mark.parametrize("preset", recipes.WINNERS)
def test_every_system_that_can_be_made_can_be_tuned(preset):
    """The nearest recipe may have a norm that attention from regions to words refuses. Then another recipe counts."""
    for direction, bidirectional, caption_loss in product(("i2t", "t2i"), (True, False), (True, False)):
        system = VSRpp(direction=direction, bidirectional=bidirectional, caption_loss=caption_loss)
        run = tuned(system, preset=preset)
        assert replace(run.system, margin=0.2, temperature=system.temperature, norm=system.norm) == system
        assert run.training is not None  # it has a recipe


def test_without_a_recipe_the_run_is_that_of_the_preset(known):
    assert tuned(GVSE()) == Run(system=GVSE())
    assert tuned(VSRpp(), preset="paper") == Run(system=VSRpp(), preset="paper")


@pytest.mark.parametrize("preset", list(STUDIES))
def test_the_recipes_are_the_winners_of_the_recorded_study(preset):
    found = winners(STUDIES[preset], pd.read_csv(recorded_folder() / "tuning" / f"{preset}.csv"))
    rows = pd.read_csv(recorded_folder() / "tuning" / f"{preset}-rows.csv")
    found |= winners(STUDIES[preset], rows[rows["row"].isin(TABLE1.rows)])  # all of Table 2 keeps the recipe of VSR++
    assert TUNED[preset] == {ROWS[row]: won for row, won in found.items()}


def test_a_cell_of_the_ablation_has_the_recipe_of_the_most_similar_row():
    """Cells that fuse at the loss were best with another recipe than VSR++'s. All others have VSR++'s."""
    for row, system in FACTORIAL.rows.items():
        of_loss = tuned(system).training == tuned(VSRpp(fusion="loss")).training
        assert of_loss == (system.fusion == "loss"), row
    assert tuned(VSRpp(mu=0.5)).training == tuned(VSRpp()).training
