"""MPED's traps, each its own test."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.io import savemat

import affectrum as af
from affectrum import affect
from affectrum.catalog import mped, seed
from affectrum.errors import ConfigError, FileFormatError, FolderError

# reference, section 13, retyped
LABEL30 = [-1, 1, 0, 3, 2, 4, 5, 6, 0, 1, 2, 5, 6, 3, 4]
LABEL30 += [-1, 0, 4, 5, 1, 1, 0, 6, 5, 3, 3, 2, 4, 2, 6]
SEVEN = ["joy", "funny", "anger", "fear", "disgust", "sad", "neutral"]
RAW = [None if row % 6 == 0 else SEVEN[row % 7] for row in range(34)]


@pytest.fixture(scope="module")
def own():
    return sys.modules["corpora_layouts_mped"]


@pytest.fixture(scope="module")
def raw(own, tmp_path_factory):
    """A folder that is only read."""
    return own.write_mped(tmp_path_factory.mktemp("x") / "MPED")


@pytest.fixture(scope="module")
def features(own, tmp_path_factory):
    """A folder that is only read."""
    return own.write_features(tmp_path_factory.mktemp("x") / "MPED")


def problems(folder, level, **options):
    report = af.corpora.check_folder("MPED", folder, options={"unit": "uV", **options})
    return [str(p) for p in report.of_level(level)]


def test_catalogue_against_the_reference():
    assert list(mped.LABELS) == LABEL30
    assert sum(code >= 0 for code in LABEL30) == 28
    assert mped.FACTS.electrodes == seed.ELECTRODES


# raw -------------------------------------------------------------------------------------------


def test_people_are_numbered_by_the_alphabet(raw, own):
    trials = af.open_corpus("MPED", raw, options={"unit": "uV"}).trials
    for subject, part in trials.groupby("subject"):
        assert {file.split("/")[0] for file in part["file"]} == {own.NAMES[subject]}
        assert part["row"].tolist() == list(range(1, 35))
    assert any("Chen, zhao".casefold() in text for text in problems(raw, "note"))


def test_numbers_are_alike_in_both_forms(own, tmp_path):
    own.write_mped(tmp_path, subjects=(2,))
    own.write_features(tmp_path, subjects=(1, 2))
    both = af.open_corpus("MPED", tmp_path, options={"unit": "uV"})
    assert both.form == "raw"
    assert both.trials["subject"].unique().tolist() == [2]
    other = af.open_corpus("MPED", tmp_path, form="features")
    assert other.trials["subject"].unique().tolist() == [1, 2]


def test_62_of_the_rows_are_electrodes(raw, layouts):
    corpus = af.open_corpus("MPED", raw, options={"unit": "uV"})
    for position in (0, 16, 17, 33, 34, 67):
        trial = corpus.trials.iloc[position]
        x = corpus.read(trial)
        assert x.shape == (62, 200)
        layouts.verify_code(trial, x)
    assert corpus.trials["file"].iloc[16].endswith("Chen_d.mat")
    assert corpus.trials["file"].iloc[17].endswith("Chen_dd.mat")
    assert set(corpus.trials["sfreq"]) == {1000.0}


def test_labels_of_raw_trials_are_never_guessed(raw):
    corpus = af.open_corpus("MPED", raw, options={"unit": "uV", "label_names": SEVEN})
    for column in ("emotion", "clip", "trial", "valence"):
        assert corpus.trials[column].isna().all()
    assert any("Give the option labels" in text for text in problems(raw, "note"))


def test_labels_of_raw_trials_can_be_given(raw):
    corpus = af.open_corpus("MPED", raw, options={"unit": "uV", "labels": RAW})
    part = corpus.trials.iloc[:34]
    assert [None if word != word else word for word in part["emotion"]] == RAW
    assert part["clip"].iloc[6] == "MPED/raw-07"
    assert part["valence"].isna().tolist() == [word is None for word in RAW]
    sad = part[part["emotion"] == "sad"].iloc[0]
    assert sad["valence"] == -0.25


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["joy"] * 33}, "expected 34 words or nulls, received 33"),
        ({"labels": [0] * 34}, "labels"),
        ({"labels": [" "] * 34}, "an emotion word is empty"),
        ({"label_names": ["joy"] * 7}, "expected 7 different words"),
        ({"label_names": SEVEN[:6]}, "expected 7 different words, received 6"),
        ({"window_s": 0}, "greater than 0"),
        ({"unit": "T"}, "unit"),
    ],
)
def test_options_that_can_not_be(raw, options, message):
    with pytest.raises(ConfigError, match=message):
        af.open_corpus("MPED", raw, options=options)


@pytest.mark.parametrize(("unit", "scale"), [("uV", 1.0), ("V", 1e-6)])
def test_the_unit_is_measured(own, tmp_path, unit, scale):
    folder = own.write_mped(tmp_path, subjects=(1,), content="eeg", scale=scale)
    corpus = af.open_corpus("MPED", folder)
    x = corpus.read(corpus.trials.iloc[3])
    assert 1e-5 < x.std() < 4e-5
    assert any(f"it is {unit}" in str(p) for p in corpus.check().of_level("note"))


def test_a_unit_that_can_not_be_told_is_asked_for(own, tmp_path):
    folder = own.write_mped(tmp_path, subjects=(1,), content="eeg", scale=25.0)
    with pytest.raises(FolderError, match="no source says the unit.*Give the option unit"):
        af.open_corpus("MPED", folder)


def test_variables_in_the_wrong_file(own, tmp_path):
    folder = own.write_mped(tmp_path, subjects=(1,))
    savemat(folder / "Chen" / "Chen_dd.mat", {"raw_eeg3": np.ones((62, 200))})
    with pytest.raises(FolderError, match="raw_eeg3 does not belong here: _dd holds raw_eeg18 to"):
        af.open_corpus("MPED", folder, options={"unit": "uV"})


@pytest.mark.parametrize("shape", [(61, 200), (200, 61), (62, 50), (62, 20, 10)])
def test_arrays_of_other_shapes_are_refused(own, tmp_path, shape):
    folder = own.write_mped(tmp_path, subjects=(1,))
    savemat(folder / "Chen" / "Chen_dd.mat", {"raw_eeg20": np.ones(shape)})
    with pytest.raises(FolderError, match="raw_eeg20 is double of shape"):
        af.open_corpus("MPED", folder, options={"unit": "uV"})


def test_a_missing_half_leaves_the_other(own, tmp_path):
    folder = own.write_mped(tmp_path, subjects=(1,))
    (folder / "Chen" / "Chen_d.mat").unlink()
    trials = af.open_corpus("MPED", folder, options={"unit": "uV"}).trials
    assert trials["row"].tolist() == list(range(18, 35))


def test_more_names_than_people(own, tmp_path):
    folder = own.write_features(tmp_path, subjects=(1,))
    for number in range(23):
        (folder / "EEG_feature" / "PSD" / f"p{number:02d}.mat").write_bytes(b"x")
    with pytest.raises(FolderError, match="24 names; MPED has 23 people"):
        af.open_corpus("MPED", folder)


# features --------------------------------------------------------------------------------------


def test_unused_cells_are_left_out(features):
    trials = af.open_corpus("MPED", features).trials
    used = [row for row, code in enumerate(LABEL30, start=1) if code >= 0]
    assert trials["row"].tolist() == used * 2
    assert trials["emotion"].isna().all()
    assert trials["clip"].iloc[0] == "MPED/feature-02"
    assert any("Give the option label_names" in text for text in problems(features, "note"))


def test_label_names_give_the_codes_their_words(features):
    trials = af.open_corpus("MPED", features, options={"label_names": SEVEN}).trials
    expected = [SEVEN[code] for code in LABEL30 if code >= 0]
    assert trials["emotion"].tolist() == expected * 2
    assert trials["valence"].notna().all()
    joy = trials[trials["emotion"] == "joy"].iloc[0]
    assert (joy["valence"], joy["arousal"]) == (0.75, 0.5)


def test_words_that_no_table_knows_have_no_place(features):
    words = ["a", "b", "c", "d", "e", "f", "joy"]
    trials = af.open_corpus("MPED", features, options={"label_names": words}).trials
    assert (trials["valence"].notna() == (trials["emotion"] == "joy")).all()


def test_the_length_of_windows_can_be_given(features):
    corpus = af.open_corpus("MPED", features, options={"window_s": 2})
    assert corpus.feature_info("PSD").window_s == 2
    assert set(corpus.trials["duration_s"]) == {12.0}
    assert any("1 s long; no file tells" in text for text in problems(features, "note"))
    assert corpus.feature_names == ("HHS", "Hjorth", "HOC", "PSD", "STFT")
    assert "not documented" in corpus.feature_info("HOC").scale


def test_lengths_are_compared_with_the_published_one(own, tmp_path):
    folder = own.write_features(tmp_path, subjects=(1,), simulated=False)
    found = problems(folder, "warning")
    assert any("cell 2 has 6 windows instead of 120" in text for text in found)


def test_a_feature_that_is_missing_for_one_person(own, tmp_path):
    folder = own.write_features(tmp_path)
    (folder / "EEG_feature" / "PSD" / "zhao.mat").unlink()
    corpus = af.open_corpus("MPED", folder)
    assert any("lacks the features PSD" in text for text in problems(folder, "warning"))
    with pytest.raises(FileFormatError, match="lacks the file of zhao"):
        corpus.read_features(corpus.trials.iloc[-1], "PSD")
    assert corpus.read_features(corpus.trials.iloc[0], "PSD").shape == (6, 62, 5)


def thirty(value) -> np.ndarray:
    """Return thirty cells of one content."""
    cells = np.empty((1, 30), object)
    for k in range(30):
        cells[0, k] = value
    return cells


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((3, 3)), "expected one cell array, found 0"),
        (thirty(1.0)[:, :2], "has 2 cells; expected 30"),
        (thirty(np.ones((62, 6, 4))), r"cell 2 has shape \(62, 6, 4\)"),
        (thirty(np.ones((6, 62, 5))), r"cell 2 has shape \(6, 62, 5\)"),
        (thirty(thirty(1.0)), r"HHS\[0\]\[0\] is no array of numbers"),
    ],
)
def test_files_that_hold_something_else(own, tmp_path, content, message):
    folder = own.write_features(tmp_path, subjects=(1,))
    savemat(folder / "EEG_feature" / "HHS" / "Chen.mat", {"HHS": content})
    with pytest.raises(FolderError, match=message):
        af.open_corpus("MPED", folder)


def test_features_of_other_lengths_are_refused(own, tmp_path):
    folder = own.write_features(tmp_path, subjects=(1,))
    cells = {"PSD": thirty(np.ones((62, 5, 5)))}
    savemat(folder / "EEG_feature" / "PSD" / "Chen.mat", cells)
    corpus = af.open_corpus("MPED", folder)
    with pytest.raises(FileFormatError, match=r"PSD.Chen\.mat: cell 2 has shape \(62, 5, 5\)"):
        corpus.read_features(corpus.trials.iloc[0], "PSD")


def test_words_that_were_given_fill_classes(features):
    corpus = af.open_corpus("MPED", features, options={"label_names": SEVEN})
    found = affect.get_scheme("valence2").assign(corpus.trials, "MPED")
    by_word = dict(zip(corpus.trials["emotion"], found.tolist(), strict=True))
    assert by_word == {
        "joy": 1,
        "funny": 1,
        "anger": 0,
        "fear": 0,
        "disgust": 0,
        "sad": 0,
        "neutral": -1,
    }
    assert affect.schemes_of("MPED") == ()


def test_a_pass_unpacks_a_packed_file_once(own, features, monkeypatch):
    from affectrum.recordings import mat_unpack

    corpus = af.open_corpus("MPED", features)
    begun = []
    restart = mat_unpack.PackedSource._restart
    monkeypatch.setattr(
        mat_unpack.PackedSource, "_restart", lambda self: begun.append(1) or restart(self)
    )
    for _, trial in corpus.trials.iterrows():
        own.verify_feature(trial, "HHS", corpus.read_features(trial, "HHS"))
    assert len(begun) == 2  # two people
