"""Baselines that stand beside every method: what is left of a score without the method's idea.

Importing this module registers them; only the neural ones import torch, and only when they train.
"""

from __future__ import annotations

from affectrum.methods.baselines.alignment import CORALSVM
from affectrum.methods.baselines.arms import ARM_GRANTS, ArmConfig, ArmMethod
from affectrum.methods.baselines.linear import LinearSVM, LogisticRegression
from affectrum.methods.baselines.majority import MostFrequent
from affectrum.methods.baselines.mlp import MLP
from affectrum.methods.baselines.position import Position
from affectrum.methods.baselines.reduced import DenoisingAutoencoder, SCMMScratch
from affectrum.methods.baselines.target import TARGET_GRANTS, TargetArm, TargetRows

__all__ = [
    "ARM_GRANTS",
    "CORALSVM",
    "MLP",
    "TARGET_GRANTS",
    "ArmConfig",
    "ArmMethod",
    "DenoisingAutoencoder",
    "LinearSVM",
    "LogisticRegression",
    "MostFrequent",
    "Position",
    "SCMMScratch",
    "TargetArm",
    "TargetRows",
]
