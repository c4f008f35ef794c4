"""One row of the score table: mean, spread, interval, chance, calibration, cautions."""

from __future__ import annotations

from typing import Any

import numpy as np

from affectrum.evaluation.chance import chance_level
from affectrum.evaluation.classification import METRICS
from affectrum.evaluation.intervals import crossed_bootstrap, crossed_confusions
from affectrum.evaluation.predictions import Predictions, score_predictions
from affectrum.evaluation.reliability import calibration

__all__ = ["MIN_CLIPS_PER_CLASS", "MIN_SUBJECTS", "cautions", "summarise"]

#: Below these a score is printed with a warning.
MIN_SUBJECTS = 5
MIN_CLIPS_PER_CLASS = 5


def cautions(predictions: Predictions) -> list[str]:
    """Say where there is too little data for what a reader may conclude.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.

    Returns
    -------
    list of str
        One sentence each; empty if there is enough.
    """
    out = []
    n_subjects = int(predictions.subject.max()) + 1
    if n_subjects < MIN_SUBJECTS:
        out.append(
            f"only {n_subjects} test subject{'s' if n_subjects > 1 else ''} (fewer than "
            f"{MIN_SUBJECTS}): the interval over subjects is not to be trusted"
        )
    scarce, alone = [], []
    for index, name in enumerate(predictions.classes):
        n_clips = len(np.unique(predictions.clip[predictions.y_true == index]))
        if n_clips < MIN_CLIPS_PER_CLASS:
            scarce.append(f"{name} {n_clips}")
        if n_clips == 1:
            alone.append(name)
    if scarce:
        out.append(
            f"fewer than {MIN_CLIPS_PER_CLASS} test clips per class ({', '.join(scarce)}): the "
            "score may be about these clips rather than about the emotion"
        )
    if alone:
        out.append(
            f"one test clip only for {', '.join(alone)}: what other clips would change can't be "
            "estimated, and the interval leaves it out"
        )
    return out


def summarise(
    predictions: Predictions,
    *,
    metric: str = "balanced_accuracy",
    level: str = "window",
    n_replicates: int = 2000,
    n_permutations: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Summarise one cell.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.
    metric : str
        The metric with an interval and a chance level.
    level : {"window", "trial"}
        What counts as one.
    n_replicates, n_permutations : int
        For the interval and the chance level.
    seed : int
        Seed of both.

    Returns
    -------
    dict
        ``n_subjects``, ``n_clips``, ``<metric>`` and ``<metric>_sd`` (mean and SD over subjects)
        for each of `METRICS`, ``interval_low``, ``interval_high``, ``chance``, ``chance_low``,
        ``chance_high``, ``chance_p`` (labels permuted by trial), ``chance_clip_low``,
        ``chance_clip_high``, ``chance_clip_p`` (by clip, alike for all subjects), ``majority``,
        ``ece``, ``brier``, ``nll``, ``cautions``.
    """
    table = score_predictions(predictions, level)
    interval = crossed_bootstrap(
        crossed_confusions(predictions, level), metric, n_replicates=n_replicates, seed=seed
    )
    chance = chance_level(
        predictions, metric, level=level, n_permutations=n_permutations, seed=seed
    )
    by_clip = chance_level(
        predictions, metric, level=level, by="clip", n_permutations=n_permutations, seed=seed
    )
    at_level = predictions.at(level)
    out: dict[str, Any] = {"n_subjects": interval.n_subjects, "n_clips": interval.n_clips}
    for name in METRICS:
        values = table[name].to_numpy(dtype=np.float64)
        values = values[np.isfinite(values)]
        out[name] = float(values.mean()) if len(values) else float("nan")
        out[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    out.update(
        interval_low=interval.low,
        interval_high=interval.high,
        chance=chance.value,
        chance_low=chance.low,
        chance_high=chance.high,
        chance_p=chance.p_value,
        chance_clip_low=by_clip.low,
        chance_clip_high=by_clip.high,
        chance_clip_p=by_clip.p_value,
        majority=chance.majority,
        **calibration(at_level.y_true, at_level.scores),
        cautions=cautions(predictions),
    )
    return out
