"""From windows and a protocol's name to folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from affectrum.errors import LabelError, ProtocolError
from affectrum.protocols.catalogue import base_protocol
from affectrum.protocols.choosing import choose_corpora, targets_of
from affectrum.protocols.disjoint import make_disjoint
from affectrum.protocols.fold import Fold, Scheme, resolve_scheme
from affectrum.protocols.foldset import FoldSet
from affectrum.protocols.identity import separate_corpora, trial_codes
from affectrum.protocols.index import CorpusIndex, check_alike, join_corpora
from affectrum.protocols.labelling import choose_labels
from affectrum.protocols.options import FoldOptions, checked, promises, protocol_name
from affectrum.protocols.plane import TableLike
from affectrum.protocols.planning import (
    Plan,
    Task,
    choose_rule,
    first_trials,
    make_splits,
    takes_first_trials,
    with_validation,
    without_validation,
)
from affectrum.protocols.rules import Rule
from affectrum.recipes import keeps_volts
from affectrum.windows import Windows

__all__ = ["make_folds", "plan_folds"]


def make_folds(
    windows: Windows | Sequence[Windows],
    protocol: str,
    *,
    source: str | Sequence[str] | None = None,
    target: str | None = None,
    classes: str | Sequence[str] | Scheme = "valence3",
    source_classes: str | Sequence[str] | Scheme | None = None,
    source_labels: bool | str = True,
    va_table: TableLike | None = None,
    calibration_trials: int | None = None,
    test_after: int | None = None,
    target_use: str | None = None,
    shots: int | None = None,
    split: str | None = None,
    labels: str | None = None,
    labs: Mapping[str, str] | None = None,
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
        One entry per corpus, all made with one recipe; joined ones are taken apart again. Signals
        (kind "raw") of one recipe may differ in electrodes, rate and length between corpora, and
        under "pretrain-finetune" also in the recipe; a method then sees `Access.source_parts`, and
        nothing is scaled.
    protocol : str
        An id of `PROTOCOLS` (see `describe` or ``affectrum protocols``).
    source : str or sequence of str, optional
        The training corpora, for protocols across corpora; may be left out if only one remains.
        Under "leave-one-corpus-out" and "leave-one-lab-out" all others that are allowed. Under
        "few-shot" without one, the other target subjects train.
    target : str, optional
        The tested corpus; may be left out if only one remains. Under "leave-one-corpus-out" and
        "leave-one-lab-out" without one, every corpus is left out in turn (the joined sources of
        every target are then in memory; large corpora are better asked target by target).
    classes : str, sequence of str, or ClassScheme
        The target's task: a name of `affectrum.affect.SCHEMES`, or emotion words of the column
        `emotion`. Trials without a class are left out and counted in the notes.
    source_classes : str, sequence of str, or ClassScheme, optional
        The source's own classes, for transfers between different tasks. Default: `classes`.
    source_labels : bool or "plane"
        False withholds the source's labels; all of its trials are then kept. "plane" shows their
        valence and arousal alone: no classes are needed.
    va_table : str, VATable, or mapping of str to (float, float), optional
        What places emotion words on the valence-arousal plane: a name of `affectrum.affect.TABLES`
        or ``{word: (valence, arousal)}`` on -1..1; ratings need none. Default: the columns
        `valence` and `arousal` of the windows' table.
    calibration_trials : int, optional
        First trials that calibrate (protocols that end in "/calibrated"), from which shots are
        taken ("few-shot"), that are seen without labels (``target_use="calibration"``) or train
        in each session ("within-subject"). Default: the published number, see
        `splits.default_calibration_trials`.
    test_after : int, optional
        Test only what comes after this many first trials, at least `calibration_trials`: the
        points of a learning curve over `calibration_trials` are then about the same test.
    target_use : {"others", "calibration", "test"}, optional
        Which target signals "unsupervised" protocols grant (see `TARGET_USES`); "others" unless
        said otherwise. "test" renames the protocol to its transductive form.
    shots : int, optional
        Labelled windows per class of "few-shot", 5 unless said otherwise.
    split : str, optional
        How "pretrain-finetune" (and "within-subject", by trials) divides the target: a name of
        `SPLITS`, a rule such as "subjects:80/20/23", "trials:5/5/5" (of each session) or
        "sessions:1/1/1", or "own" for the column `split`. Default: what is published for the
        target. "leave-one-subject-out", or ", other subjects" after a rule of trials or sessions:
        one fold per subject, tested on a model of the others.
    labels : {"clip", "self-report"}, optional
        What labels are made of in corpora that have both (see `LABELS`).
    labs : mapping of str to str, optional
        Lab of corpora that the catalog does not know, for "leave-one-lab-out".
    source_sessions, target_sessions : sequence of int, optional
        Sessions to use. Default: all; the target's first one for "cross-corpus/calibrated",
        whose calibration is the beginning of a session.
    scaling : str, optional
        A name of `SCALING_SCOPES`. Default: the protocol's; "none" where corpora differ in shape or
        a recipe leaves each its own electrodes.
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
            va_table=va_table,
            calibration_trials=calibration_trials,
            test_after=test_after,
            target_use=target_use,
            shots=shots,
            split=split,
            labels=labels,
            labs=labs,
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


def plan_folds(
    windows: Windows | Sequence[Windows],
    protocol: str,
    *,
    source: str | Sequence[str] | None = None,
    target: str | None = None,
    classes: str | Sequence[str] | Scheme = "valence3",
    source_classes: str | Sequence[str] | Scheme | None = None,
    source_labels: bool | str = True,
    va_table: TableLike | None = None,
    calibration_trials: int | None = None,
    test_after: int | None = None,
    target_use: str | None = None,
    shots: int | None = None,
    split: str | None = None,
    labels: str | None = None,
    labs: Mapping[str, str] | None = None,
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
    options = FoldOptions(
        base=base,
        source=[source] if isinstance(source, str) else None if source is None else list(source),
        classes=classes,
        source_classes=source_classes,
        source_labels=source_labels,
        va_table=va_table,
        calibration_trials=calibration_trials,
        test_after=test_after,
        target_use=target_use,
        shots=shots,
        split=split,
        labels=labels,
        labs=labs,
        source_sessions=source_sessions,
        target_sessions=target_sessions,
        scaling=scaling,
        scaler=scaler,
        stimulus_disjoint=stimulus_disjoint,
        stimulus_control=stimulus_control,
        selection=selection,
        subjects=subjects,
        seed=int(seed),
        scaling_given=scaling is not None,
    )
    options = checked(options)
    parts = separate_corpora(windows)
    if scaling is None and any(keeps_volts(part.recipe) for part in parts):
        # also where the shapes of two corpora happen to agree
        options = replace(options, scaling="none")
    targets = targets_of(parts, base, options.source, target)
    if len(targets) > 1 and subjects is not None:
        raise ProtocolError(
            f"subjects={list(subjects)} are those of one target; under {base!r} without one, "
            f"{', '.join(map(str, targets))} are tested in turn. Name the target."
        )
    plans: list[tuple[Task, Plan]] = []
    for name in targets:
        plans.extend(_plan_target(parts, options, name))
    return FoldSet(plans)


def _plan_target(
    parts: Sequence[Windows], options: FoldOptions, target: str | None
) -> list[tuple[Task, Plan]]:
    """Plan the folds of one target."""
    base = options.base
    target_part, source_parts = choose_corpora(parts, base, options.source, target, options.labs)
    alike = check_alike([target_part, *source_parts], own_recipes=base == "pretrain-finetune")
    if not alike:
        options = _unscaled(options, [target_part, *source_parts])
    rule = choose_rule(base, options.split, options.calibration_trials, target_part.corpus)
    takes_first = takes_first_trials(base, options.target_use, rule)
    if not takes_first and options.test_after is not None:
        raise ProtocolError(f"test_after={options.test_after} has no meaning here.")

    scheme, own_scheme = _schemes(options, [target_part, *source_parts])
    different = own_scheme is not None and tuple(own_scheme.classes) != tuple(scheme.classes)
    sessions = options.target_sessions
    if sessions is None and takes_first and base != "within-subject":
        sessions = [int(target_part.table["session"].min())]
    target_index = CorpusIndex(target_part, scheme, sessions, va_table=options.va_table)
    source_index: CorpusIndex | None = target_index
    if source_parts:
        read = (own_scheme or scheme) if options.source_labels is True else None
        source_index = _index_sources(source_parts, read, options, alike=alike)
        if options.source_labels == "plane":
            source_index.require_plane()
    elif base == "pretrain-finetune":
        source_index = None
        if options.scaling in ("source", "causal"):
            raise ProtocolError(
                f"scaling={options.scaling!r} starts from source windows, and no source corpus is "
                "given. Use scaling='calibration', 'rest', 'per-subject' or 'none'."
            )
    notes = target_index.notes()
    if source_parts and source_index is not None:
        notes.extend(source_index.notes())
    if any(part.recipe != target_part.recipe for part in source_parts):
        notes.append("the source's windows were made by another recipe than the target's")

    k = None
    if takes_first:
        k, k_note = first_trials(base, target_index, options.calibration_trials)
        notes += [k_note] if k_note else []
    plans = make_splits(
        base,
        source_index,
        target_index,
        k=k,
        test_after=options.test_after,
        target_use=options.target_use,
        rule=rule,
        subjects=options.subjects,
    )
    if options.selection != "validation":
        plans = [without_validation(plan, base) for plan in plans]
    if options.stimulus_disjoint is not None:
        plans = make_disjoint(
            plans,
            base,
            source_index,
            target_index,
            options.stimulus_disjoint,
            options.stimulus_control,
            options.seed,
            target_use=options.target_use,
        )
    if options.selection == "validation":
        same = options.source_labels is True and not different
        plans = [
            with_validation(plan, base, source_index, target_index, options.seed, same_labels=same)
            for plan in plans
        ]
        if not alike and any(plan.validation_from_source for plan in plans):
            raise ProtocolError(
                f"selection='validation' under {base!r} holds out subjects of the source, whose "
                "corpora differ in electrodes, rate or length from the target. Use "
                "selection='last', or one electrode set, rate and length."
            )
    split = rule.name if isinstance(rule, Rule) else rule
    task = Task(
        base=base,
        protocol=protocol_name(options, split),
        source=source_index,
        target=target_index,
        classes=tuple(scheme.classes),
        source_classes=tuple(own_scheme.classes) if different and own_scheme else None,
        source_labels=options.source_labels,
        scaling=str(options.scaling),
        scaler=options.scaler,
        selection=options.selection,
        stimulus_disjoint=options.stimulus_disjoint,
        stimulus_control=options.stimulus_control,
        calibration_trials=k,
        seed=options.seed,
        notes=tuple(notes),
        test_after=options.test_after,
        target_use=options.target_use,
        shots=options.shots,
        split=split,
        labels=options.labels,
        promises=promises(options, rule),
        alike=alike,
    )
    return [(task, plan) for plan in plans]


def _schemes(options: FoldOptions, parts: Sequence[Windows]) -> tuple[Scheme, Scheme | None]:
    """Class schemes of the task (the first part is the target), and of the source if its own."""
    scheme = resolve_scheme(options.classes)
    own = None if options.source_classes is None else resolve_scheme(options.source_classes)
    if options.labels is not None:
        tables = {part.corpus: trial_codes(part.table)[1] for part in parts}
        scheme = choose_labels(scheme, options.labels, tables, parts[0].corpus)
        if own is not None:
            own = choose_labels(own, options.labels, tables, None)
    return scheme, own


def _unscaled(options: FoldOptions, parts: Sequence[Windows]) -> FoldOptions:
    """Refuse scalers where corpora differ in shape: no scaler fits them all."""
    if options.scaler == "none" or options.scaling == "none" or not options.scaling_given:
        return replace(options, scaling="none")
    shapes = "; ".join(f"{part.corpus} {part.shape[1]} x {part.shape[2]}" for part in parts)
    raise ProtocolError(
        f"scaling={options.scaling!r} can't be used: the windows differ in electrodes, rate or "
        f"length ({shapes}), so that no scaler fits them all. Use scaling='none' (or leave it "
        "out), or prepare all corpora at one electrode set, rate and length."
    )


def _index_sources(
    parts: Sequence[Windows], scheme: Scheme | None, options: FoldOptions, *, alike: bool
) -> CorpusIndex:
    """Join the source corpora; if their labels can't fill the classes, name every one of them."""
    sessions = options.source_sessions
    try:
        windows = join_corpora(parts) if alike else list(parts)
        return CorpusIndex(windows, scheme, sessions, va_table=options.va_table)
    except LabelError:
        if scheme is None or len(parts) == 1:
            raise
        faults = []
        for part in parts:
            try:
                CorpusIndex(part, scheme)
            except LabelError as error:
                faults.append(f"  - {part.corpus}: {error}")
        if not faults:
            raise
        raise LabelError(
            "These source corpora can't train the classes; leave them out of source, or choose "
            "classes that all can fill:\n" + "\n".join(faults)
        ) from None
