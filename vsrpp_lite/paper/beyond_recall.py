"""What recall cannot see, for the systems of a table: true answers that count as wrong, and minimal pairs.

notebooks/recorded/<data>-<preset>/truth.csv has one line per row, seed and measure. It exists for drawn scenes alone,
since only their generator knows what is true of every picture.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool
from torch import nn

from vsrpp_lite.data.manifest import fingerprint
from vsrpp_lite.data.precomp import name_of_test, open_split
from vsrpp_lite.data.scenes.probes import EDITS, Probe, in_one_half, probes
from vsrpp_lite.data.scenes.truth import scenes, truth
from vsrpp_lite.files import atomic
from vsrpp_lite.gcn_reasoning import RegionGraph
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.paper.four_tables import TABLE4
from vsrpp_lite.paper.true_answers import false_negative_share, judged, preferred
from vsrpp_lite.paper.words_alone import preferred_unseen
from vsrpp_lite.training.runs import Result, Run

TRUTH = "truth.csv"
COLUMNS = ["row", "seed", "measure", "value", "n"]
DRAWN = ("scenes",)
"""Data sets whose records get a truth.csv."""
ONE_HALF, TWO_HALVES = "left and right, in one half", "left and right, in two halves"
"""Measures of the pairs of "left and right" whose things stand in the same half of the picture, and of the others."""
WORDS_ALONE = "words alone"
"""The row in truth.csv of a model that never sees a picture; see `words_alone`. It answers the minimal pairs alone."""


def judge(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return what the truth says about these results, which are on one data set: a line for each row and measure.

    The columns are `row`, `seed`, `measure`, `value` in per cent, and `n`, the number of queries or pairs. Measures
    are R@1 with the one answer of the benchmark, R@1 and mAP@R with all true answers, the share of failures of image
    retrieval that are false negatives, and the accuracy on each kind of minimal pair. Pairs of "left and right" are
    also split by whether both things stand in the same half of the picture.

    Raises:
        DataError: the data were not drawn by the generator.
    """
    lines = []
    for row, result in results.items():
        run = result.run
        true, pairs, asked = _known(run.data_folder, fingerprint(run.data_folder))
        test = run.dataset("test")
        benchmark = np.zeros_like(true)
        benchmark[test.caption_to_image, np.arange(true.shape[1])] = True
        scores = result.scores()
        sizes = {"i2t": true.shape[0], "t2i": true.shape[1]}
        by_benchmark, by_truth = judged(scores, benchmark), judged(scores, true)
        for direction, n in sizes.items():
            measures = {
                "R@1, one answer": by_benchmark[f"{direction}_r1"],
                "R@1, all true": by_truth[f"{direction}_r1"],
                "mAP@R": by_truth[f"{direction}_mAP@R"],
            }
            lines += [(row, run.seed, f"{direction} {name}", value, n) for name, value in measures.items()]
        failed = round((100 - by_benchmark["t2i_r1"]) / 100 * sizes["t2i"])
        wrong = false_negative_share(scores, true, test.caption_to_image)
        lines.append((row, run.seed, "t2i failures that are false negatives", wrong, failed))
        lines += _shares(row, run.seed, preferred(result.matcher(), test, pairs), asked)
    return pd.DataFrame(lines, columns=COLUMNS)


def without_messages(matcher: Matcher) -> Matcher:
    """Return a copy of a matcher whose graph layers send no messages.

    In evaluation mode, each layer adds what it added on average in its training, which is the same vector for every
    region of every picture; see lesson 1.

    Raises:
        ValueError: the matcher has no graph layer.
    """
    silent = deepcopy(matcher)
    layers = [module for module in silent.modules() if isinstance(module, RegionGraph)]
    if not layers:
        raise ValueError("the matcher has no graph layer, and so no messages to take away")
    for layer in layers:
        nn.init.zeros_(layer.update.weight)
        assert layer.norm.running_mean is not None  # only a norm without statistics has none
        layer.update.bias.data.copy_(layer.norm.running_mean)
    return silent


def judge_words_alone(run: Run) -> pd.DataFrame:
    """Return the accuracy on each kind of minimal pair of a model that has read the training captions alone.

    The columns are those of `judge`, and the seed is 0, since nothing here is random.
    """
    _, pairs, asked = _known(run.data_folder, fingerprint(run.data_folder))
    right = preferred_unseen(run.dataset("train").captions, pairs)
    return pd.DataFrame(_shares(WORDS_ALONE, 0, right, asked), columns=COLUMNS)


def _shares(
    row: str, seed: int, right: Bool[np.ndarray, " P"], asked: Mapping[str, Bool[np.ndarray, " P"]]
) -> list[tuple[str, int, str, float, int]]:
    """Return a line for each kind of pairs: how many of them are right, in per cent."""
    return [(row, seed, kind, 100 * float(right[chosen].mean()), int(chosen.sum())) for kind, chosen in asked.items()]


@lru_cache(maxsize=2)
def _known(
    folder: Path,
    content: str,  # noqa: ARG001  # a part of what lru_cache remembers
) -> tuple[Bool[np.ndarray, "I T"], list[Probe], dict[str, Bool[np.ndarray, " P"]]]:
    """Return the truth of a folder's test split, its P minimal pairs, and which of these each measure asks about.

    Args:
        content: the fingerprint of the folder. With other content, what is remembered of it does not hold.
    """
    test = open_split(folder, name_of_test(folder))
    of_images, pairs = scenes(test), probes(test)
    asked = {kind: np.array([pair.kind == kind for pair in pairs]) for kind in EDITS}
    sides = asked["left and right"]
    same = np.array([side and in_one_half(pair, of_images[pair.image]) for side, pair in zip(sides, pairs)])
    return truth(test), pairs, asked | {ONE_HALF: same, TWO_HALVES: sides & ~same}


def record_truth(folder: Path, *, data: str, preset: str, seeds: Iterable[int]) -> None:
    """Write truth.csv of Table 4, whose runs are trained.

    Raises:
        FileNotFoundError: a run is not trained to its end.
    """
    by_seed = [TABLE4.runs(data=data, preset=preset, seed=seed) for seed in seeds]
    found = [judge({row: Result(run) for row, run in runs.items()}) for runs in by_seed]
    found.append(judge_words_alone(next(iter(by_seed[0].values()))))
    with atomic(folder / TRUTH) as draft:
        pd.concat(found).round({"value": 2}).to_csv(draft, index=False)
