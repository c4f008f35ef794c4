"""Checks of signals and rates that the functions of this room and of `features` share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError

__all__ = ["as_float64", "as_signal", "check_sfreq", "float_dtype", "raise_if_not_finite"]


def check_sfreq(sfreq: float, name: str = "sfreq") -> float:
    """Return `sfreq` as a float; raise ConfigError unless it is a finite number above 0."""
    try:
        value = float(sfreq)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(
            f"{name!r} must be a sampling rate above 0 in Hz; received {sfreq!r}. "
            "Pass the rate of the recording."
        )
    return value


def float_dtype(x: NDArray[Any]) -> np.dtype[Any]:
    """Return the dtype of results for the input `x`: float32 stays float32, else float64."""
    return np.dtype(np.float32) if x.dtype == np.float32 else np.dtype(np.float64)


def as_signal(x: ArrayLike, name: str = "x", *, min_ndim: int = 1) -> NDArray[Any]:
    """Return `x` as a real array whose last axis is time; raise ConfigError otherwise."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise ConfigError(
            f"{name!r} must be an array of real numbers; received dtype {array.dtype}. "
            "Convert it to float64 first."
        )
    if array.ndim < min_ndim:
        axes = "(..., n_channels, n_samples)" if min_ndim == 2 else "(..., n_samples)"
        raise ConfigError(
            f"{name!r} must have the axes {axes}; received shape {array.shape}. "
            "Add the missing axis, for one channel as x[None, :]."
        )
    if array.shape[-1] == 0:
        raise ConfigError(
            f"{name!r} has no samples: its shape is {array.shape}. Pass at least one sample."
        )
    return array


def raise_if_not_finite(x: NDArray[Any], name: str = "x") -> None:
    """Raise ConfigError naming where `x` holds NaN or infinite values, if it does.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal.
    name : str
        The parameter's name, for the message.
    """
    # the sum is finite unless a value is not (or the sum overflows): one pass, no mask in memory
    with np.errstate(over="ignore", invalid="ignore"):
        if math.isfinite(float(np.sum(x, dtype=np.float64))):
            return
    bad = ~np.isfinite(x)
    n_bad = int(np.count_nonzero(bad))
    if not n_bad:
        return
    first = tuple(int(index) for index in np.argwhere(bad)[0])
    where = ""
    if x.ndim >= 2:
        rows = np.flatnonzero(bad.any(axis=-1).reshape(-1, x.shape[-2]).any(axis=0))
        listed = ", ".join(str(int(row)) for row in rows[:8]) + (" ..." if rows.size > 8 else "")
        where = f" in channel(s) {listed}"
    raise ConfigError(
        f"{name!r} holds {n_bad} value(s) that are NaN or infinite{where}, the first at index "
        f"{first}. Every sample must be finite here: cut the gap out, interpolate it, or leave "
        "the channel out."
    )


def as_float64(x: ArrayLike, name: str = "x", *, min_ndim: int = 1) -> NDArray[np.float64]:
    """Return `x` as finite float64 with time last; raise ConfigError otherwise."""
    array = as_signal(x, name, min_ndim=min_ndim)
    raise_if_not_finite(array, name)
    return array.astype(np.float64, copy=False)
