"""Lesson 5 against a decoder that saves nothing: every caption by itself, every step in full."""

from itertools import pairwise

import pytest
import torch
from conftest import SMALL
from torch.nn.functional import log_softmax

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.systems.vsrn import VSRN

REGIONS = torch.randn(3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
REGION_MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 4 + [False]])
TOKENS = torch.tensor([[1, 4, 5, 2, 0, 0], [1, 5, 4, 6, 7, 2], [1, 6, 2, 0, 0, 0]])


def decoder():
    torch.manual_seed(0)
    return CaptionDecoder(9, 4, 6, 5).double().eval()


def plain_loss(model, regions, tokens):
    """- sum of log p(y_t | before, V*) of one caption, W1 applied to [E_r ; h] whole, at every step."""
    states, hidden = model.reader(model.squeeze(regions[None]))
    states, hidden = states[0], hidden[0]
    whole = torch.cat([model.attend_regions.weight, model.attend_state.weight], 1)
    loss = torch.zeros((), dtype=torch.float64)
    for before, after in pairwise(tokens):
        both = torch.cat([states, hidden.expand(len(states), -1)], 1)
        energy = torch.tanh(both @ whole.T + model.attend_regions.bias) @ model.attend_score.weight[0]
        context = energy.softmax(0) @ states
        hidden = model.cell(torch.cat([model.embedding(before), context])[None], hidden)
        loss = loss - log_softmax(model.output(hidden), 1)[0, after]
    return loss


def test_loss_and_gradients_equal_the_plain_decoder():
    model = decoder()
    found = model.loss(REGIONS, REGION_MASK, TOKENS, TOKENS > 0)
    expected = (
        sum(plain_loss(model, REGIONS[b, REGION_MASK[b]], TOKENS[b, : int((TOKENS[b] > 0).sum())]) for b in range(3))
        / 3
    )
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    parameters = list(model.parameters())
    for a, b in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_padding_and_order_change_nothing():
    model = decoder()
    plain = model.loss(REGIONS, REGION_MASK, TOKENS, TOKENS > 0)
    wide = torch.cat([TOKENS, torch.zeros(3, 4, dtype=torch.long)], 1)
    torch.testing.assert_close(model.loss(REGIONS, REGION_MASK, wide, wide > 0), plain)
    turn = torch.tensor([2, 0, 1])
    turned = model.loss(REGIONS[turn], REGION_MASK[turn], TOKENS[turn], TOKENS[turn] > 0)
    torch.testing.assert_close(turned, plain)


def test_an_untrained_decoder_guesses_at_chance():
    model = decoder()
    torch.nn.init.zeros_(model.output.weight)
    torch.nn.init.zeros_(model.output.bias)
    lengths = (TOKENS > 0).sum(1) - 1
    expected = lengths.double().mean() * torch.log(torch.tensor(9.0, dtype=torch.float64))
    torch.testing.assert_close(model.loss(REGIONS, REGION_MASK, TOKENS, TOKENS > 0), expected)


def test_it_learns_to_write_the_captions_that_it_was_taught():
    model = decoder().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(250):
        optimizer.zero_grad()
        model.loss(REGIONS, REGION_MASK, TOKENS, TOKENS > 0).backward()
        optimizer.step()
    written = model.eval().write(REGIONS, REGION_MASK, start=1, end=2)
    assert written == [[4, 5], [5, 4, 6, 7], [6]]


def test_the_regions_learn_from_the_caption():
    model, regions = decoder(), REGIONS.clone().requires_grad_()
    model.loss(regions, REGION_MASK, TOKENS, TOKENS > 0).backward()
    assert (regions.grad[REGION_MASK].abs().sum(1) > 0).all()
    assert regions.grad[~REGION_MASK].abs().sum() == pytest.approx(0)


def test_dropout_reaches_the_picture_the_words_and_what_is_attended_to():
    """With a dropout of one, all three are zero: the decoder is a GRU that reads zeros, and its h alone says words."""
    model = decoder()
    model.dropout.p = 1.0
    expected = torch.zeros((), dtype=torch.float64)
    for b in range(3):
        _, h = model.reader(torch.zeros(1, int(REGION_MASK[b].sum()), 5, dtype=torch.float64))
        h = h[0]
        for word in TOKENS[b, 1 : int((TOKENS[b] > 0).sum())]:
            h = model.cell(torch.zeros(1, 4 + 5, dtype=torch.float64), h)
            expected = expected - log_softmax(model.output(h), 1)[0, word] / 3
    found = model.train().loss(REGIONS, REGION_MASK, TOKENS, TOKENS > 0)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_one_number_in_five_is_dropped_in_training_and_none_when_a_caption_is_written():
    """What is left is 1 / 0.8 of what it was, so that the mean stays."""
    model = VSRN().build(Vocabulary.build(["a dog"]), 4, SMALL).losses["caption"]
    torch.manual_seed(0)
    left = model.train().dropout(torch.ones(20_000))
    assert (left == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert left[left > 0].unique().tolist() == [1.25]
    assert (model.eval().dropout(torch.ones(20_000)) == 1).all()
    shown = torch.randn(3, 5, SMALL.embed), torch.ones(3, 5, dtype=torch.bool)
    sentences = [model.train().write(*shown, start=1, end=2) for _ in range(5)]
    assert model.training
    assert sentences == [model.eval().write(*shown, start=1, end=2)] * 5
