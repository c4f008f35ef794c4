"""Small folders in the layouts of FACED and THU-EP, written by hand."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from corpora_layouts import (
    DEAP_GAIN_UV,
    DEAP_SHIFT_UV,
    FeatureLayout,
    Layout,
    code,
    eeg,
    verify_code,
    write_bdf,
)
from scipy.io import savemat

from affectrum.catalog.model import words

CHANNELS = list(
    words(
        "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T7 T8 CP1 CP2 CP5 CP6 Pz P3 P4 "
        "P7 P8 PO3 PO4 Oz O1 O2 A2 A1"
    )
)
COHORT_1 = list(
    words(
        "Fp1 Fp2 Fz F3 F4 F7 F8 FC1 FC2 FC5 FC6 Cz C3 C4 T3 T4 A1 A2 CP1 CP2 CP5 CP6 Pz "
        "P3 P4 T5 T6 PO3 PO4 Oz O1 O2"
    )
)
COHORT_2 = [*CHANNELS[:30], "HEOR", "HEOL"]
OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8", "HEOR": "A2", "HEOL": "A1"}
SCORES = list(
    words(
        "joy tenderness inspiration amusement anger disgust fear sadness arousal valence "
        "familiarity liking"
    )
)
N_VIDEOS = 28


def shown(subject: int) -> list[int]:
    """Return the videos (1-28) in the order in which a subject (from 1) saw them."""
    return [int(v) + 1 for v in np.random.default_rng(subject).permutation(N_VIDEOS)]


def scores(subject: int) -> np.ndarray:
    """Return the ratings of videos 1-28, shape (28, 12)."""
    return np.round(np.random.default_rng(50 + subject).uniform(0, 7, (N_VIDEOS, 12)), 2)


def write_remarks(path: Path, subject: int) -> None:
    """Write After_remarks.mat: one struct per presentation, joined to the video by `vid`."""
    fields = ["score", "trial", "vid", "Accuracy", "ResponseTime"]
    entries = np.empty((N_VIDEOS, 1), [(name, object) for name in fields])
    for position, video in enumerate(shown(subject)):
        entries[position, 0] = (
            scores(subject)[video - 1][None],
            float(position + 1),
            float(video),
            1.0,
            0.5,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"After_remark": entries})


def write_faced(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    seconds: int = 2,
    features: bool = False,
    signals: bool = True,
    remarks: bool = True,
    simulated: bool = True,
) -> Path:
    """Write the preprocessed form (subject 1 is sub000), and the features where asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        stem = f"sub{subject - 1:03d}"
        rng = np.random.default_rng(subject)
        n_samples = 250 * seconds
        data = np.stack(
            [
                eeg(rng, 32, n_samples)
                if content == "eeg"
                else code(subject, 1, row, 32, n_samples)
                for row in range(1, N_VIDEOS + 1)
            ]
        )
        if signals:
            path = folder / "Processed_data" / f"{stem}.pkl"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(pickle.dumps(data))
        if features:
            for number, name in enumerate(("DE", "PSD")):
                path = folder / "EEG_Features" / name / f"{stem}.pkl.pkl"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(pickle.dumps(feature_code(subject, number)))
        if remarks:
            write_remarks(folder / "Data" / stem / "After_remarks.mat", subject)
    return folder


def feature_code(subject: int, number: int, n_windows: int = 3) -> np.ndarray:
    """Return (28, 32, windows, 5): video*1e6 + electrode*1e4 + window*1e2 + band*10 + feature."""
    video, electrode, window, band = np.indices((N_VIDEOS, 32, n_windows, 5))
    return (video + 1) * 1e6 + electrode * 1e4 + window * 1e2 + band * 10 + number + subject / 100


def verify_features(table_row, name: str, x: np.ndarray) -> None:
    """Assert that features made by `feature_code` are those of their row, with axes in order."""
    window, electrode, band = np.indices(x.shape)
    place = table_row["row"] * 1e6 + electrode * 1e4 + window * 1e2 + band * 10
    number = {"DE": 0, "PSD": 1}[name]
    np.testing.assert_allclose(x, place + number + table_row["subject"] / 100, rtol=0, atol=1e-8)


def write_events(path: Path, events: list[tuple[float, str]], n_records: int) -> None:
    """Write a BDF+ file of events: records of a second, a channel of one sample and the texts."""
    n_bytes = 300

    def cells(values: list[object], width: int) -> bytes:
        return b"".join(str(value).encode("latin-1").ljust(width)[:width] for value in values)

    header = b"\xffBIOSEMI" + b"".ljust(160) + b"21.11.1909.00.00" + str(256 * 3).encode().ljust(8)
    header += b"BDF+C".ljust(44) + str(n_records).encode().ljust(8) + b"1".ljust(8) + b"2".ljust(4)
    header += cells(["Event", "BDF Annotations"], 16) + cells(["", ""], 80) + cells(["", ""], 8)
    header += cells([-1, -1], 8) + cells([1, 1], 8)
    header += cells([-8388608, -8388608], 8) + cells([8388607, 8388607], 8) + cells(["", ""], 80)
    header += cells([1, n_bytes // 3], 8) + cells(["", ""], 32)
    body = b""
    for record in range(n_records):
        texts = f"+{record}\x14\x14\0"
        for onset, text in events:
            if record <= onset < record + 1:
                texts += f"+{onset:.3f}\x14{text}\x14\0"
        raw = texts.encode()
        assert len(raw) <= n_bytes
        body += bytes(3) + raw.ljust(n_bytes, b"\0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + body)


def session_events(subject: int, seconds: int) -> list[tuple[float, str]]:
    """Return the events of a session: 1 s of rest, then a video of `seconds`, and so on."""
    events = [(0.1, "100"), (0.2, "Impedance check")]
    for position, video in enumerate(shown(subject)):
        begin = position * (seconds + 2) + 1
        events += [
            (begin - 0.2, str(video)),
            (begin, "101"),
            (begin + seconds, "102"),
        ]
    return events


def write_faced_raw(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    seconds: int = 1,
    sfreq: int | None = None,
    unit: str = "uV",
    remarks: bool = True,
    simulated: bool = True,
    events: bool = True,
) -> Path:
    """Write original recordings: during video v, electrode c is at (v * 100 + c) steps.

    c counts the electrodes in the order of the preprocessed files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    lines = ["sub,Gender,Age,Cohort ,Sample_rate,Unit"]
    for subject in subjects:
        stem = f"sub{subject - 1:03d}"
        names = COHORT_1 if subject <= 61 else COHORT_2
        rate = sfreq or 250
        n_seconds = N_VIDEOS * (seconds + 2)
        data = np.zeros((32, n_seconds * rate), np.int64)
        if content == "eeg":
            rng = np.random.default_rng(subject)
            data += np.rint(eeg(rng, *data.shape) / DEAP_GAIN_UV).astype(int)
        else:
            for position, video in enumerate(shown(subject)):
                start = (position * (seconds + 2) + 1) * rate
                for row, name in enumerate(names):
                    electrode = CHANNELS.index(OLD_NAMES.get(name, name))
                    data[row, start : start + seconds * rate] = video * 100 + electrode
            data += np.arange(data.shape[1]) % 2
        write_bdf(folder / "Data" / stem / "data.bdf", names, data, rate, unit=unit)
        if events:
            path = folder / "Data" / stem / "evt.bdf"
            write_events(path, session_events(subject, seconds), n_seconds)
        if remarks:
            write_remarks(folder / "Data" / stem / "After_remarks.mat", subject)
        lines.append(f"{stem},F,22,{1 if subject <= 61 else 2},{rate},{unit}")
    (folder / "Recording_info.csv").write_text("\n".join(lines) + "\n")
    return folder


def verify_faced_raw(table_row, x: np.ndarray) -> None:
    """Assert that signals made by `write_faced_raw` are those of their row of the trial table."""
    steps = np.rint((x * 1e6 - DEAP_SHIFT_UV) / DEAP_GAIN_UV)
    video = shown(table_row["subject"])[table_row["row"] - 1]
    assert table_row["clip"] == f"FACED/{video:02d}"
    assert set(np.unique(steps - video * 100 - np.arange(len(x))[:, None])) == {0.0, 1.0}


THU_EP_CHANNELS = [*CHANNELS[:16], "A1", "A2", *CHANNELS[16:30]]


def write_thu_ep(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    seconds: int = 1,
    chunks: tuple[int, ...] | None = (64, 8, 2, 6),
    simulated: bool = True,
    ratings: bool = False,
) -> Path:
    """Write sub_1.mat ...; electrodes count in the order of CHANNELS, A1 and A2 in rows 17, 18."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    places = [CHANNELS.index(name) for name in THU_EP_CHANNELS]
    for subject in subjects:
        rng = np.random.default_rng(subject)
        n_samples = 250 * seconds
        broadband = np.stack(
            [
                eeg(rng, 32, n_samples)
                if content == "eeg"
                else code(subject, 1, row, 32, n_samples)
                for row in range(1, N_VIDEOS + 1)
            ]
        )[:, places]
        bands = np.stack([-broadband] * 5 + [broadband])  # MATLAB: (bands, stimuli, channels, time)
        write_v73(folder / "EEG data" / f"sub_{subject}.mat", {"data": bands}, chunks)
        if ratings:
            path = folder / "ratings" / f"sub{subject}_rating.mat"
            path.parent.mkdir(exist_ok=True)
            savemat(path, {"rating": scores(subject), "other": np.zeros((3, 3))})
    return folder


def write_v73(
    path: Path, variables: dict[str, np.ndarray], chunks: tuple[int, ...] | None = None
) -> None:
    """Write a MATLAB v7.3 file: axes reversed, gzip where there are chunks, a text in front."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            packing = {"chunks": chunks, "compression": "gzip"} if chunks else {}
            found = file.create_dataset(name, data=value.T, **packing)
            found.attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


WRITERS = {
    "FACED": {
        "processed": Layout(write_faced, verify_code),
        "raw": Layout(write_faced_raw, verify_faced_raw),
    },
    "THU-EP": {
        "signals": Layout(
            write_thu_ep,
            verify_code,
            options={"channels": THU_EP_CHANNELS, "unit": "uV"},
        )
    },
}

FEATURE_WRITERS = {
    "FACED": {
        "features": FeatureLayout(
            partial(write_faced, features=True, signals=False), verify_features
        )
    }
}
