"""How large is a difference? Effect sizes that do not grow with the number of subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError

__all__ = ["cliffs_delta", "cohens_d_interval", "paired_cohens_d", "paired_dominance"]

Scores = NDArray[np.floating[Any]] | Sequence[float]


def _finite(name: str, values: Scores) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ConfigError(
            f"{name} must be a list of finite scores, at least one; received shape {array.shape} "
            f"with {int((~np.isfinite(array)).sum())} not finite."
        )
    return array


def paired_cohens_d(first: Scores, second: Scores) -> float:
    """Cohen's d of paired scores (d_z): mean difference over the differences' SD.

    Parameters
    ----------
    first, second : array-like, shape (n,)
        Scores of two methods on the same subjects, in one order.

    Returns
    -------
    float
        NaN with one pair, or where the differences do not vary.

    References
    ----------
    Lakens, Calculating and reporting effect sizes, Front. Psychol. 4, 2013, doi
    10.3389/fpsyg.2013.00863, equation 6.
    """
    difference = _finite("first", first) - _finite("second", second)
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    return float(difference.mean() / spread) if spread > 1e-12 else float("nan")


def cohens_d_interval(d: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a paired Cohen's d, from the noncentral t distribution.

    Parameters
    ----------
    d : float
        From `paired_cohens_d`.
    n : int
        Pairs.
    level : float
        Coverage.

    Returns
    -------
    low, high : float
        NaN where d is. Exact for independent pairs with normal differences: clips that all
        subjects share are not counted.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    if not np.isfinite(d) or n < 2:
        return float("nan"), float("nan")
    observed, df = d * np.sqrt(n), n - 1
    ends = []
    for share in (0.5 + level / 2, 0.5 - level / 2):

        def gap(shift: float, share: float = share) -> float:
            below = float(nct.cdf(observed, df, shift))
            # Far from t the distribution function is 0 or 1, and some versions give NaN there.
            return (below if np.isfinite(below) else float(shift < observed)) - share

        # The noncentrality lies around t; its spread grows with |t| / sqrt(2 df).
        reach = 8.0 + 8.0 * abs(observed) / np.sqrt(2 * df)
        ends.append(float(brentq(gap, observed - reach, observed + reach)) / float(np.sqrt(n)))
    return ends[0], ends[1]


def paired_dominance(first: Scores, second: Scores) -> float:
    """Share of pairs in which the first is higher, less the share in which it is lower.

    Parameters
    ----------
    first, second : array-like, shape (n,)
        Scores of two methods on the same subjects, in one order.

    Returns
    -------
    float
        -1 to 1; 1 if the first is higher for every subject.
    """
    difference = _finite("first", first) - _finite("second", second)
    return float(np.sign(np.where(np.abs(difference) < 1e-12, 0.0, difference)).mean())


def cliffs_delta(first: Scores, second: Scores) -> float:
    """Cliff's delta: chance that one of the first is higher than one of the second, less lower.

    Parameters
    ----------
    first : array-like, shape (n,)
        Scores of one group.
    second : array-like, shape (m,)
        Scores of the other; pairs are not used.

    Returns
    -------
    float
        -1 to 1; 0 if neither group tends to be higher.

    References
    ----------
    Cliff, Dominance statistics, Psychol. Bull. 114, 1993, doi 10.1037/0033-2909.114.3.494.
    """
    a, b = _finite("first", first), np.sort(_finite("second", second))
    below = np.searchsorted(b, a, side="left")
    above = len(b) - np.searchsorted(b, a, side="right")
    return float((below - above).sum() / (len(a) * len(b)))
