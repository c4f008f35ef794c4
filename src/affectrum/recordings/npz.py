"""numpy's own files, .npy and .npz, opened as files that somebody else wrote.

``numpy.load`` reads numbers safely but believes the sizes that a file states, and reads arrays of
Python objects only by running a pickle. Here sizes are compared with the bytes that are there
before memory is taken, an archive that unpacks to far more than it holds is refused, and a
pickle in an array (some corpora ship dicts of arrays that way) is decoded by
`affectrum.recordings.pickles`, which runs nothing.

Formats: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import pickles
from affectrum.recordings.closing import Closing

__all__ = ["MAX_BYTES", "NpzFile", "describe_npy", "read_npy"]

MAX_BYTES: Final = 2 * 1024**3
"""Most bytes that one array, or all arrays of an archive together, may unpack to."""

_MAGIC: Final = b"\x93NUMPY"
_MAX_HEADER: Final = 10_000
_MAX_ARRAYS: Final = 10_000
_MAX_DIRECTORY: Final = 4 * 1024**2
_MAX_END: Final = 2**17  # an archive's last record with its comment has 64 KiB at most
_PIECE: Final = 1024**2
# Deflate can pack 1032 bytes into one. Numbers of a measurement never come near that; a small
# array of zeros may.
_MAX_RATIO: Final = 200
_SMALL_ARRAY: Final = 64 * 1024**2
_DEFLATE_LIMIT: Final = 1032

_DESCR = re.compile(r"'descr'\s*:\s*'(?P<value>[<>|=]?[A-Za-z][0-9]{0,9})'\s*[,}]")
_ORDER = re.compile(r"'fortran_order'\s*:\s*(?P<value>True|False)\s*[,}]")
# Python 2 wrote long integers as 3L
_SHAPE = re.compile(r"'shape'\s*:\s*\((?P<value>(?:\s*[0-9]{1,18}L?\s*,?)*)\)\s*[,}]")
_NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16)")
_BYTES = re.compile(r"\|?[SV](?P<n>[0-9]{1,10})")
_TEXT = re.compile(r"[<>|=]?U(?P<n>[0-9]{1,9})")

_FAULTS: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # how zipfile says that a password is needed
    ValueError,
    OverflowError,
    KeyError,
    IndexError,
    MemoryError,
)


@dataclass(frozen=True)
class _Header:
    """What stands before an array's content."""

    shape: tuple[int, ...]
    dtype: str
    fortran: bool
    n_bytes: int  # of the header with its magic

    @property
    def is_object(self) -> bool:
        return self.dtype.lstrip("<>|=") == "O"

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def content_bytes(self) -> int:
        return self.count * np.dtype(self.dtype).itemsize


def _parse_header(file: IO[bytes], where: str) -> _Header:
    start = file.read(8)
    if len(start) < 8 or start[:6] != _MAGIC:
        raise FileFormatError(f"{where}: not an array file of numpy's. The file is damaged.")
    if start[6] not in (1, 2, 3):
        raise FileFormatError(f"{where}: version {start[6]} of numpy's format is not known.")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if not 0 < length <= _MAX_HEADER:
        raise UnsafeFileError(f"{where}: a header of {length} bytes. It was not loaded.")
    raw = file.read(length)
    if len(raw) < length:
        raise FileFormatError(f"{where}: truncated inside the header. Copy the file again.")
    text = raw.decode("latin-1")
    descr, order, shape = (pattern.search(text) for pattern in (_DESCR, _ORDER, _SHAPE))
    if descr is None or order is None or shape is None:
        raise FileFormatError(
            f"{where}: the header {text.strip()[:120]!r} does not describe a plain array "
            "(arrays of records are not read)."
        )
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", shape["value"]))
    kind = descr["value"]
    known = _NUMBERS.fullmatch(kind) or _BYTES.fullmatch(kind) or _TEXT.fullmatch(kind)
    if not known and kind.lstrip("<>|=") != "O":
        raise FileFormatError(f"{where}: arrays of {kind!r} are not read.")
    if len(numbers) > 32 or any(n >= 2**48 for n in numbers):
        raise FileFormatError(f"{where}: the shape {numbers!s:.80} is not valid.")
    return _Header(numbers, kind, order["value"] == "True", 8 + width + length)


def _check_size(header: _Header, n_there: int, where: str) -> None:
    """Refuse an array whose promise is not the number of bytes that follow its header."""
    wanted = header.content_bytes()
    if wanted > MAX_BYTES:
        raise UnsafeFileError(
            f"{where}: an array of shape {header.shape} has {wanted} bytes, more than the "
            f"{MAX_BYTES} that are read at most. It was not loaded."
        )
    if wanted != n_there:
        raise FileFormatError(
            f"{where}: an array of shape {header.shape} and dtype {header.dtype} needs {wanted} "
            f"bytes, {n_there} are there. The file is truncated or damaged; copy it again."
        )


def _refuse_objects(header: _Header, where: str) -> None:
    if header.is_object:
        raise UnsafeFileError(
            f"{where}: an array of Python objects, which numpy reads by running a pickle. It was "
            "not loaded. One object of plain arrays can be read by read_pickled."
        )


def _finish(flat: np.ndarray[Any, Any], header: _Header) -> np.ndarray[Any, Any]:
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    native = array.dtype.newbyteorder("=")
    return array if array.dtype == native else array.astype(native)


class NpzFile(Closing):
    """An open .npz archive; use it in a ``with`` statement.

    Parameters
    ----------
    path : path
        The file.

    Attributes
    ----------
    arrays : dict of str to (tuple of int, str)
        Shape and dtype of every array by name, in file order, from headers alone.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, damaged or not an archive of arrays.
    UnsafeFileError
        It is built to exhaust memory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.arrays: dict[str, tuple[tuple[int, ...], str]] = {}
        self._members: dict[str, tuple[zipfile.ZipInfo, _Header]] = {}
        self._file: IO[bytes] | None = None
        self._archive: zipfile.ZipFile | None = None
        try:
            with self._explained():
                self._file = self.path.open("rb")
                limited: Any = _Limited(self._file, str(self.path))
                self._archive = zipfile.ZipFile(limited)
                self._index(os.fstat(self._file.fileno()).st_size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; reading from it afterwards fails."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """Decode one array of numbers, bytes or text.

        Parameters
        ----------
        name : str
            The array's name.

        Returns
        -------
        ndarray
            In native byte order.

        Raises
        ------
        FileFormatError
            There is no such array, or it is damaged.
        UnsafeFileError
            It holds Python objects.
        """
        member, header = self._member(name)
        where = f"{self.path}: {name}"
        _refuse_objects(header, where)
        _check_size(header, member.file_size - header.n_bytes, where)
        flat = np.empty(header.count, np.dtype(header.dtype))
        content: Any = flat.view(np.uint8) if flat.nbytes else b""
        with self._explained(name):
            self._fill(member, header, memoryview(content))
            return _finish(flat, header)

    def read_pickled(self, name: str, names: Iterable[Any] | None = None) -> Any:
        """Decode a pickle of plain containers and arrays that is kept in an array.

        Parameters
        ----------
        name : str
            An array of no axes (or of one entry) that holds the bytes of a pickle, or one Python
            object.
        names : iterable, optional
            If the pickle is a dict: the keys to decode.

        Returns
        -------
        object
            As `affectrum.recordings.pickles.load`. Nothing in the file is run.

        Raises
        ------
        FileFormatError, UnsafeFileError
            As `affectrum.recordings.pickles.load`.
        """
        return self._pickled(name, lambda source, boxed: pickles.load(source, names, boxed=boxed))

    def describe_pickled(self, name: str) -> Any:
        """Return what `read_pickled` would, with an `ArrayHeader` in the place of every array.

        Raises
        ------
        FileFormatError, UnsafeFileError
            As `read_pickled`.
        """
        return self._pickled(name, lambda source, boxed: pickles.describe(source, boxed=boxed))

    # inside

    def _index(self, size: int) -> None:
        assert self._archive is not None
        infos = self._archive.infolist()
        if len(infos) > _MAX_ARRAYS:
            raise UnsafeFileError(f"{self.path}: {len(infos)} arrays. It was not loaded.")
        if not infos:
            raise FileFormatError(f"{self.path}: an archive without arrays. Copy it again.")
        total = 0
        for info in infos:
            where = f"{self.path}: {info.filename[:80]}"
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FileFormatError(f"{where}: packed in a way that numpy does not use.")
            self._check_ratio(info, size, where)
            total += info.file_size
            if total > MAX_BYTES:
                raise UnsafeFileError(
                    f"{self.path}: unpacks to more than {MAX_BYTES} bytes. It was not loaded."
                )
            name = info.filename.removesuffix(".npy")
            if name in self._members:
                raise FileFormatError(f"{where}: the name occurs twice. The file is damaged.")
            with self._archive.open(info) as file:
                header = _parse_header(file, where)
            if not header.is_object:
                _check_size(header, info.file_size - header.n_bytes, where)
            self._members[name] = info, header
            self.arrays[name] = header.shape, header.dtype

    def _check_ratio(self, info: zipfile.ZipInfo, size: int, where: str) -> None:
        packed, unpacked = info.compress_size, info.file_size
        if packed > size or unpacked > packed * _DEFLATE_LIMIT + 64:
            raise FileFormatError(f"{where}: its sizes are impossible. The file is damaged.")
        if info.compress_type == zipfile.ZIP_STORED and packed != unpacked:
            raise FileFormatError(f"{where}: its two sizes disagree. The file is damaged.")
        if unpacked > _SMALL_ARRAY and unpacked > packed * _MAX_RATIO:
            raise UnsafeFileError(
                f"{where}: {packed} bytes that unpack to {unpacked}: built to exhaust memory. It "
                "was not loaded."
            )

    def _member(self, name: str) -> tuple[zipfile.ZipInfo, _Header]:
        try:
            return self._members[name]
        except KeyError:
            found = ", ".join(list(self._members)[:20])
            raise FileFormatError(
                f"{self.path}: lacks the array {name!r:.80}; it holds {found}."
            ) from None

    def _fill(self, member: zipfile.ZipInfo, header: _Header, content: memoryview) -> None:
        """Unpack what follows the header into memory of its size, and compare the checksum."""
        assert self._archive is not None
        file: Any
        with self._archive.open(member) as file:
            file.read(header.n_bytes)
            position = 0
            while position < len(content):
                n = file.readinto(content[position : position + _PIECE])
                if not n:
                    raise EOFError(f"{len(content) - position} bytes are missing")
                position += n
            if file.read(1):
                raise EOFError("more content than promised")

    def _pickled(self, name: str, decode: Any) -> Any:
        member, header = self._member(name)
        where = f"{self.path}: {name}"
        if header.count != 1:
            raise FileFormatError(
                f"{where}: expected one pickle, found an array of shape {header.shape}."
            )
        boxed = header.is_object
        if not boxed and not _BYTES.fullmatch(header.dtype):
            raise FileFormatError(f"{where}: expected a pickle, found {header.dtype}.")
        memory = bytearray(member.file_size - header.n_bytes)
        with self._explained(name):
            self._fill(member, header, memoryview(memory))
        content = bytes(memory)
        try:
            if boxed:
                inner = pickles.describe(content, boxed=True)
                # an array of one object may hold the bytes of a further pickle
                if isinstance(inner, bytes):
                    content, boxed = inner, False
            return decode(content, boxed)
        except FileFormatError as error:
            # the pickle's messages know no file
            kind = type(error)
            raise kind(f"{where}: {str(error).removeprefix('pickle: ')}") from None

    @contextmanager
    def _explained(self, name: str = "") -> Iterator[None]:
        where = f"{self.path}: {name}" if name else str(self.path)
        try:
            yield
        except FileFormatError:
            raise
        except OSError as error:
            raise FileFormatError(
                f"{where}: can't be read ({error.strerror or error}). "
                "Check the path and permissions."
            ) from None
        except _FAULTS as error:
            raise FileFormatError(
                f"{where}: not a complete .npz file ({type(error).__name__}: {error}). "
                "Copy it again from its source."
            ) from None


class _Limited:
    """A file of which nothing longer than a directory of arrays is read at once.

    An archive states the length of its directory; zipfile would read as much as it is told.
    """

    def __init__(self, file: IO[bytes], where: str) -> None:
        self._file = file
        self._where = where

    def read(self, n: int = -1) -> bytes:
        if n > _MAX_DIRECTORY:
            raise UnsafeFileError(f"{self._where}: a directory of {n} bytes. It was not loaded.")
        return self._file.read(n if n >= 0 else _MAX_END)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def describe_npy(path: str | os.PathLike[str]) -> tuple[tuple[int, ...], str]:
    """Return shape and dtype of a .npy file; only its header is read.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    (tuple of int, str)
        Shape, and numpy's name of the dtype.

    Raises
    ------
    FileFormatError
        The file is missing, truncated or not an array file.
    """
    header = _npy_header(Path(path))
    return header.shape, header.dtype


def read_npy(path: str | os.PathLike[str], index: int | None = None) -> np.ndarray[Any, Any]:
    """Read a .npy file, or one entry of its first axis.

    Parameters
    ----------
    path : path
        The file.
    index : int, optional
        Which entry of the first axis, from 0; only that part of the file is read. All by default.

    Returns
    -------
    ndarray
        An own copy in native byte order.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, not an array file, or has no such entry.
    UnsafeFileError
        It holds Python objects.
    """
    path = Path(path)
    header = _npy_header(path)
    _refuse_objects(header, str(path))
    if index is not None and (not header.shape or not 0 <= index < header.shape[0]):
        raise FileFormatError(f"{path}: has no entry {index}; its shape is {header.shape}.")
    try:
        if not header.content_bytes():
            whole = np.empty(header.shape, header.dtype)
        else:
            whole = np.memmap(
                path,
                np.dtype(header.dtype),
                "r",
                header.n_bytes,
                header.shape or (1,),
                "F" if header.fortran else "C",
            )
        part = whole.reshape(header.shape) if index is None else whole[index]
        return np.array(part, dtype=whole.dtype.newbyteorder("="), subok=False)
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise FileFormatError(f"{path}: can't be read ({error}). Copy it again.") from None


def _npy_header(path: Path) -> _Header:
    try:
        with path.open("rb") as file:
            header = _parse_header(file, str(path))
            n_there = os.fstat(file.fileno()).st_size - header.n_bytes
    except OSError as error:
        raise FileFormatError(
            f"{path}: can't be read ({error.strerror or error}). Check the path and permissions."
        ) from None
    if not header.is_object and header.content_bytes() != n_there:
        raise FileFormatError(
            f"{path}: an array of shape {header.shape} and dtype {header.dtype} needs "
            f"{header.content_bytes()} bytes, {n_there} are there. The file is truncated or "
            "damaged; copy it again."
        )
    return header
