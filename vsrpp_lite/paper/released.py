"""Models that the authors of VSE++, SCAN and VSRN have published: their checkpoints become run folders.

A checkpoint (`model_best.pth.tar`) is a pickle of torch with the options of the training and two state dicts: of the
image encoder and of the sentence encoder. The words of its vocabulary are in another file. `import_checkpoint` puts the
weights into the system that scores as the released code does, and writes the folder of a run, so that recalls, scores
and averages of two models come from `Result`. The seed of the run is made from the sha256 of both files. It marks
the run as an import, since no training of your own has this seed.

The module refuses what does not fit: image encoders that read pixels, options that these systems do not have, and a
vocabulary that has another number of words than the checkpoint.
"""

import argparse
import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import sha256
from vsrpp_lite.data.text import SPECIALS, TreebankVocabulary
from vsrpp_lite.matcher import System
from vsrpp_lite.settings import Sizes
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.training import models
from vsrpp_lite.training.provenance import provenance
from vsrpp_lite.training.run_folder import BEST, CONFIG, RESULT, save_checkpoint
from vsrpp_lite.training.runs import Result, Run

Weights = dict[str, Tensor]


def import_checkpoint(checkpoint: Path, vocabulary: Path, data: str) -> Result:
    """Write the run folder of a released checkpoint, for the data on which it shall be tested.

    Args:
        checkpoint: a `.pth.tar` of VSE++ (on precomputed features), SCAN or VSRN (trained on Flickr30K).
        vocabulary: its vocabulary: a JSON or pickle file, as it was released with the checkpoint.
        data: name or path of a data folder, whose features have the size that the model reads.

    Raises:
        DataError: a file is not what it should be, or its options, sizes or words do not fit.
        FileNotFoundError: there is no such data set.
    """
    options, images, texts = read_checkpoint(checkpoint)
    words = read_vocabulary(vocabulary)
    if len(words) != (known := len(texts["embed.weight"])):
        raise DataError(f"{vocabulary}: has {len(words)} words; expected {known}, as {checkpoint} has")
    try:
        system, sizes, towers = translate(checkpoint, options, images, texts)
    except DataError:
        raise  # it names the option
    except (KeyError, AttributeError, TypeError, IndexError, ValueError) as error:  # such as a layer of no release
        raise DataError(f"{checkpoint}: found {error!r}; expected the options and layers of a release") from error
    # the same checkpoint with other words is another model, so it gets a folder of its own
    checksum = sha256(checkpoint)
    seed = int(hashlib.sha256(f"{checksum} {sha256(vocabulary)}".encode()).hexdigest()[:7], 16)
    run = Run(system=system, data=data, preset="paper", seed=seed, sizes=sizes)
    if run.done:
        return Result(run)
    found, expected = run.dataset("train").feature_size, images["fc.weight"].shape[1]
    if found != expected:
        raise DataError(f"{run.data_folder}: has {found} numbers a region; expected {expected}, as {checkpoint} reads")
    matcher = run.build(TreebankVocabulary(tuple(words)))
    try:
        matcher.images.load_state_dict(towers["images"])
        matcher.texts.load_state_dict(towers["texts"])
    except RuntimeError as error:
        raise DataError(f"{checkpoint}: its weights do not fit {type(system).__name__}: {error}") from error
    run.files.write_text(CONFIG, json.dumps(run.config(found), indent=2))
    models.save_tokenizer(matcher.tokenizer, run.files)
    with run.files.write(BEST) as draft:
        save_checkpoint(matcher.state_dict(), draft)
    record = {"imported": checkpoint.name, "sha256": checksum, "options": vars(options)} | provenance()
    run.files.write_text(RESULT, json.dumps(record, indent=2, default=repr))
    return Result(run)


def _normalised(path: Path, direction: Tensor, length: Tensor) -> Tensor:
    """Return the weights (D, F) that weight normalisation keeps as a direction and a length for each row."""
    if direction.ndim != 2 or length.shape != (len(direction), 1):
        raise DataError(
            f"{path}: fc.weight_v has shape {tuple(direction.shape)} and fc.weight_g {tuple(length.shape)}; "
            "expected (D, F) and (D, 1)"
        )
    return direction * (length / direction.norm(dim=1, keepdim=True))


def read_checkpoint(path: Path) -> tuple[argparse.Namespace, Weights, Weights]:
    """Return the options and the two state dicts of a checkpoint. Nothing in the file is executed.

    Raises:
        DataError: the file is no checkpoint of these systems, or holds more than options, numbers and tensors.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
        options, (images, texts) = content["opt"], content["model"]
        images, texts = (_without_parallel(state) for state in (images, texts))
    except OSError:
        raise
    except Exception as error:  # torch raises errors of many types for files that it cannot or must not read
        reason = str(error).partition("\n")[0][:120]
        raise DataError(
            f"{path}: not a checkpoint of VSE++, SCAN or VSRN ({type(error).__name__}: {reason}); expected a pickle of "
            "opt and of two state dicts"
        ) from error
    if not isinstance(options, argparse.Namespace):
        raise DataError(f"{path}: opt is {type(options).__name__}; expected the options of a training")
    if any(key.startswith("cnn.") for key in images):
        raise DataError(f"{path}: its image encoder is a CNN that reads pixels; expected one of precomputed features")
    for name, value in (*images.items(), *texts.items()):
        if not isinstance(value, Tensor):
            raise DataError(f"{path}: {name} is {type(value).__name__}; expected a tensor")
    if {"fc.weight_g", "fc.weight_v"} <= images.keys():
        images["fc.weight"] = _normalised(path, images.pop("fc.weight_v"), images.pop("fc.weight_g"))
    for name, state, ndim in (("fc.weight", images, 2), ("fc.bias", images, 1), ("embed.weight", texts, 2)):
        if name not in state:
            raise DataError(f"{path}: has no {name}, but {', '.join(sorted(state)[:5])}; expected VSE++, SCAN or VSRN")
        if state[name].ndim != ndim:
            raise DataError(f"{path}: {name} has shape {tuple(state[name].shape)}; expected {ndim} axes")
    return options, images, texts


def _without_parallel(state: Mapping[str, Tensor]) -> Weights:
    return {name.removeprefix("module."): value for name, value in state.items()}


def _instance(kind: type, *_: Any) -> Any:
    """Do what copy_reg does for an object of Python 2."""
    return kind()


class _Words(pickle.Unpickler):
    """Reads the one object that a released vocabulary is, and imports nothing for it."""

    class Vocabulary:
        """Stands for the class of the release, which has the dictionaries word2idx and idx2word."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("vocab", "Vocabulary"), ("__builtin__", "object"), ("builtins", "object")):
            return self.Vocabulary if name == "Vocabulary" else object
        if (module, name) == ("copy_reg", "_reconstructor"):
            return _instance
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def read_vocabulary(path: Path) -> list[str]:
    """Return the words of a released vocabulary in the order of their ids.

    Raises:
        DataError: the file is no such vocabulary, ids are missing, or the first four are not the special ones.
    """
    try:
        if path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            ids = content["word2idx"]
        else:
            with path.open("rb") as file:
                ids = vars(_Words(file, encoding="utf-8").load())["word2idx"]
        words = sorted(ids, key=lambda word: ids[word])
        numbers = [ids[word] for word in words]
    except OSError:
        raise
    except Exception as error:  # pickle raises errors of many types
        raise DataError(f"{path}: not a released vocabulary ({error!r}); expected the dictionary word2idx") from error
    if numbers != list(range(len(words))) or not all(isinstance(word, str) for word in words):
        raise DataError(f"{path}: the ids of its {len(words)} words are not 0 to {len(words) - 1}")
    if tuple(words[:4]) != SPECIALS:
        raise DataError(f"{path}: begins with {words[:4]}; expected {', '.join(SPECIALS)}")
    return words


def translate(
    path: Path, options: argparse.Namespace, images: Weights, texts: Weights
) -> tuple[System, Sizes, dict[str, Weights]]:
    """Return the system of a checkpoint, its sizes, and its weights under the names of this package.

    Raises:
        DataError: the options ask for something that the system does not have.
    """
    embed, word = images["fc.weight"].shape[0], texts["embed.weight"].shape[1]
    sizes = Sizes(embed=embed, word=word, caption=0, layers=0)
    projection = {"project.weight": images["fc.weight"], "project.bias": images["fc.bias"]}
    towers = {"images": projection, "texts": _sentences(texts)}
    margin = float(getattr(options, "margin", 0.2))
    _require(path, options, "num_layers", 1)
    if "Rs_GCN_1.g.weight" in images:
        if "bn.weight" not in images:
            raise DataError(
                f"{path}: a VSRN that was trained on COCO; it normalises over regions before the graph too, which this "
                "package does not do. Expected one that was trained on Flickr30K"
            )
        _require(path, options, "use_abs", False)
        towers["images"] = projection | _graph(images)
        layers = sum(name.endswith(".theta.weight") for name in images)
        return VSRN(margin=margin, norm="regions"), replace(sizes, caption=512, layers=layers), towers
    for name in ("no_imgnorm", "no_txtnorm"):
        _require(path, options, name, False)
    if hasattr(options, "cross_attn"):
        _require(path, options, "raw_feature_norm", "clipped_l2norm")
        _require(path, options, "bi_gru", True)
        pooling = {"Mean": "mean", "LogSumExp": "lse"}.get(options.agg_func)
        if pooling is None or options.cross_attn not in ("t2i", "i2t"):
            raise DataError(
                f"{path}: agg_func is {options.agg_func!r} and cross_attn {options.cross_attn!r}; expected Mean or "
                "LogSumExp, and t2i or i2t"
            )
        temperature, lse = float(options.lambda_softmax), float(options.lambda_lse)
        chosen = {"direction": options.cross_attn, "pooling": pooling, "temperature": temperature, "lse": lse}
        return SCAN(margin=margin, **chosen), sizes, towers
    measure: Literal["cosine", "order"] = getattr(options, "measure", "cosine")
    _require(path, options, "use_abs", measure == "order")  # order embeddings of this package take absolute values
    return VSEpp(measure=measure, margin=margin), sizes, towers


def _require(path: Path, options: argparse.Namespace, name: str, expected: Any) -> None:
    """Refuse an option with another value. Releases differ in their options: an absent one has the expected value."""
    if (found := getattr(options, name, expected)) != expected:
        raise DataError(f"{path}: {name} is {found!r}; expected {expected!r}")


def _sentences(texts: Weights) -> Weights:
    """Return the weights of a sentence encoder under the names of `SentenceGRU`."""
    renamed = {"embedding.weight": texts["embed.weight"]}
    for name, value in texts.items():
        if name.startswith("rnn."):
            direction = "backwards" if name.endswith("_reverse") else "forwards"
            renamed[f"{direction}.{name.removeprefix('rnn.').removesuffix('_reverse')}"] = value
    return renamed


def _graph(images: Weights) -> Weights:
    """Return the weights of VSRN's graph and region GRU under the names of `GraphRegions`."""
    renamed: Weights = {}
    parts = {"theta": "theta", "phi": "phi", "g": "message", "W.0": "update", "W.1": "norm"}
    for name, value in images.items():
        if name.startswith("Rs_GCN_"):
            number, _, rest = name.removeprefix("Rs_GCN_").partition(".")
            part, _, kind = rest.rpartition(".")
            linear = value.squeeze(2) if value.ndim == 3 else value  # a convolution over one region is a linear map
            renamed[f"reason.layers.{int(number) - 1}.{parts[part]}.{kind}"] = linear
        elif name.startswith("img_rnn."):
            renamed[f"read.gru.{name.removeprefix('img_rnn.')}"] = value
        elif name.startswith("bn."):
            renamed[f"read.norm.{name.removeprefix('bn.')}"] = value
    statistics = [name for name in renamed if name.endswith("running_var")]
    for name in statistics:  # old releases of torch did not count batches
        renamed.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return renamed
