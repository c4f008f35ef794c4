"""The torch side of `Windows.to_torch_loader`; imported only there, because torch is heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from affectrum.errors import ConfigError

if TYPE_CHECKING:
    from affectrum.windows.container import Windows

__all__ = ["WindowsDataset", "make_loader"]


class WindowsDataset(Dataset[Any]):
    """Windows by whole batches: one fancy read per batch instead of one per window.

    Parameters
    ----------
    windows : Windows
        The windows.
    y : ndarray, shape (n_windows, ...), or None
        Numeric targets.
    """

    def __init__(self, windows: Windows, y: NDArray[Any] | None) -> None:
        self.windows = windows
        self.y = None if y is None else torch.from_numpy(np.array(y))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, rows: list[int]) -> Any:
        x = torch.from_numpy(self.windows.batch(rows))
        return x if self.y is None else (x, self.y[rows])


def make_loader(
    windows: Windows,
    batch_size: int,
    y: str | NDArray[Any] | None,
    seed: int | None,
    *,
    drop_last: bool,
) -> DataLoader[Any]:
    """Make a DataLoader; see `Windows.to_torch_loader`."""
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1; received {batch_size}.")
    target: NDArray[Any] | None = None
    if isinstance(y, str):
        table = windows.table
        if y not in table:
            raise ConfigError(f"The table has no column {y!r}; it has {list(table)}.")
        target = table[y].to_numpy()
    elif y is not None:
        target = np.asarray(y)
    if target is not None and len(target) != len(windows):
        raise ConfigError(f"y has {len(target)} entries; expected {len(windows)}, one a window.")
    if target is not None and target.dtype.kind not in "biuf":
        raise ConfigError(f"y must be numbers; received values of type {target.dtype}.")
    order = range(len(windows))
    sampler: SequentialSampler | RandomSampler
    if seed is None:
        sampler = SequentialSampler(order)
    else:
        sampler = RandomSampler(order, generator=torch.Generator().manual_seed(seed))
    return DataLoader(
        WindowsDataset(windows, target),
        sampler=BatchSampler(sampler, batch_size, drop_last),
        batch_size=None,
        generator=torch.Generator().manual_seed(0 if seed is None else seed),
    )
