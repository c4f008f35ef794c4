"""From windows and a protocol's name to folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affectrum.errors import ProtocolError, check_option
from affectrum.protocols.catalogue import PROTOCOLS, SELECTIONS, base_protocol, check_options
from affectrum.protocols.fold import Fold, Scheme, resolve_scheme
from affectrum.protocols.foldset import FoldSet
from affectrum.protocols.identity import separate_corpora
from affectrum.protocols.index import CorpusIndex, check_alike
from affectrum.protocols.planning import (
    CROSS_CORPUS,
    Task,
    choose_corpora,
    first_trials,
    make_disjoint,
    make_splits,
    with_validation,
)
from affectrum.protocols.scopes import TRANSDUCTIVE, check_scope
from affectrum.scaling import KINDS
from affectrum.windows import Windows

__all__ = ["FoldSet", "make_folds", "plan_folds"]

_BUILT = (
    "within-subject",
    "leave-one-subject-out",
    "cross-session",
    "cross-corpus/zero-shot",
    "cross-corpus/calibrated",
    "own-split",
)


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
        One entry per corpus, all made with one recipe; joined ones are taken apart again.
    protocol : str
        An id of `PROTOCOLS` (see `describe` or ``affectrum protocols``).
    source : str or sequence of str, optional
        The training corpora, for protocols across corpora; may be left out if only one remains.
        Under "leave-one-corpus-out" and "leave-one-lab-out" all others that are allowed. Under
        "few-shot" without one, the other target subjects train.
    target : str, optional
        The tested corpus; may be left out if only one remains. Under "leave-one-corpus-out" and
        "leave-one-lab-out" without one, every corpus is left out in turn.
    classes : str, sequence of str, or ClassScheme
        The target's task: a name of `affectrum.affect.SCHEMES`, or emotion words of the column
        `emotion`. Trials without a class are left out and counted in the notes.
    source_classes : str, sequence of str, or ClassScheme, optional
        The source's own classes, for transfers between different tasks. Default: `classes`.
    source_labels : bool
        False withholds the source's labels; all of its trials are then kept.
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
        target.
    labels : {"clip", "self-report"}, optional
        What labels are made of in corpora that have both (see `LABELS`).
    labs : mapping of str to str, optional
        Lab of corpora that the catalog does not know, for "leave-one-lab-out".
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
    source_labels: bool = True,
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
    given = {
        "calibration_trials": calibration_trials,
        "test_after": test_after,
        "target_use": target_use,
        "shots": shots,
        "split": split,
        "labels": labels,
        "labs": labs,
    }
    faults = check_options(base, [name for name, value in given.items() if value is not None])
    if faults:
        raise ProtocolError("; ".join(faults) + ".")
    unfinished = [name for name in ("test_after", "split", "labels") if given[name] is not None]
    if base not in _BUILT or unfinished:
        raise ProtocolError(f"{base!r} with {unfinished or 'its options'} is not built yet.")
    check_option("selection", selection, tuple(SELECTIONS), ProtocolError)
    check_option("scaler", scaler, KINDS)
    scope = PROTOCOLS[base].default_scaling if scaling is None else scaling
    check_scope(scope, scaler, calibration=base == "cross-corpus/calibrated")
    if stimulus_control and stimulus_disjoint is None:
        raise ProtocolError("stimulus_control=True is the control of stimulus_disjoint; set both.")
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
