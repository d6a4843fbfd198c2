"""The data of the site's page "Try it", on which three widgets run without Python.

The page holds scores that a trained model gave, and no model: its sliders add, sort and count numbers that are here.
"""

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.matcher import Matcher, Similarity
from vsrpp_lite.show.attention import attention_weights
from vsrpp_lite.training.metrics import score
from vsrpp_lite.training.runs import Result

PICTURES, ATTENDED = 60, 8
"""Pictures of the test split that are searched, and those of them that show attention."""
SMALL, LARGE = 128, 256
"""Pixels of their longer sides."""
STEPS = 10_000
"""Scores are stored as whole numbers of 1/10,000, which is far finer than the differences that decide a rank."""


def data(result: Result, local: Similarity) -> dict:
    """Return what the page needs, ready for JSON, from a trained system whose local similarity is `local`.

    `images` are JPEG pictures in base64. `global` and `local` are S_G and S_L (I, T), row by row, as little-endian
    int16 in base64, in units of 1/STEPS. `attention` has the picture, the words, the boxes (R, 4) and the weights
    (words, R), in per cent, of one caption for each of the first pictures.

    Raises:
        ValueError: the data have no pictures or no boxes, or the system has no attention.
    """
    matcher, dataset = result.matcher(), result.run.dataset("test")[:PICTURES]
    pictures = [path for image in range(len(dataset)) if (path := dataset.picture(image)) is not None]
    if dataset.boxes is None or len(pictures) < len(dataset):
        raise ValueError(f"{dataset.folder}: the page needs pictures and boxes")
    if matcher.attention is None:
        raise ValueError(f"{result.run.system}: the page needs a system with attention between regions and words")
    encoded = matcher.encode(dataset)
    similarities = {"global": cosine, "local": local}
    scores = {name: score(similarity, *encoded) for name, similarity in similarities.items()}
    return {
        "steps": STEPS,
        "images": [_jpeg(path, SMALL) for path in pictures],
        "captions": dataset.captions,
        "caption_to_image": dataset.caption_to_image.tolist(),
        **{name: _packed(matrix) for name, matrix in scores.items()},
        "attention": [
            {"image": _jpeg(pictures[image], LARGE), "boxes": boxes[mask].round(3).tolist()}
            | _attention(matcher, dataset, image)
            for image, (boxes, mask) in enumerate(zip(dataset.boxes[:ATTENDED], dataset.mask))
        ],
    }


def fragment(result: Result, local: Similarity) -> str:
    """Return `data` as the HTML fragment that the page includes."""
    text = json.dumps(data(result, local), separators=(",", ":"))
    safe = text.replace("<", "\\u003c")  # no tag in a caption can end the script
    return f'<script type="application/json" id="try-it-data">{safe}</script>\n'


def _jpeg(path: Path, side: int) -> str:
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()


def _packed(scores: np.ndarray) -> str:
    return base64.b64encode((scores * STEPS).round().astype("<i2").tobytes()).decode()


def _attention(matcher: Matcher, dataset: Dataset, image: int) -> dict:
    """Return one caption of a picture with its attention, in per cent."""
    caption = dataset.captions_of(image)[0]
    weights = attention_weights(matcher, dataset, image, caption)
    return {
        "words": weights.index.tolist(),
        "weights": (100 * weights.to_numpy()).round(1).tolist(),
    }
