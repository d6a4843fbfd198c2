"""Figures of what a model attends to: words and regions in local attention, and regions in the graph of regions."""

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
from vsrpp_lite.data.text import FUNCTION_WORDS, Tokenizer, check_sentence
from vsrpp_lite.gcn_reasoning import GCNReasoning, RegionGraph
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.show.alt import describe
from vsrpp_lite.show.pictures import attended, boxes, quoted

ATTENDED = "#c2185b"


def attention(
    matcher: Matcher, dataset: Dataset, image: int, sentence: str, words: Sequence[int] | None = None
) -> Figure:
    """Draw the attention between the regions of an image and a few words of a sentence.

    The figure shows the picture once per word, clear where the word looks and faded elsewhere. The larger a weight, the
    stronger the box of its region; a weight below the mean has no box. If the data have no pictures or no boxes, the
    figure is a heatmap of words by regions.

    Args:
        words: the rows of `attention_weights` to draw: 0 is `<start>`, and 1 is the first word. By default, the four
            content words that are rarest in the vocabulary, since they tell the most.

    Raises:
        ValueError: the system has no attention between regions and words, or the sentence has no word.
    """
    weights = attention_weights(matcher, dataset, image, sentence)
    chosen = weights.iloc[rarest(matcher.tokenizer, sentence) if words is None else list(words)]
    tops = ((word, int(row.to_numpy().argmax()), row.max()) for word, row in chosen.iterrows())
    told = ", ".join(f"“{word}” looks most at region {region} ({weight:.2f})" for word, region, weight in tops)
    text = f"Attention between the regions of a picture and words of “{sentence.rstrip(' .')}”: {told}."
    if dataset.boxes is None or dataset.picture(image) is None:
        figure, ax = plt.subplots(figsize=(2 + 0.4 * weights.shape[1], 1.2 + 0.4 * len(chosen)), layout="constrained")
        sns.heatmap(chosen, cmap="Blues", vmin=0, ax=ax, cbar_kws={"label": "attention"})
        ax.set(xlabel="region", ylabel="")
        ax.set_title(quoted(sentence, 60), parse_math=False)
        ax.tick_params(axis="y", rotation=0)
        return describe(figure, text)
    figure, axes = plt.subplots(1, len(chosen), figsize=(3.2 * len(chosen), 3.1), layout="constrained", squeeze=False)
    even = float(weights.to_numpy().mean())  # 1 / R if words ask, and 1 / W if regions ask
    for ax, (word, row) in zip(axes.flat, chosen.iterrows(), strict=True):
        attended(ax, dataset, image, row.to_numpy(), even, ATTENDED)
        ax.set_title(word, parse_math=False)
    figure.suptitle(quoted(sentence, 36 * len(chosen)), fontsize=11, parse_math=False)
    return describe(figure, text)


def rarest(tokenizer: Tokenizer, sentence: str) -> list[int]:
    """Return the positions of the four rarest content words of a sentence, in the order of the sentence.

    Position 0 is `<start>`. A sentence of function words alone has the four rarest of these. The vocabulary
    must be sorted by falling counts, as this package writes it. That of an imported checkpoint may not be.
    """
    ids = tokenizer.encode(sentence)
    words = range(1, len(ids) - 1)
    content = [position for position in words if tokenizer.words[ids[position]] not in FUNCTION_WORDS] or words
    # a vocabulary is sorted by falling counts, so a rare word has a large id
    return sorted(sorted(content, key=lambda position: -ids[position])[:4])


def attention_weights(matcher: Matcher, dataset: Dataset, image: int, sentence: str) -> pd.DataFrame:
    """Return the attention (W, R) between the words of a sentence and the regions of one image, as the system has it.

    If words attend to regions, each row sums to one; if regions attend to words, each column does. The first row is
    `<start>`, and the last row is `<end>`.

    Raises:
        ValueError: the system has no attention between regions and words, or the sentence has no word.
    """
    if matcher.attention is None:
        raise ValueError("this system has no attention between regions and words to show")
    check_sentence(sentence)
    regions = matcher.encode_images(dataset[np.array([image])])
    texts = matcher.encode_texts(sentence)
    weights = matcher.attention(regions.fragments[0, regions.mask[0]], texts.fragments[0]).numpy(force=True)
    return pd.DataFrame(weights, index=[matcher.tokenizer.words[k] for k in matcher.tokenizer.encode(sentence)])


def affinity(matcher: Matcher, dataset: Dataset, image: int, region: int | None = None, layer: int = 0) -> Figure:
    """Draw the graph of an image in one layer: what one region takes from the others, and the whole matrix.

    If the data have no pictures or no boxes, the figure shows the matrix alone.

    Args:
        region: the row of `affinities` to draw. By default, the row of the `busiest` region.
        layer: the layer of the graph; 0 is the first.

    Raises:
        ValueError: the system has no graph of regions.
    """
    matrix = affinities(matcher, dataset, image, layer)
    region = busiest(matrix) if region is None else region
    drawn = dataset.boxes is not None and dataset.picture(image) is not None
    panels = 2 if drawn else 1
    figure, axes = plt.subplots(1, panels, figsize=(4.6 * panels, 3.8), layout="constrained", squeeze=False)
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
    largest = int(np.abs(matrix[region]).argmax())
    told = f"The largest affinity of region {region}, in size, is {matrix[region][largest]:.2f}, from region {largest}"
    whole = f"The largest of the whole matrix has the size {most:.2f}"
    return describe(figure, f"Affinities of {len(matrix)} regions in layer {layer + 1}. {told}. {whole}.")


def busiest(matrix: Float[np.ndarray, "R R"]) -> int:
    """Return the region that takes the most from the other regions: the row with the largest sum of absolute values."""
    return int(np.abs(matrix - np.diag(matrix.diagonal())).sum(1).argmax())


class _Reasoning(Protocol):
    """An image encoder that has a graph of regions."""

    reason: GCNReasoning


def graph_layers(matcher: Matcher) -> list[RegionGraph]:
    """Return the layers of graph reasoning of a system that has them, such as VSRN and VSR++.

    Raises:
        ValueError: the system has no graph of regions.
    """
    reason = cast(_Reasoning, matcher.images).reason if hasattr(matcher.images, "reason") else None
    if reason is None or not len(reason.layers):
        raise ValueError("this model has no graph of regions to show")
    return [cast(RegionGraph, layer) for layer in reason.layers]


def affinities(matcher: Matcher, dataset: Dataset, image: int, layer: int = 0) -> Float[np.ndarray, "R R"]:
    """Return the affinity matrix of one image's real regions in a layer; see `RegionGraph.affinity`.

    Layer 0 is the first. Every layer sees the regions as the layers before it have left them.

    Raises:
        ValueError: the system has no graph of regions.
    """
    graph = graph_layers(matcher)[layer]
    seen: list[Tensor] = []
    hook = graph.register_forward_hook(lambda graph, inputs, _: seen.append(graph.affinity(*inputs)))
    try:
        mask = matcher.encode_images(dataset[np.array([image])]).mask[0]
    finally:
        hook.remove()
    return seen[0][0][mask][:, mask].numpy(force=True)
