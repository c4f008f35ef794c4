"""Electrode names to rows of EMOD's embedding, and to places on the head.

The released table is the sorted union of the electrode names of nine corpora: 68 names numbered
from 1, in an embedding of 72 rows whose row 0 stands for a masked electrode. Two readings of a
name are offered:

``"canonical"``
    Names of one place share a row: T3, T4, T5, T6 are T7, T8, P7, P8, and mastoids (M1, M2) are
    the ears (A1, A2). A scalp electrode of the 10-05 system without a row of its own takes the
    row of the nearest one that has. Anything else takes row 0.
``"released"``
    Upper-case names as the released code numbers them: T3 and T7 are two electrodes, and each
    name that is not in the table takes row 0.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from affectrum.electrodes import (
    EMOD_IDENTITIES,
    HEAD_RADIUS_M,
    all_names,
    canonical,
    emod_identity,
    looks_like_biosemi,
    positions,
)
from affectrum.errors import check_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["N_ROWS", "UNKNOWN", "directions", "electrode_places", "electrode_rows"]

N_ROWS = 72
"""Rows of the released embedding; 1 to 68 are named, 69 to 71 are spare."""

UNKNOWN = 0
"""Row (and place) of electrodes that are not known."""

_EARS = {"M1": "A1", "M2": "A2"}
# Ears and mastoids have no 10-05 name; the electrode of the low ring that is nearest stands in.
_PLACE_OF_EAR = {"A1": "T9", "A2": "T10", "M1": "TP9", "M2": "TP10"}


@functools.cache
def _released() -> dict[str, int]:
    return {name: row for row, name in enumerate(EMOD_IDENTITIES, start=1)}


@functools.cache
def _nearest_row(name: str) -> int:
    """Return the row of the table's electrode that is nearest to a canonical name."""
    table = [known for known in map(canonical, _released()) if known is not None]
    places = positions(table)
    distances = ((places - positions([name])) ** 2).sum(axis=1)
    return _released()[table[int(distances.argmin())].upper()]


def electrode_rows(
    names: Sequence[str], table: Literal["canonical", "released"] = "canonical"
) -> list[int]:
    """Return the row of the embedding for each electrode.

    Parameters
    ----------
    names : sequence of str
        All electrode names of a recording, as it writes them.
    table : {"canonical", "released"}
        How names are read (see the module).

    Returns
    -------
    list of int
        1 to 68, or 0 for electrodes that are not known. If the list counts BioSemi's own positions
        (A1 ... A32, B1 ...), none is known: those are no 10-05 names.

    Raises
    ------
    ConfigError
        If `table` is not one of the two.

    Examples
    --------
    >>> electrode_rows(["T3", "T7"]), electrode_rows(["T3", "T7"], "released")
    ([65, 65], [61, 65])
    """
    check_option("electrode_table", table, ("canonical", "released"))
    if looks_like_biosemi(names):
        return [UNKNOWN] * len(names)
    rows = []
    for name in names:
        bare = emod_identity(name)
        if table == "released":
            rows.append(_released().get(bare, UNKNOWN))
            continue
        bare = _EARS.get(bare, bare)
        known = canonical(name)
        if known is not None:
            own = _released().get(known.upper())
            rows.append(_nearest_row(known) if own is None else own)
        else:
            rows.append(_released().get(bare, UNKNOWN))
    return rows


def electrode_places(names: Sequence[str]) -> list[int]:
    """Return the row of `directions` for each electrode.

    Parameters
    ----------
    names : sequence of str
        All electrode names of a recording, as it writes them.

    Returns
    -------
    list of int
        1 and more, or 0 where no place is known. A1 and A2 stand at T9 and T10, M1 and M2 at TP9
        and TP10.
    """
    if looks_like_biosemi(names):
        return [UNKNOWN] * len(names)
    table = {name: row for row, name in enumerate(all_names(), start=1)}
    rows = []
    for name in names:
        known = canonical(name) or _PLACE_OF_EAR.get(emod_identity(name))
        rows.append(UNKNOWN if known is None else table[known])
    return rows


def directions() -> NDArray[np.float64]:
    """Return the directions of all 10-05 electrodes from the centre of the head.

    Returns
    -------
    ndarray, shape (n_names + 1, 3)
        Unit vectors: x right, y front, z up. Row 0, of electrodes without a known place, is zero.
    """
    import numpy as np

    places = positions(all_names()) / HEAD_RADIUS_M
    return np.concatenate([np.zeros((1, 3)), places])
