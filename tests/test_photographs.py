"""A folder of pictures and a file of captions become a data set, whole or not at all."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import halves
from PIL import Image

SCRIPTS = Path(__file__).parent.parent / "data_scripts"
sys.path.insert(0, str(SCRIPTS))

import photographs
from caption_files import drawn_split

import vsrpp_lite as vl
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.reproduce import reproduce_tables

pytestmark = pytest.mark.slow


@pytest.fixture
def mine(tmp_path):
    """Forty pictures, some in a folder below, and their captions."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    rows = [("image", "caption")]
    for k in range(40):
        name = f"{k:02}.png"
        halves(40 + k, 20 + 2 * k).save(folder / ("below" if k % 2 else ".") / name)
        rows += [(name, f"picture {k} is red"), (name, f"and blue, told {k}")][: 1 + (k != 3)]
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path


def prepare(mine, models, **options):
    return photographs.prepare(
        mine / "data" / "mine", mine / "pictures", mine / "captions.csv", features=str(models / "dinov2"), **options
    )


def test_a_folder_of_pictures_becomes_a_data_set(mine, models):
    prepare(mine, models, regions=12)
    out = mine / "data" / "mine"
    verify(out)
    assert not out.with_name("mine.parts").exists()
    with (out / "pictures.csv").open(newline="") as file:
        names = {int(row["id"]): row for row in csv.DictReader(file)}
    seen = 0
    for split in ("train", "dev", "test"):
        dataset = open_split(out, split)
        assert dataset.features.shape[1:] == (12, 16)
        for example in dataset:
            row = names[example.image_id]
            assert row["split"] == split == drawn_split(row["name"])
            number = int(row["name"][:2])
            assert example.captions == [f"picture {number} is red", f"and blue, told {number}"][: len(example.captions)]
            assert len(example.captions) == 1 + (number != 3)
            with Image.open(example.picture) as picture:
                assert picture.size == (40 + number, 20 + 2 * number)
            seen += 1
    assert seen == 40
    assert "dinov2" in json.loads((out / "manifest.json").read_text())["source"]


def test_what_is_left_out_is_counted_and_told(mine, models):
    (mine / "pictures" / "extra.png").write_bytes((mine / "pictures" / "00.png").read_bytes())
    (mine / "pictures" / "02.png").write_bytes(b"not a picture")
    with (mine / "captions.csv").open("a") as file:
        file.write("nowhere.png,a dog\n")
    with pytest.raises(DataError, match=r"1 captioned names without a picture, such as nowhere\.png; 40 pictures have"):
        prepare(mine, models)
    said = prepare(mine, models, tolerate=3)
    assert "1 captioned names without a picture\n    nowhere.png\n" in said
    assert "1 pictures without captions\n    extra.png\n" in said
    assert "1 pictures that cannot be read\n    02.png: " in said
    out = mine / "data" / "mine"
    assert (out / "report.txt").read_text() == said
    assert sum(len(open_split(out, split)) for split in ("train", "dev", "test")) == 39


def test_names_that_fit_two_pictures_are_named(mine, models):
    (mine / "pictures" / "01.png").write_bytes((mine / "pictures" / "00.png").read_bytes())
    (mine / "pictures" / "above").mkdir()
    shutil.move(mine / "pictures" / "01.png", mine / "pictures" / "above" / "01.png")
    with pytest.raises(DataError, match=r"01\.png fits above/01\.png, below/01\.png; expected one picture"):
        prepare(mine, models)


def test_two_names_of_one_picture_are_named(mine, models):
    """Else it could stand in train by one name and in test by the other."""
    with (mine / "captions.csv").open("a") as file:
        file.write("elsewhere/00.png,a dog\n")
    with pytest.raises(DataError, match=r"00\.png and elsewhere/00\.png both fit .*00\.png; expected one picture"):
        prepare(mine, models)


def test_a_split_without_pictures_is_named_before_anything_is_encoded(mine, models):
    (mine / "train.txt").write_text("".join(f"{k:02}.png\n" for k in range(30)))
    (mine / "test.txt").write_text("".join(f"{k:02}.png\n" for k in range(30, 35)))
    with pytest.raises(DataError, match=r"no picture is in dev; .* 35 pictures have .* 5 names are in no list"):
        prepare(mine, models, lists=[mine / "train.txt", mine / "test.txt"])
    assert not (mine / "data" / "mine.parts").exists()


def test_a_model_that_cannot_be_opened_is_named_and_may_be_corrected(mine, models):
    out, folder, captions = mine / "data" / "mine", mine / "pictures", mine / "captions.csv"
    with pytest.raises(DataError, match="nowhere: cannot be opened as a backbone"):
        photographs.prepare(out, folder, captions, features=str(models / "nowhere"))
    prepare(mine, models)
    verify(out)


def test_lists_choose_pictures_and_splits(mine, models):
    for split, names in (("train", range(20)), ("dev", range(20, 25)), ("test", range(25, 30))):
        (mine / f"{split}.txt").write_text("".join(f"{k:02}.png\n" for k in names))
    said = prepare(mine, models, lists=[mine / f"{split}.txt" for split in ("train", "dev", "test")])
    assert "10 in no list\n    30.png\n" in said
    out = mine / "data" / "mine"
    assert [len(open_split(out, split)) for split in ("train", "dev", "test")] == [20, 5, 5]


def test_the_work_goes_on_after_a_break_with_the_same_bytes(mine, models, monkeypatch):
    prepare(mine, models)
    out = mine / "data" / "mine"
    whole = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    shutil.rmtree(out)
    read, calls = photographs.read_picture, []

    def stops(path):
        calls.append(path)
        if len(calls) == 25:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(photographs, "read_picture", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare(mine, models)
    assert not out.exists()
    calls.clear()
    calls += [None] * 100
    prepare(mine, models)
    assert len(calls) - 100 == 40 - photographs.BLOCK, "the first block is not read again"
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == whole


def test_work_that_was_begun_otherwise_is_not_mixed(mine, models, monkeypatch):
    def stops(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(photographs, "read_picture", stops)
        with pytest.raises(KeyboardInterrupt):
            prepare(mine, models)
    with pytest.raises(DataError, match=r"settings\.json: the work was begun with other settings"):
        prepare(mine, models, regions=9)


def test_the_command_says_what_is_wrong_in_a_line(mine, models):
    command = [sys.executable, str(SCRIPTS / "photographs.py"), str(mine / "out"), "--from", str(mine / "pictures")]
    (mine / "captions.txt").write_text("A dog runs.\n")
    done = subprocess.run([*command, "--captions", str(mine / "captions.txt")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "begins 'A dog runs.'" in done.stderr
    assert not (mine / "out").exists()


def test_the_paper_s_table_is_made_of_photographs(scenes_folder, models, tmp_path, monkeypatch):
    """200 pictures of the embedded set, as if they were photographs, by the command that makes Table 1."""
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    with (tmp_path / "captions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for example in open_split(scenes_folder, "train")[:200]:
            shutil.copy(example.picture, tmp_path / "pictures" / f"{example.image_id}.jpg")
            table.writerows((f"{example.image_id}.jpg", caption) for caption in example.captions)
    photographs.prepare(
        tmp_path / "data" / "mine", tmp_path / "pictures", tmp_path / "captions.csv", features=str(models / "resnet")
    )
    reproduce_tables([TABLE1], data="mine", preset="smoke", seeds=1, jobs=2)
    results = tmp_path / "results" / "mine"
    assert len(pd.read_csv(results / "tables" / "table1.csv")) == 6
    assert (results / "notebooks" / "table1_structure.ipynb").exists()
    found = vl.Run(system=vl.VSRpp(), data="mine", preset="smoke").dataset("test")
    assert found.picture(0).exists()
