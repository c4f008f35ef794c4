"""Changed signals: muscles alone, or everything but what muscles reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrum.electrodes import edge_electrodes
from affectrum.errors import AccessError, ElectrodeError
from affectrum.protocols.access import Grant
from affectrum.windows import Windows
from affectrum.windows.lazy import computed

if TYPE_CHECKING:
    from affectrum.features import Band
    from affectrum.protocols import Fold

__all__ = ["FAST_HZ", "SLOW_HZ", "muscles_only", "without_muscles"]

#: The muscle probe looks at power above this.
FAST_HZ = 30.0
#: "no-muscle" keeps only what lies below this.
SLOW_HZ = 20.0
_TOP_HZ = 45.0
_HAIR = 1e-6
# Windows of signals whose power is computed at a time.
_BLOCK = 256

# The training side that was changed last: folds of one target share it.
_Kept = dict[str, tuple[Grant, tuple[Grant, ...]]]


def muscles_only(fold: Fold, kept: _Kept | None = None) -> Fold:
    """Leave only the power above 30 Hz at the electrodes near muscles.

    Parameters
    ----------
    fold : Fold
        The fold.
    kept : dict, optional
        Keeps changed grants from fold to fold.

    Returns
    -------
    Fold

    Raises
    ------
    AccessError
        If the windows hold no such electrode or no such frequency.
    """
    edge = _edge(fold.test.channels, "muscle-probe")
    if not edge:
        raise AccessError(
            "Control 'muscle-probe' needs electrodes at the edge of the cap (Fp1, F7, T7, ...); "
            f"these windows hold {', '.join(fold.test.channels)}."
        )
    if fold.test.kind == "raw":
        return _changed(fold, _fast_power, kept)
    bands = _bands(fold.test, "muscle-probe")
    fast = [number for number, band in enumerate(bands) if band.low >= FAST_HZ - _HAIR]
    if not fast:
        raise AccessError(
            f"Control 'muscle-probe' needs a band above {FAST_HZ:g} Hz; these windows hold "
            f"{', '.join(map(str, bands))}."
        )
    return _changed(fold, lambda windows: _subset(windows, edge, fast), kept)


def without_muscles(fold: Fold, kept: _Kept | None = None) -> Fold:
    """Leave out the electrodes near muscles and everything above 20 Hz.

    Parameters
    ----------
    fold : Fold
        The fold.
    kept : dict, optional
        Keeps changed grants from fold to fold.

    Returns
    -------
    Fold

    Raises
    ------
    AccessError
        If nothing would be left.
    """
    edge = _edge(fold.test.channels, "no-muscle")
    inner = [name for name in range(len(fold.test.channels)) if name not in edge]
    if not inner:
        raise AccessError(
            "Control 'no-muscle' leaves no electrode: all of these windows' are at the edge."
        )
    if fold.test.kind == "raw":
        return _changed(fold, _slow_signals, kept)
    bands = _bands(fold.test, "no-muscle")
    slow = [number for number, band in enumerate(bands) if band.high <= SLOW_HZ + _HAIR]
    if not slow:
        raise AccessError(
            f"Control 'no-muscle' leaves no band: none of {', '.join(map(str, bands))} ends at "
            f"{SLOW_HZ:g} Hz or below."
        )
    return _changed(fold, lambda windows: _subset(windows, inner, slow), kept)


def _edge(channels: Sequence[str], control: str) -> list[int]:
    try:
        names = edge_electrodes(channels)
    except ElectrodeError as error:
        raise AccessError(
            f"Control {control!r} needs to know where electrodes are: {error}"
        ) from error
    from affectrum.electrodes import require_canonical

    return [number for number, name in enumerate(require_canonical(channels)) if name in names]


def _bands(windows: Windows, control: str) -> tuple[Band, ...]:
    if windows.bands is None:
        raise AccessError(
            f"Control {control!r} needs features by band; windows of kind {windows.kind!r} do not "
            "tell their bands."
        )
    return tuple(windows.bands)


def _changed(fold: Fold, change: Callable[[Windows], Windows], kept: _Kept | None) -> Fold:
    kept = {} if kept is None else kept

    def changed(role: str, granted: tuple[Grant, ...]) -> tuple[Grant, ...]:
        if role not in kept or kept[role][0] is not granted[0]:
            new = tuple(replace(grant, windows=change(grant.windows)) for grant in granted)
            kept[role] = (granted[0], new)
        return kept[role][1]

    return replace(fold, access=fold.access.with_grants(changed), test=change(fold.test))


def _rebuilt(windows: Windows, x: Any, chosen: list[int], **changes: Any) -> Windows:
    fields: dict[str, Any] = {
        "kind": windows.kind,
        "channels": tuple(windows.channels[number] for number in chosen),
        "sfreq": windows.sfreq,
        "bands": windows.bands,
        "recipe": windows.recipe,
        "corpus": windows.corpus,
        "mask": windows.mask[chosen],
        **changes,
    }
    return Windows(x, windows.table, **fields)


def _subset(windows: Windows, channels: list[int], bands: list[int]) -> Windows:
    assert windows.bands is not None
    x = np.ascontiguousarray(windows.x[:, channels][:, :, bands], dtype=np.float32)
    return _rebuilt(windows, x, channels, bands=tuple(windows.bands[number] for number in bands))


def _slow_signals(windows: Windows) -> Windows:
    """Signals below 20 Hz away from the edge, of each corpus's own electrodes."""
    edge = _edge(windows.channels, "no-muscle")
    inner = [number for number in range(len(windows.channels)) if number not in edge]
    if not inner:
        raise AccessError(
            f"Control 'no-muscle' leaves no electrode of {windows.corpus}: all are at the edge."
        )
    assert windows.sfreq is not None
    return _rebuilt(
        windows, computed(windows, partial(_below, channels=inner, sfreq=windows.sfreq)), inner
    )


def _below(x: Any, channels: list[int], sfreq: float) -> Any:
    """Filter windows, shape (n, n_channels, n_samples)."""
    from affectrum.signals.filters import bandpass

    x = x[:, channels]
    return bandpass(x, sfreq, None, SLOW_HZ) if sfreq > 2 * SLOW_HZ else x


def _fast_power(windows: Windows) -> Windows:
    """Logarithm of the power above 30 Hz, one feature per electrode at the edge."""
    from affectrum.features import Band, band_power

    channels = _edge(windows.channels, "muscle-probe")
    if not channels:
        raise AccessError(
            f"Control 'muscle-probe' needs electrodes at the edge of the cap; {windows.corpus} has "
            f"none among {', '.join(windows.channels)}."
        )
    assert windows.sfreq is not None
    top = min(_TOP_HZ, 0.45 * windows.sfreq)
    if top <= FAST_HZ:
        raise AccessError(
            f"Control 'muscle-probe' needs frequencies above {FAST_HZ:g} Hz; signals of "
            f"{windows.sfreq:g} Hz hold none."
        )
    band = Band("fast", FAST_HZ, top)
    length = windows.shape[2] / windows.sfreq
    x = np.empty((len(windows), len(channels), 1), dtype=np.float32)
    for start in range(0, len(windows), _BLOCK):
        power = band_power(
            windows.batch(slice(start, start + _BLOCK))[:, channels],
            windows.sfreq,
            bands={"fast": (FAST_HZ, top)},
            window=length,
        )
        x[start : start + _BLOCK] = np.log(np.maximum(power[:, 0], 1e-30))
    return _rebuilt(windows, x, channels, kind="de", bands=(band,))
