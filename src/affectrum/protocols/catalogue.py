"""The protocols as data: who sees what, in words and as a picture.

No array library is imported here, so that ``affectrum protocols`` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from affectrum.errors import ProtocolError, did_you_mean
from affectrum.protocols.entries import CROSS_CORPUS, ENTRIES, ProtocolInfo

__all__ = [
    "CROSS_CORPUS",
    "GRANTS",
    "LABELS",
    "PROTOCOLS",
    "SCALING_SCOPES",
    "SELECTIONS",
    "SPLITS",
    "STIMULUS_CHOICES",
    "STIMULUS_LEVELS",
    "TARGET_USES",
    "ProtocolInfo",
    "base_protocol",
    "check_options",
    "describe",
    "grants_of",
    "is_granted",
]

#: Everything that a protocol can grant to a method. "source_plane" is valence and arousal of the
#: source without classes (``source_labels="plane"``); "source_labels" includes it.
GRANTS: tuple[str, ...] = (
    "source_signals",
    "source_labels",
    "source_plane",
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

#: Level of stimulus identity, from narrow to wide -> what `stimulus_disjoint` keeps out of all that
#: is seen, across subjects and corpora. `stimulus_control` drops as many trials at random instead.
STIMULUS_CHOICES: dict[str, str] = {
    "clip": "the very excerpts that are tested",
    "film": "every excerpt of the films that are tested",
    "series": "every excerpt of the series that are tested",
}
STIMULUS_LEVELS: tuple[str, ...] = tuple(STIMULUS_CHOICES)


#: How `cross-corpus/unsupervised` and its kin use unlabelled target signals.
TARGET_USES: dict[str, str] = {
    "others": "signals of the other target subjects; nothing of the tested one",
    "calibration": "signals of the tested subject's own first trials, which are not tested",
    "test": "the test signals themselves (transductive)",
}

#: What labels are made of where a corpus has both.
LABELS: dict[str, str] = {
    "clip": "the emotion that the corpus says a clip elicits",
    "self-report": "what the subject reported (ratings; the emotion felt where classes are words)",
}

#: Published divisions of a corpus into training, validation and test, by name: corpus, the rule
#: that `splits.parse_rule` reads, and who uses it.
SPLITS: dict[str, tuple[str, str, str]] = {
    "faced-subjects": ("FACED", "subjects:80/20/23", "CBraMod, EMOD"),
    "seed-v-trials": ("SEED-V", "trials:5/5/5", "CBraMod, EMOD"),
    "seed-sessions": ("SEED", "sessions:1/1/1", "EMOD"),
}

#: Every protocol by its id.
PROTOCOLS: dict[str, ProtocolInfo] = {info.id: info for info in ENTRIES}

# What released code and papers call these protocols.
_ALIASES = {
    "loso": "leave-one-subject-out",
    "subject-dependent": "within-subject",
    "subject-independent": "leave-one-subject-out",
    "zero-shot": "cross-corpus/zero-shot",
    "unsupervised": "cross-corpus/unsupervised",
    "calibrated": "cross-corpus/calibrated",
    "leave-one-corpus-out": "leave-one-corpus-out/zero-shot",
    "leave-one-lab-out": "leave-one-lab-out/zero-shot",
    "loco": "leave-one-corpus-out/zero-shot",
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


def is_granted(need: str, grants: Iterable[str]) -> bool:
    """Tell whether something is among grants, or in one of them.

    Parameters
    ----------
    need : str
        One of `GRANTS`.
    grants : iterable of str
        What is granted.

    Returns
    -------
    bool
        Whoever is granted the source's labels is granted its valence and arousal.
    """
    held = tuple(grants)
    return need in held or (need == "source_plane" and "source_labels" in held)


def check_options(protocol: str, given: Iterable[str]) -> list[str]:
    """Say which options have no meaning under a protocol.

    Parameters
    ----------
    protocol : str
        A protocol's id.
    given : iterable of str
        Names of the options that are set, of `make_folds`.

    Returns
    -------
    list of str
        One sentence per fault; empty if there is none.
    """
    base = base_protocol(protocol)
    special = {name for info in PROTOCOLS.values() for name in info.options}
    faults = []
    for name in given:
        if name in special and name not in PROTOCOLS[base].options:
            whose = [info.id for info in PROTOCOLS.values() if name in info.options]
            faults.append(
                f"{name} has no meaning under {base!r}; it belongs to "
                + ", ".join(repr(other) for other in whose)
            )
    return faults
