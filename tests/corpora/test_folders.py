"""What every reader promises of folders: found, told apart, left alone, read once."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import h5py
import pandas as pd
import pytest

import affectrum as af
from affectrum import catalog
from affectrum.corpora import registry
from affectrum.corpora.cache import FileCache
from affectrum.errors import AffectrumError, FileFormatError, FolderError


class _Opened:
    """Which files of a folder are opened, by whatever part of Python."""

    def __init__(self):
        self.folder = None
        self.paths = set()
        sys.addaudithook(self._hook)

    def note(self, path):
        if self.folder is not None and isinstance(path, str | bytes | Path):
            text = path.decode() if isinstance(path, bytes) else str(path)
            if text.startswith(str(self.folder)):
                self.paths.add(Path(text).relative_to(self.folder).as_posix())

    def _hook(self, event, arguments):
        if event == "open":
            self.note(arguments[0])

    @contextmanager
    def below(self, folder, monkeypatch):
        real = h5py.File.__init__

        def init(file, name, *args, **kwargs):
            self.note(name)
            real(file, name, *args, **kwargs)

        self.folder, self.paths = folder, set()
        with monkeypatch.context() as patch:
            patch.setattr(h5py.File, "__init__", init)
            try:
                yield self.paths
            finally:
                self.folder = None


OPENED = _Opened()  # hooks can't be taken back: there is one, and it rests mostly


def read_all(corpus):
    """Read every trial, or every feature of it."""
    if corpus.form in corpus.signal_forms:
        for _ in corpus.iter_trials():
            pass
    else:
        for _, trial in corpus.trials.iterrows():
            for name in corpus.feature_names:
                corpus.read_features(trial, name)


# which corpus, which form, from where


def test_a_folder_is_recognised_as_its_corpus_alone(any_case, written):
    name, form = any_case
    folder = written(name, form)
    assert af.corpora.recognise(folder) == (name,)
    assert form in registry.reader(name).find_forms(folder)


def test_another_corpus_is_recognised(any_case, written):
    name, form = any_case
    for other in af.corpora.names():
        if other != name and other in catalog.names():
            with pytest.raises(FolderError, match=f"this looks like {name}, not {other}"):
                af.open_corpus(other, written(name, form))


def test_forms_of_the_folder_are_those_that_are_there(any_case, written, layouts):
    name, form = any_case
    auto = af.open_corpus(name, written(name, form), options=layouts.layout_of(name, form).options)
    there = list(registry.reader(name).find_forms(written(name, form)))
    preferred = [known for known in registry.reader(name).forms if known in there]
    assert auto.form == preferred[0]


def test_a_form_that_is_not_there_is_named(any_case, written):
    name, form = any_case
    folder = written(name, form)
    there = registry.reader(name).find_forms(folder)
    for wanted in registry.reader(name).forms:
        if wanted not in there:
            with pytest.raises(FolderError, match=f"form {wanted!r} is not there"):
                af.open_corpus(name, folder, form=wanted)


def test_an_empty_folder_is_explained(any_case, tmp_path):
    name, _ = any_case
    with pytest.raises(FolderError) as caught:
        af.open_corpus(name, tmp_path)
    message = str(caught.value)
    assert f"affectrum check {name}" in message
    assert catalog.get(name).expected_folder.splitlines()[0] in message
    assert caught.value.problems


def test_missing_folders_and_files_are_explained(any_case, tmp_path):
    name, _ = any_case
    with pytest.raises(FolderError, match="there is no folder"):
        af.open_corpus(name, tmp_path / "absent")
    (tmp_path / "x").write_text("")
    with pytest.raises(FolderError, match="is a file"):
        af.open_corpus(name, tmp_path / "x")


def test_inner_folders_can_be_named_and_stay_marked(any_case, written, layouts):
    name, form = any_case
    folder = written(name, form)
    outer = layouts.open_as(name, form, folder)
    inner = layouts.open_as(name, form, outer._roots[form])
    assert len(inner.trials) == len(outer.trials)
    assert inner.simulated
    labels = ["subject", "session", "row", "clip", "emotion", "valence", "arousal"]
    pd.testing.assert_frame_equal(inner.trials[labels], outer.trials[labels])
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


def test_simulated_is_marked(any_case, layouts, tmp_path):
    name, form = any_case
    write = layouts.layout_of(name, form).write
    folder = write(tmp_path / "real", subjects=(1,), simulated=False)
    assert not layouts.open_as(name, form, folder).trials["simulated"].any()
    (folder / "SIMULATED.txt").write_text("")
    corpus = layouts.open_as(name, form, folder)
    assert corpus.simulated
    assert corpus.trials["simulated"].all()


# the vendor's folder and the cache


def _state(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))
    }


def test_the_vendors_folder_is_left_alone(any_case, written, layouts):
    name, form = any_case
    folder = written(name, form)
    before = _state(folder)
    corpus = layouts.open_as(name, form, folder)
    if form in corpus.signal_forms:
        corpus.read(corpus.trials.iloc[0])
    corpus.check()
    corpus.fingerprint(corpus.trials["file"][0])
    assert _state(folder) == before


def test_junk_of_operating_systems_changes_nothing(any_case, layouts, tmp_path):
    name, form = any_case
    write = layouts.layout_of(name, form).write
    folder = write(tmp_path / name, subjects=(1,))
    before = layouts.open_as(name, form, folder)
    problems = before.check().problems
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        for path in list(place.iterdir()):
            if path.is_file() and not path.name.startswith((".", "~")):
                (place / f"._{path.name}").write_bytes(b"junk")
        for junk in (".DS_Store", "Thumbs.db", "desktop.ini", "~$label.xlsx"):
            (place / junk).write_bytes(b"junk")
    (folder / "__MACOSX").mkdir()
    after = layouts.open_as(name, form, folder)
    pd.testing.assert_frame_equal(after.trials, before.trials)
    assert after.check().problems == problems


def test_data_files_are_opened_once_for_their_headers(any_case, layouts, tmp_path, monkeypatch):
    name, form = any_case
    write = layouts.layout_of(name, form).write
    folder = write(tmp_path / name, subjects=(1, 2))
    with OPENED.below(folder, monkeypatch) as opened:
        first = layouts.open_as(name, form, folder).trials
    assert opened & set(first["file"])  # the hook works
    data = {folder / file for file in first["file"]}
    real = FileCache.get

    def get(cache, path, kind, compute):
        return real(cache, path, kind, lambda p: _forbidden(p) if p in data else compute(p))

    monkeypatch.setattr(FileCache, "get", get)
    with OPENED.below(folder, monkeypatch) as opened:
        second = layouts.open_as(name, form, folder).trials
    pd.testing.assert_frame_equal(first, second)
    # label files may be compared every time, and one file be looked at to recognise the corpus
    assert len(opened & set(first["file"])) <= 1


def _forbidden(path):
    raise AssertionError(f"the header of {path} was read again")


def test_changed_files_are_read_anew(any_case, layouts, tmp_path):
    name, form = any_case
    write = layouts.layout_of(name, form).write
    folder = write(tmp_path / name, subjects=(1,))
    corpus = layouts.open_as(name, form, folder)
    file = corpus.trials["file"][0]
    digest = corpus.fingerprint(file)
    assert len(digest) == 64
    assert corpus.fingerprint(file) == digest
    path = folder / file
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    assert corpus.fingerprint(file) != digest
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AffectrumError):
        read_all(layouts.open_as(name, form, folder))
    path.unlink()
    with pytest.raises(FileFormatError):
        corpus.fingerprint(file)
    with pytest.raises(FileFormatError):
        read_all(corpus)


def test_digests_are_computed_once(any_case, written, monkeypatch, layouts):
    from affectrum.corpora import base

    name, form = any_case
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
    any_case, written, monkeypatch, tmp_path, layouts
):
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    monkeypatch.setenv("AFFECTRUM_CACHE", str(blocked))
    name, form = any_case
    corpus = layouts.open_as(name, form, written(name, form))
    assert corpus.fingerprint(corpus.trials["file"][0])


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


# checks


def test_check_of_a_sound_folder(any_case, layouts, tmp_path):
    name, form = any_case
    layout = layouts.layout_of(name, form)
    folder = layout.write(tmp_path / name, subjects=(1, 2), **layout.sound)
    report = af.corpora.check_folder(name, folder, form=form, options=layout.options)
    assert report.usable, str(report)
    assert report.of_level("error") == []
    facts = catalog.get(name)
    # only the subjects that the fixture leaves out, and known defects of the corpus
    missing = ["subjects are missing" in p.what for p in report.of_level("warning")]
    assert sum(missing) == (0 if facts.trials_vary else 1)
    assert all(problem.fix for problem in report.of_level("warning"))
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
        if name not in catalog.names():
            continue
        for folder in (tmp_path, tmp_path / "absent", Path("/dev/null")):
            report = af.corpora.check_folder(name, folder)
            assert not report.usable
            assert report.problems[0].fix
            assert "NOT usable" in str(report)
