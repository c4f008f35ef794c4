"""A fold: what a method gets, what is scored, and what the audit needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import LabelError, ProtocolError
from affectrum.protocols.identity import first_windows, separate_corpora, trial_codes

if TYPE_CHECKING:
    from affectrum.protocols.access import Access
    from affectrum.protocols.audit import Certificate
    from affectrum.scaling import Scaler, ScalerRecord
    from affectrum.windows import Windows

__all__ = ["Fold", "Scheme", "WordScheme", "resolve_scheme", "trial_labels", "truth"]


class Scheme(Protocol):
    """What protocols need of a class scheme (`affectrum.affect.ClassScheme` is one)."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in index order."""
        ...

    def assign(self, trials: pd.DataFrame, corpus: str) -> NDArray[np.int64]:
        """Class index per trial, -1 where the trial is dropped."""
        ...


@dataclass(frozen=True)
class WordScheme:
    """Classes that are the words of the column `emotion` as they stand, for own windows."""

    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The classes, joined."""
        return "/".join(self.classes)

    def assign(self, trials: pd.DataFrame, corpus: str) -> NDArray[np.int64]:
        """Class index per trial; -1 for other words and missing ones.

        Raises
        ------
        LabelError
            If no trial has one of the words.
        """
        index = {word: number for number, word in enumerate(self.classes)}
        y: NDArray[np.int64] = np.array(
            [index.get(word, -1) for word in trials["emotion"].fillna("").astype(str)],
            dtype=np.int64,
        )
        if not (y >= 0).any():
            words = [str(word) for word in pd.unique(trials["emotion"].dropna())]
            raise LabelError(
                f"No trial of {corpus} has one of the emotions {', '.join(self.classes)}; its "
                f"column 'emotion' holds {', '.join(words) or 'nothing'}."
            )
        return y


def resolve_scheme(classes: str | Sequence[str] | Scheme) -> Scheme:
    """Return a class scheme from its name, from emotion words, or as it is.

    Raises
    ------
    LabelError or ConfigError
        If a name is not known.
    ProtocolError
        If fewer than two words are given.
    """
    if isinstance(classes, str):
        from affectrum.affect import get_scheme

        return get_scheme(classes)
    if isinstance(classes, (tuple, list)):
        words = tuple(str(word) for word in classes)
        if len(dict.fromkeys(words)) < 2:
            raise ProtocolError(f"classes needs at least two different emotions; received {words}.")
        return WordScheme(words)
    return classes  # type: ignore[return-value]


def trial_labels(trials: pd.DataFrame, scheme: Scheme) -> NDArray[np.int64]:
    """Class index of each trial, corpus by corpus; -1 where the scheme drops it.

    Parameters
    ----------
    trials : DataFrame
        One row per trial, of one or more corpora.
    scheme : Scheme
        The class scheme.

    Returns
    -------
    ndarray of int64, shape (n_trials,)
    """
    y = np.full(len(trials), -1, dtype=np.int64)
    corpora = trials["corpus"].to_numpy()
    for corpus in dict.fromkeys(corpora):
        mine = np.flatnonzero(corpora == corpus)
        part = trials.iloc[mine].reset_index(drop=True)
        y[mine] = scheme.assign(part, str(corpus))
    return y


@dataclass(frozen=True)
class Fold:
    """One division into what is seen and what is tested.

    A fold never holds test labels: `truth` computes them from the target's windows, outside.

    Attributes
    ----------
    id : str
        ``"SEED/3"``, with the group of held-out stimuli where there are some.
    protocol : str
        With its modifiers: ``"leave-one-subject-out (transductive, clip-disjoint)"``.
    base : str
        The protocol's id without modifiers.
    target : str
        The target corpus.
    subject : str
        The test subject's number; several joined by "+" for own splits.
    access : Access
        All that a method sees.
    test : Windows
        The windows to score, without label and stimulus columns, trials as they were presented.
    test_rows : ndarray of int64
        Their rows in the target's windows.
    tables : dict of str to DataFrame
        Identifiers of every window of each role, for the audit only.
    scalers : tuple of ScalerRecord
        What each scaler was fitted on.
    scaler : Scaler or None
        The scaler that test windows went through, if it is a single one.
    scheme : Scheme
        The class scheme of the task.
    scaling, scaler_kind : str
        Scope and kind.
    selection : str
        "last", "validation" or "oracle"; named here, carried out elsewhere.
    stimulus_disjoint : str or None
        The level of the modifier.
    calibration_trials, test_after : int or None
        How many first trials were used, and after how many the test begins.
    target_use, shots, split, labels : str or int, or None
        Options of the protocol, as `make_folds` takes them.
    promises : tuple of str
        Units ("subjects", "sessions") that no granted window of the target shares with the test,
        beside what the protocol's `disjoint` says of the source.
    lacks : tuple of str
        Classes without any training (or calibration) trial; such a fold is left out of means
        that need them.
    notes : tuple of str
        What a reader of the score should know.
    """

    id: str
    protocol: str
    base: str
    target: str
    subject: str
    access: Access
    test: Windows
    test_rows: NDArray[np.int64]
    tables: dict[str, pd.DataFrame] = field(repr=False)
    scalers: tuple[ScalerRecord, ...] = field(repr=False)
    scaler: Scaler | None = field(repr=False)
    scheme: Scheme
    scaling: str
    scaler_kind: str
    selection: str
    stimulus_disjoint: str | None = None
    stimulus_control: bool = False
    calibration_trials: int | None = None
    lacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    window_s: float | None = None
    test_after: int | None = None
    target_use: str | None = None
    shots: int | None = None
    split: str | None = None
    labels: str | None = None
    promises: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the task, in column order of the scores."""
        return tuple(self.access.classes)

    def audit(self) -> Certificate:
        """Check that nothing of the test stands on the training side.

        Returns
        -------
        Certificate
            Measured and required facts; ``raise_if_failed()`` turns a failure into a LeakError.
        """
        from affectrum.protocols.audit import audit_fold

        return audit_fold(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what is worth recording, as plain data."""
        return {
            "id": self.id,
            "protocol": self.protocol,
            "base": self.base,
            "target": self.target,
            "subject": self.subject,
            "grants": list(self.access.grants),
            "classes": list(self.classes),
            "source_classes": (
                None if self.access.source_classes is None else list(self.access.source_classes)
            ),
            "scaling": self.scaling,
            "scaler": self.scaler_kind,
            "scalers": [record.to_dict() for record in self.scalers],
            "selection": self.selection,
            "stimulus_disjoint": self.stimulus_disjoint,
            "stimulus_control": self.stimulus_control,
            "calibration_trials": self.calibration_trials,
            "test_after": self.test_after,
            "target_use": self.target_use,
            "shots": self.shots,
            "split": self.split,
            "labels": self.labels,
            "promises": list(self.promises),
            "lacks": list(self.lacks),
            "notes": list(self.notes),
            "n_windows": {role: len(table) for role, table in self.tables.items()},
            "n_trials": {role: len(first_windows(table)[1]) for role, table in self.tables.items()},
        }


def truth(windows: Windows | Sequence[Windows], fold: Fold) -> NDArray[np.int64]:
    """Compute the test labels of a fold; for scoring, never for a method.

    Parameters
    ----------
    windows : Windows or sequence of Windows
        What `make_folds` was given.
    fold : Fold
        The fold.

    Returns
    -------
    ndarray of int64, shape (n_test_windows,)
        Class index of each test window, in the order of ``fold.test``.

    Raises
    ------
    ProtocolError
        If the target corpus is not among the windows, or they are others than the fold was made
        of.
    """
    parts = separate_corpora(windows)
    target = [part for part in parts if part.corpus == fold.target]
    if len(target) != 1:
        raise ProtocolError(
            f"The fold tests {fold.target}; received windows of "
            f"{', '.join(part.corpus for part in parts)}."
        )
    if len(fold.test_rows) and int(fold.test_rows.max()) >= len(target[0]):
        raise ProtocolError(
            f"The fold points to row {int(fold.test_rows.max())} of {fold.target}, but these "
            f"windows are only {len(target[0])}. Pass the windows that make_folds was given."
        )
    table = target[0].table.iloc[fold.test_rows].reset_index(drop=True)
    keys = ["corpus", "subject", "session", "row", "window"]
    mine = fold.tables["test"][keys]
    if any((table[key].to_numpy() != mine[key].to_numpy()).any() for key in keys):
        raise ProtocolError(
            "These windows are not those that the fold was made of: subjects, sessions, trials "
            "or windows differ. Pass the windows that make_folds was given."
        )
    codes, trials = trial_codes(table)
    return trial_labels(trials, fold.scheme)[codes]
