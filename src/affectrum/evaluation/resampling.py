"""Drawing subjects and clips anew, each with replacement: what all crossed bootstraps share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectrum.evaluation.classification import metrics_from_confusion

__all__ = ["clip_strata", "draw_weights", "replicate_means"]

# Confusion matrices held at a time: 32 MB of float64.
_BLOCK_VALUES = 4_000_000


def clip_strata(confusions: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Clips by class where a clip belongs to one class; the others together."""
    by_class = confusions.sum(axis=(0, 3)) > 0
    pure = by_class.sum(axis=1) == 1
    key = np.where(pure, by_class.argmax(axis=1), -1)
    return [np.flatnonzero(key == value).astype(np.int64) for value in np.unique(key)]


def draw_weights(
    rng: np.random.Generator, strata: list[NDArray[np.int64]], n: int, n_replicates: int
) -> NDArray[np.float64]:
    """How often each of n units is drawn in each replicate, shape (n_replicates, n)."""
    weights = np.zeros((n_replicates, n))
    for members in strata:
        size = len(members)
        weights[:, members] = rng.multinomial(size, np.full(size, 1 / size), size=n_replicates)
    return weights


def replicate_means(
    confusions: NDArray[np.float64],
    metric: str,
    subject_weights: NDArray[np.float64],
    clip_weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean over subjects in each replicate.

    Parameters
    ----------
    confusions : ndarray, shape (n_subjects, n_clips, n_classes, n_classes)
        Counts; row: true class.
    metric : str
        One of `COUNT_METRICS`.
    subject_weights : ndarray, shape (n_replicates, n_subjects)
        How often each subject is drawn.
    clip_weights : ndarray, shape (n_replicates, n_clips)
        How often each clip is drawn.

    Returns
    -------
    ndarray of float64, shape (n_replicates,)
        Over the subjects whose metric is defined; NaN if there is none.
    """
    n_subjects, n_clips, n_classes = confusions.shape[:3]
    flat = np.ascontiguousarray(confusions.transpose(1, 0, 2, 3)).reshape(n_clips, -1)
    means = np.empty(len(clip_weights))
    block = max(1, _BLOCK_VALUES // flat.shape[1])
    for start in range(0, len(means), block):
        rows = slice(start, start + block)
        counts = (clip_weights[rows] @ flat).reshape(-1, n_subjects, n_classes, n_classes)
        values = metrics_from_confusion(counts, (metric,))[metric]
        defined = np.isfinite(values)
        weight = subject_weights[rows] * defined
        total = weight.sum(axis=1)
        summed = (weight * np.where(defined, values, 0.0)).sum(axis=1)
        means[rows] = np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)
    return means
