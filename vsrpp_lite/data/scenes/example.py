"""One example: a pure function of (seed, split, index), so that no order of calls matters."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vsrpp_lite.data.scenes.captions import annotate
from vsrpp_lite.data.scenes.draw import draw
from vsrpp_lite.data.scenes.plans import SPLITS, sample_scene
from vsrpp_lite.data.scenes.regions import describe
from vsrpp_lite.data.scenes.world import Scene


@dataclass(frozen=True)
class Drawn:
    """A picture with its captions, and its regions as a detector would find them."""

    scene: Scene
    picture: Image.Image  # 256 x 192 RGB
    features: np.ndarray  # (R, F) float32, zero in unused rows
    boxes: np.ndarray  # (R, 4) float32 relative corners x0, y0, x1, y1, zero in unused rows
    count: int  # how many rows are in use
    captions: list[str]  # five


def make_example(seed: int, split: str, index: int) -> Drawn:
    """The example `index` of the data set `seed`; `split` is "train", "dev" or "test"."""
    rng = np.random.default_rng([seed, SPLITS[split], index, 1])
    scene = sample_scene(seed, split, index)
    picture, extents = draw(scene)
    features, boxes, count = describe(picture, extents, rng)
    return Drawn(scene, picture, features, boxes, count, annotate(scene, rng))
