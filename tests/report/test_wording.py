"""Sentences follow from the scores: what is supported, what is not, and what can't be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from affectrum.report.results import TaskResult, primary
from affectrum.report.wording import (
    access_sentence,
    best_sentence,
    best_verdict,
    points,
    task_sentence,
)


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


def pairs(rows: list[tuple[str, str, float, bool]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["first", "second", "difference", "supported"])


def test_a_clear_difference_is_supported() -> None:
    one = task(method("poor", [0.4, 0.42]), method("good", [0.7, 0.72]))
    assert best_sentence(one).startswith(
        "SEED-IV → SEED: good has the highest mean, 71.0 (95 % interval 66.0 to 76.0; chance 33.3"
    )
    assert "above the chance interval" in best_sentence(one)
    told = best_verdict(one, pairs([("poor", "good", -0.3, True)]))
    assert told == "Supported: it scores higher than poor (by 30.0 points)."


def test_no_difference_is_claimed_where_there_is_none() -> None:
    one = task(method("a", [0.5, 0.52]), method("b", [0.49, 0.5]), method("c", [0.1, 0.1]))
    rows = [("a", "b", 0.01, False), ("a", "c", 0.4, True), ("b", "c", 0.4, True)]
    assert best_verdict(one, pairs(rows)) == (
        "Supported: it scores higher than c (by 40.0 points). Not supported: a difference from b."
    )
    assert best_verdict(one, pairs([])) == ""


def test_a_best_method_inside_the_chance_interval_reads_nothing() -> None:
    sentence = best_sentence(task(method("a", [0.35, 0.36, 0.34], chance_high=0.4)))
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
    shorter = task_sentence(results, sizes=False)
    assert "9 calibration trials" not in shorter
    assert "subjects" not in shorter


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
