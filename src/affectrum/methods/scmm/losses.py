"""SCMM's two objectives: the soft contrastive loss and the rebuilding of inputs from neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from affectrum.errors import ConfigError

__all__ = [
    "aggregate",
    "log_partition",
    "pair_weights",
    "reconstruction_loss",
    "soft_contrastive_loss",
    "weighted_negative_log",
]


def pair_weights(weights: torch.Tensor, n_views: int) -> torch.Tensor:
    """Set positive pairs (two views of one sample) to 1 and a sample with itself to 0.

    Parameters
    ----------
    weights : torch.Tensor, shape (n, n)
        Soft assignments.
    n_views : int
        Views per sample, the original counted; rows are [originals; view 1; ...].

    Returns
    -------
    torch.Tensor, shape (n, n)
        A new tensor.

    Raises
    ------
    ConfigError
        If `n_views` does not divide n.
    """
    n = len(weights)
    if n_views < 1 or n % n_views:
        raise ConfigError(f"'n_views' must divide the {n} rows; received {n_views!r}.")
    n_originals = n // n_views
    ready = weights.clone()
    for shift in range(1, n_views):
        ready.diagonal(shift * n_originals).fill_(1)
        ready.diagonal(-shift * n_originals).fill_(1)
    return ready.fill_diagonal_(0)


def log_partition(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax over the others: probabilities and the logarithm of their normaliser.

    Parameters
    ----------
    logits : torch.Tensor, shape (n, n)
        Similarities divided by the temperature.

    Returns
    -------
    probabilities : torch.Tensor, shape (n, n)
        Rows sum to 1, the diagonal is 0.
    normaliser : torch.Tensor, shape (n,)
        log sum_{j != i} exp(logits_ij).
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()  # a normaliser of three digits would make rows sum to anything
    n = len(logits)
    itself = torch.eye(n, dtype=torch.bool, device=logits.device)
    # -inf and not a large finite number: exact zeros in every dtype, bfloat16 and float16 included
    others = logits.masked_fill(itself, float("-inf"))
    normaliser = torch.logsumexp(others, dim=1)
    return torch.exp(others - normaliser[:, None]), normaliser


def soft_contrastive_loss(
    z: torch.Tensor,
    weights: torch.Tensor,
    n_views: int,
    temperature: float,
    *,
    normalise: bool = False,
) -> torch.Tensor:
    """Contrastive loss in which every pair counts by its weight.

    With p_ij the softmax over j != i of z_i . z_j / temperature, the loss is
    sum_{i != j} w_ij * (-log p_ij) / (n (n - 1)); pairs of views of one sample weigh 1.
    All rows are anchors. For equal z and zero weights of negatives it is log(n - 1) / (n - 1).

    Parameters
    ----------
    z : torch.Tensor, shape (n, width)
        Projections, rows [originals; view 1; ...].
    weights : torch.Tensor, shape (n, n)
        Soft assignments (see `soft_assignments`); their diagonal and positive pairs are ignored.
    n_views : int
        Views per sample, the original counted: one masked copy makes 2.
    temperature : float
        Divides the similarities; above 0.
    normalise : bool
        Whether `z` is brought to length 1 first. The released code does not.

    Returns
    -------
    torch.Tensor, scalar
        The loss.

    Raises
    ------
    ConfigError
        If `n_views` does not divide n, or the temperature is not above 0.
    """
    _check_temperature(temperature)
    if normalise:
        z = F.normalize(z, dim=1)
    logits = z @ z.T / temperature
    _, normaliser = log_partition(logits)
    return weighted_negative_log(logits, normaliser, pair_weights(weights, n_views))


def weighted_negative_log(
    logits: torch.Tensor, normaliser: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Return sum_{i != j} w_ij (-log p_ij) / (n (n - 1)) without a matrix of log p.

    -log p_ij = normaliser_i - logits_ij, so the sum is that of the normalisers times the rows'
    weights, minus the weighted logits.

    Parameters
    ----------
    logits : torch.Tensor, shape (n, n)
        Similarities divided by the temperature.
    normaliser : torch.Tensor, shape (n,)
        From `log_partition`.
    weights : torch.Tensor, shape (n, n)
        From `pair_weights`: zero diagonal.

    Returns
    -------
    torch.Tensor, scalar
        The loss.
    """
    n = len(logits)
    total = weights.sum(dim=1) @ normaliser - (weights * logits).sum()
    return total / (n * (n - 1))


def aggregate(
    similarity: torch.Tensor, h: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rebuild each sample from the others, by their similarity.

    Parameters
    ----------
    similarity : torch.Tensor, shape (n, n)
        z z^T.
    h : torch.Tensor, shape (n, ...)
        What is averaged: the encoder's maps, flattened or not.
    temperature : float
        Divides the similarities; above 0.

    Returns
    -------
    weights : torch.Tensor, shape (n, n)
        Rows sum to 1, the diagonal is 0.
    rebuilt : torch.Tensor, shape of `h`
        ``weights @ h``.

    Raises
    ------
    ConfigError
        If the temperature is not above 0.
    """
    _check_temperature(temperature)
    weights, _ = log_partition(similarity / temperature)
    weights = weights.to(h.dtype)
    return weights, (weights @ h.flatten(1)).view_as(h)


def reconstruction_loss(
    rebuilt: torch.Tensor,
    x: torch.Tensor,
    n_views: int,
    *,
    target: str = "own_input",
    rows: str = "all",
) -> torch.Tensor:
    """Mean squared error between rebuilt and wanted inputs.

    Parameters
    ----------
    rebuilt : torch.Tensor, shape (n, n_features) or (n, n_channels, n_bands)
        Decoder output for all rows [originals; view 1; ...].
    x : torch.Tensor, shape (n, n_channels, n_bands)
        The network's input rows.
    n_views : int
        Views per sample, the original counted.
    target : {"own_input", "original"}
        ``own_input``: masked rows must rebuild their masked input (released code); ``original``:
        they must rebuild the original.
    rows : {"all", "originals"}
        Which rows count; ``originals`` is how the paper's figure 2 draws it.

    Returns
    -------
    torch.Tensor, scalar
        The loss.
    """
    n_originals = len(x) // n_views
    wanted = x.flatten(1)
    rebuilt = rebuilt.flatten(1)
    if rows == "originals":
        return F.mse_loss(rebuilt[:n_originals], wanted[:n_originals])
    if target == "original":
        wanted = wanted[:n_originals].repeat(n_views, 1)
    return F.mse_loss(rebuilt, wanted)


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ConfigError(f"'temperature' must be above 0; received {temperature!r}.")
