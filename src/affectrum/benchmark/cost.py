"""What the cells of a plan will cost: measured on like cells where there are some, else a rule."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrum.benchmark.cells import Cell
from affectrum.benchmark.record import is_complete, read_brief
from affectrum.catalog import get, is_known
from affectrum.protocols.catalogue import base_protocol

__all__ = ["Estimate", "estimate_costs", "in_words"]

# The rule, for one thread of a present-day core: seconds per step of a small network, per fit of a
# linear model, and for reading and scoring a subject. It is there to tell minutes from days.
_STEP_S, _LINEAR_S, _SUBJECT_S = 0.01, 0.5, 0.1
_STEPS_PER_EPOCH = 20


@dataclass(frozen=True)
class Estimate:
    """What one cell will cost.

    Attributes
    ----------
    done : bool
        Whether it is finished.
    seconds : float
        One process's time; what it took where it is done.
    basis : str
        "measured", "like cells" (same task and method, other seeds), "same method" (on other
        tasks), or "rule".
    """

    done: bool
    seconds: float
    basis: str


def estimate_costs(cells: Sequence[Cell], run: Path | None = None) -> list[Estimate]:
    """Estimate what each cell costs.

    Parameters
    ----------
    cells : sequence of Cell
        Of a plan; with their final digests if there is a run.
    run : Path, optional
        The run's folder: finished cells are found there, and their durations are what like cells
        are judged by.

    Returns
    -------
    list of Estimate
        One per cell.
    """
    near: dict[tuple[Any, ...], list[float]] = {}
    far: dict[tuple[Any, ...], list[float]] = {}
    for brief in _briefs(run):
        seconds = brief.get("seconds")
        if not isinstance(seconds, int | float):
            continue
        method = (brief.get("method"), brief.get("control") or "")
        place = (tuple(brief.get("source") or ()), brief.get("target"), brief.get("base"))
        near.setdefault((*method, *place), []).append(float(seconds))
        far.setdefault(method, []).append(float(seconds))
    typical_near = {key: statistics.median(values) for key, values in near.items()}
    typical_far = {key: statistics.median(values) for key, values in far.items()}
    found = []
    for cell in cells:
        if run is not None and is_complete(run, cell.digest):
            took = read_brief(run, cell.digest).get("seconds")
            found.append(Estimate(True, float(took or 0.0), "measured"))
            continue
        method = (cell.method.name, cell.control)
        task = cell.task
        place = (task.sources, task.target, base_protocol(task.protocol))
        if (*method, *place) in typical_near:
            found.append(Estimate(False, typical_near[*method, *place], "like cells"))
        elif method in typical_far:
            found.append(Estimate(False, typical_far[method], "same method"))
        else:
            found.append(Estimate(False, _by_rule(cell), "rule"))
    return found


def _briefs(run: Path | None) -> Iterable[dict[str, Any]]:
    folder = None if run is None else run / "cells"
    if run is None or folder is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if not path.name.startswith("."):
            yield read_brief(run, path.name)


def _by_rule(cell: Cell) -> float:
    target = cell.task.target
    n_subjects = get(target).n_subjects if is_known(target) else 15
    if cell.task.subjects is not None:
        n_subjects = len(cell.task.subjects)
    config = cell.method.make().config.model_dump()
    once = float(config.get("pretrain_steps") or 0)
    epochs = config.get("finetune_epochs", config.get("epochs"))
    if epochs is None:
        return once * _STEP_S + n_subjects * (_LINEAR_S + _SUBJECT_S)
    steps = float(epochs) * _STEPS_PER_EPOCH
    most = config.get("finetune_max_steps")
    if most is not None:
        steps = min(steps, float(most))
    return (once + n_subjects * steps) * _STEP_S + n_subjects * _SUBJECT_S


def in_words(seconds: float) -> str:
    """Return a duration as people say it: ``"40 s"``, ``"12 min"``, ``"3.5 h"``, ``"2.1 days"``.

    Parameters
    ----------
    seconds : float
        The duration.
    """
    for unit, size, upto in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 172_800)):
        if seconds < upto:
            value = seconds / size
            return f"{value:.1f} {unit}" if unit == "h" and value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86_400:.1f} days"
