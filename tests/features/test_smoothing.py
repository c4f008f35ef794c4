"""Smoothing: a dense Gaussian posterior as oracle, causality, gaps, streaming."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.features import OnlineLDS, OnlineMovingAverage, moving_average, smooth_lds


def dense_posterior(x, mean, q, r, p0):
    """Mean of the states given all observations: one linear system with the precision matrix."""
    n = x.size
    precision = np.zeros((n, n))
    rhs = np.zeros(n)
    precision[0, 0] += 1 / p0
    rhs[0] += mean / p0
    for t in range(1, n):
        precision[t, t] += 1 / q
        precision[t - 1, t - 1] += 1 / q
        precision[t, t - 1] -= 1 / q
        precision[t - 1, t] -= 1 / q
    for t in range(n):
        if not np.isnan(x[t]):
            precision[t, t] += 1 / r
            rhs[t] += x[t] / r
    return np.linalg.solve(precision, rhs)


def series(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).cumsum(axis=0) + rng.normal(size=shape)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 12),
    q=st.floats(1e-3, 10),
    r=st.floats(1e-2, 10),
    p0=st.floats(1e-2, 10),
    seed=st.integers(0, 1000),
    gaps=st.sets(st.integers(0, 11)),
    given_mean=st.booleans(),
)
def test_smoother_is_the_posterior_mean_and_filter_that_of_the_past(
    n, q, r, p0, seed, gaps, given_mean
) -> None:
    x = series(n, 2, seed=seed)
    for t in gaps:
        if t < n:
            x[t, 0] = np.nan
    if np.isnan(x[:, 0]).all():
        x[0, 0] = 1.5
    settings_ = {"transition_cov": q, "observation_cov": r, "initial_cov": p0}
    mean = np.array([0.3, -1.0]) if given_mean else None
    smooth = smooth_lds(x, initial_mean=mean, **settings_)
    causal = smooth_lds(x, initial_mean=mean, causal=True, **settings_)
    for k in range(2):
        present = x[~np.isnan(x[:, k]), k]
        m0 = mean[k] if mean is not None else present.mean()
        np.testing.assert_allclose(
            smooth[:, k], dense_posterior(x[:, k], m0, q, r, p0), rtol=1e-6, atol=1e-8
        )
        m0 = mean[k] if mean is not None else present[0]
        for t in range(n):
            expected = dense_posterior(x[: t + 1, k], m0, q, r, p0)[-1]
            assert causal[t, k] == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_hand_worked_case() -> None:
    # one window: the weighted mean of prior (variance 0.1) and observation (variance 1)
    got = smooth_lds(np.array([[3.0]]), initial_mean=1.0)
    assert got[0, 0] == pytest.approx((1.0 / 0.1 + 3.0 / 1) / (1 / 0.1 + 1))
    # equal variances, two windows, prior mean 0: K1 = 1/2, P1 = 1/2, predicted 3/2, K2 = 3/5
    x = np.array([2.0, 4.0])
    causal = smooth_lds(
        x, causal=True, transition_cov=1, observation_cov=1, initial_cov=1, initial_mean=0
    )
    np.testing.assert_allclose(causal, [1.0, 1.0 + 0.6 * 3.0])
    # backward: gain (1/2) / (3/2) = 1/3
    smooth = smooth_lds(x, transition_cov=1, observation_cov=1, initial_cov=1, initial_mean=0)
    np.testing.assert_allclose(smooth, [1.0 + (2.8 - 1.0) / 3, 2.8])


def test_defaults_are_those_of_the_published_code() -> None:
    x = series(30, 4)
    expected = smooth_lds(
        x,
        transition_cov=0.001,
        observation_cov=1.0,
        initial_cov=0.1,
        initial_mean=x.mean(axis=0),
    )
    np.testing.assert_array_equal(smooth_lds(x), expected)


def test_every_feature_is_smoothed_by_itself_on_any_axis() -> None:
    x = series(20, 3, 5)
    got = smooth_lds(x)
    for c in range(3):
        for b in range(5):
            np.testing.assert_allclose(got[:, c, b], smooth_lds(x[:, c, b]), atol=1e-12)
    batch = np.stack([x, 2 * x])
    np.testing.assert_allclose(smooth_lds(batch, axis=-3)[1], 2 * got, atol=1e-12)
    np.testing.assert_allclose(
        moving_average(batch, 3, axis=-3)[0], moving_average(x, 3), atol=1e-12
    )


def test_smoothing_takes_noise_out_and_keeps_constants() -> None:
    rng = np.random.default_rng(0)
    slow = np.sin(np.linspace(0, 3, 240))[:, None] * np.ones(40)
    noisy = slow + rng.normal(size=slow.shape)
    error = np.sqrt(np.mean((smooth_lds(noisy) - slow) ** 2))
    error_causal = np.sqrt(np.mean((smooth_lds(noisy, causal=True) - slow) ** 2))
    assert error < error_causal < 0.5
    assert error < 0.25
    constant = np.full((50, 2), -11.3)
    for causal in (False, True):
        np.testing.assert_allclose(smooth_lds(constant, causal=causal), constant, rtol=1e-12)
        np.testing.assert_allclose(moving_average(constant, 7, causal), constant, rtol=1e-12)


@pytest.mark.parametrize(
    "smooth",
    [lambda x: smooth_lds(x, causal=True), lambda x: moving_average(x, 5, causal=True)],
    ids=["lds", "moving average"],
)
def test_causal_forms_do_not_see_the_future(smooth) -> None:
    x = series(40, 3)
    changed = x.copy()
    changed[25:] += 50
    np.testing.assert_array_equal(smooth(x)[:25], smooth(changed)[:25])
    np.testing.assert_array_equal(smooth(x)[:25], smooth(x[:25]))
    assert np.abs(smooth(x)[25:] - smooth(changed)[25:]).min() > 0


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), gaps=st.sets(st.integers(0, 29)), cut=st.integers(0, 30))
def test_online_lds_is_the_causal_form_bit_for_bit(n, gaps, cut) -> None:
    x = series(n, 2, 3)
    for t in gaps:
        if t < n:
            x[t, 1] = np.nan
    online = OnlineLDS()
    got = np.concatenate([online.process(x[:cut]), online.process(x[cut:])])
    batch = smooth_lds(x, causal=True)
    np.testing.assert_array_equal(got[:, 0], batch[:, 0])
    # before a feature's first value the live form can't know it
    seen = np.maximum.accumulate(~np.isnan(x), axis=0)
    np.testing.assert_array_equal(got[seen], batch[seen])
    assert np.isnan(got[~seen]).all()
    online.reset()
    np.testing.assert_array_equal(online.process(x), got)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 20),
    length=st.integers(1, 25),
    causal=st.booleans(),
    gaps=st.sets(st.integers(0, 19)),
)
def test_moving_average_is_that_of_a_plain_loop(n, length, causal, gaps) -> None:
    x = series(n, 2) + 1000
    for t in gaps:
        if t < n:
            x[t, 0] = np.nan
    got = moving_average(x, length, causal)
    online = OnlineMovingAverage(length)
    for t in range(n):
        first, last = (t - length + 1, t) if causal else (t - length // 2, t + (length - 1) // 2)
        for k in range(2):
            values = [x[i, k] for i in range(max(first, 0), min(last, n - 1) + 1)]
            values = [value for value in values if not np.isnan(value)]
            expected = np.mean(values) if values else np.nan
            np.testing.assert_allclose(got[t, k], expected, rtol=1e-12)
        if causal:
            np.testing.assert_array_equal(online.update(x[t]), got[t])


def test_missing_throughout_stays_missing() -> None:
    x = series(10, 2)
    x[:, 1] = np.nan
    for out in (smooth_lds(x), smooth_lds(x, causal=True), moving_average(x, 3)):
        assert np.isnan(out[:, 1]).all()
        assert np.isfinite(out[:, 0]).all()


def test_zero_variances() -> None:
    x = series(10, 2)
    # no transition noise and a known start: the start
    known = smooth_lds(x, transition_cov=0, initial_cov=0, initial_mean=2.0)
    np.testing.assert_array_equal(known, np.full((10, 2), 2.0))
    # no transition noise: one constant
    np.testing.assert_allclose(np.ptp(smooth_lds(x, transition_cov=0), axis=0), 0, atol=1e-12)


def test_dtypes_empty_and_input_untouched() -> None:
    x = series(12, 3).astype(np.float32)
    copy = x.copy()
    for smooth in (smooth_lds, lambda v: moving_average(v, 3), OnlineLDS().process):
        assert smooth(x).dtype == np.float32
        assert smooth(x[:0]).shape == (0, 3)
    np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: smooth_lds(x, transition_cov=-1), ["'transition_cov'", "-1"]),
        (
            lambda x: smooth_lds(x, observation_cov=0, initial_cov=-2),
            ["'observation_cov'", "'initial_cov'", "-2"],
        ),
        (lambda x: OnlineLDS(observation_cov=-1), ["'observation_cov'"]),
        (lambda x: smooth_lds(x / 0.0), ["infinite"]),
        (lambda x: smooth_lds(x, axis=4), ["'axis' 4"]),
        (lambda x: moving_average(x, 0), ["'length'", "0"]),
        (lambda x: moving_average(x, 2.5), ["'length'", "2.5"]),
        (lambda x: OnlineMovingAverage(-3), ["'length'", "-3"]),
        (lambda x: OnlineLDS().process(x.astype(str)), ["real numbers"]),
    ],
)
def test_errors_name_what_is_wrong(call, words) -> None:
    with np.errstate(divide="ignore"), pytest.raises(ConfigError) as error:
        call(np.ones((4, 2)))
    for word in words:
        assert word in str(error.value)


def test_online_forms_refuse_another_shape() -> None:
    for online in (OnlineLDS(), OnlineMovingAverage(3)):
        online.update(np.zeros((2, 3)))
        with pytest.raises(ConfigError, match=r"\(3, 3\).*\(2, 3\).*reset"):
            online.update(np.zeros((3, 3)))
