"""The feature files of SEED-FRA and SEED-GER, and which of their windows belong to which trial.

A file holds the windows of all trials one behind the other in two parts, each window with its
label. Where one trial ends and the next begins is seen where the label changes; neighbours of one
label form one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from affectrum.errors import FileFormatError
from affectrum.recordings.npz import NpzFile
from affectrum.recordings.pickles import ArrayHeader

__all__ = ["BANDS", "PARTS", "Run", "assign", "cut_windows", "feature_header", "read_part"]

BANDS: Final = ("delta", "theta", "alpha", "beta", "gamma")
PARTS: Final = ("train", "test")
_N_ELECTRODES: Final = 62
_MAX_RUNS: Final = 200
# The labels as published, and as they are when recoded to begin at 0.
_SHIFTS: Final = (0, 1)


class Run(NamedTuple):
    """Windows of one label side by side, and the trials they belong to.

    Attributes
    ----------
    part : int
        0 for the first part of the file, 1 for the second.
    start, n_windows : int
        The first window in that part, and how many.
    rows : tuple of int
        Trials, from 1; several where neighbours have one label.
    """

    part: int
    start: int
    n_windows: int
    rows: tuple[int, ...]


def feature_header(path: Path) -> list[list[list[float]]]:
    """Return the runs of labels in both parts of a file, as plain values for the cache.

    Parameters
    ----------
    path : Path
        A file ``{subject}_{session}.npz``.

    Returns
    -------
    list of list of [float, int]
        For each part: label and number of windows of each run.

    Raises
    ------
    FileFormatError
        The file is damaged, or does not hold labelled features of 62 electrodes.
    """
    found = []
    with NpzFile(path) as file:
        for part in PARTS:
            bands = file.describe_pickled(f"{part}_data")
            if not isinstance(bands, dict) or not set(BANDS) <= set(bands):
                raise FileFormatError(
                    f"{path}: {part}_data is no pickled dict with the bands {', '.join(BANDS)}."
                )
            shapes = {_shape(bands[band], f"{path}: {part}_data, {band}") for band in BANDS}
            labels = _labels(file, f"{part}_label", path)
            if shapes != {(labels.size, _N_ELECTRODES)}:
                raise FileFormatError(
                    f"{path}: {part}_data has the shapes {sorted(shapes)} and {labels.size} "
                    f"labels; expected (labels, {_N_ELECTRODES}) for every band."
                )
            ends = [*np.flatnonzero(np.diff(labels)) + 1, labels.size] if labels.size else []
            if len(ends) > _MAX_RUNS:
                raise FileFormatError(f"{path}: its labels change {len(ends)} times.")
            starts = [0, *ends[:-1]]
            found.append(
                [[float(labels[a]), int(b - a)] for a, b in zip(starts, ends, strict=False)]
            )
    return found


def _shape(header: Any, where: str) -> tuple[int, ...]:
    if not isinstance(header, ArrayHeader) or np.dtype(header.dtype).kind != "f":
        raise FileFormatError(f"{where} is no array of numbers.")
    return header.shape


def _labels(file: NpzFile, name: str, path: Path) -> np.ndarray[Any, Any]:
    if name in file.arrays and file.arrays[name][1].lstrip("<>|=")[:1] in "OSV":
        values = np.asarray(file.read_pickled(name))
    else:
        values = file.read(name)
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise FileFormatError(f"{path}: {name} holds no numbers.")
    return values.ravel().astype(np.float64)


def assign(header: Sequence[Sequence[Sequence[float]]], labels: Sequence[int]) -> list[Run] | None:
    """Find out which trials the runs of a file belong to.

    No trial lies in both parts, but which is the first of the second part stands nowhere: it
    follows from the labels.

    Parameters
    ----------
    header : list of list of [float, int]
        From `feature_header`.
    labels : sequence of int
        The published label of each trial in the order of presentation.

    Returns
    -------
    list of Run or None
        In the order of the trials; None where the labels of the file are not the published ones
        (as they are, or all higher by one).
    """
    found = [[label for label, _ in part] for part in header]
    for shift in _SHIFTS:
        wanted = [label + shift for label in labels]
        for border in range(len(wanted) + 1):
            grouped = [_group(wanted, 0, border), _group(wanted, border, len(wanted))]
            if [[wanted[rows[0] - 1] for rows in part] for part in grouped] == found:
                return [
                    Run(part, sum(int(n) for _, n in header[part][:place]), int(n_windows), rows)
                    for part, groups in enumerate(grouped)
                    for place, (rows, (_, n_windows)) in enumerate(
                        zip(groups, header[part], strict=True)
                    )
                ]
    return None


def _group(labels: Sequence[int], start: int, stop: int) -> list[tuple[int, ...]]:
    """Return the rows (from 1) of neighbours of one label."""
    groups: list[tuple[int, ...]] = []
    for position in range(start, stop):
        if groups and labels[position] == labels[position - 1]:
            groups[-1] = (*groups[-1], position + 1)
        else:
            groups.append((position + 1,))
    return groups


def read_part(path: Path, part: int) -> list[np.ndarray[Any, Any]]:
    """Read one part of a file.

    Parameters
    ----------
    path : Path
        A file ``{subject}_{session}.npz``.
    part : int
        0 or 1, see `PARTS`.

    Returns
    -------
    list of ndarray, shape (n_windows, 62)
        One per band, in the order of `BANDS`.

    Raises
    ------
    FileFormatError
        The file is missing or damaged.
    """
    with NpzFile(path) as file:
        bands = file.read_pickled(f"{PARTS[part]}_data", BANDS)
    return [np.asarray(bands[band]) for band in BANDS]


def cut_windows(
    bands: Sequence[np.ndarray[Any, Any]], start: int, n_windows: int, path: Path
) -> np.ndarray[Any, Any]:
    """Return the features of some windows.

    Parameters
    ----------
    bands : sequence of ndarray
        From `read_part`.
    start, n_windows : int
        The first window, and how many.
    path : Path
        The file, for messages.

    Returns
    -------
    ndarray, shape (n_windows, 62, 5)
        float64, on the vendor's scale.

    Raises
    ------
    FileFormatError
        The file has no such windows any more.
    """
    pieces = [band[start : start + n_windows] for band in bands]
    if any(piece.shape != (n_windows, _N_ELECTRODES) for piece in pieces):
        raise FileFormatError(
            f"{path}: has no windows {start} to {start + n_windows}. Open the corpus again; if "
            "that does not help, copy the file again."
        )
    return np.stack(pieces, axis=2).astype(np.float64)
