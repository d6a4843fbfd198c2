"""The clean ablations: which runs they are, and effects that a pencil can find."""

import numpy as np
import pytest

from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.paper import ablation, tables
from vsrpp_lite.paper.four_tables import RESCALED, TABLE1, TABLE2
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.metrics import METRICS, sweep
from vsrpp_lite.training.runs import Run


def test_the_factorial_holds_every_combination_and_the_papers_own_cells():
    assert len(set(ablation.FACTORIAL.rows.values())) == 16
    assert len({Run(system=system, preset="smoke") for system in ablation.FACTORIAL.rows.values()}) == 16
    for row in ("Fusion-loss", "Fusion-similarity", "VSR++ (GRU)", "VSR++ (full)"):
        assert TABLE1.rows[row] in ablation.FACTORIAL.rows.values()  # trained once


def test_rescaled_margins_keep_their_size_relative_to_the_similarity():
    for system in RESCALED.values():
        assert system.margin / (1 + system.mu) == pytest.approx(0.2 / 3)
    assert RESCALED["mu = 2.0"] == TABLE2.rows["mu = 2.0"]  # trained once


def test_effects_are_those_that_were_put_in(monkeypatch):
    """Every image gets, in each recall, 5 points for a Bi-GRU, and 1 for a caption loss (but -3 in the local branch).

    It gets 2 more for fused similarities with a Bi-GRU, and 20, 10, 4 or 0 for the way of fusion.
    """

    def samples(runs):
        runs = list(runs)
        system = runs[0].system
        gain = 5 * system.bidirectional + (-3 if system.fusion == "local" else 1) * system.caption_loss
        gain += 2 * (system.bidirectional and system.fusion == "similarity")
        gain += {"similarity": 20, "loss": 10, "global": 4, "local": 0}[system.fusion]
        return np.random.default_rng(0).random((len(runs), 50, 8)) + gain

    monkeypatch.setattr(tables, "samples", samples)
    effects = ablation.effects(data="scenes", preset="smoke", seeds=range(2)).set_index(["better", "worse"])
    assert set(effects["verdict_holm"]) <= {"helps", "hurts", "inconclusive"}
    found = effects["difference"]
    assert found["Bi-GRU", "GRU"] == pytest.approx(6 * (5 + 2 / 4))
    assert found["caption loss", "none"] == pytest.approx(6 * (3 * 1 - 3) / 4)
    assert found["caption loss (local)", "none"] == pytest.approx(6 * -3)
    assert found["fusion of similarities", "fusion at the loss"] == pytest.approx(6 * (10 + 2 / 2))
    assert found["fusion of similarities", "local"] == pytest.approx(6 * (20 + 0.5 - 0 + 1.5 + 2 / 2))
    assert found["fusion of similarities (Bi-GRU)", "local"] == pytest.approx(6 * (20 + 0.5 - 0 + 1.5 + 2))
    assert found["fusion of similarities (GRU)", "local"] == pytest.approx(6 * (20 + 0.5 - 0 + 1.5))
    depends = ablation.interactions(data="scenes", preset="smoke", seeds=range(2)).set_index(["part", "instead of"])
    for branch, caption in (("fusion at the loss", 0), ("global", 0), ("local", 1 - -3)):
        assert depends.loc[("Bi-GRU", branch), "difference"] == pytest.approx(6 * 2)
        assert depends.loc[("caption loss", branch), "difference"] == pytest.approx(6 * caption, abs=1e-9)
    assert set(depends["verdict_holm"]) <= {"larger", "smaller", "inconclusive"}


def test_an_interaction_is_the_difference_of_two_effects_with_its_own_interval(monkeypatch):
    """Two images, on which a Bi-GRU adds 1 and 3 points of each recall to fusion of similarities, and else nothing.

    In rsum these are 6 and 18: a mean of 12, a variance of 72, and an interval of 12 -/+ 12.706 sqrt(72 / 2), where
    12.706 is Student's quantile with one degree of freedom. There is one seed, so the images alone count.
    """

    def samples(runs):
        (system,) = [run.system for run in runs]
        gain = np.array([1.0, 3.0]) * (system.bidirectional and system.fusion == "similarity")
        return gain[None, :, None] * np.ones(8)

    monkeypatch.setattr(tables, "samples", samples)
    found = ablation.interactions(data="scenes", preset="smoke", seeds=[0]).set_index(["part", "instead of"])
    line = found.loc[("Bi-GRU", "local"), ["difference", "lo", "hi"]].tolist()
    assert line == pytest.approx([12, 12 - 12.706 * 6, 12 + 12.706 * 6], rel=1e-4)
    assert found.loc[("caption loss", "local"), "difference"] == 0


def test_mu_effects_are_paired_and_zero_at_the_base():
    base = np.random.default_rng(0).random((1, 40, 8))
    up = base.copy()
    up[:, :, :3] += [1, 2, 3]
    found = ablation.mu_effects({2.0: base, 3.0: up}).set_index(["mu", "direction"])
    assert found.loc[(3.0, "i2t"), ["difference", "lo", "hi"]].tolist() == pytest.approx([6, 6, 6])
    assert found.loc[(3.0, "t2i"), "difference"] == pytest.approx(0)
    assert found.loc[(2.0, "i2t"), ["difference", "lo", "hi"]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("system", [VSRpp(), VSRpp(direction="i2t", temperature=4.0)], ids=["t2i", "i2t"])
def test_a_model_swept_at_test_time_is_itself_at_its_own_mu(system, toy):
    result = Run(system=system, data=str(toy), preset="smoke").fit()
    found = ablation.swept(result, [0.0, 2.0])
    assert found[2.0].shape == (1, 20, len(METRICS))
    assert found[2.0].mean((0, 1)) == pytest.approx(list(result.recalls.values()))
    scores = [result.scores(lambda _, part=part: part) for part in (cosine, system.local)]
    expected = sweep(*scores, result.run.dataset("test").caption_to_image, [0.0])
    assert found[0.0].mean((0, 1)) == pytest.approx(expected.to_numpy()[0])
