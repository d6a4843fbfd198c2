"""Lesson 2. Global alignment: the cosine of one vector per image and one per sentence, and the hinge that trains it.

    v   = l2norm( last state of GRU over V* )                           VSRN, section 3.3
    t   = l2norm( mean of the end states of a (Bi-)GRU over words )
    S_G = v . t                                                         VSR++'s global similarity
    L   = [alpha - S(I,T) + S(I,T')]+ + [alpha - S(I,T) + S(I',T)]+     VSE++ (Faghri et al., BMVC 2018, eq. 6)

T' and I' are the hardest negatives of the batch. In the first epoch, the loss sums over all negatives: with random
weights the hardest negative is noise, and the loss could stay at 2 alpha, where all similarities are equal.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsrpp_lite.matcher import Comparison, Encoded, Loss, Similarity

EPS = 1e-8
RELEASED_BATCH = 128
"""Batch size of released code, which sums ranking losses over a batch and averages the caption loss. We average both
and multiply ranking losses by 128, so that their balance is the released one at any batch size."""


def l2norm(x: Tensor) -> Tensor:
    """Scale `x` to unit length along its last axis, the features."""
    return x / (x.norm(dim=-1, keepdim=True) + EPS)


class RegionGRU(nn.Module):
    """The image's global memory: a GRU reads the regions in file order, and its last state becomes the image vector."""

    def __init__(self, embed_size: int):
        super().__init__()
        self.gru = nn.GRU(embed_size, embed_size, batch_first=True)
        self.norm = nn.BatchNorm1d(embed_size)  # VSRN uses it on Flickr30K

    def forward(self, regions: Float[Tensor, "B R D"], mask: Bool[Tensor, "B R"]) -> Float[Tensor, "B D"]:
        return l2norm(self.norm(read(self.gru, regions, mask)[1]))


def read(
    gru: nn.RNNBase, sequence: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"]
) -> tuple[Float[Tensor, "B N H"], Float[Tensor, "B H"]]:
    """Return all states of a one-directional GRU (or LSTM), and each sequence's state at its last real element."""
    states, _ = in_full_precision(gru, sequence)
    last = mask.sum(1) - 1
    return states, states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)


def in_full_precision(layer: nn.Module, *inputs: Tensor) -> Any:
    """Run a recurrent layer in the precision of its weights, also where mixed precision is on.

    In mixed precision, PyTorch runs cuDNN's recurrent layers in float16 even if bfloat16 was asked for. The gradients
    of float16 need a loss scaler, which `Training.precision` leaves out.
    """
    precision = next(layer.parameters()).dtype
    with torch.autocast(inputs[0].device.type, enabled=False):
        return layer(*(x.to(precision) for x in inputs))


class SentenceGRU(nn.Module):
    """A sentence encoder, from token ids to word vectors and a sentence vector.

    The sentence is the state at `<end>`. With `bidirectional`, a second GRU reads backwards; the sentence is the mean
    of the first GRU's state at `<end>` and the second's at `<start>`, and a word is the mean of its two states.
    """

    def __init__(self, vocabulary_size: int, word_size: int, embed_size: int, *, bidirectional: bool):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, word_size)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        self.forwards = nn.GRU(word_size, embed_size, batch_first=True)
        self.backwards = nn.GRU(word_size, embed_size, batch_first=True) if bidirectional else None

    def forward(self, tokens: Int[Tensor, "B W"], mask: Bool[Tensor, "B W"]) -> Encoded:
        """Return sentences (B, D) and words (B, W, D), all of unit length."""
        embedded = self.embedding(tokens)
        words, sentence = read(self.forwards, embedded, mask)
        if self.backwards is not None:
            reverse = reversal(mask)
            backward_words, backward_sentence = read(self.backwards, reorder(embedded, reverse), mask)
            words = (words + reorder(backward_words, reverse)) / 2
            sentence = (sentence + backward_sentence) / 2
        return Encoded(l2norm(sentence), l2norm(words) * mask[:, :, None], mask)


def reversal(mask: Bool[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    """Return the order that reverses every sequence within its own length. Padding stays at the end."""
    position = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - position, position)


def reorder(sequence: Float[Tensor, "B N D"], order: Int[Tensor, "B N"]) -> Float[Tensor, "B N D"]:
    """Return each sequence with its elements in its own row of `order`."""
    return sequence.gather(1, order[:, :, None].expand_as(sequence))


def cosine(images: Encoded, texts: Encoded) -> Float[Tensor, "I T"]:
    """Return S_G, the cosine of every pooled image and every pooled text."""
    return images.pooled @ texts.pooled.T


def hinge(
    scores: Float[Tensor, "Q C"],
    positives: Int[Tensor, " Q"],
    negatives: Bool[Tensor, "Q C"],
    *,
    margin: float,
    hardest: bool,
) -> Float[Tensor, " Q"]:
    """Return the ranking loss of each query: by how much wrong candidates come closer than `margin` to the right one.

    Args:
        scores: similarity of every query (row) and every candidate (column).
        positives: the column of each query's own partner.
        negatives: true where a candidate is wrong. Not every candidate off the diagonal is wrong: another caption
            of the same image is not a negative.
        hardest: count the worst violation alone (VSE++); if false, sum all violations (VSE0).
    """
    positive = scores.gather(1, positives[:, None])
    violations = (margin - positive + scores).clamp(min=0).masked_fill(~negatives, 0.0)
    return violations.amax(1) if hardest else violations.sum(1)


def ranking_loss(
    scores: Float[Tensor, "B B"], image_positions: Int[Tensor, " B"], *, margin: float, hardest: bool
) -> Float[Tensor, ""]:
    """Return the sum of both directions of the hinge, averaged over the B pairs of a batch.

    Args:
        scores: similarity of every image (row) and every text (column). Pair b is image b and text b.
        image_positions: the image of each pair. Pairs of one image are no negatives of each other.
    """
    positives = torch.arange(len(scores), device=scores.device)
    negatives = image_positions[:, None] != image_positions
    return both_directions(scores, scores, positives, negatives, margin=margin, hardest=hardest)


def both_directions(
    rows: Float[Tensor, "B N"],
    columns: Float[Tensor, "N B"],
    positives: Int[Tensor, " B"],
    negatives: Bool[Tensor, "B N"],
    *,
    margin: float,
    hardest: bool,
) -> Float[Tensor, ""]:
    """Return `ranking_loss` for one of several processes, which has B of the N pairs.

    Args:
        rows: similarity of its own images and all texts.
        columns: similarity of all images and its own texts.
        positives: position of each of the B pairs among the N pairs.
        negatives: true where pair n shows another image.
    """
    texts_for_images = hinge(rows, positives, negatives, margin=margin, hardest=hardest)
    images_for_texts = hinge(columns.T, positives, negatives, margin=margin, hardest=hardest)
    return (texts_for_images + images_for_texts).mean()


class Hinge(Loss):
    """The ranking loss of one similarity. It sums over all negatives in the warm-up, then counts the hardest alone.

    Raises:
        ValueError: the margin is negative.
    """

    weight = RELEASED_BATCH

    def __init__(self, similarity: Similarity, margin: float):
        super().__init__()
        if margin < 0:
            raise ValueError(f"margin is {margin}; expected at least 0")
        self.similarity = similarity
        self.margin = margin
        self.plateau = 2 * margin

    def forward(self, comparison: Comparison) -> Float[Tensor, ""]:
        rows, columns = comparison.scores(self.similarity)
        pairs = comparison.positives, comparison.negatives
        hardest = not comparison.progress.warming_up
        return both_directions(rows, columns, *pairs, margin=self.margin, hardest=hardest)
