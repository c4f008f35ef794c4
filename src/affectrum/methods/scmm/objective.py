"""One pre-training step's objective: views, soft weights, contrastive and reconstruction loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.fused import contrast_and_aggregate
from affectrum.methods.scmm.losses import (
    aggregate,
    pair_weights,
    reconstruction_loss,
    soft_contrastive_loss,
)
from affectrum.methods.scmm.network import SCMMNetwork
from affectrum.methods.scmm.weights import soft_assignments
from affectrum.nn.losses import AutomaticWeighting
from affectrum.nn.masking import masked_views

__all__ = ["Objective", "StepLosses", "WeightSettings", "make_views", "make_weighting"]


@dataclass(frozen=True)
class WeightSettings:
    """The settings that may be left open, as they are in use.

    Attributes
    ----------
    upper_bound : float
        Weight of a pair at distance 0.
    sharpness : float
        As a distance, whatever the rule it came from.
    temperature : float
        Divides similarities.
    quantile : float or None
        The quantile that `sharpness` came from.
    """

    upper_bound: float
    sharpness: float
    temperature: float
    quantile: float | None = None


@dataclass(frozen=True)
class StepLosses:
    """Losses of one batch; those that are switched off are None."""

    total: torch.Tensor
    contrastive: torch.Tensor | None
    reconstruction: torch.Tensor | None


def make_views(
    x: torch.Tensor,
    config: SCMMConfig,
    mask_value: float | torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Stack a batch and its masked copies.

    Parameters
    ----------
    x : torch.Tensor, shape (n, n_channels, n_bands)
        A batch; it is never changed.
    config : SCMMConfig
        Masking parameters. With ``mask_alias`` the originals' rows hold the masked copy too, as
        the released code's in-place masking makes them.
    mask_value : float or torch.Tensor, shape (n_channels, n_bands)
        What masked entries hold.
    generator : torch.Generator
        Source of the masks.

    Returns
    -------
    torch.Tensor, shape ((1 + n_masked) * n, n_channels, n_bands)
        Rows [originals; view 1; ...].
    """
    views = masked_views(
        x,
        generator,
        n_masked=config.n_masked,
        mode=config.mask_mode,
        ratio=config.mask_ratio,
        threshold=config.mask_threshold,
        value=mask_value,
    )
    return torch.cat([views if config.mask_alias else x, views])


class Objective:
    """SCMM's pre-training objective for one batch.

    Parameters
    ----------
    network : SCMMNetwork
        The network.
    weighting : AutomaticWeighting or None
        Learnt loss weights; None adds the losses up.
    config : SCMMConfig
        Switches.
    settings : WeightSettings
        Soft weights and temperature in use.
    mask_value : float or torch.Tensor
        What masked entries hold.
    """

    def __init__(
        self,
        network: SCMMNetwork,
        weighting: nn.Module | None,
        config: SCMMConfig,
        settings: WeightSettings,
        mask_value: float | torch.Tensor,
    ) -> None:
        self.network = network
        self.weighting = weighting
        self.config = config
        self.settings = settings
        self.mask_value = mask_value
        self.n_views = 1 + config.n_masked

    def weights(self, views: torch.Tensor) -> torch.Tensor:
        """Weights of all pairs, positives 1, diagonal 0, shape (n, n)."""
        n = len(views)
        if not self.config.soft_weights:
            return pair_weights(views.new_zeros(n, n), self.n_views)
        soft = soft_assignments(
            views,
            self.settings.upper_bound,
            self.settings.sharpness,
            self.config.metric,
            scaling=self.config.distance_scaling,
            n_views=self.n_views,
            rows=self.config.weight_rows,
        )
        return pair_weights(soft, self.n_views)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> StepLosses:
        """Compute the losses of a batch.

        Parameters
        ----------
        x : torch.Tensor, shape (n, n_channels, n_bands)
            The batch.
        generator : torch.Generator
            Source of the masks.

        Returns
        -------
        StepLosses
            With gradients.
        """
        config = self.config
        views = make_views(x, config, self.mask_value, generator)
        h = self.network.embed(views)
        n_rebuilt = len(x) if config.recon_rows == "originals" else len(views)
        contrastive: torch.Tensor | None = None
        rebuilt: torch.Tensor | None = None
        if config.contrastive or config.aggregator:
            z = self.network.projector(h)
            if config.normalise_z:
                z = F.normalize(z, dim=1)
        if config.contrastive and config.reconstruction and config.aggregator:
            # The decoder is linear and shares sum to 1, so decoding before mixing gives the same
            # and mixes fewer columns
            decoded = F.linear(h, self.network.decoder.weight)
            contrastive, mixed = contrast_and_aggregate(
                z, decoded, self.weights(views), self.settings.temperature, n_rebuilt
            )
            rebuilt = mixed + self.network.decoder.bias
        else:
            if config.contrastive:
                contrastive = soft_contrastive_loss(
                    z, self.weights(views), self.n_views, self.settings.temperature
                )
            if config.reconstruction:
                mixed = h
                if config.aggregator:
                    _, mixed = aggregate(z @ z.T, h, self.settings.temperature)
                rebuilt = self.network.decoder(mixed[:n_rebuilt])
        reconstruction: torch.Tensor | None = None
        if rebuilt is not None:
            reconstruction = reconstruction_loss(
                rebuilt, views, self.n_views, target=config.recon_target, rows=config.recon_rows
            )
        losses = [loss for loss in (contrastive, reconstruction) if loss is not None]
        if self.weighting is not None:
            total = self.weighting(*losses)
        else:
            total = torch.stack(losses).sum()
        return StepLosses(total, contrastive, reconstruction)


def make_weighting(config: SCMMConfig) -> AutomaticWeighting | None:
    """Make the learnt loss weights, or None where losses are added up as they are."""
    n_losses = int(config.contrastive) + int(config.reconstruction)
    return AutomaticWeighting(n_losses) if config.loss_weighting == "automatic" else None
