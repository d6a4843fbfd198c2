"""A run: a system on a data set with a seed. Trained once, kept in a folder named by all that could change it."""

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import time
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin

import torch
from filelock import FileLock

from vsrpp_lite import evaluate as ev
from vsrpp_lite import scenes
from vsrpp_lite.data import Dataset, home
from vsrpp_lite.matcher import Matcher, Sizes, System
from vsrpp_lite.precomp import DataError, fingerprint, open_split
from vsrpp_lite.results import Result
from vsrpp_lite.text import Vocabulary
from vsrpp_lite.train import Training, fit, replace

if TYPE_CHECKING:
    from lightning_fabric import Fabric

RESULTS_VERSION = 3
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
        preset: smoke, lite or paper.
        seed: of weights, order and dropout.
        folds: equal parts of the test split that are searched one by one; COCO 1K is the mean of five.
        sizes, training: others than the preset's; what a run comes to is in `settings`.
    """

    system: System
    data: str = "scenes"
    preset: str = "lite"
    seed: int = 0
    folds: int = 1
    sizes: Sizes | None = None
    training: Training | None = None

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset is {self.preset!r}; expected one of {', '.join(PRESETS)}")
        for choice in fields(self.system):
            allowed, value = get_args(choice.type), getattr(self.system, choice.name)
            if get_origin(choice.type) is Literal and value not in allowed:
                raise ValueError(f"{choice.name} is {value!r}; expected one of {', '.join(map(str, allowed))}")
        object.__setattr__(self, "data", str(self.data))
        object.__setattr__(self, "seed", int(self.seed))
        object.__setattr__(self, "folds", int(self.folds))
        if self.folds < 1:
            raise ValueError(f"folds is {self.folds}; expected at least 1")

    @property
    def settings(self) -> Preset:
        """The sizes and the training of this run: as given, else the preset's, else those that the paper published."""
        preset = PRESETS[self.preset]
        return Preset(
            sizes=self.sizes or preset.sizes or self.system.published,
            training=self.training or _training(preset, self.system.recipe),
        )

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

    @property
    def content(self) -> dict:
        """Everything that can change the result, and nothing else."""
        return {
            "system": [type(self.system).__name__, _typed(self.system)],
            "sizes": _typed(self.settings.sizes),
            "training": _typed(self.settings.training),
            "seed": self.seed,
            "folds": self.folds,
            "data": fingerprint(self.data_folder),
            "version": RESULTS_VERSION,
        }

    @cached_property
    def digest(self) -> str:
        """Ten hex digits of `content`."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:10]

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
        """One split of the data: train, dev or test.

        COCO's released `test` is the first 1,000 of its 5,000 images: where there is a `testall`, that is the test.
        """
        whole = split == "test" and (self.data_folder / "testall_ims.npy").exists()
        return open_split(self.data_folder, "testall" if whole else split)

    def build(self, vocabulary: Vocabulary | None = None) -> Matcher:
        """The untrained matcher, its weights drawn from the seed."""
        vocabulary = vocabulary or Vocabulary.build(self.dataset("train").captions)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.system.build(vocabulary, self.dataset("test").feature_size, self.settings.sizes)

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
            DataError, ValueError: see `splits`; or a batch is larger than the split, or not divisible among devices.
            FileNotFoundError: there is no such data set.
            FloatingPointError: a gradient was not finite.
            filelock.Timeout: another process is training this run, and `wait` is false.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=-1 if wait else 0):
            if not self.done:
                from lightning_fabric import Fabric  # takes a second or two, which a finished run need not wait for

                strategy = strategy or ("auto" if devices == 1 else "ddp_spawn")
                precision = self.settings.training.precision
                fabric = Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)
                with torch.random.fork_rng(devices=[]):  # the caller's generator stays as it was
                    fabric.launch(self._train)
        return Result(self)

    def _train(self, fabric: "Fabric") -> None:
        began = time.time()
        train, dev, _ = self.splits()
        matcher = self.build()
        if fabric.is_global_zero:
            whole = dataclasses.replace(self, **vars(self.settings))  # as it was, whatever becomes of the presets
            replace(self.folder / "config.json", json.dumps({"run": repr(whole)} | self.content, indent=2))
            replace(self.folder / "vocabulary.json", json.dumps(matcher.vocabulary.words))
        fit(matcher, train, dev, self.settings.training, seed=self.seed, folder=self.folder, fabric=fabric)
        if fabric.is_global_zero:
            self._finish(time.time() - began, str(fabric.device))

    def splits(self) -> tuple[Dataset, Dataset, Dataset]:
        """Train, dev and test, checked: what would fail when the training is over fails now.

        Raises:
            DataError: a split is not as it should be, or they do not fit each other.
            ValueError: the test split does not divide into `folds`.
        """
        train, dev, test = (self.dataset(split) for split in ("train", "dev", "test"))
        for other in (dev, test):
            if other.feature_size != train.feature_size:
                raise DataError(
                    f"{self.data_folder}: {other.split}_ims.npy has {other.feature_size} numbers a region; expected "
                    f"{train.feature_size}, as train_ims.npy has"
                )
        ev.fold_of_text(len(test), test.caption_to_image, self.folds)
        return train, dev, test

    def _finish(self, seconds: float, device: str) -> None:
        """Search the test split and write the result, whose existence says that the run is done."""
        result = Result(self)
        result._rank()
        record = {
            "recalls": dict(zip(ev.METRICS, result._ranked().mean(0).tolist(), strict=True)),
            "seconds": round(seconds, 1),
            "device": device,
            "versions": {name: importlib.metadata.version(name) for name in ("torch", "numpy", "lightning-fabric")}
            | {"python": platform.python_version()},
        }
        replace(self.folder / "result.json", json.dumps(record, indent=2))


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
