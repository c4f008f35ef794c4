"""Scores of what a fold held out of its training side, and the plane's truth, for the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.evaluation import HeldOut, score_ratings

if TYPE_CHECKING:
    from affectrum.benchmark.record import CellResult
    from affectrum.methods.base import Method
    from affectrum.protocols import Fold
    from affectrum.windows import Windows

__all__ = ["held_out_arrays", "held_out_of", "plane_scores", "plane_truth", "score_held_out"]


def score_held_out(method: Method, fold: Fold) -> dict[str, NDArray[Any]] | None:
    """Score the fold's validation windows, which trained no weights.

    Parameters
    ----------
    method : Method
        Fitted on the fold.
    fold : Fold
        With or without a validation grant.

    Returns
    -------
    dict of str to ndarray, or None
        ``scores`` (n, n_classes), ``y_true``, ``person`` and ``trial`` (names); None where the
        protocol held nothing out.
    """
    held = fold.access.validation
    if held is None or held.y is None or not len(held):
        return None
    table = held.windows.table
    person = table["corpus"].astype(str) + "/" + table["subject"].astype(str)
    place = person + "/" + table["session"].astype(str) + "/" + table["row"].astype(str)
    return {
        "scores": np.asarray(method.predict_proba(held.windows), dtype=np.float32),
        "y_true": np.asarray(held.y, dtype=np.int64),
        "person": person.to_numpy(dtype=np.str_),
        "trial": place.to_numpy(dtype=np.str_),
    }


def held_out_arrays(found: Sequence[dict[str, NDArray[Any]] | None]) -> dict[str, NDArray[Any]]:
    """Join the folds' held-out scores for ``predictions.npz``.

    Parameters
    ----------
    found : sequence of dict or None
        From `score_held_out`, one per fold.

    Returns
    -------
    dict of str to ndarray
        ``held_scores``, ``held_y_true``, ``held_fold``, ``held_person`` and ``held_trial``
        (numbers); empty where no fold held anything out.
    """
    parts = [(number, part) for number, part in enumerate(found) if part is not None]
    if not parts:
        return {}

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([part[name] for _, part in parts])

    def numbered(name: str) -> NDArray[np.int64]:
        return np.unique(joined(name), return_inverse=True)[1].astype(np.int64)

    return {
        "held_scores": joined("scores"),
        "held_y_true": joined("y_true"),
        "held_fold": np.repeat(
            [number for number, _ in parts], [len(part["y_true"]) for _, part in parts]
        ).astype(np.int64),
        "held_person": numbered("person"),
        "held_trial": numbered("trial"),
    }


def held_out_of(cell: CellResult) -> HeldOut | None:
    """Return what a stored cell held out.

    Parameters
    ----------
    cell : CellResult
        A finished cell.

    Returns
    -------
    HeldOut or None
        None where its protocol held nothing out, or it was stored without.
    """
    arrays = cell.arrays
    if "held_scores" not in arrays:
        return None
    scores = np.asarray(arrays["held_scores"], dtype=np.float64)
    return HeldOut(
        scores=scores / scores.sum(axis=1, keepdims=True),
        y_true=np.asarray(arrays["held_y_true"], dtype=np.int64),
        fold=np.asarray(arrays["held_fold"], dtype=np.int64),
        trial=np.asarray(arrays["held_trial"], dtype=np.int64),
        subject=np.asarray(arrays["held_person"], dtype=np.int64),
    )


def plane_truth(parts: Sequence[Windows], fold: Fold) -> NDArray[np.float32] | None:
    """True valence and arousal of the fold's test windows, for scoring and never for a method.

    Parameters
    ----------
    parts : sequence of Windows
        What the fold was made of.
    fold : Fold
        The fold.

    Returns
    -------
    ndarray of float32, shape (n_test_windows, 2), or None
        -1..1, NaN where not known; None where the windows have no coordinates.
    """
    target = next(part for part in parts if part.corpus == fold.target)
    if not {"valence", "arousal"} <= set(target.table.columns):
        return None
    rows = target.table[["valence", "arousal"]].iloc[fold.test_rows]
    return np.asarray(rows.to_numpy(dtype=np.float32, na_value=np.nan))


def plane_scores(cell: CellResult, level: str = "trial") -> dict[str, pd.DataFrame]:
    """Score a cell's coordinates of the plane for each subject.

    Parameters
    ----------
    cell : CellResult
        A finished cell.
    level : {"window", "trial"}
        Words and ratings belong to a whole trial, so that windows count one by one only for
        continuous labels.

    Returns
    -------
    dict of str to DataFrame
        ``"valence"`` and ``"arousal"``, those of which truth and prediction are known, each as
        `affectrum.evaluation.score_ratings` gives it.
    """
    arrays = cell.arrays
    if "valence_arousal" not in arrays or "valence_arousal_true" not in arrays:
        return {}
    out = {}
    for column, name in enumerate(("valence", "arousal")):
        table = score_ratings(
            cell.predictions,
            arrays["valence_arousal_true"][:, column].astype(np.float64),
            arrays["valence_arousal"][:, column].astype(np.float64),
            level=level,
        )
        if len(table):
            out[name] = table
    return out
