"""numpy archives with pickles in them, written byte for byte alike on every run.

The SEED laboratory ships features as pickled dicts of arrays, kept as byte strings in .npz files.
The pickles stand here opcode by opcode, as Python 3 with the numpy of those years wrote them:
`pickle` would write the names that today's numpy has.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.files import atomic_file

__all__ = ["npz_bytes", "pickle_arrays", "write_npz"]

_HEADER_STEP = 64
_DATE = (1980, 1, 1, 0, 0, 0)  # what numpy puts there


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _key(key: int | str) -> bytes:
    return _text(key) if isinstance(key, str) else b"K" + bytes([key])


def _array(value: NDArray[Any]) -> bytes:
    array = np.ascontiguousarray(value, dtype="<f8" if value.dtype.kind == "f" else "<i8")
    shape = b"".join(b"J" + struct.pack("<i", n) for n in array.shape)
    return b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R",
            b"(K\x01(" + shape + b"t",
            b"cnumpy\ndtype\n" + _text(array.dtype.str[1:]) + b"K\x00K\x01\x87R(K\x03",
            _text("<") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb",
            b"\x89B" + struct.pack("<I", array.nbytes) + array.tobytes() + b"tb",
        ]
    )


def pickle_arrays(arrays: Mapping[int, NDArray[Any]] | Mapping[str, NDArray[Any]]) -> bytes:
    """Return a pickled dict of arrays (protocol 3).

    Parameters
    ----------
    arrays : mapping of int or str to ndarray
        Keys from 0 to 255, or names; values are stored as 64-bit floats or integers.

    Returns
    -------
    bytes
        The pickle.
    """
    items = [_key(key) + _array(value) for key, value in arrays.items()]
    return b"\x80\x03}(" + b"".join(items) + b"u" + pickle.STOP


def _npy(value: bytes | NDArray[Any]) -> bytes:
    array = np.array(value) if isinstance(value, bytes) else np.ascontiguousarray(value)
    shape = ", ".join(str(n) for n in array.shape) + ("," if array.ndim == 1 else "")
    head = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': ({shape}), }}"
    length = math.ceil((10 + len(head) + 1) / _HEADER_STEP) * _HEADER_STEP - 10
    text = head.ljust(length - 1) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", length) + text.encode() + array.tobytes()


def npz_bytes(arrays: Mapping[str, bytes | NDArray[Any]]) -> bytes:
    """Return a .npz archive, not compressed, as ``numpy.savez`` writes it.

    Parameters
    ----------
    arrays : mapping of str to bytes or ndarray
        Arrays by name; bytes become an array of one byte string.

    Returns
    -------
    bytes
        The archive. Its length depends on shapes and dtypes only.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", _DATE)
            info.create_system = 3  # alike on every operating system
            info.external_attr = 0o600 << 16
            with archive.open(info, "w", force_zip64=True) as member:
                member.write(_npy(value))
    return out.getvalue()


def write_npz(path: Path, arrays: Mapping[str, bytes | NDArray[Any]]) -> None:
    """Write a .npz archive at once or not at all; parameters as `npz_bytes`."""
    with atomic_file(path) as file:
        file.write(npz_bytes(arrays))
