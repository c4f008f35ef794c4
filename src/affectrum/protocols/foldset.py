"""Folds that are built when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError
from affectrum.protocols.access import Access, Grant, hide
from affectrum.protocols.catalogue import grants_of
from affectrum.protocols.fold import Fold
from affectrum.protocols.identity import derive, neutral_rows
from affectrum.protocols.index import CorpusIndex
from affectrum.protocols.planning import Plan, Task
from affectrum.protocols.scopes import (
    Part,
    ScaledSide,
    rest_rows,
    scale_source,
    scale_target,
)
from affectrum.protocols.unlabelled import draw_shots
from affectrum.windows import Windows
from affectrum.windows.lazy import detached

__all__ = ["FoldSet"]


@dataclass(frozen=True)
class _SourceSide:
    """A scaled training side, shared by the folds that have the same one."""

    key: tuple[int, str]
    grant: Grant | None
    parts: tuple[Grant, ...]
    scaled: ScaledSide
    table: pd.DataFrame
    validation: Grant | None
    validation_table: pd.DataFrame | None


class FoldSet(Sequence[Fold]):
    """Folds that are built when they are asked for, so that only a few are in memory.

    The last training side is kept and reused: in cross-corpus protocols all folds share it.
    """

    def __init__(self, plans: Sequence[tuple[Task, Plan]]) -> None:
        self._plans = tuple(plans)
        self._last: _SourceSide | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the folds."""
        return tuple(plan.split.id for _, plan in self._plans)

    @property
    def protocol(self) -> str:
        """The protocol with its modifiers."""
        return self._plans[0][0].protocol

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the task."""
        return self._plans[0][0].classes

    def __len__(self) -> int:
        return len(self._plans)

    @overload
    def __getitem__(self, index: int) -> Fold: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fold]: ...
    def __getitem__(self, index: int | slice) -> Fold | list[Fold]:
        if isinstance(index, slice):
            return [self._build(*plan) for plan in self._plans[index]]
        return self._build(*self._plans[index])

    def __iter__(self) -> Iterator[Fold]:
        for plan in self._plans:
            yield self._build(*plan)

    # ---------------------------------------------------------------- inside

    def _source_side(
        self, task: Task, rows: NDArray[np.int64], validation: NDArray[np.int64] | None
    ) -> _SourceSide:
        assert task.source is not None
        source = task.source
        digest = hashlib.sha256(rows.tobytes())
        digest.update(b"" if validation is None else b"validation" + validation.tobytes())
        key = (id(task), digest.hexdigest())
        if self._last is not None and self._last.key == key:
            return self._last
        if not task.alike:
            self._last = _SourceSide(
                key=key,
                grant=None,
                parts=tuple(
                    _grant(task, source, detached(windows), mine)
                    for windows, mine in source.pieces(rows)
                ),
                scaled=ScaledSide({}, None, ()),
                table=source.identifiers(rows),
                validation=None,
                validation_table=None,
            )
            return self._last
        held = None if validation is None else _part(source, validation, "validation")
        scaled = scale_source(_part(source, rows, "source"), held, task.scaling, task.scaler)
        grant = _grant(task, source, scaled.windows["source"], rows)
        side = _SourceSide(
            key=key,
            grant=grant,
            parts=grant.parts,
            scaled=scaled,
            table=source.identifiers(rows),
            validation=(
                None
                if validation is None
                else Grant(
                    scaled.windows["validation"],
                    source.labels_of(validation),
                    source.va_of(validation),
                )
            ),
            validation_table=None if validation is None else source.identifiers(validation),
        )
        self._last = side
        return side

    def _build(self, task: Task, plan: Plan) -> Fold:
        split = plan.split
        rows = _rows(task, plan)
        notes = [*task.notes, *split.notes]
        for role, word in (("source", "training"), ("test", "test")):
            if not len(rows[role]) and not (role == "source" and task.source is None):
                raise ProtocolError(f"Fold {split.id} has no usable {word} window.")
        from_source = plan.validation_from_source and len(rows["validation"]) > 0
        roles = ["calibration", *(() if from_source else ("validation",))]
        # The test itself, seen without labels, is scaled once: as the test.
        if task.target_use != "test":
            roles.append("unlabelled")
        parts = {role: _part(task.target, rows[role], role) for role in roles if len(rows[role])}
        for role, granted in (
            ("calibration", "calibration_labels" in grants_of(task.base)),
            ("unlabelled", "target_unlabelled" in grants_of(task.base)),
        ):
            if granted and not len(rows[role]):
                raise ProtocolError(f"Fold {split.id} has no usable {role} window.")

        # Training, validation and test of one subject's sessions are scaled together where the
        # scope goes by session, so that "per-subject" means the whole subject.
        joint = task.base in ("within-subject", "cross-session", "own-split") and (
            task.scaling in ("per-subject", "rest", "causal")
        )
        if joint:
            parts["source"] = _part(task.target, rows["source"], "source")
        if task.scaling == "rest":
            rows, parts, note = _without_rest(task, split.id, rows, parts)
            notes.extend(note)
        rows = {**rows, "test": _as_presented(task.target, rows["test"])}
        parts["test"] = _part(task.target, rows["test"], "test")

        tables = {"test": task.target.identifiers(rows["test"])}
        source_grant, validation, validation_table = None, None, None
        source_parts: tuple[Grant, ...] = ()
        if joint:
            prior = scale_source(parts["source"], None, "source", task.scaler)
            target = scale_target(parts, task.scaling, task.scaler, prior.scaler)
            records = (*(prior.records if task.scaling == "causal" else ()), *target.records)
            assert task.source is not None
            source_grant = _grant(task, task.source, target.windows["source"], rows["source"])
            source_parts = source_grant.parts
            tables = {"source": task.target.identifiers(rows["source"]), **tables}
        elif task.source is None:
            target = scale_target(parts, task.scaling, task.scaler, None)
            records = target.records
        else:
            held = rows["validation"] if from_source else None
            side = self._source_side(task, rows["source"], held)
            target = scale_target(parts, task.scaling, task.scaler, side.scaled.scaler)
            records = (*side.scaled.records, *target.records)
            source_grant, validation = side.grant, side.validation
            source_parts = side.parts
            validation_table = side.validation_table
            tables = {"source": side.table, **tables}

        granted_labels: dict[str, Grant] = {}
        for role in ("calibration", "validation"):
            if role in parts:
                labels = task.target.labels_of(rows[role])
                granted_labels[role] = Grant(
                    target.windows[role], labels, task.target.va_of(rows[role])
                )
                tables[role] = task.target.identifiers(rows[role])
        if validation_table is not None:
            tables["validation"] = validation_table
        test = hide(target.windows["test"])
        unlabelled = None
        if task.target_use == "test":
            unlabelled = Grant(test)
            tables["unlabelled"] = tables["test"]
        elif "unlabelled" in parts:
            unlabelled = Grant(target.windows["unlabelled"])
            tables["unlabelled"] = task.target.identifiers(rows["unlabelled"])

        calibration = granted_labels.get("calibration")
        lacks = _lacking(task, source_parts if calibration is None else (calibration,))
        if lacks:
            notes.append(f"{_learnt_from(task, calibration)} no trial of class {', '.join(lacks)}")
        access = Access(
            protocol=task.protocol,
            classes=task.classes,
            source=source_grant,
            source_classes=task.source_classes,
            calibration=calibration,
            unlabelled=unlabelled,
            validation=granted_labels.get("validation", validation),
            seed=task.seed,
            source_parts=source_parts,
            va_table=task.target.va_table,
        )
        return Fold(
            id=split.id,
            protocol=task.protocol,
            base=task.base,
            target=split.corpus,
            subject="+".join(str(subject) for subject in split.subjects),
            access=access,
            test=test,
            test_rows=rows["test"],
            tables=tables,
            scalers=tuple(records),
            scaler=target.scaler,
            scheme=task.target.scheme,  # type: ignore[arg-type]
            scaling=task.scaling,
            scaler_kind=task.scaler,
            selection=task.selection,
            stimulus_disjoint=task.stimulus_disjoint,
            stimulus_control=task.stimulus_control,
            calibration_trials=task.calibration_trials,
            lacks=lacks,
            notes=tuple(notes),
            window_s=_window_seconds(task.target.windows),
            test_after=task.test_after,
            target_use=task.target_use,
            shots=task.shots,
            split=task.split,
            labels=task.labels,
            promises=task.promises,
        )


def _rows(task: Task, plan: Plan) -> dict[str, NDArray[np.int64]]:
    """Windows of each role."""
    split, target = plan.split, task.target
    nothing = np.zeros(0, dtype=np.int64)
    if plan.rows is not None:
        return {"unlabelled": nothing, **plan.rows}
    validation = task.source if plan.validation_from_source else target
    assert validation is not None
    rows = {
        "source": nothing if task.source is None else task.source.rows_of(split.train),
        "calibration": target.rows_of(split.calibration),
        "validation": validation.rows_of(split.validation),
        "unlabelled": target.rows_of_session_trials(split.unlabelled),
        "test": target.rows_of(split.test),
    }
    if task.shots is not None:
        rng = np.random.default_rng(derive(task.seed, "shots", split.id))
        own = rows["calibration"]
        rows["calibration"] = draw_shots(
            own, target.labels_of(own), task.shots, task.classes, split.id, rng
        )
    return rows


def _part(index: CorpusIndex, rows: NDArray[np.int64], role: str) -> Part:
    return Part(index.windows.select(rows), index.ids[rows], role)


def _grant(task: Task, source: CorpusIndex, windows: Windows, rows: NDArray[np.int64]) -> Grant:
    """Training windows with what the task shows of their labels."""
    if task.source_labels == "plane":
        return Grant(windows, None, source.va_of(rows))
    if not task.source_labels:
        return Grant(windows)
    return Grant(windows, source.labels_of(rows), source.va_of(rows))


def _lacking(task: Task, learnt: Sequence[Grant]) -> tuple[str, ...]:
    """Classes of the task that what is learnt from has no window of."""
    labels = [grant.y for grant in learnt if grant.y is not None]
    if not labels:
        return ()
    present = np.unique(np.concatenate(labels))
    return tuple(name for index, name in enumerate(task.classes) if index not in present)


def _learnt_from(task: Task, calibration: Grant | None) -> str:
    if calibration is None:
        return "the training side holds"
    if task.split is not None:
        return f"the training part of split {task.split!r} holds"
    return f"the first {task.calibration_trials} trials hold"


def _as_presented(target: CorpusIndex, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort test windows by what `hide` leaves of their trials: files may be sorted by clip."""
    table = target.windows.table.iloc[rows]
    order = np.lexsort((neutral_rows(table), table["session"], table["subject"]))
    return rows[order]


def _without_rest(
    task: Task, name: str, rows: dict[str, NDArray[np.int64]], parts: dict[str, Part]
) -> tuple[dict[str, NDArray[np.int64]], dict[str, Part], list[str]]:
    """Take the first minute, which scalers are fitted on, out of the test."""
    roles = [
        role for role in ("source", "calibration", "unlabelled", "validation") if role in parts
    ]
    own = np.concatenate([*(rows[role] for role in roles), rows["test"]])
    first = rest_rows(task.target.windows.table.iloc[own].reset_index(drop=True))
    taken = np.intersect1d(own[first], rows["test"])
    if not len(taken):
        return rows, parts, []
    left = np.setdiff1d(rows["test"], taken)
    if not len(left):
        raise ProtocolError(
            f"scaling='rest' takes the first minute of each session out of the test; nothing "
            f"is left of fold {name}. Use another scope, or longer sessions."
        )
    parts = {**parts, "rest": _part(task.target, taken, "rest")}
    note = (
        f"{len(taken)} windows of the sessions' first minute fit the scaler and are left out "
        "of the test"
    )
    return {**rows, "test": left}, parts, [note]


def _window_seconds(windows: Windows) -> float | None:
    """Length of a window in seconds, where it can be told."""
    if windows.kind == "raw" and windows.sfreq:
        return windows.shape[2] / windows.sfreq
    table = windows.table
    gap = np.diff(table["start_s"].to_numpy(dtype=np.float64))
    step = gap[np.diff(table["window"].to_numpy(dtype=np.int64)) == 1]
    step = step[np.isfinite(step) & (step > 0)]
    # Windows of features do not tell their own length; at least it is the distance between them.
    return float(np.median(step)) if len(step) else None
