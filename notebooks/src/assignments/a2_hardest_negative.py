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
#       - global_alignment.hinge
#       - global_alignment.both_directions
#       - global_alignment.ranking_loss
#       - global_alignment.Hinge.forward
#       - matcher.Comparison.negatives
#       - info_nce
#       - systems.saem.angular
# ---

# %% [markdown]
# # Assignment 2: the hinge and its hardest negative
#
# After this assignment you can say which pairs of a batch are wrong pairs, write the loss of VSE++ in both directions,
# and name the plateau on which training can rest. It belongs to lesson 2. *Time:* 60 minutes. *Points:* 13.
#
# Write your answers where it says `YOUR CODE HERE`; the other cells stay as they are. **Write the functions yourself**:
# an answer that calls `vsrpp_lite` for the thing asked gets no points.
#
# A batch has $B$ pairs, picture $b$ with caption $b$, and a matrix $S$ of their scores: rows are pictures, columns are
# captions. With margin $\alpha$, each pair pays for the worst wrong caption and for the worst wrong picture:
#
# $$L_b = \max_{n}\,[\alpha - S_{bb} + S_{bn}]_+ + \max_{n}\,[\alpha - S_{bb} + S_{nb}]_+
# \qquad L = \frac{1}{B} \sum_b L_b$$
#
# Here $n$ runs over the negatives of $b$ alone: never over $b$ itself, nor over another caption of its picture.

# %% tags=["parameters"]
draw: int = 2026  # which pictures

# %%
import torch
from unit import trained

from vsrpp_lite.data.dataset import batches

matcher, test = trained(draw)
tokens = matcher.tokenizer.encode_all(test.captions)
batch = next(batches(test, tokens, 64, seed=draw, epoch=0))
with torch.no_grad():
    images, texts = matcher.encode_batch(batch)
    scores = matcher.similarity(images, texts)
image_ids = batch.image_positions
print(f"{len(scores)} pairs of {len(image_ids.unique())} pictures")

# %% [markdown]
# ## 1. Which pairs are wrong? (4 points)
#
# The batch above shows some pictures two or three times, under different captions. Another caption of the same picture
# is not a negative: to push it away would be to unlearn. `negatives[b, n]` is true where picture `b` and caption `n` do not
# belong together.


# %% nbgrader={"grade": false, "grade_id": "negatives", "locked": false, "schema_version": 3, "solution": true, "task": false}
def negatives(image_ids):
    """Ids (B,) of the pictures to a mask (B, B)."""
    ### BEGIN SOLUTION
    return image_ids[:, None] != image_ids[None, :]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "negatives-by-hand", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
found = negatives(torch.tensor([7, 8, 9]))
assert found.dtype == torch.bool, f"expected a mask of true and false, found {found.dtype}"
assert found.tolist() == [[False, True, True], [True, False, True], [True, True, False]]

# %% nbgrader={"grade": true, "grade_id": "negatives-siblings", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: two captions of one picture
### BEGIN HIDDEN TESTS
import checks

ids = torch.tensor([4, 6, 4, 5, 6, 4])
checks.compare(
    negatives(ids).float(),
    (ids[:, None] != ids[None, :]).float(),
    {
        "another caption of the same picture is no negative: compare the pictures' ids, not their places in the "
        "batch": 1 - torch.eye(6),
        "your mask is true where a pair is right: negatives are the others": (ids[:, None] == ids[None, :]).float(),
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The loss (7 points)
#
# `wrong` is your mask of negatives, or any other: where it is false, the score does not count. A pair that nothing
# violates pays zero, never less. Another margin, another mask and a batch of another size must work too.


# %% nbgrader={"grade": false, "grade_id": "hardest-hinge", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hardest_hinge(scores, wrong, margin):
    """Scores (B, B) and the mask of negatives (B, B) to the loss, one number."""
    ### BEGIN SOLUTION
    own = scores.diagonal()
    captions = (margin - own[:, None] + scores).clamp(min=0).masked_fill(~wrong, 0.0)
    pictures = (margin - own[None, :] + scores).clamp(min=0).masked_fill(~wrong, 0.0)
    return (captions.amax(1) + pictures.amax(0)).mean()
    ### END SOLUTION


# %% [markdown]
# By hand, with a margin of 0.2. The first picture (0.5) pays 0.2 - 0.5 + 0.4 = 0.1 for its wrong caption, the second
# (0.9) nothing. The first caption (0.5) pays 0.2 - 0.5 + 0.6 = 0.3 for its wrong picture, the second nothing. The mean
# over two pairs is 0.2.

# %% nbgrader={"grade": true, "grade_id": "hinge-by-hand", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
found = hardest_hinge(torch.tensor([[0.5, 0.4], [0.6, 0.9]]), ~torch.eye(2, dtype=torch.bool), 0.2)
assert found.shape == (), f"expected one number, found shape {tuple(found.shape)}"
assert abs(float(found) - 0.2) < 1e-6, f"expected 0.20, found {float(found):.2f}"

# %% nbgrader={"grade": true, "grade_id": "hinge-values", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: the scores of this draw, every other picture a negative; every second pair is satisfied
### BEGIN HIDDEN TESTS
from vsrpp_lite.global_alignment import ranking_loss


def variant(matrix, mask, margin, both=True, mean=True, clamp=True, every=False):
    """The loss with typical mistakes."""
    parts = []
    for m, w in ((matrix, mask), (matrix.T, mask.T))[: 1 + both]:
        violation = margin - m.diagonal()[:, None] + m
        violation = violation.clamp(min=0) if clamp else violation
        violation = violation.masked_fill(~w, 0.0 if clamp else -torch.inf)
        parts.append(violation.sum(1) if every else violation.amax(1))
    return sum(parts).mean() if mean else sum(parts).sum()


apart = ~torch.eye(len(scores), dtype=torch.bool)
# half of the pairs are made to violate nothing, whatever the model has learned: the hinge matters only there
half = scores + 2.0 * torch.diag(torch.arange(len(scores)) % 2)
places = torch.arange(len(scores))
expected = ranking_loss(half, places, margin=0.2, hardest=True)
checks.compare(
    hardest_hinge(half, apart, 0.2),
    expected,
    {
        "both directions are needed: wrong captions for a picture, and wrong pictures for a caption": variant(
            half, apart, 0.2, both=False
        ),
        "both directions are needed: yours looks at the wrong pictures alone": variant(half.T, apart, 0.2, both=False),
        "the mean over the pairs, not their sum: else the loss grows with the batch": variant(
            half, apart, 0.2, mean=False
        ),
        "the hinge is missing: a pair that nothing violates pays zero, never less": variant(
            half, apart, 0.2, clamp=False
        ),
        "only the hardest negative counts, not the sum of all": variant(half, apart, 0.2, every=True),
        "the mean of both directions was taken; it is their sum": expected / 2,
        "the margin is missing": variant(half, apart, 0.0),
    },
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "hinge-satisfied", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# hidden tests: a batch that is told apart already
### BEGIN HIDDEN TESTS
easy = 2 * torch.eye(5) - 1
free = ~torch.eye(5, dtype=torch.bool)
checks.compare(
    hardest_hinge(easy, free, 0.2),
    torch.tensor(0.0),
    {
        "the hinge is missing: a pair that nothing violates pays zero, never less": variant(
            easy, free, 0.2, clamp=False
        ),
        "the pair itself was taken for a negative: it violates its own margin": torch.tensor(0.4),
    },
)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "hinge-masks", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# hidden tests: pictures with two captions in the batch, and a mask of another kind
### BEGIN HIDDEN TESTS
ids = torch.arange(len(scores)) // 2
close = 0.9 * half + 0.2 * (ids[:, None] == ids[None, :])
mask = ids[:, None] != ids[None, :]
expected = ranking_loss(close, ids, margin=0.3, hardest=True)
checks.compare(
    hardest_hinge(close, mask, 0.3),
    expected,
    {
        "the mask is of no effect: only the diagonal was left out, and a sibling caption is pushed away": variant(
            close, apart, 0.3
        ),
        "both directions are needed: wrong captions for a picture, and wrong pictures for a caption": variant(
            close, mask, 0.3, both=False
        ),
        "the hinge is missing: a pair that nothing violates pays zero, never less": variant(
            close, mask, 0.3, clamp=False
        ),
        "the margin is an argument: yours is fixed at 0.2": variant(close, mask, 0.2),
    },
)
lone = torch.rand(4, 4, generator=torch.Generator().manual_seed(draw))
nobody = torch.zeros(4, 4, dtype=torch.bool)
checks.compare(
    hardest_hinge(lone, nobody, 0.2),
    torch.tensor(0.0),
    {
        "without negatives there is nothing to pay: where the mask is false the score must not count": (
            variant(lone, ~torch.eye(4, dtype=torch.bool), 0.2)
        )
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. This batch (2 points)
#
# On the plateau, a model gives every pair the same score. Set `plateau` to its loss there, for a margin of 0.2. Set
# `siblings` to the number of entries off the diagonal, in the batch above, whose image and sentence belong to the same
# picture, and which are no negatives.

# %% nbgrader={"grade": false, "grade_id": "plateau", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
plateau = 2 * 0.2
siblings = int((~torch.eye(len(image_ids), dtype=torch.bool) & (image_ids[:, None] == image_ids[None])).sum())
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "plateau-value", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
# hidden tests: the loss on the plateau
### BEGIN HIDDEN TESTS
assert abs(plateau - 0.4) < 1e-6, "every violation is the margin then, once in each direction: two margins"
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "siblings-value", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
assert isinstance(siblings, int), f"siblings is a count, an int; found {type(siblings).__name__}"
### BEGIN HIDDEN TESTS
right = int((image_ids[:, None] == image_ids[None]).sum()) - len(image_ids)
once = {right // 2: "each two siblings are two entries of the matrix, (b, n) and (n, b)"}
once[right + len(image_ids)] = "a pair is not its own sibling: leave out the diagonal"
assert siblings == right, once.get(siblings, "count b != n where image_ids[b] == image_ids[n]")
### END HIDDEN TESTS
