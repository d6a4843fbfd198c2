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
#       - gcn_reasoning.RegionGraph.affinity
#       - gcn_reasoning.RegionGraph.forward
# ---

# %% [markdown]
# # Assignment 1: region graph reasoning
#
# After this assignment you can say which region takes how much from which, write one layer of graph reasoning, and
# keep missing regions out of it. It belongs to lesson 1. *Time:* 60 to 90 minutes. *Points:* 14.
#
# Write your answers where it says `YOUR CODE HERE`. You may add cells of your own; leave the other cells as they are:
# a locked cell that was changed or deleted is put back before grading. The tests that you see are few; more are run
# on what you hand in. **Write the functions yourself**: an answer that calls `vsrpp_lite` for the thing asked gets no
# points.
#
# One layer, for the regions $V$ of a picture, $R$ of which exist:
#
# $$A = \frac{(V W_\theta)(V W_\phi)^\top}{R} \qquad V^* = V + \mathrm{BN}\big((A\, V W_g) W_r\big)$$

# %% tags=["parameters"]
draw: int = 2026  # which pictures

# %%
import numpy as np
import torch
from torch import nn
from unit import trained

matcher, test = trained(draw)
layer = matcher.images.reason.layers[0]
with torch.no_grad():
    features, mask = test.regions(np.arange(len(test)))
    regions = matcher.images.project(features) * mask[:, :, None]
print(f"{len(test)} pictures, at most {regions.shape[1]} regions each, of {regions.shape[2]} numbers")

# %% [markdown]
# ## 1. Affinity (5 points)
#
# `theta` and `phi` are linear layers, to be called as functions. `A[b, r, s]` says how much region `r` of picture `b`
# takes from region `s`. There is no softmax. A picture with three regions is padded to the size of the batch: its
# `mask` is true three times. Missing regions give nothing, and $R$ counts the regions that exist. A missing region may take:
# leave its row as the formula gives it. (In the shapes (B, R, D), R is the width of the padded batch.)


# %% nbgrader={"grade": false, "grade_id": "affinity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def affinity(regions, mask, theta, phi):
    """Regions (B, R, D) and mask (B, R) to A (B, R, R)."""
    ### BEGIN SOLUTION
    products = theta(regions) @ phi(regions).transpose(1, 2)
    present = products.masked_fill(~mask[:, None, :], 0.0)
    return present / mask.sum(1)[:, None, None]
    ### END SOLUTION


# %% [markdown]
# By hand: two regions, of one number each, 1 and 10. With weights 2 and 3 the products are 6, 60, 60 and 600; two
# regions exist.


# %% nbgrader={"grade": true, "grade_id": "affinity-by-hand", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def times(weight):
    """A linear layer of one weight and no bias."""
    linear = nn.Linear(1, 1, bias=False)
    nn.init.constant_(linear.weight, weight)
    return linear


two = torch.tensor([[[1.0], [10.0]]])
found = affinity(two, torch.tensor([[True, True]]), times(2.0), times(3.0))
assert found.shape == (1, 2, 2), f"expected one matrix for each picture, (1, 2, 2); found {tuple(found.shape)}"
assert torch.allclose(found, torch.tensor([[[3.0, 30.0], [30.0, 300.0]]])), f"expected 3, 30, 30, 300; found {found}"

# %% nbgrader={"grade": true, "grade_id": "affinity-values", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: pictures of this draw, every region present
### BEGIN HIDDEN TESTS
import checks

full = torch.ones_like(mask)
expected = layer.affinity(regions, full).detach()
products = (layer.theta(regions) @ layer.phi(regions).transpose(1, 2)).detach()
checks.compare(
    affinity(regions, full, layer.theta, layer.phi),
    expected,
    {
        "there is no softmax in A: the rows of an affinity matrix need not sum to one": products.softmax(2),
        "there is no softmax in A, before or after the division by R": expected.softmax(2),
        "A[b, r, s] is theta of r times phi of s: yours is its transpose": expected.transpose(1, 2),
        "divide by the number of regions R": products,
        "divide by the number of regions R, not by D or its root": products / products.shape[1] ** 0.5,
    },
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "affinity-missing", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: pictures with missing regions
### BEGIN HIDDEN TESTS
ragged = torch.arange(mask.shape[1]) < (torch.arange(len(mask)) % 3 + 2)[:, None]
noise = torch.randn(regions.shape, generator=torch.Generator().manual_seed(draw))
expected = layer.affinity(noise, ragged).detach()
by_all = expected * ragged.sum(1)[:, None, None] / ragged.shape[1]
checks.compare(
    affinity(noise, ragged, layer.theta, layer.phi),
    expected,
    {
        "there is no softmax in A": (layer.theta(noise) @ layer.phi(noise).transpose(1, 2)).softmax(2).detach(),
        "R counts the regions that exist, which is mask.sum(1), not the width of the padded batch": by_all,
        "a missing region must give nothing: column s of A is zero where mask[b, s] is false": (
            layer.theta(noise) @ layer.phi(noise).transpose(1, 2) / ragged.sum(1)[:, None, None]
        ).detach(),
        "the mask is of no effect: missing regions give, and are counted in R": (
            layer.theta(noise) @ layer.phi(noise).transpose(1, 2) / ragged.shape[1]
        ).detach(),
        "you have masked the rows: a missing region may take, but must not give; mask the columns": (
            (layer.theta(noise) @ layer.phi(noise).transpose(1, 2)).masked_fill(~ragged[:, :, None], 0.0)
            / ragged.sum(1)[:, None, None]
        ).detach(),
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. One layer (6 points)
#
# Send the messages and add them to the regions. `message` and `update` are linear layers ($W_g$ and $W_r$), `norm` is
# an `nn.BatchNorm1d(D)`, which takes vectors (N, D). Its statistics must be those of the regions that exist: give it
# these alone. A missing region keeps its own value.


# %% nbgrader={"grade": false, "grade_id": "reason", "locked": false, "schema_version": 3, "solution": true, "task": false}
def reason(regions, mask, affinities, message, update, norm):
    """V* (B, R, D) of regions (B, R, D), mask (B, R) and A (B, R, R)."""
    ### BEGIN SOLUTION
    messages = update(affinities @ message(regions))
    normed = torch.zeros_like(messages)
    normed[mask] = norm(messages[mask])
    return regions + normed
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "reason-new-layer", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
silent = nn.BatchNorm1d(regions.shape[2])
nn.init.zeros_(silent.weight)  # as in a new layer
A = layer.affinity(regions, mask).detach()
found = reason(regions, mask, A, layer.message, layer.update, silent)
assert found.shape == regions.shape, f"expected {tuple(regions.shape)}, found {tuple(found.shape)}"
assert torch.allclose(found, regions), "a layer whose BN gives zero must be the identity: where is the residual?"

# %% nbgrader={"grade": true, "grade_id": "reason-values", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: the trained layer on every picture
### BEGIN HIDDEN TESTS
with torch.no_grad():
    layer.eval()
    A = layer.affinity(regions, mask)
    expected = layer(regions, mask)
    found = reason(regions, mask, A, layer.message, layer.update, layer.norm)
    sent = layer.update(A @ layer.message(regions))
    normed = layer.norm(sent.flatten(0, 1)).view_as(sent) * mask[:, :, None]
    skipped = torch.zeros_like(sent)
    skipped[mask] = layer.norm(layer.message(regions)[mask])
    forgotten = torch.zeros_like(sent)
    forgotten[mask] = layer.norm((A @ layer.message(regions))[mask])
    turned = torch.zeros_like(sent)
    turned[mask] = layer.norm(layer.update(A.transpose(1, 2) @ layer.message(regions))[mask])
    checks.compare(
        found,
        expected,
        {
            "the residual is missing: V* is V plus the messages": expected - regions,
            "the messages are not normalised: BN comes before they are added": regions + sent * mask[:, :, None],
            "no region hears another: multiply by A": regions + skipped,
            "W_r is missing: update() the gathered messages": regions + forgotten,
            "A is turned: region r receives the sum over s of A[r, s] times the message of s": regions + turned,
        },
    )
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "reason-padding", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: padding must not move the statistics of BN
### BEGIN HIDDEN TESTS
half, size = mask.shape[1] // 2, regions.shape[2]
narrow, everyone = noise[:, :half], torch.ones(len(noise), half, dtype=torch.bool)
wide, present = noise.clone(), torch.arange(mask.shape[1]).expand_as(mask) < half
wide[:, half:] = 100.0
with torch.no_grad():
    statistics = []
    for some, there in ((narrow, everyone), (wide, present)):
        norm = nn.BatchNorm1d(size).train()
        A = layer.affinity(some, there)
        found = reason(some, there, A, layer.message, layer.update, norm)
        statistics.append((found[:, :half], norm.running_mean))
    for a, b in zip(*statistics):
        assert torch.allclose(a, b, atol=1e-4), (
            "padding moved the result: BN saw missing regions. Give it messages[mask] alone, and write what comes back "
            "to the same places"
        )
    assert torch.equal(found[:, half:], wide[:, half:]), "a missing region must keep its own value"
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Who is heard? (3 points)
#
# In the trained layer, which region gives most to the others? For each picture of the test split, take the affinities
# that your function gives for `layer.theta` and `layer.phi`. Leave out what a region takes from itself, and what a
# missing region takes: its row is no message to anybody. Then find the region $s$ whose column has the largest sum of
# absolute values. Set `loudest` to the numbers of these regions, one for each picture: a tensor (I,) of integers.

# %% nbgrader={"grade": false, "grade_id": "loudest", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
heard = ~torch.eye(regions.shape[1], dtype=torch.bool) & mask[:, :, None]
loudest = (affinity(regions, mask, layer.theta, layer.phi).detach().abs() * heard).sum(1).argmax(1)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "loudest-value", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
assert loudest.shape == (len(test),), f"expected a number for each of {len(test)} pictures, found {loudest.shape}"
### BEGIN HIDDEN TESTS
signed = layer.affinity(regions, mask).detach()
unmasked = signed * ~torch.eye(regions.shape[1], dtype=torch.bool)
alone = unmasked * mask[:, :, None]
checks.compare(
    loudest,
    alone.abs().sum(1).argmax(1),
    {
        "you have summed the rows, what a region takes; a column is what it gives": unmasked.abs().sum(2).argmax(1),
        "what a region takes from itself was to be left out: the diagonal": (
            (signed * mask[:, :, None]).abs().sum(1).argmax(1)
        ),
        "what a missing region takes was to be left out: its row": unmasked.abs().sum(1).argmax(1),
        "absolute values were asked for: what is taken away counts too": alone.sum(1).argmax(1),
        "the largest sum of a column, not its largest single value": alone.abs().amax(1).argmax(1),
    },
)
### END HIDDEN TESTS
