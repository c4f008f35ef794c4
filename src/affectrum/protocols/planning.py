"""The steps from a protocol's name to plans of folds: whom, which trials, what is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ProtocolError
from affectrum.protocols import splits as splitters
from affectrum.protocols.catalogue import CROSS_CORPUS, PROTOCOLS
from affectrum.protocols.first_trials import default_calibration_trials
from affectrum.protocols.holdout import hold_out_subjects, hold_out_trials
from affectrum.protocols.identity import derive
from affectrum.protocols.index import CorpusIndex
from affectrum.protocols.rules import (
    Rule,
    by_rule,
    others_by_rule,
    own_split,
    parse_rule,
    published_rule,
    roles_by_rule,
    within_by_rule,
)
from affectrum.protocols.splits import TrialSplit
from affectrum.protocols.unlabelled import unsupervised

__all__ = [
    "DEFAULT_SHOTS",
    "Plan",
    "Task",
    "choose_rule",
    "first_trials",
    "make_splits",
    "takes_first_trials",
    "with_validation",
    "without_validation",
]

#: Labelled windows per class under "few-shot" unless said otherwise.
DEFAULT_SHOTS = 5


@dataclass(frozen=True)
class Task:
    """Everything that the folds of one target have in common."""

    base: str
    protocol: str
    source: CorpusIndex | None
    target: CorpusIndex
    classes: tuple[str, ...]
    source_classes: tuple[str, ...] | None
    source_labels: bool | str
    scaling: str
    scaler: str
    selection: str
    stimulus_disjoint: str | None
    stimulus_control: bool
    calibration_trials: int | None
    seed: int
    notes: tuple[str, ...]
    test_after: int | None = None
    target_use: str | None = None
    shots: int | None = None
    split: str | None = None
    labels: str | None = None
    # Units that no granted window of the target shares with the test.
    promises: tuple[str, ...] = ()
    # Whether the windows of source and target have one shape.
    alike: bool = True


@dataclass(frozen=True)
class Plan:
    """One fold before its windows are taken: rows of the source's and the target's windows."""

    split: TrialSplit
    # True: `validation` points into the source's trials (held-out subjects)
    validation_from_source: bool = False
    rows: dict[str, NDArray[np.int64]] | None = None
    # A rule that says nothing of validation: subjects of the training split may be held out.
    hold_out: bool = False


def takes_first_trials(base: str, target_use: str | None, rule: Rule | str | None) -> bool:
    """Whether a number of first trials has a meaning."""
    mode = PROTOCOLS[base].mode
    return (
        mode == "calibrated"
        or (mode == "unsupervised" and target_use == "calibration")
        or base == "few-shot"
        or (base == "within-subject" and rule is None)
    )


def first_trials(
    base: str, target: CorpusIndex, chosen: int | None
) -> tuple[int | None, str | None]:
    """How many first trials train or calibrate, and a note where nothing is published."""
    if chosen is not None:
        return int(chosen), None
    # Numbers are published per session; every subject has the same number of trials in one.
    trials = target.kept_trials
    sizes = trials.groupby(["subject", "session"], sort=True).size()
    n_kept = int(sizes.iloc[0])
    return default_calibration_trials(
        target.windows.corpus, n_kept, training=base == "within-subject"
    )


def choose_rule(base: str, split: str | None, k: int | None, corpus: str) -> Rule | str | None:
    """Find the rule that divides the target, "own" for the user's, None where there is none.

    Raises
    ------
    ProtocolError
        If the protocol needs a rule and none is given or published, or it takes no such rule.
    """
    if base == "pretrain-finetune":
        written = published_rule(corpus) if split is None else split
        if written is None:
            raise ProtocolError(
                f"'pretrain-finetune' needs to know how {corpus} is divided, and no split of it is "
                "published here. Say split='subjects:a/b/c', 'trials:a/b/c' (of each session) or "
                "'sessions:a/b/c' (training, validation, test), or split='own' for your column "
                "'split'."
            )
        return "own" if written.strip().casefold() == "own" else parse_rule(written, corpus)
    if base != "within-subject":
        return None
    if split is None:
        written = published_rule(corpus, "trials") if k is None else None
        return None if written is None else parse_rule(written, corpus)
    if k is not None:
        raise ProtocolError(
            f"calibration_trials={k} and split={split!r} both say which trials train; leave one "
            "out."
        )
    if split.strip().casefold() == "own":
        raise ProtocolError("Under 'within-subject' split='own' is the protocol 'own-split'.")
    rule = parse_rule(split, corpus)
    if rule.unit != "trials" or rule.others:
        unit = "subjects" if rule.others else rule.unit
        instead = {"sessions": "cross-session", "subjects": "leave-one-subject-out"}[unit]
        raise ProtocolError(
            f"'within-subject' divides the trials of each session; split={split!r} divides "
            f"{unit}. Use {instead!r} or 'pretrain-finetune'."
        )
    return rule


def make_splits(
    base: str,
    source: CorpusIndex | None,
    target: CorpusIndex,
    *,
    k: int | None = None,
    test_after: int | None = None,
    target_use: str | None = None,
    rule: Rule | str | None = None,
    subjects: Sequence[int] | None = None,
) -> list[Plan]:
    """Split the trials that take part by the protocol."""
    trials = target.kept_trials
    mode = PROTOCOLS[base].mode
    if base == "own-split" or rule == "own":
        return [_own(base, source, target)]
    if isinstance(rule, Rule):
        roles, notes = roles_by_rule(target.session_trials, rule)
        roles = roles[target.kept_in_sessions]
        if base == "within-subject":
            found = within_by_rule(trials, roles, rule.name, subjects=subjects)
        elif rule.others:
            other = None if source is None else source.kept_trials
            chosen = None if rule.sizes is None else roles
            found = others_by_rule(other, trials, chosen, rule.name, subjects=subjects)
        else:
            other = None if source is None else source.kept_trials
            found = [by_rule(other, trials, roles, rule.name, subjects=subjects)]
        return [
            Plan(replace(split, notes=(*split.notes, *notes)), hold_out=rule.sizes is None)
            for split in found
        ]
    if base == "within-subject":
        found = splitters.within_subject(trials, int(k or 0), subjects=subjects)
    elif base == "leave-one-subject-out":
        found = splitters.leave_one_subject_out(trials, subjects=subjects)
    elif base == "cross-session":
        found = splitters.cross_session(trials, subjects=subjects)
    elif base == "few-shot" and source is target:
        found = splitters.few_shot(trials, int(k or 0), test_after=test_after, subjects=subjects)
    else:
        assert source is not None
        other = source.kept_trials
        if mode == "zero-shot":
            found = splitters.zero_shot(other, trials, subjects=subjects)
        elif mode == "unsupervised":
            found = unsupervised(
                other,
                target.session_trials,
                target.kept_in_sessions,
                str(target_use),
                k=k,
                test_after=test_after,
                subjects=subjects,
            )
        else:
            found = splitters.calibrated(
                other, trials, int(k or 0), test_after=test_after, subjects=subjects
            )
    return [Plan(split) for split in found]


def _own(base: str, source: CorpusIndex | None, target: CorpusIndex) -> Plan:
    table = target.windows.table
    if "split" not in table:
        raise ProtocolError(
            f"{'own-split' if base == 'own-split' else 'split=own'!r} reads the column 'split', "
            "which these windows lack. Add it by windows.with_split(table) or "
            "windows.with_column('split', values)."
        )
    words, unused = own_split(table["split"])
    takes_part = np.zeros(len(target.trials), dtype=bool)
    takes_part[target.kept] = True
    usable = takes_part[target.codes] & target.usable
    rows = {role: positions[usable[positions]] for role, positions in words.items()}
    subjects = np.unique(table["subject"].to_numpy()[rows["test"]])
    nothing = np.zeros(0, dtype=np.int64)
    split = TrialSplit(
        f"{target.windows.corpus}/own-split",
        target.windows.corpus,
        tuple(int(subject) for subject in subjects),
        nothing,
        nothing,
        notes=(f"{unused} windows are in no split",) if unused else (),
    )
    if base == "own-split":
        sides = {"source": rows["train"], "calibration": nothing}
    else:
        n = 0 if source is None else len(source.kept)
        pretrain = nothing if source is None else source.rows_of(np.arange(n, dtype=np.int64))
        sides = {"source": pretrain, "calibration": rows["train"]}
    return Plan(split, rows={**sides, "validation": rows["validation"], "test": rows["test"]})


def with_validation(
    plan: Plan,
    base: str,
    source: CorpusIndex | None,
    target: CorpusIndex,
    seed: int,
    *,
    same_labels: bool = True,
) -> Plan:
    """Take whole trials or subjects out of the training side.

    Raises
    ------
    ProtocolError
        If there is nothing that could be held out; says what is missing.
    """
    split = plan.split
    if plan.rows is not None:
        if not len(plan.rows["validation"]):
            raise ProtocolError(
                "selection='validation' needs windows that your column 'split' calls "
                "'validation'; there are none."
            )
        return plan
    if len(split.validation):
        return plan
    if plan.hold_out:
        rng = np.random.default_rng(derive(seed, "validation subjects"))
        kept, held = hold_out_subjects(target.kept_trials, split.calibration, rng)
        return replace(plan, split=replace(split, calibration=kept, validation=held))
    if base == "pretrain-finetune":
        raise ProtocolError(
            f"selection='validation' needs a validation split, which {split.id} lacks. Write three "
            "numbers: split='subjects:training/validation/test'."
        )
    mode = PROTOCOLS[base].mode
    if base in ("leave-one-subject-out", "few-shot") or mode in ("zero-shot", "unsupervised"):
        if not same_labels:
            raise ProtocolError(
                f"selection='validation' under {base!r} holds out subjects of the source, whose "
                "labels have to be in the target's classes. Use selection='last'."
            )
        assert source is not None
        rng = np.random.default_rng(derive(seed, "validation subjects"))
        train, held = hold_out_subjects(source.kept_trials, split.train, rng)
        return replace(
            plan,
            split=replace(split, train=train, validation=held),
            validation_from_source=True,
        )
    field = "calibration" if base in CROSS_CORPUS else "train"
    kept, held = hold_out_trials(
        target.kept_trials, target.kept_y, getattr(split, field), split.id, field
    )
    if field == "calibration":
        return replace(plan, split=replace(split, calibration=kept, validation=held))
    return replace(plan, split=replace(split, train=kept, validation=held))


def without_validation(plan: Plan, base: str) -> Plan:
    """Leave a split's own validation part out, where weights are not chosen on it."""
    split = plan.split
    n = len(split.validation)
    if base == "pretrain-finetune" and plan.rows is not None:
        n = len(plan.rows["validation"])
        plan = replace(plan, rows={**plan.rows, "validation": split.validation[:0]})
    if not n:
        return plan
    what = "trials" if plan.rows is None else "windows"
    note = f"the split's {n} validation {what} are not used: weights are not chosen on them"
    left = replace(split, validation=split.validation[:0], notes=(*split.notes, note))
    return replace(plan, split=left)
