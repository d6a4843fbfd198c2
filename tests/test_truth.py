"""Facts of captions, their truth, and minimal pairs. A small scene below serves as the oracle: read it, and judge."""

from dataclasses import replace

import numpy as np
import pytest

import vsrpp_lite as vl
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.scenes import origin
from vsrpp_lite.data.scenes.captions import annotate
from vsrpp_lite.data.scenes.facts import Facts, Link, Mention, read
from vsrpp_lite.data.scenes.plans import sample_scene
from vsrpp_lite.data.scenes.probes import EDITS, Probe, falsified, in_one_half, middles, probes
from vsrpp_lite.data.scenes.truth import holds, scenes
from vsrpp_lite.data.scenes.world import Relation, Scene, Thing

pytestmark = pytest.mark.xdist_group("scenes")  # drawn once, for all tests


def thing(kind, colour, size="medium", pattern="plain", pose=""):
    return Thing(kind, colour, size, pattern, pose, mirrored=False)


FARM = Scene(
    "farm",
    "rain",
    0,
    (
        thing("dog", "brown", "small", pose="running"),  # 0
        thing("table", "red"),  # 1
        thing("cat", "white", pattern="spotted", pose="sitting"),  # 2, on the table
        thing("ball", "blue"),  # 3
        thing("ball", "blue"),  # 4
        thing("girl", "green", pose="standing"),  # 5
    ),
    (
        *(Relation(0, "left of", k) for k in range(1, 6)),
        *(Relation(k, "right of", 0) for k in range(1, 6)),
        Relation(2, "on", 1),
        *(Relation(k, "left of", 5) for k in range(5)),
        *(Relation(5, "right of", k) for k in range(5)),
        Relation(5, "bigger than", 0),
    ),
)
"""From left to right: a small brown dog runs; a spotted white cat sits on a red table; two blue balls; a girl in green.
It rains on the farm."""


@pytest.mark.parametrize(
    "sentence",
    [
        "a puppy runs left of a table .",
        "a little chestnut dog can be seen in a field in the rain .",
        "there is a kitten which is upon a desk that is red .",
        "a desk has a cat on it .",
        "a dotted white cat is sitting on a table .",
        "a pale cat with dots rests on a rainy farm .",
        "two blue balls to the left of a child .",
        "we see a pair of azure spheres and a girl in a green dress by a barn .",
        "a kid dressed in green bigger than a dog .",
        "a ball and a ball near a fence on a wet day .",
        "a wet field with a ball in view .",
    ],
)
def test_what_is_so_is_true(sentence):
    assert holds(read(sentence), FARM)


@pytest.mark.parametrize(
    "sentence",
    [
        "a puppy runs right of a table .",  # it is left of it
        "a puppy sits left of a table .",  # it runs
        "a big dog .",  # it is small
        "a dog of white colour .",  # the cat is white
        "a table on a cat .",
        "a cat under a table .",
        "three blue balls .",  # there are two
        "two balls left of a dog .",
        "a ball and a ball and a ball .",  # three mentions name three things
        "two blue balls and a ball .",
        "a girl in a green shirt .",  # only boys wear shirts here
        "a striped cat .",
        "a dog bigger than a girl .",
        "a cat on a farm at night .",
        "a cat in a park in the rain .",
    ],
)
def test_what_is_not_so_is_false(sentence):
    assert not holds(read(sentence), FARM)


def test_a_number_is_exact_and_the_article_is_not():
    three = replace(FARM, things=(*FARM.things, thing("ball", "blue")))
    told = {"a ball .": True, "two balls .": False, "three blue balls .": True, "four balls .": False}
    assert {sentence: holds(read(sentence), three) for sentence in told} == told


def test_a_caption_states_what_its_words_say_and_nothing_else():
    assert read("three spotted red balls lie on the left side of a child in a dark city .") == Facts(
        mentions=(
            Mention(frozenset({"ball"}), 3, "red", None, "spotted", "lies"),
            Mention(frozenset({"girl", "boy"})),
        ),
        links=(Link(0, "left of", 1),),
        places=frozenset({"street"}),
        lights=frozenset({"night"}),
    )


def test_the_passive_turns_a_relation_round():
    assert read("a kite is held by a boy .").links == (Link(1, "holding", 0),)
    assert read("a box has a bird on it .").links == (Link(1, "on", 0),)


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "the caption is empty"),
        ("a red zebra .", "word 3: found 'zebra'; expected a noun in the singular"),
        ("two ball .", "word 2: found 'ball'; expected a noun in the plural"),
        ("left of a dog .", "word 1: found 'left of a'; expected a thing before the relation"),
        ("a dog left of .", "word 5: found 'the end'; expected a thing after 'left of'"),
        ("a dog has a ball .", "word 6: found 'the end'; expected \"on it\""),
        ("a dog quickly .", "word 3: found 'quickly'; expected a thing, a relation, a place or a light"),
    ],
)
def test_a_sentence_that_is_not_understood_is_refused_with_its_place(sentence, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        read(sentence)


def test_every_caption_of_the_generator_is_understood_and_true_of_its_scene():
    for index in range(300):
        scene = sample_scene(11, "train", index)
        for caption in annotate(scene, np.random.default_rng(index)):
            assert holds(read(caption), scene), caption


@pytest.fixture(scope="module")
def drawn(scenes_folder):
    return vl.open_split(scenes_folder, "test")


def test_the_matrix_asks_every_pair(drawn):
    few = drawn[:12]
    true = vl.truth(few)
    expected = [[holds(read(caption), scene) for caption in few.captions] for scene in scenes(few)]
    np.testing.assert_array_equal(true, expected)
    assert true[few.caption_to_image, np.arange(len(few.captions))].all()


def test_some_of_the_pictures_have_the_scenes_of_those_pictures(drawn):
    chosen = np.array([7, 3])
    assert scenes(drawn[chosen]) == [scenes(drawn)[7], scenes(drawn)[3]]


def test_nobody_knows_the_truth_of_other_data(toy):
    with pytest.raises(DataError, match=r"manifest.json: source is 'tests'; expected a data set that this version"):
        vl.truth(vl.open_split(toy, "test"))


def test_what_an_older_generator_drew_may_show_other_things(drawn, monkeypatch):
    monkeypatch.setattr(origin, "VERSION", origin.VERSION + 1)
    with pytest.raises(DataError, match=r"source is 'vsrpp_lite.scenes, version 1, .*; expected a data set that this"):
        vl.truth(drawn)


def test_minimal_pairs_are_true_and_false(drawn):
    of_images, found = scenes(drawn), probes(drawn)
    assert {probe.kind for probe in found} == EDITS.keys()
    for probe in found:
        assert holds(read(probe.right), of_images[probe.image])
        assert not holds(read(probe.wrong), of_images[probe.image])


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("left and right", "a dog is left of a cat .", "a dog is {right of} a cat ."),
        ("on and under", "a cat sits on a table in the rain .", "a cat sits {under} a table in the rain ."),
        ("things exchanged", "a cat on a table .", None),  # only left and right
        ("things exchanged", "a small dog left of a girl .", "a girl left of a small dog ."),
        ("colours exchanged", "a brown dog and a white cat .", "a white dog and a brown cat ."),
        ("colours exchanged", "a brown dog and a blue ball .", None),  # no dog is blue
        ("another number", "a pair of blue balls .", None),  # only plain numbers are edited
        ("another light", "a girl under a table .", None),
    ],
)
def test_edits_change_one_detail(kind, right, wrong):
    found = falsified(right, FARM, kind, np.random.default_rng(0))
    if wrong is None:
        assert found is None
    elif "{" in wrong:
        before, rest = wrong.split("{")
        instead, after = rest.split("}")
        assert found.startswith(before)
        assert found.endswith(after)
        assert read(found).links[0].name == instead
    else:
        assert found == wrong


def test_two_things_stand_in_one_half_or_in_two():
    """The picture is 256 wide, so its middle is at 128. Two balls at 100 and 180 count as one thing at 140."""
    at = (30, 90, 90, 100, 180, 200)
    scene = replace(FARM, things=tuple(replace(each, x=float(x)) for each, x in zip(FARM.things, at, strict=True)))

    def pair(caption):
        return Probe("left and right", 0, caption, "")

    assert middles(pair("a dog left of a table ."), scene) == (30, 90)
    assert in_one_half(pair("a dog left of a table ."), scene)
    assert not in_one_half(pair("a girl right of a dog ."), scene)
    assert middles(pair("two blue balls left of a girl ."), scene) == (140, 200)
    assert in_one_half(pair("two blue balls left of a girl ."), scene)


def test_articles_follow_the_edit():
    sentence = "an orange cat left of a ball ."
    rng = np.random.default_rng(0)
    assert falsified(sentence, FARM, "things exchanged", rng) == "a ball left of an orange cat ."
