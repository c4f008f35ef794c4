"""Domain-adversarial and discrepancy-based adaptation on features: DANN and DAN.

Importing this module registers both; torch is imported when they train.
"""

from __future__ import annotations

from affectrum.methods.dann.config import AdaptiveConfig, DANConfig, DANNConfig
from affectrum.methods.dann.estimator import DAN, DANN

__all__ = ["DAN", "DANN", "AdaptiveConfig", "DANConfig", "DANNConfig"]
