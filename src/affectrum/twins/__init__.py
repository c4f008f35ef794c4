"""Layout twins: simulated corpora in the vendors' own layouts, from one generative model.

Twins prove software. They never show which method is better on people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from affectrum.twins.settings import SIZES, TwinSettings

if TYPE_CHECKING:
    from affectrum.twins.generator import TwinGenerator
    from affectrum.twins.write import names, twin_truth, write_twin

__all__ = ["SIZES", "TwinGenerator", "TwinSettings", "names", "twin_truth", "write_twin"]


def __getattr__(name: str) -> Any:
    if name in ("names", "twin_truth", "write_twin"):
        from affectrum.twins import write

        return getattr(write, name)
    if name == "TwinGenerator":
        from affectrum.twins.generator import TwinGenerator

        return TwinGenerator
    raise AttributeError(f"module 'affectrum.twins' has no attribute {name!r}")
