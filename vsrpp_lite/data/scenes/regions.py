"""A substitute for a detector: it finds regions in a picture and describes each by a vector.

A vector holds only what the pixels of its region show. This module gets a picture and a list of boxes; it never sees
the names, the colours or the relations of the things.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

from vsrpp_lite.data.scenes.descriptors import descriptors
from vsrpp_lite.data.scenes.draw import draw
from vsrpp_lite.data.scenes.plans import FAMILY, sample_scene

R = 8  # largest number of regions per picture
F = 128  # size of a region's feature vector

# The projection is computed from these pictures, which are the same for every data set.
_CALIBRATION_SEED = 20240229  # seed of the pictures
_CALIBRATION = 200  # number of the pictures
_NOISE = 0.1  # standard deviation of the noise that is added to every feature


def detected_regions(
    picture: Image.Image, boxes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """Find and describe regions as an imperfect detector would.

    `boxes` is (K, 4), pixel corners x0, y0, x1, y1. Returns the features (R, F) float32, the relative corners (R, 4)
    float32 in [0, 1], and the number of rows in use. The other rows are zero.
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
    """Return the pixel corners (N, 4) of the N <= R boxes that a detector finds, the most confident first.

    The corners are not exact. The detector sometimes misses a thing, more often if it is small, and sometimes finds a
    thing twice. It also returns a few boxes at random places.
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
    """Add normal noise to each corner; its standard deviation is `amount` of the box's side, but at least a pixel."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return boxes + rng.normal(0, 1, boxes.shape) * np.maximum(amount * sides, 1.0)


def _stray(count: int, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return boxes (count, 4) at random places, with sides of a sixth to a half of the picture's."""
    sides = rng.uniform(1 / 6, 1 / 2, (count, 2)) * size
    start = rng.uniform(0, 1, (count, 2)) * (size - sides)
    return np.concatenate([start, start + sides], axis=1)


def project(described: np.ndarray) -> np.ndarray:
    """Project descriptors (N, D) to features (N, F). Every feature has a variance between about 0.5 and 0.65."""
    mean, projection = _projection()
    return (described - mean) @ projection


@lru_cache(maxsize=1)
def _projection() -> tuple[np.ndarray, np.ndarray]:
    """Compute the fixed projection, a mean (D,) and a matrix (D, F), from pictures that belong to no data set.

    It keeps the F directions in which the descriptors vary most, and gives them similar variances: weak directions
    then count too, but noise is not amplified. A random rotation follows, so that no single feature has a meaning of
    its own, as in the features of a real detector.
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
