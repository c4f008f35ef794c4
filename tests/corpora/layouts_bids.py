"""Small BIDS data sets, written by hand: every value tells where it belongs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
from corpora_layouts import Layout, code, eeg, verify_code
from scipy.io import savemat

from affectrum.catalog import dens, ds002721, emoeeg_mc

HERE = Path(__file__).parent
SEQUENCES = HERE / "emoeeg_sequences.csv"

EDF_STEP_UV = 0.1  # physical -3276.8 ... 3276.7 uV for 16 bits


def write_edf(
    path: Path,
    names: list[str],
    steps: np.ndarray,
    sfreq: int,
    *,
    unit: str = "uV",
    annotations: bool = True,
    reserved: str = "EDF+C",
    units: list[str] | None = None,
) -> None:
    """Write 16-bit records of one second, with a channel of annotations of another length."""

    def cells(values: list, width: int) -> bytes:
        return b"".join(str(value).encode("latin-1").ljust(width)[:width] for value in values)

    n_records = steps.shape[1] // sfreq
    kinds = [*names, *(["EDF Annotations"] if annotations else [])]
    n = len(kinds)
    lengths = [sfreq] * len(names) + [10] * annotations
    header = b"0".ljust(8) + b"X X X X".ljust(80) + b"Startdate X X X X".ljust(80)
    header += b"01.01.2401.01.01" + str(256 * (n + 1)).encode().ljust(8)
    header += reserved.encode().ljust(44)
    header += str(n_records).encode().ljust(8) + b"1".ljust(8) + str(n).encode().ljust(4)
    header += cells(kinds, 16) + cells([""] * n, 80)
    header += cells([*(units or [unit] * len(names)), *([""] * annotations)], 8)
    header += cells(["-3276.8"] * len(names) + ["-1"] * annotations, 8)
    header += cells(["3276.7"] * len(names) + ["1"] * annotations, 8)
    header += cells([-32768] * n, 8) + cells([32767] * n, 8) + cells([""] * n, 80)
    header += cells(lengths, 8) + cells([""] * n, 32)
    records = steps[:, : n_records * sfreq].reshape(len(names), n_records, sfreq)
    blocks = [records.transpose(1, 0, 2).reshape(n_records, -1).astype("<i2")]
    if annotations:
        blocks.append(np.zeros((n_records, 10), "<i2"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + np.concatenate(blocks, axis=1).tobytes())


def write_tsv(path: Path, columns: dict[str, list]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        "\t".join(columns),
        *("\t".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def describe(folder: Path, name: str, doi: str | None, simulated: bool) -> None:
    content = {"Name": name, "BIDSVersion": "1.6.0", "License": "CC0"}
    if doi is not None:
        content["DatasetDOI"] = doi
    write_json(folder / "dataset_description.json", content)
    if simulated:
        (folder / "SIMULATED.txt").write_text("a fixture\n")


def wobble(n_samples: int) -> np.ndarray:
    """Return plus and minus 15 in turn: spreads like EEG, and is easily taken away."""
    return np.where(np.arange(n_samples) % 2, -15.0, 15.0)


# EmoEEG-MC -----------------------------------------------------------------------------------

EMC_SAMPLES = 300


def emc_sequence(subject: int, context: int) -> list[int]:
    """Return the rows of the authors' order (0-20) in the order of presentation."""
    return [int(v) for v in np.random.default_rng([subject, context]).permutation(21)]


def write_emoeeg_arrays(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    simulated: bool = True,
    content: str = "code",
    kind: str = "reorder",
    n_trials: int = 21,
    scale: float = 1.0,
) -> Path:
    """Write one kind of derivatives; values are microvolts times `scale`."""
    describe(
        folder,
        "EmoEEG-MC: A Multi-Context Emotional EEG Dataset for Cross-Context Emotion Decoding",
        "doi:10.18112/openneuro.ds005540.v1.0.7",
        simulated,
    )
    for subject in subjects:
        for session, context in enumerate(emoeeg_mc.CONTEXTS, 1):
            stem = f"sub-{subject:02d}_ses-{context}"
            place = folder / "derivatives" / f"sub-{subject:02d}" / f"ses-{context}" / "eeg"
            place.mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([subject, session])
            trials = [
                eeg(rng, 64, EMC_SAMPLES)
                if content == "eeg"
                else code(subject, session, row, 64, EMC_SAMPLES) + wobble(EMC_SAMPLES)
                for row in range(1, n_trials + 1)
            ]
            np.save(place / f"{stem}_task-emotion_{kind}.npy", np.stack(trials) * scale)
    return folder


def verify_wobbling(table_row, x: np.ndarray) -> None:
    """Assert that signals made with `wobble` are those of their row."""
    verify_code(table_row, x - wobble(x.shape[1]) * 1e-6)


EMC_RATES = {1: 120, 2: 240}
EMC_TRIAL_S, EMC_GAP_S = 2, 1


def emc_blocks() -> list[str]:
    """Return the contexts of 42 trials as they alternate: three films, three imaginations ..."""
    return [context for _ in range(7) for context in ("vid",) * 3 + ("ima",) * 3]


def emc_score(subject: int, trial: int) -> list[float]:
    """Return the ten scores of a trial of the recording (1-42)."""
    return [
        round(float(v), 2) for v in np.random.default_rng([7, subject, trial]).uniform(0, 7, 10)
    ]


def write_emoeeg_raw(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    simulated: bool = True,
    content: str = "code",
    beh_rows: int = 42,
) -> Path:
    """Write recordings: 64 electrodes and four triggers, in a shuffled order for subject 2.

    During trial r of context s, electrode c of the catalogue is at
    subject * 10000 + s * 3000 + r * 100 + c steps (and one more every other sample).
    """
    describe(folder, "EmoEEG-MC: A Multi-Context Emotional EEG Dataset", None, simulated)
    for subject in subjects:
        sfreq = EMC_RATES.get(subject, 120)
        names = [*emoeeg_mc.ELECTRODES, *emoeeg_mc.TRIGGERS]
        if subject == 2:
            names = [names[k] for k in np.random.default_rng(2).permutation(68)]
        period = (EMC_TRIAL_S + EMC_GAP_S) * sfreq
        n_samples = (42 * (EMC_TRIAL_S + EMC_GAP_S) + 5) * sfreq
        steps = np.zeros((68, n_samples))
        rng = np.random.default_rng(subject)
        if content == "eeg":
            steps += rng.normal(scale=200, size=steps.shape)
        onsets, types = [0.0], ["n/a"]
        counts = {"vid": 0, "ima": 0}
        for trial, context in enumerate(emc_blocks()):
            start = 5 * sfreq + trial * period
            stop = start + EMC_TRIAL_S * sfreq
            counts[context] += 1
            if content == "code":
                base = subject * 10000 + (1 + (context == "ima")) * 3000 + counts[context] * 100
                for k, name in enumerate(names):
                    if name in emoeeg_mc.ELECTRODES:
                        steps[k, start:stop] = base + emoeeg_mc.ELECTRODES.index(name)
            onsets += [start / sfreq]
            types += [context]
            if context == "ima":
                onsets += [(start + sfreq // 2) / sfreq]
                types += ["fade"]
            onsets += [stop / sfreq]
            types += ["rating"]
        if content == "code":
            steps += np.arange(n_samples) % 2
        stem = folder / f"sub-{subject:02d}" / "eeg" / f"sub-{subject:02d}_task-emotion"
        write_edf(Path(f"{stem}_eeg.edf"), names, steps, sfreq)
        codes = {"n/a": 29, "vid": 33, "ima": 32, "fade": 30, "rating": 31}
        write_tsv(
            Path(f"{stem}_events.tsv"),
            {
                "onset": [f"{onset:.6f}" for onset in onsets],
                "duration": ["0.0"] * len(onsets),
                "stim_type": [codes[kind] for kind in types],
                "trial_type": types,
            },
        )
        if subject != 1:
            write_json(Path(f"{stem}_eeg.json"), {"SamplingFrequency": sfreq})
        beh = folder / f"sub-{subject:02d}" / "beh" / f"sub-{subject:02d}_task-emotion_beh.tsv"
        scores = [emc_score(subject, trial) for trial in range(1, beh_rows + 1)]
        write_tsv(
            beh,
            {
                "trial_number": list(range(1, beh_rows + 1)),
                "video_name": [35] * beh_rows,
                **{f"score_{k + 1}": [row[k] for row in scores] for k in range(10)},
            },
        )
    return folder


def verify_emoeeg_raw(table_row, x: np.ndarray) -> None:
    base = table_row["subject"] * 10000 + table_row["session"] * 3000 + table_row["row"] * 100
    steps = np.rint(x * 1e6 / EDF_STEP_UV)
    assert set(np.unique(steps - (base + np.arange(64)[:, None]))) == {0.0, 1.0}
    assert x.shape[1] == EMC_TRIAL_S * EMC_RATES[table_row["subject"]]


# DENS ----------------------------------------------------------------------------------------

DENS_TRIAL_S, DENS_REST_S = 2, 3
DENS_NAMES = ["neutral_1", "12", "8", "4", "15", "17", "16", "neutral_2", "7", "2", "24"]
DENS_EXTENSIONS = {"12": ".m4v", "8": ".m4v", "2": ".m4v"}


def dens_films(subject: int) -> list[str]:
    """Return what a subject saw, in order: eleven films, ten for subject 2."""
    names = list(DENS_NAMES)
    np.random.default_rng(subject).shuffle(names)
    return names[:10] if subject == 2 else names


def dens_rating(subject: int, trial: int) -> list[float]:
    """Return valence, arousal, dominance (1-9), liking, familiarity, relevance (1-5)."""
    rng = np.random.default_rng([9, subject, trial])
    values = [*rng.uniform(1, 9, 3), *rng.uniform(1, 5, 3)]
    return [round(float(v), 2) for v in values]


def write_dens(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    simulated: bool = True,
    content: str = "code",
    seconds: bool = False,
    unit: str | None = "uV",
) -> Path:
    """Write data sets of 132 channels; with `seconds` the onsets are as BIDS wants them.

    During film r, electrode c of the catalogue is at subject * 1e5 + r * 1000 + c microvolts, in
    the rest at minus that of film 0, plus `wobble`.
    """
    describe(
        folder,
        "Dataset on Emotion with Naturalistic Stimuli (DENS)",
        "doi:10.18112/openneuro.ds003751.v1.0.4",
        simulated,
    )
    sfreq = 250
    names = [*(f"E{k}" for k in range(1, 129)), "Cz", "ECG", "EMG1", "EMG2"]
    place_of = {name: k for k, name in enumerate(dens.ELECTRODES_IN_FILE)}
    for subject in subjects:
        films = dens_films(subject)
        n_samples = sfreq * (1 + DENS_REST_S + len(films) * (DENS_TRIAL_S + 2) + 1)
        rng = np.random.default_rng(subject)
        x = rng.normal(scale=20.0, size=(len(names), n_samples))
        levels = np.array([place_of.get(name, 99) for name in names])[:, None]
        events = [(1.0 * sfreq, "base"), ((1.0 + DENS_REST_S) * sfreq, "bend")]
        if content == "code":
            x[:] = wobble(n_samples)
            x[:, sfreq : (1 + DENS_REST_S) * sfreq] -= subject * 1e5 + levels
        for row, _ in enumerate(films, 1):
            start = sfreq * (1 + DENS_REST_S + (row - 1) * (DENS_TRIAL_S + 2) + 1)
            stop = start + DENS_TRIAL_S * sfreq
            if content == "code":
                x[:, start:stop] += subject * 1e5 + row * 1000 + levels
            events += [(start, "stm"), (start + 101.5, "clic"), (stop, "vlnc"), (stop + 60, "arsl")]
        label = f"sub-mit{subject:03d}"
        stem = folder / label / "eeg" / f"{label}_task-Emotion"
        stem.parent.mkdir(parents=True, exist_ok=True)
        x.T.astype("<f4").tofile(f"{stem}_eeg.fdt")
        places = np.zeros(len(names), [("labels", object), ("type", object)])
        for k, name in enumerate(names):
            places[k] = (name, "EEG")
        savemat(
            f"{stem}_eeg.set",
            {
                "EEG": {
                    "setname": "anything",
                    "srate": float(sfreq),
                    "nbchan": float(len(names)),
                    "pnts": float(n_samples),
                    "trials": 1.0,
                    "data": "another name.fdt",
                    "chanlocs": places,
                    "etc": {"note": "x"},
                }
            },
        )
        scale = 1 / sfreq if seconds else 1.0
        write_tsv(
            Path(f"{stem}_events.tsv"),
            {
                "onset": [f"{onset * scale:g}" for onset, _ in events],
                "duration": [1000] * len(events),
                "trial_type": [kind for _, kind in events],
            },
        )
        types = ["EEG"] * 129 + ["ECG", "EMG", "EMG"]
        write_tsv(
            Path(f"{stem}_channels.tsv"),
            {"name": names, "type": types, "units": [unit or "n/a"] * len(names)},
        )
        ratings = [dens_rating(subject, row) for row in range(1, len(films) + 1)]
        felt = ["{}"] * len(films)
        felt[1] = "{'0': [u'Joyous: Full of happiness and joy', u'', u'', u'', '']}"
        felt[2] = "{'1': [u'', u'Angry: Feeling'], '0': [u'', u'Hate: Have a strong aversion']}"
        felt[3] = "{'0': [u'Serene: Calm']}"
        columns = ("valence", "arousal", "dominance", "liking", "familiarity", "relevance")
        write_tsv(
            folder / label / "beh" / f"{label}_task-Emotion_beh.tsv",
            {
                "": list(range(len(films))),
                "stimuliName": [n + DENS_EXTENSIONS.get(n, ".mp4") for n in films],
                **{name: [row[k] for row in ratings] for k, name in enumerate(columns)},
                "emotionCateg": felt,
            },
        )
    return folder


def verify_dens(table_row, x: np.ndarray) -> None:
    level = table_row["subject"] * 1e5 + table_row["row"] * 1000 + np.arange(45)[:, None]
    start = round(table_row["onset_s"] * 250)
    expected = level + wobble(start + x.shape[1])[start:]
    np.testing.assert_allclose(x * 1e6, expected, atol=0.05)


# ds002721 ------------------------------------------------------------------------------------

MUSIC_SFREQ = 40


def music_clips(subject: int, run: int) -> list[int]:
    """Return the numbers of the ten clips of a run (2-5), in order."""
    order = np.random.default_rng(subject).permutation(40) + 1
    return [int(v) for v in order[(run - 2) * 10 : (run - 1) * 10]]


def music_answers(subject: int, row: int) -> list[int]:
    """Return the answers (1-5) to the eight questions after a trial of the session (1-40)."""
    return [int(v) for v in np.random.default_rng([3, subject, row]).integers(1, 6, 8)]


def write_ds002721(
    folder: Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    simulated: bool = True,
    content: str = "code",
    doi: str | None = "10.18112/openneuro.ds002721.v1.0.2",
    before: bool = False,
    runs: tuple[int, ...] = (1, 2, 3, 4, 5, 6),
) -> Path:
    """Write six runs per person; during row r, electrode c is at subject * 10000 + r * 100 + c."""
    describe(folder, "An EEG dataset recorded during affective music listening", doi, simulated)
    names = list(ds002721.ELECTRODES_IN_FILE)
    sfreq = MUSIC_SFREQ
    for subject in subjects:
        for run in runs:
            music = run in ds002721.MUSIC_RUNS
            n_trials = 10 if music else 0
            n_samples = sfreq * (2 + 16 * n_trials + 2)
            steps = np.zeros((19, n_samples))
            if content == "eeg":
                steps += np.random.default_rng([subject, run]).normal(scale=200, size=steps.shape)
            events: list[tuple[float, int]] = []
            for k in range(n_trials):
                row = (run - 2) * 10 + k + 1
                start = 2 + 16 * k + 1
                if content == "code":
                    level = subject * 10000 + row * 100 + np.arange(19)[:, None]
                    steps[:, start * sfreq : (start + 12) * sfreq] = level
                clip = 300 + music_clips(subject, run)[k]
                events += [(start - 1, 786), (start - 0.5 if before else start, clip), (start, 788)]
                for q, answer in enumerate(music_answers(subject, row)):
                    events += [(start + 12.1 + q * 0.2, 800 + q)]
                    events += [(start + 12.2 + q * 0.2, 900 + answer)]
                events += [(start + 3, 257)]
            if content == "code":
                steps += np.arange(n_samples) % 2
            stem = folder / f"sub-{subject:02d}" / "eeg" / f"sub-{subject:02d}_task-run{run}"
            write_edf(Path(f"{stem}_eeg.edf"), names, steps, sfreq, unit="uV")
            events.sort(key=lambda event: event[0])
            write_tsv(
                Path(f"{stem}_events.tsv"),
                {
                    "onset": [f"{onset:.3f}" for onset, _ in events],
                    "duration": ["n/a"] * len(events),
                    "trial_type": [kind for _, kind in events],
                },
            )
    return folder


def verify_ds002721(table_row, x: np.ndarray) -> None:
    steps = np.rint(x * 1e6 / EDF_STEP_UV)
    level = table_row["subject"] * 10000 + table_row["row"] * 100 + np.arange(19)[:, None]
    assert set(np.unique(steps - level)) == {0.0, 1.0}


WRITERS = {
    "EmoEEG-MC": {
        "reorder": Layout(write_emoeeg_arrays, verify_wobbling),
        "raw": Layout(write_emoeeg_raw, verify_emoeeg_raw, options={"sequences": str(SEQUENCES)}),
        "ica": Layout(
            partial(write_emoeeg_arrays, kind="ica"),
            verify_wobbling,
            options={"sequences": str(SEQUENCES)},
        ),
    },
    "DENS": {"raw": Layout(write_dens, verify_dens, n_trials=21)},
    "ds002721": {"raw": Layout(write_ds002721, verify_ds002721)},
}
