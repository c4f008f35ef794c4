"""Trials from the events of a BIDS recording, by the rules of its mapping."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from affectrum.corpora.bids_files import value_of
from affectrum.corpora.bids_parts import Behaviour, Clips, Emotion, Events, Rating, Select

__all__ = [
    "Found",
    "FoundTrial",
    "Table",
    "behaviour_rows",
    "clip_of",
    "clip_values",
    "find_trials",
    "number",
    "ratings_of",
    "whole",
    "word_of",
]

Table = dict[str, list[str]]

_SHORTEST_S: Final = 1.0
# times that were meant as seconds lie in the first hundredth of a recording if read as samples
_SQUEEZED: Final = 0.02


@dataclass
class FoundTrial:
    """One trial.

    Parameters
    ----------
    row : int
        The row of its start among the events, from 0.
    start, stop : int
        First sample and the one behind the last.
    session : str or None
        The context it belongs to.
    """

    row: int
    start: int
    stop: int
    session: str | None = None


@dataclass
class Found:
    """What the events of one recording hold.

    Parameters
    ----------
    trials : list of FoundTrial
        In the order of their starts.
    starts : list of int
        Rows of all starts in the order of time, those of trials that can't be used too.
    rest : (int, int) or None
        Samples of the stretch of rest.
    faults, warnings : list of (str, str)
        What is wrong and how to mend it; with a fault the recording can't be used.
    """

    trials: list[FoundTrial] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    rest: tuple[int, int] | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def whole(text: str | None) -> int | None:
    """Return the whole number that a cell holds ("788", "788.0"), None for anything else."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() else None


def number(text: str | None) -> float | None:
    """Return the finite number that a cell holds, None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def matches(select: Select, table: Table, column: str, row: int) -> bool:
    """Whether a row of events is meant by a rule."""
    if select.filled is not None:
        cells = table.get(select.filled)
        return cells is not None and value_of(cells[row]) is not None
    cell = table[column][row]
    if select.codes is not None:
        code = whole(cell)
        return code is not None and select.codes[0] <= code <= select.codes[1]
    code = whole(cell)
    return any(
        cell == str(value) or (code is not None and str(value) == str(code))
        for value in select.values
    )


def find_trials(table: Table, rule: Events, sfreq: float, n_samples: int) -> Found:
    """Return the trials of a recording.

    Parameters
    ----------
    table : dict of str to list of str
        Its events.
    rule : Events
        The mapping's part.
    sfreq : float
        Samples per second of the recording.
    n_samples : int
        Its length.

    Returns
    -------
    Found
        Trials, rest, and what is wrong.
    """
    found = Found()
    needed = {rule.column, rule.onset}
    selects = (rule.start, rule.stop.events, rule.rest_start, rule.rest_stop)
    needed |= {select.filled for select in selects if select is not None and select.filled}
    if rule.stop.duration_column:
        needed.add(rule.stop.duration_column)
    missing = sorted(needed - set(table))
    if missing:
        found.faults.append(
            (
                f"has no column {', '.join(missing)}; its columns are {', '.join(table)}.",
                "Correct the names in the mapping's part 'trials'.",
            )
        )
        return found
    times = [number(cell) for cell in table[rule.onset]]
    rows = [row for row, time in enumerate(times) if time is not None]
    rows.sort(key=lambda row: times[row] or 0.0)
    per_unit = 1.0 if rule.onset_unit == "seconds" else 1.0 / (rule.onset_sfreq or sfreq)
    seconds = {row: (times[row] or 0.0) * per_unit for row in rows}
    _check_times(found, [times[row] or 0.0 for row in rows], rule, sfreq, n_samples)
    if found.faults:
        return found
    starts = [k for k, row in enumerate(rows) if matches(rule.start, table, rule.column, row)]
    found.starts = [rows[k] for k in starts]
    for position, k in enumerate(starts):
        following = starts[position + 1] if position + 1 < len(starts) else len(rows)
        end = _end(table, rule, rows, seconds, k, following)
        _add(found, table, rule, rows[k], seconds[rows[k]], end, sfreq, n_samples)
    if rule.rest_start is not None and rule.rest_stop is not None:
        found.rest = _rest(table, rule, rows, seconds, sfreq, n_samples)
    return found


def _check_times(
    found: Found, times: Sequence[float], rule: Events, sfreq: float, n_samples: int
) -> None:
    """Tell seconds that were meant as samples, and the reverse."""
    last = max(times, default=0.0)
    if rule.onset_unit == "seconds" and last > 2 * n_samples / sfreq:
        likely = last <= n_samples
        found.faults.append(
            (
                f"its last onset is {last:g}, the recording lasts {n_samples / sfreq:.1f} s"
                + ("; the onsets count samples, it seems." if likely else "."),
                "Set trials.onset_unit to samples in the mapping."
                if likely
                else "The recording is cut, or the events are another recording's.",
            )
        )
    if rule.onset_unit == "samples":
        scale = sfreq / (rule.onset_sfreq or sfreq)
        fits = 0 < last <= n_samples / sfreq
        fractions = any(not time.is_integer() for time in times)
        if fits and last * scale < _SQUEEZED * n_samples and fractions:
            found.faults.append(
                (
                    f"its onsets end at {last:g}: they are seconds, not samples.",
                    "Set trials.onset_unit to seconds in the mapping.",
                )
            )


def _end(
    table: Table, rule: Events, rows: list[int], seconds: dict[int, float], k: int, following: int
) -> float | None:
    """Return the second at which a trial ends, None where nothing tells."""
    begin, stop = seconds[rows[k]], rule.stop
    end: float | None = None
    if stop.duration_s is not None:
        end = begin + stop.duration_s
    elif stop.duration_column is not None:
        duration = number(table[stop.duration_column][rows[k]])
        end = None if duration is None or duration <= 0 else begin + duration
    elif stop.next_event:
        end = next((seconds[row] for row in rows[k + 1 :] if seconds[row] > begin), None)
    elif stop.events is not None:
        later = (row for row in rows[k + 1 : following] if seconds[row] > begin)
        end = next(
            (seconds[row] for row in later if matches(stop.events, table, rule.column, row)), None
        )
    if stop.longest_s is not None:
        latest = begin + stop.longest_s
        end = latest if end is None else min(end, latest)
    return end


def _add(
    found: Found,
    table: Table,
    rule: Events,
    row: int,
    begin: float,
    end: float | None,
    sfreq: float,
    n_samples: int,
) -> None:
    where = f"row {row + 2} (onset {table[rule.onset][row]})"
    fix = "Look at the events; the trial is left out."
    if end is None:
        found.warnings.append((f"{where} begins a trial, and nothing tells where it ends.", fix))
        return
    start, stop = round(begin * sfreq), round(end * sfreq)
    if any(trial.start == start for trial in found.trials):
        found.warnings.append((f"{where} begins at the time of another trial.", fix))
        return
    if start < 0 or min(stop, n_samples) - start < _SHORTEST_S * sfreq:
        reason = "reaches beyond the recording" if stop > n_samples else "is shorter than 1 s"
        found.warnings.append((f"the trial of {where} {reason}.", fix))
        return
    if stop > n_samples:
        found.warnings.append(
            (
                f"the trial of {where} is cut: the recording ends {(stop - n_samples) / sfreq:.1f} "
                "s before it does.",
                "What is there is read.",
            )
        )
        stop = n_samples
    session = rule.sessions.get(table[rule.column][row]) if rule.sessions else None
    found.trials.append(FoundTrial(row, start, stop, session))


def _rest(
    table: Table,
    rule: Events,
    rows: list[int],
    seconds: dict[int, float],
    sfreq: float,
    n_samples: int,
) -> tuple[int, int] | None:
    assert rule.rest_start is not None
    assert rule.rest_stop is not None
    for k, row in enumerate(rows):
        if matches(rule.rest_start, table, rule.column, row):
            for later in rows[k + 1 :]:
                if matches(rule.rest_stop, table, rule.column, later):
                    start, stop = round(seconds[row] * sfreq), round(seconds[later] * sfreq)
                    return (start, min(stop, n_samples)) if start < stop else None
    return None


# labels --------------------------------------------------------------------------------------


def behaviour_rows(
    rule: Behaviour, events: Table, behaviour: Table, starts: Sequence[int]
) -> list[int] | str:
    """Return the row of the behaviour table for each trial, or why that can't be told.

    Parameters
    ----------
    rule : Behaviour
        The mapping's part.
    events, behaviour : dict of str to list of str
        The two tables.
    starts : sequence of int
        Rows of the starts of trials among the events.

    Returns
    -------
    list of int, or str
        Rows from 0, one per start; -1 for a trial without one.
    """
    n_rows = len(next(iter(behaviour.values()), []))
    if rule.join == "order":
        if n_rows != len(starts):
            return f"has {n_rows} rows for {len(starts)} trials, so they can't be joined by order."
        return list(range(n_rows))
    assert rule.event_column is not None
    assert rule.column is not None
    if rule.event_column not in events or rule.column not in behaviour:
        return f"can't be joined: no column {rule.event_column} or {rule.column}."
    keys = behaviour[rule.column]
    if len(set(keys)) != len(keys):
        return f"can't be joined: values of {rule.column} occur twice."
    places = {key: position for position, key in enumerate(keys)}
    cells = events[rule.event_column]
    return [places.get(cells[row], -1) for row in starts]


def clip_values(
    rule: Clips, column: str, onset: str, events: Table, starts: Sequence[int]
) -> list[str | None] | str:
    """Return what the events say of each trial's clip, or why that can't be told.

    Parameters
    ----------
    rule : Clips
        The mapping's part.
    column, onset : str
        Columns of codes and times.
    events : dict of str to list of str
        The table.
    starts : sequence of int
        Rows of the starts of trials, in the order of time.

    Returns
    -------
    list of (str or None), or str
        One per start.
    """
    if rule.column is not None:
        if rule.column not in events:
            return f"has no column {rule.column}."
        return [clip_of(rule, value_of(events[rule.column][row])) for row in starts]
    assert rule.codes is not None
    select = Select(codes=rule.codes)
    rows = [row for row in range(len(events[column])) if matches(select, events, column, row)]
    rows.sort(key=lambda row: number(events[onset][row]) or 0.0)
    # a code may come before or after the start it belongs to: they must alternate
    begins = [number(events[onset][row]) or 0.0 for row in starts]
    times = [number(events[onset][row]) or 0.0 for row in rows]
    if len(rows) != len(starts) or not (_alternate(times, begins) or _alternate(begins, times)):
        return (
            f"{len(rows)} codes of clips do not alternate with {len(starts)} starts, so clips are "
            "not known."
        )
    codes = [whole(events[column][row]) or 0 for row in rows]
    return [str(code - rule.subtract) for code in codes]


def _alternate(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether times come in turn: a first one, a second one, the next first one ..."""
    flat = [time for pair in zip(first, second, strict=True) for time in pair]
    return all(a <= b for a, b in pairwise(flat))


def clip_of(rule: Clips, value: str | None) -> str | None:
    """Return the clip's name in a cell, None where the cell names none."""
    match = None if value is None else re.fullmatch(rule.pattern, value)
    if match is None:
        return None
    text = match["clip"]
    code = whole(text)
    return str(code - rule.subtract) if code is not None else text


def word_of(rule: Emotion, value: str | None) -> tuple[str | None, bool]:
    """Return the emotion word of a cell, and whether the cell's value is known."""
    if value is None or value_of(value) is None:
        return None, True
    word = rule.words.get(value)
    return word, word is not None


def ratings_of(
    rules: dict[str, Rating], events: Table, rule: Events, starts: Sequence[int], index: int
) -> dict[str, float]:
    """Return the answers that were given to questions after a trial's start.

    Parameters
    ----------
    rules : dict of str to Rating
        The mapping's part; those with questions are looked for.
    events : dict of str to list of str
        The table.
    rule : Events
        Columns of codes and times.
    starts : sequence of int
        Rows of the starts of trials, in the order of time.
    index : int
        Which of them.

    Returns
    -------
    dict of str to float
        Points on the scale; without those that were not answered.
    """
    asked = {r.question: (name, r) for name, r in rules.items() if r.question is not None}
    times = [number(cell) for cell in events[rule.onset]]
    begin = times[starts[index]] or 0.0
    end = times[starts[index + 1]] if index + 1 < len(starts) else None
    rows = [
        row
        for row, time in enumerate(times)
        if time is not None and time >= begin and (end is None or time < end)
    ]
    rows.sort(key=lambda row: times[row] or 0.0)
    answers: dict[str, float] = {}
    current: tuple[str, Rating] | None = None
    for row in rows:
        code = whole(events[rule.column][row])
        if code in asked:
            current = asked[code]
        elif current is not None and code is not None:
            name, question = current
            assert question.answers is not None
            first, last = question.answers
            if first <= code <= last:
                answers[name] = question.scale[0] + (code - first)
                current = None
    return answers
