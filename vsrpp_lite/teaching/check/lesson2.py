"""Exercises of `02_global_alignment`."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.teaching.verdict import asked, exercise, number
from vsrpp_lite.training.runs import Run


@exercise
def exercise1(summed: float, hardest: float, at_zero: float) -> str:
    """The two losses of the 3 x 3 matrix at margin 0.1, and their common value at margin 0."""
    mistakes = {
        "That is the sum over the queries. The lesson takes the mean of each direction, and adds the two.": 0.4,
        "That is one direction. Add the other one.": 0.2 / 3,
    }
    number(summed, 0.4 / 3, mistakes)
    number(hardest, 0.4 / 3, mistakes)
    number(at_zero, 0.2 / 3, {"Two queries have a wrong candidate that scores higher than the right one.": 0.0})
    return "At margin 0, the queries with a loss above 0 are exactly those that R@1 counts as wrong."


@exercise
def exercise2(shuffle: Callable[[Tensor, Tensor], Tensor]) -> str:
    """A function that puts the real regions (B, R, F) of each picture into another order; mask (B, R)."""
    generator = torch.Generator().manual_seed(0)
    regions = torch.randn(64, 6, 3, generator=generator)
    mask = torch.arange(6) < torch.tensor([6, 6, 5, 4, 6, 3, 6, 5] * 8)[:, None]
    regions = regions * mask[:, :, None]
    found = asked(shuffle, regions.clone(), mask)
    assert isinstance(found, Tensor) and found.shape == regions.shape, (
        f"Expected regions of shape {tuple(regions.shape)}."
    )
    assert bool((found[~mask] == 0).all()), "A missing region moved to the front. Sort the missing ones to the end."
    orders = []
    for before, after, kept in zip(regions, found, mask):
        same = (after[kept][:, None] == before[kept][None]).all(-1)
        assert bool((same.sum(0) == 1).all()), (
            "A region is lost, changed, or there twice: move whole regions, all numbers of one together."
        )
        orders.append(tuple(same.int().argmax(1).tolist()))
    moved = [order != tuple(range(len(order))) for order in orders]
    assert any(moved), "The order is still the old one."
    for those, named in ((mask.all(1), "without missing regions"), (~mask.all(1), "with missing regions")):
        share = sum(moved[k] for k in those.nonzero()[:, 0].tolist()) / int(those.sum())
        assert share > 0.5, f"Few of the pictures {named} have a new order. Shuffle every picture."
    assert len({order for order in orders if len(order) == 6}) > 1, "Draw another order for each picture."
    return "Every picture keeps its regions, and their order is another one."


@exercise
def exercise3(fused: Run, start: Run) -> str:
    """The run of the fused similarity without warm-up; `start` is the run of the global model."""
    assert isinstance(fused, Run), "The answer is the run, before `fit()`."
    assert isinstance(fused.system, VSRpp), f"The system is {type(fused.system).__name__}. The question is on VSRpp."
    assert fused.system.fusion == "similarity", "Leave the fusion as it is by default: one hinge on S_G + mu S_L."
    assert not fused.system.caption_loss, "Leave out the caption loss, so that only the similarity differs."
    assert not fused.system.bidirectional, (
        "It has a Bi-GRU, and the global model has none: set `bidirectional=False`, so that one part alone differs."
    )
    assert replace(fused.system, fusion="global") == start.system, "Its system differs in more than the fusion."
    assert replace(fused, system=start.system, training=start.training) == start, (
        "Its data, preset, seed or sizes differ from those of `start`. Make it with `replace(start, ...)`."
    )
    training, plain = fused.settings.training, start.settings.training
    assert training.warmup_epochs == 0, "It still warms up: set `warmup_epochs=0`."
    assert training == replace(plain, epochs=3, warmup_epochs=0), (
        "Its training differs in more than the warm-up. Replace `epochs` by 3 and `warmup_epochs` by 0 in "
        "`start.settings.training`, as above."
    )
    return "This run differs from the global one in its similarity alone."
