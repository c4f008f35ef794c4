from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import ConfigError, StoreError
from affectrum.features import Band
from affectrum.windows import TRIAL_COLUMNS, TRIAL_DTYPES, Windows

CHANNELS = ("Fz", "Cz", "Pz")


def make_table(n_subjects: int = 2, n_trials: int = 2, n_windows: int = 3) -> pd.DataFrame:
    subject, trial, _ = np.meshgrid(
        np.arange(1, n_subjects + 1),
        np.arange(1, n_trials + 1),
        np.arange(n_windows),
        indexing="ij",
    )
    return pd.DataFrame({"subject": subject.ravel(), "trial": trial.ravel()})


def make(x: np.ndarray | None = None, table: pd.DataFrame | None = None, **kwargs) -> Windows:
    table = make_table() if table is None else table
    if x is None:
        x = np.arange(len(table) * 3 * 5, dtype=np.float32).reshape(len(table), 3, 5)
    return Windows.from_arrays(x, table, **{"sfreq": 200.0, "channels": CHANNELS, **kwargs})


@pytest.fixture
def mapped(tmp_path: Path) -> Windows:
    x = np.random.default_rng(0).normal(size=(12, 3, 5)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return make(np.load(tmp_path / "x.npy", mmap_mode="r"))


# ---------------------------------------------------------------- from arrays


def test_from_arrays_fills_the_trial_table_with_missing() -> None:
    windows = make()
    table = windows.table
    assert tuple(table.columns[: len(TRIAL_COLUMNS)]) == TRIAL_COLUMNS
    assert {name: str(table[name].dtype) for name in TRIAL_COLUMNS} == TRIAL_DTYPES
    assert (table["corpus"] == "own").all()
    assert (table["session"] == 1).all()
    assert table["row"].tolist() == table["trial"].tolist()
    for name in (
        "clip",
        "film",
        "series",
        "emotion",
        "valence",
        "rating_arousal",
        "file",
        "start_s",
    ):
        assert table[name].isna().all(), name
    assert table["window"].tolist() == [0, 1, 2] * 4
    assert not windows.simulated
    assert windows.corpus == "own"
    assert windows.mask.all()


def test_from_arrays_keeps_what_is_given() -> None:
    table = make_table().assign(
        emotion="sad", valence=-0.5, window=[4, 5, 6] * 4, extra="kept", corpus="LAB"
    )
    windows = make(table=table)
    kept = windows.table
    assert (kept["emotion"] == "sad").all()
    assert kept["window"].tolist() == [4, 5, 6] * 4
    assert (kept["extra"] == "kept").all()
    assert windows.corpus == "LAB"


def test_subject_names_become_numbers_in_sorted_order() -> None:
    table = make_table(3, 1, 1)
    table["subject"] = ["S10", "S02", "S10b"]
    numbered = make(np.zeros((3, 3, 5)), table).table
    assert numbered["subject"].tolist() == [2, 1, 3]
    assert numbered["subject_name"].tolist() == ["S10", "S02", "S10b"]


@pytest.mark.parametrize(
    ("length", "bands", "kind"),
    [(5, None, "features"), (200, None, "raw"), (1, {"alpha": (8, 14)}, "de"), (5, "seed", "de")],
)
def test_kind_is_told_from_bands_and_length(length: int, bands: object, kind: str) -> None:
    windows = make(np.zeros((12, 3, length)), bands=bands)
    assert windows.kind == kind
    if bands == "seed":
        assert windows.bands is not None
        assert windows.bands[0] == Band("delta", 1.0, 4.0)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Windows.from_arrays(
            np.zeros((12, 3, 5)),
            make_table(n_windows=2),
            sfreq=-1,
            channels=("Fz", "Fz"),
            mask=np.ones(7, dtype=bool),
        )
    text = str(caught.value)
    for part in ("12 windows", "8 rows", "3 electrodes", "twice: Fz", "sfreq is -1", "shape (7,)"):
        assert part in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="subject"), "no column 'subject'"),
        (lambda table: table.assign(trial="first"), "'trial' must hold whole numbers"),
        (lambda table: table.assign(trial=1.5), "'trial' must hold whole numbers"),
        (lambda table: table.assign(window=0), "more than once"),
        (lambda table: table.assign(valence="high"), "'valence' can't be read as float64"),
    ],
)
def test_faulty_tables_are_refused(change, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(table=change(make_table()))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((12, 15)), "expected 3 axes"),
        (np.zeros((12, 3, 5), dtype=complex), "real numbers"),
        (np.full((12, 3, 5), "a"), "real numbers"),
    ],
)
def test_faulty_arrays_are_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(x)


def test_nan_only_where_marked_and_inf_never() -> None:
    x = np.zeros((12, 3, 5))
    x[[2, 7], 1, 1] = np.nan
    with pytest.raises(ConfigError, match=r"2 of 12 windows hold NaN, the first is row 2"):
        make(x)
    marked = np.isin(np.arange(12), [2, 7])
    assert make(x, make_table().assign(artefact=marked)).table["artefact"].sum() == 2
    x[7, 0, 0] = np.inf
    with pytest.raises(ConfigError, match=r"1 of 12 windows hold Inf, the first is row 7"):
        make(x, make_table().assign(artefact=marked))


# ---------------------------------------------------------------- views


def test_selection_of_a_memory_map_stays_on_disk(mapped: Windows) -> None:
    second = mapped.select(mapped.table["subject"].to_numpy() == 2)
    assert isinstance(second.x, np.memmap)
    assert second.x.base is not None
    assert np.shares_memory(second.x, mapped.x)
    np.testing.assert_array_equal(second.x, mapped.x[6:])
    scattered = second.select([0, 4])
    assert scattered.shape == (2, 3, 5)
    np.testing.assert_array_equal(scattered.x, mapped.x[[6, 10]])


rows_in_12 = st.one_of(
    st.lists(st.integers(-12, 11), max_size=15).map(lambda rows: np.array(rows, dtype=int)),
    st.lists(st.booleans(), min_size=12, max_size=12).map(lambda rows: np.array(rows, dtype=bool)),
    st.slices(12),
)


@settings(deadline=None, max_examples=60)
@given(first=rows_in_12, data=st.data())
def test_select_agrees_with_numpy(first, data: st.DataObject) -> None:
    windows = make()
    once = windows.select(first)
    np.testing.assert_array_equal(once.x, windows.x[first])
    second = data.draw(st.lists(st.integers(0, len(once) - 1), max_size=6)) if len(once) else []
    twice = once.select(np.array(second, dtype=int))
    np.testing.assert_array_equal(twice.x, windows.x[first][second])
    np.testing.assert_array_equal(twice.batch(slice(None)), windows.x[first][second])
    expected = windows.table.iloc[np.arange(12)[first][second]].reset_index(drop=True)
    pd.testing.assert_frame_equal(twice.table, expected)
    assert len(twice) == len(second) == twice.shape[0]


@pytest.mark.parametrize("rows", [[12], [-13], [True] * 3, [[0]], [0.5], ["a"]])
def test_select_refuses_rows_that_are_not_there(rows: list) -> None:
    with pytest.raises(ConfigError, match=r"rows|mask"):
        make().select(rows)


def test_a_derived_object_leaves_its_original_untouched(mapped: Windows) -> None:
    before_x, before_table = mapped.x.copy(), mapped.table
    other = mapped.with_x(np.zeros((12, 3, 5))).without_columns(["emotion", "nothing"])
    labelled = other.with_column("split", ["train"] * 12)
    assert not labelled.x.any()
    assert "emotion" not in labelled.table
    assert (labelled.table["split"] == "train").all()
    np.testing.assert_array_equal(mapped.x, before_x)
    pd.testing.assert_frame_equal(mapped.table, before_table)
    table = mapped.table
    table["subject"] = 99
    assert 99 not in mapped.table["subject"].tolist()
    with pytest.raises(ValueError, match="read-only"):
        mapped.x[0] = 0


def test_derived_selections_compose(mapped: Windows) -> None:
    part = mapped.select([1, 5, 9]).with_column("tag", [10, 20, 30]).select([2, 0])
    assert part.table["tag"].tolist() == [30, 10]
    np.testing.assert_array_equal(part.x, mapped.x[[9, 1]])
    scaled = part.with_x(part.x * 2).select([1])
    np.testing.assert_array_equal(scaled.x, mapped.x[[1]] * 2)
    assert scaled.table["tag"].tolist() == [10]
    bare = part.without_columns(["tag"])
    assert "tag" not in bare.table
    np.testing.assert_array_equal(bare.x, part.x)


def test_with_x_refuses_another_number_of_rows() -> None:
    with pytest.raises(ConfigError, match=r"expected \(12, 3, any\)"):
        make().with_x(np.zeros((11, 3, 5)))
    assert make(bands="seed").with_x(np.zeros((12, 3, 2))).bands is None


def test_trials_has_one_row_each() -> None:
    table = make_table().assign(emotion=np.repeat(["a", "b", "c", "d"], 3))
    trials = make(table=table).select([0, 1, 4, 9, 10, 11]).trials()
    assert trials["emotion"].tolist() == ["a", "b", "d"]
    assert trials["n_windows"].tolist() == [2, 1, 3]
    assert "window" not in trials


def test_repr_is_short_and_marks_simulated_data() -> None:
    assert repr(make()) == "<Windows own: 12 windows of 4 trials, 2 subjects, features 3 x 5>"
    simulated = make(table=make_table().assign(simulated=True))
    assert simulated.simulated
    assert repr(simulated).endswith("SIMULATED>")
    assert repr(simulated.without_columns(["subject", "row"])).count("trial") == 1


# ---------------------------------------------------------------- pickling


def test_a_memory_map_is_pickled_by_its_path(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(3000, 3, 50)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    table = make_table(3, 10, 100)
    windows = make(np.load(tmp_path / "x.npy", mmap_mode="r"), table, kind="raw")
    part = windows.select(np.arange(1500, 1600)).select([3, 7, 99])
    sent = pickle.dumps(part)
    assert len(sent) < 20_000 < x.nbytes
    back = pickle.loads(sent)
    assert isinstance(back._base, np.memmap)
    np.testing.assert_array_equal(back.x, x[[1503, 1507, 1599]])
    pd.testing.assert_frame_equal(back.table, part.table)
    assert back.channels == part.channels
    assert back.kind == "raw"


def test_a_slice_of_a_memory_map_is_found_at_its_place(tmp_path: Path) -> None:
    x = np.arange(40 * 15, dtype=np.float32).reshape(40, 3, 5)
    np.save(tmp_path / "x.npy", x)
    windows = make(np.load(tmp_path / "x.npy", mmap_mode="r")[20:32])
    sent = pickle.dumps(windows)
    back = pickle.loads(sent)
    assert isinstance(back._base, np.memmap)
    np.testing.assert_array_equal(back.x, x[20:32])
    (tmp_path / "x.npy").unlink()
    with pytest.raises(StoreError, match="can't be opened any more"):
        pickle.loads(sent)


def test_windows_in_memory_send_only_the_chosen_rows() -> None:
    windows = make(np.zeros((1200, 3, 50)), make_table(2, 2, 300))
    back = pickle.loads(pickle.dumps(windows.select([5, 900])))
    assert len(back) == 2
    assert len(pickle.dumps(windows.select([5, 900]))) < len(pickle.dumps(windows)) / 20


# ---------------------------------------------------------------- splits, joining, torch


def test_an_imported_split_names_trials() -> None:
    split = pd.DataFrame(
        {"subject": [1, 1, 2], "trial": [1, 2, 1], "split": ["train", "test", "train"]}
    )
    names = make().with_split(split).table["split"]
    assert names[:9].tolist() == ["train"] * 3 + ["test"] * 3 + ["train"] * 3
    assert names[9:].isna().all()
    by_subject = make().with_split(pd.DataFrame({"subject": [2, 1], "split": ["b", "a"]}))
    assert by_subject.table["split"].tolist() == ["a"] * 6 + ["b"] * 6


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"subject": [1], "fold": ["a"]}, r"'split' is missing[\s\S]*not understood: fold"),
        ({"split": ["a"]}, "no column says which windows"),
        ({"subject": [1, 1], "split": ["a", "b"]}, "more than one split"),
        ({"subject": [1, 7], "split": ["a", "b"]}, r"1 of 2 rows .* name nothing"),
        ({"subject": ["one"], "split": ["a"]}, "can't be matched"),
    ],
)
def test_faulty_splits_are_refused(split: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make().with_split(pd.DataFrame(split))


def test_concatenate_joins_corpora_of_one_recipe() -> None:
    first = make(recipe="r", mask=np.array([True, True, False]))
    second = make(table=make_table(1).assign(corpus="LAB", simulated=True), recipe="r", sfreq=128.0)
    both = Windows.concatenate([first, second])
    assert len(both) == 18
    assert both.corpus == "own+LAB"
    assert both.sfreq is None
    assert both.mask.tolist() == [True, True, False]
    assert both.simulated
    assert not first.simulated
    np.testing.assert_array_equal(both.x[12:], second.x)


def test_concatenate_lists_every_difference() -> None:
    first = make(recipe="a", kind="raw")
    second = make(np.zeros((12, 3, 4)), kind="raw", channels=("O1", "Cz", "Pz"), sfreq=100.0)
    with pytest.raises(ConfigError) as caught:
        Windows.concatenate([first, second])
    for part in ("recipe differs", "electrodes differs", "last axis differs", "rate differs"):
        assert part in str(caught.value)
    with pytest.raises(ConfigError, match="at least one"):
        Windows.concatenate([])


def test_torch_loader_is_reproducible_and_complete(mapped: Windows) -> None:
    part = mapped.select([0, 2, 4, 6, 8, 10, 11])
    y = np.arange(7)

    def order(seed: int | None) -> list[int]:
        batches = list(part.to_torch_loader(3, y, seed))
        assert [len(x) for x, _ in batches] == [3, 3, 1]
        for x, target in batches:
            np.testing.assert_array_equal(x.numpy(), part.x[target.numpy()])
        return [int(target) for _, targets in batches for target in targets]

    assert order(None) == list(range(7))
    assert order(5) == order(5) != order(6)
    assert sorted(order(5)) == list(range(7))
    loader = part.to_torch_loader(3, "subject", 5)
    assert [y.tolist() for _, y in loader] != [y.tolist() for _, y in loader]  # epochs differ
    assert len(list(part.to_torch_loader(3, drop_last=True))) == 2


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2, "y": "feeling"}, "no column 'feeling'"),
        ({"batch_size": 2, "y": "corpus"}, "must be numbers"),
        ({"batch_size": 2, "y": np.zeros(3)}, "3 entries; expected 12"),
    ],
)
def test_torch_loader_refuses(kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make().to_torch_loader(**kwargs)
