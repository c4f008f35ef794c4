"""Changed labels: permuted by trial, permuted by clip, or replaced by the stimulus itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.affect import emod_regions
from affectrum.errors import AccessError
from affectrum.methods.base import derive_seed
from affectrum.protocols.access import LABEL_COLUMNS, Grant
from affectrum.protocols.identity import trial_codes
from affectrum.protocols.plane import known_plane
from affectrum.windows import Windows

if TYPE_CHECKING:
    from affectrum.protocols import Fold

__all__ = ["Relabelled", "balanced_permutation", "permute_labels", "probe_stimulus"]

_TRIAL = ["corpus", "subject", "session", "row"]
_LABELLED = ("source", "calibration", "validation")
_DRAWS = 200

Key = tuple[str, int, int, int]


@dataclass(frozen=True)
class Relabelled:
    """A class scheme that is a table: the class of each trial by name."""

    classes: tuple[str, ...]
    by_trial: Mapping[Key, int]
    name: str = "changed by a control"

    def assign(self, trials: pd.DataFrame, corpus: str) -> NDArray[np.int64]:
        """Class index per trial; -1 for trials that are not in the table."""
        return np.array([self.by_trial.get(key, -1) for key in _keys(trials)], dtype=np.int64)


def balanced_permutation(
    y: NDArray[np.int64], rng: np.random.Generator, n_draws: int = _DRAWS
) -> NDArray[np.int64]:
    """Draw a permutation after which old and new class have as little to do with each other.

    One draw of few items can come out close to the truth, or close to a mere renaming of classes,
    under which everything could still be decoded. Of `n_draws` the one with the smallest
    chi-square between old and new classes is taken.

    Parameters
    ----------
    y : ndarray of int64, shape (n,)
        Classes.
    rng : Generator
        Source of chance.
    n_draws : int
        Draws to choose from.

    Returns
    -------
    ndarray of int64, shape (n,)
        Positions: the new class of item i is ``y[out[i]]``.
    """
    _, code = np.unique(y, return_inverse=True)
    n, n_classes = len(code), int(code.max()) + 1 if len(code) else 0
    draws = np.stack([rng.permutation(n) for _ in range(n_draws)]) if n else np.zeros((1, 0), int)
    hot = np.eye(n_classes)[code]
    expected = np.outer(hot.sum(axis=0), hot.sum(axis=0)) / max(n, 1)
    tables = np.einsum("ia,dib->dab", hot, hot[draws])
    chi2 = ((tables - expected) ** 2 / expected).sum(axis=(1, 2))
    return np.asarray(draws[int(chi2.argmin())], dtype=np.int64)


def permute_labels(
    fold: Fold,
    y_test: NDArray[np.int64],
    parts: Sequence[Windows],
    seed: int,
    *,
    by_clip: bool,
    permutation: int = 0,
) -> Fold:
    """Permute the labels of a fold, in training and test.

    Every role keeps its numbers of trials per class. By trial: within each subject and session.
    By clip: clips that stand in the same roles get each other's labels, alike for all subjects, so
    that a clip on both sides keeps one label; a trial gets the label of the same subject's trial of
    the other clip, where it has one.

    Parameters
    ----------
    fold : Fold
        The fold.
    y_test : ndarray of int64, shape (n_test_windows,)
        The true classes of its test.
    parts : sequence of Windows
        What the fold was made of, for the labels' columns.
    seed : int
        Seed of the permutations, which are the same in all folds with the same trials.
    by_clip : bool
        By clip, not by trial.
    permutation : int
        0: the balanced one, see `balanced_permutation`. From 1: this draw of all permutations with
        equal chances, as a permutation test needs them.

    Returns
    -------
    Fold
        With other labels, label columns and class scheme.

    Raises
    ------
    AccessError
        If the clips of a tested trial are not known.
    """
    trials = _labelled_trials(fold, y_test)
    if by_clip and trials["clip"].isna().any():
        unknown = int(trials["clip"].isna().sum())
        raise AccessError(
            f"Control 'labels-by-clip' needs the clip of every trial; it is not known for "
            f"{unknown} of {len(trials)} trials of fold {fold.id}."
        )
    donor = (_by_clip if by_clip else _by_trial)(trials, seed, permutation)
    y = trials["_y"].to_numpy(dtype=np.int64)[donor]
    keys = _keys(trials)
    new = dict(zip(keys, map(int, y), strict=True))
    given = dict(zip(keys, [keys[number] for number in donor], strict=True))
    columns = _label_columns(parts)
    places = _places(fold, parts)

    def changed(role: str, granted: tuple[Grant, ...]) -> list[Grant]:
        if all(grant.y is None for grant in granted):
            return _permuted_plane(
                fold, role, granted, seed, by_clip=by_clip, permutation=permutation
            )
        return [relabelled(grant) for grant in granted]

    def relabelled(grant: Grant) -> Grant:
        codes, own = trial_codes(grant.windows.table)
        mine = _keys(own)
        labels = np.array([new[key] for key in mine], dtype=np.int64)[codes]
        table = grant.windows.table
        shown = [name for name in LABEL_COLUMNS if name in table and name in columns]
        lent = columns.loc[[given[key] for key in mine], shown].iloc[codes]
        va = None if grant.va is None else np.array([places[given[key]] for key in mine])[codes]
        return Grant(
            grant.windows.with_table(table.assign(**{n: lent[n].to_numpy() for n in shown})),
            labels,
            va,
        )

    return replace(
        fold,
        access=fold.access.with_grants(changed),
        scheme=Relabelled(fold.classes, new),
    )


def probe_stimulus(fold: Fold, parts: Sequence[Windows], level: str) -> Fold:
    """Make the stimulus the class: a probe for what identifies a clip or film in the signal.

    Parameters
    ----------
    fold : Fold
        The fold.
    parts : sequence of Windows
        What the fold was made of.
    level : {"clip", "film"}
        The level.

    Returns
    -------
    Fold
        Classes are the target's stimuli; tested is what was shown in training too.

    Raises
    ------
    AccessError
        If no tested stimulus stands in training.
    """
    target = next(part for part in parts if part.corpus == fold.target)
    names = target.table[level].dropna().astype(str)
    classes = tuple(sorted(names.unique()))
    index = {name: number for number, name in enumerate(classes)}
    roles = [role for role in _LABELLED if role in fold.tables]
    trained = {
        str(name)
        for role in roles
        if role != "validation"
        for name in fold.tables[role][level].dropna().unique()
    }
    tested = fold.tables["test"]
    stimulus = tested[level].astype("str").where(tested[level].notna())
    keep = stimulus.isin(sorted(trained & set(index))).to_numpy()
    if not keep.any() or len(classes) < 2:
        raise AccessError(
            f"Control '{level}-probe' has nothing to recognise in fold {fold.id}: no {level} of "
            "the test is shown in training too (or it is not known)."
        )
    by_trial = {
        key: index.get(str(name), -1)
        for role in (*roles, "test")
        for key, name in _trial_values(fold.tables[role], level)
    }

    def changed(role: str, granted: tuple[Grant, ...]) -> list[Grant]:
        if role not in roles:
            return list(granted)
        # The probe may know the stimulus even where a method may not know the labels.
        out = []
        for grant, table in zip(granted, _tables(fold, role, granted), strict=True):
            y = np.array([index.get(str(n), -1) for n in table[level]], dtype=np.int64)
            shown = table[_TRIAL].reset_index(drop=True)
            windows = grant.windows.with_table(_with_keys(grant.windows.table, shown))
            out.append(Grant(windows, y, grant.va))
        return out

    rows = np.flatnonzero(keep)
    x = np.ascontiguousarray(fold.test.x[rows])
    test = _rebuilt(fold.test, x, fold.test.table.iloc[rows].reset_index(drop=True))
    access = replace(fold.access.with_grants(changed), classes=classes, source_classes=None)
    return replace(
        fold,
        access=access,
        test=test,
        test_rows=fold.test_rows[rows],
        tables={**fold.tables, "test": tested.iloc[rows].reset_index(drop=True)},
        scheme=Relabelled(classes, by_trial, f"{level} identity"),
        lacks=(),
    )


# --------------------------------------------------------------------------------------- inside


def _keys(trials: pd.DataFrame) -> list[Key]:
    return [
        (str(corpus), int(subject), int(session), int(row))
        for corpus, subject, session, row in trials[_TRIAL].itertuples(index=False)
    ]


def _trial_values(table: pd.DataFrame, column: str) -> list[tuple[Key, Any]]:
    trials = table.drop_duplicates(_TRIAL)
    return list(zip(_keys(trials), trials[column].tolist(), strict=True))


def _with_keys(table: pd.DataFrame, keys: pd.DataFrame) -> pd.DataFrame:
    """Give windows that were granted without labels their own trial numbers again."""
    return table.assign(**{name: keys[name].to_numpy() for name in _TRIAL})


def _rebuilt(windows: Windows, x: NDArray[np.float32], table: pd.DataFrame) -> Windows:
    return Windows(
        x,
        table,
        kind=windows.kind,
        channels=windows.channels,
        sfreq=windows.sfreq,
        bands=windows.bands,
        recipe=windows.recipe,
        corpus=windows.corpus,
        mask=windows.mask,
    )


def _granted(fold: Fold, role: str) -> tuple[Grant, ...]:
    grant: Grant | None = getattr(fold.access, role)
    if grant is not None:
        return (grant,)
    return fold.access.source_parts if role == "source" else ()


def _tables(fold: Fold, role: str, granted: Sequence[Grant]) -> list[pd.DataFrame]:
    """The identifiers of each grant of a role, which lie one after the other in its table."""
    stops = np.cumsum([0, *map(len, granted)])
    return [fold.tables[role].iloc[a:b] for a, b in pairwise(stops)]


def _labelled_trials(fold: Fold, y_test: NDArray[np.int64]) -> pd.DataFrame:
    """One row per trial with `_y`, `_role` and `_side` (source classes may be others)."""
    tables = []
    for role in (*_LABELLED, "test"):
        if role == "test":
            y = y_test
        else:
            known = [grant.y for grant in _granted(fold, role) if grant.y is not None]
            if not known:
                continue
            y = np.concatenate(known)
        own = role == "source" and not fold.access.same_task
        part = fold.tables[role][[*_TRIAL, "clip"]].assign(
            _y=y, _role=role, _side="source" if own else "task"
        )
        tables.append(part.drop_duplicates(_TRIAL))
    return pd.concat(tables, ignore_index=True)


def _places(fold: Fold, parts: Sequence[Windows]) -> dict[Key, NDArray[np.float64]]:
    """Valence and arousal of every trial: as granted, else as the task places it."""
    found: dict[Key, NDArray[np.float64]] = {}
    for part in parts:
        trials = part.trials()
        va = known_plane(trials, fold.access.va_table)
        if va is None:
            va = np.full((len(trials), 2), np.nan)
        found.update(zip(_keys(trials), va, strict=True))
    for role in _LABELLED:
        for grant in _granted(fold, role):
            if grant.va is not None and grant.y is not None:
                codes, own = trial_codes(grant.windows.table)
                first = np.unique(codes, return_index=True)[1]
                found.update(zip(_keys(own), grant.va[first], strict=True))
    return found


def _permuted_plane(
    fold: Fold,
    role: str,
    granted: Sequence[Grant],
    seed: int,
    *,
    by_clip: bool,
    permutation: int,
) -> list[Grant]:
    """Permute valence and arousal where they are granted without classes.

    By clip only among trials whose clip is known; the others by trial.
    """
    if all(grant.va is None for grant in granted):
        return list(granted)
    tables = _tables(fold, role, granted)
    va = np.concatenate([np.full((len(g), 2), np.nan) if g.va is None else g.va for g in granted])
    table = pd.concat(tables, ignore_index=True)
    codes, _ = trial_codes(table)
    first = np.unique(codes, return_index=True)[1]
    trials = table.iloc[first][[*_TRIAL, "clip"]].reset_index(drop=True)
    # places as codes: permutations are chosen so that old and new have little to do with each other
    _, place = np.unique(emod_regions(va[first]), return_inverse=True)
    trials = trials.assign(_y=place, _role=role, _side="plane")
    donor = _by_trial(trials, seed, permutation)
    known = np.flatnonzero(trials["clip"].notna().to_numpy())
    if by_clip and len(known):
        own = trials.iloc[known].reset_index(drop=True)
        donor[known] = known[_by_clip(own, seed, permutation)]
    new = va[first][donor][codes]
    stops = np.cumsum([0, *map(len, granted)])
    return [
        replace(grant, va=None if grant.va is None else new[a:b])
        for grant, (a, b) in zip(granted, pairwise(stops), strict=True)
    ]


def _permutation(
    y: NDArray[np.int64], permutation: int, seed: int, *place: str
) -> NDArray[np.int64]:
    """The balanced permutation of some labels, or one of the random ones."""
    if not permutation:
        return balanced_permutation(y, np.random.default_rng(derive_seed(seed, *place)))
    rng = np.random.default_rng(derive_seed(seed, "permutation", str(permutation), *place))
    return rng.permutation(len(y)).astype(np.int64)


def _by_trial(trials: pd.DataFrame, seed: int, permutation: int) -> NDArray[np.int64]:
    donor = np.arange(len(trials))
    y = trials["_y"].to_numpy(dtype=np.int64)
    groups = ["_role", "corpus", "subject", "session"]
    for name, rows in trials.groupby(groups, sort=True).indices.items():
        place = name[1:] if isinstance(name, tuple) else (name,)
        order = _permutation(y[rows], permutation, seed, "by trial", *map(str, place))
        donor[rows] = rows[order]
    return donor


def _by_clip(trials: pd.DataFrame, seed: int, permutation: int) -> NDArray[np.int64]:
    clip = trials["clip"].astype(str).to_numpy()
    side = trials["_side"].to_numpy(dtype=str)
    y = trials["_y"].to_numpy(dtype=np.int64)
    role = trials["_role"].to_numpy(dtype=str)
    corpus = trials["corpus"].to_numpy(dtype=str)
    # Clips that stand in the same roles of the same corpora: each role keeps its classes.
    strata: dict[tuple[str, ...], list[str]] = {}
    where: dict[str, NDArray[np.int64]] = {
        name: np.flatnonzero(clip == name) for name in np.unique(clip)
    }
    for name, rows in where.items():
        pattern = (
            *sorted(set(side[rows])),
            *sorted({f"{r}/{c}" for r, c in zip(role[rows], corpus[rows], strict=True)}),
        )
        strata.setdefault(pattern, []).append(name)
    other: dict[str, str] = {}
    for clips in strata.values():
        classes = np.array([np.bincount(y[where[name]]).argmax() for name in clips])
        order = _permutation(classes, permutation, seed, "by clip", *clips)
        for name, number in zip(clips, order, strict=True):
            other[name] = clips[int(number)]
    # The same subject's trial of the other clip, in this session or another; else anybody's.
    donor = np.arange(len(trials))
    keys = _keys(trials)
    session = {
        (*key[:3], name): row for row, (key, name) in enumerate(zip(keys, clip, strict=True))
    }
    subject = {
        (*key[:2], name): row for row, (key, name) in enumerate(zip(keys, clip, strict=True))
    }
    for row, (key, name) in enumerate(zip(keys, clip, strict=True)):
        new = other[name]
        found = session.get((*key[:3], new), subject.get((*key[:2], new)))
        donor[row] = int(where[new][0]) if found is None else found
    return donor


def _label_columns(parts: Sequence[Windows]) -> pd.DataFrame:
    """Label columns of every trial, by its name."""
    tables = []
    for part in parts:
        trials = part.trials()
        shown = [name for name in LABEL_COLUMNS if name in trials]
        tables.append(trials[shown].set_axis(pd.Index(_keys(trials), tupleize_cols=False)))
    return pd.concat(tables)
