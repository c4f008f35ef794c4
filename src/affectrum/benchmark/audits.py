"""The leak audit once more, from what a run stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.record import CellResult, load_record
from affectrum.protocols.audit import Certificate, Check, audit_tables
from affectrum.protocols.audit.content import copied_trials
from affectrum.protocols.audit.tables import rows_digest
from affectrum.protocols.identity import row_ids

__all__ = ["REPEATED_CHECKS", "audit_record", "role_tables"]

#: What the stored identifiers tell again; a certificate speaks for the other checks.
REPEATED_CHECKS = (
    "corpora",
    "subjects",
    "sessions",
    "trials",
    "clip",
    "film",
    "series",
    "unlabelled",
    "selection",
)


def audit_record(record: str | Path | Sequence[CellResult]) -> pd.DataFrame:
    """Audit stored cells again, controls included, from the identifiers that they hold.

    Corpora, subjects, sessions, trials, stimuli and the contents of whole trials are compared
    again. Of windows and of what scalers saw, the digests in the certificate are held against the
    stored predictions and against each other; for the rest the certificate speaks.

    Parameters
    ----------
    record : path or sequence of CellResult
        A run's folder, or cells.

    Returns
    -------
    DataFrame
        One row per fold and check: `cell`, `task`, `method`, `control` (empty for a score),
        `fold`, `check`, `passed`, `measured`, `required`, `detail`, `certified` (what the
        certificate of the run says) and `declared`. Beside the audit's own checks there are
        "certificate" (does it belong to the predictions beside it?) for each fold and "copies"
        (trials under two identities anywhere in the cell, measured) for each cell.
    """
    cells = (
        list(record) if not isinstance(record, (str, Path)) else load_record(record, controls=True)
    )
    rows = []
    for cell in cells:
        about = {
            "cell": cell.digest,
            "task": cell.meta["task_title"],
            "method": cell.meta["method"]["label"],
            "control": cell.meta.get("control", ""),
        }
        for fold, stored, check, certified in _checks(cell):
            rows.append(
                {
                    **about,
                    "fold": fold,
                    "check": check.name,
                    "passed": check.passed,
                    "measured": check.measured,
                    "required": check.required,
                    "detail": check.detail,
                    "certified": certified,
                    "declared": check.name in stored.declared,
                }
            )
        copies = _copies(cell)
        rows.append(
            {
                **about,
                "fold": "all",
                "check": copies.name,
                "passed": copies.passed,
                "measured": copies.measured,
                "required": copies.required,
                "detail": copies.detail,
                "certified": True,
                "declared": False,
            }
        )
    return pd.DataFrame(rows)


def _checks(cell: CellResult) -> Iterator[tuple[str, Certificate, Check, bool]]:
    tables = role_tables(cell.identifiers, len(cell.meta["folds"]))
    for number, fold in enumerate(cell.meta["folds"]):
        stored = Certificate.from_dict(fold["certificate"])
        again = audit_tables(
            tables[number],
            base=fold["base"],
            scaling=fold["scaling"],
            stimulus_disjoint=None if fold["stimulus_control"] else fold["stimulus_disjoint"],
            selection=fold.get("selection"),
            promises=fold.get("promises", ()),
            fold=fold["id"],
            protocol=fold["protocol"],
        )
        for check in stored.checks:
            shown = check
            if check.name in REPEATED_CHECKS:
                shown = again[check.name]
            elif check.name == "content" and "trial_content" in tables[number]["test"]:
                # The certificate compared windows, this compares whole trials: both must pass.
                shown = check if not check.passed else again["content"]
            elif check.name == "scalers":
                shown = _scalers(check, fold, stored)
            yield fold["id"], stored, shown, check.passed
        yield fold["id"], stored, _belongs(cell, number, stored), True


def _scalers(check: Check, fold: Mapping[str, Any], stored: Certificate) -> Check:
    """Hold what scalers say of themselves against the rows of the test."""
    tested = stored.rows.get("test", {}).get("digest")
    bad = [
        record
        for record in fold["scalers"]
        if "test" in record["roles"] or (tested is not None and record["digest"] == tested)
    ]
    if not bad or not check.required:
        return check
    detail = f"{len(bad)} of {len(fold['scalers'])} scalers were fitted on the test"
    return Check(check.name, False, max(check.measured, len(bad)), check.required, detail)


def _belongs(cell: CellResult, number: int, stored: Certificate) -> Check:
    """Tell whether a certificate is about the predictions that lie beside it."""
    name = "certificate"
    rows = stored.rows.get("test")
    if rows is None:
        return Check(name, True, 0, False, "the certificate names no rows")
    arrays = cell.arrays
    mine = arrays["fold"] == number
    keys = ("corpus", "subject", "session", "row", "window")
    table = pd.DataFrame({key: arrays[key][mine] for key in keys})
    same = len(table) == rows["n"] and rows_digest(row_ids(table)) == rows["digest"]
    detail = (
        f"it certifies the {len(table)} predicted windows"
        if same
        else f"it certifies {rows['n']} other windows than the {len(table)} predicted ones"
    )
    return Check(name, same, 0 if same else len(table), True, detail)


def _copies(cell: CellResult) -> Check:
    """Trials of a cell that hold one signal under two identities."""
    stored = cell.identifiers
    names = ("corpus", "subject", "session", "row", "trial_content", "trial_likeness")
    if "trials_trial_content" not in stored:
        return Check("copies", True, 0, False, "contents of trials are not stored")
    pairs = copied_trials(pd.DataFrame({name: stored[f"trials_{name}"] for name in names}))
    detail = (
        f"{len(pairs)} trials hold the signal of another one, for example "
        + ", ".join(f"{second} that of {first}" for first, second in pairs[:3])
        if pairs
        else f"no two of {len(stored['trials_row'])} trials hold one signal"
    )
    return Check("copies", not pairs, len(pairs), False, detail)


def role_tables(stored: Mapping[str, NDArray[Any]], n_folds: int) -> list[dict[str, pd.DataFrame]]:
    """Return the trials of each role of each fold.

    Parameters
    ----------
    stored : mapping of str to ndarray
        A cell's `identifiers`.
    n_folds : int
        How many folds it has.

    Returns
    -------
    list of dict of str to DataFrame
        As `affectrum.protocols.audit.audit_tables` takes them, one per fold.
    """
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
    for number in range(n_folds):
        mine = stored["member_fold"] == number
        tables = {}
        for index, role in enumerate(roles):
            chosen = stored["member_trial"][mine & (stored["member_role"] == index)]
            if len(chosen):
                tables[role] = trials.iloc[np.asarray(chosen)].reset_index(drop=True)
        out.append(tables)
    return out
