"""Controls of a score: null controls and companions, cells of their own.

A plan's field `controls` asks for them. They say what else a score could come from: the clip, the
order of trials, muscles, chance, or the calibration trials alone.
"""

from __future__ import annotations

from affectrum.benchmark.controls.cells import control_cells
from affectrum.benchmark.controls.names import CONTROLS, ControlInfo, chosen_controls
from affectrum.benchmark.controls.running import ControlFolds, control_folds, run_control

__all__ = [
    "CONTROLS",
    "ControlFolds",
    "ControlInfo",
    "chosen_controls",
    "control_cells",
    "control_folds",
    "run_control",
]
