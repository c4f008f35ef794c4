"""MAHNOB-HCI: one BioSemi recording and one session.xml per clip.

Subject and clip come from session.xml, the place of the clip in the recording from two events on
the Status channel, rate and unit from the recording's header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import Clip
from affectrum.catalog import mahnob_hci as catalogued
from affectrum.corpora.base import Corpus
from affectrum.corpora.deap_original import electrode_picks
from affectrum.corpora.folders import file_names, find_folders, relative
from affectrum.corpora.mahnob_session import read_session
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError
from affectrum.recordings.biosemi import BdfFile

__all__ = ["READER", "MahnobHciCorpus"]

_NAME: Final = re.compile(
    r"Part_(?P<subject>\d{1,3})_(?P<kind>[SN])_Trial(?P<trial>\d{1,3})_emotion\.bdf", re.I
)
_AGAIN: Final = "Copy the session again from the vendor's archive, or move it away."
_EVENT_BITS: Final = 0xFFFF  # higher ones tell the state of the amplifier
_CUT_TOLERANCE_S: Final = 2.0  # between the events and cutLenSec
_RATES: Final = (256.0, 512.0)
_CLIPS: Final = {clip.clip: clip for clip in catalogued.FACTS.clips[0]}


@dataclass(frozen=True)
class _Session:
    """A session's folder as far as names and session.xml tell."""

    path: Path
    where: str
    subject: int
    kind: str
    trial: int
    attributes: dict[str, str]
    ratings: dict[str, float]


class MahnobHciCorpus(Corpus):
    """Reader of MAHNOB-HCI's emotion elicitation; see `Corpus`.

    ``read`` returns the 32 electrodes, taken by name, between the two events; ``read_baseline``
    the 30 s before.
    """

    name = "MAHNOB-HCI"
    forms = ("sessions",)
    signal_forms = forms

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        named = find_folders(folder, ["Sessions"]).get("Sessions")
        for candidate in (named, folder):
            if candidate is not None and any(True for _ in _recordings(candidate)):
                return {"sessions": candidate}
        return {}

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        sessions: list[_Session] = []
        unrated = {"N": 0, "S": 0}
        for match, path in _recordings(root):
            session = self._session(match, path, log)
            if session is None:
                continue
            if session.ratings:
                sessions.append(session)
            else:
                unrated[session.kind] += 1
        self._count(sessions, unrated, log)
        sessions = self._one_per_trial(sessions, log)
        mixed = _out_of_order(sessions)
        for subject in sorted(mixed):
            log.warning(
                relative(root, self.folder),
                f"subject {subject}: cutNr and the trial numbers of the file names are in "
                "different orders, so the order of presentation is missing.",
                "Are the recordings and session.xml files in the vendor's folders?",
            )
        headers = [
            self._header_of(session, session.subject not in mixed, log) for session in sessions
        ]
        return [header for header in headers if header is not None]

    # what names and session.xml tell

    def _session(self, match: re.Match[str], path: Path, log: ProblemLog) -> _Session | None:
        where = relative(path, self.folder)
        described = path.parent / "session.xml"
        if not described.is_file():
            log.error(
                relative(path.parent, self.folder),
                "session.xml is missing: subject, clip and ratings stand there.",
                _AGAIN,
            )
            return None
        try:
            content = self._cache.get(described, "session", read_session)
        except FileFormatError as error:
            log.error(relative(described, self.folder), str(error), _AGAIN)
            return None
        subject, attributes = int(match["subject"]), content["attributes"]
        told = content["subject"]
        if told is not None and _number(told) != subject:
            log.error(
                where,
                f"the file is named after subject {subject}, session.xml says {told!r}.",
                _AGAIN,
            )
            return None
        if not 1 <= subject <= self.facts.n_subjects:
            log.error(where, f"MAHNOB-HCI has {self.facts.n_subjects} subjects.", _AGAIN)
            return None
        return _Session(
            path=path,
            where=where,
            subject=subject,
            kind=match["kind"].upper(),
            trial=int(match["trial"]),
            attributes=attributes,
            ratings=self._ratings(attributes, relative(described, self.folder), log),
        )

    def _ratings(self, attributes: dict[str, str], where: str, log: ProblemLog) -> dict[str, float]:
        """Return the ratings of a session, none if valence or arousal is missing."""
        ratings = {}
        for attribute, name in catalogued.RATINGS.items():
            if not attributes.get(attribute):
                continue
            value = _number(attributes[attribute])
            lowest, highest = self.facts.ratings[name]
            if value is None or not lowest <= value <= highest:
                log.warning(
                    where,
                    f"{attribute} is {attributes[attribute]!r}, outside {lowest:g} to {highest:g}; "
                    "it counts as missing.",
                    "Compare with the vendor's file.",
                )
                continue
            ratings[name] = value
        return ratings if {"valence", "arousal"} <= set(ratings) else {}

    def _count(self, sessions: list[_Session], unrated: dict[str, int], log: ProblemLog) -> None:
        if unrated["N"]:
            log.note(
                ".",
                f"{unrated['N']} sessions named _N_ without ratings of valence and arousal were "
                "left out.",
                "None of them is rated in the corpus.",
            )
        if unrated["S"]:
            log.warning(
                ".",
                f"{unrated['S']} sessions named _S_ without ratings of valence and arousal "
                f"(feltVlnc, feltArsl) were left out; {len(sessions)} are rated.",
                "In the corpus subjects 12 and 15 have no ratings and others lack some.",
            )

    def _one_per_trial(self, sessions: list[_Session], log: ProblemLog) -> list[_Session]:
        """Return sessions whose (subject, trial) is unique; S goes before N."""
        chosen: dict[tuple[int, int], _Session] = {}
        for session in sorted(sessions, key=lambda s: (s.kind != "S", s.where)):
            other = chosen.setdefault((session.subject, session.trial), session)
            if other is session:
                continue
            report = log.error if session.kind == other.kind else log.warning
            report(
                session.where,
                f"subject {session.subject} has trial {session.trial} already in {other.where}; "
                "this one was left out.",
                "Leave the one that belongs to the corpus.",
            )
        return sorted(chosen.values(), key=lambda s: (s.subject, s.trial))

    # what the recording tells

    def _header_of(self, session: _Session, ordered: bool, log: ProblemLog) -> TrialHeader | None:
        where = session.where
        try:
            header = self._cache.get(session.path, "events", _events)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return None
        _, missing = electrode_picks(header["names"], self.channels)
        if missing:
            log.error(where, f"lacks the electrodes {', '.join(missing)}.", _AGAIN)
            return None
        events, sfreq = header["events"], header["sfreq"]
        if len(events) != 2 or events[1] - events[0] < sfreq:
            log.warning(
                where,
                f"{len(events)} events on the Status channel; two, at least a second apart, are "
                "the beginning and end of the clip. The session was left out.",
                "Look at the recording; the clip can't be found without them.",
            )
            return None
        if sfreq not in _RATES:
            log.note(where, f"sampled at {sfreq:g} Hz; sources name 256 and 512 Hz.")
        duration = (events[1] - events[0]) / sfreq
        cut = _number(session.attributes.get("cutLenSec", ""))
        if cut is not None and abs(cut - duration) > _CUT_TOLERANCE_S:
            log.warning(
                where,
                f"the events are {duration:.1f} s apart, session.xml says {cut:.1f} s (cutLenSec).",
                "Look at the recording; the events were taken.",
            )
        return TrialHeader(
            subject=session.subject,
            session=1,
            row=session.trial,
            trial=session.trial if ordered else None,
            clip_row=None,
            clip=_clip(session.attributes.get("mediaFile", "")),
            file=where,
            key=str(events[0]),
            n_channels=len(self.channels),
            duration_s=duration,
            onset_s=events[0] / sfreq,
            sfreq=sfreq,
            ratings=session.ratings,
            felt_emotion=self._felt(session, log),
        )

    def _felt(self, session: _Session, log: ProblemLog) -> str | None:
        told = session.attributes.get("feltEmo", "")
        if not told:
            return None
        code = _number(told)
        word = self.facts.felt_codes.get(int(code)) if code is not None else None
        if word is None or code != int(code or 0):
            log.warning(
                session.where,
                f"feltEmo is {told!r}; known are 0 to {max(self.facts.felt_codes)}.",
                "The emotion felt counts as missing.",
            )
            return None
        return word

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[BdfFile]:
        yield BdfFile(path)

    def _signals(self, handle: BdfFile, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        start = int(header.key)
        n_before = min(round(self.facts.baseline_s * header.sfreq), start)
        picks, _ = electrode_picks(handle.names, self.channels)
        stop = start + round(header.duration_s * header.sfreq)
        return handle.read(picks, start - n_before, stop), n_before


def _recordings(root: Path) -> Iterator[tuple[re.Match[str], Path]]:
    """Yield the emotion recordings in the folders of a folder."""
    for name in file_names(root):
        folder = root / name
        for file in file_names(folder):
            match = _NAME.fullmatch(file)
            if match is not None:
                yield match, folder / file


def _events(path: Path) -> dict[str, Any]:
    """Return names, rate and the samples at which codes begin on the Status channel."""
    file = BdfFile(path)
    place = [i for i, name in enumerate(file.names) if name.casefold() == "status"]
    events: list[int] = []
    if place:
        codes = file.codes(place[-1]) & _EVENT_BITS
        # bits that are set throughout are lines that nothing was connected to
        codes = codes & ~np.bitwise_and.reduce(codes)
        before = np.r_[codes[:1], codes[:-1]]
        events = np.flatnonzero((codes != 0) & (codes != before)).tolist()
    return {"names": list(file.names), "sfreq": file.sfreq, "events": events}


def _out_of_order(sessions: list[_Session]) -> set[int]:
    """Return subjects whose trial numbers and cutNr (where all have one) are ordered unlike."""
    cuts: dict[int, list[float | None]] = {}
    for session in sessions:  # by subject and trial
        cuts.setdefault(session.subject, []).append(_number(session.attributes.get("cutNr", "")))
    return {
        subject
        for subject, numbers in cuts.items()
        if None not in numbers and numbers != sorted(n for n in numbers if n is not None)
    }


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _clip(media: str) -> Clip | None:
    """Return the clip of a mediaFile, which the catalogue may not know."""
    stem = re.split(r"[/\\]", media)[-1].rsplit(".", 1)[0]
    if not re.fullmatch(r"[\w \-]{1,60}", stem):
        return None
    name = f"MAHNOB-HCI/{stem}"
    return _CLIPS.get(name, Clip(clip=name))


READER = MahnobHciCorpus
