"""THU-EP's files of ratings: listed for the user, and read when the user says what they hold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from affectrum.catalog import thu_ep as catalogued
from affectrum.corpora.cache import FileCache
from affectrum.corpora.folders import file_names, find_folders, relative
from affectrum.corpora.problems import ProblemLog
from affectrum.errors import FileFormatError
from affectrum.recordings import mat

if TYPE_CHECKING:
    from affectrum.corpora.thu_ep import ThuEpOptions

__all__ = ["read_ratings"]

_FOLDER: Final = "ratings"
_FILE: Final = re.compile(r"sub_?(?P<subject>\d{1,2})_rating\.mat", re.IGNORECASE)
_N_VIDEOS: Final = catalogued.FACTS.trials_per_session[0]
_ASK: Final = (
    "To read ratings, give the options rating_key (the variable), rating_columns and rating_scale."
)


def read_ratings(
    root: Path, top: Path, told: ThuEpOptions, cache: FileCache, log: ProblemLog
) -> dict[int, dict[int, dict[str, float]]]:
    """Read the ratings if the options say what they are, else list what is there.

    Parameters
    ----------
    root : Path
        The folder of the signals.
    top : Path
        The corpus folder.
    told : ThuEpOptions
        What the user says about them.
    cache : FileCache
        Keeps what was read.
    log : ProblemLog
        Receives what is there, and what is wrong.

    Returns
    -------
    dict of int to dict of int to dict of str to float
        Subject -> stimulus, from 1 -> rating by name; empty if they are not read.
    """
    places = find_folders(top, [_FOLDER], accept=_holds_files) or find_folders(
        root.parent, [_FOLDER], 1, _holds_files
    )
    if not places:
        if told.rating_key is not None:
            log.warning(
                _FOLDER,
                "there is no folder with sub1_rating.mat ..., so trials have no ratings.",
                "Copy it from the vendor's archive.",
            )
        return {}
    folder = places[_FOLDER]
    files = [(m, folder / name) for name in file_names(folder) if (m := _FILE.fullmatch(name))]
    found: dict[int, dict[int, dict[str, float]]] = {}
    for match, path in files:
        where = relative(path, top)
        try:
            variables = cache.get(path, "variables", _variables)
            if told.rating_key is None:
                log.note(
                    where + (f" and {len(files) - 1} more" if len(files) > 1 else ""),
                    f"holds {_listed(variables)}; which of it are the ratings is not documented.",
                    _ASK,
                )
                return {}
            values = cache.get(path, f"ratings {told.rating_key}", _reader_of(told.rating_key))
        except FileFormatError as error:
            log.error(where, str(error), f"It holds the wrong thing or is damaged. {_ASK}")
            continue
        table = _table(np.asarray(values, dtype=float), told, where, log)
        if table is not None:
            found[int(match["subject"])] = table
    return found


def _table(
    values: np.ndarray[Any, Any], told: ThuEpOptions, where: str, log: ProblemLog
) -> dict[int, dict[str, float]] | None:
    names, scale = told.rating_columns or (), told.rating_scale or (0.0, 0.0)
    if values.shape == (len(names), _N_VIDEOS) and len(names) != _N_VIDEOS:
        values = values.T
    if values.shape != (_N_VIDEOS, len(names)):
        log.error(
            where,
            f"{told.rating_key} has shape {values.shape}; expected ({_N_VIDEOS}, {len(names)}).",
            "Name as many rating_columns as it has.",
        )
        return None
    outside = ~((values >= scale[0]) & (values <= scale[1]))
    if outside.any():
        log.warning(
            where,
            f"{int(outside.sum())} ratings are missing or outside {scale[0]:g} to {scale[1]:g}.",
            "They are missing in the trial table; is rating_scale right?",
        )
    values = np.where(outside, np.nan, values)
    return {
        row: dict(zip(names, map(float, line), strict=True))
        for row, line in enumerate(values, start=1)
    }


def _holds_files(folder: Path) -> bool:
    return any(_FILE.fullmatch(name) for name in file_names(folder))


def _variables(path: Path) -> dict[str, Any]:
    return {name: [list(shape), kind] for name, (shape, kind) in mat.list_variables(path).items()}


def _listed(variables: dict[str, Any]) -> str:
    parts = [
        f"{name} ({kind}, {' x '.join(map(str, shape))})"
        for name, (shape, kind) in list(variables.items())[:8]
    ]
    return ", ".join(parts) or "no variable"


def _reader_of(key: str) -> Any:
    def read(path: Path) -> Any:
        values = mat.load(path, [key])[key]
        if values.dtype.kind not in "fiu" or values.ndim != 2 or values.size > 100_000:
            raise FileFormatError(f"{path}: {key} is no table of numbers.")
        return values.astype(float).tolist()

    return read
