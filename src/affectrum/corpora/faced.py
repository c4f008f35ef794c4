"""FACED: preprocessed signals, shipped features, or the original recordings.

Preprocessed rows are in the order of the videos, alike for all subjects; when each was shown, and
how it was rated, stands in After_remarks.mat in the order of presentation and is joined by the
number of the video. The original recordings are in the order of presentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import faced as catalogued
from affectrum.corpora import faced_raw
from affectrum.corpora.base import FeatureInfo
from affectrum.corpora.deap_original import electrode_picks
from affectrum.corpora.faced_recordings import AGAIN, SUBJECT, FacedOptions, FacedRecordings
from affectrum.corpora.faced_remarks import (
    FILE,
    Remarks,
    find_remarks,
    parse_remarks,
    read_remarks,
)
from affectrum.corpora.folders import (
    SIMULATED_FILE,
    file_names,
    find_folders,
    matching_files,
    relative,
)
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER, measure_unit, spread
from affectrum.errors import FileFormatError
from affectrum.recordings import pickles
from affectrum.recordings.biosemi import BdfFile

__all__ = ["READER", "FacedCorpus", "FacedOptions"]

_FOLDERS: Final = {"processed": "Processed_data", "raw": "Data", "features": "EEG_Features"}
_SIGNALS: Final = re.compile(r"sub(?P<subject>\d{3})\.pkl", re.IGNORECASE)
# the doubled suffix is the vendor's
_FEATURES: Final = re.compile(r"sub(?P<subject>\d{3})\.pkl(?:\.pkl)?", re.IGNORECASE)
_N_CHANNELS: Final = len(catalogued.ELECTRODES) + len(catalogued.EARS)
_BROKEN_V: Final = 1e-3  # interquartile range that no cleaned EEG has
_SCALES: Final = {
    "DE": "nats: 0.5*ln(2*pi*e*variance) of the band-passed processed signals",
    "PSD": "mean square of the band-passed processed signals (their unit squared)",
}


class FacedCorpus(FacedRecordings):
    """Reader of FACED; see `Corpus`.

    Subjects are counted from 1: subject 1 is ``sub000``. ``read`` returns the last 30 s of a clip
    from the processed form and the whole clip from the raw form.
    """

    name = "FACED"
    forms = ("processed", "raw", "features")
    signal_forms = ("processed", "raw")
    Options = FacedOptions

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found = {}
        for form, name in _FOLDERS.items():
            accept = _ACCEPT[form]
            places = find_folders(folder, [name], accept=accept)
            if places:
                found[form] = places[name]
            elif accept(folder):
                found[form] = folder
        return found

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        self._volts: dict[str, float] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        if self.options.ears:
            self.channels = (*catalogued.ELECTRODES, *catalogued.EARS)
            log.note(
                relative(root, self.folder),
                "sub061 to sub122 were recorded with channels called HEOR and HEOL in the place of "
                "A2 and A1.",
                "Whether these are ears or eyes is not documented; leave 'ears' out if it matters.",
            )
        remarks = self._remarks(root, log)
        if self.form == "raw":
            return self._scan_raw(root, remarks, log)
        headers: list[TrialHeader] = []
        if self.form == "processed":
            places, pattern = {"": root}, _SIGNALS
        else:
            places = {name: place for name in catalogued.FEATURES if (place := _part(root, name))}
            pattern = _FEATURES
        seen: dict[int, Path] = {}
        for match, path in matching_files(next(iter(places.values())), pattern, log, self.folder):
            where = relative(path, self.folder)
            subject = self._subject(match, where, log)
            if subject is None:
                continue
            if subject in seen:
                log.error(
                    where, f"a second file of the subject in {seen[subject].name}.", "Leave one."
                )
                continue
            seen[subject] = path
            if remarks and subject not in remarks:
                log.warning(
                    f"Data/{catalogued.FILES[subject]}/{FILE}",
                    "missing: order of presentation and ratings of this subject are unknown.",
                    "Copy it from the vendor's archive.",
                )
            headers += self._pickled(subject, path, where, remarks.get(subject), log)
        return headers

    # ratings

    def _remarks(self, root: Path, log: ProblemLog) -> dict[int, Remarks]:
        top = find_remarks(self.folder) or find_remarks(root.parent, depth=1)
        if top is None:
            lacking = (
                "the ratings are unknown, and the order of videos can't be compared."
                if self.form == "raw"
                else "the order of presentation and the ratings are unknown, so the column 'trial' "
                "and the ratings are empty and protocols that take a subject's first trials can't "
                "be used."
            )
            fix = f"Copy Data/sub000/{FILE} ... from the vendor's archive."
            log.warning(f"Data/sub000/{FILE}", f"missing: {lacking}", fix)
            return {}
        found = {}
        for name in file_names(top):
            match = SUBJECT.fullmatch(name)
            path = top / name / FILE
            if match is None or not path.is_file():
                continue
            where = relative(path, self.folder)
            try:
                content = self._cache.get(path, "remarks", read_remarks)
            except FileFormatError as error:
                log.error(where, str(error), AGAIN)
                continue
            remarks = parse_remarks(content, where, log)
            if remarks is not None:
                found[int(match["subject"])] = remarks
        return found

    # preprocessed signals and features

    def _pickled(
        self, subject: int, path: Path, where: str, remarks: Remarks | None, log: ProblemLog
    ) -> Iterator[TrialHeader]:
        compute = _signal_header if self.form == "processed" else _feature_header
        try:
            header = self._cache.get(path, "header", compute)
        except FileFormatError as error:
            log.error(where, str(error), AGAIN)
            return
        shape = header["shape"]
        n_axes = 3 if self.form == "processed" else 4
        expected = f"({catalogued.N_VIDEOS}, {_N_CHANNELS}, " + (
            "7500)" if n_axes == 3 else f"30, {len(catalogued.BANDS)})"
        )
        if (
            len(shape) != n_axes
            or shape[:2] != [catalogued.N_VIDEOS, _N_CHANNELS]
            or shape[2] < (self.facts.sfreq if n_axes == 3 else 1)
            or (n_axes == 4 and shape[3] != len(catalogued.BANDS))
        ):
            log.error(where, f"holds an array of shape {tuple(shape)}; expected {expected}.", AGAIN)
            return
        if header["kind"] != "f":
            log.error(where, "holds no floating-point numbers.", AGAIN)
            return
        published = 7500 if n_axes == 3 else 30
        if shape[2] != published and not self.simulated:
            log.warning(
                where,
                f"{shape[2]} {'samples' if n_axes == 3 else 'windows'} per trial; {published} are "
                "published.",
                "Was the file cut or resampled?",
            )
        if not self._is_sound(subject, where, header, log):
            return
        self._shapes[where] = tuple(shape)
        if self.form == "processed":
            self._volts[where] = VOLTS_PER[self._processed_unit(where, header, log)]
            duration, sfreq = shape[2] / self.facts.sfreq, self.facts.sfreq
        else:
            duration, sfreq = float(shape[2]), float("nan")
        for row in range(1, catalogued.N_VIDEOS + 1):
            yield TrialHeader(
                subject=subject + 1,
                session=1,
                row=row,
                trial=None if remarks is None else remarks.trials[row],
                clip_row=row,
                file=where,
                key=str(row - 1),
                n_channels=len(self.channels),
                duration_s=duration,
                onset_s=0.0,
                sfreq=sfreq,
                ratings=None if remarks is None else remarks.scores[row],
            )

    def _is_sound(self, subject: int, where: str, header: dict[str, Any], log: ProblemLog) -> bool:
        """Whether a file is read: the one that is known as broken only if asked for."""
        if subject not in catalogued.BROKEN_SUBJECTS:
            return True
        if self.form == "features":
            log.warning(
                where,
                "known as broken: its features come from sub023.pkl, whose numbers vary about 3000 "
                "times as much as the others'.",
                "Leave subject 24 out.",
            )
            return True
        varies = header["spread"] * VOLTS_PER[self.options.unit or "uV"]
        if varies < _BROKEN_V:
            log.note(
                where,
                "reported as broken in the released data; in this copy its numbers vary like EEG.",
                "It was read.",
            )
            return True
        left_out = (
            "It is read because 'keep_broken' says so"
            if self.options.keep_broken
            else ("It was left out; the option keep_broken: true reads it nonetheless")
        )
        log.warning(
            where,
            f"known as broken: its numbers vary by {varies:.2g} V (interquartile range), about "
            "3000 times as much as the others'.",
            f"{left_out}.",
        )
        return self.options.keep_broken

    def _processed_unit(self, where: str, header: dict[str, Any], log: ProblemLog) -> str:
        if self.options.unit is not None:
            return self.options.unit
        if header["measured"] == "V":
            log.warning(
                where,
                "its numbers are volts, those of the other files microvolts.",
                "They were read as volts.",
            )
            return "V"
        return "uV"

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        yield BdfFile(path) if self.form == "raw" else pickles.view(path)

    def _signals(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        volts = self._volts[header.file]
        if self.form == "raw":
            picks, _ = electrode_picks(handle.names, catalogued.ELECTRODES)
            if self.options.ears:
                picks += faced_raw.ear_picks(handle.names)
            start = int(header.key)
            stop = start + round(header.duration_s * header.sfreq)
            return handle.read(picks, start, stop, volts_per_unit=volts), 0
        if handle.shape != self._shapes[header.file]:
            raise FileFormatError(
                f"{self.folder / header.file}: has shape {handle.shape}, its header promised "
                f"{self._shapes[header.file]}. Open the corpus again."
            )
        rows = handle[int(header.key), : len(self.channels)]
        return np.asarray(rows, dtype=np.float64) * volts, 0

    def _features(self) -> dict[str, FeatureInfo]:
        root = self._roots.get("features")
        return {
            name: FeatureInfo(
                name=name, window_s=1.0, bands=tuple(catalogued.BANDS), scale=_SCALES[name]
            )
            for name in catalogued.FEATURES
            if root is not None and _part(root, name) is not None
        }

    def _read_feature(self, header: TrialHeader, name: str) -> np.ndarray[Any, Any]:
        place = _part(self._roots["features"], name)
        stem = catalogued.FILES[header.subject - 1]
        clip = header.clip_row
        assert place is not None
        assert clip is not None
        path = next(
            (place / file for file in file_names(place) if _is_of(file, stem)),
            place / f"{stem}.pkl.pkl",
        )
        found = pickles.view(path)
        expected = (catalogued.N_VIDEOS, _N_CHANNELS)
        if (
            found.ndim != 4
            or found.shape[:2] != expected
            or found.shape[3] != len(catalogued.BANDS)
        ):
            raise FileFormatError(
                f"{path}: holds an array of shape {found.shape}; expected {expected} + (windows, "
                f"{len(catalogued.BANDS)}). Copy the file again."
            )
        # the file's axes are (videos, electrodes, windows, bands), whatever form is open
        values = found[clip - 1, : len(self.channels)].transpose(1, 0, 2)
        return np.ascontiguousarray(values, dtype=np.float64)


def _is_of(file: str, stem: str) -> bool:
    return _FEATURES.fullmatch(file) is not None and file.casefold().startswith(stem)


def _part(root: Path, name: str) -> Path | None:
    """Return the folder of a feature: below the root, or the root itself."""
    if root.name.casefold() == name.casefold():
        return root
    return next(
        (root / child for child in file_names(root) if child.casefold() == name.casefold()), None
    )


def _holds(pattern: re.Pattern[str], folder: Path) -> bool:
    return any(pattern.fullmatch(name) for name in file_names(folder))


def _holds_signals(folder: Path) -> bool:
    if folder.name in catalogued.FEATURES:
        return False
    if folder.name.casefold() != _FOLDERS["processed"].casefold():
        return _holds(_SIGNALS, folder)
    # by name, unless it is full of other things
    names = [name for name in file_names(folder) if name != SIMULATED_FILE]
    return not names or any(SUBJECT.match(name) for name in names)


def _holds_features(folder: Path) -> bool:
    parts = [_part(folder, name) for name in catalogued.FEATURES]
    return any(part is not None and _holds(_FEATURES, part) for part in parts)


def _holds_recordings(folder: Path) -> bool:
    return any(
        SUBJECT.fullmatch(name) and "data.bdf" in file_names(folder / name)
        for name in file_names(folder)
    )


_ACCEPT: Final = {
    "processed": _holds_signals,
    "raw": _holds_recordings,
    "features": _holds_features,
}


def _signal_header(path: Path) -> dict[str, Any]:
    found = pickles.view(path)
    header: dict[str, Any] = {"shape": list(found.shape), "kind": found.dtype.kind}
    if found.ndim == 3 and found.shape[0] and found.dtype.kind == "f":
        # one trial from the middle is enough to tell microvolts from volts, and what is no EEG
        trial = np.asarray(found[len(found) // 2, : len(catalogued.ELECTRODES)], dtype=np.float64)
        header |= {"spread": spread(trial), "measured": measure_unit(trial)}
    return header


def _feature_header(path: Path) -> dict[str, Any]:
    found = pickles.view(path)
    return {"shape": list(found.shape), "kind": found.dtype.kind}


READER = FacedCorpus
