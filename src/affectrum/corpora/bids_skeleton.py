"""A first draft of a mapping, from what a BIDS data set holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from affectrum import electrodes
from affectrum.corpora.bids_files import BidsFile, DataSet, read_table, value_of
from affectrum.corpora.bids_mapping import ready_mappings
from affectrum.corpora.bids_parts import SUFFIXES
from affectrum.corpora.bids_recordings import read_header
from affectrum.errors import FileFormatError

__all__ = ["explain", "how_to", "skeleton"]

_SHOWN: Final = 12


def explain(data_set: DataSet) -> str:
    """Say in a sentence or two what a data set holds and what is needed to read it."""
    recordings = _recordings(data_set)
    subjects = len({file.entities["sub"] for file in recordings})
    endings = Counter(file.ending for file in recordings)
    kinds = ", ".join(f"{n} {ending}" for ending, n in endings.most_common()) or "no recordings"
    return (
        f"a BIDS data set ({data_set.description.get('Name', 'without a name')}) of {subjects} "
        f"subjects with {kinds}. BIDS does not say which events begin a trial, nor where labels "
        "stand: that takes a mapping."
    )


def _recordings(data_set: DataSet) -> list[BidsFile]:
    return data_set.recordings("eeg", tuple(s for s in SUFFIXES if s != ".npy"))


def skeleton(data_set: DataSet) -> str:
    """Return a mapping in YAML to be completed by hand.

    Parameters
    ----------
    data_set : DataSet
        The data set.

    Returns
    -------
    str
        YAML with comments; it names the tasks, columns and values that were found.
    """
    recordings = _recordings(data_set)
    tasks = sorted({f.entities["task"] for f in recordings if "task" in f.entities})
    lines = [
        "version: 1",
        f"corpus: {_name(data_set)}",
        "files:",
        f"  tasks: [{', '.join(tasks[:_SHOWN])}]",
    ]
    endings = sorted({file.ending for file in recordings}, key=SUFFIXES.index)
    lines.append(f"  extensions: [{', '.join(endings)}]")
    for entity, name in (("ses", "sessions"), ("run", "runs")):
        labels = sorted({f.entities[entity] for f in recordings if entity in f.entities})
        if labels:
            lines.append(f"  # {name}: [{', '.join(labels[:_SHOWN])}]")
    lines += _events(data_set, recordings)
    lines += _behaviour(data_set, recordings)
    lines += _signal(recordings)
    return "\n".join(lines)


def _name(data_set: DataSet) -> str:
    words = "".join(c if c.isalnum() else " " for c in str(data_set.description.get("Name", "")))
    return "-".join(words.split()[:3]) or "MyData"


def _events(data_set: DataSet, recordings: list[BidsFile]) -> list[str]:
    table, found = None, None
    for recording in recordings:
        for found in data_set.companions(recording, "events", ".tsv"):
            table = _table(found.path)
            if table:
                break
        if table:
            break
    if not table:
        return ["# no events.tsv was found: without one, trials have no times"]
    lines = ["trials:", "  # columns of events.tsv and their values:"]
    for name, cells in table.items():
        counts = Counter(cells)
        values = ", ".join(f"{value} ({n})" for value, n in counts.most_common(_SHOWN))
        more = " ..." if len(counts) > _SHOWN else ""
        lines.append(f"  #   {name}: {values}{more}"[:160])
    usual = ("trial_type", "value", "event_type")
    others = [name for name in table if name not in ("onset", "duration")]
    column = next((n for n in (*usual, *others) if n in table), "trial_type")
    frequent = [v for v, _ in Counter(table.get(column, [])).most_common() if value_of(v)]
    return [
        *lines,
        f"  column: {column}",
        "  onset_unit: seconds             # or samples",
        "  start:",
        f"    values: [{', '.join(repr(v) for v in frequent[:3])}]  # what begins a trial",
        "  stop:                       # one of events, next_event, duration_column, duration_s",
        "    duration_column: duration",
        "clips:                            # which clip was shown; leave out if nothing tells",
        "  column: stim_file",
        "emotion:",
        f"  column: {column}",
        "  words: {happy-1: happy}         # the data set's value: emotion word",
        "ratings:",
        "  valence: {column: valence, scale: [1, 9]}",
        "  arousal: {column: arousal, scale: [1, 9]}",
    ]


def _behaviour(data_set: DataSet, recordings: list[BidsFile]) -> list[str]:
    for recording in recordings:
        for found in data_set.companions(recording, "beh", ".tsv"):
            columns = _table(found.path)
            if columns:
                return [
                    "behaviour:                        # then use source: behaviour above",
                    f"  # columns: {', '.join(columns)}"[:160],
                    "  join: order",
                ]
    return []


def _signal(recordings: list[BidsFile]) -> list[str]:
    for recording in recordings:
        try:
            names = read_header(recording.path)["names"]
        except FileFormatError:
            continue
        known = electrodes.canonical_names(names) if names else []
        unknown = [n for n, k in zip(names, known, strict=True) if k is None]
        lines = ["signal:", "  unit: auto"]
        if unknown:
            lines.append(
                f"  # {len(unknown)} channels have no name of the 10-05 system: "
                f"{', '.join(unknown[:_SHOWN])}"[:160]
            )
            lines.append("  rename: {}                      # e.g. {E22: Fp1}")
        return lines
    return []


def _table(path: Path) -> dict[str, list[str]]:
    try:
        return read_table(path)
    except FileFormatError:
        return {}


def how_to(data_set: DataSet) -> str:
    """Return what to do about a missing mapping, the draft included."""
    return (
        f"Pass options={{'mapping': NAME_OR_FILE}}. Ready mappings are "
        f"{', '.join(ready_mappings())}. A draft to complete for this data set:\n"
        f"{skeleton(data_set)}"
    )
