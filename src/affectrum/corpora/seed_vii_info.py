"""What stands beside SEED-VII's signals: times of trials, self-reports, lists of labels.

How these files are laid out is known from the authors' code and public loaders, not from a
description. So each is recognised by what it holds, and one that is laid out otherwise is refused
with the reason.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from affectrum.catalog import seed_vii as catalogued
from affectrum.corpora.cache import FileCache
from affectrum.corpora.folders import (
    file_names,
    find_file,
    find_folders,
    matching_files,
    relative,
)
from affectrum.corpora.problems import ProblemLog
from affectrum.errors import FileFormatError
from affectrum.recordings import mat, xlsx

__all__ = ["SUBJECT_FILE", "SideFiles", "pairs_of", "seconds_of", "variables_of"]

SUBJECT_FILE: Final = re.compile(r"(?P<subject>\d{1,3})\.mat", re.IGNORECASE)

_MAX_BYTES: Final = 1_000_000
_EPOCH: Final = datetime(2000, 1, 1)
_AGAIN: Final = "Copy the file again from the vendor's archive."


def seconds_of(text: str) -> float:
    """Return a date with a time as seconds since the year 2000; raise ValueError if it is none."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is not None or ":" not in text:
        raise ValueError(f"no date with a time: {text!r:.40}")
    return (moment - _EPOCH).total_seconds()


def _table(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FileFormatError(f"{path}: larger than such lists are.")
        text = path.read_text(encoding="utf-8-sig")
        return [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    except OSError as error:
        raise FileFormatError(f"{path}: can't be read ({error.strerror or error}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: no table of text ({error}).") from None


def read_triggers(path: Path) -> dict[str, list[Any]]:
    """Read a ``*_trigger_info.csv``: code, date and time of each trigger, without a header.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        ``codes``: integers; ``seconds``: times in seconds since the year 2000.

    Raises
    ------
    FileFormatError
        The file can't be read, or a row is no code with a time.
    """
    codes, seconds = [], []
    for number, row in enumerate(_table(path), start=1):
        try:
            codes.append(int(row[0]))
            seconds.append(seconds_of(row[1]))
        except (ValueError, IndexError):
            raise FileFormatError(
                f"{path}: row {number} is no code with a date and time: {','.join(row)!r:.80}."
            ) from None
    return {"codes": codes, "seconds": seconds}


def pairs_of(codes: Sequence[int], times: Sequence[float]) -> list[tuple[float, float]]:
    """Pair beginnings with ends.

    Parameters
    ----------
    codes : sequence of int
        Triggers in order; beginnings and ends take turns, each with a code of its own.
    times : sequence of float
        When they occurred.

    Returns
    -------
    list of (float, float)
        One pair per trial of a session.

    Raises
    ------
    ValueError
        With the reason why they are no beginnings and ends of a session's trials.
    """
    expected = 2 * catalogued.N_TRIALS
    if len(codes) != expected:
        raise ValueError(f"{len(codes)} triggers instead of {expected}")
    if (*sorted(set(codes[0::2])), *sorted(set(codes[1::2]))) != catalogued.TRIGGER_CODES:
        first, second = catalogued.TRIGGER_CODES
        raise ValueError(f"its codes do not go {first}, {second}, {first}, {second} ...")
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ValueError("its triggers are not in the order of time")
    return list(zip(times[0::2], times[1::2], strict=True))


def read_save_info(path: Path) -> list[list[Any]]:
    """Read a ``*_save_info.csv``: the video's path with its emotion as a folder, the score last.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of [str, float]
        Emotion word and self-report (0 to 1) of each trial.

    Raises
    ------
    FileFormatError
        The file can't be read or is laid out otherwise.
    """
    rows: list[list[Any]] = []
    lowest, highest = catalogued.FACTS.ratings["induction"]
    for number, row in enumerate(_table(path), start=1):
        folders = re.split(r"[\\/]", ",".join(row[:-1]).casefold())
        words = [folder for folder in folders if folder in catalogued.CODES.values()]
        try:
            score = float(row[-1])
        except ValueError:
            score = float("nan")
        if len(words) != 1 or not lowest <= score <= highest:
            raise FileFormatError(
                f"{path}: row {number} is no video of one emotion with a score of {lowest:g} to "
                f"{highest:g}: {','.join(row)!r:.80}."
            )
        rows.append([words[0], score])
    if len(rows) != catalogued.N_TRIALS:
        raise FileFormatError(f"{path}: {len(rows)} rows instead of {catalogued.N_TRIALS}.")
    return rows


def read_label_list(path: Path) -> list[list[str]]:
    """Read emotion_label_and_stimuli_order.xlsx, without the rows that number the videos.

    Parameters
    ----------
    path : Path
        The workbook. Its rows of words alternate with rows of numbers; read in one go, the
        numbers look like forty more labels.

    Returns
    -------
    list of list of str
        The emotion words of each session.

    Raises
    ------
    FileFormatError
        The file can't be read or is laid out otherwise.
    """
    known = set(catalogued.CODES.values())
    cells = [[cell.casefold() for cell in row[1:]] for row in xlsx.read_cells(path)]
    rows = [[cell for cell in row if cell] for row in cells if known & set(row)]
    for row in rows:
        stray = [word for word in row if word not in known]
        if stray or len(row) != catalogued.N_TRIALS:
            raise FileFormatError(
                f"{path}: a row of words holds {len(row)} cells"
                + (f", among them {stray[0]!r}." if stray else ".")
            )
    if len(rows) != len(catalogued.EMOTIONS):
        raise FileFormatError(f"{path}: {len(rows)} rows of words instead of 4.")
    return rows


class SideFiles:
    """The files beside the signals.

    Parameters
    ----------
    folder : Path
        The corpus folder.
    root : Path
        The folder of the form that is read; what stands beside it counts too, for users who name
        an inner folder.
    cache : FileCache
        Keeps what was read between runs.
    log : ProblemLog
        Receives faults.
    """

    def __init__(self, folder: Path, root: Path, cache: FileCache, log: ProblemLog) -> None:
        self.folder = folder
        self._cache = cache
        self._tables: dict[str, Path] = {}
        self._continuous: Path | None = None
        for top in (folder, root.parent):
            for tables in find_folders(top, ["save_info"], accept=_holds_tables).values():
                for name in file_names(tables):
                    self._tables.setdefault(name.casefold(), tables / name)
            found = find_folders(top, ["continuous_labels"])
            self._continuous = self._continuous or found.get("continuous_labels")
        self._reports = self._self_reports(log)

    def times(self, stem: str, log: ProblemLog) -> list[tuple[float, float]] | None:
        """Return when the trials of a recording began and ended by save_info.

        Parameters
        ----------
        stem : str
            The recording's name without ``.cnt``.
        log : ProblemLog
            Receives the reason why a list can't be used.

        Returns
        -------
        list of (float, float) or None
            Seconds since the year 2000; None if there is no list that can be used.
        """
        path = self._tables.get(f"{stem}_trigger_info.csv".casefold())
        if path is None:
            return None
        try:
            triggers = self._cache.get(path, "triggers", read_triggers)
            return pairs_of(triggers["codes"], triggers["seconds"])
        except (FileFormatError, ValueError) as error:
            log.warning(relative(path, self.folder), f"can't be used: {error}.", _AGAIN)
            return None

    def _self_reports(self, log: ProblemLog) -> dict[tuple[int, int], list[float]]:
        """Return how well the emotion was induced, by subject and session."""
        reports: dict[tuple[int, int], list[float]] = {}
        for name, path in sorted(self._tables.items()):
            match = re.fullmatch(r"(\d{1,3})_\d{8}_([1-4])_save_info\.csv", name)
            if match is None:
                continue
            subject, session = int(match[1]), int(match[2])
            where = relative(path, self.folder)
            try:
                rows = self._cache.get(path, "save info", read_save_info)
            except FileFormatError as error:
                log.note(where, f"its self-reports were not read: {error}")
                continue
            if [word for word, _ in rows] != list(catalogued.EMOTIONS[session - 1]):
                log.warning(
                    where,
                    f"its videos are not those of session {session} in the vendor's list; its "
                    "self-reports were not read.",
                    "Restore the vendor's file.",
                )
                continue
            reports[subject, session] = [score for _, score in rows]
        return reports

    def reported(self, subject: int, session: int, row: int) -> dict[str, float] | None:
        """Return the self-report of a trial.

        Parameters
        ----------
        subject, session, row : int
            From 1.

        Returns
        -------
        dict of str to float or None
            How well the emotion was induced; None if it is not there.
        """
        scores = self._reports.get((subject, session))
        return None if scores is None else {"induction": scores[row - 1]}

    def check_label_list(self, log: ProblemLog) -> None:
        """Compare the vendor's list of labels with the catalogue.

        Parameters
        ----------
        log : ProblemLog
            Receives what differs.
        """
        path = find_file(self.folder, "emotion_label_and_stimuli_order.xlsx", depth=1)
        if path is None:
            log.note(
                "emotion_label_and_stimuli_order.xlsx",
                "missing; the labels come from the catalogue anyway.",
            )
            return
        where = relative(path, self.folder)
        try:
            found = self._cache.get(path, "labels", read_label_list)
        except FileFormatError as error:
            log.note(where, f"was not compared with the catalogue's labels: {error}")
            return
        for session, words in enumerate(catalogued.EMOTIONS, start=1):
            if found[session - 1] != list(words):
                log.error(
                    where,
                    f"session {session}: its words {found[session - 1]} are not the published "
                    f"{list(words)}.",
                    "Restore the vendor's file; if it is the vendor's, report the change.",
                )

    def read_continuous(self, subject: int, video: int) -> np.ndarray[Any, Any]:
        """Read the continuous label of a trial.

        Parameters
        ----------
        subject, video : int
            From 1.

        Returns
        -------
        ndarray, shape (n_points,)
            As the file has them.

        Raises
        ------
        FileFormatError
            The file is missing, damaged or laid out otherwise than public loaders found it.
        """
        folder = self._continuous
        path = None if folder is None else find_file(folder, f"{subject}.mat", depth=0)
        if path is None:
            there = "there is no such folder"
            if folder is not None:
                there = f"it holds {', '.join(file_names(folder)[:6]) or 'nothing'}"
            raise FileFormatError(
                f"{self.folder}: no continuous_labels/{subject}.mat ({there}). Copy the folder "
                "from the vendor's archive."
            )
        with mat.MatFile(path) as file:
            listed = {n: [list(v.shape), v.matlab_class] for n, v in file.variables.items()}
            if fault := _unknown_layout(listed):
                raise FileFormatError(f"{path}: {fault}. Its layout is not known; it was not read.")
            values = np.asarray(file.read(str(video)), dtype=np.float64).ravel()
        if not np.isfinite(values).all():
            raise FileFormatError(f"{path}: variable {video} holds NaN. Copy the file again.")
        return values

    def check_continuous(self, log: ProblemLog) -> None:
        """Note why the continuous labels can't be read, if so.

        Parameters
        ----------
        log : ProblemLog
            Receives the note.
        """
        folder = self._continuous
        if folder is None:
            return
        where = relative(folder, self.folder)
        for _, path in matching_files(folder, SUBJECT_FILE, log, self.folder)[:1]:
            try:
                fault = _unknown_layout(self._cache.get(path, "variables", variables_of))
            except FileFormatError as error:
                fault = str(error)
            if fault:
                log.note(where, f"continuous labels can't be read: {fault}.")
            return
        names = ", ".join(file_names(folder)[:6]) or "nothing"
        log.note(where, f"continuous labels can't be read: no {{subject}}.mat, but {names}.")


def variables_of(path: Path) -> dict[str, list[Any]]:
    """Return shape and class of each variable of a .mat file, as JSON can hold them."""
    return {name: [list(shape), kind] for name, (shape, kind) in mat.list_variables(path).items()}


def _unknown_layout(variables: dict[str, list[Any]]) -> str:
    """Return why variables are not laid out as public loaders found them, "" if they are."""
    videos = {str(video) for video in range(1, sum(catalogued.FACTS.trials_per_session) + 1)}
    names = ", ".join(list(variables)[:6]) or "no variable"
    if set(variables) != videos:
        return f"expected the variables 1 to 80, found {names}"
    for name, (shape, kind) in variables.items():
        if kind not in ("double", "single") or len(shape) != 2 or 1 not in shape or 0 in shape:
            return f"variable {name} is {kind} of shape {tuple(shape)}, no list of numbers"
    return ""


def _holds_tables(folder: Path) -> bool:
    return any(name.casefold().endswith("_info.csv") for name in file_names(folder))
