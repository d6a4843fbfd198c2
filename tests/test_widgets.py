"""Widgets without a browser: a control is moved, and the picture and the numbers are those of the new value."""

import copy

import matplotlib

matplotlib.use("Agg")

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from vsrpp_lite import show
from vsrpp_lite.show import widgets
from vsrpp_lite.training.metrics import score, sweep

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    before = plt.get_fignums()  # a test that failed elsewhere may have left some
    yield
    assert plt.get_fignums() == before


def within(widget):
    """The widget and all that it holds."""
    return [widget] + [inner for child in getattr(widget, "children", ()) for inner in within(child)]


def control(widget, description):
    (found,) = (inner for inner in within(widget) if getattr(inner, "description", None) == description)
    return found


def pictures(widget):
    return [inner for inner in within(widget) if isinstance(inner, ipywidgets.Image)]


def test_mu_moves_the_numbers_and_the_picture():
    following, own, where = np.roll(np.eye(3), 1, axis=1), np.eye(3), np.arange(3)
    widget = widgets.mu_slider(following, own, where)
    mu = control(widget, "mu")
    assert (mu.min, mu.max, mu.step) == (0, 4, 0.1)
    (picture,) = pictures(widget)
    (numbers,) = (inner for inner in within(widget) if isinstance(inner, ipywidgets.HTML))
    swept = sweep(following, own, where, [*(k / 10 for k in range(41)), np.inf])
    seen = set()
    # S_L finds the right one, S_G another: up to mu = 1 the other wins, a tie counting for it
    for value, r1, mean, total in ((0.9, 0, 66.7, 400), (1.0, 0, 66.7, 400), (1.1, 100, 100, 600), (0.3, 0, 66.7, 400)):
        mu.value = value
        assert f"mR {mean:.1f}, rsum {total:.1f}" in numbers.value
        assert numbers.value.count("<td>0.0</td>") == (2 if r1 == 0 else 0)
        assert picture.value == widgets.png(show.curves(swept, value))
        seen.add(picture.value)
    assert len(seen) == 4


def test_where_no_kernel_runs_a_widget_says_where_it_moves():
    shown = widgets.mu_slider(np.eye(3), np.eye(3), np.arange(3))._repr_mimebundle_()
    assert "Open this notebook in JupyterLab to move this" in shown["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_a_word_is_picked(drawn):
    matcher, dev = drawn
    widget = widgets.word_picker(matcher, dev, 2, "a tree and a dog")
    word, (picture,) = control(widget, "word"), pictures(widget)
    assert [label for label, _ in word.options] == ["a", "tree", "and", "a", "dog"]
    for place in (2, 5):
        word.value = place
        assert picture.value == widgets.png(show.attention(matcher, dev, 2, "a tree and a dog", words=[place]))
    word.value = 4
    fourth = picture.value
    word.value = 1
    assert picture.value != fourth  # the second "a" is not the first


def test_a_region_and_a_layer_are_picked(drawn):
    matcher, dev = drawn
    widget = widgets.region_picker(matcher, dev, 1)
    region, layer, (picture,) = control(widget, "region"), control(widget, "layer"), pictures(widget)
    assert region.max == dev.mask[1].sum() - 1
    assert (layer.min, layer.max) == (1, 2)
    region.value = 0
    before = picture.value
    region.value = 1
    assert picture.value == widgets.png(show.affinity(matcher, dev, 1, region=1)) != before
    layer.value = 2
    assert picture.value == widgets.png(show.affinity(matcher, dev, 1, region=1, layer=1))


def test_a_sentence_finds_pictures_and_a_picture_sentences(drawn):
    matcher, dev = drawn
    widget = widgets.search(matcher, dev)
    sentence, picture = control(widget, "sentence"), control(widget, "picture")
    found, told = pictures(widget)
    before = found.value, told.value
    sentence.value = "a red dog"
    assert found.value == widgets.png(show.retrieval(matcher, dev, "a red dog")) != before[0]
    assert told.value == before[1]
    picture.value = 3
    scores = score(matcher.similarity, *matcher.encode(dev))
    assert told.value == widgets.png(show.image_query({"": scores}, dev, 3, top=5)) != before[1]
    picture.value = 10**6
    assert picture.value == len(dev) - 1


class Turned(torch.nn.Module):
    """A similarity that is turned round while it trains: what it finds last then, it finds first otherwise."""

    def forward(self, images, texts):
        scores = images.pooled @ texts.pooled.T
        return -scores if self.training else scores


def test_a_search_finds_the_same_with_a_matcher_that_is_still_training(drawn):
    matcher, dev = copy.deepcopy(drawn)
    matcher.similarity = Turned()
    asked = [picture.value for picture in pictures(widgets.search(matcher.eval(), dev))]
    assert [picture.value for picture in pictures(widgets.search(matcher.train(), dev))] == asked
