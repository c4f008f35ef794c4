from __future__ import annotations

import logging

import mne
import numpy as np
import pytest

from affectrum.errors import RecordingError
from affectrum.recordings import open_recording

NAMES = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]


def make_raw(names=NAMES, sfreq=128, seconds=12, types="eeg"):
    rng = np.random.default_rng(0)
    info = mne.create_info(list(names), sfreq, types)
    x = rng.normal(scale=20e-6, size=(len(names), sfreq * seconds))
    return mne.io.RawArray(x, info, verbose="ERROR")


class TestRealRecordings:
    """Every file is opened; what is compared was read from the files' own headers."""

    def test_eeglab(self, real_eeg):
        notes = []
        raw = open_recording(real_eeg / "eeglab_sample/eeglab_data.set", notes=notes)
        assert (raw.info["sfreq"], raw.n_times, len(raw.ch_names)) == (128.0, 30504, 32)
        types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
        assert [n for n, t in types.items() if t == "eog"] == ["EOG1", "EOG2"]
        # the .fdt beside it: float32 microvolts, one sample of all channels after another
        values = np.fromfile(real_eeg / "eeglab_sample/eeglab_data.fdt", "<f4").reshape(-1, 32).T
        np.testing.assert_allclose(raw.get_data(), values * 1e-6, rtol=1e-5)
        assert "square" in set(raw.annotations.description)
        assert notes == []

    def test_eeglab_by_its_data_file(self, real_eeg):
        raw = open_recording(real_eeg / "eeglab_sample/eeglab_data.fdt", notes=[])
        assert len(raw.ch_names) == 32

    def test_bdf(self, real_eeg):
        notes = []
        raw = open_recording(real_eeg / "eeglab_sample/test.bdf", notes=notes)
        assert (raw.info["sfreq"], raw.n_times, len(raw.ch_names)) == (256.0, 15360, 17)
        assert raw.get_channel_types()[-1] == "stim"
        assert any("Number of records" in note for note in notes)  # MNE's warning, passed on
        spread = np.median(raw.get_data("eeg").std(axis=1))
        assert 1e-6 < spread < 1e-4

    def test_edf_keeps_the_files_names(self, real_eeg):
        raw = open_recording(real_eeg / "eeglab_sample/test.edf", notes=[])
        assert (raw.info["sfreq"], len(raw.ch_names)) == (256.0, 16)
        assert raw.ch_names[:3] == ["EEG Fp1", "EEG Fp2", "EEG T3"]
        assert 1e-6 < np.median(raw.get_data().std(axis=1)) < 1e-4

    @pytest.mark.parametrize("ending", [".vhdr", ".vmrk", ".dat"])
    def test_brainvision(self, real_eeg, ending):
        notes = []
        raw = open_recording(real_eeg / f"eeglab_sample/testbva{ending}", notes=notes)
        assert (raw.info["sfreq"], raw.n_times, len(raw.ch_names)) == (200.0, 2112, 32)
        assert raw.get_channel_types().count("eeg") == 29  # not Eog, Ekg1, Ekg2
        # multiplexed float32 microvolts
        values = np.fromfile(real_eeg / "eeglab_sample/testbva.dat", "<f4").reshape(-1, 32).T
        np.testing.assert_allclose(raw.get_data()[:29], values[:29] * 1e-6, rtol=1e-5)
        assert any("Ekg1" in note for note in notes)

    def test_xdf_without_names_asks_for_them(self, real_eeg):
        path = real_eeg / "eeglab_sample/test.xdf"
        with pytest.raises(RecordingError, match=r"8 channels without names.*--channels"):
            open_recording(path)
        with pytest.raises(RecordingError, match="2 channel names were given.*8"):
            open_recording(path, channels=["Fp1", "Fp2"])
        notes = []
        names = ["Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2"]
        raw = open_recording(path, channels=names, notes=notes)
        assert raw.ch_names == names
        assert raw.n_times == 9520
        # 9519 steps between the first and the last time stamp (88677.97246, 88687.50651)
        assert raw.info["sfreq"] == pytest.approx(9519 / (88687.5065107 - 88677.97245897), rel=1e-4)
        assert any("microvolts" in note for note in notes)
        assert any("effective" in note for note in notes)

    def test_mind_monitor_summary_is_refused(self, real_eeg):
        with pytest.raises(
            RecordingError, match=r"0\.98\d rows per second: a summary export.*Cons"
        ):
            open_recording(real_eeg / "eeglab_sample/testmusemonitor.csv")

    def test_every_muse_notebook(self, real_eeg):
        files = sorted((real_eeg / "muse_n170").glob("*.csv"))
        assert len(files) == 4
        for path in files:
            notes = []
            raw = open_recording(path, notes=notes)
            assert raw.ch_names == ["TP9", "AF7", "AF8", "TP10"]
            assert raw.info["sfreq"] == 256.0
            assert 119 < raw.times[-1] < 121
            first = np.loadtxt(path, delimiter=",", skiprows=1, max_rows=1)
            np.testing.assert_allclose(raw.get_data()[:, 0], first[1:5] * 1e-6)
            assert set(raw.annotations.description) <= {"1", "2"}
            assert len(raw.annotations) > 100
            assert any("Right AUX" in note for note in notes)
            assert any("microvolts" in note for note in notes)

    def test_nothing_leaks_as_a_warning_and_remarks_are_logged(self, real_eeg, caplog):
        with caplog.at_level(logging.WARNING, logger="affectrum.recordings.raw"):
            open_recording(real_eeg / "eeglab_sample/test.bdf")
        assert "Number of records" in caplog.text


def test_edf_and_bdf_round_trip(tmp_path):
    raw = make_raw()
    for ending in ("edf", "bdf"):
        path = tmp_path / f"x.{ending}"
        mne.export.export_raw(path, raw, verbose="ERROR")
        got = open_recording(path, notes=[])
        assert got.ch_names == NAMES
        # one step of a 16-bit file over the range of the data
        np.testing.assert_allclose(got.get_data(), raw.get_data(), atol=1e-8)


def test_brainvision_and_fif_round_trip(tmp_path):
    raw = make_raw()
    raw.save(tmp_path / "x_raw.fif", verbose="ERROR")
    got = open_recording(tmp_path / "x_raw.fif", notes=[])
    np.testing.assert_allclose(got.get_data(), raw.get_data(), rtol=1e-6)
    assert got.ch_names == NAMES


def test_amplifier_inputs_can_be_named(tmp_path):
    raw = make_raw([f"{n}" for n in range(1, 7)])
    mne.export.export_raw(tmp_path / "x.edf", raw, verbose="ERROR")
    with pytest.raises(RecordingError, match="no electrode names.*--channels"):
        open_recording(tmp_path / "x.edf")
    got = open_recording(tmp_path / "x.edf", channels=NAMES, notes=[])
    assert got.ch_names == NAMES
    with pytest.raises(RecordingError, match="given twice: Fp1"):
        open_recording(tmp_path / "x.edf", channels=["Fp1", "Fp1", *NAMES[2:]])


def test_a_unit_that_was_read_wrongly_is_noted(tmp_path):
    raw = make_raw()
    raw._data *= 1e6  # microvolts taken as volts
    raw.save(tmp_path / "x_raw.fif", verbose="ERROR")
    notes = []
    open_recording(tmp_path / "x_raw.fif", notes=notes)
    assert any("the unit may be wrong" in note for note in notes)


def test_recordings_without_eeg_are_refused(tmp_path):
    raw = make_raw(["EOG1", "ECG"])
    raw.save(tmp_path / "x_raw.fif", verbose="ERROR")
    with pytest.raises(RecordingError, match="no EEG channel among EOG1, ECG"):
        open_recording(tmp_path / "x_raw.fif")


@pytest.mark.parametrize("ending", ["edf", "bdf", "vhdr", "set", "fif", "cnt", "xdf"])
def test_damaged_files_are_recording_errors(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(b"not what the ending says" * 50)
    with pytest.raises(RecordingError, match=rf"x\.{ending}"):
        open_recording(path)
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match=rf"x\.{ending}"):
        open_recording(path)


def test_missing_unknown_and_companion_files_are_explained(tmp_path):
    (tmp_path / "sub1.edf").touch()
    with pytest.raises(RecordingError, match=r"no such file. Did you mean 'sub1\.edf'"):
        open_recording(tmp_path / "sub2.edf")
    (tmp_path / "x.docx").touch()
    with pytest.raises(RecordingError, match=r"'\.docx' is not known. Known are \.edf, \.bdf"):
        open_recording(tmp_path / "x.docx")
    (tmp_path / "x.eeg").touch()
    with pytest.raises(RecordingError, match=r"x\.vhdr"):
        open_recording(tmp_path / "x.eeg")
    (tmp_path / "x.edf").mkdir()
    with pytest.raises(RecordingError, match="a folder"):
        open_recording(tmp_path / "x.edf")


def test_eeglab_epochs_are_refused(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "x.set", {"trials": 3.0, "data": np.zeros((2, 10, 3))})
    with pytest.raises(RecordingError, match="epochs"):
        open_recording(tmp_path / "x.set")
