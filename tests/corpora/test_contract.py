"""What every reader promises, over all readers and forms of their corpora."""

from __future__ import annotations

import inspect
import json
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import affectrum as af
from affectrum import affect, catalog
from affectrum.corpora import registry
from affectrum.corpora.base import Corpus
from affectrum.errors import ConfigError, FileFormatError, FolderError

# architecture.md, "Trial table"
COLUMNS = {
    "corpus": "str",
    "subject": "int64",
    "session": "int64",
    "row": "int64",
    "trial": "Int64",
    "clip": "str",
    "film": "str",
    "series": "str",
    "emotion": "str",
    "rating_valence": "float64",
    "rating_arousal": "float64",
    "rating_dominance": "float64",
    "valence": "float64",
    "arousal": "float64",
    "onset_s": "float64",
    "duration_s": "float64",
    "sfreq": "float64",
    "n_channels": "int64",
    "file": "str",
    "key": "str",
    "simulated": "bool",
}


@pytest.fixture
def corpus(case, written, layouts):
    name, form = case
    return layouts.open_as(name, form, written(name, form))


def test_every_reader_has_a_fixture_and_facts(layouts):
    assert set(layouts.WRITERS) == set(af.corpora.names())
    assert set(af.corpora.names()) <= set(catalog.names())
    for name in af.corpora.names():
        reader = registry.reader(name)
        assert reader.name == name
        assert set(reader.signal_forms) == set(layouts.WRITERS[name])


def test_every_module_that_looks_like_a_reader_is_listed():
    folder = Path(inspect.getfile(af.corpora)).parent
    readers = {p.stem for p in folder.glob("*.py") if "\nREADER = " in p.read_text("utf-8")}
    assert readers == {registry.module_name(name) for name in af.corpora.names()}


@pytest.mark.parametrize("spelling", ["seed-iv", "SEED_IV", "SeedIV", "seed iv"])
def test_names_are_matched_without_case_and_signs(spelling):
    assert registry.reader(spelling).name == "SEED-IV"


def test_unknown_names_and_forms_are_explained(written):
    with pytest.raises(ConfigError, match="'DEEP'.*SEED, SEED-IV, DEAP.*Did you mean 'DEAP'"):
        af.open_corpus("DEEP", ".")
    with pytest.raises(ConfigError, match="'form': 'mat'"):
        af.open_corpus("DEAP", written("DEAP", "python"), form="mat")


def test_trial_table_has_the_columns_of_the_architecture(corpus):
    dtypes = dict(corpus.trials.dtypes.astype(str))
    assert list(dtypes)[: len(COLUMNS)] == list(COLUMNS)
    assert {name: dtypes[name] for name in COLUMNS} == COLUMNS
    further = dict(list(dtypes.items())[len(COLUMNS) :])
    ratings = {f"rating_{name}": "float64" for name in corpus.facts.ratings}
    allowed = {**ratings, **af.corpora.EXTRA_COLUMNS}
    assert {name: allowed.get(name) for name in further} == further
    assert set(ratings) <= set(dtypes)
    assert dict(af.corpora.COLUMNS) == COLUMNS


def test_trial_table_identifies_every_trial(corpus):
    trials, facts = corpus.trials, corpus.facts
    assert (trials["corpus"] == corpus.name).all()
    assert sorted(trials["subject"].unique()) == [1, 2]
    assert len(trials) == 2 * sum(facts.trials_per_session)
    identity = ["subject", "session", "row"]
    assert not trials.duplicated(identity).any()
    pd.testing.assert_frame_equal(trials, trials.sort_values(identity, ignore_index=True))
    for (_, session), part in trials.groupby(["subject", "session"]):
        n = facts.trials_per_session[session - 1]
        assert part["row"].tolist() == list(range(1, n + 1))
        assert sorted(part["trial"]) == list(range(1, n + 1))
        assert sorted(part["clip"]) == sorted(clip.clip for clip in facts.clips[session - 1])


def test_trial_table_points_to_files(corpus):
    for file in corpus.trials["file"].unique():
        assert "\\" not in file
        assert not file.startswith("/")
        assert (corpus.folder / file).is_file()


def test_labels_are_the_catalogues(corpus):
    trials, facts = corpus.trials, corpus.facts
    by_clip = {clip.clip: clip for session in facts.clips for clip in session}
    for _, trial in trials.iterrows():
        clip = by_clip[trial["clip"]]
        for name in ("film", "series", "emotion"):
            value = getattr(clip, name)
            assert pd.isna(trial[name]) if value is None else trial[name] == value
    if facts.is_rated:
        plane = affect.to_valence_arousal(
            trials[["rating_valence", "rating_arousal"]].to_numpy(), corpus.name
        )
    else:
        assert trials["rating_valence"].isna().all()
        plane = affect.to_valence_arousal(trials["emotion"].tolist(), corpus.name)
    np.testing.assert_allclose(trials[["valence", "arousal"]].to_numpy(), plane)
    assert trials["valence"].abs().max() <= 1


def test_the_table_of_the_plane_can_be_chosen(case, written, layouts):
    name, form = case
    other = af.open_corpus(name, written(name, form), form=form, table="warriner").trials
    default = layouts.open_as(name, form, written(name, form)).trials
    labelled = not catalog.get(name).is_rated
    assert (other["valence"] != default["valence"]).any() == labelled


def test_signals_are_those_of_their_row(corpus, case, layouts):
    verify = layouts.WRITERS[case[0]][case[1]].verify
    picked = corpus.trials.sample(12, random_state=0)
    for _, trial in picked.iterrows():
        x = corpus.read(trial)
        assert x.dtype == np.float64
        assert x.shape == (len(corpus.channels), round(trial["duration_s"] * trial["sfreq"]))
        assert trial["n_channels"] == len(corpus.channels)
        verify(trial, x)


def test_channels_are_canonical_and_in_the_catalogues_order(corpus):
    assert corpus.channels == corpus.facts.electrodes
    assert [af.electrodes.canonical(name) for name in corpus.channels] == list(corpus.channels)


def test_baseline_is_what_lies_before_the_stimulus(corpus):
    trial = corpus.trials.iloc[5]
    baseline = corpus.read_baseline(trial)
    if corpus.facts.baseline_s:
        n = round(corpus.facts.baseline_s * trial["sfreq"])
        assert baseline.shape == (len(corpus.channels), n)
        assert not np.array_equal(baseline[:, -50:], corpus.read(trial)[:, :50])
    else:
        assert baseline is None


def test_iteration_gives_what_read_gives_and_opens_each_file_once(corpus, monkeypatch):
    opened = []
    original = type(corpus)._open
    monkeypatch.setattr(
        type(corpus), "_open", lambda self, path: opened.append(path) or original(self, path)
    )
    rows = corpus.trials.iloc[::7]
    found = list(corpus.iter_trials(rows))
    assert len(opened) == rows["file"].nunique() == len(set(opened))
    assert [trial["clip"] for trial, _ in found] == rows["clip"].tolist()
    for trial, x in found:
        np.testing.assert_array_equal(x, corpus.read(trial))


def test_iteration_takes_positions_masks_and_mixed_order(corpus):
    trials = corpus.trials
    by_position = [t["row"] for t, _ in corpus.iter_trials(np.array([3, 1]))]
    assert by_position == [trials.iloc[3]["row"], trials.iloc[1]["row"]]
    mask = (trials["subject"] == 2) & (trials["row"] == 4)
    assert len(list(corpus.iter_trials(mask.to_numpy()))) == mask.sum()
    shuffled = trials.sample(frac=0.2, random_state=1)
    files = [t["file"] for t, _ in corpus.iter_trials(shuffled)]
    assert len(files) == len(shuffled)
    changes = sum(a != b for a, b in pairwise(files))
    assert changes == len(set(files)) - 1  # trials of one file come together
    assert list(corpus.iter_trials(trials.iloc[:0])) == []


def test_foreign_rows_are_refused(corpus):
    row = corpus.trials.iloc[0].copy()
    row["key"] = "no such trial"
    for wrong in (row, {}, 3):
        with pytest.raises(ConfigError, match="Invalid value for 'trial'"):
            corpus.read(wrong)


def test_simulated_is_marked(case, layouts, tmp_path):
    name, form = case
    writer = layouts.WRITERS[name][form].write
    folder = writer(tmp_path / "real", subjects=(1,), simulated=False)
    assert not layouts.open_as(name, form, folder).trials["simulated"].any()
    (folder / "SIMULATED.txt").write_text("")
    corpus = layouts.open_as(name, form, folder)
    assert corpus.simulated
    assert corpus.trials["simulated"].all()


def test_inner_folders_can_be_named_and_stay_marked(case, written, layouts):
    name, form = case
    folder = written(name, form)
    outer = layouts.open_as(name, form, folder)
    inner = layouts.open_as(name, form, outer._roots[form])
    assert len(inner.trials) == len(outer.trials)
    assert inner.simulated
    if len(outer._roots[form].relative_to(folder).parts) < 2:
        above = layouts.open_as(name, form, folder.parent)
        assert len(above.trials) == len(outer.trials)


def test_renamed_folders_of_files_are_known_by_their_content(layouts, tmp_path):
    seed = layouts.write_seed(tmp_path / "SEED", subjects=(1,), features=True)
    for form, inner in (("preprocessed", "Preprocessed_EEG"), ("features", "ExtractedFeatures_1s")):
        folder = (seed / "SEED_EEG" / inner).rename(tmp_path / f"my {form}")
        corpus = af.open_corpus("SEED", folder)
        assert corpus.form == form
        assert len(corpus.trials) == 45
    trial = corpus.trials.iloc[0]
    assert corpus.read_features(trial, "de_LDS").shape == (trial["duration_s"], 62, 5)
    for form in ("python", "matlab"):
        deap = layouts.write_deap(tmp_path / form, subjects=(1,), form=form)
        folder = next(deap.glob("data_*")).rename(deap / "my files")
        assert af.open_corpus("DEAP", folder).form == form


def test_the_cache_folder_of_each_system(monkeypatch, tmp_path):
    from affectrum.corpora.cache import cache_folder

    monkeypatch.setenv("AFFECTRUM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("AFFECTRUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "affectrum"
    monkeypatch.setattr("sys.platform", "win32")
    assert cache_folder() == tmp_path / "local" / "affectrum"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder().parts[-3:] == ("Library", "Caches", "affectrum")


def _state(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))
    }


def test_the_vendors_folder_is_left_alone(case, written, layouts):
    name, form = case
    folder = written(name, form)
    before = _state(folder)
    corpus = layouts.open_as(name, form, folder)
    corpus.read(corpus.trials.iloc[0])
    corpus.check()
    corpus.fingerprint(corpus.trials["file"][0])
    assert _state(folder) == before


def test_junk_of_operating_systems_changes_nothing(case, layouts, tmp_path):
    name, form = case
    writer = layouts.WRITERS[name][form].write
    folder = writer(tmp_path / name, subjects=(1,))
    before = layouts.open_as(name, form, folder)
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        for junk in (".DS_Store", "Thumbs.db", "desktop.ini", "~$label.xlsx"):
            (place / junk).write_bytes(b"junk")
        for path in list(place.iterdir()):
            if path.is_file() and not path.name.startswith((".", "~")):
                (place / f"._{path.name}").write_bytes(b"junk")
    (folder / "__MACOSX").mkdir()
    after = layouts.open_as(name, form, folder)
    pd.testing.assert_frame_equal(after.trials, before.trials)
    assert after.check().problems == before.check().problems


def test_headers_are_read_once(case, layouts, tmp_path, monkeypatch):
    from affectrum.recordings import biosemi, mat, pickles

    name, form = case
    writer = layouts.WRITERS[name][form].write
    folder = writer(tmp_path / name, subjects=(1, 2))
    first = layouts.open_as(name, form, folder).trials
    read = []

    def forbid(*args, **kwargs):
        read.append(args)
        raise AssertionError("a header was read again")

    with monkeypatch.context() as patch:
        patch.setattr(mat, "list_variables", forbid)
        patch.setattr(mat.MatFile, "__init__", forbid)
        patch.setattr(pickles, "describe", forbid)
        patch.setattr(biosemi.BdfFile, "__init__", forbid)
        if name == "SEED":  # its label.mat is compared every time
            patch.setattr(registry.reader(name), "_check_labels", lambda *a: None)
        second = layouts.open_as(name, form, folder).trials
    pd.testing.assert_frame_equal(first, second)
    assert read == []


def test_changed_files_are_read_anew(case, layouts, tmp_path):
    name, form = case
    writer = layouts.WRITERS[name][form].write
    folder = writer(tmp_path / name, subjects=(1,))
    corpus = layouts.open_as(name, form, folder)
    file = corpus.trials["file"][0]
    digest = corpus.fingerprint(file)
    assert len(digest) == 64
    assert corpus.fingerprint(file) == digest
    path = folder / file
    path.write_bytes(path.read_bytes()[:-100])
    assert corpus.fingerprint(file) != digest
    with pytest.raises(FolderError):
        layouts.open_as(name, form, folder)
    path.unlink()
    with pytest.raises(FileFormatError):
        corpus.fingerprint(file)
    with pytest.raises(FileFormatError):
        corpus.read(corpus.trials.iloc[0])


def test_digests_are_computed_once(case, written, monkeypatch, layouts):
    from affectrum.corpora import base

    name, form = case
    corpus = layouts.open_as(name, form, written(name, form))
    file = corpus.trials["file"][0]
    calls = []
    real = base.digest_file
    monkeypatch.setattr(base, "digest_file", lambda path: calls.append(path) or real(path))
    first = corpus.fingerprint(file)
    again = layouts.open_as(name, form, written(name, form)).fingerprint(file)
    assert first == again
    assert len(calls) == 1


def test_an_unusable_cache_folder_costs_nothing_but_time(
    case, written, monkeypatch, tmp_path, layouts
):
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("AFFECTRUM_CACHE", str(blocked))
    name, form = case
    corpus = layouts.open_as(name, form, written(name, form))
    assert corpus.fingerprint(corpus.trials["file"][0])


def test_an_empty_folder_is_explained(case, tmp_path):
    name, _ = case
    with pytest.raises(FolderError) as caught:
        af.open_corpus(name, tmp_path)
    message = str(caught.value)
    assert f"affectrum check {name}" in message
    assert catalog.get(name).expected_folder.splitlines()[0] in message
    assert caught.value.problems


def test_missing_folders_and_files_are_explained(case, tmp_path):
    name, _ = case
    with pytest.raises(FolderError, match="there is no folder"):
        af.open_corpus(name, tmp_path / "absent")
    (tmp_path / "x").write_text("")
    with pytest.raises(FolderError, match="is a file"):
        af.open_corpus(name, tmp_path / "x")


def test_another_corpus_is_recognised(case, written):
    name, form = case
    for other in af.corpora.names():
        if other != name:
            with pytest.raises(FolderError, match=f"this looks like {name}, not {other}"):
                af.open_corpus(other, written(name, form))


def test_a_form_that_is_not_there_is_named(case, written):
    name, form = case
    folder = written(name, form)
    there = registry.reader(name).find_forms(folder)
    for wanted in registry.reader(name).forms:
        if wanted not in there:
            with pytest.raises(FolderError, match=f"form {wanted!r} is not there"):
                af.open_corpus(name, folder, form=wanted)


def test_check_of_a_sound_folder(case, layouts, tmp_path):
    name, form = case
    writer = layouts.WRITERS[name][form].write
    layout = layouts.WRITERS[name][form]
    folder = writer(tmp_path / name, subjects=(1, 2), **layout.sound)
    report = af.corpora.check_folder(name, folder, form=form, options=layout.options)
    assert report.usable
    assert report.of_level("error") == []
    facts = catalog.get(name)
    # only the subjects that the fixture leaves out
    missing = [] if facts.trials_vary else [True]
    assert ["subjects are missing" in p.what for p in report.of_level("warning")] == missing
    assert report.found["subjects"] == 2
    n_trials = layout.n_trials or 2 * sum(facts.trials_per_session)
    assert report.found["trials"] == n_trials
    assert report.found["trials_read"] == report.found["files"]
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert "usable" in str(report)
    deep = layouts.open_as(name, form, folder).check(deep=True)
    assert deep.usable
    assert deep.found["trials_read"] == deep.found["trials"]


def test_check_raises_for_no_folder(tmp_path):
    for name in af.corpora.names():
        for folder in (tmp_path, tmp_path / "absent", Path("/dev/null")):
            report = af.corpora.check_folder(name, folder)
            assert not report.usable
            assert report.problems[0].fix
            assert "NOT usable" in str(report)


def test_one_trial_in_memory_at_a_time(layouts, tmp_path):
    name, file = "SEED", tmp_path / "Preprocessed_EEG" / "1_20131027.mat"
    from scipy.io import savemat

    file.parent.mkdir()
    rng = np.random.default_rng(0)
    trial = rng.normal(size=(62, 200 * 20 + 1))
    savemat(file, {f"djc_eeg{n}": trial * n for n in range(1, 16)}, do_compression=True)
    (tmp_path / "SIMULATED.txt").write_text("")
    corpus = af.open_corpus(name, tmp_path)
    corpus.trials  # noqa: B018 - built before the measurement
    tracemalloc.start()
    try:
        for _, x in corpus.iter_trials():
            del x
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # packed bytes, unpacked bytes, array, volts and the trial before: not the file's fifteen
    assert peak < 6 * trial.nbytes


def test_readers_are_classes_of_one_base():
    for name in af.corpora.names():
        assert issubclass(registry.reader(name), Corpus)


def test_no_opener_unpickles():
    for folder in ("corpora", "recordings"):
        for path in (Path(inspect.getfile(af)).parent / folder).glob("*.py"):
            code = [line for line in path.read_text("utf-8").splitlines() if "``pickle" not in line]
            text = "\n".join(code)
            assert "import pickle\n" not in text, path
            assert "allow_pickle=True" not in text, path
