"""Polyphase resampling by a rational ratio with an anti-aliasing filter, offline and streaming."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError
from affectrum.signals.checks import as_float64, check_sfreq, float_dtype

__all__ = ["StreamingResampler", "resample", "resampling_ratio"]

# Largest factor of the ratio. 999 Hz to 1000 Hz is 1000/999; the filter has 50 taps per unit of
# the larger factor, so that this is where a design stays small (about 100 000 taps).
_MAX_FACTOR = 2000
# The filter passes up to 0.8 of the lower Nyquist frequency (51.2 Hz for 128 Hz, 80 Hz for
# 200 Hz) and stops from that frequency on by 80 dB; the design asks for 5 dB more because each
# phase is normalised by itself.
_PASS = 0.8
_STOP_DB = 85.0


def resampling_ratio(sfreq: float, new_sfreq: float) -> Fraction:
    """Return `new_sfreq` / `sfreq` as the exact fraction up/down.

    Parameters
    ----------
    sfreq, new_sfreq : float
        Rates in Hz. Each is taken as the nearest fraction with a denominator up to 1000, so that
        rates such as 128, 499.5 or 512 are exact.

    Returns
    -------
    Fraction
        Reduced ratio; numerator and denominator are at most 2000.

    Raises
    ------
    ConfigError
        If a rate is not above 0 or the ratio needs larger factors (an effective rate such as
        255.987 Hz: pass the nominal rate instead).
    """
    old = Fraction(check_sfreq(sfreq)).limit_denominator(1000)
    new = Fraction(check_sfreq(new_sfreq, "new_sfreq")).limit_denominator(1000)
    ratio = new / old if old else Fraction(0)
    if not 0 < max(ratio.numerator, ratio.denominator) <= _MAX_FACTOR or ratio == 0:
        raise ConfigError(
            f"Resampling from {sfreq:g} to {new_sfreq:g} Hz needs the ratio "
            f"{ratio.numerator}/{ratio.denominator}; both numbers may be at most {_MAX_FACTOR}. "
            "Round the rates, for example to the amplifier's nominal rate."
        )
    return ratio


@functools.lru_cache(maxsize=32)
def _anti_aliasing(up: int, down: int) -> tuple[NDArray[np.float64], int]:
    """Return the Kaiser-window low-pass and half its length, a multiple of `down`."""
    from scipy import signal

    if up == down:
        return np.ones(1), 0

    larger = max(up, down)
    taps, beta = signal.kaiserord(_STOP_DB, (1 - _PASS) / larger)
    # A half length that is a multiple of `down` lines the output grid up with the filter's middle.
    half = math.ceil(taps / 2 / down) * down
    # The pass-band's end and the stop-band's start lie symmetrically about the cut-off.
    h = signal.firwin(2 * half + 1, (1 + _PASS) / 2 / larger, window=("kaiser", beta))
    # Each of the `up` phases gets unit gain at 0 Hz by itself: a constant stays that constant.
    for phase in range(up):
        h[phase::up] /= h[phase::up].sum()
    h.flags.writeable = False
    return h, half


def _output_length(n_samples: int, up: int, down: int) -> int:
    return -(-n_samples * up // down)


def resample(x: ArrayLike, sfreq: float, new_sfreq: float) -> NDArray[Any]:
    """Change the sampling rate by a polyphase filter.

    The signal is low-passed without delay (linear-phase Kaiser-window filter, passing up to 0.8
    of the lower of the two Nyquist frequencies and stopping from that frequency on by 80 dB) and
    sampled anew. Outside the recording the end samples are taken to go on.

    Parameters
    ----------
    x : ndarray, shape (..., n_channels, n_samples)
        Signal, finite.
    sfreq : float
        Its rate in Hz.
    new_sfreq : float
        The wanted rate in Hz; the ratio's limits are those of `resampling_ratio`.

    Returns
    -------
    ndarray, shape (..., n_channels, ceil(n_samples * new_sfreq / sfreq))
        Signal in the unit of `x`, its first sample at the time of the first of `x`; float32 for
        float32 input, else float64. A copy where the rates are equal.

    Raises
    ------
    ConfigError
        If the ratio is out of range or `x` holds NaN or infinite values.

    See Also
    --------
    StreamingResampler : the same output for a signal that arrives in pieces.
    """
    ratio = resampling_ratio(sfreq, new_sfreq)
    dtype = float_dtype(np.asarray(x))
    signal64 = as_float64(x)
    if ratio == 1:
        return signal64.astype(dtype, copy=True)
    up, down = ratio.numerator, ratio.denominator
    pad = _padding(up, down)
    padded = np.concatenate(
        [
            np.repeat(signal64[..., :1], pad, axis=-1),
            signal64,
            np.repeat(signal64[..., -1:], pad, axis=-1),
        ],
        axis=-1,
    )
    n_out = _output_length(signal64.shape[-1], up, down)
    return _polyphase(padded, up, down, pad, n_out).astype(dtype, copy=False)


def _half_length(up: int, down: int) -> int:
    return _anti_aliasing(up, down)[1]


def _padding(up: int, down: int) -> int:
    """Return the samples that the filter reaches to each side, as a multiple of `down`."""
    half = _half_length(up, down)
    return math.ceil((half // up + 1) / down) * down


def _polyphase(
    padded: NDArray[np.float64], up: int, down: int, pad: int, n_out: int
) -> NDArray[np.float64]:
    """Return `n_out` samples, the first at the time of ``padded[..., pad]``.

    `pad` and the filter's half length are multiples of `down`, which puts that time on the output
    grid of `scipy.signal.upfirdn`.
    """
    from scipy import signal

    h, half = _anti_aliasing(up, down)
    first = (pad * up + half) // down
    out: NDArray[np.float64] = signal.upfirdn(h, padded, up, down, axis=-1)
    return out[..., first : first + n_out]


class StreamingResampler:
    """`resample` for a signal that arrives in pieces.

    An output sample is given as soon as the filter's whole reach has arrived, `delay` seconds
    after its time. The concatenation of all pieces and of `flush` is the output of `resample`.

    Parameters
    ----------
    sfreq, new_sfreq : float
        Rates in Hz.

    Attributes
    ----------
    delay : float
        Time in seconds between a sample and its output.

    Raises
    ------
    ConfigError
        If the ratio is out of range.
    """

    def __init__(self, sfreq: float, new_sfreq: float) -> None:
        ratio = resampling_ratio(sfreq, new_sfreq)
        self.sfreq, self.new_sfreq = float(sfreq), float(new_sfreq)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._half = _half_length(self._up, self._down)
        self._pad = _padding(self._up, self._down)
        self.delay = self._half / (self._up * self.sfreq)
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far; the next piece starts a new one."""
        self._buffer: NDArray[np.float64] | None = None
        self._dtype = np.dtype(np.float64)
        self._n_in = 0
        self._n_out = 0
        # input index of the buffer's first sample, a multiple of `down`
        self._start = -self._pad

    def process(self, x: ArrayLike) -> NDArray[Any]:
        """Take the next piece and return the samples that are complete.

        Parameters
        ----------
        x : ndarray, shape (..., n_channels, n_samples)
            The next samples; every piece has the same leading axes. A piece may be empty.

        Returns
        -------
        ndarray, shape (..., n_channels, n_complete)
            Samples at the new rate in the unit of `x`; `n_complete` may be 0.

        Raises
        ------
        ConfigError
            If the number of channels changed, or `x` holds NaN or infinite values.
        """
        raw = np.asarray(x)
        if raw.ndim and raw.shape[-1] == 0:
            return raw.astype(float_dtype(raw))
        piece = as_float64(raw)
        if self._buffer is None:
            self._dtype = float_dtype(raw)
            self._buffer = np.repeat(piece[..., :1], self._pad, axis=-1)
        elif piece.shape[:-1] != self._buffer.shape[:-1]:
            raise ConfigError(
                f"The piece has the leading axes {piece.shape[:-1]}, earlier ones had "
                f"{self._buffer.shape[:-1]}. Call reset() before another signal."
            )
        self._buffer = np.concatenate([self._buffer, piece], axis=-1)
        self._n_in += piece.shape[-1]
        # Output m stands at input time m*down/up and reaches half/up samples further.
        complete = ((self._n_in - 1) * self._up - self._half) // self._down + 1
        return self._emit(max(complete, self._n_out))

    def flush(self) -> NDArray[Any]:
        """Return the samples that still wait for the future and end the signal.

        Returns
        -------
        ndarray, shape (..., n_channels, n_rest)
            The last samples, computed as if the last input value went on; then reset.

        Raises
        ------
        ConfigError
            If no sample was processed before.
        """
        if self._buffer is None:
            raise ConfigError("flush() was called before any sample was processed.")
        self._buffer = np.concatenate(
            [self._buffer, np.repeat(self._buffer[..., -1:], self._pad, axis=-1)], axis=-1
        )
        rest = self._emit(_output_length(self._n_in, self._up, self._down))
        self.reset()
        return rest

    def _emit(self, stop: int) -> NDArray[Any]:
        assert self._buffer is not None
        n_new = stop - self._n_out
        if n_new <= 0:
            return np.empty((*self._buffer.shape[:-1], 0), dtype=self._dtype)
        # Buffer start + pad is a multiple of `down`, hence the time of the output `anchor`.
        anchor = (self._start + self._pad) // self._down * self._up
        skip = self._n_out - anchor
        out = _polyphase(self._buffer, self._up, self._down, self._pad, skip + n_new)[..., skip:]
        self._n_out = stop
        # Keep what the next output can reach, from a multiple of `down` on.
        next_time = stop * self._down // self._up
        keep = (next_time - self._pad) // self._down * self._down
        if keep > self._start:
            self._buffer = self._buffer[..., keep - self._start :].copy()
            self._start = keep
        return out.astype(self._dtype, copy=False)
