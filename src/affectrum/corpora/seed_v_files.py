"""SEED-V's own files beside the recordings: features in pickled dicts, and times of the clips."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.errors import FileFormatError
from affectrum.recordings.npz import NpzFile
from affectrum.recordings.pickles import ArrayHeader

__all__ = ["Times", "feature_header", "read_times"]

Times = dict[int, list[tuple[float, float]]]
"""Begin and end of the clips in seconds, by set."""

_TIMES: Final = re.compile(
    r"(?:Session\s*(?P<set>[123])\s*:?\s*)?start_second\s*:?\s*\[(?P<start>[^\]]*)\]\s*,?;?\s*"
    r"end_second\s*:?\s*\[(?P<end>[^\]]*)\]",
    re.IGNORECASE,
)
_MAX_TEXT: Final = 100_000
_N_TRIALS: Final = 45


def feature_header(path: Path) -> dict[str, Any]:
    """Return what the trial table needs of a feature file, as plain values for the cache.

    Parameters
    ----------
    path : Path
        A file ``{subject}_123.npz``.

    Returns
    -------
    dict
        ``shapes``: shape of each trial by its number; ``labels``: its different labels (five at
        most) and how many labels there are.

    Raises
    ------
    FileFormatError
        The file is damaged, or does not hold trials.
    """
    with NpzFile(path) as file:
        data, labels = file.describe_pickled("data"), file.read_pickled("label")
    if not isinstance(data, dict) or not isinstance(labels, dict):
        raise FileFormatError(f"{path}: expected pickled dicts of trials in 'data' and 'label'.")
    wrong = [key for key in (*data, *labels) if type(key) is not int or not 0 <= key < _N_TRIALS]
    if wrong:
        raise FileFormatError(f"{path}: trials are numbered 0 to 44; found {wrong[0]!r:.40}.")
    shapes, found = {}, {}
    for key, array in data.items():
        if not isinstance(array, ArrayHeader) or np.dtype(array.dtype).kind != "f":
            raise FileFormatError(f"{path}: trial {key} is no array of numbers.")
        shapes[str(key)] = list(array.shape)
    for key, values in labels.items():
        codes = np.asarray(values)
        if codes.dtype.kind not in "iuf" or not np.isfinite(codes).all():
            raise FileFormatError(f"{path}: the labels of trial {key} are no numbers.")
        different = np.unique(codes)[:5].tolist()
        found[str(key)] = [[int(c) if c == int(c) else c for c in different], int(codes.size)]
    return {"shapes": shapes, "labels": found}


def read_times(path: Path) -> Times:
    """Read the times of the clips.

    Parameters
    ----------
    path : Path
        A file like trial_start_end_timestamp.txt.

    Returns
    -------
    dict of int to list of (float, float)
        Begin and end in seconds by set, as they stand there.

    Raises
    ------
    FileFormatError
        It can't be read, or its lists do not fit together.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_TEXT)
    except OSError as error:
        raise FileFormatError(f"can't be read ({error.strerror or error}).") from None
    times: Times = {}
    for position, match in enumerate(_TIMES.finditer(text), start=1):
        number = int(match["set"] or position)
        starts, ends = (
            [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", match[group])]
            for group in ("start", "end")
        )
        if len(starts) != len(ends):
            raise FileFormatError(f"set {number} has {len(starts)} begins and {len(ends)} ends.")
        if number in times:
            raise FileFormatError(f"set {number} stands there twice.")
        times[number] = list(zip(starts, ends, strict=True))
    return times
