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
from affectrum.protocols.fold import Fold
from affectrum.protocols.identity import neutral_rows
from affectrum.protocols.index import CorpusIndex
from affectrum.protocols.planning import Plan, Task
from affectrum.protocols.scopes import (
    Part,
    ScaledSide,
    rest_rows,
    scale_source,
    scale_target,
)
from affectrum.windows import Windows

__all__ = ["FoldSet"]


@dataclass(frozen=True)
class _SourceSide:
    """A scaled training side, shared by the folds that have the same one."""

    key: str
    grant: Grant
    scaled: ScaledSide
    table: pd.DataFrame
    validation: Grant | None
    validation_table: pd.DataFrame | None


class FoldSet(Sequence[Fold]):
    """Folds that are built when they are asked for, so that only a few are in memory.

    The last training side is kept and reused: in cross-corpus protocols all folds share it.
    """

    def __init__(self, task: Task, plans: Sequence[Plan]) -> None:
        self._task = task
        self._plans = tuple(plans)
        self._last: _SourceSide | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the folds."""
        return tuple(plan.split.id for plan in self._plans)

    @property
    def protocol(self) -> str:
        """The protocol with its modifiers."""
        return self._task.protocol

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the task."""
        return self._task.classes

    def __len__(self) -> int:
        return len(self._plans)

    @overload
    def __getitem__(self, index: int) -> Fold: ...
    @overload
    def __getitem__(self, index: slice) -> list[Fold]: ...
    def __getitem__(self, index: int | slice) -> Fold | list[Fold]:
        if isinstance(index, slice):
            return [self._build(plan) for plan in self._plans[index]]
        return self._build(self._plans[index])

    def __iter__(self) -> Iterator[Fold]:
        for plan in self._plans:
            yield self._build(plan)

    # ---------------------------------------------------------------- inside

    def _rows(self, plan: Plan) -> dict[str, NDArray[np.int64]]:
        if plan.rows is not None:
            return dict(plan.rows)
        task, split = self._task, plan.split
        validation = task.source if plan.validation_from_source else task.target
        return {
            "source": task.source.rows_of(split.train),
            "calibration": task.target.rows_of(split.calibration),
            "validation": validation.rows_of(split.validation),
            "test": task.target.rows_of(split.test),
        }

    def _part(self, index: CorpusIndex, rows: NDArray[np.int64], role: str) -> Part:
        return Part(index.windows.select(rows), index.ids[rows], role)

    def _source_grant(self, windows: Windows, rows: NDArray[np.int64]) -> Grant:
        task = self._task
        return Grant(windows, task.source.labels_of(rows) if task.source_labels else None)

    def _source_side(
        self, rows: NDArray[np.int64], validation: NDArray[np.int64] | None
    ) -> _SourceSide:
        task = self._task
        digest = hashlib.sha256(rows.tobytes())
        digest.update(b"" if validation is None else b"validation" + validation.tobytes())
        key = digest.hexdigest()
        if self._last is not None and self._last.key == key:
            return self._last
        held = None if validation is None else self._part(task.source, validation, "validation")
        scaled = scale_source(
            self._part(task.source, rows, "source"), held, task.scaling, task.scaler
        )
        side = _SourceSide(
            key=key,
            grant=self._source_grant(scaled.windows["source"], rows),
            scaled=scaled,
            table=task.source.identifiers(rows),
            validation=(
                None
                if validation is None
                else Grant(scaled.windows["validation"], task.source.labels_of(validation))
            ),
            validation_table=(None if validation is None else task.source.identifiers(validation)),
        )
        self._last = side
        return side

    def _build(self, plan: Plan) -> Fold:
        task, split = self._task, plan.split
        rows = self._rows(plan)
        notes = [*task.notes, *split.notes]
        if not len(rows["source"]) or not len(rows["test"]):
            empty = "training" if not len(rows["source"]) else "test"
            raise ProtocolError(f"Fold {split.id} has no usable {empty} window.")
        parts: dict[str, Part] = {}
        if len(rows["calibration"]):
            parts["calibration"] = self._part(task.target, rows["calibration"], "calibration")
        from_source = plan.validation_from_source and len(rows["validation"]) > 0
        if len(rows["validation"]) and not from_source:
            parts["validation"] = self._part(task.target, rows["validation"], "validation")

        # Training, validation and test of one subject's sessions are scaled together where the
        # scope goes by session, so that "per-subject" means the whole subject.
        joint = task.base in ("within-subject", "cross-session", "own-split") and (
            task.scaling in ("per-subject", "rest", "causal")
        )
        if joint:
            parts["source"] = self._part(task.target, rows["source"], "source")
        if task.scaling == "rest":
            rows, parts, note = self._without_rest(split.id, rows, parts)
            notes.extend(note)
        rows = {**rows, "test": self._as_presented(rows["test"])}
        parts["test"] = self._part(task.target, rows["test"], "test")

        if joint:
            prior = scale_source(parts["source"], None, "source", task.scaler)
            target = scale_target(parts, task.scaling, task.scaler, prior.scaler)
            records = (*(prior.records if task.scaling == "causal" else ()), *target.records)
            source_grant = self._source_grant(target.windows["source"], rows["source"])
            source_table = task.target.identifiers(rows["source"])
            validation, validation_table = None, None
        else:
            side = self._source_side(rows["source"], rows["validation"] if from_source else None)
            target = scale_target(parts, task.scaling, task.scaler, side.scaled.scaler)
            records = (*side.scaled.records, *target.records)
            source_grant, source_table = side.grant, side.table
            validation, validation_table = side.validation, side.validation_table

        tables = {"source": source_table, "test": task.target.identifiers(rows["test"])}
        calibration = None
        if "calibration" in parts:
            calibration = Grant(
                target.windows["calibration"], task.target.labels_of(rows["calibration"])
            )
            tables["calibration"] = task.target.identifiers(rows["calibration"])
        if "validation" in parts:
            validation = Grant(
                target.windows["validation"], task.target.labels_of(rows["validation"])
            )
            validation_table = task.target.identifiers(rows["validation"])
        if validation_table is not None:
            tables["validation"] = validation_table

        learnt = calibration if calibration is not None else source_grant
        present = np.unique(learnt.y) if learnt.y is not None else np.arange(len(task.classes))
        lacks = tuple(name for index, name in enumerate(task.classes) if index not in present)
        if lacks:
            where = (
                f"the first {task.calibration_trials} trials"
                if calibration is not None
                else "the training side"
            )
            notes.append(f"{where} hold no trial of class {', '.join(lacks)}")
        access = Access(
            protocol=task.protocol,
            classes=task.classes,
            source=source_grant,
            source_classes=task.source_classes,
            calibration=calibration,
            validation=validation,
            seed=task.seed,
        )
        return Fold(
            id=split.id,
            protocol=task.protocol,
            base=task.base,
            target=split.corpus,
            subject="+".join(str(subject) for subject in split.subjects),
            access=access,
            test=hide(target.windows["test"]),
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
        )

    def _as_presented(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort test windows by what `hide` leaves of their trials: files may be sorted by clip."""
        table = self._task.target.windows.table.iloc[rows]
        order = np.lexsort((neutral_rows(table), table["session"], table["subject"]))
        return rows[order]

    def _without_rest(
        self, name: str, rows: dict[str, NDArray[np.int64]], parts: dict[str, Part]
    ) -> tuple[dict[str, NDArray[np.int64]], dict[str, Part], list[str]]:
        """Take the first minute, which scalers are fitted on, out of the test."""
        task = self._task
        roles = [role for role in ("source", "calibration", "validation") if role in parts]
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
        parts = {**parts, "rest": self._part(task.target, taken, "rest")}
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
