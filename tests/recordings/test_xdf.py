from __future__ import annotations

import struct
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from affectrum.errors import RecordingError
from affectrum.recordings import open_recording


def _chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<I", len(content) + 2) + struct.pack("<H", tag) + content


def _stream(number, kind, values, stamps, *, labels=(), unit="", rate=250.0):
    """Return the chunks of one XDF stream (format: sccn/xdf specification 1.0)."""
    text = not np.issubdtype(np.asarray(values).dtype, np.number)
    info = ET.Element("info")
    for key, value in {
        "name": f"{kind} stream",
        "type": kind,
        "channel_count": 1 if text else values.shape[1],
        "nominal_srate": 0 if text else rate,
        "channel_format": "string" if text else "float32",
        "created_at": 0,
    }.items():
        ET.SubElement(info, key).text = str(value)
    channels = ET.SubElement(ET.SubElement(info, "desc"), "channels")
    for label in labels:
        channel = ET.SubElement(channels, "channel")
        ET.SubElement(channel, "label").text = label
        if unit:
            ET.SubElement(channel, "unit").text = unit
    ident = struct.pack("<I", number)
    samples = b""
    for stamp, value in zip(stamps, values, strict=True):
        samples += b"\x08" + struct.pack("<d", stamp)
        if text:
            word = value.encode()
            samples += b"\x01" + bytes([len(word)]) + word
        else:
            samples += np.asarray(value, "<f4").tobytes()
    footer = ET.Element("info")
    ET.SubElement(footer, "first_timestamp").text = str(stamps[0])
    ET.SubElement(footer, "last_timestamp").text = str(stamps[-1])
    ET.SubElement(footer, "sample_count").text = str(len(stamps))
    count = b"\x04" + struct.pack("<I", len(stamps))
    return (
        _chunk(2, ident + ET.tostring(info)),
        _chunk(3, ident + count + samples),
        _chunk(6, ident + ET.tostring(footer)),
    )


def write(path, *streams):
    head = _chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    parts = [b"".join(s[i] for s in streams) for i in range(3)]
    path.write_bytes(b"XDF:" + head + b"".join(parts))
    return path


STAMPS = 100 + np.arange(1000) / 250
VALUES = np.random.default_rng(0).normal(scale=20, size=(1000, 3)).astype("f4")
LABELS = ("Cz", "O1", "O2")


def test_names_units_and_markers(tmp_path):
    path = write(
        tmp_path / "x.xdf",
        _stream(1, "Accelerometer", VALUES[:, :2], STAMPS),
        _stream(2, "EEG", VALUES, STAMPS, labels=LABELS, unit="microvolts"),
        _stream(3, "Markers", np.array(["film", "end"]), [101.0, 103.0]),
    )
    notes = []
    raw = open_recording(path, notes=notes)
    assert raw.ch_names == list(LABELS)
    assert raw.info["sfreq"] == pytest.approx(250)
    np.testing.assert_allclose(raw.get_data(), VALUES.T * 1e-6, rtol=1e-6)
    assert list(raw.annotations.description) == ["film", "end"]
    np.testing.assert_allclose(raw.annotations.onset, [1.0, 3.0], atol=0.005)
    assert not any("unit" in note for note in notes)


def test_millivolts(tmp_path):
    path = write(tmp_path / "x.xdf", _stream(1, "EEG", VALUES, STAMPS, labels=LABELS, unit="mV"))
    np.testing.assert_allclose(
        open_recording(path, notes=[]).get_data(), VALUES.T * 1e-3, rtol=1e-6
    )


def test_unknown_unit_is_refused(tmp_path):
    path = write(tmp_path / "x.xdf", _stream(1, "EEG", VALUES, STAMPS, labels=LABELS, unit="raw"))
    with pytest.raises(RecordingError, match="unit 'raw'"):
        open_recording(path)


def test_rate_of_the_time_stamps_wins_over_the_header(tmp_path):
    slow = 100 + np.arange(1000) / 200
    path = write(tmp_path / "x.xdf", _stream(1, "EEG", VALUES, slow, labels=LABELS, unit="uV"))
    notes = []
    assert open_recording(path, notes=notes).info["sfreq"] == pytest.approx(200, rel=1e-3)
    assert any("250 Hz, the time stamps 200" in note for note in notes)


def test_the_longest_of_several_eeg_streams(tmp_path):
    path = write(
        tmp_path / "x.xdf",
        _stream(1, "EEG", VALUES[:500], STAMPS[:500], labels=LABELS, unit="uV"),
        _stream(2, "EEG", VALUES, STAMPS, labels=("Fz", "Pz", "Oz"), unit="uV"),
    )
    notes = []
    assert open_recording(path, notes=notes).ch_names == ["Fz", "Pz", "Oz"]
    assert any("2 EEG streams" in note for note in notes)


def test_no_eeg_stream_lists_what_is_there(tmp_path):
    path = write(tmp_path / "x.xdf", _stream(1, "Gaze", VALUES, STAMPS))
    with pytest.raises(RecordingError, match="no stream of type 'EEG'; found 'Gaze stream'"):
        open_recording(path)
