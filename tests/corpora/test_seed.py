"""SEED's traps, each its own test."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import affectrum as af
from affectrum.catalog import seed
from affectrum.errors import ConfigError, FolderError


@pytest.fixture
def folder(copied):
    return copied("SEED", "preprocessed")


def signals(folder):
    return folder / "SEED_EEG" / "Preprocessed_EEG"


def test_both_distributions_give_the_same_trials(layouts, tmp_path):
    new = af.open_corpus("SEED", layouts.write_seed(tmp_path / "new")).trials
    old = af.open_corpus("SEED", layouts.write_seed(tmp_path / "old", old=True)).trials
    assert set(old["file"]) == {f.removeprefix("SEED_EEG/") for f in new["file"]}
    assert new.drop(columns="file").equals(old.drop(columns="file"))


def test_initials_differ_between_subjects(folder):
    trials = af.open_corpus("SEED", folder).trials
    assert set(trials.loc[trials["subject"] == 1, "key"]) == {f"djc_eeg{n}" for n in range(1, 16)}
    assert set(trials.loc[trials["subject"] == 2, "key"]) == {f"jl_eeg{n}" for n in range(1, 16)}


def test_initials_may_hold_underscores_and_digits(folder):
    path = signals(folder) / "1_20131027.mat"
    content = {k: v for k, v in loadmat(path).items() if "_eeg" in k}
    savemat(path, {k.replace("djc", "d_eeg2_c"): v for k, v in content.items()})
    trials = af.open_corpus("SEED", folder).trials
    assert trials["key"][0] == "d_eeg2_c_eeg1"
    assert len(trials) == 90


def test_trial_10_comes_after_trial_2_whatever_the_order_in_the_file(folder, layouts):
    path = signals(folder) / "1_20131027.mat"
    content = {k: v for k, v in loadmat(path).items() if "_eeg" in k}
    savemat(path, dict(sorted(content.items())))  # eeg1, eeg10, eeg11, ..., eeg2
    corpus = af.open_corpus("SEED", folder)
    rows = corpus.trials[(corpus.trials["subject"] == 1) & (corpus.trials["session"] == 1)]
    assert rows["key"].tolist() == [f"djc_eeg{n}" for n in range(1, 16)]
    for trial, x in corpus.iter_trials(rows):
        layouts.verify_code(trial, x)


def test_subject_10_comes_after_subject_2(layouts, tmp_path):
    folder = layouts.write_seed(tmp_path / "SEED", subjects=(1, 2, 10))
    corpus = af.open_corpus("SEED", folder)
    assert corpus.trials["subject"].unique().tolist() == [1, 2, 10]
    layouts.verify_code(corpus.trials.iloc[-1], corpus.read(corpus.trials.iloc[-1]))


def test_sessions_are_the_order_of_the_dates(folder):
    trials = af.open_corpus("SEED", folder).trials
    files = trials.groupby(["subject", "session"])["file"].first()
    dates = [files[2, session].split("_")[-1] for session in (1, 2, 3)]
    assert dates == ["20140404.mat", "20140413.mat", "20140419.mat"]


def test_sessions_of_other_dates_are_ordered_within_the_subject(folder):
    dates = ["20200110", "20200103", "20191230"]  # the later the name, the earlier the date
    for path, date in zip(sorted(signals(folder).glob("1_*.mat")), dates, strict=True):
        path.rename(path.with_name(f"1_{date}.mat"))
    trials = af.open_corpus("SEED", folder).trials
    files = trials[trials["subject"] == 1].groupby("session")["file"].first()
    assert [f.split("_")[-1][:8] for f in files] == sorted(dates)


def test_a_missing_first_session_does_not_shift_the_others(folder):
    (signals(folder) / "1_20131027.mat").unlink()
    corpus = af.open_corpus("SEED", folder)
    trials = corpus.trials[corpus.trials["subject"] == 1]
    assert sorted(trials["session"].unique()) == [2, 3]
    assert any("subject 1 lacks session 1" in p.what for p in corpus.check().problems)


def test_a_missing_session_of_unknown_dates_is_a_warning(folder):
    (signals(folder) / "1_20131027.mat").unlink()
    for path in sorted(signals(folder).glob("1_*.mat")):
        path.rename(path.with_name(path.name.replace("1_2013", "1_2020")))
    problems = af.open_corpus("SEED", folder).check().problems
    assert any("one may be missing" in p.what for p in problems)


def test_label_mat_is_no_subject_and_agrees(folder):
    report = af.open_corpus("SEED", folder).check()
    assert not any("label.mat" in p.where for p in report.problems)


def test_labels_by_trial(folder):
    trials = af.open_corpus("SEED", folder).trials
    words = {1: "positive", 0: "neutral", -1: "negative"}
    for _, part in trials.groupby(["subject", "session"]):
        assert part["emotion"].tolist() == [words[label] for label in seed.LABELS]


def test_recoded_labels_are_refused(folder):
    savemat(signals(folder) / "label.mat", {"label": np.array([seed.LABELS]) + 1})
    with pytest.raises(FolderError, match="are not SEED's published"):
        af.open_corpus("SEED", folder)


def test_a_missing_label_mat_is_a_note(layouts, tmp_path):
    folder = layouts.write_seed(tmp_path / "SEED", label=False)
    report = af.open_corpus("SEED", folder).check()
    assert any("label.mat" in p.where for p in report.of_level("note"))


def test_the_first_sample_is_dropped_so_that_seconds_are_whole(folder, layouts):
    corpus = af.open_corpus("SEED", folder)
    trial = corpus.trials.iloc[2]
    assert loadmat(folder / trial["file"])[trial["key"]].shape == (62, 201)
    x = corpus.read(trial)
    assert x.shape == (62, 200)
    np.testing.assert_array_equal(layouts.decode(x)["sample"], 1)
    assert trial["duration_s"] == 1.0
    assert trial["onset_s"] == 1 / 200


def test_trials_of_other_lengths_are_kept_whole(folder):
    path = signals(folder) / "1_20131027.mat"
    content = {k: v for k, v in loadmat(path).items() if "_eeg" in k}
    content["djc_eeg1"] = content["djc_eeg1"][:, :350]
    savemat(path, content)
    corpus = af.open_corpus("SEED", folder)
    assert corpus.read(corpus.trials.iloc[0]).shape == (62, 350)
    assert corpus.trials["onset_s"][0] == 0.0


def test_numbers_are_microvolts(folder):
    corpus = af.open_corpus("SEED", folder)
    trial = corpus.trials.iloc[0]
    stored = loadmat(folder / trial["file"])[trial["key"]][:, 1:]
    np.testing.assert_allclose(corpus.read(trial), stored * 1e-6, rtol=1e-12)


def test_features_are_windows_by_electrodes_by_bands(layouts, tmp_path):
    folder = layouts.write_seed(tmp_path / "SEED", subjects=(1, 2), features=True)
    corpus = af.open_corpus("SEED", folder)
    assert corpus.form == "preprocessed"
    assert corpus.feature_names == seed.FEATURES
    trial = corpus.trials.iloc[33]  # subject 1, session 3, row 4
    x = corpus.read_features(trial, "de_LDS")
    n_windows = round(trial["duration_s"])
    assert x.shape == (n_windows, 62, 5)
    window, electrode, band = np.indices(x.shape)
    expected = 4e6 + electrode * 1e4 + window * 1e2 + band + 0.01 + 0.003
    np.testing.assert_allclose(x, expected)
    assert corpus.read_features(trial, "dasm_LDS").shape == (n_windows, 27, 5)
    info = corpus.feature_info("de_LDS")
    assert info.window_s == 1.0
    assert info.bands == ("delta", "theta", "alpha", "beta", "gamma")
    assert "not nats" in info.scale
    with pytest.raises(ConfigError, match="Did you mean 'de_LDS'"):
        corpus.read_features(trial, "de_LDs")


def test_a_folder_of_features_alone(layouts, tmp_path):
    folder = layouts.write_seed(tmp_path / "SEED", features=True, signals=False)
    corpus = af.open_corpus("SEED", folder)
    assert corpus.form == "features"
    assert len(corpus.trials) == 90
    assert corpus.trials["sfreq"].isna().all()
    trial = corpus.trials.iloc[1]
    assert corpus.read_features(trial, "psd_LDS").shape[0] == trial["duration_s"]
    with pytest.raises(ConfigError, match="holds features, no signals"):
        corpus.read(trial)
    with pytest.raises(ConfigError, match="holds features, no signals"):
        next(corpus.iter_trials())
    assert corpus.check().usable


def test_features_of_four_seconds_have_their_own_names(layouts, tmp_path):
    folder = layouts.write_seed(tmp_path / "SEED", features=True)
    shutil.copytree(
        folder / "SEED_EEG" / "ExtractedFeatures_1s", folder / "SEED_EEG" / "ExtractedFeatures_4s"
    )
    corpus = af.open_corpus("SEED", folder)
    assert corpus.feature_info("de_LDS").window_s == 1.0
    assert corpus.feature_info("de_LDS@4s").window_s == 4.0
    trial = corpus.trials.iloc[0]
    assert corpus.read_features(trial, "de_LDS@4s").shape == (2, 62, 5)


def test_reading_one_trial_decodes_one_variable(folder, monkeypatch):
    from affectrum.recordings import mat

    decoded = []
    body = mat.MatFile._body
    monkeypatch.setattr(
        mat.MatFile, "_body", lambda self, name: decoded.append(name) or body(self, name)
    )
    corpus = af.open_corpus("SEED", folder)
    assert decoded == ["label"]
    decoded.clear()
    corpus.read(corpus.trials.iloc[4])
    assert decoded == ["djc_eeg5"]
    decoded.clear()
    list(corpus.iter_trials(corpus.trials.iloc[:15]))
    assert decoded == [f"djc_eeg{n}" for n in range(1, 16)]


def test_version_7_3_copies_are_read(folder, layouts):
    import h5py

    path = signals(folder) / "1_20131027.mat"
    content = {k: v for k, v in loadmat(path).items() if "_eeg" in k}
    with h5py.File(path, "w") as file:
        for name, array in content.items():
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    corpus = af.open_corpus("SEED", folder)
    for trial, x in corpus.iter_trials(corpus.trials.iloc[:15]):
        layouts.verify_code(trial, x)
