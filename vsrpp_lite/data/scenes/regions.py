"""A stand-in for a detector: regions of a picture, each described by a fixed vector.

What a region's vector knows is what its pixels show.  A box list only says where to look; names,
colours and everything else symbolic stay outside this module.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from vsrpp_lite.data.scenes.descriptors import descriptors
from vsrpp_lite.data.scenes.draw import draw
from vsrpp_lite.data.scenes.plans import FAMILY, sample_scene

R = 8  # regions in a picture, at most
F = 128  # numbers that describe a region

_CALIBRATION_SEED = 20240229  # of the pictures that fix the projection: the same for every data set
_CALIBRATION = 200  # of them
_NOISE = 0.1


def describe(picture: Image.Image, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Find and describe regions as an imperfect detector would.

    ``boxes`` is (K, 4) in pixel corners.  Returns features (R, F) float32, relative corners
    (R, 4) float32 in [0, 1], and how many of the R rows are in use; the other rows are zero.
    """
    corners = _detect(boxes, picture.size, rng)
    count = len(corners)
    features = np.zeros((R, F), np.float32)
    relative = np.zeros((R, 4), np.float32)
    if count:
        relative[:count] = corners / np.tile(picture.size, 2)
        noise = rng.normal(0, _NOISE, (count, F)).astype(np.float32)
        features[:count] = project(descriptors(picture, corners)) + noise
    return features, relative, count


def _detect(boxes: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Jittered pixel corners (N <= R, 4), the most confident first.

    Objects are sometimes missed (small ones more often) and sometimes found twice; a few boxes
    lie anywhere.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    area = sides.prod(axis=1)
    missed = rng.random(len(boxes)) < 0.04 + 0.2 * np.exp(-area / 250.0)
    found = boxes[~missed & (area >= 40)]
    twice = found[rng.random(len(found)) < 0.25]
    stray = _stray(int(rng.integers(1, 4)), size, rng)
    corners = np.concatenate([_shake(found, 0.05, rng), _shake(twice, 0.13, rng), stray])
    belief = np.repeat([2.0, 1.2, 0.4], [len(found), len(twice), len(stray)])
    order = np.argsort(-(belief + rng.normal(0, 0.6, len(belief))), kind="stable")
    corners = np.clip(corners[order], 0, np.tile(size, 2))
    wide_enough = (corners[:, 2:] - corners[:, :2] >= 4).all(axis=1)
    return corners[wide_enough][:R]


def _shake(boxes: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Move each corner by a normal share ``amount`` of the box's sides, and at least by a pixel."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return boxes + rng.normal(0, 1, boxes.shape) * np.maximum(amount * sides, 1.0)


def _stray(count: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Boxes of a sixth to a half of the picture's sides, anywhere in it."""
    sides = rng.uniform(1 / 6, 1 / 2, (count, 2)) * size
    start = rng.uniform(0, 1, (count, 2)) * (size - sides)
    return np.concatenate([start, start + sides], axis=1)


def project(described: np.ndarray) -> np.ndarray:
    """Descriptors (N, D) to features (N, F), each number of about unit variance."""
    mean, projection = _projection()
    return (described - mean) @ projection


@lru_cache(maxsize=1)
def _projection() -> tuple[np.ndarray, np.ndarray]:
    """The fixed map: mean (D,) and matrix (D, F), from pictures that belong to no data set.

    The F directions in which descriptors vary most, evened out, so that faint ones count too but noise is not
    blown up, then turned at random: like a detector's features, no single number means anything.
    """
    rng = np.random.default_rng(_CALIBRATION_SEED)
    seen = []
    for index in range(_CALIBRATION):
        picture, boxes = draw(sample_scene(_CALIBRATION_SEED, "train", FAMILY * index))
        seen.append(descriptors(picture, _detect(boxes, picture.size, rng)))
    every = np.concatenate(seen).astype(np.float64)
    variance, directions = np.linalg.eigh(np.cov(every.T))
    variance, directions = variance[-F:], directions[:, -F:]
    turn, _ = np.linalg.qr(rng.normal(size=(F, F)))
    evened = directions / np.sqrt(variance + np.median(variance))
    return every.mean(0).astype(np.float32), (evened @ turn).astype(np.float32)
