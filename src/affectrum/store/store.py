"""The store: a folder of finished, memory-mapped windows, keyed by what they were made from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from affectrum.errors import ConfigError, StoreError, did_you_mean
from affectrum.recipes import Recipe, get_recipe
from affectrum.store.assembly import UNFINISHED, describe_unfinished, remove_folder
from affectrum.store.entry import (
    Entry,
    describe,
    entry_folders,
    load_manifest,
    open_windows,
    verify_entry,
)
from affectrum.store.files import digest_json, storing
from affectrum.store.locks import KEY_IN_NAME, lock_path, try_lock
from affectrum.store.parts import base_key, list_parts, make_layout, shipped_name
from affectrum.store.run import Progress, Run, estimate_bytes, find_entry
from affectrum.windows import Windows

if TYPE_CHECKING:
    from affectrum.corpora import Corpus

__all__ = ["Progress", "Store"]


class Store:
    """Windows on disk, found by what they were made from.

    An entry's key covers the store's format, the corpus, its form and reader version, every
    parameter of the recipe and the content of the vendor's files. Labels are no part of it:
    `prepare` joins the trial table of today.

    Parameters
    ----------
    path : str or Path
        The store's folder; it is made when something is first written.

    Examples
    --------
    >>> store = Store("store")
    >>> windows = store.prepare(corpus, "de62")  # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    # ---------------------------------------------------------------- preparing

    def prepare(
        self,
        corpus: Corpus,
        recipe: str | Path | Recipe,
        *,
        workers: int = 1,
        progress: Progress | None = None,
        subjects: Iterable[int] | None = None,
        sessions: Iterable[int] | None = None,
    ) -> Windows:
        """Return a corpus's windows, computing what the store does not hold yet.

        Windows of files that an earlier entry holds unchanged are copied, not computed. An
        interrupted run (Ctrl-C, a kill, a full disk) is continued by the next one, whose result
        is the same to the last bit. Two runs at once are safe: the second waits for the first.

        Parameters
        ----------
        corpus : Corpus
            From `affectrum.open_corpus`.
        recipe : str, Path or Recipe
            A name of `RECIPES`, a YAML file, or a recipe.
        workers : int
            Processes, each working on a file of its own; the result does not depend on it.
        progress : callable or None
            Called as ``progress(done, total, message)``, in trials.
        subjects, sessions : iterable of int, or None
            Only these; only the files that hold them are read.

        Returns
        -------
        Windows
            Memory-mapped.

        Raises
        ------
        ConfigError
            If the recipe does not fit the corpus, or nothing is left of it.
        ElectrodeError
            If the corpus lacks electrodes of the recipe.
        StoreError
            If files could not be prepared (the others are kept), or the store can't be written.
        """
        recipe = get_recipe(recipe)
        if workers < 1:
            raise ConfigError(f"workers must be at least 1; received {workers}.")
        _check_form(corpus, recipe)
        chosen = _chosen_trials(corpus, subjects, sessions)
        layout = make_layout(corpus, recipe)
        files = list(dict.fromkeys(corpus.trials.loc[chosen, "file"]))
        report = progress if progress is not None else _no_progress
        total = int(corpus.trials["file"].isin(files).sum())
        parts = list_parts(
            corpus,
            recipe,
            files,
            lambda number, file: report(0, total, f"looking at file {number + 1}: {file}"),
        )
        keys = [part.key for part in parts]
        base = base_key(corpus, recipe)
        found = find_entry(self.path, base, keys)
        if found is None:
            key = digest_json({"base": base, "parts": keys})
            with Run(self.path, corpus, recipe, layout, parts, key, workers, report) as run:
                found = run.entry()
        path, manifest = found
        report(total, total, "done")
        rows = np.concatenate([np.array(part.rows, dtype=np.int64) for part in parts])
        trials = corpus.trials.iloc[rows].reset_index(drop=True)
        windows = open_windows(path, manifest, trials=trials, parts=keys)
        if not chosen.iloc[rows].all():
            names = windows.table[["subject", "session"]]
            wanted = np.ones(len(names), dtype=bool)
            if subjects is not None:
                wanted &= names["subject"].isin(list(subjects)).to_numpy()
            if sessions is not None:
                wanted &= names["session"].isin(list(sessions)).to_numpy()
            windows = windows.select(wanted)
        return windows

    def estimate(
        self,
        corpus: Corpus,
        recipe: str | Path | Recipe,
        *,
        subjects: Iterable[int] | None = None,
        sessions: Iterable[int] | None = None,
    ) -> int:
        """Estimate what an entry takes on disk, without reading signals.

        Parameters
        ----------
        corpus : Corpus
            The corpus.
        recipe : str, Path or Recipe
            The recipe.
        subjects, sessions : iterable of int, or None
            Only these.

        Returns
        -------
        int
            Bytes. Exact but for rejected windows and shipped features' own lengths.

        Raises
        ------
        ConfigError, ElectrodeError
            If the recipe does not fit the corpus.
        """
        recipe = get_recipe(recipe)
        _check_form(corpus, recipe)
        chosen = _chosen_trials(corpus, subjects, sessions)
        return estimate_bytes(corpus.trials[chosen], recipe, make_layout(corpus, recipe))

    # ---------------------------------------------------------------- opening

    def open(self, corpus: str, recipe: str | Path | Recipe, *, key: str | None = None) -> Windows:
        """Open prepared windows without the corpus folder.

        Parameters
        ----------
        corpus : str
            The corpus's name.
        recipe : str, Path or Recipe
            The recipe they were prepared with.
        key : str or None
            The entry's key, or its first digits, where several entries fit.

        Returns
        -------
        Windows
            With the trial table as it was when they were first prepared.

        Raises
        ------
        StoreError
            If there is no such entry, or several.
        """
        recipe = get_recipe(recipe)
        digest = recipe.digest()
        fitting = [
            entry
            for entry in self.entries()
            if _folded(entry.corpus) == _folded(corpus)
            and (entry.state == "damaged" or entry.recipe_digest == digest)
            and entry.state != "unfinished"
            and (key is None or entry.key.startswith(key))
        ]
        complete = [entry for entry in fitting if entry.state == "complete"]
        if len(complete) > 1:
            complete = _not_contained(complete)
        if len(complete) == 1:
            path = complete[0].path
            return open_windows(path, load_manifest(path))
        if complete:
            listed = "; ".join(
                f"{entry.key[:12]}: {entry.n_files} files, {entry.n_windows} windows"
                f"{', simulated' if entry.simulated else ''}"
                for entry in complete
            )
            raise StoreError(
                f"The store {str(self.path)!r} holds {len(complete)} entries of {corpus} for the "
                f"recipe {recipe.name!r}, made from different files ({listed}). Name one with "
                "'key', or remove the others."
            )
        if fitting:
            raise StoreError(f"The entry of {corpus} can't be trusted. {fitting[0].problem}")
        raise StoreError(self._nothing(corpus, recipe))

    def _nothing(self, corpus: str, recipe: Recipe) -> str:
        entries = [entry for entry in self.entries() if entry.state == "complete"]
        held = sorted({f"{entry.corpus} with {entry.recipe}" for entry in entries})
        hint = did_you_mean(corpus, sorted({entry.corpus for entry in entries}))
        return (
            f"The store {str(self.path)!r} holds no windows of {corpus!r} for the recipe "
            f"{recipe.name!r} (digest {recipe.digest()}). It holds: {', '.join(held) or 'nothing'}."
            f"{hint} Prepare them first: affectrum prepare {corpus} FOLDER --recipe {recipe.name} "
            f"--store {self.path}"
        )

    def entries(self) -> list[Entry]:
        """List what is in the store: complete, unfinished and damaged entries.

        Returns
        -------
        list of Entry
            By corpus, recipe and key.
        """
        found = [
            describe_unfinished(path) if path.name.endswith(UNFINISHED) else describe(path)
            for path in entry_folders(self.path)
        ]
        return sorted(found, key=lambda entry: (entry.corpus, entry.recipe, entry.key))

    def verify(self, key: str | None = None) -> list[str]:
        """Compare every byte of the complete entries with their digests.

        Parameters
        ----------
        key : str or None
            Only the entry of this key (or its first digits).

        Returns
        -------
        list of str
            What is wrong, a sentence each; empty if nothing is.
        """
        problems: list[str] = []
        for path in entry_folders(self.path):
            if not path.name.endswith(UNFINISHED):
                number = path.name.rpartition("-")[2]
                if key is None or number.startswith(key[:KEY_IN_NAME]):
                    problems += verify_entry(path)
        return problems

    def clean(
        self,
        *,
        corpus: str | None = None,
        recipe: str | Path | Recipe | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> list[Entry]:
        """Remove entries. Without a filter: unfinished and damaged ones only.

        Parameters
        ----------
        corpus : str or None
            All entries of this corpus.
        recipe : str, Path, Recipe or None
            All entries of this recipe.
        key : str or None
            The entry of this key (or its first digits).
        dry_run : bool
            Only say what would be removed.

        Returns
        -------
        list of Entry
            What was removed; an unfinished entry that a run works on is passed over.

        Raises
        ------
        StoreError
            If a folder can't be removed.
        """
        digest = None if recipe is None else get_recipe(recipe).digest()
        everything = corpus is None and digest is None and key is None
        removed = []
        for entry in self.entries():
            if everything and entry.state == "complete":
                continue
            if corpus is not None and _folded(entry.corpus) != _folded(corpus):
                continue
            if digest is not None and entry.recipe_digest != digest:
                continue
            if key is not None and not entry.key.startswith(key[:KEY_IN_NAME]):
                continue
            if dry_run:
                removed.append(entry)
                continue
            with storing(entry.path, "The removal of an entry"):
                lock = try_lock(lock_path(self.path, entry.key))
                if lock is None:
                    continue
                with lock:
                    remove_folder(entry.path)
            removed.append(entry)
        return removed

    # ---------------------------------------------------------------- inside


def _check_form(corpus: Corpus, recipe: Recipe) -> None:
    """Refuse to compute from a folder that holds features only, and the other way round."""
    feature = shipped_name(corpus, recipe)
    if feature is not None and feature not in corpus.feature_names:
        known = ", ".join(corpus.feature_names) or "none"
        raise ConfigError(
            f"The recipe {recipe.name!r} takes the shipped feature {feature!r}, but "
            f"{corpus.name} opened as {corpus.form!r} ships: {known}. Open the corpus in its form "
            "with features, or use a recipe that computes, such as 'de62'."
        )
    if feature is not None:
        info = corpus.feature_info(feature)
        faults = []
        if not np.isclose(info.window_s, recipe.window_s):
            faults.append(
                f"window_s is {recipe.window_s:g}, the file's windows have {info.window_s:g} s"
            )
        if recipe.step_s not in (None, recipe.window_s):
            faults.append(f"step_s is {recipe.step_s:g}, the file's windows don't overlap")
        if len(info.bands) != len(recipe.resolved_bands()):
            faults.append(
                f"the recipe has {len(recipe.resolved_bands())} bands, the file "
                f"{len(info.bands)} ({', '.join(info.bands)})"
            )
        if faults:
            raise ConfigError(
                f"The recipe {recipe.name!r} does not describe the feature {feature!r} that "
                f"{corpus.name} ships: {'; '.join(faults)}. Change the recipe to fit the file."
            )
    if feature is None and corpus.trials["sfreq"].isna().any():
        raise ConfigError(
            f"The recipe {recipe.name!r} computes from signals, but {corpus.name} opened as "
            f"{corpus.form!r} holds features only ({', '.join(corpus.feature_names)}). Open the "
            "folder that holds signals, or use a recipe for shipped features, such as "
            "'shipped-seed'."
        )


def _chosen_trials(
    corpus: Corpus, subjects: Iterable[int] | None, sessions: Iterable[int] | None
) -> pd.Series:
    """Return which trials are wanted, refusing numbers that the corpus does not have."""
    trials = corpus.trials
    chosen = pd.Series(True, index=trials.index)
    faults = []
    for name, wanted in (("subject", subjects), ("session", sessions)):
        if wanted is None:
            continue
        numbers = [int(number) for number in wanted]
        present = sorted({int(number) for number in trials[name]})
        unknown = [number for number in numbers if number not in present]
        if unknown:
            faults.append(f"no {name} {', '.join(map(str, unknown))}; there are {present}")
        chosen &= trials[name].isin(numbers)
    if faults:
        raise ConfigError(f"The folder of {corpus.name} has " + "; ".join(faults) + ".")
    if not chosen.any():
        raise ConfigError(
            f"No trial of {corpus.name} is left: subjects {subjects}, sessions {sessions}. The "
            f"folder {str(corpus.folder)!r} has {len(trials)} trials."
        )
    return chosen


def _not_contained(entries: list[Entry]) -> list[Entry]:
    """Leave out entries whose files another one holds too."""
    held = {
        entry.key: {part["part"] for part in load_manifest(entry.path)["parts"]}
        for entry in entries
    }
    return [
        entry
        for entry in entries
        if not any(held[entry.key] < held[other.key] for other in entries)
    ]


def _folded(name: str) -> str:
    return re.sub(r"[-_\s]", "", name).casefold()


def _no_progress(done: float, total: float, message: str) -> None:
    """Say nothing."""
