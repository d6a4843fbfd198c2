"""Exercises of `00_start_here`."""

from collections.abc import Mapping

import numpy as np

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.teaching.verdict import exercise, number
from vsrpp_lite.training.metrics import score


@exercise
def exercise1(text_r1: float, image_r1: float) -> str:
    """R@1 of the 4 x 4 matrix, in per cent: of text retrieval and of image retrieval."""
    number(text_r1, 75, {"That is R@1 before the change.": 50, "A recall is a share, in per cent.": 0.75})
    number(image_r1, 100, {"Look at column 2: which entry is its largest now?": 75, "Give per cent.": 1.0})
    return "Row 1 and column 2 now have their own 0.6 on top."


@exercise
def exercise2(common: int, matcher: Matcher, test: Dataset) -> str:
    """How many of the first five pictures the two searches share."""
    sides = [f"a white horse {side} of a brown car" for side in ("left", "right")]
    found = score(matcher.similarity, matcher.encode_images(test), matcher.encode_texts(sides))
    firsts = [set(np.argsort(-column)[:5].tolist()) for column in found.T]
    number(
        common,
        len(firsts[0] & firsts[1]),
        {"Count the pictures that both searches have, not those of either.": len(firsts[0] | firsts[1])},
    )
    return "The more they share, the less the side counts."


@exercise
def exercise3(image_r10: float, text_r10: float, test: Dataset) -> str:
    """R@10 by chance, in per cent: of image retrieval and of text retrieval."""
    images, texts = len(test), len(test.captions)
    number(image_r10, 1000 / images, {"Give per cent, not a share.": 10 / images}, within=0.02)
    by_chance = 100 * (1 - (1 - 10 / texts) ** (texts / images))
    mistakes: Mapping[str, float] = {
        "A picture has several right sentences. It is enough that one of them is among the first ten.": 1000 / texts,
        "Give per cent, not a share.": by_chance / 100,
    }
    number(text_r10, by_chance, mistakes, within=0.02)
    return "The two are nearly the same: five times the answers, among five times the candidates."
