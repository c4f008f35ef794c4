"""Slices of HDF5 arrays against h5py, and files that want more than a slice."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings.hdf5_slices import SlicedArray

SHAPE = (50, 7, 5, 3)
VALUES = np.random.default_rng(0).normal(size=SHAPE)
INDICES = [
    (slice(None), slice(None), 2, 1),
    (slice(3, 41), 6, slice(1, 5), slice(None)),
    (49, slice(0, 1), slice(4, 5), 0),
    (slice(None),) * 4,
    (slice(7, 7), 0, 0, 0),
]
STORED = {
    "contiguous": {},
    "chunked": {"chunks": (16, 4, 2, 3)},
    "gzip": {"chunks": (16, 4, 2, 3), "compression": "gzip"},
    "shuffled": {"chunks": (13, 7, 1, 1), "compression": "gzip", "shuffle": True},
    "with checksum": {"chunks": (50, 1, 5, 3), "compression": 9, "fletcher32": True},
}


def write(path, values=VALUES, name="data", userblock=0, **further):
    with h5py.File(path, "w", userblock_size=userblock) as file:
        return file.create_dataset(name, data=values, **further).name


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "|u1"])
@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("kind", STORED)
def test_slices_are_h5pys(tmp_path, kind, userblock, dtype):
    path = tmp_path / "x.mat"
    values = (VALUES * 20 + 60).astype(dtype)
    write(path, values, userblock=userblock, **STORED[kind])
    with SlicedArray(path, "data") as array:
        assert array.shape == SHAPE
        assert array.names == ("data",)
        for index in INDICES:
            found = array.read(*index)
            np.testing.assert_array_equal(found, values[index])
            assert found.dtype.isnative


def test_only_the_chunks_of_the_slice_are_read(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    write(path, chunks=(50, 7, 1, 3), compression="gzip")
    read = []
    real = SlicedArray._chunk
    monkeypatch.setattr(SlicedArray, "_chunk", lambda self, at: read.append(at) or real(self, at))
    with SlicedArray(path, "data") as array:
        array.read(slice(None), slice(None), 3, 1)
    assert read == [(0, 0, 3, 0)]


@pytest.mark.parametrize("index", [(0, 0, 0), (50, 0, 0, 0), (-1, 0, 0, 0)])
def test_what_is_not_there_is_refused(tmp_path, index):
    path = tmp_path / "x.mat"
    write(path)
    with SlicedArray(path, "data") as array, pytest.raises(FileFormatError):
        array.read(*index)


def test_missing_files_names_and_kinds(tmp_path):
    path = tmp_path / "x.mat"
    with pytest.raises(FileFormatError, match="can't be read"):
        SlicedArray(path, "data")
    path.write_bytes(b"nothing")
    with pytest.raises(FileFormatError):
        SlicedArray(path, "data")
    with h5py.File(path, "w") as file:
        file["text"] = "abc"
        file.create_group("group")
    with pytest.raises(FileFormatError, match="lacks 'data'; it holds group, text"):
        SlicedArray(path, "data")
    with pytest.raises(FileFormatError, match="is no array"):
        SlicedArray(path, "group")
    with pytest.raises(FileFormatError, match="no plain number"):
        SlicedArray(path, "text")


def test_values_elsewhere_are_not_followed(tmp_path):
    path, secret = tmp_path / "x.mat", tmp_path / "secret"
    secret.write_bytes(bytes(80))
    write(tmp_path / "other.h5", np.zeros(10))
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/data")
        file["soft"] = h5py.SoftLink("/outside")
        file.create_dataset("outside", (10,), "f8", external=[(str(secret), 0, 80)])
        layout = h5py.VirtualLayout((10,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", (10,))
        file.create_virtual_dataset("virtual", layout)
    for name in ("link", "soft", "outside", "virtual"):
        with pytest.raises(UnsafeFileError, match="not followed"):
            SlicedArray(path, name)


def test_foreign_filters_are_not_loaded(tmp_path):
    path = tmp_path / "x.mat"
    write(path, chunks=SHAPE, compression="lzf")
    with pytest.raises(UnsafeFileError, match="the filter 32000"):
        SlicedArray(path, "data")


def test_promises_without_values_are_noticed(tmp_path):
    path = tmp_path / "x.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (10**6, 10**3), "f8", chunks=(100, 100), compression="gzip")
        file.create_dataset("plain", (10**6, 10**3), "f8")
        file.create_dataset("wide", (10**5, 10**4), "f8", chunks=(10**5, 10**3))
        file.create_dataset("crumbs", (10**6,), "f8", chunks=(1,))
    with SlicedArray(path, "data") as array:
        with pytest.raises(FileFormatError, match="never written"):
            array.read(slice(0, 10), slice(0, 10))
        with pytest.raises(UnsafeFileError, match="bytes was asked for"):
            array.read(slice(None), slice(None))
    with pytest.raises(FileFormatError, match="needs 8000000000 bytes"):
        SlicedArray(path, "plain")
    with pytest.raises(UnsafeFileError, match="too large"):
        SlicedArray(path, "wide")
    with SlicedArray(path, "crumbs") as array, pytest.raises(UnsafeFileError, match="too many"):
        array.read(slice(None))


def test_a_piece_that_unpacks_to_more_than_it_should_is_stopped(tmp_path):
    path = tmp_path / "x.mat"
    bomb = zlib.compress(bytes(200_000_000), 9)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (100,), "f8", chunks=(100,), compression="gzip")
        data.id.write_direct_chunk((0,), bomb)
    with SlicedArray(path, "data") as array, pytest.raises(FileFormatError, match="another size"):
        array.read(slice(None))
    with h5py.File(path, "r+") as file:
        file["data"].id.write_direct_chunk((0,), zlib.compress(bytes(8)))
    with SlicedArray(path, "data") as array, pytest.raises(FileFormatError, match="800 expected"):
        array.read(slice(None))
    with h5py.File(path, "r+") as file:
        file["data"].id.write_direct_chunk((0,), b"no zlib at all")
    with SlicedArray(path, "data") as array, pytest.raises(FileFormatError, match="damaged"):
        array.read(slice(None))


def test_flipped_bits_end_in_the_projects_error(tmp_path):
    path = tmp_path / "x.mat"
    write(path, chunks=(16, 4, 2, 3), compression="gzip")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 8):
            content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content[: len(content) - int(rng.integers(0, 200))])
        try:
            with SlicedArray(path, "data") as array:
                array.read(*[slice(None)] * len(array.shape))
        except FileFormatError:
            pass
