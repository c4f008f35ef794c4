"""Learning curves, and what choosing the best epoch on the test set adds to a score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.evaluation.classification import COUNT_METRICS, metrics_from_confusion
from affectrum.evaluation.predictions import Predictions

__all__ = ["learning_curve", "optimism_gap"]


def learning_curve(
    predictions: Predictions,
    epoch_scores: NDArray[np.floating[Any]],
    metric: str = "balanced_accuracy",
) -> pd.DataFrame:
    """Score every subject after every epoch.

    Parameters
    ----------
    predictions : Predictions
        Of windows.
    epoch_scores : ndarray, shape (n_epochs, n, n_classes)
        Scores of the same windows after each epoch; NaN for epochs that a fold did not have.
    metric : str
        One of `COUNT_METRICS`.

    Returns
    -------
    DataFrame
        Index: epoch from 1; one column per (corpus, subject); NaN for epochs not run.

    Raises
    ------
    ConfigError
        If the shapes don't fit.
    """
    check_option("metric", metric, COUNT_METRICS)
    values = np.asarray(epoch_scores)
    n_classes = len(predictions.classes)
    if values.ndim != 3 or values.shape[1:] != (len(predictions), n_classes):
        raise ConfigError(
            f"epoch_scores has shape {values.shape}; expected (n_epochs, {len(predictions)}, "
            f"{n_classes})."
        )
    n_subjects = int(predictions.subject.max()) + 1
    shape = (n_subjects, n_classes, n_classes)
    curve = np.full((len(values), n_subjects), np.nan)
    for epoch, scores in enumerate(values):
        run = np.isfinite(scores).all(axis=1)
        guess = np.where(run[:, None], scores, 0).argmax(axis=1)
        cell = np.ravel_multi_index((predictions.subject, predictions.y_true, guess), shape)
        counts = np.bincount(cell[run], minlength=int(np.prod(shape))).reshape(shape)
        complete = np.bincount(predictions.subject[~run], minlength=n_subjects) == 0
        found = metrics_from_confusion(counts, (metric,))[metric]
        curve[epoch] = np.where(complete, found, np.nan)
    who = predictions.table[["corpus", "subject"]].assign(_n=predictions.subject)
    who = who.drop_duplicates("_n").sort_values("_n")
    columns = pd.MultiIndex.from_frame(who[["corpus", "subject"]])
    index = pd.RangeIndex(1, len(values) + 1, name="epoch")
    return pd.DataFrame(curve, index=index, columns=columns)


def optimism_gap(
    predictions: Predictions,
    epoch_scores: NDArray[np.floating[Any]],
    metric: str = "balanced_accuracy",
) -> pd.DataFrame:
    """Compare the last epoch with the best one on the test set.

    Parameters
    ----------
    predictions, epoch_scores, metric
        As in `learning_curve`.

    Returns
    -------
    DataFrame
        One row per subject: `corpus`, `subject`, `last`, `oracle` (best epoch on the test, which
        nobody has in practice), `oracle_epoch` (from 1) and `gap` (oracle - last, never negative).
    """
    curve = learning_curve(predictions, epoch_scores, metric)
    rows = []
    who = curve.columns.to_frame(index=False)
    for number in range(curve.shape[1]):
        values = curve.iloc[:, number].to_numpy(dtype=np.float64)
        run = np.flatnonzero(np.isfinite(values))
        if not len(run):
            continue
        best = int(run[values[run].argmax()])
        last = float(values[run[-1]])
        rows.append(
            {
                "corpus": str(who["corpus"].iloc[number]),
                "subject": int(who["subject"].iloc[number]),
                "last": last,
                "oracle": float(values[best]),
                "oracle_epoch": best + 1,
                "gap": float(values[best]) - last,
            }
        )
    return pd.DataFrame(
        rows, columns=["corpus", "subject", "last", "oracle", "oracle_epoch", "gap"]
    )
