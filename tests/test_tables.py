"""The published tables as tested data, and ours beside them."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from vsrpp_lite import files, show
from vsrpp_lite.paper import tables
from vsrpp_lite.paper.four_tables import TABLE1, TABLE2, TABLE3, TABLE4, TABLES
from vsrpp_lite.paper.published import COCO, PRINTED_MR
from vsrpp_lite.paper.reproduce import reproduce_tables
from vsrpp_lite.paper.table_files import adjusted, write
from vsrpp_lite.paper.tables import Claim, Table, ordering
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.metrics import METRICS, ranks, recalls
from vsrpp_lite.training.runs import Run

# rsum and mR, recomputed by hand from the slides' six recalls
BY_HAND = {
    (TABLE1, "Global"): (482.6, 80.43),
    (TABLE1, "Local"): (465.0, 77.50),
    (TABLE1, "Fusion-loss"): (483.2, 80.53),
    (TABLE1, "Fusion-similarity"): (489.1, 81.52),
    (TABLE1, "VSR++ (GRU)"): (486.7, 81.12),
    (TABLE1, "VSR++ (full)"): (490.5, 81.75),
    (TABLE2, "mu = 0.5"): (473.9, 78.98),
    (TABLE2, "mu = 1.0"): (484.5, 80.75),
    (TABLE2, "mu = 1.5"): (489.1, 81.52),
    (TABLE2, "mu = 2.5"): (487.7, 81.28),
    (TABLE2, "mu = 3.0"): (486.4, 81.07),
    (TABLE3, "VSRN"): (516.8, 86.13),
    (TABLE3, "VSR++"): (519.7, 86.62),
    (TABLE4, "SCAN"): (465.0, 77.50),
}


def test_published_sums_and_means():
    for (table, row), (rsum, mean) in BY_HAND.items():
        assert table.published_metrics(row)["rsum"] == pytest.approx(rsum)
        assert table.published_metrics(row)["mR"] == pytest.approx(mean, abs=0.01)


def test_printed_means_are_within_a_tenth_of_ours_though_rounded_both_ways():
    for table in (TABLE3, TABLE4):
        for row, printed in PRINTED_MR[table.name].items():
            assert printed == pytest.approx(table.published_metrics(row)["mR"], abs=0.1)
    assert PRINTED_MR["table4"]["SAEM"] < TABLE4.published_metrics("SAEM")["mR"]
    assert PRINTED_MR["table4"]["VSR++"] > TABLE4.published_metrics("VSR++")["mR"]


def test_published_recalls_grow_with_the_cut():
    for table in TABLES:
        for row in table.published.values():
            assert list(row[:3]) == sorted(row[:3])
            assert list(row[3:]) == sorted(row[3:])


def test_rows_that_are_one_model_have_one_set_of_numbers():
    """The same figures stand in several tables: Global is VSRN, Local is SCAN, and the full model is in three."""
    assert TABLE1.published["Global"] == TABLE4.published["VSRN"]
    assert TABLE1.published["Local"] == TABLE4.published["SCAN"]
    assert TABLE1.published["VSR++ (full)"] == TABLE2.published["mu = 2.0"] == TABLE4.published["VSR++"]
    settings = {"data": "scenes", "preset": "smoke", "seed": 0}
    ours = {k: TABLES[k - 1].runs(**settings) for k in (1, 2, 4)}
    assert ours[1]["Global"] == ours[4]["VSRN"]  # and so they are trained once
    assert ours[1]["Local"] == ours[4]["SCAN"]
    assert ours[1]["VSR++ (full)"] == ours[2]["mu = 2.0"] == ours[4]["VSR++"]


def test_every_published_row_is_trained_and_every_claim_is_what_the_published_numbers_show():
    for table in TABLES:
        assert list(table.rows) == list(table.published)
        assert set(table.notes) <= set(table.rows)
        assert set(table.averaged) <= set(table.rows)
        for claim in table.claims:
            better, worse = (
                [table.published_metrics(row)[metric] for metric in METRICS] for row in (claim.better, claim.worse)
            )
            assert tables.COMPARED[claim.metric] @ (np.array(better) - np.array(worse)) > 0


def test_the_published_order_as_claims():
    pairs = [(claim.better, claim.worse) for claim in ordering(COCO)]
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
    assert TABLE1.rows["VSR++ (full)"] == VSRpp(mu=2.0, bidirectional=True, caption_loss=True, fusion="similarity")
    assert [len(table.rows) for table in TABLES] == [6, 6, 7, 7]
    for table in TABLES:
        assert len(set(table.rows.values())) == len(table.rows)


def test_table_3_is_about_a_second_data_set_searched_in_five_folds():
    assert [TABLE3.data(data) for data in ("scenes", "f30k", "mine")] == ["scenes-coco", "coco", "mine-coco"]
    assert [table.folds for table in TABLES] == [1, 1, 5, 1]
    assert {run.data for run in TABLE4.runs(data="scenes", preset="smoke", seed=0).values()} == {"scenes"}


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

    def samples(runs, folds):
        runs = list(runs)
        base = np.random.default_rng(0).random((len(runs), 100, 8)) * 40
        return base + lead.get(runs[0].system, 5.0)

    monkeypatch.setattr(tables, "samples", samples)


def test_columns_are_the_ones_that_were_promised(pretend):
    found = TABLE1.measure(data="scenes", preset="smoke", seeds=range(2))
    expected = ["row", "data", "preset", "seeds"]
    expected += [f"{metric}{end}" for metric in METRICS for end in ("", "_lo", "_hi", "_paper")]
    assert list(found.columns) == expected
    assert list(found["row"]) == list(TABLE1.published)
    assert (found["i2t_r1_lo"] < found["i2t_r1"]).all()
    assert (found["i2t_r1"] < found["i2t_r1_hi"]).all()
    assert found["rsum_paper"].tolist() == [BY_HAND[TABLE1, row][0] for row in found["row"]]


def test_claims_are_judged_by_the_paired_difference(pretend):
    found = TABLE1.verdicts(data="scenes", preset="smoke", seeds=range(2)).set_index(["better", "worse"])
    beats = found.loc[("Fusion-similarity", "Global")]
    assert beats["difference"] == pytest.approx(60.0)  # ten in each of six recalls
    assert beats["lo"] == pytest.approx(60.0)  # every image differs by the same: nothing left to chance
    assert beats["verdict"] == "reproduced"
    assert found.loc[("VSR++ (full)", "Fusion-similarity"), "verdict"] == "not reproduced"


def test_the_rows_of_a_table_lend_a_claim_their_variance_over_seeds():
    """Two rows agree in both seeds by chance. A third row moves by 12 points of rsum, and a fourth row does not move.

    So a row's rsum has a variance of (0 + 0 + 12^2 / 2 + 0) / 4 = 18, a mean of two seeds 9, a difference of two 18.
    """
    still = np.zeros((2, 100, 8))
    moves = still + np.array([1.0, -1.0])[:, None, None]  # six recalls, each 2 points apart
    lead = tables.compare(still + 2, still, rows=[still + 2, still, moves, still])
    assert (lead["difference"], lead["lo"], lead["verdict"]) == (12, 12, "reproduced")  # the interval is its own
    assert lead["p"] == pytest.approx(2 * t.sf(12 / 18**0.5, 4), rel=1e-6)
    assert tables.compare(still + 2, still)["p"] == 0
    of_two = tables.compare(still + 2, still, rows=[still + 2, still, moves, still], averaged=2)
    assert of_two["p"] == pytest.approx(2 * t.sf(12 / 9**0.5, 4), rel=1e-6)  # means of two rows each
    alone = tables.compare(still[:1] + 2, still[:1], rows=[moves[:1], still[:1]])
    assert alone["p"] == 0  # with one seed, nothing is known of seeds


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": {}}, "mine has no rows"),
        ({"name": "a/b"}, "the table's name is 'a/b'"),
        ({"claims": [Claim("x", "VSE", "VSRN")]}, "mine: there is no row 'VSE'; expected one of VSE\\+\\+, VSRN"),
        ({"claims": [Claim("x", "VSE++", "VSRN", "R@1")]}, "a claim is about 'R@1'; expected one of i2t_r1"),
        ({"name": "times"}, "expected letters, .* and another name than times, claims, runs, truth"),
        ({"averaged": ["SCAN"]}, "there is no row 'SCAN'"),
    ],
)
def test_a_table_that_cannot_be_made_is_refused_before_any_training(wrong, message):
    with pytest.raises(ValueError, match=message):
        Table(**{"name": "mine", "rows": {"VSE++": VSEpp(), "VSRN": VSRN()}} | wrong)


def test_rows_that_a_recipe_makes_equal_are_refused():
    """The tuned VSRN of preset lite has norm="scaled", whatever default the row had."""
    table = Table(name="norms", rows={"the paper's": VSRN(norm="features"), "larger": VSRN(norm="scaled")})
    with pytest.raises(ValueError, match="norms: the rows \"the paper's\" and 'larger' are the same run by the tuned"):
        table.runs(data="scenes", preset="lite", seed=0)
    assert len(table.runs(data="scenes", preset="smoke", seed=0)) == 2


def test_no_rows_have_no_runs():
    assert TABLE1.runs({}, data="scenes", preset="smoke", seed=0) == {}


def test_a_short_training_says_so_and_shows_the_verdict_of_a_long_one(pretend, home, monkeypatch):
    """Of the five claims of Table 1, the first is recorded for preset long, and there it is the other way round."""
    monkeypatch.setattr(files, "notebooks_folder", lambda: home)
    (home / "recorded" / "scenes-long").mkdir(parents=True)
    first = {"table": "table1", "claim": TABLE1.claims[0].claim, "verdict_holm": "not reproduced", "seeds": 3}
    pd.DataFrame([first]).to_csv(home / "recorded" / "scenes-long" / "claims.csv", index=False)
    markdown = write(TABLE1, data="scenes", preset="lite", seeds=range(2))
    assert "**This is a short training.**" in markdown
    lines = [line for line in markdown.splitlines() if line.startswith(("| fusion of", "| the "))]
    assert [line.split("|")[-2].strip() for line in lines] == ["not reproduced (3 seeds)", *["not recorded"] * 4]
    assert "verdict_long" not in write(TABLE1, data="scenes", preset="long", seeds=range(2))


def test_files_are_written_and_other_tables_claims_are_kept(pretend, home):
    (home / "results").mkdir()
    line = {"claim": "c", "table": "table9", "better": "a", "worse": "b", "metric": "rsum", "verdict": "reproduced"}
    other = pd.DataFrame([line | {"p": 0.001, "preset": "smoke"}])
    other.to_csv(home / "results" / "claims.csv", index=False)
    markdown = write(TABLE1, data="scenes", preset="smoke", seeds=range(2))
    assert (home / "results" / "tables" / "table1.md").read_text() == markdown
    assert "| VSR++ (full)" in markdown
    assert "average of two VSRN models" in markdown
    claims = pd.read_csv(home / "results" / "claims.csv")
    promised = ["claim", "table", "better", "worse", "metric", "difference", "lo", "hi", "p", "verdict"]
    assert set(claims.columns) == {*promised, "verdict_holm", "preset", "seeds"}
    assert list(claims["table"]) == ["table1"] * 5 + ["table9"]
    write(TABLE1, data="scenes", preset="smoke", seeds=range(2))
    assert len(pd.read_csv(home / "results" / "claims.csv")) == 6


def test_a_table_that_has_lost_its_claims_leaves_none_in_the_file(pretend, home):
    settings = {"data": "scenes", "preset": "smoke", "seeds": range(2)}
    rows, claims = {"VSRN": VSRN(), "VSR++": VSRpp()}, (Claim("x", "VSR++", "VSRN"),)
    for name in ("kept", "mine"):
        write(Table(name=name, rows=rows, claims=claims), **settings)
    write(Table(name="mine", rows=rows), **settings)
    assert pd.read_csv(home / "results" / "claims.csv")["table"].tolist() == ["kept"]


def test_a_metric_that_nobody_compares_is_named():
    with pytest.raises(ValueError, match=r"metric is 'R@1'; expected one of i2t_r1"):
        tables.compare(np.zeros((1, 5, 8)), np.ones((1, 5, 8)), "R@1")


def test_claims_of_two_presets_do_not_stand_in_one_file(pretend, home):
    for table, preset in ((TABLE1, "lite"), (TABLE2, "lite"), (TABLE1, "smoke")):
        write(table, data="scenes", preset=preset, seeds=range(2))
    assert set(pd.read_csv(home / "results" / "claims.csv")["table"]) == {"table1"}  # Table 2's are of lite
    write(TABLE2, data="scenes", preset="smoke", seeds=range(2))
    assert set(pd.read_csv(home / "results" / "claims.csv")["table"]) == {"table1", "table2"}


def test_verdicts_are_adjusted_for_how_many_there_are():
    """Five claims, each sure at 95 % by itself: only what is below 0.05 / 5, and then 0.05 / 4, is sure together."""
    claims = pd.DataFrame({"p": [0.009, 0.012, 0.02, 0.03, 0.5], "verdict": ["reproduced"] * 4 + ["inconclusive"]})
    assert adjusted(claims)["verdict_holm"].tolist() == ["reproduced"] * 2 + ["inconclusive"] * 3


@pytest.mark.slow
def test_a_table_of_ones_own_is_one_object(pretend, home):
    mine = Table(
        name="mine",
        rows={"one": VSRN(), "two": VSRpp()},
        claims=[Claim("two beats one", "two", "one")],
    )
    markdown = write(mine, data="scenes", preset="smoke", seeds=range(2))
    assert "two beats one" in markdown
    assert "### mine on `scenes`" in markdown
    assert pd.read_csv(home / "results" / "tables" / "mine.csv")["rsum_paper"].isna().all()
    assert pd.read_csv(home / "results" / "claims.csv")["verdict"].tolist() == ["reproduced"]
    reproduce_tables([mine], data="scenes", preset="smoke", seeds=1, jobs=1)
    assert (home / "results" / "tables" / "mine.md").exists()


@pytest.mark.parametrize("name", ["2026", "NA"])
def test_a_table_may_be_called_as_a_number_is_written_or_as_what_is_missing(pretend, home, name):
    mine = Table(name=name, rows={"one": VSRN(), "two": VSRpp()}, claims=[Claim("two beats one", "two", "one")])
    for _ in range(2):
        assert "two beats one" in write(mine, data="scenes", preset="smoke", seeds=range(2))
    assert len(pd.read_csv(home / "results" / "claims.csv")) == 1


def test_without_a_kernel_nothing_is_trained(home, monkeypatch):
    """`pip install vsrpp_lite` brings papermill, and no kernel that could run a notebook."""
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    with pytest.raises(ImportError, match=r"pip install 'vsrpp_lite\[notebooks\]'"):
        reproduce_tables([TABLE1], data="scenes", preset="smoke", seeds=1)
    assert not (home / "runs").exists()


def test_a_notebook_without_the_parameters_is_refused_before_anything_is_drawn_or_trained(home):
    mine = Table(name="mine", rows={"one": VSEpp()}, notebook="08_your_own_photographs")
    with pytest.raises(ValueError, match=r"08_your_own_photographs.ipynb: no parameter seeds; it has"):
        reproduce_tables([mine], data="scenes", preset="smoke", seeds=1)
    assert not (home / "runs").exists() and not (home / "data" / "scenes-f30k-tiny").exists()


def test_rows_that_the_paper_does_not_have_stand_without_its_figures(pretend):
    found = TABLE1.measure({"mine": VSEpp()}, data="scenes", preset="smoke", seeds=range(2))
    cell = tables.beside(found)["rsum"][0]
    assert "±" in cell and "(" not in cell
    figure = show.table(found)
    assert len(figure.axes) == 1
    plt.close(figure)


def test_other_data_have_results_of_their_own(home):
    assert tables.results_folder("scenes") == home / "results"
    folder = home / "data" / "mine"
    folder.mkdir(parents=True)
    for data in ("mine", str(folder)):
        assert tables.results_folder(data) == home / "results" / "mine"


def test_two_folders_of_one_name_do_not_share_results(home):
    folders = [home / "one" / "mine", home / "two" / "mine"]
    for folder in folders:
        folder.mkdir(parents=True)
    first, second = map(tables.results_folder, map(str, folders))
    assert first != second and first.name.startswith("mine-") and first.parent == second.parent == home / "results"


@pytest.mark.slow
def test_averages_and_wider_searches_are_those_of_the_scores(toy):
    """Two seeds averaged and ranked in folds, as `Table.rankings` asks, against the whole matrices."""
    runs = [Run(system=VSEpp(), data=str(toy), preset="smoke", seed=seed) for seed in (0, 1)]
    first, second = (run.fit() for run in runs)
    test, where = runs[0].dataset("test"), runs[0].dataset("test").caption_to_image
    matrices = [result.scores() for result in (first, second)]
    whole = first.contributions().mean(0)
    assert whole == pytest.approx(list(recalls(*ranks(matrices[0], where), where).values()))
    average = (matrices[0] + matrices[1]) / 2
    half = len(test) // 2
    low = where < half
    parts = [(average[:half, low], where[low]), (average[half:, ~low], where[~low] - half)]
    expected = np.mean([list(recalls(*ranks(scores, own), own).values()) for scores, own in parts], axis=0)
    assert first.contributions([second], folds=2).mean(0) == pytest.approx(expected)
    assert first.recalls["rsum"] == pytest.approx(whole[METRICS.index("rsum")])
    both = first.contributions([second]).mean(0)  # though ranks of the first alone were kept
    assert both == pytest.approx(list(recalls(*ranks(average, where), where).values()))
    assert first.contributions().mean(0) == pytest.approx(whole)
