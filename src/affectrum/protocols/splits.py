"""Splitters: small functions from a table of trials to lists of trials.

Every splitter takes a table with one row per trial, index 0..n-1, with the columns `corpus`,
`subject`, `session`, `row`, `trial` (position as presented) and returns `TrialSplit`s, whose
arrays hold positions in that table. They know nothing of signals, labels or methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError

__all__ = [
    "TrialSplit",
    "calibrated",
    "cross_session",
    "default_calibration_trials",
    "leave_one_subject_out",
    "own_split",
    "presentation_order",
    "within_subject",
    "zero_shot",
]

Trials = NDArray[np.int64]

# First trials that train (within-subject) or calibrate, of all trials of a session. SEED: 9 of 15
# (SCMM's folder `9_trials`; usual split of the field); SEED-IV: 12 of 24, because both halves then
# hold every class in every session, 16/8 does not; DEAP: 16 of 40 (this project's choice: the
# published number is not known).
_CALIBRATION_TRIALS = {"SEED": (9, 15), "SEED-IV": (12, 24), "DEAP": (16, 40)}
# Within-subject training wants more than a calibration where nothing is published: DEAP as SEED,
# three of five.
_TRAINING_TRIALS = {**_CALIBRATION_TRIALS, "DEAP": (24, 40)}


def _none() -> Trials:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class TrialSplit:
    """Who stands where in one fold, as positions in tables of trials.

    Attributes
    ----------
    id : str
        Name of the fold: ``"SEED/3"``.
    corpus : str
        The target corpus.
    subjects : tuple of int
        The target subjects; almost always one.
    train : ndarray of int64
        Trials of the training side; positions in the table of the source, which is the target's
        own table for protocols inside one corpus.
    calibration, validation, test : ndarray of int64
        Positions in the table of the target.
    notes : tuple of str
        What a reader of the score should know.
    """

    id: str
    corpus: str
    subjects: tuple[int, ...]
    train: Trials
    test: Trials
    calibration: Trials = field(default_factory=_none)
    validation: Trials = field(default_factory=_none)
    notes: tuple[str, ...] = ()


def default_calibration_trials(
    corpus: str, n_kept: int, *, training: bool = False
) -> tuple[int, str | None]:
    """How many first trials of a session calibrate (or train, within a subject) by default.

    A class scheme may drop trials (SEED-IV without fear keeps 18 of 24); the default keeps its
    share of what is left: 12 of 24 becomes 9 of 18.

    Parameters
    ----------
    corpus : str
        Name of the target corpus.
    n_kept : int
        Trials of a session that the class scheme keeps.
    training : bool
        For `within_subject` instead of `calibrated`.

    Returns
    -------
    k : int
        Number of kept trials, at least 1.
    note : str or None
        Said in the fold where nothing is published for this corpus.
    """
    table = _TRAINING_TRIALS if training else _CALIBRATION_TRIALS
    if corpus in table:
        k, of = table[corpus]
        return max(1, round(k * n_kept / of)), None
    k = max(1, n_kept // 2)
    return k, (
        f"no number of first trials is published for {corpus}; half of them ({k}) are used "
        "(set calibration_trials to choose)"
    )


def presentation_order(trials: pd.DataFrame, rows: Trials) -> Trials:
    """Sort trials as they were presented: by session, then by position in the session.

    Parameters
    ----------
    trials : DataFrame
        The table of trials.
    rows : ndarray of int64
        Positions in it.

    Returns
    -------
    ndarray of int64
        The same positions, sorted.

    Raises
    ------
    ProtocolError
        If the position of a trial is not known.
    """
    part = trials.iloc[rows]
    unknown = part["trial"].isna().to_numpy()
    if unknown.any():
        corpus = str(part["corpus"].iloc[int(np.argmax(unknown))])
        hint = (
            "DEAP's .dat rows are in video order: put participant_ratings.csv, which holds the "
            "order of presentation, where the corpus has it, and prepare again."
            if corpus == "DEAP"
            else "Give each trial its position in the session in the column 'trial'."
        )
        raise ProtocolError(
            f"The order of presentation of {int(unknown.sum())} of {len(part)} trials of {corpus} "
            f"is not known (column 'trial' is missing there), so its first trials can't be told. "
            f"{hint}"
        )
    order = np.lexsort(
        (part["trial"].to_numpy(dtype=np.int64), part["session"].to_numpy(dtype=np.int64))
    )
    return rows[order]


def _subjects(trials: pd.DataFrame, chosen: Sequence[int] | None) -> list[int]:
    present = [int(subject) for subject in np.unique(trials["subject"].to_numpy())]
    if chosen is None:
        return present
    missing = [subject for subject in chosen if subject not in present]
    if missing:
        raise ProtocolError(
            f"subjects {missing} are not among the subjects of {trials['corpus'].iloc[0]}: "
            f"{present}."
        )
    return [subject for subject in present if subject in set(chosen)]


def _of_subject(trials: pd.DataFrame, subject: int) -> Trials:
    return np.flatnonzero(trials["subject"].to_numpy() == subject).astype(np.int64)


def _name(trials: pd.DataFrame, subject: int) -> tuple[str, str]:
    corpus = str(trials["corpus"].iloc[0])
    return corpus, f"{corpus}/{subject}"


def within_subject(
    trials: pd.DataFrame, k: int, *, subjects: Sequence[int] | None = None
) -> list[TrialSplit]:
    """First k trials of each session of a subject, then the remaining ones of each session.

    ::

        subject 1, session 1   [x x x x x x x x x][? ? ? ? ? ?]
        subject 1, session 2   [x x x x x x x x x][? ? ? ? ? ?]
                                train (k = 9)      test

    Parameters
    ----------
    trials : DataFrame
        Trials of one corpus.
    k : int
        Training trials per session.
    subjects : sequence of int, optional
        Build folds of these subjects only.

    Returns
    -------
    list of TrialSplit
        One per subject.

    Raises
    ------
    ProtocolError
        If the order of presentation is not known, or k leaves nothing to test.
    """
    splits = []
    for subject in _subjects(trials, subjects):
        corpus, name = _name(trials, subject)
        rows = presentation_order(trials, _of_subject(trials, subject))
        sessions = trials["session"].to_numpy(dtype=np.int64)[rows]
        position = np.concatenate(
            [np.arange(size) for size in np.unique(sessions, return_counts=True)[1]]
        )
        first = position < k
        _check_k(k, int(first.sum()), len(rows), name, per_session=True)
        splits.append(
            TrialSplit(name, corpus, (subject,), np.sort(rows[first]), np.sort(rows[~first]))
        )
    return splits


def leave_one_subject_out(
    trials: pd.DataFrame, *, subjects: Sequence[int] | None = None
) -> list[TrialSplit]:
    """All trials of all other subjects, then all trials of one.

    ::

        subject 1   [x x x x x x]  train
        subject 2   [x x x x x x]  train
        subject 3   [? ? ? ? ? ?]  test

    Parameters
    ----------
    trials : DataFrame
        Trials of one corpus.
    subjects : sequence of int, optional
        Test these subjects only; all others still train.

    Returns
    -------
    list of TrialSplit
        One per subject.

    Raises
    ------
    ProtocolError
        If there is only one subject.
    """
    everybody = _subjects(trials, None)
    if len(everybody) < 2:
        raise ProtocolError(
            f"leave-one-subject-out needs at least 2 subjects; {trials['corpus'].iloc[0]} has "
            f"{everybody}. Use 'within-subject' for a single subject."
        )
    splits = []
    for subject in _subjects(trials, subjects):
        corpus, name = _name(trials, subject)
        test = _of_subject(trials, subject)
        train = np.flatnonzero(trials["subject"].to_numpy() != subject).astype(np.int64)
        splits.append(TrialSplit(name, corpus, (subject,), train, test))
    return splits


def cross_session(
    trials: pd.DataFrame, *, subjects: Sequence[int] | None = None
) -> list[TrialSplit]:
    """A subject's earlier sessions, then each later one.

    ::

        subject 1   session 1 [x x x]  session 2 [? ? ?]
        subject 1   session 1 [x x x]  session 2 [x x x]  session 3 [? ? ?]

    Parameters
    ----------
    trials : DataFrame
        Trials of one corpus with at least two sessions.
    subjects : sequence of int, optional
        Build folds of these subjects only.

    Returns
    -------
    list of TrialSplit
        One per subject and session after the first.

    Raises
    ------
    ProtocolError
        If a subject has only one session.
    """
    splits = []
    session = trials["session"].to_numpy(dtype=np.int64)
    for subject in _subjects(trials, subjects):
        corpus, name = _name(trials, subject)
        rows = _of_subject(trials, subject)
        sessions = np.unique(session[rows])
        if len(sessions) < 2:
            raise ProtocolError(
                f"cross-session needs at least 2 sessions; {name} has only session "
                f"{int(sessions[0])} here."
            )
        for later in sessions[1:]:
            splits.append(
                TrialSplit(
                    f"{name}/session-{later}",
                    corpus,
                    (subject,),
                    rows[session[rows] < later],
                    rows[session[rows] == later],
                )
            )
    return splits


def zero_shot(
    source: pd.DataFrame, target: pd.DataFrame, *, subjects: Sequence[int] | None = None
) -> list[TrialSplit]:
    """All source trials, then all trials of each target subject.

    ::

        source, all subjects   [x x x x x x]  train
        target, subject 1      [? ? ? ? ? ?]  test
        target, subject 2      [? ? ? ? ? ?]  test

    Parameters
    ----------
    source, target : DataFrame
        Trials of the source corpora and of the target corpus.
    subjects : sequence of int, optional
        Test these target subjects only.

    Returns
    -------
    list of TrialSplit
        One per target subject; `train` holds positions in `source`.
    """
    train = np.arange(len(source), dtype=np.int64)
    return [
        TrialSplit(
            _name(target, subject)[1],
            _name(target, subject)[0],
            (subject,),
            train,
            _of_subject(target, subject),
        )
        for subject in _subjects(target, subjects)
    ]


def calibrated(
    source: pd.DataFrame,
    target: pd.DataFrame,
    k: int,
    *,
    subjects: Sequence[int] | None = None,
) -> list[TrialSplit]:
    """All source trials and the subject's first k, then the subject's remaining trials.

    ::

        source, all subjects   [x x x x x x x x x x x x x x x]  train
        target, subject 1      [c c c c c c c c c][? ? ? ? ? ?]
                                first k = 9        test

    Parameters
    ----------
    source, target : DataFrame
        Trials of the source corpora and of the target corpus.
    k : int
        Calibration trials: the first of the subject over all sessions given, never reordered.
    subjects : sequence of int, optional
        Test these target subjects only.

    Returns
    -------
    list of TrialSplit
        One per target subject; `train` holds positions in `source`.

    Raises
    ------
    ProtocolError
        If the order of presentation is not known, or k leaves nothing to test.
    """
    train = np.arange(len(source), dtype=np.int64)
    splits = []
    for subject in _subjects(target, subjects):
        corpus, name = _name(target, subject)
        rows = presentation_order(target, _of_subject(target, subject))
        _check_k(k, min(k, len(rows)), len(rows), name, per_session=False)
        splits.append(
            TrialSplit(
                name,
                corpus,
                (subject,),
                train,
                np.sort(rows[k:]),
                calibration=np.sort(rows[:k]),
            )
        )
    return splits


_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def own_split(words: pd.Series) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Read a column of a user's own words; windows, not trials, so that leaks stay visible.

    ::

        split   train train train validation test test
                [x    x     x]    [v]        [?   ?]

    Parameters
    ----------
    words : Series of str
        ``train``, ``validation`` (also ``val``, ``dev``), ``test`` or missing, per window.

    Returns
    -------
    rows : dict of str to ndarray of int64
        Positions for "train", "validation" and "test".
    n_unused : int
        Windows without a word.

    Raises
    ------
    ProtocolError
        If a word is not understood, or train or test is empty.
    """
    known = words.astype("str").str.strip().str.casefold()
    missing = words.isna().to_numpy()
    mapped = known.map(_WORDS)
    strange = [str(word) for word in pd.unique(known[mapped.isna().to_numpy() & ~missing])]
    if strange:
        raise ProtocolError(
            f"Column 'split' holds {', '.join(map(repr, strange))}; allowed are "
            f"{', '.join(map(repr, _WORDS))}, or nothing for windows that are not used."
        )
    rows = {
        role: np.flatnonzero((mapped == role).to_numpy(dtype=bool) & ~missing).astype(np.int64)
        for role in ("train", "validation", "test")
    }
    empty = [role for role in ("train", "test") if not len(rows[role])]
    if empty:
        raise ProtocolError(f"Column 'split' names no window {' and no window '.join(empty)}.")
    return rows, int(missing.sum())


def _check_k(k: int, n_first: int, n: int, name: str, *, per_session: bool) -> None:
    where = " in each session" if per_session else ""
    if k < 1:
        raise ProtocolError(f"The number of first trials must be at least 1; received {k}.")
    if n_first >= n:
        raise ProtocolError(
            f"{k} first trials{where} leave nothing to test: {name} has only {n} trials with a "
            "class in this class scheme. Choose a smaller calibration_trials."
        )
