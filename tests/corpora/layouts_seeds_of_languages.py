"""SEED-FRA and SEED-GER by hand: windows of all trials one behind the other, and recordings."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
from corpora_layouts import FeatureLayout, Layout
from corpora_layouts_seed_v import file_channels, recording, verify_cnt, write_cnt_by_hand

# the reference's own tables, typed anew
LABELS = {
    "SEED-FRA": [1, -1, 0, -1, 1, 0, -1, 0, 1, -1, 0, 1, 1, 0, -1, -1, 0, 1, -1, 0, 1],
    "SEED-GER": [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, 0, -1, -1, 0, 1, 1],
}
FOLDERS = {"SEED-FRA": "French", "SEED-GER": "German"}
BANDS = ["delta", "theta", "alpha", "beta", "gamma"]
# trials of the first part of a file, by session: the second of each splits neighbours of one label
BORDERS = {"SEED-FRA": (14, 12, 9), "SEED-GER": (8, 9, 14)}
# rows that have a neighbour of the same label
NEIGHBOURS = {"SEED-FRA": [12, 13, 15, 16], "SEED-GER": [3, 4, 9, 10, 16, 17, 19, 20]}


def seconds_of(row: int) -> int:
    return 8 + row % 5


def feature_times(name: str) -> list[list[float]]:
    """Return times whose lengths are those of the features."""
    times, at = [], 10.0
    for row in range(1, len(LABELS[name]) + 1):
        times.append([at, at + seconds_of(row)])
        at += seconds_of(row) + 30
    return times


def raw_times(name: str) -> list[list[float]]:
    """Return times for the recordings, about a second each."""
    times, at = [], 0.7
    for row in range(1, len(LABELS[name]) + 1):
        length = 1.0 + 0.05 * (row % 4)
        times.append([round(at, 3), round(at + length, 3)])
        at += length + 0.06
    return times


def windows_of(name: str, subject: int, session: int, rows: range, window_s: int) -> np.ndarray:
    """Return (windows, 62, 5) of some trials."""
    pieces = []
    for row in rows:
        window, electrode, band = np.indices((seconds_of(row) // window_s, 62, 5))
        place = row * 1e6 + electrode * 1e4 + window * 1e2 + band
        pieces.append(place + subject / 100 + session / 1000)
    return np.concatenate(pieces) if pieces else np.empty((0, 62, 5))


def write_npz(
    path: Path, name: str, subject: int, session: int, window_s: int, **changed: object
) -> Path:
    """Write {subject}_{session}.npz; `changed` replaces arrays (None leaves one out)."""
    labels, border = LABELS[name], BORDERS[name][session - 1]
    shift = 1 if subject == 2 else 0  # recoded to begin at 0
    content: dict[str, object] = {}
    for part, rows in (
        ("train", range(1, border + 1)),
        ("test", range(border + 1, len(labels) + 1)),
    ):
        values = windows_of(name, subject, session, rows, window_s)
        # the order in the dict is nothing to rely on
        bands = {band: values[:, :, BANDS.index(band)] for band in BANDS[::-1]}
        content[f"{part}_data"] = pickle.dumps(bands, protocol=2 + session)
        counts = [seconds_of(row) // window_s for row in rows]
        content[f"{part}_label"] = np.repeat([labels[row - 1] + shift for row in rows], counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{k: v for k, v in (content | changed).items() if v is not None})
    return path


def write_language(
    folder: Path,
    *,
    name: str,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    simulated: bool = True,
    signals: bool = False,
    features: tuple[int, ...] = (),
    inner: str | None = None,
    feature_folder: str = "02-EEG-DE-feature",
) -> Path:
    """Write SEED-FRA or SEED-GER."""
    top = folder / (FOLDERS[name] if inner is None else inner)
    top.mkdir(parents=True, exist_ok=True)
    if simulated:
        for place in (folder, top):  # twins mark every folder of data
            (place / "SIMULATED.txt").write_text("a fixture\n")
    names, steps = file_channels()
    for subject in subjects:
        for session in (1, 2, 3):
            stem = f"{subject}_{session}"
            if signals:
                times = [(a, b) for a, b in raw_times(name)]
                samples = recording(subject, session, times, content)
                write_cnt_by_hand(top / "01-EEG-raw" / f"{stem}.cnt", names, steps, samples)
            for window_s in features:
                path = top / feature_folder / f"eeg_used_{window_s}s" / f"{stem}.npz"
                write_npz(path, name, subject, session, window_s)
    return folder


def verify_raw(table_row, x: np.ndarray) -> None:
    start, end = raw_times(table_row["corpus"])[table_row["row"] - 1]
    assert x.shape == (62, round((end - start) * 1000))
    first = round(start * 1000)
    verify_cnt(table_row["subject"], table_row["session"], table_row["row"], x, first)


def verify_features(table_row, name: str, x: np.ndarray) -> None:
    window_s = 4 if name.endswith("@4s") else 1
    window, electrode, band = np.indices((seconds_of(table_row["row"]) // window_s, 62, 5))
    place = table_row["row"] * 1e6 + electrode * 1e4 + window * 1e2 + band
    expected = place + table_row["subject"] / 100 + table_row["session"] / 1000
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-8)


WRITERS = {
    name: {
        "raw": Layout(
            partial(write_language, name=name, signals=True),
            verify_raw,
            options={"times": raw_times(name)},
        )
    }
    for name in LABELS
}
FEATURE_WRITERS = {
    name: {
        "features": FeatureLayout(
            partial(write_language, name=name, features=(1, 4)),
            verify_features,
            options={"times": feature_times(name)},
        )
    }
    for name in LABELS
}
