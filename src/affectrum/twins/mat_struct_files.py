"""MATLAB 5 files with structs and cells, written piece by piece and alike on every run.

The length of everything is known before its values are, so that a variable of any size is written
with one array in memory.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.files import MAT_HEADER, atomic_file

__all__ = ["Node", "cell", "empty", "numbers", "record", "records", "text", "write_nested_mat"]

Array = NDArray[np.float64]

_INT8, _UINT16, _INT32, _UINT32, _DOUBLE, _MATRIX, _COMPRESSED = 1, 4, 5, 6, 9, 14, 15
_CELL, _STRUCT, _CHAR, _NUMBERS = 1, 2, 4, 6
_NAME_WIDTH = 32
_LEVEL = 1  # three to six times faster than the default for a sixth more bytes


@dataclass(frozen=True)
class Node:
    """An array of any class, without a name.

    Attributes
    ----------
    kind : int
        Its class in the format.
    shape : tuple of int
        Its dimensions.
    n_bytes : int
        Bytes behind the header.
    pieces : callable
        Yields these bytes.
    """

    kind: int
    shape: tuple[int, ...]
    n_bytes: int
    pieces: Callable[[], Iterator[bytes]]


def _element(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)


def _head(node: Node, name: str = "") -> bytes:
    return b"".join(
        [
            _element(_UINT32, struct.pack("<II", node.kind, 0)),
            _element(_INT32, struct.pack(f"<{len(node.shape)}i", *node.shape)),
            _element(_INT8, name.encode("ascii")),
        ]
    )


def _length(node: Node, name: str = "") -> int:
    return len(_head(node, name)) + node.n_bytes


def _array(node: Node, name: str = "") -> Iterator[bytes]:
    yield struct.pack("<II", _MATRIX, _length(node, name)) + _head(node, name)
    yield from node.pieces()


def numbers(shape: tuple[int, ...], values: Callable[[], Array]) -> Node:
    """Return an array of doubles.

    Parameters
    ----------
    shape : tuple of int
        Its dimensions.
    values : callable
        Returns it when it is written.

    Returns
    -------
    Node
        The array.
    """
    n_bytes = 8 * math.prod(shape)

    def pieces() -> Iterator[bytes]:
        array = np.asarray(values(), dtype="<f8")
        if array.shape != shape:
            raise ValueError(f"an array of shape {shape} was announced, {array.shape} came")
        yield struct.pack("<II", _DOUBLE, n_bytes)
        yield array.tobytes(order="F")

    return Node(_NUMBERS, shape, 8 + n_bytes, pieces)


def empty() -> Node:
    """Return the empty array that MATLAB puts in cells without content."""
    return numbers((0, 0), lambda: np.empty((0, 0)))


def text(value: str) -> Node:
    """Return a line of text."""
    data = _element(_UINT16, value.encode("utf-16-le"))
    return Node(_CHAR, (1, len(value)), len(data), lambda: iter([data]))


def cell(shape: tuple[int, ...], children: Sequence[Node]) -> Node:
    """Return a cell array.

    Parameters
    ----------
    shape : tuple of int
        Its dimensions.
    children : sequence of Node
        Its cells, the first dimension fastest.

    Returns
    -------
    Node
        The cell array.
    """
    if math.prod(shape) != len(children):
        raise ValueError(f"{len(children)} cells do not fit shape {shape}")

    def pieces() -> Iterator[bytes]:
        for child in children:
            yield from _array(child)

    return Node(_CELL, shape, sum(8 + _length(child) for child in children), pieces)


def record(fields: Mapping[str, Node]) -> Node:
    """Return a struct of one element.

    Parameters
    ----------
    fields : mapping of str to Node
        Its fields.

    Returns
    -------
    Node
        The struct.
    """
    return records((1, 1), [fields])


def records(shape: tuple[int, ...], elements: Sequence[Mapping[str, Node]]) -> Node:
    """Return an array of structs.

    Parameters
    ----------
    shape : tuple of int
        Its dimensions.
    elements : sequence of mapping of str to Node
        Its elements, the first dimension fastest, each with the same fields in the same order.

    Returns
    -------
    Node
        The array.
    """
    if math.prod(shape) != len(elements):
        raise ValueError(f"{len(elements)} structs do not fit shape {shape}")
    names = b"".join(name.encode("ascii").ljust(_NAME_WIDTH, b"\0") for name in elements[0])
    head = struct.pack("<HHi", _INT32, 4, _NAME_WIDTH) + _element(_INT8, names)
    children = [child for fields in elements for child in fields.values()]

    def pieces() -> Iterator[bytes]:
        yield head
        for child in children:
            yield from _array(child)

    n_bytes = len(head) + sum(8 + _length(child) for child in children)
    return Node(_STRUCT, shape, n_bytes, pieces)


def write_nested_mat(
    path: Path,
    variables: Iterable[tuple[str, Node]],
    *,
    compress: bool = True,
    surplus: Mapping[str, int] | None = None,
) -> None:
    """Write a MATLAB 5 file at once or not at all.

    Parameters
    ----------
    path : Path
        The file.
    variables : iterable of (str, Node)
        Names and arrays.
    compress : bool
        Whether each variable is deflated, as MATLAB 7 does.
    surplus : mapping of str to int, optional
        Zero bytes that are packed behind a variable although its header does not count them, a
        fault of some vendors' files.
    """
    with atomic_file(path) as file:
        file.write(MAT_HEADER)
        for name, node in variables:
            if compress:
                _write_packed(file, _array(node, name), (surplus or {}).get(name, 0))
            else:
                file.writelines(_array(node, name))


def _write_packed(file: IO[bytes], pieces: Iterator[bytes], surplus: int) -> None:
    start = file.tell()
    file.write(struct.pack("<II", _COMPRESSED, 0))  # the length is known at the end
    packer = zlib.compressobj(_LEVEL)
    for piece in pieces:
        file.write(packer.compress(piece))
    file.write(packer.compress(b"\0" * surplus) + packer.flush())
    stop = file.tell()
    file.seek(start)
    file.write(struct.pack("<II", _COMPRESSED, stop - start - 8))
    file.seek(stop)
