"""Figures of what a model attends to: words and regions in local attention, regions among each other in the graph."""

from collections.abc import Sequence
from typing import Protocol, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.text import FUNCTION_WORDS, Tokenizer
from vsrpp_lite.gcn_reasoning import GCNReasoning, RegionGraph
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.show.pictures import boxes, quoted

ATTENDED = "#c2185b"


def attention(
    matcher: Matcher, dataset: Dataset, image: int, sentence: str, words: Sequence[int] | None = None
) -> Figure:
    """The attention between regions and a few words: the picture once for each word, boxes as strong as their weights.

    Args:
        words: rows of `attention_weights`: 0 is `<start>`, 1 the first word. Without it, the four content words
            that are rarest in the vocabulary, which tell the most.

    Data without pictures or boxes get a heatmap, words by regions.
    """
    weights = attention_weights(matcher, dataset, image, sentence)
    chosen = weights.iloc[rarest(matcher.tokenizer, sentence) if words is None else list(words)]
    if dataset.boxes is None or dataset.picture(image) is None:
        figure, ax = plt.subplots(figsize=(2 + 0.4 * weights.shape[1], 1.2 + 0.4 * len(chosen)), layout="constrained")
        sns.heatmap(chosen, cmap="Blues", vmin=0, ax=ax, cbar_kws={"label": "attention"})
        ax.set(xlabel="region", ylabel="", title=quoted(sentence, 60))
        ax.tick_params(axis="y", rotation=0)
        return figure
    figure, axes = plt.subplots(1, len(chosen), figsize=(3.2 * len(chosen), 3.1), layout="constrained", squeeze=False)
    for ax, (word, row) in zip(axes.flat, chosen.iterrows(), strict=True):
        boxes(ax, dataset, image, row.to_numpy(), [ATTENDED] * len(row))
        ax.set_title(word)
    figure.suptitle(quoted(sentence, 36 * len(chosen)), fontsize=11)
    return figure


def rarest(tokenizer: Tokenizer, sentence: str, count: int = 4) -> list[int]:
    """Positions of the rarest content words among the tokens of a sentence, in the order of the sentence."""
    ids = tokenizer.encode(sentence)
    content = [position for position in range(1, len(ids) - 1) if tokenizer.words[ids[position]] not in FUNCTION_WORDS]
    # a vocabulary is in the order of falling counts
    return sorted(sorted(content, key=lambda position: -ids[position])[:count])


def attention_weights(matcher: Matcher, dataset: Dataset, image: int, sentence: str) -> pd.DataFrame:
    """(W, R), the attention between each word of a sentence and each region of one image, as the system computes it.

    Where words attend to regions each row sums to one; where regions attend to words, each column. The first and the
    last row are `<start>` and `<end>`.

    Raises:
        ValueError: the system has no attention between regions and words.
    """
    if matcher.attention is None:
        raise ValueError("this system has no attention between regions and words to show")
    regions = matcher.encode_images(dataset[np.array([image])])
    texts = matcher.encode_texts(sentence)
    weights = matcher.attention(regions.fragments[0, regions.mask[0]], texts.fragments[0]).numpy(force=True)
    return pd.DataFrame(weights, index=[matcher.tokenizer.words[k] for k in matcher.tokenizer.encode(sentence)])


def affinity(matcher: Matcher, dataset: Dataset, image: int, region: int | None = None, layer: int = 0) -> Figure:
    """The graph of an image in one layer: what one region takes from the others, and the matrix of all.

    Args:
        region: the row of `affinities` that is drawn; without it, the `busiest`.
    """
    matrix = affinities(matcher, dataset, image, layer)
    region = busiest(matrix) if region is None else region
    drawn = dataset.boxes is not None and dataset.picture(image) is not None
    figure, axes = plt.subplots(1, 1 + drawn, figsize=(4.6 + 4.6 * drawn, 3.8), layout="constrained", squeeze=False)
    most = np.abs(matrix).max()
    if drawn:
        share = matrix[region] / most
        colours = plt.get_cmap("RdBu_r")(0.5 + 0.5 * share)
        ax = axes.flat[0]
        points = boxes(ax, dataset, image, np.abs(share), list(colours))
        for k, (point, colour) in enumerate(zip(points, colours, strict=True)):
            ax.plot(*np.stack([points[region], point], 1), color=colour, lw=6 * abs(share[k]))
            disc = {"boxstyle": "circle,pad=0.2", "fc": "white", "ec": "black", "lw": 2.5 if k == region else 0.5}
            ax.text(*point, k, ha="center", va="center", fontsize=9, bbox=disc)
        ax.set_title(f"what region {region} takes from each region")
    ax = axes.flat[-1]
    scale = {"label": "affinity (either sign)"}
    sns.heatmap(matrix, cmap="RdBu_r", vmin=-most, vmax=most, square=True, ax=ax, cbar_kws=scale)
    ax.add_patch(Rectangle((0, region), len(matrix), 1, fill=False, lw=2, clip_on=False))
    ax.set(xlabel="from region", ylabel="region", title=f"layer {layer + 1}")
    ax.tick_params(axis="y", rotation=0)
    return figure


def busiest(matrix: Float[np.ndarray, "R R"]) -> int:
    """The region that takes most from the others."""
    return int(np.abs(matrix - np.diag(matrix.diagonal())).sum(1).argmax())


class _Reasoning(Protocol):
    """An image encoder with a graph of regions."""

    reason: GCNReasoning


def graph_layers(matcher: Matcher) -> list[RegionGraph]:
    """The layers of graph reasoning of a system that has them, such as VSRN and VSR++.

    Raises:
        AttributeError: the system has no graph of regions.
    """
    return [cast(RegionGraph, layer) for layer in cast(_Reasoning, matcher.images).reason.layers]


def affinities(matcher: Matcher, dataset: Dataset, image: int, layer: int = 0) -> Float[np.ndarray, "R R"]:
    """`RegionGraph.affinity` of one image's real regions, as they reach the layer (0 is the first).

    Raises:
        AttributeError: the system has no graph of regions.
    """
    graph = graph_layers(matcher)[layer]
    seen: list[Tensor] = []
    hook = graph.register_forward_hook(lambda graph, inputs, _: seen.append(graph.affinity(*inputs)))
    try:
        mask = matcher.encode_images(dataset[np.array([image])]).mask[0]
    finally:
        hook.remove()
    return seen[0][0][mask][:, mask].numpy(force=True)
