"""How sure means and differences are: confidence intervals, p-values, and Holm's method for many of them.

Samples are an array (S, I, M): what each of I test images adds to each of M metrics, for each of S seeds, such as
stacked `metrics.contributions`. To compare two systems, take the difference of their samples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit


def interval(
    samples: Float[np.ndarray, "S I M"], *, level: float = 0.95
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Return the mean of each metric over S seeds and I images, and the two ends of its confidence interval.

    To compare two systems in pairs, pass the *difference* of their contributions for each seed and each image.
    `spread` explains which sources of chance the interval covers.

    Raises:
        ValueError: the level is no share, or there is one image only.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95")
    mean, variance, freedom = spread(samples)
    # stdtrit gives Student's quantile, as scipy.stats.t.ppf does, but scipy.stats takes a second to import
    half = stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)
    return mean, mean - half, mean + half


def seed_interval(values: Float[np.ndarray, " S"], *, level: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of S values and the ends of its confidence interval, where chance enters by the seeds alone.

    The values 1, 2 and 3 have the mean 2 and the variance 1, so the interval is 2 -/+ 4.30 sqrt(1 / 3), where 4.30 is
    Student's quantile with two degrees of freedom.

    >>> import numpy as np
    >>> [round(x, 2) for x in seed_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48]

    Raises:
        ValueError: there is one seed only.
    """
    _check_seeds(len(values))
    mean, low, high = interval(values[None, :, None], level=level)  # the seeds take the axis of the images
    return float(mean[0]), float(low[0]), float(high[0])


def _check_seeds(seeds: int) -> None:
    if seeds < 2:
        raise ValueError("found one seed; expected two at least, since one seed has no variance")


class SeedVariance(NamedTuple):
    """How much a mean over images varies from seed to seed: the variance of each metric, and its degrees of freedom."""

    variance: Float[np.ndarray, " M"]
    freedom: int


def seed_variance(rows: Sequence[Float[np.ndarray, "S I M"]]) -> SeedVariance:
    """Return the variance over seeds of one row, on average over rows with S seeds each.

    Two rows of two seeds, with means of 1 and 3, and of 2 and 2: the variances are 2 and 0, and their mean is 1.

    >>> import numpy as np
    >>> one, other = np.array([1.0, 3.0]), np.array([2.0, 2.0])
    >>> seed_variance([row[:, None, None] * np.ones((2, 5, 1)) for row in (one, other)])
    SeedVariance(variance=array([1.]), freedom=2)

    Raises:
        ValueError: there is one seed only.
    """
    seeds = len(rows[0])
    _check_seeds(seeds)
    return SeedVariance(np.mean([row.mean(1).var(0, ddof=1) for row in rows], axis=0), len(rows) * (seeds - 1))


def p_value(samples: Float[np.ndarray, "S I M"], usual: SeedVariance | None = None) -> Float[np.ndarray, " M"]:
    """Return the two-sided p-value of each metric: the probability that the mean lies at least this far from
    zero if the true mean is zero.

    It uses the variance of `spread`. Without `usual`, it is below 0.05 exactly if the 95 % interval does not hold zero.

    Args:
        usual: how much such a mean usually varies from seed to seed. The variance of two or three seeds is sometimes
            far too small by chance, and then the p-value is far too small. With `usual`, the larger of both p-values
            counts.
    """
    p = two_sided(*spread(samples))
    return p if usual is None else np.maximum(p, two_sided(*spread(samples, usual)))


def seed_p_value(values: Float[np.ndarray, " S"], usual: SeedVariance) -> float:
    """Return the two-sided p-value of the mean of S values, where chance enters by the seeds alone.

    As in `p_value`, the larger of two p-values counts: of these values' own variance, and of the usual one.

    Raises:
        ValueError: there is one seed only.
    """
    own = seed_variance([values[:, None, None]])
    both = (two_sided(values.mean(keepdims=True), one.variance / len(values), one.freedom) for one in (own, usual))
    return float(max(p[0] for p in both))


def two_sided(
    mean: Float[np.ndarray, "*M"], variance: Float[np.ndarray, "*M"], freedom: Float[np.ndarray, "*M"] | int
) -> Float[np.ndarray, "*M"]:
    """Return Student's two-sided p-value of means whose true value may be zero, from their variance."""
    far = np.divide(np.abs(mean), np.sqrt(variance), out=np.where(mean == 0, 0.0, np.inf), where=variance > 0)
    return 2 * stdtr(freedom, -far)


def spread(
    samples: Float[np.ndarray, "S I M"], seeds_vary: SeedVariance | None = None
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Return the mean of each metric, the variance of that mean, and its degrees of freedom.

    Chance enters twice: it chooses the I images of the test split and the S seeds. The variance of the mean over
    images is s^2 / I, and that of the mean over seeds is s^2 / S. The function adds the two. Their sum is a little too
    large, since both contain the effect of a seed on a single image. The formula of Welch and Satterthwaite gives the
    degrees of freedom of the sum. With one seed the second variance is unknown; then only the images count.

    Args:
        seeds_vary: the variance over seeds, if it is not to be computed from these few seeds.

    Raises:
        ValueError: there is one image only, which has no variance.
    """
    seeds, images, _ = samples.shape
    if images < 2:
        raise ValueError(f"the test split has {images} image; expected at least 2, or no interval can be computed")
    by_image = samples.mean(0).var(0, ddof=1) / images
    if seeds_vary is None:
        seeds_vary = seed_variance([samples]) if seeds > 1 else SeedVariance(np.zeros_like(by_image), 1)
    by_seed = seeds_vary.variance / seeds
    return samples.mean((0, 1)), *welch(by_image, images - 1, by_seed, seeds_vary.freedom)


def welch(
    one: Float[np.ndarray, "*M"], freedom_of_one: int, other: Float[np.ndarray, "*M"], freedom_of_other: int
) -> tuple[Float[np.ndarray, "*M"], Float[np.ndarray, "*M"]]:
    """Return the sum of two variances and its degrees of freedom, at least 1, by Welch and Satterthwaite's formula."""
    variance = one + other
    freedom = variance**2 / np.maximum(one**2 / freedom_of_one + other**2 / freedom_of_other, 1e-30)
    return variance, np.maximum(freedom, 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of tests (Holm, 1979), and return them in the same order.

    If a verdict needs an adjusted p-value below 0.05, the chance of *any* false verdict is at most 0.05, provided that
    the p-values are exact. The smallest of n p-values is multiplied by n, the next by n - 1, and so on. An adjusted
    value is at least as large as the one before it in this order, and at most one.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order]))
    back = np.empty(len(order))
    back[order] = adjusted
    return [round(float(p), 12) for p in back]
