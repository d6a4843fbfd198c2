"""A run: a system on a data set with a seed. Trained once, kept in a folder named by all that could change it."""

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from vsrpp_lite import evaluate as ev
from vsrpp_lite import scenes
from vsrpp_lite.data import Dataset, home
from vsrpp_lite.matcher import Matcher, Similarity, Sizes, System
from vsrpp_lite.precomp import fingerprint, open_split
from vsrpp_lite.text import Vocabulary
from vsrpp_lite.train import Training, fit, replace

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

RESULTS_VERSION = 2
"""Raised by hand whenever the same settings no longer give the same numbers; part of every digest."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How much work a run is; None: what the system's paper published.

    Learning rates keep their published proportions: `training` states the common one, 2e-4 in most papers.
    """

    sizes: Sizes | None
    training: Training | None


PRESETS = {
    "smoke": Preset(
        sizes=Sizes(embed=32, word=32, caption=32, layers=1),
        training=Training(epochs=2, batch_size=32, learning_rate=6e-3),
    ),
    "lite": Preset(
        sizes=Sizes(embed=128, word=64, caption=64, layers=2),
        training=Training(epochs=3, batch_size=64, learning_rate=6e-3, decay_every=2),
    ),
    "paper": Preset(sizes=None, training=None),
}


EMBEDDED = {"scenes": ("f30k", 0), "scenes-coco": ("coco", 1)}
"""The embedded data sets: their sizes, and the seeds that they are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training, fully described: `repr(run)` rebuilds it.

    Args:
        system: what is trained, such as `VSRpp(mu=2.0)`.
        data: "scenes" or "scenes-coco" (drawn if not there yet), another folder of data/, or any data folder's path.
        preset: smoke, lite or paper; fills in `sizes` and `training` where they are not given.
        seed: of weights, order and dropout.
        folds: equal parts of the test split that are searched one by one; COCO 1K is the mean of five.
    """

    system: System
    data: str = "scenes"
    preset: str = "lite"
    seed: int = 0
    folds: int = 1
    sizes: Sizes = field(default=None)
    training: Training = field(default=None)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset is {self.preset!r}; expected one of {', '.join(PRESETS)}")
        preset = PRESETS[self.preset]
        for choice in fields(self.system):
            allowed, value = get_args(choice.type), getattr(self.system, choice.name)
            if get_origin(choice.type) is Literal and value not in allowed:
                raise ValueError(f"{choice.name} is {value!r}; expected one of {', '.join(map(str, allowed))}")
        object.__setattr__(self, "data", str(self.data))
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "sizes", self.sizes or preset.sizes or self.system.published)
        object.__setattr__(self, "training", self.training or _training(preset, self.system.recipe))

    @cached_property
    def data_folder(self) -> Path:
        """Where the data are; the embedded set is drawn on first use."""
        if self.data in EMBEDDED:
            size, seed = EMBEDDED[self.data]
            if self.preset == "smoke":
                return scenes.ensure(home() / "data" / f"scenes-{size}-tiny", seed=seed, size="tiny")
            return scenes.ensure(home() / "data" / f"scenes-{size}", seed=seed, size=size)
        for folder in (Path(self.data), home() / "data" / self.data):
            if folder.is_dir():
                return folder.resolve()
        raise FileNotFoundError(f"no data set {self.data!r}: neither {self.data} nor {folder} is a folder")

    @cached_property
    def digest(self) -> str:
        """Ten hex digits of everything that can change the result, and of nothing else."""
        content = {
            "system": [type(self.system).__name__, _typed(self.system)],
            "sizes": _typed(self.sizes),
            "training": _typed(self.training),
            "seed": int(self.seed),
            "folds": int(self.folds),
            "data": fingerprint(self.data_folder),
            "version": RESULTS_VERSION,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def folder(self) -> Path:
        """runs/<system>-<data>-<digest>."""
        return home() / "runs" / f"{type(self.system).__name__.lower()}-{self.data_folder.name}-{self.digest}"

    @property
    def done(self) -> bool:
        """Whether it has been trained to the end."""
        return (self.folder / "result.json").exists()

    @property
    def epochs_done(self) -> int:
        """How far an unfinished training has come."""
        history = self.folder / "history.jsonl"
        return len(history.read_text().splitlines()) if history.exists() else 0

    def dataset(self, split: str) -> Dataset:
        """One split of the data: train, dev or test."""
        return open_split(self.data_folder, split)

    def build(self, vocabulary: Vocabulary | None = None) -> Matcher:
        """The untrained matcher, its weights drawn from the seed."""
        vocabulary = vocabulary or Vocabulary.build(self.dataset("train").captions)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.system.build(vocabulary, self.dataset("test").feature_size, self.sizes)

    def fit(
        self, *, devices: int = 1, accelerator: str = "auto", strategy: str | None = None, wait: bool = True
    ) -> "Result":
        """Train, unless it was done before; resume, if it was interrupted.

        Args:
            devices, accelerator, strategy: Lightning Fabric's. Several devices share each batch and give the
                gradient of one; only dropout, and on CPUs the statistics of BatchNorm, are each one's own. They
                are started as new processes, so a script calls this under `if __name__ == "__main__":`.
            wait: for another process that is training this very run.

        Raises:
            filelock.Timeout: another process is training this run, and `wait` is false.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=-1 if wait else 0):
            if not self.done:
                from lightning_fabric import Fabric  # takes a second or two, which a finished run need not wait for

                strategy = strategy or ("auto" if devices == 1 else "ddp_spawn")
                fabric = Fabric(
                    accelerator=accelerator, devices=devices, strategy=strategy, precision=self.training.precision
                )
                with torch.random.fork_rng(devices=[]):  # the caller's generator stays as it was
                    fabric.launch(self._train)
        return Result(self)

    def _train(self, fabric: "Fabric") -> None:
        began = time.time()
        matcher = self.build()
        if fabric.is_global_zero:
            config = {"run": repr(self), **asdict(self), "data_fingerprint": fingerprint(self.data_folder)}
            replace(self.folder / "config.json", json.dumps(config, indent=2).encode())
            replace(self.folder / "vocabulary.json", json.dumps(matcher.vocabulary.words).encode())
        train, dev = self.dataset("train"), self.dataset("dev")
        fit(matcher, train, dev, self.training, seed=self.seed, folder=self.folder, fabric=fabric)
        if fabric.is_global_zero:
            self._finish(time.time() - began, str(fabric.device))

    def _finish(self, seconds: float, device: str) -> None:
        """Search the test split and write the result, whose existence says that the run is done."""
        record = {
            "recalls": dict(zip(ev.METRICS, Result(self).contributions().mean(0).tolist(), strict=True)),
            "seconds": round(seconds, 1),
            "device": device,
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "numpy", "lightning-fabric")}
            | {"python": platform.python_version()},
        }
        replace(self.folder / "result.json", json.dumps(record, indent=2).encode())


def _training(preset: Preset, recipe: Training) -> Training:
    if preset.training is None:
        return recipe
    rate = recipe.learning_rate / Training(epochs=1).learning_rate
    return dataclasses.replace(preset.training, learning_rate=rate * preset.training.learning_rate)


def _typed(config: object) -> dict:
    """A dataclass as a dict, numbers cast to their declared type: mu=2 and mu=2.0 are one configuration."""
    return {
        f.name: f.type(value) if f.type in (int, float) else value
        for f in fields(config)
        for value in [getattr(config, f.name)]
    }


@dataclass(frozen=True)
class Result:
    """What a finished run left in its folder."""

    run: Run

    @cached_property
    def recalls(self) -> dict[str, float]:
        """Text (i2t) and image (t2i) retrieval at 1, 5, 10 on the test split, mR and rsum, in percent."""
        return json.loads((self.run.folder / "result.json").read_text())["recalls"]

    @property
    def seconds(self) -> float:
        """Of the training, from its last start."""
        return json.loads((self.run.folder / "result.json").read_text())["seconds"]

    def ranks_file(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> Path:
        """Where `search` keeps what it finds."""
        parts = ["ranks", str(folds or self.run.folds), *(partner.run.digest for partner in partners)]
        return self.run.folder / f"{'-'.join(parts)}.npz"

    def search(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> None:
        """Rank the test split, unless it was done before, in `folds` parts (the run's own number, if not given), by
        the average of this model's scores and its partners', on a GPU, where there is one.
        """
        path, folds = self.ranks_file(partners, folds), folds or self.run.folds
        if not path.exists():
            test = self.run.dataset("test")
            device = "cuda" if torch.cuda.is_available() else "cpu"
            matchers = [result.matcher().to(device) for result in (self, *partners)]
            models = [(matcher.similarity, *matcher.encode(test)) for matcher in matchers]
            images, texts = ev.fold_ranks(models, test.caption_to_image, folds)
            draft = path.with_name(f".{os.getpid()}-{path.name}")
            np.savez(draft, images=images, texts=texts, caption_to_image=test.caption_to_image)
            draft.replace(path)

    def contributions(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> np.ndarray:
        """(I, M): what each test image adds to each metric; see `search`."""
        self.search(partners, folds)
        with np.load(self.ranks_file(partners, folds), allow_pickle=False) as stored:
            return ev.contributions(stored["images"], stored["texts"], stored["caption_to_image"])

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: losses per caption and recalls on the dev split."""
        lines = (self.run.folder / "history.jsonl").read_text().splitlines()
        return pd.json_normalize([json.loads(line) for line in lines])

    def matcher(self) -> Matcher:
        """The trained matcher, in evaluation mode."""
        words = json.loads((self.run.folder / "vocabulary.json").read_text())
        matcher = self.run.build(Vocabulary(tuple(words)))
        matcher.load_state_dict(torch.load(self.run.folder / "best.pt", map_location="cpu", weights_only=True))
        return matcher.eval()

    def scores(self, name: str = "own", choose: Callable[[Matcher], Similarity] | None = None) -> np.ndarray:
        """The (I, T) test matrix, under the system's own similarity or the one that `choose` takes from its matcher.

        Kept in the run folder under `name`, since every ensemble and every sweep of mu begins with it.
        """
        if choose and name == "own":
            raise ValueError("another similarity than the system's own needs a name of its own")
        path = self.run.folder / f"scores-{name}.npy"
        if not path.exists():
            matcher = self.matcher()
            similarity = choose(matcher) if choose else matcher.similarity
            draft = path.with_name(f".{os.getpid()}-{path.name}")
            np.save(draft, ev.score(similarity, *matcher.encode(self.run.dataset("test"))))
            draft.replace(path)
        return np.load(path, allow_pickle=False)
