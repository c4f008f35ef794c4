"""EMOD's loss, guided by valence and arousal, and the three losses it is compared with.

All four are one loss with other weights of pairs: with p_ij the softmax over all others of
z_i . z_j / temperature and w_ij the weight of the pair, an anchor's loss is the mean of -log p_ij
over the others, weighted by w_ij, and the loss is the mean over anchors (arXiv:2511.05863, eqs 5
and 6; the paper's equation sums over anchors, its code takes the mean). An anchor without a
positive counts 0. What is computed is computed in float32 (float64 if `z` is), also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch.autograd.function import once_differentiable

from affectrum.errors import ConfigError, check_option
from affectrum.methods.emod.gathering import gather_rows

__all__ = [
    "HARD_RULES",
    "HardRule",
    "gather_rows",
    "hard_va_loss",
    "instance_loss",
    "pair_weights",
    "supcon_loss",
    "va_contrastive_loss",
]

HardRule = Literal["cell", "region", "near"]
HARD_RULES: tuple[str, ...] = get_args(HardRule)

# Weights of the pairs (rows start..stop, all): (start, stop) -> (stop - start, n).
_Weigh = Callable[[int, int], torch.Tensor]

# An anchor whose weights sum to less has no positive (the released code's number).
_NO_POSITIVE = 1e-6


def va_contrastive_loss(
    z: torch.Tensor,
    va: torch.Tensor,
    max_distance: float = 5.0,
    temperature: float = 0.07,
    *,
    chunk: int | None = None,
) -> torch.Tensor:
    """EMOD's contrastive loss: a pair counts by how near its two places in the plane are.

    Parameters
    ----------
    z : torch.Tensor, shape (n, width)
        Projections of length 1; they are taken as given.
    va : torch.Tensor, shape (n, 2)
        Valence and arousal on -4..4 (see `affectrum.affect.plane_to_emod`); NaN where not known:
        such a row repels and attracts nobody.
    max_distance : float
        Where weights end, in the unit of `va`: w = max(0, 1 - distance / max_distance). The paper's
        5; its code takes the square of this as ``max_dist``.
    temperature : float
        Divides similarities.
    chunk : int or None
        Anchors at a time: memory grows with chunk x n instead of n x n; loss and gradients are the
        same up to rounding. None: all at once.

    Returns
    -------
    torch.Tensor, scalar
        Mean over anchors, float32 or float64.

    Raises
    ------
    ConfigError
        If shapes don't fit, or a number is not above 0.

    See Also
    --------
    gather_rows : Rows of all processes, with gradients.

    References
    ----------
    Chen, Zhao, Li, Pan: EMOD, AAAI 2026, doi:10.1609/aaai.v40i21.38796, eqs 5 and 6.

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.6, 0.8]])
    >>> va = torch.tensor([[0.0, 0.0], [3.0, 2.0], [-1.0, 2.0], [2.0, 1.0]])
    >>> round(float(va_contrastive_loss(z, va)), 4)
    7.6999
    """
    _above_zero("max_distance", max_distance)
    places = _places(z, va)
    return _contrast(
        z, lambda start, stop: _soft(places[start:stop], places, max_distance), temperature, chunk
    )


def hard_va_loss(
    z: torch.Tensor,
    va: torch.Tensor,
    rule: HardRule,
    max_distance: float,
    temperature: float,
    *,
    chunk: int | None = None,
) -> torch.Tensor:
    """The paper's ablation "HardVA": a pair is positive or not, by its places in the plane.

    The paper does not say when two places are the same; the rule is a choice.

    Parameters
    ----------
    z : torch.Tensor, shape (n, width)
        Projections of length 1.
    va : torch.Tensor, shape (n, 2)
        Valence and arousal on -4..4; NaN where not known.
    rule : {"cell", "region", "near"}
        Same cell of the 9 x 9 grid of whole levels, same of its nine 3 x 3 regions, or nearer than
        `max_distance`.
    max_distance : float
        For ``near``, in the unit of `va`.
    temperature : float
        Divides similarities.
    chunk : int or None
        Anchors at a time; None: all at once.

    Returns
    -------
    torch.Tensor, scalar
        Mean over anchors.

    Raises
    ------
    ConfigError
        If shapes don't fit, the rule is not known, or a number is not above 0.
    """
    check_option("rule", rule, HARD_RULES)
    if rule != "near":
        places = _places(z, va)
        # rounding down as in affect.emod_regions; the upper end belongs to the last level
        levels = torch.floor(places + 4).clamp_(0, 8)
        if rule == "region":
            levels = torch.div(levels, 3, rounding_mode="floor")
        labels = torch.nan_to_num(levels[:, 0] + 9 * levels[:, 1], nan=-1.0)
        return supcon_loss(z, labels, temperature, chunk=chunk)
    _above_zero("max_distance", max_distance)
    places = _places(z, va)

    def weigh(start: int, stop: int) -> torch.Tensor:
        return (_soft(places[start:stop], places, max_distance) > 0).to(places.dtype)

    return _contrast(z, weigh, temperature, chunk)


def supcon_loss(
    z: torch.Tensor, labels: torch.Tensor, temperature: float, *, chunk: int | None = None
) -> torch.Tensor:
    """Supervised contrastive loss: pairs of one label are positive.

    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, arXiv:2004.11362, eq. 2 (the sum
    outside of the logarithm), with the mean over anchors and one view per row.

    Parameters
    ----------
    z : torch.Tensor, shape (n, width)
        Projections of length 1.
    labels : torch.Tensor, shape (n,)
        Numbers; below 0: not known, positive to nobody.
    temperature : float
        Divides similarities.
    chunk : int or None
        Anchors at a time; None: all at once.

    Returns
    -------
    torch.Tensor, scalar
        Mean over anchors.

    Raises
    ------
    ConfigError
        If shapes don't fit, or a number is not above 0.
    """
    if labels.shape != z.shape[:1]:
        raise ConfigError(
            f"'labels' has shape {tuple(labels.shape)}; expected ({len(z)},), one a row of z."
        )
    labels = labels.detach().to(z.device)
    dtype = _computed_in(z)

    def weigh(start: int, stop: int) -> torch.Tensor:
        own = labels[start:stop, None]
        return ((own == labels) & (own >= 0)).to(dtype)

    return _contrast(z, weigh, temperature, chunk)


def instance_loss(
    z_first: torch.Tensor,
    z_second: torch.Tensor,
    temperature: float,
    *,
    chunk: int | None = None,
) -> torch.Tensor:
    """Instance discrimination: two views of one window are positive, everything else is not.

    SimCLR's NT-Xent (Chen et al., ICML 2020, arXiv:2002.05709); the paper's ablation "Augment",
    whose views it does not describe.

    Parameters
    ----------
    z_first, z_second : torch.Tensor, shape (n, width)
        Projections of length 1 of the two views, in the same order.
    temperature : float
        Divides similarities.
    chunk : int or None
        Anchors at a time, of 2 n; None: all at once.

    Returns
    -------
    torch.Tensor, scalar
        Mean over the 2 n anchors.

    Raises
    ------
    ConfigError
        If the two shapes differ, or a number is not above 0.
    """
    if z_first.shape != z_second.shape:
        raise ConfigError(
            f"The two views have shapes {tuple(z_first.shape)} and {tuple(z_second.shape)}; "
            "expected the same."
        )
    window = torch.arange(len(z_first), device=z_first.device).repeat(2)
    return supcon_loss(torch.cat([z_first, z_second]), window, temperature, chunk=chunk)


def pair_weights(va: torch.Tensor, max_distance: float) -> torch.Tensor:
    """Weights of all pairs: max(0, 1 - distance / max_distance).

    Parameters
    ----------
    va : torch.Tensor, shape (n, 2)
        Valence and arousal on -4..4; NaN where not known.
    max_distance : float
        Where weights end, in the unit of `va`.

    Returns
    -------
    torch.Tensor, shape (n, n)
        0 to 1, symmetric, 1 on the diagonal; 0 where a place is not known.

    Raises
    ------
    ConfigError
        If the shape does not fit, or `max_distance` is not above 0.
    """
    _above_zero("max_distance", max_distance)
    places = _places(va, va)
    return _soft(places, places, max_distance)


# ------------------------------------------------------------------------------------ inside


def _soft(first: torch.Tensor, second: torch.Tensor, max_distance: float) -> torch.Tensor:
    # axis by axis: a product of matrices would lose the digits of near places
    distance = torch.hypot(first[:, None, 0] - second[:, 0], first[:, None, 1] - second[:, 1])
    return torch.nan_to_num((1 - distance / max_distance).clamp_(min=0), nan=0.0)


def _contrast(
    z: torch.Tensor, weigh: _Weigh, temperature: float, chunk: int | None
) -> torch.Tensor:
    _above_zero("temperature", temperature)
    if z.ndim != 2 or len(z) < 2:
        raise ConfigError(
            f"'z' has shape {tuple(z.shape)}; expected (n, width) with at least two rows."
        )
    if chunk is not None and chunk < 1:
        raise ConfigError(f"'chunk' counts anchors, at least 1, or is None; received {chunk!r}.")
    with torch.autocast(device_type=z.device.type, enabled=False):
        z = z.to(_computed_in(z))
        loss: torch.Tensor = _Contrast.apply(  # type: ignore[no-untyped-call]
            z, weigh, temperature, len(z) if chunk is None else chunk
        )
        return loss


def _anchors(
    own: torch.Tensor, z: torch.Tensor, start: int, weigh: _Weigh, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of some anchors' losses, and its derivatives by their similarities / temperature."""
    logits = own @ z.T / temperature
    weights = weigh(start, start + len(own))
    row = torch.arange(len(own), device=z.device)
    weights[row, row + start] = 0
    total = weights.sum(dim=1)
    counted = (total > _NO_POSITIVE).to(z.dtype)
    shares = weights.mul_((counted / total.clamp(min=_NO_POSITIVE))[:, None])
    attracted = (shares * logits).sum(dim=1)
    logits[row, row + start] = float("-inf")  # nobody is their own negative
    normaliser = torch.logsumexp(logits, dim=1)
    probabilities = logits.sub_(normaliser[:, None]).exp_()
    slopes = probabilities.mul_(counted[:, None]).sub_(shares)
    return (normaliser * counted - attracted).sum(), slopes


class _Contrast(torch.autograd.Function):
    """The loss by blocks of anchors, and its gradient along with it: a block is used and let go."""

    @staticmethod
    def forward(
        ctx: Any, z: torch.Tensor, weigh: _Weigh, temperature: float, chunk: int
    ) -> torch.Tensor:
        n = len(z)
        total = z.new_zeros(())
        gradient = torch.zeros_like(z) if ctx.needs_input_grad[0] else None
        for start in range(0, n, chunk):
            own = z[start : start + chunk]
            losses, slopes = _anchors(own, z, start, weigh, temperature)
            total += losses
            if gradient is not None:
                slopes /= n * temperature
                gradient[start : start + chunk] += slopes @ z
                gradient.addmm_(slopes.T, own)
        ctx.save_for_backward(gradient)
        return total / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return None if gradient is None else gradient * upstream, None, None, None


def _computed_in(z: torch.Tensor) -> torch.dtype:
    return torch.float64 if z.dtype == torch.float64 else torch.float32


def _places(z: torch.Tensor, va: torch.Tensor) -> torch.Tensor:
    if va.ndim != 2 or va.shape[1] != 2 or len(va) != len(z):
        raise ConfigError(
            f"'va' has shape {tuple(va.shape)}; expected ({len(z)}, 2): valence and arousal on "
            "-4..4, one row for each of z."
        )
    return va.detach().to(device=z.device, dtype=_computed_in(z))


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name!r} must be above 0; received {value!r}.")
