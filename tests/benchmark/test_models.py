"""One model of a plan: which settings, which electrodes, which score on its card."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from benchmark_helpers import make_parts, make_plan, registered

from affectrum.benchmark import models, run_plan, score_table
from affectrum.benchmark.plan import MethodPlan, Plan
from affectrum.benchmark.pretraining import pretrain_from_plan
from affectrum.errors import BundleError, ConfigError


def plan_of(twin_seed: Path, twin_seed_iv: Path, store: Path, **changes: object) -> Plan:
    return Plan.from_dict(
        {
            "corpora": {"SEED": str(twin_seed), "SEED-IV": str(twin_seed_iv)},
            "store": str(store),
            "tasks": [
                {"source": "seed_iv", "target": "SEED", "classes": "valence3-no-fear",
                 "recipe": "de32", "calibration_trials": 9},
                {"target": "SEED", "protocol": "within-subject", "recipe": "de32",
                 "calibration_trials": 9},
            ],
            "methods": [{"name": "logistic", "arm": "calibration", "overrides": {"C": 0.01}}],
            "seeds": [3],
            **changes,
        }
    )  # fmt: skip


def test_a_model_has_the_plan_s_settings_and_learns_from_the_source(
    tmp_path: Path, twin_seed: Path, twin_seed_iv: Path
) -> None:
    from affectrum.inference import load_bundle

    plan = plan_of(twin_seed, twin_seed_iv, tmp_path / "store")
    first = load_bundle(models.finetune_from_plan("logistic", plan, tmp_path / "a"))
    assert first.method.config.C == 0.01
    # the plan's arm leaves the source aside, which has no meaning without a target
    assert first.method.config.arm == "auto"
    assert [c["name"] for c in first.provenance["corpora"]] == ["SEED-IV"]
    assert first.provenance["corpora"][0]["subjects"] == 3
    assert first.simulated
    within = load_bundle(models.finetune_from_plan("logistic", plan, tmp_path / "b", task=2))
    assert [c["name"] for c in within.provenance["corpora"]] == ["SEED"]
    four = models.finetune_from_plan(
        "logistic", plan, tmp_path / "c", electrodes=["TP9", "AF7", "AF8", "TP10"]
    )
    assert load_bundle(four).channels == ("TP9", "AF7", "AF8", "TP10")


@pytest.mark.parametrize("task", [0, 3])
def test_a_task_that_is_not_there_is_answered_with_those_that_are(
    tmp_path: Path, twin_seed: Path, twin_seed_iv: Path, task: int
) -> None:
    plan = plan_of(twin_seed, twin_seed_iv, tmp_path / "store")
    with pytest.raises(ConfigError, match="tasks 1 to 2") as error:
        models.finetune_from_plan("logistic", plan, tmp_path / "a", task=task)
    assert "2. SEED, valence3, within-subject" in str(error.value)


def test_a_taken_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "no", tmp_path / "corpus", tmp_path / "store")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    for make in (models.finetune_from_plan, pretrain_from_plan):
        with pytest.raises(BundleError, match="never replaced"):
            make("logistic", plan, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_the_method_of_the_plan_or_the_default_preset() -> None:
    with registered():
        plan = make_plan(methods=[{"name": "test-centroid", "label": "long"}])
        assert models.planned_method(plan, "long").label == "long"
        assert models.planned_method(plan, "test-centroid").label == "long"
    assert models.planned_method(plan, "svm") == MethodPlan(name="svm")


def test_only_a_score_on_unseen_people_is_told(tmp_path: Path) -> None:
    task = {"source": "other", "target": "SEED"}
    tasks = [
        {**task, "calibration_trials": 9},
        {**task, "protocol": "zero-shot", "methods": ["most-frequent"]},
    ]
    with registered():
        plan = make_plan(tasks=tasks, methods=["test-centroid", "most-frequent"], seeds=[0])
        run_plan(plan, tmp_path, windows=make_parts())
        assert models._score(tmp_path, plan.tasks[0], MethodPlan(name="test-centroid")) is None
        told = models._score(tmp_path, plan.tasks[0], MethodPlan(name="most-frequent"))
    assert told is not None
    table = score_table(tmp_path, n_replicates=20, n_permutations=20)
    row = table[table["protocol"].str.endswith("zero-shot")].iloc[0]
    assert told["balanced_accuracy"] == pytest.approx(row["balanced_accuracy"], abs=1e-4)
    assert told["protocol"] == "cross-corpus/zero-shot"
    assert told["simulated"] is True
    other = SimpleNamespace(sources=("SEED",), target="SEED")
    assert models._score(tmp_path, other, MethodPlan(name="most-frequent")) is None
