"""Contrastive loss and aggregation in one step, with their gradient written out.

The aggregator's shares are the very probabilities of the contrastive loss, so one softmax serves
both; and the gradients of both meet in the same n x n matrix, so one pass and one product with z
serve both on the way back. Values and gradients are those of `soft_contrastive_loss` and
`aggregate`, which tests hold it to.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

__all__ = ["contrast_and_aggregate"]


class _ContrastAndAggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        z: torch.Tensor,
        values: torch.Tensor,
        weights: torch.Tensor,
        temperature: float,
        n_rebuilt: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n = len(z)
        logits = (z @ z.T).div_(temperature)
        row_weights = weights.sum(dim=1)
        weighted = (weights * logits).sum()
        logits.fill_diagonal_(float("-inf"))
        highest = logits.amax(dim=1, keepdim=True)
        shares = logits.sub_(highest).exp_()
        sums = shares.sum(dim=1, keepdim=True)
        shares.div_(sums)
        normaliser = (highest + sums.log()).squeeze(1)
        loss = (row_weights @ normaliser - weighted) / (n * (n - 1))
        rebuilt = shares[:n_rebuilt] @ values
        ctx.save_for_backward(z, values, weights, row_weights, shares, rebuilt)
        ctx.temperature = temperature
        return loss, rebuilt

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        of_loss, of_rebuilt = gradients
        z, values, weights, row_weights, shares, rebuilt = ctx.saved_tensors
        n, m = len(z), len(rebuilt)
        scale = of_loss / (n * (n - 1))
        # d loss / d logits_ij = (row_weight_i * p_ij - w_ij) / (n (n - 1)), and through the
        # softmax of the aggregator p_ij * (dA_ij - sum_k p_ik dA_ik), whose sum is
        # of_rebuilt_i . rebuilt_i
        offset = scale * row_weights
        offset[:m] -= (of_rebuilt * rebuilt).sum(dim=1)
        logits_gradient = torch.empty_like(shares)
        torch.mm(of_rebuilt, values.T, out=logits_gradient[:m])
        logits_gradient[m:] = 0
        logits_gradient.add_(offset[:, None]).mul_(shares).sub_(scale * weights)
        # z enters both sides of z z^T
        both = logits_gradient + logits_gradient.T
        z_gradient = (both @ z).div_(ctx.temperature)
        values_gradient = shares[:m].T @ of_rebuilt
        return z_gradient, values_gradient, None, None, None


def contrast_and_aggregate(
    z: torch.Tensor,
    values: torch.Tensor,
    weights: torch.Tensor,
    temperature: float,
    n_rebuilt: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft contrastive loss of projections, and values rebuilt from similar rows.

    Parameters
    ----------
    z : torch.Tensor, shape (n, width)
        Projections.
    values : torch.Tensor, shape (n, n_features)
        What is rebuilt from the other rows.
    weights : torch.Tensor, shape (n, n)
        From `pair_weights`: positives 1, diagonal 0. Gets no gradient.
    temperature : float
        Divides the similarities.
    n_rebuilt : int, optional
        Rebuild only so many rows from the start; default all.

    Returns
    -------
    loss : torch.Tensor, scalar
        See `soft_contrastive_loss`.
    rebuilt : torch.Tensor, shape (n_rebuilt, n_features)
        See `aggregate`.
    """
    n = len(z) if n_rebuilt is None else n_rebuilt
    apply: Any = _ContrastAndAggregate.apply
    loss, rebuilt = apply(z, values, weights, temperature, n)
    return loss, rebuilt
