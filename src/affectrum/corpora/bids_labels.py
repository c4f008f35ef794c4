"""Clips, emotion words and self-reports of the trials of one BIDS recording."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from affectrum.corpora.bids_files import read_table, value_of
from affectrum.corpora.bids_mapping import BidsMapping
from affectrum.corpora.bids_parts import Felt
from affectrum.corpora.bids_trials import (
    Table,
    behaviour_rows,
    clip_of,
    clip_values,
    number,
    ratings_of,
    word_of,
)
from affectrum.errors import ConfigError, FileFormatError

__all__ = ["Labels", "Sequences", "join_labels", "read_sequences"]

_COLUMNS: Final = ("subject", "session", "trial", "clip")

_Cells = Callable[[str, str], list[str | None]]

Sequences = dict[tuple[int, str, int], str]
"""(subject, session as the data set names it, trial) -> clip."""


@dataclass
class Labels:
    """What is known of the trials of a recording, one entry per start of a trial.

    Parameters
    ----------
    clips, films, words, felt : list of (str or None)
        The clip's name, its film, the emotion word, the one that the person named.
    ratings : list of dict of str to float
        Self-reports.
    faults : list of str
        What could not be joined; the labels it would give are missing.
    unknown : list of str
        Values that stand for no emotion word in the mapping.
    strange : list of str
        Words of felt emotions that the mapping does not know.
    """

    clips: list[str | None]
    films: list[str | None]
    words: list[str | None]
    felt: list[str | None]
    ratings: list[dict[str, float]]
    faults: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)


def join_labels(
    mapping: BidsMapping, events: Table, behaviour: Table | None, starts: Sequence[int]
) -> Labels:
    """Return the labels of a recording's trials.

    Parameters
    ----------
    mapping : BidsMapping
        The mapping; its `trials` are needed.
    events : dict of str to list of str
        The table of events.
    behaviour : dict of str to list of str or None
        The table of behaviour, None where there is none.
    starts : sequence of int
        Rows of the starts of trials among the events, in the order of time.

    Returns
    -------
    Labels
        One entry per start.
    """
    n = len(starts)
    labels = Labels([None] * n, [None] * n, [None] * n, [None] * n, [{} for _ in range(n)])
    rows: dict[str, list[int]] = {"events": list(starts)}
    tables: dict[str, Table] = {"events": events}
    if mapping.behaviour is not None and behaviour is not None:
        joined = behaviour_rows(mapping.behaviour, events, behaviour, starts)
        if isinstance(joined, str):
            labels.faults.append(f"the table of behaviour {joined}")
        else:
            rows["behaviour"], tables["behaviour"] = joined, behaviour

    def cells(source: str, column: str) -> list[str | None]:
        """Return a column's values at the trials, None where there is none."""
        table = tables.get(source)
        if table is None:
            return [None] * n
        if column not in table:
            labels.faults.append(
                f"the table of {source} has no column {column}; its columns are {', '.join(table)}"
            )
            return [None] * n
        return [value_of(table[column][row]) if row >= 0 else None for row in rows[source]]

    _clips(mapping, events, starts, labels, cells)
    _ratings(mapping, events, starts, labels, cells)
    if mapping.felt is not None:
        _felt(mapping.felt, labels, cells(mapping.felt.source, mapping.felt.column))
    rule = mapping.emotion
    if rule is not None and rule.column is not None:
        for k, value in enumerate(cells(rule.source, rule.column)):
            word, known = word_of(rule, value)
            labels.words[k] = word
            if not known:
                labels.unknown.append(str(value))
    return labels


def _felt(rule: Felt, labels: Labels, cells: Sequence[str | None]) -> None:
    for k, cell in enumerate(cells):
        found = {
            match["word"].strip().casefold() for match in re.finditer(rule.pattern, cell or "")
        }
        labels.strange += sorted(found - set(rule.words))
        if len(found) == 1:
            labels.felt[k] = rule.words.get(found.pop())


def _clips(
    mapping: BidsMapping, events: Table, starts: Sequence[int], labels: Labels, cells: _Cells
) -> None:
    rule, trials = mapping.clips, mapping.trials
    if rule is None or trials is None:
        return
    if rule.column is not None:
        labels.clips = [clip_of(rule, value) for value in cells(rule.source, rule.column)]
    else:
        found = clip_values(rule, trials.column, trials.onset, events, starts)
        if isinstance(found, str):
            labels.faults.append(found)
        else:
            labels.clips = found
    if rule.film is not None:
        labels.films = cells(rule.source, rule.film)


def _ratings(
    mapping: BidsMapping, events: Table, starts: Sequence[int], labels: Labels, cells: _Cells
) -> None:
    for name, rule in mapping.ratings.items():
        if rule.column is None:
            continue
        for k, value in enumerate(cells(rule.source, rule.column)):
            point = number(value)
            if point is not None:
                labels.ratings[k][name] = point
    if mapping.trials is not None and any(r.question for r in mapping.ratings.values()):
        for k in range(len(starts)):
            labels.ratings[k] |= ratings_of(mapping.ratings, events, mapping.trials, starts, k)


def read_sequences(path: Path) -> Sequences:
    """Return which clip each person saw when, from a table that the user wrote.

    Parameters
    ----------
    path : Path
        Text with the columns subject, session, trial and clip, with commas or tabs between them;
        trials count from 1 within the session.

    Returns
    -------
    dict of (int, str, int) to str
        (subject, session, trial) -> clip.

    Raises
    ------
    ConfigError
        The file is missing, lacks a column, or names a trial twice.
    """
    try:
        if path.suffix.casefold() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = [row for row in csv.reader(file) if any(row)]
            header = [cell.strip() for cell in rows[0]] if rows else []
            table = {
                name: [row[k].strip() if k < len(row) else "" for row in rows[1:]]
                for k, name in enumerate(header)
            }
        else:
            table = read_table(path)
    except (OSError, UnicodeDecodeError, csv.Error, FileFormatError) as error:
        raise ConfigError(f"sequences: {path} can't be read ({error}).") from None
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise ConfigError(f"sequences: {path} lacks the column {', '.join(missing)}.")
    found: Sequences = {}
    for subject, session, trial, clip in zip(*(table[name] for name in _COLUMNS), strict=True):
        if not (subject.isdigit() and trial.isdigit() and clip):
            raise ConfigError(
                f"sequences: {path} has a row {subject!r}, {session!r}, {trial!r}, {clip!r}; "
                "subject and trial are whole numbers."
            )
        key = (int(subject), session, int(trial))
        if key in found:
            raise ConfigError(f"sequences: {path} names subject {key[0]}, trial {key[2]} twice.")
        found[key] = clip
    return found
