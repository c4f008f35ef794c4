"""One float64 array in a pickle, written piece by piece, as numpy and Python 3 do (protocol 4)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.files import atomic_file

__all__ = ["write_array_pickle"]


def _text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def _name(module: str, name: str) -> bytes:
    return _text(module) + _text(name) + b"\x93"


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def write_array_pickle(
    path: Path, shape: tuple[int, ...], pieces: Iterable[NDArray[np.float64]]
) -> None:
    """Write a pickled array at once or not at all.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        The array's shape.
    pieces : iterable of ndarray, each of shape ``shape[1:]``
        Its content along the first axis, one piece in memory at a time.

    Raises
    ------
    ValueError
        The pieces are not those that the shape announces.
    """
    dtype = _name("numpy", "dtype") + _text("f8") + b"\x89\x88\x87R(K\x03" + _text("<") + b"NNN"
    dtype += _integer(-1) * 2 + b"K\x00tb"
    head = b"\x80\x04" + _name("numpy.core.multiarray", "_reconstruct")
    head += _name("numpy", "ndarray") + b"K\x00\x85C\x01b\x87R"
    head += b"(K\x01(" + b"".join(map(_integer, shape)) + b"t" + dtype + b"\x89"
    head += b"B" + struct.pack("<I", 8 * math.prod(shape))
    n_written = 0
    with atomic_file(path) as file:
        file.write(head)
        for piece in pieces:
            if piece.shape != shape[1:]:
                raise ValueError(f"{path}: a piece of shape {piece.shape}, {shape[1:]} announced")
            file.write(np.ascontiguousarray(piece, dtype="<f8").tobytes())
            n_written += 1
        if n_written != shape[0]:
            raise ValueError(f"{path}: {shape[0]} pieces announced, {n_written} written")
        file.write(b"tb.")
