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
# The same for networks that read signals: seconds of training per window of 32 electrodes x 2,500
# samples with 128 features; it grows with each of the three. Trials of unknown length count 60 s.
_WINDOW_S, _WINDOW_SIZE = 0.3, 32 * 2500 * 128
_TRIAL_S = 60.0


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
    configs: dict[int, dict[str, Any]] = {}  # of each method once
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
            if id(cell.method) not in configs:
                configs[id(cell.method)] = cell.method.make().config.model_dump()
            found.append(Estimate(False, _by_rule(cell, configs[id(cell.method)]), "rule"))
    return found


def _briefs(run: Path | None) -> Iterable[dict[str, Any]]:
    folder = None if run is None else run / "cells"
    if run is None or folder is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if not path.name.startswith("."):
            yield read_brief(run, path.name)


def _by_rule(cell: Cell, config: dict[str, Any]) -> float:
    target = cell.task.target
    n_subjects = get(target).n_subjects if is_known(target) else 15
    if cell.task.subjects is not None:
        n_subjects = len(cell.task.subjects)
    if "tokens_per_second" in config:
        return _by_windows(cell, config, n_subjects)
    once = float(config.get("pretrain_steps") or 0)
    epochs = config.get("finetune_epochs", config.get("epochs"))
    if epochs is None:
        return once * _STEP_S + n_subjects * (_LINEAR_S + _SUBJECT_S)
    steps = float(epochs) * _STEPS_PER_EPOCH
    most = config.get("finetune_max_steps")
    if most is not None:
        steps = min(steps, float(most))
    return (once + n_subjects * steps) * _STEP_S + n_subjects * _SUBJECT_S


def _by_windows(cell: Cell, config: dict[str, Any], n_subjects: int) -> float:
    """Estimate a method whose cost is that of the windows it trains on."""
    task = cell.task
    once = 0.0
    sources = [_windows_of(cell, name, config["width"]) for name in task.sources or (task.target,)]
    if config["pretraining"]:
        per_step = 9 * config["per_region"]
        steps = config["pretrain_steps"] or sum(n for n, _ in sources) / len(sources) / per_step
        each = sum(seconds for _, seconds in sources)
        once = config["pretrain_epochs"] * steps * config["accumulate"] * per_step * each
    n_windows, seconds = _windows_of(cell, task.target, config["width"])
    seen = config["finetune_epochs"] * n_windows
    if config["finetune_max_steps"] is not None:
        seen = min(seen, float(config["finetune_max_steps"] * config["finetune_batch"]))
    folds = 1 if base_protocol(task.protocol) == "pretrain-finetune" else n_subjects
    return float(once + folds * seen * seconds)


def _windows_of(cell: Cell, corpus: str, width: int) -> tuple[float, float]:
    """About how many windows a corpus has, and the seconds of training each of them takes."""
    from affectrum.recipes import get_recipe

    recipe = get_recipe(cell.task.recipe_of(corpus))
    facts = get(corpus) if is_known(corpus) else None
    rate = recipe.sfreq or (facts.sfreq if facts else 200.0)
    if recipe.sfreq is None and recipe.resample_rates:
        rate = recipe.resample_rates.get(rate, rate)
    n_electrodes = len(facts.electrodes) if facts and facts.electrodes else 32
    n_windows = 1000.0
    if facts is not None:
        known = [clip.duration_s for session in facts.clips for clip in session if clip.duration_s]
        trial_s = sum(known) / len(known) if known else _TRIAL_S
        n_trials = facts.n_subjects * sum(facts.trials_per_session)
        n_windows = n_trials * trial_s / recipe.window_s
    size = n_electrodes * rate * recipe.window_s * width
    return n_windows, _WINDOW_S * size / _WINDOW_SIZE


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
