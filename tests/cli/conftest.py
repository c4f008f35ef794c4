"""One tiny run of a plan that several tests look at, and a way to call the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from affectrum.cli.app import main

PLAN = """\
name: "a tiny plan"
corpora: {{SEED: {{folder: {seed}, form: preprocessed}}, SEED-IV: {seed_iv}}}
store: {store}
methods:
  - most-frequent
  - {{name: svm, arm: calibration}}
  - {{name: logistic, arm: source}}
  - {{name: scmm, overrides: {{pretrain_steps: 4, finetune_epochs: 2, search: 0}}}}
tasks:
  - {{source: SEED-IV, target: SEED, classes: valence3-no-fear, recipe: de32,
     protocol: cross-corpus/calibrated, calibration_trials: 9}}
  - {{source: SEED-IV, target: SEED, classes: valence3-no-fear, recipe: de32,
     protocol: cross-corpus/zero-shot, methods: [most-frequent, "logistic [source]"]}}
"""


@dataclass(frozen=True)
class Result:
    """What one call of the command line gave."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Return a function that runs `affectrum` in this process."""

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return run


@dataclass(frozen=True)
class Workspace:
    plan: Path
    run: Path
    store: Path


@pytest.fixture(scope="session")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, twin_seed: Path, twin_seed_iv: Path
) -> Workspace:
    """Return a plan that was run; tests only read it."""
    top = tmp_path_factory.mktemp("workspace")
    plan = top / "plan.yaml"
    plan.write_text(PLAN.format(seed=twin_seed, seed_iv=twin_seed_iv, store=top / "store"))
    assert main(["run", str(plan), "--out", str(top / "run"), "--quiet"]) == 0
    return Workspace(plan, top / "run", top / "store")
