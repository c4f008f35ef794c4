"""The two training loops: steps of an objective, and epochs of a classifier."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from affectrum.errors import ConfigError
from affectrum.training.checkpoints import load_checkpoint, save_checkpoint
from affectrum.training.schedules import Schedule, learning_rate, set_learning_rate

__all__ = [
    "ClassifierSettings",
    "EpochRecord",
    "balanced_accuracy",
    "epoch_batches",
    "make_adam",
    "train_classifier",
    "train_steps",
]


def make_adam(
    parameters: Sequence[nn.Parameter] | Sequence[dict[str, Any]],
    *,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
    weight_decay: float = 0.0,
) -> torch.optim.Adam:
    """Make an Adam that updates all parameters in one fused pass."""
    return torch.optim.Adam(
        parameters, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True
    )


def train_steps(
    objective: Callable[[int], torch.Tensor],
    modules: Sequence[nn.Module],
    optimizer: torch.optim.Optimizer,
    n_steps: int,
    *,
    rate: Callable[[int], float],
    checkpoint: Path | None = None,
    checkpoint_every: int = 200,
    fingerprint: str = "",
    log_every: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[int, float]]:
    """Minimise an objective for a number of steps.

    Parameters
    ----------
    objective : callable
        Maps a step's number to its loss; all randomness must follow from that number.
    modules : sequence of nn.Module
        Everything that is trained, for checkpoints.
    optimizer : Optimizer
        Over the parameters of `modules`.
    n_steps : int
        Steps in all, those before a resume included.
    rate : callable
        Learning rate of a step.
    checkpoint : Path, optional
        File to resume from and to write to.
    checkpoint_every : int
        Steps between two checkpoints.
    fingerprint : str
        Digest of data, settings and seed; a checkpoint of anything else is refused.
    log_every : int
        Steps between two entries of the history.
    progress : callable, optional
        Called as ``progress(done, n_steps)``.

    Returns
    -------
    list of (int, float)
        Step and loss, every `log_every` steps and at the last.

    Raises
    ------
    ConfigError
        If the loss is not finite, or the checkpoint belongs to another run.
    """
    start = 0
    history: list[tuple[int, float]] = []
    if checkpoint is not None:
        saved = load_checkpoint(checkpoint, fingerprint)
        if saved is not None:
            start = int(saved["step"])
            history = [(int(step), float(loss)) for step, loss in saved["history"]]
            for module, state in zip(modules, saved["modules"], strict=True):
                module.load_state_dict(state)
            optimizer.load_state_dict(saved["optimizer"])

    for module in modules:
        module.train()
    for step in range(start, n_steps):
        set_learning_rate(optimizer, rate(step))
        optimizer.zero_grad(set_to_none=True)
        loss = objective(step)
        torch.autograd.backward(loss)
        optimizer.step()

        done = step + 1
        if step % log_every == 0 or done == n_steps:
            value = float(loss.detach())
            if not np.isfinite(value):
                raise ConfigError(
                    f"Training diverged: the loss is {value} at step {done} of {n_steps}. Check "
                    "the scaling of the windows, or lower 'learning_rate'."
                )
            history.append((step, value))
        if progress is not None:
            progress(done, n_steps)
        if checkpoint is not None and (done % checkpoint_every == 0 or done == n_steps):
            state = {
                "step": done,
                "history": history,
                "modules": [module.state_dict() for module in modules],
                "optimizer": optimizer.state_dict(),
            }
            save_checkpoint(checkpoint, fingerprint, state)
    return history


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """How a classifier is trained.

    Attributes
    ----------
    epochs : int
        Epochs; the observer is called after each.
    batch_size : int
        Windows per step.
    max_steps : int or None
        Budget over all epochs. If all windows in every epoch would take more, each epoch takes an
        equal share of the budget, at least one step, from a new random order.
    learning_rate : float
        At the start.
    schedule : {"constant", "cosine", "cosine-by-loss"}
        Of the first optimizer; see `schedule_all`. Changes after each epoch.
    schedule_all : bool
        Whether further optimizers follow the schedule too.
    zero_grad : bool
        False lets gradients pile up over the whole training, as a published code does.
    keep : {"last", "best-train-accuracy"}
        ``best-train-accuracy`` goes back, after each epoch, to the weights of the epoch with the
        highest accuracy on its own training batches, as a published code does.
    """

    epochs: int = 50
    batch_size: int = 128
    max_steps: int | None = None
    learning_rate: float = 5e-4
    schedule: Schedule = "cosine"
    schedule_all: bool = True
    zero_grad: bool = True
    keep: Literal["last", "best-train-accuracy"] = "last"


@dataclass(frozen=True)
class EpochRecord:
    """What happened in one epoch.

    Attributes
    ----------
    epoch : int
        From 1.
    loss : float
        Mean over the epoch's windows, in training mode.
    train_accuracy : float
        Share of the epoch's windows, in training mode.
    learning_rate : float
        Of the first optimizer during the epoch.
    validation : float or None
        Balanced accuracy on the validation windows.
    """

    epoch: int
    loss: float
    train_accuracy: float
    learning_rate: float
    validation: float | None = None


def epoch_batches(
    n_windows: int, batch_size: int, n_batches: int | None, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Batches of one epoch in random order.

    Parameters
    ----------
    n_windows, batch_size : int
        Sizes.
    n_batches : int or None
        At most so many batches; None for all windows.
    seed, epoch : int
        The order follows from these alone.

    Returns
    -------
    list of ndarray of int
        Every window at most once. A rest of a single window joins the batch before it: batch
        normalisation can't learn from one.
    """
    order = np.random.default_rng([seed, epoch]).permutation(n_windows)
    if n_batches is not None:
        order = order[: n_batches * batch_size]
    cuts = list(range(batch_size, len(order), batch_size))
    if cuts and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def balanced_accuracy(y: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in `y`."""
    counts = np.bincount(y)
    hits = np.bincount(y[y == predicted], minlength=len(counts))
    present = counts > 0
    return float((hits[present] / counts[present]).mean())


def train_classifier(
    network: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    optimizers: Sequence[torch.optim.Optimizer],
    settings: ClassifierSettings,
    *,
    seed: int,
    objective: Callable[[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]] | None = None,
    after_epoch: Callable[[int, int], None] | None = None,
    validation: tuple[Callable[[], NDArray[np.int64]], NDArray[np.int64]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[EpochRecord]:
    """Train a classifier, by cross-entropy unless said otherwise; it ends in evaluation mode.

    Parameters
    ----------
    network : nn.Module
        Maps windows to logits.
    x : torch.Tensor, shape (n, ...)
        Windows, on the network's device.
    y : torch.Tensor of int64, shape (n,)
        Class of each window.
    optimizers : sequence of Optimizer
        All are stepped after each batch.
    settings : ClassifierSettings
        How to train.
    seed : int
        Seed of the batches' order.
    objective : callable, optional
        Called as ``objective(index, share)`` with a batch's positions and the share of training
        done (0 to 1); returns its loss and the batch's logits. Cross-entropy if not given.
    after_epoch : callable, optional
        Called as ``after_epoch(epoch, n_epochs)`` with the network in evaluation mode.
    validation : (callable, ndarray), optional
        A function that predicts the validation windows' classes with the present weights, and
        their true classes. If given, the weights of the epoch with the highest balanced accuracy
        are kept, the first of equals; else the last.
    progress : callable, optional
        Called as ``progress(epochs_done, n_epochs)``.

    Returns
    -------
    list of EpochRecord
        One per epoch.

    Raises
    ------
    ConfigError
        If there are fewer than two windows, or the loss is not finite.
    """
    n = len(x)
    if n < 2:
        raise ConfigError(f"Training a classifier needs at least 2 windows; received {n}.")
    n_batches = None
    if settings.max_steps is not None and settings.epochs:
        budget = max(1, settings.max_steps // settings.epochs)
        n_batches = budget if budget * settings.batch_size < n else None

    records: list[EpochRecord] = []
    last_loss: float | None = None
    best_train = -1.0
    best_train_state: dict[str, Any] | None = None
    best_validation = -1.0
    best_validation_state: dict[str, Any] | None = None

    for epoch in range(1, settings.epochs + 1):
        rate = learning_rate(
            settings.schedule,
            settings.learning_rate,
            epoch - 1,
            settings.epochs,
            loss=last_loss,
        )
        for number, optimizer in enumerate(optimizers):
            follows = number == 0 or settings.schedule_all
            set_learning_rate(optimizer, rate if follows else settings.learning_rate)

        network.train()
        loss_sum = 0.0
        n_right = 0
        n_seen = 0
        batches = epoch_batches(n, settings.batch_size, n_batches, seed, epoch)
        for number, rows in enumerate(batches):
            index = torch.from_numpy(rows).to(x.device)
            if settings.zero_grad:
                for optimizer in optimizers:
                    optimizer.zero_grad(set_to_none=True)
            wanted = y[index]
            if objective is None:
                logits = network(x[index])
                loss = F.cross_entropy(logits, wanted)
            else:
                share = (epoch - 1 + number / len(batches)) / settings.epochs
                loss, logits = objective(index, share)
            torch.autograd.backward(loss)
            for optimizer in optimizers:
                optimizer.step()
            loss_sum += float(loss.detach()) * len(rows)
            n_right += int((logits.detach().argmax(dim=1) == wanted).sum())
            n_seen += len(rows)
        last_loss = loss_sum / n_seen
        train_accuracy = n_right / n_seen
        if not np.isfinite(last_loss):
            raise ConfigError(
                f"Training diverged: the loss is {last_loss} in epoch {epoch} of "
                f"{settings.epochs}. Check the scaling of the windows, or lower 'learning_rate'."
            )

        if settings.keep == "best-train-accuracy":
            if train_accuracy > best_train or best_train_state is None:
                best_train = train_accuracy
                best_train_state = copy.deepcopy(network.state_dict())
            else:
                network.load_state_dict(best_train_state)

        network.eval()
        score = None
        if validation is not None:
            predict, truth = validation
            score = balanced_accuracy(truth, predict())
            if score > best_validation:
                best_validation = score
                best_validation_state = copy.deepcopy(network.state_dict())
        records.append(EpochRecord(epoch, last_loss, train_accuracy, rate, score))
        if after_epoch is not None:
            after_epoch(epoch, settings.epochs)
        if progress is not None:
            progress(epoch, settings.epochs)

    network.eval()
    if best_validation_state is not None:
        network.load_state_dict(best_validation_state)
    return records
