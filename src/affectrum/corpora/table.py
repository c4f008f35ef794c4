"""The trial table: one row per trial, the same columns for every corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum import catalog
from affectrum.catalog import Clip, CorpusFacts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "EXTRA_COLUMNS", "TrialHeader", "build", "validate"]

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

After these columns stand those of `EXTRA_COLUMNS` that the corpus fills and one ``rating_{name}``
(float64) for each further self-report of the corpus, in the order of the catalogue.
"""

EXTRA_COLUMNS: Final[dict[str, str]] = {
    "session_name": "str",
    "felt_emotion": "str",
    "clip_valence": "float64",
    "clip_arousal": "float64",
}
"""Columns that only some corpora fill: the corpus's own name of the session, the emotion word that
the person chose, and the clip's published mean ratings on the corpus's own scale."""

_PLANE_RATINGS: Final = ("valence", "arousal", "dominance")


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
    ratings : dict of str to float or None
        Self-reports on the corpus's own scales, keys as in the catalogue's `ratings`.
    clip : Clip or None
        The clip itself, where `clip_row` in the catalogue's session of the same number is not it.
    emotion : str or None
        The emotion word of this trial where it is not the clip's.
    felt_emotion : str or None
        The emotion word that the person chose.
    session_name : str or None
        The corpus's own name of the session where it is not `session`.
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
    ratings: Mapping[str, float] | None = None
    clip: Clip | None = None
    emotion: str | None = None
    felt_emotion: str | None = None
    session_name: str | None = None

    def clip_in(self, facts: CorpusFacts) -> Clip | None:
        """Return the clip that was shown, None where the folder does not tell."""
        if self.clip is not None or self.clip_row is None:
            return self.clip
        return facts.clips[self.session - 1][self.clip_row - 1]


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
        The columns of `COLUMNS` and those that the corpus adds; rows by subject, session, row.
    """
    import pandas as pd

    headers = sorted(headers, key=lambda h: (h.subject, h.session, h.row))
    clips = [h.clip_in(facts) for h in headers]
    names = (*_PLANE_RATINGS, *(name for name in facts.ratings if name not in _PLANE_RATINGS))
    ratings = np.array(
        [[(h.ratings or {}).get(name, np.nan) for name in names] for h in headers], float
    ).reshape(-1, len(names))
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
        **{f"rating_{name}": ratings[:, position] for position, name in enumerate(names)},
    }
    columns["emotion"] = [
        word if h.emotion is None else h.emotion
        for h, word in zip(headers, columns["emotion"], strict=True)
    ]
    plane = _plane(columns["emotion"], ratings, facts, table)
    columns["valence"], columns["arousal"] = plane[:, 0], plane[:, 1]
    columns |= _extras(headers, clips)
    dtypes = {
        **COLUMNS,
        **{name: dtype for name, dtype in EXTRA_COLUMNS.items() if name in columns},
        **{f"rating_{name}": "float64" for name in names if f"rating_{name}" not in COLUMNS},
    }
    frame = pd.DataFrame(
        {name: pd.Series(columns[name], dtype=dtype) for name, dtype in dtypes.items()}
    )
    validate(frame)
    return frame


def _extras(headers: Sequence[TrialHeader], clips: Sequence[Clip | None]) -> dict[str, Any]:
    """Return those of `EXTRA_COLUMNS` that hold anything."""
    found: dict[str, Any] = {
        "session_name": [h.session_name for h in headers],
        "felt_emotion": [h.felt_emotion for h in headers],
    }
    for axis in ("valence", "arousal"):
        found[f"clip_{axis}"] = [
            clip.mean_ratings[axis][0]
            if clip is not None and clip.mean_ratings and axis in clip.mean_ratings
            else None
            for clip in clips
        ]
    return {
        name: values for name, values in found.items() if any(value is not None for value in values)
    }


def _plane(
    emotions: list[str | None], ratings: np.ndarray[Any, Any], facts: CorpusFacts, table: str
) -> np.ndarray[Any, Any]:
    from affectrum import affect

    if not len(ratings):
        return np.empty((0, 2))
    # words that the user gave to a corpus are not those of the catalogue
    in_catalogue = catalog.is_known(facts.name) and (
        facts.emotions == catalog.get(facts.name).emotions
    )
    if facts.is_rated:
        if in_catalogue:
            return np.asarray(affect.to_valence_arousal(ratings[:, :2], facts.name, table))
        missing = np.full(len(ratings), np.nan)
        columns = [
            affect.rating_to_plane(ratings[:, k], facts.ratings[name])
            if name in facts.ratings
            else missing
            for k, name in enumerate(_PLANE_RATINGS[:2])
        ]
        return np.column_stack(columns)
    plane = np.full((len(emotions), 2), np.nan)
    # a user's own words may stand in no table; then their place is missing
    places = None if in_catalogue else affect.get_table(table).entries
    known = np.array([word is not None and (not places or word in places) for word in emotions])
    if known.any():
        words = [word for word, there in zip(emotions, known, strict=True) if there]
        name = facts.name if in_catalogue else None
        plane[known] = affect.to_valence_arousal(words, name, table)
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
    first = list(frame.columns[: len(COLUMNS)])
    if first != list(COLUMNS):
        raise ValueError(f"Trial table columns are {first}; expected {list(COLUMNS)}")
    further = {
        name: EXTRA_COLUMNS.get(name, "float64" if name.startswith("rating_") else "no such column")
        for name in frame.columns[len(COLUMNS) :]
    }
    wrong = {
        name: str(frame[name].dtype)
        for name, dtype in {**COLUMNS, **further}.items()
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
