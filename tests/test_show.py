"""Figures draw what they were given: the numbers on the axes are read back."""

import base64
import io
import json
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SMALL
from PIL import Image

from vsrpp_lite import show
from vsrpp_lite.data.text import tokenize
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.paper.tables import COMPARED
from vsrpp_lite.settings import Training
from vsrpp_lite.show import try_it
from vsrpp_lite.show.pictures import attended, picture
from vsrpp_lite.show.widgets import word_picker
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.metrics import METRICS, score, sweep
from vsrpp_lite.training.runs import Run

pytestmark = pytest.mark.slow

# S_G finds the next picture, S_L the right one: mu decides, and at mu = 1 a tie counts against us
NEXT, OWN, WHERE = np.roll(np.eye(3), 1, axis=1), np.eye(3), np.arange(3)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


MEASURED = pd.DataFrame(
    {
        "row": ["first", "second", "third"],
        "rsum": [300.0, 410.0, 420.0],
        "rsum_lo": [290.0, 400.0, 415.0],
        "rsum_hi": [310.0, 420.0, 425.0],
        "rsum_paper": [480.0, 470.0, 490.0],
    }
)


def test_the_table_joins_each_rows_published_place_with_its_measured_one():
    """Published: third, first, second. Ours: third, second, first. So `third` keeps its place, and the others swap."""
    places, intervals = show.table(MEASURED).axes
    assert [line.get_ydata().tolist() for line in places.lines] == [[2, 3], [3, 2], [1, 1]]
    assert [text.get_text() for text in places.texts[1:6:2]] == ["300.0  first ▼", "410.0  second ▲", "420.0  third"]
    assert len({line.get_color() for line in places.lines}) == 3
    assert intervals.lines[0].get_xdata().tolist() == [300.0, 410.0, 420.0]
    assert intervals.collections[0].get_segments()[0][:, 0].tolist() == [290.0, 310.0]
    assert [label.get_text() for label in intervals.get_yticklabels()] == ["first", "second", "third"]


def test_every_metric_of_a_claim_has_a_name():
    """The table of claims may compare any of `COMPARED`, and not rsum alone."""
    line = {"better": "A", "worse": "B", "difference": 3.0, "lo": 1.0, "hi": 5.0, "verdict": "reproduced"}
    ax = show.claims(pd.DataFrame([line | {"metric": metric} for metric in COMPARED])).axes[0]
    named = [label.get_text().partition("\n")[2] for label in ax.get_yticklabels()]
    assert len(set(named)) == len(COMPARED) and "(text retrieval, R@1 (%))" in named and "" in named


def test_published_and_measured_numbers_share_no_axis():
    for ax in show.table(MEASURED).axes:
        drawn = [x for line in ax.lines for x in line.get_xdata()]
        assert not set(drawn) & set(MEASURED["rsum_paper"])


def test_rows_without_published_figures_have_intervals_alone():
    assert len(show.table(MEASURED.assign(rsum_paper=np.nan)).axes) == 1


def test_a_figure_describes_itself_for_those_who_do_not_see_it():
    text = show.table(MEASURED).get_label()
    assert "third 420.0 (415.0 to 425.0), second 410.0" in text and "The published order: third, first, second." in text
    assert "published" not in show.table(MEASURED.assign(rsum_paper=np.nan)).get_label()
    line = {"better": "A", "worse": "B", "difference": 3.0, "lo": 1.0, "hi": 5.0, "verdict": "reproduced"}
    assert "A − B: 3.0 (1.0 to 5.0), reproduced" in show.claims(pd.DataFrame([line])).get_label()
    history = pd.DataFrame({"dev.rsum": [100.0, 200.0]}, index=[1, 2])
    assert "VSRN from 100 to 200" in show.history({"VSRN": history}).get_label()


def test_every_picture_that_is_found_is_told(drawn):
    matcher, dev = drawn
    first = dev.captions_of(3)[0].rstrip(" .")
    assert first in show.gallery(dev, [3]).get_label()
    scores = np.eye(len(dev))[3]
    label = show.pictures.pictures_found({"S": scores}, dev, "a dog .", 1, right=3).get_label()
    assert "“a dog”" in label and f"S, which has the right picture at place 1: {first}" in label
    assert "looks most at region" in show.attention(matcher, dev, 2, "a tree is left of a zebra").get_label()


def test_claims_are_drawn_with_their_verdicts():
    verdicts = pd.DataFrame(
        {"better": ["A"], "worse": ["B"], "difference": [3.0], "lo": [1.0], "hi": [5.0], "verdict": ["reproduced"]}
    )
    ax = show.claims(verdicts).axes[0]
    assert ax.lines[0].get_xdata() == pytest.approx([3.0])
    assert [text.get_text() for text in ax.texts] == ["reproduced"]


def test_a_claim_that_only_its_own_interval_supports_is_grey():
    line = {"better": "A", "worse": "B", "difference": 3.0, "lo": 1.0, "hi": 5.0, "verdict": "reproduced"}
    alone, both = line | {"verdict_holm": "inconclusive"}, line | {"verdict_holm": "reproduced"}
    ax = show.claims(pd.DataFrame([alone, both])).axes[0]
    assert [text.get_text() for text in ax.texts] == ["reproduced (inconclusive by Holm)", "reproduced"]
    grey, green = ([int(part, 16) for part in (c[1:3], c[3:5], c[5:7])] for c in (t.get_color() for t in ax.texts))
    assert len({*grey}) == 1 and green[1] > max(green[0], green[2])


def test_a_claim_about_another_metric_than_rsum_is_labelled_with_it():
    line = {"better": "A", "worse": "B", "difference": 3.0, "lo": 1.0, "hi": 5.0, "verdict": "reproduced"}
    ax = show.claims(pd.DataFrame([line | {"metric": "rsum"}, line | {"metric": "i2t - t2i"}])).axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["A  −  B", "A  −  B\n(lead of text over image retrieval)"]


def test_a_study_shows_every_setting_by_its_rate_and_rings_each_systems_best():
    """Of three settings two have one rate. SCAN is best at the first place, VSRN at the last. Seed 1 is not drawn.

    The number of each setting stands in brackets.
    """
    found = [("SCAN", 0, 0.02, 30.0), ("SCAN", 1, 0.01, 50.0), ("SCAN", 2, 0.02, 40.0)]
    found += [("VSRN", 0, 0.02, 10.0), ("VSRN", 1, 0.01, 20.0), ("VSRN", 2, 0.02, 60.0)]
    first = pd.DataFrame(found, columns=["row", "draw", "learning_rate", "dev_rsum"])
    lines = pd.concat([first.assign(seed=0), first.assign(seed=1, dev_rsum=99.0)])
    (ax,) = show.study(lines).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.01 (1)", "0.02 (0)", "0.02 (2)"]
    drawn = {tuple(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 3}
    assert drawn == {(50.0, 30.0, 40.0), (20.0, 10.0, 60.0)}
    assert sorted(map(tuple, ax.collections[-1].get_offsets().tolist())) == [(0.0, 50.0), (2.0, 60.0)]


def test_history_has_a_line_a_system():
    frame = pd.DataFrame({"dev.rsum": [100.0, 200.0]}, index=[1, 2])
    ax = show.history({"one": frame, "two": frame * 2}).axes[0]
    assert ax.lines[0].get_xdata().tolist() == [1, 2]
    assert ax.lines[0].get_ydata().tolist() == [100.0, 200.0]


def test_a_gallery_shows_each_picture_under_its_caption(drawn):
    dev = drawn[1]
    figure = show.gallery(dev, [3, 0, 7], columns=2)
    assert [ax.get_title().replace("\n", " ") for ax in figure.axes[:3]] == [
        dev.captions_of(k)[0].rstrip(" .") for k in (3, 0, 7)
    ]
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 0]
    assert figure.axes[0].images[0].get_array().shape == (192, 256, 3)


def test_a_typed_sentence_finds_its_best_pictures_in_order(toy):
    run = Run(system=VSRpp(), data=str(toy), sizes=SMALL)
    matcher, test = run.build(), run.dataset("test")
    figure = show.retrieval(matcher, test, "a red dog", top=3)
    found = score(matcher.similarity, matcher.encode_images(test), matcher.encode_texts(["a red dog"]))[:, 0]
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [f"{k}.  score {s:.2f}" for k, s in enumerate(np.sort(found)[::-1][:3], 1)]


def test_a_sweep_has_a_row_a_mu_and_local_alone_at_infinity():
    swept = sweep(NEXT, OWN, WHERE, [0.0, 0.5, 1.0, 1.5, np.inf])
    assert tuple(swept.columns) == METRICS
    assert swept.index.name == "mu" and swept.index.tolist() == [0.0, 0.5, 1.0, 1.5, np.inf]
    assert swept["i2t_r1"].tolist() == swept["t2i_r1"].tolist() == [0, 0, 0, 100, 100]
    assert (swept["i2t_r5"] == 100).all()
    assert swept["rsum"].tolist() == pytest.approx([400, 400, 400, 600, 600])


def test_the_sweep_is_drawn_with_its_mu_marked():
    for ax in show.mu_sweep(NEXT, OWN, WHERE, mus=[0.0, 0.5, 2.0, np.inf], mu=1.25).axes:
        r1, dot = ax.lines[:2]
        assert r1.get_xdata().tolist() == [0, 0.5, 1.25, 2]
        assert r1.get_ydata().tolist() == [0, 0, 100, 100]
        assert (dot.get_xdata().tolist(), dot.get_ydata().tolist()) == ([1.25], [100])
        assert [text.get_text() for text in ax.texts] == ["R@1", "100.0", "R@5", "100.0", "R@10", "100.0"]
        assert [list(line.get_ydata()) for line in ax.lines if line.get_linestyle() == "--"] == [[100, 100]]
    assert [ax.get_title() for ax in plt.gcf().axes] == ["text retrieval, recall (%)", "image retrieval, recall (%)"]
    assert all(len(ax.lines) == 3 for ax in show.mu_sweep(NEXT, OWN, WHERE, mus=[0.0, 2.0]).axes)


def one_word_a_region(matcher, regions):
    """Word k is region k, at right angles to the others; `regions` exist, of one more that is missing."""
    mask = torch.arange(regions + 1) < regions
    fragments = torch.eye(16)[None, : regions + 1] * mask[None, :, None]
    matcher.encode_images = lambda _: Encoded(torch.eye(16)[:1], fragments, mask[None])
    matcher.encode_texts = lambda _: Encoded(
        torch.eye(16)[:1], torch.eye(16)[None, :regions], torch.ones(1, regions, dtype=torch.bool)
    )


def test_attention_weights_are_a_softmax_over_the_real_regions(drawn):
    matcher, dev = drawn
    one_word_a_region(matcher, 4)
    weights = show.attention_weights(matcher, dev, 0, "a tree")
    own, other = np.exp(9) / (np.exp(9) + 3), 1 / (np.exp(9) + 3)
    np.testing.assert_allclose(weights, np.where(np.eye(4), own, other), rtol=1e-5)
    assert weights.index.tolist() == ["<start>", "a", "tree", "<end>"]


def test_attention_is_that_of_the_system_in_its_own_direction_and_at_its_own_temperature(scenes_folder):
    """For i2t each region spreads its attention over the words; and a hotter attention is sharper."""

    def weights(system):
        run = Run(system=system, data=str(scenes_folder), sizes=SMALL)
        return show.attention_weights(run.build(), run.dataset("dev"), 0, "a tree is left of a zebra").to_numpy()

    t2i, i2t = weights(VSRpp()), weights(SCAN(direction="i2t", temperature=4.0))
    assert t2i.sum(1) == pytest.approx(np.ones(len(t2i)))
    assert i2t.sum(0) == pytest.approx(np.ones(i2t.shape[1]))
    assert weights(VSRpp(temperature=30.0)).max() > t2i.max()
    with pytest.raises(ValueError, match="no attention between regions and words to show"):
        weights(VSRN())


def test_attention_draws_each_word_with_boxes_as_wide_as_their_weights(drawn):
    matcher, dev = drawn
    weights = show.attention_weights(matcher, dev, 2, "a tree is left of a zebra")
    assert weights.shape == (9, dev.mask[2].sum())
    figure = show.attention(matcher, dev, 2, "a tree is left of a zebra", words=[2, 0])
    assert [ax.get_title() for ax in figure.axes] == ["tree", "<start>"]
    for ax, row in zip(figure.axes, (2, 0)):
        even = 1 / weights.shape[1]
        strength = ((weights.iloc[row] - even).clip(lower=0) / (1 - even)) ** 0.5
        assert [edge.get_linewidth() for edge in ax.patches] == pytest.approx(4 * strength, abs=1e-3)
        assert [edge.get_alpha() for edge in ax.patches] == pytest.approx(strength, abs=1e-3)
        corners = dev.boxes[2][dev.mask[2]] * [256, 192, 256, 192]
        np.testing.assert_allclose([edge.get_xy() for edge in ax.patches], corners[:, :2], rtol=1e-5)


def test_boxes_without_pictures_are_refused(drawn, tmp_path):
    _, dev = drawn
    ax, weights = plt.figure().add_subplot(), np.ones(dev.mask[0].sum())
    with pytest.raises(ValueError, match="found boxes and no pictures; expected both"):
        show.pictures.boxes(ax, replace(dev, folder=tmp_path), 0, weights, ["red"] * len(weights))
    with pytest.raises(ValueError, match="found no boxes; expected both"):
        show.pictures.boxes(ax, replace(dev, boxes=None), 0, weights, ["red"] * len(weights))
    plt.close()


def test_a_pixel_is_as_clear_as_the_mean_weight_of_the_regions_that_cover_it(drawn):
    """A region of weight 0.6 is the left half of the picture, and one of 0.2 the upper half. An even share is 0.4.

    The upper left quarter has the mean 0.4, and the lower left one, which is the clearest, 0.6. So the shares of the
    clearest are 2/3 and 1 on the left, and 1/3 and 0 on the right. The least clear pixel keeps a fifth. The first
    rectangle has the strength of the root of (0.6 - 0.4) / (1 - 0.4), and the second has none.
    """
    _, dev = drawn
    halves = np.array([[[0, 0, 0.5, 1], [0, 0, 1, 0.5]]])
    one = replace(dev[:1], boxes=halves, mask=np.ones((1, 2), dtype=bool))
    ax = plt.figure().add_subplot()
    attended(ax, one, 0, np.array([0.6, 0.2]), even=0.4, colour="red")
    shares = np.array([[2 / 3, 1 / 3], [1, 0]]).repeat(96, 0).repeat(128, 1)
    np.testing.assert_allclose(ax.images[0].get_alpha(), 0.2 + 0.8 * shares)
    assert [edge.get_alpha() for edge in ax.patches] == pytest.approx([(1 / 3) ** 0.5, 0])


def test_a_single_region_has_all_the_attention(drawn):
    _, dev = drawn
    one = replace(dev[:1], boxes=np.array([[[0.0, 0, 1, 1]]]), mask=np.ones((1, 1), dtype=bool))
    ax = plt.figure().add_subplot()
    attended(ax, one, 0, np.array([1.0]), even=1.0, colour="red")
    assert [edge.get_alpha() for edge in ax.patches] == [1.0]


def test_a_sentence_without_words_has_no_attention(drawn):
    matcher, dev = drawn
    for draw in (show.attention, word_picker):
        with pytest.raises(ValueError, match="the sentence is ''; expected at least one word"):
            draw(matcher, dev, 0, "")


def test_attention_chooses_the_rarest_words_in_the_order_of_the_sentence(drawn):
    matcher, dev = drawn
    sentence = dev.captions[0]
    index = matcher.tokenizer.index
    rare = sorted(tokenize(sentence), key=lambda word: -index.get(word, 3))[:4]
    titles = [ax.get_title() for ax in show.attention(matcher, dev, 0, sentence).axes]
    assert titles == [word for word in tokenize(sentence) if word in rare][:4]
    assert [ax.get_title() for ax in show.attention(matcher, dev, 0, "a is of").axes] == ["a", "is", "of"]


def test_attention_and_affinity_without_pictures_are_heatmaps(toy):
    run = Run(system=VSRpp(), data=str(toy), sizes=SMALL)
    matcher, test = run.build(), run.dataset("test")
    figure = show.attention(matcher, test, 0, "a red dog", words=[2, 3])
    weights = show.attention_weights(matcher, test, 0, "a red dog").iloc[[2, 3]]
    np.testing.assert_allclose(figure.axes[0].collections[0].get_array(), weights)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["red", "dog"]
    heat = show.affinity(matcher, test, 0).axes[0].collections[0].get_array()
    np.testing.assert_allclose(heat, show.affinities(matcher, test, 0))


@pytest.mark.parametrize("layer", [0, 1])
def test_affinities_are_those_of_the_regions_that_reach_the_layer(drawn, layer):
    matcher, dev = drawn
    image = int(dev.mask.sum(1).argmin())
    assert 1 < dev.mask[image].sum() < dev.mask.shape[1]  # some are missing
    graph = matcher.images.reason
    with torch.no_grad():
        for linear in (graph.layers[layer].theta, graph.layers[layer].phi):
            linear.weight.copy_(torch.eye(16))
            linear.bias.zero_()
        graph.layers[0].norm.weight.fill_(1.0)  # from here on it changes the regions
        regions, mask = dev.regions(np.array([image]))
        matcher.eval()
        reached = matcher.images.project(regions)
        if layer:
            reached = graph.layers[0](reached, mask)
        real = reached[0, mask[0]]
    matcher.train()
    found = show.affinities(matcher, dev, image, layer)
    np.testing.assert_allclose(found, real @ real.T / len(real), rtol=1e-4, atol=1e-5)
    assert matcher.training and not graph.layers[layer]._forward_hooks


def test_affinity_draws_one_region_s_row(drawn):
    matcher, dev = drawn
    matrix = show.affinities(matcher, dev, 1)
    scene, heat = show.affinity(matcher, dev, 1, region=1).axes[:2]
    np.testing.assert_allclose(heat.collections[0].get_array(), matrix, rtol=1e-6)
    assert heat.patches[0].get_xy() == (0, 1)
    assert [text.get_text() for text in scene.texts] == [str(k) for k in range(len(matrix))]
    widths = [line.get_linewidth() for line in scene.lines]
    assert widths == pytest.approx(6 * np.abs(matrix[1]) / np.abs(matrix).max(), rel=1e-5)
    assert "region 1 " in scene.get_title()
    taking = np.abs(matrix) * (1 - np.eye(len(matrix)))
    assert f"region {taking.sum(1).argmax()} " in show.affinity(matcher, dev, 1).axes[0].get_title()


def test_an_image_query_checks_the_captions_that_are_its_own(drawn):
    dev = drawn[1]
    own = (dev.caption_to_image == np.arange(len(dev))[:, None]).astype(float)
    first = np.eye(len(dev), len(dev.captions), k=3)  # image 2 prefers caption 5 above all
    figure = show.image_query({"picture": own, "odd": first + own / 2}, dev, 2)  # a system may have any name
    good, odd = (ax for ax in figure.axes if ax.get_title(loc="left"))
    mine = [int(text) for text in np.flatnonzero(dev.caption_to_image == 2)]
    assert len(figure.axes[0].images) == 1
    assert good.get_title(loc="left") == "picture"
    for ax, marks, captions in ((good, "✓✓✓", mine[:3]), (odd, "✗✓✓", [5, *mine[:2]])):
        assert "".join(text.get_text() for text in ax.texts[::2]) == marks
        shown = [text.get_text().replace("\n", " ") for text in ax.texts[1::2]]
        assert shown == [dev.captions[text].rstrip(" .") for text in captions]
    last, from_the_end = (show.image_query({"picture": own}, dev, image) for image in (len(dev) - 1, -1))
    assert [text.get_text() for text in last.axes[1].texts] == [text.get_text() for text in from_the_end.axes[1].texts]


def test_a_text_query_shows_the_pictures_and_the_rank_of_the_right_one(drawn):
    dev = drawn[1]
    text = int(np.flatnonzero(dev.caption_to_image == 1)[0])
    falling = np.tile(-np.arange(len(dev), dtype=float)[:, None], len(dev.captions))  # 0 first, then 1, 2, ...
    figure = show.text_query({"falling": falling, "rising": -falling}, dev, text)
    upper, lower = np.array(figure.axes).reshape(2, 3)
    assert [ax.texts[0].get_text() for ax in upper] == ["✗", "✓", "✗"]
    assert [ax.texts[0].get_text() for ax in lower] == ["✗", "✗", "✗"]
    assert upper[0].get_title(loc="left").strip() == "falling: right picture at place 2"
    assert lower[0].get_title(loc="left").strip() == f"rising: right picture at place {len(dev) - 1}"
    assert upper[1].get_title() == "2.  score -1.00"
    picture = plt.imread(dev.picture(1))
    np.testing.assert_array_equal(upper[1].images[0].get_array(), picture)


def test_the_page_without_python_holds_the_scores_to_a_ten_thousandth(scenes_folder, monkeypatch):
    """Six pictures of one tiny training: what JavaScript will add up is what Python scores."""
    monkeypatch.setattr(try_it, "PICTURES", 6)
    monkeypatch.setattr(try_it, "ATTENDED", 2)
    system = VSRpp(caption_loss=False)
    training = Training(epochs=1, batch_size=16, learning_rate=1e-3)
    result = Run(system=system, data=str(scenes_folder), sizes=SMALL, training=training).fit()
    data = try_it.data(result, system.local)
    test = result.run.dataset("test")[:6]
    packed = (np.frombuffer(base64.b64decode(data[name]), "<i2").reshape(6, -1) for name in ("global", "local"))
    found = sum(weight * part / data["steps"] for weight, part in zip((1, 2), packed))
    matcher = result.matcher()
    np.testing.assert_allclose(found, score(matcher.similarity, *matcher.encode(test)), atol=2e-4)
    assert Image.open(io.BytesIO(base64.b64decode(data["images"][0]))).size == (128, 96)
    assert len(data["images"]) == 6 and len(data["attention"]) == 2
    of_second = data["attention"][1]
    assert np.shape(of_second["weights"]) == (len(of_second["words"]), int(test.mask[1].sum()))
    assert np.shape(of_second["boxes"]) == (int(test.mask[1].sum()), 4)
    text = try_it.fragment(result, system.local)
    assert json.loads(text.split(">", 1)[1].rsplit("</script>", 1)[0]) == data


def test_a_dollar_in_a_sentence_is_a_dollar_and_begins_no_formula(drawn):
    """Matplotlib reads what stands between two dollars as mathematics, and `50% off, not $10` is none."""
    matcher, dataset = drawn
    captions = ["a bottle for $5 is 50% off, not $10"] * len(dataset.captions)
    priced = replace(dataset, captions=captions)
    scores = np.random.default_rng(0).normal(size=(len(priced), len(captions)))
    for figure in (
        show.gallery(priced, [0, 1]),
        show.retrieval(matcher, priced, captions[0]),
        show.text_query({"a $^ b": scores}, priced, 0),
        show.image_query({"a $^ b": scores}, priced, 0),
        show.attention(matcher, priced, 0, "a $5 red $^ thing"),
    ):
        figure.canvas.draw()
        plt.close(figure)


def test_a_grey_picture_is_shown_in_grey(tmp_path, drawn):
    _, dataset = drawn
    elsewhere = replace(dataset, folder=tmp_path)
    path = tmp_path / dataset.picture(0).relative_to(dataset.folder)
    path.parent.mkdir(parents=True)
    Image.open(dataset.picture(0)).convert("L").save(path)
    figure, ax = plt.subplots()
    picture(ax, elsewhere, 0)
    shown = np.asarray(ax.images[0].get_array())
    assert shown.ndim == 3 and (shown == shown[:, :, :1]).all()
    plt.close(figure)


def test_a_model_without_graph_layers_has_no_graph_to_show(toy):
    run = Run(system=VSRpp(), data=str(toy), sizes=replace(SMALL, layers=0))
    with pytest.raises(ValueError, match="no graph of regions"):
        show.affinities(run.build(), run.dataset("test"), 0)
