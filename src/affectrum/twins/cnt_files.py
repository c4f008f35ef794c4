"""NeuroScan .cnt recordings, written piece by piece and byte for byte alike on every run."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrum.twins.files import atomic_file

__all__ = ["STEP_UV", "write_cnt"]

FloatArray = NDArray[np.float64]

STEP_UV = 1.0 / 32.0
"""Microvolts per step of what is written."""

_SETUP_BYTES = 900
_CHANNEL_BYTES = 75
_N_BYTES = 4
_EVENT_BYTES = 19
_SENSITIVITY = 204.8  # the format's neutral value: the calibration is then microvolts per step
_STARTED = datetime(2015, 1, 1)


def write_cnt(
    path: Path,
    names: Sequence[str],
    sfreq: int,
    blocks: Iterable[FloatArray],
    events: Iterable[tuple[int, int]],
    *,
    started: datetime = _STARTED,
) -> None:
    """Write a recording of 32-bit samples at once or not at all.

    Parameters
    ----------
    path : Path
        The file.
    names : sequence of str
        Channels, at most ten letters each.
    sfreq : int
        Samples per second.
    blocks : iterable of ndarray, each of shape (n_channels, n_samples)
        Microvolts, one piece after the other; rounded to 1/32 uV.
    events : iterable of (int, int)
        Sample and code of each trigger, looked at after the last block, so that a generator of
        blocks may fill it. Samples are counted as MNE and `affectrum.recordings.cnt` do.
    started : datetime
        Beginning of the recording, for the header.

    Raises
    ------
    ValueError
        A block has another number of channels, or an event lies outside of the recording.
    """
    n_channels = len(names)
    frame = n_channels * _N_BYTES
    data_at = _SETUP_BYTES + n_channels * _CHANNEL_BYTES
    n_samples = 0
    with atomic_file(path) as file:
        file.write(b"\0" * data_at)
        for block in blocks:
            if block.shape[0] != n_channels:
                raise ValueError(f"{path}: a block of {block.shape[0]} channels, not {n_channels}")
            limits = np.iinfo(np.int32)
            steps = np.clip(np.rint(block.T / STEP_UV), limits.min, limits.max)
            file.write(np.ascontiguousarray(steps, dtype="<i4").tobytes())
            n_samples += block.shape[1]
        table = []
        for sample, code in events:
            if not 0 <= sample < n_samples:
                raise ValueError(f"{path}: an event at sample {sample} of {n_samples}")
            # the format's positions are one ahead
            offset = (data_at + (sample + 1) * frame) % 2**32
            table.append(struct.pack("<HBBI", code, 0, 0, offset).ljust(_EVENT_BYTES, b"\0"))
        body = b"".join(table)
        file.write(struct.pack("<BII", 2, len(body), 0) + body)
        file.seek(0)
        file.write(_setup(n_channels, sfreq, n_samples, data_at + n_samples * frame, started))
        file.write(b"".join(_channel(name, place, n_channels) for place, name in enumerate(names)))


def _setup(n_channels: int, sfreq: int, n_samples: int, table_at: int, started: datetime) -> bytes:
    head = bytearray(_SETUP_BYTES)
    head[0:11] = b"Version 3.0"
    date, time = started.strftime("%m/%d/%y").encode(), started.strftime("%H:%M:%S").encode()
    head[225 : 225 + len(date)] = date
    head[235 : 235 + len(time)] = time
    struct.pack_into("<H", head, 370, n_channels)
    struct.pack_into("<H", head, 376, sfreq)
    struct.pack_into("<i", head, 864, n_samples)
    struct.pack_into("<I", head, 886, table_at % 2**32)
    struct.pack_into("<f", head, 890, n_samples / sfreq)
    return bytes(head)


def _channel(name: str, place: int, n_channels: int) -> bytes:
    entry = bytearray(_CHANNEL_BYTES)
    label = name.encode("ascii")[:10]
    entry[: len(label)] = label
    # places on the screen of the recording software: a ring, nobody's head
    angle = 2 * np.pi * place / n_channels
    struct.pack_into("<2f", entry, 19, 0.5 * np.cos(angle), 0.5 * np.sin(angle))
    struct.pack_into("<f", entry, 59, _SENSITIVITY)
    struct.pack_into("<f", entry, 71, STEP_UV)
    return bytes(entry)
