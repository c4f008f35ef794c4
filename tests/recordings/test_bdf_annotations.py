"""Annotations of BDF+ files, written by hand after the format's description."""

from __future__ import annotations

import numpy as np
import pytest

from affectrum.errors import FileFormatError, UnsafeFileError
from affectrum.recordings import bdf_annotations
from affectrum.recordings.bdf_annotations import Annotation, read_annotations


def make(path, records, names=("Event", "BDF Annotations"), lengths=(1, 20), promised=None):
    n = len(names)

    def cells(values, width):
        return b"".join(str(v).encode("latin-1").ljust(width)[:width] for v in values)

    count = len(records) if promised is None else promised
    head = b"\xffBIOSEMI" + b"".ljust(176) + str(256 * (n + 1)).encode().ljust(8)
    head += b"BDF+C".ljust(44) + str(count).encode().ljust(8) + b"1".ljust(8)
    head += str(n).encode().ljust(4)
    for width in (16, 80, 8, 8, 8, 8, 8, 80):
        head += cells(names if width == 16 else [""] * n, width)
    head += cells(lengths, 8) + cells([""] * n, 32)
    body = b""
    for record in records:
        parts = record if isinstance(record, tuple) else (b"", record)
        body += b"".join(p.ljust(3 * k, b"\0") for p, k in zip(parts, lengths, strict=True))
    path.write_bytes(head + body)
    return path


def test_onsets_durations_and_texts(tmp_path):
    path = make(
        tmp_path / "evt.bdf",
        [
            b"+0\x14\x14\0+0.5\x14101\x14\0",
            b"+1\x14\x14\0+1.25\x150.75\x147\x14blink\x14\0",
            b"+2\x14\x14\0",
            b"+3\x14\x14\0-0.5\x14\xe6\x98\x9f\x14\0",
        ],
    )
    assert read_annotations(path) == [
        Annotation(-0.5, 0.0, "星"),
        Annotation(0.5, 0.0, "101"),
        Annotation(1.25, 0.75, "7"),
        Annotation(1.25, 0.75, "blink"),
    ]


def test_several_channels_of_annotations(tmp_path):
    path = make(
        tmp_path / "evt.bdf",
        [(b"+1\x14b\x14\0", b"xyz", b"+0\x14a\x14\0")],
        ("BDF Annotations", "Fp1", "BDF Annotations"),
        (10, 1, 20),
    )
    assert [a.text for a in read_annotations(path)] == ["a", "b"]


def test_a_recording_that_was_not_closed(tmp_path):
    path = make(tmp_path / "evt.bdf", [b"+0\x14a\x14\0", b"+1\x14b\x14\0"], promised=-1)
    assert [a.text for a in read_annotations(path)] == ["a", "b"]


def test_mne_reads_the_same(tmp_path):
    mne = pytest.importorskip("mne")
    path = make(
        tmp_path / "evt.bdf", [b"+0\x14\x14\0+0.5\x14101\x14\0", b"+1\x14\x14\0+1.5\x14102\x14\0"]
    )
    found = mne.read_annotations(path)
    ours = read_annotations(path)
    assert [a.text for a in ours] == list(found.description)
    np.testing.assert_allclose([a.onset_s for a in ours], found.onset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b[:100], "not a BDF file"),
        (lambda b: b"0" + b[1:], "not a BDF file"),
        (lambda b: b[:400], "truncated inside the header"),
        (lambda b: b[:-30], "truncated: 2 records promised, 1 are complete"),
        (lambda b: b[:252] + b"99  " + b[256:], "truncated inside the header"),
        (lambda b: b[:252] + b"x   " + b[256:], "number of channels"),
        (lambda b: b.replace(b"BDF Annotations", b"BDF Annotatioms"), "no channel of annotations"),
        (lambda b: b.replace(b"+0\x14a", b"+0 14a"), "an annotation is damaged"),
        (lambda b: b.replace(b"20      ", b"-9      "), "impossible numbers"),
        (lambda b: b.replace(b"20      ", b"x       "), "samples per record"),
    ],
)
def test_damage(tmp_path, change, message):
    path = make(tmp_path / "evt.bdf", [b"+0\x14a\x14\0", b"+1\x14b\x14\0"])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FileFormatError, match=message):
        read_annotations(path)


def test_missing_and_huge(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match="can't be read"):
        read_annotations(tmp_path / "evt.bdf")
    path = make(tmp_path / "evt.bdf", [b"+0\x14a\x14\0"])
    monkeypatch.setattr(bdf_annotations, "_MAX_RECORDS", 0)
    with pytest.raises(UnsafeFileError, match="1 records are too many"):
        read_annotations(path)
    monkeypatch.setattr(bdf_annotations, "_MAX_BYTES", 100)
    with pytest.raises(UnsafeFileError):
        read_annotations(path)
