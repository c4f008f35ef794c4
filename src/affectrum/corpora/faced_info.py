"""FACED's Recording_info.csv: rate and unit of each original recording."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from affectrum.corpora.faced_raw import unit_name
from affectrum.corpora.problems import ProblemLog

__all__ = ["Listed", "read_info"]

_FIX = "Restore the vendor's file; rates and units come from the recordings meanwhile."
_SUBJECT = re.compile(r"(?:sub)?0*(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True)
class Listed:
    """What the table says about one recording.

    Parameters
    ----------
    sfreq : float or None
        Sampling rate in Hz.
    unit : str or None
        Unit of the numbers; None where the table has none.
    """

    sfreq: float | None
    unit: str | None


def read_info(path: Path, where: str, log: ProblemLog) -> dict[int, Listed]:
    """Read the table; blanks around the names of its columns do not matter.

    Parameters
    ----------
    path : Path
        Recording_info.csv.
    where : str
        Its name for messages.
    log : ProblemLog
        Receives what is wrong.

    Returns
    -------
    dict of int to Listed
        By subject, from 0 as in the file names.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        log.warning(where, f"can't be read ({error}).", _FIX)
        return {}
    names = [name.strip().casefold() for name in rows[0]] if rows else []
    missing = [name for name in ("sub", "sample_rate", "unit") if name not in names]
    if missing:
        log.warning(where, f"lacks the columns {', '.join(missing)}.", _FIX)
        return {}
    at = {name: names.index(name) for name in ("sub", "sample_rate", "unit")}
    found: dict[int, Listed] = {}
    faults = []
    for line, row in enumerate(rows[1:], start=2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        match = _SUBJECT.fullmatch(cells[at["sub"]]) if len(cells) > max(at.values()) else None
        if match is None:
            faults.append(str(line))
            continue
        found[int(match[1])] = Listed(_rate(cells[at["sample_rate"]]), unit_name(cells[at["unit"]]))
    if faults:
        log.warning(where, f"lines {', '.join(faults[:6])} can't be understood.", _FIX)
    return found


def _rate(text: str) -> float | None:
    try:
        rate = float(re.sub(r"\s*hz$", "", text, flags=re.IGNORECASE))
    except ValueError:
        return None
    return rate if 0 < rate < 1e6 else None
