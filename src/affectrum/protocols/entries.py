"""What each protocol is: its picture, what it grants, which options it knows.

Data only, so that ``affectrum protocols`` answers at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["CROSS_CORPUS", "ENTRIES", "ProtocolInfo"]


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
    options : tuple of str
        Options of `make_folds` that have a meaning here and not under every protocol.
    needs_source : bool
        Whether there must be at least one source corpus.
    disjoint : str
        Unit that the source must not share with the test: "subjects", "sessions" or "trials".
        (Calibration and unlabelled windows never share trials with it, except where the protocol
        is named transductive.)
    """

    id: str
    picture: str
    sees: str
    used_by: str
    grants: tuple[str, ...]
    default_scaling: str
    options: tuple[str, ...] = ()
    needs_source: bool = False
    disjoint: str = "trials"

    @property
    def family(self) -> str:
        """The part before the slash: ``"cross-corpus"``."""
        return self.id.split("/", 1)[0]

    @property
    def mode(self) -> str:
        """How the target is used in protocols across corpora: ``"calibrated"``; else empty."""
        return self.id.partition("/")[2]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, for ``--json``."""
        return asdict(self)


_LABELLED_SOURCE = ("source_signals", "source_labels")
_CALIBRATION = ("calibration_signals", "calibration_labels")

_INSIDE = (
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
        used_by="field habit, sanity check (SEED 9 of 15, SEED-IV 12 of 24, SEED-V 5/5/5)",
        grants=_LABELLED_SOURCE,
        default_scaling="source",
        options=("calibration_trials", "split"),
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
        disjoint="subjects",
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
        disjoint="sessions",
    ),
)


def _picture(source: str, mode: str) -> str:
    """Draw one way to use the target under a training side of `source` lines."""
    trials = "[x x x x x x x x x x x x x x x]  train"
    lines = [f"{name:<24}{trials}" for name in source.splitlines()]
    if mode == "zero-shot":
        lines += [
            "target, subject 1       [? ? ? ? ? ? ? ? ? ? ? ? ? ? ?]  test",
            "        subject 2       [? ? ? ? ? ? ? ? ? ? ? ? ? ? ?]  test",
        ]
    elif mode == "unsupervised":
        lines += [
            "target, subject 1       [? ? ? ? ? ? ? ? ? ? ? ? ? ? ?]  test",
            "        subject 2       [u u u u u u u u u u u u u u u]  target_use='others'",
            "or      subject 1       [u u u u u u u u u][? ? ? ? ? ?]  target_use='calibration'",
            "or      subject 1       [u?u?u?u?u?u?u?u?u?u?u?u?u?u?u?]  target_use='test'",
        ]
    else:
        lines += [
            "target, subject 1       [x x x x x x x x x][? ? ? ? ? ?]",
            "                         first k, in order  test",
        ]
    return "\n".join(lines)


_MODES = {
    "zero-shot": "nothing of the target corpus",
    "unsupervised": (
        "unlabelled target signals: of other target subjects, of the tested subject's first "
        "trials, or (transductive) of the test itself"
    ),
    "calibrated": (
        "the target subject's own first k labelled trials in presentation order; tested on the "
        "subject's remaining trials"
    ),
}
_SOURCES = {
    "cross-corpus": ("source, all subjects", "all labelled source trials"),
    "leave-one-corpus-out": (
        "corpus A, all subjects\ncorpus B, all subjects",
        "all corpora but the tested one",
    ),
    "leave-one-lab-out": (
        "lab 1, all corpora\nlab 2, all corpora",
        "all corpora of other labs than the tested one's (SEED, SEED-IV, ... are one lab)",
    ),
}
_USED_BY = {
    "cross-corpus/zero-shot": "the question users really have",
    "cross-corpus/unsupervised": "E2STN, PAA, DANN, DAN and most domain adaptation",
    "cross-corpus/calibrated": "SCMM, JCFA (SEED: first 9 of 15, then the last 6; session 1)",
    "leave-one-corpus-out/zero-shot": "few (joint pre-training in the manner of mdJPT)",
}


def _across(family: str, mode: str) -> ProtocolInfo:
    lines, source = _SOURCES[family]
    options: tuple[str, ...] = ("source", "source_sessions")
    grants: tuple[str, ...] = _LABELLED_SOURCE
    if mode == "unsupervised":
        options = (*options, "target_use", "calibration_trials", "test_after")
        grants = (*grants, "target_unlabelled")
    if mode == "calibrated":
        options = (*options, "source_classes", "source_labels", "calibration_trials", "test_after")
        grants = (*grants, *_CALIBRATION)
    if family == "leave-one-lab-out":
        options = (*options, "labs")
    return ProtocolInfo(
        id=f"{family}/{mode}",
        picture=_picture(lines, mode),
        sees=f"{source}; {_MODES[mode]}",
        used_by=_USED_BY.get(f"{family}/{mode}", "few"),
        grants=grants,
        default_scaling="calibration" if mode == "calibrated" else "source",
        options=options,
        needs_source=True,
        disjoint="subjects",
    )


_ACROSS = tuple(_across(family, mode) for family in _SOURCES for mode in _MODES)

#: Protocols that train on other corpora than they test: each ends in how it uses the target.
CROSS_CORPUS: tuple[str, ...] = tuple(info.id for info in _ACROSS)

_FURTHER = (
    ProtocolInfo(
        id="pretrain-finetune",
        picture=(
            "corpora A, B, ...       [x x x x x x x x x x x x x x x]  pre-train (any number)\n"
            "target, split by rule   [x x x x x x][v v v v][? ? ? ?]\n"
            "                         fine-tune    validate  test"
        ),
        sees=(
            "other corpora (labels where they fit), and the target's own training split with "
            "labels; tested on its test split, which may hold other subjects, trials or sessions"
        ),
        used_by="EMOD, CBraMod (FACED subjects 80/20/23, SEED-V trials 5/5/5, SEED sessions 1/2/3)",
        grants=(*_LABELLED_SOURCE, *_CALIBRATION),
        default_scaling="calibration",
        options=("source", "source_classes", "source_labels", "source_sessions", "split"),
        disjoint="subjects",
    ),
    ProtocolInfo(
        id="few-shot",
        picture=(
            "source, or the target's [x x x x x x x x x x x x x x x]  train\n"
            "other subjects\n"
            "target, subject 1       [. x . . x . . x .][? ? ? ? ? ?]\n"
            "                         K windows a class  test"
        ),
        sees=(
            "the source corpora (or the other target subjects, where no source is named), and K "
            "labelled windows per class of the target subject's first trials; tested on the "
            "subject's remaining trials"
        ),
        used_by="FACE (K = 3, 5, 10)",
        grants=(*_LABELLED_SOURCE, *_CALIBRATION),
        default_scaling="source",
        options=(
            "source",
            "source_classes",
            "source_labels",
            "source_sessions",
            "calibration_trials",
            "shots",
            "test_after",
        ),
        disjoint="subjects",
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

#: Every protocol, in the order of the documentation.
ENTRIES: tuple[ProtocolInfo, ...] = (*_INSIDE, *_ACROSS, *_FURTHER)
