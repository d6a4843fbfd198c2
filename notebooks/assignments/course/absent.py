"""A copy of the package without the functions that an assignment asks for, so that no answer can be made of them."""

import ast
import shutil
from collections.abc import Iterable
from pathlib import Path

import vsrpp_lite

PACKAGE = Path(vsrpp_lite.__file__).resolve().parent


def copy(folder: Path, absent: Iterable[str]) -> None:
    """Copy the package into `folder`. Each function in `absent` raises an error that says so.

    Args:
        absent: names such as "fusion.fusion", "caption_loss.CaptionDecoder.step", or "local_attention" for all
            functions of a module.

    Raises:
        ValueError: the package has no such function.
    """
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "notebooks"))
    for name in absent:
        parts, inner = name.split("."), []
        while not (path := folder.joinpath(PACKAGE.name, *parts).with_suffix(".py")).exists():
            if len(parts) == 1:
                raise ValueError(f"{name}: vsrpp_lite has no such module")
            inner.insert(0, parts.pop())
        path.write_text(without(path.read_text(encoding="utf-8"), ".".join(inner), name), encoding="utf-8")


def without(source: str, inner: str, name: str) -> str:
    """Return the source of a module in which a function has lost its body, or all functions if `inner` is empty."""
    tree = ast.parse(source)
    found = [node for path, node in _functions(tree) if path == inner or not inner]
    if not found:
        raise ValueError(f"{name}: vsrpp_lite has no such function")
    for node in found:
        error = ast.parse(f"raise RuntimeError('write this one yourself: {name} of vsrpp_lite is not there')")
        node.body = error.body
    return ast.unparse(tree)


def _functions(tree: ast.AST, path: str = "") -> list[tuple[str, ast.FunctionDef]]:
    """Return the functions of a module or class, with their paths."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            found.append((f"{path}{node.name}", node))
        elif isinstance(node, ast.ClassDef):
            found += _functions(node, f"{path}{node.name}.")
    return found
