"""Where scores vary: other subjects, other clips, another seed, and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.evaluation.crossed import shared_counts
from affectrum.evaluation.predictions import Predictions

__all__ = ["score_components", "variance_components"]


def variance_components(values: NDArray[np.floating[Any]], factors: Sequence[str]) -> pd.DataFrame:
    """Split the variance of a fully crossed table into its random factors.

    Parameters
    ----------
    values : ndarray, shape (n_1, ..., n_f)
        One value per combination of levels, for example (n_seeds, n_subjects, n_clips).
    factors : sequence of str
        Name of each axis.

    Returns
    -------
    DataFrame
        One row per set of factors: `component` (``"seed"``, ``"seed x subject"`` ...; the last
        one, of all factors, holds the noise too), `variance` (negative estimates are set to 0),
        `sd`, `share` of the sum, `of_mean` (what it adds to the variance of the grand mean),
        `estimate` (before negative ones were set to 0).

    Raises
    ------
    ConfigError
        If a name is missing, an axis has one level, or a value is not finite.

    References
    ----------
    Searle, Casella, McCulloch, Variance Components, Wiley 1992, chapter 4: the analysis of
    variance estimators of balanced crossed designs.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != len(factors) or min(x.shape, default=0) < 2 or not np.isfinite(x).all():
        raise ConfigError(
            f"Expected finite values with one axis of two levels or more for each of "
            f"{', '.join(factors)}; received shape {x.shape} with "
            f"{int((~np.isfinite(x)).sum())} not finite."
        )
    axes = range(x.ndim)
    sets = [s for size in range(1, x.ndim + 1) for s in combinations(axes, size)]
    mean_square: dict[tuple[int, ...], float] = {}
    for chosen in sets:
        # The effect of a set: means over the other axes, centred along each axis of the set.
        effect = x.mean(axis=tuple(a for a in axes if a not in chosen), keepdims=True)
        for axis in chosen:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        others = np.prod([x.shape[a] for a in axes if a not in chosen])
        df = np.prod([x.shape[a] - 1 for a in chosen])
        mean_square[chosen] = float(np.square(effect).sum() * others / df)
    rows = []
    for chosen in sets:
        # E[MS_S] sums the variances of all sets that hold S; inverted by inclusion-exclusion.
        total = sum(
            (-1.0) ** (len(above) - len(chosen)) * mean_square[above]
            for above in sets
            if set(chosen) <= set(above)
        )
        size = float(np.prod([x.shape[a] for a in axes if a not in chosen]))
        estimate = total / size
        variance = max(estimate, 0.0)
        levels = float(np.prod([x.shape[a] for a in chosen]))
        rows.append(
            {
                "component": " x ".join(factors[a] for a in chosen),
                "variance": variance,
                "sd": float(np.sqrt(variance)),
                "of_mean": variance / levels,
                "estimate": estimate,
            }
        )
    table = pd.DataFrame(rows)
    whole = float(table["variance"].sum())
    table.insert(3, "share", table["variance"] / whole if whole > 0 else 0.0)
    return table


def score_components(
    predictions: Predictions | Sequence[Predictions] | Mapping[str, Sequence[Predictions]],
    level: str = "window",
) -> pd.DataFrame:
    """Split the variance of one method's accuracy into subjects, clips and seeds.

    Parameters
    ----------
    predictions : Predictions, or one per seed
        Of one method and task.
    level : {"window", "trial"}
        What is counted.

    Returns
    -------
    DataFrame
        From `variance_components` of the share of right windows per seed, subject and clip; with
        one seed, of subject and clip. Empty where fewer than two subjects saw the same two clips.

    Notes
    -----
    Seeds are what another run changes, subjects what other people change: an SD over seeds says
    nothing about other people. Accuracy is used because it is a mean over windows; classes are
    not balanced.
    """
    found = predictions
    if isinstance(found, Mapping):
        if len(found) != 1:
            raise ConfigError(f"Give one method; received {len(found)}.")
        found = next(iter(found.values()))
    counts = shared_counts({"method": found}, level).counts["method"]
    total = counts.sum(axis=(3, 4))
    right = np.trace(counts, axis1=3, axis2=4)
    kept_subjects, kept_clips = _largest_complete((total > 0).all(axis=0))
    if len(kept_subjects) < 2 or len(kept_clips) < 2:
        return pd.DataFrame(columns=["component", "variance", "sd", "share", "of_mean", "estimate"])
    chosen = np.ix_(np.arange(len(counts)), kept_subjects, kept_clips)
    values = right[chosen] / total[chosen]
    if len(values) == 1:
        return variance_components(values[0], ("subject", "clip"))
    return variance_components(values, ("seed", "subject", "clip"))


def _largest_complete(
    seen: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Subjects and clips without a missing combination, taking the worst away one by one."""
    rows, columns = np.arange(seen.shape[0]), np.arange(seen.shape[1])
    while len(rows) and len(columns) and not seen[np.ix_(rows, columns)].all():
        part = ~seen[np.ix_(rows, columns)]
        by_row, by_column = part.mean(axis=1), part.mean(axis=0)
        if by_row.max() >= by_column.max():
            rows = np.delete(rows, int(by_row.argmax()))
        else:
            columns = np.delete(columns, int(by_column.argmax()))
    return rows.astype(np.int64), columns.astype(np.int64)
