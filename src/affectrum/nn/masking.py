"""Masks over electrodes and bands, for masked modelling.

Four modes, named as in the masked-modelling part of SCMM (arXiv 2408.09186):

``random``
    each (electrode, band) entry is masked independently;
``channel``
    all bands of an electrode are masked together;
``hybrid``
    each electrode draws which of the two applies to it: with probability `threshold` the
    all-or-nothing channel mask, else the element-wise random mask;
``parallel``
    as ``hybrid``, drawn once per sample instead of once per electrode.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from affectrum.errors import ConfigError, check_option

__all__ = ["MASK_MODES", "MaskMode", "draw_mask", "masked_views"]

MaskMode = Literal["hybrid", "random", "channel", "parallel"]
MASK_MODES: tuple[str, ...] = get_args(MaskMode)


def draw_mask(
    shape: tuple[int, int, int],
    generator: torch.Generator,
    *,
    mode: MaskMode = "hybrid",
    ratio: float = 0.5,
    threshold: float = 0.1,
) -> torch.Tensor:
    """Draw which entries are masked.

    With ``ratio=0.5`` and ``threshold=0.1`` half of all entries are masked, and 7.8 % of the
    electrodes wholly (by chance it would be 3.1 %): 0.9 * 0.5**5 + 0.1 * 0.5 at five bands.

    Parameters
    ----------
    shape : tuple of int
        (n_samples, n_channels, n_bands).
    generator : torch.Generator
        Source of randomness; its device is the mask's device.
    mode : {"hybrid", "random", "channel", "parallel"}
        Which entries are masked together.
    ratio : float
        Probability that an entry is masked, between 0 and 1.
    threshold : float
        Probability of the channel mask in the modes ``hybrid`` and ``parallel``.

    Returns
    -------
    torch.Tensor, shape (n_samples, n_channels, n_bands), bool
        True where an entry is masked.

    Raises
    ------
    ConfigError
        If the mode is unknown or a probability lies outside 0 to 1.
    """
    check_option("mask_mode", mode, MASK_MODES)
    for name, value in (("mask_ratio", ratio), ("mask_threshold", threshold)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name!r} is a probability from 0 to 1; received {value!r}.")
    n_samples, n_channels, _ = shape
    device = generator.device

    def uniform(*size: int) -> torch.Tensor:
        return torch.rand(size, generator=generator, device=device)

    if mode == "random":
        return uniform(*shape) < ratio
    whole = uniform(n_samples, n_channels, 1) < ratio
    if mode == "channel":
        return whole.expand(shape).clone()
    n_draws = n_channels if mode == "hybrid" else 1
    use_whole = uniform(n_samples, n_draws, 1) <= threshold
    return torch.where(use_whole, whole, uniform(*shape) < ratio)


def masked_views(
    x: torch.Tensor,
    generator: torch.Generator,
    *,
    n_masked: int = 1,
    mode: MaskMode = "hybrid",
    ratio: float = 0.5,
    threshold: float = 0.1,
    value: float | torch.Tensor = 0.0,
) -> torch.Tensor:
    """Make masked copies of a batch; the batch itself is never changed.

    Parameters
    ----------
    x : torch.Tensor, shape (n_samples, n_channels, n_bands)
        Features.
    generator : torch.Generator
        Source of randomness, on the CPU or on the device of `x`.
    n_masked : int
        How many masked copies of each sample.
    mode, ratio, threshold
        See `draw_mask`.
    value : float or torch.Tensor, shape (n_channels, n_bands)
        What a masked entry holds: a number, or one number per electrode and band.

    Returns
    -------
    torch.Tensor, shape (n_masked * n_samples, n_channels, n_bands)
        First copy of all samples, then the second copy of all samples, and so on.

    Raises
    ------
    ConfigError
        If `n_masked` is below 1, or a mask parameter is not allowed.
    """
    if n_masked < 1:
        raise ConfigError(f"'n_masked' counts masked copies, at least 1; received {n_masked!r}.")
    n_samples, n_channels, n_bands = x.shape
    mask = draw_mask(
        (n_masked * n_samples, n_channels, n_bands),
        generator,
        mode=mode,
        ratio=ratio,
        threshold=threshold,
    ).to(x.device)
    copies = x if n_masked == 1 else x.repeat(n_masked, 1, 1)
    # torch.where and the out-of-place masked_fill allocate: the copies share no memory with `x`
    if isinstance(value, torch.Tensor):
        return torch.where(mask, value.to(x), copies)
    return copies.masked_fill(mask, value)
