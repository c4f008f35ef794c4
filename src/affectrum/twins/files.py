"""Vendor file formats, written byte for byte alike on every run.

The MATLAB and pickle writers stand here in plain form because the usual ones stamp the time into
the header (``scipy.io.savemat``) or write a pickle that no Python 2 ever wrote.
"""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAT_HEADER",
    "BdfChannel",
    "atomic_file",
    "mat_bytes",
    "write_bdf",
    "write_deap_pickle",
    "write_mat",
    "write_text",
]

Array = NDArray[np.float64]

_ZLIB_LEVEL = 1  # three to six times faster than the default for a sixth more bytes


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under its name only when it is complete.

    Parameters
    ----------
    path : Path
        Final name; its folder is made.

    Yields
    ------
    binary file
        A temporary file in the same folder, renamed at the end, deleted on failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) at once or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode())


# MATLAB 5 ------------------------------------------------------------------------------------

_MI_INT8, _MI_INT32, _MI_UINT32, _MI_DOUBLE, _MI_MATRIX, _MI_COMPRESSED = 1, 5, 6, 9, 14, 15
_MX_DOUBLE = 6
_MAT_TEXT = b"MATLAB 5.0 MAT-file, Platform: PCWIN64, Created on: Thu Jan 01 00:00:00 2015"
MAT_HEADER = _MAT_TEXT.ljust(116) + b"\0" * 8 + struct.pack("<H", 0x0100) + b"IM"


def _element(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload + b"\0" * (-len(payload) % 8)


def _matrix(name: str, value: Array) -> bytes:
    array = np.atleast_2d(np.asarray(value, dtype=np.float64))
    body = b"".join(
        [
            _element(_MI_UINT32, struct.pack("<II", _MX_DOUBLE, 0)),
            _element(_MI_INT32, struct.pack(f"<{array.ndim}i", *array.shape)),
            _element(_MI_INT8, name.encode("ascii")),
            struct.pack("<II", _MI_DOUBLE, array.nbytes),
            array.tobytes(order="F"),
        ]
    )
    return struct.pack("<II", _MI_MATRIX, len(body)) + body


def mat_bytes(variables: Iterable[tuple[str, Array]], *, compress: bool) -> Iterator[bytes]:
    """Yield a MATLAB 5 file piece by piece.

    Parameters
    ----------
    variables : iterable of (str, ndarray)
        Names and real arrays of at most 2 GB, stored as doubles; vectors become rows. One array
        is in memory at a time.
    compress : bool
        Whether each variable is deflated, as MATLAB 7 does.

    Yields
    ------
    bytes
        The header, then one piece per variable.
    """
    yield MAT_HEADER
    for name, value in variables:
        matrix = _matrix(name, value)
        if compress:
            packed = zlib.compress(matrix, _ZLIB_LEVEL)
            yield struct.pack("<II", _MI_COMPRESSED, len(packed)) + packed
        else:
            yield matrix


def write_mat(path: Path, variables: Iterable[tuple[str, Array]], *, compress: bool = True) -> None:
    """Write a MATLAB 5 file at once or not at all; parameters as `mat_bytes`."""
    with atomic_file(path) as file:
        for piece in mat_bytes(variables, compress=compress):
            file.write(piece)


# DEAP's pickle -------------------------------------------------------------------------------


def _short_string(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode("latin1")


def _array_head(shape: tuple[int, ...]) -> bytes:
    """Opcodes of a pickled float64 array up to its data, as Python 2 wrote them."""
    return b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"cnumpy\nndarray\n",
            b"K\x00\x85",  # (0,)
            _short_string("b"),
            b"\x87R(K\x01(",  # call, then the state: version, shape
            b"".join(b"M" + struct.pack("<H", size) for size in shape),
            b"t",
            b"cnumpy\ndtype\n",
            _short_string("f8"),
            b"K\x00K\x01\x87R(K\x03",
            _short_string("<"),
            b"NNN",
            b"J\xff\xff\xff\xff" * 2,
            b"K\x00tb",
            b"\x89",  # not Fortran order
        ]
    )


def write_deap_pickle(
    path: Path, labels: Array, data_shape: tuple[int, ...], data: Iterable[Array]
) -> None:
    """Write ``{"labels": ..., "data": ...}`` as Python 2 pickled it (protocol 2, ``str`` data).

    Parameters
    ----------
    path : Path
        The file.
    labels : ndarray, shape (n_videos, 4)
        Ratings.
    data_shape : tuple of int
        (n_videos, n_channels, n_samples).
    data : iterable of ndarray, each of shape (n_channels, n_samples)
        One video at a time.
    """
    with atomic_file(path) as file:
        file.write(b"\x80\x02}(")
        file.write(_short_string("labels") + _array_head(labels.shape))
        raw = np.ascontiguousarray(labels, dtype="<f8").tobytes()
        file.write(b"T" + struct.pack("<i", len(raw)) + raw + b"tb")
        file.write(_short_string("data") + _array_head(data_shape))
        file.write(b"T" + struct.pack("<i", 8 * int(np.prod(data_shape))))
        for video in data:
            file.write(np.ascontiguousarray(video, dtype="<f8").tobytes())
        file.write(b"tbu" + pickle.STOP)


# BDF -----------------------------------------------------------------------------------------


class BdfChannel(NamedTuple):
    """A channel of a BDF file: label, unit, physical range (digital range is 24 bits)."""

    label: str
    unit: str
    physical_min: float
    physical_max: float


_BDF_MAX = 2**23 - 1
_BDF_MIN = -(2**23)


def write_bdf(
    path: Path,
    channels: list[BdfChannel],
    sfreq: int,
    n_records: int,
    records: Iterable[Array],
) -> None:
    """Write a BioSemi file of 1-s records.

    Parameters
    ----------
    path : Path
        The file.
    channels : list of BdfChannel
        In file order.
    sfreq : int
        Samples per second of every channel.
    n_records : int
        Seconds.
    records : iterable of ndarray, each of shape (n_channels, k * sfreq)
        Physical values, together `n_records` seconds. Values out of range are clipped.
    """
    low = np.array([c.physical_min for c in channels])[:, None]
    high = np.array([c.physical_max for c in channels])[:, None]
    step = (high - low) / (_BDF_MAX - _BDF_MIN)
    n = len(channels)

    def text(value: object, width: int) -> bytes:
        return str(value).encode("ascii")[:width].ljust(width)

    def number(value: float) -> str:
        return str(int(value)) if float(value).is_integer() else f"{value:.6g}"

    header = [
        b"\xffBIOSEMI",
        text("", 80),
        text("", 80),
        b"01.01.1009.00.00",
        text(256 * (n + 1), 8),
        text("24BIT", 44),
        text(n_records, 8),
        text(1, 8),
        text(n, 4),
        *(text(c.label, 16) for c in channels),
        *(text("", 80) for _ in channels),
        *(text(c.unit, 8) for c in channels),
        *(text(number(c.physical_min), 8) for c in channels),
        *(text(number(c.physical_max), 8) for c in channels),
        *(text(_BDF_MIN, 8) for _ in channels),
        *(text(_BDF_MAX, 8) for _ in channels),
        *(text("", 80) for _ in channels),
        *(text(sfreq, 8) for _ in channels),
        *(text("", 32) for _ in channels),
    ]
    written = 0
    with atomic_file(path) as file:
        file.write(b"".join(header))
        for values in records:
            digital = np.rint((values - low) / step) + _BDF_MIN
            clipped = np.clip(digital, _BDF_MIN, _BDF_MAX).astype("<i4")
            n_seconds = clipped.shape[1] // sfreq
            # (record, channel, sample), the low three bytes of each 32-bit number
            ordered = clipped.reshape(n, n_seconds, sfreq).transpose(1, 0, 2)
            octets = np.ascontiguousarray(ordered).view(np.uint8).reshape(-1, 4)[:, :3]
            file.write(octets.tobytes())
            written += n_seconds
        if written != n_records:
            raise ValueError(f"{path}: {n_records} records announced, {written} written")
