"""BioSemi BDF files by memory map: header, Status codes, and stretches of chosen channels.

`raw.open_recording` opens a BDF for general use. Corpus readers need what MNE leaves out or
renames: the header's own channel names (empty and repeated ones too) and the codes of any channel.

Format: https://www.biosemi.com/faq/file_format.htm (EDF with 24-bit samples).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError

__all__ = ["BdfFile"]

_VOLTS: Final[dict[str, float]] = {
    "uv": 1e-6,
    "µv": 1e-6,
    "μv": 1e-6,
    "mv": 1e-3,
    "nv": 1e-9,
    "v": 1.0,
}
_BYTES_PER_SAMPLE: Final = 3
# widths of the header's per-channel fields: label, transducer, unit, physical minimum and maximum,
# digital minimum and maximum, prefiltering, samples per record, reserved
_FIELDS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)


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
        self.path = Path(path)
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as file:
                head = file.read(256)
                if len(head) < 256 or head[:1] != b"\xff" or head[1:8] != b"BIOSEMI":
                    raise self._error("not a BioSemi BDF file")
                n_channels = self._number(head[252:256], "number of channels")
                if not 0 < n_channels < 10_000:
                    raise self._error(f"the header counts {n_channels} channels")
                fields = file.read(256 * n_channels)
        except OSError as error:
            raise FileFormatError(
                f"{self.path}: can't be read ({error.strerror or error}). "
                "Check the path and permissions."
            ) from None
        if len(fields) < 256 * n_channels:
            raise self._error("truncated inside the header")
        columns = []
        position = 0
        for width in _FIELDS:
            cells = fields[position : position + width * n_channels]
            columns.append([cells[i * width : (i + 1) * width] for i in range(n_channels)])
            position += width * n_channels
        self.names = tuple(cell.decode("latin-1").strip() for cell in columns[0])
        self.transducers = tuple(cell.decode("latin-1").strip() for cell in columns[1])
        self.units = tuple(cell.decode("latin-1").strip() for cell in columns[2])
        physical_min, physical_max, digital_min, digital_max = (
            np.array([self._float(cell) for cell in column]) for column in columns[3:7]
        )
        per_record = {self._number(cell, "samples per record") for cell in columns[8]}
        if len(per_record) != 1:
            raise self._error("its channels have different sampling rates")
        self._per_record = per_record.pop()
        seconds = self._float(head[244:252])
        if self._per_record <= 0 or not seconds > 0 or (digital_max <= digital_min).any():
            raise self._error("the header holds impossible numbers")
        self.sfreq = self._per_record / seconds
        self._gain = (physical_max - physical_min) / (digital_max - digital_min)
        self._shift = physical_min - digital_min * self._gain
        offset = self._number(head[184:192], "header length")
        if offset != 256 * (n_channels + 1):
            raise self._error(f"the header's length is given as {offset} bytes")
        record = self._per_record * n_channels * _BYTES_PER_SAMPLE
        n_records = (size - offset) // record
        promised = self._number(head[236:244], "number of records")
        # -1 stands for a recording that was not closed; then the size decides
        if promised >= 0 and n_records < promised:
            raise self._error(f"truncated: {promised} records promised, {n_records} are complete")
        if n_records == 0:
            raise self._error("holds no samples")
        n_records = n_records if promised < 0 else promised
        self.n_samples = n_records * self._per_record
        self._data = np.memmap(
            self.path,
            np.uint8,
            "r",
            offset,
            (n_records, n_channels, self._per_record, _BYTES_PER_SAMPLE),
        )

    def _error(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: {what}. Copy the file again from its source.")

    def _number(self, cell: bytes, what: str) -> int:
        try:
            return int(cell)
        except ValueError:
            raise self._error(f"{what} in the header is {cell[:20]!r}") from None

    def _float(self, cell: bytes) -> float:
        try:
            return float(cell)
        except ValueError:
            raise self._error(f"the header has {cell[:20]!r} where a number belongs") from None

    def _integers(self, picks: Sequence[int], start: int, stop: int) -> np.ndarray[Any, Any]:
        if not 0 <= start <= stop <= self.n_samples:
            raise self._error(f"samples {start} to {stop} of {self.n_samples} were asked for")
        first, last = start // self._per_record, -(-stop // self._per_record)
        block = self._data[first:last, list(picks)]
        # 24 bits into the upper part of 32, so that shifting down keeps the sign
        wide = np.zeros((*block.shape[:-1], 4), np.uint8)
        wide[..., 1:] = block
        values = (wide.view("<i4")[..., 0] >> 8).transpose(1, 0, 2).reshape(len(picks), -1)
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
