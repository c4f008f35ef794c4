"""EMOD's pre-training: which windows it learns from, and the run over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.affect import emod_regions
from affectrum.errors import AccessError, ConfigError
from affectrum.methods.base import Pretrained, Progress, derive_seed
from affectrum.methods.emod.config import PRETRAIN_FIELDS, PRETRAIN_VERSION, EMODConfig
from affectrum.methods.emod.heads import PretrainHead
from affectrum.methods.emod.networks import build_backbone, module_arrays, seeded
from affectrum.methods.emod.pretraining_loop import PretrainNetwork, run_pretraining
from affectrum.methods.emod.sampling import CorpusSampler, RandomCorpusSampler, RegionSampler
from affectrum.methods.emod.streaming import WindowStream
from affectrum.training.distributed import current_processes, normalise_globally

if TYPE_CHECKING:
    from affectrum.protocols import Access, Grant
    from affectrum.training.tracking import Log
    from affectrum.windows import Windows

__all__ = [
    "Part",
    "fingerprint_of",
    "fingerprint_of_parts",
    "make_pretrain_network",
    "make_pretrain_sampler",
    "parts_of",
    "pretrain",
    "pretrain_parts",
    "with_run_seed",
]

Part = tuple["Windows", "NDArray[np.floating[Any]]"]
"""One corpus: raw windows (volts), and valence and arousal of each on -1..1, shape (n, 2)."""


def with_run_seed(config: EMODConfig, access: Access) -> EMODConfig:
    """Return the configuration with the run's seed mixed in; seed 0 changes nothing.

    Runs of several seeds must differ in their pre-training too, else their spread says nothing
    about it.
    """
    if not access.seed:
        return config
    return config.model_copy(update={"seed": derive_seed(config.seed, access.seed, "run")})


def parts_of(access: Access, config: EMODConfig) -> list[Part]:
    """Collect the source corpora and the places of their windows in the plane.

    Parameters
    ----------
    access : Access
        What the protocol grants.
    config : EMODConfig
        With ``objective="instance"`` no places are asked for, and all of them are NaN. With a
        `va_table` other than the task's, words are placed by that table, where they are granted.

    Returns
    -------
    list of (Windows, ndarray of shape (n, 2))
        One per corpus, valence and arousal on -1..1.

    Raises
    ------
    AccessError
        If no source is granted, or no valence and arousal where the objective needs them.
    """
    if not access.source_parts:
        raise AccessError(
            "Method 'emod' pre-trains on source corpora; protocol "
            f"{access.protocol!r} grants {', '.join(access.grants) or 'nothing'}. Use a protocol "
            "with a source, such as 'pretrain-finetune', or pretraining=False."
        )
    parts: list[Part] = []
    for grant in access.source_parts:
        va = grant.va
        if config.objective == "instance":
            va = np.full((len(grant.windows), 2), np.nan)
        elif config.va_table is not None and config.va_table != access.va_table:
            va = _places(grant, config.va_table)
        elif va is None:
            raise AccessError(
                f"Method 'emod' with objective={config.objective!r} learns from the valence and "
                f"arousal of {grant.windows.corpus}, which protocol {access.protocol!r} does not "
                "grant. Grant source labels (or source_labels='plane'), or use "
                "objective='instance', which needs none."
            )
        parts.append((grant.windows, va))
    return parts


def _places(grant: Grant, va_table: str) -> NDArray[np.float64]:
    """Place a grant's windows by the method's own table."""
    from affectrum.protocols.plane import plane_of

    table = grant.windows.table
    if "emotion" not in table:
        raise AccessError(
            f"Method 'emod' with va_table={va_table!r} places emotion words, and those of "
            f"{grant.windows.corpus} are not granted. Pass va_table to make_folds (va_table in a "
            "plan's task) instead, which places them before they are hidden."
        )
    return plane_of(table, va_table)


def fingerprint_of(access: Access, config: EMODConfig) -> str:
    """Digest of everything that pre-trained weights depend on.

    Neither the device nor the number of processes is among it: they change the last digits only
    (and, with dropout, its draws).

    Parameters
    ----------
    access : Access
        What the protocol grants.
    config : EMODConfig
        Parameters.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    seen = [
        (grant.fingerprint, va)
        for grant, (_, va) in zip(access.source_parts, parts_of(access, config), strict=True)
    ]
    return _digest(seen, with_run_seed(config, access))


def fingerprint_of_parts(parts: Sequence[Part], config: EMODConfig) -> str:
    """Digest of windows, places and configuration; reads all windows.

    Parameters
    ----------
    parts : sequence of (Windows, ndarray of shape (n, 2))
        As `pretrain_parts` takes them.
    config : EMODConfig
        Parameters.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    from affectrum.protocols import Grant

    return _digest([(Grant(windows).fingerprint, va) for windows, va in parts], config)


def _digest(seen: Sequence[tuple[str, NDArray[np.floating[Any]]]], config: EMODConfig) -> str:
    values = config.model_dump(mode="json")
    content = {
        "method": "emod",
        "version": PRETRAIN_VERSION,
        "seen": [
            [windows, hashlib.sha256(np.asarray(va, dtype="<f8").tobytes()).hexdigest()]
            for windows, va in seen
        ],
        "config": {name: values[name] for name in PRETRAIN_FIELDS},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def make_pretrain_network(config: EMODConfig) -> PretrainNetwork:
    """Make backbone and pre-training head; their weights follow from the configured seed.

    Parameters
    ----------
    config : EMODConfig
        Parameters.

    Returns
    -------
    PretrainNetwork
        On the CPU.
    """
    backbone = build_backbone(
        config, dropout=config.pretrain_dropout, seed=derive_seed(config.seed, "backbone")
    )
    with seeded(derive_seed(config.seed, "pre-training head")):
        head = PretrainHead(config.width)
    return PretrainNetwork(backbone, head)


def make_pretrain_sampler(parts: Sequence[Part], config: EMODConfig) -> CorpusSampler:
    """Make the sampler that a configuration names.

    Windows marked as artefacts are never drawn, nor are those without a place in the plane. With
    ``objective="instance"`` places are not looked at: structured sampling then takes equally many
    windows of each corpus.

    Parameters
    ----------
    parts : sequence of (Windows, ndarray of shape (n, 2))
        The corpora.
    config : EMODConfig
        Parameters.

    Returns
    -------
    CorpusSampler
        Batches by number.

    Raises
    ------
    ConfigError
        If no window of a corpus can be drawn.
    """
    regions = []
    for windows, va in parts:
        if config.objective == "instance":
            own = np.zeros(len(windows), dtype=np.int64)
        else:
            own = emod_regions(va)
        table = windows.table
        if "artefact" in table:
            own[table["artefact"].to_numpy(dtype=bool, na_value=False)] = -1
        if not (own >= 0).any():
            raise ConfigError(
                f"None of the {len(own)} windows of {windows.corpus} can be drawn: they have no "
                "place on the valence-arousal plane, or are marked as artefacts. Leave the corpus "
                "out, or give it a table that places its words."
            )
        regions.append(own)
    seed = derive_seed(config.seed, "batches")
    if config.sampling == "random":
        return RandomCorpusSampler(regions, config.per_region, seed)
    return RegionSampler(regions, config.per_region, seed, order=config.region_order)


def pretrain(
    access: Access,
    config: EMODConfig,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> Pretrained:
    """Pre-train on the source corpora that a protocol grants.

    Parameters
    ----------
    access : Access
        What the protocol grants.
    config : EMODConfig
        Parameters.
    checkpoint : Path, optional
        File to resume from and to write to.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    log : callable, optional
        See `affectrum.training.tracking`.

    Returns
    -------
    Pretrained
        See `pretrain_parts`.

    Raises
    ------
    AccessError
        If no source is granted, or no valence and arousal where the objective needs them.
    """
    return pretrain_parts(
        parts_of(access, config),
        with_run_seed(config, access),
        fingerprint=fingerprint_of(access, config),
        checkpoint=checkpoint,
        progress=progress,
        log=log,
    )


def pretrain_parts(
    parts: Sequence[Part],
    config: EMODConfig,
    *,
    fingerprint: str = "",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
    log_every: int | None = None,
    sampler: CorpusSampler | None = None,
) -> Pretrained:
    """Pre-train on corpora as they are, without a protocol.

    Under ``torchrun`` (see `affectrum.training.distributed.join_processes`) all processes call
    this with the same arguments and get the same weights.

    Parameters
    ----------
    parts : sequence of (Windows, ndarray of shape (n, 2))
        One per corpus: raw windows (volts) of any electrodes, rate and length, and valence and
        arousal of each window on -1..1, NaN where not known.
    config : EMODConfig
        Parameters.
    fingerprint : str
        Digest of windows, places and configuration; computed if empty.
    checkpoint : Path, optional
        File to resume from and to write to.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    log : callable, optional
        Called as ``log(step, values)``, see `affectrum.training.tracking`.
    log_every : int or None
        Steps between two entries of the learning curve; None: such that there are about 500.
    sampler : CorpusSampler, optional
        Which windows each batch holds; None: as `make_pretrain_sampler` draws them. A given one
        should have its part in `fingerprint`.

    Returns
    -------
    Pretrained
        Arrays ``backbone.*`` and ``head.*``; facts: the corpora, steps, the learning curve
        (``history``, pairs of step and loss; ``epochs``, pairs of mean loss and learning rate).

    Raises
    ------
    ConfigError
        If windows are no signals or none can be drawn, the loss is not finite, or the checkpoint
        belongs to another run.
    """
    if not parts:
        raise ConfigError("Pre-training needs at least one corpus; received none.")
    fingerprint = fingerprint or fingerprint_of_parts(parts, config)
    place = current_processes()
    device = place.device(config.device)
    network = make_pretrain_network(config).to(device)
    if place.world_size > 1:
        normalise_globally(network.head)
    two_views = config.objective == "instance"
    sampler = sampler or make_pretrain_sampler(parts, config)
    stream = WindowStream(
        [windows for windows, _ in parts],
        [va for _, va in parts],
        sampler,
        rank=place.rank,
        world_size=place.world_size,
        augmentation="views" if two_views else config.augmentation,
        two_views=two_views,
        seed=derive_seed(config.seed, "views"),
        device=device,
    )
    steps = config.pretrain_steps or max(1, sampler.n_batches // config.accumulate)
    run = run_pretraining(
        network,
        stream,
        config,
        steps_per_epoch=steps,
        log_every=log_every,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=progress,
        log=log,
    )
    meta = {
        "method": "emod",
        "objective": config.objective,
        "corpora": [_about(windows, va) for windows, va in parts],
        "windows_per_batch": int(sum(len(rows) for rows in sampler.batch(0))),
        "steps_per_epoch": steps,
        "n_steps": run.step,
        "kept_epoch": run.kept_epoch or config.pretrain_epochs,
        "history": [[step, loss] for step, loss in run.history],
        "epochs": [[loss, rate] for loss, rate in run.epochs],
    }
    arrays = {
        **module_arrays("backbone", network.backbone),
        **module_arrays("head", network.head),
    }
    return Pretrained(fingerprint, arrays, meta)


def _about(windows: Windows, va: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Say what a corpus gave to pre-training."""
    regions = emod_regions(va)
    return {
        "corpus": windows.corpus,
        "n_windows": len(windows),
        "n_channels": len(windows.channels),
        "sfreq": windows.sfreq,
        "n_samples": windows.shape[2],
        "simulated": windows.simulated,
        "regions": np.bincount(regions[regions >= 0], minlength=9).tolist(),
    }
