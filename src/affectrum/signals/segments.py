"""Windows of a signal as stride views, and how many there are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError
from affectrum.signals.checks import as_signal, check_sfreq

__all__ = ["count_windows", "segment", "window_samples", "window_starts"]


def _to_samples(seconds: float, sfreq: float, name: str) -> int:
    try:
        value = float(seconds)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name!r} must be a time above 0 in seconds; received {seconds!r}.")
    # halves go up; round() to 9 digits first, so that 0.3 s at 500 Hz is 150 and not 149.99…
    samples = math.floor(round(value * sfreq, 9) + 0.5)
    if samples < 1:
        raise ConfigError(
            f"{name!r} of {value:g} s is shorter than half a sample at {sfreq:g} Hz. "
            f"Use at least {1 / sfreq:g} s."
        )
    return samples


def window_samples(sfreq: float, window: float, step: float | None = None) -> tuple[int, int]:
    """Return window length and step in samples.

    Both are rounded to the nearest sample, halves up, once: windows are equally long and equally
    spaced. Where a time is not a whole number of samples the spacing is therefore the rounded
    one. A step of 0.1 s at 128 Hz (12.8 samples) is 13 samples, so windows start every
    0.1015625 s; `window_starts` gives the times that hold.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    window : float
        Window length in seconds.
    step : float or None
        Time between the starts of neighbouring windows in seconds; None for no overlap.

    Returns
    -------
    n_window, n_step : int
        Window length and step in samples, each at least 1.

    Raises
    ------
    ConfigError
        If a time is not above 0 or rounds to no sample.
    """
    rate = check_sfreq(sfreq)
    n_window = _to_samples(window, rate, "window")
    n_step = n_window if step is None else _to_samples(step, rate, "step")
    return n_window, n_step


def count_windows(n_samples: int, sfreq: float, window: float, step: float | None = None) -> int:
    """Return the number of whole windows, ``floor((N - w) / h) + 1`` in samples, or 0.

    Parameters
    ----------
    n_samples : int
        Length of the signal, N.
    sfreq : float
        Sampling rate in Hz.
    window, step : float
        Window length and step in seconds, rounded as in `window_samples` to w and h.

    Returns
    -------
    int
        Number of windows; samples after the last whole window belong to none.

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """
    n_window, n_step = window_samples(sfreq, window, step)
    if n_samples < 0 or n_samples != int(n_samples):
        raise ConfigError(f"'n_samples' must be a whole number from 0; received {n_samples!r}.")
    if n_samples < n_window:
        return 0
    return (int(n_samples) - n_window) // n_step + 1


def window_starts(
    n_samples: int, sfreq: float, window: float, step: float | None = None
) -> NDArray[np.float64]:
    """Return where each window starts, in seconds from the first sample.

    Parameters
    ----------
    n_samples : int
        Length of the signal.
    sfreq : float
        Sampling rate in Hz.
    window, step : float
        Window length and step in seconds.

    Returns
    -------
    ndarray, shape (n_windows,)
        Start times in seconds: multiples of the step in whole samples over `sfreq`.
    """
    _, n_step = window_samples(sfreq, window, step)
    count = count_windows(n_samples, sfreq, window, step)
    return np.arange(count) * n_step / float(sfreq)


def segment(x: ArrayLike, sfreq: float, window: float, step: float | None = None) -> NDArray[Any]:
    """Cut a signal into windows without copying it.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal.
    sfreq : float
        Sampling rate in Hz.
    window : float
        Window length in seconds, rounded to samples as in `window_samples`.
    step : float or None
        Step in seconds; None for windows that touch and do not overlap.

    Returns
    -------
    ndarray, shape (..., n_windows, n_channels, n_window_samples)
        Read-only view of `x`. Copy it before changing values.

    Raises
    ------
    ConfigError
        If the signal is shorter than one window or a parameter is out of range.
    """
    array = as_signal(x, min_ndim=2)
    n_window, n_step = window_samples(sfreq, window, step)
    check_long_enough(array.shape[-1], n_window, sfreq)
    view = np.lib.stride_tricks.sliding_window_view(array, n_window, axis=-1)
    return np.moveaxis(view[..., ::n_step, :], -2, -3)


def check_long_enough(n_samples: int, n_window: int, sfreq: float) -> None:
    """Raise ConfigError if a signal of `n_samples` holds no whole window."""
    if n_samples < n_window:
        raise ConfigError(
            f"The signal of {n_samples} samples ({n_samples / sfreq:g} s at {sfreq:g} Hz) is "
            f"shorter than one window of {n_window} samples ({n_window / sfreq:g} s). Use a "
            "shorter 'window' or leave this trial out."
        )
