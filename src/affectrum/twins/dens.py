"""The layout of DENS: EEGLAB data sets whose events count samples."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import dens as facts
from affectrum.twins.bids_files import write_description, write_fdt, write_set, write_tsv
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.seeds import derive_rng

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs"]

Float32Array = NDArray[np.float32]

FORMS = ("raw",)
DEFAULT_FORMS = ("raw",)

_SESSION = 1
_SFREQ = 250
_BEFORE_S = 2  # before the rest
_GAP_S = 2  # before a film
_QUESTIONS = ("vlnc", "arsl", "dmns", "lkng", "fmrt", "relv")
_QUESTION_S = 1
_DURATION = 1000  # what the column of durations always says
_NAMES = (*(f"E{k}" for k in range(1, 129)), "Cz", *facts.FACTS.auxiliary)
_NOISE_UV = 8.0
_EXTENSION = ".mp4"


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    description = partial(
        write_description,
        name=facts.FACTS.title,
        version="1.4",
        doi="doi:10.18112/openneuro.ds003751.v1.0.2",
    )
    yield Job(Path("dataset_description.json"), description, small=True)
    for subject in layout.subjects:
        label = f"sub-mit{subject:03d}"
        stem = Path(label) / "eeg" / f"{label}_task-Emotion"
        yield Job(Path(f"{stem}_eeg.fdt"), partial(_write_signals, layout, subject))
        yield Job(Path(f"{stem}_eeg.set"), partial(_write_header, layout))
        yield Job(Path(f"{stem}_events.tsv"), partial(_write_events, layout, subject), small=True)
        yield Job(Path(f"{stem}_channels.tsv"), _write_channels, small=True)
        beh = Path(label) / "beh" / f"{label}_task-Emotion_beh.tsv"
        yield Job(beh, partial(_write_ratings, layout, subject), small=True)


def _rest_s(generator: TwinGenerator) -> int:
    return round(facts.REST_S if generator.trial_seconds is None else generator.trial_seconds)


def _onsets(generator: TwinGenerator) -> tuple[list[int], int]:
    """Return the second at which each film begins, and the length of the recording."""
    clock, found = _BEFORE_S + _rest_s(generator), []
    for row in range(1, generator.facts.trials_per_session[0] + 1):
        found.append(clock + _GAP_S)
        clock += _GAP_S + generator.seconds(_SESSION, row) + _QUESTION_S * len(_QUESTIONS)
    return found, clock


def _all_channels(
    generator: TwinGenerator, subject: int, part: str, x: Float32Array
) -> Float32Array:
    """Return all channels of the file; those that have no place in the 10-05 system are noise."""
    rng = derive_rng(generator.seed, "other channels", generator.facts.name, subject, part)
    n_samples = x.shape[1]
    whole = rng.standard_normal((len(_NAMES), n_samples), dtype=np.float32)
    whole *= np.float32(_NOISE_UV)
    whole[[_NAMES.index(name) for name in facts.ELECTRODES_IN_FILE]] = x
    whole[_NAMES.index("Cz")] = 0.0  # the reference
    return whole


def _parts(generator: TwinGenerator, subject: int) -> Iterator[Float32Array]:
    def rest(index: int, seconds: int) -> Float32Array:
        x = generator.rest(subject, _SESSION, index, seconds).x[:, :-1]
        return _all_channels(generator, subject, f"rest {index}", x)

    yield rest(0, _BEFORE_S + _rest_s(generator))
    for row in range(1, generator.facts.trials_per_session[0] + 1):
        yield rest(2 * row, _GAP_S)
        x = generator.trial(subject, _SESSION, row).x[:, :-1]
        yield _all_channels(generator, subject, f"trial {row}", x)
        yield rest(2 * row + 1, _QUESTION_S * len(_QUESTIONS))


def _write_signals(layout: Layout, subject: int, path: Path) -> None:
    write_fdt(path, _parts(layout.generator, subject))


def _write_header(layout: Layout, path: Path) -> None:
    _, seconds = _onsets(layout.generator)
    write_set(path, _NAMES, _SFREQ, seconds * _SFREQ, path.with_suffix(".fdt").name)


def _write_channels(path: Path) -> None:
    kinds = ["EEG"] * 129 + ["ECG", "EMG", "EMG"]
    write_tsv(path, {"name": _NAMES, "type": kinds, "units": ["uV"] * len(_NAMES)})


def _write_events(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    begin = _BEFORE_S
    events = [(float(begin), "base"), (float(begin + _rest_s(generator)), "bend")]
    for row, onset in enumerate(_onsets(generator)[0], start=1):
        seconds = generator.seconds(_SESSION, row)
        events.append((float(onset), "stm"))
        events.append((onset + click_s(generator, subject, row), "clic"))
        for k, question in enumerate(_QUESTIONS):
            events.append((float(onset + seconds + k * _QUESTION_S), question))
    columns: dict[str, list[object]] = {
        "onset": [f"{onset * _SFREQ:g}" for onset, _ in events],
        "duration": [_DURATION] * len(events),
        "trial_type": [kind for _, kind in events],
    }
    write_tsv(path, columns)


def click_s(generator: TwinGenerator, subject: int, row: int) -> float:
    """Seconds after the start of a film at which the person clicked."""
    rng = derive_rng(generator.seed, "click", generator.facts.name, subject, row)
    return float(np.round(rng.uniform(0.3, 0.9) * generator.seconds(_SESSION, row), 2))


def ratings(generator: TwinGenerator, subject: int, row: int) -> dict[str, float]:
    """Self-reports of a film on the corpus's scales, two decimals."""
    rating = generator.rating(subject, _SESSION, row)
    valence, arousal, dominance, liking = rating.reported
    plane = {
        "valence": valence,
        "arousal": arousal,
        "dominance": dominance,
        "liking": liking,
        "familiarity": 2.0 * rating.familiarity - 1.0,
        "relevance": arousal,
    }
    found = {}
    for name, value in plane.items():
        low, high = facts.FACTS.ratings[name]
        point = (low + high) / 2 + (high - low) / 2 * value
        found[name] = float(np.clip(np.round(point, 2), low, high))
    return found


def _write_ratings(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    clips = generator.facts.clips[0]
    table = [ratings(generator, subject, row) for row in range(1, len(clips) + 1)]
    clicks = [click_s(generator, subject, row) for row in range(1, len(clips) + 1)]
    positive = [row["valence"] > 5 for row in table]
    columns: dict[str, list[object]] = {
        "": list(range(len(clips))),
        "stimuliName": [clip.clip.split("/")[1] + _EXTENSION for clip in clips],
        **{name: [row[name] for row in table] for name in table[0]},
        "emotionCateg": [
            "{'0': [u'Joyous: Full of joy', '']}" if good else "{'0': [u'Sad: Unhappy', '']}"
            for good in positive
        ],
        "Quadrant": ["n/a"] * len(clips),
        "FivePointScale": ["['very much']"] * len(clips),
        "MouseClick": [f"[{click}]" for click in clicks],
    }
    write_tsv(path, columns)
