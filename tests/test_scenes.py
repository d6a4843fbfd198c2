"""Tests of the embedded data set: deterministic, true, and free of symbolic leaks."""

import inspect
from itertools import pairwise

import numpy as np
import pytest

from vsrpp_lite.data import scenes
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.scenes import make_example, origin
from vsrpp_lite.data.scenes.draw import draw
from vsrpp_lite.data.scenes.plans import FAMILY, sample_scene
from vsrpp_lite.data.scenes.regions import F, R, _detect, detected_regions
from vsrpp_lite.data.scenes.words import COLOURS, COUNTS, NAMES, PLURALS
from vsrpp_lite.data.scenes.world import HEIGHT, PLACES, WIDTH

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("scenes")]  # drawn once, for all tests
COUNT = 160


@pytest.fixture(scope="module")
def examples():
    return [make_example(3, "train", index) for index in range(COUNT)]


def _same(one, other) -> bool:
    return (
        one.scene == other.scene
        and one.captions == other.captions
        and one.count == other.count
        and one.features.tobytes() == other.features.tobytes()
        and one.boxes.tobytes() == other.boxes.tobytes()
        and one.picture.tobytes() == other.picture.tobytes()
    )


def test_what_another_generator_drew_is_not_taken_for_ours(scenes_folder, monkeypatch):
    assert scenes.ensure(scenes_folder, seed=1, size="tiny") == scenes_folder
    monkeypatch.setattr(origin, "VERSION", origin.VERSION + 1)
    with pytest.raises(DataError, match=r"source is .*version 1, seed 1.*; expected .*version 2, seed 1"):
        scenes.ensure(scenes_folder, seed=1, size="tiny")


def test_everybody_may_see_the_pictures(scenes_folder):
    """A class shares one home: drawn by one, looked at by all."""
    shared = scenes_folder.stat().st_mode
    assert {path.stat().st_mode for path in scenes_folder.rglob("*") if path.is_dir()} == {shared}


def test_examples_do_not_depend_on_the_order_of_calls(examples):
    for index in reversed(range(0, COUNT, 7)):
        assert _same(make_example(3, "train", index), examples[index])


def test_seeds_and_splits_differ(examples):
    for seed, split in ((4, "train"), (3, "dev"), (3, "test")):
        assert make_example(seed, split, 0).scene != examples[0].scene


def test_shapes_and_unused_rows(examples):
    for e in examples:
        assert e.picture.size == (WIDTH, HEIGHT) and e.picture.mode == "RGB"
        assert e.features.shape == (R, F) and e.features.dtype == np.float32
        assert e.boxes.shape == (R, 4) and e.boxes.dtype == np.float32
        assert 1 <= e.count <= R
        assert not e.features[e.count :].any() and not e.boxes[e.count :].any()
        assert np.isfinite(e.features).all() and e.features[: e.count].any(axis=1).all()
        used = e.boxes[: e.count]
        assert used.min() >= 0 and used.max() <= 1 and (used[:, 2:] > used[:, :2]).all()
    scale = np.concatenate([e.features[: e.count] for e in examples]).std()
    assert 0.5 < scale < 2


def test_captions_have_their_form(examples):
    for e in examples:
        assert len(e.captions) == 5
        for caption in e.captions:
            words = caption.split(" ")
            assert words.pop() == "." and 6 <= len(words) <= 16
            assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
            assert all(one != two for one, two in pairwise(words)), caption


def test_vocabulary_is_small_but_not_tiny():
    words = set()
    for index in range(0, 2400, 3):
        words.update(" ".join(make_example(0, "train", index).captions).split())
    assert 250 <= len(words) <= 400


def test_families_differ_in_more_than_positions():
    for start in range(0, 600, 3 * FAMILY):
        seen = set()
        for index in range(start, start + FAMILY):
            scene = sample_scene(1, "dev", index)
            looks = tuple((t.kind, t.colour, t.size, t.pattern, t.pose) for t in scene.things)
            links = tuple((r.subject, r.name, r.object) for r in scene.relations)
            seen.add((scene.place, scene.light, looks, links))
        assert len(seen) == FAMILY


def test_scenes_are_well_formed():
    for index in range(400):
        scene = sample_scene(2, "train", index)
        assert 2 <= len(scene.things) <= 7
        assert sorted(t.depth for t in scene.things) == list(range(len(scene.things)))
        for thing in scene.things:
            assert thing.kind in PLACES[scene.place]
            assert thing.x - thing.width / 2 >= 0 and thing.x + thing.width / 2 <= WIDTH
            assert thing.y <= HEIGHT + 2


def _overlap(one, other) -> bool:
    return abs(one.x - other.x) < (one.width + other.width) / 2 + 5


def test_relations_are_true_of_the_geometry():
    checks = {
        "left of": lambda a, b: a.x + a.width / 2 <= b.x - b.width / 2,
        "right of": lambda a, b: a.x - a.width / 2 >= b.x + b.width / 2,
        "bigger than": lambda a, b: a.width * a.height > 1.5 * b.width * b.height,
        "on": lambda a, b: _overlap(a, b) and b.y - b.height <= a.y < b.y and a.depth > b.depth,
        "under": lambda a, b: _overlap(a, b) and a.y - a.height > b.y - b.height,
        "in front of": lambda a, b: _overlap(a, b) and a.depth > b.depth and a.y > b.y,
        "behind": lambda a, b: _overlap(a, b) and a.depth < b.depth and a.y < b.y,
        "near": _overlap,
        "holding": lambda a, b: _overlap(a, b) and b.y < a.y,
    }
    seen = set()
    for index in range(1200):
        scene = sample_scene(5, "test", index)
        for r in scene.relations:
            assert checks[r.name](scene.things[r.subject], scene.things[r.object]), (index, r)
            seen.add(r.name)
    assert seen == set(checks)


def test_every_thing_is_visible_and_drawn_where_the_scene_says():
    for index in range(200):
        scene = sample_scene(6, "train", index)
        _, boxes = draw(scene)
        assert boxes.shape == (len(scene.things), 4)
        assert ((boxes[:, 2:] - boxes[:, :2]) >= 5).all(), (index, boxes)
        for thing, (x0, y0, x1, y1) in zip(scene.things, boxes, strict=True):
            assert x0 >= thing.x - thing.width / 2 - 5 and x1 <= thing.x + thing.width / 2 + 5
            assert y0 >= thing.y - thing.height - 5 and y1 <= thing.y + 5


def _singular(word: str) -> str:
    irregular = {plural: single for single, plural in PLURALS.items()}
    known = {name for names in NAMES.values() for name in names}
    word = irregular.get(word, word)
    return word if word in known else word.removesuffix("s")


def test_captions_only_name_kinds_and_colours_of_the_scene(examples):
    known = {name for names in NAMES.values() for name in names}
    shades = {shade for options in COLOURS.values() for shade in options}
    for e in examples:
        kinds = {name for t in e.scene.things for name in NAMES[t.kind]}
        colours = {shade for t in e.scene.things for shade in COLOURS[t.colour]}
        for caption in e.captions:
            words = caption.replace("under a blue sky", "").split()
            assert {_singular(w) for w in words} & known <= kinds, (caption, kinds)
            assert set(words) & shades <= colours, (caption, colours)


def test_counts_are_exact(examples):
    numbers = {text.split()[0]: n for n, texts in COUNTS.items() for text in texts if " " not in text}
    checked = 0
    for e in examples:
        for caption in e.captions:
            words = caption.split()
            for place, word in enumerate(words):
                if word not in numbers:
                    continue
                names = (_singular(w) for w in words[place:])
                kind = next(k for w in names for k, n in NAMES.items() if w in n and _has(e, k))
                things = [t for t in e.scene.things if t.kind == kind]
                assert len(things) == numbers[word], caption
                checked += 1
    assert checked > 5


def _has(example, kind: str) -> bool:
    return any(t.kind == kind for t in example.scene.things)


def test_features_depend_on_the_picture_the_boxes_and_the_noise_only(examples):
    assert list(inspect.signature(detected_regions).parameters) == ["picture", "boxes", "rng"]
    scene = examples[0].scene
    picture, boxes = draw(scene)
    one = detected_regions(picture, boxes, np.random.default_rng(1))
    other = detected_regions(picture.copy(), boxes.copy(), np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    blank = picture.copy()
    blank.paste((0, 0, 0), (0, 0, WIDTH, HEIGHT))
    dark = detected_regions(blank, boxes, np.random.default_rng(1))
    assert np.array_equal(dark[1], one[1]) and not np.allclose(dark[0], one[0])


def _looks(scene):
    return {(t.kind, t.colour, t.size, t.pattern, t.pose) for t in scene.things}


def test_the_two_of_a_family_differ_in_one_detail_and_strangers_in_many():
    """One edit changes the looks of no thing, of one, or of two that exchange their colours: four looks at most."""
    changed = []
    for start in range(0, 300, 3 * FAMILY):
        one, other = (sample_scene(1, "train", index) for index in (start, start + 1))
        assert one.backdrop == other.backdrop
        changed.append(len(_looks(one) ^ _looks(other)))
        assert changed[-1] <= 4
    assert 0 in changed  # sides exchanged, another light, one ball more: the same looks
    strangers = [[sample_scene(1, "train", index) for index in (start, start + 1)] for start in range(2, 300, 6)]
    assert np.median([len(_looks(one) ^ _looks(other)) for one, other in strangers]) > 4


def test_the_detector_misses_small_things_more_often_than_large_ones():
    """A box of area a with probability 0.04 + 0.2 exp(-a / 250): in 4 % of all cases, and of 10 x 10 in 17 %."""
    boxes = np.array([[20.0, 20.0, 30.0, 30.0], [100.0, 60.0, 200.0, 160.0]])
    found = np.zeros(2)
    for seed in range(1500):
        corners = _detect(boxes, (WIDTH, HEIGHT), np.random.default_rng(seed))
        assert len(corners) <= R
        for k, box in enumerate(boxes):
            near = np.abs(corners - box).max(1) < max(6, 0.25 * (box[2] - box[0]))
            found[k] += near.any()
    small, large = 1 - found / 1500
    assert small == pytest.approx(0.04 + 0.2 * np.exp(-100 / 250), abs=0.04)
    assert large == pytest.approx(0.04, abs=0.02)
