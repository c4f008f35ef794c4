"""GAMEEMO: one .csv file per person and game, raw and preprocessed.

Copies of the corpus differ in how deep the files lie, so folders are told by their names.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum import electrodes
from affectrum.corpora.base import Corpus
from affectrum.corpora.folders import is_junk, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER
from affectrum.errors import FileFormatError, UnsafeFileError

__all__ = ["READER", "GameemoCorpus"]

_FILE: Final = re.compile(
    r"S(?P<subject>\d{1,2})G(?P<game>[1-4])All(?P<raw>Raw)?Channels\.csv", re.IGNORECASE
)
_SUBJECT: Final = re.compile(r"\(?S(?P<subject>\d{1,2})\)?", re.IGNORECASE)
_FORM: Final = re.compile(r"(raw|preprocessed)([ _]?eeg)?([ _]?data)?", re.IGNORECASE)
_CSV: Final = re.compile(r"\.?csv.*", re.IGNORECASE)
_ANY_LEVELS: Final = 2  # folders of any name are looked into so far down
_LEVELS: Final = 6
_MAX_BYTES: Final = 256_000_000
_AGAIN: Final = "Copy the file again from the vendor's archive, or move it away to go on without."


class GameemoCorpus(Corpus):
    """Reader of GAMEEMO; see `Corpus`.

    ``read`` returns the 14 electrodes in the order of the catalogue, taken by the names of the
    columns.
    """

    name = "GAMEEMO"
    forms = ("preprocessed", "raw")
    signal_forms = forms

    @classmethod
    def find_forms(cls, folder: Path) -> dict[str, Path]:
        """See `Corpus.find_forms`."""
        found: dict[str, Path] = {}
        for form, _, _ in _files(folder):
            found.setdefault(form, folder)
            if len(found) == len(cls.forms):
                break
        return found

    def _scan(self, root: Path, log: ProblemLog) -> list[TrialHeader]:
        headers: list[TrialHeader] = []
        seen: dict[tuple[int, int], str] = {}
        for form, match, path in _files(root):
            if form != self.form:
                continue
            subject, game = int(match["subject"]), int(match["game"])
            where = relative(path, self.folder)
            places = [m for part in path.parts[-4:-1] if (m := _SUBJECT.fullmatch(part))]
            if not 1 <= subject <= self.facts.n_subjects:
                log.error(where, f"GAMEEMO has {self.facts.n_subjects} subjects.", "Move it away.")
            elif places and int(places[-1]["subject"]) != subject:
                log.error(
                    where,
                    f"the file is named after subject {subject}, its folder after subject "
                    f"{int(places[-1]['subject'])}.",
                    "Restore the vendor's folder: whose recording it is can't be told.",
                )
            elif (subject, game) in seen:
                log.error(
                    where,
                    f"subject {subject}, game {game} stands in {seen[subject, game]} already.",
                    "Leave one of the two.",
                )
            else:
                seen[subject, game] = where
                header = self._header_of(subject, game, path, where, log)
                headers += [] if header is None else [header]
        log.note(
            ".",
            "self-reports (SAM) are distributed as pdf only, so the columns of ratings are empty.",
        )
        return headers

    def _header_of(
        self, subject: int, game: int, path: Path, where: str, log: ProblemLog
    ) -> TrialHeader | None:
        try:
            header = self._cache.get(path, "header", _header)
        except FileFormatError as error:
            log.error(where, str(error), _AGAIN)
            return None
        missing = [name for name in self.channels if name not in header["names"]]
        twice = [name for name in self.channels if header["names"].count(name) > 1]
        n_samples = header["n_samples"]
        if missing or twice:
            what = f"lacks the columns {', '.join(missing)}" if missing else "has columns twice: "
            log.error(where, f"{what}{'' if missing else ', '.join(twice)}.", _AGAIN)
            return None
        if n_samples < self.facts.sfreq:
            log.error(where, f"{n_samples} rows: less than a second.", _AGAIN)
            return None
        expected = self.facts.n_samples[0][game - 1] if self.facts.n_samples else n_samples
        if n_samples != expected and self.form == "preprocessed" and not self.simulated:
            log.warning(
                where,
                f"{n_samples} samples; {expected} are published.",
                "Was the file cut or resampled?",
            )
        return TrialHeader(
            subject=subject,
            session=1,
            row=game,
            trial=None,
            clip_row=game,
            file=where,
            key=f"G{game}",
            n_channels=len(self.channels),
            duration_s=n_samples / self.facts.sfreq,
            onset_s=0.0,
            sfreq=self.facts.sfreq,
        )

    # reading

    @contextmanager
    def _open(self, path: Path) -> Iterator[np.ndarray[Any, Any]]:
        yield _read(path, self.channels)

    def _signals(
        self, handle: np.ndarray[Any, Any], header: TrialHeader
    ) -> tuple[np.ndarray[Any, Any], int]:
        return handle * VOLTS_PER["uV"], 0


def _files(top: Path) -> Iterator[tuple[str, re.Match[str], Path]]:
    """Yield form, name and path of the files below a folder of which a name tells the form."""
    form = ""
    for part in top.absolute().parts[-2:]:  # a user may name the innermost folder
        found = _FORM.fullmatch(part)
        form = found[1].casefold() if found else form
    yield from _walk(top, form, 0)


def _walk(folder: Path, form: str, depth: int) -> Iterator[tuple[str, re.Match[str], Path]]:
    try:
        with os.scandir(folder) as entries:
            # the vendor's ".csv format" looks like a hidden folder
            kept = [e for e in entries if not is_junk(e.name) or _CSV.fullmatch(e.name)]
    except OSError:
        return
    for entry in sorted(kept, key=lambda e: e.name):
        match = _FILE.fullmatch(entry.name)
        if match is not None:
            told = "raw" if match["raw"] else form
            if told:
                yield told, match, Path(entry.path)
            continue
        named = _FORM.fullmatch(entry.name)
        known = named or _SUBJECT.fullmatch(entry.name) or _CSV.fullmatch(entry.name)
        if depth >= _LEVELS or (depth >= _ANY_LEVELS and not known):
            continue
        if not entry.name.casefold().endswith(".csv"):
            inner = named[1].casefold() if named else form
            yield from _walk(Path(entry.path), inner, depth + 1)


# .csv ----------------------------------------------------------------------------------------


def _columns(path: Path) -> tuple[list[str | None], str]:
    """Return the canonical names of a file's columns, None for others, and the separator."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UnsafeFileError(f"{path}: larger than {_MAX_BYTES} bytes; no recording is.")
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline()
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror or error}).") from None
    separator = max(",;\t", key=first.count)
    cells = [cell.strip().strip('"').strip() for cell in first.rstrip("\r\n").split(separator)]
    return [electrodes.canonical(cell) for cell in cells], separator


def _header(path: Path) -> dict[str, Any]:
    """Return the names of the columns and the number of rows."""
    names, separator = _columns(path)
    n_samples, first, last = 0, "", ""
    with path.open(encoding="latin-1") as file:
        file.readline()
        for line in file:
            if line.strip():
                n_samples += 1
                first, last = first or line, line
    if last.count(separator) < first.count(separator):
        raise FileFormatError(f"{path}: truncated: its last row is shorter than the others.")
    return {"names": names, "n_samples": n_samples}


def _read(path: Path, channels: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return the numbers of the named columns: shape (n_channels, n_samples)."""
    import pandas as pd

    names, separator = _columns(path)
    missing = [name for name in channels if name not in names]
    if missing:
        raise FileFormatError(f"{path}: lacks the columns {', '.join(missing)}. {_AGAIN}")
    places = [names.index(name) for name in channels]
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            header=None,
            skiprows=1,
            dtype=dict.fromkeys(places, np.float64),
            skipinitialspace=True,
            quoting=csv.QUOTE_NONE,
            encoding="latin-1",
        )
        return np.ascontiguousarray(frame[places].to_numpy().T)
    except (ValueError, KeyError, OSError, OverflowError, MemoryError) as error:
        raise FileFormatError(f"{path}: is no table of numbers ({error}). {_AGAIN}") from None


READER = GameemoCorpus
