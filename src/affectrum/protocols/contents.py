"""Content hashes of windows, once for each row of a file: folds share the store's files."""

from __future__ import annotations

import os
from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.protocols.identity import content_hashes
from affectrum.windows.lazy import LazyRows, stored
from affectrum.windows.tables import file_place

if TYPE_CHECKING:
    from affectrum.windows import Windows

__all__ = ["contents_of"]

# Hashes of a file's rows and which of them are known, by path, time of change and shape: 9 bytes a
# window. Files of the store never change.
_KNOWN: OrderedDict[tuple[Any, ...], tuple[NDArray[np.uint64], NDArray[np.bool_]]] = OrderedDict()
_MAX_FILES = 64


def contents_of(windows: Windows) -> NDArray[np.uint64]:
    """Name each window by its values, see `identity.content_hashes`.

    Parameters
    ----------
    windows : Windows
        Any windows; those on disk are read in blocks, each of them once in a process.

    Returns
    -------
    ndarray of uint64, shape (n_windows,)
    """
    x = stored(windows)
    if isinstance(x, LazyRows):
        return np.concatenate([_of_piece(piece, rows) for piece, rows in x.pieces])
    return _of_piece(x, None)


def _of_piece(x: Any, rows: NDArray[np.int64] | None) -> NDArray[np.uint64]:
    chosen = x if rows is None else LazyRows([(x, rows)])
    place = file_place(x)
    if place is None:
        return content_hashes(chosen)
    path, start, shape = place
    first, offset = divmod(start, 4 * prod(shape[1:]))
    try:
        about = os.stat(path)
    except OSError:  # removed meanwhile: the open map still reads it
        return content_hashes(chosen)
    key = (path, about.st_mtime_ns, about.st_size, shape[1:], offset)
    if key not in _KNOWN:
        n = about.st_size // (4 * prod(shape[1:])) + 1
        _KNOWN[key] = (np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=bool))
        while len(_KNOWN) > _MAX_FILES:
            _KNOWN.popitem(last=False)
    _KNOWN.move_to_end(key)
    hashes, known = _KNOWN[key]
    wanted = first + (np.arange(shape[0]) if rows is None else rows)
    missing = np.unique(wanted[~known[wanted]])
    if len(missing):
        hashes[missing] = content_hashes(LazyRows([(x, missing - first)]))
        known[missing] = True
    return hashes[wanted]
