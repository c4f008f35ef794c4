"""One large variable of a MATLAB v5 file, walked without ever holding it.

Some vendors put a whole corpus into one variable: cells in structs in cells, compressed as one
piece. Its arrays are listed in a single pass that keeps only where each begins, and small values.
An array is then read alone: the variable is unpacked up to it, from the nearest place that an
earlier read passed, and only that array is kept. Reading in file order unpacks the variable once.

Some files hold more packed bytes than the array inside needs. As long as that array is complete,
this is reported and not refused.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import mat5
from affectrum.recordings.closing import Closing
from affectrum.recordings.mat import MatFile
from affectrum.recordings.mat_unpack import Marks, PackedSource, PlainSource

__all__ = ["Index", "Leaf", "MatStream"]

MAX_LEAF_BYTES: Final = 512 * 1024**2
"""Largest array that is decoded, in bytes: many times the longest trial of any corpus."""

_MAX_ARRAYS: Final = 100_000
_MAX_DEPTH: Final = 16
_MAX_HEAD: Final = 1024**2  # names of a struct's fields
_SMALL: Final = 4096  # arrays up to this size are decoded on the way
_MAX_GAPS: Final = 1024
_TAG: Final = 8
_OPAQUE: Final = 17


class Leaf(NamedTuple):
    """An array that is neither a cell nor a struct.

    Parameters
    ----------
    path : str
        How MATLAB reaches it, with indices from 0: ``"Data[2].EEG.stimuli[17]"``. Structs of one
        element have no index.
    shape : sequence of int
        Its dimensions.
    matlab_class : str
        "double", "char", ...
    offset : int
        Where it begins in the variable's unpacked bytes.
    n_bytes : int
        Its length there.
    value : list or None
        Numbers row by row, or lines of text, of small arrays.
    gaps : sequence of (int, int)
        Columns that hold numbers that are NaN or infinite, and how many (the first 1024 columns).
    """

    path: str
    shape: Sequence[int]
    matlab_class: str
    offset: int
    n_bytes: int
    value: Any
    gaps: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Index:
    """What a variable holds.

    Parameters
    ----------
    leaves : dict of str to Leaf
        Every array by its path, in file order.
    faults : tuple of str
        What is wrong with the packing although every array is complete.
    """

    leaves: dict[str, Leaf]
    faults: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the index as lists and dicts, for a cache."""
        return {"leaves": [list(leaf) for leaf in self.leaves.values()], "faults": [*self.faults]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Index:
        """Return the index that `to_json` described."""
        leaves = [Leaf(*item) for item in content["leaves"]]
        return cls({leaf.path: leaf for leaf in leaves}, tuple(content["faults"]))


class MatStream(Closing):
    """A .mat file of version 5 whose variables are too large to be held; use it in ``with``.

    Parameters
    ----------
    path : path
        The file.
    marks : Marks, optional
        Places to go on unpacking from, shared by all streams of one file in this process.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, damaged or not a .mat file of version 5.
    """

    def __init__(self, path: str | os.PathLike[str], marks: Marks | None = None) -> None:
        self._mat = MatFile(path)
        self.path = self._mat.path
        self.variables = self._mat.variables
        try:
            self._file = self.path.open("rb")
            state = os.fstat(self._file.fileno())
        except OSError as error:
            self._mat.close()
            raise FileFormatError(f"{self.path}: can't be read ({error.strerror}).") from None
        self._marks = Marks() if marks is None else marks
        self._marks.begin((state.st_size, state.st_mtime_ns))
        self._sources: dict[str, PackedSource | PlainSource] = {}

    def close(self) -> None:
        """Close the file; reading from it afterwards fails."""
        self._sources.clear()
        self._file.close()
        self._mat.close()

    def is_packed(self, name: str) -> bool:
        """Whether a variable is compressed, so that reading a late array passes all before it."""
        return self._mat.element(name)[0].compressed

    def index(self, name: str) -> Index:
        """List the arrays of a variable in one pass.

        Parameters
        ----------
        name : str
            The variable's name.

        Returns
        -------
        Index
            Its arrays and the faults of its packing.

        Raises
        ------
        FileFormatError
            The variable is missing or damaged.
        UnsafeFileError
            It holds absurdly many arrays, or far more bytes than it says.
        """
        with self._guard(name):
            source = self._source(name, 0, fresh=True)
            walker = _Walker(source, self._mat.element(name)[1])
            walker.array("", source.n_bytes, 0)
            return Index(walker.leaves, tuple(source.finish()))

    def read(self, name: str, leaf: Leaf) -> np.ndarray[Any, Any]:
        """Decode one array.

        Parameters
        ----------
        name : str
            The variable's name.
        leaf : Leaf
            One of the variable's index.

        Returns
        -------
        ndarray
            Numbers with MATLAB's axes, or text as an array of `str`.

        Raises
        ------
        FileFormatError
            The variable is missing or damaged, or the index is of another file.
        UnsafeFileError
            The array is larger than any recording.
        """
        if leaf.n_bytes > MAX_LEAF_BYTES:
            raise UnsafeFileError(f"{self.path}: {name} {leaf.path} has {leaf.n_bytes} bytes.")
        with self._guard(f"{name} {leaf.path}"):
            source = self._source(name, leaf.offset)
            source.skip(leaf.offset - source.position)
            found = mat5.decode(source.read(leaf.n_bytes), self._mat.element(name)[1])
        if found.shape != tuple(leaf.shape) and leaf.matlab_class != "char":
            raise FileFormatError(
                f"{self.path}: {leaf.path} has shape {found.shape}, not {tuple(leaf.shape)}: the "
                "file changed. Open it again."
            )
        return found

    def _source(
        self, name: str, position: int, *, fresh: bool = False
    ) -> PackedSource | PlainSource:
        """Return the variable's bytes, ready at or before a position."""
        element, endian = self._mat.element(name)
        if not element.compressed:
            return PlainSource(self._file, element.offset, element.n_bytes)
        source = self._sources.get(name)
        # going on is worse than a mark only behind the wanted place
        if fresh or not isinstance(source, PackedSource) or source.position > position:
            source = PackedSource(self._file, element.offset, element.n_bytes, endian, self._marks)
            source.start(0 if fresh else position)
        elif self._marks.is_nearer(element.offset, source.position, position):
            source.start(position)
        self._sources[name] = source
        return source

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        try:
            yield
        except UnsafeFileError as error:
            self._sources.clear()
            if str(self.path) in str(error):
                raise
            raise UnsafeFileError(f"{self.path}: {what}: {error}") from None
        except FileFormatError:
            raise
        except (
            zlib.error,
            ValueError,
            struct.error,
            OverflowError,
            MemoryError,
            OSError,
        ) as error:
            self._sources.clear()
            raise FileFormatError(
                f"{self.path}: {what} is damaged ({error}). Copy {self.path.name} again from its "
                "source."
            ) from None


class _Walker:
    """Lists the arrays of one variable."""

    def __init__(self, source: PackedSource | PlainSource, endian: str) -> None:
        self.leaves: dict[str, Leaf] = {}
        self._source = source
        self._endian = endian
        self._visited = 0

    def array(self, path: str, n_bytes: int, depth: int) -> None:
        """Walk the array of a length that begins at the source's position."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH}")
        self._visited += 1
        if self._visited > _MAX_ARRAYS:
            raise UnsafeFileError(f"more than {_MAX_ARRAYS} arrays in one variable.")
        start = self._source.position
        stop = start + n_bytes
        if not n_bytes:
            self._add(Leaf(path, (0, 0), "double", start, 0, None, ()))
            return
        head = self._head(stop)
        header = mat5.parse_header(head, self._endian)
        if header.base_class == "cell":
            self._cells(path, header.shape, stop, depth)
        elif header.base_class == "struct":
            self._structs(path, header.shape, stop, depth)
        else:
            value, gaps = self._values(header, head, stop)
            self._add(Leaf(path, header.shape, header.matlab_class, start, n_bytes, value, gaps))
        if self._source.position > stop:
            raise ValueError(f"{path or 'the array'} is longer than its header says")
        self._source.skip(stop - self._source.position)

    def _add(self, leaf: Leaf) -> None:
        if leaf.path in self.leaves:
            raise ValueError(f"{leaf.path} occurs twice")
        self.leaves[leaf.path] = leaf

    def _element(self, stop: int) -> bytes:
        """Return one short element with its tag and padding."""
        tag = self._read(_TAG, stop)
        kind, n_bytes = struct.unpack(self._endian + "II", tag)
        if kind >> 16:
            return tag  # a small element holds its data in the tag
        if n_bytes > _MAX_HEAD:
            raise ValueError(f"a header element of {n_bytes} bytes")
        return tag + self._read(n_bytes + -n_bytes % 8, stop)

    def _read(self, n_bytes: int, stop: int) -> bytes:
        if self._source.position + n_bytes > stop:
            raise ValueError("an element reaches beyond its array")
        return self._source.read(n_bytes)

    def _head(self, stop: int) -> bytes:
        flags = self._element(stop)
        if len(flags) < 2 * _TAG:
            raise ValueError("the flags of an array are missing")
        code = struct.unpack(self._endian + "I", flags[8:12])[0] & 0xFF
        # objects of classes have a name in the place of the dimensions
        rest = [self._element(stop)] if code == _OPAQUE else [self._element(stop) for _ in "dn"]
        return b"".join([flags, *rest])

    def _tag(self, stop: int) -> int:
        """Return the length of an inner array."""
        kind, n_bytes = struct.unpack(self._endian + "II", self._read(_TAG, stop))
        if kind != mat5.MI_MATRIX or self._source.position + n_bytes > stop:
            raise ValueError("an inner array is damaged")
        return int(n_bytes)

    def _check_count(self, count: int, stop: int) -> None:
        if count * _TAG > stop - self._source.position:
            raise ValueError(f"{count} inner arrays do not fit their length")

    def _cells(self, path: str, shape: Sequence[int], stop: int, depth: int) -> None:
        count = math.prod(shape)
        self._check_count(count, stop)
        for position in range(count):
            self.array(f"{path}[{position}]", self._tag(stop), depth + 1)

    def _structs(self, path: str, shape: Sequence[int], stop: int, depth: int) -> None:
        raw = self._element(stop) + self._element(stop)
        fields, _ = mat5.field_names(raw, self._endian)
        count = math.prod(shape)
        self._check_count(count * len(fields), stop)
        if not fields:
            return
        for position in range(count):
            here = path if count == 1 else f"{path}[{position}]"
            for name in fields:
                self.array(f"{here}.{name}" if here else name, self._tag(stop), depth + 1)

    def _values(
        self, header: mat5.Header, head: bytes, stop: int
    ) -> tuple[Any, list[tuple[int, int]]]:
        """Return the value of a small array, and the gaps of any."""
        rest = stop - self._source.position
        numeric = header.base_class in mat5.NUMBERS
        if not numeric and header.base_class != "char":
            return None, []
        if len(head) + rest <= _SMALL:
            found = mat5.decode(head + self._source.read(rest), self._endian)
            if not numeric:
                return found.tolist(), []
            gaps = _Gaps(found.shape[0])
            gaps.add(found.ravel(order="F"))
            return (None if header.is_complex else found.tolist()), gaps.found
        kind, n_bytes = struct.unpack(self._endian + "II", self._read(_TAG, stop))
        if self._source.position + n_bytes > stop:
            raise ValueError("the values reach beyond the array")
        if not numeric:
            return None, []
        dtype = np.dtype(self._endian + mat5.MI_NUMBERS.get(kind, "V1"))
        if dtype.kind == "V" or math.prod(header.shape) * dtype.itemsize != n_bytes:
            raise ValueError(f"shape {header.shape} does not fit {n_bytes} bytes of kind {kind}")
        gaps = _Gaps(header.shape[0])
        if dtype.kind == "f":
            carried = b""
            for piece in self._source.pieces(n_bytes):
                data = b"".join((carried, piece))
                whole = len(data) - len(data) % dtype.itemsize
                gaps.add(np.frombuffer(data, dtype, whole // dtype.itemsize))
                carried = data[whole:]
        return None, gaps.found


class _Gaps:
    """Counts numbers that are NaN or infinite by column, of an array given piece by piece."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = max(n_rows, 1)
        self._done = 0
        self._counts: Counter[int] = Counter()

    def add(self, values: np.ndarray[Any, Any]) -> None:
        """Look at the next values, in the order of the file."""
        finite = np.isfinite(values)
        if not finite.all():
            columns = (np.flatnonzero(~finite) + self._done) // self._n_rows
            numbers, counts = np.unique(columns[columns < _MAX_GAPS], return_counts=True)
            self._counts.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        self._done += len(values)

    @property
    def found(self) -> list[tuple[int, int]]:
        """Column and count, by column."""
        return sorted(self._counts.items())
