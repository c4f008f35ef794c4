"""The layout of EmoEEG-MC: cleaned trials sorted by clip or not, and the recordings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import emoeeg_mc as facts
from affectrum.twins.bids_files import (
    EdfChannel,
    write_description,
    write_edf,
    write_json,
    write_npy,
    write_tsv,
)
from affectrum.twins.files import write_text
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.seeds import derive_rng

__all__ = ["DEFAULT_FORMS", "FORMS", "jobs"]

FloatArray = NDArray[np.float64]

FORMS = ("reorder", "raw", "ica")
DEFAULT_FORMS = ("reorder",)

_BLOCK = 3  # films or imaginations in a row
_REST_S = 4  # before each trial; the real pauses are longer
_RATING_S = 3
_FAST = 7  # every seventh person was recorded at 1200 Hz; which ones is not modelled
_RANGE_UV = (-3276.8, 3276.7)
_RAW_BAND = (0.0, 240.0)
_AFZ = (67.0, 90.0)  # where reference and ground are is a guess: near AFz
_CODES = {"vid": 6, "ima": 5, "fade": 4, "rating": 3}
_SCORE_SD = 0.8


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    name = facts.FACTS.title
    description = partial(
        write_description, name=name, version="1.6.0", doi="doi:10.18112/openneuro.ds005540.v1.0.7"
    )
    yield Job(Path("dataset_description.json"), description, small=True)
    people = "participant_id\n" + "".join(f"sub-{s:02d}\n" for s in layout.subjects)
    yield Job(Path("participants.tsv"), partial(write_text, text=people), small=True)
    for form in layout.forms:
        for subject in layout.subjects:
            label = f"sub-{subject:02d}"
            if form == "raw":
                stem = Path(label) / "eeg" / f"{label}_task-emotion"
                yield Job(Path(f"{stem}_eeg.edf"), partial(_write_recording, layout, subject))
                if subject != 1:  # the real one is missing
                    yield Job(Path(f"{stem}_eeg.json"), partial(_write_sidecar, subject))
                yield Job(
                    Path(f"{stem}_events.tsv"), partial(_write_events, layout, subject), small=True
                )
                yield Job(
                    Path(label) / "beh" / f"{label}_task-emotion_beh.tsv",
                    partial(_write_scores, layout, subject),
                    small=True,
                )
                continue
            for session in layout.sessions:
                context = facts.CONTEXTS[session - 1]
                place = Path("derivatives") / label / f"ses-{context}" / "eeg"
                path = place / f"{label}_ses-{context}_task-emotion_{form}.npy"
                yield Job(path, partial(_write_trials, layout, subject, session, form == "reorder"))


def _write_trials(layout: Layout, subject: int, session: int, by_clip: bool, path: Path) -> None:
    """Write the trials of a context; all as long as the shortest."""
    generator = layout.generator
    n_rows = generator.facts.trials_per_session[session - 1]
    seconds = min(generator.seconds(session, row) for row in range(1, n_rows + 1))
    n_samples = seconds * round(generator.facts.sfreq)
    rows = range(1, n_rows + 1) if by_clip else generator.presentation(subject, session)
    trials = (
        to_file_values(generator.trial(subject, session, row).x[:, :n_samples]) for row in rows
    )
    write_npy(path, (n_rows, len(facts.ELECTRODES), n_samples), trials)


# recordings ----------------------------------------------------------------------------------


def sfreq_of(subject: int) -> int:
    """Rate at which a person was recorded, Hz."""
    return 1200 if subject % _FAST == 0 else round(facts.FACTS.raw_sfreq)


def _order(generator: TwinGenerator, subject: int) -> list[list[int]]:
    """Return (session, row) of each trial: blocks of films and imagination in turn."""
    # both contexts, whatever sessions were asked for: one recording holds them
    sessions = range(1, generator.facts.n_sessions + 1)
    left = {session: list(generator.presentation(subject, session)) for session in sessions}
    order: list[list[int]] = []
    while any(left.values()):
        for session in sessions:
            rows, left[session] = left[session][:_BLOCK], left[session][_BLOCK:]
            order += [[session, row] for row in rows]
    return order


def _cap(subject: int) -> Cap:
    return Cap(facts.ELECTRODES, float(sfreq_of(subject)), _RAW_BAND, _AFZ, 1.0)


def _write_recording(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    order = _order(generator, subject)
    n_seconds = sum(_REST_S + generator.seconds(*place) + _RATING_S for place in order)
    channels = [EdfChannel(name, "uV", *_RANGE_UV) for name in facts.ELECTRODES]
    channels += [EdfChannel(name, "", -32768, 32767) for name in facts.TRIGGERS]
    write_edf(path, channels, sfreq_of(subject), n_seconds, _records(generator, subject, order))


def _records(
    generator: TwinGenerator, subject: int, order: list[list[int]]
) -> Iterator[FloatArray]:
    cap = _cap(subject)
    for index, (session, row) in enumerate(order, start=1):
        parts = [
            generator.rest(subject, session, 2 * index, _REST_S, cap).x,
            generator.trial(subject, session, row, cap).x,
            generator.rest(subject, session, 2 * index + 1, _RATING_S, cap).x,
        ]
        x = np.concatenate([part[:, :-1] for part in parts], axis=1).astype(np.float64)
        yield np.concatenate([x, np.zeros((len(facts.TRIGGERS), x.shape[1]))])


def _write_sidecar(subject: int, path: Path) -> None:
    content = {
        "TaskName": "emotion",
        "PowerLineFrequency": 50,
        "SamplingFrequency": sfreq_of(subject),
        "EEGChannelCount": len(facts.ELECTRODES),
        "TriggerChannelCount": len(facts.TRIGGERS),
        "EEGGround": "AFz",
        "EEGReference": "common",
        "RecordingType": "continuous",
    }
    write_json(path, content)


def _write_events(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    clock = 0.0
    events: list[tuple[float, int, str]] = [(0.5 / sfreq_of(subject), 9, "n/a")]
    tens = 10 * (1 + subject % 3)  # codes differ between people; the words do not
    for session, row in _order(generator, subject):
        kind = facts.CONTEXTS[session - 1]
        seconds = generator.seconds(session, row)
        events.append((clock + _REST_S, tens + _CODES[kind], kind))
        if kind == "ima":
            events.append((clock + _REST_S + seconds / 2, tens + _CODES["fade"], "fade"))
        events.append((clock + _REST_S + seconds, tens + _CODES["rating"], "rating"))
        clock += _REST_S + seconds + _RATING_S
    columns: dict[str, list[object]] = {
        "onset": [f"{onset:.10g}" for onset, _, _ in events],
        "duration": ["0.0"] * len(events),
        "stim_type": [code for _, code, _ in events],
        "trial_type": [kind for _, _, kind in events],
    }
    write_tsv(path, columns)


def scores(generator: TwinGenerator, subject: int, session: int, row: int) -> list[float]:
    """Self-reports of a trial, in the order of the columns score_1 ... score_10."""
    low, high = facts.FACTS.ratings["valence"]
    rating = generator.rating(subject, session, row)
    valence, arousal, _, liking = rating.reported
    emotion = generator.facts.clips[session - 1][row - 1].emotion
    rng = derive_rng(generator.seed, "scores", generator.facts.name, subject, session, row)
    plane = {"valence": valence, "arousal": arousal, "liking": liking}
    values = []
    for name in facts.SCORES:
        if name in plane:
            value = (1.0 + plane[name]) / 2.0
        elif name == "familiarity":
            value = rating.familiarity
        else:
            value = (0.7 if name == emotion else 0.1) + 0.1 * _SCORE_SD * rng.standard_normal()
        values.append(float(np.clip(round(low + (high - low) * value, 2), low, high)))
    return values


def _write_scores(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    order = _order(generator, subject)
    table = [scores(generator, subject, session, row) for session, row in order]
    columns: dict[str, list[object]] = {
        "trial_number": list(range(1, len(order) + 1)),
        "video_name": [35] * len(order),  # it does not tell the clip
    }
    for k in range(len(facts.SCORES)):
        columns[f"score_{k + 1}"] = [row[k] for row in table]
    write_tsv(path, columns)
