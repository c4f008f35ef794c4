from __future__ import annotations

import contextlib
import struct
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import loadmat, savemat

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import mat

CONTENT = {
    "djc_eeg1": np.arange(12.0).reshape(3, 4) + 0.5,
    "djc_eeg2": np.arange(6.0).reshape(2, 3),
    "djc_eeg10": np.linspace(-1, 1, 5000).reshape(5, 1000),
    "cube": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "small": np.array([[1]], "u1"),
    "wide": np.array([[-(2**40)]], "i8"),
    "flag": np.array([[True, False]]),
    "empty": np.zeros((0, 3)),
    "complex": np.array([[1 + 2j, 3]]),
    "word": "happy",
    "cell": np.array([["a", 1.0]], object),
    "struct": {"rate": 128, "names": np.array(["AF3", "F7"], object)},
    "structs": np.array(
        [[(1.0, {"x": 4.0}), (2.0, {"x": [5.0, 6.0]})]], [("n", object), ("inner", object)]
    ),
    "rows": np.array(["abc", "xyz"]),
}


@pytest.fixture(params=[True, False], ids=["compressed", "plain"])
def path(request, tmp_path):
    path = tmp_path / "1_20131027.mat"
    savemat(path, CONTENT, do_compression=request.param)
    return path


def test_variables_are_listed_in_file_order(path):
    found = mat.list_variables(path)
    assert list(found) == list(CONTENT)
    assert found["djc_eeg10"] == ((5, 1000), "double")
    assert found["cube"] == ((2, 3, 4), "single")
    assert found["flag"] == ((1, 2), "logical")
    assert found["word"][1] == "char"
    assert found["cell"] == ((1, 2), "cell")
    assert found["struct"] == ((1, 1), "struct")


def test_arrays_equal_what_scipy_reads(path):
    expected = loadmat(path)
    names = [name for name in CONTENT if name not in ("struct", "structs", "cell")]
    for name, array in mat.load(path, names).items():
        if name != "flag":  # scipy leaves logicals as uint8
            assert array.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert mat.load(path, ["flag"])["flag"].dtype == bool


def test_structs_and_cells(path):
    found = mat.load(path, ["struct", "cell", "structs"])
    record = found["struct"].item()
    assert record["rate"].item() == 128
    assert [name.item() for name in record["names"].ravel()] == ["AF3", "F7"]
    assert found["cell"].shape == (1, 2)
    assert (found["cell"][0, 0].item(), found["cell"][0, 1].item()) == ("a", 1.0)
    assert [r["n"].item() for r in found["structs"].ravel()] == [1.0, 2.0]
    np.testing.assert_array_equal(found["structs"][0, 1]["inner"].item()["x"], [[5.0, 6.0]])


def test_sparse_arrays_are_refused_by_name(tmp_path):
    savemat(tmp_path / "x.mat", {"s": sparse.csc_array(np.eye(3))})
    assert mat.list_variables(tmp_path / "x.mat") == {"s": ((3, 3), "sparse")}
    with pytest.raises(FileFormatError, match="class sparse are not read"):
        mat.load(tmp_path / "x.mat")


def test_whole_numbers_that_matlab_packs_keep_their_class(tmp_path):
    # a double whose values are stored as int16 and, in a small element, as uint8
    def matrix(name, kind, n_values, data):
        flags = struct.pack("<IIII", 6, 8, 6, 0)
        dims = struct.pack("<IIii", 5, 8, 1, n_values)
        words = struct.pack("<II", 1, len(name)) + name.ljust(-(-len(name) // 8) * 8, b"\0")
        if len(data) <= 4:
            real = struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
        else:
            real = struct.pack("<II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")
        body = flags + dims + words + real
        return struct.pack("<II", 14, len(body)) + body

    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    path = tmp_path / "labels.mat"
    path.write_bytes(
        head
        + matrix(b"label", 3, 5, struct.pack("<5h", 1, 0, -1, -1, 300))
        + matrix(b"few", 2, 3, b"\x01\x02\x03")
    )
    got = mat.load(path)
    assert got["label"].dtype == np.float64
    np.testing.assert_array_equal(got["label"], [[1, 0, -1, -1, 300]])
    np.testing.assert_array_equal(got["few"], [[1.0, 2.0, 3.0]])


def test_big_endian_files(tmp_path):
    values = np.arange(4.0)
    flags = struct.pack(">IIII", 6, 8, 6, 0)
    dims = struct.pack(">IIii", 5, 8, 2, 2)
    name = struct.pack(">HH", 1, 1) + b"x\0\0\0"
    name = struct.pack(">I", (1 << 16) | 1) + b"x\0\0\0"
    real = struct.pack(">II", 9, 32) + values.astype(">f8").tobytes()
    body = flags + dims + name + real
    path = tmp_path / "big.mat"
    path.write_bytes(
        b"MATLAB".ljust(124)
        + struct.pack(">H", 0x0100)
        + b"MI"
        + struct.pack(">II", 14, len(body))
        + body
    )
    np.testing.assert_array_equal(mat.load(path)["x"], values.reshape(2, 2, order="F"))


def test_reading_one_variable_decodes_that_one_only(path, monkeypatch):
    decoded = []
    body = mat.MatFile._body

    def counting(self, name):
        decoded.append(name)
        return body(self, name)

    monkeypatch.setattr(mat.MatFile, "_body", counting)
    with mat.MatFile(path) as file:
        assert decoded == []
        file.read("djc_eeg10")
        assert decoded == ["djc_eeg10"]
        decoded.clear()
        names = []
        for name, _ in file.items():
            names.append(name)
            assert decoded == names  # decoded when it is reached, once
    assert names == list(CONTENT)


def test_every_truncation_is_a_format_error(path):
    data = path.read_bytes()
    step = max(1, len(data) // 400)
    for n in [*range(0, 400), *range(400, len(data), step), len(data) - 1]:
        if n >= len(data):
            continue
        path.write_bytes(data[:n])
        try:
            found = mat.list_variables(path)
        except FileFormatError:
            continue
        # a cut between two variables can't be seen from the file itself
        assert list(found) == list(CONTENT)[: len(found)]
        assert len(found) < len(CONTENT)


def test_truncation_names_the_place(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 10])
    with pytest.raises(FileFormatError, match=r"1_20131027\.mat: truncated: .*13 variables before"):
        mat.list_variables(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_altered_bytes_never_raise_anything_else(path, changes):
    original = path.read_bytes()
    damaged = bytearray(original)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    path.write_bytes(bytes(damaged))
    with contextlib.suppress(FileFormatError):
        mat.load(path)
    path.write_bytes(original)


def _compressed(body, promised=None):
    data = zlib.compress(struct.pack("<II", 14, promised or len(body)) + body)
    head = b"MATLAB".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + struct.pack("<II", 15, len(data)) + data


def _matrix(shape, n_bytes):
    return (
        struct.pack("<IIII", 6, 8, 6, 0)
        + struct.pack(f"<II{len(shape)}i", 5, 4 * len(shape), *shape)
        + struct.pack("<HH", 1, 1)
        + b"x\0\0\0"
        + struct.pack("<II", 9, n_bytes)
        + b"\0" * 64
    )


@pytest.mark.parametrize(
    ("data", "word"),
    [
        pytest.param(_compressed(_matrix((2**30, 2**30), 64)), "does not fit", id="absurd shape"),
        pytest.param(_compressed(_matrix((-2, 4), 64)), "negative", id="negative shape"),
        pytest.param(_compressed(_matrix((2, 4), 2**31)), "does not fit", id="absurd length"),
        pytest.param(_compressed(_matrix((2, 4), 64), 40), "disagree", id="longer than promised"),
        pytest.param(_compressed(_matrix((2, 4), 64), 4000), "disagree", id="shorter"),
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"x" * 500, "not a MATLAB", id="text"),
        pytest.param(b"\x80\x02}q\x00." * 100, "not a MATLAB", id="pickle"),
    ],
)
def test_absurd_files_are_format_errors(tmp_path, data, word):
    path = tmp_path / "x.mat"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=word):
        mat.load(path)


def test_missing_variable_and_file_are_named(path, tmp_path):
    with pytest.raises(FileFormatError, match="lacks the variable 'label'; it holds djc_eeg1"):
        mat.load(path, ["label"])
    with pytest.raises(FileFormatError, match="No such file"):
        mat.load(tmp_path / "absent.mat")


def _write_v73(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        x = file.create_dataset("de_LDS1", data=np.arange(24.0).reshape(4, 3, 2))
        x.attrs["MATLAB_class"] = np.bytes_("double")
        word = file.create_dataset("word", data=np.array([[104], [105]], "u2"))
        word.attrs["MATLAB_class"] = np.bytes_("char")
        empty = file.create_dataset("empty", data=np.array([0, 3], "u8"))
        empty.attrs["MATLAB_class"] = np.bytes_("double")
        empty.attrs["MATLAB_empty"] = np.uint8(1)
        refs = file.create_group("#refs#")
        refs.create_dataset("a", data=np.array([[1.0]]))
        cell = file.create_dataset("cell", (1, 1), dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        cell[0, 0] = refs["a"].ref
        group = file.create_group("info")
        group.create_dataset("rate", data=np.array([[250.0]]))
    data = path.read_bytes()
    head = b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM"
    path.write_bytes(head + data[len(head) :])


def test_version_7_3(tmp_path):
    path = tmp_path / "sub_1.mat"
    _write_v73(path)
    found = mat.list_variables(path)
    assert found["de_LDS1"] == ((2, 3, 4), "double")
    assert "#refs#" not in found
    got = mat.load(path)
    np.testing.assert_array_equal(got["de_LDS1"], np.arange(24.0).reshape(4, 3, 2).T)
    assert got["word"].item() == "hi"
    assert got["empty"].shape == (0, 3)
    assert got["cell"][0, 0].item() == 1.0
    assert got["info"].item()["rate"].item() == 250.0


def test_version_7_3_does_not_follow_links_out_of_the_file(tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(3.0)
    path = tmp_path / "x.mat"
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/secret")
    with pytest.raises(UnsafeFileError, match="link"):
        mat.load(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (3,), "f8", external=[(str(other), 0, 24)])
    with pytest.raises(UnsafeFileError, match="another file"):
        mat.load(path)


def test_truncated_version_7_3(tmp_path):
    path = tmp_path / "x.mat"
    _write_v73(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FileFormatError, match=r"7\.3"):
        mat.load(path)


def test_what_unpacks_as_no_recording_does_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.mat"
    savemat(path, {"x": np.zeros((62, 200_000))}, do_compression=True)  # 99 MB in 100 kB
    with pytest.raises(UnsafeFileError, match="x unpacks from .* as no recording does"):
        mat.load(path)
    savemat(path, {"x": np.zeros((62, 20_000))}, do_compression=True)  # flat, but small
    assert not mat.load(path)["x"].any()
