"""SEED-VII by hand: every value tells where it belongs."""

from __future__ import annotations

import csv
import struct
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from corpora_layouts import FeatureLayout, Layout, code, verify_code
from scipy.io import savemat

from affectrum.catalog.model import words

# retyped from the corpus's list, session by session
WORDS = [
    words("happy neutral disgust sad anger anger sad disgust neutral happy") * 2,
    words("anger sad fear neutral surprise surprise neutral fear sad anger") * 2,
    words("happy surprise disgust fear anger anger fear disgust surprise happy") * 2,
    words("disgust sad fear surprise happy happy surprise fear sad disgust") * 2,
]
ELECTRODES = words(
    "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 "
    "T7 C5 C3 C1 CZ C2 C4 C6 T8 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 "
    "PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"
)
# recordings with wrong triggers, and when they began
WRONG = {(14, 1): "2022-10-15 14:25:34", (9, 3): "2022-11-11 14:01:27"}
CNT_RATE = 20  # an honest 1000 Hz makes large files; a check of a sound folder has them
PAUSE_S, TRIAL_S = 1, 1
WRONG_BY_S = 1  # how late the wrong triggers come


def recording_start(subject: int, session: int) -> datetime:
    if (subject, session) in WRONG:
        return datetime.fromisoformat(WRONG[subject, session])
    return datetime(2022, 10, session, 9, 30, subject)


def recording_name(subject: int, session: int) -> str:
    return f"{subject}_{recording_start(subject, session):%Y%m%d}_{session}"


def seconds_of(row: int) -> int:
    return 1 + row % 2


def content(kind: str, subject: int, session: int, row: int, n_samples: int) -> np.ndarray:
    if kind == "eeg":
        rng = np.random.default_rng([subject, session, row])
        return rng.normal(scale=20.0, size=(62, n_samples))
    return code(subject, session, row, 62, n_samples)


def write_mark(folder: Path, simulated: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")


def write_preprocessed(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content_of: str = "code",
    simulated: bool = True,
) -> Path:
    """Write EEG_preprocessed: variables 1 to 80 of (62, samples), whole seconds at 200 Hz."""
    write_mark(folder, simulated)
    for subject in subjects:
        path = folder / "EEG_preprocessed" / f"{subject}.mat"
        path.parent.mkdir(exist_ok=True)
        variables = {
            str(20 * session + row): content(
                content_of, subject, session + 1, row, 200 * seconds_of(row)
            )
            for session in range(4)
            for row in range(1, 21)
        }
        savemat(path, variables, do_compression=subject == 1)
    return folder


def feature_code(subject: int, video: int, kind: int, n_windows: int) -> np.ndarray:
    """Return (windows, bands, electrodes): video*1e6 + electrode*1e4 + window*1e2 + band*10."""
    window, band, electrode = np.indices((n_windows, 5, 62))
    return video * 1e6 + electrode * 1e4 + window * 1e2 + band * 10 + kind + subject / 100


def write_features(folder: Path, subjects: tuple[int, ...] = (1, 2)) -> Path:
    """Write EEG_features beside what is there."""
    for subject in subjects:
        path = folder / "EEG_features" / f"{subject}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        variables = {}
        for video in range(1, 81):
            for kind, name in enumerate(("psd", "de", "de_LDS")):
                variables[f"{name}_{video}"] = feature_code(subject, video, kind, 1 + video % 3)
        savemat(path, variables)
    return folder


def raw_level(subject: int, session: int, row: int, electrode: np.ndarray) -> np.ndarray:
    """Return the steps of half a microvolt that a trial holds; the pauses hold -1."""
    return (subject % 3 * 4 + session) * 2200 + row * 100 + electrode


def raw_names() -> list[str]:
    """Return the channels of a recording: mastoids between the electrodes, the rest at the end."""
    at = ELECTRODES.index("T8") + 1
    return [*ELECTRODES[:at], "M1", *ELECTRODES[at:], "M2", "ECG", "HEO", "VEO"]


def write_cnt(path: Path, names, steps, events, *, rate: int, began: datetime) -> None:
    """Write a NeuroScan file by hand: 16-bit samples of half a microvolt."""
    n, n_samples = steps.shape
    data_at = 900 + 75 * n
    head = bytearray(900)
    head[:11] = b"Version 3.0"
    head[225:233] = f"{began:%m/%d/%y}".encode()
    head[235:243] = f"{began:%H:%M:%S}".encode()
    struct.pack_into("<H", head, 370, n)
    struct.pack_into("<H", head, 376, rate)
    struct.pack_into("<i", head, 864, n_samples)
    struct.pack_into("<I", head, 886, data_at + 2 * n * n_samples)
    channels = b""
    for name in names:
        entry = bytearray(75)
        entry[: len(name)] = name.encode()
        struct.pack_into("<f", entry, 59, 204.8)
        struct.pack_into("<f", entry, 71, 0.5)
        channels += bytes(entry)
    table = b"".join(
        struct.pack("<HBBI", number, 0, 0, data_at + (sample + 1) * 2 * n)
        for sample, number in events
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    body = np.ascontiguousarray(steps.T, "<i2").tobytes()
    path.write_bytes(bytes(head) + channels + body + struct.pack("<BII", 1, len(table), 0) + table)


def write_raw(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    sessions: tuple[int, ...] = (1, 2, 3, 4),
    content_of: str = "code",
    simulated: bool = True,
    rate: int = CNT_RATE,
    tables: bool = True,
) -> Path:
    """Write EEG_raw and save_info. Each trial lasts 1 s after a pause of 1 s."""
    write_mark(folder, simulated)
    names = raw_names()
    for subject in subjects:
        for session in sessions:
            period = (PAUSE_S + TRIAL_S) * rate
            steps = np.full((len(names), 20 * period + PAUSE_S * rate), -1)
            if content_of == "eeg":
                rng = np.random.default_rng([subject, session])
                steps = np.rint(rng.normal(scale=40.0, size=steps.shape))
            events = []
            late = WRONG_BY_S * rate if (subject, session) in WRONG else 0
            for row in range(1, 21):
                start = (row - 1) * period + PAUSE_S * rate
                stop = start + TRIAL_S * rate
                if content_of == "code":
                    for place, name in enumerate(names):
                        electrode = ELECTRODES.index(name) if name in ELECTRODES else 70
                        steps[place, start:stop] = raw_level(subject, session, row, electrode)
                    steps[:, start:stop] += np.arange(stop - start) % 2  # no electrode is flat
                events += [(start + late, 1), (stop + late, 2)]
            began = recording_start(subject, session)
            stem = recording_name(subject, session)
            write_cnt(
                folder / "EEG_raw" / f"{stem}.cnt", names, steps, events, rate=rate, began=began
            )
            if tables:
                write_tables(folder, subject, session)
    return folder


def write_tables(folder: Path, subject: int, session: int) -> None:
    """Write the two lists in save_info of one recording."""
    stem, began = recording_name(subject, session), recording_start(subject, session)
    place = folder / "save_info"
    place.mkdir(exist_ok=True)
    with (place / f"{stem}_trigger_info.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for row in range(1, 21):
            start = (row - 1) * (PAUSE_S + TRIAL_S) + PAUSE_S
            for number, second in ((1, start), (2, start + TRIAL_S)):
                # Python writes no fraction where there is none
                writer.writerow([number, str(began + timedelta(seconds=second))])
    with (place / f"{stem}_save_info.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for row, word in enumerate(WORDS[session - 1], start=1):
            video = rf"D:\stimuli\{word.title()}\{20 * (session - 1) + row}.mp4"
            writer.writerow([row, video, self_report(subject, session, row)])


def self_report(subject: int, session: int, row: int) -> float:
    return round((subject + 10 * session + row) / 100, 2)


def verify_raw(table_row, x: np.ndarray) -> None:
    level = raw_level(
        table_row["subject"], table_row["session"], table_row["row"], np.arange(62)[:, None]
    )
    steps = np.rint(x * 2e6)  # 204.8 is no round number in 32 bits
    np.testing.assert_allclose(steps, level + np.arange(x.shape[1]) % 2, rtol=1e-7, atol=0.5)


def write_label_list(path: Path, sessions=None) -> None:
    """Write the vendor's workbook: rows of video numbers between the rows of words."""
    strings: list[str] = []

    def cell(column: int, row: int, value) -> str:
        place = f"{chr(ord('A') + column)}{row}"
        if isinstance(value, int):
            return f'<c r="{place}"><v>{value}</v></c>'
        strings.append(value)
        return f'<c r="{place}" t="s"><v>{len(strings) - 1}</v></c>'

    rows = []
    for session, emotions in enumerate(sessions or WORDS, start=1):
        numbers = range(20 * session - 19, 20 * session + 1)
        for values in (["Video index", *numbers], [f"Session {session}", *emotions]):
            place = len(rows) + 1
            cells = "".join(cell(column, place, v) for column, v in enumerate(values))
            rows.append(f'<row r="{place}">{cells}</row>')
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    texts = "".join(f"<si><t>{text}</t></si>" for text in strings)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{texts}</sst>")
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f"<worksheet {space}><sheetData>{''.join(rows)}</sheetData></worksheet>",
        )


def write_continuous(folder: Path, subject: int, *, points=lambda video: seconds_of(video)) -> Path:
    path = folder / "continuous_labels" / f"{subject}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(
        path, {str(v): np.arange(1, 1 + points(v))[None] / 1000 + v / 100 for v in range(1, 81)}
    )
    return path


WRITERS = {
    "SEED-VII": {
        "preprocessed": Layout(write_preprocessed, verify_code, sound={"content_of": "eeg"}),
        "raw": Layout(write_raw, verify_raw, sound={"content_of": "eeg", "rate": 1000}),
    }
}


def write_features_alone(
    folder: Path, *, subjects: tuple[int, ...] = (1, 2), simulated: bool = True
) -> Path:
    """Write EEG_features without signals."""
    write_mark(folder, simulated)
    return write_features(folder, subjects)


def verify_features(table_row, name: str, x: np.ndarray) -> None:
    """Assert that features made by `feature_code` are those of their row, with axes in order."""
    window, electrode, band = np.indices(x.shape)
    video = 20 * (table_row["session"] - 1) + table_row["row"]
    kind = {"psd": 0, "de": 1, "de_LDS": 2}[name]
    place = video * 1e6 + electrode * 1e4 + window * 1e2 + band * 10 + kind
    np.testing.assert_allclose(x, place + table_row["subject"] / 100, rtol=0, atol=1e-8)


FEATURE_WRITERS = {"SEED-VII": {"features": FeatureLayout(write_features_alone, verify_features)}}
