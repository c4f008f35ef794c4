"""The record: one folder per cell, written once, read without trust in anything unfinished.

``<run>/cells/<digest>/`` holds ``predictions.npz`` (scores, truth, identifiers of every test
window), ``identifiers.npz`` (which trials stood in which role of which fold), ``brief.json`` (what
a plan of many cells asks of each: sizes of the files, duration) and ``cell.json`` (everything else,
with the digests of the other files; written last).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.benchmark.files import (
    load_arrays,
    pack_arrays,
    publish_folder,
    sha256,
    text_array,
)
from affectrum.errors import StoreError
from affectrum.evaluation import Predictions, metrics_from_confusion
from affectrum.evaluation.classification import confusion_matrix

if TYPE_CHECKING:
    from affectrum.protocols import Certificate

__all__ = [
    "MANIFEST",
    "CellResult",
    "cell_folder",
    "is_complete",
    "load_record",
    "read_brief",
    "write_cell",
]

MANIFEST, BRIEF = "cell.json", "brief.json"
_INTEGERS = ("subject", "session", "row", "trial", "window")
_TEXTS = ("corpus", "clip", "film", "series")


def cell_folder(run: Path, digest: str) -> Path:
    """Where a cell's files lie."""
    return Path(run) / "cells" / digest


def is_complete(run: Path, digest: str) -> bool:
    """Whether a cell is finished: its manifest is there, and its files have their sizes."""
    folder = cell_folder(run, digest)
    sizes = read_brief(run, digest).get("bytes")
    try:
        if not isinstance(sizes, dict):
            meta = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            sizes = {name: entry["bytes"] for name, entry in meta["files"].items()}
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def read_brief(run: Path, digest: str) -> dict[str, Any]:
    """Return what a stored cell says of itself in a few words; empty if there is no such cell.

    Parameters
    ----------
    run : Path
        The run's folder.
    digest : str
        The cell.

    Returns
    -------
    dict
        ``bytes`` (of each file), ``method``, ``label``, ``source``, ``target``, ``protocol``,
        ``base``, ``task``, ``n_folds``, ``control`` and ``seconds``.
    """
    try:
        brief = json.loads((cell_folder(run, digest) / BRIEF).read_bytes())
    except (OSError, ValueError):
        return {}
    return brief if isinstance(brief, dict) else {}


def _brief(meta: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    method = meta.get("method", {})
    content = {
        "bytes": {name: len(data) for name, data in files.items()},
        "method": method.get("name"),
        "label": method.get("label"),
        "task": meta.get("task_title"),
        "source": meta.get("source"),
        "target": meta.get("target"),
        "protocol": meta.get("protocol"),
        "base": meta.get("base"),
        "control": meta.get("control", ""),
        "n_folds": len(meta.get("folds", ())),
        "seconds": meta.get("timing", {}).get("total_s"),
    }
    return json.dumps(content, ensure_ascii=False).encode("utf-8")


def write_cell(
    run: Path,
    digest: str,
    meta: Mapping[str, Any],
    predictions: Mapping[str, NDArray[Any]],
    identifiers: Mapping[str, NDArray[Any]],
) -> bool:
    """Write one cell in one step.

    Returns
    -------
    bool
        False if another runner had finished it first.
    """
    files = {
        "predictions.npz": pack_arrays(predictions),
        "identifiers.npz": pack_arrays(identifiers),
    }
    listed = {name: {"bytes": len(data), "sha256": sha256(data)} for name, data in files.items()}
    text = json.dumps({**meta, "digest": digest, "files": listed}, indent=1, ensure_ascii=False)
    files[MANIFEST] = text.encode("utf-8")
    if not is_complete(run, digest):
        # What was damaged since it was written would be kept for its manifest's sake.
        shutil.rmtree(cell_folder(run, digest), ignore_errors=True)
    return publish_folder(cell_folder(run, digest), {BRIEF: _brief(meta, files), **files}, MANIFEST)


def prediction_arrays(
    table: pd.DataFrame,
    clips: pd.DataFrame,
    scores: NDArray[np.float32],
    y_true: NDArray[np.int64],
    fold: NDArray[np.int64],
    epoch_scores: NDArray[np.float16] | None = None,
    valence_arousal: NDArray[np.float32] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return what ``predictions.npz`` holds.

    Parameters
    ----------
    table : DataFrame, n rows
        `subject`, `session`, `row`, `trial`, `window`, `start_s`, `corpus` of the test windows.
    clips : DataFrame, n rows
        `clip`, `film`, `series`.
    scores : ndarray, shape (n, n_classes)
        Class scores by the last weights (or the epoch that validation chose).
    y_true, fold : ndarray, shape (n,)
        Class and index of the fold.
    epoch_scores : ndarray, shape (n_epochs, n, n_classes), optional
        Scores after each epoch, NaN where a fold had fewer.
    valence_arousal : ndarray, shape (n, 2), optional
        Predicted point of the plane, -1..1.
    """
    both = pd.concat([table.reset_index(drop=True), clips.reset_index(drop=True)], axis=1)
    arrays: dict[str, NDArray[Any]] = {
        "scores": scores.astype(np.float32),
        "y_true": y_true.astype(np.int64),
        "fold": fold.astype(np.int64),
        "start_s": both["start_s"].to_numpy(dtype=np.float32),
    }
    for name in _INTEGERS:
        # A missing trial (unknown order of presentation) is -1; numbers count from 1.
        arrays[name] = both[name].fillna(-1).to_numpy(dtype=np.int64)
    for name in _TEXTS:
        arrays[name] = text_array(both[name])
    if epoch_scores is not None:
        arrays["epoch_scores"] = epoch_scores.astype(np.float16)
    if valence_arousal is not None:
        arrays["valence_arousal"] = valence_arousal.astype(np.float32)
    return arrays


def identifier_arrays(folds: list[dict[str, pd.DataFrame]]) -> dict[str, NDArray[Any]]:
    """Return which trials stood in which role of which fold, compactly.

    Parameters
    ----------
    folds : list of dict of str to DataFrame
        Per fold and role one row per trial: `corpus`, `subject`, `session`, `row`, `trial`,
        `clip`, `film`, `series`, `n_windows`.

    Returns
    -------
    dict
        ``trials_<column>`` for every trial, with the fingerprints of its signal
        (``trials_trial_content``, ``trials_trial_likeness``); ``member_fold``, ``member_role``
        (index into ``roles``), ``member_trial`` (index into the trials) and ``member_windows``.
    """
    keys = ["corpus", "subject", "session", "row"]
    roles = list(dict.fromkeys(role for fold in folds for role in fold))
    parts = [
        table.assign(_fold=number, _role=roles.index(role))
        for number, fold in enumerate(folds)
        for role, table in fold.items()
    ]
    everything = pd.concat(parts, ignore_index=True)
    code = np.asarray(everything.groupby(keys, sort=True, dropna=False).ngroup(), dtype=np.int64)
    first = np.unique(code, return_index=True)[1]
    trials = everything.iloc[first]
    out: dict[str, NDArray[Any]] = {
        "roles": text_array(roles),
        "member_fold": everything["_fold"].to_numpy(dtype=np.int32),
        "member_role": everything["_role"].to_numpy(dtype=np.int8),
        "member_trial": code.astype(np.int32),
        "member_windows": everything["n_windows"].to_numpy(dtype=np.int32),
    }
    for name in ("subject", "session", "row", "trial"):
        out[f"trials_{name}"] = trials[name].fillna(-1).to_numpy(dtype=np.int64)
    for name in _TEXTS:
        out[f"trials_{name}"] = text_array(trials[name])
    for name in ("trial_content", "trial_likeness"):
        if name in trials:
            out[f"trials_{name}"] = trials[name].to_numpy(dtype=np.uint64)
    return out


@dataclass(frozen=True)
class CellResult:
    """One finished cell.

    Attributes
    ----------
    folder : Path
        Where it lies.
    meta : dict
        ``cell.json``: ``task``, ``task_title``, ``method`` (``name``, ``preset``, ``label``,
        ``config``), ``seed``, ``control`` (empty for a score), ``protocol`` (with modifiers),
        ``grants``, ``arm``, ``classes``,
        ``source_classes``, ``selection``, ``scaling``, ``scaler``, ``calibration_trials``,
        ``simulated``, ``channels``, ``bands``, ``recipe``, ``fingerprints``, ``versions``,
        ``timing``, ``notes``, ``folds`` (each with ``id``, ``subject``, ``lacks``, ``notes``,
        ``n_windows``, ``n_trials``, ``scalers``, ``certificate``, ``n_epochs``).
    """

    folder: Path
    meta: dict[str, Any]

    @property
    def digest(self) -> str:
        """The cell's name."""
        return str(self.meta["digest"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in column order of the scores."""
        return tuple(self.meta["classes"])

    @property
    def simulated(self) -> bool:
        """Whether any window was simulated."""
        return bool(self.meta["simulated"])

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything in ``predictions.npz``, checked against its digest."""
        return load_arrays(
            self.folder / "predictions.npz", self.meta["files"]["predictions.npz"]["sha256"]
        )

    @cached_property
    def identifiers(self) -> dict[str, NDArray[Any]]:
        """Everything in ``identifiers.npz``, checked against its digest."""
        return load_arrays(
            self.folder / "identifiers.npz", self.meta["files"]["identifiers.npz"]["sha256"]
        )

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per test window: identifiers, `fold`, `y_true`, `y_pred`."""
        arrays = self.arrays
        table = pd.DataFrame(
            {name: arrays[name] for name in (*_TEXTS[:1], *_INTEGERS, "start_s", "fold", "y_true")}
        )
        for name in _TEXTS[1:]:
            column = pd.Series(arrays[name], dtype="str")
            table[name] = column.where(column != "")
        table["trial"] = table["trial"].astype("Int64").where(table["trial"] >= 0)
        return table.assign(y_pred=self.scores.argmax(axis=1))

    @property
    def epoch_scores(self) -> NDArray[np.float16] | None:
        """Scores after each epoch, shape (n_epochs, n, n_classes), or None."""
        return self.arrays.get("epoch_scores")

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Scores that count under the cell's selection rule, shape (n, n_classes).

        "oracle" takes, for each fold, the epoch with the best accuracy on its test windows (the
        first of equals); methods without epochs have only their last one.
        """
        last = np.asarray(self.arrays["scores"], dtype=np.float32)
        epochs = self.epoch_scores
        if self.meta["selection"] != "oracle" or epochs is None:
            return last
        out = last.copy()
        y, fold = self.arrays["y_true"], self.arrays["fold"]
        n_classes = last.shape[1]
        for number in np.unique(fold):
            rows = np.flatnonzero(fold == number)
            best, best_score = None, -1.0
            for scores in epochs[:, rows]:
                if not np.isfinite(scores).all():
                    continue
                counts = confusion_matrix(y[rows], scores.argmax(axis=1), n_classes)
                score = float(metrics_from_confusion(counts, ("accuracy",))["accuracy"])
                if score > best_score:
                    best, best_score = scores, score
            if best is not None:
                out[rows] = best
        return out

    def evaluable(self, *, complete_only: bool = True) -> Predictions:
        """Return predictions for `affectrum.evaluation`.

        Parameters
        ----------
        complete_only : bool
            Leave out folds whose training side lacks a class, unless all do.
        """
        rows = np.ones(len(self.predictions), dtype=bool)
        if complete_only:
            lacking = [bool(fold["lacks"]) for fold in self.meta["folds"]]
            if not all(lacking):
                rows = ~np.array(lacking)[self.arrays["fold"]]
        scores = self.scores.astype(np.float64)
        # float16 epoch scores sum to 1 only roughly.
        scores /= scores.sum(axis=1, keepdims=True)
        whole = Predictions(
            self.predictions, scores, self.arrays["y_true"].astype(np.int64), self.classes
        )
        return whole if rows.all() else whole.select(rows)

    def certificates(self) -> list[Certificate]:
        """The leak audit's certificates, one per fold."""
        from affectrum.protocols import Certificate

        return [Certificate.from_dict(fold["certificate"]) for fold in self.meta["folds"]]


def load_record(run: str | Path, *, controls: bool = False) -> list[CellResult]:
    """Return every finished cell of a run, in the order of its last plan.

    Parameters
    ----------
    run : path
        The run's folder.
    controls : bool
        Also return control cells (see `affectrum.benchmark.controls`), which are no scores.

    Returns
    -------
    list of CellResult
        Arrays are read when first asked for. Unfinished folders are passed over.

    Raises
    ------
    StoreError
        If the folder holds no run.
    """
    run = Path(run)
    cells = run / "cells"
    if not cells.is_dir():
        raise StoreError(
            f"{run} holds no run: it has no folder 'cells'. Give the output folder of "
            "`affectrum run` or `affectrum demo`."
        )
    results = {}
    for folder in sorted(cells.iterdir()):
        if folder.name.startswith(".") or not is_complete(run, folder.name):
            continue
        meta = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if controls or not meta.get("control"):
            results[folder.name] = CellResult(folder, meta)
    order: list[str] = []
    plan = run / "plan.json"
    if plan.exists():
        try:
            order = list(json.loads(plan.read_text(encoding="utf-8"))["cells"])
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"{plan} can't be read: {error}") from error
    names = [name for name in order if name in results]
    return [results[name] for name in [*names, *(n for n in results if n not in names)]]
