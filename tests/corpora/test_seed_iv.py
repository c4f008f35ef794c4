"""SEED-IV's traps, each its own test."""

from __future__ import annotations

import numpy as np
import pytest

import affectrum as af
from affectrum.catalog import seed_iv
from affectrum.errors import FolderError


@pytest.fixture
def folder(copied):
    return copied("SEED-IV", "raw")


def problems(folder, level):
    return [str(p) for p in af.corpora.check_folder("SEED-IV", folder).of_level(level)]


def test_labels_differ_between_sessions(folder):
    trials = af.open_corpus("SEED-IV", folder).trials
    words = {0: "neutral", 1: "sad", 2: "fear", 3: "happy"}
    for (_, session), part in trials.groupby(["subject", "session"]):
        expected = [words[code] for code in seed_iv.LABELS[session - 1]]
        assert part["emotion"].tolist() == expected
        assert part["clip"].tolist() == [f"SEED-IV/{session}-{row:02d}" for row in range(1, 25)]


def test_the_folder_is_the_session_not_the_date(folder, layouts):
    # exchange the dates of sessions 1 and 2 of subject 1; the content stays where it is
    raw = folder / "eeg_raw_data"
    (raw / "1" / "1_20160518.mat").rename(raw / "1" / "1_20161125.mat")
    (raw / "2" / "1_20161125.mat").rename(raw / "2" / "1_20160518.mat")
    corpus = af.open_corpus("SEED-IV", folder)
    for session in (1, 2):
        part = corpus.trials[
            (corpus.trials["subject"] == 1) & (corpus.trials["session"] == session)
        ]
        for trial, x in corpus.iter_trials(part.iloc[:3]):
            layouts.verify_code(trial, x)
    assert any("session 2 is dated 20160518" in text for text in problems(folder, "warning"))


def test_published_dates_are_in_order(folder):
    assert not any("is dated" in text for text in problems(folder, "warning"))


def test_readme_labels_agree_or_the_folder_is_refused(folder):
    readme = folder / "ReadMe.txt"
    readme.write_text(readme.read_text().replace("session2_label = [2,1", "session2_label = [1,2"))
    with pytest.raises(FolderError, match=r"ReadMe.txt: session 2: its labels \[1, 2, 3"):
        af.open_corpus("SEED-IV", folder)


def test_readme_with_blanks_and_semicolons(folder):
    lines = [
        f"session{s}_label=[ {' , '.join(map(str, codes))} ];;"
        for s, codes in enumerate(seed_iv.LABELS, 1)
    ]
    (folder / "ReadMe.txt").write_text("\r\n".join(lines), encoding="utf-8")
    assert not any("ReadMe" in text for text in problems(folder, "note"))


def test_a_missing_readme_is_a_note(layouts, tmp_path):
    folder = layouts.write_seed_iv(tmp_path / "x", readme=False)
    assert any("ReadMe.txt" in text for text in problems(folder, "note"))


def test_a_missing_session_folder_is_a_warning(folder):
    for path in (folder / "eeg_raw_data" / "3").iterdir():
        path.unlink()
    (folder / "eeg_raw_data" / "3").rmdir()
    corpus = af.open_corpus("SEED-IV", folder)
    assert sorted(corpus.trials["session"].unique()) == [1, 2]
    found = problems(folder, "warning")
    assert any("folder of session 3 is missing" in text for text in found)


def test_two_files_of_one_subject_in_one_session(folder):
    raw = folder / "eeg_raw_data"
    (raw / "2" / "1_20161125.mat").rename(raw / "1" / "1_20161125.mat")
    with pytest.raises(FolderError, match="two files of subject 1 in one session"):
        af.open_corpus("SEED-IV", folder)


def test_features_have_windows_of_four_seconds(layouts, tmp_path):
    folder = layouts.write_seed_iv(tmp_path / "x", subjects=(2,), features=True)
    corpus = af.open_corpus("SEED-IV", folder)
    assert corpus.feature_names == seed_iv.FEATURES
    assert corpus.feature_info("psd_LDS").window_s == 4.0
    trial = corpus.trials.iloc[24 + 4]  # session 2, row 5
    x = corpus.read_features(trial, "de_LDS")
    assert x.shape == (2, 62, 5)
    window, electrode, band = np.indices(x.shape)
    np.testing.assert_allclose(x, 5e6 + electrode * 1e4 + window * 1e2 + band + 0.02 + 0.002)


def test_a_folder_of_features_alone(layouts, tmp_path):
    folder = layouts.write_seed_iv(tmp_path / "x", signals=False, features=True)
    corpus = af.open_corpus("SEED-IV", folder)
    assert corpus.form == "features"
    assert corpus.trials["duration_s"].tolist()[:3] == [8.0, 4.0, 8.0]
    assert corpus.check().usable


def test_eye_data_beside_the_eeg_is_left_alone(folder):
    for name in ("eye_raw_data", "eye_feature_smooth/1"):
        (folder / name).mkdir(parents=True)
    (folder / "eye_raw_data" / "1_20160518_blink.mat").write_bytes(b"x")
    assert len(af.open_corpus("SEED-IV", folder).trials) == 144
