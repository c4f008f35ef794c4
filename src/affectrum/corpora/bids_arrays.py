"""Derivatives of BIDS data sets that are arrays of trials in .npy files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from affectrum.corpora.bids_files import BidsFile
from affectrum.corpora.bids_mapping import BidsMapping
from affectrum.corpora.bids_signals import Wiring
from affectrum.corpora.cache import FileCache
from affectrum.corpora.problems import ProblemLog
from affectrum.corpora.table import TrialHeader
from affectrum.corpora.units import VOLTS_PER, measure_unit
from affectrum.errors import FileFormatError
from affectrum.recordings import npz

__all__ = ["array_headers", "read_trial"]

_AGAIN: Final = "Copy the file again from its source, or move it away to go on without."


class _Place(Protocol):
    @property
    def file(self) -> BidsFile: ...
    @property
    def where(self) -> str: ...
    @property
    def subject(self) -> int: ...
    @property
    def session(self) -> int: ...
    @property
    def session_name(self) -> str | None: ...


def array_headers(
    mapping: BidsMapping,
    places: Sequence[_Place],
    simulated: bool,
    cache: FileCache,
    log: ProblemLog,
) -> tuple[list[TrialHeader], dict[str, Wiring]]:
    """Return the trials of all files; `clip_row` is set where the order of rows is known.

    Parameters
    ----------
    mapping : BidsMapping
        Its `array` and `signal`.
    places : sequence
        The files.
    simulated : bool
        Whether trials may have another length.
    cache : FileCache
        Keeps shapes and units.
    log : ProblemLog
        Receives what is wrong.

    Returns
    -------
    list of TrialHeader, dict of str to Wiring
        Trials, and how each file is read.
    """
    rule = mapping.array
    assert rule is not None
    n_channels, expected = len(mapping.signal.rows), rule.n_samples
    up_to = f" of at most {rule.most_trials} trials" if rule.most_trials else ""
    headers: list[TrialHeader] = []
    wirings: dict[str, Wiring] = {}
    measured: dict[str, int] = {}
    for place in places:
        try:
            shape, dtype = cache.get(place.file.path, "shape", _shape)
            fits = len(shape) == 3 and shape[2] >= rule.sfreq
            fits = fits and shape[0] <= (rule.most_trials or shape[0])
            if not fits or shape[1] != n_channels:
                raise FileFormatError(
                    f"{place.file.path}: its array has shape {tuple(shape)}; expected (trials, "
                    f"{n_channels} channels, samples){up_to} and at least 1 s."
                )
            if not re.fullmatch(r"[<>|=]?[fiu]\d+|(?:float|u?int)\d+", dtype) or 0 in shape:
                raise FileFormatError(f"{place.file.path}: holds {dtype}, shape {tuple(shape)}.")
            unit = mapping.signal.unit
            if unit not in VOLTS_PER:
                unit = cache.get(place.file.path, "unit", _unit)
                measured[unit or ""] = measured.get(unit or "", 0) + 1
        except FileFormatError as error:
            log.error(place.where, str(error), _AGAIN)
            continue
        if unit is None:
            log.error(
                place.where,
                "no file names the unit of its numbers, and how much they vary does not tell.",
                "Write a mapping with signal.unit.",
            )
            continue
        if expected is not None and shape[2] != expected and not simulated:
            log.warning(
                place.where,
                f"{shape[2]} samples per trial; {expected} are published.",
                "Was the file cut or resampled?",
            )
        known = len(rule.rows) == shape[0]
        if rule.rows and not known:
            log.warning(
                place.where,
                f"{shape[0]} trials instead of {len(rule.rows)}: which ones are missing is not "
                "known, so their clips and emotions are not either.",
                "Give the clips by the option 'sequences', or leave the file out.",
            )
        wirings[place.where] = Wiring((), np.array([VOLTS_PER[unit]]), rule.sfreq, shape[2])
        headers += [
            TrialHeader(
                subject=place.subject,
                session=place.session,
                row=row,
                trial=None,
                clip_row=row if known else None,
                file=place.where,
                key=str(row - 1),
                n_channels=n_channels,
                duration_s=shape[2] / rule.sfreq,
                onset_s=0.0,
                sfreq=rule.sfreq,
                session_name=place.session_name,
            )
            for row in range(1, shape[0] + 1)
        ]
    for unit, n in measured.items():
        if unit:
            log.note(".", f"{n} files: no file names the unit; by how much they vary it is {unit}.")
    return headers, wirings


def _shape(path: Path) -> list[Any]:
    if path.is_symlink() and not path.exists():
        raise FileFormatError(f"{path}: a link whose content was not fetched.")
    shape, dtype = npz.describe_npy(path)
    return [list(shape), str(dtype)]


def _unit(path: Path) -> str | None:
    return measure_unit(npz.read_npy(path, index=0))


def read_trial(path: Path, index: int, n_channels: int) -> np.ndarray[Any, Any]:
    """Return one trial of an array, float64, in the file's unit.

    Parameters
    ----------
    path : Path
        The .npy file.
    index : int
        The trial, from 0.
    n_channels : int
        Electrodes that it must have.

    Returns
    -------
    ndarray, shape (n_channels, n_samples)
        Numbers of the file.

    Raises
    ------
    FileFormatError
        The file changed or is damaged.
    """
    x = npz.read_npy(path, index=index)
    if x.ndim != 2 or len(x) != n_channels:
        raise FileFormatError(f"{path}: its trials have shape {x.shape}. Open the corpus again.")
    return np.asarray(x, dtype=np.float64)
