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
# # Lesson 2: global alignment
#
# In global alignment, one vector stands for the whole image and one vector stands for the whole sentence. Their score
# is the cosine of the angle between them. This lesson builds both vectors with gated recurrent units (GRUs). Then it
# builds the loss that trains them: a hinge, which asks every right pair to score higher, by a margin, than every wrong
# pair that has the same image or the same sentence. This loss has a plateau on which training hardly makes progress.
# We show a training that comes close to the plateau and hardly learns, and a way to avoid this.
#
# **You will learn**
#
# 1. what a GRU computes, gate by gate, and where to read it when sequences have different lengths;
# 2. why a sentence is read from both ends (Bi-GRU), and how not to do it;
# 3. the ranking loss on a 3 x 3 matrix: all negatives summed, or the hardest alone;
# 4. why another caption of the same image is no negative;
# 5. why the hardest negative can teach nothing at first, and what a warm-up does about it.
#
# *Needs:* PyTorch; [00_start_here](00_start_here.ipynb) for the data and for R@K. *Time:* about 60 minutes. *The
# module:* `vsrpp_lite/global_alignment.py`. The last check of each part shows that your code and the package agree.
# The [glossary](glossary.md) explains the terms.

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

# %%
from dataclasses import replace
from itertools import islice

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from torch import nn

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.data.dataset import batches
from vsrpp_lite.global_alignment import RegionGRU, SentenceGRU, cosine, hinge, l2norm, ranking_loss
from vsrpp_lite.paper import quotes
from vsrpp_lite.show import widgets
from vsrpp_lite.teaching import check, predict, quiz
from vsrpp_lite.training.metrics import score

show.inline()
plt.rcParams["figure.dpi"] = 80  # keeps the stored notebook small

# %% [markdown]
# ## The paper says
#
# VSRN (Li et al., ICCV 2019, section 3.3) reads the regions $V^*$ of lesson 1 one after the other with a GRU; its
# last state is the image. A sentence is read word by word, and VSR++ (ICPR 2020) reads it in both directions. The
# score is
#
# $$ S_G(I, T) = \cos(v, t) = \frac{v^\top t}{\lVert v\rVert\,\lVert t\rVert} . $$
#
# It is trained with the loss of VSE++ (Faghri et al., BMVC 2018, equation 6). With margin $\alpha$ and
# $[x]_+ = \max(x, 0)$,
#
# $$ L = \big[\alpha - S(I, T) + S(I, \hat T)\big]_+ + \big[\alpha - S(I, T) + S(\hat I, T)\big]_+ , $$
#
# where $\hat T$ and $\hat I$ are the **hardest negatives**: of all wrong sentences (images) in the batch, the one
# with the highest score.

# %% [markdown]
# ## A GRU by hand
#
# A GRU carries a state $h$ through a sequence $x_1, x_2, \dots$ At each step three linear maps look at the input,
# three at the state:
#
# $$ r = \sigma(W_r x + U_r h), \qquad z = \sigma(W_z x + U_z h), $$
# $$ n = \tanh(W_n x + r \odot U_n h), \qquad h' = (1 - z) \odot n + z \odot h . $$
#
# $n$ is the new content, $z$ says how much of the old state to *keep*, and $r$ how much of the old state the new
# content may see. Each map has a bias, which we leave out in writing.
#
# Take one number as state and one as input, $W_n = 1$ and all else zero. Then $r = z = \sigma(0) = \frac12$ and
# $h' = \frac12\tanh x + \frac12 h$. Feed $x_1 = \frac12\ln 3$, for which $\tanh x_1 = \frac12$, and then zeros: the
# state is $\frac14$, then $\frac18$, then $\frac1{16}$. It remembers, and forgets by half at each step.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.1")

# %%
tiny = nn.GRU(1, 1, batch_first=True)
for p in tiny.parameters():
    nn.init.zeros_(p)
with torch.no_grad():
    tiny.weight_ih_l0[2] = 1.0  # rows of the weights: r, z, n
    states, _ = tiny(torch.tensor([[[np.log(3) / 2], [0.0], [0.0]]], dtype=torch.float32))
torch.testing.assert_close(states[0, :, 0], torch.tensor([1 / 4, 1 / 8, 1 / 16]))
print("states:", [f"{x:.4f}" for x in states[0, :, 0].tolist()])

# %% [markdown]
# ## Naive code: a GRU cell, and reading an image
#
# PyTorch keeps the three maps of the input in one matrix, in the order **r, z, n**, and those of the state in
# another. (TensorFlow's order is z, r, n: weights cannot be copied over as they are.)


# %%
def gru_cell(gru: nn.GRU, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """One step: input (D_in,) and state (D,) to the next state (D,)."""
    from_input = gru.weight_ih_l0 @ x + gru.bias_ih_l0
    from_state = gru.weight_hh_l0 @ h + gru.bias_hh_l0
    input_r, input_z, input_n = from_input.chunk(3)
    state_r, state_z, state_n = from_state.chunk(3)
    r = torch.sigmoid(input_r + state_r)
    z = torch.sigmoid(input_z + state_z)
    n = torch.tanh(input_n + r * state_n)
    return (1 - z) * n + z * h


def gru_states(gru: nn.GRU, sequence: torch.Tensor) -> torch.Tensor:
    """All states (N, D) for one sequence (N, D_in), from a state of zeros."""
    h, states = torch.zeros(gru.hidden_size, dtype=sequence.dtype), []
    for x in sequence:
        h = gru_cell(gru, x, h)
        states.append(h)
    return torch.stack(states)


# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.2")

# %% [markdown]
# An image is the state after its **last real region**, batch-normalised (as VSRN does on Flickr30K) and scaled to
# unit length. The next cell compares our GRU with PyTorch's and with the package's `RegionGRU`, for two images of four
# and two regions:

# %%
torch.manual_seed(seed)
reader = RegionGRU(5).double().eval()
nn.init.uniform_(reader.norm.running_mean, -0.1, 0.1)
regions = torch.randn(2, 4, 5, dtype=torch.float64)
mask = torch.tensor([[True, True, True, True], [True, True, False, False]])

torch.testing.assert_close(gru_states(reader.gru, regions[0]), reader.gru(regions[:1])[0][0])
ends = torch.stack([gru_states(reader.gru, image[there])[-1] for image, there in zip(regions, mask, strict=True)])
images = reader.norm(ends)
images = images / images.norm(dim=1, keepdim=True)
torch.testing.assert_close(reader(regions, mask), images)
print("two images of four and two regions:", tuple(images.shape), "of unit length")

# %% [markdown]
# If one forgot the mask and took the state at the end of the padding, the second image would have "seen" two regions
# that do not exist. And unlike the graph, a GRU depends on the *order* of the regions, which is the order of the
# file. Exercise 2 measures what that costs.

# %%
order = torch.tensor([2, 0, 3, 1])
shuffled = reader(regions[:1, order], mask[:1])
print(f"cosine of the first image read in file order and shuffled: {(shuffled @ images[0]).item():.2f}")
assert not torch.allclose(shuffled[0], images[0])

# %% [markdown]
# ## A sentence, from both ends
#
# In "a ball that is red", the state at *ball* has not read *red*. So a second GRU reads from the end. A **word** is
# the mean of its two states; the **sentence** is the mean of the two *end* states: the forward state at `<end>`, the
# backward state at `<start>`. Each of these two has read every word.
#
# A tempting shortcut averages the two directions first and then takes the position of the last word. But the last
# token is always `<end>`, and there the backward GRU has read nothing else. The sentence vector would be a mean of two
# states, one of which is the same vector for every sentence.
#
# Is the second GRU worth it? The clean ablation of [07_reading_the_tables](07_reading_the_tables.ipynb) trained models
# that differ in nothing else. Some of them have only the global similarity of this lesson, some have only the local one
# of lesson 3, some add the two, as lesson 4 does, and some train both but add their losses instead (*fusion at the
# loss*). Here is what it found.

# %%
PARTS = ("global", "local", "fusion of similarities", "fusion at the loss")
second = {
    name: {part: quotes.effect(name, f"Bi-GRU ({part}) over GRU") for part in PARTS}
    for name in ("scenes-lite", "scenes-long")
}
display(
    Markdown(
        "The second GRU changes rsum by the following points (three seeds each, with 95 % intervals).\n\n"
        + pd.DataFrame(second)
        .rename(columns={"scenes-lite": "after three epochs", "scenes-long": "after a long training"})
        .to_markdown()
        + "\n\nIf an interval contains zero, these runs do not show an effect. "
        "*Inconclusive by Holm* means that a difference does not pass the stricter judgement of lesson 7, although its "
        "own interval excludes zero."
    )
)

# %% [markdown]
# Now we write the Bi-GRU with loops, one word after the other.


# %%
def read_slowly(encoder: SentenceGRU, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sentence (D,) and words (W, D) of one sentence without padding."""
    embedded = encoder.embedding(tokens)
    there = gru_states(encoder.forwards, embedded)
    back = gru_states(encoder.backwards, embedded.flip(0)).flip(0)
    sentence = (there[-1] + back[0]) / 2
    words = (there + back) / 2
    return sentence / sentence.norm(), words / words.norm(dim=1, keepdim=True)


# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.3")

# %%
vocabulary = vl.Vocabulary.build(["a ball that is red", "a ball that is blue", "a tree"])
encoder = SentenceGRU(len(vocabulary), 4, 6, bidirectional=True)
for p in encoder.parameters():
    nn.init.normal_(p)  # larger than the usual start, so that differences are plain to see
sentences = [
    torch.from_numpy(vocabulary.encode(s)).long() for s in ("a ball that is red", "a ball that is blue", "a tree")
]
tokens = nn.utils.rnn.pad_sequence(sentences, batch_first=True)
encoded = encoder(tokens, tokens > 0)
for k, sentence in enumerate(sentences):
    pooled, words = read_slowly(encoder, sentence)
    torch.testing.assert_close(encoded.pooled[k], pooled)
    torch.testing.assert_close(encoded.fragments[k, : len(sentence)], words)
    assert not encoded.fragments[k, len(sentence) :].any()
ball = encoded.fragments[:2, 2]  # <start> a ball
one_way = SentenceGRU(len(vocabulary), 4, 6, bidirectional=False)(tokens, tokens > 0).fragments[:2, 2]
print(f"'ball' in the two sentences, one GRU: cosine {(one_way[0] @ one_way[1]).item():.2f}")
print(f"'ball' in the two sentences, Bi-GRU:  cosine {(ball[0] @ ball[1]).item():.2f}")
torch.testing.assert_close(one_way[0], one_way[1])
assert not torch.allclose(ball[0], ball[1])
shortcut = [gru_states(encoder.backwards, encoder.embedding(s).flip(0))[0] for s in sentences]
torch.testing.assert_close(shortcut[0], shortcut[2])  # the backward half at <end>, for different sentences

# %% [markdown]
# ## The cosine
#
# For unit vectors the cosine is the scalar product, and all pairs are one matrix product. By hand: $(3, 4)/5$ and
# $(4, 3)/5$ give $(12 + 12)/25 = 0.96$; $(3, 4)/5$ and $(-4, 3)/5$ are at right angles.

# %%
picture = l2norm(torch.tensor([[3.0, 4.0]]))
texts = l2norm(torch.tensor([[4.0, 3.0], [-4.0, 3.0]]))
nothing = torch.zeros(1, 1, 2), torch.ones(1, 1, dtype=torch.bool)  # a global similarity looks at no fragments
found = cosine(vl.Encoded(picture, *nothing), vl.Encoded(texts, *nothing))
torch.testing.assert_close(found, torch.tensor([[0.96, 0.0]]))
assert l2norm(torch.zeros(3)).eq(0).all()  # not NaN

# %% [markdown]
# ## The hinge by hand
#
# Take three images (rows), their three sentences (columns) and a margin of $\alpha = 0.2$. The right pairs are on the
# diagonal.

# %%
S = torch.tensor([[0.6, 0.5, 0.2], [0.3, 0.4, 0.5], [0.1, 0.3, 0.7]])
alpha = 0.2

# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.4")

# %% [markdown]
# *Each image asks for its sentence* (rows):
#
# * image 0: $[0.2 - 0.6 + 0.5]_+ = 0.1$ and $[0.2 - 0.6 + 0.2]_+ = 0$. The sum is 0.1, the hardest 0.1;
# * image 1: $[0.2 - 0.4 + 0.3]_+ = 0.1$ and $[0.2 - 0.4 + 0.5]_+ = 0.3$. The sum is 0.4, the hardest 0.3;
# * image 2: nothing comes within the margin.
#
# *Each sentence asks for its image* (columns):
#
# * sentence 0: no wrong image comes within the margin;
# * sentence 1: the violations are 0.3 and 0.1. The sum is 0.4, the hardest 0.3;
# * sentence 2: no violation is above zero, but image 1 reaches the margin exactly: $0.2 - 0.7 + 0.5 = 0$.
#
# If we sum all negatives, the loss is $(0.1 + 0.4 + 0.4)/3 = 0.30$ per pair. If we take the hardest negative alone, the
# loss is $(0.1 + 0.3 + 0.3)/3 = 0.23$ per pair.


# %%
def ranking_slowly(S: torch.Tensor, image_ids: list[int], alpha: float, hardest: bool) -> float:
    """Both directions of the hinge by loops, the mean over pairs."""
    total = 0.0
    for scores in (S, S.T):
        for query in range(len(S)):
            right = scores[query, query].item()
            wrong = [scores[query, k].item() for k in range(len(S)) if image_ids[k] != image_ids[query]]
            violations = [max(0.0, alpha - right + score) for score in wrong]
            total += max(violations, default=0.0) if hardest else sum(violations)
    return total / len(S)


def ranking(S: torch.Tensor, image_ids: torch.Tensor, alpha: float, hardest: bool) -> torch.Tensor:
    """The mean loss of `ranking_slowly`, for all queries at once."""
    right = S.diagonal()
    wrong = image_ids[:, None] != image_ids
    texts = (alpha - right[:, None] + S).clamp(min=0) * wrong  # every image against all sentences
    images = (alpha - right + S).clamp(min=0) * wrong  # every sentence against all images
    each = texts.amax(1) + images.amax(0) if hardest else texts.sum(1) + images.sum(0)
    return each.mean()


# %%
ids = torch.arange(3)
assert [round(ranking_slowly(S, [0, 1, 2], alpha, hardest), 2) for hardest in (False, True)] == [0.3, 0.23]
torch.manual_seed(seed)
large, repeated = torch.rand(7, 7), torch.tensor([0, 1, 2, 1, 3, 4, 0])  # two images are there twice
for hardest in (False, True):
    for scores, numbers in ((S, ids), (large, repeated)):
        ours = ranking_loss(scores, numbers, margin=alpha, hardest=hardest)
        torch.testing.assert_close(ours, ranking(scores, numbers, alpha, hardest))
        torch.testing.assert_close(
            ours.item(), ranking_slowly(scores, numbers.tolist(), alpha, hardest), atol=1e-6, rtol=0
        )
    loss = ranking_loss(S, ids, margin=alpha, hardest=hardest)
    print(f"3 x 3 matrix, {'hardest alone' if hardest else 'all summed'}: {loss:.2f} per pair")
by_row = hinge(S, ids, ids[:, None] != ids, margin=alpha, hardest=True)
torch.testing.assert_close(by_row, torch.tensor([0.1, 0.3, 0.0]))

# %% [markdown]
# Move the margin. With a margin of 0 only candidates that *beat* the right one count; with 0.6 nearly every pair is a
# violation, and the summed loss works on pairs that are in order already.


# %%
def draw_hinge(margin: float = 0.2) -> plt.Figure:
    """The matrix, and the violations of each direction; the hardest of each query in bold."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
    off = ids[:, None] != ids
    rows = (margin - S.diagonal()[:, None] + S).clamp(min=0) * off
    columns = (margin - S.diagonal() + S).clamp(min=0) * off
    losses = [ranking_loss(S, ids, margin=margin, hardest=hardest).item() for hardest in (False, True)]
    titles = "scores S", "images ask (each row)", "sentences ask (each column)"
    for ax, values, title, axis in zip(axes, (S, rows, columns), titles, (None, 1, 0), strict=True):
        ax.imshow(values, cmap="Blues" if axis is None else "Oranges", vmin=0, vmax=1 if axis is None else 0.6)
        for i, j in np.ndindex(3, 3):
            worst = axis is not None and values[i, j] > 0 and values[i, j] == values.amax(axis)[(i, j)[1 - axis]]
            ax.text(
                j,
                i,
                f"{values[i, j]:.1f}",
                ha="center",
                va="center",
                weight="bold" if worst or (axis is None and i == j) else None,
            )
        ax.set(xticks=range(3), yticks=range(3), xlabel="sentence", ylabel="image", title=title)
    figure.suptitle(f"margin {margin:.2f}: summed {losses[0]:.2f} per pair, hardest alone {losses[1]:.2f}")
    text = (
        f"The matrix of scores, and its violations at margin {margin:.2f}: summed {losses[0]:.2f}, hardest "
        f"{losses[1]:.2f}."
    )
    return show.describe(figure, text)


# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.5")

# %% tags=["widget", "nbval-ignore-output"]
margin = ipywidgets.FloatSlider(value=0.2, min=0, max=0.6, step=0.05, description="margin")
widgets.Still([margin, widgets.live(draw_hinge, margin)])

# %%
figure = draw_hinge(0.2)

# %% [markdown]
# ## Another caption of the same image is no negative
#
# An image has five captions, and a batch is drawn from all captions. Let sentences 0 and 1 describe the *same* image,
# so that it stands in the batch twice and rows 0 and 1 of the scores are equal. If only the diagonal is spared, the
# loss pushes a true caption away from its picture, and with hardest negatives it mostly picks just such a caption,
# since the hardest negative is the sentence that fits best. The mask must look at the image's id.
#
# Compute the loss for the matrix below by hand, with only the diagonal excluded from the negatives. Image 0 takes
# sentence 1 for a wrong sentence: $[0.2 - 0.6 + 0.5]_+ = 0.1$. The same image in row 1 takes sentence 0 for a wrong
# sentence: $[0.2 - 0.5 + 0.6]_+ = 0.3$. Each of these two sentences takes the other copy of its own image for a wrong
# image. Both copies have the same score, so each sentence has a violation of 0.2. All violations together are 0.8 for
# three pairs. None of them is a real error, because sentence 2 and image 2 violate no margin.
# %%
twice = torch.tensor([[0.6, 0.5, 0.2], [0.6, 0.5, 0.2], [0.1, 0.3, 0.7]])
same = torch.tensor([5, 5, 9])
by_id = ranking_loss(twice, same, margin=alpha, hardest=True).item()
by_diagonal = ranking_loss(twice, ids, margin=alpha, hardest=True).item()
print(f"hardest alone: {by_diagonal:.2f} per pair with the diagonal spared, {by_id:.2f} with the image spared")
torch.testing.assert_close(by_diagonal, 0.8 / 3, atol=1e-6, rtol=0)
torch.testing.assert_close(by_id, 0.0, atol=1e-6, rtol=0)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.6")

# %% [markdown]
# How often does this happen? The next cells take the first 40 batches of an epoch, as `fit` draws them. A trained VSR++
# scores them. (The model is trained once, and later runs find it in `runs/`.) We call another caption of the same image
# a *sibling*. How many captions have a sibling in their batch, and how often is a sibling the best-scoring "negative"
# of the picture?

# %% tags=["nbval-ignore-output"]
run = vl.tuned(vl.VSRpp(mu=2.0), data=data, preset=preset, seed=seed)
matcher = run.fit().matcher()

# %% tags=["nbval-ignore-output"]
train, size = run.dataset("train"), run.settings.training.batch_size
tokens = matcher.tokenizer.encode_all(train.captions)
asked = siblings = chosen = 0
itself = torch.eye(size, dtype=torch.bool)
for batch in islice(batches(train, tokens, size, seed=seed, epoch=0), 40):
    sibling = (batch.image_positions[:, None] == batch.image_positions) & ~itself
    with torch.no_grad():
        scores = matcher.similarity(*matcher.encode_batch(batch))
    worst = scores.masked_fill(itself, -9).argmax(1)
    asked += size
    siblings += sibling.any(1).sum().item()
    chosen += sibling[torch.arange(size), worst].sum().item()
print(f"{100 * siblings / asked:.1f} % of pairs meet another caption of their image in a batch of {size}")
print(f"it would be the hardest negative of its picture in {100 * chosen / siblings:.0f} % of these cases")

# %% [markdown]
# ## The plateau
#
# If all similarities are equal, every violation is exactly $\alpha$: the hardest loss is $2\alpha$ per pair, one for
# each direction. (In a batch of $B$ pairs, the summed loss is $2\alpha(B - 1)$.) That would be no more than a bad
# starting point, if the loss led away from it. Does it?
#
# Take a very simple picture of the first steps of a training. Scores are noise, and right pairs are better by $d$
# standard deviations: with $d = 1$ the model already knows something. Let $s$ be the scale of the scores, and ask how
# the loss changes as $s$ leaves 0, where all are equal. In a batch of 64 every query has 63 wrong candidates. *On
# average* they are worse than the right one. But the *best* of 63 draws of noise lies about 2.3 standard deviations up,
# above the right one. For small $s$ no violation is cut off at zero, so each one is $\alpha + s \cdot (\text{wrong} -
# \text{right})$. In the sum, the mean of the brackets is $-d$, so the summed loss falls when $s$ grows. For the hardest
# alone, the bracket is about $2.3 - d$, so with $d = 1$ the hardest loss **rises**: it pushes the scores together
# again, although the model is better than chance.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.7")

# %%
B = 64
generator = torch.Generator().manual_seed(seed)
noise = torch.randn(B, B, generator=generator, dtype=torch.float64)
batch_ids, scales = torch.arange(B), torch.linspace(0, 0.15, 31, dtype=torch.float64)
plateau = ranking_loss(0 * noise, batch_ids, margin=alpha, hardest=True).item()
torch.testing.assert_close(plateau, 2 * alpha)
torch.testing.assert_close(ranking_loss(0 * noise, batch_ids, margin=alpha, hardest=False).item(), 2 * alpha * (B - 1))

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), sharey=True, layout="constrained")
for ax, hardest in zip(axes, (False, True), strict=True):
    for d, colour in ((1, show.PAPER), (2, "grey"), (4, show.MEASURED)):
        scores = [s * (noise + d * torch.eye(B)) for s in scales]
        losses = torch.stack([ranking_loss(x, batch_ids, margin=alpha, hardest=hardest) for x in scores])
        ax.plot(scales, losses / losses[0], color=colour, lw=2, label=f"d = {d}")
        if d == 1:
            assert (losses[1] > losses[0]) == hardest  # away from "all equal": up for the hardest, down for the sum
    ax.axhline(1, color="black", lw=1, ls="--")
    ax.set(xlabel="scale of the scores s", title="hardest alone" if hardest else "all negatives, summed")
axes[0].set(ylabel="loss / its value on the plateau", ylim=(0, 2))
axes[0].legend(title="right pairs better by d", frameon=False, loc="upper left")
show.describe(
    figure,
    "The loss against the scale of the scores, for right pairs that are better by 1, 2 and 4. Summed, it falls "
    "from the start. With the hardest negative alone and an advantage of 1, it first rises.",
)
plt.show()

# %% [markdown]
# At the left edge of each panel all scores are equal; the dashed line is the loss there. To the right the same model
# spreads its scores further apart. With summed hinges all three gain by it. With the hardest alone only the model
# that is far ahead of the noise ($d = 4$) goes downhill from the start; the others are drawn *back* to the plateau.
#
# This is the reason for a **warm-up**: one epoch of summed hinges, in which a small advantage is enough to learn
# from, and only then the hardest negative, which asks for more. The code of VSE-infinity has one;
# `Training(warmup_epochs=1)` is our default.

# %% [markdown]
# ## Measure: with and without warm-up
#
# We train a global model alone twice, for three epochs each time: VSR++ with `fusion="global"`, no caption loss, and
# one sentence GRU instead of a Bi-GRU. The first training uses hardest negatives from the first step. The second
# training starts with one epoch of summed hinges. Both have the same seed, so they start from the same weights and see
# the same batches. (`fit` watches for the plateau, and warns when the loss has been within one per cent of $2\alpha$
# for two epochs in a row. A training of three epochs can be too short for this warning.)

# %% tags=["nbval-ignore-output"]
system = vl.VSRpp(fusion="global", caption_loss=False, bidirectional=False)
start = vl.Run(system=system, data=data, preset=preset, seed=seed)
results = {}
for warmup in (0, 1):
    training = replace(start.settings.training, epochs=3, warmup_epochs=warmup)
    results[warmup] = replace(start, training=training).fit()

# %% tags=["nbval-ignore-output"]
names = {0: "no warm-up", 1: "one epoch of warm-up"}
for warmup, result in results.items():
    loss, rsum = result.history["loss.ranking"].iloc[-1], result.recalls["rsum"]
    print(f"{names[warmup]:21} loss per pair in the last epoch {loss:.2f}, rsum on test {rsum:.1f}")

# %% [markdown]
# Compare the two losses with the two recalls. The losses can be almost equal when the recalls are very different. So
# the loss of the hardest negative is a poor measure of how useful a model is: in a useful model, too, one of the 63
# wrong candidates often scores close to the right answer. (In the left panel, the first point of the blue curve is
# missing, since the first epoch of that run summed all hinges.)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2), layout="constrained")
for warmup, colour in ((0, show.PAPER), (1, show.MEASURED)):
    history = results[warmup].history
    epochs, label = history.index, names[warmup]
    left.plot(epochs[warmup:], history["loss.ranking"][warmup:], "o-", color=colour, label=label)
    right.plot(epochs, history["dev.rsum"], "o-", color=colour, label=label)
left.axhline(2 * alpha, color="black", lw=1, ls="--")
left.annotate("plateau, 2 α", (1, 2 * alpha), (0, -12), textcoords="offset points")
left.set(xlabel="epoch", xticks=epochs, title="hardest-negative loss per pair")
right.set(xlabel="epoch", xticks=epochs, ylim=(0, None), title="rsum on dev")
figure.legend(*left.get_legend_handles_labels(), ncols=2, frameon=False, loc="outside upper center")
show.describe(
    figure,
    "rsum on dev by epoch: "
    + "; ".join(f"{names[w]} {results[w].history['dev.rsum'].round().astype(int).tolist()}" for w in (0, 1)),
)
plt.show()

# %% tags=["hide-input", "nbval-ignore-output"]
predict("2.8")

# %% [markdown]
# What tells the two models apart is the **spread** of the scores. Do all pairs look alike to the model without warm-up?
# The next figure shows the cosines of all test pictures with all test sentences. Its axis is logarithmic, because
# otherwise only the spike would be visible.

# %% tags=["nbval-ignore-output"]
test = start.dataset("test")
spreads = {}
figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
for warmup, colour in ((1, show.MEASURED), (0, show.PAPER)):
    cosines = score(cosine, *results[warmup].matcher().encode(test))
    ax.hist(cosines.ravel(), bins=120, range=(-0.6, 0.6), color=colour, alpha=0.8, label=names[warmup], log=True)
    spreads[warmup] = cosines.std()
    print(f"{names[warmup]:21} standard deviation of the cosines {spreads[warmup]:.1e}")
ax.set(xlabel="cosine of a picture and a sentence, right or wrong", ylabel="pairs")
ax.legend(frameon=False)
show.describe(
    figure,
    "Histograms of the cosines of all pairs. Standard deviations: "
    + ", ".join(f"{names[warmup]} {spread:.1e}" for warmup, spread in spreads.items()),
)
plt.show()

# %% [markdown]
# ## What came out

# %% tags=["nbval-ignore-output"]
hardest, warm = results[0], results[1]
losses = ", ".join(f"{loss:.3f}" for loss in hardest.history["loss.ranking"])
on_dev = {name: ", ".join(f"{x:.0f}" for x in run.history["dev.rsum"]) for name, run in (("0", hardest), ("1", warm))}
random_scores = {split: 2 * 100 * (1 + 5 + 10) / len(start.dataset(split)) for split in ("dev", "test")}
display(
    Markdown(
        f"With hardest negatives from the first step, the loss per pair was {losses} in the three epochs, and the "
        f"plateau lies at {2 * alpha:.1f}. The rsum on dev was {on_dev['0']}, where random scores give about "
        f"{random_scores['dev']:.0f}. On test it is {hardest.recalls['rsum']:.0f}, where random scores give about "
        f"{random_scores['test']:.0f}. With one epoch of summed hinges, the rsum on dev was {on_dev['1']}."
    )
)

# %% [markdown]
# In this run, the model without warm-up has cosines that are almost equal, and so its loss is almost $2\alpha$. The
# converse is false: the loss of the other model passes through $2\alpha$, too, and its cosines are widely spread. A
# model near the plateau need not be without any knowledge: its scores can be better than random ones, and its rsum can
# still rise slowly. But with one epoch of summed hinges, the same model learns far more in the same time. (Preset
# `smoke` trains for fewer than a hundred steps. These are too few to show what becomes of a loss near the plateau.)
#
# The plateau does not always occur. The released codes (VSE++, SCAN, VSRN) have no warm-up and reach their published
# numbers, with learning rates that are far lower than ours in this preset. But users of these codes report the plateau,
# too. Those codes *sum* the loss over a batch of 128, so on the plateau the loss is $2 \cdot 128 \cdot 0.2 = 51.2$
# (VSE++ issue 27).
#
# ## Pitfalls of the released code
#
# * **Only the diagonal is spared** in VSE++, SCAN and VSRN. On Flickr30K one in five batches of 128 holds two
#   captions of one image; in larger batches it soon becomes the rule.
# * **The loss is summed over the batch, but the gradient is clipped at a fixed norm.** So the batch size changes what
#   clipping does, and the balance with any other loss. The module takes the mean over pairs.
# * **Unit length without an epsilon.** `x / x.norm()` of a zero vector is NaN, and NaN in a ranking can count as
#   perfect recall ([00_start_here](00_start_here.ipynb) shows how ties and NaN are handled here).
# * **Gate order.** Weights carried from another library must be permuted to r, z, n.
#
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1. Another margin** (*easy, 5 minutes, pencil*). What are the two losses of the 3 x 3 matrix for $\alpha = 0.1$?
# And for $\alpha = 0$: which queries still have a violation, and what does that say about R@1?
#
# <details><summary>Hint</summary>
#
# Every violation of 0.1 or less disappears with $\alpha = 0.1$; larger ones shrink by 0.1. Or move the slider.
#
# </details>
# <details><summary>Another hint</summary>
#
# Sum the violations of the three pictures and of the three sentences, and divide by 3.
#
# </details>
# <details><summary>Solution</summary>
#
# With $\alpha = 0.1$ image 1 keeps 0.2 (sentence 2), sentence 1 keeps 0.2 (image 0): both losses are $0.4/3 = 0.13$.
# With $\alpha = 0$ they keep 0.1 each, so $0.2/3 = 0.07$. At $\alpha = 0$ a query pays exactly if a wrong
# candidate beats the right one. Without ties, these are the queries that R@1 counts as wrong. Here they are image 1 and
# sentence 1, so R@1 is 2/3 in both directions.
#
# ```python
# for margin, expected in ((0.1, 0.4 / 3), (0.0, 0.2 / 3)):
#     for hardest in (False, True):
#         loss = ranking_loss(S, ids, margin=margin, hardest=hardest).item()
#         torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)
# assert check.lesson2.exercise1(0.4 / 3, 0.4 / 3, 0.2 / 3)
# ```
#
# </details>

# %%
summed, hardest = ..., ...  # the two losses at margin 0.1
at_zero = ...  # one number: at margin 0 both losses are the same
check.lesson2.exercise1(summed, hardest, at_zero)

# %% [markdown]
# **2. Does the order of regions matter?** (*medium, 20 minutes*). The GRU reads regions in the order of the file: the
# most confident first. Shuffle the real regions of every test image, and compare rsum, for the trained VSR++ and for
# the global model with warm-up.
#
# <details><summary>Hint</summary>
#
# Draw a random number between 0 and 1 for each region, and give missing regions a 2, so that they are sorted to the
# end. `argsort` gives the order, and `gather` applies it. `matcher.images(regions, mask)` encodes; `vl.score`,
# `vl.ranks` and `vl.recalls` do the rest.
#
# </details>
# <details><summary>Another hint</summary>
#
# With one random number a region, the order that sorts these numbers is a random order.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def shuffle(regions, mask):
#     keys = torch.rand(mask.shape, generator=torch.Generator().manual_seed(1)).masked_fill(~mask, 2)
#     return regions.gather(1, keys.argsort(1)[:, :, None].expand_as(regions))
#
#
# regions, mask = test.regions(np.arange(len(test)))
# shuffled = shuffle(regions, mask)
# for model in (matcher, results[1].matcher()):
#     texts = model.encode_texts(test.captions)
#     for some in (regions, shuffled):
#         with torch.no_grad():
#             images = model.images(some, mask)
#         found = vl.ranks(vl.score(model.similarity, images, texts), test.caption_to_image)
#         print(f"{vl.recalls(*found, test.caption_to_image)['rsum']:.1f}")
# assert check.lesson2.exercise2(shuffle)
# ```
#
# Shuffling changes nothing but the order. So a model whose rsum falls uses the order: a confident region is more often
# a real object, and the GRU can learn what comes first. VSR++ should lose less, since its local half has no order. But
# the two models also differ in their sentence GRU and in the caption loss, so this comparison alone does not prove that
# the local half is the reason.
#
# </details>


# %%
def shuffle(regions, mask):
    """The regions (B, R, F) of every picture in another order; the missing ones stay at the end."""
    return ...


check.lesson2.exercise2(shuffle)

# %% [markdown]
# **3. Does the local part free training from the plateau?** (*hard, 20 minutes and a minute of computing*). VSR++
# trains $S_G + \mu S_L$ with one hinge. Train `VSRpp(caption_loss=False, bidirectional=False)` without warm-up, with
# everything else as above, and compare its history with that of the global model. Then say what you would do if you
# could not change the loss.
#
# <details><summary>Hint</summary>
#
# `replace(start.settings.training, warmup_epochs=0)`, as above. Look at `result.history[["loss.ranking",
# "dev.rsum"]]`: where is the loss, and is it moving?
#
# </details>
# <details><summary>Another hint</summary>
#
# The run `start` has a system and a training. Replace both: the system by the fused one without caption loss.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# training = replace(start.settings.training, epochs=3, warmup_epochs=0)
# fused = replace(start, system=vl.VSRpp(caption_loss=False, bidirectional=False), training=training)
# assert check.lesson2.exercise3(fused, start)
# trained = fused.fit()
# print(trained.history[["loss.ranking", "dev.rsum"]].round(2))
# print(f"{trained.recalls['rsum']:.1f}")
# ```
#
# Look at the loss after each epoch, and check whether it still falls. If the loss still falls, the training is not at
# rest. Three epochs cannot tell whether it would leave the plateau or stop at $2\alpha$. If you may not change the
# loss, you can start from weights that were trained in another way, or use smaller batches at first: a smaller batch
# has fewer wrong candidates, so its hardest negative is less hard. A lower learning rate with a longer training may
# help, too. In lesson 10's trainings of three epochs without a warm-up, no rate below ours had a higher rsum.
#
# </details>

# %%
fused = ...  # the run, before it is trained
check.lesson2.exercise3(fused, start)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(2)

# %% [markdown]
# ## Summary
#
# * A GRU keeps $z$ of its state and fills the rest with new content. Read it at the last *real* element.
# * A Bi-GRU's sentence is the mean of two end states at *different* ends.
# * The hinge asks the right pair to win by a margin: against all wrong candidates, or the hardest. What counts as
#   wrong is decided by the image, not by the diagonal.
# * At the start the hardest of many wrong scores is mostly noise, and its hinge can push all scores together, to
#   $2\alpha$ per pair. In our run (one seed) an epoch of summed hinges prevented this. The released codes do without
#   it.
#
# ## References
#
# Li et al., [*Visual Semantic Reasoning for Image-Text Matching*](https://arxiv.org/abs/1909.02701) (VSRN), ICCV 2019.
# Faghri, Fleet, Kiros, Fidler, [*VSE++: Improving Visual-Semantic Embeddings with Hard
# Negatives*](https://arxiv.org/abs/1707.05612), BMVC 2018. Cho et al., *Learning Phrase Representations using RNN
# Encoder-Decoder*, EMNLP 2014 (the GRU). Schuster and Paliwal, *Bidirectional Recurrent Neural Networks*, 1997. Chen
# et al., [*Learning the Best Pooling Strategy for Visual Semantic Embedding*](https://arxiv.org/abs/2011.04305)
# (VSE-infinity), CVPR 2021.
#
# **Next:** [03_local_attention](03_local_attention.ipynb): one vector cannot hold everything; words look for their
# regions.
