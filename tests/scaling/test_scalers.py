from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.scaling import Scaler, TemperatureScaling
from affectrum.scaling import scaler as scaler_module

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((101, 5, 3)) * 3 + 7).astype(np.float32)
FLAT = X.reshape(101, -1).astype(np.float64)


def test_standard_equals_sklearn():
    from sklearn.preprocessing import StandardScaler

    expected = StandardScaler().fit_transform(FLAT).reshape(X.shape)
    np.testing.assert_allclose(Scaler().fit(X).transform(X), expected, rtol=1e-5, atol=1e-6)


def test_minmax_equals_sklearn():
    from sklearn.preprocessing import MinMaxScaler

    expected = MinMaxScaler().fit_transform(FLAT).reshape(X.shape)
    got = Scaler("minmax").fit(X).transform(X)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_robust_is_median_and_median_absolute_deviation():
    middle = np.median(FLAT, axis=0)
    spread = np.median(np.abs(FLAT - middle), axis=0)
    expected = ((FLAT - middle) / spread).reshape(X.shape)
    np.testing.assert_allclose(Scaler("robust").fit(X).transform(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("per", ["feature", "channel"])
def test_blocks_do_not_change_the_result(kind, per, monkeypatch):
    whole = Scaler(kind, per=per).fit(X)
    monkeypatch.setattr(scaler_module, "_BLOCK_VALUES", 40)
    parts = Scaler(kind, per=per).fit(X)
    np.testing.assert_allclose(parts.center_, whole.center_, rtol=1e-12)
    np.testing.assert_allclose(parts.scale_, whole.scale_, rtol=1e-12)
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))


def test_per_channel_takes_all_samples_of_an_electrode():
    fitted = Scaler("standard", per="channel").fit(X)
    assert fitted.center_.shape == (5, 1)
    np.testing.assert_allclose(fitted.center_[:, 0], X.astype(float).mean(axis=(0, 2)))
    out = fitted.transform(X)
    np.testing.assert_allclose(out.std(axis=(0, 2)), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("value", [0.0, 1e-30, -23.7, 1e20])
def test_constant_columns_become_zero(kind, value):
    x = X.copy()
    x[:, 2, 1] = np.float32(value)
    out = Scaler(kind).fit(x).transform(x)
    assert np.isfinite(out).all()
    assert (out[:, 2, 1] == 0).all()
    assert out[:, 2, 0].std() > 0


def test_large_offsets_keep_their_digits():
    """One-pass variance would lose everything here; the mean is 1e4 times the spread."""
    x = (RNG.standard_normal((4000, 1, 1)) + 1e4).astype(np.float32)
    out = Scaler().fit(x).transform(x)
    assert abs(out.std() - 1) < 1e-4
    assert abs(out.mean()) < 1e-4


def test_volts_are_not_taken_for_constants():
    x = (RNG.standard_normal((50, 2, 100)) * 1e-6).astype(np.float32)
    out = Scaler(per="channel").fit(x).transform(x)
    np.testing.assert_allclose(out.std(axis=(0, 2)), 1, atol=1e-4)


def test_record_names_what_was_seen():
    ids = np.arange(101, dtype=np.uint64)[::-1].copy()
    fitted = Scaler().fit(X, ids, roles=("source",), corpora=("SEED",), subjects=("SEED/1",))
    record = fitted.record
    assert record.n_rows == 101
    assert record.ids.tolist() == list(range(101))
    assert set(record.to_dict()) == {"kind", "roles", "corpora", "subjects", "n_rows", "digest"}
    # the digest is of the set of rows, not of their order
    assert Scaler().fit(X, ids[::-1]).record.digest == record.digest
    assert Scaler().fit(X[:-1], ids[:-1]).record.digest != record.digest
    assert record.with_roles("test").roles == ("test",)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust", "none"])
def test_arrays_round_trip(kind):
    fitted = Scaler(kind, per="channel").fit(X)
    restored = Scaler.from_arrays(fitted.to_arrays())
    assert (restored.kind, restored.per) == (kind, "channel")
    np.testing.assert_array_equal(restored.transform(X), fitted.transform(X))
    with pytest.raises(ConfigError, match="lacks scale"):
        Scaler.from_arrays({"center": np.zeros((1, 1)), "kind": np.zeros(1), "per": np.zeros(1)})


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["standard", "minmax", "robust"]), st.integers(2, 40), st.integers(0, 99))
def test_inverse_undoes_transform(kind, n, seed):
    x = np.random.default_rng(seed).normal(3, 2, (n, 2, 2)).astype(np.float32)
    fitted = Scaler(kind).fit(x)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(x)), x, rtol=1e-4)


def test_input_is_untouched_and_output_is_float32():
    before = X.copy()
    out = Scaler().fit(X).transform(X)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
def test_values_that_are_not_finite_are_refused(kind, bad):
    x = X.copy()
    x[3, 1, 1] = bad
    with pytest.raises(ConfigError, match="NaN or Inf in 1 of 5 electrodes"):
        Scaler(kind).fit(x)


def test_faults_say_what_was_received():
    with pytest.raises(ConfigError, match="Did you mean 'standard'"):
        Scaler("standart")
    with pytest.raises(ConfigError, match="not fitted"):
        Scaler().transform(X)
    with pytest.raises(ConfigError, match=r"\(0, 5, 3\)"):
        Scaler().fit(X[:0])
    with pytest.raises(ConfigError, match=r"\(5, 3\).*\(101, 4, 3\)"):
        Scaler().fit(X).transform(X[:, :4])


# ------------------------------------------------------------------------------- temperature


def test_temperature_finds_what_was_done_to_the_logits():
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1.5, (20000, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (honest.cumsum(axis=1) < rng.random((20000, 1))).sum(axis=1)
    loud = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    scaling = TemperatureScaling().fit(loud, y, role="calibration")
    assert scaling.temperature_ == pytest.approx(3.0, rel=0.05)
    quiet = scaling.transform(loud)
    np.testing.assert_allclose(quiet.sum(axis=1), 1)
    assert (quiet.argmax(axis=1) == loud.argmax(axis=1)).all()
    np.testing.assert_allclose(quiet, honest, atol=0.03)
    restored = TemperatureScaling.from_arrays(scaling.to_arrays())
    np.testing.assert_array_equal(restored.transform(loud), quiet)


def test_trials_count_once_and_a_prior_pulls_towards_one():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), 60)
    y = rng.integers(0, 3, 60)
    trial = np.repeat(np.arange(6), 10)
    plain = TemperatureScaling().fit(scores, y, role="validation").temperature_
    # equal numbers of windows: trials weigh as windows do
    by_trial = TemperatureScaling().fit(scores, y, role="validation", trial=trial).temperature_
    assert by_trial == pytest.approx(plain, rel=1e-4)
    # one trial stored ten times over is still one trial
    rows = np.r_[np.arange(60), np.repeat(np.arange(10), 9)]
    again = (
        TemperatureScaling()
        .fit(scores[rows], y[rows], role="validation", trial=trial[rows])
        .temperature_
    )
    assert again == pytest.approx(plain, rel=1e-4)
    right = scores.argmax(axis=1)
    free = TemperatureScaling().fit(scores, right, role="validation").temperature_
    pulled = [
        TemperatureScaling().fit(scores, right, role="validation", prior_sd=sd).temperature_
        for sd in (1.0, 0.3, 0.01)
    ]
    assert free < pulled[0] < pulled[1] < pulled[2]
    assert pulled[2] == pytest.approx(1.0, abs=0.01)
    with pytest.raises(ConfigError, match="one trial for each of 60"):
        TemperatureScaling().fit(scores, y, role="validation", trial=trial[:4])


def test_temperature_is_fitted_on_the_training_side_only():
    scores, y = np.full((4, 2), 0.5), np.array([0, 1, 0, 1])
    with pytest.raises(ConfigError, match="training side only"):
        TemperatureScaling().fit(scores, y, role="test")
    with pytest.raises(ConfigError, match="not fitted"):
        TemperatureScaling().transform(scores)
    with pytest.raises(ConfigError, match=r"\(4, 2\) and \(3,\)"):
        TemperatureScaling().fit(scores, y[:3], role="source")
