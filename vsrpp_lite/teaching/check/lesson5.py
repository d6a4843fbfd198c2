"""Exercises of `05_caption_loss`."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.matcher import evaluating
from vsrpp_lite.teaching.verdict import asked, exercise, number


@exercise
def exercise1(cost: float) -> str:
    """The mean cost of the two sentences, in nats, if the first padding is counted."""
    mistakes = {
        "That is the cost without the padding.": 3.5 * math.log(2),
        "Both sentences pay one more word, not only one of them.": 4 * math.log(2),
        "That is the sum of the two. Take the mean.": 9 * math.log(2),
        "That is in bits. A nat uses the natural logarithm.": 4.5,
    }
    number(cost, 4.5 * math.log(2), mistakes, within=0.02)
    return "A decoder soon learns that padding follows the end, so the term fades and teaches nothing."


@exercise
def exercise2(costs: Callable[[Sequence[Sequence[int]], Sequence[Sequence[int]], int], Sequence[float]]) -> str:
    """A function of (training captions, test captions, words in the vocabulary): the nats of each test caption.

    A caption is a list of numbers of words. Counts of pairs begin at 0.1.
    """
    train, test = [[0, 1, 2], [0, 1, 0, 1, 2], [0, 2]], [[0, 1, 2], [0, 2, 1]]
    counts = np.full((3, 3), 0.1)
    once = counts.copy()
    for ids in train:
        for before, after in pairwise(ids):
            counts[before, after] += 1
        once[ids[:-1], ids[1:]] += 1

    def nats(table: np.ndarray) -> np.ndarray:
        return np.array([-sum(np.log(table[a, b]) for a, b in pairwise(ids)) for ids in test])

    expected = nats(counts / counts.sum(1, keepdims=True))
    found = np.asarray(asked(costs, train, test, 3), dtype=float)
    assert found.shape == expected.shape, "Return one number for each test caption."
    assert not np.allclose(found, nats(once / once.sum(1, keepdims=True)), atol=1e-4), (
        "A pair that occurs twice in a caption is counted once here. `np.add.at` counts it twice."
    )
    assert not np.allclose(found, nats(counts / counts.sum(0, keepdims=True)), atol=1e-4), (
        "The table is normalised over the word before. Given the word before, the chances of the next ones sum to one."
    )
    assert not np.allclose(found, nats(counts / counts.sum()), atol=1e-4), (
        "That is the chance of a pair. The chance of a word *given* the one before is asked for: normalise each row."
    )
    assert not np.allclose(found * len(test[0][1:]), expected, atol=1e-4), (
        "That is the mean of a word. Sum over a caption."
    )
    assert np.allclose(found, expected, atol=1e-4), f"Expected {expected.round(3)} nats, and found {found.round(3)}."
    return "A count of word pairs already predicts a part of each caption, although it sees no picture."


@exercise
def exercise3(attention: Tensor, decoder: CaptionDecoder, regions: Tensor, tokens: Tensor) -> str:
    """The attention of a decoder that reads the real regions (R, D) of a picture and writes the tokens (W,)."""
    attention = torch.as_tensor(attention)
    expected = _looks(decoder, regions, tokens)
    words, count = expected.shape
    assert tuple(attention.shape) == (words, count), (
        f"Expected {words} words by {count} regions, and found {tuple(attention.shape)}."
    )
    assert bool(((attention.sum(1) - 1).abs() < 1e-4).all()), "The weights of a word sum to one."
    assert torch.allclose(attention, expected, atol=1e-4), (
        "These are not the weights of this decoder for this caption and its own picture. Call `plain` with the fresh "
        "decoder, and take the second value that it returns."
    )
    return "Each row is a distribution over states of the GRU, and not over regions."


def _looks(decoder: CaptionDecoder, regions: Tensor, tokens: Tensor) -> Tensor:
    """The attention (W - 1, R) of each step in which the decoder predicts the next token."""
    looks = []
    with evaluating(decoder), torch.no_grad():
        mask = torch.ones(1, len(regions), dtype=torch.bool)
        states, hidden = decoder.read(regions[None], mask)
        keys = decoder.attend_regions(states)
        for word in decoder.embedding(tokens[:-1]):
            energy = decoder.attend_score(torch.tanh(keys + decoder.attend_state(hidden)[:, None]))
            looks.append(energy[0, :, 0].softmax(0))
            hidden = decoder.step(word[None], hidden, states, keys, mask)
    return torch.stack(looks)
