"""EMOD: one backbone for every electrode set, rate and length, guided by valence and arousal.

Chen, Zhao, Li, Pan: EMOD, AAAI 2026, doi:10.1609/aaai.v40i21.38796, arXiv:2511.05863. Written from
a description of the method; each difference between paper, released code and this project that
changes a number is a named parameter of `EMODConfig`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "backbone": ["EMODBackbone"],
        "config": ["EMODConfig"],
        "heads": ["PretrainHead", "make_head"],
        "losses": [
            "gather_rows",
            "hard_va_loss",
            "instance_loss",
            "pair_weights",
            "supcon_loss",
            "va_contrastive_loss",
        ],
        "sampling": ["RandomCorpusSampler", "RegionSampler"],
        "streaming": ["CorpusBatch", "WindowStream"],
    },
)


__all__ = [
    "CorpusBatch",
    "EMODBackbone",
    "EMODConfig",
    "PretrainHead",
    "RandomCorpusSampler",
    "RegionSampler",
    "WindowStream",
    "gather_rows",
    "hard_va_loss",
    "instance_loss",
    "make_head",
    "pair_weights",
    "supcon_loss",
    "va_contrastive_loss",
]

if TYPE_CHECKING:
    from affectrum.methods.emod.backbone import EMODBackbone
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.methods.emod.heads import PretrainHead, make_head
    from affectrum.methods.emod.losses import (
        gather_rows,
        hard_va_loss,
        instance_loss,
        pair_weights,
        supcon_loss,
        va_contrastive_loss,
    )
    from affectrum.methods.emod.sampling import RandomCorpusSampler, RegionSampler
    from affectrum.methods.emod.streaming import CorpusBatch, WindowStream
