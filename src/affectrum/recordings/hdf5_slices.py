"""A part of one HDF5 data set, decoded piece by piece.

h5py would hand compressed pieces to the HDF5 library, which trusts what they unpack to and loads
foreign filters as code. Here the pieces ("chunks") that a slice touches are unpacked by this
module, each up to the size that it must have; the library only says where they are.
"""

from __future__ import annotations

import itertools
import math
import os
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import hdf5
from affectrum.recordings.closing import Closing

__all__ = ["SlicedArray"]

MAX_BYTES: Final = 1024**3
"""Largest slice that is read, in bytes."""

_MAX_CHUNK_BYTES: Final = 256 * 1024**2
_MAX_CHUNKS: Final = 100_000
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3  # HDF5's numbers of the filters that are understood


class SlicedArray(Closing):
    """One array of numbers of an HDF5 file, open for reading; use it in a ``with`` statement.

    Parameters
    ----------
    path : path
        The file.
    name : str
        The data set.

    Attributes
    ----------
    shape : tuple of int
        Its shape in the file's order (the reverse of MATLAB's).
    dtype : numpy.dtype
        Its dtype.
    names : tuple of str
        All data sets and groups on the file's top level.

    Raises
    ------
    UnsafeFileError
        The data set lies in another file, or is packed by a filter other than gzip.
    FileFormatError
        The file or the data set is missing, damaged or of another kind.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        self.path = Path(path)
        self.where = f"{self.path}: {name}"
        try:
            self._size = self.path.stat().st_size
        except OSError as error:
            raise FileFormatError(
                f"{self.path}: can't be read ({error.strerror or error})."
            ) from None
        self._file = hdf5.open_file(self.path)
        try:
            self._open(name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; reading from it afterwards fails."""
        self._file.close()

    def read(self, *index: int | slice) -> np.ndarray[Any, Any]:
        """Decode a part of the array.

        Parameters
        ----------
        *index : int or slice
            One per axis; slices have no step. Axes with an int are dropped.

        Returns
        -------
        ndarray
            In the machine's byte order.

        Raises
        ------
        UnsafeFileError
            The part is larger than what is read at most.
        FileFormatError
            It is damaged or not there.
        """
        ranges = self._ranges(index)
        shape = [stop - start for start, stop in ranges]
        n_bytes = math.prod(shape) * self.dtype.itemsize
        if n_bytes > MAX_BYTES:
            raise UnsafeFileError(f"{self.where}: a part of {n_bytes} bytes was asked for.")
        try:
            if self._chunks is None:
                found = np.asarray(self._set[tuple(slice(*pair) for pair in ranges)])
            else:
                found = self._from_chunks(ranges, shape)
        except FileFormatError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
            raise self._damaged(str(error)) from None
        kept = tuple(0 if isinstance(part, int) else slice(None) for part in index)
        return np.ascontiguousarray(found[kept], dtype=self.dtype.newbyteorder("="))

    # inside

    def _damaged(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self.where}: damaged ({what}). Copy the file again.")

    def _open(self, name: str) -> None:
        import h5py

        try:
            self.names = tuple(key for key in self._file if not key.startswith("#"))
            if name not in self.names:
                found = ", ".join(self.names[:20]) or "nothing"
                raise FileFormatError(f"{self.path}: lacks {name!r}; it holds {found}.")
            if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
                raise UnsafeFileError(f"{self.where} is a link to another place; not followed.")
            self._set = self._file[name]
            if not isinstance(self._set, h5py.Dataset):
                raise FileFormatError(f"{self.where} is no array.")
            self.shape = tuple(int(n) for n in self._set.shape)
            self.dtype = np.dtype(self._set.dtype)
            self._look_at_storage()
        except FileFormatError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from None

    def _look_at_storage(self) -> None:
        if self._set.external or self._set.is_virtual:
            raise UnsafeFileError(f"{self.where}: keeps its values in another file; not followed.")
        if self.dtype.kind not in "fiu" or self.dtype.itemsize > 8:
            raise FileFormatError(f"{self.where}: dtype {self.dtype} is no plain number.")
        plist = self._set.id.get_create_plist()
        self._filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        foreign = [code for code in self._filters if code not in (_DEFLATE, _SHUFFLE, _FLETCHER32)]
        if foreign:
            raise UnsafeFileError(
                f"{self.where}: packed by the filter {foreign[0]}, which is not read. Save it "
                "with gzip or without compression."
            )
        self._chunks = None if self._set.chunks is None else tuple(map(int, self._set.chunks))
        stored = math.prod(self.shape) * self.dtype.itemsize
        if self._chunks is None:
            if stored > self._size:
                raise FileFormatError(
                    f"{self.where}: shape {self.shape} needs {stored} bytes, the file has "
                    f"{self._size}. Copy the file again."
                )
        elif math.prod(self._chunks) * self.dtype.itemsize > _MAX_CHUNK_BYTES:
            raise UnsafeFileError(f"{self.where}: chunks of shape {self._chunks} are too large.")

    def _ranges(self, index: tuple[int | slice, ...]) -> list[tuple[int, int]]:
        if len(index) != len(self.shape):
            raise FileFormatError(f"{self.where}: has {len(self.shape)} axes, not {len(index)}.")
        ranges = []
        for part, n in zip(index, self.shape, strict=True):
            start, stop = (part, part + 1) if isinstance(part, int) else part.indices(n)[:2]
            if not 0 <= start <= stop <= n:
                raise FileFormatError(f"{self.where}: {part} of {n} was asked for.")
            ranges.append((start, stop))
        return ranges

    def _from_chunks(self, ranges: list[tuple[int, int]], shape: list[int]) -> Any:
        assert self._chunks is not None
        out = np.empty(shape, self.dtype)
        if not out.size:
            return out
        offsets = [
            range(start // size * size, stop, size)
            for (start, stop), size in zip(ranges, self._chunks, strict=True)
        ]
        if math.prod(len(axis) for axis in offsets) > _MAX_CHUNKS:
            raise UnsafeFileError(f"{self.where}: is cut into too many pieces to be read.")
        for offset in itertools.product(*offsets):
            chunk = self._chunk(offset)
            theirs, ours = [], []
            for place, (start, stop), size in zip(offset, ranges, self._chunks, strict=True):
                first, last = max(start, place), min(stop, place + size)
                theirs.append(slice(first - place, last - place))
                ours.append(slice(first - start, last - start))
            out[tuple(ours)] = chunk[tuple(theirs)]
        return out

    def _chunk(self, offset: tuple[int, ...]) -> np.ndarray[Any, Any]:
        assert self._chunks is not None
        wanted = math.prod(self._chunks) * self.dtype.itemsize
        info = self._set.id.get_chunk_info_by_coord(offset)
        if info.byte_offset is None:
            raise self._damaged(f"the values at {offset} were never written")
        if info.byte_offset + info.size > self._size:
            raise self._damaged(f"the values at {offset} lie behind the end of the file")
        skipped, data = self._set.id.read_direct_chunk(offset)
        for position in reversed(range(len(self._filters))):
            if skipped >> position & 1:
                continue
            code = self._filters[position]
            if code == _FLETCHER32:
                data = data[:-4]  # its checksum
            elif code == _DEFLATE:
                data = self._inflate(data, wanted + 4)
            else:
                data = _unshuffle(data, self.dtype.itemsize)
        if len(data) != wanted:
            raise self._damaged(f"{len(data)} bytes at {offset}, {wanted} expected")
        return np.frombuffer(data, self.dtype).reshape(self._chunks)

    def _inflate(self, data: bytes, limit: int) -> bytes:
        unpacker = zlib.decompressobj()
        try:
            unpacked = unpacker.decompress(data, limit)
            rest = unpacker.decompress(unpacker.unconsumed_tail, 1)
        except zlib.error as error:
            raise self._damaged(str(error)) from None
        if rest or not unpacker.eof:
            raise self._damaged("a compressed piece has another size than it should")
        return unpacked


def _unshuffle(data: bytes, itemsize: int) -> bytes:
    """Undo HDF5's byte shuffle: first bytes of all numbers, then all second ones, and so on."""
    n = len(data) // itemsize
    planes = np.frombuffer(data, np.uint8, n * itemsize).reshape(itemsize, n)
    return planes.T.tobytes() + data[n * itemsize :]
