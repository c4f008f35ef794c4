"""MAHNOB-HCI by hand: sessions whose recordings tell trial and electrode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from corpora_layouts import DEAP_GAIN_UV, DEAP_SHIFT_UV, Layout, write_bdf

from affectrum.catalog.model import words

ELECTRODES = words(
    "Fp1 AF3 F3 F7 FC5 FC1 C3 T7 CP5 CP1 P3 P7 PO3 O1 Oz Pz "
    "Fp2 AF4 Fz F4 F8 FC6 FC2 Cz C4 T8 CP6 CP2 P4 P8 PO4 O2"
)
OTHERS = [*(f"EXG{n}" for n in range(1, 9)), "GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Temp"]
MEDIA = ["53.avi", "69.avi", "newyork_f.avi", "55.avi", "90.avi", "111.avi", "30.avi"]
CLIPS = ["MAHNOB-HCI/" + name.removesuffix(".avi") for name in MEDIA]
RATE = {1: 64, 2: 128}
CLIP_S, BEFORE_S = 2, 31


def ratings(subject: int, trial: int) -> dict[str, int]:
    """Felt emotion, arousal, valence, control, predictability, all different."""
    return {
        "feltEmo": (0, 4, 12, 7, 11, 5, 3)[trial - 1],
        "feltArsl": 1 + (trial + subject) % 9,
        "feltVlnc": 1 + (2 * trial + subject) % 9,
        "feltCtrl": 1 + (3 * trial) % 9,
        "feltPred": 1 + (4 * trial) % 9,
    }


def session_id(subject: int, trial: int, kind: str = "S") -> int:
    return 130 * (subject - 1) + 2 * trial - (kind == "N")


def write_session(
    folder: Path,
    subject: int,
    trial: int,
    *,
    kind: str = "S",
    content: str = "code",
    felt: dict | None = None,
    events: tuple[float, ...] = (BEFORE_S, BEFORE_S + CLIP_S),
    rate: int | None = None,
    attributes: dict | None = None,
    before_root: str = "",
    number: int | None = None,
) -> Path:
    """Write one folder of Sessions; `events` in seconds."""
    place = folder / "Sessions" / str(session_id(subject, trial, kind))
    place.mkdir(parents=True, exist_ok=True)
    name = f"Part_{subject}_{kind}_Trial{trial}_emotion.bdf"
    felt = ratings(subject, trial) if felt is None else felt
    root = {
        "sessionId": session_id(subject, trial, kind),
        "date": "2009-07-0" + str(subject),
        "cutLenSec": f"{CLIP_S}.25",
        "cutNr": 2 * trial - (kind == "N"),
        "mediaFile": MEDIA[trial - 1],
        "isStim": int(kind == "S"),
        **felt,
        **(attributes or {}),
    }
    cells = " ".join(f'{key}="{value}"' for key, value in root.items())
    (place / "session.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n{before_root}<session {cells}>\n'
        f'  <subject id="{number or subject}" gender="m"/>\n'
        f'  <track type="Physiological" filename="{name}"/>\n</session>\n'
    )
    sfreq = rate or RATE.get(subject, 64)
    # subject 2 was recorded in another order of electrodes and with idle lines on Status
    order = ELECTRODES[::-1] if subject == 2 else ELECTRODES
    n_samples = (BEFORE_S + CLIP_S + 1) * sfreq
    data = np.zeros((len(order) + len(OTHERS) + 1, n_samples), np.int64)
    start, stop = BEFORE_S * sfreq, (BEFORE_S + CLIP_S) * sfreq
    if content == "eeg":
        rng = np.random.default_rng([subject, trial])
        data[:32] = rng.normal(scale=600.0, size=(32, n_samples))
    else:
        level = trial * 100 + np.array([ELECTRODES.index(name) for name in order])[:, None]
        data[:32] = -level
        data[:32, start:stop] = level
        data[:32] += np.arange(n_samples) % 2
    for second in events:
        first = round(second * sfreq)
        data[-1, first : first + 3] = 16
    data[-1] += 0x10FF00 if subject == 2 else 0
    write_bdf(place / name, [*order, *OTHERS, "Status"], data, sfreq)
    return place


def write_mahnob(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    content: str = "code",
    simulated: bool = True,
    n_trials: int = 7,
) -> Path:
    """Write rated sessions and, for every subject, an unrated one named _N_."""
    folder.mkdir(parents=True, exist_ok=True)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")
    for subject in subjects:
        for trial in range(1, n_trials + 1):
            write_session(folder, subject, trial, content=content)
        write_session(folder, subject, 1, kind="N", felt={}, events=())
    return folder


def verify(table_row, x: np.ndarray) -> None:
    steps = np.rint((x * 1e6 - DEAP_SHIFT_UV) / DEAP_GAIN_UV)
    level = table_row["row"] * 100 + np.arange(32)[:, None]
    assert set(np.unique(steps - level)) == {0.0, 1.0}
    assert table_row["sfreq"] == RATE[table_row["subject"]]


WRITERS = {"MAHNOB-HCI": {"sessions": Layout(write_mahnob, verify, n_trials=14)}}
