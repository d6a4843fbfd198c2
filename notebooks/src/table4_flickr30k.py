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
# # Table 4: seven systems on Flickr30K
#
# The paper compares VSR++ with six systems of the two years before it, on the 1,000 test images of Flickr30K. This
# notebook trains all seven, in one code and on the same data, several times each, and asks whether their published
# order comes out.
#
# **You will see** which steps between neighbouring systems are larger than chance, and what an average of two models
# is worth. All rows read the same image features here. So this notebook cannot say how much of the published order
# comes from the features, which differ from paper to paper.
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
from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.paper.published import PUBLISHED_AS, SINGLE_SCAN
from vsrpp_lite.paper.table_files import claims_of, shown_claims, write
from vsrpp_lite.systems.scan import VARIANTS
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
display(tables.beside(pd.read_csv(recorded_folder() / "scenes-lite" / "table4.csv")).set_index("row"))

# %% tags=["nbval-ignore-output"]
wanted = [TABLE4.runs(seed=seed, **settings) for seed in range(seeds)]
wanted.append(TABLE4.runs(VARIANTS, seed=0, **settings))
trained = list(grid.train(chain(*(runs.values() for runs in wanted))))
grid.rank(TABLE4.rankings(seeds=range(seeds), **settings))


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
measured = TABLE4.measure(seeds=range(seeds), **settings)
write(TABLE4, seeds=range(seeds), **settings)
display(tables.beside(measured).set_index("row"))

# %%
figure = show.table(measured)
folder = tables.results_folder(data) / "figures"
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "table4.png", dpi=150)

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
verdicts = claims_of(TABLE4, data)
display(shown_claims(verdicts, data).set_index("claim"))

# %%
figure = show.claims(verdicts)
figure.savefig(folder / "claims4.png", dpi=150)

# %% [markdown]
# One row can decide the average spread of the rows. Then an *inconclusive* between two other rows says more about this
# row than about them. Here is how it was in the recorded table of preset `lite`:

# %%
kept = pd.read_csv(recorded_folder() / "scenes-lite" / "runs.csv")
variance = kept[kept["table"] == "table4"].groupby("row")["rsum"].var()
display(
    Markdown(
        f"Of the variance over seeds that the rows have together, {100 * variance.max() / variance.sum():.0f} % comes "
        f"from *{variance.idxmax()}*."
    )
)

# %% [markdown]
# ## What these verdicts say, and what they do not
#
# This is a short training, unless you set another preset. A short training favours systems that learn fast. In the
# recorded trainings, the mean of VSRN rises most from short to long. But its seeds lie so far apart after three epochs
# that the size of this rise is uncertain. So a verdict of a short training can be about *learning speed*, and not about
# the quality that a system reaches in the end. Compare the columns `verdict_holm` and `verdict_long` above.
#
# Even a verdict of the long trainings is about drawn scenes. "Not reproduced" means that the claim does not hold here.
# It does not mean that the paper's numbers are wrong: its data, its features and the size of its models are others. The
# project's page of results, RESULTS.md, sets the verdicts on all data beside each other.

# %% [markdown]
# ## Single models and averages of two
#
# Some published rows are averages of two models, and some are not. The table shows our rows in both ways: the mean rsum
# of the models of the first two seeds, the rsum of their averaged scores, and the gain from averaging, over the mean of
# the two and over the better one. Where the two lie far apart, the first gain mostly says how weak the weaker one is.
# The last columns show the published rsum, and what it is.

# %%
pairs = TABLE4.averages(seeds=range(seeds), **settings)
singles = pairs[pairs["model"].str.startswith("single")].groupby("row", sort=False)["rsum"]
ours = singles.mean().rename("single")
both = pairs[pairs["model"] == "ensemble of both"].set_index("row")["rsum"].rename("average of two")
averaged = pd.concat([ours, both], axis=1)
averaged["gain"] = averaged["average of two"] - averaged["single"]
averaged["gain over the better"] = averaged["average of two"] - singles.max()
averaged["published"] = [TABLE4.published_metrics(row)["rsum"] for row in averaged.index]
averaged["published as"] = averaged.index.map(PUBLISHED_AS)
averaged.to_csv(folder.parent / "tables" / "table4_averages.csv")
display(averaged)
for row, note in TABLE4.notes.items():
    display(Markdown(f"*{row}*: {note}."))

# %% [markdown]
# ## SCAN in its four variants, and the average that was published
#
# Words ask regions (t2i), or regions ask words (i2t). The cosines of those who ask are pooled by a mean (AVG) or by
# log-sum-exp (LSE). The published row of SCAN is the average of t2i AVG and i2t LSE, and the row *SCAN* above is t2i
# AVG alone. So compare VSR++ also with the other variants, and with the average. This is one seed without an interval,
# and the variants were not tuned each by itself.

# %%
variants = {name: Result(run) for name, run in TABLE4.runs(VARIANTS, seed=0, **settings).items()}
found = pd.DataFrame({name: result.recalls for name, result in variants.items()}).T
average = variants["t2i AVG"].contributions([variants["i2t LSE"]]).mean(0)
found.loc["t2i AVG + i2t LSE"] = average
found["rsum, published"] = [sum(SINGLE_SCAN[name]) for name in variants] + [TABLE4.published_metrics("SCAN")["rsum"]]
display(found)

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** (*easy, 5 minutes*) The seeds of one model, VSRN, have a standard deviation of 5.4. So the difference of two
# such runs has one of √2 · 5.4 = 7.6. Which neighbours of the published table differ by less than that?
#
# <details><summary>Hint</summary>
#
# Sort the published sums, and look at the six steps.
#
# </details>
# <details><summary>Another hint</summary>
#
# A step counts if it is smaller than 7.6. One step is a little larger.
#
# </details>
# <details><summary>Solution</summary>
#
# SAEM and GVSE differ by 3.9, and VSRN and SAEM by 5.8. The step from VSRN to VSR++, 7.9, is hardly larger than 7.6.
# Besides, VSRN is an average of two models, a later survey calls GVSE an ensemble, and SAEM is one model.
#
# ```python
# assert check.table4.exercise1([("SAEM", "GVSE"), ("VSRN", "SAEM")])
# ```
#
# </details>

# %%
pairs_within = ...  # a list of pairs of names
check.table4.exercise1(pairs_within)

# %% [markdown]
# **2.** (*medium, 10 minutes*) VSE++ was published with whole pictures, and SCAN, SAEM and VSRN with the regions of a
# detector. (a) Why do no two of our rows show what *regions* are worth? (b) No two rows differ in *attention* alone,
# either. Give two settings of `VSRpp` that differ in the branch alone: one branch has attention, and the other has
# none.
#
# <details><summary>Hint</summary>
#
# Write down for each of two rows: image encoder, sentence encoder, similarity, losses. Where do they differ?
#
# </details>
# <details><summary>Another hint</summary>
#
# `VSRpp` has a field `fusion`.
#
# </details>
# <details><summary>Solution</summary>
#
# No two of these rows show what regions are worth, because our VSE++ reads the mean of the regions, too. To measure
# it, one would also train VSE++ on a single vector of the whole picture. SCAN and VSE++ do not show what attention is
# worth, because SCAN also reads the sentence in both directions. `VSRpp(fusion="local")` and `VSRpp(fusion="global")`
# share the graph of regions, the sentence encoder and the training. They differ in one whole branch: words that look
# at regions, or a GRU over regions and the last states ([07_reading_the_tables](07_reading_the_tables.ipynb)). So this
# pair says what the branch with attention is worth in place of the other. No pair of settings has attention as its
# only difference.
#
# ```python
# import vsrpp_lite as vl
#
# assert check.table4.exercise2((vl.VSRpp(fusion="local"), vl.VSRpp(fusion="global")))
# ```
#
# </details>

# %%
pair = ...  # two systems
check.table4.exercise2(pair)

# %% [markdown]
# **3.** (*medium, 10 minutes*) Average VSR++ and SCAN instead of two seeds of VSR++: `Result.contributions([other])`.
# Which partner raises the rsum of VSR++ more: SCAN, or a second VSR++?
#
# <details><summary>Hint</summary>
#
# `Result(run)` opens a finished run, and `contributions([other])` averages the scores of both before it ranks.
#
# </details>
# <details><summary>Another hint</summary>
#
# The last column of `contributions` is rsum. Take its mean over the pictures.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# one = {name: Result(run) for name, run in TABLE4.runs(seed=0, **settings).items()}
# print(f"VSR++ and SCAN: {one['VSR++'].contributions([one['SCAN']]).mean(0)[-1]:.1f}")
# assert check.table4.exercise3(one["VSR++"].contributions([one["SCAN"]]).mean(0)[-1], one)
# ```
#
# Compare with the average of two seeds of VSR++ in the table above. If that is better, then a second VSR++ is the
# better partner here. If the average with SCAN is still better than VSR++ alone, then the two err on different queries.
# But this is one pair of models without an interval: a first look, and no answer yet. The average is also not quite
# fair: the scores of VSR++ spread more widely than those of SCAN, so SCAN has the smaller say. Divide each matrix of
# scores by its standard deviation, and average again before you judge.
#
# </details>

# %%
average = ...  # rsum
check.table4.exercise3(average, {name: Result(run) for name, run in TABLE4.runs(seed=0, **settings).items()})

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
