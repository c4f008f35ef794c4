"""Differential entropy: closed forms, Parseval, a plain loop beside the fast form, simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from affectrum.errors import ConfigError
from affectrum.features import (
    BANDS,
    POWER_FLOOR,
    band_power,
    differential_entropy,
    differential_entropy_bias,
    differential_entropy_sd,
    get_bands,
)
from affectrum.features.spectrum import _log_moments, fft_moments
from affectrum.signals import bandpass, count_windows

GAUSS = 0.5 * math.log(2 * math.pi * math.e)  # entropy of a standard normal variable in nats


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def tone(freq: float, sfreq: float, seconds: float, phase: float = 0.0) -> np.ndarray:
    return np.cos(2 * np.pi * freq * np.arange(round(seconds * sfreq)) / sfreq + phase)[None]


def plain_power(x, sfreq, bands, n_window, n_step):
    """The textbook way: one window, one channel, one band at a time."""
    n_windows = (x.shape[-1] - n_window) // n_step + 1
    out = np.empty((n_windows, x.shape[0], len(bands)))
    hann = signal.get_window("hann", n_window)
    for w in range(n_windows):
        for c in range(x.shape[0]):
            piece = x[c, w * n_step : w * n_step + n_window]
            freqs, psd = signal.periodogram(piece, sfreq, window=hann, detrend="constant")
            for b, band in enumerate(bands):
                inside = (freqs >= band.low - 1e-9) & (freqs < band.high - 1e-9)
                out[w, c, b] = psd[inside].sum() * sfreq / n_window
    return out


@pytest.mark.parametrize("name", list(BANDS))
@pytest.mark.parametrize(
    ("sfreq", "window", "step"), [(200, 1, None), (128, 2, 0.5), (250, 1.5, 0.1), (1000, 1, None)]
)
def test_fft_method_equals_the_plain_loop(name, sfreq, window, step) -> None:
    x = noise(3, 4 * sfreq) * 20e-6
    n_window = round(window * sfreq)
    n_step = n_window if step is None else math.floor(step * sfreq + 0.5)
    expected = plain_power(x, sfreq, BANDS[name], n_window, n_step)
    power = band_power(x, sfreq, bands=name, window=window, step=step)
    np.testing.assert_allclose(power, expected, rtol=1e-10)
    entropy = differential_entropy(x, sfreq, bands=name, window=window, step=step)
    np.testing.assert_allclose(entropy, GAUSS + 0.5 * np.log(expected), atol=1e-10)
    assert entropy.shape[0] == count_windows(x.shape[-1], sfreq, window, step)


@settings(max_examples=40, deadline=None)
@given(
    phase=st.floats(0, 2 * math.pi),
    freq=st.sampled_from([2.0, 6.0, 10.0, 11.0, 20.0, 40.0]),
    sfreq=st.sampled_from([128.0, 200.0, 250.0, 512.0, 1000.0]),
    window=st.sampled_from([1.0, 2.0, 4.0]),
)
def test_a_sine_of_any_phase_has_the_entropy_of_its_variance(phase, freq, sfreq, window) -> None:
    amplitude = 30e-6
    x = amplitude * tone(freq, sfreq, 8, phase)
    entropy = differential_entropy(x, sfreq, window=window)
    inside = [band.low < freq < band.high for band in get_bands("seed")].index(True)
    expected = GAUSS + 0.5 * math.log(amplitude**2 / 2)
    np.testing.assert_allclose(entropy[..., inside], expected, atol=1e-6)


def test_a_sine_between_two_bins_has_almost_the_same_entropy_at_any_phase() -> None:
    phases = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    x = np.concatenate([tone(10.37, 200, 1, phase) for phase in phases])
    entropy = differential_entropy(x, 200)[0, :, 2]
    assert np.ptp(entropy) < 2e-3
    np.testing.assert_allclose(entropy, GAUSS + 0.5 * math.log(0.5), atol=5e-3)


@pytest.mark.parametrize("window", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("method", ["fft", "filter"])
@pytest.mark.parametrize("name", ["seed", "seed-classic", "faced", "cross-corpus"])
def test_ten_hertz_is_alpha_whatever_the_window(window, method, name) -> None:
    entropy = differential_entropy(tone(10, 200, 20), 200, bands=name, window=window, method=method)
    # the first and last window of a filtered tone hold the transient of its sudden end
    entropy = entropy[1:-1].mean(axis=(0, 1))
    names = [band.name for band in get_bands(name)]
    assert names[int(entropy.argmax())] == "alpha"
    # the others hold less than a thousandth of its power
    others = np.delete(entropy, entropy.argmax())
    assert (entropy.max() - others > 0.5 * math.log(1000)).all()


@settings(max_examples=40, deadline=None)
@given(
    sfreq=st.sampled_from([100.0, 128.0, 199.0, 200.0, 251.0]),
    window=st.sampled_from([0.5, 0.73, 1.0, 2.0]),
    edges=st.lists(st.floats(2, 45), min_size=1, max_size=4, unique=True),
    offset=st.floats(-100, 100),
)
def test_bands_that_tile_the_axis_share_the_variance(sfreq, window, edges, offset) -> None:
    """Parseval: adjacent half-open bands add up to the variance, no bin twice and none lost."""
    x = noise(2, 600) + offset
    cuts = [0.0, *sorted(edges), sfreq / 2]
    if min(np.diff(cuts)) <= 2.5 / window:  # each band must hold a bin
        cuts = [0.0, sfreq / 4, sfreq / 2]
    bands = list(itertools.pairwise(cuts))
    power = band_power(x, sfreq, bands=bands, window=window)
    n = math.floor(window * sfreq + 0.5)
    hann = signal.get_window("hann", n)
    windows = np.swapaxes(x[:, : x.shape[-1] // n * n].reshape(2, -1, n), 0, 1)
    centred = (windows - windows.mean(axis=-1, keepdims=True)) * hann
    variance = (centred**2).sum(axis=-1) / (hann**2).sum()
    if n % 2 == 0:  # the Nyquist bin itself is in no half-open band that ends there
        nyquist = np.abs((centred * (-1.0) ** np.arange(n)).sum(axis=-1)) ** 2
        variance = variance - nyquist / (n * (hann**2).sum())
    np.testing.assert_allclose(power.sum(axis=-1), variance, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-9, 1e6), offset=st.floats(-1e3, 1e3))
def test_scaling_adds_its_logarithm_and_an_offset_changes_nothing(scale, offset) -> None:
    x = noise(2, 400)
    base = differential_entropy(x, 200)
    np.testing.assert_allclose(
        differential_entropy((x + offset) * scale, 200), base + math.log(scale), atol=1e-8
    )


def test_microvolts_are_ln_of_a_million_above_volts() -> None:
    x = 20e-6 * noise(2, 400)
    shift = differential_entropy(x * 1e6, 200) - differential_entropy(x, 200)
    np.testing.assert_allclose(shift, 6 * math.log(10), atol=1e-10)


def test_filter_method_is_the_variance_of_the_filtered_signal() -> None:
    x = noise(3, 3000, seed=5) * 20e-6
    got = differential_entropy(x, 200, method="filter", window=2, step=0.5)
    assert got.shape == (count_windows(3000, 200, 2, 0.5), 3, 5)
    for b, band in enumerate(BANDS["seed"]):
        filtered = bandpass(x, 200, band.low, band.high)
        for w in range(got.shape[0]):
            variance = filtered[:, 100 * w : 100 * w + 400].var(axis=-1)
            # not exact at the ends: the bank pads all bands as the slowest one needs
            np.testing.assert_allclose(got[w, :, b], GAUSS + 0.5 * np.log(variance), atol=1e-4)


def test_both_methods_agree_on_noise() -> None:
    x = noise(20, 12000, seed=6)
    by_fft, by_filter = (
        band_power(x, 200, window=4, method=method)[1:-1].mean(axis=(0, 1))
        for method in ("fft", "filter")
    )
    # The power passed by a Butterworth filter of order n used twice is that of an ideal band
    # (1 - 1/(2n)) (pi/2n) / sin(pi/2n) times as wide: the integral of 1 / (1 + w^(2n))^2.
    width = (1 - 1 / 8) * (math.pi / 8) / math.sin(math.pi / 8)
    np.testing.assert_allclose(by_filter / by_fft, width, atol=0.02)


@pytest.mark.parametrize("window", [1.0, 2.0])
@pytest.mark.parametrize("method", ["fft", "filter"])
def test_bias_and_standard_deviation_against_simulation(window, method) -> None:
    """Gaussian white noise: the corrected mean is the true entropy, the scatter as stated."""
    sfreq, n_channels = 200.0, 40
    x = noise(n_channels, 60000, seed=7)
    corrected = differential_entropy(x, sfreq, window=window, method=method, bias_corrected=True)
    plain = differential_entropy(x, sfreq, window=window, method=method)
    n = corrected.shape[0] * n_channels
    sd = differential_entropy_sd(sfreq, window=window, method=method)
    for b, band in enumerate(BANDS["seed"]):
        if method == "fft":
            truth = GAUSS + 0.5 * math.log(2 * (band.high - band.low) / sfreq)
        else:
            sos = signal.butter(4, [band.low, band.high], "bandpass", fs=sfreq, output="sos")
            freqs = np.linspace(0, np.pi, 400001)
            gain = np.abs(signal.sosfreqz(sos, freqs)[1]) ** 4
            truth = GAUSS + 0.5 * math.log(np.trapezoid(gain, freqs) / np.pi)
        # neighbouring windows of the filtered signal are a little correlated: 5 standard errors
        error = sd[b] / math.sqrt(n)
        assert corrected[..., b].mean() == pytest.approx(truth, abs=5 * error)
        assert plain[..., b].std() == pytest.approx(sd[b], rel=0.04)
        if band.high <= 8:  # the correction is needed: without it the mean is far off
            assert plain[..., b].mean() < truth - 10 * error


def test_bias_makes_window_lengths_and_odd_widths_comparable() -> None:
    # 0.75-s windows have bins 4/3 Hz apart, so theirs are wider than the band of 6 Hz
    x = noise(40, 60000, seed=8)
    for window in (0.75, 1.0, 3.0):
        corrected = differential_entropy(
            x, 200, bands={"alpha": (8, 14)}, window=window, bias_corrected=True
        )
        truth = GAUSS + 0.5 * math.log(2 * 6 / 200)
        error = differential_entropy_sd(200, bands={"a": (8, 14)}, window=window)[0]
        assert corrected.mean() == pytest.approx(truth, abs=5 * error / math.sqrt(corrected.size))


def test_log_moments_are_those_of_a_chi_square() -> None:
    from scipy.special import digamma, polygamma

    for dof in (2, 5, 30):
        exact = _log_moments(np.eye(dof) * 0.3 / dof, 0.3)
        assert exact.dof == pytest.approx(dof)
        assert exact.log_bias == pytest.approx(digamma(dof / 2) - math.log(dof / 2), abs=1e-9)
        assert exact.log_sd == pytest.approx(math.sqrt(polygamma(1, dof / 2)), abs=1e-9)
    many = _log_moments(np.diag(np.linspace(1, 2, 64)), 96.0)
    drawn = np.random.default_rng(0).normal(size=(200000, 64)) ** 2 @ np.linspace(1, 2, 64)
    assert many.log_bias == pytest.approx(np.log(drawn).mean() - math.log(96), abs=2e-3)


@pytest.mark.parametrize("n_window", [20, 21])
def test_fft_moments_are_the_traces_of_the_quadratic_form(n_window) -> None:
    """The covariance from Hann's three coefficients equals that from the samples themselves."""
    for band in get_bands([(0, 3), (2, 5), (3, 10), (9.4, 10)]):
        taper = signal.get_window("hann", n_window)
        centring = np.eye(n_window) - 1 / n_window
        rows = []
        for k in range(n_window // 2 + 1):
            if band.low <= k * 20 / n_window + 1e-9 and k * 20 / n_window < band.high - 1e-9:
                c = 1 if k in (0, n_window / 2) else 2
                wave = np.exp(-2j * np.pi * k * np.arange(n_window) / n_window) * taper
                row = wave @ centring * math.sqrt(c / (n_window * (taper**2).sum()))
                rows += [row.real, row.imag]
        if not rows:
            continue
        form = np.array(rows)
        gram = form @ form.T
        moments = fft_moments(20.0, n_window, band)
        assert moments.dof == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum())


def test_seed_scale_is_the_published_formula() -> None:
    """The SEED-VII feature code, written out: 4-s windows, 256 points, log2(100 psd)."""
    sfreq, n_window = 200, 800
    x = 20 * noise(2, 2 * n_window, seed=9)  # microvolts
    taper = np.array(
        [0.5 - 0.5 * math.cos(2 * math.pi * n / (n_window + 1)) for n in range(1, n_window + 1)]
    )
    edges = [(1, 4), (4, 8), (8, 14), (14, 31), (31, 49)]
    got = differential_entropy(x, sfreq, bands="seed-vii", window=4, scale="seed")
    for w in range(2):
        for c in range(2):
            spectrum = np.fft.fft(x[c, w * n_window : (w + 1) * n_window] * taper, 256)
            magnitude = np.abs(spectrum[:128])
            for b, (low, high) in enumerate(edges):
                first, last = int(low / sfreq * 256), int(high / sfreq * 256)
                psd = sum(magnitude[k] ** 2 for k in range(first - 1, last)) / (last - first + 1)
                assert got[w, c, b] == pytest.approx(math.log2(100 * psd), abs=1e-10)


def test_seed_scale_of_one_second_windows_is_zero_padded() -> None:
    x = noise(1, 200)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1, 201) / 201)
    magnitude = np.abs(np.fft.fft(x[0] * taper, 256)) ** 2
    expected = math.log2(100 * magnitude[9:17].mean())  # floor(10.24) - 1 to floor(17.92) - 1
    got = differential_entropy(x, 200, bands={"alpha": (8, 14)}, scale="seed")
    assert got[0, 0, 0] == pytest.approx(expected)


def test_a_window_without_power_has_the_floor() -> None:
    x = noise(3, 400)
    x[1] = 0
    x[2] = 4.2e-3  # a flat electrode with an offset
    for method in ("fft", "filter"):
        entropy = differential_entropy(x, 200, method=method)
        assert np.isfinite(entropy).all()
        np.testing.assert_allclose(entropy[:, 1:], GAUSS + 0.5 * math.log(POWER_FLOOR))
        assert (entropy[:, 0] > -10).all()
    assert np.isfinite(differential_entropy(x, 200, scale="seed")).all()


def test_axes_dtypes_and_blocks() -> None:
    x = noise(2, 3, 4, 1000)
    entropy = differential_entropy(x, 200, window=1, step=0.25)
    assert entropy.shape == (2, 3, 17, 4, 5)
    assert entropy.flags.c_contiguous
    np.testing.assert_array_equal(
        entropy[1, 2], differential_entropy(x[1, 2], 200, window=1, step=0.25)
    )
    single = differential_entropy(x.astype(np.float32), 200, window=1, step=0.25)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, entropy, atol=1e-5)
    # a window longer than a block, and many short rows in one block
    long = noise(2, 70000)
    np.testing.assert_allclose(
        band_power(long, 200, bands={"alpha": (8, 14)}, window=350),
        plain_power(long, 200, get_bands({"alpha": (8, 14)}), 70000, 70000),
        rtol=1e-9,
    )
    rows = noise(500, 1, 200)
    np.testing.assert_allclose(
        band_power(rows, 200)[499], plain_power(rows[499], 200, BANDS["seed"], 200, 200)
    )


def test_an_hour_needs_no_more_memory_than_its_result() -> None:
    import tracemalloc

    x = noise(8, 200 * 3600)
    for method, limit_mb in (("fft", 12), ("filter", 90)):
        differential_entropy(x[:, :2000], 200, method=method)
        tracemalloc.start()
        differential_entropy(x, 200, method=method)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # the signal is 46 MB and its five bands are 230 MB; the bank holds one channel
        assert peak < limit_mb * 2**20


def test_input_is_not_changed() -> None:
    x = noise(2, 400)
    copy = x.copy()
    for method in ("fft", "filter"):
        differential_entropy(x, 200, method=method)
    differential_entropy(x, 200, scale="seed")
    np.testing.assert_array_equal(x, copy)


def test_missing_values_are_named_only_where_they_matter() -> None:
    x = noise(3, 450)
    x[1, 30] = np.nan
    for method in ("fft", "filter"):
        with pytest.raises(ConfigError, match=r"channel\(s\) 1.*\(1, 30\)"):
            differential_entropy(x, 200, method=method)
    x[1, 30], x[1, 430] = 0, np.inf  # after the last whole window
    assert np.isfinite(differential_entropy(x, 200)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bands": "sead"}, ["'bands'", "'sead'", "'seed'", "Did you mean"]),
        ({"bands": {"high": (70, 120), "a": (8, 14)}}, ["high", "Nyquist", "100 Hz"]),
        ({"bands": {"narrow": (8.2, 8.6)}}, ["narrow", "no frequency", "1 Hz apart"]),
        ({"bands": {"a": (14, 8), "b": (-1, 2), "c": 3}}, ["a:", "b:", "c"]),
        ({"bands": {}}, ["no band"]),
        ({"bands": [(8, 14), (8, 14)]}, ["8-14 Hz", "twice"]),
        ({"method": "welch"}, ["'method'", "'welch'", "'fft'", "'filter'"]),
        ({"method": "seed"}, ["'method'", "'seed'"]),
        ({"scale": "bits"}, ["'scale'", "'bits'"]),
        ({"scale": "seed", "bias_corrected": True}, ["scale='seed'", "bias_corrected"]),
        ({"scale": "seed", "bands": {"a": (90, 120)}}, ["a", "bins 114 to 152"]),
        ({"bands": {"offset": (0, 0.9)}}, ["offset", "no frequency"]),
        ({"bands": {"low": (0, 50)}, "window": 0.015}, ["low", "no frequency"]),
        ({"scale": "seed", "bands": {"a": (0, 4)}}, ["a", "bins -1"]),
        ({"window": 5}, ["400 samples", "1000 samples"]),
        ({"window": -1}, ["'window'", "-1"]),
    ],
)
def test_errors_name_what_is_wrong(options, words) -> None:
    with pytest.raises(ConfigError) as error:
        differential_entropy(noise(2, 400), 200, **options)
    for word in words:
        assert word in str(error.value)


def test_band_sets_are_those_of_the_literature() -> None:
    edges = {name: [(band.low, band.high) for band in bands] for name, bands in BANDS.items()}
    assert edges["seed"] == [(1, 4), (4, 8), (8, 14), (14, 31), (31, 50)]
    assert edges["seed-classic"] == [(1, 3), (4, 7), (8, 13), (14, 30), (31, 50)]
    assert edges["faced"] == [(1, 4), (4, 8), (8, 14), (14, 30), (30, 47)]
    assert edges["cross-corpus"] == [(4, 8), (8, 14), (14, 31), (31, 45)]
    assert [band.name for band in BANDS["cross-corpus"]] == ["theta", "alpha", "beta", "gamma"]
    assert get_bands(BANDS["seed"]) == BANDS["seed"]


def test_bias_is_largest_for_narrow_bands_and_short_windows() -> None:
    short, long = (differential_entropy_bias(200, window=window) for window in (1, 4))
    assert (short < 0).all()
    assert (np.diff(short[[0, 1, 2, 3]]) > 0).all()
    assert (np.abs(short) > np.abs(long)).all()
    sd_short, sd_long = (differential_entropy_sd(200, window=window) for window in (1, 4))
    np.testing.assert_allclose(sd_short / sd_long, 2, rtol=0.15)
