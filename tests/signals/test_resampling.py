"""Resampling: aliasing, pass-band, a slow plain convolution as oracle, streaming."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.signals import StreamingResampler, resample
from affectrum.signals.resampling import _anti_aliasing, resampling_ratio

RATES = [128, 200, 250, 256, 300, 500, 512, 1000]
PAIRS = [(old, new) for old in RATES for new in RATES if old != new]


def tone(freq: float, sfreq: float, n_samples: int) -> np.ndarray:
    return np.cos(2 * np.pi * freq * np.arange(n_samples) / sfreq + 0.4)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_tone_in_the_pass_band_keeps_amplitude_and_phase(old, new) -> None:
    freq = 0.8 * min(old, new) / 2
    out = resample(tone(freq, old, 4 * old), old, new)
    assert out.size == 4 * new
    middle = slice(new, 3 * new)
    np.testing.assert_allclose(out[middle], tone(freq, new, 4 * new)[middle], atol=2e-4)


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_decimation_attenuates_tones_above_the_new_nyquist_frequency(old, new) -> None:
    for freq in (new / 2, new / 2 + 0.5, 0.5 * (new / 2 + old / 2), old / 2 - 0.5):
        out = resample(tone(freq, old, 4 * old), old, new)
        assert np.abs(out[new : 3 * new]).max() < 1e-4  # 80 dB


@pytest.mark.parametrize(("old", "new"), [(200, 128), (128, 200), (512, 200), (500, 250)])
def test_equals_a_plain_convolution(old, new) -> None:
    """Output m is the sum over inputs i of x_i h((m * down - i * up)), ends continued."""
    x = np.random.default_rng(0).normal(size=60)
    ratio = Fraction(new, old)
    up, down = ratio.numerator, ratio.denominator
    h, half = _anti_aliasing(up, down)
    expected = []
    for m in range(-(-x.size * up // down)):
        total = 0.0
        for i in range((m * down - half) // up - 1, (m * down + half) // up + 2):
            tap = m * down - i * up + half
            if 0 <= tap < h.size:
                total += x[min(max(i, 0), x.size - 1)] * h[tap]
        expected.append(total)
    np.testing.assert_allclose(resample(x, old, new), expected, atol=1e-13)


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_constant_stays_that_constant_up_to_the_ends(old, new) -> None:
    out = resample(np.full((2, 333), 4.2e-3), old, new)
    assert out.shape == (2, int(np.ceil(Fraction(333 * new, old))))
    np.testing.assert_allclose(out, 4.2e-3, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 700), max_size=12),
    pair=st.sampled_from([*PAIRS, (200, 200), (499.5, 500)]),
    n_samples=st.integers(1, 700),
)
def test_streaming_output_is_the_offline_output(cuts, pair, n_samples) -> None:
    x = np.random.default_rng(1).normal(size=(2, n_samples)).cumsum(axis=-1)
    stream = StreamingResampler(*pair)
    pieces = [stream.process(piece) for piece in np.split(x, sorted(cuts), axis=-1)]
    out = np.concatenate([*pieces, stream.flush()], axis=-1)
    np.testing.assert_allclose(out, resample(x, *pair), rtol=0, atol=1e-12)


def test_streaming_gives_every_sample_within_its_delay() -> None:
    stream = StreamingResampler(512, 200)
    x = np.zeros((1, 512))
    given_out = sum(stream.process(x[:, [k]]).shape[-1] for k in range(512))
    # samples older than the delay are out, younger ones are not
    assert abs(given_out / 200 - (1 - stream.delay)) <= 1 / 200
    assert 0 < stream.delay < 0.25


def test_streaming_keeps_only_what_the_filter_reaches() -> None:
    stream = StreamingResampler(1000, 200)
    for _ in range(50):
        stream.process(np.zeros((2, 1000)))
    assert stream._buffer is not None
    assert stream._buffer.shape[-1] < 3 * stream._pad


def test_dtype_axes_and_equal_rates() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 400)).astype(np.float32)
    out = resample(x, 200, 128)
    assert out.dtype == np.float32
    assert out.shape == (2, 3, 256)
    np.testing.assert_allclose(out[1, 2], resample(x[1, 2].astype(float), 200, 128), atol=1e-6)
    same = resample(x, 200, 200.0)
    np.testing.assert_array_equal(same, x)
    assert not np.shares_memory(same, x)


def test_ratio_is_exact_and_its_limits_are_told() -> None:
    assert resampling_ratio(500, 128) == Fraction(32, 125)
    assert resampling_ratio(256, 499.5) == Fraction(999, 512)
    with pytest.raises(ConfigError, match=r"255\.987.*at most 2000.*nominal"):
        resampling_ratio(255.987, 200)
    with pytest.raises(ConfigError, match="'new_sfreq'"):
        resample(np.zeros((1, 10)), 200, 0)


def test_missing_values_and_misuse_are_named() -> None:
    x = np.zeros((2, 100))
    x[1, 4] = np.nan
    with pytest.raises(ConfigError, match=r"channel\(s\) 1"):
        resample(x, 200, 128)
    stream = StreamingResampler(200, 128)
    with pytest.raises(ConfigError, match="flush"):
        stream.flush()
    stream.process(np.zeros((2, 10)))
    with pytest.raises(ConfigError, match="leading axes"):
        stream.process(np.zeros((3, 10)))
