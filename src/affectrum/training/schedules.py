"""Learning rates as plain functions, so that a test can compare them with their names."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch

from affectrum.errors import check_option

__all__ = ["SCHEDULES", "Schedule", "learning_rate", "set_learning_rate"]

Schedule = Literal["constant", "cosine", "cosine-by-loss"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)


def learning_rate(
    schedule: Schedule,
    base: float,
    done: float,
    total: float,
    *,
    loss: float | None = None,
    end: float = 0.0,
) -> float:
    """Learning rate after `done` of `total` units (steps or epochs).

    ``cosine`` is end + (base - end) * (1 + cos(pi * done / total)) / 2 (Loshchilov and Hutter, ICLR
    2017, without restarts). ``cosine-by-loss`` repeats a slip of the released SCMM code: the
    scheduler is given the last epoch's mean loss where it expects the number of epochs, so that the
    rate stays near its start; it is base * (1 + cos(pi * loss / total)) / 2.

    Parameters
    ----------
    schedule : {"constant", "cosine", "cosine-by-loss"}
        The schedule.
    base : float
        Learning rate at the start.
    done, total : float
        Units trained so far and in all.
    loss : float, optional
        Mean loss of the last epoch, for ``cosine-by-loss``; None before the first epoch ends.
    end : float
        Learning rate at `total`, for ``cosine``.

    Returns
    -------
    float
        The learning rate.

    Raises
    ------
    ConfigError
        If the schedule is unknown.
    """
    check_option("schedule", schedule, SCHEDULES)
    if schedule == "constant":
        return base
    if schedule == "cosine":
        return end + (base - end) * (1 + math.cos(math.pi * done / total)) / 2
    if loss is None:
        return base
    return base * (1 + math.cos(math.pi * loss / total)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameter groups of an optimizer one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
