"""FACED's traps, each its own test."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import affectrum as af
from affectrum.catalog import faced as catalogued
from affectrum.catalog.model import words
from affectrum.corpora import registry
from affectrum.corpora.faced_raw import video_spans
from affectrum.errors import ConfigError, FolderError


@pytest.fixture(scope="module")
def made():
    return sys.modules["corpora_layouts_tsinghua"]


@pytest.fixture
def folder(copied):
    return copied("FACED", "processed")


@pytest.fixture
def raw(copied):
    return copied("FACED", "raw")


def warnings_of(folder, **further):
    report = af.corpora.check_folder("FACED", folder, **further)
    return [str(problem) for problem in report.of_level("warning")]


# facts, retyped from the data set's description


def test_constants():
    emotions = words("anger disgust fear sadness neutral amusement inspiration joy tenderness")
    counts = [3, 3, 3, 3, 4, 3, 3, 3, 3]
    facts = catalogued.FACTS
    expected = [w for w, n in zip(emotions, counts, strict=True) for _ in range(n)]
    assert [clip.emotion for clip in facts.clips[0]] == expected
    assert facts.emotions == emotions
    assert [facts.clips[0][i].mean_ratings["valence"] for i in (0, 19, 27)] == [
        (2.00, 1.79),
        (5.23, 1.50),
        (4.62, 1.60),
    ]
    assert facts.clips[0][13].mean_ratings["arousal"] == (1.28, 1.56)
    assert facts.clips[0][21].film == "The Shawshank Redemption"
    assert facts.clips[0][24].series == "Harry Potter"
    assert len(catalogued.VIDEO_SECONDS) == 28
    assert catalogued.VIDEO_SECONDS[19] == 129.1
    assert sum(catalogued.raw_sfreq(s) == 1000 for s in range(123)) == 68
    assert len(catalogued.RAW_UNIT_UNKNOWN_SUBJECTS) == 33
    # how the vendor brings the first cohort's channels into the order of the second
    reorder = [*range(16), *range(18, 32), 17, 16]
    old = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
    found = [catalogued.RAW_COHORT_1[i] for i in reorder]
    assert [old.get(n, n) for n in found] == [*catalogued.ELECTRODES, "A2", "A1"]
    assert catalogued.RAW_COHORT_2[30:] == ("HEOR", "HEOL")


# preprocessed signals


def test_rows_are_videos_and_ratings_are_joined_by_the_videos_number(folder, made):
    trials = af.open_corpus("FACED", folder).trials
    for subject, part in trials.groupby("subject"):
        assert part["clip"].tolist() == [f"FACED/{row:02d}" for row in range(1, 29)]
        order = made.shown(subject)
        assert part["trial"].tolist() == [order.index(row) + 1 for row in range(1, 29)]
        columns = [f"rating_{name}" for name in made.SCORES]
        np.testing.assert_array_equal(part[columns].to_numpy(), made.scores(subject))
    assert trials["emotion"].tolist()[:4] == ["anger", "anger", "anger", "disgust"]
    assert trials["clip_valence"][0] == 2.0
    assert trials["clip_arousal"][0] == 4.39


def test_subject_1_is_sub000(folder):
    trials = af.open_corpus("FACED", folder).trials
    assert trials["file"].unique().tolist() == [
        "Processed_data/sub000.pkl",
        "Processed_data/sub001.pkl",
    ]
    assert trials["subject"].unique().tolist() == [1, 2]


def test_without_remarks_order_and_ratings_are_missing_not_guessed(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", remarks=False)
    trials = af.open_corpus("FACED", folder).trials
    assert trials["trial"].isna().all()
    assert trials["rating_valence"].isna().all()
    assert trials["emotion"].notna().all()
    assert any("After_remarks.mat" in w and "'trial'" in w for w in warnings_of(folder))


def test_remarks_of_one_subject_missing(folder):
    (folder / "Data" / "sub001" / "After_remarks.mat").unlink()
    trials = af.open_corpus("FACED", folder).trials
    assert trials[trials["subject"] == 2]["trial"].isna().all()
    assert trials[trials["subject"] == 1]["trial"].notna().all()
    assert any("sub001/After_remarks.mat" in w for w in warnings_of(folder))


def test_remarks_beside_the_named_folder_are_found(folder):
    trials = af.open_corpus("FACED", folder / "Processed_data").trials
    assert trials["trial"].notna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["vid"].__setitem__((3, 0), e["vid"][4, 0]), "'vid' does not count 1 to 28"),
        (lambda e: e["trial"].__setitem__((3, 0), np.array([[99.0]])), "'trial' does not count"),
        (lambda e: e["score"].__setitem__((0, 0), np.zeros((1, 11))), "does not hold 12 ratings"),
    ],
)
def test_remarks_that_can_not_be_joined_are_refused(folder, change, message):
    path = folder / "Data" / "sub000" / "After_remarks.mat"
    entries = loadmat(path)["After_remark"]
    change(entries)
    savemat(path, {"After_remark": entries})
    with pytest.raises(FolderError, match=message):
        af.open_corpus("FACED", folder)


def test_ratings_off_the_scale_are_missing(folder):
    path = folder / "Data" / "sub000" / "After_remarks.mat"
    entries = loadmat(path)["After_remark"]
    video = int(entries["vid"][5, 0].item())
    entries["score"][5, 0][0, 9] = 12.0
    savemat(path, {"After_remark": entries})
    trials = af.open_corpus("FACED", folder).trials
    assert np.isnan(trials["rating_valence"][video - 1])
    assert trials["rating_valence"].isna().sum() == 1
    assert any("1 ratings are missing or outside 0 to 7" in w for w in warnings_of(folder))


def test_the_ears_are_left_out_unless_asked_for(folder, layouts):
    corpus = af.open_corpus("FACED", folder)
    assert len(corpus.channels) == 30
    assert corpus.channels[-1] == "O2"
    with_ears = af.open_corpus("FACED", folder, options={"ears": True})
    assert with_ears.channels[-3:] == ("O2", "A2", "A1")
    x = with_ears.read(with_ears.trials.iloc[40])
    np.testing.assert_array_equal(layouts.decode(x)["channel"], np.arange(32))
    assert with_ears.trials["n_channels"].unique().tolist() == [32]
    assert any("HEOR and HEOL" in p.what for p in with_ears.check().of_level("note"))


def test_one_trial_is_read_without_the_others(folder, made, monkeypatch):
    from affectrum.recordings import pickles

    monkeypatch.setattr(pickles, "load", None)
    path = folder / "Processed_data" / "sub000.pkl"
    data = pickle.loads(path.read_bytes())
    found = pickles.view(path)
    assert not found.flags.owndata
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, data)
    corpus = af.open_corpus("FACED", folder)
    x = corpus.read(corpus.trials.iloc[3])
    np.testing.assert_array_equal(x, data[3, :30] * 1e-6)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f8"])
@pytest.mark.parametrize("protocol", [2, 3, 5])
def test_every_way_to_pickle_the_array(folder, dtype, protocol):
    path = folder / "Processed_data" / "sub001.pkl"
    data = pickle.loads(path.read_bytes()).astype(dtype)
    path.write_bytes(pickle.dumps(np.asfortranarray(data), protocol=protocol))
    corpus = af.open_corpus("FACED", folder)
    trial = corpus.trials.iloc[28 + 11]
    np.testing.assert_array_equal(corpus.read(trial), data[11, :30].astype(float) * 1e-6)


def test_volts_are_told_from_microvolts_by_amplitude(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", content="eeg")
    before = af.open_corpus("FACED", folder)
    expected = before.read(before.trials.iloc[30])
    path = folder / "Processed_data" / "sub001.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) * 1e-6))
    corpus = af.open_corpus("FACED", folder)
    np.testing.assert_allclose(corpus.read(corpus.trials.iloc[30]), expected)
    assert any("sub001.pkl: its numbers are volts" in w for w in warnings_of(folder))
    told = af.open_corpus("FACED", folder, options={"unit": "uV"})
    np.testing.assert_allclose(told.read(told.trials.iloc[30]), expected * 1e-6)


def broken(made, folder, factor):
    made.write_faced(folder, subjects=(1, 24), content="eeg")
    path = folder / "Processed_data" / "sub023.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) * factor))
    return folder


def test_sub023_is_left_out_and_said_so(made, tmp_path):
    folder = broken(made, tmp_path / "FACED", 1300.0)
    corpus = af.open_corpus("FACED", folder)
    assert corpus.trials["subject"].unique().tolist() == [1]
    report = corpus.check()
    assert report.usable
    assert any(
        "sub023.pkl" in str(p) and "known as broken" in p.what and "keep_broken" in p.fix
        for p in report.of_level("warning")
    )
    kept = af.open_corpus("FACED", folder, options={"keep_broken": True})
    assert kept.trials["subject"].unique().tolist() == [1, 24]
    assert not kept.check().usable  # no EEG varies like that


def test_a_mended_sub023_is_read(made, tmp_path):
    folder = broken(made, tmp_path / "FACED", 1.0)
    corpus = af.open_corpus("FACED", folder)
    assert corpus.trials["subject"].unique().tolist() == [1, 24]
    notes = [str(p) for p in corpus.check().of_level("note")]
    assert any("sub023.pkl: reported as broken" in note for note in notes)


def test_another_subject_with_such_numbers_is_an_error(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", content="eeg")
    path = folder / "Processed_data" / "sub001.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) * 3000))
    report = af.corpora.check_folder("FACED", folder)
    assert any("sub001.pkl" in str(p) and "no EEG does" in p.what for p in report.of_level("error"))


@pytest.mark.parametrize(
    "shape", [(28, 32), (28, 30, 500), (27, 32, 500), (32, 28, 500), (28, 32, 3)]
)
def test_arrays_of_another_shape_are_refused(folder, shape):
    path = folder / "Processed_data" / "sub000.pkl"
    path.write_bytes(pickle.dumps(np.zeros(shape)))
    with pytest.raises(FolderError, match=r"sub000\.pkl: holds an array of shape"):
        af.open_corpus("FACED", folder)


def test_a_pickle_of_something_else_is_refused(folder):
    path = folder / "Processed_data" / "sub000.pkl"
    path.write_bytes(pickle.dumps({"data": np.zeros((28, 32, 500))}))
    with pytest.raises(FolderError, match="expected one array, found dict"):
        af.open_corpus("FACED", folder)


# features


def test_features_have_the_doubled_suffix_and_their_own_axes(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", features=True)
    assert (folder / "EEG_Features" / "DE" / "sub000.pkl.pkl").is_file()
    corpus = af.open_corpus("FACED", folder)  # processed is preferred, features come with it
    assert corpus.form == "processed"
    assert corpus.feature_names == ("DE", "PSD")
    info = corpus.feature_info("DE")
    assert info.bands == ("delta", "theta", "alpha", "beta", "gamma")
    assert info.window_s == 1.0
    assert info.scale.startswith("nats")
    assert corpus.feature_info("PSD").scale != info.scale
    for _, trial in corpus.trials.iloc[[0, 20, 47]].iterrows():
        for name in corpus.feature_names:
            x = corpus.read_features(trial, name)
            assert x.shape == (3, 30, 5)
            made.verify_features(trial, name, x)


def test_features_of_raw_trials_are_those_of_the_video(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED")
    made.write_faced(folder, features=True, signals=False)
    corpus = af.open_corpus("FACED", folder, form="raw")
    trial = corpus.trials.iloc[2]
    video = int(trial["clip"][-2:])
    assert video != trial["row"]
    made.verify_features({**trial, "row": video}, "DE", corpus.read_features(trial, "DE"))


def test_a_folder_of_one_feature_is_enough(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", features=True, signals=False)
    corpus = af.open_corpus("FACED", folder / "EEG_Features" / "PSD")
    assert corpus.form == "features"
    assert corpus.feature_names == ("PSD",)
    made.verify_features(
        corpus.trials.iloc[5], "PSD", corpus.read_features(corpus.trials.iloc[5], "PSD")
    )


# original recordings


def test_raw_trials_are_in_the_order_of_presentation(raw, made):
    corpus = af.open_corpus("FACED", raw, form="raw")
    for subject, part in corpus.trials.groupby("subject"):
        order = made.shown(subject)
        assert part["row"].tolist() == part["trial"].tolist() == list(range(1, 29))
        assert part["clip"].tolist() == [f"FACED/{video:02d}" for video in order]
        expected = made.scores(subject)[np.array(order) - 1]
        np.testing.assert_array_equal(part["rating_arousal"], expected[:, 8])
        np.testing.assert_array_equal(part["rating_valence"], expected[:, 9])


def test_both_cohorts_by_name_and_both_rates(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED", subjects=(1, 62), sfreq=250)
    made.write_faced_raw(folder, subjects=(62,), sfreq=1000)
    corpus = af.open_corpus("FACED", folder, form="raw")
    assert corpus.trials.groupby("subject")["sfreq"].first().tolist() == [250.0, 1000.0]
    for trial, x in corpus.iter_trials(corpus.trials.iloc[[0, 27, 28, 55]]):
        made.verify_faced_raw(trial, x)
    # the two orders differ
    with_ears = af.open_corpus("FACED", folder, form="raw", options={"ears": True})
    for trial, x in with_ears.iter_trials(with_ears.trials.iloc[[3, 33]]):
        assert x.shape[0] == 32
        made.verify_faced_raw(trial, x)


def test_raw_units_are_measured_where_the_header_does_not_tell(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED", content="eeg", unit="?V")
    corpus = af.open_corpus("FACED", folder, form="raw")
    x = corpus.read(corpus.trials.iloc[0])
    assert 1.5e-5 < x.std() < 2.5e-5
    notes = [str(p) for p in corpus.check().of_level("note")]
    assert any("and 1 more" in n and "measured: uV" in n for n in notes)
    told = af.open_corpus("FACED", folder, form="raw", options={"unit": "nV"})
    np.testing.assert_allclose(told.read(told.trials.iloc[0]), x * 1e-3)


def test_raw_unit_that_can_not_be_told_is_asked_for(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED", unit="n/a")  # constants are no EEG
    data = folder / "Data" / "sub000" / "data.bdf"
    content = bytearray(data.read_bytes())
    content[256 * 33 :] = bytes(len(content) - 256 * 33)
    data.write_bytes(content)
    with pytest.raises(FolderError, match="Give the option 'unit'"):
        af.open_corpus("FACED", folder, form="raw")
    corpus = af.open_corpus("FACED", folder, form="raw", options={"unit": "uV"})
    made.verify_faced_raw(corpus.trials.iloc[40], corpus.read(corpus.trials.iloc[40]))


def test_a_header_that_calls_microvolts_volts_is_corrected(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED", content="eeg", unit="V")
    corpus = af.open_corpus("FACED", folder, form="raw")
    assert 1.5e-5 < corpus.read(corpus.trials.iloc[0]).std() < 2.5e-5
    found = warnings_of(folder, form="raw")
    assert any("stated as V, but the numbers vary like EEG in uV" in w for w in found)


def test_recording_info_is_compared(raw):
    path = raw / "Recording_info.csv"
    assert path.read_text().startswith("sub,Gender,Age,Cohort ,")  # the blank is the vendor's
    path.write_text(path.read_text().replace("250,uV", "1000,uV", 1))
    found = warnings_of(raw, form="raw")
    assert any("sampled at 250 Hz; Recording_info.csv says 1000" in w for w in found)
    path.write_text("sub," + "x" * 200_000)
    assert any("can't be read" in w for w in warnings_of(raw, form="raw"))
    path.write_text("who,what\n1,2\n")
    assert any(
        "lacks the columns sub, sample_rate, unit" in w for w in warnings_of(raw, form="raw")
    )


def test_order_of_events_and_remarks_must_agree(raw, made):
    made.write_remarks(raw / "Data" / "sub000" / "After_remarks.mat", 2)
    with pytest.raises(FolderError, match=r"its order of videos is not that of After_remarks"):
        af.open_corpus("FACED", raw, form="raw")


def test_raw_without_remarks_still_knows_the_order(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED", remarks=False)
    trials = af.open_corpus("FACED", folder, form="raw").trials
    assert any("the ratings are unknown" in w for w in warnings_of(folder, form="raw"))
    assert trials["trial"].tolist() == trials["row"].tolist()
    assert trials["rating_valence"].isna().all()


def test_events_in_neither_form_are_refused(raw, made, layouts):
    path = raw / "Data" / "sub000" / "evt.bdf"
    layouts.write_bdf(path, ["X"], np.zeros((1, 500), int), 250)
    with pytest.raises(FolderError, match="no channel of annotations"):
        af.open_corpus("FACED", raw, form="raw")
    path.unlink()
    with pytest.raises(FolderError, match=r"evt\.bdf: when the videos were shown can't be read"):
        af.open_corpus("FACED", raw, form="raw")


def test_events_on_a_status_channel_are_read(raw, made, layouts):
    before = af.open_corpus("FACED", raw, form="raw").trials
    events = [(t, int(c)) for t, c in made.session_events(1, 1) if c.isdigit()]
    codes = np.zeros((1, 28 * 3 * 250), int)
    for onset, code in events:
        start = round(onset * 250)
        codes[0, start : start + 10] = code
    layouts.write_bdf(raw / "Data" / "sub000" / "evt.bdf", ["Status"], codes, 250)
    after = af.open_corpus("FACED", raw, form="raw").trials
    assert after.equals(before)


def test_events_that_fit_nowhere():
    good = [(0.0, 100), (1.0, 7), (2.0, 101), (9.0, 102), (9.5, 202)]
    assert video_spans(good) == ([(7, 2.0, 9.0)], [])
    spans, complaints = video_spans([(0.5, 101), *good])
    assert spans == [(7, 2.0, 9.0)]
    assert complaints == ["a start at 0.5 s belongs to no video"]
    spans, complaints = video_spans([(1.0, 7), (2.0, 101), (3.0, 101), (9.0, 102)])
    assert spans == [(7, 3.0, 9.0)]
    assert complaints == ["video 7 has two starts, the later was taken"]
    spans, complaints = video_spans([(1.0, 7), (2.0, 101), (3.0, 8), (4.0, 101), (9.0, 102)])
    assert spans == [(8, 4.0, 9.0)]
    assert complaints == ["video 7 has no end"]
    assert video_spans([(2.0, 101), (3.0, 102)])[0] == []


def test_stray_events_are_told_and_trials_stay(raw, made):
    events = [(0.3, "101"), *made.session_events(1, 1)]
    made.write_events(raw / "Data" / "sub000" / "evt.bdf", events, 28 * 3)
    corpus = af.open_corpus("FACED", raw, form="raw")
    assert len(corpus.trials) == 56
    assert any("belongs to no video" in w for w in warnings_of(raw, form="raw"))


def test_a_video_that_comes_twice_is_refused(raw, made):
    events = [(t, "5" if c == "6" else c) for t, c in made.session_events(1, 1)]
    made.write_events(raw / "Data" / "sub000" / "evt.bdf", events, 28 * 3)
    with pytest.raises(FolderError, match="shows the videos 5 more than once"):
        af.open_corpus("FACED", raw, form="raw")


def test_real_recordings_are_compared_with_the_published_lengths(made, tmp_path):
    folder = made.write_faced_raw(tmp_path / "FACED", subjects=(37,), simulated=False)
    report = af.corpora.check_folder("FACED", folder, form="raw")
    assert any("lasts 1.0 s instead of" in p.what for p in report.of_level("warning"))
    assert any("longer version of clip 22" in p.what for p in report.of_level("note"))


def test_missing_electrodes_and_recordings(raw, made, layouts):
    names = ["X1" if name == "Fz" else name for name in made.COHORT_1]
    layouts.write_bdf(
        raw / "Data" / "sub000" / "data.bdf", names, np.ones((32, 28 * 3 * 250), int), 250
    )
    with pytest.raises(FolderError, match="lacks the electrodes Fz"):
        af.open_corpus("FACED", raw, form="raw")
    (raw / "Data" / "sub000" / "data.bdf").unlink()
    assert af.open_corpus("FACED", raw, form="raw").trials["subject"].unique().tolist() == [2]
    assert any("sub000/data.bdf: missing" in w for w in warnings_of(raw, form="raw"))


def test_forms_and_options_are_named(folder, written):
    raw = written("FACED", "raw")
    assert registry.reader("FACED").find_forms(raw) == {"raw": raw / "Data"}
    assert set(registry.reader("FACED").find_forms(folder)) == {"processed"}
    with pytest.raises(ConfigError, match="no option 'ear'.*Did you mean 'ears'"):
        af.open_corpus("FACED", folder, options={"ear": True})


def test_a_second_file_and_a_stranger(folder):
    processed = folder / "Processed_data"
    (processed / "sub999.pkl").write_bytes((processed / "sub000.pkl").read_bytes())
    with pytest.raises(FolderError, match=r"sub999\.pkl: FACED has 123 subjects"):
        af.open_corpus("FACED", folder)


def test_two_files_of_a_subject_are_refused(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", features=True, signals=False)
    features = folder / "EEG_Features" / "DE"
    (features / "sub001.pkl").write_bytes((features / "sub001.pkl.pkl").read_bytes())
    with pytest.raises(FolderError, match="a second file of the subject"):
        af.open_corpus("FACED", folder)


def test_sub023s_features_are_named(made, tmp_path):
    folder = made.write_faced(tmp_path / "FACED", subjects=(24,), features=True, signals=False)
    assert any("sub023.pkl.pkl" in w and "known as broken" in w for w in warnings_of(folder))
