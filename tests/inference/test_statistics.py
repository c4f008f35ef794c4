from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import ConfigError
from affectrum.inference.statistics import FeatureStatistics, training_statistics


def test_distance_of_known_gaussian_is_about_one() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((12, 12))
    x = (rng.standard_normal((6000, 12)) @ mixing).reshape(6000, 4, 3)
    stats = training_statistics(x, np.arange(6000) % 5)
    assert stats.basis == "held-out subjects"
    assert stats.n_subjects == 5
    distances = stats.distance(x)
    # shrinkage by 5 % makes the small directions a little shorter, never longer
    assert 0.8 < np.median(distances) < 1.05
    assert abs((stats.novelty(x) > 1).mean() - 0.01) < 0.005


def test_distance_equals_the_textbook_formula() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 2, 2))
    stats = training_statistics(x, np.zeros(50, dtype=np.int64))
    assert stats.basis == "training windows"
    flat = x.reshape(50, 4)
    covariance = np.cov(flat.T, bias=True)
    s = stats.shrinkage
    shrunk = (1 - s) * covariance + s * np.trace(covariance) / 4 * np.eye(4)
    inverse = np.linalg.inv(shrunk)
    centred = flat - flat.mean(axis=0)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", centred, inverse, centred) / 4)
    np.testing.assert_allclose(stats.distance(x), expected, rtol=1e-9)
    np.testing.assert_allclose(stats.whitening @ stats.whitening.T, inverse, rtol=1e-9)
    assert stats.quantiles["0.99"] == pytest.approx(np.quantile(expected, 0.99))


def test_held_out_distances_equal_leaving_each_subject_out() -> None:
    rng = np.random.default_rng(2)
    owner = np.repeat([3, 7, 9, 11], 40)
    x = rng.standard_normal((160, 3, 2)) + 2 * rng.standard_normal((12, 3, 2))[owner]
    stats = training_statistics(x, owner)
    flat = x.reshape(160, 6)
    distances = []
    for person in (3, 7, 9, 11):
        rest = flat[owner != person]
        covariance = np.cov(rest.T, bias=True)
        s = stats.shrinkage
        inverse = np.linalg.inv((1 - s) * covariance + s * np.trace(covariance) / 6 * np.eye(6))
        centred = flat[owner == person] - rest.mean(axis=0)
        distances.append(np.sqrt(np.einsum("ij,jk,ik->i", centred, inverse, centred) / 6))
    for name, value in stats.quantiles.items():
        assert value == pytest.approx(np.quantile(np.concatenate(distances), float(name)))
    # people differ here, so the honest limit is wider than the one from all windows together
    together = training_statistics(x, np.zeros(160, dtype=np.int64))
    assert stats.quantiles["0.99"] > 1.3 * together.quantiles["0.99"]


def test_far_away_is_novel_and_nan_stays_nan() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((300, 3, 2))
    stats = training_statistics(x, np.arange(300) % 3)
    far = np.full((2, 3, 2), 50.0)
    far[1, 0, 0] = np.nan
    novelty = stats.novelty(far)
    assert novelty[0] > 5
    assert np.isnan(novelty[1])
    with pytest.raises(ConfigError, match="6 features; received windows with 4"):
        stats.distance(x[:, :2])


def test_round_trip_and_degenerate_input() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((60, 2, 2))
    x[5] = np.nan
    stats = training_statistics(x, np.arange(60) % 4)
    assert stats.n_windows == 59
    again = FeatureStatistics.from_arrays(*stats.to_arrays())
    np.testing.assert_array_equal(again.distance(x[6:]), stats.distance(x[6:]))
    constant = training_statistics(np.ones((10, 2, 2)), np.arange(10) % 3)
    assert np.isfinite(constant.distance(np.ones((1, 2, 2)))).all()
    with pytest.raises(ConfigError, match="at least two windows"):
        training_statistics(x[:1], np.zeros(1, dtype=np.int64))
    assert training_statistics(x, np.arange(60) % 4, max_windows=30).n_windows <= 30
