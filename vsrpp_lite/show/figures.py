"""Figures of measured numbers: tables, claims, histories, curves of mu. Every function returns its figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vsrpp_lite.paper.published import RECALLS
from vsrpp_lite.training.evaluate import sweep

TASKS = {"i2t": "text retrieval", "t2i": "image retrieval"}
MEASURED, PAPER = "#1f6f8b", "#e07a3f"


def table(measured: pd.DataFrame, metrics: Sequence[str] = RECALLS) -> Figure:
    """A table of `Table.measure`: our mean and 95 % interval a row, the published figure beside it.

    One panel a metric; rows from top to bottom as in the paper. Panels have axes of their own, since the data sets
    differ: what is to be compared is the order of the rows.
    """
    columns = -(-len(metrics) // 2)
    height = 0.9 + 0.42 * len(measured)
    figure, axes = plt.subplots(2, columns, figsize=(4 * columns + 1.2, 2 * height), sharey=True, layout="constrained")
    heights = np.arange(len(measured))
    for ax in axes.flat[len(metrics) :]:
        ax.set_axis_off()
    for ax, metric in zip(axes.flat, metrics, strict=False):
        low, high = measured[f"{metric}_lo"], measured[f"{metric}_hi"]
        ax.hlines(heights, low, high, color=MEASURED, lw=3, alpha=0.45)
        sns.scatterplot(
            x=measured[metric], y=heights, color=MEASURED, s=60, ax=ax, label="measured, 95 % interval", legend=False
        )
        published = measured[f"{metric}_paper"]
        sns.scatterplot(x=published, y=heights, color=PAPER, s=60, marker="D", ax=ax, label="published", legend=False)
        ax.set(title=title(metric), xlabel="", ylabel="", ylim=(len(measured) - 0.4, -0.6))
        ax.set_yticks(heights, measured["row"])
        ax.grid(axis="x", alpha=0.3)
        sns.despine(ax=ax, left=True)
        ax.tick_params(axis="y", length=0)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def title(metric: str) -> str:
    """`i2t_r1` in words."""
    direction, _, cut = metric.partition("_r")
    return f"{TASKS[direction]}, R@{cut} (%)" if cut else metric


def _comparison(row: Any) -> str:
    """What a claim compares, and by which metric if that is not rsum."""
    metric = getattr(row, "metric", "rsum")
    compared = f"{row.better}  −  {row.worse}"
    return compared if metric == "rsum" else f"{compared}\n({METRIC_NAMES[metric]})"


METRIC_NAMES = {
    "i2t": "summed recalls of text retrieval",
    "t2i": "summed recalls of image retrieval",
    "i2t - t2i": "lead of text over image retrieval",
}


def claims(judged: pd.DataFrame) -> Figure:
    """The paired difference of each claim (or effect) with its interval; what reaches over zero is not decided.

    Differences are in rsum; a claim about another metric is labelled with it.
    """
    good, bad = "#2a9d5c", "#c8453b"
    colours = {"reproduced": good, "helps": good, "not reproduced": bad, "hurts": bad, "inconclusive": "#8a8a8a"}
    figure, ax = plt.subplots(figsize=(9, 0.8 + 0.55 * len(judged)), layout="constrained")
    for height, row in enumerate(judged.itertuples()):
        ax.hlines(height, row.lo, row.hi, color=colours[row.verdict], lw=4, alpha=0.5)
        ax.plot(row.difference, height, "o", color=colours[row.verdict], ms=8)
        ax.annotate(
            row.verdict,
            (max(row.hi, 0), height),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=colours[row.verdict],
        )
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(judged)), [_comparison(row) for row in judged.itertuples()])
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
        ax.set(title=TASKS[direction], xlabel="µ")
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
        ax.set(title=f"{TASKS[direction]}, recall (%)", xlabel="µ  (0: $S_G$ alone)", ylim=(0, 104))
        ax.grid(axis="y", alpha=0.3)
        sns.despine(ax=ax)
    return figure
