"""Captions of anybody: every form of file, and what is wrong with one."""

import json
import os
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "data_scripts"
sys.path.insert(0, str(SCRIPTS))

from caption_files import drawn_split, read_caption_file, read_lists

from vsrpp_lite.data.errors import DataError

pytestmark = pytest.mark.slow

TOLD = {"a.jpg": ["A dog runs .", 'Two dogs, "running"'], "b.jpg": ["Straße im Regen"]}
KARPATHY = {
    "images": [
        {"filename": "a.jpg", "split": "restval", "sentences": [{"raw": c} for c in TOLD["a.jpg"]]},
        {"filename": "b.jpg", "split": "val", "sentences": [{"raw": " Straße\n im Regen "}]},
    ]
}
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 7, "caption": "A dog runs ."},
        {"image_id": 9, "caption": "Straße im Regen"},
        {"image_id": 7, "caption": 'Two dogs, "running"'},
    ],
}
FORMS = {
    "Flickr8k.token.txt": 'a.jpg#0\tA dog runs .\na.jpg#1\tTwo dogs, "running"\nb.jpg#0\tStraße im Regen\n',
    "captions.txt": 'image,caption\na.jpg,A dog runs .\na.jpg,"Two dogs, ""running"""\nb.jpg,Straße im Regen\n',
    "results.csv": (
        'image_name| comment_number| comment\na.jpg| 0| A dog runs .\na.jpg| 1| Two dogs, "running"\n'
        "b.jpg| 0   Straße im Regen\n"  # one row of the released file lacks a mark
    ),
    "mine.tsv": 'Caption\tFile\nA dog runs .\ta.jpg\n"Two dogs, ""running"""\ta.jpg\nStraße  im Regen\tb.jpg\n',
    "mine.jsonl": "".join(json.dumps({"image": name, "caption": said}) + "\n" for name, said in TOLD.items()),
    "dataset.json": json.dumps(KARPATHY),
    "captions_val2014.json": json.dumps(COCO),
    "with a mark.txt": '\ufeffa.jpg#0\tA dog runs .\na.jpg#1\tTwo dogs, "running"\nb.jpg#0\tStraße im Regen\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_captions_are_read_in_every_form(tmp_path, name):
    path = tmp_path / name
    path.write_text(FORMS[name], encoding="utf-8")
    found = read_caption_file(path)
    assert found.captions == TOLD
    assert found.splits == ({"a.jpg": "train", "b.jpg": "dev"} if name == "dataset.json" else {})


def test_accents_are_composed(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("image,caption,split\na.jpg,un cafe\u0301,TEST\n", encoding="utf-8")
    found = read_caption_file(path)
    assert found.captions == {"a.jpg": ["un caf\u00e9"]}
    assert found.splits == {"a.jpg": "test"}


def test_empty_lines_before_a_header_and_an_empty_last_cell_are_read(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text("\nimage\tcaption\tsplit\na.jpg\ta dog\t\nb.jpg\ta cat\tval\n")
    found = read_caption_file(path)
    assert found.captions == {"a.jpg": ["a dog"], "b.jpg": ["a cat"]}
    assert found.splits == {"b.jpg": "dev"}


def changed(**entry):
    return json.dumps({"images": [KARPATHY["images"][0] | entry]})


def annotated(**entry):
    return json.dumps(COCO | {"annotations": [COCO["annotations"][0] | entry]})


HEAD = "image,caption\n"
MALFORMED = {
    "empty": ("", "holds no caption|begins ''"),
    "white space": (" \n \n", "begins ''"),
    "a header alone": (HEAD, "holds no caption"),
    "prose": ("A dog runs over the grass.\n", "begins 'A dog runs over the grass.'; expected lines of"),
    "a header without an image": ("who,caption\na,b\n", "begins 'who,caption'"),
    "a header without a caption": ("image,said\na,b\n", "begins 'image,said'"),
    "a column less": (HEAD + "a.jpg,a dog\nb.jpg\n", "line 3 has 1 columns; expected 2"),
    "a column more": (HEAD + "a.jpg,a dog, a cat\n", "line 2 has 3 columns; expected 2"),
    "a quotation mark that does not end": (HEAD + 'a.jpg,"a dog\n' * 3, "line 3: .*; expected columns"),
    "no caption": (HEAD + "a.jpg,\n", "line 2: the caption is '', without a word"),
    "no word": (HEAD + "a.jpg,?!\n", r"line 2: the caption is '\?!', without a word"),
    "no image": (HEAD + ",a dog\n", "line 2: the image is ''; expected the name of a file"),
    "an image of a thousand letters": (HEAD + "a" * 1001 + ",a dog\n", "line 2: the image is 'aaa"),
    "a caption of a novel": (HEAD + "a.jpg," + "dog " * 700 + "\n", "line 2: the caption has 2799 characters"),
    "a caption of ten megabytes": (HEAD + "a.jpg," + "d" * 10**7 + "\n", "line 2 is longer than 10000 bytes"),
    "a bell": (HEAD + "a.jpg,a \a dog\n", "line 2: the caption holds a control character"),
    "zero bytes": (HEAD + "a.jpg,a dog\n" * 2000 + "a.jpg,a\0dog\n", "line 2002 holds a zero byte"),
    "an unknown split": ("image,caption,split\na.jpg,a dog,later\n", "line 2: the split is 'later'; expected train"),
    "two splits": ("image,caption,split\na.jpg,a,train\na.jpg,b,val\n", "line 3: a.jpg is in dev; before"),
    "UTF-16": (FORMS["captions.txt"].encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (FORMS["captions.txt"].encode("utf-16-le"), "as UTF-16 and UTF-32 do; expected UTF-8"),
    "Latin-1": (FORMS["captions.txt"].encode("latin-1"), "line 4 is not UTF-8"),
    "a picture": (b"\xff\xd8\xff\xe0" + bytes(range(256)), "expected lines of|not UTF-8|begins"),
    "a token line without a number": ("a.jpg#0\ta dog\nb.jpg\ta cat\n", r"line 2 is 'b.jpg\\ta cat'; expected name"),
    "a token line without a caption": ("a.jpg#0\ta dog\nb.jpg#0\n", "line 2 is 'b.jpg#0'; expected name.jpg#0"),
    "a token line of a mark": ("a.jpg#0\ta dog\nb.jpg#0\t.\n", "line 2: the caption is '.', without a word"),
    "JSON that ends": ('{"images": [{"filename"', "not JSON"),
    "nested JSON": ("[" * 100_000, "not JSON"),
    "a JSON list of numbers": ("[1, 2]", "has no list of images"),
    "a JSON object of nothing": ("{}", "expected a JSON object|the image is|has no list"),
    "images that are words": ('{"images": ["a.jpg"]}', "has no list of images"),
    "no images": ('{"images": []}', "holds no caption"),
    "no sentences": (changed(sentences=None), r"images\[0\] has the sentences 'None'"),
    "sentences that are words": (changed(sentences=["a dog"]), r"images\[0\] has the sentences"),
    "a sentence without raw": (changed(sentences=[{"tokens": ["a"]}]), r"images\[0\]: the caption is 'None'"),
    "a sentence that is a number": (changed(sentences=[{"raw": 3}]), r"images\[0\]: the caption is '3'"),
    "no file name": (changed(filename=None), r"images\[0\]: the image is 'None'"),
    "a split that is a number": (changed(split=3), r"images\[0\]: the split is '3'"),
    "an annotation of no image": (annotated(image_id=8), r"annotations\[0\] is .*expected the id of one"),
    "an annotation that is a word": (json.dumps(COCO | {"annotations": ["a"]}), r"annotations\[0\] is 'a'"),
    "an annotation without a caption": (annotated(caption=None), r"annotations\[0\]: the caption is 'None'"),
    "an id that is a list": (annotated(image_id=[7]), r"annotations\[0\] is"),
    "a JSON line that ends": ('{"image": "a.jpg", "caption": "a dog"}\n{"image": \n', "line 2 is .*expected a JSON"),
    "a JSON line that is a list": ('{"image": "a.jpg", "caption": "a dog"}\n[1]\n', "line 2 is '.1.'; expected a"),
    "a JSON line without a caption": ('{"image": "a.jpg"}\n', "line 1: the caption is 'None'"),
    "a JSON line without an image": ('{"caption": "a dog"}\n', "line 1: the image is 'None'"),
    "a JSON line of numbers": ('{"image": "a.jpg", "caption": [1]}\n', "line 1: the caption is '1'"),
    "lines of an old Mac": ("a.jpg#0\ta dog\ra.jpg#1\ta cat\r", "its lines end in a carriage return alone"),
    "a table of an old Mac": ("image,caption\ra.jpg,a dog\r", "its lines end in a carriage return alone"),
    "a JSON line of lists": ('{"image": ["a.jpg"], "caption": "a dog"}\n', "line 1: the image is"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_malformed_captions_are_named(tmp_path, case):
    content, message = MALFORMED[case]
    path = tmp_path / "captions"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as error:
        read_caption_file(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_a_captions_file_that_is_none_is_named(tmp_path, kind):
    path = tmp_path / "captions"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(DataError, match=f"captions: (found a )?{kind}"):
        read_caption_file(path)


def test_lists_tell_splits_by_their_names(tmp_path):
    for name, pictures in (("trainImages", "a.jpg\nb.jpg\n"), ("devImages", "c.jpg\n"), ("testImages", "d.jpg\n")):
        (tmp_path / f"Flickr_8k.{name}.txt").write_text(pictures)
    assert read_lists(sorted(tmp_path.iterdir())) == {
        "a.jpg": "train",
        "b.jpg": "train",
        "c.jpg": "dev",
        "d.jpg": "test",
    }
    (tmp_path / "another_test.txt").write_text("a.jpg\n")
    with pytest.raises(DataError, match=r"line 1, a\.jpg stands in the list of (test|train) too"):
        read_lists(sorted(tmp_path.iterdir()))
    with pytest.raises(DataError, match="the name tells no split, or two"):
        read_lists([tmp_path / "list.txt"])


def test_a_name_draws_its_split_and_keeps_it():
    splits = [drawn_split(f"{k}.jpg") for k in range(10_000)]
    assert splits == [drawn_split(f"{k}.jpg") for k in range(10_000)]
    for split, share in (("train", 0.8), ("dev", 0.1), ("test", 0.1)):  # a standard deviation is 0.004 at most
        assert splits.count(split) / 10_000 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("coco_restval.txt", "train"), ("latest_train.txt", "train"), ("Flickr_8k.devImages.txt", "dev")),
        *(("validation.txt", "dev"), ("contest-test.txt", "test"), ("trainlist.txt", "train")),
    ],
)
def test_the_split_of_a_list_is_a_word_of_its_name(tmp_path, name, split):
    """`restval` holds `val`, and `latest` holds `test`, but neither is a word of these names."""
    (tmp_path / name).write_text("a.jpg\n")
    assert read_lists([tmp_path / name]) == {"a.jpg": split}
