"""SEED-VII: preprocessed signals, shipped features, or the raw recordings.

A preprocessed or feature file holds a subject's four sessions: variables "1" to "80", twenty per
session. A raw recording holds one session, cut by its triggers, except for two whose triggers are
wrong: these are cut by the times in save_info, as their authors did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import seed_vii as catalogued
from affectrum.corpora import cnt_trials
from affectrum.corpora.base import Corpus, FeatureInfo
from affectrum.corpora.folders import file_names, find_folders, matching_files, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.seed_vii_info import SUBJECT_FILE, SideFiles, variables_of
from affectrum.corpora.seed_vii_raw import RECORDING, RawSessions, SeedVIIOptions
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError
from affectrum.recordings import mat
from affectrum.recordings.cnt import CntFile

__all__ = ["READER", "ContinuousLabels", "SeedVIICorpus"]

_FOLDERS: Final = {
    "preprocessed": "EEG_preprocessed",
    "raw": "EEG_raw",
    "features": "EEG_features",
}
_FEATURE: Final = re.compile(r"(de|de_LDS|psd)_(\d{1,3})")
_BANDS: Final = ("delta", "theta", "alpha", "beta", "gamma")
_WINDOW_S: Final = 4.0
_SCALES: Final = {
    "de": "log2(100 * psd), not nats: standardise before mixing with computed features",
    "psd": "mean squared modulus of a Hann-windowed FFT of microvolts, the vendor's own",
}
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."


@dataclass(frozen=True, kw_only=True)
class ContinuousLabels:
    """How strong the person said the emotion was during one trial.

    Parameters
    ----------
    values : ndarray, shape (n_points,)
        From 0 to 1 as the corpus documents them, in the file's order.
    step_s : float or None
        Seconds between points: 4 where there is one for each whole window of 4 s, as public
        loaders take it; None where the number of points is another, since no file tells the rate.
    """

    values: np.ndarray[Any, Any]
    step_s: float | None


class SeedVIICorpus(Corpus):
    """Reader of SEED-VII; see `Corpus`.

    `continuous_labels` reads the report that a person gave with a mouse wheel.
    """

    name = "SEED-VII"
    forms = ("preprocessed", "raw", "features")
    signal_forms = ("preprocessed", "raw")
    Options = SeedVIIOptions
    options: SeedVIIOptions

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = find_folders(folder, _FOLDERS.values(), accept=_holds_own_files)
        forms = {form: found[name] for form, name in _FOLDERS.items() if name in found}
        if not forms and (form := _form_by_content(folder)):
            forms[form] = folder
        return forms

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        self._beside = SideFiles(self.folder, root, self._cache, log)
        self._beside.check_label_list(log)
        self._beside.check_continuous(log)
        if self.form == "raw":
            times = self.options.times
            return RawSessions(self.folder, times, self._cache, self._beside).scan(root, log)
        return self._scan_subjects(root, log)

    # preprocessed signals and features: one file per subject

    def _scan_subjects(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        headers: list[TrialHeader] = []
        for match, path in matching_files(root, SUBJECT_FILE, log, self.folder):
            subject, where = int(match["subject"]), relative(path, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(where, f"SEED-VII has {self.facts.n_subjects} subjects.", "Move it away.")
                continue
            try:
                variables = self._cache.get(path, "variables", variables_of)
            except FileFormatError as error:
                log.error(where, str(error), _AGAIN)
                continue
            if self.form == "features":
                lengths = self._windows(where, variables, log)
            else:
                lengths = self._samples(where, variables, log)
            for video, seconds in sorted(lengths.items()):
                headers.append(self._header_of(subject, video, where, seconds))
        return headers

    def _header_of(self, subject: int, video: int, where: str, seconds: float) -> TrialHeader:
        session, position = divmod(video - 1, catalogued.N_TRIALS)
        row = position + 1
        return TrialHeader(
            subject=subject,
            session=session + 1,
            row=row,
            trial=row,
            clip_row=row,
            file=where,
            key=str(video),
            n_channels=len(self.channels),
            duration_s=seconds,
            onset_s=0.0,
            sfreq=np.nan if self.form == "features" else self.facts.sfreq,
            ratings=self._beside.reported(subject, session + 1, row),
        )

    def _samples(self, where: str, variables: Any, log: ProblemLog) -> dict[int, float]:
        """Return the seconds of each video in a file of signals."""
        n_channels, sfreq = len(self.channels), self.facts.sfreq
        seconds: dict[int, float] = {}
        broken = []
        for name, (shape, kind) in variables.items():
            if not name.isdecimal():
                continue
            if not 1 <= int(name) <= sum(self.facts.trials_per_session):
                log.error(where, f"variable {name}: SEED-VII has 80 videos.", _AGAIN)
            elif kind not in ("double", "single") or len(shape) != 2 or shape[0] != n_channels:
                swapped = len(shape) == 2 and shape[1] == n_channels
                hint = " (channels and samples are swapped)" if swapped else ""
                log.error(
                    where,
                    f"variable {name} is {kind} of shape {tuple(shape)}{hint}; expected numbers "
                    f"of ({n_channels}, samples).",
                    _AGAIN,
                )
            elif shape[1] < sfreq:
                log.error(where, f"variable {name} is shorter than a second.", _AGAIN)
            else:
                seconds[int(name)] = shape[1] / sfreq
                if shape[1] % sfreq:
                    broken.append(name)
        if broken:
            log.warning(
                where,
                f"{len(broken)} trials are no whole seconds long ({', '.join(broken[:5])} ...); "
                "the vendor cut them to whole seconds at 200 Hz.",
                "Was the file cut or resampled?",
            )
        self._complain_of_none(where, variables, seconds, "1, 2 ... 80", log)
        return seconds

    def _windows(self, where: str, variables: Any, log: ProblemLog) -> dict[int, float]:
        """Return the seconds of each video in a file of features."""
        n_bands, n_channels = len(_BANDS), len(self.channels)
        lengths: dict[int, dict[str, int]] = {}
        for name, (shape, _) in variables.items():
            match = _FEATURE.fullmatch(name)
            if match is None:
                continue
            if not 1 <= int(match[2]) <= sum(self.facts.trials_per_session):
                log.error(where, f"variable {name}: SEED-VII has 80 videos.", _AGAIN)
            elif len(shape) != 3 or shape[1:] != [n_bands, n_channels] or shape[0] == 0:
                log.error(
                    where,
                    f"{name} has shape {tuple(shape)}; expected (windows, {n_bands}, "
                    f"{n_channels}). (In SEED and SEED-IV the axes stand otherwise.)",
                    _AGAIN,
                )
            else:
                lengths.setdefault(int(match[2]), {})[match[1]] = shape[0]
        seconds: dict[int, float] = {}
        for video, by_feature in lengths.items():
            lacking = [name for name in catalogued.FEATURES if name not in by_feature]
            if len(set(by_feature.values())) > 1:
                log.error(
                    where,
                    f"the features of video {video} differ in their number of windows: "
                    f"{by_feature}.",
                    _AGAIN,
                )
                continue
            if lacking:
                log.warning(where, f"video {video} lacks the features {', '.join(lacking)}.")
            seconds[video] = next(iter(by_feature.values())) * _WINDOW_S
        self._complain_of_none(where, variables, seconds, "de_1, de_LDS_1, psd_1 ...", log)
        return seconds

    def _complain_of_none(
        self, where: str, variables: Any, found: dict[int, float], wanted: str, log: ProblemLog
    ) -> None:
        if not found:
            names = ", ".join(list(variables)[:6]) or "no variable"
            log.error(where, f"holds no variables {wanted}; it holds {names}.", _AGAIN)

    # continuous labels

    def continuous_labels(self, trial: Any) -> ContinuousLabels:
        """Read how strong the person said the emotion was during a trial.

        Parameters
        ----------
        trial : Series
            A row of `trials`.

        Returns
        -------
        ContinuousLabels
            The values, and how far apart they are where that can be told.

        Raises
        ------
        FileFormatError
            continuous_labels/{subject}.mat is missing, damaged or laid out otherwise than public
            loaders found it (variables 1 to 80, a list of numbers each); the message lists what
            is there.
        ConfigError
            The row is not of this corpus.
        """
        header = self._header(trial)
        video = catalogued.N_TRIALS * (header.session - 1) + header.row
        values = self._beside.read_continuous(header.subject, video)
        per_window = len(values) == int(header.duration_s // _WINDOW_S)
        return ContinuousLabels(values=values, step_s=_WINDOW_S if per_window else None)

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        if self.form == "raw":
            yield CntFile(path)
        else:
            with mat.MatFile(path) as file:
                yield file

    def _signals(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        if self.form == "raw":
            n_samples = round(header.duration_s * header.sfreq)
            x = cnt_trials.read_stretch(handle, self.channels, int(header.key), n_samples)
            return x, 0
        return np.asarray(handle.read(header.key), dtype=np.float64) * VOLTS_PER["uV"], 0

    def _features(self) -> dict[str, FeatureInfo]:
        if "features" not in self._roots:
            return {}
        return {
            name: FeatureInfo(
                name=name, window_s=_WINDOW_S, bands=_BANDS, scale=_SCALES[name.split("_")[0]]
            )
            for name in catalogued.FEATURES
        }

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        root = self._roots["features"]
        path = root / f"{header.subject}.mat"
        variable = f"{name}_{catalogued.N_TRIALS * (header.session - 1) + header.row}"
        with mat.MatFile(path) as file:
            values = file.read(variable)
        if values.ndim != 3 or values.shape[1:] != (len(_BANDS), len(self.channels)):
            raise FileFormatError(
                f"{path}: {variable} has shape {values.shape}; expected (windows, {len(_BANDS)}, "
                f"{len(self.channels)}). Copy the file again."
            )
        # the file's axes are (windows, bands, electrodes)
        return np.ascontiguousarray(values.transpose(0, 2, 1), dtype=np.float64)


def _holds_own_files(folder: Path) -> bool:
    """Whether the files in a folder of one of the vendor's names are called as SEED-VII's are."""
    # SEED-V has a folder EEG_raw too, with the date last in its files' names
    pattern = RECORDING if folder.name.casefold() == "eeg_raw" else SUBJECT_FILE
    return any(pattern.fullmatch(name) for name in file_names(folder))


def _form_by_content(folder: Path) -> str:
    """Return the form of a renamed folder of files, "" if it holds none."""
    names = file_names(folder)
    if any(RECORDING.fullmatch(name) for name in names):
        return "raw"
    first = next((name for name in names if SUBJECT_FILE.fullmatch(name)), None)
    if first is None:
        return ""
    try:
        variables = mat.list_variables(folder / first)
    except FileFormatError:
        return ""
    n_channels = len(catalogued.FACTS.electrodes)
    for name, (shape, _) in variables.items():
        if name.isdecimal() and len(shape) == 2 and shape[0] == n_channels and shape[1] >= 200:
            return "preprocessed"
        if _FEATURE.fullmatch(name) and len(shape) == 3 and shape[1:] == (5, n_channels):
            return "features"
    return ""


READER = SeedVIICorpus
