"""The clips: where each stands in the valence-arousal plane, and what it alone leaves in the EEG.

A clip's point comes from measured ratings of film clips, not from the table of coordinates that
a method may use: the mean and the scatter between clips of FACED's self-reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import Clip
from affectrum.errors import ConfigError
from affectrum.twins.seeds import derive_rng

__all__ = ["FACED_RATINGS", "ClipPoint", "clip_points", "clip_signature"]

FloatArray = NDArray[np.float64]

# FACED (Chen et al. 2023, doi:10.1038/s41597-023-02650-w): mean self-report of 123 people for
# each of 28 clips, scale 0-7: emotion -> ((valence, arousal) of its clips).
FACED_RATINGS: dict[str, tuple[tuple[float, float], ...]] = {
    "anger": ((2.00, 4.39), (1.51, 4.55), (1.60, 5.07)),
    "disgust": ((1.64, 4.41), (1.71, 3.87), (1.57, 4.15)),
    "fear": ((1.65, 4.23), (1.48, 4.55), (1.57, 4.22)),
    "sadness": ((1.57, 3.47), (1.96, 3.22), (2.05, 3.13)),
    "neutral": ((3.05, 1.34), (3.24, 1.28), (3.33, 1.69), (3.09, 1.33)),
    "amusement": ((4.04, 3.48), (4.22, 3.84), (4.42, 3.72)),
    "inspiration": ((5.23, 3.99), (4.93, 3.94), (4.21, 3.90)),
    "joy": ((4.39, 3.42), (4.43, 3.56), (4.30, 3.27)),
    "tenderness": ((4.42, 3.62), (4.25, 3.34), (4.62, 3.27)),
}

# A corpus's emotion word -> the FACED emotions that stand for it. SEED's negative films are about
# war and an earthquake, its positive ones comedies; the choice is ours.
_FACED_WORDS: dict[str, tuple[str, ...]] = {
    "negative": ("sadness", "anger"),
    "positive": ("amusement", "joy"),
    "neutral": ("neutral",),
    "sad": ("sadness",),
    "fear": ("fear",),
    "happy": ("amusement", "joy"),
    "disgust": ("disgust",),
    "anger": ("anger",),
    "sadness": ("sadness",),
    "joy": ("joy",),
    "happiness": ("joy",),
    "amusement": ("amusement",),
    "funny": ("amusement",),
    "inspiration": ("inspiration",),
    "tenderness": ("tenderness",),
    "horror": ("fear",),
    # FACED has no such clips; what comes nearest, by our choice
    "surprise": ("fear", "amusement"),
    "excitement": ("inspiration", "amusement"),
    "calmness": ("neutral", "tenderness"),
    "calm": ("neutral", "tenderness"),
    "relaxed": ("neutral", "tenderness"),
    "boring": ("neutral",),
}

# Clips without an emotion word (rated corpora): ten per quadrant of the plane, as DEAP's were
# selected (Koelstra et al. 2012, doi:10.1109/T-AFFC.2011.15), at most as far from the middle as
# FACED's clips are (valence -0.58 ... 0.49, arousal -0.63 ... 0.45).
_QUADRANT_REACH = (0.08, 0.50)

_SIGNATURE_SHARES = {"film": 0.5, "clip": 0.4, "scene": 0.1}  # of the signature's variance
N_SCENES = 4  # scenes per trial, whatever its length


@dataclass(frozen=True)
class ClipPoint:
    """Where a clip stands in the plane, each axis -1 ... 1."""

    valence: float
    arousal: float


def _to_plane(rating: FloatArray) -> FloatArray:
    return (rating - 3.5) / 3.5


def _pooled_clip_sd() -> FloatArray:
    """SD between clips of one emotion in FACED, pooled over emotions, in plane units: (2,)."""
    squares, freedom = np.zeros(2), 0
    for clips in FACED_RATINGS.values():
        values = _to_plane(np.array(clips))
        squares += ((values - values.mean(axis=0)) ** 2).sum(axis=0)
        freedom += len(clips) - 1
    return np.asarray(np.sqrt(squares / freedom))


def _film_of(clip: Clip) -> str:
    return clip.film or clip.series or clip.clip


def clip_points(clips: tuple[Clip, ...], seed: int) -> list[ClipPoint]:
    """Draw the point of every clip of a session.

    Parameters
    ----------
    clips : tuple of Clip
        The clips of one session.
    seed : int
        The twin's seed.

    Returns
    -------
    list of ClipPoint
        In the order of `clips`. Clips of one film lie closer together than others.

    Raises
    ------
    ConfigError
        If a clip has an emotion word without measured ratings.
    """
    sd = _pooled_clip_sd()
    unknown = sorted({c.emotion for c in clips if c.emotion and c.emotion not in _FACED_WORDS})
    if unknown:
        raise ConfigError(
            f"No measured ratings for the emotions {unknown}; known are {sorted(_FACED_WORDS)}."
        )
    unlabelled = [k for k, clip in enumerate(clips) if clip.emotion is None]
    quadrants: dict[int, int] = {}
    if unlabelled:
        order = derive_rng(seed, "quadrants", clips[0].clip).permutation(len(unlabelled))
        quadrants = {k: int(order[position]) % 4 for position, k in enumerate(unlabelled)}
    points = []
    for k, clip in enumerate(clips):
        if clip.emotion is None:
            low, high = _QUADRANT_REACH
            reach = derive_rng(seed, "point", clip.clip).uniform(low, high, size=2)
            quadrant = quadrants[k]
            value = reach * np.array([1 - 2 * (quadrant & 1), 1 - (quadrant & 2)])
        else:
            rows = [row for word in _FACED_WORDS[clip.emotion] for row in FACED_RATINGS[word]]
            film = derive_rng(seed, "point of film", _film_of(clip)).standard_normal(2)
            own = derive_rng(seed, "point", clip.clip).standard_normal(2)
            value = _to_plane(np.mean(rows, axis=0)) + sd * np.sqrt(0.5) * (film + own)
        points.append(ClipPoint(float(value[0]), float(value[1])))
    return points


def clip_signature(clip: Clip, seed: int, n_entries: int) -> FloatArray:
    """What a clip leaves in everyone's EEG whatever it makes people feel.

    The sum of a part that is common to all clips of the film (in any corpus), a part of the clip,
    and parts of its scenes.

    Parameters
    ----------
    clip : Clip
        The clip.
    seed : int
        The twin's seed.
    n_entries : int
        Number of band powers that carry the signature.

    Returns
    -------
    ndarray, shape (n_entries, N_SCENES)
        Unit variance.
    """
    film = derive_rng(seed, "signature of film", _film_of(clip)).standard_normal((n_entries, 1))
    own = derive_rng(seed, "signature", clip.clip).standard_normal((n_entries, 1))
    scenes = derive_rng(seed, "scenes", clip.clip).standard_normal((n_entries, N_SCENES))
    parts = {"film": film, "clip": own, "scene": scenes}
    total = np.zeros((n_entries, N_SCENES))
    for level, share in _SIGNATURE_SHARES.items():
        total += np.sqrt(share) * parts[level]
    return total
