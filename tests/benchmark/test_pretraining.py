"""Pre-training from a plan: its run's cells take the weights, a stopped one goes on, refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_helpers import make_parts, make_plan, registered

from affectrum.benchmark import run_plan
from affectrum.benchmark.models import finetune_from_plan
from affectrum.benchmark.plan import Plan
from affectrum.benchmark.pretraining import pretrain_from_plan, source_access
from affectrum.benchmark.shared import SharedPretraining
from affectrum.errors import ConfigError, FileFormatError
from affectrum.inference import load_bundle
from affectrum.inference.pretrained import load_pretrained
from affectrum.methods.base import Pretrained
from affectrum.training.distributed import Processes

SMALL = {"width": 16, "depth": 1, "per_region": 1, "pretrain_epochs": 2, "pretrain_steps": 3}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def plan(store: Path, twin_seed: Path, twin_seed_iv: Path) -> Plan:
    return Plan.from_dict(
        {
            "corpora": {"SEED": str(twin_seed), "SEED-IV": str(twin_seed_iv)},
            "store": str(store),
            "tasks": [
                {
                    "source": "SEED-IV",
                    "target": "SEED",
                    "protocol": "pretrain-finetune",
                    "split": "trials:5/5/5",
                    "recipe": "emod-small",
                    "source_labels": "plane",
                    "va_table": "emod",
                }
            ],
            "methods": [{"name": "emod", "overrides": {**SMALL, "finetune_epochs": 1}}],
            "seeds": [4],
            "extras": False,
        }
    )


class Stopped(BaseException):
    pass


def stop(stage: str, done: int, total: int) -> None:
    if done == 4:
        raise Stopped


@pytest.mark.slow
def test_a_runs_cells_take_the_weights(plan: Plan, tmp_path: Path) -> None:
    bundle = pretrain_from_plan("emod", plan, tmp_path / "weights", run=tmp_path / "run")
    _, weights = load_pretrained(bundle)
    result = run_plan(plan, tmp_path / "run")
    assert (result.pretrained, result.reused) == (0, 1)
    facts = json.loads((bundle / "bundle.json").read_text())
    assert facts["simulated"] is True
    assert facts["provenance"]["grants"] == ["source_signals", "source_plane"]
    assert facts["provenance"]["seed"] == 4
    (about,) = facts["provenance"]["corpora"]
    assert (about["name"], about["subjects"], about["channels"]) == ("SEED-IV", 3, 62)
    # weights of another seed are not those of the cells
    other = pretrain_from_plan("emod", plan, tmp_path / "other", seed=5)
    assert load_pretrained(other)[1].fingerprint != weights.fingerprint

    # a model for new recordings learns from the target's labelled windows
    model = load_bundle(finetune_from_plan("emod", plan, tmp_path / "model", pretrained=bundle))
    assert [one["name"] for one in model.provenance["corpora"]] == ["SEED"]


def test_a_stopped_one_goes_on(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_pretrained(pretrain_from_plan("emod", plan, tmp_path / "a"))[1]
    monkeypatch.setattr("affectrum.methods.emod.pretraining_loop._CHECKPOINT_STEPS", 1)
    with pytest.raises(Stopped):
        pretrain_from_plan("emod", plan, tmp_path / "b", progress=stop)
    assert (tmp_path / "b.checkpoint").exists()
    steps: list[int] = []
    again = pretrain_from_plan(
        "emod", plan, tmp_path / "b", progress=lambda stage, done, total: steps.append(done)
    )
    assert steps == [4, 5, 6]
    assert not (tmp_path / "b.checkpoint").exists()
    for name, value in load_pretrained(again)[1].arrays.items():
        np.testing.assert_array_equal(value, whole.arrays[name])


def test_a_stopped_run_goes_on_in_the_middle_of_pretraining(tmp_path: Path) -> None:
    """The first runner is stopped, the second finds a damaged file, the third trains to the end."""
    seen: list[str | None] = []

    class Long:
        long_pretraining = True

        def pretrain_fingerprint(self, access: Any) -> str:
            return "abc"

        def pretrain(self, access: Any, *, progress: Any, checkpoint: Path) -> Pretrained:
            found = checkpoint.read_text() if checkpoint.exists() else None
            seen.append(found)
            if found is None and len(seen) == 1:
                checkpoint.parent.mkdir(parents=True, exist_ok=True)
                checkpoint.write_text("half")
                raise Stopped
            if found == "half":
                checkpoint.write_text("damaged")
                raise FileFormatError("not a checkpoint")
            return Pretrained("abc", {"a": np.zeros(2)})

    shared = SharedPretraining(tmp_path / "shared")
    method: Any = Long()
    with pytest.raises(Stopped):
        shared.get(method, None)  # type: ignore[arg-type]
    assert shared.get(method, None) is not None  # type: ignore[arg-type]
    assert seen == [None, "half", None]
    assert [path.name for path in (tmp_path / "shared").glob("*.checkpoint")] == []


def test_what_it_refuses(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="takes no log"):
        pretrain_from_plan("scmm", plan, tmp_path / "a", log=lambda step, values: None)
    with pytest.raises(ConfigError, match="exclude each other"):
        pretrain_from_plan("emod", plan, tmp_path / "a", electrodes=["Fz", "Cz"])
    monkeypatch.setattr(
        "affectrum.training.distributed.current_processes", lambda: Processes(1, 2, 1)
    )
    with pytest.raises(ConfigError, match="without torchrun"):
        pretrain_from_plan("scmm", plan, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_folds_that_learn_from_different_windows_have_no_common_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from affectrum.methods import make_method

    with registered():
        ours = make_plan(
            tasks=[{"target": "SEED", "protocol": "leave-one-subject-out"}],
            methods=["most-frequent"],
        )
        scmm = make_method("scmm")
        parts = make_parts()
        monkeypatch.setattr(
            "affectrum.benchmark.inputs.PlanWindows.get", lambda self, corpus, recipe: parts[corpus]
        )
        with pytest.raises(ConfigError, match="pre-train on different windows"):
            source_access(ours, ours.tasks[0], scmm, 0)


def test_the_command(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    pytest.importorskip("tensorboard")
    from affectrum.cli.app import main

    file = tmp_path / "plan.yaml"
    file.write_text(json.dumps(plan.model_dump(mode="json")))
    words = ["pretrain", "emod", str(file), "--device", "cpu", "--out"]
    track = ["--track", str(tmp_path / "curves")]
    assert main([*words, str(tmp_path / "w"), *track]) == 0
    told = capsys.readouterr()
    assert "wrote" in told.out
    assert "epoch 2 of 2, loss" in told.err
    assert len(list((tmp_path / "curves").glob("events*"))) == 1
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main([*words, str(tmp_path / "v"), *track]) == 1
    assert "affectrum[track]" in capsys.readouterr().err
