"""Join shared result files into one run: checked, audited again, and refused where they fail.

A file's seal and digests show damage and carelessness. They can't show a lie: who makes up
predictions can make up certificates that fit. What is caught is what can be: a certificate that is
missing, failed, or does not belong to the identifiers beside it; identifiers that don't belong to
the predictions; a score whose name hides what it saw.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrum.benchmark.controls import CONTROLS
from affectrum.benchmark.files import sha256, write_file
from affectrum.benchmark.merge_checks import check_shared
from affectrum.benchmark.record import CellResult, cell_folder, is_complete, load_record, write_cell
from affectrum.benchmark.share_format import (
    ARRAYS,
    OPTIONAL_ARRAYS,
    Limits,
    Manifest,
    SharedCell,
    decode_json,
    digest_file,
    parse,
    read_array,
    read_manifest,
    read_member,
)
from affectrum.catalog import fold_name
from affectrum.errors import AffectrumError, ConfigError, LeakError, StoreError

__all__ = ["MergeReport", "merge_files"]

_IDENTIFIERS = ("roles", "member_", "trials_")
_SAME = 1e-5


@dataclass
class MergeReport:
    """What was joined.

    Attributes
    ----------
    out : Path
        The run's folder.
    joined : list of (Path, int)
        Files and how many scores of each are new.
    controls : int
        How many of their controls are.
    refused : list of (Path, str)
        Files that were not joined, and why.
    cautions : list of str
        What a reader of the joined table should know.
    keys : dict of str to list of Path
        Files by the key of their names.
    """

    out: Path
    joined: list[tuple[Path, int]] = field(default_factory=list)
    controls: int = 0
    refused: list[tuple[Path, str]] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    keys: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no file was refused."""
        return not self.refused


@dataclass(frozen=True)
class _Cell:
    """One cell of a file, checked."""

    name: str
    about: SharedCell
    arrays: dict[str, NDArray[Any]]


def merge_files(
    files: Sequence[str | Path], out: str | Path, *, limits: Limits | None = None
) -> MergeReport:
    """Join shared result files into a run that `load_record` and the report read.

    Parameters
    ----------
    files : sequence of path
        Files of `affectrum.benchmark.share_run`, in order: of a cell that several hold, the first
        counts.
    out : path
        The run's folder; only joined results may lie there.
    limits : Limits, optional
        How much of a file is read.

    Returns
    -------
    MergeReport
        A file that fails is refused as a whole and does not stop the others.

    Raises
    ------
    ConfigError
        If no file is given, or the folder holds results of its own.
    StoreError
        If the folder can't be written.
    """
    out = Path(out)
    limits = Limits() if limits is None else limits
    if not files:
        raise ConfigError("No file is given to join. `affectrum run --share FILE` writes one.")
    present = load_record(out, controls=True) if (out / "cells").is_dir() else []
    if any("shared" not in cell.meta for cell in present):
        raise ConfigError(
            f"{out} holds results whose subjects have their own numbers; hashed names can't be "
            "joined with them. Choose an empty folder, share that run too, and join all files."
        )
    report = MergeReport(out)
    order = [cell.digest for cell in present]
    truth, origins = _Truth(), _Simulated()
    for old in present:
        truth.add(old.meta["shared"]["key"], old.meta, old.arrays)
        origins.add(old.meta["shared"]["key"], old.meta)
    for file in map(Path, files):
        try:
            manifest, cells = _read(file, limits)
            truth.check(manifest.key, cells)
            for cell in cells:  # those of one file must agree too
                origins.add(manifest.key, cell.about.model_dump())
        except (AffectrumError, OSError) as error:
            report.refused.append((file, str(error)))
            continue
        report.keys.setdefault(manifest.key, []).append(file)
        origin = {"key": manifest.key, "file": digest_file(file)[:16], "title": manifest.title}
        new = 0
        for cell in cells:
            truth.add(manifest.key, cell.about.model_dump(), cell.arrays)
            if is_complete(out, cell.name):
                report.cautions += _repeated(out, cell, file)
                continue
            _write(out, cell, origin)
            order.append(cell.name)
            if cell.about.control:
                report.controls += 1
            else:
                new += 1
        report.joined.append((file, new))
    if len(report.keys) > 1:
        report.cautions.append(
            "The files were made with different keys: the same person has different names in "
            "them, so that their results stand in tables of their own. Pool with one --share-key."
        )
    if order:
        _write_plan(out, order, [title for title, _ in report.joined])
    return report


# ---------------------------------------------------------------------------- reading


def _read(file: Path, limits: Limits) -> tuple[Manifest, list[_Cell]]:
    size = file.stat().st_size
    if size > limits.file_bytes:
        raise StoreError(f"{file} has {size} bytes; at most {limits.file_bytes} are read.")
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = read_manifest(archive, file, limits)
            if not manifest.cells:
                raise StoreError(f"{file} holds no result.")
            cells = [
                _read_cell(archive, listed.name, listed.files, file, limits)
                for listed in manifest.cells
            ]
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise StoreError(f"{file} is no shareable result file: {error}") from None
    return manifest, cells


def _read_cell(
    archive: zipfile.ZipFile, name: str, files: Mapping[str, Any], where: Path, limits: Limits
) -> _Cell:
    known = {"cell.json", *(f"{array}.npy" for array in (*ARRAYS, *OPTIONAL_ARRAYS))}
    needed = {"cell.json", *(f"{array}.npy" for array in ARRAYS)}
    if not needed <= set(files) <= known:
        raise StoreError(f"{where}: cell {name} lacks files or holds unknown ones.")
    content: dict[str, bytes] = {}
    for file, entry in files.items():
        limit = limits.json_bytes if file == "cell.json" else limits.member_bytes
        data = read_member(archive, f"cells/{name}/{file}", where, min(limit, entry.bytes))
        if len(data) != entry.bytes or sha256(data) != entry.sha256:
            raise StoreError(f"{where} was changed or damaged: {name}/{file} is not as listed.")
        content[file] = data
    about = decode_json(content.pop("cell.json"), where, f"cell {name}")
    cell = _Cell(
        name,
        parse(SharedCell, about, where, f"cell {name}"),
        {f[:-4]: read_array(data, f[:-4], where) for f, data in content.items()},
    )
    try:
        check_shared(cell.about, cell.arrays)
    except (StoreError, LeakError) as error:
        what = f"{cell.about.task_title} · {cell.about.method.label}"
        raise type(error)(f"{where}: {what}: {error}") from None
    return cell


# ---------------------------------------------------------------------------- joining


class _Truth:
    """The class of each trial under one key: two files can't disagree about it."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], dict[tuple[int, int, int], int]] = {}

    def _labels(
        self, key: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[tuple[Any, ...], dict[tuple[int, int, int], int]]:
        task = about["task"]
        # Thresholds that are fitted on the training side may differ between sources.
        name = (
            key,
            about["target"],
            tuple(about["classes"]),
            json.dumps([task.get("classes"), task.get("labels"), about["source"]]),
        )
        columns = np.column_stack([arrays[n] for n in ("subject", "session", "row", "y_true")])
        rows = np.unique(columns, axis=0).tolist()
        return name, {(a, b, c): y for a, b, c, y in rows}

    def add(
        self, key: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> None:  # fmt: skip
        """Remember what a cell says; the labels of nulls are made up."""
        if _is_null(about):
            return
        name, labels = self._labels(key, about, arrays)
        self._known.setdefault(name, {}).update(labels)

    def check(self, key: str, cells: Sequence[_Cell]) -> None:
        """Compare cells with what is known.

        Raises
        ------
        StoreError
            If trials have another class than in a file before.
        """
        mine: dict[tuple[Any, ...], dict[tuple[int, int, int], int]] = {}
        for cell in cells:
            if _is_null(cell.about.model_dump()):
                continue
            name, labels = self._labels(key, cell.about.model_dump(), cell.arrays)
            own = mine.setdefault(name, {})
            known = {**own, **self._known.get(name, {})}
            differ = sum(known.get(trial, y) != y for trial, y in labels.items())
            if differ:
                raise StoreError(
                    f"{cell.about.task_title}: {differ} of {len(labels)} trials have another class "
                    "than in a result before it, under the same key: the labs don't hold the same "
                    "data, or number it differently."
                )
            own.update(labels)


def _is_null(about: Mapping[str, Any]) -> bool:
    name = str(about.get("control") or "")
    return name in CONTROLS and CONTROLS[name].null


class _Simulated:
    """Which windows are simulated, under one key: two cells can't disagree about it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], bool] = {}

    def add(self, key: str, about: Mapping[str, Any]) -> None:
        """Compare a cell with those before it.

        Raises
        ------
        StoreError
            If windows with one fingerprint are called simulated here and measured there.
        """
        marked = {fold_name(name) for name in about["simulated_corpora"]}
        for corpus, fingerprint in about["fingerprints"].items():
            simulated = fold_name(corpus) in marked
            if self._known.setdefault((key, corpus, fingerprint), simulated) != simulated:
                raise StoreError(
                    f"{about['task_title']}: the windows of {corpus} are called "
                    f"{'simulated' if simulated else 'measured'}, and another result of the very "
                    "same windows says otherwise."
                )


def _repeated(out: Path, cell: _Cell, file: Path) -> list[str]:
    """Say how far a cell that is there already differs; equal ones need no word."""
    folder = cell_folder(out, cell.name)
    meta = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
    known = CellResult(folder, meta).arrays["scores"]
    mine = cell.arrays["scores"]
    gap = float(np.abs(known - mine).max()) if known.shape == mine.shape else float("inf")
    if gap <= _SAME:
        return []
    return [
        f"{file}: {cell.about.task_title} · {cell.about.method.label} · seed {cell.about.seed} is "
        f"here already with other scores (largest difference {gap:.3g}); the first one counts."
    ]


def _write(out: Path, cell: _Cell, origin: Mapping[str, str]) -> None:
    meta = cell.about.model_dump(mode="json")
    meta["notes"] = []
    meta["shared"] = dict(origin)
    for fold in meta["folds"]:
        fold["notes"], fold["scalers"], fold["selection"] = [], [], meta["selection"]
        certificate = fold["certificate"]
        certificate["fold"] = fold["id"]
        for check in certificate["checks"]:
            check["detail"] = f"{check['measured']} counted where it was computed"
    predictions = {n: a for n, a in cell.arrays.items() if not n.startswith(_IDENTIFIERS)}
    identifiers = {
        n: a.astype(np.uint64) if "content" in n or "likeness" in n else a
        for n, a in cell.arrays.items()
        if n.startswith(_IDENTIFIERS)
    }
    write_cell(out, cell.name, meta, predictions, identifiers)


def _write_plan(out: Path, order: Sequence[str], files: Sequence[Path]) -> None:
    from affectrum import __version__

    content = {
        "name": f"Pooled results of {len(files)} files" if len(files) > 1 else "Pooled results",
        "version": __version__,
        "cells": list(dict.fromkeys(order)),
        "plan": {},
        "corpora": {},
    }
    write_file(out / "plan.json", json.dumps(content, indent=1).encode())
