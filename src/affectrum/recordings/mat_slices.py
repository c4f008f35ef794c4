"""One array of a MATLAB v5 file, read in slices along its last axis.

MATLAB keeps the first axis together, so the slice of one trial of a (time, channel, trial) array
lies in one piece. It is read alone: by seeking where the variable is not compressed, else by
unpacking up to it, from the nearest place that an earlier read passed.
"""

from __future__ import annotations

import math
import os
import struct
from typing import Any, Final

import numpy as np

from affectrum.errors import UnsafeFileError
from affectrum.recordings import mat5
from affectrum.recordings.mat_stream import MatStream
from affectrum.recordings.mat_unpack import Marks

__all__ = ["MatSlices"]

MAX_SLICE_BYTES: Final = 512 * 1024**2
"""Largest slice that is decoded, in bytes: many times the longest trial of any corpus."""

_HEAD_BYTES: Final = 512
_TAG: Final = 8


class MatSlices(MatStream):
    """An array of numbers of a .mat file of version 5; use it in a ``with`` statement.

    Parameters
    ----------
    path : path
        The file.
    name : str
        The variable.
    marks : Marks, optional
        Places to go on unpacking from, shared by all readers of one file in this process.

    Attributes
    ----------
    shape : tuple of int
        Its dimensions.

    Raises
    ------
    FileFormatError
        The file or the variable is missing, damaged or holds no real numbers.
    UnsafeFileError
        A slice is larger than any recording.
    """

    def __init__(self, path: str | os.PathLike[str], name: str, marks: Marks | None = None) -> None:
        super().__init__(path, marks)
        self.name = name
        try:
            with self._guard(name):
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        endian = self._mat.element(self.name)[1]
        source = self._source(self.name, 0, fresh=True)
        head = source.read(min(_HEAD_BYTES, source.n_bytes))
        header = mat5.parse_header(head, endian)
        if header.base_class not in mat5.NUMBERS or header.is_complex:
            raise ValueError(f"it is {header.matlab_class}, no array of real numbers")
        kind, n_bytes = struct.unpack_from(endian + "II", head, header.end)
        if kind not in mat5.MI_NUMBERS:
            raise ValueError(f"values of kind {kind}")
        self.shape = header.shape
        self._dtype = np.dtype(endian + mat5.MI_NUMBERS[kind])
        self._start = header.end + _TAG
        self._slice_bytes = math.prod(self.shape[:-1]) * self._dtype.itemsize
        fits = self._slice_bytes * self.shape[-1] == n_bytes
        if not fits or self._start + n_bytes > source.n_bytes:
            raise ValueError(f"shape {self.shape} does not fit {n_bytes} bytes of kind {kind}")
        if self._slice_bytes > MAX_SLICE_BYTES:
            raise UnsafeFileError(f"one slice has {self._slice_bytes} bytes")

    def slice(self, index: int) -> np.ndarray[Any, Any]:
        """Decode one slice.

        Parameters
        ----------
        index : int
            Place on the last axis, from 0.

        Returns
        -------
        ndarray, shape `shape` without the last axis
            float64.

        Raises
        ------
        FileFormatError
            There is no such slice, or the file is damaged.
        """
        return self.part(index, index + 1)[..., 0]

    def part(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Decode neighbouring slices.

        Parameters
        ----------
        start, stop : int
            Places on the last axis: the first one, and the one behind the last.

        Returns
        -------
        ndarray, shape `shape` with ``stop - start`` as the last axis
            float64.

        Raises
        ------
        FileFormatError
            There are no such slices, or the file is damaged.
        UnsafeFileError
            They are larger than any recording.
        """
        with self._guard(f"{self.name} [..., {start}:{stop}]"):
            if not 0 <= start <= stop <= self.shape[-1]:
                raise ValueError(f"it has {self.shape[-1]} slices")
            n_bytes = (stop - start) * self._slice_bytes
            if n_bytes > MAX_SLICE_BYTES:
                raise UnsafeFileError(f"the part has {n_bytes} bytes")
            begin = self._start + start * self._slice_bytes
            source = self._source(self.name, begin)
            source.skip(begin - source.position)
            flat = np.frombuffer(source.read(n_bytes), self._dtype)
        shape = (*self.shape[:-1], stop - start)
        return flat.reshape(shape, order="F").astype(np.float64)
