"""Figures that follow a slider or another control. They need no plotting backend of their own, so any Jupyter works.

Every widget holds its controls and a picture as PNG bytes, which `show` draws again whenever a control changes. A
widget computes what does not depend on its controls (encodings, scores of the whole split) once, when it is made.
"""

from collections.abc import Callable
from io import BytesIO

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from vsrpp_lite import show
from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.matcher import Matcher, evaluating
from vsrpp_lite.show.attention import graph_layers
from vsrpp_lite.show.pictures import captions_found, pictures_found
from vsrpp_lite.show.still import Still
from vsrpp_lite.training.metrics import score, sweep


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file, and close the figure."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=80)
    plt.close(figure)
    return file.getvalue()


def live(draw: Callable[..., Figure], *controls: ipywidgets.ValueWidget) -> ipywidgets.Image:
    """Return an image of `draw(*values of the controls)`, which is drawn now and after every change of a control."""
    # this layout keeps the image in its own size; a box would stretch it to the width of the box
    image = ipywidgets.Image(format="png", layout={"align_self": "flex-start", "max_width": "100%"})
    follow(image, lambda *values: png(draw(*values)), *controls)
    return image


def follow(shown: ipywidgets.ValueWidget, compute: Callable, *controls: ipywidgets.ValueWidget) -> None:
    """Set `shown.value` to `compute(*values of the controls)` now and after every change of a control."""

    def update(_: dict | None = None) -> None:
        shown.value = compute(*(control.value for control in controls))

    for control in controls:
        control.observe(update, names="value")
    update()


def mu_slider(
    global_scores: Float[np.ndarray, "I T"],
    local_scores: Float[np.ndarray, "I T"],
    caption_to_image: Int[np.ndarray, " T"],
) -> Still:
    """Return a slider for mu, from 0 to 4, with the recalls of S_G + mu S_L as numbers and as `show.curves`."""
    mus = [k / 10 for k in range(41)]
    swept = sweep(global_scores, local_scores, caption_to_image, [*mus, np.inf])
    mu = ipywidgets.FloatSlider(value=2.0, min=0, max=4, step=0.1, description="mu", readout_format=".1f")
    numbers = ipywidgets.HTML()
    follow(numbers, lambda mu: recall_table(swept.iloc[round(10 * mu)]), mu)
    return Still([mu, numbers, live(lambda mu: show.curves(swept, mu), mu)])


def recall_table(recalls: pd.Series) -> str:
    """Return the eight numbers of `metrics.METRICS` as HTML."""
    cells = [[recalls[f"{way}_r{cut}"] for cut in (1, 5, 10)] for way in ("i2t", "t2i")]
    table = pd.DataFrame(cells, index=["text retrieval", "image retrieval"], columns=["R@1", "R@5", "R@10"])
    html, mean, total = table.to_html(float_format="{:.1f}".format), recalls["mR"], recalls["rsum"]
    return f"{html}mR {mean:.1f}, rsum {total:.1f}"


def word_picker(matcher: Matcher, dataset: Dataset, image: int, sentence: str) -> Still:
    """Return buttons for the words of a sentence, and the regions that the chosen word attends to: `show.attention`."""
    rows = show.attention_weights(matcher, dataset, image, sentence).index
    words = [(word, place) for place, word in enumerate(rows)][1:-1]  # without <start> and <end>
    word = ipywidgets.ToggleButtons(options=words, description="word", style={"button_width": "auto"})
    return Still([word, live(lambda position: show.attention(matcher, dataset, image, sentence, [position]), word)])


def region_picker(matcher: Matcher, dataset: Dataset, image: int) -> Still:
    """Return sliders for a region and a layer, with what this region takes from the others there: `show.affinity`."""
    last = int(dataset.mask[image].sum()) - 1
    begin = show.busiest(show.affinities(matcher, dataset, image))
    region = ipywidgets.IntSlider(begin, max=last, description="region")
    layer = ipywidgets.IntSlider(min=1, max=len(graph_layers(matcher)), description="layer")
    draw = live(lambda region, layer: show.affinity(matcher, dataset, image, region, layer - 1), region, layer)
    return Still([region, layer, draw])


def search(matcher: Matcher, dataset: Dataset) -> Still:
    """Return two searches: a typed sentence finds five pictures, and a chosen picture finds five sentences."""
    images, texts = matcher.encode(dataset)

    def pictures(sentence: str) -> Figure:
        with evaluating(matcher):
            scores = score(matcher.similarity, images, matcher.encode_texts([sentence]))[:, 0]
        return pictures_found({"": scores}, dataset, sentence, top=5)

    def sentences(image: int) -> Figure:
        with evaluating(matcher):
            scores = score(matcher.similarity, images.map(lambda x: x[image : image + 1]), texts)[0]
        return captions_found({"": scores}, dataset, image, top=5)

    first = dataset.captions[0].rstrip(" .")
    sentence = ipywidgets.Text(first, description="sentence", continuous_update=False, layout={"width": "40em"})
    picture = ipywidgets.BoundedIntText(max=len(dataset) - 1, description="picture")
    return Still([sentence, live(pictures, sentence), picture, live(sentences, picture)])
