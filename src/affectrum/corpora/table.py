"""The trial table: one row per trial, the same columns for every corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum.catalog import CorpusFacts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "TrialHeader", "build", "validate"]

COLUMNS: Final[dict[str, str]] = {
    "corpus": "str",
    "subject": "int64",
    "session": "int64",
    "row": "int64",
    "trial": "Int64",
    "clip": "str",
    "film": "str",
    "series": "str",
    "emotion": "str",
    "rating_valence": "float64",
    "rating_arousal": "float64",
    "rating_dominance": "float64",
    "valence": "float64",
    "arousal": "float64",
    "onset_s": "float64",
    "duration_s": "float64",
    "sfreq": "float64",
    "n_channels": "int64",
    "file": "str",
    "key": "str",
    "simulated": "bool",
}
"""Columns of the trial table and their dtypes.

``row`` counts trials in the file from 1, ``trial`` in the session as presented (missing where the
layout does not tell). ``onset_s`` is where the stimulus begins within what ``file`` and ``key``
name; what lies before is the baseline. ``sfreq`` is missing where a folder holds features only.
Missing is missing, never 0.
"""


@dataclass(frozen=True, kw_only=True)
class TrialHeader:
    """What a folder tells about one trial without its signals being read.

    Parameters
    ----------
    subject, session, row : int
        Counted from 1.
    trial : int or None
        Position in the session as presented, from 1.
    clip_row : int or None
        Which of the catalogue's clips of that session it is, from 1.
    file : str
        Path relative to the corpus folder, with forward slashes.
    key : str
        Variable, index or position in the file.
    n_channels : int
        Electrodes in the file.
    duration_s : float
        Length of the stimulus part.
    onset_s : float
        Where it begins within the trial or recording.
    sfreq : float
        Sampling rate in Hz; NaN for features.
    ratings : tuple of float or None
        Valence, arousal, dominance on the corpus's own scale.
    """

    subject: int
    session: int
    row: int
    trial: int | None
    clip_row: int | None
    file: str
    key: str
    n_channels: int
    duration_s: float
    onset_s: float
    sfreq: float
    ratings: tuple[float, float, float] | None = None


def build(
    headers: Sequence[TrialHeader], facts: CorpusFacts, *, table: str, simulated: bool
) -> pd.DataFrame:
    """Join trial headers with the catalogue's clips and labels.

    Parameters
    ----------
    headers : sequence of TrialHeader
        One per trial.
    facts : CorpusFacts
        The corpus's facts.
    table : str
        The valence-arousal table, see `affectrum.affect`.
    simulated : bool
        Whether the folder is marked as simulated.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`; rows by subject, session, row.
    """
    import pandas as pd

    headers = sorted(headers, key=lambda h: (h.subject, h.session, h.row))
    clips = [
        facts.clips[h.session - 1][h.clip_row - 1] if h.clip_row is not None else None
        for h in headers
    ]
    nothing = (np.nan, np.nan, np.nan)
    ratings = np.array([h.ratings or nothing for h in headers], float).reshape(-1, 3)
    columns: dict[str, Any] = {
        "corpus": [facts.name] * len(headers),
        "simulated": [simulated] * len(headers),
        **{
            name: [getattr(h, name) for h in headers]
            for name in (
                "subject",
                "session",
                "row",
                "trial",
                "onset_s",
                "duration_s",
                "sfreq",
                "n_channels",
                "file",
                "key",
            )
        },
        **{
            name: [None if clip is None else getattr(clip, name) for clip in clips]
            for name in ("clip", "film", "series", "emotion")
        },
        "rating_valence": ratings[:, 0],
        "rating_arousal": ratings[:, 1],
        "rating_dominance": ratings[:, 2],
    }
    plane = _plane(columns["emotion"], ratings, facts, table)
    columns["valence"], columns["arousal"] = plane[:, 0], plane[:, 1]
    frame = pd.DataFrame(
        {name: pd.Series(columns[name], dtype=dtype) for name, dtype in COLUMNS.items()}
    )
    validate(frame)
    return frame


def _plane(
    emotions: list[str | None], ratings: np.ndarray[Any, Any], facts: CorpusFacts, table: str
) -> np.ndarray[Any, Any]:
    from affectrum import affect

    if not len(ratings):
        return np.empty((0, 2))
    if facts.is_rated:
        return np.asarray(affect.to_valence_arousal(ratings[:, :2], facts.name, table))
    plane = np.full((len(emotions), 2), np.nan)
    known = np.array([word is not None for word in emotions])
    if known.any():
        words = [word for word in emotions if word is not None]
        plane[known] = affect.to_valence_arousal(words, facts.name, table)
    return plane


def validate(frame: pd.DataFrame) -> None:
    """Raise ValueError unless the frame keeps the promises of a trial table.

    Parameters
    ----------
    frame : DataFrame
        The table.

    Raises
    ------
    ValueError
        Columns, dtypes or identities are wrong. A reader that causes this has a fault.
    """
    if list(frame.columns) != list(COLUMNS):
        raise ValueError(f"Trial table columns are {list(frame.columns)}; expected {list(COLUMNS)}")
    wrong = {
        name: str(frame[name].dtype)
        for name, dtype in COLUMNS.items()
        if str(frame[name].dtype) != dtype
    }
    if wrong:
        raise ValueError(f"Trial table dtypes are wrong: {wrong}")
    if frame.duplicated(["subject", "session", "row"]).any():
        raise ValueError("A (subject, session, row) occurs twice in the trial table")
    if frame.duplicated(["file", "key"]).any():
        raise ValueError("A (file, key) occurs twice in the trial table")
    if (frame["duration_s"] <= 0).any():
        raise ValueError("A trial of the trial table has no duration")
