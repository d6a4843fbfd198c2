"""Where the files of the package lie, and how it writes them: a reader sees a whole file or none."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


def home() -> Path:
    """Return the folder of data/, runs/ and results/: $VSRPP_HOME, else this checkout, else the working directory."""
    checkout = Path(__file__).resolve().parent.parent
    default = checkout if (checkout / "pyproject.toml").exists() else Path.cwd()
    return Path(os.environ.get("VSRPP_HOME", default)).resolve()


def notebooks_folder() -> Path:
    """Return the folder of this checkout's notebooks, or of those that the installed package carries."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "notebooks"
    return checkout if checkout.is_dir() else package / "notebooks"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield the path of a draft to write, and then replace `path` by it: readers see the old file or the new one."""
    draft = path.with_name(f".draft-{secrets.token_hex(6)}-{path.name}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file; see `atomic`."""
    with atomic(path) as draft:
        draft.write_text(content, encoding="utf-8", newline="\n")


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values with `torch.save`; see `atomic`."""
    with atomic(path) as draft:
        torch.save(state, draft)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU. It reads tensors and plain values alone, so no code can run."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
