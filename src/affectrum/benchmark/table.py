"""The table of a record: scores with what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from affectrum.benchmark.record import CellResult, load_record
from affectrum.evaluation import summarise

__all__ = ["describe_access", "score_table"]


def score_table(
    record: str | Path | Sequence[CellResult],
    *,
    metric: str = "balanced_accuracy",
    level: str = "window",
    n_replicates: int = 2000,
    n_permutations: int = 1000,
) -> pd.DataFrame:
    """Score every cell, with what it was allowed to see.

    Parameters
    ----------
    record : path or sequence of CellResult
        A run's folder, or cells.
    metric : str
        The metric with an interval and a chance level.
    level : {"window", "trial"}
        What counts as one.
    n_replicates, n_permutations : int
        For the interval and the chance level.

    Returns
    -------
    DataFrame
        One row per cell: `task`, `source`, `target`, `classes`, `n_classes`, `method`, `preset`,
        `seed`, `protocol`, `access` (what it saw, in words), `selection`, `scaling`, `k`
        (first trials used, or missing), `simulated`, `level`, `metric`, the fields of
        `affectrum.evaluation.summarise` (means and SDs over subjects, interval, chance,
        calibration, cautions), `folds`, `folds_left_out` (a class was missing in training),
        `audit` ("passed", or the declared exceptions), `notes`, `cell`.
    """
    cells = list(record) if not isinstance(record, (str, Path)) else load_record(record)
    rows = []
    for cell in cells:
        meta = cell.meta
        predictions = cell.evaluable()
        lacking = sum(bool(fold["lacks"]) for fold in meta["folds"])
        declared = list(
            dict.fromkeys(n for f in meta["folds"] for n in f["certificate"]["declared"])
        )
        rows.append(
            {
                "task": meta["task_title"],
                "source": " + ".join(meta["source"]) or meta["target"],
                "target": meta["target"],
                "classes": "/".join(meta["classes"]),
                "n_classes": len(meta["classes"]),
                "method": meta["method"]["label"],
                "preset": meta["method"]["preset"],
                "seed": meta["seed"],
                "protocol": meta["protocol"],
                "access": describe_access(meta),
                "selection": meta["selection"],
                "scaling": meta["scaling"],
                "k": meta["calibration_trials"],
                "simulated": meta["simulated"],
                "level": level,
                "metric": metric,
                **summarise(
                    predictions,
                    metric=metric,
                    level=level,
                    n_replicates=n_replicates,
                    n_permutations=n_permutations,
                ),
                "folds": len(meta["folds"]),
                "folds_left_out": 0 if lacking == len(meta["folds"]) else lacking,
                "audit": "passed" if not declared else "declared: " + ", ".join(declared),
                "notes": list(meta["notes"]),
                "cell": cell.digest,
            }
        )
    table = pd.DataFrame(rows)
    if len(table):
        table["k"] = table["k"].astype("Int64")
    return table


def describe_access(meta: dict[str, Any]) -> str:
    """Say in a few words what a cell saw: what was granted, less what its arm leaves aside."""
    grants = set(meta.get("used") or meta["grants"])
    arm = meta.get("arm")
    words = []
    if "source_signals" in grants and arm != "calibration":
        same = meta["source_classes"] is None
        labels = (
            ("labelled" if same else "otherwise labelled")
            if "source_labels" in grants
            else ("unlabelled")
        )
        where = {
            "within-subject": "the subject's first trials",
            "cross-session": "the subject's earlier sessions",
            "leave-one-subject-out": "other subjects",
            "own-split": "own training split",
        }.get(meta["base"], "source")
        if meta["base"] == "few-shot" and not meta.get("source"):
            where = "other subjects"
        if "source_labels" not in grants and "source_plane" in grants:
            words.append(f"{where} with valence and arousal")
        else:
            words.append(f"{labels} {where}")
    k = meta["calibration_trials"]
    fold = (meta.get("folds") or [{}])[0]
    if "calibration_signals" in grants and arm != "source":
        words.append(
            f"{fold['shots']} labelled windows a class of the subject's first {k} trials"
            if fold.get("shots")
            else f"the target's training part of {fold['split']}, labelled"
            if fold.get("split")
            else f"the subject's first {k} trials, labelled"
        )
    if "target_unlabelled" in grants:
        words.append(
            {
                "others": "unlabelled signals of other target subjects",
                "calibration": f"unlabelled signals of the subject's first {k} trials",
                "test": "the unlabelled test signals",
            }.get(str(fold.get("target_use")), "unlabelled target signals")
        )
    if meta.get("scaling") in ("per-subject", "released") and "transductive" in meta["protocol"]:
        words.append("test signals (scaling)")
    if "validation" in grants:
        words.append("validation")
    if meta["selection"] == "oracle":
        words.append("test labels (oracle selection)")
    return " + ".join(words)
