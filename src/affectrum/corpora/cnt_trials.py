"""Trials cut out of continuous NeuroScan recordings by their times; for the SEED corpora.

No trigger tells where a clip begins in these files: times come from a text file beside them, from
the catalogue or from the user, and the recording has to be long enough for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectrum.corpora.deap_original import electrode_picks
from affectrum.corpora.problems import ProblemLog
from affectrum.errors import FileFormatError
from affectrum.recordings.cnt import CntFile

__all__ = ["Stretch", "cut", "electrode_picks", "faults_of_times", "read_header", "read_stretch"]

_AGAIN = "Copy the file again from the vendor's archive, or move it away to go on without."


class Stretch(NamedTuple):
    """Where a trial lies: its row from 1, its first sample, and the one behind its last."""

    row: int
    start: int
    stop: int


def read_header(path: Path) -> dict[str, Any]:
    """Return what the trial table needs of a recording, as plain values for the cache.

    Parameters
    ----------
    path : Path
        A .cnt file.

    Returns
    -------
    dict
        ``names``, ``sfreq``, ``n_samples``, and in ``fault`` what is wrong with the table of
        events behind the samples, which trials do without.

    Raises
    ------
    FileFormatError
        The file is missing, damaged or of another format.
    """
    file = CntFile(path)
    fault = ""
    try:
        len(file.events)
    except FileFormatError as error:
        fault = str(error)
    return {
        "names": list(file.names),
        "sfreq": file.sfreq,
        "n_samples": file.n_samples,
        "fault": fault,
    }


def faults_of_times(times: Sequence[tuple[float, float]], n_trials: int) -> list[str]:
    """Return what is wrong with the times of a session's trials; empty if nothing is.

    Parameters
    ----------
    times : sequence of (float, float)
        Beginning and end of each trial, seconds.
    n_trials : int
        How many there have to be.

    Returns
    -------
    list of str
        One sentence each.
    """
    faults = []
    if len(times) != n_trials:
        faults.append(f"there are {len(times)} intervals for {n_trials} trials")
    if not all(np.isfinite(pair).all() and pair[0] >= 0 for pair in times):
        faults.append("a time is negative or no number")
    wrong = [row for row, (start, end) in enumerate(times, 1) if not end - start > 0.999]
    if wrong:
        faults.append(f"trial {wrong[0]} lasts less than a second")
    later = [row for row in range(1, len(times)) if times[row][0] < times[row - 1][1]]
    if later:
        faults.append(f"trial {later[0] + 1} begins before trial {later[0]} ends")
    return faults


def cut(
    header: dict[str, Any],
    times: Sequence[tuple[float, float]],
    channels: Sequence[str],
    sfreq: float,
    where: str,
    log: ProblemLog,
) -> list[Stretch]:
    """Return where the trials of one recording lie; faults go to the log.

    Parameters
    ----------
    header : dict
        From `read_header`.
    times : sequence of (float, float)
        Beginning and end of each trial, seconds, without faults.
    channels : sequence of str
        Canonical names of the electrodes that have to be there.
    sfreq : float
        The rate that the corpus documents, Hz.
    where : str
        The file, for messages.
    log : ProblemLog
        Receives the faults.

    Returns
    -------
    list of Stretch
        Trials that the recording holds whole.
    """
    if header["fault"]:
        log.warning(
            where, header["fault"], "The trials are read all the same; the file may be truncated."
        )
    _, missing = electrode_picks(header["names"], channels)
    if missing:
        shown = ", ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
        log.error(where, f"lacks the electrodes {shown}.", _AGAIN)
        return []
    rate, n_samples = header["sfreq"], header["n_samples"]
    if rate != sfreq:
        log.warning(
            where, f"sampled at {rate:g} Hz; {sfreq:g} is published.", "Was the file resampled?"
        )
    found = [
        Stretch(row, round(start * rate), round(end * rate))
        for row, (start, end) in enumerate(times, start=1)
    ]
    lost = [stretch.row for stretch in found if stretch.stop > n_samples]
    if lost:
        log.error(
            where,
            f"lasts {n_samples / rate:.1f} s, but the last clip ends at {times[-1][1]:g} s: "
            f"{len(lost)} trials from {lost[0]} on are cut.",
            "The recording is truncated, or the times are another's. " + _AGAIN,
        )
    return [stretch for stretch in found if stretch.stop <= n_samples]


def read_stretch(
    file: CntFile, channels: Sequence[str], start: int, n_samples: int
) -> np.ndarray[Any, Any]:
    """Read one trial.

    Parameters
    ----------
    file : CntFile
        The recording.
    channels : sequence of str
        Canonical names in the wanted order.
    start, n_samples : int
        First sample, and how many.

    Returns
    -------
    ndarray, shape (len(channels), n_samples)
        Volts, float64.

    Raises
    ------
    FileFormatError
        The file changed or is damaged.
    """
    picks, _ = electrode_picks(file.names, channels)
    return file.read(picks, start, start + n_samples)
