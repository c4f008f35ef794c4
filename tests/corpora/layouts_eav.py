"""EAV by hand: one array of all trials per subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from corpora_layouts import Layout, code, eeg, verify_code
from scipy.io import savemat

from affectrum.catalog.model import words

# no source names them; any thirty do for a fixture
CHANNELS = words(
    "Fp1 Fp2 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8 CP5 CP1 CP2 CP6 P7 P3 Pz P4 P8 "
    "O1 Oz O2 AF3 AF4"
)
OPTIONS = {"channels": CHANNELS, "unit": "uV"}
N_TRIALS = 200


def label_rows(subject: int) -> np.ndarray:
    """Return the row of each trial's one, 20 of each."""
    return (7 * np.arange(N_TRIALS) + subject) % 10


def one_hot(rows: np.ndarray) -> np.ndarray:
    return np.eye(10)[:, rows]


def array(subject: int, content: str, n_samples: int) -> np.ndarray:
    """Return (time, channel, trial)."""
    if content == "eeg":
        rng = np.random.default_rng(subject)
        trials = [eeg(rng, 30, n_samples) for _ in range(N_TRIALS)]
    else:
        trials = [code(subject, 1, row, 30, n_samples) for row in range(1, N_TRIALS + 1)]
    return np.stack(trials).transpose(2, 1, 0)


def write_eav(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    simulated: bool = True,
    n_samples: int = 60,
    scale: float = 1.0,
) -> Path:
    """Write EAV; subject 2 has the folder's and the variable's other name, and is compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        other = subject == 2
        place = folder / f"subject{subject}{'__' if other else ''}" / "EEG"
        place.mkdir(parents=True)
        (place.parent / "Audio").mkdir()
        variables = {"seg1" if other else "seg": scale * array(subject, content, n_samples)}
        savemat(place / f"subject{subject}_eeg.mat", variables, do_compression=other)
        label = one_hot(label_rows(subject))
        savemat(place / f"subject{subject}_eeg_label.mat", {"label": label})
    return folder


WRITERS = {"EAV": {"eeg": Layout(write_eav, verify_code, options=OPTIONS, n_trials=400)}}
