"""Who is who: numbers that name a window, and numbers that name its content.

Both are the same in every process and on every machine, so that tables, scalers and records made
at different times can be compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from affectrum.windows import Windows
    from affectrum.windows.lazy import LazyRows

__all__ = [
    "content_hashes",
    "derive",
    "first_windows",
    "found_in",
    "neutral_rows",
    "row_ids",
    "separate_corpora",
    "trial_codes",
]

# Rows hashed at a time: the 64-bit products of a block stay in a processor's cache.
_BLOCK_BYTES = 1_000_000
_TRIAL_KEYS = ("corpus", "subject", "session", "row")


def mix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalise 64-bit values so that each bit depends on all others.

    Parameters
    ----------
    values : ndarray of uint64
        Any values.

    Returns
    -------
    ndarray of uint64, same shape
        By the finaliser of splitmix64.
    """
    z = values.copy()
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def derive(seed: int, *parts: str) -> int:
    """Derive the seed of one named choice, the same on every machine and in every process."""
    text = "\x1f".join([str(int(seed)), *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def trial_codes(table: pd.DataFrame) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Number the trials of a table of windows.

    Parameters
    ----------
    table : DataFrame, n rows
        With `corpus`, `subject`, `session` and `row`.

    Returns
    -------
    codes : ndarray of int64, shape (n,)
        The trial of each window, counted from 0 in order of first appearance.
    trials : DataFrame
        The first row of each trial, index 0..n_trials-1.
    """
    codes, first, _ = first_windows(table)
    return codes, table.iloc[first].reset_index(drop=True)


def first_windows(
    table: pd.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find the trials of a table of windows.

    Parameters
    ----------
    table : DataFrame, n rows
        With `corpus`, `subject`, `session` and `row`. Quick where the windows of a trial follow
        each other.

    Returns
    -------
    codes : ndarray of int64, shape (n,)
        The trial of each window, counted from 0 in order of first appearance.
    first : ndarray of int64, shape (n_trials,)
        Position of each trial's first window.
    sizes : ndarray of int64, shape (n_trials,)
        Windows of each trial.
    """
    starts = np.zeros(len(table), dtype=bool)
    starts[:1] = True
    columns = []
    for name in _TRIAL_KEYS:
        if name not in table:
            continue
        values = table[name].to_numpy()
        if values.dtype.kind in "Of" and table[name].hasnans:
            values = pd.factorize(table[name])[0]
        starts[1:] |= np.asarray(values[1:] != values[:-1], dtype=np.bool_)
        columns.append(values)
    # Of each run of windows with one name, only the first is looked at.
    runs = np.flatnonzero(starts).astype(np.int64)
    numbers: dict[tuple[object, ...], int] = {}
    names = zip(*(values[runs].tolist() for values in columns), strict=True)
    of_run = np.array([numbers.setdefault(key, len(numbers)) for key in names], dtype=np.int64)
    codes = of_run[np.cumsum(starts) - 1]
    first = runs[np.unique(of_run, return_index=True)[1]]
    return codes, first, np.bincount(codes, minlength=len(first)).astype(np.int64)


def found_in(mine: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Mark numbers that occur among others; as ``np.isin``, quick for few among many.

    Parameters
    ----------
    mine : ndarray of uint64, shape (n,)
        Identifiers or fingerprints.
    theirs : ndarray of uint64, shape (m,)
        Those that are looked among.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    # Most of theirs are set aside by their low bits, in which few of mine agree with them.
    low = np.uint64(0xFFFF)
    wanted = np.zeros(0x10000, dtype=bool)
    wanted[mine & low] = True
    likely = theirs[wanted[theirs & low]]
    return np.asarray(np.isin(mine, likely), dtype=np.bool_)


def row_ids(table: pd.DataFrame) -> NDArray[np.uint64]:
    """Name each window by a number made of (corpus, subject, session, row, window).

    Parameters
    ----------
    table : DataFrame, n rows
        A table of windows.

    Returns
    -------
    ndarray of uint64, shape (n,)
        Equal for the same window in any selection, process and session.
    """
    if not len(table):
        return np.zeros(0, dtype=np.uint64)
    codes, trials = trial_codes(table)
    keys = [name for name in _TRIAL_KEYS if name in trials]
    seeds = np.array(
        [
            int.from_bytes(
                hashlib.sha256("\x1f".join(map(str, values)).encode()).digest()[:8], "little"
            )
            for values in trials[keys].itertuples(index=False)
        ],
        dtype=np.uint64,
    )
    if "window" in table:
        window = table["window"].to_numpy(dtype=np.int64).astype(np.uint64)
    else:
        window = np.zeros(len(table), dtype=np.uint64)
    return mix64(seeds[codes] + (window + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))


def neutral_rows(table: pd.DataFrame) -> NDArray[np.int64]:
    """Number trials within their session without telling which stimulus they are.

    The position in the file names the stimulus where files are in another order than that of
    presentation: row 7 of every DEAP file is the same video. Trials are numbered as presented; by
    chance where the order is not known (the same for a trial in every process).

    Parameters
    ----------
    table : DataFrame, n rows
        A table of windows with `row`.

    Returns
    -------
    ndarray of int64, shape (n,)
        To be put in place of `row`; different for different trials of a session.
    """
    codes, trials = trial_codes(table)
    row = np.asarray(trials["row"], dtype=np.int64)
    session = [name for name in _TRIAL_KEYS[:3] if name in trials]
    if "trial" in trials and not trials["trial"].isna().any():
        number = np.asarray(trials["trial"], dtype=np.int64)
        if not trials.assign(trial=number).duplicated([*session, "trial"]).any():
            return number[codes]
    ids = row_ids(trials.drop(columns="window", errors="ignore"))
    group = (
        np.asarray(trials.groupby(session, sort=False, dropna=False).ngroup(), dtype=np.int64)
        if session
        else np.zeros(len(row), dtype=np.int64)
    )
    order = np.lexsort((ids, group))
    sizes = np.bincount(group)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    number = np.empty(len(row), dtype=np.int64)
    number[order] = np.arange(len(row)) - starts + 1
    return number[codes]


def separate_corpora(windows: Windows | Iterable[Windows]) -> list[Windows]:
    """List windows corpus by corpus, so that subject 1 of one is never taken for that of another.

    Parameters
    ----------
    windows : Windows or iterable of Windows
        Some may hold several corpora (`Windows.concatenate`).

    Returns
    -------
    list of Windows
        Those of one corpus as they were given.
    """
    from affectrum.windows import Windows

    given = [windows] if isinstance(windows, Windows) else list(windows)
    parts: list[Windows] = []
    for part in given:
        corpora = part.table["corpus"].to_numpy()
        if (corpora[1:] == corpora[:-1]).all():
            parts.append(part)
            continue
        names = list(dict.fromkeys(corpora))
        for name in names:
            mine = part.select(corpora == name)
            mine.corpus = str(name)
            parts.append(mine)
    return parts


def content_hashes(x: NDArray[np.float32] | LazyRows) -> NDArray[np.uint64]:
    """Name each window by its values, to find one signal under two identities.

    Parameters
    ----------
    x : ndarray, shape (n_windows, ...)
        The values; read in blocks, so that a memory map is never held whole.

    Returns
    -------
    ndarray of uint64, shape (n_windows,)
        Equal for bit-equal windows; 0 for windows in which nothing varies (flat or padded ones
        are alike without being copies). Different windows agree with a chance of about 2**-64.
    """
    n = len(x)
    out = np.zeros(n, dtype=np.uint64)
    size = int(np.prod(x.shape[1:]))
    if not n or not size:
        return out
    # Multilinear hashing: a sum of the values times fixed random odd numbers, modulo 2**64.
    state = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    factors = mix64(state) | np.uint64(1)
    block = max(1, _BLOCK_BYTES // (8 * size))
    for start in range(0, n, block):
        values = np.ascontiguousarray(x[start : start + block], dtype=np.float32)
        bits = values.reshape(len(values), size).view(np.uint32)
        # Spread 32-bit patterns over 64 bits first: they often share their low bits.
        sums = (mix64(bits.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)) * factors).sum(
            axis=1, dtype=np.uint64
        )
        varies = (bits != bits[:, :1]).any(axis=1)
        hashed = mix64(sums)
        hashed[hashed == 0] = 1
        out[start : start + len(values)] = np.where(varies, hashed, 0)
    return out
