"""EMOD's backbone: one network for every electrode set, rate and length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from affectrum.errors import ConfigError
from affectrum.methods.emod.attention import AxialBlock
from affectrum.methods.emod.electrode_codes import electrode_places, electrode_rows
from affectrum.methods.emod.encoder import TripleDomainEncoder

__all__ = ["EMODBackbone", "load_released"]


class EMODBackbone(nn.Module):
    """Encoder and axial blocks: windows to tokens.

    The defaults are the published sizes: 845,384 parameters. There is no last normalisation and no
    token of the whole window; heads pool as they like.

    Parameters
    ----------
    width : int
        Features of a token.
    depth : int
        Axial blocks.
    head_width : int
        Features of an attention head.
    tokens_per_second : int
        Tokens that a second becomes.
    kernel : int
        Samples (and bins) of the convolutions.
    layout, relative, max_offset
        See `affectrum.methods.emod.attention.TemporalAttention`.
    temporal_tokens, frequency_tokens, spectrum, max_frequency, electrodes
        See `affectrum.methods.emod.encoder.TripleDomainEncoder`.
    electrode_table : {"canonical", "released"}
        How names are read; see `affectrum.methods.emod.electrode_codes`.
    spatial_attention, temporal_attention : bool
        Have attention over electrodes, over time.
    checkpointing : bool
        Compute the blocks' activations again in the backward pass, to save memory.
    dropout : float
        Dropout of the blocks.

    References
    ----------
    .. [1] Chen Y, Zhao S, Li S, Pan G (2026). EMOD. AAAI 40(21):17427-17435.
       doi:10.1609/aaai.v40i21.38796, arXiv:2511.05863
    """

    def __init__(
        self,
        width: int = 128,
        depth: int = 3,
        *,
        head_width: int = 8,
        tokens_per_second: int = 5,
        kernel: int = 25,
        layout: Literal["correct", "released"] = "correct",
        relative: Literal["query", "bias", "none"] = "query",
        max_offset: int = 49,
        temporal_tokens: bool = True,
        frequency_tokens: Literal["bins", "hertz", "none"] = "bins",
        spectrum: Literal["real", "magnitude", "log-power"] = "real",
        max_frequency: float = 45.0,
        electrodes: Literal["names", "positions", "none"] = "names",
        electrode_table: Literal["canonical", "released"] = "canonical",
        spatial_attention: bool = True,
        temporal_attention: bool = True,
        checkpointing: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.width = width
        self.tokens_per_second = tokens_per_second
        self.electrodes = electrodes
        self.electrode_table = electrode_table
        self.checkpointing = checkpointing
        self.encoder = TripleDomainEncoder(
            width,
            kernel,
            temporal_tokens=temporal_tokens,
            frequency_tokens=frequency_tokens,
            spectrum=spectrum,
            max_frequency=max_frequency,
            electrodes=electrodes,
        )
        self.blocks = nn.ModuleList(
            AxialBlock(
                width,
                head_width,
                layout=layout,
                relative=relative,
                max_offset=max_offset,
                spatial_attention=spatial_attention,
                temporal_attention=temporal_attention,
                dropout=dropout,
            )
            for _ in range(depth)
        )

    def electrode_ids(self, names: Sequence[str]) -> torch.Tensor:
        """Return the numbers by which `forward` knows electrodes.

        Parameters
        ----------
        names : sequence of str
            All electrode names of a recording, as it writes them.

        Returns
        -------
        torch.Tensor of int64, shape (channels,)
            Rows of the embedding, or places on the head; 0 for electrodes that are not known, which
            share one vector. With ``electrodes="names"`` and the canonical table, an electrode
            without a row of its own takes the nearest one's.
        """
        if self.electrodes == "positions":
            rows = electrode_places(names)
        else:
            rows = electrode_rows(names, self.electrode_table)
        return torch.tensor(rows, dtype=torch.int64)

    def n_tokens(self, n_samples: int, sfreq: float) -> int:
        """Return how many tokens in time a window becomes.

        Parameters
        ----------
        n_samples : int
            Samples of the window.
        sfreq : float
            Sampling rate, Hz.

        Returns
        -------
        int
            `tokens_per_second` for each second, at least 1.
        """
        return max(1, round(self.tokens_per_second * n_samples / sfreq))

    def forward(self, x: torch.Tensor, electrode_ids: torch.Tensor, sfreq: float) -> torch.Tensor:
        """Turn windows into tokens.

        Parameters
        ----------
        x : torch.Tensor, shape (batch, channels, samples)
            Volts.
        electrode_ids : torch.Tensor of int64, shape (channels,) or (batch, channels)
            Of `electrode_ids`.
        sfreq : float
            Sampling rate of all of them, Hz.

        Returns
        -------
        torch.Tensor, shape (batch, channels, tokens, width)
            One token per electrode and part of a second.

        Raises
        ------
        ConfigError
            If the shapes do not go together or the rate is not positive.
        """
        if x.ndim != 3:
            raise ConfigError(
                f"EMOD takes windows (batch, channels, samples); received shape {tuple(x.shape)}"
            )
        if electrode_ids.shape[-1] != x.shape[1]:
            raise ConfigError(
                f"{x.shape[1]} channels need as many electrode ids; received "
                f"{electrode_ids.shape[-1]}"
            )
        if not sfreq > 0:
            raise ConfigError(f"'sfreq' must be positive; received {sfreq}")
        ids = electrode_ids.to(x.device)
        tokens: torch.Tensor = self.encoder(x, ids, sfreq, self.n_tokens(x.shape[2], sfreq))
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return tokens


def load_released(
    backbone: EMODBackbone, state: Mapping[str, torch.Tensor], names: Mapping[str, str]
) -> None:
    """Load weights of a released checkpoint under names that the caller tells.

    The description that this package was written from does not tell the names of the checkpoint's
    parameters, so the caller says which is which. Read the file without running code: as
    safetensors, or by torch with ``weights_only=True``.

    Parameters
    ----------
    backbone : EMODBackbone
        Changed in place; needs ``layout="released"`` and ``electrode_table="released"``.
    state : mapping of str to torch.Tensor
        The checkpoint. A leading ``module.`` of its names does not matter.
    names : mapping of str to str
        Name of each parameter here (see ``backbone.named_parameters()``) -> name in `state`.

    Raises
    ------
    ConfigError
        If the backbone is not of the released layout, or parameters are missing or of another
        shape; every fault is told, and nothing is loaded.
    """
    faults = []
    temporal = [block.temporal for block in backbone.blocks if isinstance(block, AxialBlock)]
    if any(part is not None and part.layout != "released" for part in temporal):
        faults.append("the backbone needs layout='released'")
    if backbone.electrode_table != "released":
        faults.append("the backbone needs electrode_table='released'")
    given = {name.removeprefix("module."): value for name, value in state.items()}
    found: dict[str, torch.Tensor] = {}
    for name, parameter in backbone.named_parameters():
        source = names.get(name)
        value = given.get(source.removeprefix("module.")) if source is not None else None
        if source is None:
            faults.append(f"no name is told for {name}")
        elif value is None:
            faults.append(f"{name}: the checkpoint has no {source!r}")
        elif value.shape != parameter.shape:
            faults.append(
                f"{name} has shape {tuple(parameter.shape)}, {source!r} {tuple(value.shape)}"
            )
        else:
            found[name] = value
    if faults:
        raise ConfigError("The checkpoint can't be loaded: " + "; ".join(faults))
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            parameter.copy_(found[name])
