"""What was measured at length is kept as CSV, and the pages that quote it are written from there."""

import json
from pathlib import Path

import false_verdicts
import numpy as np
import pandas as pd
import pytest

from vsrpp_lite import files
from vsrpp_lite.paper import quotes, record
from vsrpp_lite.paper.four_tables import TABLES
from vsrpp_lite.paper.report import filled, pages
from vsrpp_lite.training.significance import SeedVariance, p_value

ROOT = Path(__file__).parent.parent


def test_the_pages_are_what_report_writes():
    """No number in RESULTS.md, or in the README's table, is typed by hand. They lie in the checkout, not in home."""
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run `make report`: {path.name} is not what is recorded"


def test_no_row_shows_that_its_messages_help_as_lesson_1_and_the_results_say():
    measured = pd.read_csv(files.recorded_folder() / "messages.csv")
    assert (measured["lo"] < 0).all() and (measured["hi"] > 0).all()


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """One measured table of two rows, and one claim."""
    monkeypatch.setattr(files, "notebooks_folder", lambda: tmp_path)
    folder = tmp_path / "recorded" / "mine-lite"
    folder.mkdir(parents=True)
    line = {"rsum": 400.25, "rsum_lo": 390.25, "rsum_hi": 410.25, "rsum_paper": 490.5, "i2t_r1": 40.0}
    line |= {"i2t_r1_lo": 39.0, "i2t_r1_hi": 41.0, "i2t_r1_paper": 70.0}
    pd.DataFrame([{"row": "VSR++ (full)"} | line]).to_csv(folder / "table1.csv", index=False)
    claim = {"table": "table1", "claim": "a beats b", "difference": 12.0, "lo": 2.0, "hi": 22.0}
    claim |= {"verdict": "reproduced", "verdict_holm": "inconclusive", "seeds": 3}
    pd.DataFrame([claim]).to_csv(folder / "claims.csv", index=False)
    (folder / "facts.json").write_text(json.dumps({"versions": {"torch": "2.13.0"}}))
    return folder.parent


def test_directives_are_replaced_by_what_is_recorded(kept):
    assert filled("rsum {{value mine-lite table1 VSR++ (full) rsum}}") == "rsum 400.2"
    assert filled("torch {{fact mine-lite versions torch}}") == "torch 2.13.0"
    table = filled("{{table mine-lite table1 i2t_r1 rsum}}")
    assert "40.0 ± 1.0 (70.0)" in table and "400.2 ± 10.0 (490.5)" in table
    other = kept / "other-long"
    other.mkdir()
    pd.read_csv(kept / "mine-lite" / "table1.csv").assign(rsum=401.25).to_csv(other / "table1.csv", index=False)
    lines = filled("{{compared table1 rsum mine-lite other-long}}").splitlines()
    assert lines[0].split() == ["|", "row", "|", "mine-lite", "|", "other-long", "|", "published", "|"]
    assert lines[2] == "| VSR++ (full) | 400.2 ± 10.0 | 401.2 ± 9.0  | 490.5       |"
    assert "12.0 (2.0 to 22.0): reproduced (inconclusive by Holm)" in filled("{{verdicts mine-lite}}")


def test_decisions_of_one_seed_stand_in_brackets_and_are_not_counted(kept):
    other = kept / "other-lite"
    other.mkdir()
    claim = pd.read_csv(kept / "mine-lite" / "claims.csv").assign(verdict_holm="reproduced", seeds=1)
    claim.to_csv(other / "claims.csv", index=False)
    lines = [line.split("|")[2:-1] for line in filled("{{decided mine-lite other-lite}}").splitlines()]
    told = {name.strip("* "): [cell.strip() for cell in cells] for name, *cells in lines[2:]}
    assert told == {"a beats b": ["open", "(yes)"], "yes": ["0", "0"], "no": ["0", "0"], "open": ["1", "0"]}


def test_a_lead_across_seeds_is_paired_by_seed(kept):
    """The differences 1, 2 and 3 have the mean 2 and Student's interval 2 -/+ 4.30 sqrt(1 / 3)."""
    values = {"a": (1.0, 12.0, 23.0), "b": (0.0, 10.0, 20.0)}
    lines = [(row, seed, "rsum", value) for row in values for seed, value in enumerate(values[row])]
    pd.DataFrame(lines, columns=["row", "seed", "measure", "value"]).to_csv(kept / "single.csv", index=False)
    assert filled("{{across_seeds single a over b in rsum}}") == "2 (-0.5 to 4)"


@pytest.mark.parametrize(
    "directive", ["{{plot mine-lite}}", "{{table theirs table1}}", "{{value mine-lite table1 VSE rsum}}"]
)
def test_what_is_not_there_is_refused_with_the_directive(kept, directive):
    with pytest.raises(ValueError, match=r"\{\{"):
        filled(directive)


def test_tables_are_recorded_with_what_made_them(home, kept, monkeypatch):
    monkeypatch.setattr(record.recorded_runs, "record_rows", lambda *_, **__: None)  # test_recorded_runs has it
    with pytest.raises(FileNotFoundError, match="no tables; run `make reproduce-tables` first"):
        record.record("scenes")
    tables = home / "results" / "tables"
    tables.mkdir(parents=True)
    pd.DataFrame([{"row": "a", "preset": "lite", "seeds": 2}]).to_csv(tables / "table1.csv", index=False)
    pd.DataFrame([{"claim": "c"}]).to_csv(home / "results" / "claims.csv", index=False)
    folder = record.record("scenes")
    assert folder == kept / "scenes-lite"
    assert {path.name for path in folder.iterdir()} == {"table1.csv", "claims.csv", "facts.json"}
    assert json.loads((folder / "facts.json").read_text())["versions"].keys() >= {"torch", "vsrpp_lite"}
    pd.DataFrame([{"row": "a", "preset": "smoke", "seeds": 1}]).to_csv(tables / "table2.csv", index=False)
    with pytest.raises(ValueError, match=r"table1\.csv is of lite, table2\.csv is of smoke; expected one preset"):
        record.record("scenes")
    assert not (folder / "table2.csv").exists()


def test_single_runs_are_summed_up_over_their_seeds(kept):
    """Seeds 0 and 1 of a: 10 and 20. The mean is 15."""
    runs = pd.DataFrame({"way": ["a", "a", "b"], "seed": [0, 1, 0], "rsum": [10.0, 20.0, 7.0]})
    runs.to_csv(kept / "ways.csv", index=False)
    lines = filled("{{spread ways rsum}}").splitlines()
    assert [line.replace(" ", "") for line in lines[2:]] == ["|a|15.0|10.0|20.0|2|", "|b|7.0|7.0|7.0|1|"]


def test_changes_are_taken_seed_by_seed(kept):
    """The changes are 1 and 3. Their mean is 2, and its standard error is 1, so Student's t is 2.

    There is one degree of freedom. So the quantile of the interval is 12.7, and Student's distribution is Cauchy's:
    p = 1 - 2 arctan(2) / pi = 0.30.
    """
    lines = [("none", 0, 10.0), ("none", 1, 20.0), ("one", 0, 11.0), ("one", 1, 23.0)]
    pd.DataFrame(lines, columns=["difference", "seed", "rsum"]).to_csv(kept / "ways.csv", index=False)
    lines = filled("{{changes ways rsum none}}").splitlines()
    assert [line.replace(" ", "") for line in lines[2:]] == ["|one|2.0|-10.7|14.7|0.30|2|"]


def test_both_rules_for_the_best_epoch_chose_the_same_one():
    """RESULTS.md says so of the runs that compare VSRN with its release."""
    runs = pd.read_csv(files.recorded_folder() / "vsrn_departures.csv")
    assert runs["same_epoch"].all()
    assert runs.groupby("difference")["seed"].nunique().eq(runs["seed"].nunique()).all()


def test_a_claim_is_told_with_its_interval_and_with_holms_verdict_if_that_is_another(kept):
    claim = {"table": "table4", "better": "VSR++", "worse": "SCAN", "metric": "rsum", "difference": 30.2, "lo": 23.4}
    claim |= {"hi": 36.0, "verdict": "reproduced"}
    claims = [claim | {"verdict_holm": "inconclusive"}, claim | {"table": "table3", "verdict_holm": "reproduced"}]
    pd.DataFrame(claims).to_csv(kept / "mine-lite" / "claims.csv", index=False)
    assert filled("{{claim mine-lite table4 VSR++ over SCAN}}") == "30 (23 to 36; inconclusive by Holm)"
    assert filled("{{claim mine-lite table3 VSR++ over SCAN}}") == "30 (23 to 36)"


def test_the_simulation_of_false_verdicts_judges_as_the_tables_do():
    """Three seeds of 50 pictures, and rows that usually vary by 4 from seed to seed."""
    rng = np.random.default_rng(0)
    samples = rng.normal(1, 5, (1, 50, 1)) + rng.normal(0, 2, (3, 1, 1))
    by_seed = samples.mean(1)  # (S, C) with one claim
    of_images = samples.mean(0).var(0, ddof=1) / 50
    for usual, variance, freedom in (
        (None, by_seed.var(0, ddof=1), 2),
        (SeedVariance(np.array([4.0]), 12), np.array([4.0]), 12),
    ):
        found = false_verdicts.p_value(by_seed[None], of_images, 50, variance[None], freedom)[0]
        expected = p_value(samples, usual)
        own = p_value(samples)
        assert np.maximum(found, own) == pytest.approx(expected)


def test_the_simulation_of_false_verdicts_is_of_what_is_recorded():
    """One that was made before a table got its seeds has another number of claims."""
    found = pd.read_csv(files.recorded_folder() / "false_verdicts.csv").set_index("set")["claims"]
    for name, count in found.items():
        folder = files.recorded_folder() / name
        several = [t for t in TABLES if (f := folder / f"{t.name}.csv").exists() and pd.read_csv(f)["seeds"][0] > 1]
        assert count == sum(len(table.claims) for table in several), f"run tests/false_verdicts.py: {name} has changed"


def test_the_shift_of_a_column_is_told_with_its_interval(kept):
    """The differences are 1 and 3: their mean is 2, its standard error 1, and Student's quantile 12.7."""
    pd.DataFrame({"rsum": [10.0, 20.0], "again": [11.0, 23.0]}).to_csv(kept / "twice.csv", index=False)
    assert filled("{{shift twice rsum again}}") == "2 (-11 to 15)"


def test_a_setting_of_a_study_is_told_with_its_mean_over_the_seeds(kept):
    (kept / "tuning").mkdir()
    lines = [("VSR++ (GRU)", 7, 300.0), ("VSR++ (GRU)", 7, 310.0), ("SCAN", 7, 200.0)]
    runs = pd.DataFrame(lines, columns=["row", "draw", "dev_rsum"])
    runs.to_csv(kept / "tuning" / "lite.csv", index=False)
    assert filled("{{dev lite VSR++ (GRU) 7}}") == "305"
    with pytest.raises(ValueError, match="no row 'SCAN' with setting 3"):
        filled("{{dev lite SCAN 3}}")


def test_whole_points_say_on_which_side_of_zero_an_end_lies():
    assert quotes._points(-5.8, -12.0, 0.4) == "-6 (-12 to 0.4)"
    assert quotes._points(0.0, -0.04, 0.6) == "0 (0 to 1)"


def test_a_lead_of_any_two_rows_is_taken_from_the_recorded_ranks(kept):
    """A finds both captions first. B finds the second at place 21: of i2t, A leads by 300 in one of two pictures.

    The mean is 150. One of two pictures moves it by 150, so the standard error is 150, and Student's quantile for one
    degree of freedom is 12.706.
    """
    folder, right = kept / "mine-lite", np.array([1, 1], dtype=np.uint16)
    pd.DataFrame({"table": "table4", "row": ["A", "B"], "seed": 0, "digest": ["a", "b"], "data": "mine"}).to_csv(
        folder / "runs.csv", index=False
    )
    ranks = {"a-images": right, "a-texts": right, "b-images": np.array([1, 21], dtype=np.uint16), "b-texts": right}
    np.savez(folder / "ranks.npz", **ranks, **{"caption_to_image-mine": np.array([0, 1], dtype=np.uint16)})
    assert filled("{{lead mine-lite table4 A over B i2t}}") == "150 (-1756 to 2056)"
    assert filled("{{lead mine-lite table4 A over B t2i}}") == "0 (0 to 0)"
    with pytest.raises(ValueError, match="no row 'C' in table4; expected one of A, B"):
        filled("{{lead mine-lite table4 A over C i2t}}")


def test_recipes_show_the_winner_of_each_system_and_only_the_choices_that_it_has(kept):
    """SCAN: draw 1 has the means 35 and draw 0 has 40. VSE++ has no temperature and no norm."""
    shared = {"learning_rate": 0.01, "margin": 0.2, "temperature": 2.0, "norm": "scaled"}
    measured = {"best_epoch": 1, "epochs": 1, "seconds": 1.0}
    found = [("SCAN", 0, 0, 30.0), ("SCAN", 0, 1, 50.0), ("SCAN", 1, 0, 45.0), ("SCAN", 1, 1, 25.0)]
    found += [("VSE++", 1, 0, 8.0), ("VSE++", 1, 1, 8.0)]
    (kept / "tuning").mkdir()
    runs = pd.DataFrame(found, columns=["row", "draw", "seed", "dev_rsum"]).assign(**shared, **measured)
    runs.to_csv(kept / "tuning" / "lite.csv", index=False)
    lines = [line.replace(" ", "") for line in filled("{{recipes lite}}").splitlines()]
    assert lines[2:] == ["|SCAN|0|40|0.01|0.2|2||", "|VSE++|1|8|0.01|0.2|||"]


def test_two_studies_agree_by_the_rank_correlation_of_their_orders(kept):
    """SCAN, VSRN, SAEM in one study; VSRN, SCAN, SAEM in the other: 1 - 6 (1 + 1) / (3 (9 - 1)) = 0.5."""
    (kept / "tuning").mkdir()
    for preset, seeds, rsums in (("lite", 2, (60, 50, 40)), ("long", 1, (60, 70, 40))):
        lines = [(row, 0, seed, x) for row, x in zip(("SCAN", "VSRN", "SAEM"), rsums) for seed in range(seeds)]
        runs = pd.DataFrame(lines, columns=["row", "draw", "seed", "dev_rsum"])
        runs.to_csv(kept / "tuning" / f"{preset}.csv", index=False)
    assert filled("{{agreement lite long}}") == "0.50"


def test_the_minutes_of_training_count_a_run_once_that_stands_in_two_tables(kept):
    """Run a, of 60 seconds, stands in two tables. Run b took 120 seconds."""
    runs = pd.DataFrame({"table": ["table1", "table4", "table4"], "digest": ["a", "a", "b"], "seconds": [60, 60, 120]})
    runs.to_csv(kept / "mine-lite" / "runs.csv", index=False)
    assert filled("{{minutes mine-lite}}") == "3"


def test_truth_is_shown_as_means_with_the_lowest_and_the_highest_seed(kept):
    """Two seeds of 60 and 70: 65."""
    lines = pd.DataFrame(
        {"row": ["SCAN", "SCAN"], "seed": [0, 1], "measure": ["left and right"] * 2, "value": [60, 70], "n": [9, 9]}
    )
    lines.to_csv(kept / "mine-lite" / "truth.csv", index=False)
    told = filled("{{truth mine-lite}}").splitlines()[-1]
    assert told.replace(" ", "") == "|leftandright|65.0(60.0to70.0)|9|"


def test_truth_shows_a_row_without_seeds_as_one_number_and_leaves_out_what_it_cannot_do(kept):
    lines = pd.DataFrame(
        {
            "row": ["SCAN", "SCAN", "words alone"],
            "seed": 0,
            "measure": ["mAP@R", "left and right", "left and right"],
            "value": [30, 60, 55],
            "n": 9,
        }
    )
    lines.to_csv(kept / "mine-lite" / "truth.csv", index=False)
    told = [line.replace(" ", "") for line in filled("{{truth mine-lite}}").splitlines()[-2:]]
    assert told == ["|mAP@R|30.0||9|", "|leftandright|60.0|55.0|9|"]
