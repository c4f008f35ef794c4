"""DREAMER's traps, each its own test."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from corpora_layouts import decode
from corpora_layouts_dreamer_amigos import (
    CHANNELS,
    dreamer_content,
    dreamer_samples,
    dreamer_scores,
    write_dreamer,
)
from scipy.io import loadmat

import affectrum as af
from affectrum.catalog import dreamer
from affectrum.errors import ConfigError, FolderError
from affectrum.recordings import mat_unpack

# The reference on corpora, retyped.
CLIPS = [
    ("Searching for Bobby Fischer", "calmness"),
    ("D.O.A.", "surprise"),
    ("The Hangover", "amusement"),
    ("The Ring", "fear"),
    ("300", "excitement"),
    ("National Lampoon's VanWilder", "disgust"),
    ("Wall-E", "happiness"),
    ("Crash", "anger"),
    ("My Girl", "sadness"),
    ("The Fly", "disgust"),
    ("Pride and Prejudice", "calmness"),
    ("Modern Times", "amusement"),
    ("Remember the Titans", "happiness"),
    ("Gentlemans Agreement", "anger"),
    ("Psycho", "fear"),
    ("The Bourne Identity", "excitement"),
    ("The Shawshank Redemption", "sadness"),
    ("The Departed", "surprise"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dreamer(tmp_path_factory.mktemp("x") / "DREAMER", baseline=300)


def texts(corpus, level):
    return [str(problem) for problem in corpus.check().of_level(level)]


def test_the_catalogue_is_the_reference():
    facts = dreamer.FACTS
    assert facts.electrodes == CHANNELS
    assert [(clip.film, clip.emotion) for clip in facts.clips[0]] == CLIPS
    assert facts.clips[0][15].series == "Bourne"
    assert facts.clips[0][0].clip == "DREAMER/01"
    assert facts.is_rated
    assert facts.clips[0][11].mean_ratings["arousal"][0] == 2.61
    assert set(facts.emotions) == {emotion for _, emotion in CLIPS}


def test_the_fixture_is_read_by_scipy_as_loaders_do(folder):
    m = loadmat(folder / "DREAMER.mat")["DREAMER"][0, 0]
    stimuli = m["Data"][0, 1]["EEG"][0, 0]["stimuli"][0, 0][17, 0]
    assert stimuli.shape == (dreamer_samples(18), 14)
    corpus = af.open_corpus("DREAMER", folder)
    trials = corpus.trials
    row = trials[(trials["subject"] == 2) & (trials["row"] == 18)].iloc[0]
    np.testing.assert_array_equal(corpus.read(row), stimuli.T * 1e-6)
    assert row["rating_valence"] == m["Data"][0, 1]["ScoreValence"][0, 0][17, 0]


def test_ratings_clips_and_the_missing_order(folder):
    trials = af.open_corpus("DREAMER", folder).trials
    for subject, part in trials.groupby("subject"):
        names = ["rating_valence", "rating_arousal", "rating_dominance"]
        np.testing.assert_array_equal(part[names], dreamer_scores(subject))
        assert part["film"].tolist() == [film for film, _ in CLIPS]
        assert part["emotion"].tolist() == [emotion for _, emotion in CLIPS]
        np.testing.assert_allclose(part["valence"], (dreamer_scores(subject)[:, 0] - 3) / 2)
    assert trials["trial"].isna().all()


def test_the_baseline_is_an_array_of_its_own(folder):
    corpus = af.open_corpus("DREAMER", folder)
    trial = corpus.trials.iloc[18 + 6]
    baseline, x = corpus.read_baseline(trial), corpus.read(trial)
    assert baseline.shape == (14, 300)
    np.testing.assert_allclose(baseline[:, 0] * 1e6, -1e5 * 7 - 100 * np.arange(14) - 2)
    assert trial["onset_s"] == 0
    np.testing.assert_array_equal(decode(x)["sample"], 0)
    with pytest.raises(ConfigError, match="Invalid value for 'trial'"):
        corpus.read_baseline({})


def test_the_offset_is_kept(tmp_path):
    folder = write_dreamer(tmp_path / "DREAMER", content="eeg", baseline=300)
    corpus = af.open_corpus("DREAMER", folder)
    x = corpus.read(corpus.trials.iloc[3])
    np.testing.assert_allclose(x.mean(axis=1), 4.2e-3, atol=1e-5)
    assert corpus.check().usable
    assert any("4000 uV" in note for note in corpus.facts.notes)


# the order of the cells


def test_the_assumption_is_told(folder):
    corpus = af.open_corpus("DREAMER", folder)
    notes = texts(corpus, "note")
    assert any("cell t is taken as clip t" in n and "option order" in n for n in notes)


def test_the_order_can_be_told(folder):
    clip = af.open_corpus("DREAMER", folder, options={"order": "clip"})
    assert clip.trials["clip"].tolist()[:18] == [f"DREAMER/{n:02d}" for n in range(1, 19)]
    assert clip.trials["trial"].isna().all()
    assert not any("cell t" in note for note in texts(clip, "note"))
    shown = af.open_corpus("DREAMER", folder, options={"order": "presentation"})
    assert shown.trials["trial"].tolist()[:18] == list(range(1, 19))
    assert shown.trials["clip"].isna().all()
    assert shown.trials["emotion"].isna().all()
    assert shown.trials["valence"].notna().all()
    assert not any("cell t" in note for note in texts(shown, "note"))
    with pytest.raises(ConfigError, match="order"):
        af.open_corpus("DREAMER", folder, options={"order": "random"})


def test_cells_of_different_length_are_no_clips(tmp_path):
    def own_order(variable):
        eeg = variable["Data"][0, 1]["EEG"]
        eeg["stimuli"] = eeg["stimuli"][::-1].copy()

    folder = write_dreamer(tmp_path / "DREAMER", baseline=200, change=own_order)
    corpus = af.open_corpus("DREAMER", folder)
    assert corpus.trials["clip"].isna().all()
    assert any("'clip' is left empty" in warning for warning in texts(corpus, "warning"))
    told = af.open_corpus("DREAMER", folder, options={"order": "clip"})
    assert told.trials["clip"].notna().all()


def everybody(variable, *, valence_2=3.04, arousal_11=1.96, arousal_12=2.61, arousal_14=2.22):
    """Give all 23 people ratings whose means are the published ones."""
    for person in variable["Data"][0]:
        for name in ("ScoreValence", "ScoreArousal"):
            person[name] = np.full((18, 1), 3)
    for name, row, mean in [
        ("ScoreValence", 2, valence_2),
        ("ScoreArousal", 11, arousal_11),
        ("ScoreArousal", 12, arousal_12),
        ("ScoreArousal", 14, arousal_14),
    ]:
        total = round(mean * 23)
        low, n_high = divmod(total, 23)
        for position, person in enumerate(variable["Data"][0]):
            person[name][row - 1] = low + (position < n_high)


@pytest.mark.parametrize(
    ("means", "level", "words"),
    [
        ({}, "note", "cell t is clip t: the mean ratings of cells 2, 11, 12, 14"),
        ({"arousal_12": 3.0}, "warning", "arousal of clip 12 is 3.00, published 2.61"),
    ],
)
def test_published_means_tell_the_order(tmp_path, means, level, words):
    folder = write_dreamer(
        tmp_path / "DREAMER",
        subjects=tuple(range(1, 24)),
        baseline=130,
        simulated=False,
        change=lambda variable: everybody(variable, **means),
    )
    corpus = af.open_corpus("DREAMER", folder)
    assert any(words in text for text in texts(corpus, level))
    known = corpus.trials["clip"].notna()
    assert known.all() if level == "note" else not known.any()


# what a file may lack


def with_electrodes(names):
    def change(variable):
        variable["EEG_Electrodes"] = np.array(names, object)[None]

    return change


def test_electrodes_are_taken_by_name(tmp_path):
    order = CHANNELS[::-1]
    folder = write_dreamer(tmp_path / "D", baseline=200, change=with_electrodes(order))
    corpus = af.open_corpus("DREAMER", folder)
    x = corpus.read(corpus.trials.iloc[0])
    np.testing.assert_array_equal(decode(x)["channel"], np.arange(14)[::-1])
    assert any("another order than published" in note for note in texts(corpus, "note"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_electrodes(["Cz", *CHANNELS[1:]]), "EEG_Electrodes names Cz"),
        (with_electrodes(CHANNELS[1:]), "EEG_Electrodes names F7"),
        (
            lambda v: v["Data"][0, 0]["EEG"]["stimuli"].__setitem__((4, 0), np.ones((14, 999))),
            "samples and electrodes are swapped",
        ),
        (
            lambda v: v["Data"][0, 0]["EEG"]["stimuli"].__setitem__((4, 0), np.ones((50, 14))),
            "shorter than a second",
        ),
        (
            lambda v: v["Data"][0, 1]["ScoreArousal"].__setitem__(3, 9),
            "subject 2: ScoreArousal is missing or outside 1 to 5 in rows [4]",
        ),
        (lambda v: v["Data"][0, 1].pop("ScoreDominance"), "subject 2: ScoreDominance"),
        (lambda v: v.pop("Data"), "no arrays Data[...].EEG.stimuli[...]"),
    ],
)
def test_faults_of_the_content_are_explained(tmp_path, change, words):
    folder = write_dreamer(tmp_path / "D", baseline=200, change=change)
    with pytest.raises(FolderError) as caught:
        af.open_corpus("DREAMER", folder)
    assert words in str(caught.value)
    assert not af.corpora.check_folder("DREAMER", folder).usable


def test_other_variables_are_named(tmp_path):
    from scipy.io import savemat

    (tmp_path / "D").mkdir()
    savemat(tmp_path / "D" / "DREAMER.mat", {"data": np.ones((3, 3))})
    with pytest.raises(FolderError, match="lacks the variable 'DREAMER'; it holds data"):
        af.open_corpus("DREAMER", tmp_path / "D")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("EEG_Electrodes"), "the published order is taken"),
        (lambda v: v.pop("EEG_SamplingRate"), "EEG_SamplingRate is missing"),
        (lambda v: v.update(EEG_SamplingRate=256), "sampled at 256 Hz"),
        (lambda v: v.update(noOfSubjects=23), "noOfSubjects is 23, but 2 people"),
        (
            lambda v: v["Data"][0, 0]["EEG"]["stimuli"][2, 0].__setitem__((5, 3), np.nan),
            "Data[0].EEG.stimuli[2] holds 1 samples that are NaN",
        ),
        (
            lambda v: v["Data"][0, 0]["EEG"]["stimuli"].__setitem__((4, 0), np.zeros((0, 0))),
            "17 of 18 trials; row 5 missing",
        ),
        (
            lambda v: v["Data"][0, 0]["EEG"]["baseline"].__setitem__((4, 0), np.zeros((0, 0))),
            "the trial has no baseline",
        ),
    ],
)
def test_what_is_missing_is_warned_of(tmp_path, change, words):
    folder = write_dreamer(tmp_path / "D", content="eeg", baseline=200, change=change)
    corpus = af.open_corpus("DREAMER", folder)
    assert any(words in text for text in texts(corpus, "warning"))
    if "baseline" in words:
        assert corpus.read_baseline(corpus.trials.iloc[4]) is None


def test_lengths_are_compared_for_real_files_only(tmp_path):
    folder = write_dreamer(tmp_path / "D", content="eeg", baseline=200, simulated=False)
    warnings = texts(af.open_corpus("DREAMER", folder), "warning")
    assert any("has 200 samples; 7808 are published" in warning for warning in warnings)


# one variable, read in pieces


def test_a_pass_unpacks_the_file_once_and_holds_one_trial(tmp_path, monkeypatch):
    folder = write_dreamer(tmp_path / "D", content="eeg", baseline=2000)
    corpus = af.open_corpus("DREAMER", folder)
    trials = corpus.trials
    monkeypatch.setattr(mat_unpack, "_CHUNK", 10_000)
    read = []
    real = mat_unpack.PackedSource._next_packed

    def counting(self):
        data = real(self)
        read.append(len(data))
        return data

    monkeypatch.setattr(mat_unpack.PackedSource, "_next_packed", counting)
    tracemalloc.start()
    try:
        assert sum(x.shape[1] for _, x in corpus.iter_trials(trials)) > 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = (folder / "DREAMER.mat").stat().st_size
    assert sum(read) <= size
    assert peak < 8e6
    read.clear()
    corpus.read(trials.iloc[0])
    assert sum(read) < size / 3


def test_a_packed_variable_longer_than_its_header_is_read_and_warned_of(folder, tmp_path):
    data = (folder / "DREAMER.mat").read_bytes()
    packed = zlib.compress(zlib.decompress(data[136:]) + b"\0" * 16)
    (tmp_path / "DREAMER.mat").write_bytes(
        data[:128] + struct.pack("<II", 15, len(packed)) + packed
    )
    corpus = af.open_corpus("DREAMER", tmp_path)
    assert len(corpus.trials) == 36
    assert any("16 bytes follow the array" in text for text in texts(corpus, "warning"))


def test_unpacked_files_and_struct_arrays_are_read_alike(folder, tmp_path):
    plain = write_dreamer(tmp_path / "plain", baseline=300, compress=False)

    def as_structs(variable):
        people = variable["Data"][0]
        fields = list(people[0])
        array = np.empty((1, len(people)), [(name, object) for name in fields])
        for position, person in enumerate(people):
            array[0, position] = tuple(person[name] for name in fields)
        variable["Data"] = array

    structs = write_dreamer(tmp_path / "structs", baseline=300, change=as_structs)
    expected = af.open_corpus("DREAMER", folder)
    for other in (plain, structs):
        corpus = af.open_corpus("DREAMER", other)
        assert corpus.trials.equals(expected.trials)
        row = corpus.trials.iloc[20]
        np.testing.assert_array_equal(corpus.read(row), expected.read(row))
        np.testing.assert_array_equal(corpus.read_baseline(row), expected.read_baseline(row))


def test_a_reader_can_be_sent_to_another_process(folder):
    corpus = af.open_corpus("DREAMER", folder)
    row = corpus.trials.iloc[30]
    x = corpus.read(row)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(corpus)).read(row), x)


def test_one_person_alone(tmp_path):
    folder = write_dreamer(tmp_path / "D", subjects=(1,), baseline=200)
    assert af.open_corpus("DREAMER", folder).trials["subject"].tolist() == [1] * 18
    variable = dreamer_content((1,), baseline=200)
    variable["Data"] = variable["Data"][0, 0]  # a struct instead of a cell with one struct
    from scipy.io import savemat

    savemat(folder / "DREAMER.mat", {"DREAMER": variable}, do_compression=True)
    assert len(af.open_corpus("DREAMER", folder).trials) == 18
