"""Soft assignments: how far each pair of samples counts as alike.

SCMM (arXiv 2408.09186) weighs every pair of a batch by the likeness of its inputs, so that
neighbours in time or feelings shared between people are not pushed apart. The weight falls with
the distance d' of the inputs as

    w = 2 * upper_bound / (1 + exp(d' / sharpness)),

which is SoftCLT's sigmoid (Lee et al., ICLR 2024) with a dividing instead of a multiplying scale.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from affectrum.errors import ConfigError, check_option

__all__ = [
    "METRICS",
    "SCALINGS",
    "DistanceScaling",
    "Metric",
    "distance_quantile",
    "pairwise_distances",
    "scaled_distances",
    "sharpness_by_quantile",
    "soft_assignments",
]

Metric = Literal["cosine", "euclidean", "manhattan"]
METRICS: tuple[str, ...] = get_args(Metric)
DistanceScaling = Literal["column", "row", "global", "none"]
SCALINGS: tuple[str, ...] = get_args(DistanceScaling)

_MANHATTAN_ROWS = 8


def pairwise_distances(x: torch.Tensor, metric: Metric = "cosine") -> torch.Tensor:
    """Distances between all pairs of samples.

    Parameters
    ----------
    x : torch.Tensor, shape (n, ...)
        Samples; axes after the first are flattened.
    metric : {"cosine", "euclidean", "manhattan"}
        ``cosine`` is 1 - cos, and 1 for a sample that is all zero.

    Returns
    -------
    torch.Tensor, shape (n, n)
        Distances, without gradient, dtype of `x`.

    Raises
    ------
    ConfigError
        If the metric is unknown.
    """
    check_option("metric", metric, METRICS)
    flat = x.detach().flatten(1)
    if metric == "cosine":
        unit = F.normalize(flat, dim=1)
        return torch.mm(unit, unit.T).neg_().add_(1)
    if metric == "manhattan":
        return _manhattan(flat)
    if flat.dtype in (torch.float64, torch.complex128):
        return torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    # |a - b|^2 = |a|^2 + |b|^2 - 2ab cancels for close pairs: in float64 what is left is still
    # finer than a float32, and one matrix product is several times faster than the differences
    wide = flat.double()
    wide = wide - wide.mean(dim=0)
    squares = wide.square().sum(dim=1)
    product = torch.mm(wide, wide.T)
    squared = (squares[:, None] + squares[None, :]).sub_(product, alpha=2)
    return squared.clamp_(min=0).sqrt_().to(flat.dtype)


def _manhattan(flat: torch.Tensor) -> torch.Tensor:
    """Sum of absolute differences: half of the pairs, a few rows at a time.

    A few rows against all stay in the processor's cache. ``torch.cdist`` takes twice the time and
    adds the features up one by one, which costs a digit in float32.
    """
    n = len(flat)
    distances = flat.new_empty(n, n)
    for start in range(0, n, _MANHATTAN_ROWS):
        rows = slice(start, start + _MANHATTAN_ROWS)
        part = (flat[rows, None] - flat[None, start:]).abs_().sum(dim=-1)
        distances[rows, start:] = part
        distances[start:, rows] = part.T
    return distances


def scaled_distances(distances: torch.Tensor, scaling: DistanceScaling = "column") -> torch.Tensor:
    """Bring a square matrix of distances to the range 0 to 1.

    The diagonal first gets the smallest off-diagonal value of the whole matrix, as in the released
    code. Then each column (``column``, as released: its result is not symmetric), each row
    (``row``) or the matrix (``global``) is scaled by its minimum and maximum. A range of zero
    counts as 1. ``none`` leaves the distances as they are, with zeros on the diagonal, so that a
    pair's weight does not depend on the rest of its batch.

    Parameters
    ----------
    distances : torch.Tensor, shape (n, n)
        Pairwise distances.
    scaling : {"column", "row", "global", "none"}
        What is scaled together.

    Returns
    -------
    torch.Tensor, shape (n, n)
        Scaled distances; a new tensor.

    Raises
    ------
    ConfigError
        If the scaling is unknown or there are fewer than two samples.
    """
    check_option("distance_scaling", scaling, SCALINGS)
    n = distances.shape[0]
    if n < 2:
        raise ConfigError(f"Soft assignments need at least 2 samples; received {n}.")
    if scaling == "none":
        return distances.clone().fill_diagonal_(0)
    filled = distances.clone()
    filled.fill_diagonal_(float("inf"))
    lowest = filled.min()
    filled.diagonal().copy_(lowest.expand(n))
    # The diagonal holds the smallest value of all, so every column's and row's minimum is that one
    if scaling == "column":
        span = filled.amax(dim=0, keepdim=True) - lowest
    elif scaling == "row":
        span = filled.amax(dim=1, keepdim=True) - lowest
    else:
        span = filled.amax() - lowest
    span = torch.where(span > 0, span, torch.ones_like(span))
    return filled.sub_(lowest).div_(span)


def soft_assignments(
    x: torch.Tensor,
    upper_bound: float,
    sharpness: float,
    metric: Metric = "cosine",
    *,
    scaling: DistanceScaling = "column",
    n_views: int = 1,
    rows: Literal["all", "originals"] = "all",
) -> torch.Tensor:
    """Weights of all pairs of samples, from the likeness of their inputs.

    Parameters
    ----------
    x : torch.Tensor, shape (n, ...)
        Inputs; axes after the first are flattened. With masked views the rows are
        [originals; view 1; ...].
    upper_bound : float
        The paper's alpha: weight of a pair at distance 0, above 0 and at most 1.
    sharpness : float
        The paper's tau, which divides the scaled distance: at tau a weight has fallen to 0.54 of
        `upper_bound`, at 2.94 tau to a tenth; above 0.
    metric : {"cosine", "euclidean", "manhattan"}
        Distance of the inputs.
    scaling : {"column", "row", "global", "none"}
        How distances are brought to 0 to 1, see `scaled_distances`; ``column`` as released.
    n_views : int
        Views per sample, the original counted; used with ``rows="originals"``.
    rows : {"all", "originals"}
        ``all`` (as released) compares masked rows as they are; since half-masked vectors are far
        from everything, the masks then decide most of the weights. ``originals`` compares the
        original rows only and gives their weights to all their views.

    Returns
    -------
    torch.Tensor, shape (n, n)
        Weights between 0 and `upper_bound`, without gradient. The diagonal has no meaning.

    Raises
    ------
    ConfigError
        If a parameter is not allowed, or `n_views` does not divide the number of rows.
    """
    faults = []
    if not 0 < upper_bound <= 1:
        faults.append(f"'upper_bound' must be above 0 and at most 1; received {upper_bound!r}")
    if not sharpness > 0:
        faults.append(f"'sharpness' must be above 0; received {sharpness!r}")
    if n_views < 1 or len(x) % n_views:
        faults.append(f"'n_views' must divide the {len(x)} rows; received {n_views!r}")
    if faults:
        raise ConfigError("Soft assignments: " + "; ".join(faults) + ".")
    check_option("rows", rows, ("all", "originals"))
    with torch.no_grad():
        compared = x[: len(x) // n_views] if rows == "originals" else x
        scaled = scaled_distances(pairwise_distances(compared, metric), scaling)
        weights = scaled.div_(-sharpness).sigmoid_().mul_(2 * upper_bound)
        return weights.repeat(n_views, n_views) if rows == "originals" else weights


def distance_quantile(
    x: torch.Tensor,
    quantile: float,
    metric: Metric = "cosine",
    scaling: DistanceScaling = "none",
) -> float:
    """A quantile of the (scaled) distances between different samples.

    Parameters
    ----------
    x : torch.Tensor, shape (n, ...)
        Samples, for example a random thousand of the source windows.
    quantile : float
        Between 0 and 1, both excluded.
    metric, scaling
        See `soft_assignments`.

    Returns
    -------
    float
        Above 0; the smallest positive distance if the quantile itself is 0 (many equal samples),
        and 1.0 if all samples are equal.

    Raises
    ------
    ConfigError
        If `quantile` is not between 0 and 1.

    See Also
    --------
    sharpness_by_quantile : The sharpness that goes with it.
    """
    if not 0 < quantile < 1:
        raise ConfigError(f"'sharpness' as a quantile lies between 0 and 1; received {quantile!r}.")
    scaled = scaled_distances(pairwise_distances(x, metric), scaling)
    apart = ~torch.eye(len(x), dtype=torch.bool, device=x.device)
    ordered = scaled[apart].double().sort().values
    value = float(ordered[round(quantile * (len(ordered) - 1))])
    if value > 0:
        return value
    positive = ordered[ordered > 0]
    return float(positive[0]) if len(positive) else 1.0


def sharpness_by_quantile(
    x: torch.Tensor,
    share: float,
    metric: Metric = "cosine",
    scaling: DistanceScaling = "none",
) -> float:
    """The sharpness at which a given share of all pairs weighs more than a tenth of the bound.

    This makes the weights free of scale: what counts as near follows from the corpus's own
    distances, whatever its scaling, its number of electrodes or the metric. A weight is a tenth of
    the upper bound where 2 / (1 + exp(d / tau)) = 1 / 10, so tau = d / log(19) with the quantile d
    of the distances.

    Parameters
    ----------
    x : torch.Tensor, shape (n, ...)
        Samples, for example a random thousand of the source windows.
    share : float
        Between 0 and 1, both excluded.
    metric, scaling
        See `soft_assignments`.

    Returns
    -------
    float
        Above 0.
    """
    return distance_quantile(x, share, metric, scaling) / math.log(19)
