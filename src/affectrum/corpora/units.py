"""Units of numbers: stated by the user, or told by how much scalp EEG varies."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

__all__ = ["VOLTS_PER", "measure_unit", "spread"]

VOLTS_PER: Final[dict[str, float]] = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "nV": 1e-9}
"""Volts per unit, by the names that options and headers use."""

# The interquartile range of scalp EEG lies between half a microvolt and half a millivolt, so it
# tells units that are a factor of thousand apart. So near to an edge it does not.
_LOWEST_V: Final = 5e-7
_DOUBT: Final = 2.0


def spread(x: np.ndarray[Any, Any]) -> float:
    """Return the median over channels of the interquartile range, NaN if nothing varies.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Numbers in any unit; flat channels and samples that are not finite are left out.

    Returns
    -------
    float
        In the unit of `x`.
    """
    ranges = []
    for row in np.asarray(x, dtype=np.float64):
        finite = row[np.isfinite(row)]
        if finite.size and finite.max() > finite.min():
            low, high = np.percentile(finite, [25, 75])
            ranges.append(high - low)
    return float(np.median(ranges)) if ranges else float("nan")


def measure_unit(x: np.ndarray[Any, Any]) -> str | None:
    """Tell the unit of EEG by how much it varies.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Numbers of one recording.

    Returns
    -------
    str or None
        "V", "mV", "uV" or "nV"; None where the spread is near the border of two units, or is no
        EEG's in any of them: then the user has to say it.
    """
    value = spread(x)
    if not value > 0:
        return None
    for unit, volts in VOLTS_PER.items():
        low, high = _LOWEST_V / volts, 1000 * _LOWEST_V / volts
        if low * _DOUBT <= value <= high / _DOUBT:
            return unit
    return None
