"""The arrays inside MATLAB v5 files; used by `affectrum.recordings.mat`.

Decoded here, and not by `scipy.io`, because damaged structs can crash scipy's decoder, and with it
the process. Every size is compared with the bytes that are there before anything is made of it.

Format: "MAT-File Format", The MathWorks, section "MAT-File Level 5".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

__all__ = [
    "MI_COMPRESSED",
    "MI_MATRIX",
    "MI_NUMBERS",
    "NUMBERS",
    "Header",
    "decode",
    "decode_fields",
    "field_names",
    "parse_header",
]

MI_MATRIX: Final = 14
MI_COMPRESSED: Final = 15
MI_NUMBERS: Final[dict[int, str]] = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_MI_TEXTS: Final = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES: Final[dict[int, str]] = {
    1: "cell",
    2: "struct",
    3: "object",
    4: "char",
    5: "sparse",
    6: "double",
    7: "single",
    8: "int8",
    9: "uint8",
    10: "int16",
    11: "uint16",
    12: "int32",
    13: "uint32",
    14: "int64",
    15: "uint64",
    16: "function",
    17: "opaque",
}
NUMBERS: Final = frozenset(_CLASSES[number] for number in range(6, 16))
_COMPLEX_FLAG: Final = 0x0800
_LOGICAL_FLAG: Final = 0x0200
_MAX_DEPTH: Final = 16
_MAX_DIMENSIONS: Final = 32
_ELEMENT: Final = 8  # bytes of a tag, and so of the smallest element


@dataclass(frozen=True)
class Header:
    """What stands before the values of an array.

    Parameters
    ----------
    name : str
        The array's name; empty inside structs and cells.
    shape : tuple of int
        Its dimensions.
    matlab_class : str
        "double", ..., "logical", "char", "cell", "struct" and so on.
    base_class : str
        The same without "logical".
    is_complex : bool
        Whether an imaginary part follows.
    end : int
        Where the values begin.
    """

    name: str
    shape: tuple[int, ...]
    matlab_class: str
    base_class: str
    is_complex: bool
    end: int


def parse_header(data: bytes, endian: str, start: int = 0) -> Header:
    """Read the header of an array.

    Parameters
    ----------
    data : bytes
        An array element without its tag; its beginning is enough.
    endian : str
        "<" or ">".
    start : int
        Where in `data` it begins.

    Returns
    -------
    Header
        The header.

    Raises
    ------
    ValueError, struct.error
        It is not valid.
    """
    flags_raw, position = _small(data, endian, start)
    flags = int(struct.unpack(endian + "I", flags_raw[:4])[0])
    base_class = _CLASSES.get(flags & 0xFF)
    if base_class is None:
        raise ValueError(f"array class {flags & 0xFF} is unknown")
    if base_class == "opaque":
        # MATLAB's objects of classes: the name stands in the place of the dimensions
        name_raw, position = _small(data, endian, position)
        return Header(_ascii(name_raw), (1, 1), base_class, base_class, False, position)
    dims_raw, position = _small(data, endian, position)
    name_raw, position = _small(data, endian, position)
    if len(dims_raw) % 4 or not 4 <= len(dims_raw) <= 4 * _MAX_DIMENSIONS:
        raise ValueError("the dimensions are not valid")
    shape = struct.unpack(f"{endian}{len(dims_raw) // 4}i", dims_raw)
    if any(n < 0 for n in shape):
        raise ValueError(f"negative dimensions {shape}")
    matlab_class = "logical" if flags & _LOGICAL_FLAG else base_class
    is_complex = bool(flags & _COMPLEX_FLAG)
    return Header(_ascii(name_raw), shape, matlab_class, base_class, is_complex, position)


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii")


def _tag(data: bytes, endian: str, position: int) -> tuple[int, int, int, int]:
    """Return kind, start, length and end of the element at a position."""
    kind, n_bytes = struct.unpack_from(endian + "II", data, position)
    if kind >> 16:
        # small element: length in the upper half, data in the next four bytes
        n_bytes, kind = kind >> 16, kind & 0xFFFF
        if n_bytes > 4:
            raise ValueError("a small element longer than four bytes")
        return kind, position + 4, n_bytes, position + _ELEMENT
    # arrays are padded inside; everything else ends on a multiple of eight
    padding = 0 if kind == MI_MATRIX else -n_bytes % _ELEMENT
    return kind, position + _ELEMENT, n_bytes, position + _ELEMENT + n_bytes + padding


def _small(data: bytes, endian: str, position: int) -> tuple[bytes, int]:
    _, start, n_bytes, end = _tag(data, endian, position)
    if start + n_bytes > len(data):
        raise ValueError("a header element reaches beyond its array")
    return data[start : start + n_bytes], end


def field_names(data: bytes, endian: str, start: int = 0) -> tuple[list[str], int]:
    """Read the names of a struct's fields.

    Parameters
    ----------
    data : bytes
        A struct array without its tag, or the part of it that holds the names.
    endian : str
        "<" or ">".
    start : int
        Where in `data` the names begin, right behind the header.

    Returns
    -------
    list of str, int
        The names, and where the values begin.

    Raises
    ------
    ValueError, struct.error
        They are not valid.
    """
    width_raw, position = _small(data, endian, start)
    width = struct.unpack(endian + "i", width_raw)[0]
    names_raw, position = _small(data, endian, position)
    if width <= 0 or len(names_raw) % width:
        raise ValueError("the names of the fields are not valid")
    names = [names_raw[i : i + width].split(b"\0")[0] for i in range(0, len(names_raw), width)]
    return [_ascii(name) for name in names], position


def decode(data: bytes, endian: str) -> np.ndarray[Any, Any]:
    """Decode an array.

    Parameters
    ----------
    data : bytes
        The element without its tag.
    endian : str
        "<" or ">".

    Returns
    -------
    ndarray
        Numbers as they are; text as an array of `str`, one per row; cells as an object array;
        structs as an object array of dicts.

    Raises
    ------
    ValueError, struct.error
        It is damaged, or of a class that holds no data (functions, objects, sparse arrays).
    """
    return _array(data, endian, 0, len(data), 0)


def decode_fields(data: bytes, endian: str, names: Collection[str]) -> dict[str, Any]:
    """Decode some fields of a single struct, and step over the others, whatever they hold.

    Parameters
    ----------
    data : bytes
        The element without its tag.
    endian : str
        "<" or ">".
    names : collection of str
        The wanted fields.

    Returns
    -------
    dict of str to ndarray
        Those of them that the struct has.

    Raises
    ------
    ValueError, struct.error
        It is damaged, or no single struct.
    """
    header = parse_header(data, endian)
    if header.base_class != "struct" or math.prod(header.shape) != 1:
        raise ValueError(f"an array of class {header.matlab_class} and shape {header.shape}")
    fields, position = field_names(data, endian, header.end)
    found = {}
    for name in fields:
        kind, start, n_bytes, end = _tag(data, endian, position)
        if kind != MI_MATRIX or start + n_bytes > len(data):
            raise ValueError("an inner array is damaged")
        if name in names:
            found[name] = _array(data, endian, start, start + n_bytes, 1)
        position = end
    return found


def _array(data: bytes, endian: str, start: int, stop: int, depth: int) -> np.ndarray[Any, Any]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    if start == stop:
        return np.empty((0, 0))
    header = parse_header(data, endian, start)
    position = header.end
    if header.base_class in NUMBERS:
        values, position = _numbers(data, endian, position, stop, header)
        if header.is_complex:
            imaginary, _ = _numbers(data, endian, position, stop, header)
            return values + 1j * imaginary
        return values
    if header.base_class == "char":
        return _text(data, endian, position, stop, header)
    if header.base_class == "cell":
        return _cells(data, endian, position, stop, header, depth)
    if header.base_class == "struct":
        return _structs(data, endian, position, stop, header, depth)
    raise ValueError(f"arrays of class {header.base_class} are not read")


def _numbers(
    data: bytes, endian: str, position: int, stop: int, header: Header
) -> tuple[np.ndarray[Any, Any], int]:
    kind, start, n_bytes, end = _tag(data, endian, position)
    stored = MI_NUMBERS.get(kind)
    count = math.prod(header.shape)
    if stored is None or count * np.dtype(stored).itemsize != n_bytes:
        raise ValueError(f"shape {header.shape} does not fit {n_bytes} bytes of kind {kind}")
    if start + n_bytes > stop:
        raise ValueError("the values reach beyond the array")
    flat = np.frombuffer(data, np.dtype(endian + stored), count, start)
    # MATLAB stores whole numbers in the smallest type that holds them; the class tells
    wanted = np.dtype(bool if header.matlab_class == "logical" else header.base_class)
    return flat.reshape(header.shape, order="F").astype(wanted, copy=True), end


def _text(
    data: bytes, endian: str, position: int, stop: int, header: Header
) -> np.ndarray[Any, Any]:
    kind, start, n_bytes, _ = _tag(data, endian, position)
    if start + n_bytes > stop:
        raise ValueError("the text reaches beyond the array")
    raw = data[start : start + n_bytes]
    if kind in _MI_TEXTS:
        encoding = _MI_TEXTS[kind]
        suffix = "" if encoding == "utf-8" else ("-le" if endian == "<" else "-be")
        letters = list(raw.decode(encoding + suffix))
    elif kind in (2, 4):
        letters = [chr(c) for c in np.frombuffer(raw, endian + MI_NUMBERS[kind]).tolist()]
    else:
        raise ValueError(f"text of kind {kind}")
    n_rows = header.shape[0]
    if n_rows * math.prod(header.shape[1:]) != len(letters):
        if n_rows != 1:
            raise ValueError(f"shape {header.shape} does not fit {len(letters)} letters")
        return np.array(["".join(letters)])  # letters beyond 16 bits count twice in the shape
    return np.array(["".join(letters[row::n_rows]) for row in range(n_rows)], dtype=str)


def _child(
    data: bytes, endian: str, position: int, stop: int, depth: int
) -> tuple[np.ndarray[Any, Any], int]:
    kind, start, n_bytes, end = _tag(data, endian, position)
    if kind != MI_MATRIX or start + n_bytes > stop:
        raise ValueError("an inner array is damaged")
    return _array(data, endian, start, start + n_bytes, depth + 1), end


def _check_count(count: int, position: int, stop: int) -> None:
    if count * _ELEMENT > stop - position:
        raise ValueError(f"{count} inner arrays do not fit {stop - position} bytes")


def _cells(
    data: bytes, endian: str, position: int, stop: int, header: Header, depth: int
) -> np.ndarray[Any, Any]:
    count = math.prod(header.shape)
    _check_count(count, position, stop)
    flat = np.empty(count, object)
    for index in range(count):
        flat[index], position = _child(data, endian, position, stop, depth)
    return flat.reshape(header.shape, order="F")


def _structs(
    data: bytes, endian: str, position: int, stop: int, header: Header, depth: int
) -> np.ndarray[Any, Any]:
    fields, position = field_names(data, endian, position)
    count = math.prod(header.shape)
    _check_count(count * len(fields), position, stop)
    if not fields:
        count = min(count, 1)  # nothing in the file limits how many empty structs it promises
    flat = np.empty(count, object)
    for index in range(count):
        content = {}
        for name in fields:
            content[name], position = _child(data, endian, position, stop, depth)
        flat[index] = content
    return flat.reshape(header.shape, order="F") if fields else flat
