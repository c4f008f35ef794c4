"""EMOD's fine-tuning: a head on the backbone, learnt from granted labels.

Batches may hold windows of several corpora with different electrodes, rates and lengths: each goes
through the network by itself and the batch's gradient is their sum. Only the head ``normalised``
has batch statistics; with the others large batches are computed in pieces with the same gradient.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from affectrum.errors import ConfigError
from affectrum.methods.emod.heads import apply_head
from affectrum.methods.emod.labelled import Piece, WindowPool, ahead
from affectrum.methods.emod.networks import autocast
from affectrum.training.loop import EpochRecord, balanced_accuracy, epoch_batches
from affectrum.training.schedules import learning_rate

if TYPE_CHECKING:
    from affectrum.methods.emod.backbone import EMODBackbone
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.windows import Windows

__all__ = [
    "Classifier",
    "Labelled",
    "cohen_kappa",
    "finetune",
    "make_pool",
    "outputs",
    "score",
    "windows_at_once",
]

# Numbers that a pass may hold, and how many of them a window takes per electrode, sample and
# feature of the network (measured: 2.6 to 3.7 in training, 0.7 to 1.0 in scoring).
_BUDGET = {"cpu": 2**28, "cuda": 2**32}
_TRAINING, _SCORING = 4, 2


class Classifier(nn.Module):
    """Backbone and head: windows to logits.

    Parameters
    ----------
    backbone : EMODBackbone
        Windows to tokens.
    head : nn.Module
        Tokens (batch, channels, tokens, width) to logits (batch, n_classes).
    freeze_backbone : bool
        Keep the backbone as it is.
    """

    def __init__(
        self, backbone: EMODBackbone, head: nn.Module, freeze_backbone: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.freeze_backbone = freeze_backbone

    def forward(self, x: torch.Tensor, electrode_ids: torch.Tensor, sfreq: float) -> torch.Tensor:
        """Map windows (batch, channels, samples) in volts to logits (batch, n_classes)."""
        if self.freeze_backbone:
            with torch.no_grad():
                tokens = self.backbone(x, electrode_ids, sfreq)
        else:
            tokens = self.backbone(x, electrode_ids, sfreq)
        return apply_head(self.head, tokens)

    def train(self, mode: bool = True) -> Self:
        """Switch dropout; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.freeze_backbone:
            self.backbone.eval()
        return self


@dataclass(frozen=True)
class Labelled:
    """Windows and their classes.

    Attributes
    ----------
    pool : WindowPool
        The windows.
    y : ndarray of int64, shape (n,)
        Class of each.
    """

    pool: WindowPool
    y: NDArray[np.int64]


def windows_at_once(
    shape: tuple[int, int, int], width: int, device: torch.device, *, training: bool
) -> int:
    """Return how many windows go through the network in one pass, so that memory stays bounded.

    Parameters
    ----------
    shape : tuple of int
        Windows, electrodes and samples.
    width : int
        Features of a token.
    device : torch.device
        Where it is computed.
    training : bool
        Whether activations are kept for the gradient.

    Returns
    -------
    int
        At least 1.
    """
    numbers = shape[1] * shape[2] * width * (_TRAINING if training else _SCORING)
    return max(1, _BUDGET[device.type] // numbers)


def make_pool(
    parts: Sequence[Windows], width: int, device: torch.device, *, training: bool
) -> WindowPool:
    """Put windows into a pool whose pieces fit into memory; see `windows_at_once`."""
    return WindowPool(
        parts, [windows_at_once(part.shape, width, device, training=training) for part in parts]
    )


def outputs(
    network: Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor],
    backbone: EMODBackbone,
    pool: WindowPool,
    config: EMODConfig,
    device: torch.device,
) -> Iterator[torch.Tensor]:
    """Send windows through a network without gradients, piece by piece in their order.

    Parameters
    ----------
    network : callable
        ``network(x, electrode_ids, sfreq)``, in evaluation mode.
    backbone : EMODBackbone
        Numbers the electrodes.
    pool : WindowPool
        The windows.
    config : EMODConfig
        Its `precision` is used.
    device : torch.device
        Where the network is.

    Yields
    ------
    torch.Tensor
        What the network gives for a piece, float32, on the CPU.
    """
    ids = [backbone.electrode_ids(part.channels).to(device) for part in pool.parts]
    for piece in ahead(pool.in_order()):
        with torch.inference_mode(), autocast(config, device):
            x = torch.from_numpy(piece.x).to(device)
            out = network(x, ids[piece.part], pool.rates[piece.part])
        yield out.float().cpu()


def score(
    classifier: Classifier, pool: WindowPool, config: EMODConfig, device: torch.device
) -> NDArray[np.float64]:
    """Class probabilities of windows.

    Parameters
    ----------
    classifier : Classifier
        On `device`, in evaluation mode.
    pool : WindowPool
        n windows, at least one.
    config : EMODConfig
        Its `precision` is used.
    device : torch.device
        Where the classifier is.

    Returns
    -------
    ndarray, shape (n, n_classes), float64
        Rows sum to 1.
    """
    logits = torch.cat(list(outputs(classifier, classifier.backbone, pool, config, device)))
    return np.asarray(torch.softmax(logits.double(), dim=1).numpy())


def cohen_kappa(y: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Cohen's kappa: agreement beyond what the marginals give by chance.

    Parameters
    ----------
    y, predicted : ndarray of int64, shape (n,)
        True and predicted classes.

    Returns
    -------
    float
        At most 1; 0 at chance, and where both hold one class only.
    """
    n = int(max(y.max(), predicted.max())) + 1
    table = np.bincount(n * y + predicted, minlength=n * n).reshape(n, n) / len(y)
    by_chance = float(table.sum(axis=1) @ table.sum(axis=0))
    if by_chance >= 1.0:
        return 0.0
    return (float(np.trace(table)) - by_chance) / (1.0 - by_chance)


def make_optimizer(
    classifier: Classifier, config: EMODConfig
) -> tuple[torch.optim.Optimizer, tuple[float, ...]]:
    """Make the optimizer of fine-tuning and the learning rate of each parameter group."""
    as_released = config.finetune_optimizer == "as-released"
    from_scratch = as_released and not config.pretraining
    kind: type[torch.optim.Adam] = torch.optim.AdamW
    if config.finetune_optimizer == "adam" or (as_released and config.pretraining):
        kind = torch.optim.Adam
    groups: list[dict[str, Any]] = [{"params": list(classifier.head.parameters())}]
    rates = [config.head_rate]
    if not config.freeze_backbone:
        groups.append({"params": list(classifier.backbone.parameters())})
        rates.append(config.head_rate if from_scratch else config.backbone_rate)
    optimizer = kind(groups, lr=config.head_rate, weight_decay=config.finetune_decay, fused=True)
    return optimizer, tuple(rates)


def finetune(
    classifier: Classifier,
    train: Labelled,
    config: EMODConfig,
    *,
    device: torch.device,
    seed: int,
    validation: Labelled | None = None,
    after_epoch: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[EpochRecord]:
    """Fine-tune a classifier in place; it ends in evaluation mode.

    Cross-entropy with label smoothing; the learning rates fall per epoch along a cosine.

    Parameters
    ----------
    classifier : Classifier
        On `device`.
    train : Labelled
        At least two windows.
    config : EMODConfig
        Parameters.
    device : torch.device
        Where to compute.
    seed : int
        Seed of the batches' order; dropout draws from torch's generator.
    validation : Labelled, optional
        With it the weights of the best epoch by `validation_metric` are kept, the first of equals;
        else the last.
    after_epoch : callable, optional
        Called as ``after_epoch(epoch, n_epochs)`` with the classifier in evaluation mode.
    progress : callable, optional
        Called as ``progress(steps_done, n_steps)``.

    Returns
    -------
    list of EpochRecord
        One per epoch; `validation` holds the metric that chooses.

    Raises
    ------
    ConfigError
        If there are fewer than two windows, or the loss is not finite.
    """
    n = len(train.y)
    if n < 2:
        raise ConfigError(f"Fine-tuning needs at least 2 labelled windows; received {n}.")
    epochs = config.finetune_epochs
    n_batches = None
    if config.finetune_max_steps is not None and epochs:
        budget = max(1, config.finetune_max_steps // epochs)
        n_batches = budget if budget * config.finetune_batch < n else None
    optimizer, rates = make_optimizer(classifier, config)
    ids = [classifier.backbone.electrode_ids(part.channels).to(device) for part in train.pool.parts]
    choose = cohen_kappa if config.validation_metric == "kappa" else balanced_accuracy
    records: list[EpochRecord] = []
    best, best_state = -math.inf, None

    for epoch in range(1, epochs + 1):
        for group, base in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = learning_rate(
                "cosine", base, epoch - 1, epochs, end=config.finetune_rate_end
            )
        batches = epoch_batches(n, config.finetune_batch, n_batches, seed, epoch)
        classifier.train()
        loss_sum = torch.zeros((), device=device)
        n_right = torch.zeros((), dtype=torch.int64, device=device)
        for number, pieces in enumerate(ahead(train.pool.read(rows) for rows in batches)):
            optimizer.zero_grad(set_to_none=True)
            size = sum(len(piece.rows) for piece in pieces)
            for piece in pieces:
                loss, right = _piece_loss(classifier, piece, train, ids, config, device)
                torch.autograd.backward(loss / size)
                loss_sum += loss.detach()
                n_right += right
            nn.utils.clip_grad_norm_(classifier.parameters(), config.finetune_clip)
            optimizer.step()
            if progress is not None:
                progress((epoch - 1) * len(batches) + number + 1, epochs * len(batches))
        n_seen = sum(len(rows) for rows in batches)
        mean_loss = float(loss_sum) / n_seen
        if not math.isfinite(mean_loss):
            raise ConfigError(
                f"Fine-tuning diverged: the loss is {mean_loss} in epoch {epoch} of {epochs}. "
                "Check that the windows are volts, or lower 'head_rate' and 'backbone_rate'."
            )
        classifier.eval()
        value = None
        if validation is not None:
            predicted = score(classifier, validation.pool, config, device).argmax(axis=1)
            value = choose(validation.y, predicted)
            if value > best:
                best, best_state = value, copy.deepcopy(classifier.state_dict())
        records.append(
            EpochRecord(
                epoch, mean_loss, int(n_right) / n_seen, optimizer.param_groups[-1]["lr"], value
            )
        )
        if after_epoch is not None:
            after_epoch(epoch, epochs)

    classifier.eval()
    if best_state is not None:
        classifier.load_state_dict(best_state)
    return records


def _piece_loss(
    classifier: Classifier,
    piece: Piece,
    train: Labelled,
    ids: Sequence[torch.Tensor],
    config: EMODConfig,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed loss of a piece, and how many of its windows are right."""
    x = torch.from_numpy(piece.x).to(device)
    wanted = torch.from_numpy(train.y[piece.rows]).to(device)
    with autocast(config, device):
        logits = classifier(x, ids[piece.part], train.pool.rates[piece.part])
    loss = F.cross_entropy(
        logits.float(), wanted, label_smoothing=config.label_smoothing, reduction="sum"
    )
    return loss, (logits.detach().argmax(dim=1) == wanted).sum()
