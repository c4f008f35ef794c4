"""The claim examined: what guidance by valence and arousal gains, as the planted effect grows.

All corpora are simulated, so the study shows when the method recovers an effect, and nothing about
people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affectrum.reproduce.recovery.data import draw_corpora, wrong_places
    from affectrum.reproduce.recovery.diagnosis import loss_bounds, pretraining_losses
    from affectrum.reproduce.recovery.figures import recovery_curves
    from affectrum.reproduce.recovery.page import recovery_markdown, write_recovery
    from affectrum.reproduce.recovery.plan import ARMS, RecoveryCell, RecoveryPlan
    from affectrum.reproduce.recovery.results import Recovery, load_recovery
    from affectrum.reproduce.recovery.run import run_recovery

__all__ = [
    "ARMS",
    "Recovery",
    "RecoveryCell",
    "RecoveryPlan",
    "draw_corpora",
    "load_recovery",
    "loss_bounds",
    "pretraining_losses",
    "recovery_curves",
    "recovery_markdown",
    "run_recovery",
    "write_recovery",
    "wrong_places",
]

_MODULES = {
    "data": ("draw_corpora", "wrong_places"),
    "diagnosis": ("loss_bounds", "pretraining_losses"),
    "figures": ("recovery_curves",),
    "page": ("recovery_markdown", "write_recovery"),
    "plan": ("ARMS", "RecoveryCell", "RecoveryPlan"),
    "results": ("Recovery", "load_recovery"),
    "run": ("run_recovery",),
}


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
