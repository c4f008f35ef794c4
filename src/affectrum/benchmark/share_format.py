"""The shareable result file: a zip archive of JSON and plain arrays, read without trust.

``manifest.json`` lists every other member with its size and SHA-256. ``cells/<name>/cell.json``
says what a cell is (`SharedCell`); ``cells/<name>/<array>.npy`` hold predictions and identifiers.
There is nothing to execute, no object, no path that is written to: members are read into memory
within limits and checked before anything is made of them.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from affectrum.benchmark.files import canonical_json, sha256
from affectrum.errors import StoreError

__all__ = [
    "ARRAYS",
    "FORMAT",
    "OPTIONAL_ARRAYS",
    "VERSION",
    "Limits",
    "Manifest",
    "SharedCell",
    "SharedFold",
    "decode_json",
    "digest_file",
    "is_marked",
    "marked",
    "pack_file",
    "parse",
    "read_array",
    "read_manifest",
    "read_member",
]

FORMAT = "affectrum results"
VERSION = 1
MANIFEST = "manifest.json"

#: Arrays of a cell: kinds of numbers that are allowed (numpy's letters) and number of axes.
ARRAYS: dict[str, tuple[str, int]] = {
    "scores": ("f", 2),
    "y_true": ("i", 1),
    "fold": ("i", 1),
    "start_s": ("f", 1),
    "subject": ("i", 1),
    "session": ("i", 1),
    "row": ("i", 1),
    "trial": ("i", 1),
    "window": ("i", 1),
    "corpus": ("U", 1),
    "clip": ("U", 1),
    "film": ("U", 1),
    "series": ("U", 1),
    "roles": ("U", 1),
    "member_fold": ("i", 1),
    "member_role": ("i", 1),
    "member_trial": ("i", 1),
    "member_windows": ("i", 1),
    **{f"trials_{name}": ("i", 1) for name in ("subject", "session", "row", "trial")},
    **{f"trials_{name}": ("U", 1) for name in ("corpus", "clip", "film", "series")},
}
#: Arrays that a cell may lack.
OPTIONAL_ARRAYS: dict[str, tuple[str, int]] = {
    "epoch_scores": ("f", 3),
    "valence_arousal": ("f", 2),
    "trials_trial_content": ("i", 1),
    "trials_trial_likeness": ("i", 1),
}

# No control characters, line breaks or marks that turn the direction of writing.
_PLAIN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
Text = Annotated[str, Field(max_length=500, pattern=_PLAIN)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_PLAIN)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Count = Annotated[int, Field(ge=0, le=2**40)]


class Limits(BaseModel):
    """How much of a stranger's file is read.

    Parameters
    ----------
    file_bytes, member_bytes, json_bytes, total_bytes : int
        Of the file, of one array, of one JSON member, of everything unpacked.
    members : int
        Files in the archive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file_bytes: int = 2 * 1024**3
    member_bytes: int = 512 * 1024**2
    json_bytes: int = 16 * 1024**2
    total_bytes: int = 8 * 1024**3
    members: int = 500_000


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Member(_Strict):
    bytes: Count
    sha256: Hex


class _Listed(_Strict):
    name: Hex
    files: dict[Name, _Member] = Field(max_length=64)


class Manifest(_Strict):
    """What a shareable file says of itself.

    Parameters
    ----------
    format, version : str, int
        Of the file.
    package : str
        Version of the package that wrote it.
    title : str
        The plan's name.
    key : str
        Names the key of the hashed identifiers, without telling it.
    cells : list
        Names of cells, with size and SHA-256 of each of their members.
    seal : str
        SHA-256 of everything else in here.
    """

    format: Name
    version: int
    package: Text
    title: Text
    key: Hex
    cells: list[_Listed] = Field(max_length=200_000)
    seal: Hex


class SharedCheck(_Strict):
    """One answer of the leak audit, without examples."""

    name: Name
    passed: bool
    measured: Count
    required: bool


class SharedCertificate(_Strict):
    """The leak audit's certificate of a fold."""

    protocol: Name
    declared: list[Name] = Field(max_length=64)
    checks: list[SharedCheck] = Field(max_length=64)


class SharedFold(_Strict):
    """One fold: sizes, what the audit needs, its certificate."""

    id: Name
    protocol: Name
    base: Name
    target: Name
    subject: Name
    scaling: Name
    stimulus_disjoint: Name | None
    stimulus_control: bool
    promises: list[Name] = Field(default_factory=list, max_length=16)
    lacks: list[Name] = Field(max_length=64)
    n_windows: dict[Name, Count]
    n_trials: dict[Name, Count]
    n_epochs: Count
    certificate: SharedCertificate


class SharedMethod(_Strict):
    """The method."""

    name: Name
    preset: Name
    transfer: Name | None
    label: Name
    config: dict[Name, JsonValue]


class SharedCell(_Strict):
    """What a cell says of itself in a shareable file: an allow-list of ``cell.json``."""

    format: int
    task: dict[Name, JsonValue]
    task_title: Text
    source: list[Name] = Field(max_length=64)
    target: Name
    method: SharedMethod
    seed: Count
    protocol: Name
    base: Name
    grants: list[Name] = Field(max_length=16)
    used: list[Name] = Field(max_length=16)
    arm: Name | None
    classes: list[Name] = Field(min_length=2, max_length=1024)
    source_classes: list[Name] | None
    selection: Name
    scaling: Name
    scaler: Name
    calibration_trials: Count | None
    stimulus_disjoint: Name | None
    stimulus_control: bool
    simulated: bool
    simulated_corpora: list[Name] = Field(max_length=65)
    control: Name | Literal[""] = ""
    permutation: Count = 0
    channels: list[Name] = Field(max_length=4096)
    bands: list[dict[Name, JsonValue]] | None
    recipe: dict[Name, JsonValue]
    fingerprints: dict[Name, Hex]
    versions: dict[Name, Text]
    timing: dict[Name, float]
    folds: list[SharedFold] = Field(min_length=1, max_length=100_000)


def marked(name: int, *, simulated: bool) -> int:
    """Put the mark of simulated subjects into a hashed name: odd, those of people even.

    So a result can't be called measured by its flag alone.
    """
    return name - name % 2 + int(simulated)


def is_marked(names: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which names carry the mark of simulated subjects; see `marked`."""
    return np.asarray(names % 2 == 1, dtype=np.bool_)


def pack_file(
    members: Mapping[str, Mapping[str, bytes]], *, package: str, title: str, key: str
) -> bytes:
    """Return the bytes of a shareable file.

    Parameters
    ----------
    members : mapping of str to mapping of str to bytes
        For each cell its files.
    package, title, key : str
        See `Manifest`.

    Returns
    -------
    bytes
        The same for the same content.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "package": package,
        "title": title,
        "key": key,
        "cells": [
            {
                "name": name,
                "files": {
                    file: {"bytes": len(data), "sha256": sha256(data)}
                    for file, data in files.items()
                },
            }
            for name, files in members.items()
        ],
    }
    content["seal"] = sha256(canonical_json(content).encode())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, MANIFEST, json.dumps(content, indent=1).encode())
        for name, files in members.items():
            for file, data in files.items():
                _add(archive, f"cells/{name}/{file}", data)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A fixed time, so that equal content makes equal files.
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def read_manifest(archive: zipfile.ZipFile, where: Path, limits: Limits) -> Manifest:
    """Read and check what the file says of itself, and that it holds just that.

    Parameters
    ----------
    archive : ZipFile
        The open file.
    where : Path
        For messages.
    limits : Limits
        How much is read.

    Returns
    -------
    Manifest

    Raises
    ------
    StoreError
        If it is not of this format, was changed, is too large, or holds anything else.
    """
    names = [info.filename for info in archive.infolist()]
    if len(names) > limits.members:
        raise StoreError(f"{where} holds {len(names)} files; at most {limits.members} are read.")
    content = read_json(archive, MANIFEST, where, limits)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StoreError(f"{where} is no shareable result file: its manifest is of another format.")
    if content.get("version") != VERSION:
        raise StoreError(
            f"{where} is of version {str(content.get('version'))[:20]}; this package reads "
            f"version {VERSION}."
        )
    manifest: Manifest = parse(Manifest, content, where, MANIFEST)
    unsealed = {name: value for name, value in content.items() if name != "seal"}
    if sha256(canonical_json(unsealed).encode()) != manifest.seal:
        raise StoreError(f"{where} was changed or damaged: its manifest does not match its seal.")
    expected = [MANIFEST]
    total = 0
    for cell in manifest.cells:
        expected += [f"cells/{cell.name}/{file}" for file in cell.files]
        total += sum(member.bytes for member in cell.files.values())
    if sorted(expected) != sorted(names):
        raise StoreError(
            f"{where} was changed or damaged: it does not hold just what its manifest lists."
        )
    if total > limits.total_bytes:
        raise StoreError(
            f"{where} unpacks to {total} bytes; at most {limits.total_bytes} are read."
        )
    return manifest


def parse(model: type[Any], content: Any, where: Path, member: str) -> Any:
    """Check a member against its model.

    Raises
    ------
    StoreError
        With the first faults.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(p) for p in fault['loc'])[:100]}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)[:5]
        ]
        raise StoreError(f"{where}: {member} is not valid: " + "; ".join(faults)) from None


def read_json(archive: zipfile.ZipFile, name: str, where: Path, limits: Limits) -> Any:
    """Read a JSON member; infinities and NaN are refused.

    Raises
    ------
    StoreError
        If it is missing, too large or no JSON.
    """
    data = read_member(archive, name, where, limits.json_bytes)
    return decode_json(data, where, name)


def decode_json(data: bytes, where: Path, name: str) -> Any:
    """Read JSON; see `read_json`.

    Raises
    ------
    StoreError
        If it is no JSON.
    """

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where}: {name} can't be read: {type(error).__name__}") from None


def read_member(archive: zipfile.ZipFile, name: str, where: Path, limit: int) -> bytes:
    """Read one member, never more than a limit, whatever the archive promises.

    Raises
    ------
    StoreError
        If it is missing, larger, encrypted, damaged, or packed in an unusual way.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise StoreError(f"{where} lacks {name}: it is no shareable result file.") from None
    if info.flag_bits & 0x1 or info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise StoreError(f"{where}: {name[:200]!r} is encrypted or packed in an unusual way.")
    try:
        with archive.open(info) as file:
            data = file.read(limit + 1)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise StoreError(f"{where}: {name[:200]!r} is damaged: {error}") from None
    if len(data) > limit:
        raise StoreError(f"{where}: {name[:200]!r} has more than {limit} bytes.")
    return data


def read_array(data: bytes, name: str, where: Path) -> NDArray[Any]:
    """Read one array of a cell.

    Parameters
    ----------
    data : bytes
        An ``.npy`` file.
    name : str
        One of `ARRAYS` or `OPTIONAL_ARRAYS`.
    where : Path
        For messages.

    Returns
    -------
    ndarray
        A copy of its own.

    Raises
    ------
    StoreError
        If it is no array of that kind, or does not hold just what its header says.
    """
    kind, n_axes = {**ARRAYS, **OPTIONAL_ARRAYS}[name]
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("unknown version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=4096)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise StoreError(f"{where}: array {name!r} can't be read: {type(error).__name__}") from None
    rest = data[stream.tell() :]
    plain = dtype.kind == kind and dtype.names is None and dtype.subdtype is None
    if not plain or fortran or len(shape) != n_axes or dtype.itemsize > 4000:
        raise StoreError(
            f"{where}: array {name!r} is {dtype} with {len(shape)} axes; expected kind {kind!r} "
            f"with {n_axes}."
        )
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(rest):
        raise StoreError(f"{where}: array {name!r} does not hold what its header says.")
    try:
        return np.frombuffer(rest, dtype=dtype).reshape(shape).copy()
    except (ValueError, TypeError) as error:
        raise StoreError(f"{where}: array {name!r} can't be read: {error}") from None


def digest_file(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
