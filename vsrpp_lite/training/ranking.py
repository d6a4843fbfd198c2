"""The ranks of a split without its matrix of scores, for splits such as COCO's 5,000 images with 25,000 captions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.matcher import Encoded, Matcher, Similarity, evaluating
from vsrpp_lite.training.evaluate import check_finite, ensemble, recalls, score


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
        ValueError: the images or their captions do not divide into `folds` equal parts, a score is not finite, or an
            image has no caption.
    """
    total = len(models[0].images.pooled)
    size, whose = total // folds, fold_of_text(total, caption_to_image, folds)
    image_ranks, text_ranks = np.empty(total, dtype=int), np.empty(len(caption_to_image), dtype=int)
    for fold in range(folds):
        rows, chosen = np.arange(fold * size, (fold + 1) * size), np.flatnonzero(whose == fold)
        image_ranks[rows], text_ranks[chosen] = _ranks_in_blocks(models, rows, chosen, caption_to_image[chosen])
    return image_ranks, text_ranks


GROUP, PIECE = 128, 128
"""Images whose captions are ranked together, and texts that are encoded together."""


def _ranks_in_blocks(
    models: Sequence[Encodings], images: Int[np.ndarray, " I"], texts: Int[np.ndarray, " T"], where: np.ndarray
) -> tuple[Int[np.ndarray, " I"], Int[np.ndarray, " T"]]:
    """Do what `ranks` does, without the matrix of scores. What is kept is a block of it, and the counts.

    A group is some images with all of their captions. The first pass scores each group with itself, and finds the score
    of every right pair. The second pass scores all pairs of groups, and counts. Both passes compute the scores of a
    group with itself in the same way, so a right pair has the same bits in both.

    Texts are encoded in pieces of similar length: with 25,000 captions as long as the longest one, COCO would need
    11 GB at 2,048 numbers a word.

    Args:
        images, texts: positions in the split of what is ranked.
        where: the position in the split of each text's image.
    """
    missing = np.setdiff1d(images, where)
    if len(missing):
        raise ValueError(f"image {missing[0]} has no caption among {len(where)}; expected at least one")
    parts = [images[k : k + GROUP] for k in range(0, len(images), GROUP)]
    groups = [(part, np.flatnonzero(np.isin(where, part))) for part in parts]
    packed = [[_pack(model, texts[columns]) for _, columns in groups] for model in models]

    def block(row: int, column: int) -> np.ndarray:
        """Return the scores of the images of one group and the texts of another."""
        scores = []
        for model, of_group in zip(models, packed, strict=True):
            some = model.images.map(lambda x: x[groups[row][0]])
            found = np.empty((len(groups[row][0]), len(groups[column][1])), dtype=np.float32)
            for places, piece in of_group[column]:
                found[:, places] = score(model.similarity, some, piece)
            scores.append(found)
        mean = scores[0] if len(scores) == 1 else ensemble(scores)
        check_finite(mean, groups[row][0], texts[groups[column][1]])
        return mean

    own = np.empty(len(where), dtype=np.float32)
    best = np.full(len(images), -np.inf, dtype=np.float32)
    rows = where - images[0]  # the images of a fold are consecutive
    for k, (part, columns) in enumerate(groups):
        own[columns] = block(k, k)[where[columns] - part[0], np.arange(len(columns))]
    np.maximum.at(best, rows, own)
    image_ranks = -np.bincount(rows[own >= best[rows]], minlength=len(images))  # its right texts do not count
    text_ranks = np.full(len(where), -1)  # nor does its image
    for i, (part, _) in enumerate(groups):
        of_part = part - images[0]
        for j, (_, columns) in enumerate(groups):
            scores = block(i, j)
            text_ranks[columns] += (scores >= own[columns]).sum(0)
            image_ranks[of_part] += (scores >= best[of_part, None]).sum(1)
    return image_ranks, text_ranks


def _pack(model: Encodings, texts: Int[np.ndarray, " N"]) -> list[tuple[np.ndarray, Encoded]]:
    """Encode texts in pieces of similar length. Return the places of each piece among `texts`, and the piece."""
    order = np.argsort(model.lengths[texts], kind="stable")
    pieces = [order[k : k + PIECE] for k in range(0, len(order), PIECE)]
    return [(places, model.texts(texts[places])) for places in pieces]


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
