"""One electrode set to another: pick, interpolate, pad, pool; and re-referencing.

>>> from affectrum.harmonise import electrode_set, harmonise_matrix
>>> to32 = harmonise_matrix(electrode_set("SEED62"), "DEAP32")
>>> to32.matrix.shape, to32.how
((32, 62), 'pick')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.harmonise.matrices import (
    AUTO_MAX_ANGLE_DEG,
    AUTO_MIN_ELECTRODES,
    AUTO_MIN_MEASURED,
    HOW,
    MIN_INTERPOLATION_ELECTRODES,
    Harmonised,
    harmonise_matrix,
    region_matrix,
    rereference,
)
from affectrum.harmonise.sets import (
    COMMON32,
    DEAP32,
    SEED62,
    SETS,
    common_electrodes,
    electrode_set,
)
from affectrum.harmonise.splines import spherical_spline_matrix

__all__ = [
    "AUTO_MAX_ANGLE_DEG",
    "AUTO_MIN_ELECTRODES",
    "AUTO_MIN_MEASURED",
    "COMMON32",
    "DEAP32",
    "HOW",
    "MIN_INTERPOLATION_ELECTRODES",
    "SEED62",
    "SETS",
    "Harmonised",
    "common_electrodes",
    "electrode_set",
    "harmonise_matrix",
    "interpolate",
    "pad",
    "pick",
    "region_matrix",
    "rereference",
    "spherical_spline_matrix",
]


def pick(
    x: NDArray[Any], channels: Sequence[str], target: str | Sequence[str]
) -> NDArray[np.float64]:
    """Pick the rows of an electrode set by name; the reference stays.

    Parameters
    ----------
    x : ndarray, shape (..., n_in, n_samples)
        Signals, volts.
    channels : sequence of str
        Names of the rows.
    target : str or sequence of str
        The electrodes that are wanted, in order.

    Returns
    -------
    ndarray, shape (..., n_target, n_samples)
        Volts.

    Raises
    ------
    ElectrodeError
        If one of them is missing.
    """
    return harmonise_matrix(channels, target, how="pick", reference="none").apply(x)


def interpolate(
    x: NDArray[Any], channels: Sequence[str], target: str | Sequence[str]
) -> NDArray[np.float64]:
    """Fill an electrode set, missing ones by spherical splines; the reference stays.

    Parameters
    ----------
    x : ndarray, shape (..., n_in, n_samples)
        Signals, volts.
    channels : sequence of str
        Names of the rows.
    target : str or sequence of str
        The electrodes that are wanted, in order.

    Returns
    -------
    ndarray, shape (..., n_target, n_samples)
        Volts.

    Raises
    ------
    ElectrodeError
        If there are too few electrodes to interpolate from.
    """
    return harmonise_matrix(channels, target, how="interpolate", reference="none").apply(x)


def pad(
    x: NDArray[Any], channels: Sequence[str], target: str | Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Fill an electrode set, missing ones with 0, and say which are measured; no referencing.

    Parameters
    ----------
    x : ndarray, shape (..., n_in, n_samples)
        Signals, volts.
    channels : sequence of str
        Names of the rows.
    target : str or sequence of str
        The electrodes that are wanted, in order.

    Returns
    -------
    x : ndarray, shape (..., n_target, n_samples)
        Volts.
    mask : ndarray of bool, shape (n_target,)
        Which rows are measured.

    Raises
    ------
    ElectrodeError
        If none of the electrodes is there.
    """
    found = harmonise_matrix(channels, target, how="pad", reference="none")
    return found.apply(x), found.mask
