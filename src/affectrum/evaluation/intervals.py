"""Intervals for a mean over subjects who all saw the same clips.

Two subjects who watched one clip share whatever is special about it, so resampling subjects alone
makes intervals too short. The crossed ("pigeonhole") bootstrap resamples subjects and clips, each
with replacement and independently, and weights every (subject, clip) cell by the product.

References
----------
Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1(2), 2007, doi 10.1214/07-AOAS122:
the resulting variance is somewhat too large rather than too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.evaluation.classification import COUNT_METRICS, metrics_from_confusion
from affectrum.evaluation.predictions import Predictions

__all__ = ["Interval", "crossed_bootstrap", "crossed_confusions"]

# Confusion matrices held at a time: 32 MB of float64.
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A value with its interval.

    Attributes
    ----------
    value : float
        The mean over subjects.
    low, high : float
        Ends of the interval.
    level : float
        For example 0.95.
    n_subjects, n_clips : int
        How many of each were resampled.
    """

    value: float
    low: float
    high: float
    level: float
    n_subjects: int
    n_clips: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def crossed_confusions(predictions: Predictions, level: str = "window") -> NDArray[np.float64]:
    """Count true and predicted classes for each subject and clip.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.
    level : {"window", "trial"}
        What is counted.

    Returns
    -------
    ndarray of float64, shape (n_subjects, n_clips, n_classes, n_classes)
        Subjects and clips in sorted order.
    """
    rows = predictions.at(level)
    n_classes = len(rows.classes)
    shape = (int(rows.subject.max()) + 1, int(rows.clip.max()) + 1, n_classes, n_classes)
    cell = np.ravel_multi_index((rows.subject, rows.clip, rows.y_true, rows.y_pred), shape)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def crossed_bootstrap(
    confusions: NDArray[np.float64] | Sequence[NDArray[np.float64]],
    metric: str = "balanced_accuracy",
    *,
    n_replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a metric's mean over subjects, or of the difference between two methods.

    Parameters
    ----------
    confusions : ndarray, shape (n_subjects, n_clips, n_classes, n_classes), or two of them
        From `crossed_confusions`. Two arrays of one shape (the same subjects and clips) give the
        interval of the first's mean minus the second's.
    metric : str
        One of `COUNT_METRICS`.
    n_replicates : int
        Bootstrap replicates.
    level : float
        Coverage.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Interval
        Percentile interval around the observed mean.

    Raises
    ------
    ConfigError
        If shapes differ or the metric is unknown.

    Notes
    -----
    Clips whose trials are all of one class are resampled within their class, since the numbers of
    clips per class are fixed by the experiment. A subject whose resampled clips hold nothing is
    left out of that replicate.
    """
    check_option("metric", metric, COUNT_METRICS)
    parts = [confusions] if isinstance(confusions, np.ndarray) else list(confusions)
    shapes = [part.shape for part in parts]
    if len(parts) > 2 or any(shape != shapes[0] for shape in shapes) or len(shapes[0]) != 4:
        raise ConfigError(
            f"Expected one or two arrays of shape (n_subjects, n_clips, n_classes, n_classes); "
            f"received {shapes}. Two methods must be compared on the same subjects and clips."
        )
    n_subjects, n_clips = shapes[0][:2]
    rng = np.random.default_rng(seed)
    subject_weights = _weights(rng, [np.arange(n_subjects)], n_subjects, n_replicates)
    clip_weights = _weights(rng, _strata(parts[0]), n_clips, n_replicates)
    replicates = np.zeros(n_replicates)
    value = 0.0
    for sign, part in zip((1.0, -1.0), parts, strict=False):
        whole = metrics_from_confusion(part.sum(axis=1), (metric,))[metric]
        value += sign * float(np.nanmean(whole)) if np.isfinite(whole).any() else np.nan
        replicates += sign * _replicate_means(part, metric, subject_weights, clip_weights)
    usable = replicates[np.isfinite(replicates)]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(usable, [tail, 100 - tail]) if len(usable) else (np.nan, np.nan)
    return Interval(value, float(low), float(high), level, n_subjects, n_clips)


def _strata(confusions: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Clips by class where a clip belongs to one class; the others together."""
    by_class = confusions.sum(axis=(0, 3)) > 0
    pure = by_class.sum(axis=1) == 1
    key = np.where(pure, by_class.argmax(axis=1), -1)
    return [np.flatnonzero(key == value).astype(np.int64) for value in np.unique(key)]


def _weights(
    rng: np.random.Generator, strata: list[NDArray[np.int64]], n: int, n_replicates: int
) -> NDArray[np.float64]:
    """How often each of n units is drawn in each replicate, shape (n_replicates, n)."""
    weights = np.zeros((n_replicates, n))
    for members in strata:
        size = len(members)
        weights[:, members] = rng.multinomial(size, np.full(size, 1 / size), size=n_replicates)
    return weights


def _replicate_means(
    confusions: NDArray[np.float64],
    metric: str,
    subject_weights: NDArray[np.float64],
    clip_weights: NDArray[np.float64],
) -> NDArray[np.float64]:
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
