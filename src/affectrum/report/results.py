"""Stored cells, grouped and scored for a report: one entry per task, one per method in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum import evaluation

if TYPE_CHECKING:
    from affectrum.benchmark import CellResult
    from affectrum.evaluation import Predictions

__all__ = ["MethodResult", "TaskResult", "group_results", "primary"]

METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class MethodResult:
    """One method under one task, over all its seeds.

    Attributes
    ----------
    label : str
        Its name in tables.
    cells : list of CellResult
        One per seed.
    """

    label: str
    cells: list[CellResult] = field(repr=False)

    @property
    def meta(self) -> dict[str, Any]:
        """What the first seed's cell says about itself."""
        return self.cells[0].meta

    @cached_property
    def predictions(self) -> list[Predictions]:
        """Predictions of the folds whose training side has every class, one per seed."""
        return [cell.evaluable() for cell in self.cells]

    @property
    def declared(self) -> tuple[str, ...]:
        """Checks of the leak audit that were declared as exceptions, in any fold of any seed."""
        folds = [fold for cell in self.cells for fold in cell.meta["folds"]]
        return tuple(dict.fromkeys(n for f in folds for n in f["certificate"]["declared"]))

    @cached_property
    def subjects(self) -> pd.DataFrame:
        """Scores per subject, mean over seeds."""
        return self._subjects("window")

    @cached_property
    def subject_trials(self) -> pd.DataFrame:
        """Scores per subject at the level of trials, mean over seeds."""
        return self._subjects("trial")

    def _subjects(self, level: str) -> pd.DataFrame:
        tables = [evaluation.score_predictions(p, level) for p in self.predictions]
        joined = pd.concat(tables, ignore_index=True)
        numbers = [c for c in evaluation.METRICS if c in joined]
        return joined.groupby(["corpus", "subject"], as_index=False)[numbers].mean()

    @cached_property
    def interval(self) -> evaluation.Interval:
        """The mean score with its interval; subject and clip are crossed random factors.

        Counts are added over seeds: every seed tests the same windows, so the recall of the sum is
        the mean of the seeds' recalls, and balanced accuracy is a mean of recalls.
        """
        counts = [evaluation.crossed_confusions(p) for p in self.predictions]
        return evaluation.crossed_bootstrap(np.sum(counts, axis=0), METRIC)

    @cached_property
    def seed_sd(self) -> float:
        """Standard deviation of the mean score over seeds, NaN for one seed."""
        means = [float(evaluation.score_predictions(p)[METRIC].mean()) for p in self.predictions]
        return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")

    @cached_property
    def chance(self) -> evaluation.Chance:
        """Empirical chance: labels permuted by trial within subject."""
        return evaluation.chance_level(self.predictions[0], METRIC)

    @cached_property
    def above_chance_p(self) -> float:
        """One-sided p of a t test against a guess, subject and clip as crossed random factors.

        Permutations are too coarse to be corrected for many tasks. NaN where a class has one clip.
        """
        counts = np.stack([evaluation.crossed_confusions(p) for p in self.predictions])
        found = evaluation.crossed_error(counts, metric=METRIC)
        guess = 1 / counts.shape[-1]
        p_value = found.p_value(guess)
        return p_value / 2 if found.value > guess else 1 - p_value / 2

    @cached_property
    def calibration(self) -> dict[str, float]:
        """Calibration errors, mean over seeds."""
        values = [evaluation.calibration(p.y_true, p.scores) for p in self.predictions]
        return {key: float(np.mean([v[key] for v in values])) for key in values[0]}

    @cached_property
    def confusion(self) -> NDArray[np.float64]:
        """Counts over all subjects and seeds, rows true, columns predicted."""
        counts = np.sum(
            [
                evaluation.confusion_matrix(p.y_true, p.y_pred, len(p.classes))
                for p in self.predictions
            ],
            axis=0,
        )
        return np.asarray(counts, dtype=np.float64)

    @cached_property
    def curve(self) -> NDArray[np.float64] | None:
        """Test score after each epoch, shape (n_epochs, n_subjects), of the first seed."""
        cell = self.cells[0]
        if cell.epoch_scores is None:
            return None
        table = evaluation.learning_curve(cell.evaluable(complete_only=False), cell.epoch_scores)
        return table.to_numpy(dtype=np.float64)

    @cached_property
    def optimism(self) -> tuple[float, float] | None:
        """Mean score of the last epoch and of each subject's best test epoch; None without epochs.

        Always computed from the epochs, whatever the cell's own selection rule is.
        """
        cell = self.cells[0]
        if cell.epoch_scores is None:
            return None
        gaps = evaluation.optimism_gap(cell.evaluable(complete_only=False), cell.epoch_scores)
        return float(gaps["last"].mean()), float(gaps["oracle"].mean())


@dataclass(frozen=True)
class TaskResult:
    """One task and its methods, in the order of the plan.

    Attributes
    ----------
    title : str
        For headings.
    methods : list of MethodResult
        In the order of the plan.
    """

    title: str
    methods: list[MethodResult]

    @property
    def meta(self) -> dict[str, Any]:
        """What the first cell says about the task."""
        return self.methods[0].meta

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return tuple(self.meta["classes"])

    @property
    def simulated(self) -> bool:
        """Whether any window of any method was simulated."""
        return any(cell.simulated for method in self.methods for cell in method.cells)

    @cached_property
    def family(self) -> str:
        """What the task is, but for its number of calibration trials: one learning curve."""
        return _content(self.meta["task"], "calibration_trials")

    @cached_property
    def best(self) -> MethodResult:
        """The method with the highest mean score."""
        return max(self.methods, key=lambda method: method.interval.value)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every pair of methods, tested with subject and clip as crossed random factors.

        The columns of `affectrum.evaluation.compare_predictions`, corrected for this task alone;
        empty with one method.
        """
        return evaluation.compare_predictions(
            {method.label: method.predictions for method in self.methods}, METRIC
        )


def _content(task: dict[str, Any], *left_out: str) -> str:
    """Return a task as text without its name and without which methods ran on it."""
    kept = {k: v for k, v in task.items() if k not in ("name", "methods", *left_out)}
    return json.dumps(kept, sort_keys=True, default=str)


def primary(tasks: Sequence[TaskResult]) -> list[TaskResult]:
    """Leave out tasks that differ from another one only by fewer calibration trials.

    They stand in the score table and as points of a learning curve; a page with every figure of
    every one of them would hide the others.

    Parameters
    ----------
    tasks : sequence of TaskResult
        From `group_results`.

    Returns
    -------
    list of TaskResult
        In the same order.
    """
    most: dict[str, int] = {}
    for task in tasks:
        trials = int(task.meta.get("calibration_trials") or 0)
        most[task.family] = max(most.get(task.family, 0), trials)
    return [
        task for task in tasks if int(task.meta.get("calibration_trials") or 0) == most[task.family]
    ]


def group_results(cells: Sequence[CellResult]) -> list[TaskResult]:
    """Group cells by task and method.

    Parameters
    ----------
    cells : sequence of CellResult
        From `affectrum.benchmark.load_record`.

    Returns
    -------
    list of TaskResult
        In the order of the plan. Controls are left out: they are no scores. Results on other
        windows (of another version of a corpus, of a lab whose identifiers were hashed with
        another key) are another task, and a method with other settings is another method.
    """
    tasks: dict[str, list[CellResult]] = {}
    for cell in cells:
        if cell.meta.get("control"):
            continue
        key = f"{_content(cell.meta['task'])} {cell.meta['protocol']} {_windows(cell.meta)}"
        tasks.setdefault(key, []).append(cell)
    titles = [str(found[0].meta["task_title"]) for found in tasks.values()]
    results = []
    taken: dict[str, list[dict[str, Any]]] = {}
    for title, found in zip(titles, tasks.values(), strict=True):
        meta = found[0].meta
        shown = title.replace("->", "→")
        if titles.count(title) > 1 and (modifiers := str(meta["protocol"]).partition(" (")[2]):
            # "(transductive)" and its like belong into every heading that could be mistaken
            shown += f" ({modifiers}"
        if titles.count(title) > 1 and meta.get("calibration_trials"):
            shown += f", {meta['calibration_trials']} calibration trials"
        others = taken.setdefault(shown, [])
        others.append(meta)
        if len(others) > 1:
            shown += f" ({_difference(others[0], meta)}, {len(others)})"
        results.append(TaskResult(shown, _methods(found)))
    return results


def _difference(first: dict[str, Any], other: dict[str, Any]) -> str:
    """What sets one of two tasks of one name apart."""
    words = [
        f"{name} {value}"
        for name, value in other["task"].items()
        if name not in ("name", "methods") and value != first["task"].get(name)
    ]
    shared = other.get("shared")
    if not words and isinstance(shared, dict):
        words = [f"key {shared['key'][:8]}"]
    return ", ".join(words) or "other windows"


def _windows(meta: dict[str, Any]) -> str:
    """What tells apart windows of one name: their fingerprints, or the key of a shared result."""
    shared = meta.get("shared")
    if isinstance(shared, dict):
        return f"shared {shared['key']} {meta.get('recipe')}"
    return json.dumps(meta.get("fingerprints") or {}, sort_keys=True)


def _methods(cells: Sequence[CellResult]) -> list[MethodResult]:
    """One method per name and configuration; of two cells of one seed the first counts."""
    found: dict[tuple[str, str], dict[int, CellResult]] = {}
    for cell in cells:
        method = cell.meta["method"]
        key = (str(method["label"]), json.dumps(method.get("config"), sort_keys=True, default=str))
        found.setdefault(key, {}).setdefault(int(cell.meta["seed"]), cell)
    taken: dict[str, int] = {}
    results = []
    for (label, _), seeds in found.items():
        taken[label] = taken.get(label, 0) + 1
        shown = label if taken[label] == 1 else f"{label} ({taken[label]}: other settings)"
        results.append(MethodResult(shown, list(seeds.values())))
    return results
