"""Flickr8k: a data folder that is made already is checked and linked; else the way to one is told."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.reproduce import reproduce_tables

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "data_scripts"))
import flickr8k

SHARED = ROOT.parent / "shared" / "data" / "flickr8k"


def test_a_data_folder_is_linked_and_takes_no_room(toy, tmp_path):
    (toy / "images" / "test").mkdir(parents=True)
    (toy / "images" / "test" / "7.jpg").write_bytes(b"a picture")
    out = tmp_path / "data" / "flickr8k"
    flickr8k.copy(toy, out)
    verify(out)
    assert (out / "test_ims.npy").samefile(toy / "test_ims.npy")
    assert (out / "images" / "test" / "7.jpg").read_bytes() == b"a picture"
    with pytest.raises(FileExistsError, match="exists; nothing was written"):
        flickr8k.copy(toy, out)


def test_a_file_that_is_a_relative_link_is_taken_from_where_it_leads(toy, tmp_path):
    large = tmp_path / "large.npy"
    (toy / "test_ims.npy").rename(large)
    (toy / "test_ims.npy").symlink_to(os.path.relpath(large, toy))
    flickr8k.copy(toy, tmp_path / "elsewhere" / "below" / "out")
    verify(tmp_path / "elsewhere" / "below" / "out")


def test_on_another_disk_it_is_copied(toy, tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", no_links)
    flickr8k.copy(toy, tmp_path / "out")
    verify(tmp_path / "out")
    assert not (tmp_path / "out" / "test_ims.npy").samefile(toy / "test_ims.npy")


def test_a_damaged_folder_is_refused(toy, tmp_path):
    (toy / "dev_caps.txt").write_text("a dog\n")
    with pytest.raises(DataError, match=r"dev_caps\.txt: found sha256"):
        flickr8k.copy(toy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_the_host_is_out_of_reach_the_way_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(flickr8k, "URL", "http://127.0.0.1:9")  # nobody listens there
    app = Typer()
    app.command()(flickr8k.main)
    found = CliRunner().invoke(app, [str(tmp_path / "flickr8k")])
    assert found.exit_code == 1
    said = " ".join(found.output.split())
    assert "failed (" in said
    assert "jxie/flickr8k" in said
    assert f"make data-photographs NAME=flickr8k FROM={tmp_path}/flickr8k-pictures CAPTIONS=" in said


needs_photographs = pytest.mark.skipif(not SHARED.exists(), reason="needs shared/data/flickr8k")


@needs_photographs
def test_eight_thousand_photographs(tmp_path):
    out = tmp_path / "flickr8k"
    flickr8k.copy(SHARED, out)
    sizes = [(len(split := open_split(out, name)), len(split.captions)) for name in ("train", "dev", "test")]
    assert sizes == [(6000, 30_000), (1000, 5000), (1000, 5000)]
    test = open_split(out, "test")
    assert test.picture(0) is not None
    shutil.rmtree(out)
    assert SHARED.exists()


@pytest.mark.slow
@needs_photographs
def test_two_rows_of_table_1_are_made_of_photographs(tmp_path, monkeypatch):
    """As by `make reproduce-tables DATA=flickr8k TABLES=1 SEEDS=1 PRESET=smoke`, of every tenth picture."""
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path))
    splits = {}
    for name in ("train", "dev", "test"):
        few = open_split(SHARED, name)[::10]
        splits[name] = RawSplit(
            features=few.features[few.rows],
            captions=[few.captions_of(image) for image in range(len(few))],
            image_ids=few.image_ids.tolist(),
            boxes=few.boxes,
        )
    pictures = tmp_path / "images"
    shutil.copytree(SHARED / "images", pictures)
    write_dataset(tmp_path / "data" / "few", name="few", source="flickr8k", splits=splits, images=pictures)
    rows = {row: TABLE1.rows[row] for row in ("Local", "VSR++ (full)")}
    two_rows = replace(TABLE1, rows=rows, claims=(), averaged=(), further={}, notebook=None, slides=())
    reproduce_tables([two_rows], data="few", preset="smoke", seeds=1, jobs=2)
    measured = pd.read_csv(tmp_path / "results" / "few" / "tables" / "table1.csv")
    assert measured["row"].tolist() == [*rows]
    assert (measured["rsum"] > 2 * (1 + 5 + 10)).all()  # by chance: 1, 5 and 10 of 100 pictures, both ways
    run = TABLE1.runs(data="few", preset="smoke", seed=0)["VSR++ (full)"]
    matcher, test = vl.Result(run).matcher(), run.dataset("test")
    for figure in (show.retrieval(matcher, test, "a dog runs"), show.attention(matcher, test, 0, test.captions[0])):
        assert any(ax.images for ax in figure.axes), "photographs are drawn"
        plt.close(figure)
