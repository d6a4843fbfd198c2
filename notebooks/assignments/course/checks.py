"""Functions for hidden tests: the comparison of the lessons, which names the mistake, and a search for loops."""

import ast
from collections.abc import Sequence

from vsrpp_lite.teaching.compare import compare

__all__ = ["compare", "loop"]

LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)
LOOPING = {"map", "vmap", "vectorize", "apply_along_axis", "apply_", "map_", "reduce", "accumulate", "starmap"}
"""Functions that are loops under another name."""
HIDING = {"exec", "eval", "compile", "getattr", "globals", "locals", "__import__", "run_cell", "importlib"}
"""Functions in which a loop could hide from this search."""


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
                case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
                    # such as f = lambda x: ..., or another name for a function
                    for target in getattr(node, "targets", None) or [node.target]:
                        for part in ast.walk(target):
                            if isinstance(part, ast.Name | ast.Attribute):
                                defined.setdefault(_name(part), []).append(value)
                case ast.alias(asname=str(other)):
                    defined.setdefault(other, []).append(node)
    seen: set[str] = set()

    def search(current: str, callers: set[str]) -> str:
        seen.add(current)
        variables = [node for part in defined.get(current, []) for node in _variables(part)]
        for node in [node for part in defined.get(current, []) for node in ast.walk(part)]:
            if isinstance(node, LOOPS):
                return type(node).__name__
            if (used := _name(node)) in HIDING | {name}:
                return used
            if used in LOOPING and node not in variables:
                return used
            if isinstance(node, ast.Call) and _name(node.func) in callers and isinstance(node.func, ast.Name):
                return _name(node.func)  # recursion
            if used in defined and used not in seen and (found := search(used, callers | {used})):
                return found
        return ""

    return search(name, {name})


def _variables(part: ast.AST) -> list[ast.Name]:
    """Return where a function uses variables of its own, which may be called "map" without being a loop."""
    if not isinstance(part, ast.FunctionDef):
        return []
    names = [node for node in ast.walk(part) if isinstance(node, ast.Name)]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    shared = {name for node in ast.walk(part) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    return [node for node in names if node.id in own - shared]


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
