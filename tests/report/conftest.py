"""Small runs to report on, made with the benchmark tests' method without torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _helpers(name: str = "benchmark_helpers") -> ModuleType:
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "benchmark" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


_helpers("record_helpers")
EVIL = "<script>alert('x')</script> & co"


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated, with extras, two seeds, several tasks, a refused and a failed cell."""
    from affectrum.benchmark import run_plan

    helpers = _helpers()
    task = {"source": "other", "target": "SEED"}
    with helpers.registered():
        plan = helpers.make_plan(
            name=f"Plan {EVIL}",
            extras=True,
            seeds=[0, 1],
            methods=[
                "test-centroid",
                {"name": "test-centroid", "label": EVIL, "overrides": {"epochs": 2}},
                "test-needs-validation",
            ],
            tasks=[
                {**task, "calibration_trials": 9},
                {**task, "calibration_trials": 6},
                {**task, "calibration_trials": 9, "selection": "oracle", "name": "picked"},
                {**task, "protocol": "zero-shot"},
                {"target": "SEED", "protocol": "cross-session"},
            ],
        )
    folder = tmp_path_factory.mktemp("full-run")
    with helpers.registered():
        report = run_plan(plan, folder, windows=helpers.make_parts())
    assert report.refused
    assert report.failed
    return folder


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not simulated, one task, one seed, without extras and epochs."""
    from affectrum.benchmark import run_plan

    helpers = _helpers()
    parts = {
        name: windows.with_column("simulated", [False] * len(windows))
        for name, windows in helpers.make_parts().items()
    }
    folder = tmp_path_factory.mktemp("plain-run")
    with helpers.registered():
        plan = helpers.make_plan(seeds=[0], epoch_scores=False)
        assert run_plan(plan, folder, windows=parts).ok
    return folder
