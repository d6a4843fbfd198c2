"""Sphinx: docstrings that are plain text, shown as they read.

The package's docstrings are written for `help()`: names in single backticks, formulas and tables as indented blocks,
`Args:` and `Raises:` as Google has them. Napoleon understands the last; this makes reStructuredText of the rest.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.ext.napoleon import Config, GoogleDocstring

SECTION = re.compile(r"(Args|Raises|Returns|Yields):$")
COLUMNS = re.compile(r"\S {3,}\S")
CODE = re.compile(r"(`+[^`]+`+)")
SHAPE = re.compile(r"(\bjaxtyping\.\w+\[[\w.]+, *)([^\]']+)\]")
MODULE = re.compile(r"\b(?:[a-z]\w*\.)+(?=\w)")
MARKUP = re.compile(r"[*|\\]|_(?!\w)")


def plain(lines: list[str]) -> list[str]:
    """A docstring as reStructuredText: indented blocks and tables become literal, `name` code, no sign is markup."""
    found, paragraph, section = [], [], False

    def close() -> None:
        nonlocal paragraph, section
        if paragraph:
            first = paragraph[0]
            section = bool(SECTION.match(first)) or (section and first.startswith(" "))
            if first.startswith(">>>"):
                found.extend(paragraph)
            elif not section and (first.startswith("    ") or any(map(COLUMNS.search, paragraph))):
                indent = "" if first.startswith("    ") else "    "
                found.extend([".. code-block:: text", "", *(indent + line for line in paragraph)])
            else:
                found.extend(_inline("\n".join(paragraph)).split("\n"))
        paragraph = []

    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line.rstrip())
        else:
            close()
            found.append("")
    return found


def _inline(text: str) -> str:
    """Single backticks doubled, across lines too; all else that would be markup escaped."""
    parts = CODE.split(text)
    shown = [f"``{part.strip('`')}``" if k % 2 else MARKUP.sub(r"\\\g<0>", part) for k, part in enumerate(parts)]
    return "".join(shown)


def _docstring(_app: Any, what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """In a field, which has no sections, Napoleon would take `word: text` for a type and its description."""
    field = what in ("attribute", "data", "property")
    lines[:] = plain(lines) if field else GoogleDocstring(plain(lines), Config()).lines()


def _signature(_app: Any, what: str, _name: str, _thing: Any, _options: Any, signature: str, returns: str) -> Any:
    """A class without `__init__` of its own is a dataclass or a tuple: its fields follow, each with what it is.

    Shapes get back their quotes, which autoapi drops: Sphinx could not read the types otherwise.
    """
    if what == "class" and signature == "()":
        return "", returns
    return tuple(text and SHAPE.sub(r"\1'\2']", text) for text in (signature, returns))


def _skip(_app: Any, _what: str, _name: str, thing: Any, _skip: bool, _options: Any) -> bool | None:
    """Left out: what a module imports, and what `__init__` keeps without a word. Fields have an annotation."""
    silent = thing.type == "attribute" and not thing.docstring and not thing.annotation
    return True if silent or thing.imported else None


def _elsewhere(_app: Any, _env: Any, node: Any, _shown: Any) -> Any:
    """A type without a page here, such as `torch.Tensor`: its short name, without a link."""
    return nodes.Text(MODULE.sub("", node["reftarget"])) if node.get("refdomain") == "py" else None


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", _elsewhere)
    return {"parallel_read_safe": True}
