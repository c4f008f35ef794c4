"""One run of `Store.prepare`: files to parts, parts to an entry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from affectrum.errors import FileFormatError, RecordingError, StoreError
from affectrum.recipes import Recipe
from affectrum.store.assembly import ABOUT, UNFINISHED, Assembly, copy_rows, stage_part
from affectrum.store.entry import ROWS, X, load_manifest, sound_entries
from affectrum.store.files import (
    HEADER_BYTES,
    free_bytes,
    megabytes,
    save_table,
    storing,
    write_atomic,
)
from affectrum.store.locks import KEY_IN_NAME, lock_path, locked
from affectrum.store.parts import (
    ROW,
    Layout,
    Part,
    PartWriter,
    base_key,
    compute_part,
    expected_rows,
)

if TYPE_CHECKING:
    from affectrum.corpora import Corpus

__all__ = ["Progress", "Run", "estimate_bytes", "find_entry"]

#: ``progress(done, total, message)``: trials done, trials in all, and what is being done.
Progress = Callable[[float, float, str], None]

# Faults of one vendor file: the other files are prepared nevertheless, and all faults told once.
_FILE_FAULTS = (FileFormatError, RecordingError, OSError)


def find_entry(
    store: Path, base: dict[str, Any], keys: Iterable[str]
) -> tuple[Path, dict[str, Any]] | None:
    """Find the smallest sound entry that holds all the parts.

    Parameters
    ----------
    store : Path
        The store's folder.
    base : dict
        What the parts have in common, from `base_key`.
    keys : iterable of str
        The parts' keys.

    Returns
    -------
    (Path, dict) or None
        The entry's folder and its manifest.
    """
    wanted = set(keys)
    fitting = []
    for path, manifest in sound_entries(store, base):
        held = {part["part"] for part in manifest["parts"]}
        if held >= wanted:
            fitting.append((len(held), str(path), path, manifest))
    if not fitting:
        return None
    _, _, path, manifest = min(fitting, key=lambda item: item[:2])
    return path, manifest


class Run:
    """Holds the entry's lock and brings its assembly to the end.

    Parameters
    ----------
    store : Path
        The store's folder.
    corpus : Corpus
        The corpus.
    recipe : Recipe
        The recipe.
    layout : Layout
        The shape of the windows.
    parts : list of Part
        The files, in order.
    key : str
        The entry's key.
    workers : int
        Processes.
    report : callable
        Progress.
    """

    def __init__(
        self,
        store: Path,
        corpus: Corpus,
        recipe: Recipe,
        layout: Layout,
        parts: list[Part],
        key: str,
        workers: int,
        report: Progress,
    ) -> None:
        self.store, self.corpus, self.recipe, self.layout = store, corpus, recipe, layout
        self.parts, self.key, self.workers, self.report = parts, key, workers, report
        self.base = base_key(corpus, recipe)
        self.rows = np.concatenate([np.array(part.rows, dtype=np.int64) for part in parts])
        self.total = len(self.rows)
        self.need = estimate_bytes(corpus.trials.iloc[self.rows], recipe, layout)
        slug = re.sub(r"[^a-z0-9]+", "-", corpus.name.casefold()).strip("-")
        self.final = store / f"{slug}-{key[:KEY_IN_NAME]}"
        self.work = self.final.with_name(self.final.name + UNFINISHED)
        self.faults: list[str] = []

    def __enter__(self) -> Run:
        with storing(self.store, "The store", self.need):
            self._lock = locked(
                lock_path(self.store, self.key),
                lambda who: self.report(
                    0, self.total, f"waiting: {who} is preparing the same windows"
                ),
            )
            self._lock.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._lock.__exit__(*error)

    def entry(self) -> tuple[Path, dict[str, Any]]:
        """Return the finished entry, made now or by the run that held the lock before."""
        keys = [part.key for part in self.parts]
        found = find_entry(self.store, self.base, keys)
        if found is not None:
            return found
        with Assembly(self.work, self.parts, self.layout, self.need) as assembly:
            self._check_room(assembly)
            self._describe()
            self._assemble(assembly)
            if self.faults:
                raise StoreError(self._fault_text(assembly))
            if assembly.n_rows == 0:
                raise StoreError(self._empty_text(assembly))
            trials = self.corpus.trials.iloc[self.rows].reset_index(drop=True)
            assembly.finish(
                self.final,
                key=self.key,
                base=self.base,
                recipe=self.recipe.model_dump(mode="json"),
                trials=save_table(trials),
            )
        return self.final, load_manifest(self.final)

    def _check_room(self, assembly: Assembly) -> None:
        """Refuse to begin what can't end for want of space."""
        left = self.need - assembly.n_rows * (self.layout.row_bytes + ROW.itemsize)
        free = free_bytes(self.store)
        if free is not None and left > free:
            raise StoreError(
                f"The windows need about {megabytes(left)} more in {str(self.store)!r}, where "
                f"{megabytes(free)} are free. Free some space or choose another place for the "
                "store."
            )

    def _describe(self) -> None:
        about = {
            "corpus": self.corpus.name,
            "recipe": self.recipe.name,
            "recipe_digest": self.base["recipe"],
            "simulated": self.base["simulated"],
        }
        with storing(self.work, "The entry's description", self.need):
            write_atomic(self.work / ABOUT, json.dumps(about).encode())

    # ---------------------------------------------------------------- working

    def _assemble(self, assembly: Assembly) -> None:
        held = self._held_elsewhere()
        staged = self._stage_in_parallel(assembly, held) if self.workers > 1 else iter(())
        first_fault = False
        for part in self.parts[len(assembly.done) :]:
            done = assembly.n_trials
            self.report(done, self.total, part.file)
            fault = next(staged, None)
            waiting = assembly.staged(part) if fault is None else None
            if fault is not None:
                self.faults.append(fault)
                first_fault = True
            elif first_fault:
                # Its turn has not come before the faulty file's: keep it beside the arrays.
                if waiting is None and part.key not in held:
                    self._stage_one(part)
            elif waiting is not None:
                assembly.append_staged(part, waiting)
            elif not (part.key in held and self._copy(assembly, part, *held[part.key])):
                first_fault = not self._compute(assembly, part)

    def _compute(self, assembly: Assembly, part: Part) -> bool:
        done = assembly.n_trials

        def write(writer: PartWriter) -> dict[str, Any]:
            return compute_part(
                self.corpus,
                self.recipe,
                part,
                self.layout,
                writer,
                lambda trials: self.report(done + trials, self.total, part.file),
            )

        try:
            assembly.append(write)
        except _FILE_FAULTS as error:
            self.faults.append(_fault(part, error))
            return False
        return True

    def _stage_one(self, part: Part) -> None:
        fault = _stage(self.corpus, self.recipe, part, self.layout, self.work, self.need)
        if fault is not None:
            self.faults.append(fault)

    def _stage_in_parallel(self, assembly: Assembly, held: dict[str, Any]) -> Iterator[str | None]:
        """Let workers compute parts into files; yield one answer per part, in order."""
        from joblib import Parallel, delayed

        open_parts = self.parts[len(assembly.done) :]
        todo = [
            part for part in open_parts if part.key not in held and assembly.staged(part) is None
        ]
        keys = {part.key for part in todo}
        pool = Parallel(n_jobs=self.workers, return_as="generator", pre_dispatch="n_jobs")
        answers: Iterator[str | None] = pool(
            delayed(_stage)(self.corpus, self.recipe, part, self.layout, self.work, self.need)
            for part in todo
        )
        for part in open_parts:
            yield next(answers) if part.key in keys else None

    def _held_elsewhere(self) -> dict[str, tuple[Path, int, dict[str, Any]]]:
        """Parts that another entry holds: key -> (folder, first row, description)."""
        held: dict[str, tuple[Path, int, dict[str, Any]]] = {}
        for path, manifest in sound_entries(self.store, self.base):
            first = 0
            for part in manifest["parts"]:
                held.setdefault(part["part"], (path, first, part))
                first += part["n_rows"]
        return held

    def _copy(
        self, assembly: Assembly, part: Part, path: Path, first: int, entry: dict[str, Any]
    ) -> bool:
        def write(writer: PartWriter) -> dict[str, Any]:
            return copy_rows(entry, path / X, path / ROWS, first, self.layout, writer, HEADER_BYTES)

        try:
            assembly.append(write)
        except StoreError as error:
            if isinstance(error.__cause__, OSError):  # this store can't be written
                raise
            return False  # the other entry is damaged: compute anew
        return True

    # ---------------------------------------------------------------- words

    def _fault_text(self, assembly: Assembly) -> str:
        lines = [
            f"{len(self.faults)} of {len(self.parts)} files of {self.corpus.name} in "
            f"{str(self.corpus.folder)!r} could not be prepared:",
            *(f"  - {fault}" for fault in self.faults),
            "The other files are done and kept. Repair or fetch these files again and run the same "
            "command, or leave their subjects out with 'subjects'.",
        ]
        return "\n".join(lines)

    def _empty_text(self, assembly: Assembly) -> str:
        counts: dict[str, int] = {}
        for part in assembly.done:
            for reason, count in part["rejected"].items():
                counts[reason] = counts.get(reason, 0) + count
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(counts.items()))
        return (
            f"None of the {self.total} trials of {self.corpus.name} gave a window with the recipe "
            f"{self.recipe.name!r} ({reasons or 'no reason recorded'}). Check the folder with "
            "'affectrum check', or use shorter windows."
        )


def _stage(
    corpus: Corpus, recipe: Recipe, part: Part, layout: Layout, folder: Path, need: float
) -> str | None:
    """Compute one part into files of its own; return its fault, if it has one."""
    try:
        stage_part(
            folder,
            part,
            need,
            lambda writer: compute_part(corpus, recipe, part, layout, writer),
        )
    except _FILE_FAULTS as error:
        return _fault(part, error)
    return None


def _fault(part: Part, error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if part.file in text else f"{part.file}: {text}"


def estimate_bytes(trials: pd.DataFrame, recipe: Recipe, layout: Layout) -> int:
    """Return the bytes an entry of these trials takes, from their durations."""
    seconds = trials["duration_s"].to_numpy(dtype=np.float64)
    known = seconds[np.isfinite(seconds)]
    typical = float(known.mean()) if len(known) else 0.0
    n_windows = expected_rows(np.where(np.isfinite(seconds), seconds, typical), recipe)
    # Headers, and about 300 bytes a trial for its row of the table and the manifest.
    return n_windows * (layout.row_bytes + ROW.itemsize) + 2 * HEADER_BYTES + 300 * len(trials)
