"""EEG in comma-separated files: Muse notebooks, Mind Monitor, and any table with a header.

Units: a unit in the header counts ("TP9 (uV)", "AF7 [mV]"); otherwise numbers are microvolts, the
convention of every headset export known, unless they vary by less than a thousandth of a
microvolt, which only numbers in volts do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum import electrodes
from affectrum.errors import RecordingError

if TYPE_CHECKING:
    import pandas as pd
    from mne.io import BaseRaw

__all__ = ["open_csv"]

_TIME: Final = re.compile(r"(?:time ?stamps?|time|t|lsl_?time|seconds|datetime)(?:\W.*)?", re.I)
_MARKER: Final = re.compile(r"(?:marker|stim|trigger|event|elements|annotation)s?\d*", re.I)
_UNIT: Final = re.compile(r"\s*[\(\[]\s*(?P<unit>[^\)\]]*)\s*[\)\]]\s*$")
_BAND: Final = re.compile(r"(?:delta|theta|alpha|beta|gamma)_", re.I)
VOLTS_PER_UNIT: Final[dict[str, float]] = {
    "uv": 1e-6,
    "µv": 1e-6,
    "μv": 1e-6,
    "microvolt": 1e-6,
    "microvolts": 1e-6,
    "mv": 1e-3,
    "millivolt": 1e-3,
    "millivolts": 1e-3,
    "nv": 1e-9,
    "nanovolts": 1e-9,
    "v": 1.0,
    "volt": 1.0,
    "volts": 1.0,
}
"""Names of voltage units in lower case, and their size in volts."""

# Below this rate there is no beta band (14-31 Hz, SEED's) left, so it is no recording of EEG.
_LOWEST_RATE_HZ: Final = 64.0
_LARGEST_MISSING: Final = 0.05
_LARGEST_OVERLAP_S: Final = 0.1


def open_csv(
    path: Path,
    *,
    channels: Sequence[str] | None = None,
    sfreq: float | None = None,
    notes: list[str],
) -> BaseRaw:
    """Read a table with one row per sample.

    Parameters
    ----------
    path : Path
        A comma-, semicolon- or tab-separated file with a header row.
    channels : sequence of str, optional
        Columns to read as electrodes, or new names for all signal columns in file order.
    sfreq : float, optional
        Sampling rate in Hz if there is no time column.
    notes : list of str
        Remarks are appended.

    Returns
    -------
    mne.io.RawArray
        The electrodes, in volts; marker columns become annotations.

    Raises
    ------
    RecordingError
        It holds no signals, no time, no electrode names, or too many missing values.
    """
    import mne

    table = _read(path)
    time_column = next((str(c) for c in table.columns if _TIME.fullmatch(str(c).strip())), None)
    columns = _electrode_columns(table, path, channels, time_column, notes)
    values = table[list(columns)].to_numpy(dtype=np.float64, copy=True)
    present = ~np.isnan(values).all(axis=1)
    if not present.any():
        raise RecordingError(f"{path}: the electrode columns hold no numbers.")
    seconds = _seconds(table, time_column, path)
    rate, gaps = _rate(None if seconds is None else seconds[present], sfreq, path)
    if rate < _LOWEST_RATE_HZ:
        hint = (
            " Mind Monitor: set the recording interval to 'Constant' and record again."
            if any(str(c).startswith("RAW_") for c in table.columns)
            else ""
        )
        raise RecordingError(
            f"{path}: {rate:.3g} rows per second: a summary export, not the EEG signal (at least "
            f"{_LOWEST_RATE_HZ:g} Hz are needed).{hint}"
        )
    values = _fill(values[present], path, notes)
    values *= _volts_per_number(values, list(columns), path, notes)
    info = mne.create_info([columns[c] for c in columns], rate, "eeg")
    raw = mne.io.RawArray(values.T, info, verbose="ERROR")
    annotations = _markers(table, np.cumsum(present) - present, rate)
    for onset, duration in gaps:
        annotations.append((onset, duration, "BAD gap"))
    if gaps:
        lost = sum(duration for _, duration in gaps)
        notes.append(f"{len(gaps)} gaps in the time column, {lost:.3g} s in all; marked 'BAD gap'.")
    if annotations:
        onsets, durations, words = zip(*annotations, strict=True)
        raw.set_annotations(mne.Annotations(onsets, durations, words), verbose="ERROR")
    return raw


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open("rb") as file:
            start = file.read(65536)
        if b"\0" in start:
            raise RecordingError(f"{path}: not a text file.")
        header = start.decode("utf-8-sig", "replace").splitlines()
        if not header or not header[0].strip():
            raise RecordingError(f"{path}: the file is empty; expected a header row.")
        separator = max(",;\t", key=header[0].count)
        table = pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}: not a table ({error}). Export it again.") from None
    table.columns = pd.Index([str(c).strip() for c in table.columns])
    if not len(table):
        raise RecordingError(f"{path}: has a header row and no samples.")
    return table


def _bare(column: str) -> str:
    return _UNIT.sub("", column).strip()


def _electrode_columns(
    table: pd.DataFrame,
    path: Path,
    channels: Sequence[str] | None,
    time_column: str | None,
    notes: list[str],
) -> dict[str, str]:
    """Return {column: electrode name}."""
    from pandas.api.types import is_numeric_dtype

    signal = [
        str(c)
        for c in table.columns
        if c != time_column and not _MARKER.fullmatch(str(c)) and is_numeric_dtype(table[c])
    ]
    if channels is not None:
        by_name = {_bare(c): c for c in signal}
        if all(name in by_name for name in channels):
            return {by_name[name]: name for name in channels}
        from affectrum.recordings.raw import check_channel_names

        check_channel_names(channels, len(signal), path)
        return dict(zip(signal, channels, strict=True))
    prefix = "RAW_" if any(c.startswith("RAW_") for c in signal) else ""
    found = {}
    for column in signal:
        name = _bare(column.removeprefix(prefix))
        canonical = electrodes.canonical(name)
        if column.startswith(prefix) and canonical is not None:
            found[column] = canonical
    if len(set(found.values())) < len(found):
        raise RecordingError(f"{path}: an electrode occurs twice: {', '.join(found)}.")
    if found:
        left = [c for c in signal if c not in found]
        if left:
            shown = ", ".join(left[:8]) + (" ..." if len(left) > 8 else "")
            notes.append(f"Columns that are no electrodes were left out: {shown}.")
        return found
    if any(_BAND.match(c) for c in signal):
        raise RecordingError(
            f"{path}: a summary export with band powers only ({signal[0]} ...), not the EEG "
            "signal. Export raw EEG (Mind Monitor: recording interval 'Constant')."
        )
    shown = ", ".join(signal[:8]) or "none"
    raise RecordingError(
        f"{path}: no column is named after an electrode; numeric columns: {shown}. Name them with "
        "--channels, in file order."
    )


def _seconds(table: pd.DataFrame, column: str | None, path: Path) -> np.ndarray[Any, Any] | None:
    import pandas as pd

    if column is None:
        return None
    times = table[column]
    if not pd.api.types.is_numeric_dtype(times):
        try:
            stamps = pd.to_datetime(times, format="mixed")
        except (ValueError, TypeError):
            raise RecordingError(
                f"{path}: column {column!r} holds neither seconds nor dates ({times.iloc[0]!r})."
            ) from None
        return np.asarray((stamps - stamps.iloc[0]).dt.total_seconds(), dtype=np.float64)
    seconds = times.to_numpy(dtype=np.float64)
    unit = _UNIT.search(column)
    if unit is not None and unit["unit"].lower() in ("ms", "msec", "milliseconds"):
        return seconds / 1e3
    return seconds


def _rate(
    seconds: np.ndarray[Any, Any] | None, sfreq: float | None, path: Path
) -> tuple[float, list[tuple[float, float]]]:
    """Return the rate in Hz and the gaps as (onset in the signal, missing seconds)."""
    if seconds is None:
        if sfreq is None:
            raise RecordingError(
                f"{path}: no time column (time, timestamp ...), so the sampling rate is unknown. "
                "Give it with --sfreq."
            )
        return float(sfreq), []
    if np.isnan(seconds).any() or len(seconds) < 2:
        raise RecordingError(f"{path}: the time column has missing values or a single row.")
    steps = np.diff(seconds)
    # samples arrive in packets, stamped on arrival: packets overlap by some milliseconds, and only
    # steps far beyond a packet are gaps
    if (steps < -_LARGEST_OVERLAP_S).any() or seconds[-1] <= seconds[0]:
        raise RecordingError(
            f"{path}: time runs backwards by {-steps.min():.3g} s in row "
            f"{int(np.argmin(steps)) + 2}: two recordings in one file? Split it."
        )
    typical = (seconds[-1] - seconds[0]) / len(steps)
    for _ in range(2):
        is_gap = steps > max(0.1, 25 * typical)
        typical = float(steps[~is_gap].sum() / max(1, (~is_gap).sum()))
    if not typical > 0:
        raise RecordingError(f"{path}: the time column does not advance.")
    rate = 1 / typical
    nearest = float(round(rate))
    if sfreq is not None:
        rate = float(sfreq)
    elif nearest and abs(rate - nearest) / rate < 0.005:
        rate = nearest
    where = np.flatnonzero(is_gap)
    # a regular table slower than ten rows per second has no gaps, only long steps
    return rate, [((i + 1) / rate, float(steps[i]) - 1 / rate) for i in where if rate > 10]


def _fill(values: np.ndarray[Any, Any], path: Path, notes: list[str]) -> np.ndarray[Any, Any]:
    missing = ~np.isfinite(values)
    if not missing.any():
        return values
    share = float(missing.mean())
    if share > _LARGEST_MISSING:
        raise RecordingError(
            f"{path}: {share:.0%} of the electrode values are missing or not numbers (at most "
            f"{_LARGEST_MISSING:.0%} are filled). Export the file again."
        )
    index = np.arange(len(values))
    for column in np.flatnonzero(missing.any(axis=0)):
        bad = missing[:, column]
        values[bad, column] = np.interp(index[bad], index[~bad], values[~bad, column])
    notes.append(f"{int(missing.sum())} missing values ({share:.2%}) were interpolated.")
    return values


def _volts_per_number(
    values: np.ndarray[Any, Any], columns: list[str], path: Path, notes: list[str]
) -> np.ndarray[Any, Any]:
    units = [match["unit"].lower() if (match := _UNIT.search(c)) else None for c in columns]
    unknown = [u for u in units if u is not None and u not in VOLTS_PER_UNIT]
    if unknown:
        raise RecordingError(
            f"{path}: unit {unknown[0]!r} is not known; known are {', '.join(VOLTS_PER_UNIT)}."
        )
    default = 1e-6
    if any(u is None for u in units):
        spread = float(np.max(np.subtract(*np.percentile(values, [75, 25], axis=0))))
        if 0 < spread < 1e-3:
            default = 1.0
            notes.append("No unit in the header; the numbers are so small that they are volts.")
        else:
            notes.append("No unit in the header; the numbers were taken as microvolts.")
    return np.array([default if u is None else VOLTS_PER_UNIT[u] for u in units])


def _markers(
    table: pd.DataFrame, sample: np.ndarray[Any, Any], rate: float
) -> list[tuple[float, float, str]]:
    """Return (onset, 0, word) of every change of a marker column; `sample` counts from 0."""
    found = []
    for column in table.columns:
        if not _MARKER.fullmatch(str(column)):
            continue
        cells = table[column]
        words = cells.fillna("").astype(str).str.removesuffix(".0").to_numpy()
        changed = np.r_[True, words[1:] != words[:-1]]
        for row in np.flatnonzero(changed & (words != "") & (words != "0")):
            found.append((float(sample[row]) / rate, 0.0, str(words[row])))
    return sorted(found)
