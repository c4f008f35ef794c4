"""The layout of GAMEEMO: a folder per person, raw and preprocessed .csv files of four games."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from affectrum.catalog import gameemo as facts
from affectrum.twins.files import atomic_file
from affectrum.twins.generator import Cap
from affectrum.twins.jobs import Job, Layout
from affectrum.twins.people import profile_of

__all__ = ["DEFAULT_FORMS", "FORMS", "cap_of", "jobs"]

FORMS = ("preprocessed", "raw")
DEFAULT_FORMS = ("preprocessed",)

_FOLDERS = {"preprocessed": "Preprocessed EEG Data", "raw": "Raw EEG Data"}
_SESSION = 1
# What the headset keeps, and what the vendor's processing leaves of eye movements; chosen.
_BANDS = {"preprocessed": (1.0, 43.0), "raw": (0.2, 43.0)}
_EYES = {"preprocessed": 0.3, "raw": 1.0}


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    for form in layout.forms:
        for subject in layout.subjects:
            place = Path(f"(S{subject:02d})") / _FOLDERS[form] / ".csv format"
            for game in range(1, len(facts.GAMES) + 1):
                # the raw files' names are not alike in the vendor's folder
                raw = "Raw" if form == "raw" and subject % 2 else ""
                name = f"S{subject:02d}G{game}All{raw}Channels.csv"
                yield Job(place / name, partial(_write, layout, form, subject, game))


def cap_of(layout: Layout, form: str) -> Cap:
    """Return how a form was recorded.

    Parameters
    ----------
    layout : Layout
        The twin.
    form : str
        One of `FORMS`.

    Returns
    -------
    Cap
        The headset's 14 electrodes.
    """
    generator = layout.generator
    reference = profile_of(generator.facts.name, generator.settings).reference
    return Cap(facts.ELECTRODES, generator.facts.sfreq, _BANDS[form], reference, _EYES[form])


def _write(layout: Layout, form: str, subject: int, game: int, path: Path) -> None:
    trial = layout.generator.trial(subject, _SESSION, game, cap_of(layout, form))
    x = trial.x[:, :-1]
    if layout.generator.trial_seconds is None:
        x = x[:, : facts.N_SAMPLES]
    text = io.StringIO()
    text.write(",".join(facts.ELECTRODES) + "\n")
    np.savetxt(text, x.T.astype(np.float64), fmt="%.3f", delimiter=",")
    with atomic_file(path) as file:
        file.write(text.getvalue().encode("ascii"))
