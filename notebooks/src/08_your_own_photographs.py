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
# # Your own photographs
#
# You have a folder of pictures and a file with sentences about them. In this notebook the folder becomes a data set, a
# model learns from it, and then you search your pictures with sentences that nobody wrote before.
#
# **You will learn**
#
# 1. what a data set of image-text matching is made of, and how to make one from files that you have;
# 2. what a *region* is when no detector of the paper's kind is at hand, and what its numbers are;
# 3. how to train on your pictures, how to search them, and how to see what a word looked at;
# 4. what you may conclude from a small data set, and what not.
#
# *Needs:* [00_start_here](00_start_here.ipynb), and a checkout of the repository with the extra `photographs` (`pip
# install -e '.[notebooks,photographs]'` in its folder), since the lesson uses `data_scripts`. *Time:* ten minutes on a
# laptop for a few hundred pictures.
#
# Set `pictures` and `captions` in the next cell. If you leave them empty, drawn pictures of `scenes`, the data
# of the other lessons, stand in for yours, and a tiny network with random weights stands in for the backbone. So the
# notebook runs without a download.

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
pictures: str = ""  # your folder of pictures
captions: str = ""  # your file of captions
features: str = "microsoft/resnet-50"  # the backbone: a model of transformers, or an ONNX file
detector: str = "grid"  # grid for none, a model of transformers such as hustvl/yolos-tiny, or an ONNX file
name: str = "mine"  # of the data set that you make
data: str = "scenes"  # the data set whose pictures stand in for yours
preset: str = "lite"  # smoke, lite, long, real or paper

# %%
import csv
import shutil
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import torch
import transformers
from IPython.display import Markdown, display
from PIL import Image

import vsrpp_lite as vl
from vsrpp_lite import show
from vsrpp_lite.files import home
from vsrpp_lite.show import widgets
from vsrpp_lite.teaching import check

sys.path.insert(0, str(Path(vl.__file__).parents[1] / "data_scripts"))
import photographs
import regions

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

show.inline("jpeg", quality=60)  # many pictures: a small part of the size of PNG

# %% [markdown]
# ## 1. Pictures and sentences
#
# The script reads the files in which people have captions: a table with the columns `image` and `caption`, the token
# files of Flickr8k and Flickr30k, Kaggle's `captions.txt`, and the JSON of Karpathy or of COCO. A picture may have one
# sentence or many. The next cell makes a folder and a table from pictures of `scenes`, if you have given none.

# %% tags=["nbval-ignore-output"]


def stand_in(folder: Path, count: int) -> None:
    """Write drawn pictures, a table of their captions, and a backbone with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    run = vl.Run(system=vl.VSEpp(), data=data, preset=preset)
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "caption"])
        for example in run.dataset("train")[:count]:
            shutil.copy(example.picture, folder / f"{example.image_id}.jpg")
            table.writerows((f"{example.image_id}.jpg", caption) for caption in example.captions)
    torch.manual_seed(0)
    sizes = {"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1]}
    transformers.ResNetModel(transformers.ResNetConfig(**sizes)).save_pretrained(folder / "backbone")
    transformers.ConvNextImageProcessorPil(size={"shortest_edge": 112}).save_pretrained(folder / "backbone")


if not pictures:
    folder = home() / "data" / f"pictures-of-{data}"
    if not (folder / "backbone").exists():
        stand_in(folder, count=200 if preset == "smoke" else 600)
    pictures, captions, features = str(folder), str(folder / "captions.csv"), str(folder / "backbone")
    name = f"{folder.name}-with-regions"

files = sorted(path for path in Path(pictures).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
print(f"{len(files)} pictures")

# %% [markdown]
# ## 2. Regions
#
# The paper's models read 36 **regions** of a photograph. A region is a box, and 2,048 numbers that say what a network
# has seen in it. The paper takes the boxes of a detector that was trained on 1,600 kinds of things. That detector is
# hard to run today. This notebook uses what is easier to get:
#
# - **Boxes.** First come the boxes of a detector of your choice, the surest ones first. Then comes a fixed grid: the
#   whole picture, its halves, and 3 x 3 and 4 x 4 cells. With `detector = "grid"`, there are no other boxes than those
#   of the grid.
# - **Numbers.** A network reads the whole picture and gives a *map*: a vector for each place. The numbers of a region
#   are the mean of the map over its box, from 7 x 7 samples between the cells (bilinear).
#
# By hand: let the map have 2 x 2 cells with one number in each, 0 and 2 on the left, and 4 and 6 on the right. The box
# (0, 0, 1, 1) covers all four cells equally, so the number of this region is the mean of the four numbers, 3.

# %%
by_hand = torch.tensor([[[[0.0, 4.0], [2.0, 6.0]]]])  # (1 picture, 1 number, 2 rows, 2 columns)
whole = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])  # (1 picture, 1 region, left top right bottom)
mean = regions.region_features(by_hand, whole)
assert torch.allclose(mean, torch.tensor(3.0))
mean.item()

# %% [markdown]
# Think about it: which boxes of the grid can help with *snow* in the sentence *two dogs play in the snow*, and which
# with *dogs*? Snow covers much of such a picture, so the box of the whole picture shows it. A small cell helps with a
# dog if the dog fills much of this cell. So a grid has boxes of several sizes.

# %%
boxes = regions.grid_boxes()
with Image.open(files[0]) as opened:
    picture = opened.convert("RGB")
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, title, chosen in zip(
    axes,
    ("the whole", "halves", "3 x 3 cells", "4 x 4 cells"),
    (boxes[:1], boxes[1:5], boxes[5:14], boxes[14:]),
    strict=True,
):
    ax.imshow(picture)
    for colour, (left, top, right, bottom) in zip(sns.color_palette("colorblind", len(chosen)), chosen, strict=True):
        corner = (left * picture.width + 2, top * picture.height + 2)
        sides = ((right - left) * picture.width - 4, (bottom - top) * picture.height - 4)
        ax.add_patch(plt.Rectangle(corner, *sides, fill=False, lw=2, color=colour))
    ax.set(title=title)
    ax.set_axis_off()
figure = show.describe(
    figure, "One picture four times, with the boxes of the grid: the whole, halves, 3 x 3 cells and 4 x 4 cells."
)

# %% [markdown]
# ## 3. The data set
#
# One call does the rest. It reads every picture upright, looks for captions without a picture and pictures without
# captions, takes the split of each picture from the file of captions or, where this file has no splits, computes it
# from the name of the picture (80 % train, 10 % dev, 10 % test), computes the regions block by block, and writes a data
# folder. If you interrupt it, it goes on where it was. A data set that exists is not made again: if you change the
# pictures, change the `name` too. This command does the same:
#
# ```
# make data-photographs NAME=mine FROM=folder CAPTIONS=file DETECTOR=grid FEATURES=microsoft/resnet-50
# ```

# %% tags=["nbval-ignore-output"]
out = home() / "data" / name
if not out.exists():
    photographs.prepare(out, Path(pictures), Path(captions), detector=detector, features=features)
print((out / "report.txt").read_text())

# %% tags=["nbval-ignore-output"]
splits = {split: vl.open_split(out, split) for split in ("train", "dev", "test")}
pd.DataFrame(
    {
        split: {
            "pictures": len(found),
            "captions": len(found.captions),
            "regions of a picture": int(found.mask.sum(1).max()),
            "numbers of a region": found.feature_size,
        }
        for split, found in splits.items()
    }
).T

# %%
test = splits["test"]
figure = show.gallery(test, range(min(8, len(test))))
# %% [markdown]
# ## 4. Train, and search
#
# From here on, your data set is like any other one. `make reproduce-tables DATA=mine TABLES="1 2 4"` would make three
# of the paper's tables on it (Table 3 needs a second data set). One model is enough for a search.

# %% tags=["nbval-ignore-output"]
run = vl.Run(system=vl.VSRpp(mu=2.0), data=str(out), preset=preset)
result = run.fit()
matcher = result.matcher()
recalls = result.recalls
by_chance = 100 * min(10, len(test)) / len(test)
display(
    Markdown(
        f"The test split has {len(test)} pictures. For a caption that the model has never seen, the right picture is "
        f"among the first ten in **{recalls['t2i_r10']:.0f} %** of all cases. A random order would put it there in "
        f"{by_chance:.0f} %."
    )
)

# %% [markdown]
# Now write a sentence of your own.

# %% tags=["nbval-ignore-output"]
sentence = test.captions[0]
figure = show.retrieval(matcher, test, sentence)
# %% [markdown]
# The two boxes below search when you press Enter: a sentence finds pictures, and the number of a picture finds
# sentences.
# (They need a running kernel.)

# %% tags=["widget", "nbval-ignore-output"]
widgets.search(matcher, test)

# %% [markdown]
# ## 5. What did a word look at?
#
# Each panel shows one word. The picture is clear where the word looks, and the larger its attention to a region, the
# stronger the box. With the grid, boxes are cells and not things. So a word can at best look at the cells in which its
# thing lies. If you left `pictures` empty, the backbone is tiny and its weights are random. Then a word gives nearly
# the same weight to every region, so the attention does not show what the word means.

# %% tags=["nbval-ignore-output"]
figure = show.attention(matcher, test, 0, test.captions_of(0)[0])
# %% [markdown]
# ## 6. What you may conclude
#
# - **Few pictures make wide intervals.** With n test pictures, a recall of p per cent has a standard error of about
#   $\sqrt{p (100 - p) / n}$ if each picture asks one question, as in text retrieval. The next cell computes it for your
#   test split. In image retrieval each of the five captions of a picture asks. If they were independent of each other,
#   the error would be $\sqrt 5$ times smaller. They are not, so it is smaller by less than that.
# - **A small test split is an easy one.** Among fewer pictures, the right one is more easily found. Recalls of test
#   splits of different sizes cannot be compared.
# - **The features matter much.** A backbone that was trained on photographs describes the things in your photographs,
#   too. The stand-in backbone has random weights. Its numbers depend on colours and edges, but it has never learned
#   what a thing is.

# %% tags=["nbval-ignore-output"]
share = recalls["i2t_r10"]
error = (share * (100 - share) / len(test)) ** 0.5
display(Markdown(f"R@10 of text retrieval: {share:.0f} %, with a standard error of about {error:.0f}."))

# %% [markdown]
# ## Exercises

# %% [markdown]
# **1.** How many boxes of the grid contain the middle of the picture, edges included? Count first, then compute it.
#
# <details><summary>Hint</summary>
#
# The grid has the whole, halves, thirds and quarters. Look at each kind by itself.
#
# </details>
# <details><summary>Another hint</summary>
#
# A box contains the middle if its left edge is at most 0.5 and its right edge at least 0.5, and the same for the
# height.
#
# </details>
# <details><summary>Solution</summary>
#
# The whole, all four halves (the middle is on their edge), the middle cell of 3 x 3, and the four inner cells of 4 x 4
# (it is their corner): ten.
#
# ```python
# inside = (boxes[:, :2] <= 0.5).all(1) & (boxes[:, 2:] >= 0.5).all(1)
# assert inside.sum() == 10
# assert check.lesson8.exercise1(10)
# ```
# </details>

# %%
count = ...
check.lesson8.exercise1(count)

# %% [markdown]
# **2.** A map is a ramp: at each place, its number is the horizontal position x. What is the number of the region
# (0.5, 0, 0.75, 0.5)? Check it with `region_features`.
#
# <details><summary>Hint</summary>
#
# The number of a region is the mean of the map over the box.
#
# </details>
# <details><summary>Another hint</summary>
#
# The box goes from x = 0.5 to x = 0.75.
#
# </details>
# <details><summary>Solution</summary>
#
# The mean of x over the box is its middle, 0.625.
#
# ```python
# places = (torch.arange(8) + 0.5) / 8
# ramp = places.expand(8, 8)[None, None]
# number = regions.region_features(ramp, torch.tensor([[[0.5, 0.0, 0.75, 0.5]]]))
# assert torch.allclose(number, torch.tensor(0.625))
# assert check.lesson8.exercise2(number)
# ```
# </details>

# %%
of_ramp = ...
check.lesson8.exercise2(of_ramp)

# %% [markdown]
# **3.** How many test pictures do you need for a standard error of one per cent, where the recall of text retrieval is
# 50 %?
#
# <details><summary>Hint</summary>
#
# A share $p$ of $n$ has the variance $p (1 - p) / n$.
#
# </details>
# <details><summary>Another hint</summary>
#
# In per cent, with $p$ = 50 %: the error is 1 if $50 \cdot 50 / n = 1$.
#
# </details>
# <details><summary>Solution</summary>
#
# $50 \cdot 50 / n = 1$, so n = 2,500. The papers test on 1,000 pictures of Flickr30K: there the error is 1.6.
#
# ```python
# assert (50 * 50 / 2500) ** 0.5 == 1
# assert check.lesson8.exercise3(2500)
# ```
# </details>

# %%
pictures_needed = ...
check.lesson8.exercise3(pictures_needed)

# %% [markdown]
# **See also:** [06_visual_analysis](06_visual_analysis.ipynb) shows how to look at many queries, and
# [add_your_own_system](add_your_own_system.ipynb) how to change the model.
#
# **Next:** [09_what_recall_cannot_see](09_what_recall_cannot_see.ipynb): what is true of a picture, and what a
# benchmark counts.
