"""THU-EP: one MATLAB v7.3 file per subject, with six bands of the last 30 s of each clip.

Only the broadband signal is read. The order of the 32 channels, the unit and the variables of the
files of ratings are not documented anywhere known, so the reader is told (`ThuEpOptions`),
measures, or refuses.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import field_validator, model_validator

from affectrum import electrodes
from affectrum.catalog import CorpusFacts, faced
from affectrum.catalog import thu_ep as catalogued
from affectrum.corpora.base import Corpus
from affectrum.corpora.folders import file_names, find_folders, matching_files, relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.thu_ep_ratings import read_ratings
from affectrum.corpora.units import VOLTS_PER, measure_unit
from affectrum.errors import FileFormatError
from affectrum.recordings.hdf5_slices import SlicedArray

__all__ = ["READER", "ThuEpCorpus", "ThuEpOptions"]

_FOLDER: Final = "EEG data"
_FILE: Final = re.compile(r"sub_(?P<subject>\d{1,2})\.mat", re.IGNORECASE)
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_EARS: Final = ("A1", "A2")
_N_VIDEOS: Final = catalogued.FACTS.trials_per_session[0]
_MAX_SAMPLES: Final = 60_000
_MEASURED_SAMPLES: Final = 1250
_CHANNELS_WHY: Final = (
    "the order of the 32 channels is not known: the ear electrodes A1 and A2 stand in rows 17 and "
    "18 by one source (as in FACED's first recordings), last by another."
)
_CHANNELS_FIX: Final = (
    "Ask the corpus's authors, then give the option 'channels' with all 32 names, for example "
    f"[{', '.join((*faced.ELECTRODES[:16], 'A1', 'A2', *faced.ELECTRODES[16:]))}] or "
    f"[{', '.join((*faced.ELECTRODES, *faced.EARS))}]."
)


class ThuEpOptions(ReaderOptions):
    """What the reader of THU-EP has to be told.

    Parameters
    ----------
    channels : list of str or None
        Names of the file's 32 channels in their order; A1 and A2 are left out of what is read.
    unit : str or None
        Unit of the numbers; measured where it is not given.
    rating_key : str or None
        Variable of ``ratings/sub1_rating.mat`` ... that holds the ratings, one row per stimulus
        in the order of the signals.
    rating_columns : list of str or None
        What its columns are, for example ``[joy, ..., arousal, valence]``; needed with
        `rating_key`.
    rating_scale : (float, float) or None
        Lowest and highest point of the scale; needed with `rating_key`.
    """

    channels: tuple[str, ...] | None = None
    unit: Literal["V", "mV", "uV", "nV"] | None = None
    rating_key: str | None = None
    rating_columns: tuple[str, ...] | None = None
    rating_scale: tuple[float, float] | None = None

    @field_validator("channels", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value

    @field_validator("channels")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        if len(value) != catalogued.N_CHANNELS:
            raise ValueError(f"{catalogued.N_CHANNELS} names are needed, {len(value)} were given")
        names = [
            name.strip().upper() if _is_ear(name) else electrodes.canonical(name) for name in value
        ]
        unknown = [name for name, known in zip(value, names, strict=True) if known is None]
        if unknown:
            raise ValueError(f"no electrodes: {', '.join(unknown)}")
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> ThuEpOptions:
        given = [self.rating_key, self.rating_columns, self.rating_scale]
        if any(part is not None for part in given) and any(part is None for part in given):
            raise ValueError("rating_key, rating_columns and rating_scale are needed together")
        if self.rating_scale is not None and self.rating_scale[0] >= self.rating_scale[1]:
            raise ValueError("rating_scale must be (lowest, highest)")
        names = self.rating_columns
        if names is not None and (
            len(set(names)) < len(names) or not all(re.fullmatch(r"[a-z_]+", n) for n in names)
        ):
            raise ValueError("rating_columns must be different names in small letters")
        return self


class ThuEpCorpus(Corpus):
    """Reader of THU-EP; see `Corpus` and, for what it has to be told, `ThuEpOptions`."""

    name = "THU-EP"
    forms = ("signals",)
    signal_forms = forms
    Options = ThuEpOptions
    options: ThuEpOptions

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = find_folders(folder, [_FOLDER], accept=_holds_files)
        if found:
            return {"signals": found[_FOLDER]}
        # a folder of another name is known by what its files are
        known = _holds_files(folder) and any(_is_hdf5(folder / n) for n in file_names(folder))
        return {"signals": folder} if known else {}

    def _find_facts(self) -> CorpusFacts:
        facts, told = super()._find_facts(), self.options
        if told.channels is not None:
            scalp = [name for name in told.channels if not _is_ear(name)]
            facts = dataclasses.replace(
                facts,
                electrodes=electrodes.require_canonical(scalp),
                electrodes_in_file=tuple(scalp),
                auxiliary=tuple(name for name in told.channels if _is_ear(name)),
            )
        if told.rating_columns is not None and told.rating_scale is not None:
            ratings = dict.fromkeys(told.rating_columns, told.rating_scale)
            facts = dataclasses.replace(facts, ratings=ratings)
        return facts

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        self._volts: dict[str, float] = {}
        if self.options.channels is None:
            log.error(relative(root, self.folder), _CHANNELS_WHY, _CHANNELS_FIX)
        ratings = read_ratings(root, self.folder, self.options, self._cache, log)
        headers: list[TrialHeader] = []
        measured: dict[str, list[str]] = {}
        seen: dict[int, str] = {}
        for match, path in matching_files(root, _FILE, log, self.folder):
            subject, where = int(match["subject"]), relative(path, self.folder)
            if seen.setdefault(subject, where) != where:
                log.error(where, f"a second file of the subject in {seen[subject]}.", "Leave one.")
                continue
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(where, f"THU-EP has {self.facts.n_subjects} subjects.", "Move it away.")
                continue
            if subject in catalogued.BAD_SUBJECTS:
                log.warning(
                    where,
                    "users of the corpus leave this subject out as bad.",
                    "Look at its signals, or move the file away.",
                )
            headers += self._file(subject, path, where, ratings.get(subject), measured, log)
        for unit, files in measured.items():
            log.note(
                files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
                f"no source says the unit; by how much the signals vary it is {unit}.",
                "If that is wrong, give the option 'unit'.",
            )
        # without their names the channels can't be returned
        return headers if self.options.channels is not None else []

    def _file(
        self,
        subject: int,
        path: Path,
        where: str,
        ratings: Any,
        measured: dict[str, list[str]],
        log: ProblemLog,
    ) -> Iterator[TrialHeader]:
        try:
            header = self._cache.get(path, "header", _header)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return
        shape = header["shape"]
        expected = [catalogued.N_CHANNELS, _N_VIDEOS, catalogued.N_BANDS]
        if shape[1:] != expected or not self.facts.sfreq <= shape[0] <= _MAX_SAMPLES:
            hint = " (the axes are in MATLAB's order)" if shape[::-1][1:] == expected else ""
            log.error(
                where,
                f"data has shape {tuple(shape)}{hint}; expected (7500, "
                f"{', '.join(map(str, expected))}).",
                _AGAIN,
            )
            return
        if shape[0] != 7500 and not self.simulated:
            log.warning(
                where,
                f"{shape[0]} samples per trial; 7500 are published.",
                "Was the file cut or resampled?",
            )
        unit = self.options.unit or header["measured"]
        if unit is None:
            log.error(
                where,
                "the unit of its numbers is not documented, and they do not vary like EEG in any "
                "unit.",
                "Give the option 'unit' (V, mV, uV or nV).",
            )
            return
        if self.options.unit is None:
            measured.setdefault(unit, []).append(where)
        self._volts[where] = VOLTS_PER[unit]
        for row in range(1, _N_VIDEOS + 1):
            yield TrialHeader(
                subject=subject,
                session=1,
                row=row,
                trial=None,
                clip_row=row,
                file=where,
                key=str(row - 1),
                n_channels=len(self.channels),
                duration_s=shape[0] / self.facts.sfreq,
                onset_s=0.0,
                sfreq=self.facts.sfreq,
                ratings=None if ratings is None else ratings[row],
            )

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[_Broadband]:
        with SlicedArray(path, catalogued.VARIABLE) as array:
            yield _Broadband(array)

    def _signals(self, handle: _Broadband, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        told = self.options.channels or ()
        picks = [row for row, name in enumerate(told) if not _is_ear(name)]
        values = handle.trial(int(header.key))[:, picks]
        return np.ascontiguousarray(values.T, dtype=np.float64) * self._volts[header.file], 0


class _Broadband:
    """The widest band of one file; all of it is decoded once when a second trial is asked for."""

    def __init__(self, array: SlicedArray) -> None:
        self.array = array
        self._all: np.ndarray[Any, Any] | None = None
        self._read_one = False

    def trial(self, row: int) -> np.ndarray[Any, Any]:
        """Return one stimulus, shape (samples, channels)."""
        everything = slice(None)
        if self._all is None and self._read_one:
            self._all = self.array.read(everything, everything, everything, catalogued.BROADBAND)
        if self._all is not None:
            return self._all[:, :, row]
        self._read_one = True
        return self.array.read(everything, everything, row, catalogued.BROADBAND)


def _is_ear(name: str) -> bool:
    return name.strip().upper() in _EARS


def _holds_files(folder: Path) -> bool:
    return any(_FILE.fullmatch(name) for name in file_names(folder))


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(520)
    except OSError:
        return False
    return _HDF5 in (head[:8], head[512:])


def _header(path: Path) -> dict[str, Any]:
    with SlicedArray(path, catalogued.VARIABLE) as array:
        header: dict[str, Any] = {"shape": list(array.shape), "measured": None}
        wanted = (catalogued.N_CHANNELS, _N_VIDEOS, catalogued.N_BANDS)
        if array.shape[1:] == wanted and array.shape[0] <= _MAX_SAMPLES:
            # some seconds from the middle tell units that are a factor of thousand apart
            middle = slice(array.shape[0] // 2, array.shape[0] // 2 + _MEASURED_SAMPLES)
            piece = array.read(middle, slice(None), _N_VIDEOS // 2, catalogued.BROADBAND)
            header["measured"] = measure_unit(piece.T)
    return header


READER = ThuEpCorpus
