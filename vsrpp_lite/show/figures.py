"""Figures of measured numbers: tables, claims, training histories and curves over mu.

Every public function but `title` returns a figure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vsrpp_lite.show.alt import describe
from vsrpp_lite.training.metrics import sweep

TASKS = {"i2t": "text retrieval", "t2i": "image retrieval"}
MEASURED, PAPER = "#1f6f8b", "#e07a3f"


def table(measured: pd.DataFrame) -> Figure:
    """Draw a table that `Table.measure` returned: the order of its rows by rsum, published and measured, and our rsum.

    The left panel joins each row's published place with its measured one. Places can be compared; the numbers beside
    them are of different data and cannot, so they share no axis. The right panel has our means and 95 % intervals. If
    a row has no published figure, there is no left panel. Whether a move may be chance is for `claims` to say.
    """
    compared = bool(measured["rsum_paper"].notna().all())
    size = (10.5 if compared else 5.5, 1.1 + 0.42 * len(measured))
    figure, axes = plt.subplots(1, 1 + compared, figsize=size, squeeze=False, layout="constrained")
    if compared:
        _places(axes[0, 0], measured)
    ax, heights = axes[0, -1], np.arange(len(measured))
    ax.hlines(heights, measured["rsum_lo"], measured["rsum_hi"], color=MEASURED, lw=3, alpha=0.45)
    ax.plot(measured["rsum"], heights, "o", color=MEASURED, ms=7)
    ax.set(title="rsum, ours, with 95 % interval", ylim=(len(measured) - 0.4, -0.6))
    ax.set_yticks(heights, measured["row"])
    ax.grid(axis="x", alpha=0.3)
    sns.despine(ax=ax, left=True)
    ax.tick_params(axis="y", length=0)
    ordered = measured.sort_values("rsum", ascending=False)
    told = ", ".join(
        f"{row.row} {row.rsum:.1f} ({row.rsum_lo:.1f} to {row.rsum_hi:.1f})" for row in ordered.itertuples()
    )
    before = measured.sort_values("rsum_paper", ascending=False)["row"]
    published = f" The published order: {', '.join(before)}." if compared else ""
    return describe(figure, f"Rows in the order of our rsum, with 95 % intervals: {told}.{published}")


MOVES = {1: ("#6a3d9a", " ▲"), 0: ("#6b6b6b", ""), -1: ("#8c5a00", " ▼")}
"""Colour and mark of a row that comes out higher than published, at its place, or lower."""


def _places(ax: Axes, measured: pd.DataFrame) -> None:
    """Join the place of each row in the published order by rsum with its place in ours. Rows that move are coloured."""
    published, ours = (measured[name].rank(ascending=False, method="first") for name in ("rsum_paper", "rsum"))
    for row, before, after in zip(measured.itertuples(), published, ours, strict=True):
        colour, mark = MOVES[int(np.sign(before - after))]
        ax.plot([0, 1], [before, after], "o-", color=colour, lw=2, ms=6)
        ax.text(-0.06, before, f"{row.row}  {row.rsum_paper:.1f}", ha="right", va="center", color=colour)
        ax.text(1.06, after, f"{row.rsum:.1f}  {row.row}{mark}", ha="left", va="center", color=colour)
    key = "▲ higher than published   ▼ lower   (the claims say which moves may be chance)"
    ax.text(0.5, len(measured) + 0.6, key, ha="center", va="center", fontsize=9)
    ax.set(title="order by rsum: published, and ours", xlim=(-1.1, 2.1), ylim=(len(measured) + 0.8, 0.4))
    ax.set_axis_off()


def study(lines: pd.DataFrame) -> Figure:
    """Draw what a tuning study found with its first seed: rsum on dev of every system, by setting.

    The settings stand in the order of their learning rates. Below each stand its rate and, in brackets, its number.
    Neighbours differ in more than the rate. A ring marks each system's best setting.

    Args:
        lines: one line per run, as `paper.study` writes them.
    """
    first = lines[lines["seed"] == 0].sort_values(["learning_rate", "draw"])
    settings = first.drop_duplicates("draw")
    place = pd.Series(range(len(settings)), index=settings["draw"])
    first = first.assign(place=first["draw"].map(place))
    figure, ax = plt.subplots(figsize=(9, 5), layout="constrained")
    rows = list(first["row"].unique())[::-1]  # the last row is the paper's own system, and gets the first colour
    style = {"x": "place", "y": "dev_rsum", "hue": "row", "style": "row", "hue_order": rows, "style_order": rows}
    # there are no lines between the points: neighbours differ in more than the rate, so a line would mean nothing
    sns.lineplot(
        first, **style, palette="colorblind", markers=True, dashes=False, markersize=8, lw=0, errorbar=None, ax=ax
    )
    best = first.loc[first.groupby("row", sort=False)["dev_rsum"].idxmax()]
    ax.scatter(best["place"], best["dev_rsum"], s=190, facecolors="none", edgecolors="black", label="its best")
    names = [f"{line.learning_rate:g} ({line.draw})" for line in settings.itertuples()]
    ax.set_xticks(place, names, rotation=60)
    ax.set(xlabel="setting: its learning rate, and its number", ylabel="rsum on dev", ylim=(0, None))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title="")
    ax.grid(alpha=0.3)
    sns.despine(ax=ax)
    told = ", ".join(
        f"{line.row} {line.dev_rsum:.0f} at a rate of {line.learning_rate:g}" for line in best.itertuples()
    )
    return describe(figure, f"rsum on dev of each system under {len(settings)} settings. The best of each: {told}.")


def title(metric: str) -> str:
    """Return the name of a metric in words: `i2t_r1` is "text retrieval, R@1 (%)". Names such as `mR` stay."""
    direction, _, cut = metric.partition("_r")
    if not cut:
        return metric
    task = TASKS[direction]
    return f"{task}, R@{cut} (%)"


def _comparison(row: Any) -> str:
    """Return what a claim compares, and also the name of its metric if that is not rsum."""
    metric = getattr(row, "metric", "rsum")
    compared = f"{row.better}  −  {row.worse}"
    if metric == "rsum":
        return compared
    return f"{compared}\n({METRIC_NAMES.get(metric, title(metric))})"


def _judged(row: Any) -> str:
    """Return the verdict of a claim, and also the one that judges all claims together, if that is another."""
    together = getattr(row, "verdict_holm", row.verdict)
    return row.verdict if together == row.verdict else f"{row.verdict} ({together} by Holm)"


METRIC_NAMES = {
    "i2t": "summed recalls of text retrieval",
    "t2i": "summed recalls of image retrieval",
    "i2t - t2i": "lead of text over image retrieval",
}


def claims(verdicts: pd.DataFrame) -> Figure:
    """Draw the paired difference of each claim or effect, with its 95 % interval and its verdict.

    An interval that holds zero decides nothing. If `verdicts` has the column `verdict_holm`, which judges all lines
    together, it gives the colour: a claim that only its own interval supports is grey. Differences are in rsum; if a
    claim is about another metric, its label names that metric.
    """
    good, bad = "#2a9d5c", "#c8453b"
    colours = {"reproduced": good, "helps": good, "not reproduced": bad, "hurts": bad, "inconclusive": "#8a8a8a"}
    figure, ax = plt.subplots(figsize=(9, 0.8 + 0.55 * len(verdicts)), layout="constrained")
    for height, row in enumerate(verdicts.itertuples()):
        colour = colours[getattr(row, "verdict_holm", row.verdict)]
        ax.hlines(height, row.lo, row.hi, color=colour, lw=4, alpha=0.5)
        ax.plot(row.difference, height, "o", color=colour, ms=8)
        end = (max(row.hi, 0), height)
        ax.annotate(_judged(row), end, (8, 0), textcoords="offset points", va="center", color=colour)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_yticks(range(len(verdicts)), [_comparison(row) for row in verdicts.itertuples()])
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(verdicts) - 0.4, -0.6), xlabel="difference in rsum, points (95 % interval)")
    ax.margins(x=0.25)
    ax.grid(axis="x", alpha=0.3)
    sns.despine(ax=ax, left=True)
    told = "; ".join(
        f"{' '.join(_comparison(row).split())}: {row.difference:.1f} ({row.lo:.1f} to {row.hi:.1f}), {_judged(row)}"
        for row in verdicts.itertuples()
    )
    return describe(figure, f"Differences in rsum with 95 % intervals and verdicts. {told}.")


def history(histories: dict[str, pd.DataFrame]) -> Figure:
    """Draw rsum on the dev split after each epoch of training, with one line per system, from each `Result.history`."""
    frame = pd.concat({row: of["dev.rsum"] for row, of in histories.items()}, names=["row", "epoch"]).reset_index()
    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    shown = {"x": "epoch", "y": "dev.rsum", "hue": "row", "style": "row", "palette": "colorblind"}
    sns.lineplot(frame, **shown, markers=True, dashes=False, markersize=8, errorbar=None, ax=ax)
    ax.set(ylabel="rsum on dev", xlabel="epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    sns.move_legend(ax, "center left", bbox_to_anchor=(1, 0.5), title=None, frameon=False)
    sns.despine(ax=ax)
    ends = {row: (of["dev.rsum"].iloc[0], of["dev.rsum"].iloc[-1]) for row, of in histories.items()}
    told = ", ".join(f"{row} from {first:.0f} to {last:.0f}" for row, (first, last) in ends.items())
    return describe(figure, f"rsum on dev by epoch, from the first to the last: {told}.")


def mu_effects(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw what each mu adds to what mu = 2 gives, one panel for text retrieval and one for image retrieval.

    Every curve is a frame that `ablation.mu_effects` returned.
    """
    colours, markers = sns.color_palette("colorblind", len(curves)), "osD^v"
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for ax, direction in zip(axes, ("i2t", "t2i"), strict=True):
        for k, (name, frame) in enumerate(curves.items()):
            line = frame[frame["direction"] == direction]
            beside = line["mu"] + 0.04 * (k - (len(curves) - 1) / 2)  # bars at the same mu must not hide each other
            ax.vlines(beside, line["lo"], line["hi"], color=colours[k], lw=3, alpha=0.35)
            ax.plot(beside, line["difference"], f"{markers[k % len(markers)]}-", color=colours[k], label=name)
        ax.axhline(0, color="black", lw=0.8)
        ax.set(title=TASKS[direction], xlabel="µ")
        ax.grid(axis="y", alpha=0.3)
        sns.despine(ax=ax)
    axes[0].set_ylabel("R@1 + R@5 + R@10, points above µ = 2")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    told = "; ".join(
        f"{name}, {TASKS[direction]}, "
        + ", ".join(
            f"{line.mu:g}: {line.difference:.1f}" for line in frame[frame["direction"] == direction].itertuples()
        )
        for name, frame in curves.items()
        for direction in ("i2t", "t2i")
    )
    return describe(figure, f"Points of R@1 + R@5 + R@10 above mu = 2, by mu. {told}.")


def mu_sweep(
    global_scores: Float[np.ndarray, "I T"],
    local_scores: Float[np.ndarray, "I T"],
    caption_to_image: Int[np.ndarray, " T"],
    mus: Sequence[float] | None = None,
    mu: float | None = None,
) -> Figure:
    """Draw the recall of S_G + mu S_L against mu, from the scores of one model; see `metrics.sweep`.

    Args:
        mus: the values of mu. By default, 21 values from 0 to 4, and infinity.
        mu: a value to mark in the figure.
    """
    values = set(np.linspace(0, 4, 21).tolist()) | {np.inf} if mus is None else set(mus)
    if mu is not None:
        values.add(mu)
    return curves(sweep(global_scores, local_scores, caption_to_image, sorted(values)), mu)


def curves(swept: pd.DataFrame, mu: float | None = None) -> Figure:
    """Draw what `metrics.sweep` returned, one panel for text retrieval and one for image retrieval.

    A row at mu = inf, which is S_L alone, becomes a dashed horizontal line. With `mu`, the figure marks this value.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    finite, infinite = swept[np.isfinite(swept.index)], swept[np.isinf(swept.index)]
    told = []
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
        if len(infinite):
            alone = infinite[f"{direction}_r1"].iloc[0]
            ax.axhline(alone, color="black", lw=1, ls="--", label="R@1 of $S_L$ alone")
            ax.legend(loc="lower right", frameon=False)
        task, first = TASKS[direction], finite[f"{direction}_r1"]
        ax.set(title=f"{task}, recall (%)", xlabel="µ  (0: $S_G$ alone)", ylim=(0, 104))
        ax.grid(axis="y", alpha=0.3)
        sns.despine(ax=ax)
        told.append(
            f"{task} goes from {first.iloc[0]:.1f} at mu = {first.index[0]:g} "
            f"over its best, {first.max():.1f} at {first.idxmax():g}, to {first.iloc[-1]:.1f} at {first.index[-1]:g}"
        )
    return describe(figure, f"Recall against mu. R@1 of {'; R@1 of '.join(told)}.")
