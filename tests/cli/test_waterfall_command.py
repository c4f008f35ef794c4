from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLAN = """\
corpora: {{SEED: {{folder: {seed}, form: preprocessed}}, SEED-IV: {seed_iv}}}
store: store
methods: [{{name: svm, arm: calibration}}]
tasks:
  - {{name: a start, source: SEED-IV, target: SEED, classes: valence3-no-fear, recipe: mine.yaml,
     calibration_trials: 9, scaling: released, scaler: minmax}}
"""
RECIPE = "electrodes: DEAP32\nbands: seed\nreference: none\n"


@pytest.fixture
def plan(tmp_path: Path, twin_seed: Path, twin_seed_iv: Path) -> Path:
    """A plan in a folder of its own; store and recipe are named from there."""
    folder = tmp_path / "plans"
    folder.mkdir()
    (folder / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    path = folder / "plan.yaml"
    path.write_text(PLAN.format(seed=twin_seed, seed_iv=twin_seed_iv), encoding="utf-8")
    return path


def test_a_waterfall_of_an_own_plan(call: Callable[..., Any], plan: Path, tmp_path: Path) -> None:
    goal = tmp_path / "goal.yaml"
    goal.write_text("recipe: de32\n", encoding="utf-8")
    words = ["waterfall", plan, "--goal", goal, "--out", tmp_path / "out", "--quiet", "--no-alone"]
    found = call(*words)
    assert found.code == 0
    assert "SIMULATED" in found.out
    for words_of_step in ("scaling access", "stimulus overlap", "reference and bands"):
        assert words_of_step in found.out
    page = (tmp_path / "out" / "waterfall.html").read_text(encoding="utf-8")
    assert "a start, svm [calibration]" in page
    # The plan is kept with whole paths, and what is done is kept with it.
    rows = call("plan", tmp_path / "out" / "plan.yaml", "--out", tmp_path / "out" / "run", "--json")
    assert {row["state"] for row in json.loads(rows.out)} == {"done"}
    assert (plan.parent / "store").is_dir()
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/run/cells").iterdir()}
    again = call(*words)
    assert again.code == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out/run/cells").iterdir()} == cells


def test_a_goal_that_is_no_task_is_refused(
    call: Callable[..., Any], plan: Path, tmp_path: Path
) -> None:
    goal = tmp_path / "goal.yaml"
    for content, words in (
        ("scalling: source\n", "scalling"),
        ("scaling: by-magic\n", "by-magic"),
        ("target: DEAP\n", "stays within one task"),
    ):
        goal.write_text(content, encoding="utf-8")
        found = call("waterfall", plan, "--goal", goal, "--out", tmp_path / "out", "--quiet")
        assert found.code == 1
        assert words in found.err
    assert not (tmp_path / "out").exists()
