"""EMOD's learnt space: windows in, vectors out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from affectrum.errors import ConfigError, check_option
from affectrum.methods.emod.finetuning import make_pool, outputs
from affectrum.methods.emod.heads import PretrainHead, apply_head
from affectrum.methods.emod.networks import (
    build_backbone,
    load_arrays,
    module_arrays,
    pick_device,
    seeded,
)

if TYPE_CHECKING:
    from affectrum.methods.base import Pretrained
    from affectrum.methods.emod.backbone import EMODBackbone
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.windows import Windows

__all__ = ["Representation", "Space"]

Space = Literal["backbone", "projection"]


class Representation:
    """A backbone, and the pre-training head where there is one, as functions of windows.

    Parameters
    ----------
    backbone : EMODBackbone
        Windows to tokens.
    head : PretrainHead or None
        Tokens to unit vectors.
    config : EMODConfig
        Device and precision.
    """

    def __init__(
        self, backbone: EMODBackbone, head: PretrainHead | None, config: EMODConfig
    ) -> None:
        self.config = config
        self.device = pick_device(config.device)
        self.backbone = backbone.to(self.device).eval()
        self.head = None if head is None else head.to(self.device).eval()

    @classmethod
    def from_pretrained(cls, pretrained: Pretrained, config: EMODConfig) -> Representation:
        """Make it of pre-trained weights.

        Parameters
        ----------
        pretrained : Pretrained
            What `EMOD.pretrain` or `load_pretrained` gave.
        config : EMODConfig
            The configuration that made them.

        Returns
        -------
        Representation

        Raises
        ------
        BundleError
            If the weights don't fit the configuration.
        """
        backbone = build_backbone(config, dropout=0.0, seed=0)
        load_arrays(backbone, "backbone", pretrained.arrays)
        head = None
        if any(name.startswith("head.") for name in pretrained.arrays):
            with seeded(0):
                head = PretrainHead(config.width)
            load_arrays(head, "head", pretrained.arrays)
        return cls(backbone, head, config)

    def embed(self, windows: Windows, space: Space = "projection") -> NDArray[np.float32]:
        """Vectors of windows, in pieces that fit into memory.

        Parameters
        ----------
        windows : Windows
            n signals of any electrodes, rate and length, in volts.
        space : {"backbone", "projection"}
            The mean token, or the pre-training head's unit vector, in which the loss drew windows
            of like valence and arousal together.

        Returns
        -------
        ndarray, shape (n, width or 128), float32

        Raises
        ------
        ConfigError
            If there is no pre-training head, or the windows are no signals.
        """
        check_option("space", space, ("backbone", "projection"))
        if space == "projection" and self.head is None:
            raise ConfigError(
                "There is no pre-training head, so no 'projection': pre-training was off. Use "
                "space='backbone'."
            )

        def network(x: torch.Tensor, ids: torch.Tensor, sfreq: float) -> torch.Tensor:
            tokens = self.backbone(x, ids, sfreq)
            if space == "projection":
                assert self.head is not None
                return apply_head(self.head, tokens)
            mean: torch.Tensor = tokens.float().mean(dim=(1, 2))
            return mean

        pool = make_pool([windows], self.config.width, self.device, training=False)
        if not len(windows):
            width = self.config.width
            if space == "projection":
                assert self.head is not None
                width = self.head.out.out_features
            return np.zeros((0, width), dtype=np.float32)
        parts = list(outputs(network, self.backbone, pool, self.config, self.device))
        return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the weights as arrays named ``backbone.*`` and ``head.*``."""
        found = module_arrays("backbone", self.backbone)
        if self.head is not None:
            found.update(module_arrays("head", self.head))
        return found
