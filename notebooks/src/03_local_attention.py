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
# # Lesson 3. Local attention: every word looks for its regions
#
# Lesson 2 squeezed a picture into one vector and a sentence into another. *A black pony and a pink tree* then has to
# share one vector with everything else in the picture, and nobody can say which part of the picture answered to
# *pink*. This lesson keeps the parts: each word looks for the regions that it speaks of. Then we measure how well the
# word agrees with what it found.
#
# **You will learn**
#
# - how a word attends to regions, and why the affinities are clipped, normalised and sharpened first;
# - the two directions (words look at regions, regions look at words) and four ways to pool;
# - how to score *all* pairs of a batch without building a single attended vector (the Gram trick);
# - what happens to captions of different lengths, and to pictures with fewer regions;
# - how much a trained model depends on its attention, measured.
#
# *Needs:* lesson 2 (cosine, hinge), PyTorch tensors and `einsum`. *Time:* 45 to 60 minutes. *Machine:* a laptop; under
# a minute if the model is trained already, else two. *The module:* `vsrpp_lite/local_attention.py`. The last check of
# each part shows that your code and the package agree. The [glossary](glossary.md) explains the terms.
#
# Letters as everywhere in the package: I images, T texts, R regions, W words, D embedding size.

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
preset: str = "lite"  # smoke or lite
seed: int = 0

# %%
from functools import partial
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from torch.nn.functional import cosine_similarity, leaky_relu, normalize
from torch.utils._python_dispatch import TorchDispatchMode

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.local_attention import attention_map, cross_attention
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.show import widgets
from vsrpp_lite.teaching import check, predict, quiz
from vsrpp_lite.training.metrics import ranks, recalls, score

torch.set_printoptions(precision=2, sci_mode=False)
show.inline("jpeg", quality=85)  # pictures: a fifth of the size of PNG
pd.options.display.float_format = "{:.1f}".format
close = torch.testing.assert_close

# %% [markdown]
# ## The paper says
#
# VSR++ (ICPR 2020) adds to its global similarity a local one, $S_L$, for which it cites the stacked cross attention of
# SCAN (Lee et al., ECCV 2018, section 3, eqs. 1-8). Take one picture with unit vectors $v_1 \dots v_R$ for its regions
# and one sentence with unit vectors $t_1 \dots t_W$ for its words. We write $[x]_+$ for $\max(x, 0)$. With words asking
# ("t2i"):
#
# $$s_{rw} = v_r \cdot t_w \qquad \bar s_{rw} = \frac{[s_{rw}]_+}{\sqrt{\sum_{w'} [s_{rw'}]_+^2}} \qquad
# a_{rw} = \frac{\exp(\lambda \bar s_{rw})}{\sum_{r'} \exp(\lambda \bar s_{r'w})}$$
#
# $$c_w = \sum_r a_{rw} v_r \qquad \rho_w = \frac{t_w \cdot c_w}{|t_w|\,|c_w|} \qquad S_L = \frac1W \sum_w \rho_w$$
#
# Read the equations one by one:
#
# 1. The affinity of a region and a word is their scalar product, which is their cosine, since both have length one.
# 2. Negative affinities are clipped, because a region that disagrees with a word should not count as evidence for it.
# 3. Each region's affinities are **normalised over the words**, so that a region that agrees with everything does not
#    win every word.
# 4. Each word takes a softmax **over the regions**. The factor $\lambda$ sharpens it, so that a word attends to a few
#    regions. Our code and text call $\lambda$ the *temperature* (SCAN has 9). Strictly speaking it is the inverse of a
#    temperature.
# 5. The attended vector $c_w$ is the mean of the regions by these weights: it is what the word found.
# 6. The score is the mean, over the words, of the cosine between each word and what it found.
#
# The two sums run over two axes. The normalisation runs over those who ask (the *query*), and the softmax over those
# who are asked (the *context*). It is easy to swap one of them. The code still runs and the model still trains, and
# only a comparison such as the one below shows the mistake.
#
# The code that produced the published numbers does not clip at zero but multiplies what is negative by 0.1 (a leaky
# ReLU). So do we.

# %% [markdown]
# ## By hand: two words, three regions
#
# All vectors lie in the plane and have length one, so a pencil is enough. Region 1 is a dog, region 2 is a ball, and
# region 3 is something that neither word means.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.1")

# %%
regions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-0.6, -0.8]])
words = torch.tensor([[0.8, 0.6], [0.0, 1.0]])  # "dog", "ball"

s = regions @ words.T  # (R, W): one row a region, one column a word
clipped = torch.where(s > 0, s, 0.1 * s)
normed = clipped / clipped.norm(dim=1, keepdim=True)  # each region over the words
print("s\n", s, "\nclipped\n", clipped, "\nnormalised\n", normed)

# %% [markdown]
# Check the rows with a pencil:
#
# - Region 1: $(0.8, 0)$ has length 0.8, so it becomes $(1, 0)$.
# - Region 2: $(0.6, 1)$ has length $\sqrt{1.36} = 1.17$, so it becomes $(0.51, 0.86)$. This region agrees with two
#   words, so each of the two gets less than 1. Region 1 agrees with *dog* only, so *dog* gets 1 from it. *The
#   normalisation makes words compete for a region.* For *dog*, the ratio of region 1 to region 2 has grown from
#   0.8 : 0.6 to 1 : 0.51.
# - Region 3: the clip gives $(-0.096, -0.08)$. This row has a small length, and the division by it gives
#   $(-0.77, -0.64)$. For a region that agrees with no word, **the normalisation undoes the leaky clip**. With the
#   paper's $[\cdot]_+$ the row would be zero. Exercise 2 asks what this changes.
#
# Now the softmax over the *regions*, first at temperature 1:

# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.2")

# %%
attention = normed.exp() / normed.exp().sum(dim=0)  # each word over the regions
attended = attention.T @ regions  # (W, D)
cosines = (words * attended).sum(1) / attended.norm(dim=1)
close(attention_map(regions, words, temperature=1.0), attention.T)  # the package's: one row a word
print("attention\n", attention, "\nattended vectors\n", attended, "\ncosines", cosines, " S_L", cosines.mean())

# %% [markdown]
# For *dog*, the exponentials are $e^{1} = 2.72$, $e^{0.51} = 1.67$ and $e^{-0.77} = 0.46$. Their sum is 4.85, so the
# attention is $(0.56, 0.34, 0.10)$. The attended vector is $0.560\,(1, 0) + 0.345\,(0, 1) + 0.095\,(-0.6, -0.8) =
# (0.50, 0.27)$, and its length is 0.570. Its product with *dog* is 0.563, so the cosine is $0.563 / 0.570 = 0.99$.
#
# This cosine is higher than 0.8, the highest cosine of *dog* with a single region. An attention that spreads over
# several regions can *mix* them until the mixture fits the word. This helps when a word speaks of several regions, as
# *two dogs* does. It hurts when the word speaks of one region and the mixture adds parts of others. The temperature
# decides how much the regions are mixed. The next figure shows three temperatures:

# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.3")

# %%
colours = {"dog": show.MEASURED, "ball": show.PAPER}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained", sharex=True, sharey=True)
for ax, temperature in zip(axes, (0.0, 1.0, 9.0), strict=True):
    attention = (temperature * normed).softmax(dim=0)
    for number, region in enumerate(regions.tolist(), 1):
        ax.annotate("", region, (0, 0), arrowprops={"arrowstyle": "-|>", "color": "0.6", "lw": 1.5})
        ax.annotate(f"region {number}", region, (8, 2), textcoords="offset points", color="0.4", fontsize=9)
    for place, (word, colour) in enumerate(colours.items()):
        attended = attention[:, place] @ regions
        ax.annotate("", words[place].tolist(), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.5})
        ax.annotate(f"“{word}”", words[place].tolist(), (-40, 4), textcoords="offset points", color=colour)
        ring = {"mfc": "none", "mew": 2.5, "ms": 13} if word == "ball" else {"ms": 8}
        ax.plot(*attended.tolist(), "o", color=colour, label=f"attended by “{word}”", **ring)
    ax.set(title=f"temperature {temperature:.0f}", xlim=(-0.9, 1.5), ylim=(-1.0, 1.3), aspect="equal")
    ax.set_axis_off()
figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
show.describe(
    figure,
    "Three regions and the words dog and ball as arrows, at temperatures 0, 1 and 9. What a word attends to moves "
    "from the mean of the regions towards the region that fits it best.",
)
plt.show()

# %% [markdown]
# The thick arrows are words, and the grey arrows are regions (region 2 lies under *ball*). The dot and the ring are the
# attended vectors. At temperature 0 all regions have the same weight, so both words receive the same vector, and there
# is no attention. At temperature 1 the two vectors differ. At 9 each of them is almost equal to one region.

# %% [markdown]
# ## Naive code: one pair at a time
#
# This code follows the equations with loops. `query` asks and `context` answers: words and regions for "t2i", regions
# and words for "i2t". That is the whole difference between the directions. The released code writes them as two
# functions, 22 of whose 27 statements are the same.
#
# There are four ways to pool the queries' cosines: the mean; the sum; the largest; and log-sum-exp, $\frac1\kappa \log
# \sum_q e^{\kappa \rho_q}$. Here $\rho_q$ is the cosine of query $q$, $Q$ is the number of queries, and $\kappa$ is a
# factor (6 in the code below). Log-sum-exp is a soft maximum, which lies between $\max_q \rho_q$ and $\max_q \rho_q +
# \frac{\log Q}{\kappa}$.


# %%
def query_cosines(query, context, temperature):
    """rho (Q,): the cosine of each query with what it finds in the context (K, D)."""
    s = context @ query.T  # (K, Q)
    clipped = torch.where(s > 0, s, 0.1 * s)
    normed = clipped / (clipped.norm(dim=1, keepdim=True) + 1e-8)  # over the queries; never by zero
    weights = (temperature * normed).softmax(dim=0)  # over the context
    cosines = []
    for q in range(len(query)):
        attended = sum(weights[k, q] * context[k] for k in range(len(context)))
        cosines.append(query[q] @ attended / (query[q].norm() * attended.norm()))
    return torch.stack(cosines)


POOL = {
    "mean": lambda r: r.mean(),
    "sum": lambda r: r.sum(),
    "max": lambda r: r.max(),
    "lse": lambda r: (6.0 * r).exp().sum().log() / 6.0,
}


def loop(images, texts, direction, pooling, temperature):
    """S_L (I, T), one pair at a time."""
    scores = torch.zeros(len(images.mask), len(texts.mask), dtype=images.fragments.dtype)
    for i in range(len(images.mask)):
        for t in range(len(texts.mask)):
            v, w = images.fragments[i, images.mask[i]], texts.fragments[t, texts.mask[t]]
            query, context = (w, v) if direction == "t2i" else (v, w)
            scores[i, t] = POOL[pooling](query_cosines(query, context, temperature))
    return scores


# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.4")

# %% [markdown]
# Now we compare this code with the package, for random pictures and sentences. Two of the three pictures lack regions,
# and the sentences differ in length. `Encoded` is what the encoders of every system return: a pooled vector, fragments
# (regions or words), and a mask that says which fragments exist.


# %%
def random_encoded(lengths, size, seed, dtype=torch.float64):
    """Unit vectors in random directions; missing fragments are zero and come last."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    fragments = normalize(torch.randn(*mask.shape, size, generator=generator, dtype=dtype), dim=2)
    return Encoded(fragments[:, 0], fragments * mask[:, :, None], mask)


pictures, sentences = random_encoded([4, 6, 3], 8, seed=1), random_encoded([5, 7, 5, 2], 8, seed=2)
for direction, temperature in {"t2i": 9.0, "i2t": 4.0}.items():
    for pooling in POOL:
        expected = loop(pictures, sentences, direction, pooling, temperature)
        chosen = {"direction": direction, "pooling": pooling, "temperature": temperature}
        close(cross_attention(pictures, sentences, **chosen), expected, atol=1e-10, rtol=0)
        print(f"{direction} {pooling:4s}  first row {expected[0].numpy().round(2)}  the package agrees")

# %% [markdown]
# `sum` grows with the number of queries, and `lse` may exceed 1. Only `mean` and `max` stay in [-1, 1], as the global
# cosine does. Lesson 4 will add $S_L$ to the global cosine, so both should have the same range. Only the slides of the
# VSR++ paper are public, and they do not say how VSR++ pools. We take the mean.

# %% [markdown]
# ## The Gram trick
#
# The loop is correct, but far too slow and too large: a batch of 128 pictures and 128 sentences has 16,384 pairs. The
# attended vectors take most of the memory, since there are D numbers **for every word of every pair**.
#
# But $c_w$ is wanted only for a cosine, which needs two numbers of it:
#
# $$t \cdot c = t \cdot \sum_r a_r v_r = \sum_r a_r (v_r \cdot t) = \sum_r a_r s_r$$
#
# $$|c|^2 = \Big(\sum_r a_r v_r\Big) \cdot \Big(\sum_k a_k v_k\Big) = \sum_{rk} a_r G_{rk} a_k = a^\top G a,
# \qquad G_{rk} = v_r \cdot v_k$$
#
# The $s_r$ are there already, and the Gram matrix $G$ of a picture's regions is $R \times R$, computed once and good
# for every word of every sentence. **No attended vector is ever built.** (For "i2t": the Gram matrix of a sentence's
# words.) In the example above, for *dog*:

# %%
G = regions @ regions.T
a = normed[:, 0].softmax(0)
print("G\n", G)
print(f"t.c   = {a @ s[:, 0]:.3f}")
print(f"|c|^2 = {a @ G @ a:.3f}")
print(f"rho   = {(a @ s[:, 0]) / (a @ G @ a).sqrt():.3f}")
close((a @ s[:, 0]) / (a @ G @ a).sqrt(), cosines[0])

# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.5")

# %% [markdown]
# With a pencil: $0.56^2 + 0.34^2 + 0.10^2 + 2\,(0.56 \cdot 0.10 \cdot (-0.6) + 0.34 \cdot 0.10 \cdot (-0.8)) = 0.32$,
# the square of 0.57.
#
# A cosine does not ask how long $c$ is. So the softmax need not be divided by its sum: unnormalised weights $e^{\lambda
# \bar s}$ give the same $\rho$. This saves one division. Note which affinities go where: the weights are made of the
# clipped and normalised $\bar s$, and the product $\sum_r a_r s_r$ is made of the raw $s$.
#
# Note also what follows for a search engine: $c_w$ exists only for a pair of a picture and a word. So one cannot store
# one vector per picture in advance and compare it with every sentence, as one can for $S_G$. Such a store is called an
# *index* ([lesson 11](11_searching_a_million.ipynb)).
#
# The next function scores all pairs at once. Words attend to regions, and the mean is taken.


# %%
def gram_scores(images, texts, temperature=9.0):
    """S_L (I, T) for t2i and mean, without attended vectors; words padded to the longest sentence."""
    s = torch.einsum("ird,twd->itrw", images.fragments, texts.fragments)
    clipped = leaky_relu(s, 0.1)
    normed = clipped / (clipped.norm(dim=3, keepdim=True) + 1e-8)  # over words
    weights = (temperature * normed).exp()  # a softmax over regions, not divided by its sum
    gram = images.fragments @ images.fragments.transpose(1, 2)  # (I, R, R)
    squared_length = torch.einsum("itrw,irk,itkw->itw", weights, gram, weights)
    cosines = (weights * s).sum(2) / squared_length.clamp(min=1e-24).sqrt()
    return (cosines * texts.mask).sum(2) / texts.mask.sum(1)


close(gram_scores(pictures, sentences), loop(pictures, sentences, "t2i", "mean", 9.0), atol=1e-10, rtol=0)
close(gram_scores(pictures, sentences), cross_attention(pictures, sentences), atol=1e-10, rtol=0)

# %% [markdown]
# The gradients agree too. They must: the trick is algebra, not an approximation.

# %%
leaf = pictures.fragments.clone().requires_grad_()
through_package, through_loop = (
    torch.autograd.grad(scores.square().sum(), leaf)[0][pictures.mask]
    for scores in (
        cross_attention(pictures._replace(fragments=leaf), sentences),
        loop(pictures._replace(fragments=leaf), sentences, "t2i", "mean", 9.0),
    )
)
close(through_package, through_loop, atol=1e-10, rtol=0)

# %% [markdown]
# ### Counted in bytes
#
# We count what a training step at the published sizes would have to hold, in float32: 128 pictures of 36 regions, 128
# sentences of (let us say) 16 words, D = 1,024. Released code holds the attended vectors of one sentence at a time,
# but for the backward pass it keeps them all.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.6")

# %%
pairs, R, W, D = 128 * 128, 36, 16, 1024
sizes = {
    "attended vectors, I x T x W x D": pairs * W * D,
    "affinities, I x T x R x W": pairs * R * W,
    "Gram matrices, I x R x R": 128 * R * R,
}
for name, numbers in sizes.items():
    print(f"{name:32s} {4 * numbers / 2**20:8.1f} MiB")

# %% [markdown]
# The affinities need $D / R$, about 28, times less memory. Do not believe it: count. PyTorch lets us watch every tensor
# that an operation returns.


# %%
class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor made while it is in force."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.numbers = max(self.numbers, out.numel())
        return out


lengths = [5 + k % 8 for k in range(40)]
small, texts = random_encoded([5] * 20, 32, seed=3), random_encoded(lengths, 32, seed=4)
with Largest() as largest:
    cross_attention(small, texts)
print(f"largest tensor in the package {largest.numbers:,}")
print(f"I x R x all words             {20 * 5 * sum(lengths):,}")
print(f"attended vectors would be     {20 * sum(lengths) * 32:,}")
assert largest.numbers == 20 * 5 * sum(lengths)

# %% [markdown]
# ### And timed
#
# We time a loop over sentences with attended vectors, as it is usually written, and the package, forward and backward.
# Times are those of the machine that ran this cell last; look at the ratio.


# %% tags=["nbval-ignore-output"]
def loop_over_sentences(images, texts, temperature=9.0):
    """S_L (I, T): all pictures at once, one sentence after the other; attended vectors (I, W, D) are built."""
    columns = []
    for t in range(len(texts.mask)):
        words = texts.fragments[t, texts.mask[t]]
        clipped = leaky_relu(images.fragments @ words.T, 0.1)  # (I, R, W)
        weights = (temperature * clipped / (clipped.norm(dim=2, keepdim=True) + 1e-8)).softmax(1)
        attended = weights.transpose(1, 2) @ images.fragments  # (I, W, D)
        columns.append(cosine_similarity(words, attended, dim=2).mean(1))
    return torch.stack(columns, 1)


def seconds(function, images, texts):
    """Return the time of one forward and backward pass, the shorter of two runs."""
    took = []
    for _ in range(2):
        leaf = images.fragments.clone().requires_grad_()
        began = perf_counter()
        function(images._replace(fragments=leaf), texts).sum().backward()
        took.append(perf_counter() - began)
    return min(took)


many = random_encoded([36] * 40, 512, seed=5, dtype=torch.float32)
captions = random_encoded([10 + k % 9 for k in range(40)], 512, seed=6, dtype=torch.float32)
close(loop_over_sentences(many, captions), cross_attention(many, captions), atol=1e-5, rtol=0)
slow, fast = seconds(loop_over_sentences, many, captions), seconds(cross_attention, many, captions)
print(f"loop over sentences {1000 * slow:.0f} ms, package {1000 * fast:.0f} ms: {slow / fast:.1f} times as fast")

# %% [markdown]
# ## Sentences of different lengths
#
# `gram_scores` pads every sentence to the longest of the batch. So a part of a padded batch is padding, and attention
# is computed for all of it. The package *packs* instead: sentences of one length form a rectangle without a hole, and
# one call handles one rectangle after the other. The next cell measures the padding for the training captions of our
# data:

# %% tags=["nbval-ignore-output"]
run = vl.tuned(vl.VSRpp(), data=data, preset=preset, seed=seed)
train = run.dataset("train")
draw = np.random.default_rng(seed).choice(len(train.captions), 128, replace=False)
lengths = np.sort([len(vl.tokenize(train.captions[k])) + 2 for k in draw])  # with <start> and <end>
padding = lengths.max() * len(lengths) - lengths.sum()
print(f"128 captions, {lengths.sum()} tokens, longest {lengths.max()}, {len(set(lengths))} different lengths")
print(f"padding: {100 * padding / (lengths.max() * len(lengths)):.0f} % of the padded batch")

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharex=True, sharey=True)
place = np.arange(len(lengths))
for ax, name in zip(axes, ("padded: one rectangle", f"packed: {len(set(lengths))} rectangles"), strict=True):
    ax.barh(place, lengths, height=1.0, color=show.MEASURED, label="words")
    ax.set(title=name, xlabel="position in the caption", xlim=(0, lengths.max()), ylim=(-0.5, len(lengths) - 0.5))
axes[0].barh(place, lengths.max() - lengths, left=lengths, height=1.0, color="0.85", label="padding")
for start in [*np.flatnonzero(np.diff(lengths)) + 1]:
    axes[1].axhline(start - 0.5, color="white", lw=2)
axes[0].set_ylabel("captions, shortest first")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
show.describe(
    figure,
    f"128 captions by length. Padded to one rectangle, {100 * padding / (padding + lengths.sum()):.0f} % of it is "
    "padding. Packed by length, nothing is.",
)
plt.show()

# %% [markdown]
# Each rectangle is the batch of one length. No mask is needed, and only real words enter the sum. If you pad a batch
# further, or shuffle it, no score changes:

# %%
wide = sentences._replace(
    fragments=torch.nn.functional.pad(sentences.fragments, (0, 0, 0, 3)),
    mask=torch.nn.functional.pad(sentences.mask, (0, 3)),
)
plain = cross_attention(pictures, sentences)
close(cross_attention(pictures, wide), plain)
turn = torch.tensor([3, 1, 0, 2])
close(cross_attention(pictures, sentences.map(lambda x: x[turn])), plain[:, turn])

# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.7")

# %% [markdown]
# ## Missing regions
#
# A detector finds three things in one picture and eight in another. Missing regions are **zero vectors** at the end.
# Their affinity is 0, so their unnormalised weight is $e^0 = 1$, not 0, and no mask sets it to 0. Is that not an error?
# Look at where the weight goes:
#
# $$\sum_r a_r s_r: \; a_r \cdot 0 = 0 \qquad a^\top G a: \; \text{row and column } r \text{ of } G \text{ are zero}$$
#
# A vector of length zero adds nothing to $c$, whatever its weight. It does add to the sum under a softmax.
# `gram_scores` does not divide by this sum. The package does, but the division only makes $c$ shorter, and a cosine
# does not depend on the length of $c$. So for "t2i" a missing region needs no mask at all:

# %%
# picture 2 without its gaps
three = pictures._replace(fragments=pictures.fragments[2:, :3], mask=pictures.mask[2:, :3])
close(cross_attention(three, sentences), cross_attention(pictures, sentences)[2:])

padded = attention_map(pictures.fragments[2], sentences.fragments[0], temperature=2.0)  # gaps handed over by mistake
real = attention_map(three.fragments[0], sentences.fragments[0], temperature=2.0)
print("attention of word 0, three regions and three gaps:", padded[0].numpy().round(2))
print("attention of word 0, three regions:               ", real[0].numpy().round(2))

# %% [markdown]
# The second half of the cell shows a mistake that is easy to make. If we want to look at the attention, we draw a
# **map**: we divide its weights by their sum. A gap adds to this sum, so it takes a share. Give `attention_map` the
# real regions only. And for "i2t", where regions *ask*, a missing region would be one more query; there the pooling
# needs the mask, and has it.

# %% [markdown]
# ## A trained model looks at a picture
#
# We take VSR++, trained on `scenes`. (The run folder may have it. If not, the training takes about a minute.) Its words
# attend to the regions $V^*$ that the graph of lesson 1 has enriched.

# %% tags=["nbval-ignore-output"]
matcher = run.fit().matcher()

# %%
test = run.dataset("test")[:200]
images, texts = matcher.encode(test)
chosen = 2
for sentence in test.captions_of(chosen):
    print(sentence)

# %% [markdown]
# First we show the steps, for one sentence, as matrices: affinities, what clipping and normalising make of them, and
# the attention. Look for the competition: a region whose affinities are all small (left panel) still has a row of
# length 1 in the middle panel. So the largest number of its row stands at the word that fits it least badly, although
# no word fits it well. This word may even be `<start>`, which names nothing. The lines below the figure say how many
# regions do this, and where `<start>` looks.

# %%
column = int(np.flatnonzero(test.caption_to_image == chosen)[1])
v, w = images.fragments[chosen][images.mask[chosen]], texts.fragments[column][texts.mask[column]]
s = v @ w.T
clipped = leaky_relu(s, 0.1)
steps = {"affinity s": s, "clipped, normalised over words": clipped / clipped.norm(dim=1, keepdim=True)}
steps["attention: each column sums to 1"] = attention_map(v, w).T
labels = [matcher.tokenizer.words[k] for k in matcher.tokenizer.encode(test.captions[column])]
figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained", sharey=True)
for ax, (name, matrix) in zip(axes, steps.items(), strict=True):
    mesh = ax.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    ax.set_title(name, fontsize=10)
    ax.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=9)
axes[0].set(ylabel="region", yticks=range(len(v)))
figure.colorbar(mesh, ax=axes, shrink=0.8)
favourites = [labels[k] for k in steps["clipped, normalised over words"].argmax(dim=1).tolist()]
looks = steps["attention: each column sums to 1"].argmax(dim=0).tolist()
show.describe(
    figure,
    f"Three matrices of {len(v)} regions by {len(labels)} words: {', '.join(steps)}. The word with the largest "
    f"normalised affinity, by region: {', '.join(f'{k} {word}' for k, word in enumerate(favourites))}. The region to "
    f"which each word attends most: {', '.join(f'{word} {k}' for word, k in zip(labels, looks, strict=True))}.",
)
plt.show()

# %% tags=["nbval-ignore-output"]
close(steps["attention: each column sums to 1"].sum(0), torch.ones(len(labels)))
print(f"{favourites.count('<start>')} of {len(v)} regions have their largest number at <start>.")
print(f"<start> itself looks most at region {looks[0]}.")

# %% [markdown]
# Then we show the attention on the picture. Pick a word of the sentence. The picture is clear where the word looks,
# and the larger its attention to a region, the stronger the box.

# %% tags=["widget", "nbval-ignore-output"]
widgets.word_picker(matcher, test, chosen, test.captions[column])

# %%
show.attention(matcher, test, chosen, test.captions[column])
plt.show()

# %% [markdown]
# Read the figure with care. Compare the box of each noun with the thing that the noun names. (Lesson 6 counts by code
# how often they agree.) No region shows a verb. The vector of a word comes from a GRU that has also read the words
# around it. So a verb may look where its subject looks, or somewhere else. Also, each vector in $V^*$ contains messages
# from other regions. Attention shows which regions went into a number, but it does not explain why.

# %% [markdown]
# ## Measured: how much does this model depend on its attention?
#
# We leave the model as it is and change the temperature **at test time only**. At 0 every word receives the mean of the
# regions. We use the first 200 test pictures with their captions, and score with $S_L$ alone.


# %% tags=["hide-input", "nbval-ignore-output"]
predict("3.8")


# %% tags=["nbval-ignore-output"]
def measured(**choices):
    """Recalls on these pictures with S_L alone."""
    scores = score(partial(cross_attention, **choices), images, texts)
    return recalls(*ranks(scores, test.caption_to_image), test.caption_to_image)


own = run.system.temperature  # with which this model was trained
temperatures = sorted({0.0, 1.0, 2.0, 4.0, 9.0, 20.0, 40.0, own})
sweep = pd.DataFrame([measured(temperature=value) for value in temperatures], index=temperatures)
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for metric, colour in {"i2t_r1": show.MEASURED, "t2i_r1": show.PAPER}.items():
    ax.plot(range(len(temperatures)), sweep[metric], "o-", color=colour, label=show.title(metric))
ax.axvline(temperatures.index(own), color="0.6", lw=1, ls="--")
ax.annotate(f"in training: {own:g}", (temperatures.index(own), 2), (6, 0), textcoords="offset points", color="0.4")
ax.set_xticks(range(len(temperatures)), [f"{value:g}" for value in temperatures])
ax.set(xlabel="temperature at test time (axis not to scale)", ylabel="R@1 (%)", ylim=(0, None))
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
show.describe(
    figure,
    "R@1 by temperature at test time, text and image retrieval: "
    + ", ".join(f"{t:g}: {row['i2t_r1']:.0f} and {row['t2i_r1']:.0f}" for t, row in sweep.iterrows()),
)
plt.show()
display(sweep[["i2t_r1", "t2i_r1", "rsum"]].rename_axis("temperature"))

# %% [markdown]
# At the left end of the figure, each word gives all regions the same weight. Compare this end with the temperature of
# the training. Towards the right end, the attention almost chooses a single region. The figure shows how much *this*
# model has come to depend on its attention. It does *not* show what a model would reach if we trained it at another
# temperature, because such a model could adapt to that temperature.
#
# The next cell changes the direction and the pooling, again at test time only. When words ask, we use the temperature
# of this training. When regions ask, we use 4/9 of this temperature, which is SCAN's proportion:

# %% tags=["nbval-ignore-output"]
table = {
    (direction, pooling): measured(direction=direction, pooling=pooling, temperature=temperature)
    for direction, temperature in {"t2i": own, "i2t": 4 / 9 * own}.items()
    for pooling in POOL
}
changed = pd.DataFrame(table).T[["i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"]]
display(changed)
best = changed.idxmax().map(", ".join)  # of rows that are equally good, the first
display(best.rename("best direction and pooling").to_frame())

# %% [markdown]
# One word of warning: "t2i" means two things in this literature, and in this table. In a *row* it is the direction of
# the attention: words ask regions. In a *column* it is the task: a sentence retrieves an image. In our own words, the
# rows are "words ask" (t2i) and "regions ask" (i2t), and the columns are image retrieval (t2i) and text retrieval
# (i2t).
#
# The model was trained with words asking and a mean. The second table names the row that does best in each column.
# Where it is another row, count the pictures: of 200 pictures, one per cent is two. The next cell asks the same of all
# test pictures, for the sum and the mean when words ask. It counts the pictures that one of the two ways of pooling
# alone answers right at once.

# %% tags=["nbval-ignore-output"]
whole = run.dataset("test")
all_images, all_texts = matcher.encode(whole)
first = {}
for pooling in ("mean", "sum"):
    scores = score(partial(cross_attention, pooling=pooling, temperature=own), all_images, all_texts)
    first[pooling] = ranks(scores, whole.caption_to_image)[0] == 1
alone = {name: (first[name] & ~first[other]).sum() for name, other in (("mean", "sum"), ("sum", "mean"))}
print(", ".join(f"{name}: R@1 of text retrieval {100 * hits.mean():.1f}" for name, hits in first.items()))
print(", ".join(f"right with the {name} alone: {count} of {len(whole)} pictures" for name, count in alone.items()))

# %% [markdown]
# Let $n$ be the sum of the two counts. If pooling did not matter, each of these $n$ pictures would fall on either side
# as a coin does. Of $n$ throws of a coin, the number of heads lies within $\frac n2 \pm \sqrt n$ in about 95 of 100
# cases. If the count of the sum lies above this range, chance alone is an unlikely reason: this model finds more with
# the sum, although it was not trained with it. More telling are two coincidences. Where words ask, `mean` and `sum`
# agree to the last digit in all columns of image retrieval, but not in all columns of text retrieval. Where regions
# ask, it is the other way round. Why? That is exercise 1.

# %% [markdown]
# ## Pitfalls of the released code
#
# - **Clip.** The paper clips with $[\cdot]_+$, but the released code uses a slope of 0.1. The released code produced
#   the published numbers.
# - **Axes.** The released code calls softmax without `dim`. Then PyTorch guesses the axis from the number of axes. Our
#   code always names the axis: it normalises over the query and takes the softmax over the context.
# - **Specials.** `<start>` and `<end>` attend to regions, and they count in the mean. Our code does this as well, since
#   the code behind the published numbers does it.
# - **Options that crash.** Two advertised normalisations (`l1norm`, `clipped_l1norm`) call a function that does not
#   exist.
# - **One image.** The cosine ends in a bare `.squeeze()`: a piece of the test set with exactly one picture loses an
#   axis and stops.
# - **float64.** Released evaluation runs in double precision, by accident of numpy's default, and doubles the memory;
#   see the bytes above.
# - **Ours, in this lesson.** `gram_scores` takes no maximum off before the exponential. So $\sum a^2$ can hold
#   $e^{2\lambda}$, which leaves float32 at temperatures above about 44. The package calls `softmax`, which takes the
#   maximum off, and has no such limit.

# %% [markdown]
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1. Sum and mean.** *Easy, 10 minutes.* Explain the coincidences in the last table. Which retrieval does the choice
# between `sum` and `mean` touch, for each direction?
#
# <details><summary>Hint</summary>
#
# Write one as the other times something. Does that something depend on the row or on
# the column of the score matrix? What does image retrieval compare?
#
# </details>
# <details><summary>Another hint</summary>
#
# The number of words belongs to the sentence, which is a column. A picture that is ranked for this sentence is
# compared within that column.
#
# </details>
# <details><summary>Solution</summary>
#
# For t2i the sum is the mean times the number of words, which belongs to the *text*: it scales a column of the (I, T)
# matrix by a positive number. Image retrieval compares pictures within a column, whose order stays. Text retrieval
# compares texts within a row: longer sentences gain. For i2t the factor is the number of regions, which belongs to the
# picture: rows scale, text retrieval stays.
#
# ```python
# mean, total = (cross_attention(images, texts, pooling=pooling) for pooling in ("mean", "sum"))
# close(total, mean * texts.mask.sum(1))
# assert check.lesson3.exercise1("text retrieval", "image retrieval")
# ```
#
# </details>

# %%
words_ask = ...  # "text retrieval" or "image retrieval": which one does the choice touch, where words ask?
regions_ask = ...  # and where regions ask?
check.lesson3.exercise1(words_ask, regions_ask)

# %% [markdown]
# **2. The clip that undoes itself.** *Medium, 15 minutes.* Write `normalised(affinities, slope)`, the clip with any
# slope and the division by the length (mind the division by zero). With it, score the hand example with the slopes 0
# (the paper's), 0.1 and 0.5, at temperature 9 and at temperature 1. Which regions can have normalised rows that differ
# between the slopes? Then show that a positive slope does not matter for a region whose affinities are *all* negative:
# 0.1 and 0.5 give the same normalised row.
#
# <details><summary>Hint</summary>
#
# Look at the third row of `normed`. A positive factor before a division by the length
# drops out.
#
# </details>
# <details><summary>Another hint</summary>
#
# With slope 0 the third row has length 0. A small number in the denominator saves it.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def normalised(affinities, slope):
#     clipped = leaky_relu(affinities, slope)
#     return clipped / (clipped.norm(dim=1, keepdim=True) + 1e-8)
#
#
# def variant(slope, temperature):
#     normed = normalised(regions @ words.T, slope)
#     attended = (temperature * normed).softmax(0).T @ regions
#     return normed[2], cosine_similarity(words, attended).mean()
#
# for temperature in (1.0, 9.0):
#     for slope in (0.0, 0.1, 0.5):
#         row, local = variant(slope, temperature)
#         print(temperature, slope, row, f"S_L = {local:.3f}")
# assert check.lesson3.exercise2(normalised)
# ```
#
# Only rows with a negative affinity can differ. With slope 0 the third row is (0, 0), and with any positive slope it is
# (-0.77, -0.64). So the region that agrees with no word gets *less* weight with the leaky clip than with the paper's
# clip: for *dog*, the weight is $e^{-0.77\lambda}$ instead of $e^0 = 1$. At temperature 1 the weight is 0.46 instead of
# 1, and $S_L$ changes by 0.003. At temperature 9 both weights are tiny beside $e^9$, and $S_L$ agrees to three digits.
#
# </details>


# %%
def normalised(affinities, slope):
    """Affinities (R, W): negative ones times the slope, then each region's row divided by its length."""
    return ...


check.lesson3.exercise2(normalised)

# %% [markdown]
# **3. The other direction.** *Hard, 25 minutes.* Write `gram_scores_i2t(images, texts, temperature=4.0)`: regions ask,
# words answer, mean over the regions that exist, no attended vectors, no loop. Prove it against the package.
#
# <details><summary>Hint</summary>
#
# Which Gram matrix? Which axis is the query now, and which the context? Padded words
# are zero vectors: do they need a mask? Do missing regions?
#
# </details>
# <details><summary>Another hint</summary>
#
# The Gram matrix is now one of the words, (T, W, W). Normalise over regions, and take the weights over words.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def gram_scores_i2t(images, texts, temperature=4.0):
#     s = torch.einsum("ird,twd->itrw", images.fragments, texts.fragments)
#     clipped = leaky_relu(s, 0.1)
#     normed = clipped / (clipped.norm(dim=2, keepdim=True) + 1e-8)  # over regions: they ask
#     weights = (temperature * normed).exp()  # over words
#     gram = texts.fragments @ texts.fragments.transpose(1, 2)  # (T, W, W)
#     squared_length = torch.einsum("itrw,twk,itrk->itr", weights, gram, weights)
#     cosines = (weights * s).sum(3) / squared_length.clamp(min=1e-24).sqrt()
#     return (cosines * images.mask[:, None]).sum(2) / images.mask.sum(1)[:, None]
#
#
# expected = cross_attention(pictures, sentences, direction="i2t", temperature=4.0)
# close(gram_scores_i2t(pictures, sentences), expected, atol=1e-10, rtol=0)
# assert check.lesson3.exercise3(gram_scores_i2t)
# ```
#
# Padded words need no mask: the argument about missing regions holds for them. But missing regions need a mask in the
# mean, since the regions are the queries in this direction.
#
# </details>


# %%
def gram_scores_i2t(images, texts, temperature=4.0):
    """S_L (I, T), where regions ask and words answer."""
    return ...


check.lesson3.exercise3(gram_scores_i2t)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(3)

# %% [markdown]
# ## Summary
#
# - A word's affinities with the regions are clipped, normalised **over the words**, sharpened, and made weights **over
#   the regions**; the weighted regions are compared with the word; the cosines are pooled.
# - Swap query and context, and you have the other direction.
# - A cosine with a weighted sum needs no weighted sum: $\sum a s$ and $a^\top G a$ are enough, and the softmax needs no
#   denominator.
# - Group the sentences by length. Then no product is computed for padding. A missing region is a zero vector and needs
#   no mask, except where it asks.
# - How much does a trained model depend on its attention? Set the temperature to zero at test time and see. Only a
#   training without attention can tell what attention is worth.
#
# ## References
#
# Lee, Chen, Hua, Hu and He, [*Stacked Cross Attention for Image-Text Matching*](https://arxiv.org/abs/1803.08024)
# (SCAN), ECCV 2018. Yuan, Huang, Zhang, Chen, Cheng and Wang, [*Improving Visual Semantic Reasoning for Fine-Grained
# Image-Text Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020. Young et al., *From image
# descriptions to visual denotations* (Flickr30K), TACL 2014.
#
# **Next:** lesson 4, where $S_G$ and $S_L$ become one similarity.
