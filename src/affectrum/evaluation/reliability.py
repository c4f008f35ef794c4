"""Are the probabilities honest? Calibration error, Brier score, likelihood, reliability curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.evaluation.classification import check_scores
from affectrum.evaluation.predictions import Predictions

__all__ = ["calibration", "honest_ece", "reliability_curve", "subject_calibration"]

_TINY = 1e-12


def reliability_curve(
    y_true: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], n_bins: int = 15
) -> pd.DataFrame:
    """Compare how sure a model is with how often it is right, in bins of equal width.

    Parameters
    ----------
    y_true : ndarray of int, shape (n,)
        Class indices.
    scores : ndarray, shape (n, n_classes)
        Class probabilities.
    n_bins : int
        Bins of the largest probability, from 0 to 1.

    Returns
    -------
    DataFrame
        One row per bin that holds windows: `low`, `high`, `confidence` (mean largest
        probability), `accuracy`, `n`.
    """
    truth, values = _probabilities(y_true, scores)
    confidence = values.max(axis=1)
    right = values.argmax(axis=1) == truth
    # Bins are open on the left, so that a confidence of 1 is in the last one.
    number = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    n = np.bincount(number, minlength=n_bins)
    used = n > 0
    sums = np.bincount(number, weights=confidence, minlength=n_bins)
    hits = np.bincount(number, weights=right.astype(np.float64), minlength=n_bins)
    edges = np.linspace(0, 1, n_bins + 1)
    return pd.DataFrame(
        {
            "low": edges[:-1][used],
            "high": edges[1:][used],
            "confidence": sums[used] / n[used],
            "accuracy": hits[used] / n[used],
            "n": n[used],
        }
    )


def calibration(
    y_true: NDArray[np.integer[Any]], scores: NDArray[np.floating[Any]], n_bins: int = 15
) -> dict[str, float]:
    """Summarise how honest class probabilities are.

    Parameters
    ----------
    y_true : ndarray of int, shape (n,)
        Class indices.
    scores : ndarray, shape (n, n_classes)
        Class probabilities, rows summing to 1.
    n_bins : int
        Bins of the expected calibration error.

    Returns
    -------
    dict
        ``ece`` (expected calibration error: mean gap between confidence and accuracy, weighted by
        the bins' sizes), ``brier`` (mean squared distance to the one-hot truth, summed over
        classes: 0 to 2), ``nll`` (mean negative log-likelihood, nats).

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017. Brier 1950, doi
    10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2, whose score sums over classes.
    """
    truth, values = _probabilities(y_true, scores)
    curve = reliability_curve(truth, values, n_bins)
    gap = (curve["confidence"] - curve["accuracy"]).abs().to_numpy()
    rows = np.arange(len(truth))
    hot = np.zeros_like(values)
    hot[rows, truth] = 1.0
    return {
        "ece": float((gap * curve["n"].to_numpy()).sum() / len(truth)),
        "brier": float(np.square(values - hot).sum(axis=1).mean()),
        "nll": float(-np.log(np.maximum(values[rows, truth], _TINY)).mean()),
    }


def honest_ece(
    scores: NDArray[np.floating[Any]],
    n_bins: int = 15,
    *,
    n_draws: int = 200,
    coverage: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Calibration error that perfectly honest probabilities would show on so few windows.

    Parameters
    ----------
    scores : ndarray, shape (n, n_classes)
        Class probabilities, rows summing to 1.
    n_bins : int
        Bins of the expected calibration error.
    n_draws : int
        How often labels are drawn from the probabilities themselves.
    coverage : float
        Share of draws below the second value.
    seed : int
        Seed of the draws.

    Returns
    -------
    mean, high : float
        An ``ece`` below `high` is no evidence against the probabilities. Windows are drawn one by
        one; those of a real trial are alike, which makes the true values larger.

    References
    ----------
    Brocker and Smith, Increasing the reliability of reliability diagrams, Weather Forecast. 22,
    2007, doi 10.1175/WAF993.1: consistency resampling.
    """
    _, values = _probabilities(np.zeros(len(scores), dtype=np.int64), scores)
    confidence = values.max(axis=1)
    # Only whether the largest class is right enters the error.
    number = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    member = (number == np.arange(n_bins)[:, None]).astype(np.float64)
    rng = np.random.default_rng(seed)
    right = (rng.random((n_draws, len(values))) < confidence).astype(np.float64)
    gaps = np.abs((right - confidence) @ member.T)
    errors = gaps.sum(axis=1) / len(values)
    return float(errors.mean()), float(np.quantile(errors, coverage))


def subject_calibration(
    predictions: Predictions, level: str = "window", n_bins: int = 15
) -> pd.DataFrame:
    """Summarise how honest the probabilities are for each subject.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.
    level : {"window", "trial"}
        What counts as one.
    n_bins : int
        Bins of the expected calibration error.

    Returns
    -------
    DataFrame
        One row per subject: `corpus`, `subject`, `n`, `ece`, `brier`, `nll`, and `ece_honest`
        (what honest probabilities stay below in 95 % of draws, see `honest_ece`).
    """
    rows = predictions.at(level)
    out = []
    for number in range(int(rows.subject.max()) + 1 if len(rows) else 0):
        part = rows.select(rows.subject == number)
        out.append(
            {
                "corpus": str(part.table["corpus"].iloc[0]),
                "subject": int(part.table["subject"].iloc[0]),
                "n": len(part),
                **calibration(part.y_true, part.scores, n_bins),
                "ece_honest": honest_ece(part.scores, n_bins)[1],
            }
        )
    return pd.DataFrame(out)


def _probabilities(
    y_true: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    values = np.asarray(scores)
    truth, values = check_scores(y_true, values, values.shape[-1])
    if not len(values):
        raise ConfigError("There are no predictions to calibrate.")
    # float32 probabilities from a record sum to 1 within a few 1e-7.
    if values.min() < -1e-6 or np.abs(values.sum(axis=1) - 1).max() > 1e-3:
        raise ConfigError(
            "Calibration needs probabilities: rows of scores must be non-negative and sum to 1."
        )
    return truth, values
