"""Prediction sets: all classes that can't be ruled out, with a promise about other people.

Windows of one person are alike, so a promise for a new person has to count people, not windows:
each person whose labels calibrate the sets weighs the same, however many windows they have.

References
----------
Lee, Barber, Willett, Distribution-free inference with hierarchical data, arXiv 2306.06342, 2023
(hierarchical conformal prediction). Sadinle, Lei, Wasserman, Least ambiguous set-valued
classifiers with bounded error levels, JASA 114, 2019, doi 10.1080/01621459.2017.1395341.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.evaluation.classification import check_scores
from affectrum.evaluation.predictions import Predictions

__all__ = [
    "ConformalSets",
    "conformal_across_subjects",
    "conformal_sets",
    "conformal_threshold",
    "describe_sets",
]


def conformal_threshold(
    scores: NDArray[np.floating[Any]],
    y_true: NDArray[np.integer[Any]],
    subject: NDArray[np.integer[Any]],
    *,
    coverage: float = 0.9,
) -> float:
    """How improbable a class may be and still stay in the set.

    Parameters
    ----------
    scores : ndarray, shape (n, n_classes)
        Class probabilities of windows that trained no weights.
    y_true : ndarray of int, shape (n,)
        Their classes.
    subject : ndarray of int, shape (n,)
        Whose windows they are.
    coverage : float
        Promise: the chance that the set of a random window of a new person, drawn like these,
        holds the true class.

    Returns
    -------
    float
        A class stays if 1 - probability is at most this; infinite (every class stays) where there
        are too few people for the promise: it takes at least coverage / (1 - coverage).

    Raises
    ------
    ConfigError
        If shapes don't fit or the coverage is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage must lie between 0 and 1; received {coverage}.")
    values = np.asarray(scores)
    truth, values = check_scores(y_true, values, values.shape[-1])
    who = np.unique(np.asarray(subject), return_inverse=True)[1]
    if who.shape != truth.shape or not len(truth):
        raise ConfigError(
            f"subject has shape {np.shape(subject)}; expected one number for each of "
            f"{len(truth)} windows, at least one."
        )
    strange = 1.0 - values[np.arange(len(truth)), truth]
    n_subjects = int(who.max()) + 1
    # Each person has weight 1 / (n + 1), spread over their windows; the new one stands at infinity.
    weight = 1.0 / ((n_subjects + 1) * np.bincount(who)[who])
    order = np.argsort(strange, kind="stable")
    reached = np.cumsum(weight[order])
    place = int(np.searchsorted(reached, coverage - 1e-12))
    return float(strange[order[place]]) if place < len(order) else float("inf")


def conformal_sets(scores: NDArray[np.floating[Any]], threshold: float) -> NDArray[np.bool_]:
    """Return which classes stay in each window's set.

    Parameters
    ----------
    scores : ndarray, shape (n, n_classes)
        Class probabilities.
    threshold : float
        From `conformal_threshold`.

    Returns
    -------
    ndarray of bool, shape (n, n_classes)
        A set may be empty: no class is probable enough.
    """
    return np.asarray(1.0 - np.asarray(scores, dtype=np.float64) <= threshold + 1e-12)


@dataclass(frozen=True)
class ConformalSets:
    """Prediction sets of one cell and what they hold.

    Attributes
    ----------
    sets : ndarray of bool, shape (n, n_classes)
        In the order of the rows.
    subjects : DataFrame
        One row per subject: `corpus`, `subject`, `coverage` (share of sets that hold the truth),
        `size` (mean number of classes), `threshold` (the largest of its folds), `n` (rows).
    coverage : float
        What was promised for a random window of a new person.
    calibrated_on : str
        Whose labels set the threshold, in words.
    """

    sets: NDArray[np.bool_]
    subjects: pd.DataFrame
    coverage: float
    calibrated_on: str


def conformal_across_subjects(
    predictions: Predictions, *, coverage: float = 0.9, level: str = "window"
) -> ConformalSets:
    """Sets of each test subject, calibrated on the labels of the other test subjects.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.
    coverage : float
        Promise for a random window of a new person.
    level : {"window", "trial"}
        What gets a set.

    Returns
    -------
    ConformalSets

    Raises
    ------
    ConfigError
        If there are fewer than two subjects.

    Notes
    -----
    This answers "how large would honest sets be, and for whom would they fail?" It uses labels of
    other people of the target corpus, which the protocol did not grant, and so never enters a
    score. The promise is over people; for one person the share may lie far below it, which the
    table shows. It also takes people as exchangeable, though they share clips.
    """
    rows = predictions.at(level)
    n_subjects = int(rows.subject.max()) + 1
    if n_subjects < 2:
        raise ConfigError(
            "Sets calibrated on other test subjects need at least two of them; received "
            f"{n_subjects}."
        )
    scores = np.asarray(rows.scores, dtype=np.float64)
    sets = np.zeros(scores.shape, dtype=bool)
    thresholds = np.zeros(len(scores))
    for number in range(n_subjects):
        mine = rows.subject == number
        thresholds[mine] = conformal_threshold(
            scores[~mine], rows.y_true[~mine], rows.subject[~mine], coverage=coverage
        )
        sets[mine] = conformal_sets(scores[mine], float(thresholds[mine][0]))
    table = describe_sets(rows, sets, thresholds)
    return ConformalSets(sets, table, coverage, "the other test subjects")


def describe_sets(
    rows: Predictions, sets: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> pd.DataFrame:
    """Say what the sets of each subject hold.

    Parameters
    ----------
    rows : Predictions
        n rows.
    sets : ndarray of bool, shape (n, n_classes)
        Which classes stay.
    thresholds : ndarray, shape (n,)
        What each row's set was made with.

    Returns
    -------
    DataFrame
        ``ConformalSets.subjects``.
    """
    held = sets[np.arange(len(rows)), rows.y_true]
    table = pd.DataFrame(
        {
            "corpus": rows.table["corpus"].astype(str).to_numpy(),
            "subject": rows.table["subject"].to_numpy(dtype=np.int64),
            "coverage": held.astype(np.float64),
            "size": sets.sum(axis=1).astype(np.float64),
            "threshold": thresholds,
            "n": 1,
        }
    )
    whole = table.groupby(["corpus", "subject"], as_index=False)
    return whole.agg({"coverage": "mean", "size": "mean", "threshold": "max", "n": "sum"})
