"""numpy's files written by numpy, by hand, and by somebody who means harm."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings.npz import NpzFile, describe_npy, read_npy
from affectrum.recordings.pickles import ArrayHeader

ARRAYS = {
    "cube": np.arange(24.0).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype="i4").reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">f8"),
    "scalar": np.array(3.5),
    "empty": np.empty((0, 310)),
    "flags": np.array([True, False]),
    "text": np.array(["happy", "sad"]),
    "half": np.arange(3, dtype="f2"),
    "complex": np.array([1 + 2j]),
}


def npy(descr: str, shape: str, content: bytes, *, order: str = "False") -> bytes:
    """Return a .npy file with a header of one's choice."""
    head = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + content


def archive(path, *, compression=zipfile.ZIP_STORED, **members: bytes):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


class Hostile:
    def __reduce__(self):
        return exec, ("import pytest; pytest.ran_code()",)


@pytest.fixture
def ran(monkeypatch):
    calls = []
    monkeypatch.setattr(pytest, "ran_code", lambda: calls.append(1), raising=False)
    return calls


# what numpy writes ---------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_comes_back(save, tmp_path):
    save(tmp_path / "x.npz", **ARRAYS)
    with NpzFile(tmp_path / "x.npz") as file:
        assert list(file.arrays) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert file.arrays[name] == (array.shape, array.dtype.str)
            got = file.read(name)
            assert_array_equal(got, array)
            assert got.shape == array.shape
            assert got.dtype.isnative


@pytest.mark.parametrize("name", ARRAYS)
def test_npy_files_come_back_whole_and_by_entry(name, tmp_path):
    array, path = ARRAYS[name], tmp_path / "x.npy"
    np.save(path, array)
    assert describe_npy(path) == (array.shape, array.dtype.str)
    got = read_npy(path)
    assert_array_equal(got, array)
    assert got.flags.writeable
    assert type(got) is np.ndarray
    for index in range(array.shape[0] if array.ndim else 0):
        assert_array_equal(read_npy(path, index=index), array[index])


def test_an_entry_costs_its_own_size_only(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((50, 100_000)))
    tracemalloc.start()
    try:
        assert read_npy(tmp_path / "x.npy", index=49).shape == (100_000,)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("index", [-1, 2, 10**9])
def test_entries_that_are_not_there(index, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    with pytest.raises(FileFormatError, match="has no entry"):
        read_npy(tmp_path / "x.npy", index=index)


def test_headers_of_python_2_are_read_without_a_warning(tmp_path):
    content = np.arange(6.0).tobytes()
    (tmp_path / "x.npy").write_bytes(npy("'<f8'", "(2L, 3L)", content))
    assert_array_equal(read_npy(tmp_path / "x.npy"), np.arange(6.0).reshape(2, 3))


# pickles inside ------------------------------------------------------------------------------

VALUE = {0: np.arange(6.0).reshape(2, 3), 44: np.ones((1, 3)), "delta": np.zeros((4, 62))}


def boxes() -> dict[str, dict]:
    data = pickle.dumps(VALUE)
    one = np.empty(1, object)
    one[0] = data
    return {
        "bytes as numpy stores them": {"data": data},
        "void": {"data": np.void(data)},
        "an object array of bytes": {"data": np.array(data, object)},
        "one entry": {"data": one},
        "an object array of a dict": {"data": np.array(VALUE, object)},
    }


@pytest.mark.parametrize("kind", boxes())
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pickles_in_arrays_are_decoded(kind, save, tmp_path):
    save(tmp_path / "x.npz", **boxes()[kind])
    with NpzFile(tmp_path / "x.npz") as file:
        got = file.read_pickled("data")
        assert list(got) == list(VALUE)
        for key, array in VALUE.items():
            assert_array_equal(got[key], array)
        assert list(file.read_pickled("data", [44])) == [44]
        assert file.describe_pickled("data")["delta"] == ArrayHeader((4, 62), "<f8")
        if "object" in kind:
            with pytest.raises(UnsafeFileError, match="Python objects"):
                file.read("data")


def test_objects_in_npy_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array(VALUE, object))
    assert describe_npy(tmp_path / "x.npy") == ((), "|O")
    with pytest.raises(UnsafeFileError, match="Python objects"):
        read_npy(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: np.array(Hostile(), object), id="object"),
        pytest.param(lambda: np.array({"a": Hostile()}, object), id="object in a dict"),
        pytest.param(lambda: pickle.dumps(Hostile()), id="bytes"),
        pytest.param(lambda: np.array(pickle.dumps(Hostile()), object), id="bytes in an object"),
        pytest.param(lambda: b"cos\nsystem\n(S'true'\ntR.", id="system"),
        pytest.param(lambda: np.array(np.array([1, 2], object), object), id="several objects"),
    ],
)
def test_hostile_pickles_are_refused(content, ran, tmp_path):
    np.savez(tmp_path / "x.npz", data=content(), good=np.ones(3))
    with NpzFile(tmp_path / "x.npz") as file:
        for read in (file.read_pickled, file.describe_pickled):
            with pytest.raises(FileFormatError, match=r"x\.npz: data"):
                read("data")
        assert_array_equal(file.read("good"), np.ones(3))
    assert not ran


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(np.zeros(3), id="numbers"),
        pytest.param(np.array(1.0), id="a number"),
        pytest.param(np.array([b"a", b"b"]), id="two strings"),
        pytest.param(np.array("text"), id="text"),
        pytest.param(b"no pickle", id="other bytes"),
        pytest.param(pickle.dumps(VALUE)[:-20], id="a cut pickle"),
    ],
)
def test_what_is_no_pickle_is_a_fault(content, tmp_path):
    np.savez(tmp_path / "x.npz", data=content)
    with NpzFile(tmp_path / "x.npz") as file, pytest.raises(FileFormatError):
        file.read_pickled("data")


def test_arrays_that_are_not_there_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", data=np.zeros(3))
    with NpzFile(tmp_path / "x.npz") as file:
        for read in (file.read, file.read_pickled, file.describe_pickled):
            with pytest.raises(FileFormatError, match=r"lacks the array 'dat'; it holds data"):
                read("dat")


# damage and harm -----------------------------------------------------------------------------


def bomb(n_bytes: int) -> bytes:
    return npy("'|u1'", f"({n_bytes},)", b"\0" * n_bytes)


def test_zip_bombs_are_refused_before_they_are_unpacked(tmp_path):
    path = archive(tmp_path / "x.npz", compression=zipfile.ZIP_DEFLATED, data=bomb(100 * 2**20))
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeFileError, match="built to exhaust memory"):
            NpzFile(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_many_small_bombs_are_refused_by_their_sum(tmp_path, monkeypatch):
    from affectrum.recordings import npz

    monkeypatch.setattr(npz, "MAX_BYTES", 2**20)
    members = {f"a{n}": bomb(2**18) for n in range(5)}
    path = archive(tmp_path / "x.npz", compression=zipfile.ZIP_DEFLATED, **members)
    with pytest.raises(UnsafeFileError, match="unpacks to more than"):
        NpzFile(path)


def test_zeros_may_be_packed_well(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", data=np.zeros(10**6))
    with NpzFile(tmp_path / "x.npz") as file:
        assert file.read("data").sum() == 0


def patched(path, **fields: int):
    """Change the directory's sizes of the first member (compressed 20, uncompressed 24)."""
    content = bytearray(path.read_bytes())
    start = content.rfind(b"PK\x01\x02")
    for name, value in fields.items():
        place = start + {"packed": 20, "unpacked": 24, "method": 10, "flags": 8}[name]
        code = "<H" if name in ("method", "flags") else "<I"
        struct.pack_into(code, content, place, value)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"unpacked": 2**32 - 2}, id="unpacked size"),
        pytest.param({"packed": 2**32 - 2}, id="packed size"),
        pytest.param({"packed": 10, "unpacked": 10}, id="too small"),
        pytest.param({"packed": 2**32 - 2, "unpacked": 2**32 - 2}, id="both sizes"),
        pytest.param({"method": 12}, id="bzip2"),
        pytest.param({"method": 99}, id="unknown method"),
        pytest.param({"flags": 1}, id="password"),
        pytest.param({"method": 8}, id="deflated that is not"),
    ],
)
def test_lying_directories_are_refused(fields, tmp_path):
    path = archive(tmp_path / "x.npz", data=npy("'<f8'", "(500,)", bytes(4000)))
    patched(path, **fields)
    with pytest.raises(FileFormatError):
        read_everything(path)


def test_a_directory_of_gigabytes_is_refused(tmp_path):
    # zip64: the directory claims to be as long as a sparse file of 5 GB
    size = 5 * 2**30
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, 0))
        file.write(struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 2**32 - 1, 2**32 - 1, 0))
    with pytest.raises(UnsafeFileError, match="directory"):
        NpzFile(path)


@pytest.mark.parametrize(
    ("descr", "shape", "n_bytes"),
    [
        ("'<f8'", "(10,)", 72),
        ("'<f8'", "(10,)", 88),
        ("'<f8'", "(1000000000000,)", 80),
        ("'<f8'", "(281474976710657, 0)", 0),
        ("'<f8'", "(999999999999999999, 999999999999999999)", 80),
        ("'<f8'", "(" + "1," * 40 + ")", 8),
        ("'<f8'", "(-1,)", 8),
        ("'<f8'", "(x,)", 8),
        ("'<f8'", "10", 80),
        ("'<M8[s]'", "(1,)", 8),
        ("'<f7'", "(1,)", 7),
        ("'<q9'", "(1,)", 8),
        ("[('a', '<f8')]", "(1,)", 8),
        ("'|S999999999'", "()", 8),
        ("__import__('os')", "(1,)", 8),
    ],
)
def test_impossible_headers_are_refused(descr, shape, n_bytes, tmp_path):
    content = npy(descr, shape, bytes(n_bytes))
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(FileFormatError):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(FileFormatError):
        describe_npy(tmp_path / "x.npy")
    archive(tmp_path / "x.npz", data=content)
    with pytest.raises(FileFormatError):
        NpzFile(tmp_path / "x.npz")


def test_absurd_header_lengths(tmp_path):
    for start in (b"\x93NUMPY\x02\x00" + b"\xff" * 4, b"\x93NUMPY\x01\x00\x00\x00", b"\x93NUMPY"):
        (tmp_path / "x.npy").write_bytes(start + b" " * 70_000)
        with pytest.raises(FileFormatError):
            describe_npy(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x93NUMPY", b"x" * 99]
)
def test_files_of_another_kind(content, tmp_path):
    for name in ("x.npz", "x.npy"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError):
        NpzFile(tmp_path / "x.npz")
    with pytest.raises(FileFormatError):
        describe_npy(tmp_path / "x.npy")


def test_files_that_are_not_there(tmp_path):
    for call in (NpzFile, read_npy, describe_npy):
        with pytest.raises(FileFormatError, match="can't be read"):
            call(tmp_path / "absent")
        with pytest.raises(FileFormatError, match="can't be read"):
            call(tmp_path)


def test_names_that_occur_twice(tmp_path):
    content = npy("'<f8'", "(1,)", bytes(8))
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        warnings.simplefilter("ignore")
        file.writestr("a.npy", content)
        file.writestr("a.npy", content)
    with pytest.raises(FileFormatError, match="occurs twice"):
        NpzFile(tmp_path / "x.npz")


def test_a_wrong_checksum_is_noticed(tmp_path):
    path = archive(tmp_path / "x.npz", data=npy("'<f8'", "(500,)", bytes(4000)))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with NpzFile(path) as file, pytest.raises(FileFormatError, match="not a complete"):
        file.read("data")


def read_everything(path) -> None:
    with NpzFile(path) as file:
        for name in file.arrays:
            for read in (file.read, file.read_pickled, file.describe_pickled):
                try:
                    read(name)
                except FileFormatError:
                    continue
        for name, (_, dtype) in file.arrays.items():
            if dtype.startswith("<"):
                file.read(name)


def sample(compressed: bool) -> bytes:
    out = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    rng = np.random.default_rng(0)
    value = {k: rng.normal(size=(2, 5)) for k in range(4)}
    save(
        out,
        data=pickle.dumps(value),
        label=np.array({k: np.full(2, k) for k in range(4)}, object),
        x=rng.normal(size=(3, 4)),
    )
    return out.getvalue()


SAMPLES = [sample(False), sample(True)]


def survive(content: bytes, path) -> None:
    path.write_bytes(content)
    started = time.perf_counter()
    with contextlib.suppress(FileFormatError):
        read_everything(path)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("content", SAMPLES, ids=["stored", "deflated"])
def test_truncations_end_in_the_projects_error(content, tmp_path):
    for end in range(0, len(content), 13):
        (tmp_path / "x.npz").write_bytes(content[:end])
        with pytest.raises(FileFormatError):
            read_everything(tmp_path / "x.npz")


@pytest.mark.parametrize("content", SAMPLES, ids=["stored", "deflated"])
def test_flipped_bits_end_in_the_projects_error_or_a_value(content, tmp_path, ran):
    rng = np.random.default_rng(1)
    for _ in range(1500):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), size=rng.integers(1, 4)):
            damaged[place] ^= 1 << int(rng.integers(8))
        survive(bytes(damaged), tmp_path / "x.npz")
    assert not ran


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4
    ),
    which=st.sampled_from(SAMPLES),
)
def test_overwritten_bytes_end_in_the_projects_error_or_a_value(pieces, which, tmp_path_factory):
    content = bytearray(which)
    for place, piece in pieces:
        at = place % len(content)
        content[at : at + len(piece)] = piece
    survive(bytes(content), tmp_path_factory.getbasetemp() / "fuzz.npz")


@settings(max_examples=200, deadline=None)
@given(head=st.binary(max_size=120))
def test_random_npy_headers_end_in_the_projects_error(head, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzz.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    for call in (describe_npy, read_npy):
        with pytest.raises(FileFormatError):
            call(path)
