"""Pictures of every kind become RGB, upright; what is no whole picture is named and never half read."""

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import BLUE, RED, halves
from PIL import Image

SCRIPTS = Path(__file__).parent.parent / "data_scripts"
sys.path.insert(0, str(SCRIPTS))

from picture_files import PictureError, read_picture, thumbnail

pytestmark = pytest.mark.slow


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
