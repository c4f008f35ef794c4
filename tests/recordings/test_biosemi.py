from __future__ import annotations

import mne
import numpy as np
import pytest

from affectrum.errors import FileFormatError
from affectrum.recordings.biosemi import BdfFile


def test_real_file_equals_what_mne_reads(real_eeg):
    path = real_eeg / "eeglab_sample/test.bdf"  # not closed properly: its header counts -1 records
    with pytest.warns(RuntimeWarning, match="Number of records"):
        raw = mne.io.read_raw_bdf(path, verbose="WARNING")
    file = BdfFile(path)
    assert list(file.names) == raw.ch_names
    assert (file.sfreq, file.n_samples) == (raw.info["sfreq"], raw.n_times)
    np.testing.assert_allclose(
        file.read([0, 3, 15], 100, 900), raw.get_data([0, 3, 15], 100, 900), rtol=1e-9, atol=1e-15
    )


def _bdf(n_channels=2, n_records=3, rate=8, **changes):
    names = ["Cz", ""][:n_channels]
    fields = {
        "head": b"\xffBIOSEMI",
        "length": 256 * (n_channels + 1),
        "records": n_records,
        "seconds": 1,
        "channels": n_channels,
        "unit": "uV",
        "rates": [rate] * n_channels,
        "lowest": -262144,
        "highest": 262143,
    } | changes

    def cells(values, width):
        return b"".join(str(v).encode("latin-1").ljust(width) for v in values)

    n = n_channels
    header = fields["head"] + b" " * 160 + b"01.01.0901.01.01"
    header += cells([fields["length"]], 8) + b" " * 44 + cells([fields["records"]], 8)
    header += cells([fields["seconds"]], 8) + cells([fields["channels"]], 4)
    header += cells(names, 16) + cells([""] * n, 80) + cells([fields["unit"]] * n, 8)
    header += cells([fields["lowest"]] * n, 8) + cells([fields["highest"]] * n, 8)
    header += cells([-8388608] * n, 8) + cells([8388607] * n, 8) + cells([""] * n, 80)
    header += cells(fields["rates"], 8) + cells([""] * n, 32)
    count = np.arange(n_records * n * rate)
    values = (count * (-1) ** count).astype("<i4")
    return header + values.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def test_stretches_cross_records(tmp_path):
    path = tmp_path / "x.bdf"
    path.write_bytes(_bdf())
    file = BdfFile(path)
    everything = file.read([0, 1])
    assert everything.shape == (2, 24)
    # record r holds channel 0, then channel 1; values count on with alternating sign
    step = 524287 / 16777215 * 1e-6
    n = np.arange(8)
    np.testing.assert_allclose(
        everything[1, 8:16] + (262144 - 8388608 * step * 1e6) * 1e-6,
        (24 + n) * (-1.0) ** n * step,
        atol=1e-12,
    )
    np.testing.assert_array_equal(file.read([1, 0], 5, 19), everything[[1, 0], 5:19])
    assert file.read([0], 7, 7).shape == (1, 0)


def test_codes_are_unsigned_24_bits(tmp_path):
    path = tmp_path / "x.bdf"
    path.write_bytes(_bdf())
    codes = BdfFile(path).codes(0)
    assert codes[:4].tolist() == [0, 2**24 - 1, 2, 2**24 - 3]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"head": b"0       "}, "not a BioSemi"),
        ({"length": 999}, "header's length"),
        ({"records": "many"}, "number of records"),
        ({"records": 9}, "truncated: 9 records promised, 3"),
        ({"channels": 0}, "0 channels"),
        ({"channels": 9999}, "truncated inside the header"),
        ({"seconds": 0}, "impossible"),
        ({"rates": [8, 16]}, "different sampling rates"),
        ({"rates": [-8, -8]}, "impossible"),
        ({"lowest": "x"}, "where a number belongs"),
    ],
)
def test_damaged_headers(tmp_path, changes, word):
    path = tmp_path / "x.bdf"
    path.write_bytes(_bdf(**changes))
    with pytest.raises(FileFormatError, match=word):
        BdfFile(path)


def test_a_unit_that_is_no_voltage(tmp_path):
    path = tmp_path / "x.bdf"
    path.write_bytes(_bdf(unit="nS"))
    with pytest.raises(FileFormatError, match="unit 'nS'"):
        BdfFile(path).read([0])


def test_unclosed_recordings_are_read_to_their_end(tmp_path):
    path = tmp_path / "x.bdf"
    path.write_bytes(_bdf(records=-1) + b"\0" * 10)
    assert BdfFile(path).n_samples == 24


def test_short_and_missing_files(tmp_path):
    (tmp_path / "x.bdf").write_bytes(b"\xffBIOSEMI")
    with pytest.raises(FileFormatError, match="not a BioSemi"):
        BdfFile(tmp_path / "x.bdf")
    with pytest.raises(FileFormatError, match="No such file"):
        BdfFile(tmp_path / "y.bdf")
