"""Marking windows that hold artefacts, with the reason for each; nothing is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError
from affectrum.signals.checks import as_signal, check_sfreq

__all__ = ["REASONS", "ArtefactMarks", "mark_artefacts"]

REASONS = ("not finite", "flat", "amplitude", "jump", "muscle")

# Peak-to-peak below which an electrode counts as flat: the value of MNE's manual on rejecting bad
# data spans (flat criterion for EEG, 1 µV).
FLAT = 1e-6
# Largest peak-to-peak: ±100 µV, a common limit for scalp EEG without eye correction.
AMPLITUDE = 200e-6
# Largest difference between neighbouring samples. The project's choice: half of AMPLITUDE within
# one sample, which no rhythm below 40 Hz of allowed amplitude reaches at 250 Hz and above.
JUMP = 100e-6
# Largest share of the power from 4 to 45 Hz that may lie above 30 Hz. The project's choice: white
# noise has 15/41 = 0.37 there, brain signals with their falling spectrum less, muscle more.
MUSCLE = 0.5
_MUSCLE_BAND = (4.0, 30.0, 45.0)


@dataclass(frozen=True)
class ArtefactMarks:
    """Which windows and electrodes hold artefacts, and why.

    Attributes
    ----------
    reasons : dict of str to ndarray of bool, shape (..., n_windows, n_channels)
        For each reason in `REASONS`, where it holds. Criteria that were switched off, or that the
        sampling rate does not allow, are missing.
    thresholds : dict of str to float
        The limits used, in the units of `mark_artefacts`.
    """

    reasons: dict[str, NDArray[np.bool_]]
    thresholds: dict[str, float]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where any reason holds, shape (..., n_windows, n_channels)."""
        marked: NDArray[np.bool_] = np.logical_or.reduce(list(self.reasons.values()))
        return marked

    def windows(self, share: float = 0.0) -> NDArray[np.bool_]:
        """Return which windows have more than `share` of their electrodes marked.

        Parameters
        ----------
        share : float
            From 0 (one marked electrode is enough) to 1.

        Returns
        -------
        ndarray of bool, shape (..., n_windows)
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"'share' must lie between 0 and 1; received {share!r}.")
        marked: NDArray[np.bool_] = self.mask.mean(axis=-1) > share
        return marked

    def counts(self) -> dict[str, int]:
        """Return for each reason the number of (window, electrode) pairs marked by it."""
        return {reason: int(np.count_nonzero(where)) for reason, where in self.reasons.items()}

    def __str__(self) -> str:
        mask = self.mask
        parts = ", ".join(f"{reason} {count}" for reason, count in self.counts().items())
        return (
            f"{int(np.count_nonzero(mask))} of {mask.size} (window, electrode) pairs marked "
            f"({parts}); {int(np.count_nonzero(self.windows()))} of {self.windows().size} windows "
            "hold at least one"
        )


def _check_limit(name: str, value: float | None) -> None:
    if value is not None and not (np.isfinite(value) and value >= 0):
        raise ConfigError(
            f"{name!r} must be a number from 0 in its unit, or None to switch the criterion off; "
            f"received {value!r}."
        )


def mark_artefacts(
    windows: ArrayLike,
    sfreq: float,
    *,
    flat: float | None = FLAT,
    amplitude: float | None = AMPLITUDE,
    jump: float | None = JUMP,
    muscle: float | None = MUSCLE,
) -> ArtefactMarks:
    """Mark windows and electrodes that hold artefacts.

    Parameters
    ----------
    windows : ndarray, shape (..., n_windows, n_channels, n_samples), volts
        Windows as `segment` gives them. NaN and infinite samples are allowed: their window is
        marked "not finite" and by no other reason.
    sfreq : float
        Sampling rate in Hz.
    flat : float or None
        "flat": peak-to-peak in volts below this.
    amplitude : float or None
        "amplitude": peak-to-peak in volts above this.
    jump : float or None
        "jump": difference in volts between neighbouring samples above this.
    muscle : float or None
        "muscle": share of the power between 4 and 45 Hz (or the Nyquist frequency) that lies above
        30 Hz is above this, from 0 to 1. Skipped at rates below 80 Hz. Meaningless for
        signals low-passed at 30 Hz, for which it marks nothing.

    Returns
    -------
    ArtefactMarks
        Marks for each reason; None switches a criterion off.

    Raises
    ------
    ConfigError
        If a limit is negative or the axes are missing.
    """
    rate = check_sfreq(sfreq)
    array = as_signal(windows, "windows", min_ndim=3)
    limits = {"flat": flat, "amplitude": amplitude, "jump": jump, "muscle": muscle}
    for name, value in limits.items():
        _check_limit(name, value)
    x = array.astype(np.float64, copy=False)
    # NaN and infinite values survive both, so that two passes tell all about the range.
    with np.errstate(invalid="ignore"):
        peak_to_peak = np.asarray(x.max(axis=-1) - x.min(axis=-1))
    finite: NDArray[np.bool_] = np.isfinite(peak_to_peak)
    if not finite.all():
        x = np.where(finite[..., None], x, 0.0)
    reasons: dict[str, NDArray[np.bool_]] = {"not finite": ~finite}
    if flat is not None:
        reasons["flat"] = finite & (peak_to_peak < flat)
    if amplitude is not None:
        reasons["amplitude"] = finite & (peak_to_peak > amplitude)
    if jump is not None:
        # No jump is larger than the range, so only the few wide pairs need to be looked at.
        jumps = finite & (peak_to_peak > jump)
        if jumps.any():
            jumps[jumps] = np.abs(np.diff(x[jumps], axis=-1)).max(axis=-1, initial=0.0) > jump
        reasons["jump"] = jumps
    if muscle is not None and rate >= 80:
        reasons["muscle"] = finite & (_muscle_share(x, rate) > muscle)
    used = {name: float(value) for name, value in limits.items() if value is not None}
    return ArtefactMarks(reasons, {name: used[name] for name in used if name in reasons})


def _muscle_share(x: NDArray[np.float64], sfreq: float) -> NDArray[Any]:
    """Return the share of 4-45 Hz power above 30 Hz, shape (..., n_windows, n_channels)."""
    from scipy import fft

    n_samples = x.shape[-1]
    low, split, high = _MUSCLE_BAND
    freqs = np.arange(n_samples // 2 + 1) * (sfreq / n_samples)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_samples) / n_samples)
    centred = x - x.mean(axis=-1, keepdims=True)
    power = np.abs(fft.rfft(centred * taper, axis=-1)) ** 2
    total = power[..., (freqs >= low) & (freqs < high)].sum(axis=-1)
    above = power[..., (freqs >= split) & (freqs < high)].sum(axis=-1)
    share: NDArray[Any] = np.divide(above, total, out=np.zeros_like(total), where=total > 0)
    return share
