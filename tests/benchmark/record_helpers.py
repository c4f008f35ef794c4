"""Records with known truth, written without training anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affectrum.benchmark.cells import describe_task
from affectrum.benchmark.files import digest_of, write_file
from affectrum.benchmark.record import (
    CellResult,
    identifier_arrays,
    load_record,
    prediction_arrays,
    write_cell,
)
from affectrum.benchmark.tasks import TaskPlan
from affectrum.protocols.audit import audit_tables
from affectrum.protocols.catalogue import PROTOCOLS, base_protocol

CLASSES = ("positive", "neutral", "negative")


def trials_of(corpus: str, n_subjects: int, n_trials: int, subject0: int = 1) -> pd.DataFrame:
    """One row per trial; every third trial is of one class, clips are shared by all subjects."""
    rows = [
        {
            "corpus": corpus,
            "subject": subject,
            "session": 1,
            "row": row,
            "trial": row,
            "clip": f"{corpus}/{row:02d}",
            "film": f"{corpus}-film/{row:02d}",
            "series": None,
            "y": (row - 1) % 3,
        }
        for subject in range(subject0, subject0 + n_subjects)
        for row in range(1, n_trials + 1)
    ]
    return pd.DataFrame(rows)


def write_result(
    run: Path,
    task: Mapping[str, Any],
    method: str,
    skill: float,
    *,
    seed: int = 0,
    n_subjects: int = 6,
    n_trials: int = 24,
    n_windows: int = 4,
    simulated: bool = True,
    config: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    declared: Sequence[str] = (),
    fingerprint: str = "f0",
    epochs: int = 0,
    leak: bool = False,
) -> str:
    """Write one cell whose windows are right with probability 1/3 + 2/3 skill; return its name."""
    plan = TaskPlan.model_validate(dict(task))
    base = base_protocol(plan.protocol)
    info = PROTOCOLS[base]
    table = trials_of(plan.target, n_subjects, n_trials)
    k = (plan.calibration_trials or 9) if "calibration_labels" in info.grants else None
    assert k is None or isinstance(k, int)
    source = trials_of(plan.sources[0], 4, 12) if plan.sources else None
    rng = np.random.default_rng([seed, *digest_of([plan.title, method]).encode()[:8]])
    tables, clips, scores, truth, fold_of, folds, members = [], [], [], [], [], [], []
    for number, (subject, mine) in enumerate(table.groupby("subject")):
        test = mine[mine["row"] > k] if k else mine
        roles = {"test": test}
        if k:
            roles["calibration"] = mine[mine["row"] <= (k + 1 if leak else k)]
        if source is not None:
            roles["source"] = source
        elif not k:
            roles["source"] = table[table["subject"] != subject]
        windows = test.loc[test.index.repeat(n_windows)].reset_index(drop=True)
        windows["window"] = np.tile(np.arange(n_windows), len(test))
        windows["start_s"] = windows["window"].astype(float)
        y = windows["y"].to_numpy()
        difficulty = rng.normal(0, 0.06)
        right = rng.random(len(y)) < np.clip(skill + difficulty, 0, 1)
        guess = np.where(right, y, rng.integers(0, 3, len(y)))
        raw = rng.random((len(y), 3)) * 0.3 + np.eye(3)[guess]
        scores.append((raw / raw.sum(axis=1, keepdims=True)).astype(np.float32))
        truth.append(y)
        fold_of.append(np.full(len(y), number))
        tables.append(
            windows[["corpus", "subject", "session", "row", "trial", "window", "start_s"]]
        )
        clips.append(windows[["clip", "film", "series"]])
        keep = ["corpus", "subject", "session", "row", "trial", "clip", "film", "series"]
        members.append({role: t[keep].assign(n_windows=n_windows) for role, t in roles.items()})
        certificate = audit_tables(
            members[-1], base=base, scaling="source", stimulus_disjoint=None,
            selection=plan.selection, fold=f"{plan.target}/{subject}", protocol=plan.protocol,
        )  # fmt: skip
        described = certificate.to_dict()
        described["declared"] = list(declared)
        folds.append(
            {
                "id": f"{plan.target}/{subject}",
                "protocol": base,
                "base": base,
                "target": plan.target,
                "subject": f"{plan.target}/{subject}",
                "scaling": "source",
                "selection": plan.selection,
                "stimulus_disjoint": None,
                "stimulus_control": False,
                "scalers": [],
                "lacks": [],
                "notes": [f"{plan.target}/{subject}: a note about a subject"],
                "n_windows": {role: len(t) * n_windows for role, t in members[-1].items()},
                "n_trials": {role: len(t) for role, t in members[-1].items()},
                "certificate": described,
                "n_epochs": max(epochs, 1),
            }
        )
    stacked = np.concatenate(scores)
    epoch_scores = None
    if epochs:
        noise = rng.random((epochs, *stacked.shape))
        epoch_scores = noise / noise.sum(axis=2, keepdims=True)
        epoch_scores[-1] = stacked
    meta: dict[str, Any] = {
        "format": 1,
        "task": plan.model_dump(mode="json"),
        "task_title": plan.title,
        "source": list(plan.sources),
        "target": plan.target,
        "method": {
            "name": "svm",
            "preset": "strict",
            "transfer": None,
            "label": method,
            "config": dict(config or {"c": 1.0}),
        },
        "seed": seed,
        "protocol": plan.protocol,
        "base": base,
        "grants": list(info.grants),
        "used": list(info.grants),
        "arm": None,
        "classes": list(CLASSES),
        "source_classes": None,
        "selection": plan.selection,
        "scaling": "source",
        "scaler": "standard",
        "calibration_trials": k,
        "stimulus_disjoint": None,
        "stimulus_control": False,
        "simulated": simulated,
        "channels": ["Fp1", "Fp2"],
        "bands": [{"name": "alpha", "low": 8.0, "high": 14.0}],
        "recipe": {"name": plan.recipe, "digest": "0123abcd"},
        "fingerprints": {name: f"{fingerprint}-{name}" for name in plan.corpora},
        "versions": {"affectrum": "0.0", "python": "3.11"},
        "timing": {"total_s": 1.5},
        "notes": ["a note"],
        "folds": folds,
        **(changes or {}),
    }
    digest = digest_of([describe_task(plan, fingerprinted=False), method, seed, str(meta)])
    arrays = prediction_arrays(
        pd.concat(tables, ignore_index=True),
        pd.concat(clips, ignore_index=True),
        stacked,
        np.concatenate(truth),
        np.concatenate(fold_of),
        epoch_scores,
    )
    write_cell(run, digest, meta, arrays, identifier_arrays(members))
    return digest


def write_plan(run: Path, digests: Sequence[str], name: str = "made up") -> list[CellResult]:
    """Write plan.json with the order of the cells and return them."""
    text = json.dumps({"name": name, "version": "0", "cells": list(digests), "plan": {}})
    write_file(run / "plan.json", text.encode())
    return load_record(run)
