"""What the truth says about trained systems, as it is recorded beside Table 4."""

import pandas as pd
import pytest
import torch
from conftest import SMALL
from torch import nn

import vsrpp_lite as vl
from vsrpp_lite.data.scenes.probes import EDITS
from vsrpp_lite.paper import beyond_recall
from vsrpp_lite.paper.tables import Table

pytestmark = pytest.mark.slow


def test_recorded_measures_are_those_of_the_runs(home, monkeypatch):
    """With one answer, R@1 is that of the run. With all true answers it cannot be lower."""
    table = Table(name="table4", rows={"VSE++": vl.VSEpp(), "SCAN": vl.SCAN()})
    monkeypatch.setattr(beyond_recall, "TABLE4", table)
    runs = table.runs(data="scenes", preset="smoke", seed=1)
    for run in runs.values():
        run.fit()
    beyond_recall.record_truth(home, data="scenes", preset="smoke", seeds=[1])
    lines = pd.read_csv(home / "truth.csv")
    assert set(lines[lines["row"] != beyond_recall.WORDS_ALONE]["seed"]) == {1}
    assert set(EDITS) < set(lines["measure"])
    found = lines.pivot(index="measure", columns="row", values="value")
    for row, run in runs.items():
        recalls = run.fit().recalls
        for direction in ("i2t", "t2i"):
            assert found.loc[f"{direction} R@1, one answer", row] == pytest.approx(recalls[f"{direction}_r1"], abs=0.01)
            assert found.loc[f"{direction} R@1, all true", row] >= found.loc[f"{direction} R@1, one answer", row]
    counts = lines[lines["row"] == "SCAN"].set_index("measure")["n"]
    assert counts["i2t mAP@R"] == 100  # the tiny test split
    assert counts["t2i mAP@R"] == 500
    unseeing = lines[lines["row"] == beyond_recall.WORDS_ALONE].set_index("measure")
    assert set(EDITS) < set(unseeing.index) and "i2t mAP@R" not in unseeing.index
    assert (unseeing["n"] == counts[unseeing.index]).all()  # it answers the same pairs
    halves = [beyond_recall.ONE_HALF, beyond_recall.TWO_HALVES]
    assert counts[halves].sum() == counts["left and right"]
    right = found["SCAN"] * counts  # in per cent of one pair
    assert right[halves].sum() == pytest.approx(right["left and right"], abs=0.01 * counts["left and right"])


def test_a_matcher_without_messages_adds_one_vector_to_every_region(toy):
    """The average message becomes zero in BN, so each layer adds BN's bias. The first region is the same when alone."""
    matcher = vl.Run(system=vl.VSRpp(), data=str(toy), sizes=SMALL).build().train()
    for layer in matcher.images.reason.layers:
        nn.init.normal_(layer.norm.weight)
        nn.init.normal_(layer.norm.bias)
    regions, mask = torch.randn(5, 4, 12), torch.ones(5, 4, dtype=torch.bool)
    projected = matcher.images.project(regions)
    matcher.images.reason(projected, mask)  # BN learns the mean of the messages
    silent = beyond_recall.without_messages(matcher.eval())
    added = silent.images.reason(projected, mask) - projected
    biases = sum(layer.norm.bias for layer in matcher.images.reason.layers)
    torch.testing.assert_close(added, biases.expand_as(added))
    heard = matcher.images.reason(projected, mask) - projected
    assert heard.std(dim=(0, 1)).max() > 1e-3  # the matcher itself still sends messages
    alone = silent.images.reason(projected[:, :1], mask[:, :1])
    torch.testing.assert_close(alone, silent.images.reason(projected, mask)[:, :1])
    with pytest.raises(ValueError, match="has no graph layer"):
        beyond_recall.without_messages(vl.Run(system=vl.VSEpp(), data=str(toy), sizes=SMALL).build())
