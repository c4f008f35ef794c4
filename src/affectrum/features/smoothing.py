"""Smoothing of features over the windows of a trial: linear dynamical system, moving average."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError
from affectrum.signals.checks import float_dtype

__all__ = ["OnlineLDS", "OnlineMovingAverage", "moving_average", "smooth_lds"]

# The settings of the feature code published with SEED-VII
TRANSITION_COV = 0.001
OBSERVATION_COV = 1.0
INITIAL_COV = 0.1


def _check_cov(**values: float) -> None:
    faults = [
        f"{name!r} must be {'a number from 0' if name != 'observation_cov' else 'above 0'}; "
        f"received {value!r}"
        for name, value in values.items()
        if not (math.isfinite(value) and value >= 0) or (name == "observation_cov" and value == 0)
    ]
    if faults:
        raise ConfigError("The linear dynamical system can't be built: " + "; ".join(faults) + ".")


def _as_series(x: ArrayLike, axis: int) -> tuple[NDArray[np.float64], np.dtype[Any]]:
    array = np.asarray(x)
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise ConfigError(
            f"'x' must be an array of real numbers with a windows axis; received dtype "
            f"{array.dtype}, shape {array.shape}."
        )
    if not -array.ndim <= axis < array.ndim:
        raise ConfigError(f"'axis' {axis} is not an axis of 'x', whose shape is {array.shape}.")
    if np.isinf(array).any():
        raise ConfigError(
            "'x' holds infinite values; only finite values and NaN (a missing window) are allowed."
        )
    series = np.moveaxis(array, axis, 0).astype(np.float64, order="C")
    return series, float_dtype(array)


def smooth_lds(
    x: ArrayLike,
    *,
    causal: bool = False,
    transition_cov: float = TRANSITION_COV,
    observation_cov: float = OBSERVATION_COV,
    initial_cov: float = INITIAL_COV,
    initial_mean: ArrayLike | None = None,
    axis: int = 0,
) -> NDArray[Any]:
    """Smooth features over time with a linear dynamical system.

    Each feature by itself is a random walk seen through noise: z_1 ~ N(initial_mean,
    initial_cov), z_t = z_{t-1} + N(0, transition_cov), x_t = z_t + N(0, observation_cov). The
    result is the mean of z_t given the whole trial (Kalman filter, then Rauch-Tung-Striebel
    smoother), or given x_1 ... x_t if `causal`.

    Parameters
    ----------
    x : ndarray, shape (n_windows, ...)
        Features of one trial in order of time. NaN is a missing window: the state goes on
        without an observation. A feature that is missing throughout stays NaN.
    causal : bool
        True to use only the past. False uses the whole trial, which a live system can't.
    transition_cov, observation_cov, initial_cov : float
        Variances, in the unit of `x` squared. The defaults are those of the feature code
        published with SEED-VII.
    initial_mean : ndarray, shape (...), or None
        Mean of the state at the first window. None: the time mean (SEED-VII), or if `causal` the
        first value that is not missing, since a time mean would know the future.
    axis : int
        The windows axis; -3 for the features of a batch, (..., n_windows, n_channels, n_bands).

    Returns
    -------
    ndarray, shape of `x`
        Smoothed features; float32 for float32 input, else float64.

    Raises
    ------
    ConfigError
        If a variance is negative or `x` holds infinite values.

    See Also
    --------
    OnlineLDS : the causal form, window by window.

    References
    ----------
    Shi and Lu 2010, "Off-line and on-line vigilance estimation based on linear dynamical system
    and manifold learning", 32nd annual conference of the IEEE EMBS.
    Rauch, Tung and Striebel 1965, doi 10.2514/3.3166.
    """
    _check_cov(
        transition_cov=transition_cov, observation_cov=observation_cov, initial_cov=initial_cov
    )
    series, dtype = _as_series(x, axis)
    if series.shape[0] == 0:
        return np.asarray(x).astype(dtype)
    missing = np.isnan(series)
    missing_or_none = missing if missing.any() else None
    if initial_mean is not None:
        start = np.broadcast_to(np.asarray(initial_mean, dtype=np.float64), series.shape[1:])
    elif causal:
        start = _first_value(series, missing_or_none)
    else:
        start = _time_mean(series, missing_or_none)
    means, variances = _kalman(
        series, missing_or_none, start, transition_cov, observation_cov, initial_cov
    )
    if not causal:
        _rauch_tung_striebel(means, variances, transition_cov)
    if missing_or_none is not None:
        means[:, missing.all(axis=0)] = np.nan
    return np.moveaxis(means, 0, axis).astype(dtype, copy=False)


def _time_mean(
    series: NDArray[np.float64], missing: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    if missing is None:
        return np.asarray(series.mean(axis=0))
    count = np.maximum((~missing).sum(axis=0), 1)
    return np.asarray(np.where(missing, 0.0, series).sum(axis=0) / count)


def _first_value(
    series: NDArray[np.float64], missing: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    if missing is None:
        return np.asarray(series[0].copy())
    first = np.argmin(missing, axis=0)
    value = np.take_along_axis(series, first[None], axis=0)[0]
    return np.asarray(np.where(np.isnan(value), 0.0, value))


def _kalman(
    series: NDArray[np.float64],
    missing: NDArray[np.bool_] | None,
    start: NDArray[np.float64],
    transition_cov: float,
    observation_cov: float,
    initial_cov: float,
) -> tuple[NDArray[np.float64], list[Any]]:
    """Return filtered means (n_windows, ...) and variances, one per window.

    The variances depend on the data only through what is missing: without gaps they are one
    number per window for all features.
    """
    means = np.empty_like(series)
    variances: list[Any] = []
    mean: NDArray[np.float64] = start
    predicted: Any = initial_cov if missing is None else np.full(series.shape[1:], initial_cov)
    for t in range(series.shape[0]):
        gain = predicted / (predicted + observation_cov)
        if missing is None:
            mean = mean + gain * (series[t] - mean)
        else:
            gain = np.where(missing[t], 0.0, gain)
            mean = mean + gain * np.where(missing[t], 0.0, series[t] - mean)
        means[t] = mean
        variance = (1 - gain) * predicted
        variances.append(variance)
        predicted = variance + transition_cov
    return means, variances


def _rauch_tung_striebel(
    means: NDArray[np.float64], variances: list[Any], transition_cov: float
) -> None:
    """Turn filtered means into smoothed ones, in place, from the last window back."""
    for t in range(means.shape[0] - 2, -1, -1):
        predicted = variances[t] + transition_cov
        # both variances 0: the state is known and does not move
        gain = np.divide(
            variances[t], predicted, out=np.zeros_like(predicted), where=np.asarray(predicted > 0)
        )
        means[t] += gain * (means[t + 1] - means[t])


class OnlineLDS:
    """The causal linear dynamical system for features that arrive window by window.

    Its output is that of ``smooth_lds(x, causal=True)``. The first value that is not missing is
    the initial mean of a feature unless one is given.

    Parameters
    ----------
    transition_cov, observation_cov, initial_cov : float
        Variances as in `smooth_lds`.
    initial_mean : ndarray, shape (...), or None
        Mean of the state at the first window.

    Raises
    ------
    ConfigError
        If a variance is negative.
    """

    def __init__(
        self,
        *,
        transition_cov: float = TRANSITION_COV,
        observation_cov: float = OBSERVATION_COV,
        initial_cov: float = INITIAL_COV,
        initial_mean: ArrayLike | None = None,
    ) -> None:
        _check_cov(
            transition_cov=transition_cov, observation_cov=observation_cov, initial_cov=initial_cov
        )
        self.transition_cov = float(transition_cov)
        self.observation_cov = float(observation_cov)
        self.initial_cov = float(initial_cov)
        self.initial_mean = initial_mean
        self.reset()

    def reset(self) -> None:
        """Forget the windows so far; the next one starts a new trial."""
        self._mean: NDArray[np.float64] | None = None
        self._predicted: NDArray[np.float64] | None = None
        self._seen: NDArray[np.bool_] | None = None

    def update(self, window: ArrayLike) -> NDArray[Any]:
        """Take the features of the next window and return their smoothed values.

        Parameters
        ----------
        window : ndarray, shape (...)
            Features of one window, for example (n_channels, n_bands). NaN is missing.

        Returns
        -------
        ndarray, shape (...)
            Smoothed features; NaN until a feature's first value. float32 for float32 input.

        Raises
        ------
        ConfigError
            If the shape changed or values are infinite.
        """
        series, dtype = _as_series(np.asarray(window)[None], 0)
        value = series[0]
        missing = np.isnan(value)
        if self._mean is None or self._predicted is None or self._seen is None:
            given = self.initial_mean
            self._mean = (
                np.zeros(value.shape)
                if given is None
                else np.array(np.broadcast_to(np.asarray(given, dtype=np.float64), value.shape))
            )
            self._predicted = np.full(value.shape, self.initial_cov)
            self._seen = np.zeros(value.shape, dtype=bool)
        elif value.shape != self._mean.shape:
            raise ConfigError(
                f"The window has the shape {value.shape}, earlier ones had {self._mean.shape}. "
                "Call reset() before another trial."
            )
        if self.initial_mean is None:
            self._mean = np.where(~self._seen & ~missing, value, self._mean)
        self._seen = self._seen | ~missing
        gain = np.where(missing, 0.0, self._predicted / (self._predicted + self.observation_cov))
        self._mean = self._mean + gain * np.where(missing, 0.0, value - self._mean)
        self._predicted = (1 - gain) * self._predicted + self.transition_cov
        return np.asarray(np.where(self._seen, self._mean, np.nan), dtype=dtype)

    def process(self, windows: ArrayLike) -> NDArray[Any]:
        """Take several windows, shape (n_windows, ...), and return their smoothed values."""
        array = np.asarray(windows)
        if array.shape[0] == 0:
            return array.astype(float_dtype(array))
        return np.stack([self.update(window) for window in array])


def _check_length(length: int) -> int:
    if isinstance(length, bool) or length != int(length) or length < 1:
        raise ConfigError(
            f"'length' must be a whole number of windows from 1; received {length!r}."
        )
    return int(length)


def moving_average(
    x: ArrayLike, length: int, causal: bool = False, *, axis: int = 0
) -> NDArray[Any]:
    """Average features over neighbouring windows.

    Parameters
    ----------
    x : ndarray, shape (n_windows, ...)
        Features of one trial in order of time. NaN is a missing window and takes no part.
    length : int
        Number of windows averaged. Centred: from t - length // 2 to t + (length - 1) // 2, which
        is symmetric for an odd length.
    causal : bool
        True for the last `length` windows, t - length + 1 to t.
    axis : int
        The windows axis.

    Returns
    -------
    ndarray, shape of `x`
        Averages of the windows that exist: at the ends of the trial fewer than `length` are
        averaged, none are made up. NaN where all of them are missing. float32 for float32
        input, else float64.

    Raises
    ------
    ConfigError
        If `length` is not a whole number from 1 or `x` holds infinite values.
    """
    n_average = _check_length(length)
    series, dtype = _as_series(x, axis)
    n_windows = series.shape[0]
    present = ~np.isnan(series)
    before = n_average - 1 if causal else n_average // 2
    after = 0 if causal else (n_average - 1) // 2
    values = np.where(present, series, 0.0)
    total, count = np.zeros_like(series), np.zeros(series.shape, dtype=np.int64)
    # One pass per averaged window, oldest first: cumulative sums would be quicker for long
    # averages but lose digits, and let later windows change earlier results in the last digit.
    for shift in range(-min(before, n_windows - 1), min(after, n_windows - 1) + 1):
        to = slice(max(-shift, 0), n_windows - max(shift, 0))
        source = slice(max(shift, 0), n_windows - max(-shift, 0))
        total[to] += values[source]
        count[to] += present[source]
    out = np.divide(total, count, out=np.full(series.shape, np.nan), where=count > 0)
    return np.asarray(np.moveaxis(out, 0, axis), dtype=dtype)


class OnlineMovingAverage:
    """The causal moving average for features that arrive window by window.

    Parameters
    ----------
    length : int
        Number of windows averaged, as in `moving_average` with ``causal=True``.

    Raises
    ------
    ConfigError
        If `length` is not a whole number from 1.
    """

    def __init__(self, length: int) -> None:
        self.length = _check_length(length)
        self.reset()

    def reset(self) -> None:
        """Forget the windows so far."""
        self._last: list[NDArray[np.float64]] = []

    def update(self, window: ArrayLike) -> NDArray[Any]:
        """Take the features of the next window, shape (...), and return the average.

        NaN is missing; a feature missing in all averaged windows is NaN. Raises ConfigError if
        the shape changed or values are infinite.
        """
        series, dtype = _as_series(np.asarray(window)[None], 0)
        if self._last and self._last[0].shape != series[0].shape:
            raise ConfigError(
                f"The window has the shape {series[0].shape}, earlier ones had "
                f"{self._last[0].shape}. Call reset() before another trial."
            )
        self._last = [*self._last, series[0]][-self.length :]
        total, count = np.zeros(series[0].shape), np.zeros(series[0].shape, dtype=np.int64)
        for values in self._last:
            present = ~np.isnan(values)
            total += np.where(present, values, 0.0)
            count += present
        out = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return np.asarray(out, dtype=dtype)
