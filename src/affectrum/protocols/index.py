"""One corpus's windows with everything a protocol asks about them, computed once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.affect import ClassScheme
from affectrum.errors import LabelError, ProtocolError
from affectrum.protocols.contents import contents_of
from affectrum.protocols.fold import Scheme, trial_labels
from affectrum.protocols.identity import row_ids, trial_codes
from affectrum.protocols.labelling import ChosenLabels
from affectrum.protocols.likeness import likeness_hashes, trial_contents, trial_hashes
from affectrum.protocols.plane import TableLike, known_plane, plane_of
from affectrum.windows import Windows
from affectrum.windows.lazy import stored

__all__ = ["TABLE_COLUMNS", "CorpusIndex", "check_alike", "join_corpora"]

#: Columns of the identifier tables that a fold keeps for the audit.
TABLE_COLUMNS: tuple[str, ...] = (
    "corpus",
    "subject",
    "session",
    "row",
    "trial",
    "clip",
    "film",
    "series",
    "onset_s",
    "window",
    "start_s",
)

# Identifiers and content hashes of windows already seen: cells of one plan share them.
_IDS: weakref.WeakKeyDictionary[Windows, NDArray[np.uint64]] = weakref.WeakKeyDictionary()
_PRINTS: weakref.WeakKeyDictionary[Windows, dict[str, NDArray[np.uint64]]] = (
    weakref.WeakKeyDictionary()
)


# The corpora that were joined last: cells of one plan train on the same ones again and again.
_LAST: list[tuple[tuple[weakref.ref[Windows], ...], Windows]] = []


def join_corpora(parts: Sequence[Windows]) -> Windows:
    """Join the windows of several corpora; those joined last are not joined again.

    Parameters
    ----------
    parts : sequence of Windows
        One per corpus.

    Returns
    -------
    Windows
        The one part itself, or a joined copy that is kept as long as all parts are.
    """
    if len(parts) == 1:
        return parts[0]
    if _LAST:
        known, joined = _LAST[0]
        if len(known) == len(parts) and all(
            ref() is part for ref, part in zip(known, parts, strict=True)
        ):
            return joined
    _LAST.clear()
    joined = Windows.concatenate(parts)
    _LAST.append((tuple(weakref.ref(part, lambda _: _LAST.clear()) for part in parts), joined))
    return joined


class CorpusIndex:
    """Windows, their trials, and the class of each trial.

    Parameters
    ----------
    windows : Windows or sequence of Windows
        Of one corpus, or of the joined source corpora; a sequence where these differ in shape.
    scheme : Scheme or None
        Class scheme; None keeps every trial and gives no labels.
    sessions : sequence of int or None
        Keep these sessions only.
    va_table : str, VATable, mapping or None
        What places emotion words on the plane, see `plane.plane_of`.

    Raises
    ------
    LabelError
        If windows of one trial are labelled differently.
    ProtocolError
        If a session is not there, or no trial is left.
    """

    def __init__(
        self,
        windows: Windows | Sequence[Windows],
        scheme: Scheme | None,
        sessions: Sequence[int] | None = None,
        *,
        va_table: TableLike | None = None,
    ) -> None:
        self.va_table = va_table
        #: Windows of one shape each, one after the other; their rows are counted through.
        self.parts = (windows,) if isinstance(windows, Windows) else tuple(windows)
        #: Names of the corpora.
        self.corpus = "+".join(part.corpus for part in self.parts)
        table = self.table
        self.codes, self.trials = trial_codes(table)
        self.scheme = scheme
        if scheme is not None:
            _refuse_split_labels(table, self.codes, self.corpus)
        self.y = (
            np.zeros(len(self.trials), dtype=np.int64)
            if scheme is None
            else trial_labels(self.trials, scheme)
        )
        in_session = np.ones(len(self.trials), dtype=bool)
        if sessions is not None:
            present = [int(value) for value in np.unique(self.trials["session"])]
            absent = [session for session in sessions if session not in present]
            if absent:
                raise ProtocolError(
                    f"{self.corpus} has no session {absent}; it has {present}. "
                    "Check source_sessions and target_sessions."
                )
            in_session = self.trials["session"].isin(list(sessions)).to_numpy()
        self.in_session = in_session
        #: Positions of the trials that take part: in a session asked for, and with a class.
        self.kept = np.flatnonzero(in_session & (self.y >= 0)).astype(np.int64)
        if "artefact" in table:
            self.usable = ~table["artefact"].fillna(False).to_numpy(dtype=bool)
        else:
            self.usable = np.ones(len(table), dtype=bool)
        if not len(self.kept):
            raise ProtocolError(
                f"No trial of {self.corpus} is left"
                + (f" in sessions {list(sessions)}" if sessions is not None else "")
                + (f" under class scheme {scheme.name!r}." if scheme is not None else ".")
            )

    @property
    def windows(self) -> Windows:
        """The windows, where all have one shape."""
        if len(self.parts) > 1:
            raise ProtocolError(
                f"{self.corpus} have windows of several shapes; they can't be taken as one."
            )
        return self.parts[0]

    @cached_property
    def _joined_table(self) -> pd.DataFrame:
        return pd.concat([part.table for part in self.parts], ignore_index=True)

    @property
    def table(self) -> pd.DataFrame:
        """One row per window, of all parts."""
        return self.parts[0].table if len(self.parts) == 1 else self._joined_table

    def pieces(self, rows: NDArray[np.int64]) -> list[tuple[Windows, NDArray[np.int64]]]:
        """Some windows (ascending rows), part by part, with their rows; empty parts are left out.

        Nothing is read.
        """
        found = []
        start = 0
        for part in self.parts:
            mine = rows[(rows >= start) & (rows < start + len(part))]
            if len(mine):
                found.append((part.select(mine - start), mine))
            start += len(part)
        return found

    @property
    def kept_trials(self) -> pd.DataFrame:
        """The trials that take part, index 0..n-1."""
        return self.trials.iloc[self.kept].reset_index(drop=True)

    @property
    def kept_y(self) -> NDArray[np.int64]:
        """Their classes."""
        return self.y[self.kept]

    @property
    def session_trials(self) -> pd.DataFrame:
        """All trials in the sessions asked for, with a class or without, index 0..n-1."""
        return self.trials[self.in_session].reset_index(drop=True)

    @property
    def kept_in_sessions(self) -> NDArray[np.int64]:
        """Positions in `session_trials` of the trials that take part."""
        return np.searchsorted(np.flatnonzero(self.in_session), self.kept).astype(np.int64)

    def rows_of_session_trials(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows (without artefacts) of trials, given as positions in `session_trials`."""
        wanted = np.zeros(len(self.trials), dtype=bool)
        wanted[np.flatnonzero(self.in_session)[positions]] = True
        return np.flatnonzero(wanted[self.codes] & self.usable).astype(np.int64)

    def rows_of(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Windows (without artefacts) of trials, given as positions in `kept_trials`."""
        wanted = np.zeros(len(self.trials), dtype=bool)
        wanted[self.kept[positions]] = True
        return np.flatnonzero(wanted[self.codes] & self.usable).astype(np.int64)

    def labels_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class of each of some windows."""
        return self.y[self.codes[rows]]

    @cached_property
    def va(self) -> NDArray[np.float64] | None:
        """Valence and arousal of every window, (n_windows, 2) on -1..1; None if out of it."""
        # `require_plane` tells of columns that mean something else, where it matters
        return known_plane(self.table, self.va_table)

    def va_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """Valence and arousal of some windows."""
        return None if self.va is None else self.va[rows]

    def require_plane(self) -> None:
        """Refuse corpora of which nothing lies on the plane.

        Raises
        ------
        LabelError
            If values are outside -1..1, or a corpus has none; every such corpus is named.
        """
        va = plane_of(self.table, self.va_table)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(va).all(axis=1), dtype=np.bool_)
        corpus = self.table["corpus"].to_numpy()
        bare = [str(name) for name in dict.fromkeys(corpus) if not known[corpus == name].any()]
        if bare:
            raise LabelError(
                f"No trial of {', '.join(bare)} has a place on the valence-arousal plane"
                + ("" if self.va_table is None else " in the table that was chosen")
                + ". Tell its reader what it asks for (see `affectrum check`), fill the columns "
                "'valence' and 'arousal' (-1..1), or pass va_table=... with its emotion words."
            )

    @cached_property
    def ids(self) -> NDArray[np.uint64]:
        """Identifier of every window."""
        return np.concatenate([_ids(part) for part in self.parts])

    @cached_property
    def prints(self) -> dict[str, NDArray[np.uint64]]:
        """Fingerprints of every window before scaling, to find one signal under two identities.

        `content` (bit-equal), `likeness` (equal up to unit and offset), and the same for all
        windows of a trial `trial_content` and `trial_likeness`. Signals are read in blocks.
        """
        if len(self.parts) == 1:
            return _prints(self.parts[0], self.codes)
        found = [_prints(part, trial_codes(part.table)[0]) for part in self.parts]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def identifiers(self, rows: NDArray[np.int64]) -> pd.DataFrame:
        """Identifier table of some windows: `TABLE_COLUMNS`, `id` and `prints`."""
        table = self.table
        columns = [name for name in TABLE_COLUMNS if name in table]
        part = table[columns].iloc[rows].reset_index(drop=True)
        prints = {name: values[rows] for name, values in self.prints.items()}
        return part.assign(id=self.ids[rows], **prints)

    def notes(self) -> list[str]:
        """What was left out, in words."""
        out = []
        dropped = self.in_session & (self.y < 0)
        if dropped.any() and self.scheme is not None:
            detail = ", ".join(f"{reason} {n}" for reason, n in self._reasons(dropped).items())
            out.append(
                f"{int(dropped.sum())} of {int(self.in_session.sum())} trials of "
                f"{self.corpus} are dropped by class scheme "
                f"{getattr(self.scheme, 'title', self.scheme.name)!r}"
                + (f" ({detail})" if detail else "")
            )
        lost = int((~self.usable).sum())
        if lost:
            out.append(
                f"{lost} of {len(self.usable)} windows of {self.corpus} are left out as artefacts"
            )
        return out

    def _reasons(self, dropped: NDArray[np.bool_]) -> dict[str, int]:
        """Why trials were dropped, with their numbers; classes of own words give the words."""
        part = self.trials[dropped]
        if isinstance(self.scheme, (ClassScheme, ChosenLabels)):
            reasons: dict[str, int] = {}
            for corpus, mine in part.groupby("corpus", sort=False):
                found = self.scheme.report(mine.reset_index(drop=True), str(corpus)).dropped
                for reason, n in found.items():
                    reason = reason.removesuffix(" left out by the scheme").strip("'")
                    reasons[reason] = reasons.get(reason, 0) + n
            return reasons
        words = part["emotion"].dropna().astype(str).tolist() if "emotion" in part else []
        return {word: words.count(word) for word in words}


def _ids(windows: Windows) -> NDArray[np.uint64]:
    known = _IDS.get(windows)
    if known is None:
        known = _IDS[windows] = row_ids(windows.table)
    return known


def _prints(windows: Windows, codes: NDArray[np.int64]) -> dict[str, NDArray[np.uint64]]:
    known = _PRINTS.get(windows)
    if known is None:
        x = stored(windows)
        content = contents_of(windows)
        known = _PRINTS[windows] = {
            "content": content,
            "likeness": likeness_hashes(x),
            "trial_content": trial_contents(content, codes),
            "trial_likeness": trial_hashes(x, codes),
        }
    return known


def _refuse_split_labels(table: pd.DataFrame, codes: NDArray[np.int64], corpus: str) -> None:
    """Raise if windows of one trial are labelled differently: a class is one of a whole trial."""
    _, first = np.unique(codes, return_index=True)
    faults = []
    for name in table.columns:
        if name != "emotion" and not str(name).startswith("rating_"):
            continue
        values = pd.factorize(table[name])[0]
        differ = values != values[first][codes]
        if differ.any():
            place = table.iloc[int(np.argmax(differ))]
            faults.append(
                f"{name!r} changes within {len(np.unique(codes[differ]))} trials, for example "
                f"subject {place['subject']}, session {place['session']}, row {place['row']}"
            )
    if faults:
        raise LabelError(
            f"Windows of one trial of {corpus} have different labels: "
            + "; ".join(faults)
            + ". Folds are made of whole trials: number stretches of one label as trials of their "
            "own (column 'trial')."
        )


def check_alike(parts: Sequence[Windows], *, own_recipes: bool = False) -> bool:
    """Refuse windows of different recipes, electrodes, bands or kinds; every fault is listed.

    Signals (kind "raw") of one recipe may differ in electrodes, rate and length, where the recipe
    leaves them to the corpus.

    Parameters
    ----------
    parts : sequence of Windows
        One per corpus, the target first.
    own_recipes : bool
        Signals may also come from different recipes: the model is trained further on the target's
        own windows before it is tested.

    Returns
    -------
    bool
        Whether all have one shape.

    Raises
    ------
    ProtocolError
        If they differ.
    """
    shape: dict[str, Callable[[Windows], Any]] = {
        "electrodes": lambda part: (len(part.channels), part.channels),
        "length of the last axis": lambda part: part.shape[2],
    }
    questions: dict[str, Callable[[Windows], Any]] = {
        "recipe": lambda part: part.recipe or "not known",
        "kind": lambda part: part.kind,
        "bands": lambda part: None if part.bands is None else tuple(map(str, part.bands)),
    }
    if any(part.kind == "raw" for part in parts):
        shape["sampling rate"] = lambda part: part.sfreq
    faults = _differences(parts, questions)
    differ = _differences(parts, shape)
    if all(part.kind == "raw" for part in parts):
        if own_recipes:
            faults.pop("recipe", None)
    else:
        faults |= differ
    if faults:
        raise ProtocolError(
            "These windows were not made alike, so a score across them would measure the "
            "difference in processing. Prepare all corpora with one recipe.\n"
            + "\n".join(f"  - {fault}" for fault in faults.values())
        )
    return not differ


def _differences(
    parts: Sequence[Windows], questions: dict[str, Callable[[Windows], Any]]
) -> dict[str, str]:
    faults = {}
    for what, ask in questions.items():
        answers = [ask(part) for part in parts]
        if any(answer != answers[0] for answer in answers):
            shown = [str(a[0]) + " of them" if isinstance(a, tuple) else str(a) for a in answers]
            if what == "bands":
                shown = [str(answer) for answer in answers]
            faults[what] = f"{what}: " + "; ".join(
                f"{part.corpus} {text}" for part, text in zip(parts, shown, strict=True)
            )
    return faults
