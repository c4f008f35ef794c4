"""Losses and loss weighting that more than one method uses."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["AutomaticWeighting"]


class AutomaticWeighting(nn.Module):
    """Sum of losses with learnt weights.

    For losses L_k and learnt p_k (starting at 1):  sum_k L_k / (2 p_k**2) + log(1 + p_k**2).
    The form is the one of Liebel and Koerner (2018, arXiv:1805.06334, eq. 4), after Kendall et al.
    (2018); SimMTM and SCMM use it.

    Parameters
    ----------
    n_losses : int
        How many losses are summed.
    """

    def __init__(self, n_losses: int) -> None:
        super().__init__()
        self.scales = nn.Parameter(torch.ones(n_losses))

    def forward(self, *losses: torch.Tensor) -> torch.Tensor:
        """Weigh and sum.

        Parameters
        ----------
        *losses : torch.Tensor, scalar
            As many as `n_losses`.

        Returns
        -------
        torch.Tensor, scalar
            The total.

        Raises
        ------
        ValueError
            If the number of losses is not `n_losses`.
        """
        if len(losses) != len(self.scales):
            raise ValueError(f"Expected {len(self.scales)} losses; received {len(losses)}.")
        squared = self.scales.square()
        return (0.5 / squared * torch.stack(losses) + torch.log1p(squared)).sum()
