"""A split in memory: slices keep their captions, and an epoch shows every caption once, the same each time."""

import numpy as np
import torch

from vsrpp_lite.data.dataset import batches
from vsrpp_lite.data.precomp import open_split


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
        assert batch.image_ids[row] == image
        assert torch.equal(batch.regions[row], torch.from_numpy(np.array(train.features[image])))
