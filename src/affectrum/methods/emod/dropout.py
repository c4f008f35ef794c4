"""Dropout that draws two bytes per number: on a CPU, torch's own draws far more, on one thread."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["QuickDropout"]

_STEPS = 1 << 16


class QuickDropout(nn.Dropout):
    """Dropout like torch's, some four times as fast on a CPU.

    The rate is kept to one part in 65,536, and what remains is scaled by the rate that was kept.
    Random numbers come from torch's generator of the device, as those of ``nn.Dropout`` do.
    Elsewhere than on a CPU it is ``nn.Dropout``.

    Parameters
    ----------
    p : float
        Share that becomes zero, from 0 to below 1.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor of any shape to the same shape."""
        n_dropped = round(self.p * _STEPS)
        if not self.training or n_dropped == 0:
            return x
        if x.device.type != "cpu" or n_dropped == _STEPS:
            return nn.functional.dropout(x, self.p, training=True)
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64)
        draws.random_(-(1 << 63), None)
        parts = draws.view(torch.int16)[: x.numel()].view(x.shape)
        noise = torch.empty(x.shape, dtype=x.dtype)
        torch.ge(parts, n_dropped - _STEPS // 2, out=noise)
        return x * noise.mul_(_STEPS / (_STEPS - n_dropped))
