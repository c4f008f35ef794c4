"""EMOD's networks from a configuration, and their weights as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from affectrum.errors import BundleError
from affectrum.methods.emod.backbone import EMODBackbone
from affectrum.methods.emod.config import BACKBONE_FIELDS, EMODConfig
from affectrum.training.distributed import pick_device

__all__ = [
    "autocast",
    "build_backbone",
    "load_arrays",
    "module_arrays",
    "pick_device",
    "seeded",
]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's generators at a seed, and put them back afterwards.

    Initial weights and dropout draw from them; nothing outside the block notices.

    Parameters
    ----------
    seed : int
        The seed.
    """
    # only the processor in use: asking for the state of another one would start it
    devices = []
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        devices = [torch.cuda.current_device()]
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def autocast(config: EMODConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which the network computes: bfloat16, or as it is.

    Parameters
    ----------
    config : EMODConfig
        Its `precision` decides.
    device : torch.device
        Where the network is.

    Returns
    -------
    context manager
    """
    if config.precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def build_backbone(config: EMODConfig, *, dropout: float, seed: int) -> EMODBackbone:
    """Make a backbone; its initial weights follow from the seed.

    Parameters
    ----------
    config : EMODConfig
        The fields named in `BACKBONE_FIELDS` are used.
    dropout : float
        Share of activations that are dropped in training.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    EMODBackbone
        On the CPU.
    """
    fields = {name: getattr(config, name) for name in BACKBONE_FIELDS}
    with seeded(seed):
        return EMODBackbone(**fields, dropout=dropout)


def module_arrays(prefix: str, module: nn.Module) -> dict[str, NDArray[Any]]:
    """Copy a module's parameters and buffers to arrays named ``prefix.name``."""
    return {
        f"{prefix}.{name}": value.detach().cpu().numpy().copy()
        for name, value in module.state_dict().items()
    }


def load_arrays(module: nn.Module, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Load arrays named ``prefix.name`` into a module.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    prefix : str
        Which of the arrays.
    arrays : mapping of str to ndarray
        What `module_arrays` gave, maybe among others.

    Raises
    ------
    BundleError
        If names or shapes differ.
    """
    start = f"{prefix}."
    state: dict[str, torch.Tensor] = {
        name.removeprefix(start): torch.from_numpy(np.array(value))
        for name, value in arrays.items()
        if name.startswith(start)
    }
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(
            f"The stored weights don't fit EMOD's network: {error}. Use them with the "
            "configuration that made them."
        ) from None
