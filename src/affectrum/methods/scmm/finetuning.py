"""SCMM's fine-tuning: a classifier on the pre-trained encoder, learnt from granted labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affectrum.errors import AccessError, ConfigError
from affectrum.methods.base import derive_seed
from affectrum.methods.scmm.config import SCMMConfig
from affectrum.methods.scmm.network import SCMMNetwork
from affectrum.methods.scmm.pretraining import check_windows, to_tensor
from affectrum.training.loop import (
    ClassifierSettings,
    EpochRecord,
    make_adam,
    train_classifier,
)

if TYPE_CHECKING:
    from affectrum.protocols import Access, Grant

__all__ = ["SCMMClassifier", "finetune", "labelled_grants", "make_classifier", "score"]

# Windows per pass when scoring
_SCORE_BATCH = 4096


class SCMMClassifier(nn.Module):
    """Encoder and classifier: windows to logits.

    Parameters
    ----------
    network : SCMMNetwork
        Its encoder is used.
    head : nn.Module
        Embeddings to logits.
    freeze_encoder : bool
        Keep the encoder as it is, its normalisation statistics included.
    """

    def __init__(self, network: SCMMNetwork, head: nn.Module, freeze_encoder: bool = False) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.freeze_encoder = freeze_encoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, n_channels, n_bands) to logits (n, n_classes)."""
        if self.freeze_encoder:
            with torch.no_grad():
                h = self.network.embed(x)
        else:
            h = self.network.embed(x)
        logits: torch.Tensor = self.head(h)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.freeze_encoder:
            self.network.eval()
        return self


def make_classifier(
    network: SCMMNetwork, n_classes: int, config: SCMMConfig, seed: int
) -> SCMMClassifier:
    """Put a classifier on a network; its initial weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = network.classifier_head(n_classes, config.classifier_activation)
    return SCMMClassifier(network, head, config.freeze_encoder)


def labelled_grants(access: Access, config: SCMMConfig) -> list[Grant]:
    """Return the grants whose labels fine-tuning learns from.

    Raises
    ------
    AccessError
        If the labels asked for are not granted, or the source's classes are not the target's.
    """
    calibration = access.calibration
    source = access.source
    has_calibration = calibration is not None and calibration.y is not None
    has_source = source is not None and source.y is not None
    which = config.finetune_on
    if which == "auto":
        which = "calibration" if has_calibration else "source"
    wants_source = which in ("source", "both")
    grants: list[Grant] = []
    if which in ("calibration", "both"):
        if not has_calibration:
            raise AccessError(
                f"finetune_on={config.finetune_on!r} needs calibration labels, which protocol "
                f"{access.protocol!r} does not grant (it grants {', '.join(access.grants)}). "
                "Use 'cross-corpus/calibrated', or finetune_on='source'."
            )
        assert calibration is not None
        grants.append(calibration)
    if wants_source:
        if not has_source:
            raise AccessError(
                "SCMM fine-tunes on calibration or source labels; protocol "
                f"{access.protocol!r} grants {', '.join(access.grants) or 'nothing'}. Use a "
                "protocol that grants labels, such as 'cross-corpus/zero-shot' or "
                "'cross-corpus/calibrated'."
            )
        source_classes = access.source_classes or access.classes
        if tuple(source_classes) != tuple(access.classes):
            raise AccessError(
                "SCMM can't learn the target's classes "
                f"({', '.join(access.classes)}) from source labels of other classes "
                f"({', '.join(source_classes)}) under protocol {access.protocol!r}. Use "
                "'cross-corpus/calibrated', which fine-tunes on the target subject's own trials, "
                "or give both corpora one class scheme."
            )
        assert source is not None
        grants.append(source)
    return grants


def finetune(
    classifier: SCMMClassifier,
    access: Access,
    config: SCMMConfig,
    *,
    device: torch.device,
    after_epoch: Callable[[int, int], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[EpochRecord]:
    """Fine-tune a classifier in place.

    Parameters
    ----------
    classifier : SCMMClassifier
        On `device`.
    access : Access
        Labels come from `labelled_grants`; with validation windows the best epoch on them is kept.
    config : SCMMConfig
        Parameters.
    device : torch.device
        Where to compute.
    after_epoch, progress : callable, optional
        See `train_classifier`.

    Returns
    -------
    list of EpochRecord
        One per epoch.

    Raises
    ------
    AccessError
        See `labelled_grants`.
    ConfigError
        If windows don't fit the network.
    """
    x, y = training_windows(classifier.network, access, config, device)
    adam = {"learning_rate": config.learning_rate, "weight_decay": config.weight_decay}
    optimizers = [make_adam(list(classifier.head.parameters()), betas=config.betas, **adam)]
    if not config.freeze_encoder:
        # the encoder's optimizer first: schedules that leave out the classifier follow this order
        parameters = list(classifier.network.encoder.parameters())
        optimizers.insert(0, make_adam(parameters, betas=config.betas, **adam))
    return train_classifier(
        classifier,
        x,
        y,
        optimizers,
        loop_settings(config),
        seed=batch_seed(config, access),
        after_epoch=after_epoch,
        validation=validation_of(classifier, access, device),
        progress=progress,
    )


def batch_seed(config: SCMMConfig, access: Access) -> int:
    """Seed of the order of fine-tuning batches."""
    return derive_seed(config.seed, access.seed, "fine-tuning batches")


def loop_settings(config: SCMMConfig) -> ClassifierSettings:
    """Return the settings of the training loop that fine-tuning uses."""
    return ClassifierSettings(
        epochs=config.finetune_epochs,
        batch_size=config.finetune_batch,
        max_steps=config.finetune_max_steps,
        learning_rate=config.learning_rate,
        schedule=config.finetune_schedule,
        schedule_all=config.schedule_classifier,
        zero_grad=config.finetune_zero_grad,
        keep=config.finetune_keep,
    )


def training_windows(
    network: SCMMNetwork, access: Access, config: SCMMConfig, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the windows that fine-tuning learns from, and their classes.

    Raises
    ------
    AccessError
        See `labelled_grants`.
    ConfigError
        If windows don't fit the network.
    """
    xs: list[torch.Tensor] = []
    ys: list[NDArray[np.int64]] = []
    for grant in labelled_grants(access, config):
        check_windows(grant.windows)
        check_shape(network, grant.windows.shape)
        assert grant.y is not None
        xs.append(to_tensor(grant.windows.x, device))
        ys.append(np.asarray(grant.y, dtype=np.int64))
    x = xs[0] if len(xs) == 1 else torch.cat(xs)
    return x, torch.from_numpy(np.concatenate(ys)).to(device)


def validation_of(
    classifier: SCMMClassifier, access: Access, device: torch.device
) -> tuple[Callable[[], NDArray[np.int64]], NDArray[np.int64]] | None:
    """Return a prediction of the validation windows and their classes, None without them."""
    if access.validation is None or access.validation.y is None:
        return None
    held = to_tensor(access.validation.windows.x, device)
    check_shape(classifier.network, tuple(held.shape))

    def predict() -> NDArray[np.int64]:
        return np.asarray(score(classifier, held).argmax(axis=1), dtype=np.int64)

    return predict, np.asarray(access.validation.y, dtype=np.int64)


def check_shape(network: SCMMNetwork, shape: tuple[int, ...]) -> None:
    """Raise ConfigError if windows of this shape don't fit the network."""
    if tuple(shape[1:]) != (network.n_channels, network.n_bands):
        raise ConfigError(
            f"This SCMM network takes windows of {network.n_channels} electrodes x "
            f"{network.n_bands} bands; received {' x '.join(str(size) for size in shape[1:])}. "
            "Prepare all corpora with one recipe."
        )


@torch.no_grad()
def score(model: nn.Module, x: torch.Tensor) -> NDArray[np.float64]:
    """Class probabilities of windows, in batches.

    Parameters
    ----------
    model : nn.Module
        Windows to logits; in evaluation mode.
    x : torch.Tensor, shape (n, n_channels, n_bands)
        Windows.

    Returns
    -------
    ndarray, shape (n, n_classes), float64
        Rows sum to 1.
    """
    parts = [model(part) for part in torch.split(x, _SCORE_BATCH)]
    return np.asarray(torch.softmax(torch.cat(parts).double(), dim=1).cpu().numpy())
