"""MPED's feature files: one cell array whose arrays are read one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError
from affectrum.recordings.mat_stream import Index, Leaf, MatStream

__all__ = ["CellReader", "cells"]

_MAX_KEPT: Final = 5  # files: one of each feature
_MAX_KEPT_BYTES: Final = 64 * 1024**2


def cells(path: Path) -> dict[str, Any]:
    """List the arrays in the file's cell array.

    Parameters
    ----------
    path : Path
        A .mat file.

    Returns
    -------
    dict
        ``variable``: its name; ``shapes``: of every cell; ``faults``: of the packing; ``index``:
        for `CellReader`.

    Raises
    ------
    FileFormatError
        The file is damaged, or does not hold a single cell array of arrays.
    """
    with MatStream(path) as file:
        names = [name for name, v in file.variables.items() if v.matlab_class == "cell"]
        if len(names) != 1:
            found = ", ".join(list(file.variables)[:6]) or "no variable"
            raise FileFormatError(
                f"{path}: expected one cell array, found {len(names)} (the file holds {found})."
            )
        index = file.index(names[0])
    leaves = list(index.leaves.values())
    nested = [leaf.path for k, leaf in enumerate(leaves) if leaf.path != f"[{k}]"]
    if nested:
        raise FileFormatError(f"{path}: {names[0]}{nested[0]} is no array of numbers.")
    kept = Index({leaf.path: leaf._replace(value=None, gaps=()) for leaf in leaves}, index.faults)
    return {
        "variable": names[0],
        "shapes": [list(leaf.shape) for leaf in leaves],
        "faults": list(index.faults),
        "index": kept.to_json(),
    }


class CellReader:
    """Decodes cells one by one.

    A packed file has to be unpacked from its beginning for each of its cells, so those of the
    last few packed files are kept (about 10 MB each).
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, int], list[np.ndarray[Any, Any]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"_kept": {}}  # a copy for another process begins anew

    def read(self, path: Path, found: dict[str, Any], position: int) -> np.ndarray[Any, Any]:
        """Decode one cell.

        Parameters
        ----------
        path : Path
            The file.
        found : dict
            What `cells` returned for it.
        position : int
            Which cell, from 0.

        Returns
        -------
        ndarray
            Its numbers, with MATLAB's axes; not to be changed.

        Raises
        ------
        FileFormatError
            The cell is not there, damaged or holds no numbers.
        """
        leaves = list(Index.from_json(found["index"]).leaves.values())
        if not position < len(leaves):
            raise FileFormatError(f"{path}: {found['variable']} has {len(leaves)} cells.")
        with MatStream(path) as file:
            state = path.stat()
            key = (str(path), state.st_size, state.st_mtime_ns)
            if key in self._kept:
                values = self._kept[key][position]
            elif file.is_packed(found["variable"]) and _n_bytes(leaves) <= _MAX_KEPT_BYTES:
                arrays = [file.read(found["variable"], leaf) for leaf in leaves]
                while len(self._kept) >= _MAX_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = arrays
                values = arrays[position]
            else:
                values = file.read(found["variable"], leaves[position])
        if values.dtype.kind not in "fiu":
            raise FileFormatError(f"{path}: cell {position + 1} holds no numbers.")
        return values


def _n_bytes(leaves: list[Leaf]) -> int:
    return sum(leaf.n_bytes for leaf in leaves)
