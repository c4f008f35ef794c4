"""Headings of tasks that differ only in how the target is used."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from affectrum.report.results import group_results


def cell(use: str | None, protocol: str, k: int | None = None, **task: Any) -> SimpleNamespace:
    base = protocol.split(" (")[0]
    meta = {
        "task": {"target_use": use, "calibration_trials": k, **task},
        "task_title": f"A -> B, valence3, {base}",
        "protocol": protocol,
        "calibration_trials": k,
        "method": {"label": "svm", "config": {}},
        "seed": 0,
    }
    return SimpleNamespace(meta=meta)


def test_headings_say_which_target_signals_were_used() -> None:
    name = "cross-corpus/unsupervised"
    cells: list[Any] = [
        cell("others", f"{name} (other subjects)"),
        cell("calibration", f"{name} (first trials)", 9),
        cell("test", f"{name} (transductive)"),
        cell(None, "cross-corpus/zero-shot"),
    ]
    assert [task.title for task in group_results(cells)] == [
        f"A → B, valence3, {name} (other subjects)",
        f"A → B, valence3, {name} (first trials), 9 calibration trials",
        f"A → B, valence3, {name} (transductive)",
        "A → B, valence3, cross-corpus/zero-shot",
    ]


def test_what_else_sets_tasks_of_one_name_apart_is_still_told() -> None:
    cells: list[Any] = [
        cell(None, "cross-corpus/zero-shot"),
        cell(None, "cross-corpus/zero-shot", seed_words="other"),
    ]
    assert group_results(cells)[1].title.endswith("(seed_words other, 2)")
