"""Exercises of `03_local_attention`."""

from collections.abc import Callable

import torch
from torch import Tensor

from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.teaching.verdict import asked, exercise, tensor

TASKS = ("text retrieval", "image retrieval")


@exercise
def exercise1(words_ask: str, regions_ask: str) -> str:
    """Which retrieval changes between sum and mean: where words ask, and where regions ask."""
    for answer in (words_ask, regions_ask):
        assert answer in TASKS, f"Answer with one of {TASKS}."
    assert words_ask == "text retrieval", (
        "Where words ask, the factor is the number of words. It belongs to the sentence, so it scales a whole column, "
        "and a picture is compared with others within a column."
    )
    assert regions_ask == "image retrieval", (
        "Where regions ask, the factor is the number of regions. It belongs to the picture, so it scales a whole row."
    )
    return "A factor that all candidates of a query share cannot change their order."


@exercise
def exercise2(normalised: Callable[[Tensor, float], Tensor]) -> str:
    """Clip affinities (R, W) with a slope for the negative ones, and divide each region's row by its length."""
    s = torch.tensor([[0.8, 0.6], [1.0, -0.2], [-0.6, -0.5]])

    def clip(slope: float) -> Tensor:
        return torch.where(s > 0, s, slope * s)

    for slope in (0.1, 0.5):
        clipped = clip(slope)
        tensor(
            asked(normalised, s.clone(), slope),
            clipped / clipped.norm(dim=1, keepdim=True),
            {
                "The division runs over the regions here. Divide each region's row by its own length.": (
                    clipped / clipped.norm(dim=0, keepdim=True)
                ),
                "The negative affinities keep their size here: multiply them by the slope.": (
                    s / s.norm(dim=1, keepdim=True)
                ),
            },
        )
    zero = asked(normalised, s.clone(), 0.0)
    assert not bool(zero.isnan().any()), "With slope 0 the third row has length 0: do not divide by it."
    assert bool((zero[2] == 0).all()), "With slope 0 the third row is (0, 0)."
    return "A positive slope cancels in a row of negative affinities, and slope 0 leaves nothing of it."


@exercise
def exercise3(scores: Callable[[Encoded, Encoded], Tensor]) -> str:
    """S_L where regions ask, with temperature 4, for all pairs: (I, T)."""
    generator = torch.Generator().manual_seed(0)

    def side(items: int, parts: int, lengths: list[int]) -> Encoded:
        mask = torch.arange(parts) < torch.tensor(lengths)[:, None]
        fragments = torch.randn(items, parts, 4, dtype=torch.float64, generator=generator)
        fragments = fragments / fragments.norm(dim=-1, keepdim=True) * mask[:, :, None]
        return Encoded(fragments.mean(1), fragments, mask)

    images, texts = side(3, 4, [4, 2, 3]), side(2, 5, [5, 3])
    expected = cross_attention(images, texts, direction="i2t", temperature=4.0)
    everywhere = Encoded(images.pooled, images.fragments, torch.ones_like(images.mask))
    tensor(
        asked(scores, images, texts),
        expected,
        {
            "Words ask here. Let the regions ask, and the words answer.": (
                cross_attention(images, texts, temperature=4.0)
            ),
            "That is the temperature 9 of the other direction.": (
                cross_attention(images, texts, direction="i2t", temperature=9.0)
            ),
            "Missing regions count in the mean here. Regions ask now, so the mean needs the mask.": (
                cross_attention(everywhere, texts, direction="i2t", temperature=4.0)
            ),
        },
    )
    return "It agrees with the package."
