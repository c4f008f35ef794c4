"""AMIGOS: one .mat file per person, a cell per video.

The order of the videos is read from each file. Short videos are session 1, long ones session 2.
What is known to be missing or damaged in the vendor's own files is listed and does not stop
anybody: videos without signals, signals without self-reports, samples that are NaN, and packed
arrays that are longer than their header says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum.catalog import Clip
from affectrum.catalog import amigos as catalogued
from affectrum.corpora.base import Corpus
from affectrum.corpora.folders import find_files, find_folders, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError
from affectrum.recordings.mat_stream import Index, Leaf, MatStream
from affectrum.recordings.mat_unpack import Marks

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["READER", "AmigosCorpus"]

_PREPROCESSED: Final = re.compile(r"Data_Preprocessed_P(?P<subject>\d{1,3})\.mat", re.IGNORECASE)
_ORIGINAL: Final = re.compile(r"Data_Original_P(?P<subject>\d{1,3})\.mat", re.IGNORECASE)
# Folders of the vendor's trees, below which the archives' own folders stand.
_FOLDERS: Final = (
    "AMIGOS",
    "data_preprocessed",
    "Physiological Recordings",
    "Matlab Preprocessed Data",
    "Matlab Original Data",
)
_SIGNALS: Final = "joined_data"
_VIDEOS: Final = "VideoIDs"
_SELF: Final = "labels_selfassessment"
_EXTERNAL: Final = "labels_ext_annotation"
_NUMBERS: Final = ("double", "single")
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_GO_ON: Final = "The vendor's files are known to have such gaps. Go on without."


class AmigosCorpus(Corpus):
    """Reader of AMIGOS; see `Corpus`.

    ``read`` returns the 14 electrodes without ECG and GSR, ``read_baseline`` the 5 s before the
    video, `external_annotations` what others saw in the person's face.
    """

    name = "AMIGOS"
    forms = ("preprocessed",)
    signal_forms = forms
    gaps_known = True

    _marks: dict[str, Marks]
    _leaves: dict[tuple[str, str], Leaf]
    _external: dict[tuple[str, str], Leaf]

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        # a folder with original files alone is known too, so that the reason can be given
        found = _files(folder, _PREPROCESSED) or _files(folder, _ORIGINAL)
        if not found:
            return {}
        return {"preprocessed": Path(os.path.commonpath([path.parent for _, path in found]))}

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        self._marks, self._leaves, self._external = {}, {}, {}
        found = _files(root, _PREPROCESSED)
        originals = _files(root, _ORIGINAL)
        if originals:
            add = log.note if found else log.error
            add(
                relative(originals[0][1], self.folder),
                f"{len(originals)} Data_Original files: they have no joined_data, and what their "
                "arrays hold is not documented well enough to be read without guessing.",
                "They are not read; use the vendor's Data_Preprocessed files.",
            )
        headers: list[TrialHeader] = []
        seen: dict[int, Path] = {}
        for match, path in found:
            subject, where = int(match["subject"]), relative(path, self.folder)
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(where, f"AMIGOS has {self.facts.n_subjects} subjects.", "Move it away.")
            elif subject in seen:
                log.warning(
                    where,
                    f"a second file of subject {subject}; {relative(seen[subject], self.folder)} "
                    "is read.",
                    "Move one of the two away.",
                )
            else:
                seen[subject] = path
                headers += self._file(subject, path, where, log)
        return headers

    def _contents(self, path: Path) -> Any:
        with MatStream(path, self._marks_of(path)) as file:
            missing = [name for name in (_SIGNALS, _VIDEOS) if name not in file.variables]
            if missing:
                raise FileFormatError(
                    f"{path}: lacks {', '.join(missing)}; it holds "
                    f"{', '.join(list(file.variables)[:8]) or 'no variable'}."
                )
            names = (_SIGNALS, _VIDEOS, _SELF, _EXTERNAL)
            return {name: file.index(name).to_json() for name in names if name in file.variables}

    def _marks_of(self, path: Path) -> Marks:
        return self._marks.setdefault(relative(path, self.folder), Marks())

    # one person's file

    def _file(self, subject: int, path: Path, where: str, log: ProblemLog) -> list[TrialHeader]:
        try:
            contents = self._cache.get(path, "contents", self._contents)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return []
        index = {name: Index.from_json(content) for name, content in contents.items()}
        for name, found in index.items():
            if found.faults:
                log.warning(
                    where,
                    f"{name}: {' and '.join(found.faults)}; the array itself is complete and was "
                    "read.",
                    "The vendor's files are known for this. If others read the file without "
                    "complaint, copy it again.",
                )
        videos = self._videos(index[_VIDEOS], where, log)
        n_cells = sum(_cell(n) in index[_SIGNALS].leaves for n in range(len(videos) + 1))
        if videos and n_cells != len(videos):
            log.error(
                where, f"joined_data has not one cell for each of {len(videos)} videos.", _AGAIN
            )
            return []
        self._note_long_videos(subject, videos, index[_SIGNALS], where, log)
        headers: list[TrialHeader] = []
        gaps: list[str] = []
        lacking: dict[str, list[str]] = {"signals": [], "self-reports": [], "scale": []}
        rows = {1: 0, 2: 0}
        for column, (video, session, clip) in enumerate(videos):
            rows[session] += 1
            leaf = index[_SIGNALS].leaves[_cell(column)]
            own = index[_SELF].leaves.get(_cell(column)) if _SELF in index else None
            ratings, felt, on_scale = self._self_reports(own)
            if 0 in leaf.shape:
                if ratings is not None:
                    lacking["signals"].append(video)
                continue
            if not self._usable(leaf, video, where, log):
                continue
            if ratings is None:
                lacking["self-reports"].append(video)
            elif not on_scale:
                lacking["scale"].append(video)
            gaps += self._gaps(leaf, video)
            key = f"{_SIGNALS}{_cell(column)}"
            self._leaves[where, key] = leaf
            if _EXTERNAL in index and _cell(column) in index[_EXTERNAL].leaves:
                self._external[where, key] = index[_EXTERNAL].leaves[_cell(column)]
            n_baseline = round(self.facts.baseline_s * self.facts.sfreq)
            headers.append(
                TrialHeader(
                    subject=subject,
                    session=session,
                    row=rows[session],
                    trial=None,
                    clip_row=None,
                    file=where,
                    key=key,
                    n_channels=len(self.channels),
                    duration_s=(leaf.shape[0] - n_baseline) / self.facts.sfreq,
                    onset_s=self.facts.baseline_s,
                    sfreq=self.facts.sfreq,
                    ratings=ratings,
                    clip=clip,
                    felt_emotion=felt,
                    session_name=self.facts.session_names[session - 1],
                )
            )
        self._tell(lacking, gaps, where, log)
        return headers

    def _videos(self, index: Index, where: str, log: ProblemLog) -> list[tuple[str, int, Clip]]:
        """Return name, session and clip of each column; none if they are not the corpus's."""
        names = []
        for leaf in index.leaves.values():
            value = np.ravel([] if leaf.value is None else leaf.value)
            name = value[0] if value.size == 1 else ""
            names.append(str(name).strip() if value.dtype.kind == "U" else f"{float(name or 0):g}")
        known = {
            clip.clip.partition("/")[2].casefold(): (session, clip)
            for session, clips in enumerate(self.facts.clips, start=1)
            for clip in clips
        }
        strange = [name for name in names if name.casefold() not in known]
        twice = sorted({name for name in names if names.count(name) > 1})
        if strange or twice or not names:
            log.error(
                where,
                f"VideoIDs names {', '.join(names[:20]) or 'nothing'}"
                + (f"; not AMIGOS's: {', '.join(strange[:8])}" if strange else "")
                + (f"; twice: {', '.join(twice[:8])}" if twice else "")
                + ".",
                "Only this variable tells which video a column is. " + _AGAIN,
            )
            return []
        return [(name, *known[name.casefold()]) for name in names]

    def _note_long_videos(
        self,
        subject: int,
        videos: list[tuple[str, int, Clip]],
        signals: Index,
        where: str,
        log: ProblemLog,
    ) -> None:
        there = any(
            session == 2 and 0 not in signals.leaves[_cell(column)].shape
            for column, (_, session, _) in enumerate(videos)
        )
        expected = subject not in catalogued.WITHOUT_LONG_VIDEOS
        if there == expected:
            if not there:
                log.note(where, f"subject {subject} took no part in the long videos.")
        elif not self.simulated:
            log.note(
                where,
                f"subject {subject} has {'' if there else 'no '}long videos, unlike in the "
                "published description.",
                "Public sources confuse subjects 28 and 32; the file was taken as it is.",
            )

    def _usable(self, leaf: Leaf, video: str, where: str, log: ProblemLog) -> bool:
        n_columns = len(self.channels) + len(self.facts.auxiliary)
        shape, n_baseline = tuple(leaf.shape), round(self.facts.baseline_s * self.facts.sfreq)
        if leaf.matlab_class not in _NUMBERS or len(shape) != 2 or shape[1] != n_columns:
            swapped = " (samples and channels are swapped)" if shape[0] == n_columns else ""
            log.error(
                where,
                f"video {video} is {leaf.matlab_class} of shape {shape}{swapped}; expected double "
                f"of (samples, {n_columns}).",
                _AGAIN,
            )
            return False
        if shape[0] < n_baseline + self.facts.sfreq:
            log.warning(
                where,
                f"video {video} has {shape[0]} samples, less than the baseline and a second: it is "
                "left out.",
                _GO_ON,
            )
            return False
        return True

    def _self_reports(self, leaf: Leaf | None) -> tuple[dict[str, float] | None, str | None, bool]:
        """Return ratings by name, the emotion that was ticked, and whether all are on the scale."""
        values = np.ravel([] if leaf is None or leaf.value is None else leaf.value)
        names = catalogued.SELF_REPORTS
        if values.size != len(names) or values.dtype.kind not in "fiu":
            return None, None, True
        ratings, on_scale = {}, True
        for name, value in zip(names, values.astype(float).tolist(), strict=True):
            low, high = self.facts.ratings[name]
            fits = low <= value <= high
            on_scale &= fits
            ratings[name] = value if fits else float("nan")
        if all(np.isnan(value) for value in ratings.values()):
            return None, None, True
        ticked = [word for word in catalogued.WORDS if ratings[word] == 1]
        return ratings, ticked[0] if len(ticked) == 1 else None, on_scale

    def _gaps(self, leaf: Leaf, video: str) -> list[str]:
        counts = [count for column, count in leaf.gaps if column < len(self.channels)]
        if not counts:
            return []
        return [f"video {video} ({max(counts)} of {leaf.shape[0]} on {len(counts)} electrodes)"]

    def _tell(
        self, lacking: Mapping[str, list[str]], gaps: list[str], where: str, log: ProblemLog
    ) -> None:
        if lacking["signals"]:
            log.warning(
                where,
                f"self-reports without signals: {', '.join(lacking['signals'])}. They are left "
                "out.",
                _GO_ON,
            )
        if lacking["self-reports"]:
            log.warning(
                where,
                f"signals without self-reports: {', '.join(lacking['self-reports'])}. Their "
                "ratings are missing in the trial table.",
                _GO_ON,
            )
        if lacking["scale"]:
            log.warning(
                where,
                f"self-reports outside their scale: {', '.join(lacking['scale'])}. They are "
                "missing in the trial table.",
                _GO_ON,
            )
        if gaps:
            log.warning(
                where,
                f"samples that are NaN or infinite: {', '.join(gaps[:6])}"
                f"{' ...' if len(gaps) > 6 else ''}.",
                "Windows that hold such samples are left out and counted; leave the trials out if "
                "too little remains.",
            )

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[MatStream]:
        with MatStream(path, self._marks_of(path)) as file:
            yield file

    def _signals(self, handle: MatStream, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        values = handle.read(_SIGNALS, self._leaves[header.file, header.key])
        rows = values.T[: len(self.channels)]
        volts = np.multiply(rows, VOLTS_PER["uV"], dtype=np.float64, order="C")
        return volts, round(self.facts.baseline_s * header.sfreq)

    def external_annotations(self, trial: pd.Series | Mapping[str, Any]) -> pd.DataFrame:
        """Return the valence and arousal that others saw in the person's face.

        Parameters
        ----------
        trial : Series
            A row of `trials`.

        Returns
        -------
        DataFrame
            A row per segment of 20 s: ``segment`` (its number in the file), ``valence`` and
            ``arousal`` on -1..1; no rows where the file has none.

        Raises
        ------
        FileFormatError
            The annotation does not have three columns, or the file is damaged.
        ConfigError
            The row is not of this corpus.
        """
        import pandas as pd

        header = self._header(trial)
        leaf = self._external.get((header.file, header.key))
        columns = ["segment", "valence", "arousal"]
        if leaf is None or 0 in leaf.shape:
            return pd.DataFrame({name: pd.Series(dtype=float) for name in columns})
        values = leaf.value
        if values is None:
            with self._open(self.folder / header.file) as handle:
                values = handle.read(_EXTERNAL, leaf)
        found = np.asarray(values)
        if found.ndim != 2 or found.shape[1] != len(columns) or found.dtype.kind not in "fiu":
            raise FileFormatError(
                f"{self.folder / header.file}: the external annotation of {header.key} has shape "
                f"{found.shape}; expected (segments, {len(columns)}). {_AGAIN}"
            )
        return pd.DataFrame(found.astype(float), columns=columns)


def _cell(column: int) -> str:
    return f"[{column}]"


def _files(folder: Path, pattern: re.Pattern[str]) -> list[tuple[re.Match[str], Path]]:
    """Return a folder's files of one kind, each once, also deep in the vendor's own trees."""
    found = find_files(folder, pattern)
    for inner in find_folders(folder, _FOLDERS).values():
        found += find_files(inner, pattern, depth=3)
    unique = {path: (match, path) for match, path in found}
    return sorted(unique.values(), key=lambda pair: (int(pair[0]["subject"]), len(pair[1].parts)))


READER = AmigosCorpus
