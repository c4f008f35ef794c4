"""Figures and a self-contained page from what a run stored; nothing is computed anew."""

from __future__ import annotations

from affectrum.report.latex import write_latex
from affectrum.report.page import write_report

__all__ = ["write_latex", "write_report"]
