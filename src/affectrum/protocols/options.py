"""What folds were asked for: refused where it contradicts itself, and its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from affectrum.errors import ProtocolError, check_option
from affectrum.protocols.catalogue import PROTOCOLS, SELECTIONS, TARGET_USES, check_options
from affectrum.protocols.fold import Scheme
from affectrum.protocols.plane import TableLike
from affectrum.protocols.planning import DEFAULT_SHOTS
from affectrum.protocols.rules import Rule
from affectrum.protocols.scopes import TRANSDUCTIVE, check_scope
from affectrum.scaling import KINDS

__all__ = ["FoldOptions", "checked", "promises", "protocol_name"]


@dataclass(frozen=True)
class FoldOptions:
    """What `plan_folds` was asked for."""

    base: str
    source: list[str] | None
    classes: str | Sequence[str] | Scheme
    source_classes: str | Sequence[str] | Scheme | None
    source_labels: bool | str
    va_table: TableLike | None
    calibration_trials: int | None
    test_after: int | None
    target_use: str | None
    shots: int | None
    split: str | None
    labels: str | None
    labs: Mapping[str, str] | None
    source_sessions: Sequence[int] | None
    target_sessions: Sequence[int] | None
    scaling: str | None
    scaler: str
    stimulus_disjoint: str | None
    stimulus_control: bool
    selection: str
    subjects: Sequence[int] | None
    seed: int
    scaling_given: bool


def checked(options: FoldOptions) -> FoldOptions:
    """Refuse options that contradict each other or the protocol, and fill in defaults."""
    base = options.base
    info = PROTOCOLS[base]
    check_option("selection", options.selection, tuple(SELECTIONS), ProtocolError)
    check_option("scaler", options.scaler, KINDS)
    if options.target_use is not None:
        check_option("target_use", options.target_use, tuple(TARGET_USES), ProtocolError)
    optional = ("calibration_trials", "test_after", "target_use", "shots", "split", "labs")
    given = [name for name in optional if getattr(options, name) is not None]
    given += ["source_sessions"] if options.source_sessions is not None else []
    given += ["source_classes"] if options.source_classes is not None else []
    given += [] if options.source_labels is True else ["source_labels"]
    if options.source_labels not in (True, False, "plane"):
        faults_of_labels = [
            f"source_labels is {options.source_labels!r}; allowed are True, False and 'plane'"
        ]
    else:
        faults_of_labels = []
    faults = faults_of_labels + check_options(base, given)
    if "source_sessions" in given and "source" not in info.options:
        faults.append("use target_sessions")
    if info.mode == "zero-shot" and {"source_classes", "source_labels"} & set(given):
        faults.append(
            "the classes are learnt from the source alone, which must have labels in them; "
            "'cross-corpus/calibrated' does transfers between different classes"
        )
    if options.stimulus_control and options.stimulus_disjoint is None:
        faults.append("stimulus_control=True is the control of stimulus_disjoint; set both")
    if options.shots is not None and options.shots < 1:
        faults.append(f"shots must be at least 1; received {options.shots}")
    target_use = options.target_use
    if info.mode == "unsupervised":
        target_use = target_use or "others"
        for name in ("calibration_trials", "test_after"):
            if name in given and target_use != "calibration":
                faults.append(
                    f"{name} has no meaning with target_use={target_use!r}; it belongs to "
                    "target_use='calibration'"
                )
    if faults:
        raise ProtocolError(f"{base!r}: " + "; ".join(faults) + ".")
    scope = info.default_scaling if options.scaling is None else options.scaling
    granted = "calibration_signals" in info.grants or target_use == "calibration"
    check_scope(scope, options.scaler, calibration=granted)
    shots = DEFAULT_SHOTS if options.shots is None and base == "few-shot" else options.shots
    return replace(options, target_use=target_use, scaling=scope, shots=shots)


def protocol_name(options: FoldOptions, split: str | None) -> str:
    """The protocol's name with everything that changes what is seen or what is tested."""
    use = {"others": "other subjects", "calibration": "first trials", "test": "transductive"}
    modifiers = [use[options.target_use]] if options.target_use is not None else []
    modifiers += [split] if split is not None else []
    modifiers += [f"{options.labels} labels"] if options.labels is not None else []
    if options.scaling in TRANSDUCTIVE and options.scaler != "none":
        modifiers.append("transductive")
    if options.stimulus_disjoint is not None:
        control = " control" if options.stimulus_control else ""
        modifiers.append(f"{options.stimulus_disjoint}-disjoint{control}")
    inner = ", ".join(dict.fromkeys(modifiers))
    return f"{options.base} ({inner})" if inner else options.base


def promises(options: FoldOptions, rule: Rule | str | None) -> tuple[str, ...]:
    """Units that no granted window of the target shares with the test."""
    if isinstance(rule, Rule) and rule.promises:
        return rule.promises
    return ("subjects",) if options.target_use == "others" else ()
