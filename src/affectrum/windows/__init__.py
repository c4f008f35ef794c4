"""Windows: one array and one table row per window, as lazy views on memory-mapped data."""

from __future__ import annotations

from affectrum.windows.container import Windows
from affectrum.windows.tables import IDENTITY, KINDS, TRIAL_COLUMNS, TRIAL_DTYPES, WINDOW_COLUMNS

__all__ = ["IDENTITY", "KINDS", "TRIAL_COLUMNS", "TRIAL_DTYPES", "WINDOW_COLUMNS", "Windows"]
