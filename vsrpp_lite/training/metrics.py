"""How well a model retrieves: scores of all pairs, the ranks in a score matrix, and recalls.

The rank of the right answer is its place among all candidates, from 1: one more than the number of wrong answers whose
score is *at least* as high. So a tie counts against the model, and a model that gives every pair the same score finds
nothing. A score that is NaN raises an error.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from vsrpp_lite.matcher import Encoded, Similarity

METRICS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "mR", "rsum")
CUTS = (1, 5, 10)
AFFINITIES, AFFINITIES_ON_GPU = 2**19, 2**25
"""Region-word affinities that `score` computes at a time."""


def score(similarity: Similarity, images: Encoded, texts: Encoded) -> np.ndarray:
    """Return the scores (I, T) float32 of all images and all texts.

    The function computes them in pieces. On a CPU, the affinities of a piece fit into the processor's cache. On a GPU a
    piece is larger, since each call takes the time to start its kernels. The shortest texts come first, so that the
    texts of a piece have about the same length and need little padding.

    Raises:
        ValueError: the similarity does not return one number for each image (row) and text (column).
    """
    lengths = texts.mask.sum(1)
    order = lengths.argsort(stable=True)
    scores = np.empty((len(images.pooled), len(texts.pooled)), dtype=np.float32)
    if not scores.size:
        return scores
    columns, affinities = 128, AFFINITIES if images.pooled.device.type == "cpu" else AFFINITIES_ON_GPU
    with torch.no_grad():
        for chosen in order.split(columns):
            width = int(lengths[chosen[-1]])
            some = Encoded(texts.pooled[chosen], texts.fragments[chosen, :width], texts.mask[chosen, :width])
            rows = max(1, affinities // (columns * width * images.mask.shape[1]))
            pieces = [
                similarity(Encoded(*(x[start : start + rows] for x in images)), some).float()
                for start in range(0, len(scores), rows)
            ]
            expected = min(rows, len(scores)), len(chosen)
            if pieces[0].shape != expected:
                told = f"the similarity of {expected[0]} images and {expected[1]} texts has shape"
                raise ValueError(f"{told} {tuple(pieces[0].shape)}; expected {expected}")
            scores[:, chosen.numpy(force=True)] = torch.cat(pieces).numpy(force=True)  # one copy from a GPU
    return scores


def ranks(
    scores: Float[np.ndarray, "I T"], caption_to_image: Int[np.ndarray, " T"]
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """Return the rank of the right answer, from 1, for every image and for every text.

    An image has several right captions, and its rank is that of the best of them. Only wrong captions count as standing
    before this best caption.

    >>> import numpy as np
    >>> scores = np.array([[.9, .1], [.5, .5]])
    >>> ranks(scores, np.array([0, 1]))          # a wrong text scores as high as the right one, so image 1 has rank 2
    (array([1, 2]), array([1, 1]))

    Raises:
        ValueError: a score is NaN or infinite, or an image has no caption.
    """
    images = np.arange(len(scores))
    check_finite(scores, images, np.arange(len(caption_to_image)))
    missing = np.setdiff1d(images, caption_to_image)
    if len(missing):
        image = missing[0]
        raise ValueError(f"image {image} has no caption among {len(caption_to_image)}; expected at least one")
    own = scores[caption_to_image, np.arange(len(caption_to_image))]
    text_ranks = (scores >= own).sum(0)  # this also counts the right image itself, so ranks begin at 1
    best = np.full(len(scores), -np.inf, dtype=scores.dtype)
    np.maximum.at(best, caption_to_image, own)
    own_as_high = np.bincount(caption_to_image[own >= best[caption_to_image]], minlength=len(scores))
    image_ranks = 1 + (scores >= best[:, None]).sum(1) - own_as_high
    return image_ranks, text_ranks


def check_finite(scores: Float[np.ndarray, "I T"], images: np.ndarray, texts: np.ndarray) -> None:
    """Raise ValueError for a score that is NaN or infinite. `images` and `texts` are the positions to name."""
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        found = f"score of image {images[row]} and text {texts[column]} is {scores[row, column]}"
        raise ValueError(f"{found}; expected finite numbers")


def contributions(
    image_ranks: Int[np.ndarray, " I"], text_ranks: Int[np.ndarray, " T"], caption_to_image: Int[np.ndarray, " T"]
) -> Float[np.ndarray, "I M"]:
    """Return what each image, with its captions, adds to each of `METRICS`, in per cent.

    The mean over the images is the metric.
    """
    image_hits = 100.0 * (image_ranks[:, None] <= CUTS)
    text_hits = np.zeros_like(image_hits)
    np.add.at(text_hits, caption_to_image, 100.0 * (text_ranks[:, None] <= CUTS))
    text_hits *= len(image_ranks) / len(text_ranks)
    six = np.concatenate([image_hits, text_hits], 1)
    return np.concatenate([six, six.mean(1, keepdims=True), six.sum(1, keepdims=True)], 1)


def recalls(
    image_ranks: Int[np.ndarray, " I"], text_ranks: Int[np.ndarray, " T"], caption_to_image: Int[np.ndarray, " T"]
) -> dict[str, float]:
    """Return recall at 1, 5 and 10 in both directions, their mean mR and their sum rsum, in per cent."""
    return named(contributions(image_ranks, text_ranks, caption_to_image))


def named(by_image: Float[np.ndarray, "I M"]) -> dict[str, float]:
    """Return the mean over images of each metric, by its name, from `contributions`."""
    return dict(zip(METRICS, by_image.mean(0).tolist(), strict=True))


def sweep(
    global_scores: Float[np.ndarray, "I T"],
    local_scores: Float[np.ndarray, "I T"],
    caption_to_image: Int[np.ndarray, " T"],
    mus: Sequence[float],
) -> pd.DataFrame:
    """Return the recalls of S_G + mu S_L, one row per mu, from the scores of one model. It trains nothing again.

    The row of mu = inf holds the recalls of S_L alone.
    """
    rows = []
    for mu in mus:
        scores = local_scores if np.isinf(mu) else global_scores + mu * local_scores
        rows.append(recalls(*ranks(scores, caption_to_image), caption_to_image))
    return pd.DataFrame(rows, index=pd.Index(mus, name="mu"))


def best_epoch(rsums: Sequence[float]) -> int:
    """Return the epoch, counted from 1, whose weights are kept: of those with the highest rsum on dev, the last.

    >>> best_epoch([301.5, 310.0, 310.0, 308.2])
    3
    """
    return len(rsums) - int(np.argmax(rsums[::-1]))
