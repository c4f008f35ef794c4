"""What SEED-FRA and SEED-GER have in common: feature files, and recordings without trial times.

Features carry their labels, so they are read as they are. When a clip began in a raw recording
stands in no distributed file; there is one public list of times for each corpus. Recordings are
therefore cut only with times that the user gives, or accepts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np

from affectrum.corpora import cnt_trials
from affectrum.corpora.base import Corpus, FeatureInfo
from affectrum.corpora.folders import file_names, find_folders, matching_files, relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.seed_language_files import (
    BANDS,
    Run,
    assign,
    cut_windows,
    feature_header,
    read_part,
)
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError
from affectrum.recordings.cnt import CntFile

__all__ = ["SeedLanguageCorpus", "TimesOptions"]

Times = Sequence[tuple[float, float]]

_RAW: Final = re.compile(r"(?P<subject>\d{1,2})_(?P<session>[123])\.cnt", re.IGNORECASE)
_FEATURES: Final = re.compile(r"(?P<subject>\d{1,2})_(?P<session>[123])\.npz", re.IGNORECASE)
_RAW_FOLDER: Final = "01-EEG-raw"
_WINDOWS_S: Final = {"eeg_used_1s": 1.0, "eeg_used_4s": 4.0}
_SEARCH_DEPTH: Final = 3  # SEED_FRA/French/02-EEG-DE-feature/eeg_used_1s
# The trees of three corpora are alike; the word for the people tells them apart.
_LANGUAGES: Final = {
    "SEED-FRA": {"french", "france", "fra", "seedfra"},
    "SEED-GER": {"german", "germany", "ger", "seedger"},
    "SEED": {"chinese", "china", "chn"},
}
_LEVELS_UP: Final = 4
_FEATURE: Final = "de"
_SCALE: Final = (
    "the vendor's own, which no source states (logarithm and power): standardise before mixing "
    "with computed features"
)
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_GIVE_TIMES: Final = (
    "Give the option times: a list of [begin, end] in seconds, one per trial, or such a list for "
    "each file by its name, as {{'1_1': [...], '1_2': [...]}}{published}."
)


class TimesOptions(ReaderOptions):
    """When the clips of a session began and ended in the raw recordings.

    Parameters
    ----------
    times : list, dict or "published", optional
        [begin, end] of each trial in seconds, the same for all recordings; or such lists by
        recording ("1_2" for subject 1, session 2); or "published" to accept the one public list.
    """

    times: (
        Literal["published"]
        | tuple[tuple[float, float], ...]
        | dict[str, tuple[tuple[float, float], ...]]
        | None
    ) = None


class SeedLanguageCorpus(Corpus):
    """A SEED corpus of people of another language; see `Corpus`."""

    forms = ("features", "raw")
    signal_forms = ("raw",)
    Options = TimesOptions

    labels: ClassVar[tuple[int, ...]]
    """The published label of each trial."""
    public_times: ClassVar[Times | None]
    """The one public list of times; None where it contradicts the labels."""

    _last_part: tuple[Any, list[np.ndarray[Any, Any]]] | None = None
    _found_features: dict[str, Path] | None = None

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = find_folders(folder, _WINDOWS_S, _SEARCH_DEPTH, cls._is_own_features)
        forms: dict[str, Path] = {}
        for name in _WINDOWS_S:
            if name in found:
                forms.setdefault("features", found[name])
        raw = find_folders(folder, [_RAW_FOLDER], _SEARCH_DEPTH, cls._is_own_raw)
        if raw:
            forms["raw"] = raw[_RAW_FOLDER]
        return forms

    @classmethod
    def _is_own_features(cls, folder: Path) -> bool:
        names = [name for name in file_names(folder) if _FEATURES.fullmatch(name)]
        if not names:
            return False
        language = _language(folder)
        if language is not None:
            return language == cls.name
        try:
            return assign(feature_header(folder / names[0]), cls.labels) is not None
        except FileFormatError:
            return False

    @classmethod
    def _is_own_raw(cls, folder: Path) -> bool:
        if not any(_RAW.fullmatch(name) for name in file_names(folder)):
            return False
        language = _language(folder)
        if language is not None:
            return language == cls.name
        return bool(find_folders(folder.parent, _WINDOWS_S, accept=cls._is_own_features))

    def _refuse_published(self) -> str:
        """Return why the public times can't be used; empty if they can."""
        return ""

    def _compare_public(self, runs: list[Run], window_s: float) -> str:
        """Return what a file's windows say about the public times, for the user's choice."""
        return ""

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        headers: list[TrialHeader] = []
        if not self._times_are_usable(root, log):
            return headers
        pattern = _RAW if self.form == "raw" else _FEATURES
        seen: dict[tuple[int, int], str] = {}
        for match, path in matching_files(root, pattern, log, self.folder):
            subject, session = int(match["subject"]), int(match["session"])
            where = relative(path, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(
                    where,
                    f"{self.name} has {self.facts.n_subjects} subjects.",
                    "Is it another corpus's file? Move it away.",
                )
                continue
            if (subject, session) in seen:
                log.error(
                    where,
                    f"{seen[subject, session]} is of the same subject and session.",
                    "Leave the vendor's.",
                )
                continue
            seen[subject, session] = path.name
            read = self._raw_headers if self.form == "raw" else self._feature_headers
            headers += read(subject, session, path, log)
        return headers

    # times

    def _times_are_usable(self, root: Path, log: ProblemLog) -> bool:
        """Whether what the user said of the times lets the form be read; if not, log why."""
        times = self.options.model_dump()["times"]
        where = relative(root, self.folder)
        fix = _GIVE_TIMES.format(
            published="" if self._refuse_published() else ", or times: published"
        )
        if times is None:
            if self.form == "raw":
                log.error(
                    where,
                    "no file tells when a clip begins in a recording. "
                    + (
                        self._refuse_published()
                        or "There is one public list of times, which nobody confirmed; it is used "
                        "only if you accept it."
                    ),
                    fix + (" Or read the features." if "features" in self._roots else ""),
                )
            return self.form != "raw"
        if times == "published":
            reason = self._refuse_published()
            if reason:
                log.error(where, "the public times can't be used. " + reason, fix)
                return False
            log.note(where, "trials follow the one public list of times, which nobody confirmed.")
            return True
        lists = times if isinstance(times, dict) else {"": times}
        faults = [
            f"{name or 'times'}: {fault}"
            for name, pairs in lists.items()
            for fault in cnt_trials.faults_of_times(pairs, len(self.labels))
        ]
        for fault in faults:
            log.error(where, f"the option {fault}.", "Mend the times, or leave them out.")
        return not faults

    def _times_of(self, subject: int, session: int) -> Times | None:
        times: Any = self.options.model_dump()["times"]
        if times == "published":
            return self.public_times
        if isinstance(times, dict):
            found: Times | None = times.get(f"{subject}_{session}")
            return found
        given: Times | None = times
        return given

    def _trial(self, subject: int, session: int, row: int, **further: Any) -> TrialHeader:
        return TrialHeader(
            subject=subject,
            session=session,
            row=row,
            trial=row,
            clip_row=row,
            n_channels=len(self.channels),
            **further,
        )

    # raw recordings

    def _raw_headers(
        self, subject: int, session: int, path: Path, log: ProblemLog
    ) -> list[TrialHeader]:
        where = relative(path, self.folder)
        times = self._times_of(subject, session)
        if times is None:
            log.error(
                where,
                f"the option times has no list for {subject}_{session}.",
                "Add it, or move the file away to go on without.",
            )
            return []
        try:
            header = self._cache.get(path, "header", cnt_trials.read_header)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        sfreq = header["sfreq"]
        stretches = cnt_trials.cut(header, times, self.channels, self.facts.raw_sfreq, where, log)
        return [
            self._trial(
                subject,
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
        self, subject: int, session: int, path: Path, log: ProblemLog
    ) -> list[TrialHeader]:
        where = relative(path, self.folder)
        window_s = _WINDOWS_S[path.parent.name.casefold()]
        try:
            runs = assign(self._cache.get(path, "features", feature_header), self.labels)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        if runs is None:
            log.error(
                where,
                f"its labels do not follow the {len(self.labels)} published ones of {self.name}.",
                "Is it another corpus's file? " + _AGAIN,
            )
            return []
        times = self._times_of(subject, session)
        faults = [] if times is None else _contradictions(runs, times, window_s)
        if faults:
            log.error(
                where,
                f"contradicts the option times: {'; '.join(faults[:3])}.",
                "Mend the times, or leave them out.",
            )
            return []
        places = _split(runs, times, window_s)
        lost = [row for run in runs for row in run.rows if row not in places]
        if lost:
            self._left_out |= {(subject, session, row) for row in lost}
            log.warning(
                relative(path.parent, self.folder),
                f"neighbouring trials of one emotion ({', '.join(map(str, lost))}) can't be told "
                "apart in the features, and were left out." + self._compare_public(runs, window_s),
                _GIVE_TIMES.format(
                    published="" if self._refuse_published() else ", or times: published"
                ),
            )
        return [
            self._trial(
                subject,
                session,
                row,
                file=where,
                key=f"trial {row}",
                duration_s=n_windows * window_s,
                onset_s=0.0,
                sfreq=np.nan,
            )
            for row, (_, _, n_windows) in sorted(places.items())
        ]

    def _feature_roots(self) -> dict[str, Path]:
        """Return the folder of each feature by its name."""
        if self._found_features is None:
            found = (
                find_folders(self.folder, _WINDOWS_S, _SEARCH_DEPTH, self._is_own_features)
                if "features" in self._roots
                else {}
            )
            suffix = {"eeg_used_1s": "", "eeg_used_4s": "@4s"}
            self._found_features = {_FEATURE + suffix[n]: path for n, path in found.items()}
        return self._found_features

    def _features(self) -> dict[str, FeatureInfo]:
        return {
            name: FeatureInfo(
                name=name, window_s=_WINDOWS_S[path.name.casefold()], bands=BANDS, scale=_SCALE
            )
            for name, path in self._feature_roots().items()
        }

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        root = self._feature_roots()[name]
        path = root / f"{header.subject}_{header.session}.npz"
        runs = assign(self._cache.get(path, "features", feature_header), self.labels)
        window_s = _WINDOWS_S[root.name.casefold()]
        times = self._times_of(header.subject, header.session)
        places = {} if runs is None else _split(runs, times, window_s)
        if header.row not in places:
            raise FileFormatError(
                f"{path}: which windows belong to trial {header.row} can't be told. `affectrum "
                f"check {self.name}` explains it."
            )
        part, start, n_windows = places[header.row]
        return cut_windows(self._part(path, part), start, n_windows, path)

    def _part(self, path: Path, part: int) -> list[np.ndarray[Any, Any]]:
        """Return the bands of one part of a file; the last one is kept for its other trials."""
        try:
            status = path.stat()
        except OSError:
            return read_part(path, part)  # its error says what is wrong
        key = (path, part, status.st_mtime_ns, status.st_size)
        if self._last_part is None or self._last_part[0] != key:
            self._last_part = key, read_part(path, part)
        return self._last_part[1]


def _language(folder: Path) -> str | None:
    """Return the corpus that the nearest telling folder name stands for, None if none does."""
    places = [folder.absolute(), *folder.absolute().parents]
    for place in places[: _LEVELS_UP + 1]:
        said = set(re.findall("[a-z]+", place.name.casefold()))
        for name, words in _LANGUAGES.items():
            if said & words:
                return name
    return None


def _n_windows(pair: tuple[float, float], window_s: float) -> int:
    # times given as decimals: 3.9999999 windows are 4
    return int((pair[1] - pair[0]) / window_s + 1e-6)


def _contradictions(runs: list[Run], times: Times, window_s: float) -> list[str]:
    """Return where the lengths of trials are more than a window each off the file's."""
    faults = []
    for run in runs:
        expected = sum(_n_windows(times[row - 1], window_s) for row in run.rows)
        if abs(expected - run.n_windows) > len(run.rows):
            rows = " and ".join(map(str, run.rows))
            faults.append(f"trial {rows} should have {expected} windows and has {run.n_windows}")
    return faults


def _split(
    runs: list[Run], times: Times | None, window_s: float
) -> dict[int, tuple[int, int, int]]:
    """Return part, first window and number of windows of each trial that can be told."""
    places: dict[int, tuple[int, int, int]] = {}
    for run in runs:
        if len(run.rows) == 1:
            places[run.rows[0]] = (run.part, run.start, run.n_windows)
        elif times is not None:
            counts = [_n_windows(times[row - 1], window_s) for row in run.rows]
            if sum(counts) != run.n_windows:
                continue
            for place, (row, n_windows) in enumerate(zip(run.rows, counts, strict=True)):
                places[row] = (run.part, run.start + sum(counts[:place]), n_windows)
    return places
