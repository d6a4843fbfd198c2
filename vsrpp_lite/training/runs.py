"""A run, which is a system, a data set and a seed; and the result of its training, which `run_folder` keeps."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from vsrpp_lite.data.dataset import Dataset, check_batch
from vsrpp_lite.data.manifest import fingerprint
from vsrpp_lite.data.named import EMBEDDED, data_folder
from vsrpp_lite.data.precomp import check_fit, name_of_test, open_split
from vsrpp_lite.data.text import Tokenizer
from vsrpp_lite.files import home, remove_dead_drafts
from vsrpp_lite.matcher import Matcher, Similarity, System
from vsrpp_lite.sealed_folder import SealedFolder
from vsrpp_lite.settings import Settings, Sizes, Training, check_at_least, check_fields, resolve
from vsrpp_lite.training import metrics, models, ranking
from vsrpp_lite.training.distributed import check_processes, make_fabric
from vsrpp_lite.training.identity import identity
from vsrpp_lite.training.provenance import provenance
from vsrpp_lite.training.run_folder import CONFIG, HISTORY, LAST, RESULT, check_done, forget, keep, of_ranks, run_folder

if TYPE_CHECKING:
    from lightning_fabric import Fabric

RESULTS_VERSION = 5
"""Part of every digest. Raise it by hand when the same settings no longer give the same numbers."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The full description of one training. Evaluating `repr(run)` gives the same run.

    Args:
        system: the system to train, such as `VSRpp(mu=2.0)`.
        data: a name in `EMBEDDED`, such as "scenes" (drawn at first use), a folder in data/, or a data folder's path.
        preset: a name in `settings.PRESETS`, or `settings.PAPER`.
        seed: the seed of weights, order and dropout.
        sizes, training: they replace the preset's as a whole. To change one entry, begin with those of `settings`:
            `replace(run, training=replace(run.settings.training, epochs=10))`, or use `grid.expand`.

    Raises:
        ValueError: there is no such preset, or the seed is not a whole number of zero or more.
    """

    system: System
    data: str = "scenes"
    preset: str = "lite"
    seed: int = 0
    sizes: Sizes | None = None
    training: Training | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", str(self.data))
        check_fields(self)
        check_at_least(self, 0, "seed")
        _ = self.settings  # refuses a preset that does not exist

    @property
    def settings(self) -> Settings:
        """Return the sizes and the training of this run: the given ones, else those of the preset; see `resolve`."""
        sizes, training = resolve(self.preset, Settings(self.system.published_sizes, self.system.published_training))
        return Settings(self.sizes or sizes, self.training or training)

    @cached_property
    def data_folder(self) -> Path:
        """Return the folder of the data. Embedded sets are drawn at their first use, as tiny sets for preset smoke."""
        return data_folder(self.data, tiny=self.preset == "smoke")

    @property
    def content(self) -> dict[str, Any]:
        """Return what the digest is made of. It has the byte code of an own system's methods, which differs between
        versions of Python. Threads and packages change rounding alone and are left out; see `fit` for `devices`.
        """
        return {
            "system": identity(self.system),
            "sizes": vars(self.settings.sizes),
            "training": vars(self.settings.training),
            "seed": self.seed,
            "data": fingerprint(self.data_folder),
            "version": RESULTS_VERSION,
        }

    @cached_property
    def digest(self) -> str:
        """Return ten hex digits of a hash of `content`."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()[:10]

    def config(self, feature_size: int) -> dict[str, Any]:
        """Return the content of config.json. It has the values of the preset, since presets may change later."""
        whole = replace(self, **self.settings._asdict())
        path = self.data not in EMBEDDED and Path(self.data).is_dir()  # written as a whole path
        names = {"run": repr(whole), "data_name": str(self.data_folder) if path else self.data, "preset": self.preset}
        return names | {"feature_size": feature_size} | self.content

    @property
    def folder(self) -> Path:
        """Return the folder of this run, runs/<system>-<data>-<digest>."""
        return home() / "runs" / f"{type(self.system).__name__.lower()}-{self.data_folder.name}-{self.digest}"

    @property
    def files(self) -> SealedFolder:
        """Return the folder of this run as one that only gives files of this run, undamaged."""
        return run_folder(self.folder, self.digest)

    @property
    def done(self) -> bool:
        """Tell whether the run is trained to its end."""
        vars(self).pop("digest", None)  # the data may have been made anew since it was computed
        return (self.folder / RESULT).exists()

    def dataset(self, split: str) -> Dataset:
        """Open one split of the data: train, dev or test. If there is a `testall`, that is the test split."""
        return open_split(self.data_folder, name_of_test(self.data_folder) if split == "test" else split)

    def splits(self, *, blind: bool = False) -> list[Dataset]:
        """Open and check train, dev and, unless `blind`, test, so that every error is found before the training.

        Raises:
            DataError: a split is not as it should be, or the splits do not fit each other.
            ValueError: a batch is larger than the train split.
        """
        opened = [self.dataset(name) for name in ("train", "dev", "test")[: 2 if blind else 3]]
        check_fit(opened)
        check_batch(opened[0], self.settings.training.batch_size)
        return opened

    def build(self, tokenizer: Tokenizer | None = None) -> Matcher:
        """Build the untrained matcher, with weights drawn from the seed."""
        train = self.dataset("train")
        if tokenizer is None:
            tokenizer = self.system.tokenizer(train.captions, self.settings.training.min_count)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.system.build(tokenizer, train.feature_size, self.settings.sizes)

    def fit(
        self,
        *,
        devices: int = 1,
        accelerator: str = "auto",
        strategy: str | None = None,
        wait: bool = True,
        fresh: bool = False,
        blind: bool = False,
        bar: bool | None = None,
    ) -> "Result":
        """Train the run. A finished run is not trained again, and an interrupted run is resumed.

        Args:
            devices, accelerator, strategy: options of Lightning Fabric. Several devices share each batch and give the
                gradient of one device, but each has its own dropout and, on CPUs, its own statistics of BatchNorm. So
                numbers differ, in the same run folder; result.json has the number of devices. A script must call this
                under `if __name__ == "__main__":`. The strategies are "ddp_spawn" and "ddp_fork".
            wait: whether to wait for another process that is training this run.
            fresh: whether to delete what an earlier training of this run left, and to train from the start.
            blind: whether to leave the test split alone. By default it is opened and checked before the training.
            bar: show a bar of epochs, with losses, dev rsum and the time left; by default on a terminal only.

        Raises:
            DataError, ValueError: see `splits`. A ValueError also tells of a strategy or devices that cannot be used.
            torch.multiprocessing.ProcessRaisedException: one of several processes failed; it quotes the reason.
            FileNotFoundError, FloatingPointError: there is no such data set, or a gradient was not finite.
            DamagedError: a kept file that is needed is not the one that was written.
            filelock.Timeout: another process is training this run, and `wait` is false.
        """
        if self.done and not fresh:  # also where nothing can be written
            remove_dead_drafts(self.folder)
            return Result(self)
        check_processes(devices, strategy, self.settings.training.batch_size)
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=-1 if wait else 0):
            if fresh or not self.files.has(RESULT):
                precision = self.settings.training.precision
                fabric = make_fabric(devices, accelerator=accelerator, strategy=strategy, precision=precision)
                if fresh:
                    self.splits(blind=blind)  # what cannot be trained must be found before anything is deleted
                    self.build()
                    forget(self.files)
                with torch.random.fork_rng(devices=[]):  # keep the caller's generator of the CPU
                    fabric.launch(partial(self._train, blind=blind, bar=bar))
        return Result(self)

    def _train(self, fabric: "Fabric", *, blind: bool, bar: bool | None) -> None:
        from vsrpp_lite.training.train import fit

        began = time.time()
        train, dev = self.splits(blind=blind)[:2]
        matcher = self.build()
        if fabric.is_global_zero and not self.files.has(LAST):  # a resumed training has them already
            self.files.write_text(CONFIG, json.dumps(self.config(train.feature_size), indent=2))
            models.save_tokenizer(matcher.tokenizer, self.files)
        fit(matcher, train, dev, self.settings.training, seed=self.seed, files=self.files, fabric=fabric, bar=bar)
        if fabric.is_global_zero:
            where = {"device": str(fabric.device), "devices": fabric.world_size}
            record = {"seconds": round(time.time() - began, 1)} | where | provenance()
            self.files.write_text(RESULT, json.dumps(record, indent=2))


@dataclass(frozen=True)
class Result:
    """The result of a finished run: what its folder holds, and recalls, ranks and scores of the test split."""

    run: Run

    @property
    def recalls(self) -> dict[str, float]:
        """Return recalls at 1, 5, 10 of text (i2t) and image (t2i) retrieval on the test split, mR and rsum, in %."""
        return metrics.named(self.contributions())

    @cached_property
    def record(self) -> dict[str, Any]:
        """Return the training's seconds since its last start, device, versions and commit, or facts of an import."""
        check_done(self.run.files)
        return self.run.files.read_json(RESULT)

    @property
    def history(self) -> pd.DataFrame:
        """Return one row per epoch, from 1, with losses per caption and dev recalls. An imported run has none."""
        with self.run.files.open(HISTORY) as lines:
            epochs = pd.json_normalize(list(map(json.loads, lines)))
        return epochs.rename(lambda line: line + 1).rename_axis("epoch")

    def matcher(self) -> Matcher:
        """Return the trained matcher, in evaluation mode."""
        return models.load_run(self.run.files, type(self.run.system))

    def export(self, folder: str | Path) -> Path:
        """Write the trained model to a folder that `vl.load` can read without the data; see `models.export`."""
        test, imported = self.run.dataset("test"), self.record.get("imported")
        name = self.run.data if self.run.data in EMBEDDED else self.run.data_folder.name
        about = {"data_name": name, "test": {"split": test.split, "images": len(test)}, "imported": imported}
        return models.export(self.matcher(), self.run.files.read_json(CONFIG) | about, self.recalls, folder)

    def ranked(self, partners: "Sequence[Result]" = (), folds: int = 1) -> bool:
        """Tell whether `rank` has written its file."""
        return (self.run.folder / of_ranks(folds, [partner.run.files for partner in partners])).exists()

    def rank(self, partners: "Sequence[Result]" = (), folds: int = 1) -> dict[str, np.ndarray]:
        """Rank the test split by the average of this model's scores and its partners', unless it is ranked already.

        The result holds the ranks of `images` (I,) and `texts` (T,), from 1, and `caption_to_image` (T,).

        Args:
            partners: other runs on the same data, whose scores are averaged with those of this run.
            folds: number of equal parts of consecutive images, each ranked by itself; COCO 1K is the mean of five.

        Raises:
            FileNotFoundError: one of the runs is not trained to its end.
            ValueError: the data have changed since the training, a partner has other data, or the test split does not
                divide into `folds` parts.
        """
        for result in (self, *partners):
            check_done(result.run.files)
            if result.run.data_folder != self.run.data_folder:
                raise ValueError(f"a partner is trained on {result.run.data_folder}; expected {self.run.data_folder}")

        def compute() -> dict[str, np.ndarray]:
            for result in (self, *partners):
                check_done(result.run.files, result.run.data_folder)
            test = self.run.dataset("test")
            encoded = [ranking.Encodings.of(models.on_gpu(result.matcher()), test) for result in (self, *partners)]
            images, texts = ranking.fold_ranks(encoded, test.caption_to_image, folds)
            return {"images": images, "texts": texts, "caption_to_image": test.caption_to_image}

        with_them = [partner.run.files for partner in partners]
        return keep(self.run.files, of_ranks(folds, with_them), compute, with_them)

    def contributions(self, partners: "Sequence[Result]" = (), folds: int = 1) -> np.ndarray:
        """Return what each test image adds to each metric, (I, M); see `rank`."""
        found = self.rank(partners, folds)
        return metrics.contributions(found["images"], found["texts"], found["caption_to_image"])

    def scores(self, choose: Callable[[Matcher], Similarity] | None = None) -> np.ndarray:
        """Return the test scores (I, T) of the system's own similarity, or of one that `choose` takes from the matcher.

        Those of its own are kept in the run folder. FileNotFoundError says that the run is not trained to its end.
        """
        check_done(self.run.files)

        def compute() -> dict[str, np.ndarray]:
            check_done(self.run.files, self.run.data_folder)
            matcher = models.on_gpu(self.matcher())
            similarity = choose(matcher) if choose else matcher.similarity
            return {"scores": ranking.all_scores(matcher, self.run.dataset("test"), similarity)}

        return (compute() if choose else keep(self.run.files, "scores-own.npz", compute))["scores"]
