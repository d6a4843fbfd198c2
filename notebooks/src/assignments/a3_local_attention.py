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
#   vsrpp_lite:
#     absent:
#       - local_attention
#       - show.attention.attention_weights
# ---

# %% [markdown]
# # Assignment 3: local attention without a loop
#
# After this assignment you can let every word of every caption look for its regions in every picture, in a few products
# of tensors, and keep padding out of it. It belongs to lesson 3. *Time:* 90 to 120 minutes. *Points:* 16.
#
# Write your answers where it says `YOUR CODE HERE`; the other cells stay as they are. **Write the functions yourself**:
# an answer that calls `vsrpp_lite` for the thing asked gets no points.
# Where a question builds on an earlier one, your answer is tested with the right one in the place of yours: a mistake
# costs once.
#
# Let $v_r$ be the vector of region $r$ and $t_w$ that of word $w$, both of length 1, and $s_{wr}$ their cosine. Then
#
# $$\bar s_{wr} = \frac{[s_{wr}]_{0.1}}{\sqrt{\sum_{w'} [s_{w'r}]_{0.1}^2}} \qquad
# a_{wr} = \mathrm{softmax}_r(\lambda\, \bar s_{wr}) \qquad
# c_w = \sum_r a_{wr}\, v_r \qquad
# S_L = \frac{1}{W}\sum_w \cos(t_w, c_w)$$
#
# where $[x]_{0.1}$ is $x$ if positive, else $0.1\,x$ (`leaky_relu`). The norm runs over the **words**: they compete for
# a region. The softmax runs over the **regions**: a word divides its attention. $\lambda$ is the argument
# `temperature`: a larger one makes the attention sharper. (Lesson 3 writes the region first, $a_{rw}$. Here the word
# comes first, as in the result of your function.)

# %% tags=["parameters"]
draw: int = 2026  # which pictures

# %%
import torch
from torch.nn.functional import leaky_relu
from unit import trained

matcher, test = trained(draw)
few = test[:12]
images, texts = matcher.encode(few)
print(f"pictures {tuple(images.fragments.shape)}, captions {tuple(texts.fragments.shape)}")

# %% [markdown]
# ## 1. The attention of one pair (5 points)
#
# All words and all regions of this pair exist. Guard the division by the norm with 1e-8.


# %% nbgrader={"grade": false, "grade_id": "attention", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention(regions, words, temperature):
    """Regions (R, D) and words (W, D), unit vectors, to the attention a (W, R)."""
    ### BEGIN SOLUTION
    clipped = leaky_relu(words @ regions.T, 0.1)
    clipped = clipped / (clipped.norm(dim=0, keepdim=True) + 1e-8)
    return (temperature * clipped).softmax(1)
    ### END SOLUTION


# %% [markdown]
# By hand: one word and two regions, the first like the word, the second not at all. The norm over one word leaves 1 and
# 0, so the attention is $e^{\lambda} : 1$.

# %% nbgrader={"grade": true, "grade_id": "attention-by-hand", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
found = attention(torch.eye(2), torch.tensor([[1.0, 0.0]]), 2.0)
assert found.shape == (1, 2), f"expected one word by two regions, (1, 2); found {tuple(found.shape)}"
assert torch.allclose(found, torch.tensor([[0.8808, 0.1192]]), atol=1e-4), f"expected 0.88 and 0.12; found {found}"

# %% nbgrader={"grade": true, "grade_id": "attention-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden tests: pairs of this draw
### BEGIN HIDDEN TESTS
import checks

from vsrpp_lite.local_attention import attention_map, cross_attention

for image, text in ((0, 0), (3, 7), (5, 40)):
    v, t = images.fragments[image][images.mask[image]], texts.fragments[text][texts.mask[text]]
    s = leaky_relu(t @ v.T, 0.1)
    checks.compare(
        attention(v, t, 9.0),
        attention_map(v, t, temperature=9.0),
        {
            "the softmax runs over the regions: each word's attention sums to one": (
                9.0 * s / (s.norm(dim=0) + 1e-8)
            ).softmax(0),
            "the norm runs over the words of the caption, not over the regions": (
                9.0 * s / (s.norm(dim=1, keepdim=True) + 1e-8)
            ).softmax(1),
            "the norm over the words is missing": (9.0 * s).softmax(1),
            "the temperature is missing": (s / (s.norm(dim=0) + 1e-8)).softmax(1),
            "negative cosines keep a tenth of their value: leaky_relu with slope 0.1": (
                9.0 * (t @ v.T).relu() / ((t @ v.T).relu().norm(dim=0) + 1e-8)
            ).softmax(1),
            "the clip is missing: negative cosines count a tenth": (
                9.0 * (t @ v.T) / ((t @ v.T).norm(dim=0) + 1e-8)
            ).softmax(1),
            "clip before the norm: [s] comes first": (
                9.0 * torch.nn.functional.leaky_relu((t @ v.T) / ((t @ v.T).norm(dim=0) + 1e-8), 0.1)
            ).softmax(1),
        },
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 2. All pairs at once (9 points)
#
# `regions` (I, R, D) and `words` (T, W, D) hold all pictures and all captions; where `word_mask` (T, W) is false the
# word is padding. Padding and missing regions are zero vectors. A missing region does take a part of the softmax's
# weight. All other weights shrink by the same factor, so $c_w$ becomes shorter but keeps its direction, and a cosine
# does not see the length. So missing regions need no mask here. The result is $S_L$, (I, T). A caption of six words is
# the mean of six cosines, however wide the batch.
#
# Two points are for an answer **without a loop**: no `for`, no `while`, no comprehension, and no function that loops for
# you, such as `map`, `vmap`, `reduce` or `vectorize`. `torch.einsum` is a friend.


# %% nbgrader={"grade": false, "grade_id": "local-similarity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def local_similarity(regions, words, word_mask, temperature):
    """S_L (I, T) of every picture and every caption."""
    ### BEGIN SOLUTION
    s = torch.einsum("ird,twd->itwr", regions, words)
    clipped = leaky_relu(s, 0.1)
    clipped = clipped / (clipped.norm(dim=2, keepdim=True) + 1e-8)
    attended = torch.einsum("itwr,ird->itwd", (temperature * clipped).softmax(3), regions)
    cosines = torch.einsum("itwd,twd->itw", attended, words) / (attended.norm(dim=3) + 1e-8)
    return (cosines * word_mask).sum(2) / word_mask.sum(1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "local-one-pair", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
v, t = images.fragments[:1], texts.fragments[:1, : int(texts.mask[0].sum())]
found = local_similarity(v, t, torch.ones(t.shape[:2], dtype=torch.bool), 9.0)
attended = attention(v[0], t[0], 9.0) @ v[0]
expected = torch.cosine_similarity(attended, t[0], dim=1).mean()
assert found.shape == (1, 1), f"expected (1, 1), found {tuple(found.shape)}"
assert abs(float(found) - float(expected)) < 1e-5, f"your attention gives {expected:.4f}, found {float(found):.4f}"

# %% nbgrader={"grade": true, "grade_id": "local-values", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: captions of one length
### BEGIN HIDDEN TESTS
lengths = texts.mask.sum(1)
same = lengths == lengths.mode().values
width = int(lengths[same][0])
t = texts.fragments[same, :width]
some = type(texts)(texts.pooled[same], t, texts.mask[same, :width])
expected = cross_attention(images, some)
sharp = leaky_relu(torch.einsum("ird,twd->itwr", images.fragments, t), 0.1)
sharp = (9.0 * sharp / (sharp.norm(dim=2, keepdim=True) + 1e-8)).softmax(3)
c = torch.einsum("itwr,ird->itwd", sharp, images.fragments)
checks.compare(
    local_similarity(images.fragments, t, some.mask, 9.0),
    expected,
    {
        "rows are pictures and columns are captions: yours is turned": expected.T,
        "the attended vector is no unit vector: a cosine divides by its length": torch.einsum(
            "itwd,twd->itw", c, t
        ).mean(2),
        "the mean over the words, not their sum": expected * width,
        "the mean over the words, not the best of them": torch.einsum(
            "itwd,twd->itw", c / c.norm(dim=3, keepdim=True), t
        ).amax(2),
    },
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "local-padding", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: captions of many lengths
### BEGIN HIDDEN TESTS
expected = cross_attention(images, texts)
by_width = expected * lengths / texts.mask.shape[1]
checks.compare(
    local_similarity(images.fragments, texts.fragments, texts.mask, 9.0),
    expected,
    {
        "padding was counted as words: divide by the number of words that exist, word_mask.sum(1), not by the width "
        "of the batch": by_width,
    },
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "local-no-loop", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: no loop, neither in your function nor in one that it calls
### BEGIN HIDDEN TESTS
found = checks.loop(written, "local_similarity")
assert not found, f"is there a loop in it? We found {found}: let einsum run over all pairs at once"
assert local_similarity(images.fragments, texts.fragments, texts.mask, 9.0).shape == (len(few), len(texts.mask))
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Look (2 points)
#
# In picture 0, under its first caption (`few.captions[0]`): which word attends most sharply, that is, has the largest
# single weight on a region at a temperature of 9, by your `attention`? Set `sharpest` to the word, as a string. The
# words are those of `matcher.tokenizer.words`; the first token is `<start>` and the last `<end>`, which do not count.

# %% nbgrader={"grade": false, "grade_id": "sharpest", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
ids = matcher.tokenizer.encode(few.captions[0])
weights = attention(images.fragments[0][images.mask[0]], texts.fragments[0][texts.mask[0]], 9.0)
sharpest = matcher.tokenizer.words[ids[1 + int(weights[1:-1].amax(1).argmax())]]
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "sharpest-value", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
assert isinstance(sharpest, str), f"expected a word, found {type(sharpest).__name__}"
### BEGIN HIDDEN TESTS
v, t = images.fragments[0][images.mask[0]], texts.fragments[0][texts.mask[0]]
peaks = attention_map(v, t, temperature=9.0).amax(1)
ids = matcher.tokenizer.encode(few.captions[0])
early, right = (matcher.tokenizer.words[ids[k + int(peaks[1:-1].argmax())]] for k in (0, 1))
assert sharpest != early, "that is the word before it: position 0 of a caption is <start>, which does not count"
assert not sharpest.startswith("<"), "<start> and <end> do not count"
assert sharpest == right, f"the largest single weight of {sharpest!r} is not the largest of the caption"
### END HIDDEN TESTS
