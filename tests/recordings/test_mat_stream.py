"""Walking one large MATLAB variable: against scipy, in bounded memory, on damaged files."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import savemat

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import mat_unpack
from affectrum.recordings.mat_stream import Index, MatStream
from affectrum.recordings.mat_unpack import Marks


def content() -> dict:
    rng = np.random.default_rng(0)
    people = np.empty((1, 3), object)
    for person in range(3):
        trials = np.empty((4, 1), object)
        for trial in range(4):
            trials[trial, 0] = 1000.0 * person + trial + rng.normal(size=(700, 2))
        people[0, person] = {
            "Age": "22",
            "EEG": {"stimuli": trials, "count": np.int16([[1, 2], [3, 4]])},
            "Score": np.array([[1.0], [5.0]]),
        }
    people[0, 1]["EEG"]["stimuli"][2, 0][5:9, 1] = np.nan
    return {"Data": people, "rate": 128, "names": np.array(["AF3", "F7"], object)[None]}


@pytest.fixture(params=[True, False], ids=["compressed", "plain"])
def path(request, tmp_path):
    path = tmp_path / "big.mat"
    savemat(path, {"first": 1.0, "BIG": content()}, do_compression=request.param)
    return path


def trial(person: int, number: int) -> str:
    return f"Data[{person}].EEG.stimuli[{number}]"


def test_every_array_is_listed_by_its_path(path):
    with MatStream(path) as file:
        index = file.index("BIG")
    leaves = index.leaves
    assert index.faults == ()
    assert list(leaves) == [
        *(
            f"Data[{person}].{rest}"
            for person in range(3)
            for rest in ("Age", *(f"EEG.stimuli[{t}]" for t in range(4)), "EEG.count", "Score")
        ),
        "rate",
        "names[0]",
        "names[1]",
    ]
    assert leaves[trial(2, 3)].shape == (700, 2)
    assert leaves[trial(2, 3)].matlab_class == "double"
    assert leaves[trial(2, 3)].value is None
    assert leaves["Data[0].Age"].value == ["22"]
    assert leaves["Data[2].EEG.count"].value == [[1, 2], [3, 4]]
    assert leaves["Data[1].Score"].value == [[1.0], [5.0]]
    assert [leaves[f"names[{k}]"].value for k in range(2)] == [["AF3"], ["F7"]]
    assert {p: list(leaf.gaps) for p, leaf in leaves.items() if leaf.gaps} == {
        trial(1, 2): [(1, 4)]
    }


def test_structs_of_several_elements_have_an_index(tmp_path):
    people = np.array([[(1.0, "a"), (2.0, "b")]], [("x", object), ("y", object)])
    savemat(tmp_path / "s.mat", {"v": {"Data": people, "empty": np.empty((1, 0), object)}})
    with MatStream(tmp_path / "s.mat") as file:
        leaves = file.index("v").leaves
    assert [leaves[name].value for name in ("Data[0].x", "Data[1].x", "Data[1].y")] == [
        [[1.0]],
        [[2.0]],
        ["b"],
    ]


def test_arrays_of_other_classes_are_passed(tmp_path):
    people = np.empty((1, 2), object)
    people[0, 0], people[0, 1] = sparse.csc_array(np.eye(3)), np.array([[1 + 2j, 3]])
    content = {"odd": people, "long": "x" * 5000, "none": {}, "flag": np.array([[True, False]])}
    savemat(tmp_path / "o.mat", {"v": content | {"last": np.arange(600.0)}})
    with MatStream(tmp_path / "o.mat") as file:
        leaves = file.index("v").leaves
        assert [leaf.matlab_class for leaf in leaves.values()] == [
            *("sparse", "double", "char", "logical", "double")
        ]
        assert [leaf.value for leaf in leaves.values()] == [None] * 3 + [[[True, False]], None]
        np.testing.assert_array_equal(file.read("v", leaves["last"]), [np.arange(600.0)])
        np.testing.assert_array_equal(file.read("v", leaves["odd[1]"]), [[1 + 2j, 3]])
        assert file.read("v", leaves["long"]).tolist() == ["x" * 5000]
        with pytest.raises(FileFormatError, match="class sparse are not read"):
            file.read("v", leaves["odd[0]"])


def test_arrays_are_read_in_any_order_from_a_stored_index(path):
    truth = content()["Data"]
    with MatStream(path) as file:
        stored = json.loads(json.dumps(file.index("BIG").to_json()))
    leaves = Index.from_json(stored).leaves
    with MatStream(path) as file:
        for person, number in [(2, 3), (0, 0), (1, 2), (1, 3), (0, 1)]:
            found = file.read("BIG", leaves[trial(person, number)])
            np.testing.assert_array_equal(found, truth[0, person]["EEG"]["stimuli"][number, 0])
        assert file.read("BIG", leaves["Data[1].Age"]).tolist() == ["22"]


def test_reading_in_file_order_unpacks_once(tmp_path, monkeypatch):
    path = tmp_path / "big.mat"
    savemat(path, {"BIG": content()}, do_compression=True)
    monkeypatch.setattr(mat_unpack, "_CHUNK", 1000)
    read = []
    real = mat_unpack.PackedSource._next_packed

    def counting(self):
        data = real(self)
        read.append(len(data))
        return data

    monkeypatch.setattr(mat_unpack.PackedSource, "_next_packed", counting)
    with MatStream(path) as file:
        leaves = file.index("BIG").leaves
        size = path.stat().st_size - 136
        assert sum(read) == size
        read.clear()
        for leaf in leaves.values():
            file.read("BIG", leaf)
        assert sum(read) <= size + 1000
        read.clear()
        file.read("BIG", leaves[trial(0, 0)])  # an early array: not more than is needed for it
        assert sum(read) < size / 4


def test_later_reads_go_on_from_marks(tmp_path, monkeypatch):
    path = tmp_path / "big.mat"
    savemat(path, {"BIG": content()}, do_compression=True)
    monkeypatch.setattr(mat_unpack, "_CHUNK", 1000)
    monkeypatch.setattr(mat_unpack, "_PIECE", 4000)
    monkeypatch.setattr(mat_unpack, "_STEP", 20_000)
    truth, marks = content()["Data"], Marks()
    with MatStream(path, marks) as file:
        leaves = file.index("BIG").leaves
    read = []
    real = mat_unpack.PackedSource._next_packed

    def counting(self):
        data = real(self)
        read.append(len(data))
        return data

    monkeypatch.setattr(mat_unpack.PackedSource, "_next_packed", counting)
    for person, number in [(2, 3), (2, 0), (0, 2), (1, 1)]:
        read.clear()
        with MatStream(path, marks) as file:
            found = file.read("BIG", leaves[trial(person, number)])
        np.testing.assert_array_equal(found, truth[0, person]["EEG"]["stimuli"][number, 0])
        assert sum(read) < 36_000  # of 110 000: the array, the way from the mark, the tag
    with MatStream(path, marks) as file:
        for person, number in [(0, 0), (2, 1), (0, 3), (2, 2)]:  # jumps within one opening
            found = file.read("BIG", leaves[trial(person, number)])
            np.testing.assert_array_equal(found, truth[0, person]["EEG"]["stimuli"][number, 0])
    assert pickle.loads(pickle.dumps(marks)).nearest(136, 10**9) is None
    savemat(path, {"BIG": {"Data": 1.0}}, do_compression=True)  # marks of the old file are void
    with MatStream(path, marks) as file:
        assert file.read("BIG", file.index("BIG").leaves["Data"]) == 1.0


def test_memory_is_bounded(tmp_path):
    path = tmp_path / "big.mat"
    cells = np.empty((1, 40), object)
    for k in range(40):
        cells[0, k] = np.full((128 * 60, 14), float(k))
    savemat(path, {"BIG": cells}, do_compression=True)
    one = cells[0, 0].nbytes
    del cells
    tracemalloc.start()
    try:
        with MatStream(path) as file:
            leaves = file.index("BIG").leaves
            _, peak = tracemalloc.get_traced_memory()
            assert peak < 6e6
            for leaf in leaves.values():
                file.read("BIG", leaf)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6e6 + 3 * one


# files that are not as they should be


def repack(path, change):
    """Rewrite the last element, which is compressed: `change` takes and gives its packed bytes."""
    data = path.read_bytes()
    position = 128
    while True:
        kind, n_bytes = struct.unpack_from("<II", data, position)
        if position + 8 + n_bytes >= len(data):
            break
        position += 8 + n_bytes
    assert kind == 15
    packed = change(data[position + 8 :])
    path.write_bytes(data[:position] + struct.pack("<II", 15, len(packed)) + packed)


def longer(packed: bytes) -> bytes:
    return zlib.compress(zlib.decompress(packed) + b"\0" * 24)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(longer, "24 bytes follow the array", id="longer inside"),
        pytest.param(lambda packed: packed + b"\0" * 8, "8 bytes follow the packed", id="outside"),
        pytest.param(lambda packed: packed[:-4], "end without their checksum", id="no checksum"),
    ],
)
def test_elements_longer_than_their_header_says_are_read_and_reported(tmp_path, change, words):
    path = tmp_path / "big.mat"
    savemat(path, {"BIG": content()}, do_compression=True)
    repack(path, change)
    with MatStream(path) as file:
        index = file.index("BIG")
        assert [words in fault for fault in index.faults] == [True]
        found = file.read("BIG", index.leaves[trial(2, 3)])
    np.testing.assert_array_equal(found, content()["Data"][0, 2]["EEG"]["stimuli"][3, 0])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda packed: packed[:-4] + b"\1\2\3\4", id="checksum"),
        pytest.param(lambda packed: packed[: len(packed) // 2], id="half"),
        pytest.param(lambda packed: packed[:-200], id="array incomplete"),
        pytest.param(lambda packed: zlib.compress(zlib.decompress(packed)[:-8]), id="cut inside"),
        pytest.param(lambda packed: zlib.compress(b"\x0f" + b"\0" * 50), id="no array"),
        pytest.param(lambda packed: b"", id="nothing"),
    ],
)
def test_incomplete_or_altered_elements_are_refused(tmp_path, change):
    path = tmp_path / "big.mat"
    savemat(path, {"BIG": content()}, do_compression=True)
    repack(path, change)
    with pytest.raises(FileFormatError, match="big.mat"), MatStream(path) as file:
        file.index("BIG")


def _file(body: bytes, *, packed: bool = True) -> bytes:
    element = struct.pack("<II", 14, len(body)) + body
    if packed:
        data = zlib.compress(element, 9)
        element = struct.pack("<II", 15, len(data)) + data
    return b"MATLAB".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + element


def _head(code: int, shape: tuple[int, ...], name: bytes = b"x") -> bytes:
    return (
        struct.pack("<IIII", 6, 8, code, 0)
        + struct.pack(f"<II{len(shape)}i", 5, 4 * len(shape), *shape)
        + (b"\0" * 4 if len(shape) % 2 else b"")
        + struct.pack("<HH", 1, len(name))
        + name.ljust(4, b"\0")
    )


def _nested(depth: int) -> bytes:
    body = _head(6, (1, 1), b"") + struct.pack("<II", 9, 8) + b"\0" * 8
    for _ in range(depth):
        body = _head(1, (1, 1)) + struct.pack("<II", 14, len(body)) + body
    return body


def _many(count: int) -> bytes:
    return _head(1, (1, count)) + struct.pack("<II", 14, 0) * count


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(_nested(40), "nested deeper", id="nested"),
        pytest.param(_many(200_000), "more than 100000 arrays", id="many"),
        pytest.param(_head(1, (2**15, 2**15)) + b"\0" * 64, "do not fit", id="cells"),
        pytest.param(_head(6, (2**30, 2**30)) + b"\0" * 9000, "does not fit", id="shape"),
        pytest.param(
            _head(6, (1, 2**28)) + struct.pack("<II", 9, 2**31) + b"\0" * 9000,
            "reach beyond",
            id="length",
        ),
        pytest.param(_head(6, (-2, 4)) + b"\0" * 64, "negative", id="negative"),
        pytest.param(
            _head(2, (1, 1)) + struct.pack("<HHi", 5, 4, 0) + struct.pack("<HH", 1, 4) + b"abcd",
            "names of the fields",
            id="fields",
        ),
        pytest.param(
            _head(2, (1, 1))
            + struct.pack("<HHi", 5, 4, 2)
            + struct.pack("<HH", 1, 4)
            + b"a\0a\0"
            + struct.pack("<II", 14, 0) * 2,
            "occurs twice",
            id="twice",
        ),
        pytest.param(_head(99, (1, 1)), "unknown", id="class"),
    ],
)
@pytest.mark.parametrize("packed", [True, False], ids=["compressed", "plain"])
def test_absurd_content_is_refused(tmp_path, body, words, packed):
    path = tmp_path / "x.mat"
    path.write_bytes(_file(body, packed=packed))
    with pytest.raises(FileFormatError, match=words) as caught, MatStream(path) as file:
        file.index("x")
    assert str(path) in str(caught.value)


def test_bombs_are_passed_without_being_held(tmp_path):
    path = tmp_path / "x.mat"
    n_bytes = 64 * 1024**2
    head = _head(6, (n_bytes // 8, 1)) + struct.pack("<II", 9, n_bytes)
    path.write_bytes(_file(head + b"\0" * n_bytes))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with MatStream(path) as file:
            leaf = file.index("x").leaves[""]
            _, peak = tracemalloc.get_traced_memory()
            assert peak < 8e6
            with pytest.raises(UnsafeFileError, match="bytes"):
                file.read("x", leaf._replace(n_bytes=2**31))
            changed = leaf._replace(shape=(3, 3))
            with pytest.raises(FileFormatError, match="the file changed"):
                file.read("x", changed)
    finally:
        tracemalloc.stop()


def test_an_endless_tail_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    monkeypatch.setattr(mat_unpack, "_MAX_EXTRA", 10_000)
    savemat(path, {"x": np.zeros((2, 2))}, do_compression=True)
    repack(path, lambda packed: zlib.compress(zlib.decompress(packed) + b"\0" * 5_000_000))
    with pytest.raises(UnsafeFileError, match="go on long after"), MatStream(path) as file:
        file.index("x")


def test_every_truncation_is_a_format_error(path):
    data = path.read_bytes()
    for n in [*range(0, 300, 7), *range(300, len(data), 4001), len(data) - 1]:
        path.write_bytes(data[:n])
        with contextlib.suppress(FileFormatError), MatStream(path) as file:
            assert "BIG" not in file.variables
            file.index("BIG")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_altered_bytes_never_raise_anything_else(path, changes):
    original = path.read_bytes()
    damaged = bytearray(original)
    for place, value in changes:
        # mostly where the structure is
        damaged[(place % 3000 if value % 2 else place) % len(damaged)] = value
    path.write_bytes(bytes(damaged))
    with contextlib.suppress(FileFormatError), MatStream(path) as file:
        for leaf in file.index("BIG").leaves.values():
            file.read("BIG", leaf)
    path.write_bytes(original)


def test_version_7_3_and_missing_variables_are_named(path, tmp_path):
    h5py = pytest.importorskip("h5py")
    with MatStream(path) as file, pytest.raises(FileFormatError, match="lacks the variable 'D'"):
        file.index("D")
    other = tmp_path / "new.mat"
    with h5py.File(other, "w") as file:
        file.create_dataset("BIG", data=np.zeros((2, 2)))
    with pytest.raises(FileFormatError, match=r"v7\.3"), MatStream(other) as file:
        file.index("BIG")
