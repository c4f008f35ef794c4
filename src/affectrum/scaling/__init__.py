"""Fitted scalers that remember which rows they saw, and temperature scaling.

This room only fits and applies; which rows may be seen is decided by `affectrum.protocols`.
"""

from __future__ import annotations

from affectrum.scaling.scaler import KINDS, Scaler, ScalerRecord
from affectrum.scaling.temperature import TemperatureScaling

__all__ = ["KINDS", "Scaler", "ScalerRecord", "TemperatureScaling"]
