"""The layout of SEED-V: EEG_raw and EEG_DE_features.

Sessions are counted as in the catalogue: by set of clips, which is the number in the file names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from affectrum.catalog import seed_v as facts
from affectrum.twins.files import write_text
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.npz_files import npz_bytes, pickle_arrays, write_npz
from affectrum.twins.seed_recordings import differential_entropy, schedule, write_recording

__all__ = ["DEFAULT_FORMS", "FORMS", "MIN_SECONDS", "jobs"]

FORMS = ("raw", "features")
DEFAULT_FORMS = ("raw",)
WINDOW_S = 4
MIN_SECONDS = {"features": 5.0}


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    path = Path("trial_start_end_timestamp.txt")
    yield Job(path, partial(_write_times, layout.generator), small=True)
    for form in layout.forms:
        for subject in layout.subjects:
            if form == "features":
                path = Path("EEG_DE_features") / f"{subject}_123.npz"
                # a subject's sets share a file, which has to grow with them
                yield Job(path, partial(_write_features, layout, subject), small=True)
                continue
            for number in layout.sessions:
                path = Path("EEG_raw") / facts.CNT_FILES[number - 1][subject - 1]
                yield Job(path, partial(_write_raw, layout, subject, number))


def _times(generator: TwinGenerator, number: int) -> list[tuple[int, int]]:
    starts, ends = facts.START_S[number - 1], facts.END_S[number - 1]
    return schedule(generator, number, list(zip(starts, ends, strict=True)))


def _write_times(generator: TwinGenerator, path: Path) -> None:
    """All three sets, whichever are written."""
    lines = []
    for number in range(1, facts.FACTS.n_sessions + 1):
        starts, ends = zip(*_times(generator, number), strict=True)
        lines += [f"Session {number}:", f"start_second: {list(starts)}"]
        lines += [f"end_second: {list(ends)}", ""]
    write_text(path, "\n".join(lines))


def _write_raw(layout: Layout, subject: int, number: int, path: Path) -> None:
    times = _times(layout.generator, number)
    write_recording(layout.generator, subject, number, times, path)


def _write_features(layout: Layout, subject: int, path: Path) -> None:
    generator = layout.generator
    places = {
        15 * (number - 1) + row - 1: (number, row)
        for number in layout.sessions
        for row in range(1, facts.FACTS.trials_per_session[number - 1] + 1)
    }
    n_windows = {key: generator.seconds(*place) // WINDOW_S for key, place in places.items()}
    label = pickle_arrays(
        {
            key: np.full(n_windows[key], facts.LABELS[number - 1][row - 1])
            for key, (number, row) in places.items()
        }
    )
    empty = {key: np.zeros((n, facts.N_FEATURES)) for key, n in n_windows.items()}
    size = len(npz_bytes({"data": pickle_arrays(empty), "label": label}))
    if path.exists() and path.stat().st_size == size:
        return
    data = {
        key: differential_entropy(generator, subject, number, row, WINDOW_S).reshape(
            n_windows[key], facts.N_FEATURES
        )
        for key, (number, row) in places.items()
    }
    write_npz(path, {"data": pickle_arrays(data), "label": label})
