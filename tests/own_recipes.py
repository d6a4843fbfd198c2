"""What Table 2 says if its ends have recipes of their own: `OMP_NUM_THREADS=1 python tests/own_recipes.py`.

In the table, every mu has the recipe of VSR++, which is that of mu = 2. The study of `lite` tuned mu = 0.5 and mu = 3,
too. This script trains both by the recipes that won, with three seeds, and writes
notebooks/recorded/scenes-lite/own_recipes.csv: the rsum of each mu, and by how much mu = 2 leads it.
"""

import pandas as pd

from vsrpp_lite.paper.four_tables import TABLE2
from vsrpp_lite.paper.recorded import recorded_folder
from vsrpp_lite.paper.study import STUDIES, winners
from vsrpp_lite.paper.tables import compare, samples
from vsrpp_lite.training import grid
from vsrpp_lite.training.runs import Run

SEEDS = range(3)
SHARED = {"data": "scenes", "preset": "lite"}


def main() -> None:
    """Train what is not trained yet, and write the CSV."""
    found = winners(STUDIES["lite"], pd.read_csv(recorded_folder() / "tuning" / "lite-rows.csv"))
    by_table = [TABLE2.runs(**SHARED, seed=seed) for seed in SEEDS]
    base = samples([runs["mu = 2.0"] for runs in by_table])
    lines = []
    for row in ("mu = 0.5", "mu = 3.0"):
        own = [Run(system=found[row].system, training=found[row].training, **SHARED, seed=seed) for seed in SEEDS]
        for recipe, runs in (("VSR++'s", [of_seed[row] for of_seed in by_table]), ("its own", own)):
            list(grid.train(runs))
            of_mu = samples(runs)
            lead = compare(base, of_mu)
            rsum = of_mu.mean((0, 1))[-1]
            lines.append({"row": row, "recipe": recipe, "rsum": rsum, "lead of mu = 2": lead.pop("difference")} | lead)
    table = pd.DataFrame(lines).replace(
        {"verdict": {"reproduced": "mu = 2 leads", "not reproduced": "mu = 2 is behind"}}
    )
    table.round({"rsum": 1, "lead of mu = 2": 1, "lo": 1, "hi": 1, "p": 4}).to_csv(
        recorded_folder() / "scenes-lite" / "own_recipes.csv", index=False
    )


if __name__ == "__main__":
    main()
