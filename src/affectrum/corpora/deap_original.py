"""DEAP's original recordings: which channels are electrodes, and where the videos begin.

The names in the header are right although subjects 1-22 were recorded in another order than
23-32. The channel with the event codes is called "Status", or has no name (readers that make
names unique call it "-0" or "-1"), so it is recognised by its codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum import electrodes
from affectrum.catalog import deap as catalogued
from affectrum.recordings.biosemi import BdfFile

__all__ = ["electrode_picks", "read_header"]

_STATUS_NAMES: Final = frozenset(
    name.casefold() for subject in range(1, 33) for name in catalogued.status_names(subject)
) | {""}


def read_header(path: Path) -> dict[str, Any]:
    """Return names, rate, length and events of an original recording.

    Parameters
    ----------
    path : Path
        A .bdf file.

    Returns
    -------
    dict
        ``names``, ``sfreq``, ``n_samples``; ``status``: position of the channel with the codes or
        None; ``starts``: samples at which videos begin; ``stops``: for each, the sample at which
        it ends by code, or the next start, or the end of the recording.

    Raises
    ------
    FileFormatError
        The file is damaged.
    """
    file = BdfFile(path)
    header: dict[str, Any] = {
        "names": list(file.names),
        "sfreq": file.sfreq,
        "n_samples": file.n_samples,
        "status": None,
        "starts": [],
        "stops": [],
    }
    for position, name in enumerate(file.names):
        if name.casefold() not in _STATUS_NAMES:
            continue
        # the codes' high bits differ between the sites; the low byte is the event
        codes = file.codes(position) & 0xFF
        starts = _onsets(codes, catalogued.EVENT_VIDEO_START)
        if not len(starts):
            continue
        stops = _onsets(codes, catalogued.EVENT_AFTER_VIDEO)
        ends = np.unique(np.concatenate([stops, starts, [file.n_samples]]))
        header["status"] = position
        header["starts"] = [int(start) for start in starts]
        header["stops"] = [int(ends[np.searchsorted(ends, start, "right")]) for start in starts]
        break
    return header


def _onsets(codes: np.ndarray[Any, Any], code: int) -> np.ndarray[Any, Any]:
    """Return the samples at which a code begins."""
    here = codes == code
    return np.flatnonzero(here & ~np.r_[False, here[:-1]])


def electrode_picks(names: Sequence[str], channels: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the positions of electrodes by the names in a header, and those that are missing.

    Parameters
    ----------
    names : sequence of str
        The header's names.
    channels : sequence of str
        Canonical names in the wanted order.

    Returns
    -------
    list of int, list of str
        Positions in the order of `channels`; missing names.
    """
    place: dict[str | None, int] = {}
    for position, name in enumerate(electrodes.canonical(name) for name in names):
        place.setdefault(name, position)
    missing = [name for name in channels if name not in place]
    return [place[name] for name in channels if name in place], missing
