from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_corpus import CHANNELS, FakeCorpus, write_folder

from affectrum.errors import ConfigError, ElectrodeError, StoreError
from affectrum.pipeline import process
from affectrum.recipes import Recipe
from affectrum.store import Store
from affectrum.windows import TRIAL_COLUMNS, Windows

ALL_FILES = ["s1_1.npz", "s1_2.npz", "s2_1.npz", "s2_2.npz", "s3_1.npz", "s3_2.npz"]


def same(first: Windows, second: Windows) -> bool:
    return np.array_equal(first.x, second.x) and first.table.equals(second.table)


def content(folder: Path) -> dict[str, bytes]:
    """Every byte of the entries below a store; the marks of locks are not part of it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".locks" not in path.parts
    }


def test_windows_are_those_of_the_pipeline(tmp_path: Path, corpus, recipe) -> None:
    windows = Store(tmp_path / "store").prepare(corpus, recipe)
    assert isinstance(windows.x, np.memmap)
    start = 0
    for trial, x in corpus.iter_trials(corpus.trials):
        expected = process(x, CHANNELS, 100.0, recipe)
        stop = start + len(expected.x)
        np.testing.assert_array_equal(windows.x[start:stop], expected.x)
        rows = windows.table.iloc[start:stop]
        for name in ("subject", "session", "row", "emotion", "file", "key"):
            assert (rows[name] == trial[name]).all()
        assert rows["window"].tolist() == expected.window.tolist()
        assert rows["start_s"].tolist() == expected.start_s.tolist()
        assert rows["artefact"].tolist() == expected.artefact.tolist()
        start = stop
    assert start == len(windows) == 108
    assert windows.simulated
    assert windows.channels == ("Fz", "Oz")
    assert windows.recipe == recipe.digest()
    assert windows.corpus == "FAKE"
    assert windows.sfreq == 100.0
    assert windows.bands is not None
    assert [band.name for band in windows.bands] == ["alpha", "beta"]
    assert tuple(windows.table.columns) == (*TRIAL_COLUMNS, "window", "start_s", "artefact")
    pd.testing.assert_frame_equal(
        windows.trials()[list(TRIAL_COLUMNS)], corpus.trials, check_dtype=True
    )


def test_the_second_time_nothing_is_computed(tmp_path: Path, corpus, recipe, folder) -> None:
    store = Store(tmp_path / "store")
    first = store.prepare(corpus, recipe)
    assert corpus.opened == ALL_FILES
    before = content(tmp_path / "store")
    again = FakeCorpus(folder)
    assert same(store.prepare(again, recipe), first)
    assert again.opened == []
    assert content(tmp_path / "store") == before


def test_workers_and_order_of_work_change_nothing(tmp_path: Path, corpus, recipe) -> None:
    one = Store(tmp_path / "one").prepare(corpus, recipe)
    two = Store(tmp_path / "two").prepare(corpus, recipe, workers=2)
    assert same(one, two)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_open_needs_no_corpus_folder(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    prepared = store.prepare(corpus, recipe)
    opened = store.open("fake", recipe)
    assert same(opened, prepared)
    assert same(
        pickle.loads(pickle.dumps(opened.select(slice(5, 9)))), prepared.select([5, 6, 7, 8])
    )


def test_two_folds_can_be_open_at_once(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    first, second = store.prepare(corpus, recipe), store.prepare(corpus, recipe)
    train, test = first.select(first.table["subject"] != 1), second.select(slice(0, 10))
    assert len(train.x) == 72
    assert len(test.x) == 10


# ---------------------------------------------------------------- the key


@pytest.mark.parametrize(
    "change",
    [
        {"window_s": 2.0},
        {"bands": {"alpha": (8, 13), "beta": (14, 31)}},
        {"electrodes": ("Oz", "Fz")},
        {"reference": "none"},
    ],
)
def test_another_recipe_is_another_entry(tmp_path: Path, corpus, recipe, change) -> None:
    store = Store(tmp_path / "store")
    store.prepare(corpus, recipe)
    store.prepare(corpus, recipe.replace(**change))
    assert len(store.entries()) == 2
    assert corpus.opened == ALL_FILES * 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("reader_version", "2"), ("form", "other"), ("channels", ("Fz", "Fp1", "Cz", "Pz", "Oz"))],
)
def test_another_reader_is_another_entry(tmp_path: Path, corpus, recipe, name, value) -> None:
    store = Store(tmp_path / "store")
    store.prepare(corpus, recipe)
    setattr(corpus, name, value)
    store.prepare(corpus, recipe)
    assert len(store.entries()) == 2
    assert corpus.opened == ALL_FILES * 2


def test_a_renamed_recipe_is_the_same_entry(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    store.prepare(corpus, recipe)
    store.prepare(corpus, recipe.replace(name="other", description="words"))
    assert len(store.entries()) == 1


def test_labels_are_those_of_today(tmp_path: Path, folder, recipe) -> None:
    store = Store(tmp_path / "store")
    store.prepare(FakeCorpus(folder, valence=0.25), recipe)
    corpus = FakeCorpus(folder, valence=-0.75)
    assert set(store.prepare(corpus, recipe).table["valence"]) == {-0.75}
    assert corpus.opened == []
    assert set(store.open("FAKE", recipe).table["valence"]) == {0.25}


def test_a_changed_file_alone_is_computed_again(tmp_path: Path, folder, recipe) -> None:
    store = Store(tmp_path / "store")
    old = store.prepare(FakeCorpus(folder), recipe)
    write_folder(tmp_path / "other", seed=9)
    (tmp_path / "other" / "s2_1.npz").replace(folder / "s2_1.npz")
    corpus = FakeCorpus(folder)
    new = store.prepare(corpus, recipe)
    assert corpus.opened == ["s2_1.npz"]
    changed = (new.x != old.x).any(axis=(1, 2))
    assert set(new.table.loc[changed, "file"]) == {"s2_1.npz"}
    assert same(new, Store(tmp_path / "fresh").prepare(corpus, recipe))


# ---------------------------------------------------------------- subsets and growth


def test_a_subset_reads_only_its_files(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    part = store.prepare(corpus, recipe, subjects=[2], sessions=[1])
    assert corpus.opened == ["s2_1.npz"]
    assert set(part.table["subject"]) == {2}
    whole = store.prepare(corpus, recipe)
    assert sorted(corpus.opened) == ALL_FILES  # that file was copied, not computed
    rows = ((whole.table["subject"] == 2) & (whole.table["session"] == 1)).to_numpy()
    assert same(whole.select(rows), part)
    corpus.opened.clear()
    later = store.prepare(corpus, recipe, subjects=[3, 1])
    assert corpus.opened == []
    assert later.subjects == (1, 3)
    assert same(whole, Store(tmp_path / "fresh").prepare(corpus, recipe))
    assert content(tmp_path / "fresh") == {
        name: data
        for name, data in content(tmp_path / "store").items()
        if name in content(tmp_path / "fresh")
    }


def test_a_corpus_that_grows_computes_the_new_files_only(tmp_path: Path, recipe) -> None:
    store = Store(tmp_path / "store")
    folder = write_folder(tmp_path / "fake", n_subjects=2)
    store.prepare(FakeCorpus(folder), recipe)
    write_folder(folder, n_subjects=3)
    corpus = FakeCorpus(folder)
    windows = store.prepare(corpus, recipe)
    assert corpus.opened == ["s3_1.npz", "s3_2.npz"]
    assert len(store.entries()) == 2
    assert same(store.open("FAKE", recipe), windows)  # the larger one holds the smaller


def test_several_subjects_in_one_file(tmp_path: Path, recipe) -> None:
    class OneFile(FakeCorpus):
        @property
        def trials(self) -> pd.DataFrame:
            table = super().trials
            return table.assign(subject=table["row"])

    corpus = OneFile(write_folder(tmp_path / "fake", n_subjects=1, n_sessions=1))
    store = Store(tmp_path / "store")
    part = store.prepare(corpus, recipe, subjects=[2])
    assert set(part.table["subject"]) == {2}
    assert len(part) == 6
    assert len(store.prepare(corpus, recipe)) == 18
    assert corpus.opened == ["s1_1.npz"]


def test_unknown_subjects_are_refused(tmp_path: Path, corpus, recipe) -> None:
    with pytest.raises(ConfigError, match=r"no subject 7; there are \[1, 2, 3\]; no session 4"):
        Store(tmp_path).prepare(corpus, recipe, subjects=[1, 7], sessions=[4])


# ---------------------------------------------------------------- estimate and progress


@pytest.mark.parametrize("kind", ["de", "raw"])
def test_the_estimate_is_close(tmp_path: Path, corpus, recipe, kind) -> None:
    store = Store(tmp_path / "store")
    recipe = recipe.replace(kind=kind, sfreq=64.0 if kind == "raw" else None)
    estimate = store.estimate(corpus, recipe)
    windows = store.prepare(corpus, recipe)
    values = windows.x.nbytes + 17 * len(windows)
    assert values <= estimate <= values + 10_000
    assert store.estimate(corpus, recipe, subjects=[1]) < estimate / 2
    assert store.entries()[0].size == pytest.approx(estimate, abs=12_000)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_grows_to_its_total(tmp_path: Path, corpus, recipe, workers) -> None:
    seen: list[tuple[float, float, str]] = []
    Store(tmp_path / "store").prepare(
        corpus, recipe, workers=workers, progress=lambda *now: seen.append(now)
    )
    done = [now[0] for now in seen]
    assert done == sorted(done)
    assert {now[1] for now in seen} == {18}
    assert seen[-1] == (18, 18, "done")
    assert any("s3_2.npz" in now[2] for now in seen)


# ---------------------------------------------------------------- rejected and marked


def test_rejected_and_marked_windows_are_counted(tmp_path: Path, folder, recipe) -> None:
    with np.load(folder / "s1_1.npz") as file:
        arrays = {name: file[name].copy() for name in file.files}
    arrays["t1"][4, 150] = np.nan
    arrays["t2"][1, 210] = 0.01
    arrays["t3"] = arrays["t3"][:, :50]
    np.savez(folder / "s1_1.npz", **arrays)
    store = Store(tmp_path / "store")
    windows = store.prepare(FakeCorpus(folder), recipe)
    entry = store.entries()[0]
    assert entry.rejected == {"samples not finite": 1, "trial shorter than a window": 1}
    assert entry.marked is not None
    assert entry.marked["amplitude"] == 1
    first = windows.table.query("file == 's1_1.npz' and row == 1")
    assert first["window"].tolist() == [0, 2, 3, 4]
    hit = windows.table.query("file == 's1_1.npz' and row == 2 and window == 2")
    assert hit["artefact"].all()
    assert np.isfinite(windows.x).all()


def test_a_corpus_without_a_window_is_refused(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match=r"None of the 18 trials .* shorter than a window: 18"):
        store.prepare(corpus, recipe.replace(window_s=60.0))
    assert all(entry.state != "complete" for entry in store.entries())


# ---------------------------------------------------------------- shipped features


def test_shipped_features_are_an_entry_of_their_own(tmp_path: Path, corpus, recipe) -> None:
    shipped = recipe.replace(
        source="shipped:de_LDS", reference="none", bands=dict.fromkeys("abcde", (1, 2))
    )
    store = Store(tmp_path / "store")
    windows = store.prepare(corpus, shipped)
    trial = corpus.trials.iloc[4]
    expected = corpus.read_features(trial, "de_LDS")[:, [1, 4]]
    rows = windows.table.query("file == @trial.file and row == @trial.row").index
    np.testing.assert_array_equal(windows.x[rows], expected.astype(np.float32))
    with pytest.raises(ConfigError, match="can't be joined"):
        Windows.concatenate([windows, store.prepare(corpus, recipe)])
    with pytest.raises(ConfigError, match=r"'psd'[\s\S]*ships: de_LDS"):
        store.prepare(corpus, shipped.replace(source="shipped:psd"))
    with pytest.raises(ConfigError, match=r"window_s is 4, .* have 1 s; .* 2 bands, the file 5"):
        store.prepare(corpus, shipped.replace(window_s=4.0, bands={"a": (1, 2), "b": (2, 3)}))


def test_features_can_not_stand_in_for_signals(tmp_path: Path, corpus, recipe) -> None:
    class FeaturesOnly(FakeCorpus):
        @property
        def trials(self) -> pd.DataFrame:
            return super().trials.assign(sfreq=np.nan)

    only = FeaturesOnly(corpus.folder)
    with pytest.raises(ConfigError, match="holds features only"):
        Store(tmp_path).prepare(only, recipe)


def test_a_recipe_that_does_not_fit_is_refused_before_anything(tmp_path: Path, corpus) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(ElectrodeError, match="O1"):
        store.prepare(corpus, Recipe(electrodes=("Fz", "O1")))
    with pytest.raises(ConfigError, match="no recipe"):
        store.prepare(corpus, "de99")
    with pytest.raises(ConfigError, match="workers"):
        store.prepare(corpus, Recipe(electrodes=("Fz", "Oz")), workers=0)
    assert not (tmp_path / "store").exists()


def test_raw_windows_need_one_rate(tmp_path: Path, corpus, recipe) -> None:
    class TwoRates(FakeCorpus):
        @property
        def trials(self) -> pd.DataFrame:
            table = super().trials
            return table.assign(sfreq=np.where(table["session"] == 1, 100.0, 200.0))

    mixed = TwoRates(corpus.folder)
    with pytest.raises(ConfigError, match=r"several sampling rates \(\[100.0, 200.0\] Hz\)"):
        Store(tmp_path).prepare(mixed, recipe.replace(kind="raw"))
    assert Store(tmp_path).prepare(mixed, recipe.replace(kind="raw", sfreq=100.0)).sfreq == 100.0
    assert Store(tmp_path).prepare(mixed, recipe).sfreq is None


# ---------------------------------------------------------------- listing and cleaning


def test_open_names_what_there_is(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="It holds: nothing"):
        store.open("FAKE", recipe)
    store.prepare(corpus, recipe, subjects=[1])
    with pytest.raises(StoreError, match=r"FAKE with tiny\. Did you mean 'FAKE'"):
        store.open("FAKES", recipe)
    store.prepare(corpus, recipe, subjects=[2])
    with pytest.raises(StoreError, match="2 entries of FAKE"):
        store.open("FAKE", recipe)
    keys = {entry.key: entry for entry in store.entries()}
    for key, entry in keys.items():
        assert len(store.open("FAKE", recipe, key=key[:8])) == entry.n_windows == 36
        assert entry.to_dict()["shape"] == [36, 2, 2]


def test_clean_removes_what_was_asked_for(tmp_path: Path, corpus, recipe) -> None:
    store = Store(tmp_path / "store")
    other = recipe.replace(window_s=2.0, name="other")
    store.prepare(corpus, recipe)
    store.prepare(corpus, other)
    assert store.clean() == []
    assert [entry.recipe for entry in store.clean(recipe=other, dry_run=True)] == ["other"]
    assert len(store.entries()) == 2
    store.clean(recipe=other)
    assert [entry.recipe for entry in store.entries()] == ["tiny"]
    store.clean(corpus="fake")
    assert store.entries() == []
    (tmp_path / "store" / "my notes").mkdir()
    (tmp_path / "store" / "my notes" / "x.txt").write_text("kept")
    store.clean(corpus="fake")
    assert (tmp_path / "store" / "my notes" / "x.txt").read_text() == "kept"
