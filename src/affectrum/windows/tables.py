"""What `Windows` checks and fills in: the columns of its table, rows, places of memory maps."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.corpora.table import COLUMNS
from affectrum.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from affectrum.features import Band
    from affectrum.windows.container import Windows
    from affectrum.windows.lazy import LazyRows

# The trial table: the same columns and types for every corpus, in this order.
TRIAL_DTYPES: dict[str, str] = COLUMNS
TRIAL_COLUMNS: tuple[str, ...] = tuple(TRIAL_DTYPES)
WINDOW_COLUMNS: tuple[str, ...] = ("window", "start_s")
#: The columns that name one trial.
IDENTITY: tuple[str, ...] = ("corpus", "subject", "session", "row")
#: What a window's last axis holds: bands of differential entropy, bands of power, samples, or
#: features of the user's own making.
KINDS: tuple[str, ...] = ("de", "power", "raw", "features")

# Own arrays without `bands` and `kind` count as features up to this last-axis length. A window of
# raw EEG is longer: 16 samples are 0.125 s at 128 Hz, the lowest rate of the corpora.
MAX_FEATURES_GUESSED = 16
# Rows per block when a large array is searched for NaN, so that a memory map is never read whole.
_CHECK_ROWS = 4096

Rows = slice | NDArray[np.int64]


def file_place(x: NDArray[Any]) -> tuple[str, int, tuple[int, ...]] | None:
    """Where a read-only memory map lies: path, offset in bytes, shape; None if not one."""
    if not isinstance(x, np.memmap) or x.mode != "r" or x.filename is None:
        return None
    if not x.flags.c_contiguous or x.size == 0 or x.dtype != np.float32:
        return None
    # A slice of a memory map keeps the `offset` of the whole, so the place is found by address.
    whole = np.frombuffer(x._mmap, dtype=np.uint8)  # type: ignore[attr-defined]
    inside = x.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    if not 0 <= inside < whole.nbytes:
        return None
    start = x.offset - x.offset % mmap.ALLOCATIONGRANULARITY
    return str(Path(x.filename).resolve()), start + inside, x.shape


def reopen(place: tuple[str, int, tuple[int, ...]], corpus: str) -> NDArray[np.float32]:
    """Open the memory map at a place that `file_place` gave."""
    path, offset, shape = place
    try:
        return np.memmap(path, dtype=np.float32, mode="r", offset=offset, shape=shape)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"The windows of {corpus} lie in {path!r}, which can't be opened any more ({error}). "
            "Prepare them again."
        ) from error


def resolve_rows(rows: Any, n: int) -> NDArray[np.int64]:
    """Return row numbers for a slice, a boolean mask or numbers; faults are ConfigErrors."""
    if isinstance(rows, slice):
        return np.arange(n)[rows]
    given = np.asarray(rows)
    if given.dtype == object and given.size and pd.api.types.is_bool_dtype(pd.Series(rows)):
        given = pd.Series(rows).fillna(False).to_numpy(dtype=bool)
    if given.dtype == bool:
        if given.shape != (n,):
            raise ConfigError(f"The mask has shape {given.shape}; expected ({n},), one a window.")
        return np.flatnonzero(given)
    if given.size == 0:
        return np.zeros(0, dtype=np.int64)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise ConfigError(
            f"rows must be a slice, a boolean mask or positions; received {given.dtype} values "
            f"of shape {given.shape}."
        )
    if given.min() < -n or given.max() >= n:
        raise ConfigError(
            f"rows reach from {given.min()} to {given.max()}, but there are only {n} windows."
        )
    return np.where(given < 0, given + n, given).astype(np.int64)


def as_run(rows: NDArray[np.int64]) -> Rows:
    """Turn consecutive rows into a slice, so that the selection is a view and not a copy."""
    if len(rows) and (len(rows) == 1 or bool((np.diff(rows) == 1).all())):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def structure_faults(
    x: NDArray[Any] | LazyRows,
    table: pd.DataFrame,
    kind: str,
    channels: tuple[str, ...],
    sfreq: float | None,
    bands: tuple[Band, ...] | None,
    mask: NDArray[np.bool_] | None,
) -> list[str]:
    """Return every fault in how an array and its table fit, one sentence each."""
    faults = []
    if kind not in KINDS:
        faults.append(f"kind is {kind!r}; allowed are {', '.join(KINDS)}")
    if not np.issubdtype(x.dtype, np.number) or np.issubdtype(x.dtype, np.complexfloating):
        faults.append(f"x holds values of type {x.dtype}; expected real numbers")
    if x.ndim != 3:
        faults.append(
            f"x has shape {x.shape}; expected 3 axes (n_windows, n_channels, n_bands or "
            "n_samples); flat features can be given as x.reshape(n_windows, n_channels, n_bands)"
        )
    else:
        if x.shape[0] != len(table):
            faults.append(f"x has {x.shape[0]} windows, table {len(table)} rows")
        if x.shape[1] != len(channels):
            faults.append(f"x has {x.shape[1]} electrodes on axis 1, channels {len(channels)}")
        if bands is not None and x.shape[2] != len(bands):
            faults.append(f"x has {x.shape[2]} bands on the last axis, bands {len(bands)}")
    doubled = sorted({name for name in channels if channels.count(name) > 1})
    if doubled:
        faults.append(f"electrodes named twice: {', '.join(doubled)}")
    if sfreq is not None and not sfreq > 0:
        faults.append(f"sfreq is {sfreq}; expected a positive rate in Hz, or None")
    if mask is not None and np.shape(mask) != (len(channels),):
        faults.append(f"mask has shape {np.shape(mask)}; expected ({len(channels)},)")
    return faults


def finite_faults(x: NDArray[Any] | LazyRows, table: pd.DataFrame) -> list[str]:
    """NaN only where marked as artefact, Inf nowhere; counted, with the first place."""
    if x.dtype.kind in "biu":
        return []
    marked = (
        table["artefact"].to_numpy(dtype=bool)
        if "artefact" in table
        else np.zeros(len(table), dtype=bool)
    )
    infinite = np.zeros(len(x), dtype=bool)
    missing = np.zeros(len(x), dtype=bool)
    for start in range(0, len(x), _CHECK_ROWS):
        block = np.asarray(x[start : start + _CHECK_ROWS])
        stop = start + len(block)
        infinite[start:stop] = np.isinf(block).any(axis=(1, 2))
        missing[start:stop] = np.isnan(block).any(axis=(1, 2))
    faults = []
    if infinite.any():
        faults.append(
            f"{int(infinite.sum())} of {len(x)} windows hold Inf, the first is row "
            f"{int(np.argmax(infinite))}; Inf is never allowed"
        )
    unmarked = missing & ~marked
    if unmarked.any():
        faults.append(
            f"{int(unmarked.sum())} of {len(x)} windows hold NaN, the first is row "
            f"{int(np.argmax(unmarked))}; NaN is allowed only in rows whose column 'artefact' is "
            "True: drop these windows or mark them"
        )
    return faults


def conform_table(
    table: pd.DataFrame, n_channels: int, sfreq: float | None
) -> tuple[pd.DataFrame, list[str]]:
    """Fill a user's table up to the columns and types of the trial table."""
    own = table.reset_index(drop=True)
    n = len(own)
    faults = [
        f"the table has no column {name!r}" for name in ("subject", "trial") if name not in own
    ]
    if faults:
        return own, faults
    columns: dict[str, Any] = {}
    for name in ("subject", "session"):
        if name in own and not _is_whole(own[name]):
            if own[name].isna().any():
                faults.append(f"column {name!r} has missing values")
                continue
            words = own[name].astype("str")
            codes = pd.Categorical(words, categories=sorted(words.unique())).codes
            columns[name] = pd.Series(codes.astype(np.int64) + 1)
            columns[f"{name}_name"] = words
    if not _is_whole(own["trial"], missing_allowed=True):
        faults.append(
            "column 'trial' must hold whole numbers: the trial's position in its session, from 1"
        )
    defaults: dict[str, Any] = {
        "corpus": "own",
        "session": 1,
        "row": own["trial"],
        "n_channels": n_channels,
        "sfreq": np.nan if sfreq is None else float(sfreq),
        "simulated": False,
    }
    for name, dtype in TRIAL_DTYPES.items():
        if name in columns:
            continue
        value = own[name] if name in own else defaults.get(name)
        if value is None:
            missing: Any = np.nan if dtype == "float64" else None
            value = pd.Series([missing] * n)
        try:
            series = value if isinstance(value, pd.Series) else pd.Series([value] * n)
            columns[name] = series.astype(dtype)  # type: ignore[call-overload]
        except (TypeError, ValueError) as error:
            faults.append(f"column {name!r} can't be read as {dtype}: {error}")
    if faults:
        return own, faults
    full = pd.DataFrame({name: columns[name] for name in TRIAL_COLUMNS})
    window = own["window"] if "window" in own else full.groupby(list(IDENTITY)).cumcount()
    start = own["start_s"] if "start_s" in own else pd.Series(np.full(n, np.nan))
    try:
        full = full.assign(window=window.astype("int64"), start_s=start.astype("float64"))
    except (TypeError, ValueError) as error:
        return own, [f"columns 'window' and 'start_s' must be numbers: {error}"]
    extra = {name: own[name] for name in own.columns if name not in full and name not in columns}
    extra.update({name: columns[name] for name in columns if name not in full})
    full = full.assign(**extra)
    twice = full.duplicated([*IDENTITY, "window"], keep=False)
    if twice.any():
        place = full.loc[twice, [*IDENTITY, "window"]].iloc[0].to_dict()
        faults.append(
            f"{int(twice.sum())} windows stand more than once in the table, for example {place}"
        )
    return full, faults


def join_faults(windows: Sequence[Windows]) -> list[str]:
    """Say in what windows differ that should be joined."""
    first = windows[0]
    questions: list[tuple[str, Callable[[Windows], Any]]] = [
        ("recipe", lambda part: part.recipe or "not known"),
        ("kind", lambda part: part.kind),
        ("electrodes", lambda part: part.channels),
        ("bands", lambda part: part.bands),
        ("length of the last axis", lambda part: part.shape[2]),
    ]
    if first.kind == "raw":
        questions.append(("sampling rate", lambda part: part.sfreq))
    faults = []
    for what, ask in questions:
        answers = [ask(part) for part in windows]
        if any(answer != answers[0] for answer in answers):
            listed = "; ".join(
                f"{part.corpus}: {short(answer)}"
                for part, answer in zip(windows, answers, strict=True)
            )
            faults.append(f"{what} differs ({listed})")
    return faults


def match_split(table: pd.DataFrame, split: pd.DataFrame) -> pd.Series:
    """Find each window's entry in a table of splits; see `Windows.with_split`."""
    allowed = (*IDENTITY, "trial", "clip", "window", "subject_name", "session_name")
    listed = ", ".join(allowed)
    faults = []
    if "split" not in split:
        faults.append("the column 'split' is missing")
    unknown = [str(name) for name in split.columns if name != "split" and name not in allowed]
    if unknown:
        faults.append(f"columns not understood: {', '.join(unknown)} (allowed: {listed})")
    keys = [name for name in allowed if name in split]
    absent = [name for name in keys if name not in table]
    if absent:
        faults.append(f"these windows have no column {', '.join(absent)}")
    if not keys:
        faults.append(f"no column says which windows are meant (allowed: {listed})")
    if faults:
        raise ConfigError(joined("The split table can't be used.", faults))
    wanted = split[[*keys, "split"]].drop_duplicates().reset_index(drop=True)
    for name in keys:
        try:
            wanted[name] = wanted[name].astype(table[name].dtype)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The split table's column {name!r} can't be matched with the windows': {error}"
            ) from error
    doubled = wanted.duplicated(keys, keep=False)
    if doubled.any():
        example = wanted[doubled].head(2).to_dict("records")
        raise ConfigError(
            f"The split table puts {int(doubled.sum())} rows into more than one split, for "
            f"example {example}. Each trial or window may be named once."
        )
    left = table[keys].assign(_position=np.arange(len(table)))
    right = wanted.assign(_line=np.arange(len(wanted)))
    matched = left.merge(right, how="left", on=keys).sort_values("_position", kind="stable")
    used = np.zeros(len(wanted), dtype=bool)
    used[matched["_line"].dropna().to_numpy(dtype=np.int64)] = True
    if not used.all():
        example = wanted[~used].head(3)[keys].to_dict("records")
        raise ConfigError(
            f"{int((~used).sum())} of {len(wanted)} rows of the split table name nothing in these "
            f"windows, for example {example}. Check the columns {keys}."
        )
    return matched["split"].reset_index(drop=True)


def _is_whole(column: pd.Series, *, missing_allowed: bool = False) -> bool:
    if missing_allowed:
        column = column.dropna()
    if pd.api.types.is_integer_dtype(column.dtype):
        return not bool(column.isna().any())
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return bool((np.isfinite(values) & (np.round(values) == values)).all())
    return bool(column.empty)


def resolve_bands(bands: Any) -> tuple[Band, ...] | None:
    """Return bands as a tuple, or None where there are none."""
    if bands is None:
        return None
    from affectrum.features import Band, get_bands

    if isinstance(bands, str | Mapping):
        return tuple(get_bands(bands))
    return tuple(band if isinstance(band, Band) else Band(*band) for band in bands)


def with_plain_index(table: pd.DataFrame) -> pd.DataFrame:
    """Return a shallow copy whose index counts from 0."""
    index = table.index
    plain = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
    return table.copy(deep=False) if plain else table.reset_index(drop=True)


def joined(text: str, faults: Sequence[str]) -> str:
    """Return a message with every fault on a line of its own."""
    return "\n".join([text, *(f"  - {fault}" for fault in faults)])


def short(value: Any) -> str:
    """Return a value as text, cut where it is long."""
    text = (
        f"{len(value)}: {value[:4]} ..." if isinstance(value, tuple) and len(value) > 4 else value
    )
    return str(text)


def count(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is one."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
