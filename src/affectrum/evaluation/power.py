"""What a design can see at all: the smallest difference that it would detect."""

from __future__ import annotations

import warnings

import numpy as np

from affectrum.errors import ConfigError

__all__ = ["detectable_difference", "detection_power"]


def detection_power(difference: float, error: float, df: float, *, alpha: float = 0.05) -> float:
    """Chance that a two-sided t test finds a difference that is really there.

    Parameters
    ----------
    difference : float
        The true difference.
    error : float
        Standard error of the estimate, for example ``crossed_error(...).error``.
    df : float
        Its degrees of freedom.
    alpha : float
        Level of the test.

    Returns
    -------
    float
        0 to 1; NaN without a standard error.
    """
    from scipy.stats import nct, t

    if not np.isfinite(error) or not np.isfinite(df) or error < 0:
        return float("nan")
    if error == 0:
        return 1.0 if difference else alpha
    limit = float(t.ppf(1 - alpha / 2, df))
    shift = abs(difference) / error
    # Far beyond the limit the noncentral tails underflow; the power is 1 there.
    if shift > limit + 40 + limit * 40 / np.sqrt(df):
        return 1.0
    with warnings.catch_warnings():
        # Series of far tails are cut short, where what is left of them is next to nothing.
        warnings.simplefilter("ignore", RuntimeWarning)
        wrong_side = float(nct.cdf(-limit, df, shift))  # NaN where it underflows
        power = float(nct.sf(limit, df, shift))
    return power + (wrong_side if np.isfinite(wrong_side) else 0.0)


def detectable_difference(
    error: float,
    df: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    n_comparisons: int = 1,
) -> float:
    """Smallest true difference that the design finds with the given power.

    Parameters
    ----------
    error : float
        Standard error of the difference, for example ``crossed_error(...).error``.
    df : float
        Its degrees of freedom.
    alpha : float
        Level of the test.
    power : float
        Chance to find it.
    n_comparisons : int
        Comparisons made together: `alpha` is divided by it, as for the first step of Holm.

    Returns
    -------
    float
        In units of the score; NaN without a standard error.

    Raises
    ------
    ConfigError
        If power is not between alpha and 1, or there are no comparisons.
    """
    from scipy.optimize import brentq
    from scipy.stats import t

    if not 0 < alpha < power < 1 or n_comparisons < 1:
        raise ConfigError(
            f"Expected 0 < alpha < power < 1 and n_comparisons >= 1; received alpha={alpha}, "
            f"power={power}, n_comparisons={n_comparisons}."
        )
    if not np.isfinite(error) or not np.isfinite(df):
        return float("nan")
    if error <= 0:
        return 0.0
    level = alpha / n_comparisons
    high = float(t.ppf(1 - level / 2, df) + t.ppf(power, df))
    while detection_power(high, 1.0, df, alpha=level) < power:
        high *= 1.5
    found = brentq(lambda x: detection_power(x, 1.0, df, alpha=level) - power, 0.0, high)
    return float(found) * error
