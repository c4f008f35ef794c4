"""What the soft weights follow: time, trial, subject or class.

SCMM's central claim is that likeness of inputs stands for likeness of feelings: neighbours in time
and the same emotion in other people should weigh more. These tables show whether that holds for
given windows. They are measurements on the inputs alone; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.methods.base import derive_seed
from affectrum.methods.scmm.pretraining import check_windows, to_tensor, trial_numbers
from affectrum.methods.scmm.weights import DistanceScaling, Metric, soft_assignments
from affectrum.training.samplers import SamplerName, make_sampler

if TYPE_CHECKING:
    from affectrum.windows import Windows

__all__ = ["SoftWeightDiagnostics", "diagnose_soft_weights"]

_RELATIONS = ("same trial", "same subject, other trial", "other subject")
_CLASS_RELATIONS = ("same class", "other class", "class not known")
_TIME_EDGES_S = (0.0, 1.5, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, float("inf"))


@dataclass(frozen=True)
class SoftWeightDiagnostics:
    """Mean soft weights by what two windows have in common.

    Attributes
    ----------
    by_time : DataFrame
        Pairs of one trial: ``from_s``, ``to_s`` (distance of their starts, upper end excluded),
        ``n_pairs``, ``mean_weight``, ``sd_weight``. Missing where there was no pair.
    by_relation : DataFrame
        ``relation`` (same trial; same subject, other trial; other subject), ``classes`` (same
        class, other class, class not known), ``n_pairs``, ``mean_weight``, ``sd_weight``.
    share_of_neighbours : float
        Share of all pairs in a batch that are of one trial and start within 5 s: what the sampler
        gives the loss to work with.
    sampler : str
        How batches were drawn.
    n_batches, batch_size : int
        How much was looked at.
    simulated : bool
        Whether any window comes from simulated data.
    """

    by_time: pd.DataFrame
    by_relation: pd.DataFrame
    share_of_neighbours: float
    sampler: str
    n_batches: int
    batch_size: int
    simulated: bool

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able data; what is missing is None."""

        def records(table: pd.DataFrame) -> list[dict[str, Any]]:
            rows = table.to_dict(orient="records")
            return [
                {
                    str(key): None if isinstance(value, float) and not np.isfinite(value) else value
                    for key, value in row.items()
                }
                for row in rows
            ]

        return {
            "by_time": records(self.by_time),
            "by_relation": records(self.by_relation),
            "share_of_neighbours": self.share_of_neighbours,
            "sampler": self.sampler,
            "n_batches": self.n_batches,
            "batch_size": self.batch_size,
            "simulated": self.simulated,
        }


class _Moments:
    """Count, mean and standard deviation of values by group, in one pass."""

    def __init__(self, n_groups: int) -> None:
        self.n_groups = n_groups
        self.count = np.zeros(n_groups, dtype=np.int64)
        self.sum = np.zeros(n_groups)
        self.square = np.zeros(n_groups)

    def add(self, group: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        self.count += np.bincount(group, minlength=self.n_groups)
        self.sum += np.bincount(group, weights=value, minlength=self.n_groups)
        self.square += np.bincount(group, weights=value**2, minlength=self.n_groups)

    def columns(self) -> dict[str, NDArray[Any]]:
        count = np.where(self.count > 0, self.count, np.nan)
        mean = self.sum / count
        spread = np.sqrt(np.maximum(self.square / count - mean**2, 0))
        return {"n_pairs": self.count, "mean_weight": mean, "sd_weight": spread}


def diagnose_soft_weights(
    windows: Windows,
    y: NDArray[np.int64] | None = None,
    *,
    upper_bound: float,
    sharpness: float,
    metric: Metric = "cosine",
    scaling: DistanceScaling = "none",
    sampler: SamplerName = "random",
    batch_size: int = 256,
    n_batches: int = 40,
    block_length: int = 16,
    time_edges_s: Sequence[float] = _TIME_EDGES_S,
    seed: int = 0,
) -> SoftWeightDiagnostics:
    """Average the soft weights of unmasked windows over batches, by what a pair has in common.

    Parameters
    ----------
    windows : Windows
        Band features with `subject`, trial identity and, for the table of times, `start_s`.
    y : ndarray of int64, shape (n,), optional
        Classes; without them the class relation is "class not known".
    upper_bound, sharpness, metric, scaling
        See `soft_assignments`; `sharpness` as a distance.
    sampler : {"random", "blocks"}
        How batches are drawn.
    batch_size, n_batches, block_length : int
        How much is looked at.
    time_edges_s : sequence of float
        Increasing edges of the time distance in s, from 0.
    seed : int
        Seed of the batches.

    Returns
    -------
    SoftWeightDiagnostics
        Tables. With column scaling the two weights of a pair are averaged.

    Raises
    ------
    ConfigError
        If there are fewer than two windows, or the labels don't fit.
    """
    check_windows(windows)
    n = len(windows)
    if n < 2 or (y is not None and len(y) != n):
        raise ConfigError(
            "diagnose_soft_weights needs at least 2 windows and, if any, one label per window; "
            f"received {n} windows and {'no' if y is None else len(y)} labels."
        )
    x = to_tensor(windows.x, torch.device("cpu"))
    table = windows.table
    trials = trial_numbers(windows)
    people = [name for name in ("corpus", "subject") if name in table.columns]
    subjects = np.asarray(table.groupby(people, sort=False, dropna=False).ngroup())
    if "start_s" in table.columns:
        start = table["start_s"].to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        start = np.full(n, np.nan)
    edges = np.asarray(time_edges_s, dtype=np.float64)

    draw = make_sampler(sampler, trials, batch_size, derive_seed(seed, "diagnosis"), block_length)
    times = _Moments(len(edges) - 1)
    relations = _Moments(len(_RELATIONS) * len(_CLASS_RELATIONS))
    n_neighbours, n_pairs = 0, 0
    for step in range(n_batches):
        rows = draw.batch(step)
        weights = soft_assignments(
            x[torch.from_numpy(rows)], upper_bound, sharpness, metric, scaling=scaling
        ).double()
        one, other = np.triu_indices(len(rows), k=1)
        value = (0.5 * (weights + weights.T)).numpy()[one, other]
        first, second = rows[one], rows[other]

        same_trial = trials[first] == trials[second]
        same_subject = subjects[first] == subjects[second]
        relation = np.where(same_trial, 0, np.where(same_subject, 1, 2))
        if y is None:
            classes = np.full(len(value), 2)
        else:
            classes = np.where(y[first] == y[second], 0, 1)
        relations.add(relation * len(_CLASS_RELATIONS) + classes, value)

        distance = np.abs(start[first] - start[second])
        timed = same_trial & np.isfinite(distance)
        place = np.searchsorted(edges, distance[timed], side="right") - 1
        inside = (place >= 0) & (place < len(edges) - 1)
        times.add(place[inside], value[timed][inside])
        n_neighbours += int((distance[timed] <= 5).sum())
        n_pairs += len(value)

    by_relation = pd.DataFrame(
        {
            "relation": np.repeat(_RELATIONS, len(_CLASS_RELATIONS)),
            "classes": np.tile(_CLASS_RELATIONS, len(_RELATIONS)),
            **relations.columns(),
        }
    )
    return SoftWeightDiagnostics(
        by_time=pd.DataFrame({"from_s": edges[:-1], "to_s": edges[1:], **times.columns()}),
        by_relation=by_relation[by_relation["n_pairs"] > 0].reset_index(drop=True),
        share_of_neighbours=n_neighbours / n_pairs,
        sampler=sampler,
        n_batches=n_batches,
        batch_size=draw.batch(0).size,
        simulated=windows.simulated,
    )
