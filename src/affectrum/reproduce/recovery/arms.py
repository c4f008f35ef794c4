"""One cell of a recovery study: pre-train (or not), fine-tune, predict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.methods.base import derive_seed
from affectrum.reproduce.recovery.data import Draw, arm_places
from affectrum.reproduce.recovery.plan import SCRATCH, RecoveryCell, RecoveryPlan

if TYPE_CHECKING:
    from affectrum.methods.base import Pretrained
    from affectrum.methods.emod.config import EMODConfig
    from affectrum.methods.emod.sampling import CorpusSampler
    from affectrum.windows import Windows

__all__ = ["ArmResult", "plane_of", "run_arm", "word_sampler"]

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

    config = cell.config
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
    sampler = None
    if cell.plan.batches == "words":
        each = [[str(word) for word in part.table["emotion"]] for part in draw.sources]
        sampler = word_sampler(cell.plan, each, config)
    return pretrain_parts(
        parts,
        config,
        fingerprint=cell.digest,
        progress=tell,
        log_every=5,
        sampler=sampler,
    )


def word_sampler(
    plan: RecoveryPlan, words: Sequence[Sequence[str]], config: EMODConfig
) -> CorpusSampler:
    """Return the batches of ``batches="words"``, which no arm's places change.

    Parameters
    ----------
    plan : RecoveryPlan
        The study.
    words : sequence of sequence of str
        The emotion word of each window of each pre-training corpus.
    config : EMODConfig
        Its seed and windows per turn.

    Returns
    -------
    CorpusSampler
        Words with a right place, in turn, from each corpus that has them.
    """
    from affectrum.methods.emod.sampling import N_REGIONS, RegionSampler

    placed = arm_places(plan, "right", ())
    known = sorted({word for part in words for word in part} & set(placed))
    turn = {word: k % N_REGIONS for k, word in enumerate(known)}
    turns = [np.array([turn.get(word, -1) for word in part]) for part in words]
    return RegionSampler(turns, config.per_region, derive_seed(config.seed, "batches"))
