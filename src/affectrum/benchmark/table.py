"""Tables from the record: scores with what was seen, and the audit once more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affectrum.benchmark.record import CellResult, load_record
from affectrum.evaluation import summarise
from affectrum.protocols.audit import Certificate, audit_tables

__all__ = ["audit_record", "score_table"]


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
        words.append(f"{labels} {where}")
    if "calibration_signals" in grants and arm != "source":
        words.append(f"the subject's first {meta['calibration_trials']} trials, labelled")
    if "target_unlabelled" in grants:
        words.append("unlabelled target signals")
    if "transductive" in meta["protocol"]:
        words.append("test signals (scaling)")
    if "validation" in grants:
        words.append("validation")
    if meta["selection"] == "oracle":
        words.append("test labels (oracle selection)")
    return " + ".join(words)


def audit_record(record: str | Path | Sequence[CellResult]) -> pd.DataFrame:
    """Audit stored cells again, from the identifiers that they hold.

    Scaler rows and contents were compared when the cell was computed (its certificate); what is
    stored tells subjects, sessions, trials and stimuli.

    Parameters
    ----------
    record : path or sequence of CellResult
        A run's folder, or cells.

    Returns
    -------
    DataFrame
        One row per fold and check: `cell`, `task`, `method`, `fold`, `check`, `passed`,
        `measured`, `required`, `detail`, `certified` (what the certificate of the run says) and
        `declared`.
    """
    cells = list(record) if not isinstance(record, (str, Path)) else load_record(record)
    rows = []
    for cell in cells:
        tables = _role_tables(cell)
        for number, fold in enumerate(cell.meta["folds"]):
            stored = Certificate.from_dict(fold["certificate"])
            again = audit_tables(
                tables[number],
                base=fold["base"],
                scaling=fold["scaling"],
                stimulus_disjoint=None if fold["stimulus_control"] else fold["stimulus_disjoint"],
                promises=fold.get("promises", ()),
                fold=fold["id"],
                protocol=fold["protocol"],
            )
            fresh = {check.name: check for check in again.checks}
            for check in stored.checks:
                # Rows of scalers and contents are not stored: the certificate speaks for them.
                repeated = check.name in (
                    "subjects",
                    "sessions",
                    "trials",
                    "clip",
                    "film",
                    "series",
                )
                shown = fresh[check.name] if repeated else check
                rows.append(
                    {
                        "cell": cell.digest,
                        "task": cell.meta["task_title"],
                        "method": cell.meta["method"]["label"],
                        "fold": fold["id"],
                        "check": check.name,
                        "passed": shown.passed,
                        "measured": shown.measured,
                        "required": shown.required,
                        "detail": shown.detail,
                        "certified": check.passed,
                        "declared": check.name in stored.declared,
                    }
                )
    return pd.DataFrame(rows)


def _role_tables(cell: CellResult) -> list[dict[str, pd.DataFrame]]:
    stored = cell.identifiers
    trials = pd.DataFrame(
        {
            name.removeprefix("trials_"): array
            for name, array in stored.items()
            if name.startswith("trials_")
        }
    )
    for name in ("clip", "film", "series"):
        column = trials[name].astype("str")
        trials[name] = column.where(column != "")
    roles = [str(role) for role in stored["roles"]]
    out = []
    for number in range(len(cell.meta["folds"])):
        mine = stored["member_fold"] == number
        tables = {}
        for index, role in enumerate(roles):
            chosen = stored["member_trial"][mine & (stored["member_role"] == index)]
            if len(chosen):
                tables[role] = trials.iloc[np.asarray(chosen)].reset_index(drop=True)
        out.append(tables)
    return out
