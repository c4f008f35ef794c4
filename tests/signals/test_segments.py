"""Windows: counts against a plain loop, rounding, views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectrum.errors import ConfigError
from affectrum.signals import count_windows, segment, window_samples, window_starts


@given(
    n_samples=st.integers(0, 3000),
    sfreq=st.sampled_from([128, 200, 250, 256, 300, 500, 512, 1000, 199.5]),
    window=st.floats(0.05, 5),
    step=st.one_of(st.none(), st.floats(0.05, 5)),
)
def test_count_is_that_of_a_plain_loop(n_samples, sfreq, window, step) -> None:
    n_window, n_step = window_samples(sfreq, window, step)
    count = start = 0
    while start + n_window <= n_samples:
        count += 1
        start += n_step
    assert count_windows(n_samples, sfreq, window, step) == count
    starts = window_starts(n_samples, sfreq, window, step)
    np.testing.assert_allclose(starts * sfreq, np.arange(count) * n_step, rtol=1e-12)


def test_overlap_gives_floor_of_n_minus_w_over_h_plus_one() -> None:
    assert count_windows(2000, 200, 2, 0.5) == (2000 - 400) // 100 + 1 == 17
    assert count_windows(2099, 200, 2, 0.5) == 17
    assert count_windows(2100, 200, 2, 0.5) == 18
    assert count_windows(399, 200, 2, 0.5) == 0
    assert count_windows(400, 200, 2, 0.5) == 1
    assert count_windows(47000, 200, 1) == 235


def test_float_seconds_do_not_lose_a_window() -> None:
    # 0.1 + 0.2, 0.3 and 0.7 are no exact binary fractions
    assert window_samples(1000, 0.1 + 0.2, 0.3) == (300, 300)
    assert window_samples(10, 0.7, 0.1) == (7, 1)
    assert count_windows(2900, 1000, 2.9) == 1
    assert count_windows(1290, 1000, 1.29) == 1
    # 12.8 samples are 13, halves go up
    assert window_samples(128, 1, 0.1) == (128, 13)
    assert window_samples(125, 0.5) == (63, 63)
    np.testing.assert_allclose(window_starts(200, 128, 1, 0.1)[:3], [0, 13 / 128, 26 / 128])


def test_windows_are_a_read_only_view_of_the_right_samples() -> None:
    x = np.arange(2 * 3 * 50.0).reshape(2, 3, 50)
    windows = segment(x, 10, 2, 0.7)
    assert windows.shape == (2, 5, 3, 20)
    assert np.shares_memory(windows, x)
    assert not windows.flags.writeable
    for k in range(5):
        np.testing.assert_array_equal(windows[:, k], x[:, :, 7 * k : 7 * k + 20])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: segment(np.zeros((2, 150)), 200, 1), ["150 samples", "200 samples", "0.75 s"]),
        (lambda: segment(np.zeros(400), 200, 1), ["(..., n_channels, n_samples)", "(400,)"]),
        (lambda: count_windows(100, 200, 0), ["'window'", "0"]),
        (lambda: count_windows(100, 200, 1, -0.5), ["'step'", "-0.5"]),
        (lambda: count_windows(100, 200, 1, 0.001), ["'step'", "0.005 s"]),
        (lambda: count_windows(-1, 200, 1), ["'n_samples'", "-1"]),
        (lambda: count_windows(100, float("nan"), 1), ["'sfreq'", "nan"]),
        (lambda: count_windows(100, 200, "long"), ["'window'", "long"]),
    ],
)
def test_errors_name_what_is_wrong(call, words) -> None:
    with pytest.raises(ConfigError) as error:
        call()
    for word in words:
        assert word in str(error.value)
