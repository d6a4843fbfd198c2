"""Pictures of results. Every function returns its figure, drawn from data that the caller can check."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from vsrpp_lite.data import Dataset
from vsrpp_lite.evaluate import score, sweep
from vsrpp_lite.local_attention import attention_map
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.paper import RECALLS

MEASURED, PAPER = "#1f6f8b", "#e07a3f"
RIGHT, WRONG = ("✓", "#2a9d5c"), ("✗", "#c8453b")


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


def mu_sweep(
    global_scores: np.ndarray,
    local_scores: np.ndarray,
    caption_to_image: np.ndarray,
    mus: Sequence[float] | None = None,
    mu: float | None = None,
) -> Figure:
    """Recall of S_G + mu S_L (both (I, T), of one model) against mu, and `mu` marked; see `evaluate.sweep`."""
    mus = [*np.linspace(0, 4, 21), np.inf] if mus is None else mus
    return curves(sweep(global_scores, local_scores, caption_to_image, np.union1d(mus, [] if mu is None else mu)), mu)


def curves(swept: pd.DataFrame, mu: float | None = None) -> Figure:
    """What `evaluate.sweep` found, text retrieval beside image retrieval; a row at mu = inf is a dashed level."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    finite = swept[np.isfinite(swept.index)]
    for ax, direction in zip(axes, ("i2t", "t2i"), strict=True):
        for cut, width, alpha in ((1, 3, 1.0), (5, 1.5, 0.55), (10, 1.5, 0.35)):
            line = finite[f"{direction}_r{cut}"]
            ax.plot(line.index, line, color=MEASURED, lw=width, alpha=alpha)
            ax.annotate(f"R@{cut}", (line.index[-1], line.iloc[-1]), (6, 0), textcoords="offset points", va="center")
            if mu is not None:
                here = line.iloc[np.abs(line.index - mu).argmin()]
                ax.plot(mu, here, "o", color=PAPER, ms=8 if cut == 1 else 5)
                ax.annotate(f"{here:.1f}", (mu, here), (0, 9), textcoords="offset points", ha="center", color=PAPER)
        if mu is not None:
            ax.axvline(mu, color=PAPER, lw=1, zorder=0)
        for alone in swept[np.isinf(swept.index)][f"{direction}_r1"]:
            ax.axhline(alone, color="black", lw=1, ls="--", label="R@1 of $S_L$ alone")
            ax.legend(loc="lower right", frameon=False)
        ax.set(title=f"{title(direction + '_r1').split(',')[0]}, recall (%)", xlabel="µ  (0: $S_G$ alone)")
        ax.grid(axis="y", alpha=0.3)
        sns.despine(ax=ax)
    return figure


def attention(
    matcher: Matcher, dataset: Dataset, image: int, sentence: str, words: Sequence[int] | None = None
) -> Figure:
    """Which regions each word attends to: the picture once a word, each box as strong as its weight.

    Args:
        words: rows of `attention_weights`: 0 is `<start>`, 1 the first word. Without it, the four whose attention
            is the most concentrated.

    Data without pictures or boxes get a heatmap, words by regions.
    """
    weights = attention_weights(matcher, dataset, image, sentence)
    if words is None:
        words = np.sort(1 + np.argsort(-weights.max(1)[1:-1], kind="stable")[:4])
    chosen = weights.iloc[words]
    if dataset.boxes is None or dataset.picture(image) is None:
        figure, ax = plt.subplots(figsize=(2 + 0.4 * weights.shape[1], 1.2 + 0.4 * len(chosen)), layout="constrained")
        sns.heatmap(chosen, cmap="Blues", vmin=0, ax=ax, cbar_kws={"label": "attention"})
        ax.set(xlabel="region", ylabel="", title=f"“{sentence}”")
        return figure
    figure, axes = plt.subplots(1, len(chosen), figsize=(3.2 * len(chosen), 3.1), layout="constrained", squeeze=False)
    for ax, (word, row) in zip(axes.flat, chosen.iterrows(), strict=True):
        picture(ax, dataset, image)
        boxes(ax, dataset, image, row.to_numpy(), [PAPER] * len(row))
        ax.set_title(word)
    figure.suptitle(f"“{sentence}”", fontsize=11)
    return figure


def attention_weights(matcher: Matcher, dataset: Dataset, image: int, sentence: str) -> pd.DataFrame:
    """(W, R), how much each word of a sentence looks at each region of one image; rows sum to one.

    As VSR++ attends: words to regions, temperature 9. The first and last row are `<start>` and `<end>`.
    """
    regions = matcher.encode_images(dataset[np.array([image])])
    texts = matcher.encode_texts([sentence])
    weights = attention_map(regions.fragments[0, regions.mask[0]], texts.fragments[0]).numpy(force=True)
    return pd.DataFrame(weights, index=[matcher.vocabulary.words[k] for k in matcher.vocabulary.encode(sentence)])


def affinity(matcher: Matcher, dataset: Dataset, image: int, region: int | None = None, layer: int = 0) -> Figure:
    """The graph of an image in one layer: what one region takes from the others, and the matrix of all.

    Args:
        region: the row of `affinities` that is drawn; without it, the one that takes most.
    """
    matrix = affinities(matcher, dataset, image, layer)
    if region is None:
        region = int(np.abs(matrix - np.diag(matrix.diagonal())).sum(1).argmax())
    drawn = dataset.boxes is not None and dataset.picture(image) is not None
    figure, axes = plt.subplots(1, 1 + drawn, figsize=(5 + 5 * drawn, 4), layout="constrained", squeeze=False)
    most = np.abs(matrix).max()
    colours = plt.get_cmap("RdBu_r")(0.5 + matrix[region] / most / 2)
    if drawn:
        ax = axes.flat[0]
        picture(ax, dataset, image)
        centres = boxes(ax, dataset, image, np.abs(matrix[region]) / most, colours)
        for (x, y), colour, weight in zip(centres, colours, matrix[region] / most, strict=True):
            ax.plot([centres[region][0], x], [centres[region][1], y], color=colour, lw=5 * abs(weight))
        for k, centre in enumerate(centres):
            ax.annotate(k, centre, ha="center", va="center", bbox={"boxstyle": "circle", "fc": "white", "lw": 0.5})
        ax.set_title(f"what region {region} takes from each region")
    ax = axes.flat[-1]
    sns.heatmap(matrix, cmap="RdBu_r", center=0, vmin=-most, vmax=most, square=True, ax=ax)
    ax.add_patch(Rectangle((0, region), len(matrix), 1, fill=False, lw=2))
    ax.set(xlabel="from region", ylabel="region", title=f"affinity, layer {layer + 1}")
    return figure


def affinities(matcher: Matcher, dataset: Dataset, image: int, layer: int = 0) -> np.ndarray:
    """(R, R), `RegionGraph.affinity` of one image's real regions, as they reach the layer (0 is the first)."""
    graph, seen = matcher.images.reason.layers[layer], []
    hook = graph.register_forward_hook(lambda graph, inputs, _: seen.append(graph.affinity(*inputs)))
    try:
        mask = matcher.encode_images(dataset[np.array([image])]).mask[0]
    finally:
        hook.remove()
    return seen[0][0][mask][:, mask].numpy(force=True)


def boxes(ax: Axes, dataset: Dataset, image: int, weights: np.ndarray, colours: Sequence) -> np.ndarray:
    """A rectangle a region on its picture, as opaque and as wide as its weight, 0 to 1: their centres, in pixels."""
    height, width = ax.images[0].get_size()
    corners = dataset.boxes[image][dataset.mask[image]] * [width, height, width, height]
    for (x0, y0, x1, y1), weight, colour in zip(corners, weights, colours, strict=True):
        shape = (x0, y0), x1 - x0, y1 - y0
        ax.add_patch(Rectangle(*shape, color=colour, alpha=0.7 * weight, lw=0))
        ax.add_patch(Rectangle(*shape, fill=False, color=colour, alpha=0.2 + 0.8 * weight, lw=0.5 + 4 * weight))
    return (corners[:, :2] + corners[:, 2:]) / 2


def retrieval(matcher: Matcher, dataset: Dataset, sentence: str, top: int = 5) -> Figure:
    """The pictures that a typed sentence finds, best first, with their scores."""
    scores = score(matcher.similarity, matcher.encode_images(dataset), matcher.encode_texts([sentence]))[:, 0]
    return found({"": scores}, dataset, sentence, top)


def text_query(rows: Mapping[str, np.ndarray], dataset: Dataset, text: int, top: int = 3) -> Figure:
    """A sentence of the split and the pictures that each system, a name with its (I, T) scores, finds for it."""
    columns = {name: scores[:, text] for name, scores in rows.items()}
    return found(columns, dataset, dataset.captions[text], top, right=dataset.caption_to_image[text])


def found(
    rows: Mapping[str, np.ndarray], dataset: Dataset, sentence: str, top: int, right: int | None = None
) -> Figure:
    """The best pictures by each row of scores (I,), checked where `right` is known, and at which rank that stands."""
    size = 2.6 * top, 2.7 * len(rows) + 0.3
    figure, axes = plt.subplots(len(rows), top, figsize=size, layout="constrained", squeeze=False)
    for line, (name, scores) in zip(axes, rows.items(), strict=True):
        for place, (ax, image) in enumerate(zip(line, np.argsort(-scores, kind="stable").tolist(), strict=False), 1):
            picture(ax, dataset, image)
            ax.set_title(f"{place}.  S = {scores[image]:.2f}", fontsize=10)
            if right is not None:
                mark, colour = RIGHT if image == right else WRONG
                ax.text(0.03, 0.95, mark, transform=ax.transAxes, color=colour, fontsize=22, va="top")
        if right is not None:
            rank = (scores >= scores[right]).sum()
            line[0].set_title(f"{name}: the right picture at rank {rank}", fontsize=10, loc="left")
    figure.suptitle(f"“{sentence}”", fontsize=11)
    return figure


def image_query(rows: Mapping[str, np.ndarray], dataset: Dataset, image: int, top: int = 3) -> Figure:
    """A picture and the captions that each system, a name with its (I, T) scores, finds for it: its own checked."""
    height = max(2.6, len(rows) * (0.5 + 0.42 * top))
    figure, axes = plt.subplot_mosaic(
        [["picture", name] for name in rows], figsize=(10, height), width_ratios=(1, 1.6), layout="constrained"
    )
    picture(axes["picture"], dataset, image)
    for name, scores in rows.items():
        ax = axes[name]
        ax.set_axis_off()
        ax.set(ylim=(top, 0), xlim=(0, 1))
        ax.set_title(name, loc="left", fontsize=11, fontweight="bold")
        for place, text in enumerate(np.argsort(-scores[image], kind="stable")[:top].tolist()):
            mark, colour = RIGHT if dataset.caption_to_image[text] == image else WRONG
            ax.text(0, place + 0.5, mark, color=colour, fontsize=16, va="center")
            ax.text(0.06, place + 0.5, fill(dataset.captions[text], 62), fontsize=10, va="center")
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
