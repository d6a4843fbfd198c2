"""Figures of the pictures of a split: what a sentence or a picture finds, and where the regions are."""

import math
from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.text import check_sentence
from vsrpp_lite.matcher import Matcher, evaluating
from vsrpp_lite.show.alt import describe
from vsrpp_lite.training.metrics import score


def picture(ax: Axes, dataset: Dataset, image: int) -> None:
    """Show one picture on an axis, or its first caption if the data have no pictures."""
    path = dataset.picture(image)
    ax.set_axis_off()
    if path is None:
        words = fill(dataset.captions_of(image)[0], 32, max_lines=6, placeholder=" …")
        ax.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, parse_math=False)
    else:
        with Image.open(path) as opened:  # a grey picture would get false colours
            ax.imshow(opened.convert("RGB"))


def boxes(
    ax: Axes, dataset: Dataset, image: int, weights: Float[np.ndarray, " R"], colours: Sequence
) -> Float[np.ndarray, "R 2"]:
    """Show a faded picture with one rectangle per region. The larger a weight (0 to 1), the stronger the rectangle.

    Returns one point in each box, in pixels, where a label can stand. Two boxes may lie in the same place, so the
    points stand at different shares of the width of their boxes.

    Raises:
        ValueError: the data set has no boxes, or no pictures.
    """
    corners = _picture_with_corners(ax, dataset, image)
    ax.images[0].set_alpha(0.7)
    for (x0, y0, x1, y1), weight, colour in zip(corners, weights, colours, strict=True):
        shape = {"xy": (x0, y0), "width": x1 - x0, "height": y1 - y0, "fill": False}  # a fill would change the colours
        ax.add_patch(Rectangle(**shape, color=colour, alpha=0.15 + 0.85 * weight, lw=0.5 + 4 * weight))
    along = (np.arange(len(corners)) + 1) / (len(corners) + 1)
    return np.stack([corners[:, 0] + along * (corners[:, 2] - corners[:, 0]), corners[:, 1::2].mean(1)], 1)


def attended(
    ax: Axes, dataset: Dataset, image: int, weights: Float[np.ndarray, " R"], even: float, colour: str
) -> None:
    """Show a picture that fades where no attention goes, and the boxes of regions that have more than their share.

    A pixel is as clear as the mean weight of the regions that cover it, compared with the clearest pixel. The mean
    keeps regions that lie over each other, as on photographs, from adding up to more attention than each of them has.
    A region whose weight lies far above `even` gets a strong rectangle. `even` is the weight that each region would
    have if the attention were equal for all regions.

    Raises:
        ValueError: the data set has no boxes, or no pictures.
    """
    corners = _picture_with_corners(ax, dataset, image)
    total, count = np.zeros((2, *ax.images[0].get_size()))
    for (x0, y0, x1, y1), weight in zip(corners, weights, strict=True):
        covered = np.s_[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)]
        total[covered] += weight
        count[covered] += 1
        # the square root makes the difference between small weights visible. If there is a single region, `even` is 1,
        # and this region has all the attention
        strength = (max(weight - even, 0) / (1 - even)) ** 0.5 if even < 1 else 1.0
        rectangle = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color=colour, alpha=strength, lw=4 * strength)
        ax.add_patch(rectangle)
    mean = total / np.maximum(count, 1)
    ax.images[0].set_alpha(1 - 0.8 * (1 - mean / mean.max()))


def _picture_with_corners(ax: Axes, dataset: Dataset, image: int) -> Float[np.ndarray, "R 4"]:
    """Show a picture, and return the corners x0, y0, x1, y1 of its regions in pixels."""
    if dataset.boxes is None or dataset.picture(image) is None:
        found = "no boxes" if dataset.boxes is None else "boxes and no pictures"
        raise ValueError(f"{dataset.folder}: found {found}; expected both")
    picture(ax, dataset, image)
    height, width = ax.images[0].get_size()
    return dataset.boxes[image][dataset.mask[image]] * [width, height, width, height]


def gallery(dataset: Dataset, images: Sequence[int], columns: int = 4) -> Figure:
    """Show pictures of a split, each under its first caption."""
    rows = math.ceil(len(images) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.9 * rows), layout="constrained", squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image in zip(axes.flat, images, strict=False):
        picture(ax, dataset, image)
        ax.set_title(fill(dataset.captions_of(image)[0].rstrip(" ."), 38), fontsize=9, parse_math=False)
    told = "; ".join(dataset.captions_of(image)[0].rstrip(" .") for image in images)
    return describe(figure, f"{len(images)} pictures, each under its first caption: {told}.")


def retrieval(matcher: Matcher, dataset: Dataset, sentence: str, top: int = 5) -> Figure:
    """Show the `top` pictures that a sentence finds, the best first, with their scores.

    Raises:
        ValueError: the sentence has no word.
    """
    check_sentence(sentence)
    with evaluating(matcher):
        scores = score(matcher.similarity, matcher.encode_images(dataset), matcher.encode_texts([sentence]))[:, 0]
    return pictures_found({"": scores}, dataset, sentence, top)


def text_query(rows: Mapping[str, Float[np.ndarray, "I T"]], dataset: Dataset, text: int, top: int = 3) -> Figure:
    """Show the pictures that several systems find for one caption of the split.

    Args:
        rows: the scores of each system, by its name.
        text: the position of the caption in the split.
    """
    columns = {name: scores[:, text] for name, scores in rows.items()}
    return pictures_found(columns, dataset, dataset.captions[text], top, int(dataset.caption_to_image[text]))


def image_query(rows: Mapping[str, Float[np.ndarray, "I T"]], dataset: Dataset, image: int, top: int = 3) -> Figure:
    """Show the captions that several systems find for one image, with a check at each of its own captions.

    Args:
        rows: the scores of each system, by its name.
        image: the position of the image in the split.
    """
    image = range(len(dataset))[image]  # a position may count from the end
    return captions_found({name: scores[image] for name, scores in rows.items()}, dataset, image, top)


def pictures_found(
    rows: Mapping[str, Float[np.ndarray, " I"]], dataset: Dataset, sentence: str, top: int, right: int | None = None
) -> Figure:
    """Show the best pictures by each row of scores.

    If `right`, the position of the right picture, is known, the figure also shows checks, crosses and its place, which
    counts from 1.
    """
    top = min(top, len(dataset))
    size = 2.6 * top, 2.4 * len(rows) + 0.3
    figure, axes = plt.subplots(len(rows), top, figsize=size, layout="constrained", squeeze=False)
    for line, (name, scores) in zip(axes, rows.items(), strict=True):
        shown = best(scores, top)
        decimals = next((d for d in (2, 3) if len(set(scores[shown].round(d))) == top), 2)  # to tell them apart
        for position, (ax, image) in enumerate(zip(line, shown, strict=True), 1):
            picture(ax, dataset, image)
            ax.set_title(f"{position}.  score {scores[image]:.{decimals}f}", fontsize=10)
            if right is not None:
                mark(ax, 0.08, 0.9, image == right)
        if right is not None:
            place = (scores >= scores[right]).sum()
            title = f"{name}: right picture at place {place}\n"
            line[0].set_title(title, fontsize=10, fontweight="bold", loc="left", parse_math=False)
    figure.suptitle(quoted(sentence, 30 * top), fontsize=11, parse_math=False)
    told = []
    for name, scores in rows.items():
        captions = "; ".join(dataset.captions_of(image)[0].rstrip(" .") for image in best(scores, top))
        place = "" if right is None else f", which has the right picture at place {(scores >= scores[right]).sum()}"
        told.append(f"{name or 'the matcher'}{place}: {captions}")
    asked = sentence.rstrip(" .")
    return describe(figure, f"Pictures found for “{asked}”, told by their first captions. By {'. By '.join(told)}.")


def captions_found(rows: Mapping[str, Float[np.ndarray, " T"]], dataset: Dataset, image: int, top: int) -> Figure:
    """Show a picture and the best captions by each row of scores.

    A check marks the picture's own captions, and a cross marks those of other pictures.
    """
    height = max(2.6, len(rows) * (0.5 + 0.42 * top))
    panels = [f"row {number}" for number in range(len(rows))]  # not the names, which may be anything
    figure, axes = plt.subplot_mosaic(
        [["picture", panel] for panel in panels], figsize=(10, height), width_ratios=(1, 1.6), layout="constrained"
    )
    picture(axes["picture"], dataset, image)
    for panel, (name, scores) in zip(panels, rows.items(), strict=True):
        ax = axes[panel]
        ax.set_axis_off()
        ax.set_title(name, loc="left", fontsize=11, fontweight="bold", parse_math=False)
        for position, text in enumerate(best(scores, top)):
            height = 1 - (position + 0.5) / top
            mark(ax, 0.03, height, bool(dataset.caption_to_image[text] == image))
            words = fill(dataset.captions[text].rstrip(" ."), 60, max_lines=2, placeholder=" …")
            ax.text(0.08, height, words, transform=ax.transAxes, fontsize=10, va="center", parse_math=False)
    told = []
    for name, scores in rows.items():
        found = best(scores, top)
        own = sum(int(dataset.caption_to_image[text] == image) for text in found)
        shown = "; ".join(dataset.captions[text].rstrip(" .") for text in found)
        told.append(f"{name or 'the matcher'}, {own} of {len(found)} written for it: {shown}")
    asked = dataset.captions_of(image)[0].rstrip(" .")
    return describe(figure, f"Sentences found for the picture of “{asked}”. By {'. By '.join(told)}.")


def quoted(sentence: str, width: int) -> str:
    """Return a sentence in quotation marks, in lines of at most `width` letters, to be a title."""
    return fill(f"“{sentence.rstrip(' .')}”", width)


def best(scores: Float[np.ndarray, " N"], top: int) -> list[int]:
    """Return the positions of the `top` highest scores, the highest first."""
    return np.argsort(-scores, kind="stable")[:top].tolist()


def mark(ax: Axes, x: float, y: float, right: bool) -> None:
    """Draw a check or a cross that is readable on any picture. `x` and `y` are shares of the axis, 0 to 1."""
    glyph, colour = ("✓", "#2a9d5c") if right else ("✗", "#c8453b")
    disc = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": colour}
    ax.text(
        x, y, glyph, transform=ax.transAxes, color=colour, fontsize=13, family="DejaVu Sans",
        ha="center", va="center", bbox=disc,
    )  # fmt: skip
