"""What EMOD learns labels from: granted windows of any shape, read batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import AccessError, ConfigError

if TYPE_CHECKING:
    from affectrum.methods.base import Progress
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.protocols import Access, Grant
    from affectrum.windows import Windows

__all__ = [
    "NEEDS_PLANE",
    "Piece",
    "WindowPool",
    "ahead",
    "check_head",
    "check_plane",
    "check_volts",
    "check_windows",
    "head_kind",
    "labelled_grants",
    "now_and_then",
    "placed_grants",
    "source_grants",
]

_Item = TypeVar("_Item")

# Signals of the scalp vary by some 10 microvolts; a thousand times as much is another unit.
_MOST_VOLTS = 1e-2

NEEDS_PLANE = ("soft-va", "hard-va", "supcon")
"""Objectives that learn from valence and arousal."""

_HEAD_OF_CORPUS = {"FACED": "faced", "SEED": "seed", "SEED-V": "seed-v"}


def source_grants(access: Access) -> tuple[Grant, ...]:
    """Return the source, one grant per corpus; empty if there is none."""
    return tuple(access.source_parts)


def placed_grants(grants: Iterable[Grant], va_table: str | None) -> list[Grant]:
    """Return grants with the places of their windows by the method's own table of words.

    Parameters
    ----------
    grants : iterable of Grant
        What may be looked at; the same grant twice counts once.
    va_table : str or None
        Name of a table. None: places stay as they are granted, as they do where words are not.

    Returns
    -------
    list of Grant
    """
    from affectrum.protocols.plane import plane_of

    found: list[Grant] = []
    seen: list[Grant] = []
    for grant in grants:
        if any(grant is before for before in seen):
            continue
        seen.append(grant)
        table = grant.windows.table
        if va_table is not None and "emotion" in table:
            grant = replace(grant, va=plane_of(table, va_table))
        found.append(grant)
    return found


def check_plane(access: Access, config: EMODConfig) -> None:
    """Refuse, before any training, a source that pre-training or the plane can't be learnt from.

    Parameters
    ----------
    access : Access
        What the protocol grants.
    config : EMODConfig
        Its `objective` and `readout` say what is needed.

    Raises
    ------
    AccessError
        If there is no source, or corpora lack valence and arousal; they are named.
    """
    sources = source_grants(access)
    if not sources:
        raise AccessError(
            "Method 'emod' pre-trains on source signals; protocol "
            f"{access.protocol!r} grants {', '.join(access.grants) or 'nothing'}. Name source "
            "corpora, such as in 'pretrain-finetune', or set pretraining=False."
        )
    placed = placed_grants(sources, config.va_table)
    bare = [str(grant.windows.corpus) for grant in placed if not grant.has_plane]
    if config.objective in NEEDS_PLANE and bare:
        needs = "Pre-training"
    elif config.readout == "plane" and len(bare) == len(placed):
        needs = "readout='plane'"
    else:
        return
    raise AccessError(
        f"{needs} of 'emod' needs valence and arousal (-1..1) of source windows, and those of "
        f"{', '.join(bare)} have none. Pass va_table='emod' to make_folds (va_table in a plan), "
        "which places emotion words, leave such corpora out, or set objective='instance' or "
        "pretraining=False."
    )


def labelled_grants(access: Access, config: EMODConfig) -> list[Grant]:
    """Return the grants whose labels fine-tuning learns from.

    Parameters
    ----------
    access : Access
        What the protocol grants.
    config : EMODConfig
        Its `finetune_on` says which.

    Returns
    -------
    list of Grant
        Each with labels; the target's calibration before the source's corpora.

    Raises
    ------
    AccessError
        If the labels asked for are not granted, or the source's classes are not the target's.
    """
    calibration = access.calibration
    sources = source_grants(access)
    has_calibration = calibration is not None and calibration.y is not None
    has_source = bool(sources) and all(grant.y is not None for grant in sources)
    which = config.finetune_on
    if which == "auto":
        which = "calibration" if has_calibration else "source"
    grants: list[Grant] = []
    if which in ("calibration", "both"):
        if not has_calibration:
            raise AccessError(
                f"finetune_on={config.finetune_on!r} needs calibration labels, which protocol "
                f"{access.protocol!r} does not grant (it grants {', '.join(access.grants)}). "
                "Use 'pretrain-finetune' or 'cross-corpus/calibrated', or finetune_on='source'."
            )
        assert calibration is not None
        grants.append(calibration)
    if which in ("source", "both"):
        if not has_source:
            raise AccessError(
                "Method 'emod' fine-tunes on calibration or source labels; protocol "
                f"{access.protocol!r} grants {', '.join(access.grants) or 'nothing'}. Use a "
                "protocol that grants labels, such as 'pretrain-finetune', "
                "'leave-one-subject-out' or 'cross-corpus/zero-shot'."
            )
        if not access.same_task:
            raise AccessError(
                f"EMOD can't learn the target's classes ({', '.join(access.classes)}) from source "
                f"labels of other classes ({', '.join(access.source_classes or ())}) under "
                f"protocol {access.protocol!r}. Use a protocol that grants calibration labels, or "
                "give all corpora one class scheme."
            )
        grants.extend(sources)
    return grants


def check_windows(windows: Windows) -> float:
    """Refuse windows that EMOD can't read, by what is known without their values.

    Parameters
    ----------
    windows : Windows
        Any windows.

    Returns
    -------
    float
        Their sampling rate in Hz.

    Raises
    ------
    ConfigError
        If they are features instead of signals, or have no sampling rate.
    """
    if windows.kind != "raw":
        raise ConfigError(
            "EMOD learns from signals: windows of kind 'raw', shape (n, n_channels, n_samples), "
            f"in volts. Received {windows.corpus} of kind {windows.kind!r}, shape "
            f"{windows.shape}. Prepare the corpora with the recipe 'emod' or 'emod-small'."
        )
    if windows.sfreq is None:
        raise ConfigError(
            f"EMOD needs the sampling rate of the windows of {windows.corpus}, which have none. "
            "Pass windows of corpora of different rates as a list, not joined."
        )
    return windows.sfreq


def check_volts(windows: Windows) -> None:
    """Refuse signals that were scaled, or are not in volts, by a look at the first windows.

    Parameters
    ----------
    windows : Windows
        Signals.

    Raises
    ------
    ConfigError
        If they vary by more than 10 mV.
    """
    if not len(windows):
        return
    few = windows.batch(np.arange(min(8, len(windows))))
    # What is not finite is refused where batches are read.
    spread = float(np.median(few.std(axis=-1))) if np.isfinite(few).all() else 0.0
    if spread > _MOST_VOLTS:
        raise ConfigError(
            f"The windows of {windows.corpus} vary by {spread:.3g} (SD): EMOD takes volts, which "
            "vary by about 1e-5 there. If they were scaled, pass scaling='none' to make_folds or "
            "in the task (EMOD normalises by itself); if they are microvolts, divide them by 1e6."
        )


def head_kind(config: EMODConfig, grants: Sequence[Grant]) -> str:
    """Resolve ``head="released"``: the head that the released code has for the first corpus."""
    if config.head != "released":
        return config.head
    return _HEAD_OF_CORPUS.get(str(grants[0].windows.corpus), "pooled")


def check_head(kind: str, grants: Sequence[Grant]) -> None:
    """Refuse corpora of several shapes for a head that is made for one.

    Parameters
    ----------
    kind : str
        Of `affectrum.methods.emod.heads.make_head`.
    grants : sequence of Grant
        What is learnt from.

    Raises
    ------
    ConfigError
        If electrodes or seconds differ and the head minds.
    """
    if kind in ("linear", "normalised", "pooled"):
        return
    shapes = {
        (
            str(grant.windows.corpus),
            grant.windows.shape[1],
            round(grant.windows.shape[2] / check_windows(grant.windows), 3),
        )
        for grant in grants
    }
    if len({shape[1:] for shape in shapes}) > 1:
        listed = "; ".join(f"{name} {n} x {s:g} s" for name, n, s in sorted(shapes))
        raise ConfigError(
            f"head={kind!r} is made for one number of electrodes and one length; the windows to "
            f"learn from have several ({listed}). Use head='linear' or 'pooled'."
        )


@dataclass(frozen=True)
class Piece:
    """Some windows of one corpus, in memory.

    Attributes
    ----------
    part : int
        Which corpus of the pool.
    x : ndarray, shape (n, n_channels, n_samples), float32
        Volts.
    rows : ndarray of int64, shape (n,)
        Their positions in the pool.
    """

    part: int
    x: NDArray[np.float32]
    rows: NDArray[np.int64]


class WindowPool:
    """Windows of one or more corpora, numbered through; nothing is read before it is asked for.

    Parameters
    ----------
    parts : sequence of Windows
        Signals; electrodes, rates and lengths may differ.
    at_once : sequence of int
        For each part, how many windows a piece holds at most.

    Attributes
    ----------
    rates : tuple of float
        Sampling rate of each part in Hz.

    Raises
    ------
    ConfigError
        If a part can't be read by EMOD.
    """

    def __init__(self, parts: Sequence[Windows], at_once: Sequence[int]) -> None:
        self.parts = tuple(parts)
        self.rates = tuple(check_windows(part) for part in self.parts)
        self.at_once = tuple(at_once)
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, rows: NDArray[np.int64]) -> list[Piece]:
        """Read a batch.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Positions in the pool.

        Returns
        -------
        list of Piece
            Corpus by corpus, in the order of `rows` within each.

        Raises
        ------
        ConfigError
            If a window holds NaN or Inf.
        """
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        pieces = []
        for part in np.unique(owner):
            mine = rows[owner == part]
            step = self.at_once[part]
            for start in range(0, len(mine), step):
                chosen = mine[start : start + step]
                x = self.parts[part].batch(chosen - self.starts[part])
                if not np.isfinite(x).all():
                    bad = int((~np.isfinite(x).all(axis=(1, 2))).sum())
                    raise ConfigError(
                        f"{bad} of {len(x)} windows of {self.parts[part].corpus} hold NaN or Inf; "
                        "EMOD needs finite values. Leave out windows marked as artefacts."
                    )
                pieces.append(Piece(int(part), x, chosen))
        return pieces

    def in_order(self) -> Iterator[Piece]:
        """Read all windows, piece by piece, as they stand."""
        for part, windows in enumerate(self.parts):
            start, step = int(self.starts[part]), self.at_once[part]
            for first in range(0, len(windows), step):
                last = min(first + step, len(windows))
                yield from self.read(np.arange(start + first, start + last, dtype=np.int64))


def ahead(items: Iterable[_Item]) -> Iterator[_Item]:
    """Make each item in a thread of its own while the one before it is used.

    Parameters
    ----------
    items : iterable
        What to go through; its errors are raised where its item is asked for.

    Yields
    ------
    object
        The items in their order.
    """
    source = iter(items)
    nothing = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, source, nothing)
        while (item := coming.result()) is not nothing:
            coming = thread.submit(next, source, nothing)
            yield item  # type: ignore[misc]


def now_and_then(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    """Pass a step's number on, at most once a second and at the end: steps may be very short.

    Parameters
    ----------
    progress : callable or None
        Called as ``progress(stage, done, total)``.
    stage : str
        Name of the stage.

    Returns
    -------
    callable or None
        To be called as ``report(done, total)``.
    """
    if progress is None:
        return None
    last = -1.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 1.0 or done == total:
            last = now
            progress(stage, done, total)

    return report
