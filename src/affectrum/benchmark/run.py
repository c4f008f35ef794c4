"""Run the missing cells of a plan."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from affectrum.benchmark.cell import CellContext, run_cell
from affectrum.benchmark.extras import add_extra, class_means
from affectrum.benchmark.files import clear_wrecks, digest_of, write_file
from affectrum.benchmark.inputs import PlanWindows, WindowsLike
from affectrum.benchmark.plan import Cell, Plan, TaskPlan, expand, load_plan
from affectrum.benchmark.progress import ProgressCallback, ProgressEvent
from affectrum.benchmark.record import is_complete
from affectrum.benchmark.shared import SharedPretraining
from affectrum.errors import AccessError, AffectrumError, StoreError
from affectrum.protocols.fold import resolve_scheme

__all__ = ["RunReport", "run_plan"]


@dataclass
class RunReport:
    """What a run did.

    Attributes
    ----------
    out : Path
        The run's folder.
    cells : list of Cell
        All cells of the plan, with the digests they are stored under.
    computed, kept : list of Cell
        Finished in this run; finished before.
    refused : list of (Cell, str)
        The protocol does not grant what the method needs; with the reason.
    failed : list of (Cell, str)
        Stopped by another error; with its message.
    pretrained, reused : int
        Models pre-trained in this run, and how often one was handed out again.
    seconds : float
        Duration.
    """

    out: Path
    cells: list[Cell]
    computed: list[Cell] = field(default_factory=list)
    kept: list[Cell] = field(default_factory=list)
    refused: list[tuple[Cell, str]] = field(default_factory=list)
    failed: list[tuple[Cell, str]] = field(default_factory=list)
    pretrained: int = 0
    reused: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether no cell failed (a refused one did what it should)."""
        return not self.failed


class _Teller:
    """Fills in what is the same for all events and keeps count."""

    def __init__(self, callback: ProgressCallback | None, total: int) -> None:
        self.callback = callback
        self.began = time.perf_counter()
        self.state = ProgressEvent("start", cells_total=total)
        self.computed_s: list[float] = []

    def __call__(self, kind: str, **changes: Any) -> None:
        elapsed = time.perf_counter() - self.began
        left = self.state.cells_total - changes.get("cells_done", self.state.cells_done)
        mean = sum(self.computed_s) / len(self.computed_s) if self.computed_s else None
        self.state = replace(
            self.state,
            kind=kind,
            elapsed_s=elapsed,
            remaining_s=None if mean is None else mean * left,
            **{"message": "", **changes},
        )
        if self.callback is not None:
            self.callback(self.state)

    def about(self, cell: Cell) -> dict[str, Any]:
        """Fields that name a cell, with everything below it empty."""
        return {
            "cell": cell.digest,
            "task": cell.task.title,
            "method": cell.method.title,
            "seed": cell.seed,
            "fold": "",
            "folds_done": 0,
            "folds_total": 0,
            "stage": "",
            "stage_done": 0,
            "stage_total": 0,
        }


def run_plan(
    plan: Plan | str | Path,
    out: str | Path,
    *,
    windows: WindowsLike | None = None,
    workers: int = 1,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> RunReport:
    """Compute the cells of a plan that are not in the record yet.

    Parameters
    ----------
    plan : Plan or path
        The plan, or its YAML file.
    out : path
        The run's folder; made if missing. Several plans may share one.
    windows : mapping of str to Windows, or callable (corpus, recipe) -> Windows, optional
        Ready windows instead of the plan's corpora and store.
    workers : int
        For preparing windows.
    progress : callable, optional
        Receives a `ProgressEvent` whenever something happens.

    Returns
    -------
    RunReport
        A cell that is refused or fails does not stop the others.

    Raises
    ------
    ConfigError, StoreError
        If the plan, the corpora or the output folder can't be used.

    Notes
    -----
    A cell appears under its name in one step, so that Ctrl-C or a kill at any moment loses at
    most the current one; the next run continues. Two runs may share a folder.
    """
    plan = plan if isinstance(plan, Plan) else load_plan(plan)
    out = Path(out)
    inputs = PlanWindows(plan, windows, workers=workers, progress=progress)
    cells = expand(plan, inputs.fingerprints())
    told = {} if windows is not None else plan.told()
    _write_plan(out, plan, cells, told)
    for folder in (out / "cells", out / "shared"):
        clear_wrecks(folder)
    report = RunReport(out, cells)
    tell = _Teller(progress, len(cells))
    shared = SharedPretraining(out / "shared")
    if plan.extras:
        _feature_maps(plan, inputs, out, tell)
    for cell in cells:
        done = len(report.computed) + len(report.kept) + len(report.refused) + len(report.failed)
        about = {"cells_done": done, **tell.about(cell)}
        if is_complete(out, cell.digest):
            report.kept.append(cell)
            tell("cell-kept", **{**about, "cells_done": done + 1})
            continue
        tell("cell-start", **about)
        began = time.perf_counter()
        context = CellContext(
            out=out,
            windows=partial(inputs.get, recipe=cell.task.recipe),
            shared=shared,
            tell=tell,
            epoch_scores=plan.epoch_scores,
            told={name: told[name] for name in cell.task.corpora if name in told},
            extras=plan.extras and cell.seed == plan.seeds[0] and _is_drawn(plan, cell.task),
        )
        try:
            run_cell(cell, context)
        except StoreError:
            # The output folder is full or read-only: no other cell would fare better.
            raise
        except AccessError as error:
            report.refused.append((cell, str(error)))
            tell("cell-refused", cells_done=done + 1, message=str(error))
        except AffectrumError as error:
            report.failed.append((cell, str(error)))
            tell("cell-failed", cells_done=done + 1, message=str(error))
        else:
            tell.computed_s.append(time.perf_counter() - began)
            report.computed.append(cell)
            tell("cell-done", cells_done=done + 1)
    report.pretrained, report.reused = shared.computed, shared.reused
    report.seconds = time.perf_counter() - tell.began
    tell("end", cells_done=len(cells))
    return report


def _is_drawn(plan: Plan, task: TaskPlan) -> bool:
    """Whether a task gets pictures: not if another one differs only by more calibration trials."""
    left_out = {"name", "calibration_trials", "methods"}
    content = task.model_dump(exclude=left_out)
    return not any(
        other.k > task.k and other.model_dump(exclude=left_out) == content for other in plan.tasks
    )


def _write_plan(out: Path, plan: Plan, cells: list[Cell], told: dict[str, Any]) -> None:
    """Keep the plan and the order of its cells, for the report; folders stay private."""
    from affectrum import __version__

    described = plan.model_dump(mode="json", exclude={"corpora", "store"})
    text = json.dumps(
        {
            "name": plan.name,
            "version": __version__,
            "cells": [cell.digest for cell in cells],
            "plan": described,
            "corpora": told,
        },
        indent=1,
    )
    write_file(out / "plan.json", text.encode())


def _feature_maps(plan: Plan, inputs: PlanWindows, out: Path, tell: _Teller) -> None:
    """Store mean features per corpus and class, one file per recipe and class scheme."""
    groups: dict[tuple[str, Any], list[str]] = {}
    for task in plan.tasks:
        names = groups.setdefault((task.recipe, task.classes), [])
        names.extend(name for name in task.corpora if name not in names)
    recipes = [recipe for recipe, _ in groups]
    for (recipe, classes), names in groups.items():
        parts = [inputs.get(name, recipe) for name in names]
        if parts[0].kind == "raw":
            continue
        tell("extras", message=f"mean features, recipe {recipe}")
        label = recipe if "/" not in recipe and "\\" not in recipe else digest_of(recipe)[:8]
        if recipes.count(recipe) > 1:
            words = [classes] if isinstance(classes, str) else classes
            label += "-" + re.sub(r"[^\w.-]+", "-", "-".join(words)).strip("-")
        add_extra(
            out,
            f"features-{label}",
            class_means(parts, resolve_scheme(classes)),
            {
                "kind": "features",
                "title": f"mean features, recipe {recipe}",
                "recipe": recipe,
                "classes": classes if isinstance(classes, str) else list(classes),
                "simulated": any(part.simulated for part in parts),
            },
        )
