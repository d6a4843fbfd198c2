"""The ranks of a split that may be as large as COCO's: 5,000 images with 25,000 captions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.matcher import Encoded, Matcher, Similarity, evaluating
from vsrpp_lite.training.metrics import check_finite, ranks, recalls, score


def evaluate(matcher: Matcher, dataset: Dataset) -> dict[str, float]:
    """Encode a split, score all pairs, and return the recalls. All modules run in evaluation mode."""
    where = dataset.caption_to_image
    with evaluating(matcher):
        return recalls(*fold_ranks([Encodings.of(matcher, dataset)], where), where)


class Encodings(NamedTuple):
    """What a model needs to score a split: its similarity, the encoded images, and a way to encode some texts."""

    similarity: Similarity
    images: Encoded
    lengths: Int[np.ndarray, " T"]
    """Number of words of each text."""
    texts: Callable[[Int[np.ndarray, " N"]], Encoded]
    """Encodes the texts at these positions, padded to the longest of them."""

    @classmethod
    def of(cls, matcher: Matcher, dataset: Dataset, similarity: Similarity | None = None) -> "Encodings":
        """Encode the images of a split; `similarity` is the matcher's own by default."""
        lengths = np.array([len(tokens) for tokens in matcher.tokenizer.encode_all(dataset.captions)])
        return cls(
            similarity or matcher.similarity,
            matcher.encode_images(dataset),
            lengths,
            lambda chosen: matcher.encode_texts([dataset.captions[k] for k in chosen]),
        )


def fold_ranks(
    models: Sequence[Encodings], caption_to_image: Int[np.ndarray, " T"], folds: int = 1
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """Compute ranks within each of `folds` equal parts of the split, and join them again.

    A fold is a run of consecutive images; COCO 1K has five folds of 1,000. Since folds are equal, the recalls of the
    joined ranks are the means over the folds. If there are several models, their scores are averaged.

    Raises:
        ValueError: `folds` is below 1, the images or their captions do not divide into `folds` equal parts, a score is
            not finite, or an image has no caption.
    """
    if folds < 1:
        raise ValueError(f"folds is {folds}; expected at least 1")
    total = len(models[0].images.pooled)
    size, whose = total // folds, fold_of_text(total, caption_to_image, folds)
    image_ranks, text_ranks = np.empty(total, dtype=int), np.empty(len(caption_to_image), dtype=int)
    for fold in range(folds):
        rows, chosen = slice(fold * size, (fold + 1) * size), np.flatnonzero(whose == fold)
        scores = mean_scores(models, rows, chosen)
        image_ranks[rows], text_ranks[chosen] = ranks(scores, caption_to_image[chosen] - rows.start)
    return image_ranks, text_ranks


PIECE = 1024
"""Number of texts that are encoded and scored together."""


def mean_scores(models: Sequence[Encodings], images: slice, texts: Int[np.ndarray, " T"]) -> Float[np.ndarray, "I T"]:
    """Return the scores of these images and these texts of a split, averaged over the models.

    Texts are encoded in pieces of similar length, and a piece is dropped once it is scored. Memory holds the scores,
    0.5 GB for COCO's 5,000 images. The words of all 25,000 captions, as long as the longest one, would need 11 GB at
    2,048 numbers a word.

    Args:
        images: a run of consecutive images of the split, whose encodings need not be copied.
        texts: positions in the split.

    Raises:
        ValueError: a score is not finite.
    """
    positions = np.arange(len(models[0].images.pooled))[images]
    total = np.zeros((len(positions), len(texts)), dtype=np.float32)
    for model in models:
        some = model.images.map(lambda x: x[images])
        order = np.argsort(model.lengths[texts], kind="stable")
        for places in np.split(order, range(PIECE, len(order), PIECE)):
            total[:, places] += score(model.similarity, some, model.texts(texts[places]))
    total /= len(models)
    check_finite(total, positions, texts)
    return total


def all_scores(matcher: Matcher, dataset: Dataset, similarity: Similarity) -> Float[np.ndarray, "I T"]:
    """Return the scores of all images and all texts of a split by a similarity; see `mean_scores`."""
    with evaluating(matcher):  # a similarity may have dropout, too
        encodings = Encodings.of(matcher, dataset, similarity)
        return mean_scores([encodings], slice(None), np.arange(len(dataset.captions)))


def fold_of_text(images: int, caption_to_image: Int[np.ndarray, " T"], folds: int) -> Int[np.ndarray, " T"]:
    """Return the number of the fold that each caption belongs to; see `fold_ranks`.

    Raises:
        ValueError: the images or their captions do not divide into `folds` equal parts.
    """
    fold = caption_to_image // max(images // folds, 1)
    if images % folds or len(set(np.bincount(fold, minlength=folds))) > 1:
        captions = len(caption_to_image)
        raise ValueError(f"{images} images with {captions} captions do not divide into {folds} equal folds")
    return fold
