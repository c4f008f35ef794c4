"""The stimulus-disjoint modifier, and its size-matched control, on folds of any protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ProtocolError
from affectrum.protocols.identity import derive
from affectrum.protocols.index import CorpusIndex
from affectrum.protocols.planning import Plan
from affectrum.protocols.splits import TrialSplit
from affectrum.protocols.stimulus import (
    NothingLeft,
    drop_shared,
    keep_others,
    matched_drop,
    stimulus_groups,
    units,
)

__all__ = ["make_disjoint"]

# Protocols whose training trials are of the target corpus too, so that everybody may have seen
# the tested clips: where dropping leaves nothing, stimuli are held out in groups.
_SHARED = ("cross-session", "pretrain-finetune", "few-shot")


@dataclass(frozen=True)
class _Side:
    """Trials of one role that must not share a stimulus with the test."""

    field: str
    positions: NDArray[np.int64]
    table: pd.DataFrame
    y: NDArray[np.int64]
    classes: tuple[str, ...]

    @property
    def role(self) -> str:
        return "training" if self.field == "train" else self.field


def _sides(split: TrialSplit, source: CorpusIndex | None, target: CorpusIndex) -> list[_Side]:
    sides = []
    for field, index in (("train", source), ("calibration", target), ("validation", target)):
        positions = getattr(split, field)
        if index is None or not len(positions):
            continue
        classes = tuple(index.scheme.classes) if index.scheme is not None else ("any",)
        table = index.kept_trials.iloc[positions].reset_index(drop=True)
        sides.append(_Side(field, positions, table, index.kept_y[positions], classes))
    if len(split.unlabelled):
        table = target.session_trials.iloc[split.unlabelled].reset_index(drop=True)
        y = np.full(len(table), -1, dtype=np.int64)
        sides.append(_Side("unlabelled", split.unlabelled, table, y, ()))
    return sides


def make_disjoint(
    plans: Sequence[Plan],
    base: str,
    source: CorpusIndex | None,
    target: CorpusIndex,
    level: str,
    control: bool,
    seed: int,
    *,
    target_use: str | None = None,
) -> list[Plan]:
    """Take the tested stimuli out of the training side of every fold.

    ::

        dropping          training [x . x x . x]   test [? ?]        the two '.' are tested
        in groups, 1:     others   [. . x x x x]   test [? ? . . . .]
        in groups, 2:     others   [x x . . x x]   test [. . ? ? . .]

    Parameters
    ----------
    plans : sequence of Plan
        The folds.
    base : str
        The protocol's id.
    source, target : CorpusIndex
        What their splits point into; no source is None.
    level : {"clip", "film", "series"}
        The level.
    control : bool
        Drop as many trials at random instead.
    seed : int
        Seed of the control.
    target_use : str, optional
        Of unsupervised protocols.

    Returns
    -------
    list of Plan
        One per fold, or one per fold and group of stimuli. Together they test every trial once.

    Raises
    ------
    ProtocolError
        If a stimulus is not known, or the level makes the task impossible; says why.
    """
    if any(plan.rows is not None for plan in plans):
        raise ProtocolError(
            "stimulus_disjoint does not change your own split; leave stimuli out in the column "
            "'split' and read the audit, which measures it at all three levels."
        )
    if target_use == "test":
        raise ProtocolError(
            "stimulus_disjoint has no meaning under target_use='test': the test signals "
            "themselves are seen, so that no stimulus of the test is new. Use "
            "target_use='others' or 'calibration'."
        )
    everything = [_sides(plan.split, source, target) for plan in plans]
    for plan, sides in zip(plans, everything, strict=True):
        for table in (target.kept_trials.iloc[plan.split.test], *(side.table for side in sides)):
            units(table, level)
    if base != "leave-one-subject-out":
        try:
            return [
                _dropped(plan, sides, target, level, control, seed)
                for plan, sides in zip(plans, everything, strict=True)
            ]
        except NothingLeft:
            if base not in _SHARED and target_use != "others":
                raise
    return [
        part
        for plan, sides in zip(plans, everything, strict=True)
        for part in _in_groups(plan, sides, target, level, control, seed)
    ]


def _dropped(
    plan: Plan, sides: list[_Side], target: CorpusIndex, level: str, control: bool, seed: int
) -> Plan:
    """Drop what shares a stimulus with the test."""
    split = plan.split
    rng = np.random.default_rng(derive(seed, "stimulus control", split.id))
    test = target.kept_trials.iloc[split.test].reset_index(drop=True)
    notes = list(split.notes)
    changed: dict[str, Any] = {}
    for side in sides:
        dropped = ~drop_shared(side.table, side.y, test, level, side.classes, side.role)
        if dropped.any():
            notes.append(
                f"stimulus_disjoint={level!r} drops {int(dropped.sum())} of {len(side.table)} "
                f"{side.role} trials"
                + (" (the control drops as many at random)" if control else "")
            )
        if control:
            dropped = matched_drop(side.table, side.y, dropped, rng)
        changed[side.field] = side.positions[~dropped]
    return replace(plan, split=replace(split, notes=tuple(notes), **changed))


def _in_groups(
    plan: Plan, sides: list[_Side], target: CorpusIndex, level: str, control: bool, seed: int
) -> list[Plan]:
    """Hold groups of stimuli out, one after the other: one fold for each."""
    split = plan.split
    rng = np.random.default_rng(derive(seed, "stimulus control", split.id))
    names = units(target.kept_trials, level)
    classes = tuple(target.scheme.classes) if target.scheme is not None else ()
    groups = stimulus_groups(names, target.kept_y, classes, level, split.corpus)
    out = []
    for number, group in enumerate(groups, start=1):
        held = np.array(group)
        test = split.test[np.isin(names[split.test], held)]
        if not len(test):
            continue
        changed: dict[str, Any] = {}
        for side in sides:
            dropped = ~keep_others(side.table, side.y, held, level, side.classes, side.role)
            if control:
                dropped = matched_drop(side.table, side.y, dropped, rng)
            changed[side.field] = side.positions[~dropped]
        note = f"{level} group {number} of {len(groups)} held out: {', '.join(group)}"
        part = replace(
            split,
            id=f"{split.id}/{level}-group-{number}",
            test=test,
            notes=(*split.notes, note),
            **changed,
        )
        out.append(replace(plan, split=part))
    return out
