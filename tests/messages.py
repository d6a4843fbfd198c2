"""What the messages of trained graphs are worth: `OMP_NUM_THREADS=1 python tests/messages.py`, some minutes if trained.

Rows of Table 1 that have a graph, trained by their tuned recipes on drawn scenes (preset `long`) and on photographs
(preset `real`), rank the test split as they are and with their messages silenced (`beyond_recall.without_messages`).
The difference is paired by seed and by picture. What is not trained yet is trained first, which takes an hour or more.
"""

import numpy as np
import pandas as pd

from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper.beyond_recall import without_messages
from vsrpp_lite.paper.four_tables import TABLE1
from vsrpp_lite.paper.tables import compare
from vsrpp_lite.training import grid
from vsrpp_lite.training.metrics import METRICS, contributions
from vsrpp_lite.training.ranking import Encodings, fold_ranks
from vsrpp_lite.training.runs import Result

SEEDS = range(3)
ROWS = {
    ("scenes", "long"): ("Global", "Fusion-loss", "Fusion-similarity", "VSR++ (GRU)", "VSR++ (full)"),
    ("flickr8k", "real"): ("Global", "Fusion-loss", "VSR++ (GRU)", "VSR++ (full)"),
}


def silenced(result: Result) -> np.ndarray:
    """Return what each test image adds to each metric, (I, M), when the messages of the model are silenced."""
    test = result.run.dataset("test")
    where = test.caption_to_image
    return contributions(*fold_ranks([Encodings.of(without_messages(result.matcher()), test)], where), where)


def main() -> None:
    """Train what is not trained yet, and write notebooks/recorded/messages.csv."""
    lines = []
    for (data, preset), rows in ROWS.items():
        by_seed = [TABLE1.runs(data=data, preset=preset, seed=seed) for seed in SEEDS]
        list(grid.train(runs[row] for runs in by_seed for row in rows))
        for row in rows:
            results = [Result(runs[row]) for runs in by_seed]
            with_them = np.stack([result.contributions() for result in results])
            without = np.stack([silenced(result) for result in results])
            rsums = (x[..., METRICS.index("rsum")].mean() for x in (with_them, without))
            found = compare(with_them, without)
            line = dict(zip(("with messages", "silenced"), rsums, strict=True))
            line |= {key: found[key] for key in ("difference", "lo", "hi")}
            lines.append({"data": f"{data}-{preset}", "row": row, "seeds": len(SEEDS)} | line)
    pd.DataFrame(lines).round(3).to_csv(recorded_folder() / "messages.csv", index=False)


if __name__ == "__main__":
    main()
