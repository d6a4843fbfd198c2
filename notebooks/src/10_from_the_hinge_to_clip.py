# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 10: from the hinge to CLIP
#
# The seven systems of this package are trained with a hinge on the hardest negative. CLIP (Radford et al., ICML 2021)
# and many models after it are trained with a softmax over the batch, **InfoNCE**. This lesson compares the two losses.
# They are closer than they look: InfoNCE is a soft version of the hinge on the hardest negative. A single number, the
# *temperature*, decides whether all negatives count or the hardest one alone.
#
# **You will learn**
#
# 1. InfoNCE on a 3 x 3 matrix, with a pencil;
# 2. what the temperature does, and how it compares with a margin;
# 3. that the hardest negative is the limit of a low temperature, and what that means for the plateau of lesson 2;
# 4. how the two losses compare with the same encoders, each with the best of five learning rates, and what the size of
#    the batch, the number of steps and the cut of long gradients change;
# 5. what CLIP changed besides the loss.
#
# *Needs:* [02_global_alignment](02_global_alignment.ipynb), whose matrix and whose plateau come back. *Time:* about 60
# minutes. *The module:* `vsrpp_lite/info_nce.py`. The [glossary](glossary.md) explains the terms.

# %% tags=["remove-cell"]
# Colab and Kaggle have no vsrpp_lite: this cell installs it, and takes the trained models of the lessons
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("vsrpp_lite") is None:
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "vsrpp_lite[notebooks,search]==0.3.0"], check=True
    )
    subprocess.run([sys.executable, "-m", "vsrpp_lite", "lesson-models"])  # without them, a lesson trains its own

# %% tags=["parameters"]
data: str = "scenes"  # scenes, or a folder of data/
preset: str = "lite"  # smoke or lite
seed: int = 0  # of the trained models
study: bool = False  # train every loss with every rate and seed again (hours); else the record is read
clip: str = ""  # folder of a CLIP model of the transformers library, to look at it; empty: leave it out

# %%
import math
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from PIL import Image

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.files import atomic, recorded_folder
from vsrpp_lite.global_alignment import Hinge, cosine, hinge
from vsrpp_lite.info_nce import InfoNCE, info_nce
from vsrpp_lite.paper.tables import results_folder
from vsrpp_lite.teaching import check, predict, quiz
from vsrpp_lite.training.significance import seed_interval

show.inline()
plt.rcParams["figure.dpi"] = 80  # keeps the stored notebook small

# %% [markdown]
# ## The papers say
#
# For a batch of $B$ pairs with scores $s_{ij}$, each picture $i$ asks all sentences, and the softmax gives its own one
# a share. The loss is minus the logarithm of that share (van den Oord et al., 2018, equation 4):
#
# $$ L_i = -\log \frac{\exp(s_{ii}/\tau)}{\sum_j \exp(s_{ij}/\tau)} . $$
#
# In CLIP each sentence also asks all pictures, which gives a second loss of the same form. CLIP's loss is the mean of
# the two, and CLIP learns the temperature, too (Radford et al., 2021, section 2.3; exercise 2 says in which form). The
# hinge of lesson 2 takes $[\alpha - s_{ii} + \max_{j \neq i} s_{ij}]_+$ instead.
#
# ## InfoNCE by hand
#
# The matrix of lesson 2 again: pictures are rows, sentences are columns, right pairs stand on the diagonal.

# %%
S = torch.tensor([[0.6, 0.5, 0.2], [0.3, 0.4, 0.5], [0.1, 0.3, 0.7]])

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.1")

# %% [markdown]
# Powers of two are easy to compute by hand. So let $\tau = 0.1 / \ln 2 \approx 0.144$, for which $\exp(s/\tau) = 2^{10
# s}$: a score that is higher by 0.1 counts twice.
#
# $$ 2^{10 S} = \begin{pmatrix} 64 & 32 & 4 \\ 8 & 16 & 32 \\ 2 & 8 & 128 \end{pmatrix} $$
#
# *Each picture asks* (rows): the shares of the right sentences are $64/100$, $16/56$ and $128/138$. *Each sentence
# asks* (columns): the shares of the right pictures are $64/74$, $16/56$ and $128/164$. We number from zero, as in
# lesson 2, so picture 1 is the second row, and sentence 1 is the second column. For both of them a wrong answer scores
# higher than the right one, so their shares, $2/7$, are below one half. The loss is the mean of the six
# $-\ln(\text{share})$.


# %%
def info_nce_slowly(S: torch.Tensor, tau: float) -> float:
    """The mean over both directions, by loops."""
    losses = []
    for scores in (S, S.T):
        for query in range(len(S)):
            powers = [math.exp(score / tau) for score in scores[query].tolist()]
            losses.append(-math.log(powers[query] / sum(powers)))
    return sum(losses) / len(losses)


# %%
tau = 0.1 / math.log(2)
by_hand = -sum(math.log(share) for share in (64 / 100, 16 / 56, 128 / 138, 64 / 74, 16 / 56, 128 / 164)) / 6
assert abs(info_nce_slowly(S, tau) - by_hand) < 1e-6
ids = torch.arange(3)
wrong = ids[:, None] != ids
package = (info_nce(S, ids, wrong, 1 / tau) + info_nce(S.T, ids, wrong, 1 / tau)).mean() / 2
torch.testing.assert_close(package.item(), by_hand, atol=1e-6, rtol=0)
print(f"InfoNCE of the 3 x 3 matrix, by hand, by loops and by the package: {package:.3f}")

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.2")

# %% [markdown]
# If all scores are equal, every share is $1/B$ and the loss is $\ln B$, whatever $\tau$ is. That is what an untrained
# model starts from: for $B = 128$ it reads 4.85, and for CLIP's 32,768 it reads 10.4.

# %%
same = torch.zeros(128, 128)
all_ids = torch.arange(128)
start = info_nce(same, all_ids, all_ids[:, None] != all_ids, 14.0)
torch.testing.assert_close(start, torch.full((128,), math.log(128)))

# %% [markdown]
# ## What the temperature does
#
# How hard does the loss push each wrong sentence away? We can write $L_i = -s_{ii}/\tau + \ln \sum_k
# \exp(s_{ik}/\tau)$. So for a wrong sentence $j$ the derivative of $L_i$ by $s_{ij}$ is $\exp(s_{ij}/\tau) / \sum_k
# \exp(s_{ik}/\tau)$, which is its share, divided by $\tau$. So the shares say how the push is divided. Take picture 1
# of the matrix: two sentences are wrong, with scores 0.3 and 0.5.
#
# By hand, with the powers of two above: their powers are 8 and 32, so the harder one gets $32/40 = 80\,\%$ of the push.
# With half the temperature the powers are squared, 64 and 1024, and it gets $1024/1088 = 94\,\%$.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.3")

# %%
negatives = S[1, [0, 2]]
for t, expected in ((tau, 32 / 40), (tau / 2, 1024 / 1088)):
    shares = torch.softmax(negatives / t, 0)
    torch.testing.assert_close(shares[1].item(), expected, atol=1e-5, rtol=0)
row = S[1].clone().requires_grad_(True)
info_nce(row[None], torch.tensor([1]), torch.tensor([[True, False, True]]), 1 / tau).sum().backward()
torch.testing.assert_close(row.grad[2] / (row.grad[0] + row.grad[2]), torch.tensor(32 / 40))  # what autograd says
print(f"gradients of picture 1 by its three scores: {[round(x, 2) for x in row.grad.tolist()]}")

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.4")

# %%
generator = torch.Generator().manual_seed(seed)
scores = 0.15 * torch.randn(63, generator=generator, dtype=torch.float64).sort(descending=True).values
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
for t, style in ((1.0, ":"), (0.2, "-."), (0.07, "--"), (0.01, "-")):
    ax.plot(range(1, 64), 100 * torch.softmax(scores / t, 0), style, color=show.MEASURED, lw=2, label=f"τ = {t}")
ax.set(xlabel="wrong sentences of a picture, the hardest first", ylabel="share of the push, in %", yscale="log")
ax.set(ylim=(0.05, 150))
ax.legend(frameon=False, ncols=4, loc="upper center")
show.describe(
    figure,
    "Shares of the push of 63 wrong sentences, the hardest first, at four temperatures. At 1 they are nearly "
    "equal; at 0.01 the few hardest get nearly all.",
)
plt.show()

# %% [markdown]
# With a high temperature all negatives get nearly the same push: that is much like the *summed* hinge, which pushes
# all violators alike. With a low one, the few hardest get nearly all of it. In the limit, the hardest gets all. CLIP
# starts at 0.07, in between, and lets the training choose.
#
# ## The hardest negative is a limit
#
# Multiply the loss by $\tau$: $\tau L_i = \tau \ln \sum_j \exp(s_{ij}/\tau) - s_{ii}$. If $\tau$ goes to zero, the
# largest term outweighs all others, and the first part becomes $\max_j s_{ij}$. If the right score is the largest, the
# difference is 0. So
#
# $$ \tau L_i \;\to\; \big[\max_{j \neq i} s_{ij} - s_{ii}\big]_+ . $$
#
# This is the hinge on the hardest negative, with a margin of zero. A margin can be had, too: add $\alpha$ to the wrong
# scores. So **margin and temperature do different things**. The margin says by how much the right pair must lead. The
# temperature says how many negatives share the push, and how softly the push ends.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.5")

# %%
margin = 0.2
with_margin = S + margin * wrong
hardest = hinge(S, ids, wrong, margin=margin, hardest=True)
for t in (0.3, 0.03, 0.003):
    soft = t * info_nce(with_margin, ids, wrong, 1 / t)
    print(f"τ = {t:5}: τ · InfoNCE of each picture {[round(x, 3) for x in soft.tolist()]}")
print(f"the hinge on the hardest: {[round(x, 3) for x in hardest.tolist()]}")
torch.testing.assert_close(soft, hardest, atol=1e-3, rtol=0)

# %% [markdown]
# ## No plateau
#
# Lesson 2 found a trap for the hinge on the hardest negative, where all scores are nearly equal. Does InfoNCE fall into
# it, too? Look at the shares of equal scores before you answer.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.6")

# %%
B = 64
noise = torch.randn(B, B, generator=generator, dtype=torch.float64)
batch_ids, scales = torch.arange(B), torch.linspace(0, 0.15, 31, dtype=torch.float64)
others = batch_ids[:, None] != batch_ids
figure, ax = plt.subplots(figsize=(8, 3.2), layout="constrained")
slopes = {}
for d, colour in ((1, show.PAPER), (2, "grey"), (4, show.MEASURED)):
    grids = [s * (noise + d * torch.eye(B)) for s in scales]
    for name, style in (("hardest", "--"), ("InfoNCE", "-")):
        if name == "InfoNCE":
            losses = torch.stack([info_nce(x, batch_ids, others, 1 / 0.07).mean() for x in grids])
        else:
            losses = torch.stack([hinge(x, batch_ids, others, margin=margin, hardest=True).mean() for x in grids])
        slopes[name, d] = (losses[1] - losses[0]).item()
        ax.plot(scales, losses / losses[0], style, color=colour, lw=2, label=f"{name}, right pairs better by {d}")
ax.axhline(1, color="black", lw=1)
ax.set(xlabel="scale of the scores", ylabel="loss / its value at 0", ylim=(0, 2))
figure.legend(*ax.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
show.describe(
    figure,
    "Losses against the scale of the scores. InfoNCE falls from the start for every advantage of the right pairs. The "
    "hinge on the hardest negative rises at first if the advantage is 1 or 2.",
)
plt.show()
assert min(slopes["hardest", 1], slopes["hardest", 2]) > 0 > slopes["InfoNCE", 1]  # one is drawn back, the other not

# %% [markdown]
# At the left edge all scores are equal, so all shares are equal, and InfoNCE compares the right score with the *mean*
# of the wrong ones. Right pairs are better than that mean, so the loss falls from the start. As the scores spread, the
# softmax turns to the hard negatives by itself. So InfoNCE leaves the state of equal scores without a warm-up. If the
# right pairs are better by only 1, its curve falls at first, and at a larger scale it rises above its start again. As
# the scores spread, the hard negatives get a larger part of the push, and some of them are better than the right pair.
#
# ## Measure: the same encoders with each loss
#
# To compare losses, everything else must be the same: VSE++'s encoders, its data, its evaluation. And each loss has a
# right to its own learning rate: no rule says that the best rate is the same for two losses, and lesson 7 shows what
# one rate for all can do. So the study below trained each loss with each of five rates on a draw of its own
# (`scenes-tuning`), and took the best by dev. The batch size is part of it, too: a larger batch has harder hardest
# negatives, and more terms in the softmax.
#
# One thing is still not the same. Adam hides the mere size of the gradients, but not their noise, and before Adam the
# trainer cuts every gradient that is longer than 2 to that length. Our hinge is summed over the batch and InfoNCE is a
# mean, so the gradients of the hinge are far longer and are cut far more often. So the study also trained both without
# the cut. And it trained batches of 512 twice: for as many captions as the smaller batches, and for as many steps.


# %%
class OneWay(InfoNCE):
    """InfoNCE in one direction: pictures ask, and sentences do not."""

    def forward(self, comparison: vl.Comparison) -> torch.Tensor:
        rows, _ = comparison.scores(self.similarity)
        return info_nce(rows, comparison.positives, comparison.negatives, self.inverse_temperature).mean()


class Fixed(InfoNCE):
    """InfoNCE with a temperature that is not learned."""

    def __init__(self, similarity: vl.matcher.Similarity):
        super().__init__(similarity)
        self.log_inverse_temperature.requires_grad_(False)


LOSSES = {
    "hinge": lambda: Hinge(cosine, 0.2),
    "InfoNCE": lambda: InfoNCE(cosine),
    "InfoNCE, pictures ask": lambda: OneWay(cosine),
    "InfoNCE, τ = 0.07": lambda: Fixed(cosine),
}


@dataclass(frozen=True, kw_only=True)
class TwoTowers(vl.VSEpp):
    """VSE++'s encoders with another loss."""

    loss: str = "hinge"

    def build(self, tokenizer: vl.Tokenizer, feature_size: int, sizes: vl.Sizes) -> vl.Matcher:
        """Build VSE++, and exchange its loss."""
        plain = super().build(tokenizer, feature_size, sizes)
        return vl.Matcher(tokenizer, plain.images, plain.texts, cosine, {"ranking": LOSSES[self.loss]()})


# %%
def run_of(loss: str, rate: float, *, seed: int = seed, data: str = data, **changes: float) -> vl.Run:
    """VSE++'s encoders trained with a loss, in batches of 128 if `changes` does not say otherwise."""
    plain = vl.Run(system=TwoTowers(loss=loss), data=data, preset=preset, seed=seed)
    changed = {"batch_size": 128, "learning_rate": rate} | changes
    return replace(plain, training=replace(plain.settings.training, **changed))


RATES, SEEDS = (0.0015, 0.003, 0.006, 0.012, 0.024), (0, 1, 2)
COLUMNS = ["batch_size", "epochs", "clip", "learning_rate"]
HARDEST = "hinge, hardest after a warm-up"
BOTH = {HARDEST: "hinge", "InfoNCE": "InfoNCE"}  # each line of the study, and its loss
LONGER = {"batch_size": 512, "epochs": 12, "decay_every": 8, "warmup_epochs": 4}  # the steps of 3 epochs in 128s
ASKED = [
    ("hinge, all negatives summed", "hinge", {"warmup_epochs": 3}),
    ("hinge, no warm-up", "hinge", {"warmup_epochs": 0}),
    *((name, loss, {"batch_size": batch}) for name, loss in BOTH.items() for batch in (32, 128, 512)),
    *((name, name, {}) for name in ("InfoNCE, pictures ask", "InfoNCE, τ = 0.07")),
    *((name, loss, LONGER) for name, loss in BOTH.items()),
    *((name, loss, {"clip": 1e9}) for name, loss in BOTH.items()),  # no gradient is as long as that
]
if study:
    names = {
        run_of(loss, rate, seed=k, data="scenes-tuning", **changes): name
        for name, loss, changes in ASKED
        for rate in RATES
        for k in SEEDS
    }
    found = {result.run: result.history["dev.rsum"].max() for result in vl.grid.train(names, blind=True)}
    lines = []
    for run, name in names.items():
        settings = {column: getattr(run.settings.training, column) for column in COLUMNS}
        lines.append({"loss": name, **settings, "seed": run.seed, "dev_rsum": round(found[run], 2)})
    results_folder("scenes").mkdir(parents=True, exist_ok=True)
    with atomic(results_folder("scenes") / "losses.csv") as draft:
        pd.DataFrame(lines).to_csv(draft, index=False)


# %%
def best(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines of the rate with the highest mean over the seeds."""
    return lines[lines["learning_rate"] == lines.groupby("learning_rate")["dev_rsum"].mean().idxmax()]


losses = pd.read_csv(recorded_folder() / "scenes-lite" / "losses.csv")
as_usual = losses.query("batch_size == 128 and clip == 2")
names = list(losses["loss"].unique())
markers = dict(zip(names, "osD^vP", strict=True))
colours = dict(zip(names, ["#0173b2", "#949494", "#de8f05", "#029e73", "#cc78bc", "#ca9161"], strict=True))


def draw(ax: plt.Axes, lines: pd.DataFrame, by: str, name: str, **style: object) -> None:
    """Draw the means over the seeds, with bars from the lowest to the highest seed."""
    at = lines.groupby(by)["dev_rsum"].agg(["mean", "min", "max"])
    bars = [at["mean"] - at["min"], at["max"] - at["mean"]]
    ax.errorbar(at.index, at["mean"], yerr=bars, marker=markers[name], color=colours[name], label=name, **style)


def means(of_losses: dict[str, pd.DataFrame]) -> str:
    """The mean over the seeds of each loss, in words."""
    return ", ".join(f"{name} {lines['dev_rsum'].mean():.0f}" for name, lines in of_losses.items())


figure, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, lines in as_usual.groupby("loss", sort=False):
    draw(ax, lines, "learning_rate", name)
ax.set(xscale="log", xlabel="learning rate", ylabel="rsum on dev", ylim=(0, None))
ax.set_xticks(RATES, RATES)
ax.minorticks_off()
figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
top = {name: best(lines) for name, lines in as_usual.groupby("loss", sort=False)}
show.describe(
    figure,
    "rsum on dev of each loss by learning rate, in batches of 128. At the best of its rates: " + means(top),
)
plt.show()


# %%
def lead(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """By how much one setting leads another, seed by seed, with its 95 % interval over the seeds."""
    by_seed = [lines.set_index("seed")["dev_rsum"] for lines in (one, other)]
    mean, low, high = seed_interval((by_seed[0] - by_seed[1]).to_numpy())
    return f"{mean:+.0f} ({low:.0f} to {high:.0f})"


table = pd.DataFrame({name: lines.set_index("seed")["dev_rsum"] for name, lines in top.items()}).T
table.insert(0, "best rate", [str(lines["learning_rate"].iloc[0]) for lines in top.values()])
display(table.round(1))
at_one_rate = as_usual[as_usual["learning_rate"] == RATES[1]].groupby("loss")["dev_rsum"].mean()
display(
    Markdown(
        "Each loss is at its best rate. Brackets have the 95 % interval over three seeds. The rsum of InfoNCE minus "
        f"that of the hinge on the hardest negative after a warm-up is {lead(top['InfoNCE'], top[HARDEST])}. To this "
        f"hinge, the warm-up is worth {lead(top[HARDEST], top['hinge, no warm-up'])}. To InfoNCE, a learned "
        f"temperature is worth {lead(top['InfoNCE'], top['InfoNCE, τ = 0.07'])} against one that stays at 0.07. The "
        f"second direction is worth {lead(top['InfoNCE'], top['InfoNCE, pictures ask'])} to it. If we had trained all "
        f"losses with the rate {RATES[1]}, the best would be *{at_one_rate.idxmax()}*."
    )
)

# %% [markdown]
# The *summed* hinge and InfoNCE need no warm-up. Without a warm-up, the hinge on the hardest negative stays far below
# the one with a warm-up. Lesson 2's plateau may be the reason. This record holds no losses, so it cannot show it.
# InfoNCE is a little better with a temperature that stays at 0.07 than with a learned one. Training moves the
# temperature so that the *training* loss falls, and the rsum on dev need not follow.
#
# Two questions are left: what does the size of the batch change, and what does the cut of the gradients change?

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.7")

# %%
without_cut, with_many_steps = losses[losses["clip"] > 2], losses[losses["epochs"] > 3]
figure, (batches, cuts) = plt.subplots(1, 2, figsize=(10.5, 3.8), sharey=True, layout="constrained")
at_best = pd.concat(best(lines) for _, lines in losses.groupby(["loss", "batch_size", "epochs", "clip"]))
for name in BOTH:
    of_loss = at_best[(at_best["loss"] == name) & (at_best["clip"] == 2)]
    draw(batches, of_loss.query("epochs == 3"), "batch_size", name)
    draw(batches, of_loss.query("batch_size == 128 or epochs > 3"), "batch_size", name, ls="--", mfc="white")
    draw(cuts, as_usual[as_usual["loss"] == name], "learning_rate", name)
    draw(cuts, without_cut[without_cut["loss"] == name], "learning_rate", name, ls="--", mfc="white")
batches.set(xscale="log", xlabel="batch size, each at the best of its rates", ylabel="rsum on dev", ylim=(0, None))
batches.set_title("solid: equal captions, dashed: equal steps", fontsize=9)
batches.set_xticks([32, 128, 512], [32, 128, 512])
cuts.set(xscale="log", xlabel="learning rate, batches of 128")
cuts.set_title("solid: long gradients are cut, dashed: they are not", fontsize=9)
cuts.set_xticks(RATES, RATES)
for ax in (batches, cuts):
    ax.minorticks_off()
handles, labels = cuts.get_legend_handles_labels()
figure.legend(handles[::2], labels[::2], loc="outside upper center", ncols=2, frameon=False, fontsize=8)
wide_with_few_steps = losses.query("batch_size == 512 and epochs == 3")
uncut, longer, wide, small = (
    {name: best(lines[lines["loss"] == name]) for name in BOTH}
    for lines in (without_cut, with_many_steps, wide_with_few_steps, losses.query("batch_size == 32"))
)
show.describe(
    figure,
    "rsum on dev of the hinge on the hardest negative and of InfoNCE. In batches of 512, with as many captions as in "
    "batches of 128: "
    + means(wide)
    + "; with as many steps: "
    + means(longer)
    + ". In batches of 128 without the cut: "
    + means(uncut),
)
plt.show()
display(
    Markdown(
        f"With as many *captions*, batches of 512 change the hinge by {lead(wide[HARDEST], top[HARDEST])} and InfoNCE "
        f"by {lead(wide['InfoNCE'], top['InfoNCE'])}, against batches of 128. With as many *steps*, they change the "
        f"hinge by {lead(longer[HARDEST], top[HARDEST])} and InfoNCE by {lead(longer['InfoNCE'], top['InfoNCE'])}. "
        f"Without the cut, the hinge changes by {lead(uncut[HARDEST], top[HARDEST])} and InfoNCE by "
        f"{lead(uncut['InfoNCE'], top['InfoNCE'])}, and InfoNCE leads the hinge by "
        f"{lead(uncut['InfoNCE'], uncut[HARDEST])}. In batches of 32, InfoNCE differs from the hinge by "
        f"{lead(small['InfoNCE'], small[HARDEST])}. Each is at the best of its rates."
    )
)

# %% [markdown]
# Look at the left panel first. All solid points read the same number of captions, so batches of 512 make a quarter of
# the steps of batches of 128. With as many steps, no difference to batches of 128 shows, but then the large batches
# also read four times as many captions. So the number of steps can explain the fall. These trainings cannot tell
# whether the other negatives of a large batch help or hurt a little. (With as many captions, the hinge in batches of
# 512 is best at the highest rate that we tried, so a higher rate may narrow its gap.)
#
# The right panel surprises. At the best of its rates, InfoNCE does not change without the cut. At the two lowest
# rates, both losses are better without it. From 0.006 on, the hinge on the hardest negative is far worse without the
# cut, and at the best of its rates it loses about a third of its rsum. (This rate is the highest one that we tried, so
# a higher rate may narrow this gap, too.) So *no difference between the hinge and InfoNCE shows at batches of 128* is
# a sentence about the hinge **with its cut**. The released code of VSE++ has this cut, and a comparison that had left
# it out would have called InfoNCE far better. A loss comes with the settings that make it train. Why does the hinge
# need the cut? We did not test it. One guess: the summed hinge of the warm-up has far longer gradients than the
# hardest negative alone. Adam divides by the size of the gradients that it remembers, for about a thousand steps, so
# its steps stay short long after the warm-up. With the cut, no gradient is longer than 2.
#
# ## Look: the temperature that training chose
#
# We train the hinge and InfoNCE once more on the data of this course, at their best rates, and look at the temperature.

# %% tags=["nbval-ignore-output"]
models = {loss: run_of(loss, float(top[name]["learning_rate"].iloc[0])).fit() for name, loss in BOTH.items()}

# %% tags=["nbval-ignore-output"]
learned = models["InfoNCE"].matcher().losses["ranking"]
print(f"1 / τ at the start {1 / 0.07:.1f}, after training {learned.inverse_temperature.item():.1f}")
for name, result in models.items():
    print(f"{name:8} rsum on test {result.recalls['rsum']:.1f}")

# %% tags=["hide-input", "nbval-ignore-output"]
predict("10.8")

# %%
test = models["hinge"].run.dataset("test")
own = np.zeros((len(test), len(test.captions)), bool)
own[test.caption_to_image, np.arange(len(test.captions))] = True
figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharex=True, layout="constrained")
for ax, (name, result) in zip(axes, models.items(), strict=True):
    found = result.scores()
    bins = {"bins": 80, "range": (-1, 1), "density": True, "alpha": 0.7}
    ax.hist(found[~own][::50], color=show.PAPER, label="wrong pairs", **bins)
    ax.hist(found[own], color=show.MEASURED, label="right pairs", **bins)
    ax.set(title=f"trained with {name}", xlabel="cosine", yticks=[])
    ax.legend(frameon=False)
show.describe(
    figure,
    "Histograms of cosines of right and of wrong pairs. "
    + " ".join(
        f"{name}: right pairs {r.scores()[own].mean():.2f} on average, wrong pairs {r.scores()[~own].mean():.2f}."
        for name, r in models.items()
    ),
)
plt.show()

# %% [markdown]
# The hinge stops pushing a pair as soon as it leads by the margin. InfoNCE never stops: a share can always be larger.
# This may be why the two spread their cosines differently here, although recall, which looks at the order alone, may
# be the same. If you compare *scores* across models, or set a threshold for "this is a match", this matters.
#
# ## What CLIP changed besides the loss
#
# * **Data.** 400 million pairs from the web, where Flickr30K has 145 thousand for training. No captions were written
#   for it.
# * **Batch.** 32,768 pairs. Two captions of one picture hardly ever meet there. In batches of ours they do, and so our
#   `InfoNCE` leaves them out of the sum, as lesson 2 does.
# * **Encoders.** A ResNet or a vision transformer reads pixels, and a transformer reads the text. There is no
#   detector, and there are no regions.
# * **No local part.** One vector each, so it can be searched ([lesson 11](11_searching_a_million.ipynb)). Later systems
#   brought token-wise scores back (FILIP, Yao et al., ICLR 2022).
#
# If you have a CLIP model as a folder of the `transformers` library, set the parameter `clip`, and the next cell
# ranks our test pictures with it, without any training.


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def clip_scores(folder: str, test: vl.Dataset, block: int = 64) -> np.ndarray:
    """The cosines of all pictures and captions by a frozen CLIP."""
    from transformers import AutoTokenizer, CLIPModel

    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    side = model.config.vision_config.image_size
    mean, deviation = np.array([0.4815, 0.4578, 0.4082]), np.array([0.2686, 0.2613, 0.2758])  # CLIP's own
    pictures = []
    for first in range(0, len(test), block):
        squares = [
            Image.open(test.picture(k)).resize((side, side)) for k in range(first, min(first + block, len(test)))
        ]
        pixels = (np.stack([np.asarray(square.convert("RGB")) for square in squares]) / 255 - mean) / deviation
        seen = model.vision_model(torch.from_numpy(pixels).float().permute(0, 3, 1, 2)).pooler_output
        pictures.append(model.visual_projection(seen))
    texts = []
    for first in range(0, len(test.captions), block):
        tokens = tokenizer(test.captions[first : first + block], return_tensors="pt", padding=True)
        texts.append(model.text_projection(model.text_model(**tokens).pooler_output))
    both = [torch.nn.functional.normalize(torch.cat(part), dim=1) for part in (pictures, texts)]
    return (both[0] @ both[1].T).numpy()


if clip and Path(clip).is_dir() and test.picture(0) is not None:
    found = vl.recalls(*vl.ranks(clip_scores(clip, test), test.caption_to_image), test.caption_to_image)
    print({name: round(value, 1) for name, value in found.items()})
else:
    print("no CLIP model was given (parameter `clip`), or the data have no pictures: this part is left out")

# %% [markdown]
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1. Another temperature** (*easy, 10 minutes, pencil*). Halve $\tau$ in the example by hand, so that the powers are
# squared. What are the six shares now? Which queries gain by it, and which lose?
#
# <details><summary>Hint</summary>
#
# The first row becomes 4096, 1024, 16.
#
# </details>
# <details><summary>Another hint</summary>
#
# Square each power, then divide the right one by the sum of its row or of its column.
#
# </details>
# <details><summary>Solution</summary>
#
# Rows: $4096/5136$, $256/1344$, $16384/16452$. Columns: $4096/4164$, $256/1344$, $16384/17424$. Right answers that
# lead get a larger share. The two that are behind get a smaller one, $0.19$ instead of $0.29$: a low temperature is
# more severe.
#
# ```python
# shares = torch.softmax(2 * S / tau, 1).diagonal()
# torch.testing.assert_close(shares, torch.tensor([4096 / 5136, 256 / 1344, 16384 / 16452]))
# assert check.lesson10.exercise1(shares, torch.softmax(2 * S.T / tau, 1).diagonal())
# ```
#
# </details>

# %%
rows = ...  # the shares of the right answers in the three rows
columns = ...  # and in the three columns
check.lesson10.exercise1(rows, columns)

# %% [markdown]
# **2. The learned temperature** (*medium, 10 minutes*). CLIP learns $\log(1/\tau)$ and not $\tau$, and it
# never lets $1/\tau$ grow above 100. Why? Compute the gradient of the loss by $\log(1/\tau)$ for the 3 x 3 matrix at
# the $\tau$ of the example. Does training want $1/\tau$ to grow there?
#
# <details><summary>Hint</summary>
#
# Make a tensor `log_inverse = torch.tensor(math.log(1 / tau), requires_grad=True)`, and pass `log_inverse.exp()`.
#
# </details>
# <details><summary>Another hint</summary>
#
# The loss is the mean over both directions and all three queries. `loss.backward()` fills `log_inverse.grad`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# log_inverse = torch.tensor(math.log(1 / tau), requires_grad=True)
# loss = (info_nce(S, ids, wrong, log_inverse.exp()) + info_nce(S.T, ids, wrong, log_inverse.exp())).mean() / 2
# loss.backward()
# print(f"{log_inverse.grad:.3f}")
# assert check.lesson10.exercise2(log_inverse.grad)
# ```
#
# The gradient is negative, so training makes $1/\tau$ larger. The logarithm keeps $\tau$ positive, and a step of the
# logarithm multiplies $\tau$ by a *factor*. If there were no limit, batches in which all pairs are right would make
# $1/\tau$ grow without end. Then a pair that leads would teach nothing, and a single pair that trails would have a
# gradient as large as $1/\tau$. CLIP's authors found the limit necessary for a stable training.
#
# </details>

# %%
gradient = ...  # of the loss by log(1 / tau)
check.lesson10.exercise2(gradient)

# %% [markdown]
# **3. InfoNCE for VSR++** (*hard, 30 minutes and some computing*). Train the full similarity $S_G + \mu S_L$ with
# InfoNCE, and give this loss the weight of the hinge that it replaces. $S$ lies between $-(1+\mu)$ and $1+\mu$, so
# which temperature is the same start as 0.07 for a cosine?
#
# <details><summary>Hint</summary>
#
# Subclass `vl.VSRpp`, build the matcher of the parent, and exchange the loss `ranking`. Keep the caption loss.
#
# </details>
# <details><summary>Another hint</summary>
#
# A softmax of $S / \tau$ does not change if $S$ and $\tau$ grow by the same factor.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# @dataclass(frozen=True, kw_only=True)
# class Soft(vl.VSRpp):
#     def build(self, tokenizer, feature_size, sizes):
#         plain = super().build(tokenizer, feature_size, sizes)
#         ranking = InfoNCE(plain.similarity, temperature=0.07 * (1 + self.mu))
#         ranking.weight = plain.losses["ranking"].weight  # else the caption loss would weigh far more beside it
#         losses = dict(plain.losses) | {"ranking": ranking}
#         return vl.Matcher(
#             tokenizer, plain.images, plain.texts, plain.similarity, losses, attention=plain.attention
#         )
#
#
# for system in (Soft(), vl.VSRpp()):
#     result = vl.Run(system=system, data=data, preset=preset, seed=seed).fit()
#     print(f"{type(system).__name__}: rsum {result.recalls['rsum']:.1f}")
# assert check.lesson10.exercise3(Soft())
# ```
#
# With $\mu = 2$ the scores have a range that is three times as wide. So $0.07 \cdot 3$ is the same start, measured by
# this range. A loss also has a *weight* in the sum: that of our hinge is 128, since the papers sum it over a batch of
# 128 pairs, and that of `InfoNCE` is 1. With the weight 1, InfoNCE would be small beside the caption loss, and you
# would change two things at once. Compare the losses only with the same care for both: the preset's rate was chosen
# for the hinge.
#
# </details>

# %%
soft = ...  # a system: VSR++ with InfoNCE
check.lesson10.exercise3(soft)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(10)

# %% [markdown]
# ## Summary
#
# * InfoNCE gives each right pair a share of a softmax, and charges minus its logarithm. At the start it is $\ln B$.
# * The temperature decides how the push is divided among the negatives. At a low temperature, the few hardest negatives
#   get nearly all of it. At a high temperature, all negatives get nearly the same push.
# * If the margin is added to the wrong scores, $\tau$ times InfoNCE becomes the hinge on the hardest negative as $\tau$
#   goes to zero.
# * InfoNCE leaves the state of equal scores by itself. Here the hinge on the hardest negative stayed far behind
#   without a warm-up, and without the cut of long gradients (three seeds of each).
# * A comparison of losses needs the same encoders, a learning rate for each, and as many steps. A larger batch that
#   reads the same captions makes fewer steps.
#
# ## References
#
# van den Oord, Li, Vinyals, [*Representation Learning with Contrastive Predictive
# Coding*](https://arxiv.org/abs/1807.03748), 2018. Radford et al., [*Learning Transferable Visual Models From Natural
# Language Supervision*](https://arxiv.org/abs/2103.00020) (CLIP), ICML 2021. Faghri et al.,
# [*VSE++*](https://arxiv.org/abs/1707.05612), BMVC 2018. Wang and Liu, [*Understanding the Behaviour of Contrastive
# Loss*](https://arxiv.org/abs/2012.09740), CVPR 2021 (temperature and hard negatives). Yao et al.,
# [*FILIP*](https://arxiv.org/abs/2111.07783), ICLR 2022.
#
# **Next:** [11_searching_a_million](11_searching_a_million.ipynb): what it costs to search.
