"""A recorded row can be trained again, and every rank compared."""

import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from vsrpp_lite import files
from vsrpp_lite.__main__ import app
from vsrpp_lite.paper import recorded_runs
from vsrpp_lite.paper.record import record
from vsrpp_lite.paper.reproduce import reproduce_tables
from vsrpp_lite.paper.tables import Claim, Table
from vsrpp_lite.sealed_folder import DamagedError
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsepp import VSEpp

pytestmark = pytest.mark.slow


@pytest.fixture
def kept(toy, home, monkeypatch):
    """Two rows of a table, trained on the toy with two seeds, and recorded."""
    claims = (Claim("a beats b", "Local", "Global"),)
    table = Table(name="table1", rows={"Global": VSEpp(), "Local": SCAN()}, claims=claims)
    monkeypatch.setattr(recorded_runs, "RECORDED", (table,))
    monkeypatch.setattr(files, "notebooks_folder", lambda: home)
    reproduce_tables([table], data="toy", preset="smoke", seeds=2, jobs=1)
    return record("toy")


def test_every_run_is_recorded_with_its_settings_its_cost_and_its_ranks(kept):
    lines = pd.read_csv(kept / "runs.csv")
    assert lines[["row", "seed"]].to_numpy().tolist() == [["Global", 0], ["Local", 0], ["Global", 1], ["Local", 1]]
    assert (lines["seconds"] >= 0).all() and (lines["epochs"] == 2).all() and lines["best_epoch"].isin([1, 2]).all()
    assert lines["run"].str.contains("Run\\(system=").all()
    with np.load(kept / "ranks.npz") as ranks:
        for digest, rsum in zip(lines["digest"], lines["rsum"]):
            images, texts = ranks[f"{digest}-images"], ranks[f"{digest}-texts"]
            assert (len(images), len(texts)) == (20, 60)
            found = sum(100 * (side <= k).mean() for side in (images, texts) for k in (1, 5, 10))
            assert found == pytest.approx(rsum, abs=0.01)
    assert recorded_runs.seconds(kept) == pytest.approx(lines["seconds"].sum())


def test_nothing_is_replaced_unless_every_run_of_the_tables_is_there(kept, home):
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    claims = home / "results" / "toy" / "claims.csv"
    claims.write_text(claims.read_text().replace("a beats b", "b beats a"))
    done = next((home / "runs").glob("*/result.json"))
    done.rename(done.with_name("elsewhere"))
    with pytest.raises(DamagedError, match=r"result\.json: found no such file"):
        record("toy")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    done.with_name("elsewhere").rename(done)
    (kept / "table9.csv").write_text("row\n")
    with pytest.raises(ValueError, match=r"has no table9\.csv, which .*toy-smoke has; expected all of its tables"):
        record("toy")
    (kept / "table9.csv").unlink()
    record("toy")
    assert "b beats a" in (kept / "claims.csv").read_text()


def test_tables_whose_runs_cannot_be_recorded_are_refused(kept, home):
    folder = home / "results" / "toy" / "tables"
    (folder / "table1.csv").rename(folder / "mine.csv")
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(ValueError, match=r"expected one of table1\.csv, whose runs can be recorded"):
        record("toy")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_a_path_in_data_is_recorded_by_its_name(kept, home, monkeypatch):
    before = (kept / "runs.csv").read_bytes()
    monkeypatch.chdir(home)
    done = CliRunner().invoke(app, ["record", "--data", "data/toy"])
    assert done.exit_code == 0, done.output
    assert (kept / "runs.csv").read_bytes() == before


def test_a_row_trained_again_has_every_rank_that_was_recorded(kept, monkeypatch):
    told = recorded_runs.verify(kept, table="", row="Local", seed=1)
    assert told.startswith("table1, Local, seed 1: rsum") and told.endswith("Every rank is the recorded one.")
    with np.load(kept / "ranks.npz") as file:
        ranks = dict(file)
    lines = pd.read_csv(kept / "runs.csv").set_index(["row", "seed"])
    name = f"{lines.loc[('Local', 1), 'digest']}-texts"
    ranks[name][:3] += 1
    np.savez(kept / "ranks.npz", **ranks)
    assert "0 of 20 images, 3 of 60 texts" in recorded_runs.verify(kept, table="table1", row="Local", seed=1)


def test_a_row_whose_test_split_is_another_one_now_is_refused(kept, toy):
    lines = (toy / "test_caps.txt").read_text().splitlines(keepends=True)
    (toy / "manifest.json").unlink()
    (toy / "test_caps.txt").write_text("".join(lines[:-1]))
    ids = [line for line in (toy / "test_ids.txt").read_text().splitlines(keepends=True) for _ in range(3)]
    (toy / "test_ids.txt").write_text("".join(ids[:-1]))  # one id for each caption
    with pytest.raises(ValueError, match=r"its test split is another one than .* expected 20 images with 60 captions"):
        recorded_runs.verify(kept, table="table1", row="Global", seed=0)


def test_a_row_whose_data_have_other_bytes_now_is_compared_and_that_is_said(kept, toy):
    """Another kind of processor draws scenes with other last bits, so the digest of the same settings is another."""
    lines = pd.read_csv(kept / "runs.csv")
    was = lines.loc[0, "digest"]
    regions = np.load(toy / "train_ims.npy")
    regions[0, 0, 0] += 0.25
    np.save(toy / "train_ims.npy", regions)
    (toy / "manifest.json").unlink()
    told = recorded_runs.verify(kept, table="table1", row="Global", seed=0)
    assert re.search(rf"Global, seed 0: rsum .*The digest was {was} and is (?!{was})\w{{10}}, so the data", told)


def test_a_row_that_is_not_recorded_or_is_another_now_is_refused(kept, monkeypatch):
    for asked, found in {
        ("", "VSR++", 0): r"no row 'VSR\+\+'; expected one of Global, Local",
        ("table9", "Global", 0): "no table 'table9'; expected one of table1",
        ("table1", "Global", 7): "no seed 7; expected one of 0, 1",
    }.items():
        with pytest.raises(ValueError, match=found):
            recorded_runs.verify(kept, table=asked[0], row=asked[1], seed=asked[2])
    with pytest.raises(FileNotFoundError, match=r"runs\.csv: missing; the sets with a record of runs are toy-smoke"):
        recorded_runs.verify(kept.with_name("nothing-smoke"), table="", row="Global", seed=0)
    changed = Table(name="table1", rows={"Global": VSEpp(margin=0.3), "Local": SCAN()})
    monkeypatch.setattr(recorded_runs, "RECORDED", (changed,))
    with pytest.raises(ValueError, match=r"Global: the record has Run\(.*; the package would now train Run\("):
        recorded_runs.verify(kept, table="", row="Global", seed=0)
    told = CliRunner().invoke(app, ["verify-recorded", "VSR++", "--recorded", kept.name])
    assert told.exit_code == 1 and "no row" in told.output
