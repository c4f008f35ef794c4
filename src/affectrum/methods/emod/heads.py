"""What is put on EMOD's tokens: the pre-training head and the classifiers of fine-tuning."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from affectrum.errors import ConfigError, check_option

__all__ = ["HEADS", "AttentionPool", "BatchStandardise", "PretrainHead", "apply_head", "make_head"]

HEADS = ("linear", "normalised", "pooled", "faced", "seed", "seed-v")
"""Kinds of classifier that `make_head` makes."""


def apply_head(head: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Run a head in float32, also where the backbone computes under autocast.

    Most of a pooled token is the same in all windows. Rounded to bfloat16, as layers under autocast
    round what they get, it would lose much of what differs between windows.

    Parameters
    ----------
    head : nn.Module
        What is put on tokens; its weights are as wide as float32 at least.
    tokens : torch.Tensor, shape (batch, channels, tokens, width)
        Of the backbone, of any type.

    Returns
    -------
    torch.Tensor
        What the head gives.
    """
    with torch.autocast(tokens.device.type, enabled=False):
        out: torch.Tensor = head(tokens.to(torch.promote_types(tokens.dtype, torch.float32)))
    return out


class AttentionPool(nn.Module):
    """Weighted mean over one axis, with weights by a softmax of one learnt score per row.

    Parameters
    ----------
    width : int
        Features.
    dropout : float
        Dropout of the weights.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, n, ..., width) to (batch, ..., width)."""
        weights: torch.Tensor = self.dropout(self.score(x).softmax(dim=1))
        return (weights * x).sum(dim=1)


class PretrainHead(nn.Module):
    """Tokens to a unit vector: attention pools over electrodes and time, then two layers.

    Parameters
    ----------
    width : int
        Features of a token.
    hidden : int
        Features between the layers.
    out : int
        Features of the vector.
    dropout : float
        Dropout of the pools' weights.

    Attributes
    ----------
    norm : nn.BatchNorm1d
        Between the layers. Corpora go through the network one by one, so in training its statistics
        are those of one corpus, which takes offsets between corpora away.
    """

    def __init__(
        self, width: int, hidden: int = 512, out: int = 128, dropout: float = 0.25
    ) -> None:
        super().__init__()
        self.over_channels = AttentionPool(width, dropout)
        self.over_tokens = AttentionPool(width, dropout)
        self.hidden = nn.Linear(width, hidden, bias=False)
        self.norm: nn.Module = nn.BatchNorm1d(hidden)
        self.out = nn.Linear(hidden, out)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map (batch, channels, tokens, width) to unit vectors (batch, out)."""
        pooled = self.over_tokens(self.over_channels(tokens))
        z = self.out(F.gelu(self.norm(self.hidden(pooled))))
        return F.normalize(z.float(), dim=-1)


class _Mean(nn.Module):
    """Mean over some axes."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # also of tokens in bfloat16, in which what differs between windows would be rounded away
        return x.mean(dim=self.axes, dtype=torch.promote_types(x.dtype, torch.float32))


class BatchStandardise(nn.BatchNorm1d):
    """Mean 0 and SD 1 of each feature over the windows of a batch, without learnt parameters.

    In evaluation the statistics are running ones. They start as those of the first batch: torch's
    start at 0 and 1, which is far from features that vary by a hundredth.

    Parameters
    ----------
    width : int
        Features.
    """

    _FEWEST = 4  # windows that have statistics; fewer take the running ones

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width, momentum=0.2, affine=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, width) to the same shape."""
        known = int(self.num_batches_tracked) > 0
        if self.training and len(x) > 1 and not known:
            with torch.no_grad():
                self.running_mean.copy_(x.mean(dim=0))
                self.running_var.copy_(x.var(dim=0))
        if self.training and len(x) < (self._FEWEST if known else 2):
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)
        return super().forward(x)


class _Sized(nn.Module):
    """Layers that take tokens of one shape only."""

    def __init__(self, kind: str, n_channels: int, n_tokens: int, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.kind = kind
        self.wanted = (n_channels, n_tokens)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # the pool over electrodes comes first, so head "faced" takes any number of them
        first = 1 if self.kind == "faced" else 0
        found = tuple(x.shape[1:3])
        if found[first:] != self.wanted[first:]:
            raise ConfigError(
                f"head {self.kind!r} was made for {self.wanted[0]} electrodes x {self.wanted[1]} "
                f"tokens; received {found[0]} x {found[1]}. Heads 'linear', 'normalised' and "
                "'pooled' take any"
            )
        out: torch.Tensor = self.layers(x)
        return out


def make_head(
    kind: Literal["linear", "normalised", "pooled", "faced", "seed", "seed-v"],
    *,
    width: int,
    n_channels: int,
    n_tokens: int,
    n_classes: int,
    dropout: float,
) -> nn.Module:
    """Return a classifier of tokens.

    Parameters
    ----------
    kind : {"linear", "normalised", "pooled", "faced", "seed", "seed-v"}
        ``"linear"``: mean over electrodes and tokens, then one layer, as the paper says.
        ``"normalised"``: the same with `BatchStandardise` between the two, for budgets of few
        steps; see the notes. The others are those of the released code: its generic one and those
        of three corpora.
    width : int
        Features of a token.
    n_channels : int
        Electrodes; matters to ``"seed"`` and ``"seed-v"``.
    n_tokens : int
        Tokens in time; matters to ``"faced"``, ``"seed"`` and ``"seed-v"``.
    n_classes : int
        Classes.
    dropout : float
        Dropout (0.25 as released); ``"seed"`` and ``"seed-v"`` take twice of it, as their 0.5 is
        twice the others' 0.25, and the first two have none.

    Returns
    -------
    nn.Module
        Maps (batch, n_channels, n_tokens, width) to logits (batch, n_classes).

    Raises
    ------
    ConfigError
        If the kind is not known.

    Notes
    -----
    The electrodes' vectors are the same in each window and much longer than what differs between
    windows, so in a fresh network the mean token is nearly constant. A linear layer on it learns
    how frequent the classes are, and with the published rates it takes hundreds of steps to learn
    anything else: thousands are published, the preset ``small`` has a hundred
    (``docs/decisions/0011-a-head-for-few-steps.md``).
    """
    check_option("head", kind, HEADS)
    double = min(2 * dropout, 0.95)
    if kind == "linear":
        return nn.Sequential(_Mean(1, 2), nn.Linear(width, n_classes))
    if kind == "normalised":
        return nn.Sequential(_Mean(1, 2), BatchStandardise(width), nn.Linear(width, n_classes))
    if kind == "pooled":
        return nn.Sequential(
            AttentionPool(width, dropout),
            AttentionPool(width, dropout),
            nn.Dropout(dropout),
            nn.Linear(width, 64),
            nn.ELU(),
            nn.Dropout(dropout),
            nn.Linear(64, n_classes),
        )
    if kind == "faced":
        layers: list[nn.Module] = [
            AttentionPool(width, dropout),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(n_tokens * width, 512),
            nn.ELU(),
            nn.Dropout(dropout),
            nn.Linear(512, 128),
            nn.ELU(),
            nn.Dropout(dropout),
            nn.Linear(128, n_classes),
        ]
    elif kind == "seed":
        layers = [
            _Mean(3),
            nn.Flatten(),
            nn.Linear(n_channels * n_tokens, 64),
            nn.ELU(),
            nn.Dropout(double),
            nn.Linear(64, n_classes),
        ]
    else:
        n_features = n_channels * n_tokens * width
        # 62 electrodes x 5 tokens x 128 features to 2,480: a sixteenth
        n_hidden = max(n_classes, n_features // 16)
        layers = [
            nn.Flatten(),
            nn.Linear(n_features, n_hidden),
            nn.ELU(),
            nn.Dropout(double),
            nn.Linear(n_hidden, 128),
            nn.ELU(),
            nn.Dropout(double),
            nn.Linear(128, n_classes),
        ]
    return _Sized(kind, n_channels, n_tokens, *layers)
