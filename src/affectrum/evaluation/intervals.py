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
from affectrum.evaluation.resampling import clip_strata, draw_weights, replicate_means

__all__ = ["Interval", "crossed_bootstrap", "crossed_confusions", "percentile_interval"]

# Ends of what a metric can be.
_BOUNDS = {"kappa": (-1.0, 1.0)}


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
    expand: bool = True,
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
    expand : bool
        Widen the percentile interval to what a t interval of the same design needs. Percentiles
        alone are far too narrow with few subjects or few clips per class.

    Returns
    -------
    Interval
        Around the observed mean.

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
    subject_weights = draw_weights(rng, [np.arange(n_subjects)], n_subjects, n_replicates)
    clip_weights = draw_weights(rng, clip_strata(parts[0]), n_clips, n_replicates)
    replicates = np.zeros(n_replicates)
    value = 0.0
    for sign, part in zip((1.0, -1.0), parts, strict=False):
        whole = metrics_from_confusion(part.sum(axis=1), (metric,))[metric]
        value += sign * float(np.nanmean(whole)) if np.isfinite(whole).any() else np.nan
        replicates += sign * replicate_means(part, metric, subject_weights, clip_weights)
    if expand:
        # Here, because that module uses the resampling of this one's neighbour.
        from affectrum.evaluation.crossed import crossed_error

        found = crossed_error(parts[0], parts[1] if len(parts) > 1 else None, metric)
        error, df = found.error, found.df
    else:
        error = df = float("nan")
    bounds = _BOUNDS.get(metric, (0.0, 1.0)) if len(parts) == 1 else None
    low, high = percentile_interval(replicates, value, error, df, level=level, bounds=bounds)
    return Interval(value, low, high, level, n_subjects, n_clips)


def percentile_interval(
    replicates: NDArray[np.float64],
    value: float,
    error: float,
    df: float,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Percentiles of bootstrap replicates, widened where the sample is small.

    Parameters
    ----------
    replicates : ndarray, shape (n_replicates,)
        Bootstrap replicates of `value`; those that are not finite are left out.
    value : float
        The observed value.
    error, df : float
        Its standard error and degrees of freedom; NaN leaves the percentiles as they are.
    level : float
        Coverage.
    bounds : (low, high), optional
        What the value can be.

    Returns
    -------
    low, high : float
        The percentiles keep their lopsidedness: both distances from `value` are multiplied by one
        factor, at least 1, so that the width is at least that of the t interval.

    References
    ----------
    Hesterberg, What teachers should know about the bootstrap, Am. Stat. 69(4), 2015, doi
    10.1080/00031305.2015.1089789: percentile intervals are narrow in small samples.
    """
    from scipy.stats import t

    usable = replicates[np.isfinite(replicates)]
    if not len(usable):
        return float("nan"), float("nan")
    tail = 100 * (1 - level) / 2
    low, high = (float(end) for end in np.percentile(usable, [tail, 100 - tail]))
    if np.isfinite(error) and np.isfinite(df) and high > low:
        needed = 2 * error * float(t.ppf(0.5 + level / 2, df))
        factor = max(1.0, needed / (high - low))
        low, high = value - factor * (value - low), value + factor * (high - value)
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return low, high
