"""Join shared result files into one run: checked, audited again, and refused where they fail.

A file's seal and digests show damage and carelessness. They can't show a lie: who makes up
predictions can make up certificates that fit. What is caught is what can be: a certificate that is
missing, failed, or does not belong to the identifiers beside it; identifiers that don't belong to
the predictions; a score whose name hides what it saw.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.audits import REPEATED_CHECKS, role_tables
from affectrum.benchmark.files import sha256, write_file
from affectrum.benchmark.record import CellResult, cell_folder, is_complete, load_record, write_cell
from affectrum.benchmark.share_format import (
    ARRAYS,
    OPTIONAL_ARRAYS,
    Limits,
    Manifest,
    SharedCell,
    SharedFold,
    decode_json,
    digest_file,
    parse,
    read_array,
    read_manifest,
    read_member,
)
from affectrum.errors import AffectrumError, ConfigError, LeakError, StoreError
from affectrum.protocols.catalogue import LABELS, STIMULUS_LEVELS

if TYPE_CHECKING:
    from affectrum.benchmark.tasks import TaskPlan
    from affectrum.protocols.audit import Certificate

__all__ = ["MergeReport", "merge_files"]

_TRIAL = ["corpus", "subject", "session", "row"]
_IDENTIFIERS = ("roles", "member_", "trials_")
_SAME = 1e-5


@dataclass
class MergeReport:
    """What was joined.

    Attributes
    ----------
    out : Path
        The run's folder.
    joined : list of (Path, int)
        Files and how many cells of each are new.
    refused : list of (Path, str)
        Files that were not joined, and why.
    cautions : list of str
        What a reader of the joined table should know.
    keys : dict of str to list of Path
        Files by the key of their names.
    """

    out: Path
    joined: list[tuple[Path, int]] = field(default_factory=list)
    refused: list[tuple[Path, str]] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    keys: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no file was refused."""
        return not self.refused


@dataclass(frozen=True)
class _Cell:
    """One cell of a file, checked."""

    name: str
    about: SharedCell
    arrays: dict[str, NDArray[Any]]


def merge_files(
    files: Sequence[str | Path], out: str | Path, *, limits: Limits | None = None
) -> MergeReport:
    """Join shared result files into a run that `load_record` and the report read.

    Parameters
    ----------
    files : sequence of path
        Files of `affectrum.benchmark.share_run`, in order: of a cell that several hold, the first
        counts.
    out : path
        The run's folder; only joined results may lie there.
    limits : Limits, optional
        How much of a file is read.

    Returns
    -------
    MergeReport
        A file that fails is refused as a whole and does not stop the others.

    Raises
    ------
    ConfigError
        If no file is given, or the folder holds results of its own.
    StoreError
        If the folder can't be written.
    """
    out = Path(out)
    limits = Limits() if limits is None else limits
    if not files:
        raise ConfigError("No file is given to join. `affectrum run --share FILE` writes one.")
    present = load_record(out, controls=True) if (out / "cells").is_dir() else []
    if any("shared" not in cell.meta for cell in present):
        raise ConfigError(
            f"{out} holds results whose subjects have their own numbers; hashed names can't be "
            "joined with them. Choose an empty folder, share that run too, and join all files."
        )
    report = MergeReport(out)
    order = [cell.digest for cell in present]
    truth = _Truth()
    for old in present:
        truth.add(old.meta["shared"]["key"], old.meta, old.arrays)
    for file in map(Path, files):
        try:
            manifest, cells = _read(file, limits)
            truth.check(manifest.key, cells)
        except (AffectrumError, OSError) as error:
            report.refused.append((file, str(error)))
            continue
        report.keys.setdefault(manifest.key, []).append(file)
        origin = {"key": manifest.key, "file": digest_file(file)[:16], "title": manifest.title}
        new = 0
        for cell in cells:
            truth.add(manifest.key, cell.about.model_dump(), cell.arrays)
            if is_complete(out, cell.name):
                report.cautions += _repeated(out, cell, file)
                continue
            _write(out, cell, origin)
            order.append(cell.name)
            new += 1
        report.joined.append((file, new))
    if len(report.keys) > 1:
        report.cautions.append(
            "The files were made with different keys: the same person has different names in "
            "them, so that their results stand in tables of their own. Pool with one --share-key."
        )
    if order:
        _write_plan(out, order, [title for title, _ in report.joined])
    return report


# ---------------------------------------------------------------------------- reading


def _read(file: Path, limits: Limits) -> tuple[Manifest, list[_Cell]]:
    size = file.stat().st_size
    if size > limits.file_bytes:
        raise StoreError(f"{file} has {size} bytes; at most {limits.file_bytes} are read.")
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = read_manifest(archive, file, limits)
            if not manifest.cells:
                raise StoreError(f"{file} holds no result.")
            cells = [
                _read_cell(archive, listed.name, listed.files, file, limits)
                for listed in manifest.cells
            ]
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise StoreError(f"{file} is no shareable result file: {error}") from None
    return manifest, cells


def _read_cell(
    archive: zipfile.ZipFile, name: str, files: Mapping[str, Any], where: Path, limits: Limits
) -> _Cell:
    known = {"cell.json", *(f"{array}.npy" for array in (*ARRAYS, *OPTIONAL_ARRAYS))}
    needed = {"cell.json", *(f"{array}.npy" for array in ARRAYS)}
    if not needed <= set(files) <= known:
        raise StoreError(f"{where}: cell {name} lacks files or holds unknown ones.")
    content: dict[str, bytes] = {}
    for file, entry in files.items():
        limit = limits.json_bytes if file == "cell.json" else limits.member_bytes
        data = read_member(archive, f"cells/{name}/{file}", where, min(limit, entry.bytes))
        if len(data) != entry.bytes or sha256(data) != entry.sha256:
            raise StoreError(f"{where} was changed or damaged: {name}/{file} is not as listed.")
        content[file] = data
    about = decode_json(content.pop("cell.json"), where, f"cell {name}")
    cell = _Cell(
        name,
        parse(SharedCell, about, where, f"cell {name}"),
        {f[:-4]: read_array(data, f[:-4], where) for f, data in content.items()},
    )
    try:
        _check_rules(cell.about)
        _check_arrays(cell)
        _check_audit(cell)
    except (StoreError, LeakError) as error:
        what = f"{cell.about.task_title} · {cell.about.method.label}"
        raise type(error)(f"{where}: {what}: {error}") from None
    return cell


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


def _check_arrays(cell: _Cell) -> None:
    arrays, about = cell.arrays, cell.about
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


def _check_audit(cell: _Cell) -> None:
    """Audit the identifiers again and hold the certificates against them."""
    from affectrum.protocols.audit import audit_tables

    about, arrays = cell.about, cell.arrays
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


# ---------------------------------------------------------------------------- joining


class _Truth:
    """The class of each trial under one key: two files can't disagree about it."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], dict[tuple[int, int, int], int]] = {}

    def _labels(
        self, key: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[tuple[Any, ...], dict[tuple[int, int, int], int]]:
        task = about["task"]
        # Thresholds that are fitted on the training side may differ between sources.
        name = (
            key,
            about["target"],
            tuple(about["classes"]),
            json.dumps([task.get("classes"), task.get("labels"), about["source"]]),
        )
        columns = np.column_stack([arrays[n] for n in ("subject", "session", "row", "y_true")])
        rows = np.unique(columns, axis=0).tolist()
        return name, {(a, b, c): y for a, b, c, y in rows}

    def add(
        self, key: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> None:  # fmt: skip
        """Remember what a cell says."""
        name, labels = self._labels(key, about, arrays)
        self._known.setdefault(name, {}).update(labels)

    def check(self, key: str, cells: Sequence[_Cell]) -> None:
        """Compare cells with what is known.

        Raises
        ------
        StoreError
            If trials have another class than in a file before.
        """
        for cell in cells:
            name, labels = self._labels(key, cell.about.model_dump(), cell.arrays)
            known = self._known.get(name, {})
            differ = sum(known.get(trial, y) != y for trial, y in labels.items())
            if differ:
                raise StoreError(
                    f"{cell.about.task_title}: {differ} of {len(labels)} trials have another class "
                    "than in a file before it, under the same key: the labs don't hold the same "
                    "data, or number it differently."
                )


def _repeated(out: Path, cell: _Cell, file: Path) -> list[str]:
    """Say how far a cell that is there already differs; equal ones need no word."""
    folder = cell_folder(out, cell.name)
    meta = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
    known = CellResult(folder, meta).arrays["scores"]
    mine = cell.arrays["scores"]
    gap = float(np.abs(known - mine).max()) if known.shape == mine.shape else float("inf")
    if gap <= _SAME:
        return []
    return [
        f"{file}: {cell.about.task_title} · {cell.about.method.label} · seed {cell.about.seed} is "
        f"here already with other scores (largest difference {gap:.3g}); the first one counts."
    ]


def _write(out: Path, cell: _Cell, origin: Mapping[str, str]) -> None:
    meta = cell.about.model_dump(mode="json")
    meta["notes"] = []
    meta["shared"] = dict(origin)
    for fold in meta["folds"]:
        fold["notes"], fold["scalers"], fold["selection"] = [], [], meta["selection"]
        certificate = fold["certificate"]
        certificate["fold"] = fold["id"]
        for check in certificate["checks"]:
            check["detail"] = f"{check['measured']} counted where it was computed"
    predictions = {n: a for n, a in cell.arrays.items() if not n.startswith(_IDENTIFIERS)}
    identifiers = {
        n: a.astype(np.uint64) if "content" in n or "likeness" in n else a
        for n, a in cell.arrays.items()
        if n.startswith(_IDENTIFIERS)
    }
    write_cell(out, cell.name, meta, predictions, identifiers)


def _write_plan(out: Path, order: Sequence[str], files: Sequence[Path]) -> None:
    from affectrum import __version__

    content = {
        "name": f"Pooled results of {len(files)} files" if len(files) > 1 else "Pooled results",
        "version": __version__,
        "cells": list(dict.fromkeys(order)),
        "plan": {},
        "corpora": {},
    }
    write_file(out / "plan.json", json.dumps(content, indent=1).encode())
