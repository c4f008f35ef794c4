"""The protocols as data: who sees what, in words and as a picture.

No array library is imported here, so that ``affectrum protocols`` answers at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from affectrum.errors import ProtocolError, did_you_mean

__all__ = [
    "GRANTS",
    "PROTOCOLS",
    "SCALING_SCOPES",
    "SELECTIONS",
    "STIMULUS_LEVELS",
    "ProtocolInfo",
    "base_protocol",
    "describe",
    "grants_of",
]

#: Everything that a protocol can grant to a method.
GRANTS: tuple[str, ...] = (
    "source_signals",
    "source_labels",
    "calibration_signals",
    "calibration_labels",
    "target_unlabelled",
    "validation",
)

#: Scope name -> what the scalers are fitted on. The last two use test signals and rename the
#: protocol to its transductive form.
SCALING_SCOPES: dict[str, str] = {
    "none": "no scaling",
    "source": "one scaler fitted on all training windows, applied to everything",
    "calibration": (
        "each training subject and session by its own windows; the target subject by its "
        "calibration windows"
    ),
    "causal": (
        "each subject and session by running statistics of the windows before it, starting from "
        "the training side's"
    ),
    "rest": ("each subject and session by its first minute, which is then left out of the test"),
    "per-subject": (
        "each subject and session by all of its own windows, those of the test included "
        "(transductive)"
    ),
    "released": (
        "training set, calibration set and test set each by itself, as released code does "
        "(transductive)"
    ),
}

#: Selection rule -> what it means. Protocols only name it; methods and the record carry it out.
SELECTIONS: dict[str, str] = {
    "last": "fixed number of epochs, last weights",
    "validation": "best epoch on held-out trials or subjects of the training side",
    "oracle": "best epoch on the test set, what several released codes do; never a default",
}

#: Levels of stimulus identity, from narrow to wide.
STIMULUS_LEVELS: tuple[str, ...] = ("clip", "film", "series")


@dataclass(frozen=True)
class ProtocolInfo:
    """One protocol, for ``affectrum protocols`` and the documentation.

    Attributes
    ----------
    id : str
        The name to pass to `make_folds`.
    picture : str
        Who sees what, several lines of plain text.
    sees : str
        The same in one sentence.
    used_by : str
        Whose published protocol it is.
    grants : tuple of str
        What a method is granted, of `GRANTS`.
    default_scaling : str
        Scaling scope if none is asked for.
    """

    id: str
    picture: str
    sees: str
    used_by: str
    grants: tuple[str, ...]
    default_scaling: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, for ``--json``."""
        return asdict(self)


_LABELLED_SOURCE = ("source_signals", "source_labels")
_CALIBRATION = ("calibration_signals", "calibration_labels")

#: Every protocol by its id.
PROTOCOLS: dict[str, ProtocolInfo] = {
    info.id: info
    for info in (
        ProtocolInfo(
            id="within-subject",
            picture=(
                "corpus A, one subject   [x x x x x x x x x][? ? ? ? ? ?]   per session\n"
                "                         train, in order     test\n"
                "other subjects          not seen"
            ),
            sees=(
                "a subject's first trials of each session with labels; tested on the same "
                "subject's remaining trials"
            ),
            used_by="field habit, sanity check (SEED 9 of 15, SEED-IV 12 of 24)",
            grants=_LABELLED_SOURCE,
            default_scaling="source",
        ),
        ProtocolInfo(
            id="leave-one-subject-out",
            picture=(
                "corpus A, subject 1     [x x x x x x x x x x x x x x x]  train\n"
                "          subject 2     [x x x x x x x x x x x x x x x]  train\n"
                "          subject 3     [? ? ? ? ? ? ? ? ? ? ? ? ? ? ?]  test"
            ),
            sees="all other subjects of the corpus with labels; nothing of the test subject",
            used_by="field standard",
            grants=_LABELLED_SOURCE,
            default_scaling="source",
        ),
        ProtocolInfo(
            id="cross-session",
            picture=(
                "corpus A, one subject   session 1 [x x x x x]  train\n"
                "                        session 2 [? ? ? ? ?]  test, then with 1+2: session 3\n"
                "other subjects          not seen"
            ),
            sees="a subject's earlier sessions with labels; tested on a later session",
            used_by="SEED family",
            grants=_LABELLED_SOURCE,
            default_scaling="source",
        ),
        ProtocolInfo(
            id="cross-corpus/zero-shot",
            picture=(
                "corpus A, all subjects  [x x x x x x x x x x x x x x x]  train\n"
                "corpus B, subject 1     [? ? ? ? ? ? ? ? ? ? ? ? ? ? ?]  test\n"
                "          subject 2     [? ? ? ? ? ? ? ? ? ? ? ? ? ? ?]  test"
            ),
            sees="all labelled source trials; nothing of the target corpus",
            used_by="the question users really have",
            grants=_LABELLED_SOURCE,
            default_scaling="source",
        ),
        ProtocolInfo(
            id="cross-corpus/calibrated",
            picture=(
                "corpus A, all subjects  [x x x x x x x x x x x x x x x]  train\n"
                "corpus B, subject 1     [x x x x x x x x x][? ? ? ? ? ?]\n"
                "                         first k, in order  test"
            ),
            sees=(
                "the source (labels where they fit), and the target subject's own first k "
                "labelled trials in presentation order; tested on the subject's remaining trials"
            ),
            used_by="SCMM, JCFA (SEED: first 9 of 15, then the last 6; session 1)",
            grants=(*_LABELLED_SOURCE, *_CALIBRATION),
            default_scaling="calibration",
        ),
        ProtocolInfo(
            id="own-split",
            picture=(
                "your windows            split = train       [x x x x x]\n"
                "                        split = validation  [x x]  (optional)\n"
                "                        split = test        [? ? ?]"
            ),
            sees="windows that your own column `split` calls train; tested on those called test",
            used_by="splits imported as a table",
            grants=_LABELLED_SOURCE,
            default_scaling="source",
        ),
    )
}

# What released code and papers call these protocols.
_ALIASES = {
    "loso": "leave-one-subject-out",
    "subject-dependent": "within-subject",
    "subject-independent": "leave-one-subject-out",
    "zero-shot": "cross-corpus/zero-shot",
    "calibrated": "cross-corpus/calibrated",
}


def base_protocol(protocol: str) -> str:
    """Return the protocol's id without modifiers such as "(transductive)".

    Raises
    ------
    ProtocolError
        If there is no such protocol; the message lists all.
    """
    base = str(protocol).split(" (", 1)[0].strip().casefold().replace("_", "-")
    base = _ALIASES.get(base, base)
    if base in PROTOCOLS:
        return base
    names = ", ".join(repr(name) for name in PROTOCOLS)
    raise ProtocolError(
        f"Unknown protocol {protocol!r}. Protocols are {names}."
        + did_you_mean(base, (*PROTOCOLS, *_ALIASES))
    )


def describe() -> list[ProtocolInfo]:
    """Return every protocol with its picture, in the order of the documentation."""
    return list(PROTOCOLS.values())


def grants_of(protocol: str) -> tuple[str, ...]:
    """Return what a protocol grants (without validation, which `selection` adds).

    Parameters
    ----------
    protocol : str
        A protocol's id; modifiers in parentheses are passed over.

    Raises
    ------
    ProtocolError
        If there is no such protocol.
    """
    return PROTOCOLS[base_protocol(protocol)].grants
