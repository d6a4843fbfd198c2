"""Intervals, p-values and Holm's method: by hand, and against the bootstrap."""

import numpy as np
import pytest

from vsrpp_lite.training import significance


def test_the_interval_of_one_seed_is_that_of_a_mean():
    hits = (np.arange(400) % 4 == 0)[None, :, None] * 100.0
    mean, low, high = significance.interval(hits)
    assert mean[0] == 25
    expected = 1.966 * np.sqrt(25 * 75 / 399)
    assert high[0] - mean[0] == pytest.approx(expected, rel=0.08)
    assert mean[0] - low[0] == pytest.approx(high[0] - mean[0])


def test_a_level_in_per_cent_is_refused():
    with pytest.raises(ValueError, match="level is 95; expected a share between 0 and 1"):
        significance.interval(np.ones((2, 5, 1)), level=95)


def test_one_image_has_no_interval():
    with pytest.raises(ValueError, match="the test split has 1 image; expected at least 2"):
        significance.interval(np.ones((2, 1, 3)))


def test_seeds_that_disagree_widen_the_interval():
    images = np.tile(np.arange(200) % 2 * 100.0, (3, 1))[:, :, None]
    _, low, high = significance.interval(images)
    apart = images + np.array([-5.0, 0.0, 5.0])[:, None, None]
    _, low_apart, high_apart = significance.interval(apart)
    assert high_apart[0] - low_apart[0] > high[0] - low[0] + 5


def test_the_variance_of_a_mean_over_images_is_the_bootstraps():
    """s^2 / I is what drawing the images again and again would come to."""
    samples = np.random.default_rng(0).normal(50, 20, (1, 200, 1))
    draws = np.random.default_rng(1).integers(0, 200, (20_000, 200))
    _, variance, _ = significance.spread(samples)
    assert variance[0] == pytest.approx(samples[0, draws, 0].mean(1).var() * 200 / 199, rel=0.03)


def test_a_p_value_is_below_a_twentieth_where_the_interval_does_not_hold_zero():
    rng = np.random.default_rng(0)
    for mean in (0.0, 1.0, 2.0, 4.0):
        samples = rng.normal(mean, 20, (3, 400, 1))
        _, low, high = significance.interval(samples)
        assert (significance.p_value(samples)[0] < 0.05) == (low[0] > 0 or high[0] < 0)
    assert significance.p_value(np.ones((1, 10, 1))).tolist() == [0.0]  # every image differs by the same
    assert significance.p_value(np.zeros((1, 10, 1))).tolist() == [1.0]  # none differs


def test_a_variance_that_is_small_by_chance_does_not_make_a_difference_certain():
    """Two seeds of mean 5 and 5: by themselves, they leave no doubt. Rows usually vary by 9 from seed to seed.

    So the mean of two has a variance of 4.5, and Student's t with ten degrees of freedom is 5 / 4.5 ** 0.5 = 2.36.
    """
    samples = np.full((2, 4, 1), 5.0)
    assert significance.p_value(samples)[0] == 0
    usual = significance.SeedVariance(np.array([9.0]), 10)
    assert significance.p_value(samples, usual)[0] == pytest.approx(0.04, abs=0.0005)
    wild = np.array([-20.0, 30.0])[:, None, None] + np.zeros((2, 4, 1))  # varies more than usual: its own counts
    assert significance.p_value(wild, usual)[0] == significance.p_value(wild)[0] > 0.5
    with pytest.raises(ValueError, match="found one seed; expected two at least"):
        significance.seed_variance([samples[:1]])


def test_the_p_value_of_seeds_takes_the_larger_variance():
    """1, 2 and 3 have the mean 2. With their own variance 1, t is 2 / sqrt(1 / 3) = 3.46, with two degrees of freedom.

    With a usual variance of 4 and many degrees of freedom, t is 2 / sqrt(4 / 3) = 1.73.
    """
    values = np.array([1.0, 2.0, 3.0])
    small, large = (significance.SeedVariance(np.array([v]), 10_000) for v in (0.01, 4.0))
    assert significance.seed_p_value(values, small) == pytest.approx(0.074, abs=0.0005)
    assert significance.seed_p_value(values, large) == pytest.approx(0.083, abs=0.0005)


def test_holm_by_hand():
    """Three claims: the smallest p counts three times, the next twice, the largest once, and none is below the last."""
    assert significance.holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert significance.holm([0.5, 0.6]) == [1.0, 1.0]
    assert significance.holm([]) == []


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Seeds and images drawn afresh 300 times around a known mean of 50."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        images = rng.normal(50, 20, (1, 100, 1))
        samples = images + rng.normal(0, 2, (3, 1, 1)) + rng.normal(0, 10, (3, 100, 1))
        _, low, high = significance.interval(samples)
        held += low[0] <= 50 <= high[0]
    assert 0.91 <= held / 300 <= 0.99


def test_the_variance_of_a_mean_over_seeds_by_hand():
    """Seeds of mean -3, 0 and 3, all images alike: s^2 = 9, so that the mean of three has a variance of 3."""
    samples = np.array([-3.0, 0.0, 3.0])[:, None, None] + np.zeros((3, 4, 1))
    mean, variance, freedom = significance.spread(samples)
    assert (mean[0], variance[0], freedom[0]) == pytest.approx((0, 3, 2))
    _, low, high = significance.interval(samples)
    assert high[0] == pytest.approx(4.303 * 3**0.5, rel=1e-3)  # Student's t at 97.5 % with 2 degrees of freedom
    assert low[0] == pytest.approx(-high[0])


def test_the_interval_over_seeds_alone_is_that_of_samples_whose_images_are_alike():
    by_seed = np.array([-3.0, 0.0, 6.0])
    samples = by_seed[:, None, None] + np.zeros((3, 4, 1))
    assert significance.seed_interval(by_seed) == pytest.approx([float(x[0]) for x in significance.interval(samples)])
    with pytest.raises(ValueError, match="found one seed; expected two at least"):
        significance.seed_interval(by_seed[:1])


def test_both_variances_add_and_their_degrees_of_freedom_are_welchs():
    """Two images, 0 and 2 on average: s^2 / I = 2 / 2 = 1. Two seeds, 0 and 2 on average: s^2 / S = 1. They add to 2.

    Welch and Satterthwaite: (1 + 1)^2 / (1^2 / 1 + 1^2 / 1) = 2.
    """
    samples = np.array([[-1.0, 1.0], [1.0, 3.0]])[:, :, None]
    mean, variance, freedom = significance.spread(samples)
    assert (mean[0], variance[0], freedom[0]) == pytest.approx((1, 2, 2))
    # one seed alone: the images' variance, 2 / 2, and I - 1 = 1
    assert [float(x[0]) for x in significance.spread(samples[:1])] == pytest.approx([0, 1, 1])
