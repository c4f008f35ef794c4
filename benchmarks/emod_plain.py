"""EMOD's backbone as one writes it first from the description: an oracle for the fast one.

Torch's own layers in the published order, nothing fused, nothing chunked. Not part of the package:
`benchmarks/bench_emod.py` times it and the tests compare with it.
"""

from __future__ import annotations

import math

import torch
from torch import nn


class PlainEncoder(nn.Module):
    """Two convolution branches pooled to tokens, mixed, plus the electrode's vector."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.time_conv = nn.Conv2d(1, width, (1, kernel), stride=1, padding="same")
        self.time_norm = nn.GroupNorm(4, width)
        self.freq_conv = nn.Conv2d(1, width, (1, kernel), stride=1, padding="same")
        self.freq_norm = nn.GroupNorm(4, width)
        self.activation = nn.GELU()
        self.mix = nn.Linear(2 * width, width)
        self.electrodes = nn.Embedding(72, width)

    def forward(self, x: torch.Tensor, ids: torch.Tensor, n_tokens: int) -> torch.Tensor:
        """Map microvolts (batch, channels, samples) to (batch, channels, n_tokens, width)."""
        spectrum = torch.fft.rfft(x, dim=-1, norm="forward").real
        pool = nn.AdaptiveAvgPool2d((x.shape[1], n_tokens))
        time = pool(self.activation(self.time_norm(self.time_conv(x.unsqueeze(1)))))
        freq = pool(self.activation(self.freq_norm(self.freq_conv(spectrum.unsqueeze(1)))))
        tokens = torch.cat([time, freq], dim=1).permute(0, 2, 3, 1)
        tokens = self.activation(self.mix(tokens))
        return tokens + self.electrodes(ids)[:, None, :]


class PlainAttention(nn.Module):
    """Multi-head attention over rows (n, length, width), with or without the relative term."""

    def __init__(self, width: int, head_width: int, max_offset: int | None) -> None:
        super().__init__()
        self.n_heads = width // head_width
        self.max_offset = max_offset
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        if max_offset is not None:
            self.relative = nn.Parameter(torch.randn(2 * max_offset + 1, head_width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, length, width) to the same shape."""
        n, length, width = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        logits = q @ k.transpose(-2, -1) / math.sqrt(width // self.n_heads)
        if self.max_offset is not None:
            places = torch.arange(length, device=x.device)
            offsets = (places[:, None] - places[None, :]).clamp(-self.max_offset, self.max_offset)
            vectors = self.relative[offsets + self.max_offset]
            logits = logits + torch.einsum("nhid,ijd->nhij", q, vectors)
        mixed = logits.softmax(dim=-1) @ v
        return self.project(mixed.transpose(1, 2).reshape(n, length, width))


class PlainBlock(nn.Module):
    """Attention over electrodes, over time, feed-forward."""

    def __init__(self, width: int, head_width: int, max_offset: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.spatial = PlainAttention(width, head_width, None)
        self.temporal = PlainAttention(width, head_width, max_offset)
        self.drop = nn.Dropout(dropout)
        self.ffn = nn.Sequential(
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor, released: bool = False) -> torch.Tensor:
        """Map (batch, channels, tokens, width) to the same shape."""
        b, c, t, d = x.shape
        rows = self.norm1(x).permute(0, 2, 1, 3).reshape(b * t, c, d)
        x = x + self.drop(self.spatial(rows).reshape(b, t, c, d).permute(0, 2, 1, 3))
        rows = self.norm2(x)
        if released:  # features x time, read as if it were time x features
            rows = rows.permute(0, 1, 3, 2).contiguous().view(b * c, t, d)
        else:
            rows = rows.reshape(b * c, t, d)
        x = x + self.drop(self.temporal(rows).reshape(b, c, t, d))
        return x + self.ffn(self.norm3(x))


class PlainBackbone(nn.Module):
    """Encoder and blocks."""

    def __init__(
        self,
        width: int = 128,
        depth: int = 3,
        kernel: int = 25,
        head_width: int = 8,
        max_offset: int = 49,
        dropout: float = 0.1,
        released: bool = False,
    ) -> None:
        super().__init__()
        self.released = released
        self.encoder = PlainEncoder(width, kernel)
        self.blocks = nn.ModuleList(
            PlainBlock(width, head_width, max_offset, dropout) for _ in range(depth)
        )

    def forward(self, volts: torch.Tensor, ids: torch.Tensor, sfreq: float) -> torch.Tensor:
        """Map volts (batch, channels, samples) to (batch, channels, tokens, width)."""
        n_tokens = round(5 * volts.shape[-1] / sfreq)
        x = self.encoder(volts * 1e6, ids, n_tokens)
        for block in self.blocks:
            x = block(x, self.released)
        return x


def names_in_package(depth: int) -> dict[str, str]:
    """Return the package's parameter names -> the names here."""
    names = {
        "encoder.temporal.convolution": "encoder.time_conv",
        "encoder.temporal.normalisation": "encoder.time_norm",
        "encoder.spectral.convolution": "encoder.freq_conv",
        "encoder.spectral.normalisation": "encoder.freq_norm",
        "encoder.mix": "encoder.mix",
    }
    for i in range(depth):
        names |= {
            f"blocks.{i}.spatial_norm": f"blocks.{i}.norm1",
            f"blocks.{i}.temporal_norm": f"blocks.{i}.norm2",
            f"blocks.{i}.forward_norm": f"blocks.{i}.norm3",
            f"blocks.{i}.hidden": f"blocks.{i}.ffn.0",
            f"blocks.{i}.out": f"blocks.{i}.ffn.3",
        }
        for part in ("spatial", "temporal"):
            names[f"blocks.{i}.{part}.project_in"] = f"blocks.{i}.{part}.qkv"
            names[f"blocks.{i}.{part}.project_out"] = f"blocks.{i}.{part}.project"
    whole = {f"{a}.{kind}": f"{b}.{kind}" for a, b in names.items() for kind in ("weight", "bias")}
    whole["encoder.electrodes.weight"] = "encoder.electrodes.weight"
    whole |= {f"blocks.{i}.temporal.table": f"blocks.{i}.temporal.relative" for i in range(depth)}
    return whole


def copy_weights(plain: PlainBackbone, backbone: nn.Module) -> None:
    """Copy the plain form's weights into the package's backbone."""
    state = plain.state_dict()
    named = dict(backbone.named_parameters())
    names = names_in_package(len(plain.blocks))
    assert set(names) == set(named), set(names) ^ set(named)
    with torch.no_grad():
        for here, there in names.items():
            named[here].copy_(state[there])
