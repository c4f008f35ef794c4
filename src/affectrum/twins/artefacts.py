"""What is not brain: blinks, eye movements, bursts of muscle activity, mains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.head import MUSCLES
from affectrum.twins.settings import TwinSettings

__all__ = ["eye_signals", "mains", "muscle_bursts"]

Float32Array = NDArray[np.float32]

# Chosen: a blink of about 150 uV and 0.25 s near the eye, saccades of 20-60 uV held for a while.
_BLINK_UV = 150.0
_BLINK_SD_S = 0.07
_SACCADE_UV = (20.0, 60.0)
_SACCADE_RISE_S = 0.03
_BURST_GAIN = 5.0
_BURST_SD_S = 0.5


def _times(rng: np.random.Generator, per_minute: float, seconds: int) -> NDArray[np.float64]:
    return rng.uniform(0.0, seconds, size=rng.poisson(per_minute * seconds / 60.0))


def eye_signals(
    rng: np.random.Generator, settings: TwinSettings, seconds: int, sfreq: int, tail: int = 0
) -> Float32Array:
    """Vertical and horizontal eye signal.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    settings : TwinSettings
        Rates of blinks and eye movements.
    seconds, sfreq : int
        Length and sampling rate.
    tail : int
        Further seconds in which nothing begins and everything fades out.

    Returns
    -------
    ndarray of float32, shape (2, (seconds + tail) * sfreq)
        Microvolts near the eye.
    """
    t = np.arange((seconds + tail) * sfreq) / sfreq
    eyes = np.zeros((2, t.size))
    blinks = _times(rng, settings.blinks_per_minute, seconds)
    heights = _BLINK_UV * np.exp(0.2 * rng.standard_normal(blinks.size))
    for time, height in zip(blinks, heights, strict=True):
        low, high = np.searchsorted(t, [time - 5 * _BLINK_SD_S, time + 5 * _BLINK_SD_S])
        eyes[0, low:high] += height * np.exp(-0.5 * ((t[low:high] - time) / _BLINK_SD_S) ** 2)
    moves = _times(rng, settings.eye_movements_per_minute, seconds)
    sizes = rng.uniform(*_SACCADE_UV, size=moves.size) * rng.choice([-1.0, 1.0], size=moves.size)
    held = rng.uniform(0.3, 1.5, size=moves.size)
    for time, size, hold in zip(moves, sizes, held, strict=True):
        low, high = np.searchsorted(t, [time - 0.3, time + hold + 0.3])
        near = t[low:high]
        eyes[1, low:high] += (0.5 * size) * (
            np.tanh((near - time) / _SACCADE_RISE_S)
            - np.tanh((near - time - hold) / _SACCADE_RISE_S)
        )
    if tail:
        eyes *= 0.5 + 0.5 * np.cos(np.pi * np.clip((t - seconds) / tail, 0.0, 1.0))
    return eyes.astype(np.float32)


def muscle_bursts(
    rng: np.random.Generator, settings: TwinSettings, seconds: int, sfreq: int
) -> Float32Array:
    """How much stronger each muscle is than at rest.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    settings : TwinSettings
        Rate of bursts.
    seconds, sfreq : int
        Length and sampling rate.

    Returns
    -------
    ndarray of float32, shape (n_muscles, seconds * sfreq + 1)
        1 outside bursts.
    """
    t = np.arange(seconds * sfreq + 1) / sfreq
    gain = np.ones((len(MUSCLES), t.size), dtype=np.float32)
    times = _times(rng, settings.muscle_bursts_per_minute, seconds)
    where = rng.integers(len(MUSCLES), size=times.size)
    for time, muscle in zip(times, where, strict=True):
        bump = _BURST_GAIN * np.exp(-0.5 * ((t - time) / _BURST_SD_S) ** 2)
        gain[muscle] += bump.astype(np.float32)
    return gain


def mains(
    phases: NDArray[np.float64],
    amplitudes_uv: NDArray[np.float64],
    mains_hz: float,
    seconds: int,
    sfreq: int,
) -> Float32Array:
    """Mains hum.

    Parameters
    ----------
    phases, amplitudes_uv : ndarray, shape (n_electrodes,)
        Phase in radians and amplitude in uV at each electrode.
    mains_hz : float
        50 or 60.
    seconds, sfreq : int
        Length and sampling rate.

    Returns
    -------
    ndarray of float32, shape (n_electrodes, seconds * sfreq + 1)
        Microvolts.
    """
    angle = 2 * np.pi * mains_hz * np.arange(seconds * sfreq + 1) / sfreq
    parts = np.stack([np.sin(angle), np.cos(angle)]).astype(np.float32)
    weights = amplitudes_uv[:, None] * np.stack([np.cos(phases), np.sin(phases)], axis=1)
    return np.asarray(weights.astype(np.float32) @ parts)
