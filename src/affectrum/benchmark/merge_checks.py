"""What a shared cell must hold true of itself before it is joined: rules, arrays, audit, marks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.audits import REPEATED_CHECKS, role_tables
from affectrum.benchmark.controls import CONTROLS
from affectrum.benchmark.share_format import SharedCell, SharedFold, is_marked
from affectrum.errors import LeakError, StoreError
from affectrum.protocols.catalogue import LABELS, STIMULUS_LEVELS

if TYPE_CHECKING:
    from affectrum.benchmark.tasks import TaskPlan
    from affectrum.protocols.audit import Certificate

__all__ = ["check_shared"]

_TRIAL = ["corpus", "subject", "session", "row"]
_IDENTIFIERS = ("roles", "member_", "trials_")


def check_shared(about: SharedCell, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check one cell of a shareable file.

    Parameters
    ----------
    about : SharedCell
        What it says of itself.
    arrays : mapping of str to ndarray
        Its predictions and identifiers.

    Raises
    ------
    StoreError
        If its name hides what it saw, its arrays can't be, or it is not what it calls itself.
    LeakError
        If its leak audit failed, or its certificates are not about these identifiers.
    """
    _check_rules(about)
    _check_control(about)
    _check_arrays(about, arrays)
    _check_simulated(about, arrays)
    _check_audit(about, arrays)


def _check_rules(about: SharedCell) -> None:
    """A score's name must say what it saw."""
    from affectrum.benchmark.tasks import TaskPlan
    from affectrum.protocols.catalogue import SELECTIONS, base_protocol, grants_of
    from affectrum.protocols.scopes import TRANSDUCTIVE

    try:
        task = TaskPlan.model_validate(dict(about.task))
        base = base_protocol(about.protocol)
        granted = set(grants_of(base))
        if task.source_labels is not True:
            granted -= {"source_labels"}
            granted |= {"source_plane"} if task.source_labels == "plane" else set()
        if base == "pretrain-finetune" and not task.sources:
            granted -= {"source_signals", "source_labels"}
    except ValueError as error:  # also of pydantic, and a protocol that is not known
        raise StoreError(f"its task is not valid: {str(error)[:300]}") from None
    faults = []
    if base_protocol(task.protocol) != base or about.base != base:
        faults.append(f"the protocol {about.protocol!r} is not that of its task")
    if task.target != about.target or list(task.sources) != about.source:
        faults.append("its corpora are not those of its task")
    if about.selection not in SELECTIONS or task.selection != about.selection:
        faults.append(f"selection {about.selection!r} is not that of its task")
    if set(about.grants) - {"validation"} != granted:
        faults.append(f"its grants are not those of {base}")
    transductive = about.scaling in TRANSDUCTIVE and about.scaler != "none"
    transductive |= task.target_use == "test"
    if transductive != ("transductive" in about.protocol):
        faults.append(
            f"{about.protocol!r} and what it did with test signals (scaling {about.scaling!r}, "
            f"target_use {task.target_use!r}) don't agree"
        )
    faults += _misnamed(about, task, base)
    if any(fold.base != base or fold.target != about.target for fold in about.folds):
        faults.append("its folds are of another protocol or target")
    if faults:
        raise StoreError("; ".join(faults))


def _misnamed(about: SharedCell, task: TaskPlan, base: str) -> list[str]:
    """What the name, the task and the folds of a cell say differently."""
    faults = []
    use = task.target_use or ("others" if base.endswith("/unsupervised") else None)
    level = task.stimulus_disjoint
    expected = {
        "other subjects": use == "others",
        "first trials": use == "calibration",
        **{f"{one} labels": task.labels == one for one in LABELS},
    }
    for one in STIMULUS_LEVELS:
        expected[f"{one}-disjoint"] = level == one and not task.stimulus_control
        expected[f"{one}-disjoint control"] = level == one and task.stimulus_control
    shown = about.protocol.partition(" (")[2].removesuffix(")").split(", ")
    wrong = [name for name, wanted in expected.items() if wanted != (name in shown)]
    if wrong:
        faults.append(f"{about.protocol!r} and its task don't agree on {', '.join(wrong)}")
    for name in ("scaling", "calibration_trials"):
        asked, said = getattr(task, name), getattr(about, name)
        if asked is not None and asked != said:
            faults.append(f"{name} {said!r} is not that of its task, {asked!r}")
    modifiers = ("stimulus_disjoint", "stimulus_control")
    if any(getattr(about, name) != getattr(task, name) for name in modifiers):
        faults.append("stimulus_disjoint is not that of its task")
    for name in ("protocol", "scaling", *modifiers):
        if any(getattr(fold, name) != getattr(about, name) for fold in about.folds):
            faults.append(f"{name} of its folds is not that of the cell")
    declared = {name for fold in about.folds for name in fold.certificate.declared}
    if not declared <= set(task.declared_leaks):
        undeclared = ", ".join(sorted(declared - set(task.declared_leaks)))
        faults.append(f"its certificates except {undeclared}, which its task does not declare")
    return faults


def _check_control(about: SharedCell) -> None:
    """A control must be one that is known, and must not pass for a score."""
    if not about.control:
        if about.permutation:
            raise StoreError("it has permuted labels and is not called a control")
        return
    info = CONTROLS.get(about.control)
    if info is None:
        raise StoreError(f"its control {about.control!r} is not known")
    if about.permutation and not info.null:
        raise StoreError(f"control {about.control!r} permutes no labels")
    if info.probe and not all(_is_hash(name) for name in about.classes):
        raise StoreError("it names the stimuli that are its classes")


def _is_hash(text: str) -> bool:
    return len(text) == 16 and set(text) <= set("0123456789abcdef")


def _check_simulated(about: SharedCell, arrays: Mapping[str, NDArray[Any]]) -> None:
    """The names of simulated subjects carry a mark, with which the flag must agree."""
    corpora = np.unique(arrays["trials_corpus"])
    flagged = about.simulated_corpora
    if about.simulated != bool(flagged) or not np.isin(flagged, corpora).all():
        raise StoreError("what it calls simulated is not what its corpora are")
    for prefix in ("", "trials_"):
        names = arrays[f"{prefix}corpus"]
        marked = is_marked(arrays[f"{prefix}subject"])
        if (marked != np.isin(names, flagged)).any():
            raise StoreError(
                "its subjects' names are marked as simulated where it calls them measured, or the "
                "other way round"
            )


def _check_arrays(about: SharedCell, arrays: Mapping[str, NDArray[Any]]) -> None:
    n, n_classes = len(arrays["y_true"]), len(about.classes)
    lengths = {name: len(a) for name, a in arrays.items() if not name.startswith(_IDENTIFIERS)}
    if "epoch_scores" in arrays:
        lengths["epoch_scores"] = arrays["epoch_scores"].shape[1]
    faults = [name for name, length in lengths.items() if length != n]
    if not n or faults:
        raise StoreError(f"its arrays have different lengths ({', '.join(faults) or 'none'})")
    n_trials, n_members = len(arrays["trials_row"]), len(arrays["member_trial"])
    ranges = {
        "y_true": (n_classes, n),
        "fold": (len(about.folds), n),
        "member_fold": (len(about.folds), n_members),
        "member_role": (len(arrays["roles"]), n_members),
        "member_trial": (n_trials, n_members),
        "member_windows": (2**31, n_members),
    }
    for name, (limit, length) in ranges.items():
        values = arrays[name]
        if len(values) != length or (len(values) and not 0 <= values.min() <= values.max() < limit):
            raise StoreError(f"its array {name} holds what can't be")
    if any(len(a) != n_trials for name, a in arrays.items() if name.startswith("trials_")):
        raise StoreError("its arrays of trials have different lengths")
    scores = arrays["scores"].astype(np.float64)
    whole = scores.shape[1] == n_classes and np.isfinite(scores).all() and scores.min() >= 0
    if not whole or not np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        raise StoreError("its scores are no class probabilities")
    for name, axes in (("epoch_scores", n_classes), ("valence_arousal", 2)):
        if name in arrays and arrays[name].shape[-1] != axes:
            raise StoreError(f"its array {name} has a wrong shape")
    if not (arrays["corpus"] == about.target).all():
        raise StoreError("it holds predictions of another corpus than its target")
    for name in ("clip", "film", "series", "roles"):
        letters = "".join(np.unique(arrays[name]).tolist()).replace("_", "")
        if letters and not (letters.isascii() and letters.isalnum()):
            raise StoreError(f"its array {name} holds names that are no hashes")


def _check_audit(about: SharedCell, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Audit the identifiers again and hold the certificates against them."""
    from affectrum.protocols.audit import audit_tables

    tables = role_tables(arrays, len(about.folds))
    windows = pd.DataFrame({name: arrays[name] for name in _TRIAL})
    for number, (fold, roles) in enumerate(zip(about.folds, tables, strict=True)):
        mine = windows[arrays["fold"] == number]
        if "test" not in roles or not len(mine):
            raise StoreError(f"fold {fold.id} tests nothing")
        tested = set(roles["test"][_TRIAL].itertuples(index=False, name=None))
        found = set(mine.drop_duplicates().itertuples(index=False, name=None))
        if tested != found or len(mine) != fold.n_windows.get("test"):
            raise StoreError(
                f"the predictions of fold {fold.id} are not of the trials that it tests"
            )
        if "trials" not in fold.certificate.declared:
            _check_first_trials(about, fold.id, roles)
        again = audit_tables(
            roles,
            base=fold.base,
            scaling=fold.scaling,
            stimulus_disjoint=None if fold.stimulus_control else fold.stimulus_disjoint,
            selection=about.selection,
            promises=tuple(fold.promises),
            fold=fold.id,
            protocol=fold.protocol,
        )
        _compare(fold, again)


def _check_first_trials(about: SharedCell, fold: str, roles: Mapping[str, pd.DataFrame]) -> None:
    """No more first trials may have been seen than the score says."""
    k = about.calibration_trials
    own = "calibration" if "calibration_signals" in about.grants else "unlabelled"
    if k is None or own not in roles or about.base == "within-subject":
        return
    seen = roles[own].drop_duplicates(_TRIAL).groupby(_TRIAL[:3]).size()
    if len(seen) and int(seen.max()) > k:
        raise StoreError(f"fold {fold} saw {int(seen.max())} first trials where the score says {k}")


def _compare(fold: SharedFold, again: Certificate) -> None:
    certified = {check.name: check for check in fold.certificate.checks}
    missing = [check.name for check in again.checks if check.name not in certified]
    if missing or fold.certificate.protocol != fold.protocol:
        raise LeakError(
            f"fold {fold.id} has no certificate of the leak audit for "
            f"{', '.join(missing) or fold.protocol}"
        )
    declared = fold.certificate.declared
    failed = [name for name, check in certified.items() if not check.passed]
    failed += [check.name for check in again.checks if not check.passed]
    failed = [name for name in dict.fromkeys(failed) if name not in declared]
    if failed:
        raise LeakError(f"the leak audit of fold {fold.id} failed: {', '.join(failed)}")
    for name in REPEATED_CHECKS:
        check, fresh = certified[name], again[name]
        if (check.measured, check.passed) != (fresh.measured, fresh.passed):
            raise LeakError(
                f"the certificate of fold {fold.id} is not about these trials: its check {name} "
                f"counted {check.measured}, the identifiers tell {fresh.measured}"
            )
        if fresh.required and not check.required:
            raise LeakError(f"the certificate of fold {fold.id} does not require {name}")
