"""DEAP's participant_ratings.csv: when each video was shown to whom, and how it was rated."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import deap as catalogued
from affectrum.corpora.problems import ProblemLog

__all__ = ["Ratings", "read_ratings"]

_FIX = "Restore the vendor's file (the CSV export of the table, with its header row)."
_NEEDED = (
    "Participant_id",
    "Trial",
    "Experiment_id",
    *(c.title() for c in catalogued.LABEL_COLUMNS),
)
_N_TRIALS = 40


@dataclass(frozen=True)
class Ratings:
    """One subject's ratings.

    Parameters
    ----------
    videos : tuple of int
        Experiment_id of each trial, in the order of presentation.
    values : tuple of tuple of float
        Valence, arousal, dominance, liking of each trial, in the same order.
    """

    videos: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]

    def trial_of(self, video: int) -> int:
        """Return the position at which a video was shown, from 1."""
        return self.videos.index(video) + 1

    def video_of(self, trial: int) -> int:
        """Return the video that was shown at a position, both from 1."""
        return self.videos[trial - 1]

    def ratings_of(self, trial: int) -> dict[str, float]:
        """Return the ratings of the trial at a position, from 1, by name."""
        return dict(zip(catalogued.LABEL_COLUMNS, self.values[trial - 1], strict=True))

    def by_video(self, n_videos: int) -> NDArray[np.float64]:
        """Return all ratings in the order of the videos, shape (n_videos, 4)."""
        order = [self.trial_of(video) - 1 for video in range(1, n_videos + 1)]
        return np.asarray(self.values, dtype=np.float64)[order]


def read_ratings(path: Path, where: str, log: ProblemLog) -> dict[int, Ratings]:
    """Read the table.

    Parameters
    ----------
    path : Path
        participant_ratings.csv.
    where : str
        Its name for messages.
    log : ProblemLog
        Receives what is wrong.

    Returns
    -------
    dict of int to Ratings
        By subject; subjects whose rows are not complete are left out.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        log.error(where, f"can't be read ({error}).", _FIX)
        return {}
    lines = text.splitlines()
    separator = max(",;\t", key=lines[0].count) if lines else ","
    rows = list(csv.DictReader(lines, delimiter=separator))
    names = {str(name).strip().casefold(): name for name in (rows[0] if rows else {})}
    missing = [name for name in _NEEDED if name.casefold() not in names]
    if missing:
        log.error(where, f"lacks the columns {', '.join(missing)}.", _FIX)
        return {}
    column = {name: names[name.casefold()] for name in _NEEDED}
    found: dict[int, dict[int, tuple[int, tuple[float, ...]]]] = {}
    faults = []
    for line, row in enumerate(rows, start=2):
        try:
            numbers = [float(str(row[column[name]]).strip()) for name in _NEEDED]
        except ValueError:
            faults.append(f"line {line} has an empty or wrong cell")
            continue
        subject, trial, video = (int(number) for number in numbers[:3])
        trials = found.setdefault(subject, {})
        if trial in trials:
            faults.append(f"line {line}: subject {subject} has trial {trial} twice")
        trials[trial] = (video, tuple(numbers[3:]))
    complete = {}
    everything = set(range(1, _N_TRIALS + 1))
    for subject, trials in sorted(found.items()):
        if set(trials) != everything or {video for video, _ in trials.values()} != everything:
            faults.append(
                f"subject {subject}: Trial and Experiment_id must each count 1 to {_N_TRIALS} once"
            )
            continue
        ordered = [trials[trial] for trial in range(1, _N_TRIALS + 1)]
        complete[subject] = Ratings(
            tuple(video for video, _ in ordered), tuple(values for _, values in ordered)
        )
    if faults:
        more = f" (and {len(faults) - 4} more)" if len(faults) > 4 else ""
        log.error(where, "; ".join(faults[:4]) + more + ".", _FIX)
    return complete
