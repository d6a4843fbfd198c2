"""What VSR++'s graph is worth after a long training: `OMP_NUM_THREADS=1 python tests/graph.py`, some minutes.

It trains VSR++ by its tuned recipe of preset `long` with and without the layers of region reasoning, with three seeds
of each, on `scenes`. Everything else is the same. It writes rsum and the accuracy on three kinds of minimal pairs into
notebooks/recorded/graph.csv.
"""

from dataclasses import replace

import pandas as pd

from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper.beyond_recall import judge
from vsrpp_lite.paper.tuned import tuned
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.runs import Result

SEEDS = range(3)
RELATIONS = ("left and right", "things exchanged", "on and under")


def main() -> None:
    """Train what is not trained yet, and write the CSV."""
    runs = {}
    for seed in SEEDS:
        run = tuned(VSRpp(), data="scenes", preset="long", seed=seed)
        runs["with the graph", seed] = run
        runs["without the graph", seed] = replace(run, sizes=replace(run.settings.sizes, layers=0))
    list(grid.train(runs.values()))
    lines = []
    for (row, seed), run in runs.items():
        found = judge({row: Result(run)}).set_index("measure")["value"]
        measures = {"rsum": Result(run).recalls["rsum"]} | {kind: found[kind] for kind in RELATIONS}
        lines += [(row, seed, measure, round(value, 2)) for measure, value in measures.items()]
    found = pd.DataFrame(lines, columns=["row", "seed", "measure", "value"])
    found.to_csv(recorded_folder() / "graph.csv", index=False)


if __name__ == "__main__":
    main()
