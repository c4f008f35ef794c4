"""Which channels of which recordings are read, in which order and by which unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from affectrum.corpora.bids_files import BidsFile, DataSet, read_table
from affectrum.corpora.bids_mapping import BidsMapping
from affectrum.corpora.bids_recordings import choose, measured_unit, unit_of
from affectrum.corpora.cache import FileCache
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError

__all__ = ["Wiring", "wire"]

_SHOWN: Final = 10
_RATE_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Wiring:
    """How one recording is read.

    Parameters
    ----------
    picks : tuple of int
        Positions of the electrodes in the file, in the corpus's order.
    volts : ndarray, shape (n_channels,)
        Volts per number of the file.
    sfreq : float
        Samples per second.
    n_samples : int
        Length.
    """

    picks: tuple[int, ...]
    volts: np.ndarray[Any, Any]
    sfreq: float
    n_samples: int


class _Place(Protocol):
    @property
    def file(self) -> BidsFile: ...
    @property
    def where(self) -> str: ...


def wire(
    data_set: DataSet,
    mapping: BidsMapping,
    places: Sequence[_Place],
    headers: Mapping[str, dict[str, Any]],
    wanted: tuple[str, ...],
    cache: FileCache,
    log: ProblemLog,
) -> tuple[tuple[str, ...], dict[str, Wiring]]:
    """Return the corpus's electrodes, and how each recording gives them.

    Parameters
    ----------
    data_set : DataSet
        Where channels.tsv are.
    mapping : BidsMapping
        Its `signal`.
    places : sequence
        The recordings.
    headers : mapping of str to dict
        Their headers by path; those without one are left out.
    wanted : tuple of str
        The catalogue's electrodes; empty for those that all recordings have.
    cache : FileCache
        Keeps what was measured.
    log : ProblemLog
        Receives what is missing, assumed or contradictory.

    Returns
    -------
    tuple of str, dict of str to Wiring
        Canonical names, and the recordings that can be read, by path.
    """
    tables = {p.where: _channels(data_set, p, cache, log) for p in places if p.where in headers}
    chosen = {
        place.where: choose(
            headers[place.where]["names"], _column(tables[place.where], "type"), mapping.signal
        )
        for place in places
        if place.where in headers
    }
    channels = _electrodes(mapping, chosen, wanted, log)
    wirings: dict[str, Wiring] = {}
    assumed: Counter[str] = Counter()
    for place in places:
        if place.where not in chosen:
            continue
        found, header = chosen[place.where], headers[place.where]
        missing = [name for name in channels if name not in found]
        if missing or not channels:
            names = ", ".join(header["names"][:_SHOWN]) or "no channel"
            log.error(
                place.where,
                f"lacks {len(missing)} electrodes ({', '.join(missing[:_SHOWN])}); it names {names}"
                f"{' ...' if len(header['names']) > _SHOWN else ''}."
                if missing
                else f"has no electrodes of the 10-05 system; it names {names}.",
                "Name them by signal.rename in a mapping, or leave the recording out.",
            )
            continue
        picks = tuple(found[name] for name in channels)
        rates = {header["rates"][pick] for pick in picks}
        lengths = {header["lengths"][pick] for pick in picks}
        if len(rates) > 1 or len(lengths) > 1:
            log.error(place.where, f"its electrodes have several rates: {sorted(rates)} Hz.", "")
            continue
        sfreq = rates.pop()
        volts = _volts(mapping, place, header, picks, tables[place.where], cache, log, assumed)
        if volts is None:
            continue
        wirings[place.where] = Wiring(picks, volts, sfreq, lengths.pop())
        _compare_rate(data_set, place, sfreq, log)
    for what, n in assumed.items():
        log.note(".", f"{n} recordings: {what}.")
    return channels, wirings


def _channels(
    data_set: DataSet, place: _Place, cache: FileCache, log: ProblemLog
) -> dict[str, list[str]]:
    for file in data_set.companions(place.file, "channels", ".tsv"):
        try:
            table: dict[str, list[str]] = cache.get(file.path, "table", read_table)
        except FileFormatError as error:
            log.warning(place.where, str(error), "The names of the recording itself are used.")
            return {}
        return table if "name" in table else {}
    return {}


def _column(table: dict[str, list[str]], name: str) -> dict[str, str]:
    """Return a column of channels.tsv by the channel's name."""
    return dict(zip(table.get("name", ()), table.get(name, ()), strict=False))


def _electrodes(
    mapping: BidsMapping,
    chosen: Mapping[str, dict[str, int]],
    wanted: tuple[str, ...],
    log: ProblemLog,
) -> tuple[str, ...]:
    if mapping.signal.electrodes:
        listed = choose(mapping.signal.electrodes, {}, mapping.signal)
        return tuple(listed)
    if wanted or not chosen:
        return wanted
    first, *others = chosen.values()
    common = tuple(name for name in first if all(name in other for other in others))
    left_out = {name for found in chosen.values() for name in found} - set(common)
    if left_out:
        log.note(
            ".",
            "electrodes that not all recordings have were left out: "
            f"{', '.join(sorted(left_out))}.",
            "Name the wanted ones in signal.electrodes to leave out recordings instead.",
        )
    return common


def _volts(
    mapping: BidsMapping,
    place: _Place,
    header: dict[str, Any],
    picks: tuple[int, ...],
    table: dict[str, list[str]],
    cache: FileCache,
    log: ProblemLog,
    assumed: Counter[str],
) -> np.ndarray[Any, Any] | None:
    """Return volts per number for each electrode, None with a problem logged."""
    rule = mapping.signal.unit
    if rule in VOLTS_PER:
        return np.full(len(picks), VOLTS_PER[rule])
    listed = _column(table, "units")
    told = {
        "header": [unit_of(header["units"][pick]) for pick in picks],
        "channels.tsv": [unit_of(listed.get(header["names"][pick], "")) for pick in picks],
    }
    whole = {name: units for name, units in told.items() if all(units)}
    if rule == "auto" and len(whole) == 2 and whole["header"] != whole["channels.tsv"]:
        assumed["the header and channels.tsv name other units; the header's is used"] += 1
    for name in ("header", "channels.tsv"):
        if rule in (name, "auto") and name in whole:
            return np.array([VOLTS_PER[unit] for unit in whole[name] if unit is not None])
    if rule in ("header", "channels.tsv"):
        log.error(
            place.where,
            f"{rule} does not name the unit of its electrodes.",
            "Set signal.unit in the mapping to a unit, to auto or to measured.",
        )
        return None
    try:
        unit = cache.get(place.file.path, "unit", lambda path: measured_unit(Path(path), picks))
    except FileFormatError as error:
        log.error(place.where, str(error), "Copy the file again from its source.")
        return None
    if unit is None:
        log.error(
            place.where,
            "no file names the unit of its numbers, and how much they vary does not tell.",
            "Set signal.unit in the mapping.",
        )
        return None
    assumed[f"no file names the unit; by how much they vary it is {unit}"] += 1
    return np.full(len(picks), VOLTS_PER[unit])


def _compare_rate(data_set: DataSet, place: _Place, sfreq: float, log: ProblemLog) -> None:
    try:
        told = data_set.sidecar(place.file).get("SamplingFrequency")
    except FileFormatError as error:
        log.warning(place.where, str(error), "The recording's own header is used.")
        return
    if isinstance(told, int | float) and abs(told - sfreq) > _RATE_TOLERANCE * sfreq:
        log.warning(
            place.where,
            f"its JSON says {told:g} Hz, its header {sfreq:g} Hz.",
            "The header's is used.",
        )
