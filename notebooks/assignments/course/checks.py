"""Functions for hidden tests: a comparison that names the mistake, and a search for loops."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)
LOOPING = {"map", "vmap", "vectorize", "apply_along_axis", "apply_", "map_", "reduce", "accumulate", "starmap"}
"""Functions that are loops under another name."""
HIDING = {"exec", "eval", "compile", "getattr", "globals", "locals", "__import__", "run_cell", "importlib"}
"""Functions in which a loop could hide from this search."""


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


def loop(cells: Sequence[str], name: str) -> str:
    """Return what loops in a function, or in what it calls of the student's own; "" if nothing does.

    Args:
        cells: the text of all cells that the student wrote.
        name: the function.
    """
    defined: dict[str, list[ast.AST]] = {}
    for cell in cells:
        for node in ast.walk(_parsed(cell)):
            match node:
                case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                    defined.setdefault(node.name, []).append(node)
                case ast.Assign():  # such as f = lambda x: ..., or another name for a function
                    for target in node.targets:
                        for part in ast.walk(target):
                            if isinstance(part, ast.Name | ast.Attribute):
                                defined.setdefault(_name(part), []).append(node.value)
                case ast.alias(asname=str(other)):
                    defined.setdefault(other, []).append(node)
    seen, waiting = {name}, [name]
    while waiting:
        for node in [node for part in defined.get(waiting.pop(), []) for node in ast.walk(part)]:
            if isinstance(node, LOOPS):
                return type(node).__name__
            if (used := _name(node)) in LOOPING | HIDING | {name}:
                return used
            if used in defined and used not in seen:
                seen.add(used)
                waiting.append(used)
    return ""


def _parsed(cell: str) -> ast.AST:
    """Return the syntax tree of a cell. A cell that is no plain Python, such as one with a magic, has none."""
    try:
        return ast.parse(cell)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _name(node: ast.AST) -> str:
    """Return the name that a node uses, or ""."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
        case ast.alias():
            return node.name.split(".")[-1]
    return ""
