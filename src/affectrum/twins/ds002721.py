"""The layout of ds002721: six runs of EDF per person, four of them with music."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import ds002721 as facts
from affectrum.twins.bids_files import (
    EdfChannel,
    write_description,
    write_edf,
    write_json,
    write_tsv,
)
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.seeds import derive_rng

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs"]

FloatArray = NDArray[np.float64]

FORMS = ("raw",)
DEFAULT_FORMS = ("raw",)

_SESSION = 1
_SFREQ = 1000
_RUNS = 6
_PER_RUN = 10
_CROSS_S, _ANSWERS_S = 2, 5
_REST_S = 300  # runs 1 and 6
_RANGE_UV = (-3276.8, 3276.7)
_ASK_S = 0.5  # from one question to the next


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    description = partial(
        write_description,
        name=facts.FACTS.title,
        version="1.0.2",
        doi="10.18112/openneuro.ds002721.v1.0.2",
    )
    yield Job(Path("dataset_description.json"), description, small=True)
    for subject in layout.subjects:
        label = f"sub-{subject:02d}"
        for run in range(1, _RUNS + 1):
            stem = Path(label) / "eeg" / f"{label}_task-run{run}"
            yield Job(Path(f"{stem}_eeg.edf"), partial(_write_run, layout, subject, run))
            yield Job(Path(f"{stem}_eeg.json"), partial(_write_sidecar, run))
            yield Job(
                Path(f"{stem}_events.tsv"), partial(_write_events, layout, subject, run), small=True
            )
            yield Job(Path(f"{stem}_channels.tsv"), _write_channels, small=True)


def _rows(run: int) -> range:
    """Return the rows of the session that a run holds."""
    if run not in facts.MUSIC_RUNS:
        return range(0)
    first = facts.MUSIC_RUNS.index(run) * _PER_RUN + 1
    return range(first, first + _PER_RUN)


def _rest_s(generator: TwinGenerator) -> int:
    return _REST_S if generator.trial_seconds is None else round(generator.trial_seconds)


def _parts(generator: TwinGenerator, subject: int, run: int) -> Iterator[FloatArray]:
    rows = _rows(run)
    if not rows:
        x = generator.rest(subject, _SESSION, 1000 + run, _rest_s(generator)).x
        yield x[:, :-1].astype(np.float64)
    for row in rows:
        pieces = [
            generator.rest(subject, _SESSION, 2 * row, _CROSS_S).x,
            generator.trial(subject, _SESSION, row).x,
            generator.rest(subject, _SESSION, 2 * row + 1, _ANSWERS_S).x,
        ]
        x = np.concatenate([piece[:, :-1] for piece in pieces], axis=1)
        yield x.astype(np.float64)


def _write_run(layout: Layout, subject: int, run: int, path: Path) -> None:
    generator = layout.generator
    lengths = [_CROSS_S + generator.seconds(_SESSION, r) + _ANSWERS_S for r in _rows(run)]
    channels = [EdfChannel(name, "uV", *_RANGE_UV) for name in facts.ELECTRODES_IN_FILE]
    seconds = sum(lengths) or _rest_s(generator)
    write_edf(path, channels, _SFREQ, seconds, _parts(generator, subject, run))


def _write_sidecar(run: int, path: Path) -> None:
    content = {
        "TaskName": f"run{run}",
        "SamplingFrequency": _SFREQ,
        "EEGReference": "FCz",
        "PowerLineFrequency": 50,
        "EEGChannelCount": len(facts.ELECTRODES_IN_FILE),
    }
    write_json(path, content)


def _write_channels(path: Path) -> None:
    names = facts.ELECTRODES_IN_FILE
    write_tsv(path, {"name": names, "type": ["EEG"] * len(names), "units": ["uV"] * len(names)})


def answers(generator: TwinGenerator, subject: int, row: int) -> list[int]:
    """Answers (1 to 5) to the eight questions after a clip."""
    valence, arousal, _, _ = generator.rating(subject, _SESSION, row).reported
    rng = derive_rng(generator.seed, "answers", generator.facts.name, subject, row)
    felt = {
        "pleasant": valence,
        "energetic": arousal,
        "tense": 0.5 * (arousal - valence),
        "angry": -0.7 * valence,
        "afraid": 0.5 * (arousal - valence),
        "happy": valence,
        "sad": -valence - 0.3 * arousal,
        "tender": 0.5 * (valence - arousal),
    }
    noise = 0.2 * rng.standard_normal(len(felt))
    values = [3.0 + 2.0 * (felt[name] + e) for name, e in zip(facts.QUESTIONS, noise, strict=True)]
    return [int(np.clip(round(value), 1, 5)) for value in values]


def _write_events(layout: Layout, subject: int, run: int, path: Path) -> None:
    generator = layout.generator
    clock = 0.0
    events: list[tuple[float, int]] = []
    for row in _rows(run):
        start = clock + _CROSS_S
        seconds = generator.seconds(_SESSION, row)
        events.append((clock, facts.CODES["cross"]))
        events.append((start, facts.FIRST_CLIP - 1 + row))
        events.append((start, facts.CODES["music"]))
        for k, answer in enumerate(answers(generator, subject, row)):
            asked = start + seconds + k * _ASK_S
            events.append((asked, facts.FIRST_QUESTION + k))
            events.append((asked + _ASK_S / 2, facts.FIRST_ANSWER - 1 + answer))
        clock = start + seconds + _ANSWERS_S
    columns: dict[str, list[object]] = {
        "onset": [f"{onset:g}" for onset, _ in events],
        "duration": ["n/a"] * len(events),
        "trial_type": [code for _, code in events],
    }
    write_tsv(path, columns)
