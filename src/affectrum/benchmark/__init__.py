"""From a plan to cells, and from cells to an append-only record of predictions.

A cell is one (task, method, seed) over all test subjects. Its folder is named by the digest of
everything that it depends on, is written once, and is never changed; every table and figure is
derived from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "plan": ["Cell", "MethodPlan", "Plan", "TaskPlan", "expand", "load_plan"],
        "record": ["CellResult", "load_record"],
        "progress": ["ProgressEvent"],
        "run": ["RunReport", "run_plan"],
        "audits": ["audit_record"],
        "table": ["score_table"],
        "extras": ["list_extras", "load_extras"],
    },
)


__all__ = [
    "Cell",
    "CellResult",
    "MethodPlan",
    "Plan",
    "ProgressEvent",
    "RunReport",
    "TaskPlan",
    "audit_record",
    "expand",
    "list_extras",
    "load_extras",
    "load_plan",
    "load_record",
    "run_plan",
    "score_table",
]

if TYPE_CHECKING:
    from affectrum.benchmark.audits import audit_record
    from affectrum.benchmark.extras import list_extras, load_extras
    from affectrum.benchmark.plan import Cell, MethodPlan, Plan, TaskPlan, expand, load_plan
    from affectrum.benchmark.progress import ProgressEvent
    from affectrum.benchmark.record import CellResult, load_record
    from affectrum.benchmark.run import RunReport, run_plan
    from affectrum.benchmark.table import score_table
