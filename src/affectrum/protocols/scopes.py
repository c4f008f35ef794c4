"""Scaling scopes: on which rows scalers are fitted, and what they are applied to.

The training side is scaled once and shared by all folds in which it is the same; the target side
is scaled fold by fold. Every scaler leaves a record of its rows for the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError, check_option
from affectrum.protocols.catalogue import SCALING_SCOPES
from affectrum.scaling import Scaler, ScalerRecord
from affectrum.windows import Windows
from affectrum.windows.lazy import detached

__all__ = [
    "REST_SECONDS",
    "TRANSDUCTIVE",
    "Part",
    "ScaledSide",
    "check_scope",
    "rest_rows",
    "scale_source",
    "scale_target",
]

#: Scopes that use test signals.
TRANSDUCTIVE: tuple[str, ...] = ("per-subject", "released")
#: Scope "rest" fits on the first minute of each session.
REST_SECONDS = 60.0
# Scope "causal" starts from the training side's statistics, which weigh as much as this many
# windows: enough that the first windows are not divided by the spread of two or three others.
_PRIOR_WINDOWS = 60.0


@dataclass(frozen=True)
class Part:
    """Windows of one role, before scaling.

    Attributes
    ----------
    windows : Windows
        n windows with their full table.
    ids : ndarray of uint64, shape (n,)
        Their identifiers.
    role : str
        "source", "calibration", "unlabelled", "validation" or "test".
    """

    windows: Windows
    ids: NDArray[np.uint64]
    role: str


@dataclass(frozen=True)
class ScaledSide:
    """Scaled windows by role, the scaler of the side (if it is one), and the records."""

    windows: dict[str, Windows]
    scaler: Scaler | None
    records: tuple[ScalerRecord, ...]


def check_scope(scope: str, kind: str, *, calibration: bool) -> None:
    """Refuse a scope that the protocol can't serve.

    Raises
    ------
    ProtocolError
        If the scope is unknown, needs a calibration that is not granted, or does not go with
        the kind of scaler.
    """
    check_option("scaling", scope, tuple(SCALING_SCOPES), ProtocolError)
    if scope == "calibration" and not calibration:
        raise ProtocolError(
            "scaling='calibration' fits on calibration trials, which are granted by "
            "'pretrain-finetune', 'few-shot', protocols that end in '/calibrated', and "
            "target_use='calibration'. Use scaling='source', 'causal' or 'rest'."
        )
    if scope == "causal" and kind != "standard":
        raise ProtocolError(
            f"scaling='causal' keeps a running mean and standard deviation, so it needs "
            f"scaler='standard'; received {kind!r}."
        )


def _detached(windows: Windows, x: NDArray[np.float32]) -> Windows:
    """Put scaled values into windows that keep nothing of the corpus they were taken from.

    A selection is a view; what is not granted has to be absent, not merely out of sight.
    """
    return detached(windows.with_x(x))


def _per(windows: Windows) -> str:
    return "channel" if windows.kind == "raw" else "feature"


def _fit(kind: str, parts: list[Part], rows: list[NDArray[np.int64] | None]) -> Scaler:
    """Fit one scaler on some rows (None: all) of some parts."""
    tables, arrays, ids, roles = [], [], [], []
    for part, chosen in zip(parts, rows, strict=True):
        if chosen is not None and not len(chosen):
            continue
        table = part.windows.table[["corpus", "subject"]]
        tables.append(table if chosen is None else table.iloc[chosen])
        arrays.append(part.windows.x if chosen is None else part.windows.batch(chosen))
        ids.append(part.ids if chosen is None else part.ids[chosen])
        roles.append(part.role)
    who = pd.concat(tables).drop_duplicates()
    names = sorted(f"{corpus}/{subject}" for corpus, subject in who.itertuples(index=False))
    x = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return Scaler(kind, per=_per(parts[0].windows)).fit(
        x,
        np.concatenate(ids),
        roles=tuple(dict.fromkeys(roles)),
        corpora=tuple(sorted({str(corpus) for corpus in who["corpus"]})),
        subjects=tuple(names),
    )


def _groups(table: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Rows of each (corpus, subject, session)."""
    code = table.groupby(["corpus", "subject", "session"], sort=False).ngroup().to_numpy()
    order = np.argsort(code, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


def _in_order(table: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort rows of one session as they were presented."""
    part = table.iloc[rows]
    if part["trial"].isna().any():
        raise ProtocolError(
            f"scaling='causal' and scaling='rest' need the order of presentation (column "
            f"'trial'), which is not known for subject {part['subject'].iloc[0]} of "
            f"{part['corpus'].iloc[0]}. Use another scaling scope."
        )
    order = np.lexsort(
        (part["window"].to_numpy(dtype=np.int64), part["trial"].to_numpy(dtype=np.int64))
    )
    return rows[order]


def _step_seconds(table: pd.DataFrame) -> float:
    """Seconds from one window to the next, from the windows' own starts."""
    start = table["start_s"].to_numpy(dtype=np.float64)
    window = table["window"].to_numpy(dtype=np.int64)
    gap = np.diff(start)[np.diff(window) == 1]
    gap = gap[np.isfinite(gap) & (gap > 0)]
    if not len(gap):
        raise ProtocolError(
            "scaling='rest' needs to know how far windows lie apart, but the column 'start_s' "
            "does not tell. Fill it (seconds from the trial's onset), or use another scope."
        )
    return float(np.median(gap))


def rest_rows(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Mark the windows of each session's first minute.

    Parameters
    ----------
    table : DataFrame, n rows
        Windows of one or more subjects, with `trial`, `window` and `start_s`.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    ProtocolError
        If the order of presentation or the windows' spacing is not known.
    """
    count = int(np.ceil(REST_SECONDS / _step_seconds(table)))
    first = np.zeros(len(table), dtype=bool)
    for rows in _groups(table):
        first[_in_order(table, rows)[:count]] = True
    return first


def _by_group(
    kind: str, parts: list[Part], chosen: Callable[[pd.DataFrame], NDArray[np.bool_]] | None
) -> tuple[dict[str, Windows], list[ScalerRecord], Scaler | None]:
    """Scale each subject and session by its own rows (all of them, or those `chosen`)."""
    sizes = [len(part.windows) for part in parts]
    starts = np.cumsum([0, *sizes])
    tables = [part.windows.table for part in parts]
    table = pd.concat(tables, ignore_index=True)
    fit_on = np.ones(len(table), dtype=bool) if chosen is None else chosen(table)
    outs = [np.empty(part.windows.shape, dtype=np.float32) for part in parts]
    records, last = [], None
    for rows in _groups(table):
        per_part = [rows[(rows >= low) & (rows < high)] - low for low, high in pairwise(starts)]
        used: list[NDArray[np.int64] | None] = [
            own[fit_on[own + low]] for own, low in zip(per_part, starts[:-1], strict=True)
        ]
        last = _fit(kind, parts, used)
        records.append(last.record)
        for part, own, out in zip(parts, per_part, outs, strict=True):
            if len(own):
                out[own] = last.transform(part.windows.batch(own))
    scaled = {
        part.role: _detached(part.windows, out) for part, out in zip(parts, outs, strict=True)
    }
    return scaled, records, last if len(records) == 1 else None


def _causal(parts: list[Part], prior: Scaler) -> dict[str, Windows]:
    """Scale each window by the windows of its session before it, starting from a prior."""
    starts = np.cumsum([0, *(len(part.windows) for part in parts)])
    table = pd.concat([part.windows.table for part in parts], ignore_index=True)
    outs = [np.empty(part.windows.shape, dtype=np.float32) for part in parts]
    for group in _groups(table):
        rows = _in_order(table, group)
        where = np.searchsorted(starts, rows, side="right") - 1
        first = parts[int(where[0])].windows.shape[1:]
        values = np.empty((len(rows), *first))
        for index, part in enumerate(parts):
            mine = where == index
            if mine.any():
                values[mine] = part.windows.batch(rows[mine] - starts[index])
        # In units of the prior (mean 0, variance 1), so that no digits are lost.
        values = (values - prior.center_) / prior.scale_
        if prior.per == "channel":
            first_moment = values.mean(axis=2, keepdims=True)
            second_moment = np.square(values).mean(axis=2, keepdims=True)
        else:
            first_moment, second_moment = values, np.square(values)
        before = np.arange(len(rows), dtype=np.float64)[:, None, None] + _PRIOR_WINDOWS
        mean = (np.cumsum(first_moment, axis=0) - first_moment) / before
        square = (np.cumsum(second_moment, axis=0) - second_moment + _PRIOR_WINDOWS) / before
        variance = np.maximum(square - np.square(mean), 1e-12)
        scaled = ((values - mean) / np.sqrt(variance)).astype(np.float32)
        for index, out in enumerate(outs):
            mine = where == index
            if mine.any():
                out[rows[mine] - starts[index]] = scaled[mine]
    return {part.role: _detached(part.windows, out) for part, out in zip(parts, outs, strict=True)}


def _apply(scaler: Scaler, parts: list[Part]) -> dict[str, Windows]:
    return {part.role: _detached(part.windows, scaler.transform(part.windows.x)) for part in parts}


def _unchanged(parts: list[Part]) -> dict[str, Windows]:
    return {part.role: detached(part.windows) for part in parts}


def scale_source(source: Part, validation: Part | None, scope: str, kind: str) -> ScaledSide:
    """Scale the training side.

    Parameters
    ----------
    source : Part
        Training windows.
    validation : Part or None
        Held-out subjects of the training side; scalers are not fitted on them except where each
        subject is scaled by itself.
    scope : str
        One of `SCALING_SCOPES`.
    kind : str
        One of `affectrum.scaling.KINDS`.

    Returns
    -------
    ScaledSide
        Windows for "source" (and "validation"). `scaler` is the one fitted on all source windows,
        where the scope has one.
    """
    parts = [source] if validation is None else [source, validation]
    if scope == "none" or kind == "none":
        return ScaledSide(_unchanged(parts), None, ())
    if scope in ("source", "released"):
        scaler = _fit(kind, [source], [None])
        return ScaledSide(_apply(scaler, parts), scaler, (scaler.record,))
    if scope == "causal":
        scaler = _fit(kind, [source], [None])
        return ScaledSide(_causal(parts, scaler), scaler, (scaler.record,))
    chosen = rest_rows if scope == "rest" else None
    windows: dict[str, Windows] = {}
    records: list[ScalerRecord] = []
    for part in parts:
        scaled, seen, _ = _by_group(kind, [part], chosen)
        windows.update(scaled)
        records.extend(seen)
    return ScaledSide(windows, None, tuple(records))


def scale_target(
    parts: Mapping[str, Part], scope: str, kind: str, source_scaler: Scaler | None
) -> ScaledSide:
    """Scale the target side of one fold.

    Parameters
    ----------
    parts : mapping of str to Part
        "test", and "calibration", "unlabelled", "validation" and "rest" (windows of the first
        minute that were taken out of the test) where the fold has them.
    scope, kind : str
        As in `scale_source`.
    source_scaler : Scaler or None
        The training side's scaler, where the scope has one.

    Returns
    -------
    ScaledSide
        Windows for the same roles. `scaler` is the one that the test windows went through, if it
        is a single one.
    """
    given = list(parts.values())
    if scope == "none" or kind == "none":
        return ScaledSide(_unchanged(given), None, ())
    if scope == "source":
        assert source_scaler is not None
        return ScaledSide(_apply(source_scaler, given), source_scaler, ())
    if scope == "causal":
        assert source_scaler is not None
        return ScaledSide(_causal(given, source_scaler), source_scaler, ())
    if scope == "calibration":
        fitted = parts["calibration"] if "calibration" in parts else parts["unlabelled"]
        scaler = _fit(kind, [fitted], [None])
        return ScaledSide(_apply(scaler, given), scaler, (scaler.record,))
    if scope == "released":
        windows: dict[str, Windows] = {}
        records = []
        for first, applied in (
            ("calibration", ("calibration", "validation")),
            ("unlabelled", ("unlabelled",)),
            ("test", ("test",)),
        ):
            own = [parts[role] for role in applied if role in parts]
            if own:
                base = parts[first] if first in parts else own[0]
                scaler = _fit(kind, [base], [None])
                windows.update(_apply(scaler, own))
                records.append(scaler.record)
        return ScaledSide(windows, scaler, tuple(records))
    scaled, seen, only = _by_group(kind, given, rest_rows if scope == "rest" else None)
    return ScaledSide(scaled, only, tuple(seen))
