"""Standard errors of scores and differences with subject and clip as crossed random factors.

The score of other subjects on other clips varies for two reasons: other people, other clips. Both
parts are estimated by leaving out one subject, and one clip, at a time; what both parts count
(subject-by-clip noise) is taken off once.

References
----------
Clark, The language-as-fixed-effect fallacy, J. Verbal Learn. Verbal Behav. 12, 1973: items are
random too. Cameron, Gelbach, Miller, Robust inference with multiway clustering, J. Bus. Econ.
Stat. 29(2), 2011, doi 10.1198/jbes.2010.07136: the sum less the part counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.evaluation.classification import COUNT_METRICS, metrics_from_confusion
from affectrum.evaluation.predictions import Predictions
from affectrum.evaluation.resampling import clip_strata, draw_weights, replicate_means

__all__ = [
    "CrossedError",
    "SharedCounts",
    "crossed_error",
    "replicate_scores",
    "shared_counts",
    "subject_scores",
]


@dataclass(frozen=True)
class SharedCounts:
    """Confusion counts of several methods on the subjects and clips that all of them tested.

    Attributes
    ----------
    counts : dict of str to ndarray, shape (n_seeds, n_subjects, n_clips, n_classes, n_classes)
        Per method; row: true class. The number of seeds may differ between methods.
    subjects : list of (corpus, subject)
        In sorted order.
    clips : list of str
        In sorted order.
    classes : tuple of str
        Class names.
    """

    counts: dict[str, NDArray[np.float64]]
    subjects: list[tuple[str, int]]
    clips: list[str]
    classes: tuple[str, ...]


def shared_counts(
    predictions: Mapping[str, Predictions | Sequence[Predictions]], level: str = "window"
) -> SharedCounts:
    """Count true and predicted classes by method, seed, subject and clip.

    Parameters
    ----------
    predictions : mapping of str to Predictions, or to one per seed
        Of one task.
    level : {"window", "trial"}
        What is counted.

    Returns
    -------
    SharedCounts
        Of what all methods and seeds share.

    Raises
    ------
    ConfigError
        If classes differ, or nothing is shared.
    """
    lists = {
        name: [found] if isinstance(found, Predictions) else list(found)
        for name, found in predictions.items()
    }
    everything = [p.at(level) for found in lists.values() for p in found]
    if not everything or len({p.classes for p in everything}) != 1:
        raise ConfigError(
            "Methods can be compared on one task only: give at least one, all with the same "
            f"classes; received {sorted({'/'.join(p.classes) for p in everything})}."
        )
    classes = everything[0].classes
    who = [_subject_names(p) for p in everything]
    what = [_clip_names(p) for p in everything]
    subjects = sorted(set.intersection(*(set(names) for names in who)))
    clips = sorted(set.intersection(*(set(names) for names in what)))
    if not subjects or not clips:
        raise ConfigError(
            "These methods share no test subject or no clip, so they can't be compared in pairs."
        )
    shape = (len(subjects), len(clips), len(classes), len(classes))
    subject_at = pd.Index(subjects, tupleize_cols=False)
    clip_at = pd.Index(clips)
    flat = []
    for rows, mine, seen in zip(everything, who, what, strict=True):
        subject = subject_at.get_indexer(pd.Index(mine, tupleize_cols=False))[rows.subject]
        clip = clip_at.get_indexer(pd.Index(seen))[rows.clip]
        kept = (subject >= 0) & (clip >= 0)
        cell = np.ravel_multi_index(
            (subject[kept], clip[kept], rows.y_true[kept], rows.y_pred[kept]), shape
        )
        flat.append(np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape))
    counts, start = {}, 0
    for name, found in lists.items():
        counts[name] = np.stack(flat[start : start + len(found)]).astype(np.float64)
        start += len(found)
    return SharedCounts(counts, subjects, clips, classes)


def _subject_names(rows: Predictions) -> list[tuple[str, int]]:
    """Name of each subject by its number."""
    first = np.unique(rows.subject, return_index=True)[1]
    table = rows.table.iloc[first]
    return [(str(c), int(s)) for c, s in zip(table["corpus"], table["subject"], strict=True)]


def _clip_names(rows: Predictions) -> list[str]:
    """Name of each clip by its number."""
    first = np.unique(rows.clip, return_index=True)[1]
    return [str(name) for name in rows.clip_names[first]]


def _with_seeds(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim == 4:
        values = values[None]
    if values.ndim != 5 or values.shape[-1] != values.shape[-2] or not values.size:
        raise ConfigError(
            "Expected counts (n_subjects, n_clips, n_classes, n_classes), or the same with seeds "
            f"in front; received shape {np.shape(counts)}."
        )
    return values


def subject_scores(
    counts: NDArray[np.float64], metric: str = "balanced_accuracy"
) -> NDArray[np.float64]:
    """Score each subject, mean over seeds.

    Parameters
    ----------
    counts : ndarray, shape ([n_seeds,] n_subjects, n_clips, n_classes, n_classes)
        From `shared_counts` or `crossed_confusions`.
    metric : str
        One of `COUNT_METRICS`.

    Returns
    -------
    ndarray of float64, shape (n_subjects,)
        NaN where it is not defined.
    """
    check_option("metric", metric, COUNT_METRICS)
    return _mean(metrics_from_confusion(_with_seeds(counts).sum(axis=2), (metric,))[metric])


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what is finite, NaN where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


@dataclass(frozen=True)
class CrossedError:
    """A mean over subjects (or a difference of two) with its crossed standard error.

    Attributes
    ----------
    value : float
        The mean.
    error : float
        Its standard error; NaN where a class has one clip only, or there is one subject.
    df : float
        Degrees of freedom (Satterthwaite).
    subject_error, clip_error : float
        What it would be if only the subjects, or only the clips, were drawn anew.
    n_subjects, n_clips : int
        How many of each.
    """

    value: float
    error: float
    df: float
    subject_error: float
    clip_error: float
    n_subjects: int
    n_clips: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value of a t test against `null`; NaN without a standard error."""
        from scipy.stats import t

        if not np.isfinite(self.error):
            return float("nan")
        gap = abs(self.value - null)
        if self.error <= 1e-12:
            return 1.0 if gap <= 1e-12 else 0.0
        return float(2 * t.sf(gap / self.error, self.df))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Ends of the t interval."""
        from scipy.stats import t

        if not np.isfinite(self.error):
            return float("nan"), float("nan")
        half = float(t.ppf(0.5 + level / 2, self.df)) * self.error
        return self.value - half, self.value + half


def crossed_error(
    counts: NDArray[np.float64],
    other: NDArray[np.float64] | None = None,
    metric: str = "balanced_accuracy",
) -> CrossedError:
    """Standard error of a metric's mean over subjects, or of the difference of two methods.

    Parameters
    ----------
    counts : ndarray, shape ([n_seeds,] n_subjects, n_clips, n_classes, n_classes)
        From `shared_counts` or `crossed_confusions`.
    other : ndarray of the same subjects, clips and classes, optional
        The method that is subtracted.
    metric : str
        One of `COUNT_METRICS`.

    Returns
    -------
    CrossedError
        It tells how far the score of other subjects on other clips would differ. What retraining
        with another seed changes is not in it.

    Raises
    ------
    ConfigError
        If shapes differ or the metric is unknown.
    """
    check_option("metric", metric, COUNT_METRICS)
    first = _with_seeds(counts)
    scores, deleted = _deletions(first, metric)
    if other is not None:
        second = _with_seeds(other)
        if second.shape[1:] != first.shape[1:]:
            raise ConfigError(
                "Two methods must be compared on the same subjects and clips; received "
                f"{first.shape[1:]} and {second.shape[1:]}."
            )
        own, own_deleted = _deletions(second, metric)
        scores, deleted = scores - own, deleted - own_deleted
    known = np.isfinite(scores)
    scores, deleted = scores[known], deleted[:, known]
    strata = clip_strata(first.sum(axis=0))
    n, n_clips = len(scores), first.shape[2]
    if not n:
        nan = float("nan")
        return CrossedError(nan, nan, nan, nan, nan, 0, n_clips)
    by_subject = float(scores.var(ddof=1)) / n if n > 1 else float("nan")
    # What leaving out a clip does to each subject; a clip that a subject did not see does nothing.
    influence = np.where(np.isfinite(deleted), deleted - scores, 0.0) / n
    by_clip = both = 0.0
    clip_df = 0
    for members in strata:
        size = len(members)
        if size < 2:
            by_clip = both = float("nan")
            break
        part = influence[members]
        part = part - part.mean(axis=0)
        factor = (size - 1) / size
        by_clip += factor * float(np.square(part.sum(axis=1)).sum())
        part = part - part.mean(axis=1, keepdims=True)
        both += factor * float(np.square(part).sum()) * n / max(n - 1, 1)
        clip_df += size - 1
    variance = max(by_subject + by_clip - both, by_subject, by_clip)
    df = float("nan")
    if np.isfinite(by_subject + by_clip):
        spread = by_subject**2 / (n - 1) + by_clip**2 / clip_df
        spread += both**2 / ((n - 1) * clip_df)
        least = min(n - 1, clip_df)
        df = max(variance**2 / spread, float(least)) if spread > 0 else float(least)
    else:
        variance = float("nan")
    return CrossedError(
        value=float(scores.mean()),
        error=float(np.sqrt(variance)),
        df=df,
        subject_error=float(np.sqrt(by_subject)),
        clip_error=float(np.sqrt(by_clip)),
        n_subjects=n,
        n_clips=n_clips,
    )


def _deletions(
    counts: NDArray[np.float64], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores (n_subjects,), and scores without each clip (n_clips, n_subjects)."""
    whole = counts.sum(axis=2)
    scores = _mean(metrics_from_confusion(whole, (metric,))[metric])
    left = whole[:, None] - counts.transpose(0, 2, 1, 3, 4)
    deleted = _mean(metrics_from_confusion(left, (metric,))[metric])
    unseen = counts.sum(axis=(0, 3, 4)).T == 0
    return scores, np.where(unseen, scores, deleted)


def replicate_scores(
    counts: Mapping[str, NDArray[np.float64]],
    metric: str = "balanced_accuracy",
    *,
    n_replicates: int = 2000,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Mean score of each method in the same crossed bootstrap samples.

    Parameters
    ----------
    counts : mapping of str to ndarray
        ``SharedCounts.counts``.
    metric : str
        One of `COUNT_METRICS`.
    n_replicates : int
        Bootstrap replicates.
    seed : int
        Seed of the resampling.

    Returns
    -------
    dict of str to ndarray of float64, shape (n_replicates,)
        Differences and ranks of methods follow replicate by replicate.
    """
    check_option("metric", metric, COUNT_METRICS)
    parts = {name: _with_seeds(values) for name, values in counts.items()}
    if not parts:
        return {}
    first = next(iter(parts.values()))
    n_subjects, n_clips = first.shape[1:3]
    rng = np.random.default_rng(seed)
    subjects = draw_weights(rng, [np.arange(n_subjects)], n_subjects, n_replicates)
    clips = draw_weights(rng, clip_strata(first.sum(axis=0)), n_clips, n_replicates)
    return {
        name: _mean(np.stack([replicate_means(one, metric, subjects, clips) for one in values]))
        for name, values in parts.items()
    }
