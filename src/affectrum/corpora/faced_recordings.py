"""FACED's original recordings as trials: one folder per subject with data.bdf and evt.bdf."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from affectrum.catalog import faced as catalogued
from affectrum.corpora import faced_raw
from affectrum.corpora.base import Corpus
from affectrum.corpora.deap_original import electrode_picks
from affectrum.corpora.faced_info import Listed, read_info
from affectrum.corpora.faced_remarks import FILE, Remarks
from affectrum.corpora.folders import find_file, matching_files, relative
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError

__all__ = ["AGAIN", "SUBJECT", "FacedOptions", "FacedRecordings"]

SUBJECT: Final = re.compile(r"sub(?P<subject>\d{3})", re.IGNORECASE)
AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."
_DURATION_S: Final = 1.5  # how much a video may last longer or shorter than published


class FacedOptions(ReaderOptions):
    """What the reader of FACED can be told.

    Parameters
    ----------
    ears : bool
        Return rows 31 and 32 (A2, A1; in the second cohort HEOR, HEOL) after the 30 electrodes.
        They have no place on the scalp, so that most of the project has no use for them.
    unit : str or None
        The unit of the numbers, for files whose unit can't be told.
    keep_broken : bool
        Read sub023.pkl although its numbers can't be EEG.
    """

    ears: bool = False
    unit: Literal["V", "mV", "uV", "nV"] | None = None
    keep_broken: bool = False


class FacedRecordings(Corpus):
    """The part of FACED's reader that lists the original recordings; see `Corpus`."""

    options: FacedOptions
    _volts: dict[str, float]

    def _subject(self, match: re.Match[str], where: str, log: ProblemLog) -> int | None:
        """Return the subject from 0, as in the name of the file."""
        subject = int(match["subject"])
        if subject >= self.facts.n_subjects:
            log.error(where, f"FACED has {self.facts.n_subjects} subjects.", "Move it away.")
            return None
        return subject

    def _scan_raw(
        self, root: Path, remarks: dict[int, Remarks], log: ProblemLog
    ) -> list[TrialHeader]:
        info_file = find_file(self.folder, "Recording_info.csv") or find_file(
            root.parent, "Recording_info.csv", depth=0
        )
        info = {}
        if info_file is None:
            log.note("Recording_info.csv", "missing; rates and units come from the recordings.")
        else:
            info = read_info(info_file, relative(info_file, self.folder), log)
        headers: list[TrialHeader] = []
        measured: dict[str, list[str]] = {}
        seen: dict[int, str] = {}
        for match, folder in matching_files(root, SUBJECT, log, self.folder):
            path = folder / "data.bdf"
            where = relative(path, self.folder)
            subject = self._subject(match, where, log)
            if subject is None:
                continue
            if seen.setdefault(subject, where) != where:
                log.error(
                    where, f"a second folder of the subject in {seen[subject]}.", "Leave one."
                )
                continue
            if not path.is_file():
                log.warning(where, "missing.", "Copy it from the vendor's archive.")
                continue
            unit = self._raw_file(path, where, info.get(subject), measured, log)
            if unit is None:
                continue
            self._volts[where] = VOLTS_PER[unit]
            headers += self._raw_trials(subject, path, where, remarks.get(subject), log)
        for unit, files in measured.items():
            log.note(
                files[0] + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
                f"neither header nor Recording_info.csv tells the unit; measured: {unit}.",
                "If that is wrong, give the option 'unit'.",
            )
        return headers

    def _raw_file(
        self,
        path: Path,
        where: str,
        listed: Listed | None,
        measured: dict[str, list[str]],
        log: ProblemLog,
    ) -> str | None:
        """Return the unit of a recording that can be read, else None."""
        try:
            header = self._cache.get(path, "header", faced_raw.read_header)
        except FileFormatError as error:
            log.error(where, str(error), AGAIN)
            return None
        _, missing = electrode_picks(header["names"], catalogued.ELECTRODES)
        if missing:
            log.error(where, f"lacks the electrodes {', '.join(missing)}.", AGAIN)
            return None
        if self.options.ears and len(faced_raw.ear_picks(header["names"])) != len(catalogued.EARS):
            log.error(where, "lacks the ears (A2, A1 or HEOR, HEOL).", "Leave 'ears' out.")
            return None
        if listed is not None and listed.sfreq and abs(listed.sfreq - header["sfreq"]) > 0.5:
            log.warning(
                where,
                f"sampled at {header['sfreq']:g} Hz; Recording_info.csv says {listed.sfreq:g}.",
                "The recording's own rate was taken.",
            )
        told = self.options.unit
        unit, why = faced_raw.choose_unit(told, header, None if listed is None else listed.unit)
        if unit is None:
            log.error(
                where,
                f"the unit of its numbers can't be told: the header has {header['unit_text']}, "
                "and they do not vary like EEG in any unit.",
                "Give the option 'unit' (V, mV, uV or nV).",
            )
        elif why == "contradicted":
            log.warning(
                where,
                f"the unit is stated as {header['unit'] or (listed and listed.unit)}, but the "
                f"numbers vary like EEG in {unit}.",
                f"They were read as {unit}; the option 'unit' says otherwise.",
            )
        elif why == "measured":
            measured.setdefault(unit, []).append(where)
        return unit

    def _raw_trials(
        self, subject: int, path: Path, where: str, remarks: Remarks | None, log: ProblemLog
    ) -> Iterator[TrialHeader]:
        header = self._cache.get(path, "header", faced_raw.read_header)
        events_file = path.with_name("evt.bdf")
        events_where = relative(events_file, self.folder)
        try:
            events = self._cache.get(events_file, "events", faced_raw.read_events)
        except FileFormatError as error:
            log.error(events_where, f"when the videos were shown can't be read. {error}", AGAIN)
            return
        spans, complaints = faced_raw.video_spans(events)
        if complaints:
            log.warning(
                events_where,
                "; ".join(complaints[:4]) + (" ..." if len(complaints) > 4 else "") + ".",
                "Look at the events if trials are missing.",
            )
        videos = [video for video, _, _ in spans]
        if not spans or len(set(videos)) < len(videos):
            what = "names no video with start and end (codes 101, 102)"
            twice = sorted({video for video in videos if videos.count(video) > 1})
            if twice:
                what = f"shows the videos {', '.join(map(str, twice))} more than once"
            log.error(events_where, f"{what}.", AGAIN)
            return
        if remarks is not None:
            shown = sorted(videos, key=lambda video: remarks.trials[video])
            if shown != videos:
                log.error(
                    events_where,
                    f"its order of videos is not that of {FILE}: one of the two belongs to "
                    "another subject.",
                    "Restore both files from the vendor's archive.",
                )
                return
        self._compare_durations(subject, events_where, spans, log)
        sfreq = header["sfreq"]
        for row, (video, begins, ends) in enumerate(spans, start=1):
            start, stop = round(begins * sfreq), round(ends * sfreq)
            if start < 0 or stop > header["n_samples"] or stop - start < sfreq:
                log.error(where, f"video {video} is cut: the recording ends too early.", AGAIN)
                continue
            yield TrialHeader(
                subject=subject + 1,
                session=1,
                row=row,
                trial=row if remarks is None else remarks.trials[video],
                clip_row=video,
                file=where,
                key=str(start),
                n_channels=len(self.channels),
                duration_s=(stop - start) / sfreq,
                onset_s=start / sfreq,
                sfreq=sfreq,
                ratings=None if remarks is None else remarks.scores[video],
            )

    def _compare_durations(
        self, subject: int, where: str, spans: list[tuple[int, float, float]], log: ProblemLog
    ) -> None:
        """Warn where a video does not last as long as published; simulated ones may be short."""
        if self.simulated:
            return
        odd = []
        for video, begins, ends in spans:
            published = catalogued.VIDEO_SECONDS[video - 1]
            if abs(ends - begins - published) <= _DURATION_S:
                continue
            if video == 22 and subject in catalogued.LONG_CLIP_22_SUBJECTS:
                log.note(
                    "sub036 to sub060",
                    "saw a longer version of clip 22 than the others (single source).",
                    "Compare the last 30 s; one public loader drops the first 7 s here.",
                )
            else:
                odd.append(f"video {video} lasts {ends - begins:.1f} s instead of {published:g} s")
        if odd:
            log.warning(
                where,
                "; ".join(odd[:4]) + (" ..." if len(odd) > 4 else "") + ".",
                "Look at its events.",
            )
