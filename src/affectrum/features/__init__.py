"""Differential entropy, band power, asymmetry and smoothing of EEG windows."""

from __future__ import annotations

from affectrum.features.asymmetry import (
    asymmetry,
    electrode_pairs,
    frontal_posterior_pairs,
    left_right_pairs,
)
from affectrum.features.bands import BANDS, Band, get_bands
from affectrum.features.entropy import (
    POWER_FLOOR,
    band_power,
    differential_entropy,
    differential_entropy_bias,
    differential_entropy_sd,
)
from affectrum.features.smoothing import (
    OnlineLDS,
    OnlineMovingAverage,
    moving_average,
    smooth_lds,
)

__all__ = [
    "BANDS",
    "POWER_FLOOR",
    "Band",
    "OnlineLDS",
    "OnlineMovingAverage",
    "asymmetry",
    "band_power",
    "differential_entropy",
    "differential_entropy_bias",
    "differential_entropy_sd",
    "electrode_pairs",
    "frontal_posterior_pairs",
    "get_bands",
    "left_right_pairs",
    "moving_average",
    "smooth_lds",
]
