"""Parameters of DANN and DAN."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from affectrum.methods.baselines.neural import NeuralConfig
from affectrum.methods.baselines.target import SourceArm

__all__ = ["AdaptiveConfig", "DANConfig", "DANNConfig"]


class AdaptiveConfig(NeuralConfig):
    """What both have: the network, and how much weighs the likeness of the domains."""

    arm: SourceArm = Field("source", description="always the source: the target has no labels here")
    hidden: tuple[int, ...] = Field(
        (128, 64), min_length=1, description="widths of the feature layers"
    )
    standardise: Literal["domain", "source"] = Field(
        "domain",
        description="features by each domain's own mean and deviation (the target's by its granted "
        "windows), or all by the source's",
    )
    adaptation_weight: float = Field(
        1.0, ge=0, description="weight of the likeness of domains beside cross-entropy; 0: none"
    )
    warm_up: bool = Field(
        True, description="let that weight grow from 0: 2 / (1 + exp(-10 p)) - 1 after a share p"
    )


class DANNConfig(AdaptiveConfig):
    """Parameters of DANN."""

    discriminator: int = Field(64, ge=1, description="width of the domain discriminator")


class DANConfig(AdaptiveConfig):
    """Parameters of DAN."""

    bandwidths: tuple[float, ...] = Field(
        (0.25, 0.5, 1.0, 2.0, 4.0),
        min_length=1,
        description="kernels' bandwidths, in units of the mean squared distance",
    )
