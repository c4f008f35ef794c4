"""Scores under permuted labels: the interval of a null, and how unusual a score is beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.evaluation.classification import COUNT_METRICS, metrics_from_confusion
from affectrum.evaluation.intervals import crossed_confusions
from affectrum.evaluation.predictions import Predictions

__all__ = ["Null", "null_of"]


@dataclass(frozen=True)
class Null:
    """What a method scores when labels are permuted, drawn several times.

    Attributes
    ----------
    values : ndarray of float64, shape (n_permutations,)
        Mean over subjects, of each permutation.
    level : float
        Coverage of the interval.
    """

    values: NDArray[np.float64]
    level: float = 0.95

    def __len__(self) -> int:
        return len(self.values)

    @property
    def value(self) -> float:
        """Mean over the permutations."""
        return float(self.values.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Ends between which one more permutation would fall; NaN with a single one.

        That of a normal distribution with mean and spread from n values: mean +- t s sqrt(1 + 1/n),
        with n - 1 degrees of freedom, so that few permutations give a wide one.
        """
        from scipy.stats import t

        n = len(self.values)
        if n < 2:
            return (float("nan"), float("nan"))
        reach = float(t.ppf((1 + self.level) / 2, n - 1) * self.values.std(ddof=1))
        reach *= float(np.sqrt(1 + 1 / n))
        return (self.value - reach, self.value + reach)

    def n_below(self, score: float) -> int:
        """How many permutations score less than a score."""
        return int((self.values < score).sum())

    def p_value(self, score: float) -> float:
        """Chance of a score as high as this one, or higher, if labels meant nothing.

        The score counts as one of the permutations, so that the test keeps its size (Phipson and
        Smyth, Stat Appl Genet Mol Biol 9:39, 2010): it is never below 1 / (n + 1).

        Parameters
        ----------
        score : float
            The mean over subjects of the score.
        """
        return (1 + len(self.values) - self.n_below(score)) / (1 + len(self.values))


def null_of(draws: Sequence[Predictions], metric: str = "balanced_accuracy") -> Null:
    """Score each permutation.

    Parameters
    ----------
    draws : sequence of Predictions
        One per permutation of the labels, each with the labels that it was trained for.
    metric : str
        One of `COUNT_METRICS`.

    Returns
    -------
    Null

    Raises
    ------
    ConfigError
        If there is none, or the metric is unknown.
    """
    check_option("metric", metric, COUNT_METRICS)
    if not draws:
        raise ConfigError("A null needs the predictions of at least one permutation.")
    values = [
        np.nanmean(metrics_from_confusion(crossed_confusions(one).sum(axis=1), (metric,))[metric])
        for one in draws
    ]
    return Null(np.array(values, dtype=np.float64))
