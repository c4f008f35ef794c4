"""The stimulus-disjoint modifier: nothing of one clip, film or series in training and test.

With shared clips a model can recognise the clip instead of the emotion, so a score that holds up
when the stimuli differ says more. Training trials are dropped, test trials never are, so that
scores with and without the modifier are about the same test.

Where the identity of a stimulus is not known, the modifier refuses: disjointness can't be claimed
of what nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError, check_option
from affectrum.protocols.catalogue import STIMULUS_LEVELS

__all__ = [
    "MAX_GROUPS",
    "NothingLeft",
    "drop_shared",
    "keep_others",
    "matched_drop",
    "stimulus_groups",
    "units",
]

#: Stimuli that all subjects share are held out in at most this many groups, one after the other.
MAX_GROUPS = 5


class NothingLeft(ProtocolError):
    """Dropping the tested stimuli would leave a class, or a whole side, without a trial."""


def units(trials: pd.DataFrame, level: str) -> NDArray[np.str_]:
    """Return the stimulus of each trial at a level.

    Raises
    ------
    ProtocolError
        If the level is unknown, or the stimulus of a trial is; names the corpora.
    """
    check_option("stimulus_disjoint", level, STIMULUS_LEVELS, ProtocolError)
    missing = trials[level].isna().to_numpy()
    if missing.any():
        counts = trials.loc[missing, "corpus"].value_counts(sort=False)
        where = ", ".join(f"{count} of {corpus}" for corpus, count in counts.items())
        known = [name for name in STIMULUS_LEVELS if trials[name].notna().all()]
        instead = f" Known for every trial here: {', '.join(known)}." if known else ""
        raise ProtocolError(
            f"stimulus_disjoint={level!r} needs the {level} of every trial, which is not known "
            f"for {int(missing.sum())} trials ({where}). Fill the column {level!r} (the catalog's "
            f"facts take films by `with_films`), or choose another level.{instead}"
        )
    return trials[level].to_numpy(dtype=np.str_)


def stimulus_groups(
    names: NDArray[np.str_], y: NDArray[np.int64], classes: Sequence[str], level: str, corpus: str
) -> list[tuple[str, ...]]:
    """Divide stimuli into groups that are held out in turn, each with every class if possible.

    Parameters
    ----------
    names : ndarray of str, shape (n_trials,)
        Stimulus of each trial.
    y : ndarray of int64, shape (n_trials,)
        Class of each trial.
    classes : sequence of str
        Class names.
    level, corpus : str
        For the message.

    Returns
    -------
    list of tuple of str
        At least two groups; every stimulus is in exactly one.

    Raises
    ------
    ProtocolError
        If a class has a single stimulus, so that it can't be both trained and tested.
    """
    n_classes = len(classes)
    distinct, code = np.unique(names, return_inverse=True)
    counts = np.zeros((len(distinct), n_classes), dtype=np.int64)
    np.add.at(counts, (code, y), 1)
    present = np.flatnonzero(counts.sum(axis=0))
    stimuli_of_class = (counts > 0).sum(axis=0)
    for index in map(int, present):
        if stimuli_of_class[index] < 2:
            only = distinct[np.argmax(counts[:, index] > 0)]
            raise ProtocolError(
                f"A {level}-disjoint split of {corpus} does not exist: every trial of class "
                f"{classes[index]!r} belongs to one {level} ({only}), which can't be in training "
                f"and test at once. Use a narrower level ({_narrower(level)}) or other classes."
            )
    n_groups = int(min(MAX_GROUPS, stimuli_of_class[present].min()))
    # Stimuli of one class after the other, large ones first, each to a group that has fewest
    # stimuli of the class and among those fewest trials: every group gets its share of each class.
    majority = counts.argmax(axis=1)
    sizes = counts.sum(axis=1)
    group = np.empty(len(distinct), dtype=np.int64)
    trials_in_group = np.zeros(n_groups, dtype=np.int64)
    for index in range(n_classes):
        own = np.flatnonzero(majority == index)
        stimuli_in_group = np.zeros(n_groups, dtype=np.int64)
        for stimulus in own[np.lexsort((distinct[own], -sizes[own]))]:
            number = int(np.lexsort((trials_in_group, stimuli_in_group))[0])
            group[stimulus] = number
            stimuli_in_group[number] += 1
            trials_in_group[number] += sizes[stimulus]
    return [
        tuple(str(name) for name in distinct[group == number])
        for number in range(n_groups)
        if (group == number).any()
    ]


def _narrower(level: str) -> str:
    position = STIMULUS_LEVELS.index(level)
    return " or ".join(STIMULUS_LEVELS[:position]) or "there is none"


def drop_shared(
    train: pd.DataFrame,
    y_train: NDArray[np.int64],
    test: pd.DataFrame,
    level: str,
    classes: Sequence[str],
    role: str,
) -> NDArray[np.bool_]:
    """Tell which training trials share no stimulus with the test.

    Parameters
    ----------
    train : DataFrame
        Trials of the training side or of calibration.
    y_train : ndarray of int64
        Class of each of them; negative ones are not counted.
    test : DataFrame
        Trials of the test.
    level : {"clip", "film", "series"}
        The level.
    classes : sequence of str
        Names of the training trials' classes.
    role : str
        "training" or "calibration", for the message.

    Returns
    -------
    ndarray of bool, shape (n_train,)
        True for trials to keep.

    Raises
    ------
    NothingLeft
        If a class would have no training trial left; says why.
    """
    return keep_others(train, y_train, units(test, level), level, classes, role)


def keep_others(
    train: pd.DataFrame,
    y_train: NDArray[np.int64],
    held_out: NDArray[np.str_],
    level: str,
    classes: Sequence[str],
    role: str,
) -> NDArray[np.bool_]:
    """Tell which training trials show none of some stimuli.

    Parameters
    ----------
    train, y_train
        As in `drop_shared`.
    held_out : ndarray of str
        Stimuli.
    level, classes, role
        As in `drop_shared`.

    Returns
    -------
    ndarray of bool, shape (n_train,)
        True for trials to keep.

    Raises
    ------
    NothingLeft
        If a class would have no training trial left, or no trial at all were left.
    """
    in_train = units(train, level)
    keep = ~np.isin(in_train, held_out)
    before = {int(value) for value in np.unique(y_train[y_train >= 0])}
    after = {int(value) for value in np.unique(y_train[keep & (y_train >= 0)])}
    lost = sorted(before - after)
    if lost or not keep.any():
        reasons = []
        for index in lost:
            shared = sorted({str(name) for name in in_train[y_train == index]})
            reasons.append(
                f"every {role} trial of class {classes[index]!r} shares its {level} with the test "
                f"({', '.join(shared)})"
            )
        corpora = " and ".join(str(name) for name in pd.unique(train["corpus"]))
        raise NothingLeft(
            f"stimulus_disjoint={level!r} is impossible here: "
            + ("; ".join(reasons) or f"every {role} trial shares its {level} with the test")
            + f" ({corpora}). Use a narrower level ({_narrower(level)}), other classes, or "
            "'leave-one-subject-out', which holds stimuli out group by group."
        )
    return keep


def matched_drop(
    trials: pd.DataFrame,
    y: NDArray[np.int64],
    dropped: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Choose as many trials to drop as `dropped`, whatever their stimulus: the control.

    The numbers agree within each corpus, subject, session and class, so that a score that falls
    more under the modifier than under this control did not fall for want of training data.

    Parameters
    ----------
    trials : DataFrame
        Training trials.
    y : ndarray of int64
        Their classes.
    dropped : ndarray of bool
        What the modifier drops.
    rng : Generator
        Source of chance.

    Returns
    -------
    ndarray of bool
        Trials to drop instead.
    """
    keys = trials[["corpus", "subject", "session"]].assign(_class=y)
    code = keys.groupby(["corpus", "subject", "session", "_class"], sort=False).ngroup().to_numpy()
    out = np.zeros(len(trials), dtype=bool)
    for number in range(int(code.max()) + 1 if len(code) else 0):
        members = np.flatnonzero(code == number)
        count = int(dropped[members].sum())
        if count:
            out[rng.permutation(members)[:count]] = True
    return out
