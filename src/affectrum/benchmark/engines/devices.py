"""Graphics processors: which there are, and which one a worker gets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

__all__ = ["device_of", "environment", "visible_devices"]

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_devices(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the graphics processors that this process may use, as CUDA names them.

    Parameters
    ----------
    environ : mapping, optional
        The environment; by default this process's.

    Returns
    -------
    tuple of str
        Numbers, or the identifiers that ``CUDA_VISIBLE_DEVICES`` has; empty without any.
    """
    named = (os.environ if environ is None else environ).get(_VISIBLE)
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip() not in ("", "-1"))
    import torch

    return tuple(str(number) for number in range(torch.cuda.device_count()))


def device_of(worker: int, devices: Sequence[str]) -> str:
    """Return the device of a worker: in turn, so that each device has as few workers as can be.

    Parameters
    ----------
    worker : int
        The worker's number, from 0.
    devices : sequence of str
        From `visible_devices`, or given.

    Returns
    -------
    str
        Empty if there is none.
    """
    return devices[worker % len(devices)] if devices else ""


def environment(device: str, threads: int | None) -> dict[str, str]:
    """Return what a worker's environment must hold before its first import of a library.

    Parameters
    ----------
    device : str
        The only device that it sees; empty hides none.
    threads : int or None
        Threads of arithmetic.

    Returns
    -------
    dict of str to str
    """
    # Threads that wait must not spin where other workers use the cores (docs/decisions/0007).
    found = {"OMP_WAIT_POLICY": "PASSIVE"}
    if device:
        found[_VISIBLE] = device
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            found[name] = str(threads)
    return found
