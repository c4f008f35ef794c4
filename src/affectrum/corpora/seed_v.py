"""SEED-V: three sets of 15 clips, raw recordings or differential entropy.

The number in a raw file's name is the set of clips that was shown, and gives the labels. It is not
the order of recording, which only the date in the name tells: several people saw set 3 before set
2. In the trial table `session` counts by date and `session_name` is the set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import seed_v as catalogued
from affectrum.corpora import cnt_trials, seed_v_files
from affectrum.corpora.base import Corpus, FeatureInfo
from affectrum.corpora.folders import file_names, find_file, find_folders, matching_files, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.seed_v_files import Times
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError
from affectrum.recordings.cnt import CntFile
from affectrum.recordings.npz import NpzFile

__all__ = ["READER", "SeedVCorpus"]

_RAW: Final = re.compile(r"(?P<subject>\d{1,2})_(?P<set>[123])_(?P<date>\d{8})\.cnt", re.IGNORECASE)
_FEATURES: Final = re.compile(r"(?P<subject>\d{1,2})_123\.npz", re.IGNORECASE)
_TIMES_FILE: Final = "trial_start_end_timestamp.txt"
_WINDOW_S: Final = 4.0
_BANDS: Final = ("delta", "theta", "alpha", "beta", "gamma")
_FEATURE: Final = "de"
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_SCALE: Final = (
    "the vendor's own, which no source states (logarithm and power): standardise before mixing "
    "with computed features"
)


class SeedVCorpus(Corpus):
    """Reader of SEED-V; see `Corpus`."""

    name = "SEED-V"
    forms = ("raw", "features")
    signal_forms = ("raw",)

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        named = {"raw": ("EEG_raw", _RAW), "features": ("EEG_DE_features", _FEATURES)}
        forms = {}
        for form, (name, pattern) in named.items():
            found = find_folders(folder, [name], accept=partial(_holds, pattern=pattern))
            if found:
                forms[form] = found[name]
        if not forms and _holds(folder, _RAW):
            forms["raw"] = folder
        if not forms and _holds(folder, _FEATURES) and _is_eeg(folder):
            forms["features"] = folder
        return forms

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        by_subject: dict[int, dict[int, tuple[str, Path]]] = {}
        pattern = _RAW if self.form == "raw" else _FEATURES
        for match, path in matching_files(root, pattern, log, self.folder, (_TIMES_FILE,)):
            subject, where = int(match["subject"]), relative(path, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(
                    where, f"SEED-V has {self.facts.n_subjects} subjects.", "Move the file away."
                )
                continue
            sets = by_subject.setdefault(subject, {})
            if self.form == "features":
                sets.update(dict.fromkeys((1, 2, 3), ("", path)))
                continue
            number = int(match["set"])
            if number in sets:
                log.error(
                    where,
                    f"subject {subject} has a second recording of set {number}: "
                    f"{sets[number][1].name}.",
                    "Leave the vendor's.",
                )
                continue
            sets[number] = match["date"], path
        sessions = {
            subject: self._sessions(subject, sets, log) for subject, sets in by_subject.items()
        }
        self._tell_order(sessions, log)
        headers: list[TrialHeader] = []
        if self.form == "features":
            for subject, sets in sorted(by_subject.items()):
                headers += self._feature_headers(subject, sets[1][1], sessions[subject], log)
            return headers
        times = self._times(log)
        for subject, sets in sorted(by_subject.items()):
            for number, (_, path) in sorted(sets.items()):
                if number in times:
                    session = sessions[subject][number]
                    headers += self._raw_headers(subject, number, session, path, times, log)
        return headers

    def _sessions(
        self, subject: int, sets: Mapping[int, tuple[str, Path]], log: ProblemLog
    ) -> dict[int, int]:
        """Return the session (order of recording, from 1) of each set."""
        dates = {number: date for number, (date, _) in sets.items()}
        published = {number: catalogued.DATES[number - 1][subject - 1] for number in (1, 2, 3)}
        if self.form == "features" or all(dates[n] == published[n] for n in dates):
            order = catalogued.recording_order(subject)
            return {number: order.index(number) + 1 for number in sets}
        where = relative(next(path for _, path in sets.values()).parent, self.folder)
        if len(sets) < self.facts.n_sessions:
            log.warning(
                where,
                f"subject {subject} has {len(sets)} recordings whose dates are not the published "
                "ones: their sessions were counted in the order of the dates, but one may be "
                "missing.",
                "Keep the vendor's file names.",
            )
        if len(set(dates.values())) < len(dates):
            log.warning(
                where,
                f"subject {subject} has two recordings of one date: which came first is not "
                "known; the lower set was taken.",
                "Keep the vendor's file names.",
            )
        order = tuple(sorted(dates, key=lambda number: (dates[number], number)))
        return {number: order.index(number) + 1 for number in sets}

    def _tell_order(self, sessions: Mapping[int, Mapping[int, int]], log: ProblemLog) -> None:
        others = [
            subject
            for subject, order in sorted(sessions.items())
            if any(order[number] != rank for rank, number in enumerate(sorted(order), start=1))
        ]
        if others:
            log.note(
                relative(self._roots[self.form], self.folder),
                f"{len(others)} subjects saw the sets in another order than their numbers: "
                f"{', '.join(map(str, others))}.",
                "The column 'session' is the order of recording, 'session_name' the set.",
            )

    def _trial(
        self, subject: int, number: int, session: int, row: int, **further: Any
    ) -> TrialHeader:
        return TrialHeader(
            subject=subject,
            session=session,
            row=row,
            trial=row,
            clip_row=None,  # the catalogue counts by set, not by order of recording
            clip=self.facts.clips[number - 1][row - 1],
            n_channels=len(self.channels),
            session_name=self.facts.session_names[number - 1],
            **further,
        )

    # raw recordings

    def _times(self, log: ProblemLog) -> Times:
        """Return begin and end of the clips by set: the file's, else the published ones."""
        published: Times = {
            number: [(float(a), float(b)) for a, b in zip(starts, ends, strict=True)]
            for number, (starts, ends) in enumerate(
                zip(catalogued.START_S, catalogued.END_S, strict=True), start=1
            )
        }
        path = find_file(self.folder, _TIMES_FILE, depth=1) or find_file(
            self._roots["raw"].parent, _TIMES_FILE, depth=1
        )
        if path is None:
            log.note(_TIMES_FILE, "missing; the clips' times come from the catalogue.")
            return published
        where = relative(path, self.folder)
        fix = "Restore the vendor's file, or move it away to use the catalogue's times."
        try:
            found = seed_v_files.read_times(path)
        except FileFormatError as error:
            log.error(where, str(error), fix)
            return {}
        times: Times = {}
        for number in (1, 2, 3):
            if number not in found:
                log.error(where, f"has no times of set {number}.", fix)
                continue
            faults = cnt_trials.faults_of_times(
                found[number], self.facts.trials_per_session[number - 1]
            )
            if faults:
                log.error(where, f"set {number}: {'; '.join(faults)}.", fix)
                continue
            times[number] = found[number]
            if found[number] != published[number] and not self.simulated:
                rows = [
                    row
                    for row, pair in enumerate(found[number], start=1)
                    if pair != published[number][row - 1]
                ]
                log.warning(
                    where,
                    f"set {number}: its times of trials {', '.join(map(str, rows))} are not the "
                    "published ones; the file's were taken.",
                    fix,
                )
        return times

    def _raw_headers(
        self, subject: int, number: int, session: int, path: Path, times: Times, log: ProblemLog
    ) -> list[TrialHeader]:
        where = relative(path, self.folder)
        try:
            header = self._cache.get(path, "header", cnt_trials.read_header)
        except FileFormatError as error:
            if path.name == catalogued.UNREADABLE_FILE:
                log.warning(
                    where,
                    f"{error} One project reports this very file as unreadable; its trials were "
                    "left out.",
                    "Its features can be read: subject 7, set 1 of EEG_DE_features.",
                )
            else:
                log.error(where, str(error), _AGAIN)
            return []
        sfreq = header["sfreq"]
        stretches = cnt_trials.cut(
            header, times[number], self.channels, self.facts.raw_sfreq, where, log
        )
        return [
            self._trial(
                subject,
                number,
                session,
                row,
                file=where,
                key=str(start),
                duration_s=(stop - start) / sfreq,
                onset_s=start / sfreq,
                sfreq=sfreq,
            )
            for row, start, stop in stretches
        ]

    @contextmanager
    def _open(self, path: Path) -> Iterator[CntFile]:
        yield CntFile(path)

    def _signals(self, handle: CntFile, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        n_samples = round(header.duration_s * header.sfreq)
        return cnt_trials.read_stretch(handle, self.channels, int(header.key), n_samples), 0

    # features

    def _feature_headers(
        self, subject: int, path: Path, sessions: Mapping[int, int], log: ProblemLog
    ) -> list[TrialHeader]:
        where = relative(path, self.folder)
        try:
            header = self._cache.get(path, "features", seed_v_files.feature_header)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        headers = []
        n_rows = self.facts.trials_per_session[0]
        unexpected = []
        for index in range(self.facts.n_sessions * n_rows):
            number, row = index // n_rows + 1, index % n_rows + 1
            shape, labels = header["shapes"].get(str(index)), header["labels"].get(str(index))
            if shape is None:
                continue
            if len(shape) != 2 or shape[1] != catalogued.N_FEATURES or shape[0] < 1:
                log.error(
                    where,
                    f"trial {index} has shape {tuple(shape)}; expected (windows, "
                    f"{catalogued.N_FEATURES}).",
                    _AGAIN,
                )
                continue
            code = catalogued.LABELS[number - 1][row - 1]
            if labels != [[code], shape[0]]:
                log.error(
                    where,
                    f"trial {index} has {shape[0]} windows and the labels {labels}; the published "
                    f"label of set {number}, trial {row} is {code}.",
                    "The file is not the vendor's, or its trials were re-ordered. " + _AGAIN,
                )
                continue
            if shape[0] != catalogued.WINDOWS_4S[number - 1][row - 1]:
                unexpected.append(index)
            headers.append(
                self._trial(
                    subject,
                    number,
                    sessions[number],
                    row,
                    file=where,
                    key=str(index),
                    duration_s=shape[0] * _WINDOW_S,
                    onset_s=0.0,
                    sfreq=np.nan,
                )
            )
        if unexpected and not self.simulated:
            log.warning(
                where,
                f"trials {', '.join(map(str, unexpected[:8]))}"
                f"{' ...' if len(unexpected) > 8 else ''} have other numbers of windows than fit "
                "into the published times.",
                "Was the file changed? The file's windows were taken.",
            )
        return headers

    def _features(self) -> dict[str, FeatureInfo]:
        if "features" not in self._roots:
            return {}
        info = FeatureInfo(name=_FEATURE, window_s=_WINDOW_S, bands=_BANDS, scale=_SCALE)
        return {_FEATURE: info}

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        path = self._roots["features"] / f"{header.subject}_123.npz"
        if self.form == "features":
            path = self.folder / header.file
        number = self.facts.session_names.index(str(header.session_name))
        index = number * self.facts.trials_per_session[0] + header.row - 1
        with NpzFile(path) as file:
            values = np.asarray(file.read_pickled("data", [index])[index])
        if values.ndim != 2 or values.shape[1] != catalogued.N_FEATURES or values.dtype.kind != "f":
            raise FileFormatError(
                f"{path}: trial {index} is {values.dtype} of shape {values.shape}; expected "
                f"(windows, {catalogued.N_FEATURES}). Copy the file again."
            )
        # the columns run electrode by electrode, the bands of each side by side
        split = values.reshape(len(values), len(self.channels), len(_BANDS))
        return np.ascontiguousarray(split, dtype=np.float64)


def _holds(folder: Path, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(name) for name in file_names(folder))


def _is_eeg(folder: Path) -> bool:
    """Whether a folder's files hold EEG: eye movements are stored under the same names."""
    name = next(name for name in file_names(folder) if _FEATURES.fullmatch(name))
    try:
        shapes = seed_v_files.feature_header(folder / name)["shapes"]
    except FileFormatError:
        return False
    return any(len(shape) == 2 and shape[1] == catalogued.N_FEATURES for shape in shapes.values())


READER = SeedVCorpus
