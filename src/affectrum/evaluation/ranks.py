"""Ranks of methods over several tasks: Friedman's test, critical differences, rank intervals.

References
----------
Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7, 2006. Benavoli,
Corani, Mangili, Should we really use post-hoc tests based on mean-ranks?, JMLR 17, 2016: whether
two methods differ by mean ranks depends on which others are in the pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.evaluation.classification import COUNT_METRICS
from affectrum.evaluation.crossed import SharedCounts, shared_counts, subject_scores
from affectrum.evaluation.predictions import Predictions
from affectrum.evaluation.resampling import replicate_means

__all__ = [
    "CriticalDifference",
    "Friedman",
    "critical_difference",
    "friedman_test",
    "rank_intervals",
]

# Below this the chi-square form of Friedman's test is rough and Nemenyi's has next to no power.
_FEW_TASKS = 10


@dataclass(frozen=True)
class Friedman:
    """Do the methods differ in rank at all?

    Attributes
    ----------
    statistic : float
        Friedman's chi-square, corrected for ties; NaN if all scores are equal.
    p_value : float
        By permuting the methods within each task.
    p_chi_square : float
        By the chi-square distribution, good for many tasks only.
    n_tasks, n_methods : int
        Size of the table.
    """

    statistic: float
    p_value: float
    p_chi_square: float
    n_tasks: int
    n_methods: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class CriticalDifference:
    """Mean ranks, and which of them can't be told apart.

    Attributes
    ----------
    mean_ranks : dict of str to float
        1 is best; in order.
    difference : float
        Nemenyi's critical difference: mean ranks closer than this are not told apart.
    groups : list of tuple of str
        Largest sets of neighbours that are not told apart; methods in none stand alone.
    friedman : Friedman
        The test that comes first; if it finds nothing, the groups mean nothing either.
    alpha : float
        Level.
    tasks : tuple of str
        What was ranked; tasks that lack a method are left out.
    cautions : list of str
        What a reader may not conclude.
    """

    mean_ranks: dict[str, float]
    difference: float
    groups: list[tuple[str, ...]]
    friedman: Friedman
    alpha: float
    tasks: tuple[str, ...]
    cautions: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks within rows, 1 for the highest; equal scores (but for rounding) share one."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-np.round(scores, 12), axis=-1))


def _complete(scores: pd.DataFrame) -> pd.DataFrame:
    table = scores.dropna(axis=0)
    if table.shape[0] < 2 or table.shape[1] < 2:
        raise ConfigError(
            "Ranks need at least two methods and two tasks that all of them ran; received "
            f"{scores.shape[1]} methods and {len(table)} complete of {len(scores)} tasks."
        )
    return table


def friedman_test(scores: pd.DataFrame, *, n_permutations: int = 10_000, seed: int = 0) -> Friedman:
    """Test whether methods differ in rank over tasks.

    Parameters
    ----------
    scores : DataFrame, n_tasks rows, n_methods columns
        Higher is better; tasks with a missing score are left out.
    n_permutations : int
        Random permutations within tasks.
    seed : int
        Their seed.

    Returns
    -------
    Friedman

    Raises
    ------
    ConfigError
        If fewer than two complete tasks or two methods are left.
    """
    from scipy.stats import chi2

    table = _complete(scores)
    ranks = _ranks(table.to_numpy(dtype=np.float64))
    n, k = ranks.shape
    middle = (k + 1) / 2
    spread = float(np.square(ranks - middle).sum())
    if spread <= 0:
        return Friedman(float("nan"), 1.0, 1.0, n, k)
    factor = n * n * (k - 1) / spread

    def statistic(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(factor * np.square(sums / n - middle).sum(axis=-1))

    observed = float(statistic(ranks.sum(axis=0)))
    rng = np.random.default_rng(seed)
    reached = 0
    for start in range(0, n_permutations, 1000):
        count = min(1000, n_permutations - start)
        drawn = rng.permuted(np.broadcast_to(ranks, (count, n, k)), axis=2)
        reached += int((statistic(drawn.sum(axis=1)) >= observed - 1e-9).sum())
    return Friedman(
        statistic=observed,
        p_value=(reached + 1) / (n_permutations + 1),
        p_chi_square=float(chi2.sf(observed, k - 1)),
        n_tasks=n,
        n_methods=k,
    )


def critical_difference(
    scores: pd.DataFrame,
    *,
    alpha: float = 0.05,
    corpora: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> CriticalDifference:
    """Rank methods over tasks, with Nemenyi's critical difference.

    Parameters
    ----------
    scores : DataFrame, n_tasks rows, n_methods columns
        Index: task names; higher is better. Tasks with a missing score are left out.
    alpha : float
        Level.
    corpora : mapping of str to sequence of str, optional
        Which corpora each task uses, for the cautions.
    seed : int
        Seed of the permutations of Friedman's test.

    Returns
    -------
    CriticalDifference

    Raises
    ------
    ConfigError
        If fewer than two complete tasks or two methods are left.
    """
    from scipy.stats import studentized_range

    table = _complete(scores)
    n, k = table.shape
    mean = _ranks(table.to_numpy(dtype=np.float64)).mean(axis=0)
    order = np.argsort(mean, kind="stable")
    quantile = float(studentized_range.ppf(1 - alpha, k, np.inf)) / np.sqrt(2)
    limit = float(quantile * np.sqrt(k * (k + 1) / (6 * n)))
    names = [str(table.columns[i]) for i in order]
    sorted_ranks = mean[order]
    groups: list[tuple[str, ...]] = []
    reach = 0
    for start in range(k):
        stop = int(np.searchsorted(sorted_ranks, sorted_ranks[start] + limit, side="left"))
        if stop > reach and stop - start > 1:
            groups.append(tuple(names[start:stop]))
        reach = max(reach, stop)
    return CriticalDifference(
        mean_ranks={name: float(r) for name, r in zip(names, sorted_ranks, strict=True)},
        difference=limit,
        groups=groups,
        friedman=friedman_test(table, seed=seed),
        alpha=alpha,
        tasks=tuple(str(name) for name in table.index),
        cautions=_rank_cautions(scores, table, corpora),
    )


def _rank_cautions(
    scores: pd.DataFrame, table: pd.DataFrame, corpora: Mapping[str, Sequence[str]] | None
) -> list[str]:
    out = []
    n = len(table)
    if n < _FEW_TASKS:
        out.append(
            f"{n} tasks are few: mean ranks over fewer than {_FEW_TASKS} tell apart only methods "
            "that differ on almost every task"
        )
    if len(scores) > n:
        out.append(f"{len(scores) - n} tasks are left out, because a method has no score there")
    if corpora is not None:
        used = [set(corpora.get(str(name), ())) for name in table.index]
        everything = set().union(*used)
        if any(a & b for i, a in enumerate(used) for b in used[i + 1 :]):
            out.append(
                f"the tasks share corpora ({', '.join(sorted(everything))}): they are not "
                "independent, and the test takes them as if they were"
            )
        if len(everything) < _FEW_TASKS:
            out.append(
                f"nothing follows for other corpora from these {len(everything)}: ranks describe "
                "the tasks that were run"
            )
    out.append("whether two methods are told apart also depends on which others are ranked")
    return out


def rank_intervals(
    tasks: Mapping[str, Mapping[str, Predictions | Sequence[Predictions]]],
    metric: str = "balanced_accuracy",
    *,
    level: str = "window",
    coverage: float = 0.95,
    n_replicates: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean rank of each method over tasks, with an interval from drawing people and clips anew.

    Parameters
    ----------
    tasks : mapping of str to mapping of str to Predictions, or to one per seed
        Per task and method. Only methods that every task has are ranked.
    metric : str
        One of `COUNT_METRICS`.
    level : {"window", "trial"}
        What is counted.
    coverage : float
        Coverage of the interval.
    n_replicates : int
        Bootstrap replicates.
    seed : int
        Seed of the resampling.

    Returns
    -------
    DataFrame
        One row per method, best first: `method`, `mean_rank`, `low`, `high`, `first_share` (share
        of replicates in which its mean rank is the best, ties shared), `mean_score` (over tasks),
        `n_tasks`.

    Raises
    ------
    ConfigError
        If no task is given or no two methods are in every task.

    Notes
    -----
    The tasks are fixed; nothing is said about others. A person or a clip that stands in several
    tasks is drawn equally often in all of them, since tasks with one target are no new evidence.
    """
    check_option("metric", metric, COUNT_METRICS)
    lists = [list(methods) for methods in tasks.values()]
    names = [m for m in (lists[0] if lists else []) if all(m in other for other in lists)]
    if len(names) < 2:
        raise ConfigError(
            f"Ranks need two methods that every task has; {len(lists)} tasks share {names}."
        )
    shared = [shared_counts({m: methods[m] for m in names}, level) for methods in tasks.values()]
    subject_draws, clip_draws = _common_draws(shared, n_replicates, seed)
    ranks = np.zeros((n_replicates, len(names)))
    observed = np.zeros(len(names))
    means = np.zeros(len(names))
    for task in shared:
        subjects = np.stack([subject_draws[who] for who in task.subjects], axis=1)
        clips = np.stack([clip_draws[clip] for clip in task.clips], axis=1)
        drawn = np.stack(
            [
                np.nanmean([replicate_means(c, metric, subjects, clips) for c in values], axis=0)
                for values in (task.counts[m] for m in names)
            ],
            axis=1,
        )
        scores = np.array([np.nanmean(subject_scores(task.counts[m], metric)) for m in names])
        # A replicate that holds nothing of a small task tells nothing: the observed scores stand.
        usable = np.isfinite(drawn).all(axis=1)
        drawn[~usable] = scores
        ranks += _ranks(drawn)
        observed += _ranks(scores)
        means += scores
    ranks, observed, means = ranks / len(shared), observed / len(shared), means / len(shared)
    tail = 100 * (1 - coverage) / 2
    low, high = np.percentile(ranks, [tail, 100 - tail], axis=0)
    top = np.isclose(ranks, ranks.min(axis=1, keepdims=True))
    share = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
    table = pd.DataFrame(
        {
            "method": names,
            "mean_rank": observed,
            "low": low,
            "high": high,
            "first_share": share,
            "mean_score": means,
            "n_tasks": len(shared),
        }
    )
    return table.sort_values("mean_rank", kind="stable", ignore_index=True)


def _common_draws(
    tasks: Sequence[SharedCounts], n_replicates: int, seed: int
) -> tuple[dict[tuple[str, int], NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """How often each person and each clip of all tasks is drawn, by name.

    People are drawn within their corpus; clips within the corpus that shows them and their class,
    by the first task that has them.
    """
    rng = np.random.default_rng(seed)
    people: dict[str, list[tuple[str, int]]] = {}
    for name in sorted({who for task in tasks for who in task.subjects}):
        people.setdefault(name[0], []).append(name)
    strata: dict[str, tuple[str, int]] = {}
    for task in tasks:
        corpora = ",".join(sorted({who[0] for who in task.subjects}))
        whole = next(iter(task.counts.values())).sum(axis=(0, 1, 4))
        for number, clip in enumerate(task.clips):
            seen = np.flatnonzero(whole[number])
            strata.setdefault(clip, (corpora, int(seen[0]) if len(seen) == 1 else -1))
    groups: dict[tuple[str, int], list[str]] = {}
    for clip in sorted(strata):
        groups.setdefault(strata[clip], []).append(clip)

    def draw(members: Sequence[Any]) -> dict[Any, NDArray[np.float64]]:
        size = len(members)
        found = rng.multinomial(size, np.full(size, 1 / size), size=n_replicates)
        return {name: found[:, i].astype(np.float64) for i, name in enumerate(members)}

    subjects: dict[tuple[str, int], NDArray[np.float64]] = {}
    for members in people.values():
        subjects.update(draw(members))
    clips: dict[str, NDArray[np.float64]] = {}
    for shown in groups.values():
        clips.update(draw(shown))
    return subjects, clips
