"""A multilayer perceptron on the windows' features."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from affectrum.methods.base import MethodConfig
from affectrum.methods.baselines.neural import NeuralArm, NeuralConfig
from affectrum.methods.registry import register

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MLP", "MLPConfig"]


class MLPConfig(NeuralConfig):
    """Parameters of the multilayer perceptron."""

    hidden: tuple[int, ...] = Field((128, 64), description="widths of the hidden layers")
    dropout: float = Field(0.3, ge=0, lt=1, description="share of hidden units left out")


@register
class MLP(NeuralArm):
    """Multilayer perceptron: batch-normalised input, ReLU layers with dropout, cross-entropy."""

    Config: ClassVar[type[MethodConfig]] = MLPConfig
    name: ClassVar[str] = "mlp"
    title: ClassVar[str] = "Multilayer perceptron"
    description: ClassVar[str] = "Small fully connected network on the windows' features."
    sees: ClassVar[str] = "labelled windows of its arm"

    def _build(self, n_channels: int, n_features: int, n_classes: int) -> nn.Module:
        from torch import nn

        n_in = n_channels * n_features
        # Normalising the input makes one learning rate fit every scaling scope.
        layers: list[nn.Module] = [nn.Flatten(), nn.BatchNorm1d(n_in)]
        for width in self.config.hidden:
            layers += [nn.Linear(n_in, width), nn.ReLU(), nn.Dropout(self.config.dropout)]
            n_in = width
        layers.append(nn.Linear(n_in, n_classes))
        return nn.Sequential(*layers)
