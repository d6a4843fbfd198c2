"""Damaged folders give an error that names the file, or the true numbers: 120 cases of tests/fuzz.py.

`make fuzz` tries more."""

import hypothesis
import pytest
from fuzz import Damage, Fuzzer, Outcome, Subjects, cases, judge_sealed
from hypothesis import HealthCheck, settings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fuzz")]  # the subjects are made once


@pytest.fixture(scope="module")
def fuzzer():
    with Fuzzer() as started:
        yield started


def test_no_damage_is_silent(fuzzer):
    @hypothesis.seed(0)
    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @hypothesis.given(cases(fuzzer.files))
    def never_fails(case):
        outcome = fuzzer.try_out(case)
        assert outcome.name != "failed", outcome.detail

    never_fails()


def test_a_file_that_is_cut_is_refused_by_its_name(fuzzer):
    file = next(name for name in fuzzer.files["done"] if name.endswith("best.pt"))
    outcome = fuzzer.try_out(("done", [Damage("any: cut", file, 1)]))
    assert outcome.name == "refused"
    assert "best.pt: found sha256" in outcome.detail


def test_a_folder_without_damage_gives_its_own_numbers(fuzzer):
    assert fuzzer.try_out(("done", [])).name == "unchanged"
    assert fuzzer.try_out(("toy", [])).name == "unchanged"


def test_the_judge_sees_another_number(monkeypatch, tmp_path):
    monkeypatch.setattr(Subjects, "truth", {"done": {"recalls": [50.0]}})
    assert judge_sealed(tmp_path, "done", {"recalls": Outcome("value", [50.0])}, set()).name == "unchanged"
    assert judge_sealed(tmp_path, "done", {"recalls": Outcome("value", [50.1])}, set()).name == "failed"
