"""Named electrode sets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from affectrum import catalog
from affectrum.catalog import deap, seed
from affectrum.electrodes import require_canonical
from affectrum.errors import ElectrodeError, did_you_mean

__all__ = ["COMMON32", "DEAP32", "SEED62", "SETS", "common_electrodes", "electrode_set"]

SEED62 = seed.ELECTRODES
"""The 62 electrodes of the SEED corpora, in the order of their files."""

DEAP32 = deap.ELECTRODES
"""The 32 electrodes of DEAP, in the order of its preprocessed files."""

COMMON32 = DEAP32
"""The electrodes that SEED, SEED-IV and DEAP share: all 32 of DEAP are in the SEED cap."""

SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"SEED62": SEED62, "DEAP32": DEAP32, "COMMON32": COMMON32}
)
"""Set names that `electrode_set` knows, besides the names of corpora."""


_COMMON = re.compile(r"common\((?P<sets>[^()]+)\)", re.IGNORECASE)


def electrode_set(electrodes: str | Sequence[str]) -> tuple[str, ...]:
    """Return the electrodes of a set.

    Parameters
    ----------
    electrodes : str or sequence of str
        A name in `SETS`, a corpus's name (its electrodes in file order), what several of these
        have in common, as in ``"common(SEED, FACED)"``, or electrode names.

    Returns
    -------
    tuple of str
        Canonical names, in order.

    Raises
    ------
    ElectrodeError
        If the name is not known, or electrode names are unknown, repeated or none.
    """
    if isinstance(electrodes, str):
        by_folded = {name.casefold(): names for name, names in SETS.items()}
        found = by_folded.get(electrodes.casefold())
        if found is not None:
            return found
        shared = _COMMON.fullmatch(electrodes.strip())
        if shared is not None:
            return common_electrodes(*(name.strip() for name in shared["sets"].split(",")))
        if catalog.is_known(electrodes):
            known = catalog.get(electrodes).electrodes
            if not known:
                raise ElectrodeError(
                    f"No source names the electrodes of {electrodes}; give a list of names."
                )
            return known
        allowed = (*SETS, *catalog.names())
        raise ElectrodeError(
            f"Unknown electrode set {electrodes!r}. Known sets are {', '.join(allowed)}; or give "
            "a list of electrode names." + did_you_mean(electrodes, allowed)
        )
    if not len(electrodes):
        raise ElectrodeError("An electrode set needs at least one electrode; received none.")
    return require_canonical(electrodes)


def common_electrodes(*caps: str | Sequence[str]) -> tuple[str, ...]:
    """Return the electrodes that all of several sets have.

    Parameters
    ----------
    *caps : str or sequence of str
        Sets as `electrode_set` takes them.

    Returns
    -------
    tuple of str
        Canonical names in the order of the smallest set (the first of equally small ones).

    Raises
    ------
    ElectrodeError
        If no set is given, or they have no electrode in common.
    """
    sets = [electrode_set(cap) for cap in caps]
    if not sets:
        raise ElectrodeError("Common electrodes of which sets? Give at least one.")
    smallest = min(sets, key=len)
    shared = tuple(name for name in smallest if all(name in other for other in sets))
    if not shared:
        raise ElectrodeError(
            "The electrode sets have no electrode in common: "
            + "; ".join(" ".join(names) for names in sets)
        )
    return shared
