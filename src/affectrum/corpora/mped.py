"""MPED: raw recordings or shipped features of people known by name.

Much about this corpus is not documented: what the classes mean, which raw trial belongs to which
of them, the unit. The reader asks for it by options and says what is missing without them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, field_validator

from affectrum.catalog import Clip, CorpusFacts
from affectrum.catalog import mped as catalogued
from affectrum.corpora.base import Corpus, FeatureInfo
from affectrum.corpora.folders import file_names, find_files, find_folders, relative
from affectrum.corpora.mped_features import CellReader, cells
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER, measure_unit
from affectrum.errors import FileFormatError
from affectrum.recordings import mat
from affectrum.recordings.mat_slices import MatSlices

__all__ = ["READER", "MpedCorpus", "MpedOptions"]

_RAW: Final = re.compile(r"(?P<name>.+)_(?P<part>dd?)\.mat", re.IGNORECASE)
_FEATURE: Final = re.compile(r"(?P<name>.+)\.mat", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"raw_eeg(?P<row>\d{1,3})")
_MEASURED: Final = 10_000  # samples by which the unit is told
_SCALE: Final = "the vendor's own, not documented: standardise before mixing with other features"
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."


class MpedOptions(ReaderOptions):
    """What the reader of MPED has to be told."""

    label_names: tuple[str, ...] | None = Field(
        default=None,
        description=(
            "Seven emotion words: what the codes 0 to 6 of the features' label list mean. These "
            "are not the numbers of EMOD's code (0 rest, 1 neutral, 2 joy, 3 funny, 4 angry, 5 "
            "fear, 6 disgust, 7 sad, 8 unused)."
        ),
    )
    labels: tuple[str | None, ...] | None = Field(
        default=None,
        description=(
            "34 emotion words, one per raw trial (raw_eeg1 ...), null for trials without one. "
            "Words, no codes, since two ways of numbering are in use."
        ),
    )
    unit: Literal["V", "mV", "uV", "nV"] | None = Field(
        default=None, description="Unit of the raw numbers; measured where it is not given."
    )
    window_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds of a window of the features; papers speak of 1 s, no file tells.",
    )

    @field_validator("label_names", "labels", mode="after")
    @classmethod
    def _words(cls, given: tuple[str | None, ...] | None) -> tuple[str | None, ...] | None:
        if given is None:
            return None
        found = tuple(None if word is None else word.strip().casefold() for word in given)
        if "" in found:
            raise ValueError("an emotion word is empty")
        return found

    @field_validator("label_names")
    @classmethod
    def _seven(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        n = catalogued.N_CLASSES
        if given is not None and (len(given) != n or len(set(given)) != n):
            raise ValueError(f"expected {n} different words, received {len(given)}")
        return given

    @field_validator("labels")
    @classmethod
    def _one_per_trial(cls, given: tuple[str | None, ...] | None) -> tuple[str | None, ...] | None:
        if given is not None and len(given) != catalogued.N_RAW:
            raise ValueError(f"expected {catalogued.N_RAW} words or nulls, received {len(given)}")
        return given


class MpedCorpus(Corpus):
    """Reader of MPED; see `Corpus`.

    Emotions are missing unless the options `label_names` (for the features) or `labels` (for the
    raw recordings) say them.
    """

    name = "MPED"
    forms = ("raw", "features")
    signal_forms = ("raw",)
    Options = MpedOptions
    options: MpedOptions

    def _find_facts(self) -> CorpusFacts:
        facts = super()._find_facts()
        told = (*(self.options.label_names or ()), *(self.options.labels or ()))
        words = dict.fromkeys(word for word in told if word is not None)
        return dataclasses.replace(facts, label_codes=dict(enumerate(words))) if words else facts

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        forms: dict[str, Path] = {}
        for match, path in find_files(folder, _RAW, depth=3):
            root = path.parent.parent
            named_alike = match["name"].casefold() == path.parent.name.casefold()
            if named_alike and root.is_relative_to(folder):
                forms["raw"] = root
                break
        features = find_folders(folder, ["EEG_feature"], accept=_holds_features)
        if features:
            forms["features"] = features["EEG_feature"]
        return forms

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        subjects = self._subjects()
        log.note(
            ".",
            "people are known by name; subjects are numbered in the alphabetical order of the "
            f"names that are there: {', '.join(list(subjects)[:30])}.",
        )
        if len(subjects) > self.facts.n_subjects:
            log.error(
                ".",
                f"{len(subjects)} names; MPED has {self.facts.n_subjects} people.",
                "Is a person's name spelt in two ways? Move other folders away.",
            )
        if self.form == "raw":
            return self._scan_raw(root, subjects, log)
        return self._scan_features(root, subjects, log)

    def _subjects(self) -> dict[str, int]:
        """Return the number of every name, whatever form it occurs in."""
        names = set()
        if "raw" in self._roots:
            names |= {name for name, _, _ in _raw_files(self._roots["raw"])}
        if "features" in self._roots:
            files = _feature_files(self._roots["features"])
            names |= {name for found in files.values() for name in found}
        return {name: number for number, name in enumerate(sorted(names), start=1)}

    # raw

    def _scan_raw(self, root: Path, subjects: dict[str, int], log: ProblemLog) -> list[TrialHeader]:
        headers: list[TrialHeader] = []
        first: dict[Path, str] = {}
        for name, part, path in _raw_files(root):
            where = relative(path, self.folder)
            try:
                variables = self._cache.get(path, "variables", _variables)
            except FileFormatError as error:
                log.error(where, str(error), _AGAIN)
                continue
            found = list(self._raw_headers(subjects[name], part, where, variables, log))
            if found:
                first[path] = found[0].key
            else:
                log.error(where, "no variable is called raw_eeg1 ...", _AGAIN)
            headers += found
        if self.options.labels is None:
            log.note(
                ".",
                "which emotion each raw trial belongs to is not documented, so emotions are "
                "missing.",
                "Give the option labels: 34 words, null for trials without an emotion.",
            )
        self._volts = self._volts_per_unit(first, log)
        return headers

    def _raw_headers(
        self, subject: int, part: str, where: str, variables: Any, log: ProblemLog
    ) -> Iterator[TrialHeader]:
        n_first, n_rows = catalogued.N_RAW_FIRST, catalogued.N_RAW
        allowed = range(1, n_first + 1) if part == "d" else range(n_first + 1, n_rows + 1)
        for variable, (shape, kind) in variables.items():
            match = _VARIABLE.fullmatch(variable)
            if match is None:
                continue
            row = int(match["row"])
            if row not in allowed:
                log.error(
                    where,
                    f"{variable} does not belong here: _{part} holds raw_eeg{allowed.start} to "
                    f"raw_eeg{allowed.stop - 1}.",
                    _AGAIN,
                )
                continue
            n_channels = len(self.channels)
            fits = kind in ("double", "single") and len(shape) == 2 and shape[0] >= n_channels
            if not fits or shape[1] < self.facts.sfreq / 10:
                log.error(
                    where,
                    f"{variable} is {kind} of shape {tuple(shape)}; expected double of "
                    f"({n_channels} or more, samples).",
                    _AGAIN,
                )
                continue
            labels = self.options.labels
            yield TrialHeader(
                subject=subject,
                session=1,
                row=row,
                trial=None,
                clip_row=None if labels is None else row,
                file=where,
                key=variable,
                n_channels=n_channels,
                duration_s=shape[1] / self.facts.sfreq,
                onset_s=0.0,
                sfreq=self.facts.sfreq,
                emotion=None if labels is None else labels[row - 1],
            )

    def _volts_per_unit(self, first: dict[Path, str], log: ProblemLog) -> float:
        """Return volts per unit of the raw numbers, NaN with an error in the log."""
        if self.options.unit is not None:
            return VOLTS_PER[self.options.unit]
        units: set[str | None] = set()
        for path in first:
            try:
                units.add(self._cache.get(path, "unit", _unit))
            except FileFormatError as error:
                log.error(relative(path, self.folder), str(error), _AGAIN)
        if len(units) != 1 or None in units:
            told = ", ".join(sorted(unit or "none that EEG could have" for unit in units))
            log.error(
                ".",
                "no source says the unit of the raw numbers, and how much they vary does not "
                f"settle it ({told or 'nothing to measure'}).",
                "Give the option unit: V, mV, uV or nV.",
            )
            return float("nan")
        unit = str(units.pop())
        log.note(
            ".",
            f"no source says the unit; by how much the signals vary it is {unit}.",
            "Give the option unit if you know better.",
        )
        return VOLTS_PER[unit]

    @contextmanager
    def _open(self, path: Path) -> Iterator[mat.MatFile]:
        with mat.MatFile(path) as file:
            yield file

    def _signals(
        self, handle: mat.MatFile, header: TrialHeader
    ) -> tuple[np.ndarray[Any, Any], int]:
        rows = handle.read(header.key)[: len(self.channels)]
        return np.ascontiguousarray(rows * self._volts, dtype=np.float64), 0

    # features

    def _scan_features(
        self, root: Path, subjects: dict[str, int], log: ProblemLog
    ) -> list[TrialHeader]:
        self._files = files = _feature_files(root)
        self._cells = CellReader()
        headers: list[TrialHeader] = []
        for name, subject in subjects.items():
            there = [feature for feature in files if name in files[feature]]
            if not there:
                continue
            lacking = [feature for feature in files if feature not in there]
            path = files[there[0]][name]
            where = relative(path, self.folder)
            if lacking:
                log.warning(where, f"{name} lacks the features {', '.join(lacking)}.", _AGAIN)
            headers += self._cell_headers(subject, path, where, log)
        if self.options.label_names is None:
            log.note(
                relative(root, self.folder),
                "what the classes 0 to 6 of the label list mean is not documented, so emotions "
                "are missing.",
                "Give the option label_names: seven words, those of 0 to 6.",
            )
        log.note(
            relative(root, self.folder),
            f"windows are taken to be {self.options.window_s:g} s long; no file tells.",
            "Give the option window_s if you know better.",
        )
        return headers

    def _cell_headers(
        self, subject: int, path: Path, where: str, log: ProblemLog
    ) -> Iterator[TrialHeader]:
        try:
            index = self._cache.get(path, "cells", cells)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return
        for fault in index["faults"]:
            log.warning(where, f"{fault}.", "The arrays are complete; nothing needs to be done.")
        shapes = index["shapes"]
        if len(shapes) != len(catalogued.LABELS):
            log.error(
                where,
                f"{index['variable']} has {len(shapes)} cells; expected {len(catalogued.LABELS)}.",
                _AGAIN,
            )
            return
        n_rows, n_windows, n_columns = catalogued.FEATURE_SHAPE
        for row, (shape, code) in enumerate(zip(shapes, catalogued.LABELS, strict=True), start=1):
            if code == catalogued.UNUSED:
                continue
            if len(shape) != 3 or [shape[0], shape[2]] != [n_rows, n_columns] or shape[1] < 1:
                log.error(
                    where,
                    f"cell {row} has shape {tuple(shape)}; expected ({n_rows}, windows, "
                    f"{n_columns}).",
                    _AGAIN,
                )
                continue
            if shape[1] != n_windows and not self.simulated:
                log.warning(where, f"cell {row} has {shape[1]} windows instead of {n_windows}.")
            names = self.options.label_names
            yield TrialHeader(
                subject=subject,
                session=1,
                row=row,
                trial=None,
                clip_row=None,
                clip=Clip(clip=f"MPED/feature-{row:02d}"),
                file=where,
                key=f"cell {row}",
                n_channels=n_rows,
                duration_s=shape[1] * self.options.window_s,
                onset_s=0.0,
                sfreq=np.nan,
                emotion=None if names is None else names[code],
            )

    def _features(self) -> dict[str, FeatureInfo]:
        if self.form != "features":
            return {}  # which cell is of which raw trial is not known
        columns = tuple(str(k) for k in range(1, catalogued.FEATURE_SHAPE[2] + 1))
        return {
            name: FeatureInfo(
                name=name, window_s=self.options.window_s, bands=columns, scale=_SCALE
            )
            for name in self._files
        }

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        person = Path(header.file).stem.casefold()
        path = self._files[name].get(person)
        if path is None:
            raise FileFormatError(
                f"{self._roots['features'] / name}: lacks the file of {person}. {_AGAIN}"
            )
        index = self._cache.get(path, "cells", cells)
        self._cache.save()
        values = self._cells.read(path, index, header.row - 1)
        n_windows = round(header.duration_s / self.options.window_s)
        expected = (catalogued.FEATURE_SHAPE[0], n_windows, catalogued.FEATURE_SHAPE[2])
        if values.shape != expected:
            raise FileFormatError(
                f"{path}: cell {header.row} has shape {values.shape}, expected {expected} as in "
                f"{header.file}. {_AGAIN}"
            )
        # the file's axes are (electrodes, windows, columns)
        return np.array(values.transpose(1, 0, 2), dtype=np.float64, order="C")


def _raw_files(root: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield name, "d" or "dd", and path of the raw files in folders named after their person."""
    for folder in file_names(root):
        for file in file_names(root / folder):
            match = _RAW.fullmatch(file)
            if match is not None and match["name"].casefold() == folder.casefold():
                yield folder.casefold(), match["part"].casefold(), root / folder / file


def _feature_files(root: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each feature by the name of the person, both in a fixed order."""
    folders = {name.casefold(): root / name for name in file_names(root)}
    found: dict[str, dict[str, Path]] = {}
    for feature in catalogued.FEATURES:
        folder = folders.get(feature.casefold())
        files = file_names(folder) if folder is not None else []
        matches = [(match, name) for name in files if (match := _FEATURE.fullmatch(name))]
        if folder is not None and matches:
            found[feature] = {m["name"].casefold(): folder / name for m, name in matches}
    return found


def _holds_features(folder: Path) -> bool:
    return bool(_feature_files(folder))


def _variables(path: Path) -> dict[str, list[Any]]:
    return {name: [list(shape), kind] for name, (shape, kind) in mat.list_variables(path).items()}


def _unit(path: Path) -> str | None:
    """Return the unit that the first trial's numbers seem to have."""
    names = [name for name in mat.list_variables(path) if _VARIABLE.fullmatch(name)]
    n_channels = len(catalogued.FACTS.electrodes)
    with MatSlices(path, names[0]) as file:
        return measure_unit(file.part(0, min(file.shape[-1], _MEASURED))[:n_channels])


READER = MpedCorpus
