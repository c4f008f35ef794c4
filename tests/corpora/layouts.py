"""Small folders in the vendors' layouts, written by hand: every value tells where it belongs."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import savemat

import affectrum as af
from affectrum.catalog import deap, seed, seed_iv

SUBJECT_INITIALS = {1: "djc", 2: "jl", 3: "jj", 14: "ww", 15: "zjy"}


def code(subject: int, session: int, row: int, n_channels: int, n_samples: int) -> np.ndarray:
    """Return microvolts that encode their place, on a ramp that keeps channels from being flat.

    The whole part of a sample is ``row * 1000 + channel``; subject and session stand in its
    decimals, and the sample's number below those.
    """
    channel = np.arange(n_channels)[:, None]
    sample = np.arange(n_samples)[None, :]
    return row * 1000.0 + channel + subject / 100 + session / 1000 + sample * 1e-9 + 0.0


def decode(volts: np.ndarray) -> dict[str, np.ndarray]:
    """Return row, channel, subject, session and first sample of an array made by `code`."""
    value = volts[:, 0] * 1e6
    whole = np.floor(value + 1e-6)
    rest = value - whole
    subject = np.floor(rest * 100 + 1e-6)
    session = np.floor((rest * 100 - subject) * 10 + 1e-5)
    sample = np.rint((rest - subject / 100 - session / 1000) * 1e9)
    return {
        "row": whole // 1000,
        "channel": whole % 1000,
        "subject": subject,
        "session": session,
        "sample": sample,
    }


def eeg(rng: np.random.Generator, n_channels: int, n_samples: int) -> np.ndarray:
    """Return microvolts that look plausible to a check."""
    return rng.normal(scale=20.0, size=(n_channels, n_samples))


def _seed_content(kind: str, subject: int, session: int, row: int, n_samples: int) -> np.ndarray:
    if kind == "eeg":
        rng = np.random.default_rng([subject, session, row])
        return eeg(rng, 62, n_samples)
    return code(subject, session, row, 62, n_samples)


def n_samples_of(row: int) -> int:
    """Return a length that differs between trials: whole seconds at 200 Hz and one sample."""
    return 200 * (1 + row % 3) + 1


def write_seed(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    old: bool = False,
    content: str = "code",
    features: bool = False,
    signals: bool = True,
    simulated: bool = True,
    label: bool = True,
) -> Path:
    """Write SEED: the newer tree, or the older one with both folders on top."""
    inner = folder if old else folder / "SEED_EEG"
    names = {"eeg": "Preprocessed_EEG", "1s": "ExtractedFeatures" + ("" if old else "_1s")}
    if simulated:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for session in (1, 2, 3):
        for subject in subjects:
            stem = seed.FILES[session - 1][subject - 1]
            initials = SUBJECT_INITIALS.get(subject, "abc")
            if signals:
                path = inner / names["eeg"] / f"{stem}.mat"
                path.parent.mkdir(parents=True, exist_ok=True)
                variables = {
                    f"{initials}_eeg{row}": _seed_content(
                        content, subject, session, row, n_samples_of(row)
                    )
                    for row in range(1, 16)
                }
                savemat(path, variables, do_compression=session == 1)
            if features:
                write_seed_features(inner / names["1s"] / f"{stem}.mat", subject, session)
    if label:
        for name in names.values():
            if (inner / name).is_dir():
                savemat(inner / name / "label.mat", {"label": np.array([seed.LABELS])})
    return folder


def feature_code(subject: int, session: int, row: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Return (rows, windows, bands) values: row*1e6 + electrode*1e4 + window*1e2 + band."""
    electrode, window, band = np.indices(shape)
    return row * 1e6 + electrode * 1e4 + window * 1e2 + band + subject / 100 + session / 1000


def write_seed_features(path: Path, subject: int, session: int, *, n_trials: int = 15) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    variables = {}
    for row in range(1, n_trials + 1):
        for name in seed.FEATURES:
            n_rows, n_bands = seed.FEATURE_SHAPES[name.split("_")[0]]
            shape = (n_rows, n_samples_of(row) // 200, n_bands)
            variables[f"{name}{row}"] = feature_code(subject, session, row, shape)
    savemat(path, variables)


def verify_feature_code(table_row, name: str, x: np.ndarray) -> None:
    """Assert that features made by `feature_code` are those of their row, with axes in order."""
    window, electrode, band = np.indices(x.shape)
    place = table_row["row"] * 1e6 + electrode * 1e4 + window * 1e2 + band
    expected = place + table_row["subject"] / 100 + table_row["session"] / 1000
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-8)


def write_seed_iv(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    features: bool = False,
    signals: bool = True,
    simulated: bool = True,
    readme: bool = True,
) -> Path:
    """Write SEED-IV."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for session in (1, 2, 3):
        for subject in subjects:
            stem = seed_iv.FILES[session - 1][subject - 1]
            initials = SUBJECT_INITIALS.get(subject, "abc")
            if signals:
                path = folder / "eeg_raw_data" / str(session) / f"{stem}.mat"
                path.parent.mkdir(parents=True, exist_ok=True)
                variables = {
                    f"{initials}_eeg{row}": _seed_content(
                        content, subject, session, row, n_samples_of(row)
                    )
                    for row in range(1, 25)
                }
                savemat(path, variables, do_compression=session == 1)
            if features:
                path = folder / "eeg_feature_smooth" / str(session) / f"{stem}.mat"
                path.parent.mkdir(parents=True, exist_ok=True)
                savemat(
                    path,
                    {
                        f"{name}{row}": feature_code(subject, session, row, (62, 1 + row % 2, 5))
                        for row in range(1, 25)
                        for name in seed_iv.FEATURES
                    },
                )
    if readme:
        lines = [
            f"session{s}_label = [{','.join(map(str, codes))}];"
            for s, codes in enumerate(seed_iv.LABELS, 1)
        ]
        (folder / "ReadMe.txt").write_text("The labels 0..3 ...\n" + "\n".join(lines) + "\n")
    return folder


def deap_order(subject: int) -> list[int]:
    """Return the videos (1-40) in the order in which a subject saw them."""
    return [int(v) + 1 for v in np.random.default_rng(subject).permutation(40)]


def deap_ratings(subject: int) -> np.ndarray:
    """Return (40 videos, 4) ratings with two decimals."""
    return np.round(np.random.default_rng(100 + subject).uniform(1, 9, (40, 4)), 2)


def write_deap_ratings(folder: Path, subjects: tuple[int, ...]) -> Path:
    path = folder / "metadata_csv" / "participant_ratings.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(deap.RATING_COLUMNS)
        for subject in subjects:
            for trial, video in enumerate(deap_order(subject), 1):
                familiarity = "" if subject in deap.FAMILIARITY_MISSING else 3
                values = [f"{v:.2f}" for v in deap_ratings(subject)[video - 1]]
                writer.writerow([subject, trial, video, 1000000 * trial, *values, familiarity])
    return path


def _deap_arrays(subject: int, content: str, seconds: int) -> dict[str, np.ndarray]:
    n_samples = 128 * (3 + seconds)
    if content == "eeg":
        rng = np.random.default_rng(subject)
        data = rng.normal(scale=10.0, size=(40, 40, n_samples))
    else:
        data = np.stack([code(subject, 1, row, 40, n_samples) for row in range(1, 41)])
    return {"data": data, "labels": deap_ratings(subject)}


def write_deap(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    form: str = "python",
    content: str = "code",
    seconds: int = 2,
    ratings: bool = True,
    simulated: bool = True,
) -> Path:
    """Write DEAP in one form."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        stem = f"s{subject:02d}"
        if form == "python":
            path = folder / "data_preprocessed_python" / f"{stem}.dat"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(pickle.dumps(_deap_arrays(subject, content, seconds), protocol=2))
        elif form == "matlab":
            path = folder / "data_preprocessed_matlab" / f"{stem}.mat"
            path.parent.mkdir(exist_ok=True)
            savemat(path, _deap_arrays(subject, content, seconds))
        else:
            path = folder / "data_original" / f"{stem}.bdf"
            path.parent.mkdir(exist_ok=True)
            write_deap_bdf(path, subject, seconds=seconds)
    if ratings:
        write_deap_ratings(folder, subjects)
    return folder


# BioSemi headers: -262144 to 262143 uV for -8388608 to 8388607 steps
DEAP_GAIN_UV = (262143 + 262144) / (8388607 + 8388608)
DEAP_SHIFT_UV = -262144 + 8388608 * DEAP_GAIN_UV


def write_deap_bdf(
    path: Path,
    subject: int,
    *,
    seconds: int = 2,
    status: tuple[str, ...] | None = None,
    end_code_late: int = 0,
) -> None:
    """Write an original recording: 4 s of rest, `seconds` of video, 1 s after, at 512 Hz.

    During video of trial n, electrode c (position in the Geneva order) is at
    (n * 100 + c) steps; in the rest before it is at the negative of that.
    """
    sfreq, rest, after = 512, 4, 1
    period = rest + seconds + after
    order = deap.TWENTE_ORDER if subject in deap.TWENTE_SUBJECTS else deap.ELECTRODES
    extra = [f"EXG{n}" for n in range(1, 9)] + [
        "GSR1",
        "GSR2",
        "Erg1",
        "Erg2",
        "Resp",
        "Plet",
        "Temp",
    ]
    names = [*order, *extra]
    names += list(status if status is not None else deap.status_names(subject))
    assert len(names) == deap.n_channels_raw(subject) or status is not None
    n_seconds = 40 * period
    n_samples = n_seconds * sfreq
    data = np.zeros((len(names), n_samples), np.int64)
    codes = np.zeros(n_samples, np.int64)
    wobble = np.arange(n_samples) % 2
    for trial in range(1, 41):
        begin = (trial - 1) * period * sfreq
        start = begin + rest * sfreq
        stop = start + seconds * sfreq
        for position, name in enumerate(order):
            level = trial * 100 + deap.ELECTRODES.index(name)
            data[position, begin:start] = -level
            data[position, start:stop] = level
        codes[begin : begin + 64] = deap.EVENT_BEFORE_TRIAL
        codes[start : start + 64] = deap.EVENT_VIDEO_START
        codes[stop + end_code_late : stop + end_code_late + 64] = deap.EVENT_AFTER_VIDEO
    data[: len(order)] += wobble  # no electrode is flat
    if subject >= 24:
        codes += 1703680  # high bits of the Geneva recordings' Status
    data[-1] = codes
    write_bdf(path, names, data, sfreq)


def write_bdf(
    path: Path, names: list[str], data: np.ndarray, sfreq: int, *, unit: str = "uV"
) -> None:
    """Write 24-bit records of one second."""

    def cells(values: list[str], width: int) -> bytes:
        return b"".join(str(value).encode("latin-1").ljust(width)[:width] for value in values)

    n = len(names)
    n_records = data.shape[1] // sfreq
    is_status = [name in ("Status", "", "-0", "-1") for name in names]
    lowest, highest = -(2**23), 2**23 - 1
    header = b"\xffBIOSEMI" + b"".ljust(80) + b"".ljust(80) + b"01.01.0901.01.01"
    header += str(256 * (n + 1)).encode().ljust(8) + b"24BIT".ljust(44)
    header += str(n_records).encode().ljust(8) + b"1".ljust(8) + str(n).encode().ljust(4)
    header += cells(names, 16)
    header += cells(["Triggers and Status" if s else "Active Electrode" for s in is_status], 80)
    header += cells(["Boolean" if s else unit for s in is_status], 8)
    header += cells([str(lowest) if s else "-262144" for s in is_status], 8)
    header += cells([str(highest) if s else "262143" for s in is_status], 8)
    header += cells([str(lowest)] * n, 8) + cells([str(highest)] * n, 8)
    header += cells(["No filtering" if s else "HP: DC; LP: 417 Hz" for s in is_status], 80)
    header += cells([str(sfreq)] * n, 8) + cells(["Reserved"] * n, 32)
    records = data[:, : n_records * sfreq].reshape(n, n_records, sfreq).transpose(1, 0, 2)
    wide = np.ascontiguousarray(records, dtype="<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + wide.tobytes())


def verify_code(table_row, x: np.ndarray) -> None:
    """Assert that signals made by `code` are those of their row of the trial table."""
    got = decode(x)
    np.testing.assert_array_equal(got["row"], table_row["row"])
    np.testing.assert_array_equal(got["channel"], np.arange(len(x)))
    np.testing.assert_array_equal(got["subject"], table_row["subject"])
    np.testing.assert_array_equal(got["session"], table_row["session"])
    first = round(table_row["onset_s"] * table_row["sfreq"])
    np.testing.assert_array_equal(got["sample"], first)


def verify_bdf(table_row, x: np.ndarray) -> None:
    """Assert the same for recordings made by `write_deap_bdf`."""
    steps = np.rint((x * 1e6 - DEAP_SHIFT_UV) / DEAP_GAIN_UV)
    level = table_row["row"] * 100 + np.arange(32)[:, None]
    assert set(np.unique(steps - level)) == {0.0, 1.0}  # the wobble


@dataclass(frozen=True)
class Layout:
    """How the contract tests make and judge a folder of one form.

    ``write(folder, subjects=(1, 2), simulated=True)`` writes one whose content encodes its place,
    and returns the folder; with ``sound`` as further arguments its signals look like EEG to a
    check. ``verify(row of the trial table, x)`` asserts that signals are those of their row.
    """

    write: Callable[..., Path]
    verify: Callable[..., None]
    sound: dict = field(default_factory=lambda: {"content": "eeg"})
    options: dict | None = None  # what the reader has to be told
    n_trials: int | None = None  # trials of two subjects where the catalogue's count is no rule


# For every reader: form with signals -> layout. A module layouts_*.py beside this one adds its
# corpora with a WRITERS of its own, and the contract tests cover them.
WRITERS = {
    "SEED": {"preprocessed": Layout(write_seed, verify_code)},
    "SEED-IV": {"raw": Layout(write_seed_iv, verify_code)},
    "DEAP": {
        "python": Layout(write_deap, verify_code),
        "matlab": Layout(partial(write_deap, form="matlab"), verify_code),
        "original": Layout(partial(write_deap, form="original"), verify_bdf, sound={}),
    },
}


@dataclass(frozen=True)
class FeatureLayout(Layout):
    """The same for a form that holds features only.

    ``verify(row of the trial table, name of the feature, x)`` asserts that features are those of
    their row, their axes (windows, electrodes, bands).
    """

    sound: dict = field(default_factory=dict)


# As WRITERS, for the forms that hold features only.
FEATURE_WRITERS = {
    "SEED": {
        "features": FeatureLayout(
            partial(write_seed, features=True, signals=False), verify_feature_code
        )
    },
    "SEED-IV": {
        "features": FeatureLayout(
            partial(write_seed_iv, features=True, signals=False), verify_feature_code
        )
    },
}


def layout_of(name: str, form: str) -> Layout:
    """Return the layout of a form, of signals or of features."""
    return WRITERS.get(name, {}).get(form) or FEATURE_WRITERS[name][form]


def open_as(name: str, form: str, folder: Path, **further):
    """Open a folder of `WRITERS` or `FEATURE_WRITERS` with the options it needs."""
    options = layout_of(name, form).options
    return af.open_corpus(name, folder, form=form, options=options, **further)
