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
# # Table 1: what each part of the structure is worth
#
# VSR++ scores a picture against a sentence with $S = S_G + \mu S_L$: a **global** similarity, after graph reasoning
# over the regions of the picture, plus a **local** one, in which every word looks for its regions. The paper's
# Table 1 takes the model apart. This notebook trains every row of it several times, puts our numbers beside the
# published ones, and gives a verdict on each claim.
#
# **You will see** which rows differ by more than chance, what a "row" of a published table can hide, and why one seed
# proves nothing about a *method*.
#
# *Time:* seconds if the runs are there (`make reproduce-tables` trains them), else about two minutes for each seed on
# two cores.

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
data: str = "scenes"  # scenes, a folder of data/, or the path of any data folder
preset: str = "lite"  # smoke, lite, long, real or paper
seeds: int = 3  # trainings of every row
factorial: bool = False  # also every combination of the parts, the clean ablation: 12 more trainings a seed

# %% tags=["nbval-ignore-output"]
import pandas as pd
from IPython.display import Markdown, display

from vsrpp_lite import show
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper import ablation, tables
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.table_files import claims_of, shown_claims, write
from vsrpp_lite.teaching import check
from vsrpp_lite.training import grid

settings = {"data": data, "preset": preset}
show.inline()
pd.options.display.float_format = "{:.1f}".format

# %% [markdown]
# If you have only two minutes, look at the table as it was recorded with preset `lite`. The cell below it trains every
# row that is not in `runs/` yet, and that takes longer.

# %%
display(tables.beside(pd.read_csv(recorded_folder() / "scenes-lite" / "table1.csv")).set_index("row"))

# %% tags=["nbval-ignore-output"]
results = {}
for seed in range(seeds):
    for row, run in TABLE1.runs(seed=seed, **settings).items():
        results[row, seed] = run
wanted = list(results.values())
if factorial:
    wanted += [run for seed in range(seeds) for run in ablation.FACTORIAL.runs(seed=seed, **settings).values()]
done = {result.run: result for result in grid.train(wanted)}
results = {key: done[run] for key, run in results.items()}
grid.rank(TABLE1.rankings(seeds=range(seeds), **settings))

# %% [markdown]
# ## What each row is
#
# | row | what we train | scored with |
# |---|---|---|
# | Global | VSRN: graph reasoning, a GRU over regions, a sentence GRU, a caption loss | $S_G$ |
# | Local | SCAN: regions by themselves, Bi-GRU words, words attend to regions, mean | $S_L$ |
# | Fusion-loss | shared encoders; one hinge on $S_G$, one on $S_L$; caption loss | $S_G$ |
# | Fusion-similarity | one hinge on $S_G + \mu S_L$; no caption loss | $S_G + \mu S_L$ |
# | VSR++ (GRU) | as the full model, but a sentence GRU in one direction | $S_G + \mu S_L$ |
# | VSR++ (full) | one hinge on $S_G + \mu S_L$, Bi-GRU, caption loss | $S_G + \mu S_L$ |
#
# The paper's slides do not say all of this. Where they are silent, we took the reading that the published numbers
# allow. In particular
# *Fusion-similarity* cannot be "VSR++ without the Bi-GRU", which would leave it equal to *VSR++ (GRU)*: what is left
# to take away is the caption loss.

# %% [markdown]
# ## Measured and published
#
# Each cell has our mean over seeds ± half of its 95 % interval, and then the published figure in brackets. The interval
# knows of two things that could have come out otherwise: the pictures in the test and the seed of the training. **The
# data differ**, since the paper's test is Flickr30K's. So compare the order of the rows, and not the height of the
# numbers.

# %%
measured = TABLE1.measure(seeds=range(seeds), **settings)
write(TABLE1, seeds=range(seeds), **settings)
display(tables.beside(measured).set_index("row"))

# %%
figure = show.table(measured)
folder = tables.results_folder(data) / "figures"
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "table1.png", dpi=150)

# %% [markdown]
# ## The claims
#
# For each claim we compare two rows **seed by seed and picture by picture**: what makes a picture hard makes it hard
# for both, and drops out of the difference. A claim is *reproduced* if the whole interval of the difference is above
# zero, *not reproduced* if it is below, and otherwise *inconclusive*: this many seeds cannot tell. In the table,
# `difference` is what the row that is named first has more than the other one, and `lo` and `hi` are the ends of its 95
# % interval.
#
# `verdict` judges each claim by its own interval. `verdict_holm` judges all claims of `results/claims.csv` together by
# Holm's method, which aims at a chance of 5 % at most for any false verdict. With few seeds, the spread between them
# is sometimes far too small by chance. So Holm's method gets a second p-value of each claim, with the spread that the
# rows of the table have on average, and the larger of the two counts. After a short training, the table also has the
# column `verdict_long`. It shows the recorded verdict of long trainings, which went on until the dev split stopped
# improving. This verdict is also by Holm's method. A verdict of one seed is about the test pictures alone, and another
# seed may change it. The figure has the colours of `verdict_holm`.

# %%
verdicts = claims_of(TABLE1, data)
display(shown_claims(verdicts, data).set_index("claim"))

# %%
figure = show.claims(verdicts)
figure.savefig(folder / "claims1.png", dpi=150)

# %% [markdown]
# One row can decide the average spread of the rows. Then an *inconclusive* between two other rows says more about this
# row than about them. Here is how it was in the recorded table of preset `lite`:

# %%
kept = pd.read_csv(recorded_folder() / "scenes-lite" / "runs.csv")
variance = kept[kept["table"] == "table1"].groupby("row")["rsum"].var()
display(
    Markdown(
        f"Of the variance over seeds that the rows have together, {100 * variance.max() / variance.sum():.0f} % comes "
        f"from *{variance.idxmax()}*."
    )
)

# %% [markdown]
# ## What the published rows hide
#
# *Global* and *Local* are, digit for digit, the published rows of VSRN and SCAN. Each of these two rows is the
# **average of two models**. The table below shows our single models, their average, and the published average. By how
# much is our average better than the mean of its two models, and than the better of them? Compare these gains with the
# whole published step from *Global* to *VSR++ (full)*. Where the two models lie far apart, the gain over their mean
# mostly says how weak the weaker one is.

# %%
for row, note in TABLE1.notes.items():
    display(Markdown(f"*{row}*: {note}."))
display(TABLE1.averages(seeds=range(seeds), **settings).set_index(["row", "model"]))

# %% [markdown]
# *Fusion-loss* trains $S_G$ and $S_L$ with a hinge each. The paper's row is hardly different from *Global*, so we take
# it to be scored with $S_G$ alone. Its $S_L$ was trained too, and the sum can be tried after the fact:

# %%
fusion_loss = results["Fusion-loss", 0]
scores = {
    "S_G": fusion_loss.scores(),
    "S_L": fusion_loss.scores(lambda matcher: matcher.losses["local"].similarity),
}
scores["S_G + 2 S_L"] = scores["S_G"] + 2 * scores["S_L"]
after_the_fact = pd.DataFrame({name: tables.rescored(fusion_loss, matrix) for name, matrix in scores.items()}).T
display(after_the_fact)

# %% [markdown]
# ## The clean ablation
#
# The published rows come from three papers and differ in several parts at once. *Global* has a one-directional GRU and
# a caption loss. *Local* has a Bi-GRU and no caption loss. Neither row is a run of VSR++'s own code. With
# `factorial = True` (`make reproduce-tables FACTORIAL=1`) the notebook trains every combination: {GRU, Bi-GRU} ×
# {global, local, fusion at the loss, fusion of similarities} × {caption loss, none}. Then each difference below is a
# difference between models that differ in one part only, averaged over all settings of the others. A second table
# asks whether the effect of a part depends on the branch: each line has the effect of the part in fusion of
# similarities minus its effect in another branch. [07_reading_the_tables](07_reading_the_tables.ipynb) says what came
# out.

# %%
if factorial:
    effects = ablation.effects(seeds=range(seeds), **settings)
    interactions = ablation.interactions(seeds=range(seeds), **settings)
    effects.round(3).to_csv(folder.parent / "tables" / "factorial.csv", index=False)
    interactions.round(3).to_csv(folder.parent / "tables" / "interactions.csv", index=False)
    display(effects.set_index(["better", "worse"]), interactions.set_index(["part", "instead of"]))
    figure = show.claims(effects)
    figure.savefig(folder / "factorial.png", dpi=150)

# %% [markdown]
# ## How training went
#
# On drawn scenes the dev split is smaller than the test split, so its recalls are higher. Each row is trained by its
# tuned recipe. With preset `lite`, the first epoch sums the hinge over all negatives, and for *Global* and
# *Fusion-loss*, which also have a larger margin, the first two do. After that, the hardest negative alone counts. The
# figure shows one seed.

# %%
figure = show.history({row: results[row, 0].history for row in TABLE1.rows})
figure.savefig(folder / "table1_history.png", dpi=150)

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** (*easy, 5 minutes*) Which two rows of the published table differ by the least rsum? How many seeds of each
# would you need to see the difference every second time, if the standard deviation of one seed is 5?
#
# <details><summary>Hint</summary>
#
# `measured["rsum_paper"]` has the published sums. Sort them, and look at the steps.
#
# </details>
# <details><summary>Another hint</summary>
#
# A mean of $n$ seeds has the variance $5^2/n$, and a difference of two of them has twice that. Set $1.96$ times its
# root equal to the step.
#
# </details>
# <details><summary>Solution</summary>
#
# *Fusion-loss* and *Global*, by 0.6. A difference of that size lies outside $\pm 1.96 \sqrt{2/n} \cdot 5$ every second
# time if $n = 2\,(1.96 \cdot 5 / 0.6)^2$:
#
# ```python
# import numpy as np
#
# sums = measured.set_index("row")["rsum_paper"].sort_values()
# least = sums.diff().min()
# print(f"least difference {least:.1f}; seeds on each side: {np.ceil(2 * (1.96 * 5 / least) ** 2):.0f}")
# assert check.table1.exercise1(("Fusion-loss", "Global"), np.ceil(2 * (1.96 * 5 / least) ** 2), measured)
# ```
#
# </details>

# %%
rows = ...  # two names
needed = ...  # seeds on each side
check.table1.exercise1(rows, needed, measured)

# %% [markdown]
# **2.** (*medium, 10 minutes*) Compare *Fusion-similarity* of the same seed with the after-the-fact sum above. By how
# many points is it ahead, and what else differs between the two besides the training?
#
# <details><summary>Hint</summary>
#
# `results["Fusion-similarity", 0]` was trained as a sum, and `after_the_fact` has the sum of parts that were trained
# apart.
#
# </details>
# <details><summary>Another hint</summary>
#
# Subtract the rsum of the second from that of the first. A result has its `recalls`.
#
# </details>
# <details><summary>Solution</summary>
#
# Parts that need not be right alone can divide the work ([04_fusion](04_fusion.ipynb)), so the sum that was trained as
# a sum should be ahead. But the two rows also differ in the caption loss and in the recipe, so this difference is not
# the effect of joint training alone. Lesson 4 quotes the same comparison with three seeds.
#
# ```python
# together = results["Fusion-similarity", 0].recalls["rsum"]
# afterwards = after_the_fact.loc["S_G + 2 S_L", "rsum"]
# print(f"trained as a sum: rsum {together:.1f}; trained apart and then added: {afterwards:.1f}")
# assert check.table1.exercise2(together - afterwards, results["Fusion-similarity", 0].recalls, after_the_fact)
# ```
#
# </details>

# %%
gained = ...  # rsum
check.table1.exercise2(gained, results["Fusion-similarity", 0].recalls, after_the_fact)

# %% [markdown]
# **3.** (*medium, 10 minutes*) How do the verdicts depend on the number of seeds? Judge the five claims by the first
# seed alone, and then by the first two seeds. Which claims change their verdict, and why can a verdict of *one* seed
# look more certain than a verdict of two?
#
# <details><summary>Hint</summary>
#
# `TABLE1.verdicts(seeds=range(1), **settings)` judges by the first seed alone. If a seed is not trained yet, this call
# trains it.
#
# </details>
# <details><summary>Another hint</summary>
#
# The columns `lo` and `hi` are the ends of the intervals. Compare their widths. What can an interval of one seed know
# about other seeds?
#
# </details>
# <details><summary>Solution</summary>
#
# An interval of one seed includes the chance of the test pictures alone, so it is often narrow. An interval of two
# seeds includes their difference, too. If the two seeds lie far apart, it is very wide, since two numbers say little
# about their spread. Believe the verdict of several seeds: a claim about a *method* must hold for other seeds, too.
#
# ```python
# one, two = (TABLE1.verdicts(seeds=range(count), **settings).set_index("claim") for count in (1, 2))
# changed = one.index[one["verdict"] != two["verdict"]].tolist()
# display(pd.DataFrame({"one seed": one["hi"] - one["lo"], "two seeds": two["hi"] - two["lo"]}))  # widths
# assert check.table1.exercise3(changed, one, two)
# ```
#
# </details>

# %%
one, two = ..., ...  # the verdicts with one seed and with two, by claim
changed = ...  # the claims whose verdict is another one
check.table1.exercise3(changed, one, two)

# %% [markdown]
# ## References
#
# Li et al., [*Visual Semantic Reasoning for Image-Text Matching*](https://arxiv.org/abs/1909.02701) (VSRN), ICCV 2019.
# Lee et al., [*Stacked Cross Attention for Image-Text Matching*](https://arxiv.org/abs/1803.08024) (SCAN), ECCV 2018.
# Yuan, Huang, Zhang, Chen, Cheng and Wang, [*Improving Visual Semantic Reasoning for Fine-Grained Image-Text
# Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020.
