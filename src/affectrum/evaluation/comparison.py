"""Is one method better than another on the same subjects?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError

__all__ = ["PairedTest", "compare_methods", "holm", "paired_permutation_test"]

# Up to this many pairs every pattern of signs is tried (2**16 = 65,536).
_EXACT = 16
# Steps of the grid for more pairs.
_GRID = 65_536


@dataclass(frozen=True)
class PairedTest:
    """Result of a paired permutation test.

    Attributes
    ----------
    difference : float
        Mean of the first minus mean of the second.
    p_value : float
        Two-sided.
    effect_size : float
        Mean difference divided by the standard deviation of the differences (Cohen's d_z); NaN
        if the differences do not vary.
    n : int
        Pairs.
    exact : bool
        Whether every pattern of signs was tried; if not, all were counted on a fine grid.
    smallest_p : float
        The smallest p-value that this number of pairs can give.
    """

    difference: float
    p_value: float
    effect_size: float
    n: int
    exact: bool
    smallest_p: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def paired_permutation_test(
    first: NDArray[np.floating[Any]] | Sequence[float],
    second: NDArray[np.floating[Any]] | Sequence[float],
) -> PairedTest:
    """Test by flipping the signs of the paired differences.

    Parameters
    ----------
    first, second : array-like, shape (n,)
        Scores of two methods on the same subjects, in one order.

    Returns
    -------
    PairedTest
        Exact for up to 16 pairs. For more, sums over all patterns are counted on a grid of 65,536
        steps; what the grid rounds makes the p-value larger, never smaller.

    Raises
    ------
    ConfigError
        If the lengths differ, there are no pairs, or scores are not finite.

    Notes
    -----
    No pattern is drawn at random, because the smallest p-value of 10,000 draws is too large for
    the corrections that hundreds of comparisons need.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ConfigError(
            f"A paired test needs two lists of one length; received shapes {a.shape} and {b.shape}."
        )
    difference = a - b
    if not np.isfinite(difference).all():
        raise ConfigError("A paired test needs finite scores; leave those pairs out first.")
    n = len(difference)
    exact = n <= _EXACT
    if exact:
        observed = abs(difference.mean())
        # Sums that are equal but for rounding count as equal.
        threshold = observed - 1e-12 * max(1.0, np.abs(difference).max())
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        p_value = float((np.abs(signs @ difference) / n >= threshold).mean())
    else:
        p_value = _p_on_a_grid(difference)
    smallest = 2.0 / 2**n if n > 1 else 1.0
    spread = float(difference.std(ddof=1)) if n > 1 else 0.0
    effect = float(difference.mean() / spread) if spread > 1e-12 else float("nan")
    return PairedTest(float(difference.mean()), p_value, effect, n, exact, smallest)


def _p_on_a_grid(difference: NDArray[np.float64]) -> float:
    """Two-sided p-value over all 2**n patterns of signs, rounded up by what the grid rounds."""
    size = np.abs(difference)
    total = float(size.sum())
    if total <= 0:
        return 1.0
    scale = _GRID / total
    steps = np.rint(size * scale).astype(np.int64)
    # Chance of each sum of the steps with a positive sign; the whole sum is twice that less all.
    chance = np.zeros(int(steps.sum()) + 1)
    chance[0] = 1.0
    reach = 0
    for step in steps:
        reach += int(step)
        moved = chance[: reach + 1 - step].copy()
        chance[: reach + 1] *= 0.5
        chance[step : reach + 1] += 0.5 * moved
    # Each step is rounded by half a step at most, so sums this near may have reached it.
    least = abs(float(difference.sum())) * scale - len(difference) / 2
    first = int(np.ceil((least + reach) / 2 - 1e-9))
    if least <= 0:
        return 1.0
    return float(min(1.0, 2 * chance[first:].sum()))


def holm(p_values: Sequence[float] | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Correct p-values for their number by Holm's step-down method.

    Parameters
    ----------
    p_values : array-like, shape (n,)
        Uncorrected.

    Returns
    -------
    ndarray of float64, shape (n,)
        Corrected, in the same order, at most 1.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def compare_methods(
    scores: Mapping[str, pd.DataFrame],
    metric: str = "balanced_accuracy",
    *,
    reference: str | None = None,
) -> pd.DataFrame:
    """Test pairs of methods on the subjects they share, with Holm's correction.

    Parameters
    ----------
    scores : mapping of str to DataFrame
        Per method the table of `score_predictions`, under one protocol.
    metric : str
        The column to compare.
    reference : str, optional
        Compare this method with each other one; default: all pairs.

    Returns
    -------
    DataFrame
        One row per pair: `first`, `second`, `difference`, `p_value`, `p_holm`, `effect_size`,
        `n`, `exact`, `smallest_p`. Pairs without a shared subject are left out.

    Raises
    ------
    ConfigError
        If the reference is not among the methods.

    Notes
    -----
    This takes the clips as given and the subjects as independent. What other clips would change
    is in `affectrum.evaluation.compare_predictions`.
    """
    names = list(scores)
    if reference is not None and reference not in scores:
        raise ConfigError(f"reference={reference!r} is not among the methods {', '.join(names)}.")
    pairs = (
        [(reference, name) for name in names if name != reference]
        if reference is not None
        else [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    )
    rows: list[dict[str, Any]] = []
    for first, second in pairs:
        both = scores[first].merge(scores[second], on=["corpus", "subject"], suffixes=("_1", "_2"))
        both = both.dropna(subset=[f"{metric}_1", f"{metric}_2"])
        if len(both):
            test = paired_permutation_test(
                both[f"{metric}_1"].to_numpy(), both[f"{metric}_2"].to_numpy()
            )
            rows.append({"first": first, "second": second, **test.to_dict()})
    columns = ["first", "second", *PairedTest.__dataclass_fields__]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(4, "p_holm", holm(table["p_value"].to_numpy(dtype=np.float64)))
    return table
