"""How hard the twins are: the table of docs/twins.md, at the `small` size.

A seed's table scatters by several points with six subjects, so the bands are asked of the mean
over seeds, and of the default seed with a margin.
"""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.twins import TwinGenerator, TwinSettings
from affectrum.twins.difficulty import (
    DIFFICULTY_BANDS,
    Task,
    balanced_accuracy,
    difficulty,
    entropy_windows,
    leave_one_subject_out,
    make_task,
    permute_labels,
    split_inside_trials,
    stimulus_disjoint,
    within_subject,
)

SEEDS = (0, 1, 2)
MARGIN = 0.03


def small_task() -> Task:
    return make_task("SEED", n_subjects=2, trial_seconds=4.0)


# the check itself ----------------------------------------------------------------------------


def test_entropy_of_white_noise() -> None:
    """White noise of unit variance at 200 Hz has (b - a) / 100 of it between a and b Hz."""
    rng = np.random.default_rng(0)
    entropy = entropy_windows(
        rng.standard_normal((50, 200 * 40)), 200.0, ((8.0, 14.0), (31.0, 45.0))
    )
    expected = 0.5 * np.log(2 * np.pi * np.e * np.array([6, 14]) / 100)
    # the mean of a log is below the log of the mean: a few hundredths at this many bins
    difference = entropy.mean(axis=(0, 1)) - expected
    assert np.all((difference < 0) & (difference > [-0.2, -0.08]))


def test_balanced_accuracy_by_hand() -> None:
    y, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    assert balanced_accuracy(y, predicted) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_permuted_labels_stay_whole_trials_of_the_same_subject() -> None:
    task = small_task()
    shuffled = permute_labels(task, seed=1)
    assert not np.array_equal(shuffled.y, task.y)
    for subject in (1, 2):
        rows = task.subject == subject
        classes = [np.unique(shuffled.y[rows & (task.row == r)]) for r in np.unique(task.row)]
        assert all(len(found) == 1 for found in classes)
        assert sorted(int(found[0]) for found in classes) == [0] * 5 + [1] * 5 + [2] * 5


def test_rated_trials_are_split_at_the_middle_of_the_scale() -> None:
    task = make_task("DEAP", n_subjects=1, trial_seconds=2.0)
    generator = TwinGenerator("DEAP", trial_seconds=2.0)
    for row in (1, 9, 40):
        reported = generator.rating(1, 1, row).reported[0]
        assert set(task.y[task.row == row]) == {int(reported > 0)}


# slow: the table -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables() -> list[dict[str, dict[str, float]]]:
    return [difficulty(seed=seed) for seed in SEEDS]


@pytest.mark.slow
@pytest.mark.parametrize("task", list(DIFFICULTY_BANDS))
def test_difficulty_is_inside_the_bands(
    task: str, tables: list[dict[str, dict[str, float]]]
) -> None:
    for protocol, (low, high) in DIFFICULTY_BANDS[task].items():
        scores = [table[task][protocol] for table in tables]
        assert low <= np.mean(scores) <= high, (protocol, scores)
        assert low - MARGIN <= scores[0] <= high + MARGIN, (protocol, scores[0])


@pytest.mark.slow
def test_permuted_labels_are_at_chance() -> None:
    scores = []
    for seed in SEEDS:
        shuffled = permute_labels(make_task("SEED", seed=seed), seed)
        scores.append(
            (within_subject(shuffled, 9), leave_one_subject_out(shuffled, standardised=True))
        )
    assert np.all(np.abs(np.mean(scores, axis=0) - 1 / 3) < 0.1)


@pytest.mark.slow
def test_without_emotion_clips_are_recognised_and_emotions_are_not() -> None:
    recognised, disjoint = [], []
    for seed in SEEDS:
        task = make_task("SEED", TwinSettings.null(), seed=seed)
        recognised.append(leave_one_subject_out(task, standardised=True))
        disjoint.append(stimulus_disjoint(task))
    assert np.mean(recognised) > 0.6
    assert abs(np.mean(disjoint) - 1 / 3) < 0.1


@pytest.mark.slow
def test_stress_is_clip_recognition() -> None:
    tasks = [make_task("SEED", TwinSettings.stress(), seed=seed) for seed in SEEDS]
    usual = [leave_one_subject_out(task, standardised=True) for task in tasks]
    honest = [stimulus_disjoint(task) for task in tasks]
    assert 0.87 < np.mean(usual) < 0.99
    assert np.mean(usual) - np.mean(honest) > 0.15


@pytest.mark.slow
def test_splitting_inside_trials_inflates() -> None:
    task = make_task("SEED")
    assert split_inside_trials(task) > within_subject(task, 9) + 0.1
    # even labels without any meaning are "recognised"
    assert split_inside_trials(permute_labels(task)) > 0.9


@pytest.mark.slow
def test_easy_is_easy() -> None:
    task = make_task("SEED", TwinSettings.easy())
    assert within_subject(task, 9) > 0.9
    assert leave_one_subject_out(task, standardised=False) > 0.8
    assert leave_one_subject_out(task, standardised=True) > 0.9


@pytest.mark.slow
def test_windows_of_a_trial_are_more_alike_than_trials_of_a_class() -> None:
    task = make_task("SEED", smoothing="none")
    for subject in (1, 2, 3):
        own = task.select(task.subject == subject)
        rows = np.unique(own.row)
        odd = np.array(
            [own.x[(own.row == row) & (own.window % 2 == 1)].mean(axis=0) for row in rows]
        )
        even = np.array(
            [own.x[(own.row == row) & (own.window % 2 == 0)].mean(axis=0) for row in rows]
        )
        label = np.array([own.y[own.row == row][0] for row in rows])
        within = np.mean((odd - even) ** 2)
        between = np.mean(
            [
                np.mean((odd[i] - even[j]) ** 2)
                for i in range(len(rows))
                for j in range(len(rows))
                if i != j and label[i] == label[j]
            ]
        )
        assert within < between
