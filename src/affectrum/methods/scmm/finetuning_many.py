"""Fine-tuning of many subjects at once; the numbers are those of one by one up to rounding."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.finetuning import (
    SCMMClassifier,
    batch_seed,
    loop_settings,
    training_windows,
    validation_of,
)
from affectrum.methods.scmm.stacked import StackedAdam, StackedClassifier
from affectrum.training.loop import (
    ClassifierSettings,
    EpochRecord,
    balanced_accuracy,
    epoch_batches,
)
from affectrum.training.schedules import learning_rate

if TYPE_CHECKING:
    from affectrum.protocols import Access

__all__ = ["Validation", "finetune_many", "train_many"]

Validation = tuple[Callable[[], NDArray[np.int64]], NDArray[np.int64]]


# Windows trained on at a time, in bytes: more subjects than fit are trained in several groups
_GROUP_BYTES = 512 * 1024**2
# Subjects of one group: their weights and states should stay in a processor's cache
_GROUP_SUBJECTS = {"cpu": 8}  # elsewhere as many as memory allows
# Groups that are trained side by side on a processor: more would wait for Python's lock
_SIDE_BY_SIDE = 4


def finetune_many(
    classifiers: Sequence[SCMMClassifier],
    accesses: Sequence[Access],
    config: SCMMConfig,
    *,
    device: torch.device,
    after_epoch: Callable[[Sequence[int], int, int], None] | None = None,
) -> list[list[EpochRecord]]:
    """Fine-tune one classifier per access in place.

    Parameters
    ----------
    classifiers : sequence of SCMMClassifier
        On `device`.
    accesses : sequence of Access
        What each is granted.
    config : SCMMConfig
        Parameters, the same for all.
    device : torch.device
        Where to compute.
    after_epoch : callable, optional
        Called as ``after_epoch(numbers, epoch, n_epochs)`` with the classifiers of these numbers
        in evaluation mode after that epoch; from several threads, see `train_many`.

    Returns
    -------
    list of list of EpochRecord
        Per access, one per epoch.

    Raises
    ------
    AccessError, ConfigError
        See `finetune`.
    """
    data = [
        training_windows(classifier.network, access, config, device)
        for classifier, access in zip(classifiers, accesses, strict=True)
    ]
    validations = [
        validation_of(classifier, access, device)
        for classifier, access in zip(classifiers, accesses, strict=True)
    ]
    seeds = [batch_seed(config, access) for access in accesses]
    return train_many(
        classifiers,
        [x for x, _ in data],
        [y for _, y in data],
        loop_settings(config),
        betas=config.betas,
        weight_decay=config.weight_decay,
        seeds=seeds,
        after_epoch=after_epoch,
        validations=validations,
    )


def train_many(
    classifiers: Sequence[SCMMClassifier],
    xs: Sequence[torch.Tensor],
    ys: Sequence[torch.Tensor],
    settings: ClassifierSettings,
    *,
    betas: tuple[float, float],
    weight_decay: float,
    seeds: Sequence[int],
    after_epoch: Callable[[Sequence[int], int, int], None] | None = None,
    validations: Sequence[Validation | None] | None = None,
) -> list[list[EpochRecord]]:
    """Train classifiers by cross-entropy, all of them in one computation.

    Each ends in evaluation mode with what `train_classifier` would have given it.

    Parameters
    ----------
    classifiers : sequence of SCMMClassifier
        One per subject, for which `can_stack` holds; trained in place.
    xs : sequence of torch.Tensor, each (n_windows, n_channels, n_bands)
        Windows of each subject, on the classifiers' device.
    ys : sequence of torch.Tensor of int64, each (n_windows,)
        Their classes.
    settings : ClassifierSettings
        How to train, see `train_classifier`.
    betas : tuple of float
        Of Adam.
    weight_decay : float
        Of Adam.
    seeds : sequence of int
        Seed of each subject's order of batches.
    after_epoch : callable, optional
        Called as ``after_epoch(numbers, epoch, n_epochs)`` with the classifiers of these numbers
        in evaluation mode. Groups of subjects are trained in threads of their own where arithmetic
        may use several (`torch.get_num_threads`), so calls may come at the same time.
    validations : sequence of (callable, ndarray) or None, optional
        See `train_classifier`, one per subject.

    Returns
    -------
    list of list of EpochRecord
        Per subject, one per epoch.

    Raises
    ------
    ConfigError
        If a subject has fewer than two windows, or a loss is not finite.
    """
    sizes = [len(x) for x in xs]
    if min(sizes) < 2:
        raise ConfigError(f"Training a classifier needs at least 2 windows; received {min(sizes)}.")
    held = [None] * len(sizes) if validations is None else list(validations)
    stopped = threading.Event()

    def train(group: list[int]) -> list[list[EpochRecord]]:
        trainer = _Trainer(
            [classifiers[k] for k in group],
            [xs[k] for k in group],
            [ys[k] for k in group],
            settings,
            betas,
            weight_decay,
            [seeds[k] for k in group],
            [held[k] for k in group],
        )
        tell = None if after_epoch is None else partial(after_epoch, group)
        try:
            return trainer.run(tell, stopped)
        except BaseException:
            stopped.set()
            raise
        finally:
            trainer.stack.release()
            for k in group:
                classifiers[k].eval()

    threads = torch.get_num_threads() if xs[0].device.type == "cpu" else 1
    side_by_side = min(threads, _SIDE_BY_SIDE, len(xs))
    groups = _groups(xs, side_by_side)
    with _side_by_side(side_by_side, threads, stopped) as run_all:
        found = run_all(train, groups)
    records = {
        k: own
        for group, of in zip(groups, found, strict=True)
        for k, own in zip(group, of, strict=True)
    }
    return [records[k] for k in range(len(sizes))]


@contextlib.contextmanager
def _side_by_side(
    workers: int, threads: int, stopped: threading.Event
) -> Iterator[Callable[..., list[Any]]]:
    """Map a function over items in so many threads, which share the threads of arithmetic.

    Operations on small matrices gain nothing from several threads each, whole groups do.
    """
    if workers < 2:
        yield lambda function, items: [function(item) for item in items]
        return
    pool = ThreadPoolExecutor(
        workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
    )

    def run_all(function: Callable[..., Any], items: Sequence[Any]) -> list[Any]:
        return list(pool.map(function, items))

    try:
        yield run_all
    finally:
        stopped.set()  # of no account but after an error: the other groups then stop too
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _groups(xs: Sequence[torch.Tensor], side_by_side: int = 1) -> list[list[int]]:
    """Cut subjects into groups that are trained together, those with most windows first.

    So subjects of one group have like numbers of batches, and those with fewer leave an epoch
    from the end. Groups are alike in size, and as many as keep all threads busy to the end.
    """
    most = min(_GROUP_SUBJECTS.get(xs[0].device.type, len(xs)), len(xs))
    rounds = math.ceil(len(xs) / (most * side_by_side))
    n_groups = min(len(xs), rounds * side_by_side)
    order = sorted(range(len(xs)), key=lambda k: -len(xs[k]))
    limit = _GROUP_BYTES // side_by_side
    groups: list[list[int]] = []
    for part in np.array_split(order, n_groups):
        group: list[int] = []
        n_bytes = 0
        for number in part.tolist():
            size = xs[number].numel() * xs[number].element_size()
            if group and n_bytes + size > limit:
                groups.append(group)
                group, n_bytes = [], 0
            group.append(number)
            n_bytes += size
        groups.append(group)
    return groups


class _Trainer:
    def __init__(
        self,
        classifiers: list[SCMMClassifier],
        xs: list[torch.Tensor],
        ys: list[torch.Tensor],
        settings: ClassifierSettings,
        betas: tuple[float, float],
        weight_decay: float,
        seeds: list[int],
        validations: list[Validation | None],
    ) -> None:
        self.classifiers = classifiers
        self.settings = settings
        self.seeds = seeds
        self.validations = validations
        self.sizes = [len(x) for x in xs]
        self.starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self.x = torch.cat([x.flatten(1) for x in xs])
        self.y = torch.cat(list(ys))
        self.stack = StackedClassifier(classifiers)
        trained = self.stack.trained
        encoder = [p for name, p in trained.items() if name.startswith("network.")]
        head = [p for name, p in trained.items() if name.startswith("head.")]
        # the encoder's first: schedules that leave out the classifier follow this order
        self.optimizers = [
            StackedAdam(parameters, betas, weight_decay)
            for parameters in (encoder, head)
            if parameters
        ]
        n = len(classifiers)
        self.last_loss: list[float | None] = [None] * n
        self.best_train: list[tuple[float, dict[str, torch.Tensor] | None]] = [(-1.0, None)] * n
        self.best_held: list[tuple[float, dict[str, torch.Tensor] | None]] = [(-1.0, None)] * n
        self.records: list[list[EpochRecord]] = [[] for _ in range(n)]

    def run(
        self, after_epoch: Callable[[int, int], None] | None, stopped: threading.Event
    ) -> list[list[EpochRecord]]:
        n_epochs = self.settings.epochs
        for epoch in range(1, n_epochs + 1):
            if stopped.is_set():  # another group failed, which is what the caller hears of
                break
            rates = self._rates(epoch)
            losses, accuracies = self._epoch(epoch, rates)
            self._keep_best_train(accuracies)
            for classifier in self.classifiers:
                classifier.eval()
            for number, validation in enumerate(self.validations):
                held = self._validate(number, validation)
                record = EpochRecord(epoch, losses[number], accuracies[number], rates[number], held)
                self.records[number].append(record)
            if after_epoch is not None:
                after_epoch(epoch, n_epochs)
        for number, (_, state) in enumerate(self.best_held):
            if state is not None:
                self._restore(number, state)
        return self.records

    def _rates(self, epoch: int) -> list[float]:
        settings = self.settings
        base, total = settings.learning_rate, settings.epochs
        return [
            learning_rate(settings.schedule, base, epoch - 1, total, loss=loss)
            for loss in self.last_loss
        ]

    def _epoch(self, epoch: int, rates: list[float]) -> tuple[list[float], list[float]]:
        constant = [self.settings.learning_rate] * len(rates)
        batches = [
            epoch_batches(size, self.settings.batch_size, self._n_batches(size), seed, epoch)
            for size, seed in zip(self.sizes, self.seeds, strict=True)
        ]
        n = len(self.classifiers)
        device = self.x.device
        loss_sums = torch.zeros(n, dtype=torch.float64, device=device)
        rights = torch.zeros(n, dtype=torch.int64, device=device)
        seen = np.zeros(n)
        for step in range(len(batches[0])):
            rows = [own[step] for own in batches if step < len(own)]
            n_active = len(rows)
            index, valid, lengths = self._gather(rows)
            x, wanted = self.x[index], self.y[index]
            if self.settings.zero_grad:
                for parameter in self.stack.trained.values():
                    parameter.grad = None
            n_rows = torch.from_numpy(lengths).to(device)
            logits = self.stack.logits(x, n_active, n_rows, valid)
            each = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
            each = each.view(n_active, -1)
            hits = logits.detach().argmax(dim=2) == wanted
            if valid is not None:
                each, hits = each * valid, hits & (valid > 0)
            means = each.sum(dim=1) / n_rows
            torch.autograd.backward(means.sum())
            for number, optimizer in enumerate(self.optimizers):
                follows = number == 0 or self.settings.schedule_all
                optimizer.step(n_active, rates if follows else constant)
            loss_sums[:n_active] += means.detach().double() * n_rows
            rights[:n_active] += hits.sum(dim=1)
            seen[:n_active] += lengths
        losses = (loss_sums.cpu().numpy() / seen).tolist()
        if not np.isfinite(losses).all():
            worst = next(loss for loss in losses if not np.isfinite(loss))
            raise ConfigError(
                f"Training diverged: the loss is {worst} in epoch {epoch} of "
                f"{self.settings.epochs}. Check the scaling of the windows, or lower "
                "'learning_rate'."
            )
        self.last_loss = list(losses)
        return losses, (rights.cpu().numpy() / seen).tolist()

    def _n_batches(self, size: int) -> int | None:
        settings = self.settings
        if settings.max_steps is None or not settings.epochs:
            return None
        budget = max(1, settings.max_steps // settings.epochs)
        return budget if budget * settings.batch_size < size else None

    def _gather(
        self, rows: list[NDArray[np.int64]]
    ) -> tuple[torch.Tensor, torch.Tensor | None, NDArray[np.int64]]:
        """Return positions (subjects, rows), which of them count (None: all), and their numbers."""
        lengths = np.array([len(own) for own in rows])
        widest = int(lengths.max())
        index = np.empty((len(rows), widest), dtype=np.int64)
        for number, own in enumerate(rows):
            index[number, : len(own)] = own
            index[number, len(own) :] = own[0]
        index += self.starts[: len(rows), None]
        device = self.x.device
        valid = None
        if lengths.min() < widest:
            counted = np.arange(widest)[None, :] < lengths[:, None]
            valid = torch.from_numpy(counted).to(device=device, dtype=self.x.dtype)
        return torch.from_numpy(index).to(device), valid, lengths

    def _keep_best_train(self, accuracies: list[float]) -> None:
        if self.settings.keep != "best-train-accuracy":
            return
        for number, accuracy in enumerate(accuracies):
            best, state = self.best_train[number]
            if accuracy > best or state is None:
                self.best_train[number] = (accuracy, self._state(number))
            else:
                self._restore(number, state)

    def _validate(self, number: int, validation: Validation | None) -> float | None:
        if validation is None:
            return None
        predict, truth = validation
        score = balanced_accuracy(truth, predict())
        if score > self.best_held[number][0]:
            self.best_held[number] = (score, self._state(number))
        return score

    def _state(self, number: int) -> dict[str, torch.Tensor]:
        tensors = {**self.stack.parameters, **self.stack.buffers}
        return {name: tensor[number].detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def _restore(self, number: int, state: dict[str, torch.Tensor]) -> None:
        for name, tensor in {**self.stack.parameters, **self.stack.buffers}.items():
            tensor[number].copy_(state[name])
