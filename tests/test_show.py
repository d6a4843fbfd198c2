"""Figures draw what they were given: the numbers on the axes are read back."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import SMALL

from vsrpp_lite import scenes, show
from vsrpp_lite.evaluate import score
from vsrpp_lite.paper import RECALLS, published
from vsrpp_lite.precomp import open_split
from vsrpp_lite.runs import Run
from vsrpp_lite.systems.vsrpp import VSRpp


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_table_shows_each_mean_interval_and_published_figure():
    rows = ["Global", "Local"]
    measured = pd.DataFrame(
        [
            {"row": row}
            | dict.fromkeys(RECALLS, 10.0 + k)
            | {f"{m}_lo": 8.0 + k for m in RECALLS}
            | {f"{m}_hi": 12.0 + k for m in RECALLS}
            | {f"{m}_paper": published(1, row)[m] for m in RECALLS}
            for k, row in enumerate(rows)
        ]
    )
    figure = show.table(measured)
    assert len(figure.axes) == 6
    ax = figure.axes[0]
    means, paper = (collection.get_offsets().data[:, 0].tolist() for collection in ax.collections[1:])
    assert means == [10.0, 11.0]
    assert paper == [71.3, 67.4]
    assert [segment[:, 0].tolist() for segment in ax.collections[0].get_segments()] == [[8.0, 12.0], [9.0, 13.0]]
    assert [label.get_text() for label in ax.get_yticklabels()] == rows
    assert ax.get_title() == "text retrieval, R@1 (%)"


def test_claims_are_drawn_with_their_verdicts():
    judged = pd.DataFrame(
        {"better": ["A"], "worse": ["B"], "difference": [3.0], "lo": [1.0], "hi": [5.0], "verdict": ["reproduced"]}
    )
    ax = show.claims(judged).axes[0]
    assert ax.lines[0].get_xdata() == pytest.approx([3.0])
    assert [text.get_text() for text in ax.texts] == ["reproduced"]


def test_history_has_a_line_a_system():
    frame = pd.DataFrame({"epoch": [0, 1], "dev.rsum": [100.0, 200.0]})
    ax = show.history({"one": frame, "two": frame * 2}).axes[0]
    assert ax.lines[0].get_xdata().tolist() == [1, 2]
    assert ax.lines[0].get_ydata().tolist() == [100.0, 200.0]


def test_a_gallery_shows_each_picture_under_its_caption(tmp_path):
    folder = scenes.write(tmp_path / "tiny", seed=1, size="tiny")
    dev = open_split(folder, "dev")
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
    assert titles == [f"{k}.  S = {s:.2f}" for k, s in enumerate(np.sort(found)[::-1][:3], 1)]
