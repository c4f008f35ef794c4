"""MAHNOB-HCI's traps, each its own test."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum.catalog import mahnob_hci
from affectrum.catalog.model import words
from affectrum.corpora.mahnob_session import read_session
from affectrum.errors import FileFormatError, FolderError, UnsafeFileError

# reference, section 10, retyped
EMOTIONS = words(
    "neutral anger disgust fear joy sadness surprise scream bored sleepy unknown amusement anxiety"
)
MEDIA = {
    "disgust": ["69", "earworm_f"],
    "amusement": ["58", "53", "52"],
    "joy": ["80", "79", "90", "cats_f", "funny_f"],
    "fear": ["73", "107", "30"],
    "sadness": ["146", "138", "111"],
    "neutral": ["newyork_f", "detroit_f", "dallas_f"],
    None: ["55"],  # sadness in one list, anger in another
}
RATED = [20, 20, 17, 20, 20, 20, 20, 20, 14, 20, 20, 0, 20, 20, 0, 16] + [20] * 14


@pytest.fixture(scope="module")
def own():
    return sys.modules["corpora_layouts_mahnob_hci"]


@pytest.fixture(scope="module")
def sound(own, tmp_path_factory):
    """A folder that is only read."""
    return own.write_mahnob(tmp_path_factory.mktemp("x") / "MAHNOB-HCI", n_trials=4)


@pytest.fixture
def folder(own, tmp_path):
    return own.write_mahnob(tmp_path / "MAHNOB-HCI", subjects=(1,), n_trials=3)


def problems(folder, level):
    report = af.corpora.check_folder("MAHNOB-HCI", folder)
    return [str(p) for p in report.of_level(level)]


def test_catalogue_against_the_reference():
    facts = mahnob_hci.FACTS
    assert tuple(facts.felt_codes[code] for code in range(13)) == EMOTIONS
    assert list(mahnob_hci.RATED_TRIALS) == RATED
    assert sum(RATED) == 547
    assert len(mahnob_hci.SIGNALS) == 47
    assert mahnob_hci.SIGNALS[32:35] == ("EXG1", "EXG2", "EXG3")
    assert [mahnob_hci.SIGNALS[k] for k in (40, 44, 45, 46)] == ["GSR1", "Resp", "Temp", "Status"]
    assert len(facts.clips[0]) == 20
    by_clip = {clip.clip: clip.emotion for clip in facts.clips[0]}
    assert by_clip == {
        f"MAHNOB-HCI/{media}": emotion for emotion, row in MEDIA.items() for media in row
    }
    assert facts.is_rated
    assert facts.trials_vary


def test_ratings_clips_and_the_emotion_felt(sound, own):
    trials = af.open_corpus("MAHNOB-HCI", sound).trials
    assert len(trials) == 8
    for _, trial in trials.iterrows():
        told = own.ratings(trial["subject"], trial["row"])
        assert trial["rating_valence"] == told["feltVlnc"]
        assert trial["rating_arousal"] == told["feltArsl"]
        assert trial["rating_dominance"] == told["feltCtrl"]
        assert trial["rating_predictability"] == told["feltPred"]
        assert trial["felt_emotion"] == EMOTIONS[told["feltEmo"]]
        assert trial["clip"] == own.CLIPS[trial["row"] - 1]
        assert trial["trial"] == trial["row"]
        assert trial["valence"] == (told["feltVlnc"] - 5) / 4
    assert trials["emotion"].iloc[:3].tolist() == ["amusement", "disgust", "neutral"]
    assert pd.isna(trials["emotion"].iloc[3])


def test_a_clip_that_no_list_knows_keeps_its_name(own, tmp_path):
    own.write_session(tmp_path, 1, 7, attributes={"mediaFile": "new one.avi"})
    own.write_session(tmp_path, 1, 6, attributes={"mediaFile": "C:\\\\stimuli\\\\111.avi"})
    own.write_session(tmp_path, 1, 5, attributes={"mediaFile": "&lt;b&gt;"})
    clips = af.open_corpus("MAHNOB-HCI", tmp_path).trials["clip"]
    assert pd.isna(clips.iloc[0])
    assert clips.iloc[1:].tolist() == ["MAHNOB-HCI/111", "MAHNOB-HCI/new one"]


def test_the_rate_is_the_headers(sound):
    trials = af.open_corpus("MAHNOB-HCI", sound).trials
    assert trials.groupby("subject")["sfreq"].unique().map(list).tolist() == [[64.0], [128.0]]
    assert (trials["duration_s"] == 2.0).all()
    assert (trials["onset_s"] == 31.0).all()
    assert sum("sampled at 64 Hz" in text for text in problems(sound, "note")) == 4


def test_thirty_seconds_come_before_the_clip(sound, own):
    corpus = af.open_corpus("MAHNOB-HCI", sound)
    trial = corpus.trials.iloc[5]
    baseline = corpus.read_baseline(trial)
    assert baseline.shape == (32, 30 * 128)
    steps = np.rint((baseline * 1e6 - own.DEAP_SHIFT_UV) / own.DEAP_GAIN_UV)
    assert set(np.unique(steps + 200 + np.arange(32)[:, None])) == {0.0, 1.0}


def test_less_than_thirty_seconds_before_are_what_there_is(own, tmp_path):
    own.write_session(tmp_path, 1, 1, events=(5, 8))
    corpus = af.open_corpus("MAHNOB-HCI", tmp_path)
    assert corpus.read_baseline(corpus.trials.iloc[0]).shape == (32, 5 * 64)


def test_electrodes_are_taken_by_name_and_idle_status_lines_are_no_events(sound, own):
    corpus = af.open_corpus("MAHNOB-HCI", sound)
    for trial, x in corpus.iter_trials(corpus.trials[corpus.trials["subject"] == 2]):
        own.verify(trial, x)


def test_unrated_sessions_are_left_out_and_counted(folder, own):
    assert any("1 sessions named _N_" in text for text in problems(folder, "note"))
    own.write_session(folder, 1, 2, felt={"feltEmo": 4})
    trials = af.open_corpus("MAHNOB-HCI", folder).trials
    assert trials["row"].tolist() == [1, 3]
    warnings = problems(folder, "warning")
    assert any("1 sessions named _S_" in text and "2 are rated" in text for text in warnings)


def test_fewer_sessions_are_no_fault(own, tmp_path):
    folder = own.write_mahnob(tmp_path, subjects=(3,), n_trials=2, content="eeg")
    assert problems(folder, "warning") == []
    assert problems(folder, "error") == []


def test_ratings_off_the_scale_count_as_missing(folder, own):
    own.write_session(folder, 1, 2, felt={**own.ratings(1, 2), "feltVlnc": -1})
    own.write_session(folder, 1, 3, felt={**own.ratings(1, 3), "feltPred": "x", "feltEmo": 99})
    trials = af.open_corpus("MAHNOB-HCI", folder).trials
    assert trials["row"].tolist() == [1, 3]
    assert np.isnan(trials["rating_predictability"].iloc[1])
    assert pd.isna(trials["felt_emotion"].iloc[1])
    warnings = "\n".join(problems(folder, "warning"))
    for text in ("feltVlnc is '-1'", "feltPred is 'x'", "feltEmo is '99'"):
        assert text in warnings


@pytest.mark.parametrize("events", [(), (31,), (5, 31, 33), (31, 31.5)])
def test_a_clip_that_cannot_be_found_is_left_out(folder, own, events):
    own.write_session(folder, 1, 2, events=events)
    assert af.open_corpus("MAHNOB-HCI", folder).trials["row"].tolist() == [1, 3]
    assert any(f"{len(events)} events" in text for text in problems(folder, "warning"))


def test_events_and_cut_length_are_compared(folder, own):
    own.write_session(folder, 1, 2, attributes={"cutLenSec": "80.5"})
    assert any("80.5 s (cutLenSec)" in text for text in problems(folder, "warning"))


def test_the_subject_is_never_the_folders_number(folder, own):
    (folder / "Sessions" / "2").rename(folder / "Sessions" / "3810")
    assert af.open_corpus("MAHNOB-HCI", folder).trials["subject"].unique().tolist() == [1]
    own.write_session(folder, 1, 2, number=7)
    with pytest.raises(FolderError, match="named after subject 1, session.xml says '7'"):
        af.open_corpus("MAHNOB-HCI", folder)


def test_order_of_presentation_is_missing_where_sources_differ(folder, own):
    own.write_session(folder, 1, 2, attributes={"cutNr": 99})
    trials = af.open_corpus("MAHNOB-HCI", folder).trials
    assert trials["trial"].isna().all()
    assert any("cutNr" in text for text in problems(folder, "warning"))


def test_two_sessions_of_one_trial(folder):
    source, copy = folder / "Sessions" / "4", folder / "Sessions" / "1234"
    copy.mkdir()
    for path in source.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with pytest.raises(FolderError, match=r"has trial 2 already in Sessions/1234"):
        af.open_corpus("MAHNOB-HCI", folder)


def test_damage_is_named(folder):
    (folder / "Sessions" / "2" / "session.xml").unlink()
    (folder / "Sessions" / "4" / "session.xml").write_text("<session")
    path = folder / "Sessions" / "6" / "Part_1_S_Trial3_emotion.bdf"
    path.write_bytes(path.read_bytes()[:-7])
    errors = problems(folder, "error")
    for text in ("Sessions/2: session.xml is missing", "is no XML", "truncated"):
        assert any(text in error for error in errors), text


def test_other_recordings_of_the_database_are_not_read(folder):
    # implicit tagging lies in the same folders under another name
    place = folder / "Sessions" / "500"
    place.mkdir()
    (place / "Part_1_I_Trial1_tagging.bdf").write_bytes(b"x")
    (place / "session.xml").write_text("<session/>")
    assert len(af.open_corpus("MAHNOB-HCI", folder).trials) == 3


BOMB = (
    "<!DOCTYPE session ["
    + '<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(8))
    + "]>\n"
)


@pytest.mark.parametrize("declaration", [BOMB, '<!DOCTYPE session SYSTEM "file:///etc/passwd">\n'])
def test_entities_are_never_expanded(folder, own, declaration):
    own.write_session(folder, 1, 2, before_root=declaration, attributes={"mediaFile": "&amp;i;"})
    with pytest.raises(FolderError, match="declares a document type or entities"):
        af.open_corpus("MAHNOB-HCI", folder)
    with pytest.raises(UnsafeFileError):
        read_session(folder / "Sessions" / "4" / "session.xml")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe<",
        b"<a/>",
        b"<session",
        b'<?xml version="1.0" encoding="no-such"?><session/>',
        b"<session>&b;</session>",
        b"<session>" + b"<x>" * 100_000,
        b" " * 2_000_000,
    ],
)
def test_session_files_that_are_none(tmp_path, content):
    path = tmp_path / "session.xml"
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        read_session(path)


def test_session_files_in_other_encodings(tmp_path):
    path = tmp_path / "session.xml"
    text = '<session mediaFile="é"><subject id=" 3 "/><subject id="4"/></session>'
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        path.write_bytes((f'<?xml version="1.0" encoding="{encoding}"?>' + text).encode(encoding))
        assert read_session(path) == {"attributes": {"mediaFile": "é"}, "subject": "3"}
