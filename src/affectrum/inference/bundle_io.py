"""A bundle's folder on disk: written whole or not at all, checked before it is trusted.

::

    my-model/
        model.safetensors   every array: weights, scaler, training statistics
        bundle.json         everything else: method, recipe, classes, provenance
        README.md           the model card
        manifest.json       size and SHA-256 of the files above; written last

No file can run code: arrays are read from safetensors, the rest from JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import BundleError

__all__ = [
    "SCHEMA_VERSION",
    "BundleFiles",
    "arrays_of",
    "check_free",
    "read_bundle_files",
    "write_bundle_files",
]

SCHEMA_VERSION = 1
"""Version of the layout; a reader refuses bundles of a newer one."""

_FORMAT = "affectrum-bundle"
_ARRAYS, _FACTS, _CARD, _MANIFEST = "model.safetensors", "bundle.json", "README.md", "manifest.json"
# A user may correct a model card; weights and facts must be as they were written.
_MAY_BE_EDITED = (_CARD,)
# A bundle's JSON is some kilobytes; a larger one is not ours.
_LARGEST_JSON = 50_000_000


@dataclass(frozen=True)
class BundleFiles:
    """What a bundle's folder holds.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Every array by its full name.
    facts : dict
        Contents of ``bundle.json``.
    card : str
        The model card (Markdown).
    digest : str
        SHA-256 over the digests of arrays and facts: the identity of the model.
    notes : tuple of str
        What is worth telling: an edited model card.
    """

    arrays: dict[str, NDArray[Any]]
    facts: dict[str, Any]
    card: str
    digest: str
    notes: tuple[str, ...] = ()


def write_bundle_files(
    folder: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    card: str,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a bundle; until it is complete, nothing stands under its name.

    Parameters
    ----------
    folder : path
        The bundle's folder.
    arrays : mapping of str to ndarray
        Arrays of numbers.
    facts : mapping
        JSON-able.
    card : str
        The model card.
    overwrite : bool
        Whether an existing bundle may be replaced. Anything else under that name never is.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        If the name is taken, the folder can't be written, or something is not JSON-able.
    """
    from safetensors.numpy import save

    target = Path(folder)
    check_free(target, overwrite)
    try:
        text = json.dumps(
            {"format": _FORMAT, "schema_version": SCHEMA_VERSION, **facts},
            indent=2,
            ensure_ascii=False,
            allow_nan=False,
        )
    except (TypeError, ValueError) as error:
        raise BundleError(
            f"The facts of bundle {str(target)!r} can't be written as JSON ({error}). Pass plain "
            "numbers, texts, lists and dicts, and None for what is missing."
        ) from None
    contents = {
        _ARRAYS: save({name: _plain(name, array) for name, array in sorted(arrays.items())}),
        _FACTS: (text + "\n").encode(),
        _CARD: card.encode(),
    }
    manifest = {
        "format": _FORMAT,
        "schema_version": SCHEMA_VERSION,
        "digest": _identity({name: _sha256(data) for name, data in contents.items()}),
        "files": {
            name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in contents.items()
        },
    }
    # Dot first: a half-written folder is hidden, and never has the bundle's name.
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        for name, data in contents.items():
            _write(temporary / name, data)
        _write(temporary / _MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        _sync_folder(temporary)
        if target.exists():
            # A folder can't replace a full one in one step: move the old one away, then back if
            # the new one can't take its place.
            old = target.parent / f".{target.name}.{secrets.token_hex(4)}.old"
            os.replace(target, old)
            try:
                os.replace(temporary, target)
            except OSError:
                os.replace(old, target)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise BundleError(
            f"The bundle {str(target)!r} can't be written ({error}). Nothing half written is left "
            "under that name; free some space or choose another place."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def read_bundle_files(folder: str | os.PathLike[str]) -> BundleFiles:
    """Read a bundle after checking that it is complete and unchanged.

    Parameters
    ----------
    folder : path
        The bundle's folder (its ``manifest.json`` will do too).

    Returns
    -------
    BundleFiles

    Raises
    ------
    BundleError
        If it is no bundle, incomplete, changed, or of a newer version; all faults in one message.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    root = Path(folder)
    if root.name == _MANIFEST and root.is_file():
        root = root.parent
    manifest = _read_manifest(root)
    problems: list[str] = []
    notes: list[str] = []
    contents: dict[str, bytes] = {}
    for name, listed in manifest["files"].items():
        path = root / name
        try:
            data = path.read_bytes()
        except OSError as error:
            problems.append(f"{name}: missing or unreadable ({error.strerror or error}).")
            continue
        contents[name] = data
        if _sha256(data) != listed["sha256"]:
            if name in _MAY_BE_EDITED:
                notes.append(f"{name} was edited after the bundle was written.")
                continue
            size = f" ({len(data)} bytes, {listed['bytes']} were written)"
            problems.append(
                f"{name}: its contents differ from what was written"
                f"{size if len(data) != listed['bytes'] else ''}."
            )
    if problems:
        raise BundleError(
            f"The bundle {str(root)!r} can't be trusted:\n"
            + "\n".join(f"  - {problem}" for problem in problems)
            + "\nCopy the whole folder again, or export the model again."
        )
    try:
        facts = json.loads(contents[_FACTS])
        arrays = dict(load(contents[_ARRAYS]))
    except (ValueError, SafetensorError, UnicodeDecodeError) as error:
        raise BundleError(
            f"The bundle {str(root)!r} can't be decoded ({error}). Export the model again."
        ) from None
    return BundleFiles(
        arrays=arrays,
        facts=facts,
        card=contents[_CARD].decode(errors="replace"),
        digest=_identity({name: item["sha256"] for name, item in manifest["files"].items()}),
        notes=tuple(notes),
    )


def arrays_of(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names start with ``prefix/``, without it.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays of a bundle.
    prefix : str
        Whose arrays: "method", "scaler", "statistics" or "pretrained".

    Returns
    -------
    dict of str to ndarray
    """
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)
    }


def _read_manifest(root: Path) -> dict[str, Any]:
    path = root / _MANIFEST
    if not root.is_dir():
        raise BundleError(
            f"{str(root)!r} is not a folder; expected a bundle's folder, with {_MANIFEST}, "
            f"{_FACTS} and {_ARRAYS} (written by `affectrum finetune`)."
        )
    if not path.is_file():
        found = sorted(item.name for item in root.iterdir())[:10]
        raise BundleError(
            f"{str(root)!r} has no {_MANIFEST}: it is not a bundle, or was not copied whole. "
            f"Found: {', '.join(found) or 'nothing'}. Copy the whole folder or export again."
        )
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"{path.stat().st_size} bytes")
        manifest = json.loads(path.read_bytes())
        known = manifest.get("format") == _FORMAT
        version = int(manifest.get("schema_version", 0))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BundleError(
            f"{str(path)!r} can't be read ({error}). Copy the whole folder or export again."
        ) from None
    if not known:
        raise BundleError(
            f"{str(path)!r} does not belong to an Affectrum bundle: its format is "
            f"{manifest.get('format')!r}, expected {_FORMAT!r}."
        )
    if version > SCHEMA_VERSION:
        raise BundleError(
            f"The bundle {str(root)!r} has layout version {version}; this version of Affectrum "
            f"reads up to {SCHEMA_VERSION}. Install a newer Affectrum."
        )
    files = manifest.get("files")
    wanted = (_ARRAYS, _FACTS, _CARD)
    if (
        not isinstance(files, dict)
        or any(name not in files for name in wanted)
        # A name from a file must never lead out of the folder.
        or any(not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", str(name)) for name in files)
        or any(not isinstance(item, dict) or "sha256" not in item for item in files.values())
    ):
        raise BundleError(
            f"{str(path)!r} does not list {', '.join(wanted)} with their digests. Export the model "
            "again."
        )
    for item in files.values():
        item.setdefault("bytes", "?")
    return dict(manifest)


def check_free(target: Path, overwrite: bool) -> None:
    """Refuse a place for a bundle that is taken; called before training, too.

    Parameters
    ----------
    target : Path
        Where the bundle will be written.
    overwrite : bool
        Whether a bundle that is there may be replaced; anything else never is.

    Raises
    ------
    BundleError
        If there is something that may not be replaced.
    """
    if not target.exists():
        return
    is_bundle = (target / _MANIFEST).is_file()
    if is_bundle and overwrite:
        return
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
        return
    raise BundleError(
        f"{str(target)!r} exists already"
        + (
            " and holds a bundle. Choose another name, or allow it to be replaced (--overwrite; "
            "in Python overwrite=True)."
            if is_bundle
            else " and is not a bundle, so it is never replaced. Choose another name."
        )
    )


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    values = np.ascontiguousarray(array)
    if values.dtype.kind not in "fiub":
        raise BundleError(f"Array {name!r} has dtype {values.dtype}; a bundle holds numbers only.")
    # ascontiguousarray makes a 0-d array 1-d.
    return values.reshape(np.shape(array))


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # pragma: no cover - file systems that can't sync folders
        pass
    finally:
        os.close(descriptor)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _identity(digests: Mapping[str, str]) -> str:
    """Digest of the model, whatever its card says."""
    text = "\n".join(f"{name} {digests[name]}" for name in (_ARRAYS, _FACTS))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
