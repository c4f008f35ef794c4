"""Differential entropy and band power of EEG windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.features import spectrum
from affectrum.features.bands import Band, BandsLike, get_bands
from affectrum.signals.checks import as_signal, check_sfreq, float_dtype, raise_if_not_finite
from affectrum.signals.segments import check_long_enough, window_samples

__all__ = [
    "POWER_FLOOR",
    "band_power",
    "differential_entropy",
    "differential_entropy_bias",
    "differential_entropy_sd",
]

POWER_FLOOR = 1e-30
"""Least power that the logarithm is taken of, in the signal's unit squared.

For volts it is (1 fV)², far below the noise of any amplifier. A window without any power (a flat or
padded electrode) so has the finite differential entropy -33.1 nats instead of minus infinity;
`affectrum.signals.mark_artefacts` says which windows are flat.
"""

METHODS = ("fft", "filter")
SCALES = ("nats", "seed")
_FILTER_ORDER = 4  # of the Butterworth prototype, as in signals.bandpass


def _power(
    x: ArrayLike,
    sfreq: float,
    bands: BandsLike,
    window: float,
    step: float | None,
    method: str,
) -> tuple[NDArray[np.float64], np.dtype[Any], float, tuple[Band, ...], int]:
    """Return power (..., n_channels, n_windows, n_bands), result dtype, rate, bands, window."""
    check_option("method", method, (*METHODS, "seed"))
    rate = check_sfreq(sfreq)
    chosen = get_bands(bands)
    array = as_signal(x, min_ndim=2)
    n_window, n_step = window_samples(rate, window, step)
    check_long_enough(array.shape[-1], n_window, rate)
    if method == "seed":
        power = spectrum.seed_band_psd(array, rate, chosen, n_window, n_step)
    elif method == "fft":
        power = spectrum.fft_band_power(array, rate, chosen, n_window, n_step)
    else:
        power = spectrum.filter_band_power(array, rate, chosen, n_window, n_step, _FILTER_ORDER)
    # a value that is not finite shows in the powers, which are fewer than the samples
    if not np.isfinite(power).all():
        raise_if_not_finite(array)
    return power, float_dtype(array), rate, chosen, n_window


def _finish(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return (..., n_channels, n_windows, n_bands) as (..., n_windows, n_channels, n_bands)."""
    return np.ascontiguousarray(np.swapaxes(values, -3, -2), dtype=dtype)


def band_power(
    x: ArrayLike,
    sfreq: float,
    *,
    bands: BandsLike = "seed",
    window: float = 1.0,
    step: float | None = None,
    method: str = "fft",
) -> NDArray[Any]:
    """Return the variance of each band's signal in each window.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal, finite.
    sfreq : float
        Sampling rate in Hz.
    bands, window, step, method
        As in `differential_entropy`.

    Returns
    -------
    ndarray, shape (..., n_windows, n_channels, n_bands)
        Power in the unit of `x` squared; float32 for float32 input, else float64. With
        method "fft" the powers of bands that tile 0 Hz to the Nyquist frequency (included) add up
        to the Hann-weighted variance of the window.

    Raises
    ------
    ConfigError
        As in `differential_entropy`.
    """
    check_option("method", method, METHODS)
    power, dtype, *_ = _power(x, sfreq, bands, window, step, method)
    return _finish(power, dtype)


def differential_entropy(
    x: ArrayLike,
    sfreq: float,
    *,
    bands: BandsLike = "seed",
    window: float = 1.0,
    step: float | None = None,
    method: str = "fft",
    bias_corrected: bool = False,
    scale: str = "nats",
) -> NDArray[Any]:
    """Return the differential entropy of each band's signal in each window.

    For a Gaussian band signal of variance s² it is ``0.5 * ln(2 * pi * e * s²)`` nats. The number
    depends on the unit: that of the numbers in `x` is taken. Volts are the unit of this
    package; the same signal in microvolts has a differential entropy larger by ln(10⁶) = 13.8.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal, finite, usually in volts.
    sfreq : float
        Sampling rate in Hz.
    bands : str, mapping or sequence
        A set's name ("seed", "seed-classic", "seed-vii", "faced", "cross-corpus"), a mapping from
        name to (low, high) in Hz, or bands. A band is half-open, [low, high).
    window : float
        Window length in seconds, rounded to samples.
    step : float or None
        Step in seconds; None for windows that touch and do not overlap.
    method : {"fft", "filter"}
        "fft": variance from the Hann-windowed spectrum of each window, its mean taken out,
        normalised so that all bins sum to the window's variance (Parseval). "filter": variance in
        each window of the signal filtered as a whole by zero-phase Butterworth band-passes of
        order 4.
    bias_corrected : bool
        True to take out the mean error of the logarithm for Gaussian signals (see
        `differential_entropy_bias`), which is largest for narrow bands and short windows. The
        estimates of different window lengths and bands can then be compared.
    scale : {"nats", "seed"}
        "seed": ``log2(100 * psd)`` with `psd` the mean squared magnitude of a 256-point FFT of the
        Hann-windowed samples over the bins floor(low * 256 / sfreq) - 1 to floor(high * 256 /
        sfreq) - 1, as the feature code published with SEED-VII computes it (for microvolts,
        200 Hz and 4-s windows, of which the 256 points are the first 1.28 s). Not a differential
        entropy; no affine map leads from it to nats. For comparison with shipped features only.

    Returns
    -------
    ndarray, shape (..., n_windows, n_channels, n_bands)
        Nats (or the "seed" scale); float32 for float32 input, else float64. Computed in float64
        either way. A window without power has the value of `POWER_FLOOR`.

    Raises
    ------
    ConfigError
        If a band reaches above the Nyquist frequency or holds no frequency of the window, the
        signal is shorter than a window or holds NaN or infinite values, or options contradict
        each other.

    References
    ----------
    Duan, Zhu and Lu 2013, "Differential entropy feature for EEG-based emotion classification",
    doi 10.1109/NER.2013.6695876; Shi, Jiao and Lu 2013, doi 10.1109/EMBC.2013.6611075.
    """
    check_option("scale", scale, SCALES)
    check_option("method", method, METHODS)
    if scale == "seed":
        if method != "fft" or bias_corrected:
            raise ConfigError(
                "scale='seed' is one published formula and goes only with method='fft' and "
                f"bias_corrected=False; received method={method!r}, "
                f"bias_corrected={bias_corrected!r}."
            )
        power, dtype, *_ = _power(x, sfreq, bands, window, step, "seed")
        return _finish(np.log2(100 * np.maximum(power, POWER_FLOOR)), dtype)
    power, dtype, rate, chosen, n_window = _power(x, sfreq, bands, window, step, method)
    np.maximum(power, POWER_FLOOR, out=power)
    power *= 2 * math.pi * math.e
    entropy = np.log(power, out=power)
    entropy *= 0.5
    if bias_corrected:
        entropy -= _bias(rate, chosen, n_window, method)
    return _finish(entropy, dtype)


def _moments(
    rate: float, bands: tuple[Band, ...], n_window: int, method: str
) -> list[spectrum.Moments]:
    check_option("method", method, METHODS)
    if method == "fft":
        return [spectrum.fft_moments(rate, n_window, band) for band in bands]
    return [spectrum.filter_moments(rate, n_window, band, _FILTER_ORDER) for band in bands]


def _bias(rate: float, bands: tuple[Band, ...], n_window: int, method: str) -> NDArray[np.float64]:
    moments = _moments(rate, bands, n_window, method)
    return 0.5 * np.array([part.log_bias for part in moments])


def differential_entropy_bias(
    sfreq: float, *, bands: BandsLike = "seed", window: float = 1.0, method: str = "fft"
) -> NDArray[np.float64]:
    """Return the mean error of the uncorrected estimate for Gaussian noise, flat in the band.

    The power estimate is a sum of chi-squares with nu effective degrees of freedom, nu = 2 E²/Var
    from the Hann window's correlation of neighbouring bins. The mean of its logarithm is below
    the logarithm of its mean by about ``ln(nu/2) - digamma(nu/2)`` (Welch-Satterthwaite); for
    small nu, where that is off by up to a tenth, the exact value is integrated. With method
    "fft" the bias also holds what taking the mean out costs the lowest bin, and the difference
    between the width of the band and that of its bins: the true value is that of the band [low,
    high). With method "filter" the true value is that of the filter's output.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    bands, window, method
        As in `differential_entropy`.

    Returns
    -------
    ndarray, shape (n_bands,)
        Bias in nats, mostly below 0; `differential_entropy` subtracts it if `bias_corrected`.

    Raises
    ------
    ConfigError
        As in `differential_entropy`.
    """
    rate = check_sfreq(sfreq)
    n_window, _ = window_samples(rate, window)
    return _bias(rate, get_bands(bands), n_window, method)


def differential_entropy_sd(
    sfreq: float, *, bands: BandsLike = "seed", window: float = 1.0, method: str = "fft"
) -> NDArray[np.float64]:
    """Return the standard deviation of the estimate of one window for Gaussian noise.

    About ``sqrt(trigamma(nu / 2)) / 2`` with the nu of `differential_entropy_bias`: the part of
    a feature's scatter that is no property of the brain.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    bands, window, method
        As in `differential_entropy`.

    Returns
    -------
    ndarray, shape (n_bands,)
        Standard deviation in nats.

    Raises
    ------
    ConfigError
        As in `differential_entropy`.
    """
    rate = check_sfreq(sfreq)
    n_window, _ = window_samples(rate, window)
    moments = _moments(rate, get_bands(bands), n_window, method)
    return 0.5 * np.array([part.log_sd for part in moments])
