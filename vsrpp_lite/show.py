"""Pictures of results. Every function returns its figure, drawn from data that the caller can check."""

from collections.abc import Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from vsrpp_lite.data import Dataset
from vsrpp_lite.evaluate import score
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.paper import RECALLS

MEASURED, PAPER = "#1f6f8b", "#e07a3f"


def table(measured: pd.DataFrame, metrics: Sequence[str] = RECALLS) -> Figure:
    """A table of `tables.reproduce`: our mean and 95 % interval a row, the published figure beside it.

    One panel a metric; rows from top to bottom as in the paper. Panels have axes of their own, since the data sets
    differ: what is to be compared is the order of the rows.
    """
    columns = -(-len(metrics) // 2)
    height = 0.9 + 0.42 * len(measured)
    figure, axes = plt.subplots(2, columns, figsize=(4 * columns + 1.2, 2 * height), sharey=True, layout="constrained")
    place = np.arange(len(measured))
    for ax, metric in zip(axes.flat, metrics, strict=True):
        low, high = measured[f"{metric}_lo"], measured[f"{metric}_hi"]
        ax.hlines(place, low, high, color=MEASURED, lw=3, alpha=0.45)
        sns.scatterplot(
            x=measured[metric], y=place, color=MEASURED, s=60, ax=ax, label="measured, 95 % interval", legend=False
        )
        published = measured[f"{metric}_paper"]
        sns.scatterplot(x=published, y=place, color=PAPER, s=60, marker="D", ax=ax, label="published", legend=False)
        ax.set(title=title(metric), xlabel="", ylabel="", ylim=(len(measured) - 0.4, -0.6))
        ax.set_yticks(place, measured["row"])
        ax.grid(axis="x", alpha=0.3)
        sns.despine(ax=ax, left=True)
        ax.tick_params(axis="y", length=0)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def title(metric: str) -> str:
    """`i2t_r1` in words."""
    direction, _, cut = metric.partition("_r")
    return f"{ {'i2t': 'text retrieval', 't2i': 'image retrieval'}[direction] }, R@{cut} (%)" if cut else metric


def claims(judged: pd.DataFrame) -> Figure:
    """The paired difference of each claim with its interval; what reaches over zero is not decided."""
    colours = {"reproduced": "#2a9d5c", "not reproduced": "#c8453b", "inconclusive": "#8a8a8a"}
    figure, ax = plt.subplots(figsize=(9, 0.8 + 0.55 * len(judged)), layout="constrained")
    for place, row in enumerate(judged.itertuples()):
        ax.hlines(place, row.lo, row.hi, color=colours[row.verdict], lw=4, alpha=0.5)
        ax.plot(row.difference, place, "o", color=colours[row.verdict], ms=8)
        ax.annotate(
            row.verdict,
            (max(row.hi, 0), place),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=colours[row.verdict],
        )
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(judged)), [f"{row.better}  −  {row.worse}" for row in judged.itertuples()])
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(judged) - 0.4, -0.6), xlabel="difference in rsum, points (95 % interval)")
    ax.margins(x=0.25)
    ax.grid(axis="x", alpha=0.3)
    sns.despine(ax=ax, left=True)
    return figure


def history(results: dict[str, pd.DataFrame]) -> Figure:
    """Training as it went: rsum on the dev split by epoch, one line a system."""
    frame = pd.concat([frame.assign(row=row) for row, frame in results.items()], ignore_index=True)
    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    sns.lineplot(
        frame.assign(epoch=frame["epoch"] + 1), x="epoch", y="dev.rsum", hue="row", marker="o", errorbar=None, ax=ax
    )
    ax.set(ylabel="rsum on dev", xlabel="epoch")
    sns.move_legend(ax, "center left", bbox_to_anchor=(1, 0.5), title=None, frameon=False)
    sns.despine(ax=ax)
    return figure


def retrieval(matcher: Matcher, dataset: Dataset, sentence: str, top: int = 5) -> Figure:
    """The pictures that a typed sentence finds, best first, with their scores."""
    found = score(matcher.similarity, matcher.encode_images(dataset), matcher.encode_texts([sentence]))[:, 0]
    best = np.argsort(-found, kind="stable")[:top].tolist()
    figure, axes = plt.subplots(1, len(best), figsize=(2.6 * len(best), 2.6), layout="constrained", squeeze=False)
    for place, (ax, image) in enumerate(zip(axes.flat, best, strict=True), 1):
        picture(ax, dataset, image)
        ax.set_title(f"{place}.  S = {found[image]:.2f}", fontsize=10)
    figure.suptitle(f"“{sentence}”", fontsize=11)
    return figure


def gallery(dataset: Dataset, images: Sequence[int], columns: int = 4) -> Figure:
    """Pictures of a split, each under its first caption."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.9 * rows), layout="constrained", squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image in zip(axes.flat, images, strict=False):
        picture(ax, dataset, image)
        ax.set_title(fill(dataset.captions_of(image)[0].rstrip(" ."), 38), fontsize=9)
    return figure


def picture(ax: Axes, dataset: Dataset, image: int) -> None:
    """One picture on an axis, or its first caption, where the data have no pictures."""
    path = dataset.picture(image)
    ax.set_axis_off()
    if path is None:
        ax.text(0.5, 0.5, dataset.captions_of(image)[0], ha="center", va="center", wrap=True, fontsize=8)
    else:
        ax.imshow(Image.open(path))
