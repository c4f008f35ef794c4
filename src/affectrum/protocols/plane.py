"""Valence and arousal of windows: the columns of the trial table, or words through a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.affect import VATable, get_table
from affectrum.catalog import get, is_known
from affectrum.errors import LabelError

__all__ = ["TableLike", "known_plane", "plane_of"]

TableLike = str | VATable | Mapping[str, Sequence[float]]


def plane_of(table: pd.DataFrame, va_table: TableLike | None = None) -> NDArray[np.float64]:
    """Return where windows or trials lie on the valence-arousal plane.

    Parameters
    ----------
    table : DataFrame, n rows
        A table of windows or of trials, with `corpus`.
    va_table : str, VATable, mapping of str to (float, float), or None
        None takes the columns `valence` and `arousal` as they are. A table (a name of
        `affectrum.affect.TABLES`, or emotion word -> (valence, arousal) on -1..1) places the words
        of the column `emotion`; rated corpora keep their ratings, which need no table, and so do
        trials without a word.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Valence and arousal, -1..1; NaN where not known.

    Raises
    ------
    LabelError
        If a value is outside -1..1.
    ConfigError
        If the table is not known, or holds values outside the plane.
    """
    va = np.full((len(table), 2), np.nan)
    for column, name in enumerate(("valence", "arousal")):
        if name in table:
            va[:, column] = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    if va_table is not None:
        _place_words(va, table, get_table(va_table))
    outside = (np.abs(va) > 1.0 + 1e-9).any(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        raise LabelError(
            f"Valence and arousal of {int(outside.sum())} of {len(va)} rows are outside -1..1, the "
            f"first is row {row} of {_corpora(table)[row]}: ({va[row, 0]:g}, {va[row, 1]:g}). Put "
            "them on the plane (affectrum.affect.to_valence_arousal), or leave them missing."
        )
    return va


def known_plane(
    table: pd.DataFrame, va_table: TableLike | None = None
) -> NDArray[np.float64] | None:
    """Return `plane_of`, or nothing where a user's own columns mean something else.

    Parameters
    ----------
    table, va_table
        As in `plane_of`.

    Returns
    -------
    ndarray of float64, shape (n, 2), or None
        NaN for corpora with values outside -1..1; None if all have some.
    """
    try:
        return plane_of(table, va_table)
    except LabelError:
        corpora = np.array(_corpora(table))
    names = dict.fromkeys(corpora)
    if len(names) < 2:
        return None
    va = np.full((len(table), 2), np.nan)
    known = False
    for name in names:
        mine = corpora == name
        own = known_plane(table[mine], va_table)
        if own is not None:
            va[mine], known = own, True
    return va if known else None


def _place_words(va: NDArray[np.float64], table: pd.DataFrame, known: VATable) -> None:
    if "emotion" not in table:
        return
    corpora = _corpora(table)
    words = table["emotion"].to_numpy(dtype=object)
    rated = {name: is_known(name) and get(name).is_rated for name in dict.fromkeys(corpora)}
    for row, (corpus, word) in enumerate(zip(corpora, words, strict=True)):
        if rated[corpus] or not isinstance(word, str):
            continue
        point = known.entries.get(word.strip().casefold())
        va[row] = (np.nan, np.nan) if point is None else (point.valence, point.arousal)


def _corpora(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table["corpus"]] if "corpus" in table else ["own"] * len(table)
