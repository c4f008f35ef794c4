"""Band power by FFT and by filter bank, and how its estimate scatters.

Power spectrum of one window of n samples x, with the periodic Hann window w::

    P_k = c_k |sum_t w_t (x_t - mean(x)) exp(-2 pi i k t / n)|^2 / (n sum_t w_t^2)

with c_k = 2, but 1 at 0 Hz and at the Nyquist frequency. By Parseval's identity the sum over all
k is the window-weighted variance ``sum (w (x - mean))^2 / sum w^2``. A bin belongs to the band
whose half-open interval [low, high) holds its frequency k * sfreq / n, so adjacent bands share no
bin and the powers of bands that tile the axis add up. The mean is taken out because the offset of
a recording is often a thousand times the signal and the Hann window would leak it into bin 1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.features.bands import Band
from affectrum.signals.filters import butterworth_sos, filter_bank

# Samples of a block: its arrays stay in a core's cache, and hour-long recordings need no more
# memory than short ones.
_BLOCK = 2**16


def band_bins(sfreq: float, n_window: int, band: Band) -> tuple[int, int]:
    """Return the band's FFT bins as [start, stop); 1e-9 of a bin absorbs rounding of the edges."""
    start = math.ceil(band.low * n_window / sfreq - 1e-9)
    stop = math.ceil(band.high * n_window / sfreq - 1e-9)
    return start, min(stop, n_window // 2 + 1)


def check_bands(sfreq: float, n_window: int, bands: tuple[Band, ...]) -> None:
    """Raise ConfigError naming all bands above Nyquist or too narrow for the window."""
    problems = []
    for band in bands:
        start, stop = band_bins(sfreq, n_window, band)
        if band.high > sfreq / 2 + 1e-9:
            problems.append(
                f"{band.name} ({band.low:g}-{band.high:g} Hz) reaches above the Nyquist frequency "
                f"{sfreq / 2:g} Hz"
            )
        elif stop <= max(start, 1) or n_window < 4:  # bin 0 is gone with the mean
            problems.append(
                f"{band.name} ({band.low:g}-{band.high:g} Hz) holds no frequency of a window of "
                f"{n_window / sfreq:g} s, whose frequencies are {sfreq / n_window:g} Hz apart"
            )
    if problems:
        raise ConfigError(
            f"'bands' do not fit a signal at {sfreq:g} Hz in windows of {n_window / sfreq:g} s: "
            + "; ".join(problems)
            + ". Choose other bands (for example bands='cross-corpus'), a longer 'window', or a "
            "higher rate."
        )


class _Plan(NamedTuple):
    taper: NDArray[np.float64]
    start: int
    stop: int
    weights: NDArray[np.float64]  # (2 * (stop - start), n_bands): real and imaginary parts


@functools.lru_cache(maxsize=64)
def _plan(sfreq: float, n_window: int, bands: tuple[Band, ...]) -> _Plan:
    check_bands(sfreq, n_window, bands)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_window) / n_window)
    bins = [band_bins(sfreq, n_window, band) for band in bands]
    start = min(first for first, _ in bins)
    stop = max(last for _, last in bins)
    scale = 1 / (n_window * np.sum(taper**2))
    weights = np.zeros((stop - start, 2, len(bands)))
    for index, (first, last) in enumerate(bins):
        weights[first - start : last - start, :, index] = 2 * scale
    for edge in (0, n_window / 2):
        if start <= edge < stop and edge == int(edge):
            weights[int(edge) - start] /= 2
    for array in (taper, weights):
        array.flags.writeable = False
    return _Plan(taper, start, stop, weights.reshape(-1, len(bands)))


def fft_band_power(
    x: NDArray[Any], sfreq: float, bands: tuple[Band, ...], n_window: int, n_step: int
) -> NDArray[np.float64]:
    """Return band power by the FFT of each window.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal of at least one window.
    sfreq : float
        Rate in Hz.
    bands : tuple of Band
        Bands.
    n_window, n_step : int
        Window length and step in samples.

    Returns
    -------
    ndarray, shape (..., n_channels, n_windows, n_bands), float64
        Power in the unit of `x` squared; NaN where a window holds NaN or infinite values.
    """
    plan = _plan(sfreq, n_window, bands)
    # One set of work arrays for all blocks: fresh ones for each cost more than the transform.
    spectra = np.empty((*_block_shape(x, n_window, n_step), n_window // 2 + 1), dtype=complex)
    squares = np.empty((*spectra.shape[:2], plan.weights.shape[0]))

    def power(windows: NDArray[Any], block: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        n_rows, n_windows = windows.shape[:2]
        mean = windows.mean(axis=-1, keepdims=True, dtype=np.float64)
        np.subtract(windows, mean, out=block)
        np.multiply(block, plan.taper, out=block)
        spectrum = np.fft.rfft(block, axis=-1, out=spectra[:n_rows, :n_windows])
        parts = spectrum[..., plan.start : plan.stop].view(np.float64)
        square = np.square(parts, out=squares[:n_rows, :n_windows])
        np.matmul(square, plan.weights, out=out)

    return _in_blocks(x, n_window, n_step, len(bands), power)


# Hann window of the published SEED feature code: no zero at its ends
def _seed_taper(n_window: int) -> NDArray[np.float64]:
    n = np.arange(1, n_window + 1)
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * n / (n_window + 1)))


# Points of its FFT: 256 whatever the window; a longer window is cut to its first 256 samples
SEED_N_FFT = 256


def seed_band_psd(
    x: NDArray[Any], sfreq: float, bands: tuple[Band, ...], n_window: int, n_step: int
) -> NDArray[np.float64]:
    """Return the mean squared FFT magnitude per band as the SEED-VII feature code computes it.

    Bins are floor(low * 256 / sfreq) - 1 to floor(high * 256 / sfreq) - 1, both included, of the
    256-point FFT of the Hann-windowed samples (no mean removed, no normalisation).

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal; the published features are of microvolts at 200 Hz.
    sfreq : float
        Rate in Hz.
    bands : tuple of Band
        Bands.
    n_window, n_step : int
        Window length and step in samples.

    Returns
    -------
    ndarray, shape (..., n_channels, n_windows, n_bands), float64

    Raises
    ------
    ConfigError
        If a band lies outside the bins 0 to 127.
    """
    taper = _seed_taper(n_window)[:SEED_N_FFT]
    weights = np.zeros((SEED_N_FFT // 2, len(bands)))
    problems = []
    for index, band in enumerate(bands):
        first = math.floor(round(band.low * SEED_N_FFT / sfreq, 9)) - 1
        last = math.floor(round(band.high * SEED_N_FFT / sfreq, 9)) - 1
        if first < 0 or last >= SEED_N_FFT // 2:
            problems.append(f"{band.name} ({band.low:g}-{band.high:g} Hz): bins {first} to {last}")
        else:
            weights[first : last + 1, index] = 1 / (last - first + 1)
    if problems:
        raise ConfigError(
            "scale='seed' has only the bins 0 to 127 of a 256-point FFT; these bands do not fit at "
            f"{sfreq:g} Hz: " + "; ".join(problems) + ". Resample to 200 Hz, the rate of the "
            "published features, or use scale='nats'."
        )

    def power(windows: NDArray[Any], block: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        np.multiply(windows[..., :SEED_N_FFT], taper, out=block[..., :SEED_N_FFT])
        spectrum = np.fft.rfft(block[..., :SEED_N_FFT], n=SEED_N_FFT, axis=-1)
        spectrum = spectrum[..., : SEED_N_FFT // 2]
        np.matmul(spectrum.real**2 + spectrum.imag**2, weights, out=out)

    return _in_blocks(x, n_window, n_step, len(bands), power)


_Power = Callable[[NDArray[Any], NDArray[np.float64], NDArray[np.float64]], None]


def _block_shape(x: NDArray[Any], n_window: int, n_step: int) -> tuple[int, int]:
    """Return how many rows (channels) and windows of each a block has."""
    n_rows = math.prod(x.shape[:-1])
    n_windows = (x.shape[-1] - n_window) // n_step + 1
    per_block = max(1, _BLOCK // n_window)
    return max(1, min(n_rows, per_block // n_windows)), min(n_windows, per_block)


def _in_blocks(
    x: NDArray[Any], n_window: int, n_step: int, n_bands: int, power: _Power
) -> NDArray[np.float64]:
    """Apply ``power(windows, work, out)`` to blocks of the windows.

    `windows` and `work` have the shape (rows, windows, samples), `out` (rows, windows, bands).
    """
    rows = x.reshape(-1, x.shape[-1])
    view = np.lib.stride_tricks.sliding_window_view(rows, n_window, axis=-1)[:, ::n_step]
    n_rows, n_windows = view.shape[:2]
    out = np.empty((n_rows, n_windows, n_bands))
    row_step, window_step = _block_shape(x, n_window, n_step)
    work = np.empty((row_step, window_step, n_window))
    with np.errstate(invalid="ignore", over="ignore"):
        for row in range(0, n_rows, row_step):
            for first in range(0, n_windows, window_step):
                part = (slice(row, row + row_step), slice(first, first + window_step))
                block = view[part]
                power(block, work[: block.shape[0], : block.shape[1]], out[part])
    return out.reshape(*x.shape[:-1], n_windows, n_bands)


def filter_band_power(
    x: NDArray[Any],
    sfreq: float,
    bands: tuple[Band, ...],
    n_window: int,
    n_step: int,
    order: int,
) -> NDArray[np.float64]:
    """Return the variance per window of zero-phase band-passed signals.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Finite signal, filtered as a whole.
    sfreq : float
        Rate in Hz.
    bands : tuple of Band
        Bands.
    n_window, n_step : int
        Window length and step in samples.
    order : int
        Order of the Butterworth prototype.

    Returns
    -------
    ndarray, shape (..., n_channels, n_windows, n_bands), float64
        Variance (mean square less squared mean) in the unit of `x` squared.
    """
    edges = [(band.low, band.high) for band in bands]
    out = []
    for filtered in filter_bank(x, sfreq, edges, order=order):
        view = np.lib.stride_tricks.sliding_window_view(filtered, n_window, axis=-1)[:, ::n_step]
        # einsum reads the overlapping view in place, without a copy of the windows
        square = np.einsum("bwn,bwn->wb", view, view) / n_window
        mean = np.einsum("bwn->wb", view) / n_window
        out.append(np.maximum(square - mean**2, 0.0))
    return np.stack(out).reshape(*x.shape[:-1], out[0].shape[0], len(bands))


class Moments(NamedTuple):
    """How a band-power estimate P of white Gaussian noise scatters.

    Attributes
    ----------
    log_bias : float
        E ln P less the logarithm of the true band power.
    log_sd : float
        Standard deviation of ln P.
    dof : float
        Effective degrees of freedom nu = 2 (E P)² / Var P.
    """

    log_bias: float
    log_sd: float
    dof: float


# From this many effective degrees of freedom on, the chi-square approximation of the logarithm's
# moments is good to 1e-4; below it they are integrated.
_MANY_DOF = 60.0


def _log_moments(covariance: NDArray[np.float64], true_power: float) -> Moments:
    """Return the moments of ln P for P = y'y with y ~ N(0, covariance).

    P is a sum of chi-squares with one degree of freedom, weighted by the eigenvalues of the
    covariance. With many degrees of freedom nu it is close to a scaled chi-square: E ln P =
    ln E P + digamma(nu/2) - ln(nu/2) and Var ln P = trigamma(nu/2). With few the exact values come
    from the Laplace transform L(t) = E exp(-t P) = prod (1 + 2 lambda t)^(-1/2) ::

        E ln P = int_0^inf (exp(-t) - L(t)) dt / t
        E (ln P)² = 2 int_0^inf ln t (L(t) - exp(-t)) dt / t - 2 gamma E ln P

    (Mellin transform of L at 0; gamma is Euler's constant).
    """
    from scipy import special

    mean = float(np.trace(covariance))
    dof = mean**2 / float(np.sum(covariance**2))
    ratio = mean / true_power
    if dof >= _MANY_DOF:
        log_bias = math.log(ratio) + float(special.digamma(dof / 2)) - math.log(dof / 2)
        return Moments(log_bias, math.sqrt(float(special.polygamma(1, dof / 2))), dof)
    weights = np.linalg.eigvalsh(covariance / mean)
    weights = weights[weights > 1e-12]
    # With t = exp(u) both integrands are smooth and vanish at both ends: the trapezoidal rule
    # converges exponentially. L falls as exp(-u/2) per eigenvalue at least.
    u = np.linspace(-40.0, 120.0, 6401)
    t = np.exp(u)
    laplace = np.exp(-0.5 * sum(np.log1p(2 * weight * t) for weight in weights))
    difference = laplace - np.exp(-t)
    spacing = u[1] - u[0]
    first = -float(difference.sum()) * spacing
    second = 2 * float((u * difference).sum()) * spacing - 2 * float(np.euler_gamma) * first
    return Moments(math.log(ratio) + first, math.sqrt(second - first**2), dof)


@functools.lru_cache(maxsize=512)
def fft_moments(sfreq: float, n_window: int, band: Band) -> Moments:
    """Return the moments of the FFT estimate for white Gaussian noise.

    The Hann window mixes neighbouring Fourier coefficients, X_k = Z_k/2 - (Z_{k-1} + Z_{k+1})/4,
    where the real and imaginary parts of Z are independent for white noise (Z_0 is gone with the
    mean).
    """
    check_bands(sfreq, n_window, (band,))
    start, stop = band_bins(sfreq, n_window, band)
    n_bins = stop - start
    parts = []
    for sign in (1.0, -1.0):  # real parts, imaginary parts: Z_{-k} is the conjugate of Z_k
        # columns: the coefficients start - 1 ... stop, folded at 0 Hz and at the Nyquist frequency
        mixing = np.zeros((n_bins, n_bins + 3))
        for row, k in enumerate(range(start, stop)):
            for j, weight in ((k - 1, -0.25), (k, 0.5), (k + 1, -0.25)):
                folded, factor = (j, 1.0) if j >= 0 else (-j, sign)
                if 2 * folded > n_window:
                    folded, factor = n_window - folded, factor * sign
                # E(Re Z)² = E(Im Z)² = n/2, except at the Nyquist frequency: n and 0
                if folded == 0:
                    continue
                if 2 * folded == n_window:
                    factor *= math.sqrt(2) if sign > 0 else 0.0
                mixing[row, folded - start + 1] += weight * factor
        # one-sided power: c_k (n/2) / (n * 3n/8) for unit variance, with c = 2, or 1 at the ends
        one_sided = np.full(n_bins, 8 / 3 / n_window)
        if start == 0:
            one_sided[0] /= 2
        if 2 * (stop - 1) == n_window:
            one_sided[-1] /= 2
        parts.append(mixing @ mixing.T * np.sqrt(np.outer(one_sided, one_sided)))
    # real and imaginary parts are independent: one block-diagonal covariance
    covariance = np.zeros((2 * n_bins, 2 * n_bins))
    covariance[:n_bins, :n_bins], covariance[n_bins:, n_bins:] = parts
    return _log_moments(covariance, 2 * (band.high - band.low) / sfreq)


@functools.lru_cache(maxsize=512)
def filter_moments(sfreq: float, n_window: int, band: Band, order: int) -> Moments:
    """Return the moments of the variance of the filtered signal for white Gaussian noise.

    The true power is that of the filter's output, whose autocovariance is the transform of its
    power spectrum. The mean of
    each window is taken out of both sides of the matrix.
    """
    from scipy import fft, linalg, signal

    n_fft = int(fft.next_fast_len(max(8 * n_window, math.ceil(64 * sfreq)), real=True))
    points = np.arange(n_fft // 2 + 1) * (2 * np.pi / n_fft)
    _, response = signal.sosfreqz(butterworth_sos(sfreq, band.low, band.high, order), worN=points)
    # forward and backward: the amplitude response is |H|², the power response |H|⁴
    lags = fft.irfft(np.abs(response) ** 4, n_fft)
    # The window's autocovariance matrix is large and of low rank. The variance is that of the
    # samples thinned to a rate that still holds the band, which changes nothing that matters here.
    thin = max(1, min(math.floor(sfreq / (4 * band.high)), n_window // 64))
    covariance = linalg.toeplitz(lags[: n_window - n_window % thin : thin])
    covariance -= covariance.mean(axis=0)
    covariance -= covariance.mean(axis=1, keepdims=True)
    return _log_moments(covariance / covariance.shape[0], float(lags[0]))
