"""The traps of SEED-FRA and SEED-GER, each its own test."""

from __future__ import annotations

import pickle
import shutil
import sys

import numpy as np
import pytest
import yaml

import affectrum as af
from affectrum.corpora import registry
from affectrum.corpora.seed_language_files import assign
from affectrum.errors import ConfigError, FolderError

BANDS = ("delta", "theta", "alpha", "beta", "gamma")
NAMES = ("SEED-FRA", "SEED-GER")
WORDS = {-1: "negative", 0: "neutral", 1: "positive"}


@pytest.fixture
def made(layouts):
    return sys.modules["corpora_layouts_seeds_of_languages"]


def problems(name, folder, level, **further):
    report = af.corpora.check_folder(name, folder, **further)
    return [str(problem) for problem in report.of_level(level)]


# raw recordings: only with times -------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_recordings_are_not_cut_without_times(name, written):
    folder = written(name, "raw")
    with pytest.raises(FolderError, match="no file tells when a clip begins") as caught:
        af.open_corpus(name, folder)
    assert "Give the option times" in str(caught.value)
    assert ("times: published" in str(caught.value)) == (name == "SEED-FRA")


def test_the_public_times_of_seed_ger_are_refused_with_the_reason(written):
    folder = written("SEED-GER", "raw")
    with pytest.raises(FolderError, match="18 intervals for 20 labels") as caught:
        af.open_corpus("SEED-GER", folder, options={"times": "published"})
    message = str(caught.value)
    for part in ("275 s and 287 s", "does not prove", "1, 3 to 18 and 20", "wrong from trial 2"):
        assert part in message


def test_the_pauses_that_the_message_speaks_of():
    start = [5, 411, 861, 1114, 1287, 1454, 1620, 1878, 2135, 2310, 2502, 2709, 3028, 3162, 3290]
    start += [3656, 3823, 4366]
    end = [136, 831, 1084, 1257, 1423, 1589, 1848, 2105, 2280, 2472, 2677, 2998, 3131, 3259, 3626]
    end += [3792, 4079, 4538]
    pauses = [b - a for a, b in zip(end[:-1], start[1:], strict=True)]
    assert (pauses.pop(16), pauses.pop(0)) == (287, 275)
    assert set(pauses) <= set(range(29, 33))


def test_the_public_times_of_seed_fra_are_used_when_accepted(made, tmp_path, monkeypatch):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", signals=True)
    reader = registry.reader("SEED-FRA")
    assert reader.public_times[0] == (21.0, 193.0)
    assert reader.public_times[20] == (3622.0, 3797.0)
    with pytest.raises(FolderError, match="21 trials from 1 on are cut"):
        af.open_corpus("SEED-FRA", folder, options={"times": "published"})
    times = tuple((a, b) for a, b in made.raw_times("SEED-FRA"))
    monkeypatch.setattr(reader, "public_times", times)
    corpus = af.open_corpus("SEED-FRA", folder, options={"times": "published"})
    made.verify_raw(corpus.trials.iloc[30], corpus.read(corpus.trials.iloc[30]))
    found = problems("SEED-FRA", folder, "note", options={"times": "published"})
    assert any("nobody confirmed" in text for text in found)


@pytest.mark.parametrize("name", NAMES)
def test_times_may_differ_between_recordings(name, made, tmp_path):
    folder = made.write_language(tmp_path / "x", name=name, signals=True, subjects=(1,))
    times = {f"1_{session}": made.raw_times(name) for session in (1, 2, 3)}
    corpus = af.open_corpus(name, folder, options={"times": times})
    made.verify_raw(corpus.trials.iloc[-1], corpus.read(corpus.trials.iloc[-1]))
    del times["1_2"]
    with pytest.raises(FolderError, match="has no list for 1_2"):
        af.open_corpus(name, folder, options={"times": times})


def test_times_come_from_a_file(made, written, tmp_path):
    path = tmp_path / "times.yaml"
    path.write_text(yaml.safe_dump({"times": made.raw_times("SEED-FRA")}))
    corpus = af.open_corpus("SEED-FRA", written("SEED-FRA", "raw"), options=path)
    made.verify_raw(corpus.trials.iloc[5], corpus.read(corpus.trials.iloc[5]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda times: times[:18], "18 intervals for 20 trials"),
        (lambda times: [times[1], times[0], *times[2:]], "begins before"),
        (lambda times: [[-1.0, 1.0], *times[1:]], "negative"),
        (lambda times: [[float("nan"), 1.0], *times[1:]], "no number"),
        (lambda times: [[2.0, 1.0], *times[1:]], "less than a second"),
    ],
)
def test_impossible_times_are_refused(change, message, made, written):
    times = change(made.raw_times("SEED-GER"))
    with pytest.raises(FolderError, match=message):
        af.open_corpus("SEED-GER", written("SEED-GER", "raw"), options={"times": times})


@pytest.mark.parametrize("times", ["publisched", [[1.0]], {"1_1": "published"}, 3])
def test_other_values_of_the_option_are_explained(times, written):
    with pytest.raises(ConfigError, match="times"):
        af.open_corpus("SEED-FRA", written("SEED-FRA", "raw"), options={"times": times})


def test_recordings_in_ant_neuros_format_are_named(made, tmp_path):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", signals=True, subjects=(1,))
    (folder / "French" / "01-EEG-raw" / "1_1.cnt").write_bytes(b"RIFF" + bytes(2000))
    with pytest.raises(FolderError, match="ANT Neuro"):
        af.open_corpus("SEED-FRA", folder, options={"times": made.raw_times("SEED-FRA")})


# features: which windows belong to which trial -----------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_the_published_ones_by_either_coding(name, written, layouts, made):
    trials = layouts.open_as(name, "features", written(name, "features")).trials
    for _, part in trials.groupby(["subject", "session"]):
        assert part["emotion"].tolist() == [WORDS[code] for code in made.LABELS[name]]
        assert part["duration_s"].tolist() == [
            made.seconds_of(row) for row in range(1, len(made.LABELS[name]) + 1)
        ]
        assert part["clip"].tolist()[0] == f"{name}/01"


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_of_one_label_are_left_out_without_times(name, written, made):
    folder = written(name, "features")
    corpus = af.open_corpus(name, folder)
    trials = corpus.trials
    for (_, session), part in trials.groupby(["subject", "session"]):
        border = made.BORDERS[name][session - 1]
        # the border between the parts of a file tells two neighbours apart
        known = {border, border + 1} & set(made.NEIGHBOURS[name])
        known = known if len(known) == 2 else set()
        lost = [row for row in made.NEIGHBOURS[name] if row not in known]
        rows = [row for row in range(1, len(made.LABELS[name]) + 1) if row not in lost]
        assert part["row"].tolist() == rows
        assert bool(known) == (session == 2)
    for _, trial in trials.iterrows():
        made.verify_features(trial, "de", corpus.read_features(trial, "de"))
    found = problems(name, folder, "warning")
    assert any("can't be told apart" in text and "option times" in text for text in found)
    assert not any("trials; row" in text for text in found)  # explained, not missing


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_are_told_apart_by_their_lengths(name, written, layouts, made):
    corpus = layouts.open_as(name, "features", written(name, "features"))
    rows = corpus.trials[corpus.trials["row"].isin(made.NEIGHBOURS[name])]
    for _, trial in rows.iterrows():
        for feature in ("de", "de@4s"):
            made.verify_features(trial, feature, corpus.read_features(trial, feature))


def test_the_warning_says_what_the_windows_tell_of_the_public_times(made, tmp_path, monkeypatch):
    start = [5, 411, 861, 1114, 1287, 1454, 1620, 1878, 2135, 2310, 2502, 2709, 3028, 3162, 3290]
    start += [3656, 3823, 4366]
    end = [136, 831, 1084, 1257, 1423, 1589, 1848, 2105, 2280, 2472, 2677, 2998, 3131, 3259, 3626]
    end += [3792, 4079, 4538]
    lengths = [b - a for a, b in zip(start, end, strict=True)]
    # a folder in which the hypothesis holds
    rows = [1, *range(3, 19), 20]
    seconds = {2: 240, 19: 230} | dict(zip(rows, lengths, strict=True))
    monkeypatch.setattr(made, "seconds_of", seconds.get)
    folder = made.write_language(tmp_path / "x", name="SEED-GER", features=(4,), subjects=(1,))
    (text, *_) = (t for t in problems("SEED-GER", folder, "warning") if "told apart" in t)
    # alone are 12 of 20 trials; trial 2 is none that the hypothesis has an interval for
    assert "Of the 12 others, 11 have as many windows as the public times" in text


def test_public_times_that_fit_the_windows_of_seed_fra(made, tmp_path, monkeypatch):
    public = registry.reader("SEED-FRA").public_times
    seconds = {row: int(b - a) for row, (a, b) in enumerate(public, start=1)}
    monkeypatch.setattr(made, "seconds_of", seconds.get)
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", features=(4,), subjects=(1,))
    found = problems("SEED-FRA", folder, "warning")
    assert any("Of the 17 others, 17 have as many windows" in text for text in found)
    corpus = af.open_corpus("SEED-FRA", folder, options={"times": "published"})
    assert corpus.feature_names == ("de@4s",)
    trial = corpus.trials.iloc[12]
    assert trial["duration_s"] == (2599 - 2492) // 4 * 4
    made.verify_features(trial, "de@4s", corpus.read_features(trial, "de@4s"))


@pytest.mark.parametrize("name", NAMES)
def test_times_that_contradict_the_windows_are_refused(name, written, made):
    times = made.feature_times(name)
    times[0] = [times[0][0], times[0][1] + 5]
    with pytest.raises(FolderError, match="trial 1 should have 14 windows and has 9"):
        af.open_corpus(name, written(name, "features"), options={"times": times})


def test_times_that_do_not_add_up_tell_nothing_apart(written, made):
    times = made.feature_times("SEED-FRA")
    times[11] = [times[11][0], times[11][1] + 1]
    corpus = af.open_corpus("SEED-FRA", written("SEED-FRA", "features"), options={"times": times})
    rows = corpus.trials.groupby("session")["row"].agg(set)
    assert rows[1].isdisjoint({12, 13})
    assert {15, 16} <= rows[1]
    assert {12, 13} <= rows[2]


def test_labels_that_are_not_the_corpuss_are_refused(made, tmp_path):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", features=(1,))
    path = folder / "French" / "02-EEG-DE-feature" / "eeg_used_1s" / "1_1.npz"
    made.write_npz(path, "SEED-GER", 1, 1, 1)
    with pytest.raises(FolderError, match="do not follow the 21 published ones"):
        af.open_corpus("SEED-FRA", folder)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_data": None}, "lacks the array 'train_data'"),
        ({"test_label": None}, "lacks the array 'test_label'"),
        ({"train_data": pickle.dumps({"delta": np.zeros((3, 62))})}, "no pickled dict"),
        ({"train_data": pickle.dumps([1])}, "no pickled dict"),
        ({"test_label": np.zeros(3)}, "3 labels"),
        ({"test_label": np.array(["a"])}, "holds no numbers"),
        ({"test_label": np.array([np.nan])}, "holds no numbers"),
        ({"test_label": np.arange(10_000)}, "10000 labels"),
        ({"train_data": np.zeros(3)}, "expected one pickle"),
        (
            {"train_data": pickle.dumps(dict.fromkeys(["delta", "theta", "alpha", "beta"], 1))},
            "no pickled dict",
        ),
        (
            {"train_data": pickle.dumps(dict.fromkeys(BANDS, 1))},
            "no array of numbers",
        ),
    ],
)
def test_other_contents_are_refused(changed, message, made, tmp_path):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", features=(1,))
    path = folder / "French" / "02-EEG-DE-feature" / "eeg_used_1s" / "1_1.npz"
    made.write_npz(path, "SEED-FRA", 1, 1, 1, **changed)
    with pytest.raises(FolderError, match=message):
        af.open_corpus("SEED-FRA", folder)


def test_labels_may_be_columns_or_pickled(made, tmp_path):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", features=(1,), subjects=(1,))
    path = folder / "French" / "02-EEG-DE-feature" / "eeg_used_1s" / "1_1.npz"
    with np.load(path) as file:
        labels = {part: file[f"{part}_label"] for part in ("train", "test")}
    made.write_npz(
        path,
        "SEED-FRA",
        1,
        1,
        1,
        train_label=labels["train"][:, None].astype(float),
        test_label=pickle.dumps(labels["test"]),
    )
    assert len(af.open_corpus("SEED-FRA", folder).trials) == 17 + 19 + 17


def test_windows_are_assigned_by_hand():
    labels = (1, 0, 0, -1)
    one_part = [[[1, 5], [0, 7], [-1, 2]], []]
    assert assign(one_part, labels) == [(0, 0, 5, (1,)), (0, 5, 7, (2, 3)), (0, 12, 2, (4,))]
    cut_between = [[[2, 5], [1, 3]], [[1, 4], [0, 2]]]
    assert assign(cut_between, labels) == [
        (0, 0, 5, (1,)),
        (0, 5, 3, (2,)),
        (1, 0, 4, (3,)),
        (1, 4, 2, (4,)),
    ]
    assert assign([[[1, 5]], [[0, 7]]], labels) is None
    assert assign([[[1, 5], [0, 7], [1, 2]], []], labels) is None


def test_features_say_window_bands_and_scale(written, layouts):
    corpus = layouts.open_as("SEED-FRA", "features", written("SEED-FRA", "features"))
    assert corpus.feature_names == ("de", "de@4s")
    assert [corpus.feature_info(name).window_s for name in corpus.feature_names] == [1.0, 4.0]
    info = corpus.feature_info("de")
    assert info.bands == BANDS
    assert "no source states" in info.scale


def test_features_beside_recordings(made, tmp_path):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", features=(1,), signals=True)
    assert af.open_corpus("SEED-FRA", folder).form == "features"
    with pytest.raises(FolderError, match="Or read the features"):
        af.open_corpus("SEED-FRA", folder, form="raw")


# folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_other_name_of_the_folder(name, made, tmp_path):
    folder = made.write_language(
        tmp_path / "x", name=name, features=(1,), feature_folder="02-EEG-DE-features"
    )
    assert af.open_corpus(name, folder).form == "features"


@pytest.mark.parametrize("name", NAMES)
def test_folders_without_a_telling_name_are_known_by_their_labels(name, made, tmp_path):
    other = NAMES[1 - NAMES.index(name)]
    folder = made.write_language(
        tmp_path / "x", name=name, features=(1,), signals=True, inner="people"
    )
    assert set(registry.reader(name).find_forms(folder)) == {"features", "raw"}
    assert registry.reader(other).find_forms(folder) == {}
    shutil.rmtree(folder / "people" / "02-EEG-DE-feature")
    for reader in (name, other):
        assert registry.reader(reader).find_forms(folder) == {}


def test_both_corpora_side_by_side(made, tmp_path):
    for name in NAMES:
        inner = name.replace("-", "_") + "/" + made.FOLDERS[name]
        made.write_language(tmp_path, name=name, signals=True, inner=inner, subjects=(1,))
    for name in NAMES:
        found = registry.reader(name).find_forms(tmp_path)
        assert found["raw"].parent.name == made.FOLDERS[name]


def test_the_chinese_tree_is_neither(made, tmp_path):
    folder = made.write_language(
        tmp_path / "x", name="SEED-FRA", signals=True, features=(1,), inner="Chinese"
    )
    for name in NAMES:
        assert registry.reader(name).find_forms(folder) == {}


def test_other_subjects_are_refused(made, tmp_path):
    folder = made.write_language(tmp_path / "x", name="SEED-FRA", features=(1,))
    path = folder / "French" / "02-EEG-DE-feature" / "eeg_used_1s" / "1_1.npz"
    path.rename(path.with_name("9_1.npz"))
    with pytest.raises(FolderError, match="SEED-FRA has 8 subjects"):
        af.open_corpus("SEED-FRA", folder)
