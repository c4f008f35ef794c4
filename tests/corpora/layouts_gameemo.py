"""GAMEEMO by hand: .csv files whose columns are in an order of their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from corpora_layouts import Layout, code, eeg, verify_code

from affectrum.catalog.model import words

COLUMNS = words("AF3 AF4 F3 F4 F7 F8 FC5 FC6 O1 O2 P7 P8 T7 T8")
FOLDERS = {"preprocessed": "Preprocessed EEG Data", "raw": "Raw EEG Data"}


def file_of(folder: Path, subject: int, game: int, form: str = "preprocessed") -> Path:
    name = f"S{subject:02d}G{game}AllChannels.csv"
    return folder / f"(S{subject:02d})" / FOLDERS[form] / ".csv format" / name


def write_csv(path: Path, x: np.ndarray, columns: tuple[str, ...], *, tail: str = "") -> None:
    """Write (channel, sample) microvolts, the channels in the order of COLUMNS, in another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = [COLUMNS.index(name) for name in columns]
    lines = [",".join(columns) + tail]
    lines += [",".join(f"{value!r}" for value in row) + tail for row in x[order].T.tolist()]
    path.write_text("\n".join(lines) + "\n")


def write_gameemo(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    form: str = "preprocessed",
    content: str = "code",
    simulated: bool = True,
    n_samples: int = 256,
) -> Path:
    """Write one form; subject 2's columns come in reverse and end with an empty one."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        for game in (1, 2, 3, 4):
            if content == "eeg":
                x = eeg(np.random.default_rng([subject, game]), 14, n_samples)
            else:
                x = code(subject, 1, game, 14, n_samples)
            path = file_of(folder, subject, game, form)
            columns = COLUMNS[::-1] if subject == 2 else COLUMNS
            write_csv(path, x, columns, tail="," if subject == 2 else "")
        (folder / f"(S{subject:02d})" / "SAM Ratings").mkdir()
        matlab = folder / f"(S{subject:02d})" / FOLDERS[form] / ".mat format"
        matlab.mkdir()
        (matlab / f"S{subject:02d}G1AllChannels.mat").write_bytes(b"not read")
    return folder


WRITERS = {
    "GAMEEMO": {
        "preprocessed": Layout(write_gameemo, verify_code),
        "raw": Layout(partial(write_gameemo, form="raw"), verify_code),
    }
}
