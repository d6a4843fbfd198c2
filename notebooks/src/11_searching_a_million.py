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
# # Lesson 11: searching a million pictures
#
# Our test splits have a thousand or five thousand pictures. This lesson searches `scenes-coco`, whose test split has as
# many pictures as the test split of MS-COCO has. A photo library has millions of pictures. With which of our scores
# could we search it? This lesson counts what a query costs. It shows why an index can hold the global score and cannot
# hold the local one. Then it builds the usual solution: a fast first stage proposes candidates, and a slow second stage
# orders them.
#
# **You will learn**
#
# 1. what one query costs, in multiplications and in memory, for $S_G$ and for $S_L$;
# 2. why an index can hold $S_G$, and what a score must be like to be indexed;
# 3. how two stages save most of the work, and how to measure what they lose;
# 4. what approximate indexes (IVF, HNSW) trade.
#
# *Needs:* [04_fusion](04_fusion.ipynb) for $S = S_G + \mu S_L$. *Time:* about 45 minutes. *The module:*
# `vsrpp_lite/search.py`; it needs `pip install 'vsrpp_lite[search]'`, which the environment of this project has. The
# [glossary](glossary.md) explains the terms.

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
data: str = "scenes-coco"  # scenes, scenes-coco, or a folder of data/
preset: str = "lite"  # smoke, lite, long or real
seed: int = 0  # of the trained model

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.files import atomic, recorded_folder
from vsrpp_lite.global_alignment import cosine, l2norm
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.paper.tables import results_folder
from vsrpp_lite.search import nearest_index
from vsrpp_lite.teaching import check, predict, quiz
from vsrpp_lite.two_stage import multiplications, two_stage

show.inline("jpeg", quality=85)  # pictures: a fifth of the size of PNG

# %% [markdown]
# ## What one query costs
#
# A picture is one vector of $D$ numbers for $S_G$, and $R$ regions of $D$ numbers for $S_L$. A sentence has $W$ words.
#
# * $S_G$ is one inner product: $D$ multiplications for each picture.
# * $S_L$ compares every region with every word, which takes $R\,W\,D$. In the plain way it then adds up regions with
#   the weights that it found, which takes $R\,W\,D$ again. We count this plain way: $2\,R\,W\,D$ for each picture.
#   (With lesson 3's Gram matrix, stored for each picture, the second part is only $R^2 W$.)
#
# By hand, for the paper's $R = 36$ regions, $D = 1024$ and a sentence of $W = 12$ words: $S_G$ takes $1024$
# multiplications for each picture, $S_L$ takes $2 \cdot 36 \cdot 12 \cdot 1024 = 884\,736$. That is $2 R W = 864$ times
# as many. In memory, with 4 bytes a number, a picture takes 4 kB for $S_G$ and 147 kB for $S_L$. For a million
# pictures: 4 GB, and 147 GB.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.1")

# %%
R, W, D = 36, 12, 1024
full, staged = multiplications(1_000_000, 1000, embed=D, regions=R, words=W)
assert full == 1_000_000 * (D + 2 * R * W * D)
print(f"one query among a million pictures: {full / 1e9:.0f} billion multiplications by a full scan of S")
print(f"with S_G for all and S for 1,000 candidates: {staged / 1e9:.1f} billion, {full / staged:.0f} times fewer")

# %% [markdown]
# ## What an index can hold
#
# An index answers: *which of my vectors have the largest inner product with this query?* So a score can be indexed if
# it is an inner product $f(T)^\top g(I)$ of something that depends on the sentence alone and something that depends on
# the picture alone. Then the table of all scores is a product of two thin matrices, and its **matrix rank**, the
# number of its independent rows, is at most $D$.
#
# $S_G$ has this form. $S_L$ has not: the weights of the regions depend on the word, so the vector that a word is
# compared with exists only once picture *and* sentence are known. The matrix rank shows it.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.2")

# %%
torch.manual_seed(seed)
small = 4  # D
pictures = l2norm(torch.randn(60, 5, small, dtype=torch.float64))
sentences = l2norm(torch.randn(60, 6, small, dtype=torch.float64))
present = torch.ones(60, 5, dtype=torch.bool), torch.ones(60, 6, dtype=torch.bool)
some = vl.Encoded(l2norm(pictures.mean(1)), pictures, present[0])
texts = vl.Encoded(l2norm(sentences.mean(1)), sentences, present[1])
tables = {"S_G": cosine(some, texts), "S_L": cross_attention(some, texts)}
ranks = {name: torch.linalg.matrix_rank(table) for name, table in tables.items()}
for name, rank in ranks.items():
    print(f"{name} of 60 pictures and 60 sentences with D = {small}: a table of rank {rank}")
assert ranks["S_G"] <= small < ranks["S_L"]

# %% [markdown]
# ## Two stages
#
# The way out is old and simple. **Stage one** takes $S_G$ and finds the $K$ best candidates with an index. **Stage
# two** computes the full $S$ for these $K$ alone, and orders them. A right answer that stage one does not propose is
# lost.
#
# By hand: four pictures have $S_G = (0.9, 0.8, 0.3, 0.1)$ and $S = (1.0, 2.0, 2.5, 0.5)$ for a sentence.
# Which picture does a full scan find, and which one do two stages find with $K = 2$?


# %%
def search_slowly(first: list[float], whole: list[float], K: int) -> int:
    """The best by `whole` of the K best by `first`."""
    candidates = sorted(range(len(first)), key=lambda picture: -first[picture])[:K]
    return max(candidates, key=lambda picture: whole[picture])


# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.3")

# %%
S_G, S = [0.9, 0.8, 0.3, 0.1], [1.0, 2.0, 2.5, 0.5]
assert [search_slowly(S_G, S, K) for K in (1, 2, 3, 4)] == [0, 1, 2, 2]
generator = np.random.default_rng(seed)
first, whole = generator.random((50, 30)), generator.random((50, 30))
for K in (1, 5, 20, 50):
    slow = [search_slowly(first[:, k].tolist(), whole[:, k].tolist(), K) for k in range(30)]
    np.testing.assert_array_equal(two_stage(first, whole, K), slow)
print("two stages by loops and by the package find the same picture")

# %% [markdown]
# `vl.Index` does both stages for real: it encodes a split once, keeps the pooled vectors in a
# [faiss](https://faiss.ai) index, and computes the matcher's own similarity for the candidates.

# %% tags=["nbval-ignore-output"]
run = vl.tuned(vl.VSRpp(mu=2.0), data=data, preset=preset, seed=seed)
matcher = run.fit().matcher()
test = run.dataset("test")
index = vl.Index(matcher, test)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.4")

# %% tags=["nbval-ignore-output"]
sentence = test.captions[0]
everything = index.search(sentence, 3, candidates=len(index))
scores = vl.score(matcher.similarity, index.encoded, matcher.encode_texts(sentence))[:, 0]
assert everything[0].position == scores.argmax()  # with all candidates it is the full scan
np.testing.assert_allclose(everything[0].score, scores.max(), atol=1e-5)
print(sentence)
for answer in index.search(sentence, 3):
    print(f"  picture {answer.name}  S = {answer.score:.2f}")
own = int(test.caption_to_image[0])
place = 1 + int((scores > scores[own]).sum())
print(f"the picture that it was written for: place {place} of {len(index)} by a full scan, S = {scores[own]:.2f}")

# %% [markdown]
# Ask it something yourself. It computes the full score for 100 candidates alone, and the right picture may not be among
# them. The next section measures what this costs in R@1. The command `vsrpp-lite search RUN "a sentence" --candidates
# 100` does the same, where RUN is a folder of `runs/`; without `--candidates` it makes a full scan. With
# `of="captions"`, and `--image FILE` in the shell, a picture asks for its captions.

# %% tags=["nbval-ignore-output"]
asked = "a white horse left of a brown car" if data.startswith("scenes") else "a dog runs through water"
found = index.search(asked, 4)
figure, axes = plt.subplots(1, len(found), figsize=(2.9 * len(found), 2.6), layout="constrained")
for ax, answer in zip(axes, found, strict=True):
    path = test.picture(answer.position)
    if path is not None:
        ax.imshow(plt.imread(path))
    ax.set_title(f"S = {answer.score:.2f}", fontsize=10)
    ax.axis("off")
figure.suptitle(asked)
show.describe(
    figure,
    f"{len(found)} pictures found for “{asked}”: "
    + "; ".join(test.captions_of(answer.position)[0].rstrip(" .") for answer in found),
)
plt.show()

# %% [markdown]
# ## Measure: what does a small K lose?
#
# We compare R@1 of image retrieval by two stages with that of the full scan, for 500 captions of the test split. The
# work is counted for the model at hand. Stage one may be $S_G$ of the same model, or of *another* one. So we try two:
# VSR++'s own $S_G$, and a GVSE-style model, which has nothing but a global score.
#
# Keep this question in mind; the curve below answers it. VSR++ was trained on the sum $S_G + \mu S_L$. Which of the two
# needs fewer candidates?

# %% tags=["nbval-ignore-output"]
helper = vl.tuned(vl.GVSE(), data=data, preset=preset, seed=seed).fit().matcher()

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.5")

# %% tags=["nbval-ignore-output"]
asks = np.sort(np.random.default_rng(seed).permutation(len(test.captions))[:500])
captions, own = [test.captions[k] for k in asks], test.caption_to_image[asks]
texts = matcher.encode_texts(captions)
by_all = vl.score(matcher.similarity, index.encoded, texts)
proposals = {
    "VSR++'s own S_G": vl.score(cosine, index.encoded, texts),
    "a GVSE-style model": vl.score(cosine, helper.encode_images(test), helper.encode_texts(captions)),
}
full_scan = 100 * (by_all.argmax(0) == own).mean()
regions, words = test.mask.sum(1).mean(), texts.mask.sum(1).double().mean().item()
sizes = {"embed": run.settings.sizes.embed, "regions": regions, "words": words}


def line(stage: str, K: int) -> dict:
    """What K candidates find, and what they cost."""
    first = proposals[stage]
    scan, stages = multiplications(len(test), K, **sizes)
    return {
        "stage one": stage,
        "candidates": K,
        "R@1": 100 * (two_stage(first, by_all, K) == own).mean(),
        "proposed": 100 * ((first > first[own, np.arange(len(own))]).sum(0) < K).mean(),
        "times less work": scan / stages,
    }


shares = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
counts = sorted({max(1, round(share * len(test))) for share in shares})
curve = pd.DataFrame(line(stage, K) for stage in proposals for K in counts)
assert (curve[curve["candidates"] == len(test)]["R@1"] == full_scan).all()  # with all candidates nothing is lost
display(curve.round(1).pivot(index=["candidates", "times less work"], columns="stage one", values="R@1").round(1))

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
ax.axhline(full_scan, color="black", ls="--", lw=1, label="full scan of S")
for (stage, part), (style, colour) in zip(
    curve.groupby("stage one", sort=False), (("o-", show.MEASURED), ("s-", show.PAPER)), strict=True
):
    ax.plot(part["times less work"], part["R@1"], style, color=colour, label=f"stage one: {stage}")
for K, less in zip(part["candidates"], part["times less work"], strict=True):
    ax.annotate(f"{K:,}", (less, 0), (0, 3), textcoords="offset points", ha="center", fontsize=8, color="grey")
ax.set(xscale="log", ylim=(0, None), xlabel="times less work than a full scan (in grey: candidates)", ylabel="R@1")
ax.legend(frameon=False, loc="center left")
show.describe(
    figure,
    f"R@1 of two stages; the full scan has {full_scan:.1f}. "
    + "; ".join(
        f"Stage one {stage}: {', '.join(f'{K} candidates {r1:.1f}' for K, r1 in zip(part['candidates'], part['R@1']))}"
        for stage, part in curve.groupby("stage one", sort=False)
    ),
)
plt.show()

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.6")

# %% tags=["nbval-ignore-output"]
tables = results_folder(data) / "tables"
tables.mkdir(parents=True, exist_ok=True)
with atomic(tables / "two_stage.csv") as draft:  # `make record` keeps it
    described = curve.assign(data=data, preset=preset, images=len(test), full_scan=full_scan)
    described.round(2).to_csv(draft, index=False)


def cheapest(table: pd.DataFrame) -> str:
    """Of the tried numbers of candidates, name the smallest that loses at most 0.2 points, for each first stage."""
    told = []
    for stage, part in table.groupby("stage one", sort=False):
        enough = part[part["full_scan"] - part["R@1"] <= 0.2].iloc[0]
        told.append(
            f"* stage one is {stage}: {int(enough['candidates']):,} candidates of {int(enough['images']):,}. They take "
            f"{100 / enough['times less work']:.0f} % of the work of a full scan, and hold the right picture for "
            f"{enough['proposed']:.0f} % of the captions."
        )
    return "\n".join(
        [
            "Of the numbers of candidates that we tried, these are the smallest with which two stages find at most one "
            "right picture fewer than a full scan:",
            "",
            *told,
        ]
    )


display(Markdown(cheapest(described)))

# %% [markdown]
# A first stage need not find the right picture first. It must only keep it among its candidates. A lost picture costs
# R@1 only if the full score would have put it first. So a first stage that loses only pictures which the full score
# would not have found costs nothing.
#
# But nothing promises that $S_G$ can do this. VSR++'s hinge looks at the sum. After a short training $S_L$ carries the
# sum, and nothing has asked $S_G$ to rank by itself. A small model that was trained on its global score alone proposes
# far better, for the price of one more vector for each picture. `vl.Index(matcher, test, proposer=helper)` does it. In
# the stored run, R@1 with few of its candidates is even a little higher than by a full scan. (This is one model and 500
# captions, without an interval.) Keeping the right picture cannot explain such a gain. But the second model also votes:
# it removes wrong pictures that the full score would have put first.

# %%
helped = vl.Index(matcher, test, proposer=helper)
found = [helped.search(caption, 1, candidates=50)[0].position for caption in captions[:50]]
np.testing.assert_array_equal(found, two_stage(proposals["a GVSE-style model"], by_all, 50)[:50])
print("vl.Index with a proposer finds the same pictures")

# %% [markdown]
# On photographs and after a long training, VSR++'s own $S_G$ may be enough. Both the data and the training differ from
# above, so the lines below cannot say which of them matters. They were recorded on Flickr8k, with models that were
# trained until dev stopped improving, for at most twelve epochs:

# %%
photographs = pd.read_csv(recorded_folder() / "flickr8k-real-untuned" / "two_stage.csv")
display(Markdown(cheapest(photographs)))

# %% [markdown]
# ## A million vectors
#
# Now stage one itself. An **exact** index compares the query with every vector. An **inverted file** (IVF) groups the
# vectors around centres, and compares the query only with the groups of the nearest centres (`nprobe` of them). A
# **navigable small world** (HNSW) links each vector with near ones and walks along the links; `efSearch` says how many
# it keeps in view. Both may miss some of the true nearest vectors.
#
# With all groups open, IVF is exact on any vectors:

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.7")

# %%
centres = generator.normal(size=(20, 16))
groups = centres[generator.integers(20, size=4000)] + 0.3 * generator.normal(size=(4000, 16))
vectors = np.ascontiguousarray(groups / np.linalg.norm(groups, axis=1, keepdims=True), dtype=np.float32)
exact, inverted = nearest_index(vectors, "Flat"), nearest_index(vectors, "IVF64,Flat")
true_best = exact.search(vectors[:50], 10)[1]
for probes in (1, 4, 64):
    inverted.nprobe = probes
    kept = np.mean([np.isin(a, b).mean() for a, b in zip(true_best, inverted.search(vectors[:50], 10)[1], strict=True)])
    print(f"IVF with {probes:2} of 64 groups finds {100 * kept:.0f} % of the ten nearest vectors")
assert kept == 1

# %% [markdown]
# How long a query takes on one thread, on average over 200 that are asked together, from a thousand to a million
# vectors of 128 numbers (`make bench SEARCH=1` measured it; other machines differ, but the shapes stay):

# %% tags=["hide-input", "nbval-ignore-output"]
predict("11.8")

# %%
recorded = pd.read_csv(recorded_folder() / "search_curve.csv").fillna("")
figure, (time, quality) = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained")
styles = {"exact": ("o-", "black"), "IVF": ("s--", show.MEASURED), "HNSW": ("^:", show.PAPER)}
for (name, setting), part in recorded.groupby(["index", "setting"], sort=False):
    style, colour = styles[name]
    settings = list(recorded[recorded["index"] == name]["setting"].unique())
    shade = (settings.index(setting) + 1) / len(settings)
    label = f"{name} {setting}".strip()
    time.plot(part["vectors"], part["ms_per_query"], style, color=colour, alpha=shade, label=label)
    quality.plot(part["vectors"], part["found_of_100"], style, color=colour, alpha=shade)
time.set(xscale="log", yscale="log", xlabel="vectors", title="milliseconds for one query")
quality.set(xscale="log", xlabel="vectors", ylim=(0, 103), title="of the 100 nearest vectors found, in %")
figure.legend(*time.get_legend_handles_labels(), loc="outside right center", frameon=False)
show.describe(
    figure,
    "Milliseconds for one query at the largest number of vectors, and how many of the 100 nearest are found: "
    + "; ".join(
        f"{line.index_name} {line.setting}: {line.ms_per_query:.2f} ms, {line.found_of_100:.0f} %".replace("  ", " ")
        for line in recorded.rename(columns={"index": "index_name"}).query("vectors == vectors.max()").itertuples()
    ),
)
plt.show()

# %% [markdown]
# Compare the times from one number of vectors to the next, which is ten times as large. That of the exact index grows
# about tenfold each time, at first by less and then by more. That of the other two grows far more slowly. But they
# must be built first, and they miss some, more with some settings than with others. Why does IVF with 8 or 32 open
# groups find more of the 100 nearest vectors when there are more vectors? These vectors were drawn around a thousand
# centres. If there are fewer than a hundred thousand, a centre has fewer than 100 of them. Then the 100 nearest lie
# around many centres, and so in many groups of IVF. From a hundred thousand on, they lie around one centre, and a few
# open groups hold them. At a million, one open group finds fewer of them again. Probably this is because IVF then has
# about four groups for each centre, and at a hundred thousand it has about one. Real pictures have no such neat
# groups. So measure on your own vectors.
#
# ## Pitfalls
#
# * **Unit vectors.** The cosine of two vectors equals their inner product only if both have length one. Our vectors
#   have length one. If the vectors of your model do not, divide each of them by its length before you index it.
# * **Measure whether the first stage can rank.** SCAN has no $S_G$ in its loss at all (exercise 3).
# * **Report the whole system.** "R@1 with re-ranking of 100" and R@1 of a full scan are different numbers.
# * **An index belongs to one model.** After another training, all vectors are new. `vl.Index.load` checks it.
#
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1. The budget** (*easy, 5 minutes, pencil*). $D = 1024$, $R = 36$, $W = 12$, a million pictures. For which $K$ do
# both stages cost the same?
#
# <details><summary>Hint</summary>
#
# Stage one costs $10^6 D$. A candidate costs $D + 2RWD$.
#
# </details>
# <details><summary>Another hint</summary>
#
# Set both costs equal, and divide by $D$.
#
# </details>
# <details><summary>Solution</summary>
#
# $10^6 D = K\,(D + 2 R W D)$, so $K = 10^6 / (1 + 864) \approx 1156$. Up to about a thousand candidates, the second
# stage costs less than the first.
#
# ```python
# assert round(1e6 / (1 + 2 * 36 * 12)) == 1156
# assert check.lesson11.exercise1(1e6 / (1 + 2 * 36 * 12))
# ```
#
# </details>

# %%
candidates = ...
check.lesson11.exercise1(candidates)

# %% [markdown]
# **2. An inverted file** (*medium, 20 minutes*). Write IVF yourself: choose some vectors as centres, put each vector
# into the group of its nearest centre, and search only the groups of the centres that are nearest to the query. Compare
# with the exact answer.
#
# <details><summary>Hint</summary>
#
# `(vectors @ centres.T).argmax(1)` gives the groups. For a query, sort the centres by inner product, take the first
# few, and look only at their vectors.
#
# </details>
# <details><summary>Another hint</summary>
#
# `np.flatnonzero(np.isin(group, open_groups))` gives the positions of all vectors in the open groups.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# chosen = vectors[np.random.default_rng(0).permutation(len(vectors))[:64]]
#
#
# def search_groups(query, vectors, centres, nprobe):
#     group = (vectors @ centres.T).argmax(1)
#     open_groups = np.argsort(-(centres @ query))[:nprobe]
#     members = np.flatnonzero(np.isin(group, open_groups))
#     return members[np.argsort(-(vectors[members] @ query))[:10]]
#
#
# for nprobe in (1, 4, 64):
#     found = [search_groups(query, vectors, chosen, nprobe) for query in vectors[:20]]
#     kept = [np.isin(best, some).mean() for best, some in zip(true_best, found)]
#     print(f"{nprobe:2} groups: {100 * np.mean(kept):.0f} % of the ten nearest")
# assert np.mean(kept) == 1  # all groups are open
# assert check.lesson11.exercise2(search_groups)
# ```
#
# </details>


# %%
def search_groups(query, vectors, centres, nprobe):
    """The positions of the ten nearest vectors in the groups of the `nprobe` nearest centres, the best first."""
    return ...


check.lesson11.exercise2(search_groups)

# %% [markdown]
# **3. A first stage for SCAN** (*hard, 30 minutes*). SCAN has only a local score. Measure two stages for it, once with
# its own pooled vectors as the first stage, and once with those of VSE++, another model. Which one needs fewer
# candidates?
#
# <details><summary>Hint</summary>
#
# Stage one may come from any model: `two_stage(vl.score(cosine, ...of VSE++), vl.score(...of SCAN), K)`.
#
# </details>
# <details><summary>Another hint</summary>
#
# `two_stage(first, whole, count)` gives the picture that is found for each sentence. Compare it with the right one.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# models = {name: vl.tuned(system, data=data, preset=preset, seed=seed).fit().matcher()
#           for name, system in (("SCAN", vl.SCAN()), ("VSE++", vl.VSEpp()))}
# encoded = {name: (model.encode_images(test), model.encode_texts(captions)) for name, model in models.items()}
# whole = vl.score(models["SCAN"].similarity, *encoded["SCAN"])
#
#
# def share(first, whole, right, count):
#     return 100 * (two_stage(first, whole, count) == right).mean()
#
#
# print(f"full scan: {100 * (whole.argmax(0) == own).mean():.1f}")
# for name, both in encoded.items():
#     proposed = vl.score(cosine, *both)
#     found = {K: f"{share(proposed, whole, own, K):.1f}" for K in (10, 50, len(test))}
#     print(f"first stage from {name}: R@1 by candidates {found}")
# assert check.lesson11.exercise3(share)
# ```
#
# SCAN's loss never compares its pooled vectors, so nothing has trained them to rank, and they propose badly. A cheap
# second model is a good first stage.
#
# </details>


# %%
def share(first, whole, right, count):
    """R@1 of two stages, in per cent: scores (I, T) of both stages, and the right picture of each sentence (T,)."""
    return ...


check.lesson11.exercise3(share)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(11)

# %% [markdown]
# ## Summary
#
# * In the plain way, $S_L$ takes $2RW$ times as much work as $S_G$. It takes $R$ times as much memory.
# * An index of vectors can hold a score that is an inner product of a picture's vector and a sentence's vector. The
#   table of such scores has a matrix rank of at most $D$. The table of $S_L$ can have a higher one.
# * With a first stage that was trained to rank, two stages keep nearly all of the recall for a small part of the work.
#   With another one they may lose most of it. Measure both.
# * Approximate indexes trade time against missed neighbours, and $K$ trades time against missed answers.
#
# ## References
#
# Johnson, Douze, Jégou, [*Billion-scale similarity search with GPUs*](https://arxiv.org/abs/1702.08734) (faiss), 2019.
# Malkov and Yashunin, [*Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
# World graphs*](https://arxiv.org/abs/1603.09320) (HNSW), 2018. Khattab and Zaharia,
# [*ColBERT*](https://arxiv.org/abs/2004.12832), SIGIR 2020, whose late interaction (each word of a query takes its
# *best* word of a text) can be searched word by word. With regions in place of a text's words, an index could do the
# same. Miech et al., [*Thinking Fast and Slow*](https://arxiv.org/abs/2103.16553), CVPR
# 2021, which trains a fast and a slow retrieval model together.
#
# **Next:** [add_your_own_system](add_your_own_system.ipynb): build the eighth system.
