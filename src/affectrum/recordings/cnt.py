"""NeuroScan .cnt recordings: header, triggers, and stretches of chosen channels in volts.

The SEED corpora distribute these files. They are decoded here and not by MNE, because MNE takes
sizes, positions and calibrations from the header as they stand: a damaged file then ends in an
allocation of gigabytes, in an error from deep inside, or in numbers that mean nothing. Here every
field is held against the others and against the bytes that are there before anything is read. What
both can read, both read alike; a test compares them.

Whether samples have 16 or 32 bits stands nowhere in the format. It follows from the number of
samples and the position of the table of events, which have to agree (to one per cent, if the table
is really there).

Format: structures SETUP, ELECTLOC and TEEG of NeuroScan's header files, for example
https://paulbourke.net/dataformats/eeg/.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from affectrum.errors import FileFormatError

__all__ = ["CntFile"]

_SETUP_BYTES: Final = 900
_CHANNEL_BYTES: Final = 75
_MAGIC: Final = b"Version 3"
# what else is called .cnt, or often stands in for one
_OTHERS: Final = {
    b"RIFF": "an ANT Neuro recording (eego, ASA)",
    b"RF64": "an ANT Neuro recording (eego, ASA)",
    b"EEP ": "an EEProbe recording",
    b"MATL": "a MATLAB file",
    b"PK\x03\x04": "a zip archive",
}
_MAX_CHANNELS: Final = 1024
_MAX_EVENTS: Final = 1_000_000
# A step of less than a picovolt or more than a millivolt is no amplifier's.
_MIN_STEP_V: Final = 1e-12
_MAX_STEP_V: Final = 1e-3
_TYPE_1: Final = np.dtype(
    [("code", "<u2"), ("keyboard", "u1"), ("keypad", "u1"), ("offset", "<u4")]
)
_EVENTS: Final = {
    1: _TYPE_1,
    2: np.dtype([*_TYPE_1.descr, ("rest", "V11")]),
    3: np.dtype([*_TYPE_1.descr, ("rest", "V11")]),
}
_CHUNK_BYTES: Final = 16 * 1024**2


class CntFile:
    """A NeuroScan .cnt recording; the file is opened for each read, and held open by none.

    Parameters
    ----------
    path : path
        The file.
    n_bytes : {2, 4}, optional
        Bytes per sample, for files whose header does not tell.

    Attributes
    ----------
    names : tuple of str
        The channels' names as the header has them; they may be empty or repeated.
    sfreq : float
        Samples per second.
    n_samples : int
        Samples per channel.
    n_bytes : int
        Bytes per sample in the file, 2 or 4.

    Raises
    ------
    FileFormatError
        The file is missing, truncated, of another format, or its header contradicts itself.
    """

    def __init__(self, path: str | os.PathLike[str], n_bytes: int | None = None) -> None:
        self.path = Path(path)
        try:
            self._size = self.path.stat().st_size
            with self.path.open("rb") as file:
                head = file.read(_SETUP_BYTES)
                self._check_kind(head)
                (n_channels,) = struct.unpack_from("<H", head, 370)
                if not 0 < n_channels <= _MAX_CHANNELS:
                    raise self._error(f"the header counts {n_channels} channels")
                channels = file.read(_CHANNEL_BYTES * n_channels)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(channels) < _CHANNEL_BYTES * n_channels:
            raise self._error("truncated inside the header")
        (rate,) = struct.unpack_from("<H", head, 376)
        if rate == 0:
            raise self._error("the header gives a sampling rate of 0 Hz")
        self.sfreq = float(rate)
        self._data_at = _SETUP_BYTES + len(channels)
        self._read_sizes(head, n_channels, n_bytes)
        self._read_channels(channels, n_channels)

    # the header

    def _check_kind(self, head: bytes) -> None:
        if not head:
            raise self._error("empty")
        if not head.startswith(_MAGIC):
            other = _OTHERS.get(head[:4])
            if other is None:
                raise self._error("no NeuroScan recording")
            raise self._error(
                f"{other}, not NeuroScan's .cnt format", "Convert it with the maker's software."
            )
        if len(head) < _SETUP_BYTES:
            raise self._error("truncated inside the header")

    def _read_sizes(self, head: bytes, n_channels: int, n_bytes: int | None) -> None:
        """Find width and number of samples, where the triggers stand, and how blocks interleave."""
        (n_samples,) = struct.unpack_from("<i", head, 864)
        # a 32-bit field that wraps around in files of more than 4 GB
        (table,) = struct.unpack_from("<I", head, 886)
        widths = (2, 4) if n_bytes is None else (n_bytes,)
        ends = {width: self._data_at + n_samples * n_channels * width for width in widths}
        fitting = [
            width
            for width, end in ends.items()
            if n_samples > 0 and end % 2**32 == table and end <= self._size
        ]
        # some recorders count a little more or less than they write: the table then decides, but
        # not so much less that another number of channels would do as well
        tolerance = min(self.sfreq, n_samples / 100)
        near = [
            width
            for width in widths
            if n_samples > 0
            and (table - self._data_at) % (n_channels * width) == 0
            and abs((table - self._data_at) // (n_channels * width) - n_samples) <= tolerance
            and self._is_table(table)
        ]
        if len(fitting) == 1:
            self.n_bytes = fitting[0]
            self._events_at = ends[self.n_bytes]
        elif len(near) == 1:
            self.n_bytes = near[0]
            self._events_at = int(table)
            n_samples = (table - self._data_at) // (n_channels * self.n_bytes)
        elif n_bytes in (2, 4) and self._data_at < table <= self._size < 2**32:
            # told the width, the position of the table is enough
            if (table - self._data_at) % (n_channels * n_bytes):
                raise self._error(f"the data are no whole number of samples of {n_bytes} bytes")
            self.n_bytes = int(n_bytes)
            n_samples = (table - self._data_at) // (n_channels * n_bytes)
            self._events_at = int(table)
        else:
            shortest = self._data_at + 2 * max(n_samples, 0) * n_channels
            short = "truncated, or " if max(shortest, table) > self._size else ""
            raise self._error(
                f"{short}its header contradicts itself: {n_samples} samples of {n_channels} "
                f"channels, a table of events at byte {table}, {self._size} bytes in all"
            )
        (stride,) = struct.unpack_from("<i", head, 894)
        # 0 and 1 stand for samples side by side, more for that many bytes of one channel at a time
        self._block = stride // self.n_bytes if stride > 1 else 1
        if self._block < 1 or stride < 0 or n_samples % self._block:
            raise self._error(
                f"the header interleaves blocks of {stride} bytes, which do not divide its "
                f"{n_samples} samples"
            )
        self.n_samples = int(n_samples)

    def _is_table(self, position: int) -> bool:
        """Whether a table of events stands at a byte and ends within the file."""
        if not self._data_at < position <= self._size - 9 or self._size >= 2**32:
            return False
        try:
            with self.path.open("rb") as file:
                file.seek(position)
                kind, n_bytes = struct.unpack("<BI", file.read(5))
        except (OSError, struct.error):
            return False
        left = self._size - position - 9
        return kind in _EVENTS and n_bytes <= left and n_bytes % _EVENTS[kind].itemsize == 0

    def _read_channels(self, channels: bytes, n_channels: int) -> None:
        fields = np.frombuffer(
            channels,
            np.dtype(
                {
                    "names": ["name", "baseline", "sensitivity", "calibration"],
                    "formats": ["S10", "<i2", "<f4", "<f4"],
                    "offsets": [0, 47, 59, 71],
                    "itemsize": _CHANNEL_BYTES,
                }
            ),
            count=n_channels,
        )
        self.names = tuple(
            bytes(name).split(b"\0")[0].decode("latin-1").strip() for name in fields["name"]
        )
        self._baselines = fields["baseline"].astype(np.float64)
        with np.errstate(all="ignore"):
            gain = fields["sensitivity"].astype(np.float64) * fields["calibration"] / 204.8
            self._steps = gain * 1e-6

    # reading

    def read(
        self, picks: Sequence[int], start: int = 0, stop: int | None = None
    ) -> np.ndarray[Any, Any]:
        """Read a stretch of some channels.

        Parameters
        ----------
        picks : sequence of int
            Positions of the channels in the file, from 0.
        start, stop : int
            First sample, and the one behind the last; the whole recording by default.

        Returns
        -------
        ndarray, shape (len(picks), stop - start)
            Volts, float64.

        Raises
        ------
        FileFormatError
            The stretch reaches beyond the file, the file became shorter, or a channel's
            calibration is no amplifier's.
        """
        stop = self.n_samples if stop is None else stop
        if not 0 <= start <= stop <= self.n_samples:
            raise self._error(f"samples {start} to {stop} of {self.n_samples} were asked for")
        chosen = np.asarray(list(picks), dtype=np.intp)
        n_channels = len(self.names)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= n_channels):
            raise self._error(f"channels {list(picks)} of {n_channels} were asked for")
        steps = self._steps[chosen]
        wrong = ~((np.abs(steps) >= _MIN_STEP_V) & (np.abs(steps) <= _MAX_STEP_V))
        if wrong.any():
            pick = int(chosen[int(np.argmax(wrong))])
            raise self._error(
                f"channel {self.names[pick]!r} is calibrated to {self._steps[pick]:g} V per step"
            )
        out = np.empty((len(chosen), stop - start))
        width = self._block * n_channels * self.n_bytes  # of a block of all channels
        per_chunk = max(1, _CHUNK_BYTES // width)
        first, last = start // self._block, -(-stop // self._block)
        try:
            with self.path.open("rb") as file:
                file.seek(self._data_at + first * width)
                for block in range(first, last, per_chunk):
                    n_blocks = min(per_chunk, last - block)
                    values = self._blocks(file, n_blocks, chosen)
                    begin = block * self._block
                    low, high = max(start, begin), min(stop, begin + values.shape[1])
                    out[:, low - start : high - start] = values[:, low - begin : high - begin]
        except OSError as error:
            raise self._unreadable(error) from None
        out -= self._baselines[chosen, None]
        out *= steps[:, None]
        return out

    def _blocks(
        self, file: IO[bytes], n_blocks: int, picks: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        """Return some channels of the next blocks as stored: shape (n_picks, samples)."""
        n_bytes = n_blocks * self._block * len(self.names) * self.n_bytes
        data = file.read(n_bytes)
        if len(data) < n_bytes:
            raise self._error("became shorter since it was opened")
        values = np.frombuffer(data, "<i4" if self.n_bytes == 4 else "<i2")
        shaped = values.reshape(n_blocks, len(self.names), self._block)[:, picks]
        return shaped.transpose(1, 0, 2).reshape(len(picks), n_blocks * self._block)

    # triggers

    @property
    def events(self) -> list[tuple[int, int]]:
        """Triggers as (sample, code) in file order, without the keys that people pressed.

        Samples are counted as MNE does, one less than the position in the file says. Raises
        `FileFormatError` where the table is damaged; the signals can be read all the same.
        """
        table = self._table()
        by_key = (table["keyboard"] != 0) | (table["keypad"] & 0x0F != 0)
        # the upper half byte marks where an operator accepted or rejected a stretch
        by_operator = np.isin(table["keypad"] >> 4, (0xC, 0xD))
        stimuli = table[~by_key & ~by_operator]
        return list(zip(self._samples(stimuli), stimuli["code"].tolist(), strict=True))

    def _table(self) -> np.ndarray[Any, Any]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._events_at)
                tag = file.read(9)
                if len(tag) < 9:
                    raise self._error("ends before its table of events")
                kind, n_bytes = struct.unpack_from("<BI", tag)
                layout = _EVENTS.get(kind)
                left = self._size - self._events_at - 9
                if layout is None or n_bytes > left or n_bytes % layout.itemsize:
                    raise self._error(f"its table of events is damaged (kind {kind}, {n_bytes} B)")
                n_events = n_bytes // layout.itemsize
                if n_events > _MAX_EVENTS:
                    raise self._error(f"its table of events has {n_events} entries")
                data = file.read(n_bytes)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(data) < n_bytes:
            raise self._error("became shorter since it was opened")
        self._kind_of_events = kind
        return np.frombuffer(data, layout)

    def _samples(self, table: np.ndarray[Any, Any]) -> list[int]:
        frame = len(self.names) * self.n_bytes
        offsets = table["offset"].astype(np.int64)
        if self._kind_of_events == 3:  # counts frames from the beginning of the file
            offsets = offsets * frame
        elif self._events_at >= 2**32:
            raise self._error("its triggers can't be placed: the file has more than 4 GB")
        samples = np.maximum((offsets - self._data_at) // frame - 1, 0)
        if samples.size and samples.max() >= self.n_samples:
            raise self._error(f"an event stands at sample {samples.max()} of {self.n_samples}")
        return [int(sample) for sample in samples]

    # messages

    def _error(
        self, what: str, fix: str = "Copy the file again from its source."
    ) -> FileFormatError:
        return FileFormatError(f"{self.path}: {what}. {fix}")

    def _unreadable(self, error: OSError) -> FileFormatError:
        return FileFormatError(
            f"{self.path}: can't be read ({error.strerror or error}). "
            "Check the path and permissions."
        )
