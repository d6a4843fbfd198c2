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
# # Table 3: seven systems on MS-COCO
#
# The paper's second data set is MS-COCO, and its numbers are "COCO 1K": the 5,000 test images are searched in **five
# folds of 1,000** and the recalls averaged. A search among 1,000 images is easier than one among 5,000, so a table
# must say which it is. Our counterpart is `scenes-coco`, another draw of the embedded data with a test of 5,000
# pictures.
#
# **You will see** seven systems in both protocols, and how much of a number is its protocol.
#
# *Time:* seconds if the runs are there (`make reproduce-tables` trains them), else some minutes for each seed on two
# cores.

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

# %% tags=["nbval-ignore-output"]
from itertools import chain

import pandas as pd
from IPython.display import Markdown, display

from vsrpp_lite import show
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper import tables
from vsrpp_lite.paper.four_tables import TABLE3
from vsrpp_lite.paper.published import PUBLISHED_AS
from vsrpp_lite.paper.table_files import claims_of, shown_claims, write
from vsrpp_lite.teaching import check
from vsrpp_lite.training import grid
from vsrpp_lite.training.runs import Result

settings = {"data": data, "preset": preset}
show.inline()
pd.options.display.float_format = "{:.1f}".format

# %% [markdown]
# If you have only two minutes, look at the table as it was recorded with preset `lite`. The cell below it trains every
# row that is not in `runs/` yet, and that takes longer.

# %%
display(tables.beside(pd.read_csv(recorded_folder() / "scenes-lite" / "table3.csv")).set_index("row"))

# %% tags=["nbval-ignore-output"]
wanted = [TABLE3.runs(seed=seed, **settings) for seed in range(seeds)]
trained = list(grid.train(chain(*(runs.values() for runs in wanted))))
grid.rank(TABLE3.rankings(seeds=range(seeds), **settings))


# %% [markdown]
# ## What each row is here
#
# | row | image | sentence | similarity | trained with |
# |---|---|---|---|---|
# | VSE++ | mean of regions | GRU | cosine | hinge |
# | SCO-style | concepts and context under a gate | LSTM | cosine | hinge, concepts, generation |
# | SCAN | regions by themselves | Bi-GRU words | words attend to regions, mean | hinge |
# | GVSE-style | common and uncommon part under a gate | GRU and fixed word vectors, gated | cosine | hinge |
# | SAEM | self-attention over regions | transformer and convolutions over words | cosine | hinge, angular loss |
# | VSRN | graph reasoning, GRU over regions | GRU | cosine | hinge, caption loss |
# | VSR++ | graph reasoning, GRU over regions | Bi-GRU | $S_G + 2 S_L$ | hinge on the sum, caption loss |
#
# All rows share one data format, one trainer and one evaluator. *-style* means that the paper has no code and that we
# had to guess what its description leaves open. The docstring of each system says what we guessed.

# %% [markdown]
# ## Measured and published
#
# Each cell has our mean over seeds ± half of its 95 % interval, and then the published figure in brackets. mR is the
# mean of the six recalls. The data and the size of the models differ from the paper's, so compare the order of the
# rows.

# %%
measured = TABLE3.measure(seeds=range(seeds), **settings)
write(TABLE3, seeds=range(seeds), **settings)
display(tables.beside(measured).set_index("row"))

# %%
figure = show.table(measured)
folder = tables.results_folder(data) / "figures"
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "table3.png", dpi=150)

# %% [markdown]
# ## Five folds, or all at once
#
# The same models (of the first seed) search all test pictures at once. Nothing about a model has changed, only how
# many wrong answers stand beside the right one. Released evaluation scripts differ in this, and so do tables that
# quote them.

# %%
one_seed = TABLE3.measure(seeds=range(1), **settings)  # all five thousand at once are ranked for the first seed alone
protocols = one_seed.set_index("row")[["i2t_r1", "i2t_r1_5k", "t2i_r1", "t2i_r1_5k", "rsum", "rsum_5k"]]
protocols.columns = [
    f"{name.removesuffix('_5k')}, {'all at once' if name.endswith('_5k') else 'five folds'}" for name in protocols
]
display(protocols)

# %% [markdown]
# ## The order, claim by claim
#
# We turn the published order by rsum into claims: each system beats the system that follows it in this order, and VSR++
# beats all others. For each claim we compare the two systems seed by seed and picture by picture. In the table,
# `difference` is what the row that is named first has more than the other one, and `lo` and `hi` are the ends of its 95
# % interval.
#
# `verdict` judges each claim by its own interval. `verdict_holm` judges all claims of `results/claims.csv` together by
# Holm's method, which aims at a chance of 5 % at most for any false verdict. With few seeds, the spread between them
# is sometimes far too small by chance. So Holm's method gets a second p-value of each claim, with the spread that the
# rows of the table have on average, and the larger of the two counts. After a short training, the table also has the
# column `verdict_long`. It shows the recorded verdict of long trainings, which went on until the dev split stopped
# improving. This verdict is also by Holm's method. A verdict of one seed is about the test pictures alone, and another
# seed may change it.

# %%
verdicts = claims_of(TABLE3, data)
display(shown_claims(verdicts, data).set_index("claim"))

# %%
figure = show.claims(verdicts)
figure.savefig(folder / "claims3.png", dpi=150)

# %% [markdown]
# ## Single models and averages of two
#
# Some published rows are averages of two models, and some are not. The table shows our rows in both ways: the mean rsum
# of the models of the first two seeds, the rsum of their averaged scores, and the gain from averaging, over the mean of
# the two and over the better one. Where the two lie far apart, the first gain mostly says how weak the weaker one is.
# The last columns show the published rsum, and what it is.

# %%
pairs = TABLE3.averages(seeds=range(seeds), **settings)
singles = pairs[pairs["model"].str.startswith("single")].groupby("row", sort=False)["rsum"]
ours = singles.mean().rename("single")
both = pairs[pairs["model"] == "ensemble of both"].set_index("row")["rsum"].rename("average of two")
averaged = pd.concat([ours, both], axis=1)
averaged["gain"] = averaged["average of two"] - averaged["single"]
averaged["gain over the better"] = averaged["average of two"] - singles.max()
averaged["published"] = [TABLE3.published_metrics(row)["rsum"] for row in averaged.index]
averaged["published as"] = averaged.index.map(PUBLISHED_AS)
averaged.to_csv(folder.parent / "tables" / "table3_averages.csv")
display(averaged)
for row, note in TABLE3.notes.items():
    display(Markdown(f"*{row}*: {note}."))

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** (*easy, 5 minutes*) A model finds the right picture among 1,000 with probability 0.5. If wrong pictures
# overtake it independently, with what probability does it find the right picture among 5,000? Compare with the table:
# are they independent?
#
# <details><summary>Hint</summary>
#
# Divide the 5,000 into five groups of 1,000. The right picture must win in each of them.
#
# </details>
# <details><summary>Another hint</summary>
#
# Independent chances multiply.
#
# </details>
# <details><summary>Solution</summary>
#
# $0.5^5 = 3\,\%$, since the right picture must win in all five groups. In the table, the right answer comes first among
# all pictures about half as often as in a single fold, which is far more often than independence would allow. So the
# five groups are not independent. Queries differ: an easy query wins in every group, and a hard query wins in none.
# Only queries between these two kinds are lost.
#
# ```python
# assert check.table3.exercise1(0.5**5)
# ```
#
# </details>

# %%
chance = ...  # from 0 to 1
check.table3.exercise1(chance)

# %% [markdown]
# **2.** (*medium, 10 minutes*) Some scripts report the first 1,000 images only. How far apart are the five folds here?
# (`Result.contributions()` has one row for each image, in file order.)
#
# <details><summary>Hint</summary>
#
# `contributions(folds=5)` has one row for each picture. The mean of a column is a recall, and the last column is
# rsum.
#
# </details>
# <details><summary>Another hint</summary>
#
# `reshape(5, -1, columns)` makes five groups of rows, in their order.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# by_image = Result(TABLE3.runs(seed=0, **settings)["VSR++"]).contributions(folds=5)
# folds = by_image.reshape(5, -1, by_image.shape[1]).mean(1)[:, -1]
# print("rsum of the five folds:", folds.round(1))
# assert check.table3.exercise2(folds, Result(TABLE3.runs(seed=0, **settings)["VSR++"]))
# ```
#
# Compare their range with the published steps between neighbouring systems. Whoever has an easy first fold gains by
# reporting it alone.
#
# </details>

# %%
folds = ...  # five values of rsum
check.table3.exercise2(folds, Result(TABLE3.runs(seed=0, **settings)["VSR++"]))

# %% [markdown]
# **3.** (*easy, 5 minutes*) Does the order of the rows change between the protocols, for the models of the first seed?
# Should it?
#
# <details><summary>Hint</summary>
#
# `one_seed` has both for the same models: rsum of five folds, and rsum_5k of all at once.
#
# </details>
# <details><summary>Another hint</summary>
#
# Sort the rows by each of them, and compare the two lists of names.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# orders = [one_seed.sort_values(name, ascending=False)["row"].tolist() for name in ("rsum", "rsum_5k")]
# print("the same order" if orders[0] == orders[1] else f"{orders[0]} and {orders[1]}")
# assert check.table3.exercise3(orders[0] == orders[1], one_seed)
# ```
#
# The order may change. Each system has a curve of recalls over the number of pictures that are searched, and the curves
# of two systems can cross. If they cross, then a table with one protocol does not show it. But compare the steps
# between the rows that change places with the intervals of the table above. If the steps are smaller, the change may be
# chance.
#
# </details>

# %%
same = ...  # True or False
check.table3.exercise3(same, one_seed)

# %% [markdown]
# ## References
#
# Faghri et al., [*VSE++*](https://arxiv.org/abs/1707.05612), BMVC 2018. Huang et al., [*Learning Semantic Concepts and
# Order*](https://arxiv.org/abs/1712.02036) (SCO), CVPR 2018. Lee et al., [*Stacked Cross
# Attention*](https://arxiv.org/abs/1803.08024) (SCAN), ECCV 2018. Huang et al., *Gated Visual-Semantic Embedding*
# (GVSE), AAAI 2019. Wu et al., *Learning Fragment Self-Attention Embeddings* (SAEM), ACM MM 2019. Li et al., [*Visual
# Semantic Reasoning*](https://arxiv.org/abs/1909.02701) (VSRN), ICCV 2019. Yuan, Huang, Zhang, Chen, Cheng and Wang,
# [*Improving Visual Semantic Reasoning for Fine-Grained Image-Text
# Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020.
