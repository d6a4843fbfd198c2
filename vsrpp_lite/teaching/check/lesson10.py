"""Exercises of `10_from_the_hinge_to_clip`."""

import math

import torch

from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.fusion import fusion
from vsrpp_lite.global_alignment import RELEASED_BATCH
from vsrpp_lite.info_nce import InfoNCE, info_nce
from vsrpp_lite.settings import Sizes
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.teaching.verdict import exercise, number, tensor

S = torch.tensor([[0.6, 0.5, 0.2], [0.3, 0.4, 0.5], [0.1, 0.3, 0.7]])
TAU = 0.1 / math.log(2)


@exercise
def exercise1(rows: list[float], columns: list[float]) -> str:
    """The shares of the right answers at half the temperature: of the three rows, and of the three columns."""
    for found, scores in ((rows, S), (columns, S.T)):
        tensor(
            found,
            torch.softmax(2 * scores / TAU, 1).diagonal(),
            {
                "These are the shares at the old temperature: square the powers.": (
                    torch.softmax(scores / TAU, 1).diagonal()
                ),
                "Squaring the shares is not enough, for they must sum to one again. Square the powers.": (
                    torch.softmax(scores / TAU, 1).diagonal() ** 2
                ),
                "Give shares from 0 to 1, and not per cent.": 100 * torch.softmax(2 * scores / TAU, 1).diagonal(),
            },
            within=6e-3,  # two decimals are enough
        )
    return "The two queries that are behind get a smaller share: a low temperature is more severe."


@exercise
def exercise2(gradient: float) -> str:
    """The derivative of the loss by log(1 / tau), at the tau of the example."""
    log_inverse = torch.tensor(math.log(1 / TAU), requires_grad=True)
    own = torch.arange(3)
    wrong = own[:, None] != own
    loss = (info_nce(S, own, wrong, log_inverse.exp()) + info_nce(S.T, own, wrong, log_inverse.exp())).mean() / 2
    (expected,) = torch.autograd.grad(loss, log_inverse)
    mistakes = {
        "That is the derivative by 1 / tau. By its logarithm, it is larger by the factor 1 / tau.": (
            expected.item() * TAU
        ),
        "That is the sum of both directions. The loss is their mean.": 2 * expected.item(),
        "The sign is turned.": -expected.item(),
    }
    number(gradient, expected.item(), mistakes, within=2e-3)
    return "If the derivative is negative, training makes 1 / tau larger. Which sign does your derivative have?"


@exercise
def exercise3(soft: VSRpp) -> str:
    """A system like VSR++ whose ranking loss is InfoNCE at a temperature that suits S_G + mu S_L."""
    assert isinstance(soft, VSRpp), "The answer is a system of a subclass of VSRpp, such as Soft()."
    torch.manual_seed(0)
    matcher = soft.build(Vocabulary.build(["a dog"]), 6, Sizes(embed=8, word=4, caption=4, layers=1)).eval()
    loss = matcher.losses["ranking"]
    assert isinstance(loss, InfoNCE), f"The ranking loss is {type(loss).__name__}, not InfoNCE."
    assert "caption" in matcher.losses, "Keep the caption loss."
    assert loss.weight == RELEASED_BATCH, (
        f"The ranking loss has the weight {loss.weight:g}, and the hinge that it replaces has {RELEASED_BATCH}. Give "
        'it the same weight, `plain.losses["ranking"].weight`, or the caption loss counts far more than before.'
    )
    with torch.no_grad():
        images = matcher.images(torch.randn(4, 3, 6), torch.ones(4, 3, dtype=torch.bool))
        texts = matcher.encode_texts(["a dog", "dog"])
        wanted, width = fusion(images, texts, mu=soft.mu, local=soft.local), 1 + soft.mu
        asked = loss.similarity(images, texts)
        if torch.allclose(asked, wanted / width, atol=1e-5):  # the same loss, in which a score lies between -1 and 1
            asked, width = wanted, 1.0
        for whose, found in (("loss", asked), ("matcher", matcher.similarity(images, texts))):
            assert torch.allclose(found, wanted, atol=1e-5), (
                f"The {whose} looks at another score than S_G + mu S_L. Take `plain.similarity` for both."
            )
    number(
        1 / loss.inverse_temperature.item(),
        0.07 * width,
        {"0.07 is right for a cosine, which lies between -1 and 1. How wide is the range of S?": 0.07},
        within=1e-3,
    )
    return "A range that is 1 + mu times as wide gets a temperature that is 1 + mu times as high."
