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
# # What the models find
#
# The paper's slides close with queries: a picture and the sentences that it finds, a sentence and the pictures that it
# finds, VSRN beside VSR++. Such slides are convincing, but they prove little, since somebody chose them. Here a
# **rule** chooses:
#
# - the largest gains: of the queries that VSR++ answers right (the right answer comes first), those on which VSRN is
#   furthest off;
# - and the largest losses: of the queries that VSRN answers right, those on which VSR++ is furthest off.
#
# **You will see** on which queries VSR++ and VSRN differ after a short training, what the words looked at, why a query
# fails, and how little a chosen query proves. The two systems differ in more than the local similarity. After a long
# training their gap is smaller, but three seeds cannot say by how much it falls.
#
# *Time:* seconds if the two runs are there, else about a minute on two cores. *Needs:*
# [00_start_here](00_start_here.ipynb), and [03_local_attention](03_local_attention.ipynb) for the attention.

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
seed: int = 0  # of both trainings

# %% tags=["nbval-ignore-output"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display

from vsrpp_lite import show
from vsrpp_lite.data.scenes import plans, words
from vsrpp_lite.data.scenes.draw import draw
from vsrpp_lite.data.scenes.facts import read
from vsrpp_lite.data.scenes.truth import fits, holds
from vsrpp_lite.paper import tables
from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.teaching import check, predict, quiz
from vsrpp_lite.training import grid
from vsrpp_lite.training.metrics import ranks
from vsrpp_lite.training.runs import Result

show.inline("jpeg", quality=55)  # many pictures: a small part of the size of PNG
plt.rcParams["figure.dpi"] = 70  # and smaller ones
runs = TABLE4.runs(data=data, preset=preset, seed=seed)
trained = list(grid.train([runs["VSRN"], runs["VSR++"]]))

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.1")

# %%
results = {name: Result(runs[name]) for name in ("VSRN", "VSR++")}
scores = {name: result.scores() for name, result in results.items()}
test = runs["VSR++"].dataset("test")
matcher = results["VSR++"].matcher()
image_ranks, text_ranks = (
    pd.DataFrame({name: ranks(matrix, test.caption_to_image)[k] for name, matrix in scores.items()}) for k in (0, 1)
)
for name, frame in (("picture asks", image_ranks), ("sentence asks", text_ranks)):
    frame["gain"] = frame["VSRN"] - frame["VSR++"]
    better, worse = (frame["gain"] > 0).mean(), (frame["gain"] < 0).mean()
    print(f"{name}: {len(frame)} queries; VSR++ ranks the answer higher in {better:.0%}, lower in {worse:.0%}")

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.2")

# %% [markdown]
# Before looking at single queries, look at all of them: each point of the curve is a share of queries. A model whose
# curve lies higher puts more right answers among its first *k*; recall at 1, 5 and 10 are three points of it (dotted).

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
for ax, title, frame in zip(axes, ("a picture asks", "a sentence asks"), (image_ranks, text_ranks), strict=True):
    for name, colour in (("VSRN", show.PAPER), ("VSR++", show.MEASURED)):
        sns.ecdfplot(frame[name], ax=ax, label=name, color=colour, lw=2)
    ax.set(xscale="log", title=title, xlabel="rank of the right answer", ylabel="share of queries")
    ax.set_xticks([1, 5, 10, 100, 1000], ["1", "5", "10", "100", "1000"])
    for k in (1, 5, 10):
        ax.axvline(k, color="black", lw=0.5, ls=":")
    ax.legend(frameon=False)
    sns.despine(ax=ax)
show.describe(
    figure,
    "Share of queries whose right answer is among the first k. At k = 10: "
    + ", ".join(
        f"{name} {100 * (frame[name] <= 10).mean():.0f} % ({who})"
        for who, frame in (("a picture asks", image_ranks), ("a sentence asks", text_ranks))
        for name in ("VSRN", "VSR++")
    ),
)
folder = tables.results_folder(data) / "figures"
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "ranks.png", dpi=150)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.3")

# %% [markdown]
# ## A sentence asks
#
# Here are the two largest gains. Each row shows the first three pictures of one system, and a check mark stands at the
# right picture. The text above each row says at which place the right picture came. (Compare scores only within a row:
# VSRN's $S$ is a cosine, and VSR++'s $S$ goes up to 3.)

# %%


def furthest_off(frame: pd.DataFrame, loser: str, winner: str, count: int) -> list[int]:
    """The first `count` queries by the rank of `winner`, the best first; of equals, by the worst rank of `loser`."""
    return frame.sort_values([winner, loser], ascending=[True, False], kind="stable").index[:count].tolist()


most = furthest_off(text_ranks, "VSRN", "VSR++", 2)
least = furthest_off(text_ranks, "VSR++", "VSRN", 2)
for k, text in enumerate(most):
    figure = show.text_query(scores, test, text)
    figure.savefig(folder / f"query_text_gain{k + 1}.png", dpi=150)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.4")

# %% [markdown]
# What did the words look at, in the right picture? Each panel shows one word. The picture is clear where the word
# looks, and the larger the word's attention to a region, the stronger its box. The words shown are the nouns of the
# sentence that name things, and the rarest of the other words.

# %%
KINDS: dict[str, set[str]] = {}  # the kinds of things that a noun can name: a child is a girl or a boy
for kind, names in words.NAMES.items():
    for name in names:
        for form in (name, words.PLURALS.get(name, f"{name}s")):
            KINDS.setdefault(form, set()).add(kind)


def look(text: int) -> plt.Figure:
    """The attention of the nouns of a sentence and of its rarest other words, up to four words, in its own picture."""
    sentence, image = test.captions[text], int(test.caption_to_image[text])
    rows = show.attention_weights(matcher, test, image, sentence).index
    nouns = [place for place, word in enumerate(rows) if word in KINDS]
    others = [place for place in show.rarest(matcher.tokenizer, sentence) if place not in nouns]
    shown = sorted(nouns + others[: max(1, 4 - len(nouns))])
    return show.attention(matcher, test, image, sentence, words=shown)


for k, text in enumerate(most):
    figure = look(text)
    figure.savefig(folder / f"query_text_gain{k + 1}_attention.png", dpi=150)
first = most[0]
weights = show.attention_weights(matcher, test, int(test.caption_to_image[first]), test.captions[first])
display(weights.agg(["min", "max", "sum"], axis=1).head(4))  # the first four words; some of them name no thing

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.5")

# %% [markdown]
# Look at one word at a time. Does a noun look at its thing? Section *Why a sentence fails* below answers this question
# for hundreds of sentences. A word that names no thing, such as a word for an action, must look somewhere, too, since
# its weights sum to 1; where it looks need not mean anything.
#
# ## A sentence asks, and VSR++ does worse
#
# The two largest losses, by the same rule.

# %%
for k, text in enumerate(least):
    figure = show.text_query(scores, test, text)
    figure.savefig(folder / f"query_text_loss{k + 1}.png", dpi=150)

# %%
for text in least:
    look(text)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.6")

# %% [markdown]
# It is tempting to explain a loss by the first word that looks hard: a count, the weather, a relation. Such a story
# may be wrong. Perhaps the detector found no region for the thing at all, and no model could have known. So we decide
# by code.
#
# ## Why a sentence fails
#
# A sentence can fail in three ways, and each has another remedy:
#
# 1. **Not detected.** No region lies on a thing that the word means. The remedy is a better detector.
# 2. **Detected, not attended.** There is such a region, but the word gives its largest weight to another one. The
#    remedy is better attention.
# 3. **Attended, but outscored.** Every noun looks at its thing, and another picture still scores higher. It may show
#    the same things in another number, colour or relation. The remedy is a better comparison. Or the sentence may be
#    true of this picture, too, and then nothing has failed.
#
# For drawn scenes we know where every thing is. A region *lies on* a thing if their boxes overlap by at least 0.3
# (intersection over union). A noun means the things that fit its whole phrase: in *a child with a black jersey*, the
# noun *child* means a child in black, and not another child. A sentence counts as 1 if any of its nouns is not
# detected, else as 2 if any is not attended, and else as 3.

# %%
MISSED, OVERLOOKED, ATTENDED = "1 not detected", "2 detected, not attended", "3 attended"


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of all pairs of boxes (K, 4) and (R, 4), as (K, R)."""
    low, high = (f(one[:, None, s], other[None, :, s]) for f, s in ((np.maximum, np.s_[:2]), (np.minimum, np.s_[2:])))
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (one, other)]
    return both / (areas[0][:, None] + areas[1][None] - both + 1e-9)


def fates(text: int) -> pd.Series:
    """What became of each noun of a sentence in its own picture."""
    image = int(test.caption_to_image[text])
    scene = plans.sample_scene(0, "test", image)  # `scenes` is the draw with seed 0
    drawing, extents = draw(scene)
    on_thing = overlaps(extents / np.tile(drawing.size, 2), test[image].boxes) >= 0.3  # (things, regions)
    weights = show.attention_weights(matcher, test, image, test.captions[text])
    told = []
    for mention in read(test.captions[text]).mentions:
        meant = [k for k, thing in enumerate(scene.things) if fits(mention, thing)]
        regions = on_thing[meant].any(0)
        for place in range(1 + mention.start, 1 + mention.stop):  # place 0 is <start>
            if weights.index[place] in KINDS:
                attended = regions[weights.iloc[place].to_numpy().argmax()]
                fate = MISSED if not regions.any() else ATTENDED if attended else OVERLOOKED
                told.append((weights.index[place], fate))
    return pd.Series([fate for _, fate in told], index=[word for word, _ in told], name="what became of it", dtype=str)


if data == "scenes":
    for name, chosen in (("gain", most), ("loss", least)):
        for text in chosen:
            display(Markdown(f"*{name}*: {test.captions[text].rstrip(' .')}"))
            display(fates(text).to_frame())

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.7")

# %% [markdown]
# Four sentences are too few to find a cause. So we ask the same of up to 300 sentences that VSR++ answers right (their
# picture comes first) and of up to 300 that it answers wrong. An explanation is worth something only if it is *more
# frequent among the wrong ones*.

# %%
if data == "scenes":
    rng = np.random.default_rng(0)
    right = text_ranks["VSR++"] == 1
    pools = {"answered right": np.flatnonzero(right), "answered wrong": np.flatnonzero(~right)}
    asked = {name: rng.permutation(pool)[:300] for name, pool in pools.items()}
    causes = {name: [min(fates(text), default="no noun") for text in texts] for name, texts in asked.items()}
    counts = pd.DataFrame({name: pd.Series(found).value_counts() for name, found in causes.items()}).fillna(0)
    shares = (100 * counts / counts.sum()).reindex([MISSED, OVERLOOKED, ATTENDED]).fillna(0)
    shares["difference"] = shares["answered wrong"] - shares["answered right"]
    variances = (shares[list(pools)] * (100 - shares[list(pools)]) / counts.sum()).sum(axis=1)
    shares["± (95 %)"] = 1.96 * variances**0.5
    display(shares)
    told = {
        cause: f"{line['answered wrong']:.1f} % of the wrong answers and in {line['answered right']:.1f} % of the "
        f"right ones, a difference of {line['difference']:.1f} ± {line['± (95 %)']:.1f} points"
        for cause, line in shares.iterrows()
    }
    display(
        Markdown(
            f"A thing was not detected in {told[MISSED]}. All things were detected, but a noun did not look at its "
            f"thing, in {told[OVERLOOKED]}. In {shares.loc[ATTENDED, 'answered wrong']:.1f} % of the wrong answers, "
            "every noun looks at its thing, but another picture still scores higher. (These are results of one seed, "
            "and the intervals are about these sentences alone.)"
        )
    )
    outscored = [text for text, cause in zip(asked["answered wrong"], causes["answered wrong"]) if cause == ATTENDED]
    winners = [int(scores["VSR++"][:, text].argmax()) for text in outscored]
    also_true = [
        holds(read(test.captions[text]), plans.sample_scene(0, "test", image))
        for text, image in zip(outscored, winners)
    ]
    display(
        Markdown(
            f"Of these wrong answers of the third kind, {100 * np.mean(also_true):.0f} % are no mistakes at all: the "
            "sentence is true of the picture that came first, too."
        )
    )

# %% [markdown]
# A cause can explain mistakes only if it is more frequent among the wrong answers than among the right ones. So look
# whether the interval of a difference lies above zero. But most wrong answers are of the third kind: every noun looks
# at its thing, and another picture still comes first. For some of these, that picture is a true answer, too, so nothing
# failed. ([Lesson 9](09_what_recall_cannot_see.ipynb) counts such false negatives.) We count the others as mistakes of
# *comparison*. We have not measured how the two pictures differ there.
#
# ## A picture asks
#
# The largest gain and the largest loss: the picture, and each system's first three sentences.

# %%
(best,) = furthest_off(image_ranks, "VSRN", "VSR++", 1)
(worst,) = furthest_off(image_ranks, "VSR++", "VSRN", 1)
for name, image in (("gain", best), ("loss", worst)):
    figure = show.image_query(scores, test, image)
    figure.savefig(folder / f"query_image_{name}.png", dpi=150)

# %%
display(pd.DataFrame({"largest gain": image_ranks.loc[best], "largest loss": image_ranks.loc[worst]}))

# %% tags=["hide-input", "nbval-ignore-output"]
predict("6.8")

# %% [markdown]
# ## How much does a slide prove?
#
# Among a thousand queries there are always some with a very large difference. Even two models of *equal* quality show
# striking gains and losses (exercise 3). What counts is the whole distribution above, and the intervals of the tables.
# Besides, the rule decides which queries we see at all. Our rule shows a loss only where VSRN came first, so it hides a
# query that falls from place 20 to place 400. As a check, here are the ranks of queries that were chosen at random:

# %%
chosen = np.random.default_rng(0).choice(len(text_ranks), 8, replace=False)
display(text_ranks.iloc[np.sort(chosen)])

# %% [markdown]
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1. Another rule.** (*easy, 10 minutes*) The rule above prefers queries for which VSRN puts the right answer very far
# down. Write a rule that takes all queries for which VSR++ puts the right answer first and VSRN puts it second. Do the
# slides look more convincing or less convincing?
#
# <details><summary>Hint</summary>
#
# `text_ranks` has a column for each system.
#
# </details>
# <details><summary>Another hint</summary>
#
# Two conditions on columns, joined by `&`, choose rows; `.index` gives their numbers.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# close_calls = text_ranks[(text_ranks["VSR++"] == 1) & (text_ranks["VSRN"] == 2)].index
# first_now = (text_ranks["VSR++"] == 1) & (text_ranks["VSRN"] > 1)
# print(len(close_calls), "such queries, of", first_now.sum(), "that VSR++ brings to the first place")
# if len(close_calls):
#     show.text_query(scores, test, int(close_calls[0]))
# assert check.lesson6.exercise1(close_calls, text_ranks)
# ```
#
# The slides look less convincing, since VSRN misses the right picture by one place only. A gain in R@1 is made of such
# queries, too, and the code prints how many of them there are.
#
# </details>

# %%
close_calls = ...  # the numbers of these queries
check.lesson6.exercise1(close_calls, text_ranks)

# %% [markdown]
# **2. Right attention, wrong picture.** (*medium, 15 minutes*) Find two sentences whose nouns all attend to the right
# things (`fates` says so), while their picture stands at places 5 to 20. What else does $S$ contain?
#
# <details><summary>Hint</summary>
#
# Take queries that VSR++ ranks at places 5 to 20, `text_ranks["VSR++"].between(5, 20)`, and ask `fates` for each.
#
# </details>
# <details><summary>Another hint</summary>
#
# $S$ is a sum of $S_G$ and a mean over all words. Which of these can be low though one word looks at the right place?
#
# </details>
# <details><summary>Solution</summary>
#
# $S$ also contains $S_G$, which does not compare single words; the mean over *all* words, `<start>` and *a* among them;
# and the cosine of each word with what it found, which can be low although it was the right place. Above all, a rank
# depends on the other pictures: one of them may show the same things and score higher.
#
# ```python
# places = text_ranks["VSR++"]
# middling = [text for text in places.index[places.between(5, 20)] if set(fates(text)) == {ATTENDED}][:2]
# for text in middling:
#     show.attention(matcher, test, int(test.caption_to_image[text]), test.captions[text])
# assert check.lesson6.exercise2(middling, text_ranks, fates)
# ```
#
# </details>

# %%
middling = ...  # the numbers of at least two sentences
check.lesson6.exercise2(middling, text_ranks, fates)

# %% [markdown]
# **3. Two seeds.** (*hard, 15 minutes and a minute of computing*) Compare two *seeds* of VSR++ by the same rule. How
# large is the largest gain, between models that differ in nothing but chance?
#
# <details><summary>Hint</summary>
#
# `TABLE4.runs(data=data, preset=preset, seed=seed + 1)["VSR++"].fit()` trains the other seed.
#
# </details>
# <details><summary>Another hint</summary>
#
# `ranks(scores, where)[1]` has the rank of each sentence's picture. Look at those that this seed ranks first.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# other = TABLE4.runs(data=data, preset=preset, seed=seed + 1)["VSR++"].fit()
# again = ranks(other.scores(), test.caption_to_image)[1]
# theirs = again[text_ranks["VSR++"] == 1]
# print(f"first with one seed, at place {theirs.max()} with the other")
# assert check.lesson6.exercise3(theirs.max(), text_ranks, again)
# ```
#
# The code prints a place far from the first. So one could make a striking slide from two models that differ by chance
# alone. Before you believe the largest gain of VSR++ over VSRN, compare that gain with this place.
#
# </details>

# %%
other_ranks = ...  # ranks of the right pictures by another seed of VSR++
rank = ...  # the worst rank by the other seed, of the queries that `seed` ranks first
check.lesson6.exercise3(rank, text_ranks, other_ranks)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(6)

# %% [markdown]
# ## Summary
#
# * Choose queries by a rule, state it, and show the losses beside the gains.
# * Look at all ranks before looking at one.
# * Attention shows what went into a score, not why the picture was found. To explain a mistake, count how often its
#   cause occurs without the mistake.
#
# ## References
#
# Yuan et al., [*Improving Visual Semantic Reasoning for Fine-Grained Image-Text
# Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020, the slides on visual analysis. Li et al.,
# [*Visual Semantic Reasoning for Image-Text Matching*](https://arxiv.org/abs/1909.02701) (VSRN), ICCV 2019.
