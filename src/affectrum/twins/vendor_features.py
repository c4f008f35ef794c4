"""The features that SEED and SEED-IV ship, computed on their own scale.

``psd`` is the mean of the squared modulus of a Hann-windowed FFT over a band, ``de`` is
``log2(100 * psd)``: the published code of the SEED-VII authors (window 4 s, 256 points of the FFT,
200 Hz). The window length of the moving average and the pairs of DASM, RASM and DCAU are not
documented by the vendor; those used here are ours.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEATURE_BANDS", "lds_smooth", "moving_average", "spectral_features", "trial_features"]

FloatArray = NDArray[np.float64]

FEATURE_BANDS = ((1.0, 4.0), (4.0, 8.0), (8.0, 14.0), (14.0, 31.0), (31.0, 50.0))
_MOVING_AVERAGE = 5  # windows; not documented by the vendor


def spectral_features(
    x: FloatArray, sfreq: float, window_s: float, n_windows: int
) -> tuple[FloatArray, FloatArray]:
    """Band powers and differential entropy of consecutive windows.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Microvolts.
    sfreq : float
        Sampling rate in Hz.
    window_s : float
        Window length in seconds, no overlap.
    n_windows : int
        Number of windows.

    Returns
    -------
    de, psd : ndarray, shape (n_channels, n_windows, 5)
        On the vendor's scale.
    """
    length = round(window_s * sfreq)
    windows = x[:, : n_windows * length].reshape(x.shape[0], n_windows, length)
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(length), axis=2)) ** 2
    frequencies = np.fft.rfftfreq(length, 1.0 / sfreq)
    psd = np.stack(
        [
            spectrum[:, :, (frequencies >= low) & (frequencies < high)].mean(axis=2)
            for low, high in FEATURE_BANDS
        ],
        axis=2,
    )
    return np.log2(100.0 * psd), psd


def moving_average(x: FloatArray) -> FloatArray:
    """Centred moving average over windows (axis 1), shorter at the ends."""
    half = _MOVING_AVERAGE // 2
    summed = np.concatenate([np.zeros_like(x[:, :1]), np.cumsum(x, axis=1)], axis=1)
    index = np.arange(x.shape[1])
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, x.shape[1])
    return np.asarray((summed[:, high] - summed[:, low]) / (high - low)[None, :, None])


@lru_cache(maxsize=256)
def _lds_matrix(n_windows: int) -> FloatArray:
    """Matrix of the fixed-interval smoother, transition 0.001, observation 1, prior 0.1.

    The smoothed mean of a linear-Gaussian model is the solution of a tridiagonal system; applied
    to deviations from the prior mean it is one matrix for all channels and bands.
    """
    q, r, p0 = 0.001, 1.0, 0.1
    precision = np.eye(n_windows) / r
    precision[0, 0] += 1.0 / p0
    for k in range(n_windows - 1):
        precision[k, k] += 1.0 / q
        precision[k + 1, k + 1] += 1.0 / q
        precision[k, k + 1] -= 1.0 / q
        precision[k + 1, k] -= 1.0 / q
    return np.asarray(np.linalg.inv(precision) / r)


def lds_smooth(x: FloatArray) -> FloatArray:
    """Smooth over windows (axis 1) with a linear dynamical system, prior mean the time mean."""
    mean = x.mean(axis=1, keepdims=True)
    return np.asarray(mean + np.einsum("uv,cvb->cub", _lds_matrix(x.shape[1]), x - mean))


def trial_features(
    x: FloatArray,
    sfreq: float,
    window_s: float,
    n_windows: int,
    names: tuple[str, ...],
    pairs: tuple[tuple[int, int], ...],
    frontal_posterior: tuple[tuple[int, int], ...],
) -> dict[str, FloatArray]:
    """All shipped features of a trial.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Microvolts.
    sfreq, window_s : float
        Sampling rate in Hz, window in s.
    n_windows : int
        Number of windows.
    names : tuple of str
        Which ones, for example ``"de_LDS"``, in file order.
    pairs : tuple of (int, int)
        Left and right rows for DASM and RASM.
    frontal_posterior : tuple of (int, int)
        Frontal and posterior rows for DCAU.

    Returns
    -------
    dict of str to ndarray, shape (n_rows, n_windows, 5)
        In the order of `names`.
    """
    de, psd = spectral_features(x, sfreq, window_s, n_windows)
    left, right = (list(side) for side in zip(*pairs, strict=True))
    front, back = (list(side) for side in zip(*frontal_posterior, strict=True))
    out: dict[str, FloatArray] = {}
    for name in names:
        kind, smoothing = name.split("_")
        smooth = moving_average if smoothing == "movingAve" else lds_smooth
        if kind == "psd":
            out[name] = smooth(psd)
            continue
        value = smooth(de)
        difference, ratio = value[left] - value[right], value[left] / value[right]
        out[name] = {
            "de": value,
            "dasm": difference,
            "rasm": ratio,
            "asm": np.concatenate([difference, ratio]),
            "dcau": value[front] - value[back],
        }[kind]
    return out
