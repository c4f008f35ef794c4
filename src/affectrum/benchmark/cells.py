"""From a plan to its cells, each named by the digest of everything that it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from affectrum.benchmark.files import digest_of
from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.protocols.catalogue import base_protocol

if TYPE_CHECKING:
    from affectrum.benchmark.plan import Plan

__all__ = ["RECORD_FORMAT", "Cell", "cell_digest", "expand"]

# Raised when the meaning of a stored cell changes (also when a default of `TaskPlan` does), so that
# old ones are computed again.
RECORD_FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """One (task, method, seed), or a control of it.

    Attributes
    ----------
    task : TaskPlan
        The transfer.
    method : MethodPlan
        The method.
    seed : int
        The seed.
    digest : str
        Of everything the result depends on: the task, the method's resolved parameters, the seed,
        the windows' fingerprints, the package's version. Without fingerprints it only tells cells
        of one plan apart.
    fingerprints : dict of str to str
        Fingerprint of each corpus's windows.
    batched : bool
        Whether models of several folds are fitted in one computation.
    control : str
        Name of the control that the cell is (see `affectrum.benchmark.controls`); empty for a
        score.
    permutation : int
        Number of the draw of a null control, from 1; 0 for the one that forgets classes best.
    """

    task: TaskPlan
    method: MethodPlan
    seed: int
    digest: str
    fingerprints: dict[str, str] = field(default_factory=dict)
    batched: bool = True
    control: str = ""
    permutation: int = 0

    @property
    def title(self) -> str:
        """Task, method and seed, and the control's name."""
        control = f" · {self.control}" if self.control else ""
        control += f" {self.permutation}" if self.permutation else ""
        return f"{self.task.title} · {self.method.title} · seed {self.seed}{control}"


def cell_digest(
    task: Mapping[str, Any],
    method: str,
    config: Mapping[str, Any],
    seed: int,
    fingerprints: Mapping[str, str],
    *,
    epoch_scores: bool = True,
    batched: bool = True,
    control: str = "",
    permutation: int = 0,
) -> str:
    """Return the name of a cell: a digest of everything that its numbers depend on.

    Parameters
    ----------
    task : mapping
        From `describe_task`.
    method : str
        The method's name.
    config : mapping
        Its resolved parameters, JSON-able.
    seed : int
        The seed.
    fingerprints : mapping of str to str
        Fingerprint of each corpus's windows.
    epoch_scores, batched : bool
        Of the plan.
    control : str
        Name of the control, or empty.
    permutation : int
        Number of its draw, or 0.
    """
    from affectrum import __version__

    content = {
        "format": RECORD_FORMAT,
        "version": __version__,
        "task": dict(task),
        "method": method,
        "config": dict(config),
        "seed": seed,
        "epoch_scores": epoch_scores,
        "batched": batched,
        "windows": dict(fingerprints),
    }
    if control:
        content["control"] = control
    if permutation:
        content["permutation"] = permutation
    return digest_of(content)


def describe_task(task: TaskPlan, *, fingerprinted: bool) -> dict[str, Any]:
    """Return the part of a task that changes numbers: no names, no defaults, JSON-able.

    Parameters
    ----------
    task : TaskPlan
        The task.
    fingerprinted : bool
        Whether the windows' fingerprints stand beside it; they cover the recipe, whose file may
        lie elsewhere tomorrow.
    """
    left_out = {"name", "methods"}
    if fingerprinted:
        left_out |= {"recipe", "source_recipe"}
    described = task.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    described["protocol"] = base_protocol(task.protocol)
    return described


def expand(plan: Plan, fingerprints: Mapping[tuple[str, str], str] | None = None) -> list[Cell]:
    """Expand a plan to its cells: tasks, then methods, then seeds; then the controls.

    Parameters
    ----------
    plan : Plan
        The plan.
    fingerprints : mapping of (corpus, recipe) to str, optional
        Of the windows; without them the digests are not those of stored cells.

    Returns
    -------
    list of Cell
    """
    configs = [method.make().config.model_dump(mode="json") for method in plan.methods]
    cells = []
    for task in plan.tasks:
        prints = (
            {name: fingerprints[name, task.recipe_of(name)] for name in task.corpora}
            if fingerprints is not None
            else {}
        )
        described = describe_task(task, fingerprinted=fingerprints is not None)
        for method, config in zip(plan.methods, configs, strict=True):
            if task.methods is not None and method.title not in task.methods:
                continue
            for seed in plan.seeds:
                digest = cell_digest(
                    described,
                    method.name,
                    config,
                    seed,
                    prints,
                    epoch_scores=plan.epoch_scores,
                    batched=plan.batched,
                )
                cells.append(Cell(task, method, seed, digest, prints, plan.batched))
    if plan.controls:
        cells.extend(_controls(plan, cells))
    return cells


def _controls(plan: Plan, cells: list[Cell]) -> list[Cell]:
    """Ask the controls' room, which is handed the plan and its score cells.

    ``control_cells(plan, cells)`` returns `Cell` objects with `control` set and a digest that no
    score cell has (`cell_digest(..., control=name)`); ``run_control(cell, context)`` computes one,
    as `affectrum.benchmark.cell.run_cell` does a score (see `affectrum.benchmark.work`).
    """
    import importlib

    room = importlib.import_module("affectrum.benchmark.controls")
    return list(room.control_cells(plan, cells))
