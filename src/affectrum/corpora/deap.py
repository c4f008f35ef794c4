"""DEAP: preprocessed for Python or MATLAB, or the original BioSemi recordings.

Preprocessed rows are in the order of the videos (Experiment_id), alike for all subjects; when each
was shown stands in participant_ratings.csv only. The original recordings are the other way round:
in the order of presentation, and the video of each trial is looked up in that file, never taken
from the position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import deap as catalogued
from affectrum.corpora import deap_original
from affectrum.corpora.base import Corpus
from affectrum.corpora.deap_ratings import Ratings, read_ratings
from affectrum.corpora.folders import file_names, find_file, find_folders, matching_files, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError
from affectrum.recordings import mat, pickles
from affectrum.recordings.biosemi import BdfFile

__all__ = ["READER", "DeapCorpus"]

_FOLDERS: Final = {
    "python": "data_preprocessed_python",
    "matlab": "data_preprocessed_matlab",
    "original": "data_original",
}
_SUFFIXES: Final = {"python": "dat", "matlab": "mat", "original": "bdf"}
_N_RATINGS: Final = len(catalogued.LABEL_COLUMNS)
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
# participant_ratings.csv has two decimals
_RATING_TOLERANCE: Final = 0.011
_EVENT_TOLERANCE_S: Final = 0.1


class DeapCorpus(Corpus):
    """Reader of DEAP; see `Corpus`.

    ``read`` returns the 32 electrodes in the order of the preprocessed files whatever the form;
    ``read_baseline`` the 3 s before the video.
    """

    name = "DEAP"
    forms = ("python", "matlab", "original")
    signal_forms = forms

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = find_folders(folder, _FOLDERS.values())
        forms = {form: found[name] for form, name in _FOLDERS.items() if name in found}
        if not forms:
            names = file_names(folder)
            for form, suffix in _SUFFIXES.items():
                if any(_file_name(suffix).fullmatch(name) for name in names):
                    forms[form] = folder
        return forms

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        ratings = self._ratings(root, log)
        headers: list[TrialHeader] = []
        pattern = _file_name(_SUFFIXES[self.form])
        for match, path in matching_files(root, pattern, log, self.folder):
            subject, where = int(match["subject"]), relative(path, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(where, f"DEAP has {self.facts.n_subjects} subjects.", "Move it away.")
                continue
            if ratings is not None and subject not in ratings:
                log.warning(
                    "participant_ratings.csv",
                    f"has no rows for subject {subject}.",
                    "Restore the vendor's file.",
                )
            rated = (ratings or {}).get(subject)
            if self.form == "original":
                headers += self._original(subject, path, where, rated, log)
            else:
                headers += self._preprocessed(subject, path, where, rated, log)
        return headers

    def _ratings(self, root: Path, log: ProblemLog) -> dict[int, Ratings] | None:
        name = "participant_ratings.csv"
        path = find_file(self.folder, name) or find_file(root.parent, name)
        if path is not None:
            return read_ratings(path, relative(path, self.folder), log)
        fix = "Copy metadata_csv/participant_ratings.csv from the vendor's archive."
        if self.form == "original":
            log.error(
                name,
                "missing: the original recordings are in the order of presentation, and only this "
                "file tells which video and which ratings belong to a trial.",
                fix,
            )
        else:
            log.warning(
                name,
                "missing: the order of presentation is unknown, so the column 'trial' is empty and "
                "protocols that take a subject's first trials can't be used.",
                fix,
            )
        return None

    # preprocessed

    def _preprocessed(
        self, subject: int, path: Path, where: str, rated: Ratings | None, log: ProblemLog
    ) -> list[TrialHeader]:
        compute = _python_header if self.form == "python" else _matlab_header
        try:
            header = self._cache.get(path, "header", compute)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        shape, labels = header["shape"], header["labels"]
        n_rows = self.facts.trials_per_session[0]
        n_channels = len(self.channels) + len(self.facts.auxiliary)
        n_baseline = round(self.facts.baseline_s * self.facts.sfreq)
        n_samples = shape[2] - n_baseline if len(shape) == 3 else 0
        if len(shape) != 3 or shape[:2] != [n_rows, n_channels] or n_samples < self.facts.sfreq:
            log.error(
                where,
                f"data has shape {tuple(shape)}; expected ({n_rows}, {n_channels}, more than "
                f"{n_baseline} + {self.facts.sfreq:g}).",
                _AGAIN,
            )
            return []
        if np.shape(labels) != (n_rows, _N_RATINGS):
            log.error(
                where,
                f"labels has shape {np.shape(labels)}; expected {(n_rows, _N_RATINGS)}.",
                _AGAIN,
            )
            return []
        expected = self.facts.n_samples[0][0] if self.facts.n_samples else shape[2]
        if shape[2] != expected and not self.simulated:
            log.warning(
                where,
                f"{shape[2]} samples per trial; {expected} are published.",
                "Was the file cut or resampled?",
            )
        values = np.asarray(labels, dtype=float)
        self._check_ratings(values, where, rated, log)
        return [
            TrialHeader(
                subject=subject,
                session=1,
                row=row,
                trial=None if rated is None else rated.trial_of(row),
                clip_row=row,
                file=where,
                key=str(row - 1),
                n_channels=len(self.channels),
                duration_s=n_samples / self.facts.sfreq,
                onset_s=self.facts.baseline_s,
                sfreq=self.facts.sfreq,
                ratings=dict(zip(catalogued.LABEL_COLUMNS, values[row - 1], strict=True)),
            )
            for row in range(1, n_rows + 1)
        ]

    def _check_ratings(
        self, labels: np.ndarray[Any, Any], where: str, rated: Ratings | None, log: ProblemLog
    ) -> None:
        lowest, highest = self.facts.ratings["valence"]
        outside = ~((labels >= lowest) & (labels <= highest))
        if outside.any():
            rows = sorted({int(row) + 1 for row in np.flatnonzero(outside.any(axis=1))})
            log.error(
                where,
                f"ratings outside {lowest:g} to {highest:g} or missing in rows {rows[:8]}.",
                _AGAIN,
            )
        elif rated is not None:
            apart = np.abs(labels - rated.by_video(len(labels)))
            rows = [int(row) + 1 for row in np.flatnonzero((apart > _RATING_TOLERANCE).any(axis=1))]
            if rows:
                log.error(
                    where,
                    f"its labels and participant_ratings.csv disagree in rows {rows[:8]}"
                    f"{' ...' if len(rows) > 8 else ''}: one of the two was re-ordered.",
                    "Restore both files from the vendor's archive.",
                )

    # original

    def _original(
        self, subject: int, path: Path, where: str, rated: Ratings | None, log: ProblemLog
    ) -> list[TrialHeader]:
        try:
            header = self._cache.get(path, "header", deap_original.read_header)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        n_rows = self.facts.trials_per_session[0]
        _, missing = deap_original.electrode_picks(header["names"], self.channels)
        if missing:
            log.error(where, f"lacks the electrodes {', '.join(missing)}.", _AGAIN)
            return []
        if header["status"] is None:
            log.error(
                where,
                "no channel holds the codes of the video starts (Status, or without a name).",
                _AGAIN,
            )
            return []
        starts, stops = header["starts"], header["stops"]
        if len(starts) != n_rows:
            log.error(
                where,
                f"{len(starts)} video starts (code {catalogued.EVENT_VIDEO_START}), expected "
                f"{n_rows}.",
                "The recording is cut, or its Status channel damaged. " + _AGAIN,
            )
            return []
        sfreq, n_samples = header["sfreq"], header["n_samples"]
        if sfreq != self.facts.raw_sfreq:
            log.warning(
                where,
                f"sampled at {sfreq:g} Hz; {self.facts.raw_sfreq:g} is published.",
                "Was the file resampled?",
            )
        headers = []
        for row, (start, stop) in enumerate(zip(starts, stops, strict=True), start=1):
            duration = self.facts.clips[0][0].duration_s or 60.0
            seconds = (stop - start) / sfreq
            # videos last whole seconds; the code at their end comes some milliseconds off
            if abs(seconds - round(seconds)) < _EVENT_TOLERANCE_S:
                seconds = float(round(seconds))
            end = start + round(min(seconds, duration) * sfreq)
            if end > n_samples or end - start < sfreq:
                log.error(where, f"trial {row} is cut: the recording ends too early.", _AGAIN)
                continue
            if end - start < round(duration * sfreq) - sfreq and not self.simulated:
                log.warning(
                    where,
                    f"trial {row} lasts {(end - start) / sfreq:.1f} s instead of {duration:g} s.",
                    "Look at its events.",
                )
            headers.append(
                TrialHeader(
                    subject=subject,
                    session=1,
                    row=row,
                    trial=row,
                    clip_row=None if rated is None else rated.video_of(row),
                    file=where,
                    key=str(start),
                    n_channels=len(self.channels),
                    duration_s=(end - start) / sfreq,
                    onset_s=start / sfreq,
                    sfreq=sfreq,
                    ratings=None if rated is None else rated.ratings_of(row),
                )
            )
        return headers

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        if self.form == "python":
            yield pickles.load(path, ["data"])["data"]
        elif self.form == "matlab":
            yield mat.load(path, ["data"])["data"]
        else:
            yield BdfFile(path)

    def _signals(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        n_before = round(self.facts.baseline_s * header.sfreq)
        if self.form == "original":
            start = int(header.key)
            n_before = min(n_before, start)
            picks, _ = deap_original.electrode_picks(handle.names, self.channels)
            stop = start + round(header.duration_s * header.sfreq)
            return handle.read(picks, start - n_before, stop), n_before
        rows = handle[int(header.key), : len(self.channels)]
        return np.array(rows, dtype=np.float64) * VOLTS_PER["uV"], n_before


def _file_name(suffix: str) -> re.Pattern[str]:
    return re.compile(rf"s(?P<subject>\d{{1,2}})\.{suffix}", re.IGNORECASE)


def _python_header(path: Path) -> dict[str, Any]:
    described = pickles.describe(path)
    if not isinstance(described, dict) or not {"data", "labels"} <= set(described):
        found = ", ".join(map(str, described)) if isinstance(described, dict) else "no dict"
        raise FileFormatError(f"{path}: expected a dict with 'data' and 'labels', found {found}.")
    shape = getattr(described["data"], "shape", None)
    if shape is None:
        raise FileFormatError(f"{path}: 'data' is no array.")
    labels = np.asarray(pickles.load(path, ["labels"])["labels"])
    return {"shape": list(shape), "labels": _numbers(labels, path)}


def _matlab_header(path: Path) -> dict[str, Any]:
    with mat.MatFile(path) as file:
        missing = [name for name in ("data", "labels") if name not in file.variables]
        if missing:
            found = ", ".join(list(file.variables)[:8]) or "no variable"
            raise FileFormatError(f"{path}: lacks {', '.join(missing)}; it holds {found}.")
        shape = list(file.variables["data"].shape)
        return {"shape": shape, "labels": _numbers(file.read("labels"), path)}


def _numbers(labels: np.ndarray[Any, Any], path: Path) -> Any:
    if labels.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: 'labels' holds no numbers.")
    return labels.astype(float).tolist()


READER = DeapCorpus
