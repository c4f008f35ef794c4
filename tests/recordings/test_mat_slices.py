"""Slices of one MATLAB array, against scipy's files and against damage."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from affectrum.errors import FileFormatError
from affectrum.recordings.mat_slices import MatSlices
from affectrum.recordings.mat_unpack import Marks


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def compress(request):
    return request.param


def array(dtype="f8", shape=(50, 3, 7)):
    return np.random.default_rng(0).normal(scale=100.0, size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u1"])
def test_slices_in_any_order(tmp_path, compress, dtype):
    x = np.abs(array()).astype(dtype) if dtype == "u1" else array(dtype)
    path = tmp_path / "x.mat"
    savemat(path, {"first": np.eye(3), "seg": x, "last": 1.0}, do_compression=compress)
    with MatSlices(path, "seg") as file:
        assert file.shape == (50, 3, 7)
        for index in (3, 0, 6, 5, 6):
            found = file.slice(index)
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, x[:, :, index])
        np.testing.assert_array_equal(file.part(2, 5), x[:, :, 2:5])
        assert file.part(4, 4).shape == (50, 3, 0)
        with pytest.raises(FileFormatError, match="7 slices"):
            file.part(5, 4)
        for index in (-1, 7):
            with pytest.raises(FileFormatError, match="7 slices"):
                file.slice(index)


def test_big_endian(tmp_path):
    x = array()
    body = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">II3ii", 5, 12, *x.shape, 0)
    body += struct.pack(">II", 1, 3) + b"seg" + bytes(5)
    body += struct.pack(">II", 9, x.nbytes) + x.astype(">f8").tobytes(order="F")
    head = b"MATLAB 5.0".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    path = tmp_path / "x.mat"
    path.write_bytes(head + struct.pack(">II", 14, len(body)) + body)
    with MatSlices(path, "seg") as file:
        np.testing.assert_array_equal(file.slice(2), x[:, :, 2])


def test_marks_let_late_slices_begin_late(tmp_path):
    x = array(shape=(1000, 30, 200))
    path = tmp_path / "x.mat"
    savemat(path, {"seg": x}, do_compression=True)
    marks = Marks()
    with MatSlices(path, "seg", marks) as file:
        np.testing.assert_array_equal(file.slice(199), x[:, :, 199])
    with MatSlices(path, "seg", marks) as file:
        np.testing.assert_array_equal(file.slice(150), x[:, :, 150])
        source = file._sources["seg"]
        assert source._next - file._mat.element("seg")[0].offset > path.stat().st_size // 2


@pytest.mark.parametrize(
    "value", [np.array(["a", "b"], object), "text", {"a": 1.0}, np.ones((3, 3)) * 1j]
)
def test_what_is_no_array_of_numbers(tmp_path, value):
    path = tmp_path / "x.mat"
    savemat(path, {"seg": value})
    with pytest.raises(FileFormatError, match="no array of real numbers"):
        MatSlices(path, "seg")


def test_missing_variables_and_files(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"seg": array()})
    with pytest.raises(FileFormatError, match="lacks the variable 'other'"):
        MatSlices(path, "other")
    with pytest.raises(FileFormatError):
        MatSlices(tmp_path / "none.mat", "seg")


def test_a_promise_that_the_file_does_not_keep(tmp_path):
    # the header promises far more than the packed bytes hold
    x = array()
    savemat(tmp_path / "x.mat", {"seg": x})
    plain = (tmp_path / "x.mat").read_bytes()
    shape = struct.pack("<3i", *x.shape)
    huge = plain[128:].replace(shape, struct.pack("<3i", 2**30, 2**30, 2**30))
    (tmp_path / "x.mat").write_bytes(plain[:128] + huge)
    with pytest.raises(FileFormatError, match="does not fit"):
        MatSlices(tmp_path / "x.mat", "seg")
    short = zlib.compress(plain[128:-4000])
    packed = plain[:128] + struct.pack("<II", 15, len(short)) + short
    (tmp_path / "x.mat").write_bytes(packed)
    with MatSlices(tmp_path / "x.mat", "seg") as file:
        np.testing.assert_array_equal(file.slice(0), x[:, :, 0])
        with pytest.raises(FileFormatError, match="damaged"):
            file.slice(6)


@pytest.mark.parametrize("seed", range(60))
def test_damage_ends_in_the_projects_error(tmp_path, compress, seed):
    path = tmp_path / "x.mat"
    savemat(path, {"seg": array()}, do_compression=compress)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        content = content[: int(rng.integers(len(content)))]
    for _ in range(8 if seed % 3 else 0):
        place = int(rng.integers(128, 300 if seed % 2 else len(content)))
        content[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)
    try:
        with MatSlices(path, "seg") as file:
            for index in range(file.shape[-1]):
                assert file.slice(index).dtype == np.float64
    except FileFormatError:
        pass
