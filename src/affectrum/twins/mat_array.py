"""One large array of a MATLAB 5 file, written slice by slice along its last axis."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.files import atomic_file, mat_bytes

__all__ = ["write_mat_array"]

_DOUBLE, _INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 9, 1, 5, 6, 14, 15
_CLASS_DOUBLE = 6
_LEVEL = 1


def _padded(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + bytes(-len(payload) % 8)


def write_mat_array(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    slices: Iterable[NDArray[np.float64]],
    *,
    compress: bool = True,
) -> None:
    """Write a file with one array of doubles, one slice in memory at a time.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The variable.
    shape : tuple of int
        Its dimensions, less than 4 GB in all.
    slices : iterable of ndarray of shape ``shape[:-1]``
        As many as the last dimension says.
    compress : bool
        Whether the variable is deflated, as MATLAB 7 does.
    """
    n_bytes = 8 * math.prod(shape)
    head = b"".join(
        [
            _padded(_UINT32, struct.pack("<II", _CLASS_DOUBLE, 0)),
            _padded(_INT32, struct.pack(f"<{len(shape)}i", *shape)),
            _padded(_INT8, name.encode("ascii")),
            struct.pack("<II", _DOUBLE, n_bytes),
        ]
    )
    head = struct.pack("<II", _MATRIX, len(head) + n_bytes) + head
    with atomic_file(path) as file:
        file.write(b"".join(mat_bytes([], compress=False)))  # the file's own header
        begin = file.tell()
        packer = zlib.compressobj(_LEVEL)
        if compress:
            file.write(bytes(8))  # the length is known at the end
            file.write(packer.compress(head))
        else:
            file.write(head)
        written = 0
        for part in slices:
            if part.shape != shape[:-1]:
                raise ValueError(f"{path}: a slice of shape {part.shape}, expected {shape[:-1]}")
            data = np.asarray(part, dtype="<f8").tobytes(order="F")
            file.write(packer.compress(data) if compress else data)
            written += 1
        if written != shape[-1]:
            raise ValueError(f"{path}: {shape[-1]} slices announced, {written} written")
        if compress:
            file.write(packer.flush())
            end = file.tell()
            file.seek(begin)
            file.write(struct.pack("<II", _COMPRESSED, end - begin - 8))
