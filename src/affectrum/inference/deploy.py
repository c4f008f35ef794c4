"""Train one model on all labelled windows and save it, for recordings still to come."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import BundleError, LabelError, ProtocolError, check_option

if TYPE_CHECKING:
    import pandas as pd

    from affectrum.inference.statistics import FeatureStatistics
    from affectrum.methods.base import Method, Pretrained, Progress
    from affectrum.protocols import Access, Grant
    from affectrum.recipes import Recipe
    from affectrum.scaling import Scaler
    from affectrum.windows import Windows

__all__ = ["DEPLOYMENT", "SCOPES", "TrainingSide", "train_bundle", "training_side"]

DEPLOYMENT = "deployment (all labelled windows; nothing held out)"
"""Name of the access under which a model for new recordings is trained."""

SCOPES: tuple[str, ...] = ("per-subject", "rest", "source", "none")
"""Scaling scopes that a new recording can follow."""

# Windows looked at for NaN at a time.
_BLOCK = 1024


def train_bundle(
    method: Method,
    windows: Windows | Sequence[Windows],
    folder: str | os.PathLike[str],
    *,
    recipe: Recipe,
    classes: str | Sequence[str] | Any = "valence3",
    scaling: str | None = None,
    scaler: str = "standard",
    table: str = "emod",
    seed: int = 0,
    pretrained: Pretrained | None = None,
    provenance: Mapping[str, Any] | None = None,
    date: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train a method on everything that has a label and is no artefact; save it as a bundle.

    Nothing is held out, so this gives no score: measure one with `make_folds` first and hand it
    over in `provenance`, or the bundle says that none is available.

    Parameters
    ----------
    method : Method
        Unfitted, or to be fitted again; it learns from source labels alone.
    windows : Windows or sequence of Windows
        Labelled, unscaled, made with `recipe`; several corpora are joined, or stay apart where
        the recipe leaves them their own electrodes and rates.
    folder : path
        The bundle's folder.
    recipe : Recipe
        How the windows were made.
    classes : str, sequence of str, or ClassScheme
        The class scheme.
    scaling : {"per-subject", "rest", "source", "none"}, optional
        How training windows are scaled, and a new recording with them: each subject and session
        by its own windows (default, since another amplifier, cap or head shifts every feature),
        by its first minute, all by one scaler, or not at all. Recipes that take each corpus's own
        electrodes allow "none" only, which is their default.
    scaler : str
        Kind of scaler.
    table : str
        Table of coordinates for valence and arousal.
    seed : int
        Seed of the run.
    pretrained : Pretrained, optional
        Weights that `method.pretrain` made from these windows.
    provenance : mapping, optional
        Added to the bundle's provenance: ``score``, ``trained_by`` ...
    date : str, optional
        For the model card.
    overwrite : bool
        Whether an existing bundle may be replaced.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        If windows and recipe do not fit, or the folder can't be written.
    LabelError
        If fewer than two classes have windows.
    ProtocolError
        If the scope can't be followed by a new recording.
    """
    from affectrum.inference.bundle import save_bundle
    from affectrum.inference.plane import class_coordinates

    side = training_side(
        windows, recipe=recipe, classes=classes, scaling=scaling, scaler=scaler, seed=seed
    )
    granted = side.access.source_parts
    present = np.unique(np.concatenate([part.y for part in granted if part.y is not None]))
    if len(present) < 2:
        names = ", ".join(side.scheme.classes[number] for number in present) or "none"
        raise LabelError(
            f"A model needs windows of two classes or more; scheme {side.scheme.name!r} gives "
            f"{names}. Choose another scheme or other windows."
        )
    method.fit(side.access, pretrained=pretrained, progress=progress)
    about = {
        "corpora": side.about(),
        "protocol": DEPLOYMENT,
        "grants": list(side.access.grants),
        "selection": "last",
        "seed": seed,
        **dict(provenance or {}),
    }
    kept = side.trials[side.trials["_class"] >= 0]
    return save_bundle(
        method,
        folder,
        recipe=recipe,
        scheme=side.scheme,
        simulated=side.simulated,
        channels=tuple(dict.fromkeys(name for part in granted for name in part.windows.channels)),
        classes=side.scheme.classes,
        scaling_scope=side.scaling,
        scaler=side.unscaled,
        training_stats=_statistics(side.access.source) if side.unscaled is not None else None,
        coordinates=class_coordinates(
            side.scheme.classes,
            side.scheme,
            table=table,
            trials=kept,
            y=kept["_class"].to_numpy(dtype=np.int64),
        ),
        provenance=about,
        date=date,
        overwrite=overwrite,
    )


@dataclass(frozen=True)
class TrainingSide:
    """Everything a model for new recordings may learn from.

    Attributes
    ----------
    access : Access
        What is granted: all labelled windows, scaled.
    scheme : ClassScheme
        The class scheme.
    unscaled : Scaler or None
        Fitted on the windows before scaling; None where corpora keep their own electrodes.
    trials : DataFrame
        One row per trial with `_class` (-1: no class).
    parts : list of Windows
        The corpora, as given.
    scaling : str
        The scope by which windows are scaled.
    """

    access: Access
    scheme: Any
    unscaled: Scaler | None
    trials: pd.DataFrame
    parts: list[Windows]
    scaling: str

    @property
    def simulated(self) -> bool:
        """Whether any window was simulated."""
        return any(part.simulated for part in self.parts)

    def about(self) -> list[dict[str, Any]]:
        """Return what a bundle's provenance says about each corpus."""
        granted = {grant.windows.corpus: grant for grant in self.access.source_parts}
        found = []
        for part in self.parts:
            grant = granted.get(part.corpus)
            if grant is not None and grant.y is not None:
                found.append(_about(part, grant.windows.table, grant.y, self.scheme.classes))
        return found


def training_side(
    windows: Windows | Sequence[Windows],
    *,
    recipe: Recipe,
    classes: str | Sequence[str] | Any = "valence3",
    scaling: str | None = None,
    scaler: str = "standard",
    seed: int = 0,
) -> TrainingSide:
    """Join and scale what has a label and is no artefact: the access of a deployed model.

    Parameters
    ----------
    windows, recipe, classes, scaling, scaler, seed
        As in `train_bundle`.

    Returns
    -------
    TrainingSide

    Raises
    ------
    BundleError
        If windows and recipe do not fit.
    ProtocolError
        If the scope can't be followed by a new recording.
    """
    from affectrum.protocols import Access, Grant
    from affectrum.protocols.fold import resolve_scheme, trial_labels
    from affectrum.protocols.identity import row_ids, trial_codes
    from affectrum.protocols.plane import known_plane
    from affectrum.protocols.scopes import Part, scale_source
    from affectrum.scaling import Scaler
    from affectrum.windows import Windows as WindowsClass

    parts = [windows] if isinstance(windows, WindowsClass) else list(windows)
    _check_parts(parts, recipe)
    own = recipe.own_electrodes
    scaling = ("none" if own else "per-subject") if scaling is None else scaling
    check_option("scaling", scaling, ("none",) if own else SCOPES, ProtocolError)
    if own:
        return _unscaled_side(parts, resolve_scheme(classes), seed)
    joined = WindowsClass.concatenate(parts)
    scheme = resolve_scheme(classes)
    codes, trials = trial_codes(joined.table)
    of_trial = trial_labels(trials, scheme)
    y = of_trial[codes]
    usable = _usable(joined, y)
    joined, y = joined.select(usable), y[usable]
    ids = row_ids(joined.table)
    unscaled = Scaler(scaler, per="channel" if joined.kind == "raw" else "feature").fit(
        joined.x, ids, roles=("source",), corpora=tuple(part.corpus for part in parts)
    )
    side = scale_source(Part(joined, ids, "source"), None, scaling, scaler)
    access = Access(
        protocol=DEPLOYMENT,
        classes=tuple(scheme.classes),
        source=Grant(side.windows["source"], y, known_plane(joined.table)),
        seed=seed,
    )
    return TrainingSide(access, scheme, unscaled, trials.assign(_class=of_trial), parts, scaling)


def _unscaled_side(parts: list[Windows], scheme: Any, seed: int) -> TrainingSide:
    """What corpora at their own electrodes and rates grant; signals on disk stay there."""
    import pandas as pd

    from affectrum.protocols import Access, Grant
    from affectrum.protocols.fold import trial_labels
    from affectrum.protocols.identity import trial_codes
    from affectrum.protocols.plane import known_plane
    from affectrum.windows.lazy import detached

    grants, tables = [], []
    for part in parts:
        codes, trials = trial_codes(part.table)
        of_trial = trial_labels(trials, scheme)
        rows = _usable(part, of_trial[codes])
        tables.append(trials.assign(_class=of_trial))
        if len(rows):
            kept = detached(part.select(rows))
            grants.append(Grant(kept, of_trial[codes][rows], known_plane(kept.table)))
    shapes = {(g.windows.channels, g.windows.shape[2], g.windows.sfreq) for g in grants}
    access = Access(
        protocol=DEPLOYMENT,
        classes=tuple(scheme.classes),
        source=grants[0] if len(grants) == 1 else _joined(grants) if len(shapes) == 1 else None,
        source_parts=tuple(grants),
        seed=seed,
    )
    return TrainingSide(access, scheme, None, pd.concat(tables, ignore_index=True), parts, "none")


def _joined(grants: Sequence[Grant]) -> Grant:
    from affectrum.protocols import Grant as GrantClass
    from affectrum.windows import Windows as WindowsClass

    places = [np.full((len(g), 2), np.nan) if g.va is None else g.va for g in grants]
    return GrantClass(
        WindowsClass.concatenate([grant.windows for grant in grants]),
        np.concatenate([grant.y for grant in grants if grant.y is not None]),
        np.concatenate(places),
    )


def _usable(windows: Windows, y: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows with a class that are finite and no artefact.

    As in every protocol, so that a score measured there is one of such a model.
    """
    table = windows.table
    usable = y >= 0
    if "artefact" in table:
        usable &= ~table["artefact"].fillna(False).to_numpy(dtype=bool)
    for start in range(0, len(windows), _BLOCK):
        block = windows.batch(slice(start, start + _BLOCK))
        usable[start : start + _BLOCK] &= np.isfinite(block).all(axis=(1, 2))
    return np.flatnonzero(usable).astype(np.int64)


def _statistics(source: Grant | None) -> FeatureStatistics | None:
    from affectrum.inference.statistics import training_statistics

    if source is None:
        return None
    return training_statistics(source.windows.x, _people(source.windows.table))


def _check_parts(parts: Sequence[Windows], recipe: Recipe) -> None:
    digest = recipe.digest()
    other = [part for part in parts if part.recipe and part.recipe != digest]
    if other or not parts:
        listed = "; ".join(f"{part.corpus}: recipe {part.recipe}" for part in other) or "none"
        raise BundleError(
            f"The windows must be made with recipe {recipe.name!r} ({digest}), by which new "
            f"recordings will be read; received {listed}. Prepare them with it."
        )


def _people(table: pd.DataFrame) -> NDArray[np.int64]:
    """Number the people over all corpora."""
    return np.asarray(table.groupby(["corpus", "subject"], sort=False).ngroup(), dtype=np.int64)


def _about(
    part: Windows, table: pd.DataFrame, y: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Any]:
    """What the model card says about one training corpus."""
    mine = (table["corpus"] == part.corpus).to_numpy()
    rows = table[mine]
    counts = np.bincount(y[mine], minlength=len(classes))
    return {
        "name": part.corpus,
        "subjects": int(rows["subject"].nunique()),
        "trials": len(rows[["subject", "session", "row"]].drop_duplicates()),
        "windows": len(rows),
        "windows_per_class": {name: int(n) for name, n in zip(classes, counts, strict=True)},
        "sfreq": part.sfreq,
        "electrodes": len(part.channels),
        "simulated": part.simulated,
        "interpolated": [
            name for name, real in zip(part.channels, part.mask, strict=True) if not real
        ],
    }
