"""BDF+ files that hold events and no signals, as some amplifiers write beside the recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from affectrum.twins.files import atomic_file

__all__ = ["write_events"]

_TEXT_BYTES = 300  # per record of one second
_NAMES = ("Event", "BDF Annotations")


def _cells(values: Sequence[object], width: int) -> bytes:
    return b"".join(str(value).encode("ascii")[:width].ljust(width) for value in values)


def write_events(path: Path, n_seconds: int, events: Iterable[tuple[float, str]]) -> None:
    """Write the events at once or not at all.

    Parameters
    ----------
    path : Path
        The file.
    n_seconds : int
        Length of the recording.
    events : iterable of (float, str)
        Seconds from its start, and text.

    Raises
    ------
    ValueError
        An event lies outside of the recording, or a second has too many.
    """
    by_second: dict[int, bytes] = {}
    for onset, text in events:
        if not 0 <= onset < n_seconds:
            raise ValueError(f"{path}: an event at {onset} s of {n_seconds}")
        by_second[int(onset)] = (
            by_second.get(int(onset), b"") + f"+{onset:.6f}\x14{text}\x14\0".encode()
        )
    n = len(_NAMES)
    header = [
        b"\xffBIOSEMI",
        _cells(["", ""], 80),
        b"01.01.1909.00.00",
        _cells([256 * (n + 1)], 8),
        _cells(["BDF+C"], 44),
        _cells([n_seconds, 1], 8),
        _cells([n], 4),
        _cells(_NAMES, 16),
        _cells(["", ""], 80),
        _cells(["", ""], 8),
        *(_cells([limit] * n, 8) for limit in (-1, 1, -(2**23), 2**23 - 1)),
        _cells(["", ""], 80),
        _cells([1, _TEXT_BYTES // 3], 8),
        _cells(["", ""], 32),
    ]
    with atomic_file(path) as file:
        file.writelines(header)
        for second in range(n_seconds):
            # the first text of a record is empty: it tells when the record begins
            texts = f"+{second}\x14\x14\0".encode() + by_second.get(second, b"")
            if len(texts) > _TEXT_BYTES:
                raise ValueError(f"{path}: too many events in second {second}")
            file.write(bytes(3) + texts.ljust(_TEXT_BYTES, b"\0"))
