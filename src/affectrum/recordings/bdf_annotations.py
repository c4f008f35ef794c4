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
from typing import Any, Final

from affectrum.errors import UnsafeFileError
from affectrum.recordings.edf_header import EdfHeader

__all__ = ["Annotation", "read_annotations"]

_NAME: Final = "bdf annotations"
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
    header = EdfHeader(path, lambda head: head[:1] == b"\xff", "a BDF file")
    where = header.path
    size = where.stat().st_size
    if size > _MAX_BYTES:
        raise UnsafeFileError(f"{where}: {size} bytes are too many for a file of events.")
    names = [name.casefold() for name in header.names]
    if (header.per_record < 0).any():
        raise header.error("the header holds impossible numbers")
    if _NAME not in names:
        raise header.error(f"no channel of annotations among {', '.join(names[:6])}")
    n_records = header.n_records()
    if n_records > _MAX_RECORDS:
        raise UnsafeFileError(f"{where}: {n_records} records are too many for a recording.")
    lengths = [int(count) * header.bytes_per_sample for count in header.per_record]
    record, begin = sum(lengths), header.offset
    data = where.read_bytes()
    found: list[Annotation] = []
    for position, name in enumerate(names):
        if name != _NAME:
            continue
        first = begin + sum(lengths[:position])
        for start in range(first, first + n_records * record, record):
            found += _record(data[start : start + lengths[position]], header)
            if len(found) > _MAX_ANNOTATIONS:
                raise UnsafeFileError(f"{where}: more than {_MAX_ANNOTATIONS} annotations.")
    return sorted(found, key=lambda annotation: annotation.onset_s)


def _record(block: bytes, header: EdfHeader) -> list[Annotation]:
    found, end = [], 0
    for match in _TAL.finditer(block):
        if block[end : match.start()].strip(b"\0"):
            raise header.error("an annotation is damaged")
        end = match.end()
        onset, duration = float(match[1]), float(match[2] or 0)
        # the first list of a record has an empty text: it only tells when the record begins
        texts = [text for text in match[3].split(b"\x14") if text]
        found += [Annotation(onset, duration, _text(text)) for text in texts]
    if block[end:].strip(b"\0"):
        raise header.error("an annotation is damaged")
    assert all(math.isfinite(annotation.onset_s) for annotation in found)
    return found


def _text(raw: bytes) -> Any:
    return raw.decode("utf-8", "replace").strip()
