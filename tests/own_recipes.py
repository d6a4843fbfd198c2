"""What a claim says if its weaker row has a recipe of its own: `OMP_NUM_THREADS=1 python tests/own_recipes.py lite`.

The studies tuned rows of Tables 1 and 2 each as the system that it is. This script trains such rows twice, by the
recipe of VSR++ and by the one that won for the row. With `lite`, these are fusion at the loss, mu = 0.5 and mu = 3 on
drawn scenes, and with `real`, fusion at the loss and the GRU on photographs. Fusion at the loss trains both
similarities and is scored with the global one, so with `lite` the script scores it by their sum, too. It writes the
rsum, what the row's own recipe adds to it, and the lead of the row that is said to be better, into own_recipes.csv of
the recorded set.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper.four_tables import TABLE1, TABLE2
from vsrpp_lite.paper.study import ROWS, STUDIES, winners
from vsrpp_lite.paper.tables import compare, samples
from vsrpp_lite.paper.tuned import TUNED, Recipe, tuned
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.metrics import contributions, ranks
from vsrpp_lite.training.runs import Run


class Compared(NamedTuple):
    """Rows that are trained by two recipes."""

    data: str
    seeds: int
    better: Mapping[str, str]
    """The rows that were tuned, and the row that is said to beat each."""


COMPARED = {
    "lite": Compared("scenes", 3, {"Fusion-loss": "Fusion-similarity", "mu = 0.5": "mu = 2.0", "mu = 3.0": "mu = 2.0"}),
    "real": Compared("flickr8k", 2, {"Fusion-loss": "Fusion-similarity", "VSR++ (GRU)": "VSR++ (full)"}),
}


def scored_by_sum(runs: Sequence[Run]) -> np.ndarray:
    """Return the `samples` of runs of fusion at the loss, scored by S_G + mu S_L instead of S_G."""
    sampled = []
    for run in runs:
        result, own = run.fit(), run.dataset("test").caption_to_image
        local = result.scores(lambda matcher: matcher.losses["local"].similarity)
        sampled.append(contributions(*ranks(result.scores() + VSRpp().mu * local, own), own))
    return np.stack(sampled)


def main(preset: str) -> None:
    """Train what is not trained yet, and write the CSV."""
    data, seeds, better_than = COMPARED[preset]
    shared = {"data": data, "preset": preset}
    found = winners(STUDIES[preset], pd.read_csv(recorded_folder() / "tuning" / f"{preset}-rows.csv"))
    known = TABLE1.rows | TABLE2.rows
    of_vsrpp = TUNED[preset][VSRpp()].training
    lines = []
    for row, better in better_than.items():
        leading = samples([tuned(known[better], **shared, seed=seed) for seed in range(seeds)])
        by_vsrpps: dict[str, np.ndarray] = {}
        for name, recipe in (("VSR++'s", Recipe(ROWS[row], of_vsrpp)), ("its own", found[row])):
            runs = [Run(**recipe._asdict(), **shared, seed=seed) for seed in range(seeds)]
            list(grid.train(runs))
            scored = {row: samples(runs)}
            if row == "Fusion-loss" and preset == "lite":
                scored[f"{row}, scored by its sum"] = scored_by_sum(runs)
            for scored_row, trained in scored.items():
                lead = compare(leading, trained)
                measured = {"rsum": trained.mean((0, 1))[-1], "its lead": lead["difference"]}
                measured |= {"lo": lead["lo"], "hi": lead["hi"]}
                if name == "its own":
                    gain = compare(trained, by_vsrpps[scored_row])
                    measured["own minus VSR++'s"] = "{difference:.1f} ({lo:.1f} to {hi:.1f})".format(**gain)
                else:
                    by_vsrpps[scored_row] = trained
                lines.append({"row": scored_row, "recipe": name, "row said to be better": better} | measured)
    path = recorded_folder() / f"{data}-{preset}" / "own_recipes.csv"
    pd.DataFrame(lines).round(1).to_csv(path, index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=COMPARED)
    main(parser.parse_args().preset)
