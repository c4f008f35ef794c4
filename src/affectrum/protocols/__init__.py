"""Who may see what: splits, access objects, scaling scopes and the leak audit.

`make_folds` turns windows into folds. A fold hands a method an `Access`, which holds only what
the protocol grants, and keeps the test windows without labels and without stimulus identity.
`truth` computes the test labels, outside of any fold.

Submodules are loaded when first used, so that ``affectrum protocols`` needs no array library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": [
            "CROSS_CORPUS",
            "GRANTS",
            "LABELS",
            "PROTOCOLS",
            "ProtocolInfo",
            "SCALING_SCOPES",
            "SELECTIONS",
            "SPLITS",
            "STIMULUS_LEVELS",
            "TARGET_USES",
            "check_options",
            "describe",
            "grants_of",
        ],
        "access": ["Access", "Grant"],
        "audit": ["Certificate", "Check", "audit_fold"],
        "fold": ["Fold", "truth"],
        "build": ["make_folds", "plan_folds"],
        "foldset": ["FoldSet"],
    },
)


__all__ = [
    "CROSS_CORPUS",
    "GRANTS",
    "LABELS",
    "PROTOCOLS",
    "SCALING_SCOPES",
    "SELECTIONS",
    "SPLITS",
    "STIMULUS_LEVELS",
    "TARGET_USES",
    "Access",
    "Certificate",
    "Check",
    "Fold",
    "FoldSet",
    "Grant",
    "ProtocolInfo",
    "audit_fold",
    "check_options",
    "describe",
    "grants_of",
    "make_folds",
    "plan_folds",
    "truth",
]

if TYPE_CHECKING:
    from affectrum.protocols.access import Access, Grant
    from affectrum.protocols.audit import Certificate, Check, audit_fold
    from affectrum.protocols.build import make_folds, plan_folds
    from affectrum.protocols.catalogue import (
        CROSS_CORPUS,
        GRANTS,
        LABELS,
        PROTOCOLS,
        SCALING_SCOPES,
        SELECTIONS,
        SPLITS,
        STIMULUS_LEVELS,
        TARGET_USES,
        ProtocolInfo,
        check_options,
        describe,
        grants_of,
    )
    from affectrum.protocols.fold import Fold, truth
    from affectrum.protocols.foldset import FoldSet
