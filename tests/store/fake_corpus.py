"""A small corpus with the interface of `affectrum.corpora.Corpus`, one .npz file per session."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from affectrum.corpora import FeatureInfo, ReaderOptions
from affectrum.errors import FileFormatError
from affectrum.windows import TRIAL_DTYPES

CHANNELS = ("Fp1", "Fz", "Cz", "Pz", "Oz")
SFREQ = 100.0


def write_folder(
    folder: Path, *, n_subjects: int = 3, n_sessions: int = 2, n_trials: int = 3, seed: int = 0
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for subject in range(1, n_subjects + 1):
        for session in range(1, n_sessions + 1):
            rng = np.random.default_rng([seed, subject, session])
            arrays = {
                f"t{row}": rng.normal(scale=2e-5, size=(len(CHANNELS), 400 + 130 * row))
                for row in range(1, n_trials + 1)
            }
            np.savez(folder / f"s{subject}_{session}.npz", **arrays)
    return folder


class FakeCorpus:
    """Counts the files it opens, so that tests can tell what was computed and what was kept."""

    name = "FAKE"
    form = "plain"
    reader_version = "1"
    channels = CHANNELS
    simulated = True
    options = ReaderOptions()
    feature_names: tuple[str, ...] = ("de_LDS",)

    def __init__(self, folder: Path, *, valence: float = 0.0, delay_s: float = 0.0) -> None:
        self.folder = Path(folder)
        self.valence = valence
        self.delay_s = delay_s
        self.opened: list[str] = []

    @property
    def trials(self) -> pd.DataFrame:
        lines = []
        for path in sorted(self.folder.glob("*.npz")):
            subject, session = (int(part) for part in path.stem[1:].split("_"))
            with np.load(path, allow_pickle=False) as file:
                for row, key in enumerate(file.files, start=1):
                    shape = file[key].shape
                    lines.append(
                        {
                            "corpus": self.name,
                            "subject": subject,
                            "session": session,
                            "row": row,
                            "trial": row,
                            "clip": f"FAKE/{row:02d}",
                            "emotion": ("sad", "neutral", "happy")[row % 3],
                            "valence": self.valence,
                            "onset_s": 0.0,
                            "duration_s": shape[1] / SFREQ,
                            "sfreq": SFREQ,
                            "n_channels": shape[0],
                            "file": path.name,
                            "key": key,
                            "simulated": self.simulated,
                        }
                    )
        table = pd.DataFrame(lines)
        for name, dtype in TRIAL_DTYPES.items():
            if name not in table:
                table[name] = pd.Series([np.nan if dtype == "float64" else None] * len(table))
            table[name] = table[name].astype(dtype)
        return table[list(TRIAL_DTYPES)]

    def fingerprint(self, file: str) -> str:
        try:
            return hashlib.sha256((self.folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise FileFormatError(f"{file}: {error}") from error

    def iter_trials(self, rows: pd.DataFrame) -> Iterator[tuple[pd.Series, np.ndarray[Any, Any]]]:
        for name, part in rows.groupby("file", sort=False):
            self.opened.append(str(name))
            with np.load(self.folder / str(name), allow_pickle=False) as file:
                for _, trial in part.iterrows():
                    time.sleep(self.delay_s)
                    x = file[trial["key"]]
                    if trial["key"] == "broken":
                        raise FileFormatError(f"{name}: the variable 'broken' can't be read.")
                    yield trial, x

    def feature_info(self, name: str) -> FeatureInfo:
        return FeatureInfo(name=name, window_s=1.0, bands=tuple("abcde"), scale="none")

    def read_features(self, trial: pd.Series, name: str) -> np.ndarray[Any, Any]:
        assert name == "de_LDS"
        n_windows = int(trial["duration_s"])
        grid = np.arange(n_windows * 5 * 5, dtype=float).reshape(n_windows, 5, 5)
        return grid + 1000 * trial["row"]
