"""What the twins of SEED-V, SEED-FRA and SEED-GER share: recordings, and features of 4 s or 1 s."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.cnt_files import write_cnt
from affectrum.twins.generator import Cap, Trial, TwinGenerator
from affectrum.twins.jobs import to_file_values
from affectrum.twins.vendor_features import spectral_features

__all__ = ["differential_entropy", "recording_channels", "schedule", "write_recording"]

FloatArray = NDArray[np.float64]

_RAW_BAND = (0.05, 200.0)  # of the amplifier; chosen
_PAUSE_S = 5  # before, between and after shortened trials; chosen
_AFTER_S = 5  # the recording goes on for so long after the last clip; chosen
# At which rate and in which band the laboratory computes features (its SEED-VII code).
_FEATURE_RATE = 200.0
_FEATURE_BAND = (1.0, 75.0)


def schedule(
    generator: TwinGenerator, session: int, published: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int]]:
    """Return when the clips of a recording begin and end, in whole seconds.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    session : int
        As the catalogue counts.
    published : sequence of (int, int) or None
        The vendor's times, which are kept where trials have the vendor's lengths.

    Returns
    -------
    list of (int, int)
        Seconds.
    """
    if published is not None and generator.trial_seconds is None:
        return [(start, end) for start, end in published]
    second, times = 0, []
    for row in range(1, generator.facts.trials_per_session[session - 1] + 1):
        start = second + _PAUSE_S
        second = start + generator.seconds(session, row)
        times.append((start, second))
    return times


def recording_channels(generator: TwinGenerator) -> list[str]:
    """Return the channels of a recording: the mastoids between the electrodes, eyes at the end."""
    names = list(generator.facts.electrodes_in_file)
    for name, before in (("M1", "TP7"), ("M2", "P7")):
        names.insert(names.index(before), name)
    return [*names, "VEO", "HEO"]


def write_recording(
    generator: TwinGenerator,
    subject: int,
    session: int,
    times: Sequence[tuple[int, int]],
    path: Path,
) -> None:
    """Write the recording of a session, with nothing that marks the clips.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    subject, session : int
        From 1.
    times : sequence of (int, int)
        From `schedule`.
    path : Path
        The file.
    """
    sfreq = round(generator.facts.raw_sfreq)
    blocks = _blocks(generator, subject, session, times)
    write_cnt(path, recording_channels(generator), sfreq, blocks, ())


def _blocks(
    generator: TwinGenerator, subject: int, session: int, times: Sequence[tuple[int, int]]
) -> Iterator[FloatArray]:
    """Microvolts piece by piece, each of shape (n_channels, n_samples)."""
    cap = Cap(
        generator.facts.electrodes,
        generator.facts.raw_sfreq,
        _RAW_BAND,
        generator.cap.reference,
        1.0,
    )
    before = 0
    for row, (start, end) in enumerate(times, start=1):
        if start > before:
            rest = generator.rest(subject, session, row, start - before, cap)
            yield _rows(generator, rest)
        yield _rows(generator, generator.trial(subject, session, row, cap))
        before = end
    yield _rows(generator, generator.rest(subject, session, len(times) + 1, _AFTER_S, cap))


def _rows(generator: TwinGenerator, trial: Trial) -> FloatArray:
    """All channels of a piece without its last sample, in the order of the file."""
    names = generator.facts.electrodes_in_file
    rows = dict(zip(names, trial.x.astype(np.float64), strict=True))
    # plausible, not modelled: no method of the project reads them
    rows |= {
        "M1": 0.5 * rows["TP7"],
        "M2": 0.5 * rows["TP8"],
        "VEO": trial.eyes[0].astype(np.float64),
        "HEO": trial.eyes[1].astype(np.float64),
    }
    return np.stack([rows[name] for name in recording_channels(generator)])[:, :-1]


def differential_entropy(
    generator: TwinGenerator, subject: int, session: int, row: int, window_s: float
) -> FloatArray:
    """Return the features of a trial on the laboratory's scale, without smoothing.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    subject, session, row : int
        From 1.
    window_s : float
        Length of a window in seconds.

    Returns
    -------
    ndarray, shape (n_windows, n_electrodes, 5)
        The windows that fit in the trial.
    """
    cap = dataclasses.replace(generator.cap, sfreq=_FEATURE_RATE, passband=_FEATURE_BAND)
    x = to_file_values(generator.trial(subject, session, row, cap).x)
    n_windows = int(generator.seconds(session, row) / window_s)
    de, _ = spectral_features(x, _FEATURE_RATE, window_s, n_windows)
    return np.ascontiguousarray(de.transpose(1, 0, 2))
