"""The audit of what a method's own aligners and selectors saw, known once it is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affectrum.protocols.audit.certificate import Certificate
from affectrum.protocols.audit.granted import granted_windows
from affectrum.protocols.audit.tables import seen_by_records
from affectrum.protocols.identity import row_ids

if TYPE_CHECKING:
    from affectrum.protocols.fold import Fold
    from affectrum.scaling import ScalerRecord

__all__ = ["audit_fitted", "own_identifiers"]


def audit_fitted(
    certificate: Certificate, fold: Fold, records: Iterable[ScalerRecord]
) -> Certificate:
    """Add what a fitted method's own aligners and selectors saw.

    Parameters
    ----------
    certificate : Certificate
        Of the fold, before the fit.
    fold : Fold
        The fold.
    records : iterable of ScalerRecord
        The method's `records_`.

    Returns
    -------
    Certificate
        With the check "aligners" if there are records; not yet raised.
    """
    kept = tuple(records)
    if not kept:
        return certificate
    hidden = _hidden(fold)
    required = "transductive" not in fold.protocol
    return certificate.with_checks(
        seen_by_records(
            "aligners",
            "aligner or selector",
            tuple(own_identifiers(record, hidden) for record in kept),
            fold.tables["test"],
            required,
        )
    )


def own_identifiers(
    record: ScalerRecord, hidden: Mapping[str, tuple[NDArray[np.uint64], NDArray[np.uint64]]]
) -> ScalerRecord:
    """Put the windows' own identifiers into the record of a method that was not shown them.

    Windows that are granted without labels have neutral trial numbers (see
    `affectrum.protocols.access.hide`), so that their identifiers are others, and may be those of
    other trials: DEAP's row 7 is a video, its neutral trial 7 the one that was shown seventh.

    Parameters
    ----------
    record : ScalerRecord
        What an aligner says it saw.
    hidden : mapping of str to (ndarray of uint64, ndarray of uint64)
        For roles whose windows are shown without labels: identifiers as shown, and their own.

    Returns
    -------
    ScalerRecord
        As it was, if none of its roles is hidden.
    """
    pairs = [hidden[role] for role in record.roles if role in hidden]
    if not pairs:
        return record
    shown = np.concatenate([pair[0] for pair in pairs])
    own = np.concatenate([pair[1] for pair in pairs])
    found = own[np.isin(shown, record.ids)]
    if "test" not in record.roles and np.isin(record.ids, shown).all():
        return replace(record, ids=found)
    # The test is named, or some are not among those shown: all may be the windows' own too.
    return replace(record, ids=np.union1d(record.ids, found))


def _hidden(fold: Fold) -> dict[str, tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Identifiers as shown, and the windows' own, of what is shown without labels."""
    windows = {
        role: [grant.windows for grant in granted]
        for role, granted in granted_windows(fold.access).items()
        if all(grant.y is None for grant in granted)
    }
    windows["test"] = [fold.test]
    found = {}
    for role, parts in windows.items():
        shown = np.concatenate([row_ids(part.table) for part in parts])
        table = fold.tables.get(role)
        if table is not None and len(table) == len(shown):  # else the check "granted" has failed
            found[role] = (shown, table["id"].to_numpy(dtype=np.uint64))
    return found
