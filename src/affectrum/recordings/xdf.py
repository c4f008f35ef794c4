"""XDF, the format of the Lab Streaming Layer's recorder."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum.errors import RecordingError
from affectrum.recordings.headset_csv import VOLTS_PER_UNIT
from affectrum.recordings.raw import check_channel_names

if TYPE_CHECKING:
    from mne.io import BaseRaw

__all__ = ["open_xdf"]

_LARGEST_CLOCK_ERROR: Final = 0.02


def open_xdf(path: Path, *, channels: Sequence[str] | None = None, notes: list[str]) -> BaseRaw:
    """Read the EEG stream of an XDF file.

    Parameters
    ----------
    path : Path
        The file.
    channels : sequence of str, optional
        Electrode names in stream order, if the stream's header has none.
    notes : list of str
        Remarks are appended.

    Returns
    -------
    mne.io.RawArray
        The stream in volts; marker streams become annotations.

    Raises
    ------
    RecordingError
        There is no EEG stream, it names no channels, or its unit is unknown.
    """
    import mne
    import pyxdf

    # opened here because pyxdf leaves a file open when it fails
    with gzip.open(path) if path.suffix.lower() == ".xdfz" else path.open("rb") as file:
        streams, _ = pyxdf.load_xdf(file)
    stream = _eeg_stream(streams, path, notes)
    info = stream["info"]
    data = np.asarray(stream["time_series"], dtype=np.float64)
    stamps = np.asarray(stream["time_stamps"], dtype=np.float64)
    if data.ndim != 2 or len(data) < 2:
        raise RecordingError(f"{path}: the EEG stream holds no samples.")
    described = _channels(info)
    n_channels = data.shape[1]
    if channels is not None:
        check_channel_names(channels, n_channels, path)
        names = list(channels)
    else:
        names = [_text(channel.get("label")) for channel in described]
        if len(names) != n_channels or not all(names):
            raise RecordingError(
                f"{path}: the EEG stream {_text(info.get('name'))!r} has {n_channels} channels "
                "without names in its header. Name them with --channels, in stream order."
            )
        check_channel_names(names, n_channels, path)
    scale = _volts(described, n_channels, path, notes)
    rate = _rate(info, stamps, notes)
    info_mne = mne.create_info(names, rate, "eeg")
    raw = mne.io.RawArray((data * scale).T, info_mne, verbose="ERROR")
    annotations = _markers(streams, float(stamps[0]), float(stamps[-1]))
    for _, end in info.get("segments", [])[:-1]:
        annotations.append(((end + 1) / rate, 0.0, "BAD boundary"))
        lost = float(stamps[end + 1] - stamps[end]) if end + 1 < len(stamps) else 0.0
        notes.append(f"A gap of {lost:.3g} s after sample {end + 1}; marked 'BAD boundary'.")
    if annotations:
        onsets, durations, words = zip(*annotations, strict=True)
        raw.set_annotations(mne.Annotations(onsets, durations, words), verbose="ERROR")
    return raw


def _text(value: Any) -> str:
    # pyxdf wraps every header text in a list
    while isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None else str(value).strip()


def _eeg_stream(streams: list[Any], path: Path, notes: list[str]) -> Any:
    eeg = [s for s in streams if _text(s["info"].get("type")).lower() == "eeg"]
    if not eeg:
        found = ", ".join(
            f"{_text(s['info'].get('name'))!r} of type {_text(s['info'].get('type'))!r}"
            for s in streams
        )
        raise RecordingError(f"{path}: no stream of type 'EEG'; found {found or 'no stream'}.")
    largest = max(eeg, key=lambda s: len(s["time_series"]))
    if len(eeg) > 1:
        notes.append(
            f"{len(eeg)} EEG streams; the longest was read: {_text(largest['info'].get('name'))!r}."
        )
    return largest


def _channels(info: Any) -> list[Any]:
    description = info.get("desc")
    node = description[0] if isinstance(description, list) and description else description
    for key in ("channels", "channel"):
        if not isinstance(node, dict):
            return []
        node = node.get(key)
        if key == "channels" and isinstance(node, list):
            node = node[0] if node else None
    if isinstance(node, dict):
        return [node]
    return [channel for channel in node or [] if isinstance(channel, dict)]


def _volts(
    described: list[Any], n_channels: int, path: Path, notes: list[str]
) -> np.ndarray[Any, Any]:
    units = [_text(channel.get("unit")).lower() for channel in described]
    if len(units) != n_channels or not all(units):
        notes.append("The stream's header names no unit; the numbers were taken as microvolts.")
        return np.full(n_channels, 1e-6)
    unknown = [unit for unit in units if unit not in VOLTS_PER_UNIT]
    if unknown:
        raise RecordingError(
            f"{path}: the unit {unknown[0]!r} of the EEG stream is not known; known are "
            f"{', '.join(VOLTS_PER_UNIT)}."
        )
    return np.array([VOLTS_PER_UNIT[unit] for unit in units])


def _rate(info: Any, stamps: np.ndarray[Any, Any], notes: list[str]) -> float:
    nominal = float(_text(info.get("nominal_srate")) or 0)
    effective = float(info.get("effective_srate") or 0)
    if not effective > 0:
        effective = (len(stamps) - 1) / float(stamps[-1] - stamps[0])
    if nominal > 0 and abs(effective - nominal) / nominal < _LARGEST_CLOCK_ERROR:
        if effective != nominal:
            notes.append(f"Nominal rate {nominal:g} Hz, effective {effective:.6g} Hz (used).")
        return effective
    notes.append(
        f"The header says {nominal:g} Hz, the time stamps {effective:.6g} Hz; the latter was used."
    )
    return effective


def _markers(streams: list[Any], first: float, last: float) -> list[tuple[float, float, str]]:
    found = []
    for stream in streams:
        if _text(stream["info"].get("type")).lower() not in ("markers", "marker", "events"):
            continue
        for stamp, value in zip(stream["time_stamps"], stream["time_series"], strict=False):
            if first <= stamp <= last:
                found.append((float(stamp) - first, 0.0, _text(list(value))))
    return sorted(found)
