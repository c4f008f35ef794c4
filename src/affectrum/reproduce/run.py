"""Run a published experiment on a user's corpora, or on twins; and a waterfall of any plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from affectrum.benchmark.files import write_file
from affectrum.benchmark.inputs import PlanWindows, WindowsLike
from affectrum.benchmark.places import CorpusPlace, read_places
from affectrum.benchmark.plan import Plan
from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.errors import AffectrumError, ConfigError, check_option
from affectrum.protocols.catalogue import PROTOCOLS, base_protocol
from affectrum.protocols.rules import OTHERS, parse_rule, published_rule
from affectrum.reproduce.entries import (
    Entry,
    build_plan,
    descent_entries,
    study_entries,
    transfer_entries,
)
from affectrum.reproduce.experiment import PARTS, Experiment, available, get_experiment
from affectrum.reproduce.steps import Check, Step, descend, protocol_steps

if TYPE_CHECKING:
    from affectrum.benchmark.progress import ProgressCallback
    from affectrum.benchmark.run import RunReport
    from affectrum.reproduce.results import Reproduction

__all__ = ["FILE", "Prepared", "checker", "finish", "prepare", "reproduce", "waterfall"]

#: Name of the file that tells which cell stands in which row.
FILE = "reproduction.json"


@dataclass(frozen=True)
class Prepared:
    """What a reproduction will run.

    Attributes
    ----------
    plan : Plan
        All of it in one plan.
    entries : list of Entry
        The rows.
    pairs : list of (str, str)
        Titles of each row's task and method in the plan.
    head : dict
        What is said of the whole.
    """

    plan: Plan
    entries: list[Entry]
    pairs: list[tuple[str, str]]
    head: dict[str, Any] = field(default_factory=dict)


def checker(
    plan: Plan,
    windows: WindowsLike | None = None,
    *,
    workers: int = 1,
    progress: ProgressCallback | None = None,
) -> Check:
    """Return what says whether a task can be run: windows, folds, access and audit.

    Parameters
    ----------
    plan : Plan
        Where corpora lie, and the store.
    windows : mapping or callable, optional
        Ready windows instead.
    workers : int
        For preparing windows.
    progress : callable, optional
        Receives events while windows are prepared.
    """
    from affectrum.protocols import plan_folds

    inputs = PlanWindows(plan, windows, workers=workers, progress=progress)
    known: dict[str, str | None] = {}

    def check(task: TaskPlan, method: MethodPlan) -> str | None:
        content = task.model_dump(mode="json", exclude={"name", "methods"})
        key = json.dumps([content, method.model_dump(mode="json")], sort_keys=True)
        if key not in known:
            known[key] = _obstacle(task, method)
        return known[key]

    def _obstacle(task: TaskPlan, method: MethodPlan) -> str | None:
        try:
            parts = [inputs.get(name, task.recipe_of(name)) for name in dict.fromkeys(task.corpora)]
            options: dict[str, Any] = {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in task.fold_options().items()
            }
            folds = plan_folds(parts, task.protocol, seed=plan.seeds[0], **options)
            first = folds[0]
            method.make().check_access(first.access)
            first.audit().raise_if_failed(task.declared_leaks)
        except AffectrumError as error:
            return str(error)
        return None

    return check


def prepare(
    experiment: Experiment,
    *,
    corpora: Mapping[str, CorpusPlace] | None = None,
    windows: WindowsLike | None = None,
    store: Path = Path("store"),
    parts: Sequence[str] = tuple(PARTS),
    transfers: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    quick: bool = False,
    overrides: Mapping[str, Any] | None = None,
    workers: int = 1,
    progress: ProgressCallback | None = None,
) -> Prepared:
    """Work out what an experiment runs on these corpora.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    corpora : mapping of str to CorpusPlace, optional
        Where corpora lie.
    windows : mapping of str to Windows, or callable, optional
        Ready windows instead.
    store : Path
        For prepared windows.
    parts : sequence of str
        Some of `PARTS`.
    transfers : sequence of str, optional
        Ids of transfers; default all whose corpora are there.
    seeds : sequence of int
        Seeds of every method.
    quick : bool
        The small budget: fewer steps and values, for trying things out.
    overrides : mapping, optional
        Parameters of the method that win over all presets.
    workers : int
        For preparing windows.
    progress : callable, optional
        Receives events while windows are prepared.

    Returns
    -------
    Prepared

    Raises
    ------
    ConfigError
        If parts or transfers are unknown, or no transfer has its corpora.
    """
    for part in parts:
        check_option("parts", part, tuple(PARTS))
    names = list(corpora) if corpora is not None else _names(windows, experiment)
    lacking = available(experiment, names)
    chosen = [experiment.transfer(name) for name in transfers or lacking]
    missing = [transfer for transfer in chosen if lacking[transfer.id]]
    chosen = [
        transfer.with_sources(names, small=quick) for transfer in chosen if not lacking[transfer.id]
    ]
    if not chosen:
        raise ConfigError(
            f"No transfer of {experiment.method} can be run with {', '.join(names) or 'nothing'}: "
            + "; ".join(f"{t.id} lacks {', '.join(lacking[t.id])}" for t in missing)
            + "."
        )
    settings = {**(experiment.quick if quick else {}), **(overrides or {})}
    by_id = {transfer.id: transfer for transfer in chosen}
    studied = [by_id[name] for name in experiment.study if name in by_id] or chosen[:1]
    entries: list[Entry] = []
    if "transfers" in parts:
        for transfer in chosen:
            entries += transfer_entries(experiment, transfer, settings)
    for number, transfer in enumerate(studied if experiment.study_all else studied[:1]):
        wanted = parts if not number else [part for part in parts if part == "ablations"]
        entries += study_entries(experiment, transfer, settings, parts=wanted, quick=quick)
    places = dict(corpora or {})
    skipped: dict[str, list[list[str]]] = {}
    if "waterfall" in parts:
        probe = chosen[0].task("published")
        first = Plan(
            corpora=places,
            store=store,
            tasks=(probe,),
            methods=(experiment.plan_of(experiment.presets[0], chosen[0]),),
            seeds=tuple(seeds),
        )
        check = checker(first, windows, workers=workers, progress=progress)
        for name in experiment.descents:
            if name not in by_id:
                continue
            found, left_out = descent_entries(experiment, by_id[name], settings, check)
            entries += found
            skipped[name] = [list(pair) for pair in left_out]
    plan, pairs = build_plan(
        entries,
        name=f"Reproduction of {experiment.title}",
        corpora=places,
        store=store,
        seeds=seeds,
    )
    head = {
        "experiment": experiment.method,
        "title": experiment.title,
        "reference": experiment.reference,
        "metric": experiment.metric,
        "quick": {k: _plain(v) for k, v in settings.items()},
        "seeds": list(seeds),
        "missing": {t.id: lacking[t.id] for t in missing},
        "unknown": list(experiment.unknown),
        "transfers": {t.id: {"title": t.title, "unknown": list(t.unknown)} for t in chosen},
        "study": studied[0].id,
        "study_side": experiment.study_side,
        "pooled": list(experiment.pooled),
        "skipped": skipped,
    }
    return Prepared(plan, entries, pairs, head)


def _names(windows: WindowsLike | None, experiment: Experiment) -> list[str]:
    if isinstance(windows, Mapping):
        return list(windows)
    if windows is None:
        raise ConfigError("Give corpora, or ready windows.")
    return list(experiment.corpora)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def finish(prepared: Prepared, report: RunReport) -> Reproduction:
    """Keep which cell stands in which row, and read the results.

    Parameters
    ----------
    prepared : Prepared
        What was to be run.
    report : RunReport
        What a run of its plan did.

    Returns
    -------
    Reproduction
    """
    from affectrum.reproduce.results import load_reproduction

    cells = {(cell.task.title, cell.method.title, cell.seed): cell for cell in report.cells}
    reasons = {cell.digest: reason for cell, reason in [*report.refused, *report.failed]}
    rows = []
    for entry, (task, method) in zip(prepared.entries, prepared.pairs, strict=True):
        mine = [cells[task, method, seed] for seed in prepared.plan.seeds]
        why = [reasons[cell.digest] for cell in mine if cell.digest in reasons]
        rows.append(
            {
                **entry.to_dict(),
                "cells": [cell.digest for cell in mine],
                "reason": why[0] if why else "",
            }
        )
    text = json.dumps({**prepared.head, "rows": rows}, indent=1, ensure_ascii=False)
    write_file(report.out / FILE, text.encode("utf-8"))
    return load_reproduction(report.out)


def reproduce(
    method: str,
    out: str | Path,
    *,
    corpora: Mapping[str, Any] | str | Path | None = None,
    windows: WindowsLike | None = None,
    parts: Sequence[str] = tuple(PARTS),
    transfers: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    quick: bool = False,
    overrides: Mapping[str, Any] | None = None,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    run: Callable[[Plan, Path], RunReport] | None = None,
) -> Reproduction:
    """Run a method's published experiment, under its own protocol and under the strict one.

    Parameters
    ----------
    method : str
        One of `experiment_names`.
    out : path
        Folder of the record (``run``) and of prepared windows (``store``). What is there is kept.
    corpora : mapping or path, optional
        Where corpora lie: a paths file, or folders by name.
    windows : mapping of str to Windows, or callable (corpus, recipe) -> Windows, optional
        Ready windows instead.
    parts : sequence of str
        Some of `PARTS`.
    transfers : sequence of str, optional
        Ids of transfers; default all whose corpora are there.
    seeds : sequence of int
        Seeds of every method.
    quick : bool
        The small budget.
    overrides : mapping, optional
        Parameters of the method that win over all presets.
    workers : int
        Processes.
    progress : callable, optional
        Receives a `ProgressEvent` whenever something happens.
    run : callable, optional
        Runs the plan into a folder; default `run_plan`.

    Returns
    -------
    Reproduction
        Tables of what came out; `write_page` makes a page of it.

    Raises
    ------
    ConfigError, StoreError
        If the experiment, the corpora or the folder can't be used.
    """
    from affectrum.benchmark import run_plan

    out = Path(out)
    prepared = prepare(
        get_experiment(method),
        corpora=None if corpora is None else _places(corpora),
        windows=windows,
        store=out / "store",
        parts=parts,
        transfers=transfers,
        seeds=seeds,
        quick=quick,
        overrides=overrides,
        workers=workers,
        progress=progress,
    )
    if run is not None:
        report = run(prepared.plan, out / "run")
    else:
        report = run_plan(
            prepared.plan, out / "run", windows=windows, workers=workers, progress=progress
        )
    return finish(prepared, report)


def _places(corpora: Mapping[str, Any] | str | Path) -> dict[str, CorpusPlace]:
    if isinstance(corpora, str | Path):
        return read_places(Path(corpora))
    return {str(name): CorpusPlace.model_validate(place) for name, place in corpora.items()}


def waterfall(
    plan: Plan,
    out: str | Path,
    *,
    goal: TaskPlan | Mapping[str, Any] | None = None,
    steps: Sequence[Step] | None = None,
    alone: bool = True,
    windows: WindowsLike | None = None,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    run: Callable[[Plan, Path], RunReport] | None = None,
) -> Reproduction:
    """Go from a plan's protocols to strict ones, one factor removed at a time, for any method.

    Parameters
    ----------
    plan : Plan
        Each of its tasks is a start, with each of its methods.
    out : path
        The run's folder.
    goal : TaskPlan or dict, optional
        The strict end, or fields of the task that differ there. Default: last weights, the
        protocol's own scaling, standardised (nothing, where nothing is scaled), and nobody on
        both sides of a rule that divides the target.
    steps : sequence of Step, optional
        Instead of those that `protocol_steps` finds between the task and its goal.
    alone : bool
        Also remove each factor as the only one.
    windows : mapping or callable, optional
        Ready windows instead of the plan's corpora and store.
    workers : int
        Processes.
    progress : callable, optional
        Receives a `ProgressEvent` whenever something happens.
    run : callable, optional
        Runs the plan into a folder; default `run_plan`.

    Returns
    -------
    Reproduction
        Its ``waterfall`` is the table.

    Raises
    ------
    ConfigError
        If a start can't be run at all, or goal and start are different tasks.
    """
    from affectrum.benchmark import run_plan

    check = checker(plan, windows, workers=workers, progress=progress)
    entries: list[Entry] = []
    skipped: dict[str, list[list[str]]] = {}
    titles: dict[str, Any] = {}
    for task in map(_with_split, plan.tasks):
        end = goal if isinstance(goal, TaskPlan) else _strict(task, goal or {})
        for method in plan.methods:
            if task.methods is not None and method.title not in task.methods:
                continue
            group = f"{task.title}, {method.title}"
            found = descend(
                task, method, protocol_steps(task, end) if steps is None else steps, check,
                alone=alone,
            )  # fmt: skip
            skipped[group] = [list(pair) for pair in found.skipped]
            titles[group] = {"title": group, "unknown": []}
            entries += [
                Entry(
                    "waterfall",
                    group,
                    state.step or "as published",
                    state.task,
                    state.method,
                    {"role": state.role, "step": state.step, "meaning": state.meaning},
                )
                for state in found.states
            ]
    places = plan.places() if windows is None else {}
    built, pairs = build_plan(
        entries,
        name=f"Waterfall of {plan.name}",
        corpora=places,
        store=plan.store,
        seeds=plan.seeds,
    )
    head = {
        "experiment": "",
        "title": built.name,
        "reference": "",
        "metric": "balanced_accuracy",
        "quick": {},
        "seeds": list(plan.seeds),
        "missing": {},
        "unknown": [],
        "transfers": titles,
        "study": "",
        "skipped": skipped,
    }
    if run is not None:
        report = run(built, Path(out))
    else:
        report = run_plan(built, out, windows=windows, workers=workers, progress=progress)
    return finish(Prepared(built, entries, pairs, head), report)


def _with_split(task: TaskPlan) -> TaskPlan:
    """Name the published split that a task takes if it names none."""
    if base_protocol(task.protocol) != "pretrain-finetune" or task.split is not None:
        return task
    split = published_rule(task.target)
    return task if split is None else task.model_copy(update={"split": split})


def _strict(task: TaskPlan, changes: Mapping[str, Any]) -> TaskPlan:
    """The strict end of a task that names none."""
    default = PROTOCOLS[base_protocol(task.protocol)].default_scaling
    fields: dict[str, Any] = {"selection": "last"}
    if base_protocol(task.protocol) == "pretrain-finetune" and task.split not in (None, "own"):
        # Weights are chosen on people who are not tested, and the rule says on whom.
        fields = {"selection": "validation" if task.selection == "validation" else "last"}
        rule = parse_rule(str(task.split), task.target)
        if rule.unit != "subjects" and not rule.others:
            fields["split"] = f"{task.split}, {OTHERS}"
    if task.scaler != "none":
        fields |= {"scaling": default, "scaler": "standard"}
    fields |= changes
    try:
        return TaskPlan.model_validate({**task.model_dump(), **fields})
    except ValidationError as error:
        faults = (f"  - {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError("\n".join([f"The goal of {task.title} is no task:", *faults])) from None
