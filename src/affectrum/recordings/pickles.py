"""Arrays out of pickle files, without running what a pickle may ask for.

A pickle is a small program, and `pickle.load` runs it; restricting which names it may import still
leaves the program running (BUILD on any object, memo tables of any size). Here the program is
never handed to Python's unpickler: `pickle_opcodes` walks its opcodes, knows only those that plain
data and numeric arrays need, imports nothing and calls nothing. The names in `ALLOWED_GLOBALS` are
recognised as words and rebuilt by the project's own code with their arguments checked; everything
else is refused by name.

Written for Python 2 pickles (DEAP) and for protocols 0 to 5. Byte strings of Python 2 become `str`
by Latin-1, as ``pickle.load(file, encoding="latin1")`` does.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings.pickle_opcodes import MAX_DEPTH, MAX_OPCODES, Walker
from affectrum.recordings.pickle_values import (
    ALLOWED_GLOBALS,
    ArrayState,
    Encoded,
    Scalar,
    View,
)

__all__ = ["ALLOWED_GLOBALS", "ArrayHeader", "describe", "load", "view"]

MAX_BYTES: Final = 4 * 1024**3
"""Largest pickle that is opened, in bytes (the largest known vendor pickle is about 160 MB)."""


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and dtype of an array that was not decoded.

    Parameters
    ----------
    shape : tuple of int
        The array's shape.
    dtype : str
        numpy's name of the dtype, e.g. "<f8".
    """

    shape: tuple[int, ...]
    dtype: str


def load(
    source: str | os.PathLike[str] | bytes,
    names: Iterable[str] | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    boxed: bool = False,
) -> Any:
    """Read a pickle of numeric arrays and plain containers.

    Parameters
    ----------
    source : path or bytes
        The file, or the pickle itself.
    names : iterable of str, optional
        If the pickle is a dict: the keys to decode; the others are left out of the result and
        their arrays are not decoded.
    max_bytes : int
        Larger pickles are refused.
    boxed : bool
        The pickle is an array of one Python object, as ``np.save`` writes it: return that object.

    Returns
    -------
    ndarray, dict, list, tuple, str, bytes, int, float, bool or None
        What the pickle holds. Arrays are own, writable copies in native byte order.

    Raises
    ------
    UnsafeFileError
        The pickle asks for anything but numeric arrays and plain containers (the message names
        it), or exceeds the limits of size, count and depth.
    FileFormatError
        The file is missing, truncated, not a pickle, or lacks a name that was asked for.
    """
    return _open(
        source, max_bytes, lambda root, where: _finish(root, where, names, headers=False), boxed
    )


def describe(
    source: str | os.PathLike[str] | bytes, *, max_bytes: int = MAX_BYTES, boxed: bool = False
) -> Any:
    """Return what `load` would, with an `ArrayHeader` in the place of every array.

    Array data are not touched, so a file of 100 MB takes about a millisecond.

    Parameters
    ----------
    source : path or bytes
        The file, or the pickle itself.
    max_bytes : int
        Larger pickles are refused.
    boxed : bool
        As in `load`.

    Returns
    -------
    object
        As `load`, arrays replaced.

    Raises
    ------
    UnsafeFileError, FileFormatError
        As `load`.
    """
    return _open(
        source, max_bytes, lambda root, where: _finish(root, where, None, headers=True), boxed
    )


def view(source: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> np.ndarray[Any, Any]:
    """Return the one array of a pickle as it lies in the file, so that a part of it can be read.

    Only what is indexed is read from the disk. (Where the array's bytes are written as text, as
    Python 3 does in protocols 0 to 2, all of them have to be decoded.)

    Parameters
    ----------
    source : path
        The file; it must not change while the array is used.
    max_bytes : int
        Larger pickles are refused.

    Returns
    -------
    ndarray
        Read-only, in the file's byte order.

    Raises
    ------
    UnsafeFileError, FileFormatError
        As `load`; also if the pickle holds anything but an array.
    """

    def finish(root: Any, where: str) -> np.ndarray[Any, Any]:
        if type(root) is not ArrayState:
            raise FileFormatError(
                f"{where}: expected one array, found {type(root).__name__.strip('_').lower()}."
            )
        return _Finisher(where, headers=False).view(root)

    found: np.ndarray[Any, Any] = _open(source, max_bytes, finish)
    return found


def _open(
    source: str | os.PathLike[str] | bytes,
    max_bytes: int,
    finish: Callable[[Any, str], Any],
    boxed: bool = False,
) -> Any:
    if isinstance(source, bytes | bytearray):
        if len(source) > max_bytes:
            raise UnsafeFileError(_too_large("pickle", len(source), max_bytes))
        return _walk_and_finish(memoryview(bytes(source)), "pickle", finish, boxed)
    path = Path(source)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise UnsafeFileError(_too_large(str(path), size, max_bytes))
        if size == 0:
            raise FileFormatError(f"{path}: the file is empty, expected a pickle. Copy it again.")
        with path.open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return _walk_and_finish(view, str(path), finish, boxed)
    except OSError as error:
        raise FileFormatError(
            f"{path}: can't be read ({error.strerror or error}). Check the path and permissions."
        ) from None


def _too_large(where: str, size: int, max_bytes: int) -> str:
    return (
        f"{where}: {size} bytes, more than the {max_bytes} that are read at most. If the file is "
        "what you expect, pass a larger max_bytes."
    )


def _walk_and_finish(
    view: memoryview, where: str, finish: Callable[[Any, str], Any], boxed: bool
) -> Any:
    try:
        root = Walker(view, where, boxed=boxed).run()
        return finish(_unbox(root, where) if boxed else root, where)
    except FileFormatError:
        raise
    except (
        IndexError,
        KeyError,
        ValueError,
        TypeError,
        OverflowError,
        struct.error,
        MemoryError,
        RecursionError,
    ) as error:
        raise FileFormatError(
            f"{where}: not a complete pickle of arrays ({type(error).__name__}: {error}). "
            "The file is damaged or of another kind; copy it again."
        ) from None


def _unbox(root: Any, where: str) -> Any:
    if type(root) is not ArrayState or type(root.raw) is not list:
        raise FileFormatError(f"{where}: expected an array of one Python object.")
    return root.raw[0]


# From the walked structure to numpy and plain Python


class _Finisher:
    def __init__(self, where: str, headers: bool) -> None:
        self.where = where
        self.headers = headers
        self.n_values = 0
        self.n_bytes = 0

    def value(self, item: Any, depth: int = 0) -> Any:
        self.n_values += 1
        if self.n_values > MAX_OPCODES or depth > MAX_DEPTH:
            raise UnsafeFileError(
                f"{self.where}: containers nested deeper than {MAX_DEPTH} or holding more than "
                f"{MAX_OPCODES} values. The file was not loaded."
            )
        if type(item) is dict:
            return {key: self.value(part, depth + 1) for key, part in item.items()}
        if type(item) is list:
            return [self.value(part, depth + 1) for part in item]
        if type(item) is tuple:
            return tuple(self.value(part, depth + 1) for part in item)
        if type(item) is ArrayState:
            return self.array(item)
        if type(item) is Scalar:
            return self._numbers(item.raw, item.dtype.dtype(), 1)[0].item()
        if type(item) in (Encoded, View):
            self._count(_length(item))
            if type(item) is View and item.kind != "bytes":
                return str(item.view, "utf-8" if item.kind == "text" else "latin-1")
            return bytes(_buffer(item))
        if isinstance(item, str | bytes | int | float) or item is None:
            return item
        raise UnsafeFileError(
            f"{self.where}: the file holds a {type(item).__name__.strip('_').lower()} where data "
            "belong. It was not loaded."
        )

    def array(self, item: ArrayState) -> Any:
        if self.headers and item.shape is not None and item.dtype is not None:
            return ArrayHeader(item.shape, item.dtype.dtype().str)
        found = self.view(item)
        return found.astype(found.dtype.newbyteorder("="), copy=True)

    def view(self, item: ArrayState) -> np.ndarray[Any, Any]:
        if item.shape is None or item.dtype is None:
            raise FileFormatError(f"{self.where}: an array without content.")
        flat = self._numbers(item.raw, item.dtype.dtype(), math.prod(item.shape))
        order: Any = "F" if item.fortran else "C"
        return flat.reshape(item.shape, order=order)

    def _numbers(self, raw: Any, dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
        if not isinstance(raw, bytes | str | View | Encoded):
            raise FileFormatError(f"{self.where}: an array's content is not bytes.")
        buffer = _buffer(raw)
        if len(buffer) != count * dtype.itemsize:
            raise FileFormatError(
                f"{self.where}: an array promises {count} values of {dtype.itemsize} bytes and "
                f"brings {len(buffer)} bytes. The file is damaged; copy it again."
            )
        self._count(len(buffer))
        if count == 0:
            return np.zeros(0, dtype)
        return np.frombuffer(buffer, dtype)

    def _count(self, n: int) -> None:
        # one string of the file may be used for many arrays: the sum of the copies is limited
        self.n_bytes += n
        if self.n_bytes > MAX_BYTES:
            raise UnsafeFileError(
                f"{self.where}: unpacks to more than {MAX_BYTES} bytes. It was not loaded."
            )


def _length(item: Encoded | View | str) -> int:
    text = item.text if isinstance(item, Encoded) else item
    return len(text.view) if isinstance(text, View) else len(text)


def _buffer(raw: bytes | str | View | Encoded) -> bytes | memoryview:
    # text as array content is Latin-1 by convention, as in `_codecs.encode`
    text = raw.text if isinstance(raw, Encoded) else raw
    if isinstance(text, View):
        if text.kind != "text":
            return text.view
        text = str(text.view, "utf-8")
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _finish(root: Any, where: str, names: Iterable[str] | None, headers: bool) -> Any:
    if names is not None:
        if type(root) is not dict:
            raise FileFormatError(
                f"{where}: holds no dict of named arrays, so {list(names)} can't be picked."
            )
        wanted = list(names)
        missing = [name for name in wanted if name not in root]
        if missing:
            found = ", ".join(repr(key) for key in list(root)[:20])
            raise FileFormatError(f"{where}: lacks {missing}; it holds {found}.")
        root = {name: root[name] for name in wanted}
    return _Finisher(where, headers).value(root)
