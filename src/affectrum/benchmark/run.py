"""Run the missing cells of a plan."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affectrum.benchmark.cells import Cell, expand
from affectrum.benchmark.engines import make_engine
from affectrum.benchmark.engines.base import about
from affectrum.benchmark.engines.devices import visible_devices
from affectrum.benchmark.extras import add_extra, class_means
from affectrum.benchmark.files import clear_wrecks, digest_of, write_file
from affectrum.benchmark.inputs import PlanWindows, WindowsLike
from affectrum.benchmark.plan import Plan, load_plan
from affectrum.benchmark.progress import ProgressCallback, ProgressEvent
from affectrum.benchmark.record import is_complete
from affectrum.benchmark.work import Outcome, RunSpec
from affectrum.errors import StoreError
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
        Finished in this run; finished before, or by another runner.
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

    @property
    def n_done(self) -> int:
        """Cells that have come to their end, whichever."""
        return len(self.computed) + len(self.kept) + len(self.refused) + len(self.failed)

    def take(self, cell: Cell, outcome: Outcome) -> str:
        """Note how a cell ended and return the kind of event that tells it.

        Parameters
        ----------
        cell : Cell
            The cell.
        outcome : Outcome
            How it ended.

        Returns
        -------
        str

        Raises
        ------
        StoreError
            If no other cell would fare better.
        """
        self.pretrained += outcome.pretrained
        self.reused += outcome.reused
        if outcome.state == "stopped":
            raise StoreError(outcome.message)
        if outcome.state == "computed":
            self.computed.append(cell)
            return "cell-done"
        if outcome.state == "kept":
            self.kept.append(cell)
        elif outcome.state == "refused":
            self.refused.append((cell, outcome.message))
        else:
            self.failed.append((cell, outcome.message))
        return f"cell-{outcome.state}"


class _Teller:
    """Fills in what is the same for all events and keeps count."""

    def __init__(self, callback: ProgressCallback | None, report: RunReport, workers: int) -> None:
        self.callback = callback
        self.report = report
        self.workers = workers
        self.began = time.perf_counter()
        # Each worker's events build on its last one.
        self.states: dict[int | None, ProgressEvent] = {}
        self.computed_s, self.n_computed = 0.0, 0

    def __call__(self, kind: str, *, worker: int | None = None, **changes: Any) -> None:
        total = len(self.report.cells)
        done = self.report.n_done
        mean = self.computed_s / self.n_computed if self.n_computed else None
        state = self.states.get(worker, ProgressEvent("start"))
        self.states[worker] = state = replace(
            state,
            kind=kind,
            cells_done=done,
            cells_total=total,
            worker=worker,
            elapsed_s=time.perf_counter() - self.began,
            remaining_s=None if mean is None else mean * (total - done) / self.workers,
            **{"message": "", **changes},
        )
        if self.callback is not None:
            parts = [s.folds_done / s.folds_total for s in self.states.values() if s.folds_total]
            self.callback(replace(state, cells_begun=min(sum(parts), total - done)))

    def ended(self, kind: str, cell: Cell, outcome: Outcome) -> None:
        """Tell how a cell ended."""
        if kind == "cell-done" and outcome.seconds:
            self.computed_s += outcome.seconds
            self.n_computed += 1
        whose = [name for name, state in self.states.items() if state.cell == cell.digest]
        nothing = {"folds_done": 0, "folds_total": 0}
        self(
            kind,
            worker=whose[0] if whose else None,
            message=outcome.message,
            **{**about(cell), **nothing},
        )


def run_plan(
    plan: Plan | str | Path,
    out: str | Path,
    *,
    windows: WindowsLike | None = None,
    engine: str = "local",
    workers: int = 1,
    threads: int | None = None,
    devices: Sequence[str] | None = None,
    imports: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> RunReport:
    """Compute the cells of a plan that are not in the record yet.

    Parameters
    ----------
    plan : Plan or path
        The plan, or its YAML file.
    out : path
        The run's folder; made if missing. Several plans and several runs may share one.
    windows : mapping of str to Windows, or callable (corpus, recipe) -> Windows, optional
        Ready windows instead of the plan's corpora and store. Each process gets a copy.
    engine : str
        A name of `affectrum.benchmark.engines.ENGINES`.
    workers : int
        Processes of this machine (one computes in this process), Dask workers, or Slurm jobs. Also
        for preparing windows.
    threads : int, optional
        Threads of arithmetic in each process: 1 in other processes, as it is in this one, unless
        said otherwise. Results repeat bit for bit for equal numbers on one kind of machine.
    devices : sequence of str, optional
        Graphics processors that several workers are placed on in turn, as CUDA names them. Default:
        all that are visible; empty hides none and places nobody.
    imports : sequence of str
        Modules that each process imports first, because they register methods.
    options : mapping, optional
        Of the engine; see `affectrum.benchmark.engines.dask` and ``.slurm``.
    progress : callable, optional
        Receives a `ProgressEvent` whenever something happens.

    Returns
    -------
    RunReport
        A cell that is refused or fails does not stop the others.

    Raises
    ------
    ConfigError, StoreError
        If the plan, the corpora, the engine or the output folder can't be used.

    Notes
    -----
    A cell appears under its name in one step, so that Ctrl-C or a kill at any moment loses at
    most those being computed; the next run continues. Runners that share a folder share the cells.
    """
    plan = plan if isinstance(plan, Plan) else load_plan(plan)
    out = Path(out).absolute()
    alone = engine == "local" and workers == 1
    if devices is None:
        devices = () if alone else visible_devices()
    inputs = PlanWindows(plan, windows, workers=workers, progress=progress)
    chosen = make_engine(engine, workers=workers, options=options, inputs=inputs, devices=devices)
    cells = expand(plan, inputs.fingerprints())
    told = {} if windows is not None else plan.told()
    spec = RunSpec(
        plan=plan,
        out=out,
        told=told,
        windows=windows,
        threads=threads if threads is not None or (alone and not devices) else 1,
        devices=tuple(devices),
        imports=tuple(imports),
    )
    _write_plan(out, plan, cells, told)
    for folder in (out / "cells", out / "shared"):
        clear_wrecks(folder)
    report = RunReport(out, cells)
    tell = _Teller(progress, report, workers)
    if plan.extras:
        _feature_maps(plan, inputs, out, tell)
    missing = []
    for cell in cells:
        if is_complete(out, cell.digest):
            tell.ended(report.take(cell, Outcome("kept")), cell, Outcome("kept"))
        else:
            missing.append(cell)
    with contextlib.closing(chosen.run(missing, spec, tell)) as ended:
        for cell, outcome in ended:
            tell.ended(report.take(cell, outcome), cell, outcome)
    report.seconds = time.perf_counter() - tell.began
    tell("end")
    return report


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
        names.extend(
            name
            for name in task.corpora
            if name not in names and task.recipe_of(name) == task.recipe
        )
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
