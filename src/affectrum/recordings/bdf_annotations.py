"""The annotations of BDF+ files: times and texts in a channel of their own.

Several amplifiers write signals and events into two files; the events' file has records of a few
bytes and channels of different lengths, which `biosemi.BdfFile` (signals) refuses.

Format: https://www.edfplus.info/specs/edfplus.html, section 2.2 (BDF+ has three bytes where EDF+
has two).
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from affectrum.errors import FileFormatError, UnsafeFileError

__all__ = ["Annotation", "read_annotations"]

_NAME: Final = "bdf annotations"
_BYTES_PER_SAMPLE: Final = 3
_MAX_BYTES: Final = 256 * 1024**2
_MAX_ANNOTATIONS: Final = 1_000_000
_MAX_RECORDS: Final = 1_000_000  # of a second each, eleven days
# onset, maybe a duration, then texts, each closed by 0x14; the list ends with a zero byte
_TAL: Final = re.compile(
    rb"([+-]\d{1,12}(?:\.\d{1,12})?)(?:\x15(\d{1,12}(?:\.\d{1,12})?))?\x14([^\x00]*)\x14\x00"
)


@dataclass(frozen=True)
class Annotation:
    """One annotation.

    Parameters
    ----------
    onset_s : float
        Seconds since the recording began.
    duration_s : float
        Seconds; 0 where the file says none.
    text : str
        What it says.
    """

    onset_s: float
    duration_s: float
    text: str


def read_annotations(path: str | os.PathLike[str]) -> list[Annotation]:
    """Read the annotations of a BDF+ file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    list of Annotation
        By onset; empty if the file has a channel of annotations with nothing in it.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, no BDF, or has no channel of annotations.
    UnsafeFileError
        It holds more than any recording's annotations.
    """
    where = Path(path)
    try:
        size = where.stat().st_size
        if size > _MAX_BYTES:
            raise UnsafeFileError(f"{where}: {size} bytes are too many for a file of events.")
        data = where.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{where}: can't be read ({error.strerror or error}).") from None
    return _parse(data, where)


def _error(where: Path, what: str) -> FileFormatError:
    return FileFormatError(f"{where}: {what}. Copy the file again from its source.")


def _number(cell: bytes, where: Path, what: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise _error(where, f"{what} in the header is {cell[:20]!r}") from None


def _parse(data: bytes, where: Path) -> list[Annotation]:
    if len(data) < 256 or data[:1] != b"\xff":
        raise _error(where, "not a BDF file")
    n_channels = _number(data[252:256], where, "number of channels")
    begin = 256 * (n_channels + 1)
    if not 0 < n_channels < 10_000 or len(data) < begin:
        raise _error(where, "truncated inside the header")
    names = [
        data[256 + 16 * i : 272 + 16 * i].decode("latin-1").strip().casefold()
        for i in range(n_channels)
    ]
    counts = [
        _number(data[at : at + 8], where, "samples per record")
        for at in range(256 + 216 * n_channels, 256 + 224 * n_channels, 8)
    ]
    if min(counts) < 0:
        raise _error(where, "the header holds impossible numbers")
    if _NAME not in names:
        raise _error(where, f"no channel of annotations among {', '.join(names[:6])}")
    lengths = [count * _BYTES_PER_SAMPLE for count in counts]
    record = sum(lengths)
    if record == 0:
        raise _error(where, "its records are empty")
    n_records = (len(data) - begin) // record
    promised = _number(data[236:244], where, "number of records")
    if promised > n_records:
        raise _error(where, f"truncated: {promised} records promised, {n_records} are complete")
    if promised >= 0:
        n_records = promised
    if n_records > _MAX_RECORDS:
        raise UnsafeFileError(f"{where}: {n_records} records are too many for a recording.")
    found: list[Annotation] = []
    for position, name in enumerate(names):
        if name != _NAME:
            continue
        first = begin + sum(lengths[:position])
        for start in range(first, first + n_records * record, record):
            found += _record(data[start : start + lengths[position]], where)
            if len(found) > _MAX_ANNOTATIONS:
                raise UnsafeFileError(f"{where}: more than {_MAX_ANNOTATIONS} annotations.")
    return sorted(found, key=lambda annotation: annotation.onset_s)


def _record(block: bytes, where: Path) -> list[Annotation]:
    found, end = [], 0
    for match in _TAL.finditer(block):
        if block[end : match.start()].strip(b"\0"):
            raise _error(where, "an annotation is damaged")
        end = match.end()
        onset, duration = float(match[1]), float(match[2] or 0)
        # the first list of a record has an empty text: it only tells when the record begins
        texts = [text for text in match[3].split(b"\x14") if text]
        found += [Annotation(onset, duration, _text(text)) for text in texts]
    if block[end:].strip(b"\0"):
        raise _error(where, "an annotation is damaged")
    assert all(math.isfinite(annotation.onset_s) for annotation in found)
    return found


def _text(raw: bytes) -> Any:
    return raw.decode("utf-8", "replace").strip()
