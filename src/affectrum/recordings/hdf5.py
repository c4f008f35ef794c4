"""The HDF5 inside MATLAB v7.3 files; used by `affectrum.recordings.mat`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError, UnsafeFileError

__all__ = ["list_variables", "open_file", "read_variable"]

_MAX_DEPTH: Final = 16


def open_file(path: Path) -> Any:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    h5py.File
        The open file.

    Raises
    ------
    FileFormatError
        It can't be opened.
    """
    import h5py

    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise FileFormatError(
            f"{path}: a MATLAB v7.3 file that can't be opened ({error}). Copy it again."
        ) from None


def list_variables(file: Any, path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Return (name, shape, class) of every variable, shapes as MATLAB shows them.

    Parameters
    ----------
    file : h5py.File
        The open file.
    path : Path
        Its path, for messages.

    Returns
    -------
    list of (str, tuple of int, str)
        One entry per variable.

    Raises
    ------
    UnsafeFileError
        A variable lies in another file.
    FileFormatError
        A header is damaged.
    """
    import h5py

    found = []
    try:
        for name in file:
            if name.startswith("#"):  # MATLAB's own store for cells
                continue
            link = file.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise UnsafeFileError(f"{path}: {name} is a link to another place; not followed.")
            item = file[name]
            if isinstance(item, h5py.Dataset):
                found.append((name, tuple(item.shape[::-1]), _matlab_class(item)))
            else:
                found.append((name, (1, 1), "struct"))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path}: damaged ({error}). Copy the file again.") from None
    return found


def _matlab_class(item: Any) -> str:
    value = item.attrs.get("MATLAB_class", b"double")
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def read_variable(item: Any, where: str, max_bytes: int, depth: int = 0) -> Any:
    """Decode one variable with MATLAB's axes.

    Parameters
    ----------
    item : h5py.Dataset or h5py.Group
        The variable.
    where : str
        File and variable, for messages.
    max_bytes : int
        Largest array that is decoded.
    depth : int
        Nesting, from 0.

    Returns
    -------
    ndarray
        Numbers as they are, text as an array of one `str`, cells as an object array, a struct as
        an object array that holds one dict.

    Raises
    ------
    UnsafeFileError
        The variable points outside its file or is too large.
    FileFormatError
        It is damaged.
    """
    import h5py

    if depth > _MAX_DEPTH:
        raise UnsafeFileError(f"{where}: nested deeper than {_MAX_DEPTH}.")
    try:
        if isinstance(item, h5py.Group):
            fields = {
                name: read_variable(item[name], where, max_bytes, depth + 1)
                for name in item
                if isinstance(item.get(name, getlink=True), h5py.HardLink)
            }
            return _one_object(fields)
        if item.external or item.is_virtual:
            raise UnsafeFileError(f"{where}: keeps its values in another file; not followed.")
        if item.nbytes > max_bytes:
            raise UnsafeFileError(f"{where}: shape {item.shape} has {item.nbytes} bytes.")
        if "MATLAB_empty" in item.attrs:
            return np.zeros(tuple(int(n) for n in item[()]))
        values = item[()]
        if item.dtype.kind == "O":
            cells = np.empty(values.shape, object)
            for index in np.ndindex(values.shape):
                target = item.file[values[index]]
                cells[index] = read_variable(target, where, max_bytes, depth + 1)
            return cells.T
        if _matlab_class(item) == "char":
            return np.array(["".join(chr(c) for c in np.ravel(values))])
        return np.ascontiguousarray(np.asarray(values).T)
    except FileFormatError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise FileFormatError(f"{where}: damaged ({error}). Copy the file again.") from None


def _one_object(value: Any) -> np.ndarray[Any, Any]:
    cell = np.empty((1, 1), object)
    cell[0, 0] = value
    return cell
