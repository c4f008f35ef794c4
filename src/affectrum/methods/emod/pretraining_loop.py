"""EMOD's pre-training loop: batches of all corpora in, steps of AdamW out.

Randomness is stateless: batches, views and dropout of step k follow from (seed, k), so a run that
resumes at step k repeats the uninterrupted run bit for bit on one kind of processor and thread
count.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from affectrum.errors import ConfigError
from affectrum.methods.base import Progress, derive_seed
from affectrum.methods.emod.backbone import EMODBackbone
from affectrum.methods.emod.config import PRETRAIN_FIELDS, EMODConfig
from affectrum.methods.emod.gathering import gather_rows
from affectrum.methods.emod.heads import PretrainHead, apply_head
from affectrum.methods.emod.losses import (
    hard_va_loss,
    instance_loss,
    supcon_loss,
    va_contrastive_loss,
)
from affectrum.methods.emod.networks import autocast, seeded
from affectrum.methods.emod.streaming import CorpusBatch, WindowStream
from affectrum.training.checkpoints import load_checkpoint, save_checkpoint
from affectrum.training.distributed import (
    Processes,
    average_gradients,
    broadcast,
    current_processes,
    unlike_first,
)
from affectrum.training.schedules import learning_rate, set_learning_rate

if TYPE_CHECKING:
    from affectrum.training.tracking import Log

__all__ = ["PretrainNetwork", "PretrainRun", "batch_loss", "run_pretraining"]

# Rows from which on the loss goes through pairs in blocks, and how many anchors a block has
_WHOLE_UP_TO = 4096
_CHUNK = 1024
# A checkpoint is written after so many steps, or so many seconds, whichever comes first
_CHECKPOINT_STEPS = 200
_CHECKPOINT_SECONDS = 300.0
# On a graphics processor, looking at a loss waits for it; so it is looked at every so many steps
_LOOK = {"cpu": 1, "cuda": 10}


class PretrainNetwork(nn.Module):
    """Backbone and pre-training head; its state is named ``backbone.*`` and ``head.*``.

    Parameters
    ----------
    backbone : EMODBackbone
        Turns windows into tokens.
    head : PretrainHead
        Turns tokens into points on the sphere.
    """

    def __init__(self, backbone: EMODBackbone, head: PretrainHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self._ids: dict[tuple[str, ...], torch.Tensor] = {}

    def forward(self, parts: Sequence[CorpusBatch]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Project the windows of several corpora; each corpus is normalised by itself.

        Parameters
        ----------
        parts : sequence of CorpusBatch
            One for each corpus, of any electrodes, rate and length.

        Returns
        -------
        first : torch.Tensor, shape (n, out)
            Projections of length 1, corpus by corpus.
        second : torch.Tensor, shape (n, out), or None
            Those of the second views, where the parts have them.
        """
        first, second = [], []
        for part in parts:
            x = part.x if part.second is None else torch.cat([part.x, part.second])
            z = apply_head(self.head, self._tokens(x, part))
            first.append(z[: len(part.x)])
            second.append(z[len(part.x) :])
        both = parts[0].second is not None
        return torch.cat(first), torch.cat(second) if both else None

    def _tokens(self, x: torch.Tensor, part: CorpusBatch) -> torch.Tensor:
        if not len(x):  # more processes than windows: the head's statistics still need this one
            return x.new_zeros(0, 1, 1, self.backbone.width)
        ids = self._ids.get(part.channels)
        if ids is None:
            ids = self._ids[part.channels] = self.backbone.electrode_ids(part.channels).to(x.device)
        tokens: torch.Tensor = self.backbone(x, ids, part.sfreq)
        return tokens


def batch_loss(
    network: PretrainNetwork, parts: Sequence[CorpusBatch], config: EMODConfig
) -> torch.Tensor:
    """Contrastive loss of one batch over the rows of all processes.

    Parameters
    ----------
    network : PretrainNetwork
        The network.
    parts : sequence of CorpusBatch
        This process's share of the batch.
    config : EMODConfig
        Which loss, and its numbers.

    Returns
    -------
    torch.Tensor, scalar
        Mean over all anchors; the same in all processes.
    """
    with autocast(config, parts[0].x.device):
        first, second = network(parts)
    z = gather_rows(first)
    chunk = None if len(z) <= _WHOLE_UP_TO else _CHUNK
    if second is not None:
        return instance_loss(z, gather_rows(second), config.temperature, chunk=chunk)
    if config.objective == "supcon":
        labels = gather_rows(torch.cat([part.region for part in parts]))
        return supcon_loss(z, labels, config.temperature, chunk=chunk)
    va = gather_rows(torch.cat([part.va for part in parts]))
    if config.objective == "hard-va":
        return hard_va_loss(
            z, va, config.hard_rule, config.max_distance, config.temperature, chunk=chunk
        )
    return va_contrastive_loss(z, va, config.max_distance, config.temperature, chunk=chunk)


@dataclass
class PretrainRun:
    """How far a pre-training is, and what it went through.

    Attributes
    ----------
    step : int
        Steps done.
    history : list of (int, float)
        Step (from 0) and its loss, now and then.
    epochs : list of (float, float)
        Mean loss and learning rate of each finished epoch.
    loss_sum : float
        Of the steps of the epoch that is under way.
    kept_epoch : int or None
        Epoch (from 1) whose weights were kept, where that is not the last.
    kept : dict or None
        Those weights.
    """

    step: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)
    epochs: list[tuple[float, float]] = field(default_factory=list)
    loss_sum: float = 0.0
    kept_epoch: int | None = None
    kept: dict[str, torch.Tensor] | None = None

    def end_epoch(self, network: nn.Module, n_steps: int, rate: float, keep_best: bool) -> None:
        """Close an epoch of `n_steps`; keep its weights if they are the best so far."""
        mean = self.loss_sum / n_steps
        if keep_best and (not self.epochs or mean < min(loss for loss, _ in self.epochs)):
            self.kept_epoch = len(self.epochs) + 1
            self.kept = {name: value.clone() for name, value in network.state_dict().items()}
        self.epochs.append((mean, rate))
        self.loss_sum = 0.0


def run_pretraining(
    network: PretrainNetwork,
    stream: WindowStream,
    config: EMODConfig,
    *,
    steps_per_epoch: int,
    log_every: int | None = None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
    log: Log | None = None,
) -> PretrainRun:
    """Pre-train a network; it ends in evaluation mode with the weights to be kept.

    In several processes all of them call this; each takes its share of every batch, and process 0
    alone reads and writes the checkpoint and reports.

    Parameters
    ----------
    network : PretrainNetwork
        On the computing device; changed in place.
    stream : WindowStream
        Batches by number.
    config : EMODConfig
        Parameters; `seed` is the run's.
    steps_per_epoch : int
        Optimiser steps of an epoch; each takes `config.accumulate` batches.
    log_every : int or None
        Steps between two entries of the history; None: such that there are about 500.
    checkpoint : Path, optional
        File to resume from and to write to.
    fingerprint : str
        Digest of data, settings and seed, the same in all processes; a checkpoint of anything else
        is refused.
    progress : callable, optional
        Called as ``progress(stage, done, total)`` after each step; the stage tells epoch, loss
        and learning rate.
    log : callable, optional
        Called as ``log(step, values)`` where the history gets an entry: loss, learning rate, norm
        of the gradient before clipping, windows per second, share of the time spent waiting for
        windows.

    Returns
    -------
    PretrainRun
        Learning curve; whole in process 0 only, if the run was resumed.

    Raises
    ------
    ConfigError
        If the loss or its gradient is not finite, the checkpoint belongs to another run, or the
        processes do not all have the same windows, places and parameters.
    """
    place = current_processes()
    _require_alike(fingerprint, config, steps_per_epoch)
    device = next(network.parameters()).device
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=config.pretrain_rate, weight_decay=config.pretrain_decay, fused=True
    )
    run = _resume(checkpoint, fingerprint, network, optimizer, place)
    n_steps = config.pretrain_epochs * steps_per_epoch
    log_every = log_every or max(1, n_steps // 500)
    dropout_seed = derive_seed(config.seed, "dropout")
    keep_best = config.pretrain_keep == "lowest-loss"
    pace = _Pace()
    last_saved = time.monotonic()
    # until a loss is looked at; a fresh run looks at its first
    shown = run.history[-1][1] if run.history else math.nan

    network.train()
    batches = stream.batches(run.step * config.accumulate, n_steps * config.accumulate)
    loss_sum = torch.full((), run.loss_sum, dtype=torch.float64, device=device)
    while run.step < n_steps:
        step = run.step
        epoch = step // steps_per_epoch
        rate = learning_rate(
            "cosine",
            config.pretrain_rate,
            epoch,
            config.pretrain_epochs,
            end=config.pretrain_rate_end,
        )
        set_learning_rate(optimizer, rate)
        optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=device)
        for number in range(step * config.accumulate, (step + 1) * config.accumulate):
            pace.wait()
            parts = next(batches)
            pace.go(sum(len(part.x) for part in parts))
            with seeded(derive_seed(dropout_seed, number, place.rank)):
                share = batch_loss(network, parts, config) / config.accumulate
                torch.autograd.backward(share)
            loss += share.detach()
        average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, config.pretrain_clip)
        optimizer.step()
        loss_sum += loss

        run.step = done = step + 1
        logged = step % log_every == 0 or done == n_steps
        epoch_ends = done % steps_per_epoch == 0
        due = done % _CHECKPOINT_STEPS == 0 or done == n_steps
        # the same in all processes, so that all of them stop
        looked = logged or epoch_ends or due or step % _LOOK[device.type] == 0
        if looked:
            shown = float(loss)
            _require_finite(shown, float(norm), done, n_steps)
        if epoch_ends:
            run.loss_sum = float(loss_sum)
            run.end_epoch(network, steps_per_epoch, rate, keep_best)
            loss_sum.zero_()
        if logged:
            run.history.append((step, shown))
            if log is not None and place.first:
                values = {"loss": shown, "learning_rate": rate, "gradient_norm": float(norm)}
                log(done, {**values, **pace.read(place.world_size)})
        if progress is not None and place.first:
            stage = f"pre-training, epoch {epoch + 1} of {config.pretrain_epochs}"
            progress(f"{stage}, loss {shown:.3f}, learning rate {rate:.2g}", done, n_steps)
        # never without a look: a loss that is not finite would replace the last good checkpoint
        if checkpoint is not None and place.first and looked:
            late = time.monotonic() - last_saved > _CHECKPOINT_SECONDS
            if due or late:
                run.loss_sum = float(loss_sum)
                _save(checkpoint, fingerprint, run, network, optimizer)
                last_saved = time.monotonic()
    if run.kept is not None:
        network.load_state_dict(run.kept)
    broadcast(network.state_dict().values())
    network.eval()
    return run


def _require_alike(fingerprint: str, config: EMODConfig, steps_per_epoch: int) -> None:
    """Refuse to start with processes that would not compute shares of the same batches.

    All of them refuse: one that went on would wait for the others in its first exchange.
    """
    values = config.model_dump(mode="json", include=set(PRETRAIN_FIELDS))
    unlike = unlike_first(
        {
            "parameters": json.dumps(values, sort_keys=True),
            "everything": f"{fingerprint} {steps_per_epoch}",
        }
    )
    if not unlike:
        return
    what = "windows, or their places on the valence-arousal plane,"
    if "parameters" in unlike:
        what = "parameters of pre-training, or its seed,"
    ranks = ", ".join(str(rank) for rank in next(iter(unlike.values())))
    raise ConfigError(
        f"The processes can't pre-train together: the {what} of process {ranks} are not those of "
        "process 0. Give all processes the same plan, the same folders of corpora and the same "
        "store (or one that 'affectrum prepare' made from that plan and those folders)."
    )


def _require_finite(loss: float, norm: float, done: int, n_steps: int) -> None:
    """Refuse to go on with a loss, or weights after a gradient, that are not finite."""
    if math.isfinite(loss) and math.isfinite(norm):
        return
    what = f"the gradient's norm is {norm}" if math.isfinite(loss) else f"the loss is {loss}"
    raise ConfigError(
        f"Pre-training diverged: {what} at step {done} of {n_steps}. "
        "Check that windows are finite and in volts, or lower 'pretrain_rate'."
    )


class _Pace:
    """Windows per second, and the share of time spent waiting for them."""

    def __init__(self) -> None:
        self._began = self._since = time.perf_counter()
        self._waited = 0.0
        self._windows = 0

    def wait(self) -> None:
        self._since = time.perf_counter()

    def go(self, n_windows: int) -> None:
        self._waited += time.perf_counter() - self._since
        self._windows += n_windows

    def read(self, world_size: int) -> dict[str, float]:
        """Return the numbers since the last reading; processes have about equal shares."""
        now = time.perf_counter()
        spent = max(now - self._began, 1e-9)
        values = {
            "windows_per_second": world_size * self._windows / spent,
            "waiting_share": self._waited / spent,
        }
        self._began, self._waited, self._windows = now, 0.0, 0
        return values


def _save(
    path: Path,
    fingerprint: str,
    run: PretrainRun,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    state: dict[str, Any] = {
        "step": run.step,
        "history": run.history,
        "epochs": run.epochs,
        "loss_sum": run.loss_sum,
        "kept_epoch": run.kept_epoch,
        "kept": run.kept,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    save_checkpoint(path, fingerprint, state)


def _resume(
    path: Path | None,
    fingerprint: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    place: Processes,
) -> PretrainRun:
    """Go back to a checkpoint, if there is one; process 0 reads it for all."""
    run = PretrainRun()
    device = next(network.parameters()).device
    saved = load_checkpoint(path, fingerprint) if path is not None and place.first else None
    if saved is not None:
        run = PretrainRun(
            step=int(saved["step"]),
            history=[(int(step), float(loss)) for step, loss in saved["history"]],
            epochs=[(float(loss), float(rate)) for loss, rate in saved["epochs"]],
            loss_sum=float(saved["loss_sum"]),
            kept_epoch=saved["kept_epoch"],
            kept=saved["kept"],
        )
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
    if place.world_size == 1:
        return run
    facts = torch.tensor([run.step, run.loss_sum], dtype=torch.float64, device=device)
    broadcast([facts])
    run.step, run.loss_sum = int(facts[0]), float(facts[1])
    broadcast(network.state_dict().values())
    if run.step:
        for parameter in network.parameters():
            state = optimizer.state[parameter]
            if not state:  # what AdamW makes in its first step
                state["step"] = torch.zeros((), device=device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            broadcast([state["step"], state["exp_avg"], state["exp_avg_sq"]])
    return run
