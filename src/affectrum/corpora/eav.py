"""EAV: one array of all trials per subject, and a one-hot label beside it.

What no file says is asked for: the electrodes. The unit is measured unless it is given.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, field_validator

from affectrum import electrodes
from affectrum.catalog import CorpusFacts
from affectrum.catalog import eav as catalogued
from affectrum.corpora.base import Corpus
from affectrum.corpora.folders import file_names, relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER, measure_unit
from affectrum.errors import FileFormatError
from affectrum.recordings import mat
from affectrum.recordings.mat_slices import MatSlices
from affectrum.recordings.mat_unpack import Marks

__all__ = ["READER", "EavCorpus", "EavOptions"]

_FOLDER: Final = re.compile(r"subject(?P<subject>\d{1,3})_*", re.IGNORECASE)
_EEG: Final = re.compile(r"subject(?P<subject>\d{1,3})_*?_eeg\.mat", re.IGNORECASE)
_LABEL: Final = re.compile(r"subject(?P<subject>\d{1,3})_*?_eeg_label\.mat", re.IGNORECASE)
_VARIABLES: Final = ("seg1", "seg")  # in the order in which the authors' code looks for them
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_ASKED: Final = (
    "Give the option channels: the 30 electrodes in the order of the recording (ask the authors, "
    "or take them from the paper)."
)


class EavOptions(ReaderOptions):
    """What the reader of EAV has to be told."""

    channels: tuple[str, ...] | None = Field(
        default=None, description="The 30 electrodes in the order of the files' second axis."
    )
    unit: Literal["V", "mV", "uV", "nV"] | None = Field(
        default=None, description="Unit of the numbers; measured where it is not given."
    )
    listening: Literal["odd", "even"] = Field(
        default="odd",
        description="Which rows of the label, from 0, are listening (the others speaking).",
    )

    @field_validator("channels")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is None:
            return None
        canonical = electrodes.require_canonical(names)
        if len(set(canonical)) != catalogued.N_CHANNELS or len(names) != catalogued.N_CHANNELS:
            raise ValueError(
                f"expected {catalogued.N_CHANNELS} different electrodes, received {len(names)} "
                f"names of {len(set(canonical))} electrodes"
            )
        return tuple(canonical)


class EavCorpus(Corpus):
    """Reader of EAV; see `Corpus`.

    ``session_name`` is the task of a trial: listen or speak. Which conversation it was, and when,
    no file tells.
    """

    name = "EAV"
    forms = ("eeg",)
    signal_forms = forms
    Options = EavOptions
    options: EavOptions

    def _find_facts(self) -> CorpusFacts:
        facts = super()._find_facts()
        if self.options.channels is None:
            return facts
        names = self.options.channels
        return dataclasses.replace(facts, electrodes=names, electrodes_in_file=names)

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        level = [folder]
        for _ in range(3):
            for candidate in level:
                if any(True for _ in _recordings(candidate)):
                    return {"eeg": candidate}
            level = [top / name for top in level for name in file_names(top)]
        return {}

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        if self.options.channels is None:
            log.error(
                relative(root, self.folder),
                "no file names the 30 electrodes, nor does the authors' code.",
                _ASKED,
            )
            return []
        files: dict[int, Path] = {}
        for subject, path in _recordings(root):
            where = relative(path, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(where, f"EAV has {self.facts.n_subjects} subjects.", "Move it away.")
            elif subject in files:
                other = relative(files[subject], self.folder)
                log.error(where, f"subject {subject} stands in {other} already.", "Leave one.")
            else:
                files[subject] = path
        shapes = {
            subject: shape
            for subject, path in files.items()
            if (shape := self._shape(path, log)) is not None
        }
        # every recording's variable, and what reading it leaves behind for the next time
        self._arrays = {files[s]: (shape["name"], Marks()) for s, shape in shapes.items()}
        self._volts = self._volts_per_unit({s: files[s] for s in shapes}, shapes, log)
        if "listening" not in self.options.given():
            log.note(
                relative(root, self.folder),
                "no file tells which rows of the label are listening and which speaking; "
                "session_name takes the odd ones, counted from 0, for listening.",
                "Say listening: even if it is the other way round; emotions are the same.",
            )
        headers: list[TrialHeader] = []
        for subject, shape in shapes.items():
            headers += self._subject(subject, files[subject], shape, log)
        return headers

    def _shape(self, path: Path, log: ProblemLog) -> dict[str, Any] | None:
        """Return variable and shape of a recording, None with an error in the log."""
        where = relative(path, self.folder)
        try:
            variables = self._cache.get(path, "variables", _variables)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return None
        found = [name for name in _VARIABLES if len(variables.get(name, [[]])[0]) == 3]
        if not found:
            held = ", ".join(f"{n} {tuple(v[0])}" for n, v in list(variables.items())[:6])
            log.error(
                where,
                f"neither seg nor seg1 is an array of three axes; it holds {held or 'nothing'}.",
                _AGAIN,
            )
            return None
        if len(found) > 1:
            log.warning(where, "holds seg and seg1; seg1 was read, as the authors' code does.")
        shape, kind = variables[found[0]]
        if shape[1] != catalogued.N_CHANNELS or kind not in ("double", "single"):
            hint = " (axes are in another order)" if catalogued.N_CHANNELS in shape else ""
            log.error(
                where,
                f"{found[0]} is {kind} of shape {tuple(shape)}{hint}; expected double of "
                f"(samples, {catalogued.N_CHANNELS}, trials).",
                _AGAIN,
            )
            return None
        return {"name": found[0], "shape": shape}

    def _volts_per_unit(
        self, files: dict[int, Path], shapes: dict[int, dict[str, Any]], log: ProblemLog
    ) -> float:
        """Return volts per unit of the files, NaN with an error in the log."""
        if self.options.unit is not None:
            return VOLTS_PER[self.options.unit]
        units: dict[str | None, list[int]] = {}
        for subject, path in files.items():
            name = shapes[subject]["name"]
            try:
                unit = self._cache.get(path, f"unit of {name}", partial(_unit, name=name))
            except FileFormatError as error:
                log.error(relative(path, self.folder), str(error), _AGAIN)
                continue
            units.setdefault(unit, []).append(subject)
        if not units:
            return float("nan")
        if len(units) > 1 or None in units:
            told = "; ".join(
                f"{unit or 'can not be told'}: subjects {', '.join(map(str, subjects[:8]))}"
                for unit, subjects in units.items()
            )
            log.error(
                ".",
                f"no source says the unit, and how much the signals vary does not settle it "
                f"({told}).",
                "Give the option unit: V, mV, uV or nV.",
            )
            return float("nan")
        unit = next(iter(units))
        assert unit is not None
        log.note(
            ".",
            f"no source says the unit; by how much the signals vary it is {unit}.",
            "Give the option unit if you know better.",
        )
        return VOLTS_PER[unit]

    def _subject(
        self, subject: int, path: Path, found: dict[str, Any], log: ProblemLog
    ) -> Iterator[TrialHeader]:
        where = relative(path, self.folder)
        n_samples, _, n_trials = found["shape"]
        rows = self._label_rows(subject, path, n_trials, log)
        if rows is None:
            return
        expected = self.facts.n_samples[0][0] if self.facts.n_samples else n_samples
        if n_samples != expected and not self.simulated:
            log.warning(
                where,
                f"{n_samples} samples per trial; {expected} are published.",
                "Was the file cut or resampled?",
            )
        for position, row in enumerate(rows):
            emotion, task = catalogued.trial_class(row, self.options.listening)
            yield TrialHeader(
                subject=subject,
                session=1,
                row=position + 1,
                trial=None,
                clip_row=None,
                file=where,
                key=f"{found['name']} {position}",
                n_channels=len(self.channels),
                duration_s=n_samples / self.facts.sfreq,
                onset_s=0.0,
                sfreq=self.facts.sfreq,
                emotion=emotion,
                session_name=task,
            )

    def _label_rows(
        self, subject: int, path: Path, n_trials: int, log: ProblemLog
    ) -> list[int] | None:
        """Return the label's row of every trial, None with an error in the log."""
        names = [name for name in file_names(path.parent) if _LABEL.fullmatch(name)]
        if not names:
            log.error(
                relative(path.parent, self.folder),
                f"subject{subject}_eeg_label.mat is missing.",
                "Copy it from the vendor's archive.",
            )
            return None
        label = path.parent / names[0]
        where = relative(label, self.folder)
        try:
            rows: list[int] = self._cache.get(label, "rows", _rows)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return None
        if len(rows) != n_trials:
            log.error(
                where,
                f"labels of {len(rows)} trials; {path.name} holds {n_trials}.",
                "Restore both files from the vendor's archive.",
            )
            return None
        return rows

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[MatSlices]:
        name, marks = self._arrays[path]
        with MatSlices(path, name, marks) as handle:
            yield handle

    def _signals(self, handle: MatSlices, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        x = handle.slice(int(header.key.split()[1]))
        if x.ndim != 2:
            raise FileFormatError(
                f"{handle.path}: {handle.name} has shape {handle.shape}, no longer three axes. "
                "Open the corpus again."
            )
        return np.ascontiguousarray(x.T * self._volts), 0


def _recordings(root: Path) -> Iterator[tuple[int, Path]]:
    """Yield subject and recording of a folder with folders of subjects."""
    for name in file_names(root):
        match = _FOLDER.fullmatch(name)
        if match is None:
            continue
        for inner in file_names(root / name):
            if inner.casefold() != "eeg":
                continue
            for file in file_names(root / name / inner):
                if (found := _EEG.fullmatch(file)) is not None:
                    yield int(found["subject"]), root / name / inner / file


def _variables(path: Path) -> dict[str, list[Any]]:
    return {name: [list(shape), kind] for name, (shape, kind) in mat.list_variables(path).items()}


def _unit(path: Path, name: str) -> str | None:
    """Return the unit that the first trial's numbers seem to have."""
    with MatSlices(path, name) as file:
        return measure_unit(file.slice(0).T)


def _rows(path: Path) -> list[int]:
    """Return the row of each trial's one in a one-hot label."""
    with mat.MatFile(path) as file:
        label = file.read("label")
    if label.dtype.kind not in "fiub" or label.ndim != 2:
        raise FileFormatError(f"{path}: 'label' is no matrix of numbers.")
    n_rows = catalogued.N_LABEL_ROWS
    # the files have ten rows; the ReadMe speaks of ten columns
    rows = label if label.shape[0] == n_rows else label.T
    if rows.shape[0] != n_rows:
        raise FileFormatError(
            f"{path}: 'label' has shape {label.shape}; expected ({n_rows}, trials)."
        )
    if not (np.isin(rows, (0, 1)).all() and (rows.sum(axis=0) == 1).all()):
        wrong = np.flatnonzero((rows != 0).sum(axis=0) != 1)[:6] + 1
        raise FileFormatError(
            f"{path}: 'label' is not one-hot; every trial needs a single one (trials "
            f"{wrong.tolist()} and others have not)."
        )
    return [int(row) for row in rows.argmax(axis=0)]


READER = EavCorpus
