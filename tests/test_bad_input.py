"""What a user may give by mistake, at every public entrance: the error says what was found and what was expected."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import SMALL

import vsrpp_lite as vl
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.paper.tables import Table
from vsrpp_lite.training import ranking


@pytest.fixture
def test_split(toy):
    return vl.open_split(toy, "test")


@pytest.fixture
def matcher(toy):
    return vl.Run(system=vl.VSEpp(), data=str(toy), sizes=SMALL).build()


ONE = RawSplit(features=np.ones((1, 2, 3), np.float32), captions=[["a dog"]], image_ids=[1])
MISTAKES = {
    "no captions": (
        lambda matcher, split: matcher.encode_texts([]),
        "found no caption to encode; expected at least one",
    ),
    "no images": (
        lambda matcher, split: matcher.encode_images(split[:0]),
        "found no image to encode; expected at least one",
    ),
    "a sentence of signs": (
        lambda matcher, split: vl.show.retrieval(matcher, split, "?!"),
        r"the sentence is '\?!'; expected at least one word",
    ),
    "the graph of a system without one": (
        lambda matcher, split: vl.show.affinity(matcher, split, 0),
        "this model has no graph of regions to show",
    ),
    "the attention of a system without it": (
        lambda matcher, split: vl.show.attention(matcher, split, 0, "a dog"),
        "this system has no attention between regions and words to show",
    ),
    "a text instead of captions": (
        lambda matcher, split: vl.Vocabulary.build("a dog"),
        "the captions are 'a dog'; expected a list of captions",
    ),
    "a margin below zero": (
        lambda matcher, split: vl.Hinge(vl.cosine, -1.0),
        r"margin is -1\.0; expected at least 0",
    ),
    "a table of no folds": (
        lambda matcher, split: Table(name="mine", rows={"VSE++": vl.VSEpp()}, folds=0),
        "mine: folds is 0; expected at least 1",
    ),
    "the name of no preset": (
        lambda matcher, split: vl.Run(system=vl.VSEpp(), preset="huge"),
        "preset is 'huge'; expected one of",
    ),
    "half a seed": (
        lambda matcher, split: vl.Run(system=vl.VSEpp(), seed=0.5),
        r"seed is 0\.5; expected",
    ),
    "no folds": (
        lambda matcher, split: ranking.fold_ranks([ranking.Encodings.of(matcher, split)], split.caption_to_image, 0),
        "folds is 0; expected at least 1",
    ),
    "no jobs": (
        lambda matcher, split: list(vl.grid.train([vl.Run(system=vl.VSEpp(), data=str(split.folder))], jobs=0)),
        "jobs is 0; expected at least 1",
    ),
    "one value instead of a list of them": (
        lambda matcher, split: vl.grid.expand(vl.Run(system=vl.VSEpp()), {"seed": 3}),
        "the values of 'seed' are 3; expected a list",
    ),
    "a factor of log-sum-exp that it divides by": (
        lambda matcher, split: vl.SCAN(pooling="lse", lse=0.0),
        "lse is 0; expected a number above zero",
    ),
    "no word that is frequent enough": (
        lambda matcher, split: vl.Vocabulary.build(["a dog", "a cat"], min_count=3),
        "no word occurs more than 2 times; expected one that occurs 3 times",
    ),
    "a caption that ends in a line break": (
        lambda matcher, split: write_dataset(
            split.folder / "other", name="mine", source="tests", splits={"train": replace(ONE, captions=[["a dog\n"]])}
        ),
        r"train, image 1: 'a dog\\n' has a line break",
    ),
    "a mu below zero": (
        lambda matcher, split: vl.VSRpp(mu=-2.0),
        r"mu is -2\.0; expected at least 0",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(matcher, test_split, mistake):
    call, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        call(matcher, test_split)


def test_an_empty_name_is_no_data_set(toy):
    """The path "" would be the working directory."""
    with pytest.raises(FileNotFoundError, match="data is ''; expected the name of a data set, or a folder"):
        _ = vl.Run(system=vl.VSEpp(), data="").digest


def test_two_images_of_one_split_have_different_ids(tmp_path):
    split = RawSplit(features=np.ones((2, 3, 4), np.float32), captions=[["a dog"], ["a cat"]], image_ids=[7, 7])
    with pytest.raises(DataError, match="train: the id 7 stands for several images; expected another id for each"):
        write_dataset(tmp_path / "mine", name="mine", source="tests", splits={"train": split})
    assert not (tmp_path / "mine").exists()


def test_positions_count_from_the_end_too(test_split):
    for image in (20, -21):
        with pytest.raises(IndexError, match=f"image {image} of .*test; it has 20 images"):
            test_split.captions_of(image)
    assert test_split.captions_of(-1) == test_split.captions_of(len(test_split) - 1) == test_split[-1].captions


def test_completion_offers_the_public_names():
    assert {"show", "tuned", "Run", "DamagedError", "GridError"} <= set(dir(vl))
    for name in vl.__all__:
        assert getattr(vl, name) is not None
