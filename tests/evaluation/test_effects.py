"""Effect sizes, power, variance components: closed forms, tables, simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from affectrum.errors import ConfigError
from affectrum.evaluation import (
    cliffs_delta,
    cohens_d_interval,
    detectable_difference,
    detection_power,
    paired_cohens_d,
    paired_dominance,
    score_components,
    variance_components,
)


def test_effects_by_hand():
    a, b = [0.5, 0.7, 0.6, 0.9], [0.4, 0.7, 0.7, 0.5]
    difference = np.array([0.1, 0.0, -0.1, 0.4])
    assert paired_cohens_d(a, b) == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert paired_dominance(a, b) == pytest.approx((2 - 1) / 4)
    expected = np.mean([np.sign(x - y) for x, y in itertools.product(a, b)])
    assert cliffs_delta(a, b) == pytest.approx(expected)
    assert cliffs_delta([1, 2], [3, 4, 5]) == -1
    assert np.isnan(paired_cohens_d([0.5, 0.6], [0.4, 0.5]))
    assert np.isnan(paired_cohens_d([0.5], [0.4]))
    with pytest.raises(ConfigError, match="1 not finite"):
        cliffs_delta([0.1, np.nan], [0.2])


def test_interval_of_d_inverts_the_noncentral_t():
    for d, n in [(0.0, 10), (0.8, 15), (-1.5, 32), (3.0, 6), (12.0, 20)]:
        low, high = cohens_d_interval(d, n)
        assert low < d < high
        t = d * np.sqrt(n)
        assert stats.nct.cdf(t, n - 1, low * np.sqrt(n)) == pytest.approx(0.975, abs=1e-6)
        assert stats.nct.cdf(t, n - 1, high * np.sqrt(n)) == pytest.approx(0.025, abs=1e-6)
        mirrored = cohens_d_interval(-d, n)
        assert mirrored == pytest.approx((-high, -low), abs=1e-6)
    # many pairs: the usual normal approximation
    low, high = cohens_d_interval(0.5, 2000)
    error = np.sqrt(1 / 2000 + 0.25 / 4000)
    assert (low, high) == pytest.approx((0.5 - 1.96 * error, 0.5 + 1.96 * error), abs=2e-3)
    assert np.isnan(cohens_d_interval(np.nan, 5)).all()
    assert np.isnan(cohens_d_interval(0.3, 1)).all()


def test_power_of_a_paired_t_test():
    # 34 pairs find d = 0.5 with power 0.808, and 33 pairs with less than 0.8 (tables of G*Power)
    assert detection_power(0.5, 1 / np.sqrt(34), 33) == pytest.approx(0.8078, abs=1e-4)
    assert detection_power(0.5, 1 / np.sqrt(33), 32) < 0.8
    assert detection_power(0.0, 1.0, 10) == pytest.approx(0.05)
    assert detection_power(1e6, 1.0, 10) == 1
    assert detection_power(0.0, 0.0, 10) == 0.05
    assert np.isnan(detection_power(0.1, np.nan, 10))


def test_smallest_detectable_difference():
    found = detectable_difference(0.02, 14)
    assert detection_power(found, 0.02, 14) == pytest.approx(0.8, abs=1e-6)
    # many degrees of freedom: (1.96 + 0.8416) standard errors
    assert detectable_difference(1.0, 1e6) == pytest.approx(2.8016, abs=1e-3)
    three = detectable_difference(0.02, 14, n_comparisons=3)
    assert detection_power(three, 0.02, 14, alpha=0.05 / 3) == pytest.approx(0.8, abs=1e-6)
    assert three > found
    assert detectable_difference(0.0, 14) == 0
    assert np.isnan(detectable_difference(np.nan, 14))
    with pytest.raises(ConfigError, match="alpha < power"):
        detectable_difference(0.1, 14, power=0.01)


def test_components_of_two_factors_by_hand():
    x = np.array([[1.0, 2.0, 4.0], [2.0, 5.0, 5.0]])
    rows, columns, grand = x.mean(axis=1), x.mean(axis=0), x.mean()
    ms_a = 3 * np.square(rows - grand).sum() / 1
    ms_b = 2 * np.square(columns - grand).sum() / 2
    ms_ab = np.square(x - rows[:, None] - columns + grand).sum() / 2
    got = variance_components(x, ("seed", "subject")).set_index("component")["estimate"]
    assert got["seed"] == pytest.approx((ms_a - ms_ab) / 3)
    assert got["subject"] == pytest.approx((ms_b - ms_ab) / 2)
    assert got["seed x subject"] == pytest.approx(ms_ab)


def test_components_of_three_factors_by_the_textbook():
    x = np.random.default_rng(0).random((3, 4, 5))
    a, b, c = x.shape

    def mean_square(axes):
        effect = np.zeros(x.shape)
        for size in range(len(axes) + 1):
            for part in itertools.combinations(axes, size):
                other = tuple(i for i in range(3) if i not in part)
                effect = effect + (-1) ** (len(axes) - size) * x.mean(axis=other, keepdims=True)
        return np.square(effect).sum() / np.prod([x.shape[i] - 1 for i in axes])

    ms = {
        axes: mean_square(axes) for n in (1, 2, 3) for axes in itertools.combinations(range(3), n)
    }
    got = variance_components(x, ("seed", "subject", "clip"))
    expected = {
        "seed": (ms[0,] - ms[0, 1] - ms[0, 2] + ms[0, 1, 2]) / (b * c),
        "subject": (ms[1,] - ms[0, 1] - ms[1, 2] + ms[0, 1, 2]) / (a * c),
        "clip": (ms[2,] - ms[0, 2] - ms[1, 2] + ms[0, 1, 2]) / (a * b),
        "seed x subject": (ms[0, 1] - ms[0, 1, 2]) / c,
        "seed x clip": (ms[0, 2] - ms[0, 1, 2]) / b,
        "subject x clip": (ms[1, 2] - ms[0, 1, 2]) / a,
        "seed x subject x clip": ms[0, 1, 2],
    }
    assert dict(zip(got["component"], got["estimate"], strict=True)) == pytest.approx(expected)
    assert (got["variance"] >= 0).all()
    assert got["share"].sum() == pytest.approx(1)


def test_components_find_simulated_truth():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        x = (
            rng.normal(0, 0.1, (4, 1, 1))
            + rng.normal(0, 0.3, (1, 10, 1))
            + rng.normal(0, 0.2, (1, 1, 12))
            + rng.normal(0, 0.15, (1, 10, 12))
            + rng.normal(0, 0.25, (4, 10, 12))
        )
        found.append(variance_components(x, ("seed", "subject", "clip"))["estimate"])
    expected = [0.1**2, 0.3**2, 0.2**2, 0, 0, 0.15**2, 0.25**2]
    np.testing.assert_allclose(np.mean(found, axis=0), expected, atol=4e-3)


def test_components_of_a_method_s_accuracy(make):
    seeds = [make(n_subjects=5, n_clips=6, seed=s) for s in range(3)]
    got = score_components(seeds)
    assert got["component"].tolist()[:3] == ["seed", "subject", "clip"]
    right = np.stack([(p.y_pred == p.y_true).reshape(5, 6, 5).mean(axis=2) for p in seeds])
    expected = variance_components(right, ("seed", "subject", "clip"))
    np.testing.assert_allclose(got["estimate"], expected["estimate"], atol=1e-15)
    one = score_components(seeds[0])
    assert one["component"].tolist() == ["subject", "clip", "subject x clip"]
    # subject 2 lacks clip 3: one of them is left out, not guessed
    holes = seeds[0].select(~((seeds[0].subject == 1) & (seeds[0].clip == 2)))
    assert len(score_components(holes)) == 3
    assert score_components(make(n_subjects=1)).empty
    with pytest.raises(ConfigError, match="received shape"):
        variance_components(np.ones((1, 4)), ("seed", "subject"))


@pytest.mark.slow
def test_intervals_of_d_cover():
    rng = np.random.default_rng(0)
    truth, n, covered = 0.6, 12, 0
    for _ in range(600):
        difference = rng.normal(truth, 1, n)
        low, high = cohens_d_interval(paired_cohens_d(difference, np.zeros(n)), n)
        covered += low <= truth <= high
    assert 0.92 <= covered / 600 <= 0.98
