"""Published experiments, again: under their own protocol and under the strict one.

`published_numbers` holds what was published, with its source; `reproduce` runs a method's
experiment; `waterfall` goes from a published protocol to a strict one, one factor at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affectrum.reproduce.experiment import (
        Experiment,
        Sweep,
        Transfer,
        Variant,
        experiment_names,
        get_experiment,
        register_experiment,
    )
    from affectrum.reproduce.page import write_page
    from affectrum.reproduce.published import PublishedNumber, differences, published_numbers
    from affectrum.reproduce.results import Reproduction, load_reproduction
    from affectrum.reproduce.run import reproduce, waterfall
    from affectrum.reproduce.steps import Step, protocol_steps

__all__ = [
    "Experiment",
    "PublishedNumber",
    "Reproduction",
    "Step",
    "Sweep",
    "Transfer",
    "Variant",
    "differences",
    "experiment_names",
    "get_experiment",
    "load_reproduction",
    "protocol_steps",
    "published_numbers",
    "register_experiment",
    "reproduce",
    "waterfall",
    "write_page",
]

_MODULES = {
    "page": ("write_page",),
    "published": ("PublishedNumber", "differences", "published_numbers"),
    "results": ("Reproduction", "load_reproduction"),
    "run": ("reproduce", "waterfall"),
    "steps": ("Step", "protocol_steps"),
}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'affectrum.reproduce' has no attribute {name!r}")
    found = next((module for module, names in _MODULES.items() if name in names), "experiment")
    return getattr(importlib.import_module(f"affectrum.reproduce.{found}"), name)
