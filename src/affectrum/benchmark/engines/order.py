"""In which order several processes take cells, so that all of them are busy to the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectrum.benchmark.cells import Cell
from affectrum.benchmark.cost import estimate_costs

__all__ = ["in_order"]

# A cell whose pre-trained model another one makes costs about this share of that one.
_FOLLOWER = 0.5


def in_order(cells: Sequence[Cell], run: Path | None = None) -> list[Cell]:
    """Sort cells for several processes: what costs most comes first, as far as it is known.

    A long cell that is taken last keeps one process at work while the others have ended. Of the
    cells that share a pre-training the first one, which makes it, comes before the others, which
    would have to wait for it: there is other work in the meantime.

    Parameters
    ----------
    cells : sequence of Cell
        Those that are not finished.
    run : Path, optional
        The run's folder: what like cells took is known from there.

    Returns
    -------
    list of Cell
        Equally costly ones in the order given. No number depends on the order.
    """
    seen: set[tuple[object, ...]] = set()
    costs = []
    pretrains: dict[str, bool] = {}
    for cell, estimate in zip(cells, estimate_costs(cells, run), strict=True):
        key = (cell.task.sources, cell.method.title, cell.seed, cell.control, cell.permutation)
        title = cell.method.title
        if title not in pretrains:
            pretrains[title] = "pretrain_steps" in cell.method.make().config.model_dump()
        shares = key in seen and pretrains[title]
        costs.append(estimate.seconds * (_FOLLOWER if shares else 1.0))
        seen.add(key)
    return [cells[number] for number in sorted(range(len(cells)), key=lambda n: -costs[n])]
