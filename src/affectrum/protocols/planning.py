"""The steps from a protocol's name to plans of folds: whom, which trials, what is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ProtocolError, did_you_mean
from affectrum.protocols import splits as splitters
from affectrum.protocols.catalogue import CROSS_CORPUS
from affectrum.protocols.holdout import hold_out_subjects, hold_out_trials
from affectrum.protocols.index import CorpusIndex
from affectrum.protocols.splits import TrialSplit
from affectrum.protocols.stimulus import drop_shared, hold_out_stimuli, matched_drop
from affectrum.windows import Windows

__all__ = [
    "CROSS_CORPUS",
    "Plan",
    "Task",
    "choose_corpora",
    "first_trials",
    "make_disjoint",
    "make_splits",
    "with_validation",
]


@dataclass(frozen=True)
class Task:
    """Everything that the folds of one call have in common."""

    base: str
    protocol: str
    source: CorpusIndex
    target: CorpusIndex
    classes: tuple[str, ...]
    source_classes: tuple[str, ...] | None
    source_labels: bool
    scaling: str
    scaler: str
    selection: str
    stimulus_disjoint: str | None
    stimulus_control: bool
    calibration_trials: int | None
    seed: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """One fold before its windows are taken: rows of the source's and the target's windows."""

    split: TrialSplit
    # True: `validation` points into the source's trials (held-out subjects)
    validation_from_source: bool = False
    rows: dict[str, NDArray[np.int64]] | None = None


def _folded(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _find(parts: Sequence[Windows], name: str, role: str) -> Windows:
    found = [part for part in parts if _folded(part.corpus) == _folded(name)]
    if len(found) != 1:
        names = [part.corpus for part in parts]
        raise ProtocolError(
            f"{role}={name!r} is not among the windows given, which are of {', '.join(names)}."
            + did_you_mean(name, names)
        )
    return found[0]


def choose_corpora(
    parts: Sequence[Windows], base: str, source: str | Sequence[str] | None, target: str | None
) -> tuple[Windows, list[Windows]]:
    """Find the target's windows, and the source's for protocols across corpora."""
    if not parts:
        raise ProtocolError("No windows were given.")
    names = [part.corpus for part in parts]
    if len({_folded(name) for name in names}) < len(names):
        raise ProtocolError(
            f"Each corpus may be given once; received {', '.join(names)}. Two sets of one "
            "corpus's windows have to be joined (or their column 'corpus' renamed) first."
        )
    wanted = None if source is None else [source] if isinstance(source, str) else list(source)
    if base not in CROSS_CORPUS:
        if wanted is not None:
            raise ProtocolError(
                f"source={source!r} belongs to protocols across corpora; {base!r} stays inside "
                "the target corpus. Use target=..., or a 'cross-corpus' protocol."
            )
        if target is None and len(parts) > 1:
            raise ProtocolError(
                f"{base!r} works on one corpus; choose it by target=... among {', '.join(names)}."
            )
        return (parts[0] if target is None else _find(parts, target, "target")), []
    chosen_target = None if target is None else _find(parts, target, "target")
    sources = None if wanted is None else [_find(parts, name, "source") for name in wanted]
    if chosen_target is None:
        rest = [part for part in parts if part not in (sources or [])]
        if sources is None or len(rest) != 1:
            raise ProtocolError(
                f"{base!r} needs source=... and target=... among {', '.join(names)}"
                + (", which is only one corpus." if len(parts) == 1 else ".")
            )
        chosen_target = rest[0]
    if sources is None:
        sources = [part for part in parts if part is not chosen_target]
        if len(sources) != 1:
            raise ProtocolError(
                f"{base!r} to {chosen_target.corpus} needs source=... among "
                f"{', '.join(name for name in names if name != chosen_target.corpus) or 'nothing'}."
            )
    if any(part is chosen_target for part in sources):
        raise ProtocolError(
            f"{chosen_target.corpus} can't be source and target of {base!r} at once; use "
            "'leave-one-subject-out' inside one corpus."
        )
    return chosen_target, sources


def first_trials(
    base: str, target: CorpusIndex, chosen: int | None
) -> tuple[int | None, str | None]:
    """How many first trials train or calibrate (None where the protocol has none), and a note."""
    if base not in ("within-subject", "cross-corpus/calibrated"):
        return None, None
    if chosen is not None:
        return int(chosen), None
    # Numbers are published per session; every subject has the same number of trials in one.
    trials = target.kept_trials
    sizes = trials.groupby(["subject", "session"], sort=True).size()
    n_kept = int(sizes.iloc[0])
    return splitters.default_calibration_trials(
        target.windows.corpus, n_kept, training=base == "within-subject"
    )


def make_splits(
    base: str,
    source: CorpusIndex,
    target: CorpusIndex,
    k: int | None,
    subjects: Sequence[int] | None,
) -> list[Plan]:
    """Split the trials that take part by the protocol."""
    trials = target.kept_trials
    if base == "own-split":
        return [_own(target)]
    if base == "within-subject":
        found = splitters.within_subject(trials, int(k or 0), subjects=subjects)
    elif base == "leave-one-subject-out":
        found = splitters.leave_one_subject_out(trials, subjects=subjects)
    elif base == "cross-session":
        found = splitters.cross_session(trials, subjects=subjects)
    elif base == "cross-corpus/zero-shot":
        found = splitters.zero_shot(source.kept_trials, trials, subjects=subjects)
    else:
        found = splitters.calibrated(source.kept_trials, trials, int(k or 0), subjects=subjects)
    return [Plan(split) for split in found]


def _own(target: CorpusIndex) -> Plan:
    table = target.windows.table
    if "split" not in table:
        raise ProtocolError(
            "'own-split' reads the column 'split', which these windows lack. Add it by "
            "windows.with_split(table) or windows.with_column('split', values)."
        )
    words, unused = splitters.own_split(table["split"])
    takes_part = np.zeros(len(target.trials), dtype=bool)
    takes_part[target.kept] = True
    usable = takes_part[target.codes] & target.usable
    rows = {role: positions[usable[positions]] for role, positions in words.items()}
    subjects = np.unique(table["subject"].to_numpy()[rows["test"]])
    split = TrialSplit(
        f"{target.windows.corpus}/own-split",
        target.windows.corpus,
        tuple(int(subject) for subject in subjects),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
        notes=(f"{unused} windows are in no split",) if unused else (),
    )
    return Plan(
        split,
        rows={
            "source": rows["train"],
            "calibration": np.zeros(0, dtype=np.int64),
            "validation": rows["validation"],
            "test": rows["test"],
        },
    )


def make_disjoint(
    plan: Plan,
    base: str,
    source: CorpusIndex,
    target: CorpusIndex,
    level: str,
    control: bool,
    seed: int,
) -> list[Plan]:
    """Apply the stimulus-disjoint modifier, or its size-matched control, to one fold."""
    split = plan.split
    if base == "own-split":
        raise ProtocolError(
            "stimulus_disjoint does not change your own split; leave stimuli out in the column "
            "'split' and read the audit, which measures it at all three levels."
        )
    trials, y = target.kept_trials, target.kept_y
    classes = tuple(target.scheme.classes) if target.scheme is not None else ()
    rng = np.random.default_rng(_derive(seed, "stimulus control", split.id))
    if base == "leave-one-subject-out":
        out = []
        for part in hold_out_stimuli(split, trials, y, classes, level):
            train = part.train
            if control:
                dropped = ~np.isin(split.train, part.train)
                instead = matched_drop(
                    trials.iloc[split.train].reset_index(drop=True), y[split.train], dropped, rng
                )
                train = split.train[~instead]
            out.append(replace(plan, split=replace(part, train=train)))
        return out

    test = trials.iloc[split.test].reset_index(drop=True)
    notes = list(split.notes)
    changed: dict[str, Any] = {}
    sides = [("train", source, split.train, "training")]
    if len(split.calibration):
        sides.append(("calibration", target, split.calibration, "calibration"))
    for name, index, positions, role in sides:
        table = index.kept_trials.iloc[positions].reset_index(drop=True)
        labels = index.kept_y[positions]
        names = tuple(index.scheme.classes) if index.scheme is not None else ("any",)
        dropped = ~drop_shared(table, labels, test, level, names, role)
        if dropped.any():
            notes.append(
                f"stimulus_disjoint={level!r} drops {int(dropped.sum())} of {len(table)} {role} "
                "trials" + (" (the control drops as many at random)" if control else "")
            )
        if control:
            dropped = matched_drop(table, labels, dropped, rng)
        changed[name] = positions[~dropped]
    return [replace(plan, split=replace(split, notes=tuple(notes), **changed))]


def with_validation(
    plan: Plan, base: str, source: CorpusIndex, target: CorpusIndex, seed: int
) -> Plan:
    """Take whole trials or subjects out of the training side."""
    split = plan.split
    if base == "own-split":
        if plan.rows is None or not len(plan.rows["validation"]):
            raise ProtocolError(
                "selection='validation' needs windows that your column 'split' calls "
                "'validation'; there are none."
            )
        return plan
    if base in ("leave-one-subject-out", "cross-corpus/zero-shot"):
        rng = np.random.default_rng(_derive(seed, "validation subjects"))
        train, held = hold_out_subjects(source.kept_trials, split.train, rng)
        return replace(
            plan,
            split=replace(split, train=train, validation=held),
            validation_from_source=True,
        )
    field = "calibration" if base == "cross-corpus/calibrated" else "train"
    kept, held = hold_out_trials(
        target.kept_trials, target.kept_y, getattr(split, field), split.id, field
    )
    if field == "calibration":
        return replace(plan, split=replace(split, calibration=kept, validation=held))
    return replace(plan, split=replace(split, train=kept, validation=held))


def _derive(seed: int, *parts: str) -> int:
    text = "\x1f".join([str(int(seed)), *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
