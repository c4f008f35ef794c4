"""The layouts of SEED-FRA and SEED-GER, which differ in names and labels only.

The vendor gives no times of trials with the recordings. Those of a twin stand in
``simulated_times.yaml``, which can be given to the reader as its options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from affectrum.twins.files import write_text
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.npz_files import pickle_arrays, write_npz
from affectrum.twins.seed_recordings import differential_entropy, schedule, write_recording

__all__ = ["DEFAULT_FORMS", "FORMS", "MIN_SECONDS", "TIMES_FILE", "language_jobs"]

FORMS = ("features", "features-4s", "raw")
DEFAULT_FORMS = ("features",)
MIN_SECONDS = {"features-4s": 5.0}
TIMES_FILE = "simulated_times.yaml"

_BANDS = ("delta", "theta", "alpha", "beta", "gamma")
_WINDOWS_S = {"features": 1, "features-4s": 4}
# Trials in the first part of a feature file; where the vendor cuts is not known.
_N_TRAIN = 12


def language_jobs(
    layout: Layout, folder: str, published: Sequence[tuple[int, int]] | None
) -> Iterator[Job]:
    """Yield every file of the twin.

    Parameters
    ----------
    layout : Layout
        What is to be written.
    folder : str
        The word for the people, which names the corpus's folder.
    published : sequence of (int, int) or None
        Times of the trials, where there are some that fit the labels.

    Yields
    ------
    Job
        One per file.
    """
    top = Path(folder)
    times = schedule(layout.generator, 1, published)  # all sessions show the same clips
    text = "".join(f"- [{start}, {end}]\n" for start, end in times)
    yield Job(Path(TIMES_FILE), partial(write_text, text=f"times:\n{text}"), small=True)
    for form in layout.forms:
        for subject in layout.subjects:
            for session in layout.sessions:
                stem = f"{subject}_{session}"
                if form == "raw":
                    path = top / "01-EEG-raw" / f"{stem}.cnt"
                    write = partial(write_recording, layout.generator, subject, session, times)
                else:
                    window_s = _WINDOWS_S[form]
                    place = top / "02-EEG-DE-feature" / f"eeg_used_{window_s}s"
                    path = place / f"{stem}.npz"
                    write = partial(_write_features, layout, subject, session, window_s)
                yield Job(path, write)


def _write_features(layout: Layout, subject: int, session: int, window_s: int, path: Path) -> None:
    generator = layout.generator
    labels = generator.facts.session_codes(session)
    arrays: dict[str, Any] = {}
    for part, rows in (
        ("train", range(1, _N_TRAIN + 1)),
        ("test", range(_N_TRAIN + 1, len(labels) + 1)),
    ):
        trials = [differential_entropy(generator, subject, session, r, window_s) for r in rows]
        values = np.concatenate(trials)
        bands = {band: values[:, :, place] for place, band in enumerate(_BANDS)}
        arrays[f"{part}_data"] = pickle_arrays(bands)
        counts = [len(trial) for trial in trials]
        arrays[f"{part}_label"] = np.repeat([labels[row - 1] for row in rows], counts)
    order = ("train_data", "test_data", "train_label", "test_label")
    write_npz(path, {name: arrays[name] for name in order})
