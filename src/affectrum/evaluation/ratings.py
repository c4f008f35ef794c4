"""Scores of predicted ratings and coordinates: concordance, error, correlation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.evaluation.resampling import draw_weights

__all__ = ["RATING_METRICS", "concordance", "rating_interval", "rating_metrics", "score_ratings"]

#: Metrics of ratings.
RATING_METRICS: tuple[str, ...] = ("ccc", "rmse", "mae", "pearson", "bias")


def concordance(
    y_true: NDArray[np.floating[Any]] | Sequence[float],
    y_pred: NDArray[np.floating[Any]] | Sequence[float],
) -> float:
    """Lin's concordance correlation: how near the points lie to the line of equality.

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n,)
        Ratings; pairs with a missing value are left out.

    Returns
    -------
    float
        -1 to 1; 1 only if prediction and truth are equal. NaN if neither varies.

    References
    ----------
    Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 45, 1989,
    doi 10.2307/2532051; variances with 1/n, as there.
    """
    return rating_metrics(y_true, y_pred)["ccc"]


def rating_metrics(
    y_true: NDArray[np.floating[Any]] | Sequence[float],
    y_pred: NDArray[np.floating[Any]] | Sequence[float],
) -> dict[str, float]:
    """Compute every metric of ratings over all rows given.

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n,)
        Ratings in one unit; pairs with a missing value are left out.

    Returns
    -------
    dict of str to float
        One value for each of `RATING_METRICS`: ``rmse``, ``mae`` and ``bias`` (mean of predicted
        less true) in the unit of the ratings. NaN where not defined.

    Raises
    ------
    ConfigError
        If the shapes differ.
    """
    truth, guess = _pairs(y_true, y_pred)
    known = np.isfinite(truth) & np.isfinite(guess)
    values = _weighted(truth[known], guess[known], np.ones((1, int(known.sum()))))
    return {name: float(array[0]) for name, array in values.items()}


def _pairs(y_true: Any, y_pred: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    truth = np.asarray(y_true, dtype=np.float64)
    guess = np.asarray(y_pred, dtype=np.float64)
    if truth.shape != guess.shape or truth.ndim != 1:
        raise ConfigError(
            "True and predicted ratings must be two lists of one length; received shapes "
            f"{truth.shape} and {guess.shape}."
        )
    return truth, guess


def _weighted(
    truth: NDArray[np.float64], guess: NDArray[np.float64], weight: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Every metric for each row of weights, shape (n_replicates, n)."""
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_t, mean_p = weight @ truth / total, weight @ guess / total
        # Centred once, so that large offsets do not eat the digits.
        shift_t = float(truth.mean()) if len(truth) else 0.0
        shift_p = float(guess.mean()) if len(guess) else 0.0
        t, p = truth - shift_t, guess - shift_p
        dt, dp = mean_t - shift_t, mean_p - shift_p
        var_t = np.maximum(weight @ (t * t) / total - dt**2, 0.0)
        var_p = np.maximum(weight @ (p * p) / total - dp**2, 0.0)
        both = weight @ (t * p) / total - dt * dp
        gap = guess - truth
        below = var_t + var_p + (mean_t - mean_p) ** 2
        scale = np.sqrt(var_t * var_p)
        tiny = 1e-24
        return {
            "ccc": np.where(below > tiny, 2 * both / below, np.nan),
            "rmse": np.sqrt(weight @ (gap * gap) / total),
            "mae": weight @ np.abs(gap) / total,
            "pearson": np.where(scale > tiny, both / scale, np.nan),
            "bias": mean_p - mean_t,
        }


def score_ratings(
    table: pd.DataFrame,
    y_true: NDArray[np.floating[Any]] | Sequence[float],
    y_pred: NDArray[np.floating[Any]] | Sequence[float],
    *,
    level: str = "window",
) -> pd.DataFrame:
    """Score each subject once over all of its rows.

    Parameters
    ----------
    table : DataFrame, n rows
        `corpus`, `subject`, and for trials `session`, `row`.
    y_true, y_pred : array-like, shape (n,)
        Ratings in one unit.
    level : {"window", "trial"}
        Every row counts once; or every trial once, by the mean of its rows.

    Returns
    -------
    DataFrame
        One row per subject: `corpus`, `subject`, `n` and one column for each of `RATING_METRICS`.
        Continuous labels belong at the level "window", ratings after a trial at "trial".

    Raises
    ------
    ConfigError
        If lengths differ or the level is unknown.
    """
    truth, guess = _pairs(y_true, y_pred)
    if len(table) != len(truth) or level not in ("window", "trial"):
        raise ConfigError(
            f"Expected one rating for each of {len(table)} rows and level 'window' or 'trial'; "
            f"received {len(truth)} ratings and level {level!r}."
        )
    rows = table[["corpus", "subject"]].assign(truth=truth, guess=guess)
    rows = rows[np.isfinite(truth) & np.isfinite(guess)]
    if level == "trial":
        keys = ["corpus", "subject", "session", "row"]
        rows = rows.join(table[["session", "row"]]).groupby(keys, as_index=False).mean()
    out = []
    for (corpus, subject), part in rows.groupby(["corpus", "subject"]):
        found = rating_metrics(part["truth"].to_numpy(), part["guess"].to_numpy())
        out.append({"corpus": str(corpus), "subject": int(str(subject)), "n": len(part), **found})
    return pd.DataFrame(out, columns=["corpus", "subject", "n", *RATING_METRICS])


def rating_interval(
    y_true: NDArray[np.floating[Any]] | Sequence[float],
    y_pred: NDArray[np.floating[Any]] | Sequence[float],
    subject: NDArray[np.integer[Any]],
    clip: NDArray[np.integer[Any]],
    metric: str = "ccc",
    *,
    n_replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean of a metric over subjects with its crossed bootstrap interval.

    Parameters
    ----------
    y_true, y_pred : array-like, shape (n,)
        Ratings in one unit, none missing.
    subject, clip : ndarray of int, shape (n,)
        Numbers from 0, for example ``Predictions.subject`` and ``Predictions.clip``.
    metric : str
        One of `RATING_METRICS`.
    n_replicates : int
        Bootstrap replicates.
    level : float
        Coverage.
    seed : int
        Seed of the resampling.

    Returns
    -------
    value, low, high : float
        Percentile interval: too narrow with few subjects or clips.

    Raises
    ------
    ConfigError
        If lengths differ, a value is missing or the metric is unknown.
    """
    truth, guess = _pairs(y_true, y_pred)
    who, what = np.asarray(subject), np.asarray(clip)
    fits = who.shape == what.shape == truth.shape and len(truth) > 0
    if not fits or metric not in RATING_METRICS or not np.isfinite(truth + guess).all():
        raise ConfigError(
            f"Expected finite ratings with one subject and clip each and a metric among "
            f"{', '.join(RATING_METRICS)}; received {len(truth)} ratings, {who.shape} subjects, "
            f"{what.shape} clips, metric {metric!r}."
        )
    rng = np.random.default_rng(seed)
    n_subjects, n_clips = int(who.max()) + 1, int(what.max()) + 1
    subjects = draw_weights(rng, [np.arange(n_subjects)], n_subjects, n_replicates)
    clips = draw_weights(rng, [np.arange(n_clips)], n_clips, n_replicates)
    values = np.full((n_replicates, n_subjects), np.nan)
    own = np.full(n_subjects, np.nan)
    for number in range(n_subjects):
        mine = who == number
        if mine.any():
            own[number] = rating_metrics(truth[mine], guess[mine])[metric]
            found = _weighted(truth[mine], guess[mine], clips[:, what[mine]])
            values[:, number] = found[metric]
    known = np.isfinite(values)
    total = (subjects * known).sum(axis=1)
    means = (subjects * np.where(known, values, 0.0)).sum(axis=1)[total > 0] / total[total > 0]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail]) if len(means) else (np.nan, np.nan)
    value = float(np.nanmean(own)) if np.isfinite(own).any() else float("nan")
    return value, float(low), float(high)
