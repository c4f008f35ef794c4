"""A trained model with everything it needs to read a recording."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrum.errors import AffectrumError, BundleError, ConfigError, check_option
from affectrum.inference.bundle_io import arrays_of, read_bundle_files, write_bundle_files
from affectrum.inference.plane import Coordinates, class_coordinates
from affectrum.inference.statistics import FeatureStatistics
from affectrum.scaling import Scaler

if TYPE_CHECKING:
    from mne.io import BaseRaw

    from affectrum.inference.timeline import Timeline
    from affectrum.methods.base import Method
    from affectrum.recipes import Recipe
    from affectrum.windows import Windows

__all__ = [
    "SCALINGS",
    "Bundle",
    "load_bundle",
    "save_bundle",
]

SCALINGS: dict[str, str] = {
    "model": "the scaler fitted on the model's training windows",
    "recording": "the recording's own mean and spread over all of its windows",
    "first-minute": "the recording's own mean and spread over its first minute",
    "none": "no scaling",
}
"""Ways to scale a new recording."""

# What corresponds, for one new recording, to the scope the training windows were scaled by.
_SCALING_OF_SCOPE: dict[str, str] = {
    "none": "none",
    "source": "model",
    "calibration": "model",
    "causal": "recording",
    "rest": "first-minute",
    "per-subject": "recording",
    "released": "recording",
}


@dataclass(frozen=True)
class Bundle:
    """A trained model, its preprocessing and its provenance.

    Attributes
    ----------
    method : Method
        Fitted.
    recipe : Recipe
        From volts to windows.
    classes : tuple of str
        Class names in column order.
    scheme : str
        Name of the class scheme.
    coordinates : Coordinates
        Where the classes lie on the valence-arousal plane.
    scaling : str
        How a new recording is scaled unless asked otherwise: one of `SCALINGS`.
    scaling_scope : str
        The scope by which the training windows were scaled.
    scaler : Scaler or None
        Fitted on the (unscaled) training windows: what ``"model"`` applies, and what a
        recording's shift is measured by.
    statistics : FeatureStatistics or None
        Distribution of the scaled training windows.
    provenance : dict
        Corpora, subjects, protocol, access, selection, score, versions, date.
    simulated : bool
        Whether any training data was simulated.
    digest : str
        Identity of the model; "" before it was saved.
    path : Path or None
        Where it was loaded from.
    notes : tuple of str
        Remarks of the loader.
    """

    method: Method
    recipe: Recipe
    classes: tuple[str, ...]
    scheme: str
    coordinates: Coordinates
    scaling: str
    scaling_scope: str
    scaler: Scaler | None
    statistics: FeatureStatistics | None
    provenance: dict[str, Any]
    simulated: bool
    digest: str = ""
    path: Path | None = None
    notes: tuple[str, ...] = ()
    card: str = field(default="", repr=False)
    trained_channels: tuple[str, ...] = ()
    """Electrodes of the training windows; of several corpora with their own, all of them."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Electrodes of the model, in order; empty where it takes those that were recorded."""
        return tuple(self.recipe.electrode_names(()))

    def predict(
        self,
        raw: BaseRaw,
        *,
        scaling: str = "auto",
        name: str | None = None,
        notes: Sequence[str] = (),
    ) -> Timeline:
        """Read a recording.

        Parameters
        ----------
        raw : mne.io.BaseRaw
            A continuous recording in volts; electrodes are found by name.
        scaling : {"auto", "model", "recording", "first-minute", "none"}
            How its features are scaled; "auto" does what the model was trained with (see
            `SCALINGS`). "recording" makes readings relative to the recording's own average.
        name : str, optional
            Name of the recording for tables and figures; by default its file's name.
        notes : sequence of str
            Remarks of the file's reader (`affectrum.recordings.open_recording`), to stand among
            the warnings.

        Returns
        -------
        Timeline

        Raises
        ------
        ElectrodeError
            If names mean nothing, or too few of the model's electrodes were recorded; the message
            says what would do.
        RecordingError
            If there is no signal to read: too short, flat, too low a rate.
        """
        from affectrum.inference.predict import predict_recording

        return predict_recording(self, raw, scaling=scaling, name=name, notes=notes)

    def predict_windows(self, windows: Windows, *, scaling: str = "auto") -> Timeline:
        """Read windows that were made with the bundle's recipe, unscaled.

        Parameters
        ----------
        windows : Windows
            Windows of one or more subjects.
        scaling : str
            As in `predict`; "recording" scales each subject and session by itself.

        Returns
        -------
        Timeline
            With the identifying columns of the windows before the predictions.

        Raises
        ------
        ConfigError
            If the windows were made with another recipe, or have other electrodes.
        """
        from affectrum.inference.predict import predict_windows

        return predict_windows(self, windows, scaling=scaling)

    def resolve_scaling(self, scaling: str = "auto") -> str:
        """Return the scaling that ``"auto"`` stands for, or a given one after checking it.

        Raises
        ------
        ConfigError
            If it is unknown, or the bundle lacks the scaler it needs.
        """
        chosen = self.scaling if scaling == "auto" else scaling
        check_option("scaling", chosen, ("auto", *SCALINGS))
        if chosen == "model" and self.scaler is None:
            raise ConfigError(
                "scaling='model' needs a scaler, and this bundle has none. Use 'recording'."
            )
        return chosen

    def scaler_kind(self) -> str:
        """Kind of the scaler a recording is scaled by: that of training."""
        return self.scaler.kind if self.scaler is not None else "standard"


def save_bundle(
    method: Method,
    folder: str | os.PathLike[str],
    *,
    recipe: Recipe,
    scheme: str | Any,
    simulated: bool,
    channels: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    scaling_scope: str = "source",
    scaler: Scaler | None = None,
    training_stats: FeatureStatistics | None = None,
    coordinates: Coordinates | None = None,
    provenance: Mapping[str, Any] | None = None,
    date: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a fitted method as a bundle.

    Parameters
    ----------
    method : Method
        Fitted; any method whose state is arrays and plain facts.
    folder : path
        The bundle's folder.
    recipe : Recipe
        The recipe of the windows it was fitted on; computed from signals.
    scheme : str or ClassScheme
        Class scheme of its classes.
    simulated : bool
        Whether any training window was simulated.
    channels : sequence of str, optional
        Electrodes of the windows it was fitted on, checked against the recipe.
    classes : sequence of str, optional
        Class names, checked against the method's.
    scaling_scope : str
        Scope by which training windows were scaled (`affectrum.protocols.SCALING_SCOPES`).
    scaler : Scaler, optional
        Fitted on the unscaled training windows; required by the scopes "source" and
        "calibration".
    training_stats : FeatureStatistics, optional
        Of the scaled training windows, for novelty.
    coordinates : Coordinates, optional
        By default those of the table "emod".
    provenance : mapping, optional
        JSON-able: ``corpora`` (list of dicts with name, subjects, windows ...), ``protocol``,
        ``grants``, ``selection``, ``score``, ``seed``, whatever should be known.
    date : str, optional
        Date for the model card, given by the caller: the same model gives the same files.
    overwrite : bool
        Whether an existing bundle may be replaced.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        If parts do not fit together or the folder can't be written; all faults in one message.
    """
    from affectrum.inference.card import model_card, versions

    method.check_fitted()
    problems = _faults(method, recipe, channels, classes, scaling_scope, scaler)
    if problems:
        raise BundleError(
            f"Method {method.name!r} can't be saved as a bundle:\n"
            + "\n".join(f"  - {problem}" for problem in problems)
        )
    scheme_name = str(getattr(scheme, "name", scheme))
    if coordinates is None:
        coordinates = class_coordinates(method.classes_, scheme)
    method_arrays, method_meta = method.state()
    arrays = {f"method/{name}": np.asarray(value) for name, value in method_arrays.items()}
    facts: dict[str, Any] = {
        "kind": "model",
        "simulated": bool(simulated),
        "method": method_meta,
        "classes": list(method.classes_),
        "scheme": scheme_name,
        "coordinates": coordinates.to_dict(),
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest(),
        "channels": list(recipe.electrode_names(channels or ())),
        "scaling": _SCALING_OF_SCOPE[scaling_scope],
        "scaling_scope": scaling_scope,
        "provenance": {**dict(provenance or {}), "date": date, "versions": dict(versions())},
    }
    if scaler is not None:
        arrays.update({f"scaler/{name}": value for name, value in scaler.to_arrays().items()})
        facts["scaler"] = scaler.record.to_dict()
    if training_stats is not None:
        values, described = training_stats.to_arrays()
        arrays.update({f"statistics/{name}": value for name, value in values.items()})
        facts["statistics"] = described
    card = model_card(facts, title=Path(folder).name)
    return write_bundle_files(folder, arrays, facts, card, overwrite=overwrite)


def load_bundle(path: str | os.PathLike[str], *, method: Method | None = None) -> Bundle:
    """Read a bundle.

    Parameters
    ----------
    path : path
        The bundle's folder.
    method : Method, optional
        For models around a user's own module (`affectrum.methods.from_module`): a method made of
        the same module, into which the weights are loaded.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleError
        If the folder is incomplete, was changed, is of a newer version, or its method is not
        known; says what to do.
    """
    from affectrum.methods.registry import restore_method
    from affectrum.recipes import Recipe

    files = read_bundle_files(path)
    facts = files.facts
    where = f"The bundle {os.fspath(path)!r}"
    if facts.get("kind") != "model":
        raise BundleError(
            f"{where} holds {facts.get('kind')!r}, not a model that can predict. Pre-trained "
            "weights become one with `affectrum finetune`."
        )
    try:
        meta = dict(facts["method"])
        arrays = arrays_of(files.arrays, "method")
        if method is None:
            restored = restore_method(arrays, _portable(meta))
        elif method.name == meta["method"]:
            restored = method.clone(**_known(method, _portable(meta)["config"])).load_state(
                arrays, meta
            )
        else:
            raise BundleError(
                f"{where} holds method {meta['method']!r}; received method {method.name!r}."
            )
        scaler_arrays = arrays_of(files.arrays, "scaler")
        statistics_arrays = arrays_of(files.arrays, "statistics")
        bundle = Bundle(
            method=restored,
            recipe=Recipe(**facts["recipe"]),
            classes=tuple(facts["classes"]),
            scheme=str(facts["scheme"]),
            coordinates=Coordinates.from_dict(facts["coordinates"]),
            scaling=check_option("scaling", str(facts["scaling"]), tuple(SCALINGS)),
            scaling_scope=str(facts["scaling_scope"]),
            scaler=Scaler.from_arrays(scaler_arrays) if scaler_arrays else None,
            statistics=(
                FeatureStatistics.from_arrays(statistics_arrays, facts["statistics"])
                if statistics_arrays
                else None
            ),
            provenance=dict(facts["provenance"]),
            simulated=bool(facts["simulated"]),
            digest=files.digest,
            path=Path(path),
            notes=files.notes,
            card=files.card,
            trained_channels=tuple(facts.get("channels", ())),
        )
    except BundleError:
        raise
    except ConfigError as error:
        raise BundleError(
            f"{where} does not fit this version of Affectrum: {error}\n"
            f"It was written by version {_written_by(facts)}. If its method is your own module, "
            "pass method=from_module(...)."
        ) from error
    except (AffectrumError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{where} can't be used ({type(error).__name__}: {error}). It was written by version "
            f"{_written_by(facts)}; export the model again."
        ) from error
    if bundle.recipe.digest() != facts.get("recipe_digest"):
        raise BundleError(
            f"{where} was made with recipe {facts.get('recipe_digest')}, which this version reads "
            f"as {bundle.recipe.digest()}: an electrode set or a set of bands has changed since "
            f"version {_written_by(facts)}. Train the model again."
        )
    return bundle


def _faults(
    method: Method,
    recipe: Recipe,
    channels: Sequence[str] | None,
    classes: Sequence[str] | None,
    scope: str,
    scaler: Scaler | None,
) -> list[str]:
    problems = []
    if not recipe.computed:
        problems.append(
            f"recipe {recipe.name!r} takes a vendor's shipped features ({recipe.source!r}), which "
            "no new recording has; train on a computed recipe, such as 'de32'"
        )
    wanted = tuple(recipe.electrode_names(channels or ()))
    if channels is not None and tuple(channels) != wanted:
        problems.append(
            f"the windows' electrodes ({', '.join(channels)}) are not the recipe's "
            f"({', '.join(wanted)})"
        )
    if classes is not None and tuple(classes) != tuple(method.classes_):
        problems.append(f"classes are {tuple(classes)}, the method's are {method.classes_}")
    if scope not in _SCALING_OF_SCOPE:
        problems.append(f"scaling_scope is {scope!r}; allowed: {', '.join(_SCALING_OF_SCOPE)}")
    elif _SCALING_OF_SCOPE[scope] == "model" and scaler is None:
        problems.append(f"scaling scope {scope!r} needs the fitted scaler (scaler=...)")
    if method.name == "position":
        problems.append("'position' reads trial numbers, which a new recording does not have")
    return problems


def _portable(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Let a model that was trained on a GPU predict on any machine."""
    config = dict(meta["config"])
    if config.get("device") == "cuda":
        config["device"] = "auto"
    return {**meta, "config": config}


def _known(method: Method, config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name in method.Config.model_fields}


def _written_by(facts: Mapping[str, Any]) -> str:
    provenance = facts.get("provenance")
    versions = provenance.get("versions", {}) if isinstance(provenance, Mapping) else {}
    return str(versions.get("affectrum", "unknown")) if isinstance(versions, Mapping) else "unknown"
