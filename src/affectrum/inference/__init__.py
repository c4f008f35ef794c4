"""A trained model as a folder, and what it says about one recording.

`save_bundle` writes everything a prediction needs (weights, preprocessing, scaler, classes,
provenance, a model card); `load_bundle` checks and reads it; `Bundle.predict` turns a recording
into a timeline that says how far to trust it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bundle": ["Bundle", "load_bundle", "save_bundle"],
        "statistics": ["FeatureStatistics", "training_statistics"],
        "timeline": ["Timeline", "read_timeline"],
        "plane": ["class_coordinates"],
        "pretrained": ["load_pretrained", "save_pretrained"],
        "deploy": ["train_bundle"],
    },
)


__all__ = [
    "Bundle",
    "FeatureStatistics",
    "Timeline",
    "class_coordinates",
    "load_bundle",
    "load_pretrained",
    "read_timeline",
    "save_bundle",
    "save_pretrained",
    "train_bundle",
    "training_statistics",
]

if TYPE_CHECKING:
    from affectrum.inference.bundle import Bundle, load_bundle, save_bundle
    from affectrum.inference.deploy import train_bundle
    from affectrum.inference.plane import class_coordinates
    from affectrum.inference.pretrained import load_pretrained, save_pretrained
    from affectrum.inference.statistics import FeatureStatistics, training_statistics
    from affectrum.inference.timeline import Timeline, read_timeline
