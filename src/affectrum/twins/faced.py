"""The layout of FACED: preprocessed pickles, features, original recordings, ratings.

The generator's trial is the last 30 s of a clip, which is all that the preprocessed form holds. In
the original recordings it is preceded by the rest of the clip (simulated without a stimulus) and
some seconds between the clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import faced as facts
from affectrum.twins.array_pickles import write_array_pickle
from affectrum.twins.bdf_event_files import write_events
from affectrum.twins.files import BdfChannel, write_bdf, write_text
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.mat_struct_files import Node, numbers, records, write_nested_mat
from affectrum.twins.seeds import derive_rng
from affectrum.twins.tsinghua import (
    SESSION,
    band_signals,
    canonical_of,
    processed_cap,
    ratings_of,
)

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs", "raw_cap", "timeline"]

FloatArray = NDArray[np.float64]

FORMS = ("processed", "features", "raw")
DEFAULT_FORMS = ("processed",)

_CHANNELS = (*facts.ELECTRODES, *facts.EARS)
_REST_S = 5  # seconds between clips (the real session's pauses are longer)
_BLOCK = 4  # clips between the marks of a block; chosen
_RANGE_UV = 375000.0  # of the amplifier; chosen
_OFFSET_UV = 2000.0  # electrode offsets of DC amplifiers reach millivolts; size chosen
_RAW_REFERENCE = (20.0, 180.0)  # a place behind the vertex; the vendor does not say


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    yield Job(Path("Recording_info.csv"), partial(_write_info, layout), small=True)
    for subject in layout.subjects:
        stem = facts.FILES[subject - 1]
        folder = Path("Data") / stem
        yield Job(folder / "After_remarks.mat", partial(_write_remarks, layout, subject))
        if "processed" in layout.forms:
            path = Path("Processed_data") / f"{stem}.pkl"
            yield Job(path, partial(_write_processed, layout, subject))
        if "features" in layout.forms:
            for name in facts.FEATURES:
                path = Path("EEG_Features") / name / f"{stem}.pkl.pkl"
                yield Job(path, partial(_write_features, layout, subject, name))
        if "raw" in layout.forms:
            yield Job(folder / "evt.bdf", partial(_write_events, layout, subject))
            yield Job(folder / "data.bdf", partial(_write_recording, layout, subject))


# tables and ratings ----------------------------------------------------------------------------


def _write_info(layout: Layout, path: Path) -> None:
    lines = ["sub,Gender,Age,Cohort ,Sample_rate,Unit"]  # the blank is the vendor's
    for subject in layout.subjects:
        rng = derive_rng(layout.generator.seed, "info", "FACED", subject)
        number = subject - 1
        gender = "F" if rng.random() < 75 / 123 else "M"
        cohort = 1 if facts.raw_names(number) == facts.RAW_COHORT_1 else 2
        unit = "n/a" if number in facts.RAW_UNIT_UNKNOWN_SUBJECTS else "uV"
        lines.append(
            f"{facts.FILES[number]},{gender},{int(rng.integers(17, 39))},{cohort},"
            f"{facts.raw_sfreq(number):g},{unit}"
        )
    write_text(path, "\n".join(lines) + "\n")


def _write_remarks(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    entries = []
    for position, row in enumerate(generator.presentation(subject, SESSION), start=1):
        rng = derive_rng(generator.seed, "answers", "FACED", subject, row)
        values = {
            "score": np.array([ratings_of(generator, subject, row)]),
            "trial": np.array([[float(position)]]),
            "vid": np.array([[float(row)]]),
            "Accuracy": np.array([[float(rng.random() < 0.9)]]),
            "ResponseTime": np.array([[float(np.round(rng.uniform(0.5, 3.0), 3))]]),
        }
        entries.append({name: _constant(value) for name, value in values.items()})
    after = records((facts.N_VIDEOS, 1), entries)
    write_nested_mat(path, [("After_remark", after)], compress=layout.compress)


def _constant(value: FloatArray) -> Node:
    return numbers(value.shape, lambda: value)


# preprocessed signals and features -------------------------------------------------------------


def _trials(generator: TwinGenerator, subject: int) -> Iterator[FloatArray]:
    """Yield the rows of the preprocessed file, each of shape (32, n_samples)."""
    cap = processed_cap(generator, _CHANNELS)
    for row in range(1, facts.N_VIDEOS + 1):
        yield to_file_values(generator.trial(subject, SESSION, row, cap).x[:, :-1])


def _write_processed(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    n_samples = generator.seconds(SESSION, 1) * round(generator.facts.sfreq)
    shape = (facts.N_VIDEOS, len(_CHANNELS), n_samples)
    write_array_pickle(path, shape, _trials(generator, subject))


def _write_features(layout: Layout, subject: int, name: str, path: Path) -> None:
    generator = layout.generator
    n_windows = generator.seconds(SESSION, 1)
    shape = (facts.N_VIDEOS, len(_CHANNELS), n_windows, len(facts.BANDS))
    sfreq = generator.facts.sfreq

    def rows() -> Iterator[FloatArray]:
        for x in _trials(generator, subject):
            power = _band_power(x, sfreq, n_windows)
            yield power if name == "PSD" else 0.5 * np.log(2 * np.pi * np.e * power)

    write_array_pickle(path, shape, rows())


def _band_power(x: FloatArray, sfreq: float, n_windows: int) -> FloatArray:
    """Return the mean square of each second in each band: shape (n_channels, n_windows, 5)."""
    bands = band_signals(x, sfreq)
    seconds = bands.reshape(*bands.shape[:2], n_windows, -1)
    return np.asarray(np.maximum((seconds**2).mean(axis=3), 1e-12).transpose(1, 2, 0))


# original recordings ---------------------------------------------------------------------------


def raw_cap(subject: int) -> Cap:
    """Return how a subject (from 1) was recorded: the cohort's channels, the recording's rate."""
    sfreq = facts.raw_sfreq(subject - 1)
    names = canonical_of(facts.raw_names(subject - 1))
    return Cap(names, sfreq, (0.0, 0.4 * sfreq), _RAW_REFERENCE, 1.0)


def timeline(generator: TwinGenerator, subject: int) -> list[tuple[int, int, int, int]]:
    """Return when each clip was shown, in the order of presentation.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    subject : int
        From 1.

    Returns
    -------
    list of (int, int, int, int)
        Row of the clip; seconds at which it begins, at which the trial of the generator begins
        within it, and at which it ends.
    """
    found, clock = [], 0
    for row in generator.presentation(subject, SESSION):
        seconds = generator.seconds(SESSION, row)
        longer = facts.VIDEO_SECONDS[row - 1] - facts.TRIAL_SECONDS
        start = clock + _REST_S
        begin = start + max(0, round(longer * seconds / facts.TRIAL_SECONDS))
        clock = begin + seconds
        found.append((row, start, begin, clock))
    return found


def _n_seconds(generator: TwinGenerator, subject: int) -> int:
    return timeline(generator, subject)[-1][3] + _REST_S


def _write_events(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    events: list[tuple[float, str]] = [(0.5, "100")]
    for position, (row, start, _, stop) in enumerate(timeline(generator, subject)):
        if position % _BLOCK == 0:
            events.append((start - 2.0, "201"))
        events += [
            (start - 0.5, str(row)),
            (float(start), str(facts.EVENT_VIDEO_ON)),
            (float(stop), str(facts.EVENT_VIDEO_OFF)),
        ]
        if position % _BLOCK == _BLOCK - 1:
            events.append((stop + 1.0, "202"))
    write_events(path, _n_seconds(generator, subject), events)


def _write_recording(layout: Layout, subject: int, path: Path) -> None:
    generator, number = layout.generator, subject - 1
    # the vendor's headers lost the Greek letter
    unit = "?V" if number in facts.RAW_UNIT_UNKNOWN_SUBJECTS else "uV"
    names = facts.raw_names(number)
    channels = [BdfChannel(name, unit, -_RANGE_UV, _RANGE_UV) for name in names]
    n_seconds = _n_seconds(generator, subject)
    sfreq = round(facts.raw_sfreq(number))
    write_bdf(path, channels, sfreq, n_seconds, _records(generator, subject))


def _records(generator: TwinGenerator, subject: int) -> Iterator[FloatArray]:
    cap = raw_cap(subject)
    rng = derive_rng(generator.seed, "offset", "FACED", subject)
    offset = _OFFSET_UV * rng.standard_normal((len(cap.electrodes), 1))
    clock = 0
    for position, (row, _, begin, stop) in enumerate(timeline(generator, subject), start=1):
        before = generator.rest(subject, SESSION, position, begin - clock, cap)
        yield before.x[:, :-1] + offset
        yield generator.trial(subject, SESSION, row, cap).x[:, :-1] + offset
        clock = stop
    last = generator.rest(subject, SESSION, facts.N_VIDEOS + 1, _REST_S, cap)
    yield last.x[:, :-1] + offset
