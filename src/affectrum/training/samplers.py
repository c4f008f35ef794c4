"""Which windows form which batch.

Both samplers are stateless: the batches of an epoch follow from the seed and the epoch's number.
Every window is in at least one batch of each epoch, and a batch holds no window twice; the last
batch is topped up with windows from the epoch's beginning.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option

__all__ = ["SAMPLERS", "BlockSampler", "RandomSampler", "Sampler", "SamplerName", "make_sampler"]

SamplerName = Literal["random", "blocks"]
SAMPLERS: tuple[str, ...] = get_args(SamplerName)


class Sampler(Protocol):
    """What a training loop needs of a sampler."""

    n_batches: int
    """Batches per epoch."""

    def batch(self, step: int) -> NDArray[np.int64]:
        """Window positions of the batch of step `step` (from 0, counted over all epochs)."""
        ...


class _EpochSampler:
    """Cuts an order of all windows, made anew for each epoch, into batches."""

    def __init__(self, n_windows: int, batch_size: int, seed: int) -> None:
        if n_windows < 1 or batch_size < 1:
            raise ConfigError(
                "A sampler needs at least one window and a batch size of at least 1; received "
                f"{n_windows} windows and batch_size={batch_size}."
            )
        self.n_windows = n_windows
        self.batch_size = min(batch_size, n_windows)
        self.n_batches = -(-n_windows // self.batch_size)
        self.seed = seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def order(self, epoch: int) -> NDArray[np.int64]:
        raise NotImplementedError

    def batch(self, step: int) -> NDArray[np.int64]:
        """Window positions of one batch, shape (batch_size,)."""
        epoch, position = divmod(step, self.n_batches)
        if epoch != self._epoch:
            order = self.order(epoch)
            short = self.n_batches * self.batch_size - self.n_windows
            self._order = np.concatenate([order, order[:short]])
            self._epoch = epoch
        start = position * self.batch_size
        return self._order[start : start + self.batch_size]


class RandomSampler(_EpochSampler):
    """All windows in random order.

    A random batch of 256 from 50,000 windows holds almost no two neighbours in time.

    Parameters
    ----------
    n_windows : int
        How many windows there are.
    batch_size : int
        Windows per batch; lowered to `n_windows` if that is smaller.
    seed : int
        Seed of the order.
    """

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Order of all windows in one epoch."""
        return np.random.default_rng([self.seed, epoch]).permutation(self.n_windows)


class BlockSampler(_EpochSampler):
    """Contiguous blocks of each trial, in random order.

    Trials are cut into blocks of `block` windows at a random offset per trial and epoch; the blocks
    are shuffled. So a batch holds runs of neighbours in time beside windows of other trials.

    Parameters
    ----------
    trials : ndarray of int, shape (n_windows,)
        Number of each window's trial, unique across subjects, sessions and corpora. Windows of a
        trial stand in time order.
    batch_size : int
        Windows per batch.
    seed : int
        Seed of offsets and order.
    block : int
        Windows per block.
    """

    def __init__(
        self, trials: NDArray[np.int64], batch_size: int, seed: int, block: int = 16
    ) -> None:
        super().__init__(len(trials), batch_size, seed)
        if block < 1:
            raise ConfigError(f"'block' counts windows, at least 1; received {block!r}.")
        self.block = block
        # windows by trial, in time order within it, wherever they stand in the array
        self._by_trial = np.argsort(trials, kind="stable").astype(np.int64)
        ordered = np.asarray(trials)[self._by_trial]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        lengths = np.diff(np.r_[starts, len(ordered)])
        self._trial = np.repeat(np.arange(len(starts)), lengths)
        self._place = np.arange(len(ordered)) - np.repeat(starts, lengths)
        self._n_trials = len(starts)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Order of all windows in one epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        offsets = rng.integers(0, self.block, size=self._n_trials)
        within = (self._place + offsets[self._trial]) // self.block
        new_block = np.r_[
            True,
            (np.diff(within) != 0) | (np.diff(self._trial) != 0),
        ]
        number = np.cumsum(new_block) - 1
        priority = rng.permutation(number[-1] + 1)
        return self._by_trial[np.argsort(priority[number], kind="stable")]


def make_sampler(
    name: SamplerName,
    trials: NDArray[np.int64],
    batch_size: int,
    seed: int,
    block: int = 16,
) -> Sampler:
    """Make a sampler by name.

    Parameters
    ----------
    name : {"random", "blocks"}
        Which one.
    trials : ndarray of int, shape (n_windows,)
        Trial of each window.
    batch_size, seed, block : int
        See `BlockSampler`.

    Returns
    -------
    Sampler
        The sampler.

    Raises
    ------
    ConfigError
        If the name is unknown or a size is not allowed.
    """
    check_option("sampler", name, SAMPLERS)
    if name == "blocks":
        return BlockSampler(trials, batch_size, seed, block)
    return RandomSampler(len(trials), batch_size, seed)
