"""The audit of what a method is handed: columns, rows, memory and labels of each grant."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import AffectrumError
from affectrum.protocols.access import LABEL_COLUMNS, STIMULUS_COLUMNS, Access, Grant
from affectrum.protocols.audit.certificate import Check
from affectrum.protocols.audit.tables import rows_digest
from affectrum.protocols.identity import row_ids, trial_codes
from affectrum.windows.lazy import LazyRows, stored

if TYPE_CHECKING:
    from affectrum.protocols.fold import Fold
    from affectrum.windows import Windows

__all__ = ["check_granted", "check_hidden", "check_labels", "check_reach", "granted_windows"]

_ROLES = ("source", "calibration", "unlabelled", "validation")
# Folds of one target share their source: its rows are named once.
_IDS: weakref.WeakKeyDictionary[Windows, str] = weakref.WeakKeyDictionary()
_TRIALS: weakref.WeakKeyDictionary[Windows, tuple[NDArray[np.int64], pd.DataFrame]] = (
    weakref.WeakKeyDictionary()
)


def granted_windows(access: Access) -> dict[str, tuple[Grant, ...]]:
    """Return what is granted by role: one grant, or one per corpus of a source of several shapes.

    Parameters
    ----------
    access : Access
        What a protocol grants.
    """
    found: dict[str, tuple[Grant, ...]] = {}
    for role in _ROLES:
        grant: Grant | None = getattr(access, role)
        if grant is not None:
            found[role] = (grant,)
        elif role == "source" and access.source_parts:
            found[role] = access.source_parts
    return found


def check_hidden(fold: Fold) -> Check:
    """Look for labels and stimuli in windows that are granted, or tested, without them.

    Parameters
    ----------
    fold : Fold
        The fold.

    Returns
    -------
    Check
    """
    shown = []
    hidden = [
        (role, grant.windows)
        for role, granted in granted_windows(fold.access).items()
        for grant in granted
        if grant.y is None
    ]
    for role, windows in [("test", fold.test), *hidden]:
        names = [n for n in windows.table.columns if n in (*LABEL_COLUMNS, *STIMULUS_COLUMNS)]
        if names:
            shown.append(f"the {role} windows show {', '.join(names)}")
    detail = "; ".join(shown) or "the test windows show neither labels nor stimuli"
    return Check("hidden columns", not shown, len(shown), True, detail)


def check_granted(fold: Fold) -> Check:
    """Compare the windows that a method is handed with the tables that the audit reads.

    Windows that are granted without labels have other trial numbers (see `hide`), so that only
    their number is compared.

    Parameters
    ----------
    fold : Fold
        The fold.

    Returns
    -------
    Check
    """
    faults = []
    grants = granted_windows(fold.access)
    for role, granted in grants.items():
        table = fold.tables.get(role)
        n = sum(map(len, granted))
        if table is None or len(table) != n:
            listed = 0 if table is None else len(table)
            faults.append(f"the {role} grant has {n} windows, its table {listed}")
            continue
        if "id" not in table or any(grant.y is None for grant in granted):
            continue
        listed_ids = table["id"].to_numpy(dtype=np.uint64)
        corpus = table["corpus"].to_numpy() if len(granted) > 1 else None
        for grant in granted:
            if grant.windows not in _IDS:
                _IDS[grant.windows] = rows_digest(row_ids(grant.windows.table))
            mine = listed_ids if corpus is None else listed_ids[corpus == grant.windows.corpus]
            if _IDS[grant.windows] != rows_digest(mine):
                faults.append(f"the {role} grant holds other windows than its table lists")
    detail = "; ".join(faults) or f"{', '.join(grants) or 'nothing'} hold what their tables list"
    return Check("granted", not faults, len(faults), True, detail)


def check_reach(fold: Fold) -> Check:
    """Look for memory behind a grant in which more windows lie than were granted.

    A selection of an array keeps the whole of it, a selection of a table all of its rows. Windows
    that stay in the store's files are handed out by position: the object reads no others.

    Parameters
    ----------
    fold : Fold
        The fold.

    Returns
    -------
    Check
    """
    faults = []
    in_files = 0
    for role, granted in granted_windows(fold.access).items():
        for grant in granted:
            x: Any = stored(grant.windows)
            if isinstance(x, LazyRows):
                in_files += x.behind
                behind = len(x)
            else:
                whole = x
                while isinstance(getattr(whole, "base", None), np.ndarray):
                    whole = whole.base
                behind = whole.size // max(1, x[:1].size)
            # What `Windows` keeps of the windows that it is a selection of.
            behind = max(
                behind, *(len(getattr(grant.windows, name)) for name in ("_base", "_full_table"))
            )
            if behind > len(x):
                faults.append(
                    f"behind the {role} windows lie {behind} windows, of which {len(x)} are granted"
                )
    detail = "; ".join(faults) or "nothing lies behind the arrays that are handed out"
    if in_files and not faults:
        detail += f" (rows of files are read by position; {in_files} others in these stay unread)"
    return Check("reach", not faults, len(faults), True, detail)


def check_labels(fold: Fold) -> Check:
    """Assign the training side's classes again, without the test trials.

    Classes from a median over all trials, those of the test among them, would differ.

    Parameters
    ----------
    fold : Fold
        The fold.

    Returns
    -------
    Check
    """
    name = "labels"
    known = [
        (role, grant)
        for role, granted in granted_windows(fold.access).items()
        for grant in granted
        if grant.y is not None and (role != "source" or fold.access.same_task)
    ]
    changed: dict[str, int] = {}
    n_trials = 0
    for role, grant in known:
        assert grant.y is not None
        if grant.windows not in _TRIALS:
            codes, trials = trial_codes(grant.windows.table)
            _TRIALS[grant.windows] = (np.unique(codes, return_index=True)[1], trials)
        first, trials = _TRIALS[grant.windows]
        mine = np.asarray(grant.y)[first]
        n_trials += len(trials)
        again = _assign(trials, fold)
        if again is None:
            continue
        differ = int((again != mine).sum())
        if differ:
            changed[role] = changed.get(role, 0) + differ
    worst = sum(changed.values())
    detail = (
        "; ".join(
            f"{count} {role} trials get another class when the test is absent"
            for role, count in changed.items()
        )
        or f"{n_trials} training trials keep their classes without the test"
    )
    return Check(name, not worst, worst, True, detail)


def _assign(trials: pd.DataFrame, fold: Fold) -> Any:
    from affectrum.protocols.fold import trial_labels

    try:
        return trial_labels(trials, fold.scheme)
    except AffectrumError:
        return None  # too few trials of a kind to say anything
