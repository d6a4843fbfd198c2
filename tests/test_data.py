"""A split in memory: slices keep their captions, and an epoch shows every caption once, the same each time."""

import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import SMALL

from vsrpp_lite.data.dataset import batches, prefetched, similar_lengths
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.runs import Run


def test_a_slice_keeps_each_image_with_its_captions(toy):
    train = open_split(toy, "train")
    some = train[np.array([7, 2])]
    assert some.image_ids.tolist() == [7, 2]
    assert sorted(some.captions) == sorted(train.captions_of(7) + train.captions_of(2))
    assert some.captions_of(0) == train.captions_of(7)
    assert torch.equal(some.regions(np.array([1]))[0], train.regions(np.array([2]))[0])


def test_an_epoch_is_a_function_of_its_seed_and_number_and_shows_every_caption_once(toy):
    train = open_split(toy, "train")
    tokens = [np.array([1, k + 4, 2], dtype=np.int32) for k in range(len(train.captions))]

    def epoch(seed, number, **place):
        return [batch.tokens[:, 1].tolist() for batch in batches(train, tokens, 20, seed=seed, epoch=number, **place)]

    assert epoch(0, 0) == epoch(0, 0)
    assert epoch(0, 0) != epoch(0, 1)
    assert epoch(0, 0) != epoch(1, 0)
    assert sorted(token for batch in epoch(0, 0) for token in batch) == list(range(4, 184))
    halves = [epoch(0, 0, rank=rank, world=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == epoch(0, 0)


def test_a_batch_pairs_each_caption_with_its_own_image(toy):
    train = open_split(toy, "train")
    tokens = [np.array([1, k + 4, 2], dtype=np.int32) for k in range(len(train.captions))]
    batch = next(batches(train, tokens, 16, seed=3, epoch=0))
    for row, token in enumerate(batch.tokens[:, 1].tolist()):
        image = train.caption_to_image[token - 4]
        assert batch.image_positions[row] == image
        assert torch.equal(batch.regions[row], torch.from_numpy(np.array(train.features[image])))


def test_a_split_can_be_counted_indexed_and_walked_through(toy):
    data = open_split(toy, "dev")
    assert len(data) == len(list(data)) == 12
    third = data[3]
    assert third.image_id == 103
    assert third.captions == data.captions[9:12]
    count = int(data.mask[3].sum())
    assert third.regions.shape == (count, 12)
    assert third.regions.dtype == np.float32
    np.testing.assert_array_equal(third.regions, data.features[3, :count])
    assert third.boxes.shape == (count, 4)
    assert third.picture is None
    assert data[-1].image_id == 111
    assert [example.image_id for example in data[2:5]] == [102, 103, 104]
    with pytest.raises(IndexError, match=r"image 12 of .*dev; it has 12 images"):
        data[12]


def test_an_image_is_chosen_once(toy):
    """A caption belongs to one position, so an image that stands at two would lose its captions."""
    data = open_split(toy, "dev")
    with pytest.raises(ValueError, match="3 positions, of which some are equal; expected each image once"):
        data[np.array([0, 0, 1])]
    assert len(data[np.array([4, 0])].captions) == 6


def test_one_caption_is_one_caption(toy):
    matcher = Run(system=VSRpp(), data=str(toy), sizes=SMALL).build()
    assert len(matcher.encode_texts("a red dog").pooled) == 1
    assert matcher.encode_texts(["a red dog", "a car"]).pooled.shape == (2, 16)


def test_the_ragged_last_batch_is_left_out(toy):
    """180 captions are eleven batches of sixteen, and four captions that another epoch will show."""
    train = open_split(toy, "train")
    tokens = [np.array([1, k + 4, 2], dtype=np.int32) for k in range(len(train.captions))]
    found = list(batches(train, tokens, 16, seed=0, epoch=0))
    assert [len(batch.tokens) for batch in found] == [16] * 11
    assert len({token for batch in found for token in batch.tokens[:, 1].tolist()}) == 176


def test_a_batch_holds_captions_of_similar_length():
    """Eight captions, four of 1 word and four of 9, make one window of two batches: each length gets its own batch.

    Without sorting, a batch of both lengths would be padded to 9, and more than half of it could be padding.
    """
    lengths = np.array([1, 9, 1, 9, 1, 9, 1, 9])
    found = similar_lengths(lengths, 4, seed=0, epoch=0, window=2)
    assert sorted(map(tuple, lengths[found].tolist())) == [(1,) * 4, (9,) * 4]
    assert sorted(found.flatten().tolist()) == list(range(8))


def test_captions_of_one_length_meet_others_in_the_next_epoch_and_short_ones_do_not_come_first():
    """Forty captions of four lengths in batches of two: neither the company of a caption nor the order is fixed."""
    lengths = np.repeat([3, 5, 7, 9], 10)
    first, second = (similar_lengths(lengths, 2, seed=0, epoch=epoch, window=20) for epoch in (0, 1))
    assert (lengths[first][:, 0] == lengths[first][:, 1]).all()
    assert {frozenset(pair) for pair in first.tolist()} != {frozenset(pair) for pair in second.tolist()}
    assert not (np.diff(lengths[first][:, 0]) >= 0).all()


def test_all_processes_see_texts_of_one_width(toy):
    """The width is the length of the longest caption of the whole batch. If each process padded its texts to its own
    longest caption, the texts of all processes could not be joined."""
    train = open_split(toy, "train")
    tokens = [np.full(2 + k % 7, 5, dtype=np.int32) for k in range(len(train.captions))]
    shares = [batches(train, tokens, 4, seed=0, epoch=0, rank=rank, world=4) for rank in range(4)]
    for step in zip(*shares, strict=True):
        assert all(one.tokens.shape == other.tokens.shape for one, other in pairwise(step))
        longest = max(int(batch.token_mask.sum()) for batch in step)
        assert step[0].tokens.shape == (1, longest)
        assert [int(batch.positives) for batch in step] == [0, 1, 2, 3]


def test_the_next_batch_is_made_while_the_last_is_used():
    """The iterator is one item ahead of the caller, and gives all of them in order."""
    made = [threading.Event() for _ in range(4)]

    def numbers():
        for number in range(4):
            made[number].set()
            yield number

    seen = []
    for number in prefetched(numbers()):
        assert made[min(3, number + 1)].wait(timeout=60)
        seen.append(number)
    assert seen == [0, 1, 2, 3]


def test_an_error_of_the_reader_reaches_the_caller():
    def broken():
        yield 1
        raise DataError("a disk that is gone")

    with pytest.raises(DataError, match="gone"):
        list(prefetched(broken()))
