"""InfoNCE against a pencil: shares of a softmax, two captions of one image, a temperature with a limit."""

import math

import pytest
import torch
from test_global_alignment import compared

from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.info_nce import InfoNCE, info_nce
from vsrpp_lite.matcher import START


def test_a_query_pays_the_log_of_its_partners_share():
    """Scores log 6, log 3 and log 1 of one query are shares of 6, 3 and 1 in ten."""
    scores = torch.tensor([[6.0, 3.0, 1.0]]).log()
    wrong = torch.tensor([[False, True, True]])
    loss = info_nce(scores, torch.tensor([0]), wrong, 1.0)
    torch.testing.assert_close(loss, torch.tensor([math.log(10 / 6)]))
    # the second shows the same image: it is left out, and 6 of 7 remain
    loss = info_nce(scores, torch.tensor([0]), torch.tensor([[False, False, True]]), 1.0)
    torch.testing.assert_close(loss, torch.tensor([math.log(7 / 6)]))
    # 1 / tau = 2 squares them: 36 of 36 + 9 + 1
    torch.testing.assert_close(info_nce(scores, torch.tensor([0]), wrong, 2.0), torch.tensor([math.log(46 / 36)]))


@pytest.mark.parametrize("temperature", [0, 0.005, math.inf, math.nan])
def test_a_temperature_that_the_training_could_not_keep_is_refused(temperature):
    with pytest.raises(ValueError, match=rf"temperature is {temperature}; expected a finite number of at least 0\.01"):
        InfoNCE(cosine, temperature=temperature)


def test_equal_scores_are_chance():
    loss = info_nce(torch.zeros(4, 4), torch.arange(4), ~torch.eye(4, dtype=torch.bool), 7.0)
    torch.testing.assert_close(loss, torch.full((4,), math.log(4)))


def test_the_loss_of_a_batch_is_the_mean_of_both_directions_and_knows_which_image_a_caption_is_of():
    """Each row of the scores is (1 0 0), and the columns are (1 1 1), (0 0 0) and (0 0 0): the directions differ."""
    images, texts = torch.tensor([[1.0, 0.0, 0.0]] * 3), torch.eye(3)
    loss = InfoNCE(cosine, temperature=1.0)
    e = math.e
    rows = [math.log((e + 2) / e), math.log((2 + e) / 1), math.log((2 + e) / 1)]
    columns = [math.log(3)] * 3
    found = loss(compared(images, texts, torch.arange(3), START))
    assert found.item() == pytest.approx((sum(rows) + sum(columns)) / 3 / 2)
    # pairs 0 and 1 show one image: neither is wrong for the other
    rows = [math.log((e + 1) / e), math.log(2), math.log(2 + e)]
    columns = [math.log(2), math.log(2), math.log(3)]
    found = loss(compared(images, texts, torch.tensor([4, 4, 5]), START))
    assert found.item() == pytest.approx((sum(rows) + sum(columns)) / 3 / 2)


def test_the_temperature_begins_where_it_is_told_learns_and_is_never_hotter_than_a_hundred():
    loss = InfoNCE(cosine)
    assert loss.inverse_temperature.item() == pytest.approx(1 / 0.07)
    loss(compared(torch.eye(3), torch.eye(3), torch.arange(3), START)).backward()
    assert loss.log_inverse_temperature.grad.item() < 0  # what is right may be surer
    surest = InfoNCE(cosine, temperature=0.01)
    with torch.no_grad():
        surest.log_inverse_temperature += 1  # as a step of training might
    surest(compared(torch.eye(3), torch.eye(3).flip(0), torch.arange(3), START)).backward()  # wrong, and very sure
    assert surest.inverse_temperature.item() == pytest.approx(100)
    assert surest.log_inverse_temperature.grad.item() > 0  # so it can become less sure again
