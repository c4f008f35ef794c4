"""EMOD's axial blocks: attention over electrodes, then over time, then a feed-forward layer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from affectrum.methods.emod.attend import attend
from affectrum.methods.emod.dropout import QuickDropout

__all__ = ["AxialBlock", "SpatialAttention", "TemporalAttention", "relative_rows"]


def relative_rows(n_tokens: int, max_offset: int, device: torch.device) -> torch.Tensor:
    """Return which row of the relative table each pair of tokens meets.

    Parameters
    ----------
    n_tokens : int
        Tokens in time.
    max_offset : int
        Largest offset of the table; farther ones are clamped to it.
    device : torch.device
        Where to put the answer.

    Returns
    -------
    torch.Tensor, shape (n_tokens, n_tokens)
        ``query - key + max_offset``, from 0 to ``2 * max_offset``.
    """
    places = torch.arange(n_tokens, device=device)
    return (places[:, None] - places[None, :]).clamp(-max_offset, max_offset) + max_offset


class SpatialAttention(nn.Module):
    """Self-attention over electrodes, apart for each token in time.

    Parameters
    ----------
    width : int
        Features of a token.
    head_width : int
        Features of a head.
    """

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, tokens, width) to the same shape."""
        # whole rows change places here, so that attention reads neighbours
        rows = x.transpose(1, 2).contiguous()
        qkv = self.project_in(rows).unflatten(-1, (3, -1, self.head_width))
        out: torch.Tensor = self.project_out(attend(qkv)).transpose(1, 2)
        return out


class TemporalAttention(nn.Module):
    """Self-attention over time, apart for each electrode, with a relative term.

    Parameters
    ----------
    width : int
        Features of a token.
    head_width : int
        Features of a head.
    layout : {"correct", "released"}
        What is a token. The released code views features-by-time as time-by-features without a
        transpose, so its "tokens" are slices of features.
    relative : {"query", "bias", "none"}
        Relative term: vectors met by the query, without scale and shared by the heads, as the
        released code has it; a number per head and offset; or none.
    max_offset : int
        Largest offset of the relative term; farther ones are clamped to it.
    """

    def __init__(
        self,
        width: int,
        head_width: int,
        *,
        layout: Literal["correct", "released"] = "correct",
        relative: Literal["query", "bias", "none"] = "query",
        max_offset: int = 49,
    ) -> None:
        super().__init__()
        self.head_width = head_width
        self.layout = layout
        self.relative = relative
        self.max_offset = max_offset
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)
        self.table: nn.Parameter | None = None
        if relative == "query":
            self.table = nn.Parameter(torch.randn(2 * max_offset + 1, head_width))
        elif relative == "bias":
            self.table = nn.Parameter(torch.zeros(2 * max_offset + 1, width // head_width))

    def tokens_of(self, x: torch.Tensor) -> torch.Tensor:
        """Return what attention takes for tokens, (batch, channels, tokens, width) of `x`."""
        if self.layout == "released":
            return x.transpose(2, 3).reshape(x.shape)
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, tokens, width) to the same shape."""
        qkv = self.project_in(self.tokens_of(x)).unflatten(-1, (3, -1, self.head_width))
        vectors = bias = None
        if self.table is not None:
            rows = relative_rows(x.shape[2], self.max_offset, x.device)
            term = nn.functional.embedding(rows, self.table)
            if self.relative == "query":
                vectors = term
            else:
                bias = term.permute(2, 0, 1)
        out: torch.Tensor = self.project_out(attend(qkv, vectors=vectors, bias=bias))
        return out


class AxialBlock(nn.Module):
    """Attention over electrodes, over time, and a feed-forward layer, each normalised before.

    Parameters
    ----------
    width : int
        Features of a token.
    head_width : int
        Features of a head.
    layout, relative, max_offset
        See `TemporalAttention`.
    spatial_attention : bool
        Have attention over electrodes.
    temporal_attention : bool
        Have attention over time.
    dropout : float
        Of what each part adds, and of the hidden features.
    """

    def __init__(
        self,
        width: int,
        head_width: int,
        *,
        layout: Literal["correct", "released"] = "correct",
        relative: Literal["query", "bias", "none"] = "query",
        max_offset: int = 49,
        spatial_attention: bool = True,
        temporal_attention: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dropout = QuickDropout(dropout)
        self.spatial: SpatialAttention | None = None
        self.temporal: TemporalAttention | None = None
        if spatial_attention:
            self.spatial_norm = nn.LayerNorm(width)
            self.spatial = SpatialAttention(width, head_width)
        if temporal_attention:
            self.temporal_norm = nn.LayerNorm(width)
            self.temporal = TemporalAttention(
                width, head_width, layout=layout, relative=relative, max_offset=max_offset
            )
        self.forward_norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, 4 * width)
        self.activation = nn.GELU()
        self.out = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, tokens, width) to the same shape."""
        if self.spatial is not None:
            x = x + self.dropout(self.spatial(self.spatial_norm(x)))
        if self.temporal is not None:
            x = x + self.dropout(self.temporal(self.temporal_norm(x)))
        hidden = self.dropout(self.activation(self.hidden(self.forward_norm(x))))
        out: torch.Tensor = x + self.dropout(self.out(hidden))
        return out
