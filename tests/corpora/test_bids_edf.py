"""The EDF files of BIDS data sets, in the hands of the opener."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import FileFormatError


@pytest.fixture(scope="module")
def bids():
    import sys

    return sys.modules["corpora_layouts_bids"]


def test_edf_faults(tmp_path, bids):
    from affectrum.recordings.edf import EdfFile

    path = tmp_path / "a.edf"
    x = np.arange(3 * 40).reshape(3, 40).astype(float)
    bids.write_edf(path, ["Fz", "Cz", "Pz"], x, 20, units=["uV", "mV", "degC"])
    file = EdfFile(path)
    assert (file.names, file.units) == (("Fz", "Cz", "Pz"), ("uV", "mV", "degC"))
    assert file.rates == (20.0,) * 3
    np.testing.assert_allclose(file.read([2, 0], 15, 27), x[[2, 0], 15:27] * 0.1, atol=1e-9)
    for wrong in ((0, 41), (-1, 4), (5, 4)):
        with pytest.raises(FileFormatError, match="were asked for"):
            file.read([0], *wrong)
    bids.write_edf(path, ["Fz"], x[:1], 20, reserved="EDF+D")
    with pytest.raises(FileFormatError, match="interrupted"):
        EdfFile(path)
    bids.write_edf(path, ["Fz"], x[:1], 20)
    content = path.read_bytes()
    for harm, message in (
        (lambda b: b[:200], "not an EDF"),
        (lambda b: b[:300], "truncated inside"),
        (lambda b: b[:-1], "truncated"),
        (lambda b: b"9" + b[1:], "not an EDF"),
        (lambda b: b[:252] + b"99999"[:4] + b[256:], "truncated|channels|length"),
        (lambda b: b[:244] + b"nan     " + b[252:], "number belongs"),
        (lambda b: b[:236] + b"many    " + b[244:], "number of records"),
    ):
        path.write_bytes(harm(content))
        with pytest.raises(FileFormatError, match=message):
            EdfFile(path)
