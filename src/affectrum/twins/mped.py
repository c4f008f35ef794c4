"""The layout of MPED: raw recordings of named people, and their feature cells.

The vendor says neither what the classes are nor how features were computed. In the twin, raw trial
n is the generator's row n; every class of the label list stands for four rows whose clips lie next
to each other in the plane; and the features are simple ones of their kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from affectrum.catalog import mped as facts
from affectrum.twins.files import write_mat
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.mat_struct_files import Node, cell, numbers, write_nested_mat
from affectrum.twins.people import profile_of
from affectrum.twins.vendor_features import FEATURE_BANDS

__all__ = ["DEFAULT_FORMS", "FEATURE_HZ", "FORMS", "cap_of", "cell_rows", "jobs", "person"]

FloatArray = NDArray[np.float64]

FORMS = ("raw", "features")
DEFAULT_FORMS = ("raw",)

_SESSION = 1
_BAND = (0.1, 400.0)  # of the recorder; chosen
_PER_CLASS = 4
FEATURE_HZ = 200  # rate at which features are computed; chosen


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    first, last = facts.N_RAW_FIRST, facts.N_RAW
    for subject in layout.subjects:
        name = person(subject)
        if "raw" in layout.forms:
            for part, rows in (("d", range(1, first + 1)), ("dd", range(first + 1, last + 1))):
                write = partial(_write_raw, layout, subject, rows)
                yield Job(Path(name) / f"{name}_{part}.mat", write)
        if "features" in layout.forms:
            for feature in facts.FEATURES:
                path = Path("EEG_feature") / feature / f"{name}.mat"
                yield Job(path, partial(_write_features, layout, subject, feature))


def person(subject: int) -> str:
    """Return the name of a subject; the alphabet keeps the order of the numbers."""
    return f"person{subject:02d}"


def cap_of(generator: TwinGenerator, sfreq: float | None = None) -> Cap:
    """Return how the corpus was recorded: the SEED cap at 1000 Hz, or at another rate."""
    reference = profile_of(generator.facts.name, generator.settings).reference
    rate = generator.facts.sfreq if sfreq is None else sfreq
    return Cap(generator.facts.electrodes, rate, (_BAND[0], min(_BAND[1], 0.4 * rate)), reference)


def cell_rows(generator: TwinGenerator) -> tuple[int, ...]:
    """Return the generator's row, from 1, behind each of the 30 feature cells.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.

    Returns
    -------
    tuple of int
        Cells of one class have rows whose clips lie in one direction of the plane.
    """
    points = [generator.point(_SESSION, row) for row in range(1, facts.N_RAW + 1)]
    angles = np.array([np.arctan2(point.arousal, point.valence) for point in points])
    rows = [int(place) + 1 for place in np.argsort(angles, kind="stable")]
    spare = iter(rows[facts.N_CLASSES * _PER_CLASS :])
    of_class = [
        iter(rows[_PER_CLASS * code : _PER_CLASS * (code + 1)]) for code in range(facts.N_CLASSES)
    ]
    return tuple(next(spare if code == facts.UNUSED else of_class[code]) for code in facts.LABELS)


# raw -----------------------------------------------------------------------------------------


def _write_raw(layout: Layout, subject: int, rows: range, path: Path) -> None:
    generator = layout.generator
    cap = cap_of(generator)

    def variables() -> Iterator[tuple[str, FloatArray]]:
        for row in rows:
            trial = generator.trial(subject, _SESSION, row, cap)
            # two more rows behind the electrodes, as at the mastoids
            x = np.concatenate([trial.x, 0.5 * trial.muscles[:2]])[:, :-1]
            yield f"raw_eeg{row}", to_file_values(x)

    write_mat(path, variables(), compress=layout.compress)


# features ------------------------------------------------------------------------------------


def _write_features(layout: Layout, subject: int, feature: str, path: Path) -> None:
    generator = layout.generator

    def node(row: int) -> Node:
        return numbers(facts.FEATURE_SHAPE, lambda: _feature(generator, subject, row, feature))

    cells = cell((1, len(facts.LABELS)), [node(row) for row in cell_rows(generator)])
    write_nested_mat(path, [(feature, cells)], compress=layout.compress)


def _feature(generator: TwinGenerator, subject: int, row: int, feature: str) -> FloatArray:
    """Return a feature of a trial in windows of one second: shape (62, 120, 5)."""
    cap = cap_of(generator, FEATURE_HZ)
    x = generator.trial(subject, _SESSION, row, cap).x[:, :-1]
    n_windows = facts.FEATURE_SHAPE[1]
    # as many windows as the vendor has; in a short trial they overlap
    starts = np.linspace(0, x.shape[1] - FEATURE_HZ, n_windows).round().astype(int)
    windows = sliding_window_view(x, FEATURE_HZ, axis=1)[:, starts].astype(np.float64)
    if feature in ("PSD", "STFT", "HHS"):
        power = _band_power(windows)
        values = {"PSD": power, "STFT": np.sqrt(power), "HHS": np.log(power)}[feature]
    else:
        values = _hjorth(windows) if feature == "Hjorth" else _crossings(windows)
    return np.asarray(values)


def _band_power(windows: FloatArray) -> FloatArray:
    """Mean power in the five bands: shape (62, 120, 5)."""
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(FEATURE_HZ), axis=2)) ** 2
    return np.asarray(spectrum @ _band_masks())


def _band_masks() -> FloatArray:
    frequencies = np.arange(FEATURE_HZ // 2 + 1)  # windows of one second: 1 Hz apart
    masks = [(frequencies >= low) & (frequencies < high) for low, high in FEATURE_BANDS]
    return np.stack([mask / mask.sum() for mask in masks], axis=1)


def _hjorth(windows: FloatArray) -> FloatArray:
    """Activity, mobility and complexity, and the spread of two derivatives."""
    spreads = [np.diff(windows, n=order, axis=2).std(axis=2) for order in (0, 1, 2)]
    mobility = spreads[1] / spreads[0]
    complexity = spreads[2] / spreads[1] / mobility
    return np.stack([spreads[0] ** 2, mobility, complexity, spreads[1], spreads[2]], axis=2)


def _crossings(windows: FloatArray) -> FloatArray:
    """Zero crossings of the signal and of its first four differences."""
    centred = windows - windows.mean(axis=2, keepdims=True)
    counts = []
    for order in range(facts.FEATURE_SHAPE[2]):
        above = np.diff(centred, n=order, axis=2) > 0
        counts.append((above[..., 1:] != above[..., :-1]).sum(axis=2))
    return np.stack(counts, axis=2).astype(np.float64)
