"""Labels of the clip or of the subject, in corpora that have both.

A clip is labelled by what it should elicit, a trial by what the subject says it did elicit. The
two differ, so that a score under one is no score under the other: the choice is part of the
protocol's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.affect import ClassScheme
from affectrum.errors import LabelError, ProtocolError, check_option
from affectrum.protocols.catalogue import LABELS
from affectrum.protocols.fold import Scheme

if TYPE_CHECKING:
    from affectrum.affect import SchemeReport

__all__ = ["ChosenLabels", "choose_labels"]

# What `affectrum.affect` calls them. A self-report is a rating, or the word that was chosen.
_KINDS = {"clip": ("emotion",), "self-report": ("ratings", "felt")}


@dataclass(frozen=True)
class ChosenLabels:
    """A class scheme that reads one kind of labels where a corpus has both.

    Attributes
    ----------
    scheme : ClassScheme
        The scheme as it was asked for.
    labels : {"clip", "self-report"}
        The kind.
    by_corpus : mapping of str to ClassScheme
        The scheme that reads this kind, for each corpus that has both. Decided once, so that a
        part of a corpus is never labelled in another way than the whole.
    """

    scheme: ClassScheme
    labels: str
    by_corpus: Mapping[str, ClassScheme] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The scheme's name with the kind."""
        return f"{self.scheme.name}, {self.labels} labels"

    @property
    def title(self) -> str:
        """The scheme's name with its parameters and the kind."""
        return f"{self.scheme.title}, {self.labels} labels"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in index order."""
        return self.scheme.classes

    def for_corpus(self, corpus: str) -> ClassScheme:
        """Return the scheme that reads the chosen labels, or the only ones there are."""
        return self.by_corpus.get(corpus, self.scheme)

    def assign(self, trials: pd.DataFrame, corpus: str) -> NDArray[np.int64]:
        """Class index per trial, -1 where the trial is dropped; see `ClassScheme.assign`."""
        return self.for_corpus(corpus).assign(trials, corpus)

    def report(self, trials: pd.DataFrame, corpus: str) -> SchemeReport:
        """Count what is dropped and why; see `ClassScheme.report`."""
        return self.for_corpus(corpus).report(trials, corpus)


def _kinds(scheme: ClassScheme, trials: pd.DataFrame, corpus: str) -> dict[str, ClassScheme]:
    """Return, for each kind of labels that can fill the classes, a scheme that reads no other."""
    found: dict[str, ClassScheme] = {}
    for kind, readable in _KINDS.items():
        for labels in readable:
            candidate = replace(scheme, labels=labels)
            try:
                filled = bool((candidate.assign(trials, corpus) >= 0).any())
            except LabelError:
                continue
            if filled:
                found[kind] = candidate
                break
    return found


def choose_labels(
    scheme: Scheme, labels: str | None, tables: Mapping[str, pd.DataFrame], target: str | None
) -> Scheme:
    """Let a scheme read one kind of labels where a corpus has both.

    Parameters
    ----------
    scheme : Scheme
        The class scheme of the task.
    labels : {"clip", "self-report"} or None
        The kind; None leaves the scheme as it is.
    tables : mapping of str to DataFrame
        The trials of each corpus.
    target : str or None
        The corpus that must have both kinds. Another one that has only one keeps it.

    Returns
    -------
    Scheme
        The scheme, or one that decides by the corpus.

    Raises
    ------
    ProtocolError
        If the scheme knows no kinds, or the target has not both.
    """
    if labels is None:
        return scheme
    check_option("labels", labels, tuple(LABELS), ProtocolError)
    if not isinstance(scheme, ClassScheme):
        raise ProtocolError(
            f"labels={labels!r} needs a class scheme by name; classes that are words of the "
            "column 'emotion' have one kind of labels only."
        )
    if scheme.labels != "auto":
        raise ProtocolError(
            f"labels={labels!r} and classes={scheme.title!r} both choose the labels; leave one out."
        )
    kinds = {corpus: _kinds(scheme, trials, corpus) for corpus, trials in tables.items()}
    missing = [kind for kind in _KINDS if target is not None and kind not in kinds[target]]
    if missing:
        raise ProtocolError(
            f"labels={labels!r} chooses between labels of the clip and self-reports, but "
            f"{target} has no {' and no '.join(missing)} labels that fill the classes of "
            f"{scheme.title!r}. Leave 'labels' out to use what there is."
        )
    both = {corpus: found[labels] for corpus, found in kinds.items() if len(found) == len(_KINDS)}
    return ChosenLabels(scheme, labels, both)
