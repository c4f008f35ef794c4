"""EMOD's encoder: signal, spectrum and electrode become tokens.

Each of two branches is a convolution along its axis, group normalisation, GELU and pooling to the
same number of tokens; the two are concatenated and mixed by one layer, and the electrode's vector
is added (arXiv:2511.05863, "triple-domain encoder").
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from affectrum.methods.emod.electrode_codes import N_ROWS, directions
from affectrum.methods.emod.fused import pooled_branch

__all__ = ["Branch", "PlaceEmbedding", "TripleDomainEncoder", "spectrum_of"]

MICROVOLTS = 1e6
_GROUPS = 4
# Power below (0.01 microvolts)^2 per bin is noise of amplifiers; it floors the logarithm.
_POWER_FLOOR = 1e-4


def spectrum_of(
    x: torch.Tensor, kind: Literal["real", "magnitude", "log-power"] = "real"
) -> torch.Tensor:
    """Return the spectrum of each electrode over the whole window.

    Parameters
    ----------
    x : torch.Tensor, shape (..., n_samples)
        Microvolts.
    kind : {"real", "magnitude", "log-power"}
        Real part of the Fourier transform, as published (it depends on the phase), its magnitude,
        or the logarithm of its square.

    Returns
    -------
    torch.Tensor, shape (..., n_samples // 2 + 1)
        Microvolts, or log of microvolts squared; the transform is divided by the samples, so a
        sine has half its amplitude in its bin whatever the rate.
    """
    transformed = torch.fft.rfft(x, norm="forward")
    if kind == "real":
        real: torch.Tensor = transformed.real
        return real
    if kind == "magnitude":
        magnitude: torch.Tensor = transformed.abs()
        return magnitude
    power: torch.Tensor = torch.view_as_real(transformed).square().sum(dim=-1)
    return (power + _POWER_FLOOR).log()


class Branch(nn.Module):
    """Convolution along the last axis, group normalisation, GELU and pooling to tokens.

    Parameters
    ----------
    width : int
        Filters.
    kernel : int
        Length of the filters, in places of the last axis.
    """

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, width, (1, kernel))
        self.normalisation = nn.GroupNorm(_GROUPS, width)

    def forward(self, x: torch.Tensor, n_tokens: int) -> torch.Tensor:
        """Map (batch, channels, length) to (batch, channels, n_tokens, width)."""
        kernel = self.convolution.kernel_size[1]
        padded = F.pad(x, ((kernel - 1) // 2, kernel // 2))
        if not x.requires_grad:
            return pooled_branch(padded, self.convolution, self.normalisation, n_tokens)
        maps = F.gelu(self.normalisation(self.convolution(padded[:, None])))
        pooled = F.adaptive_avg_pool2d(maps, (x.shape[1], n_tokens))
        return pooled.permute(0, 2, 3, 1)


class PlaceEmbedding(nn.Module):
    """Electrode vectors computed from places on the head, so that every place has one.

    Parameters
    ----------
    width : int
        Features of a vector.

    Notes
    -----
    Sines and cosines of the direction at three scales go through two layers; the result has mean 0
    and variance 1 like a row of the embedding by name. Electrodes without a known place share a
    vector of their own.
    """

    features: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        unit = torch.from_numpy(directions()).float()
        waves = torch.cat([unit * (math.pi / 2 * scale) for scale in (0.5, 1, 2)], dim=1)
        features = torch.cat([unit, waves.sin(), waves.cos()], dim=1)
        self.register_buffer("features", features, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(features.shape[1], width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.LayerNorm(width, elementwise_affine=False),
        )
        self.unknown = nn.Parameter(torch.randn(width))

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """Map rows of `directions`, any shape, to vectors (..., width)."""
        vectors: torch.Tensor = self.layers(self.features[places])
        return torch.where((places > 0)[..., None], vectors, self.unknown.to(vectors.dtype))


class TripleDomainEncoder(nn.Module):
    """Windows of any electrodes, rate and length to tokens.

    Parameters
    ----------
    width : int
        Features of a token.
    kernel : int
        Samples (and bins) of the convolutions.
    temporal_tokens : bool
        Use the branch on the signal.
    frequency_tokens : {"bins", "hertz", "none"}
        The branch on the spectrum: all bins up to half the rate, as published; bins up to
        `max_frequency`, alike at every rate; or no such branch.
    spectrum : {"real", "magnitude", "log-power"}
        See `spectrum_of`.
    max_frequency : float
        Upper end of ``"hertz"``, Hz. Where half the rate is lower, the rest is zero.
    electrodes : {"names", "positions", "none"}
        Electrode vectors: learnt by name, computed from positions, or none.
    """

    def __init__(
        self,
        width: int,
        kernel: int = 25,
        *,
        temporal_tokens: bool = True,
        frequency_tokens: Literal["bins", "hertz", "none"] = "bins",
        spectrum: Literal["real", "magnitude", "log-power"] = "real",
        max_frequency: float = 45.0,
        electrodes: Literal["names", "positions", "none"] = "names",
    ) -> None:
        super().__init__()
        self.frequency_tokens = frequency_tokens
        self.spectrum = spectrum
        self.max_frequency = max_frequency
        self.temporal = Branch(width, kernel) if temporal_tokens else None
        self.spectral = Branch(width, kernel) if frequency_tokens != "none" else None
        n_branches = (self.temporal is not None) + (self.spectral is not None)
        self.mix = nn.Linear(n_branches * width, width)
        self.electrodes: nn.Module | None = None
        if electrodes == "names":
            self.electrodes = nn.Embedding(N_ROWS, width)
        elif electrodes == "positions":
            self.electrodes = PlaceEmbedding(width)

    def frequencies(self, x: torch.Tensor, sfreq: float) -> torch.Tensor:
        """Return the axis that the branch on the spectrum sees.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, channels, samples)
            Microvolts.
        sfreq : float
            Sampling rate, Hz.

        Returns
        -------
        torch.Tensor, shape (batch, channels, n_bins)
            One bin per 1 / seconds Hz, from 0 Hz.
        """
        bins = spectrum_of(x, self.spectrum)
        if self.frequency_tokens == "hertz":
            n_wanted = max(1, round(self.max_frequency * x.shape[-1] / sfreq))
            bins = bins[..., :n_wanted]
            missing = n_wanted - bins.shape[-1]
            if missing:
                empty = math.log(_POWER_FLOOR) if self.spectrum == "log-power" else 0.0
                bins = F.pad(bins, (0, missing), value=empty)
        return bins

    def forward(
        self, x: torch.Tensor, electrode_ids: torch.Tensor, sfreq: float, n_tokens: int
    ) -> torch.Tensor:
        """Map volts (batch, channels, samples) to tokens (batch, channels, n_tokens, width)."""
        with torch.autocast(x.device.type, enabled=False):
            wide = self.mix.weight.dtype == torch.float64
            x = x.to(torch.float64 if wide else torch.float32) * MICROVOLTS
            bins = self.frequencies(x, sfreq) if self.spectral is not None else None
        parts = []
        if self.temporal is not None:
            parts.append(self.temporal(x, n_tokens))
        if self.spectral is not None and bins is not None:
            parts.append(self.spectral(bins, n_tokens))
        tokens = F.gelu(self.mix(torch.cat(parts, dim=-1)))
        if self.electrodes is not None:
            tokens = tokens + self.electrodes(electrode_ids)[..., None, :]
        return tokens
