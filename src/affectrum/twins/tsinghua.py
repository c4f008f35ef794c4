"""What the twins of FACED and THU-EP share: the cap with its ears, band signals, the ratings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import faced as facts
from affectrum.twins.generator import Cap, TwinGenerator
from affectrum.twins.seeds import derive_rng

__all__ = [
    "SESSION",
    "band_signals",
    "canonical_of",
    "processed_cap",
    "ratings_of",
    "subject_scores",
]

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]

SESSION = 1
# The head model knows no ears; electrodes near them stand in.
_STAND_INS = {"A1": "TP9", "A2": "TP10", "HEOL": "TP9", "HEOR": "TP10"}
_OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}


def canonical_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the electrodes by which the head model knows the vendor's channels."""
    return tuple(_STAND_INS.get(name, _OLD_NAMES.get(name, name)) for name in names)


def processed_cap(generator: TwinGenerator, names: tuple[str, ...]) -> Cap:
    """Return the cap of the processed signals.

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    names : tuple of str
        Channels of the file, in its order.

    Returns
    -------
    Cap
        All of them, at the vendor's rate and band, against their average.
    """
    return Cap(
        electrodes=canonical_of(names),
        sfreq=generator.facts.sfreq,
        passband=generator.facts.passband_hz or (0.05, 47.0),
        reference="average",
        eye_gain=generator.profile.eye_residual,
    )


def band_signals(x: FloatArray, sfreq: float) -> FloatArray:
    """Filter signals into the vendor's five bands by setting other frequencies to zero.

    Parameters
    ----------
    x : ndarray, shape (n_channels, n_samples)
        Signals.
    sfreq : float
        Sampling rate in Hz.

    Returns
    -------
    ndarray, shape (5, n_channels, n_samples)
        By band.
    """
    spectrum = np.fft.rfft(x, axis=1)
    frequencies = np.fft.rfftfreq(x.shape[1], 1.0 / sfreq)
    edges = np.array(list(facts.BANDS.values()))
    inside = (frequencies >= edges[:, :1]) & (frequencies < edges[:, 1:])
    return np.asarray(np.fft.irfft(spectrum * inside[:, None], n=x.shape[1], axis=2))


def ratings_of(generator: TwinGenerator, subject: int, row: int) -> list[float]:
    """Return what a subject would report of a clip, in the vendor's order of twelve scales.

    Valence, arousal, liking and familiarity come from the generator; the eight emotions are high
    where the clip means to elicit them (plausible, not modelled).

    Parameters
    ----------
    generator : TwinGenerator
        The twin.
    subject, row : int
        From 1.

    Returns
    -------
    list of float
        0 to 7, two decimals.
    """
    low, high = facts.RATING_SCALE
    middle, half = (low + high) / 2, (high - low) / 2
    rating = generator.rating(subject, SESSION, row)
    rng = derive_rng(generator.seed, "scores", generator.facts.name, subject, row)
    meant = generator.facts.clips[0][row - 1].emotion
    emotions = facts.RATING_COLUMNS[:8]
    level = np.where(np.array(emotions) == meant, 0.65 * high, 0.12 * high)
    values = dict(zip(emotions, level + rng.standard_normal(len(emotions)), strict=True))
    valence, arousal, _, liking = rating.reported
    values |= {
        "valence": middle + half * valence,
        "arousal": middle + half * arousal,
        "liking": middle + half * liking,
        "familiarity": low + rating.familiarity * (high - low),
    }
    return [float(np.clip(np.round(values[n], 2), low, high)) for n in facts.RATING_COLUMNS]


def subject_scores(generator: TwinGenerator, subject: int) -> FloatArray:
    """Return all ratings of a subject in the order of the clips: shape (28, 12)."""
    return np.array([ratings_of(generator, subject, row) for row in range(1, facts.N_VIDEOS + 1)])
