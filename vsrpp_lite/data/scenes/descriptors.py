"""Numbers that describe how a box of a picture looks: its colours, gradients, layout, surroundings and place.

N is the number of boxes.
"""

import numpy as np
from PIL import Image

_PATCH = 24  # side, in pixels, of the square to which every crop is scaled
_BINS = 5  # number of soft bins for each of red, green and blue
_CELLS, _ANGLES = 4, 8  # number of cells along each side of the crop, and of orientations in each cell
_THUMB = 6  # side, in pixels, of the thumbnail that shows the layout
_RING = 10  # side, in pixels, of the wider crop that shows the surroundings


def descriptors(picture: Image.Image, corners: np.ndarray) -> np.ndarray:
    """Return the descriptors (N, D) float32 of N boxes, before their projection: five blocks of comparable length.

    `corners` is (N, 4), in pixels.
    """
    size = np.array(picture.size)
    sides = corners[:, 2:] - corners[:, :2]
    wider = np.clip(corners + np.concatenate([-sides, sides], 1) * 0.3, 0, np.tile(size, 2))
    crops = _crops(picture, corners, _PATCH)
    start, end = corners[:, :2] / size, corners[:, 2:] / size
    shape = np.log(sides[:, :1] / sides[:, 1:]) / 2, np.sqrt((end - start).prod(1, keepdims=True))
    blocks = [
        _colours(crops) - _BINS**-1.5,
        _gradients(crops) - 1 / np.sqrt(_CELLS**2 * _ANGLES),
        _layout(crops),
        0.5 * _surround(_crops(picture, wider, _RING)),
        np.concatenate([start - 0.5, end - 0.5, end - start, *shape], 1),
    ]
    return np.concatenate(blocks, axis=1, dtype=np.float32)


def _crops(picture: Image.Image, corners: np.ndarray, side: int) -> np.ndarray:
    """Scale the pixels of each box to a square; return (N, side, side, 3) float32 in [0, 1]."""
    squares = [picture.resize((side, side), Image.Resampling.BILINEAR, box=tuple(box)) for box in corners.tolist()]
    return np.stack([np.asarray(square) for square in squares]).astype(np.float32) / 255


def _colours(crops: np.ndarray) -> np.ndarray:
    """Return the square root of a soft colour histogram, (N, B^3). Pixels in the middle of the crop count more."""
    bins = np.arange(_BINS, dtype=np.float32)
    pixels = crops.reshape(len(crops), -1, 3, 1) * (_BINS - 1)
    shares = np.maximum(0, 1 - np.abs(pixels - bins))  # (N, P, 3, B): each pixel counts in two neighbouring bins
    red, green, blue = (shares[:, :, channel] for channel in range(3))
    away = np.linspace(-1, 1, _PATCH, dtype=np.float32) ** 2
    weight = np.exp(-1.5 * (away[:, None] + away)).reshape(-1, 1)
    pairs = (green[..., :, None] * blue[..., None, :]).reshape(*green.shape[:2], -1)
    joint = (red * weight / weight.sum()).swapaxes(1, 2) @ pairs
    return np.sqrt(joint.reshape(len(crops), -1))


def _gradients(crops: np.ndarray) -> np.ndarray:
    """Return the square root of the histograms of orientations in a grid of cells, (N, cells^2 * angles)."""
    grey = np.pad(crops.mean(3), ((0, 0), (1, 1), (1, 1)), mode="edge")
    dx = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    dy = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    strength = np.hypot(dx, dy)
    turn = np.arctan2(dy, dx) / np.pi * _ANGLES  # half a turn gives the same orientation again
    lower = np.floor(turn)
    upper_share = turn - lower
    block = _PATCH // _CELLS
    cell = np.arange(_PATCH) // block
    cell = np.arange(len(crops))[:, None, None] * _CELLS**2 + cell[:, None] * _CELLS + cell
    flat = np.zeros(len(crops) * _CELLS**2 * _ANGLES)
    for angle, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
        slot = cell * _ANGLES + angle.astype(np.int64) % _ANGLES
        flat += np.bincount(slot.ravel(), (share * strength).ravel(), len(flat))
    histograms = flat.reshape(len(crops), -1)
    return np.sqrt(histograms / (histograms.sum(1, keepdims=True) + 1e-6))


def _layout(crops: np.ndarray) -> np.ndarray:
    """Return a small thumbnail less its mean colour, as a vector no longer than one, (N, T * T * 3)."""
    block = _PATCH // _THUMB
    thumb = crops.reshape(len(crops), _THUMB, block, _THUMB, block, 3).mean((2, 4))
    flat = (thumb - thumb.mean((1, 2), keepdims=True)).reshape(len(crops), -1)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 0.1)


def _surround(wider: np.ndarray) -> np.ndarray:
    """Return the mean colours of the strips above, below, left and right of the box, (N, 12)."""
    strips = (wider[:, :2], wider[:, -2:], wider[:, :, :2], wider[:, :, -2:])
    return np.concatenate([strip.mean((1, 2)) for strip in strips], axis=1) - 0.5
