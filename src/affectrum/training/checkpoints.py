"""Checkpoint files that are whole or absent, and that load without running code.

A checkpoint is one safetensors file: all tensors of the state, and in its header, as JSON, the
state's shape with a number in the place of each tensor.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from affectrum.errors import ConfigError, FileFormatError

__all__ = ["load_checkpoint", "save_checkpoint"]

_FORMAT = "2"


def save_checkpoint(path: str | os.PathLike[str], fingerprint: str, state: dict[str, Any]) -> None:
    """Write a checkpoint; a kill at any moment leaves the former file or the new one.

    Parameters
    ----------
    path : path
        The file. Its folder is made if missing.
    fingerprint : str
        Digest of what the state belongs to.
    state : dict
        Tensors, numbers, strings, None, lists, tuples and dicts of these.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    shape = json.dumps(_flatten(state, tensors))
    header = {
        "format": _FORMAT,
        "fingerprint": fingerprint,
        "state": shape,
        "digest": _digest(tensors, shape),
    }
    content = save(tensors, metadata=header)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_checkpoint(path: str | os.PathLike[str], fingerprint: str) -> dict[str, Any] | None:
    """Read a checkpoint back.

    Parameters
    ----------
    path : path
        The file.
    fingerprint : str
        What it must belong to.

    Returns
    -------
    dict or None
        The state, equal to the bit to what was saved, or None if there is no such file.

    Raises
    ------
    FileFormatError
        If the file can't be read or its content is not what was written.
    ConfigError
        If it belongs to another run.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            # Copies, because the tensors of an open file lie in its pages.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        version, found, shape = header["format"], header["fingerprint"], header["state"]
        if header["digest"] != _digest(tensors, shape):
            raise ValueError("its content does not match its digest")
        state = _unflatten(json.loads(shape), tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileFormatError(
            f"{path} is not a checkpoint that can be read ({error}). Remove it to start anew."
        ) from None
    if found != fingerprint or version != _FORMAT:
        raise ConfigError(
            f"{path} is a checkpoint of another run (other data, settings or seed): expected "
            f"{fingerprint}, found {found}. Choose another file, or remove it to start anew."
        )
    return dict(state)


def _flatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Move the tensors of a state aside; what is left can be written as JSON.

    Dicts become pairs, because an optimizer numbers its parameters and JSON knows only text keys.
    """
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        pairs = [[_flatten(key, tensors), _flatten(item, tensors)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, tuple):
        return {"tuple": [_flatten(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_flatten(item, tensors) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"A checkpoint can't hold a {type(value).__name__}.")


def _unflatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unflatten(item, tensors) for item in value]
    if isinstance(value, dict):
        ((kind, content),) = value.items()
        if kind == "tensor":
            return tensors[content]
        if kind == "tuple":
            return tuple(_unflatten(item, tensors) for item in content)
        return {_unflatten(k, tensors): _unflatten(v, tensors) for k, v in content}
    return value


def _digest(tensors: dict[str, torch.Tensor], shape: str) -> str:
    digest = hashlib.blake2b(shape.encode(), digest_size=16)
    for name in sorted(tensors, key=int):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes, since numpy knows no bfloat16; a number has no bytes to view before it is a row.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
