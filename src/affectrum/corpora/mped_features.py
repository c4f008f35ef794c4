"""MPED's feature files: one cell array whose arrays are read one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from affectrum.errors import FileFormatError
from affectrum.recordings.mat_stream import Index, MatStream

__all__ = ["cells", "read_cell"]


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
        for `read_cell`.

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


def read_cell(path: Path, found: dict[str, Any], position: int) -> np.ndarray[Any, Any]:
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
        Its numbers, with MATLAB's axes.

    Raises
    ------
    FileFormatError
        The cell is not there, damaged or holds no numbers.
    """
    leaves = list(Index.from_json(found["index"]).leaves.values())
    if not position < len(leaves):
        raise FileFormatError(f"{path}: {found['variable']} has {len(leaves)} cells.")
    with MatStream(path) as file:
        values = file.read(found["variable"], leaves[position])
    if values.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: cell {position + 1} holds no numbers.")
    return values
