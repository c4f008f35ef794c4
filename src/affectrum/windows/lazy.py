"""Rows of arrays on disk that are read when asked for, so that no corpus has to fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.windows import tables
from affectrum.windows.reading import read_rows

if TYPE_CHECKING:
    from affectrum.windows.container import Windows

__all__ = ["ComputedRows", "LazyRows", "computed", "detached", "join_lazily", "on_disk", "stored"]

Change = Callable[[NDArray[np.float32]], NDArray[Any]]


class ComputedRows:
    """Rows of another array that are changed when they are read.

    Parameters
    ----------
    x : ndarray or LazyRows, shape (n, n_channels, n_samples)
        The array.
    change : callable
        Takes some of its rows and returns as many of another shape, alike for all.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, x: NDArray[np.float32] | LazyRows, change: Change) -> None:
        self._x, self._change = x, change
        last = change(np.asarray(x[:1])).shape[1:]
        self.shape: tuple[int, int, int] = (len(x), int(last[0]), int(last[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        return np.asarray(self._change(np.asarray(self._x[rows])), dtype=np.float32)


class LazyRows:
    """Some rows of one or more memory maps, in any order; indexing reads them.

    Parameters
    ----------
    pieces : sequence of (ndarray or ComputedRows, ndarray of int64 or None)
        Arrays of shape (n, n_channels, n_samples), alike but for n, and which of their rows are
        meant (None: all), one piece after the other.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, pieces: Sequence[tuple[Any, NDArray[np.int64] | None]]) -> None:
        self._pieces = tuple(pieces)
        sizes = [len(x) if rows is None else len(rows) for x, rows in self._pieces]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        first = self._pieces[0][0].shape
        self.shape: tuple[int, int, int] = (int(self._starts[-1]), int(first[1]), int(first[2]))

    @property
    def size(self) -> int:
        """int: number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """int: bytes that reading everything would take."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        n = len(self)
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "iu" and rows.ndim == 1:
            if len(rows) and not (-n <= rows.min() and rows.max() < n):
                raise IndexError(f"rows {rows.min()} to {rows.max()} of {n}")
            return self._read(np.where(rows < 0, rows + n, rows).astype(np.int64))
        wanted = np.asarray(np.arange(n)[rows])
        if wanted.ndim == 0:
            return np.asarray(self._read(wanted[None])[0], dtype=np.float32)
        return self._read(wanted)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        x = self._read(np.arange(len(self)))
        return x if dtype is None else x.astype(dtype, copy=False)

    def take(self, rows: NDArray[np.int64]) -> LazyRows:
        """Return some of the rows, still unread.

        Parameters
        ----------
        rows : ndarray of int64
            Positions.

        Returns
        -------
        LazyRows
            In the order of `rows`, which for several pieces must ascend from piece to piece.
        """
        where = np.searchsorted(self._starts, rows, side="right") - 1
        if (np.diff(where) < 0).any():
            return LazyRows([(np.asarray(self[rows]), None)])
        pieces = []
        for number in dict.fromkeys(where.tolist()):
            x, known = self._pieces[number]
            own = rows[where == number] - self._starts[number]
            pieces.append((x, own if known is None else known[own]))
        return LazyRows(pieces or [(self._pieces[0][0][:0], None)])

    def simplified(self) -> LazyRows | NDArray[np.float32]:
        """Return the memory map itself where these rows are a run of one, else these rows."""
        if len(self._pieces) > 1 or not len(self):
            return self
        x, rows = self._pieces[0]
        if isinstance(x, ComputedRows):
            return self
        run = slice(None) if rows is None else tables.as_run(rows)
        return x[run] if isinstance(run, slice) else self

    @property
    def pieces(self) -> tuple[tuple[Any, NDArray[np.int64] | None], ...]:
        """Tuple of (array, rows or None): what this is made of."""
        return self._pieces

    @property
    def behind(self) -> int:
        """int: rows that lie in the same files and are none of these."""
        return sum(len(x) - (len(x) if rows is None else len(rows)) for x, rows in self._pieces)

    def _read(self, wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.empty((len(wanted), *self.shape[1:]), dtype=np.float32)
        where = np.searchsorted(self._starts, wanted, side="right") - 1
        for number in np.unique(where):
            x, rows = self._pieces[int(number)]
            mine = np.flatnonzero(where == number)
            own = wanted[mine] - self._starts[number]
            out[mine] = read_rows(x, own if rows is None else rows[own])
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Name files by their path; rows in memory are sent alone."""
        pieces: list[tuple[Any, Any, Any]] = []
        for x, rows in self._pieces:
            place = tables.file_place(x)
            if isinstance(x, ComputedRows):
                pieces.append((None, x, rows))
            elif place is None:
                pieces.append((None, np.array(x if rows is None else x[rows]), None))
            else:
                pieces.append((place, None, rows))
        return {"pieces": pieces}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            [
                (x if place is None else tables.reopen(place, "a joined corpus"), rows)
                for place, x, rows in state["pieces"]
            ]
        )


def on_disk(windows: Windows) -> bool:
    """Tell whether the values lie in files and are read when asked for.

    Parameters
    ----------
    windows : Windows
        Any windows.

    Returns
    -------
    bool
    """
    base = windows._base
    return isinstance(base, LazyRows) or tables.file_place(base) is not None


def stored(windows: Windows) -> NDArray[np.float32] | LazyRows:
    """Return the values for reading piece by piece: ``x`` where it is in memory.

    Parameters
    ----------
    windows : Windows
        Any windows.

    Returns
    -------
    ndarray or LazyRows, shape (n_windows, n_channels, n_bands or n_samples)
        Slices and positions read just what they name, and nothing is kept.
    """
    if windows._x is not None or not on_disk(windows):
        return windows.x
    base: NDArray[np.float32] | LazyRows = windows._base
    rows = windows._rows
    if rows is None or (isinstance(rows, slice) and rows == slice(None)):
        return base
    if isinstance(base, LazyRows):
        return base.take(np.arange(len(base))[rows])
    return base[rows] if isinstance(rows, slice) else LazyRows([(base, rows)])


def computed(windows: Windows, change: Change) -> NDArray[np.float32] | LazyRows:
    """Return changed values: now for windows in memory, when they are read for those on disk.

    Parameters
    ----------
    windows : Windows
        Any windows.
    change : callable
        Takes some windows' values and returns them changed, window by window.

    Returns
    -------
    ndarray or LazyRows, shape (n_windows, ...)
    """
    if not on_disk(windows):
        return np.ascontiguousarray(change(windows.x), dtype=np.float32)
    return LazyRows([(ComputedRows(stored(windows), change), None)])


def detached(windows: Windows) -> Windows:
    """Return the same windows without the rest of what they were selected from.

    Parameters
    ----------
    windows : Windows
        Any windows.

    Returns
    -------
    Windows
        Rows in memory are copied, if they are a part of something. Rows of files stay there.
    """
    from affectrum.windows.container import Windows as WindowsClass

    x: Any = stored(windows)
    if isinstance(x, LazyRows):
        x = x.simplified()
    place = None if isinstance(x, LazyRows) else tables.file_place(x)
    if place is not None:
        x = tables.reopen(place, windows.corpus)
    elif isinstance(x, np.ndarray):
        whole = x
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        x = np.array(x) if whole.size > x.size else x
    table = windows.table.reset_index(drop=True)
    table.attrs = {}
    return WindowsClass(
        x,
        table,
        kind=windows.kind,
        channels=windows.channels,
        sfreq=windows.sfreq,
        bands=windows.bands,
        recipe=windows.recipe,
        corpus=windows.corpus,
        mask=windows.mask,
    )


def join_lazily(windows: Sequence[Windows]) -> LazyRows:
    """Put the values of several windows behind each other without reading them.

    Parameters
    ----------
    windows : sequence of Windows
        At least one, alike in electrodes and length.

    Returns
    -------
    LazyRows
    """
    pieces: list[tuple[Any, NDArray[np.int64] | None]] = []
    for part in windows:
        x = stored(part)
        pieces += list(x._pieces) if isinstance(x, LazyRows) else [(x, None)]
    return LazyRows(pieces)
