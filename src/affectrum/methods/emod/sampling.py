"""Which windows form a pre-training batch: equally many of each corpus and region of the plane.

Samplers are stateless: a batch follows from the seed and the number of its step alone, so a run
that was stopped within an epoch goes on with the same batches, and every process of several knows
the whole batch and takes its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option

__all__ = [
    "N_REGIONS",
    "REGION_ORDERS",
    "CorpusSampler",
    "RandomCorpusSampler",
    "RegionOrder",
    "RegionSampler",
    "share",
    "share_bounds",
]

N_REGIONS = 9
RegionOrder = Literal["reset", "carried"]
REGION_ORDERS: tuple[str, ...] = get_args(RegionOrder)


class CorpusSampler(Protocol):
    """What pre-training needs of a sampler."""

    n_batches: int
    """Batches per epoch."""

    def batch(self, step: int) -> list[NDArray[np.int64]]:
        """Positions of one batch, an array for each corpus, by the step's number from 0."""
        ...


class RegionSampler:
    """As many windows of each corpus and of each of the nine regions of the plane.

    A batch is made of rounds; a round takes one window from each region of each corpus, drawn
    uniformly and with replacement (arXiv:2511.05863 and its code). Where a corpus has no window in
    a region, the next region that has one stands in (8 is followed by 0).

    Parameters
    ----------
    regions : sequence of ndarray of int, shape (n_windows_of_corpus,)
        Region of each window of each corpus, 0 to 8 (see `affectrum.affect.emod_regions`); windows
        of region -1 are never drawn.
    per_region : int
        Rounds: windows per corpus, region and batch.
    seed : int
        Seed of the draws.
    order : {"reset", "carried"}
        ``reset``: each corpus starts from the region whose turn it is. ``carried``: it starts where
        the corpus before it ended up, as in the released code; then some corpora never give windows
        of regions they have. The order of the corpora matters only here.

    Attributes
    ----------
    n_batches : int
        Batches per epoch, such that windows are drawn about once each: the mean number of windows
        per corpus, divided by 9 * `per_region`, rounded down; at least 1.

    Raises
    ------
    ConfigError
        If there is no corpus, a corpus has no window with a region, or a number is not allowed.
    """

    def __init__(
        self,
        regions: Sequence[NDArray[np.int64]],
        per_region: int,
        seed: int,
        *,
        order: RegionOrder = "reset",
    ) -> None:
        check_option("order", order, REGION_ORDERS)
        drawable, n_batches = _drawable(regions, per_region)
        self.per_region = per_region
        self.seed = seed
        self.order = order
        self.n_batches = n_batches
        self._positions: list[NDArray[np.int64]] = []
        self._starts: list[NDArray[np.int64]] = []
        self._counts: list[NDArray[np.int64]] = []
        turn = np.arange(N_REGIONS)
        for corpus, rows in zip(regions, drawable, strict=True):
            own = np.asarray(corpus)[rows]
            # all windows by region, and where each region begins
            by_region = rows[np.argsort(own, kind="stable")]
            counts = np.bincount(own, minlength=N_REGIONS)
            begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
            first = turn if order == "carried" else np.arange(N_REGIONS)
            taken = _next_filled(counts > 0)[first]
            turn = taken
            self._positions.append(by_region)
            self._starts.append(np.tile(begins[taken], per_region))
            self._counts.append(np.tile(counts[taken], per_region))

    def batch(self, step: int) -> list[NDArray[np.int64]]:
        """Draw one batch.

        Parameters
        ----------
        step : int
            Number of the batch, from 0, counted over all epochs.

        Returns
        -------
        list of ndarray of int64, shape (9 * per_region,)
            Positions in each corpus, round by round, region by region.
        """
        drawn = []
        for number, positions in enumerate(self._positions):
            rng = np.random.default_rng([self.seed, step, number])
            place = rng.integers(0, self._counts[number])
            drawn.append(positions[self._starts[number] + place])
        return drawn


class RandomCorpusSampler:
    """Windows as they come: each corpus by its size, whatever their regions.

    Each corpus gives the same number of windows to every batch, in proportion to its size but at
    least two (batch normalisation can't learn from one), and together as many as `RegionSampler`
    gives. Each window of a corpus comes once before any comes again.

    Parameters
    ----------
    regions : sequence of ndarray of int, shape (n_windows_of_corpus,)
        As for `RegionSampler`: windows of region -1 are never drawn, so that both draw from the
        same windows.
    per_region : int
        Sets the size of a batch: 9 * `per_region` times the number of corpora.
    seed : int
        Seed of the order.

    Attributes
    ----------
    n_batches : int
        Batches per epoch, as for `RegionSampler`.

    Raises
    ------
    ConfigError
        If there is no corpus, a corpus has no window with a region, or a number is not allowed.
    """

    def __init__(self, regions: Sequence[NDArray[np.int64]], per_region: int, seed: int) -> None:
        self._positions, self.n_batches = _drawable(regions, per_region)
        self.per_region = per_region
        self.seed = seed
        sizes = np.array([len(rows) for rows in self._positions])
        total = N_REGIONS * per_region * len(sizes)
        self.counts = _in_proportion(sizes, total, at_least=2)
        self._passes: dict[tuple[int, int], NDArray[np.int64]] = {}

    def batch(self, step: int) -> list[NDArray[np.int64]]:
        """Draw one batch.

        Parameters
        ----------
        step : int
            Number of the batch, from 0, counted over all epochs.

        Returns
        -------
        list of ndarray of int64
            Positions in each corpus; as many each time.
        """
        drawn = []
        for number, (positions, count) in enumerate(zip(self._positions, self.counts, strict=True)):
            wanted = step * int(count) + np.arange(count)
            which, place = np.divmod(wanted, len(positions))
            parts = [
                self._order(number, int(turn))[place[which == turn]] for turn in np.unique(which)
            ]
            drawn.append(positions[np.concatenate(parts)])
        return drawn

    def _order(self, number: int, turn: int) -> NDArray[np.int64]:
        key = (number, turn)
        order = self._passes.get(key)
        if order is None:
            for old in list(self._passes):
                if old[0] == number and old[1] != turn - 1:
                    self._passes.pop(old, None)
            rng = np.random.default_rng([self.seed, number, turn])
            order = self._passes[key] = rng.permutation(len(self._positions[number]))
        return order


def share(
    batch: Sequence[NDArray[np.int64]], rank: int, world_size: int
) -> list[NDArray[np.int64]]:
    """Take one process's rows of a batch.

    Parameters
    ----------
    batch : sequence of ndarray of int
        The whole batch, an array for each corpus.
    rank, world_size : int
        Number of the process, from 0, and how many there are.

    Returns
    -------
    list of ndarray of int
        A run of rows of each corpus. Those of all ranks, joined in order, are the whole batch;
        their lengths differ by at most one.

    Raises
    ------
    ConfigError
        If there is no such rank.
    """
    return [rows[slice(*share_bounds(len(rows), rank, world_size))] for rows in batch]


def share_bounds(n: int, rank: int, world_size: int) -> tuple[int, int]:
    """Find a process's share of rows.

    Parameters
    ----------
    n : int
        Rows in all.
    rank, world_size : int
        Number of the process, from 0, and how many there are.

    Returns
    -------
    tuple of int
        Its first row, and the one behind its last.

    Raises
    ------
    ConfigError
        If there is no such rank.
    """
    if not 0 <= rank < world_size:
        raise ConfigError(
            f"'rank' must be 0 to world_size - 1; received {rank} of {world_size} processes."
        )
    return n * rank // world_size, n * (rank + 1) // world_size


def _drawable(
    regions: Sequence[NDArray[np.int64]], per_region: int
) -> tuple[list[NDArray[np.int64]], int]:
    """Positions with a region in each corpus, and the batches of an epoch."""
    if per_region < 1:
        raise ConfigError(f"'per_region' must be at least 1; received {per_region!r}.")
    if not len(regions):
        raise ConfigError("There is no corpus to draw windows from; expected at least one.")
    drawable = []
    for number, corpus in enumerate(regions):
        own = np.asarray(corpus)
        if own.ndim != 1 or own.dtype.kind not in "iu":
            raise ConfigError(
                f"Regions of corpus {number} have shape {own.shape} and type {own.dtype}; expected "
                "one whole number a window."
            )
        if len(own) and (own.min() < -1 or own.max() >= N_REGIONS):
            raise ConfigError(
                f"Regions of corpus {number} go from {own.min()} to {own.max()}; allowed are 0 to "
                "8, and -1 for windows without a place in the plane."
            )
        rows = np.flatnonzero(own >= 0)
        if not len(rows):
            raise ConfigError(
                f"None of the {len(own)} windows of corpus {number} has a place in the plane of "
                "valence and arousal. Leave the corpus out, or give it a table that places its "
                "words."
            )
        drawable.append(rows)
    total = sum(len(rows) for rows in drawable)
    return drawable, max(1, total // len(drawable) // (N_REGIONS * per_region))


def _next_filled(filled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each region the first filled one from it on, around the end."""
    ahead = (np.arange(N_REGIONS)[:, None] + np.arange(N_REGIONS)) % N_REGIONS
    taken: NDArray[np.int64] = ahead[np.arange(N_REGIONS), filled[ahead].argmax(axis=1)]
    return taken


def _in_proportion(sizes: NDArray[np.int64], total: int, at_least: int) -> NDArray[np.int64]:
    """Whole numbers in proportion to sizes that add up to a total (largest remainders)."""
    free = total - at_least * len(sizes)
    exact = free * sizes / sizes.sum()
    counts = np.floor(exact).astype(np.int64)
    short = free - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    result: NDArray[np.int64] = counts + at_least
    return result
