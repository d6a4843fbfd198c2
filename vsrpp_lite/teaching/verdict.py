"""Instant verdicts on exercises: a check never stops the notebook, it says what is right and what is not."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vsrpp_lite.teaching.compare import misplaced


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says of an answer. It is true if the answer is right."""

    right: bool
    says: str

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return self.says


class NotAnsweredError(Exception):
    """The stub of an exercise is still a stub."""


def exercise(judge: Callable[..., str]) -> Callable[..., Verdict]:
    """Make a check of a function that judges an answer.

    Args:
        judge: takes the parts of the answer, and returns one sentence on a right one. It raises `AssertionError` with
            a message that teaches if the answer is wrong.

    Returns:
        A function of the same arguments that returns a `Verdict`. An answer that is still `...` is "not answered yet".
        An error that the reader's own function raises is told and not raised.
    """

    @functools.wraps(judge)
    def check(*answer: Any) -> Verdict:
        try:
            if any(part is ... for part in answer):
                raise NotAnsweredError
            return Verdict(True, f"✓ Right. {judge(*answer)}")
        except NotAnsweredError:
            return Verdict(False, "Not answered yet: replace the dots, and run this cell again.")
        except AssertionError as error:
            return Verdict(False, f"✗ Not yet. {error}")
        except Exception as error:
            return Verdict(False, f"✗ Not yet. Your answer raised {type(error).__name__}: {error}")

    return check


def number(found: Any, expected: float, mistakes: Mapping[str, float] | None = None, *, within: float = 5e-3) -> None:
    """Pass if a number is the expected one, up to `within`.

    Args:
        mistakes: for each known mistake, a message that teaches, and the number that it gives.

    Raises:
        AssertionError: the number is another one, or the answer is no number.
    """
    value = np.asarray(found.detach() if isinstance(found, Tensor) else found)
    assert value.size == 1 and value.dtype.kind in "biuf", (
        f"The answer is a number, and this is {type(found).__name__}."
    )
    found = value.item()
    if abs(found - expected) <= within:
        return
    for message, wrong in (mistakes or {}).items():
        assert not abs(found - wrong) <= within, message  # NaN is no known mistake
    raise AssertionError(f"{found:g} is not the number. Work it out once more, and open the hint if you are stuck.")


def asked(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the value that the reader's function gives.

    Raises:
        NotAnsweredError: it gives nothing, as a stub does.
        AssertionError: the answer is no function.
    """
    assert callable(function), f"The answer is a function, and this is {type(function).__name__}."
    value = function(*arguments)
    if value is None or value is ...:
        raise NotAnsweredError
    return value


def tensor(found: Any, expected: Tensor, mistakes: Mapping[str, Tensor] | None = None, *, within: float = 1e-4) -> None:
    """Pass if the answer holds the expected numbers, up to `within`; see `compare.misplaced`.

    Raises:
        AssertionError: it does not. The message says where, and keeps the right number to itself.
    """
    if isinstance(found, list | tuple):
        found = torch.as_tensor(found, dtype=torch.float64).to(torch.promote_types(expected.dtype, torch.float32))
    place = misplaced(found, expected, mistakes, atol=within)
    where = ", ".join(map(str, place or ()))
    assert place is None, (
        f"The number at position ({where}), counted from 0, is not right. Open the hint if you are stuck."
    )
