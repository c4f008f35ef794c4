"""Corpora, subjects and sessions: what differs between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from affectrum.catalog import CorpusFacts
from affectrum.twins.head import MUSCLES, PATCHES, Anatomy
from affectrum.twins.seeds import derive_rng
from affectrum.twins.settings import TwinSettings
from affectrum.twins.stimuli import FACED_RATINGS

__all__ = ["BANDS", "N_ENTRIES", "PROFILES", "CorpusProfile", "Session", "Subject"]

FloatArray = NDArray[np.float64]

# name -> (lower edge, upper edge, power over the background's in that band); Hz. Alpha is centred
# on the subject's own frequency.
BANDS: dict[str, tuple[float, float, float]] = {
    "theta": (4.0, 8.0, 1.4),
    "alpha": (8.0, 12.0, 5.0),
    "low beta": (13.0, 20.0, 1.6),
    "high beta": (20.0, 31.0, 1.4),
    "gamma": (31.0, 70.0, 0.8),
}
_BAND_NAMES = tuple(BANDS)
N_CORTICAL = len(PATCHES) * len(BANDS)
N_ENTRIES = N_CORTICAL + len(MUSCLES)  # band powers that vary: patch-major, then the muscles

_RESPONDER_BLOCK = 6  # as many as the small size has


@dataclass(frozen=True)
class CorpusProfile:
    """What a laboratory and its hardware add; all values chosen, none measured on the corpus.

    Attributes
    ----------
    gain : float
        Amplitude over the true one.
    noise : float
        Amplifier noise over the default.
    effect : float
        Strength of the stimuli's effect over the default.
    reference : tuple of float or "average" or None
        Inclination and azimuth of the reference electrode in degrees, the average, or infinity.
    eye_residual : float
        What the vendor's processing left of eye movements.
    mains : float
        Mains amplitude over the default.
    """

    gain: float = 1.0
    noise: float = 1.0
    effect: float = 1.0
    reference: tuple[float, float] | Literal["average"] | None = None
    eye_residual: float = 1.0
    mains: float = 1.0


# SEED and SEED-IV: one laboratory, one amplifier; the reference is not stated by the vendor, a
# place behind the vertex is assumed. DEAP: music videos move people less than films; the vendor
# removed eye movements and took the common average.
PROFILES: dict[str, CorpusProfile] = {
    "SEED": CorpusProfile(effect=1.08, reference=(10.0, 180.0)),
    "SEED-IV": CorpusProfile(gain=0.95, noise=1.1, effect=1.05, reference=(10.0, 180.0)),
    "DEAP": CorpusProfile(
        gain=0.90, noise=1.2, effect=0.85, reference="average", eye_residual=0.1, mains=0.4
    ),
    # the same cap and laboratory as SEED; SEED-VII was notched
    "SEED-V": CorpusProfile(reference=(10.0, 180.0)),
    "SEED-VII": CorpusProfile(reference=(10.0, 180.0), mains=0.2),
    "SEED-FRA": CorpusProfile(noise=1.1, reference=(10.0, 180.0)),
    "SEED-GER": CorpusProfile(noise=1.1, reference=(10.0, 180.0)),
    # saline sensors of a headset, references behind the ears
    "DREAMER": CorpusProfile(noise=1.6, effect=0.85, reference=(110.0, -95.0)),
    "AMIGOS": CorpusProfile(
        noise=1.6, effect=0.85, reference="average", eye_residual=0.6, mains=0.2
    ),
    "GAMEEMO": CorpusProfile(noise=1.6, effect=0.85, reference=(110.0, -95.0)),
    # cleaned by independent components, common average
    "FACED": CorpusProfile(noise=1.1, reference="average", eye_residual=0.1, mains=0.3),
    "THU-EP": CorpusProfile(noise=1.1, reference="average", eye_residual=0.1, mains=0.3),
    "EmoEEG-MC": CorpusProfile(noise=1.1, reference="average", eye_residual=0.1, mains=0.3),
    # active electrodes without processing
    "MAHNOB-HCI": CorpusProfile(gain=0.95, noise=1.1, reference=(15.0, -140.0)),
    "MPED": CorpusProfile(reference=(10.0, 180.0)),
    "EAV": CorpusProfile(effect=0.9, reference="average"),
    "DENS": CorpusProfile(noise=1.2, reference=(0.0, 0.0)),
    "ds002721": CorpusProfile(effect=0.8, reference=(23.0, 90.0)),
}


def _entry(patch: str, band: str) -> int:
    names = [p.name for p in PATCHES]
    return names.index(patch) * len(BANDS) + _BAND_NAMES.index(band)


# Where an effect is: place -> weight; both sides of a place are alike.
_AROUSAL_PLACES = {
    "occipital": 1.0,
    "occipito-parietal": 1.0,
    "parietal": 0.8,
    "precuneus": 0.8,
    "sensorimotor": 0.4,
}
_THETA_PLACES = {"medial frontal": 1.0, "premotor": 0.6}
_VALENCE_PLACES = {
    "anterior temporal": 1.0,
    "posterior temporal": 1.0,
    "ventrolateral frontal": 0.5,
}


_SENSORY_PLACES = {"occipital": 1.0, "occipito-parietal": 1.0, "posterior temporal": 1.0}
_SENSORY_BANDS = {"theta": 1.0, "alpha": 1.0, "low beta": 1.0, "high beta": 0.5, "gamma": 0.5}


def _over(places: dict[str, float]) -> list[tuple[str, float]]:
    """Patches of places with their weights."""
    return [
        (patch.name, weight)
        for patch in PATCHES
        for place, weight in places.items()
        if patch.name.rsplit(" ", 1)[0] == place
    ]


def _muscle(name: str) -> int:
    return N_CORTICAL + list(MUSCLES).index(name)


def common_effect(settings: TwinSettings) -> FloatArray:
    """Change of log power per unit of the plane, alike in all people.

    Parameters
    ----------
    settings : TwinSettings
        `effect` is not applied here, so that signatures keep their scale when it changes.

    Returns
    -------
    ndarray, shape (N_ENTRIES, 2)
        Columns valence, arousal; frontal asymmetry is left to the subject.
    """
    effect = np.zeros((N_ENTRIES, 2))
    for patch, weight in _over(_AROUSAL_PLACES):
        effect[_entry(patch, "alpha"), 1] -= settings.arousal_alpha * weight
        effect[_entry(patch, "low beta"), 1] -= settings.arousal_beta * weight
    for patch, weight in _over(_THETA_PLACES):
        effect[_entry(patch, "theta"), 0] += settings.midline_theta * weight
    for patch, weight in _over(_VALENCE_PLACES):
        effect[_entry(patch, "high beta"), 0] += settings.valence_gamma * weight
        effect[_entry(patch, "gamma"), 0] += settings.valence_gamma * weight
    for side in ("left", "right"):
        effect[_muscle(f"temporal {side}"), 0] += settings.muscle_valence
        effect[_muscle(f"frontal {side}"), 0] -= 0.5 * settings.muscle_valence
    return effect


def asymmetry_pattern() -> FloatArray:
    """Right minus left frontal alpha per unit of valence: shape (N_ENTRIES,)."""
    pattern = np.zeros(N_ENTRIES)
    for place in ("dorsolateral frontal", "frontopolar"):
        pattern[_entry(f"{place} right", "alpha")] = 0.5
        pattern[_entry(f"{place} left", "alpha")] = -0.5
    return pattern


def signature_sd(settings: TwinSettings, profile: CorpusProfile) -> FloatArray:
    """SD of the signature of each cortical band power.

    A clip's light, movement and sound drive sensory areas (`_SENSORY_PLACES`). The signature's
    variance, summed over all band powers, is `settings.signature` times that of the default
    common effect over the points of FACED's 28 clips.

    Parameters
    ----------
    settings : TwinSettings
        Its `signature` is used.
    profile : CorpusProfile
        Its `effect` is used.

    Returns
    -------
    ndarray, shape (N_CORTICAL,)
        Nats.
    """
    points = np.array([row for rows in FACED_RATINGS.values() for row in rows])
    covariance = np.cov((points - 3.5) / 3.5, rowvar=False, bias=True)
    default = common_effect(TwinSettings()) * profile.effect
    variance = float(np.trace(default @ covariance @ default.T))
    weight = np.zeros(N_CORTICAL)
    for patch, share in _over(_SENSORY_PLACES):
        for band, part in _SENSORY_BANDS.items():
            weight[_entry(patch, band)] = share * part
    return np.asarray(weight * np.sqrt(settings.signature * variance / np.sum(weight**2)))


@dataclass(frozen=True)
class Subject:
    """One simulated person.

    Attributes
    ----------
    corpus : str
        The corpus.
    number : int
        From 1.
    kind : {"responder", "non-responder", "reversed"}
        How the person responds.
    anatomy : Anatomy
        The head.
    alpha_hz : float
        Individual alpha frequency.
    spectrum : ndarray, shape (N_ENTRIES,)
        Log power against the average person.
    background : ndarray, shape (n_patches,)
        The same of the aperiodic background.
    exponent : float
        Exponent of the background.
    response : ndarray, shape (N_ENTRIES, 2)
        Change of log power per unit of valence and arousal.
    rating_shift : ndarray, shape (4,)
        Constant shift of ratings of valence, arousal, dominance, liking, in plane units.
    """

    corpus: str
    number: int
    kind: str
    anatomy: Anatomy
    alpha_hz: float
    spectrum: FloatArray
    background: FloatArray
    exponent: float
    response: FloatArray
    rating_shift: FloatArray

    @classmethod
    def draw(cls, facts: CorpusFacts, number: int, settings: TwinSettings, seed: int) -> Subject:
        """Draw a person; the same arguments give the same person on any cap."""
        profile = profile_of(facts.name, settings)
        rng = derive_rng(seed, "subject", facts.name, number)
        n_patches = len(PATCHES)
        degrees = np.deg2rad(settings.anatomy_degrees)
        anatomy = Anatomy(
            cap_rotation=degrees * rng.standard_normal(3),
            patch_shift=0.8 * degrees * rng.standard_normal((n_patches, 3)),
            skull=float(np.exp(settings.conductivity_sd * rng.standard_normal())),
        )
        alpha_hz = 10.0 + float(
            np.clip(settings.alpha_frequency_sd * rng.standard_normal(), -2.0, 2.0)
        )
        # a third of the variance is common to all patches of a band
        spectrum = np.zeros(N_ENTRIES)
        by_band = np.sqrt(1 / 3) * rng.standard_normal(len(BANDS))
        own = np.sqrt(2 / 3) * rng.standard_normal((n_patches, len(BANDS)))
        spectrum[:N_CORTICAL] = (own + by_band).ravel()
        spectrum[N_CORTICAL:] = rng.standard_normal(len(MUSCLES))
        background = np.sqrt(0.5) * (rng.standard_normal() + rng.standard_normal(n_patches))
        exponent = settings.aperiodic_exponent + 0.3 * settings.subject_sd * float(
            rng.standard_normal()
        )
        # corpora differ in their average spectrum too (population, room, amplifier)
        corpus_rng = derive_rng(seed, "corpus spectrum", facts.name)
        offset = 0.10 * settings.corpus_factors * corpus_rng.standard_normal(len(BANDS))
        corpus_spectrum = np.zeros(N_ENTRIES)
        corpus_spectrum[:N_CORTICAL] = np.tile(offset, n_patches)
        kind = _responder_kind(facts.name, number, settings, seed)
        return cls(
            corpus=facts.name,
            number=number,
            kind=kind,
            anatomy=anatomy,
            alpha_hz=alpha_hz,
            spectrum=settings.subject_sd * spectrum + corpus_spectrum,
            background=0.7 * settings.subject_sd * background,
            exponent=exponent,
            response=_draw_response(rng, kind, settings, profile),
            rating_shift=settings.rating_habit_sd * rng.standard_normal(4),
        )


def profile_of(corpus: str, settings: TwinSettings) -> CorpusProfile:
    """Return the corpus's profile, weakened by `settings.corpus_factors`."""
    profile = PROFILES.get(corpus, CorpusProfile())
    share = settings.corpus_factors
    return CorpusProfile(
        gain=profile.gain**share,
        noise=profile.noise**share,
        effect=profile.effect**share,
        reference=profile.reference,
        eye_residual=profile.eye_residual,
        mains=profile.mains**share,
    )


def _responder_kind(corpus: str, number: int, settings: TwinSettings, seed: int) -> str:
    """Deal out the kinds evenly: a share of 1/6 is one subject in each block of six."""
    block, place = divmod(number - 1, _RESPONDER_BLOCK)

    def quota(share: float) -> int:
        until, before = (block + 1) * _RESPONDER_BLOCK * share, block * _RESPONDER_BLOCK * share
        return round(until) - round(before)

    order = derive_rng(seed, "responders", corpus, block).permutation(_RESPONDER_BLOCK)
    rank = int(order[place])
    n_none = quota(settings.non_responders)
    if rank < n_none:
        return "non-responder"
    if rank < n_none + quota(settings.reversed_responders):
        return "reversed"
    return "responder"


def _draw_response(
    rng: np.random.Generator, kind: str, settings: TwinSettings, profile: CorpusProfile
) -> FloatArray:
    common = common_effect(settings)
    gain = np.exp(settings.response_gain_sd * rng.standard_normal())
    muscle_gain = np.exp(2 * settings.response_gain_sd * rng.standard_normal())
    own = rng.standard_normal((N_CORTICAL, 2)) / np.sqrt(N_CORTICAL)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    factor = {"responder": 1.0, "non-responder": 0.0, "reversed": -1.0}[kind]

    cortical = common[:N_CORTICAL]
    norm = np.linalg.norm(cortical, axis=0, keepdims=True)
    rotation = settings.response_rotation
    response = common.copy()
    response[:N_CORTICAL] = np.sqrt(1 - rotation) * cortical + np.sqrt(rotation) * norm * own
    response[N_CORTICAL:] *= muscle_gain / gain
    response[:, 0] += sign * settings.frontal_asymmetry * asymmetry_pattern()
    return np.asarray(response * (gain * factor * settings.effect * profile.effect))


@dataclass(frozen=True)
class Session:
    """One recording session of a subject.

    Attributes
    ----------
    spectrum : ndarray, shape (N_ENTRIES,)
        Log power against the subject's average.
    electrode_gain, electrode_noise : dict of str to float
        Gain and noise factor by electrode name.
    bad : tuple of str
        Electrodes that are noisy throughout.
    """

    spectrum: FloatArray
    electrode_gain: dict[str, float] = field(default_factory=dict)
    electrode_noise: dict[str, float] = field(default_factory=dict)
    bad: tuple[str, ...] = ()

    @classmethod
    def draw(
        cls,
        facts: CorpusFacts,
        subject: int,
        session: int,
        electrode_names: tuple[str, ...],
        settings: TwinSettings,
        seed: int,
    ) -> Session:
        """Draw a session; each electrode's values depend on its name, not on the cap's order."""
        rng = derive_rng(seed, "session", facts.name, subject, session)
        spectrum = settings.session_sd * rng.standard_normal(N_ENTRIES)
        gain, noise, bad = {}, {}, []
        for name in electrode_names:
            own = derive_rng(seed, "electrode", facts.name, subject, session, name)
            gain[name] = float(np.exp(settings.impedance_sd * own.standard_normal()))
            noise[name] = float(np.exp(2 * settings.impedance_sd * own.standard_normal()))
            if own.random() < settings.bad_electrodes:
                bad.append(name)
        return cls(spectrum, gain, noise, tuple(bad))
