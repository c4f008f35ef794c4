"""Shared files: controls come along, and nobody is told that simulated subjects are people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_helpers import make_plan
from record_helpers import write_result

from affectrum.benchmark import load_record, run_plan
from affectrum.benchmark.merge import merge_files
from affectrum.benchmark.share import share_run
from affectrum.benchmark.share_format import is_marked, marked
from affectrum.report.card import _controls, card_of
from affectrum.report.results import group_results

from .test_controls import simulate  # type: ignore[import-not-found]  # isort: skip
from .test_share import TASK, on_array, on_cell, rewrite  # type: ignore[import-not-found]  # isort: skip

CONTROLS = ["labels-by-trial", "labels-by-clip", "chance", "clip-probe"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with controls of a signal that names clips, and its file."""
    place = tmp_path_factory.mktemp("lab")
    (place / "key.txt").write_text("0123456789abcdef0123\n")
    plan = make_plan(
        tasks=[{"target": "SEED", "protocol": "loso"}],
        methods=[{"name": "svm", "overrides": {"calibrate": False}}],
        seeds=[0],
        controls=CONTROLS,
        permutations=3,
    )
    assert run_plan(plan, place / "run", windows={"SEED": simulate("clip")}).ok
    report = share_run(place / "run", place / "lab.zip", key=place / "key.txt")
    assert (report.cells, report.controls, report.left_out) == (1, 8, 0)
    return place


def card(run: Path) -> Any:
    (task,) = group_results(load_record(run))
    (controls,) = _controls(run).values()
    return card_of(task.methods[0], controls)


def test_the_card_of_joined_results_is_the_labs_own(lab: Path, tmp_path: Path) -> None:
    report = merge_files([lab / "lab.zip"], tmp_path / "m")
    assert report.ok
    assert report.joined == [(lab / "lab.zip", 1)]
    assert report.controls == 8
    own, joined = card(lab / "run"), card(tmp_path / "m")
    assert [row.name for row in joined.rows] == ["score", *CONTROLS]
    for mine, theirs in zip(own.rows, joined.rows, strict=True):
        assert theirs.value == pytest.approx(mine.value, abs=1e-6)
        assert theirs.n_permutations == mine.n_permutations
        assert theirs.p_value == pytest.approx(mine.p_value, nan_ok=True)
    assert joined["labels-by-trial"].n_permutations == 3
    assert joined["clip-probe"].value > 0.8
    assert merge_files([lab / "lab.zip"], tmp_path / "m").controls == 0


def test_the_clips_that_a_probe_names_are_hashed(lab: Path, tmp_path: Path) -> None:
    merge_files([lab / "lab.zip"], tmp_path / "m")
    (probe,) = [
        cell
        for cell in load_record(tmp_path / "m", controls=True)
        if cell.meta["control"] == "clip-probe"
    ]
    classes = probe.meta["classes"]
    assert len(classes) == 15
    assert classes == sorted(classes)
    table = probe.predictions
    assert (table["clip"] == np.array(classes)[table["y_true"]]).all()


def test_one_score_without_its_controls(lab: Path, tmp_path: Path) -> None:
    report = share_run(lab / "run", tmp_path / "f.zip", controls=False)
    assert (report.cells, report.controls, report.left_out) == (1, 0, 8)
    assert merge_files([tmp_path / "f.zip"], tmp_path / "m").controls == 0


# ------------------------------------------------------------------------------- marks of twins


@pytest.mark.parametrize("simulated", [True, False])
def test_names_are_marked(tmp_path: Path, simulated: bool) -> None:
    assert marked(6, simulated=True) == marked(7, simulated=True) == 7
    assert marked(7, simulated=False) == marked(6, simulated=False) == 6
    changes = {"simulated_corpora": ["SEED"]} if simulated else {}
    write_result(tmp_path / "r", TASK, "svm", 0.3, simulated=simulated, changes=changes)
    share_run(tmp_path / "r", tmp_path / "f.zip")
    assert merge_files([tmp_path / "f.zip"], tmp_path / "m").ok
    (cell,) = load_record(tmp_path / "m")
    ids = cell.identifiers
    of_target = ids["trials_corpus"] == "SEED"
    # of two corpora only one is a twin
    assert is_marked(ids["trials_subject"])[of_target].all() == simulated
    assert not is_marked(ids["trials_subject"])[~of_target].any()
    assert cell.simulated == simulated


def test_results_that_do_not_say_which_corpus_are_marked_whole(tmp_path: Path) -> None:
    write_result(tmp_path / "r", TASK, "svm", 0.3)
    share_run(tmp_path / "r", tmp_path / "f.zip")
    assert merge_files([tmp_path / "f.zip"], tmp_path / "m").ok
    (cell,) = load_record(tmp_path / "m")
    assert cell.meta["simulated_corpora"] == ["SEED", "SEED-IV"]
    assert is_marked(cell.identifiers["trials_subject"]).all()


def every(change: Callable[[dict[str, Any]], None], kind: str) -> Callable[..., None]:
    """Change the cells of one kind."""
    import json

    def apply(members: dict[str, bytes]) -> None:
        for name in [n for n in members if n.endswith("cell.json")]:
            content = json.loads(members[name])
            if content["control"] == kind:
                change(content)
                members[name] = json.dumps(content).encode()

    return apply


REAL = {"simulated": False, "simulated_corpora": []}
LIES = {
    "measured by the flag": (on_cell(lambda c: c.update(simulated=False)), "calls simulated"),
    "measured by both flags": (on_cell(lambda c: c.update(REAL)), "marked as simulated"),
    "a corpus that is not there": (
        on_cell(lambda c: c.update(simulated_corpora=["SEED", "DEAP"])),
        "calls simulated",
    ),
    "other names": (on_array("subject", lambda a: a - 1), "marked as simulated"),
    "other names in training": (on_array("trials_subject", lambda a: a - 1), "marked as"),
    "an unknown control": (on_cell(lambda c: c.update(control="magic")), "not known"),
    "permuted and no control": (on_cell(lambda c: c.update(permutation=2)), "not called a"),
    "a control that permutes nothing": (
        on_cell(lambda c: c.update(control="chance", permutation=2)),
        "permutes no labels",
    ),
    "stimuli by name": (
        every(lambda c: c.update(classes=[f"clip {n}" for n in range(15)]), "clip-probe"),
        "names the stimuli",
    ),
    "a null that passes for a score": (
        every(lambda c: c.update(control="", permutation=0), "labels-by-trial"),
        "have another class",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_controls_or_simulation_is_refused(lab: Path, tmp_path: Path, lie: str) -> None:
    change, told = LIES[lie]
    file = rewrite(lab / "lab.zip", tmp_path / "lie.zip", change)
    report = merge_files([lab / "lab.zip", file], tmp_path / "m")
    assert [path for path, _ in report.joined] == [lab / "lab.zip"]
    assert told in report.refused[0][1], report.refused
    assert not merge_files([file], tmp_path / "n").ok


def test_two_files_may_not_disagree_about_the_same_windows(lab: Path, tmp_path: Path) -> None:
    """Flags, marks and seal agree with each other, but another file says what the windows are."""
    import io
    import json

    def whole(members: dict[str, bytes]) -> None:
        for name in list(members):
            if name.endswith("cell.json"):
                members[name] = json.dumps({**json.loads(members[name]), **REAL}).encode()
            elif name.endswith(("/subject.npy", "/trials_subject.npy")):
                buffer = io.BytesIO()
                np.save(buffer, np.load(io.BytesIO(members[name])) - 1)
                members[name] = buffer.getvalue()

    file = rewrite(lab / "lab.zip", tmp_path / "lie.zip", whole)
    report = merge_files([lab / "lab.zip", file], tmp_path / "m")
    assert "the very same windows says otherwise" in report.refused[0][1]
    # in a folder where the truth lies already, too
    report = merge_files([file], tmp_path / "m")
    assert "the very same windows says otherwise" in report.refused[0][1]
