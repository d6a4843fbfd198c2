"""How much each difference between VSRN's released code and `systems/vsrn.py` matters, one at a time.

    OMP_NUM_THREADS=1 python tests/departures.py 0 1 2 3 4

It trains VSRN on the tuning draw of `scenes` for three epochs at a rate of 0.006, at which it is stable, with the seeds
of the command line: once as it is, and once with each difference. The vocabulary's threshold is the release's, and one
line has that of `lite`, which keeps every word. The script writes the rsum on dev of every run into
notebooks/recorded/vsrn_departures.csv, and adds to the runs that are there. Each difference is described by its class.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pandas as pd
import torch
from torch import nn

from vsrpp_lite.caption_loss import CaptionDecoder
from vsrpp_lite.data.dataset import Batch, Dataset, batches, pad, similar_lengths
from vsrpp_lite.data.named import data_folder
from vsrpp_lite.data.text import Tokenizer, Vocabulary
from vsrpp_lite.files import recorded_folder
from vsrpp_lite.global_alignment import Hinge, cosine
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.training import train
from vsrpp_lite.training.metrics import best_epoch
from vsrpp_lite.training.runs import Run

STABLE = Training(epochs=3, batch_size=64, learning_rate=0.006, rise_steps=50, warmup_epochs=2, decay_every=3)


@dataclass(frozen=True, kw_only=True)
class CaptionsOfOneImage(VSRN):
    """Other captions of the same image count as negatives."""

    def build(self, *args: object) -> Matcher:
        matcher = super().build(*args)
        matcher.losses["ranking"] = EveryOtherPair(cosine, self.margin)
        return matcher


class EveryOtherPair(Hinge):
    def forward(self, comparison):
        pairs = torch.arange(len(comparison.image_positions))
        return super().forward(comparison._replace(image_positions=pairs, all_image_positions=pairs))


@dataclass(frozen=True, kw_only=True)
class CaptionPartTwice(VSRN):
    """The parameters of the caption part are listed twice: clipped and stepped twice. `one_by_one` steps them so."""

    def build(self, *args: object) -> Matcher:
        matcher = super().build(*args)
        matcher.__class__ = ListsCaptionTwice
        return matcher


class ListsCaptionTwice(Matcher):
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        yield from super().parameters(recurse)
        yield from self.losses["caption"].parameters(recurse)


def one_by_one() -> AbstractContextManager:
    """Adam as the release ran it, one tensor after the other: the fused one counts both steps before it takes any."""
    adam = torch.optim.Adam
    return mock.patch("torch.optim.Adam", lambda listed, lr, fused: adam(list(listed), lr, foreach=False))


@dataclass(frozen=True, kw_only=True)
class FullStop(VSRN):
    """The full stop, with which every caption of Flickr30K ends, is a word."""

    def tokenizer(self, captions: list[str], min_count: int) -> Tokenizer:
        return WithFullStop(Vocabulary.build([f"{caption} fullstop" for caption in captions], min_count).words)


class WithFullStop(Vocabulary):
    def encode(self, caption: str) -> np.ndarray:
        return super().encode(f"{caption} fullstop")


@dataclass(frozen=True, kw_only=True)
class PaddingWord(VSRN):
    """The caption loss counts one padding word after `<end>`."""

    def build(self, tokenizer: Tokenizer, *args: object) -> Matcher:
        matcher = super().build(tokenizer, *args)
        matcher.losses["caption"].__class__ = CountsPadding
        return matcher


class CountsPadding(CaptionDecoder):
    def loss(self, regions, region_mask, tokens, token_mask):
        longer = nn.functional.pad(tokens, (0, 1))
        return super().loss(regions, region_mask, longer, nn.functional.pad(token_mask, (1, 0), value=True))


@dataclass(frozen=True, kw_only=True)
class NormalInitialisation(VSRN):
    """The decoder's first and last map start from a normal distribution (Glorot and Bengio's)."""

    def build(self, *args: object) -> Matcher:
        matcher = super().build(*args)
        nn.init.xavier_normal_(matcher.losses["caption"].squeeze.weight)
        nn.init.xavier_normal_(matcher.losses["caption"].output.weight)
        return matcher


def last_batch_too() -> AbstractContextManager:
    """An incomplete last batch is trained on."""

    def all_batches(dataset: Dataset, tokens: list, size: int, *, seed: int, epoch: int, **rest: object):
        yield from batches(dataset, tokens, size, seed=seed, epoch=epoch, **rest)
        used = similar_lengths(np.array([len(ids) for ids in tokens]), size, seed=seed, epoch=epoch)
        left = np.setdiff1d(np.arange(len(tokens)), used)
        assert len(left), "every batch is complete: this data set cannot show the difference"
        images = dataset.caption_to_image[left]
        ids = torch.from_numpy(images)
        yield Batch(*dataset.regions(images, "cpu"), *pad([tokens[k] for k in left]), ids, torch.arange(len(left)))

    return mock.patch.object(train, "batches", all_batches)


DIFFERENCES = {
    "none": (VSRN, STABLE, nullcontext),
    "caption part clipped and stepped twice": (CaptionPartTwice, STABLE, one_by_one),
    "captions of the same image as negatives": (CaptionsOfOneImage, STABLE, nullcontext),
    "incomplete last batch trained on": (VSRN, STABLE, last_batch_too),
    "full stop as a word": (FullStop, STABLE, nullcontext),
    "one padding word in the caption loss": (PaddingWord, STABLE, nullcontext),
    "normal initialisation of the decoder": (NormalInitialisation, STABLE, nullcontext),
    "words of fewer than 4 occurrences kept": (VSRN, replace(STABLE, min_count=1), nullcontext),
}
"""The system, its training, and what is patched while it trains."""


def main(seeds: list[int]) -> None:
    path = recorded_folder() / "vsrn_departures.csv"
    lines = pd.read_csv(path).to_dict("records") if path.exists() else []
    data = str(data_folder("scenes-tuning"))
    for seed in seeds:
        for difference, (system, training, patched) in DIFFERENCES.items():
            if any((line["difference"], line["seed"]) == (difference, seed) for line in lines):
                continue
            with TemporaryDirectory() as home, patched(), mock.patch.dict("os.environ", VSRPP_HOME=home):
                run = Run(system=system(), data=data, seed=seed, training=training)
                history = run.fit(blind=True, bar=False).history
            by_few = history["dev.i2t_r1"] + history["dev.i2t_r5"] + history["dev.t2i_r1"] + history["dev.t2i_r5"]
            line = {"difference": difference, "seed": seed, "dev_rsum": round(history["dev.rsum"].max(), 2)}
            lines.append(line | {"same_epoch": best_epoch(list(by_few)) == best_epoch(list(history["dev.rsum"]))})
            print(lines[-1], flush=True)
            pd.DataFrame(lines).to_csv(path, index=False)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
