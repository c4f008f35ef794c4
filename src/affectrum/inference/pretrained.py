"""Pre-trained weights as a bundle: to be fine-tuned later, not yet able to predict."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrum.errors import BundleError, ConfigError
from affectrum.inference.bundle_io import arrays_of, read_bundle_files, write_bundle_files

if TYPE_CHECKING:
    from affectrum.methods.base import Method, Pretrained

__all__ = ["load_pretrained", "save_pretrained"]


def save_pretrained(
    pretrained: Pretrained,
    folder: str | os.PathLike[str],
    *,
    method: Method,
    simulated: bool,
    provenance: Mapping[str, Any] | None = None,
    date: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write pre-trained weights, to be fine-tuned later.

    Parameters
    ----------
    pretrained : Pretrained
        What `Method.pretrain` returned.
    folder : path
        The bundle's folder.
    method : Method
        The method with the configuration that made them.
    simulated : bool
        Whether any source window was simulated.
    provenance : mapping, optional
        JSON-able.
    date : str, optional
        Given by the caller.
    overwrite : bool
        Whether an existing bundle may be replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        If the folder can't be written.
    """
    from affectrum.inference.card import model_card, versions

    facts: dict[str, Any] = {
        "kind": "pretrained",
        "simulated": bool(simulated),
        "method": {"method": method.name, "config": method.config.model_dump(mode="json")},
        "fingerprint": pretrained.fingerprint,
        "pretraining": pretrained.meta,
        "provenance": {**dict(provenance or {}), "date": date, "versions": dict(versions())},
    }
    arrays = {f"pretrained/{name}": value for name, value in pretrained.arrays.items()}
    card = model_card(facts, title=Path(folder).name)
    return write_bundle_files(folder, arrays, facts, card, overwrite=overwrite)


def load_pretrained(path: str | os.PathLike[str]) -> tuple[Method, Pretrained]:
    """Read pre-trained weights.

    Parameters
    ----------
    path : path
        A folder that `save_pretrained` wrote.

    Returns
    -------
    method : Method
        Unfitted, with the configuration that made the weights.
    pretrained : Pretrained
        To be given to ``method.fit(access, pretrained=...)``.

    Raises
    ------
    BundleError
        If the folder is incomplete, was changed, or holds something else.
    """
    from affectrum.methods.base import Pretrained
    from affectrum.methods.registry import get_method_class

    files = read_bundle_files(path)
    facts = files.facts
    if facts.get("kind") != "pretrained":
        raise BundleError(
            f"The bundle {os.fspath(path)!r} holds a {facts.get('kind')!r}, not pre-trained "
            "weights. Write some with `affectrum pretrain`."
        )
    try:
        method = get_method_class(str(facts["method"]["method"]))(**facts["method"]["config"])
    except ConfigError as error:
        raise BundleError(
            f"The bundle {os.fspath(path)!r} does not fit this version of Affectrum: {error}"
        ) from error
    return method, Pretrained(
        fingerprint=str(facts["fingerprint"]),
        arrays=arrays_of(files.arrays, "pretrained"),
        meta=dict(facts["pretraining"]),
    )
