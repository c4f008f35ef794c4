"""Filters: SciPy's forward-backward filter as oracle, stability, causality, streaming."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from affectrum.errors import ConfigError
from affectrum.signals import StreamingFilter, bandpass, filter_bank, notch
from affectrum.signals.filters import butterworth_sos, notch_sos, zero_phase_padding

RATES = [128.0, 200.0, 250.0, 512.0, 1000.0]
BANDS = [(1.0, 4.0), (4.0, 8.0), (8.0, 14.0), (14.0, 31.0), (31.0, 50.0)]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def tone(freq: float, sfreq: float, seconds: float, phase: float = 0.0) -> np.ndarray:
    return np.cos(2 * np.pi * freq * np.arange(round(seconds * sfreq)) / sfreq + phase)


@pytest.mark.parametrize("sfreq", RATES)
@pytest.mark.parametrize("band", [(0.1, 45.0), (0.5, 4.0), (4.0, 45.0), (31.0, 50.0)])
@pytest.mark.parametrize("causal", [False, True])
def test_bandpass_is_stable_and_selects_its_band(sfreq, band, causal) -> None:
    sos = butterworth_sos(sfreq, *band, 4)
    poles = np.concatenate([np.roots(section[3:]) for section in sos])
    assert np.abs(poles).max() < 1
    middle = np.sqrt(band[0] * band[1])
    seconds = 40 / band[0] if band[0] < 1 else 20
    inside = bandpass(tone(middle, sfreq, seconds), sfreq, *band, causal=causal)
    rms = np.sqrt(2 * np.mean(inside[inside.size // 2 :] ** 2))
    assert rms == pytest.approx(1, abs=2e-2)
    above = min(band[1] * 1.6, sfreq / 2 - 0.5)
    outside = bandpass(tone(above, sfreq, seconds), sfreq, *band, causal=causal)
    n = outside.size
    assert np.abs(outside[n // 2 : 3 * n // 4]).max() < 0.2
    # long white noise stays bounded
    out = bandpass(noise(60 * round(sfreq)), sfreq, *band, causal=causal)
    assert np.abs(out).max() < 6


@pytest.mark.parametrize("band", BANDS)
def test_zero_phase_bandpass_is_forward_backward_filter_of_scipy(band) -> None:
    x = noise(3, 6000, seed=1).cumsum(axis=-1) + 40  # drift and offset: the hard case for edges
    sos = signal.butter(4, band, "bandpass", fs=200, output="sos")
    padding = zero_phase_padding([sos], x.shape[-1])
    expected = signal.sosfiltfilt(sos, x, padtype="odd", padlen=padding)
    got = bandpass(x, 200, *band)
    scale = x.std()
    np.testing.assert_allclose(got[:, 1000:-1000], expected[:, 1000:-1000], atol=1e-9 * scale)
    # both ends: what is left of the padding's own transient after its decay
    np.testing.assert_allclose(got, expected, atol=1e-5 * scale)


def test_zero_phase_low_and_high_pass_match_scipy() -> None:
    x = noise(2, 4000, seed=2) + 5
    for kind, low, high in (("lowpass", None, 30.0), ("highpass", 0.5, None)):
        sos = signal.butter(4, high or low, kind, fs=200, output="sos")
        expected = signal.sosfiltfilt(sos, x, padlen=zero_phase_padding([sos], 4000))
        np.testing.assert_allclose(bandpass(x, 200, low, high), expected, atol=2e-5)


def test_filter_bank_gives_every_channel_in_every_band() -> None:
    x = noise(2, 3, 4000, seed=3)
    rows = np.stack([out.copy() for out in filter_bank(x, 200, BANDS)])
    assert rows.shape == (6, 5, 4000)
    for index, band in enumerate(BANDS):
        expected = bandpass(x, 200, *band).reshape(6, 4000)
        np.testing.assert_allclose(rows[:, index, 800:-800], expected[:, 800:-800], atol=1e-6)


def test_zero_phase_keeps_the_phase_of_a_tone() -> None:
    x = tone(10, 200, 10, phase=0.7)
    out = bandpass(x, 200, 6, 16)
    np.testing.assert_allclose(out[400:-400], x[400:-400], atol=5e-3)


def test_causal_form_does_not_see_the_future() -> None:
    x = noise(2, 800)
    changed = x.copy()
    changed[:, 500:] += 100
    before, after = (bandpass(values, 200, 4, 45, causal=True) for values in (x, changed))
    np.testing.assert_array_equal(before[:, :500], after[:, :500])
    assert not np.allclose(before[:, 500:], after[:, 500:])


@pytest.mark.parametrize("causal", [False, True])
def test_an_offset_gives_no_transient(causal) -> None:
    constant = np.full((2, 1000), 4200e-6)  # the offset of a headset with DC-coupled amplifiers
    out = bandpass(constant, 128, 1, 45, causal=causal)
    assert np.abs(out).max() < 1e-12
    np.testing.assert_allclose(notch(constant, 128, 50, causal=causal), constant, rtol=1e-9)


def test_notch_takes_the_mains_out_and_leaves_its_neighbours() -> None:
    for causal in (False, True):
        mains = notch(tone(50, 200, 20), 200, 50, causal=causal)
        near = notch(tone(45, 200, 20), 200, 50, causal=causal)
        assert np.abs(mains[2000:-1000]).max() < 1e-4
        assert np.sqrt(2 * np.mean(near[1000:-1000] ** 2)) == pytest.approx(1, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 300), max_size=8),
    sfreq=st.sampled_from(RATES),
    kind=st.sampled_from(["band", "low", "high", "notch", "both"]),
)
def test_streaming_output_is_the_causal_output_bit_for_bit(cuts, sfreq, kind) -> None:
    x = noise(2, 3, 300, seed=4).cumsum(axis=-1)
    low = None if kind in ("low", "notch") else 1.0
    high = None if kind in ("high", "notch") else 40.0
    mains = 50.0 if kind in ("notch", "both") else None
    batch = x
    if low is not None or high is not None:
        batch = bandpass(batch, sfreq, low, high, causal=True)
    if mains is not None:
        batch = notch(batch, sfreq, mains, causal=True)
    stream = StreamingFilter(sfreq, low, high, notch_freq=mains)
    pieces = [stream.process(piece) for piece in np.split(x, sorted(cuts), axis=-1)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=-1), batch)
    stream.reset()
    np.testing.assert_array_equal(stream.process(x), batch)


def test_a_refused_piece_leaves_the_stream_as_it_was() -> None:
    x = noise(2, 100)
    stream = StreamingFilter(200, 1, 45)
    first = stream.process(x[:, :50])
    bad = x[:, 50:].copy()
    bad[1, 3] = np.nan
    with pytest.raises(ConfigError, match=r"1 value.*channel\(s\) 1"):
        stream.process(bad)
    with pytest.raises(ConfigError, match="leading axes"):
        stream.process(np.zeros((3, 10)))
    out = np.concatenate([first, stream.process(x[:, 50:])], axis=-1)
    np.testing.assert_array_equal(out, bandpass(x, 200, 1, 45, causal=True))


def test_float32_is_filtered_in_float64_and_returned_as_float32() -> None:
    x = (noise(2, 2000) + 1000).astype(np.float32)
    out = bandpass(x, 200, 1, 45)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, bandpass(x.astype(np.float64), 200, 1, 45), rtol=1e-6)
    assert bandpass(np.arange(300), 200, 1, 45).dtype == np.float64
    assert StreamingFilter(200, 1, 45).process(x).dtype == np.float32


@pytest.mark.parametrize("n_samples", [1, 2, 7])
def test_signals_shorter_than_the_padding_are_filtered(n_samples) -> None:
    for causal in (False, True):
        out = bandpass(noise(2, n_samples), 200, 1, 45, causal=causal)
        assert out.shape == (2, n_samples)
        assert np.isfinite(out).all()


def test_designs_are_made_once_and_cannot_be_changed() -> None:
    bandpass(np.zeros((1, 100)), 201, 3, 33)
    misses = butterworth_sos.cache_info().misses
    bandpass(np.ones((1, 100)), 201, 3, 33, causal=True)
    assert butterworth_sos.cache_info().misses == misses
    assert not butterworth_sos(201.0, 3.0, 33.0, 4).flags.writeable
    assert not notch_sos(200.0, 50.0, 30.0).flags.writeable


def test_input_is_not_changed() -> None:
    x = noise(2, 500)
    copy = x.copy()
    bandpass(x, 200, 1, 45)
    notch(x, 200)
    np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: bandpass(x, 128, 1, 64), ["'high'", "64 Hz", "Nyquist", "128"]),
        (lambda x: bandpass(x, 200, 20, 10), ["'low' must be below 'high'", "20", "10"]),
        (lambda x: bandpass(x, 200, 0, 300), ["'low'", "'high'", "300"]),
        (lambda x: bandpass(x, 200, None, None), ["both None"]),
        (lambda x: bandpass(x, -1, 1, 4), ["'sfreq'", "-1"]),
        (lambda x: bandpass(x, 200, 1, 4, order=0), ["'order'", "0"]),
        (lambda x: notch(x, 100, 50), ["'freq'", "50 Hz", "Nyquist"]),
        (lambda x: notch(x, 200, 50, quality=0), ["'quality'"]),
        (lambda x: bandpass(x[:, :0], 200, 1, 4), ["no samples", "(2, 0)"]),
        (lambda x: bandpass(x.astype(complex), 200, 1, 4), ["complex"]),
        (lambda x: filter_bank(x, 100, [(31, 50)]), ["'high'", "Nyquist"]),
        (lambda x: StreamingFilter(200), ["StreamingFilter", "notch_freq"]),
    ],
)
def test_errors_name_what_is_wrong(call, words) -> None:
    with pytest.raises(ConfigError) as error:
        call(noise(2, 400))
    for word in words:
        assert word in str(error.value)


def test_missing_values_are_named() -> None:
    x = noise(4, 400)
    x[2, 17] = np.nan
    x[3, 5] = np.inf
    with pytest.raises(ConfigError, match=r"'x' holds 2 value\(s\).*channel\(s\) 2, 3.*\(2, 17\)"):
        bandpass(x, 200, 1, 45)
