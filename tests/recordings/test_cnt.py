"""NeuroScan .cnt files: what MNE reads too, and what no reader should believe."""

from __future__ import annotations

import struct
import tracemalloc

import mne
import numpy as np
import pytest

from affectrum.errors import FileFormatError
from affectrum.recordings.cnt import CntFile
from affectrum.twins.cnt_files import STEP_UV, write_cnt

NAMES = ["FP1", "CZ", "M1", "VEO"]


def cnt_bytes(
    steps,
    names,
    *,
    width=4,
    block=1,
    baseline=0,
    events=(),
    kind=2,
    rate=250,
    sensitivity=204.8,
    calibration=0.5,
    **fields,
):
    """Lay a file out by hand: SETUP (900 bytes), 75 bytes per channel, samples, table of events.

    `fields` overwrite the number of samples, the position of the table and the stride of blocks.
    """
    n_channels, n_samples = steps.shape
    data_at = 900 + 75 * n_channels
    dtype = {2: "<i2", 4: "<i4"}[width]
    # (blocks, channels, samples of a block)
    data = steps.reshape(n_channels, -1, block).transpose(1, 0, 2).astype(dtype).tobytes()
    fields = {
        "n_samples": n_samples,
        "table": data_at + len(data),
        "stride": block * width if block > 1 else 0,
        "channels": n_channels,
    } | fields
    head = bytearray(900)
    head[:11] = b"Version 3.0"
    head[225:243] = b"10/15/22\x00\x0014:25:34"
    head[370:372] = struct.pack("<H", fields["channels"])
    head[376:378] = struct.pack("<H", rate)
    head[864:868] = struct.pack("<i", fields["n_samples"])
    head[886:890] = struct.pack("<I", fields["table"])
    head[894:898] = struct.pack("<i", fields["stride"])
    channels = b""
    for place, name in enumerate(names):
        entry = bytearray(75)
        entry[: len(name)] = name.encode()
        entry[19:27] = struct.pack("<2f", np.cos(place), np.sin(place))
        entry[47:49] = struct.pack("<h", baseline)
        entry[59:63] = struct.pack("<f", sensitivity)
        entry[71:75] = struct.pack("<f", calibration)
        channels += bytes(entry)
    table = b""
    for sample, code, keyboard, keypad in events:
        position = data_at + (sample + 1) * n_channels * width
        if kind == 3:  # counts frames of the file
            position = position // (n_channels * width) + 1
        entry = struct.pack("<HBBI", code, keyboard, keypad, position)
        table += entry if kind == 1 else entry + b"\0" * 11
    return bytes(head) + channels + data + struct.pack("<BII", kind, len(table), 0) + table


@pytest.fixture
def steps():
    """Sample s of channel c is c * 1000 + s, with an alternating sign."""
    n = 96
    values = np.arange(4)[:, None] * 1000 + np.arange(n)
    return values * (1 - 2 * (np.arange(n) % 2))


def save(path, content):
    path.write_bytes(content)
    return path


def mne_reads(path, **options):
    raw = mne.io.read_raw_cnt(path, verbose="ERROR", **options)
    codes = [int(text) for text in raw.annotations.description]
    samples = np.rint(raw.annotations.onset * raw.info["sfreq"]).astype(int).tolist()
    return raw, list(zip(samples, codes, strict=True))


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("block", [1, 8])
@pytest.mark.parametrize("kind", [1, 2])
def test_everything_is_what_mne_reads(tmp_path, steps, width, block, kind):
    events = [(0, 1, 0, 0), (40, 2, 0, 0), (95, 300, 0, 0)]
    content = cnt_bytes(
        steps, NAMES, width=width, block=block, baseline=7, events=events, kind=kind
    )
    path = save(tmp_path / "a.cnt", content)
    raw, annotated = mne_reads(path)
    file = CntFile(path)
    assert list(file.names) == raw.ch_names == NAMES
    assert (file.sfreq, file.n_samples, file.n_bytes) == (250.0, raw.n_times, width)
    np.testing.assert_allclose(file.read(range(4)), raw.get_data(), rtol=1e-12)
    np.testing.assert_allclose(file.read(range(4)) * 1e6, (steps - 7) * 0.5, rtol=1e-6)
    assert file.events == annotated == [(0, 1), (40, 2), (95, 300)]


def test_events_that_count_frames(tmp_path, steps):
    events = [(3, 1, 0, 0), (40, 2, 0, 0)]
    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES, events=events, kind=3))
    assert CntFile(path).events == mne_reads(path)[1]


def test_keys_of_people_are_no_triggers(tmp_path, steps):
    # keyboard, response pad, and an operator's marks of rejected and accepted stretches
    other = [(5, 9, 3, 0), (6, 9, 0, 2), (7, 0, 0, 0xC0), (8, 0, 0, 0xD0)]
    events = [(1, 1, 0, 0), *other, (20, 2, 0, 0)]
    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES, events=events))
    assert CntFile(path).events == [(1, 1), (20, 2)]


@pytest.mark.parametrize("block", [1, 8])
def test_stretches_and_picks(tmp_path, steps, block, monkeypatch):
    from affectrum.recordings import cnt

    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES, block=block))
    monkeypatch.setattr(cnt, "_CHUNK_BYTES", 200)  # several chunks for a few samples
    file = CntFile(path)
    for start, stop in [(0, 96), (3, 4), (7, 9), (30, 71), (95, 96), (96, 96)]:
        got = file.read([2, 0], start, stop)
        assert got.shape == (2, stop - start)
        np.testing.assert_allclose(got * 1e6, steps[[2, 0], start:stop] * 0.5, rtol=1e-6)
    assert file.read([], 0, 5).shape == (0, 5)
    for start, stop in [(-1, 5), (5, 3), (0, 97)]:
        with pytest.raises(FileFormatError, match="were asked for"):
            file.read([0], start, stop)
    for pick in (-1, 4):
        with pytest.raises(FileFormatError, match="were asked for"):
            file.read([pick])


def test_a_stretch_costs_no_more_than_itself(tmp_path):
    path = tmp_path / "long.cnt"
    block = np.ones((16, 20_000))
    write_cnt(path, [f"E{n}" for n in range(16)], 1000, (block for _ in range(30)), [])
    file = CntFile(path)
    tracemalloc.start()
    try:
        file.read([1, 2], 300_000, 302_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert path.stat().st_size > 38_000_000


def test_files_made_by_the_twins_are_what_mne_reads(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(scale=20.0, size=(4, 5000))
    events = []

    def blocks():
        for start in (0, 1700):
            events.append((start + 5, 1))
            yield x[:, start : start + (1700 if start == 0 else 3300)]
            events.append((start + 900, 2))

    path = tmp_path / "a.cnt"
    write_cnt(path, NAMES, 1000, blocks(), events)
    raw, annotated = mne_reads(path)
    file = CntFile(path)
    assert file.events == annotated == [(5, 1), (900, 2), (1705, 1), (2600, 2)]
    assert str(raw.info["meas_date"]).startswith("2015-01-01")
    np.testing.assert_allclose(file.read(range(4)), raw.get_data(), rtol=1e-12)
    assert np.abs(file.read(range(4)) * 1e6 - x).max() <= STEP_UV / 2 * 1.0001
    before = path.read_bytes()
    events.clear()
    write_cnt(path, NAMES, 1000, blocks(), events)
    assert path.read_bytes() == before


def test_the_writer_refuses_what_does_not_fit(tmp_path):
    path = tmp_path / "a.cnt"
    with pytest.raises(ValueError, match="3 channels, not 4"):
        write_cnt(path, NAMES, 1000, [np.zeros((3, 5))], [])
    with pytest.raises(ValueError, match="sample 5 of 5"):
        write_cnt(path, NAMES, 1000, [np.zeros((4, 5))], [(5, 1)])
    assert list(tmp_path.iterdir()) == []


def test_the_width_can_be_told_where_the_header_does_not(tmp_path, steps):
    content = cnt_bytes(steps, NAMES, n_samples=0, events=[(4, 1, 0, 0)])
    path = save(tmp_path / "a.cnt", content)
    with pytest.raises(FileFormatError, match="contradicts itself: 0 samples"):
        CntFile(path)
    file = CntFile(path, n_bytes=4)
    assert (file.n_samples, file.events) == (96, [(4, 1)])
    np.testing.assert_allclose(file.read([3]) * 1e6, steps[[3]] * 0.5, rtol=1e-6)
    odd = save(tmp_path / "odd.cnt", cnt_bytes(steps, NAMES, n_samples=0, table=1200 + 6))
    with pytest.raises(FileFormatError, match="no whole number of samples"):
        CntFile(odd, n_bytes=4)


def test_a_count_that_is_a_little_off_yields_to_the_table(tmp_path):
    steps = np.arange(4)[:, None] * 1000 + np.arange(3000) % 7
    for width in (2, 4):
        content = cnt_bytes(steps, NAMES, width=width, n_samples=3020, events=[(9, 1, 0, 0)])
        path = save(tmp_path / "a.cnt", content)
        file = CntFile(path)
        assert (file.n_samples, file.n_bytes, file.events) == (3000, width, [(9, 1)])
        np.testing.assert_allclose(file.read(range(4)) * 1e6, steps * 0.5, rtol=1e-6)
        for n_samples in (3050, 2950, 1400, 7000):  # more than one per cent
            path.write_bytes(cnt_bytes(steps, NAMES, width=width, n_samples=n_samples))
            with pytest.raises(FileFormatError, match="contradicts itself"):
                CntFile(path)
        # the table has to stand where it should
        path.write_bytes(cnt_bytes(steps, NAMES, width=width, n_samples=3020, kind=9))
        with pytest.raises(FileFormatError, match="contradicts itself"):
            CntFile(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b[:0], "empty"),
        (lambda b: b[:500], "truncated inside the header"),
        (lambda b: b[:1000], "truncated inside the header"),
        (lambda b: b[:1500], "truncated, or its header contradicts itself"),
        (lambda b: b[:-40], "ends before its table of events|damaged"),
        (lambda b: b"RIFF" + b[4:], "ANT Neuro recording"),
        (lambda b: b"EEP V2.0" + b[8:], "EEProbe"),
        (lambda b: b"MATLAB 5.0" + b[10:], "a MATLAB file"),
        (lambda b: b"nothing at all" + b[14:], "no NeuroScan recording"),
    ],
)
def test_damaged_files_are_explained(tmp_path, steps, damage, message):
    content = cnt_bytes(steps, NAMES, events=[(4, 1, 0, 0), (5, 2, 0, 0)])
    path = save(tmp_path / "a.cnt", damage(content))
    with pytest.raises(FileFormatError, match=message):
        CntFile(path).events  # noqa: B018


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 0}, "counts 0 channels"),
        ({"channels": 60_000}, "counts 60000 channels"),
        ({"channels": 5}, "contradicts itself"),
        ({"n_samples": 2**31 - 1}, "truncated, or its header contradicts"),
        ({"n_samples": -5}, "contradicts itself"),
        ({"n_samples": 97}, "contradicts itself"),
        ({"table": 2**32 - 1}, "contradicts itself"),
        ({"table": 0}, "contradicts itself"),
        ({"rate": 0}, "sampling rate of 0 Hz"),
        ({"stride": -4}, "blocks of -4 bytes"),
        ({"stride": 2}, "blocks of 2 bytes"),
        ({"stride": 4 * 7}, "blocks of 28 bytes"),
        ({"stride": 2**31 - 1}, "blocks of"),
    ],
)
def test_contradictions_are_found(tmp_path, steps, fields, message):
    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES, **fields))
    with pytest.raises(FileFormatError, match=message):
        CntFile(path)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e30, 1e-30])
def test_calibrations_of_no_amplifier_are_refused(tmp_path, steps, value):
    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES, calibration=value))
    file = CntFile(path)
    with pytest.raises(FileFormatError, match="'FP1' is calibrated to"):
        file.read([0, 1])


def test_events_beyond_the_recording_are_refused(tmp_path, steps):
    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES, events=[(96, 1, 0, 0)]))
    file = CntFile(path)
    assert file.read([0]).shape == (1, 96)
    with pytest.raises(FileFormatError, match="sample 96 of 96"):
        file.events  # noqa: B018


def test_a_file_that_shrinks_or_goes_is_an_error(tmp_path, steps):
    path = save(tmp_path / "a.cnt", cnt_bytes(steps, NAMES))
    file = CntFile(path)
    path.write_bytes(path.read_bytes()[:1400])
    with pytest.raises(FileFormatError, match="became shorter"):
        file.read([0])
    path.unlink()
    for call in (lambda: file.read([0]), lambda: file.events, lambda: CntFile(path)):
        with pytest.raises(FileFormatError, match="can't be read"):
            call()


def _attempt(path):
    """Open, read and list: the project's own error is the only one that may come."""
    try:
        file = CntFile(path)
        x = file.read(range(len(file.names)))
        assert np.isfinite(x).all()
        assert x.shape == (len(file.names), file.n_samples)
        assert file.events is not None
    except FileFormatError:
        return False
    return True


def test_every_truncation_is_noticed(tmp_path, steps):
    content = cnt_bytes(steps[:2, :20], NAMES[:2], events=[(4, 1, 0, 0)])
    path = tmp_path / "a.cnt"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert not _attempt(path)


def test_flipped_bits_and_noise_never_crash(tmp_path, steps):
    content = cnt_bytes(steps[:2, :20], NAMES[:2], events=[(4, 1, 0, 0)])
    rng = np.random.default_rng(0)
    path = tmp_path / "a.cnt"
    tracemalloc.start()
    try:
        # the fields that sizes hang on, bit by bit
        for byte in [*range(370, 378), *range(864, 868), *range(886, 898), *range(1210, 1230)]:
            for bit in range(8):
                flipped = bytearray(content)
                flipped[byte] ^= 1 << bit
                path.write_bytes(flipped)
                _attempt(path)
        for _ in range(300):
            noisy = bytearray(content)
            for place in rng.integers(0, len(content), 20):
                noisy[place] = rng.integers(256)
            noisy[:9] = content[:9]
            path.write_bytes(noisy)
            _attempt(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("n_samples", [96, 3000])
def test_no_flipped_bit_of_a_size_is_believed(tmp_path, n_samples):
    steps = np.arange(4)[:, None] * 1000 + np.arange(n_samples) % 7
    content = cnt_bytes(steps, NAMES, events=[(4, 1, 0, 0)])
    path = tmp_path / "a.cnt"
    for byte in [370, 371, *range(864, 868), *range(886, 890)]:
        for bit in range(8):
            flipped = bytearray(content)
            flipped[byte] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                file = CntFile(path)
            except FileFormatError:
                continue
            # a count that is a little off changes nothing of what is read
            assert byte == 864
            assert n_samples == 3000
            np.testing.assert_allclose(file.read(range(4)) * 1e6, steps * 0.5, rtol=1e-6)
