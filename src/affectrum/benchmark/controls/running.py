"""Compute a control cell: folds that are changed on their way to the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from affectrum.benchmark.cell import CellContext, run_cell
from affectrum.benchmark.cells import Cell
from affectrum.benchmark.controls.labels import permute_labels, probe_stimulus
from affectrum.benchmark.controls.signals import muscles_only, without_muscles
from affectrum.protocols import Fold, FoldSet, truth

if TYPE_CHECKING:
    from affectrum.protocols.access import Grant
    from affectrum.protocols.planning import Plan, Task
    from affectrum.windows import Windows

__all__ = ["ControlFolds", "control_folds", "run_control"]


class ControlFolds(FoldSet):
    """Folds of a task, each changed when it is built.

    Parameters
    ----------
    folds : FoldSet
        The task's folds.
    change : callable
        Takes a fold and returns the changed one.
    """

    def __init__(self, folds: FoldSet, change: Callable[[Fold], Fold]) -> None:
        super().__init__(folds._plans)
        self._change = change

    def _build(self, task: Task, plan: Plan) -> Fold:
        return self._change(super()._build(task, plan))


def control_folds(
    folds: FoldSet, parts: Sequence[Windows], control: str, seed: int = 0, permutation: int = 0
) -> FoldSet:
    """Return a task's folds as a control sees them.

    Parameters
    ----------
    folds : FoldSet
        The task's folds.
    parts : sequence of Windows
        What they were made of.
    control : str
        Name of the control; those with nothing but another model leave folds as they are.
    seed : int
        Seed of permutations.
    permutation : int
        Number of the permutation, see `affectrum.benchmark.controls.labels.permute_labels`.

    Returns
    -------
    FoldSet
    """
    kept: dict[str, tuple[Grant, tuple[Grant, ...]]] = {}

    def permuted(fold: Fold, *, by_clip: bool) -> Fold:
        y = truth(parts, fold)
        return permute_labels(fold, y, parts, seed, by_clip=by_clip, permutation=permutation)

    changes: dict[str, Callable[[Fold], Fold]] = {
        "labels-by-trial": partial(permuted, by_clip=False),
        "labels-by-clip": partial(permuted, by_clip=True),
        "no-muscle": lambda fold: without_muscles(fold, kept),
        "muscle-probe": lambda fold: muscles_only(fold, kept),
        "clip-probe": lambda fold: probe_stimulus(fold, parts, "clip"),
        "film-probe": lambda fold: probe_stimulus(fold, parts, "film"),
    }
    change = changes.get(control)
    return folds if change is None else ControlFolds(folds, change)


def run_control(cell: Cell, context: CellContext) -> bool:
    """Compute and write one control cell; see `affectrum.benchmark.cell.run_cell`.

    Parameters
    ----------
    cell : Cell
        With its `control`.
    context : CellContext
        Where its windows come from and where it is written.

    Returns
    -------
    bool
        False if another runner had finished it first.

    Raises
    ------
    AccessError
        If the control has nothing to look at under the task, beside the reasons of `run_cell`.
    """

    def alter(folds: FoldSet, parts: Sequence[Windows]) -> FoldSet:
        return control_folds(folds, parts, cell.control, cell.seed, cell.permutation)

    return run_cell(cell, context, alter)
