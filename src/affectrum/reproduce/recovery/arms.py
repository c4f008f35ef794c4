"""One cell of a recovery study: pre-train (or not), fine-tune, predict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.methods.base import derive_seed
from affectrum.methods.emod.config import EMODConfig
from affectrum.reproduce.recovery.data import Draw, arm_places
from affectrum.reproduce.recovery.plan import SCRATCH, RecoveryCell

if TYPE_CHECKING:
    from affectrum.methods.base import Pretrained
    from affectrum.windows import Windows

__all__ = ["ArmResult", "config_of", "plane_of", "run_arm"]

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ArmResult:
    """What a cell found.

    Attributes
    ----------
    scores : dict of str to ndarray, shape (n_test_windows, n_classes)
        Class probabilities: ``finetuned`` (the whole network) and ``probe`` (logistic regression on
        the backbone as pre-training left it; for the arm from scratch, on random weights).
    meta : dict
        Loss curves and seconds.
    """

    scores: dict[str, NDArray[np.float64]]
    meta: dict[str, Any]


def config_of(cell: RecoveryCell) -> EMODConfig:
    """Return EMOD's parameters for a cell: the arms differ in pre-training only."""
    plan = cell.plan
    return EMODConfig.model_validate(
        {
            "device": "cpu",
            "per_region": 1,
            "pretrain_epochs": plan.pretrain_epochs,
            "pretrain_steps": plan.pretrain_steps,
            "finetune_epochs": plan.finetune_epochs,
            "finetune_batch": plan.finetune_batch,
            **plan.network,
            **({"max_distance": plan.narrow_distance} if cell.arm == "narrow" else {}),
            "objective": "instance" if cell.arm == "instance" else "soft-va",
            "pretraining": cell.arm != SCRATCH,
            "seed": derive_seed(0, "recovery", cell.seed),
        }
    )


def plane_of(cell: RecoveryCell, windows: Windows, words: set[str]) -> NDArray[np.float64]:
    """Return valence and arousal that an arm puts windows at.

    Parameters
    ----------
    cell : RecoveryCell
        Its arm says by which table.
    windows : Windows
        n windows of a pre-training corpus.
    words : set of str
        Words of all pre-training corpora.

    Returns
    -------
    ndarray, shape (n, 2)
        -1..1; NaN for words without a place, and for arms that see no words.
    """
    if cell.arm in (SCRATCH, "instance"):
        return np.full((len(windows), 2), np.nan)
    places = arm_places(cell.plan, cell.arm, words)
    missing = (np.nan, np.nan)
    return np.array([places.get(word, missing) for word in windows.table["emotion"]])


def run_arm(cell: RecoveryCell, draw: Draw, tell: Tell | None = None) -> ArmResult:
    """Compute a cell.

    Parameters
    ----------
    cell : RecoveryCell
        What to compute.
    draw : Draw
        Its corpora.
    tell : callable, optional
        Called as ``tell(stage, done, total)``.

    Returns
    -------
    ArmResult
    """
    from affectrum.methods.emod.finetuning import Labelled, finetune, make_pool
    from affectrum.methods.emod.models import FineTuned
    from affectrum.methods.emod.networks import seeded
    from affectrum.methods.emod.readout import LinearProbe

    config = config_of(cell)
    start = time.monotonic()
    pretrained = _pretrain(cell, config, draw, tell)
    middle = time.monotonic()
    n_classes = len(draw.classes)
    train = draw.train
    # Every arm starts from the same weights and meets the same batches.
    model = FineTuned(
        config,
        n_classes,
        {
            "kind": config.head,
            "n_channels": train.shape[1],
            "n_samples": train.shape[2],
            "sfreq": train.sfreq,
        },
        backbone_seed=derive_seed(config.seed, "backbone"),
        head_seed=derive_seed(config.seed, "head"),
    )
    if pretrained is not None:
        model.start_from(pretrained)
    probe = LinearProbe.fit(model.embed(train), draw.y_train, n_classes)
    scores = {"probe": np.asarray(probe.predict_proba(model.embed(draw.test)), dtype=np.float64)}
    labelled = Labelled(make_pool([train], config.width, model.device, training=True), draw.y_train)
    with seeded(derive_seed(config.seed, "fine-tuning")):
        records = finetune(
            model.classifier,
            labelled,
            config,
            device=model.device,
            seed=derive_seed(config.seed, "batches of fine-tuning"),
            progress=None if tell is None else lambda done, n: tell("fine-tuning", done, n),
        )
    scores["finetuned"] = model.predict_proba(draw.test)
    meta = {
        "pretraining_loss": [] if pretrained is None else pretrained.meta["history"],
        "finetuning_loss": [record.loss for record in records],
        "finetuning_accuracy": [record.train_accuracy for record in records],
        "pretraining_s": round(middle - start, 2),
        "finetuning_s": round(time.monotonic() - middle, 2),
    }
    return ArmResult(scores, meta)


def _pretrain(
    cell: RecoveryCell, config: EMODConfig, draw: Draw, tell: Tell | None
) -> Pretrained | None:
    if cell.arm == SCRATCH:
        return None
    from affectrum.methods.emod.pretraining import pretrain_parts

    words = {str(word) for part in draw.sources for word in part.table["emotion"].unique()}
    parts = [(part, plane_of(cell, part, words)) for part in draw.sources]
    return pretrain_parts(parts, config, fingerprint=cell.digest, progress=tell, log_every=5)
