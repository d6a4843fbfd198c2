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
# # Lesson 5. The caption loss: can the image write its own caption?
#
# The hinge asks that a picture be nearer to its sentence than to the others of the batch. A few words of the sentence
# are often enough for that, and the rest of the picture may be forgotten. VSRN, and VSR++ after it, add a second
# demand: from the regions $V^*$ a decoder must be able to *say* the sentence, word by word. This lesson builds the
# decoder, takes its loss apart, and then asks what no loss curve answers: does it look at the picture?
#
# **You will learn**
#
# - the negative log-likelihood of a sentence, by hand, and what teacher forcing is;
# - a decoder with attention, and how missing regions and sentences of different lengths are kept out of it;
# - three savings that leave the loss and its gradients unchanged, and a check of this;
# - how to measure, in nats, how much a decoder relies on its picture;
# - why "both losses with weight one" means something only at one batch size.
#
# *Needs:* lessons 1 to 3 ($V^*$, GRU, attention). *Time:* 45 to 60 minutes. *Machine:* a laptop; about a minute if the
# matcher is trained already, else two. *The module:* `vsrpp_lite/caption_loss.py`. The last check of each part shows
# that your code and the package agree. The [glossary](glossary.md) explains the terms.
#
# Letters: B batch, R regions, W words, D embedding size, H the decoder's hidden size.

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
from collections import Counter
from itertools import pairwise
from textwrap import fill

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from torch.nn.functional import cross_entropy, log_softmax

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.dataset import pad
from vsrpp_lite.data.text import END, START
from vsrpp_lite.global_alignment import RELEASED_BATCH
from vsrpp_lite.paper import quotes
from vsrpp_lite.show import widgets
from vsrpp_lite.show.pictures import picture
from vsrpp_lite.teaching import check, predict, quiz

torch.set_printoptions(precision=2, sci_mode=False)
pd.options.display.float_format = "{:.2f}".format
close = torch.testing.assert_close
show.inline("jpeg", quality=85)  # pictures: a fifth of the size of PNG

# %% [markdown]
# ## The paper says
#
# VSR++ (ICPR 2020), with the text generation of VSRN (Li et al., ICCV 2019, section 3.4):
#
# $$L_{gen} = - \sum_{t=1}^{l} \log p(y_t \mid y_{t-1}, V^*; \theta) \qquad L = L_{trip} + L_{gen}$$
#
# $y_1 \dots y_l$ are the words of the sentence, the last one `<end>`, and $y_0$ is `<start>`. The condition is written
# $y_{t-1}$, but the decoder is recurrent: its state carries all words so far, so read $y_0 \dots y_{t-1}$. The
# logarithm is natural; the unit is the *nat*.

# %% [markdown]
# ## By hand: a language of three words
#
# The three words are *dog*, *runs* and `<end>`. Our decoder sees no picture and has a short memory: the next word
# depends only on the word before it. All that this decoder knows is a table with one row for each previous word.

# %%
table = torch.tensor([[0.50, 0.25, 0.25], [0.25, 0.50, 0.25], [0.25, 0.50, 0.25]])
next_words, last_words = ["dog", "runs", "<end>"], ["<start>", "dog", "runs"]
display(pd.DataFrame(table, index=last_words, columns=next_words))

# %% [markdown]
# The sentence *dog runs* costs $-\ln 0.5 - \ln 0.5 - \ln 0.25 = (1 + 1 + 2) \ln 2 = 2.77$ nats: *dog* after `<start>`,
# *runs* after *dog*, `<end>` after *runs*. The sentence *dog* costs $-\ln 0.5 - \ln 0.25 = 3 \ln 2 = 2.08$. A decoder
# that knows nothing pays $\ln 3 = 1.10$ a word.
#
# At every step the decoder gets the *true* previous word, even if it would have said another word. This is called
# **teacher forcing**. The product of the word probabilities is then the probability of the whole sentence, and the loss
# is minus the logarithm of this product. The loss does not show what happens when the decoder continues from its own
# words. The next cell shows this:

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.1")

# %%
tokens = {"dog runs": [0, 1, 2], "dog": [0, 2]}  # numbers are columns of the table
for sentence, words in tokens.items():
    before = [0, *(word + 1 for word in words[:-1])]  # rows of the table
    steps = [-table[row, column].log() for row, column in zip(before, words, strict=True)]
    print(f"{sentence!r:11s} {' + '.join(f'{step:.2f}' for step in steps)} = {sum(steps):.2f} nats")

own, last = [], 0
while len(own) < 6 and (not own or own[-1] != "<end>"):
    best = int(table[last].argmax())  # greedy: the likeliest word each time
    own.append(next_words[best])
    last = best + 1
print("left to itself it writes:", " ".join(own), "...")

# %% [markdown]
# After *runs* the likeliest word is *runs* again, so the decoder never stops. The loss of *dog runs* does not show
# this. So a decoder with a low loss need not write well.
#
# **Padding.** If we put both sentences into one rectangle, the second sentence has a gap at its end. The loss of the
# batch is the mean over sentences of the *sum* over their real words: $(2.77 + 2.08) / 2 = 2.43$. If we counted the gap
# as a word, the loss would be different:

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.2")

# %%
probabilities = torch.stack([table[[0, 1, 2]], table[[0, 1, 0]]])  # (B, W, 3); the last row of the second is padding
targets = torch.tensor([[0, 1, 2], [0, 2, 0]])
real = torch.tensor([[True, True, True], [True, True, False]])
words = cross_entropy(probabilities.log().flatten(0, 1), targets.flatten(), reduction="none").view(2, 3)
print(f"real words only {(words * real).sum() / 2:.2f}, padding counted {words.sum() / 2:.2f}")
close((words * real).sum() / 2, torch.tensor(2.0).log() * 3.5)

# %% [markdown]
# ## The decoder
#
# The decoder has two GRUs. The first reads $V^*$, brought to the decoder's width by a linear layer, into states $E_1
# \dots E_R$; its last state is the decoder's first, $h_0$. The second writes. We write $[a; b]$ for two vectors that
# are joined into one. At every step the second GRU
#
# 1. attends: $e_r = w_2 \cdot \tanh(W_1 [E_r; h])$ is the *energy* of region $r$, $a = \text{softmax}_r\, e$, and
#    $c = \sum_r a_r E_r$;
# 2. moves: $h' = \text{GRU}([\text{embedding}(y_{t-1});\, c],\, h)$;
# 3. speaks: $\log p(y_t \mid \cdot) = \text{log-softmax}(W_{out} h')$.
#
# The attention is not that of lesson 3: a small network instead of a cosine, and the one who asks is the state of
# the decoder.
#
# **A missing region must get no attention**, and here a zero vector is not enough: it has an energy like any other. By
# hand, three energies $\ln 2$, $0$ and, for a missing region, $\ln 4$:

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.3")

# %%
energy = torch.tensor([2.0, 1.0, 4.0]).log()
present = torch.tensor([True, True, False])
print("all three    ", energy.softmax(0))
print("present only ", energy.masked_fill(~present, -torch.inf).softmax(0))

# %% [markdown]
# $2 : 1 : 4$ become $(2/7, 1/7, 4/7)$: more than half of what the decoder hears comes from nothing. With $-\infty$ in
# its place the exponential is zero, and $(2/3, 1/3, 0)$ remain.
#
# The plain code takes one sentence and one step after the other, and follows the formulas as they stand. It uses the
# weights of the package's decoder, so that the two can be compared.


# %%
def plain(decoder, regions, tokens):
    """Nats of every word (W - 1,) and attention (W - 1, R): one caption, its real regions (R, D), nothing saved."""
    states, hidden = decoder.reader(decoder.squeeze(regions[None]))  # E (1, R, H) and h (1, 1, H)
    states, hidden = states[0], hidden[0]
    whole = torch.cat([decoder.attend_regions.weight, decoder.attend_state.weight], 1)  # W1 (H, 2H)
    nats, looks = [], []
    for before, after in pairwise(tokens):  # teacher forcing: `before` is the true word
        both = torch.cat([states, hidden.expand(len(states), -1)], 1)  # [E_r ; h] (R, 2H)
        energy = torch.tanh(both @ whole.T + decoder.attend_regions.bias) @ decoder.attend_score.weight[0]
        attention = energy.softmax(0)
        heard = torch.cat([decoder.embedding(before), attention @ states])
        hidden = decoder.cell(heard[None], hidden)
        nats.append(-log_softmax(decoder.output(hidden)[0], 0)[after])
        looks.append(attention)
    return torch.stack(nats), torch.stack(looks)


# %% [markdown]
# ## The same, with three savings
#
# The package's `loss` takes a whole batch and computes less. We compare both for random regions and three sentences of
# different lengths. Two of the pictures lack regions:

# %%
generator = torch.Generator().manual_seed(1)
regions = torch.randn(3, 5, 6, generator=generator, dtype=torch.float64)
region_mask = torch.arange(5) < torch.tensor([5, 3, 4])[:, None]
captions = torch.tensor([[1, 4, 5, 2, 0, 0], [1, 5, 4, 6, 7, 2], [1, 6, 2, 0, 0, 0]])  # <start> is 1, <end> 2, <pad> 0
caption_mask = captions > 0
torch.manual_seed(seed)
small = CaptionDecoder(vocabulary_size=9, word_size=4, embed_size=6, hidden_size=5).double().eval()


def plain_batch():
    """L_gen: the sum over the words of a caption, the mean over captions."""
    each = zip(regions, region_mask, captions, caption_mask, strict=True)
    return torch.stack([plain(small, r[rm], c[cm])[0].sum() for r, rm, c, cm in each]).mean()


found = small.loss(regions, region_mask, captions, caption_mask)
close(found, plain_batch(), atol=1e-10, rtol=0)
weights = list(small.parameters())
for a, b in zip(torch.autograd.grad(found, weights), torch.autograd.grad(plain_batch(), weights), strict=True):
    close(a, b, atol=1e-10, rtol=0)
print(f"{found:.2f} nats a caption; the loss and all {len(weights)} gradients agree")

# %% [markdown]
# The loss and every gradient agree to ten digits. What was saved?
#
# **1. $W_1$ is split.** $W_1 [E_r; h] = W_E E_r + W_h h$. The first part does not change from step to step, so it is
# taken once a caption; the plain code takes it $W$ times.

# %%
states, hidden = small.read(regions, region_mask)
first_state = hidden[0].expand(5, -1)
whole = torch.cat([small.attend_regions.weight, small.attend_state.weight], 1)
at_once = torch.cat([states[0], first_state], 1) @ whole.T + small.attend_regions.bias
close(at_once, small.attend_regions(states[0]) + small.attend_state(first_state))

# %% [markdown]
# **2. A finished caption leaves the batch.** The package sorts the captions by length, longest first. Then the captions
# that still have a word to predict always stand at the top of the batch, and each step computes only these. **3. The
# output layer runs only where there is a word to predict.** This layer is the widest, since it has one output for each
# word of the vocabulary. The next cell counts the rows that each layer of the package's decoder really computes, for a
# batch of 128 training captions:

# %% tags=["nbval-ignore-output"]
run = vl.tuned(vl.VSRpp(mu=2.0), data=data, preset=preset, seed=seed)
train, test = run.dataset("train"), run.dataset("test")[:200]
vocabulary = vl.Vocabulary.build(train.captions)
draw = np.random.default_rng(seed).choice(len(train.captions), 128, replace=False)
batch, batch_mask = pad([vocabulary.encode(train.captions[k]) for k in draw])
pictures, picture_mask = train.regions(train.caption_to_image[draw])
counted = CaptionDecoder(len(vocabulary), 16, train.feature_size, 16)
seen = dict.fromkeys(("attend_regions", "cell", "output"), 0)
for name in seen:

    def count(_, inputs, __, name=name):
        seen[name] += inputs[0].shape[:-1].numel()

    getattr(counted, name).register_forward_hook(count)
counted.loss(pictures, picture_mask, batch, batch_mask)
words, longest, R = int(batch_mask.sum()) - 128, batch.shape[1] - 1, pictures.shape[1]
rows = {"attend_regions": 128 * R * 59, "cell": 128 * 59, "output": 128 * 59}
display(pd.DataFrame({"released, 59 steps": rows, "package": seen}))
assert seen == {"attend_regions": 128 * R, "cell": words, "output": words}

# %%
lengths = batch_mask.sum(1).sort(descending=True).values - 1
figure, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
ax.barh(range(128), 59, height=1.0, color="0.88", label="released code: always 59 steps")
ax.barh(range(128), longest, height=1.0, color="0.72", label="up to the longest of the batch")
ax.barh(range(128), lengths, height=1.0, color=show.MEASURED, label="package: the words")
ax.set(xlabel="step", ylabel="caption, longest first", xlim=(0, 59), ylim=(127.5, -0.5))
ax.legend(loc="lower right", framealpha=1)
show.describe(
    figure,
    f"Steps of the decoder for 128 captions, longest first: {int(lengths.sum())} words, {128 * longest} with "
    f"padding to the longest, {128 * 59} with 59 steps for each.",
)
plt.show()

# %% [markdown]
# `cell` and `output` see each word once and nothing else. Released code always runs 59 steps, and its mask, which stops
# the *loss*, stops one place too late: the first padding after `<end>` is counted as a word.
#
# If we add padding or missing regions, or if we change the order *of the captions in the batch*, the loss stays the
# same. The next cell checks this. It does not change the order of the regions.

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.4")

# %%
wide = torch.nn.functional.pad(captions, (0, 4))
close(small.loss(regions, region_mask, wide, wide > 0), found)
gaps = torch.nn.functional.pad(regions, (0, 0, 0, 2), value=7.0), torch.nn.functional.pad(region_mask, (0, 2))
close(small.loss(*gaps, captions, caption_mask), found)
turn = torch.tensor([2, 0, 1])
close(small.loss(regions[turn], region_mask[turn], captions[turn], caption_mask[turn]), found)

# %% [markdown]
# ## What the loss does to $V^*$
#
# At test time the decoder is thrown away. The loss is there for its gradient, which flows through the decoder into
# $V^*$ and from there into the region graph. Does it reach every region, and only those that exist?

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.5")

# %%
leaf = regions.clone().requires_grad_()
small.loss(leaf, region_mask, captions, caption_mask).backward()
pull = leaf.grad.norm(dim=2)
print("length of the gradient times 1,000, one row for each picture:\n", (1000 * pull).round())
assert (pull[region_mask] > 0).all()
assert (pull[~region_mask] == 0).all()

# %% [markdown]
# So it *can* teach the regions. Whether it does is a question for a trained model. Take VSR++, trained with its caption
# loss, and give its decoder the captions of the first 200 test pictures twice: with its own picture, and with
# another's. If the decoder looks, the wrong picture costs nats.

# %% tags=["nbval-ignore-output"]
result = run.fit()
matcher = result.matcher()

# %% tags=["nbval-ignore-output"]
encoded = {name: matcher.encode_images(split) for name, split in {"train": train, "test": test}.items()}


def nats(decoder, turn=0.0):
    """Mean nats of a test caption, with its own picture, or with the picture that stands `turn` of the split later."""
    decoder.eval()
    images, total = encoded["test"], 0.0
    for start in range(0, len(test.captions), 500):
        tokens, mask = pad(matcher.tokenizer.encode_all(test.captions[start : start + 500]))
        whose = torch.from_numpy(test.caption_to_image[start : start + 500])
        whose = (whose + int(turn * len(test))) % len(test)
        with torch.no_grad():
            total += len(tokens) * decoder.loss(images.fragments[whose], images.mask[whose], tokens, mask).item()
    return total / len(test.captions)


joint = matcher.losses["caption"]
per_caption = np.mean([len(tokens) - 1 for tokens in matcher.tokenizer.encode_all(test.captions)])
chance = per_caption * np.log(len(matcher.tokenizer))
print(f"knowing nothing {chance:.2f} nats a caption, {per_caption:.1f} words of {len(matcher.tokenizer)}")
print(f"VSR++'s decoder, own picture {nats(joint):.2f}, another's {nats(joint, 0.5):.2f}")

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.6")

# %% [markdown]
# Compare the three numbers. A decoder that knows nothing pays the first number, and this decoder pays much less. But
# with the wrong picture it pays only a few per cent more nats than with the right one. (A difference of $d$ nats is a
# factor of $e^d$ in the probability of the whole sentence, and this factor need not be small.) In three epochs the
# decoder has learned mostly *the language*, which is easier to learn, and to look a little. Here is what it writes:

# %% tags=["nbval-ignore-output"]
chosen = [2, 3, 4, 5, 9, 10]


def write(decoder, images):
    """The decoder's own captions of these test pictures."""
    decoder.eval()
    positions = torch.tensor(list(images))
    fragments, mask = encoded["test"].fragments[positions], encoded["test"].mask[positions]
    written = decoder.write(fragments, mask, start=START, end=END)
    return [" ".join(matcher.tokenizer.decode(row)) for row in written]


for image, sentence in zip(chosen, write(joint, chosen), strict=True):
    print(f"{image:2d}  {sentence}")

# %% [markdown]
# ## A decoder that looks
#
# Does $V^*$ lack information about the picture, or has the decoder not yet learned to use this information? We can test
# this. We compute $V^*$ of every training picture once, without gradient, and train a *fresh* decoder on it. The fresh
# decoder is twice as wide, has no dropout, and learns at a higher rate. The matcher does not change. (This takes about
# half a minute. With `smoke` it takes seconds, and the decoder learns too little.)

# %% tags=["nbval-ignore-output"]
tokens = matcher.tokenizer.encode_all(train.captions)
torch.manual_seed(seed)
fresh = CaptionDecoder(len(matcher.tokenizer), 64, run.settings.sizes.embed, 128, dropout=0.0)
epochs, size = 4, 64
adam = torch.optim.Adam(fresh.parameters(), lr=0.01)
rate = torch.optim.lr_scheduler.OneCycleLR(adam, 0.01, total_steps=epochs * (len(tokens) // size), pct_start=0.1)
history = []
for epoch in range(epochs):
    fresh.train()
    order = np.random.default_rng([seed, epoch]).permutation(len(tokens))
    for some in np.split(order[: len(order) // size * size], len(order) // size):
        whose = torch.from_numpy(train.caption_to_image[some])
        images = encoded["train"].fragments[whose], encoded["train"].mask[whose]
        loss = fresh.loss(*images, *pad([tokens[k] for k in some]))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(fresh.parameters(), 2.0)
        adam.step()
        rate.step()
    history.append({"own picture": nats(fresh), "another's picture": nats(fresh, 0.5)})

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.7")

# %% tags=["nbval-ignore-output"]
history = pd.DataFrame(history, index=pd.RangeIndex(1, epochs + 1, name="epoch"))
figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for (name, curve), colour in zip(history.items(), (show.MEASURED, show.PAPER), strict=True):
    ax.plot(curve, "o-", color=colour, label=f"fresh decoder, {name}")
    ax.axhline(nats(joint, 0.5 * (name != "own picture")), color=colour, ls=":", label=f"VSR++'s decoder, {name}")
ax.set(xlabel="epoch", ylabel="nats a caption, test", xticks=history.index)
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
ax.spines[["top", "right"]].set_visible(False)
show.describe(
    figure,
    "Nats a caption by epoch of a fresh decoder: "
    + "; ".join(f"{name} {curve.round(1).tolist()}" for name, curve in history.items()),
)
plt.show()
display(history)

# %% [markdown]
# In the stored run, the two curves move apart: the fresh decoder learns to use the picture. So $V^*$ contains
# information about the picture that VSR++'s own decoder does not use. With the right picture, a test caption costs the
# fresh decoder fewer nats than it costs VSR++'s own decoder. With a wrong picture, the caption costs the fresh decoder
# more nats than it costs VSR++'s decoder, since the fresh decoder relies more on the picture. So the gap between the
# curves measures how much a decoder relies on the picture, and not how much the picture helps the decoder.
#
# The next figure shows what the fresh decoder writes (bold), and one caption by an annotator:

# %%
figure, axes = plt.subplots(2, 3, figsize=(13, 9.4), dpi=72, layout="constrained")
figure.get_layout_engine().set(h_pad=0.5)
written = write(fresh, chosen)
for ax, image, sentence in zip(axes.flat, chosen, written, strict=True):
    picture(ax, test, image)
    told = fill(f"annotator: {test.captions_of(image)[0].rstrip(' .')}", 40)
    ax.set_title(f"{fill(sentence, 36)}\n", fontsize=14, fontweight="bold")
    ax.text(0.5, -0.03, told, transform=ax.transAxes, ha="center", va="top", fontsize=13, color="0.35")
show.describe(
    figure,
    "Six pictures, each with a caption that the decoder writes and one by an annotator: "
    + "; ".join(f"“{own}”, “{test.captions_of(k)[0].rstrip(' .')}”" for own, k in zip(written, chosen, strict=True)),
)
plt.show()

# %% [markdown]
# Compare each caption with its picture. In the stored figure, the grammar is right, and the first thing that a caption
# names is mostly in the picture. A second thing is often only a copy of the first. In one picture the kite is blue, and
# the caption gives it the red of the ball. One caption puts a bright room into "a dusky field in the evening". So the
# relation between two things, and the place, say little.
#
# The next cell counts words. It takes the words that the decoder writes for these 200 pictures, and leaves out the
# words that are in more than a tenth of all captions (*a*, *is*, *of*). How many of the other words did at least one of
# the picture's five annotators use? How many did at least one of the five annotators of another picture use?

# %% tags=["nbval-ignore-output"]
counts = Counter(word for caption in train.captions[:1000] for word in set(vl.tokenize(caption)))
everyday = {word for word, count in counts.items() if count > 100}


def used(decoder, turn):
    """Share (%) of the decoder's rarer words that are in the captions of the picture `turn` further on."""
    shares = []
    for image, sentence in enumerate(write(decoder, range(len(test)))):
        theirs = set(vl.tokenize(" ".join(test.captions_of((image + turn) % len(test)))))
        shares += [word in theirs for word in sentence.split() if word not in everyday]
    return 100 * np.mean(shares or [0.0])


decoders = {"VSR++'s decoder": joint, "fresh decoder": fresh}
rows = {name: {"own picture": used(d, 0), "another's": used(d, len(test) // 2)} for name, d in decoders.items()}
display(pd.DataFrame(rows).T.round(1))

# %% [markdown]
# Compare the two columns of the table. A decoder that uses its picture says many more words of its own picture than of
# another one. The smaller this difference is, the less the decoder looks.
#
# ### How much does each word rely on the picture?
#
# The next cells take one test caption. They show the nats of each of its words, with its own picture and with another
# picture. Choose the other picture with the slider, and look for the words whose nats rise. Words that the other
# picture contradicts should become more expensive, and words that grammar alone predicts should hardly change.

# %%
caption = 17
text = [matcher.tokenizer.words[k] for k in matcher.tokenizer.encode(test.captions[caption])][1:]


def word_nats(image):
    """Nats of every word of the caption, given this test picture."""
    regions = encoded["test"].fragments[image][encoded["test"].mask[image]]
    with torch.no_grad():
        return plain(fresh, regions, torch.from_numpy(matcher.tokenizer.encode(test.captions[caption])).long())[0]


def compare(other):
    """The caption's words with their own picture and with another."""
    own = int(test.caption_to_image[caption])
    panels = [["bars", "own"], ["bars", "other"]]
    figure, axes = plt.subplot_mosaic(panels, figsize=(11, 4.2), width_ratios=[3, 1], layout="constrained")
    left, place = axes["bars"], np.arange(len(text))
    for shift, image, colour, name in ((-0.2, own, show.MEASURED, "own"), (0.2, other, show.PAPER, "other")):
        found = word_nats(image)
        left.bar(place + shift, found, 0.4, color=colour, label=f"picture {image}: {found.sum():.1f} nats")
        picture(axes[name], test, image)
        axes[name].set_title(f"picture {image}", color=colour)
    left.set_xticks(place, text, rotation=45, ha="right")
    left.set(ylabel="nats", ylim=(0, 8))
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    told = f"{word_nats(own).sum():.1f} with its own picture, {word_nats(other).sum():.1f} with picture {other}"
    return show.describe(figure, f"Nats of every word of “{' '.join(text)}”; together {told}.")


# %% tags=["widget", "nbval-ignore-output"]
slider = ipywidgets.IntSlider(value=5, min=0, max=len(test) - 1, description="picture")
widgets.Still([slider, widgets.live(compare, slider)])

# %%
compare(5)
plt.show()

# %% [markdown]
# ## The balance of two losses
#
# The paper adds the two losses with weights 1 : 1, $L = L_{trip} + L_{gen}$. But the released code *sums* the ranking
# loss over the batch, and it takes the *mean* of the caption loss. If $L_{trip}$ is the mean ranking loss of a pair and
# $L_{gen}$ is the mean caption loss in nats, the released code minimises $B\, L_{trip} + L_{gen}$. At $B = 128$ this is
# $128\, L_{trip} + L_{gen}$. If you halve the batch to fit a small GPU, you double the relative weight of the captions
# without noticing it:

# %%
balance = pd.DataFrame({"batch": [16, 32, 64, 128, 256]})
balance["weight of the ranking loss in the released code"] = balance["batch"]
balance["captions' weight, relative to 128"] = RELEASED_BATCH / balance["batch"]
display(balance.set_index("batch"))

# %% [markdown]
# This package takes both means and minimises $128\, L_{trip} + L_{gen}$ at any batch size (`RELEASED_BATCH` in
# `global_alignment.py`), so that the balance is the released one and stays. The next table shows what the two terms
# came to while our model trained:

# %% tags=["nbval-ignore-output"]
terms = pd.DataFrame({"ranking x 128": RELEASED_BATCH * result.history["loss.ranking"]})
terms["caption"] = result.history["loss.caption"]
terms["caption's share (%)"] = 100 * terms["caption"] / terms.sum(axis=1)
display(terms)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("5.8")

# %% [markdown]
# (In the first epoch the hinge sums all negatives of the batch, so its term is large.) In the later epochs the two
# terms have similar sizes. If the caption loss were a mean over *words* instead of a sum, its term would be smaller by
# a factor of the number of words in a caption, although its weight would still be 1. So anyone who writes $L = L_1 +
# L_2$ should say whether each term is a sum or a mean, and over what.
#
# **Does the caption loss help retrieval?** In the paper's Table 1 it raises rsum by 1.4, if our reading of its rows is
# right. Two seeds of one system can differ by more than this. On `scenes`, the clean ablation of
# [07_reading_the_tables](07_reading_the_tables.ipynb) found the following:

# %%
parts = ("fusion of similarities", "global")
short, long = (
    [quotes.effect(name, f"caption loss ({part}) over none") for part in parts]
    for name in ("scenes-lite", "scenes-long")
)
display(
    Markdown(
        f"The caption loss changes rsum by {short[0]} in the fused model, and by {short[1]} in the global branch "
        "alone, where VSRN introduced it. These are means of three seeds of three epochs, with 95 % intervals. After a "
        f"long training, also with three seeds, the changes are {long[0]} and {long[1]}. If an interval contains zero, "
        "these runs do not show an effect. If it is also wide, a large effect is still possible."
    )
)

# %% [markdown]
# ## Pitfalls of the released code
#
# - **Twice in Adam.** VSRN lists every parameter of the generator twice in the optimiser. So Adam makes two steps with
#   each of them, and the clipping counts their gradients twice. Its captions train at about twice the rate that it
#   states.
# - **Batch size.** See above.
# - **Steps and mask.** Always 59 steps, one padding too many in the loss.
# - **Dropout that does nothing.** `dropout=0.5` in a GRU of one layer is ignored. The dropout of 0.2 elsewhere works.
# - **Left behind.** The generator is neither in the checkpoint nor switched to evaluation mode, so you cannot ask a
#   released model to write.
# - **Another embedding.** The decoder's word embedding is its own, not the sentence encoder's: what the captions teach
#   about words stays in the decoder.

# %% [markdown]
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1. One padding too many.** *Easy, 10 minutes.* In the language of three words, add `<pad>`: after `<end>` the
# decoder says `<pad>` with probability 0.5. What is the mean cost of the two sentences if the first padding after
# `<end>` is counted, as in the released code? And why does the mistake fade as training goes on?
#
# <details><summary>Hint</summary>
#
# Each sentence pays one more word.
#
# </details>
# <details><summary>Another hint</summary>
#
# A word that is said with probability 0.5 costs $\ln 2$ nats. Count the words.
#
# </details>
# <details><summary>Solution</summary>
#
# Each pays $\ln 2$ more: $(4 + 1 + 3 + 1) \ln 2 / 2 = 4.5 \ln 2 = 3.12$ instead of 2.43. But `<pad>` after `<end>` is
# certain, so a decoder soon learns it, the term goes to zero, and so does its gradient.
#
# ```python
# print(4.5 * np.log(2), 3.5 * np.log(2))
# assert check.lesson5.exercise1(4.5 * np.log(2))
# ```
#
# </details>

# %%
cost = ...  # nats, the mean of the two sentences
check.lesson5.exercise1(cost)

# %% [markdown]
# **2. A table of word pairs.** *Medium, 20 minutes.* How much of a caption can be said without any picture and almost
# without memory? Count how often each word follows each other word in the training captions, add 0.1 to every count,
# normalise, and give the nats of a test caption. Compare with the decoders above.
#
# <details><summary>Hint</summary>
#
# A (V, V) array; `np.add.at(counts, (before, after), 1)` for each caption.
#
# </details>
# <details><summary>Another hint</summary>
#
# The row is the word before. Divide each row by its sum, and a caption costs minus the sum of the logs of its pairs.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def costs(train_ids, test_ids, vocabulary_size):
#     counts = np.full((vocabulary_size, vocabulary_size), 0.1)
#     for ids in train_ids:
#         np.add.at(counts, (ids[:-1], ids[1:]), 1)
#     logs = np.log(counts / counts.sum(1, keepdims=True))
#     return [-logs[ids[:-1], ids[1:]].sum() for ids in test_ids]
#
#
# both = (matcher.tokenizer.encode_all(split.captions) for split in (train, test))
# print(f"{np.mean(costs(*both, len(matcher.tokenizer))):.2f} nats a caption")
# assert check.lesson5.exercise2(costs)
# ```
#
# A decoder has also read the picture and all the words before. The table of pairs knows a single word, and it already
# saves a large part of the nats that the decoder saves. So a low caption loss is no proof that a decoder looks.
#
# </details>


# %%
def costs(train_ids, test_ids, vocabulary_size):
    """The nats of each test caption, by pairs of words; a caption is a list of ids."""
    return ...


check.lesson5.exercise2(costs)

# %% [markdown]
# **3. Where does it look?** *Hard, 25 minutes.* `plain` also returns the attention. For the caption of the last figure,
# draw words against regions. Then say why it would be wrong to call region $r$ "what the decoder looked at". Which of
# your reasons holds in lesson 3, too, and which is new?
#
# <details><summary>Hint</summary>
#
# What is $E_r$ made of? Which regions has the GRU read by then?
#
# </details>
# <details><summary>Another hint</summary>
#
# A state of the GRU over regions has read all regions before it. `plain(decoder, regions, tokens)` needs the real
# regions alone.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# own = int(test.caption_to_image[caption])
# own_regions = encoded["test"].fragments[own][encoded["test"].mask[own]]
# ids = torch.from_numpy(matcher.tokenizer.encode(test.captions[caption])).long()
# with torch.no_grad():
#     _, looks = plain(fresh, own_regions, ids)
# figure, ax = plt.subplots(figsize=(4, 4.5), layout="constrained")
# ax.imshow(looks, cmap="Blues", vmin=0, vmax=1)
# ax.set_yticks(range(len(text)), text)
# ax.set(xlabel="region")
# close(looks.sum(1), torch.ones(len(text)))
# plt.show()
# assert check.lesson5.exercise3(looks, fresh, own_regions, ids)
# ```
#
# $E_r$ is a state of a GRU that has read the regions $1 \dots r$. Each of these regions is a row of $V^*$, so it has
# already received messages from all other regions in the graph. So a weight on $E_r$ is a weight on a summary of all
# regions up to $r$. The order of the regions in the file also changes $E_r$, although the picture itself has no such
# order. The first reason holds in lesson 3, too, where words attend to the rows of $V^*$. The GRU is new: there, no
# vector sums up the regions before it, and the order of the regions does not matter.
#
# </details>

# %%
own = int(test.caption_to_image[caption])
own_regions = encoded["test"].fragments[own][encoded["test"].mask[own]]  # without the missing ones
ids = torch.from_numpy(matcher.tokenizer.encode(test.captions[caption])).long()
attention = ...  # words by regions, from `plain`
check.lesson5.exercise3(attention, fresh, own_regions, ids)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(5)

# %% [markdown]
# ## Summary
#
# - The caption loss is the sum of $-\ln p$ over the words of a sentence, each given the true words before it, and the
#   mean over sentences.
# - Missing regions get $-\infty$ before the softmax, so that they receive no attention.
# - Three savings change no number: $W_1$ is split, finished captions leave the batch, and the projection to the
#   vocabulary is computed only where there is a word to predict.
# - Its gradient reaches every region. Whether the decoder uses the picture shows when you give it a wrong one. In this
#   run (one seed, a short training) VSR++'s decoder uses the picture a little. A wider decoder, which we trained on the
#   finished $V^*$, relies on the picture more. So $V^*$ holds information that VSR++'s decoder does not use.
# - "Weights 1 : 1" of a sum and a mean depends on the batch.
#
# ## References
#
# Li, Zhang, Li, Li and Fu, [*Visual Semantic Reasoning for Image-Text Matching*](https://arxiv.org/abs/1909.02701)
# (VSRN), ICCV 2019. Yuan, Huang, Zhang, Chen, Cheng and Wang, [*Improving Visual Semantic Reasoning for Fine-Grained
# Image-Text Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020. Williams and Zipser, *A
# learning algorithm for continually running fully recurrent neural networks*, Neural Computation 1989 (teacher
# forcing). Bahdanau, Cho and Bengio, *Neural machine translation by jointly learning to align and translate*, ICLR
# 2015 (the attention).
#
# **Next:** [06_visual_analysis](06_visual_analysis.ipynb) looks at what whole systems find;
# [07_reading_the_tables](07_reading_the_tables.ipynb) reads the published numbers; and
# [table1_structure](table1_structure.ipynb) trains every row of the paper's Table 1 and judges its claims.
