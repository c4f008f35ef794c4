"""THU-EP: what is not documented is asked for, measured or refused."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

import affectrum as af
from affectrum.errors import ConfigError, FileFormatError, FolderError


@pytest.fixture(scope="module")
def made():
    return sys.modules["corpora_layouts_tsinghua"]


@pytest.fixture
def folder(copied):
    return copied("THU-EP", "signals")


def told(made, **further):
    return {"channels": made.THU_EP_CHANNELS, "unit": "uV", **further}


def notes_of(folder, options):
    report = af.corpora.check_folder("THU-EP", folder, options=options)
    return [str(problem) for problem in report.of_level("note")]


def test_without_the_channels_it_is_refused_with_the_reason(folder):
    with pytest.raises(FolderError) as caught:
        af.open_corpus("THU-EP", folder)
    message = str(caught.value)
    assert "the ear electrodes A1 and A2 stand in rows 17 and 18 by one source" in message
    assert "give the option 'channels' with all 32 names" in message
    assert "T8, A1, A2, CP1" in message
    assert "O2, A2, A1" in message


def test_electrodes_are_returned_in_the_order_that_was_told(folder, made, layouts):
    corpus = af.open_corpus("THU-EP", folder, options=told(made))
    assert corpus.channels == tuple(made.CHANNELS[:30])
    assert corpus.facts.auxiliary == ("A1", "A2")
    x = corpus.read(corpus.trials.iloc[31])
    np.testing.assert_array_equal(layouts.decode(x)["channel"], np.arange(30))
    # another order: the same rows of the file under other names
    other = af.open_corpus("THU-EP", folder, options=told(made, channels=made.CHANNELS))
    assert other.channels == corpus.channels
    y = other.read(other.trials.iloc[31])
    np.testing.assert_array_equal(y[:16], x[:16])
    assert not np.array_equal(y[16], x[16])


def test_old_names_and_one_string_will_do(folder, made):
    names = " ".join(made.COHORT_1)
    corpus = af.open_corpus("THU-EP", folder, options={"channels": names, "unit": "uV"})
    assert corpus.channels == tuple(made.CHANNELS[:30])
    assert corpus.facts.electrodes_in_file[14] == "T3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda names: names[:-1], "32 names are needed, 31 were given"),
        (lambda names: [*names[:-1], "Q7"], "no electrodes: Q7"),
        (lambda names: [*names[:-1], "Fp1"], "named twice: Fp1"),
        (lambda names: ["T3" if name == "T8" else name for name in names], "named twice: T7"),
    ],
)
def test_wrong_channels_are_explained(folder, made, change, message):
    with pytest.raises(ConfigError, match=message):
        af.open_corpus("THU-EP", folder, options={"channels": change(made.THU_EP_CHANNELS)})


def test_the_unit_is_measured(made, tmp_path):
    folder = made.write_thu_ep(tmp_path / "THU-EP", content="eeg")
    options = {"channels": made.THU_EP_CHANNELS}
    corpus = af.open_corpus("THU-EP", folder, options=options)
    assert 1.5e-5 < corpus.read(corpus.trials.iloc[0]).std() < 2.5e-5
    assert any(
        "no source says the unit" in note and "it is uV" in note
        for note in notes_of(folder, options)
    )
    path = folder / "EEG data" / "sub_2.mat"
    with h5py.File(path, "r+") as file:
        file["data"][...] = file["data"][()] * 1e-6
    corpus = af.open_corpus("THU-EP", folder, options=options)
    assert 1.5e-5 < corpus.read(corpus.trials.iloc[40]).std() < 2.5e-5


def test_a_unit_that_can_not_be_measured_is_asked_for(folder, made):
    with pytest.raises(FolderError, match=r"sub_1\.mat: the unit .* Give the option 'unit'"):
        af.open_corpus("THU-EP", folder, options={"channels": made.THU_EP_CHANNELS})


def test_labels_are_by_stimulus_and_the_order_of_presentation_is_unknown(folder, made):
    trials = af.open_corpus("THU-EP", folder, options=told(made)).trials
    assert trials["emotion"][:4].tolist() == ["anger", "anger", "anger", "disgust"]
    assert trials["clip"][27] == "THU-EP/28"
    assert trials["trial"].isna().all()
    assert trials["film"].isna().all()


def test_only_the_broadband_is_read(folder, made):
    # the fixture's other bands have the opposite sign
    corpus = af.open_corpus("THU-EP", folder, options=told(made))
    assert corpus.read(corpus.trials.iloc[9]).min() > 0


def test_one_trial_costs_one_trial_and_a_pass_decodes_the_file_once(folder, made, monkeypatch):
    from affectrum.recordings.hdf5_slices import SlicedArray

    corpus = af.open_corpus("THU-EP", folder, options=told(made))
    asked = []
    real = SlicedArray.read
    monkeypatch.setattr(
        SlicedArray, "read", lambda self, *index: asked.append(index) or real(self, *index)
    )
    corpus.read(corpus.trials.iloc[5])
    assert [index[2] for index in asked] == [5]
    asked.clear()
    rows = [x for _, x in corpus.iter_trials(corpus.trials.iloc[:28])]
    assert len(rows) == 28
    assert [index[2] for index in asked] == [0, slice(None)]


def test_contiguous_files_too(made, layouts, tmp_path):
    folder = made.write_thu_ep(tmp_path / "THU-EP", chunks=None)
    corpus = af.open_corpus("THU-EP", folder, options=told(made))
    for trial, x in corpus.iter_trials(corpus.trials.iloc[[0, 30, 55]]):
        layouts.verify_code(trial, x)


def test_ratings_are_listed_and_read_when_told(made, tmp_path):
    folder = made.write_thu_ep(tmp_path / "THU-EP", ratings=True)
    trials = af.open_corpus("THU-EP", folder, options=told(made)).trials
    assert not [c for c in trials if c.startswith("rating_") and trials[c].notna().any()]
    notes = notes_of(folder, told(made))
    assert any("rating (double, 28 x 12), other (double, 3 x 3)" in n for n in notes)
    options = told(made, rating_key="rating", rating_columns=made.SCORES, rating_scale=[0, 7])
    trials = af.open_corpus("THU-EP", folder, options=options).trials
    for subject, part in trials.groupby("subject"):
        found = part[[f"rating_{name}" for name in made.SCORES]].to_numpy()
        np.testing.assert_array_equal(found, made.scores(subject))
    wrong = {**options, "rating_key": "other"}
    with pytest.raises(FolderError, match=r"other has shape \(3, 3\); expected \(28, 12\)"):
        af.open_corpus("THU-EP", folder, options=wrong)
    with pytest.raises(FolderError, match="lacks the variable 'score'"):
        af.open_corpus("THU-EP", folder, options={**options, "rating_key": "score"})
    with pytest.raises(ConfigError, match="are needed together"):
        af.open_corpus("THU-EP", folder, options=told(made, rating_key="rating"))


def test_ratings_off_the_scale_are_missing(made, tmp_path):
    folder = made.write_thu_ep(tmp_path / "THU-EP", ratings=True)
    options = told(made, rating_key="rating", rating_columns=made.SCORES, rating_scale=[1, 7])
    corpus = af.open_corpus("THU-EP", folder, options=options)
    expected = made.scores(1)[:, 9]
    found = corpus.trials["rating_valence"][:28].to_numpy()
    np.testing.assert_array_equal(found, np.where(expected < 1, np.nan, expected))
    assert any("outside 1 to 7" in str(p) for p in corpus.check().of_level("warning"))


def test_subject_75_is_named(made, tmp_path):
    folder = made.write_thu_ep(tmp_path / "THU-EP", subjects=(1, 75))
    report = af.corpora.check_folder("THU-EP", folder, options=told(made))
    assert any("sub_75.mat: users" in str(p) for p in report.of_level("warning"))
    assert report.found["subjects"] == 2


def test_other_axes_and_names_are_refused(folder, made):
    path = folder / "EEG data" / "sub_1.mat"
    made.write_v73(path, {"data": np.zeros((250, 32, 28, 6))})
    with pytest.raises(FolderError, match=r"shape \(6, 28, 32, 250\) \(the axes are in MATLAB's"):
        af.open_corpus("THU-EP", folder, options=told(made))
    made.write_v73(path, {"eeg": np.zeros((3, 3))})
    with pytest.raises(FolderError, match="lacks 'data'; it holds eeg"):
        af.open_corpus("THU-EP", folder, options=told(made))


def test_a_changed_file_is_noticed(folder, made):
    corpus = af.open_corpus("THU-EP", folder, options=told(made))
    path = folder / "EEG data" / "sub_1.mat"
    made.write_v73(path, {"data": np.zeros((6, 28, 32, 300))})
    with pytest.raises(FileFormatError, match="promised"):
        corpus.read(corpus.trials.iloc[0])


def test_two_files_of_a_subject_are_refused(folder, made):
    files = folder / "EEG data"
    (files / "sub_01.mat").write_bytes((files / "sub_1.mat").read_bytes())
    with pytest.raises(FolderError, match=r"a second file of the subject in EEG data/sub_01\.mat"):
        af.open_corpus("THU-EP", folder, options=told(made))
