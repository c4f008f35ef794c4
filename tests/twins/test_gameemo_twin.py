"""GAMEEMO's twin through its reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import affectrum as af
from affectrum.twins import write_twin
from affectrum.twins.gameemo import cap_of
from affectrum.twins.generator import TwinGenerator
from affectrum.twins.jobs import Layout
from affectrum.twins.settings import TwinSettings

OPTIONS = {"subjects": 2, "trial_seconds": 2.0, "seed": 3, "forms": ["preprocessed", "raw"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_twin("GAMEEMO", tmp_path_factory.mktemp("x") / "GAMEEMO", **OPTIONS)


def test_the_tree(folder):
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.csv")}
    assert len(names) == 16
    assert "(S01)/Preprocessed EEG Data/.csv format/S01G1AllChannels.csv" in names
    assert "(S01)/Raw EEG Data/.csv format/S01G4AllRawChannels.csv" in names
    assert "(S02)/Raw EEG Data/.csv format/S02G4AllChannels.csv" in names
    path = folder / "(S01)/Preprocessed EEG Data/.csv format/S01G1AllChannels.csv"
    assert path.read_text().startswith("AF3,AF4,F3,F4,F7,F8,FC5,FC6,O1,O2,P7,P8,T7,T8\n")


@pytest.mark.parametrize("form", ["preprocessed", "raw"])
def test_trials_are_the_generators(folder, form):
    report = af.corpora.check_folder("GAMEEMO", folder, form=form)
    assert report.usable
    assert report.found["simulated"]
    assert report.found["trials"] == 8
    corpus = af.open_corpus("GAMEEMO", folder, form=form)
    generator = TwinGenerator("GAMEEMO", TwinSettings(), 3, 2.0)
    cap = cap_of(Layout(generator, (1,), (1,), (form,), "new", True), form)
    for position in (0, 7):
        trial = corpus.trials.iloc[position]
        expected = generator.trial(trial["subject"], 1, trial["row"], cap).x[:, :-1]
        np.testing.assert_allclose(corpus.read(trial) * 1e6, expected, atol=6e-4)


def test_the_length_of_the_vendors_files(tmp_path):
    folder = write_twin("GAMEEMO", tmp_path / "x", subjects=[7])
    trials = af.open_corpus("GAMEEMO", folder).trials
    assert (trials["duration_s"] * 128 == 38252).all()


def test_the_number_of_workers_changes_no_byte(folder, tmp_path):
    other = write_twin("GAMEEMO", tmp_path / "x", workers=2, **OPTIONS)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()
