"""Convolution, group normalisation, GELU and pooling of a branch in one pass that stays in cache.

On a window of 32 electrodes x 2,500 samples the maps of one branch are 41 MB, and torch's layers
read and write them a dozen times. Here they never exist as a whole:

* Group normalisation is affine, and its statistics follow from the input alone: mean and variance
  of a convolution are its weights against mean and covariance of the input's lagged copies
  (25 x 25 numbers per window, in float64). So normalisation is folded into the filters.
* What is left, ``pool(gelu(lagged input @ filters))``, goes electrode by electrode through
  buffers the size of a core's cache, and the backward pass computes the maps again.

Memory of the backward pass is that of the tokens, not of the maps. The input gets no gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from affectrum.methods.emod.shares import in_shares

__all__ = ["folded_filters", "pool_edges", "pooled_branch"]

# Numbers of the maps in work at once: 1 MB in float32 stays in a core's second cache.
_BUDGET_CPU = 1 << 18
_BUDGET_DEVICE = 1 << 28


def pool_edges(length: int, n_tokens: int) -> tuple[list[int], list[int]]:
    """Return where the windows of adaptive average pooling start and stop.

    Parameters
    ----------
    length : int
        Length of the axis.
    n_tokens : int
        Windows, as even as can be; they share a place where the length is no multiple.

    Returns
    -------
    starts : list of int
        First place of each window.
    stops : list of int
        Place after the last one.
    """
    starts = [i * length // n_tokens for i in range(n_tokens)]
    stops = [-(-(i + 1) * length // n_tokens) for i in range(n_tokens)]
    return starts, stops


def _lag_moments(padded: torch.Tensor, kernel: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean (batch, kernel) and covariance (batch, kernel, kernel) of the lagged copies.

    `padded` is (batch, channels, length + kernel - 1); copy j at place t is ``padded[t + j]``.
    """
    n, n_channels, n_padded = padded.shape
    length = n_padded - kernel + 1
    padded = padded.double()
    n_blocks, n_rest = divmod(length, kernel)
    wide = 2 * kernel - 1
    mean = padded.new_zeros(n, kernel)
    square = padded.new_zeros(n, kernel, kernel)
    if n_blocks:
        # Rows of 2 * kernel - 1 places hold the copies of `kernel` places t, so the products of
        # all lags are one small product with the diagonals summed.
        rows = padded[..., : n_blocks * kernel + kernel - 1].unfold(2, wide, kernel)
        rows = rows.reshape(n, n_channels * n_blocks, wide)
        product = rows.transpose(1, 2) @ rows
        diagonals = product.as_strided(
            (n, kernel, kernel, kernel), (wide * wide, wide + 1, wide, 1)
        )
        square += diagonals.sum(dim=1)
        mean += rows.sum(dim=1).unfold(1, kernel, 1).sum(dim=1)
    if n_rest:
        rows = padded[..., n_blocks * kernel :].unfold(2, kernel, 1).reshape(n, -1, kernel)
        square += rows.transpose(1, 2) @ rows
        mean += rows.sum(dim=1)
    n_places = n_channels * length
    mean /= n_places
    return mean, square / n_places - mean[:, :, None] * mean[:, None, :]


def folded_filters(
    padded: torch.Tensor, convolution: nn.Conv2d, normalisation: nn.GroupNorm
) -> torch.Tensor:
    """Return a convolution with the group normalisation of its own output folded in.

    Parameters
    ----------
    padded : torch.Tensor, shape (batch, channels, length + kernel - 1)
        Input with the padding of the convolution.
    convolution : nn.Conv2d
        One map in, kernel (1, k).
    normalisation : nn.GroupNorm
        Over filters, channels and places of each window.

    Returns
    -------
    torch.Tensor, shape (batch, kernel + 1, filters)
        Filters of each window; the last row is the offset. Gradients go to both layers.
    """
    n_filters, _, _, kernel = convolution.weight.shape
    n_groups = normalisation.num_groups
    mean, covariance = _lag_moments(padded.detach(), kernel)
    weight = convolution.weight.view(n_filters, kernel).double()
    bias = convolution.bias
    means = mean @ weight.T
    if bias is not None:
        means = means + bias.double()
    variances = ((weight @ covariance) * weight).sum(dim=-1)  # (batch, filters)
    by_group = means.view(-1, n_groups, n_filters // n_groups)
    centre = by_group.mean(dim=2, keepdim=True)
    variance = variances.view_as(by_group).mean(dim=2, keepdim=True)
    variance = variance + (by_group - centre).square().mean(dim=2, keepdim=True)
    scale = (variance + normalisation.eps).rsqrt().expand_as(by_group).reshape_as(means)
    scale = scale * normalisation.weight.double()
    offset = (means - mean @ weight.T) - centre.expand_as(by_group).reshape_as(means)
    offset = offset * scale + normalisation.bias.double()
    filters = weight.T * scale[:, None, :]
    return torch.cat([filters, offset[:, None, :]], dim=1).to(padded.dtype)


@dataclass(frozen=True)
class _Piece:
    """Tokens `tokens` of all electrodes in `channels` of the windows in `windows`."""

    windows: slice
    channels: slice
    tokens: slice
    places: slice  # of the padded input
    rows: torch.Tensor | None  # row of the lagged input of each (token, place in its window)


@functools.lru_cache(maxsize=64)
def _token_pieces(
    length: int, n_tokens: int, kernel: int, max_rows: int
) -> tuple[int, tuple[tuple[slice, slice, torch.Tensor | None], ...]]:
    """Return the longest pooling window, and (tokens, places, rows) of each piece of the axis.

    Where windows overlap or differ in length, `rows` tells which row of the lagged input each place
    of each window takes; places that a shorter window lacks take a row of zeros behind the others.
    """
    starts, stops = pool_edges(length, n_tokens)
    longest = max(stop - start for start, stop in zip(starts, stops, strict=True))
    n_pieces = -(-n_tokens // max(1, max_rows // longest))
    per_piece = -(-n_tokens // n_pieces)  # pieces of like size
    pieces = []
    for first in range(0, n_tokens, per_piece):
        last = min(n_tokens, first + per_piece)
        origin, end = starts[first], stops[last - 1]
        rows = None
        if length % n_tokens:
            rows = torch.full((last - first, longest), end - origin)
            for i in range(first, last):
                rows[i - first, : stops[i] - starts[i]] = torch.arange(
                    starts[i] - origin, stops[i] - origin
                )
            rows = rows.flatten()
        pieces.append((slice(first, last), slice(origin, end + kernel - 1), rows))
    return longest, tuple(pieces)


class _Work:
    """Cuts a pass into pieces and keeps the buffers that they share."""

    def __init__(self, padded: torch.Tensor, filters: torch.Tensor, n_tokens: int) -> None:
        self.padded = padded
        self.filters = filters
        self.kernel = filters.shape[1] - 1
        self.width = filters.shape[2]
        budget = _BUDGET_CPU if padded.device.type == "cpu" else _BUDGET_DEVICE
        self.max_rows = max(1, budget // self.width)
        length = padded.shape[2] - self.kernel + 1
        self.longest, self.token_pieces = _token_pieces(
            length, n_tokens, self.kernel, self.max_rows
        )
        starts, stops = pool_edges(length, n_tokens)
        sizes = [stop - start for start, stop in zip(starts, stops, strict=True)]
        self.sizes = torch.tensor(sizes, dtype=padded.dtype, device=padded.device)[:, None]
        self._buffers: dict[str, torch.Tensor] = {}

    def buffer(self, name: str, *shape: int) -> torch.Tensor:
        """Return uninitialised memory, the same for the same name."""
        n = math.prod(shape)
        kept = self._buffers.get(name)
        if kept is None or kept.numel() < n:
            kept = self._buffers[name] = self.filters.new_empty(n)
        return kept[:n].view(shape)

    def __iter__(self) -> Iterator[_Piece]:
        n_windows, n_channels, _ = self.padded.shape
        for tokens, places, rows in self.token_pieces:
            n_rows = (tokens.stop - tokens.start) * self.longest
            at_once = max(1, self.max_rows // n_rows)  # electrodes
            n_channels_at_once = min(n_channels, at_once)
            n_windows_at_once = max(1, at_once // n_channels)
            if rows is not None:
                rows = rows.to(self.padded.device)
            for i in range(0, n_windows, n_windows_at_once):
                windows = slice(i, min(n_windows, i + n_windows_at_once))
                for j in range(0, n_channels, n_channels_at_once):
                    channels = slice(j, min(n_channels, j + n_channels_at_once))
                    yield _Piece(windows, channels, tokens, places, rows)

    def lagged(self, piece: _Piece) -> torch.Tensor:
        """Return the input's lagged copies and ones, (windows, rows, kernel + 1)."""
        part = self.padded[piece.windows, piece.channels, piece.places]
        copies = part.unfold(2, self.kernel, 1)
        n_windows, n_channels, n_places, _ = copies.shape
        n_extra = 0 if piece.rows is None else 1
        table = self.buffer("lagged", n_windows, n_channels, n_places + n_extra, self.kernel + 1)
        table[:, :, :n_places, :-1] = copies
        table[:, :, :n_places, -1] = 1
        if piece.rows is not None:
            table[:, :, n_places] = 0  # gelu(0) = 0: a place that is not there adds nothing
            n_rows = len(piece.rows)
            chosen = self.buffer("chosen", n_windows, n_channels, n_rows, self.kernel + 1)
            table = torch.index_select(table, 2, piece.rows, out=chosen)
        return table.view(n_windows, -1, self.kernel + 1)

    def maps(self, piece: _Piece, table: torch.Tensor) -> torch.Tensor:
        """Return normalised maps, (windows, channels, tokens, places, width)."""
        n_windows, n_rows, _ = table.shape
        maps = self.buffer("maps", n_windows, n_rows, self.width)
        filters = self.filters[piece.windows]
        if n_windows == 1:
            torch.mm(table[0], filters[0], out=maps[0])
        else:
            torch.bmm(table, filters, out=maps)
        n_tokens = piece.tokens.stop - piece.tokens.start
        return maps.view(n_windows, -1, n_tokens, self.longest, self.width)


class _GeluPool(torch.autograd.Function):
    """``pool(gelu(lagged(padded) @ filters))``; the backward pass computes the maps again."""

    @staticmethod
    def forward(
        ctx: Any, padded: torch.Tensor, filters: torch.Tensor, n_tokens: int
    ) -> torch.Tensor:
        ctx.save_for_backward(padded, filters)
        plan = _Work(padded, filters, n_tokens)
        out = filters.new_empty(*padded.shape[:2], n_tokens, plan.width, dtype=padded.dtype)

        def some(pieces: Sequence[_Piece]) -> None:
            work = _Work(padded, filters, n_tokens)
            for piece in pieces:
                maps = work.maps(piece, work.lagged(piece))
                torch.ops.aten.gelu.out(maps, out=maps)
                into = out[piece.windows, piece.channels, piece.tokens]
                torch.sum(maps, dim=3, dtype=out.dtype, out=into)

        in_shares(list(plan), some, padded.device)
        return out.div_(plan.sizes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        padded, filters = ctx.saved_tensors
        n_tokens = gradients[0].shape[2]
        plan = _Work(padded, filters, n_tokens)
        down = (gradients[0] / plan.sizes).to(filters.dtype)

        def some(pieces: Sequence[_Piece]) -> torch.Tensor:
            work = _Work(padded, filters, n_tokens)
            filters_down = torch.zeros_like(filters, dtype=padded.dtype)
            for piece in pieces:
                table = work.lagged(piece)
                maps = work.maps(piece, table)
                of_piece = down[piece.windows, piece.channels, piece.tokens, None]
                torch.ops.aten.gelu_backward.grad_input(
                    of_piece.expand_as(maps), maps, grad_input=maps
                )
                rows_down = maps.view(len(table), -1, work.width)
                if len(table) == 1:
                    filters_down[piece.windows] += table[0].T @ rows_down[0]
                else:
                    filters_down[piece.windows] += table.transpose(1, 2) @ rows_down
            return filters_down

        filters_down = torch.stack(in_shares(list(plan), some, padded.device)).sum(dim=0)
        return None, filters_down, None


def pooled_branch(
    padded: torch.Tensor, convolution: nn.Conv2d, normalisation: nn.GroupNorm, n_tokens: int
) -> torch.Tensor:
    """Convolve, normalise, apply GELU and pool.

    Parameters
    ----------
    padded : torch.Tensor, shape (batch, channels, length + k - 1)
        Signals or spectra with the padding of the convolution; get no gradient.
    convolution : nn.Conv2d
        One map in, kernel (1, k), stride 1, no padding of its own.
    normalisation : nn.GroupNorm
        Over the convolution's maps.
    n_tokens : int
        Windows of the adaptive average pooling along the last axis.

    Returns
    -------
    torch.Tensor, shape (batch, channels, n_tokens, filters)
        What the four layers give one after the other. Under autocast the maps are of its type, and
        the sums of the pool of that of `padded`.
    """
    device = padded.device.type
    dtype = padded.dtype
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    with torch.autocast(device, enabled=False):
        filters = folded_filters(padded, convolution, normalisation)
        apply: Any = _GeluPool.apply
        tokens: torch.Tensor = apply(padded, filters.to(dtype), n_tokens)
    return tokens
