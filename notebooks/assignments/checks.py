"""Functions for hidden tests: a comparison that names the mistake, and a call that must not use the package."""

import sys
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vsrpp_lite

PACKAGE = str(Path(vsrpp_lite.__file__).parent)


def compare(found: Any, expected: Tensor, mistakes: Mapping[str, Tensor] | None = None, atol: float = 1e-5) -> None:
    """Pass if `found` equals `expected`; else raise an error, which names the mistake if it is a known one.

    Args:
        mistakes: for each known mistake, a message that teaches, and the value that an answer with the mistake gives.

    Raises:
        AssertionError: the values differ.
    """
    if isinstance(found, list | float | np.ndarray | np.floating):
        found = torch.as_tensor(found)
    assert isinstance(found, Tensor), f"expected numbers, found {type(found).__name__}: does the function return them?"
    assert found.shape == expected.shape, f"expected shape {tuple(expected.shape)}, found {tuple(found.shape)}"
    assert not found.isnan().any(), "the result has NaN: is something divided by zero, or a softmax over nothing?"
    found = found.detach().to(expected.dtype)
    if torch.allclose(found, expected, atol=atol, rtol=1e-4):
        return
    for message, wrong in (mistakes or {}).items():
        if wrong.shape == found.shape and torch.allclose(found, wrong.to(found.dtype), atol=atol, rtol=1e-4):
            raise AssertionError(message)
    where = (found - expected).abs().flatten().argmax()
    place = tuple(int(k) for k in torch.unravel_index(where, expected.shape))
    raise AssertionError(
        f"at position {place} expected {expected.flatten()[where]:.4f}, found {found.flatten()[where]:.4f}"
    )


def by_hand(function: Callable, *args: Any, allowed: tuple[str, ...] = (), **kwargs: Any) -> Any:
    """Return the value of a call that must use no function of the package and must not change its arguments.

    Every use counts: through an import, an alias, a method or a thread. The call may use functions in `allowed`, and
    these may use others.

    Raises:
        AssertionError: the package was used, or an argument was changed in place.
    """
    used = set()
    before = [deepcopy(argument) if isinstance(argument, Tensor | np.ndarray) else None for argument in args]

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE) and not _within(frame, allowed):
            used.add(frame.f_code.co_qualname)

    previous, of_threads = sys.getprofile(), threading.getprofile()
    sys.setprofile(watch)
    threading.setprofile(watch)
    try:
        found = function(*args, **kwargs)
    finally:
        sys.setprofile(previous)
        threading.setprofile(of_threads)
    assert not used, f"write this one yourself: your answer calls {', '.join(sorted(used))} of vsrpp_lite"
    for number, (argument, copy) in enumerate(zip(args, before, strict=True)):
        if copy is not None and not (argument == copy).all():
            raise AssertionError(f"your answer changes its argument number {number + 1} in place: use a new tensor")
    return found


def _within(frame: Any, allowed: tuple[str, ...]) -> bool:
    """Tell whether this call is a call of an allowed function, or was made by one."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE) and code.co_qualname in allowed:
            return True
        frame = frame.f_back
    return False
