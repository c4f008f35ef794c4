"""Score a recording, or windows, with a bundle, and say what it is worth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from affectrum.errors import ConfigError
from affectrum.inference.recording import process_recording
from affectrum.inference.timeline import Timeline
from affectrum.inference.trust import assess_trust
from affectrum.scaling import Scaler
from affectrum.windows import Windows

if TYPE_CHECKING:
    from mne.io import BaseRaw

    from affectrum.inference.bundle import Bundle

__all__ = ["predict_recording", "predict_windows"]

_FIRST_MINUTE_S = 60.0
# Below this many windows a mean and a spread of one's own are mostly chance; the project's choice.
_FEW_WINDOWS = 30
# Columns that tell which window a row is, and whether it is simulated, for predictions of windows.
_IDENTITY = ("corpus", "subject", "session", "row", "trial", "window", "simulated")


def predict_recording(
    bundle: Bundle,
    raw: BaseRaw,
    *,
    scaling: str = "auto",
    name: str | None = None,
    notes: Sequence[str] = (),
) -> Timeline:
    """Score a recording; see `Bundle.predict`.

    Parameters
    ----------
    bundle : Bundle
        The model.
    raw : BaseRaw
        The recording, in volts.
    scaling : str
        "auto", or one of `SCALINGS`.
    name : str, optional
        Name of the recording.
    notes : sequence of str
        Remarks of the file's reader, to stand among the warnings.

    Returns
    -------
    Timeline
    """
    recipe = bundle.recipe
    how = bundle.resolve_scaling(scaling)
    processed, choice, remarks = process_recording(raw, recipe)
    n = len(processed.x)
    group = np.zeros(n, dtype=np.int64)
    x, scaling_notes = _scaled(
        bundle, processed.x, processed.start_s, group, how, processed.artefact
    )
    table = pd.DataFrame(
        {
            "corpus": "recording",
            "subject": 1,
            "trial": 1,
            "window": processed.window,
            "start_s": processed.start_s,
            "artefact": processed.artefact,
        }
    )
    windows = Windows.from_arrays(
        x,
        table,
        sfreq=processed.sfreq,
        channels=bundle.channels or choice.names,
        kind=recipe.kind,
        bands=recipe.resolved_bands() or None,
        recipe=recipe.digest(),
        mask=processed.mask,
    )
    sfreq = float(raw.info["sfreq"])
    called = name or _file_name(raw)
    recording = {
        "name": called,
        "sfreq": sfreq,
        "duration_s": round(raw.n_times / sfreq, 3),
        "electrodes": list(choice.names),
        "interpolated": list(choice.missing),
        "windows_left_out": dict(processed.rejected),
        "artefact_reasons": dict(processed.marked),
    }
    return _timeline(
        bundle,
        windows,
        artefact=processed.artefact,
        identity=None,
        how=how,
        coverage=choice.coverage if bundle.channels else _own_coverage(bundle, choice.names),
        interpolated=choice.missing,
        shift=_shift(bundle, processed.x),
        recording=recording,
        warnings=[
            *notes,
            *remarks,
            *scaling_notes,
            *_rate_notes(bundle, sfreq),
            *_own_notes(bundle, choice.names),
        ],
    )


def predict_windows(bundle: Bundle, windows: Windows, *, scaling: str = "auto") -> Timeline:
    """Score windows; see `Bundle.predict_windows`.

    Parameters
    ----------
    bundle : Bundle
        The model.
    windows : Windows
        Made with the bundle's recipe, unscaled.
    scaling : str
        "auto", or one of `SCALINGS`.

    Returns
    -------
    Timeline
    """
    digest = bundle.recipe.digest()
    faults = []
    if windows.recipe and windows.recipe != digest:
        faults.append(f"they were made with recipe {windows.recipe}, the model with {digest}")
    if bundle.channels and tuple(windows.channels) != bundle.channels:
        faults.append(
            f"their electrodes are {', '.join(windows.channels)}, the model's "
            f"{', '.join(bundle.channels)}"
        )
    if windows.kind != bundle.recipe.kind:
        faults.append(f"they are of kind {windows.kind!r}, the model's {bundle.recipe.kind!r}")
    if not len(windows):
        faults.append("there are none")
    if faults:
        raise ConfigError(
            "These windows can't be read by this bundle: "
            + "; ".join(faults)
            + f". Prepare them with the bundle's recipe ({bundle.recipe.name!r})."
        )
    how = bundle.resolve_scaling(scaling)
    table = windows.table
    keys = [key for key in ("corpus", "subject", "session") if key in table]
    group = np.asarray(table.groupby(keys, sort=False, dropna=False).ngroup(), dtype=np.int64)
    # Time within the session is not known for windows of trials: they stand as presented, or in
    # their own order where that is not known.
    order = np.arange(len(table))
    if {"trial", "window"} <= set(table.columns) and not table["trial"].isna().any():
        order = np.lexsort((table["window"].to_numpy(), table["trial"].to_numpy(dtype=np.int64)))
    place = np.empty(len(table))
    place[order] = pd.Series(group[order]).groupby(group[order]).cumcount()
    elapsed = place * float(bundle.recipe.step_s or bundle.recipe.window_s)
    artefact = (
        table["artefact"].fillna(False).to_numpy(dtype=bool)
        if "artefact" in table
        else np.zeros(len(table), dtype=bool)
    )
    # Unscaled windows stay where they are: signals on disk are read by the method, in pieces.
    unscaled = how == "none"
    x, notes = (None, []) if unscaled else _scaled(bundle, windows.x, elapsed, group, how, artefact)
    missing = tuple(
        name for name, real in zip(windows.channels, windows.mask, strict=True) if not real
    )
    identity = table[[column for column in _IDENTITY if column in table]]
    return _timeline(
        bundle,
        windows if x is None else windows.with_x(x),
        artefact=artefact,
        identity=identity,
        how=how,
        coverage=float(np.mean(windows.mask)),
        interpolated=missing,
        shift=float("nan") if bundle.scaler is None else _shift(bundle, windows.x),
        recording={"name": windows.corpus, "sfreq": windows.sfreq, "simulated": windows.simulated},
        warnings=[*notes, *(["These windows are SIMULATED."] if windows.simulated else [])],
    )


def _timeline(
    bundle: Bundle,
    windows: Windows,
    *,
    artefact: NDArray[np.bool_],
    identity: pd.DataFrame | None,
    how: str,
    coverage: float,
    interpolated: Sequence[str],
    shift: float,
    recording: dict[str, Any],
    warnings: Sequence[str],
) -> Timeline:
    recipe = bundle.recipe
    scores = bundle.method.predict_proba(windows)
    own = bundle.method.predict_valence_arousal(windows)
    plane = bundle.coordinates.expected(scores) if own is None else np.asarray(own)
    novelty = (
        np.full(len(windows), np.nan)
        if bundle.statistics is None
        else bundle.statistics.novelty(windows.x)
    )
    start = windows.table["start_s"].to_numpy(dtype=np.float64)
    table = pd.DataFrame({"start_s": start, "end_s": start + recipe.window_s})
    if identity is not None:
        table = pd.concat([identity.reset_index(drop=True), table], axis=1)
    table["class"] = np.asarray(bundle.classes, dtype=object)[scores.argmax(axis=1)]
    table["class"] = table["class"].astype("str")
    for number, class_name in enumerate(bundle.classes):
        table[f"p_{class_name}"] = scores[:, number]
    table["valence"], table["arousal"] = plane[:, 0], plane[:, 1]
    table["novelty"], table["novel"] = novelty, novelty > 1.0
    table["artefact"] = artefact

    novel_share = float("nan") if np.isnan(novelty).all() else float((novelty > 1.0).mean())
    level, trust = assess_trust(
        simulated=bundle.simulated,
        coverage=coverage,
        interpolated=interpolated,
        novel_share=novel_share,
        shift=shift,
        artefact_share=float(artefact.mean()) if len(artefact) else 0.0,
        scaling=how,
        n_classes=len(bundle.classes),
        n_people=None if bundle.statistics is None else bundle.statistics.n_subjects,
        made_up=_made_up(bundle),
        score=bundle.provenance.get("score"),
    )
    told = [
        axis
        for axis, column in zip(("valence", "arousal"), plane.T, strict=True)
        if np.isfinite(column).any()
    ]
    all_warnings = list(warnings)
    if bundle.simulated:
        all_warnings.insert(0, "The model was trained on SIMULATED data: a demonstration only.")
    for axis in ("valence", "arousal"):
        if axis not in told:
            all_warnings.append(
                f"This model can't tell {axis} (its classes are {', '.join(bundle.classes)}): the "
                "column is empty."
            )
    all_warnings += bundle.notes
    meta = {
        "recording": recording,
        "model": {
            "method": bundle.method.name,
            "digest": bundle.digest,
            "classes": list(bundle.classes),
            "scheme": bundle.scheme,
            "simulated": bundle.simulated,
            "provenance": bundle.provenance,
        },
        "recipe": {"name": recipe.name, "digest": recipe.digest(), "window_s": recipe.window_s},
        "scaling": {"applied": how, "trained_with": bundle.scaling_scope},
        "plane": {**bundle.coordinates.to_dict(), "told": told},
        "shift_sd": None if np.isnan(shift) else round(float(shift), 3),
    }
    return Timeline(
        table=table,
        classes=bundle.classes,
        warnings=tuple(dict.fromkeys(all_warnings)),
        trust=trust,
        trust_level=level,
        coverage=coverage,
        meta=meta,
    )


def _scaled(
    bundle: Bundle,
    x: NDArray[np.float32],
    elapsed_s: NDArray[np.float64],
    group: NDArray[np.int64],
    how: str,
    artefact: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], list[str]]:
    """Scale windows; `group` numbers the recordings (subject and session) they belong to.

    As in training, windows marked as artefact are scaled but not learnt from, unless hardly any
    others are left.
    """
    if how == "none":
        return x, []
    if how == "model":
        assert bundle.scaler is not None
        return bundle.scaler.transform(x), []
    notes = []
    out = np.empty(x.shape, dtype=np.float32)
    per = "channel" if bundle.recipe.kind == "raw" else "feature"
    for one in np.unique(group):
        mine = np.flatnonzero(group == one)
        fit_on = mine
        if how == "first-minute":
            fit_on = mine[elapsed_s[mine] < elapsed_s[mine].min() + _FIRST_MINUTE_S]
        clean = fit_on[~artefact[fit_on]]
        if len(clean) >= _FEW_WINDOWS:
            fit_on = clean
        if len(fit_on) < _FEW_WINDOWS:
            notes.append(
                f"Features were scaled by the statistics of only {len(fit_on)} windows, which are "
                "mostly chance; a minute or more is better."
            )
        scaler = Scaler(bundle.scaler_kind(), per=per).fit(x[fit_on])
        out[mine] = scaler.transform(x[mine])
    return out, list(dict.fromkeys(notes))


def _shift(bundle: Bundle, x: NDArray[np.float32]) -> float:
    """Median over features of |mean - training mean| in training standard deviations."""
    scaler = bundle.scaler
    if scaler is None or scaler.kind != "standard" or scaler.per != "feature" or not len(x):
        return float("nan")
    mean = np.asarray(x, dtype=np.float64).mean(axis=0)
    return float(np.median(np.abs(mean - scaler.center_) / scaler.scale_))


def _made_up(bundle: Bundle) -> list[str]:
    """Electrodes that some training corpus lacked, in the model's order."""
    corpora = bundle.provenance.get("corpora", [])
    lacked = [
        name for one in corpora if isinstance(one, dict) for name in one.get("interpolated", [])
    ]
    return [name for name in bundle.channels if name in lacked]


def _own_coverage(bundle: Bundle, names: Sequence[str]) -> float:
    """Known electrodes of a recording, as a share of the smallest cap that was trained on."""
    known = sum(name in bundle.trained_channels for name in names)
    caps = [one.get("electrodes") for one in bundle.provenance.get("corpora", [])]
    smallest = min((int(cap) for cap in caps if cap), default=len(bundle.trained_channels))
    return min(1.0, known / max(smallest, 1))


def _own_notes(bundle: Bundle, names: Sequence[str]) -> list[str]:
    """Say which electrodes a model that reads all of them has never seen."""
    if bundle.channels:
        return []
    new = [name for name in names if name not in bundle.trained_channels]
    notes = [f"Electrodes that the model was not trained on: {', '.join(new)}."] if new else []
    if _own_coverage(bundle, names) < 1.0:
        notes.append(
            f"Only {len(names) - len(new)} electrodes that the model knows were recorded; it was "
            "trained on larger caps."
        )
    return notes


def _rate_notes(bundle: Bundle, sfreq: float) -> list[str]:
    """Say where the recording's rate differs from those of the training corpora."""
    corpora = bundle.provenance.get("corpora", [])
    rates = {
        ("simulated " if one.get("simulated") else "") + str(one.get("name")): float(one["sfreq"])
        for one in corpora
        if isinstance(one, dict) and one.get("sfreq")
    }
    other = [f"{name} at {rate:g} Hz" for name, rate in rates.items() if rate != sfreq]
    if not other:
        return []
    return [f"Recorded at {sfreq:g} Hz; the model was trained on {', '.join(other)}."]


def _file_name(raw: BaseRaw) -> str:
    """The recording's file name without its folder, which is nobody's business."""
    names = [path for path in getattr(raw, "filenames", ()) or () if path]
    return os.path.basename(str(names[0])) if names else "recording"
