"""Compute one cell: every fold is audited, trained and scored, then all of it is written once."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.cell_pictures import store_fold_pictures, store_importance
from affectrum.benchmark.cells import RECORD_FORMAT, Cell
from affectrum.benchmark.extras import ImportanceCollector
from affectrum.benchmark.heldout import held_out_arrays, plane_truth, score_held_out
from affectrum.benchmark.record import identifier_arrays, prediction_arrays, write_cell
from affectrum.benchmark.shared import SharedPretraining
from affectrum.errors import ConfigError
from affectrum.protocols import FoldSet, plan_folds, truth
from affectrum.protocols.audit import audit_fitted
from affectrum.protocols.identity import first_windows

if TYPE_CHECKING:
    from affectrum.benchmark.tasks import TaskPlan
    from affectrum.methods.base import Method, Predict
    from affectrum.protocols import Fold
    from affectrum.windows import Windows

__all__ = ["CellContext", "run_cell", "versions"]

# What is stored of each trial of each role
_OF_TRIALS = ("trial", "clip", "film", "series", "trial_content", "trial_likeness")
# Windows held for folds that are fitted at once
_BATCH_BYTES = 512 * 1024**2


class Tell(Protocol):
    """Reports progress."""

    def __call__(self, kind: str, **changes: Any) -> None:
        """Tell one event."""
        ...


@dataclass(frozen=True)
class CellContext:
    """What a cell needs beside its own description."""

    out: Path
    windows: Callable[[str], Windows]
    shared: SharedPretraining
    tell: Tell
    epoch_scores: bool = True
    extras: bool = False
    told: dict[str, Any] = field(default_factory=dict)  # corpus -> form, options of its reader


def versions() -> dict[str, str]:
    """Versions of everything that can change a number, and the machine's kind."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("affectrum", "numpy", "scipy", "pandas", "scikit-learn", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    # Sums are split over threads, so their number shows in the last bits.
    torch = sys.modules.get("torch")
    threads = os.environ.get("OMP_NUM_THREADS") if torch is None else torch.get_num_threads()
    if threads is not None:
        found["threads"] = str(threads)
    return found


@dataclass
class _FoldResult:
    scores: NDArray[np.float32]
    y_true: NDArray[np.int64]
    epochs: list[NDArray[np.float16]]
    plane: NDArray[np.float32] | None
    table: pd.DataFrame
    clips: pd.DataFrame
    held_out: dict[str, NDArray[Any]] | None
    plane_truth: NDArray[np.float32] | None
    members: dict[str, pd.DataFrame]
    meta: dict[str, Any]


def run_cell(
    cell: Cell,
    context: CellContext,
    alter: Callable[[FoldSet, Sequence[Windows]], FoldSet] | None = None,
) -> bool:
    """Compute and write one cell.

    Parameters
    ----------
    cell : Cell
        With its final digest.
    context : CellContext
        Where its windows come from and where it is written.
    alter : callable, optional
        Changes the folds, for controls.

    Returns
    -------
    bool
        False if another runner had finished it first.

    Raises
    ------
    AccessError
        If the protocol does not grant what the method needs.
    LeakError
        If the audit fails, before anything is trained.
    ProtocolError, LabelError
        If the task can't be built.
    StoreError
        If the folder can't be written.
    """
    began = time.perf_counter()
    parts = [context.windows(name) for name in dict.fromkeys(cell.task.corpora)]
    folds = plan_folds(parts, cell.task.protocol, seed=cell.seed, **fold_options(cell.task))
    if alter is not None:
        folds = alter(folds, parts)
    timing = {"audit_s": 0.0, "fit_s": 0.0, "predict_s": 0.0}
    importance = ImportanceCollector() if context.extras else None
    results: list[_FoldResult] = []
    label, config, arm = cell.method.title, {}, None
    used: tuple[str, ...] = ()
    first: Fold | None = None
    for batch in _batches(folds, cell.method.make(), cell.batched):
        named = [fold.id for group in batch for fold in group]
        context.tell(
            "fold",
            fold=", ".join(named[:3]) + (" ..." if len(named) > 3 else ""),
            folds_done=len(results),
            folds_total=len(folds),
            stage="",
            stage_done=0,
            stage_total=0,
        )
        methods, found = _run_batch(cell, context, batch, parts, timing)
        if first is None:
            first, method = batch[0][0], methods[0]
            config = method.config.model_dump(mode="json")
            arm = getattr(method, "arm_", None)
            used = method.used_grants(first.access)
            if not cell.method.label and hasattr(method, "label"):
                label = str(method.label) + (
                    f" ({cell.method.preset})" if cell.method.preset != "strict" else ""
                )
        pairs = [
            (method, fold) for method, group in zip(methods, batch, strict=True) for fold in group
        ]
        for (method, fold), result in zip(pairs, found, strict=True):
            number = len(results)
            results.append(result)
            if importance is not None:
                rng = np.random.default_rng([cell.seed, number])
                importance.add(method, fold, result.y_true, rng)
                if number == _picture_fold(folds, results):
                    context.tell("extras", message=f"pictures of fold {fold.id}")
                    store_fold_pictures(cell, context.out, fold, method, result.y_true, label)
    assert first is not None
    timing["total_s"] = time.perf_counter() - began
    meta = _meta(cell, folds, first, results, parts, label, config, timing)
    # What the method made use of, where that is less than it was granted.
    meta["arm"] = arm
    meta["used"] = list(used)
    if context.told:
        meta["corpora"] = context.told
    if importance is not None:
        store_importance(cell, context.out, importance, meta, label)
    table = pd.concat([result.table for result in results], ignore_index=True)
    predictions = prediction_arrays(
        table,
        pd.concat([result.clips for result in results], ignore_index=True),
        np.concatenate([result.scores for result in results]),
        np.concatenate([result.y_true for result in results]),
        np.repeat(np.arange(len(results)), [len(result.scores) for result in results]),
        _join_epochs(results),
        _join_planes([result.plane for result in results], [len(r.scores) for r in results]),
    )
    predictions.update(held_out_arrays([result.held_out for result in results]))
    coordinates = _join_planes(
        [result.plane_truth for result in results], [len(r.scores) for r in results]
    )
    if coordinates is not None and "valence_arousal" in predictions:
        predictions["valence_arousal_true"] = coordinates
    identifiers = identifier_arrays([result.members for result in results])
    return write_cell(context.out, cell.digest, meta, predictions, identifiers)


def fold_options(task: TaskPlan) -> dict[str, Any]:
    """Return a task's keyword arguments for `affectrum.protocols.plan_folds`."""
    options = task.fold_options()
    for name in ("source", "classes", "source_classes"):
        if isinstance(options.get(name), tuple):
            options[name] = list(options[name])
    return options


def _groups(folds: FoldSet) -> Iterator[list[Fold]]:
    """Join neighbouring folds that train on the very same data (zero-shot: all of them).

    Their model is trained once. Folds are built as they are needed, so that of most protocols only
    two are in memory at a time.
    """
    group: list[Fold] = []
    key: tuple[Any, ...] = ()
    for number in range(len(folds)):
        fold = folds[number]
        mine = _training_key(fold)
        if group and mine != key:
            yield group
            group = []
        group.append(fold)
        key = mine
    if group:
        yield group


def _training_key(fold: Fold) -> tuple[Any, ...]:
    access = fold.access
    roles = ("source", "calibration", "unlabelled", "validation")
    prints = tuple(
        access.fingerprint(role)
        if getattr(access, role) is not None or (role == "source" and access.source_parts)
        else None
        for role in roles
    )
    return (access.protocol, access.classes, access.source_classes, access.seed, *prints)


def _batches(folds: FoldSet, method: Method, batched: bool) -> Iterator[list[list[Fold]]]:
    """Join groups of folds whose models are fitted at once, as many as memory allows."""
    at_once = batched and method.fits_many_at_once
    batch: list[list[Fold]] = []
    n_bytes = 0
    last_source: Any = None
    for group in _groups(folds):
        access = group[0].access
        own = [access.calibration, access.validation]
        source = access.source_parts
        if source is not last_source:  # folds of one target corpus share the source
            own.extend(source)
        last_source = source
        size = sum(_n_bytes(grant.windows) for grant in own if grant is not None)
        size += sum(_n_bytes(fold.test) for fold in group)
        if batch and (not at_once or n_bytes + size > _BATCH_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(group)
        n_bytes += size
    if batch:
        yield batch


def _n_bytes(windows: Windows) -> int:
    """Size of the values in memory, without reading them."""
    return 4 * math.prod(windows.shape)


def _run_batch(
    cell: Cell,
    context: CellContext,
    groups: list[list[Fold]],
    parts: list[Windows],
    timing: dict[str, float],
) -> tuple[list[Method], list[_FoldResult]]:
    """Audit all folds, fit one model per group, and score the test of each fold."""
    began = time.perf_counter()
    certificates = [
        [fold.audit().raise_if_failed(cell.task.declared_leaks) for fold in group]
        for group in groups
    ]
    timing["audit_s"] += time.perf_counter() - began
    accesses = [group[0].access for group in groups]
    method = cell.method.make()
    for access in accesses:
        method.check_access(access)

    def progress(stage: str, done: int, total: int) -> None:
        context.tell("stage", stage=stage, stage_done=done, stage_total=total)

    watches = [_EpochWatch(group, context) for group in groups]
    observers = watches if context.epoch_scores else [None] * len(groups)
    began = time.perf_counter()
    pretrained = [context.shared.get(method, access, progress) for access in accesses]
    if len(groups) == 1:
        method.fit(accesses[0], observer=observers[0], pretrained=pretrained[0], progress=progress)
        methods = [method]
    else:
        methods = method.fit_many(
            accesses, observers=observers, pretrained=pretrained, progress=progress
        )
    timing["fit_s"] += time.perf_counter() - began
    results = []
    for fitted, group, watch, weights, certified in zip(
        methods, groups, watches, pretrained, certificates, strict=True
    ):
        records = getattr(fitted, "records_", ())
        for fold, kept, before in zip(group, watch.epochs, certified, strict=True):
            # What aligners and selectors inside the method saw is known only now.
            certificate = audit_fitted(before, fold, records)
            if certificate is not before:
                certificate = certificate.raise_if_failed(cell.task.declared_leaks)
            about = {
                "certificate": certificate.to_dict(),
                "n_epochs": len(kept),
                "pretraining": None if weights is None else weights.fingerprint,
                "fitted_with": len(groups),
            }
            results.append(_score_fold(fold, parts, fitted, kept, about, timing))
    return methods, results


class _EpochWatch:
    """Keeps the scores after each epoch of the folds that share one model."""

    def __init__(self, folds: list[Fold], context: CellContext) -> None:
        self.folds = folds
        self.context = context
        self.epochs: list[list[NDArray[np.float16]]] = [[] for _ in folds]

    def __call__(self, epoch: int, n_epochs: int, predict: Predict) -> None:
        for kept, fold in zip(self.epochs, self.folds, strict=True):
            kept.append(np.asarray(predict(fold.test), dtype=np.float16))
        self.context.tell("stage", stage="fine-tuning", stage_done=epoch, stage_total=n_epochs)


def _picture_fold(folds: FoldSet, results: list[_FoldResult]) -> int:
    """The fold that is drawn: the first one whose training side has every class."""
    for number, result in enumerate(results):
        if not result.meta["lacks"]:
            return number
    return len(folds) - 1


def _score_fold(
    fold: Fold,
    parts: list[Windows],
    method: Method,
    epochs: list[NDArray[np.float16]],
    about: dict[str, Any],
    timing: dict[str, float],
) -> _FoldResult:
    began = time.perf_counter()
    scores = np.asarray(method.predict_proba(fold.test), dtype=np.float32)
    plane = method.predict_valence_arousal(fold.test)
    held_out = score_held_out(method, fold)
    timing["predict_s"] += time.perf_counter() - began
    expected = (len(fold.test), len(fold.classes))
    if scores.shape != expected or not np.isfinite(scores).all():
        raise ConfigError(
            f"Method {method.name!r} returned scores of shape {scores.shape}, "
            f"{int((~np.isfinite(scores)).sum())} of them not finite, for fold {fold.id}; expected "
            f"{expected} class probabilities."
        )
    test = fold.tables["test"]
    members = {role: _members(table) for role, table in fold.tables.items()}
    meta = {
        **fold.to_dict(),
        **about,
        "source_fingerprint": (
            fold.access.fingerprint("source") if fold.access.source_parts else None
        ),
    }
    return _FoldResult(
        scores=scores,
        y_true=truth(parts, fold),
        epochs=epochs,
        plane=None if plane is None else np.asarray(plane, dtype=np.float32),
        table=test[["corpus", "subject", "session", "row", "trial", "window", "start_s"]],
        clips=test[["clip", "film", "series"]],
        held_out=held_out,
        plane_truth=None if plane is None else plane_truth(parts, fold),
        members=members,
        meta=meta,
    )


def _members(table: pd.DataFrame) -> pd.DataFrame:
    """What is stored of the trials of one role."""
    _, first, sizes = first_windows(table)
    names = ["corpus", "subject", "session", "row", *_OF_TRIALS]
    return table[names].iloc[first].assign(n_windows=sizes)


def _join_epochs(results: list[_FoldResult]) -> NDArray[np.float16] | None:
    n_epochs = max(len(result.epochs) for result in results)
    # One epoch is the last one: nothing that the scores do not hold already.
    if n_epochs < 2:
        return None
    n = sum(len(result.scores) for result in results)
    joined = np.full((n_epochs, n, results[0].scores.shape[1]), np.nan, dtype=np.float16)
    start = 0
    for result in results:
        stop = start + len(result.scores)
        for epoch, scores in enumerate(result.epochs):
            joined[epoch, start:stop] = scores
        start = stop
    return joined


def _join_planes(
    planes: list[NDArray[np.float32] | None], sizes: list[int]
) -> NDArray[np.float32] | None:
    if all(plane is None for plane in planes):
        return None
    return np.concatenate(
        [
            np.full((size, 2), np.nan, dtype=np.float32) if plane is None else plane
            for plane, size in zip(planes, sizes, strict=True)
        ]
    )


def _meta(
    cell: Cell,
    folds: FoldSet,
    first: Fold,
    results: list[_FoldResult],
    parts: list[Windows],
    label: str,
    config: dict[str, Any],
    timing: dict[str, float],
) -> dict[str, Any]:
    described = cell.task.model_dump(mode="json")
    return {
        "format": RECORD_FORMAT,
        "task": described,
        "task_title": cell.task.title,
        "source": list(cell.task.sources),
        "target": first.target,
        "method": {
            "name": cell.method.name,
            "preset": cell.method.preset,
            "transfer": cell.method.transfer,
            "label": label,
            "config": config,
        },
        "seed": cell.seed,
        "control": cell.control,
        "permutation": cell.permutation,
        "protocol": folds.protocol,
        "base": first.base,
        "grants": list(first.access.grants),
        "classes": list(first.classes),
        "source_classes": (
            None if first.access.source_classes is None else list(first.access.source_classes)
        ),
        "selection": first.selection,
        "scaling": first.scaling,
        "scaler": first.scaler_kind,
        "calibration_trials": first.calibration_trials,
        "stimulus_disjoint": first.stimulus_disjoint,
        "stimulus_control": first.stimulus_control,
        "simulated": any(part.simulated for part in parts),
        "simulated_corpora": [part.corpus for part in parts if part.simulated],
        "channels": list(first.test.channels),
        "bands": (
            None
            if first.test.bands is None
            else [
                {"name": band.name, "low": float(band.low), "high": float(band.high)}
                for band in first.test.bands
            ]
        ),
        "recipe": {"name": cell.task.recipe, "digest": first.test.recipe},
        "fingerprints": cell.fingerprints,
        "versions": versions(),
        "timing": {name: round(value, 4) for name, value in timing.items()},
        "notes": list(dict.fromkeys(note for r in results for note in r.meta["notes"])),
        "folds": [result.meta for result in results],
    }
