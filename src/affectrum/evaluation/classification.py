"""Classification metrics, computed once over all windows, never averaged over batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError

__all__ = [
    "COUNT_METRICS",
    "METRICS",
    "auroc",
    "confusion_matrix",
    "metrics",
    "metrics_from_confusion",
]

#: Metrics that follow from a confusion matrix.
COUNT_METRICS: tuple[str, ...] = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "weighted_f1",
    "kappa",
)
#: All metrics.
METRICS: tuple[str, ...] = (*COUNT_METRICS, "auroc")


def confusion_matrix(
    y_true: NDArray[np.integer[Any]], y_pred: NDArray[np.integer[Any]], n_classes: int
) -> NDArray[np.int64]:
    """Count windows by true and predicted class.

    Parameters
    ----------
    y_true, y_pred : ndarray of int, shape (n,)
        Class indices.
    n_classes : int
        Number of classes of the task.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)
        Row: true class; column: predicted class.
    """
    cell = np.asarray(y_true, dtype=np.int64) * n_classes + np.asarray(y_pred, dtype=np.int64)
    counts = np.bincount(cell, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def metrics_from_confusion(
    confusion: NDArray[Any], names: Sequence[str] = COUNT_METRICS
) -> dict[str, NDArray[np.float64]]:
    """Compute metrics of one or many confusion matrices.

    Parameters
    ----------
    confusion : ndarray, shape (..., n_classes, n_classes)
        Counts (or weighted counts); row: true class.
    names : sequence of str
        Some of `COUNT_METRICS`.

    Returns
    -------
    dict of str to ndarray of float64, shape (...)
        NaN where a metric is not defined (no windows; for kappa, one class everywhere).

    Notes
    -----
    Balanced accuracy is the mean recall over the classes that occur in the truth. Macro F1 is over
    the classes that occur in truth or prediction. Both as in scikit-learn.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    truth, guess = counts.sum(axis=-1), counts.sum(axis=-2)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    total = truth.sum(axis=-1)
    out: dict[str, NDArray[np.float64]] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        if "accuracy" in names:
            out["accuracy"] = hits.sum(axis=-1) / total
        if "balanced_accuracy" in names:
            present = truth > 0
            recall = np.where(present, hits / np.where(present, truth, 1.0), 0.0)
            out["balanced_accuracy"] = recall.sum(axis=-1) / present.sum(axis=-1)
        if "macro_f1" in names or "weighted_f1" in names:
            either = truth + guess
            f1 = np.where(either > 0, 2 * hits / np.where(either > 0, either, 1.0), 0.0)
            if "macro_f1" in names:
                out["macro_f1"] = f1.sum(axis=-1) / (either > 0).sum(axis=-1)
            if "weighted_f1" in names:
                out["weighted_f1"] = (f1 * truth).sum(axis=-1) / total
        if "kappa" in names:
            observed = hits.sum(axis=-1) / total
            expected = (truth * guess).sum(axis=-1) / total**2
            out["kappa"] = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return {name: np.asarray(out[name]) for name in names}


def auroc(y_true: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]]) -> float:
    """Area under the ROC curve, one class against the rest, averaged over classes.

    Parameters
    ----------
    y_true : ndarray of int, shape (n,)
        Class indices.
    scores : ndarray, shape (n, n_classes)
        Class scores.

    Returns
    -------
    float
        Mean over the classes that have windows inside and outside; NaN if there is none. With
        two classes it is the area for the second one.
    """
    from scipy.stats import rankdata

    truth = np.asarray(y_true, dtype=np.int64)
    values = np.asarray(scores, dtype=np.float64)
    n_classes = values.shape[1]
    areas = []
    for index in (1,) if n_classes == 2 else range(n_classes):
        inside = truth == index
        n_in, n_out = int(inside.sum()), int((~inside).sum())
        if n_in and n_out:
            # Mann-Whitney: mean ranks count ties as one half.
            ranks = rankdata(values[:, index])
            areas.append((ranks[inside].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))
    return float(np.mean(areas)) if areas else float("nan")


def metrics(
    y_true: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], classes: Sequence[str]
) -> dict[str, float]:
    """Compute every metric over all windows given.

    Parameters
    ----------
    y_true : ndarray of int, shape (n,)
        Class indices, 0..n_classes-1.
    scores : ndarray, shape (n, n_classes)
        Class scores; the largest one is the prediction (the first, if several are equal).
    classes : sequence of str
        Class names.

    Returns
    -------
    dict of str to float
        One value for each of `METRICS`; NaN where it is not defined.

    Raises
    ------
    ConfigError
        If shapes don't fit, labels are not class indices, or scores are not finite.

    See Also
    --------
    affectrum.evaluation.score_predictions : The same for each subject of a cell.
    """
    truth, values = check_scores(y_true, scores, len(classes))
    counts = confusion_matrix(truth, values.argmax(axis=1), len(classes))
    out = {name: float(value) for name, value in metrics_from_confusion(counts).items()}
    out["auroc"] = auroc(truth, values)
    return out


def check_scores(
    y_true: NDArray[Any], scores: NDArray[Any], n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and scores in the types used here, or raise ConfigError."""
    truth = np.asarray(y_true)
    values = np.asarray(scores, dtype=np.float64)
    faults = []
    if values.ndim != 2 or values.shape[1] != n_classes:
        faults.append(f"scores have shape {values.shape}; expected (n, {n_classes})")
    if truth.shape != values.shape[:1]:
        faults.append(f"y_true has shape {truth.shape}; expected ({values.shape[0]},)")
    elif truth.size and (truth.min() < 0 or truth.max() >= n_classes):
        faults.append(
            f"y_true reaches from {truth.min()} to {truth.max()}; expected 0 to {n_classes - 1}"
        )
    if not np.isfinite(values).all():
        faults.append(f"{int((~np.isfinite(values)).sum())} scores are NaN or Inf")
    if faults:
        raise ConfigError("These predictions can't be scored: " + "; ".join(faults) + ".")
    return truth.astype(np.int64), values
