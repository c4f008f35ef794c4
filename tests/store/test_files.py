from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectrum.errors import StoreError
from affectrum.store.files import HEADER_BYTES, array_header, load_table, save_table, write_atomic
from affectrum.store.parts import ROW

text = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0"), max_size=8))
COLUMNS = {
    "str": text,
    "int64": st.integers(-(2**63), 2**63 - 1),
    "Int64": st.one_of(st.none(), st.integers(-(2**53), 2**53)),
    "float64": st.floats(allow_nan=True),
    "float32": st.floats(width=32),
    "bool": st.booleans(),
    "boolean": st.one_of(st.none(), st.booleans()),
}


@settings(deadline=None, max_examples=80)
@given(data=st.data(), n=st.integers(0, 6))
def test_tables_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, n: int
) -> None:
    table = pd.DataFrame(
        {
            f"{dtype} é": pd.Series(
                data.draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype
            )
            for dtype, values in COLUMNS.items()
        }
    )
    content = save_table(table)
    assert content == save_table(table.copy())
    path = tmp_path_factory.mktemp("table") / "t.npz"
    path.write_bytes(content)
    pd.testing.assert_frame_equal(load_table(path), table, check_exact=True)


def test_a_table_is_read_without_pickles() -> None:
    content = save_table(pd.DataFrame({"a": ["x", None], "b": [1.5, np.nan]}))
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "Ubif" or name == "schema" for name in file.files)


def test_columns_that_are_no_plain_values_are_refused() -> None:
    with pytest.raises(StoreError, match=r"'when' has type datetime64"):
        save_table(pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}))


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_table_is_named(tmp_path: Path, keep: float) -> None:
    content = save_table(pd.DataFrame({"a": ["x", None], "b": [1, 2]}))
    path = tmp_path / "t.npz"
    path.write_bytes(content[: int(keep if keep >= 1 or keep == 0 else keep * len(content))])
    with pytest.raises(StoreError, match=r"t\.npz' is damaged"):
        load_table(path)


@pytest.mark.parametrize("dtype", [np.dtype("<f4"), ROW])
@pytest.mark.parametrize("shape", [(0,), (7,), (10**12,), (5, 62, 200)])
def test_headers_are_of_fixed_length_and_understood(dtype: np.dtype, shape: tuple) -> None:
    header = array_header(shape, dtype)
    assert len(header) == HEADER_BYTES
    file = io.BytesIO(header)
    assert np.lib.format.read_magic(file) == (1, 0)
    assert np.lib.format.read_array_header_1_0(file) == (shape, False, dtype)
    assert file.tell() == HEADER_BYTES


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"first")

    def fail(handle: int) -> None:
        raise OSError("no sync")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="no sync"):
            write_atomic(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
