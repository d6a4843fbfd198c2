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
# # Add your own system
#
# The package has seven systems. This page adds an eighth one from outside: it changes no file of the package. A system
# needs two encoders, a similarity, and at least one loss. Training, checkpoints, evaluation, tables, verdicts and
# export then work for it as for the others.
#
# The example is **VSE∞** (Chen et al., CVPR 2021). Its idea is a layer, the *Generalized Pooling Operator* (GPO), that
# **learns how to pool**: how to make one vector of the regions of a picture, or of the words of a sentence. Our VSE++
# takes the mean of the regions. Other systems take the maximum. GPO has both as special cases, and training chooses.
#
# **You will learn**
#
# 1. how to write a system in about 60 lines, and how to prove its new part by hand;
# 2. how to train it, to compare it with another system, and to read the verdict;
# 3. how to exchange the loss, the similarity, the tokenizer and the data;
# 4. how to give the trained model to somebody else.
#
# *Needs:* [00_start_here](00_start_here.ipynb), and lesson 2 for the hinge. *Time:* about 40 minutes. The trainings
# take a few minutes the first time.

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
data: str = "scenes"  # scenes, or any data folder
preset: str = "lite"  # smoke or lite
seeds: int = 2  # trainings of every row

# %%
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from matplotlib.ticker import MaxNLocator
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import vsrpp_lite as vl
from vsrpp_lite import grid, show
from vsrpp_lite.global_alignment import l2norm
from vsrpp_lite.paper.table_files import write
from vsrpp_lite.paper.tables import Claim, Table, beside
from vsrpp_lite.systems.encoders import project
from vsrpp_lite.teaching import check

show.inline()
pd.options.display.float_format = "{:.1f}".format
temporary = tempfile.TemporaryDirectory()
scratch = Path(temporary.name)  # what this page writes beside the results; gone when the kernel stops

# %% [markdown]
# ## The layer, with a pencil
#
# A picture has $N$ regions, each with $D$ features. Take one feature $d$, and sort its $N$ values in falling order. Let
# $x_{(k),d}$ be the value of rank $k$: $x_{(1),d}$ is the largest, $x_{(N),d}$ the smallest. GPO is a weighted sum of
# the sorted values:
#
# $$ v_d = \sum_{k=1}^{N} \theta_k \, x_{(k),d}, \qquad \sum_k \theta_k = 1 $$
#
# The weights $\theta_k$ belong to ranks, not to regions, and all features share them. Three choices of weights are old
# friends:
#
# | weights | pooling |
# |---|---|
# | $\theta_k = 1/N$ for all ranks | mean |
# | $\theta_1 = 1$, all others 0 | maximum |
# | $\theta_k = 1/K$ for the first $K$ ranks | mean of the $K$ largest (k-max) |
#
# **By hand.** Take three regions with two features: $(1, 6)$, $(3, 0)$, $(2, 3)$. Sorted, the first feature is $3, 2,
# 1$ and the second is $6, 3, 0$. The mean is $(2, 3)$. The maximum is $(3, 6)$. The mean of the two largest is $(2.5,
# 4.5)$. Note that the maximum is no region of the picture: each feature chooses for itself.
#
# Pictures have different numbers of regions. A batch is filled up with rows that do not exist, and a `mask` says which
# rows are real. The missing rows must not enter the sum. We set them to $-\infty$ before sorting, so that they come
# last, and to zero afterwards.


# %%
def weighted_ranks(features: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B, N, D), (B, N), (B, N) -> (B, D): every feature sorted in falling order, then the weighted sum over ranks."""
    ordered = features.masked_fill(~mask[:, :, None], -torch.inf).sort(dim=1, descending=True).values
    exists = torch.arange(mask.shape[1], device=mask.device) < mask.sum(1, keepdim=True)
    return (ordered.masked_fill(~exists[:, :, None], 0.0) * weights[:, :, None]).sum(1)


example = torch.tensor([[[1.0, 6.0], [3.0, 0.0], [2.0, 3.0]]])
all_real = torch.ones(1, 3, dtype=torch.bool)
by_hand = {
    "mean": ([1 / 3, 1 / 3, 1 / 3], [2.0, 3.0]),
    "maximum": ([1.0, 0.0, 0.0], [3.0, 6.0]),
    "mean of the two largest": ([0.5, 0.5, 0.0], [2.5, 4.5]),
}
for name, (theta, expected) in by_hand.items():
    found = weighted_ranks(example, all_real, torch.tensor([theta]))
    torch.testing.assert_close(found, torch.tensor([expected]))
    print(f"{name:24}", found[0].tolist())

# %% [markdown]
# ## A small network computes the weights
#
# One could learn the numbers $\theta_1, \theta_2, \dots$ directly. But a picture with 12 regions can need other
# weights than a picture with 36 regions, and weights learned for one number of regions would not help with another
# number. In VSE∞ a small network computes the weights. It reads the ranks one after the other, as a text encoder reads
# words:
#
# $$ p_k = \big(\sin(\omega_1 k), \cos(\omega_1 k), \sin(\omega_2 k), \dots\big), \qquad
#    h_1, \dots, h_N = \mathrm{BiGRU}(p_1, \dots, p_N), \qquad \theta = \mathrm{softmax}_k(w^\top h_k) $$
#
# The sinusoids $p_k$ are those of the Transformer, with $\omega_j = 10000^{-2(j-1)/P}$ for $j = 1, \dots, P/2$. Here
# $P$ is the size of $p_k$, and the order of its numbers does not matter. The Bi-GRU reads in both
# directions, so that each state knows its rank from the front and from the back, and with it $N$. The softmax makes
# all weights positive and their sum 1. At the start all scores are nearly equal: **the layer begins near the mean**,
# and leaves it if that helps. The weights depend on $N$ alone, so we compute them once for each different $N$ in the
# batch.


# %%
def read_both_ways(gru: nn.GRU, sequence: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The mean of the states of both directions, (B, N, H); each row is read within its own length, zero beyond."""
    packed = pack_padded_sequence(sequence, lengths.cpu(), batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(gru(packed)[0], batch_first=True, total_length=sequence.shape[1])
    return torch.stack(states.chunk(2, dim=2)).mean(0)


class GeneralizedPooling(nn.Module):
    """Fragments to one vector, by weights of ranks that a Bi-GRU reads off sinusoids (VSE-infinity, section 3)."""

    def __init__(self, size: int = 32):
        super().__init__()
        self.frequencies = 10000.0 ** -(torch.arange(0, size, 2) / size)
        self.gru = nn.GRU(size, size, batch_first=True, bidirectional=True)
        self.score = nn.Linear(size, 1, bias=False)

    def weights(self, mask: torch.Tensor) -> torch.Tensor:
        """(B, N): theta of every rank; zero for ranks that a row does not have."""
        lengths, which = mask.sum(1).unique(return_inverse=True)
        ranks = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        angles = ranks[:, None] * self.frequencies.to(mask.device)
        codes = torch.cat([angles.sin(), angles.cos()], 1).expand(len(lengths), -1, -1)
        scores = self.score(read_both_ways(self.gru, codes, lengths)).squeeze(2)
        return scores.masked_fill(ranks > lengths[:, None], -torch.inf).softmax(1)[which]

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return weighted_ranks(features, mask, self.weights(mask))


# %% [markdown]
# **Padding changes nothing.** We take three pictures of 2, 5 and 4 regions. We fill them up with six more rows of large
# nonsense, which the mask calls missing. The pooled vectors and their gradients must stay the same. The order of the
# regions must not matter either.

# %%
torch.manual_seed(0)
pool = GeneralizedPooling()
features = torch.randn(3, 5, 4, requires_grad=True)
mask = torch.arange(5) < torch.tensor([[2], [5], [4]])
nonsense = torch.cat([features, torch.full((3, 6, 4), 1e6)], 1)
longer = torch.cat([mask, torch.zeros(3, 6, dtype=torch.bool)], 1)

torch.testing.assert_close(pool(nonsense, longer), pool(features, mask))
gradient = torch.autograd.grad(pool(features, mask).sin().sum(), features)[0]
padded_gradient = torch.autograd.grad(pool(nonsense, longer).sin().sum(), features)[0]
torch.testing.assert_close(padded_gradient, gradient)
assert (gradient[~mask] == 0).all() and (gradient[mask] != 0).all()
torch.testing.assert_close(pool(features.flip(1), mask.flip(1)), pool(features, mask))
torch.testing.assert_close(pool.weights(longer).sum(1), torch.ones(3))
assert (pool.weights(longer)[~longer] == 0).all()
print("padding enters neither the pooled vectors nor the gradients, and the order of regions does not matter")

# %% [markdown]
# With a score of zero for every rank the learned layer *is* the mean:

# %%
level = GeneralizedPooling()
nn.init.zeros_(level.score.weight)
means = torch.stack([row[real].mean(0) for row, real in zip(features, mask, strict=True)])
torch.testing.assert_close(level(features, mask), means)
print("all scores equal: the mean")

# %% [markdown]
# ## The system
#
# An encoder takes `(values, mask)` and returns an `Encoded`: the `pooled` vector of unit length, the `fragments` of
# unit length with zeros for missing ones, and the `mask`. The image encoder gets region features (B, R, F), the text
# encoder gets token ids (B, W). Our similarity looks at `pooled` alone, but whoever wants to add a local similarity
# later finds the fragments.
#
# As in VSE++, a picture is a linear map of its regions. As in VSE∞, a sentence is read by a Bi-GRU. (VSE∞ adds two more
# layers for the regions; we leave them out, so that the comparison below is about pooling.)


# %%
class Pooled(nn.Module):
    """What both encoders end with: fragments to an `Encoded`, by learned pooling or by the mean."""

    def __init__(self, pooling: str):
        super().__init__()
        self.pool = GeneralizedPooling() if pooling == "learned" else None

    def forward(self, fragments: torch.Tensor, mask: torch.Tensor) -> vl.Encoded:
        level = mask / mask.sum(1, keepdim=True)
        weights = self.pool.weights(mask) if self.pool is not None else level
        pooled = weighted_ranks(fragments, mask, weights)
        return vl.Encoded(l2norm(pooled), l2norm(fragments) * mask[:, :, None], mask)


class Regions(nn.Module):
    """Region features (B, R, F) to an image."""

    def __init__(self, feature_size: int, embed_size: int, pooling: str):
        super().__init__()
        self.project = project(feature_size, embed_size)
        self.pooled = Pooled(pooling)

    def forward(self, regions: torch.Tensor, mask: torch.Tensor) -> vl.Encoded:
        return self.pooled(self.project(regions), mask)


class Words(nn.Module):
    """Token ids (B, W) to a sentence."""

    def __init__(self, vocabulary_size: int, word_size: int, embed_size: int, pooling: str):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, word_size)
        self.gru = nn.GRU(word_size, embed_size, batch_first=True, bidirectional=True)
        self.pooled = Pooled(pooling)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> vl.Encoded:
        return self.pooled(read_both_ways(self.gru, self.embedding(tokens), mask.sum(1)), mask)


# %% [markdown]
# A system is a frozen dataclass. Its fields are the choices that a reader may want to change. `build` puts the parts
# together. `sizes` come from the preset or from the caller; `published_sizes` and `published_training`
# (here those of the base class) say what preset `paper` would use. One of their numbers counts in the other presets,
# too: if the published learning rate is not that of `vl.Training`, the presets' rates change in proportion.


# %%
@dataclass(frozen=True, kw_only=True)
class GPO(vl.System):
    """VSE-infinity in small: each side pooled by GPO, the cosine, and one ranking loss."""

    pooling: Literal["learned", "mean"] = "learned"
    loss: Literal["hinge", "infonce"] = "hinge"
    margin: float = 0.2

    def build(self, tokenizer: vl.Tokenizer, feature_size: int, sizes: vl.Sizes) -> vl.Matcher:
        return vl.Matcher(
            tokenizer,
            images=Regions(feature_size, sizes.embed, self.pooling),
            texts=Words(len(tokenizer), sizes.word, sizes.embed, self.pooling),
            similarity=vl.cosine,
            losses={"ranking": vl.InfoNCE(vl.cosine) if self.loss == "infonce" else vl.Hinge(vl.cosine, self.margin)},
        )


# %% [markdown]
# That is all. Choices are checked when the system is made:

# %%
print(GPO(margin=1))
try:
    GPO(pooling="median")
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ## Train it
#
# You train it as you train any other system. The run is kept in `runs/`, under a *digest*: a short code that is
# computed from the system, the data and the settings, so that other settings get another folder.

# %% tags=["nbval-ignore-output"]
run = vl.Run(system=GPO(), data=data, preset=preset)
result = run.fit()

# %% tags=["nbval-ignore-output"]
print({metric: round(value, 1) for metric, value in result.recalls.items()})

# %% [markdown]
# **A warning about the digest.** The package names its own classes by their module and their `version`. For a class of
# your own, in a notebook or in a module, the digest also covers the byte code of its methods: if you edit one, the run
# is another one and is trained anew. The digest does *not* see an edit of anything else that `build` uses: of
# `GeneralizedPooling` and `Words` here, and of your own loss or similarity. After such an edit, raise the version by a
# line in the class, `version: ClassVar[int] = 2` (with `from typing import ClassVar`), or call `fit(fresh=True)`. If
# you do neither, you will be shown the old result, and an interrupted training goes on with the new code. `vl.load`
# builds the model with the code that is there now, too.
#
# **Where to define the class.** The name of the module is a part of the digest. A class of a notebook or of a script
# can be trained, but a command such as `vsrpp-lite search` cannot import it. So put a class that you mean to keep into
# a module before you train it.
#
# **To change one setting**, begin with those of the run. `vl.Training(epochs=10)` alone has the published values in all
# other places, and not the preset's:
#
# ```python
# from dataclasses import replace
#
# longer = replace(run, training=replace(run.settings.training, epochs=10))
# runs = vl.grid.expand(run, {"training.learning_rate": [3e-3, 6e-3], "sizes.layers": [0, 2, 4], "seed": range(3)})
# results = list(vl.grid.train(runs))
# ```
#
# What has the layer learned? We ask for its weights for different numbers of fragments. The dashed lines are the mean.

# %%
matcher = result.matcher()
test = run.dataset("test")
width = int(test.mask.sum(1).max())
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
for ax, (title, encoder, counts) in zip(
    axes, (("regions", matcher.images, (width // 2, width)), ("words", matcher.texts, (8, 16))), strict=True
):
    for count in counts:
        with torch.no_grad():
            theta = encoder.pooled.pool.weights(torch.ones(1, count, dtype=torch.bool))[0]
        (line,) = ax.plot(range(1, count + 1), theta, "o-", ms=3, label=f"N = {count}")
        ax.hlines(1 / count, 1, count, colors=line.get_color(), ls="--", lw=1)
    ax.set(title=f"weights of ranks: {title}", xlabel="rank k (1: the largest value)", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, loc="upper center")
axes[0].set_ylabel("θ")
show.describe(
    figure,
    "The learned weights of ranks for regions and for words, each for two numbers of vectors, beside the equal "
    "weights of a mean.",
)
plt.show()

# %% [markdown]
# With preset `lite` both sides end far from the mean: the first rank **and the last** have by far the largest weights.
# A feature of ours may have either sign, so its smallest value can say as much as its largest. This is neither the
# mean nor the maximum nor k-max: training found a pooling that is not in the table above
# (one seed).
#
# ## A table of your own
#
# GPO differs from `VSE++` in its pooling (VSE++ takes the mean of the regions, and the last state of the GRU) and in
# its Bi-GRU. To learn what the *pooling* is worth we need a row that differs in nothing else. That is the use of the
# field `pooling`: the row *mean pooling* is the same system with all weights fixed to $1/N$. The last row exchanges
# the loss (see below). All rows here have the settings of the preset `lite`: for VSE++, the study of lesson 7 found no
# better ones.
#
# A `Claim` says which row should beat which. You write it before you look.

# %%
table = Table(
    name="mine",
    rows={
        "VSE++": vl.VSEpp(),
        "mean pooling": GPO(pooling="mean"),
        "learned pooling": GPO(),
        "learned, InfoNCE": GPO(loss="infonce"),
    },
    claims=[
        Claim("learned pooling and a Bi-GRU beat VSE++", "learned pooling", "VSE++"),
        Claim("learned pooling beats the mean, with the same encoders and settings", "learned pooling", "mean pooling"),
        Claim("InfoNCE beats the hinge, with the same encoders and settings", "learned, InfoNCE", "learned pooling"),
    ],
)
settings = {"data": data, "preset": preset}

# %% [markdown]
# `grid.train` trains what is missing on all cores. Its workers are other processes, which cannot import a class from
# your notebook. The class is sent to them *by value*, with all that it uses. You need not do anything for that; but a
# class that refers to a large array of your notebook sends the array along, too.

# %% tags=["nbval-ignore-output"]
runs = [run for seed in range(seeds) for run in table.runs(seed=seed, **settings).values()]
trained = {result.run: result for result in grid.train(runs)}

# %% tags=["nbval-ignore-output"]
measured = table.measure(seeds=range(seeds), **settings)
display(beside(measured).set_index("row"))
figure = show.table(measured)

# %% [markdown]
# Each cell is the mean over seeds ± half of its 95 % interval. There are no published figures to put beside them, for
# nobody has published on these data. `verdicts` compares the two rows of every claim seed by seed and picture by
# picture.

# %% tags=["nbval-ignore-output"]
verdicts = table.verdicts(seeds=range(seeds), **settings)
figure = show.claims(verdicts)
for row in verdicts.itertuples():
    display(
        Markdown(
            f"*{row.claim}*: **{row.verdict}**. The difference in rsum is {row.difference:.1f}, "
            f"95 % interval {row.lo:.1f} to {row.hi:.1f}, with {seeds} seeds."
        )
    )

# %% [markdown]
# The seed moves a training, and two seeds say little about how much: an interval can be very wide, and it can also be
# far too narrow, if the two seeds agree by chance. So do not trust a *reproduced* of two seeds either. A verdict of
# *inconclusive* means that these trainings cannot tell. It does not mean that the rows are equal. Set `seeds = 5` for
# a better answer. VSE++ was tuned, and its settings won; nobody tuned the other rows. So this table shows how to make
# a table. Do not publish it (see [07_reading_the_tables](07_reading_the_tables.ipynb)). *Reproduced* means here that
# the claim holds.
#
# `write` leaves the table as `results/tables/mine.csv` and `mine.md`, and the claims in `results/claims.csv`, beside
# the paper's tables. There a second column, `verdict_holm`, judges all claims of the file together: whoever makes many
# claims must expect that some come true by chance. So your claims can also change the column `verdict_holm` of the
# paper's tables in that file.

# %% tags=["nbval-ignore-output"]
markdown = write(table, seeds=range(seeds), **settings)
print(markdown.splitlines()[0])

# %% [markdown]
# To have everything done by one call, with a notebook of yours at the end, give the table a `notebook` and use
# `reproduce_tables([table], data=..., preset=..., seeds=...)` of `vsrpp_lite.paper.reproduce`. It tells its progress
# through Python's `logging`, so a script should call `logging.basicConfig(level=logging.INFO)` first. The claims of one
# data set are of one preset: if you write a table of another preset, the claims of the first one are dropped.
#
# A subclass of `VSRpp`, or of another system, does not take over the recipe that was tuned for it. To compare your
# subclass with it fairly, train both with the same settings, or tune yours: `tune(STUDIES["lite"], {"Mine": Mine()})`
# of `vsrpp_lite.paper.study` tries the settings that the other systems had.
#
# **Two systems, one interval.** For two lists of runs with the same seeds on the same data, this is the difference of
# their rsums, paired by seed and by picture, with its interval:
#
# ```python
# from vsrpp_lite.paper.tables import compare
#
# mine, theirs = (np.stack([run.fit().contributions() for run in runs]) for runs in (runs_of_mine, runs_of_theirs))
# print(compare(mine, theirs))
# ```
#
# ## Another loss
#
# The last row trains with **InfoNCE**, CLIP's loss: a softmax over all candidates in place of a margin. Its temperature
# $\tau$ is a parameter of the *loss*, and it is trained with the encoders.

# %% tags=["nbval-ignore-output"]
infonce = trained[table.runs(seed=0, **settings)["learned, InfoNCE"]].matcher()
with torch.no_grad():
    first = 1 / vl.InfoNCE(vl.cosine).inverse_temperature
    learned = 1 / infonce.losses["ranking"].inverse_temperature
print(f"temperature: {first:.3f} before training, {learned:.3f} after")

# %% [markdown]
# For a loss of your own, write a subclass of `vl.Loss`. Its `forward` gets a `Comparison` and returns a scalar, the
# mean over the pairs. A `Comparison` holds all that a loss may need:
#
# | field | what |
# |---|---|
# | `images`, `texts` | the `Encoded` of this process's B pairs, row for row |
# | `all_images`, `all_texts` | of the N pairs of the whole batch; the same, where one process has all |
# | `image_positions`, `all_image_positions` | which picture each pair shows, by its position in the split |
# | `positives` | for each of the B pairs, its position among the N |
# | `batch` | what was encoded: regions, tokens, masks |
# | `progress` | the epoch, and whether training is warming up |
#
# Its property `negatives` says which pairs are wrong (another caption of the same picture is not), and
# `scores(similarity)` gives the matrices, rows and columns. Use these two, and your loss is right on several devices,
# too.
#
# The example is the *alignment* of Wang and Isola (ICML 2020): the mean squared distance between the two partners of a
# pair. It is useless as the only loss, because it is zero if all vectors are equal. But one may add it to a hinge.
# `weight` says how much it counts.


# %%
class Alignment(vl.Loss):
    """Partners should be near each other."""

    weight = 10.0

    def forward(self, comparison: vl.Comparison) -> torch.Tensor:
        return (comparison.images.pooled - comparison.texts.pooled).square().sum(1).mean()


# %% [markdown]
# ## A similarity with parameters
#
# A similarity is any function from two `Encoded` to a matrix, images by texts. (If it looks at `fragments` alone, then
# no loss trains `pooled`, and a search in two stages needs another proposer; see `vl.Index`.) Where it has parameters,
# make it a module. Give **the same object** to the loss and to the matcher: the loss trains it, and the matcher uses
# it.
#
# Here every dimension of the joint space gets a weight, which begins at 1. (The scores are no longer cosines. A hinge
# does not mind.)


# %%
class Scaled(nn.Module):
    """The sum over dimensions of weight x image x text."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, images: vl.Encoded, texts: vl.Encoded) -> torch.Tensor:
        return (images.pooled * self.weight) @ texts.pooled.T


# %% [markdown]
# ## A tokenizer
#
# `System.tokenizer` makes a tokenizer from the training captions. The usual one, `vl.Vocabulary`, gives every word a
# number. Overwrite the method for another: `SAEM(bert=folder)`, for example, returns `vl.WordPieces` of a BERT.
#
# Ours reads a word with a plural *s* as its singular. A trained model must find its tokenizer again, so a tokenizer
# of a kind of its own needs a second method, `saved_tokenizer`, which reads what the tokenizer's `save` wrote.


# %%
def singular(caption: str) -> str:
    """A rough stemmer: cuts one s off words of four letters or more."""
    return " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in vl.tokenize(caption))


class Singulars(vl.Vocabulary):
    """A vocabulary of singulars."""

    def encode(self, caption: str) -> np.ndarray:
        return super().encode(singular(caption))


@dataclass(frozen=True, kw_only=True)
class Custom(GPO):
    """GPO with a tokenizer, a similarity and a second loss of its own."""

    def tokenizer(self, captions: list[str], min_count: int) -> vl.Tokenizer:
        return Singulars.build(map(singular, captions), min_count)

    def saved_tokenizer(self, folder: Path) -> vl.Tokenizer:
        return Singulars(super().saved_tokenizer(folder).words)

    def build(self, tokenizer: vl.Tokenizer, feature_size: int, sizes: vl.Sizes) -> vl.Matcher:
        similarity = Scaled(sizes.embed)
        return vl.Matcher(
            tokenizer,
            images=Regions(feature_size, sizes.embed, self.pooling),
            texts=Words(len(tokenizer), sizes.word, sizes.embed, self.pooling),
            similarity=similarity,
            losses={"ranking": vl.Hinge(similarity, self.margin), "alignment": Alignment()},
        )


# %% [markdown]
# One epoch is enough to see that all three take part: the losses are logged by name, the weights of the similarity have
# left 1, and *dogs* and *dog* are one word.

# %% tags=["nbval-ignore-output"]
custom_run = vl.Run(
    system=Custom(),
    training=vl.Training(epochs=1, batch_size=64, learning_rate=6e-3, min_count=1),
    **settings,
)
custom = custom_run.fit()

# %% tags=["nbval-ignore-output"]
print("columns of the history:", *custom.history.columns)
own = custom.matcher()
assert isinstance(own.tokenizer, Singulars)
assert own.tokenizer.encode("two dogs").tolist() == own.tokenizer.encode("two dog").tolist()
assert own.losses["ranking"].similarity is own.similarity
moved = (own.similarity.weight - 1).abs().max().item()
assert moved > 0.01
print(len(own.tokenizer), "singulars and", len(matcher.tokenizer), "words")

# %% [markdown]
# ## Data of your own
#
# `vl.write_dataset` writes a data folder from arrays: for each split the region features (I, R, F), the captions of
# each image, and the images' ids. `counts` says how many of the R rows are real. The folder is checked before it is
# moved to its place. (Folders in the format of SCAN's `*_precomp` need not be written anew; they are read as they
# are.)

# %%
rng = np.random.default_rng(0)


def drawn(images: int, first_id: int) -> vl.RawSplit:
    """Pictures of three to five random regions, two captions each."""
    things = rng.choice(["dog", "car", "tree", "boat"], images)
    return vl.RawSplit(
        features=rng.normal(size=(images, 5, 12)).astype(np.float32),
        captions=[[f"a {thing}", f"there is a {thing} in the picture"] for thing in things],
        image_ids=list(range(first_id, first_id + images)),
        counts=rng.integers(3, 6, images),
    )


folder = vl.write_dataset(
    scratch / "toy",
    name="toy",
    source="drawn in a notebook",
    splits={"train": drawn(40, 0), "dev": drawn(10, 100), "test": drawn(10, 200)},
)
toy = vl.Run(system=GPO(), data=folder, preset="smoke")
images, texts = toy.build().encode(toy.dataset("test"))
print("pictures", tuple(images.pooled.shape), "captions", tuple(texts.pooled.shape))
try:
    vl.write_dataset(folder, name="toy", source="again", splits={"train": drawn(40, 0)})
except FileExistsError:
    print("refused: what is there is not overwritten")

# %% [markdown]
# `toy.fit()` would train on it (and learn nothing: its features are noise). The command `python -m vsrpp_lite check
# FOLDER` says what is in a folder, or which line of which file is wrong.
#
# ## Give it to somebody
#
# `export` writes the weights, the choices, the tokenizer and a model card into one folder. `vl.load` builds the model
# from it, without the data. The class of a notebook cannot be imported by its name, so we pass it. For others it is
# best to put the class into a module, `my_gpo.py`, which they can import: then `vl.load(folder)` finds it.

# %%
exported = result.export(scratch / "gpo")
loaded = vl.load(exported, GPO)
scores = vl.score(loaded.similarity, *loaded.encode(test))
assert np.array_equal(scores, vl.score(matcher.similarity, *matcher.encode(test)))

for trained_one, system in ((custom, Custom), (trained[table.runs(seed=0, **settings)["learned, InfoNCE"]], GPO)):
    before = trained_one.matcher()
    after = vl.load(trained_one.export(scratch / trained_one.run.digest), system)
    assert type(after.tokenizer) is type(before.tokenizer)
    np.testing.assert_array_equal(
        vl.score(after.similarity, *after.encode(test)), vl.score(before.similarity, *before.encode(test))
    )
print(*sorted(path.name for path in exported.iterdir()))
print("the loaded models give the same scores, to the last digit")

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** (*easy, 5 minutes*) Compute the mean of the two largest values of `features[1]` with `torch.topk`, and then
# with `weighted_ranks`. Both must agree.
#
# <details><summary>Hint</summary>
#
# `features[1].topk(2, dim=0).values` has the two largest of each column.
#
# </details>
# <details><summary>Another hint</summary>
#
# Which weights of the ranks make a mean of the first two?
#
# </details>
# <details><summary>Solution</summary>
#
# The second picture has all five regions. The weights are 1/2 for the first two ranks, and 0 for the others.
#
# ```python
# two_largest = features[1].topk(2, dim=0).values.mean(0)
# theta = torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0]])
# torch.testing.assert_close(weighted_ranks(features[1:2], mask[1:2], theta)[0], two_largest)
# assert check.own_system.exercise1(two_largest, features[1])
# ```
#
# </details>

# %%
two_largest = ...  # one number for each column
check.own_system.exercise1(two_largest, features[1])

# %% [markdown]
# **2.** (*medium, 15 minutes*) Which side profits from learned pooling? Write a system `PicturesOnly` that learns to
# pool regions and takes the mean of words. Train it with seed 0 and compare its rsum with the rows of the table.
#
# <details><summary>Hint</summary>
#
# Subclass `GPO` and overwrite `build`. Build the matcher of the parent class, and exchange its `texts`.
#
# </details>
# <details><summary>Another hint</summary>
#
# `Words(len(tokenizer), sizes.word, sizes.embed, "mean")` is an encoder of sentences that takes the mean.
#
# </details>
# <details><summary>Solution</summary>
#
# One seed is a first look and no answer. For an answer, put the system into the table as a row, with a claim.
#
# ```python
# @dataclass(frozen=True, kw_only=True)
# class PicturesOnly(GPO):
#     def build(self, tokenizer, feature_size, sizes):
#         matcher = super().build(tokenizer, feature_size, sizes)
#         matcher.texts = Words(len(tokenizer), sizes.word, sizes.embed, "mean")
#         return matcher
#
#
# pictures_only = vl.Run(system=PicturesOnly(), **settings).fit()
# for row, of_row in table.runs(seed=0, **settings).items():
#     print(f"{row:18} rsum {trained[of_row].recalls['rsum']:.1f}")
# print(f"{'PicturesOnly':18} rsum {pictures_only.recalls['rsum']:.1f}")
# assert check.own_system.exercise2(PicturesOnly())
# ```
#
# </details>

# %%
pictures_only = ...  # a system
check.own_system.exercise2(pictures_only)

# %% [markdown]
# ## In short
#
# * A system is a frozen dataclass with a `build`. It returns a `Matcher`: tokenizer, two encoders, similarity, losses.
# * Encoders return an `Encoded`. They must let nothing of the padding through; test that, as above.
# * Compare your system with a row that differs in one thing only, and write the claim before you look.
#
# ## References
#
# Chen et al., [*Learning the Best Pooling Strategy for Visual Semantic Embedding*](https://arxiv.org/abs/2011.04305)
# (VSE∞, GPO), CVPR 2021. Vaswani et al., [*Attention Is All You Need*](https://arxiv.org/abs/1706.03762) (sinusoids),
# NeurIPS 2017. Wang and Isola, *Understanding Contrastive Representation Learning through Alignment and Uniformity on
# the Hypersphere*, ICML 2020. Radford et al., [*Learning Transferable Visual Models From Natural Language
# Supervision*](https://arxiv.org/abs/2103.00020) (CLIP), ICML 2021. The code on this page is written from the
# equations of the papers.
