from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from affectrum.errors import RecordingError
from affectrum.recordings import open_recording


def table(seconds=4, sfreq=128, names=("Fp1", "O2"), time="time", scale=20.0):
    n = seconds * sfreq
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({time: np.arange(n) / sfreq} if time else {})
    for name in names:
        frame[name] = rng.normal(scale=scale, size=n)
    return frame


def write(frame, path, **options):
    frame.to_csv(path, index=False, **options)
    return path


@pytest.mark.parametrize("time", ["time", "timestamps", "TimeStamp", "Time (s)", "t", "lsl_time"])
def test_generic_table(tmp_path, time):
    frame = table(time=time)
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=[])
    assert raw.ch_names == ["Fp1", "O2"]
    assert raw.info["sfreq"] == 128.0
    np.testing.assert_allclose(raw.get_data(), frame[["Fp1", "O2"]].to_numpy().T * 1e-6)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path, separator):
    raw = open_recording(write(table(), tmp_path / "x.txt", sep=separator), notes=[])
    assert raw.ch_names == ["Fp1", "O2"]


@pytest.mark.parametrize(
    ("unit", "volts"),
    [("uV", 1e-6), ("µV", 1e-6), ("mV", 1e-3), ("V", 1.0), ("nV", 1e-9)],
)
def test_units_of_the_header(tmp_path, unit, volts):
    frame = table(names=(f"Fp1 ({unit})", f"O2 [{unit}]"))
    notes = []
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=notes)
    assert raw.ch_names == ["Fp1", "O2"]
    np.testing.assert_allclose(raw.get_data()[0], frame[f"Fp1 ({unit})"] * volts)
    assert not any("No unit" in note for note in notes)


def test_numbers_in_volts_are_recognised_by_their_size(tmp_path):
    frame = table(scale=20e-6)
    notes = []
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=notes)
    np.testing.assert_allclose(raw.get_data()[0], frame["Fp1"])
    assert any("they are volts" in note for note in notes)


def test_unknown_unit_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="unit 'counts' is not known"):
        open_recording(write(table(names=("Fp1 (counts)",)), tmp_path / "x.csv"))


def test_mind_monitor_in_constant_mode(tmp_path):
    frame = table(sfreq=256, names=("RAW_TP9", "RAW_AF7", "RAW_AF8", "RAW_TP10"), time=None)
    frame[list(frame)] += 840
    frame.insert(0, "Delta_TP9", 0.1)
    frame["Elements"] = ""
    start = pd.Timestamp("2024-01-02 10:00:00")
    stamps = start + pd.to_timedelta(np.arange(len(frame)) / 256, unit="s")
    frame.insert(0, "TimeStamp", [s.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] for s in stamps])
    # a blink is a row of its own without numbers
    blink = pd.DataFrame(
        [{"TimeStamp": frame["TimeStamp"][99], "Elements": "/muse/elements/blink"}]
    )
    frame = pd.concat([frame[:100], blink, frame[100:]])
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=[])
    assert raw.ch_names == ["TP9", "AF7", "AF8", "TP10"]
    assert raw.info["sfreq"] == 256.0
    assert raw.n_times == 1024
    assert list(raw.annotations.description) == ["/muse/elements/blink"]
    assert raw.annotations.onset[0] == pytest.approx(100 / 256)


def test_band_powers_alone_are_refused(tmp_path):
    frame = table(names=("Delta_TP9", "Alpha_TP9"))
    with pytest.raises(RecordingError, match="band powers only"):
        open_recording(write(frame, tmp_path / "x.csv"))


def test_markers_become_annotations_at_their_sample(tmp_path):
    frame = table()
    frame["Marker0"] = 0
    frame.loc[[10, 11, 200], "Marker0"] = [1, 1, 2]
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=[])
    assert list(raw.annotations.description) == ["1", "2"]
    np.testing.assert_allclose(raw.annotations.onset, [10 / 128, 200 / 128])


def test_a_gap_is_marked_and_does_not_change_the_rate(tmp_path):
    frame = table(seconds=8)
    frame.loc[500:, "time"] += 3.0
    notes = []
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=notes)
    assert raw.info["sfreq"] == 128.0
    assert list(raw.annotations.description) == ["BAD gap"]
    assert raw.annotations.onset[0] == pytest.approx(500 / 128)
    assert any("1 gaps" in note and "3 s" in note for note in notes)


def test_jitter_of_packets_is_no_gap(tmp_path):
    frame = table(sfreq=256)
    frame["time"] += np.repeat(np.random.default_rng(1).uniform(-0.01, 0.01, 256), 4)
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=[])
    assert raw.info["sfreq"] == pytest.approx(256, rel=0.005)
    assert len(raw.annotations) == 0


def test_two_recordings_in_one_file_are_refused(tmp_path):
    frame = pd.concat([table(), table()])
    with pytest.raises(RecordingError, match="time runs backwards by 3.99 s in row 513"):
        open_recording(write(frame, tmp_path / "x.csv"))


def test_no_time_column_asks_for_the_rate(tmp_path):
    path = write(table(time=None), tmp_path / "x.csv")
    with pytest.raises(RecordingError, match="--sfreq"):
        open_recording(path)
    assert open_recording(path, sfreq=128, notes=[]).info["sfreq"] == 128.0


def test_low_rates_are_refused(tmp_path):
    with pytest.raises(RecordingError, match="10 rows per second: a summary"):
        open_recording(write(table(sfreq=10), tmp_path / "x.csv"))


def test_columns_without_electrode_names_ask_for_them(tmp_path):
    path = write(table(names=("ch one", "ch two")), tmp_path / "x.csv")
    with pytest.raises(RecordingError, match="no column is named after an electrode.*--channels"):
        open_recording(path)
    raw = open_recording(path, channels=["Fp1", "Fp2"], notes=[])
    assert raw.ch_names == ["Fp1", "Fp2"]
    picked = open_recording(path, channels=["ch two"], notes=[])
    np.testing.assert_allclose(picked.get_data()[0], raw.get_data()[1])


def test_missing_values(tmp_path):
    frame = table()
    frame.loc[10, "Fp1"] = np.nan
    notes = []
    raw = open_recording(write(frame, tmp_path / "x.csv"), notes=notes)
    expected = (frame["Fp1"][9] + frame["Fp1"][11]) / 2 * 1e-6
    assert raw.get_data()[0, 10] == pytest.approx(expected)
    assert any("1 missing values" in note for note in notes)
    frame.loc[20:200, "Fp1"] = np.nan
    with pytest.raises(RecordingError, match="are missing"):
        open_recording(write(frame, tmp_path / "x.csv"))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"time,Fp1\n", "no samples"),
        (b"\0\1\2\3" * 100, "not a text file"),
        (b"time,Fp1\nnow,1\nlater,2\n", "neither seconds nor dates"),
    ],
)
def test_damaged_tables(tmp_path, content, word):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(RecordingError, match=word):
        open_recording(tmp_path / "x.csv")
