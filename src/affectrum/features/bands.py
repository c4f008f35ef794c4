"""Frequency bands: the named sets of the field, and a user's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from affectrum.errors import ConfigError, check_option

__all__ = ["BANDS", "Band", "BandsLike", "get_bands"]


@dataclass(frozen=True)
class Band:
    """A frequency band, half-open: `low` belongs to it, `high` to the band above.

    Attributes
    ----------
    name : str
        The band's name, for example "alpha".
    low, high : float
        Edges in Hz.
    """

    name: str
    low: float
    high: float


BandsLike = str | Mapping[str, Sequence[float]] | Sequence["Band | Sequence[float]"]


def _bands(**edges: tuple[float, float]) -> tuple[Band, ...]:
    return tuple(Band(name, float(low), float(high)) for name, (low, high) in edges.items())


BANDS: Mapping[str, tuple[Band, ...]] = MappingProxyType(
    {
        # pages of SEED-IV, SEED-V and SEED-VII
        "seed": _bands(delta=(1, 4), theta=(4, 8), alpha=(8, 14), beta=(14, 31), gamma=(31, 50)),
        # Zheng and Lu 2015 (doi 10.1109/TAMD.2015.2431497) and SEED's demonstration code
        "seed-classic": _bands(
            delta=(1, 3), theta=(4, 7), alpha=(8, 13), beta=(14, 30), gamma=(31, 50)
        ),
        # the published feature code of SEED-VII stops at 49 Hz
        "seed-vii": _bands(
            delta=(1, 4), theta=(4, 8), alpha=(8, 14), beta=(14, 31), gamma=(31, 49)
        ),
        # feature code published with FACED (Chen et al. 2023, doi 10.1038/s41597-023-02650-w)
        "faced": _bands(delta=(1, 4), theta=(4, 8), alpha=(8, 14), beta=(14, 30), gamma=(30, 47)),
        # DEAP and AMIGOS are distributed filtered to 4-45 Hz, and mains lies at 50 Hz in SEED
        "cross-corpus": _bands(theta=(4, 8), alpha=(8, 14), beta=(14, 31), gamma=(31, 45)),
    }
)


def get_bands(bands: BandsLike) -> tuple[Band, ...]:
    """Return bands from a set's name or from the edges themselves.

    Parameters
    ----------
    bands : str, mapping or sequence
        A name from `BANDS`; a mapping from band name to (low, high) in Hz; or a sequence of `Band`
        or (low, high).

    Returns
    -------
    tuple of Band
        In the order given.

    Raises
    ------
    ConfigError
        If the name is unknown, or with all faults of the edges: low below 0, high not above low,
        values that are not finite, a name used twice, no band at all.
    """
    if isinstance(bands, str):
        return BANDS[check_option("bands", bands, tuple(BANDS))]
    items: list[tuple[str, object]]
    if isinstance(bands, Mapping):
        items = [(str(name), edges) for name, edges in bands.items()]
    else:
        items = [
            (band.name, (band.low, band.high)) if isinstance(band, Band) else ("", band)
            for band in bands
        ]
    found: list[Band] = []
    problems: list[str] = []
    for name, edges in items:
        try:
            low, high = (float(edge) for edge in edges)  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            problems.append(f"{name or edges!r}: expected (low, high) in Hz, received {edges!r}")
            continue
        label = name or f"{low:g}-{high:g} Hz"
        if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high):
            problems.append(f"{label}: needs 0 <= low < high in Hz, received {low:g} and {high:g}")
        elif any(band.name == label for band in found):
            problems.append(f"{label}: this name stands twice")
        else:
            found.append(Band(label, low, high))
    if not items:
        problems.append("no band is given")
    if problems:
        raise ConfigError(
            "'bands' can't be used: "
            + "; ".join(problems)
            + ". Give one of the sets "
            + ", ".join(repr(name) for name in BANDS)
            + ' or a mapping such as {"alpha": (8, 14)}.'
        )
    return tuple(found)
