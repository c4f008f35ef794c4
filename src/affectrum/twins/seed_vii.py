"""The layout of SEED-VII: one file per subject, or raw recordings with their lists of triggers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import seed_vii as facts
from affectrum.twins.cnt_files import write_cnt
from affectrum.twins.files import write_mat, write_text
from affectrum.twins.generator import Cap, Trial, TwinGenerator
from affectrum.twins.jobs import Job, Layout, to_file_values
from affectrum.twins.seeds import derive_rng
from affectrum.twins.vendor_features import lds_smooth
from affectrum.twins.xlsx_files import write_xlsx

__all__ = ["DEFAULT_FORMS", "FORMS", "MIN_SECONDS", "jobs", "recording_name", "schedule"]

FloatArray = NDArray[np.float64]

FORMS = ("preprocessed", "features", "raw")
DEFAULT_FORMS = ("preprocessed",)
WINDOW_S = 4
MIN_SECONDS = {"features": 5.0}

# The authors' published code: an FFT of 256 points of each Hann-weighted window of 4 s.
_FFT_POINTS = 256
_BANDS_HZ = ((1, 4), (4, 8), (8, 14), (14, 31), (31, 49))

_RAW_BAND = (0.05, 200.0)  # of the amplifier; chosen
_PAUSE_S = 5  # before, between and after trials; the real ones are longer
# How late the triggers of the two recordings come whose triggers are wrong; chosen.
_WRONG_BY_S = 3
# The dates of two recordings are published with their fault; all others are made up.
_FIRST_DAYS = {9: datetime(2022, 10, 28), 14: datetime(2022, 10, 15)}


def jobs(layout: Layout) -> Iterator[Job]:
    """Yield every file of the twin."""
    yield Job(Path("emotion_label_and_stimuli_order.xlsx"), _write_labels, small=True)
    yield Job(Path("Channel Order.xlsx"), _write_channels, small=True)
    for subject in layout.subjects:
        path = Path("continuous_labels") / f"{subject}.mat"
        yield Job(path, partial(_write_continuous, layout, subject), small=True)
        for session in layout.sessions:
            stem = Path("save_info") / recording_name(subject, session)
            for name, write in (("save", _write_save_info), ("trigger", _write_triggers)):
                path = stem.with_name(f"{stem.name}_{name}_info.csv")
                yield Job(path, partial(write, layout, subject, session), small=True)
    for form in layout.forms:
        for subject in layout.subjects:
            if form == "raw":
                for session in layout.sessions:
                    path = Path("EEG_raw") / f"{recording_name(subject, session)}.cnt"
                    yield Job(path, partial(_write_raw, layout, subject, session))
            else:
                path = Path(f"EEG_{form}") / f"{subject}.mat"
                writer = _write_signals if form == "preprocessed" else _write_features
                # a subject's sessions share a file, which has to grow with them
                yield Job(path, partial(writer, layout, subject), small=True)


def _video(session: int, row: int) -> int:
    return facts.N_TRIALS * (session - 1) + row


# lists ---------------------------------------------------------------------------------------


def _write_labels(path: Path) -> None:
    rows: list[list[str | int]] = []
    for session, emotions in enumerate(facts.EMOTIONS, start=1):
        numbers = [_video(session, row) for row in range(1, facts.N_TRIALS + 1)]
        rows.append(["Video index", *numbers])
        rows.append([f"Session {session}", *(word.title() for word in emotions)])
    write_xlsx(path, rows)


def _write_channels(path: Path) -> None:
    write_xlsx(path, [[name] for name in facts.FACTS.electrodes_in_file])


def _induction(generator: TwinGenerator, subject: int, session: int, row: int) -> float:
    """How well the emotion was induced: the further from neutral, the better; our choice."""
    felt = generator.rating(subject, session, row).felt
    return float(np.clip(np.round(1.5 * np.hypot(*felt), 2), 0.0, 1.0))


def _write_save_info(layout: Layout, subject: int, session: int, path: Path) -> None:
    lines = []
    for row, emotion in enumerate(facts.EMOTIONS[session - 1], start=1):
        score = _induction(layout.generator, subject, session, row)
        video = rf"D:\stimuli\{emotion.title()}\{_video(session, row)}.mp4"
        lines.append(f"{row},{video},{score:g}\n")
    write_text(path, "".join(lines))


def _write_continuous(layout: Layout, subject: int, path: Path) -> None:
    """All four sessions, whichever are written: one value per window of 4 s."""
    generator = layout.generator
    variables = []
    for session in range(1, facts.FACTS.n_sessions + 1):
        for row in range(1, facts.N_TRIALS + 1):
            n = max(1, generator.seconds(session, row) // WINDOW_S)
            rng = derive_rng(generator.seed, "continuous", facts.FACTS.name, subject, session, row)
            rise = 1.0 - np.exp(-4.0 * np.arange(1, n + 1) / n)
            level = _induction(generator, subject, session, row) * rise
            values = np.clip(level + 0.05 * rng.standard_normal(n), 0.0, 1.0)
            variables.append((str(_video(session, row)), values[None]))
    write_mat(path, variables, compress=layout.compress)


# one file per subject ------------------------------------------------------------------------


def _write_signals(layout: Layout, subject: int, path: Path) -> None:
    if _count_variables(path) < facts.N_TRIALS * len(layout.sessions):
        write_mat(path, _signals(layout, subject), compress=layout.compress)


def _signals(layout: Layout, subject: int) -> Iterator[tuple[str, FloatArray]]:
    for session in layout.sessions:
        for row in range(1, facts.N_TRIALS + 1):
            x = to_file_values(layout.generator.trial(subject, session, row).x)
            yield str(_video(session, row)), x[:, :-1]  # the vendor cuts to whole seconds


def _write_features(layout: Layout, subject: int, path: Path) -> None:
    wanted = len(facts.FEATURES) * facts.N_TRIALS * len(layout.sessions)
    if _count_variables(path) < wanted:
        write_mat(path, _features(layout, subject), compress=layout.compress)


def _features(layout: Layout, subject: int) -> Iterator[tuple[str, FloatArray]]:
    for name, x in _signals(layout, subject):
        psd = _psd(x, round(facts.FACTS.sfreq))
        de = np.log2(100.0 * psd)
        # the smoother runs over axis 1
        smooth = lds_smooth(de.transpose(2, 0, 1)).transpose(1, 2, 0)
        yield f"psd_{name}", psd
        yield f"de_{name}", de
        yield f"de_LDS_{name}", smooth


def _psd(x: FloatArray, sfreq: int) -> FloatArray:
    """Band powers as the authors computed them: shape (n_windows, n_bands, n_channels)."""
    length = WINDOW_S * sfreq
    n_windows = x.shape[1] // length
    windows = x[:, : n_windows * length].reshape(x.shape[0], n_windows, length)
    power = np.abs(np.fft.rfft(windows * np.hanning(length), n=_FFT_POINTS, axis=2)) ** 2
    bands = []
    for low, high in _BANDS_HZ:
        first, last = low * _FFT_POINTS // sfreq, high * _FFT_POINTS // sfreq
        bands.append(power[:, :, first - 1 : last].mean(axis=2))
    return np.stack(bands).transpose(2, 0, 1)


def _count_variables(path: Path) -> int:
    """Variables of a MATLAB file of ours; 0 if there is none."""
    count, position = 0, 128
    try:
        with path.open("rb") as file:
            while True:
                file.seek(position)
                tag = file.read(8)
                if len(tag) < 8:
                    return count
                position += 8 + struct.unpack("<I", tag[4:])[0]
                count += 1
    except OSError:
        return 0


# raw recordings ------------------------------------------------------------------------------


def _started(subject: int, session: int) -> datetime:
    """Return when a recording began: published for two of them, made up for the others."""
    published = facts.TRIGGERS_WRONG.get((subject, session))
    if published is not None:
        return datetime.fromisoformat(published)
    first = _FIRST_DAYS.get(subject, datetime(2022, 10, 1) + timedelta(days=subject - 1))
    return first + timedelta(days=7 * (session - 1), hours=14, seconds=subject)


def recording_name(subject: int, session: int) -> str:
    """Return the name of a recording without its suffix."""
    return f"{subject}_{_started(subject, session):%Y%m%d}_{session}"


def schedule(generator: TwinGenerator, session: int) -> list[tuple[int, int]]:
    """Return the first sample of each trial of a recording, and the one behind its last."""
    sfreq, second, times = round(facts.FACTS.raw_sfreq), 0, []
    for row in range(1, facts.N_TRIALS + 1):
        start = second + _PAUSE_S
        second = start + generator.seconds(session, row)
        times.append((start * sfreq, second * sfreq))
    return times


def _write_triggers(layout: Layout, subject: int, session: int, path: Path) -> None:
    began = _started(subject, session)
    lines = []
    for samples in schedule(layout.generator, session):
        for code, sample in zip(facts.TRIGGER_CODES, samples, strict=True):
            moment = began + timedelta(seconds=sample / facts.FACTS.raw_sfreq)
            lines.append(f"{code},{moment}\n")
    write_text(path, "".join(lines))


def _write_raw(layout: Layout, subject: int, session: int, path: Path) -> None:
    sfreq = round(facts.FACTS.raw_sfreq)
    late = _WRONG_BY_S * sfreq if (subject, session) in facts.TRIGGERS_WRONG else 0
    events = [
        (sample + late, code)
        for samples in schedule(layout.generator, session)
        for code, sample in zip(facts.TRIGGER_CODES, samples, strict=True)
    ]
    blocks = _blocks(layout.generator, subject, session)
    write_cnt(path, _channels(), sfreq, blocks, events, started=_started(subject, session))


def _channels() -> list[str]:
    """Channels of a recording: the mastoids between the electrodes, as caps are wired."""
    names = list(facts.FACTS.electrodes_in_file)
    mastoids = facts.CNT_EXTRA[:2]
    for name, before in zip(mastoids, ("TP7", "P7"), strict=True):
        names.insert(names.index(before), name)
    return [*names, *facts.CNT_EXTRA[2:]]


def _blocks(generator: TwinGenerator, subject: int, session: int) -> Iterator[FloatArray]:
    """Microvolts of a session piece by piece, each of shape (n_channels, n_samples)."""
    sfreq = facts.FACTS.raw_sfreq
    cap = Cap(facts.FACTS.electrodes, sfreq, _RAW_BAND, generator.cap.reference, 1.0)
    for row in range(1, facts.N_TRIALS + 1):
        yield _rows(generator.rest(subject, session, row, _PAUSE_S, cap))
        yield _rows(generator.trial(subject, session, row, cap))
    yield _rows(generator.rest(subject, session, facts.N_TRIALS + 1, _PAUSE_S, cap))


def _rows(trial: Trial) -> FloatArray:
    """All channels of a piece without its last sample, in the order of the file."""
    eeg = dict(zip(facts.FACTS.electrodes_in_file, trial.x.astype(np.float64), strict=True))
    seconds = np.arange(trial.x.shape[1]) / facts.FACTS.raw_sfreq
    # plausible, not modelled: no method of the project reads them
    other = {
        "M1": 0.5 * eeg["TP7"],
        "M2": 0.5 * eeg["TP8"],
        "ECG": 800.0 * np.cos(np.pi * 1.1 * seconds) ** 40,
        "HEO": trial.eyes[1].astype(np.float64),
        "VEO": trial.eyes[0].astype(np.float64),
    }
    rows = eeg | other
    return np.stack([rows[name] for name in _channels()])[:, :-1]
