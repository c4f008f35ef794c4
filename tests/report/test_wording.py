"""Sentences follow from the scores: what is supported, what is not, and what can't be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from affectrum.report.results import TaskResult, primary
from affectrum.report.wording import access_sentence, findings, points, task_sentence


def method(label: str, scores: list[float], chance_high: float = 0.4) -> SimpleNamespace:
    mean = float(np.mean(scores))
    return SimpleNamespace(
        label=label,
        interval=SimpleNamespace(
            value=mean, low=mean - 0.05, high=mean + 0.05, n_subjects=len(scores), n_clips=6
        ),
        chance=SimpleNamespace(value=1 / 3, low=0.3, high=chance_high),
        subjects=pd.DataFrame(
            {
                "corpus": "SEED",
                "subject": np.arange(1, len(scores) + 1),
                "balanced_accuracy": scores,
            }
        ),
        meta={
            "grants": ["source_signals", "calibration_signals", "calibration_labels"],
            "protocol": "cross-corpus/calibrated",
            "calibration_trials": 9,
            "scaling": "calibration",
            "selection": "last",
        },
        cells=[],
    )


def task(*methods: SimpleNamespace) -> TaskResult:
    return TaskResult("SEED-IV → SEED", list(methods))


def test_points() -> None:
    assert points(0.12345) == "12.3"
    assert points(1.0) == "100.0"
    assert points(float("nan")) == "–"


def test_a_clear_difference_is_supported() -> None:
    rng = np.random.default_rng(0)
    good = list(0.7 + 0.02 * rng.standard_normal(12))
    bad = list(0.4 + 0.02 * rng.standard_normal(12))
    first, *rest = findings(task(method("poor", bad), method("good", good)))
    assert first.startswith(f"SEED-IV → SEED: good has the highest mean, {points(np.mean(good))} ")
    assert "above the chance interval" in first
    assert rest == [
        "Supported at 5 % after Holm's correction: it scores higher than poor "
        f"(by {points(np.mean(good) - np.mean(bad))} points)."
    ]


def test_no_difference_is_claimed_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    scores = 0.5 + 0.1 * rng.standard_normal(12)
    other = scores + 0.02 * rng.standard_normal(12)
    told = findings(task(method("a", list(scores)), method("b", list(other))))
    assert not any("Supported at" in sentence for sentence in told)
    (sentence,) = (s for s in told if s.startswith("Not supported: "))
    assert "1 paired permutation tests" in sentence
    assert "can occur" not in sentence  # with 12 subjects it could have been found


def test_too_few_subjects_can_support_nothing_and_that_is_said() -> None:
    """With 3 subjects the smallest two-sided p of sign flips is 2 / 2**3."""
    told = findings(task(method("a", [0.9, 0.91, 0.92]), method("b", [0.3, 0.3, 0.3])))
    assert not any("Supported at" in sentence for sentence in told)
    assert told[-1].endswith(
        "With these subjects and comparisons no corrected p below 0.25 can occur."
    )


def test_a_best_method_inside_the_chance_interval_reads_nothing() -> None:
    (sentence,) = findings(task(method("a", [0.35, 0.36, 0.34], chance_high=0.4)))
    assert "no evidence that it reads the classes" in sentence


def test_what_was_granted_is_told() -> None:
    results = task(method("a", [0.5, 0.6]))
    assert access_sentence(results.meta) == (
        "source signals, the subject's first trials, their labels"
    )
    sentence = task_sentence(results)
    for words in ("cross-corpus/calibrated", "9 calibration trials", "2 test subjects, 6 clips"):
        assert words in sentence
    assert "“last”" in sentence


@pytest.mark.parametrize("order", [[3, 9, 6], [9, 3, 6]])
def test_figures_are_drawn_for_the_task_with_most_trials(order: list[int]) -> None:
    tasks = []
    for trials in order:
        one = method("a", [0.5, 0.6])
        one.meta = {
            **one.meta,
            "calibration_trials": trials,
            "task": {"target": "SEED", "calibration_trials": trials, "name": f"{trials}"},
        }
        tasks.append(TaskResult(f"{trials}", [one]))
    assert [t.title for t in primary(tasks)] == ["9"]
