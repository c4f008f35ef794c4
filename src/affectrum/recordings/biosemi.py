"""BioSemi BDF files by memory map: header, Status codes, and stretches of chosen channels.

`raw.open_recording` opens a BDF for general use. Corpus readers need what MNE leaves out or
renames: the header's own channel names (empty and repeated ones too) and the codes of any channel.

Format: https://www.biosemi.com/faq/file_format.htm (EDF with 24-bit samples).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from affectrum.recordings.edf_header import EdfHeader, from_24_bits

__all__ = ["BdfFile"]

_VOLTS: Final[dict[str, float]] = {
    "uv": 1e-6,
    "µv": 1e-6,
    "μv": 1e-6,
    "mv": 1e-3,
    "nv": 1e-9,
    "v": 1.0,
}


class BdfFile:
    """An open BDF file.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    names : tuple of str
        The channels' names as the header has them; they may be empty or repeated.
    units : tuple of str
        Physical units as the header has them.
    sfreq : float
        Samples per second.
    n_samples : int
        Samples per channel.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, not BDF, or its channels have different rates.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        header = EdfHeader(path, lambda head: head[:8] == b"\xffBIOSEMI", "a BioSemi BDF file")
        self.path, self._error = header.path, header.error
        self.names, self.transducers, self.units = header.names, header.transducers, header.units
        n_channels = len(self.names)
        per_record = set(header.per_record.tolist())
        if len(per_record) != 1:
            raise self._error("its channels have different sampling rates")
        self._per_record = per_record.pop()
        if self._per_record <= 0:
            raise self._error("the header holds impossible numbers")
        self.sfreq = self._per_record / header.record_seconds()
        self._gain, self._shift = header.scale(range(n_channels))
        header.check_offset()
        n_records = header.n_records()
        if n_records == 0:
            raise self._error("holds no samples")
        self.n_samples = n_records * self._per_record
        shape = (n_records, n_channels, self._per_record, header.bytes_per_sample)
        self._data = np.memmap(self.path, np.uint8, "r", header.offset, shape)

    def _integers(self, picks: Sequence[int], start: int, stop: int) -> np.ndarray[Any, Any]:
        if not 0 <= start <= stop <= self.n_samples:
            raise self._error(f"samples {start} to {stop} of {self.n_samples} were asked for")
        first, last = start // self._per_record, -(-stop // self._per_record)
        block = self._data[first:last, list(picks)]
        values = from_24_bits(block).transpose(1, 0, 2).reshape(len(picks), -1)
        return values[:, start - first * self._per_record : stop - first * self._per_record]

    def read(
        self,
        picks: Sequence[int],
        start: int = 0,
        stop: int | None = None,
        *,
        volts_per_unit: float | None = None,
    ) -> np.ndarray[Any, Any]:
        """Read a stretch of some channels.

        Parameters
        ----------
        picks : sequence of int
            Positions of the channels in the file, from 0.
        start, stop : int
            First sample, and the one behind the last; the whole recording by default.
        volts_per_unit : float, optional
            For headers whose units are wrong or missing: what a unit is in volts (1 gives the
            numbers as they are).

        Returns
        -------
        ndarray, shape (len(picks), stop - start)
            Volts, float64.

        Raises
        ------
        FileFormatError
            The stretch reaches beyond the file, or a channel's unit is no voltage.
        """
        if volts_per_unit is None:
            for pick in picks:
                if self.units[pick].lower() not in _VOLTS:
                    raise self._error(
                        f"channel {self.names[pick]!r} has the unit {self.units[pick]!r}"
                    )
            volts = np.array([_VOLTS[self.units[pick].lower()] for pick in picks])
        else:
            volts = np.full(len(picks), volts_per_unit)
        values = self._integers(picks, start, self.n_samples if stop is None else stop)
        indices = list(picks)
        gain, shift = self._gain[indices] * volts, self._shift[indices] * volts
        return np.asarray(values * gain[:, None] + shift[:, None])

    def codes(self, pick: int) -> np.ndarray[Any, Any]:
        """Return one channel's samples as they are stored, for Status channels.

        Parameters
        ----------
        pick : int
            Position of the channel in the file, from 0.

        Returns
        -------
        ndarray, shape (n_samples,)
            24-bit integers, int32, without sign.
        """
        return np.asarray(self._integers([pick], 0, self.n_samples)[0] & 0xFFFFFF)
