"""The layout of DEAP: Python pickles, MATLAB files, original BioSemi recordings, ratings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import deap as facts
from affectrum.twins.files import BdfChannel, write_bdf, write_deap_pickle, write_mat, write_text
from affectrum.twins.generator import Cap, Rating, Trial, TwinGenerator
from affectrum.twins.head import MUSCLES
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.seeds import derive_rng

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs"]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

FORMS = ("python", "matlab", "original")
DEFAULT_FORMS = ("python",)

_SESSION = 1
# BioSemi: 512 Hz, low-pass at a fifth of the rate; its reference electrode CMS sits behind the
# vertex on the left. Eye movements are still in.
_ORIGINAL_BAND = (0.0, 104.0)
_CMS = (15.0, -140.0)
_OFFSET_UV = 4000.0  # electrode offsets of DC amplifiers reach millivolts; size chosen
_REST_S = 4  # seconds between trials (the real session's pauses are longer)
_HIGH_BITS = 1703680  # on the Status channel of subjects 24-32
_EVENT_SAMPLES = 26  # how long a code stays; chosen
_EXTERNAL = tuple(f"EXG{k}" for k in range(1, 9))
_SENSORS = ("GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Plet", "Temp")


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    yield Job(
        Path("metadata_csv") / "participant_ratings.csv",
        partial(_write_ratings, layout),
        small=True,
    )
    writers = {"python": _write_python, "matlab": _write_matlab, "original": _write_original}
    suffix = {"python": "dat", "matlab": "mat", "original": "bdf"}
    folders = {
        "python": "data_preprocessed_python",
        "matlab": "data_preprocessed_matlab",
        "original": "data_original",
    }
    for form in layout.forms:
        for subject in layout.subjects:
            path = Path(folders[form]) / f"{facts.FILES[subject - 1]}.{suffix[form]}"
            yield Job(path, partial(writers[form], layout, subject))


# ratings -------------------------------------------------------------------------------------


def _on_scale(rating: Rating) -> list[float]:
    """Ratings as given on the 1-9 slider, two decimals."""
    low, high = facts.FACTS.ratings["valence"]
    middle, half = (low + high) / 2, (high - low) / 2
    return [float(np.clip(np.round(middle + half * v, 2), low, high)) for v in rating.reported]


def _labels(generator: TwinGenerator, subject: int) -> FloatArray:
    n_videos = generator.facts.trials_per_session[0]
    rows = range(1, n_videos + 1)
    return np.array([_on_scale(generator.rating(subject, _SESSION, row)) for row in rows])


def _write_ratings(layout: Layout, path: Path) -> None:
    generator = layout.generator
    lines = [",".join(facts.RATING_COLUMNS)]
    low, high = facts.FAMILIARITY_SCALE
    for subject in layout.subjects:
        clock = 10_000_000
        for position, row in enumerate(generator.presentation(subject, _SESSION), start=1):
            rating = generator.rating(subject, _SESSION, row)
            familiarity = str(int(low + np.floor(rating.familiarity * (high - low + 1))))
            if subject in facts.FAMILIARITY_MISSING:
                familiarity = ""
            values = ",".join(f"{value:g}" for value in _on_scale(rating))
            lines.append(f"{subject},{position},{row},{clock},{values},{familiarity}")
            clock += 1_000_000 * (generator.seconds(_SESSION, row) + _REST_S)
    write_text(path, "\n".join(lines) + "\n")


# preprocessed forms --------------------------------------------------------------------------


def _rows(generator: TwinGenerator, subject: int, row: int) -> FloatArray:
    """All 40 rows of a video: shape (40, n_samples)."""
    trial = generator.trial(subject, _SESSION, row)
    sfreq = round(generator.facts.sfreq)
    sensors = _peripheral(generator, subject, f"trial {row}", trial, sfreq)
    eeg = trial.x[:, :-1]
    return to_file_values(np.concatenate([eeg, sensors[:, :-1]]))


def _shape(generator: TwinGenerator) -> tuple[int, int, int]:
    seconds = int(generator.facts.baseline_s) + generator.seconds(_SESSION, 1)
    n_channels = len(facts.ELECTRODES) + len(facts.PERIPHERAL)
    n_videos = generator.facts.trials_per_session[0]
    return n_videos, n_channels, seconds * round(generator.facts.sfreq)


def _write_python(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    shape = _shape(generator)
    videos = (_rows(generator, subject, row) for row in range(1, shape[0] + 1))
    write_deap_pickle(path, _labels(generator, subject), shape, videos)


def _write_matlab(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    n_videos = _shape(generator)[0]
    data = np.stack([_rows(generator, subject, row) for row in range(1, n_videos + 1)])
    variables = [("data", data), ("labels", _labels(generator, subject))]
    write_mat(path, variables, compress=layout.compress)


def _peripheral(
    generator: TwinGenerator, subject: int, part: str, trial: Trial, sfreq: int
) -> Float32Array:
    """Eyes, muscles and body, in the order of the preprocessed files: shape (8, n_samples).

    Plausible, not modelled: no method of the project reads them.
    """
    rng = derive_rng(generator.seed, "body", generator.facts.name, subject, part)
    t = np.arange(trial.x.shape[1]) / sfreq
    breath, pulse = rng.uniform(0.2, 0.3), rng.uniform(1.0, 1.3)
    phase = rng.uniform(0.0, 2 * np.pi, size=2)
    muscle = list(MUSCLES)
    rows = [
        trial.eyes[1],
        trial.eyes[0],
        trial.muscles[muscle.index("temporal left")],
        trial.muscles[muscle.index("neck left")],
        100.0 * (rng.standard_normal() + 0.2 * np.sin(2 * np.pi * t / 20.0 + phase[0])),
        500.0 * np.sin(2 * np.pi * breath * t + phase[0]),
        300.0 * np.sin(2 * np.pi * pulse * t + phase[1]),
        0.5 * (rng.standard_normal() + t / max(float(t[-1]), 1.0)),
    ]
    return np.stack([np.broadcast_to(row, t.shape) for row in rows]).astype(np.float32)


# original recordings -------------------------------------------------------------------------


def _write_original(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    sfreq = round(generator.facts.raw_sfreq)
    channels = _channels(subject)
    length = int(generator.facts.baseline_s) + generator.seconds(_SESSION, 1) + _REST_S
    n_records = length * generator.facts.trials_per_session[0]
    write_bdf(path, channels, sfreq, n_records, _records(generator, subject, sfreq))


def electrode_order(subject: int) -> tuple[str, ...]:
    """Electrodes in the order in which a subject was recorded."""
    return facts.TWENTE_ORDER if subject in facts.TWENTE_SUBJECTS else facts.ELECTRODES


def _channels(subject: int) -> list[BdfChannel]:
    microvolts = [*electrode_order(subject), *_EXTERNAL]
    channels = [BdfChannel(name, "uV", -262144.0, 262143.0) for name in microvolts]
    unit = {"GSR1": "Ohm" if subject in facts.TWENTE_SUBJECTS else "nS"}
    for name in _SENSORS:
        channels.append(BdfChannel(name, unit.get(name, "uV"), -262144.0, 262143.0))
    # unnamed where readers that number equal names see "-0" and "-1"
    named = "Status" if subject <= 23 else ""
    n_status = facts.n_channels_raw(subject) - len(channels)
    channels += [BdfChannel(named, "Boolean", -8388608.0, 8388607.0)] * n_status
    return channels


def _records(generator: TwinGenerator, subject: int, sfreq: int) -> Iterator[FloatArray]:
    """Physical values of the session, trial by trial: shape (n_channels, whole seconds)."""
    cap = Cap(electrode_order(subject), float(sfreq), _ORIGINAL_BAND, _CMS, 1.0)
    rng = derive_rng(generator.seed, "offset", generator.facts.name, subject)
    offset = _OFFSET_UV * rng.standard_normal((len(cap.electrodes), 1))
    before = int(generator.facts.baseline_s) * sfreq
    high_bits = _HIGH_BITS if subject > 23 else 0
    for position, row in enumerate(generator.presentation(subject, _SESSION), start=1):
        rest = generator.rest(subject, _SESSION, position, _REST_S, cap)
        trial = generator.trial(subject, _SESSION, row, cap)
        pieces = [_raw_rows(generator, subject, f"rest {position}", rest, offset, sfreq)]
        pieces.append(_raw_rows(generator, subject, f"trial {row}", trial, offset, sfreq))
        values = np.concatenate(pieces, axis=1)
        status = np.zeros(values.shape[1])
        start = _REST_S * sfreq
        events = {
            start: facts.EVENT_BEFORE_TRIAL,
            start + before: facts.EVENT_VIDEO_START,
            values.shape[1] - _EVENT_SAMPLES: facts.EVENT_AFTER_VIDEO,
        }
        for sample, code in events.items():
            status[sample : sample + _EVENT_SAMPLES] = code
        n_status = facts.n_channels_raw(subject) - values.shape[0]
        empty = np.zeros((n_status - 1, status.size))
        yield np.concatenate([values, empty, status[None] + high_bits])


def _raw_rows(
    generator: TwinGenerator,
    subject: int,
    part: str,
    trial: Trial,
    offset: FloatArray,
    sfreq: int,
) -> FloatArray:
    """EEG, external electrodes and sensors of a piece, without its last sample."""
    body = _peripheral(generator, subject, part, trial, sfreq).astype(np.float64)
    zero = np.zeros(body.shape[1])
    # EXG1-4 around the eyes, EXG5-8 two bipolar muscles
    external = [body[0], -body[0], body[1], -body[1], body[2], zero, body[3], zero]
    sensors = [body[4], zero, zero, zero, body[5], body[6], body[7]]
    eeg = trial.x.astype(np.float64) + offset
    return np.concatenate([eeg, np.stack([*external, *sensors])])[:, :-1]
