"""The runner: overhead of a cell, several processes, plans of ten thousand cells.

    python benchmarks/bench_runner.py [--cells 10000] [--seconds 4]

Windows are simulated: the times are a statement about software only.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from affectrum.benchmark import Plan, expand, load_record, run_plan
from affectrum.benchmark.cost import estimate_costs
from affectrum.benchmark.inputs import windows_fingerprint
from affectrum.benchmark.record import MANIFEST, is_complete, write_cell
from affectrum.windows import Windows

LABELS = ["positive", "neutral", "negative"] * 5
CHANNELS = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "Cz", "Pz", "O1", "O2")


def make_windows(corpus: str, n_subjects: int = 15, n_windows: int = 40) -> Windows:
    """Windows of a corpus of SEED's shape, with a weak effect."""
    rng = np.random.default_rng(len(corpus))
    rows = [
        {
            "corpus": corpus,
            "subject": subject,
            "session": 1,
            "row": row,
            "trial": row,
            "clip": f"{corpus}/{row:02d}",
            "emotion": emotion,
            "window": window,
            "start_s": float(window),
            "simulated": True,
        }
        for subject in range(1, n_subjects + 1)
        for row, emotion in enumerate(LABELS, start=1)
        for window in range(n_windows)
    ]
    table = pd.DataFrame(rows)
    effect = table["emotion"].map({"positive": 0.5, "neutral": 0.0, "negative": -0.5})
    x = rng.standard_normal((len(table), len(CHANNELS), 4)) + effect.to_numpy()[:, None, None]
    return Windows.from_arrays(
        x.astype(np.float32),
        table,
        sfreq=200.0,
        channels=CHANNELS,
        bands={"theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31, 45)},
        recipe="bench",
    )


def scmm(steps: int) -> dict[str, object]:
    """SCMM with so many steps of each kind."""
    overrides = {"pretrain_steps": steps, "search": 0, "finetune_max_steps": steps // 2}
    return {"name": "scmm", "overrides": {**overrides, "finetune_epochs": 100}}


def overhead(parts: dict[str, Windows], folder: Path, seconds: float) -> None:
    """Time outside training and prediction, as a share of the whole."""
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    data = {"tasks": [task], "methods": [scmm(int(60 * seconds))], "seeds": [0, 1, 2]}
    plan = Plan.from_dict(data)
    for part in parts.values():
        windows_fingerprint(part)  # of the windows, once for all plans
    run_plan(Plan.from_dict({**data, "seeds": [9]}), folder, windows=parts, threads=1)  # warm up
    began = time.perf_counter()
    report = run_plan(plan, folder, windows=parts, threads=1)
    wall = time.perf_counter() - began
    cells = {cell.digest for cell in report.computed}
    timing = [cell.meta["timing"] for cell in load_record(folder) if cell.digest in cells]
    work = sum(entry["fit_s"] + entry["predict_s"] for entry in timing)
    audit = sum(entry["audit_s"] for entry in timing)
    print(
        f"overhead: {wall / len(timing):.2f} s per cell of 15 folds, of which "
        f"{100 * (wall - work) / wall:.1f} % outside training and prediction "
        f"(audit {100 * audit / wall:.1f} %)"
    )


def processes(parts: dict[str, Windows], folder: Path, seconds: float) -> None:
    """Two processes of one thread against one of one thread, on cells that share nothing."""
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    data = {"tasks": [task], "methods": [scmm(int(60 * seconds))], "seeds": list(range(6))}
    plan = Plan.from_dict(data)
    took = {}
    for workers in (1, 2):
        began = time.perf_counter()
        report = run_plan(
            plan, folder / f"w{workers}", windows=parts, workers=workers, threads=1, devices=()
        )
        assert report.ok
        took[workers] = time.perf_counter() - began
    names = sorted(path.name for path in (folder / "w1" / "cells").iterdir())
    same = all(
        (folder / "w1" / "cells" / name / "predictions.npz").read_bytes()
        == (folder / "w2" / "cells" / name / "predictions.npz").read_bytes()
        for name in names
    )
    print(
        f"processes: {took[1]:.1f} s with 1, {took[2]:.1f} s with 2 (start included): "
        f"{took[1] / took[2]:.2f} times as fast; the same bytes: {same}"
    )


def large(parts: dict[str, Windows], folder: Path, n_cells: int) -> None:
    """Expand a large plan, find what is done (half of it), and resume where all is done."""
    n_tasks = max(1, n_cells // 100)
    plan = Plan.from_dict(
        {
            "tasks": [
                {"target": "SEED", "protocol": "leave-one-subject-out", "subjects": [1, n + 2]}
                for n in range(n_tasks)
            ],
            "methods": [
                {"name": "svm", "label": f"svm {n}", "overrides": {"C": 1.0 + n}} for n in range(10)
            ],
            "seeds": list(range(10)),
        }
    )
    prints = {("SEED", "de62"): windows_fingerprint(parts["SEED"])}
    began = time.perf_counter()
    cells = expand(plan, prints)
    expanded = time.perf_counter() - began
    # Manifests as large as those of 15 folds.
    template = {"folds": [{"certificate": "x" * 3000}] * 15, "timing": {"total_s": 1.0}}
    small = {"scores": np.zeros((4, 3), dtype=np.float32)}
    write_cell(folder, cells[0].digest, template, small, small)
    first = folder / "cells" / cells[0].digest
    for cell in cells[2::2]:  # copies: to write each safely to the disk takes minutes
        shutil.copytree(first, first.with_name(cell.digest))
    began = time.perf_counter()
    costs = estimate_costs(cells, folder)
    checked = time.perf_counter() - began
    assert sum(cost.done for cost in costs) == (len(cells) + 1) // 2
    for cell in cells[1::2]:
        shutil.copytree(first, first.with_name(cell.digest))
    assert is_complete(folder, cells[-1].digest)
    assert (folder / "cells" / cells[-1].digest / MANIFEST).exists()
    began = time.perf_counter()
    report = run_plan(plan, folder, windows=parts)
    resumed = time.perf_counter() - began
    assert len(report.kept) == len(cells)
    unit = 1024 if sys.platform != "darwin" else 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    print(
        f"{len(cells)} cells: expanded in {expanded:.1f} s, `plan` with half of them done in "
        f"{checked:.1f} s, resumed with all done in {resumed:.1f} s; peak memory {peak:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", choices=["large", "overhead", "processes"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {"SEED": make_windows("SEED"), "other": make_windows("other")}
        if options.only in (None, "large"):  # first: torch is not in memory yet
            large(parts, folder / "large", options.cells)
        if options.only in (None, "overhead"):
            overhead(parts, folder / "overhead", options.seconds)
        if options.only in (None, "processes"):
            processes(parts, folder / "processes", options.seconds)


if __name__ == "__main__":
    main()
