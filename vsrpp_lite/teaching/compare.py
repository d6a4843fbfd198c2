"""A comparison that names the mistake: for the checks of the exercises, and for the hidden tests of the assignments."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def compare(found: Any, expected: Tensor, mistakes: Mapping[str, Tensor] | None = None, atol: float = 1e-5) -> None:
    """Pass if `found` equals `expected`; else raise an error, which names the mistake if it is a known one.

    Args:
        mistakes: for each known mistake, a message that teaches, and the value that an answer with the mistake gives.

    Raises:
        AssertionError: the values differ.
    """
    place = misplaced(found, expected, mistakes, atol)
    if place is not None:
        values = torch.as_tensor(found)[place], expected[place]
        raise AssertionError(f"at position {place} expected {values[1]:.4f}, found {values[0]:.4f}")


def misplaced(
    found: Any, expected: Tensor, mistakes: Mapping[str, Tensor] | None = None, atol: float = 1e-5
) -> tuple[int, ...] | None:
    """Return where `found` lies furthest from `expected`, or None if they are equal; the arguments are `compare`'s.

    Raises:
        AssertionError: `found` has another shape or holds no numbers, or the mistake is a known one.
    """
    if isinstance(found, list | int | float | np.ndarray | np.number) and not isinstance(found, bool):
        found = torch.as_tensor(found)
    assert isinstance(found, Tensor), f"expected numbers, found {type(found).__name__}: does the function return them?"
    assert found.shape == expected.shape, f"expected shape {tuple(expected.shape)}, found {tuple(found.shape)}"
    assert not found.isnan().any(), "the result has NaN: is something divided by zero, or a softmax over nothing?"
    found, expected = found.detach().double(), expected.double()  # to expected integers, 1.9 must not become 1
    if torch.allclose(found, expected, atol=atol, rtol=1e-4):
        return None
    for message, wrong in (mistakes or {}).items():
        if wrong.shape == found.shape and torch.allclose(found, wrong.to(found.dtype), atol=atol, rtol=1e-4):
            raise AssertionError(message)
    where = (found - expected).abs().flatten().argmax()
    return tuple(int(k) for k in torch.unravel_index(where, expected.shape))
