"""SEED-VII's raw recordings: one session each, cut by triggers or by times told elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import Field, field_validator

from affectrum.catalog import seed_vii as catalogued
from affectrum.corpora import cnt_trials
from affectrum.corpora import seed_vii_info as info
from affectrum.corpora.cache import FileCache
from affectrum.corpora.folders import matching_files, relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError
from affectrum.recordings.cnt import CntFile

__all__ = ["RECORDING", "RawSessions", "SeedVIIOptions"]

RECORDING: Final = re.compile(
    r"(?P<subject>\d{1,3})_(?P<date>\d{8})_(?P<session>\d)\.cnt", re.IGNORECASE
)
# Public loaders found triggers and save_info within 5 ms of each other.
_TOLERANCE_S: Final = 0.5
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_TELL: Final = (
    "Pass the option 'times' ([beginning, end] in seconds of each of the 20 trials, by file "
    "name), or move the file away to go on without."
)


class SeedVIIOptions(ReaderOptions):
    """Options of SEED-VII.

    Parameters
    ----------
    times : dict of str to list of (float, float)
        For raw recordings whose triggers can't be used: file name without ``.cnt`` -> beginning
        and end of each of the 20 trials, in seconds from the beginning of the recording.
    """

    times: dict[str, list[tuple[float, float]]] = Field(default_factory=dict)

    @field_validator("times")
    @classmethod
    def _check_times(
        cls, value: dict[str, list[tuple[float, float]]]
    ) -> dict[str, list[tuple[float, float]]]:
        for name, pairs in value.items():
            if faults := cnt_trials.faults_of_times(pairs, catalogued.N_TRIALS):
                raise ValueError(f"{name}: {'; '.join(faults)}")
        return value


class RawSessions:
    """Finds the trials of raw recordings from their headers.

    Parameters
    ----------
    folder : Path
        The corpus folder.
    times : mapping
        As in `SeedVIIOptions`.
    cache : FileCache
        Keeps headers between runs.
    beside : SideFiles
        Times and self-reports of save_info.
    """

    def __init__(
        self,
        folder: Path,
        times: Mapping[str, list[tuple[float, float]]],
        cache: FileCache,
        beside: info.SideFiles,
    ) -> None:
        self.folder = folder
        self._times = times
        self._cache = cache
        self._beside = beside

    def scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        """Return the trials of all recordings of a folder; faults go to the log.

        Parameters
        ----------
        root : Path
            The folder EEG_raw.
        log : ProblemLog
            Receives the faults.

        Returns
        -------
        list of TrialHeader
            One per trial.
        """
        headers: list[TrialHeader] = []
        seen: dict[tuple[int, int], re.Match[str]] = {}
        names: set[str] = set()
        for match, path in matching_files(root, RECORDING, log, self.folder):
            subject, session = int(match["subject"]), int(match["session"])
            where = relative(path, self.folder)
            if not (1 <= subject <= catalogued.FACTS.n_subjects and 1 <= session <= 4):
                log.error(where, "SEED-VII has 20 subjects with 4 sessions.", "Move it away.")
                continue
            if (subject, session) in seen:
                other = seen[subject, session][0]
                log.error(
                    where,
                    f"two recordings of subject {subject}, session {session}: {other}, "
                    f"{path.name}.",
                    "Leave the one that is the vendor's.",
                )
                continue
            seen[subject, session] = match
            stem = f"{subject}_{match['date']}_{session}"
            names.add(stem)
            try:
                header = self._cache.get(path, "header", read_header)
            except FileFormatError as error:
                log.error(where, str(error), _AGAIN)
                continue
            headers += self._recording(subject, session, stem, where, header, log)
        for name in sorted(set(self._times) - names):
            log.warning(
                relative(root, self.folder),
                f"the option 'times' names {name!r}, but there is no {name}.cnt.",
                "Write the name as the file's, without .cnt.",
            )
        self._compare_dates(root, seen, log)
        return headers

    def _recording(
        self,
        subject: int,
        session: int,
        stem: str,
        where: str,
        header: Any,
        log: ProblemLog,
    ) -> Iterator[TrialHeader]:
        _, missing = cnt_trials.electrode_picks(header["names"], catalogued.FACTS.electrodes)
        if missing:
            log.error(where, f"lacks the electrodes {', '.join(missing)}.", _AGAIN)
            return
        sfreq = header["sfreq"]
        if sfreq != catalogued.FACTS.raw_sfreq:
            log.warning(
                where,
                f"sampled at {sfreq:g} Hz; {catalogued.FACTS.raw_sfreq:g} is published.",
                "Was the file resampled?",
            )
        for row, (begin, end) in enumerate(
            self._cuts(subject, session, stem, where, header, log), start=1
        ):
            start, stop = round(begin * sfreq), round(end * sfreq)
            if not 0 <= start <= stop - sfreq or stop > header["n_samples"]:
                log.error(
                    where,
                    f"trial {row} from {begin:.3f} s to {end:.3f} s does not lie in the recording "
                    f"of {header['n_samples'] / sfreq:.3f} s, or is shorter than a second.",
                    _TELL,
                )
                continue
            yield TrialHeader(
                subject=subject,
                session=session,
                row=row,
                trial=row,
                clip_row=row,
                file=where,
                key=str(start),
                n_channels=len(catalogued.FACTS.electrodes),
                duration_s=(stop - start) / sfreq,
                onset_s=start / sfreq,
                sfreq=sfreq,
                ratings=self._beside.reported(subject, session, row),
            )

    def _cuts(
        self, subject: int, session: int, stem: str, where: str, header: Any, log: ProblemLog
    ) -> list[tuple[float, float]]:
        """Return beginning and end of each trial in seconds; none, with the reason in the log."""
        if stem in self._times:
            return self._times[stem]
        listed = self._beside.times(stem, log)
        if (subject, session) in catalogued.TRIGGERS_WRONG:
            if listed is None:
                log.warning(
                    where,
                    "its own triggers are known to be wrong, and there is no usable "
                    f"save_info/{stem}_trigger_info.csv: its trials are left out.",
                    "Copy save_info from the vendor's archive, or pass the option 'times'.",
                )
                return []
            began = info.seconds_of(catalogued.TRIGGERS_WRONG[subject, session])
            log.note(
                where, "its own triggers are known to be wrong; it was cut by those in save_info."
            )
            return [(begin - began, end - began) for begin, end in listed]
        if header["fault"]:
            log.error(where, header["fault"], _TELL)
            return []
        try:
            moments = [sample / header["sfreq"] for sample, _ in header["events"]]
            pairs = info.pairs_of([code for _, code in header["events"]], moments)
        except ValueError as error:
            log.error(where, f"its trials can't be cut: {error}.", _TELL)
            return []
        if listed is not None:
            self._compare_times(where, pairs, listed, log)
        return pairs

    def _compare_times(
        self,
        where: str,
        pairs: list[tuple[float, float]],
        listed: list[tuple[float, float]],
        log: ProblemLog,
    ) -> None:
        """Warn where triggers and save_info tell different times of one session."""
        found, expected = np.array(pairs).ravel(), np.array(listed).ravel()
        apart = np.abs((found - found[0]) - (expected - expected[0]))
        if apart.max() > _TOLERANCE_S:
            row = int(np.argmax(apart > _TOLERANCE_S)) // 2 + 1
            log.warning(
                where,
                f"its triggers and save_info are {apart.max():.1f} s apart (first in trial {row}); "
                "it was cut by its triggers.",
                "Compare both with the preprocessed file, and pass the option 'times' if need be.",
            )

    def _compare_dates(
        self, root: Path, seen: dict[tuple[int, int], re.Match[str]], log: ProblemLog
    ) -> None:
        for (subject, session), (other, later) in pairwise(sorted(seen)):
            if subject == other and seen[subject, session]["date"] >= seen[other, later]["date"]:
                log.warning(
                    relative(root, self.folder),
                    f"subject {subject}: session {later} is dated {seen[other, later]['date']}, "
                    f"not after session {session} ({seen[subject, session]['date']}). The number "
                    "in the name was taken.",
                    "Are these the vendor's names?",
                )


def read_header(path: Path) -> dict[str, Any]:
    """Return names, rate, length and triggers of a recording, or why it has no triggers."""
    file = CntFile(path)
    events: list[list[int]] = []
    fault = ""
    try:
        events = [list(event) for event in file.events]
    except FileFormatError as error:
        fault = str(error)
    return {
        "names": list(file.names),
        "sfreq": file.sfreq,
        "n_samples": file.n_samples,
        "events": events,
        "fault": fault,
    }
