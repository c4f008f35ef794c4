"""SCMM: soft contrastive masked modelling for cross-corpus EEG emotion recognition.

Liu, Ye, Zhang, Liang: "EEG-SCMM: Soft Contrastive Masked Modeling for Cross-Corpus EEG-Based
Emotion Recognition", ACM MM 2025, doi:10.1145/3746027.3755798, arXiv:2408.09186. Written from a
description of the method; where paper, released code and this project differ is told in
``docs/decisions/0001-scmm-paper-released-strict.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "estimator": ["SCMM"],
        "finetuning": ["SCMMClassifier"],
        "config": ["SCMMConfig"],
        "network": ["SCMMNetwork"],
        "diagnostics": ["SoftWeightDiagnostics", "diagnose_soft_weights"],
        "losses": ["aggregate", "reconstruction_loss", "soft_contrastive_loss"],
        "weights": ["distance_quantile", "soft_assignments"],
    },
)


__all__ = [
    "SCMM",
    "SCMMClassifier",
    "SCMMConfig",
    "SCMMNetwork",
    "SoftWeightDiagnostics",
    "aggregate",
    "diagnose_soft_weights",
    "distance_quantile",
    "reconstruction_loss",
    "soft_assignments",
    "soft_contrastive_loss",
]

if TYPE_CHECKING:
    from affectrum.methods.scmm.config import SCMMConfig
    from affectrum.methods.scmm.diagnostics import SoftWeightDiagnostics, diagnose_soft_weights
    from affectrum.methods.scmm.estimator import SCMM
    from affectrum.methods.scmm.finetuning import SCMMClassifier
    from affectrum.methods.scmm.losses import (
        aggregate,
        reconstruction_loss,
        soft_contrastive_loss,
    )
    from affectrum.methods.scmm.network import SCMMNetwork
    from affectrum.methods.scmm.weights import distance_quantile, soft_assignments
