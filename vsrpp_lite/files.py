"""Files that are whole or absent: where everything lives, drafts that take their place at once, weights on disk."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


def home() -> Path:
    """The folder of data/, runs/ and results/: $VSRPP_HOME, else this checkout, else the working directory."""
    checkout = Path(__file__).resolve().parent.parent
    default = checkout if (checkout / "pyproject.toml").exists() else Path.cwd()
    return Path(os.environ.get("VSRPP_HOME", default)).resolve()


def notebooks_folder() -> Path:
    """The notebooks of this checkout, or those that the installed package carries."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "notebooks"
    return checkout if checkout.is_dir() else package / "notebooks"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A draft to write, which then takes the place of `path`: readers see the old file or the new one, never half."""
    draft = path.with_name(f".draft-{secrets.token_hex(6)}-{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file that readers see whole or not at all."""
    with atomic(path) as draft:
        draft.write_text(content, encoding="utf-8", newline="\n")


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values with `torch.save`; the file is the old one or the new one, never half of one."""
    with atomic(path) as draft:
        torch.save(state, draft)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, on the CPU. Only tensors and plain values are read, so no code can run."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
