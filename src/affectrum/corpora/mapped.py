"""Any folder of recordings with a table of ratings, read by a mapping.

For data whose layout no public description fixes, such as MDME, which EMOD was pre-trained on: the
user's YAML file says where the files are, `affectrum.corpora.mapped_parts` what may stand in it.

>>> import affectrum as af
>>> corpus = af.open_corpus("MDME", "MDME/", options={"mapping": "mdme.yaml"})  # doctest: +SKIP
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from affectrum import electrodes
from affectrum.catalog import Clip, CorpusFacts
from affectrum.corpora.base import Corpus
from affectrum.corpora.bids_facts import complete_facts
from affectrum.corpora.folders import is_junk, relative
from affectrum.corpora.mapped_parts import (
    RecordingsMapping,
    Table,
    load_recordings_mapping,
    pattern_of,
)
from affectrum.corpora.options import ReaderOptions
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.errors import FileFormatError, RecordingError

__all__ = ["NAMES", "RecordingsCorpus", "RecordingsOptions"]

NAMES: Final = ("recordings", "mdme")
"""Folded names under which `affectrum.open_corpus` finds this reader."""

_HOW: Final = (
    "Write a mapping (docs: 'A folder of recordings') and pass options={'mapping': 'mine.yaml'}, "
    "or --options with a file that holds 'mapping: mine.yaml'."
)
Row = dict[str, str]
Place = tuple[str, str, str]


class RecordingsOptions(ReaderOptions):
    """Options of a folder of recordings.

    Parameters
    ----------
    mapping : str or None
        A YAML file.
    """

    mapping: str | None = None


class RecordingsCorpus(Corpus):
    """Reader of a folder of recordings; see `Corpus`."""

    name = "recordings"
    forms: ClassVar[tuple[str, ...]] = ("recordings",)
    signal_forms: ClassVar[tuple[str, ...]] = ("recordings",)
    Options: ClassVar[type[ReaderOptions]] = RecordingsOptions
    gaps_known = True

    def __init__(self, folder: str | Path, **further: Any) -> None:
        self.mapping: RecordingsMapping | None = None
        super().__init__(folder, **further)

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`; what is there only a mapping tells."""
        return {"recordings": folder}

    def _find_facts(self) -> CorpusFacts:
        given = getattr(self.options, "mapping", None)
        if given is not None:
            self.mapping = load_recordings_mapping(given)
            self.name = self.mapping.corpus  # type: ignore[misc]
        return _facts(self.mapping)

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        if self.mapping is None:
            log.error(".", "how its files are named and where ratings stand is not known.", _HOW)
            return []
        places = self._places(root, self.mapping, log)
        rows = _read_tables(root, self.mapping.table, log)
        headers: list[TrialHeader] = []
        numbers = [_numbered({place[k] for _, place in places}) for k in range(2)]
        for path, place in places:
            found = self._recording(path, log)
            if found is None:
                continue
            mine = [row for row in rows if all(map(_same, row[0], place))]
            if place[2]:
                mine = mine or [(place, {})]
            elif not mine:
                log.error(relative(path, root), "the table has no trial of it.", "See table.file.")
            for where, row in mine:
                label = where[2] or place[2]
                header = self._header_of(path, place, label, row, found, numbers, log)
                headers += [] if header is None else [header]
        if headers:
            self.facts = complete_facts(self.facts, headers, self.channels, self.channels, {})
        return headers

    def _places(
        self, root: Path, mapping: RecordingsMapping, log: ProblemLog
    ) -> list[tuple[Path, Place]]:
        tables = [] if mapping.table is None else _matching(root, mapping.table.file)
        taken = {path for path, _ in tables}
        found = [(path, m) for path, m in _matching(root, mapping.recordings) if path not in taken]
        if not found:
            log.error(
                ".",
                f"no file is called like {mapping.recordings!r}.",
                "Correct 'recordings' in the mapping; labels stand in braces.",
            )
        places = [
            (path, (m["subject"], m.get("session", ""), m.get("trial", ""))) for path, m in found
        ]
        return sorted(places, key=lambda item: tuple(map(_natural, item[1])))

    def _recording(self, path: Path, log: ProblemLog) -> dict[str, Any] | None:
        """Return names, rate and length of a recording, None after a fault."""
        assert self.mapping is not None
        where = relative(path, self.folder)
        told = (self.mapping.channels, self.mapping.sfreq)
        try:
            header: dict[str, Any] = self._cache.get(path, f"header {told}", self._look)
        except (FileFormatError, RecordingError) as error:
            log.error(where, str(error), "Copy the file again, or say more in the mapping.")
            return None
        known = [name for name in header["names"] if name is not None]
        if not self.channels:
            wanted = self.mapping.electrodes or known
            self.channels = tuple(
                dict.fromkeys(electrodes.canonical(name) or name for name in wanted)
            )
        lacking = [name for name in self.channels if name not in known]
        if lacking or not self.channels:
            log.error(
                where,
                f"lacks the electrodes {', '.join(lacking)}; it holds "
                f"{', '.join(known) or 'none'}.",
                "Name those that all files have by 'electrodes', or the files' channels by "
                "'channels'.",
            )
            return None
        return header

    def _look(self, path: Path) -> dict[str, Any]:
        with self._open(path) as raw:
            return {
                "names": [electrodes.canonical(name) for name in raw.ch_names],
                "sfreq": float(raw.info["sfreq"]),
                "n_samples": int(raw.n_times),
            }

    def _header_of(
        self,
        path: Path,
        place: Place,
        label: str,
        row: Row,
        recording: dict[str, Any],
        numbers: list[dict[str, int]],
        log: ProblemLog,
    ) -> TrialHeader | None:
        assert self.mapping is not None
        where = relative(path, self.folder)
        digits = re.findall(r"\d+", label)
        if not digits:
            log.error(where, f"the trial's label {label!r} holds no number.", "Rename the file.")
            return None
        number, sfreq = int(digits[-1]), recording["sfreq"]
        whole = recording["n_samples"] / sfreq
        table = self.mapping.table
        try:
            value = {k: _value(row, c, table) for k, c in _columns(table).items()} if row else {}
        except ValueError as error:
            log.error(where, f"trial {label}: {error}.", "Correct the table.")
            return None
        onset, duration = value.get("onset_s"), value.get("duration_s")
        onset = 0.0 if onset is None or place[2] else onset
        duration = whole - onset if duration is None else min(duration, whole - onset)
        if not (onset >= 0 and duration * sfreq >= 1):
            log.error(where, f"trial {label} lies outside the recording.", "Correct its times.")
            return None
        clip = row.get(table.clip, "").strip() if table is not None and table.clip else ""
        word = row.get(table.emotion, "").strip() if table is not None and table.emotion else ""
        ratings = {k: v for k, v in value.items() if k in self.facts.ratings and v is not None}
        return TrialHeader(
            subject=numbers[0][place[0]],
            session=numbers[1][place[1]],
            row=number,
            trial=number if self.mapping.in_order else None,
            clip_row=None,
            file=where,
            key=f"{onset:.3f}" if not place[2] else "whole",
            n_channels=len(self.channels),
            duration_s=round(duration * sfreq) / sfreq,
            onset_s=onset,
            sfreq=sfreq,
            ratings=ratings or None,
            clip=Clip(clip=f"{self.name}/{clip}") if clip else None,
            emotion=word.casefold() or None,
            session_name=place[1] or None,
        )

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[Any]:
        from affectrum.recordings import open_recording

        assert self.mapping is not None
        yield open_recording(
            path, channels=self.mapping.channels or None, sfreq=self.mapping.sfreq, notes=[]
        )

    def _signals(self, handle: Any, header: TrialHeader) -> tuple[np.ndarray[Any, Any], int]:
        assert self.mapping is not None
        names = [electrodes.canonical(name) for name in handle.ch_names]
        picks = [names.index(name) for name in self.channels]
        start = round(header.onset_s * header.sfreq)
        stop = start + round(header.duration_s * header.sfreq)
        x = handle.get_data(picks=picks, start=start, stop=stop, verbose="ERROR")
        return np.asarray(x, dtype=np.float64) * self.mapping.volts_per_unit, 0


def _facts(mapping: RecordingsMapping | None) -> CorpusFacts:
    told = None if mapping is None else mapping.facts
    table = None if mapping is None else mapping.table
    rated = (
        []
        if table is None
        else [
            name for name in ("valence", "arousal", "dominance") if getattr(table, name) is not None
        ]
    )
    name = "recordings" if mapping is None else mapping.corpus
    return CorpusFacts(
        name=name,
        title=(told.title if told else "") or name,
        lab=(told.lab if told else "") or name,
        summary=(told.summary if told else "") or "A folder of recordings, read by a mapping.",
        electrodes=(),
        electrodes_in_file=(),
        sfreq=0.0,
        raw_sfreq=0.0,
        unit=None,
        volts_per_unit=None,
        passband_hz=None,
        mains_hz=None,
        reference=None,
        n_subjects=0,
        n_sessions=0,
        trials_per_session=(),
        clips=(),
        row_order="presentation" if mapping is not None and mapping.in_order else "file",
        label_codes={},
        ratings=dict.fromkeys(rated, table.scale) if table is not None else {},
        plane_from="ratings" if {"valence", "arousal"} <= set(rated) else "emotion",
        trials_vary=True,
        baseline_s=0.0,
        n_samples=None,
        sex=None,
        clip_evidence="as the mapping says",
        licence=(told.licence if told else "") or "not stated",
        access="",
        url=told.url if told else "",
        citation=told.citation if told else "",
        doi=None,
        expected_folder="what the mapping says",
        notes=told.notes if told else (),
        class_schemes=(),
    )


def _matching(root: Path, text: str) -> list[tuple[Path, dict[str, str]]]:
    """Files whose path below the folder matches, with their labels."""
    pattern = pattern_of(text)
    depth = text.count("/")
    files = sorted(root.glob("/".join(["*"] * (depth + 1))))
    found = []
    for path in files:
        match = pattern.fullmatch(path.relative_to(root).as_posix())
        if match and path.is_file() and not is_junk(path.name):
            found.append((path, match.groupdict()))
    return found


def _read_tables(root: Path, table: Table | None, log: ProblemLog) -> list[tuple[Place, Row]]:
    """Rows of all tables with what they are about; empty labels fit every recording."""
    if table is None:
        return []
    files = _matching(root, table.file)
    if not files:
        log.error(".", f"no table is called like {table.file!r}.", "Correct table.file.")
    out: list[tuple[Place, Row]] = []
    needed = [
        table.trial,
        table.subject,
        table.session,
        *_columns(table).values(),
        table.clip,
        table.emotion,
    ]
    for path, labels in files:
        where = relative(path, root)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            log.error(where, f"can't be read ({error}).", "Save it as CSV in UTF-8.")
            continue
        first = text.partition("\n")[0]
        rows = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=first.count))
        names = [str(name).strip() for name in rows.fieldnames or ()]
        rows.fieldnames = names
        missing = [name for name in needed if name and name not in names]
        if missing:
            log.error(
                where,
                f"has no column {', '.join(dict.fromkeys(missing))}; its columns are "
                f"{', '.join(names)}.",
                "Name them in the mapping.",
            )
            continue
        for row in rows:
            values = {key: (value or "").strip() for key, value in row.items() if key}
            place = (
                values[table.subject] if table.subject else labels.get("subject", ""),
                values[table.session] if table.session else labels.get("session", ""),
                values[table.trial],
            )
            out.append((place, values))
    return out


def _columns(table: Table | None) -> dict[str, str]:
    """Columns that hold numbers, by what they mean."""
    names = ("valence", "arousal", "dominance", "onset_s", "duration_s")
    found = {name: getattr(table, name) for name in names} if table is not None else {}
    return {name: column for name, column in found.items() if column is not None}


def _value(row: Row, column: str, table: Table | None) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    number = float(text)
    if table is not None and column in (table.valence, table.arousal, table.dominance):
        low, high = table.scale
        if not low <= number <= high:
            raise ValueError(f"{column} {number:g} is outside the scale {low:g} to {high:g}")
    return number if np.isfinite(number) else None


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(p) if p.isdigit() else -1, p) for p in re.split(r"(\d+)", text))


def _same(told: str, label: str) -> bool:
    """Whether a table means a file's label: the same text, or the same number ("1" and "S01")."""
    if not told or not label or told == label:
        return True
    numbers = [re.findall(r"\d+", text) for text in (told, label)]
    plain = told.isdigit() or label.isdigit()
    return plain and all(numbers) and int(numbers[0][-1]) == int(numbers[1][-1])


def _numbered(labels: set[str]) -> dict[str, int]:
    """Number labels from 1: by the number in them where that tells them apart."""
    ordered = sorted(labels, key=_natural)
    digits = [re.findall(r"\d+", label) for label in ordered]
    numbers = [int(found[-1]) for found in digits if found]
    if len(set(numbers)) == len(ordered) and min(numbers, default=0) >= 1:
        return {label: int(found[-1]) for label, found in zip(ordered, digits, strict=True)}
    return {label: number for number, label in enumerate(ordered, start=1)}
