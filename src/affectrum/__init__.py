"""Affectrum: cross-corpus EEG emotion recognition that can be trusted.

The public names below are loaded when they are first used, so that importing the package (and
answering ``affectrum --help``) stays fast and needs none of the heavy libraries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=[
        "affect",
        "catalog",
        "corpora",
        "electrodes",
        "errors",
        "evaluation",
        "features",
        "harmonise",
        "methods",
        "protocols",
        "recordings",
        "signals",
        "twins",
    ],
    submod_attrs={
        "recipes": ["Recipe"],
        "store": ["Store"],
        "windows": ["Windows"],
        "inference": ["load_bundle"],
        "protocols": ["make_folds"],
        "methods": ["make_method"],
        "corpora": ["open_corpus"],
        "twins": ["write_twin"],
    },
)


__all__ = [
    "Recipe",
    "Store",
    "Windows",
    "__version__",
    "affect",
    "catalog",
    "corpora",
    "electrodes",
    "errors",
    "evaluation",
    "features",
    "harmonise",
    "load_bundle",
    "make_folds",
    "make_method",
    "methods",
    "open_corpus",
    "protocols",
    "recordings",
    "signals",
    "twins",
    "write_twin",
]

if TYPE_CHECKING:
    from affectrum import (
        affect,
        catalog,
        corpora,
        electrodes,
        errors,
        evaluation,
        features,
        harmonise,
        methods,
        protocols,
        recordings,
        signals,
        twins,
    )
    from affectrum.corpora import open_corpus
    from affectrum.inference import load_bundle
    from affectrum.methods import make_method
    from affectrum.protocols import make_folds
    from affectrum.recipes import Recipe
    from affectrum.store import Store
    from affectrum.twins import write_twin
    from affectrum.windows import Windows
