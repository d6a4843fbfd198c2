"""Retrieval, measured: pure functions of a score matrix and of which image each text belongs to.

Ranks are counted, never sorted: the rank of the right answer is the number of wrong ones that score *at least* as
high. Ties count against us, so that a scorer that tells nothing apart gets nothing; NaN raises.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.special import stdtr, stdtrit

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.matcher import Encoded, Matcher, Similarity, evaluating

METRICS = ("i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "mR", "rsum")
CUTS = (1, 5, 10)


def score(similarity: Similarity, images: Encoded, texts: Encoded, block: int = 2**19) -> np.ndarray:
    """The (I, T) matrix, float32, in pieces of about `block` region-word affinities, which stay in the cache.

    Texts are taken shortest first: a piece then holds one length or two, and each is one dense rectangle.
    """
    lengths = texts.mask.sum(1)
    order = lengths.argsort(stable=True)
    scores = np.empty((len(images.pooled), len(texts.pooled)), dtype=np.float32)
    columns = 128
    with torch.no_grad():
        for chosen in order.split(columns):
            width = int(lengths[chosen[-1]])
            some = Encoded(texts.pooled[chosen], texts.fragments[chosen, :width], texts.mask[chosen, :width])
            rows = max(1, block // (columns * width * images.mask.shape[1]))
            for start in range(0, len(scores), rows):
                few = Encoded(*(x[start : start + rows] for x in images))
                scores[start : start + rows, chosen.numpy(force=True)] = similarity(few, some).float().numpy(force=True)
    return scores


def ranks(
    scores: Float[np.ndarray, "I T"], caption_to_image: Int[np.ndarray, " T"]
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """How many wrong candidates stand before the right one, for every image (its best caption) and every text.

    >>> scores = np.array([[.9, .1], [.5, .5]])
    >>> ranks(scores, np.array([0, 1]))          # image 1 ties with the wrong text: counted against it
    (array([0, 1]), array([0, 0]))

    Raises:
        ValueError: a score is NaN or infinite, or an image has no caption.
    """
    if not np.isfinite(scores).all():
        image, text = np.argwhere(~np.isfinite(scores))[0]
        raise ValueError(f"score of image {image} and text {text} is {scores[image, text]}; expected finite numbers")
    images = np.arange(len(scores))
    if len(missing := np.setdiff1d(images, caption_to_image)):
        raise ValueError(f"image {missing[0]} has no caption among {len(caption_to_image)}; expected at least one")
    own = scores[caption_to_image, np.arange(len(caption_to_image))]
    text_ranks = (scores >= own).sum(0) - 1  # less itself
    best = np.full(len(scores), -np.inf, dtype=scores.dtype)
    np.maximum.at(best, caption_to_image, own)
    own_as_high = np.bincount(caption_to_image[own >= best[caption_to_image]], minlength=len(scores))
    image_ranks = (scores >= best[:, None]).sum(1) - own_as_high
    return image_ranks, text_ranks


def contributions(
    image_ranks: Int[np.ndarray, " I"], text_ranks: Int[np.ndarray, " T"], caption_to_image: Int[np.ndarray, " T"]
) -> Float[np.ndarray, "I M"]:
    """What each image, with its captions, adds to each of `METRICS`, in percent: a metric is the mean over images."""
    image_hits = 100.0 * (image_ranks[:, None] < CUTS)
    text_hits = np.zeros_like(image_hits)
    np.add.at(text_hits, caption_to_image, 100.0 * (text_ranks[:, None] < CUTS))
    text_hits *= len(image_ranks) / len(text_ranks)
    six = np.concatenate([image_hits, text_hits], 1)
    return np.concatenate([six, six.mean(1, keepdims=True), six.sum(1, keepdims=True)], 1)


def recalls(
    image_ranks: Int[np.ndarray, " I"], text_ranks: Int[np.ndarray, " T"], caption_to_image: Int[np.ndarray, " T"]
) -> dict[str, float]:
    """Recall at 1, 5, 10 both ways, their mean mR and their sum rsum, in percent."""
    means = contributions(image_ranks, text_ranks, caption_to_image).mean(0)
    return dict(zip(METRICS, means.tolist(), strict=True))


def sweep(
    global_scores: Float[np.ndarray, "I T"],
    local_scores: Float[np.ndarray, "I T"],
    caption_to_image: Int[np.ndarray, " T"],
    mus: Sequence[float],
) -> pd.DataFrame:
    """The recalls of S_G + mu S_L, a row a mu, from the scores of one model: nothing is trained again.

    At mu = inf, S_L alone.
    """
    rows = []
    for mu in mus:
        scores = local_scores if np.isinf(mu) else global_scores + mu * local_scores
        rows.append(recalls(*ranks(scores, caption_to_image), caption_to_image))
    return pd.DataFrame(rows, index=pd.Index(mus, name="mu"))


Encodings = tuple[Similarity, Encoded, Encoded]
"""What it takes to score a split: a model's similarity, its images, its texts."""


def fold_ranks(
    models: Sequence[Encodings], caption_to_image: Int[np.ndarray, " T"], folds: int = 1
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """Ranks within each of `folds` runs of consecutive images (COCO 1K: five of 1,000), joined again.

    Folds are equal, so the recalls of the joined ranks are the means over folds. Of several models the scores are
    averaged.

    Raises:
        ValueError: the images or their captions do not divide into `folds` equal parts.
    """
    total = len(models[0][1].pooled)
    size, whose = total // folds, fold_of_text(total, caption_to_image, folds)
    image_ranks, text_ranks = np.empty(total, dtype=int), np.empty(len(caption_to_image), dtype=int)
    for fold in range(folds):
        rows, chosen = slice(fold * size, (fold + 1) * size), np.flatnonzero(whose == fold)
        part = [(similarity, _pick(images, rows), _pick(texts, chosen)) for similarity, images, texts in models]
        scores = ensemble([score(*model) for model in part])
        image_ranks[rows], text_ranks[chosen] = ranks(scores, caption_to_image[chosen] - fold * size)
    return image_ranks, text_ranks


def fold_of_text(images: int, caption_to_image: Int[np.ndarray, " T"], folds: int) -> Int[np.ndarray, " T"]:
    """Which of the equal folds of consecutive images each caption belongs to.

    Raises:
        ValueError: the images or their captions do not divide into `folds` equal parts.
    """
    fold = caption_to_image // max(images // folds, 1)
    if images % folds or len(set(np.bincount(fold, minlength=folds))) > 1:
        captions = len(caption_to_image)
        raise ValueError(f"{images} images with {captions} captions do not divide into {folds} equal folds")
    return fold


def _pick(encoded: Encoded, rows: slice | np.ndarray) -> Encoded:
    return encoded.map(lambda x: x[rows])


def evaluate(matcher: Matcher, dataset: Dataset) -> dict[str, float]:
    """Encode a split, score all pairs, count ranks: the recalls. All in evaluation mode, the similarity included."""
    where = dataset.caption_to_image
    with evaluating(matcher):
        return recalls(*fold_ranks([(matcher.similarity, *matcher.encode(dataset))], where), where)


def ensemble(matrices: Sequence[Float[np.ndarray, "I T"]]) -> Float[np.ndarray, "I T"]:
    """Several models as one: the average of their score matrices, as the published rows of SCAN and VSRN are."""
    return np.mean(matrices, axis=0)


def interval(
    samples: Float[np.ndarray, "S I M"], *, level: float = 0.95
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Mean of each metric over S seeds and I images, and the interval that holds it at `level`.

    For a paired comparison give the *difference* of two systems' contributions, seed by seed and image by image.
    `spread` says what the interval accounts for.
    """
    mean, variance, freedom = spread(samples)
    # Student's quantile. scipy.stats.t.ppf would be the same, but its module takes a second to import.
    half = stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)
    return mean, mean - half, mean + half


def p_value(samples: Float[np.ndarray, "S I M"]) -> Float[np.ndarray, " M"]:
    """How often a mean as far from zero would come out if the true one were zero; two-sided, by `spread`.

    It is below 0.05 exactly where the interval at 95 % does not hold zero.
    """
    mean, variance, freedom = spread(samples)
    far = np.divide(np.abs(mean), np.sqrt(variance), out=np.where(mean == 0, 0.0, np.inf), where=variance > 0)
    return 2 * stdtr(freedom, -far)


def spread(
    samples: Float[np.ndarray, "S I M"],
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Mean of each metric, the variance of that mean, and its degrees of freedom.

    Two things could have come out otherwise: which I images are in the test, and which S seeds were drawn. The mean
    over images has the variance s^2 / I, and the mean over seeds s^2 / S; the two add. (The sum errs on the wide side,
    since both hold what a seed does to one image.) Welch and Satterthwaite give the degrees of freedom of the sum. With
    one seed the second variance is unknown, and the interval speaks of the images alone.
    """
    seeds, images, _ = samples.shape
    by_image = samples.mean(0).var(0, ddof=1) / images
    by_seed = samples.mean(1).var(0, ddof=1) / seeds if seeds > 1 else np.zeros_like(by_image)
    variance = by_image + by_seed
    freedom = variance**2 / np.maximum(by_image**2 / (images - 1) + by_seed**2 / max(seeds - 1, 1), 1e-30)
    return samples.mean((0, 1)), variance, np.maximum(freedom, 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The same p-values, adjusted so that 0.05 bounds the chance of *any* false verdict among them (Holm, 1979).

    The smallest of n is multiplied by n, the next by n - 1 and so on; none is smaller than the one before it, or
    larger than one.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order]))
    back = np.empty(len(order))
    back[order] = adjusted
    return [round(float(p), 12) for p in back]
