"""What a score would be if the predictions had nothing to do with the labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import check_option
from affectrum.evaluation.classification import COUNT_METRICS, metrics_from_confusion
from affectrum.evaluation.predictions import Predictions

__all__ = ["Chance", "chance_level"]


@dataclass(frozen=True)
class Chance:
    """The empirical chance level of a metric's mean over subjects.

    Attributes
    ----------
    value : float
        Mean over permutations.
    low, high : float
        Interval of the permutations; a score inside it is not above chance.
    majority : float
        The same metric for always predicting each subject's most frequent class.
    p_value : float
        Share of permutations that reach the observed score (one-sided, the observed one counted).
    n_permutations : int
        How many.
    by : str
        What was permuted: "trial" or "clip".
    """

    value: float
    low: float
    high: float
    majority: float
    p_value: float
    n_permutations: int
    by: str = "trial"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)


def chance_level(
    predictions: Predictions,
    metric: str = "balanced_accuracy",
    *,
    level: str = "window",
    by: str = "trial",
    n_permutations: int = 1000,
    coverage: float = 0.95,
    seed: int = 0,
) -> Chance:
    """Permute labels by whole trials, or by whole clips, keeping the predictions.

    Parameters
    ----------
    predictions : Predictions
        Of one cell.
    metric : str
        One of `COUNT_METRICS`.
    level : {"window", "trial"}
        What is counted.
    by : {"trial", "clip"}
        "trial" permutes the labels of each subject's trials. "clip" permutes the labels of clips,
        alike for all subjects: among clips that the same subjects saw.
    n_permutations : int
        How many.
    coverage : float
        Coverage of the interval.
    seed : int
        Seed of the permutations.

    Returns
    -------
    Chance

    Notes
    -----
    Windows of a trial keep one label, because permuting windows would break what ties them
    together and make the interval far too short. Where all subjects saw the same clips and tend to
    be predicted alike on each, permuting by trial makes it too short as well: the interval by clip
    is the one that a score has to leave. Neither sees that a model was *trained* to recognise
    clips; that takes the controls, which train on permuted labels.
    """
    check_option("metric", metric, COUNT_METRICS)
    check_option("by", by, ("trial", "clip"))
    rows = predictions.at(level)
    n_classes = len(rows.classes)
    n_trials = int(rows.trial.max()) + 1
    first = np.unique(rows.trial, return_index=True)[1]
    truth, subject = rows.y_true[first], rows.subject[first]
    # How often each class was predicted in each trial.
    guesses = np.zeros((n_trials, n_classes))
    np.add.at(guesses, (rows.trial, rows.y_pred), 1.0)
    rng = np.random.default_rng(seed)
    if by == "clip":
        permuted = _by_clip(rng, truth, subject, rows.clip[first], n_permutations)
    n_subjects = int(subject.max()) + 1
    total = np.zeros(n_permutations)
    observed = majority = 0.0
    for number in range(n_subjects):
        mine = np.flatnonzero(subject == number)
        if by == "trial":
            labels = np.broadcast_to(truth[mine], (n_permutations, len(mine)))
            shuffled = rng.permuted(labels, axis=1)
        else:
            shuffled = permuted[:, mine]
        hot = (shuffled[:, None, :] == np.arange(n_classes)[:, None]).astype(np.float64)
        values = metrics_from_confusion(hot @ guesses[mine], (metric,))[metric]
        total += np.nan_to_num(values)
        own = (truth[mine][None] == np.arange(n_classes)[:, None]).astype(np.float64)
        observed += float(np.nan_to_num(metrics_from_confusion(own @ guesses[mine])[metric]))
        sizes = own @ guesses[mine].sum(axis=1)
        constant = np.zeros((n_classes, n_classes))
        constant[:, int(sizes.argmax())] = sizes
        majority += float(np.nan_to_num(metrics_from_confusion(constant)[metric]))
    means = total / n_subjects
    tail = 100 * (1 - coverage) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    reached = int((means >= observed / n_subjects - 1e-12).sum())
    return Chance(
        value=float(means.mean()),
        low=float(low),
        high=float(high),
        majority=majority / n_subjects,
        p_value=(reached + 1) / (n_permutations + 1),
        n_permutations=n_permutations,
        by=by,
    )


def _by_clip(
    rng: np.random.Generator,
    truth: NDArray[np.int64],
    subject: NDArray[np.int64],
    clip: NDArray[np.int64],
    n_permutations: int,
) -> NDArray[np.int64]:
    """Labels of trials with clips exchanged, shape (n_permutations, n_trials).

    A clip takes the labels of another one that the same subjects saw, subject by subject, so that
    self-reports move along with their clip.
    """
    n_subjects, n_clips = int(subject.max()) + 1, int(clip.max()) + 1
    # A subject's label of a clip; of a clip seen several times, the first one.
    label = np.full((n_subjects, n_clips), -1, dtype=np.int64)
    label[subject[::-1], clip[::-1]] = truth[::-1]
    patterns = np.unique(label >= 0, axis=1, return_inverse=True)[1].ravel()
    source = np.tile(np.arange(n_clips), (n_permutations, 1))
    for pattern in range(int(patterns.max()) + 1):
        members = np.flatnonzero(patterns == pattern)
        drawn = np.broadcast_to(members, (n_permutations, len(members)))
        source[:, members] = rng.permuted(drawn, axis=1)
    return np.asarray(label[subject, source[:, clip]])
