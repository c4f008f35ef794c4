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
        "backbone": ["EMODBackbone", "load_released"],
        "config": ["EMODConfig"],
        "estimator": ["EMOD"],
        "heads": ["PretrainHead", "make_head"],
        "losses": [
            "gather_rows",
            "hard_va_loss",
            "instance_loss",
            "pair_weights",
            "supcon_loss",
            "va_contrastive_loss",
        ],
        "pretraining": ["pretrain_parts"],
        "readout": [
            "ClassMeans",
            "LinearProbe",
            "PlaneNeighbours",
            "PlaneRegression",
            "class_points",
            "nearest_class",
        ],
        "representation": ["Representation"],
        "sampling": ["RandomCorpusSampler", "RegionSampler"],
        "streaming": ["CorpusBatch", "WindowStream"],
    },
)


__all__ = [
    "EMOD",
    "ClassMeans",
    "CorpusBatch",
    "EMODBackbone",
    "EMODConfig",
    "LinearProbe",
    "PlaneNeighbours",
    "PlaneRegression",
    "PretrainHead",
    "RandomCorpusSampler",
    "RegionSampler",
    "Representation",
    "WindowStream",
    "class_points",
    "gather_rows",
    "hard_va_loss",
    "instance_loss",
    "load_released",
    "make_head",
    "nearest_class",
    "pair_weights",
    "pretrain_parts",
    "supcon_loss",
    "va_contrastive_loss",
]

if TYPE_CHECKING:
    from affectrum.methods.emod.backbone import EMODBackbone, load_released
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.methods.emod.estimator import EMOD
    from affectrum.methods.emod.heads import PretrainHead, make_head
    from affectrum.methods.emod.losses import (
        gather_rows,
        hard_va_loss,
        instance_loss,
        pair_weights,
        supcon_loss,
        va_contrastive_loss,
    )
    from affectrum.methods.emod.pretraining import pretrain_parts
    from affectrum.methods.emod.readout import (
        ClassMeans,
        LinearProbe,
        PlaneNeighbours,
        PlaneRegression,
        class_points,
        nearest_class,
    )
    from affectrum.methods.emod.representation import Representation
    from affectrum.methods.emod.sampling import RandomCorpusSampler, RegionSampler
    from affectrum.methods.emod.streaming import CorpusBatch, WindowStream
