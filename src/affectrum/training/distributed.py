"""Training by several processes: joining them, and what they share in each step.

Each process takes its share of every batch. So that together they compute what one process would
compute with the whole batch, batch normalisation takes its statistics over all processes
(`GlobalBatchNorm1d`; torch's own form needs a graphics processor), a loss over pairs gathers the
rows of all, and gradients are averaged (`average_gradients`), as DistributedDataParallel does it.
Gradients of a few megabytes travel in one message after the backward pass.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.function import once_differentiable

from affectrum.errors import ConfigError

__all__ = [
    "GlobalBatchNorm1d",
    "Processes",
    "average_gradients",
    "broadcast",
    "current_processes",
    "join_processes",
    "normalise_globally",
    "pick_device",
    "unlike_first",
]


# How long a process waits for the others. They join before windows are prepared, which takes hours
# on a machine whose store is empty; torch's 10 (NCCL) or 30 minutes would end all others by then.
_PATIENCE = timedelta(hours=12)


def pick_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    ConfigError
        If CUDA is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda', but torch finds no CUDA device; use 'cpu' or 'auto'.")
    return torch.device(name)


@dataclass(frozen=True)
class Processes:
    """A process among those that train one model.

    Attributes
    ----------
    rank : int
        Its number, from 0; process 0 writes checkpoints and reports.
    world_size : int
        How many there are, on all machines.
    local_rank : int
        Its number on its machine, which is that of its graphics processor.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process reports and writes."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """Turn ``auto``, ``cpu`` or ``cuda`` into this process's device.

        Raises
        ------
        ConfigError
            If there is no such device, or more processes than graphics processors.
        """
        device = pick_device(name)
        if device.type != "cuda" or self.world_size == 1:
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"Process {self.local_rank} of this machine has no graphics processor: torch finds "
                f"{torch.cuda.device_count()}. Start at most as many processes (torchrun "
                "--nproc-per-node), or compute with device='cpu'."
            )
        return torch.device("cuda", self.local_rank)


def current_processes() -> Processes:
    """Return this process's place in torch's process group; alone without one."""
    if not (dist.is_available() and dist.is_initialized()):
        return Processes()
    rank = dist.get_rank()
    return Processes(rank, dist.get_world_size(), int(os.environ.get("LOCAL_RANK", rank)))


@contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started; does nothing where it did not.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where to compute; processes talk through NCCL on graphics processors, else through Gloo.
        They wait for each other for up to twelve hours.

    Yields
    ------
    Processes
        This one's place among them.

    Raises
    ------
    ConfigError
        If there is no such device.
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ
    if not started or not dist.is_available() or dist.is_initialized():
        yield current_processes()
        return
    place = Processes(
        int(os.environ["RANK"]),
        int(os.environ["WORLD_SIZE"]),
        int(os.environ.get("LOCAL_RANK", "0")),
    )
    chosen = place.device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield place
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Put the mean of all processes' gradients in the place of each gradient.

    Parameters
    ----------
    parameters : iterable of Parameter
        The same on all processes, in one order. Where a parameter has no gradient it counts 0.
    """
    place = current_processes()
    if place.world_size == 1:
        return
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    flat = torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).float() for p in trained]
    )
    dist.all_reduce(flat)
    flat /= place.world_size
    parts = torch.split(flat, [parameter.numel() for parameter in trained])
    for parameter, part in zip(trained, parts, strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype)


def broadcast(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrite tensors with those of process 0, in place; all processes call this.

    Parameters
    ----------
    tensors : iterable of torch.Tensor
        As many, of the same shapes and types, in each process.
    """
    place = current_processes()
    if place.world_size == 1:
        return
    for tensor in tensors:
        # NCCL sends from graphics processors only; an optimizer keeps its step on the CPU
        away = dist.get_backend() == "nccl" and not tensor.is_cuda
        sent = tensor.cuda(place.local_rank) if away else tensor.contiguous()
        dist.broadcast(sent, 0)
        if sent is not tensor:
            tensor.copy_(sent)


def unlike_first(facts: Mapping[str, str]) -> dict[str, list[int]]:
    """Compare texts of all processes with those of process 0; all processes call this.

    Parameters
    ----------
    facts : mapping of str to str
        Texts by name; the same names in the same order in each process. Their digests travel.

    Returns
    -------
    dict of str to list of int
        For each name whose texts are not all the same: the processes whose text is another than
        that of process 0. The same in all processes.
    """
    place = current_processes()
    if place.world_size == 1:
        return {}
    # NCCL sends from graphics processors only
    device = f"cuda:{place.local_rank}" if dist.get_backend() == "nccl" else "cpu"
    digests = [list(hashlib.sha256(text.encode()).digest()) for text in facts.values()]
    own = torch.tensor(digests, dtype=torch.uint8, device=device)
    first = own.clone()
    broadcast([first])
    unlike = torch.zeros(len(facts), place.world_size, dtype=torch.int32, device=device)
    unlike[:, place.rank] = (own != first).any(dim=1).int()
    dist.all_reduce(unlike)
    found = {
        name: row.nonzero().flatten().tolist() for name, row in zip(facts, unlike, strict=True)
    }
    return {name: ranks for name, ranks in found.items() if ranks}


class GlobalBatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation whose statistics are those of the rows of all processes.

    In one process, or in evaluation mode, it is `torch.nn.BatchNorm1d`. In several, all of them
    have to call it alike, but with as many rows as they have, none included.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm1d) -> GlobalBatchNorm1d:
        """Make one that shares the parameters and statistics of another."""
        new = cls(
            norm.num_features,
            norm.eps,
            norm.momentum,
            norm.affine,
            norm.track_running_stats,
        )
        new._parameters.update(norm._parameters)
        new._buffers.update(norm._buffers)
        return new.train(norm.training)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise rows.

        Parameters
        ----------
        input : torch.Tensor, shape (n, num_features)
            This process's rows.

        Returns
        -------
        torch.Tensor, shape (n, num_features)
        """
        if not self.training or current_processes().world_size == 1:
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            x = input.to(torch.promote_types(input.dtype, torch.float32))
            count = _sum_over(x.new_full((1,), float(len(x))))
            mean = _sum_over(x.sum(dim=0)) / count
            centred = x - mean
            variance = _sum_over(centred.square().sum(dim=0)) / count
            if self.track_running_stats:
                self._follow(mean.detach(), (variance * count / (count - 1)).detach())
            normed = centred * torch.rsqrt(variance + self.eps)
            if self.affine:
                normed = torch.addcmul(self.bias, normed, self.weight)
        return normed.to(input.dtype)

    def _follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Update the running statistics as `torch.nn.BatchNorm1d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = self.momentum
        if weight is None:
            weight = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(variance.to(self.running_var.dtype), weight)


class _SumOver(torch.autograd.Function):
    """Sum over processes; its gradient is the sum of what all of them want."""

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        total = upstream.contiguous().clone()
        dist.all_reduce(total)
        return total


def _sum_over(tensor: torch.Tensor) -> torch.Tensor:
    summed: torch.Tensor = _SumOver.apply(tensor)  # type: ignore[no-untyped-call]
    return summed


def normalise_globally(head: nn.Module) -> None:
    """Let a head's batch normalisation, its ``norm``, see the rows of all processes.

    Parameters
    ----------
    head : nn.Module
        Changed in place; names and values of its state stay.
    """
    norm = getattr(head, "norm", None)
    if isinstance(norm, nn.BatchNorm1d) and not isinstance(norm, GlobalBatchNorm1d):
        head.norm = GlobalBatchNorm1d.of(norm)
