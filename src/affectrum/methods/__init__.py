"""Emotion recognition methods: one interface, a registry, SCMM and its baselines.

Submodules are loaded when they are first used (``affectrum.methods.scmm`` imports torch, listing
the methods' names does not).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["base", "baselines", "custom", "emod", "registry", "scmm"],
    submod_attrs={
        "base": ["Method", "MethodConfig", "Pretrained"],
        "custom": ["from_module"],
        "registry": ["make_method", "method_info", "method_names", "register", "restore_method"],
    },
)


__all__ = [
    "Method",
    "MethodConfig",
    "Pretrained",
    "base",
    "baselines",
    "custom",
    "emod",
    "from_module",
    "make_method",
    "method_info",
    "method_names",
    "register",
    "registry",
    "restore_method",
    "scmm",
]

if TYPE_CHECKING:
    from affectrum.methods import base, baselines, custom, emod, registry, scmm
    from affectrum.methods.base import Method, MethodConfig, Pretrained
    from affectrum.methods.custom import from_module
    from affectrum.methods.registry import (
        make_method,
        method_info,
        method_names,
        register,
        restore_method,
    )
