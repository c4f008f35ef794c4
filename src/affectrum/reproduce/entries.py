"""What a reproduction runs: entries, each a row of the page, and the plan of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectrum.benchmark.places import CorpusPlace
from affectrum.benchmark.plan import Plan
from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.reproduce.experiment import Experiment, Sweep, Transfer
from affectrum.reproduce.steps import Check, descend, protocol_steps

__all__ = ["Entry", "build_plan", "descent_entries", "study_entries", "transfer_entries"]


@dataclass(frozen=True)
class Entry:
    """One row of the page.

    Attributes
    ----------
    part : str
        One of `PARTS`.
    group : str
        The transfer's id.
    label : str
        The row's name.
    task, method
        What is run.
    about : dict
        More about the row, JSON-able: ``side`` and ``preset`` of a transfer; ``parameter`` and
        ``value`` of a sweep; ``role``, ``step`` and ``meaning`` of a waterfall. ``variant`` is the
        row's name among published numbers, missing where none may stand beside it.
    """

    part: str
    group: str
    label: str
    task: TaskPlan
    method: MethodPlan
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what is kept beside the record."""
        return {
            "part": self.part,
            "group": self.group,
            "label": self.label,
            "about": dict(self.about),
        }


def transfer_entries(
    experiment: Experiment, transfer: Transfer, overrides: Mapping[str, Any]
) -> list[Entry]:
    """Every preset and baseline on one transfer, under both protocols.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    transfer : Transfer
        One of its transfers.
    overrides : mapping
        The budget's parameters.

    Returns
    -------
    list of Entry
    """
    entries: list[Entry] = []
    for side in ("published", "strict"):
        task = transfer.task(side)
        presets = experiment.presets if side == "published" else experiment.presets[-1:]
        for preset in presets:
            for arm in experiment.arms:
                label = f"{experiment.method} ({preset})" + (f", {arm.label}" if arm.label else "")
                method = experiment.plan_of(
                    preset, transfer, {**overrides, **arm.overrides}, label if arm.label else ""
                )
                about: dict[str, Any] = {"side": side, "preset": preset}
                if preset in (experiment.as_published or presets):
                    about["variant"] = arm.published
                entries.append(Entry("transfers", transfer.id, label, task, method, about))
        for method in experiment.baselines:
            about = {"side": side, "preset": ""}
            entries.append(Entry("transfers", transfer.id, method.title, task, method, about))
    return entries


def study_entries(
    experiment: Experiment,
    transfer: Transfer,
    overrides: Mapping[str, Any],
    *,
    parts: Sequence[str],
    quick: bool,
) -> list[Entry]:
    """Ablations and sweeps on one transfer, under the experiment's protocol for studies.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    transfer : Transfer
        One of its transfers.
    overrides : mapping
        The budget's parameters.
    parts : sequence of str
        "ablations", "sweeps" or both.
    quick : bool
        Sweep over few values.

    Returns
    -------
    list of Entry
        The unchanged method first, in both.
    """
    task = transfer.task(experiment.study_side)
    preset = experiment.study_preset or experiment.presets[-1]

    def make(
        part: str,
        label: str,
        changes: Mapping[str, Any],
        about: Mapping[str, Any],
        fields: Mapping[str, Any] | None = None,
    ) -> Entry:
        method = experiment.plan_of(preset, transfer, {**overrides, **changes})
        changed = transfer.task(experiment.study_side, **fields) if fields else task
        return Entry(part, transfer.id, label, changed, method, about)

    entries = []
    if "ablations" in parts and experiment.ablations:
        entries.append(make("ablations", "unchanged", {}, {"overrides": {}, "variant": ""}))
        for variant in experiment.ablations:
            told: dict[str, Any] = {"overrides": dict(variant.overrides)}
            if variant.published:
                told["variant"] = variant.published
            entries.append(make("ablations", variant.label, variant.overrides, told))
    if "sweeps" in parts:
        base = dict(experiment.sweep_base)
        for sweep in experiment.sweeps:
            if sweep.of_task:
                held = getattr(task, sweep.parameter)
            else:
                held = _value_of(experiment, preset, transfer, {**overrides, **base}, sweep)
            for value in sweep.quick if quick else sweep.values:
                about = {
                    "parameter": sweep.parameter,
                    "title": sweep.title,
                    "value": value,
                    "base": value == held,
                }
                label = f"{sweep.parameter} = {value}"
                moved = {sweep.parameter: value}
                if sweep.of_task:
                    entries.append(make("sweeps", label, base, {**about, "of_task": True}, moved))
                else:
                    entries.append(make("sweeps", label, {**base, **moved}, about))
    return entries


def _value_of(
    experiment: Experiment,
    preset: str,
    transfer: Transfer,
    overrides: Mapping[str, Any],
    sweep: Sweep,
) -> Any:
    """Value that a parameter has while others move."""
    method = experiment.plan_of(preset, transfer, overrides)
    return getattr(method.make().config, sweep.parameter)


def descent_entries(
    experiment: Experiment,
    transfer: Transfer,
    overrides: Mapping[str, Any],
    check: Check,
    *,
    alone: bool = True,
) -> tuple[list[Entry], list[tuple[str, str]]]:
    """Build one transfer's waterfall.

    Parameters
    ----------
    experiment : Experiment
        The experiment.
    transfer : Transfer
        One of its transfers.
    overrides : mapping
        The budget's parameters.
    check : callable
        Says why a task can't be run.
    alone : bool
        Also remove each factor as the only one.

    Returns
    -------
    entries : list of Entry
        In the order of the states.
    skipped : list of (str, str)
        Factors that could not be removed, with the reason.
    """
    methods = [experiment.plan_of(preset, transfer, overrides) for preset in experiment.presets]
    start, goal = transfer.task("published"), transfer.goal()
    recipes: tuple[str, ...] = ()
    if transfer.shipped is not None:
        shipped, *recipes_after, last = transfer.shipped
        recipes = tuple(recipes_after)
        shipped_start = transfer.task("published", recipe=shipped)
        if check(shipped_start, methods[0]) is None:
            start, goal = shipped_start, transfer.goal(recipe=last)
        else:
            recipes = ()
    steps = protocol_steps(start, goal, recipes=recipes, methods=methods[1:])
    found = descend(start, methods[0], steps, check, alone=alone)
    skipped = list(found.skipped)
    if transfer.shipped is not None and not recipes:
        reason = check(transfer.task("published", recipe=transfer.shipped[0]), methods[0])
        skipped.insert(0, ("shipped features", f"not there: {reason}"))
    entries = [
        Entry(
            "waterfall",
            transfer.id,
            state.step or "as published",
            state.task,
            state.method,
            {"role": state.role, "step": state.step, "meaning": state.meaning},
        )
        for state in found.states
    ]
    return entries, skipped


def build_plan(
    entries: Sequence[Entry],
    *,
    name: str,
    corpora: Mapping[str, CorpusPlace],
    store: Path,
    seeds: Sequence[int] = (0,),
) -> tuple[Plan, list[tuple[str, str]]]:
    """Make one plan of all entries; what two entries share is run once.

    Parameters
    ----------
    entries : sequence of Entry
        What is wanted.
    name : str
        Of the plan.
    corpora : mapping of str to CorpusPlace
        Where corpora lie; empty if windows are given.
    store : Path
        For prepared windows.
    seeds : sequence of int
        Every method runs with every seed.

    Returns
    -------
    plan : Plan
        It holds exactly the pairs of task and method that the entries name.
    pairs : list of (str, str)
        For each entry the titles of its task and method in the plan.
    """
    tasks: dict[str, TaskPlan] = {}
    methods: dict[str, MethodPlan] = {}
    used: dict[str, list[str]] = {}
    pairs = []
    for entry in entries:
        task_key = json.dumps(
            entry.task.model_dump(mode="json", exclude={"name", "methods"}), sort_keys=True
        )
        config = entry.method.make().config.model_dump(mode="json")
        method_key = json.dumps([entry.method.name, config], sort_keys=True)
        if task_key not in tasks:
            tasks[task_key] = _named(entry, [task.title for task in tasks.values()])
        if method_key not in methods:
            methods[method_key] = _labelled(entry, [m.title for m in methods.values()])
        pair = (tasks[task_key].title, methods[method_key].title)
        if pair[1] not in used.setdefault(pair[0], []):
            used[pair[0]].append(pair[1])
        pairs.append(pair)
    plan = Plan(
        name=name,
        corpora=dict(corpora),
        store=store,
        tasks=tuple(
            task.model_copy(update={"methods": tuple(used[task.title])}) for task in tasks.values()
        ),
        methods=tuple(methods.values()),
        seeds=tuple(seeds),
    )
    return plan, pairs


def _named(entry: Entry, taken: Sequence[str]) -> TaskPlan:
    """Give a task a title that no other one has."""
    title = entry.task.title
    if entry.part == "waterfall":
        title = f"{entry.group}, waterfall: {entry.label}"
        if entry.about["role"] in ("alone", "control"):
            title += f" ({entry.about['role']})"
    elif entry.about.get("of_task"):
        title = f"{title}, {entry.label}"
    return entry.task.model_copy(update={"name": _unique(title, taken), "methods": None})


def _labelled(entry: Entry, taken: Sequence[str]) -> MethodPlan:
    method = entry.method
    label = method.title
    if entry.part in ("ablations", "sweeps"):
        label = f"{method.name}, {entry.label}"
    return method.model_copy(update={"label": _unique(label, taken)})


def _unique(text: str, taken: Sequence[str]) -> str:
    number, found = 2, text
    while found in taken:
        found, number = f"{text} ({number})", number + 1
    return found
