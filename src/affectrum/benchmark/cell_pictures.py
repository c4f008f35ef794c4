"""What a cell stores for the report's pictures, beside its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.benchmark.extras import ImportanceCollector, add_extra, embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affectrum.benchmark.plan import Cell
    from affectrum.methods.base import Method
    from affectrum.protocols import Fold

__all__ = ["store_fold_pictures", "store_importance"]


def _entry(cell: Cell, kind: str, title: str, simulated: bool, label: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "title": title,
        "cell": cell.digest,
        "task": cell.task.title,
        "method": label,
        "seed": cell.seed,
        "simulated": simulated,
    }


def store_fold_pictures(
    cell: Cell, out: Path, fold: Fold, method: Method, y_true: NDArray[np.int64], label: str
) -> None:
    """Store embeddings and soft weights of one fold, where the method has them.

    Parameters
    ----------
    cell : Cell
        The cell.
    out : Path
        The run's folder.
    fold : Fold
        The fold that is drawn.
    method : Method
        Fitted on it.
    y_true : ndarray of int, shape (n_windows,)
        Classes of its test windows.
    label : str
        The method's name for tables.
    """
    simulated = fold.test.simulated
    # Methods that share SCMM's code with parts of it switched off have no transfer to draw, or no
    # soft weights to show.
    pretrains = getattr(method.config, "pretraining", True)
    arrays = embeddings(method, fold, y_true, cell.seed) if pretrains else None
    if arrays is not None:
        entry = _entry(cell, "embeddings", f"embeddings of fold {fold.id}", simulated, label)
        entry["protocol"] = fold.protocol
        add_extra(out, f"embeddings-{cell.digest}", arrays, entry)
    diagnose = getattr(method, "diagnose", None)
    weighted = pretrains and getattr(method.config, "contrastive", True)
    if diagnose is not None and weighted and fold.access.source is not None:
        entry = _entry(cell, "soft-weights", "what the soft weights follow", simulated, label)
        entry["protocol"] = fold.protocol
        found = diagnose(fold.access).to_dict()
        add_extra(out, f"soft-weights-{cell.digest}", found, entry, as_json=True)


def store_importance(
    cell: Cell, out: Path, importance: ImportanceCollector, meta: dict[str, Any], label: str
) -> None:
    """Store how much scores depend on each region.

    Parameters
    ----------
    cell : Cell
        The cell.
    out : Path
        The run's folder.
    importance : ImportanceCollector
        After all folds.
    meta : dict
        The cell's record.
    label : str
        The method's name for tables.
    """
    arrays = importance.arrays()
    if arrays is None:
        return
    title = "permutation importance by region"
    entry = _entry(cell, "importance", title, bool(meta["simulated"]), label)
    entry["protocol"] = meta["protocol"]
    add_extra(out, f"importance-{cell.digest}", arrays, entry)
