"""From a recording to the windows a bundle's model reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affectrum.errors import ElectrodeError, RecordingError

if TYPE_CHECKING:
    from mne.io import BaseRaw

    from affectrum.pipeline import Processed
    from affectrum.recipes import Recipe

__all__ = ["ElectrodeChoice", "choose_electrodes", "process_recording"]

# Peak-to-peak over the whole recording below which an electrode was not connected: far below the
# noise of any amplifier (about 1 microvolt), far above rounding.
_FLAT_V = 1e-8
_MINUTE_S = 60.0
# Neighbours in DEAP's 32-electrode cap lie up to 32.5 degrees apart (T7), and one bad electrode of
# that cap must be bearable; `harmonise_matrix(how="auto")`, made for whole corpora, is stricter.
_MAX_ANGLE_DEG = 35.0


@dataclass(frozen=True)
class ElectrodeChoice:
    """Which channels of a recording stand for which electrodes of a model.

    Attributes
    ----------
    picks : tuple of int
        Channel numbers in the recording.
    names : tuple of str
        Their canonical electrode names.
    missing : tuple of str
        Electrodes of the model that are not among them.
    recipe : Recipe
        The model's recipe, set to interpolate if electrodes are missing.
    coverage : float
        Share of the model's electrodes that were measured.
    notes : tuple of str
        What was left out and why.
    """

    picks: tuple[int, ...]
    names: tuple[str, ...]
    missing: tuple[str, ...]
    recipe: Recipe
    coverage: float
    notes: tuple[str, ...]


def choose_electrodes(raw: BaseRaw, data: NDArray[np.float64], recipe: Recipe) -> ElectrodeChoice:
    """Match a recording's channels with a model's electrodes, by name.

    Parameters
    ----------
    raw : BaseRaw
        The recording.
    data : ndarray, shape (n_channels, n_samples)
        All of its channels, in volts.
    recipe : Recipe
        The model's recipe.

    Returns
    -------
    ElectrodeChoice
        Channels marked bad, flat or without a value count as missing.

    Raises
    ------
    ElectrodeError
        If names mean nothing, or too many electrodes are missing; says what would do.
    RecordingError
        If no electrode holds a signal.
    """
    from affectrum.electrodes import canonical_names, looks_like_biosemi

    names = list(raw.ch_names)
    types = raw.get_channel_types()
    if looks_like_biosemi(names):
        raise ElectrodeError(
            f"The channels are called {_listed(names)}: BioSemi's counted positions on its own "
            "caps, which are no electrode names (its A1 is no ear electrode). They are not "
            "guessed. Give the electrodes' names in file order: --channels Fp1,AF3,... (in "
            "Python: open_recording(path, channels=[...]))."
        )
    # Some formats call every channel EEG, others "misc": the name decides, unless the type says
    # that it is something else.
    found = [
        known if kind in ("eeg", "misc") else None
        for known, kind in zip(canonical_names(names), types, strict=True)
    ]
    if not any(found):
        raise ElectrodeError(
            f"None of the {len(names)} channels has the name of a scalp electrode: "
            f"{_listed(names)}. Give the names in file order: --channels Fp1,AF3,... (in Python: "
            "open_recording(path, channels=[...]))."
        )
    picks: list[int] = []
    kept: list[str] = []
    dropped: dict[str, list[str]] = {}
    for number, known in enumerate(found):
        if known is None:
            continue
        fault = _fault(data[number], names[number] in raw.info["bads"])
        if not fault and known in kept:
            fault = "a second channel of the same electrode"
        if fault:
            dropped.setdefault(fault, []).append(names[number])
        else:
            picks.append(number)
            kept.append(known)
    notes = [f"Not used, {fault}: {', '.join(which)}." for fault, which in dropped.items()]
    if not picks:
        raise RecordingError(
            "No electrode of this recording holds a signal: "
            + "; ".join(f"{fault}: {_listed(which)}" for fault, which in dropped.items())
            + ". Check the recording, and the unit of its file."
        )
    # Models that take what was recorded miss nothing.
    wanted = recipe.electrode_names(kept)
    missing = tuple(name for name in wanted if name not in kept)
    if missing and recipe.how == "pick":
        obstacles = _obstacles(kept, wanted, missing)
        if obstacles:
            raise ElectrodeError(_too_few(kept, wanted, missing, obstacles))
        recipe = recipe.replace(how="interpolate")
    coverage = 1.0 - len(missing) / len(wanted)
    return ElectrodeChoice(tuple(picks), tuple(kept), missing, recipe, coverage, tuple(notes))


def process_recording(raw: BaseRaw, recipe: Recipe) -> tuple[Processed, ElectrodeChoice, list[str]]:
    """Turn a recording into windows by a model's recipe.

    Parameters
    ----------
    raw : BaseRaw
        The recording, in volts.
    recipe : Recipe
        The model's recipe.

    Returns
    -------
    processed : Processed
        At least one window; annotations that start with "BAD" or say "boundary" mark windows as
        artefact.
    choice : ElectrodeChoice
        Which channels were used.
    notes : list of str
        Warnings for the reader.

    Raises
    ------
    RecordingError
        If the recording is too short, its rate too low, or no window is left.
    ElectrodeError
        As `choose_electrodes`.
    """
    from affectrum.pipeline import process

    sfreq = float(raw.info["sfreq"])
    seconds = raw.n_times / sfreq
    if seconds < recipe.window_s:
        raise RecordingError(
            f"The recording lasts {seconds:.3g} s; the model reads windows of "
            f"{recipe.window_s:g} s. Record for at least a minute."
        )
    _check_rate(raw, recipe, sfreq)
    data = raw.get_data(verbose="ERROR")
    choice = choose_electrodes(raw, data, recipe)
    processed = process(data[list(choice.picks)], choice.names, sfreq, choice.recipe)
    if not len(processed.x):
        reasons = ", ".join(f"{reason} ({count})" for reason, count in processed.rejected.items())
        raise RecordingError(
            f"No usable window is left of {seconds:.3g} s: {reasons or 'no window fits'}. Check "
            "that the file holds EEG without gaps."
        )
    notes = list(choice.notes)
    if choice.missing:
        notes.append(
            f"{len(choice.missing)} of {len(recipe.electrode_names(()))} electrodes of the model "
            f"were not recorded and were interpolated by spherical splines: "
            f"{', '.join(choice.missing)}."
        )
    if processed.rejected:
        counted = ", ".join(f"{reason}: {count}" for reason, count in processed.rejected.items())
        notes.append(f"Windows left out: {counted}.")
    if seconds < _MINUTE_S:
        notes.append(
            f"The recording lasts {seconds:.3g} s; statistics over less than a minute say little."
        )
    notes += _passband_notes(raw, recipe)
    return _with_annotations(processed, raw, recipe), choice, notes


def _fault(signal: NDArray[np.float64], marked_bad: bool) -> str:
    """Why a channel can't be used; empty if it can."""
    if marked_bad:
        return "marked bad in the file"
    finite = np.isfinite(signal)
    if not finite.any():
        return "without any value (NaN)"
    values = signal if finite.all() else signal[finite]
    return "flat" if float(np.ptp(values)) < _FLAT_V else ""


def _obstacles(kept: Sequence[str], wanted: Sequence[str], missing: Sequence[str]) -> list[str]:
    """Why the missing electrodes can't be interpolated; empty if they can."""
    from affectrum.electrodes import positions
    from affectrum.harmonise import AUTO_MIN_ELECTRODES, AUTO_MIN_MEASURED

    obstacles = []
    if len(kept) < AUTO_MIN_ELECTRODES:
        obstacles.append(f"it takes {AUTO_MIN_ELECTRODES} electrodes to interpolate from")
    if len(missing) > (1 - AUTO_MIN_MEASURED) * len(wanted):
        obstacles.append(f"more than {1 - AUTO_MIN_MEASURED:.0%} of the input would be made up")
    here, there = positions(list(missing)), positions(list(kept))
    here /= np.linalg.norm(here, axis=1, keepdims=True)
    there /= np.linalg.norm(there, axis=1, keepdims=True)
    degrees = np.degrees(np.arccos(np.clip(here @ there.T, -1.0, 1.0))).min(axis=1)
    far = [name for name, one in zip(missing, degrees, strict=True) if one > _MAX_ANGLE_DEG]
    if far:
        obstacles.append(
            f"{_listed(far)} lie up to {degrees.max():.0f} degrees from the nearest recorded "
            f"electrode ({_MAX_ANGLE_DEG:.0f} are allowed)"
        )
    return obstacles


def _too_few(
    kept: Sequence[str], wanted: Sequence[str], missing: Sequence[str], obstacles: Sequence[str]
) -> str:
    return (
        f"The recording has {len(kept)} usable electrodes ({_listed(kept)}); the model reads "
        f"{len(wanted)}, and {len(missing)} of these are missing ({_listed(missing)}). They can't "
        f"be interpolated: {'; '.join(obstacles)}. Train a model for just the electrodes there "
        f"are, from a corpus or a twin: affectrum finetune ... --electrodes {','.join(kept)}"
    )


def _check_rate(raw: BaseRaw, recipe: Recipe, sfreq: float) -> None:
    bands = recipe.resolved_bands()
    highest = max((float(band.high) for band in bands), default=0.0)
    if recipe.kind == "raw" and recipe.bandpass is not None:
        highest = float(recipe.bandpass[1] or 0.0)
    if sfreq / 2 < highest:
        raise RecordingError(
            f"The recording's rate is {sfreq:g} Hz, so it holds frequencies up to {sfreq / 2:g} "
            f"Hz; the model reads up to {highest:g} Hz. Record at {math.ceil(2.5 * highest)} Hz or "
            "more, or use a model of lower bands."
        )


def _passband_notes(raw: BaseRaw, recipe: Recipe) -> list[str]:
    bands = recipe.resolved_bands()
    if not bands:
        return []
    low, high = min(float(b.low) for b in bands), max(float(b.high) for b in bands)
    notes = []
    if raw.info["lowpass"] and float(raw.info["lowpass"]) < high:
        notes.append(
            f"The recording was low-passed at {float(raw.info['lowpass']):g} Hz; the model reads "
            f"up to {high:g} Hz, so its highest band holds filter, not brain."
        )
    if float(raw.info["highpass"] or 0) > low:
        notes.append(
            f"The recording was high-passed at {float(raw.info['highpass']):g} Hz; the model reads "
            f"from {low:g} Hz."
        )
    return notes


def _with_annotations(processed: Processed, raw: BaseRaw, recipe: Recipe) -> Processed:
    """Mark windows that touch a stretch which the file itself calls bad."""
    import dataclasses

    artefact = processed.artefact.copy()
    # Annotations count from the measurement's start; a cropped recording starts later.
    offset = float(raw.first_time)
    end_s = processed.start_s + recipe.window_s
    for one in raw.annotations:
        text = str(one["description"]).casefold()
        if not (text.startswith(("bad", "edge")) or "boundary" in text):
            continue
        onset = float(one["onset"]) - offset
        artefact |= (processed.start_s <= onset + float(one["duration"])) & (end_s > onset)
    return dataclasses.replace(processed, artefact=artefact)


def _listed(names: Sequence[str], limit: int = 12) -> str:
    text = ", ".join(names[:limit])
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"
