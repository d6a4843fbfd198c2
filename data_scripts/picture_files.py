"""Read photographs as they are meant to be seen, and refuse what pretends to be one."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST_PIXELS = 100_000_000
"""Pixels of the largest picture that is read. A small file may claim to be much larger: a decompression bomb."""
THUMBNAIL = 320
"""Pixels of the longer side of the pictures that are kept for looking at them."""


class PictureError(ValueError):
    """A file is no picture that can be read; the message says why."""


def read_picture(path: Path) -> Image.Image:
    """Return a picture as RGB, turned upright. Of several frames, it is the first; what is transparent becomes white.

    Raises:
        PictureError: the file is missing, is no whole picture, or has more than `LARGEST_PIXELS` pixels.
    """
    if not path.is_file():  # a pipe or a device would never end
        raise PictureError(f"{path}: no such plain file; expected a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes, which are looked at below, and of odd metadata
            with Image.open(path) as opened:
                if opened.width * opened.height > LARGEST_PIXELS:
                    raise PictureError(
                        f"{path}: has {opened.width} x {opened.height} pixels; expected at most {LARGEST_PIXELS}"
                    )
                opened.load()
                return _as_rgb(ImageOps.exif_transpose(opened))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: {error}; expected at most {LARGEST_PIXELS} pixels") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture of a known kind; expected JPEG, PNG, or another one") from error
    except Exception as error:  # Pillow's decoders raise errors of many types on broken files
        raise PictureError(f"{path}: cannot be read ({error}); expected a whole picture") from error


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":  # 16 bits and more, of which Pillow would keep the lowest 8
        numbers = np.asarray(picture, dtype=np.float64)
        most = 65535 if numbers.max() > 255 else 255
        picture = Image.fromarray((numbers.clip(0, most) * (255 / most)).round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def thumbnail(picture: Image.Image) -> Image.Image:
    """Return a small copy of a picture, with the same proportions."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return small
