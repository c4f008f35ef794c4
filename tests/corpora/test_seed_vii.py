"""SEED-VII's traps, each its own test."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import affectrum as af
from affectrum.errors import ConfigError, FileFormatError, FolderError

hand = sys.modules["corpora_layouts_seed_vii"]


@pytest.fixture
def folder(copied):
    return copied("SEED-VII", "preprocessed")


@pytest.fixture
def raw(tmp_path):
    return hand.write_raw(tmp_path / "SEED-VII", subjects=(1,), sessions=(1,))


def found(folder, level, **options):
    report = af.corpora.check_folder("SEED-VII", folder, **options)
    return [str(problem) for problem in report.of_level(level)]


# one file for four sessions


def test_variable_n_is_trial_n_of_four_times_twenty(folder):
    corpus = af.open_corpus("SEED-VII", folder)
    trials = corpus.trials
    assert len(trials) == 160
    words = [word for session in hand.WORDS for word in session]
    for _, part in trials.groupby("subject"):
        assert part["key"].tolist() == [str(n) for n in range(1, 81)]
        assert part["clip"].tolist() == [f"SEED-VII/{n:02d}" for n in range(1, 81)]
        assert part["session"].tolist() == [1] * 20 + [2] * 20 + [3] * 20 + [4] * 20
        assert part["emotion"].tolist() == words
    assert trials["film"].isna().all()
    assert trials["rating_induction"].isna().all()  # no save_info here


def test_reading_one_trial_decodes_that_trial(folder, monkeypatch):
    from affectrum.recordings import mat

    corpus = af.open_corpus("SEED-VII", folder)
    trial = corpus.trials.iloc[50]
    read = []
    original = mat.MatFile.read
    monkeypatch.setattr(
        mat.MatFile, "read", lambda self, name: read.append(name) or original(self, name)
    )
    corpus.read(trial)
    assert read == ["51"]


def test_trials_that_are_no_whole_seconds_are_suspicious(folder):
    path = folder / "EEG_preprocessed" / "2.mat"
    variables = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    variables["7"] = variables["7"][:, :-13]
    savemat(path, variables)
    (folder / "SIMULATED.txt").unlink()
    assert any("1 trials are no whole seconds long (7" in text for text in found(folder, "warning"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"81": np.ones((62, 400))}, "variable 81: SEED-VII has 80 videos"),
        ({"3": np.ones((400, 62))}, "channels and samples are swapped"),
        ({"3": np.ones((61, 400))}, "variable 3 is double of shape"),
        ({"3": np.ones((62, 100))}, "shorter than a second"),
    ],
)
def test_variables_of_another_shape_are_explained(folder, change, message):
    savemat(folder / "EEG_preprocessed" / "1.mat", {"1": np.ones((62, 400)), **change})
    with pytest.raises(FolderError, match=message):
        af.open_corpus("SEED-VII", folder)


def test_files_of_strangers_are_explained(folder):
    savemat(folder / "EEG_preprocessed" / "21.mat", {"1": np.ones((62, 400))})
    with pytest.raises(FolderError, match=r"21.mat: SEED-VII has 20 subjects"):
        af.open_corpus("SEED-VII", folder)
    (folder / "EEG_preprocessed" / "21.mat").unlink()
    savemat(folder / "EEG_preprocessed" / "2.mat", {"djc_eeg1": np.ones((62, 400))})
    with pytest.raises(FolderError, match="holds no variables 1, 2 ... 80; it holds djc_eeg1"):
        af.open_corpus("SEED-VII", folder)


# features


def test_features_have_another_order_of_axes(folder):
    hand.write_features(folder)
    corpus = af.open_corpus("SEED-VII", folder)
    assert corpus.feature_names == ("de", "de_LDS", "psd")
    for position in (0, 79, 100):
        trial = corpus.trials.iloc[position]
        video = int(trial["key"])
        for kind, name in enumerate(("psd", "de", "de_LDS")):
            x = corpus.read_features(trial, name)
            assert x.shape == (1 + video % 3, 62, 5)
            window, electrode, band = np.indices(x.shape)
            expected = video * 1e6 + electrode * 1e4 + window * 1e2 + band * 10 + kind
            np.testing.assert_allclose(x, expected + trial["subject"] / 100)
    assert corpus.feature_info("de_LDS").window_s == 4.0
    assert "log2(100 * psd)" in corpus.feature_info("de").scale
    assert corpus.feature_info("psd").scale != corpus.feature_info("de").scale
    assert corpus.feature_info("psd").bands == ("delta", "theta", "alpha", "beta", "gamma")


def test_a_folder_of_features_alone(tmp_path):
    folder = hand.write_features(tmp_path / "SEED-VII", subjects=(3,))
    corpus = af.open_corpus("SEED-VII", folder)
    assert corpus.form == "features"
    assert corpus.trials["duration_s"].tolist()[:4] == [8.0, 12.0, 4.0, 8.0]
    assert corpus.trials["sfreq"].isna().all()
    assert corpus.check(deep=True).usable
    with pytest.raises(ConfigError, match="holds features, no signals"):
        corpus.read(corpus.trials.iloc[0])


def test_features_with_the_axes_of_seed_are_refused(tmp_path):
    folder = hand.write_features(tmp_path / "SEED-VII", subjects=(3,))
    savemat(folder / "EEG_features" / "3.mat", {"de_1": np.ones((62, 7, 5))})
    with pytest.raises(FolderError, match=r"expected \(windows, 5, 62\).*axes stand otherwise"):
        af.open_corpus("SEED-VII", folder)


def test_features_that_do_not_belong_together(tmp_path):
    folder = hand.write_features(tmp_path / "SEED-VII", subjects=(3,))
    features = {"de_1": np.ones((7, 5, 62)), "psd_1": np.ones((6, 5, 62))}
    savemat(folder / "EEG_features" / "3.mat", features)
    with pytest.raises(FolderError, match="video 1 differ in their number of windows"):
        af.open_corpus("SEED-VII", folder)
    features["psd_1"] = features["de_1"]
    savemat(folder / "EEG_features" / "3.mat", features)
    assert any("video 1 lacks the features de_LDS" in text for text in found(folder, "warning"))


def test_renamed_folders_are_known_by_their_content(folder, raw):
    hand.write_features(folder)
    for form, place in (("preprocessed", folder), ("features", folder), ("raw", raw)):
        name = {"raw": "EEG_raw"}.get(form, f"EEG_{form}")
        renamed = (place / name).rename(place / f"my {form} data")
        assert af.open_corpus("SEED-VII", renamed).form == form
    # eye features are called alike
    for path in (folder / "my features data").iterdir():
        savemat(path, {str(n): np.ones((20, 33)) for n in range(1, 81)})
    assert "SEED-VII" not in af.corpora.recognise(folder / "my features data")


def test_the_raw_recordings_of_seed_v_are_not_ours(raw):
    place = raw / "EEG_raw"
    (place / "1_20221001_1.cnt").rename(place / "1_1_20221001.cnt")
    assert "SEED-VII" not in af.corpora.recognise(raw)


# raw recordings


def test_electrodes_are_found_by_name_between_others(raw):
    assert hand.raw_names().index("M1") == 32
    corpus = af.open_corpus("SEED-VII", raw)
    assert len(corpus.trials) == 20
    for _, trial in corpus.trials.iterrows():
        hand.verify_raw(trial, corpus.read(trial))


def test_the_two_recordings_with_wrong_triggers_are_cut_by_save_info(tmp_path):
    folder = hand.write_raw(tmp_path / "a", subjects=(14,), sessions=(1,))
    hand.write_raw(folder, subjects=(9,), sessions=(3,))
    names = sorted(path.name for path in (folder / "EEG_raw").iterdir())
    assert names == ["14_20221015_1.cnt", "9_20221111_3.cnt"]
    corpus = af.open_corpus("SEED-VII", folder)
    assert len(corpus.trials) == 40
    assert corpus.trials["onset_s"].tolist() == [2.0 * row - 1 for row in range(1, 21)] * 2
    for trial, x in corpus.iter_trials():
        hand.verify_raw(trial, x)
    notes = found(folder, "note")
    assert sum("own triggers are known to be wrong; it was cut by" in text for text in notes) == 2


@pytest.mark.parametrize("damage", ["missing", "header", "short", "order", "codes", "binary"])
def test_without_save_info_they_are_left_out_never_cut_by_their_triggers(tmp_path, damage):
    folder = hand.write_raw(tmp_path / "a", subjects=(1, 14), sessions=(1,))
    path = folder / "save_info" / "14_20221015_1_trigger_info.csv"
    lines = path.read_text().splitlines()
    if damage == "missing":
        path.unlink()
    elif damage == "header":
        path.write_text("\n".join(["trigger,time", *lines]))
    elif damage == "short":
        path.write_text("\n".join(lines[:-1]))
    elif damage == "order":
        path.write_text("\n".join([lines[2], lines[1], lines[0], *lines[3:]]))
    elif damage == "codes":
        path.write_text("\n".join(f"1{line[1:]}" for line in lines))
    else:
        path.write_bytes(b"\xff\xfe\x00" * 50)
    corpus = af.open_corpus("SEED-VII", folder)
    assert corpus.trials["subject"].unique().tolist() == [1]
    warnings = found(folder, "warning")
    assert any("its trials are left out" in text for text in warnings)
    assert damage == "missing" or any("can't be used" in text for text in warnings)
    pairs = [(2 * row - 1, 2 * row) for row in range(1, 21)]
    told = af.open_corpus("SEED-VII", folder, options={"times": {"14_20221015_1": pairs}})
    assert len(told.trials) == 40
    for trial, x in told.iter_trials():
        hand.verify_raw(trial, x)


def test_triggers_that_make_no_trials_are_refused_until_times_are_told(raw):
    path = raw / "EEG_raw" / "1_20221001_1.cnt"
    content = path.read_bytes()
    path.write_bytes(content[:-8])  # the last trigger
    with pytest.raises(FolderError, match="table of events is damaged"):
        af.open_corpus("SEED-VII", raw)
    events = bytearray(content)
    table = len(content) - 40 * 8
    events[table : table + 2] = b"\7\0"
    path.write_bytes(events)
    with pytest.raises(FolderError, match=r"codes do not go 1, 2, 1, 2 .*option 'times'"):
        af.open_corpus("SEED-VII", raw)
    pairs = [(2 * row - 1, 2 * row) for row in range(1, 21)]
    corpus = af.open_corpus("SEED-VII", raw, options={"times": {"1_20221001_1": pairs}})
    hand.verify_raw(corpus.trials.iloc[3], corpus.read(corpus.trials.iloc[3]))


def test_times_that_make_no_sense_are_refused(raw):
    pairs = [(2 * row - 1, 2 * row) for row in range(1, 21)]
    for wrong in (pairs[:-1], pairs[::-1], [(5, 4), *pairs[1:]], [(-1, 2), *pairs[1:]]):
        with pytest.raises(ConfigError, match="SEED-VII: times"):
            af.open_corpus("SEED-VII", raw, options={"times": {"1_20221001_1": wrong}})
    beyond = [*pairs[:-1], (39, 300)]
    with pytest.raises(FolderError, match=r"trial 20 from 39.000 s to 300.000 s does not lie"):
        af.open_corpus("SEED-VII", raw, options={"times": {"1_20221001_1": beyond}})
    corpus = af.open_corpus("SEED-VII", raw, options={"times": {"1_20221001_1.cnt": pairs}})
    warnings = [str(problem) for problem in corpus.check().of_level("warning")]
    assert any("there is no 1_20221001_1.cnt.cnt" in text for text in warnings)


def test_triggers_and_save_info_that_disagree_are_suspicious(raw):
    path = raw / "save_info" / "1_20221001_1_trigger_info.csv"
    assert not any("apart" in text for text in found(raw, "warning"))
    lines = path.read_text().splitlines()
    lines[5] = lines[5][:-2] + "59"  # the end of the third trial
    path.write_text("\n".join(lines))
    texts = found(raw, "warning")
    assert any("can't be used: its triggers are not in the order" in text for text in texts)
    hand.write_tables(raw, 1, 1)
    lines = path.read_text().splitlines()
    lines[5] += ".900"
    path.write_text("\n".join(lines))
    assert any("0.9 s apart (first in trial 3)" in text for text in found(raw, "warning"))


def test_missing_electrodes_and_other_recordings_are_explained(raw):
    path = raw / "EEG_raw" / "1_20221001_1.cnt"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"FCZ\0", b"XYZ\0", 1))
    with pytest.raises(FolderError, match="lacks the electrodes FCz"):
        af.open_corpus("SEED-VII", raw)
    path.write_bytes(content)
    (path.parent / "21_20221001_1.cnt").write_bytes(content)
    with pytest.raises(FolderError, match="20 subjects with 4 sessions"):
        af.open_corpus("SEED-VII", raw)
    (path.parent / "21_20221001_1.cnt").rename(path.parent / "1_20221002_1.cnt")
    with pytest.raises(FolderError, match="two recordings of subject 1, session 1"):
        af.open_corpus("SEED-VII", raw)


def test_sessions_out_of_date_order_are_suspicious(tmp_path):
    folder = hand.write_raw(tmp_path / "a", subjects=(1,), sessions=(1, 2))
    assert not any("is dated" in text for text in found(folder, "warning"))
    place = folder / "EEG_raw"
    (place / "1_20221001_1.cnt").rename(place / "1_20221009_1.cnt")
    assert any("session 2 is dated 20221002, not after" in t for t in found(folder, "warning"))
    assert set(af.open_corpus("SEED-VII", folder).trials["session"]) == {1, 2}


def test_a_rate_that_is_not_published_is_suspicious(raw):
    assert any("sampled at 20 Hz; 1000 is published" in text for text in found(raw, "warning"))


# self-reports and labels


def test_self_reports_are_read_where_they_are_recognised(raw, folder):
    trials = af.open_corpus("SEED-VII", raw).trials
    expected = [hand.self_report(1, 1, row) for row in range(1, 21)]
    assert trials["rating_induction"].tolist() == expected
    # beside preprocessed files too
    (raw / "save_info").rename(folder / "save_info")
    trials = af.open_corpus("SEED-VII", folder).trials
    assert trials["rating_induction"].tolist()[:20] == expected
    assert trials["rating_induction"][20:].isna().all()


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        (r"1,D:\stimuli\1.mp4,0.5", "note", "self-reports were not read"),
        (r"1,D:\stimuli\happy\1.mp4,5", "note", "self-reports were not read"),
        (r"1,D:\stimuli\fear\1.mp4,0.5", "warning", "not those of session 1"),
    ],
)
def test_self_reports_of_another_layout_are_not_guessed(raw, line, level, message):
    path = raw / "save_info" / "1_20221001_1_save_info.csv"
    path.write_text("\n".join([line, *path.read_text().splitlines()[1:]]))
    assert any(message in text for text in found(raw, level))
    assert af.open_corpus("SEED-VII", raw).trials["rating_induction"].isna().all()


def test_the_list_of_labels_is_compared_without_its_rows_of_numbers(folder):
    path = folder / "emotion_label_and_stimuli_order.xlsx"
    assert any("missing; the labels come from the catalogue" in t for t in found(folder, "note"))
    hand.write_label_list(path)
    assert not any("emotion_label" in text for text in found(folder, "note"))
    changed = [list(session) for session in hand.WORDS]
    changed[2][4] = "sad"
    hand.write_label_list(path, changed)
    with pytest.raises(FolderError, match=r"session 3: its words \['happy', 'surprise'"):
        af.open_corpus("SEED-VII", folder)
    changed[2][4] = "bored"
    hand.write_label_list(path, changed)
    assert any("among them 'bored'" in text for text in found(folder, "note"))
    path.write_bytes(b"PK\x03\x04 no workbook")
    assert any("was not compared" in text for text in found(folder, "note"))
    assert len(af.open_corpus("SEED-VII", folder).trials) == 160


# continuous labels


def test_continuous_labels_of_the_known_layout(folder):
    hand.write_continuous(folder, 1, points=lambda video: 3)
    corpus = af.open_corpus("SEED-VII", folder)
    label = corpus.continuous_labels(corpus.trials.iloc[41])
    np.testing.assert_allclose(label.values, np.arange(1, 4) / 1000 + 0.42)
    assert label.step_s is None  # three points in a trial of a second or two
    with pytest.raises(FileFormatError, match=r"no continuous_labels/2.mat \(it holds 1.mat\)"):
        corpus.continuous_labels(corpus.trials.iloc[100])
    with pytest.raises(ConfigError):
        corpus.continuous_labels({"file": "x", "key": "1"})


def test_one_label_per_window_of_the_features(tmp_path):
    folder = hand.write_features(tmp_path / "SEED-VII", subjects=(1,))
    hand.write_continuous(folder, 1, points=lambda video: 1 + video % 3)
    corpus = af.open_corpus("SEED-VII", folder)
    trial = corpus.trials.iloc[10]
    label = corpus.continuous_labels(trial)
    assert label.step_s == 4.0
    assert len(label.values) == len(corpus.read_features(trial, "de"))


def test_continuous_labels_of_another_layout_are_listed_and_refused(folder):
    corpus = af.open_corpus("SEED-VII", folder)
    trial = corpus.trials.iloc[0]
    with pytest.raises(FileFormatError, match="there is no such folder"):
        corpus.continuous_labels(trial)
    path = hand.write_continuous(folder, 1)
    whole = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    for variables, message in (
        ({"label": np.ones((80, 3))}, "expected the variables 1 to 80, found label"),
        (whole | {"7": np.ones((3, 3))}, "variable 7 is double of shape"),
        (whole | {"81": np.ones((1, 3))}, "expected the variables 1 to 80"),
        (whole | {"1": np.full((1, 3), np.nan)}, "holds NaN"),
    ):
        savemat(path, variables)
        corpus = af.open_corpus("SEED-VII", folder)
        with pytest.raises(FileFormatError, match=message):
            corpus.continuous_labels(trial)
        if "NaN" not in message:
            assert any("continuous labels can't be read" in t for t in found(folder, "note"))
    path.rename(path.with_name("subject one.mat"))
    assert any("but subject one.mat" in text for text in found(folder, "note"))
