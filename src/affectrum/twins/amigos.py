"""The layout of AMIGOS: one file per person, a cell per video.

The gaps and the packing fault of the vendor's files are there too. Which people lack the long
videos is known; which of the other people have which gap, and whose file is packed too long, is
chosen, as is the order of the videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import amigos as facts
from affectrum.twins.generator import Rating, TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.mat_struct_files import Node, cell, empty, numbers, text, write_nested_mat
from affectrum.twins.seeds import derive_rng

__all__ = [
    "DEFAULT_FORMS",
    "FORMS",
    "NAN_SAMPLES",
    "PACKED_TOO_LONG",
    "UNLABELLED",
    "UNRECORDED",
    "jobs",
]

FloatArray = NDArray[np.float64]

FORMS = ("preprocessed",)
DEFAULT_FORMS = ("preprocessed",)

# subject -> short video (from 1) with a stretch of NaN, without self-report, without signals; the
# people are those whom a public loader leaves out.
NAN_SAMPLES = {12: 3, 22: 7, 24: 11}
UNLABELLED = {9: 5, 33: 2}
UNRECORDED = {21: 4, 23: 9}
# joined_data has more packed bytes than its header says
PACKED_TOO_LONG = (10, 20, 30, 40)
_SURPLUS = 8
_NAN_S = 0.5


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    for subject in layout.subjects:
        name = f"Data_Preprocessed_P{subject:02d}.mat"
        # both sessions are in one file, so it is written anew when one is added
        yield Job(Path("data_preprocessed") / name, partial(_write, layout, subject), small=True)


def _write(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    places = [
        (session, row)
        for session, clips in enumerate(generator.facts.clips, start=1)
        for row in range(1, len(clips) + 1)
    ]
    videos = [text(_video(generator, *place)) for place in places]
    shown = [place for place in places if _is_shown(layout, subject, place[0])]

    def cells(make: dict[tuple[int, int], Node]) -> Node:
        return cell((1, len(places)), [make.get(place, empty()) for place in places])

    recorded = [place for place in shown if place != (1, UNRECORDED.get(subject, 0))]
    labelled = [place for place in shown if place != (1, UNLABELLED.get(subject, 0))]
    variables = [
        ("VideoIDs", cell((1, len(videos)), videos)),
        ("joined_data", cells({p: _signals(generator, subject, *p) for p in recorded})),
        ("labels_selfassessment", cells({p: _own(generator, subject, *p) for p in labelled})),
        ("labels_ext_annotation", cells({p: _others(generator, subject, *p) for p in recorded})),
    ]
    surplus = {"joined_data": _SURPLUS} if subject in PACKED_TOO_LONG else {}
    write_nested_mat(path, variables, compress=layout.compress, surplus=surplus)


def _video(generator: TwinGenerator, session: int, row: int) -> str:
    return generator.facts.clips[session - 1][row - 1].clip.partition("/")[2]


def _is_shown(layout: Layout, subject: int, session: int) -> bool:
    if session == 2 and subject in facts.WITHOUT_LONG_VIDEOS:
        return False
    return session in layout.sessions


def _signals(generator: TwinGenerator, subject: int, session: int, row: int) -> Node:
    sfreq = round(generator.facts.sfreq)
    before, seconds = int(generator.facts.baseline_s), generator.seconds(session, row)
    shape = ((before + seconds) * sfreq, len(facts.FACTS.electrodes) + len(facts.AUXILIARY))

    def values() -> FloatArray:
        eeg = to_file_values(generator.trial(subject, session, row).x[:, :-1]).T
        if session == 1 and row == NAN_SAMPLES.get(subject):
            middle = before * sfreq + seconds * sfreq // 2
            eeg[middle : middle + round(_NAN_S * sfreq)] = np.nan
        return np.concatenate([eeg, _body(generator, subject, session, row, shape[0])], axis=1)

    return numbers(shape, values)


def _body(
    generator: TwinGenerator, subject: int, session: int, row: int, n_samples: int
) -> FloatArray:
    """ECG of both arms and skin conductance; plausible, not modelled."""
    rng = derive_rng(generator.seed, "body", generator.facts.name, subject, session, row)
    t = np.arange(n_samples) / generator.facts.sfreq
    beat = np.cos(np.pi * 1.2 * t + rng.uniform(0.0, np.pi)) ** 40
    heart = np.outer(beat, (900.0, -700.0)) + 10.0 * rng.standard_normal((n_samples, 2))
    skin = 1000.0 + 50.0 * np.sin(2 * np.pi * t / 20.0 + rng.uniform(0.0, 2 * np.pi))
    return np.asarray(np.rint(np.column_stack([heart, skin])))


def _own(generator: TwinGenerator, subject: int, session: int, row: int) -> Node:
    rating = generator.rating(subject, session, row)
    rng = derive_rng(generator.seed, "ticked", generator.facts.name, subject, session, row)
    low, high = facts.FACTS.ratings["valence"]
    valence, arousal, dominance, liking = rating.reported
    scales = np.array([arousal, valence, dominance, liking, 2 * rating.familiarity - 1])
    on_scale = np.clip((low + high) / 2 + (high - low) / 2 * scales, low, high)
    ticked = [float(word == _word(rating, rng)) for word in facts.WORDS]
    values = np.array([[*np.round(on_scale, 2), *ticked]])
    return numbers(values.shape, lambda: values)


def _word(rating: Rating, rng: np.random.Generator) -> str:
    """Name what was felt; which word stands for which part of the plane is chosen."""
    valence, arousal = rating.felt
    if max(abs(valence), abs(arousal)) < 0.15:
        return "neutral"
    if valence > 0:
        return "surprise" if arousal > 0.3 else "happiness"
    if arousal < 0:
        return "sadness"
    return ("disgust", "anger", "fear")[int(rng.integers(3))]


def _others(generator: TwinGenerator, subject: int, session: int, row: int) -> Node:
    """What others saw: one row per begun segment."""
    rng = derive_rng(generator.seed, "seen", generator.facts.name, subject, session, row)
    felt = generator.rating(subject, session, row).felt
    n_segments = int(np.ceil(generator.seconds(session, row) / facts.ANNOTATION_S))
    seen = np.clip(felt + 0.1 * rng.standard_normal((n_segments, 2)), -1.0, 1.0)
    values = np.column_stack([np.arange(1, n_segments + 1), np.round(seen, 3)])
    return numbers(values.shape, lambda: values)
