"""From windows and a protocol's name to folds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError, check_option
from affectrum.protocols.access import Access, Grant, hide
from affectrum.protocols.catalogue import PROTOCOLS, SELECTIONS, base_protocol
from affectrum.protocols.fold import Fold, Scheme, resolve_scheme
from affectrum.protocols.identity import neutral_rows, separate_corpora
from affectrum.protocols.index import CorpusIndex, check_alike
from affectrum.protocols.planning import (
    CROSS_CORPUS,
    Plan,
    Task,
    choose_corpora,
    first_trials,
    make_disjoint,
    make_splits,
    with_validation,
)
from affectrum.protocols.scopes import (
    TRANSDUCTIVE,
    Part,
    ScaledSide,
    check_scope,
    rest_rows,
    scale_source,
    scale_target,
)
from affectrum.scaling import KINDS
from affectrum.windows import Windows

__all__ = ["FoldSet", "make_folds", "plan_folds"]


def make_folds(
    windows: Windows | Sequence[Windows],
    protocol: str,
    *,
    source: str | Sequence[str] | None = None,
    target: str | None = None,
    classes: str | Sequence[str] | Scheme = "valence3",
    source_classes: str | Sequence[str] | Scheme | None = None,
    source_labels: bool = True,
    calibration_trials: int | None = None,
    source_sessions: Sequence[int] | None = None,
    target_sessions: Sequence[int] | None = None,
    scaling: str | None = None,
    scaler: str = "standard",
    stimulus_disjoint: str | None = None,
    stimulus_control: bool = False,
    selection: str = "last",
    subjects: Sequence[int] | None = None,
    seed: int = 0,
) -> list[Fold]:
    """Divide windows into folds under a protocol.

    Parameters
    ----------
    windows : Windows or sequence of Windows
        One entry per corpus, all made with one recipe; joined ones are taken apart again.
    protocol : str
        An id of `PROTOCOLS` (see `describe` or ``affectrum protocols``).
    source : str or sequence of str, optional
        The training corpora, for protocols across corpora; may be left out if only one remains.
    target : str, optional
        The tested corpus; may be left out if only one remains.
    classes : str, sequence of str, or ClassScheme
        The target's task: a name of `affectrum.affect.SCHEMES`, or emotion words of the column
        `emotion`. Trials without a class are left out and counted in the notes.
    source_classes : str, sequence of str, or ClassScheme, optional
        The source's own classes, for transfers between different tasks. Default: `classes`.
    source_labels : bool
        False withholds the source's labels; all of its trials are then kept.
    calibration_trials : int, optional
        First trials that calibrate ("cross-corpus/calibrated") or train in each session
        ("within-subject"). Default: the published number, see
        `splits.default_calibration_trials`.
    source_sessions, target_sessions : sequence of int, optional
        Sessions to use. Default: all; the target's first one for "cross-corpus/calibrated",
        whose calibration is the beginning of a session.
    scaling : str, optional
        A name of `SCALING_SCOPES`. Default: the protocol's.
    scaler : {"standard", "minmax", "robust", "none"}
        Kind of scaler.
    stimulus_disjoint : {"clip", "film", "series"}, optional
        Nothing of that level in both training and test. Training trials are dropped, test trials
        never; leave-one-subject-out holds the stimuli out in groups, one fold each.
    stimulus_control : bool
        With `stimulus_disjoint`: drop as many trials, but at random. The size-matched control.
    selection : {"last", "validation", "oracle"}
        Which epoch counts. "validation" takes whole trials or subjects out of the training side.
    subjects : sequence of int, optional
        Make folds of these target subjects only.
    seed : int
        Seed of random choices (held-out subjects, controls), handed to methods too.

    Returns
    -------
    list of Fold
        In the order of the subjects' numbers. Folds with the same training side share it.

    Raises
    ------
    ProtocolError
        If the protocol can't be built from these windows; the message says why.
    LabelError
        If a corpus can't fill the classes.

    See Also
    --------
    plan_folds : The same, but each fold is built when it is asked for.
    """
    return list(
        plan_folds(
            windows,
            protocol,
            source=source,
            target=target,
            classes=classes,
            source_classes=source_classes,
            source_labels=source_labels,
            calibration_trials=calibration_trials,
            source_sessions=source_sessions,
            target_sessions=target_sessions,
            scaling=scaling,
            scaler=scaler,
            stimulus_disjoint=stimulus_disjoint,
            stimulus_control=stimulus_control,
            selection=selection,
            subjects=subjects,
            seed=seed,
        )
    )


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


def plan_folds(
    windows: Windows | Sequence[Windows],
    protocol: str,
    *,
    source: str | Sequence[str] | None = None,
    target: str | None = None,
    classes: str | Sequence[str] | Scheme = "valence3",
    source_classes: str | Sequence[str] | Scheme | None = None,
    source_labels: bool = True,
    calibration_trials: int | None = None,
    source_sessions: Sequence[int] | None = None,
    target_sessions: Sequence[int] | None = None,
    scaling: str | None = None,
    scaler: str = "standard",
    stimulus_disjoint: str | None = None,
    stimulus_control: bool = False,
    selection: str = "last",
    subjects: Sequence[int] | None = None,
    seed: int = 0,
) -> FoldSet:
    """Plan folds without building them; parameters and errors of `make_folds`.

    Returns
    -------
    FoldSet
        A sequence whose items are built when asked for.
    """
    base = base_protocol(protocol)
    check_option("selection", selection, tuple(SELECTIONS), ProtocolError)
    check_option("scaler", scaler, KINDS)
    scope = PROTOCOLS[base].default_scaling if scaling is None else scaling
    check_scope(scope, scaler, calibration=base == "cross-corpus/calibrated")
    if stimulus_control and stimulus_disjoint is None:
        raise ProtocolError("stimulus_control=True is the control of stimulus_disjoint; set both.")
    if calibration_trials is not None and base not in ("within-subject", CROSS_CORPUS[1]):
        raise ProtocolError(
            f"calibration_trials={calibration_trials} has no meaning under {base!r}; it belongs "
            "to 'within-subject' and 'cross-corpus/calibrated'."
        )
    parts = separate_corpora(windows)
    target_part, source_parts = choose_corpora(parts, base, source, target)
    check_alike([target_part, *source_parts])

    task_scheme = resolve_scheme(classes)
    own_scheme = None if source_classes is None else resolve_scheme(source_classes)
    if base not in CROSS_CORPUS and (own_scheme is not None or not source_labels):
        raise ProtocolError(
            f"source_classes and source_labels belong to protocols across corpora, not to {base!r}."
        )
    different = own_scheme is not None and tuple(own_scheme.classes) != tuple(task_scheme.classes)
    if base == "cross-corpus/zero-shot" and (different or not source_labels):
        raise ProtocolError(
            "'cross-corpus/zero-shot' learns the classes from the source alone, so the source "
            "must have labels in the target's classes. Use 'cross-corpus/calibrated' for "
            "transfers between different classes."
        )
    if base == "cross-corpus/calibrated" and target_sessions is None:
        target_sessions = [int(target_part.table["session"].min())]
    if base not in CROSS_CORPUS and source_sessions is not None:
        raise ProtocolError(
            f"source_sessions belongs to protocols across corpora; under {base!r} use "
            "target_sessions."
        )
    target_index = CorpusIndex(target_part, task_scheme, target_sessions)
    if base in CROSS_CORPUS:
        scheme = (own_scheme or task_scheme) if source_labels else None
        joined = Windows.concatenate(source_parts)
        source_index = CorpusIndex(joined, scheme, source_sessions)
    else:
        source_index = target_index
    notes = target_index.notes()
    if source_index is not target_index:
        notes.extend(source_index.notes())

    k, k_note = first_trials(base, target_index, calibration_trials)
    if k_note:
        notes.append(k_note)
    plans = make_splits(base, source_index, target_index, k, subjects)
    if stimulus_disjoint is not None:
        plans = [
            changed
            for plan in plans
            for changed in make_disjoint(
                plan, base, source_index, target_index, stimulus_disjoint, stimulus_control, seed
            )
        ]
    if selection == "validation":
        plans = [with_validation(plan, base, source_index, target_index, seed) for plan in plans]

    modifiers = []
    if scope in TRANSDUCTIVE and scaler != "none":
        modifiers.append("transductive")
    if stimulus_disjoint is not None:
        modifiers.append(f"{stimulus_disjoint}-disjoint" + (" control" if stimulus_control else ""))
    task = Task(
        base=base,
        protocol=f"{base} ({', '.join(modifiers)})" if modifiers else base,
        source=source_index,
        target=target_index,
        classes=tuple(task_scheme.classes),
        source_classes=tuple(own_scheme.classes) if different and own_scheme else None,
        source_labels=source_labels,
        scaling=scope,
        scaler=scaler,
        selection=selection,
        stimulus_disjoint=stimulus_disjoint,
        stimulus_control=stimulus_control,
        calibration_trials=k,
        seed=int(seed),
        notes=tuple(notes),
    )
    return FoldSet(task, plans)


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
