"""Exercises of `01_gcn_reasoning`."""

from collections.abc import Callable

import torch
from torch import Tensor

from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.matcher import System
from vsrpp_lite.settings import Sizes
from vsrpp_lite.teaching.verdict import asked, exercise, number, tensor

TOY = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])  # kite, ball, moon


@exercise
def exercise1(affinity: float, message: list[float]) -> str:
    """The affinity of the kite to one of the two balls, and the kite's message, two numbers."""
    number(
        affinity,
        1 / 4,
        {
            "There are four regions now, and the product is divided by their number.": 1 / 3,
            "The product is 1, but it is divided by the number of regions.": 1.0,
            "The affinity to *one* of the balls is asked for.": 1 / 2,
        },
    )
    tensor(
        message,
        torch.tensor([0.75, 0.5]),
        {
            "That is the message before the ball was found twice.": torch.tensor([2 / 3, 1 / 3]),
            "Your message counts one ball only. Both balls send a message to the kite.": torch.tensor([0.5, 0.25]),
            "That is the message without the division.": torch.tensor([3.0, 2.0]),
        },
    )
    return "What is found twice counts twice."


@exercise
def exercise2(attend: Callable[[Tensor], Tensor]) -> str:
    """The messages of regions (R, 2) if each row of the divided affinity goes through a softmax."""
    affinity = TOY @ TOY.T / 3
    tensor(
        asked(attend, TOY),
        affinity.softmax(-1) @ TOY,
        {
            "The softmax runs over the columns here. Each region divides its attention among the others: over a row.": (
                affinity.softmax(0) @ TOY
            ),
            "These are the messages without a softmax.": affinity @ TOY,
            "Divide the products by 3, the number of regions, before the softmax.": (TOY @ TOY.T).softmax(-1) @ TOY,
            "Divide the products by 3, the number of regions, and not by the root of 2.": (
                (TOY @ TOY.T / 2**0.5).softmax(-1) @ TOY
            ),
            "These are the weights. The messages are the weights times the regions.": affinity.softmax(-1),
        },
    )
    tensor(asked(attend, 2 * TOY), (4 * affinity).softmax(-1) @ (2 * TOY))
    return "A message is now an average of regions. No region can be ignored completely, or subtracted, any more."


@exercise
def exercise3(silent: System) -> str:
    """A system whose graph layers send no messages."""
    assert isinstance(silent, System), "The answer is a system, such as Silent()."
    torch.manual_seed(0)
    sizes = Sizes(embed=8, word=4, caption=4, layers=2)
    matcher = silent.build(Vocabulary.build(["a kite"]), 6, sizes).eval()
    graph = getattr(matcher.images, "reason", None)
    assert graph is not None and len(graph.layers) == 2, "Keep both layers. Only their messages are to be zero."
    regions, mask = torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)
    other = regions.clone()
    other[0, 2] += 1.0
    for layer in graph.layers:
        torch.nn.init.ones_(layer.norm.weight)  # a new layer is the identity, with messages or without
    with torch.no_grad():
        change = (graph(other, mask) - graph(regions, mask))[0]
    assert torch.allclose(change[:2], torch.zeros(2, 8), atol=1e-6), (
        "One region was changed, and another one noticed it: some message still passes."
    )
    assert torch.allclose(change[2], torch.ones(8), atol=1e-5), (
        "The changed region did not change by its own change alone: it still sends itself a message, or it no longer "
        "keeps what it was. Make the affinity zero everywhere, and leave the rest of the layer as it is."
    )
    for parameter in graph.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        trained = graph(regions, mask)
        change = (graph(other, mask) - trained)[0]
    assert torch.allclose(change[:2], torch.zeros(2, 8), atol=1e-5), (
        "The layers are silent only with the weights that they start with, and training moves these weights. "
        "Replace `affinity`, which holds for any weights."
    )
    assert not torch.allclose(trained, regions), (
        "These layers add nothing at all, so they are no layers. Keep them, and make only their messages zero."
    )
    return "A change of one region reaches no other one, whatever the weights become."
