"""A subject's first trials: their order, their number, and what is left to test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError

__all__ = ["check_k", "default_calibration_trials", "first_and_rest", "presentation_order"]

Trials = NDArray[np.int64]

# First trials that train (within-subject) or calibrate, of all trials of a session. SEED: 9 of 15
# (SCMM's folder `9_trials`; usual split of the field); SEED-IV: 12 of 24, because both halves then
# hold every class in every session, 16/8 does not; DEAP: 16 of 40 (this project's choice: the
# published number is not known).
_CALIBRATION_TRIALS = {"SEED": (9, 15), "SEED-IV": (12, 24), "DEAP": (16, 40)}
# Within-subject training wants more than a calibration where nothing is published: DEAP as SEED,
# three of five.
_TRAINING_TRIALS = {**_CALIBRATION_TRIALS, "DEAP": (24, 40)}


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


def first_and_rest(
    trials: pd.DataFrame, rows: Trials, k: int, test_after: int | None, name: str
) -> tuple[Trials, Trials, tuple[str, ...]]:
    """Divide a subject's trials into the first k, and those to test.

    Parameters
    ----------
    trials : DataFrame
        The table of trials.
    rows : ndarray of int64
        Positions of the subject's trials in it.
    k : int
        How many first trials.
    test_after : int or None
        Test what comes after this many; k if None.
    name : str
        The fold, for messages.

    Returns
    -------
    first, tested : ndarray of int64
        Positions, ascending.
    notes : tuple of str
        What to say about the trials between the two.

    Raises
    ------
    ProtocolError
        If the order is not known, nothing is left to test, or `test_after` is smaller than k.
    """
    rows = presentation_order(trials, rows)
    start = k if test_after is None else test_after
    if start < k:
        raise ProtocolError(
            f"test_after={test_after} would test trials that calibrate: it must be at least the "
            f"number of calibration trials, {k}."
        )
    check_k(k, min(start, len(rows)), len(rows), name, per_session=False)
    between = start - k
    notes = (
        (f"{between} trials between the first {k} and the test are not used",) if between else ()
    )
    return np.sort(rows[:k]), np.sort(rows[start:]), notes


def check_k(k: int, n_first: int, n: int, name: str, *, per_session: bool) -> None:
    """Refuse a number of first trials that leaves nothing to test.

    Raises
    ------
    ProtocolError
        If k is below 1, or `n_first` trials are all `n` that the fold `name` has.
    """
    where = " in each session" if per_session else ""
    if k < 1:
        raise ProtocolError(f"The number of first trials must be at least 1; received {k}.")
    if n_first >= n:
        raise ProtocolError(
            f"{k} first trials{where} leave nothing to test: {name} has only {n} trials with a "
            "class in this class scheme. Choose a smaller calibration_trials."
        )
