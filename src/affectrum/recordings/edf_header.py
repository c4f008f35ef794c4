"""The header that EDF, EDF+, BDF and BDF+ files share.

Every size is compared with the bytes that are there; what a reader needs beyond that (a rate, a
scale) it asks for, because files of events have none that make sense.

Format: https://www.edfplus.info/specs/edf.html; BDF has three bytes per sample instead of two
(https://www.biosemi.com/faq/file_format.htm).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError

__all__ = ["EdfHeader", "from_24_bits"]

# widths of the header's per-channel fields: label, transducer, unit, physical minimum and maximum,
# digital minimum and maximum, prefiltering, samples per record, reserved
_FIELDS: Final = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
_MAX_CHANNELS: Final = 10_000


class EdfHeader:
    """The header of a file.

    Parameters
    ----------
    path : path
        The file.
    accepts : callable
        Whether the first 256 bytes are of a kind that the caller reads.
    what : str
        That kind in words, for the error: "an EDF or BDF file".

    Attributes
    ----------
    names, transducers, units : tuple of str
        Of all channels, as the header has them; they may be empty or repeated.
    per_record : ndarray of int64, shape (n_channels,)
        Samples of each channel in a record; not checked.
    bytes_per_sample : int
        3 for BDF, 2 for EDF.
    offset : int
        Where the records begin.
    reserved : bytes
        The field that names EDF+ and BDF+.

    Raises
    ------
    FileFormatError
        The file is missing, of another kind, or its header is truncated or damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], accepts: Callable[[bytes], bool], what: str
    ) -> None:
        self.path = Path(path)
        try:
            self._size = self.path.stat().st_size
            with self.path.open("rb") as file:
                self._head = file.read(256)
                if len(self._head) < 256 or not accepts(self._head):
                    raise self.error(f"not {what}")
                n_channels = self._whole(self._head[252:256], "number of channels")
                if not 0 < n_channels < _MAX_CHANNELS:
                    raise self.error(f"the header counts {n_channels} channels")
                fields = file.read(256 * n_channels)
        except OSError as error:
            raise FileFormatError(
                f"{self.path}: can't be read ({error.strerror or error}). "
                "Check the path and permissions."
            ) from None
        if len(fields) < 256 * n_channels:
            raise self.error("truncated inside the header")
        self._columns: list[list[bytes]] = []
        position = 0
        for width in _FIELDS:
            cells = fields[position : position + width * n_channels]
            self._columns.append([cells[i * width : (i + 1) * width] for i in range(n_channels)])
            position += width * n_channels
        self.names, self.transducers, self.units = (
            tuple(cell.decode("latin-1").strip() for cell in column) for column in self._columns[:3]
        )
        self.per_record = np.array(
            [self._whole(cell, "samples per record") for cell in self._columns[8]], dtype=np.int64
        )
        self.bytes_per_sample = 3 if self._head[:1] == b"\xff" else 2
        self.offset = 256 * (n_channels + 1)
        self.reserved = self._head[192:236]

    def error(self, what: str) -> FileFormatError:
        """Return the error that says what is wrong with the file."""
        return FileFormatError(f"{self.path}: {what}. Copy the file again from its source.")

    def _whole(self, cell: bytes, what: str) -> int:
        try:
            value = int(cell)
        except ValueError:
            value = None
        if value is None or abs(value) > 2**40:
            raise self.error(f"{what} in the header is {cell[:20]!r}") from None
        return value

    def _number(self, cell: bytes) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise self.error(f"the header has {cell[:20]!r} where a number belongs")
        return value

    def record_seconds(self) -> float:
        """Return the length of a record in seconds.

        Raises
        ------
        FileFormatError
            It is no positive number.
        """
        seconds = self._number(self._head[244:252])
        if not seconds > 0:
            raise self.error("the header holds impossible numbers")
        return seconds

    def scale(self, channels: Sequence[int]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return what a step of the stored integers is in each channel's unit, and where 0 lies.

        Parameters
        ----------
        channels : sequence of int
            Positions in the file, from 0.

        Returns
        -------
        gain, shift : ndarray, shape (n,)
            Physical value = gain * integer + shift.

        Raises
        ------
        FileFormatError
            The limits are no numbers, or those of the integers are not in order.
        """
        low, high, digital_low, digital_high = (
            np.array([self._number(column[i]) for i in channels]) for column in self._columns[3:7]
        )
        if (digital_high <= digital_low).any():
            raise self.error("the header holds impossible numbers")
        gain = (high - low) / (digital_high - digital_low)
        return gain, low - digital_low * gain

    def check_offset(self) -> None:
        """Raise FileFormatError unless the header states its own length rightly."""
        stated = self._whole(self._head[184:192], "header length")
        if stated != self.offset:
            raise self.error(f"the header's length is given as {stated} bytes")

    def n_records(self) -> int:
        """Return how many records the file holds.

        Raises
        ------
        FileFormatError
            Fewer are complete than the header promises, or records have no samples.
        """
        record = int(self.per_record.sum()) * self.bytes_per_sample
        if record <= 0:
            raise self.error("its records are empty")
        complete = (self._size - self.offset) // record
        promised = self._whole(self._head[236:244], "number of records")
        if promised > complete:
            raise self.error(f"truncated: {promised} records promised, {complete} are complete")
        # -1 stands for a recording that was not closed; then the size decides
        return complete if promised < 0 else promised


def from_24_bits(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Unpack little-endian integers of three bytes.

    Parameters
    ----------
    block : ndarray of uint8, shape (..., 3)
        As BDF stores samples.

    Returns
    -------
    ndarray of int32, shape (...)
        With their sign.
    """
    # into the upper part of 32 bits, so that shifting down keeps the sign
    wide = np.zeros((*block.shape[:-1], 4), np.uint8)
    wide[..., 1:] = block
    return np.asarray(wide.view("<i4")[..., 0] >> 8)
