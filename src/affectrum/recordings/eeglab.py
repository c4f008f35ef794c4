"""EEGLAB's .set files with the .fdt beside them: the header decoded, the signals memory-mapped.

A data set is the struct ``EEG`` or, as newer versions save it, its fields as variables of their
own. The signals stand in the file itself or, mostly, as float32 in a second file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError
from affectrum.recordings.mat import MatFile

__all__ = ["SetFile"]

_FIELDS: Final = ("srate", "nbchan", "pnts", "trials", "chanlocs", "data", "datfile", "ref")
_MAX_CHANNELS: Final = 10_000


class SetFile:
    """An open EEGLAB data set of a continuous recording.

    Parameters
    ----------
    path : path
        The .set file.

    Attributes
    ----------
    names : tuple of str
        Labels of the channels; empty where the file names none.
    types : tuple of str
        What the file says the channels are ("EEG", "ECG" ...), empty text where it does not.
    sfreq : float
        Samples per second.
    n_samples : int
        Samples per channel.
    data_file : Path or None
        Where the signals are, None for the .set file itself.

    Raises
    ------
    FileFormatError
        A file is missing, truncated or damaged, or holds epochs.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        fields = self._fields()
        self.sfreq = self._number(fields, "srate")
        n_channels, n_samples = (round(self._number(fields, name)) for name in ("nbchan", "pnts"))
        n_epochs = round(self._number(fields, "trials")) if "trials" in fields else 1
        if n_epochs > 1:
            raise self._error(f"holds {n_epochs} epochs, not a continuous recording")
        if not self.sfreq > 0 or not 0 < n_channels < _MAX_CHANNELS or n_samples <= 0:
            raise self._error("the header holds impossible numbers")
        self.n_samples, self.n_channels = n_samples, n_channels
        self.names, self.types = self._channels(fields, n_channels)
        self.data_file, self._inside = self._data(fields)
        if self._inside is None:
            assert self.data_file is not None
            self._data_map = self._map(self.data_file)
        elif self._inside.shape != (n_channels, n_samples):
            raise self._error(
                f"data has shape {self._inside.shape}, the header says {(n_channels, n_samples)}"
            )

    def _error(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: {what}. Copy the data set again from its source.")

    def _fields(self) -> dict[str, Any]:
        with MatFile(self.path) as file:
            if "EEG" in file.variables:
                return file.read_fields("EEG", _FIELDS)
            return {name: file.read(name) for name in _FIELDS if name in file.variables}

    def _number(self, fields: dict[str, Any], name: str) -> float:
        value = np.asarray(fields.get(name, ()))
        if value.dtype.kind not in "fiu" or value.size != 1 or not np.isfinite(value).all():
            raise self._error(f"not an EEGLAB data set: no number {name!r}")
        return float(value.ravel()[0])

    def _channels(
        self, fields: dict[str, Any], n_channels: int
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        places = [x for x in np.ravel(fields.get("chanlocs", ())) if isinstance(x, dict)]
        if len(places) == 1 and n_channels > 1:
            places = _unfolded(places[0])  # as v7.3 files keep arrays of structs
        if not places:
            return (), ()
        if len(places) != n_channels:
            raise self._error(f"names {len(places)} channels and has {n_channels}")
        return (
            tuple(_text(place.get("labels", "")) for place in places),
            tuple(_text(place.get("type", "")) for place in places),
        )

    def _data(self, fields: dict[str, Any]) -> tuple[Path | None, np.ndarray[Any, Any] | None]:
        data = np.asarray(fields.get("data", ""))
        if data.dtype.kind in "fiu" and data.size:
            return None, data
        # data sets are renamed without their header: the file of the same name comes first. Only
        # names are taken from the header, never folders.
        named = [_text(fields.get(name, "")).replace("\\", "/") for name in ("data", "datfile")]
        names = [f"{self.path.stem}.fdt", *(name.rsplit("/", 1)[-1] for name in named if name)]
        for name in names:
            candidate = self.path.with_name(name)
            if name and candidate.suffix.lower() in (".fdt", ".dat") and candidate.is_file():
                return candidate, None
        raise self._error(f"the file of its signals, {names[0]}, is missing")

    def _map(self, path: Path) -> np.ndarray[Any, Any]:
        expected = 4 * self.n_channels * self.n_samples
        size = path.stat().st_size
        if size != expected:
            what = "truncated" if size < expected else "too long"
            raise FileFormatError(
                f"{path}: {what}: {size} bytes, the header says {expected}. Copy the file again "
                "from its source."
            )
        return np.memmap(path, "<f4", "r", shape=(self.n_samples, self.n_channels))

    def read(
        self, picks: Sequence[int], start: int = 0, stop: int | None = None
    ) -> np.ndarray[Any, Any]:
        """Read a stretch of some channels.

        Parameters
        ----------
        picks : sequence of int
            Positions of the channels in the file, from 0.
        start, stop : int
            First sample, and the one behind the last; the whole recording by default.

        Returns
        -------
        ndarray, shape (len(picks), stop - start)
            The file's numbers, float64; EEGLAB's convention is microvolts.

        Raises
        ------
        FileFormatError
            The stretch reaches beyond the file.
        """
        stop = self.n_samples if stop is None else stop
        if not 0 <= start <= stop <= self.n_samples:
            raise self._error(f"samples {start} to {stop} of {self.n_samples} were asked for")
        indices = list(picks)
        if self._inside is not None:
            return np.asarray(self._inside[indices, start:stop], dtype=np.float64)
        # all channels of a sample stand together: read the stretch in one piece, then pick
        with np.errstate(invalid="ignore"):  # damaged numbers are told by who looks at them
            return np.array(self._data_map[start:stop][:, indices].T, dtype=np.float64)


def _unfolded(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one dict per element of a dict of arrays."""
    names = [name for name in ("labels", "type") if np.ndim(fields.get(name, 0)) > 0]
    columns = [np.ravel(fields[name]) for name in names]
    if not columns or len({column.size for column in columns}) != 1:
        return []
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _text(value: Any) -> str:
    """Return a MATLAB text, empty for anything else."""
    array = np.asarray(value)
    if array.dtype.kind == "O" and array.size == 1:
        array = np.asarray(array.ravel()[0])
    if array.dtype.kind not in "US" or array.size == 0:
        return ""
    return str(array.ravel()[0]).strip()
