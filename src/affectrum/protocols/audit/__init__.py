"""The leak audit: what of the test stands on the training side.

It reads the identifier tables of a fold, the records of its scalers and what the method is handed,
and runs before anything is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affectrum.protocols.audit.certificate import CHECKS, Certificate, Check
from affectrum.protocols.audit.fitted import audit_fitted
from affectrum.protocols.audit.granted import (
    check_granted,
    check_hidden,
    check_labels,
    check_reach,
)
from affectrum.protocols.audit.tables import audit_tables

if TYPE_CHECKING:
    from affectrum.protocols.fold import Fold

__all__ = ["CHECKS", "Certificate", "Check", "audit_fitted", "audit_fold", "audit_tables"]


def audit_fold(fold: Fold) -> Certificate:
    """Audit one fold.

    Parameters
    ----------
    fold : Fold
        The fold; its tables, its scalers' records, its grants and its test are read.

    Returns
    -------
    Certificate
    """
    certificate = audit_tables(
        fold.tables,
        base=fold.base,
        scaling=fold.scaling,
        stimulus_disjoint=None if fold.stimulus_control else fold.stimulus_disjoint,
        scalers=fold.scalers,
        selection=fold.selection,
        promises=fold.promises,
        window_s=fold.window_s,
        fold=fold.id,
        protocol=fold.protocol,
    )
    return certificate.with_checks(
        check_hidden(fold), check_granted(fold), check_reach(fold), check_labels(fold)
    )
