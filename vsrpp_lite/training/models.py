"""Models on disk: load a trained one, and export it to a folder that needs no data.

model.safetensors   all weights
config.json         the system, its sizes, and what it was trained with
vocabulary.json     the tokenizer (or the folder word_pieces)
checksums.json      the sha256 of these three; see `sealed_folder`
README.md           the model card, with the measured recalls
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from vsrpp_lite.data.document import read_json
from vsrpp_lite.data.errors import DataError, check_plain_file
from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.files import scratch
from vsrpp_lite.matcher import Matcher, System
from vsrpp_lite.sealed_folder import SealedFolder, new_sealed_folder
from vsrpp_lite.settings import Sizes
from vsrpp_lite.training.identity import OtherSystemError, rebuild
from vsrpp_lite.training.run_folder import BEST, CONFIG, LAST, check_done, load_checkpoint, run_folder

WEIGHTS, CARD = "model.safetensors", "README.md"


def export(matcher: Matcher, config: Mapping[str, Any], recalls: Mapping[str, float], folder: str | Path) -> Path:
    """Write a trained matcher to a new folder; the top of this file lists what is in it.

    Args:
        config: `system` (see `identity`), `sizes` and `feature_size`. Other entries are written unchanged, except that
            `run` is left out, since it may name a folder of the author. A choice of the system that is an absolute
            path, as that of a BERT, is written as the name of its folder, for the same reason. The model card shows
            `data_name`, `preset`, `seed`, `test` (the split and the images behind the recalls) and `imported` (the name
            of a released checkpoint).

    Raises:
        FileExistsError: the folder exists and is not empty, or another process is writing it.
    """
    folder = Path(folder)
    choices = {
        name: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for name, value in config["system"]["choices"].items()
    }
    public = {name: entry for name, entry in config.items() if name != "run"}
    public["system"] = {**config["system"], "choices": choices}
    with new_sealed_folder(folder) as files:
        (files.folder / CARD).write_text(card(public, recalls), encoding="utf-8")
        save_tokenizer(matcher.tokenizer, files)
        with files.write(WEIGHTS) as weights:
            save_model(matcher, str(weights), metadata={"format": "pt"})
            files.let_others_read(weights)
        files.write_text(CONFIG, json.dumps(public, indent=2) + "\n")
    return folder


def save_tokenizer(tokenizer: Tokenizer, files: SealedFolder) -> None:
    """Write the file or the folder of a tokenizer into a sealed folder."""
    with scratch(files.folder) as folder:
        drafts = folder / "tokenizer"
        drafts.mkdir()
        tokenizer.save(drafts)
        for path in sorted(drafts.rglob("*")):
            if path.is_file():
                with files.write(path.relative_to(drafts).as_posix()) as draft:
                    draft.write_bytes(path.read_bytes())


def load(folder: str | Path, system: type[System] | None = None) -> Matcher:
    """Load a trained matcher, in evaluation mode, from an exported folder or from the folder of a finished run.

    This does not need the data that the matcher was trained on.

    Args:
        system: the class of the system, if it cannot be imported, such as a class in a notebook.

    Raises:
        FileNotFoundError: the folder holds no model, or a run that is not trained to its end.
        DamagedError: a file is not the one that was written.
        ValueError: a file is not what it should be, the class of the system cannot be imported, or the weights do not
            fit the system.
    """
    folder = Path(folder)
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(f"{folder / CONFIG}: missing; expected an exported model or the folder of a run")
    if any((folder / name).exists() for name in (BEST, LAST)):
        return load_run(run_folder(folder), system)
    return _load_exported(folder, system)


def load_run(files: SealedFolder, system: type[System] | None = None) -> Matcher:
    """Load the matcher of a finished run; see `load`."""
    check_done(files)
    config = files.read_json(CONFIG)
    # the tokenizer is among these; the configuration and the weights are compared where they are read
    files.check(name for name in files.names if name not in (CONFIG, BEST, LAST) and not name.endswith(".npz"))
    matcher = _build(files.folder, config, system)
    with files.open(BEST) as file, _fits(files.folder / BEST, config):
        matcher.load_state_dict(load_checkpoint(file))
    return matcher


def _load_exported(folder: Path, system: type[System] | None) -> Matcher:
    files = SealedFolder(folder, remedy="Export the model again, or copy the folder again")
    files.check(files.names)  # none where a stranger wrote the folder, or the hub library
    path, expected = folder / CONFIG, "a system, its sizes and the feature size"
    wanted = "an exported model, or the folder of a run that is trained to its end"
    if not os.path.lexists(folder / WEIGHTS):
        raise FileNotFoundError(f"{folder / WEIGHTS}: missing; expected {wanted}")
    check_plain_file(folder / WEIGHTS, wanted)
    config = read_json(path, expected)
    try:
        matcher = _build(folder, config, system)
    except (DataError, OtherSystemError):
        raise  # they tell of the vocabulary and of the system
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path}: expected {expected}; found {type(error).__name__}: {error}") from error
    with _fits(folder / WEIGHTS, config):
        load_model(matcher, folder / WEIGHTS)
    return matcher


def _build(folder: Path, config: Mapping[str, Any], system: type[System] | None) -> Matcher:
    built = rebuild(config["system"], system)
    return built.build(built.saved_tokenizer(folder), config["feature_size"], Sizes(**config["sizes"])).eval()


def on_gpu(matcher: Matcher) -> Matcher:
    """Move a matcher to the GPU if there is one, and return it."""
    return matcher.to("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _fits(path: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Say which weights the file should hold, where they cannot be loaded."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        expected = f"weights of {config['system']['name']} with the sizes of {CONFIG} and the words of vocabulary.json"
        raise ValueError(f"{path}: expected {expected}; found {type(error).__name__}: {error}") from error


def card(config: Mapping[str, Any], recalls: Mapping[str, float]) -> str:
    """Return the model card, in Markdown."""
    system, feature_size = config["system"], config["feature_size"]
    name = system["name"]
    data_name, preset, seed = (config.get(key, "") for key in ("data_name", "preset", "seed"))
    origin = f"was trained on `{data_name}` with preset `{preset}` and seed {seed}"
    if checkpoint := config.get("imported"):
        origin = f"has the weights of the released checkpoint `{checkpoint}`"
    test = config.get("test", {"split": "test", "images": "all"})
    imported, passed = "", ""
    if system["module"] == "__main__" or "." in name:
        imported, passed = f"\n# first define the class {name} as it was when the model was trained\n", f", {name}"
    elif not system["module"].startswith("vsrpp_lite."):
        imported, passed = f"\nfrom {system['module']} import {name}\n", f", {name}"
    choices = ", ".join(f"{choice}={value!r}" for choice, value in system["choices"].items())
    measured = "\n".join(f"| {metric} | {value:.1f} |" for metric, value in recalls.items())
    return f"""---
library_name: vsrpp_lite
tags: [image-text-matching, image-text-retrieval]
---

# {name}({choices})

An image-text matching model of [vsrpp_lite](https://pypi.org/project/vsrpp-lite/). It reads regions of
{feature_size} numbers and English captions, and {origin}.

| split `{test["split"]}` of `{data_name}`, {test["images"]} images | per cent |
|:--|--:|
{measured}

In i2t, a picture asks for its sentences; in t2i, a sentence asks for its picture. The table has the recalls at 1, 5 and
10, their mean (mR) and their sum (rsum).

```python
import vsrpp_lite as vl
{imported}
matcher = vl.load("the folder of this file"{passed})
images, texts = matcher.encode(vl.open_split("a data folder", "{test["split"]}"))
scores = vl.score(matcher.similarity, images, texts)
```
"""
