"""What may stand side by side: tasks under one protocol, one selection rule, one access.

A transductive score, one whose epoch was chosen on the test, and one that saw nothing of the target
answer different questions. Each gets a panel of its own; maps, ranks and tables hold one panel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum import evaluation
from affectrum.report.results import METRIC, MethodResult, TaskResult

__all__ = ["Panel", "Place", "make_panels"]

#: Fields of a task that describe the tested side; equal ones share a column.
_TESTED = (
    "target",
    "classes",
    "calibration_trials",
    "test_after",
    "shots",
    "split",
    "target_sessions",
    "subjects",
)
#: Fields that describe the training side; equal ones share a row.
_TRAINED = ("source", "source_classes", "source_sessions")
#: Fields that say who or what a task is, not under which rules.
_NAMES = ("name", "methods")
_SAME = "same corpus"


@dataclass(frozen=True)
class Place:
    """Where a task stands in a panel's map.

    Attributes
    ----------
    row, column : str
        What trains, and what is tested.
    sub : str
        What is special about the test, such as "3 classes, 9 trials".
    """

    row: str
    column: str
    sub: str = ""


@dataclass(frozen=True)
class Panel:
    """Tasks whose scores answer one question.

    Attributes
    ----------
    key : str
        What they share, as text.
    tasks : list of TaskResult
        In the order of the plan.
    """

    key: str
    tasks: list[TaskResult]

    @property
    def meta(self) -> dict[str, Any]:
        """What the first cell says."""
        return self.tasks[0].meta

    @property
    def protocol(self) -> str:
        """The protocol with its modifiers."""
        return str(self.meta["protocol"])

    @property
    def declared(self) -> tuple[str, ...]:
        """Leaks that were declared."""
        return tuple(dict.fromkeys(n for t in self.tasks for m in t.methods for n in m.declared))

    @property
    def simulated(self) -> bool:
        """Whether anything in it is simulated."""
        return any(task.simulated for task in self.tasks)

    @property
    def biased(self) -> str:
        """Why no finding is drawn from these scores; empty if there is no reason."""
        if self.meta["selection"] == "oracle":
            return (
                "The epoch was chosen on the test (oracle): these scores say what choosing can do, "
                "and nothing about methods."
            )
        if self.declared:
            return (
                f"The leak audit failed here by declaration ({', '.join(self.declared)}): nothing "
                "follows from these scores."
            )
        return ""

    @property
    def title(self) -> str:
        """Protocol, and what else sets it apart from other panels."""
        meta = self.meta
        parts = [self.protocol]
        if meta["selection"] != "last":
            parts.append(f"weights: {meta['selection']}")
        parts.append(f"scaling: {meta['scaling']}")
        recipe = meta.get("recipe") or {}
        if recipe.get("name"):
            parts.append(f"recipe {recipe['name']}")
        if meta.get("labels"):
            parts.append(f"labels: {meta['labels']}")
        if self.declared:
            parts.append(f"declared leaks: {', '.join(self.declared)}")
        if isinstance(meta.get("shared"), dict):
            parts.append(f"pooled, key {str(meta['shared']['key'])[:8]}")
        return " · ".join(parts)

    @cached_property
    def methods(self) -> list[str]:
        """Names of methods in the order in which they first appear."""
        return list(dict.fromkeys(m.label for task in self.tasks for m in task.methods))

    @cached_property
    def ranked(self) -> tuple[list[TaskResult], list[str]]:
        """Tasks and methods that are ranked: every one of these methods ran on every one of them.

        All methods on the tasks that have all of them, if these are at least half of the tasks;
        else the methods that every task has.
        """
        labels = [{m.label for m in task.methods} for task in self.tasks]
        whole = [
            task
            for task, found in zip(self.tasks, labels, strict=True)
            if found >= set(self.methods)
        ]
        if 2 * len(whole) >= len(self.tasks):
            return whole, self.methods
        return self.tasks, [name for name in self.methods if all(name in f for f in labels)]

    @cached_property
    def places(self) -> list[Place]:
        """Row and column of each task; no two tasks share both."""
        found: list[Place] = []
        for task in self.tasks:
            place = _place(task)
            number = 1
            base = place
            while any(
                (p.row, p.column, p.sub) == (place.row, place.column, place.sub) for p in found
            ):
                number += 1
                place = Place(base.row, base.column, f"{base.sub} ({number})")
            found.append(place)
        return found

    @cached_property
    def _order(self) -> list[str]:
        """Corpora in the order in which they first train or are tested."""
        pairs = [(place.row, place.column) for place in self.places]
        return list(dict.fromkeys(name for pair in pairs for name in pair))

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """Tested corpora with what is special about the test."""
        found = dict.fromkeys((place.column, place.sub) for place in self.places)
        return sorted(found, key=lambda column: self._order.index(column[0]))

    @cached_property
    def rows(self) -> list[str]:
        """Training corpora, in the same order."""
        return sorted({place.row for place in self.places}, key=self._order.index)

    def short(self, task: TaskResult) -> str:
        """Name of a task inside the panel: its corpora, where that is enough."""
        place = self.places[self.tasks.index(task)]
        same = [p for p in self.places if (p.row, p.column) == (place.row, place.column)]
        if len(same) > 1:
            return task.title
        return place.column if place.row == _SAME else f"{place.row} → {place.column}"

    def method(self, task: TaskResult, label: str) -> MethodResult | None:
        """One method of a task, None if it has no result there."""
        return next((m for m in task.methods if m.label == label), None)

    def grid(self, label: str) -> NDArray[np.float64]:
        """Scores of one method.

        Parameters
        ----------
        label : str
            The method.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_columns, 5)
            Score, ends of its interval, chance of a guess, upper end of the chance interval; NaN
            where the method has no result.
        """
        out = np.full((len(self.rows), len(self.columns), 5), np.nan)
        for task, place in zip(self.tasks, self.places, strict=True):
            found = self.method(task, label)
            if found is None:
                continue
            row, column = self.rows.index(place.row), self.columns.index((place.column, place.sub))
            interval = found.interval
            out[row, column] = (
                interval.value,
                interval.low,
                interval.high,
                1 / len(task.classes),
                found.chance.high,
            )
        return out

    @cached_property
    def ranks(self) -> pd.DataFrame | None:
        """Mean ranks of what is `ranked`; None with fewer than two tasks or two methods.

        See `affectrum.evaluation.rank_intervals`.
        """
        ranked, names = self.ranked
        if len(names) < 2 or len(ranked) < 2:
            return None
        tasks = {
            f"{number} {task.title}": {
                m.label: m.predictions for m in task.methods if m.label in names
            }
            for number, task in enumerate(ranked)
        }
        return evaluation.rank_intervals(tasks, METRIC)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every difference between two methods on one task of the panel.

        Columns of `affectrum.evaluation.compare_predictions` with `task` (its number) in front.
        `p_holm` is the larger one of that of the task alone and of `p_crossed` corrected for all
        differences of the panel (permutations are too coarse for so many); `supported` and
        `detectable` follow it. `supported_alone` is corrected within the task only; `testable`:
        whether enough subjects were tested for any difference to be supported.
        """
        tables = []
        for number, task in enumerate(self.tasks):
            if len(task.methods) > 1:
                table = task.pairs.copy()
                table.insert(0, "task", number)
                tables.append(table)
        if not tables:
            return pd.DataFrame(columns=["task", "first", "second", "p_holm", "supported"])
        joined = pd.concat(tables, ignore_index=True)
        p = joined["p_crossed"].to_numpy(dtype=np.float64)
        corrected = evaluation.holm(np.where(np.isfinite(p), p, 1.0))
        alone = joined["p_holm"].to_numpy(dtype=np.float64)
        joined["supported_alone"] = joined["supported"]
        joined["p_holm"] = np.maximum(alone, np.where(np.isfinite(p), corrected, np.nan))
        joined["supported"] = joined["p_holm"] < 0.05
        # With few subjects no pattern of signs is rare enough for the methods of one task.
        n_alone = joined.groupby("task")["first"].transform("size").to_numpy()
        joined["testable"] = joined["smallest_p"].to_numpy() * n_alone < 0.05
        joined["detectable"] = [
            evaluation.detectable_difference(float(error), float(df), n_comparisons=len(joined))
            if testable
            else float("nan")
            for error, df, testable in zip(
                joined["error"], joined["df"], joined["testable"], strict=True
            )
        ]
        return joined


def make_panels(tasks: Sequence[TaskResult]) -> list[Panel]:
    """Put tasks that may be compared together.

    Parameters
    ----------
    tasks : sequence of TaskResult
        From `group_results`.

    Returns
    -------
    list of Panel
        In the order of the plan. Tasks share a panel if they agree in the protocol with its
        modifiers, the grants, selection, scaling, recipe, declared leaks, and every field of
        theirs that is neither about which corpora train nor about which are tested.
    """
    panels: dict[str, list[TaskResult]] = {}
    for task in tasks:
        panels.setdefault(_key(task), []).append(task)
    return [Panel(key, found) for key, found in panels.items()]


def _key(task: TaskResult) -> str:
    meta = task.meta
    fields: Mapping[str, Any] = meta["task"]
    rules = {
        name: value
        for name, value in fields.items()
        if name not in (*_TESTED, *_TRAINED, *_NAMES, "protocol", "scaling", "declared_leaks")
    }
    declared = sorted({name for method in task.methods for name in method.declared})
    shared = meta.get("shared")
    content = {
        "protocol": meta["protocol"],
        "grants": sorted(meta["grants"]),
        "selection": meta["selection"],
        "scaling": meta["scaling"],
        "recipe": meta.get("recipe"),
        "declared": declared,
        "rules": rules,
        "shared": shared["key"] if isinstance(shared, dict) else "",
    }
    return json.dumps(content, sort_keys=True, default=str)


def _place(task: TaskResult) -> Place:
    meta = task.meta
    fields: Mapping[str, Any] = meta["task"]
    base = str(meta.get("base") or meta["protocol"])
    sources = [str(name) for name in meta["source"]]
    if base.startswith("leave-one-corpus-out"):
        row = "all other corpora"
    elif base.startswith("leave-one-lab-out"):
        row = "all other labs"
    else:
        row = " + ".join(sources) or _SAME
    if fields.get("source_classes"):
        row += f" ({_words(fields['source_classes'])})"
    if fields.get("source_sessions"):
        row += f", sessions {_words(fields['source_sessions'])}"
    parts = [_words(fields["classes"])] if isinstance(fields["classes"], str) else []
    if not parts:
        parts = [f"{len(task.classes)} classes"]
    if meta.get("calibration_trials"):
        parts.append(f"k={meta['calibration_trials']}")
    if fields.get("shots"):
        parts.append(f"{fields['shots']} shots")
    if fields.get("split"):
        parts.append(str(fields["split"]))
    if fields.get("target_sessions"):
        parts.append(f"sessions {_words(fields['target_sessions'])}")
    if fields.get("subjects"):
        parts.append("some subjects")
    return Place(row, str(meta["target"]), ", ".join(parts))


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "/".join(map(str, value))
    return str(value)
