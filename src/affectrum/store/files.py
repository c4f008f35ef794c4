"""Safe writing: atomic files, typed tables without pickles, and disk faults put into words."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import StoreError

__all__ = [
    "HEADER_BYTES",
    "array_header",
    "digest_bytes",
    "digest_file",
    "load_table",
    "save_table",
    "storing",
    "sync_folder",
    "write_atomic",
]

# An .npy file's header may be padded with blanks; a fixed room lets rows be appended first and
# their number be written last. 256 is a multiple of 64, as the format asks.
HEADER_BYTES = 256
_DIGEST_BYTES = 16
_BLOCK = 1 << 20

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def storing(path: Path, what: str, need: float = 0) -> Iterator[None]:
    """Turn an operating system's fault while writing into a StoreError that says what to do.

    Parameters
    ----------
    path : Path
        Where is written.
    what : str
        What was to be written, for the message.
    need : float
        Bytes still needed, if known.

    Raises
    ------
    StoreError
        If the disk is full, the place is read-only or not allowed, or writing fails otherwise.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(_sentence(error, path, what, need)) from error


def _sentence(error: OSError, path: Path, what: str, need: float) -> str:
    start = f"{what} can't be written to {str(path)!r}: {error.strerror or error}."
    if error.errno in _FULL:
        free = free_bytes(path)
        more = f" About {megabytes(need)} more are needed" if need else ""
        left = f", {megabytes(free)} are free" if more and free is not None else ""
        return (
            f"{start}{more}{left}{'.' if more else ''} Free some space (or raise the limit on file "
            "sizes or the quota), or choose another place for the store; then run the same command "
            "again: what is done so far is kept and not computed again."
        )
    if error.errno in _FORBIDDEN:
        return (
            f"{start} The store must be writable to prepare new windows; entries that are complete "
            "can be opened from a read-only store. Choose another place for the store, or change "
            "the rights of this one."
        )
    return f"{start} Check the disk, then run the same command again: finished files are kept."


def free_bytes(path: Path) -> int | None:
    """Return the free bytes where `path` is or will be, or None if that can't be told."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def megabytes(count: float) -> str:
    """Return bytes in words, for example '12.3 MB'."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system allows it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, even after a crash.

    Parameters
    ----------
    path : Path
        The file; an earlier one is replaced.
    content : bytes
        What it shall hold.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def digest_bytes(*parts: bytes) -> str:
    """Return the digest of bytes, 32 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        state.update(part)
    return state.hexdigest()


def digest_json(value: Any) -> str:
    """Return the digest of a value that JSON can hold; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return digest_bytes(text.encode())


def digest_file(path: Path, start: int = 0, length: int | None = None) -> str:
    """Return the digest of a stretch of a file.

    Parameters
    ----------
    path : Path
        The file.
    start : int
        First byte.
    length : int or None
        Number of bytes; None for the rest.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with open(path, "rb") as file:
        file.seek(start)
        left = length
        while left is None or left > 0:
            block = file.read(_BLOCK if left is None else min(_BLOCK, left))
            if not block:
                break
            state.update(block)
            left = None if left is None else left - len(block)
    return state.hexdigest()


def new_digest() -> Any:
    """Return a fresh digest to be updated piece by piece."""
    return hashlib.blake2b(digest_size=_DIGEST_BYTES)


def array_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return an .npy header of exactly `HEADER_BYTES` bytes.

    Parameters
    ----------
    shape : tuple of int
        The array's shape.
    dtype : dtype
        Its type, without Python objects.

    Returns
    -------
    bytes
        Format version 1.0, padded with blanks.
    """
    content = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": tuple(int(length) for length in shape),
    }
    text = repr(content).encode("latin1")
    magic = np.lib.format.magic(1, 0)
    room = HEADER_BYTES - len(magic) - 2
    if len(text) + 1 > room:
        raise StoreError(f"An array of type {dtype} has too long a header for the store.")
    return magic + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n"


# ---------------------------------------------------------------- tables


def save_table(table: pd.DataFrame) -> bytes:
    """Turn a table into an .npz without pickles.

    Parameters
    ----------
    table : DataFrame
        Columns of type str, bool, int, Int (nullable) or float; the index is not kept.

    Returns
    -------
    bytes
        One array per column (text of fixed width), its mask where values are missing, and the
        types as JSON. The same table gives the same bytes.
    """
    arrays: dict[str, NDArray[Any]] = {}
    schema = []
    for position, name in enumerate(table.columns):
        column = table[name]
        dtype = str(column.dtype)
        missing = column.isna().to_numpy(dtype=bool)
        if isinstance(column.dtype, pd.StringDtype) or dtype == "object":
            dtype = "str"
            values = np.array(
                ["" if gone else str(text) for text, gone in zip(column, missing, strict=True)],
                dtype=np.str_,
            )
        elif dtype.startswith(("Int", "UInt", "boolean")):
            plain = np.bool_ if dtype == "boolean" else np.int64
            values = column.fillna(False if dtype == "boolean" else 0).to_numpy(dtype=plain)
        elif column.dtype.kind in "biuf":
            values = column.to_numpy()
            missing = np.zeros(len(column), dtype=bool)  # NaN is kept as it is
        else:
            raise StoreError(
                f"The table's column {name!r} has type {dtype}; the store keeps text, numbers and "
                "truth values."
            )
        arrays[f"c{position}"] = values
        if missing.any():
            arrays[f"m{position}"] = missing
        schema.append([str(name), dtype])
    arrays["schema"] = np.frombuffer(json.dumps(schema).encode(), dtype=np.uint8)
    arrays["rows"] = np.array(len(table))
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def load_table(path: Path) -> pd.DataFrame:
    """Read a table that `save_table` wrote.

    Parameters
    ----------
    path : Path
        The .npz file.

    Returns
    -------
    DataFrame

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays: Mapping[str, NDArray[Any]] = {name: file[name] for name in file.files}
        schema = json.loads(arrays["schema"].tobytes())
        columns = {}
        for position, (name, dtype) in enumerate(schema):
            values = arrays[f"c{position}"]
            gone = arrays.get(f"m{position}")
            if dtype == "str":
                words = values.astype(object)
                if gone is not None:
                    words[gone] = None
                columns[name] = pd.Series(words, dtype="str")
            else:
                series = pd.Series(values).astype(dtype)
                columns[name] = series if gone is None else series.mask(gone)
        return pd.DataFrame(columns, index=pd.RangeIndex(int(arrays["rows"])))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(
            f"The table {str(path)!r} is damaged ({error}). Remove the entry that holds it and "
            "prepare it again."
        ) from error
    except Exception as error:  # zipfile raises its own kinds for a damaged archive
        if type(error).__module__ != "zipfile":
            raise
        raise StoreError(f"The table {str(path)!r} is damaged ({error}).") from error
