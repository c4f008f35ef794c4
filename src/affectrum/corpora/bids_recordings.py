"""Recordings of a BIDS data set, whatever their format: one header, one way to read a stretch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from affectrum import electrodes
from affectrum.corpora.bids_parts import Signal
from affectrum.corpora.units import VOLTS_PER, measure_unit
from affectrum.errors import FileFormatError

__all__ = ["Recording", "choose", "measured_unit", "open_recording", "read_header", "unit_of"]

# how headers and channels.tsv write units -> our names
_UNITS: Final = {
    **{name.casefold(): name for name in VOLTS_PER},
    "µv": "uV",
    "μv": "uV",
    "microv": "uV",
    "microvolt": "uV",
    "microvolts": "uV",
    "volt": "V",
    "volts": "V",
}
_MEASURE_S: Final = 20


class Recording(Protocol):
    """An open recording."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    """One per channel, empty where the format names none."""
    rates: tuple[float, ...]
    lengths: tuple[int, ...]
    """Samples per channel."""

    def read(self, picks: Sequence[int], start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return (len(picks), stop - start) numbers in each channel's unit."""


def unit_of(text: str) -> str | None:
    """Return "V", "mV", "uV" or "nV" for how a file writes it, None for anything else."""
    return _UNITS.get(text.strip().casefold())


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a recording.

    Parameters
    ----------
    path : Path
        An EDF, BDF, BrainVision or EEGLAB file.

    Yields
    ------
    Recording
        Nothing of its signals is read before it is asked for.

    Raises
    ------
    FileFormatError
        The file is missing, damaged or of another format.
    """
    if path.is_symlink() and not path.exists():
        raise FileFormatError(
            f"{path}: a link whose content was not fetched. Get the file itself (git annex get, "
            "datalad get, or `affectrum download`)."
        )
    ending = path.suffix.casefold()
    if ending in (".edf", ".bdf"):
        yield _Edf(path)
    elif ending == ".set":
        yield _Set(path)
    elif ending == ".vhdr":
        yield _BrainVision(path)
    else:
        raise FileFormatError(f"{path}: recordings with the ending {ending!r} are not read.")


class _Edf:
    def __init__(self, path: Path) -> None:
        from affectrum.recordings.edf import EdfFile

        self._file = EdfFile(path)
        self.names, self.units = self._file.names, self._file.units
        self.rates, self.lengths = self._file.rates, self._file.n_samples

    def read(self, picks: Sequence[int], start: int, stop: int) -> np.ndarray[Any, Any]:
        return self._file.read(picks, start, stop)


class _Set:
    def __init__(self, path: Path) -> None:
        from affectrum.recordings.eeglab import SetFile

        self._file = SetFile(path)
        n = self._file.n_channels
        self.names = self._file.names
        self.units, self.rates = ("",) * n, (self._file.sfreq,) * n
        self.lengths = (self._file.n_samples,) * n

    def read(self, picks: Sequence[int], start: int, stop: int) -> np.ndarray[Any, Any]:
        return self._file.read(picks, start, stop)


class _BrainVision:
    def __init__(self, path: Path) -> None:
        from affectrum.errors import RecordingError
        from affectrum.recordings import raw

        try:
            self._raw = raw.open_recording(path, notes=[])
        except RecordingError as error:
            raise FileFormatError(str(error)) from None
        n = len(self._raw.ch_names)
        self.names = tuple(self._raw.ch_names)
        self.units, self.rates = ("V",) * n, (float(self._raw.info["sfreq"]),) * n
        self.lengths = (int(self._raw.n_times),) * n
        self._path = path

    def read(self, picks: Sequence[int], start: int, stop: int) -> np.ndarray[Any, Any]:
        try:
            x = self._raw.get_data(list(picks), start, stop, verbose="ERROR")
        except Exception as error:  # MNE's readers have their own kinds
            raise FileFormatError(
                f"{self._path}: can't be read ({error}). Copy it again."
            ) from None
        return np.asarray(x, dtype=np.float64)


def read_header(path: Path) -> dict[str, Any]:
    """Return names, units, rates and lengths of a recording's channels, as lists."""
    with open_recording(path) as recording:
        return {
            "names": list(recording.names),
            "units": list(recording.units),
            "rates": list(recording.rates),
            "lengths": list(recording.lengths),
        }


def choose(names: Sequence[str], types: Mapping[str, str], signal: Signal) -> dict[str, int]:
    """Return the scalp electrodes of a recording.

    Parameters
    ----------
    names : sequence of str
        The channels' names in the file.
    types : mapping of str to str
        Name -> type in channels.tsv; empty where there is none.
    signal : Signal
        The mapping's part.

    Returns
    -------
    dict of str to int
        Canonical name -> position in the file, in file order; of two channels with the name of
        one electrode, the first.
    """
    renamed = [signal.rename.get(name, name) for name in names]
    canonical = electrodes.canonical_names(renamed)
    no_eeg = {kind.casefold() for kind in signal.drop_types}
    found: dict[str, int] = {}
    for position, (name, electrode) in enumerate(zip(names, canonical, strict=True)):
        if electrode is None or name in signal.drop:
            continue
        if types.get(name, "").casefold() in no_eeg:
            continue
        found.setdefault(electrode, position)
    return found


def measured_unit(path: Path, picks: Sequence[int]) -> str | None:
    """Tell a recording's unit by how much its middle varies; None where that is in doubt.

    Parameters
    ----------
    path : Path
        The recording.
    picks : sequence of int
        Its electrodes.

    Returns
    -------
    str or None
        A name of `VOLTS_PER`.
    """
    with open_recording(path) as recording:
        length = recording.lengths[picks[0]]
        n = min(length, round(_MEASURE_S * recording.rates[picks[0]]))
        start = (length - n) // 2
        x = recording.read(picks, start, start + n)
    # electrodes of amplifiers without a high-pass stand at any voltage
    return measure_unit(x - np.median(x, axis=1, keepdims=True))
