"""SEED-V by hand: .cnt recordings whose numbers tell where they belong, and pickles in .npz."""

from __future__ import annotations

import pickle
import struct
from functools import partial
from pathlib import Path

import numpy as np
from corpora_layouts import FeatureLayout, Layout, eeg

from affectrum.catalog.model import words

# the reference's own tables, typed anew
CHANNELS = list(
    words(
        "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 "
        "T7 C5 C3 C1 CZ C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 "
        "P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"
    )
)
DATES = [
    "20180804 20180416 20180414 20180414 20180719 20180713 20180411 20180717 20180724 20180507 "
    "20180510 20180515 20180720 20180420 20180724 20180805",
    "20180810 20180419 20180419 20180417 20180728 20180731 20180418 20180802 20180804 20180524 "
    "20180508 20180508 20180806 20180423 20180807 20180815",
    "20180808 20180425 20180424 20180501 20180723 20180802 20180422 20180726 20180728 20180626 "
    "20180522 20180517 20180725 20180427 20180730 20180813",
]
LABELS = [
    [4, 1, 3, 2, 0] * 3,
    [2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0],
    [2, 1, 3, 0, 4, 4, 0, 3, 2, 1, 3, 4, 1, 2, 0],
]


def cnt_name(subject: int, number: int) -> str:
    return f"{subject}_{number}_{DATES[number - 1].split()[subject - 1]}.cnt"


def times_of(number: int) -> list[tuple[float, float]]:
    """Return begin and end of the clips of a set: about a second each, none like its neighbour."""
    times, at = [], 0.5 + 0.1 * number
    for row in range(1, 16):
        length = 1.0 + 0.05 * ((row + number) % 4)
        times.append((round(at, 3), round(at + length, 3)))
        at += length + 0.05
    return times


def write_times(path: Path, times: dict[int, list[tuple[float, float]]]) -> Path:
    """Write trial_start_end_timestamp.txt as the vendor lays it out."""
    lines = []
    for number, pairs in times.items():
        lines.append(f"Session {number}:")
        lines.append("start_second: [" + ", ".join(f"{a:g}" for a, _ in pairs) + "]")
        lines.append("end_second: [" + ", ".join(f"{b:g}" for _, b in pairs) + "]")
        lines.append("")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    return path


def write_cnt_by_hand(
    path: Path, names: list[str], steps_uv: list[float], samples: np.ndarray, *, sfreq: int = 1000
) -> None:
    """Write a NeuroScan recording of 16-bit samples, each channel with a step and a baseline.

    `samples` (n_channels, n_samples) are whole numbers of steps above the baseline, which is 5 for
    every third channel.
    """
    n_channels, n_samples = samples.shape
    data_at = 900 + 75 * n_channels
    head = bytearray(900)
    head[:11] = b"Version 3.0"
    struct.pack_into("<H", head, 370, n_channels)
    struct.pack_into("<H", head, 376, sfreq)
    struct.pack_into("<i", head, 864, n_samples)
    struct.pack_into("<I", head, 886, data_at + 2 * n_channels * n_samples)
    entries = []
    baselines = np.array([5 if place % 3 == 0 else 0 for place in range(n_channels)])
    for name, step, baseline in zip(names, steps_uv, baselines, strict=True):
        entry = bytearray(75)
        entry[: len(name)] = name.encode()
        struct.pack_into("<h", entry, 47, baseline)
        struct.pack_into("<f", entry, 59, 204.8)
        struct.pack_into("<f", entry, 71, step)
        entries.append(bytes(entry))
    stored = (samples + baselines[:, None]).T.astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        bytes(head) + b"".join(entries) + stored.tobytes() + struct.pack("<BII", 2, 0, 0)
    )


def file_channels() -> tuple[list[str], list[float]]:
    """Return names and steps in file order: backwards, with what is no EEG in between."""
    names = CHANNELS[::-1]
    names = [*names[:30], "M1", *names[30:40], "VEO", *names[40:], "M2", "HEO"]
    return names, [0.1 if place % 2 else 0.2 for place in range(len(names))]


def number_of(subject: int, part: int, row: int, channel: np.ndarray) -> np.ndarray:
    """Return the number that tells subject (modulo 4), part, row and electrode."""
    return ((subject % 4 * 3 + part - 1) * 32 + row) * 64 + channel


def recording(
    subject: int, part: int, times: list[tuple[float, float]], content: str, sfreq: int = 1000
) -> np.ndarray:
    """Return the samples of a recording (file order): a trial's number during it, -9 outside."""
    names, steps = file_channels()
    n_samples = round((times[-1][1] + 0.2) * sfreq)
    if content == "eeg":
        rng = np.random.default_rng([subject, part])
        values = eeg(rng, len(names), n_samples) / np.array(steps)[:, None]
        return np.rint(values)
    place = np.array([CHANNELS.index(n) if n in CHANNELS else 63 for n in names])
    samples = np.full((len(names), n_samples), -9)
    for row, (start, end) in enumerate(times, start=1):
        level = number_of(subject, part, row, place)
        samples[:, round(start * sfreq) : round(end * sfreq)] = level[:, None]
    # no electrode is flat, and the sample's place is told
    samples[:, ::2] += 1
    return samples


def verify_cnt(subject: int, part: int, row: int, x: np.ndarray, first: int) -> None:
    """Assert that a trial made by `recording` is all of it and nothing else."""
    names, steps = file_channels()
    step = np.array([steps[names.index(name)] for name in CHANNELS])
    found = x * 1e6 / step[:, None]
    expected = number_of(subject, part, row, np.arange(62))[:, None] + np.zeros(x.shape[1])
    expected[:, first % 2 :: 2] += 1
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def write_seed_v(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    sets: tuple[int, ...] = (1, 2, 3),
    content: str = "code",
    simulated: bool = True,
    signals: bool = True,
    features: bool = False,
    times: bool = True,
) -> Path:
    """Write SEED-V."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    names, steps = file_channels()
    for subject in subjects:
        for number in sets if signals else ():
            samples = recording(subject, number, times_of(number), content)
            path = folder / "EEG_raw" / cnt_name(subject, number)
            write_cnt_by_hand(path, names, steps, samples)
        if features:
            write_features(folder / "EEG_DE_features" / f"{subject}_123.npz", subject)
    if times:
        path = folder / "trial_start_end_timestamp.txt"
        write_times(path, {number: times_of(number) for number in (1, 2, 3)})
    return folder


def n_windows_of(index: int) -> int:
    return 1 + index % 3


def trial_features(subject: int, index: int) -> np.ndarray:
    """Return (windows, 310): the columns run electrode by electrode, five bands each."""
    number, row = index // 15 + 1, index % 15 + 1
    window, electrode, band = np.indices((n_windows_of(index), 62, 5))
    place = row * 1e6 + electrode * 1e4 + window * 1e2 + band
    return (place + subject / 100 + number / 1000).reshape(-1, 310)


def write_features(path: Path, subject: int, **changed: object) -> Path:
    """Write {subject}_123.npz; `changed` replaces the dicts 'data' and 'label'."""
    data = {index: trial_features(subject, index) for index in range(45)}
    label = {index: np.full(n_windows_of(index), LABELS[index // 15][index % 15]) for index in data}
    content = {"data": data, "label": label} | changed
    path.parent.mkdir(parents=True, exist_ok=True)
    protocol = 2 + subject % 3
    np.savez(path, **{k: pickle.dumps(v, protocol=protocol) for k, v in content.items()})
    return path


def set_of(table_row) -> int:
    return int(table_row["session_name"].removeprefix("set "))


def verify_raw(table_row, x: np.ndarray) -> None:
    number = set_of(table_row)
    start, end = times_of(number)[table_row["row"] - 1]
    assert x.shape == (62, round((end - start) * 1000))
    verify_cnt(table_row["subject"], number, table_row["row"], x, round(start * 1000))


def verify_features(table_row, name: str, x: np.ndarray) -> None:
    window, electrode, band = np.indices(x.shape)
    place = table_row["row"] * 1e6 + electrode * 1e4 + window * 1e2 + band
    expected = place + table_row["subject"] / 100 + set_of(table_row) / 1000
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-8)


WRITERS = {"SEED-V": {"raw": Layout(write_seed_v, verify_raw)}}
FEATURE_WRITERS = {
    "SEED-V": {
        "features": FeatureLayout(
            partial(write_seed_v, features=True, signals=False, times=False), verify_features
        )
    }
}
