"""One signal under two identities: the audit's question about contents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.protocols.audit.certificate import Check
from affectrum.protocols.identity import found_in

__all__ = ["copied_trials", "same_content"]

# Columns of fingerprints, from strict to lenient, and what equal ones mean.
_LEVELS = {
    "content": "hold the same values as",
    "trial_content": "belong to trials with the same values as those of",
    "likeness": "are, up to unit and offset, the same as",
    "trial_likeness": "belong to trials that are, up to a scaling of each feature, the same as",
}
_TRIAL = ["corpus", "subject", "session", "row"]


def _equal(mine: NDArray[np.uint64], theirs: NDArray[np.uint64]) -> NDArray[np.bool_]:
    # 0: nothing that could be recognised (flat windows, trials of few windows)
    return np.asarray(found_in(mine, theirs) & (mine != 0), dtype=np.bool_)


def same_content(
    seen: Mapping[str, pd.DataFrame], test: pd.DataFrame, trials: Mapping[str, pd.DataFrame]
) -> Check:
    """Count tested windows whose signal is also seen, whatever its identity there.

    Parameters
    ----------
    seen : mapping of str to DataFrame
        Identifier tables of the other roles, with fingerprints where they are known.
    test : DataFrame
        That of the test.
    trials : mapping of str to DataFrame
        One row per trial for each role, the test among them.

    Returns
    -------
    Check
        Required under every protocol.
    """
    name = "content"
    known = [column for column in _LEVELS if column in test]
    if not known:
        return Check(name, True, 0, True, "content fingerprints are not stored")
    words = []
    worst = 0
    own = set(_names(trials["test"]))
    for role, table in seen.items():
        found = np.zeros(len(test), dtype=bool)
        others = _other_trials(trials[role], own)
        for column in known:
            if column not in table:
                continue
            theirs = others if column.startswith("trial_") else table
            equal = _equal(
                test[column].to_numpy(dtype=np.uint64), theirs[column].to_numpy(dtype=np.uint64)
            )
            more = int((equal & ~found).sum())
            if more:
                words.append(
                    f"{more} of {len(test)} tested windows {_LEVELS[column]} windows of the {role}"
                )
            found |= equal
        worst = max(worst, int(found.sum()))
    detail = "; ".join(words) or f"none of {len(test)} tested windows equals a seen one"
    return Check(name, not worst, worst, True, detail)


def _names(trials: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(zip(*(trials[column].tolist() for column in _TRIAL), strict=True))


def _other_trials(trials: pd.DataFrame, own: set[tuple[object, ...]]) -> pd.DataFrame:
    """Trials that are not among `own`: a trial on both sides is another check's."""
    return trials[[name not in own for name in _names(trials)]]


def copied_trials(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """Return pairs of different trials that hold one signal.

    Parameters
    ----------
    trials : DataFrame
        One row per trial: `corpus`, `subject`, `session`, `row` and `trial_content` or
        `trial_likeness` (0 where not known).

    Returns
    -------
    list of (str, str)
        Names such as ``"SEED/3/1/7"``, each trial with the first one that holds its signal.
    """
    names = [
        "/".join(map(str, row))
        for row in trials[["corpus", "subject", "session", "row"]].itertuples(index=False)
    ]
    found: dict[str, str] = {}
    for column in ("trial_content", "trial_likeness"):
        if column not in trials:
            continue
        first: dict[int, str] = {}
        for name, value in zip(names, trials[column].to_numpy(dtype=np.uint64), strict=True):
            if value:
                other = first.setdefault(int(value), name)
                if other != name:
                    found.setdefault(name, other)
    return [(other, name) for name, other in found.items()]
