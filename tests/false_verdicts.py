"""How often a recorded set of tables would give a false verdict: `python tests/false_verdicts.py`, some seconds.

Holm's method bounds the chance of *any* false verdict by 5 % if all p-values are exact. With two or three seeds they
are not, since nobody knows the variance over seeds well: by chance it is sometimes far too small, and then a p-value is
far too small, too. `tables.compare` therefore also tries the variance that the rows of a table have on average. This
script simulates how well that works. It draws whole sets of tables in which no row differs from another, with the
recorded variances, and judges them as the real ones are judged. It writes three figures of each set into
notebooks/recorded/false_verdicts.csv: the share of claims that get a false verdict by their own interval, and the share
of sets with at least one false verdict by Holm's method, with and without the variance of the table.
"""

import numpy as np
import pandas as pd

from vsrpp_lite.files import recorded_folder
from vsrpp_lite.paper.four_tables import TABLES
from vsrpp_lite.paper.recorded_runs import recorded_samples
from vsrpp_lite.paper.tables import COMPARED, Table
from vsrpp_lite.training.significance import holm, two_sided, welch

SETS = ("scenes-long", "another-draw-long", "scenes-lite", "flickr8k-real")
"""Recorded sets with several seeds. Claims of tables with one seed are left out, since they have no such variance."""
DRAWS = 10_000


def of_set(name: str) -> dict[str, object]:
    """Return the line of one set. Shares are in per cent."""
    rng, folder = np.random.default_rng(0), recorded_folder() / name
    alone, together = [], []
    for table in TABLES:
        path = folder / f"{table.name}.csv"
        if path.exists() and pd.read_csv(path)["seeds"].iloc[0] > 1:
            sampled = {row: recorded_samples(folder, table.name, row) for row in table.rows}
            for found, p in zip((alone, together), p_values_of(table, sampled, rng)):
                found.append(p)
    own, usual = (np.concatenate(found, 1) for found in (alone, together))
    any_false = [np.mean([min(holm(line)) < 0.05 for line in p.tolist()]) for p in (own, np.maximum(own, usual))]
    shares = {
        "false by its own interval": (own < 0.05).mean(),
        "any false by Holm, its own variance": any_false[0],
        "any false by Holm, as we judge": any_false[1],
    }
    return {"set": name, "claims": own.shape[1]} | {key: round(100 * float(x), 1) for key, x in shares.items()}


def p_values_of(
    table: Table, sampled: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return p-values of a table's C claims, (DRAWS, C), by each difference's own variance over seeds and by the usual.

    No row differs from another. The mean of each row over the test pictures is drawn with the recorded covariance of
    rows. To it, each seed of each row adds an effect of its own, with the row's recorded variance.
    """
    metrics = list(dict.fromkeys(claim.metric for claim in table.claims))
    seeds, images, _ = next(iter(sampled.values())).shape
    # one column for each row and metric, such as (VSRN, rsum)
    columns = {(row, metric): sampled[row] @ COMPARED[metric] for metric in metrics for row in table.rows}
    by_image = np.cov(np.stack([column.mean(0) for column in columns.values()])) / images
    by_seed = np.array([column.mean(1).var(ddof=1) for column in columns.values()])
    names = list(columns)
    contrast = np.zeros((len(table.claims), len(names)))
    for number, claim in enumerate(table.claims):
        contrast[number, names.index((claim.better, claim.metric))] = 1
        contrast[number, names.index((claim.worse, claim.metric))] = -1
    common = rng.multivariate_normal(np.zeros(len(names)), by_image, DRAWS)
    effects = np.sqrt(by_seed) * rng.standard_normal((DRAWS, seeds, len(names)))
    differences = (common[:, None] + effects) @ contrast.T  # (DRAWS, S, C)
    of_images = np.diag(contrast @ by_image @ contrast.T)
    of_rows = effects.var(1, ddof=1).reshape(DRAWS, len(metrics), -1).mean(2)  # (DRAWS, metrics)
    of_claims = of_rows[:, [metrics.index(claim.metric) for claim in table.claims]]
    own = p_value(differences, of_images, images, differences.var(1, ddof=1), seeds - 1)
    return own, p_value(differences, of_images, images, 2 * of_claims, len(table.rows) * (seeds - 1))


def p_value(
    differences: np.ndarray, of_images: np.ndarray, images: int, of_seeds: np.ndarray, freedom_of_seeds: int
) -> np.ndarray:
    """Return what `significance.p_value` returns of many draws, (N, C), from their means for each seed, (N, S, C).

    Args:
        of_images: the variance of the mean over the test images, (C,).
        of_seeds: the variance from seed to seed, (N, C).
    """
    of_seeds = of_seeds / differences.shape[1]
    of_images = np.broadcast_to(of_images, of_seeds.shape)
    return two_sided(differences.mean(1), *welch(of_images, images - 1, of_seeds, freedom_of_seeds))


def main() -> None:
    """Write the CSV."""
    lines = pd.DataFrame([of_set(name) for name in SETS])
    print(lines.to_string())
    lines.to_csv(recorded_folder() / "false_verdicts.csv", index=False)


if __name__ == "__main__":
    main()
