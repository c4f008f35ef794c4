"""Where a missing gain comes from: how much the loss could teach, and how much was learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.affect import emod_regions, plane_to_emod
from affectrum.reproduce.recovery.arms import word_sampler
from affectrum.reproduce.recovery.data import arm_places, source_words
from affectrum.reproduce.recovery.plan import SCRATCH, RecoveryCell, RecoveryPlan

if TYPE_CHECKING:
    from affectrum.reproduce.recovery.results import Recovery

__all__ = ["drawn_words", "loss_bounds", "pretraining_losses", "soft_bounds"]

_BATCHES = 50
_LAST = 5  # entries of the learning curve that its end is the mean of


def soft_bounds(va: NDArray[np.floating], max_distance: float) -> tuple[float, float]:
    """Say between which values soft weights let the loss move.

    Parameters
    ----------
    va : ndarray, shape (n, 2)
        Places of a batch, -1..1, none missing.
    max_distance : float
        Where weights end, in units of -4..4.

    Returns
    -------
    blind : float
        Loss where all windows look alike: ln(n - 1).
    floor : float
        What no representation can go below: the mean entropy of the normalised weights. Windows
        without a neighbour count as 0, as in the loss; `blind` is for batches where all have one.
    """
    places = plane_to_emod(va)
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    weights = np.clip(1.0 - distance / max_distance, 0.0, None)
    np.fill_diagonal(weights, 0.0)
    total = weights.sum(axis=1)
    share = weights[total > 1e-6] / total[total > 1e-6, None]
    entropy = -np.where(share > 0, share * np.log(np.where(share > 0, share, 1.0)), 0.0)
    return float(np.log(len(va) - 1)), float(entropy.sum() / len(va))


def loss_bounds(plan: RecoveryPlan, arm: str) -> tuple[float, float]:
    """Say between which values the loss of an arm's pre-training can move.

    Parameters
    ----------
    plan : RecoveryPlan
        The study.
    arm : str
        One of `ARMS`, but not the one from scratch.

    Returns
    -------
    blind, floor : float
        See `soft_bounds`; means over batches as they are drawn. For views: ln(2 n - 1) and 0.
    """
    config = RecoveryCell(plan, 0.0, plan.seeds[0], arm).config
    n = 9 * config.per_region * len(plan.sources)
    if arm == "instance":
        return float(np.log(2 * n - 1)), 0.0
    words = source_words(plan)
    va = _places(plan, arm, words)
    bounds = [
        soft_bounds(
            np.concatenate([part[rows] for part, rows in zip(va, batch, strict=True)]),
            config.max_distance,
        )
        for batch in _batches(plan, arm, words)
    ]
    blind, floor = np.mean(bounds, axis=0)
    return float(blind), float(floor)


def drawn_words(plan: RecoveryPlan, arm: str) -> dict[str, float]:
    """Say which words an arm's pre-training sees, and how often.

    Parameters
    ----------
    plan : RecoveryPlan
        The study.
    arm : str
        One of `ARMS`, but not the one from scratch.

    Returns
    -------
    dict of str to float
        Share of the windows drawn, the largest first.

    Notes
    -----
    The method draws regions of the plane in turn. Where a table leaves most of them empty, their
    turns fall to the next filled one, so that an arm's table decides what it sees.
    """
    words = source_words(plan)
    seen = np.concatenate(
        [
            np.asarray(part, dtype=object)[rows]
            for batch in _batches(plan, arm, words)
            for part, rows in zip(words, batch, strict=True)
        ]
    )
    shares = pd.Series(seen).value_counts(normalize=True)
    return {str(word): float(share) for word, share in shares.items()}


def _places(
    plan: RecoveryPlan, arm: str, words: Sequence[Sequence[str]]
) -> list[NDArray[np.float64]]:
    places = arm_places(plan, arm, {word for part in words for word in part})
    missing = (np.nan, np.nan)
    return [np.array([places.get(word, missing) for word in part]) for part in words]


def _batches(
    plan: RecoveryPlan, arm: str, words: Sequence[Sequence[str]]
) -> Iterator[list[NDArray[np.int64]]]:
    """Draw batches as the arm's pre-training does; the signals are not needed."""
    from affectrum.methods.emod.sampling import RegionSampler

    config = RecoveryCell(plan, 0.0, plan.seeds[0], arm).config
    if plan.batches == "words":
        sampler = word_sampler(plan, words, config)
    elif arm == "instance":
        sampler = RegionSampler([np.zeros(len(part), int) for part in words], config.per_region, 0)
    else:
        regions = [emod_regions(part) for part in _places(plan, arm, words)]
        sampler = RegionSampler(regions, config.per_region, 0, order=config.region_order)
    for k in range(_BATCHES):
        yield sampler.batch(k)


def pretraining_losses(found: Recovery) -> pd.DataFrame:
    """Compare where pre-training ended with what its loss allows.

    Parameters
    ----------
    found : Recovery
        The study.

    Returns
    -------
    DataFrame
        One row per level and pre-trained arm with a finished cell: `level`, `arm`, `first`
        (loss of the first step), `last` (mean of the last steps noted), `blind`, `floor` (see
        `loss_bounds`), `used` (share of the way from `blind` to `floor`; negative: worse than
        where all windows look alike), `n_seeds`; means over seeds.
    """
    rows = []
    for arm in found.plan.arms:
        if arm == SCRATCH:
            continue
        blind, floor = loss_bounds(found.plan, arm)
        for level in sorted(found.plan.levels):
            seeds = found.seeds(level, arm)
            curves = [found.meta[level, seed, arm]["pretraining_loss"] for seed in seeds]
            if not curves or not all(curves):
                continue
            first = float(np.mean([curve[0][1] for curve in curves]))
            last = float(np.mean([loss for curve in curves for _, loss in curve[-_LAST:]]))
            rows.append(
                {
                    "level": level,
                    "arm": arm,
                    "first": first,
                    "last": last,
                    "blind": blind,
                    "floor": floor,
                    "used": (blind - last) / (blind - floor),
                    "n_seeds": len(seeds),
                }
            )
    columns = ["level", "arm", "first", "last", "blind", "floor", "used", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)
