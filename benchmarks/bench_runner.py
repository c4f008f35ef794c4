"""The runner: overhead of a cell, several processes, plans of ten thousand cells.

    python benchmarks/bench_runner.py [--only overhead|processes|large] [--cells 10000]

Windows are simulated: the times are a statement about software only.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from affectrum.benchmark import Plan, expand, load_record, run_plan
from affectrum.benchmark.cost import estimate_costs
from affectrum.benchmark.inputs import windows_fingerprint
from affectrum.benchmark.record import MANIFEST, is_complete, write_cell
from affectrum.windows import Windows

LABELS = ["positive", "neutral", "negative"] * 5
BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 14.0), "beta": (14.0, 31.0), "gamma": (31.0, 45.0)}
CHANNELS = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "Cz", "Pz", "O1", "O2")


def make_windows(
    corpus: str,
    labels: list[str] = LABELS,
    *,
    n_sessions: int = 1,
    n_windows: int = 40,
    channels: tuple[str, ...] = CHANNELS,
    bands: Mapping[str, tuple[float, float]] = BANDS,
) -> Windows:
    """Windows of 15 subjects, with a weak effect."""
    rng = np.random.default_rng(len(corpus))
    keys = ("subject", "session", "row", "window")
    sizes = (range(1, 16), range(1, n_sessions + 1), range(1, len(labels) + 1), range(n_windows))
    table = pd.MultiIndex.from_product(sizes, names=keys).to_frame(index=False)
    row, session = table["row"].to_numpy(), table["session"].to_numpy()
    table = table.assign(
        corpus=corpus,
        trial=row,
        clip=np.array([f"{corpus}/{n:03d}" for n in range(500)])[(session - 1) * len(labels) + row],
        emotion=np.array(labels)[row - 1],
        start_s=table["window"].astype(float),
        simulated=True,
    )
    effect = table["emotion"].map({"positive": 0.5, "happy": 0.5, "negative": -0.5, "sad": -0.5})
    x = rng.standard_normal((len(table), len(channels), len(bands)), dtype=np.float32)
    x += effect.fillna(0.0).to_numpy(dtype=np.float32)[:, None, None]
    return Windows.from_arrays(
        x, table, sfreq=200.0, channels=channels, bands=dict(bands), recipe="bench"
    )


def full_size() -> dict[str, Windows]:
    """As many windows as SEED (one session, 1 s) and SEED-IV (three sessions) have, 62 x 5."""
    names = tuple(f"E{number}" for number in range(62))
    five = {"delta": (1.0, 4.0), **BANDS}
    words = ["neutral", "sad", "fear", "happy"] * 6
    return {
        "SEED": make_windows("SEED", n_windows=226, channels=names, bands=five),
        "SEED-IV": make_windows(
            "SEED-IV", words, n_sessions=3, n_windows=55, channels=names, bands=five
        ),
    }


def scmm(**overrides: object) -> dict[str, object]:
    """SCMM with some parameters changed, on the processor."""
    return {"name": "scmm", "overrides": {"search": 0, "device": "cpu", **overrides}}


def load() -> str:
    """The machine's load, which a reader of times must know."""
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load not known"


def overhead(folder: Path, steps: int) -> None:
    """Time of a full-size cell outside training and prediction, as a share of the whole.

    Pre-training is cut short and fine-tuning is whole: the cell of a run in which other cells have
    made the pre-trained model. In one that makes it the share is smaller.
    """
    parts = full_size()
    task = {"source": "SEED-IV", "target": "SEED", "calibration_trials": 9}
    warm = scmm(pretrain_steps=1, finetune_epochs=1)
    run_plan(Plan.from_dict({"tasks": [task], "methods": [warm]}), folder, windows=parts, threads=1)
    plan = Plan.from_dict({"tasks": [task], "methods": [scmm(pretrain_steps=steps)]})
    began = time.perf_counter()
    report = run_plan(plan, folder, windows=parts, threads=1)
    wall = time.perf_counter() - began
    (cell,) = report.computed
    (timing,) = [c.meta["timing"] for c in load_record(folder) if c.digest == cell.digest]
    outside = wall - timing["fit_s"] - timing["predict_s"]
    n_windows = sum(map(len, parts.values()))
    print(
        f"overhead: a cell of 15 folds on {n_windows} windows, {steps} steps of pre-training: "
        f"{wall:.1f} s, of which {outside:.2f} s ({100 * outside / wall:.1f} %) "
        f"outside training and prediction, {timing['audit_s']:.2f} s of it the audit; {load()}"
    )


def processes(folder: Path, n_cells: int) -> None:
    """Two processes of one thread against one of one thread, on cells that share nothing."""
    parts = {"SEED": make_windows("SEED"), "other": make_windows("other")}
    task = {"source": "other", "target": "SEED", "calibration_trials": 9}
    method = scmm(pretrain_steps=120, finetune_epochs=20)
    warm = {"tasks": [task], "methods": [scmm(pretrain_steps=1, finetune_epochs=1)]}
    run_plan(Plan.from_dict(warm), folder / "warm", windows=parts, threads=1)
    data = {"tasks": [task], "methods": [method], "seeds": list(range(n_cells))}
    took, inside, used = {}, {}, {}
    for workers in (1, 2):
        out = folder / f"w{workers}"
        who = resource.RUSAGE_SELF if workers == 1 else resource.RUSAGE_CHILDREN
        before, began = resource.getrusage(who), time.perf_counter()
        report = run_plan(
            Plan.from_dict(data), out, windows=parts, workers=workers, threads=1, devices=()
        )
        assert report.ok
        after = resource.getrusage(who)
        took[workers] = time.perf_counter() - began
        used[workers] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        inside[workers] = sum(cell.meta["timing"]["total_s"] for cell in load_record(out))
    names = sorted(path.name for path in (folder / "w1" / "cells").iterdir())
    same = all(
        (folder / "w1" / "cells" / name / "predictions.npz").read_bytes()
        == (folder / "w2" / "cells" / name / "predictions.npz").read_bytes()
        for name in names
    )
    print(
        f"processes: {n_cells} cells, {took[1]:.1f} s with 1, {took[2]:.1f} s with 2 (their start "
        f"included): {took[1] / took[2]:.2f} times as fast; in cells alone "
        f"{2 * inside[1] / inside[2]:.2f} times; the same bytes: {same}; {load()}"
    )
    print(
        f"processes: {used[1]:.1f} s of processor time with 1, {used[2]:.1f} s with 2, so "
        f"{2 * used[1] / used[2]:.2f} times as fast if each has a core of its own"
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
    parser.add_argument("--cells", type=int, default=10_000, help="of the large plan")
    parser.add_argument("--steps", type=int, default=20, help="of pre-training, for the overhead")
    parser.add_argument("--pairs", type=int, default=5, help="half the cells of two processes")
    parser.add_argument("--only", choices=["large", "overhead", "processes"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only in (None, "large"):  # first: torch is not in memory yet
            large({"SEED": make_windows("SEED")}, folder / "large", options.cells)
        if options.only in (None, "overhead"):
            overhead(folder / "overhead", options.steps)
        if options.only in (None, "processes"):
            processes(folder / "processes", 2 * options.pairs)


if __name__ == "__main__":
    main()
