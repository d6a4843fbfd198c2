"""One example of the embedded data set.

An example depends on its seed, split and index alone, so the order of the calls does not matter.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vsrpp_lite.data.scenes.captions import annotate
from vsrpp_lite.data.scenes.draw import draw
from vsrpp_lite.data.scenes.plans import SPLITS, sample_scene
from vsrpp_lite.data.scenes.regions import detected_regions
from vsrpp_lite.data.scenes.world import Scene


@dataclass(frozen=True)
class Drawn:
    """A scene, its picture, its captions, and its regions as a detector would find them.

    R and F are the constants of `regions`: regions per picture, and numbers per region.
    """

    scene: Scene
    picture: Image.Image  # 256 x 192 RGB
    features: np.ndarray  # (R, F) float32; unused rows are zero
    boxes: np.ndarray  # (R, 4) float32, relative corners x0, y0, x1, y1; unused rows are zero
    count: int  # number of rows in use
    captions: list[str]  # five captions


def make_example(seed: int, split: str, index: int) -> Drawn:
    """Make the example `index` of a split ("train", "dev" or "test") of the data set with this seed."""
    rng = np.random.default_rng([seed, SPLITS[split], index, 1])
    scene = sample_scene(seed, split, index)
    picture, extents = draw(scene)
    features, boxes, count = detected_regions(picture, extents, rng)
    return Drawn(scene, picture, features, boxes, count, annotate(scene, rng))
