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
# # Start here
#
# Somebody types *a white horse left of a brown car*, and wants the picture. Or somebody has a picture, and wants the
# sentence that says what is in it. **Image-text matching** answers both with one number, a score $S(I, T)$ for every
# image $I$ and every sentence $T$. Whoever has a good score has a search engine in both directions.
#
# This package is about one such score, VSR++ (ICPR 2020), and the six systems that it is compared with. VSR++ adds two
# scores: $S = S_G + \mu\,S_L$. The global score $S_G$ compares the whole image with the whole sentence, after graph
# reasoning over the regions of the image. In the local score $S_L$, every word looks for its regions. Lessons 1 to
# 5 each take one part of it to pieces. This notebook comes before them.
#
# **You will learn**
#
# 1. what the data look like, to you and to a matcher;
# 2. how retrieval is measured: R@1, R@5, R@10 and rsum, with ties and with several captions per image;
# 3. how to train a matcher and search with it, in ten lines.
#
# *Needs:* some Python and PyTorch. *Time:* about 20 minutes. The first run draws the pictures and trains a model,
# which takes one to two minutes; later runs of any notebook find both. If you do not want to wait for trainings, type
# `vsrpp-lite lesson-models` in a terminal first. It gives you the models of the lessons as we trained them, and the
# numbers that you see in the lessons are theirs. If you train the models yourself, your numbers may be others: another
# kind of processor rounds otherwise, which changes a training about as much as another seed does.
#
# A **preset** names an amount of work. `smoke` shows in seconds that a system runs, and its models are too small to
# learn much. `lite` trains small models for a minute. `long` trains the same models until they stop improving.

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
data: str = "scenes"  # scenes, or a folder of data/ that has pictures and boxes
preset: str = "lite"  # smoke or lite
seed: int = 0  # of the trained model

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.show import widgets
from vsrpp_lite.teaching import check, predict, quiz
from vsrpp_lite.training.metrics import METRICS, ranks, recalls

pd.options.display.float_format = "{:.1f}".format
show.inline("jpeg", quality=60)  # many pictures: a small part of the size of PNG

# %% [markdown]
# ## The data
#
# The papers use photographs, from Flickr30K and MS-COCO. Those cannot be shipped with a package, so this one draws
# its own: `scenes`, small coloured pictures of people, animals and things, in some place, under some light, each
# described by five "annotators" with habits of their own. A `Run` says what is trained on what. `vl.tuned` makes
# one with the settings that a study found best for this system. Here we only ask it for its data.

# %% tags=["nbval-ignore-output"]
run = vl.tuned(vl.VSRpp(mu=2.0), data=data, preset=preset, seed=seed)
splits = {name: run.dataset(name) for name in ("train", "dev", "test")}  # draws the pictures, if they are not there yet

# %% tags=["nbval-ignore-output"]
display(
    pd.DataFrame(
        {
            name: {
                "pictures": len(split),
                "captions": len(split.captions),
                "most regions R": split.mask.shape[1],
                "numbers per region F": split.feature_size,
            }
            for name, split in splits.items()
        }
    ).T
)
test = splits["test"]
figure = show.gallery(test, [2, 3, 4, 5, 8, 9, 10, 11])

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.1")

# %% [markdown]
# A model learns from the training split. On *dev* we watch how its training goes. A study measures recall on *test*
# once, at the end. (The lessons show test pictures and test recalls more often, since they choose nothing by them.)
#
# ### Five people, one picture
#
# The five captions of one picture are all true, and no two say the same. The first annotator is terse. The second
# tells how two things stand to each other. The third likes the passive voice. The fourth names a thing before its
# details (*a kitty with spots*), and the fifth likes to set the scene first. Nobody says everything, and a matcher must
# live with that.

# %%
image = 6
for caption in test.captions_of(image):
    print("-", caption.rstrip(" ."))

# %% [markdown]
# ### What a matcher sees
#
# A matcher does not see the picture. A detector has put boxes on the picture and described each box by a vector. A box
# with its vector is called a **region**, and the matcher gets the vectors of the regions. This detector makes
# mistakes, as real detectors do: it misses some things, it finds others twice, and some of its boxes contain hardly
# anything. The matcher does not get the letters of the sentence, either. It gets one number for each word, between the
# numbers of `<start>` and `<end>`.

# %% tags=["nbval-ignore-output"]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(1, 1.2), layout="constrained")
count = int(test.mask[image].sum())
points = show.boxes(left, test, image, np.full(count, 0.6), plt.get_cmap("tab10").colors[:count])
for k, point in enumerate(points):
    left.text(*point, k, ha="center", va="center", bbox={"boxstyle": "circle,pad=0.2", "fc": "white"})
left.set_title("what the detector found")
regions, mask = test.regions(np.array([image]))
drawn = right.imshow(regions[0], cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto", interpolation="nearest")
figure.colorbar(drawn, ax=right, label="value of the feature")
right.set(xlabel="feature (F)", ylabel="region (R)", title="what the matcher gets", yticks=range(mask.shape[1]))
show.describe(
    figure,
    f"Left: a picture with the {count} boxes of its detector. Right: the numbers of each region, one row a region.",
)
plt.show()

vocabulary = vl.Vocabulary.build(splits["train"].captions)  # from training captions alone
sentence = test.captions_of(image)[0]
print(sentence.rstrip(" ."), "->", vocabulary.encode(sentence).tolist())

# %% [markdown]
# ### Near-neighbours
#
# If all pictures showed different things, retrieval would be too easy. So a third of the pictures come in pairs that
# differ in one detail: two colours are exchanged, or left and right, or there is one ball more, or another light. Here
# are two such pairs. Find their differences, and then look whether the captions mention them.

# %%
figure = show.gallery(test, [0, 1, 6, 7])

# %% [markdown]
# ## Recall at K, by hand
#
# There are four pictures (rows), with one sentence each (columns). A picture asks for its sentence: in each row, how
# many *wrong* sentences score **at least as high** as the right one? They stand before it. So one more than their
# number is the place of the right sentence, which we call its **rank**; 1 is best. R@K is the percentage of queries
# whose rank is at most K: their right answer is among the first K.

# %%
S = np.array(
    [
        [0.9, 0.3, 0.2, 0.1],
        [0.4, 0.6, 0.7, 0.2],
        [0.3, 0.5, 0.6, 0.1],
        [0.2, 0.5, 0.3, 0.5],
    ]
)
own_image = np.array([0, 1, 2, 3])  # which image each sentence belongs to

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.2")

# %% [markdown]
# *Text retrieval* (i2t, a picture asks). In row 0, the right sentence has the highest score, 0.9, so its rank is 1. In
# row 1, the wrong 0.7 beats the right 0.6, so the rank is 2. In row 2, the right sentence has the highest score, so the
# rank is 1. In row 3, a wrong sentence also has 0.5. A tie counts against us, so the rank is 2. Two of the four ranks
# are 1, so R@1 = 2/4 = 50 %.
#
# *Image retrieval* (t2i, a sentence asks). Now we compare the scores within each column. Only sentence 2 does not find
# its picture first, because 0.7 beats 0.6 in column 2. So R@1 = 75 %.
#
# The papers print R@1, R@5 and R@10 for both directions. We also use the sum of these six numbers, **rsum**, which is
# at most 600. With only four candidates, R@5 and R@10 are always 100. So here
# rsum = 50 + 100 + 100 + 75 + 100 + 100 = 525.


# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.3")


# %%
def ranks_slowly(scores: np.ndarray, image_of: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the ranks of images (by the best caption) and of texts: 1, plus 1 for each wrong one as high or higher."""
    image_ranks, text_ranks = [], []
    for image, row in enumerate(scores):
        best = max(row[text] for text in range(len(row)) if image_of[text] == image)
        image_ranks.append(1 + sum(row[text] >= best for text in range(len(row)) if image_of[text] != image))
    for text, column in enumerate(scores.T):
        right = column[image_of[text]]
        text_ranks.append(1 + sum(column[image] >= right for image in range(len(column)) if image != image_of[text]))
    return image_ranks, text_ranks


assert ranks_slowly(S, own_image) == ([1, 2, 1, 2], [1, 1, 2, 1])
found = ranks(S, own_image)
assert [list(x) for x in found] == [[1, 2, 1, 2], [1, 1, 2, 1]]
hits = recalls(*found, own_image)
print(f"i2t R@1 {hits['i2t_r1']:.1f}, t2i R@1 {hits['t2i_r1']:.1f}, rsum {hits['rsum']:.1f}")

# %% [markdown]
# ### Several captions per image
#
# Let the same four sentences describe only two pictures: sentences 0 and 1 describe picture 0, and sentences 2 and 3
# describe picture 1. When a picture asks, only the **best** of its captions counts as the right answer; its other
# captions count neither as right nor as wrong. When a sentence asks, it still has one picture to find. Take the first
# two rows of the matrix. The best caption of picture 0 has 0.9, and no wrong sentence reaches this score, so the rank
# of picture 0 is 1. The captions of picture 1 have 0.7 and 0.2, and the best of them has 0.7. The two wrong sentences
# have 0.4 and 0.6, and neither reaches 0.7, so the rank of picture 1 is 1. Sentence 1 scores higher with the wrong
# picture (0.6) than with its own picture (0.3), so the rank of sentence 1 is 2.

# %%
two = S[:2]
shared = np.array([0, 0, 1, 1])
assert ranks_slowly(two, shared) == ([1, 1], [1, 2, 1, 1])
assert [list(x) for x in ranks(two, shared)] == [[1, 1], [1, 2, 1, 1]]
rng = np.random.default_rng(seed)
large, large_own = rng.integers(0, 6, (20, 100)) / 5, np.repeat(np.arange(20), 5)  # many ties
assert [list(x) for x in ranks(large, large_own)] == list(ranks_slowly(large, large_own))
print("the package agrees with the loops on 20 pictures, 100 captions and many ties")

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.4")

# %% [markdown]
# ### Why ties must count against us
#
# A matcher that has collapsed gives every pair the same score. If we counted only the candidates that score *strictly*
# higher, we would count none. Every rank would be 1, recall would be 100 %, and a broken model would look perfect. A
# score of NaN would cause the same problem, since NaN is neither higher nor lower than any number. So the package
# refuses NaN.

# %%
constant = np.zeros((20, 100))
strictly = [(row > row[5 * image]).sum() for image, row in enumerate(constant)]
print(f"R@1 of a constant score, ties for us: {100 * np.mean(np.array(strictly) < 1):.0f} %")
print(f"R@1 of a constant score, ties against us: {recalls(*ranks(constant, large_own), large_own)['i2t_r1']:.0f} %")
try:
    ranks(np.full((4, 4), np.nan), own_image)
except ValueError as error:
    print("refused:", error)

# %% [markdown]
# ## Ten lines
#
# Train VSR++, measure it, search with it. `run.fit()` trains once and keeps the result in `runs/`, in a folder named
# by everything that could change it; the second call reads that folder.

# %% tags=["nbval-ignore-output"]
result = run.fit()
matcher = result.matcher()

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.5")

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame(
    [[result.recalls[f"{way}_r{cut}"] for cut in (1, 5, 10)] for way in ("i2t", "t2i")],
    index=["text retrieval (i2t)", "image retrieval (t2i)"],
    columns=["R@1", "R@5", "R@10"],
)
display(table)
print(f"rsum {result.recalls['rsum']:.1f}")
chance = recalls(*ranks(rng.random((len(test), len(test.captions))), test.caption_to_image), test.caption_to_image)
print(f"rsum of random scores {chance['rsum']:.1f}")
assert set(result.recalls) == set(METRICS)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.6")

# %% [markdown]
# Now we search with a sentence that nobody wrote. For each picture that is found, say which words of the sentence are
# true of it. Which words did the matcher overlook?

# %%
query = "a white horse left of a brown car"
figure = vl.show.retrieval(matcher, test, query)

# %% [markdown]
# To check your answer, here is what the annotators said about each picture that was found, from the first to the last.
# A picture that shares the thing or the colour, but not the relation, can still score high. The local part of the score
# is a mean over the words, so one word alone can hardly rule a picture out.

# %% tags=["nbval-ignore-output"]
query_scores = vl.score(matcher.similarity, matcher.encode_images(test), matcher.encode_texts([query]))[:, 0]
for found_image in np.argsort(-query_scores)[:5]:
    print(f"picture {found_image}:", "; ".join(caption.rstrip(" .") for caption in test.captions_of(found_image)))

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.7")

# %% [markdown]
# Type your own sentence, and press Enter. The matcher knows the words of the training captions; it reads every other
# word as `<unk>`. Below, choose a picture by its number, and see which sentences of the split it finds. A check marks
# the picture's own sentences.

# %% tags=["widget", "nbval-ignore-output"]
widgets.search(matcher, test)

# %% tags=["hide-input", "nbval-ignore-output"]
predict("0.8")

# %%
images, texts = matcher.encode(test)
scores = vl.score(matcher.similarity, images, texts)
figure = show.image_query({"": scores}, test, image, top=5)

# %% [markdown]
# ### A cross does not mean that a sentence is false
#
# Look at the sentences with a cross, and at the picture. Some of them are *true* of it: somebody wrote them about
# another picture that shows the same. Recall counts them as wrong, since the file says only which picture each sentence
# was written for. Such pairs are **false negatives** of the measure. The papers' data have them too: Chun et al. (*ECCV
# Caption*, 2022) found several times as many true captions per picture of MS-COCO as the five that were written for it.
# So even a matcher that makes no mistake cannot be expected to reach a recall of 100 % at 1, and a difference between
# two systems can be a difference in luck with such pairs.
#
# ### What all systems have in common
#
# What `encode` gives is the same for all seven systems: for each picture and for each sentence one `pooled` vector,
# and one vector for each of its `fragments`, regions or words, with a `mask` that says which exist. A similarity is a
# plain function of an encoded picture and an encoded sentence. The lessons build such similarities, and also the
# encoders and the losses.
#
# | system | what makes it different |
# |---|---|
# | VSE++ | the mean of the regions, a sentence GRU, and the hardest negative |
# | SCO-style | the concepts of a picture under a gate, and a loss that writes the sentence |
# | SCAN | every word attends to the regions |
# | GVSE-style | a common and an uncommon part of each side under a gate |
# | SAEM | self-attention over regions and over words |
# | VSRN | a graph over the regions, a GRU that reads them, and a loss that writes the sentence |
# | VSR++ | VSRN's vector for the whole, and SCAN's attention for the parts, in one score |
#
# (*-style*: the paper has no public code, and we wrote the system after its description.) The lessons explain the terms
# of VSE++, SCAN, VSRN and VSR++, and the [glossary](glossary.md) has a sentence or two on those of the others.

# %% tags=["nbval-ignore-output"]
for name, encoded in (("pictures", images), ("sentences", texts)):
    print(f"{name:10}", *(f"{part} {tuple(x.shape)}" for part, x in zip(encoded._fields, encoded, strict=True)))
again = vl.score(matcher.similarity, images.map(lambda x: x[:8]), texts.map(lambda x: x[:40]))
np.testing.assert_allclose(again, scores[:8, :40], atol=1e-5)  # a pair's score does not depend on its company

# %% [markdown]
# ## What is in the package
#
# | what | where |
# |---|---|
# | data: pictures to regions, captions to word numbers | the folder `data/` |
# | lessons 1 to 5, one module each | `gcn_reasoning.py` and so on: named as their notebooks, 01 to 05 |
# | the systems, one file per paper | `systems/` |
# | training, measuring, remembering | the folder `training/` |
# | the published tables, and ours beside them | the folder `paper/` |
# | figures and widgets | the folder `show/` |
#
# ## Where to go next
#
# | notebook | what it is about |
# |---|---|
# | [01_gcn_reasoning](01_gcn_reasoning.ipynb) | regions look at each other: affinity, messages, residual |
# | [02_global_alignment](02_global_alignment.ipynb) | one vector per image, one per sentence, and the hinge |
# | [03_local_attention](03_local_attention.ipynb) | every word looks for its regions |
# | [04_fusion](04_fusion.ipynb) | $S_G + \mu S_L$, and what $\mu$ does |
# | [05_caption_loss](05_caption_loss.ipynb) | the image must be able to write its caption |
# | [06_visual_analysis](06_visual_analysis.ipynb) | queries, attention and mistakes, looked at |
# | [07_reading_the_tables](07_reading_the_tables.ipynb) | the published numbers, read critically |
# | [08_your_own_photographs](08_your_own_photographs.ipynb) | from a folder of pictures to searching it |
# | [09_what_recall_cannot_see](09_what_recall_cannot_see.ipynb) | all true answers, and captions with one lie |
# | [10_from_the_hinge_to_clip](10_from_the_hinge_to_clip.ipynb) | CLIP's loss beside the hinge |
# | [11_searching_a_million](11_searching_a_million.ipynb) | what a query costs, and search in two stages |
# | [table1_structure](table1_structure.ipynb) | what each part of VSR++ is worth |
# | [table2_mu](table2_mu.ipynb) | the weight of the local part |
# | [table3_coco](table3_coco.ipynb), [table4_flickr30k](table4_flickr30k.ipynb) | VSR++ beside the six other systems |
# | [add_your_own_system](add_your_own_system.ipynb) | a system, a loss, a similarity and a table of your own |
#
# The [glossary](glossary.md) explains the terms, each in a sentence or two. Students take 01 to 05 in this order. If
# you want numbers first, begin with [table1_structure](table1_structure.ipynb).
#
# ## Exercises
#
# Replace the dots of each exercise, and run its cell: a check says at once whether you are right, and names typical
# mistakes. There are two hints before the solution.

# %% [markdown]
# **1.** (*easy, 3 minutes*) In the 4 x 4 matrix, lower the 0.7 to 0.55. Which recalls change? Check with `ranks`.
#
# <details><summary>Hint</summary>
#
# The changed entry stands in row 1 and in column 2. All other rows and columns keep their ranks.
#
# </details>
# <details><summary>Another hint</summary>
#
# Which entry is now the largest of row 1, and which is the largest of column 2?
#
# </details>
# <details><summary>Solution</summary>
#
# Row 1 now has its own 0.6 on top, and column 2 its own 0.6: i2t R@1 = 75, t2i R@1 = 100.
#
# ```python
# lower = S.copy()
# lower[1, 2] = 0.55
# hits = recalls(*ranks(lower, own_image), own_image)
# assert (hits["i2t_r1"], hits["t2i_r1"]) == (75.0, 100.0)
# assert check.lesson0.exercise1(hits["i2t_r1"], hits["t2i_r1"])
# ```
#
# </details>

# %%
text_r1 = ...  # R@1 of text retrieval, in per cent
image_r1 = ...  # R@1 of image retrieval, in per cent
check.lesson0.exercise1(text_r1, image_r1)

# %% [markdown]
# **2.** (*easy, 5 minutes*) Search for the same sentence with *left* replaced by *right*. How many of the first five
# pictures are the same? (Lesson 1 measures how well the matcher tells the two apart.)
#
# <details><summary>Hint</summary>
#
# `vl.score(matcher.similarity, images, texts)` gives one column for each sentence.
#
# </details>
# <details><summary>Another hint</summary>
#
# `np.argsort(-column)[:5]` gives the first five pictures of a column, and `set(a) & set(b)` what two have in common.
#
# </details>
# <details><summary>Solution</summary>
#
# The code counts them. The more they share, the less the side counts: the words *horse* and *car* find their regions
# in both searches, and only the relation differs.
#
# ```python
# sides = [f"a white horse {side} of a brown car" for side in ("left", "right")]
# found = vl.score(matcher.similarity, matcher.encode_images(test), matcher.encode_texts(sides))
# first_five = [set(np.argsort(-column)[:5]) for column in found.T]
# print(len(first_five[0] & first_five[1]), "of 5 in common")
# common = len(first_five[0] & first_five[1])
# assert check.lesson0.exercise2(common, matcher, test)
# ```
#
# </details>

# %%
common = ...  # how many of the first five pictures both searches have
check.lesson0.exercise2(common, matcher, test)

# %% [markdown]
# **3.** (*medium, 10 minutes*) R@10 of a matcher that knows nothing: compute it for this test split with a pencil, in
# both directions, and compare with `chance` above.
#
# <details><summary>Hint</summary>
#
# A sentence has one right picture among 1,000. A picture has five right sentences among 5,000: with what probability
# is none of them among the first ten?
#
# </details>
# <details><summary>Another hint</summary>
#
# One right sentence is missed with probability 1 - 10/5000. All five are missed with the fifth power of that.
#
# </details>
# <details><summary>Solution</summary>
#
# Image retrieval: 10/1000 = 1 %. Text retrieval: about $1 - (1 - 10/5000)^5 = 1.0\,\%$, for each of the five has a
# chance of 10 in 5,000; nearly the same.
#
# ```python
# for way, expected in (("t2i", 1000 / len(test)), ("i2t", 100 * (1 - (1 - 10 / len(test.captions)) ** 5))):
#     print(f"{way} R@10: {expected:.1f} expected, {chance[f'{way}_r10']:.1f} drawn")
# image_r10, text_r10 = 1000 / len(test), 100 * (1 - (1 - 10 / len(test.captions)) ** 5)
# assert check.lesson0.exercise3(image_r10, text_r10, test)
# ```
#
# </details>

# %%
image_r10 = ...  # by chance, in per cent
text_r10 = ...
check.lesson0.exercise3(image_r10, text_r10, test)

# %% [markdown]
# ## Five questions
#
# Every wrong answer says which misunderstanding leads to it. The first answer to each question counts. All lessons'
# questions stand on one [page](questions.md).

# %% tags=["nbval-ignore-output"]
quiz(0)

# %% [markdown]
# ## Summary
#
# * A matcher gives every image and every sentence a score; a search sorts by it.
# * It sees region vectors and word numbers, no pixels and no letters.
# * A rank is one more than the number of wrong candidates that score at least as high as the right one. R@K is the
#   share of queries whose rank is at most K. Of several right answers, the best counts.
# * A candidate that recall counts as wrong can be true all the same.
# * `fit` trains once. `encode` gives vectors, `score` gives the scores of all pairs, and `ranks` and `recalls` give the
#   numbers.
#
# ## References
#
# Young et al., *From image descriptions to visual denotations* (Flickr30K), TACL 2014. Lin et al., *Microsoft COCO*,
# ECCV 2014. Chun et al., [*ECCV Caption: Correcting False Negatives by Collecting Machine-and-Human-verified
# Image-Caption Associations for MS-COCO*](https://arxiv.org/abs/2204.03359), ECCV 2022. Yuan, Huang, Zhang, Chen,
# Cheng and Wang, [*Improving Visual Semantic Reasoning for Fine-Grained Image-Text
# Matching*](https://openreview.net/forum?id=EOcoHvin7m) (VSR++), ICPR 2020.
