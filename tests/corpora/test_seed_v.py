"""SEED-V's traps, each its own test."""

from __future__ import annotations

import pickle
import shutil
import sys

import numpy as np
import pytest

import affectrum as af
from affectrum.corpora import registry
from affectrum.errors import ConfigError, FileFormatError, FolderError

WORDS = {0: "disgust", 1: "fear", 2: "sad", 3: "neutral", 4: "happy"}


@pytest.fixture
def made(layouts):
    return sys.modules["corpora_layouts_seed_v"]


@pytest.fixture
def folder(copied):
    return copied("SEED-V", "raw")


@pytest.fixture
def features(copied):
    return copied("SEED-V", "features")


def problems(folder, level, form="auto"):
    report = af.corpora.check_folder("SEED-V", folder, form=form)
    return [str(problem) for problem in report.of_level(level)]


# sets, sessions, labels ----------------------------------------------------------------------


@pytest.mark.parametrize("form", ["raw", "features"])
def test_the_number_is_the_set_and_the_date_the_order(form, copied):
    trials = af.open_corpus("SEED-V", copied("SEED-V", form), form=form).trials
    found = trials.groupby(["subject", "session"])["session_name"].unique()
    # subject 1 was recorded on 4, 10 and 8 August: sets 1, 3, 2
    assert [list(found[1, session]) for session in (1, 2, 3)] == [["set 1"], ["set 3"], ["set 2"]]
    assert [list(found[2, session]) for session in (1, 2, 3)] == [["set 1"], ["set 2"], ["set 3"]]


def test_labels_go_with_the_set_not_with_the_date(folder, made):
    trials = af.open_corpus("SEED-V", folder).trials
    for (_, name), part in trials.groupby(["subject", "session_name"]):
        number = int(name[-1])
        assert part["emotion"].tolist() == [WORDS[code] for code in made.LABELS[number - 1]]
        assert part["clip"].tolist() == [f"SEED-V/{number}-{row:02d}" for row in range(1, 16)]


def test_subjects_who_saw_set_2_first(made, tmp_path):
    folder = made.write_seed_v(tmp_path / "x", subjects=(11,), signals=False, features=True)
    trials = af.open_corpus("SEED-V", folder).trials
    order = trials.groupby("session")["session_name"].first().tolist()
    assert order == ["set 2", "set 1", "set 3"]
    assert any("another order than their numbers: 11" in text for text in problems(folder, "note"))


def test_a_missing_recording_does_not_shift_the_others(folder, made):
    (folder / "EEG_raw" / made.cnt_name(1, 1)).unlink()
    trials = af.open_corpus("SEED-V", folder).trials
    found = trials[trials["subject"] == 1].groupby("session")["session_name"].first()
    assert found.to_dict() == {2: "set 3", 3: "set 2"}
    assert any("subject 1 lacks session 1" in text for text in problems(folder, "warning"))


def test_recordings_of_other_dates_are_ordered_by_them(folder, made):
    raw = folder / "EEG_raw"
    for number, date in ((1, "20190103"), (2, "20190101"), (3, "20190102")):
        (raw / made.cnt_name(1, number)).rename(raw / f"1_{number}_{date}.cnt")
    corpus = af.open_corpus("SEED-V", folder)
    trials = corpus.trials[corpus.trials["subject"] == 1]
    order = trials.groupby("session")["session_name"].first().tolist()
    assert order == ["set 2", "set 3", "set 1"]
    made.verify_raw(trials.iloc[0], corpus.read(trials.iloc[0]))
    (raw / "1_3_20190102.cnt").unlink()
    assert any("one may be missing" in text for text in problems(folder, "warning"))


def test_two_recordings_of_one_set_are_refused(folder, made):
    raw = folder / "EEG_raw"
    shutil.copy(raw / made.cnt_name(1, 1), raw / "1_1_20190101.cnt")
    with pytest.raises(FolderError, match="second recording of set 1"):
        af.open_corpus("SEED-V", folder)


def test_two_recordings_of_one_date_are_told(folder, made):
    raw = folder / "EEG_raw"
    for number in (1, 2):
        (raw / made.cnt_name(1, number)).rename(raw / f"1_{number}_20190101.cnt")
    assert any("two recordings of one date" in text for text in problems(folder, "warning"))


# raw recordings ------------------------------------------------------------------------------


def test_electrodes_are_taken_by_name_and_each_has_its_calibration(folder, made):
    corpus = af.open_corpus("SEED-V", folder)
    assert corpus.trials["n_channels"].unique().tolist() == [62]
    for trial, x in corpus.iter_trials(corpus.trials.iloc[::11]):
        made.verify_raw(trial, x)


def test_recordings_without_an_electrode_are_refused(folder, made):
    names, steps = made.file_channels()
    names[names.index("CB2")] = "CB3"
    samples = made.recording(1, 1, made.times_of(1), "code")
    made.write_cnt_by_hand(folder / "EEG_raw" / made.cnt_name(1, 1), names, steps, samples)
    with pytest.raises(FolderError, match="lacks the electrodes CB2"):
        af.open_corpus("SEED-V", folder)


def test_cut_recordings_are_told_with_the_first_lost_trial(folder, made):
    names, steps = made.file_channels()
    samples = made.recording(1, 1, made.times_of(1), "code")[:, :9000]
    made.write_cnt_by_hand(folder / "EEG_raw" / made.cnt_name(1, 1), names, steps, samples)
    with pytest.raises(FolderError, match=r"lasts 9\.0 s, .* trials from 8 on are cut"):
        af.open_corpus("SEED-V", folder)


def test_resampled_recordings_are_read_with_a_warning(folder, made):
    names, steps = made.file_channels()
    samples = made.recording(1, 1, made.times_of(1), "code", sfreq=500)
    path = folder / "EEG_raw" / made.cnt_name(1, 1)
    made.write_cnt_by_hand(path, names, steps, samples, sfreq=500)
    corpus = af.open_corpus("SEED-V", folder)
    trial = corpus.trials.iloc[3]
    assert trial["sfreq"] == 500
    assert corpus.read(trial).shape == (62, round(trial["duration_s"] * 500))
    assert any("sampled at 500 Hz" in text for text in problems(folder, "warning"))


def test_the_recording_that_one_project_could_not_read_is_left_out(made, tmp_path):
    folder = made.write_seed_v(tmp_path / "x", subjects=(7,))
    broken = folder / "EEG_raw" / "7_1_20180411.cnt"
    broken.write_bytes(b"Version 3.0" + bytes(500))
    corpus = af.open_corpus("SEED-V", folder)
    assert sorted(corpus.trials["session_name"].unique()) == ["set 2", "set 3"]
    assert any(
        "7_1_20180411.cnt" in text and "One project reports" in text
        for text in problems(folder, "warning")
    )
    (folder / "EEG_raw" / made.cnt_name(7, 2)).write_bytes(b"Version 3.0" + bytes(500))
    with pytest.raises(FolderError, match="7_2_20180418"):
        af.open_corpus("SEED-V", folder)


def test_a_copy_that_is_ant_neuros_format_is_named(folder, made):
    path = folder / "EEG_raw" / made.cnt_name(1, 1)
    path.write_bytes(b"RIFF" + bytes(2000))
    with pytest.raises(FolderError, match="ANT Neuro"):
        af.open_corpus("SEED-V", folder)


# times of the clips --------------------------------------------------------------------------


def test_without_the_file_of_times_the_catalogues_are_used(made, tmp_path, monkeypatch):
    from affectrum.catalog import seed_v

    starts = tuple(tuple(a for a, _ in made.times_of(n)) for n in (1, 2, 3))
    ends = tuple(tuple(b for _, b in made.times_of(n)) for n in (1, 2, 3))
    monkeypatch.setattr(seed_v, "START_S", starts)
    monkeypatch.setattr(seed_v, "END_S", ends)
    folder = made.write_seed_v(tmp_path / "x", times=False)
    corpus = af.open_corpus("SEED-V", folder)
    made.verify_raw(corpus.trials.iloc[20], corpus.read(corpus.trials.iloc[20]))
    assert any("come from the catalogue" in text for text in problems(folder, "note"))


def test_times_of_a_real_folder_are_compared_with_the_published(made, tmp_path):
    folder = made.write_seed_v(tmp_path / "x", simulated=False)
    found = problems(folder, "warning")
    assert any("set 2: its times of trials 1, 2, 3" in text for text in found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {2: t[2][:14]}, "set 2: there are 14 intervals for 15 trials"),
        (lambda t: {1: t[1], 3: t[3]}, "has no times of set 2"),
        (lambda t: t | {1: t[1][1:] + t[1][:1]}, "trial 15 begins before trial 14 ends"),
        (lambda t: t | {3: [(b, a) for a, b in t[3]]}, "lasts less than a second"),
    ],
)
def test_impossible_times_are_refused(change, message, folder, made):
    times = {number: made.times_of(number) for number in (1, 2, 3)}
    made.write_times(folder / "trial_start_end_timestamp.txt", change(times))
    with pytest.raises(FolderError, match=message):
        af.open_corpus("SEED-V", folder)


def test_lists_of_times_of_different_lengths_are_refused(folder):
    path = folder / "trial_start_end_timestamp.txt"
    path.write_text(path.read_text().replace("end_second: [", "end_second: [1, "))
    with pytest.raises(FolderError, match="15 begins and 16 ends"):
        af.open_corpus("SEED-V", folder)


def test_times_may_stand_without_a_heading(folder, made):
    path = folder / "trial_start_end_timestamp.txt"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("Session")]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    corpus = af.open_corpus("SEED-V", folder)
    trial = corpus.trials.iloc[40]
    made.verify_raw(trial, corpus.read(trial))


# features ------------------------------------------------------------------------------------


def test_columns_run_electrode_by_electrode(features):
    corpus = af.open_corpus("SEED-V", features)
    trial = corpus.trials.iloc[4]
    x = corpus.read_features(trial, "de")
    with np.load(features / trial["file"]) as file:
        stored = pickle.loads(file["data"].item())[4]
    np.testing.assert_array_equal(x[:, 3, 2], stored[:, 3 * 5 + 2])


def test_features_say_window_bands_and_scale(features):
    info = af.open_corpus("SEED-V", features).feature_info("de")
    assert info.window_s == 4.0
    assert info.bands == ("delta", "theta", "alpha", "beta", "gamma")
    assert "no source states" in info.scale


def test_features_are_read_beside_raw_recordings(made, tmp_path):
    folder = made.write_seed_v(tmp_path / "x", features=True)
    corpus = af.open_corpus("SEED-V", folder)
    assert corpus.form == "raw"
    assert corpus.feature_names == ("de",)
    for _, trial in corpus.trials.iloc[[2, 18, 40]].iterrows():
        made.verify_features(trial, "de", corpus.read_features(trial, "de"))
    (folder / "EEG_DE_features" / "1_123.npz").unlink()
    with pytest.raises(FileFormatError, match="1_123.npz"):
        corpus.read_features(corpus.trials.iloc[0], "de")
    with pytest.raises(ConfigError, match="de"):
        corpus.read_features(trial, "psd")


def test_other_labels_than_the_published_are_refused(features, made):
    label = {k: np.full(made.n_windows_of(k), made.LABELS[k // 15][k % 15]) for k in range(45)}
    label[17] = label[17] + 1
    made.write_features(features / "EEG_DE_features" / "1_123.npz", 1, label=label)
    with pytest.raises(FolderError, match="the published label of set 2, trial 3 is 3"):
        af.open_corpus("SEED-V", features)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": {45: np.zeros((1, 310))}}, "numbered 0 to 44"),
        ({"data": {"a": np.zeros((1, 310))}}, "numbered 0 to 44"),
        ({"data": [np.zeros((1, 310))]}, "expected pickled dicts"),
        ({"data": {0: np.zeros((1, 62, 5))}}, r"shape \(1, 62, 5\)"),
        ({"data": {0: np.zeros((3, 33))}}, r"shape \(3, 33\)"),
        ({"data": {0: "x"}}, "no array of numbers"),
        ({"label": {0: np.array(["happy"])}}, "are no numbers"),
        ({"label": {0: np.array([np.nan])}}, "are no numbers"),
        ({"label": {}}, "the labels None"),
    ],
)
def test_other_contents_are_refused(changed, message, features, made):
    made.write_features(features / "EEG_DE_features" / "2_123.npz", 2, **changed)
    with pytest.raises(FolderError, match=message):
        af.open_corpus("SEED-V", features)


def test_missing_trials_are_told(features, made):
    data = {k: made.trial_features(1, k) for k in range(45) if k != 20}
    made.write_features(features / "EEG_DE_features" / "1_123.npz", 1, data=data)
    assert len(af.open_corpus("SEED-V", features).trials) == 89
    # set 2 is the third session of subject 1
    assert any("session 3: 14 of 15 trials; row 6" in t for t in problems(features, "warning"))


def test_numbers_of_windows_of_a_real_folder_are_compared(made, tmp_path):
    folder = made.write_seed_v(tmp_path / "x", signals=False, features=True, simulated=False)
    assert any("other numbers of windows" in text for text in problems(folder, "warning"))


def test_reading_one_trial_decodes_one_trial(features, monkeypatch):
    from affectrum.recordings import pickles

    corpus = af.open_corpus("SEED-V", features)
    asked = []
    real = pickles.load
    monkeypatch.setattr(
        pickles,
        "load",
        lambda source, names=None, **k: asked.append(names) or real(source, names, **k),
    )
    corpus.read_features(corpus.trials.iloc[7], "de")
    assert asked == [[7]]


def test_a_pickle_that_would_run_code_is_refused(features, monkeypatch):
    class Hostile:
        def __reduce__(self):
            return exec, ("import pytest; pytest.ran_code()",)

    ran = []
    monkeypatch.setattr(pytest, "ran_code", lambda: ran.append(1), raising=False)
    data = pickle.dumps({0: Hostile()})
    np.savez(features / "EEG_DE_features" / "1_123.npz", data=data, label=data)
    with pytest.raises(FolderError, match="not loaded"):
        af.open_corpus("SEED-V", features)
    assert not ran


# folders -------------------------------------------------------------------------------------


def test_eye_movements_under_the_same_names_are_no_eeg(features, made):
    eyes = features / "Eye_movement_features"
    data = {k: np.zeros((made.n_windows_of(k), 33)) for k in range(45)}
    made.write_features(eyes / "1_123.npz", 1, data=data)
    assert registry.reader("SEED-V").find_forms(eyes) == {}
    corpus = af.open_corpus("SEED-V", features)
    assert set(corpus.trials["file"]) == {f"EEG_DE_features/{s}_123.npz" for s in (1, 2)}


def test_renamed_folders_are_known_by_their_files(made, tmp_path):
    folder = made.write_seed_v(tmp_path / "x", features=True)
    shutil.copy(folder / "trial_start_end_timestamp.txt", folder / "EEG_raw")
    for name, form in (("EEG_raw", "raw"), ("EEG_DE_features", "features")):
        other = (folder / name).rename(tmp_path / f"my {form}")
        corpus = af.open_corpus("SEED-V", other)
        assert corpus.form == form
        assert len(corpus.trials) == 90


def test_seed_viis_recordings_are_not_taken_for_these(tmp_path):
    (tmp_path / "SEED-VII" / "EEG_raw").mkdir(parents=True)
    (tmp_path / "SEED-VII" / "EEG_raw" / "1_20221001_1.cnt").write_bytes(b"x")
    assert registry.reader("SEED-V").find_forms(tmp_path) == {}
    assert registry.reader("SEED-V").find_forms(tmp_path / "SEED-VII") == {}


def test_other_subjects_are_refused(folder, made):
    path = folder / "EEG_raw" / made.cnt_name(1, 1)
    path.rename(path.with_name("17_1_20180804.cnt"))
    with pytest.raises(FolderError, match="SEED-V has 16 subjects"):
        af.open_corpus("SEED-V", folder)
