"""Numbers that name a signal whatever was done to its scale: copies under another identity.

A copy is rarely bit-equal: one file holds volts, another microvolts; one was standardised, the
other was not. `likeness_hashes` is blind to unit and offset of a window, `trial_hashes` to a
scaling of each feature over a trial. Both round, so that float32 does not matter; of the windows
of a copy about one in a thousand falls across an edge of the rounding and is missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affectrum.protocols.identity import mix64

if TYPE_CHECKING:
    from affectrum.windows.lazy import LazyRows

__all__ = ["likeness_hashes", "trial_contents", "trial_hashes"]

# Directions that a standardised window is projected on, and the width of a rounding step: two
# unrelated windows agree in all of them with a chance of about (0.0003)**6.
_DIRECTIONS = 6
_STEP = 1e-3
_BLOCK_VALUES = 2_000_000
# Fewer values (windows of a trial) than this have no shape of their own.
_MIN_VALUES = 6
_MIN_WINDOWS = 4
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _uniform(n: int, first: int) -> NDArray[np.float64]:
    """Fixed numbers with mean 0 and variance 1, the same on every machine."""
    bits = mix64(np.arange(first, first + n, dtype=np.uint64) * _GOLDEN)
    share = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return np.asarray((share - 0.5) * np.sqrt(12.0), dtype=np.float64)


def _rounded(projected: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Hash rows of projections after rounding; 0 where there is nothing to recognise."""
    steps = np.floor(np.where(usable[:, None], projected, 0.0) / _STEP).astype(np.int64)
    code = np.zeros(len(steps), dtype=np.uint64)
    for column in steps.T:
        code = mix64(code * _GOLDEN + column.astype(np.uint64) + np.uint64(1))
    code[code == 0] = 1
    return np.where(usable, code, np.uint64(0))


def likeness_hashes(x: NDArray[np.float32] | LazyRows) -> NDArray[np.uint64]:
    """Name each window by its shape, blind to one factor and one offset for the whole window.

    Parameters
    ----------
    x : ndarray, shape (n_windows, ...)
        The values; read in blocks.

    Returns
    -------
    ndarray of uint64, shape (n_windows,)
        0 for windows that are flat, hold no number, or have fewer than 6 values.
    """
    n, size = len(x), int(np.prod(x.shape[1:]))
    out = np.zeros(n, dtype=np.uint64)
    if not n or size < _MIN_VALUES:
        return out
    directions = _uniform(size * _DIRECTIONS, 1).reshape(size, _DIRECTIONS) / np.sqrt(size)
    block = max(1, _BLOCK_VALUES // size)
    for start in range(0, n, block):
        values = np.asarray(x[start : start + block], dtype=np.float64).reshape(-1, size)
        finite = np.asarray(np.isfinite(values).all(axis=1), dtype=np.bool_)
        values = np.where(finite[:, None], values, 0.0)
        size_of = np.abs(values).max(axis=1)
        values = values - values.mean(axis=1, keepdims=True)
        spread = values.std(axis=1)
        usable: NDArray[np.bool_] = np.asarray(finite & (spread > 1e-5 * size_of), dtype=np.bool_)
        values /= np.where(usable, spread, 1.0)[:, None]
        out[start : start + len(values)] = _rounded(values @ directions, usable)
    return out


def trial_contents(content: NDArray[np.uint64], codes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Name each window's trial by the contents of all its windows.

    Parameters
    ----------
    content : ndarray of uint64, shape (n,)
        From `identity.content_hashes`.
    codes : ndarray of int64, shape (n,)
        Trial of each window, from 0.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The same for all windows of a trial; 0 where none of them varies.
    """
    n_trials = int(codes.max()) + 1 if len(codes) else 0
    sums = np.zeros(n_trials, dtype=np.uint64)
    varies = np.zeros(n_trials, dtype=bool)
    np.add.at(sums, codes, mix64(content + _GOLDEN))
    varies[codes[content != 0]] = True
    named = mix64(sums)
    named[named == 0] = 1
    return np.where(varies, named, np.uint64(0))[codes]


def trial_hashes(x: NDArray[np.float32] | LazyRows, codes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Name each window's trial by its course, blind to factor and offset of each feature.

    Parameters
    ----------
    x : ndarray, shape (n_windows, n_channels, n_features)
        The values, windows of a trial in order.
    codes : ndarray of int64, shape (n_windows,)
        Trial of each window, from 0.

    Returns
    -------
    ndarray of uint64, shape (n_windows,)
        The same for all windows of a trial; 0 for trials of fewer than 4 windows, or in which
        fewer than 6 features vary.
    """
    n, size = len(x), int(np.prod(x.shape[1:]))
    if not n or size < _MIN_VALUES:
        return np.zeros(n, dtype=np.uint64)
    n_trials = int(codes.max()) + 1
    directions = _uniform(size * _DIRECTIONS, 1).reshape(size, _DIRECTIONS)
    order = np.argsort(codes, kind="stable")
    stops = np.cumsum(np.bincount(codes, minlength=n_trials))
    projected = np.zeros((n_trials, _DIRECTIONS))
    usable = np.zeros(n_trials, dtype=bool)
    for number, stop in enumerate(stops):
        rows = order[(stops[number - 1] if number else 0) : stop]
        if len(rows) < _MIN_WINDOWS:
            continue
        values = np.asarray(x[rows], dtype=np.float64).reshape(len(rows), size)
        values = values[np.isfinite(values).all(axis=1)]
        if len(values) < _MIN_WINDOWS:
            continue
        size_of = np.abs(values).max(axis=0)
        values = values - values.mean(axis=0)
        spread = values.std(axis=0)
        varies = np.asarray(spread > 1e-5 * size_of, dtype=np.bool_)
        if varies.sum() < _MIN_VALUES:
            continue
        values = np.where(varies, values / np.where(varies, spread, 1.0), 0.0)
        weights = _uniform(len(values), 7_000_001)
        scale = np.sqrt(len(values) * varies.sum())
        projected[number] = weights @ values @ directions / scale
        usable[number] = True
    return _rounded(projected, usable)[codes]
