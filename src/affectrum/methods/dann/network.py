"""The networks: features and classes, and the discriminator of domains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["Discriminator", "FeatureClassifier"]


class FeatureClassifier(nn.Module):
    """Feature layers with ReLU, then one linear layer to the classes.

    Parameters
    ----------
    n_channels, n_features : int
        Shape of a window.
    hidden : sequence of int
        Widths of the feature layers.
    n_classes : int
        Classes.

    Attributes
    ----------
    center, scale : torch.Tensor, shape (n_channels, n_features)
        What `forward` subtracts from the target's windows and divides them by.
    """

    center: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, n_channels: int, n_features: int, hidden: Sequence[int], n_classes: int
    ) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(n_channels, n_features))
        self.register_buffer("scale", torch.ones(n_channels, n_features))
        width_in = n_channels * n_features
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(width_in, width), nn.ReLU()]
            width_in = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width_in, n_classes)
        self.n_hidden = width_in

    def layers(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the last feature layer and the logits of standardised windows.

        Parameters
        ----------
        z : torch.Tensor, shape (n, n_channels, n_features)
            Windows, standardised by their own domain.

        Returns
        -------
        torch.Tensor, shape (n, n_hidden)
            Last feature layer.
        torch.Tensor, shape (n, n_classes)
            Logits.
        """
        hidden = self.features(z.flatten(start_dim=1))
        return hidden, self.classifier(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the target's windows, shape (n, n_classes), from windows as they are."""
        return self.layers((x - self.center) / self.scale)[1]


class Discriminator(nn.Module):
    """Tells source (0) from target (1) by the last feature layer.

    Parameters
    ----------
    n_hidden : int
        Width of the last feature layer.
    width : int
        Width of its own hidden layer.
    """

    def __init__(self, n_hidden: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_hidden, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of "target", shape (n,)."""
        logits: torch.Tensor = self.layers(hidden).squeeze(dim=1)
        return logits
