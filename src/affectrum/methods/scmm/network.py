"""SCMM's network: a small convolutional encoder over bands, projector, decoder and classifier.

Sizes follow arXiv 2408.09186 and its released model; the bands are the length axis of the 1-D
convolutions and the electrodes their input channels.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from affectrum.errors import ConfigError
from affectrum.methods.scmm.blocks import normalise_pool_relu

__all__ = ["BandEncoder", "ConvolutionBlock", "SCMMNetwork"]

KERNEL = 8
PADDING = 4
# Up to this many bands a convolution is done as one matrix product per layer
_DENSE_LENGTH = 16


class ConvolutionBlock(nn.Module):
    """Convolution (kernel 8), batch normalisation, ReLU and max pooling (2, stride 2, padding 1).

    The kernel is longer than the signal, so for short signals the convolution is written as the
    dense matrix that it is: one matrix product instead of many small ones. Parameters and results
    are those of ``nn.Conv1d`` and ``nn.BatchNorm1d``.

    Maps go in and out as (n, length, channels), which makes normalisation and pooling work on
    contiguous rows.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    length : int
        Length of the incoming signal.
    """

    placement: torch.Tensor

    def __init__(self, n_in: int, n_out: int, length: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_in, n_out, KERNEL, padding=PADDING, bias=False)
        self.normalisation = nn.BatchNorm1d(n_out)
        self.length_in = length
        self.length_convolved = length + 2 * PADDING - KERNEL + 1
        self.length_out = (self.length_convolved + 2 - 2) // 2 + 1
        # tap of the kernel that joins input position p with output position q; KERNEL marks "none"
        taps = (
            torch.arange(length)[:, None] - torch.arange(self.length_convolved)[None, :] + PADDING
        )
        taps[(taps < 0) | (taps >= KERNEL)] = KERNEL
        self.register_buffer("placement", taps.flatten(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, length, n_in) to (n, length_out, n_out)."""
        n = len(x)
        if self.is_dense:
            maps = x.flatten(1) @ self.dense_weight()
        else:
            maps = self.convolution(x.transpose(1, 2)).transpose(1, 2)
        maps = maps.reshape(n, self.length_convolved, -1)
        return normalise_pool_relu(maps, self.normalisation)

    @property
    def is_dense(self) -> bool:
        """Whether the convolution is done as one matrix product."""
        return self.length_in <= _DENSE_LENGTH

    def dense_weight(self) -> torch.Tensor:
        """Return the convolution as a matrix.

        Returns
        -------
        torch.Tensor, shape (length * n_in, length_convolved * n_out)
            For rows flattened from (length, n_in).
        """
        weight = self.convolution.weight
        n_out, n_in, _ = weight.shape
        by_tap = F.pad(weight.permute(2, 1, 0), (0, 0, 0, 0, 0, 1))  # one tap more, all zero
        placed = by_tap.index_select(0, self.placement)
        placed = placed.view(self.length_in, self.length_convolved, n_in, n_out)
        return placed.transpose(1, 2).reshape(self.length_in * n_in, -1)


class BandEncoder(nn.Module):
    """Three convolution blocks: (n, n_channels, n_bands) to (n, width, length).

    Parameters
    ----------
    n_channels : int
        Electrodes.
    n_bands : int
        Frequency bands: the length of the signal.
    width : int
        Channels of the last block; the first two have a quarter and half of it.

    Attributes
    ----------
    lengths : tuple of int
        Length after each convolution and each pooling: 6, 4, 5, 3, 4, 3 for five bands.
    """

    def __init__(self, n_channels: int, n_bands: int, width: int) -> None:
        super().__init__()
        widths = (n_channels, width // 4, width // 2, width)
        blocks = []
        length = n_bands
        lengths: list[int] = []
        for n_in, n_out in itertools.pairwise(widths):
            block = ConvolutionBlock(n_in, n_out, length)
            lengths += [block.length_convolved, block.length_out]
            length = block.length_out
            blocks.append(block)
        self.blocks = nn.ModuleList(blocks)
        self.lengths = tuple(lengths)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, n_channels, n_bands) to (n, width, length)."""
        maps = x.transpose(1, 2)
        for block in self.blocks:
            maps = block(maps)
        return maps.transpose(1, 2)


class SCMMNetwork(nn.Module):
    """Encoder, projector and decoder of SCMM.

    Parameters
    ----------
    n_channels : int
        Electrodes.
    n_bands : int
        Frequency bands.
    width : int
        Width of the encoder's last block, of the projection and of the classifier's hidden layer;
        a multiple of 4. 128 as published.

    Attributes
    ----------
    encoder : BandEncoder
        (n, n_channels, n_bands) to (n, width, length). 98,240 parameters for 62 x 5.
    projector : nn.Sequential
        (n, width * length) to (n, width): the z of the contrastive loss. 131,968 parameters.
    decoder : nn.Linear
        (n, width * length) to (n, n_channels * n_bands). 119,350 parameters for 62 x 5.
    n_features : int
        width * length, taken from a pass through the encoder: 384 for five bands.

    Raises
    ------
    ConfigError
        If a size is not allowed.
    """

    def __init__(self, n_channels: int, n_bands: int = 5, width: int = 128) -> None:
        super().__init__()
        if n_channels < 1 or n_bands < 1 or width < 4 or width % 4:
            raise ConfigError(
                "SCMMNetwork needs n_channels >= 1, n_bands >= 1 and a width that is a multiple of "
                f"4; received n_channels={n_channels!r}, n_bands={n_bands!r}, width={width!r}."
            )
        self.n_channels = n_channels
        self.n_bands = n_bands
        self.width = width
        self.encoder = BandEncoder(n_channels, n_bands, width)
        self.n_features = self._count_features()
        self.projector = nn.Sequential(
            nn.Linear(self.n_features, 2 * width),
            nn.BatchNorm1d(2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, width),
        )
        self.decoder = nn.Linear(self.n_features, n_channels * n_bands)

    def _count_features(self) -> int:
        training = self.encoder.training
        self.encoder.eval()  # a dry pass must not move the running statistics
        with torch.no_grad():
            maps = self.encoder(torch.zeros(1, self.n_channels, self.n_bands))
        self.encoder.train(training)
        return int(maps.numel())

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Flattened encoder maps, shape (n, n_features)."""
        h: torch.Tensor = self.encoder(x).flatten(1)
        return h

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the embedding (n, n_features) and its projection (n, width)."""
        h = self.embed(x)
        return h, self.projector(h)

    def classifier_head(
        self, n_classes: int, activation: Literal["sigmoid", "relu"] = "sigmoid"
    ) -> nn.Sequential:
        """Make a classifier for embeddings: 49,667 parameters for three classes.

        Parameters
        ----------
        n_classes : int
            At least 2.
        activation : {"sigmoid", "relu"}
            Between the two layers; ``sigmoid`` as released.

        Returns
        -------
        nn.Sequential
            (n, n_features) to (n, n_classes) logits.

        Raises
        ------
        ConfigError
            If there are fewer than two classes.
        """
        if n_classes < 2:
            raise ConfigError(f"A classifier needs at least 2 classes; received {n_classes!r}.")
        between = nn.Sigmoid() if activation == "sigmoid" else nn.ReLU()
        return nn.Sequential(
            nn.Linear(self.n_features, self.width), between, nn.Linear(self.width, n_classes)
        )
