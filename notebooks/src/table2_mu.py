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
# # Table 2: how much local similarity
#
# VSR++ scores $S = S_G + \mu S_L$. The paper's table has six values of $\mu$, which we read as six trainings, and the
# best is 2.0. From $\mu$ = 0.5 to 3, the sum of the recalls of text retrieval gains 12.0 points in the paper, and that
# of image retrieval gains 0.5. So in the published table, text retrieval gains more from a large $\mu$, and one of the
# claims below asks whether it does here. This notebook trains the same six models several times. Then it asks two
# questions that the paper does not ask. Does $\mu$ itself matter, or does the relative **margin** matter, which shrinks
# when $\mu$ grows? And is it as good to train one model and to change $\mu$ only *afterwards*?
#
# **You will see** three curves that look alike in a paper and are three different experiments.
#
# *Time:* seconds if the runs are there (`make reproduce-tables` trains them), else about four minutes for each seed on
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

# %% tags=["nbval-ignore-output"]
from itertools import chain

import pandas as pd
from IPython.display import Markdown, display

from vsrpp_lite import show
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.paper import ablation, tables
from vsrpp_lite.paper.four_tables import MUS, RESCALED, TABLE2
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
display(tables.beside(pd.read_csv(recorded_folder() / "scenes-lite" / "table2.csv")).set_index("row"))

# %% tags=["nbval-ignore-output"]
wanted = [TABLE2.runs(seed=seed, **settings) for seed in range(seeds)]
wanted.append(TABLE2.runs(RESCALED, seed=0, **settings))
trained = list(grid.train(chain(*(runs.values() for runs in wanted))))

# %% [markdown]
# ## Measured and published
#
# Each cell has our mean over seeds ± half of its 95 % interval, and then the published figure in brackets. The interval
# knows of the pictures in the test and of the seed of the training. The data are not the paper's Flickr30K, so compare
# the shape of a column, and not its height.

# %%
measured = TABLE2.measure(seeds=range(seeds), **settings)
write(TABLE2, seeds=range(seeds), **settings)
display(tables.beside(measured).set_index("row"))

# %% [markdown]
# ## The claims
#
# An *interior optimum* is two claims: $\mu = 2$ beats the smallest value, and it beats the largest. The third compares
# directions: what does going from 0.5 to 3 bring to text retrieval, beyond what it brings to image retrieval?
#
# In the table, `difference` is what the row that is named first has more than the other one, and `lo` and `hi` are the
# ends of its 95 % interval. `verdict` judges each claim by its own interval. `verdict_holm` judges all claims of
# `results/claims.csv` together by Holm's method, which aims at a chance of 5 % at most for any false verdict. With few
# seeds, the spread between them is sometimes far too small by chance. So Holm's method gets a second p-value of each
# claim, with the spread that the rows of the table have on average, and the larger of the two counts. After a short
# training, the table also has the column `verdict_long`. It shows the recorded verdict of long trainings, which went on
# until the dev split stopped improving. This verdict is also by Holm's method. A verdict of one seed is about the test
# pictures alone, and another seed may change it.

# %%
verdicts = claims_of(TABLE2, data)
display(shown_claims(verdicts, data).set_index("claim"))

# %% [markdown]
# ## Three experiments, one axis
#
# 1. **Trained for each mu**, as in the paper.
# 2. **Trained for four values of mu, with a constant effective margin.** $S$ lies in $[-(1 + \mu), 1 + \mu]$, while the
#    hinge asks for $\alpha = 0.2$ at every $\mu$. Relative to the largest possible $S$, this margin is
#    $\alpha / (1 + \mu)$: it falls from 0.133 at $\mu = 0.5$ to 0.05 at $\mu = 3$. If we set
#    $\alpha = 0.2 (1 + \mu) / 3$, the relative margin is 0.067 for all values of $\mu$, as it is at $\mu = 2$. Then
#    $\mu$ changes the weight of $S_L$ and not the relative margin. This experiment has one seed, so its bars include
#    the chance of the test pictures alone.
# 3. **One model, weighted at test time**: $S_G$ and $S_L$ of the model trained with $\mu = 2$, added up anew. Its bars,
#    too, include the chance of the test pictures alone.
#
# Every point is a *paired* difference from $\mu = 2$ of the same experiment, so the published curve fits on the same
# axis.


# %%
def published_sum(mu, direction):
    """R@1 + R@5 + R@10 of one direction, as published."""
    metrics = TABLE2.published_metrics(f"mu = {mu}")
    return sum(metrics[f"{direction}_r{k}"] for k in (1, 5, 10))


points = []
for mu in MUS:
    for direction in ("i2t", "t2i"):
        gain = published_sum(mu, direction) - published_sum(2.0, direction)
        points.append({"mu": mu, "direction": direction, "difference": gain, "lo": gain, "hi": gain})
paper = pd.DataFrame(points)
full = Result(TABLE2.runs(seed=0, **settings)["mu = 2.0"])
curves = {
    f"trained for each µ ({seeds} seed{'s' * (seeds > 1)})": ablation.mu_effects(
        ablation.trained(TABLE2.rows, seeds=range(seeds), **settings)
    ),
    "the same, effective margin held (1 seed)": ablation.mu_effects(
        ablation.trained(RESCALED, seeds=range(1), **settings)
    ),
    "one model, µ changed at test time": ablation.mu_effects(ablation.swept(full, MUS)),
    "published": paper,
}
figure = show.mu_effects(curves)
folder = tables.results_folder(data) / "figures"
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "table2.png", dpi=150)

# %%
table = pd.concat(
    {name: frame.pivot(index="mu", columns="direction", values="difference") for name, frame in curves.items()}, axis=1
)
table.to_csv(folder.parent / "tables" / "table2_curves.csv")
display(table)

# %% [markdown]
# Each number says how many points of R@1 + R@5 + R@10 a model has more than the model with $\mu = 2$. Where the second
# curve is flat and the first is not, the margin is a likely explanation of the difference, which one seed cannot prove.
# Where the third curve is as high as the first, one trained model is as good as six. Compare the points with their
# bars: from 2 to 3, do the curves change by more than the bars? If they do not, these trainings cannot show which value
# is best.
#
# ## The whole sweep of one model
#
# Once $S_G$ and $S_L$ are computed, one addition of matrices gives the scores for any $\mu$, also for $\mu = 0$ and
# $\mu = \infty$. Be careful with the left end of the figure. This model was trained on the sum, and the loss never
# asked its $S_G$ to find the picture without $S_L$. So its $S_G$ does not show what a model with a global score alone
# can do.
# %%
where = full.run.dataset("test").caption_to_image
global_scores = full.scores(lambda _: cosine)
local_scores = full.scores(lambda _: full.run.system.local)
figure = show.mu_sweep(global_scores, local_scores, where, mu=2.0)
figure.savefig(folder / "table2_sweep.png", dpi=150)

# %% [markdown]
# ## A recipe for each end
#
# Above, every $\mu$ has the recipe of VSR++, which is that of $\mu = 2$. So the other values may be worse because
# nobody looked for a recipe that suits them. The study of `lite` has tuned both ends of the table, too, with the same
# settings as every system ([07_reading_the_tables](07_reading_the_tables.ipynb) explains it). Here are both ends with
# both recipes, as `tests/own_recipes.py` recorded them (`scenes`, preset `lite`, three seeds), and by how much
# $\mu = 2$ leads them. (Where the two lines of a row are equal, the study chose the setting of VSR++ again.)

# %%
own = pd.read_csv(recorded_folder() / "scenes-lite" / "own_recipes.csv").query("row.str.startswith('mu')")
display(own.set_index(["row", "recipe"]))
leads = own[own["row"] == "mu = 0.5"].set_index("recipe")["its lead"]
alike, fair = leads["VSR++'s"], leads["its own"]
display(
    Markdown(
        f"If both have VSR++'s recipe, $\\mu = 2$ leads $\\mu = 0.5$ by {alike:.0f} points of rsum. If "
        f"$\\mu = 0.5$ has a recipe of its own, the lead is {fair:.0f}. So where all values have the recipe of one of "
        "them, a part of their difference says only how well this recipe suits the others."
    )
)

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** (*easy, 5 minutes*) The published rsum is 489.1 at $\mu = 1.5$ and 490.5 at 2.0. If one seed's standard
# deviation is 5, how many seeds would tell the two apart?
#
# <details><summary>Hint</summary>
#
# The step is 1.4. The difference of two means of $n$ seeds has the standard deviation $\sqrt{2/n} \cdot 5$.
#
# </details>
# <details><summary>Another hint</summary>
#
# You see the step every second time if $1.96$ times this standard deviation equals the step.
#
# </details>
# <details><summary>Solution</summary>
#
# 98 on each side to see it every second time, $2\,(1.96 \cdot 5 / 1.4)^2$, and about twice as many to see it four
# times in five.
#
# ```python
# assert check.table2.exercise1(2 * (1.96 * 5 / 1.4) ** 2)
# ```
#
# </details>

# %%
needed = ...  # seeds on each side, to see it every second time
check.table2.exercise1(needed)

# %% [markdown]
# **2.** (*medium, 10 minutes and a minute of computing*) The effective margin at $\mu = 2$ is 0.067. Make it ten times
# smaller, `margin=0.02`: what do you expect of a loss that asks the right answer to win by next to nothing? Train and
# look.
#
# <details><summary>Hint</summary>
#
# `VSRpp` has a field for the margin and one for mu.
#
# </details>
# <details><summary>Another hint</summary>
#
# `TABLE2.runs({"narrow": system}, seed=0, **settings)` makes a run like the table's own.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# from vsrpp_lite import VSRpp
#
# narrow = TABLE2.runs({"narrow": VSRpp(mu=2.0, margin=0.02)}, seed=0, **settings)["narrow"].fit()
# print(f"margin 0.2: rsum {full.recalls['rsum']:.1f}; margin 0.02: {narrow.recalls['rsum']:.1f}")
# assert check.table2.exercise2(VSRpp(mu=2.0, margin=0.02))
# ```
#
# Is the model with the small margin worse in your run? Then a likely reason is that its loss becomes zero as soon as
# the right answer barely wins, and on pictures that the model has not seen that is not enough. One seed is a first
# look.
#
# </details>

# %%
narrow_system = ...  # VSRpp(...)
check.table2.exercise2(narrow_system)

# %% [markdown]
# **3.** (*medium, 10 minutes*) At test time, divide each of $S_G$ and $S_L$ by its own standard deviation before you
# add them. Now another value of $\mu$ gives the order that the old $\mu$ gave. By which factor must you multiply the
# old $\mu$ to get the new one? Set `stretch` to this factor.
#
# <details><summary>Hint</summary>
#
# `global_scores` and `local_scores` are the two matrices.
#
# </details>
# <details><summary>Another hint</summary>
#
# Which new mu gives the same order of pictures as the old mu = 2?
#
# </details>
# <details><summary>Solution</summary>
#
# It is the same model with another unit. The curve is the old one, and its axis is stretched by the ratio of the two
# deviations, which the code prints. A $\mu$ without the scales of its two scores says little.
#
# ```python
# from vsrpp_lite.training.metrics import sweep
#
# parts = global_scores, local_scores
# unit = [part / part.std() for part in parts]
# stretch = parts[1].std() / parts[0].std()
# raw, scaled = sweep(*parts, where, [2.0]), sweep(*unit, where, [2.0 * stretch])
# print(f"stretched by {stretch:.2f}: rsum {raw['rsum'].iloc[0]:.1f} and {scaled['rsum'].iloc[0]:.1f}")
# assert abs(raw["rsum"].iloc[0] - scaled["rsum"].iloc[0]) < 1.0
# assert check.table2.exercise3(stretch, full)
# ```
#
# </details>

# %%
stretch = ...  # the factor by which mu is larger in the new unit
check.table2.exercise3(stretch, full)

# %% [markdown]
# ## References
#
# Yuan, Huang, Zhang, Chen, Cheng and Wang, [*Improving Visual Semantic Reasoning for Fine-Grained Image-Text
# Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020, Table 2.
