"""Differences and ratios of features between electrodes: DASM, RASM, ASM and DCAU.

Zheng and Lu 2015 (doi 10.1109/TAMD.2015.2431497) define, on differential entropy, DASM = left -
right and RASM = left / right over 27 pairs of hemispheres, ASM = both, and DCAU = frontal -
posterior over 23 pairs. The pairs follow from the names of the 10-05 system, see
`left_right_pairs` and `frontal_posterior_pairs`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrum.errors import ConfigError, ElectrodeError, check_option
from affectrum.signals.checks import float_dtype

__all__ = ["asymmetry", "electrode_pairs", "frontal_posterior_pairs", "left_right_pairs"]

KINDS = ("dasm", "rasm", "asm", "dcau")

Pairs = Sequence[tuple[int, int]] | Sequence[tuple[str, str]]

# frontal row -> the row at the same distance behind the line T7-Cz-T8
_MIRROR_ROWS = {
    "FP": "O",
    "AF": "PO",
    "F": "P",
    "FT": "TP",
    "FC": "CP",
}


def _split(name: str) -> tuple[str, str] | None:
    """Return row letters and place (number or Z) of an electrode name, upper case."""
    match = re.fullmatch(r"([A-Z]+?)(\d+|Z)", name.strip().upper())
    return (match[1], match[2]) if match else None


def left_right_pairs(channels: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return pairs of electrodes that mirror each other in the midline.

    In the 10-05 system odd numbers are left and the next even number is the mirror place: F3 and
    F4. The 62 electrodes of SEED have 27 such pairs.

    Parameters
    ----------
    channels : sequence of str
        Electrode names.

    Returns
    -------
    tuple of (left, right)
        Indices into `channels`, in the order of the left electrodes.
    """
    index = {name.strip().upper(): position for position, name in enumerate(channels)}
    pairs = []
    for position, name in enumerate(channels):
        parts = _split(name)
        if parts is None or parts[1] == "Z" or int(parts[1]) % 2 == 0:
            continue
        other = index.get(f"{parts[0]}{int(parts[1]) + 1}")
        if other is not None:
            pairs.append((position, other))
    return tuple(pairs)


def frontal_posterior_pairs(channels: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return pairs of electrodes that mirror each other in the line T7-Cz-T8.

    Fp with O, AF with PO, F with P, FT with TP and FC with CP, at the same number. The 62
    electrodes of SEED have 23 such pairs, as many as DCAU is published with; the
    published list itself is not in the corpus's files.

    Parameters
    ----------
    channels : sequence of str
        Electrode names.

    Returns
    -------
    tuple of (frontal, posterior)
        Indices into `channels`, in the order of the frontal electrodes.
    """
    index = {name.strip().upper(): position for position, name in enumerate(channels)}
    pairs = []
    for position, name in enumerate(channels):
        parts = _split(name)
        if parts is None or parts[0] not in _MIRROR_ROWS:
            continue
        other = index.get(_MIRROR_ROWS[parts[0]] + parts[1])
        if other is not None:
            pairs.append((position, other))
    return tuple(pairs)


def electrode_pairs(
    pairs: Pairs, channels: Sequence[str] | None, n_channels: int
) -> NDArray[np.int64]:
    """Return pairs of names or indices as indices.

    Parameters
    ----------
    pairs : sequence of (int, int) or of (str, str)
        Electrodes by index or by name, case ignored.
    channels : sequence of str or None
        Electrode names; needed for pairs of names.
    n_channels : int
        Number of electrodes.

    Returns
    -------
    ndarray of int, shape (n_pairs, 2)

    Raises
    ------
    ElectrodeError
        With every name or index that does not exist.
    """
    index = {name.strip().upper(): k for k, name in enumerate(channels)} if channels else {}
    unknown: list[str] = []
    out = []
    for pair in pairs:
        indices = []
        for item in pair:
            position = index.get(item.strip().upper(), -1) if isinstance(item, str) else int(item)
            if not 0 <= position < n_channels:
                unknown.append(repr(item))
            indices.append(position)
        if len(indices) != 2:
            raise ConfigError(f"'pairs' must hold two electrodes each; received {pair!r}.")
        out.append(indices)
    if unknown:
        names = f": {', '.join(channels)}" if channels else " (no 'channels' given)"
        raise ElectrodeError(
            f"'pairs' names electrodes that are not there: {', '.join(unknown)}. There are "
            f"{n_channels} electrodes{names}."
        )
    return np.array(out, dtype=np.int64).reshape(-1, 2)


def asymmetry(
    features: ArrayLike,
    *,
    kind: str = "dasm",
    channels: Sequence[str] | None = None,
    pairs: Pairs | None = None,
) -> NDArray[Any]:
    """Return differences or ratios of features between pairs of electrodes.

    Parameters
    ----------
    features : ndarray, shape (..., n_channels, n_bands)
        Differential entropy (or another feature) per electrode and band.
    kind : {"dasm", "rasm", "asm", "dcau"}
        "dasm": first - second of each left-right pair. "rasm": first / second; on differential
        entropy this ratio of logarithms depends on the unit, and published values are of
        microvolts. "asm": "dasm" above "rasm". "dcau": first - second of each
        frontal-posterior pair.
    channels : sequence of str or None
        Electrode names, needed unless `pairs` are indices.
    pairs : sequence of pairs or None
        Indices or names; None derives them from `channels`.

    Returns
    -------
    ndarray, shape (..., n_pairs, n_bands), for "asm" (..., 2 * n_pairs, n_bands)
        A ratio whose denominator is 0 is NaN. float32 for float32 input, else float64.

    Raises
    ------
    ConfigError
        If `kind` is unknown, or neither `channels` nor `pairs` are given.
    ElectrodeError
        If a pair names electrodes that are not there, or none can be derived.
    """
    check_option("kind", kind, KINDS)
    array = np.asarray(features)
    if array.ndim < 2:
        raise ConfigError(
            "'features' must have the axes (..., n_channels, n_bands); received shape "
            f"{array.shape}."
        )
    n_channels = array.shape[-2]
    if channels is not None and len(channels) != n_channels:
        raise ConfigError(
            f"'channels' has {len(channels)} names, but 'features' has {n_channels} electrodes "
            f"(shape {array.shape})."
        )
    if pairs is None:
        if channels is None:
            raise ConfigError("Give 'channels', to derive the pairs, or 'pairs'; both are None.")
        pairs = frontal_posterior_pairs(channels) if kind == "dcau" else left_right_pairs(channels)
        if not pairs:
            raise ElectrodeError(
                f"kind={kind!r}: no pair of mirror electrodes among {', '.join(channels)}. Give "
                "'pairs'."
            )
    chosen = electrode_pairs(pairs, channels, n_channels)
    dtype = float_dtype(array)
    first = array[..., chosen[:, 0], :].astype(np.float64)
    second = array[..., chosen[:, 1], :].astype(np.float64)
    parts = []
    if kind != "rasm":
        parts.append(first - second)
    if kind in ("rasm", "asm"):
        parts.append(np.divide(first, second, out=np.full(first.shape, np.nan), where=second != 0))
    return np.concatenate(parts, axis=-2).astype(dtype, copy=False)
