"""EEGLAB's .set files in their several forms."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import FileFormatError


def test_eeglab_forms(tmp_path):
    from scipy.io import savemat

    from affectrum.recordings.eeglab import SetFile

    path = tmp_path / "a.set"
    x = np.arange(12.0).reshape(3, 4)
    head = {"srate": 2.0, "nbchan": 3.0, "pnts": 4.0, "trials": 1.0}
    # fields as variables of their own, signals inside, no labels
    savemat(path, {**head, "data": x, "chanlocs": np.zeros((0, 0))})
    file = SetFile(path)
    assert (file.names, file.sfreq, file.n_samples) == ((), 2.0, 4)
    np.testing.assert_array_equal(file.read([2, 0], 1, 3), x[[2, 0], 1:3])
    savemat(path, {"EEG": {**head, "trials": 2.0, "data": x}})
    with pytest.raises(FileFormatError, match="2 epochs"):
        SetFile(path)
    savemat(path, {"EEG": {**head, "pnts": 5.0, "data": x}})
    with pytest.raises(FileFormatError, match="data has shape"):
        SetFile(path)
    # names of folders in the header are not followed
    savemat(path, {"EEG": {**head, "data": "/etc/passwd"}})
    with pytest.raises(FileFormatError, match=r"a\.fdt, is missing"):
        SetFile(path)
    for content in ({"other": 1.0}, {"EEG": 3.0}, {"EEG": {**head, "srate": "x", "data": x}}):
        savemat(path, content)
        with pytest.raises(FileFormatError):
            SetFile(path)
