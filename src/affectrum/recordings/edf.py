"""EDF and BDF files by memory map: header, and stretches of chosen channels.

Unlike `biosemi.BdfFile` this takes 16-bit samples, EDF+ with its channel of annotations, and
channels of several rates in one file, as public data sets have them.

Format: https://www.edfplus.info/specs/edf.html and edfplus.html
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError

__all__ = ["EdfFile"]

# widths of the header's per-channel fields: label, transducer, unit, physical minimum and maximum,
# digital minimum and maximum, prefiltering, samples per record, reserved
_FIELDS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
_ANNOTATIONS: Final = ("EDF Annotations", "BDF Annotations")
_MAX_CHANNELS: Final = 10_000
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
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                head = file.read(256)
                bits24 = head[:8] == b"\xffBIOSEMI"
                if len(head) < 256 or not (bits24 or head[:8].strip() == b"0"):
                    raise self._error("not an EDF or BDF file")
                n_channels = self._whole(head[252:256], "number of channels")
                if not 0 < n_channels < _MAX_CHANNELS:
                    raise self._error(f"the header counts {n_channels} channels")
                fields = file.read(256 * n_channels)
        except OSError as error:
            raise FileFormatError(
                f"{self.path}: can't be read ({error.strerror or error}). "
                "Check the path and permissions."
            ) from None
        if len(fields) < 256 * n_channels:
            raise self._error("truncated inside the header")
        if head[192:197] in (b"EDF+D", b"BDF+D"):
            raise self._error("an interrupted recording (EDF+D), whose times are not those of one")
        columns = _columns(fields, n_channels)
        labels = [cell.decode("latin-1").strip() for cell in columns[0]]
        per_record = np.array([self._whole(cell, "samples per record") for cell in columns[8]])
        total = int(per_record.sum())
        seconds = self._number(head[244:252])
        if (per_record <= 0).any() or not 0 < total < _MAX_RECORD or not seconds > 0:
            raise self._error("the header holds impossible numbers")
        signal = np.array([label not in _ANNOTATIONS for label in labels])
        if not signal.any():
            raise self._error("holds annotations and no signal")
        self._signal(columns, labels, np.flatnonzero(signal))
        starts = np.concatenate([[0], np.cumsum(per_record)[:-1]])
        self._starts, self._per_record = starts[signal], per_record[signal]
        self.rates = tuple(float(n / seconds) for n in self._per_record)
        offset = self._whole(head[184:192], "header length")
        if offset != 256 * (n_channels + 1):
            raise self._error(f"the header's length is given as {offset} bytes")
        n_bytes = 3 if bits24 else 2
        n_records = (size - offset) // (total * n_bytes)
        promised = self._whole(head[236:244], "number of records")
        # -1 stands for a recording that was not closed; then the size decides
        if promised >= 0 and n_records < promised:
            raise self._error(f"truncated: {promised} records promised, {n_records} are complete")
        n_records = n_records if promised < 0 else promised
        if n_records == 0:
            raise self._error("holds no samples")
        self.n_samples = tuple(int(n_records * n) for n in self._per_record)
        self._data = (
            np.memmap(self.path, np.uint8, "r", offset, (n_records, total, 3))
            if bits24
            else np.memmap(self.path, "<i2", "r", offset, (n_records, total))
        )

    def _signal(self, columns: list[list[bytes]], labels: list[str], kept: Any) -> None:
        """Keep names, units and scales of the signal channels."""
        self.names = tuple(labels[i] for i in kept)
        self.units = tuple(columns[2][i].decode("latin-1").strip() for i in kept)
        low, high, digital_low, digital_high = (
            np.array([self._number(column[i]) for i in kept]) for column in columns[3:7]
        )
        if (digital_high <= digital_low).any():
            raise self._error("the header holds impossible numbers")
        self._gain = (high - low) / (digital_high - digital_low)
        self._shift = low - digital_low * self._gain

    def _error(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: {what}. Copy the file again from its source.")

    def _whole(self, cell: bytes, what: str) -> int:
        try:
            return int(cell)
        except ValueError:
            raise self._error(f"{what} in the header is {cell[:20]!r}") from None

    def _number(self, cell: bytes) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise self._error(f"the header has {cell[:20]!r} where a number belongs")
        return value

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
            # 24 bits into the upper part of 32, so that shifting down keeps the sign
            wide = np.zeros((*block.shape[:-1], 4), np.uint8)
            wide[..., 1:] = block
            block = wide.view("<i4")[..., 0] >> 8
        values = block.transpose(1, 0, 2).reshape(len(indices), -1)
        values = values[:, start - first * length : stop - first * length]
        return np.asarray(values * self._gain[indices, None] + self._shift[indices, None])


def _columns(fields: bytes, n_channels: int) -> list[list[bytes]]:
    """Cut the header's fields into one list of cells per kind."""
    columns, position = [], 0
    for width in _FIELDS:
        cells = fields[position : position + width * n_channels]
        columns.append([cells[i * width : (i + 1) * width] for i in range(n_channels)])
        position += width * n_channels
    return columns
