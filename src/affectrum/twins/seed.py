"""The layout of SEED: Preprocessed_EEG and ExtractedFeatures, newer and older tree."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import seed as facts
from affectrum.electrodes import mirror
from affectrum.twins.files import write_mat, write_text
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Job, Layout, initials, to_file_values
from affectrum.twins.vendor_features import trial_features

__all__ = [
    "DEFAULT_FORMS",
    "FORMS",
    "MIN_SECONDS",
    "feature_pairs",
    "frontal_posterior_pairs",
    "jobs",
]

FloatArray = NDArray[np.float64]

FORMS = ("preprocessed", "features", "features-4s")
DEFAULT_FORMS = ("preprocessed",)
MIN_SECONDS = {"features-4s": 5.0}

_README = """\
Preprocessed_EEG: EEG of 15 film clips per session, 200 Hz, band 0-75 Hz, microvolts.
Variables {initials}_eeg1 ... {initials}_eeg15, channels x samples.
label.mat: 1 positive, 0 neutral, -1 negative.
ExtractedFeatures: de, psd, dasm, rasm, asm, dcau with moving average and LDS.
"""


def feature_pairs() -> tuple[tuple[int, int], ...]:
    """Rows of the 27 left-right pairs of the cap, in the order of the left electrodes."""
    names = list(facts.ELECTRODES)
    pairs = []
    for row, name in enumerate(names):
        other = mirror(name)
        if other in names and _is_left(name):
            pairs.append((row, names.index(other)))
    return tuple(pairs)


def _is_left(name: str) -> bool:
    digits = "".join(letter for letter in name if letter.isdigit())
    return bool(digits) and int(digits) % 2 == 1


def frontal_posterior_pairs() -> tuple[tuple[int, int], ...]:
    """Rows of 23 frontal electrodes and their posterior counterparts (the choice is ours)."""
    names = list(facts.ELECTRODES)
    front = names[:23]  # Fp, AF, F, FT and FC rows
    rows = {"FT": "TP", "FC": "CP", "Fp": "O", "AF": "PO", "F": "P"}
    pairs = []
    for row, name in enumerate(front):
        prefix = next(p for p in rows if name.startswith(p))
        pairs.append((row, names.index(rows[prefix] + name[len(prefix) :])))
    return tuple(pairs)


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    top = Path("SEED_EEG") if layout.tree == "new" else Path()
    folders = {
        "preprocessed": top / "Preprocessed_EEG",
        "features": top / ("ExtractedFeatures_1s" if layout.tree == "new" else "ExtractedFeatures"),
        "features-4s": top / "ExtractedFeatures_4s",
    }
    for form in layout.forms:
        folder = folders[form]
        yield Job(folder / "label.mat", partial(_write_labels, layout), small=True)
        yield Job(folder / "readme.txt", lambda path: write_text(path, _README), small=True)
        for subject in layout.subjects:
            for session in layout.sessions:
                name = f"{facts.FILES[session - 1][subject - 1]}.mat"
                if form == "preprocessed":
                    write = partial(_write_signals, layout, subject, session)
                else:
                    window_s = 4.0 if form == "features-4s" else 1.0
                    write = partial(_write_features, layout, subject, session, window_s)
                yield Job(folder / name, write)


def _write_labels(layout: Layout, path: Path) -> None:
    label = np.array(facts.LABELS, dtype=np.float64)[None]
    write_mat(path, [("label", label)], compress=layout.compress)


def _write_signals(layout: Layout, subject: int, session: int, path: Path) -> None:
    write_mat(path, signals(layout.generator, subject, session), compress=layout.compress)


def signals(
    generator: TwinGenerator, subject: int, session: int
) -> Iterator[tuple[str, FloatArray]]:
    prefix = initials(generator.facts.name, subject, generator.seed)
    for row in range(1, generator.facts.trials_per_session[session - 1] + 1):
        trial = generator.trial(subject, session, row)
        yield f"{prefix}_eeg{row}", to_file_values(trial.x)


def _write_features(
    layout: Layout, subject: int, session: int, window_s: float, path: Path
) -> None:
    variables = features(layout.generator, subject, session, window_s, facts.FEATURES)
    write_mat(path, variables, compress=layout.compress)


def features(
    generator: TwinGenerator, subject: int, session: int, window_s: float, names: tuple[str, ...]
) -> Iterator[tuple[str, FloatArray]]:
    pairs, across = feature_pairs(), frontal_posterior_pairs()
    sfreq = generator.facts.sfreq
    for row in range(1, generator.facts.trials_per_session[session - 1] + 1):
        x = to_file_values(generator.trial(subject, session, row).x)
        n_windows = int(generator.seconds(session, row) / window_s)
        values = trial_features(x, sfreq, window_s, n_windows, names, pairs, across)
        for name, value in values.items():
            yield f"{name}{row}", value
