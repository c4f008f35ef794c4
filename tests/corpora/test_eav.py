"""EAV's traps, each its own test."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.io import savemat

import affectrum as af
from affectrum.errors import ConfigError, FolderError


@pytest.fixture(scope="module")
def own():
    return sys.modules["corpora_layouts_eav"]


@pytest.fixture(scope="module")
def sound(own, tmp_path_factory):
    """A folder that is only read."""
    return own.write_eav(tmp_path_factory.mktemp("x") / "EAV")


@pytest.fixture
def folder(own, tmp_path):
    return own.write_eav(tmp_path / "EAV", subjects=(1,))


def problems(own, folder, level, **options):
    report = af.corpora.check_folder("EAV", folder, options={**own.OPTIONS, **options})
    return [str(p) for p in report.of_level(level)]


def files(folder, subject=1):
    place = folder / f"subject{subject}" / "EEG"
    return place / f"subject{subject}_eeg.mat", place / f"subject{subject}_eeg_label.mat"


def test_axes_are_time_channel_trial(sound, own, layouts):
    corpus = af.open_corpus("EAV", sound, options=own.OPTIONS)
    assert corpus.channels == own.CHANNELS
    for position in (0, 199, 200, 399, 210):
        trial = corpus.trials.iloc[position]
        x = corpus.read(trial)
        assert x.shape == (30, 60)
        layouts.verify_code(trial, x)
    assert set(corpus.trials["sfreq"]) == {500.0}


def test_ten_rows_of_the_label_are_five_emotions_and_two_tasks(sound, own):
    trials = af.open_corpus("EAV", sound, options=own.OPTIONS).trials
    emotions = "neutral neutral sadness sadness anger anger happiness happiness calmness calmness"
    for subject, part in trials.groupby("subject"):
        rows = own.label_rows(subject)
        assert part["emotion"].tolist() == [emotions.split()[row] for row in rows]
        # the authors' code: selected_classes = [1, 3, 5, 7, 9], listening
        assert part["session_name"].tolist() == [("speak", "listen")[row % 2] for row in rows]
    assert set(trials["session"]) == {1}
    assert trials["clip"].isna().all()
    assert trials["trial"].isna().all()


def test_tasks_can_be_turned_round(sound, own):
    options = {**own.OPTIONS, "listening": "even"}
    trials = af.open_corpus("EAV", sound, options=options).trials
    assert trials["session_name"].iloc[0] == "speak"  # row 1 of the label
    assert trials["emotion"].iloc[0] == "neutral"


def test_electrodes_are_asked_for(sound, own):
    with pytest.raises(FolderError, match="no file names the 30 electrodes.*option channels"):
        af.open_corpus("EAV", sound)
    report = af.corpora.check_folder("EAV", sound, options={"unit": "uV"})
    assert not report.usable


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Fp1"], "expected 30 different electrodes, received 1"),
        (["Fp1"] * 30, "same electrode"),
        (["nose"] * 30, "not known as scalp electrodes"),
    ],
)
def test_electrodes_that_cannot_be(sound, names, message):
    with pytest.raises(ConfigError, match=message):
        af.open_corpus("EAV", sound, options={"channels": names})


@pytest.mark.parametrize(("unit", "scale"), [("uV", 1.0), ("V", 1e-6), ("nV", 1e3)])
def test_the_unit_is_measured(own, tmp_path, unit, scale):
    folder = own.write_eav(tmp_path, subjects=(1,), content="eeg", scale=scale)
    options = {"channels": own.CHANNELS}
    corpus = af.open_corpus("EAV", folder, options=options)
    x = corpus.read(corpus.trials.iloc[7])
    np.testing.assert_allclose(x, own.array(1, "eeg", 60)[:, :, 7].T * 1e-6, rtol=1e-12)
    notes = [str(p) for p in corpus.check().of_level("note")]
    assert any(f"by how much the signals vary it is {unit}" in note for note in notes)


def test_a_unit_that_can_not_be_told_is_asked_for(own, tmp_path):
    options = {"channels": own.CHANNELS}
    folder = own.write_eav(tmp_path / "x", subjects=(1,), content="eeg", scale=25.0)
    with pytest.raises(FolderError, match=r"no source says the unit.*option unit"):
        af.open_corpus("EAV", folder, options=options)
    corpus = af.open_corpus("EAV", folder, options={**options, "unit": "uV"})
    assert np.ptp(corpus.read(corpus.trials.iloc[0])) > 1e-3
    # two files of different units
    own.write_eav(tmp_path / "y", subjects=(1,), content="eeg")
    own.write_eav(tmp_path / "y", subjects=(2,), content="eeg", scale=1e-6)
    with pytest.raises(FolderError, match=r"uV: subjects 1; V: subjects 2"):
        af.open_corpus("EAV", tmp_path / "y", options=options)


def test_labels_with_the_axes_of_the_readme(folder, own):
    _, label = files(folder)
    savemat(label, {"label": own.one_hot(own.label_rows(1)).T})
    trials = af.open_corpus("EAV", folder, options=own.OPTIONS).trials
    assert trials["emotion"].iloc[:2].tolist() == ["neutral", "calmness"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda label: label[:, :-1], "labels of 199 trials; subject1_eeg.mat holds 200"),
        (lambda label: label[:9], r"shape \(9, 200\)"),
        (lambda label: label * 0, "not one-hot"),
        (lambda label: label + 1, "not one-hot"),
    ],
)
def test_labels_that_do_not_fit_are_refused(folder, own, change, message):
    _, label = files(folder)
    savemat(label, {"label": change(own.one_hot(own.label_rows(1)))})
    with pytest.raises(FolderError, match=message):
        af.open_corpus("EAV", folder, options=own.OPTIONS)


def test_a_missing_label_is_named(folder, own):
    files(folder)[1].unlink()
    with pytest.raises(FolderError, match=r"subject1_eeg_label\.mat is missing"):
        af.open_corpus("EAV", folder, options=own.OPTIONS)


def test_arrays_with_other_axes_are_refused(folder, own):
    path, _ = files(folder)
    savemat(path, {"seg": own.array(1, "code", 60).transpose(2, 1, 0)[:, :, :29]})
    assert any("labels of 200" in text for text in problems(own, folder, "error"))
    savemat(path, {"seg": own.array(1, "code", 60).transpose(1, 0, 2)})
    with pytest.raises(FolderError, match="axes are in another order"):
        af.open_corpus("EAV", folder, options=own.OPTIONS)
    savemat(path, {"seg": np.zeros((3, 3)), "other": 1.0})
    with pytest.raises(FolderError, match="neither seg nor seg1 is an array of three axes"):
        af.open_corpus("EAV", folder, options=own.OPTIONS)


def test_seg1_goes_before_seg(folder, own, layouts):
    path, _ = files(folder)
    x = own.array(1, "code", 60)
    savemat(path, {"seg": x * 0, "seg1": x})
    corpus = af.open_corpus("EAV", folder, options=own.OPTIONS)
    layouts.verify_code(corpus.trials.iloc[9], corpus.read(corpus.trials.iloc[9]))
    assert any("seg1 was read" in text for text in problems(own, folder, "warning"))
    savemat(path, {"seg": x, "seg1": np.zeros((1, 0))})
    corpus = af.open_corpus("EAV", folder, options=own.OPTIONS)
    layouts.verify_code(corpus.trials.iloc[9], corpus.read(corpus.trials.iloc[9]))


def test_two_folders_of_one_subject(folder, own):
    own.write_eav(folder / "again", subjects=(1,))
    (folder / "again" / "subject1").rename(folder / "subject01__")
    with pytest.raises(FolderError, match="subject 1 stands in"):
        af.open_corpus("EAV", folder, options=own.OPTIONS)


def test_lengths_are_compared_with_the_published_ones(own, tmp_path):
    folder = own.write_eav(tmp_path, subjects=(1,), simulated=False)
    found = problems(own, folder, "warning")
    assert any("60 samples per trial; 10000 are published" in text for text in found)


def test_a_pass_unpacks_a_compressed_file_once(sound, own, monkeypatch):
    from affectrum.recordings import mat_unpack

    begun = []
    restart = mat_unpack.PackedSource._restart
    monkeypatch.setattr(
        mat_unpack.PackedSource, "_restart", lambda self: begun.append(1) or restart(self)
    )
    corpus = af.open_corpus("EAV", sound, options=own.OPTIONS)
    begun.clear()
    part = corpus.trials[corpus.trials["subject"] == 2]
    assert sum(1 for _ in corpus.iter_trials(part)) == 200
    assert len(begun) == 2  # once for the header, once for all trials


def test_the_assumption_about_listening_is_said(own, tmp_path):
    folder = own.write_eav(tmp_path, subjects=(1,))
    notes = af.corpora.check_folder("EAV", folder, options=own.OPTIONS).of_level("note")
    assert any("takes the odd ones" in note.what for note in notes)
    even = {**own.OPTIONS, "listening": "even"}
    notes = af.corpora.check_folder("EAV", folder, options=even).of_level("note")
    assert not any("takes the odd ones" in note.what for note in notes)
    odd, swapped = (
        af.open_corpus("EAV", folder, options=options).trials for options in (own.OPTIONS, even)
    )
    assert (odd["emotion"] == swapped["emotion"]).all()
    assert (odd["session_name"] != swapped["session_name"]).all()
