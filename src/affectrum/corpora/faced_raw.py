"""FACED's original recordings: channels, unit and rate of data.bdf, the videos in evt.bdf.

A number from 1 to 28 in the events names a video, 101 is its start, 102 its end. Starts that no
video's number precedes were sent by mistake and are passed over; of two starts of one video the
later is the real one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import faced as catalogued
from affectrum.corpora.deap_original import electrode_picks
from affectrum.corpora.units import VOLTS_PER, measure_unit, spread
from affectrum.errors import FileFormatError
from affectrum.recordings.bdf_annotations import read_annotations
from affectrum.recordings.biosemi import BdfFile

__all__ = ["choose_unit", "ear_picks", "read_events", "read_header", "unit_name", "video_spans"]

_STATUS: Final = "status"
_UNITS: Final = {"uv": "uV", "µv": "uV", "μv": "uV", "v": "V", "mv": "mV", "nv": "nV"}
# the ears, and what the second cohort's recordings call the channels at their place
_EARS: Final = {"A2": ("a2", "heor"), "A1": ("a1", "heol")}
_MEASURED_S: Final = 20
_POSSIBLE_V: Final = (1e-8, 1e-2)  # what a recording may vary by within a second, very widely


def unit_name(text: str) -> str | None:
    """Return a unit as this project spells it, or None if it is no voltage ("n/a", "?V", "")."""
    return _UNITS.get(text.strip().casefold())


def ear_picks(names: Sequence[str]) -> list[int]:
    """Return the positions of A2 and A1, or of HEOR and HEOL; fewer if they are not there."""
    folded = [name.strip().casefold() for name in names]
    return [
        next(i for i, name in enumerate(folded) if name in known)
        for known in _EARS.values()
        if any(name in known for name in folded)
    ]


def read_header(path: Path) -> dict[str, Any]:
    """Return what the header of a recording says, and which unit its numbers have.

    Parameters
    ----------
    path : Path
        A data.bdf.

    Returns
    -------
    dict
        ``names``, ``sfreq``, ``n_samples``; ``unit``: the header's for all electrodes or None;
        ``unit_text``: what the header has there; ``spread``: how much the numbers vary within
        seconds in the middle of the recording; ``measured``: the unit by that, or None.

    Raises
    ------
    FileFormatError
        The file is damaged.
    """
    file = BdfFile(path)
    picks, _ = electrode_picks(file.names, catalogued.ELECTRODES)
    texts = list(dict.fromkeys(file.units[pick] for pick in picks))
    stated = {unit_name(text) for text in texts}
    return {
        "names": list(file.names),
        "sfreq": file.sfreq,
        "n_samples": file.n_samples,
        "unit": stated.pop() if len(stated) == 1 else None,
        "unit_text": ", ".join(repr(text) for text in texts[:3]),
        **_measure(file, picks),
    }


def _measure(file: BdfFile, picks: list[int]) -> dict[str, Any]:
    length = round(file.sfreq)
    n = min(_MEASURED_S, file.n_samples // max(length, 1))
    if not picks or n < 1:
        return {"spread": float("nan"), "measured": None}
    start = (file.n_samples - n * length) // 2
    x = file.read(picks, start, start + n * length, volts_per_unit=1.0)
    # by second: amplifiers without a high-pass drift by more than the EEG varies
    seconds = x.reshape(-1, length)
    return {"spread": spread(seconds), "measured": measure_unit(seconds)}


def choose_unit(
    told: str | None, header: Mapping[str, Any], listed: str | None
) -> tuple[str | None, str]:
    """Decide on the unit of a recording.

    Parameters
    ----------
    told : str or None
        What the user says.
    header : mapping
        Result of `read_header`.
    listed : str or None
        What Recording_info.csv says.

    Returns
    -------
    unit : str or None
        A name of `affectrum.corpora.units.VOLTS_PER`; None if it can't be told.
    why : str
        ``"told"``, ``"stated"`` (and not contradicted), ``"measured"`` (nothing states one), or
        ``"contradicted"`` (the numbers have another unit than what is stated).
    """
    measured, stated = header["measured"], header["unit"] or listed
    if told is not None:
        return told, "told"
    if stated is None:
        return measured, "measured"
    low, high = _POSSIBLE_V
    impossible = not low < header["spread"] * VOLTS_PER[stated] < high
    if impossible and measured is not None and measured != stated:
        return measured, "contradicted"
    return stated, "stated"


def read_events(path: Path) -> list[list[float]]:
    """Return the numeric events of an evt.bdf.

    Parameters
    ----------
    path : Path
        The file: annotations (BDF+), or a channel called Status.

    Returns
    -------
    list of [float, int]
        Seconds from the start of the recording, and code; in the order of time.

    Raises
    ------
    FileFormatError
        The file is damaged, or holds events in neither form.
    """
    try:
        annotations = read_annotations(path)
    except FileFormatError as error:
        if "no channel of annotations" not in str(error):
            raise
        return _from_status(path, error)
    # texts are remarks of the amplifier (impedances, for one)
    return [[a.onset_s, int(a.text)] for a in annotations if re.fullmatch(r"\d{1,6}", a.text)]


def _from_status(path: Path, error: FileFormatError) -> list[list[float]]:
    file = BdfFile(path)
    for position, name in enumerate(file.names):
        if name.casefold() == _STATUS:
            codes = file.codes(position) & 0xFF
            begins = np.flatnonzero((codes != 0) & (codes != np.r_[0, codes[:-1]]))
            return [[float(i / file.sfreq), int(codes[i])] for i in begins]
    raise error


def video_spans(
    events: Sequence[Sequence[float]],
) -> tuple[list[tuple[int, float, float]], list[str]]:
    """Find the videos in the events.

    Parameters
    ----------
    events : sequence of (float, int)
        Result of `read_events`.

    Returns
    -------
    spans : list of (int, float, float)
        Video, start and end in seconds, in the order of presentation.
    complaints : list of str
        Events that fit nowhere.
    """
    spans, complaints = [], []
    video: int | None = None
    start: float | None = None
    for onset, code in events:
        if 1 <= code <= catalogued.N_VIDEOS:
            if start is not None:
                complaints.append(f"video {video} has no end")
            video, start = int(code), None
        elif code == catalogued.EVENT_VIDEO_ON:
            if video is None:
                complaints.append(f"a start at {onset:.1f} s belongs to no video")
                continue
            if start is not None:
                complaints.append(f"video {video} has two starts, the later was taken")
            start = onset
        elif code == catalogued.EVENT_VIDEO_OFF:
            if video is None or start is None:
                complaints.append(f"an end at {onset:.1f} s belongs to no video")
                continue
            spans.append((video, start, onset))
            video = start = None
    if start is not None:
        complaints.append(f"video {video} has no end")
    return spans, complaints
