"""AMIGOS's traps, each its own test."""

from __future__ import annotations

import shutil
import struct
import zlib

import numpy as np
import pytest
from corpora_layouts import decode
from corpora_layouts_dreamer_amigos import (
    CHANNELS,
    VIDEOS,
    amigos_content,
    amigos_external,
    amigos_samples,
    amigos_self,
    write_amigos,
)
from scipy.io import savemat

import affectrum as af
from affectrum.catalog import amigos
from affectrum.catalog.model import words
from affectrum.errors import FileFormatError, FolderError

# The reference on corpora, retyped.
SHORT = words("10 13 138 18 19 20 23 30 31 34 36 4 5 58 80 9")
LONG = words("N1 P1 B1 U1")
SELF = words(
    "arousal valence dominance liking familiarity neutral disgust happiness surprise anger fear "
    "sadness"
)
EMPTY = np.zeros((0, 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_amigos(tmp_path_factory.mktemp("x") / "AMIGOS", content="eeg")


def texts(corpus, level, *, deep=False):
    return [str(problem) for problem in corpus.check(deep=deep).of_level(level)]


def test_the_catalogue_is_the_reference():
    facts = amigos.FACTS
    assert facts.electrodes == CHANNELS
    assert facts.auxiliary == ("ECG_Right", "ECG_Left", "GSR")
    assert [clip.clip for clip in facts.clips[0]] == [f"AMIGOS/{video}" for video in SHORT]
    assert [clip.clip for clip in facts.clips[1]] == [f"AMIGOS/{video}" for video in LONG]
    assert tuple(facts.ratings) == SELF == amigos.SELF_REPORTS
    assert amigos.WITHOUT_LONG_VIDEOS == (8, 24, 28)
    assert amigos.GAPS_REPORTED == (9, 12, 21, 22, 23, 24, 33)


def test_videos_are_those_that_the_file_names(folder):
    trials = af.open_corpus("AMIGOS", folder).trials
    assert tuple(VIDEOS[:16]) != SHORT  # the fixture's order is another than the catalogue's
    for _, part in trials.groupby("subject"):
        assert part["clip"].tolist() == [f"AMIGOS/{video}" for video in VIDEOS]
        assert part["session"].tolist() == [1] * 16 + [2] * 4
        assert part["row"].tolist() == [*range(1, 17), *range(1, 5)]
        names = ["short videos"] * 16 + ["long videos"] * 4
        assert part["session_name"].tolist() == names
    assert trials["trial"].isna().all()


def test_an_order_of_another_file_is_its_own(tmp_path):
    def reverse(subject, variables):
        if subject == 2:
            for name, value in variables.items():
                variables[name] = value[:, ::-1].copy()

    trials = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", change=reverse)).trials
    second = trials[trials["subject"] == 2]
    clips = [f"AMIGOS/{video}" for video in reversed(VIDEOS)]
    assert second["clip"].tolist() == clips[4:] + clips[:4]  # by session: short videos first
    by_clip = trials.set_index(["subject", "clip"])["rating_arousal"]
    for column, video in enumerate(VIDEOS):
        assert by_clip[2, f"AMIGOS/{video}"] == amigos_self(2)[column, 0]


def test_self_reports_have_arousal_before_valence(folder):
    trials = af.open_corpus("AMIGOS", folder).trials
    for subject, part in trials.groupby("subject"):
        names = [f"rating_{name}" for name in SELF]
        np.testing.assert_allclose(part[names], amigos_self(subject))
        np.testing.assert_allclose(part["valence"], (amigos_self(subject)[:, 1] - 5) / 4)
        np.testing.assert_allclose(part["arousal"], (amigos_self(subject)[:, 0] - 5) / 4)
        ticked = [SELF[5 + k] for k in amigos_self(subject)[:, 5:].argmax(axis=1)]
        assert part["felt_emotion"].tolist() == ticked
    assert trials["emotion"].isna().all()


def test_two_ticks_are_no_single_emotion(tmp_path):
    def tick(subject, variables):
        variables["labels_selfassessment"][0, 3][0, 5:] = [1, 1, 0, 0, 0, 0, 0]
        variables["labels_selfassessment"][0, 4][0, 5:] = 0

    trials = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", change=tick)).trials
    assert trials["felt_emotion"].isna().tolist()[:6] == [False] * 3 + [True] * 2 + [False]
    assert trials["rating_neutral"].tolist()[3] == trials["rating_disgust"].tolist()[3] == 1


def test_five_seconds_come_before_the_video(tmp_path):
    corpus = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A"))
    trial = corpus.trials.iloc[7]
    baseline, x = corpus.read_baseline(trial), corpus.read(trial)
    assert baseline.shape == (14, 640)
    assert x.shape == (14, amigos_samples(7) - 640)
    np.testing.assert_array_equal(decode(baseline)["sample"], 0)
    np.testing.assert_array_equal(decode(x)["sample"], 640)
    np.testing.assert_array_equal(decode(x)["channel"], np.arange(14))  # no ECG, no GSR


def test_external_annotations(folder):
    corpus = af.open_corpus("AMIGOS", folder)
    for position in (0, 17, 25):
        trial = corpus.trials.iloc[position]
        found = corpus.external_annotations(trial)
        assert list(found.columns) == ["segment", "valence", "arousal"]
        expected = amigos_external(trial["subject"], position % 20)
        np.testing.assert_allclose(found, expected)


def test_external_annotations_that_are_missing_large_or_odd(tmp_path):
    def change(subject, variables):
        cells = variables["labels_ext_annotation"]
        cells[0, 0] = EMPTY
        cells[0, 1] = np.arange(900.0).reshape(300, 3)
        cells[0, 2] = np.ones((4, 2))
        if subject == 2:
            del variables["labels_ext_annotation"]

    corpus = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", change=change))
    trials = corpus.trials
    assert len(corpus.external_annotations(trials.iloc[0])) == 0
    large = corpus.external_annotations(trials.iloc[1])
    np.testing.assert_array_equal(large, np.arange(900.0).reshape(300, 3))
    with pytest.raises(FileFormatError, match=r"has shape \(4, 2\); expected \(segments, 3\)"):
        corpus.external_annotations(trials.iloc[2])
    assert len(corpus.external_annotations(trials.iloc[20])) == 0


# where the files are


@pytest.mark.parametrize(
    ("inner", "own_folders"),
    [
        ("data_preprocessed", True),
        ("", False),
        ("", True),
        ("Physiological Recordings/Matlab Preprocessed Data", False),
        ("Physiological Recordings/Matlab Preprocessed Data", True),
    ],
)
def test_every_variant_of_the_folder(tmp_path, inner, own_folders):
    folder = write_amigos(tmp_path / "AMIGOS", inner=inner, own_folders=own_folders)
    for place in (folder, folder.parent):
        assert af.corpora.recognise(place) == ("AMIGOS",)
        corpus = af.open_corpus("AMIGOS", place)
        assert len(corpus.trials) == 40
        assert corpus.simulated


def test_two_copies_of_one_file(tmp_path):
    folder = write_amigos(tmp_path / "AMIGOS", subjects=(1,), content="eeg")
    path = folder / "data_preprocessed" / "Data_Preprocessed_P01.mat"
    (path.parent / path.stem).mkdir()
    shutil.copy(path, path.parent / path.stem / path.name)
    corpus = af.open_corpus("AMIGOS", folder)
    assert set(corpus.trials["file"]) == {"data_preprocessed/Data_Preprocessed_P01.mat"}
    assert any("a second file of subject 1" in text for text in texts(corpus, "warning"))


def test_original_files_are_refused_with_the_reason(tmp_path, folder):
    path = tmp_path / "data_original" / "Data_Original_P01.mat"
    path.parent.mkdir()
    savemat(path, {"EEG_DATA": np.zeros((2, 2))})
    with pytest.raises(FolderError, match="no joined_data.*without guessing"):
        af.open_corpus("AMIGOS", tmp_path)
    # a preprocessed file that holds something else
    savemat(path.with_name("Data_Preprocessed_P01.mat"), {"EEG_DATA": np.zeros((2, 2))})
    with pytest.raises(FolderError, match="lacks joined_data, VideoIDs; it holds EEG_DATA"):
        af.open_corpus("AMIGOS", tmp_path)
    both = shutil.copytree(folder, tmp_path / "both")
    shutil.copy(path, both / "data_preprocessed")
    corpus = af.open_corpus("AMIGOS", both)
    assert any("Data_Original" in note for note in texts(corpus, "note"))


def test_subjects_beyond_forty(tmp_path):
    folder = write_amigos(tmp_path / "AMIGOS", subjects=(1, 41))
    with pytest.raises(FolderError, match="P41.mat: AMIGOS has 40 subjects"):
        af.open_corpus("AMIGOS", folder)


# what the vendor's files are known for


def test_people_without_long_videos(tmp_path):
    def no_long(subject, variables):
        if subject in (8, 9):
            for name in ("joined_data", "labels_selfassessment"):
                for column in range(16, 20):
                    variables[name][0, column] = EMPTY

    options = {"content": "eeg", "simulated": False, "change": no_long}
    folder = write_amigos(tmp_path / "A", subjects=(8, 9, 28), **options)
    corpus = af.open_corpus("AMIGOS", folder)
    assert corpus.trials.groupby("subject").size().tolist() == [16, 16, 20]
    warnings, notes = texts(corpus, "warning"), texts(corpus, "note")
    assert any("subject 8 lacks session 2" in text for text in warnings)
    assert any("subject 8 took no part in the long videos" in text for text in notes)
    assert any("subject 9 has no long videos, unlike" in text for text in notes)
    assert any("subject 28 has long videos, unlike" in text for text in notes)
    assert corpus.check().usable


def test_signals_without_labels_and_labels_without_signals(tmp_path):
    def change(subject, variables):
        if subject == 1:
            variables["joined_data"][0, 2] = EMPTY
            variables["labels_selfassessment"][0, 5] = EMPTY
            variables["labels_selfassessment"][0, 6] = np.full((1, 12), np.nan)
            variables["labels_selfassessment"][0, 7][0, 1] = 0

    corpus = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", content="eeg", change=change))
    trials = corpus.trials
    one = trials[trials["subject"] == 1].set_index("clip")
    assert f"AMIGOS/{VIDEOS[2]}" not in one.index
    assert one.loc[f"AMIGOS/{VIDEOS[3]}", "row"] == 4  # rows stay those of the file
    assert one["valence"].isna().sum() == 3
    assert one["arousal"].isna().sum() == 2
    warnings = texts(corpus, "warning")
    for text in (
        f"self-reports without signals: {VIDEOS[2]}.",
        f"signals without self-reports: {VIDEOS[5]}, {VIDEOS[6]}.",
        f"self-reports outside their scale: {VIDEOS[7]}.",
        "subject 1, session 1: 15 of 16 trials; row 3 missing",
    ):
        assert any(text in warning for warning in warnings), text
    assert corpus.check().usable


def test_samples_that_are_nan_are_listed_and_read(tmp_path):
    def holes(subject, variables):
        if subject == 2:
            variables["joined_data"][0, 4][10:30, :3] = np.nan
            variables["joined_data"][0, 5][10:30, 14:] = np.nan  # ECG and GSR only

    corpus = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", content="eeg", change=holes))
    (warning,) = [text for text in texts(corpus, "warning") if "NaN" in text]
    n = amigos_samples(4)
    assert f"video {VIDEOS[4]} (20 of {n} on 3 electrodes)" in warning
    assert VIDEOS[5] + " (" not in warning
    trial = corpus.trials.iloc[24]
    assert np.isnan(corpus.read_baseline(trial)).sum() == 60
    assert corpus.check(deep=True).usable  # known of the vendor's files: no error


def test_a_video_that_is_cut(tmp_path):
    def cut(subject, variables):
        variables["joined_data"][0, 4] = variables["joined_data"][0, 4][:700]

    corpus = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", content="eeg", change=cut))
    assert len(corpus.trials) == 38
    warnings = texts(corpus, "warning")
    assert any(f"video {VIDEOS[4]} has 700 samples" in text for text in warnings)


def lengthen(path, change):
    """Rewrite the packed element of joined_data."""
    data, position = path.read_bytes(), 128
    while True:
        _, n_bytes = struct.unpack_from("<II", data, position)
        packed = data[position + 8 : position + 8 + n_bytes]
        if b"joined_data" in zlib.decompressobj().decompress(packed, 100):
            break
        position += 8 + n_bytes
    new = change(packed)
    rest = data[position + 8 + n_bytes :]
    path.write_bytes(data[:position] + struct.pack("<II", 15, len(new)) + new + rest)


def test_packed_arrays_longer_than_their_header_are_read(folder, tmp_path):
    expected = af.open_corpus("AMIGOS", folder)
    other = shutil.copytree(folder, tmp_path / "AMIGOS")
    path = other / "data_preprocessed" / "Data_Preprocessed_P02.mat"
    lengthen(path, lambda packed: zlib.compress(zlib.decompress(packed) + b"\0" * 8) + b"\0\0")
    corpus = af.open_corpus("AMIGOS", other)
    assert corpus.trials.equals(expected.trials)
    for position in (20, 39):
        row = corpus.trials.iloc[position]
        np.testing.assert_array_equal(corpus.read(row), expected.read(row))
    (warning,) = [text for text in texts(corpus, "warning") if "joined_data" in text]
    assert "P02.mat: joined_data: 8 bytes follow the array and 2 bytes follow the packed" in warning
    assert corpus.check().usable


def test_an_incomplete_array_or_a_wrong_checksum_is_refused(folder, tmp_path):
    for number, change in enumerate(
        (
            lambda packed: zlib.compress(zlib.decompress(packed)[:-800]),
            lambda packed: packed[:-4] + b"\1\2\3\4",
        )
    ):
        other = shutil.copytree(folder, tmp_path / str(number) / "AMIGOS")
        lengthen(other / "data_preprocessed" / "Data_Preprocessed_P02.mat", change)
        with pytest.raises(FolderError, match="P02.mat: joined_data is damaged"):
            af.open_corpus("AMIGOS", other)


# what makes a file unusable


def renamed(videos):
    def change(subject, variables):
        variables["VideoIDs"] = np.array(videos, object)[None]

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (renamed([*VIDEOS[:19], "X9"]), "not AMIGOS's: X9"),
        (renamed([*VIDEOS[:19], VIDEOS[0]]), f"twice: {VIDEOS[0]}"),
        (renamed(VIDEOS[:19]), "not one cell for each of 19 videos"),
        (renamed([]), "VideoIDs names nothing"),
        (
            lambda subject, v: v["joined_data"].__setitem__((0, 3), np.ones((17, 1000))),
            "samples and channels are swapped",
        ),
        (
            lambda subject, v: v["joined_data"].__setitem__((0, 3), np.ones((1000, 14))),
            r"shape \(1000, 14\)",
        ),
    ],
)
def test_faults_of_the_content_are_explained(tmp_path, change, text):
    folder = write_amigos(tmp_path / "AMIGOS", subjects=(1,), change=change)
    with pytest.raises(FolderError, match=text):
        af.open_corpus("AMIGOS", folder)


def test_videos_named_by_numbers(tmp_path):
    def numbers(subject, variables):
        cells = np.empty((1, 20), object)
        cells[0] = [float(video) if video.isdigit() else video for video in VIDEOS]
        variables["VideoIDs"] = cells

    trials = af.open_corpus("AMIGOS", write_amigos(tmp_path / "A", change=numbers)).trials
    assert trials["clip"].tolist()[:20] == [f"AMIGOS/{video}" for video in VIDEOS]


def test_the_fixture_is_what_loaders_read(folder):
    from scipy.io import loadmat

    content = loadmat(folder / "data_preprocessed" / "Data_Preprocessed_P01.mat")
    assert content["joined_data"].shape == content["VideoIDs"].shape == (1, 20)
    assert content["joined_data"][0, 0].shape == (amigos_samples(0), 17)
    assert content["labels_selfassessment"][0, 0].shape == (1, 12)
    assert set(amigos_content(1)) <= set(content)
