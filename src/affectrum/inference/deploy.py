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

    from affectrum.methods.base import Method, Pretrained, Progress
    from affectrum.protocols import Access
    from affectrum.recipes import Recipe
    from affectrum.scaling import Scaler
    from affectrum.windows import Windows

__all__ = ["DEPLOYMENT", "SCOPES", "TrainingSide", "train_bundle", "training_side"]

DEPLOYMENT = "deployment (all labelled windows; nothing held out)"
"""Name of the access under which a model for new recordings is trained."""

SCOPES: tuple[str, ...] = ("per-subject", "rest", "source", "none")
"""Scaling scopes that a new recording can follow."""


def train_bundle(
    method: Method,
    windows: Windows | Sequence[Windows],
    folder: str | os.PathLike[str],
    *,
    recipe: Recipe,
    classes: str | Sequence[str] | Any = "valence3",
    scaling: str = "per-subject",
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
        Labelled, unscaled, made with `recipe`; several corpora are joined.
    folder : path
        The bundle's folder.
    recipe : Recipe
        How the windows were made.
    classes : str, sequence of str, or ClassScheme
        The class scheme.
    scaling : {"per-subject", "rest", "source", "none"}
        How training windows are scaled, and a new recording with them: each subject and session
        by its own windows (default, since another amplifier, cap or head shifts every feature),
        by its first minute, all by one scaler, or not at all.
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
    from affectrum.inference.statistics import training_statistics

    side = training_side(
        windows, recipe=recipe, classes=classes, scaling=scaling, scaler=scaler, seed=seed
    )
    source = side.access.source
    assert source is not None
    assert source.y is not None
    present = np.unique(source.y)
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
        channels=source.windows.channels,
        classes=side.scheme.classes,
        scaling_scope=scaling,
        scaler=side.unscaled,
        training_stats=training_statistics(source.windows.x, _people(source.windows.table)),
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
    unscaled : Scaler
        Fitted on the windows before scaling.
    trials : DataFrame
        One row per trial with `_class` (-1: no class).
    parts : list of Windows
        The corpora, as given.
    """

    access: Access
    scheme: Any
    unscaled: Scaler
    trials: pd.DataFrame
    parts: list[Windows]

    @property
    def simulated(self) -> bool:
        """Whether any window was simulated."""
        return any(part.simulated for part in self.parts)

    def about(self) -> list[dict[str, Any]]:
        """Return what a bundle's provenance says about each corpus."""
        source = self.access.source
        assert source is not None
        assert source.y is not None
        return [
            _about(part, source.windows.table, source.y, self.scheme.classes) for part in self.parts
        ]


def training_side(
    windows: Windows | Sequence[Windows],
    *,
    recipe: Recipe,
    classes: str | Sequence[str] | Any = "valence3",
    scaling: str = "per-subject",
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
    from affectrum.protocols.scopes import Part, scale_source
    from affectrum.scaling import Scaler
    from affectrum.windows import Windows as WindowsClass

    check_option("scaling", scaling, SCOPES, ProtocolError)
    parts = [windows] if isinstance(windows, WindowsClass) else list(windows)
    _check_parts(parts, recipe)
    joined = WindowsClass.concatenate(parts)
    scheme = resolve_scheme(classes)
    codes, trials = trial_codes(joined.table)
    of_trial = trial_labels(trials, scheme)
    y = of_trial[codes]
    # As in every protocol, so that a score measured there is one of such a model.
    artefact = (
        joined.table["artefact"].fillna(False).to_numpy(dtype=bool)
        if "artefact" in joined.table
        else np.zeros(len(joined), dtype=bool)
    )
    usable = np.flatnonzero((y >= 0) & ~artefact & np.isfinite(joined.x).all(axis=(1, 2)))
    joined, y = joined.select(usable), y[usable]
    ids = row_ids(joined.table)
    unscaled = Scaler(scaler, per="channel" if joined.kind == "raw" else "feature").fit(
        joined.x, ids, roles=("source",), corpora=tuple(part.corpus for part in parts)
    )
    side = scale_source(Part(joined, ids, "source"), None, scaling, scaler)
    access = Access(
        protocol=DEPLOYMENT,
        classes=tuple(scheme.classes),
        source=Grant(side.windows["source"], y),
        seed=seed,
    )
    return TrainingSide(access, scheme, unscaled, trials.assign(_class=of_trial), parts)


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
        "simulated": part.simulated,
        "interpolated": [
            name for name, real in zip(part.channels, part.mask, strict=True) if not real
        ],
    }
