"""Batch normalisation, max pooling and ReLU in one pass, with their gradient written out.

On maps as small as SCMM's, the operations between two matrix products cost as much as the products
when each is a pass of its own. Results and gradients are those of ``nn.BatchNorm1d``, ``nn.ReLU``
and ``nn.MaxPool1d(2, stride=2, padding=1)``. The statistics are torch's cascaded sums: its own
kernel for this layout adds thousands of rows one by one, which costs a digit in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

__all__ = ["normalise_pool_relu"]


def _row_sums(x: torch.Tensor) -> torch.Tensor:
    """Sum (n, length, channels) over its first two axes, shape (channels,)."""
    return x.flatten(0, 1).sum(dim=0)


def _pool_relu(maps: torch.Tensor) -> torch.Tensor:
    """Max pooling with one padded place at each end, then ReLU: they commute.

    The first value stands alone, then come pairs, and for an even length the last stands alone.
    """
    n, length, n_channels = maps.shape
    pooled = maps.new_empty(n, length // 2 + 1, n_channels)
    n_pairs = (length - 1) // 2
    pooled[:, 0] = maps[:, 0]
    torch.maximum(
        maps[:, 1 : 2 * n_pairs : 2],
        maps[:, 2 : 2 * n_pairs + 1 : 2],
        out=pooled[:, 1 : n_pairs + 1],
    )
    if length % 2 == 0:
        pooled[:, -1] = maps[:, -1]
    return pooled.clamp_(min=0)


class _NormalisePoolReLU(torch.autograd.Function):
    """Training mode: statistics of this batch."""

    @staticmethod
    def forward(
        ctx: Any, maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        n_rows = maps.shape[0] * maps.shape[1]
        mean = _row_sums(maps) / n_rows
        centered = maps - mean
        variance = _row_sums(centered.square()) / n_rows
        scale = torch.rsqrt(variance + eps)
        normal = torch.addcmul(bias, centered, weight * scale)
        pooled = _pool_relu(normal)
        ctx.save_for_backward(centered, normal, pooled, weight, scale)
        ctx.mark_non_differentiable(mean, variance)
        return pooled, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        centered, normal, pooled, weight, scale = ctx.saved_tensors
        length = normal.shape[1]
        n_rows = normal.shape[0] * length
        n_pairs = (length - 1) // 2
        passed = gradients[0] * (pooled > 0)
        down = torch.empty_like(normal)
        down[:, 0] = passed[:, 0]
        left = slice(1, 2 * n_pairs, 2)
        right = slice(2, 2 * n_pairs + 1, 2)
        if n_pairs:
            of_pairs = passed[:, 1 : n_pairs + 1]
            # equal neighbours: the gradient goes to the left one, as in torch's pooling
            goes_left = normal[:, left] >= normal[:, right]
            to_left = of_pairs * goes_left
            down[:, left] = to_left
            torch.sub(of_pairs, to_left, out=down[:, right])
        if length % 2 == 0:
            down[:, -1] = passed[:, -1]

        bias_gradient = _row_sums(down)
        along = _row_sums(down * centered)
        weight_gradient = along * scale
        # d/dmaps of weight * (maps - mean) / sd, with mean and sd moving with the maps
        gain = weight * scale
        inner = torch.addcmul(bias_gradient / n_rows, centered, scale.square() * along / n_rows)
        return down.sub_(inner).mul_(gain), weight_gradient, bias_gradient, None


def normalise_pool_relu(maps: torch.Tensor, normalisation: nn.BatchNorm1d) -> torch.Tensor:
    """Normalise, pool and rectify maps.

    Parameters
    ----------
    maps : torch.Tensor, shape (n, length, channels)
        Convolved maps.
    normalisation : nn.BatchNorm1d
        Holds scale, shift and running statistics, which move in its training mode.

    Returns
    -------
    torch.Tensor, shape (n, length // 2 + 1, channels)
        Pooled maps, at least 0.
    """
    if not normalisation.training:
        flat = normalisation(maps.flatten(0, 1)).view_as(maps)
        if torch.is_grad_enabled() and flat.requires_grad:
            return _differentiable_pool(flat)
        return _pool_relu(flat)
    apply: Any = _NormalisePoolReLU.apply
    outputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = apply(
        maps, normalisation.weight, normalisation.bias, normalisation.eps
    )
    pooled, mean, variance = outputs
    n_rows = maps.shape[0] * maps.shape[1]
    with torch.no_grad():
        counter = normalisation.num_batches_tracked
        running_mean, running_var = normalisation.running_mean, normalisation.running_var
        momentum = normalisation.momentum
        if counter is not None and running_mean is not None and running_var is not None:
            counter.add_(1)
            share = 0.1 if momentum is None else momentum
            running_mean.lerp_(mean.to(running_mean.dtype), share)
            unbiased = variance * (n_rows / max(1, n_rows - 1))
            running_var.lerp_(unbiased.to(running_var.dtype), share)
    return pooled


def _differentiable_pool(maps: torch.Tensor) -> torch.Tensor:
    """Same as `_pool_relu`, for the rare gradient through an encoder in evaluation mode."""
    pooled = nn.functional.max_pool1d(maps.transpose(1, 2), 2, stride=2, padding=1)
    return pooled.transpose(1, 2).relu()
