"""Pictures and captions of anybody into the one format: every form of captions, every kind of picture, tiny models."""

import csv
import json
import os
import shutil
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

SCRIPTS = Path(__file__).parent.parent / "data_scripts"
sys.path.insert(0, str(SCRIPTS))

import photographs
import regions
from caption_files import drawn_split, read_caption_file, read_lists
from picture_files import PictureError, read_picture, thumbnail

import vsrpp_lite as vl
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.reproduce import reproduce_tables

pytestmark = pytest.mark.slow

# --- captions -------------------------------------------------------------------------------------

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


# --- pictures -------------------------------------------------------------------------------------

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(width=40, height=20):
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def near(pixel, color):
    return max(abs(a - b) for a, b in zip(pixel, color, strict=True)) < 12


def test_a_picture_on_its_side_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it after a quarter turn to the right
    halves().save(tmp_path / "a.jpg", exif=exif, quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.size == (20, 40)
    assert near(picture.getpixel((10, 5)), RED)  # what was left is now above
    assert near(picture.getpixel((10, 35)), BLUE)


def test_pictures_of_every_kind_become_rgb(tmp_path):
    Image.new("L", (4, 4), 100).save(tmp_path / "grey.png")
    Image.fromarray(np.full((4, 4), 100 * 257, dtype=np.uint16)).save(tmp_path / "sixteen bits.png")
    Image.new("RGB", (4, 4), (100, 100, 100)).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    Image.new("RGB", (4, 4), (100, 100, 100)).save(
        tmp_path / "animated.gif", save_all=True, append_images=[Image.new("RGB", (4, 4), RED)]
    )
    Image.new("P", (4, 4), 0).save(tmp_path / "palette.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "glass.png")
    expected = {"palette": (0, 0, 0), "bits": (255, 255, 255), "glass": (255, 255, 255)}
    for path in tmp_path.iterdir():
        picture = read_picture(path)
        assert picture.mode == "RGB"
        assert near(picture.getpixel((1, 1)), expected.get(path.stem, (100, 100, 100))), path.name


def png(width, height, data=b""):
    """A PNG that says it has this size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def jpeg(tmp_path):
    halves(400, 300).save(tmp_path / "whole.jpg")
    return (tmp_path / "whole.jpg").read_bytes()


BROKEN = {
    "empty": lambda _: (b"", "not a picture"),
    "text": lambda _: (b"a dog", "not a picture"),
    "an html page": lambda _: (b"<html>404</html>", "not a picture"),
    "a bomb": lambda _: (png(60_000, 60_000), "at most 100000000"),
    "a smaller bomb": lambda _: (png(12_000, 10_000), "has 12000 x 10000 pixels; expected at most 100000000"),
    "a PNG without numbers": lambda _: (png(40, 40), "cannot be read|not a picture"),
    "a PNG of no size": lambda _: (png(0, 40), "cannot be read|not a picture"),
    "half a JPEG": lambda tmp_path: (jpeg(tmp_path)[:1500], "cannot be read"),
    "the head of a JPEG": lambda tmp_path: (jpeg(tmp_path)[:30], "cannot be read|not a picture"),
    "the head of a GIF": lambda _: (b"GIF89a", "cannot be read|not a picture"),
    "the head of a TIFF": lambda _: (b"II*\x00\xff\xff\xff\xff", "cannot be read|not a picture"),
    "the head of a WebP": lambda _: (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "cannot be read|not a picture"),
    "noise": lambda _: (bytes(range(256)) * 4, "not a picture"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_pictures_are_named(tmp_path, case):
    content, message = BROKEN[case](tmp_path)
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PictureError, match=rf"a\.jpg: .*({message})"):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("cut", range(40))
def test_a_picture_cut_anywhere_is_read_or_named(tmp_path, cut):
    whole = jpeg(tmp_path)
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) * cut // 40])
    with pytest.raises(PictureError, match=r"a\.jpg: "):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "a link to a device"])
def test_what_is_no_plain_file_is_never_opened(tmp_path, kind):
    path = tmp_path / "a.jpg"
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "a link to a device": lambda: path.symlink_to("/dev/zero"),
    }.get(kind, lambda: None)()
    with pytest.raises(PictureError, match="no such plain file"):
        read_picture(path)


def test_a_thumbnail_keeps_proportions_and_leaves_the_picture():
    picture = halves(1000, 500)
    assert thumbnail(picture).size == (320, 160)
    assert picture.size == (1000, 500)


# --- regions --------------------------------------------------------------------------------------


def test_the_grid_covers_each_picture_five_times():
    """By the whole, by two pairs of halves, by nine cells and by sixteen."""
    left, top, right, bottom = regions.grid_boxes().T
    assert len(left) == 1 + 4 + 9 + 16
    for x in (np.arange(24) + 0.5) / 24:
        for y in (np.arange(24) + 0.5) / 24:
            assert ((left < x) & (x < right) & (top < y) & (y < bottom)).sum() == 5


def test_features_of_a_ramp_are_those_of_the_middle_of_a_box():
    """A map whose number is its place: the mean over a box is the place of the middle of the box."""
    side = 8
    places = (torch.arange(side) + 0.5) / side
    maps = torch.stack([places.expand(side, side), places[:, None].expand(side, side)])[None]  # x, and y
    boxes = torch.tensor([[[0.125, 0.25, 0.375, 0.75], [0.5, 0.5, 0.875, 0.625]]])
    found = regions.region_features(maps, boxes)
    torch.testing.assert_close(found, torch.tensor([[[0.25, 0.5], [0.6875, 0.5625]]]))


def test_each_picture_of_a_batch_has_its_own_map():
    maps = torch.arange(2.0)[:, None, None, None].expand(2, 3, 4, 4)
    found = regions.region_features(maps, torch.tensor([[[0.0, 0, 1, 1]], [[0.2, 0.2, 0.4, 0.4]]]))
    torch.testing.assert_close(found, torch.tensor([[[0.0] * 3], [[1.0] * 3]]))


def test_of_two_boxes_that_overlap_the_surer_stays():
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0.5, 0.5, 1, 1], [0.4, 0.4, 0.3, 0.9], [0, 0, 1, 1]])
    scores = np.array([0.8, 0.9, 0.5, 0.99, 0.2])
    # the first and the second share 0.9 of their union; the fourth is turned round; the last is not sure
    np.testing.assert_allclose(regions.surest(boxes, scores), boxes[[1, 2]], atol=1e-7)


def test_detected_boxes_come_first_and_the_grid_fills_up():
    own = np.array([[0.1, 0.1, 0.2, 0.2]], dtype=np.float32)
    boxes, counts = regions.chosen_boxes([own, np.zeros((0, 4), np.float32)], 36)
    assert counts.tolist() == [31, 30]
    np.testing.assert_array_equal(boxes[0, 0], own[0])
    np.testing.assert_array_equal(boxes[1, 0], [0, 0, 1, 1])
    assert not boxes[1, 30:].any()
    assert regions.chosen_boxes([np.repeat(own, 9, 0)], 5)[1].tolist() == [5]


def test_a_cell_of_yolox_becomes_the_box_that_it_means():
    """The last of 2 x 2 cells, with steps of 32 pixels of 64."""

    class Session:
        def run(self, _, inputs):
            (pixels,) = inputs.values()
            assert pixels.shape == (1, 3, 64, 64)
            assert pixels[0, :, 0, 0].tolist() == [0, 0, 255]  # red, in the order blue, green, red
            assert pixels[0, 0, 40, 0] == 114  # below the picture, which is half as high as it is wide
            found = np.zeros((1, 64 + 16 + 4, 7), dtype=np.float32)
            # of 2 x 2 cells with steps of 32, the last: middle (1 - 0.5, 1 - 0.75) steps, 0.5 steps wide and high
            found[0, -1] = [-0.5, -0.75, np.log(0.5), np.log(0.5), 0.9, 0.1, 0.8]
            return [found]

    detector = regions.OnnxDetector.__new__(regions.OnnxDetector)
    detector.session, detector.side, detector.input = Session(), 64, type("Input", (), {"name": "images"})
    (boxes,) = detector([halves(200, 100)])
    # middle at 16, 8 pixels of a picture of 64 x 32; 16 pixels wide and high
    np.testing.assert_allclose(boxes, [[8 / 64, 0, 24 / 64, 16 / 32]], atol=1e-6)


# --- models, tiny and with random weights ---------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A detector and three backbones in the layout of the hub."""
    import transformers as tf

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    yolos = tf.YolosConfig(**small, image_size=[32, 48], patch_size=16, num_detection_tokens=5, num_labels=2)
    made = {
        "yolos": (
            tf.YolosForObjectDetection(yolos),
            tf.YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 48}),
        ),
        "dinov2": (
            tf.Dinov2Model(tf.Dinov2Config(**small, image_size=28, patch_size=14)),
            tf.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}),
        ),
        "resnet": (
            tf.ResNetModel(tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
            tf.ConvNextImageProcessorPil(size={"shortest_edge": 32}),
        ),
        "clip": (
            tf.CLIPModel(tf.CLIPConfig(vision_config={**small, "image_size": 32, "patch_size": 16}, text_config=small)),
            tf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        ),
    }  # fmt: skip
    for name, (model, processor) in made.items():
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder


@pytest.mark.parametrize(("name", "shape"), [("dinov2", (16, 2, 2)), ("resnet", (16, 4, 4)), ("clip", (16, 2, 2))])
def test_backbones_of_the_hub_give_maps_of_whole_pictures(models, name, shape):
    maps = regions.open_backbone(str(models / name), torch.device("cpu"))([halves(), halves(20, 60), halves()])
    assert maps.shape == (3, *shape)
    torch.testing.assert_close(maps[0], maps[2])
    torch.testing.assert_close(maps[0], maps[1], atol=0.2, rtol=0.2)  # squashed, not cropped: both are half red


def test_a_detector_of_the_hub_gives_relative_boxes(models, monkeypatch):
    monkeypatch.setattr(regions, "SURE", 0.0)
    monkeypatch.setattr(regions, "OVERLAP", 1.0)
    detector = regions.open_detector(str(models / "yolos"), torch.device("cpu"))
    alone = detector([halves(400, 300)])[0]
    assert 1 <= len(alone) <= 5
    assert ((alone >= 0) & (alone <= 1)).all()
    np.testing.assert_allclose(detector([halves(50, 20), halves(400, 300)])[1], alone, atol=1e-6)


class Cells(nn.Module):
    """The numbers of three grids of cells, as YOLOX's, from three convolutions with random weights."""

    def __init__(self):
        super().__init__()
        self.grids = nn.ModuleList(nn.Conv2d(3, 7, step, stride=step) for step in (8, 16, 32))

    def forward(self, pixels):
        cells = torch.cat([grid(pixels / 255).flatten(2) for grid in self.grids], dim=2).mT
        return torch.cat([cells[..., :4], cells[..., 4:].sigmoid()], dim=2)


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    """A detector and a backbone with random weights, exported to ONNX."""
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        for name, model in (("detector", Cells()), ("backbone", backbone)):
            torch.onnx.export(model.eval(), (torch.zeros(1, 3, 64, 64),), folder / f"{name}.onnx", dynamo=True)
    return folder, backbone


def test_models_of_onnx_files_give_boxes_and_maps(onnx_files, monkeypatch):
    folder, backbone = onnx_files
    monkeypatch.setattr(regions, "SURE", 0.1)
    pictures = [halves(200, 100), halves(64, 64)]
    found = regions.open_detector(str(folder / "detector.onnx"), torch.device("cpu"))(pictures)
    assert len(found) == 2
    for boxes in found:
        assert len(boxes) > 1
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[:, :2] < boxes[:, 2:]).all()
    maps = regions.open_backbone(str(folder / "backbone.onnx"), torch.device("cpu"))(pictures)
    with torch.no_grad():
        pixels = regions.squashed(pictures, 64, regions.OnnxBackbone.mean, regions.OnnxBackbone.std)
        torch.testing.assert_close(maps, backbone(pixels), atol=1e-5, rtol=1e-4)


# --- the whole ------------------------------------------------------------------------------------


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
