"""Butterworth band-pass and notch filters as second-order sections, offline and causal.

Designs are cached: a filter is designed once per process and set of parameters. All filtering is
done in float64; the result has the input's float dtype. The cached arrays are read-only, and the
compiled filters of SciPy ask for writable ones: hence the copies of a few numbers at each call.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError
from affectrum.signals.checks import as_float64, check_sfreq, float_dtype

__all__ = ["StreamingFilter", "bandpass", "filter_bank", "notch"]

# A pole counts as decayed when its transient has fallen by 60 dB.
_TRANSIENT = 1e-3


def _check_band(low: float | None, high: float | None, sfreq: float) -> None:
    nyquist = sfreq / 2
    problems = []
    for name, edge in (("low", low), ("high", high)):
        if edge is not None and not (math.isfinite(edge) and 0 < edge < nyquist):
            problems.append(
                f"{name!r} must lie above 0 and below the Nyquist frequency {nyquist:g} Hz "
                f"(sfreq {sfreq:g} Hz); received {edge:g} Hz"
            )
    if low is None and high is None:
        problems.append("'low' and 'high' are both None, which is no filter")
    if low is not None and high is not None and not low < high:
        problems.append(f"'low' must be below 'high'; received {low:g} and {high:g} Hz")
    if problems:
        raise ConfigError(
            "The pass-band can't be used: " + "; ".join(problems) + ". Choose band edges inside "
            "(0, sfreq / 2), or resample to a higher rate."
        )


@functools.lru_cache(maxsize=256)
def butterworth_sos(
    sfreq: float, low: float | None, high: float | None, order: int
) -> NDArray[np.float64]:
    """Return the cached design, read-only second-order sections (n_sections, 6).

    `order` is that of the prototype, as in `scipy.signal.butter`: a band-pass of order 4 falls
    with the fourth power of frequency on each side and has 4 sections.
    """
    from scipy import signal

    if isinstance(order, bool) or order != int(order) or not 1 <= order <= 12:
        raise ConfigError(f"'order' must be a whole number from 1 to 12; received {order!r}.")
    _check_band(low, high, sfreq)
    if low is not None and high is not None:
        kind, edges = "bandpass", [low, high]
    elif low is not None:
        kind, edges = "highpass", [low]
    else:
        assert high is not None
        kind, edges = "lowpass", [high]
    sos: NDArray[np.float64] = signal.butter(
        order, edges if len(edges) == 2 else edges[0], kind, fs=sfreq, output="sos"
    )
    sos.flags.writeable = False
    return sos


@functools.lru_cache(maxsize=64)
def notch_sos(sfreq: float, freq: float, quality: float) -> NDArray[np.float64]:
    """Return the cached notch design, read-only second-order sections (1, 6)."""
    from scipy import signal

    if not (math.isfinite(freq) and 0 < freq < sfreq / 2):
        raise ConfigError(
            f"'freq' must lie above 0 and below the Nyquist frequency {sfreq / 2:g} Hz (sfreq "
            f"{sfreq:g} Hz); received {freq:g} Hz. A signal sampled this slowly holds no such "
            "frequency: leave the notch out."
        )
    if not (math.isfinite(quality) and quality > 0):
        raise ConfigError(
            f"'quality' must be above 0 (centre frequency / width at -3 dB); received {quality!r}."
        )
    b, a = signal.iirnotch(freq, quality, fs=sfreq)
    sos: NDArray[np.float64] = signal.tf2sos(b, a)
    sos.flags.writeable = False
    return sos


def decay_samples(sos: NDArray[np.float64]) -> int:
    """Return after how many samples the slowest pole has decayed by 60 dB."""
    radius = max(float(np.abs(np.roots(section[3:])).max(initial=0.0)) for section in sos)
    return max(1, math.ceil(math.log(_TRANSIENT) / math.log(radius))) if radius > 1e-3 else 1


def _zero_phase(sos: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = x.reshape(-1, x.shape[-1])
    out = np.empty_like(rows)
    for index, filtered in enumerate(_zero_phase_rows((sos,), rows)):
        out[index] = filtered[0]
    return out.reshape(x.shape)


def zero_phase_padding(soses: Sequence[NDArray[np.float64]], n_samples: int) -> int:
    """Return the samples of odd reflection at each end: twice the decay, if they are there."""
    longest = max((decay_samples(sos) for sos in soses), default=1)
    return min(2 * longest, n_samples - 1)


def _zero_phase_rows(
    soses: Sequence[NDArray[np.float64]], rows: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Yield for each row (n_samples,) its filtered forms (n_filters, n_samples), array reused."""
    from scipy import fft

    n_samples = rows.shape[-1]
    padding = zero_phase_padding(soses, n_samples)
    # The circular transform would join both ends with a step; a straight line between them, as
    # long as the transients, keeps each end away from the other.
    longest = max((decay_samples(sos) for sos in soses), default=1)
    n_fft = int(fft.next_fast_len(n_samples + 2 * padding + 2 * longest, real=True))
    gains = [_power_gain(sos.tobytes(), n_fft) for sos in soses]
    padded = np.empty(n_fft)
    out = np.empty((len(gains), n_samples))
    stop = padding + n_samples
    for row in rows:
        padded[padding:stop] = row
        if padding:
            padded[:padding] = 2 * row[0] - row[padding:0:-1]
            padded[stop : stop + padding] = 2 * row[-1] - row[-2 : -padding - 2 : -1]
        end = stop + padding
        padded[end:] = np.linspace(padded[end - 1], padded[0], n_fft - end + 2)[1:-1]
        spectrum = fft.rfft(padded)
        for index, gain in enumerate(gains):
            out[index] = fft.irfft(spectrum * gain, n_fft)[padding:stop]
        yield out


@functools.lru_cache(maxsize=16)
def _power_gain(sos_bytes: bytes, n_fft: int) -> NDArray[np.float64]:
    """Return the squared magnitude of a filter at the frequencies of a real FFT of `n_fft`."""
    from scipy import signal

    sos = np.frombuffer(sos_bytes).reshape(-1, 6)
    points = np.arange(n_fft // 2 + 1) * (2 * np.pi / n_fft)
    _, response = signal.sosfreqz(sos, worN=points)
    gain: NDArray[np.float64] = np.abs(response) ** 2
    gain.flags.writeable = False
    return gain


def _initial_state(sos: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """State (n_sections, ..., 2) of a filter that has always seen the values `first` (..., 1)."""
    from scipy import signal

    steady = signal.sosfilt_zi(sos)
    shape = (steady.shape[0],) + (1,) * (first.ndim - 1) + (2,)
    state: NDArray[np.float64] = steady.reshape(shape) * first
    return state


def _causal(sos: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy import signal

    out, _ = signal.sosfilt(sos.copy(), x, axis=-1, zi=_initial_state(sos, x[..., :1]))
    return np.asarray(out, dtype=np.float64)


def _apply(x: ArrayLike, sos: NDArray[np.float64], causal: bool) -> NDArray[Any]:
    dtype = float_dtype(np.asarray(x))
    signal64 = as_float64(x)
    out = _causal(sos, signal64) if causal else _zero_phase(sos, signal64)
    return out.astype(dtype, copy=False)


def bandpass(
    x: ArrayLike,
    sfreq: float,
    low: float | None,
    high: float | None,
    *,
    order: int = 4,
    causal: bool = False,
) -> NDArray[Any]:
    """Band-pass filter a signal with a Butterworth filter.

    Offline (default): forward and backward, so that no frequency is delayed; the amplitude
    response is applied twice (-6 dB at the band edges). The signal is padded at both ends by its
    odd reflection (point reflection about the end sample) for twice the time in which the
    filter's slowest pole decays by 60 dB, or by the whole signal less one sample where it is
    shorter. The result is that of `scipy.signal.sosfiltfilt` with this padding; it is computed by
    FFT, which multiplies the spectrum by the squared magnitude of the response.

    Causal: forward only, from the state of a filter that has always seen the first sample, so that
    an offset gives no transient. `StreamingFilter` gives the same output piece by piece.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal, finite.
    sfreq : float
        Sampling rate in Hz.
    low, high : float or None
        Band edges in Hz, below the Nyquist frequency. None for `low` gives a low-pass, None for
        `high` a high-pass.
    order : int
        Order of the prototype, 1 to 12, as in `scipy.signal.butter`.
    causal : bool
        True to look only at the past.

    Returns
    -------
    ndarray, shape (..., n_channels, n_samples)
        Filtered signal in the unit of `x`; float32 for float32 input, else float64.

    Raises
    ------
    ConfigError
        If an edge is not inside (0, sfreq / 2), or `x` holds NaN or infinite values.

    See Also
    --------
    StreamingFilter : the causal form for a signal that arrives in pieces.
    filter_bank : several zero-phase bands of one signal.
    """
    rate = check_sfreq(sfreq)
    return _apply(x, butterworth_sos(rate, _edge(low), _edge(high), order), causal)


def notch(
    x: ArrayLike,
    sfreq: float,
    freq: float = 50.0,
    *,
    quality: float = 30.0,
    causal: bool = False,
) -> NDArray[Any]:
    """Remove one frequency, such as the mains', with a second-order notch filter.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal, finite.
    sfreq : float
        Sampling rate in Hz.
    freq : float
        Frequency to remove in Hz, below the Nyquist frequency.
    quality : float
        Centre frequency over the width at -3 dB: 30 at 50 Hz takes out 1.7 Hz.
    causal : bool
        True to look only at the past; padding and initial state as in `bandpass`.

    Returns
    -------
    ndarray, shape (..., n_channels, n_samples)
        Filtered signal in the unit of `x`; float32 for float32 input, else float64.

    Raises
    ------
    ConfigError
        If `freq` is not inside (0, sfreq / 2), or `x` holds NaN or infinite values.
    """
    rate = check_sfreq(sfreq)
    return _apply(x, notch_sos(rate, float(freq), float(quality)), causal)


def _edge(value: float | None) -> float | None:
    return None if value is None else float(value)


def filter_bank(
    x: ArrayLike,
    sfreq: float,
    bands: Sequence[tuple[float, float]],
    *,
    order: int = 4,
) -> Iterator[NDArray[np.float64]]:
    """Return an iterator over channels of the zero-phase band-pass output in all bands.

    Each band is what `bandpass` gives, with the padding of the slowest band for all. One forward
    transform serves all bands of a channel, and one channel is in memory at a time.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal, finite.
    sfreq : float
        Sampling rate in Hz.
    bands : sequence of (low, high)
        Band edges in Hz, inside (0, sfreq / 2).
    order : int
        Order of the Butterworth prototype.

    Yields
    ------
    ndarray, shape (n_bands, n_samples), float64
        The bands of the next channel, channels in C order of the leading axes. The array is
        used again for the next channel: copy what you keep.

    Raises
    ------
    ConfigError
        If an edge is not inside (0, sfreq / 2), or `x` holds NaN or infinite values.
    """
    rate = check_sfreq(sfreq)
    soses = tuple(butterworth_sos(rate, float(low), float(high), order) for low, high in bands)
    signal64 = as_float64(x)
    return _zero_phase_rows(soses, signal64.reshape(-1, signal64.shape[-1]))


class StreamingFilter:
    """A causal filter for a signal that arrives in pieces.

    The concatenated output is that of the causal offline form, bit for bit, for any pieces.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    low, high : float or None
        Band edges in Hz as in `bandpass`; both None for no band-pass.
    order : int
        Order of the Butterworth prototype.
    notch_freq : float or None
        Frequency in Hz to remove after the band-pass, or None.
    quality : float
        Quality of the notch.

    Raises
    ------
    ConfigError
        If no filter is asked for, or a frequency is not inside (0, sfreq / 2).

    Examples
    --------
    >>> import numpy as np
    >>> stream = StreamingFilter(200, 1, 45, notch_freq=50)
    >>> piece = stream.process(np.zeros((32, 20)))
    """

    def __init__(
        self,
        sfreq: float,
        low: float | None = None,
        high: float | None = None,
        *,
        order: int = 4,
        notch_freq: float | None = None,
        quality: float = 30.0,
    ) -> None:
        rate = self.sfreq = check_sfreq(sfreq)
        stages = []
        if low is not None or high is not None:
            stages.append(butterworth_sos(rate, _edge(low), _edge(high), order))
        if notch_freq is not None:
            stages.append(notch_sos(rate, float(notch_freq), float(quality)))
        if not stages:
            raise ConfigError("StreamingFilter needs 'low', 'high' or 'notch_freq'; all are None.")
        self._stages = stages
        self._states: list[NDArray[np.float64]] | None = None
        self._leading: tuple[int, ...] = ()

    def process(self, x: ArrayLike) -> NDArray[Any]:
        """Filter the next piece.

        Parameters
        ----------
        x : ndarray, shape (..., n_channels, n_samples)
            The next samples; every piece has the same leading axes. A piece may be empty.

        Returns
        -------
        ndarray, shape (..., n_channels, n_samples)
            Filtered samples in the unit of `x`; float32 for float32 input, else float64.

        Raises
        ------
        ConfigError
            If the number of channels changed, or `x` holds NaN or infinite values. The state is
            then what it was before the call.
        """
        from scipy import signal

        raw = np.asarray(x)
        dtype = float_dtype(raw)
        if raw.ndim and raw.shape[-1] == 0:
            return raw.astype(dtype)
        out = as_float64(raw)
        if self._states is not None and out.shape[:-1] != self._leading:
            raise ConfigError(
                f"The piece has the leading axes {out.shape[:-1]}, earlier ones had "
                f"{self._leading}. Call reset() before another signal."
            )
        states: list[NDArray[np.float64]] = []
        for index, sos in enumerate(self._stages):
            state = (
                _initial_state(sos, out[..., :1]) if self._states is None else self._states[index]
            )
            out, state = signal.sosfilt(sos.copy(), out, axis=-1, zi=state)
            states.append(state)
        self._states, self._leading = states, out.shape[:-1]
        return np.asarray(out).astype(dtype, copy=False)

    def reset(self) -> None:
        """Forget the signal so far; the next piece starts a new one."""
        self._states = None
