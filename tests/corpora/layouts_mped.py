"""MPED by hand: raw recordings and feature cells of people known by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from corpora_layouts import FeatureLayout, Layout, code, eeg, feature_code, verify_code
from corpora_layouts import verify_feature_code as verify_cell
from scipy.io import savemat

# the alphabet numbers them
NAMES = {1: "Chen", 2: "zhao", 3: "Zhou"}
FEATURES = ("HHS", "Hjorth", "HOC", "PSD", "STFT")
N_WINDOWS = 6


def write_mped(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    simulated: bool = True,
    n_samples: int = 200,
    scale: float = 1.0,
) -> Path:
    """Write raw recordings of 62 electrodes and two more rows."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        place = folder / NAMES[subject]
        place.mkdir()
        for part, rows in (("d", range(1, 18)), ("dd", range(18, 35))):
            variables = {}
            for row in rows:
                if content == "eeg":
                    x = eeg(np.random.default_rng([subject, row]), 64, n_samples)
                else:
                    x = code(subject, 1, row, 64, n_samples)
                variables[f"raw_eeg{row}"] = scale * x
            savemat(place / f"{NAMES[subject]}_{part}.mat", variables, do_compression=part == "d")
    return folder


def cell_of(feature: str, subject: int, row: int) -> np.ndarray:
    """Return (electrodes, windows, columns); features differ by a constant."""
    x = feature_code(subject, 1, row, (62, N_WINDOWS, 5))
    return x + 0.5 * 1e8 * FEATURES.index(feature)


def write_features(
    folder: Path, *, subjects: tuple[int, ...] = (1, 2), simulated: bool = True
) -> Path:
    """Write EEG_feature; one feature's files are compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for feature in FEATURES:
        for subject in subjects:
            cells = np.empty((1, 30), object)
            for row in range(1, 31):
                cells[0, row - 1] = cell_of(feature, subject, row)
            path = folder / "EEG_feature" / feature / f"{NAMES[subject]}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            savemat(path, {feature: cells}, do_compression=feature == "HHS")
    return folder


def verify_feature(table_row, name: str, x: np.ndarray) -> None:
    verify_cell(table_row, name, x - 0.5 * 1e8 * FEATURES.index(name))


SEVEN = ("joy", "funny", "anger", "fear", "disgust", "sad", "neutral")
LABELS = tuple(None if row % 6 == 0 else SEVEN[row % 7] for row in range(34))

WRITERS = {
    "MPED": {
        "raw": Layout(
            write_mped, verify_code, options={"unit": "uV", "labels": LABELS}, n_trials=68
        )
    },
}
FEATURE_WRITERS = {
    "MPED": {
        "features": FeatureLayout(
            write_features, verify_feature, options={"label_names": SEVEN}, n_trials=56
        )
    },
}
