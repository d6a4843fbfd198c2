"""What the truth says about trained systems, as it is recorded beside Table 4."""

import pandas as pd
import pytest

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
