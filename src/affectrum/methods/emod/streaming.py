"""Batches of several corpora from their memory maps, read while the network trains."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from affectrum.affect import emod_regions, plane_to_emod
from affectrum.errors import ConfigError, check_option
from affectrum.methods.emod.augment import AUGMENTATIONS, Augmentation, augment
from affectrum.methods.emod.sampling import CorpusSampler, share_bounds
from affectrum.windows import Windows

__all__ = ["CorpusBatch", "WindowStream"]


@dataclass(frozen=True)
class CorpusBatch:
    """One corpus's windows of a batch.

    Attributes
    ----------
    x : torch.Tensor, shape (n, n_channels, n_samples)
        float32, volts.
    channels : tuple of str
        Electrode names.
    sfreq : float
        Sampling rate, Hz.
    va : torch.Tensor, shape (n, 2)
        float32, valence and arousal on -4..4.
    region : torch.Tensor of int64, shape (n,)
        Region of the plane, 0 to 8.
    rows : ndarray of int64, shape (n,)
        Positions in the corpus's windows.
    second : torch.Tensor or None
        Another view of the same windows, for instance discrimination.
    """

    x: torch.Tensor
    channels: tuple[str, ...]
    sfreq: float
    va: torch.Tensor
    region: torch.Tensor
    rows: NDArray[np.int64]
    second: torch.Tensor | None = None


class WindowStream:
    """Batches of several corpora, read in the background.

    Corpora keep their own electrodes, rates and lengths. Only the rows of the batches that are
    being read, waiting or in use are in memory; a corpus on disk may be larger than memory.

    Parameters
    ----------
    parts : sequence of Windows
        One for each corpus, kind "raw" (volts); memory-mapped or not.
    va : sequence of ndarray, shape (n_windows_of_corpus, 2)
        Valence and arousal of each window on -1..1; NaN where not known.
    sampler : CorpusSampler
        Which rows form a batch; asked from several threads.
    prefetch : int
        Batches read ahead, each by a thread of its own; 0 reads when asked.
    rank, world_size : int
        This process's number and how many there are: it reads its share of each batch only.
    augmentation : {"none", "released", "views"}
        What is done to windows; see `affectrum.methods.emod.augment`.
    two_views : bool
        Also give a second view of each window, with draws of its own.
    seed : int
        Seed of the augmentation.
    device : torch.device, str or None
        Where tensors are put; None leaves them in main memory.

    Raises
    ------
    ConfigError
        If the parts are not raw windows with a known rate, or lengths don't fit.
    """

    def __init__(
        self,
        parts: Sequence[Windows],
        va: Sequence[NDArray[np.floating]],
        sampler: CorpusSampler,
        *,
        prefetch: int = 2,
        rank: int = 0,
        world_size: int = 1,
        augmentation: Augmentation = "none",
        two_views: bool = False,
        seed: int = 0,
        device: torch.device | str | None = None,
    ) -> None:
        check_option("augmentation", augmentation, AUGMENTATIONS)
        _check_parts(parts, va)
        if prefetch < 0:
            raise ConfigError(f"'prefetch' must be at least 0; received {prefetch!r}.")
        share_bounds(world_size, rank, world_size)  # refuses a rank that does not exist
        self.parts = tuple(parts)
        self.sampler = sampler
        self.prefetch = prefetch
        self.rank = rank
        self.world_size = world_size
        self.augmentation: Augmentation = augmentation
        self.two_views = two_views
        self.seed = seed
        self.device = None if device is None else torch.device(device)
        self._va = [plane_to_emod(points).astype(np.float32) for points in va]
        self._regions = [emod_regions(points) for points in va]

    def batches(self, start: int, stop: int) -> Iterator[list[CorpusBatch]]:
        """Give the batches of steps `start` to `stop` - 1.

        Parameters
        ----------
        start, stop : int
            Steps, counted from 0 over all epochs. A resumed run starts in the middle.

        Yields
        ------
        list of CorpusBatch
            This process's share, one entry for each corpus, in the order of `parts`.

        Raises
        ------
        Exception
            Whatever reading a batch raised, when its turn comes.
        """
        if self.prefetch == 0:
            for step in range(start, stop):
                yield self._to_device(self.read(step))
            return
        # one thread a batch: copying and noise run beside each other on a machine of many cores
        reader = ThreadPoolExecutor(max_workers=self.prefetch, thread_name_prefix="windows")
        waiting: deque[Future[list[CorpusBatch]]] = deque()
        try:
            for step in range(start, min(stop, start + self.prefetch)):
                waiting.append(reader.submit(self.read, step))
            for step in range(start, stop):
                batch = waiting.popleft().result()
                if step + self.prefetch < stop:
                    waiting.append(reader.submit(self.read, step + self.prefetch))
                yield self._to_device(batch)
        finally:
            reader.shutdown(wait=True, cancel_futures=True)

    def read(self, step: int) -> list[CorpusBatch]:
        """Read one batch now, into main memory.

        Parameters
        ----------
        step : int
            Number of the batch.

        Returns
        -------
        list of CorpusBatch
            This process's share.
        """
        return [
            self._read_part(number, step, rows)
            for number, rows in enumerate(self.sampler.batch(step))
        ]

    def _read_part(self, number: int, step: int, whole: NDArray[np.int64]) -> CorpusBatch:
        part = self.parts[number]
        first, stop = share_bounds(len(whole), self.rank, self.world_size)
        rows = whole[first:stop]
        x = part.batch(rows)
        second = None
        if self.two_views:
            second = augment(x.copy(), self.augmentation, (self.seed, step, number, 1), first)
        augment(x, self.augmentation, (self.seed, step, number, 0), first)
        assert part.sfreq is not None
        return CorpusBatch(
            x=self._tensor(x),
            channels=part.channels,
            sfreq=part.sfreq,
            va=self._tensor(self._va[number][rows]),
            region=self._tensor(self._regions[number][rows]),
            rows=rows,
            second=None if second is None else self._tensor(second),
        )

    def _tensor(self, array: NDArray[np.generic]) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        pinned = self.device is not None and self.device.type == "cuda"
        return tensor.pin_memory() if pinned else tensor

    def _to_device(self, batch: list[CorpusBatch]) -> list[CorpusBatch]:
        if self.device is None or self.device.type == "cpu":
            return batch
        there = self.device
        return [
            replace(
                part,
                x=part.x.to(there, non_blocking=True),
                va=part.va.to(there, non_blocking=True),
                region=part.region.to(there, non_blocking=True),
                second=None if part.second is None else part.second.to(there, non_blocking=True),
            )
            for part in batch
        ]


def _check_parts(parts: Sequence[Windows], va: Sequence[NDArray[np.floating]]) -> None:
    if not len(parts) or len(parts) != len(va):
        raise ConfigError(
            f"Expected one array of valence and arousal for each corpus; received {len(va)} for "
            f"{len(parts)} corpora."
        )
    faults = []
    for part, points in zip(parts, va, strict=True):
        if part.kind != "raw":
            faults.append(f"{part.corpus}: windows are of kind {part.kind!r}; expected 'raw'")
        if part.sfreq is None:
            faults.append(f"{part.corpus}: the sampling rate is not known")
        if np.shape(points) != (len(part), 2):
            faults.append(
                f"{part.corpus}: valence and arousal have shape {np.shape(points)}; expected "
                f"({len(part)}, 2)"
            )
    if faults:
        lines = "".join(f"\n  - {fault}" for fault in faults)
        raise ConfigError(f"These corpora can't be streamed.{lines}")
