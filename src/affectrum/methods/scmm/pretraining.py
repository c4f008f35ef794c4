"""SCMM's pre-training: what it learns from, open settings, the run itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from affectrum.errors import AccessError, ConfigError
from affectrum.methods.base import Pretrained, Progress, derive_seed
from affectrum.methods.scmm.config import OPEN_SETTINGS, PRETRAIN_FIELDS, SCMMConfig
from affectrum.methods.scmm.network import SCMMNetwork
from affectrum.methods.scmm.objective import Objective, WeightSettings, make_weighting
from affectrum.methods.scmm.weights import sharpness_by_quantile
from affectrum.training.loop import make_adam, train_steps
from affectrum.training.samplers import make_sampler
from affectrum.training.schedules import learning_rate

if TYPE_CHECKING:
    from affectrum.protocols import Access
    from affectrum.windows import Windows

__all__ = [
    "Pool",
    "fingerprint_of",
    "make_network",
    "make_pool",
    "module_arrays",
    "pick_device",
    "pretrain",
    "resolve_settings",
    "run_pretraining",
    "to_tensor",
    "trial_numbers",
    "with_run_seed",
]

# Changes when the computation changes, so that stored weights of older code are not taken for new
_VERSION = 1
# Windows from which a sharpness quantile is taken: a million pairs
_QUANTILE_WINDOWS = 1024


@dataclass(frozen=True)
class Pool:
    """Windows that pre-training sees.

    Attributes
    ----------
    x : torch.Tensor, shape (n, n_channels, n_bands)
        Windows, on the computing device.
    trials : ndarray of int64, shape (n,)
        Number of each window's trial, unique over subjects, sessions and corpora.
    y : ndarray of int64, shape (n,), or None
        Source labels if granted; used for nothing but the choice of open settings.
    """

    x: torch.Tensor
    trials: NDArray[np.int64]
    y: NDArray[np.int64] | None


def pick_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    ConfigError
        If CUDA is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda', but torch finds no CUDA device; use 'cpu' or 'auto'.")
    return torch.device(name)


def to_tensor(x: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Share or copy an array to a float32 tensor that is never written to."""
    array = np.ascontiguousarray(x, dtype=np.float32)
    if not array.flags.writeable or isinstance(array, np.memmap):
        array = np.array(array)
    return torch.from_numpy(array).to(device)


def trial_numbers(windows: Windows) -> NDArray[np.int64]:
    """Number the trials of windows from 0 in order of appearance, shape (n,)."""
    table = windows.table
    keys = [name for name in ("corpus", "subject", "session", "row") if name in table.columns]
    return np.asarray(table.groupby(keys, sort=False, dropna=False).ngroup(), dtype=np.int64)


def check_windows(windows: Windows) -> None:
    """Refuse windows that SCMM can't learn from.

    Raises
    ------
    ConfigError
        If they are signals instead of band features, or hold values that are not finite.
    """
    if windows.kind == "raw":
        raise ConfigError(
            "SCMM learns from band features (differential entropy or band power) of shape "
            f"(n, n_channels, n_bands); received windows of kind 'raw', shape {windows.shape}. "
            "Prepare the corpus with a recipe of kind 'de', for example 'de62'."
        )
    n_bad = int((~np.isfinite(windows.x).all(axis=(1, 2))).sum())
    if n_bad:
        raise ConfigError(
            f"{n_bad} of {len(windows)} windows hold NaN or Inf; SCMM needs finite values. Leave "
            "out windows marked as artefacts."
        )


def pretraining_role(access: Access) -> str:
    """Return which grant pre-training learns from: the source, else the calibration trials.

    Raises
    ------
    AccessError
        If neither is granted.
    """
    if access.source is not None:
        return "source"
    if access.calibration is not None:
        return "calibration"
    raise AccessError(
        "Method 'scmm' pre-trains on source signals or, without a source, on calibration signals; "
        f"protocol {access.protocol!r} grants {', '.join(access.grants) or 'nothing'}."
    )


def make_pool(access: Access, config: SCMMConfig, device: torch.device) -> Pool:
    """Collect the windows that pre-training sees, a random part of them if so configured."""
    role = pretraining_role(access)
    grant = access.source if role == "source" else access.calibration
    assert grant is not None  # pretraining_role has looked
    windows = grant.windows
    check_windows(windows)
    trials = trial_numbers(windows)
    x, y = windows.x, grant.y
    if config.pretrain_windows is not None and config.pretrain_windows < len(x):
        rng = np.random.default_rng(derive_seed(config.seed, "pretrain windows"))
        rows = np.sort(rng.choice(len(x), config.pretrain_windows, replace=False))
        x, trials = x[rows], trials[rows]
        y = None if y is None else y[rows]
    return Pool(to_tensor(x, device), trials, None if y is None else np.asarray(y, dtype=np.int64))


def fingerprint_of(access: Access, config: SCMMConfig) -> str:
    """Digest of everything that pre-trained weights depend on.

    The device is not among it: a graphics processor's sums differ in the last digits only.
    """
    values = with_run_seed(config, access).model_dump(mode="json")
    content = {
        "method": "scmm",
        "version": _VERSION,
        "seen": access.fingerprint(pretraining_role(access)),
        "config": {name: values[name] for name in PRETRAIN_FIELDS},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def with_run_seed(config: SCMMConfig, access: Access) -> SCMMConfig:
    """Return the configuration with the run's seed mixed in.

    Runs of several seeds must differ in their pre-training too, else their spread says nothing
    about it. Seed 0, the default, leaves the configured seed as it is.
    """
    if not access.seed:
        return config
    return config.model_copy(update={"seed": derive_seed(config.seed, access.seed, "run")})


def make_network(n_channels: int, n_bands: int, width: int, seed: int) -> SCMMNetwork:
    """Make a network whose initial weights follow from the seed; global state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SCMMNetwork(n_channels, n_bands, width)


def module_arrays(prefix: str, module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Copy a module's parameters and buffers to arrays named ``prefix.name``."""
    return {
        f"{prefix}.{name}": value.detach().cpu().numpy().copy()
        for name, value in module.state_dict().items()
    }


def resolve_settings(
    config: SCMMConfig, pool: Pool, candidate: dict[str, float] | None = None
) -> WeightSettings:
    """Fill settings left open from a candidate, and turn a sharpness quantile into a distance.

    Parameters
    ----------
    config : SCMMConfig
        What is set stays.
    pool : Pool
        Windows from which the quantile is taken.
    candidate : dict, optional
        Values for what is open; default the first of `OPEN_SETTINGS`.

    Returns
    -------
    WeightSettings
        Nothing open any more.
    """
    values = {
        name: value if getattr(config, name) is None else getattr(config, name)
        for name, value in (candidate or OPEN_SETTINGS[0]).items()
    }
    quantile = None
    sharpness = values["sharpness"]
    if config.sharpness_rule == "quantile":
        quantile = sharpness
        rng = np.random.default_rng(derive_seed(config.seed, "sharpness"))
        n = min(_QUANTILE_WINDOWS, len(pool.x))
        rows = torch.from_numpy(np.sort(rng.choice(len(pool.x), n, replace=False)))
        sample = pool.x[rows.to(pool.x.device)]
        sharpness = sharpness_by_quantile(sample, quantile, config.metric, config.distance_scaling)
    return WeightSettings(
        upper_bound=values["upper_bound"],
        sharpness=sharpness,
        temperature=values["temperature"],
        quantile=quantile,
    )


@dataclass(frozen=True)
class PretrainingRun:
    """A finished pre-training."""

    network: SCMMNetwork
    objective: Objective
    history: list[tuple[int, float]]


def run_pretraining(
    config: SCMMConfig,
    pool: Pool,
    settings: WeightSettings,
    *,
    n_steps: int,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> PretrainingRun:
    """Pre-train a network on a pool of windows.

    Step k's batch and masks follow from (seed, k), so an interrupted run resumes exactly.

    Parameters
    ----------
    config : SCMMConfig
        Parameters.
    pool : Pool
        Windows.
    settings : WeightSettings
        Soft weights and temperature.
    n_steps : int
        Optimiser steps.
    checkpoint : Path, optional
        File to resume from and to write to.
    fingerprint : str
        Digest that the checkpoint must belong to.
    progress : callable, optional
        Called as ``progress(done, n_steps)``.

    Returns
    -------
    PretrainingRun
        Network, objective and learning curve.
    """
    device = pool.x.device
    _, n_channels, n_bands = pool.x.shape
    network = make_network(
        n_channels, n_bands, config.width, derive_seed(config.seed, "network")
    ).to(device)
    weighting = make_weighting(config)
    modules: list[torch.nn.Module] = [network]
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]
    if weighting is not None:
        weighting.to(device)
        modules.append(weighting)
        decay = config.weight_decay if config.weighting_decay else 0.0
        groups.append({"params": list(weighting.parameters()), "weight_decay": decay})
    optimizer = make_adam(
        groups,
        learning_rate=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
    )
    mask_value: float | torch.Tensor
    if config.mask_value == "mean":
        mask_value = pool.x.mean(dim=0, dtype=torch.float64).to(pool.x.dtype)
    else:
        mask_value = float(config.mask_value)
    objective = Objective(network, weighting, config, settings, mask_value)
    sampler = make_sampler(
        config.sampler,
        pool.trials,
        config.pretrain_batch,
        derive_seed(config.seed, "batches"),
        config.block_length,
    )
    mask_seed = derive_seed(config.seed, "masks")
    generator = torch.Generator()

    def loss_of(step: int) -> torch.Tensor:
        generator.manual_seed(derive_seed(mask_seed, step))
        rows = torch.from_numpy(sampler.batch(step)).to(device)
        return objective(pool.x[rows], generator).total

    def rate(step: int) -> float:
        done, total = step, n_steps
        if config.schedule_unit == "epoch":
            done, total = step // sampler.n_batches, -(-n_steps // sampler.n_batches)
        return learning_rate(config.pretrain_schedule, config.learning_rate, done, total)

    history = train_steps(
        loss_of,
        modules,
        optimizer,
        n_steps,
        rate=rate,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=progress,
    )
    network.eval()
    return PretrainingRun(network, objective, history)


def pretrain(
    access: Access,
    config: SCMMConfig,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Pretrained:
    """Choose open settings, pre-train, and return the weights with their fingerprint.

    Parameters
    ----------
    access : Access
        What the protocol grants; pre-training takes the source's signals.
    config : SCMMConfig
        Parameters.
    checkpoint : Path, optional
        File to resume from and to write to.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Pretrained
        Weights, settings in use, the search's table and the learning curve.
    """
    from affectrum.methods.scmm.search import choose_settings

    fingerprint = fingerprint_of(access, config)
    config = with_run_seed(config, access)
    pool = make_pool(access, config, pick_device(config.device))
    settings, tried = choose_settings(config, pool, progress)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("pre-training", done, total)

    run = run_pretraining(
        config,
        pool,
        settings,
        n_steps=config.pretrain_steps,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=report,
    )
    mask_value = run.objective.mask_value
    meta = {
        "method": "scmm",
        "n_channels": run.network.n_channels,
        "n_bands": run.network.n_bands,
        "n_windows": len(pool.x),
        "settings": asdict(settings),
        "search": tried,
        "history": [[step, loss] for step, loss in run.history],
    }
    arrays = module_arrays("network", run.network)
    if isinstance(mask_value, torch.Tensor):
        arrays["mask_value"] = mask_value.cpu().numpy().copy()
    return Pretrained(fingerprint, arrays, meta)
