"""Functions for hidden tests: the comparison of the lessons, which names the mistake, and a search for loops."""

import ast
import re
from collections.abc import Sequence

from vsrpp_lite.teaching.compare import compare

__all__ = ["compare", "loop"]

LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)
_OF_PYTHON = {"map", "filter", "iter", "sorted", "reduce", "accumulate", "starmap"}
_OF_NUMPY = {"vectorize", "frompyfunc", "fromiter", "fromfunction", "apply_along_axis"}
_OF_PANDAS_AND_TORCH = {"apply", "applymap", "vmap", "apply_", "map_"}
LOOPING = _OF_PYTHON | _OF_NUMPY | _OF_PANDAS_AND_TORCH
"""Functions that are loops under another name."""
HIDING = {"exec", "eval", "compile", "getattr", "globals", "locals", "__import__", "run_cell", "importlib"}
"""Functions in which a loop could hide from this search."""


def loop(cells: Sequence[str], name: str) -> str:
    """Return what loops in a function, or in what it calls of the student's own; "" if nothing does.

    If no definition of the function can be read, nobody knows, and the text says so.

    Args:
        cells: the text of all cells that the student wrote.
        name: the function.
    """
    names, attributes = _definitions(cells)
    if name not in names:
        return f"no definition of {name} that can be read"
    seen: set[ast.AST] = set()

    def search(definition: ast.AST, callers: set[str]) -> str:
        seen.add(definition)
        own = _own_variables(definition)
        for node in ast.walk(definition):
            if isinstance(node, LOOPS):
                return type(node).__name__
            if (used := _name(node)) in HIDING | {name}:
                return used
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in callers:
                return node.func.id  # recursion
            if isinstance(node, ast.Name) and used in own:
                continue  # a variable of its own may be called "map" without being a loop
            if used in LOOPING:
                return used
            known = attributes if isinstance(node, ast.Attribute) else names
            for other in known.get(used, ()):
                if other not in seen and (found := search(other, callers | {used})):
                    return found
        return ""

    return next(filter(None, (search(definition, {name}) for definition in names[name])), "")


Definitions = dict[str, list[ast.AST]]


def _definitions(cells: Sequence[str]) -> tuple[Definitions, Definitions]:
    """Return what names may call, and what attributes may call: functions, classes, methods, and other names of them.

    A value that nothing can call, such as a list, defines nothing: a variable of the same name elsewhere is no loop.
    """
    names: Definitions = {}
    attributes: Definitions = {}
    for cell in cells:
        for node in ast.walk(_parsed(cell)):
            match node:
                case ast.ClassDef():
                    names.setdefault(node.name, []).append(node)
                    for part in node.body:
                        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                            attributes.setdefault(part.name, []).append(part)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    names.setdefault(node.name, []).append(node)
                case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
                    for target in getattr(node, "targets", None) or [node.target]:
                        for part in ast.walk(target):
                            if isinstance(part, ast.Name | ast.Attribute):
                                known = attributes if isinstance(part, ast.Attribute) else names
                                known.setdefault(_name(part), []).extend(_callables(value))
                case ast.alias(asname=str(other)):
                    names.setdefault(other, []).append(node)
    return names, attributes


def _callables(value: ast.AST) -> list[ast.AST]:
    """Return the parts of a value that may be functions: `lambda x: x`, `map`, or both names of `partial(map, f)`."""
    match value:
        case ast.Lambda() | ast.Name() | ast.Attribute():
            return [value]
        case ast.IfExp(body=one, orelse=other):
            return _callables(one) + _callables(other)
        case ast.Tuple(elts=parts):  # f, g = map, filter
            return [found for part in parts for found in _callables(part)]
        case ast.Call(func=function, args=arguments):
            return [part for part in (function, *arguments) if isinstance(part, ast.Lambda | ast.Name | ast.Attribute)]
    return []


def _own_variables(definition: ast.AST) -> set[str]:
    """Return the names of a function's arguments and of the variables that it assigns itself."""
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return set()
    inside = list(ast.walk(definition))
    arguments = {node.arg for node in inside if isinstance(node, ast.arg)}
    assigned = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    shared = {name for node in inside if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    return (arguments | assigned) - shared


def _parsed(cell: str) -> ast.AST:
    """Return the syntax tree of a cell, without its lines of magic or of shell. Another language has an empty tree."""
    lines = [line for line in cell.splitlines() if not re.match(r"\s*(%%?\w|!)", line)]
    try:
        return ast.parse("\n".join(lines))
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
