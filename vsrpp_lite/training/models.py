"""Models on disk: identify a system, build it again, and export a trained one to a folder that needs no data.

model.safetensors   all weights
config.json         the system, its sizes, and what it was trained with
vocabulary.json     the tokenizer (or the folder word_pieces)
checksums.json      the sha256 of these three; see `sealed_folder`
README.md           the model card, with the measured recalls
"""

import hashlib
import inspect
import json
import os
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, cast

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
from vsrpp_lite.training.run_folder import BEST, CONFIG, LAST, check_done, load_checkpoint, run_folder

WRITTEN_BY_DATACLASS = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__")
WEIGHTS, CARD = "model.safetensors", "README.md"


def identity(system: System) -> dict[str, Any]:
    """Return what identifies a system: module, name and version of its class, and its choices.

    For a class from outside of this package, the identity includes a hash of the byte code of its methods, and of the
    defaults of their arguments, so that an edited method makes another system.

    Raises:
        ValueError: the choices do not make the system again, such as a class with an `__init__` of its own.
    """
    kind = type(system)
    choices = {field.name: getattr(system, field.name) for field in fields(system)}
    _check_remade(system, choices)
    described = {"module": kind.__module__, "name": kind.__qualname__, "version": kind.version, "choices": choices}
    if not kind.__module__.startswith("vsrpp_lite."):
        described["code"] = hashlib.sha256(b" ".join(_methods(kind))).hexdigest()[:16]
    return described


def _methods(kind: type) -> Iterator[bytes]:
    """Yield name, byte code and defaults of every method of a class, and of its bases from outside of this package.

    What `dataclass` writes by itself is left out, since the choices say the same.
    """
    for base in kind.__mro__:
        if base is object or base.__module__.startswith("vsrpp_lite."):
            continue
        for name, value in sorted(vars(base).items()):
            wrapped = [getattr(value, part) for part in ("fget", "func", "__func__") if hasattr(value, part)]
            function = wrapped[0] if wrapped else value  # of a property, a cached property, a class or static method
            function = inspect.unwrap(function)  # what a decorator such as torch.no_grad() has wrapped
            code = getattr(function, "__code__", None)
            if code and name not in WRITTEN_BY_DATACLASS:
                defaults = _constant((function.__defaults__, function.__kwdefaults__))
                yield name.encode() + _byte_code(code, function.__doc__) + defaults


def _check_remade(system: System, choices: Mapping[str, Any]) -> None:
    """Raise ValueError if the choices, once written as JSON and read again, do not make the same system."""
    expected = "expected a dataclass whose fields are numbers, words, True, False, None, or tuples of them"
    try:
        hash(system)  # a grid compares runs by their hashes
        same = type(system)(**json.loads(json.dumps(choices))) == system
    except (TypeError, ValueError) as error:
        raise ValueError(f"{system!r} cannot be made again from its fields ({error}); {expected}") from error
    if not same:
        raise ValueError(f"{system!r} is not the system that its fields make; {expected}")


def _byte_code(code: Any, docstring: str | None = None) -> bytes:
    """Return the byte code of a function, which does not change with comments, line numbers and its docstring."""
    constants = [_constant(value) for value in code.co_consts if docstring is None or value != docstring]
    return b" ".join([code.co_code, repr(code.co_names).encode(), *constants])


def _constant(value: Any) -> bytes:
    """Return a constant of a function, or the default of an argument, as bytes: the same ones in every process."""
    match value:
        case types.CodeType():
            return _byte_code(value)
        case frozenset() | set():  # Python orders it in another way in every process
            return type(value).__name__.encode() + b" " + b" ".join(sorted(map(_constant, value)))
        case tuple() | list():
            return b"(" + b" ".join(map(_constant, value)) + b")"
        case dict():
            return b"{" + b" ".join(_constant(pair) for pair in value.items()) + b"}"
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value).encode()
    return type(value).__qualname__.encode()  # the repr of other defaults may show where they lie in memory


class OtherSystemError(ValueError):
    """The class of a trained system is not here, or it is another one now."""


def rebuild(described: Mapping[str, Any], system: type[System] | None = None) -> System:
    """Return the system that an identity stands for; see `identity`.

    Args:
        system: the class of the system; by default, it is imported by its module and name.

    Raises:
        OtherSystemError: there is no such class, it is not a `System`, or it has another version or other choices.
    """
    module, name = described["module"], described["name"]
    if system is None:
        try:
            found = import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            remedy = f"make {module} importable (PYTHONPATH), or pass the class: vl.load(folder, {name})"
            raise OtherSystemError(f"the class {name} of {module} is not here ({error}); {remedy}") from error
        system = cast(type[System], found)
    if not (isinstance(system, type) and issubclass(system, System)):
        raise OtherSystemError(f"{system!r} is no System of vsrpp_lite; expected {name} of {module}")
    if system.version != described["version"]:
        expected = f"expected {described['version']}, as it was trained"
        raise OtherSystemError(f"{name} has version {system.version}; {expected}")
    try:
        return system(**described["choices"])
    except TypeError as error:
        told = f"expected {name} of {module}, of which the model is"
        raise OtherSystemError(f"{system.__name__} has other choices ({error}); {told}") from error


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
