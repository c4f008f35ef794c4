"""GAMEEMO's traps, each its own test."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

import affectrum as af
from affectrum.errors import FileFormatError, FolderError


@pytest.fixture(scope="module")
def own():
    return sys.modules["corpora_layouts_gameemo"]


@pytest.fixture(scope="module")
def sound(own, tmp_path_factory):
    """A folder that is only read."""
    return own.write_gameemo(tmp_path_factory.mktemp("x") / "GAMEEMO")


@pytest.fixture
def folder(own, tmp_path):
    return own.write_gameemo(tmp_path / "GAMEEMO", subjects=(1,))


def problems(folder, level, form="auto"):
    report = af.corpora.check_folder("GAMEEMO", folder, form=form)
    return [str(p) for p in report.of_level(level)]


def test_games_are_emotions(sound):
    trials = af.open_corpus("GAMEEMO", sound).trials
    assert trials["emotion"].tolist() == ["boring", "calm", "horror", "funny"] * 2
    assert trials["clip"].tolist() == [f"GAMEEMO/G{game}" for game in (1, 2, 3, 4)] * 2
    assert trials["trial"].isna().all()
    assert trials["rating_valence"].isna().all()
    assert trials["valence"].notna().any()
    assert any("pdf only" in text for text in problems(sound, "note"))


def test_columns_are_taken_by_name(sound, own, layouts):
    corpus = af.open_corpus("GAMEEMO", sound)
    assert corpus.channels == own.COLUMNS
    first = own.file_of(sound, 2, 1).read_text().splitlines()[0]
    assert first == ",".join(own.COLUMNS[::-1]) + ","
    for trial, x in corpus.iter_trials():
        layouts.verify_code(trial, x)


def test_preprocessed_is_preferred_and_raw_can_be_asked_for(folder, own):
    own.write_csv(
        own.file_of(folder, 1, 2, "raw"), np.arange(14)[:, None] + np.ones((14, 200)), own.COLUMNS
    )
    assert af.open_corpus("GAMEEMO", folder).form == "preprocessed"
    corpus = af.open_corpus("GAMEEMO", folder, form="raw")
    assert corpus.trials["row"].tolist() == [2]
    x = corpus.read(corpus.trials.iloc[0])
    np.testing.assert_allclose(x[:, 0], np.arange(1, 15) * 1e-6)


def test_raw_files_of_the_other_name(folder, own):
    path = own.file_of(folder, 1, 1, "raw")
    own.write_csv(path.with_name("S01G1AllRawChannels.csv"), np.ones((14, 200)), own.COLUMNS)
    assert len(af.open_corpus("GAMEEMO", folder, form="raw").trials) == 1


@pytest.mark.parametrize(
    "place",
    [
        "S01/Preprocessed EEG Data/csv",
        "S01/Preprocessed/.csv format",
        "Preprocessed EEG Data/(S01)",
        "preprocessed_eeg_data",
        "GAMEEMO/deeper/(S01)/Preprocessed EEG Data/.csv format",
    ],
)
def test_other_depths_and_names(folder, tmp_path, own, layouts, place):
    target = tmp_path / "other" / place
    shutil.copytree(own.file_of(folder, 1, 1).parent, target)
    corpus = af.open_corpus("GAMEEMO", tmp_path / "other")
    assert len(corpus.trials) == 4
    for trial, x in corpus.iter_trials():
        layouts.verify_code(trial, x)
    assert len(af.open_corpus("GAMEEMO", target).trials) == 4


def test_files_that_do_not_tell_their_form_are_not_guessed(folder, tmp_path, own):
    shutil.copytree(own.file_of(folder, 1, 1).parent, tmp_path / "other" / "S01")
    with pytest.raises(FolderError, match="no GAMEEMO data"):
        af.open_corpus("GAMEEMO", tmp_path / "other")


def test_files_of_another_subject_are_refused(folder, own):
    path = own.file_of(folder, 1, 3)
    path.rename(path.with_name("S02G3AllChannels.csv"))
    with pytest.raises(FolderError, match="named after subject 2, its folder after subject 1"):
        af.open_corpus("GAMEEMO", folder)


def test_a_game_that_is_there_twice(folder, own):
    shutil.copytree(folder / "(S01)", folder / "copy" / "(S01)")
    with pytest.raises(FolderError, match=r"subject 1, game 1 stands in \(S01\)"):
        af.open_corpus("GAMEEMO", folder)


def test_lengths_are_compared_with_the_published_one(own, tmp_path):
    folder = own.write_gameemo(tmp_path, subjects=(1,), simulated=False)
    assert any("256 samples; 38252" in text for text in problems(folder, "warning"))


def test_a_missing_game_is_a_warning(folder, own):
    own.file_of(folder, 1, 3).unlink()
    assert af.open_corpus("GAMEEMO", folder).trials["row"].tolist() == [1, 2, 4]
    assert any("3 of 4 trials; row 3" in text for text in problems(folder, "warning"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("FC5", "FC9", 1), "lacks the columns FC5"),
        (lambda text: text.replace("FC5", "fc6", 1), "lacks the columns FC5"),
        (lambda text: text.replace("AF3", "AF3,AF3", 1), "has columns twice: AF3"),
        (lambda text: "", "lacks the columns"),
        (lambda text: text.split("\n")[0], "0 rows: less than a second"),
    ],
)
def test_damaged_headers(folder, own, change, message):
    path = own.file_of(folder, 1, 1)
    path.write_text(change(path.read_text()))
    with pytest.raises(FolderError, match=message):
        af.open_corpus("GAMEEMO", folder)


def test_a_file_that_was_cut_within_a_row(folder, own):
    path = own.file_of(folder, 1, 1)
    text = path.read_text().rstrip("\n")
    path.write_text(text[: text.rindex(",")])
    with pytest.raises(FolderError, match="truncated: its last row is shorter"):
        af.open_corpus("GAMEEMO", folder)


@pytest.mark.parametrize("cell", ["x", '"3', "1e", "--1", "0x10"])
def test_cells_that_are_no_numbers(folder, own, cell):
    path = own.file_of(folder, 1, 1)
    lines = path.read_text().split("\n")
    lines[7] = cell + lines[7][lines[7].index(",") :]
    path.write_text("\n".join(lines))
    corpus = af.open_corpus("GAMEEMO", folder)
    with pytest.raises(FileFormatError, match="is no table of numbers"):
        corpus.read(corpus.trials.iloc[0])


def test_gaps_and_long_rows_are_found(folder, own):
    path = own.file_of(folder, 1, 1)
    lines = path.read_text().split("\n")
    lines[7] = lines[7][lines[7].index(",") :]
    path.write_text("\n".join(lines))
    assert any("NaN" in text for text in problems(folder, "error"))
    lines[9] += ",1,2,3"
    path.write_text("\n".join(lines))
    assert any("is no table of numbers" in text for text in problems(folder, "error"))


@pytest.mark.parametrize(("old", "new"), [(",", ";"), (",", "\t"), ("\n", "\r\n"), ("\n", "\r")])
def test_other_separators_and_line_ends(folder, own, layouts, old, new):
    path = own.file_of(folder, 1, 1)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_text().replace(old, new).encode())
    corpus = af.open_corpus("GAMEEMO", folder)
    layouts.verify_code(corpus.trials.iloc[0], corpus.read(corpus.trials.iloc[0]))
