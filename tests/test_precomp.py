"""The one format: what is written is read back, both layouts of rows are one data set, and nothing wrong gets in."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import toy_split

from vsrpp_lite.data import arrays
from vsrpp_lite.data.arrays import first_unequal_row
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import fingerprint, verify
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.write import RawSplit, write_dataset


def test_what_is_written_is_read_back(toy):
    train = open_split(toy, "train")
    assert len(train) == 60
    assert len(train.captions) == 180
    assert train.caption_to_image[:7].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert train.mask.sum(1).min() == 3
    assert train.boxes.shape == (60, 5, 4)
    assert open_split(toy, "test").image_ids[:2].tolist() == [200, 201]
    manifest = json.loads((toy / "manifest.json").read_text())
    assert manifest["splits"]["train"] == {"images": 60, "regions": 5, "features": 12, "captions": 180}


def test_one_row_a_caption_is_the_same_data_as_one_row_an_image(toy, tmp_path):
    plain = open_split(toy, "test")
    repeated = tmp_path / "repeated"
    repeated.mkdir()
    np.save(repeated / "test_ims.npy", np.repeat(plain.features, 3, axis=0))
    np.save(repeated / "test_masks.npy", np.repeat(plain.mask, 3, axis=0))
    shutil.copy(toy / "test_caps.txt", repeated)
    (repeated / "test_ids.txt").write_text("".join(f"{i}\n" * 3 for i in plain.image_ids))
    found = open_split(repeated, "test")
    every = np.arange(len(plain))
    assert found.image_ids.tolist() == plain.image_ids.tolist()
    assert found.caption_to_image.tolist() == plain.caption_to_image.tolist()
    assert torch.equal(found.regions(every)[0], plain.regions(every)[0])
    assert torch.equal(found.regions(every)[1], plain.regions(every)[1])


def test_any_number_of_captions_an_image(tmp_path):
    features = np.ones((3, 2, 4), dtype=np.float16)
    raw = RawSplit(
        features=features, captions=[["one"], ["two", "three", "four"], ["five", "six"]], image_ids=[9, 4, 7]
    )
    found = open_split(write_dataset(tmp_path / "ragged", name="r", source="t", splits={"train": raw}), "train")
    assert found.caption_to_image.tolist() == [0, 1, 1, 1, 2, 2]
    assert found.image_ids.tolist() == [9, 4, 7]
    assert found.captions_of(1) == ["two", "three", "four"]


def damage_missing(folder):
    (folder / "test_caps.txt").unlink()


def damage_truncated(folder):
    path = folder / "test_ims.npy"
    path.write_bytes(path.read_bytes()[:-40])


def damage_nan(folder):
    array = np.load(folder / "test_ims.npy")
    array[13, 1, 2] = np.nan
    np.save(folder / "test_ims.npy", array)


def damage_infinite(folder):
    array = np.load(folder / "test_ims.npy")
    array[4, 0, 0] = np.inf
    np.save(folder / "test_ims.npy", array)


def damage_dtype(folder):
    np.save(folder / "test_ims.npy", np.load(folder / "test_ims.npy").astype(np.int64))


def damage_objects(folder):
    np.save(folder / "test_ims.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def damage_rank(folder):
    np.save(folder / "test_ims.npy", np.load(folder / "test_ims.npy")[:, 0])


def damage_count(folder):
    np.save(folder / "test_ims.npy", np.load(folder / "test_ims.npy")[:-1])


def damage_empty_caption(folder):
    lines = (folder / "test_caps.txt").read_text().splitlines()
    lines[4] = "   "
    (folder / "test_caps.txt").write_text("\n".join(lines) + "\n")


def damage_encoding(folder):
    lines = (folder / "test_caps.txt").read_bytes().split(b"\n")
    lines[2] = b"a caf\xe9"
    (folder / "test_caps.txt").write_bytes(b"\n".join(lines))


def damage_bytes(folder):
    lines = (folder / "test_caps.txt").read_text().splitlines()
    lines[0] = str(lines[0].encode())
    (folder / "test_caps.txt").write_text("\n".join(lines) + "\n")


def damage_id(folder):
    (folder / "test_ids.txt").write_text("1\ntwo\n")


def damage_large_id(folder):
    (folder / "test_ids.txt").write_text(f"1\n{2**70}\n")


def damage_repeated_id(folder):
    (folder / "test_ids.txt").write_text("5\n5\n" + "".join(f"{i}\n" for i in range(100, 118)))


def damage_mask(folder):
    mask = np.load(folder / "test_masks.npy")
    mask[6] = [True, False, True, False, False]
    np.save(folder / "test_masks.npy", mask)


def damage_boxes(folder):
    np.save(folder / "test_boxes.npy", np.load(folder / "test_boxes.npy") * 500)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_missing, "test_caps.txt: missing"),
        (damage_truncated, "test_ims.npy: not a whole .npy"),
        (damage_nan, "test_ims.npy: row 13 holds NaN"),
        (damage_infinite, "test_ims.npy: row 4 holds NaN, infinity or a number above"),
        (damage_dtype, "test_ims.npy: found int64; expected float16 or float32"),
        (damage_objects, "test_ims.npy: found object; expected float16 or float32"),
        (damage_rank, r"test_ims.npy: found shape \(20, 12\); expected 3 axes"),
        (
            damage_count,
            "test_ims.npy has 19 rows, test_ids.txt 20 lines .20 different., test_caps.txt 60 lines; expected",
        ),
        (damage_empty_caption, "test_caps.txt: line 5 is empty"),
        (damage_encoding, "test_caps.txt: line 3 is not UTF-8 .byte 5: 0xe9"),
        (damage_bytes, "test_caps.txt: line 1 begins \"b'"),
        (damage_id, "test_ids.txt: line 2 is 'two'; expected an integer"),
        (damage_large_id, "test_ids.txt: line 2 is '1180591620717411303424'; expected an integer of 64 bits"),
        (damage_repeated_id, "test_ids.txt: the id 5 stands twice"),
        (damage_mask, r"test_masks.npy: row 6 is \[1 0 1 0 0\]; expected ones"),
        (damage_boxes, r"test_boxes.npy: row 0 leaves \[0, 1\]"),
    ],
)
def test_a_damaged_folder_is_refused_by_file_and_place(toy, damage, message):
    open_split(toy, "test")
    damage(toy)
    with pytest.raises(DataError, match=message):
        open_split(toy, "test")


@pytest.mark.parametrize("content", ["{}", "[1]", "no JSON", '{"sha256": 3}'])
def test_somebody_else_s_manifest_is_said_to_be_none(toy, content):
    (toy / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json: found .*; expected an object with the sha256 of files"):
        verify(toy)


def test_rows_of_one_id_must_hold_one_image(tmp_path):
    np.save(tmp_path / "test_ims.npy", np.arange(16, dtype=np.float32).reshape(4, 2, 2))
    (tmp_path / "test_caps.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "test_ids.txt").write_text("1\n1\n2\n2\n")
    with pytest.raises(DataError, match=r"row 1 differs from row 0, yet test_ids.txt gives both the id 1"):
        open_split(tmp_path, "test")


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_rows_are_compared_whichever_block_of_the_file_their_first_one_lies_in(tmp_path, monkeypatch, block):
    monkeypatch.setattr(arrays, "_rows_at_a_time", lambda _: block)
    rows = np.array([[1.0], [1.0], [1.0], [2.0], [2.0], [3.0]], dtype=np.float32)
    np.save(tmp_path / "same.npy", rows)
    assert first_unequal_row(tmp_path / "same.npy", np.array([0, 0, 0, 3, 3, 5])) is None
    assert first_unequal_row(tmp_path / "same.npy", np.array([0, 0, 0, 3, 3, 3])) == 5
    assert first_unequal_row(tmp_path / "same.npy", np.array([0, 0, 0, 0, 3, 5])) == 3


def test_a_dataset_is_written_whole_or_not_at_all(toy, tmp_path):
    bad = RawSplit(features=np.full((2, 2, 2), np.nan, dtype=np.float32), captions=[["a"], ["b"]], image_ids=[1, 2])
    with pytest.raises(DataError, match="row 0 holds NaN"):
        write_dataset(tmp_path / "bad", name="bad", source="t", splits={"train": bad})
    assert not (tmp_path / "bad").exists()
    before = fingerprint(toy)
    with pytest.raises(FileExistsError):
        write_dataset(toy, name="again", source="t", splits={})
    assert fingerprint(toy) == before


def test_a_damaged_checksum_of_before_is_not_believed(toy, monkeypatch, tmp_path):
    """The checksums of large files are kept, so that the files need not be read again."""
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path))
    before = fingerprint(toy)
    kept = sorted((tmp_path / "data" / ".checksums").iterdir())
    for path, other in zip(kept, reversed(kept), strict=True):
        path.with_suffix(".new").write_bytes(other.read_bytes())  # well-formed, and of another file
    for path in kept:
        path.with_suffix(".new").replace(path)
    assert fingerprint(toy) == before
    kept[0].write_bytes(b"\xff")
    assert fingerprint(toy) == before


def test_what_a_mac_leaves_beside_a_copied_file_is_no_file_of_the_data(toy):
    before = fingerprint(toy)
    (toy / "._train_ims.npy").write_bytes(b"\x00\x05\x16\x07")
    assert fingerprint(toy) == before
    verify(toy)


def test_the_fingerprint_of_a_folder_without_manifest_follows_its_content(toy):
    (toy / "manifest.json").unlink()
    before = fingerprint(toy)
    assert fingerprint(toy) == before
    damage_nan(toy)
    assert fingerprint(toy) != before


def test_the_users_pictures_are_copied_after_the_check_and_never_moved(tmp_path):
    pictures = tmp_path / "mine"
    (pictures / "train").mkdir(parents=True)
    (pictures / "train" / "1.jpg").write_bytes(b"a picture")
    good = RawSplit(features=np.ones((1, 2, 2), dtype=np.float32), captions=[["a"]], image_ids=[1])
    bad = RawSplit(features=np.full((1, 2, 2), np.nan, dtype=np.float32), captions=[["a"]], image_ids=[1])
    with pytest.raises(DataError, match="row 0 holds NaN"):
        write_dataset(tmp_path / "bad", name="bad", source="t", splits={"train": bad}, images=pictures)
    assert (pictures / "train" / "1.jpg").read_bytes() == b"a picture"
    folder = write_dataset(tmp_path / "good", name="good", source="t", splits={"train": good}, images=pictures)
    assert (pictures / "train" / "1.jpg").exists()
    assert (folder / "images" / "train" / "1.jpg").read_bytes() == b"a picture"


def test_ids_and_captions_of_different_numbers_of_images_are_refused(tmp_path):
    raw = replace(toy_split(3, 1, 500), image_ids=[1, 2])
    with pytest.raises(DataError, match="train: found 2 ids and captions of 3 images"):
        write_dataset(tmp_path / "mine", name="mine", source="tests", splits={"train": raw})
    assert not any(tmp_path.iterdir())


def test_a_caption_with_a_line_break_is_refused_by_name_and_nothing_is_written(tmp_path):
    raw = toy_split(2, 1, 500)
    raw.captions[1][0] = "a dog\na cat"
    with pytest.raises(DataError, match=r"train, image 501: 'a dog\\na cat' has a line break; expected one line"):
        write_dataset(tmp_path / "mine", name="mine", source="tests", splits={"train": raw})
    raw.captions[1][0] = " "
    where = re.escape(str(tmp_path / "mine" / "train_caps.txt"))  # and not the draft, which is removed
    with pytest.raises(DataError, match=f"^{where}: line 4 is empty"):
        write_dataset(tmp_path / "mine", name="mine", source="tests", splits={"train": raw})
    assert not any(tmp_path.iterdir())


REFUSED = {
    "its captions are 'dog'; expected a list": {"captions": ["dog", ["a cat"], ["a horse"]]},
    "image 501: its captions are \\[\\]": {"captions": [["a dog"], [], ["a horse"]]},
    "image 502 has 9 regions; expected a whole number from 1 to 5": {"counts": [5, 5, 9]},
    "image 500 has 2.5 regions": {"counts": np.array([2.5, 3, 3])},
    "counts has shape \\(4,\\); expected one number for each": {"counts": [5, 5, 5, 9]},
    "image 501: the caption 7 is no text": {"captions": [["a dog"], [7], ["a horse"]]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_data_set_is_refused_before_it_is_written(tmp_path, message):
    raw = replace(toy_split(3, 1, 500), **REFUSED[message])
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path / "mine", name="mine", source="tests", splits={"train": raw})
    assert not any(tmp_path.iterdir())


def test_splits_that_do_not_fit_each_other_are_not_written(tmp_path):
    narrow = replace(toy_split(3, 1, 500), features=np.ones((3, 5, 2), dtype=np.float32))
    for splits, message in (({"train": toy_split(3, 1), "dev": narrow}, "has 2 numbers a region"), ({}, "no split")):
        with pytest.raises(DataError, match=message):
            write_dataset(tmp_path / "mine", name="mine", source="tests", splits=splits)
