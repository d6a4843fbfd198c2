"""Models on disk: describe a system, build it again, and export a trained one to a folder that needs no data.

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
from vsrpp_lite.training.kept import BEST, CONFIG, check_done

WEIGHTS, CARD = "model.safetensors", "README.md"


def describe(system: System) -> dict[str, Any]:
    """Return what identifies a system: module, name and version of its class, and its choices.

    All notebooks and scripts have the module name `__main__`. For their classes, the description therefore includes a
    hash of the byte code of `build`, so that an edited `build` is another system.
    """
    kind = type(system)
    described = {"module": kind.__module__, "name": kind.__qualname__, "version": kind.version, "choices": vars(system)}
    if kind.__module__ == "__main__":
        described["build"] = hashlib.sha256(_byte_code(kind.build.__code__)).hexdigest()[:16]
    return described


def _byte_code(code: Any) -> bytes:
    """Return the byte code of a function, which does not change with comments and line numbers."""
    constants = [_byte_code(x) if hasattr(x, "co_code") else repr(x).encode() for x in code.co_consts]
    return b" ".join([code.co_code, repr(code.co_names).encode(), *constants])


def rebuild(described: Mapping[str, Any], system: type[System] | None = None) -> System:
    """Return the system that `describe` described.

    Args:
        system: the class of the system; by default, it is imported by its module and name.

    Raises:
        ValueError: there is no such class, it is not a `System`, or it has another version.
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
    """Write a trained matcher to a new folder; the top of this file lists what is in it.

    Args:
        config: `system` (see `describe`), `sizes` and `feature_size`. Other entries are written as they are.

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
    """Load a trained matcher, in evaluation mode, from an exported folder or from the folder of a finished run.

    This does not need the data that the matcher was trained on.

    Args:
        system: the class of the system, if it cannot be imported, such as a class in a notebook.

    Raises:
        FileNotFoundError: the folder holds no model, or a run that is not trained to its end.
        ValueError: the class of the system cannot be imported, or the weights do not fit the system.
    """
    folder = Path(folder)
    config = read_config(folder)
    exported = (folder / WEIGHTS).exists()
    if not exported:
        check_done(folder)
    built = rebuild(config["system"], system)
    tokenizer = built.saved_tokenizer(folder)
    matcher = built.build(tokenizer, config["feature_size"], Sizes(**config["sizes"]))
    try:
        if exported:
            load_model(matcher, folder / WEIGHTS)
        else:
            matcher.load_state_dict(load_checkpoint(folder / BEST))
    except RuntimeError as error:
        raise ValueError(f"{folder}: its weights are not those of {config['system']['name']} ({error})") from error
    return matcher.eval()


def read_config(folder: Path) -> dict[str, Any]:
    """Read the config.json of an exported model or of a run, which says what was trained.

    Raises:
        FileNotFoundError: there is no config.json.
    """
    path = folder / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing; expected an exported model or the folder of a run")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def card(config: Mapping[str, Any], recalls: Mapping[str, float]) -> str:
    """Return the model card, in Markdown."""
    system, feature_size = config["system"], config["feature_size"]
    data_name, seed = config.get("data_name", ""), config.get("seed", "")
    name = system["name"]
    choices = ", ".join(f"{choice}={value!r}" for choice, value in system["choices"].items())
    measured = "\n".join(f"| {metric} | {value:.1f} |" for metric, value in recalls.items())
    return f"""---
library_name: vsrpp_lite
tags: [image-text-matching, image-text-retrieval]
---

# {name}({choices})

An image-text matching model of [vsrpp_lite](https://pypi.org/project/vsrpp-lite/). It reads regions of
{feature_size} numbers and English captions, and was trained on `{data_name}` with seed
{seed}.

| test split | per cent |
|:--|--:|
{measured}

In i2t, a picture asks for its sentences; in t2i, a sentence asks for its picture. The table has the recalls at 1, 5 and
10, their mean (mR) and their sum (rsum).

```python
import vsrpp_lite as vl

matcher = vl.load("the folder of this file")
images, texts = matcher.encode(vl.open_split("a data folder", "test"))
scores = vl.score(matcher.similarity, images, texts)
```
"""
