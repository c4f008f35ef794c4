"""Shares of a pass over pieces, one per processor thread.

Pieces fit one core's cache, so two cores do best with a piece each. Torch's own threads would split
every operation of every piece and wait for each other hundreds of times per pass.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["in_shares"]

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")


@functools.lru_cache(maxsize=4)
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Return threads of this process in which torch uses one thread."""
    here = torch.get_num_threads()
    pool = ThreadPoolExecutor(n_threads, "emod", initializer=torch.set_num_threads, initargs=(1,))
    everyone = threading.Barrier(n_threads)  # each thread starts, and sets its own number
    list(pool.map(lambda _: everyone.wait(), range(n_threads)))
    torch.set_num_threads(here)
    return pool


def in_shares(
    pieces: Sequence[Piece], work: Callable[[Sequence[Piece]], Answer], device: torch.device
) -> list[Answer]:
    """Call a function on shares of pieces, side by side where torch may use several threads.

    Parameters
    ----------
    pieces : sequence
        What there is to do; the pieces write to places of their own.
    work : callable
        Takes some of the pieces, in order. It runs without gradients, outside autocast, and must
        keep its own sums and buffers.
    device : torch.device
        Where the tensors are; elsewhere than on a CPU there is one share.

    Returns
    -------
    list
        What each call returned, in the order of the pieces. The split follows from
        ``torch.get_num_threads()`` alone, so sums over the answers are repeatable.
    """
    n_shares = min(torch.get_num_threads(), len(pieces)) if device.type == "cpu" else 1
    inference = torch.is_inference_mode_enabled()

    def one(share: Sequence[Piece]) -> Answer:
        with torch.inference_mode(inference), torch.no_grad():
            return work(share)

    if n_shares <= 1:
        return [one(pieces)]
    cuts = [i * len(pieces) // n_shares for i in range(n_shares + 1)]
    shares = [pieces[first:stop] for first, stop in itertools.pairwise(cuts)]
    return list(_pool(os.getpid(), torch.get_num_threads()).map(one, shares))
