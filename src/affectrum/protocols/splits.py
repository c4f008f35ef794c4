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
from affectrum.protocols.first_trials import check_k, first_and_rest, presentation_order

__all__ = [
    "TrialSplit",
    "calibrated",
    "cross_session",
    "few_shot",
    "leave_one_subject_out",
    "within_subject",
    "zero_shot",
]

Trials = NDArray[np.int64]


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
    unlabelled : ndarray of int64
        Trials whose signals are granted without labels; positions in the table of all trials of
        the target, those that the class scheme drops included.
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
    unlabelled: Trials = field(default_factory=_none)
    notes: tuple[str, ...] = ()


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


def _others(trials: pd.DataFrame, protocol: str) -> None:
    """Refuse a corpus without other subjects to learn from."""
    everybody = _subjects(trials, None)
    if len(everybody) < 2:
        raise ProtocolError(
            f"{protocol} needs at least 2 subjects; {trials['corpus'].iloc[0]} has {everybody}. "
            "Use 'within-subject' for a single subject."
        )


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
        check_k(k, int(first.sum()), len(rows), name, per_session=True)
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
    _others(trials, "leave-one-subject-out")
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
    test_after: int | None = None,
    subjects: Sequence[int] | None = None,
) -> list[TrialSplit]:
    """All source trials and the subject's first k, then the subject's remaining trials.

    ::

        source, all subjects   [x x x x x x x x x x x x x x x]  train
        target, subject 1      [c c c c c c c c c][? ? ? ? ? ?]
                                first k = 9        test

        k = 3, test_after = 9  [c c c . . . . . .][? ? ? ? ? ?]  the same test for each k

    Parameters
    ----------
    source, target : DataFrame
        Trials of the source corpora and of the target corpus.
    k : int
        Calibration trials: the first of the subject over all sessions given, never reordered.
    test_after : int, optional
        Test what comes after this many first trials, at least k; those between are not used.
    subjects : sequence of int, optional
        Test these target subjects only.

    Returns
    -------
    list of TrialSplit
        One per target subject; `train` holds positions in `source`.

    Raises
    ------
    ProtocolError
        If the order of presentation is not known, k leaves nothing to test, or `test_after` is
        smaller than k.
    """
    train = np.arange(len(source), dtype=np.int64)
    splits = []
    for subject in _subjects(target, subjects):
        corpus, name = _name(target, subject)
        rows, tested, notes = first_and_rest(
            target, _of_subject(target, subject), k, test_after, name
        )
        splits.append(
            TrialSplit(name, corpus, (subject,), train, tested, calibration=rows, notes=notes)
        )
    return splits


def few_shot(
    target: pd.DataFrame,
    k: int,
    *,
    test_after: int | None = None,
    subjects: Sequence[int] | None = None,
) -> list[TrialSplit]:
    """All other subjects, and the subject's first k trials, from which shots are drawn.

    ::

        subject 1   [x x x x x x x x x x x x x x x]  train
        subject 2   [x x x x x x x x x x x x x x x]  train
        subject 3   [c c c c c c c c c][? ? ? ? ? ?]
                     K windows a class  test

    With a source corpus in place of the other subjects this is `calibrated`; which windows of the
    first k trials are shown is chosen by `draw_shots`.

    Parameters
    ----------
    target : DataFrame
        Trials of one corpus.
    k, test_after, subjects
        As in `calibrated`.

    Returns
    -------
    list of TrialSplit
        One per subject.

    Raises
    ------
    ProtocolError
        As `calibrated`, or if there is only one subject.
    """
    _others(target, "few-shot without a source corpus")
    splits = []
    for subject in _subjects(target, subjects):
        corpus, name = _name(target, subject)
        rows, tested, notes = first_and_rest(
            target, _of_subject(target, subject), k, test_after, name
        )
        train = np.flatnonzero(target["subject"].to_numpy() != subject).astype(np.int64)
        splits.append(
            TrialSplit(name, corpus, (subject,), train, tested, calibration=rows, notes=notes)
        )
    return splits
