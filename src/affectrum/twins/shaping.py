"""Noise of a given spectrum, drawn so that it does not depend on the sampling rate.

Random numbers are drawn frequency by frequency on a grid that depends on the length in seconds
alone. At a higher rate more frequencies are added, and those that both rates hold are the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["GRID_HZ", "PAD_S", "Shaper", "background_power", "slow_noise"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

GRID_HZ = 2  # points per second of everything that changes slowly
PAD_S = 2  # seconds drawn beyond the signal, so that its ends do not join
_PIVOT_HZ = 10.0
_REFERENCE_EXPONENT = 1.2
_FLAT_BELOW_HZ = 1.0  # a 1/f spectrum has to stop growing somewhere
_GRID_TOP_HZ = 128.0  # oscillations are normalised over 0 to here, whatever the rate
_WHITE_BAND_HZ = 50.0
_DRIFT_BELOW_HZ = 0.3


def background_power(low: float, high: float) -> float:
    """Share of the background's power (1-45 Hz = 1) that lies between two frequencies in Hz."""

    def primitive(frequency: float) -> float:
        return float(frequency ** (1 - _REFERENCE_EXPONENT) / (1 - _REFERENCE_EXPONENT))

    return (primitive(high) - primitive(low)) / (primitive(45.0) - primitive(1.0))


def slow_noise(
    rng: np.random.Generator, n_rows: int, n_points: int, time_constant: float
) -> Float32Array:
    """Draw stationary Ornstein-Uhlenbeck paths of unit variance.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_rows, n_points : int
        Size.
    time_constant : float
        In points.

    Returns
    -------
    ndarray of float32, shape (n_rows, n_points)
        The paths; exact in distribution at the points.
    """
    from scipy.signal import lfilter

    keep = float(np.exp(-1.0 / max(time_constant, 1e-3)))
    shocks = rng.standard_normal((n_rows, n_points), dtype=np.float32)
    shocks[:, 1:] *= np.float32(np.sqrt(1.0 - keep**2))
    return np.asarray(lfilter([1.0], [1.0, -keep], shocks, axis=1), dtype=np.float32)


class Shaper:
    """Draws the pieces of one signal.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; the order of calls matters.
    seconds : int
        Length of the signal.
    sfreq : float
        Sampling rate in Hz, a multiple of `GRID_HZ`.
    passband : tuple of float
        Lowest and highest frequency in Hz that the recorder's filter keeps.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        seconds: int,
        sfreq: float,
        passband: tuple[float, float],
    ) -> None:
        self.rng = rng
        self.sfreq = round(sfreq)
        self.seconds = seconds
        self.n_samples = seconds * self.sfreq + 1
        length_s = int(fft.next_fast_len(seconds + PAD_S, real=True))
        self.n_fft = length_s * self.sfreq
        self.step_hz = 1.0 / length_s
        self.frequencies: FloatArray = (
            np.arange(self.n_fft // 2 + 1, dtype=np.float64) * self.step_hz
        )
        self.response = passband_response(self.frequencies, passband)

    def _rows(self, amplitude: FloatArray, first: int, n_rows: int) -> NDArray[np.complex64]:
        """Random spectrum rows: bins `first` on, `amplitude` of shape (n_bins,) or (rows, n_bins).

        `amplitude` is the square root of a power density in uV^2/Hz.
        """
        n_bins = amplitude.shape[-1]
        scale = self.n_fft * np.sqrt(self.step_hz) / 2.0  # E|c|^2 = n^2 S df / 2, two normals each
        weights = (amplitude * self.response[first : first + n_bins] * scale).astype(np.float32)
        drawn = np.empty((n_rows, 2 * n_bins), dtype=np.float32)
        for row, generator in enumerate(self.rng.spawn(n_rows)):
            generator.standard_normal(out=drawn[row], dtype=np.float32)
        return np.asarray(drawn.view(np.complex64) * weights)

    def _to_time(self, spectrum: NDArray[np.complex64], first: int) -> Float32Array:
        full = np.zeros((spectrum.shape[0], self.frequencies.size), dtype=np.complex64)
        full[:, first : first + spectrum.shape[1]] = spectrum
        full[:, 0] = 0.0
        full[:, -1] = 0.0
        signal = fft.irfft(full, n=self.n_fft, axis=1, overwrite_x=True)
        return np.asarray(signal[:, : self.n_samples])

    def aperiodic(self, n_rows: int, exponent: float) -> tuple[Float32Array, Float32Array]:
        """Background of unit power between 1 and 45 Hz, and how it changes with the exponent.

        Parameters
        ----------
        n_rows : int
            Number of signals.
        exponent : float
            Its power falls as frequency to the minus this.

        Returns
        -------
        steady, tilted : ndarray of float32, shape (n_rows, n_samples)
            ``steady + d * tilted`` has the exponent ``exponent + d`` to first order, the power at
            10 Hz unchanged.
        """
        ratio = np.maximum(self.frequencies, _FLAT_BELOW_HZ) / _PIVOT_HZ
        reference = _PIVOT_HZ**_REFERENCE_EXPONENT
        total = reference * (1.0 - 45.0 ** (1 - _REFERENCE_EXPONENT)) / (_REFERENCE_EXPONENT - 1)
        spectrum = self._rows(np.sqrt(ratio**-exponent / total), 0, n_rows)
        tilt = (-0.5 * np.log(ratio)).astype(np.float32)
        return self._to_time(spectrum, 0), self._to_time(spectrum * tilt, 0)

    def oscillation(self, n_rows: int, low: float, high: float, *, peaked: bool) -> Float32Array:
        """Noise of unit power in a band.

        Parameters
        ----------
        n_rows : int
            Number of signals.
        low, high : float
            Edges in Hz.
        peaked : bool
            A Gaussian peak in the middle (the edges at two standard deviations), or flat with
            edges of 1 Hz.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_samples)
            Unit variance before the recorder's filter.
        """
        grid = np.arange(0.0, _GRID_TOP_HZ, self.step_hz)
        if peaked:
            centre, sd = (low + high) / 2, (high - low) / 4
            density = np.exp(-0.5 * ((grid - centre) / sd) ** 2)
            density[np.abs(grid - centre) > 3.5 * sd] = 0.0
        else:
            density = np.clip(grid - low + 0.5, 0.0, 1.0) * np.clip(high + 0.5 - grid, 0.0, 1.0)
        density /= density.sum() * self.step_hz
        inside = np.flatnonzero(density)
        first, last = int(inside[0]), min(int(inside[-1]) + 1, self.frequencies.size)
        if last <= first:
            return np.zeros((n_rows, self.n_samples), dtype=np.float32)
        return self._to_time(self._rows(np.sqrt(density[first:last]), first, n_rows), first)

    def electrode_noise(
        self,
        generators: list[np.random.Generator],
        white_uv: FloatArray,
        drift_uv: float,
    ) -> Float32Array:
        """Amplifier noise and slow drifts, each electrode from its own generator.

        Parameters
        ----------
        generators : list of numpy.random.Generator
            One per electrode.
        white_uv : ndarray, shape (n_electrodes,)
            RMS of the white noise between 0 and 50 Hz, in uV.
        drift_uv : float
            RMS of the drift below 0.3 Hz before the recorder's filter, in uV.

        Returns
        -------
        ndarray of float32, shape (n_electrodes, n_samples)
            Microvolts.
        """
        drift = np.where(self.frequencies < _DRIFT_BELOW_HZ, drift_uv**2 / _DRIFT_BELOW_HZ, 0.0)
        scale = self.n_fft * np.sqrt(self.step_hz) / 2.0
        spectrum = np.empty((len(generators), self.frequencies.size), dtype=np.complex64)
        parts = spectrum.view(np.float32)
        for row, generator in enumerate(generators):
            generator.standard_normal(out=parts[row], dtype=np.float32)
        slow = int(np.count_nonzero(drift))
        kept = (self.response * scale).astype(np.float32)
        density = white_uv**2 / _WHITE_BAND_HZ
        spectrum[:, :slow] *= np.sqrt(density[:, None] + drift[:slow]).astype(np.float32)
        spectrum[:, slow:] *= np.sqrt(density[:, None]).astype(np.float32)
        spectrum *= kept
        return self._to_time(spectrum, 0)

    def filter(self, x: Float32Array) -> Float32Array:
        """Pass signals through the recorder's filter.

        Parameters
        ----------
        x : ndarray of float32, shape (n_rows, n)
            Begins with the signal; may run on for up to `PAD_S`, where it should fade out, since
            its end is joined to its beginning.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_samples)
            Filtered, without what ran on.
        """
        spectrum = fft.rfft(x, n=self.n_fft, axis=1)
        return self._to_time(spectrum * self.response.astype(np.float32), 0)

    def upsample(self, course: Float32Array) -> Float32Array:
        """Interpolate courses of shape (n_rows, n_points) to (n_rows, n_samples), linearly."""
        ones = np.ones((1, self.n_samples), dtype=np.float32)
        return self.modulate(ones, course)

    def modulate(self, carrier: Float32Array, envelope: Float32Array) -> Float32Array:
        """Multiply carriers by slowly changing envelopes.

        Parameters
        ----------
        carrier : ndarray of float32, shape (n_rows or 1, n_samples)
            Fast signals.
        envelope : ndarray of float32, shape (n_rows, n_points)
            `GRID_HZ` points per second, the first at the first sample, the last at the last.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_samples)
            The product, envelopes interpolated linearly.
        """
        step = self.sfreq // GRID_HZ
        n_intervals = envelope.shape[1] - 1
        share = (np.arange(step, dtype=np.float32) / np.float32(step))[None, None, :]
        start = envelope[:, :-1, None]
        course = start + (envelope[:, 1:, None] - start) * share
        out = np.empty((envelope.shape[0], self.n_samples), dtype=np.float32)
        body = n_intervals * step
        out[:, :body] = course.reshape(envelope.shape[0], body)
        out[:, body:] = envelope[:, -1:]
        out *= carrier
        return out


def passband_response(frequencies: FloatArray, passband: tuple[float, float]) -> FloatArray:
    """Amplitude response of the recorder's filter at frequencies in Hz (zero phase).

    Butterworth magnitudes: order 4 below, order 16 above; no high-pass where the band starts at 0.
    """
    low, high = passband
    response = 1.0 / np.sqrt(1.0 + (frequencies / high) ** 32)
    if low > 0:
        ratio = low / np.maximum(frequencies, 1e-6)
        response = response / np.sqrt(1.0 + np.minimum(ratio, 1e6) ** 8)
    return np.asarray(response)
