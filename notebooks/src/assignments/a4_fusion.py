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
#       - fusion.fusion
#       - paper.ablation.swept
#       - show.figures.mu_sweep
#       - training.metrics.sweep
#     rubrics:
#       in-words:
#         - "5: all three parts. (a) A range of mu, with a reason from the number of pictures. (b) The study weighs two branches that were trained for mu = 2; it says nothing about training with another mu. (c) The margin stays while the range of S grows with 1 + mu, so the hinge asks for less; or the scale of the loss grows. Example: the model answer."
#         - "In between, the points of the parts add up: (a) 2, (b) 1.5, (c) 1.5. A part that is right without its reason has half of its points. Example, 2.5 points: 'mu from 2 to 8, since 40 pictures cannot tell these apart. The model was trained with 2, so other branches would come out for another mu.' lacks (c) and half of (a): nothing tells which values the pictures do rule out."
#         - "0: a choice by the test split, or a single value and nothing on (b) and (c). Example: 'mu = 8 is best on test.'"
# ---

# %% [markdown]
# # Assignment 4: fusion, and what mu is worth
#
# After this assignment you can fuse two similarities, choose mu without looking at the answers, and say what mu does
# besides weighing. It belongs to lesson 4. *Time:* 60 to 90 minutes. *Points:* 17, of which 5 are read by hand.
#
# Write your answers where it says `YOUR CODE HERE` or `YOUR ANSWER HERE`; the other cells stay as they are. Here you
# **may** call `vl.ranks` and `vl.recalls`; you may not call `vsrpp_lite.fusion`.
# Where a question builds on an earlier one, your answer is tested with the right one in the place of yours: a mistake
# costs once.
#
# $$S = S_G + \mu\, S_L$$

# %% tags=["parameters"]
draw: int = 2026  # which pictures

# %%
import numpy as np
from unit import course_run

import vsrpp_lite as vl
from vsrpp_lite.training.metrics import contributions
from vsrpp_lite.training.significance import interval

run = course_run(draw)
result = run.fit()
matcher = result.matcher()


def both(split):
    """S_G (I, T), S_L (I, T) and the picture of each caption (T,), of one split."""
    dataset = run.dataset(split)
    images, texts = matcher.encode(dataset)
    return vl.score(vl.cosine, images, texts), vl.score(vl.cross_attention, images, texts), dataset.caption_to_image


dev, test = both("dev"), both("test")
mus = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
print(f"dev: {dev[0].shape[0]} pictures, test: {test[0].shape[0]}; the model was trained with mu = {run.system.mu}")

# %% [markdown]
# ## 1. Fuse (3 points)
#
# Write `fuse`: it returns $S$ for all pairs.


# %% nbgrader={"grade": false, "grade_id": "fuse", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fuse(global_scores, local_scores, mu):
    """S (I, T) of S_G (I, T), S_L (I, T) and mu; S_G and S_L stay as they are."""
    ### BEGIN SOLUTION
    return global_scores + mu * local_scores
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "fuse-by-hand", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert np.allclose(fuse(np.array([[0.5]]), np.array([[0.25]]), 2.0), 1.0), "0.5 + 2 x 0.25 is 1"

# %% nbgrader={"grade": true, "grade_id": "fuse-values", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: the scores of this draw
### BEGIN HIDDEN TESTS
import checks
import torch

g, s, where = both("test")
for mu in (0.0, 0.5, 3.0):
    checks.compare(
        fuse(g.copy(), s.copy(), mu),
        torch.from_numpy(g + mu * s),
        {
            "S_L is added to S_G, mu times; S_G keeps its weight of one": torch.from_numpy((1 - mu) * g + mu * s),
            "mu weighs the local similarity, not the global one": torch.from_numpy(mu * g + s),
        },
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The study (3 points)
#
# Write `study`. For each mu of a list it computes the rsum of the fused scores, and it returns these numbers as a list
# of floats in the same order. Given which picture each caption belongs to, `where`, the two calls you need are
# `vl.recalls(*vl.ranks(scores, where), where)["rsum"]`.


# %% nbgrader={"grade": false, "grade_id": "study", "locked": false, "schema_version": 3, "solution": true, "task": false}
def study(global_scores, local_scores, where, mus):
    """The rsum at each mu."""
    ### BEGIN SOLUTION
    found = []
    for mu in mus:
        found.append(vl.recalls(*vl.ranks(fuse(global_scores, local_scores, mu), where), where)["rsum"])
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "study-length", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
found = study(*test, mus)
assert len(found) == len(mus), f"expected {len(mus)} numbers, found {len(found)}"
assert all(0 <= rsum <= 600 for rsum in found), "rsum is the sum of six percentages: 0 to 600"

# %% nbgrader={"grade": true, "grade_id": "study-values", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: other values of mu, in another order
### BEGIN HIDDEN TESTS
others = [2.0, 0.0, 1.0, 5.0]


def rsum(scores, where):
    """The rsum of one matrix."""
    return vl.recalls(*vl.ranks(scores, where), where)["rsum"]


sums = np.cumsum(others)
checks.compare(
    study(g.copy(), s.copy(), where, others),
    torch.tensor([rsum(g + mu * s, where) for mu in others], dtype=torch.float64),
    {
        "the order of the result is that of the list mus": torch.tensor(
            [rsum(g + mu * s, where) for mu in sorted(others)], dtype=torch.float64
        ),
        "every mu starts from S_G again: yours adds S_L to what the last mu left": torch.tensor(
            [rsum(g + total * s, where) for total in sums], dtype=torch.float64
        ),
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Choose (4 points)
#
# Choose mu, and report what it is worth. The test split is for the report alone: whoever tries seven values on it and
# reports the best has chosen with the answers in view. `dev` and `test` are each `(S_G, S_L, where)`. If several values
# of mu have the same rsum, take the smallest.


# %% nbgrader={"grade": false, "grade_id": "choose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose(dev, test, mus):
    """The chosen mu, and the rsum on test at that mu."""
    ### BEGIN SOLUTION
    values = study(*dev, mus)
    best = min(mu for mu, value in zip(mus, values, strict=True) if value == max(values))
    return best, study(*test, [best])[0]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "choose-kind", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
mu, worth = choose(dev, test, mus)
assert mu in mus, f"expected one of {mus}, found {mu}"

# %% nbgrader={"grade": true, "grade_id": "choose-honest", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: splits on which different values of mu are best
### BEGIN HIDDEN TESTS
places = np.arange(30)
rng = np.random.default_rng(draw)


def rsums(split, grid):
    """The rsum of a split at each mu."""
    return [rsum(split[0] + mu * split[1], split[2]) for mu in grid]


truth, noise = np.eye(30), rng.normal(size=(2, 30, 30))
says_local = (noise[0], truth + 0.1 * noise[1], places)
says_global = (truth + 0.1 * noise[1], 30 * noise[0], places)
grid = [0.0, 1.0, 8.0]


for some, other in ((says_local, says_global), (says_global, says_local)):
    chosen, cheated = grid[int(np.argmax(rsums(some, grid)))], grid[int(np.argmax(rsums(other, grid)))]
    kept = tuple(x.copy() for x in other)
    mu, worth = choose(tuple(x.copy() for x in some), other, grid)
    assert mu == chosen, (
        "mu was chosen on the test split: that measures how well one can look up the answers"
        if mu == cheated
        else f"expected the best mu of dev, {chosen}; found {mu}"
    )
    honest = rsums(kept, [mu])[0]
    assert abs(worth - honest) < 1e-6, "report the rsum on test at the chosen mu: yours is another number"
flat = (truth, np.zeros((30, 30)), places)
assert choose(flat, flat, [2.0, 0.5, 1.0])[0] == 0.5, "of equal values the smallest mu is taken"
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The margin that mu shrinks (2 points)
#
# Cosines lie in $[-1, 1]$, so $S$ lies in $[-(1 + \mu), 1 + \mu]$: with a fixed margin $\alpha$, a larger mu asks for
# less, measured on the scale of $S$. Give the margin that at `mu` asks for as much as a margin of 0.2 does at mu = 2.


# %% nbgrader={"grade": false, "grade_id": "margin", "locked": false, "schema_version": 3, "solution": true, "task": false}
def margin_at(mu):
    """The margin whose share of 1 + mu is that of 0.2 at mu = 2."""
    ### BEGIN SOLUTION
    return 0.2 * (1 + mu) / 3
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "margin-values", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
assert abs(margin_at(2.0) - 0.2) < 1e-9, "at mu = 2 it is 0.2 itself"
### BEGIN HIDDEN TESTS
for mu in (0.0, 0.5, 5.0):
    right = 0.2 * (1 + mu) / 3
    turned = {round(0.2 * 3 / (1 + mu), 6): "the other way round: a larger range needs a larger margin"}
    turned[round(0.1 * mu, 6)] = "the range of S is 1 + mu to either side, not mu: S_G counts too"
    found = margin_at(mu)
    assert abs(found - right) < 1e-6, turned.get(round(found, 6), f"at mu = {mu} expected {right:.3f}, found {found}")
### END HIDDEN TESTS

# %% [markdown]
# ## 5. In words (5 points)
#
# `lead(2.0, 1.0)` says by how many points of rsum mu = 2 leads mu = 1 on `dev`, with the 95 % interval over the
# pictures. Call it with other values in a cell of your own.


# %%
def lead(one, other):
    """The rsum on dev at mu = one minus that at mu = other, picture by picture, with its 95 % interval."""
    global_scores, local_scores, where = dev
    parts = [contributions(*vl.ranks(fuse(global_scores, local_scores, mu), where), where) for mu in (one, other)]
    mean, low, high = (float(x[-1]) for x in interval((parts[0] - parts[1])[None]))  # the last metric is rsum
    return f"{mean:+.1f} ({low:.1f} to {high:.1f})"


# %% [markdown]
# In 80 to 150 words: look at your study on `dev`. (a) Which mu would you use, which other values could be as good, and
# how do you know, with 40 pictures? (b) This model was trained with mu = 2: what does your study say, and not say,
# about training with another mu? (c) In a study that *trains* with each mu and a fixed margin, what else changes with
# mu, besides the weight of $S_L$? Name one thing, and say why.

# %% [markdown] nbgrader={"grade": true, "grade_id": "in-words", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) For draw 2026, the highest rsum on dev is at a mu from 2 to 8; at which of them depends on the machine that trained
# the model. The interval of the lead of mu = 2 over mu = 1 does not hold zero, so mu = 1 is
# worse. The intervals of the leads of 2, 4 and 8 over each other hold zero, so these three cannot be told apart: with
# 40 pictures, one picture is 2.5 points of each recall of text retrieval. So a range can be given, and not a value.
# (b) The study weighs two similarities of one model, trained to be summed with weight 2. A model trained with another
# mu would have other branches, so the study speaks of the test time alone. (c) The margin: S grows with 1 + mu and the
# margin does not, so mu also changes how much the hinge asks for. To tell the two apart, the margin must grow with 1 +
# mu. (The scale of the loss is another right answer.)
# ### END SOLUTION
