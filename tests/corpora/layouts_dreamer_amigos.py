"""DREAMER and AMIGOS as their vendors pack them, written with scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from corpora_layouts import Layout, code, eeg, verify_code
from scipy.io import savemat

from affectrum.catalog.model import words

# The reference on corpora, retyped.
CHANNELS = words("AF3 F7 F3 FC5 T7 P7 O1 O2 P8 T8 FC6 F4 F8 AF4")
OFFSET_UV = 4200.0


# DREAMER -------------------------------------------------------------------------------------


def dreamer_samples(row: int) -> int:
    """Return a length that differs between clips and is the same for all people."""
    return 128 * (1 + row % 3) + row


def dreamer_scores(subject: int) -> np.ndarray:
    """Return (18 clips, 3): valence, arousal, dominance, whole numbers 1 to 5."""
    return np.random.default_rng(200 + subject).integers(1, 6, (18, 3))


def _cells(arrays: list) -> np.ndarray:
    cells = np.empty((len(arrays), 1), object)
    for position, array in enumerate(arrays):
        cells[position, 0] = array
    return cells


def dreamer_person(subject: int, content: str = "code", baseline: int = 7808) -> dict:
    """Return one element of DREAMER.Data."""
    rng = np.random.default_rng(subject)

    def clip(row: int, n_samples: int) -> np.ndarray:
        if content == "eeg":
            return (OFFSET_UV + eeg(rng, 14, n_samples)).T
        return code(subject, 1, row, 14, n_samples).T

    def rest(row: int) -> np.ndarray:
        # flat but for the row, the electrode and the subject, so that it packs well
        electrode = 100.0 * np.arange(14)
        return np.tile(-1e5 * row - electrode - subject, (baseline, 1))

    rows = range(1, 19)
    scores = dreamer_scores(subject)
    return {
        "Age": "22",
        "Gender": "male",
        "EEG": {
            "baseline": _cells([rest(row) for row in rows]),
            "stimuli": _cells([clip(row, dreamer_samples(row)) for row in rows]),
        },
        "ECG": {
            "baseline": _cells([np.zeros((4, 2)) for _ in rows]),
            "stimuli": _cells([np.zeros((2 * dreamer_samples(row), 2)) for row in rows]),
        },
        "ScoreValence": scores[:, :1],
        "ScoreArousal": scores[:, 1:2],
        "ScoreDominance": scores[:, 2:],
    }


def dreamer_content(subjects: tuple[int, ...], **further) -> dict:
    """Return the variable; `subjects` are numbered from 1 without gaps."""
    data = np.empty((1, len(subjects)), object)
    for position, subject in enumerate(subjects):
        data[0, position] = dreamer_person(subject, **further)
    return {
        "Data": data,
        "EEG_SamplingRate": 128,
        "ECG_SamplingRate": 256,
        "EEG_Electrodes": np.array(CHANNELS, object)[None],
        "noOfSubjects": len(subjects),
        "noOfVideoSequences": 18,
        "Disclaimer": "a fixture",
    }


def write_dreamer(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    simulated: bool = True,
    compress: bool = True,
    change=None,
    **further,
) -> Path:
    """Write DREAMER.mat; `change` may alter the variable before."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    variable = dreamer_content(subjects, **further)
    if change is not None:
        change(variable)
    savemat(folder / "DREAMER.mat", {"DREAMER": variable}, do_compression=compress)
    return folder


# AMIGOS --------------------------------------------------------------------------------------

# The order is the file's own matter, so this one is not the catalogue's.
VIDEOS = words("4 5 9 10 13 18 19 20 23 30 31 34 36 58 80 138 B1 N1 P1 U1")


def amigos_samples(column: int) -> int:
    """Return the samples of a column (from 0), 5 s of baseline included."""
    return 640 + 128 * (1 + column % 2) + column


def amigos_self(subject: int) -> np.ndarray:
    """Return (20 videos, 12): five scales 1 to 9, then one of seven words ticked."""
    rng = np.random.default_rng(300 + subject)
    scales = np.round(rng.uniform(1, 9, (20, 5)), 2)
    return np.concatenate([scales, np.eye(7)[rng.integers(0, 7, 20)]], axis=1)


def amigos_external(subject: int, column: int) -> np.ndarray:
    """Return (segments, 3): number of the segment, valence, arousal."""
    rng = np.random.default_rng([400 + subject, column])
    n = 2 + column % 3
    return np.column_stack([np.arange(1, n + 1), np.round(rng.uniform(-1, 1, (n, 2)), 3)])


def amigos_content(subject: int, content: str = "code") -> dict:
    """Return the variables of one person's file."""
    rng = np.random.default_rng(subject)
    joined, own = np.empty((1, 20), object), np.empty((1, 20), object)
    external = np.empty((1, 20), object)
    for column, video in enumerate(VIDEOS):
        is_long = not video.isdigit()
        session, row = 1 + is_long, column + 1 - 16 * is_long
        n = amigos_samples(column)
        x = eeg(rng, 17, n) if content == "eeg" else code(subject, session, row, 17, n)
        joined[0, column] = x.T
        own[0, column] = amigos_self(subject)[column : column + 1]
        external[0, column] = amigos_external(subject, column)
    return {
        "VideoIDs": np.array(VIDEOS, object)[None],
        "joined_data": joined,
        "labels_selfassessment": own,
        "labels_ext_annotation": external,
    }


def write_amigos(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    simulated: bool = True,
    compress: bool = True,
    inner: str = "data_preprocessed",
    own_folders: bool = False,
    change=None,
    **further,
) -> Path:
    """Write one file per person; `change(subject, variables)` may alter them before."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        variables = amigos_content(subject, **further)
        if change is not None:
            change(subject, variables)
        stem = f"Data_Preprocessed_P{subject:02d}"
        path = folder / inner / (stem if own_folders else "") / f"{stem}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, variables, do_compression=compress)
    return folder


WRITERS = {
    "DREAMER": {"mat": Layout(write_dreamer, verify_code)},
    "AMIGOS": {"preprocessed": Layout(write_amigos, verify_code)},
}
