"""FACED's After_remarks.mat: what each person was shown when, and how it was rated.

The entries are in the order of presentation, the preprocessed signals in the order of the videos;
only the number of the video (`vid`) joins them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import faced as catalogued
from affectrum.corpora.folders import SEARCH_DEPTH, file_names, find_folders
from affectrum.corpora.problems import ProblemLog
from affectrum.errors import FileFormatError
from affectrum.recordings import mat

__all__ = ["Remarks", "find_remarks", "parse_remarks", "read_remarks"]

FILE: Final = "After_remarks.mat"
_VARIABLE: Final = "After_remark"
_FOLDERS: Final = ("Data", "After_remarks")


@dataclass(frozen=True)
class Remarks:
    """One subject's ratings.

    Parameters
    ----------
    trials : dict of int to int
        Position at which each video was shown, from 1, by the video's number.
    scores : dict of int to dict of str to float
        Ratings of each video, by name; missing ones are NaN.
    """

    trials: Mapping[int, int]
    scores: Mapping[int, Mapping[str, float]]


def find_remarks(top: Path, depth: int = SEARCH_DEPTH) -> Path | None:
    """Return the folder that holds ``sub000/After_remarks.mat``, or None.

    Parameters
    ----------
    top : Path
        The corpus folder.
    depth : int
        How many levels below it are searched.

    Returns
    -------
    Path or None
        The folder of the subjects' folders.
    """
    found = find_folders(top, _FOLDERS, depth, _holds_remarks)
    return next((found[name] for name in _FOLDERS if name in found), None)


def _holds_remarks(folder: Path) -> bool:
    return any(
        name.casefold() in catalogued.FILES and FILE in file_names(folder / name)
        for name in file_names(folder)
    )


def read_remarks(path: Path) -> dict[str, Any]:
    """Return what a file holds as plain lists.

    Parameters
    ----------
    path : Path
        An After_remarks.mat.

    Returns
    -------
    dict
        ``vid`` and ``trial``: numbers, ``score``: lists of numbers; one entry per presentation.

    Raises
    ------
    FileFormatError
        The file is damaged or holds something else.
    """
    with mat.MatFile(path) as file:
        if _VARIABLE not in file.variables:
            found = ", ".join(list(file.variables)[:8]) or "no variable"
            raise FileFormatError(f"{path}: lacks {_VARIABLE}; it holds {found}.")
        entries = file.read(_VARIABLE).ravel()
    found_entries: dict[str, Any] = {"vid": [], "trial": [], "score": []}
    for entry in entries:
        missing = [name for name in found_entries if not _is_numbers(entry, name)]
        if missing:
            raise FileFormatError(f"{path}: {_VARIABLE} lacks the fields {', '.join(missing)}.")
        for name in ("vid", "trial"):
            values = np.ravel(entry[name])
            found_entries[name].append(float(values[0]) if values.size else float("nan"))
        found_entries["score"].append(np.ravel(entry["score"]).astype(float).tolist())
    return found_entries


def _is_numbers(entry: Any, name: str) -> bool:
    return (
        isinstance(entry, dict)
        and name in entry
        and isinstance(entry[name], np.ndarray)
        and entry[name].dtype.kind in "fiub"
    )


def parse_remarks(content: Mapping[str, Any], where: str, log: ProblemLog) -> Remarks | None:
    """Judge what `read_remarks` found.

    Parameters
    ----------
    content : mapping
        Its result.
    where : str
        The file, for messages.
    log : ProblemLog
        Receives what is wrong.

    Returns
    -------
    Remarks or None
        None if videos and positions can't be told apart.
    """
    fix = "Restore the vendor's file."
    videos, trials, scores = content["vid"], content["trial"], content["score"]
    everything = list(range(1, catalogued.N_VIDEOS + 1))
    for name, values in (("vid", videos), ("trial", trials)):
        if sorted(values) != everything:
            log.error(where, f"{name!r} does not count 1 to {catalogued.N_VIDEOS} once.", fix)
            return None
    n_scores = len(catalogued.RATING_COLUMNS)
    if any(len(values) != n_scores for values in scores):
        log.error(where, f"'score' does not hold {n_scores} ratings everywhere.", fix)
        return None
    table = np.asarray(scores, dtype=float)
    low, high = catalogued.RATING_SCALE
    unusable = ~((table >= low) & (table <= high))
    if unusable.any():
        rows = sorted(int(videos[row]) for row in np.flatnonzero(unusable.any(axis=1)))
        log.warning(
            where,
            f"{int(unusable.sum())} ratings are missing or outside {low:g} to {high:g} (videos "
            f"{', '.join(map(str, rows[:8]))}{' ...' if len(rows) > 8 else ''}).",
            "They are missing in the trial table.",
        )
        table[unusable] = np.nan
    return Remarks(
        trials={int(video): int(trial) for video, trial in zip(videos, trials, strict=True)},
        scores={
            int(video): dict(zip(catalogued.RATING_COLUMNS, map(float, row), strict=True))
            for video, row in zip(videos, table, strict=True)
        },
    )
