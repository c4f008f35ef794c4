"""The one path from volts to windows, used by the store and by inference alike.

Order of the steps (docs: "Making corpora comparable"): common electrode set, average reference
over that set, filtering, resampling, windows, features, smoothing. Any other order lets the
density of a cap or the filter of a vendor leak into the features. Where a recipe removes eye
movements by independent components, this comes after filtering and resampling, and before the
reference.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, ElectrodeError, FileFormatError
from affectrum.harmonise import Harmonised, harmonise_matrix
from affectrum.recipes import Recipe
from affectrum.signals import (
    ArtefactMarks,
    bandpass,
    count_windows,
    mark_artefacts,
    notch,
    remove_eye_components,
    resample,
    segment,
    window_samples,
    window_starts,
)

__all__ = ["PIPELINE_VERSION", "Processed", "process", "process_shipped", "process_trial"]

#: Raised whenever the same recipe begins to give other numbers; part of the store's key.
PIPELINE_VERSION = 1

_VOLTS_PER_MICROVOLT = 1e-6
# Electrodes marked at a time: few enough for the processor's cache (twice as fast as all at once).
_MARK_CHANNELS = 8


@dataclass(frozen=True)
class Processed:
    """Windows of one trial.

    Attributes
    ----------
    x : ndarray of float32, shape (n_windows, n_channels, n_bands or n_samples)
        The windows; nats, V², or volts, by the recipe's kind. Always finite.
    window : ndarray of int64, shape (n_windows,)
        Position of each window in the trial, from 0; rejected windows leave gaps.
    start_s : ndarray, shape (n_windows,)
        Start of each window in seconds from the trial's onset.
    artefact : ndarray of bool, shape (n_windows,)
        Windows that are marked; they are kept.
    mask : ndarray of bool, shape (n_channels,)
        True where the electrode was measured.
    sfreq : float or None
        Rate of the signal after resampling in Hz.
    rejected : dict of str to int
        Windows left out, by reason.
    marked : dict of str to int
        (window, electrode) pairs marked as artefact, by reason.
    """

    x: NDArray[np.float32]
    window: NDArray[np.int64]
    start_s: NDArray[np.float64]
    artefact: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    sfreq: float | None
    rejected: dict[str, int] = field(default_factory=dict)
    marked: dict[str, int] = field(default_factory=dict)


def process_trial(
    x: NDArray[Any], channels: Sequence[str], sfreq: float, recipe: Recipe
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Turn one trial of volts into windows.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Signal in volts. NaN and infinite samples are allowed: windows that hold them are left out.
    channels : sequence of str
        Canonical electrode names, in the order of axis 0.
    sfreq : float
        Sampling rate in Hz.
    recipe : Recipe
        What to do.

    Returns
    -------
    x : ndarray of float32, shape (n_windows, n_electrodes, n_bands or n_samples)
        The windows. Fewer than the trial has room for if some were left out.
    start_s : ndarray, shape (n_windows,)
        Start of each window in seconds.

    Raises
    ------
    ElectrodeError
        If the recipe's electrodes can't be made from `channels`.
    ConfigError
        If the shape does not fit, or the recipe's filter does not fit the rate.

    See Also
    --------
    process : The same with artefact marks and counts.
    """
    result = process(x, channels, sfreq, recipe)
    return result.x, result.start_s


def process(x: NDArray[Any], channels: Sequence[str], sfreq: float, recipe: Recipe) -> Processed:
    """Turn one trial of volts into windows, with artefact marks and counts.

    Parameters
    ----------
    x, channels, sfreq, recipe
        As in `process_trial`.

    Returns
    -------
    Processed

    Raises
    ------
    ElectrodeError, ConfigError
        As `process_trial`.
    """
    if not recipe.computed:
        raise ConfigError(
            f"The recipe {recipe.name!r} takes features shipped by a vendor "
            f"({recipe.source!r}); it can't be applied to signals."
        )
    signal = np.asarray(x)
    names = tuple(channels)
    if signal.ndim != 2 or signal.shape[0] != len(names):
        raise ConfigError(
            f"The trial has shape {signal.shape}; expected ({len(names)}, n_samples), one row for "
            "each of the electrodes named."
        )
    wanted = recipe.electrode_names(names)
    # Components are looked for before the electrodes are referenced to each other.
    reference = "none" if recipe.ica != "none" else recipe.reference
    plan = harmonisation(names, wanted, recipe.how, reference)
    rate = recipe.rate_of(sfreq)
    if count_windows(signal.shape[1], sfreq, recipe.window_s, recipe.step_s) == 0:
        return _nothing(recipe, plan, signal, rate)
    signal = signal.astype(np.float64, copy=False)
    used = np.flatnonzero(np.abs(plan.matrix).any(axis=0))
    signal, gaps = _fill_gaps(signal, used)

    common = _to_common_set(signal, plan)
    if recipe.bandpass is not None:
        low, high = recipe.bandpass
        common = bandpass(common, sfreq, low, high, order=recipe.filter_order, causal=recipe.causal)
    if recipe.notch_hz is not None:
        common = notch(common, sfreq, recipe.notch_hz, causal=recipe.causal)
    if rate != sfreq:
        common = resample(common, sfreq, rate)
    if recipe.ica != "none":
        # After resampling: the same band in fewer samples.
        with _thread_control().limit(limits=1, user_api="blas"):
            common = remove_eye_components(common, wanted, rate)
        if recipe.reference == "average":
            common = common - common.mean(axis=0)
    start_s = window_starts(common.shape[1], rate, recipe.window_s, recipe.step_s)
    if len(start_s) == 0:
        return _nothing(recipe, plan, signal, rate)
    values = _features(common, rate, recipe)

    artefact, marked = _marks(signal, used, float(sfreq), start_s, recipe)
    broken = _windows_with_gaps(gaps, float(sfreq), start_s, recipe.window_s)
    empty = ~broken & ~np.isfinite(values).all(axis=(1, 2))
    rejected = {
        reason: int(where.sum())
        for reason, where in (("samples not finite", broken), ("no power", empty))
        if where.any()
    }
    kept = ~(broken | empty)
    if not kept.all():
        # Smoothing takes NaN for a missing window and carries its state across.
        values = np.where(kept[:, None, None], values, np.nan)
    values = _smooth(values, recipe)
    if not kept.all():
        values = values[kept]
    return Processed(
        x=np.ascontiguousarray(values, dtype=np.float32),
        window=np.flatnonzero(kept),
        start_s=start_s[kept],
        artefact=artefact[kept],
        mask=plan.mask,
        sfreq=rate,
        rejected=rejected,
        marked=marked,
    )


def process_shipped(
    features: NDArray[Any], channels: Sequence[str], sfreq: float | None, recipe: Recipe
) -> Processed:
    """Take a vendor's features of one trial: electrodes are picked by name, no more.

    Parameters
    ----------
    features : ndarray, shape (n_windows, n_channels, n_bands)
        As `Corpus.read_features` gives them, on the vendor's own scale.
    channels : sequence of str
        Canonical electrode names, in the order of axis 1.
    sfreq : float or None
        Rate of the signal they were made from, in Hz.
    recipe : Recipe
        A recipe whose source is a shipped feature.

    Returns
    -------
    Processed
        Windows with NaN or infinite values are left out and counted.

    Raises
    ------
    ElectrodeError
        If electrodes are missing.
    FileFormatError
        If the number of bands is not the recipe's.
    """
    names = tuple(channels)
    wanted = recipe.electrode_names(names)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ElectrodeError(
            f"The shipped features {recipe.shipped_feature!r} lack {len(missing)} of the "
            f"{len(wanted)} electrodes of the recipe {recipe.name!r}: {', '.join(missing)}. "
            "Name a set that they hold (parameter 'electrodes')."
        )
    values = np.asarray(features, dtype=np.float64)
    n_bands = len(recipe.resolved_bands())
    if values.ndim != 3 or values.shape[1] != len(names) or values.shape[2] != n_bands:
        raise FileFormatError(
            f"The shipped features {recipe.shipped_feature!r} have shape {values.shape}; expected "
            f"(n_windows, {len(names)}, {n_bands}): {len(names)} electrodes and the {n_bands} "
            f"bands of the recipe {recipe.name!r}."
        )
    values = values[:, [names.index(name) for name in wanted]]
    finite = np.isfinite(values).all(axis=(1, 2))
    window = np.flatnonzero(finite)
    step = float(recipe.step_s or recipe.window_s)
    return Processed(
        x=np.ascontiguousarray(values[finite], dtype=np.float32),
        window=window,
        start_s=np.asarray(window * step, dtype=np.float64),
        artefact=np.zeros(len(window), dtype=bool),
        mask=np.ones(len(wanted), dtype=bool),
        sfreq=sfreq,
        rejected={} if finite.all() else {"features not finite": int((~finite).sum())},
    )


@functools.lru_cache(maxsize=64)
def harmonisation(
    channels: tuple[str, ...], target: tuple[str, ...], how: str, reference: str
) -> Harmonised:
    """Return the cached map from one electrode set to another; see `harmonise_matrix`."""
    return harmonise_matrix(channels, target, how=how, reference=reference)


def _to_common_set(signal: NDArray[np.float64], plan: Harmonised) -> NDArray[np.float64]:
    """Return the signals of the recipe's electrodes, referenced; always a new array."""
    if plan.how != "pick":
        # The last bits of a matrix product depend on the number of threads.
        with _thread_control().limit(limits=1, user_api="blas"):
            return plan.apply(signal)
    # The same numbers as by the matrix, without 62 x 62 products a sample.
    rows = _picked_rows(plan.channels, plan.target)
    if plan.reference == "none":
        return signal[rows]
    picked = signal if np.array_equal(rows, np.arange(len(signal))) else signal[rows]
    return np.asarray(picked - picked.mean(axis=0))


@functools.lru_cache(maxsize=1)
def _thread_control() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@functools.lru_cache(maxsize=64)
def _picked_rows(channels: tuple[str, ...], target: tuple[str, ...]) -> NDArray[np.intp]:
    rows: NDArray[np.intp] = np.argmax(
        harmonisation(channels, target, "pick", "none").matrix, axis=1
    )
    return rows


def _nothing(recipe: Recipe, plan: Harmonised, signal: NDArray[Any], sfreq: float) -> Processed:
    """The result for a trial that is shorter than one window."""
    if recipe.kind == "raw":
        last = window_samples(sfreq, recipe.window_s, recipe.step_s)[0]
    else:
        last = len(recipe.resolved_bands())
    return Processed(
        x=np.zeros((0, len(plan.mask), last), dtype=np.float32),
        window=np.zeros(0, dtype=np.int64),
        start_s=np.zeros(0),
        artefact=np.zeros(0, dtype=bool),
        mask=plan.mask,
        sfreq=sfreq,
        rejected={"trial shorter than a window": 1},
    )


def _fill_gaps(
    signal: NDArray[np.float64], used: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Bridge NaN and infinite samples, so that filters and the reference stay finite.

    Returns the signal and, per sample, whether any electrode in use was not finite (None if there
    is no such sample). The bridged stretches never reach a window: those windows are rejected.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(signal.sum()):
            return signal, None
    bad: NDArray[np.bool_] = ~np.isfinite(signal)
    if not bad[used].any():
        return signal, None
    filled = signal.copy()
    time = np.arange(signal.shape[1])
    for row in used[bad[used].any(axis=1)]:
        good = ~bad[row]
        filled[row] = np.interp(time, time[good], signal[row, good]) if good.any() else 0.0
    gaps: NDArray[np.bool_] = np.asarray(bad[used].any(axis=0))
    return filled, gaps


def _windows_with_gaps(
    gaps: NDArray[np.bool_] | None, sfreq: float, start_s: NDArray[np.float64], window_s: float
) -> NDArray[np.bool_]:
    if gaps is None:
        return np.zeros(len(start_s), dtype=bool)
    before = np.concatenate([[0], np.cumsum(gaps)])
    first = np.floor(start_s * sfreq + 1e-6).astype(np.int64)
    last = np.ceil((start_s + window_s) * sfreq - 1e-6).astype(np.int64)
    touched: NDArray[np.bool_] = before[np.minimum(last, len(gaps))] > before[first]
    return touched


def _features(common: NDArray[Any], sfreq: float, recipe: Recipe) -> NDArray[Any]:
    """Return ndarray, shape (n_windows, n_channels, n_bands or n_samples)."""
    if recipe.kind == "raw":
        return segment(common, sfreq, recipe.window_s, recipe.step_s)
    from affectrum.features import band_power, differential_entropy

    if recipe.kind == "power":
        return band_power(
            common,
            sfreq,
            bands=recipe.bands,
            window=recipe.window_s,
            step=recipe.step_s,
            method=recipe.method,
        )
    if recipe.scale == "seed":
        # that scale is defined for microvolts
        common = common / _VOLTS_PER_MICROVOLT
    return differential_entropy(
        common,
        sfreq,
        bands=recipe.bands,
        window=recipe.window_s,
        step=recipe.step_s,
        method=recipe.method,
        bias_corrected=recipe.bias_corrected,
        scale=recipe.scale,
    )


def _smooth(values: NDArray[Any], recipe: Recipe) -> NDArray[Any]:
    """Smooth along the trial; rejected windows are NaN and take no part."""
    if recipe.smoothing == "none":
        return values
    from affectrum.features import moving_average, smooth_lds

    if recipe.smoothing == "moving-average":
        return moving_average(values, recipe.smoothing_windows, causal=recipe.causal)
    return smooth_lds(
        values,
        causal=recipe.smoothing == "lds-causal",
        transition_cov=recipe.lds_transition_cov,
        observation_cov=recipe.lds_observation_cov,
        initial_cov=recipe.lds_initial_cov,
    )


def _marks(
    signal: NDArray[np.float64],
    used: NDArray[np.intp],
    sfreq: float,
    start_s: NDArray[np.float64],
    recipe: Recipe,
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Mark windows on the measured electrodes, as recorded: a reference hides a flat one."""
    limits = {
        "flat": recipe.artefact_flat_uv,
        "amplitude": recipe.artefact_amplitude_uv,
        "jump": recipe.artefact_jump_uv,
    }
    if recipe.artefact_muscle is None and all(limit is None for limit in limits.values()):
        return np.zeros(len(start_s), dtype=bool), {}
    measured = signal if len(used) == len(signal) else signal[used]
    length, step = window_samples(sfreq, recipe.window_s, recipe.step_s)
    starts = np.floor(start_s * sfreq + 0.5).astype(np.int64)
    np.minimum(starts, signal.shape[1] - length, out=starts)
    if np.array_equal(starts, np.arange(len(starts)) * step):
        pieces = segment(measured, sfreq, recipe.window_s, recipe.step_s)[: len(starts)]
    else:
        # After resampling the grids of the two rates need not meet on whole samples.
        every = np.lib.stride_tricks.sliding_window_view(measured, length, axis=-1)
        pieces = np.moveaxis(every[:, starts], 0, 1)
    volts = {
        name: None if limit is None else limit * _VOLTS_PER_MICROVOLT
        for name, limit in limits.items()
    }
    blocks = [
        mark_artefacts(
            pieces[:, first : first + _MARK_CHANNELS], sfreq, **volts, muscle=recipe.artefact_muscle
        )
        for first in range(0, pieces.shape[1], _MARK_CHANNELS)
    ]
    reasons = {
        reason: np.concatenate([block.reasons[reason] for block in blocks], axis=-1)
        for reason in blocks[0].reasons
    }
    marks = ArtefactMarks(reasons, blocks[0].thresholds)
    counts = {reason: count for reason, count in marks.counts().items() if count}
    return marks.windows(recipe.artefact_share), counts
