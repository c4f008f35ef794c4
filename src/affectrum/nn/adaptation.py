"""What makes two domains look alike: gradient reversal and the maximum mean discrepancy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["BANDWIDTHS", "multi_kernel_mmd", "reverse_gradient", "warm_up"]

#: Multiples of the mean squared distance, as Long et al. (2015) space their kernels.
BANDWIDTHS: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, strength: float) -> torch.Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.strength * grads[0], None


def reverse_gradient(x: torch.Tensor, strength: float) -> torch.Tensor:
    """Return `x`; on the way back its gradient is turned round and multiplied by `strength`.

    What comes after learns to lower its loss, what comes before learns to raise it (Ganin et al.
    2016, JMLR 17(59), eq. 16-18).

    Parameters
    ----------
    x : torch.Tensor
        Any shape.
    strength : float
        At 0 what comes before learns nothing of it.

    Returns
    -------
    torch.Tensor
        Of the same shape.
    """
    reversed_: torch.Tensor = _Reversal.apply(x, strength)  # type: ignore[no-untyped-call]
    return reversed_


def warm_up(share: float, steepness: float = 10.0) -> float:
    """Strength of an adversarial loss after a share of training: 2 / (1 + exp(-steepness p)) - 1.

    Parameters
    ----------
    share : float
        Training done, from 0 to 1.
    steepness : float
        10 in Ganin et al. (2016).

    Returns
    -------
    float
        0 at the start, near 1 at the end.
    """
    return 2.0 / (1.0 + math.exp(-steepness * share)) - 1.0


def multi_kernel_mmd(
    first: torch.Tensor, second: torch.Tensor, bandwidths: Sequence[float] = BANDWIDTHS
) -> torch.Tensor:
    """Squared maximum mean discrepancy of two samples, averaged over Gaussian kernels.

    With k(a, b) = exp(-|a - b|^2 / (w m)), where m is the mean squared distance of different
    rows of both samples together and w a bandwidth, this is
    mean k(first, first) + mean k(second, second) - 2 mean k(first, second), pairs of a row with
    itself included: never negative (Gretton et al. 2012, JMLR 13, eq. 5). m is no path for
    gradients.

    Parameters
    ----------
    first : torch.Tensor, shape (n, n_features)
        A sample.
    second : torch.Tensor, shape (m, n_features)
        Another one; n and m may differ.
    bandwidths : sequence of float
        Multiples of the mean squared distance.

    Returns
    -------
    torch.Tensor, scalar
        0 for equal samples.
    """
    n, m = len(first), len(second)
    both = torch.cat([first, second])
    # From differences, not from products: equal rows are at distance 0 exactly.
    squared = (both[:, None, :] - both[None, :, :]).square().sum(dim=2)
    scale = squared.detach().sum() / max((n + m) * (n + m - 1), 1)
    scale = scale.clamp_min(torch.finfo(squared.dtype).tiny ** 0.5)
    kernel = torch.stack([(-squared / (width * scale)).exp() for width in bandwidths]).mean(dim=0)
    weight = torch.cat([first.new_full((n,), 1.0 / n), second.new_full((m,), -1.0 / m)])
    return weight @ kernel @ weight
