"""The bytes of one MATLAB variable in order, packed or not; used by `mat_stream`."""

from __future__ import annotations

import bisect
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final

from affectrum.errors import UnsafeFileError
from affectrum.recordings.mat5 import MI_MATRIX

__all__ = ["Marks", "PackedSource", "PlainSource"]

_CHUNK: Final = 128 * 1024  # packed bytes that are read at a time
_PIECE: Final = 1024 * 1024  # unpacked bytes that are held at a time
_STEP: Final = 16 * 1024**2  # unpacked bytes between two marks
_MAX_EXTRA: Final = 256 * 1024**2
_TAG: Final = 8

# A place in the packed bytes: unpacked position, next byte of the file, state of the unpacker.
_Mark = tuple[int, int, Any]


class Marks:
    """Places within one file's packed variables from which unpacking can go on.

    A packed variable can only be unpacked from its beginning, unless the unpacker's state is kept.
    One is, every 16 MB, as reading passes (about 50 kB each), so that the next read of a late
    array does not begin anew. They live as long as the process and are no part of a copy sent to
    another one.
    """

    def __init__(self) -> None:
        self._state: tuple[int, int] | None = None
        self._by_element: dict[int, list[_Mark]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]

    def begin(self, state: tuple[int, int]) -> None:
        """Forget everything unless the file's size and time of change are as before."""
        if state != self._state:
            self._state = state
            self._by_element = {}

    def nearest(self, element: int, position: int) -> _Mark | None:
        """Return the last mark at or before a position of the element, None if there is none."""
        marks = self._by_element.get(element, [])
        found = bisect.bisect_right(marks, position, key=lambda mark: mark[0])
        return marks[found - 1] if found else None

    def is_nearer(self, element: int, here: int, position: int) -> bool:
        """Whether a mark lies between where a reader is and where it wants to be."""
        mark = self.nearest(element, position)
        return mark is not None and mark[0] > here

    def offer(self, element: int, position: int, following: int, unpacker: Any) -> None:
        """Keep a copy of the unpacker's state if no mark is near."""
        marks = self._by_element.setdefault(element, [])
        place = bisect.bisect_right(marks, position, key=lambda mark: mark[0])
        before = marks[place - 1][0] if place else 0
        behind = marks[place][0] if place < len(marks) else position + _STEP
        if position - before >= _STEP and behind - position >= _STEP:
            marks.insert(place, (position, following, unpacker.copy()))


class PlainSource:
    """The bytes of a variable that is not packed, without the tag in front.

    Parameters
    ----------
    file : binary file
        The file.
    offset, n_bytes : int
        Where the variable stands.
    """

    def __init__(self, file: IO[bytes], offset: int, n_bytes: int) -> None:
        self.position = 0
        self.n_bytes = n_bytes
        self._file = file
        self._offset = offset

    def skip(self, n_bytes: int) -> None:
        """Move on, or back."""
        self.position += n_bytes

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes."""
        self._file.seek(self._offset + self.position)
        data = self._file.read(max(0, min(n_bytes, self.n_bytes - self.position)))
        if len(data) < n_bytes:
            raise ValueError("the file ends too early")
        self.position += n_bytes
        return data

    def pieces(self, n_bytes: int) -> Iterator[bytes]:
        """Yield the next bytes in pieces."""
        while n_bytes:
            piece = self.read(min(n_bytes, _PIECE))
            n_bytes -= len(piece)
            yield piece

    def finish(self) -> list[str]:
        """Return what is wrong with the packing: nothing."""
        return []


class PackedSource:
    """The unpacked bytes of a deflated variable, without the tag in front.

    Parameters
    ----------
    file : binary file
        The file.
    offset, n_bytes : int
        Where the packed bytes stand.
    endian : str
        "<" or ">".
    marks : Marks
        Where to go on from, and where to leave marks.
    """

    def __init__(
        self, file: IO[bytes], offset: int, n_bytes: int, endian: str, marks: Marks
    ) -> None:
        self._file = file
        self._offset = offset
        self._end = offset + n_bytes
        self._marks = marks
        self._restart()
        kind, self.n_bytes = struct.unpack(endian + "II", self.read(_TAG))
        if kind != MI_MATRIX:
            raise ValueError("a compressed element that is no array")

    def _restart(self) -> None:
        self._next = self._offset
        self._unpacker = zlib.decompressobj()
        self._unpacked = -_TAG  # position behind everything unpacked so far
        self._tail = b""  # packed bytes that were read, not yet unpacked
        self._buffer = memoryview(b"")  # unpacked bytes, not yet handed out

    @property
    def position(self) -> int:
        """Unpacked bytes behind the tag that were handed out or skipped."""
        return self._unpacked - len(self._buffer)

    def start(self, position: int) -> None:
        """Go to the nearest place at or before a position from which unpacking can go on."""
        mark = self._marks.nearest(self._offset, position)
        if mark is None or mark[0] <= self.position <= position:
            if self.position > position:
                self._restart()
                self.read(_TAG)
            return
        self._unpacked, self._next, unpacker = mark
        self._unpacker = unpacker.copy()
        self._tail, self._buffer = b"", memoryview(b"")

    def _fill(self) -> None:
        """Unpack the next piece."""
        while not self._buffer:
            if self._unpacker.eof:
                raise ValueError("the packed data end too early")
            if not self._tail:
                self._marks.offer(self._offset, self._unpacked, self._next, self._unpacker)
                self._tail = self._next_packed()
                if not self._tail:
                    raise ValueError("the packed data end too early")
            piece = self._unpacker.decompress(self._tail, _PIECE)
            self._tail = self._unpacker.unconsumed_tail
            self._unpacked += len(piece)
            self._buffer = memoryview(piece)

    def _next_packed(self) -> bytes:
        self._file.seek(self._next)
        data = self._file.read(min(_CHUNK, self._end - self._next))
        self._next += len(data)
        return data

    def pieces(self, n_bytes: int) -> Iterator[memoryview]:
        """Yield the next unpacked bytes in pieces."""
        while n_bytes:
            self._fill()
            piece = self._buffer[:n_bytes]
            self._buffer = self._buffer[len(piece) :]
            n_bytes -= len(piece)
            yield piece

    def skip(self, n_bytes: int) -> None:
        """Unpack bytes and forget them."""
        if n_bytes < 0:
            raise ValueError("packed data can't be read backwards")
        for _ in self.pieces(n_bytes):
            pass

    def read(self, n_bytes: int) -> bytes:
        """Return the next unpacked bytes; what the file promises is trusted as a limit only."""
        return b"".join(self.pieces(n_bytes))

    def finish(self) -> list[str]:
        """Unpack what is left behind the array, and say what is wrong with the packing."""
        extra, faults = len(self._buffer), []
        self._buffer = memoryview(b"")
        while not self._unpacker.eof:
            self._tail = self._tail or self._next_packed()
            if not self._tail:
                faults.append("the packed data end without their checksum")
                break
            piece = self._unpacker.decompress(self._tail, _PIECE)
            self._tail = self._unpacker.unconsumed_tail
            extra += len(piece)
            if extra > _MAX_EXTRA:
                raise UnsafeFileError("its packed data go on long after the array.")
        self._unpacked += extra
        if extra:
            faults.insert(0, f"{extra} bytes follow the array")
        unread = len(self._unpacker.unused_data) + self._end - self._next
        if unread:
            faults.append(f"{unread} bytes follow the packed data")
        return faults
