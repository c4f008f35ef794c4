"""Which control cells belong to the scores of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from affectrum.benchmark.cells import Cell, cell_digest, describe_task
from affectrum.benchmark.controls.names import ControlInfo, chosen_controls
from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.protocols.catalogue import (
    CROSS_CORPUS,
    STIMULUS_LEVELS,
    base_protocol,
    grants_of,
)

if TYPE_CHECKING:
    from affectrum.benchmark.plan import Plan

__all__ = ["control_cells"]

# Methods that do not look at the signal: to change it, or the labels, says nothing about them.
_BLIND = ("most-frequent", "position")
# A Gaussian so narrow that only the nearest trial counts, up to 18 trials away.
_NEAREST: dict[str, Any] = {"trials": 0.5, "seconds": 1e9, "prior": 1e-290}


def control_cells(plan: Plan, cells: Sequence[Cell]) -> list[Cell]:
    """Return the control cells of a plan's scores, for the plan's first seed.

    Parameters
    ----------
    plan : Plan
        The plan; its `controls` says which are wanted.
    cells : sequence of Cell
        Its scores.

    Returns
    -------
    list of Cell
        For each (task, method) those that train the method again, then for each task those with a
        model of their own. Controls that can't exist under a task's protocol are left out.

    Raises
    ------
    ConfigError
        If the plan names a control that is not known.
    """
    wanted = chosen_controls(plan.controls)
    firsts = [cell for cell in cells if cell.seed == plan.seeds[0] and not cell.control]
    out = []
    tasks: dict[int, Cell] = {}
    for cell in firsts:
        tasks.setdefault(id(cell.task), cell)
        if cell.method.name not in _BLIND:
            out += [
                _cell(cell, info, cell.method, number)
                for info in wanted
                if info.per_method
                for number in _draws(info, plan.permutations)
            ]
    for cell in tasks.values():
        for info in wanted:
            if not info.per_method and _exists(info, cell.task):
                out.append(_cell(cell, info, _model(info, cell.task)))
    return out


def _draws(info: ControlInfo, permutations: int) -> Sequence[int]:
    """Numbers of a control's cells; more permutations leave those that are there as they are."""
    return range(1, permutations + 1) if info.null and permutations > 1 else (0,)


def _exists(info: ControlInfo, task: TaskPlan) -> bool:
    """Whether a control can say anything under a task's protocol."""
    base = base_protocol(task.protocol)
    grants = grants_of(task.protocol)
    if info.name == "target-only":
        return "calibration_labels" in grants
    if info.probe:
        level = info.name.removesuffix("-probe")
        shared = base not in CROSS_CORPUS or level != "clip"  # corpora share films, not clips
        disjoint = task.stimulus_disjoint is not None and not task.stimulus_control
        return shared and not (
            disjoint
            and STIMULUS_LEVELS.index(level) <= STIMULUS_LEVELS.index(str(task.stimulus_disjoint))
        )
    return True


def _model(info: ControlInfo, task: TaskPlan) -> MethodPlan:
    """The model of a control that brings its own."""
    grants = grants_of(task.protocol)
    both = "calibration_labels" in grants and "source_labels" in grants
    both = both and task.source_labels is True
    same = task.source_classes is None or task.source_classes == task.classes
    overrides: dict[str, Any] = {}
    arm = None
    if info.method == "svm" and info.name != "target-only":
        overrides = {"calibrate": False}  # a probe's accuracy counts, not its confidence
    if info.name == "nearest-trial":
        overrides = dict(_NEAREST)
    elif info.name == "target-only":
        arm = "calibration"
    elif info.probe:
        arm = "both" if "calibration_labels" in grants else "source"
    elif info.name == "muscle-probe" and both and same:
        arm = "both"
    return MethodPlan(name=info.method, arm=arm, overrides=overrides, label=info.title)


def _cell(cell: Cell, info: ControlInfo, method: MethodPlan, permutation: int = 0) -> Cell:
    config: Mapping[str, Any] = method.make().config.model_dump(mode="json")
    digest = cell_digest(
        describe_task(cell.task, fingerprinted=bool(cell.fingerprints)),
        method.name,
        config,
        cell.seed,
        cell.fingerprints,
        epoch_scores=False,
        batched=cell.batched,
        control=info.name,
        permutation=permutation,
    )
    return Cell(
        cell.task,
        method,
        cell.seed,
        digest,
        cell.fingerprints,
        cell.batched,
        control=info.name,
        permutation=permutation,
    )
