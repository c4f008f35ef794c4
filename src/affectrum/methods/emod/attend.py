"""Attention along one axis in pieces that stay in cache; the backward pass computes it again.

With heads as narrow as EMOD's (8 features), the weights of attention are the largest thing in
memory: 16 heads x 50 x 50 for each electrode, against 50 x 128 features. They are made piece by
piece, and only queries, keys and values are kept, so memory grows with electrodes x tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from affectrum.methods.emod.shares import in_shares

__all__ = ["attend"]

# Numbers of the weights in work at once; see `affectrum.methods.emod.fused`.
_BUDGET_CPU = 1 << 18
_BUDGET_DEVICE = 1 << 27


_Piece = tuple[slice, slice]  # windows and rows


class _Work:
    """Cuts attention into pieces, and keeps the buffers that they share."""

    def __init__(self, qkv: torch.Tensor) -> None:
        self.qkv = qkv  # (windows, rows, length, 3, heads, features)
        _, _, self.length, _, self.n_heads, self.features = qkv.shape
        self.scale = 1 / math.sqrt(self.features)
        self._buffers: dict[str, torch.Tensor] = {}

    def buffer(self, name: str, *shape: int) -> torch.Tensor:
        """Return uninitialised memory, the same for the same name."""
        n = math.prod(shape)
        kept = self._buffers.get(name)
        if kept is None or kept.numel() < n:
            kept = self._buffers[name] = self.qkv.new_empty(n)
        return kept[:n].view(shape)

    def __iter__(self) -> Iterator[_Piece]:
        budget = _BUDGET_CPU if self.qkv.device.type == "cpu" else _BUDGET_DEVICE
        at_once = max(1, budget // (self.n_heads * self.length**2))
        n_windows, n_rows = self.qkv.shape[:2]
        for i in range(0, n_windows, max(1, at_once // n_rows)):
            windows = slice(i, min(n_windows, i + max(1, at_once // n_rows)))
            for j in range(0, n_rows, at_once):
                yield windows, slice(j, min(n_rows, j + at_once))

    def by_head(self, name: str, part: torch.Tensor) -> torch.Tensor:
        """Copy (windows, rows, length, heads, features) to (all heads, length, features)."""
        part = part.transpose(2, 3)
        into = self.buffer(name, *part.shape)
        into.copy_(part)
        return into.flatten(0, 2)

    def read(self, piece: _Piece) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return queries, scaled keys and values, each (all heads, length, features)."""
        part = self.qkv[piece].permute(3, 0, 1, 4, 2, 5)
        into = self.buffer("qkv", *part.shape)
        into.copy_(part)
        q, k, v = into.flatten(1, 3)
        return q, k.mul_(self.scale), v

    def weights(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        vectors: torch.Tensor | None,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the weights of attention, (all heads, length, length); `k` is scaled."""
        n, length, _ = q.shape
        logits = self.buffer("logits", n, length, length)
        torch.bmm(q, k.transpose(1, 2), out=logits)
        if vectors is not None:
            term = self.buffer("term", length, n, length)
            torch.bmm(q.transpose(0, 1), vectors.transpose(1, 2), out=term)
            logits += term.transpose(0, 1)
        if bias is not None:
            by_row = logits.view(-1, *bias.shape)
            by_row += bias
        torch.ops.aten._softmax.out(logits, -1, False, out=logits)
        return logits


class _Attend(torch.autograd.Function):
    """Attention over axis 2 of (windows, rows, length, 3, heads, features)."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv: torch.Tensor,
        vectors: torch.Tensor | None,
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        ctx.save_for_backward(qkv, vectors, bias)
        out = qkv.new_empty(*qkv.shape[:3], *qkv.shape[4:])

        def some(pieces: Sequence[_Piece]) -> None:
            work = _Work(qkv)
            for piece in pieces:
                q, k, v = work.read(piece)
                weights = work.weights(q, k, vectors, bias)
                mixed = work.buffer("mixed", *q.shape)
                torch.bmm(weights, v, out=mixed)
                part = out[piece].transpose(2, 3)
                part.copy_(mixed.view(part.shape))

        in_shares(list(_Work(qkv)), some, qkv.device)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        qkv, vectors, bias = ctx.saved_tensors
        down = gradients[0]
        qkv_down = torch.empty_like(qkv)

        def some(
            pieces: Sequence[_Piece],
        ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
            work = _Work(qkv)
            vectors_down = (
                None if vectors is None else torch.zeros_like(vectors, dtype=_wide(vectors))
            )
            bias_down = None if bias is None else torch.zeros_like(bias, dtype=_wide(bias))
            for piece in pieces:
                q, k, v = work.read(piece)
                weights = work.weights(q, k, vectors, bias)
                mixed_down = work.by_head("mixed", down[piece])
                answers = work.buffer("answers", 3, *q.shape)
                torch.bmm(weights.transpose(1, 2), mixed_down, out=answers[2])
                # the term is added by now, its buffer free
                logits_down = work.buffer("term", *weights.shape)
                torch.bmm(mixed_down, v.transpose(1, 2), out=logits_down)
                torch.ops.aten._softmax_backward_data.out(
                    logits_down, weights, -1, weights.dtype, grad_input=logits_down
                )
                torch.bmm(logits_down, k, out=answers[0])
                torch.bmm(logits_down.transpose(1, 2), q, out=answers[1]).mul_(work.scale)
                if vectors is not None and vectors_down is not None:
                    by_query = logits_down.transpose(0, 1)
                    answers[0] += torch.bmm(by_query, vectors).transpose(0, 1)
                    vectors_down += torch.bmm(by_query.transpose(1, 2), q.transpose(0, 1))
                if bias is not None and bias_down is not None:
                    bias_down += logits_down.view(-1, *bias.shape).sum(dim=0)
                part = qkv_down[piece].permute(3, 0, 1, 4, 2, 5)
                part.copy_(answers.view(part.shape))
            return vectors_down, bias_down

        sums = in_shares(list(_Work(qkv)), some, qkv.device)
        vectors_downs, bias_downs = zip(*sums, strict=True)
        return (
            qkv_down,
            None if vectors is None else torch.stack(vectors_downs).sum(dim=0).to(qkv.dtype),
            None if bias is None else torch.stack(bias_downs).sum(dim=0).to(qkv.dtype),
        )


def _wide(x: torch.Tensor) -> torch.dtype:
    """Return the type in which sums over pieces are kept."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def attend(
    qkv: torch.Tensor,
    *,
    vectors: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attend along the third axis.

    Parameters
    ----------
    qkv : torch.Tensor, shape (batch, rows, length, 3, heads, features)
        Queries, keys and values.
    vectors : torch.Tensor, shape (length, length, features), optional
        For each query and key, a vector whose product with the query is added to the logits.
    bias : torch.Tensor, shape (heads, length, length), optional
        Added to the logits.

    Returns
    -------
    torch.Tensor, shape (batch, rows, length, heads * features)
        ``softmax(q.k / sqrt(features) + q.vectors + bias) v``.
    """
    apply: Any = _Attend.apply
    with torch.autocast(qkv.device.type, enabled=False):
        out: torch.Tensor = apply(
            qkv,
            None if vectors is None else vectors.to(qkv.dtype),
            None if bias is None else bias.to(qkv.dtype),
        )
    return out.flatten(-2)
