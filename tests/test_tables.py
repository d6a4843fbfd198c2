"""The published tables as tested data, and ours beside them."""

import numpy as np
import pandas as pd
import pytest

from vsrpp_lite import tables
from vsrpp_lite.evaluate import METRICS
from vsrpp_lite.paper import CLAIMS, ENSEMBLES, PUBLISHED, published
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.vsrpp import VSRpp

# rsum and mR of Table 1, recomputed by hand from the slides' six recalls
BY_HAND = {
    "Global": (482.6, 80.43),
    "Local": (465.0, 77.50),
    "Fusion-loss": (483.2, 80.53),
    "Fusion-similarity": (489.1, 81.52),
    "VSR++ (GRU)": (486.7, 81.12),
    "VSR++ (full)": (490.5, 81.75),
}


def test_published_sums_and_means():
    for row, (rsum, mean) in BY_HAND.items():
        assert published(1, row)["rsum"] == pytest.approx(rsum)
        assert published(1, row)["mR"] == pytest.approx(mean, abs=0.01)


def test_published_recalls_grow_with_the_cut():
    for table in PUBLISHED.values():
        for recalls in table.values():
            assert list(recalls[:3]) == sorted(recalls[:3])
            assert list(recalls[3:]) == sorted(recalls[3:])


def test_every_published_row_is_trained_and_every_claim_is_about_published_rows():
    for table, rows in PUBLISHED.items():
        assert list(tables.ROWS[table]) == list(rows)
        assert set(ENSEMBLES[table]) <= set(rows)
    for claim in CLAIMS:
        # the paper claims what its own numbers show
        assert published(claim.table, claim.better)[claim.metric] > published(claim.table, claim.worse)[claim.metric]


def test_the_rows_of_table_1_differ_in_what_they_say():
    assert tables.ROWS[1]["VSR++ (full)"] == VSRpp(mu=2.0, bidirectional=True, caption_loss=True, fusion="similarity")
    assert len(set(tables.ROWS[1].values())) == 6
    assert len({Run(system=system, preset="smoke") for system in tables.ROWS[1].values()}) == 6


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 5.0, "reproduced"), (-5.0, -0.1, "not reproduced"), (-1.0, 4.0, "inconclusive"), (0.0, 1.0, "inconclusive")],
)
def test_the_interval_alone_decides(low, high, expected):
    assert tables.verdict(low, high) == expected


@pytest.fixture
def pretend(monkeypatch):
    """Trained rows replaced by known contributions: 100 images, R@1 of text retrieval differing by row."""

    def samples(_table, row, *, data, preset, seeds):
        rng = np.random.default_rng(0)
        base = rng.random((len(seeds), 100, 8)) * 40
        return base + {"Global": 0.0, "Fusion-similarity": 10.0, "VSR++ (full)": 9.0}.get(row, 5.0)

    monkeypatch.setattr(tables, "samples", samples)


def test_columns_are_the_ones_that_were_promised(pretend):
    found = tables.reproduce(1, data="scenes", preset="smoke", seeds=range(2))
    expected = ["row", "data", "preset", "seeds"]
    expected += [f"{metric}{end}" for metric in METRICS for end in ("", "_lo", "_hi", "_paper")]
    assert list(found.columns) == expected
    assert list(found["row"]) == list(PUBLISHED[1])
    assert (found["i2t_r1_lo"] < found["i2t_r1"]).all()
    assert (found["i2t_r1"] < found["i2t_r1_hi"]).all()
    assert found["rsum_paper"].tolist() == [BY_HAND[row][0] for row in found["row"]]


def test_claims_are_judged_by_the_paired_difference(pretend):
    found = tables.judge(1, data="scenes", preset="smoke", seeds=range(2)).set_index(["better", "worse"])
    beats = found.loc[("Fusion-similarity", "Global")]
    assert beats["difference"] == pytest.approx(10.0)
    assert beats["lo"] == pytest.approx(10.0)  # every image differs by the same: nothing left to chance
    assert beats["verdict"] == "reproduced"
    assert found.loc[("VSR++ (full)", "Fusion-similarity"), "verdict"] == "not reproduced"


def test_files_are_written_and_other_tables_claims_are_kept(pretend, home):
    (home / "results").mkdir()
    other = pd.DataFrame(
        [{"claim": "c", "table": 2, "better": "a", "worse": "b", "metric": "rsum", "verdict": "reproduced"}]
    )
    other.to_csv(home / "results" / "claims.csv", index=False)
    markdown = tables.write(1, data="scenes", preset="smoke", seeds=range(2))
    assert (home / "results" / "tables" / "table1.md").read_text() == markdown
    assert "| VSR++ (full)" in markdown
    assert "average of two VSRN models" in markdown
    claims = pd.read_csv(home / "results" / "claims.csv")
    assert set(claims.columns) == {"claim", "table", "better", "worse", "metric", "difference", "lo", "hi", "verdict"}
    assert sorted(claims["table"]) == [1, 1, 1, 1, 1, 2]
    tables.write(1, data="scenes", preset="smoke", seeds=range(2))
    assert len(pd.read_csv(home / "results" / "claims.csv")) == 6


def test_other_data_have_results_of_their_own(home):
    assert tables.results_folder("scenes") == home / "results"
    assert tables.results_folder("some/where/multi30k") == home / "results" / "multi30k"
