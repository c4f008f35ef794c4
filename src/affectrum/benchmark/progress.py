"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ProgressCallback", "ProgressEvent"]


@dataclass(frozen=True)
class ProgressEvent:
    """One moment of a run.

    Attributes
    ----------
    kind : str
        "windows" (a corpus is made ready), "cell-start", "fold" (a fold begins), "stage" (a method
        reports an epoch or step), "cell-done", "cell-kept" (it was there already),
        "cell-refused" (the access does not allow it), "cell-failed", "extras", "end".
    cells_done, cells_total : int
        Cells that are finished, refused or failed; and all of the plan.
    cell : str
        Digest of the current cell, or "".
    task, method : str
        Their names.
    seed : int or None
        The cell's seed.
    fold : str
        The current fold, for example "SEED/3".
    folds_done, folds_total : int
        Within the cell.
    stage : str
        What the method is doing, for example "pre-training".
    stage_done, stage_total : int
        Steps or epochs of that.
    elapsed_s : float
        Since the run began.
    remaining_s : float or None
        Estimate from the cells computed in this run; None before the first one is finished.
    message : str
        A sentence, where there is something to say.
    worker : int or None
        Which of several processes it comes from.
    cells_begun : float
        Parts of the cells that are being computed, added up; together with `cells_done` the work
        that is done, in cells.
    """

    kind: str
    cells_done: int = 0
    cells_total: int = 0
    cell: str = ""
    task: str = ""
    method: str = ""
    seed: int | None = None
    fold: str = ""
    folds_done: int = 0
    folds_total: int = 0
    stage: str = ""
    stage_done: int = 0
    stage_total: int = 0
    elapsed_s: float = 0.0
    remaining_s: float | None = None
    message: str = ""
    worker: int | None = None
    cells_begun: float = 0.0

    @property
    def cells_per_minute(self) -> float | None:
        """Rate since the run began; None before the first cell is finished."""
        if not self.cells_done or self.elapsed_s <= 0:
            return None
        return 60.0 * self.cells_done / self.elapsed_s


ProgressCallback = Callable[[ProgressEvent], None]
