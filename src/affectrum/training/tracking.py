"""Curves of a training run for TensorBoard, the optional extra ``track``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from affectrum.errors import ConfigError

__all__ = ["Log", "TensorBoardLog"]

Log = Callable[[int, Mapping[str, float]], None]
"""Called as ``log(step, values)`` with named numbers, steps counted from 1."""


class TensorBoardLog:
    """Writes named numbers where TensorBoard reads them; a `Log` to be used in a ``with`` block.

    A run that resumes writes to the same folder: what an interrupted run had written beyond the
    step of its last checkpoint is hidden.

    Parameters
    ----------
    folder : path
        Where event files go; look at it with ``tensorboard --logdir FOLDER``.

    Raises
    ------
    ConfigError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "Curves for TensorBoard need the extra 'track'. Install it with: "
                "pip install 'affectrum[track]'"
            ) from error
        self.folder = Path(folder)
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def __call__(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of one step.

        Parameters
        ----------
        step : int
            From 1.
        values : mapping of str to float
            Name, such as ``"loss"``, to number.
        """
        if self._writer is None:
            self._writer = self._make(os.fspath(self.folder), purge_step=step, flush_secs=30)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
