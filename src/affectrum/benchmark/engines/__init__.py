"""Where cells are computed: in this process, in several on one machine, on Dask, or on Slurm.

An engine is handed cells and yields each with its outcome. It decides neither what a cell is nor
what is stored: `affectrum.benchmark.work` does the same in every process, so that the record is the
same bit for bit wherever it was computed with the same number of threads on one kind of machine.
"""

from __future__ import annotations

from affectrum.benchmark.engines.base import ENGINES, Engine, make_engine

__all__ = ["ENGINES", "Engine", "make_engine"]
