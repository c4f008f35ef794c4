"""FACED's and THU-EP's twins, read by the vendors' ways and by the project's readers."""

from __future__ import annotations

import csv
import pickle
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

import affectrum as af
from affectrum.catalog import faced
from affectrum.twins import write_twin
from affectrum.twins.faced import raw_cap, timeline
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.thu_ep import CHANNELS, OPTIONS
from affectrum.twins.tsinghua import band_signals, processed_cap, ratings_of

SHORT = {"trial_seconds": 2.0, "seed": 5}
SUBJECTS = [1, 5, 62]  # 1000 Hz; 250 Hz without a unit; the second cohort
ROWS = (*faced.ELECTRODES, *faced.EARS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTRUM_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_twin(
        "FACED",
        tmp_path_factory.mktemp("faced") / "FACED",
        subjects=SUBJECTS,
        forms=["processed", "features", "raw"],
        **SHORT,
    )


@pytest.fixture(scope="module")
def thu_ep(tmp_path_factory) -> Path:
    return write_twin("THU-EP", tmp_path_factory.mktemp("thu") / "THU-EP", subjects=2, **SHORT)


@pytest.fixture(scope="module")
def generator() -> TwinGenerator:
    return TwinGenerator("FACED", **SHORT)


def load(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core moved; the vendor's files name the old place
        found = pickle.loads(path.read_bytes())
    assert type(found) is np.ndarray
    return found


def all_bytes(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_faced_files(folder):
    names = {path for path in all_bytes(folder) if not path.endswith("SIMULATED.txt")}
    expected = {"Recording_info.csv", "simulated_truth.json"}
    for stem in ("sub000", "sub004", "sub061"):
        expected |= {f"Data/{stem}/{n}" for n in ("data.bdf", "evt.bdf", "After_remarks.mat")}
        expected |= {f"EEG_Features/{n}/{stem}.pkl.pkl" for n in ("DE", "PSD")}
        expected.add(f"Processed_data/{stem}.pkl")
    assert names == expected


def test_faced_pickles_are_those_of_numpy(folder, generator):
    data = load(folder / "Processed_data" / "sub004.pkl")
    assert data.shape == (28, 32, 500)
    assert data.dtype == np.float64
    cap = processed_cap(generator, ROWS)
    expected = generator.trial(5, 1, 17, cap).x[:, :-1]
    np.testing.assert_allclose(data[16], expected, atol=1 / 64)
    np.testing.assert_allclose(data.mean(axis=1), 0.0, atol=1 / 64)  # common average


def test_faced_features_are_the_vendors_formula(folder):
    data = load(folder / "Processed_data" / "sub000.pkl")
    de = load(folder / "EEG_Features" / "DE" / "sub000.pkl.pkl")
    psd = load(folder / "EEG_Features" / "PSD" / "sub000.pkl.pkl")
    assert de.shape == psd.shape == (28, 32, 2, 5)
    np.testing.assert_allclose(de, 0.5 * np.log(2 * np.pi * np.e * psd))
    alpha = band_signals(data[9], 250.0)[2]
    np.testing.assert_allclose(psd[9, :, 1, 2], (alpha[:, 250:] ** 2).mean(axis=1))


def test_band_signals_keep_a_tone_in_its_band():
    t = np.arange(1000) / 250
    tones = np.stack([np.sin(2 * np.pi * f * t) for f in (2, 6, 10, 20, 40, 60)])
    power = (band_signals(tones, 250.0) ** 2).mean(axis=2)
    np.testing.assert_allclose(power[:, :5], np.eye(5) / 2, atol=1e-12)
    np.testing.assert_allclose(power[:, 5], 0.0, atol=1e-12)


def test_faced_remarks_are_in_the_order_of_presentation(folder, generator):
    for subject, stem in ((1, "sub000"), (62, "sub061")):
        entries = loadmat(folder / "Data" / stem / "After_remarks.mat")["After_remark"]
        assert entries.shape == (28, 1)
        assert entries.dtype.names == ("score", "trial", "vid", "Accuracy", "ResponseTime")
        videos = [int(v.item()) for v in entries["vid"][:, 0]]
        assert videos == list(generator.presentation(subject, 1))
        assert sorted(videos) == list(range(1, 29)) != videos
        assert [int(v.item()) for v in entries["trial"][:, 0]] == list(range(1, 29))
        scores = entries["score"][3, 0]
        assert scores.shape == (1, 12)
        np.testing.assert_allclose(scores[0], ratings_of(generator, subject, videos[3]))
        assert ((scores >= 0) & (scores <= 7)).all()


def test_faced_table_of_recordings(folder):
    lines = (folder / "Recording_info.csv").read_text().splitlines()
    assert lines[0] == "sub,Gender,Age,Cohort ,Sample_rate,Unit"
    rows = [row[:1] + row[3:] for row in csv.reader(lines[1:])]
    assert rows == [
        ["sub000", "1", "1000", "uV"],
        ["sub004", "1", "250", "n/a"],
        ["sub061", "2", "1000", "uV"],
    ]


def test_faced_recordings_in_mne(folder, generator):
    mne = pytest.importorskip("mne")
    place = folder / "Data" / "sub004"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the unit that the header lost
        raw = mne.io.read_raw_bdf(place / "data.bdf", verbose="error")
    assert tuple(raw.ch_names) == faced.RAW_COHORT_1
    assert raw.info["sfreq"] == 250.0
    events = mne.read_annotations(place / "evt.bdf")
    codes = [int(text) for text in events.description]
    order = [code for code in codes if 1 <= code <= 28]
    assert order == list(generator.presentation(5, 1))
    assert codes.count(101) == codes.count(102) == 28
    assert (codes[0], codes.count(201), codes.count(202)) == (100, 7, 7)
    assert raw.times[-1] > events.onset[-1]


@pytest.mark.parametrize("form", ["processed", "raw", "features"])
def test_faced_is_usable_and_marked(folder, form):
    report = af.corpora.check_folder("FACED", folder, form=form)
    assert report.usable
    assert ["subjects are missing" in p.what for p in report.of_level("warning")] == [True]
    assert report.found["trials"] == 84
    assert report.found["simulated"]


def test_faced_reader_returns_the_generators_signals(folder, generator):
    corpus = af.open_corpus("FACED", folder)
    trial = corpus.trials.iloc[28 + 6]
    expected = generator.trial(5, 1, 7, processed_cap(generator, ROWS)).x[:30, :-1]
    np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, atol=1 / 64)
    assert trial["trial"] == generator.presentation(5, 1).index(7) + 1
    names = [f"rating_{name}" for name in faced.RATING_COLUMNS]
    np.testing.assert_allclose(trial[names].astype(float), ratings_of(generator, 5, 7))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_faced_raw_clips_end_with_the_generators_trial(folder, generator, subject):
    corpus = af.open_corpus("FACED", folder, form="raw")
    cap = raw_cap(subject)
    part = corpus.trials[corpus.trials["subject"] == subject].reset_index(drop=True)
    position = 4
    row, start, begin, stop = timeline(generator, subject)[position]
    trial = part.iloc[position]
    assert (trial["clip"], trial["onset_s"]) == (f"FACED/{row:02d}", start)
    assert trial["duration_s"] == stop - start
    assert trial["sfreq"] == cap.sfreq
    x = corpus.read(trial)[:, round((begin - start) * cap.sfreq) :] * 1e6
    names = [af.electrodes.canonical(name) for name in faced.raw_names(subject - 1)]
    picks = [names.index(name) for name in faced.ELECTRODES]
    expected = generator.trial(subject, 1, row, cap).x[picks, :-1]
    difference = x - expected
    np.testing.assert_allclose(difference - difference.mean(axis=1, keepdims=True), 0, atol=0.1)


@pytest.mark.parametrize("corpus", ["FACED", "THU-EP"])
def test_workers_do_not_change_bytes(tmp_path, corpus):
    forms = {"FACED": ["processed", "features", "raw"], "THU-EP": None}[corpus]
    options = {"subjects": [5], "forms": forms, **SHORT}
    one = all_bytes(write_twin(corpus, tmp_path / "1", workers=1, **options))
    three = all_bytes(write_twin(corpus, tmp_path / "3", workers=3, **options))
    assert one == three


def test_thu_ep_files(thu_ep):
    names = [path for path in all_bytes(thu_ep) if not path.endswith("SIMULATED.txt")]
    assert sorted(names) == [
        "EEG data/sub_1.mat",
        "EEG data/sub_2.mat",
        "ratings/sub1_rating.mat",
        "ratings/sub2_rating.mat",
        "simulated_options.yaml",
        "simulated_truth.json",
    ]
    path = thu_ep / "EEG data" / "sub_2.mat"
    assert path.read_bytes()[:19] == b"MATLAB 7.3 MAT-file"
    assert path.read_bytes()[124:128] == b"\x00\x02IM"
    with h5py.File(path) as file:
        data = file["data"][()]
    assert data.shape == (500, 32, 28, 6)
    # five bands and the signal that they are cut from
    assert data[..., :5].sum(axis=3).std() < data[..., 5].std()
    ears = [CHANNELS.index("A1"), CHANNELS.index("A2")]
    assert ears == [16, 17]


def test_thu_ep_is_read_with_its_options(thu_ep):
    report = af.corpora.check_folder("THU-EP", thu_ep)
    assert not report.usable
    options = thu_ep / "simulated_options.yaml"
    corpus = af.open_corpus("THU-EP", thu_ep, options=options)
    assert af.corpora.check_folder("THU-EP", thu_ep, options=options).usable
    assert corpus.simulated
    generator = TwinGenerator("THU-EP", **SHORT)
    trial = corpus.trials.iloc[28 + 12]
    expected = generator.trial(2, 1, 13, processed_cap(generator, CHANNELS)).x[:, :-1]
    scalp = [row for row, name in enumerate(CHANNELS) if name not in ("A1", "A2")]
    np.testing.assert_allclose(corpus.read(trial) * 1e6, expected[scalp], atol=1 / 64)
    names = [f"rating_{name}" for name in OPTIONS["rating_columns"]]
    np.testing.assert_allclose(trial[names].astype(float), ratings_of(generator, 2, 13))
