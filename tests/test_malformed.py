"""Folders that a stranger made: every fault is named with its file and place, in no time and in little memory."""

import io
import json
import os
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vsrpp_lite.__main__ import app
from vsrpp_lite.data.arrays import LARGEST_NUMBER
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.gcn_reasoning import RegionGraph


def npy_with_header(text, numbers=b"", version=b"\x01\x00"):
    """An .npy file whose header says whatever it likes."""
    header = text.encode().ljust(118) + b"\n"
    length = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + header + numbers


def as_zip(_):
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("ims.npy", b"numbers")
        return file.getvalue()


def as_torch(_):
    with io.BytesIO() as file:
        torch.save(torch.zeros(3), file)
        return file.getvalue()


def claims(shape, descr="<f4", order="False"):
    return lambda content: npy_with_header(
        f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}}}", content[128:]
    )


ARRAYS = {
    "a zip archive": (as_zip, "found a zip archive"),
    "a torch file": (as_torch, "found a zip archive"),
    "an empty file": (lambda _: b"", r"begins with b''; not a whole \.npy file"),
    "a picture": (lambda _: b"\xff\xd8\xff\xe0JFIF", r"begins with .*; not a whole \.npy file"),
    "a header of brackets": (lambda _: npy_with_header("[" * 100), r"not a whole \.npy file of numbers"),
    "a header of minus signs": (
        lambda _: npy_with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 60 + "1,)}"),
        r"not a whole \.npy file|expected lengths",
    ),
    "a header with a type that is a list of nothing": (
        lambda _: npy_with_header("{'descr': [()], 'fortran_order': False, 'shape': (1,)}"),
        "not a whole",
    ),
    "a header that is code": (lambda _: npy_with_header("__import__('os').system('true')"), "not a whole"),
    "a header that does not end": (lambda _: npy_with_header("{'descr': '<f4', 'shape': (1, '''"), "not a whole"),
    "a header longer than the file": (lambda _: b"\x93NUMPY\x01\x00\xff\xff{", "not a whole"),
    "a header of four gigabytes": (lambda _: b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "not a whole"),
    "a version that there is not": (lambda _: b"\x93NUMPY\x09\x00\x10\x00" + b" " * 16, "version"),
    "a shape beyond all memory": (claims((2**40, 2**40, 2**40)), "bytes; expected"),
    "a shape that overflows": (claims((2**62, 4, 12)), "bytes; expected"),
    "a negative length": (claims((-20, 5, 12)), "expected lengths of at least 1"),
    "no images": (claims((0, 5, 12)), "expected 3 axes, none empty"),
    "one image less than it holds": (claims((19, 5, 12)), r"bytes; expected \d+ for \(19, 5, 12\)"),
    "trailing bytes": (lambda content: content + b"\0" * 4, "bytes; expected"),
    "one byte less": (lambda content: content[:-1], "bytes; expected"),
    "the byte order of another processor": (claims((20, 5, 12), ">f4"), "byte order of other processors"),
    "text": (claims((20, 5, 12), "<U1"), "expected float16 or float32"),
    "objects": (claims((20, 5, 12), "|O"), "expected float16 or float32"),
}


@pytest.mark.parametrize("case", ARRAYS, ids=str)
def test_what_is_no_array_is_named(toy, case):
    damage, message = ARRAYS[case]
    path = toy / "test_ims.npy"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"test_ims\.npy: .*({message})"):
        open_split(toy, "test")


def test_a_transposed_array_is_read_as_what_it_is(toy):
    before = np.array(open_split(toy, "test").features)
    np.save(toy / "test_ims.npy", np.asfortranarray(before))
    assert np.array_equal(open_split(toy, "test").features, before)


@pytest.mark.parametrize("number", [2e30, 1.1e5, -1.1e5])
def test_a_feature_that_would_overflow_is_refused(toy, number):
    features = np.load(toy / "test_ims.npy").astype(np.float32)
    features[7, 0, 3] = number
    np.save(toy / "test_ims.npy", features)
    with pytest.raises(DataError, match=r"test_ims\.npy: row 7 holds NaN, infinity or a number above 100000"):
        open_split(toy, "test")


def test_the_largest_features_leave_a_graph_layer_whose_statistics_are_finite():
    """One layer of the papers' size in training: its normalisation squares what it has multiplied and added up."""
    torch.manual_seed(0)
    layer = RegionGraph(2048)
    layer(torch.rand(2, 36, 2048) * LARGEST_NUMBER, torch.ones(2, 36, dtype=torch.bool))
    assert all(buffer.isfinite().all() for buffer in layer.buffers())


@pytest.mark.parametrize("name", ["test_ims.npy", "test_caps.txt", "test_ids.txt", "test_masks.npy", "manifest.json"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_never_opened(toy, name, kind):
    (toy / name).unlink()
    if kind == "folder":
        (toy / name).mkdir()
    else:
        os.mkfifo(toy / name)
    look = verify if name == "manifest.json" else partial(open_split, split="test")
    with pytest.raises(DataError, match=rf"{name}: found a {kind}"):
        look(toy)


@pytest.mark.parametrize("name", ["test_masks.npy", "test_boxes.npy", "manifest.json"])
def test_a_link_to_nothing_is_not_taken_for_an_absent_file(toy, name):
    (toy / name).unlink(missing_ok=True)
    (toy / name).symlink_to(toy / "nothing")
    look = verify if name == "manifest.json" else partial(open_split, split="test")
    with pytest.raises(DataError, match=f"{name}: missing"):
        look(toy)


def test_a_mask_is_made_of_zeros_and_ones(toy):
    content = bytearray((toy / "test_masks.npy").read_bytes())
    regions = open_split(toy, "test").mask.shape[1]
    content[128 + 2 * regions] = 7  # the first region of the third image
    (toy / "test_masks.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"test_masks\.npy: row 2 holds a byte that is neither 0 nor 1"):
        open_split(toy, "test")


TEXTS = {
    "UTF-16 with its mark": ("a red dog\n" * 60).encode("utf-16"),
    "UTF-16 without": ("a red dog\n" * 60).encode("utf-16-le"),
    "UTF-32 without": ("a red dog\n" * 60).encode("utf-32-be"),
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
def test_other_encodings_are_named(toy, content):
    (toy / "test_caps.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"test_caps\.txt: .*UTF-16.*expected UTF-8"):
        open_split(toy, "test")


def test_a_mark_before_utf_8_is_no_part_of_the_first_caption(toy):
    path = toy / "test_caps.txt"
    first = open_split(toy, "test").captions[0]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert open_split(toy, "test").captions[0] == first


def test_a_caption_of_ten_megabytes_or_without_a_word_is_named(toy):
    path = toy / "test_caps.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "a" * 10**7, *lines[4:]]) + "\n")
    with pytest.raises(DataError, match=r"test_caps\.txt: line 4 is longer than 10000 bytes"):
        open_split(toy, "test")
    path.write_text("\n".join([*lines[:5], "?!", *lines[6:]]) + "\n")
    with pytest.raises(DataError, match=r"test_caps\.txt: line 6 is '\?!', without a word"):
        open_split(toy, "test")


def test_boxes_that_are_turned_round_or_have_a_width_are_named(toy):
    path = toy / "test_boxes.npy"
    boxes = np.load(path)
    boxes[3, 1] = [0.6, 0.2, 0.1, 0.6]
    np.save(path, boxes)
    with pytest.raises(
        DataError, match=r"row 3, region 1 is 0.60, 0.20, 0.10, 0.60; expected left, top, right, bottom"
    ):
        open_split(toy, "test")
    boxes[3, 1] = [0.5, 0.5, 0.3, 0.2]  # x, y, width, height
    np.save(path, boxes)
    with pytest.raises(DataError, match="not x, y, width, height"):
        open_split(toy, "test")


@pytest.mark.parametrize("kind", ["ims", "masks", "boxes"])
def test_repeated_rows_must_agree_in_everything(tmp_path, kind):
    """Two captions of each image, one row for each: the second row of image 2 differs in its last region."""
    features = np.repeat(np.random.default_rng(0).random((2, 3, 4), dtype=np.float32), 2, axis=0)
    arrays = {"ims": features, "masks": np.ones((4, 3), dtype=bool), "boxes": np.tile([0.1, 0.1, 0.5, 0.5], (4, 3, 1))}
    arrays[kind][3, 2] = 0
    for name, array in arrays.items():
        np.save(tmp_path / f"test_{name}.npy", array)
    (tmp_path / "test_caps.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "test_ids.txt").write_text("1\n1\n2\n2\n")
    with pytest.raises(DataError, match=rf"test_{kind}\.npy: row 3 differs from row 2, .* both the id 2"):
        open_split(tmp_path, "test")


MANIFESTS = {
    "nested": ("[" * 100_000 + "]" * 100_000, "expected an object with the sha256"),
    "another folder": (json.dumps({"sha256": {"../test_ims.npy": "0" * 64}}), r"names '\.\./test_ims\.npy'"),
    "the root": (json.dumps({"sha256": {"/etc/passwd": "0" * 64}}), "names '/etc/passwd'"),
    "no checksum": (json.dumps({"sha256": {"test_ims.npy": ""}}), "the sha256 of test_ims.npy is ''"),
    "a number": (json.dumps({"sha256": {"test_ims.npy": 3}}), "the sha256 of test_ims.npy is '3'"),
    "no array": (json.dumps({"sha256": {}}), r"dev_boxes\.npy: not named in manifest\.json"),
    "not UTF-8": (b"\xff\xfe{}", "expected an object with the sha256"),
    "no name of a file": (json.dumps({"sha256": {"a\0b": "0" * 64}}), "cannot be opened"),
}


@pytest.mark.parametrize("case", MANIFESTS, ids=str)
def test_manifests_of_strangers_are_refused(toy, case):
    content, message = MANIFESTS[case]
    (toy / "manifest.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        verify(toy)


def test_check_sees_that_splits_do_not_fit_each_other(toy):
    np.save(toy / "test_ims.npy", np.load(toy / "test_ims.npy")[:, :, :-1])
    (toy / "manifest.json").unlink()
    found = CliRunner().invoke(app, ["check", str(toy)])
    assert found.exit_code == 1
    assert "test_ims.npy has 11 numbers a region; expected 12, as train_ims.npy has" in found.output
