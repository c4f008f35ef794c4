"""Writing that is either complete or not there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import time
import uuid
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import StoreError

__all__ = [
    "canonical_json",
    "clear_wrecks",
    "digest_of",
    "load_arrays",
    "no_room",
    "pack_arrays",
    "publish_folder",
    "sha256",
    "text_array",
    "write_file",
]


def canonical_json(data: Any) -> str:
    """Return JSON with sorted keys, the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=True)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_of(data: Any) -> str:
    """Return a digest of JSON-able data, 32 hexadecimal characters."""
    return sha256(canonical_json(data).encode())[:32]


def text_array(values: Any) -> NDArray[np.str_]:
    """Return strings as fixed-width unicode; missing ones become ""."""
    cleaned = ["" if value is None or value != value else str(value) for value in values]
    return np.array(cleaned, dtype=np.str_) if cleaned else np.zeros(0, dtype="<U1")


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the bytes of an .npz; object arrays are refused."""
    for name, array in arrays.items():
        if np.asarray(array).dtype == object:
            raise StoreError(f"Array {name!r} holds Python objects, which are never stored.")
    buffer = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(buffer, **named)
    return buffer.getvalue()


def load_arrays(path: Path, expected_sha256: str | None = None) -> dict[str, NDArray[Any]]:
    """Read an .npz without pickles, checking its digest first if one is given.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or not what the manifest says.
    """
    try:
        data = path.read_bytes()
        if expected_sha256 is not None and sha256(data) != expected_sha256:
            raise StoreError(
                f"{path} is not what its manifest says: it was damaged or changed. Delete the "
                f"folder {path.parent} and run the plan again."
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} can't be read: {error}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that it is complete or absent.

    Raises
    ------
    StoreError
        If the place can't be written (full, read-only).
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(temporary, data)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise no_room(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish_folder(folder: Path, files: Mapping[str, bytes], manifest: str) -> bool:
    """Write a folder of files under its final name in one step, the manifest last.

    Parameters
    ----------
    folder : Path
        The final name. If it is already there, somebody else finished first and it is kept.
    files : mapping of str to bytes
        Names and contents.
    manifest : str
        The file that is written after all others.

    Returns
    -------
    bool
        Whether this call put the folder there.

    Raises
    ------
    StoreError
        If the place can't be written (full, read-only); nothing is left behind.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.mkdir(parents=True)
        for name in [*(name for name in files if name != manifest), manifest]:
            _write(temporary / name, files[name])
        _sync_folder(temporary)
        if not (folder / manifest).exists():
            # A folder without its manifest is a wreck that nobody trusts.
            shutil.rmtree(folder, ignore_errors=True)
            try:
                os.rename(temporary, folder)
            except OSError:
                if (folder / manifest).exists():
                    return False
                raise
            _sync_folder(folder.parent)
            return True
        return False
    except OSError as error:
        raise no_room(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def clear_wrecks(folder: Path, older_than_s: float = 86_400.0) -> None:
    """Remove what a killed run left half written; younger ones may be another run's work."""
    if not folder.is_dir():
        return
    for path in folder.glob(".*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > older_than_s:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def no_room(path: Path, error: OSError) -> StoreError:
    """Return the error that says that a place can't be written, and what to do."""
    return StoreError(
        f"{path} can't be written: {error.strerror or error}. Finished cells are kept; make room "
        "or choose another output folder, and run again."
    )
