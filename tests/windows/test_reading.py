"""Reading rows of memory maps: the same values as plain indexing, whatever the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affectrum.windows.reading import read_rows

ROWS = np.array([5, 0, 5, 11, 3])


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> np.memmap:
    path = tmp_path_factory.mktemp("maps") / "x.npy"
    values = np.random.default_rng(0).standard_normal((12, 5, 3001)).astype(np.float32)
    np.save(path, values)  # rows of 60,020 bytes, which begin anywhere on a page
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize(
    "part",
    [
        slice(None),
        slice(0, 12, 2),
        slice(3, None),
        (slice(None), slice(1, 3)),
        (slice(None), slice(None), slice(0, 4)),
    ],
    ids=str,
)
def test_rows_are_those_of_plain_indexing(mapped: np.memmap, part: object) -> None:
    x = mapped[part]
    rows = ROWS % len(x)
    read = read_rows(x, rows)
    assert type(read) is np.ndarray
    assert read.flags.writeable
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, np.asarray(x)[rows])


def test_a_map_can_be_read_again_and_again(mapped: np.memmap) -> None:
    before = np.array(mapped)
    for _ in range(3):
        np.testing.assert_array_equal(read_rows(mapped, ROWS), before[ROWS])
    np.testing.assert_array_equal(np.array(mapped), before)


@pytest.mark.parametrize("kind", ["memory", "float64", "changed in memory", "small rows"])
def test_other_arrays(mapped: np.memmap, tmp_path: Path, kind: str) -> None:
    x = np.array(mapped)
    if kind == "float64":
        np.save(tmp_path / "x.npy", x.astype(np.float64))
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    elif kind == "changed in memory":
        # a private map: what was written to it lies in memory only and must not be let go
        np.save(tmp_path / "x.npy", x)
        given = np.load(tmp_path / "x.npy", mmap_mode="c")
        given[5] += 1
        x[5] += 1
    elif kind == "small rows":
        x = x[:, :1, :8]
        np.save(tmp_path / "x.npy", x)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    else:
        given = x
    for _ in range(2):
        np.testing.assert_array_equal(read_rows(given, ROWS), x[ROWS])


def test_no_rows_and_rows_out_of_range(mapped: np.memmap) -> None:
    assert read_rows(mapped, np.array([], dtype=np.int64)).shape == (0, 5, 3001)
    np.testing.assert_array_equal(read_rows(mapped, np.array([-1]))[0], mapped[-1])
    with pytest.raises(IndexError):
        read_rows(mapped, np.array([12]))


def resident_file_pages() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("RssFile")]
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at Linux's own numbers")
def test_pages_are_let_go(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((400, 5, 5000), dtype=np.float32))  # 40 MB
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    before = resident_file_pages()
    for start in range(0, 400, 40):
        read_rows(x, np.arange(start, start + 40))
    assert resident_file_pages() - before < 8e6
    assert x.sum() == x.size
    if resident_file_pages() - before < 30e6:
        pytest.skip("this system does not count pages of files, so nothing was shown")
