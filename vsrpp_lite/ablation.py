"""What the paper's ablations would be, were they clean: all parts in all combinations, mu without the margin."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from vsrpp_lite import tables
from vsrpp_lite.evaluate import contributions, ranks
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import System
from vsrpp_lite.results import Result
from vsrpp_lite.systems.vsrpp import VSRpp

BRANCHES = {"similarity": "fusion of similarities", "loss": "fusion at the loss", "global": "global", "local": "local"}

FACTORIAL: dict[str, System] = {
    f"{BRANCHES[fusion]}, {'Bi-GRU' if bidirectional else 'GRU'}, {'with' if caption else 'no'} caption loss": VSRpp(
        fusion=fusion, bidirectional=bidirectional, caption_loss=caption
    )
    for fusion, bidirectional, caption in product(BRANCHES, (False, True), (False, True))
}
"""Table 1 as one experiment: its published rows are of three papers, and differ in several parts at once."""

RESCALED: dict[str, System] = {
    f"mu = {mu}": VSRpp(mu=mu, margin=0.2 if mu == 2 else 0.2 * (1 + mu) / 3) for mu in (0.5, 1.0, 2.0, 3.0)
}
"""Four rows of Table 2 with the effective margin, alpha / (1 + mu), held at that of mu = 2."""


def effects(*, data: str, preset: str, seeds: Sequence[int]) -> pd.DataFrame:
    """What each part of Table 1 is worth in rsum, everything else equal: paired means over the factorial's cells."""
    by_seed = [tables.runs(1, FACTORIAL, data=data, preset=preset, seed=seed) for seed in seeds]
    sampled = {system: tables.samples(runs[row] for runs in by_seed) for row, system in FACTORIAL.items()}

    def mean(**chosen: Any) -> np.ndarray:
        return np.mean(
            [x for system, x in sampled.items() if all(getattr(system, k) == v for k, v in chosen.items())], axis=0
        )

    asked = [
        ("fusion of similarities", name, {"fusion": "similarity"}, {"fusion": branch})
        for branch, name in list(BRANCHES.items())[1:]
    ] + [
        (f"fusion of similarities ({text})", "local", {"fusion": "similarity"} | same, {"fusion": "local"} | same)
        for text, same in (("Bi-GRU", {"bidirectional": True}), ("GRU", {"bidirectional": False}))
    ]
    for part, better, worse in (("bidirectional", "Bi-GRU", "GRU"), ("caption_loss", "caption loss", "none")):
        asked.append((better, worse, {part: True}, {part: False}))
        asked += [
            (f"{better} ({name})", worse, {part: True, "fusion": branch}, {part: False, "fusion": branch})
            for branch, name in BRANCHES.items()
        ]
    found = pd.DataFrame(
        {"better": better, "worse": worse} | tables.compare(mean(**more), mean(**less))
        for better, worse, more, less in asked
    )
    return found.replace({"verdict": {"reproduced": "helps", "not reproduced": "hurts"}})  # no claim of the paper's


def mu_effects(sampled: Mapping[float, np.ndarray], base: float = 2.0) -> pd.DataFrame:
    """What each mu adds to what `base` gives, in the summed recalls of each direction: `samples` by mu, paired."""
    return pd.DataFrame(
        {"mu": mu, "direction": direction} | tables.compare(of_mu, sampled[base], direction)
        for mu, of_mu in sampled.items()
        for direction in ("i2t", "t2i")
    ).drop(columns="verdict")


def trained(rows: Mapping[str, System], *, data: str, preset: str, seeds: Sequence[int]) -> dict[float, np.ndarray]:
    """The `samples` of models trained for each mu: rows of Table 2, or `RESCALED`."""
    by_seed = [tables.runs(2, dict(rows), data=data, preset=preset, seed=seed) for seed in seeds]
    return {system.mu: tables.samples(runs[row] for runs in by_seed) for row, system in rows.items()}


def swept(result: Result, mus: Sequence[float]) -> dict[float, np.ndarray]:
    """The same of one VSR++, in which mu changes at test time alone."""
    global_scores = result.scores("global", lambda _: cosine)
    local_scores = result.scores("local", lambda _: partial(cross_attention, **result.run.system.attention))
    where = result.run.dataset("test").caption_to_image
    return {mu: contributions(*ranks(global_scores + mu * local_scores, where), where)[None] for mu in mus}
