"""EDF and BDF files by memory map: header, and stretches of chosen channels.

Unlike `biosemi.BdfFile` this takes 16-bit samples, EDF+ with its channel of annotations, and
channels of several rates in one file, as public data sets have them.

Format: https://www.edfplus.info/specs/edf.html and edfplus.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from affectrum.recordings.edf_header import EdfHeader, from_24_bits

__all__ = ["EdfFile"]

_ANNOTATIONS: Final = ("EDF Annotations", "BDF Annotations")
_MAX_RECORD: Final = 1 << 28


class EdfFile:
    """An open EDF, EDF+ or BDF file.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    names : tuple of str
        Names of the signal channels as the header has them; channels of annotations are left out.
    units : tuple of str
        Their physical units as the header has them.
    rates : tuple of float
        Their samples per second.
    n_samples : tuple of int
        Their samples.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, interrupted, or not EDF or BDF.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        header = EdfHeader(path, _is_edf, "an EDF or BDF file")
        self.path, self._error = header.path, header.error
        if header.reserved[:5] in (b"EDF+D", b"BDF+D"):
            raise self._error("an interrupted recording (EDF+D), whose times are not those of one")
        per_record = header.per_record
        total = int(per_record.sum())
        if (per_record <= 0).any() or not 0 < total < _MAX_RECORD:
            raise self._error("the header holds impossible numbers")
        seconds = header.record_seconds()
        kept = [i for i, name in enumerate(header.names) if name not in _ANNOTATIONS]
        if not kept:
            raise self._error("holds annotations and no signal")
        self.names = tuple(header.names[i] for i in kept)
        self.units = tuple(header.units[i] for i in kept)
        self._gain, self._shift = header.scale(kept)
        starts = np.concatenate([[0], np.cumsum(per_record)[:-1]])
        self._starts, self._per_record = starts[kept], per_record[kept]
        self.rates = tuple(float(n / seconds) for n in self._per_record)
        header.check_offset()
        n_records = header.n_records()
        if n_records == 0:
            raise self._error("holds no samples")
        self.n_samples = tuple(int(n_records * n) for n in self._per_record)
        self._data = (
            np.memmap(self.path, np.uint8, "r", header.offset, (n_records, total, 3))
            if header.bytes_per_sample == 3
            else np.memmap(self.path, "<i2", "r", header.offset, (n_records, total))
        )

    def read(
        self, picks: Sequence[int], start: int = 0, stop: int | None = None
    ) -> np.ndarray[Any, Any]:
        """Read a stretch of some channels of one rate.

        Parameters
        ----------
        picks : sequence of int
            Positions of the channels in `names`, from 0.
        start, stop : int
            First sample, and the one behind the last; the whole recording by default.

        Returns
        -------
        ndarray, shape (len(picks), stop - start)
            Physical values in each channel's own unit (`units`), float64.

        Raises
        ------
        FileFormatError
            The stretch reaches beyond the file, or the channels have several rates.
        """
        indices = np.asarray(list(picks), dtype=int)
        lengths = {int(n) for n in self._per_record[indices]}
        if len(lengths) != 1:
            names = ", ".join(self.names[i] for i in indices[:8])
            raise self._error(f"the channels {names} have several sampling rates")
        length = lengths.pop()
        available = self.n_samples[int(indices[0])]
        stop = available if stop is None else stop
        if not 0 <= start <= stop <= available:
            raise self._error(f"samples {start} to {stop} of {available} were asked for")
        first, last = start // length, -(-stop // length)
        where = self._starts[indices][:, None] + np.arange(length)
        block = self._data[first:last, where]
        if block.dtype == np.uint8:
            block = from_24_bits(block)
        values = block.transpose(1, 0, 2).reshape(len(indices), -1)
        values = values[:, start - first * length : stop - first * length]
        return np.asarray(values * self._gain[indices, None] + self._shift[indices, None])


def _is_edf(head: bytes) -> bool:
    return head[:8] == b"\xffBIOSEMI" or head[:8].strip() == b"0"
