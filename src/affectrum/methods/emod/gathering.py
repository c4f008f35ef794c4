"""Rows of all processes, with gradients: every window meets the negatives of every process."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch.autograd.function import once_differentiable

__all__ = ["gather_rows"]


def gather_rows(tensor: torch.Tensor) -> torch.Tensor:
    """Join the rows of all processes, in the order of their ranks.

    The backward pass adds up what all processes want of these rows. So if each process computes the
    mean loss over all gathered rows, and the gradients of parameters are averaged over processes
    (as DistributedDataParallel does), they are those of one process with the whole batch.

    Parameters
    ----------
    tensor : torch.Tensor, shape (n, ...)
        This process's rows; other processes may have another n, but the same further shape and
        type. Each process has to call this.

    Returns
    -------
    torch.Tensor, shape (sum of n, ...)
        The rows of all processes; `tensor` itself if there is no process group, or one process.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return tensor
    if tensor.requires_grad:
        gathered: torch.Tensor = _Gather.apply(tensor)  # type: ignore[no-untyped-call]
        return gathered
    return _gather(tensor)[0]


def _gather(tensor: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Rows of all processes, and where one's own begin."""
    world, rank = dist.get_world_size(), dist.get_rank()
    own = torch.tensor([len(tensor)], device=tensor.device)
    lengths = [torch.zeros_like(own) for _ in range(world)]
    dist.all_gather(lengths, own)
    counts = [int(length) for length in lengths]
    longest = max(counts)
    padded = tensor.detach().contiguous()
    if len(padded) < longest:
        rest = padded.new_zeros((longest - len(padded), *padded.shape[1:]))
        padded = torch.cat([padded, rest])
    rows = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(rows, padded)
    joined = torch.cat([part[:count] for part, count in zip(rows, counts, strict=True)])
    return joined, sum(counts[:rank])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        joined, ctx.start = _gather(tensor)
        ctx.n = len(tensor)
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        # float32: not every back end adds half-precision numbers, and sums need the digits
        wide = torch.promote_types(upstream.dtype, torch.float32)
        total = upstream.to(wide, copy=True).contiguous()
        dist.all_reduce(total)
        own = total[ctx.start : ctx.start + ctx.n]
        return own.to(upstream.dtype)
