"""Splits of one corpus by a rule or by the user's own words: training, validation, test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.catalog import fold_name
from affectrum.errors import ProtocolError, did_you_mean
from affectrum.protocols.catalogue import SPLITS
from affectrum.protocols.first_trials import presentation_order
from affectrum.protocols.splits import TrialSplit

__all__ = [
    "OTHERS",
    "Rule",
    "by_rule",
    "others_by_rule",
    "own_split",
    "parse_rule",
    "published_rule",
    "roles_by_rule",
    "within_by_rule",
]

UNITS = ("subjects", "trials", "sessions")

# Each subject in turn is tested on everybody else; alone, or after the name of another rule.
_LEFT_OUT = "leave-one-subject-out"
OTHERS = "other subjects"


@dataclass(frozen=True)
class Rule:
    """The first so many train, the next validate, the next are tested.

    Attributes
    ----------
    name : str
        As it was written: ``"faced-subjects"``, ``"trials:5/5/5"``.
    unit : {"subjects", "trials", "sessions"}
        What is counted. Trials are counted in each session.
    sizes : tuple of int
        Numbers for training, validation (may be 0) and test.
    exact : bool
        Whether there must be exactly that many: published splits are of a whole corpus.
    others : bool
        One fold per tested subject, in which nobody else is tested and the subject's own trials
        neither train nor validate. Without `sizes` all trials of the others train.
    """

    name: str
    unit: str
    sizes: tuple[int, int, int] | None
    exact: bool = False
    others: bool = False

    @property
    def promises(self) -> tuple[str, ...]:
        """Units that no granted window of the target shares with the test."""
        units = [] if self.unit == "trials" else [self.unit]
        return tuple(dict.fromkeys([*units, "subjects"] if self.others else units))


def parse_rule(text: str, corpus: str) -> Rule:
    """Read the name of a published split, or a rule.

    Parameters
    ----------
    text : str
        A name of `SPLITS`, or ``"unit:train/validation/test"`` (``"unit:train/test"``); either may
        be followed by ``", other subjects"``. Or ``"leave-one-subject-out"``.
    corpus : str
        The corpus to split, which a published split has to be of.

    Returns
    -------
    Rule
        The rule.

    Raises
    ------
    ProtocolError
        If the text is neither, or the split is another corpus's.
    """
    written = str(text).strip().casefold()
    if written == _LEFT_OUT:
        return Rule(written, "subjects", None, others=True)
    first, comma, rest = written.partition(",")
    if comma and rest.strip() == OTHERS:
        found = parse_rule(first, corpus)
        if found.unit == "subjects":
            raise ProtocolError(
                f"split={text!r}: nobody is on both sides of split {found.name!r} as it is. Use "
                f"it alone, or split={_LEFT_OUT!r}."
            )
        return replace(found, name=f"{found.name}, {OTHERS}", others=True)
    if written in SPLITS:
        whose, rule, _ = SPLITS[written]
        if fold_name(whose) != fold_name(corpus):
            raise ProtocolError(
                f"split={text!r} is a split of {whose}; the target is {corpus}. Write a rule for "
                f"it, for example split={rule!r}."
            )
        found = parse_rule(rule, corpus)
        return Rule(written, found.unit, found.sizes, exact=True)
    unit, colon, numbers = written.partition(":")
    parts = [part.strip() for part in numbers.split("/")]
    if unit not in UNITS or not colon or not all(part.isdecimal() for part in parts):
        known = (*SPLITS, *(f"{name}:.../.../..." for name in UNITS), "own", _LEFT_OUT)
        raise ProtocolError(
            f"split={text!r} is not known. Published splits are {', '.join(map(repr, SPLITS))}; a "
            "rule counts units for training, validation and test: 'subjects:80/20/23', "
            "'trials:5/5/5' (of each session), 'sessions:1/1/1', each of the last two also with "
            f"', {OTHERS}'; {_LEFT_OUT!r} tests each subject once; 'own' reads the column 'split'."
            + did_you_mean(written, known)
        )
    sizes = [int(part) for part in parts]
    if len(sizes) == 2:
        sizes.insert(1, 0)
    if len(sizes) != 3 or not sizes[0] or not sizes[2]:
        raise ProtocolError(
            f"split={text!r} needs two or three numbers of {unit}, for training, validation (may "
            "be 0) and test; training and test must have at least one."
        )
    return Rule(written, unit, (sizes[0], sizes[1], sizes[2]))


def published_rule(corpus: str, unit: str | None = None) -> str | None:
    """Name the published split of a corpus, of a unit if one is asked for; None without one."""
    for name, (whose, rule, _) in SPLITS.items():
        if fold_name(whose) == fold_name(corpus) and unit in (None, rule.split(":")[0]):
            return name
    return None


def roles_by_rule(trials: pd.DataFrame, rule: Rule) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Give each trial its role: 0 training, 1 validation, 2 test, -1 none.

    ::

        subjects:2/1/2   subject 1  [x x x]   2  [x x x]   3  [v v v]   4  [? ? ?]   5  [? ? ?]
        trials:2/1/2     session 1  [x x v ? ?]      session 2  [x x v ? ?]    in each
        sessions:1/1/1   session 1  [x x x x]   2  [v v v v]   3  [? ? ? ?]

    Subjects and sessions are counted in the order of their numbers, trials as they were
    presented, those that a class scheme drops included.

    Parameters
    ----------
    trials : DataFrame
        All trials of one corpus.
    rule : Rule
        The rule.

    Returns
    -------
    roles : ndarray of int64, shape (n_trials,)
        Roles; none at all if the rule has no sizes.
    notes : tuple of str
        What to say about trials without a role.

    Raises
    ------
    ProtocolError
        If there are too few units, or not as many as a published split is of.
    """
    if rule.sizes is None:
        return np.full(len(trials), -1, dtype=np.int64), ()
    if rule.unit == "trials":
        presentation_order(trials, np.arange(len(trials), dtype=np.int64))
        position = trials["trial"].to_numpy(dtype=np.int64) - 1
        n = int(position.max()) + 1
    else:
        values = trials[rule.unit.removesuffix("s")].to_numpy(dtype=np.int64)
        present, position = np.unique(values, return_inverse=True)
        n = len(present)
    total = sum(rule.sizes)
    corpus = str(trials["corpus"].iloc[0])
    where = " in a session" if rule.unit == "trials" else ""
    if n < total or (rule.exact and n != total):
        written = "/".join(map(str, rule.sizes))
        raise ProtocolError(
            f"split={rule.name!r} divides {total} {rule.unit}{where} ({written}); these windows of "
            f"{corpus} have {n}. "
            + (
                f"It is published for the whole corpus (a reader that leaves some out says so, and "
                "by which option they are kept: `affectrum check`). For a part of it write a rule "
                f"of your own: '{rule.unit}:.../.../...'."
                if rule.exact
                else "Use smaller numbers."
            )
        )
    edges = np.cumsum(rule.sizes)
    roles = np.searchsorted(edges, position, side="right").astype(np.int64)
    unused = roles == len(edges)
    roles[unused] = -1
    notes = (f"split={rule.name!r} uses {total} of {n} {rule.unit}{where}",) if unused.any() else ()
    return roles, notes


def by_rule(
    source: pd.DataFrame | None,
    target: pd.DataFrame,
    roles: NDArray[np.int64],
    name: str,
    *,
    subjects: Sequence[int] | None = None,
) -> TrialSplit:
    """All source trials pre-train; the target's own are divided by their roles. One fold.

    ::

        sources, all subjects   [x x x x x x x x x x x x x x x]  pre-train
        target, roles           [0 0 0 0 0 0][1 1 1 1][2 2 2 2]
                                 fine-tune    validate  test

    Parameters
    ----------
    source : DataFrame or None
        Trials of the source corpora; None without any.
    target : DataFrame
        Trials of the target that have a class.
    roles : ndarray of int64
        Role of each of them, see `roles_by_rule`.
    name : str
        Name of the split.
    subjects : sequence of int, optional
        Test these subjects only.

    Returns
    -------
    TrialSplit
        Training trials of the target stand in `calibration`.

    Raises
    ------
    ProtocolError
        If training or test has no trial with a class, or a subject asked for is not tested.
    """
    corpus = str(target["corpus"].iloc[0])
    rows = [np.flatnonzero(roles == role).astype(np.int64) for role in range(3)]
    subject = target["subject"].to_numpy(dtype=np.int64)
    tested = np.unique(subject[rows[2]])
    if subjects is not None:
        missing = [number for number in subjects if number not in tested]
        if missing:
            raise ProtocolError(
                f"subjects {missing} are not tested by split {name!r} of {corpus}, which tests "
                f"{tested.tolist()}."
            )
        rows[2] = rows[2][np.isin(subject[rows[2]], list(subjects))]
        tested = np.unique(subject[rows[2]])
    for role, word in ((0, "training"), (2, "test")):
        if not len(rows[role]):
            raise ProtocolError(
                f"Split {name!r} of {corpus} has no {word} trial with a class in this class scheme."
            )
    return TrialSplit(
        f"{corpus}/{name}",
        corpus,
        tuple(int(number) for number in tested),
        np.arange(0 if source is None else len(source), dtype=np.int64),
        rows[2],
        calibration=rows[0],
        validation=rows[1],
    )


def others_by_rule(
    source: pd.DataFrame | None,
    target: pd.DataFrame,
    roles: NDArray[np.int64] | None,
    name: str,
    *,
    subjects: Sequence[int] | None = None,
) -> list[TrialSplit]:
    """Test each subject after training on the others. One fold per subject.

    ::

        leave-one-subject-out, subject 2      sessions:1/1/1, other subjects, subject 2
        subject 1  [x x x x x x x x x]        subject 1  [x x x][v v v][     ]
        subject 2  [? ? ? ? ? ? ? ? ?]        subject 2  [     ][     ][? ? ?]
        subject 3  [x x x x x x x x x]        subject 3  [x x x][v v v][     ]

    Parameters
    ----------
    source : DataFrame or None
        Trials of the source corpora, which all pre-train; None without any.
    target : DataFrame
        Trials of the target that have a class.
    roles : ndarray of int64 or None
        Role of each of them, see `roles_by_rule`; None: all trials of the others train, all of the
        subject's own are tested.
    name : str
        Name of the split.
    subjects : sequence of int, optional
        Test these subjects only.

    Returns
    -------
    list of TrialSplit
        Training trials of the target stand in `calibration`.

    Raises
    ------
    ProtocolError
        If there is nobody else, nothing to train or test, or a subject is not tested.
    """
    corpus = str(target["corpus"].iloc[0])
    subject = target["subject"].to_numpy(dtype=np.int64)
    tested = np.unique(subject if roles is None else subject[roles == 2])
    if len(np.unique(subject)) < 2:
        raise ProtocolError(f"Split {name!r} of {corpus} needs more than one subject.")
    wanted = tested if subjects is None else np.array(sorted(subjects), dtype=np.int64)
    missing = [int(number) for number in wanted if number not in tested]
    if missing:
        raise ProtocolError(
            f"subjects {missing} are not tested by split {name!r} of {corpus}, which tests "
            f"{tested.tolist()}."
        )
    splits = []
    for number in wanted:
        own = subject == number
        if roles is None:
            mine = np.where(own, 2, 0)
        else:
            mine = np.where(own == (roles == 2), roles, -1)
        part = by_rule(source, target, mine.astype(np.int64), name)
        splits.append(replace(part, id=f"{corpus}/{name}/{number}"))
    return splits


def within_by_rule(
    trials: pd.DataFrame,
    roles: NDArray[np.int64],
    name: str,
    *,
    subjects: Sequence[int] | None = None,
) -> list[TrialSplit]:
    """Divide each subject's own trials by their roles. One fold per subject.

    ::

        subject 1, session 1   [x x x x x][v v v v v][? ? ? ? ?]
        subject 1, session 2   [x x x x x][v v v v v][? ? ? ? ?]
                                train      validate   test

    Parameters
    ----------
    trials : DataFrame
        Trials of one corpus that have a class.
    roles : ndarray of int64
        Role of each of them, see `roles_by_rule`.
    name : str
        Name of the split.
    subjects : sequence of int, optional
        Build folds of these subjects only.

    Returns
    -------
    list of TrialSplit
        One per subject.

    Raises
    ------
    ProtocolError
        If a subject has nothing to train or test.
    """
    subject = trials["subject"].to_numpy(dtype=np.int64)
    splits = []
    for number in np.unique(subject) if subjects is None else sorted(subjects):
        own = subject == number
        if not own.any():
            raise ProtocolError(f"Split {name!r} finds no trial of subject {number}.")
        part = by_rule(None, trials, np.where(own, roles, -1), name)
        splits.append(
            TrialSplit(
                f"{part.corpus}/{number}",
                part.corpus,
                (int(number),),
                part.calibration,
                part.test,
                validation=part.validation,
            )
        )
    return splits


_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def own_split(words: pd.Series) -> tuple[dict[str, NDArray[np.int64]], int]:
    """Read a column of a user's own words; windows, not trials, so that leaks stay visible.

    ::

        split   train train train validation test test
                [x    x     x]    [v]        [?   ?]

    Parameters
    ----------
    words : Series of str
        ``train``, ``validation`` (also ``val``, ``dev``), ``test`` or missing, per window.

    Returns
    -------
    rows : dict of str to ndarray of int64
        Positions for "train", "validation" and "test".
    n_unused : int
        Windows without a word.

    Raises
    ------
    ProtocolError
        If a word is not understood, or train or test is empty.
    """
    known = words.astype("str").str.strip().str.casefold()
    missing = words.isna().to_numpy()
    mapped = known.map(_WORDS)
    strange = [str(word) for word in pd.unique(known[mapped.isna().to_numpy() & ~missing])]
    if strange:
        raise ProtocolError(
            f"Column 'split' holds {', '.join(map(repr, strange))}; allowed are "
            f"{', '.join(map(repr, _WORDS))}, or nothing for windows that are not used."
        )
    rows = {
        role: np.flatnonzero((mapped == role).to_numpy(dtype=bool) & ~missing).astype(np.int64)
        for role in ("train", "validation", "test")
    }
    empty = [role for role in ("train", "test") if not len(rows[role])]
    if empty:
        raise ProtocolError(f"Column 'split' names no window {' and no window '.join(empty)}.")
    return rows, int(missing.sum())
