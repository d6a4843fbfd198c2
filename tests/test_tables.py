"""The published tables as tested data, and ours beside them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from vsrpp_lite import show, tables
from vsrpp_lite.evaluate import METRICS, ranks, recalls
from vsrpp_lite.paper import CLAIMS, NOTES, PRINTED_MR, PUBLISHED, ordering, published
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp

# rsum and mR, recomputed by hand from the slides' six recalls
BY_HAND = {
    (1, "Global"): (482.6, 80.43),
    (1, "Local"): (465.0, 77.50),
    (1, "Fusion-loss"): (483.2, 80.53),
    (1, "Fusion-similarity"): (489.1, 81.52),
    (1, "VSR++ (GRU)"): (486.7, 81.12),
    (1, "VSR++ (full)"): (490.5, 81.75),
    (2, "mu = 0.5"): (473.9, 78.98),
    (2, "mu = 1.0"): (484.5, 80.75),
    (2, "mu = 1.5"): (489.1, 81.52),
    (2, "mu = 2.5"): (487.7, 81.28),
    (2, "mu = 3.0"): (486.4, 81.07),
    (3, "VSRN"): (516.8, 86.13),
    (3, "VSR++"): (519.7, 86.62),
    (4, "SCAN"): (465.0, 77.50),
}


def test_published_sums_and_means():
    for (table, row), (rsum, mean) in BY_HAND.items():
        assert published(table, row)["rsum"] == pytest.approx(rsum)
        assert published(table, row)["mR"] == pytest.approx(mean, abs=0.01)


def test_printed_means_are_within_a_tenth_of_ours_though_rounded_both_ways():
    for table, rows in PRINTED_MR.items():
        for row, printed in rows.items():
            assert printed == pytest.approx(published(table, row)["mR"], abs=0.1)
    assert PRINTED_MR[4]["SAEM"] < published(4, "SAEM")["mR"]
    assert PRINTED_MR[4]["VSR++"] > published(4, "VSR++")["mR"]


def test_published_recalls_grow_with_the_cut():
    for table in PUBLISHED.values():
        for row in table.values():
            assert list(row[:3]) == sorted(row[:3])
            assert list(row[3:]) == sorted(row[3:])


def test_rows_that_are_one_model_have_one_set_of_numbers():
    """The same figures stand in several tables: Global is VSRN, Local is SCAN, and the full model is in three."""
    assert PUBLISHED[1]["Global"] == PUBLISHED[4]["VSRN"]
    assert PUBLISHED[1]["Local"] == PUBLISHED[4]["SCAN"]
    assert PUBLISHED[1]["VSR++ (full)"] == PUBLISHED[2]["mu = 2.0"] == PUBLISHED[4]["VSR++"]
    settings = {"data": "scenes", "preset": "smoke", "seed": 0}
    ours = {table: tables.runs(table, **settings) for table in (1, 2, 4)}
    assert ours[1]["Global"] == ours[4]["VSRN"]  # and so they are trained once
    assert ours[1]["Local"] == ours[4]["SCAN"]
    assert ours[1]["VSR++ (full)"] == ours[2]["mu = 2.0"] == ours[4]["VSR++"]


def test_every_published_row_is_trained_and_every_claim_is_what_the_published_numbers_show():
    for table, rows in PUBLISHED.items():
        assert list(tables.ROWS[table]) == list(rows)
        assert set(NOTES[table]) <= set(rows)
    for claim in CLAIMS:
        better, worse = (
            [published(claim.table, row)[metric] for metric in METRICS] for row in (claim.better, claim.worse)
        )
        assert tables.WEIGHTS[claim.metric] @ (np.array(better) - np.array(worse)) > 0


def test_the_published_order_as_claims():
    pairs = [(claim.better, claim.worse) for claim in ordering(3)]
    assert pairs[:6] == [
        ("VSR++", "VSRN"),
        ("VSRN", "GVSE-style"),
        ("GVSE-style", "SCAN"),
        ("SCAN", "SAEM"),
        ("SAEM", "SCO-style"),
        ("SCO-style", "VSE++"),
    ]
    assert pairs[6:] == [("VSR++", row) for row in ("GVSE-style", "SCAN", "SAEM", "SCO-style", "VSE++")]


def test_rows_differ_in_what_they_train():
    assert tables.ROWS[1]["VSR++ (full)"] == VSRpp(mu=2.0, bidirectional=True, caption_loss=True, fusion="similarity")
    for table, rows in tables.ROWS.items():
        assert len(set(rows.values())) == len(rows) == {1: 6, 2: 6, 3: 7, 4: 7}[table]


def test_table_3_is_about_a_second_data_set_searched_in_five_folds():
    assert [tables.data_of(3, data) for data in ("scenes", "f30k", "mine")] == ["scenes-coco", "coco", "mine-coco"]
    assert {run.folds for run in tables.runs(3, data="scenes", preset="smoke", seed=0).values()} == {5}
    assert {run.data for run in tables.runs(4, data="scenes", preset="smoke", seed=0).values()} == {"scenes"}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 5.0, "reproduced"), (-5.0, -0.1, "not reproduced"), (-1.0, 4.0, "inconclusive"), (0.0, 1.0, "inconclusive")],
)
def test_the_interval_alone_decides(low, high, expected):
    assert tables.verdict(low, high) == expected


@pytest.fixture
def pretend(monkeypatch):
    """Trained rows replaced by known contributions: 100 images, every metric differing by row, alike in each image."""
    lead = {VSRN(): 0.0, VSRpp(caption_loss=False): 10.0, VSRpp(): 9.0}

    def samples(runs):
        runs = list(runs)
        base = np.random.default_rng(0).random((len(runs), 100, 8)) * 40
        return base + lead.get(runs[0].system, 5.0)

    monkeypatch.setattr(tables, "samples", samples)


def test_columns_are_the_ones_that_were_promised(pretend):
    found = tables.reproduce(1, data="scenes", preset="smoke", seeds=range(2))
    expected = ["row", "data", "preset", "seeds"]
    expected += [f"{metric}{end}" for metric in METRICS for end in ("", "_lo", "_hi", "_paper")]
    assert list(found.columns) == expected
    assert list(found["row"]) == list(PUBLISHED[1])
    assert (found["i2t_r1_lo"] < found["i2t_r1"]).all()
    assert (found["i2t_r1"] < found["i2t_r1_hi"]).all()
    assert found["rsum_paper"].tolist() == [BY_HAND[1, row][0] for row in found["row"]]


def test_claims_are_judged_by_the_paired_difference(pretend):
    found = tables.judge(1, data="scenes", preset="smoke", seeds=range(2)).set_index(["better", "worse"])
    beats = found.loc[("Fusion-similarity", "Global")]
    assert beats["difference"] == pytest.approx(60.0)  # ten in each of six recalls
    assert beats["lo"] == pytest.approx(60.0)  # every image differs by the same: nothing left to chance
    assert beats["verdict"] == "reproduced"
    assert found.loc[("VSR++ (full)", "Fusion-similarity"), "verdict"] == "not reproduced"


def test_files_are_written_and_other_tables_claims_are_kept(pretend, home):
    (home / "results").mkdir()
    other = pd.DataFrame(
        [{"claim": "c", "table": 9, "better": "a", "worse": "b", "metric": "rsum", "verdict": "reproduced"}]
    )
    other.to_csv(home / "results" / "claims.csv", index=False)
    markdown = tables.write(1, data="scenes", preset="smoke", seeds=range(2))
    assert (home / "results" / "tables" / "table1.md").read_text() == markdown
    assert "| VSR++ (full)" in markdown
    assert "average of two VSRN models" in markdown
    claims = pd.read_csv(home / "results" / "claims.csv")
    assert set(claims.columns) == {"claim", "table", "better", "worse", "metric", "difference", "lo", "hi", "verdict"}
    assert sorted(claims["table"]) == [1, 1, 1, 1, 1, 9]
    tables.write(1, data="scenes", preset="smoke", seeds=range(2))
    assert len(pd.read_csv(home / "results" / "claims.csv")) == 6


def test_claims_of_two_presets_do_not_stand_in_one_file(pretend, home):
    for number, preset in ((1, "lite"), (2, "lite"), (1, "smoke")):
        tables.write(number, data="scenes", preset=preset, seeds=range(2))
    assert set(pd.read_csv(home / "results" / "claims.csv")["table"]) == {1}  # Table 2's are of lite
    tables.write(2, data="scenes", preset="smoke", seeds=range(2))
    assert set(pd.read_csv(home / "results" / "claims.csv")["table"]) == {1, 2}


def test_rows_that_the_paper_does_not_have_stand_without_its_figures(pretend):
    found = tables.reproduce(1, {"mine": VSEpp()}, data="scenes", preset="smoke", seeds=range(2))
    cell = tables.beside(found)["rsum"][0]
    assert "±" in cell and "(" not in cell
    figure = show.table(found, ["mR"])  # one metric is a figure too
    assert [ax.get_title() for ax in figure.axes if ax.axison] == ["mR"]
    plt.close(figure)


def test_other_data_have_results_of_their_own(home):
    assert tables.results_folder("scenes") == home / "results"
    assert tables.results_folder("some/where/multi30k") == home / "results" / "multi30k"


def test_averages_and_wider_searches_are_those_of_the_scores(toy):
    """Two seeds averaged and ranked in folds, as `tables.searches` asks, against the whole matrices."""
    runs = [Run(system=VSEpp(), data=str(toy), preset="smoke", seed=seed, folds=2) for seed in (0, 1)]
    first, second = (run.fit() for run in runs)
    test, where = runs[0].dataset("test"), runs[0].dataset("test").caption_to_image
    matrices = [result.scores() for result in (first, second)]
    whole = first.contributions(folds=1).mean(0)
    assert whole == pytest.approx(list(recalls(*ranks(matrices[0], where), where).values()))
    average = (matrices[0] + matrices[1]) / 2
    half = len(test) // 2
    low = where < half
    parts = [(average[:half, low], where[low]), (average[half:, ~low], where[~low] - half)]
    expected = np.mean([list(recalls(*ranks(scores, own), own).values()) for scores, own in parts], axis=0)
    assert first.contributions([second]).mean(0) == pytest.approx(expected)
    assert first.recalls["rsum"] == pytest.approx(first.contributions().mean(0)[METRICS.index("rsum")])
