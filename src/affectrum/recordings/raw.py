"""One EEG recording of any common format, in volts, as an MNE raw object.

What the formats leave open is said instead of guessed: every assumption (a unit that the header
does not name, a gap, a name that MNE had to change) is handed to the caller as a note.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum.errors import RecordingError, did_you_mean

if TYPE_CHECKING:
    from mne.io import BaseRaw

__all__ = ["SUFFIXES", "open_recording"]

logger = logging.getLogger(__name__)

SUFFIXES: Final[dict[str, str]] = {
    ".edf": "EDF",
    ".bdf": "BDF",
    ".vhdr": "BrainVision",
    ".set": "EEGLAB",
    ".fif": "FIF",
    ".fif.gz": "FIF",
    ".cnt": "CNT",
    ".xdf": "XDF",
    ".xdfz": "XDF",
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
}
"""File name endings that `open_recording` knows, and the format each stands for."""

# Files that come beside the one to open.
_COMPANIONS: Final[dict[str, str]] = {
    ".vmrk": ".vhdr",
    ".eeg": ".vhdr",
    ".dat": ".vhdr",
    ".fdt": ".set",
}

# Channels that formats without channel types call by these names are no EEG.
_TYPES: Final[tuple[tuple[str, str], ...]] = (
    (r"(?:[hv]?eog|veo|heo)\w*", "eog"),
    (r"(?:ecg|ekg)\w*", "ecg"),
    (r"[zt]?emg\w*", "emg"),
    (r"gsr\w*|eda|resp\w*|plet\w*|temp(?:erature)?|acc\w*|gyro\w*|.*aux.*", "misc"),
    (r"status|trigger|stim|sti\s?\d+", "stim"),
)

# Scalp EEG is tens of microvolts, with artefacts up to some millivolts: a median spread beyond
# these bounds points to a unit that was read wrongly.
_SMALLEST_SPREAD_V: Final = 1e-8
_LARGEST_SPREAD_V: Final = 5e-3


def open_recording(
    path: str | os.PathLike[str],
    *,
    channels: Sequence[str] | None = None,
    sfreq: float | None = None,
    notes: list[str] | None = None,
) -> BaseRaw:
    """Open a recording; signals are read when they are asked for.

    Parameters
    ----------
    path : path
        An EDF, BDF, BrainVision (.vhdr), EEGLAB (.set), FIF, CNT, XDF or CSV file.
    channels : sequence of str, optional
        Electrode names of the signal channels in file order, for files that name none (or name
        them by amplifier inputs, as BioSemi's A1, A2 ...). For a CSV file they may also pick
        columns by name.
    sfreq : float, optional
        Sampling rate in Hz, for CSV files without a time column.
    notes : list of str, optional
        Remarks (assumed units, gaps, the warnings of the file's reader) are appended here;
        without it they are logged.

    Returns
    -------
    mne.io.BaseRaw
        The recording, in volts.

    Raises
    ------
    RecordingError
        The file is missing, damaged, of an unknown format, holds no signals (a summary export)
        or no channel names; the message says what to do.
    """
    file = _existing(Path(path))
    kind = _format(file)
    remarks: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            raw, named = _open(file, kind, channels, sfreq, remarks)
            if channels is not None and not named:
                raw = _rename(raw, channels, file)
            _set_types(raw)
            _check_names(raw, file, channels)
            _check_spread(raw, remarks)
        except RecordingError:
            raise
        except Exception as error:  # each reader of MNE has its own kinds
            raise RecordingError(
                f"{file}: can't be read as {kind} ({type(error).__name__}: {error}). The file is "
                "damaged, incomplete or of another kind; export or copy it again."
            ) from error
    for warning in caught:
        if not issubclass(warning.category, DeprecationWarning | FutureWarning | ResourceWarning):
            remarks.append(" ".join(str(warning.message).split()))
    if notes is not None:
        notes.extend(remarks)
    else:
        for remark in remarks:
            logger.warning("%s: %s", file.name, remark)
    return raw


def _existing(path: Path) -> Path:
    if not path.exists():
        siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise RecordingError(f"{path}: no such file.{did_you_mean(path.name, siblings)}")
    main = _COMPANIONS.get(path.suffix.lower())
    if main is not None:
        candidate = path.with_suffix(main)
        if candidate.exists():
            return candidate
        if path.suffix.lower() == ".dat":
            return path  # many programs write .dat; it is refused by its ending
        raise RecordingError(
            f"{path}: belongs to a {main} file of the same name, which is missing beside it. "
            f"Copy {candidate.name} too and open that."
        )
    if path.is_dir():
        raise RecordingError(f"{path}: a folder; pass one recording file.")
    return path


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.name.lower().endswith(".fif.gz"):
        suffix = ".fif.gz"
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise RecordingError(
            f"{path}: the ending {suffix or '(none)'!r} is not known. Known are {known}."
        )
    return SUFFIXES[suffix]


def _open(
    path: Path,
    kind: str,
    channels: Sequence[str] | None,
    sfreq: float | None,
    notes: list[str],
) -> tuple[BaseRaw, bool]:
    """Return the raw object, and whether `channels` were used already."""
    if kind == "XDF":
        from affectrum.recordings.xdf import open_xdf

        return open_xdf(path, channels=channels, notes=notes), True
    if kind == "CSV":
        from affectrum.recordings.headset_csv import open_csv

        return open_csv(path, channels=channels, sfreq=sfreq, notes=notes), True
    import mne

    if kind == "EEGLAB" and _holds_epochs(path):
        raise RecordingError(
            f"{path}: holds epochs, not a continuous recording. Save the continuous data set."
        )
    readers: dict[str, Callable[..., Any]] = {
        "EDF": mne.io.read_raw_edf,
        "BDF": mne.io.read_raw_bdf,
        "BrainVision": mne.io.read_raw_brainvision,
        "EEGLAB": mne.io.read_raw_eeglab,
        "FIF": mne.io.read_raw_fif,
        "CNT": mne.io.read_raw_cnt,
    }
    raw = readers[kind](path, preload=False, verbose="WARNING")
    units = getattr(raw, "_orig_units", None) or {}
    unknown = [name for name, unit in units.items() if unit == "n/a" and not _type_of(name)]
    if unknown:
        notes.append(
            f"The header names no voltage unit for {', '.join(unknown[:8])}"
            f"{' ...' if len(unknown) > 8 else ''}; the numbers were taken as volts."
        )
    return raw, False


def _holds_epochs(path: Path) -> bool:
    from scipy.io import whosmat

    try:
        names = {name: shape for name, shape, _ in whosmat(path)}
    except (NotImplementedError, ValueError, OSError):
        return False  # v7.3 or damaged: MNE's reader says more
    if "EEG" in names or "trials" not in names:
        return False
    from affectrum.recordings import mat

    return int(mat.load(path, ["trials"])["trials"].ravel()[0]) > 1


def _rename(raw: BaseRaw, channels: Sequence[str], path: Path) -> BaseRaw:
    signal = [
        name
        for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True)
        if kind != "stim"
    ]
    check_channel_names(channels, len(signal), path)
    raw.rename_channels(dict(zip(signal, channels, strict=True)), verbose="ERROR")
    return raw


def check_channel_names(channels: Sequence[str], n_channels: int, path: Path) -> None:
    """Raise RecordingError unless there are `n_channels` different names.

    Parameters
    ----------
    channels : sequence of str
        The names to give.
    n_channels : int
        How many signal channels the file has.
    path : Path
        The file, for the message.

    Raises
    ------
    RecordingError
        The count differs or a name occurs twice.
    """
    if len(channels) != n_channels:
        raise RecordingError(
            f"{path}: {len(channels)} channel names were given, the file has {n_channels} signal "
            "channels. Give one name per channel in file order."
        )
    twice = sorted({name for name in channels if list(channels).count(name) > 1})
    if twice:
        raise RecordingError(f"{path}: channel names given twice: {', '.join(twice)}.")


def _type_of(name: str) -> str | None:
    for pattern, kind in _TYPES:
        if re.fullmatch(pattern, name.strip(), flags=re.IGNORECASE):
            return kind
    return None


def _set_types(raw: BaseRaw) -> None:
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    wanted = {name: _type_of(name) for name in raw.ch_names if types[name] == "eeg"}
    changed = {name: kind for name, kind in wanted.items() if kind}
    if changed:
        raw.set_channel_types(changed, on_unit_change="ignore", verbose="ERROR")


def _check_names(raw: BaseRaw, path: Path, channels: Sequence[str] | None) -> None:
    names = [
        name
        for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True)
        if kind == "eeg"
    ]
    if not names:
        found = ", ".join(raw.ch_names[:20])
        raise RecordingError(
            f"{path}: no EEG channel among {found}. If they are electrodes, name them with "
            "--channels (one name per channel, in file order)."
        )
    unnamed = [
        name for name in names if re.fullmatch(r"-?\d*|(?:eeg|ch|channel)?\W*\d+", name, re.I)
    ]
    if channels is None and len(unnamed) == len(names):
        raise RecordingError(
            f"{path}: its {len(names)} EEG channels have no electrode names ({names[0]!r} ...). "
            "Name them with --channels, in file order."
        )


def _check_spread(raw: BaseRaw, notes: list[str]) -> None:
    """Note a spread no scalp EEG has, measured on ten seconds from the middle."""
    import mne

    picks = mne.pick_types(raw.info, eeg=True, exclude=[])
    length = min(raw.n_times, int(10 * raw.info["sfreq"]))
    start = (raw.n_times - length) // 2
    x = raw.get_data(picks, start, start + length, verbose="ERROR")
    if x.size == 0 or not np.isfinite(x).all():
        return
    spread = float(np.median(np.subtract(*np.percentile(x, [75, 25], axis=1))))
    if spread == 0:
        notes.append("Half of the EEG channels or more are flat.")
    elif not _SMALLEST_SPREAD_V < spread < _LARGEST_SPREAD_V:
        notes.append(
            f"The EEG channels vary by {spread:.2g} V (interquartile range), which no scalp EEG "
            "does: the unit may be wrong."
        )
