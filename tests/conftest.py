"""Shapes in signatures are checked while tests run, and only then; every test has a home of its own.

Examples in docstrings are tests too: pytest collects them from the package, whose modules this file hooks first.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from jaxtyping import install_import_hook

SHAPED = """data.dataset data.scenes.truth gcn_reasoning global_alignment local_attention fusion caption_loss info_nce
    matcher systems training.metrics training.ranking training.significance paper.true_answers paper.words_alone
    paper.beyond_recall show"""
for variable in ("FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"):  # they ask typer for colours, which tests would read
    os.environ.pop(variable, None)
os.environ["no_proxy"] = "127.0.0.1,localhost"
install_import_hook([f"vsrpp_lite.{module}" for module in SHAPED.split()], "shapes.checked")

import numpy as np
import pytest
import torch
from PIL import Image

from vsrpp_lite.data import scenes
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.settings import Sizes
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.ranking import Encodings
from vsrpp_lite.training.runs import Run

COLOURS = ["red", "blue", "green", "black"]
THINGS = ["dog", "car", "tree", "boat"]
collect_ignore = [
    *("bench.py", "bench_paper.py", "bench_search.py", "departures.py", "own_recipes.py", "profile_steps.py"),
    *("browser.py", "browser_site.py", "course_submissions.py", "fuzz.py", "hostile", "kills.py", "mutants.py"),
]  # scripts: no examples to run in them

SMALL = Sizes(embed=16, word=8, caption=8, layers=1)


def toy_split(images, seed, first_id=0, pairs=None):
    """Each image has three to five regions; two of them are a colour and a thing, and its captions name both.

    Which two of the sixteen is drawn, unless `pairs` says.
    """
    rng = np.random.default_rng(seed)
    code = np.random.default_rng(99).normal(size=(len(COLOURS) * len(THINGS), 12))
    features = np.zeros((images, 5, 12), dtype=np.float32)
    counts = rng.integers(3, 6, images)
    captions = []
    for image in range(images):
        pair = rng.choice(16, 2, replace=False) if pairs is None else list(pairs[image])
        features[image, : counts[image]] = 0.1 * rng.normal(size=(counts[image], 12))
        features[image, :2] += code[pair]
        a, b = (f"{COLOURS[k // 4]} {THINGS[k % 4]}" for k in pair)
        captions.append([f"a {a} and a {b}", f"the {b} is near some {a}", f"{a} , {b}"])
    boxes = np.tile(np.array([0.1, 0.2, 0.5, 0.6], dtype=np.float32), (images, 5, 1))
    ids = list(range(first_id, first_id + images))
    return RawSplit(features=features, captions=captions, image_ids=ids, counts=counts, boxes=boxes)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VSRPP_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def toy(tmp_path):
    """A small data folder with pairs that can be learned in seconds."""
    splits = {"train": toy_split(60, 1), "dev": toy_split(12, 2, 100), "test": toy_split(20, 3, 200)}
    return write_dataset(tmp_path / "data" / "toy", name="toy", source="tests", splits=splits)


@pytest.fixture(scope="session")
def scenes_folder(tmp_path_factory):
    """A few hundred pictures."""
    return scenes.write(tmp_path_factory.mktemp("scenes") / "tiny", seed=1, size="tiny")


@pytest.fixture(scope="session")
def course_home(tmp_path_factory):
    """A home with the student version of the course, its pictures and its model, which take a minute to make."""
    assignments = Path(__file__).parent.parent / "notebooks" / "assignments"
    sys.path[:0] = [str(assignments), str(assignments / "course")]
    import unit
    import versions

    place = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSRPP_HOME", str(place))
        patch.setattr(versions, "RELEASE", place / "release")
        versions.build(2026)
        unit.course_run(2026).fit()
        unit.unseen_split(531), unit.practice_split(2026)
    return place


@pytest.fixture
def drawn(scenes_folder):
    """A matcher of two graph layers with random weights, and a split with pictures and boxes."""
    run = Run(system=VSRpp(), data=str(scenes_folder), sizes=replace(SMALL, layers=2))
    return run.build(), run.dataset("dev")


def random_encoded(lengths, *, size=6, seed=0, dtype=torch.float64):
    """Unit fragments, real ones first, missing ones zero."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]

    def unit(*shape):
        x = torch.randn(*shape, size, generator=generator, dtype=dtype)
        return x / x.norm(dim=-1, keepdim=True)

    return Encoded(unit(len(lengths)), unit(*mask.shape) * mask[:, :, None], mask)


def encodings(images, texts, similarity=cosine):
    """As `Encodings.of` gives them, of texts that are encoded already."""
    return Encodings(similarity, images, texts.mask.sum(1).numpy(), lambda chosen: texts.map(lambda x: x[chosen]))


RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(width=40, height=20):
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A detector and three backbones with random weights, in the layout of the hub."""
    import transformers as tf

    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    yolos = tf.YolosConfig(**small, image_size=[32, 48], patch_size=16, num_detection_tokens=5, num_labels=2)
    made = {
        "yolos": (
            tf.YolosForObjectDetection(yolos),
            tf.YolosImageProcessorPil(size={"shortest_edge": 32, "longest_edge": 48}),
        ),
        "dinov2": (
            tf.Dinov2Model(tf.Dinov2Config(**small, image_size=28, patch_size=14)),
            tf.BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28}),
        ),
        "resnet": (
            tf.ResNetModel(tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
            tf.ConvNextImageProcessorPil(size={"shortest_edge": 32}),
        ),
        "clip": (
            tf.CLIPModel(tf.CLIPConfig(vision_config={**small, "image_size": 32, "patch_size": 16}, text_config=small)),
            tf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        ),
    }  # fmt: skip
    for name, (model, processor) in made.items():
        model.save_pretrained(folder / name)
        processor.save_pretrained(folder / name)
    return folder
