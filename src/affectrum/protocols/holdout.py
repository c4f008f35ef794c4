"""Validation data: whole trials or whole subjects taken out of the training side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError
from affectrum.protocols.first_trials import presentation_order

__all__ = ["SHARE", "hold_out_subjects", "hold_out_trials"]

#: Share of the training side that is held out (at least one subject, or one trial a class).
SHARE = 0.2

Trials = NDArray[np.int64]


def hold_out_subjects(
    trials: pd.DataFrame, train: Trials, rng: np.random.Generator
) -> tuple[Trials, Trials]:
    """Hold out a fifth of the training subjects, at least one.

    ::

        source subject 1   [x x x x x x]  train
        source subject 2   [x x x x x x]  train
        source subject 3   [v v v v v v]  validation

    Parameters
    ----------
    trials : DataFrame
        Trials of the training side's corpora.
    train : ndarray of int64
        Training trials; positions in it.
    rng : Generator
        Chooses the subjects.

    Returns
    -------
    train, validation : ndarray of int64
        Disjoint parts of `train`.

    Raises
    ------
    ProtocolError
        If there is only one training subject.
    """
    part = trials.iloc[train]
    code = part.groupby(["corpus", "subject"], sort=True).ngroup().to_numpy()
    n = int(code.max()) + 1
    if n < 2:
        raise ProtocolError(
            "selection='validation' holds out subjects of the training side, which has only one. "
            "Use selection='last'."
        )
    held = np.isin(code, rng.permutation(n)[: max(1, round(SHARE * n))])
    return train[~held], train[held]


def hold_out_trials(
    trials: pd.DataFrame, y: NDArray[np.int64], train: Trials, name: str, role: str
) -> tuple[Trials, Trials]:
    """Hold out the last fifth of each class's training trials, at least one.

    ::

        a a b b a b a b a b   training trials of classes a and b, as presented
        x x x x x x x x v v   x train, v validation

    Parameters
    ----------
    trials : DataFrame
        Trials of the corpus.
    y : ndarray of int64
        Their classes.
    train : ndarray of int64
        Training (or calibration) trials; positions in `trials`.
    name, role : str
        The fold and the trials' role, for the message.

    Returns
    -------
    train, validation : ndarray of int64
        Disjoint parts of `train`.

    Raises
    ------
    ProtocolError
        If a class has only one trial.
    """
    ordered = presentation_order(trials, train)
    classes = y[ordered]
    held = np.zeros(len(ordered), dtype=bool)
    for value in np.unique(classes):
        mine = np.flatnonzero(classes == value)
        if len(mine) < 2:
            raise ProtocolError(
                f"selection='validation' holds out whole {role} trials, but fold {name} has only "
                f"{len(mine)} {role} trial of class number {int(value)}. Use selection='last' or "
                "more calibration_trials."
            )
        held[mine[-max(1, round(SHARE * len(mine))) :]] = True
    return np.sort(ordered[~held]), np.sort(ordered[held])
