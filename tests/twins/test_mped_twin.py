"""MPED's twin through its reader and through scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, whosmat

import affectrum as af
from affectrum.catalog import mped
from affectrum.twins import write_twin
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.mped import cap_of, cell_rows
from affectrum.twins.settings import TwinSettings

OPTIONS = {"subjects": [2], "trial_seconds": 2.0, "seed": 3, "forms": ["raw", "features"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_twin("MPED", tmp_path_factory.mktemp("x") / "MPED", **OPTIONS)


@pytest.fixture(scope="module")
def generator() -> TwinGenerator:
    return TwinGenerator("MPED", TwinSettings(), 3, 2.0)


def test_the_tree(folder):
    variables = whosmat(folder / "person02" / "person02_dd.mat")
    assert [name for name, _, _ in variables] == [f"raw_eeg{n}" for n in range(18, 35)]
    assert {shape for _, shape, _ in variables} == {(64, 2000)}
    names = sorted(path.parent.name for path in (folder / "EEG_feature").rglob("*.mat"))
    assert names == ["HHS", "HOC", "Hjorth", "PSD", "STFT"]
    cells = loadmat(folder / "EEG_feature" / "STFT" / "person02.mat")["STFT"]
    assert cells.shape == (1, 30)
    assert {x.shape for x in cells[0]} == {(62, 120, 5)}


def test_raw_trials_are_the_generators(folder, generator):
    report = af.corpora.check_folder("MPED", folder)
    assert report.usable
    assert report.found["simulated"]
    assert report.found["trials"] == 34
    assert report.of_level("warning") == []
    corpus = af.open_corpus("MPED", folder)
    for position in (0, 33):
        trial = corpus.trials.iloc[position]
        expected = generator.trial(2, 1, trial["row"], cap_of(generator)).x[:, :-1]
        np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, atol=1 / 60)


def test_cells_of_one_class_lie_together(generator):
    rows = cell_rows(generator)
    assert len(set(rows)) == 30
    angles = {}
    for row, code in zip(rows, mped.LABELS, strict=True):
        point = generator.point(1, row)
        angles.setdefault(code, []).append(np.arctan2(point.arousal, point.valence))
    ordered = [sorted(angles[code]) for code in range(7)]
    assert all(len(four) == 4 for four in ordered)
    assert np.all(np.diff(np.concatenate(ordered)) > 0)


def test_features_are_those_of_the_signals(folder, generator):
    assert af.corpora.check_folder("MPED", folder, form="features", deep=True).usable
    corpus = af.open_corpus("MPED", folder, form="features")
    trial = corpus.trials.iloc[5]
    x = generator.trial(2, 1, cell_rows(generator)[trial["row"] - 1], cap_of(generator, 200)).x
    window = x[7, :200].astype(float)
    found = corpus.read_features(trial, "Hjorth")[0, 7]
    np.testing.assert_allclose(found[0], window.var())
    mobility = np.diff(window).std() / window.std()
    np.testing.assert_allclose(found[1], mobility)
    np.testing.assert_allclose(
        found[2], np.diff(window, n=2).std() / np.diff(window).std() / mobility
    )
    spectrum = np.abs(np.fft.rfft(window * np.hanning(200))) ** 2
    power = corpus.read_features(trial, "PSD")[0, 7]
    np.testing.assert_allclose(power[2], spectrum[8:14].mean())  # 1 Hz apart
    np.testing.assert_allclose(corpus.read_features(trial, "STFT")[0, 7] ** 2, power)
    np.testing.assert_allclose(np.exp(corpus.read_features(trial, "HHS")[0, 7]), power)
    signs = window - window.mean() > 0
    crossings = corpus.read_features(trial, "HOC")[0, 7]
    assert crossings[0] == (signs[1:] != signs[:-1]).sum()
    assert np.all(np.diff(crossings) > 0)


def test_the_number_of_workers_changes_no_byte(folder, tmp_path):
    other = write_twin("MPED", tmp_path / "x", workers=2, **OPTIONS)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()
