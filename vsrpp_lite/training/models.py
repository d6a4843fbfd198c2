"""Models on disk: how a system is described and built again, and a trained one exported to where its data is not.

model.safetensors   all weights
config.json         the system, its sizes, and what it was trained with
vocabulary.json     the tokenizer (or the folder word_pieces)
README.md           the model card, with the measured recalls
"""

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model

from vsrpp_lite.files import atomic, load_checkpoint, write_text
from vsrpp_lite.matcher import Matcher, System
from vsrpp_lite.settings import Sizes

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
RUN_WEIGHTS, RUN_RESULT = "best.pt", "result.json"


def describe(system: System) -> dict[str, Any]:
    """What identifies a system: its class by module, name and version, and its choices.

    A class of a notebook or script has no module that says which one it is, so that the byte code of its `build` is
    described too: an edited `build` is another system.
    """
    kind = type(system)
    described = {"module": kind.__module__, "name": kind.__qualname__, "version": kind.version, "choices": vars(system)}
    if kind.__module__ == "__main__":
        described["build"] = hashlib.sha256(_byte_code(kind.build.__code__)).hexdigest()[:16]
    return described


def _byte_code(code: Any) -> bytes:
    """What a function does, without its comments and line numbers."""
    constants = [_byte_code(x) if hasattr(x, "co_code") else repr(x).encode() for x in code.co_consts]
    return b" ".join([code.co_code, repr(code.co_names).encode(), *constants])


def rebuild(described: Mapping[str, Any], system: type[System] | None = None) -> System:
    """The system that `describe` described.

    Args:
        system: its class; without it, the class is imported by its module and name.

    Raises:
        ValueError: there is no such class, it is no `System`, or its version is another.
    """
    module, name = described["module"], described["name"]
    if system is None:
        try:
            found = import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"the class {name} of {module} is not here ({error}); pass it as system=") from error
        if not (isinstance(found, type) and issubclass(found, System)):
            raise ValueError(f"{module}.{name} is no System of vsrpp_lite")
        system = found
    if system.version != described["version"]:
        raise ValueError(f"{name} has version {system.version}; expected {described['version']}, as it was trained")
    return system(**described["choices"])


def export(matcher: Matcher, config: Mapping[str, Any], recalls: Mapping[str, float], folder: str | Path) -> Path:
    """Write a trained matcher to a folder of its own; see the top of this file.

    Args:
        config: has `system` (see `describe`), `sizes` and `feature_size`; more is kept as it is.

    Raises:
        FileExistsError: the folder exists and is not empty.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    matcher.tokenizer.save(folder)
    with atomic(folder / WEIGHTS) as draft:
        save_model(matcher, str(draft), metadata={"format": "pt"})
    write_text(folder / CARD, card(config, recalls))
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    return folder


def load(folder: str | Path, system: type[System] | None = None) -> Matcher:
    """A trained matcher in evaluation mode, from an exported folder or from the folder of a finished run.

    The data it was trained on are not needed.

    Args:
        system: the class of the system, for those that cannot be imported, such as a notebook's.

    Raises:
        FileNotFoundError: the folder holds no model, or a run that is not trained to its end.
        ValueError: the system is not known here, or the weights are not those of the system.
    """
    folder = Path(folder)
    config = read_config(folder)
    exported = (folder / WEIGHTS).exists()
    if not exported and not (folder / RUN_RESULT).exists():
        raise FileNotFoundError(f"{folder}: not trained to its end; call fit() of the run first")
    built = rebuild(config["system"], system)
    tokenizer = built.saved_tokenizer(folder)
    matcher = built.build(tokenizer, config["feature_size"], Sizes(**config["sizes"]))
    try:
        if exported:
            load_model(matcher, folder / WEIGHTS)
        else:
            matcher.load_state_dict(load_checkpoint(folder / RUN_WEIGHTS))
    except RuntimeError as error:
        raise ValueError(f"{folder}: its weights are not those of {config['system']['name']} ({error})") from error
    return matcher.eval()


def read_config(folder: Path) -> dict[str, Any]:
    """What was trained, from the folder of an exported model or of a run.

    Raises:
        FileNotFoundError: there is no config.json.
    """
    path = folder / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing; expected an exported model or the folder of a run")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def card(config: Mapping[str, Any], recalls: Mapping[str, float]) -> str:
    """The model card, in Markdown."""
    system = config["system"]
    choices = ", ".join(f"{name}={value!r}" for name, value in system["choices"].items())
    measured = "\n".join(f"| {metric} | {value:.1f} |" for metric, value in recalls.items())
    return f"""---
library_name: vsrpp_lite
tags: [image-text-matching, image-text-retrieval]
---

# {system["name"]}({choices})

An image-text matching model of [vsrpp_lite](https://pypi.org/project/vsrpp-lite/). It reads regions of
{config["feature_size"]} numbers and English captions, and was trained on `{config.get("data_name", "")}` with seed
{config.get("seed", "")}.

| test split | per cent |
|:--|--:|
{measured}

i2t: a picture asks for its sentences; t2i: a sentence asks for its picture. Recall at 1, 5 and 10, their mean (mR) and
their sum (rsum).

```python
import vsrpp_lite as vl

matcher = vl.load("the folder of this file")
images, texts = matcher.encode(vl.open_split("a data folder", "test"))
scores = vl.score(matcher.similarity, images, texts)
```
"""
