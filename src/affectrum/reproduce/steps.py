"""The waterfall's steps: what differs between a published and a strict protocol, by factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.errors import ConfigError
from affectrum.protocols.rules import OTHERS
from affectrum.recipes import get_recipe

__all__ = ["Check", "Descent", "State", "Step", "change", "descend", "protocol_steps"]

#: Says why a task can't be run with a method; None if it can.
Check = Callable[[TaskPlan, MethodPlan], str | None]

# Fields of a task that a waterfall must not change: they would make it another task.
_FIXED: tuple[str, ...] = (
    "name",
    "methods",
    "protocol",
    "source",
    "target",
    "classes",
    "source_classes",
    "shots",
)
_FIXED += ("labels", "calibration_trials", "test_after", "split", "subjects", "target_sessions")
# What is told in a step of its own; everything else that differs is told together.
_TOLD = ("selection", "scaling", "scaler", "stimulus_disjoint", "stimulus_control", "recipe")


@dataclass(frozen=True)
class Step:
    """One factor that is removed.

    Attributes
    ----------
    name : str
        Of the factor.
    meaning : str
        What removing it means, in a few words.
    changes : tuple of dict
        Fields of the task; the first that can be run is taken.
    method : MethodPlan or None
        The method from here on, if it changes.
    control : dict or None
        More changes, for a run that has the step's side effects only.
    before : str or None
        The recipe that the step starts from, if it changes the recipe: from another one it would
        change more than its factor.
    """

    name: str
    meaning: str
    changes: tuple[Mapping[str, Any], ...] = ({},)
    method: MethodPlan | None = None
    control: Mapping[str, Any] | None = None
    before: str | None = None


@dataclass(frozen=True)
class State:
    """One bar of the waterfall.

    Attributes
    ----------
    step : str
        The factor that was removed last; empty for the start.
    meaning : str
        From the step.
    role : {"start", "chain", "alone", "control"}
        Removed after the ones before it; or as the only one; or the step's control.
    task, method
        What is run.
    """

    step: str
    meaning: str
    role: str
    task: TaskPlan
    method: MethodPlan


@dataclass(frozen=True)
class Descent:
    """All bars of one waterfall.

    Attributes
    ----------
    states : list of State
        The start, then the chain, then single removals and controls.
    skipped : list of (str, str)
        Factors that could not be removed, with the reason.
    """

    states: list[State] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def change(task: TaskPlan, changes: Mapping[str, Any]) -> TaskPlan:
    """Return a task with some fields changed, checked again."""
    return TaskPlan.model_validate({**task.model_dump(), **changes})


def protocol_steps(
    start: TaskPlan,
    goal: TaskPlan,
    *,
    recipes: Sequence[str] = (),
    methods: Sequence[MethodPlan] = (),
) -> tuple[Step, ...]:
    """Take the difference between two protocols of one task apart.

    Parameters
    ----------
    start, goal : TaskPlan
        The published and the strict task: same corpora, classes, protocol and trials; the strict
        one may divide the target by the same rule with nobody on both sides.
    recipes : sequence of str
        Recipes between theirs, one step each.
    methods : sequence of MethodPlan
        Settings of the method that follow one after the other, last.

    Returns
    -------
    tuple of Step
        Oracle selection, access of the scaling, subject overlap, stimulus overlap, shipped
        features, reference and bands, whatever else differs, then the method's settings; only what
        applies.

    Raises
    ------
    ConfigError
        If the two are not the same task.
    """
    a, b = start.model_dump(), goal.model_dump()
    apart = a["split"] is not None and b["split"] == f"{a['split']}, {OTHERS}"
    other = [name for name in _FIXED[2:] if a[name] != b[name] and not (apart and name == "split")]
    if other:
        raise ConfigError(
            f"A waterfall stays within one task; start and goal differ in {', '.join(other)}."
        )
    steps = []
    if a["selection"] != b["selection"]:
        name = "oracle selection" if a["selection"] == "oracle" else "selection"
        steps.append(Step(name, f"weights: {b['selection']}", ({"selection": b["selection"]},)))
    if (a["scaling"], a["scaler"]) != (b["scaling"], b["scaler"]):
        steps.append(
            Step(
                "scaling access",
                f"scaling: {b['scaling'] or 'the default'}, {b['scaler']}",
                ({"scaling": b["scaling"], "scaler": b["scaler"]},),
            )
        )
    if apart:
        words = "nobody who is tested is trained on"
        steps.append(Step("subject overlap", words, ({"split": b["split"]},)))
    if a["stimulus_disjoint"] is None:
        wanted = b["stimulus_disjoint"]
        levels = (wanted,) if wanted else ("film", "clip")
        steps.append(
            Step(
                "stimulus overlap",
                "no stimulus of the test in training",
                tuple({"stimulus_disjoint": level} for level in levels),
                control={"stimulus_control": True},
            )
        )
    last = start.recipe
    for recipe in (*recipes, goal.recipe):
        if recipe == last:
            continue
        name = _recipe_step(last, recipe)
        steps.append(Step(name, f"recipe {recipe}", ({"recipe": recipe},), before=last))
        last = recipe
    rest = {n: b[n] for n in a if n not in (*_FIXED, *_TOLD) and a[n] != b[n]}
    if (start.source_recipe or start.recipe) == (goal.source_recipe or goal.recipe):
        rest.pop("source_recipe", None)
    if rest:
        words = ", ".join(f"{name}: {value}" for name, value in rest.items())
        steps.append(Step("other choices", words, (rest,)))
    for method in methods:
        steps.append(Step(f"settings: {method.preset}", "the method's own settings", method=method))
    return tuple(steps)


def _recipe_step(before: str, after: str) -> str:
    """Name what changes from one recipe to another."""
    a, b = get_recipe(before), get_recipe(after)
    if not a.computed and b.computed:
        return "shipped features"
    words = []
    if a.electrode_names(()) != b.electrode_names(()) or a.how != b.how:
        words.append("electrodes")
    if a.reference != b.reference:
        words.append("reference")
    if a.resolved_bands() != b.resolved_bands():
        words.append("bands")
    if a.bandpass != b.bandpass:
        words.append("filter")
    if (a.window_s, a.step_s) != (b.window_s, b.step_s):
        words.append("windows")
    if not words:
        return "recipe"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def descend(
    start: TaskPlan,
    method: MethodPlan,
    steps: Sequence[Step],
    check: Check,
    *,
    alone: bool = True,
) -> Descent:
    """Go from a published protocol to a strict one, leaving out what can't be run.

    Parameters
    ----------
    start : TaskPlan
        The published task.
    method : MethodPlan
        The method as published.
    steps : sequence of Step
        In this order.
    check : callable
        Says why a task can't be run.
    alone : bool
        Also remove each factor as the only one: the size of a step depends on its place.

    Returns
    -------
    Descent
        Where the start itself can't be run, steps that make it possible are taken at once and
        count as skipped.

    Raises
    ------
    ConfigError
        If no step makes the start possible.
    """
    out = Descent()
    left = list(steps)
    task, reason = start, check(start, method)
    while reason is not None:
        for step in left:
            options = [change(task, option) for option in step.changes]
            tried = step.method or method
            good = next((option for option in options if check(option, tried) is None), None)
            if good is not None:
                out.skipped.append((step.name, f"not removed but never there: {reason}"))
                left.remove(step)
                task, method, reason = good, tried, None
                break
        else:
            raise ConfigError(
                f"The published form of {start.title} can't be run, and no single step makes it "
                f"possible: {reason}"
            )
    first, first_method = task, method
    out.states.append(State("", "as published, as far as it is known", "start", task, method))
    extra: list[State] = []
    for step in left:
        changed, why = _first_possible(task, step, method, check)
        if changed is None:
            out.skipped.append((step.name, why))
            continue
        chosen, task = changed
        method = step.method or method
        if why:
            out.skipped.append((f"{step.name}, a wider level", why))
        meaning = step.meaning + (
            f" ({chosen['stimulus_disjoint']})" if chosen.get("stimulus_disjoint") else ""
        )
        out.states.append(State(step.name, meaning, "chain", task, method))
        if step.control is not None:
            control = change(task, step.control)
            if check(control, method) is None:
                words = "as many trials dropped at random"
                extra.append(State(step.name, words, "control", control, method))
        if alone and step.before in (None, first.recipe):
            single, only = change(first, chosen), step.method or first_method
            if check(single, only) is None:
                extra.append(State(step.name, meaning, "alone", single, only))
    out.states.extend(extra)
    return out


def _first_possible(
    task: TaskPlan, step: Step, method: MethodPlan, check: Check
) -> tuple[tuple[Mapping[str, Any], TaskPlan] | None, str]:
    reasons: list[str] = []
    for option in step.changes:
        changed = change(task, option)
        reason = check(changed, step.method or method)
        if reason is None:
            return (option, changed), " / ".join(dict.fromkeys(reasons))
        reasons.append(reason)
    return None, " / ".join(dict.fromkeys(reasons))
