"""Every pair of methods of a task, tested on the same subjects and clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.evaluation.comparison import holm, paired_permutation_test
from affectrum.evaluation.crossed import (
    crossed_error,
    replicate_scores,
    shared_counts,
    subject_scores,
)
from affectrum.evaluation.effects import (
    cliffs_delta,
    cohens_d_interval,
    paired_cohens_d,
    paired_dominance,
)
from affectrum.evaluation.intervals import percentile_interval
from affectrum.evaluation.power import detectable_difference
from affectrum.evaluation.predictions import Predictions

__all__ = ["PAIR_COLUMNS", "compare_predictions"]

#: Columns of `compare_predictions`.
PAIR_COLUMNS: tuple[str, ...] = (
    "first",
    "second",
    "difference",
    "low",
    "high",
    "p_subjects",
    "p_crossed",
    "p_value",
    "p_holm",
    "supported",
    "effect_size",
    "effect_low",
    "effect_high",
    "dominance",
    "cliffs_delta",
    "detectable",
    "error",
    "df",
    "subject_error",
    "clip_error",
    "seed_sd",
    "n_seeds",
    "n_subjects",
    "n_clips",
    "smallest_p",
)


def compare_predictions(
    predictions: Mapping[str, Predictions | Sequence[Predictions]],
    metric: str = "balanced_accuracy",
    *,
    level: str = "window",
    reference: str | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    n_replicates: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Test pairs of methods with subject and clip as crossed random factors.

    Parameters
    ----------
    predictions : mapping of str to Predictions, or to one per seed
        Of one task, under one protocol.
    metric : str
        One of `COUNT_METRICS`.
    level : {"window", "trial"}
        What is counted.
    reference : str, optional
        Compare this method with each other one; default: all pairs.
    alpha : float
        Level of "supported" and of the detectable difference.
    power : float
        Power of the detectable difference.
    n_replicates : int
        Bootstrap replicates of the intervals.
    seed : int
        Seed of the resampling.

    Returns
    -------
    DataFrame
        One row per pair. `difference` (first minus second, mean over subjects and seeds), `low`
        and `high` (95 % crossed bootstrap, widened where the sample is small), `p_subjects`
        (permutation test over subjects: other people, these clips), `p_crossed` (t test with
        crossed standard error: other people, other clips), `p_value` (the larger of the two),
        `p_holm` (corrected for all rows), `supported` (`p_holm` below `alpha`), `effect_size` with
        `effect_low` and `effect_high` (paired Cohen's d), `dominance` (share of subjects for whom
        the first is better, less worse), `cliffs_delta`, `detectable` (the smallest true
        difference this design would find with `power`, corrected for the number of rows; NaN
        where so few subjects can support none),
        `error` (standard) with `df` (degrees of freedom), `subject_error`, `clip_error` (its
        parts), `seed_sd` (SD of the difference over seeds that both have; NaN with one),
        `n_seeds`, `n_subjects`, `n_clips`, `smallest_p` (of the permutation test).

    Raises
    ------
    ConfigError
        If the reference is not among the methods, or they share nothing.

    Notes
    -----
    Where a class has one clip only, how much depends on the clip can't be estimated: `p_value`
    and `p_holm` are NaN then and nothing is supported.
    """
    names = list(predictions)
    if reference is not None and reference not in names:
        raise ConfigError(f"reference={reference!r} is not among the methods {', '.join(names)}.")
    if reference is not None:
        pairs = [(reference, name) for name in names if name != reference]
    else:
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    if not pairs:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    shared = shared_counts(predictions, level)
    counts = shared.counts
    scores = {name: subject_scores(values, metric) for name, values in counts.items()}
    replicates = replicate_scores(counts, metric, n_replicates=n_replicates, seed=seed)
    rows = []
    for first, second in pairs:
        a, b = scores[first], scores[second]
        known = np.isfinite(a) & np.isfinite(b)
        test = paired_permutation_test(a[known], b[known])
        crossed = crossed_error(counts[first], counts[second], metric)
        gap = replicates[first] - replicates[second]
        low, high = percentile_interval(gap, crossed.value, crossed.error, crossed.df)
        d = paired_cohens_d(a[known], b[known])
        p_crossed = crossed.p_value()
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": crossed.value,
                "low": low,
                "high": high,
                "p_subjects": test.p_value,
                "p_crossed": p_crossed,
                "p_value": float(np.maximum(test.p_value, p_crossed)),  # NaN stays NaN
                "effect_size": d,
                **dict(
                    zip(
                        ("effect_low", "effect_high"),
                        cohens_d_interval(d, int(known.sum())),
                        strict=True,
                    )
                ),
                "dominance": paired_dominance(a[known], b[known]),
                "cliffs_delta": cliffs_delta(a[known], b[known]),
                # With too few subjects no difference, however large, passes the permutation test.
                "detectable": float("nan")
                if test.smallest_p * len(pairs) >= alpha
                else detectable_difference(
                    crossed.error, crossed.df, alpha=alpha, power=power, n_comparisons=len(pairs)
                ),
                "error": crossed.error,
                "df": crossed.df,
                "subject_error": crossed.subject_error,
                "clip_error": crossed.clip_error,
                **_seeds(counts[first], counts[second], metric),
                "n_subjects": int(known.sum()),
                "n_clips": len(shared.clips),
                "smallest_p": test.smallest_p,
            }
        )
    table = pd.DataFrame(rows)
    p_values = table["p_value"].to_numpy(dtype=np.float64)
    # A pair that can't be tested still counts as a comparison.
    corrected = holm(np.where(np.isfinite(p_values), p_values, 1.0))
    table["p_holm"] = np.where(np.isfinite(p_values), corrected, np.nan)
    table["supported"] = table["p_holm"] < alpha
    return table[list(PAIR_COLUMNS)]


def _seeds(first: NDArray[np.float64], second: NDArray[np.float64], metric: str) -> dict[str, Any]:
    """Spread of the difference over the seeds that both methods have, in order."""
    n = min(len(first), len(second))
    gaps = [
        float(np.nanmean(subject_scores(a, metric) - subject_scores(b, metric)))
        for a, b in zip(first[:n], second[:n], strict=True)
    ]
    spread = float(np.std(gaps, ddof=1)) if n > 1 else float("nan")
    return {"seed_sd": spread, "n_seeds": n}
