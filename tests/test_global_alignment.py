"""Lesson 2 against a pencil: the hinge on a hand-made matrix and by a triple loop, the Bi-GRU against PyTorch's own."""

import pytest
import torch
from torch import nn

from vsrpp_lite.data.dataset import Batch
from vsrpp_lite.global_alignment import (
    Hinge,
    RegionGRU,
    SentenceGRU,
    both_directions,
    cosine,
    hinge,
    in_full_precision,
    l2norm,
    ranking_loss,
    read,
)
from vsrpp_lite.matcher import Comparison, Encoded, Progress


class Told(nn.Linear):
    """Returns whether mixed precision is on, and the type of what it reads."""

    def forward(self, x):
        return torch.is_autocast_enabled(x.device.type), x.dtype


def test_recurrent_layers_keep_the_precision_of_their_weights_where_mixed_precision_is_on():
    """PyTorch would run cuDNN's GRU in float16 even where bfloat16 was asked for. This CPU has no such layer."""
    with torch.autocast("cpu", torch.bfloat16):
        assert in_full_precision(Told(3, 4), torch.ones(3, dtype=torch.bfloat16)) == (False, torch.float32)
    gru, sequence, mask = nn.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        assert read(gru, sequence.bfloat16(), mask)[0].dtype == torch.float32


def test_hinge_by_hand():
    scores = torch.tensor([[0.9, 0.8, 0.2], [0.5, 0.4, 0.45]])
    negatives = torch.tensor([[False, True, True], [True, False, True]])
    positives = torch.tensor([0, 1])
    # row 0: [.2 - .9 + .8]+ = .1 and [.2 - .9 + .2]+ = 0      row 1: [.2 - .4 + .5]+ = .3 and [.2 - .4 + .45]+ = .25
    hardest = hinge(scores, positives, negatives, margin=0.2, hardest=True)
    torch.testing.assert_close(hardest, torch.tensor([0.1, 0.3]))
    summed = hinge(scores, positives, negatives, margin=0.2, hardest=False)
    torch.testing.assert_close(summed, torch.tensor([0.1, 0.55]))


@pytest.mark.parametrize("hardest", [True, False])
def test_ranking_loss_equals_a_triple_loop(hardest):
    torch.manual_seed(1)
    scores = torch.rand(7, 7, dtype=torch.float64)
    ids = [0, 1, 2, 1, 3, 4, 0]  # two images twice
    total = 0.0
    for direction in range(2):
        for query in range(7):
            violations = [0.0]
            for other in range(7):
                if ids[other] != ids[query]:
                    wrong = scores[query, other] if direction == 0 else scores[other, query]
                    violations.append(max(0.0, 0.2 - scores[query, query].item() + wrong.item()))
            total += max(violations) if hardest else sum(violations)
    image_ids = torch.tensor(ids)
    found = ranking_loss(scores, image_ids, margin=0.2, hardest=hardest)
    assert found.item() == pytest.approx(total / 7, abs=1e-12)


def test_two_captions_of_one_image_are_never_negatives():
    scores = torch.tensor([[0.1, 0.9], [0.9, 0.1]], requires_grad=True)
    same = torch.tensor([5, 5])
    loss = ranking_loss(scores, same, margin=0.2, hardest=True)
    loss.backward()
    assert loss.item() == 0
    assert scores.grad.abs().sum() == 0


@pytest.mark.parametrize("hardest", [True, False])
def test_hinge_gradient(hardest):
    torch.manual_seed(0)
    scores = torch.rand(4, 4, dtype=torch.float64, requires_grad=True)
    ids = torch.arange(4)
    assert torch.autograd.gradcheck(lambda s: ranking_loss(s, ids, margin=0.2, hardest=hardest), scores)


def test_all_similarities_equal_is_the_plateau_at_twice_the_margin():
    loss = ranking_loss(torch.zeros(8, 8), torch.arange(8), margin=0.2, hardest=True)
    assert loss.item() == pytest.approx(0.4)


def test_a_share_of_the_batch_sees_the_whole_of_it():
    torch.manual_seed(2)
    scores, ids = torch.rand(6, 6), torch.tensor([0, 1, 2, 3, 1, 4])
    whole = ranking_loss(scores, ids, margin=0.2, hardest=True)
    shares = [
        both_directions(scores[own], scores[:, own], own, ids[own, None] != ids, margin=0.2, hardest=True)
        for own in (torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5]))
    ]
    torch.testing.assert_close(sum(shares) / 2, whole)


def test_the_bi_gru_is_pytorchs():
    torch.manual_seed(0)
    ours = SentenceGRU(9, 4, 5, bidirectional=True)
    theirs = nn.GRU(4, 5, batch_first=True, bidirectional=True)
    for name, value in ours.forwards.named_parameters():
        getattr(theirs, name).data.copy_(value)
    for name, value in ours.backwards.named_parameters():
        getattr(theirs, f"{name}_reverse").data.copy_(value)
    tokens = torch.tensor([[1, 4, 5, 6, 2], [1, 7, 2, 0, 0]])
    encoded = ours(tokens, tokens > 0)
    for row, length in enumerate([5, 3]):
        states, last = theirs(ours.embedding(tokens[row : row + 1, :length]))
        words = l2norm(states.unflatten(2, (2, 5)).mean(2))
        torch.testing.assert_close(encoded.fragments[row, :length], words[0])
        torch.testing.assert_close(encoded.pooled[row], l2norm(last.mean(0))[0])
        assert encoded.fragments[row, length:].abs().sum() == 0


def test_the_one_directional_gru_cannot_see_ahead_and_the_bi_gru_can():
    tokens = torch.tensor([[1, 4, 5, 2], [1, 4, 6, 2]])  # a car that ... / a ball that ...
    for bidirectional, differs in ((False, False), (True, True)):
        torch.manual_seed(0)
        words = SentenceGRU(9, 4, 5, bidirectional=bidirectional)(tokens, tokens > 0).fragments
        assert (not torch.allclose(words[0, 1], words[1, 1])) == differs


def test_the_region_gru_stops_at_the_last_region():
    torch.manual_seed(0)
    encoder = RegionGRU(4).eval()
    regions = torch.randn(1, 5, 4)
    mask = torch.tensor([[True, True, True, False, False]])
    torch.testing.assert_close(encoder(regions, mask), encoder(regions[:, :3], mask[:, :3]))
    states, last = read(encoder.gru, regions, mask)
    torch.testing.assert_close(last[0], states[0, 2])


def test_cosine_by_hand():
    images = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    texts = torch.tensor([[0.0, 1.0]])
    nothing = torch.zeros(2, 1, 2), torch.ones(2, 1, dtype=torch.bool)
    found = cosine(Encoded(images, *nothing), Encoded(texts, nothing[0][:1], nothing[1][:1]))
    torch.testing.assert_close(found, torch.tensor([[0.0], [0.8]]))


def test_l2norm_survives_zero():
    assert l2norm(torch.zeros(3)).isfinite().all()


def whole(pooled):
    return Encoded(pooled, pooled[:, None], torch.ones(len(pooled), 1, dtype=torch.bool))


def compared(images, texts, image_ids, progress):
    """A `Comparison` of a single process; of the batch itself a hinge asks nothing."""
    nothing = torch.zeros(len(image_ids), 0)
    batch = Batch(nothing[:, :, None], nothing.bool(), nothing.long(), nothing.bool(), image_ids, torch.arange(3))
    images, texts = whole(images), whole(texts)
    return Comparison(images, texts, images, texts, image_ids, image_ids, batch.positives, batch, progress)


def test_hinges_are_summed_while_training_warms_up_and_then_the_hardest_counts_alone():
    """S = [[.6 .5 .5], [.5 .6 .5], [.5 .5 .6]]: each query has two wrong candidates .1 within a margin of .2."""
    images, texts = torch.tensor([[0.6, 0.5, 0.5], [0.5, 0.6, 0.5], [0.5, 0.5, 0.6]]), torch.eye(3)
    for warming_up, expected in ((True, 2 * 2 * 0.1), (False, 2 * 0.1)):  # two directions
        loss = Hinge(cosine, 0.2)(compared(images, texts, torch.arange(3), Progress(warming_up=warming_up)))
        assert loss.item() == pytest.approx(expected)
    # if the first two pairs show one image, each of them has one wrong candidate, and the third still has two
    loss = Hinge(cosine, 0.2)(compared(images, texts, torch.tensor([7, 7, 9]), Progress(warming_up=True)))
    assert loss.item() == pytest.approx(2 * (0.1 + 0.1 + 0.2) / 3)


def test_words_begin_as_small_numbers_drawn_evenly_between_minus_and_plus_a_tenth():
    """A uniform distribution that is 0.2 wide has a standard deviation of 0.2 / sqrt(12) = 0.0577."""
    torch.manual_seed(0)
    weight = SentenceGRU(500, 40, 5, bidirectional=True).embedding.weight
    assert -0.1 <= weight.min() < -0.099
    assert 0.099 < weight.max() <= 0.1
    assert weight.mean().item() == pytest.approx(0, abs=0.002)
    assert weight.std().item() == pytest.approx(0.2 / 12**0.5, abs=0.001)
