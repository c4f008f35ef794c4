"""Twins of every corpus, from the vendor's layout to windows, through the real readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affectrum import catalog
from affectrum.corpora import Corpus, open_corpus
from affectrum.errors import ConfigError, ElectrodeError
from affectrum.pipeline import process
from affectrum.recipes import get_recipe
from affectrum.store import Store
from affectrum.twins import write_twin
from affectrum.windows import Windows

SECONDS = 6.0


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFFECTRUM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("twins")
    for name in ("SEED", "SEED-IV", "DEAP"):
        write_twin(name, top / name, subjects=2, sessions=1, trial_seconds=SECONDS)
    return top


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def open_twin(twins: Path, name: str, form: str = "auto") -> Corpus:
    return open_corpus(name, twins / name, form=form)


@pytest.mark.parametrize("name", ["SEED", "SEED-IV", "DEAP"])
def test_the_default_recipe_suits_every_corpus(twins: Path, store: Store, name: str) -> None:
    corpus = open_twin(twins, name)
    recipe = get_recipe("de32")
    windows = store.prepare(corpus, recipe)
    facts = catalog.get(name)
    n_trials = 2 * facts.trials_per_session[0]
    assert len(windows.trials()) == n_trials
    assert abs(len(windows) - SECONDS * n_trials) < 1.5 * n_trials
    assert windows.shape[1:] == (32, 4)
    assert windows.simulated
    assert windows.sfreq == facts.sfreq
    assert np.isfinite(windows.x).all()
    assert len(np.unique(windows.x[:, 0, 0])) > len(windows) / 2
    # One trial, read by itself and processed by itself, is what the store holds.
    trial = corpus.trials.iloc[n_trials // 2]
    expected = process(corpus.read(trial), corpus.channels, float(trial["sfreq"]), recipe)
    table = windows.table
    rows = (table["subject"] == trial["subject"]) & (table["row"] == trial["row"])
    np.testing.assert_array_equal(windows.select(rows).x, expected.x)


def test_corpora_of_one_recipe_can_be_joined(twins: Path, store: Store) -> None:
    parts = [store.prepare(open_twin(twins, name), "de32") for name in ("SEED", "DEAP")]
    both = Windows.concatenate(parts)
    assert both.corpus == "SEED+DEAP"
    assert both.simulated
    assert len(both) == sum(len(part) for part in parts)
    other = store.prepare(open_twin(twins, "SEED-IV"), "de62x4")
    with pytest.raises(ConfigError, match="recipe differs"):
        Windows.concatenate([parts[0], other])


def test_workers_change_nothing_with_real_readers(
    twins: Path, store: Store, tmp_path: Path
) -> None:
    corpus = open_twin(twins, "SEED")
    one = store.prepare(corpus, "de62")
    two = Store(tmp_path).prepare(corpus, "de62", workers=2)
    np.testing.assert_array_equal(one.x, two.x)
    assert one.table.equals(two.table)


def test_raw_windows_of_all_corpora_have_one_form(twins: Path, store: Store) -> None:
    shapes = {
        name: store.prepare(open_twin(twins, name), "raw32").shape[1:]
        for name in ("SEED", "SEED-IV", "DEAP")
    }
    assert set(shapes.values()) == {(32, 128)}


def test_32_electrodes_become_62_only_by_interpolation(twins: Path, store: Store) -> None:
    corpus = open_twin(twins, "DEAP")
    with pytest.raises(ElectrodeError):
        store.prepare(corpus, "de62")
    # DEAP is filtered to 4-45 Hz: the bands of SEED reach beyond, which only the caller can judge.
    windows = store.prepare(corpus, get_recipe("de62-interpolated").replace(bands="cross-corpus"))
    assert windows.shape[1:] == (62, 4)
    assert windows.mask.sum() == 32


def test_shipped_features_of_seed(twins: Path, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "SEED"
    write_twin("SEED", folder, subjects=1, sessions=1, trial_seconds=SECONDS, forms=["features"])
    corpus = open_corpus("SEED", folder, form="features")
    windows = store.prepare(corpus, "shipped-seed")
    assert windows.kind == "de"
    assert windows.shape[1:] == (62, 5)
    trial = corpus.trials.iloc[3]
    rows = windows.table["row"] == trial["row"]
    expected = corpus.read_features(trial, "de_LDS").astype(np.float32)
    np.testing.assert_array_equal(windows.select(rows).x, expected)
    with pytest.raises(ConfigError, match="holds features only"):
        store.prepare(corpus, "de62")
    with pytest.raises(ConfigError, match="takes the shipped feature"):
        store.prepare(open_twin(twins, "SEED"), "shipped-seed")
    with pytest.raises(ConfigError, match="recipe differs"):
        Windows.concatenate([windows, store.prepare(open_twin(twins, "SEED"), "de62")])


def test_a_recipe_of_4_s_takes_the_4_s_features_of_seed(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "SEED"
    write_twin(
        "SEED",
        folder,
        subjects=1,
        sessions=1,
        trial_seconds=SECONDS,
        forms=["features", "features-4s"],
    )
    corpus = open_corpus("SEED", folder, form="features")
    windows = store.prepare(corpus, "shipped-seed-iv")
    trial = corpus.trials.iloc[3]
    rows = windows.table["row"] == trial["row"]
    expected = corpus.read_features(trial, "de_LDS@4s").astype(np.float32)
    np.testing.assert_array_equal(windows.select(rows).x, expected)
    assert len(expected) < len(corpus.read_features(trial, "de_LDS"))


def test_another_plane_table_is_the_same_entry(twins: Path, store: Store) -> None:
    emod = store.prepare(open_twin(twins, "SEED"), "de32")
    n_entries = len(store.entries())
    measured = store.prepare(open_corpus("SEED", twins / "SEED", table="warriner"), "de32")
    assert len(store.entries()) == n_entries
    np.testing.assert_array_equal(measured.x, emod.x)
    assert not np.allclose(measured.table["valence"], emod.table["valence"])
