"""Windows: one array and one table row per window, from one corpus and one recipe.

`Windows` is what protocols split and methods learn from. It never changes in place: selecting
rows, replacing the array or dropping columns gives a new object, and a selection of a
memory-mapped array stays on disk until its values are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.windows import reading, tables
from affectrum.windows.lazy import LazyRows, join_lazily, on_disk
from affectrum.windows.tables import IDENTITY, KINDS, TRIAL_COLUMNS, TRIAL_DTYPES, WINDOW_COLUMNS

if TYPE_CHECKING:
    from affectrum.features import Band

__all__ = ["IDENTITY", "KINDS", "TRIAL_COLUMNS", "TRIAL_DTYPES", "WINDOW_COLUMNS", "Windows"]


class Windows:
    """Windows of one corpus: `x` and one table row per window.

    Parameters
    ----------
    x : ndarray, shape (n_windows, n_channels, n_bands or n_samples)
        float32; may be a memory map. Volts for kind "raw".
    table : DataFrame, n_windows rows
        The trial columns (`TRIAL_COLUMNS`) plus `window` (from 0 within its trial) and `start_s`
        (seconds from the trial's onset). Further columns are kept.
    kind : {"de", "power", "raw", "features"}
        What the last axis holds.
    channels : sequence of str
        Electrode names, in the order of axis 1.
    sfreq : float or None
        Sampling rate of the signal the windows were made from, in Hz.
    bands : sequence of Band or None
        The frequency bands, in the order of the last axis.
    recipe : str
        Digest of the recipe the windows were made with; "" when not known.
    corpus : str or None
        The corpus's name; None takes it from the table.
    mask : ndarray of bool, shape (n_channels,), or None
        True where the electrode was measured, False where it was padded or interpolated.
        None: all measured.
    check_finite : bool
        Look for NaN and Inf. NaN is allowed only in windows whose column `artefact` is True.

    Raises
    ------
    ConfigError
        If the parts don't fit together; every fault is listed.

    See Also
    --------
    Windows.from_arrays : The entry for a lab's own arrays and tables.
    """

    def __init__(
        self,
        x: NDArray[Any] | LazyRows,
        table: pd.DataFrame,
        *,
        kind: str,
        channels: Sequence[str],
        sfreq: float | None,
        bands: Sequence[Band] | None = None,
        recipe: str = "",
        corpus: str | None = None,
        mask: NDArray[np.bool_] | None = None,
        check_finite: bool = False,
    ) -> None:
        channels = tuple(str(name) for name in channels)
        bands = None if bands is None else tuple(bands)
        faults = tables.structure_faults(x, table, kind, channels, sfreq, bands, mask)
        if not faults and check_finite:
            faults = tables.finite_faults(x, table)
        if faults:
            raise ConfigError(tables.joined("These windows don't fit together.", faults))
        if corpus is None:
            names = pd.unique(table["corpus"]) if "corpus" in table else ["own"]
            corpus = "+".join(str(name) for name in names) if len(names) else "own"
        self._base: Any = x if x.dtype == np.float32 else np.asarray(x, dtype=np.float32)
        self._full_table = tables.with_plain_index(table)
        # Which rows of `_base` and of `_full_table` these windows are; None means all.
        self._rows: tables.Rows | None = slice(None) if isinstance(x, LazyRows) else None
        self._table_rows: tables.Rows | None = None
        self._x: NDArray[np.float32] | None = None
        self._table: pd.DataFrame | None = None
        self.kind = kind
        self.channels = channels
        self.sfreq = None if sfreq is None else float(sfreq)
        self.bands = bands
        self.recipe = recipe
        self.corpus = corpus
        self.mask = (
            np.ones(len(channels), dtype=bool) if mask is None else np.array(mask, dtype=bool)
        )

    @classmethod
    def from_arrays(
        cls,
        x: NDArray[Any],
        table: pd.DataFrame,
        *,
        sfreq: float | None,
        channels: Sequence[str],
        kind: str | None = None,
        bands: str | Mapping[str, tuple[float, float]] | Sequence[Any] | None = None,
        recipe: str = "",
        mask: NDArray[np.bool_] | None = None,
    ) -> Windows:
        """Make windows of a lab's own arrays; no vendor folder is needed.

        Parameters
        ----------
        x : ndarray, shape (n_windows, n_channels, n_bands or n_samples)
            The windows; volts if they are signals.
        table : DataFrame, n_windows rows
            One row per window with at least `subject` and `trial` (the trial's position in its
            session, from 1). Missing columns of the trial table are filled with "missing";
            `corpus` becomes "own", `session` 1, `row` the trial's number. Subjects and sessions
            may be strings: they are numbered in sorted order and the names are kept as
            `subject_name` and `session_name`.
        sfreq : float or None
            Sampling rate of the signal in Hz; None where it is not known.
        channels : sequence of str
            Electrode names. Names known by `affectrum.electrodes` are put in canonical spelling
            by the caller if wanted; here they are kept.
        kind : {"de", "power", "raw", "features"} or None
            None: "de" if `bands` are given, else "features" if the last axis has up to 16
            entries, else "raw".
        bands : str, mapping, sequence of Band, or None
            A name of `affectrum.features.BANDS`, ``{name: (low, high)}`` in Hz, or bands.
        recipe : str
            A name for how the windows were made. Windows join others only under one recipe.
        mask : ndarray of bool, shape (n_channels,), or None
            True where the electrode was really measured.

        Returns
        -------
        Windows

        Raises
        ------
        ConfigError
            If lengths, types or values don't fit; every fault is listed.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> table = pd.DataFrame({"subject": [1, 1, 2, 2], "trial": [1, 1, 1, 1]})
        >>> windows = Windows.from_arrays(
        ...     np.zeros((4, 2, 3)), table, sfreq=200.0, channels=("Fz", "Cz")
        ... )
        >>> windows
        <Windows own: 4 windows of 2 trials, 2 subjects, features 2 x 3>
        """
        x = np.asanyarray(x)
        names = tuple(str(name) for name in channels)
        resolved = tables.resolve_bands(bands)
        if kind is None:
            short = x.ndim == 3 and x.shape[2] <= tables.MAX_FEATURES_GUESSED
            kind = "de" if resolved is not None else "features" if short else "raw"
        full, faults = tables.conform_table(table, len(names), sfreq)
        faults += tables.structure_faults(x, table, kind, names, sfreq, resolved, mask)
        if faults:
            raise ConfigError(tables.joined("These arrays can't become windows.", faults))
        return cls(
            x,
            full,
            kind=kind,
            channels=names,
            sfreq=sfreq,
            bands=resolved,
            recipe=recipe,
            mask=mask,
            check_finite=True,
        )

    # ---------------------------------------------------------------- looking

    @property
    def x(self) -> NDArray[np.float32]:
        """ndarray, shape (n_windows, n_channels, n_bands or n_samples): the values.

        A run of rows stays a view of the memory map; scattered rows are read when first asked
        for and kept. `batch` reads a few rows without that.
        """
        if self._x is None:
            self._x = self._base if self._rows is None else self._base[self._rows]
        return self._x

    @property
    def table(self) -> pd.DataFrame:
        """DataFrame: one row per window. Changing it does not change the windows."""
        if self._table is None:
            if self._table_rows is None:
                self._table = self._full_table
            else:
                self._table = self._full_table.iloc[self._table_rows].reset_index(drop=True)
        return self._table.copy(deep=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Tuple of int: the shape of `x`, without reading it."""
        return (len(self), int(self._base.shape[1]), int(self._base.shape[2]))

    @property
    def simulated(self) -> bool:
        """bool: whether any window comes from simulated data."""
        column = self.table.get("simulated")
        return bool(column.any()) if column is not None else False

    @property
    def subjects(self) -> tuple[int, ...]:
        """Tuple of int: the subjects, in increasing order."""
        return tuple(int(subject) for subject in np.unique(self.table["subject"].to_numpy()))

    def __len__(self) -> int:
        if self._rows is None:
            return int(self._base.shape[0])
        if isinstance(self._rows, slice):
            return len(range(*self._rows.indices(int(self._base.shape[0]))))
        return len(self._rows)

    def __repr__(self) -> str:
        table = self.table
        keys = [name for name in IDENTITY if name in table]
        n_trials = len(table[keys].drop_duplicates()) if keys else 0
        subjects = f", {tables.count(len(self.subjects), 'subject')}" if "subject" in table else ""
        return (
            f"<Windows {self.corpus}: {tables.count(len(self), 'window')} of "
            f"{tables.count(n_trials, 'trial')}{subjects}, {self.kind} "
            f"{self.shape[1]} x {self.shape[2]}{', SIMULATED' if self.simulated else ''}>"
        )

    def trials(self) -> pd.DataFrame:
        """One row per trial, in order of first appearance.

        Returns
        -------
        DataFrame
            The columns of the table without those of single windows (`window`, `start_s`,
            `artefact`), plus `n_windows`.
        """
        table = self.table
        keys = [name for name in IDENTITY if name in table]
        per_window = [name for name in (*WINDOW_COLUMNS, "artefact") if name in table]
        groups = table.groupby(keys, sort=False, dropna=False)
        first = table.drop(columns=per_window).drop_duplicates(keys).reset_index(drop=True)
        return first.assign(n_windows=groups.size().to_numpy(dtype=np.int64))

    # ---------------------------------------------------------------- deriving

    def select(self, rows: slice | Sequence[int] | Sequence[bool] | NDArray[Any] | Any) -> Windows:
        """Take some of the windows; nothing is read or copied yet.

        Parameters
        ----------
        rows : slice, ndarray of bool (n_windows,), or ndarray of int
            A boolean mask, positions (negative ones count from the end), or a slice.

        Returns
        -------
        Windows
        """
        chosen = tables.resolve_rows(rows, len(self))
        new = self._derive()
        new._rows = tables.as_run(self._in_base(chosen))
        in_table = chosen
        if self._table_rows is not None:
            in_table = np.arange(len(self._full_table))[self._table_rows][chosen]
        new._table_rows = tables.as_run(in_table)
        return new

    def with_x(self, x: NDArray[Any]) -> Windows:
        """Put other values behind the same table rows, for example scaled ones.

        Parameters
        ----------
        x : ndarray, shape (n_windows, n_channels, n_bands or n_samples)
            The new values, in this object's row order.

        Returns
        -------
        Windows
        """
        if x.ndim != 3 or x.shape[:2] != self.shape[:2]:
            raise ConfigError(
                f"x has shape {x.shape}; expected ({self.shape[0]}, {self.shape[1]}, any): one "
                "entry per window and electrode of these windows."
            )
        new = self._derive()
        new._base = np.asarray(x, dtype=np.float32)
        new._rows = None
        if self.bands is not None and x.shape[2] != len(self.bands):
            new.bands = None
        return new

    def with_table(self, table: pd.DataFrame) -> Windows:
        """Put another table beside the same values (same rows, same order).

        Parameters
        ----------
        table : DataFrame, n_windows rows
            The new table.

        Returns
        -------
        Windows
        """
        if len(table) != len(self):
            raise ConfigError(f"table has {len(table)} rows; expected {len(self)}, one a window.")
        new = self._derive()
        new._full_table = table.reset_index(drop=True)
        new._table_rows = None
        return new

    def without_columns(self, names: Iterable[str]) -> Windows:
        """Drop columns of the table; names that are not there are passed over.

        Parameters
        ----------
        names : iterable of str
            The columns to drop.

        Returns
        -------
        Windows
        """
        new = self._derive()
        unwanted = [name for name in dict.fromkeys(names) if name in self._full_table]
        new._full_table = self._full_table.drop(columns=unwanted)
        return new

    def with_split(self, split: pd.DataFrame) -> Windows:
        """Import a split made elsewhere.

        Parameters
        ----------
        split : DataFrame
            A column `split` (any words, such as "train" and "test") and one or more columns
            that say which windows it is for: any of `corpus`, `subject`, `session`, `row`,
            `trial`, `clip`, `window`, `subject_name`, `session_name`.

        Returns
        -------
        Windows
            With the column `split`; missing for windows that the table does not name.

        Raises
        ------
        ConfigError
            If the table has no usable columns, names something twice with different splits, or
            names something that is not among these windows.
        """
        return self.with_column("split", tables.match_split(self.table, split))

    def with_column(self, name: str, values: pd.Series | NDArray[Any] | Sequence[Any]) -> Windows:
        """Add or replace one column of the table.

        Parameters
        ----------
        name : str
            The column.
        values : Series, sequence or ndarray, shape (n_windows,)
            One value per window.

        Returns
        -------
        Windows
        """
        if len(values) != len(self):
            raise ConfigError(f"{name!r} has {len(values)} values; expected {len(self)}.")
        column = pd.Series(values).reset_index(drop=True)
        return self.with_table(self.table.assign(**{name: column}))

    @staticmethod
    def concatenate(windows: Sequence[Windows]) -> Windows:
        """Join windows of one recipe, also of several corpora.

        Parameters
        ----------
        windows : sequence of Windows
            At least one; same recipe, kind, electrodes, bands and window length.

        Returns
        -------
        Windows
            `x` is in memory, or stays in files if these are signals that lie in files; an
            electrode counts as measured if it is in all of them.

        Raises
        ------
        ConfigError
            If they were made in different ways; every difference is listed.
        """
        if not windows:
            raise ConfigError("There are no windows to join; expected at least one Windows object.")
        first = windows[0]
        if len(windows) == 1:
            return first
        if faults := tables.join_faults(windows):
            text = "These windows can't be joined. Prepare every corpus with the same recipe."
            raise ConfigError(tables.joined(text, faults))
        rates = {part.sfreq: None for part in windows}
        lazy = first.kind == "raw" and all(on_disk(part) for part in windows)
        return Windows(
            join_lazily(windows) if lazy else np.concatenate([part.x for part in windows]),
            pd.concat([part.table for part in windows], ignore_index=True),
            kind=first.kind,
            channels=first.channels,
            sfreq=first.sfreq if len(rates) == 1 else None,
            bands=first.bands,
            recipe=first.recipe,
            mask=np.logical_and.reduce([part.mask for part in windows]),
        )

    # ---------------------------------------------------------------- handing out

    def batch(self, rows: NDArray[np.int64] | Sequence[int] | slice) -> NDArray[np.float32]:
        """Read some windows without reading the rest.

        Parameters
        ----------
        rows : ndarray of int, or slice
            Positions in these windows.

        Returns
        -------
        ndarray, shape (n_rows, n_channels, n_bands or n_samples)
            A copy in memory.
        """
        return reading.read_rows(self._base, self._in_base(np.arange(len(self))[rows]))

    def to_numpy(self) -> NDArray[np.float32]:
        """Return a copy of `x` in memory that may be changed.

        Returns
        -------
        ndarray, shape (n_windows, n_channels, n_bands or n_samples)
        """
        return np.array(self.x, dtype=np.float32)

    def to_torch_loader(
        self,
        batch_size: int,
        y: str | NDArray[Any] | None = None,
        seed: int | None = 0,
        *,
        drop_last: bool = False,
    ) -> Any:
        """Make a torch DataLoader; batches are read from disk as they are needed.

        Parameters
        ----------
        batch_size : int
            Windows per batch.
        y : str, ndarray, shape (n_windows,) or (n_windows, n), or None
            Targets: a numeric column of the table, or an array in row order.
        seed : int or None
            Seed of the shuffled order: the same seed gives the same batches. None keeps the
            order of the rows.
        drop_last : bool
            Leave out the last batch if it is smaller.

        Returns
        -------
        torch.utils.data.DataLoader
            Yields ``x`` (float32) or ``(x, y)``.
        """
        from affectrum.windows.loader import make_loader

        return make_loader(self, batch_size, y, seed, drop_last=drop_last)

    # ---------------------------------------------------------------- inside

    def _in_base(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Translate positions in these windows to positions in the underlying array."""
        if self._rows is None:
            return rows
        return np.arange(self._base.shape[0])[self._rows][rows]

    def _derive(self) -> Windows:
        new = object.__new__(Windows)
        new.__dict__.update(self.__dict__)
        new._x = None
        new._table = None
        return new

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a memory map by its path: pickling an np.memmap would copy its content."""
        state = dict(self.__dict__)
        state["_x"] = None
        lazy = isinstance(self._base, LazyRows)
        place = None if lazy else tables.file_place(self._base)
        if place is None and self._rows is not None and not lazy:
            # In memory: send the chosen rows only.
            state["_base"], state["_rows"] = self.x, None
        state["_full_table"], state["_table_rows"], state["_table"] = self.table, None, None
        if place is not None:
            state["_base"] = None
            state["_place"] = place
        elif isinstance(state["_base"], np.memmap):
            state["_base"] = np.array(state["_base"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        place = state.pop("_place", None)
        self.__dict__.update(state)
        if place is not None:
            self._base = tables.reopen(place, self.corpus)
