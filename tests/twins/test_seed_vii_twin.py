"""SEED-VII's twin: the vendor's tree, read with scipy, MNE and the csv module."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import mne
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import loadmat, whosmat

import affectrum as af
from affectrum.twins import TwinGenerator, write_twin
from affectrum.twins.seed_vii import schedule

SMALL = {"trial_seconds": 5.0, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    forms = ["preprocessed", "features"]
    target = tmp_path_factory.mktemp("vii") / "SEED-VII"
    return write_twin("SEED-VII", target, subjects=[3], sessions=2, forms=forms, **SMALL)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the recordings whose triggers are wrong."""
    target = tmp_path_factory.mktemp("vii raw") / "SEED-VII"
    options = {**SMALL, "trial_seconds": 2.0}
    return write_twin("SEED-VII", target, subjects=[14], sessions=[1], forms=["raw"], **options)


def test_keys_shapes_and_whole_seconds(folder: Path) -> None:
    listed = {
        name: (shape, kind) for name, shape, kind in whosmat(folder / "EEG_preprocessed/3.mat")
    }
    assert list(listed) == [str(n) for n in range(1, 41)]
    assert set(listed.values()) == {((62, 1000), "double")}
    features = {name: shape for name, shape, _ in whosmat(folder / "EEG_features/3.mat")}
    assert set(features) == {f"{f}_{n}" for f in ("de", "de_LDS", "psd") for n in range(1, 41)}
    assert set(features.values()) == {(1, 5, 62)}
    labels = loadmat(folder / "continuous_labels/3.mat")
    assert all(labels[str(n)].shape == (1, 1) for n in range(1, 81))
    assert all(0 <= labels[str(n)].item() <= 1 for n in range(1, 81))


def test_signals_are_the_generators(folder: Path) -> None:
    corpus = af.open_corpus("SEED-VII", folder)
    assert corpus.simulated
    assert corpus.check().usable
    generator = TwinGenerator("SEED-VII", seed=3, trial_seconds=5.0)
    for position in (0, 25):
        trial = corpus.trials.iloc[position]
        x = generator.trial(3, trial["session"], trial["row"]).x[:, :-1]
        assert_allclose(corpus.read(trial) * 1e6, x, atol=1 / 60)
        assert 0 <= trial["rating_induction"] <= 1
        assert corpus.continuous_labels(trial).step_s == 4.0


def test_features_are_those_of_the_authors_code(folder: Path) -> None:
    x = loadmat(folder / "EEG_preprocessed/3.mat")["21"]
    stored = loadmat(folder / "EEG_features/3.mat")
    window = x[:, :800] * np.hanning(800)
    power = np.abs(np.fft.fft(window[:, :256])) ** 2  # an FFT of 256 points cuts the window
    for band, (low, high) in enumerate([(1, 4), (4, 8), (8, 14), (14, 31), (31, 49)]):
        bins = range(int(low / 200 * 256) - 1, int(high / 200 * 256))
        expected = np.mean([power[:, k] for k in bins], axis=0)
        assert_allclose(stored["psd_21"][0, band], expected)
        assert_allclose(stored["de_21"][0, band], np.log2(100 * expected))
    assert_allclose(stored["de_LDS_21"], stored["de_21"])  # one window has nothing to smooth


def test_the_raw_recording_and_its_two_clocks(raw: Path) -> None:
    path = raw / "EEG_raw/14_20221015_1.cnt"
    recording = mne.io.read_raw_cnt(path, verbose="ERROR")
    assert recording.info["sfreq"] == 1000
    assert len(recording.ch_names) == 67
    assert recording.ch_names.index("M1") == recording.ch_names.index("T8") + 1
    assert recording.info["meas_date"].strftime("%Y-%m-%d %H:%M:%S") == "2022-10-15 14:25:34"
    with (raw / "save_info/14_20221015_1_trigger_info.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["1", "2"] * 20
    began = datetime(2022, 10, 15, 14, 25, 34)
    listed = [(datetime.fromisoformat(row[1]) - began).total_seconds() for row in rows]
    generator = TwinGenerator("SEED-VII", seed=3, trial_seconds=2.0)
    assert_allclose(listed, np.ravel(schedule(generator, 1)) / 1000)
    assert_allclose(recording.annotations.onset - listed, 3.0)  # the recording's own are late
    assert recording.annotations.description.tolist() == ["1", "2"] * 20


def test_the_reader_finds_the_trials_all_the_same(raw: Path) -> None:
    corpus = af.open_corpus("SEED-VII", raw)
    assert len(corpus.trials) == 20
    trial = corpus.trials.iloc[6]
    x = corpus.read(trial)
    direct = mne.io.read_raw_cnt(raw / trial["file"], verbose="ERROR")
    start = round(trial["onset_s"] * 1000)
    picks = [name.upper() for name in corpus.channels]
    assert_allclose(x, direct.get_data(picks, start, start + x.shape[1]), rtol=1e-9, atol=1e-15)
    generator = TwinGenerator("SEED-VII", seed=3, trial_seconds=2.0)
    state = generator.trial(14, 1, 7).x
    # the brain is the preprocessed twin's; amplifier and eyes are not
    assert np.corrcoef(x[45, ::5], state[45, :-1])[0, 1] > 0.3


def test_the_list_of_labels_has_rows_of_numbers(folder: Path) -> None:
    report = af.corpora.check_folder("SEED-VII", folder)
    assert not any("emotion_label" in problem.where for problem in report.problems)
    words = af.open_corpus("SEED-VII", folder).trials["emotion"]
    assert words.tolist()[20:25] == ["anger", "sad", "fear", "neutral", "surprise"]


def test_more_sessions_grow_a_subjects_file(tmp_path: Path) -> None:
    options = {"subjects": [1], "trial_seconds": 2.0, "seed": 1}
    grown = write_twin("SEED-VII", tmp_path / "grown", sessions=1, **options)
    path = grown / "EEG_preprocessed" / "1.mat"
    stamp = path.stat().st_mtime_ns
    write_twin("SEED-VII", grown, sessions=1, **options)
    assert path.stat().st_mtime_ns == stamp  # what is complete is left alone
    assert len(whosmat(path)) == 20
    write_twin("SEED-VII", grown, sessions=2, **options)
    assert len(whosmat(path)) == 40
    at_once = write_twin("SEED-VII", tmp_path / "at once", sessions=2, workers=2, **options)
    for other in sorted(p for p in at_once.rglob("*") if p.is_file()):
        assert (grown / other.relative_to(at_once)).read_bytes() == other.read_bytes(), other


def test_workers_do_not_change_raw_recordings(raw: Path, tmp_path: Path) -> None:
    options = {**SMALL, "trial_seconds": 2.0, "workers": 2}
    again = write_twin(
        "SEED-VII", tmp_path / "SEED-VII", subjects=[14], sessions=[1], forms=["raw"], **options
    )
    name = "EEG_raw/14_20221015_1.cnt"
    assert_array_equal(np.fromfile(again / name, "u1"), np.fromfile(raw / name, "u1"))
