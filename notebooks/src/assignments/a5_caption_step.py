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
#       - caption_loss.CaptionDecoder.forward
#       - caption_loss.CaptionDecoder.loss
#       - caption_loss.CaptionDecoder.step
#       - caption_loss.CaptionDecoder.write
#     rubrics:
#       does-it-look:
#         - "4: the points of the parts add up. The comparison has 2: one for setting the price beside the loss of a caption, and one for the doubt whether so small a mean could be chance. The way in which the loss falls through the decoder alone has 1, and the change 1, each with its reason. Example: the model answer."
#         - "A part that is named without its reason has half of its points. Example, 1.5 points: 'The price is a small part of the loss, so this decoder looks a little. More captions would help.' has the comparison without the doubt, 1, and a change without a reason, 0.5."
#         - "0: the number is repeated, or the price is taken for the quality of the captions. Example: 'The price is above zero, which is a good model.'"
# ---

# %% [markdown]
# # Assignment 5: one step of the caption decoder
#
# After this assignment you can let a decoder look at the regions, move it one word further, and sum its loss under
# teacher forcing. It belongs to lesson 5. *Time:* 90 to 120 minutes. *Points:* 18, of which 4 are read by hand.
#
# Write your answers where it says `YOUR CODE HERE` or `YOUR ANSWER HERE`; the other cells stay as they are. **Write the
# functions yourself**: of the trained decoder you may use its layers, `decoder.attend_regions`, `.attend_state`,
# `.attend_score`, `.embedding`, `.cell` and `.output`, and `decoder.read`; not `.step`, `.loss` or `.write`.
# Where a question builds on an earlier one, your answer is tested with the right one in the place of yours: a mistake
# costs once.
#
# The regions, read by a GRU, are states $E$ (B, R, H). At each step the decoder, in state $h$,
#
# $$e_r = w_2 \cdot \tanh(W_E E_r + W_h h) \qquad a = \mathrm{softmax}_r\, e \qquad c = \sum_r a_r E_r \qquad
# h' = \mathrm{GRU}([y_{t-1}\,;\,c],\, h)$$
#
# and $\log p(y_t) = \mathrm{log\,softmax}(W_o h')$. `attend_regions`, `attend_state` and `attend_score` are $W_E$,
# $W_h$ and $w_2$; `cell` is the GRU, `output` is $W_o$.

# %% tags=["parameters"]
draw: int = 2026  # which pictures

# %%
import torch
from torch.nn.functional import log_softmax
from unit import trained

from vsrpp_lite.data.dataset import batches, pad

matcher, test = trained(draw)
decoder = matcher.losses["caption"].eval()  # without dropout
tokens = matcher.tokenizer.encode_all(test.captions)
batch = next(batches(test, tokens, 16, seed=draw, epoch=0))
with torch.no_grad():
    regions = matcher.images(batch.regions, batch.region_mask).fragments
    mask = torch.arange(regions.shape[1]) < (torch.arange(len(regions)) % 4 + 3)[:, None]  # three to six of them
    states, hidden = decoder.read(regions * mask[:, :, None], mask)
print(f"states E {tuple(states.shape)}, hidden h {tuple(hidden.shape)}, tokens {tuple(batch.tokens.shape)}")

# %% [markdown]
# ## 1. Look at the regions (4 points)
#
# Write `look`: it computes $c$ from the state $h$, the states $E$ and the mask. A missing region must get no attention.


# %% nbgrader={"grade": false, "grade_id": "look", "locked": false, "schema_version": 3, "solution": true, "task": false}
def look(decoder, hidden, states, mask):
    """h (B, H), E (B, R, H) and the mask (B, R) of regions that exist to c (B, H)."""
    ### BEGIN SOLUTION
    energy = decoder.attend_score(torch.tanh(decoder.attend_regions(states) + decoder.attend_state(hidden)[:, None]))
    attention = energy.squeeze(2).masked_fill(~mask, -torch.inf).softmax(1)
    return (attention[:, :, None] * states).sum(1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "look-shape", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
found = look(decoder, hidden, states, mask)
assert found.shape == hidden.shape, f"expected {tuple(hidden.shape)}, found {tuple(found.shape)}"

# %% nbgrader={"grade": true, "grade_id": "look-values", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: pictures with missing regions
### BEGIN HIDDEN TESTS
import checks

with torch.no_grad():
    filled = states + 3.0 * ~mask[:, :, None]  # what stands where no region is must not matter
    energy = decoder.attend_score(torch.tanh(decoder.attend_regions(filled) + decoder.attend_state(hidden)[:, None]))
    weights = energy.masked_fill(~mask[:, :, None], -torch.inf).softmax(1)
    deaf = decoder.attend_score(torch.tanh(decoder.attend_regions(filled))).masked_fill(~mask[:, :, None], -torch.inf)
    zeroed = energy.masked_fill(~mask[:, :, None], 0.0).softmax(1)
    checks.compare(
        look(decoder, hidden, filled, mask),
        (weights * filled).sum(1),
        {
            "missing regions are looked at: before the softmax their energy must be minus infinity": (
                energy.softmax(1) * filled
            ).sum(1),
            "an energy of zero is not minus infinity: e to the power of 0 is 1, and missing regions are looked at": (
                zeroed * filled
            ).sum(1),
            "the softmax runs over the regions of a picture, not over the batch": (energy.softmax(0) * filled).sum(1),
            "the decoder's state must have a say in where it looks: W_h h is missing": (deaf.softmax(1) * filled).sum(
                1
            ),
            "a softmax is missing: the energies are no weights": (energy * mask[:, :, None] * filled).sum(1),
        },
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 2. One word further (3 points)
#
# Write `step`: it returns the next state $h'$. `word` (B, N) is the embedding of the previous word, which has N
# numbers.


# %% nbgrader={"grade": false, "grade_id": "step", "locked": false, "schema_version": 3, "solution": true, "task": false}
def step(decoder, word, hidden, states, mask):
    """h' (B, H)."""
    ### BEGIN SOLUTION
    return decoder.cell(torch.cat([word, look(decoder, hidden, states, mask)], 1), hidden)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "step-values", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
# hidden tests: the first word of each caption
### BEGIN HIDDEN TESTS
with torch.no_grad():
    word = decoder.embedding(batch.tokens[:, 1])
    context = decoder.step(word, hidden, states, decoder.attend_regions(states), mask)
    keys = decoder.attend_regions(states)
    seen = decoder.attend_score(torch.tanh(keys + decoder.attend_state(hidden)[:, None]))
    seen = (seen.masked_fill(~mask[:, :, None], -torch.inf).softmax(1) * states).sum(1)
    mistakes = {
        "h is missing: the cell moves the state, it does not start from zero": decoder.cell(torch.cat([word, seen], 1)),
    }
    if word.shape[1] == seen.shape[1]:
        turned = decoder.cell(torch.cat([seen, word], 1), hidden)
        mistakes["[y ; c] is the word first, then the context: yours is the other way round"] = turned
    checks.compare(step(decoder, word, hidden, states, mask), context, mistakes)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The loss of true captions (5 points)
#
# Teacher forcing: at each step the decoder is given the **true** previous word. Tokens run from `<start>` to `<end>`,
# then padding, which is neither predicted nor paid for. `<start>` is given and never predicted; `<end>` is predicted
# and never given. The loss of a caption is the **sum** over its words of $-\log p(y_t)$, the result the **mean** over
# captions. Start with `states, hidden = decoder.read(regions, mask)`.


# %% nbgrader={"grade": false, "grade_id": "caption-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def caption_loss(decoder, regions, mask, tokens, token_mask):
    """Regions (B, R, D), tokens (B, W) and their masks to the loss, one number."""
    ### BEGIN SOLUTION
    states, hidden = decoder.read(regions, mask)
    total = 0.0
    for t in range(1, tokens.shape[1]):
        hidden = step(decoder, decoder.embedding(tokens[:, t - 1]), hidden, states, mask)
        log_p = log_softmax(decoder.output(hidden), 1).gather(1, tokens[:, t : t + 1])[:, 0]
        total = total - (log_p * token_mask[:, t]).sum()
    return total / len(tokens)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "loss-one", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
one = batch.tokens[:1, :2]
found = caption_loss(decoder, regions[:1], mask[:1], one, one > 0)
assert found.shape == (), f"expected one number, found shape {tuple(found.shape)}"
assert float(found.detach()) > 0, "the logarithm of a probability is negative, and the loss its opposite"


# %% nbgrader={"grade": true, "grade_id": "loss-values", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# hidden tests: captions of many lengths
### BEGIN HIDDEN TESTS
def variant(shift=1, padded=False, own=False):
    """Each caption's loss, with typical mistakes."""
    states, hidden = decoder.read(regions, mask)
    keys, total, word = decoder.attend_regions(states), torch.zeros(len(regions)), batch.tokens[:, 0]
    for t in range(1, batch.tokens.shape[1]):
        hidden = decoder.step(decoder.embedding(word), hidden, states, keys, mask)
        scores = log_softmax(decoder.output(hidden), 1)
        log_p = scores.gather(1, batch.tokens[:, t - 1 + shift, None])[:, 0]
        total -= log_p if padded else log_p * batch.token_mask[:, t - 1 + shift]
        word = scores.argmax(1) if own else batch.tokens[:, t]
    return total


with torch.no_grad():
    lengths = batch.token_mask.sum(1) - 1
    right = decoder.loss(regions, mask, batch.tokens, batch.token_mask)
    arguments = (decoder, regions, mask, batch.tokens, batch.token_mask)
    checks.compare(
        caption_loss(*arguments),
        right,
        {
            "teacher forcing gives the true previous word, not the one the decoder would have said": variant(
                own=True
            ).mean(),
            "the word to predict is the next one: yours predicts the word that it has just been given": variant(
                shift=0
            ).mean(),
            "padding was paid for: leave out what token_mask leaves out": variant(padded=True).mean(),
            "the sum over a caption's words, not their mean": (variant() / lengths).mean(),
            "the sum over a caption's words, then the mean over captions: yours is the mean over all words": (
                variant().sum() / lengths.sum()
            ),
            "the mean over captions, not their sum": variant().sum(),
        },
        atol=1e-3,
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Does it look? (6 points, 4 of them read by hand)
#
# Now all pictures and captions of the test split: `encoded.fragments` and `encoded.mask` hold $V^*$ of each picture, and
# `whose` says which picture each caption belongs to. Some pictures of this data set are near-twins, which differ in one
# detail. So `strange` gives each caption a picture with which it has few words in common, instead of the next one.
# Set `price` to how many nats a caption costs more, on average, under that strange picture than under its own, by
# your `caption_loss`. Then answer in words.

# %%
encoded = matcher.encode_images(test)
whose = torch.from_numpy(test.caption_to_image)
all_tokens, all_mask = pad(tokens)
said = torch.zeros(len(test), len(matcher.tokenizer.words)).index_put_((whose[:, None], all_tokens), torch.tensor(1.0))
strange = (said @ said.T).argmin(1)[whose]  # of each caption, the picture whose captions share the fewest words
print(f"V* {tuple(encoded.fragments.shape)}, tokens {tuple(all_tokens.shape)}")

# %% nbgrader={"grade": false, "grade_id": "price", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
with torch.no_grad():
    own = caption_loss(decoder, encoded.fragments[whose], encoded.mask[whose], all_tokens, all_mask)
    wrong = caption_loss(decoder, encoded.fragments[strange], encoded.mask[strange], all_tokens, all_mask)
price = float(wrong - own)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "price-value", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
assert isinstance(price, float), f"expected a float, found {type(price).__name__}"
### BEGIN HIDDEN TESTS
with torch.no_grad():
    right, wrong = (
        float(decoder.loss(encoded.fragments[picture], encoded.mask[picture], all_tokens, all_mask))
        for picture in (whose, strange)
    )
checks.compare(
    price,
    torch.tensor(wrong - right),
    {
        "the other way round: wrong picture minus own picture": torch.tensor(right - wrong),
        "the difference was asked for, not the loss itself": torch.tensor(wrong),
    },
    atol=1e-3,
)
### END HIDDEN TESTS

# %% [markdown]
# In 60 to 120 words: a decoder that did not look at the picture at all would have a price of zero. Compare your price
# with the loss of a caption under its own picture. Is it large, and could it be zero, with 100 pictures? Name one way
# in which the caption loss can fall without $V^*$ learning anything, and say why. Propose one change to data, model or
# training, and say why it should raise the price.

# %% [markdown] nbgrader={"grade": true, "grade_id": "does-it-look", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# The price is a small part of the loss of a caption. This decoder hardly looks at the picture, if at all: over 100
# pictures, so small a mean could be chance, and the spread from picture to picture would say how easily (the five
# captions of one picture are not independent). Most of what it predicts follows from the words before, from grammar and
# from what is frequent. The loss falls while the decoder alone learns the language of the captions; its gradient to the
# regions is then small, so that V* learns little. One change: leave out some of the true words that the decoder reads,
# so that the words before tell it less. Then only V* can make up for what is missing, and the price should rise.
# ### END SOLUTION
