"""Pictures of results. Every function returns its figure, drawn from data that the caller can check."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from vsrpp_lite.data import Dataset
from vsrpp_lite.evaluate import sweep
from vsrpp_lite.local_attention import attention_map
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.paper import RECALLS
from vsrpp_lite.pictures import boxes, gallery, image_query, quoted, retrieval, text_query  # noqa: F401  named here too
from vsrpp_lite.text import FUNCTION_WORDS, tokenize

MEASURED, PAPER, ATTENDED = "#1f6f8b", "#e07a3f", "#c2185b"


def table(measured: pd.DataFrame, metrics: Sequence[str] = RECALLS) -> Figure:
    """A table of `tables.reproduce`: our mean and 95 % interval a row, the published figure beside it.

    One panel a metric; rows from top to bottom as in the paper. Panels have axes of their own, since the data sets
    differ: what is to be compared is the order of the rows.
    """
    columns = -(-len(metrics) // 2)
    height = 0.9 + 0.42 * len(measured)
    figure, axes = plt.subplots(2, columns, figsize=(4 * columns + 1.2, 2 * height), sharey=True, layout="constrained")
    place = np.arange(len(measured))
    for ax in axes.flat[len(metrics) :]:
        ax.set_axis_off()
    for ax, metric in zip(axes.flat, metrics, strict=False):
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
    """The paired difference of each claim (or effect) with its interval; what reaches over zero is not decided."""
    good, bad = "#2a9d5c", "#c8453b"
    colours = {"reproduced": good, "helps": good, "not reproduced": bad, "hurts": bad, "inconclusive": "#8a8a8a"}
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
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    sns.move_legend(ax, "center left", bbox_to_anchor=(1, 0.5), title=None, frameon=False)
    sns.despine(ax=ax)
    return figure


def mu_effects(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """What each mu adds to mu = 2, text retrieval beside image retrieval: one `ablation.mu_effects` a curve."""
    colours = sns.color_palette("deep", len(curves))
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for ax, direction in zip(axes, ("i2t", "t2i"), strict=True):
        for k, (name, frame) in enumerate(curves.items()):
            line = frame[frame["direction"] == direction]
            beside = line["mu"] + 0.04 * (k - (len(curves) - 1) / 2)  # or bars would hide each other
            ax.vlines(beside, line["lo"], line["hi"], color=colours[k], lw=3, alpha=0.35)
            ax.plot(beside, line["difference"], "o-", color=colours[k], label=name)
        ax.axhline(0, color="black", lw=0.8)
        ax.set(title=title(direction + "_r1").split(",")[0], xlabel="µ")
        ax.grid(axis="y", alpha=0.3)
        sns.despine(ax=ax)
    axes[0].set_ylabel("R@1 + R@5 + R@10, points above µ = 2")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def mu_sweep(
    global_scores: Float[np.ndarray, "I T"],
    local_scores: Float[np.ndarray, "I T"],
    caption_to_image: Int[np.ndarray, " T"],
    mus: Sequence[float] | None = None,
    mu: float | None = None,
) -> Figure:
    """Recall of S_G + mu S_L, from the scores of one model, against mu; see `evaluate.sweep`.

    Args:
        mus: where to look, 0 to 4 and infinity if not given.
        mu: the one to mark.
    """
    mus = [*np.linspace(0, 4, 21).tolist(), np.inf] if mus is None else mus
    marked = [] if mu is None else [mu]
    return curves(sweep(global_scores, local_scores, caption_to_image, sorted({*mus, *marked})), mu)


def curves(swept: pd.DataFrame, mu: float | None = None) -> Figure:
    """What `evaluate.sweep` found, text retrieval beside image retrieval; a row at mu = inf is a dashed level."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    finite = swept[np.isfinite(swept.index)]
    for ax, direction in zip(axes, ("i2t", "t2i"), strict=True):
        for cut, width, alpha in ((1, 3, 1.0), (5, 1.5, 0.55), (10, 1.5, 0.35)):
            line = finite[f"{direction}_r{cut}"]
            ax.plot(line.index, line, color=MEASURED, lw=width, alpha=alpha)
            ax.annotate(
                f"R@{cut}", (line.index[-1], line.iloc[-1]), (6, -8 if cut == 5 else 0), textcoords="offset points"
            )
            if mu is not None:
                here = line.iloc[np.abs(line.index - mu).argmin()]
                ax.plot(mu, here, "o", color=PAPER, ms=8 if cut == 1 else 5)
                offset = (6, -14) if cut == 5 else (6, 7)
                ax.annotate(f"{here:.1f}", (mu, here), offset, textcoords="offset points", color=PAPER)
        if mu is not None:
            ax.axvline(mu, color=PAPER, lw=1, zorder=0)
        for alone in swept[np.isinf(swept.index)][f"{direction}_r1"]:
            ax.axhline(alone, color="black", lw=1, ls="--", label="R@1 of $S_L$ alone")
            ax.legend(loc="lower right", frameon=False)
        ax.set(
            title=f"{title(direction + '_r1').split(',')[0]}, recall (%)", xlabel="µ  (0: $S_G$ alone)", ylim=(0, 104)
        )
        ax.grid(axis="y", alpha=0.3)
        sns.despine(ax=ax)
    return figure


def attention(
    matcher: Matcher, dataset: Dataset, image: int, sentence: str, words: Sequence[int] | None = None
) -> Figure:
    """Which regions each word attends to: the picture once a word, each box as strong as its weight.

    Args:
        words: rows of `attention_weights`: 0 is `<start>`, 1 the first word. Without it, the four content words
            that are rarest in the vocabulary, which tell the most.

    Data without pictures or boxes get a heatmap, words by regions.
    """
    weights = attention_weights(matcher, dataset, image, sentence)
    if words is None:
        rarity = matcher.vocabulary.encode(sentence)[1:-1]  # a vocabulary is in the order of falling counts
        rarity[[word in FUNCTION_WORDS for word in tokenize(sentence)]] = -1
        words = np.sort(1 + np.argsort(-rarity, kind="stable")[:4])
    chosen = weights.iloc[words]
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


def affinities(matcher: Matcher, dataset: Dataset, image: int, layer: int = 0) -> Float[np.ndarray, "R R"]:
    """`RegionGraph.affinity` of one image's real regions, as they reach the layer (0 is the first).

    For systems with a graph (VSRN, VSR++): another raises AttributeError.
    """
    graph, seen = matcher.images.reason.layers[layer], []
    hook = graph.register_forward_hook(lambda graph, inputs, _: seen.append(graph.affinity(*inputs)))
    try:
        mask = matcher.encode_images(dataset[np.array([image])]).mask[0]
    finally:
        hook.remove()
    return seen[0][0][mask][:, mask].numpy(force=True)
