from __future__ import annotations

from typing import Any

import pytest

from affectrum.benchmark.tasks import MethodPlan, TaskPlan
from affectrum.errors import ConfigError
from affectrum.reproduce.steps import Step, change, descend, protocol_steps

START = {
    "source": "SEED-IV",
    "target": "SEED",
    "classes": "valence3",
    "calibration_trials": 9,
    "scaling": "released",
    "scaler": "minmax",
    "selection": "oracle",
    "recipe": "shipped-seed-iv",
}
GOAL = {
    **START,
    "scaling": "calibration",
    "scaler": "standard",
    "selection": "last",
    "recipe": "de62x4-4s",
}
PAPER, STRICT = MethodPlan(name="svm", label="paper"), MethodPlan(name="svm", label="strict")


def task(**changes: Any) -> TaskPlan:
    return TaskPlan.model_validate({**START, **changes})


def steps() -> tuple[Step, ...]:
    return protocol_steps(
        task(),
        TaskPlan.model_validate(GOAL),
        recipes=["de62-as-recorded-4s"],
        methods=[STRICT],
    )


def test_a_difference_between_protocols_is_taken_apart_into_factors() -> None:
    names = [step.name for step in steps()]
    assert names == [
        "oracle selection",
        "scaling access",
        "stimulus overlap",
        "shipped features",
        "reference and bands",
        "settings: strict",
    ]
    only = protocol_steps(task(), task(selection="validation", source_sessions=[1]))
    assert [step.name for step in only] == ["oracle selection", "stimulus overlap", "other choices"]
    assert only[-1].changes == ({"source_sessions": (1,)},)
    with pytest.raises(ConfigError, match="calibration_trials"):
        protocol_steps(task(), task(calibration_trials=6))


def test_electrodes_and_windows_are_named_too() -> None:
    pairs = [("de62", "de32"), ("de62x4", "de62x4-4s"), ("de62", "de62-as-recorded")]
    found = [
        protocol_steps(
            task(recipe=a, stimulus_disjoint="clip"), task(recipe=b, stimulus_disjoint="clip")
        )[0].name
        for a, b in pairs
    ]
    assert found == ["electrodes and bands", "windows", "reference"]


def test_the_way_down_removes_one_factor_after_the_other() -> None:
    found = descend(task(), PAPER, steps(), lambda task, method: None)
    chain = [s for s in found.states if s.role in ("start", "chain")]
    assert [state.step for state in chain[1:]] == [step.name for step in steps()]
    touched = [
        {"selection"},
        {"scaling", "scaler"},
        {"stimulus_disjoint"},
        {"recipe"},
        {"recipe"},
        set(),
    ]
    for before, after, fields in zip(chain[:-1], chain[1:], touched, strict=True):
        a, b = before.task.model_dump(), after.task.model_dump()
        assert {name for name in a if a[name] != b[name]} == fields
    assert [state.method.label for state in chain] == ["paper"] * 6 + ["strict"]
    # The end is the goal, but for the stimuli.
    assert chain[-1].task == TaskPlan.model_validate({**GOAL, "stimulus_disjoint": "film"})
    assert found.skipped == []


def test_single_removals_start_from_what_was_published() -> None:
    found = descend(task(), PAPER, steps(), lambda task, method: None)
    alone = {state.step: state for state in found.states if state.role == "alone"}
    # Reference and bands of shipped features can't be changed alone.
    assert list(alone) == [
        "oracle selection",
        "scaling access",
        "stimulus overlap",
        "shipped features",
        "settings: strict",
    ]
    assert alone["scaling access"].task == task(scaling="calibration", scaler="standard")
    assert alone["shipped features"].task == task(recipe="de62-as-recorded-4s")
    assert alone["settings: strict"].task == task()
    assert alone["settings: strict"].method == STRICT
    (control,) = [state for state in found.states if state.role == "control"]
    assert control.task.stimulus_control
    assert control.task.stimulus_disjoint == "film"
    assert control.task.scaling == "calibration"
    none = descend(task(), PAPER, steps(), lambda task, method: None, alone=False)
    assert {state.role for state in none.states} == {"start", "chain", "control"}


def test_what_can_not_be_removed_is_told_and_left_out() -> None:
    def check(task: TaskPlan, method: MethodPlan) -> str | None:
        if task.stimulus_disjoint == "film":
            return "the films are not known"
        return "nothing is left" if task.stimulus_control else None

    found = descend(task(), PAPER, steps(), check)
    chain = [s for s in found.states if s.role == "chain"]
    assert chain[2].task.stimulus_disjoint == "clip"
    assert chain[2].meaning.endswith("(clip)")
    assert found.skipped == [("stimulus overlap, a wider level", "the films are not known")]
    assert not [s for s in found.states if s.role == "control"]

    found = descend(
        task(), PAPER, steps(), lambda task, method: "no" if task.stimulus_disjoint else None
    )
    assert "stimulus overlap" not in [state.step for state in found.states]
    assert found.skipped == [("stimulus overlap", "no")]
    assert [s for s in found.states if s.role == "chain"][-1].task == TaskPlan.model_validate(GOAL)


def test_a_start_that_can_not_be_run_begins_one_step_further() -> None:
    def check(task: TaskPlan, method: MethodPlan) -> str | None:
        return "no such features" if task.recipe.startswith("shipped") else None

    found = descend(task(), PAPER, steps(), check)
    assert found.states[0].task == task(recipe="de62-as-recorded-4s")
    assert found.skipped[0] == (
        "shipped features",
        "not removed but never there: no such features",
    )
    assert "shipped features" not in [state.step for state in found.states]
    # Now reference and bands can be changed alone.
    alone = [state.step for state in found.states if state.role == "alone"]
    assert "reference and bands" in alone
    with pytest.raises(ConfigError, match="never"):
        descend(task(), PAPER, steps(), lambda task, method: "never")


def test_changes_are_checked() -> None:
    assert change(task(), {"scaling": "source"}) == task(scaling="source")
    with pytest.raises(ValueError, match="scaling"):
        change(task(), {"scaling": "by-magic"})
