"""What labelled trials of the training side, held out from training, tell about test scores.

Where a protocol holds out whole trials (selection by validation), the record stores each fold's
scores of them. They set a temperature, and the threshold of prediction sets, without a test label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.evaluation.classification import check_scores
from affectrum.evaluation.conformal import (
    ConformalSets,
    conformal_sets,
    conformal_threshold,
    describe_sets,
)
from affectrum.evaluation.predictions import Predictions
from affectrum.evaluation.reliability import calibration

__all__ = ["HeldOut", "Tempered", "conformal_held_out", "temper"]

# SD of the logarithm of temperatures that are to be expected.
_PRIOR_SD = 0.7


@dataclass(frozen=True)
class HeldOut:
    """Scores of held-out windows of the training side.

    Attributes
    ----------
    scores : ndarray, shape (n, n_classes)
        Class probabilities.
    y_true : ndarray of int64, shape (n,)
        Classes.
    fold : ndarray of int64, shape (n,)
        Which fold's model made them.
    trial : ndarray of int64, shape (n,)
        Trial of each row, numbered over all folds.
    subject : ndarray of int64, shape (n,)
        Person of each row, numbered over all folds.
    """

    scores: NDArray[np.floating[Any]]
    y_true: NDArray[np.int64]
    fold: NDArray[np.int64]
    trial: NDArray[np.int64]
    subject: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_scores(self.y_true, self.scores, np.asarray(self.scores).shape[-1])
        sizes = {len(self.y_true), len(self.fold), len(self.trial), len(self.subject)}
        if len(sizes) != 1:
            raise ConfigError(
                f"Held-out scores, folds, trials and people differ in length: {sizes}."
            )

    def groups(self, rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], str]:
        """What counts as one among some rows: a person, or a trial where there is one person."""
        people = self.subject[rows]
        if len(np.unique(people)) > 1:
            return people, "held-out subjects of the training side"
        return self.trial[rows], "held-out trials of the training side"


@dataclass(frozen=True)
class Tempered:
    """Test scores after temperature scaling.

    Attributes
    ----------
    predictions : Predictions
        With scaled probabilities; the most probable class of each row is the same.
    temperatures : DataFrame
        One row per fold: `fold`, `temperature`, `n_rows`, `n_trials` (what it was fitted on).
    before, after : dict of str to float
        ``ece``, ``brier``, ``nll`` of the test.
    """

    predictions: Predictions
    temperatures: pd.DataFrame
    before: dict[str, float]
    after: dict[str, float]


def _folds(predictions: Predictions, held: HeldOut) -> NDArray[np.int64]:
    if predictions.level != "window" or "fold" not in predictions.table:
        raise ConfigError("This needs predictions of windows whose table has the column 'fold'.")
    fold = predictions.table["fold"].to_numpy(dtype=np.int64)
    missing = sorted(set(fold.tolist()) - set(held.fold.tolist()))
    if missing:
        raise ConfigError(f"Nothing was held out in folds {', '.join(map(str, missing))}.")
    return fold


def temper(predictions: Predictions, held: HeldOut) -> Tempered:
    """Divide each fold's log probabilities by a temperature fitted on its held-out windows.

    Parameters
    ----------
    predictions : Predictions
        Of windows, with the column `fold`.
    held : HeldOut
        Of every one of these folds.

    Returns
    -------
    Tempered

    Raises
    ------
    ConfigError
        If a fold has nothing held out.

    Notes
    -----
    Every held-out trial counts once. A few trials fix a temperature only roughly, so its logarithm
    is pulled towards 0 as by a normal prior with SD 0.7 (temperatures of 0.25 to 4). Under
    selection by validation the same trials chose the epoch, which makes them look a little better
    than new ones.
    """
    from affectrum.scaling import TemperatureScaling

    fold = _folds(predictions, held)
    scores = np.array(predictions.scores, dtype=np.float64)
    rows = []
    for number in np.unique(fold):
        mine = held.fold == number
        scaling = TemperatureScaling().fit(
            held.scores[mine],
            held.y_true[mine],
            role="validation",
            trial=held.trial[mine],
            prior_sd=_PRIOR_SD,
        )
        scores[fold == number] = scaling.transform(scores[fold == number])
        rows.append(
            {
                "fold": int(number),
                "temperature": scaling.temperature_,
                "n_rows": scaling.n_rows_,
                "n_trials": len(np.unique(held.trial[mine])),
            }
        )
    scaled = replace(predictions, scores=scores)
    return Tempered(
        predictions=scaled,
        temperatures=pd.DataFrame(rows),
        before=calibration(predictions.y_true, predictions.scores),
        after=calibration(scaled.y_true, scaled.scores),
    )


def conformal_held_out(
    predictions: Predictions, held: HeldOut, *, coverage: float = 0.9
) -> ConformalSets:
    """Sets of each test window, calibrated on its fold's held-out windows.

    Parameters
    ----------
    predictions : Predictions
        Of windows, with the column `fold`.
    held : HeldOut
        Of every one of these folds.
    coverage : float
        Promise for a random window of a new person (or trial, where one person was held out)
        drawn like the held-out ones. Test people of another corpus are not: the table shows what
        the promise is worth there.

    Returns
    -------
    ConformalSets

    Raises
    ------
    ConfigError
        If a fold has nothing held out.
    """
    fold = _folds(predictions, held)
    scores = np.asarray(predictions.scores, dtype=np.float64)
    sets = np.zeros(scores.shape, dtype=bool)
    thresholds = np.zeros(len(scores))
    on = ""
    for number in np.unique(fold):
        mine = held.fold == number
        groups, on = held.groups(mine)
        threshold = conformal_threshold(
            held.scores[mine], held.y_true[mine], groups, coverage=coverage
        )
        rows = fold == number
        sets[rows] = conformal_sets(scores[rows], threshold)
        thresholds[rows] = threshold
    table = describe_sets(predictions, sets, thresholds)
    return ConformalSets(sets, table, coverage, on)
