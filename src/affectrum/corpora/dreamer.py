"""DREAMER: one .mat file that holds everything.

Its only variable is walked once, and where each array stands is remembered between runs. No file
says whether the cells of a person are in the order of the clips or of presentation. Every public
loader takes cell t as clip t, and so does this one, but the check says so, and compares what the
file itself tells: the cells' lengths, and four published mean ratings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from affectrum import electrodes
from affectrum.catalog import dreamer as catalogued
from affectrum.corpora.base import Corpus
from affectrum.corpora.folders import find_file, relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError
from affectrum.recordings.mat_stream import Index, Leaf, MatStream
from affectrum.recordings.mat_unpack import Marks

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["READER", "DreamerCorpus", "DreamerOptions"]

_VARIABLE: Final = "DREAMER"
_ARRAY: Final = re.compile(r"Data(?:\[(?P<subject>\d+)\])?\.EEG\.stimuli\[(?P<cell>\d+)\]")
_NUMBERS: Final = ("double", "single")
_AGAIN: Final = "Copy the file again from its source."
_SAY: Final = (
    "If you know it, say so with the option order: 'clip' or 'presentation'. Splits that keep "
    "clips apart hold either way as long as a cell is one clip for all people."
)
# Clips are equally long for everybody; recordings of them begin and end some samples off.
_LENGTH_TOLERANCE_S: Final = 1.0
_MEAN_TOLERANCE: Final = 0.0051  # published to two decimals


class DreamerOptions(ReaderOptions):
    """What DREAMER's reader can be told.

    Parameters
    ----------
    order : {"clip", "presentation"} or None
        What the order of a person's cells is; None for the loaders' assumption, clips.
    """

    order: Literal["clip", "presentation"] | None = None


class DreamerCorpus(Corpus):
    """Reader of DREAMER; see `Corpus`.

    ``read`` returns the clip with the headset's constant offset of some 4 mV, as recorded;
    ``read_baseline`` the 61 s before it, from an array of its own.
    """

    name = "DREAMER"
    forms = ("mat",)
    signal_forms = forms
    Options = DreamerOptions

    options: DreamerOptions
    _marks: Marks
    _leaves: dict[str, Leaf]
    _columns: list[int]

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        path = find_file(folder, catalogued.FILE)
        return {} if path is None else {"mat": path.parent}

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        self._marks, self._leaves, self._columns = Marks(), {}, []
        path = find_file(root, catalogued.FILE, depth=0)
        if path is None:
            return []
        where = relative(path, self.folder)
        try:
            index = Index.from_json(self._cache.get(path, "index", self._walk))
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        for fault in index.faults:
            log.warning(where, f"{fault}; all arrays in it are complete.", _AGAIN)
        found = self._arrays(index, where, log)
        sfreq = self._rate(index, where, log)
        if not found or not self._electrodes(index, where, log):
            return []
        self._compare_counts(index, found, where, log)
        ratings = {subject: self._ratings(index, subject, where, log) for subject in found}
        clips_known = self._order(found, ratings, where, log)
        in_order = self.options.order == "presentation"
        return [
            TrialHeader(
                subject=subject,
                session=1,
                row=row,
                trial=row if in_order else None,
                clip_row=row if clips_known else None,
                file=where,
                key=leaf.path,
                n_channels=len(self.channels),
                duration_s=leaf.shape[0] / sfreq,
                onset_s=0.0,
                sfreq=sfreq,
                ratings={name: values[row - 1] for name, values in ratings[subject].items()},
            )
            for subject, cells in sorted(found.items())
            for row, leaf in sorted(cells.items())
        ]

    def _walk(self, path: Path) -> Any:
        with MatStream(path, self._marks) as file:
            return file.index(_VARIABLE).to_json()

    # what the variable holds

    def _arrays(self, index: Index, where: str, log: ProblemLog) -> dict[int, dict[int, Leaf]]:
        """Return the array of each subject and row; those that can't be read go to the log."""
        found: dict[int, dict[int, Leaf]] = {}
        n_rows, n_channels = self.facts.trials_per_session[0], len(self.channels)
        for path, leaf in index.leaves.items():
            match = _ARRAY.fullmatch(path)
            if match is None:
                continue
            subject, row = int(match["subject"] or 0) + 1, int(match["cell"]) + 1
            if subject > self.facts.n_subjects or row > n_rows:
                log.error(
                    where,
                    f"{path}: DREAMER has {self.facts.n_subjects} people and {n_rows} clips.",
                    "Is it the vendor's file? " + _AGAIN,
                )
                continue
            if 0 in leaf.shape:
                continue  # an empty cell; what is missing is listed by the check
            if self._usable(leaf, self.facts.sfreq, where, log):
                found.setdefault(subject, {})[row] = leaf
                self._leaves[path] = leaf
                self._add_baseline(index, path, where, log)
        if not found:
            names = dict.fromkeys(re.split(r"[.\[]", path)[0] for path in index.leaves)
            log.error(
                where,
                f"no arrays Data[...].EEG.stimuli[...] of samples by {n_channels} electrodes; the "
                f"variable holds {', '.join(list(names)[:8]) or 'nothing'}.",
                _AGAIN,
            )
        return found

    def _usable(self, leaf: Leaf, shortest: float, where: str, log: ProblemLog) -> bool:
        n_channels, shape = len(self.channels), tuple(leaf.shape)
        if leaf.matlab_class not in _NUMBERS or len(shape) != 2 or shape[1] != n_channels:
            swapped = " (samples and electrodes are swapped)" if shape[0] == n_channels else ""
            log.error(
                where,
                f"{leaf.path} is {leaf.matlab_class} of shape {shape}{swapped}; expected double of "
                f"(samples, {n_channels}).",
                _AGAIN,
            )
            return False
        if shape[0] < shortest:
            log.error(where, f"{leaf.path} is shorter than a second.", _AGAIN)
            return False
        gaps = sum(count for _, count in leaf.gaps)
        if gaps:
            log.warning(
                where,
                f"{leaf.path} holds {gaps} samples that are NaN or infinite.",
                "Windows that hold such samples are left out. The vendor's file is not known to "
                "have any: copy it again.",
            )
        return True

    def _add_baseline(self, index: Index, path: str, where: str, log: ProblemLog) -> None:
        name = _baseline_of(path)
        leaf = index.leaves.get(name)
        if leaf is None or 0 in leaf.shape:
            log.warning(where, f"{name} is missing: the trial has no baseline.", _AGAIN)
        elif self._usable(leaf, 1, where, log):
            self._leaves[name] = leaf
            expected = round(self.facts.baseline_s * self.facts.sfreq)
            if leaf.shape[0] != expected and not self.simulated:
                log.warning(
                    where,
                    f"{name} has {leaf.shape[0]} samples; {expected} are published.",
                    "Was the file cut or resampled?",
                )

    def _rate(self, index: Index, where: str, log: ProblemLog) -> float:
        value = _number(index, "EEG_SamplingRate")
        if value is None or not value > 0:
            log.warning(
                where, f"EEG_SamplingRate is missing; {self.facts.sfreq:g} Hz is taken.", _AGAIN
            )
            return self.facts.sfreq
        if value != self.facts.sfreq:
            log.warning(
                where,
                f"sampled at {value:g} Hz; {self.facts.sfreq:g} is published.",
                "Was the file resampled?",
            )
        return value

    def _electrodes(self, index: Index, where: str, log: ProblemLog) -> bool:
        """Find the column of each electrode by the names in the file."""
        names = [
            str(leaf.value[0]).strip()
            for path, leaf in index.leaves.items()
            if path.startswith("EEG_Electrodes[") and leaf.matlab_class == "char" and leaf.value
        ]
        if not names:
            log.warning(where, "EEG_Electrodes is missing; the published order is taken.", _AGAIN)
            self._columns = list(range(len(self.channels)))
            return True
        canonical = [electrodes.canonical(name) or name for name in names]
        if sorted(canonical) != sorted(self.channels):
            log.error(
                where,
                f"EEG_Electrodes names {', '.join(names)}; expected {', '.join(self.channels)}.",
                _AGAIN,
            )
            return False
        self._columns = [canonical.index(name) for name in self.channels]
        if canonical != list(self.channels):
            log.note(where, "the electrodes are in another order than published; names were taken.")
        return True

    def _compare_counts(
        self, index: Index, found: Mapping[int, Any], where: str, log: ProblemLog
    ) -> None:
        told = _number(index, "noOfSubjects")
        if told is not None and told != len(found):
            log.warning(
                where,
                f"noOfSubjects is {told:g}, but {len(found)} people have signals.",
                _AGAIN,
            )

    def _ratings(
        self, index: Index, subject: int, where: str, log: ProblemLog
    ) -> dict[str, list[float]]:
        """Return one value per row; what is missing or not on the scale is NaN."""
        n_rows = self.facts.trials_per_session[0]
        ratings = {}
        for name, (low, high) in self.facts.ratings.items():
            field = f"Score{name.title()}"
            leaf = index.leaves.get(f"Data[{subject - 1}].{field}") or index.leaves.get(
                f"Data.{field}"
            )
            values = np.full(n_rows, np.nan)
            given = np.ravel([] if leaf is None or leaf.value is None else leaf.value)
            if given.dtype.kind in "fiu" and given.size == n_rows:
                on_scale = (given >= low) & (given <= high)
                values[on_scale] = given[on_scale]
            if np.isnan(values).any():
                rows = [int(row) + 1 for row in np.flatnonzero(np.isnan(values))]
                log.error(
                    where,
                    f"subject {subject}: {field} is missing or outside {low:g} to {high:g} in rows "
                    f"{rows[:8]}{' ...' if len(rows) > 8 else ''}.",
                    _AGAIN,
                )
            ratings[name] = values.tolist()
        return ratings

    # which clip a cell is

    def _order(
        self,
        found: Mapping[int, Mapping[int, Leaf]],
        ratings: Mapping[int, Mapping[str, list[float]]],
        where: str,
        log: ProblemLog,
    ) -> bool:
        """Whether cell t is taken as clip t."""
        if self.options.order is not None:
            return self.options.order == "clip"
        for row in range(1, self.facts.trials_per_session[0] + 1):
            lengths = [cells[row].shape[0] for cells in found.values() if row in cells]
            apart = (max(lengths) - min(lengths)) / self.facts.sfreq if lengths else 0.0
            if apart > _LENGTH_TOLERANCE_S:
                log.warning(
                    where,
                    f"cell {row} differs in length between people by {apart:.1f} s, so it is not "
                    "the same clip for all of them: the column 'clip' is left empty.",
                    "Say what the order of the cells is with the option order: 'clip' or "
                    "'presentation'.",
                )
                return False
        alike = " Cells of one number are equally long for all people." if len(found) > 1 else ""
        assumed = "cell t is taken as clip t, as every public loader does; no file documents it."
        assumed += alike
        if self.simulated or len(found) < self.facts.n_subjects:
            log.note(where, assumed, _SAY)
            return True
        wrong = [
            f"{rating} of clip {row} is {mean:.2f}, published {published:.2f}"
            for row, means in catalogued.MEAN_RATINGS.items()
            for rating, published in means.items()
            for mean in [float(np.mean([person[rating][row - 1] for person in ratings.values()]))]
            if not abs(mean - published) < _MEAN_TOLERANCE
        ]
        if wrong:
            log.warning(
                where,
                "cells are not in the order of the clips, as far as their mean ratings tell: "
                f"{'; '.join(wrong)}. The column 'clip' is left empty.",
                _SAY,
            )
            return False
        log.note(
            where,
            "cell t is clip t: the mean ratings of cells "
            f"{', '.join(map(str, catalogued.MEAN_RATINGS))} are the published ones of these "
            "clips.",
        )
        return True

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[MatStream]:
        with MatStream(path, self._marks) as file:
            yield file

    def _signals(self, handle: MatStream, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        return self._volts(handle, self._leaves[header.key]), 0

    def _volts(self, handle: MatStream, leaf: Leaf) -> np.ndarray[Any, Any]:
        values = handle.read(_VARIABLE, leaf).T
        if self._columns != list(range(len(values))):
            values = values[self._columns]
        volts: np.ndarray[Any, Any] = np.multiply(
            values, VOLTS_PER["uV"], dtype=np.float64, order="C"
        )
        return volts

    def read_baseline(self, trial: pd.Series | Mapping[str, Any]) -> np.ndarray[Any, Any] | None:
        """See `Corpus.read_baseline`; the baseline is an array of its own here."""
        header = self._header(trial)
        leaf = self._leaves.get(_baseline_of(header.key))
        if leaf is None:
            return None
        with self._open(self.folder / header.file) as handle:
            return self._volts(handle, leaf)


def _baseline_of(path: str) -> str:
    return path.replace(".stimuli[", ".baseline[")


def _number(index: Index, path: str) -> float | None:
    """Return a scalar, None if there is none."""
    leaf = index.leaves.get(path)
    values = np.ravel([] if leaf is None or leaf.value is None else leaf.value)
    return float(values[0]) if values.size == 1 and values.dtype.kind in "fiu" else None


READER = DreamerCorpus
